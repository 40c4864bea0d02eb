//! Where a run is cut into shards.

use crate::bus::{ADDR_SPACE_WORDS, TS_GAP_BITS, TS_STEP};
use crate::chips::Chip;
use crate::program::{CLASSES, Class};
use crate::trace::{ShardLimits, call_cells};
use cairn_vm::{AccelCall, ShardMeter, Step, Tracer};

/// Cells of a shard that do not depend on its length, roughly: the tables.
const FIXED_CELLS: f64 = 8e6;
/// Shards of fewer cycles are cut by their limits alone.
const LEAST_CYCLES: u32 = 1 << 16;

/// How well the instruction chips' traces fill their heights, which are powers of two. Between half the greatest length and the greatest, a shard ends where it pays best: a
/// trace that just fills its height costs half of one that has one row more. What pays best is foretold from the mix of instructions so far.
struct Fill {
    rows: [u32; CLASSES.len()],
    weights: [f64; CLASSES.len()],
    /// Cycles of the shard so far.
    cycles: u32,
    /// Least and most cycles.
    window: [u32; 2],
    /// A trace is exactly full, or the window begins: time to decide.
    due: bool,
}

impl Fill {
    fn new(most: u32) -> Self {
        let weights =
            CLASSES.map(|class| Chip::of_class(class).map_or(0.0, |chip| chip.row_cells() as f64));
        Self { rows: [0; CLASSES.len()], weights, cycles: 0, window: [most / 2, most], due: false }
    }

    fn reset(&mut self) {
        (self.rows, self.cycles, self.due) = ([0; CLASSES.len()], 0, false);
    }

    #[inline]
    fn count(&mut self, class: Class) {
        let rows = &mut self.rows[class as usize];
        *rows += 1;
        self.cycles += 1;
        self.due = self.cycles >= self.window[0]
            && (rows.is_power_of_two() || self.cycles == self.window[0]);
    }

    /// Cells with padding for each cell without, if the shard were `scale` times as long with the same mix.
    fn cost(&self, accel_cells: f64, scale: f64) -> f64 {
        let (mut used, mut paid) = (accel_cells * scale, accel_cells * scale + FIXED_CELLS);
        for (&rows, weight) in self.rows.iter().zip(self.weights) {
            let rows = f64::from(rows) * scale;
            used += weight * rows;
            // Rounding must not push a trace that is exactly full to the next height.
            paid += weight * (rows * (1.0 - 1e-9)).max(1.0).log2().ceil().exp2();
        }
        paid / used
    }

    /// Whether no later end within the window would be cheaper a cycle.
    fn is_best(&self, accel_cells: usize) -> bool {
        if self.window[1] < LEAST_CYCLES {
            return false;
        }
        let accel_cells = accel_cells as f64;
        let now = self.cost(accel_cells, 1.0);
        let longest = f64::from(self.window[1]) / f64::from(self.cycles.max(1));
        let full = |rows: u32| {
            let next = f64::from(rows + 1).log2().ceil().exp2() / f64::from(rows);
            [next, 2.0 * next]
        };
        self.rows
            .iter()
            .filter(|&&rows| rows > 0)
            .flat_map(|&rows| full(rows))
            .filter(|&scale| scale <= longest)
            .chain([longest])
            .all(|scale| now <= self.cost(accel_cells, scale))
    }
}

/// The most accesses of one step, and so the most versions, blocks and paths that it adds.
const MOST_ACCESSES: usize = 128;
/// Blocks of registers and the sink, which every shard touches.
const REGISTER_BLOCKS: usize = 8;

/// What is left of the largest allowed shape. Full means that one step more might not fit.
struct Room {
    /// Rows of each instruction class that there is room for.
    classes: [u32; CLASSES.len()],
    /// Rows of one call of each ecall, by chip.
    calls: Vec<Vec<(usize, usize)>>,
    /// Rows of each chip that serves calls: so far, and as many as leave room for one more call.
    rows: Vec<(usize, usize)>,
    gaps: usize,
    blocks: usize,
    nodes: usize,
    perms: usize,
    /// Permutations of calls.
    used_perms: usize,
    full: bool,
}

impl Room {
    fn new() -> Self {
        let all = Chip::all(None);
        let most = |name: &str| {
            all.iter().find(|chip| chip.name() == name).map_or(0, crate::shape::most_rows)
        };
        let serving: Vec<&Chip> =
            all.iter().filter(|c| matches!(c, Chip::Block(_) | Chip::Accel(_))).collect();
        let end = cairn_accel::ids::ALL.last().map_or(0, |&id| id + 1);
        let calls: Vec<Vec<(usize, usize)>> = (0..end)
            .map(|id| {
                let rows = serving.iter().map(|chip| chip.rows_per_call(id)).enumerate();
                rows.filter(|&(_, rows)| rows > 0).collect()
            })
            .collect();
        let rows = serving.iter().map(|chip| {
            let longest = (0..end).map(|id| chip.rows_per_call(id)).max().unwrap_or(0);
            (0, crate::shape::most_rows(chip).saturating_sub(longest))
        });
        let paths = MOST_ACCESSES * crate::chips::boundary::TREE_DEPTH as usize;
        let (blocks, nodes, perms) = (most("boundary"), most("merkle"), most("poseidon2"));
        Self {
            classes: CLASSES.map(|class| {
                Chip::of_class(class).map_or(0, |chip| crate::shape::most_rows(&chip) as u32)
            }),
            calls,
            rows: rows.collect(),
            gaps: most("gap").saturating_sub(MOST_ACCESSES),
            blocks: blocks.saturating_sub(MOST_ACCESSES + REGISTER_BLOCKS),
            nodes: nodes.saturating_sub(paths),
            perms: perms.saturating_sub(2 * (MOST_ACCESSES + REGISTER_BLOCKS) + 2 * paths + 2),
            used_perms: 0,
            full: false,
        }
    }

    fn reset(&mut self) {
        self.rows.iter_mut().for_each(|(rows, _)| *rows = 0);
        (self.used_perms, self.full) = (0, false);
    }

    fn call(&mut self, id: u32) {
        for &(chip, rows) in self.calls.get(id as usize).map_or(&[][..], Vec::as_slice) {
            let (used, most) = &mut self.rows[chip];
            *used += rows;
            self.full |= *used > *most;
        }
        self.used_perms += usize::from(call_permutes(id));
    }

    fn memory(&mut self, gaps: usize, blocks: &Blocks) {
        self.full |= gaps > self.gaps
            || blocks.count > self.blocks
            || blocks.nodes > self.nodes
            || 2 * (blocks.count + blocks.nodes) + self.used_perms > self.perms;
    }
}

/// Whether an ecall is a Poseidon2 permutation.
fn call_permutes(id: u32) -> bool {
    use cairn_accel::ids;
    matches!(id, ids::POSEIDON2_PERMUTE | ids::POSEIDON2_COMPRESS)
}

/// Cuts a run where [`crate::trace::ShardTracer`] would be full, or the traces fill their heights best; for recursion, where the largest allowed shape is full.
pub struct Meter {
    limits: ShardLimits,
    room: Option<Room>,
    cycles: u32,
    accel_cells: usize,
    blocks: Blocks,
    recent: Recent,
    fill: Fill,
    sink: u32,
    /// Content of the sink word at the start of each shard.
    sinks: Vec<u32>,
}

/// Counts versions that must be brought forward, from above: accesses to a word that this shard may have accessed, and not in this epoch. An epoch is
/// as many cycles as one range check of timestamps reaches over, so two accesses in one epoch need no such row.
struct Recent {
    /// Epoch of each word's last access in the whole run, from 1; 0 is never.
    epochs: Vec<u32>,
    epoch: u32,
    start: u32,
    cycle: u64,
    gaps: usize,
}

const EPOCH_SHIFT: u32 = TS_GAP_BITS - TS_STEP.ilog2();

impl Recent {
    fn new() -> Self {
        // Untouched zeros cost no memory.
        let epochs = vec![0; ADDR_SPACE_WORDS as usize];
        Self { epochs, epoch: 1, start: 1, cycle: 0, gaps: 0 }
    }

    #[inline]
    fn next_cycle(&mut self) {
        self.cycle += 1;
        self.epoch = (self.cycle >> EPOCH_SHIFT) as u32 + 1;
    }

    #[inline]
    fn access(&mut self, byte_addr: u32) {
        let Some(slot) = self.epochs.get_mut(byte_addr as usize / 4) else { return };
        let last = std::mem::replace(slot, self.epoch);
        self.gaps += usize::from(last >= self.start && last != self.epoch);
    }

    fn reset(&mut self) {
        (self.start, self.gaps) = (self.epoch, 0);
    }

    /// The registers' own are bounded by one an epoch.
    fn count(&self) -> usize {
        self.gaps + 33 * (self.epoch - self.start) as usize
    }
}

/// The set of blocks touched in a shard, and of the tree's nodes above them.
struct Blocks {
    bits: Vec<u64>,
    used: Vec<u32>,
    count: usize,
    /// By number: a node's is half its children's, the root's is 1. Empty if nobody asks.
    node_bits: Vec<u64>,
    used_nodes: Vec<u32>,
    nodes: usize,
}

impl Blocks {
    fn new(with_nodes: bool) -> Self {
        let words = (ADDR_SPACE_WORDS / 8 / 64) as usize;
        Self {
            bits: vec![0; words],
            used: Vec::new(),
            count: 0,
            node_bits: vec![0; if with_nodes { words } else { 0 }],
            used_nodes: Vec::new(),
            nodes: 0,
        }
    }

    /// Counts the nodes above a block that are new.
    fn path(&mut self, block: u32) {
        let mut node = ((ADDR_SPACE_WORDS / 8) | block) / 2;
        while node > 0 {
            let Some(word) = self.node_bits.get_mut(node as usize / 64) else { return };
            let bit = 1u64 << (node % 64);
            if *word & bit != 0 {
                return;
            }
            if *word == 0 {
                self.used_nodes.push(node / 64);
            }
            *word |= bit;
            self.nodes += 1;
            node /= 2;
        }
    }

    #[inline]
    fn touch(&mut self, byte_addr: u32) {
        let block = byte_addr / 32;
        let (word, bit) = ((block / 64) as usize % self.bits.len(), 1u64 << (block % 64));
        if self.bits[word] & bit == 0 {
            if self.bits[word] == 0 {
                self.used.push(word as u32);
            }
            self.bits[word] |= bit;
            self.count += 1;
            self.path(block);
        }
    }

    fn clear(&mut self) {
        for word in self.used.drain(..) {
            self.bits[word as usize] = 0;
        }
        for word in self.used_nodes.drain(..) {
            self.node_bits[word as usize] = 0;
        }
        (self.count, self.nodes) = (0, 0);
    }
}

impl Meter {
    /// For shards within these limits.
    pub fn new(limits: ShardLimits) -> Self {
        Self {
            limits,
            cycles: 0,
            accel_cells: 0,
            room: limits.padded.then(Room::new),
            blocks: Blocks::new(limits.padded),
            recent: Recent::new(),
            fill: Fill::new(limits.cycles),
            sink: 0,
            sinks: Vec::new(),
        }
    }

    /// Content of the sink word at the start of each shard.
    pub fn into_sinks(self) -> Vec<u32> {
        self.sinks
    }
}

impl Tracer for Meter {
    #[inline(always)]
    fn step(&mut self, step: &Step) {
        self.cycles += 1;
        self.recent.next_cycle();
        if let Some(class) = Class::of(step.instr.op) {
            self.fill.count(class);
        }
        if step.instr.op.is_memory() {
            self.blocks.touch(step.mem_addr);
            self.recent.access(step.mem_addr);
        }
        if let Some(room) = &mut self.room {
            room.memory(self.recent.count(), &self.blocks);
        }
        if step.instr.rd == 0 && step.instr.op.writes_rd() {
            self.sink = step.rd_new;
        }
    }

    fn ecall(&mut self, _: &Step, call: &AccelCall<'_>) {
        self.cycles += 1;
        self.recent.next_cycle();
        self.fill.count(Class::Ecall);
        self.accel_cells += call_cells(call.id);
        for addr in call.reads.iter().map(|r| r.addr).chain(call.writes.iter().map(|w| w.addr)) {
            self.blocks.touch(addr);
            self.recent.access(addr);
        }
        if let Some(room) = &mut self.room {
            room.call(call.id);
            room.memory(self.recent.count(), &self.blocks);
        }
    }

    #[inline(always)]
    fn pause(&mut self) -> bool {
        if let Some(room) = &self.room {
            return room.full
                || self.cycles >= self.limits.cycles
                || self.fill.rows.iter().zip(&room.classes).any(|(rows, most)| rows >= most);
        }
        self.cycles >= self.limits.cycles
            || self.accel_cells >= self.limits.accel_cells
            || self.blocks.count >= self.limits.blocks
            || self.recent.count() >= self.limits.gaps
            || (self.fill.due && self.fill.is_best(self.accel_cells))
    }
}

impl ShardMeter for Meter {
    fn reset(&mut self) {
        (self.cycles, self.accel_cells) = (0, 0);
        self.blocks.clear();
        self.recent.reset();
        self.fill.reset();
        if let Some(room) = &mut self.room {
            room.reset();
        }
        self.sinks.push(self.sink);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells paid for each cell used of a shard that ends by `Fill`, and of one that ends at the most cycles.
    fn costs(shares: &[u32], most: u32) -> (u32, f64, f64) {
        let mut fill = Fill::new(most);
        let total: u32 = shares.iter().sum();
        let mut due = [0u32; CLASSES.len()];
        let mut cut = None;
        for _ in 0..most {
            // Each class in turn by its share.
            for (due, share) in due.iter_mut().zip(shares) {
                *due += share;
            }
            let next = (0..shares.len()).max_by_key(|&i| due[i]).unwrap();
            due[next] = due[next].saturating_sub(total);
            fill.count(CLASSES[next]);
            if cut.is_none() && fill.due && fill.is_best(0) {
                cut = Some((fill.cycles, fill.cost(0.0, 1.0)));
            }
        }
        let end = fill.cost(0.0, 1.0);
        let (cycles, cost) = cut.unwrap_or((most, end));
        (cycles, cost, end)
    }

    /// However often one call is made, the chips that serve it have room for what was made before the shard ended.
    #[test]
    fn calls_end_a_shard_before_its_chips_are_full() {
        let all = Chip::all(None);
        for id in cairn_accel::ids::ALL {
            let (mut room, blocks, mut calls) = (Room::new(), Blocks::new(true), 0);
            while !room.full && calls < 1 << 20 {
                room.call(id);
                room.memory(0, &blocks);
                calls += 1;
            }
            for chip in all.iter().filter(|c| matches!(c, Chip::Block(_) | Chip::Accel(_))) {
                let rows = chip.rows_per_call(id);
                assert!(calls * rows <= crate::shape::most_rows(chip), "{} of {id}", chip.name());
                assert!(rows == 0 || room.full, "{} never ends a shard", chip.name());
            }
        }
    }

    /// Memory that is touched all over the place needs the most nodes and permutations.
    #[test]
    fn memory_ends_a_shard_before_its_tables_are_full() {
        let most = |name: &str| {
            let all = Chip::all(None);
            all.iter().find(|c| c.name() == name).map_or(0, crate::shape::most_rows)
        };
        for stride in [32u32, 4096, 1 << 20, (1 << 24) + 32] {
            let (mut room, mut blocks) = (Room::new(), Blocks::new(true));
            let mut addr = 0u32;
            while !room.full {
                // A step touches this much at most.
                for _ in 0..MOST_ACCESSES {
                    addr = addr.wrapping_add(stride) % (ADDR_SPACE_WORDS * 4);
                    blocks.touch(addr);
                }
                addr += 32;
                room.memory(0, &blocks);
            }
            let (blocks, nodes) = (blocks.count + REGISTER_BLOCKS, blocks.nodes);
            assert!(blocks <= most("boundary") && nodes <= most("merkle"), "{blocks} {nodes}");
            assert!(2 * (blocks + nodes) <= most("poseidon2"), "{blocks} {nodes}");
        }
    }

    #[test]
    fn shards_end_where_their_traces_are_full() {
        let most = 3 << 17;
        let (mut sum, mut sum_fixed) = (0.0, 0.0);
        for seed in 1..40u32 {
            let shares: Vec<u32> =
                (0..9u32).map(|i| (seed * 7919 + i * 104_729) % 97 + 1).collect();
            let (cycles, cost, fixed) = costs(&shares, most);
            assert!((most / 2..=most).contains(&cycles), "{cycles}");
            assert!(cost <= fixed * 1.001, "{cost} {fixed}");
            (sum, sum_fixed) = (sum + cost, sum_fixed + fixed);
        }
        assert!(sum < 0.93 * sum_fixed, "{sum} {sum_fixed}");
    }
}
