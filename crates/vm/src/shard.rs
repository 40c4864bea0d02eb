//! Cutting a run into shards, each of which can be traced again on its own.

use crate::error::Trap;
use crate::image::ProgramImage;
use crate::input::Input;
use crate::machine::{Machine, Snapshot, Stop};
use crate::trace::Tracer;

/// The most cycles of a shard.
pub const MAX_SHARD_CYCLES: u64 = 1 << 21;

/// A tracer that knows what the trace so far costs. [`Tracer::pause`] says that the shard is full; it must be `false` right after [`ShardMeter::reset`].
pub trait ShardMeter: Tracer {
    /// A new shard begins.
    fn reset(&mut self);
}

/// The simplest meter: a fixed number of cycles.
#[derive(Clone, Copy, Debug)]
pub struct CycleMeter {
    limit: u64,
    cycles: u64,
}

impl CycleMeter {
    /// Shards of `limit` cycles (at least one).
    #[must_use]
    pub const fn new(limit: u64) -> Self {
        Self { limit: if limit == 0 { 1 } else { limit }, cycles: 0 }
    }
}

impl Tracer for CycleMeter {
    #[inline(always)]
    fn step(&mut self, _: &crate::Step) {
        self.cycles += 1;
    }
    #[inline(always)]
    fn ecall(&mut self, _: &crate::Step, _: &crate::AccelCall<'_>) {
        self.cycles += 1;
    }
    #[inline(always)]
    fn pause(&mut self) -> bool {
        self.cycles >= self.limit
    }
}

impl ShardMeter for CycleMeter {
    fn reset(&mut self) {
        self.cycles = 0;
    }
}

/// A part of a run: from a state, so many cycles.
#[derive(Clone, Debug)]
pub struct Shard {
    /// Its place in the run, from 0.
    pub index: usize,
    /// The state at its start.
    pub start: Snapshot,
    /// How many instructions it executes (at least one).
    pub cycles: u64,
    /// The state at its end (pages shared with the next shard's start).
    pub end: Snapshot,
    /// Whether it ends with `HALT`.
    pub is_last: bool,
}

impl Shard {
    /// Executes the shard again, reporting every step.
    ///
    /// # Errors
    /// A trap, only if program or input are not those of the run.
    pub fn trace<T: Tracer>(
        &self,
        program: &ProgramImage,
        input: &Input,
        tracer: &mut T,
    ) -> Result<Stop, Trap> {
        let until = self.start.cycle + self.cycles;
        Machine::resume(program, input.clone(), &self.start).run(tracer, until)
    }
}

/// A finished run.
#[derive(Clone, Debug)]
pub struct Execution {
    /// The shards in order.
    pub shards: Vec<Shard>,
    /// All instructions executed.
    pub cycles: u64,
    /// `HALT`'s exit code.
    pub exit_code: u32,
    /// The committed public input; always present when the exit code is 0.
    pub committed: Option<[u32; 8]>,
}

impl Execution {
    /// The committed public input as the 32 bytes that lay in the guest's memory.
    #[must_use]
    pub fn public_input(&self) -> Option<[u8; 32]> {
        self.committed.map(|words| {
            let mut bytes = [0; 32];
            for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
                chunk.copy_from_slice(&word.to_le_bytes());
            }
            bytes
        })
    }
}

/// Runs a program to its `HALT`, cutting where the meter says so and at [`MAX_SHARD_CYCLES`].
///
/// # Errors
/// A trap, among them the bound `max_cycles` on the whole run.
pub fn execute<M: ShardMeter>(
    program: &ProgramImage,
    input: &Input,
    meter: &mut M,
    max_cycles: u64,
) -> Result<Execution, Trap> {
    let mut machine = Machine::new(program, input.clone());
    let mut shards: Vec<Shard> = Vec::new();
    let mut start = machine.snapshot();
    loop {
        meter.reset();
        let until = (start.cycle + MAX_SHARD_CYCLES).min(max_cycles);
        let stop = machine.run(meter, until)?;
        let end = machine.snapshot();
        let (cycles, halted) = (end.cycle - start.cycle, matches!(stop, Stop::Halted(_)));
        if cycles == 0 {
            return Err(Trap {
                pc: end.pc,
                cycle: end.cycle,
                kind: crate::TrapKind::CycleLimit(max_cycles),
            });
        }
        shards.push(Shard {
            index: shards.len(),
            start,
            cycles,
            end: end.clone(),
            is_last: halted,
        });
        if let Stop::Halted(exit_code) = stop {
            return Ok(Execution {
                shards,
                cycles: end.cycle,
                exit_code,
                committed: machine.committed(),
            });
        }
        start = end;
    }
}
