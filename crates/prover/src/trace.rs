//! From an execution to the records of one shard: rows for each instruction chip, accelerator calls, and every memory access with its times.

use crate::bus::{AccelCall, LOW_WORDS, MemAccess, SINK_ADDR, TS_STEP};
use crate::chips::Chip;
use crate::memory::Block;
use crate::program::{Class, Program};
use cairn_accel::ids;
use cairn_vm::{Step, Tracer};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One instruction with its up to three accesses, in the shape all instruction chips share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Address of the instruction.
    pub pc: u32,
    /// Time of the cycle.
    pub ts: u32,
    /// Row of the image's instruction table.
    pub index: u32,
    /// Value of the first access (`rs1`).
    pub a: u32,
    /// Value of the second access (`rs2`, or the word loaded).
    pub b: u32,
    /// Third access: the destination before.
    pub old: u32,
    /// Third access: the destination after.
    pub new: u32,
    /// Byte address of a load or store.
    pub addr: u32,
    /// Where the machine goes on.
    pub next_pc: u32,
    /// Times of the versions that the accesses consume.
    pub prev_ts: [u32; 3],
}

/// An ecall with its register reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EcallRow {
    /// Address of the instruction.
    pub pc: u32,
    /// Time of the cycle.
    pub ts: u32,
    /// Row of the image's instruction table.
    pub index: u32,
    /// `a7`.
    pub id: u32,
    /// `a0..a3`.
    pub args: [u32; 4],
    /// Times of the versions of `a7` and `a0..a3` consumed (0 where not read).
    pub prev_ts: [u32; 5],
}

/// A version brought forward in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// Word address.
    pub addr: u32,
    /// The word.
    pub value: u32,
    /// From when.
    pub prev_ts: u32,
    /// To when.
    pub ts: u32,
}

/// A touched block: its words and when each was first (by epoch) and last accessed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TouchedBlock {
    /// Index of the block.
    pub index: u32,
    /// At the shard's start.
    pub old: Block,
    /// At the shard's end.
    pub new: Block,
    /// Epoch of each word's initial version.
    pub first: [u32; 8],
    /// Time of each word's last version.
    pub last: [u32; 8],
}

/// What one shard's traces are made from.
#[derive(Clone, Debug, Default)]
pub struct ShardRecord {
    /// Instructions by class (all but ecalls).
    pub rows: BTreeMap<Class, Vec<Row>>,
    /// Ecalls.
    pub ecalls: Vec<EcallRow>,
    /// COMMIT, HINT and COPY, and the accelerators' calls.
    pub calls: Vec<AccelCall>,
    /// Versions brought forward.
    pub gaps: Vec<Gap>,
    /// Touched memory, by ascending index.
    pub blocks: Vec<TouchedBlock>,
    /// First and last program counter.
    pub pc: [u32; 2],
    /// Cycles.
    pub cycles: u32,
    /// The words committed, if any.
    pub committed: Option<[u32; 8]>,
}

impl ShardRecord {
    /// Time after the last cycle.
    pub fn end_ts(&self) -> u32 {
        (self.cycles + 1) * TS_STEP
    }
}

const PAGE_WORDS: usize = 1024;

/// Times and first values of a page's words within a shard.
struct TimePage {
    last: [u32; PAGE_WORDS],
    first: [u16; PAGE_WORDS],
    old: [u32; PAGE_WORDS],
    new: [u32; PAGE_WORDS],
}

/// Per-word times of a shard.
struct Times {
    pages: Vec<Option<Box<TimePage>>>,
    gaps: Vec<Gap>,
    /// Blocks touched so far.
    blocks: usize,
}

impl Times {
    fn new() -> Self {
        let mut pages = Vec::new();
        pages.resize_with((crate::bus::ADDR_SPACE_WORDS as usize) / PAGE_WORDS, || None);
        Self { pages, gaps: Vec::new(), blocks: 0 }
    }

    /// Registers an access and gives the time of the version that it consumes.
    #[inline]
    fn access(&mut self, addr: u32, old: u32, new: u32, ts: u32) -> u32 {
        let page = self.pages[addr as usize / PAGE_WORDS].get_or_insert_with(|| {
            Box::new(TimePage {
                last: [0; PAGE_WORDS],
                first: [0; PAGE_WORDS],
                old: [0; PAGE_WORDS],
                new: [0; PAGE_WORDS],
            })
        });
        let i = addr as usize % PAGE_WORDS;
        page.new[i] = new;
        let last = std::mem::replace(&mut page.last[i], ts);
        if last == 0 {
            let block = i & !7;
            if page.last[block..block + 8].iter().filter(|&&t| t != 0).count() == 1 {
                self.blocks += 1;
            }
            page.old[i] = old;
            page.first[i] = ((ts - 1) >> 16) as u16;
            return (ts - 1) & !0xffff;
        }
        if ts - last <= 1 << 16 {
            return last;
        }
        // Bring the version to just within reach.
        let gap = Gap { addr, value: old, prev_ts: last, ts: ts - (1 << 16) };
        self.gaps.push(gap);
        gap.ts
    }

    /// The touched blocks; `word` gives the content of words that were not touched.
    fn blocks(&self, word: impl Fn(u32) -> u32) -> Vec<TouchedBlock> {
        let mut blocks = Vec::with_capacity(self.blocks);
        for (p, page) in self.pages.iter().enumerate() {
            let Some(page) = page else { continue };
            for start in (0..PAGE_WORDS).step_by(8) {
                if page.last[start..start + 8].iter().all(|&t| t == 0) {
                    continue;
                }
                let base = (p * PAGE_WORDS + start) as u32;
                let mut block = TouchedBlock { index: base / 8, ..Default::default() };
                for j in 0..8 {
                    let i = start + j;
                    let untouched = || word(base + j as u32);
                    let touched = page.last[i] != 0;
                    block.old[j] = if touched { page.old[i] } else { untouched() };
                    block.new[j] = if touched { page.new[i] } else { block.old[j] };
                    block.first[j] = u32::from(page.first[i]);
                    block.last[j] = page.last[i];
                }
                blocks.push(block);
            }
        }
        blocks
    }
}

/// Why an honest run cannot be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// The guest ended with a failure.
    #[error("the guest halted with exit code {0}; only exit code 0 can be proven")]
    ExitCode(u32),
    /// No chip for this ecall.
    #[error("ecall {0} has no chip")]
    UnknownEcall(u32),
}

/// When a shard is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardLimits {
    /// Cycles. Of a long shard at least half as many, so that it can end where its traces fill their heights ([`crate::meter`]).
    pub cycles: u32,
    /// Weighted rows of accelerator calls.
    pub accel_cells: usize,
    /// Touched blocks of memory.
    pub blocks: usize,
    /// Versions brought forward in time, counted from above.
    pub gaps: usize,
    /// Whether shards go into recursion: they end where the largest allowed shape is full, and are padded to an allowed shape ([`crate::shape`]).
    pub padded: bool,
}

impl ShardLimits {
    /// For shards that go into recursion.
    pub const fn recursion() -> Self {
        Self {
            cycles: 1 << 21,
            accel_cells: usize::MAX,
            blocks: usize::MAX,
            gaps: usize::MAX,
            padded: true,
        }
    }
}

impl Default for ShardLimits {
    fn default() -> Self {
        Self {
            cycles: 3 << 19,
            accel_cells: 1 << 26,
            blocks: 1 << 15,
            gaps: 1 << 19,
            padded: false,
        }
    }
}

/// Trace cells that one call of an ecall costs, over all chips that serve it: what shards are cut by.
pub fn call_cells(id: u32) -> usize {
    static CELLS: LazyLock<Vec<usize>> = LazyLock::new(|| {
        let end = ids::ALL.last().map_or(0, |&id| id + 1);
        (0..end)
            .map(|id| Chip::all(None).iter().map(|c| c.rows_per_call(id) * c.row_cells()).sum())
            .collect()
    });
    CELLS.get(id as usize).copied().unwrap_or(0)
}

/// Records one shard.
pub struct ShardTracer<'p> {
    program: &'p Program,
    limits: ShardLimits,
    record: ShardRecord,
    times: Times,
    /// Content of the word that takes writes to `x0`; it goes over from shard to shard.
    pub sink: u32,
    /// The registers as the trace knows them, for ecalls.
    regs: [u32; 32],
    accel_cells: usize,
    full: bool,
    error: Option<TraceError>,
}

impl<'p> ShardTracer<'p> {
    /// For a shard that starts with these registers.
    pub fn new(
        program: &'p Program,
        limits: ShardLimits,
        regs: [u32; 32],
        sink: u32,
        pc: u32,
    ) -> Self {
        let record = ShardRecord { pc: [pc, pc], ..Default::default() };
        Self {
            program,
            limits,
            record,
            times: Times::new(),
            sink,
            regs,
            accel_cells: 0,
            full: false,
            error: None,
        }
    }

    /// Finishes the shard; `word` reads the machine's memory at its end.
    ///
    /// # Errors
    /// When the run cannot be proven.
    pub fn finish(mut self, word: impl Fn(u32) -> u32) -> Result<(ShardRecord, u32), TraceError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let (regs, sink) = (self.regs, self.sink);
        self.record.blocks = self.times.blocks(|addr| match addr {
            0..32 => regs[addr as usize],
            SINK_ADDR => sink,
            _ if addr < LOW_WORDS => 0,
            _ => word(addr),
        });
        self.record.gaps = self.times.gaps;
        Ok((self.record, sink))
    }

    fn fail(&mut self, error: TraceError) {
        self.error.get_or_insert(error);
        self.full = true;
    }

    fn begin(&mut self, next_pc: u32) -> u32 {
        self.record.cycles += 1;
        self.record.pc[1] = next_pc;
        if self.record.cycles >= self.limits.cycles || self.times.blocks >= self.limits.blocks {
            self.full = true;
        }
        self.record.cycles * TS_STEP
    }

    fn write_rd(&mut self, rd: u8, new: u32, ts: u32) -> (u32, u32) {
        let (addr, slot) = if rd == 0 {
            (SINK_ADDR, &mut self.sink)
        } else {
            (u32::from(rd), &mut self.regs[usize::from(rd & 31)])
        };
        let old = std::mem::replace(slot, new);
        (old, self.times.access(addr, old, new, ts))
    }
}

impl Tracer for ShardTracer<'_> {
    fn step(&mut self, step: &Step) {
        let ts = self.begin(step.next_pc);
        let Some(decoded) = self.program.decoded(step.index) else { return };
        let instr = &step.instr;
        let mut row = Row {
            pc: step.pc,
            ts,
            index: step.index,
            a: step.rs1,
            b: step.rs2,
            addr: step.mem_addr,
            next_pc: step.next_pc,
            ..Default::default()
        };
        // LUI and AUIPC read x0.
        let reads_a = instr.op.reads_rs1() || decoded.class == Class::Add;
        if reads_a {
            row.prev_ts[0] = self.times.access(u32::from(instr.rs1), step.rs1, step.rs1, ts);
        }
        if instr.op.is_load() {
            row.b = step.mem_old;
            row.prev_ts[1] =
                self.times.access(step.mem_addr / 4, step.mem_old, step.mem_old, ts + 1);
        } else if instr.op.reads_rs2() {
            row.prev_ts[1] = self.times.access(u32::from(instr.rs2), step.rs2, step.rs2, ts + 1);
        }
        if instr.op.is_store() {
            (row.old, row.new) = (step.mem_old, step.mem_new);
            row.prev_ts[2] =
                self.times.access(step.mem_addr / 4, step.mem_old, step.mem_new, ts + 2);
        } else if instr.op.writes_rd() {
            row.new = step.rd_new;
            (row.old, row.prev_ts[2]) = self.write_rd(instr.rd, step.rd_new, ts + 2);
        }
        self.record.rows.entry(decoded.class).or_default().push(row);
    }

    fn ecall(&mut self, step: &Step, call: &cairn_vm::AccelCall<'_>) {
        let halt = call.id == ids::HALT;
        let ts = self.begin(if halt { crate::program::HALT_PC } else { step.next_pc });
        let Some(operands) = ids::operands(call.id) else {
            self.fail(TraceError::UnknownEcall(call.id));
            return;
        };
        if halt && call.args[0] != 0 {
            self.fail(TraceError::ExitCode(call.args[0]));
            return;
        }
        let mut row = EcallRow {
            pc: step.pc,
            ts,
            index: step.index,
            id: call.id,
            args: call.args,
            ..Default::default()
        };
        row.prev_ts[0] = self.times.access(17, call.id, call.id, ts);
        for i in 0..4u32 {
            let used = operands.iter().any(|o| u32::from(o.arg) == i) || (halt && i == 0);
            if used {
                let value = call.args[i as usize];
                row.prev_ts[1 + i as usize] = self.times.access(10 + i, value, value, ts);
            }
        }
        self.record.ecalls.push(row);
        self.accel_cells += call_cells(call.id);
        self.full |= self.accel_cells >= self.limits.accel_cells;
        if halt {
            return;
        }
        let mut args = [0; 4];
        for operand in operands {
            let arg = usize::from(operand.arg);
            args[arg] = call.args[arg];
        }
        let (mut reads, mut writes) = (call.reads.iter(), call.writes.iter());
        let mut accesses = Vec::with_capacity(call.reads.len() + call.writes.len());
        for (i, operand) in (0u32..).zip(operands) {
            for _ in 0..operand.words {
                let (addr, prev, value) = match operand.mode {
                    ids::Mode::Read => reads.next().map(|r| (r.addr, r.value, r.value)),
                    ids::Mode::Write | ids::Mode::ReadWrite => {
                        writes.next().map(|w| (w.addr, w.old, w.new))
                    }
                }
                .unwrap_or_default();
                let prev_ts = self.times.access(addr / 4, prev, value, ts + i);
                accesses.push(MemAccess { addr: addr / 4, ts: ts + i, prev_ts, prev, value });
            }
        }
        if call.id == ids::COMMIT {
            self.record.committed = Some(core::array::from_fn(|i| accesses[i].value));
        }
        self.record.calls.push(AccelCall { id: call.id, ts, args, accesses });
    }

    #[inline]
    fn pause(&mut self) -> bool {
        self.full
    }
}
