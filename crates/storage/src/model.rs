//! The records that the store keeps. They are encoded with postcard; a change of any of them is a change of [`FORMAT_VERSION`].

use alloy_primitives::{Address, B256, Bytes, FixedBytes, KECCAK256_EMPTY, U256};
use cairn_primitives::batch::{BatchStatus, PublicInput, StoredBatchInfo};
use cairn_primitives::da::{BlobClaim, DaMode};
use cairn_primitives::{BlockHeader, FeeParams, L2ToL1Log};
use serde::{Deserialize, Serialize};

/// Version of the data directory's format.
pub const FORMAT_VERSION: u64 = 2;

/// An account's own fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Nonce.
    pub nonce: u64,
    /// Balance in wei.
    pub balance: u128,
    /// keccak256 of the code; that of the empty string without code.
    pub code_hash: B256,
}

impl Default for Account {
    fn default() -> Self {
        Self { nonce: 0, balance: 0, code_hash: KECCAK256_EMPTY }
    }
}

/// What a block (or genesis) changes: new values only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateDiff {
    /// Accounts; `None` removes one.
    pub accounts: Vec<(Address, Option<Account>)>,
    /// Storage slots; zero removes one.
    pub storage: Vec<(Address, U256, U256)>,
    /// New code by its keccak256.
    pub codes: Vec<(B256, Bytes)>,
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRecord {
    /// What the chain commits to.
    pub header: BlockHeader,
    /// Hash of the header.
    pub hash: B256,
    /// Gas limit of the block.
    pub gas_limit: u64,
    /// Price of pubdata in gas per byte.
    pub gas_per_pubdata: u64,
    /// Number of transactions.
    pub tx_count: u32,
    /// Number of priority operations among them (they come first).
    pub priority_count: u32,
    /// L2->L1 logs.
    pub l2_to_l1_count: u32,
    /// Bytes of pubdata that its transactions were charged for.
    pub pubdata_bytes: u64,
    /// Bytes of the encoded transactions.
    pub size: u64,
    /// Wall clock when it was built, in milliseconds (not part of the chain).
    pub built_at_ms: u64,
}

/// Where a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxLocation {
    /// Block number.
    pub block: u64,
    /// Index in the block.
    pub index: u32,
}

/// A transaction in a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxRecord {
    /// Hash.
    pub hash: B256,
    /// Sender.
    pub sender: Address,
    /// EIP-2718 form.
    pub raw: Bytes,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Contract.
    pub address: Address,
    /// Topics.
    pub topics: Vec<B256>,
    /// Data.
    pub data: Bytes,
}

/// The outcome of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptRecord {
    /// False when it reverted or halted.
    pub success: bool,
    /// Gas charged, pubdata included.
    pub gas_used: u64,
    /// Gas charged for it and all before it in the block.
    pub cumulative_gas_used: u64,
    /// Wei per gas.
    pub effective_gas_price: u128,
    /// Address of the created contract.
    pub contract_address: Option<Address>,
    /// Bytes of pubdata charged for.
    pub pubdata_bytes: u64,
    /// Index in the block of its first event.
    pub first_log_index: u32,
    /// Index in the block of its first L2->L1 log.
    pub first_l2_to_l1_index: u32,
    /// Events.
    pub logs: Vec<LogRecord>,
    /// L2->L1 logs.
    pub l2_to_l1_logs: Vec<L2ToL1Log>,
}

/// A sealed batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRecord {
    /// Everything that it claims.
    pub public_input: PublicInput,
    /// What L1 keeps of it, as a hash.
    pub info: StoredBatchInfo,
    /// Transactions.
    pub tx_count: u64,
    /// Priority operations among them.
    pub priority_count: u64,
    /// Gas used.
    pub gas_used: u64,
    /// Fee parameters of all its blocks.
    pub fee_params: FeeParams,
    /// How its pubdata reaches L1.
    pub da_mode: DaMode,
    /// keccak256 of the pubdata.
    pub pubdata_hash: B256,
    /// Bytes of pubdata.
    pub pubdata_len: u64,
    /// Claims about its blobs (none in calldata mode).
    pub blob_claims: Vec<BlobClaim>,
    /// KZG commitments of its blobs, in the same order.
    pub blob_commitments: Vec<FixedBytes<48>>,
    /// Root of the tree over its L2->L1 logs.
    pub logs_root: B256,
    /// Number of L2->L1 logs.
    pub logs_count: u64,
    /// Wall clock when it was sealed, in milliseconds.
    pub sealed_at_ms: u64,
}

impl BatchRecord {
    /// Number of the batch.
    pub fn number(&self) -> u64 {
        self.public_input.batch_number
    }

    /// First and last block.
    pub fn blocks(&self) -> (u64, u64) {
        (self.public_input.first_block, self.public_input.last_block)
    }
}

/// A transaction on the settlement layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct L1Tx {
    /// Hash.
    pub hash: B256,
    /// Block there.
    pub block: u64,
    /// Timestamp of that block, in seconds.
    pub timestamp: u64,
    /// Gas used; `None` when L1 no longer tells.
    pub gas_used: Option<u64>,
}

/// How far a batch is on the settlement layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettlementRecord {
    /// Status.
    pub status: BatchStatus,
    /// `commitBatches`.
    pub commit: Option<L1Tx>,
    /// `proveBatches`.
    pub prove: Option<L1Tx>,
    /// `executeBatches`.
    pub execute: Option<L1Tx>,
}

impl Default for SettlementRecord {
    fn default() -> Self {
        Self { status: BatchStatus::Processed, commit: None, prove: None, execute: None }
    }
}

/// How far the validity proof of a batch is. Kept up to date by the prover, durable at every shard and every later step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvingRecord {
    /// Program that is being proven.
    pub program_id: B256,
    /// Cycles of the whole execution.
    pub cycles: u64,
    /// Shards of the execution.
    pub shards: u32,
    /// Shards that have a proof.
    pub done: u32,
    /// Size of the proofs of all shards in bytes; 0 until every shard is proven and verified.
    pub base_bytes: u64,
    /// Milliseconds spent on the shards so far, over all runs of the prover.
    pub base_ms: u64,
    /// Steps of joining the shards' proofs into one; 0 before it has begun.
    pub join_steps: u32,
    /// Steps that are done.
    pub joined: u32,
    /// Milliseconds spent on joining.
    pub join_ms: u64,
    /// The proof that L1 verifies, once it is made.
    pub last: Option<FinalProofRecord>,
    /// Why the batch cannot be proven, or why L1 refused its proof.
    pub failure: Option<String>,
}

/// A proof that L1 verifies, of one or several consecutive batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalProofRecord {
    /// First batch that it is of.
    pub first: u64,
    /// Last batch.
    pub last: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// Proven bits of the weakest layer below it, rounded down.
    pub proven_bits: u32,
    /// Milliseconds that it took, beyond what was spent on each batch.
    pub spent_ms: u64,
    /// Wall clock when it was complete, in milliseconds since 1970.
    pub made_at_ms: u64,
}

impl ProvingRecord {
    /// True once there is a proof for L1.
    pub fn is_complete(&self) -> bool {
        self.last.is_some()
    }

    /// Milliseconds from the first shard to the proof for L1, as far as it is.
    pub fn spent_ms(&self) -> u64 {
        self.base_ms + self.join_ms + self.last.map_or(0, |l| l.spent_ms)
    }
}
