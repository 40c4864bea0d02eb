//! secp256k1: point addition and doubling, and public-key recovery built from them.

use crate::u256::Words;

/// An affine point: `x` then `y`, least significant word first. There is no encoding of infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Point {
    /// The x coordinate.
    pub x: Words,
    /// The y coordinate.
    pub y: Words,
}

/// The base field's prime, 2^256 - 2^32 - 977.
pub const P: Words = [
    0xffff_fc2f,
    0xffff_fffe,
    0xffff_ffff,
    0xffff_ffff,
    0xffff_ffff,
    0xffff_ffff,
    0xffff_ffff,
    0xffff_ffff,
];
/// The group's order.
pub const N: Words = [
    0xd036_4141,
    0xbfd2_5e8c,
    0xaf48_a03b,
    0xbaae_dce6,
    0xffff_fffe,
    0xffff_ffff,
    0xffff_ffff,
    0xffff_ffff,
];
/// A cube root of one modulo the order, with `LAMBDA * (x, y) = (BETA * x, y)`.
pub const LAMBDA: Words = [
    0x1b23_bd72,
    0xdf02_967c,
    0x2081_6678,
    0x122e_22ea,
    0x8812_645a,
    0xa526_1c02,
    0xc05c_30e0,
    0x5363_ad4c,
];
/// A cube root of one modulo [`P`].
pub const BETA: Words = [
    0x7195_01ee,
    0xc139_6c28,
    0x12f5_8995,
    0x9cf0_4975,
    0xac34_34e9,
    0x6e64_479e,
    0x657c_0710,
    0x7ae9_6a2b,
];
/// The generator.
pub const G: Point = Point {
    x: [
        0x16f8_1798,
        0x59f2_815b,
        0x2dce_28d9,
        0x029b_fcdb,
        0xce87_0b07,
        0x55a0_6295,
        0xf9dc_bbac,
        0x79be_667e,
    ],
    y: [
        0xfb10_d4b8,
        0x9c47_d08f,
        0xa685_5419,
        0xfd17_b448,
        0x0e11_08a8,
        0x5da4_fbfc,
        0x26a3_c465,
        0x483a_da77,
    ],
};

/// The operation is not defined by the affine formula: equal x in an addition, or y = 0 in a doubling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undefined;

impl core::fmt::Display for Undefined {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the affine formula is undefined for these points")
    }
}

impl core::error::Error for Undefined {}

/// `p += q` by the chord formula.
///
/// # Errors
/// [`Undefined`] natively when the x coordinates are equal mod p. **In the guest that is a trap**: check first.
#[inline]
pub fn add_assign(p: &mut Point, q: &Point) -> Result<(), Undefined> {
    imp::add_assign(p, q)
}

/// `p = 2p` by the tangent formula.
///
/// # Errors
/// [`Undefined`] natively when `y = 0` mod p. **In the guest that is a trap.** No point of the curve has `y = 0`.
#[inline]
pub fn double_assign(p: &mut Point) -> Result<(), Undefined> {
    imp::double_assign(p)
}

/// `p = 16p`: four doublings.
///
/// # Errors
/// As [`double_assign`].
#[inline]
pub fn double4_assign(p: &mut Point) -> Result<(), Undefined> {
    imp::double4_assign(p)
}

/// `to = from`, two calls in the guest.
#[inline(always)]
pub fn copy(to: &mut Point, from: &Point) {
    crate::u256::copy(&mut to.x, &from.x);
    crate::u256::copy(&mut to.y, &from.y);
}

#[cfg(target_os = "zkvm")]
mod imp {
    use super::{Point, Undefined};

    #[inline(always)]
    pub(super) fn double4_assign(p: &mut Point) -> Result<(), Undefined> {
        crate::sys::secp256k1_double4(p);
        Ok(())
    }

    #[inline(always)]
    pub(super) fn add_assign(p: &mut Point, q: &Point) -> Result<(), Undefined> {
        crate::sys::secp256k1_add(p, q);
        Ok(())
    }

    #[inline(always)]
    pub(super) fn double_assign(p: &mut Point) -> Result<(), Undefined> {
        crate::sys::secp256k1_double(p);
        Ok(())
    }
}

#[cfg(not(target_os = "zkvm"))]
mod imp {
    use super::{P, Point, Undefined};
    use crate::u256::{self, Words};
    use k256::FieldElement;

    /// The element that any 256-bit integer stands for.
    fn element(a: &Words) -> FieldElement {
        let reduced = if u256::lt(a, &P) { *a } else { u256::sub(a, &P) };
        let parsed: Option<FieldElement> =
            FieldElement::from_bytes(&u256::to_be_bytes(&reduced).into()).into();
        parsed.unwrap_or(FieldElement::ZERO) // 2^256 < 2p: one subtraction reduces, so parsing cannot fail
    }

    fn words(a: &FieldElement) -> Words {
        u256::from_be_bytes(&a.normalize().to_bytes().into())
    }

    /// The third point of a line with the given slope through two points, mirrored.
    fn chord(slope: FieldElement, x0: FieldElement, y0: FieldElement, x1: FieldElement) -> Point {
        let x = (slope.square() - x0 - x1).normalize();
        let y = (slope * (x0 + x.negate(1)).normalize() + y0.negate(1)).normalize();
        Point { x: words(&x), y: words(&y) }
    }

    pub(super) fn add_assign(p: &mut Point, q: &Point) -> Result<(), Undefined> {
        let (x0, y0, x1, y1) = (element(&p.x), element(&p.y), element(&q.x), element(&q.y));
        let dx: Option<FieldElement> = (x1 + x0.negate(1)).normalize().invert().into();
        let slope = (y1 + y0.negate(1)).normalize() * dx.ok_or(Undefined)?;
        *p = chord(slope, x0, y0, x1);
        Ok(())
    }

    pub(super) fn double4_assign(p: &mut Point) -> Result<(), Undefined> {
        (0..4).try_for_each(|_| double_assign(p))
    }

    pub(super) fn double_assign(p: &mut Point) -> Result<(), Undefined> {
        let (x, y) = (element(&p.x), element(&p.y));
        let inverse: Option<FieldElement> = y.double().normalize().invert().into();
        let slope = x.square().mul_single(3).normalize() * inverse.ok_or(Undefined)?;
        *p = chord(slope, x, y, x);
        Ok(())
    }
}
