//! What a run reports to the prover and the profiler.

use crate::isa::Instr;

/// One executed instruction. Values of parts that the instruction does not use are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Number of instructions executed before this one since the start of the run (not of the shard).
    pub cycle: u64,
    /// Its address.
    pub pc: u32,
    /// Its row in [`crate::ProgramImage::instrs`].
    pub index: u32,
    /// The instruction.
    pub instr: Instr,
    /// Value of `rs1`, if read.
    pub rs1: u32,
    /// Value of `rs2`, if read.
    pub rs2: u32,
    /// `rd` before, if the instruction writes `rd` (0 for x0).
    pub rd_old: u32,
    /// What the instruction computes for `rd`. When `rd` is x0 this is the discarded value: x0 stays 0.
    pub rd_new: u32,
    /// Byte address of a load or store (not rounded to its word).
    pub mem_addr: u32,
    /// The aligned word at `mem_addr & !3` before.
    pub mem_old: u32,
    /// The same word after; equal to `mem_old` for loads.
    pub mem_new: u32,
    /// Address of the next instruction. After a `HALT` it is `pc + 4`.
    pub next_pc: u32,
}

/// A word that an ecall read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordRead {
    /// Byte address, a multiple of 4.
    pub addr: u32,
    /// The word.
    pub value: u32,
}

/// A word that an ecall wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordWrite {
    /// Byte address, a multiple of 4.
    pub addr: u32,
    /// The word before (for in-place operands the input).
    pub old: u32,
    /// The word after.
    pub new: u32,
}

/// An executed `ecall`, in the terms of [`cairn_accel::ids`].
#[derive(Clone, Copy, Debug)]
pub struct AccelCall<'a> {
    /// `a7`.
    pub id: u32,
    /// `a0..a3`.
    pub args: [u32; 4],
    /// Words of the R operands, in access order.
    pub reads: &'a [WordRead],
    /// Words of the W or RW operand.
    pub writes: &'a [WordWrite],
}

/// Receives what happens. All methods are monomorphised into the interpreter, so an empty one costs nothing.
pub trait Tracer {
    /// Whether the interpreter should build [`Step`]s at all.
    const ENABLED: bool = true;

    /// An instruction other than `ecall` was executed.
    fn step(&mut self, step: &Step);

    /// An `ecall` was executed. `step` has its `cycle`, `pc`, `index`, `instr` and `next_pc`.
    fn ecall(&mut self, step: &Step, call: &AccelCall<'_>);

    /// Asked before each instruction: `true` pauses the run there.
    #[inline(always)]
    fn pause(&mut self) -> bool {
        false
    }
}

/// Traces nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrace;

impl Tracer for NoTrace {
    const ENABLED: bool = false;
    #[inline(always)]
    fn step(&mut self, _: &Step) {}
    #[inline(always)]
    fn ecall(&mut self, _: &Step, _: &AccelCall<'_>) {}
}
