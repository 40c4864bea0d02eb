//! ADD, SUB, ADDI (and LUI, AUIPC, which the program table states as ADDI of `x0`).

use super::cpu::{bool_when, carry, flags, instruction, k, step, word};
use crate::bus::{F, mem_read, mem_write, range_check_word};
use crate::columns;
use crate::columns::Columns;
use crate::program::op;
use p3_air::{Air, BaseAir, WindowAccess};
use p3_lookup::InteractionBuilder;

columns! {
    /// Columns of [`AddChip`].
    pub struct AddCols {
        /// Address of the instruction; bound by the execution bus.
        pc: T,
        /// Time of the cycle; bound by the execution bus.
        ts: T,
        /// Word address of the destination; from the program.
        rd: T,
        /// Word address of the first source; from the program.
        rs1: T,
        /// ADD, SUB: word address of the second source. ADDI: low limb of the immediate. From the program.
        x: T,
        /// ADDI: high limb of the immediate, else 0. From the program.
        y: T,
        /// First operand; bound by the memory bus.
        a: [T; 2],
        /// When `a` was last accessed; below `ts` by range check.
        a_ts: T,
        /// Second operand; bound by the memory bus, or equal to `(x, y)` for ADDI.
        b: [T; 2],
        /// When `b` was last accessed; below `ts + 1` by range check (unused for ADDI).
        b_ts: T,
        /// What `rd` held; bound by the memory bus.
        old: [T; 2],
        /// When `rd` was last accessed; below `ts + 2` by range check.
        old_ts: T,
        /// Result; two 16-bit limbs by range check, equal to `a + b` or `a - b` mod 2^32 by boolean carries.
        c: [T; 2],
        /// The row is an instruction; boolean.
        real: T,
        /// It is SUB; boolean, and the operation is bound by the program.
        sub: T,
        /// It is ADDI; boolean, and the operation is bound by the program.
        imm: T,
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct AddChip;

impl BaseAir<F> for AddChip {
    fn width(&self) -> usize {
        <AddCols<F> as Columns<F>>::WIDTH
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for AddChip {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let c: &AddCols<AB::Var> = Columns::of(main.current_slice());
        flags(b, c.real, [c.sub, c.imm]);
        step(b, c.pc, c.ts, c.pc + k::<AB>(4), c.real);
        let code = c.real * k::<AB>(op::ADD)
            + c.sub * k::<AB>(op::SUB - op::ADD)
            + c.imm * k::<AB>(op::ADDI - op::ADD);
        instruction(b, code, c.pc, [c.rd.into(), c.rs1.into(), c.x.into(), c.y.into()], c.real);

        mem_read(b, c.rs1, word::<AB>(c.a), c.a_ts, c.ts, c.real);
        mem_read(b, c.x, word::<AB>(c.b), c.b_ts, c.ts + k::<AB>(1), c.real - c.imm);
        mem_write(b, c.rd, word::<AB>(c.old), word::<AB>(c.c), c.old_ts, c.ts + k::<AB>(2), c.real);
        b.assert_zero(c.imm * (c.b[0] - c.x));
        b.assert_zero(c.imm * (c.b[1] - c.y));

        // a + b = c, or for SUB c + b = a; the carries out of both limbs are boolean.
        range_check_word(b, word::<AB>(c.c), c.real);
        let add = c.real - c.sub;
        let forward = carry::<AB>(c.a[0] + c.b[0] - c.c[0]);
        let backward = carry::<AB>(c.c[0] + c.b[0] - c.a[0]);
        bool_when(b, add.clone(), forward.clone());
        bool_when(b, c.sub, backward.clone());
        bool_when(b, add, carry::<AB>(c.a[1] + c.b[1] - c.c[1] + forward));
        bool_when(b, c.sub, carry::<AB>(c.c[1] + c.b[1] - c.a[1] + backward));
    }
}
