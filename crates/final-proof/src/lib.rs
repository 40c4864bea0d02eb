//! The final layer: a fixed set of tables proven with Keccak-256, for one EVM contract to verify.
//!
//! [`FinalKey`] fixes the tables, their heights and preprocessed columns ([`FinalVk`] is its verifier's part); [`prove_final`] and [`verify_final`] make and check proofs in the one flat encoding of
//! [`codec`]; [`solidity`] writes the key as data for the contract `FinalVerifier`, which interprets it. `verify_final` and the contract accept the same proofs.

pub mod codec;
pub mod config;
pub mod key;
pub mod program;
mod proof;
pub mod security;
pub mod shape;
pub mod solidity;
pub mod statement;

pub use config::{EF, F, PARAMS, Params};
pub use key::{FinalKey, FinalVk, KeyError};
pub use proof::{ProveError, VerifyError, prove_final, verify_final};

use p3_air::{Air, BaseAir, DebugConstraintBuilder};
use p3_batch_stark::folder::{
    ProverConstraintFolderWithLookups, VerifierConstraintFolderWithLookups,
};
use p3_lookup::InteractionSymbolicBuilder;

/// What a table of the final layer must be able to do. Implemented by every AIR that is generic over its builder.
pub trait FinalAir:
    Clone
    + BaseAir<F>
    + Air<InteractionSymbolicBuilder<F, EF>>
    + for<'a> Air<DebugConstraintBuilder<'a, F, EF>>
    + for<'a> Air<ProverConstraintFolderWithLookups<'a, config::Config>>
    + for<'a> Air<VerifierConstraintFolderWithLookups<'a, config::Config>>
{
}

impl<A> FinalAir for A where
    A: Clone
        + BaseAir<F>
        + Air<InteractionSymbolicBuilder<F, EF>>
        + for<'a> Air<DebugConstraintBuilder<'a, F, EF>>
        + for<'a> Air<ProverConstraintFolderWithLookups<'a, config::Config>>
        + for<'a> Air<VerifierConstraintFolderWithLookups<'a, config::Config>>
{
}
