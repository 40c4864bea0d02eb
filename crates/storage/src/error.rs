//! Why the store refuses or fails.

use std::io;
use std::path::PathBuf;

use alloy_primitives::B256;
use thiserror::Error;

/// Result of this crate.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// Why the store refuses or fails.
#[derive(Debug, Error)]
pub enum StorageError {
    /// Written by another version of the program.
    #[error(
        "the data directory {path} has format version {found}, this program reads version {expected}: use the program that wrote it, or another --data-dir"
    )]
    FormatVersion {
        /// Data directory.
        path: PathBuf,
        /// Version found.
        found: u64,
        /// Version that this program reads.
        expected: u64,
    },
    /// Holds another chain.
    #[error(
        "the data directory {path} belongs to another chain (its {what} is {found}, this chain's is {expected}): use another --data-dir"
    )]
    WrongChain {
        /// Data directory.
        path: PathBuf,
        /// Which identifier differs.
        what: &'static str,
        /// Identifier found.
        found: B256,
        /// Identifier of the chain that was asked for.
        expected: B256,
    },
    /// Another process has it open.
    #[error("the data directory {0} is in use by another process")]
    Locked(PathBuf),
    /// The disk (or quota) is full.
    #[error("no space left on the disk of the data directory: free some and start again")]
    DiskFull,
    /// An input/output error.
    #[error("i/o error in the data directory: {0}")]
    Io(io::Error),
    /// The database refuses or fails.
    #[error("database: {0}")]
    Database(Box<redb::Error>),
    /// A record does not decode, or records contradict each other.
    #[error("the data directory is corrupt: {0}")]
    Corrupt(String),
    /// A block, batch or operation does not follow the last one.
    #[error("{what} {got} does not follow: expected {expected}")]
    Order {
        /// What is out of order.
        what: &'static str,
        /// Number given.
        got: u64,
        /// Number that would follow.
        expected: u64,
    },
    /// A block's parent is not the head.
    #[error("block {number} has parent {got}, the head is {expected}")]
    Parent {
        /// Number of the block.
        number: u64,
        /// Parent given.
        got: B256,
        /// Hash of the head.
        expected: B256,
    },
    /// L1 shows another operation at an index that a block already consumed.
    #[error(
        "priority operation {id} was executed as {executed}, and L1 now shows {got}: L1 reorganised deeper than the confirmation depth"
    )]
    PriorityConflict {
        /// Index in the queue.
        id: u64,
        /// Hash of the executed operation.
        executed: B256,
        /// Hash given.
        got: B256,
    },
    /// L1 took an operation back while a block that consumes it was built; build the block again.
    #[error("priority operation {0} was taken back by L1")]
    PriorityGone(u64),
    /// There is no such batch.
    #[error("batch {0} is not sealed")]
    UnknownBatch(u64),
    /// The log of accepted transactions is behind; try again.
    #[error("the log of accepted transactions is busy")]
    Busy,
    /// A record is larger than its bound.
    #[error("a {what} of {size} bytes exceeds {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        size: usize,
        /// Its bound.
        limit: usize,
    },
}

impl StorageError {
    /// True when nothing can be written any more until the operator acts.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::DiskFull | Self::Io(_) | Self::Database(_) | Self::Corrupt(_))
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt(what.into())
    }
}

impl From<io::Error> for StorageError {
    fn from(e: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match e.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::DiskFull,
            _ => Self::Io(e),
        }
    }
}

impl From<redb::Error> for StorageError {
    fn from(e: redb::Error) -> Self {
        match e {
            redb::Error::Io(io) => io.into(),
            redb::Error::Corrupted(what) => Self::Corrupt(what),
            other => Self::Database(Box::new(other)),
        }
    }
}

macro_rules! through_redb_error {
    ($($t:ty),*) => {$(
        impl From<$t> for StorageError {
            fn from(e: $t) -> Self {
                redb::Error::from(e).into()
            }
        }
    )*};
}

through_redb_error!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::SavepointError,
    redb::DatabaseError
);

impl From<postcard::Error> for StorageError {
    fn from(e: postcard::Error) -> Self {
        Self::Corrupt(format!("a record does not decode: {e}"))
    }
}
