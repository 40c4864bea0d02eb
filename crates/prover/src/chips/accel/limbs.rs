//! Integer identities over limbs, checked with carries in a 31-bit field.
//!
//! An identity is a list of coefficients `E_0, E_1, ..` (in base `2^w`) whose value `sum E_j 2^(w j)` must be **the integer zero**. It is proven with
//! witnessed carries: `E_j + c_(j-1) = 2^w c_j` with `c_(-1) = c_(last) = 0`. The field sees this only modulo p, so each `c_j` is range-checked to
//! `-2^(k-1) <= c_j < 2^(k-1)` and the bounds of `E_j` must keep `E_j + c_(j-1) - 2^w c_j` strictly between `-p` and `p`; then "zero modulo p" is
//! "zero", and summing the equations times `2^(w j)` gives the identity over the integers.
//!
//! Every identity is written once, generic over [`Ring`], and used three times: over the AIR's expressions (the constraint), over [`Int`] (the
//! trace generator's carries) and over [`Interval`] (the proof that no bound is broken: [`Carries::check_bounds`], run by each chip's tests).

use crate::bus::{F, range_check, range_check_bytes};
use crate::counts::Counts;
use core::ops::{Add, Mul, Sub};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::InteractionBuilder;

/// The KoalaBear prime.
pub const P: i128 = 0x7f00_0001;

/// What an identity is written over.
pub trait Ring: Clone + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> {
    /// A constant.
    fn int(value: i64) -> Self;
}

impl<R: PrimeCharacteristicRing> Ring for R {
    fn int(value: i64) -> Self {
        R::from_i64(value)
    }
}

/// An integer: the witness side of an identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Int(pub i128);

impl Add for Int {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}
impl Sub for Int {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}
impl Mul for Int {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self(self.0 * other.0)
    }
}
impl Ring for Int {
    fn int(value: i64) -> Self {
        Self(value.into())
    }
}

/// A closed interval of integers: the bounds side of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Least value.
    pub lo: i128,
    /// Greatest value.
    pub hi: i128,
}

impl Interval {
    /// `0 ..= 2^bits - 1`.
    pub const fn bits(bits: u32) -> Self {
        Self { lo: 0, hi: (1 << bits) - 1 }
    }
}
impl Add for Interval {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { lo: self.lo + other.lo, hi: self.hi + other.hi }
    }
}
impl Sub for Interval {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { lo: self.lo - other.hi, hi: self.hi - other.lo }
    }
}
impl Mul for Interval {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let ends = [self.lo * other.lo, self.lo * other.hi, self.hi * other.lo, self.hi * other.hi];
        Self { lo: ends.into_iter().min().unwrap_or(0), hi: ends.into_iter().max().unwrap_or(0) }
    }
}
impl Ring for Interval {
    fn int(value: i64) -> Self {
        Self { lo: value.into(), hi: value.into() }
    }
}

/// A polynomial in the base, lowest coefficient first.
#[derive(Clone, Debug)]
pub struct Poly<R>(pub Vec<R>);

impl<R: Ring> Poly<R> {
    /// The polynomial of these limbs.
    pub fn new(limbs: &[R]) -> Self {
        Self(limbs.to_vec())
    }

    /// The product.
    pub fn mul(&self, other: &[R]) -> Self {
        if self.0.is_empty() || other.is_empty() {
            return Self(Vec::new());
        }
        let mut out: Vec<Option<R>> = vec![None; self.0.len() + other.len() - 1];
        for (i, a) in self.0.iter().enumerate() {
            for (j, b) in other.iter().enumerate() {
                let term = a.clone() * b.clone();
                let sum = out[i + j].take();
                out[i + j] = Some(match sum {
                    Some(sum) => sum + term,
                    None => term,
                });
            }
        }
        Self(out.into_iter().map(|c| c.unwrap_or_else(|| R::int(0))).collect())
    }

    /// Adds `factor * other * base^shift`.
    #[must_use]
    pub fn plus(mut self, factor: i64, other: &[R], shift: usize) -> Self {
        let len = self.0.len().max(other.len() + shift);
        self.0.resize_with(len, || R::int(0));
        for (cell, term) in self.0[shift..].iter_mut().zip(other) {
            let cell_value = cell.clone();
            *cell = match factor {
                1 => cell_value + term.clone(),
                -1 => cell_value - term.clone(),
                _ => cell_value + R::int(factor) * term.clone(),
            };
        }
        self
    }

    /// The same value in the square of the base: pairs of coefficients joined, `base = 2^8`.
    #[must_use]
    pub fn pairs(self) -> Self {
        let mut out = Vec::with_capacity(self.0.len().div_ceil(2));
        for pair in self.0.chunks(2) {
            out.push(match pair {
                [low, high] => low.clone() + R::int(256) * high.clone(),
                _ => pair[0].clone(),
            });
        }
        Self(out)
    }
}

/// How an identity's carries are represented: one column each, holding `c + 2^(bits-1)` (zero in padding rows).
#[derive(Clone, Copy, Debug)]
pub struct Carries {
    /// log2 of the identity's base.
    pub base_log: u32,
    /// Bits of a carry, sign included.
    pub bits: u32,
}

/// Carries in base 2^16 of coefficients below about 2^29.3 in absolute value.
pub const BASE16: Carries = Carries { base_log: 16, bits: 15 };
/// Carries in base 2^8 of coefficients below about 2^23 in absolute value.
pub const BASE8: Carries = Carries { base_log: 8, bits: 16 };

impl Carries {
    const fn offset(self) -> i64 {
        1 << (self.bits - 1)
    }

    /// Constrains the value of `identity` to zero. `columns` are the carry columns (one fewer than coefficients); `real` gates the row.
    /// In padding rows all columns are zero and the coefficients must be, too.
    pub fn constrain<AB: InteractionBuilder<F = F>>(
        self,
        b: &mut AB,
        identity: Poly<AB::Expr>,
        columns: &[AB::Expr],
        real: &AB::Expr,
    ) {
        assert_eq!(columns.len() + 1, identity.0.len(), "one carry between two coefficients");
        let base = AB::Expr::from_u32(1 << self.base_log);
        let offset = real.clone() * AB::F::from_i64(self.offset());
        let mut previous = AB::Expr::ZERO;
        for (j, coefficient) in identity.0.into_iter().enumerate() {
            let Some(column) = columns.get(j) else {
                b.assert_zero(coefficient + previous);
                return;
            };
            let carry = column.clone() - offset.clone();
            b.assert_zero(coefficient + previous - base.clone() * carry.clone());
            range_check(b, column.clone(), self.bits, real.clone());
            previous = carry;
        }
    }

    /// The carry columns of an honest identity.
    ///
    /// # Panics
    /// When the identity's value is not zero: the caller's witness is wrong.
    pub fn fill(self, identity: &Poly<Int>, columns: &mut [F], counts: &mut Counts) {
        let mut carry = 0i128;
        for (j, coefficient) in identity.0.iter().enumerate() {
            let sum = coefficient.0 + carry;
            assert_eq!(
                sum & ((1 << self.base_log) - 1),
                0,
                "an identity does not hold at coefficient {j}"
            );
            carry = sum >> self.base_log;
            match columns.get_mut(j) {
                Some(column) => {
                    let value = u32::try_from(carry + i128::from(self.offset()))
                        .expect("a carry is within its bounds");
                    assert!(value >> self.bits == 0, "carry {j} is out of bounds");
                    *column = F::from_u32(value);
                    counts.range(value, self.bits);
                }
                None => assert_eq!(carry, 0, "an identity's last carry is not zero"),
            }
        }
    }

    /// Proves from the coefficients' bounds that the constraint means equality over the integers, and that honest carries fit.
    ///
    /// # Errors
    /// The first coefficient whose bounds are too wide.
    pub fn check_bounds(self, identity: &Poly<Interval>) -> Result<(), String> {
        let offset = i128::from(self.offset());
        let allowed = Interval { lo: -offset, hi: offset - 1 };
        let base = Interval::int(1 << self.base_log);
        let mut honest = Interval::int(0);
        let mut previous = Interval::int(0);
        let last = identity.0.len() - 1;
        for (j, coefficient) in identity.0.iter().enumerate() {
            let next = if j == last { Interval::int(0) } else { allowed };
            let equation = *coefficient + previous - base * next;
            if equation.lo <= -P || equation.hi >= P {
                return Err(format!("coefficient {j}: {equation:?} wraps modulo p"));
            }
            let sum = *coefficient + honest;
            honest = Interval { lo: sum.lo >> self.base_log, hi: sum.hi >> self.base_log };
            if j != last && (honest.lo < allowed.lo || honest.hi > allowed.hi) {
                return Err(format!(
                    "coefficient {j}: honest carries {honest:?} do not fit {allowed:?}"
                ));
            }
            previous = next;
        }
        Ok(())
    }
}

/// Splits 16-bit limbs in byte digits, low byte first: `bytes[2i] = limb - 256 high[i]`, `bytes[2i+1] = high[i]`.
pub fn bytes_of<R: Ring, const N: usize, const M: usize>(limbs: &[R; N], high: &[R; N]) -> [R; M] {
    core::array::from_fn(|i| {
        let h = high[i / 2].clone();
        if i % 2 == 1 { h } else { limbs[i / 2].clone() - R::int(256) * h }
    })
}

/// Range-checks byte digits, an even number of them. Together with `limb = low + 256 high` this also bounds each limb to 16 bits.
pub fn check_bytes<AB: InteractionBuilder<F = F>>(b: &mut AB, bytes: &[AB::Expr], real: &AB::Expr) {
    for pair in bytes.chunks_exact(2) {
        range_check_bytes(b, pair[0].clone(), pair[1].clone(), real.clone());
    }
}

/// Range-checks limbs to 16 bits.
pub fn check_limbs<AB: InteractionBuilder<F = F>>(b: &mut AB, limbs: &[AB::Expr], real: &AB::Expr) {
    for limb in limbs {
        range_check(b, limb.clone(), 16, real.clone());
    }
}

/// Counts [`check_bytes`] of limbs.
pub fn count_bytes(limbs: &[u16], counts: &mut Counts) {
    for limb in limbs {
        let [low, high] = limb.to_le_bytes();
        counts.bytes(low, high);
    }
}

/// Counts [`check_limbs`].
pub fn count_limbs(limbs: &[u16], counts: &mut Counts) {
    for &limb in limbs {
        counts.range(limb.into(), 16);
    }
}

/// Constrains `small < large` for integers of 16-bit limbs (least significant first) where `on = 1` (`on` is boolean).
///
/// `flags` is one-hot over the limbs: the most significant limb in which the two differ. `diff` is `large - small - 1` there, range-checked; it cannot wrap, as
/// the difference of two 16-bit limbs minus one is within `-2^16 ..= 2^16 - 2` and only its 16-bit values pass.
pub fn less_than<AB: InteractionBuilder<F = F>, const N: usize>(
    b: &mut AB,
    small: &[AB::Expr; N],
    large: &[AB::Expr; N],
    flags: &[AB::Expr; N],
    diff: &AB::Expr,
    on: &AB::Expr,
) {
    let mut seen = AB::Expr::ZERO;
    let mut difference = AB::Expr::ZERO;
    for i in (0..N).rev() {
        b.assert_bool(flags[i].clone());
        let gap = large[i].clone() - small[i].clone();
        seen += flags[i].clone();
        // Above the flagged limb the two agree.
        b.assert_zero((on.clone() - seen.clone()) * gap.clone());
        difference += flags[i].clone() * gap;
    }
    b.assert_eq(seen, on.clone());
    b.assert_eq(difference, diff.clone() + on.clone());
    range_check(b, diff.clone(), 16, on.clone());
}

/// The witness of [`less_than`] for `small < large`.
///
/// # Panics
/// When `small >= large`.
pub fn fill_less_than<const N: usize>(
    small: &[u16; N],
    large: &[u16; N],
    flags: &mut [F; N],
    diff: &mut F,
    counts: &mut Counts,
) {
    let i = (0..N).rev().find(|&i| small[i] != large[i]).expect("the numbers differ");
    assert!(small[i] < large[i], "the order holds");
    flags[i] = F::ONE;
    let gap = u32::from(large[i] - small[i] - 1);
    *diff = F::from_u32(gap);
    counts.range(gap, 16);
}

/// Field elements of limbs.
pub fn to_field<const N: usize>(limbs: &[u16; N]) -> [F; N] {
    limbs.map(F::from_u16)
}

/// High bytes of limbs as field elements.
pub fn high_bytes<const N: usize>(limbs: &[u16; N]) -> [F; N] {
    limbs.map(|limb| F::from_u16(limb >> 8))
}

/// Byte digits of limbs as integers.
pub fn int_bytes<const M: usize>(limbs: &[u16]) -> [Int; M] {
    core::array::from_fn(|i| Int(i128::from(limbs[i / 2] >> (8 * (i % 2)) & 0xff)))
}

/// Limbs as integers.
pub fn int_limbs<const N: usize>(limbs: &[u16; N]) -> [Int; N] {
    limbs.map(|limb| Int(limb.into()))
}
