//! SLT, SLTU, SLTI, SLTIU, BLT, BGE, BLTU, BGEU.

use super::cpu::{flags, instruction, k, step, word};
use crate::bus::{F, mem_read, mem_write, range_check};
use crate::columns;
use crate::columns::Columns;
use crate::program::op;
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::InteractionBuilder;

columns! {
    /// Columns of [`CompareChip`].
    pub struct CompareCols {
        /// Address of the instruction; bound by the execution bus.
        pc: T,
        /// Time of the cycle; bound by the execution bus.
        ts: T,
        /// Where the machine goes on; `z` for a taken branch, else `pc + 4`.
        next_pc: T,
        /// Word address of the first source; from the program.
        rs1: T,
        /// Word address of the second source, or low limb of the immediate; from the program.
        x: T,
        /// High limb of the immediate, else 0; from the program.
        y: T,
        /// Word address of the destination, or the branch target; from the program.
        z: T,
        /// First operand; bound by the memory bus.
        a: [T; 2],
        /// When `rs1` was last accessed; range-checked.
        a_ts: T,
        /// Second operand; bound by the memory bus or equal to `(x, y)`.
        b: [T; 2],
        /// When `rs2` was last accessed; range-checked (unused for immediates).
        b_ts: T,
        /// What `rd` held; bound by the memory bus (unused for branches).
        old: [T; 2],
        /// When `rd` was last accessed; range-checked (unused for branches).
        old_ts: T,
        /// The row is an instruction; boolean.
        real: T,
        /// The comparison is signed; boolean, bound by the program.
        signed: T,
        /// It has an immediate; boolean, bound by the program.
        imm: T,
        /// It is a branch; boolean, bound by the program.
        branch: T,
        /// The branch is taken when not less; boolean, bound by the program.
        ge: T,
        /// Sign of `a` if signed, else 0; boolean, bound by a 15-bit range check.
        a_sign: T,
        /// Sign of `b` if signed, else 0; boolean, bound by a 15-bit range check.
        b_sign: T,
        /// Borrow of the low limb of `a - b`; boolean, bound by the range check of the difference.
        borrow: T,
        /// `a < b`: the borrow of the high limb; boolean, bound by the range check of the difference.
        less: T,
        /// A branch that is taken: `branch * (less xor ge)`.
        taken: T,
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct CompareChip;

impl BaseAir<F> for CompareChip {
    fn width(&self) -> usize {
        <CompareCols<F> as Columns<F>>::WIDTH
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for CompareChip {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let c: &CompareCols<AB::Var> = Columns::of(main.current_slice());
        flags(b, c.real, [c.signed, c.imm, c.branch, c.ge, c.a_sign, c.b_sign, c.borrow, c.less]);
        step(b, c.pc, c.ts, c.next_pc, c.real);
        let code = c.real * k::<AB>(op::COMPARE)
            + c.signed
            + c.imm * k::<AB>(2)
            + c.branch * k::<AB>(4)
            + c.ge * k::<AB>(8);
        instruction(b, code, c.pc, [c.rs1.into(), c.x.into(), c.y.into(), c.z.into()], c.real);

        mem_read(b, c.rs1, word::<AB>(c.a), c.a_ts, c.ts, c.real);
        mem_read(b, c.x, word::<AB>(c.b), c.b_ts, c.ts + k::<AB>(1), c.real - c.imm);
        let result = [c.less.into(), AB::Expr::ZERO];
        mem_write(
            b,
            c.z,
            word::<AB>(c.old),
            result,
            c.old_ts,
            c.ts + k::<AB>(2),
            c.real - c.branch,
        );
        b.assert_zero(c.imm * (c.b[0] - c.x));
        b.assert_zero(c.imm * (c.b[1] - c.y));

        // Signs, and the difference of the operands, each high limb taken in its signed or unsigned meaning.
        range_check(b, c.a[1] - c.a_sign * k::<AB>(1 << 15), 15, c.signed);
        range_check(b, c.b[1] - c.b_sign * k::<AB>(1 << 15), 15, c.signed);
        b.assert_zero(c.a_sign * (AB::Expr::ONE - c.signed));
        b.assert_zero(c.b_sign * (AB::Expr::ONE - c.signed));
        let limb = k::<AB>(1 << 16);
        range_check(b, c.a[0] - c.b[0] + c.borrow * limb.clone(), 16, c.real);
        let high = (c.a[1] - c.a_sign * limb.clone()) - (c.b[1] - c.b_sign * limb.clone());
        range_check(b, high - c.borrow + c.less * limb, 16, c.real);

        b.assert_eq(c.taken, c.branch * (c.less + c.ge - c.less * c.ge * k::<AB>(2)));
        b.assert_zero(
            c.real * (c.next_pc - c.pc - k::<AB>(4)) - c.taken * (c.z - c.pc - k::<AB>(4)),
        );
    }
}
