//! Proving and the native verifier.

use crate::FinalAir;
use crate::codec::{CodecError, decode, encode};
use crate::config::{Config, F};
use crate::key::{FinalKey, FinalVk};
use p3_batch_stark::{StarkInstance, prove_batch, verify_batch};
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A proof cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The traces or public values are not of the key's shape.
    #[error("the {0} are not of the key's shape")]
    Shape(&'static str),
    /// The prover refused the traces.
    #[error("the final layer's prover failed: {0}")]
    Stark(String),
    /// The proof cannot be encoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Why a proof is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Not as many public values as the tables have.
    #[error("{got} public values, the key has {expected}")]
    PublicValues {
        /// What was given.
        got: usize,
        /// What the key has.
        expected: usize,
    },
    /// The bytes are no proof.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The proof does not hold.
    #[error("the proof does not hold: {0}")]
    Stark(String),
}

/// Proves traces, and encodes the proof. `public_values` are those of all tables, in order.
///
/// # Errors
/// When the traces are not of the key's heights or do not satisfy the constraints.
pub fn prove_final<A: FinalAir>(
    key: &FinalKey<A>,
    traces: &[RowMajorMatrix<F>],
    public_values: &[F],
) -> Result<Vec<u8>, ProveError> {
    let shape = key.shape();
    let fits = traces.len() == shape.airs.len()
        && traces
            .iter()
            .zip(&shape.airs)
            .all(|(t, a)| t.width() == a.width && t.height() == 1 << a.log_height);
    if !fits {
        return Err(ProveError::Shape("traces"));
    }
    if public_values.len() != shape.num_public() {
        return Err(ProveError::Shape("public values"));
    }
    let instances: Vec<StarkInstance<'_, Config, A>> = key
        .airs()
        .iter()
        .zip(traces)
        .zip(key.split_public(public_values))
        .map(|((air, trace), public_values)| StarkInstance { air, trace, public_values })
        .collect();
    // The prover checks some of its inputs by assertion.
    let proof =
        catch_unwind(AssertUnwindSafe(|| prove_batch(&key.config(), &instances, key.data())))
            .map_err(|_| ProveError::Stark("the traces do not satisfy the constraints".to_owned()))?
            .map_err(|e| ProveError::Stark(format!("{e:?}")))?;
    Ok(encode(shape, &proof)?)
}

/// Verifies an encoded proof: accepts exactly what the contract accepts. Never panics; memory is bounded by a small multiple of the proof's own size, which the
/// key bounds.
///
/// # Errors
/// Any reason to refuse the proof.
pub fn verify_final<A: FinalAir>(
    key: &FinalVk<A>,
    public_values: &[F],
    proof: &[u8],
) -> Result<(), VerifyError> {
    let expected = key.shape().num_public();
    if public_values.len() != expected {
        return Err(VerifyError::PublicValues { got: public_values.len(), expected });
    }
    let proof = decode(key.shape(), proof)?;
    let public = key.split_public(public_values);
    let common = key.common();
    // The library's verifier documents that malformed proofs may make it panic. Decoding leaves no room for a malformed shape; this is the second belt.
    catch_unwind(AssertUnwindSafe(|| {
        verify_batch(&key.config(), key.airs(), &proof, &public, common)
    }))
    .map_err(|_| VerifyError::Stark("malformed".to_owned()))?
    .map_err(|e| VerifyError::Stark(format!("{e}")))
}
