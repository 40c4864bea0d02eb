//! A whole run: executed once and cut into shards, each of which can then be recorded again on its own.

use crate::memory::{Block, MemoryTree, Node, blocks_of};
use crate::meter::Meter;
use crate::program::Program;
use crate::shard::ShardStatement;
use crate::trace::{ShardLimits, ShardRecord, ShardTracer, TraceError};
use cairn_vm::{Execution, Input, Machine, PAGE_SHIFT, Snapshot, Trap};
use std::sync::Arc;

/// Why a run cannot be proven.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The guest trapped.
    #[error(transparent)]
    Trap(#[from] Trap),
    /// The trace cannot be made.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The guest ended with a failure.
    #[error("the guest halted with exit code {0}; only exit code 0 can be proven")]
    ExitCode(u32),
    /// There is no such shard.
    #[error("shard {0} does not exist, the run has {1}")]
    NoShard(usize, usize),
}

/// A run that was executed and cut.
pub struct Run {
    /// The program.
    pub program: Arc<Program>,
    /// The guest's input.
    pub input: Input,
    /// The executor's account of it.
    pub execution: Execution,
    sinks: Vec<u32>,
}

/// A shard ready for trace generation.
#[derive(Clone, Debug)]
pub struct PreparedShard {
    /// What happened.
    pub record: ShardRecord,
    /// Tree nodes above the touched blocks.
    pub nodes: Vec<Node>,
    /// What its proof will say.
    pub statement: ShardStatement,
}

impl Run {
    /// Executes the program.
    ///
    /// # Errors
    /// When it traps, exceeds `max_cycles`, or ends with a failure.
    pub fn new(
        program: Arc<Program>,
        input: Input,
        limits: ShardLimits,
        max_cycles: u64,
    ) -> Result<Self, RunError> {
        let mut meter = Meter::new(limits);
        let execution = cairn_vm::execute(&program.image, &input, &mut meter, max_cycles)?;
        if execution.exit_code != 0 {
            return Err(RunError::ExitCode(execution.exit_code));
        }
        Ok(Self { program, input, execution, sinks: meter.into_sinks() })
    }

    /// How many shards it has.
    pub fn shards(&self) -> usize {
        self.execution.shards.len()
    }

    /// Records a shard. `tree` must be the memory tree at its start and becomes that of its end.
    ///
    /// # Errors
    /// When the trace cannot be made.
    pub fn prepare(&self, index: usize, tree: &mut MemoryTree) -> Result<PreparedShard, RunError> {
        let shard =
            self.execution.shards.get(index).ok_or(RunError::NoShard(index, self.shards()))?;
        let start = &shard.start;
        // The meter has decided where the shard ends.
        let limits = ShardLimits {
            cycles: u32::MAX,
            accel_cells: usize::MAX,
            blocks: usize::MAX,
            gaps: usize::MAX,
            padded: false,
        };
        let mut tracer =
            ShardTracer::new(&self.program, limits, start.regs, self.sinks[index], start.pc);
        let mut machine = Machine::resume(&self.program.image, self.input.clone(), start);
        machine.run(&mut tracer, start.cycle + shard.cycles)?;
        let (record, _) = tracer.finish(|addr| machine.memory().get(4 * addr))?;
        let before = tree.root();
        let blocks: Vec<(u32, Block)> = record.blocks.iter().map(|b| (b.index, b.new)).collect();
        let nodes = tree.update(&blocks);
        let statement = ShardStatement {
            pc: record.pc,
            root: [before, tree.root()],
            committed: record.committed,
        };
        Ok(PreparedShard { record, nodes, statement })
    }

    /// The memory tree at the start of a shard, from the state itself.
    ///
    /// # Errors
    /// When there is no such shard.
    pub fn tree_at(&self, index: usize) -> Result<MemoryTree, RunError> {
        let shard =
            self.execution.shards.get(index).ok_or(RunError::NoShard(index, self.shards()))?;
        let mut tree = MemoryTree::new();
        tree.update(&blocks_of(words_of(&shard.start, self.sinks[index])));
        Ok(tree)
    }
}

/// All words of a state that may not be zero, registers and sink included, by word address.
fn words_of(state: &Snapshot, sink: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
    let registers = (0u32..).zip(state.regs).chain([(crate::bus::SINK_ADDR, sink)]);
    let pages = state
        .pages
        .iter()
        .flat_map(|(&number, page)| {
            (0u32..).zip(page.iter()).map(move |(i, &w)| ((number << PAGE_SHIFT) + i, w))
        })
        .filter(|&(addr, w)| w != 0 && addr >= crate::bus::LOW_WORDS);
    registers.chain(pages)
}
