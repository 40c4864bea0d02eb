//! Loads and stores: [`WordChip`] for LW and SW, [`SubwordChip`] for bytes and halves.
//!
//! The program states the immediate less `4 * LOW_WORDS`, so that the sum `a + imm` is the offset above the reserved words: anything below wraps
//! around and fails the 29-bit range check.

use super::cpu::{bool_when, carry, flags, instruction, k, step, word};
use crate::bus::{F, LOW_WORDS, mem_read, mem_write, range_check};
use crate::columns;
use crate::columns::Columns;
use crate::program::op;
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::InteractionBuilder;

columns! {
    /// Columns of [`WordChip`].
    pub struct WordCols {
        /// Address of the instruction; bound by the execution bus.
        pc: T,
        /// Time of the cycle; bound by the execution bus.
        ts: T,
        /// Word address of the base register; from the program.
        rs1: T,
        /// The shifted immediate; from the program.
        imm: [T; 2],
        /// Base; bound by the memory bus.
        a: [T; 2],
        /// When `rs1` was last accessed; range-checked.
        a_ts: T,
        /// Bits 2..16 of `a + imm`; 14 bits by range check (bits 0..2 are zero, so an unaligned address has no witness).
        low: T,
        /// Bits 16..29 of `a + imm`; 13 bits by range check.
        high: T,
        /// Where the word comes from: the address for LW, the register for SW.
        src: T,
        /// Where the word goes: the register for LW, the address for SW.
        dst: T,
        /// The word; bound by the memory bus.
        val: [T; 2],
        /// When the source was last accessed; range-checked.
        val_ts: T,
        /// What the destination held; bound by the memory bus.
        old: [T; 2],
        /// When the destination was last accessed; range-checked.
        old_ts: T,
        /// The row is an instruction; boolean.
        real: T,
        /// It is SW; boolean, bound by the program.
        store: T,
    }
}

/// LW and SW.
#[derive(Clone, Copy, Debug)]
pub struct WordChip;

impl BaseAir<F> for WordChip {
    fn width(&self) -> usize {
        <WordCols<F> as Columns<F>>::WIDTH
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

/// `a + imm mod 2^32 = (low, high)` where `low` is the whole low limb.
fn address<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    real: AB::Var,
    a: [AB::Var; 2],
    imm: [AB::Var; 2],
    low: AB::Expr,
    high: AB::Var,
) {
    let low_carry = carry::<AB>(a[0] + imm[0] - low);
    bool_when(b, real, low_carry.clone());
    bool_when(b, real, carry::<AB>(a[1] + imm[1] + low_carry - high));
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for WordChip {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let c: &WordCols<AB::Var> = Columns::of(main.current_slice());
        flags(b, c.real, [c.store]);
        step(b, c.pc, c.ts, c.pc + k::<AB>(4), c.real);
        range_check(b, c.low, 14, c.real);
        range_check(b, c.high, 13, c.real);
        address(b, c.real, c.a, c.imm, c.low * k::<AB>(4), c.high);
        let addr = c.low + c.high * k::<AB>(1 << 14) + c.real * k::<AB>(LOW_WORDS);
        b.assert_zero((c.real - c.store) * (c.src - addr.clone()));
        b.assert_zero(c.store * (c.dst - addr.clone()));
        let reg = c.src + c.dst - addr;
        let code = c.real * k::<AB>(op::LW) + c.store;
        instruction(b, code, c.pc, [c.rs1.into(), reg, c.imm[0].into(), c.imm[1].into()], c.real);

        mem_read(b, c.rs1, word::<AB>(c.a), c.a_ts, c.ts, c.real);
        mem_read(b, c.src, word::<AB>(c.val), c.val_ts, c.ts + k::<AB>(1), c.real);
        mem_write(
            b,
            c.dst,
            word::<AB>(c.old),
            word::<AB>(c.val),
            c.old_ts,
            c.ts + k::<AB>(2),
            c.real,
        );
    }
}

columns! {
    /// Columns of [`SubwordChip`].
    pub struct SubwordCols {
        /// Address of the instruction; bound by the execution bus.
        pc: T,
        /// Time of the cycle; bound by the execution bus.
        ts: T,
        /// Word address of the base register; from the program.
        rs1: T,
        /// The shifted immediate; from the program.
        imm: [T; 2],
        /// Base; bound by the memory bus.
        a: [T; 2],
        /// When `rs1` was last accessed; range-checked.
        a_ts: T,
        /// Bits 2..16 of `a + imm`; 14 bits by range check.
        low: T,
        /// Bits 16..29 of `a + imm`; 13 bits by range check.
        high: T,
        /// Bit 0 of the address: which byte of the half; boolean, zero for halves.
        odd: T,
        /// Bit 1 of the address: which half of the word; boolean.
        upper: T,
        /// Where the source word comes from: the address for loads, the register for stores.
        src: T,
        /// Where the result goes: the register for loads, the address for stores.
        dst: T,
        /// Source word; bound by the memory bus.
        val: [T; 2],
        /// When the source was last accessed; range-checked.
        val_ts: T,
        /// What the destination held; bound by the memory bus.
        old: [T; 2],
        /// When the destination was last accessed; range-checked.
        old_ts: T,
        /// What the destination gets; the extended byte or half for loads, `old` with a byte or half replaced for stores.
        new: [T; 2],
        /// Bytes of the addressed half of the word in memory; range-checked.
        bytes: [T; 2],
        /// Bytes of the source's low limb for SB; range-checked.
        reg: [T; 2],
        /// The byte whose top bit extends: the addressed byte, or the upper byte of the half.
        top: T,
        /// The sign for LB and LH, else 0; boolean, bound by a 7-bit range check of the rest of `top`.
        sign: T,
        /// The row is an instruction; boolean.
        real: T,
        /// It is a store; boolean, bound by the program.
        store: T,
        /// It is LH, LHU or SH; boolean, bound by the program.
        half: T,
        /// It is LB or LH; boolean, bound by the program.
        signed: T,
        /// It is SB: `store * (1 - half)`.
        sb: T,
    }
}

/// LB, LBU, LH, LHU, SB, SH.
#[derive(Clone, Copy, Debug)]
pub struct SubwordChip;

impl BaseAir<F> for SubwordChip {
    fn width(&self) -> usize {
        <SubwordCols<F> as Columns<F>>::WIDTH
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for SubwordChip {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let c: &SubwordCols<AB::Var> = Columns::of(main.current_slice());
        flags(b, c.real, [c.store, c.half, c.signed, c.odd, c.upper, c.sign]);
        step(b, c.pc, c.ts, c.pc + k::<AB>(4), c.real);
        range_check(b, c.low, 14, c.real);
        range_check(b, c.high, 13, c.real);
        address(b, c.real, c.a, c.imm, c.low * k::<AB>(4) + c.upper * k::<AB>(2) + c.odd, c.high);
        b.assert_zero(c.half * c.odd);
        let addr = c.low + c.high * k::<AB>(1 << 14) + c.real * k::<AB>(LOW_WORDS);
        b.assert_zero((c.real - c.store) * (c.src - addr.clone()));
        b.assert_zero(c.store * (c.dst - addr.clone()));
        let reg = c.src + c.dst - addr;
        let code =
            c.real * k::<AB>(op::SUBWORD) + c.store + c.half * k::<AB>(2) + c.signed * k::<AB>(4);
        instruction(b, code, c.pc, [c.rs1.into(), reg, c.imm[0].into(), c.imm[1].into()], c.real);

        mem_read(b, c.rs1, word::<AB>(c.a), c.a_ts, c.ts, c.real);
        mem_read(b, c.src, word::<AB>(c.val), c.val_ts, c.ts + k::<AB>(1), c.real);
        mem_write(
            b,
            c.dst,
            word::<AB>(c.old),
            word::<AB>(c.new),
            c.old_ts,
            c.ts + k::<AB>(2),
            c.real,
        );
        b.assert_eq(c.sb, c.store * (c.real - c.half));
        take_apart(b, c);
        load(b, c);
        store(b, c);
    }
}

/// The addressed half as bytes, and SB's byte.
fn take_apart<AB: InteractionBuilder<F = F>>(b: &mut AB, c: &SubwordCols<AB::Var>) {
    for byte in c.bytes {
        range_check(b, byte, 8, c.real);
    }
    for byte in c.reg {
        range_check(b, byte, 8, c.sb);
    }
    let half = c.bytes[0] + c.bytes[1] * k::<AB>(256);
    let pick = |w: [AB::Var; 2]| w[0] + c.upper * (w[1] - w[0]);
    b.assert_zero((c.real - c.store) * (half.clone() - pick(c.val)));
    b.assert_zero(c.store * (half - pick(c.old)));
    b.assert_zero(c.sb * (c.val[0] - c.reg[0] - c.reg[1] * k::<AB>(256)));
    let byte = c.bytes[0] + c.odd * (c.bytes[1] - c.bytes[0]);
    b.assert_zero(c.real * c.top - byte - c.half * (c.bytes[1] - c.bytes[0]));
    range_check(b, c.top - c.sign * k::<AB>(128), 7, c.signed);
    b.assert_zero(c.sign * (AB::Expr::ONE - c.signed));
}

/// What a load writes.
fn load<AB: InteractionBuilder<F = F>>(b: &mut AB, c: &SubwordCols<AB::Var>) {
    let load = c.real - c.store;
    // A half is (bytes[0], top), a byte is (top, sign fill).
    let low = c.top + c.sign * k::<AB>(0xff00);
    let half = c.bytes[0] + c.bytes[1] * k::<AB>(256);
    let new = (c.real - c.half) * low + c.half * half;
    b.assert_zero(load.clone() * (new - c.new[0]));
    b.assert_zero(load * (c.sign * k::<AB>(0xffff) - c.new[1]));
}

/// What a store writes.
fn store<AB: InteractionBuilder<F = F>>(b: &mut AB, c: &SubwordCols<AB::Var>) {
    // SB replaces one byte of the half: by how much the half changes.
    let byte_delta = (c.reg[0] - c.bytes[0])
        + c.odd * (c.reg[0] * k::<AB>(255) + c.bytes[0] - c.bytes[1] * k::<AB>(256));
    let sh = c.store - c.sb;
    let old_half = c.bytes[0] + c.bytes[1] * k::<AB>(256);
    // (new - old) of the addressed half is the delta, of the other half zero.
    let changed = |i: usize| c.new[i] - c.old[i];
    b.assert_zero(c.store * c.upper * changed(0));
    b.assert_zero((c.store - c.store * c.upper) * changed(1));
    let sum = changed(0) + changed(1);
    b.assert_zero(c.sb * (sum.clone() - byte_delta));
    b.assert_zero(sh * (sum - c.val[0] + old_half));
}
