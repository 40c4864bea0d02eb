//! The Cairn VM: RV32IM with accelerators, as a fast deterministic interpreter.
//!
//! A program ([`ProgramImage`]) is a table of decoded instructions (Harvard: not readable as data) and an initial memory. Data addresses are below 2^29. Every way to
//! stop other than `HALT` is a typed [`Trap`]. [`Machine::run`] is generic over a [`Tracer`]; [`execute`] cuts a run into [`Shard`]s whose starts are
//! [`Snapshot`]s, so that each can be traced again in any order.

mod ecall;
mod elf;
mod error;
mod hint;
mod image;
mod input;
mod isa;
mod machine;
mod memory;
mod profile;
mod shard;
mod trace;

pub use elf::MAX_FILE_BYTES;
pub use error::{ElfError, Trap, TrapKind};
pub use image::{
    ADDRESS_SPACE, DataSegment, MAX_DATA_BYTES, MAX_INSTRUCTIONS, MAX_SYMBOLS, PC_SPACE,
    ProgramImage, RESERVED_BYTES, Symbol,
};
pub use input::{Input, InputTooLarge, MAX_INPUT_BYTES};
pub use isa::{Instr, Op, decode};
pub use machine::{Machine, Snapshot, Stop};
pub use memory::{Memory, PAGE_SHIFT, PAGE_WORDS, Page, Pages};
pub use profile::{FunctionCost, Profile, Profiler};
pub use shard::{CycleMeter, Execution, MAX_SHARD_CYCLES, Shard, ShardMeter, execute};
pub use trace::{AccelCall, NoTrace, Step, Tracer, WordRead, WordWrite};
