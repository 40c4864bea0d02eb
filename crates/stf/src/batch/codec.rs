//! The encoding of a batch's witness: what the VM reads.
//!
//! Little-endian 32-bit words, so that the guest borrows the tree witness in place:
//! `[MAGIC, words of the tree witness] || tree witness || body`, and a body of bytes: the fields of [`BatchInput`] in order, then the codes, padded with
//! zero bytes to a whole word. Integers in the body are little-endian; lists and byte strings start with a u32 length. Decoding allocates no more than a
//! small multiple of the bytes given, and one witness has one encoding.

use alloc::{borrow::Cow, vec::Vec};

use alloy_primitives::{Address, B256, Bytes};
use cairn_primitives::{
    BlockHeader, ChainConfig, DaPolicy, FeeParams,
    da::{DaMode, MAX_BLOBS_PER_BATCH},
    transaction::MAX_TX_SIZE,
};
use cairn_state::TreeWitness;
use thiserror::Error;

use super::{BatchInput, BlockInput};
use crate::limits::{
    BLOCK_HASH_WINDOW, MAX_BLOCKS_PER_BATCH, MAX_TXS_PER_BATCH, MAX_TXS_PER_BLOCK,
};

/// First word: "CWv1".
pub const MAGIC: u32 = u32::from_le_bytes(*b"CWv1");
/// Largest witness in bytes.
pub const MAX_WITNESS_SIZE: usize = 256 << 20;
/// Most codes of a witness.
pub const MAX_CODES: usize = 1 << 16;
/// Most bytes of one code (the limit at genesis; EIP-170's is lower).
pub const MAX_CODE_SIZE: usize = 1 << 20;

/// Why bytes are no witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CodecError {
    /// Too large.
    #[error("a witness of {0} bytes")]
    TooLarge(usize),
    /// Not a whole number of words.
    #[error("a witness of {0} bytes is no whole number of words")]
    PartialWord(usize),
    /// Another format.
    #[error("not a batch witness of this version")]
    Magic,
    /// The bytes end within an item.
    #[error("the witness is cut off")]
    Truncated,
    /// Bytes are left over.
    #[error("bytes follow the witness")]
    Trailing,
    /// A length or value is out of range.
    #[error("field `{0}` of the witness is out of range")]
    Field(&'static str),
    /// Codes are not strictly ascending by hash.
    #[error("code {0} of the witness is out of order")]
    CodeOrder(usize),
}

/// All that a batch's stateless execution needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchWitness {
    /// What determines the batch.
    pub input: BatchInput,
    /// Codes that the batch runs, with their keccak256 hashes, ascending. The hash is a claim, checked against the state when the code is used.
    pub codes: Vec<(B256, Bytes)>,
    /// The touched state.
    pub tree: TreeWitness,
}

impl BatchWitness {
    /// Encodes.
    pub fn encode(&self) -> Vec<u8> {
        let tree = self.tree.to_words();
        let mut out = Vec::with_capacity(tree.len() * 4 + 4096);
        out.extend_from_slice(&MAGIC.to_le_bytes());
        out.extend_from_slice(&(tree.len() as u32).to_le_bytes());
        out.extend(tree.iter().flat_map(|w| w.to_le_bytes()));
        put_input(&mut out, &self.input);
        put_len(&mut out, self.codes.len());
        for (hash, code) in &self.codes {
            out.extend_from_slice(hash.as_slice());
            put_bytes(&mut out, code);
        }
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    /// Decodes.
    ///
    /// # Errors
    /// [`CodecError`], or the tree witness's own error within [`super::BatchError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, super::BatchError> {
        let parts = Parts::decode(bytes)?;
        let tree = TreeWitness::from_words(&parts.tree)?;
        let codes = parts.codes.into_iter().map(|(h, c)| (h, Bytes::copy_from_slice(c))).collect();
        Ok(Self { input: parts.input, codes, tree })
    }
}

/// A decoded witness whose tree part is borrowed if the bytes are aligned.
pub(super) struct Parts<'a> {
    pub input: BatchInput,
    /// Borrowed: what is run is copied once, when it is analysed.
    pub codes: Vec<(B256, &'a [u8])>,
    pub tree: Cow<'a, [u32]>,
}

impl<'a> Parts<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, CodecError> {
        if bytes.len() > MAX_WITNESS_SIZE {
            return Err(CodecError::TooLarge(bytes.len()));
        }
        if !bytes.len().is_multiple_of(4) {
            return Err(CodecError::PartialWord(bytes.len()));
        }
        let mut rest = Rest(bytes);
        if rest.u32()? != MAGIC {
            return Err(CodecError::Magic);
        }
        let tree_words = rest.u32()? as usize;
        let tree_bytes = tree_words.checked_mul(4).ok_or(CodecError::Truncated)?;
        let tree = as_words(rest.take(tree_bytes)?);
        let input = rest.input()?;
        let codes = rest.codes()?;
        if rest.0.len() >= 4 || rest.0.iter().any(|b| *b != 0) {
            return Err(CodecError::Trailing);
        }
        Ok(Self { input, codes, tree })
    }
}

/// The words of bytes whose length is a multiple of four; a copy only where the bytes are not aligned (or the machine is big-endian).
fn as_words(bytes: &[u8]) -> Cow<'_, [u32]> {
    #[cfg(target_endian = "little")]
    {
        // SAFETY: every bit pattern is a valid u32, and `align_to` yields only in-bounds, aligned words.
        let (head, words, tail) = unsafe { bytes.align_to::<u32>() };
        if head.is_empty() && tail.is_empty() {
            return Cow::Borrowed(words);
        }
    }
    Cow::Owned(bytes.as_chunks::<4>().0.iter().map(|w| u32::from_le_bytes(*w)).collect())
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    // Every list is bounded far below 2^32 by the decoder and by the batch's limits.
    out.extend_from_slice(&(len as u32).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_input(out: &mut Vec<u8>, input: &BatchInput) {
    out.extend_from_slice(&input.config.chain_id.to_le_bytes());
    out.extend_from_slice(&input.config.settlement_chain_id.to_le_bytes());
    out.extend_from_slice(input.config.base_token_asset_id.as_slice());
    out.push(input.config.da_policy as u8);
    out.extend_from_slice(input.guest_program_id.as_slice());
    out.extend_from_slice(&input.fees.base_fee.to_le_bytes());
    out.extend_from_slice(&input.fees.gas_per_pubdata.to_le_bytes());
    out.extend_from_slice(input.operator.as_slice());
    out.push(input.da_mode as u8);
    put_len(out, input.blob_hashes.len());
    for hash in &input.blob_hashes {
        out.extend_from_slice(hash.as_slice());
    }
    out.extend_from_slice(&input.batch_number.to_le_bytes());
    out.extend_from_slice(input.prev_state_root.as_slice());
    out.extend_from_slice(&input.prev_leaf_count.to_le_bytes());
    out.extend_from_slice(input.priority_ops_hash_before.as_slice());
    put_len(out, input.ancestors.len());
    for header in &input.ancestors {
        put_header(out, header);
    }
    put_len(out, input.blocks.len());
    for block in &input.blocks {
        out.extend_from_slice(&block.timestamp.to_le_bytes());
        put_len(out, block.txs.len());
        for tx in &block.txs {
            put_bytes(out, tx);
        }
    }
}

/// A header less its chain id, which is the batch's.
fn put_header(out: &mut Vec<u8>, h: &BlockHeader) {
    out.extend_from_slice(&h.number.to_le_bytes());
    out.extend_from_slice(&h.timestamp.to_le_bytes());
    out.extend_from_slice(h.parent_hash.as_slice());
    out.extend_from_slice(h.txs_rolling_hash.as_slice());
    out.extend_from_slice(&h.base_fee.to_le_bytes());
    out.extend_from_slice(&h.gas_used.to_le_bytes());
    out.extend_from_slice(h.beneficiary.as_slice());
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(CodecError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        self.take(N)?.try_into().map_err(|_| CodecError::Truncated)
    }

    fn u8(&mut self) -> Result<u8, CodecError> {
        Ok(self.array::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u32, CodecError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, CodecError> {
        self.array().map(u64::from_le_bytes)
    }

    fn b256(&mut self) -> Result<B256, CodecError> {
        self.array().map(B256::new)
    }

    fn address(&mut self) -> Result<Address, CodecError> {
        self.array().map(Address::new)
    }

    /// A list's length: at most `most`, and no more than the remaining bytes can hold at `item` bytes each.
    fn len(&mut self, most: usize, item: usize, name: &'static str) -> Result<usize, CodecError> {
        let n = self.u32()? as usize;
        if n > most || n > self.0.len() / item {
            return Err(CodecError::Field(name));
        }
        Ok(n)
    }

    fn bytes(&mut self, most: usize, name: &'static str) -> Result<Bytes, CodecError> {
        let n = self.len(most, 1, name)?;
        self.take(n).map(Bytes::copy_from_slice)
    }

    fn input(&mut self) -> Result<BatchInput, CodecError> {
        let config = self.config()?;
        let chain_id = config.chain_id;
        Ok(BatchInput {
            config,
            guest_program_id: self.b256()?,
            fees: FeeParams { base_fee: self.u64()?, gas_per_pubdata: self.u64()? },
            operator: self.address()?,
            da_mode: DaMode::from_u8(self.u8()?).ok_or(CodecError::Field("da_mode"))?,
            blob_hashes: {
                let n = self.len(MAX_BLOBS_PER_BATCH, 32, "blob_hashes")?;
                (0..n).map(|_| self.b256()).collect::<Result<_, _>>()?
            },
            batch_number: self.u64()?,
            prev_state_root: self.b256()?,
            prev_leaf_count: self.u64()?,
            priority_ops_hash_before: self.b256()?,
            ancestors: {
                let n = self.len(BLOCK_HASH_WINDOW as usize, 116, "ancestors")?;
                (0..n).map(|_| self.header(chain_id)).collect::<Result<_, _>>()?
            },
            blocks: self.blocks()?,
        })
    }

    fn config(&mut self) -> Result<ChainConfig, CodecError> {
        Ok(ChainConfig {
            chain_id: self.u64()?,
            settlement_chain_id: self.u64()?,
            base_token_asset_id: self.b256()?,
            da_policy: match self.u8()? {
                0 => DaPolicy::Rollup,
                1 => DaPolicy::Validium,
                _ => return Err(CodecError::Field("da_policy")),
            },
        })
    }

    fn header(&mut self, chain_id: u64) -> Result<BlockHeader, CodecError> {
        Ok(BlockHeader {
            chain_id,
            number: self.u64()?,
            timestamp: self.u64()?,
            parent_hash: self.b256()?,
            txs_rolling_hash: self.b256()?,
            base_fee: self.u64()?,
            gas_used: self.u64()?,
            beneficiary: self.address()?,
        })
    }

    fn blocks(&mut self) -> Result<Vec<BlockInput>, CodecError> {
        let n = self.len(MAX_BLOCKS_PER_BATCH, 12, "blocks")?;
        let mut left = MAX_TXS_PER_BATCH;
        let mut out = Vec::with_capacity(n);
        for _ in 0..n {
            let timestamp = self.u64()?;
            let count = self.len(MAX_TXS_PER_BLOCK.min(left), 4, "txs")?;
            left -= count;
            let txs = (0..count).map(|_| self.bytes(MAX_TX_SIZE, "tx"));
            out.push(BlockInput { timestamp, txs: txs.collect::<Result<_, _>>()? });
        }
        Ok(out)
    }

    fn codes(&mut self) -> Result<Vec<(B256, &'a [u8])>, CodecError> {
        let n = self.len(MAX_CODES, 36, "codes")?;
        let mut out: Vec<(B256, &[u8])> = Vec::with_capacity(n);
        for i in 0..n {
            let hash = self.b256()?;
            let len = self.len(MAX_CODE_SIZE, 1, "code")?;
            let code = (hash, self.take(len)?);
            if out.last().is_some_and(|last| last.0 >= code.0) {
                return Err(CodecError::CodeOrder(i));
            }
            out.push(code);
        }
        Ok(out)
    }
}
