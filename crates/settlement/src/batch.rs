//! What settlement needs of a sealed batch, and where it gets it from.

use std::{error::Error as StdError, ops::RangeInclusive, sync::Arc};

use alloy_primitives::{B256, Bytes, FixedBytes};
use cairn_primitives::{
    FeeParams, PublicInput, StoredBatchInfo,
    da::{BlobClaim, DaMode},
};

/// A sealed batch, ready to be committed.
#[derive(Debug, Clone)]
pub struct SealedBatch {
    /// Its claims.
    pub public_input: PublicInput,
    /// What L1 keeps of it.
    pub stored: StoredBatchInfo,
    /// The fee parameters whose hash is among the claims.
    pub fee_params: FeeParams,
    /// How its pubdata travels.
    pub da_mode: DaMode,
    /// The pubdata.
    pub pubdata: Bytes,
    /// For blobs: what ties each to the pubdata.
    pub claims: Vec<BlobClaim>,
    /// KZG commitments of the blobs, in the order of the claims.
    pub commitments: Vec<FixedBytes<48>>,
}

/// An error of whoever keeps the batches.
pub type SourceError = Box<dyn StdError + Send + Sync>;

/// A step that a batch took on L1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its data and claims are on L1.
    Committed,
    /// Its proof was accepted.
    Proven,
    /// It is final.
    Executed,
}

/// The L1 transaction by which a batch took a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct L1Tx {
    /// Hash.
    pub hash: B256,
    /// Block it is in.
    pub block: u64,
    /// Timestamp of that block, in seconds.
    pub timestamp: u64,
    /// Gas used; `None` when L1 no longer tells.
    pub gas_used: Option<u64>,
}

/// Keeper of the sealed batches; the node implements it over its storage.
pub trait BatchSource: Send + Sync + 'static {
    /// Number of the newest sealed batch (0 when there is only genesis).
    fn newest(&self) -> Result<u64, SourceError>;
    /// A sealed batch. Batch 0 is genesis, of which only `stored` is used.
    fn stored(&self, number: u64) -> Result<Option<StoredBatchInfo>, SourceError>;
    /// A sealed batch with its data.
    fn sealed(&self, number: u64) -> Result<Option<SealedBatch>, SourceError>;
    /// Takes every batch to where L1 says it is, up or down. True when one is further than was known, so that its transactions may be missing.
    fn follow(&self, on_l1: Counters) -> Result<bool, SourceError>;
    /// Remembers the L1 transaction by which batches took a step, all of them at once. Called again with the same values after a crash.
    fn record(
        &self,
        batches: RangeInclusive<u64>,
        step: Step,
        l1_tx: L1Tx,
    ) -> Result<(), SourceError>;
}

/// How far L1 has taken the chain's batches: each is the number of the last one that is at least that far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Batches committed on L1.
    pub committed: u64,
    /// Batches proven on L1.
    pub proven: u64,
    /// Batches executed on L1.
    pub executed: u64,
}

/// Shared batch source.
pub type SharedBatches = Arc<dyn BatchSource>;

/// A proof for a range of consecutive batches, in the format of the chain's verifier contract.
#[derive(Debug, Clone)]
pub struct RangeProof {
    /// First batch.
    pub first: u64,
    /// Last batch.
    pub last: u64,
    /// Calldata for `proveBatches`.
    pub proof: Bytes,
}

/// Keeper of proofs: attestations, validity proofs, or both joined.
pub trait ProofSource: Send + Sync + 'static {
    /// A proof that starts at batch `first` and ends no later than `last`, if there is one by now.
    fn proof(&self, first: u64, last: u64) -> Result<Option<RangeProof>, SourceError>;
    /// The verifier refused a proof. The node keeps the evidence; settlement stops until a person has looked at it.
    fn refused(&self, proof: &RangeProof, reason: &str);
}
