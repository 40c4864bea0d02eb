//! Errors.

use std::net::SocketAddr;
use std::path::PathBuf;

use cairn_rpc::ChainError;
use cairn_settlement::l1::L1Error;
use cairn_storage::StorageError;
use thiserror::Error;

/// Result of the explorer's functions.
pub type Result<T, E = ExplorerError> = core::result::Result<T, E>;

/// What goes wrong.
#[derive(Debug, Error)]
pub enum ExplorerError {
    /// The index's file.
    #[error(
        "the explorer's index {0}: {1}. It holds nothing that the chain does not: delete it, and it is built again"
    )]
    Open(PathBuf, #[source] Box<redb::DatabaseError>),
    /// A file operation on it.
    #[error("the explorer's index {0}: {1}")]
    Io(PathBuf, #[source] std::io::Error),
    /// The index's database.
    #[error("the explorer's index: {0}")]
    Database(#[from] Box<redb::Error>),
    /// A damaged record.
    #[error("the explorer's index has a damaged record: {0}")]
    Record(#[from] postcard::Error),
    /// The chain's store.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The chain.
    #[error("{0}")]
    Chain(String),
    /// An execution on the chain.
    #[error(transparent)]
    Rpc(#[from] ChainError),
    /// L1.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// The address cannot be bound.
    #[error(
        "the explorer cannot listen on {0}: {1}. Is the port in use? Choose another one with --explorer-port"
    )]
    Bind(SocketAddr, #[source] std::io::Error),
}

macro_rules! from_redb {
    ($($ty:ty),*) => {
        $(impl From<$ty> for ExplorerError {
            fn from(e: $ty) -> Self {
                Self::Database(Box::new(e.into()))
            }
        })*
    };
}

from_redb!(
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::SavepointError,
    redb::SetDurabilityError
);
