//! The file of a final proof: what it claims, and the bytes that L1 verifies.
//!
//! `CAIRNFIN || version 1 || n u8 || n public inputs of 32 bytes || the proof`, nothing after it.

use std::path::{Path, PathBuf};

use alloy_primitives::{B256, Bytes};
use cairn_aggregator::MAX_BATCHES;
use cairn_storage::{Storage, StorageError};
use thiserror::Error;

use crate::files::{self, FileError};

/// How every file begins.
const MAGIC: &[u8; 8] = b"CAIRNFIN";
/// Format of the rest.
const VERSION: u8 = 1;
/// Largest file that is read; a proof has about 122 KiB.
pub const MAX_BYTES: u64 = 1 << 20;

/// Not such a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FormatError {
    /// It begins with something else.
    #[error("it is no final proof of this program's format")]
    Magic,
    /// Claims for no batch, or for too many.
    #[error("it claims {0} batches, 1 to {MAX_BATCHES} are possible")]
    Batches(usize),
    /// It ends within its claims.
    #[error("it is cut off")]
    Short,
}

/// A proof with what it claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinalFile {
    /// Public inputs of consecutive batches, in order.
    pub public_inputs: Vec<B256>,
    /// What the contract gets.
    pub proof: Bytes,
}

impl FinalFile {
    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend([VERSION, self.public_inputs.len() as u8]);
        self.public_inputs.iter().for_each(|p| out.extend(p));
        out.extend(&self.proof);
        out
    }

    /// Reads a file's bytes. Nothing in it is believed: the verifier judges the proof.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(FormatError::Magic)?;
        let [VERSION, count, rest @ ..] = rest else { return Err(FormatError::Magic) };
        let count = usize::from(*count);
        if !(1..=MAX_BATCHES).contains(&count) {
            return Err(FormatError::Batches(count));
        }
        let (claims, proof) = rest.split_at_checked(32 * count).ok_or(FormatError::Short)?;
        let public_inputs = claims.chunks_exact(32).map(B256::from_slice).collect();
        Ok(Self { public_inputs, proof: Bytes::copy_from_slice(proof) })
    }
}

/// The file of the final proof of batches `first..=last` of a node.
pub fn path(data_dir: &Path, first: u64, last: u64) -> PathBuf {
    data_dir.join("prover").join(format!("final-{first}-{last}.proof"))
}

/// Why final proofs that are there cannot be read.
#[derive(Debug, Error)]
pub enum LoadError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// What the batches claim.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The final proof of the most batches from `first` on and up to `furthest`, with its last batch. A file that is damaged, or of other batches than these, counts as
/// none: the prover makes it again.
///
/// # Errors
/// [`LoadError`].
pub fn longest(
    data_dir: &Path,
    storage: &Storage,
    first: u64,
    furthest: u64,
) -> Result<Option<(u64, FinalFile)>, LoadError> {
    for last in (first..=furthest.min(first + MAX_BATCHES as u64 - 1)).rev() {
        let path = path(data_dir, first, last);
        let Some(bytes) = files::read_if_there(&path, MAX_BYTES)? else { continue };
        let claims: Result<Vec<_>, _> =
            (first..=last).map(|n| storage.batch_info(n).map(|info| info.publicInput)).collect();
        let claims = claims?;
        if let Some(file) = FinalFile::decode(&bytes).ok().filter(|f| f.public_inputs == claims) {
            return Ok(Some((last, file)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_one_form() {
        let file = FinalFile {
            public_inputs: vec![B256::repeat_byte(1), B256::repeat_byte(2)],
            proof: Bytes::from_static(b"proof"),
        };
        let bytes = file.encode();
        assert_eq!(FinalFile::decode(&bytes), Ok(file));
        for cut in 0..8 + 2 + 64 {
            assert!(FinalFile::decode(&bytes[..cut]).is_err(), "{cut} bytes");
        }
        for (at, value) in [(0, b'X'), (8, 2), (9, 0), (9, 5), (9, 255)] {
            let mut bad = bytes.clone();
            bad[at] = value;
            assert!(FinalFile::decode(&bad).is_err(), "byte {at} = {value}");
        }
    }
}
