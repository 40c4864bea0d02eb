//! ECDSA public-key recovery over secp256k1.
//!
//! In the guest it is built from point and modular-multiplication calls: inverse, square root and scalar split are hints that are checked here, so a lying hint can only stop the
//! machine. Natively [`recover`] is k256's arithmetic; the guest's algorithm is compiled and tested there too ([`recover_accelerated`]).
//!
//! Whether `s` must be low is the caller's rule.

use crate::secp256k1::{
    BETA, LAMBDA, N, P, Point, add_assign, copy, double_assign, double4_assign,
};
use crate::u256::{self, Words};

/// Recovers the public key that made the signature `(r, s)` with recovery id 0..=3 (bit 0: y is odd, bit 1: x overflowed the order) on a message hash.
/// `None` if there is none: `r` or `s` zero or not below the order, no point with that x, or the result is the point at infinity.
#[must_use]
pub fn recover(hash: &[u8; 32], r: &[u8; 32], s: &[u8; 32], recovery_id: u8) -> Option<Point> {
    #[cfg(target_os = "zkvm")]
    return recover_accelerated::<ExecutorHints>(hash, r, s, recovery_id);
    #[cfg(not(target_os = "zkvm"))]
    native::recover(hash, r, s, recovery_id)
}

/// [`recover`], then the key's Ethereum address.
#[must_use]
pub fn recover_address(
    hash: &[u8; 32],
    r: &[u8; 32],
    s: &[u8; 32],
    recovery_id: u8,
) -> Option<[u8; 20]> {
    recover(hash, r, s, recovery_id).map(|key| address(&key))
}

/// The Ethereum address of a public key: the last 20 bytes of keccak256(x || y).
#[must_use]
pub fn address(key: &Point) -> [u8; 20] {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&u256::to_be_bytes(&key.x));
    bytes[32..].copy_from_slice(&u256::to_be_bytes(&key.y));
    let hash = crate::keccak::keccak256(&bytes);
    core::array::from_fn(|i| hash[12 + i])
}

/// Where untrusted answers come from.
pub trait Hints {
    /// Should be the inverse of `a` mod `m`.
    fn mod_inv(a: &Words, m: &Words) -> Words;
    /// Should be a root of `a` mod p, or of `-a` if `a` is not a square.
    fn sqrt(a: &Words) -> Words;
    /// Should be `|k1|, |k2|` and their signs (bit 0 and 1) with `k1 + k2 * lambda = k mod n`.
    fn split(k: &Words) -> ([u32; 8], u32);
}

/// Hints by ecall.
#[cfg(target_os = "zkvm")]
pub(crate) struct ExecutorHints;

#[cfg(target_os = "zkvm")]
impl Hints for ExecutorHints {
    #[inline]
    fn mod_inv(a: &Words, m: &Words) -> Words {
        crate::sys::hint(crate::ids::hint::MODINV, a.as_ptr() as usize, m.as_ptr() as usize)
    }
    #[inline]
    fn sqrt(a: &Words) -> Words {
        crate::sys::hint(crate::ids::hint::SECP256K1_SQRT, a.as_ptr() as usize, 0)
    }
    #[inline]
    fn split(k: &Words) -> ([u32; 8], u32) {
        use crate::ids::hint;
        let magnitudes = crate::sys::hint(hint::SECP256K1_SPLIT, k.as_ptr() as usize, 0);
        (magnitudes, crate::sys::hint(hint::SECP256K1_SPLIT_SIGNS, k.as_ptr() as usize, 0)[0])
    }
}

/// Hints computed in place: the executor's own answers.
#[cfg(not(target_os = "zkvm"))]
#[derive(Clone, Copy, Debug)]
pub struct HonestHints;

#[cfg(not(target_os = "zkvm"))]
impl Hints for HonestHints {
    fn mod_inv(a: &Words, m: &Words) -> Words {
        crate::hints::mod_inv(a, m)
    }
    fn sqrt(a: &Words) -> Words {
        crate::hints::secp256k1_sqrt(a)
    }
    fn split(k: &Words) -> ([u32; 8], u32) {
        let split = crate::hints::secp256k1_split(k);
        let [k1, k2] = split.magnitudes;
        let signs = u32::from(split.negative[0]) | (u32::from(split.negative[1]) << 1);
        (core::array::from_fn(|i| if i < 4 { k1[i] } else { k2[i - 4] }), signs)
    }
}

/// A value that only a dishonest executor gives. There is no proof of a run that gets here.
#[cold]
fn lying_hint(what: &str) -> ! {
    panic!("the executor's hint for {what} is wrong")
}

/// The inverse of `a` modulo the prime `m`, for `a` that is no multiple of it.
pub(crate) fn checked_inverse<H: Hints>(a: &Words, m: &Words) -> Words {
    let inverse = H::mod_inv(a, m);
    if u256::mul_mod(a, &inverse, m) != u256::ONE {
        lying_hint("an inverse");
    }
    inverse
}

/// The guest's algorithm for [`recover`].
///
/// # Panics
/// When a hint is wrong.
#[must_use]
pub fn recover_accelerated<H: Hints>(
    hash: &[u8; 32],
    r: &[u8; 32],
    s: &[u8; 32],
    recovery_id: u8,
) -> Option<Point> {
    let (r, s) = (u256::from_be_bytes(r), u256::from_be_bytes(s));
    if u256::is_zero(&r)
        || u256::is_zero(&s)
        || !u256::lt(&r, &N)
        || !u256::lt(&s, &N)
        || recovery_id > 3
    {
        return None;
    }
    let nonce_point = lift::<H>(&r, recovery_id)?;
    let inverse = checked_inverse::<H>(&r, &N);
    let u1 = negate(&u256::mul_mod(&u256::from_be_bytes(hash), &inverse, &N), &N);
    let u2 = u256::mul_mod(&s, &inverse, &N);
    linear_combination::<H>(&u1, &u2, &nonce_point)
}

/// `-a mod m` for canonical `a`.
#[inline]
fn negate(a: &Words, m: &Words) -> Words {
    if u256::is_zero(a) { u256::ZERO } else { u256::sub(m, a) }
}

/// The curve point whose x is `r`, or `r + n`, and whose y has the wanted parity.
fn lift<H: Hints>(r: &Words, recovery_id: u8) -> Option<Point> {
    const SEVEN: Words = [7, 0, 0, 0, 0, 0, 0, 0];
    let mut x = *r;
    if recovery_id & 2 != 0 {
        x = u256::add(r, &N);
        if u256::lt(&x, r) || !u256::lt(&x, &P) {
            return None;
        }
    }
    let square = u256::add_mod(&u256::mul_mod(&u256::mul_mod(&x, &x, &P), &x, &P), &SEVEN, &P);
    let root = H::sqrt(&square);
    if !u256::lt(&root, &P) {
        lying_hint("a square root");
    }
    let check = u256::mul_mod(&root, &root, &P);
    if check != square {
        // -1 is no square mod p: a root of -a proves that a (which is not zero, the curve has no point with y = 0) has none.
        if check == negate(&square, &P) {
            return None;
        }
        lying_hint("a square root");
    }
    let y = if root[0] & 1 == u32::from(recovery_id & 1) { root } else { negate(&root, &P) };
    Some(Point { x, y })
}

/// A sum of points; the affine formulas know neither infinity nor equal points, so they are handled here.
struct Sum {
    point: Point,
    infinite: bool,
}

impl Sum {
    /// Four doublings. No point of the curve has `y = 0`.
    #[inline(always)]
    fn double4(&mut self) {
        if !self.infinite {
            defined(double4_assign(&mut self.point));
        }
    }

    /// Adds a point with canonical coordinates.
    #[inline(always)]
    fn add(&mut self, q: &Point) {
        if self.infinite {
            *self = Self { point: *q, infinite: false };
        } else if self.point.x[0] != q.x[0] || self.point.x != q.x {
            defined(add_assign(&mut self.point, q));
        } else {
            self.add_same_x(q);
        }
    }

    #[cold]
    fn add_same_x(&mut self, q: &Point) {
        if self.point.y == q.y {
            defined(double_assign(&mut self.point));
        } else {
            self.infinite = true;
        }
    }
}

/// The callers have excluded the undefined cases.
#[inline(always)]
fn defined(outcome: Result<(), crate::secp256k1::Undefined>) {
    if outcome.is_err() {
        unreachable!("the points have different x, and y is not zero");
    }
}

/// Entries of a table of multiples 1..=15.
const WINDOW: usize = 15;

/// `u1 * G + u2 * point` for canonical scalars and a point of the curve; `None` for infinity. `u2` is split by the endomorphism, `u1` into halves with a table each, so
/// that 128 doublings do for all four.
fn linear_combination<H: Hints>(u1: &Words, u2: &Words, point: &Point) -> Option<Point> {
    let (magnitudes, signs) = checked_split::<H>(u2);
    let (mut base, opposite) = (*point, signs == 1 || signs == 2);
    if signs & 1 != 0 {
        base.y = u256::sub(&P, &base.y);
    }
    let (mut multiples, mut images) = ([NOTHING; WINDOW], [NOTHING; WINDOW]);
    fill_multiples(&mut multiples, &base);
    fill_images(&mut images, &multiples, opposite);
    let byte = |words: &[u32], i: usize| (words[i / 4] >> (8 * (i % 4))) as usize & 0xff;
    let mut sum = Sum { point: base, infinite: true };
    for i in (0..16).rev() {
        let (k1, k2) = (byte(&magnitudes[..4], i), byte(&magnitudes[4..], i));
        sum.double4();
        add_multiple(&mut sum, &multiples, k1 >> 4);
        add_multiple(&mut sum, &images, k2 >> 4);
        sum.double4();
        add_multiple(&mut sum, &multiples, k1 & 15);
        add_multiple(&mut sum, &images, k2 & 15);
        for half in 0..2 {
            let digit = byte(&u1[4 * half..], i);
            if digit != 0 {
                sum.add(generator_multiple(half, digit));
            }
        }
    }
    (!sum.infinite).then_some(sum.point)
}

#[inline(always)]
fn add_multiple(sum: &mut Sum, table: &[Point; WINDOW], digit: usize) {
    if digit != 0 {
        sum.add(&table[digit - 1]);
    }
}

/// The hinted split of a scalar, checked. Magnitudes have 128 bits by their form.
fn checked_split<H: Hints>(k: &Words) -> ([u32; 8], u32) {
    let (m, signs) = H::split(k);
    let signed = |negative: bool, words: [u32; 4]| {
        let wide = [words[0], words[1], words[2], words[3], 0, 0, 0, 0];
        if negative { negate(&wide, &N) } else { wide }
    };
    let k1 = signed(signs & 1 != 0, [m[0], m[1], m[2], m[3]]);
    let k2 = signed(signs & 2 != 0, [m[4], m[5], m[6], m[7]]);
    if signs > 3 || u256::add_mod(&k1, &u256::mul_mod(&k2, &LAMBDA, &N), &N) != *k {
        lying_hint("a scalar split");
    }
    (m, signs)
}

/// What a table holds before it is filled.
const NOTHING: Point = Point { x: u256::ZERO, y: u256::ZERO };

/// `1 * p .. 15 * p`. The order is a large prime, so no sum here meets equal x.
fn fill_multiples(table: &mut [Point; WINDOW], p: &Point) {
    copy(&mut table[0], p);
    copy(&mut table[1], p);
    defined(double_assign(&mut table[1]));
    for i in 2..WINDOW {
        let (done, rest) = table.split_at_mut(i);
        copy(&mut rest[0], &done[i - 1]);
        defined(add_assign(&mut rest[0], p));
    }
}

/// The endomorphism's images `lambda * q = (beta * x, y)`, negated if asked.
fn fill_images(images: &mut [Point; WINDOW], table: &[Point; WINDOW], negated: bool) {
    for (image, q) in images.iter_mut().zip(table) {
        u256::mul_mod_to(&q.x, &BETA, &P, &mut image.x);
        if negated {
            u256::sub_to(&P, &q.y, &mut image.y);
        } else {
            u256::copy(&mut image.y, &q.y);
        }
    }
}

/// Multiples 1..=255 of G, then of 2^128 * G, as memory holds [`Point`]s on a little-endian machine. Written by `examples/generator_table.rs`.
#[repr(C, align(32))]
struct GeneratorTable([u8; 2 * 255 * 64]);
static GENERATOR_TABLE: GeneratorTable = GeneratorTable(*include_bytes!("generator_table.bin"));

/// `digit * 2^(128 * half) * G`, `half` below 2 and `digit` from 1 to 255.
#[inline(always)]
fn generator_multiple(half: usize, digit: usize) -> &'static Point {
    const { assert!(cfg!(target_endian = "little"), "the table is laid out for little-endian machines") };
    let index = (255 * half + digit - 1) % 510;
    // SAFETY: the table holds 510 points of 64 bytes, aligned to 32, and every bit pattern is a point.
    unsafe { &*GENERATOR_TABLE.0.as_ptr().add(64 * index).cast::<Point>() }
}

#[cfg(not(target_os = "zkvm"))]
mod native {
    use super::Point;
    use crate::secp256k1::{N, P};
    use crate::u256;
    use k256::elliptic_curve::PrimeField;
    use k256::elliptic_curve::ops::{LinearCombination, Reduce};
    use k256::elliptic_curve::point::DecompressPoint;
    use k256::elliptic_curve::sec1::ToEncodedPoint;
    use k256::{AffinePoint, ProjectivePoint, Scalar, U256};

    fn scalar(bytes: &[u8; 32]) -> Option<Scalar> {
        let scalar: Option<Scalar> = Scalar::from_repr((*bytes).into()).into();
        scalar.filter(|s| !bool::from(s.is_zero()))
    }

    pub(super) fn recover(
        hash: &[u8; 32],
        r: &[u8; 32],
        s: &[u8; 32],
        recovery_id: u8,
    ) -> Option<Point> {
        let (r_scalar, s) = (scalar(r)?, scalar(s)?);
        if recovery_id > 3 {
            return None;
        }
        let mut x = *r;
        if recovery_id & 2 != 0 {
            let small = u256::from_be_bytes(r);
            let sum = u256::add(&small, &N);
            if u256::lt(&sum, &small) || !u256::lt(&sum, &P) {
                return None;
            }
            x = u256::to_be_bytes(&sum);
        }
        let point: Option<AffinePoint> =
            AffinePoint::decompress(&x.into(), (recovery_id & 1).into()).into();
        let inverse: Option<Scalar> = r_scalar.invert().into();
        let (point, inverse) = (point?, inverse?);
        let z = <Scalar as Reduce<U256>>::reduce_bytes(&(*hash).into());
        let key = ProjectivePoint::lincomb(
            &ProjectivePoint::GENERATOR,
            &(-z * inverse),
            &point.into(),
            &(s * inverse),
        );
        let encoded = key.to_affine().to_encoded_point(false);
        let coordinate = |bytes: &[u8]| Some(u256::from_be_bytes(bytes.try_into().ok()?));
        Some(Point { x: coordinate(encoded.x()?)?, y: coordinate(encoded.y()?)? })
    }
}

/// Writes `digit * 2^(128 * half) * G` for the table file.
#[cfg(not(target_os = "zkvm"))]
#[must_use]
pub fn generator_table() -> alloc::vec::Vec<u8> {
    use crate::secp256k1::G;
    let mut bytes = alloc::vec::Vec::new();
    let mut base = G;
    for half in 0..2 {
        let mut sum = Sum { point: base, infinite: true };
        for _ in 1..=255 {
            sum.add(&base);
            for word in sum.point.x.iter().chain(&sum.point.y) {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
        }
        if half == 0 {
            for _ in 0..128 {
                defined(double_assign(&mut base));
            }
        }
    }
    bytes
}
