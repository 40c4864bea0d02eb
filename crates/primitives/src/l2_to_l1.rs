//! L2->L1 logs, the keccak tree over a batch's logs, and the proofs that L1 checks.

use alloc::{vec, vec::Vec};

use alloy_primitives::{Address, B256, Log, U256, b256, keccak256};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{address, header::keccak2};

/// Depth of a batch's log tree.
pub const LOG_TREE_DEPTH: usize = 14;
/// Most logs that one batch may carry.
pub const MAX_LOGS_PER_BATCH: usize = 1 << LOG_TREE_DEPTH;
/// Packed size of a log in bytes.
pub const LOG_SIZE: usize = 88;
/// `keccak256("L1MessageSent(address,bytes32,bytes)")`: the event of 0x8008 that the state-transition function turns into a log.
pub const L1_MESSAGE_SENT_TOPIC: B256 =
    b256!("3a36e47291f4201faf137fab081d92295bce2d53be2c6ca68ba82c7faa9ce241");

/// A fixed-size record that a batch shows to L1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct L2ToL1Log {
    /// Always 0 on the rollup side.
    pub shard_id: u8,
    /// Set for records of the protocol itself.
    pub is_service: bool,
    /// Index of the transaction in its block (what clients pass back as `l1BatchTxIndex`).
    pub tx_number: u16,
    /// Contract that sent it.
    pub sender: Address,
    /// For a message: its sender, left-padded. For a priority operation: its canonical hash.
    pub key: B256,
    /// For a message: its keccak hash. For a priority operation: 1 when it succeeded.
    pub value: B256,
}

impl L2ToL1Log {
    /// The log of a message sent through [`address::L1_MESSENGER`].
    pub fn message(tx_number: u16, sender: Address, message_hash: B256) -> Self {
        Self {
            shard_id: 0,
            is_service: true,
            tx_number,
            sender: address::L1_MESSENGER,
            key: sender.into_word(),
            value: message_hash,
        }
    }

    /// The log that tells whether a priority operation succeeded.
    pub fn priority_outcome(tx_number: u16, canonical_hash: B256, success: bool) -> Self {
        Self {
            shard_id: 0,
            is_service: true,
            tx_number,
            sender: address::BOOTLOADER,
            key: canonical_hash,
            value: B256::from(U256::from(success as u8)),
        }
    }

    /// Reads the message out of an EVM log if it is the messenger's event: `(sender, message hash, message)`.
    pub fn parse_message_event(log: &Log) -> Option<(Address, B256, &[u8])> {
        let topics = log.data.topics();
        if log.address != address::L1_MESSENGER
            || topics.len() != 3
            || topics[0] != L1_MESSAGE_SENT_TOPIC
        {
            return None;
        }
        let data: &[u8] = &log.data.data;
        let offset = word_as_usize(data, 0)?;
        let len = word_as_usize(data, offset)?;
        let start = offset.checked_add(32)?;
        let message = data.get(start..start.checked_add(len)?)?;
        Some((Address::from_word(topics[1]), topics[2], message))
    }

    /// `abi.encodePacked` of the fields, in declaration order.
    pub fn pack(&self) -> [u8; LOG_SIZE] {
        let mut out = [0u8; LOG_SIZE];
        out[0] = self.shard_id;
        out[1] = self.is_service as u8;
        out[2..4].copy_from_slice(&self.tx_number.to_be_bytes());
        out[4..24].copy_from_slice(self.sender.as_slice());
        out[24..56].copy_from_slice(self.key.as_slice());
        out[56..88].copy_from_slice(self.value.as_slice());
        out
    }

    /// Inverse of [`Self::pack`]; `None` when the boolean is neither 0 nor 1.
    pub fn unpack(bytes: &[u8; LOG_SIZE]) -> Option<Self> {
        if bytes[1] > 1 {
            return None;
        }
        Some(Self {
            shard_id: bytes[0],
            is_service: bytes[1] == 1,
            tx_number: u16::from_be_bytes([bytes[2], bytes[3]]),
            sender: Address::from_slice(&bytes[4..24]),
            key: B256::from_slice(&bytes[24..56]),
            value: B256::from_slice(&bytes[56..88]),
        })
    }

    /// Leaf of the batch's log tree.
    pub fn hash(&self) -> B256 {
        keccak256(self.pack())
    }
}

fn word_as_usize(data: &[u8], at: usize) -> Option<usize> {
    let word = data.get(at..at.checked_add(32)?)?;
    if word[..24].iter().any(|b| *b != 0) {
        return None;
    }
    let v = u64::from_be_bytes(word[24..].try_into().ok()?);
    usize::try_from(v).ok()
}

/// Why a log tree or a proof cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LogTreeError {
    /// More logs than the tree has leaves; the batch must be sealed earlier.
    #[error("{0} L2->L1 logs do not fit in a batch's tree of {MAX_LOGS_PER_BATCH} leaves")]
    TooManyLogs(usize),
}

/// The keccak tree over a batch's L2->L1 logs.
#[derive(Debug, Clone)]
pub struct LogTree {
    /// `levels[0]` are the non-empty leaves, each further level the non-empty nodes above.
    levels: Vec<Vec<B256>>,
    /// Hash of the empty subtree of each height.
    empty: [B256; LOG_TREE_DEPTH + 1],
}

impl LogTree {
    /// Builds the tree.
    ///
    /// # Errors
    /// [`LogTreeError::TooManyLogs`] beyond [`MAX_LOGS_PER_BATCH`].
    pub fn new(logs: &[L2ToL1Log]) -> Result<Self, LogTreeError> {
        if logs.len() > MAX_LOGS_PER_BATCH {
            return Err(LogTreeError::TooManyLogs(logs.len()));
        }
        let empty = empty_hashes();
        let mut levels = vec![logs.iter().map(L2ToL1Log::hash).collect::<Vec<_>>()];
        for height in 0..LOG_TREE_DEPTH {
            let below = &levels[height];
            let next = below
                .chunks(2)
                .map(|pair| keccak2(pair[0], *pair.get(1).unwrap_or(&empty[height])))
                .collect();
            levels.push(next);
        }
        Ok(Self { levels, empty })
    }

    /// Root of the tree.
    pub fn root(&self) -> B256 {
        self.levels[LOG_TREE_DEPTH].first().copied().unwrap_or(self.empty[LOG_TREE_DEPTH])
    }

    /// Siblings from the leaf upwards; `None` when there is no such log.
    pub fn path(&self, index: usize) -> Option<[B256; LOG_TREE_DEPTH]> {
        if index >= self.levels[0].len() {
            return None;
        }
        Some(core::array::from_fn(|height| {
            let sibling = (index >> height) ^ 1;
            self.levels[height].get(sibling).copied().unwrap_or(self.empty[height])
        }))
    }

    /// The proof array that `proveL2MessageInclusionShared` takes on the layer that the chain settles on.
    pub fn l1_proof(&self, index: usize, message_root: B256) -> Option<Vec<B256>> {
        let path = self.path(index)?;
        let mut metadata = B256::ZERO;
        metadata[0] = 1;
        metadata[1] = LOG_TREE_DEPTH as u8 + 1;
        metadata[3] = 1;
        let mut out = Vec::with_capacity(LOG_TREE_DEPTH + 2);
        out.push(metadata);
        out.extend(path);
        out.push(message_root);
        Some(out)
    }
}

fn empty_hashes() -> [B256; LOG_TREE_DEPTH + 1] {
    let mut out = [keccak256([0u8; LOG_SIZE]); LOG_TREE_DEPTH + 1];
    for i in 1..=LOG_TREE_DEPTH {
        out[i] = keccak2(out[i - 1], out[i - 1]);
    }
    out
}

/// `keccak256(logs_root || message_root)`: what a batch shows to the layer it settles on.
pub fn chain_batch_root(logs_root: B256, message_root: B256) -> B256 {
    keccak2(logs_root, message_root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(i: u16) -> L2ToL1Log {
        L2ToL1Log::message(i, Address::repeat_byte(i as u8), keccak256(i.to_be_bytes()))
    }

    #[test]
    fn every_path_leads_to_the_root() {
        for n in [1usize, 2, 3, 7, 64] {
            let logs: Vec<_> = (0..n as u16).map(log).collect();
            let tree = LogTree::new(&logs).unwrap();
            for (i, l) in logs.iter().enumerate() {
                let mut h = l.hash();
                for (height, s) in tree.path(i).unwrap().iter().enumerate() {
                    h = if (i >> height) & 1 == 0 { keccak2(h, *s) } else { keccak2(*s, h) };
                }
                assert_eq!(h, tree.root());
            }
            assert!(tree.path(n).is_none());
        }
    }

    #[test]
    fn packing_round_trips_and_refuses_a_bad_boolean() {
        let l = log(9);
        let mut packed = l.pack();
        assert_eq!(L2ToL1Log::unpack(&packed), Some(l));
        packed[1] = 2;
        assert_eq!(L2ToL1Log::unpack(&packed), None);
    }

    #[test]
    fn the_event_topic_is_the_signature_hash() {
        assert_eq!(keccak256("L1MessageSent(address,bytes32,bytes)"), L1_MESSAGE_SENT_TOPIC);
    }
}
