//! Block 0: the development accounts and the contracts that mainnet has at fixed addresses.

use crate::block::StoredBlock;
use crate::config::{DEV_BALANCE, L1Config};
use crate::state::WorldState;
use alloy_consensus::Header;
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
use alloy_primitives::{Address, B256, Bytes, U256, address, bytes, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use cairn_rpc::DevAccounts;

/// The deterministic CREATE2 deployer that Foundry and many others expect.
const CREATE2_DEPLOYER: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");
const CREATE2_DEPLOYER_CODE: Bytes = bytes!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

pub(crate) fn state(config: &L1Config, accounts: &DevAccounts) -> WorldState {
    let mut state = WorldState::default();
    let funded = accounts.addresses().into_iter().map(|a| (a, DEV_BALANCE));
    for (address, balance) in funded.chain(config.alloc.iter().copied()) {
        state.update(address, |account| account.balance = account.balance.saturating_add(balance));
    }
    let contracts = [
        (eip4788::BEACON_ROOTS_ADDRESS, eip4788::BEACON_ROOTS_CODE.clone()),
        (eip2935::HISTORY_STORAGE_ADDRESS, eip2935::HISTORY_STORAGE_CODE.clone()),
        (
            eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
            eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE.clone(),
        ),
        (
            eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
            eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE.clone(),
        ),
        (CREATE2_DEPLOYER, CREATE2_DEPLOYER_CODE),
    ];
    for (address, code) in contracts {
        state.update(address, |account| {
            account.nonce = 1;
            account.set_code(code);
        });
    }
    state
}

pub(crate) fn block(config: &L1Config, state: &WorldState, timestamp: u64) -> StoredBlock {
    let header = Header {
        state_root: state.root(),
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        difficulty: U256::ZERO,
        gas_limit: config.gas_limit,
        timestamp,
        base_fee_per_gas: Some(config.base_fee),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        mix_hash: keccak256(config.chain_id.to_be_bytes()),
        ..Header::default()
    };
    StoredBlock { hash: header.hash_slow(), header, txs: Vec::new(), outcomes: Vec::new() }
}
