//! `U256_ADD`, `U256_SUB` and `U256_CMP`: one row a call, one chain of sixteen boolean carries.
//!
//! An addition has `a + b = d + 2^256 k`; a subtraction and a comparison `d + b = a + 2^256 k`. Limb by limb `u_i + v_i + k_(i-1) = w_i + 2^16 k_i` with 16-bit limbs and
//! boolean carries: both sides are within `0 .. 2^17 + 1`, so nothing wraps. A comparison keeps the difference `d` to itself: `a < b` iff `k = 1`, and `a = b` iff `d = 0`.

use super::cols::columns;
use super::limbs::{check_limbs, count_limbs, to_field};
use super::mem::{Operand, new_limbs, old_limbs, prev_times, word_addr};
use crate::bus::{ACCEL, AccelCall, F};
use crate::counts::Counts;
use cairn_accel::ids;
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::{Field, PrimeCharacteristicRing};
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::dense::RowMajorMatrix;

columns! {
    /// Columns of additions, subtractions and comparisons.
    pub struct U256AddCols {
        /// 1 in a row that serves an addition.
        add,
        /// 1 in a row that serves a subtraction.
        sub,
        /// 1 in a row that serves a comparison. At most one of the three flags is 1; none in padding.
        cmp,
        /// Time of the call.
        ts,
        /// Word addresses of `a`, `b` and the result.
        addr: 3,
        /// Limbs of `a`.
        a: 16,
        /// Limbs of `b`.
        b: 16,
        /// Limbs of the sum or difference `d`.
        d: 16,
        /// Limbs of the result's words before (a comparison has one word; the rest is zero).
        old: 16,
        /// Limbs of the result's first word: `d`'s, or the outcome of a comparison.
        first: 2,
        /// Times of the versions consumed: `a`, `b`, result (a comparison has one word; the rest is zero).
        prev_ts: 24,
        /// Carries out of each limb.
        carries: 16,
        /// 1 iff `d = 0` in a comparison.
        equal,
        /// Inverse of the sum of the limbs of `d` in a comparison of different numbers.
        inverse,
    }
}

/// The chip.
#[derive(Clone, Copy, Debug, Default)]
pub struct U256AddAir;

impl U256AddAir {
    fn row(call: &AccelCall, counts: &mut Counts) -> U256AddCols<F> {
        let mut cols = U256AddCols::zero();
        let a: [u16; 16] = old_limbs(&call.accesses[..8]);
        let b: [u16; 16] = old_limbs(&call.accesses[8..16]);
        let out = &call.accesses[16..];
        cols.ts = F::from_u32(call.ts);
        cols.addr = core::array::from_fn(|i| word_addr(call, i));
        [cols.a, cols.b] = [to_field(&a), to_field(&b)];
        let (flag, add) = match call.id {
            ids::U256_ADD => (&mut cols.add, true),
            ids::U256_SUB => (&mut cols.sub, false),
            _ => (&mut cols.cmp, false),
        };
        *flag = F::ONE;
        let (d, carries) = add_or_subtract(&a, &b, add);
        cols.d = to_field(&d);
        cols.carries = carries.map(F::from_bool);
        count_limbs(&d, counts);
        for (i, access) in out.iter().enumerate() {
            [cols.old[2 * i], cols.old[2 * i + 1]] = access.prev_limbs();
        }
        cols.first = new_limbs::<2>(out).map(F::from_u16);
        let prev_ts = &mut cols.prev_ts;
        prev_ts[..16].copy_from_slice(&prev_times::<16>(&call.accesses, counts));
        for (cell, access) in prev_ts[16..].iter_mut().zip(out) {
            [*cell] = prev_times(core::slice::from_ref(access), counts);
        }
        if call.id == ids::U256_CMP {
            cols.equal = F::from_bool(a == b);
            cols.inverse = cols.d.into_iter().sum::<F>().try_inverse().unwrap_or(F::ZERO);
        }
        cols
    }

    /// The trace of these calls.
    pub fn generate(self, calls: &[AccelCall], counts: &mut Counts) -> RowMajorMatrix<F> {
        super::rows(calls, U256AddCols::<F>::WIDTH, |call, row| Self::row(call, counts).write(row))
    }
}

/// `a + b` or `a - b` with the carries (borrows) out of each limb.
#[allow(clippy::cast_possible_truncation)]
fn add_or_subtract(a: &[u16; 16], b: &[u16; 16], add: bool) -> ([u16; 16], [bool; 16]) {
    let (mut d, mut carries, mut carry) = ([0; 16], [false; 16], false);
    for i in 0..16 {
        let (x, y, c) = (u32::from(a[i]), u32::from(b[i]), u32::from(carry));
        let sum = if add { x + y + c } else { x.wrapping_sub(y).wrapping_sub(c) };
        d[i] = sum as u16;
        carry = sum >> 16 != 0;
        carries[i] = carry;
    }
    (d, carries)
}

impl BaseAir<F> for U256AddAir {
    fn width(&self) -> usize {
        U256AddCols::<F>::WIDTH
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }
}

/// The call on the accelerator bus and its operands on the memory bus.
fn eval_call<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    cols: &U256AddCols<AB::Expr>,
    real: &AB::Expr,
) {
    let flags =
        [(&cols.add, ids::U256_ADD), (&cols.sub, ids::U256_SUB), (&cols.cmp, ids::U256_CMP)];
    let id: AB::Expr = flags.into_iter().map(|(flag, id)| flag.clone() * F::from_u32(id)).sum();
    let args = cols.addr.clone().into_iter().chain([AB::Expr::ZERO]);
    ACCEL.receive(
        b,
        [id, cols.ts.clone()].into_iter().chain(args),
        Count::bounded(real.clone(), 1),
    );
    let (ts, prev_ts, [a, b_addr, out]) = (&cols.ts, &cols.prev_ts, &cols.addr);
    Operand { addr: a, index: 0, old: &cols.a, new: &cols.a, prev_ts: &prev_ts[..8] }
        .access(b, ts, real);
    Operand { addr: b_addr, index: 1, old: &cols.b, new: &cols.b, prev_ts: &prev_ts[8..16] }
        .access(b, ts, real);
    Operand {
        addr: out,
        index: 2,
        old: &cols.old[..2],
        new: &cols.first,
        prev_ts: &prev_ts[16..17],
    }
    .access(b, ts, real);
    let (rest, wide) = (out.clone() + AB::Expr::ONE, cols.add.clone() + cols.sub.clone());
    Operand {
        addr: &rest,
        index: 2,
        old: &cols.old[2..],
        new: &cols.d[2..],
        prev_ts: &prev_ts[17..],
    }
    .access(b, ts, &wide);
    // The cells that a comparison does not use.
    for cell in cols.old[2..].iter().chain(&prev_ts[17..]) {
        b.assert_zero(cols.cmp.clone() * cell.clone());
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for U256AddAir {
    fn eval(&self, b: &mut AB) {
        let cols = U256AddCols::<AB::Expr>::read(b.main().current_slice());
        let real = cols.add.clone() + cols.sub.clone() + cols.cmp.clone();
        for flag in [&cols.add, &cols.sub, &cols.cmp, &real] {
            b.assert_bool(flag.clone());
        }
        eval_call(b, &cols, &real);
        check_limbs(b, &cols.d, &real);

        // a + b - d or d + b - a, limb by limb.
        let sign = cols.add.clone() * F::TWO - real.clone();
        let mut carry = AB::Expr::ZERO;
        for i in 0..16 {
            b.assert_bool(cols.carries[i].clone());
            let sum =
                sign.clone() * (cols.a[i].clone() - cols.d[i].clone()) + cols.b[i].clone() + carry;
            carry = cols.carries[i].clone();
            b.assert_eq(sum, carry.clone() * F::from_u32(1 << 16));
        }

        // The result's first word.
        let less = cols.carries[15].clone();
        let sum: AB::Expr = cols.d.iter().cloned().sum();
        let (equal, cmp) = (&cols.equal, &cols.cmp);
        b.assert_bool(equal.clone());
        b.assert_zero(equal.clone() * sum.clone());
        b.assert_eq(sum * cols.inverse.clone() * cmp.clone(), cmp.clone() - equal.clone());
        b.assert_zero((AB::Expr::ONE - cmp.clone() + equal.clone()) * cols.inverse.clone());
        let outcome = (cmp.clone() - equal.clone()) * F::TWO - less;
        let wide = AB::Expr::ONE - cmp.clone();
        b.assert_eq(
            cols.first[0].clone(),
            wide.clone() * cols.d[0].clone() + cmp.clone() * outcome,
        );
        b.assert_eq(cols.first[1].clone(), wide * cols.d[1].clone());
    }
}
