//! ECDSA verification over P-256 (EIP-7951), built from modular-multiplication calls.
//!
//! Points are projective and added by the complete formula for `a = -3` of Renes, Costello and Batina ("Complete addition formulas for prime order elliptic curves",
//! algorithm 4): it holds for every pair of points, equal ones and infinity included, so there is no special case to get wrong. The one hint is an inverse, checked here.
//! The same code runs natively, where it is compared with the `p256` crate.

use crate::ecdsa::{Hints, checked_inverse};
use crate::u256::{self, Words, add_mod, is_zero, lt, mul_mod};

/// The field's prime, 2^256 - 2^224 + 2^192 + 2^96 - 1.
const P: Words = [0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0, 0, 0, 1, 0xffff_ffff];
/// The group's order.
const N: Words =
    [0xfc63_2551, 0xf3b9_cac2, 0xa717_9e84, 0xbce6_faad, 0xffff_ffff, 0xffff_ffff, 0, 0xffff_ffff];
/// The curve's constant: y^2 = x^3 - 3 x + b.
const B: Words = [
    0x27d2_604b,
    0x3bce_3c3e,
    0xcc53_b0f6,
    0x651d_06b0,
    0x7698_86bc,
    0xb3eb_bd55,
    0xaa3a_93e7,
    0x5ac6_35d8,
];
/// The generator.
const G: Point = Point {
    x: [
        0xd898_c296,
        0xf4a1_3945,
        0x2deb_33a0,
        0x7703_7d81,
        0x63a4_40f2,
        0xf8bc_e6e5,
        0xe12c_4247,
        0x6b17_d1f2,
    ],
    y: [
        0x37bf_51f5,
        0xcbb6_4068,
        0x6b31_5ece,
        0x2bce_3357,
        0x7c0f_9e16,
        0x8ee7_eb4a,
        0xfe1a_7f9b,
        0x4fe3_42e2,
    ],
    z: u256::ONE,
};

/// `(x : y : z)`, coordinates below the prime; `z = 0` is infinity.
#[derive(Clone, Copy)]
struct Point {
    x: Words,
    y: Words,
    z: Words,
}

const INFINITY: Point = Point { x: u256::ZERO, y: u256::ONE, z: u256::ZERO };

fn add(a: &Words, b: &Words) -> Words {
    add_mod(a, b, &P)
}

fn mul(a: &Words, b: &Words) -> Words {
    mul_mod(a, b, &P)
}

/// `a - b` for `b` below the prime.
fn sub(a: &Words, b: &Words) -> Words {
    add_mod(a, &u256::sub(&P, b), &P)
}

/// The sum of any two points.
fn sum(p: &Point, q: &Point) -> Point {
    let (xx, yy, zz) = (mul(&p.x, &q.x), mul(&p.y, &q.y), mul(&p.z, &q.z));
    let cross = |a: &Words, b: &Words, c: &Words, d: &Words, aa: &Words, bb: &Words| {
        sub(&mul(&add(a, b), &add(c, d)), &add(aa, bb))
    };
    let xy = cross(&p.x, &p.y, &q.x, &q.y, &xx, &yy);
    let yz = cross(&p.y, &p.z, &q.y, &q.z, &yy, &zz);
    let xz = cross(&p.x, &p.z, &q.x, &q.z, &xx, &zz);
    let triple = |a: &Words| add(&add(a, a), a);
    let t = triple(&sub(&xz, &mul(&B, &zz)));
    let (minus, plus) = (sub(&yy, &t), add(&yy, &t));
    let zz3 = triple(&zz);
    let u = triple(&sub(&sub(&mul(&B, &xz), &zz3), &xx));
    let v = sub(&triple(&xx), &zz3);
    Point {
        x: sub(&mul(&xy, &plus), &mul(&yz, &u)),
        y: add(&mul(&plus, &minus), &mul(&v, &u)),
        z: add(&mul(&yz, &minus), &mul(&xy, &v)),
    }
}

/// `a G + b q`, both scalars bit by bit with shared doublings.
fn combination(a: &Words, b: &Words, q: &Point) -> Point {
    let both = sum(&G, q);
    let mut acc = INFINITY;
    for i in (0..256).rev() {
        acc = sum(&acc, &acc);
        let bit = |k: &Words| k[i / 32] >> (i % 32) & 1 == 1;
        match (bit(a), bit(b)) {
            (true, true) => acc = sum(&acc, &both),
            (true, false) => acc = sum(&acc, &G),
            (false, true) => acc = sum(&acc, q),
            (false, false) => {}
        }
    }
    acc
}

/// Whether `(x, y)` with coordinates below the prime is on the curve.
fn on_curve(x: &Words, y: &Words) -> bool {
    let cube = mul(&mul(x, x), x);
    let three_x = add(&add(x, x), x);
    mul(y, y) == add(&sub(&cube, &three_x), &B)
}

/// Whether `(r, s)` is a signature of the message hash by the key `(x, y)`; all big-endian, `signature = r || s`, `key = x || y`. As EIP-7951 has it: `r` and `s` from 1 to
/// the order, a key on the curve; `s` may be high.
///
/// # Panics
/// When the hint is wrong; there is no proof of such a run.
#[must_use]
pub fn verify_with<H: Hints>(hash: &[u8; 32], signature: &[u8; 64], key: &[u8; 64]) -> bool {
    let half = |bytes: &[u8; 64], i: usize| {
        let mut word = [0; 32];
        word.copy_from_slice(&bytes[32 * i..32 * i + 32]);
        u256::from_be_bytes(&word)
    };
    let (r, s) = (half(signature, 0), half(signature, 1));
    let (x, y) = (half(key, 0), half(key, 1));
    let scalar = |k: &Words| !is_zero(k) && lt(k, &N);
    if !scalar(&r) || !scalar(&s) || !lt(&x, &P) || !lt(&y, &P) || !on_curve(&x, &y) {
        return false;
    }
    let inverse = checked_inverse::<H>(&s, &N);
    let u1 = mul_mod(&u256::from_be_bytes(hash), &inverse, &N);
    let u2 = mul_mod(&r, &inverse, &N);
    let point = combination(&u1, &u2, &Point { x, y, z: u256::ONE });
    if is_zero(&point.z) {
        return false;
    }
    // r = x / z mod p, reduced by the order: x / z is r or r + n.
    let is = |candidate: &Words| mul(candidate, &point.z) == point.x;
    is(&r) || (lt(&r, &u256::sub(&P, &N)) && is(&u256::add(&r, &N)))
}

/// [`verify_with`] the machine's hints.
#[must_use]
pub fn verify(hash: &[u8; 32], signature: &[u8; 64], key: &[u8; 64]) -> bool {
    #[cfg(target_os = "zkvm")]
    return verify_with::<crate::ecdsa::ExecutorHints>(hash, signature, key);
    #[cfg(not(target_os = "zkvm"))]
    verify_with::<crate::ecdsa::HonestHints>(hash, signature, key)
}
