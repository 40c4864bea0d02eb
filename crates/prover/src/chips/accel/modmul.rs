//! `MODMUL256` and `U256_ADDMOD`: `(a * b) mod m` and `(a + b) mod m` over the integers, 0 when `m = 0`. One row a call.
//!
//! `a y + z = q m' + r` with `r < m'`, where a multiplication has `y = b, z = 0`, an addition `y = 1, z = b`, and `m' = m` unless `m = 0`; then `m' = 1`, so that `r = 0`.
//! The quotient has 64 bytes, since `m` may be small. Its product with `m'` must be below 2^512: the sum of the digit products at `2^512` and beyond is zero, and as all are
//! non-negative and their sum stays below `496 * 255 * 256 < 2^25`, each of them is. The rest is an identity in base 2^16, see [`super::limbs`]; `bounds_hold` computes its bounds:
//! `|E_j| < 257 * 32 * 255 * 256 + 2^18 < 5.4e8`.

use super::cols::columns;
use super::limbs::{
    BASE16, Int, Poly, Ring, bytes_of, check_bytes, check_limbs, count_bytes, count_limbs,
    fill_less_than, high_bytes, int_bytes, int_limbs, less_than, to_field,
};
use super::mem::{Operand, new_limbs, old_limbs, prev_times, word_addr};
use crate::bus::{ACCEL, AccelCall, F};
use crate::counts::Counts;
use cairn_accel::ids;
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::dense::RowMajorMatrix;

/// Carries of the identity: 32 coefficients.
pub const CARRIES: usize = 31;

columns! {
    /// Columns of the modular operations.
    pub struct ModMulCols {
        /// 1 in a row that serves a multiplication.
        mul,
        /// 1 in a row that serves an addition. Both flags are 0 in padding, never both 1.
        add,
        /// Time of the call.
        ts,
        /// Word addresses of `a`, `b`, `m` and the result.
        addr: 4,
        /// Limbs of `a`.
        a: 16,
        /// Limbs of `b`.
        b: 16,
        /// Limbs of `m`.
        m: 16,
        /// Limbs of the result's words before.
        old: 16,
        /// Limbs of the result.
        r: 16,
        /// Times of the versions consumed: `a`, `b`, `m`, result.
        prev_ts: 32,
        /// High bytes of the limbs of `a`.
        a_high: 16,
        /// High bytes of the limbs of `b`.
        b_high: 16,
        /// High bytes of the limbs of `m`.
        m_high: 16,
        /// 1 iff `m = 0`.
        zero,
        /// Byte digits of the quotient.
        q: 64,
        /// Carries of the identity.
        carries: CARRIES,
        /// One-hot: the most significant limb in which `r` and `m'` differ.
        flags: 16,
        /// `m' - r - 1` in that limb.
        diff,
    }
}

/// The chip.
#[derive(Clone, Copy, Debug, Default)]
pub struct ModMulAir;

/// The numbers in the identity.
pub struct Operands<R> {
    /// Byte digits of `a`.
    pub a: [R; 32],
    /// Byte digits of `y`.
    pub y: [R; 32],
    /// Limbs of `z`.
    pub z: [R; 16],
    /// Byte digits of the quotient.
    pub q: [R; 64],
    /// Byte digits of `m'`.
    pub m: [R; 32],
    /// Limbs of the result.
    pub r: [R; 16],
}

impl<R: Ring> Operands<R> {
    /// The identity in base 2^16, and what must vanish of `q m'` from 2^512 on.
    pub fn identity(&self) -> (Poly<R>, R) {
        let mut product = Poly::new(&self.q).mul(&self.m).0;
        let beyond =
            product.split_off(64).into_iter().reduce(|a, b| a + b).unwrap_or_else(|| R::int(0));
        let sum = Poly::new(&self.a).mul(&self.y).plus(-1, &product, 0);
        (sum.pairs().plus(1, &self.z, 0).plus(-1, &self.r, 0), beyond)
    }
}

/// `n / m` for `n < 2^512`, `0 < m < 2^256`: the quotient's limbs.
fn divide(n: &[u16; 32], m: &[u16; 16]) -> [u16; 32] {
    let m: [u64; 5] = core::array::from_fn(|i| {
        if i < 4 { (0..4).fold(0, |w, k| w | u64::from(m[4 * i + k]) << (16 * k)) } else { 0 }
    });
    let (mut rest, mut q) = ([0u64; 5], [0u16; 32]);
    for i in (0..512).rev() {
        // rest = 2 rest + bit, below 2m < 2^257.
        let mut carry = u64::from(n[i / 16] >> (i % 16) & 1);
        for word in &mut rest {
            (*word, carry) = (*word << 1 | carry, *word >> 63);
        }
        let mut difference = rest;
        let mut borrow = false;
        for (word, m) in difference.iter_mut().zip(m) {
            let (first, b0) = word.overflowing_sub(m);
            let (second, b1) = first.overflowing_sub(borrow.into());
            (*word, borrow) = (second, b0 | b1);
        }
        if !borrow {
            rest = difference;
            q[i / 16] |= 1 << (i % 16);
        }
    }
    q
}

/// The limbs of digits in base 2^16 of any size, at most 32 after carrying.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn carried(digits: &[Int]) -> [u16; 32] {
    let mut carry = 0;
    core::array::from_fn(|i| {
        let sum = digits.get(i).map_or(0, |d| d.0) + carry;
        carry = sum >> 16;
        sum as u16
    })
}

impl ModMulAir {
    fn row(call: &AccelCall, counts: &mut Counts) -> ModMulCols<F> {
        let mut cols = ModMulCols::zero();
        let is_mul = call.id == ids::MODMUL256;
        *(if is_mul { &mut cols.mul } else { &mut cols.add }) = F::ONE;
        let [a, b, m, old]: [[u16; 16]; 4] =
            core::array::from_fn(|i| old_limbs(&call.accesses[8 * i..8 * i + 8]));
        let r: [u16; 16] = new_limbs(&call.accesses[24..]);
        cols.ts = F::from_u32(call.ts);
        cols.addr = core::array::from_fn(|i| word_addr(call, i));
        [cols.a, cols.b, cols.m, cols.old, cols.r] =
            [a, b, m, old, r].map(|limbs| to_field(&limbs));
        cols.prev_ts = prev_times(&call.accesses, counts);
        [cols.a_high, cols.b_high, cols.m_high] = [a, b, m].map(|limbs| high_bytes(&limbs));
        for limbs in [&a, &b, &m] {
            count_bytes(limbs, counts);
        }
        count_limbs(&r, counts);
        let mut modulus = m;
        if m == [0; 16] {
            cols.zero = F::ONE;
            modulus[0] = 1;
        }
        let mut one = [0; 16];
        one[0] = 1;
        let (y, z) = if is_mul { (b, [0; 16]) } else { (one, b) };
        let mut operands = Operands {
            a: int_bytes(&a),
            y: int_bytes(&y),
            z: int_limbs(&z),
            q: [Int(0); 64],
            m: int_bytes(&modulus),
            r: [Int(0); 16],
        };
        let q = divide(&carried(&operands.identity().0.0), &modulus);
        operands.q = int_bytes(&q);
        operands.r = int_limbs(&r);
        count_bytes(&q, counts);
        cols.q = core::array::from_fn(|i| F::from_u16(q[i / 2] >> (8 * (i % 2)) & 0xff));
        BASE16.fill(&operands.identity().0, &mut cols.carries, counts);
        fill_less_than(&r, &modulus, &mut cols.flags, &mut cols.diff, counts);
        cols
    }

    /// The trace of these calls.
    pub fn generate(self, calls: &[AccelCall], counts: &mut Counts) -> RowMajorMatrix<F> {
        super::rows(calls, ModMulCols::<F>::WIDTH, |call, row| Self::row(call, counts).write(row))
    }
}

impl BaseAir<F> for ModMulAir {
    fn width(&self) -> usize {
        ModMulCols::<F>::WIDTH
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }
}

/// The call on the accelerator bus and its operands on the memory bus.
fn eval_call<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    cols: &ModMulCols<AB::Expr>,
    real: &AB::Expr,
) {
    let id = cols.mul.clone() * F::from_u32(ids::MODMUL256)
        + cols.add.clone() * F::from_u32(ids::U256_ADDMOD);
    ACCEL.receive(
        b,
        [id, cols.ts.clone()].into_iter().chain(cols.addr.clone()),
        Count::bounded(real.clone(), 1),
    );
    let operands =
        [(&cols.a, &cols.a), (&cols.b, &cols.b), (&cols.m, &cols.m), (&cols.old, &cols.r)];
    for (k, (old, new)) in operands.into_iter().enumerate() {
        let index = u32::try_from(k).unwrap_or_default();
        Operand { addr: &cols.addr[k], index, old, new, prev_ts: &cols.prev_ts[8 * k..8 * k + 8] }
            .access(b, &cols.ts, real);
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for ModMulAir {
    fn eval(&self, b: &mut AB) {
        let cols = ModMulCols::<AB::Expr>::read(b.main().current_slice());
        let real = cols.mul.clone() + cols.add.clone();
        for flag in [&cols.mul, &cols.add, &real, &cols.zero] {
            b.assert_bool(flag.clone());
        }
        eval_call(b, &cols, &real);
        check_limbs(b, &cols.r, &real);
        let sum: AB::Expr = cols.m.iter().cloned().sum();
        b.assert_zero(cols.zero.clone() * (sum + AB::Expr::ONE - real.clone()));

        let (a, digits): ([AB::Expr; 32], [AB::Expr; 32]) =
            (bytes_of(&cols.a, &cols.a_high), bytes_of(&cols.b, &cols.b_high));
        let mut m: [AB::Expr; 32] = bytes_of(&cols.m, &cols.m_high);
        for bytes in [&a, &digits, &m] {
            check_bytes(b, bytes, &real);
        }
        check_bytes(b, &cols.q, &real);
        m[0] += cols.zero.clone();
        let mut modulus = cols.m.clone();
        modulus[0] += cols.zero.clone();
        let mut y = digits.map(|digit| digit * cols.mul.clone());
        y[0] += cols.add.clone();
        let z = cols.b.clone().map(|limb| limb * cols.add.clone());
        let (identity, beyond) =
            Operands { a, y, z, q: cols.q.clone(), m, r: cols.r.clone() }.identity();
        b.assert_zero(beyond);
        BASE16.constrain(b, identity, &cols.carries, &real);
        less_than(b, &cols.r, &modulus, &cols.flags, &cols.diff, &real);
    }
}
