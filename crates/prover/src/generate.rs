//! Trace generation: a shard's record to the rows of every chip, with the lookups they make.

use crate::bus::{AccelCall, EF, F, LOW_WORDS, TS_STEP, limbs};
use crate::chips::add::AddCols;
use crate::chips::bitwise::BitwiseCols;
use crate::chips::block::BlockCols;
use crate::chips::boundary::{BoundaryCols, GapCols, MerkleCols};
use crate::chips::branch::BranchCols;
use crate::chips::compare::CompareCols;
use crate::chips::div::DivCols;
use crate::chips::ecall::EcallCols;
use crate::chips::jump::JumpCols;
use crate::chips::memory::{SubwordCols, WordCols};
use crate::chips::mul::MulCols;
use crate::chips::poseidon2::{Poseidon2Cols, fill_row};
use crate::chips::shift::ShiftCols;
use crate::columns::Columns;
use crate::counts::{Counts, PermUses};
use crate::memory::{Node, block_digest, block_limbs, canonical, compress};
use crate::program::{Class, Decoded, Program, op};
use crate::trace::{EcallRow, Gap, Row, TouchedBlock};
use cairn_accel::ids;
use p3_field::{Field, PrimeCharacteristicRing};
use p3_matrix::dense::RowMajorMatrix;
use rayon::prelude::*;

/// log2 of the lowest trace.
pub const MIN_LOG_HEIGHT: usize = 4;

/// Makes a trace of one row a record, filled in parallel, padded with zero rows.
pub fn build<R: Sync>(
    records: &[R],
    width: usize,
    counts: &mut Counts,
    fill: impl Fn(&R, &mut [F], &mut Counts) + Sync,
) -> RowMajorMatrix<F> {
    let height = records.len().max(1 << MIN_LOG_HEIGHT).next_power_of_two();
    let mut cells = F::zero_vec(height * width);
    let part = records.len().div_ceil(rayon::current_num_threads()).max(1);
    let parts: Vec<Counts> = records
        .par_chunks(part)
        .zip(cells.par_chunks_mut(part * width))
        .map(|(records, cells)| {
            let mut counts = Counts::new();
            for (record, row) in records.iter().zip(cells.chunks_exact_mut(width)) {
                fill(record, row, &mut counts);
            }
            counts
        })
        .collect();
    parts.into_iter().for_each(|p| counts.merge(p));
    RowMajorMatrix::new(cells, width)
}

/// The trace of an instruction chip.
pub fn instructions(
    class: Class,
    rows: &[Row],
    program: &Program,
    counts: &mut Counts,
) -> RowMajorMatrix<F> {
    let width = crate::chips::Chip::of_class(class).map_or(0, |c| p3_air::BaseAir::<F>::width(&c));
    build(rows, width, counts, |row, cells, counts| {
        let Some(decoded) = program.decoded(row.index) else { return };
        counts.program(Program::instr_row(row.index));
        match class {
            Class::Add => add(row, decoded, cells, counts),
            Class::Bitwise => bitwise(row, decoded, cells, counts),
            Class::Shift => shift(row, decoded, cells, counts),
            Class::Compare => compare(row, decoded, cells, counts),
            Class::Branch => branch(row, decoded, cells, counts),
            Class::Jump => jump(row, decoded, cells, counts),
            Class::Word => load_store_word(row, decoded, cells, counts),
            Class::Subword => subword(row, decoded, cells, counts),
            Class::Mul => mul(row, decoded, cells, counts),
            Class::Div => div(row, decoded, cells, counts),
            Class::Ecall => {}
        }
    })
}

fn f(x: u32) -> F {
    F::from_u32(x)
}

fn flag(x: u32) -> F {
    F::from_bool(x != 0)
}

fn bytes(x: u32) -> [F; 4] {
    x.to_le_bytes().map(|b| f(u32::from(b)))
}

/// Counts the timestamp check of access `k` of a row and gives the old version's time.
fn time(row: &Row, k: u32, counts: &mut Counts) -> F {
    let prev = row.prev_ts[k as usize];
    counts.range(row.ts + k - prev - 1, 16);
    f(prev)
}

fn add(row: &Row, d: &Decoded, cells: &mut [F], counts: &mut Counts) {
    let c: &mut AddCols<F> = Columns::of_mut(cells);
    let imm = d.tag == op::ADDI;
    (c.pc, c.ts) = (f(row.pc), f(row.ts));
    [c.rd, c.rs1, c.x, c.y] = d.fields.map(f);
    (c.a, c.a_ts) = (limbs(row.a), time(row, 0, counts));
    if imm {
        c.b = [c.x, c.y];
    } else {
        (c.b, c.b_ts) = (limbs(row.b), time(row, 1, counts));
    }
    (c.old, c.old_ts, c.c) = (limbs(row.old), time(row, 2, counts), limbs(row.new));
    counts.word(row.new);
    (c.real, c.sub, c.imm) = (F::ONE, F::from_bool(d.tag == op::SUB), F::from_bool(imm));
}

fn bitwise(row: &Row, d: &Decoded, cells: &mut [F], counts: &mut Counts) {
    let c: &mut BitwiseCols<F> = Columns::of_mut(cells);
    let kind = d.tag - op::AND;
    let imm = kind & 4 != 0;
    (c.pc, c.ts) = (f(row.pc), f(row.ts));
    [c.rd, c.rs1, c.x, c.y] = d.fields.map(f);
    let b = if imm { d.fields[2] | d.fields[3] << 16 } else { row.b };
    (c.a, c.a_ts, c.b, c.and) = (bytes(row.a), time(row, 0, counts), bytes(b), bytes(row.a & b));
    if !imm {
        c.b_ts = time(row, 1, counts);
    }
    row.a.to_le_bytes().into_iter().zip(b.to_le_bytes()).for_each(|(x, y)| counts.and(x, y));
    (c.old, c.old_ts, c.c) = (limbs(row.old), time(row, 2, counts), limbs(row.new));
    (c.real, c.imm, c.or, c.xor) =
        (F::ONE, F::from_bool(imm), F::from_bool(kind & 3 == 1), F::from_bool(kind & 3 == 2));
}

fn shift(row: &Row, d: &Decoded, cells: &mut [F], counts: &mut Counts) {
    let c: &mut ShiftCols<F> = Columns::of_mut(cells);
    let kind = d.tag - op::SHIFT;
    let (imm, left, sra) = (kind & 1 != 0, kind & 2 != 0, kind & 4 != 0);
    (c.pc, c.ts) = (f(row.pc), f(row.ts));
    [c.rd, c.rs1, c.x, _] = d.fields.map(f);
    let b = if imm { d.fields[2] } else { row.b };
    (c.a, c.a_ts, c.b) = (limbs(row.a), time(row, 0, counts), limbs(b));
    if !imm {
        c.b_ts = time(row, 1, counts);
    }
    (c.old, c.old_ts, c.c) = (limbs(row.old), time(row, 2, counts), limbs(row.new));
    (c.real, c.imm, c.left, c.sra) =
        (F::ONE, F::from_bool(imm), F::from_bool(left), F::from_bool(sra));

    let t = b & 15;
    let cut = if left { 16 - t } else { t };
    let u = (b & 0xffff) >> 5;
    (c.s16, c.u, c.cut, c.pow, c.copow) =
        (flag(b & 16), f(u), f(cut), f(1 << cut), f(1 << (16 - cut)));
    counts.range(u, 11);
    counts.program(Program::pow_row(left, cut));
    for i in 0..2 {
        let limb = row.a >> (16 * i) & 0xffff;
        let (low, high) = (limb & ((1 << cut) - 1), limb >> cut);
        (c.low[i], c.high[i], c.moved[i]) = (f(low), f(high), f(low << (16 - cut)));
        counts.range(low, cut);
        counts.range(high, 16 - cut);
    }
    if sra {
        let sign = row.a >> 31;
        counts.range(row.a >> 16 & 0x7fff, 15);
        (c.sign, c.fill) = (f(sign), f(sign * ((1 << 16) - (1 << (16 - cut)))));
    }
}

fn compare(row: &Row, d: &Decoded, cells: &mut [F], counts: &mut Counts) {
    let c: &mut CompareCols<F> = Columns::of_mut(cells);
    let kind = d.tag - op::COMPARE;
    let (signed, imm, branch, ge) = (kind & 1, kind & 2 != 0, kind & 4 != 0, kind & 8 != 0);
    (c.pc, c.ts, c.next_pc) = (f(row.pc), f(row.ts), f(row.next_pc));
    [c.rs1, c.x, c.y, c.z] = d.fields.map(f);
    let (a, b) = (row.a, if imm { d.fields[1] | d.fields[2] << 16 } else { row.b });
    (c.a, c.a_ts, c.b) = (limbs(a), time(row, 0, counts), limbs(b));
    if !imm {
        c.b_ts = time(row, 1, counts);
    }
    if !branch {
        (c.old, c.old_ts) = (limbs(row.old), time(row, 2, counts));
    }
    (c.real, c.signed, c.imm, c.branch, c.ge) =
        (F::ONE, f(signed), F::from_bool(imm), F::from_bool(branch), F::from_bool(ge));
    let (a_sign, b_sign) = (signed & a >> 31, signed & b >> 31);
    (c.a_sign, c.b_sign) = (f(a_sign), f(b_sign));
    if signed == 1 {
        counts.range(a >> 16 & 0x7fff, 15);
        counts.range(b >> 16 & 0x7fff, 15);
    }
    let low = (a & 0xffff) as i32 - (b & 0xffff) as i32;
    let borrow = i32::from(low < 0);
    let high = (a >> 16) as i32
        - ((a_sign as i32) << 16)
        - ((b >> 16) as i32 - ((b_sign as i32) << 16))
        - borrow;
    let less = i32::from(high < 0);
    counts.range((low + (borrow << 16)) as u32, 16);
    counts.range((high + (less << 16)) as u32, 16);
    (c.borrow, c.less) = (f(borrow as u32), f(less as u32));
    c.taken = F::from_bool(branch && ((less == 1) != ge));
}

fn branch(row: &Row, d: &Decoded, cells: &mut [F], counts: &mut Counts) {
    let c: &mut BranchCols<F> = Columns::of_mut(cells);
    (c.pc, c.ts, c.next_pc) = (f(row.pc), f(row.ts), f(row.next_pc));
    [c.rs1, c.rs2, c.target, _] = d.fields.map(f);
    (c.a, c.a_ts) = (limbs(row.a), time(row, 0, counts));
    (c.b, c.b_ts) = (limbs(row.b), time(row, 1, counts));
    (c.real, c.ne, c.equal) =
        (F::ONE, F::from_bool(d.tag == op::BEQ + 1), F::from_bool(row.a == row.b));
    let diff: [F; 2] = core::array::from_fn(|i| c.a[i] - c.b[i]);
    if let Some(inv) = diff[0].try_inverse() {
        c.inv[0] = inv;
    } else if let Some(inv) = diff[1].try_inverse() {
        c.inv[1] = inv;
    }
}

fn jump(row: &Row, d: &Decoded, cells: &mut [F], counts: &mut Counts) {
    let c: &mut JumpCols<F> = Columns::of_mut(cells);
    let jalr = d.tag == op::JAL + 1;
    (c.pc, c.ts, c.next_pc) = (f(row.pc), f(row.ts), f(row.next_pc));
    [c.rd, c.x, c.imm[0], c.imm[1]] = d.fields.map(f);
    if jalr {
        (c.a, c.a_ts) = (limbs(row.a), time(row, 0, counts));
        let sum = row.a.wrapping_add(d.fields[2] | d.fields[3] << 16);
        let (half, high) = ((sum & 0xffff) >> 1, sum >> 16);
        (c.half, c.bit, c.high) = (f(half), f(sum & 1), f(high));
        counts.range(half, 15);
        counts.range(high, 13);
    }
    (c.old, c.old_ts) = (limbs(row.old), time(row, 2, counts));
    let link = row.pc + 4;
    c.link = limbs(link);
    counts.range(link & 0xffff, 16);
    counts.range(link >> 16, 13);
    (c.real, c.jalr) = (F::ONE, F::from_bool(jalr));
}

/// Offset of an address above the reserved words, as `(bits 2..16, bits 16..29)`.
fn offset(addr: u32, counts: &mut Counts) -> (u32, u32) {
    let offset = addr.wrapping_sub(4 * LOW_WORDS);
    let (low, high) = ((offset & 0xffff) >> 2, offset >> 16);
    counts.range(low, 14);
    counts.range(high, 13);
    (low, high)
}

fn load_store_word(row: &Row, d: &Decoded, cells: &mut [F], counts: &mut Counts) {
    let c: &mut WordCols<F> = Columns::of_mut(cells);
    let store = d.tag == op::LW + 1;
    (c.pc, c.ts, c.rs1, c.imm) =
        (f(row.pc), f(row.ts), f(d.fields[0]), [f(d.fields[2]), f(d.fields[3])]);
    (c.a, c.a_ts) = (limbs(row.a), time(row, 0, counts));
    let (low, high) = offset(row.addr, counts);
    (c.low, c.high) = (f(low), f(high));
    let (reg, addr) = (f(d.fields[1]), f(row.addr / 4));
    (c.src, c.dst) = if store { (reg, addr) } else { (addr, reg) };
    (c.val, c.val_ts) = (limbs(row.b), time(row, 1, counts));
    (c.old, c.old_ts) = (limbs(row.old), time(row, 2, counts));
    (c.real, c.store) = (F::ONE, F::from_bool(store));
}

fn subword(row: &Row, d: &Decoded, cells: &mut [F], counts: &mut Counts) {
    let c: &mut SubwordCols<F> = Columns::of_mut(cells);
    let kind = d.tag - op::SUBWORD;
    let (store, half, signed) = (kind & 1 != 0, kind & 2 != 0, kind & 4 != 0);
    (c.pc, c.ts, c.rs1, c.imm) =
        (f(row.pc), f(row.ts), f(d.fields[0]), [f(d.fields[2]), f(d.fields[3])]);
    (c.a, c.a_ts) = (limbs(row.a), time(row, 0, counts));
    let (low, high) = offset(row.addr, counts);
    (c.low, c.high, c.odd, c.upper) = (f(low), f(high), flag(row.addr & 1), flag(row.addr & 2));
    let (reg, addr) = (f(d.fields[1]), f(row.addr / 4));
    (c.src, c.dst) = if store { (reg, addr) } else { (addr, reg) };
    (c.val, c.val_ts) = (limbs(row.b), time(row, 1, counts));
    (c.old, c.old_ts, c.new) = (limbs(row.old), time(row, 2, counts), limbs(row.new));
    let word = if store { row.old } else { row.b };
    let addressed = if row.addr & 2 != 0 { word >> 16 } else { word & 0xffff };
    let parts = [addressed & 0xff, addressed >> 8];
    c.bytes = parts.map(f);
    parts.iter().for_each(|&x| counts.range(x, 8));
    let top = if half || row.addr & 1 != 0 { parts[1] } else { parts[0] };
    c.top = f(top);
    if signed {
        c.sign = f(top >> 7);
        counts.range(top & 0x7f, 7);
    }
    (c.real, c.store, c.half, c.signed) =
        (F::ONE, F::from_bool(store), F::from_bool(half), F::from_bool(signed));
    if store && !half {
        c.sb = F::ONE;
        let reg = [row.b & 0xff, row.b >> 8 & 0xff];
        c.reg = reg.map(f);
        reg.iter().for_each(|&x| counts.range(x, 8));
    }
}

/// Limbs and carries of the 64-bit product of sign-extended numbers plus `plus`.
fn product(x: u32, x_sign: u32, y: u32, y_sign: u32, plus: [u32; 4]) -> ([u32; 4], [u32; 4]) {
    let extend = |v: u32, sign: u32| u64::from(v) | u64::from(sign * 0xffff_ffff) << 32;
    let (x, y) = (
        extend(x, x_sign).to_le_bytes().map(u32::from),
        extend(y, y_sign).to_le_bytes().map(u32::from),
    );
    let position = |n: usize| (0..=n).map(|i| x[i] * y[n - i]).sum::<u32>();
    let (mut limbs, mut carries, mut carry) = ([0; 4], [0; 4], 0);
    for m in 0..4 {
        let sum = position(2 * m) + 256 * position(2 * m + 1) + plus[m] + carry;
        carry = sum >> 16;
        (limbs[m], carries[m]) = (sum & 0xffff, carry);
    }
    (limbs, carries)
}

fn mul(row: &Row, d: &Decoded, cells: &mut [F], counts: &mut Counts) {
    let c: &mut MulCols<F> = Columns::of_mut(cells);
    let kind = d.tag - op::MUL;
    let (high, a_signed, b_signed) = (kind & 1, kind >> 1 & 1, kind >> 2 & 1);
    (c.pc, c.ts) = (f(row.pc), f(row.ts));
    [c.rd, c.rs1, c.rs2, _] = d.fields.map(f);
    (c.a, c.a_ts) = (bytes(row.a), time(row, 0, counts));
    (c.b, c.b_ts) = (bytes(row.b), time(row, 1, counts));
    (c.old, c.old_ts, c.c) = (limbs(row.old), time(row, 2, counts), limbs(row.new));
    row.a
        .to_le_bytes()
        .into_iter()
        .chain(row.b.to_le_bytes())
        .for_each(|x| counts.range(u32::from(x), 8));
    for (word, signed) in [(row.a, a_signed), (row.b, b_signed)] {
        if signed == 1 {
            counts.range(word >> 24 & 0x7f, 7);
        }
    }
    let (a_sign, b_sign) = (a_signed & row.a >> 31, b_signed & row.b >> 31);
    let (product, carries) = product(row.a, a_sign, row.b, b_sign, [0; 4]);
    product.iter().for_each(|&x| counts.range(x, 16));
    carries.iter().for_each(|&x| counts.range(x, 12));
    (c.product, c.carry, c.a_sign, c.b_sign) =
        (product.map(f), carries.map(f), f(a_sign), f(b_sign));
    (c.real, c.high, c.a_signed, c.b_signed) = (F::ONE, f(high), f(a_signed), f(b_signed));
}

fn div(row: &Row, d: &Decoded, cells: &mut [F], counts: &mut Counts) {
    let c: &mut DivCols<F> = Columns::of_mut(cells);
    let kind = d.tag - op::DIV;
    let (signed, rem) = (kind & 1, kind >> 1 & 1);
    (c.pc, c.ts) = (f(row.pc), f(row.ts));
    [c.rd, c.rs1, c.rs2, _] = d.fields.map(f);
    (c.a, c.a_ts) = (limbs(row.a), time(row, 0, counts));
    (c.b, c.b_ts) = (bytes(row.b), time(row, 1, counts));
    (c.old, c.old_ts, c.c) = (limbs(row.old), time(row, 2, counts), limbs(row.new));
    let value = |x: u32| if signed == 1 { i64::from(x as i32) } else { i64::from(x) };
    let (a, b) = (value(row.a), value(row.b));
    let (q, r) = if b == 0 {
        (if signed == 1 { -1 } else { i64::from(u32::MAX) }, a)
    } else {
        (a / b, a % b)
    };
    let sign = |x: i64| signed & u32::from(x < 0);
    let (q_word, r_word) = (q as u32, r as u32);
    let q_sign = if b == 0 { 0 } else { sign(q) };
    row.b
        .to_le_bytes()
        .into_iter()
        .chain(q_word.to_le_bytes())
        .for_each(|x| counts.range(u32::from(x), 8));
    if signed == 1 {
        counts.range(row.a >> 16 & 0x7fff, 15);
        counts.range(row.b >> 24 & 0x7f, 7);
    }
    let high = |s: u32| s * 0xffff;
    let plus = [r_word & 0xffff, r_word >> 16, high(sign(r)), high(sign(r))];
    let (_, carries) = product(row.b, sign(b), q_word, q_sign, plus);
    carries.iter().for_each(|&x| counts.range(x, 12));
    counts.word(r_word);
    (c.q, c.r, c.carry) = (bytes(q_word), limbs(r_word), carries.map(f));
    (c.a_sign, c.b_sign, c.q_sign, c.r_sign) = (f(sign(a)), f(sign(b)), f(q_sign), f(sign(r)));
    c.by_zero = F::from_bool(b == 0);
    let (gap, gap_carry) =
        if b == 0 { (0, 4) } else { remainder_gap(row.b, sign(b), r_word, sign(r)) };
    counts.word(gap);
    counts.range(gap_carry, 3);
    (c.gap, c.gap_carry) = (limbs(gap), f(gap_carry));
    (c.real, c.signed, c.rem) = (F::ONE, f(signed), f(rem));
}

/// `|b| - |r| - 1` and four plus the carry between its limbs.
fn remainder_gap(b: u32, b_sign: u32, r: u32, r_sign: u32) -> (u32, u32) {
    let abs =
        |x: u32, sign: u32| if sign == 1 { (1i64 << 32) - i64::from(x) } else { i64::from(x) };
    let gap = (abs(b, b_sign) - abs(r, r_sign) - 1) as u32;
    let factor = |sign: u32| 1 - 2 * i64::from(sign);
    let low = factor(b_sign) * i64::from(b & 0xffff)
        - factor(r_sign) * i64::from(r & 0xffff)
        - 1
        - i64::from(gap & 0xffff);
    (gap, (4 + (low >> 16)) as u32)
}

/// The trace of the ecall chip.
pub fn ecalls(rows: &[EcallRow], counts: &mut Counts) -> RowMajorMatrix<F> {
    build(rows, <EcallCols<F> as Columns<F>>::WIDTH, counts, |row, cells, counts| {
        let c: &mut EcallCols<F> = Columns::of_mut(cells);
        (c.pc, c.ts, c.id, c.id_ts) = (f(row.pc), f(row.ts), f(row.id), f(row.prev_ts[0]));
        c.real = F::ONE;
        let halt = row.id == ids::HALT;
        c.halt = F::from_bool(halt);
        counts.program(Program::instr_row(row.index));
        if let Some(descriptor) = Program::ecall_row(row.id) {
            counts.program(descriptor);
        }
        counts.range(row.ts - row.prev_ts[0] - 1, 16);
        let operands = ids::operands(row.id).unwrap_or(&[]);
        for i in 0..4 {
            let used = operands.iter().any(|o| usize::from(o.arg) == i);
            if used || (halt && i == 0) {
                c.arg_ts[i] = f(row.prev_ts[1 + i]);
                counts.range(row.ts - row.prev_ts[1 + i] - 1, 16);
            }
            if used {
                let (low, high) = offset(row.args[i], counts);
                let carry = (4 * low + 4 * LOW_WORDS) >> 16;
                (c.used[i], c.low[i], c.high[i], c.carry[i]) = (F::ONE, f(low), f(high), f(carry));
            }
        }
    })
}

/// The trace of the block chip.
pub fn blocks(calls: &[&AccelCall], counts: &mut Counts) -> RowMajorMatrix<F> {
    build(calls, <BlockCols<F> as Columns<F>>::WIDTH, counts, |call, cells, counts| {
        let c: &mut BlockCols<F> = Columns::of_mut(cells);
        c.ts = f(call.ts);
        let (reads, writes) = match call.id {
            ids::COMMIT => (&call.accesses[..], &[][..]),
            ids::HINT => (&[][..], &call.accesses[..]),
            _ => call.accesses.split_at(8),
        };
        for (i, access) in reads.iter().enumerate() {
            c.src = f(reads[0].addr);
            c.src_ts[i] = access.prev_ts_f();
            [c.val[2 * i], c.val[2 * i + 1]] = access.value_limbs();
            counts.access(access);
        }
        for (i, access) in writes.iter().enumerate() {
            c.dst = f(writes[0].addr);
            c.dst_ts[i] = access.prev_ts_f();
            [c.old[2 * i], c.old[2 * i + 1]] = access.prev_limbs();
            [c.val[2 * i], c.val[2 * i + 1]] = access.value_limbs();
            counts.access(access);
            if call.id == ids::HINT {
                counts.word(access.value);
            }
        }
        (c.commit, c.hint, c.copy) = (
            F::from_bool(call.id == ids::COMMIT),
            F::from_bool(call.id == ids::HINT),
            F::from_bool(call.id == ids::COPY),
        );
    })
}

/// The trace of the gap chip.
pub fn gaps(gaps: &[Gap], counts: &mut Counts) -> RowMajorMatrix<F> {
    build(gaps, <GapCols<F> as Columns<F>>::WIDTH, counts, |gap, cells, counts| {
        let c: &mut GapCols<F> = Columns::of_mut(cells);
        let by = gap.ts - gap.prev_ts - 1;
        (c.addr, c.val, c.real) = (f(gap.addr), limbs(gap.value), F::ONE);
        (c.ts_low, c.ts_high, c.by_low, c.by_high) =
            (f(gap.ts & 0xffff), f(gap.ts >> 16), f(by & 0xffff), f(by >> 16));
        for (x, bits) in
            [(gap.ts & 0xffff, 16), (gap.ts >> 16, 10), (by & 0xffff, 16), (by >> 16, 10)]
        {
            counts.range(x, bits);
        }
    })
}

/// The trace of the boundary chip.
pub fn boundary(blocks: &[TouchedBlock], counts: &mut Counts) -> RowMajorMatrix<F> {
    build(blocks, <BoundaryCols<F> as Columns<F>>::WIDTH, counts, |block, cells, counts| {
        let c: &mut BoundaryCols<F> = Columns::of_mut(cells);
        (c.index, c.real) = (f(block.index), F::ONE);
        (c.old, c.new) = (block_limbs(&block.old), block_limbs(&block.new));
        (c.first, c.last) = (block.first.map(f), block.last.map(f));
        (c.old_digest, c.new_digest) = (block_digest(&block.old), block_digest(&block.new));
        block.first.iter().for_each(|&e| counts.range(e, 10));
        counts.compress(canonical(&c.old));
        counts.compress(canonical(&c.new));
    })
}

/// The trace of the Merkle chip.
pub fn merkle(nodes: &[Node], counts: &mut Counts) -> RowMajorMatrix<F> {
    build(nodes, <MerkleCols<F> as Columns<F>>::WIDTH, counts, |node, cells, counts| {
        let c: &mut MerkleCols<F> = Columns::of_mut(cells);
        (c.level, c.index, c.real) = (f(node.level), f(node.index), F::ONE);
        [c.old_left, c.old_right] = node.old;
        [c.new_left, c.new_right] = node.new;
        (c.old, c.new) =
            (compress(&node.old[0], &node.old[1]), compress(&node.new[0], &node.new[1]));
        [c.left, c.right] = node.opened.map(F::from_bool);
        counts.compress(canonical(&node.old.concat()));
        counts.compress(canonical(&node.new.concat()));
    })
}

/// The trace of the Poseidon2 chip.
pub fn poseidon2(perms: &[([u32; 16], PermUses)]) -> RowMajorMatrix<F> {
    let width = <Poseidon2Cols<F> as Columns<F>>::WIDTH;
    let mut trace = build(perms, width, &mut Counts::new(), |(input, uses), cells, _| {
        fill_row(cells, input.map(f));
        let c: &mut Poseidon2Cols<F> = Columns::of_mut(cells);
        (c.compress, c.permute) = (f(uses.compress), f(uses.permute));
    });
    // Padding rows permute zeros.
    trace.values[perms.len() * width..]
        .par_chunks_exact_mut(width)
        .for_each(|row| fill_row(row, [F::ZERO; 16]));
    trace
}

/// Multiplicities of the table of ANDs and pairs of bytes.
pub fn and_table(counts: &Counts) -> RowMajorMatrix<F> {
    let cells = counts
        .and_counts()
        .iter()
        .zip(counts.bytes_counts())
        .flat_map(|(&and, &bytes)| [and, bytes].map(F::from_u32))
        .collect();
    RowMajorMatrix::new(cells, 2)
}

/// A table chip's multiplicities.
pub fn table(counts: impl ExactSizeIterator<Item = u32>, log_rows: usize) -> RowMajorMatrix<F> {
    let mut cells: Vec<F> = counts.map(F::from_u32).collect();
    cells.resize(1 << log_rows, F::ZERO);
    RowMajorMatrix::new(cells, 1)
}

/// The public chip's trace.
pub fn public(end_ts: u32) -> RowMajorMatrix<F> {
    let mut cells = F::zero_vec(1 << MIN_LOG_HEIGHT);
    cells[0] = f(end_ts);
    RowMajorMatrix::new(cells, 1)
}

const _: () = assert!(TS_STEP == 8 && core::mem::size_of::<EF>() == 16);
