//! A batch's pubdata: what L1 (or another data-availability layer) receives, and what is enough to rebuild the state.
//!
//! ```text
//! version u8 = 1
//! n_logs u32     || n_logs     * L2->L1 log (88 bytes)
//! n_messages u32 || n_messages * (len u32 || bytes)      in the order of the logs that carry their hashes
//! n_codes u32    || n_codes    * (len u32 || bytes)      ascending by keccak256 hash
//! state diffs (see `cairn_state::pubdata`), to the end
//! ```
//! Integers are big-endian.

use alloc::vec::Vec;

use alloy_primitives::{B256, Bytes, keccak256};
use cairn_primitives::{
    L2ToL1Log, address,
    da::MAX_PUBDATA,
    l2_to_l1::{LOG_SIZE, MAX_LOGS_PER_BATCH},
};
use cairn_state::{Key, StateDiffs, pubdata::DecodedDiffs};
use thiserror::Error;

/// Version byte.
pub const PUBDATA_VERSION: u8 = 1;

/// Pubdata in its parts; the state diffs are still bytes, because reading them needs the tree before the batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pubdata {
    /// L2->L1 logs in order.
    pub logs: Vec<L2ToL1Log>,
    /// Messages to L1, in the order of their logs.
    pub messages: Vec<Bytes>,
    /// Code published for the first time, ascending by keccak256 hash.
    pub codes: Vec<Bytes>,
    /// Encoded state diffs.
    pub state_diffs: Bytes,
}

/// Why bytes are no pubdata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PubdataError {
    /// More than a batch may carry.
    #[error("{0} bytes of pubdata, more than {MAX_PUBDATA}")]
    TooLarge(usize),
    /// Another version.
    #[error("unknown pubdata version {0}")]
    Version(u8),
    /// The bytes end within an item.
    #[error("pubdata is cut off")]
    Truncated,
    /// More logs than a batch may carry.
    #[error("pubdata claims {0} L2->L1 logs")]
    TooManyLogs(u32),
    /// A log's boolean is neither 0 nor 1.
    #[error("L2->L1 log {0} is malformed")]
    Log(usize),
    /// A message is not the one whose hash its log carries, or their numbers differ.
    #[error("message {0} does not match its L2->L1 log")]
    Message(usize),
    /// Codes are not strictly ascending by hash.
    #[error("published code {0} is out of order")]
    Code(usize),
}

/// Encodes pubdata from the results of a batch. `codes` come ascending by hash.
pub fn encode<'a>(
    logs: &[L2ToL1Log],
    messages: &[Bytes],
    codes: impl ExactSizeIterator<Item = &'a Bytes>,
    diffs: &StateDiffs,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + logs.len() * LOG_SIZE + diffs.initial.len() * 48);
    out.push(PUBDATA_VERSION);
    put_len(&mut out, logs.len());
    for log in logs {
        out.extend_from_slice(&log.pack());
    }
    put_len(&mut out, messages.len());
    for message in messages {
        put_bytes(&mut out, message);
    }
    put_len(&mut out, codes.len());
    for code in codes {
        put_bytes(&mut out, code);
    }
    cairn_state::pubdata::encode_into(diffs, &mut out);
    out
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    // Counts and lengths are bounded by MAX_PUBDATA, far below 2^32; the caller checks the whole.
    out.extend_from_slice(&(len as u32).to_be_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

impl Pubdata {
    /// Reads pubdata and checks messages against their logs.
    ///
    /// # Errors
    /// [`PubdataError`]; memory is bounded by the length of the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, PubdataError> {
        if bytes.len() > MAX_PUBDATA {
            return Err(PubdataError::TooLarge(bytes.len()));
        }
        let mut rest = Rest(bytes);
        let version = rest.take(1)?[0];
        if version != PUBDATA_VERSION {
            return Err(PubdataError::Version(version));
        }
        let logs = decode_logs(&mut rest)?;
        let messages = rest.list()?;
        let codes = rest.list()?;
        let out = Self { logs, messages, codes, state_diffs: Bytes::copy_from_slice(rest.0) };
        out.check_messages()?;
        out.check_codes()?;
        Ok(out)
    }

    fn check_messages(&self) -> Result<(), PubdataError> {
        let hashes: Vec<B256> = self
            .logs
            .iter()
            .filter(|log| log.sender == address::L1_MESSENGER)
            .map(|log| log.value)
            .collect();
        let count = hashes.len().max(self.messages.len());
        let wrong =
            (0..count).find(|i| self.messages.get(*i).map(keccak256) != hashes.get(*i).copied());
        wrong.map_or(Ok(()), |i| Err(PubdataError::Message(i)))
    }

    fn check_codes(&self) -> Result<(), PubdataError> {
        let hashes: Vec<B256> = self.codes.iter().map(keccak256).collect();
        let wrong = (1..hashes.len()).find(|i| hashes[i - 1] >= hashes[*i]);
        wrong.map_or(Ok(()), |i| Err(PubdataError::Code(i)))
    }

    /// The published codes under their keys: (keccak256, code, key of the leaf that holds the Poseidon2 hash, that hash).
    pub fn code_leaves(
        &self,
    ) -> impl Iterator<Item = (B256, &Bytes, Key, alloy_primitives::U256)> + '_ {
        self.codes.iter().map(|code| {
            let hash = keccak256(code);
            let digest = cairn_state::code::code_digest(code).to_u256();
            (hash, code, Key::code(&hash), digest)
        })
    }

    /// Reads the state diffs against the tree as it was before the batch.
    ///
    /// # Errors
    /// When the diffs are malformed or the tree cannot be read.
    pub fn decode_diffs<E>(
        &self,
        leaf_count: u64,
        leaf_at: impl FnMut(u64) -> Result<Option<(Key, alloy_primitives::U256)>, E>,
    ) -> Result<DecodedDiffs, cairn_state::pubdata::DiffError<E>> {
        cairn_state::pubdata::decode(&self.state_diffs, leaf_count, leaf_at)
    }
}

fn decode_logs(rest: &mut Rest<'_>) -> Result<Vec<L2ToL1Log>, PubdataError> {
    let n = rest.u32()?;
    if n as usize > MAX_LOGS_PER_BATCH {
        return Err(PubdataError::TooManyLogs(n));
    }
    let packed = rest.take(n as usize * LOG_SIZE)?.as_chunks::<LOG_SIZE>().0;
    let unpack = |(i, bytes)| L2ToL1Log::unpack(bytes).ok_or(PubdataError::Log(i));
    packed.iter().enumerate().map(unpack).collect()
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], PubdataError> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(PubdataError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, PubdataError> {
        let bytes = self.take(4)?.first_chunk().ok_or(PubdataError::Truncated)?;
        Ok(u32::from_be_bytes(*bytes))
    }

    fn list(&mut self) -> Result<Vec<Bytes>, PubdataError> {
        let n = self.u32()? as usize;
        // Each item takes at least its length's four bytes.
        let mut out = Vec::with_capacity(n.min(self.0.len() / 4));
        for _ in 0..n {
            let len = self.u32()? as usize;
            out.push(Bytes::copy_from_slice(self.take(len)?));
        }
        Ok(out)
    }
}
