//! Poseidon2 of width 16 over KoalaBear (p = 2^31 - 2^24 + 1): x^3, 8 full and 20 partial rounds, Plonky3's
//! default constants (the Grain LFSR of the Poseidon2 paper, eprint 2023/323).
//!
//! Field elements cross this border as canonical `u32` words (< [`P`]); inside, the native version works in
//! Montgomery form. On the guest target the same functions are accelerator calls.

/// The KoalaBear prime.
pub const P: u32 = 0x7f00_0001;

/// A digest: eight canonical field elements.
pub type Words = [u32; 8];

/// Applies the permutation in place. Every word must be canonical; a word that is not is taken modulo [`P`] natively.
#[inline]
pub fn permute(state: &mut [u32; 16]) {
    imp::permute(state);
}

/// The two-to-one compression `P(l || r)[0..8] + l`. The feed-forward makes it one-way and collision-resistant:
/// without it, the truncated permutation could be run backwards.
#[inline]
pub fn compress(l: &Words, r: &Words) -> Words {
    imp::compress(l, r)
}

/// [`compress`] into a place of the caller's, without a copy in the guest.
#[inline(always)]
pub fn compress_into(l: &Words, r: &Words, out: &mut Words) {
    imp::compress_into(l, r, out);
}

/// `acc = compress(acc, r)`, in place.
#[inline(always)]
pub fn append_right(acc: &mut Words, r: &Words) {
    imp::append_right(acc, r);
}

/// `acc = compress(l, acc)`, in place.
#[inline(always)]
pub fn append_left(l: &Words, acc: &mut Words) {
    imp::append_left(l, acc);
}

/// [`compress`] over many independent pairs, each `l || r`, into `out`. Natively this fills SIMD lanes where the
/// build enables them; it gives the same words as the scalar function.
///
/// # Panics
/// When the two slices differ in length.
#[cfg(not(target_os = "zkvm"))]
pub fn compress_many(pairs: &[[u32; 16]], out: &mut [Words]) {
    imp::compress_many(pairs, out);
}

#[cfg(not(target_os = "zkvm"))]
mod imp {
    extern crate std;

    use std::sync::LazyLock;

    use p3_field::{Field, PackedValue, PrimeCharacteristicRing, PrimeField32};
    use p3_koala_bear::{KoalaBear, Poseidon2KoalaBear, default_koalabear_poseidon2_16};
    use p3_symmetric::Permutation;

    use super::Words;

    type Packed = <KoalaBear as Field>::Packing;

    static PERMUTATION: LazyLock<Poseidon2KoalaBear<16>> =
        LazyLock::new(default_koalabear_poseidon2_16);

    #[inline]
    pub(super) fn permute(state: &mut [u32; 16]) {
        let mut elements = KoalaBear::new_array(*state);
        PERMUTATION.permute_mut(&mut elements);
        for (word, element) in state.iter_mut().zip(elements) {
            *word = element.as_canonical_u32();
        }
    }

    #[inline]
    pub(super) fn compress(l: &Words, r: &Words) -> Words {
        let mut elements = [KoalaBear::ZERO; 16];
        for i in 0..8 {
            elements[i] = KoalaBear::new(l[i]);
            elements[8 + i] = KoalaBear::new(r[i]);
        }
        let left = elements;
        PERMUTATION.permute_mut(&mut elements);
        core::array::from_fn(|i| (elements[i] + left[i]).as_canonical_u32())
    }

    #[inline]
    pub(super) fn compress_into(l: &Words, r: &Words, out: &mut Words) {
        *out = compress(l, r);
    }

    #[inline]
    pub(super) fn append_right(acc: &mut Words, r: &Words) {
        *acc = compress(acc, r);
    }

    #[inline]
    pub(super) fn append_left(l: &Words, acc: &mut Words) {
        *acc = compress(l, acc);
    }

    pub(super) fn compress_many(pairs: &[[u32; 16]], out: &mut [Words]) {
        assert_eq!(pairs.len(), out.len(), "one output for each pair");
        let (pair_chunks, pair_rest) = pairs.split_at(pairs.len() - pairs.len() % Packed::WIDTH);
        let (out_chunks, out_rest) = out.split_at_mut(pair_chunks.len());
        for (pairs, out) in
            pair_chunks.chunks_exact(Packed::WIDTH).zip(out_chunks.chunks_exact_mut(Packed::WIDTH))
        {
            let mut state: [Packed; 16] =
                core::array::from_fn(|i| Packed::from_fn(|lane| KoalaBear::new(pairs[lane][i])));
            let left = state;
            PERMUTATION.permute_mut(&mut state);
            for i in 0..8 {
                let sum = state[i] + left[i];
                for (lane, digest) in out.iter_mut().enumerate() {
                    digest[i] = sum.extract(lane).as_canonical_u32();
                }
            }
        }
        for (pair, out) in pair_rest.iter().zip(out_rest) {
            let (l, r) = pair.split_at(8);
            let both = (l.try_into(), r.try_into());
            if let (Ok(l), Ok(r)) = both {
                *out = compress(l, r);
            }
        }
    }
}

#[cfg(target_os = "zkvm")]
mod imp {
    use core::arch::asm;

    use super::Words;
    use crate::ids;

    #[inline]
    pub(super) fn permute(state: &mut [u32; 16]) {
        crate::sys::poseidon2_permute(state);
    }

    #[inline]
    pub(super) fn compress(l: &Words, r: &Words) -> Words {
        crate::sys::poseidon2_compress(l, r)
    }

    /// # Safety
    /// `l` and `r` are readable and `out` writable for eight words; they may overlap (see [`ids`]).
    #[inline(always)]
    unsafe fn call(l: *const Words, r: *const Words, out: *mut Words) {
        // SAFETY: by the caller's promise; the call reads both inputs before it writes, and changes no register.
        unsafe {
            asm!("ecall", in("a7") ids::POSEIDON2_COMPRESS, in("a0") l, in("a1") r, in("a2") out, options(nostack, preserves_flags))
        }
    }

    #[inline(always)]
    pub(super) fn compress_into(l: &Words, r: &Words, out: &mut Words) {
        // SAFETY: the operands are references.
        unsafe { call(l, r, out) }
    }

    #[inline(always)]
    pub(super) fn append_right(acc: &mut Words, r: &Words) {
        let acc = core::ptr::from_mut(acc);
        // SAFETY: the operands are references, one of them read and then written.
        unsafe { call(acc, r, acc) }
    }

    #[inline(always)]
    pub(super) fn append_left(l: &Words, acc: &mut Words) {
        let acc = core::ptr::from_mut(acc);
        // SAFETY: the operands are references, one of them read and then written.
        unsafe { call(l, acc, acc) }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    fn sample(seed: u32) -> [u32; 16] {
        core::array::from_fn(|i| {
            (seed.wrapping_mul(2_654_435_761).wrapping_add(i as u32 * 40_503)) % P
        })
    }

    /// The vector that Plonky3 tests `default_koalabear_poseidon2_16` with:
    /// neither a new p3 release nor the guest's accelerator can change the state tree unnoticed.
    #[test]
    fn permutation_is_pinned() {
        let mut state = PINNED_INPUT;
        permute(&mut state);
        assert_eq!(state, PINNED_OUTPUT);
    }

    const PINNED_INPUT: [u32; 16] = [
        894848333, 1437655012, 1200606629, 1690012884, 71131202, 1749206695, 1717947831, 120589055,
        19776022, 42382981, 1831865506, 724844064, 171220207, 1299207443, 227047920, 1783754913,
    ];
    const PINNED_OUTPUT: [u32; 16] = [
        1934285469, 604889435, 133449501, 1026180808, 1830659359, 176667110, 1391183747, 351743874,
        1238264085, 1292768839, 2023573270, 1201586780, 1360691759, 1230682461, 748270449,
        651545025,
    ];

    #[test]
    fn compress_is_truncated_permutation_plus_left() {
        for seed in 0..20 {
            let mut state = sample(seed);
            let l: Words = state[..8].try_into().unwrap();
            let r: Words = state[8..].try_into().unwrap();
            permute(&mut state);
            let expected: Words = core::array::from_fn(|i| {
                ((u64::from(state[i]) + u64::from(l[i])) % u64::from(P)) as u32
            });
            assert_eq!(compress(&l, &r), expected);
            let mut out = l;
            append_right(&mut out, &r);
            assert_eq!(out, expected);
            out = r;
            append_left(&l, &mut out);
            assert_eq!(out, expected);
            compress_into(&l, &r, &mut out);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn many_agrees_with_one() {
        for n in [0usize, 1, 7, 8, 16, 33] {
            let pairs: Vec<_> = (0..n as u32).map(sample).collect();
            let mut out = std::vec![[0; 8]; n];
            compress_many(&pairs, &mut out);
            for (pair, digest) in pairs.iter().zip(&out) {
                assert_eq!(
                    *digest,
                    compress(pair[..8].try_into().unwrap(), pair[8..].try_into().unwrap())
                );
            }
        }
    }
}
