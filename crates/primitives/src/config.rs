//! What distinguishes one chain of the family from another, and the operator's fee parameters.

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolValue;
use serde::{Deserialize, Serialize};

use crate::address::{ETH_TOKEN, L2_NATIVE_TOKEN_VAULT};

/// Version of the protocol that this code implements; part of every public input.
pub const PROTOCOL_VERSION: u64 = 1;

/// Bytes of state diff that a transaction's intrinsic gas covers (see "Fees" in ARCHITECTURE.md).
pub const INTRINSIC_PUBDATA: u64 = 128;

/// Gas limit of a block, in gas.
pub const BLOCK_GAS_LIMIT: u64 = 60_000_000;

/// Where a chain's pubdata goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum DaPolicy {
    /// State diffs, messages and code go to the settlement layer, in calldata or blobs.
    Rollup = 0,
    /// The data stays off the settlement layer; the policy's own commitment stands for it.
    Validium = 1,
}

/// The identity of a chain. Its hash is part of every public input, so that no proof of one chain can serve another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainConfig {
    /// EIP-155 chain id of this chain.
    pub chain_id: u64,
    /// Chain id of the layer that it settles on.
    pub settlement_chain_id: u64,
    /// Asset id of the token in which fees are paid.
    pub base_token_asset_id: B256,
    /// Where its pubdata goes.
    pub da_policy: DaPolicy,
}

impl ChainConfig {
    /// A rollup with ETH as its base token.
    pub fn eth_rollup(chain_id: u64, settlement_chain_id: u64) -> Self {
        let base_token_asset_id = asset_id(settlement_chain_id, ETH_TOKEN);
        Self { chain_id, settlement_chain_id, base_token_asset_id, da_policy: DaPolicy::Rollup }
    }

    /// `keccak256(abi.encode(chain_id, settlement_chain_id, base_token_asset_id, da_policy))`.
    pub fn hash(&self) -> B256 {
        keccak256(
            (
                U256::from(self.chain_id),
                U256::from(self.settlement_chain_id),
                self.base_token_asset_id,
                U256::from(self.da_policy as u8),
            )
                .abi_encode(),
        )
    }
}

/// Identifier of a token across the family: `keccak256(abi.encode(origin chain, native token vault, token))`.
pub fn asset_id(origin_chain_id: u64, token: Address) -> B256 {
    keccak256((U256::from(origin_chain_id), L2_NATIVE_TOKEN_VAULT, token).abi_encode())
}

/// Prices that the chain's admin sets on the settlement layer; part of every public input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeParams {
    /// Wei per gas that every L2 transaction pays at least.
    pub base_fee: u64,
    /// Gas for each byte of state diff beyond [`INTRINSIC_PUBDATA`].
    pub gas_per_pubdata: u64,
}

impl Default for FeeParams {
    fn default() -> Self {
        Self { base_fee: 100_000_000, gas_per_pubdata: 100 }
    }
}

impl FeeParams {
    /// `keccak256(abi.encode(base_fee, gas_per_pubdata))`.
    pub fn hash(&self) -> B256 {
        keccak256((U256::from(self.base_fee), U256::from(self.gas_per_pubdata)).abi_encode())
    }
}
