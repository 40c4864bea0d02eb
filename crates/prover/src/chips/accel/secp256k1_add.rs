//! `SECP256K1_ADD`: `(x0, y0) += (x1, y1)` by the chord formula, for any 256-bit coordinates with `x0 != x1` mod p. One row a call.
//!
//! With a witnessed slope `s` and a witnessed inverse `v` of `x1 - x0` (any representatives mod p), four identities over the integers, each with its quotient:
//!
//! 1. `v (x1 - x0) - 1 = q0 p`: so `x1 - x0` is invertible, which makes the slope unique mod p;
//! 2. `s (x1 - x0) - (y1 - y0) = q1 p`;
//! 3. `s^2 - x0 - x1 - x3 = q2 p`;
//! 4. `s (x0 - x3) - y0 - y3 = q3 p`.
//!
//! `x3` and `y3` are below p, so they are unique. Bounds: a coefficient is two columns of a product of 32 byte digits, at most `257 * 32 * 255^2 < 2^29`, plus
//! `977 * 2^16` of the quotient and small terms: below `6.1e8`; with carries of 15 bits (`2^16 * 2^14`), `6.1e8 + 2^14 + 2^30 < 1.7e9 < p`. The test
//! `bounds_hold` computes this from the code.

use super::cols::columns;
use super::field256::{
    BELOW, CARRIES, QUOTIENT, eval_below, eval_quotient, fill_below, fill_quotient, limbs_of_words,
    minus, modular, quotient, words_of_limbs,
};
use super::limbs::{
    BASE16, Int, Poly, Ring, bytes_of, check_bytes, check_limbs, count_bytes, count_limbs,
    high_bytes, int_bytes, int_limbs, to_field,
};
use super::mem::{Operand, new_limbs, old_limbs, prev_times, word_addr};
use crate::bus::{AccelCall, F, accel_receive};
use crate::counts::Counts;
use cairn_accel::{ids, secp256k1, u256};
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::InteractionBuilder;
use p3_matrix::dense::RowMajorMatrix;

columns! {
    /// Columns of the point addition.
    pub struct Secp256k1AddCols {
        /// 1 in a row that serves a call, 0 in padding.
        real,
        /// Time of the call.
        ts,
        /// Word addresses of the point replaced, and of the point added.
        addr: 2,
        /// `x0`, then `y0`: limbs of the point before.
        p: 32,
        /// `x1`, then `y1`: limbs of the point added.
        q: 32,
        /// `x3`, then `y3`: limbs of the sum, each number below p.
        sum: 32,
        /// Times of the versions consumed: the point added, the point replaced.
        prev_ts: 32,
        /// High bytes of the limbs of `x0`.
        x0_high: 16,
        /// High bytes of the limbs of `x1`.
        x1_high: 16,
        /// High bytes of the limbs of `x3`.
        x3_high: 16,
        /// Byte digits of the inverse of `x1 - x0`.
        inverse: 32,
        /// Byte digits of the slope.
        slope: 32,
        /// Quotients of the four identities.
        quotients: 4 * QUOTIENT,
        /// Carries of the four identities.
        carries: 4 * CARRIES,
        /// `x3 < p`, then `y3 < p`.
        below: 2 * BELOW,
    }
}

/// The chip.
#[derive(Clone, Copy, Debug, Default)]
pub struct Secp256k1AddAir;

/// The numbers in the identities.
pub struct Operands<R> {
    /// 1 in a real row.
    pub one: R,
    /// Byte digits of `x0`, `x1`, `x3`.
    pub x: [[R; 32]; 3],
    /// Limbs of `x0`, `x1`, `x3`.
    pub x_limbs: [[R; 16]; 3],
    /// Limbs of `y0`, `y1`, `y3`.
    pub y_limbs: [[R; 16]; 3],
    /// Byte digits of the inverse.
    pub inverse: [R; 32],
    /// Byte digits of the slope.
    pub slope: [R; 32],
}

impl<R: Ring> Operands<R> {
    /// Identity `i` with its quotient.
    pub fn identity(&self, i: usize, q: &[R; QUOTIENT]) -> Poly<R> {
        let ([x0, x1, x3], [x0_limbs, x1_limbs, x3_limbs], [y0, y1, y3]) =
            (&self.x, &self.x_limbs, &self.y_limbs);
        let slope = Poly::new(&self.slope);
        match i {
            0 => modular(
                Poly::new(&self.inverse).mul(&minus(x1, x0)),
                &[(-1, core::slice::from_ref(&self.one))],
                q,
            ),
            1 => modular(slope.mul(&minus(x1, x0)), &[(-1, y1), (1, y0)], q),
            2 => modular(
                slope.mul(&self.slope),
                &[(-1, x0_limbs), (-1, x1_limbs), (-1, x3_limbs)],
                q,
            ),
            _ => modular(slope.mul(&minus(x0, x3)), &[(-1, y0), (-1, y3)], q),
        }
    }
}

fn half<T: Clone, const N: usize>(point: &[T], start: usize) -> [T; N] {
    core::array::from_fn(|i| point[start + i].clone())
}

impl Secp256k1AddAir {
    fn row(call: &AccelCall, counts: &mut Counts) -> Secp256k1AddCols<F> {
        let mut cols = Secp256k1AddCols::zero();
        let q: [u16; 32] = old_limbs(&call.accesses[..16]);
        let p: [u16; 32] = old_limbs(&call.accesses[16..]);
        let sum: [u16; 32] = new_limbs(&call.accesses[16..]);
        cols.real = F::ONE;
        cols.ts = F::from_u32(call.ts);
        cols.addr = [word_addr(call, 0), word_addr(call, 1)];
        (cols.p, cols.q, cols.sum) = (to_field(&p), to_field(&q), to_field(&sum));
        cols.prev_ts = prev_times(&call.accesses, counts);
        let x: [[u16; 16]; 3] = [half(&p, 0), half(&q, 0), half(&sum, 0)];
        let y: [[u16; 16]; 3] = [half(&p, 16), half(&q, 16), half(&sum, 16)];
        [cols.x0_high, cols.x1_high, cols.x3_high] = x.map(|x| high_bytes(&x));
        let (inverse, slope) = slope(&x, &y);
        for (target, limbs) in [(&mut cols.inverse, &inverse), (&mut cols.slope, &slope)] {
            *target = core::array::from_fn(|i| F::from_u16(limbs[i / 2] >> (8 * (i % 2)) & 0xff));
        }
        for limbs in [&x[0], &x[1], &x[2], &inverse, &slope] {
            count_bytes(limbs, counts);
        }
        count_limbs(&y[2], counts);
        let operands = Operands {
            one: Int(1),
            x: x.map(|x| int_bytes(&x)),
            x_limbs: x.map(|x| int_limbs(&x)),
            y_limbs: y.map(|y| int_limbs(&y)),
            inverse: int_bytes(&inverse),
            slope: int_bytes(&slope),
        };
        for i in 0..4 {
            let q = quotient(&operands.identity(i, &[Int(0); QUOTIENT]));
            cols.quotients[i * QUOTIENT..][..QUOTIENT].copy_from_slice(&fill_quotient(&q, counts));
            BASE16.fill(
                &operands.identity(i, &q.map(Int)),
                &mut cols.carries[i * CARRIES..][..CARRIES],
                counts,
            );
        }
        cols.below[..BELOW].copy_from_slice(&fill_below(&x[2], counts));
        cols.below[BELOW..].copy_from_slice(&fill_below(&y[2], counts));
        cols
    }

    /// The trace of these calls.
    pub fn generate(self, calls: &[AccelCall], counts: &mut Counts) -> RowMajorMatrix<F> {
        super::rows(calls, Secp256k1AddCols::<F>::WIDTH, |call, row| {
            Self::row(call, counts).write(row)
        })
    }
}

/// The inverse of `x1 - x0` and the slope.
fn slope(x: &[[u16; 16]; 3], y: &[[u16; 16]; 3]) -> ([u16; 16], [u16; 16]) {
    let p = &secp256k1::P;
    let minus = |a: &[u16; 16], b: &[u16; 16]| {
        let zero = [0; 8];
        let b = u256::add_mod(&words_of_limbs(b), &zero, p);
        u256::add_mod(&words_of_limbs(a), &u256::sub(p, &b), p)
    };
    let inverse = u256::inv_mod(&minus(&x[1], &x[0]), p);
    let slope = u256::mul_mod(&minus(&y[1], &y[0]), &inverse, p);
    (limbs_of_words(&inverse), limbs_of_words(&slope))
}

impl BaseAir<F> for Secp256k1AddAir {
    fn width(&self) -> usize {
        Secp256k1AddCols::<F>::WIDTH
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for Secp256k1AddAir {
    fn eval(&self, b: &mut AB) {
        let cols = Secp256k1AddCols::<AB::Expr>::read(b.main().current_slice());
        let (real, ts, [a0, a1]) = (&cols.real, &cols.ts, &cols.addr);
        b.assert_bool(real.clone());
        let zero = AB::Expr::ZERO;
        accel_receive(
            b,
            ids::SECP256K1_ADD,
            ts.clone(),
            [a0.clone(), a1.clone(), zero.clone(), zero],
            real.clone(),
        );
        Operand { addr: a1, index: 0, old: &cols.q, new: &cols.q, prev_ts: &cols.prev_ts[..16] }
            .access(b, ts, real);
        Operand { addr: a0, index: 1, old: &cols.p, new: &cols.sum, prev_ts: &cols.prev_ts[16..] }
            .access(b, ts, real);

        let x_limbs: [[AB::Expr; 16]; 3] = [half(&cols.p, 0), half(&cols.q, 0), half(&cols.sum, 0)];
        let y_limbs: [[AB::Expr; 16]; 3] =
            [half(&cols.p, 16), half(&cols.q, 16), half(&cols.sum, 16)];
        let highs = [&cols.x0_high, &cols.x1_high, &cols.x3_high];
        let x: [[AB::Expr; 32]; 3] = core::array::from_fn(|i| bytes_of(&x_limbs[i], highs[i]));
        for digits in x.iter().chain([&cols.inverse, &cols.slope]) {
            check_bytes(b, digits, real);
        }
        check_limbs(b, &y_limbs[2], real);
        eval_below(b, &x_limbs[2], &half(&cols.below, 0), real);
        eval_below(b, &y_limbs[2], &half(&cols.below, BELOW), real);

        let operands = Operands {
            one: real.clone(),
            x,
            x_limbs,
            y_limbs,
            inverse: cols.inverse.clone(),
            slope: cols.slope.clone(),
        };
        for i in 0..4 {
            let q = eval_quotient(b, &half(&cols.quotients, i * QUOTIENT), real);
            BASE16.constrain(
                b,
                operands.identity(i, &q),
                &cols.carries[i * CARRIES..][..CARRIES],
                real,
            );
        }
    }
}
