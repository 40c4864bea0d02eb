//! Batches: what one is made of, its witness, and its stateless execution [`prove_batch`] — the function that the VM proves.

pub mod build;
pub mod codec;
mod reader;
pub mod run;

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, Bytes};
use cairn_primitives::{
    BlockHeader, ChainConfig, FeeParams, PriorityTx,
    da::{BlobError, DaMode},
    l2_to_l1::LogTreeError,
    priority::{empty_queue_hash, roll_priority_hash},
};
use cairn_state::WitnessError;
use thiserror::Error;

use crate::error::TxError;

pub use build::{BatchBuilder, PreparedBatch, SealedBatch};
pub use codec::{BatchWitness, CodecError};
pub use reader::ReadError;
pub use run::{BatchResult, execute_batch, prove_batch};

/// Everything that determines a batch, state aside. All of it is bound by the public input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchInput {
    /// The chain.
    pub config: ChainConfig,
    /// Identifier of the guest program that will prove the batch; copied into the public input, where L1 checks it.
    pub guest_program_id: B256,
    /// Fee parameters of all blocks.
    pub fees: FeeParams,
    /// Fee recipient of all blocks.
    pub operator: Address,
    /// Where the pubdata goes.
    pub da_mode: DaMode,
    /// Versioned hashes of the blobs, when there are blobs.
    pub blob_hashes: Vec<B256>,
    /// Number of the batch.
    pub batch_number: u64,
    /// State root before.
    pub prev_state_root: B256,
    /// Leaves before.
    pub prev_leaf_count: u64,
    /// Rolling hash of the priority operations consumed before.
    pub priority_ops_hash_before: B256,
    /// Headers before the batch, newest first: the last block before it, and as many further back as the batch reads block hashes.
    pub ancestors: Vec<BlockHeader>,
    /// The blocks.
    pub blocks: Vec<BlockInput>,
}

/// A block as a batch's input: the rest of its header follows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockInput {
    /// Unix seconds.
    pub timestamp: u64,
    /// Transactions, EIP-2718 encoded.
    pub txs: Vec<Bytes>,
}

/// Why a batch is invalid, or its witness false. There is no public input for such a batch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BatchError {
    /// The witness is no encoding of one.
    #[error("witness: {0}")]
    Codec(#[from] CodecError),
    /// The tree witness is false, or does not cover what the batch touches.
    #[error("state: {0}")]
    State(#[from] WitnessError),
    /// A read during execution found no, or false, data.
    #[error("read: {0}")]
    Read(#[from] ReadError),
    /// The previous state root is no digest.
    #[error("the previous state root is not canonical")]
    PrevRoot,
    /// No header of the block before the batch, or too many.
    #[error("a batch needs 1 to 256 ancestor headers, got {0}")]
    Ancestors(usize),
    /// Ancestor headers do not form a chain of this chain.
    #[error("ancestor header {0} is not the parent of the one after it")]
    AncestorChain(usize),
    /// No blocks, or too many.
    #[error("a batch of {0} blocks")]
    BlockCount(usize),
    /// Too many transactions.
    #[error("a batch of more than {} transactions", crate::limits::MAX_TXS_PER_BATCH)]
    TxCount,
    /// Time runs backwards.
    #[error("block {0} is older than its parent")]
    Timestamp(u64),
    /// A transaction may not enter its block.
    #[error("transaction {index} of block {block} is invalid: {error}")]
    InvalidTx {
        /// Block number.
        block: u64,
        /// Index in the block.
        index: usize,
        /// Why.
        error: TxError,
    },
    /// The EVM met a condition that it defines as fatal.
    #[error("evm: {0}")]
    Evm(alloc::string::String),
    /// Too many L2->L1 logs.
    #[error(transparent)]
    Logs(#[from] LogTreeError),
    /// The data-availability mode is not the chain's policy.
    #[error("the chain's data-availability policy does not allow mode {0:?}")]
    DaMode(DaMode),
    /// The number of blob hashes is wrong.
    #[error("pubdata takes {needed} blobs, {given} hashes were given")]
    BlobCount {
        /// Blobs needed.
        needed: usize,
        /// Hashes given.
        given: usize,
    },
    /// The pubdata does not fit in blobs.
    #[error(transparent)]
    Blob(BlobError),
    /// More pubdata than a batch may carry.
    #[error("{0} bytes of pudata are more than a batch may carry")]
    PubdataTooLarge(usize),
    /// Only natively: the blocks given to the builder are not consecutive or not of this batch.
    #[error("block {have} does not continue the batch: expected {want}")]
    NotConsecutive {
        /// Number given.
        have: u64,
        /// Number expected.
        want: u64,
    },
    /// Only natively: code that the batch read could not be supplied for the witness.
    #[error("code {0} is needed for the witness but was not supplied")]
    MissingCode(B256),
}

/// Rolling hash of the priority queue after these operations.
pub fn roll_priority_ops<'a>(before: B256, ops: impl Iterator<Item = &'a PriorityTx>) -> B256 {
    ops.fold(before, |rolling, op| roll_priority_hash(rolling, op.hash))
}

/// Rolling hash at genesis.
pub fn genesis_priority_hash() -> B256 {
    empty_queue_hash()
}
