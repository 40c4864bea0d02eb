//! How full a batch is, and when it must be sealed.

use cairn_primitives::da::MAX_PUBDATA;
use serde::{Deserialize, Serialize};

use crate::{
    life::TxResult,
    limits::{MAX_LOGS_PER_BATCH, MAX_PUBDATA_PER_TX, MAX_TXS_PER_BATCH},
    pubdata::MAX_BLOCK_BYTES,
    work::{CYCLES_PER_CODE_BYTE, HEAP_PER_CODE_BYTE, MAX_CYCLES_PER_GAS, MAX_HEAP_PER_GAS},
};

/// Guest cycles that a batch costs whatever it holds: opening the witness, the public input, fixed tables.
pub const CYCLES_PER_BATCH: u64 = 400_000;
/// Guest cycles of a block: its header and environment.
pub const CYCLES_PER_BLOCK: u64 = 4_000;
/// Guest cycles of a transaction beside its gas: decoding, signature, the fixed steps, its share of the tree.
pub const CYCLES_PER_TX: u64 = 30_000;
/// Guest cycles per unit of gas beyond the intrinsic 21,000. Measured: 3 for an ERC-20 transfer, about 25 for a loop of the cheapest opcodes; storage costs gas, not cycles.
pub const CYCLES_PER_GAS: u64 = 8;
/// Bytes of guest memory that a batch takes whatever it holds: stacks of the deepest call, tables.
pub const HEAP_PER_BATCH: u64 = 96 << 20;
/// Bytes of guest memory of a block.
pub const HEAP_PER_BLOCK: u64 = 1_024;
/// Bytes of guest memory of a transaction beside its gas: its bytes twice, its leaves of the tree with their paths, its results.
pub const HEAP_PER_TX: u64 = 16_384;

/// Pubdata of a batch that no transaction is measured for: counts, the operator's account, and the base token's supply.
pub const PUBDATA_PER_BATCH: u64 = 200;
/// Pubdata of a transaction that is written after its charge: a priority operation's refund to an account that may be new.
pub const PUBDATA_PER_TX: u64 = 64;

/// What a batch holds so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchUsage {
    /// Blocks.
    pub blocks: u64,
    /// Transactions.
    pub txs: u64,
    /// Gas used.
    pub gas: u64,
    /// Upper bound of the pubdata bytes: the sum of what its transactions were measured at.
    pub pubdata: u64,
    /// L2->L1 logs.
    pub l2_to_l1_logs: u64,
    /// Estimated cycles of proving.
    pub cycles: u64,
    /// Upper bound of the cycles of proving: what gas can at worst be spent on.
    pub worst_cycles: u64,
    /// Upper bound of the guest's memory, in bytes.
    pub heap: u64,
}

impl BatchUsage {
    /// An empty batch. (A block's own usage starts from the default.)
    pub const EMPTY_BATCH: Self = Self {
        blocks: 0,
        txs: 0,
        gas: 0,
        pubdata: PUBDATA_PER_BATCH,
        l2_to_l1_logs: 0,
        cycles: CYCLES_PER_BATCH,
        worst_cycles: CYCLES_PER_BATCH,
        heap: HEAP_PER_BATCH,
    };

    /// Counts a new block.
    pub fn add_block(&mut self) {
        self.blocks += 1;
        self.pubdata += MAX_BLOCK_BYTES;
        self.cycles += CYCLES_PER_BLOCK;
        self.worst_cycles += CYCLES_PER_BLOCK;
        self.heap += HEAP_PER_BLOCK;
    }

    /// Counts a transaction.
    pub fn add_tx(&mut self, tx: &TxResult) {
        self.txs += 1;
        self.gas += tx.gas_used;
        self.pubdata += tx.pubdata_bytes + PUBDATA_PER_TX;
        self.l2_to_l1_logs += tx.l2_to_l1_logs.len() as u64;
        let (fixed, gas) = (CYCLES_PER_TX + fixed_cycles(tx), opcode_gas(tx));
        self.cycles += fixed + gas * CYCLES_PER_GAS;
        self.worst_cycles += fixed + gas * MAX_CYCLES_PER_GAS;
        self.heap += HEAP_PER_TX
            + (gas + tx.work.gas) * MAX_HEAP_PER_GAS
            + tx.code_bytes * HEAP_PER_CODE_BYTE;
    }

    /// Counts another batch part.
    pub fn add(&mut self, other: &Self) {
        self.blocks += other.blocks;
        self.txs += other.txs;
        self.gas += other.gas;
        self.pubdata += other.pubdata;
        self.l2_to_l1_logs += other.l2_to_l1_logs;
        self.cycles += other.cycles;
        self.worst_cycles += other.worst_cycles;
        self.heap += other.heap;
    }
}

/// Cycles that are known one by one: precompiles, and loading code.
fn fixed_cycles(tx: &TxResult) -> u64 {
    tx.work.cycles + tx.code_bytes * CYCLES_PER_CODE_BYTE
}

/// Gas spent on anything but precompiles, pubdata and the intrinsic cost, refunds not deducted.
fn opcode_gas(tx: &TxResult) -> u64 {
    let elsewhere = 21_000 + tx.pubdata_gas + tx.work.gas;
    (tx.gas_used + tx.gas_refunded).saturating_sub(elsewhere)
}

/// Guest memory for all that a batch may take, in bytes: the machine's 512 MiB less the program, with room for what only the witness knows.
pub const MAX_HEAP: u64 = 440 << 20;

/// When a batch is full. The defaults keep a batch well inside what is consensus ([`crate::limits`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchLimits {
    /// Most transactions.
    pub txs: u64,
    /// Most gas.
    pub gas: u64,
    /// Most pubdata bytes.
    pub pubdata: u64,
    /// Most L2->L1 logs.
    pub l2_to_l1_logs: u64,
    /// Most estimated proving cycles.
    pub cycles: u64,
    /// Most proving cycles at worst.
    pub worst_cycles: u64,
    /// Most guest memory at worst, in bytes.
    pub heap: u64,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            txs: 1_000,
            gas: 200_000_000,
            pubdata: 110_000,
            l2_to_l1_logs: 4_096,
            cycles: 400_000_000,
            worst_cycles: 1 << 33,
            heap: MAX_HEAP,
        }
    }
}

impl BatchLimits {
    /// The largest limits that consensus allows.
    pub const CONSENSUS: Self = Self {
        txs: MAX_TXS_PER_BATCH as u64,
        gas: u64::MAX,
        pubdata: MAX_PUBDATA as u64,
        l2_to_l1_logs: MAX_LOGS_PER_BATCH as u64,
        cycles: u64::MAX,
        worst_cycles: u64::MAX,
        heap: MAX_HEAP,
    };

    /// The first criterion that `usage` exceeds, by name; `None` while the batch fits.
    pub fn exceeded_by(&self, usage: &BatchUsage) -> Option<&'static str> {
        let criteria = [
            ("transactions", usage.txs, self.txs),
            ("gas", usage.gas, self.gas),
            ("pubdata", usage.pubdata, self.pubdata),
            ("l2_to_l1_logs", usage.l2_to_l1_logs, self.l2_to_l1_logs),
            ("proving_cycles", usage.cycles, self.cycles),
            ("worst_proving_cycles", usage.worst_cycles, self.worst_cycles),
            ("guest_memory", usage.heap, self.heap),
        ];
        criteria.into_iter().find(|(_, used, limit)| used > limit).map(|(name, ..)| name)
    }

    /// True when one more transaction of the worst kind may not fit: seal before taking another.
    pub fn is_nearly_full(&self, usage: &BatchUsage) -> bool {
        let mut worst = *usage;
        worst.txs += 1;
        worst.pubdata += (MAX_PUBDATA_PER_TX + PUBDATA_PER_TX).min(self.pubdata / 8);
        self.exceeded_by(&worst).is_some()
    }
}
