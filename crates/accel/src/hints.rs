//! What the executor answers to hints, and native code uses directly. The guest trusts none of it.

use crate::secp256k1::{LAMBDA, N, P};
use crate::u256::{self, Words};
use k256::FieldElement;
use ruint::aliases::{U256, U512};

/// The inverse of `a` modulo `m`, or zero if there is none.
#[must_use]
pub fn mod_inv(a: &Words, m: &Words) -> Words {
    u256::inv_mod(a, m)
}

/// A square root of `a` modulo the secp256k1 prime; of `-a` if `a` is not a square (-1 is none, so one of them is).
#[must_use]
pub fn secp256k1_sqrt(a: &Words) -> Words {
    let root = |a: &Words| -> Option<Words> {
        let element: Option<FieldElement> =
            FieldElement::from_bytes(&u256::to_be_bytes(a).into()).into();
        let root: Option<FieldElement> = element?.sqrt().into();
        root.map(|r| u256::from_be_bytes(&r.normalize().to_bytes().into()))
    };
    let reduced = u256::mul_mod(a, &u256::ONE, &P);
    root(&reduced).or_else(|| root(&u256::sub(&P, &reduced))).unwrap_or(u256::ZERO)
}

/// A scalar as `k1 + k2 * lambda` with halves of at most 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Magnitudes of `k1` and `k2`.
    pub magnitudes: [[u32; 4]; 2],
    /// Whether each is negative.
    pub negative: [bool; 2],
}

/// First short vector of the endomorphism's lattice: `A1 + (-MINUS_B1) * lambda = 0 mod n`.
const A1: U256 = U256::from_limbs([0xe86c_90e4_9284_eb15, 0x3086_d221_a7d4_6bcd, 0, 0]);
const MINUS_B1: U256 = U256::from_limbs([0x6f54_7fa9_0abf_e4c3, 0xe443_7ed6_010e_8828, 0, 0]);

fn wide(a: &Words) -> U256 {
    U256::from_limbs(core::array::from_fn(|i| {
        u64::from(a[2 * i]) | (u64::from(a[2 * i + 1]) << 32)
    }))
}

fn words(a: U256) -> Words {
    core::array::from_fn(|i| (a.as_limbs()[i / 2] >> (32 * (i % 2))) as u32)
}

/// `round(a * b / n)` for `a * b` below 2^511.
fn scaled(a: U256, b: U256) -> U256 {
    let n = U512::from(wide(&N));
    U256::wrapping_from((U512::from(a) * U512::from(b) + (n >> 1)) / n)
}

/// Splits a scalar (taken modulo the order) by the endomorphism, as in Guide to Elliptic Curve Cryptography, algorithm 3.74.
#[must_use]
pub fn secp256k1_split(k: &Words) -> Split {
    let n = wide(&N);
    let k = wide(k).reduce_mod(n);
    let (c1, c2) = (scaled(k, A1), scaled(k, MINUS_B1)); // the second vector's b2 equals A1
    let minus = |a: U256| if a.is_zero() { a } else { n - a };
    let k2 = c1.mul_mod(MINUS_B1, n).add_mod(minus(c2.mul_mod(A1, n)), n);
    let k1 = k.add_mod(minus(k2.mul_mod(wide(&LAMBDA), n)), n);
    let signed = |a: U256| if a > n >> 1 { (n - a, true) } else { (a, false) };
    let ((k1, negative1), (k2, negative2)) = (signed(k1), signed(k2));
    let low = |a: U256| core::array::from_fn(|i| words(a)[i]);
    Split { magnitudes: [low(k1), low(k2)], negative: [negative1, negative2] }
}
