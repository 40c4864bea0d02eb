//! ECALL: reads the id from `a7` and the pointers that the id's descriptor names, and hands the call to its chip. HALT needs exit code 0 and ends at [`HALT_PC`].

use super::cpu::{flags, instruction, k, step};
use crate::bus::{ACCEL, F, LOOKUP, LOW_WORDS, TAG_ECALL, mem_read, range_check};
use crate::columns;
use crate::columns::Columns;
use crate::program::{HALT_PC, op};
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder};

columns! {
    /// Columns of [`EcallChip`].
    pub struct EcallCols {
        /// Address of the instruction; bound by the execution bus.
        pc: T,
        /// Time of the cycle; bound by the execution bus.
        ts: T,
        /// The id, `a7`; bound by the memory bus, its high limb is zero.
        id: T,
        /// When `a7` was last accessed; range-checked.
        id_ts: T,
        /// Which of `a0..a3` are pointers; bound by the descriptor of the id.
        used: [T; 4],
        /// Bits 2..16 of each pointer less the reserved area; 14 bits by range check, 0 if unused.
        low: [T; 4],
        /// Bits 16..29 of each pointer less the reserved area; 13 bits by range check, 0 if unused.
        high: [T; 4],
        /// Carry of adding the reserved area back; boolean, bound by the memory bus's limbs.
        carry: [T; 4],
        /// When each argument register was last accessed; range-checked.
        arg_ts: [T; 4],
        /// The row is an instruction; boolean.
        real: T,
        /// It is HALT; boolean, bound by the descriptor table.
        halt: T,
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct EcallChip;

impl BaseAir<F> for EcallChip {
    fn width(&self) -> usize {
        <EcallCols<F> as Columns<F>>::WIDTH
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for EcallChip {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let c: &EcallCols<AB::Var> = Columns::of(main.current_slice());
        let zero = AB::Expr::ZERO;
        flags(b, c.real, [c.halt]);
        flags(b, c.real, c.used);
        flags(b, c.real, c.carry);
        let next = c.pc + k::<AB>(4);
        let jump = c.halt * (k::<AB>(HALT_PC) - next.clone());
        step(b, c.pc, c.ts, next + jump, c.real);
        instruction(
            b,
            k::<AB>(op::ECALL),
            c.pc,
            [zero.clone(), zero.clone(), zero.clone(), zero.clone()],
            c.real,
        );
        let [u0, u1, u2, u3] = c.used.map(Into::into);
        LOOKUP.lookup_key(
            b,
            [c.halt + k::<AB>(TAG_ECALL), c.id.into(), u0, u1, u2, u3],
            Count::bounded(c.real.into(), 1),
        );
        mem_read(b, k::<AB>(17), [c.id.into(), zero], c.id_ts, c.ts, c.real);

        // Pointer i is 4 (low + LOW_WORDS) + 2^16 high. HALT reads a0 as zero: its pointer columns are unused.
        for i in 0..4 {
            let used = c.used[i];
            let lo = c.low[i] * k::<AB>(4) + used * k::<AB>(4 * LOW_WORDS)
                - c.carry[i] * k::<AB>(1 << 16);
            let hi = c.high[i] + c.carry[i];
            let mult = if i == 0 { used + c.halt } else { used.into() };
            mem_read(b, k::<AB>(10 + i as u32), [lo, hi], c.arg_ts[i], c.ts, mult);
            range_check(b, c.low[i], 14, used);
            range_check(b, c.high[i], 13, used);
            for x in [c.low[i], c.high[i], c.carry[i]] {
                b.assert_zero(x * (AB::Expr::ONE - used));
            }
        }
        b.assert_zero(c.halt * c.used[0]);
        let addr =
            |i: usize| c.low[i] + c.high[i] * k::<AB>(1 << 14) + c.used[i] * k::<AB>(LOW_WORDS);
        let call = [c.id.into(), c.ts.into(), addr(0), addr(1), addr(2), addr(3)];
        ACCEL.send(b, call, Count::bounded(c.real - c.halt, 1));
    }
}
