//! The state-transition function of Cairn: the only implementation of the chain's rules.
//!
//! The sequencer runs it natively to build blocks ([`BlockExecutor`]), attesters and the VM run it statelessly ([`prove_batch`]), and the RPC
//! simulates and traces through the same steps. What it computes is what L1 verifies.
//!
//! A transaction's life is five named steps (module [`life`]): **validate, pay, execute, charge pubdata, refund**.
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod batch;
pub mod block;
pub mod changes;
pub mod da;
pub mod db;
pub mod error;
pub mod evm;
pub mod genesis;
pub mod life;
pub mod limits;
pub mod meter;
pub mod precompiles;
pub mod pubdata;
pub mod reader;
pub mod simulate;
pub mod tx;
pub mod work;

pub use batch::{
    BatchBuilder, BatchError, BatchInput, BatchResult, BatchWitness, PreparedBatch, SealedBatch,
    execute_batch, prove_batch,
};
pub use block::{BlockEnvParams, BlockExecutor, BlockOutput};
pub use changes::{StateChanges, TouchedKeys};
pub use db::{AccountOverride, StateOverrides};
pub use error::{ExecError, TxError};
pub use life::{Failure, TxResult};
pub use meter::{BatchLimits, BatchUsage};
pub use reader::{AccountState, StateReader};
pub use simulate::{BlockOverrides, CallRequest, CallResult, EstimateError, Simulator};
pub use tx::RecoveredTx;
pub use work::Work;

/// Re-export, so that users name the very revm that executes.
pub use revm;
