//! The sequencer: it takes transactions, builds blocks, and seals batches.
//!
//! | file | duty |
//! |---|---|
//! | [`mempool`] | transactions that wait: order, replacement, bounds (pure) |
//! | [`admission`] | checks of a transaction alone |
//! | `builder` | the thread that builds blocks; it alone writes to the chain |
//! | `batcher` | the thread that seals batches: witness, own check, store |
//! | [`state`] | what execution reads, behind caches |
//! | [`clock`] | blocks' time |
//! | [`genesis`] | the first block in a fresh data directory |
//! | `recovery` | the start: pool from the log, open batch from the blocks |
//! | [`rpc`] | the rollup behind the JSON-RPC server |
//!
//! An acknowledged transaction is in the log of accepted transactions ([`cairn_storage::TxLog`]) on the disk; a block is on the disk before anyone hears
//! of it. The start is the recovery: nothing is written at an orderly end that a `kill -9` would miss.

pub mod admission;
mod batcher;
mod builder;
pub mod clock;
pub mod config;
pub mod error;
pub mod genesis;
mod handle;
mod judge;
pub mod mempool;
mod recovery;
pub mod rpc;
mod shared;
pub mod state;

pub use config::{BatchConfig, BlockTime, MempoolLimits, ProofRun, SequencerConfig};
pub use error::SequencerError;
pub use genesis::open_storage;
pub use handle::{Sequencer, SequencerStatus, Snapshot};
pub use rpc::{
    BridgeInfo, L2Rpc,
    cheats::{Cheats, Rewind},
};
