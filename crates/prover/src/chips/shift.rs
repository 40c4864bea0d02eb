//! SLL, SRL, SRA and their immediate forms.
//!
//! Each limb of `a` is cut at bit `k`: `limb = high * 2^k + low`, with `k` the shift modulo 16 for right shifts and 16 minus it for left shifts.
//! The result is put together from the pieces, moved by a limb when the shift is 16 or more.

use super::cpu::{flags, instruction, k, step, word};
use crate::bus::{F, LOOKUP, TAG_POW, mem_read, mem_write, range_check, range_check_var};
use crate::columns;
use crate::columns::Columns;
use crate::program::op;
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder};

columns! {
    /// Columns of [`ShiftChip`].
    pub struct ShiftCols {
        /// Address of the instruction; bound by the execution bus.
        pc: T,
        /// Time of the cycle; bound by the execution bus.
        ts: T,
        /// Word address of the destination; from the program.
        rd: T,
        /// Word address of the first source; from the program.
        rs1: T,
        /// Word address of the second source, or the immediate shift; from the program.
        x: T,
        /// What is shifted; bound by the memory bus.
        a: [T; 2],
        /// When `rs1` was last accessed; range-checked.
        a_ts: T,
        /// The shift operand; bound by the memory bus or equal to `(x, 0)`.
        b: [T; 2],
        /// When `rs2` was last accessed; range-checked (unused for immediates).
        b_ts: T,
        /// What `rd` held; bound by the memory bus.
        old: [T; 2],
        /// When `rd` was last accessed; range-checked.
        old_ts: T,
        /// Result limbs; equal to the formula over the pieces.
        c: [T; 2],
        /// The row is an instruction; boolean.
        real: T,
        /// It has an immediate; boolean, bound by the program.
        imm: T,
        /// It is a left shift; boolean, bound by the program.
        left: T,
        /// It is an arithmetic shift; boolean, bound by the program.
        sra: T,
        /// The shift is 16 or more; boolean, bound by `b = 32 u + 16 s16 + t`.
        s16: T,
        /// The shift operand's low limb divided by 32; 11 bits by range check.
        u: T,
        /// Where limbs are cut; bound by the powers table to 0..=15 (right) or 1..=16 (left).
        cut: T,
        /// `2^cut`; by the powers table.
        pow: T,
        /// `2^(16-cut)`; by the powers table.
        copow: T,
        /// Low pieces, below `2^cut` by range check.
        low: [T; 2],
        /// High pieces, below `2^(16-cut)` by range check.
        high: [T; 2],
        /// `low * copow`.
        moved: [T; 2],
        /// Sign of `a` for SRA, else 0; boolean, bound by a 15-bit range check of the rest of the limb.
        sign: T,
        /// The ones that SRA shifts into a limb: `sign * (2^16 - copow)`.
        fill: T,
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct ShiftChip;

impl BaseAir<F> for ShiftChip {
    fn width(&self) -> usize {
        <ShiftCols<F> as Columns<F>>::WIDTH
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for ShiftChip {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let c: &ShiftCols<AB::Var> = Columns::of(main.current_slice());
        let zero = AB::Expr::ZERO;
        flags(b, c.real, [c.imm, c.left, c.sra, c.s16, c.sign]);
        step(b, c.pc, c.ts, c.pc + k::<AB>(4), c.real);
        let code = c.real * k::<AB>(op::SHIFT) + c.imm + c.left * k::<AB>(2) + c.sra * k::<AB>(4);
        instruction(b, code, c.pc, [c.rd.into(), c.rs1.into(), c.x.into(), zero.clone()], c.real);

        mem_read(b, c.rs1, word::<AB>(c.a), c.a_ts, c.ts, c.real);
        mem_read(b, c.x, word::<AB>(c.b), c.b_ts, c.ts + k::<AB>(1), c.real - c.imm);
        mem_write(b, c.rd, word::<AB>(c.old), word::<AB>(c.c), c.old_ts, c.ts + k::<AB>(2), c.real);
        b.assert_zero(c.imm * (c.b[0] - c.x));
        b.assert_zero(c.imm * c.b[1]);

        pieces(b, c, zero);
        result(b, c);
    }
}

/// The shift amount, the cut and the pieces.
fn pieces<AB: InteractionBuilder<F = F>>(b: &mut AB, c: &ShiftCols<AB::Var>, zero: AB::Expr) {
    range_check(b, c.u, 11, c.real);
    let key = [k::<AB>(TAG_POW), c.cut.into(), c.pow.into(), c.copow.into(), c.left.into(), zero];
    LOOKUP.lookup_key(b, key, Count::bounded(c.real.into(), 1));
    // b mod 32 = 16 s16 + t, where t = cut for right shifts and 16 - cut for left ones.
    let t = c.cut + c.left * (k::<AB>(16) - c.cut * k::<AB>(2));
    b.assert_zero(c.real * (c.b[0] - c.u * k::<AB>(32) - c.s16 * k::<AB>(16) - t));
    for i in 0..2 {
        range_check_var(b, c.low[i], c.cut, c.real);
        range_check_var(b, c.high[i], k::<AB>(16) - c.cut, c.real);
        b.assert_eq(c.a[i], c.high[i] * c.pow + c.low[i]);
        b.assert_eq(c.moved[i], c.low[i] * c.copow);
    }
    range_check(b, c.a[1] - c.sign * k::<AB>(1 << 15), 15, c.sra);
    b.assert_zero(c.sign * (AB::Expr::ONE - c.sra));
    b.assert_eq(c.fill, c.sign * (k::<AB>(1 << 16) - c.copow));
}

/// The result limbs from the pieces.
fn result<AB: InteractionBuilder<F = F>>(b: &mut AB, c: &ShiftCols<AB::Var>) {
    let whole = c.real - c.s16;
    let right = c.real - c.left;
    let middle = c.high[0] + c.moved[1];
    let top = c.high[1] + c.fill;
    let left_lo = whole.clone() * c.moved[0];
    let left_hi = whole.clone() * (c.moved[1] + c.high[0]) + c.s16 * c.moved[0];
    let right_lo = whole.clone() * middle + c.s16 * top.clone();
    let right_hi = whole * top + c.s16 * c.sign * k::<AB>(0xffff);
    b.assert_eq(c.c[0], c.left * left_lo + right.clone() * right_lo);
    b.assert_eq(c.c[1], c.left * left_hi + right * right_hi);
}
