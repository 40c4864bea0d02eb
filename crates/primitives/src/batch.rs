//! Batches: the unit that is committed, proven and executed on the settlement layer.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::{SolValue, sol};
use serde::{Deserialize, Serialize};

/// Where a block or batch is on its way to finality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchStatus {
    /// Transactions wait in the mempool, or blocks are not yet in a sealed batch.
    Pending,
    /// The batch is sealed; its result is known.
    Processed,
    /// The settlement layer holds its data and claims.
    Committed,
    /// The settlement layer accepted a proof of it.
    Proven,
    /// Executed on the settlement layer: withdrawals can be finalized.
    Finalized,
}

/// Number of 32-byte words that [`PublicInput`] hashes.
pub const PUBLIC_INPUT_WORDS: usize = 23;

/// Everything that a batch claims. L1 recomputes the hash from what it stores and what the operator sends; a claim that is not in it does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicInput {
    /// [`crate::config::PROTOCOL_VERSION`] of the chain.
    pub protocol_version: u64,
    /// Identifier of the guest program that the proof must be of.
    pub guest_program_id: B256,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Number of the batch; genesis is batch 0.
    pub batch_number: u64,
    /// First block.
    pub first_block: u64,
    /// Last block.
    pub last_block: u64,
    /// Timestamp of the first block.
    pub first_timestamp: u64,
    /// Timestamp of the last block.
    pub last_timestamp: u64,
    /// State root before.
    pub prev_state_root: B256,
    /// Leaves in the state tree before.
    pub prev_leaf_count: u64,
    /// Hash of the last block before.
    pub prev_block_hash: B256,
    /// State root after.
    pub new_state_root: B256,
    /// Leaves in the state tree after.
    pub new_leaf_count: u64,
    /// Hash of the last block.
    pub last_block_hash: B256,
    /// Priority operations consumed by this batch.
    pub priority_ops_count: u64,
    /// Rolling hash of all operations consumed before.
    pub priority_ops_hash_before: B256,
    /// Rolling hash of all operations consumed after.
    pub priority_ops_hash_after: B256,
    /// See [`crate::l2_to_l1::chain_batch_root`].
    pub l2_to_l1_root: B256,
    /// See [`crate::da::da_commitment`].
    pub da_commitment: B256,
    /// Rolling hash of imported transaction roots; zero if none.
    pub imported_roots_hash: B256,
    /// See [`crate::config::FeeParams::hash`].
    pub fee_params_hash: B256,
    /// Recipient of the fees.
    pub operator: Address,
    /// See [`crate::config::ChainConfig::hash`].
    pub chain_config_hash: B256,
}

impl PublicInput {
    /// The words in the order of ARCHITECTURE.md.
    pub fn words(&self) -> [B256; PUBLIC_INPUT_WORDS] {
        let n = |v: u64| B256::from(U256::from(v));
        [
            n(self.protocol_version),
            self.guest_program_id,
            n(self.chain_id),
            n(self.batch_number),
            n(self.first_block),
            n(self.last_block),
            n(self.first_timestamp),
            n(self.last_timestamp),
            self.prev_state_root,
            n(self.prev_leaf_count),
            self.prev_block_hash,
            self.new_state_root,
            n(self.new_leaf_count),
            self.last_block_hash,
            n(self.priority_ops_count),
            self.priority_ops_hash_before,
            self.priority_ops_hash_after,
            self.l2_to_l1_root,
            self.da_commitment,
            self.imported_roots_hash,
            self.fee_params_hash,
            self.operator.into_word(),
            self.chain_config_hash,
        ]
    }

    /// The one number that L1 sees.
    pub fn hash(&self) -> B256 {
        keccak256(self.words().as_flattened_bytes())
    }
}

trait FlattenBytes {
    fn as_flattened_bytes(&self) -> Vec<u8>;
}

impl FlattenBytes for [B256] {
    fn as_flattened_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|w| w.0).collect()
    }
}

/// The number that one proof of several consecutive batches is about: `keccak256(concat(public inputs))`.
pub fn range_hash(public_inputs: &[B256]) -> B256 {
    keccak256(public_inputs.as_flattened_bytes())
}

/// What an attester signs to say that it re-executed these batches and found the public inputs.
pub fn attestation_digest(l1_chain_id: u64, verifier: Address, public_inputs: &[B256]) -> B256 {
    keccak256(
        (
            keccak256(b"CAIRN_ATTEST_V1"),
            U256::from(l1_chain_id),
            verifier,
            range_hash(public_inputs),
        )
            .abi_encode(),
    )
}

/// What an attester signs to be given a batch's witness: `keccak256("CAIRN_WITNESS_V1" || chain id u64 || batch u64)`, big-endian.
pub fn witness_request_digest(chain_id: u64, number: u64) -> B256 {
    let mut bytes = b"CAIRN_WITNESS_V1".to_vec();
    bytes.extend_from_slice(&chain_id.to_be_bytes());
    bytes.extend_from_slice(&number.to_be_bytes());
    keccak256(bytes)
}

sol! {
    /// What L1 keeps, as a hash, of every committed batch.
    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct StoredBatchInfo {
        uint64 batchNumber;
        bytes32 stateRoot;
        uint64 leafCount;
        uint64 lastBlock;
        bytes32 lastBlockHash;
        uint64 lastTimestamp;
        uint64 priorityOpsCount;
        bytes32 priorityOpsHashAfter;
        bytes32 l2ToL1Root;
        bytes32 publicInput;
    }
}

impl StoredBatchInfo {
    /// `keccak256(abi.encode(info))`.
    pub fn hash(&self) -> B256 {
        keccak256(self.abi_encode())
    }

    /// What follows from a batch's public input. `priority_ops_total` counts all operations consumed up to and with this batch.
    pub fn from_public_input(p: &PublicInput, priority_ops_total: u64) -> Self {
        Self {
            batchNumber: p.batch_number,
            stateRoot: p.new_state_root,
            leafCount: p.new_leaf_count,
            lastBlock: p.last_block,
            lastBlockHash: p.last_block_hash,
            lastTimestamp: p.last_timestamp,
            priorityOpsCount: priority_ops_total,
            priorityOpsHashAfter: p.priority_ops_hash_after,
            l2ToL1Root: p.l2_to_l1_root,
            publicInput: p.hash(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> PublicInput {
        let b = B256::repeat_byte;
        PublicInput {
            protocol_version: 1,
            guest_program_id: b(2),
            chain_id: 3,
            batch_number: 4,
            first_block: 5,
            last_block: 6,
            first_timestamp: 7,
            last_timestamp: 8,
            prev_state_root: b(9),
            prev_leaf_count: 10,
            prev_block_hash: b(11),
            new_state_root: b(12),
            new_leaf_count: 13,
            last_block_hash: b(14),
            priority_ops_count: 15,
            priority_ops_hash_before: b(16),
            priority_ops_hash_after: b(17),
            l2_to_l1_root: b(18),
            da_commitment: b(19),
            imported_roots_hash: b(20),
            fee_params_hash: b(21),
            operator: Address::repeat_byte(22),
            chain_config_hash: b(23),
        }
    }

    /// Each word is bound: changing any one of them changes the hash, and no two words can trade places.
    #[test]
    fn every_field_is_bound() {
        let words = sample().words();
        let honest = keccak256(words.as_flattened_bytes());
        assert_eq!(honest, sample().hash());
        for i in 0..PUBLIC_INPUT_WORDS {
            let mut w = words;
            w[i].0[31] ^= 1;
            assert_ne!(keccak256(w.as_flattened_bytes()), honest, "word {i}");
            for j in 0..i {
                assert_ne!(words[i], words[j], "the sample must tell words {i} and {j} apart");
            }
        }
    }
}
