//! 256-bit integers as eight words, least significant first: the machine's own form.

/// A 256-bit integer.
pub type Words = [u32; 8];

/// Zero.
pub const ZERO: Words = [0; 8];
/// One.
pub const ONE: Words = [1, 0, 0, 0, 0, 0, 0, 0];

/// `a + b mod 2^256`.
#[inline]
#[must_use]
pub fn add(a: &Words, b: &Words) -> Words {
    imp::add(a, b)
}

/// `a - b mod 2^256`.
#[inline]
#[must_use]
pub fn sub(a: &Words, b: &Words) -> Words {
    imp::sub(a, b)
}

/// `a * b mod 2^256`.
#[inline]
#[must_use]
pub fn mul(a: &Words, b: &Words) -> Words {
    imp::mul(a, b)
}

/// `(a / b, a % b)`, both zero when `b = 0` (the EVM's rule).
#[inline]
#[must_use]
pub fn div_rem(a: &Words, b: &Words) -> (Words, Words) {
    let [q0, q1, q2, q3, q4, q5, q6, q7, r0, r1, r2, r3, r4, r5, r6, r7] = imp::div_rem(a, b);
    ([q0, q1, q2, q3, q4, q5, q6, q7], [r0, r1, r2, r3, r4, r5, r6, r7])
}

/// Unsigned comparison.
#[inline]
#[must_use]
pub fn cmp(a: &Words, b: &Words) -> core::cmp::Ordering {
    match imp::cmp(a, b) {
        0 => core::cmp::Ordering::Equal,
        1 => core::cmp::Ordering::Less,
        _ => core::cmp::Ordering::Greater,
    }
}

/// `a << s`, zero when `s >= 256`.
#[inline]
#[must_use]
pub fn shl(a: &Words, s: &Words) -> Words {
    imp::shl(a, s)
}

/// `a >> s`, zero when `s >= 256`.
#[inline]
#[must_use]
pub fn shr(a: &Words, s: &Words) -> Words {
    imp::shr(a, s)
}

/// `(a + b) mod m` over the integers, zero when `m = 0`.
#[inline]
#[must_use]
pub fn add_mod(a: &Words, b: &Words, m: &Words) -> Words {
    imp::add_mod(a, b, m)
}

/// `(a * b) mod m`, zero when `m = 0`.
#[inline]
#[must_use]
pub fn mul_mod(a: &Words, b: &Words, m: &Words) -> Words {
    imp::mul_mod(a, b, m)
}

/// `out = a - b mod 2^256`, written in place: in the guest cheaper than returning it into memory.
#[inline(always)]
pub fn sub_to(a: &Words, b: &Words, out: &mut Words) {
    #[cfg(target_os = "zkvm")]
    crate::sys::binary_to(crate::ids::U256_SUB, a, b, out);
    #[cfg(not(target_os = "zkvm"))]
    {
        *out = sub(a, b);
    }
}

/// `out = (a * b) mod m`, zero when `m = 0`; see [`sub_to`].
#[inline(always)]
pub fn mul_mod_to(a: &Words, b: &Words, m: &Words, out: &mut Words) {
    #[cfg(target_os = "zkvm")]
    crate::sys::ternary_to(crate::ids::MODMUL256, a, b, m, out);
    #[cfg(not(target_os = "zkvm"))]
    {
        *out = mul_mod(a, b, m);
    }
}

/// `to = from`, one call in the guest.
#[inline(always)]
pub fn copy(to: &mut Words, from: &Words) {
    #[cfg(target_os = "zkvm")]
    // SAFETY: both are references to eight aligned words.
    unsafe {
        crate::sys::copy32(from.as_ptr().cast(), to.as_mut_ptr().cast());
    }
    #[cfg(not(target_os = "zkvm"))]
    {
        *to = *from;
    }
}

/// From 32 big-endian bytes.
#[inline]
#[must_use]
pub fn from_be_bytes(bytes: &[u8; 32]) -> Words {
    core::array::from_fn(|i| {
        let j = 28 - 4 * i;
        u32::from_be_bytes([bytes[j], bytes[j + 1], bytes[j + 2], bytes[j + 3]])
    })
}

/// To 32 big-endian bytes.
#[inline]
#[must_use]
pub fn to_be_bytes(a: &Words) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (chunk, word) in bytes.chunks_exact_mut(4).zip(a.iter().rev()) {
        chunk.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

/// Whether `a < b`, decided in ordinary code: quicker than [`cmp`] when the top words differ.
#[inline]
#[must_use]
pub fn lt(a: &Words, b: &Words) -> bool {
    for i in (0..8).rev() {
        if a[i] != b[i] {
            return a[i] < b[i];
        }
    }
    false
}

/// Whether `a = 0`.
#[inline]
#[must_use]
pub fn is_zero(a: &Words) -> bool {
    a.iter().fold(0, |x, w| x | w) == 0
}

#[cfg(not(target_os = "zkvm"))]
mod imp {
    use super::Words;
    use ruint::aliases::U256;

    fn wide(a: &Words) -> U256 {
        U256::from_limbs(core::array::from_fn(|i| {
            u64::from(a[2 * i]) | (u64::from(a[2 * i + 1]) << 32)
        }))
    }

    fn words(a: U256) -> Words {
        core::array::from_fn(|i| (a.as_limbs()[i / 2] >> (32 * (i % 2))) as u32)
    }

    fn shift(s: &Words) -> Option<usize> {
        (s[1..].iter().all(|&w| w == 0) && s[0] < 256).then_some(s[0] as usize)
    }

    pub(super) fn add(a: &Words, b: &Words) -> Words {
        words(wide(a).wrapping_add(wide(b)))
    }

    pub(super) fn sub(a: &Words, b: &Words) -> Words {
        words(wide(a).wrapping_sub(wide(b)))
    }

    pub(super) fn mul(a: &Words, b: &Words) -> Words {
        words(wide(a).wrapping_mul(wide(b)))
    }

    pub(super) fn div_rem(a: &Words, b: &Words) -> [u32; 16] {
        let (a, b) = (wide(a), wide(b));
        let (q, r) = if b.is_zero() { (U256::ZERO, U256::ZERO) } else { a.div_rem(b) };
        let (q, r) = (words(q), words(r));
        core::array::from_fn(|i| if i < 8 { q[i] } else { r[i - 8] })
    }

    pub(super) fn cmp(a: &Words, b: &Words) -> u32 {
        match wide(a).cmp(&wide(b)) {
            core::cmp::Ordering::Equal => 0,
            core::cmp::Ordering::Less => 1,
            core::cmp::Ordering::Greater => 2,
        }
    }

    pub(super) fn shl(a: &Words, s: &Words) -> Words {
        shift(s).map_or(super::ZERO, |s| words(wide(a).wrapping_shl(s)))
    }

    pub(super) fn shr(a: &Words, s: &Words) -> Words {
        shift(s).map_or(super::ZERO, |s| words(wide(a).wrapping_shr(s)))
    }

    pub(super) fn add_mod(a: &Words, b: &Words, m: &Words) -> Words {
        words(wide(a).add_mod(wide(b), wide(m)))
    }

    pub(super) fn mul_mod(a: &Words, b: &Words, m: &Words) -> Words {
        words(wide(a).mul_mod(wide(b), wide(m)))
    }

    pub(crate) fn inv_mod(a: &Words, m: &Words) -> Words {
        wide(a).inv_mod(wide(m)).map_or(super::ZERO, words)
    }
}

/// The modular inverse, or zero if there is none: for hints and native code.
#[cfg(not(target_os = "zkvm"))]
#[must_use]
pub fn inv_mod(a: &Words, m: &Words) -> Words {
    imp::inv_mod(a, m)
}

#[cfg(target_os = "zkvm")]
mod imp {
    use super::Words;
    use crate::{ids, sys};

    #[inline(always)]
    pub(super) fn add(a: &Words, b: &Words) -> Words {
        sys::binary(ids::U256_ADD, a, b)
    }

    #[inline(always)]
    pub(super) fn sub(a: &Words, b: &Words) -> Words {
        sys::binary(ids::U256_SUB, a, b)
    }

    #[inline(always)]
    pub(super) fn mul(a: &Words, b: &Words) -> Words {
        sys::binary(ids::U256_MUL, a, b)
    }

    #[inline(always)]
    pub(super) fn div_rem(a: &Words, b: &Words) -> [u32; 16] {
        sys::binary(ids::U256_DIVREM, a, b)
    }

    #[inline(always)]
    pub(super) fn cmp(a: &Words, b: &Words) -> u32 {
        let [order] = sys::binary(ids::U256_CMP, a, b);
        order
    }

    #[inline(always)]
    pub(super) fn shl(a: &Words, s: &Words) -> Words {
        sys::binary(ids::U256_SHL, a, s)
    }

    #[inline(always)]
    pub(super) fn shr(a: &Words, s: &Words) -> Words {
        sys::binary(ids::U256_SHR, a, s)
    }

    #[inline(always)]
    pub(super) fn add_mod(a: &Words, b: &Words, m: &Words) -> Words {
        sys::ternary(ids::U256_ADDMOD, a, b, m)
    }

    #[inline(always)]
    pub(super) fn mul_mod(a: &Words, b: &Words, m: &Words) -> Words {
        sys::ternary(ids::MODMUL256, a, b, m)
    }
}
