//! MUL, MULH, MULHSU, MULHU: the 64-bit product of the sign- or zero-extended operands, byte by byte.

use super::bitwise::word_of_bytes;
use super::cpu::{flags, instruction, k, step, word};
use crate::bus::{F, mem_read, mem_write, range_check};
use crate::columns;
use crate::columns::Columns;
use crate::program::op;
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::InteractionBuilder;

columns! {
    /// Columns of [`MulChip`].
    pub struct MulCols {
        /// Address of the instruction; bound by the execution bus.
        pc: T,
        /// Time of the cycle; bound by the execution bus.
        ts: T,
        /// Word address of the destination; from the program.
        rd: T,
        /// Word address of the first source; from the program.
        rs1: T,
        /// Word address of the second source; from the program.
        rs2: T,
        /// Bytes of the first operand; range-checked, the word bound by the memory bus.
        a: [T; 4],
        /// When `rs1` was last accessed; range-checked.
        a_ts: T,
        /// Bytes of the second operand; range-checked, the word bound by the memory bus.
        b: [T; 4],
        /// When `rs2` was last accessed; range-checked.
        b_ts: T,
        /// What `rd` held; bound by the memory bus.
        old: [T; 2],
        /// When `rd` was last accessed; range-checked.
        old_ts: T,
        /// Limbs of the 64-bit product; 16-bit by range check.
        product: [T; 4],
        /// Carries out of the limbs; 12-bit by range check.
        carry: [T; 4],
        /// Result: the low or the high half of the product.
        c: [T; 2],
        /// Sign of `a` if signed, else 0; boolean, bound by a 7-bit range check.
        a_sign: T,
        /// Sign of `b` if signed, else 0; boolean, bound by a 7-bit range check.
        b_sign: T,
        /// The row is an instruction; boolean.
        real: T,
        /// It gives the high half; boolean, bound by the program.
        high: T,
        /// `a` is signed; boolean, bound by the program.
        a_signed: T,
        /// `b` is signed; boolean, bound by the program.
        b_signed: T,
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct MulChip;

impl BaseAir<F> for MulChip {
    fn width(&self) -> usize {
        <MulCols<F> as Columns<F>>::WIDTH
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

/// Sums of byte products of the two sign-extended 64-bit numbers for each of the four 16-bit positions.
pub fn limb_products<AB: InteractionBuilder<F = F>>(
    x: [AB::Var; 4],
    x_sign: AB::Var,
    y: [AB::Var; 4],
    y_sign: AB::Var,
) -> [AB::Expr; 4] {
    let extend = |bytes: [AB::Var; 4], sign: AB::Var| -> [AB::Expr; 8] {
        core::array::from_fn(|i| if i < 4 { bytes[i].into() } else { sign * k::<AB>(255) })
    };
    let (x, y) = (extend(x, x_sign), extend(y, y_sign));
    let position =
        |n: usize| (0..=n).fold(AB::Expr::ZERO, |sum, i| sum + x[i].clone() * y[n - i].clone());
    core::array::from_fn(|m| position(2 * m) + position(2 * m + 1) * k::<AB>(256))
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for MulChip {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let c: &MulCols<AB::Var> = Columns::of(main.current_slice());
        flags(b, c.real, [c.high, c.a_signed, c.b_signed, c.a_sign, c.b_sign]);
        step(b, c.pc, c.ts, c.pc + k::<AB>(4), c.real);
        let code =
            c.real * k::<AB>(op::MUL) + c.high + c.a_signed * k::<AB>(2) + c.b_signed * k::<AB>(4);
        instruction(
            b,
            code,
            c.pc,
            [c.rd.into(), c.rs1.into(), c.rs2.into(), AB::Expr::ZERO],
            c.real,
        );
        mem_read(b, c.rs1, word_of_bytes::<AB>(c.a), c.a_ts, c.ts, c.real);
        mem_read(b, c.rs2, word_of_bytes::<AB>(c.b), c.b_ts, c.ts + k::<AB>(1), c.real);
        mem_write(b, c.rd, word::<AB>(c.old), word::<AB>(c.c), c.old_ts, c.ts + k::<AB>(2), c.real);

        for byte in c.a.into_iter().chain(c.b) {
            range_check(b, byte, 8, c.real);
        }
        range_check(b, c.a[3] - c.a_sign * k::<AB>(128), 7, c.a_signed);
        range_check(b, c.b[3] - c.b_sign * k::<AB>(128), 7, c.b_signed);
        b.assert_zero(c.a_sign * (AB::Expr::ONE - c.a_signed));
        b.assert_zero(c.b_sign * (AB::Expr::ONE - c.b_signed));

        // Each position sums at most eight byte products and 256 times eight more: below 2^27, so nothing wraps modulo p.
        let sums = limb_products::<AB>(c.a, c.a_sign, c.b, c.b_sign);
        for (i, sum) in sums.into_iter().enumerate() {
            let carry_in = if i == 0 { AB::Expr::ZERO } else { c.carry[i - 1].into() };
            b.assert_eq(sum + carry_in, c.product[i] + c.carry[i] * k::<AB>(1 << 16));
            range_check(b, c.product[i], 16, c.real);
            range_check(b, c.carry[i], 12, c.real);
        }
        for i in 0..2 {
            b.assert_eq(c.c[i], c.product[i] + c.high * (c.product[2 + i] - c.product[i]));
        }
    }
}
