//! Arithmetic modulo the secp256k1 prime `p = 2^256 - 2^32 - 977` on 16-bit limbs: the identities shared by the point chips.

use super::limbs::{Int, Poly, Ring};
use crate::bus::{F, range_check};
use crate::counts::Counts;
use p3_field::{Field, PrimeCharacteristicRing};
use p3_lookup::InteractionBuilder;

/// Limbs of `p`, least significant first.
pub const PRIME: [u16; 16] = {
    let mut limbs = [0xffff; 16];
    limbs[0] = 0xfc2f;
    limbs[2] = 0xfffe;
    limbs
};

/// Limbs of a quotient: 16 of 16 bits, and a signed top limb in `-2 ..= 1` (its column holds it plus 2).
pub const QUOTIENT: usize = 17;
/// Coefficients of [`modular`] in base 2^16.
pub const COEFFICIENTS: usize = 33;
/// Carries of [`modular`].
pub const CARRIES: usize = COEFFICIENTS - 1;

/// `product + linear - q p` in base 2^16. `product` has byte digits. Zero iff `product + linear = q p`.
///
/// In base 2^16, `p` is `Y^16 - Y^2 - 977`.
pub fn modular<R: Ring>(product: Poly<R>, linear: &[(i64, &[R])], q: &[R; QUOTIENT]) -> Poly<R> {
    let mut sum = product.pairs();
    for (factor, limbs) in linear {
        sum = sum.plus(*factor, limbs, 0);
    }
    sum.plus(977, q, 0).plus(1, q, 2).plus(-1, q, 16)
}

/// Digitwise difference.
pub fn minus<R: Ring, const N: usize>(a: &[R; N], b: &[R; N]) -> [R; N] {
    core::array::from_fn(|i| a[i].clone() - b[i].clone())
}

/// Carries the digits of an integer to `0 .. 2^base_log`, with the rest (signed) as the last entry.
fn normalise(digits: &[i128], base_log: u32) -> Vec<i128> {
    let mut carry = 0;
    let mut out: Vec<i128> = digits
        .iter()
        .map(|digit| {
            let sum = digit + carry;
            carry = sum >> base_log;
            sum & ((1 << base_log) - 1)
        })
        .collect();
    out.push(carry);
    out
}

/// `value / p` for an exact multiple of `p` given by base-2^16 digits of any size: `N - 1` limbs and a signed top.
///
/// # Panics
/// When the value is not a multiple of `p`: the caller's witness is wrong.
pub fn quotient(value: &Poly<Int>) -> [i128; QUOTIENT] {
    let mut rest: Vec<i128> = value.0.iter().map(|c| c.0).collect();
    let mut q = vec![0i128; 40];
    // value = hi 2^256 + lo = hi p + (hi (2^32 + 977) + lo), until hi vanishes.
    for _ in 0..12 {
        let digits = normalise(&rest, 16);
        let (lo, hi) = digits.split_at(digits.len().min(16));
        if hi.iter().all(|&h| h == 0) {
            break;
        }
        rest = lo.to_vec();
        rest.resize(lo.len().max(hi.len() + 2), 0);
        for (i, &h) in hi.iter().enumerate() {
            q[i] += h;
            rest[i] += 977 * h;
            rest[i + 2] += h;
        }
    }
    let mut digits = normalise(&rest, 16);
    digits.resize(17, 0);
    if digits[..16] == PRIME.map(i128::from) {
        q[0] += 1;
    } else {
        assert!(digits.iter().all(|&d| d == 0), "a witness is not a multiple of p");
    }
    let q = normalise(&q, 16);
    let top = q[16] + if q[17..].iter().all(|&d| d == 0) { 0 } else { -(1 << 16) };
    core::array::from_fn(|i| if i < 16 { q[i] } else { top })
}

/// Range-checks a quotient's columns and returns its limbs.
pub fn eval_quotient<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    columns: &[AB::Expr; QUOTIENT],
    real: &AB::Expr,
) -> [AB::Expr; QUOTIENT] {
    let (top, limbs) = (&columns[16], &columns[..16]);
    super::limbs::check_limbs(b, limbs, real);
    range_check(b, top.clone(), 2, real.clone());
    core::array::from_fn(|i| {
        if i < 16 { columns[i].clone() } else { top.clone() - real.clone() * F::TWO }
    })
}

/// The columns of a quotient.
///
/// # Panics
/// When the top limb is outside `-2 ..= 1`.
pub fn fill_quotient(q: &[i128; QUOTIENT], counts: &mut Counts) -> [F; QUOTIENT] {
    core::array::from_fn(|i| {
        let (value, bits) = if i < 16 { (q[i], 16) } else { (q[16] + 2, 2) };
        let value = u32::try_from(value).expect("a quotient's limb is in range");
        assert!(value >> bits == 0, "a quotient's limb is in range");
        counts.range(value, bits);
        F::from_u32(value)
    })
}

/// Columns of the proof that 16-bit limbs are below `p`.
pub const BELOW: usize = 5;

/// `x < p` for 16-bit limbs. Columns `s1, s2, s3` (with `s0 = real - s1 - s2 - s3`, one-hot), `w`, `d`. One of:
/// * `s0`: a limb from 3 up is not `0xffff`; `w` inverts the sum of their distances to `0xffff` (below 2^20, so it cannot vanish modulo the field's prime);
/// * `s1`: limb 2 is at most `0xfffd`, `d = 0xfffd - x_2`;
/// * `s2`: limb 2 is `0xfffe` and limb 1 is not `0xffff`; `w` inverts the distance;
/// * `s3`: limb 2 is `0xfffe`, limb 1 is `0xffff`, limb 0 is at most `0xfc2e`, `d = 0xfc2e - x_0`.
pub fn eval_below<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    x: &[AB::Expr; 16],
    columns: &[AB::Expr; BELOW],
    real: &AB::Expr,
) {
    let [s1, s2, s3, w, d] = columns;
    let s0 = real.clone() - s1.clone() - s2.clone() - s3.clone();
    for s in [&s0, s1, s2, s3] {
        b.assert_bool(s.clone());
    }
    let k = |v: u32| AB::Expr::from_u32(v);
    let top: AB::Expr = x[3..].iter().map(|limb| k(0xffff) - limb.clone()).sum();
    b.assert_zero(s0 * (top * w.clone() - AB::Expr::ONE));
    b.assert_zero(s2.clone() * ((k(0xffff) - x[1].clone()) * w.clone() - AB::Expr::ONE));
    b.assert_zero((s1.clone() + s3.clone()) * w.clone());
    b.assert_zero((s2.clone() + s3.clone()) * (x[2].clone() - k(0xfffe)));
    b.assert_zero(s3.clone() * (x[1].clone() - k(0xffff)));
    let distance =
        s1.clone() * (k(0xfffd) - x[2].clone()) + s3.clone() * (k(0xfc2e) - x[0].clone());
    b.assert_eq(d.clone(), distance);
    range_check(b, d.clone(), 16, real.clone());
}

/// The columns of [`eval_below`].
///
/// # Panics
/// When `x >= p`.
pub fn fill_below(x: &[u16; 16], counts: &mut Counts) -> [F; BELOW] {
    let top: u32 = x[3..].iter().map(|&limb| 0xffff - u32::from(limb)).sum();
    let inverse = |v: u32| F::from_u32(v).try_inverse().unwrap_or(F::ZERO);
    let (mut columns, mut d) = ([F::ZERO; BELOW], 0);
    match (top, x[2], x[1], x[0]) {
        (0, 0xfffe, 0xffff, low) => {
            assert!(low < PRIME[0], "the number is below p");
            columns[2] = F::ONE;
            d = 0xfc2e - u32::from(low);
        }
        (0, 0xfffe, middle, _) => {
            columns[1] = F::ONE;
            columns[3] = inverse(0xffff - u32::from(middle));
        }
        (0, high, ..) => {
            assert!(high < 0xfffe, "the number is below p");
            columns[0] = F::ONE;
            d = 0xfffd - u32::from(high);
        }
        _ => columns[3] = inverse(top),
    }
    columns[4] = F::from_u32(d);
    counts.range(d, 16);
    columns
}

/// Limbs of words.
#[allow(clippy::cast_possible_truncation)]
pub fn limbs_of_words(words: &[u32; 8]) -> [u16; 16] {
    core::array::from_fn(|i| (words[i / 2] >> (16 * (i % 2))) as u16)
}

/// Words of limbs.
pub fn words_of_limbs(limbs: &[u16]) -> [u32; 8] {
    core::array::from_fn(|i| u32::from(limbs[2 * i]) | u32::from(limbs[2 * i + 1]) << 16)
}
