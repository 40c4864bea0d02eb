//! BEQ and BNE.

use super::cpu::{flags, instruction, k, step, word};
use crate::bus::{F, mem_read};
use crate::columns;
use crate::columns::Columns;
use crate::program::op;
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::InteractionBuilder;

columns! {
    /// Columns of [`BranchChip`].
    pub struct BranchCols {
        /// Address of the instruction; bound by the execution bus.
        pc: T,
        /// Time of the cycle; bound by the execution bus.
        ts: T,
        /// Where the machine goes on; `target` if taken, else `pc + 4`.
        next_pc: T,
        /// Word address of the first source; from the program.
        rs1: T,
        /// Word address of the second source; from the program.
        rs2: T,
        /// Branch target; from the program.
        target: T,
        /// First operand; bound by the memory bus.
        a: [T; 2],
        /// When `rs1` was last accessed; range-checked.
        a_ts: T,
        /// Second operand; bound by the memory bus.
        b: [T; 2],
        /// When `rs2` was last accessed; range-checked.
        b_ts: T,
        /// The row is an instruction; boolean.
        real: T,
        /// It is BNE; boolean, bound by the program.
        ne: T,
        /// The operands are equal; boolean, bound both ways by the limb differences.
        equal: T,
        /// Witness that some limb differs: `inv . (a - b) = 1 - equal`.
        inv: [T; 2],
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct BranchChip;

impl BaseAir<F> for BranchChip {
    fn width(&self) -> usize {
        <BranchCols<F> as Columns<F>>::WIDTH
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for BranchChip {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let c: &BranchCols<AB::Var> = Columns::of(main.current_slice());
        flags(b, c.real, [c.ne, c.equal]);
        step(b, c.pc, c.ts, c.next_pc, c.real);
        let code = c.real * k::<AB>(op::BEQ) + c.ne;
        instruction(
            b,
            code,
            c.pc,
            [c.rs1.into(), c.rs2.into(), c.target.into(), AB::Expr::ZERO],
            c.real,
        );
        mem_read(b, c.rs1, word::<AB>(c.a), c.a_ts, c.ts, c.real);
        mem_read(b, c.rs2, word::<AB>(c.b), c.b_ts, c.ts + k::<AB>(1), c.real);

        let (d0, d1) = (c.a[0] - c.b[0], c.a[1] - c.b[1]);
        b.assert_zero(c.equal * d0.clone());
        b.assert_zero(c.equal * d1.clone());
        b.assert_eq(c.inv[0] * d0 + c.inv[1] * d1, c.real - c.equal);

        let taken = c.equal + c.ne - c.equal * c.ne * k::<AB>(2);
        let next = c.pc + k::<AB>(4) + taken * (c.target - c.pc - k::<AB>(4));
        b.assert_zero(
            c.real * c.next_pc - c.real * (c.pc + k::<AB>(4)) - (next - c.pc - k::<AB>(4)),
        );
    }
}
