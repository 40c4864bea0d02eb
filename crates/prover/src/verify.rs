//! The verifier of a whole execution, and the proof's encoding.
//!
//! An execution proof is a verifying key and the proofs of its shards in order. It shows that the program with that id, started on its initial memory with some
//! input, committed the given public input exactly once and halted with exit code 0.

use crate::config::{PARAMS, Params};
use crate::memory::Digest;
use crate::program::HALT_PC;
use crate::shard::{ShardError, ShardProof, VerifyingKey, verify_shard_with};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The most shards of an execution.
pub const MAX_SHARDS: usize = 1 << 14;
/// The largest encoded shard proof.
pub const MAX_SHARD_BYTES: usize = 32 << 20;
/// The largest encoded execution proof: five hundred shards of eight megabytes, which is more than the longest batch that a sequencer seals.
pub const MAX_PROOF_BYTES: usize = 4 << 30;

/// A proof of a whole execution.
#[derive(Serialize, Deserialize)]
pub struct ExecutionProof {
    /// The program's verifying key; the program id is its digest.
    pub vk: VerifyingKey,
    /// The shards in order.
    pub shards: Vec<ShardProof>,
}

/// Why an execution proof is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It is of another program.
    #[error("the proof is of another program")]
    Program,
    /// No shards, or too many.
    #[error("the proof has {0} shards, 1 to {MAX_SHARDS} are possible")]
    ShardCount(usize),
    /// A shard does not start where the one before it ends.
    #[error("shard {0} does not start where the one before it ends")]
    Chain(usize),
    /// The last shard does not end with HALT, or an earlier one does.
    #[error("shard {0} halts although it is not the last, or is the last and does not halt")]
    Halt(usize),
    /// The public input was not committed exactly once, or is another.
    #[error("the public input was not committed exactly once with the expected value")]
    PublicInput,
    /// A shard's proof is refused.
    #[error("shard {0}: {1}")]
    Shard(usize, ShardError),
}

/// The committed words as the 32 bytes that lay in the guest's memory.
pub fn public_input_bytes(words: &[u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes
        .chunks_exact_mut(4)
        .zip(words)
        .for_each(|(chunk, word)| chunk.copy_from_slice(&word.to_le_bytes()));
    bytes
}

/// Verifies that the program `program_id` committed `public_input` and halted with exit code 0.
///
/// # Errors
/// Any reason to refuse the proof. Never panics.
pub fn verify(
    program_id: &[u8; 32],
    public_input: &[u8; 32],
    proof: &ExecutionProof,
) -> Result<(), VerifyError> {
    verify_with(program_id, public_input, proof, &PARAMS)
}

/// As [`verify`], with other parameters of the proof system (tests use cheap ones).
///
/// # Errors
/// Any reason to refuse the proof.
pub fn verify_with(
    program_id: &[u8; 32],
    public_input: &[u8; 32],
    proof: &ExecutionProof,
    params: &Params,
) -> Result<(), VerifyError> {
    if proof.vk.program_id() != *program_id {
        return Err(VerifyError::Program);
    }
    check_chain(public_input, proof)?;
    for (i, shard) in proof.shards.iter().enumerate() {
        verify_shard_with(&proof.vk, shard, params).map_err(|e| VerifyError::Shard(i, e))?;
    }
    Ok(())
}

/// Everything about an execution that the shards' statements show.
fn check_chain(public_input: &[u8; 32], proof: &ExecutionProof) -> Result<(), VerifyError> {
    let shards = &proof.shards;
    if shards.is_empty() || shards.len() > MAX_SHARDS {
        return Err(VerifyError::ShardCount(shards.len()));
    }
    let mut state: (u32, Digest) = (proof.vk.entry, proof.vk.initial_root);
    let mut committed = None;
    for (i, shard) in shards.iter().enumerate() {
        let statement = &shard.statement;
        if (statement.pc[0], statement.root[0]) != state {
            return Err(VerifyError::Chain(i));
        }
        state = (statement.pc[1], statement.root[1]);
        if (state.0 == HALT_PC) != (i + 1 == shards.len()) {
            return Err(VerifyError::Halt(i));
        }
        if let Some(words) = &statement.committed
            && committed.replace(public_input_bytes(words)).is_some()
        {
            return Err(VerifyError::PublicInput);
        }
    }
    if committed.as_ref() != Some(public_input) {
        return Err(VerifyError::PublicInput);
    }
    Ok(())
}

/// Why bytes are no proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Larger than any proof.
    #[error("{0} bytes are more than any proof has")]
    TooLarge(usize),
    /// Not an encoding.
    #[error("malformed encoding: {0}")]
    Malformed(String),
    /// Bytes are left over, or the same value has a shorter encoding.
    #[error("the encoding is not canonical")]
    NotCanonical,
}

/// Encodes a proof.
///
/// # Errors
/// Never for proofs made by this crate.
pub fn encode<T: Serialize>(proof: &T) -> Result<Vec<u8>, DecodeError> {
    postcard::to_allocvec(proof).map_err(|e| DecodeError::Malformed(e.to_string()))
}

/// Decodes a proof of at most `limit` bytes. Every value has exactly one encoding.
///
/// # Errors
/// When the bytes are not the encoding of a proof.
pub fn decode<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    limit: usize,
) -> Result<T, DecodeError> {
    if bytes.len() > limit {
        return Err(DecodeError::TooLarge(bytes.len()));
    }
    let (value, rest) =
        postcard::take_from_bytes::<T>(bytes).map_err(|e| DecodeError::Malformed(e.to_string()))?;
    // Compared piece by piece: a second copy of a long proof would be too much memory.
    let same = postcard::serialize_with_flavor::<T, _, bool>(&value, Same { left: bytes });
    if !rest.is_empty() || same != Ok(true) {
        return Err(DecodeError::NotCanonical);
    }
    Ok(value)
}

/// Compares an encoding with bytes while it is made.
struct Same<'a> {
    left: &'a [u8],
}

impl postcard::ser_flavors::Flavor for Same<'_> {
    type Output = bool;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.left = self.left.strip_prefix(bytes).ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<bool> {
        Ok(self.left.is_empty())
    }
}
