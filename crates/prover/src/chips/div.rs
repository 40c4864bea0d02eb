//! DIV, DIVU, REM, REMU.
//!
//! `a = b q + r` over the integers (checked modulo 2^64 on sign-extended values that cannot wrap), `|r| < |b|`, and `r` has the sign of `a` or is zero. The integer
//! quotient is unique, so DIV's overflow `-2^31 / -1` needs no case of its own: its `q = +2^31` has the right low 32 bits.
//! For `b = 0`, `q` is all ones and `r = a`.

use super::bitwise::word_of_bytes;
use super::cpu::{flags, instruction, k, step, word};
use super::mul::limb_products;
use crate::bus::{F, mem_read, mem_write, range_check};
use crate::columns;
use crate::columns::Columns;
use crate::program::op;
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::InteractionBuilder;

columns! {
    /// Columns of [`DivChip`].
    pub struct DivCols {
        /// Address of the instruction; bound by the execution bus.
        pc: T,
        /// Time of the cycle; bound by the execution bus.
        ts: T,
        /// Word address of the destination; from the program.
        rd: T,
        /// Word address of the dividend; from the program.
        rs1: T,
        /// Word address of the divisor; from the program.
        rs2: T,
        /// Dividend; bound by the memory bus.
        a: [T; 2],
        /// When `rs1` was last accessed; range-checked.
        a_ts: T,
        /// Bytes of the divisor; range-checked, the word bound by the memory bus.
        b: [T; 4],
        /// When `rs2` was last accessed; range-checked.
        b_ts: T,
        /// What `rd` held; bound by the memory bus.
        old: [T; 2],
        /// When `rd` was last accessed; range-checked.
        old_ts: T,
        /// Bytes of the quotient; range-checked, bound by `a = b q + r`.
        q: [T; 4],
        /// Remainder; 16-bit limbs by range check, bound by `a = b q + r`.
        r: [T; 2],
        /// `|b| - |r| - 1`; 16-bit limbs by range check (unused for `b = 0`).
        gap: [T; 2],
        /// Four plus the carry between the limbs of `gap`; 3 bits by range check (unused for `b = 0`).
        gap_carry: T,
        /// Carries of `b q + r`; 12-bit by range check.
        carry: [T; 4],
        /// Sign of `a` if signed, else 0; boolean, bound by a 15-bit range check.
        a_sign: T,
        /// Sign of `b` if signed, else 0; boolean, bound by a 7-bit range check.
        b_sign: T,
        /// Whether the integer quotient is negative; boolean, bound by `a = b q + r`.
        q_sign: T,
        /// Whether the integer remainder is negative; boolean, bound by `a = b q + r` and the sign of `a`.
        r_sign: T,
        /// The divisor is zero; boolean, bound by `b = 0` one way and by `|r| < |b|` the other.
        by_zero: T,
        /// Result; quotient or remainder.
        c: [T; 2],
        /// The row is an instruction; boolean.
        real: T,
        /// It is DIV or REM; boolean, bound by the program.
        signed: T,
        /// It is REM or REMU; boolean, bound by the program.
        rem: T,
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct DivChip;

impl BaseAir<F> for DivChip {
    fn width(&self) -> usize {
        <DivCols<F> as Columns<F>>::WIDTH
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for DivChip {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let c: &DivCols<AB::Var> = Columns::of(main.current_slice());
        flags(b, c.real, [c.signed, c.rem, c.a_sign, c.b_sign, c.q_sign, c.r_sign, c.by_zero]);
        step(b, c.pc, c.ts, c.pc + k::<AB>(4), c.real);
        let code = c.real * k::<AB>(op::DIV) + c.signed + c.rem * k::<AB>(2);
        instruction(
            b,
            code,
            c.pc,
            [c.rd.into(), c.rs1.into(), c.rs2.into(), AB::Expr::ZERO],
            c.real,
        );
        mem_read(b, c.rs1, word::<AB>(c.a), c.a_ts, c.ts, c.real);
        mem_read(b, c.rs2, word_of_bytes::<AB>(c.b), c.b_ts, c.ts + k::<AB>(1), c.real);
        mem_write(b, c.rd, word::<AB>(c.old), word::<AB>(c.c), c.old_ts, c.ts + k::<AB>(2), c.real);

        for byte in c.b.into_iter().chain(c.q) {
            range_check(b, byte, 8, c.real);
        }
        range_check(b, c.a[1] - c.a_sign * k::<AB>(1 << 15), 15, c.signed);
        range_check(b, c.b[3] - c.b_sign * k::<AB>(128), 7, c.signed);
        for sign in [c.a_sign, c.b_sign, c.q_sign, c.r_sign] {
            b.assert_zero(sign * (AB::Expr::ONE - c.signed));
        }
        identity(b, c);
        remainder_bound(b, c);

        let q = word_of_bytes::<AB>(c.q);
        for (i, q) in q.into_iter().enumerate() {
            b.assert_eq(c.c[i], q.clone() + c.rem * (c.r[i] - q));
        }
    }
}

/// `b q + r = a` modulo 2^64, all sign-extended.
fn identity<AB: InteractionBuilder<F = F>>(b: &mut AB, c: &DivCols<AB::Var>) {
    let ones = k::<AB>(0xffff);
    let r: [AB::Expr; 4] =
        core::array::from_fn(|i| if i < 2 { c.r[i].into() } else { c.r_sign * ones.clone() });
    let a: [AB::Expr; 4] =
        core::array::from_fn(|i| if i < 2 { c.a[i].into() } else { c.a_sign * ones.clone() });
    let sums = limb_products::<AB>(c.b, c.b_sign, c.q, c.q_sign);
    for (i, sum) in sums.into_iter().enumerate() {
        let carry_in = if i == 0 { AB::Expr::ZERO } else { c.carry[i - 1].into() };
        b.assert_eq(sum + r[i].clone() + carry_in, a[i].clone() + c.carry[i] * k::<AB>(1 << 16));
        range_check(b, c.carry[i], 12, c.real);
    }
    for limb in c.r {
        range_check(b, limb, 16, c.real);
    }
}

/// `|r| < |b|` and the sign of `r`, or the rules of division by zero.
fn remainder_bound<AB: InteractionBuilder<F = F>>(b: &mut AB, c: &DivCols<AB::Var>) {
    let [b_lo, b_hi] = word_of_bytes::<AB>(c.b);
    let [q_lo, q_hi] = word_of_bytes::<AB>(c.q);
    for limb in [b_lo.clone(), b_hi.clone()] {
        b.assert_zero(c.by_zero * limb);
    }
    for limb in [q_lo, q_hi] {
        b.assert_zero(c.by_zero * (limb - k::<AB>(0xffff)));
    }
    b.assert_zero(c.by_zero * c.q_sign);
    // A negative remainder needs a negative dividend, and a non-negative one of a negative dividend is zero.
    b.assert_zero(c.r_sign * (AB::Expr::ONE - c.a_sign));
    b.assert_zero((c.a_sign - c.a_sign * c.r_sign) * (c.r[0] + c.r[1]));

    // |x| = x or 2^32 - x, as limbs (+-lo, +-hi + 2^16 sign).
    let factor = |sign: AB::Var| AB::Expr::ONE - sign * k::<AB>(2);
    let limb = k::<AB>(1 << 16);
    let nonzero = c.real - c.by_zero;
    let gap_carry = c.gap_carry - k::<AB>(4);
    let low = factor(c.b_sign) * b_lo
        - factor(c.r_sign) * c.r[0]
        - AB::Expr::ONE
        - c.gap[0]
        - gap_carry.clone() * limb.clone();
    let high = factor(c.b_sign) * b_hi + (c.b_sign - c.r_sign) * limb - factor(c.r_sign) * c.r[1]
        + gap_carry
        - c.gap[1];
    b.assert_zero(nonzero.clone() * low);
    b.assert_zero(nonzero * high);
    for x in c.gap {
        range_check(b, x, 16, c.real);
    }
    range_check(b, c.gap_carry, 3, c.real);
}
