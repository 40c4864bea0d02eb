//! What the trace generators of one shard ask of the tables: multiplicities of lookups and the Poseidon2 permutations.

use crate::bus::TAG_AND;
use std::collections::HashMap;

/// Rows of the range table: value `v` at width `bits` sits at `2^bits - 1 + v` for `bits <= 16`.
pub const RANGE_ROWS: usize = 1 << 17;
/// Rows of the AND table: bytes `(a, b)` at `256 a + b`.
pub const AND_ROWS: usize = 1 << 16;

/// One Poseidon2 permutation asked for, and how often on each bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PermUses {
    /// Lookups on the compression bus.
    pub compress: u32,
    /// Lookups on the permutation bus.
    pub permute: u32,
}

/// Lookup counters. Every generator gets one, and they are merged at the end.
#[derive(Clone, Debug)]
pub struct Counts {
    range: Vec<u32>,
    and: Vec<u32>,
    bytes: Vec<u32>,
    program: Vec<u32>,
    perms: HashMap<[u32; 16], PermUses>,
}

impl Default for Counts {
    fn default() -> Self {
        Self::new()
    }
}

impl Counts {
    /// No lookups yet.
    pub fn new() -> Self {
        Self {
            range: vec![0; RANGE_ROWS],
            and: vec![0; AND_ROWS],
            bytes: vec![0; AND_ROWS],
            program: Vec::new(),
            perms: HashMap::new(),
        }
    }

    /// Counts a [`crate::bus::range_check`] of `value` at `bits <= 16`. A value out of range is not counted: the proof will not balance.
    #[inline]
    pub fn range(&mut self, value: u32, bits: u32) {
        if bits <= 16 && u64::from(value) < 1 << bits {
            self.range[(1usize << bits) - 1 + value as usize] += 1;
        }
    }

    /// Counts both 16-bit checks of a word.
    #[inline]
    pub fn word(&mut self, word: u32) {
        self.range(word & 0xffff, 16);
        self.range(word >> 16, 16);
    }

    /// Counts the timestamp check of one memory access ([`crate::bus::mem_read`] and [`crate::bus::mem_write`]).
    #[inline]
    pub fn access(&mut self, access: &crate::bus::MemAccess) {
        self.range(access.ts_diff(), crate::bus::TS_GAP_BITS);
    }

    /// Counts a [`crate::bus::and_bytes`] or [`crate::bus::xor_bytes`] of two bytes.
    #[inline]
    pub fn and(&mut self, a: u8, b: u8) {
        self.and[usize::from(a) * 256 + usize::from(b)] += 1;
    }

    /// Counts a [`crate::bus::range_check_bytes`] of two bytes.
    #[inline]
    pub fn bytes(&mut self, a: u8, b: u8) {
        self.bytes[usize::from(a) * 256 + usize::from(b)] += 1;
    }

    /// Counts a lookup of row `row` of the program table.
    #[inline]
    pub fn program(&mut self, row: usize) {
        if row >= self.program.len() {
            self.program.resize(row + 1, 0);
        }
        self.program[row] += 1;
    }

    /// Multiplicity of a row of the program table.
    pub fn program_count(&self, row: usize) -> u32 {
        self.program.get(row).copied().unwrap_or(0)
    }

    /// Counts a [`crate::bus::compress`] of canonical elements `l || r`.
    pub fn compress(&mut self, input: [u32; 16]) {
        self.perms.entry(input).or_default().compress += 1;
    }

    /// Counts a [`crate::bus::permute`] of canonical elements.
    pub fn permute(&mut self, input: [u32; 16]) {
        self.perms.entry(input).or_default().permute += 1;
    }

    /// Adds another generator's lookups.
    pub fn merge(&mut self, other: Self) {
        self.range.iter_mut().zip(other.range).for_each(|(a, b)| *a += b);
        self.and.iter_mut().zip(other.and).for_each(|(a, b)| *a += b);
        self.bytes.iter_mut().zip(other.bytes).for_each(|(a, b)| *a += b);
        if other.program.len() > self.program.len() {
            self.program.resize(other.program.len(), 0);
        }
        self.program.iter_mut().zip(other.program).for_each(|(a, b)| *a += b);
        for (input, uses) in other.perms {
            let mine = self.perms.entry(input).or_default();
            mine.compress += uses.compress;
            mine.permute += uses.permute;
        }
    }

    /// Multiplicities of the range table.
    pub fn range_counts(&self) -> &[u32] {
        &self.range
    }

    /// Multiplicities of the AND table.
    pub fn and_counts(&self) -> &[u32] {
        &self.and
    }

    /// Multiplicities of the AND table as pairs of bytes.
    pub fn bytes_counts(&self) -> &[u32] {
        &self.bytes
    }

    /// The permutations asked for, in a fixed order.
    pub fn perms(&self) -> Vec<([u32; 16], PermUses)> {
        let mut all: Vec<_> = self.perms.iter().map(|(k, v)| (*k, *v)).collect();
        all.sort_unstable_by_key(|(k, _)| *k);
        all
    }
}

/// The `(tag, f0, f1, f2)` of row `i` of the table of fixed lookups (range rows first, then AND rows).
pub fn fixed_row(i: usize) -> [u32; 4] {
    if i < RANGE_ROWS {
        // Row 2^17 - 1 is one beyond the 16-bit block; it repeats (0 bits, 0).
        let j = if i == RANGE_ROWS - 1 { 0 } else { i };
        let bits = (j + 1).ilog2();
        [bits, (j + 1 - (1usize << bits)) as u32, 0, 0]
    } else {
        let j = (i - RANGE_ROWS) as u32;
        let (a, b) = (j >> 8 & 0xff, j & 0xff);
        [TAG_AND, a, b, a & b]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_meets_its_table_row() {
        let mut counts = Counts::new();
        for (value, bits) in [(0, 0), (1, 1), (5, 3), (0xffff, 16), (0, 16), (0x1fff, 13)] {
            counts.range(value, bits);
            let row = (0..RANGE_ROWS - 1).find(|&i| counts.range_counts()[i] > 0).unwrap();
            assert_eq!(fixed_row(row), [bits, value, 0, 0]);
            counts = Counts::new();
        }
        counts.and(0xf0, 0x3c);
        let row = counts.and_counts().iter().position(|&c| c > 0).unwrap();
        assert_eq!(fixed_row(RANGE_ROWS + row), [TAG_AND, 0xf0, 0x3c, 0x30]);
    }

    #[test]
    fn out_of_range_values_are_not_counted() {
        let mut counts = Counts::new();
        counts.range(1 << 16, 16);
        counts.range(2, 1);
        assert!(counts.range_counts().iter().all(|&c| c == 0));
    }
}
