//! What a node keeps: blocks, receipts, state with its history, the state tree, batches with their way through settlement, and the log of
//! accepted transactions, in one data directory.
//!
//! - `chain.redb`: blocks, transactions, receipts, the flat state and its reverse diffs, priority operations. One durable write
//!   transaction a block ([`Storage::commit_block`]).
//! - `batches.redb`: the state tree as of the last sealed batch, and batches with witness, pubdata, proofs and settlement status. One durable
//!   write transaction a batch ([`Storage::seal_batch`]). It has its own writer, so that a batch never holds up a block. It may lag behind
//!   `chain.redb` and is never ahead of it.
//! - `pool/*.log`: accepted transactions, appended and synced in groups ([`TxLog`]), so that an acknowledged transaction survives `kill -9`
//!   before a block holds it.
//!
//! Nothing here knows a rule of the chain.

mod batches;
mod chain;
mod db;
mod error;
mod log;
pub mod model;
mod recovery;
mod savepoint;
mod state_view;
mod tree;

pub use batches::{BatchHeads, SealedBatch};
pub use chain::{BlockCommit, CommittedTx};
pub use db::{ChainIdentity, Storage};
pub use error::{Result, StorageError};
pub use log::{LogEntry, LogWrite, TxLog};
pub use model::{
    Account, BatchRecord, BlockRecord, FinalProofRecord, L1Tx, LogRecord, ProvingRecord,
    ReceiptRecord, SettlementRecord, StateDiff, TxLocation, TxRecord,
};
pub use recovery::RecoveredChain;
pub use savepoint::Savepoint;
pub use state_view::StateSnapshot;
pub use tree::{BatchTree, KEPT_TREES, TreeWrites};
