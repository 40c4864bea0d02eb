//! From the shard proofs of batches to one final proof that an L1 contract verifies.
//!
//! [`Aggregator`] has the keys of every circuit and makes proofs; [`Verifier`] is the small part that checks final proofs. Both know the circuits from [`Circuits`], whose digests are shipped with this
//! crate (`circuits.json`, checked by a test and written by [`Circuits::build`]), so that a process makes only the proving keys that it uses, when it first uses them.

mod aggregator;
mod circuits;
mod settings;
mod verifier;

pub use aggregator::{Aggregator, BatchProof, FinalProof};
pub use circuits::Circuits;
pub use settings::Settings;
pub use verifier::{LayerBits, Refusal, Verifier, VerifierData};

use cairn_final_proof::statement::StatementError;
use cairn_final_proof::{KeyError, ProveError};
use cairn_prover::shape::ShapeError;
use cairn_prover::verify::DecodeError;
use cairn_prover::work::WorkError;
use cairn_recursion::aggregate::AggregateError;
use cairn_recursion::leaf::LeafError;
use cairn_recursion::prove::{CircuitError, CircuitRefusal};
use cairn_recursion::run::RunError;

/// The most batches in one final proof.
pub const MAX_BATCHES: usize = cairn_final_proof::statement::MAX_BATCHES;

/// Why there is no proof, or no key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The proof is of another program than the aggregator's.
    #[error("the proof is of another program")]
    Program,
    /// A shard has a shape that no leaf verifies: it was not made for recursion.
    #[error(
        "shard {0} has a shape that recursion does not take; prove it with `ShardLimits::recursion`"
    )]
    Shape(usize),
    /// The shards do not make up one execution that committed a public input.
    #[error("the shards are no whole execution")]
    Execution,
    /// A batch's proof does not say what it is taken for.
    #[error("the proof of batch {0} of the range does not say that the batch was executed")]
    Batch(usize),
    /// The shipped circuits are not those of this code.
    #[error("{0} is not the circuit that was shipped; run `cairn verifier generate`")]
    Stale(&'static str),
    /// The file of circuits is malformed.
    #[error("the file of circuits is malformed: {0}")]
    File(String),
    /// A proof is not a leaf's.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// A proof is not one that circuits verify.
    #[error(transparent)]
    Aggregate(#[from] AggregateError),
    /// A circuit cannot be proven.
    #[error(transparent)]
    Circuit(#[from] CircuitError),
    /// A circuit does not accept its inputs.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A circuit's proof is refused.
    #[error(transparent)]
    Refused(#[from] CircuitRefusal),
    /// Shapes of shards.
    #[error(transparent)]
    Shapes(#[from] ShapeError),
    /// The final layer's key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The final layer's prover.
    #[error(transparent)]
    Final(#[from] ProveError),
    /// The final proof does not verify.
    #[error(transparent)]
    Check(#[from] Refusal),
    /// No proof can say this.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// Bytes are no proof.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The work directory.
    #[error(transparent)]
    Work(#[from] WorkError),
}
