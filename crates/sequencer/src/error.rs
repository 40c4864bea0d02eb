//! Why the sequencer refuses or stops.

use cairn_primitives::PriorityTx;
use cairn_storage::StorageError;
use thiserror::Error;

use crate::state::StateError;

/// Why the sequencer cannot start, or had to stop.
#[derive(Debug, Error)]
pub enum SequencerError {
    /// The store refuses or fails.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// State cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The state-transition function met a fault that is not a transaction's.
    #[error("execution of block {block} failed: {reason}")]
    Execution {
        /// Block that was built or repeated.
        block: u64,
        /// What it said.
        reason: String,
    },
    /// A stored block, executed again, has another hash: the store is damaged, or the program changed the chain's rules.
    #[error(
        "block {0} re-executes to another hash: the data directory is damaged or was written by a program with other rules"
    )]
    Diverged(u64),
    /// A batch's stateless re-execution differs from what was built.
    #[error("batch {batch} failed its own check: {reason}")]
    SelfCheck {
        /// Batch.
        batch: u64,
        /// What differs.
        reason: String,
    },
    /// A batch cannot be built.
    #[error("batch {batch} cannot be built: {reason}")]
    Batch {
        /// Batch.
        batch: u64,
        /// Why.
        reason: String,
    },
    /// A priority operation that execution does not take.
    #[error("priority operation {id} ({hash}) cannot be executed: {reason}", id = .op.id, hash = .op.hash)]
    Priority {
        /// The operation.
        op: Box<PriorityTx>,
        /// Why.
        reason: String,
    },
    /// The sequencer has stopped before.
    #[error("the sequencer has stopped: {0}")]
    Stopped(String),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
    /// A request of a development method that cannot be met.
    #[error("{0}")]
    Refused(String),
}

impl SequencerError {
    /// True when the same blocks may do as smaller batches.
    pub(crate) fn may_be_size(&self) -> bool {
        matches!(self, Self::SelfCheck { .. } | Self::Batch { .. })
    }
}
