//! From the shard proofs of batches to one final proof that an L1 contract verifies.
//!
//! [`Aggregator`] holds the keys of every circuit for one guest program; [`Verifier`] is the small part that checks final proofs, from the committed [`VerifierData`].

use alloy_primitives::B256;
use cairn_prover::program::Program;
use cairn_prover::verify::ExecutionProof;
use std::path::Path;
use std::sync::Arc;

/// The most batches in one final proof.
pub const MAX_BATCHES: usize = 4;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is built yet.
    #[error("not built yet")]
    NotBuilt,
}

/// Why a final proof is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the final proof is refused: {0}")]
pub struct Refusal(pub String);

/// One batch's execution as a single proof of the recursion layer.
pub struct BatchProof {
    /// The public input of the batch.
    public_input: B256,
}

impl BatchProof {
    /// The public input of the batch.
    pub fn public_input(&self) -> B256 {
        self.public_input
    }
    /// The one encoding.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        Err(Error::NotBuilt)
    }
    /// Reads an encoding. What it claims is checked by [`Aggregator::finish`].
    pub fn decode(_bytes: &[u8]) -> Result<Self, Error> {
        Err(Error::NotBuilt)
    }
}

/// A proof for the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalProof {
    /// What the contract gets as `proof`.
    pub bytes: Vec<u8>,
    /// The public inputs of the batches, in order.
    pub public_inputs: Vec<B256>,
}

/// Proven bits of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerBits {
    /// shard, leaf, node, root, shrink, final.
    pub layer: &'static str,
    /// Of the weakest term.
    pub bits: f64,
    /// By the union bound over all terms.
    pub union_bits: f64,
}

/// What deployment and verification need; small, committed as `guest/final.json`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifierData {
    /// The guest program: the contract's `programId`.
    pub program_id: B256,
    /// Keccak-256 of the key's description: the contract's `keyDigest`.
    pub key_digest: B256,
    /// log2 heights of the last circuit's tables.
    pub log_heights: [u8; 5],
    /// Commitment to the last circuit's fixed columns: with it, every other circuit and shape.
    pub fixed_root: B256,
}

impl VerifierData {
    /// What this build was shipped with (`guest/final.json`).
    pub fn shipped() -> Result<Self, Error> {
        Err(Error::NotBuilt)
    }
    /// The runtime code of the data contracts (one or two), whose addresses `FinalVerifier`'s constructor takes after `key_digest` and `program_id`
    /// (the zero address for an absent second).
    pub fn data_code(&self) -> Result<Vec<Vec<u8>>, Error> {
        Err(Error::NotBuilt)
    }
    /// The key as Solidity source: `FinalKeyData.sol`.
    pub fn solidity(&self) -> Result<String, Error> {
        Err(Error::NotBuilt)
    }
}

/// Verifies final proofs: accepts exactly what the contract accepts.
pub struct Verifier {}

impl Verifier {
    /// From the shipped data; milliseconds.
    pub fn new(_data: &VerifierData) -> Result<Self, Error> {
        Err(Error::NotBuilt)
    }
    /// Checks a proof for the public inputs of 1 to [`MAX_BATCHES`] batches.
    pub fn verify(&self, _public_inputs: &[B256], _proof: &[u8]) -> Result<(), Refusal> {
        Err(Refusal("not built yet".to_owned()))
    }
}

/// The keys of every circuit, for one program.
pub struct Aggregator {}

impl Aggregator {
    /// Builds all keys (at most a minute), or takes what it can from `cache` and checks it.
    pub fn open(_program: Arc<Program>, _cache: Option<&Path>) -> Result<Self, Error> {
        Err(Error::NotBuilt)
    }
    /// One batch's shard proofs to one proof. `work` (a directory) keeps finished steps, so that a killed process resumes; `progress` hears of `(steps done, steps)`.
    pub fn wrap_batch(
        &self,
        _proof: &ExecutionProof,
        _work: Option<&Path>,
        _progress: &mut dyn FnMut(usize, usize),
    ) -> Result<BatchProof, Error> {
        Err(Error::NotBuilt)
    }
    /// Consecutive batches (1 to [`MAX_BATCHES`]) to one final proof, natively verified before it is returned.
    pub fn finish(&self, _batches: &[BatchProof]) -> Result<FinalProof, Error> {
        Err(Error::NotBuilt)
    }
    /// The verifier of this aggregator's proofs.
    pub fn verifier(&self) -> &Verifier {
        unimplemented!()
    }
    /// What deployment needs.
    pub fn verifier_data(&self) -> &VerifierData {
        unimplemented!()
    }
    /// Proven bits of all layers.
    pub fn security_report(&self) -> Vec<LayerBits> {
        Vec::new()
    }
}
