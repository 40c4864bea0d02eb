//! AND, OR, XOR and their immediate forms, byte by byte.

use super::cpu::{flags, instruction, k, step, word};
use crate::bus::{F, and_bytes, mem_read, mem_write};
use crate::columns;
use crate::columns::Columns;
use crate::program::op;
use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
use p3_lookup::InteractionBuilder;

columns! {
    /// Columns of [`BitwiseChip`].
    pub struct BitwiseCols {
        /// Address of the instruction; bound by the execution bus.
        pc: T,
        /// Time of the cycle; bound by the execution bus.
        ts: T,
        /// Word address of the destination; from the program.
        rd: T,
        /// Word address of the first source; from the program.
        rs1: T,
        /// Word address of the second source, or low limb of the immediate; from the program.
        x: T,
        /// High limb of the immediate, else 0; from the program.
        y: T,
        /// Bytes of the first operand; bytes by the AND table, the word bound by the memory bus.
        a: [T; 4],
        /// When `rs1` was last accessed; range-checked.
        a_ts: T,
        /// Bytes of the second operand; bytes by the AND table, the word bound by the memory bus or equal to the immediate.
        b: [T; 4],
        /// When `rs2` was last accessed; range-checked (unused for immediates).
        b_ts: T,
        /// Bytes of `a & b`; by the AND table.
        and: [T; 4],
        /// What `rd` held; bound by the memory bus.
        old: [T; 2],
        /// When `rd` was last accessed; range-checked.
        old_ts: T,
        /// Result limbs; equal to the operation's formula in `a`, `b`, `and`.
        c: [T; 2],
        /// The row is an instruction; boolean.
        real: T,
        /// It has an immediate; boolean, bound by the program.
        imm: T,
        /// It is OR or ORI; boolean, bound by the program.
        or: T,
        /// It is XOR or XORI; boolean, bound by the program.
        xor: T,
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct BitwiseChip;

impl BaseAir<F> for BitwiseChip {
    fn width(&self) -> usize {
        <BitwiseCols<F> as Columns<F>>::WIDTH
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

/// The two limbs of four little-endian bytes.
pub fn word_of_bytes<AB: AirBuilder<F = F>>(bytes: [AB::Var; 4]) -> [AB::Expr; 2] {
    [bytes[0] + bytes[1] * k::<AB>(256), bytes[2] + bytes[3] * k::<AB>(256)]
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for BitwiseChip {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let c: &BitwiseCols<AB::Var> = Columns::of(main.current_slice());
        flags(b, c.real, [c.imm, c.or, c.xor]);
        step(b, c.pc, c.ts, c.pc + k::<AB>(4), c.real);
        let code = c.real * k::<AB>(op::AND) + c.or + c.xor * k::<AB>(2) + c.imm * k::<AB>(4);
        instruction(b, code, c.pc, [c.rd.into(), c.rs1.into(), c.x.into(), c.y.into()], c.real);

        let (a, bb, and) =
            (word_of_bytes::<AB>(c.a), word_of_bytes::<AB>(c.b), word_of_bytes::<AB>(c.and));
        mem_read(b, c.rs1, a.clone(), c.a_ts, c.ts, c.real);
        mem_read(b, c.x, bb.clone(), c.b_ts, c.ts + k::<AB>(1), c.real - c.imm);
        mem_write(b, c.rd, word::<AB>(c.old), word::<AB>(c.c), c.old_ts, c.ts + k::<AB>(2), c.real);
        b.assert_zero(c.imm * (bb[0].clone() - c.x));
        b.assert_zero(c.imm * (bb[1].clone() - c.y));

        for i in 0..4 {
            and_bytes(b, c.a[i], c.b[i], c.and[i], c.real);
        }
        // or = a + b - and, xor = a + b - 2 and.
        for i in 0..2 {
            let either = a[i].clone() + bb[i].clone() - and[i].clone();
            let and = and[i].clone();
            b.assert_eq(
                c.c[i],
                (c.or + c.xor) * (either - and.clone()) - c.xor * and.clone() + and,
            );
        }
    }
}
