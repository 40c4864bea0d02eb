//! A loaded program: the instruction table, the initial memory and the entry point.

use crate::isa::Instr;

/// Addresses of data are below this bound (2^29 bytes).
pub const ADDRESS_SPACE: u32 = 1 << 29;
/// Guest accesses below this bound trap: the proof keeps the registers there.
pub const RESERVED_BYTES: u32 = 256;
/// Program counters are below this bound.
pub const PC_SPACE: u32 = 1 << 29;
/// The most instructions a program may have (16 MiB of text).
pub const MAX_INSTRUCTIONS: usize = 1 << 22;
/// The most bytes of initial data.
pub const MAX_DATA_BYTES: usize = 1 << 26;
/// The most symbols kept for the profiler.
pub const MAX_SYMBOLS: usize = 1 << 18;

/// A run of initialised memory words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSegment {
    /// Byte address of the first word, a multiple of 4.
    pub addr: u32,
    /// The words. Memory outside all segments starts as zero.
    pub words: Vec<u32>,
}

/// A function's place in the program, for profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// First instruction's address.
    pub addr: u32,
    /// Length in bytes (at least 1).
    pub size: u32,
    /// Demangled as far as `rustc-demangle` goes.
    pub name: String,
}

/// A program as the machine sees it. Harvard: instructions are not readable as data, and data cannot be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramImage {
    /// Address of `instrs[0]`, a multiple of 4.
    pub base: u32,
    /// Where execution starts.
    pub entry: u32,
    /// The instruction table; the instruction at `pc` is `instrs[(pc - base) / 4]`.
    pub instrs: Vec<Instr>,
    /// Initial memory: sorted by address, disjoint, not empty, without leading or trailing zero words.
    pub data: Vec<DataSegment>,
    /// Functions sorted by address. Not part of the program's identity.
    pub symbols: Vec<Symbol>,
}

impl ProgramImage {
    /// The instruction table's row for `pc`, if it is in the program.
    #[must_use]
    pub fn index_of(&self, pc: u32) -> Option<u32> {
        let offset = pc.checked_sub(self.base)?;
        (offset % 4 == 0 && ((offset / 4) as usize) < self.instrs.len()).then_some(offset / 4)
    }

    /// The address of a row of the instruction table.
    #[must_use]
    pub const fn pc_of(&self, index: u32) -> u32 {
        self.base.wrapping_add(index << 2)
    }

    /// The initial memory's words that are not zero, by ascending byte address.
    pub fn initial_words(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.data
            .iter()
            .flat_map(|s| (0u32..).zip(&s.words).map(|(i, &w)| (s.addr + 4 * i, w)))
            .filter(|&(_, w)| w != 0)
    }

    /// The function that contains `pc`.
    #[must_use]
    pub fn symbol_at(&self, pc: u32) -> Option<&Symbol> {
        let i = self.symbols.partition_point(|s| s.addr <= pc);
        let symbol = &self.symbols[i.checked_sub(1)?];
        (pc - symbol.addr < symbol.size).then_some(symbol)
    }
}
