//! The formats of Cairn, each with its one encoder and one decoder: transactions, block headers, L2->L1 logs and their tree, data-availability
//! commitments, batch information with its public input, and the chain's configuration. `no_std`, no I/O, no execution.
//!
//! `ARCHITECTURE.md` shows the same formats as a reader's reference.
#![no_std]

extern crate alloc;

pub mod address;
pub mod batch;
pub mod config;
pub mod da;
pub mod eip712;
pub mod header;
pub mod l2_to_l1;
pub mod priority;
pub mod transaction;

pub use batch::{BatchStatus, PublicInput, StoredBatchInfo};
pub use config::{ChainConfig, DaPolicy, FeeParams};
pub use eip712::Eip712Tx;
pub use header::BlockHeader;
pub use l2_to_l1::{L2ToL1Log, LogTree};
pub use priority::{L2CanonicalTransaction, PriorityTx};
pub use transaction::{Transaction, TransactionError};
