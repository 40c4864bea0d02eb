//! A batch's pubdata: what L1 (or another data-availability layer) receives, and what is enough to rebuild the state.
//!
//! ```text
//! version u8 = 2
//! blocks (below)
//! n_logs u32     || n_logs     * L2->L1 log (88 bytes)
//! n_messages u32 || n_messages * (len u32 || bytes)      in the order of the logs that carry their hashes
//! n_codes u32    || n_codes    * (len u32 || bytes)      ascending by keccak256 hash
//! state diffs (see `cairn_state::pubdata`), to the end
//! ```
//! Integers are big-endian, *varints* are LEB128 in their shortest form.
//!
//! The blocks are what their hashes need beyond what L1 keeps of the batch, so that the chain can be continued (and BLOCKHASH answered) from L1 alone:
//! ```text
//! varint n_blocks || entries, until there are n_blocks
//! entry: varint 0            || varint (count - 1) || varint gap          `count` blocks without transactions, each so many seconds after its parent
//!        varint gas_used + 1 || varint gap || txs_rolling_hash 32         a block with transactions
//! ```
//! Neighbouring entries of empty blocks have different gaps, so that a batch has one encoding. Who replays a batch checks the last block's hash against the one
//! that L1 keeps ([`Pubdata::headers`]).

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, Bytes, keccak256};
use cairn_primitives::{
    BlockHeader, FeeParams, L2ToL1Log, address,
    da::MAX_PUBDATA,
    l2_to_l1::{LOG_SIZE, MAX_LOGS_PER_BATCH},
};
use cairn_state::{
    Key, StateDiffs,
    pubdata::{DecodedDiffs, put_varint, read_varint},
};
use thiserror::Error;

use crate::limits::MAX_BLOCKS_PER_BATCH;

/// Version byte.
pub const PUBDATA_VERSION: u8 = 2;
/// Most bytes of a block.
pub const MAX_BLOCK_BYTES: u64 = 2 * 10 + 32;

/// A block as pubdata tells it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PublishedBlock {
    /// Seconds after its parent.
    pub gap: u64,
    /// Gas used.
    pub gas_used: u64,
    /// As in its header; zero without transactions.
    pub txs_rolling_hash: B256,
}

impl PublishedBlock {
    /// What a header needs published.
    pub fn of(header: &BlockHeader, parent_timestamp: u64) -> Self {
        Self {
            gap: header.timestamp.saturating_sub(parent_timestamp),
            gas_used: header.gas_used,
            txs_rolling_hash: header.txs_rolling_hash,
        }
    }

    fn is_empty(&self) -> bool {
        // A rolling hash is zero only where nothing was hashed; a priority operation may use no gas.
        self.gas_used == 0 && self.txs_rolling_hash.is_zero()
    }
}

/// Pubdata in its parts; the state diffs are still bytes, because reading them needs the tree before the batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pubdata {
    /// The blocks in order.
    pub blocks: Vec<PublishedBlock>,
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
    /// A varint is not in its shortest form or too large.
    #[error("pubdata holds a malformed varint")]
    Varint,
    /// No blocks, more than a batch may hold, or not in their one encoding.
    #[error("the blocks in pubdata are malformed at block {0}")]
    Blocks(usize),
    /// The blocks do not lead to the hash that L1 keeps.
    #[error("the blocks in pubdata end in hash {found}, the batch in {kept}")]
    LastBlock {
        /// By the blocks.
        found: B256,
        /// As L1 keeps it.
        kept: B256,
    },
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
    blocks: &[PublishedBlock],
    logs: &[L2ToL1Log],
    messages: &[Bytes],
    codes: impl ExactSizeIterator<Item = &'a Bytes>,
    diffs: &StateDiffs,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + logs.len() * LOG_SIZE + diffs.initial.len() * 48);
    out.push(PUBDATA_VERSION);
    put_blocks(&mut out, blocks);
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

fn put_blocks(out: &mut Vec<u8>, blocks: &[PublishedBlock]) {
    put_varint(blocks.len() as u64, out);
    let mut rest = blocks;
    while let Some((first, others)) = rest.split_first() {
        if first.is_empty() {
            let more = others.iter().take_while(|b| *b == first).count();
            put_varint(0, out);
            put_varint(more as u64, out);
            put_varint(first.gap, out);
            rest = &others[more..];
        } else {
            // Gas of a block is far below 2^64.
            put_varint(first.gas_used.saturating_add(1), out);
            put_varint(first.gap, out);
            out.extend_from_slice(first.txs_rolling_hash.as_slice());
            rest = others;
        }
    }
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
        let blocks = decode_blocks(&mut rest)?;
        let logs = decode_logs(&mut rest)?;
        let messages = rest.list()?;
        let codes = rest.list()?;
        let out =
            Self { blocks, logs, messages, codes, state_diffs: Bytes::copy_from_slice(rest.0) };
        out.check_messages()?;
        out.check_codes()?;
        Ok(out)
    }

    /// The headers of the batch's blocks, checked against the hash that L1 keeps of the last. `parent` is the last block before.
    ///
    /// # Errors
    /// [`PubdataError::LastBlock`], or [`PubdataError::Blocks`] when a number overflows.
    pub fn headers(
        &self,
        parent: &BlockHeader,
        fees: FeeParams,
        beneficiary: Address,
        last_block_hash: B256,
    ) -> Result<Vec<BlockHeader>, PubdataError> {
        let (mut number, mut timestamp, mut hash) =
            (parent.number, parent.timestamp, parent.hash());
        let mut out = Vec::with_capacity(self.blocks.len());
        for (i, block) in self.blocks.iter().enumerate() {
            let overflow = PubdataError::Blocks(i);
            number = number.checked_add(1).ok_or(overflow)?;
            timestamp = timestamp.checked_add(block.gap).ok_or(overflow)?;
            let header = BlockHeader {
                chain_id: parent.chain_id,
                number,
                timestamp,
                parent_hash: hash,
                txs_rolling_hash: block.txs_rolling_hash,
                base_fee: fees.base_fee,
                gas_used: block.gas_used,
                beneficiary,
            };
            hash = header.hash();
            out.push(header);
        }
        if hash != last_block_hash {
            return Err(PubdataError::LastBlock { found: hash, kept: last_block_hash });
        }
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

fn decode_blocks(rest: &mut Rest<'_>) -> Result<Vec<PublishedBlock>, PubdataError> {
    let n = rest.varint()?;
    if n == 0 || n > MAX_BLOCKS_PER_BATCH as u64 {
        return Err(PubdataError::Blocks(0));
    }
    let n = n as usize;
    let mut out: Vec<PublishedBlock> = Vec::with_capacity(n);
    // Gap of the run of empty blocks just before, which another run must not repeat.
    let mut run = None;
    while out.len() < n {
        let wrong = PubdataError::Blocks(out.len());
        match rest.varint()?.checked_sub(1) {
            None => {
                let more = rest.varint()?;
                let gap = rest.varint()?;
                if more >= (n - out.len()) as u64 || run == Some(gap) {
                    return Err(wrong);
                }
                let block = PublishedBlock { gap, ..PublishedBlock::default() };
                out.resize(out.len() + more as usize + 1, block);
                run = Some(gap);
            }
            Some(gas_used) => {
                let gap = rest.varint()?;
                let txs_rolling_hash = B256::from_slice(rest.take(32)?);
                let block = PublishedBlock { gap, gas_used, txs_rolling_hash };
                if block.is_empty() {
                    return Err(wrong);
                }
                out.push(block);
                run = None;
            }
        }
    }
    Ok(out)
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

    fn varint(&mut self) -> Result<u64, PubdataError> {
        read_varint(&mut self.0).ok_or(PubdataError::Varint)
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
