//! L2 block headers.

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolValue;
use serde::{Deserialize, Serialize};

/// The part of a block that the chain commits to. Its hash is what BLOCKHASH returns and what the public input carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockHeader {
    /// Chain id, so that two chains never share a block hash.
    pub chain_id: u64,
    /// Height; genesis is 0.
    pub number: u64,
    /// Unix seconds; never decreases.
    pub timestamp: u64,
    /// Hash of the block before; zero for genesis.
    pub parent_hash: B256,
    /// Rolling hash of the transaction hashes, see [`roll_tx_hash`].
    pub txs_rolling_hash: B256,
    /// Wei per gas.
    pub base_fee: u64,
    /// Gas used by all transactions, pubdata charges included.
    pub gas_used: u64,
    /// The operator, who receives the fees.
    pub beneficiary: Address,
}

impl BlockHeader {
    /// `keccak256(abi.encode(chain_id, number, timestamp, parent_hash, txs_rolling_hash, base_fee, gas_used, beneficiary))`.
    pub fn hash(&self) -> B256 {
        keccak256(
            (
                U256::from(self.chain_id),
                U256::from(self.number),
                U256::from(self.timestamp),
                self.parent_hash,
                self.txs_rolling_hash,
                U256::from(self.base_fee),
                U256::from(self.gas_used),
                self.beneficiary,
            )
                .abi_encode(),
        )
    }
}

/// One step of a block's transaction commitment: `keccak256(rolling || tx_hash)`, from zero.
pub fn roll_tx_hash(rolling: B256, tx_hash: B256) -> B256 {
    keccak2(rolling, tx_hash)
}

/// `keccak256(a || b)`.
pub fn keccak2(a: B256, b: B256) -> B256 {
    let mut buf = [0u8; 64];
    buf[..32].copy_from_slice(a.as_slice());
    buf[32..].copy_from_slice(b.as_slice());
    keccak256(buf)
}
