//! JAL and JALR.

use super::cpu::{bool_when, carry, flags, instruction, k, step, word};
use crate::bus::{F, mem_read, mem_write, range_check};
use crate::columns;
use crate::columns::Columns;
use crate::program::op;
use p3_air::{Air, BaseAir, WindowAccess};
use p3_lookup::InteractionBuilder;

columns! {
    /// Columns of [`JumpChip`].
    pub struct JumpCols {
        /// Address of the instruction; bound by the execution bus.
        pc: T,
        /// Time of the cycle; bound by the execution bus.
        ts: T,
        /// Where the machine goes on; the target.
        next_pc: T,
        /// Word address of the destination; from the program.
        rd: T,
        /// JALR: word address of the source. JAL: the target. From the program.
        x: T,
        /// JALR's immediate, else 0; from the program.
        imm: [T; 2],
        /// JALR's source; bound by the memory bus.
        a: [T; 2],
        /// When the source was last accessed; range-checked (unused for JAL).
        a_ts: T,
        /// What `rd` held; bound by the memory bus.
        old: [T; 2],
        /// When `rd` was last accessed; range-checked.
        old_ts: T,
        /// `pc + 4`, low limb 16 bits and high limb 13 bits by range check.
        link: [T; 2],
        /// Low limb of JALR's `a + imm` without its lowest bit, halved; 15 bits by range check.
        half: T,
        /// The lowest bit, which JALR drops; boolean.
        bit: T,
        /// High limb of JALR's `a + imm`; 13 bits by range check, so that the target is no alias modulo p.
        high: T,
        /// The row is an instruction; boolean.
        real: T,
        /// It is JALR; boolean, bound by the program.
        jalr: T,
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct JumpChip;

impl BaseAir<F> for JumpChip {
    fn width(&self) -> usize {
        <JumpCols<F> as Columns<F>>::WIDTH
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for JumpChip {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let c: &JumpCols<AB::Var> = Columns::of(main.current_slice());
        flags(b, c.real, [c.jalr, c.bit]);
        step(b, c.pc, c.ts, c.next_pc, c.real);
        let code = c.real * k::<AB>(op::JAL) + c.jalr;
        instruction(
            b,
            code,
            c.pc,
            [c.rd.into(), c.x.into(), c.imm[0].into(), c.imm[1].into()],
            c.real,
        );

        mem_read(b, c.x, word::<AB>(c.a), c.a_ts, c.ts, c.jalr);
        mem_write(
            b,
            c.rd,
            word::<AB>(c.old),
            word::<AB>(c.link),
            c.old_ts,
            c.ts + k::<AB>(2),
            c.real,
        );
        range_check(b, c.link[0], 16, c.real);
        range_check(b, c.link[1], 13, c.real);
        b.assert_zero(c.real * (c.link[0] + c.link[1] * k::<AB>(1 << 16) - c.pc - k::<AB>(4)));

        // JALR: a + imm mod 2^32 = (2 half + bit, high).
        range_check(b, c.half, 15, c.jalr);
        range_check(b, c.high, 13, c.jalr);
        let even = c.half * k::<AB>(2);
        let low = carry::<AB>(c.a[0] + c.imm[0] - even.clone() - c.bit);
        bool_when(b, c.jalr, low.clone());
        bool_when(b, c.jalr, carry::<AB>(c.a[1] + c.imm[1] + low - c.high));
        b.assert_zero(c.jalr * (c.next_pc - even - c.high * k::<AB>(1 << 16)));
        b.assert_zero((c.real - c.jalr) * (c.next_pc - c.x));
        for unused in [c.half, c.bit, c.high] {
            b.assert_zero(unused * (c.real - c.jalr));
        }
    }
}
