//! Genesis: from a chain's configuration and its predeployed contracts to the first state root and block.

use alloc::{collections::BTreeMap, vec::Vec};

use alloy_primitives::{Address, B256, Bytes, U256, bytes, keccak256};
use cairn_primitives::{BlockHeader, ChainConfig, StoredBatchInfo, address};
use cairn_state::{Digest, TreeUpdate, TreeWitness, Write};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    batch::genesis_priority_hash,
    changes::{StateChanges, TouchedKeys},
    life::supply::SUPPLY_SLOT,
    precompiles::NATIVE_CONTRACTS,
    reader::AccountState,
};

/// A predeployed contract or funded account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenesisAccount {
    /// Wei.
    pub balance: u128,
    /// Nonce; a contract gets at least 1 (EIP-161).
    pub nonce: u64,
    /// Runtime code.
    pub code: Bytes,
    /// Storage.
    pub storage: BTreeMap<U256, U256>,
}

/// What a chain starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenesisConfig {
    /// The chain.
    pub config: ChainConfig,
    /// Unix seconds of block 0.
    pub timestamp: u64,
    /// Accounts.
    pub accounts: BTreeMap<Address, GenesisAccount>,
}

/// Why a genesis configuration is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GenesisError {
    /// Storage without code could never be changed, and would break CREATE2 at that address.
    #[error("genesis account {0} has storage but no code")]
    StorageWithoutCode(Address),
    /// The tree refused the writes: two keys collide.
    #[error("the genesis state cannot be written to a tree")]
    Tree,
}

/// A chain's first state and block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// Changes against the empty state: accounts, slots and codes.
    pub changes: StateChanges,
    /// The same as tree writes, ascending by key.
    pub writes: Vec<Write>,
    /// The tree after them.
    pub update: TreeUpdate,
    /// Block 0.
    pub header: BlockHeader,
    /// Its hash.
    pub hash: B256,
}

/// EIP-2935's runtime code. It is never run (see [`crate::precompiles`]): it is there for whoever looks.
const HISTORY_CODE: Bytes = bytes!(
    "3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500"
);
/// `INVALID`: code of a native contract that has none of its own.
const NATIVE_CODE: Bytes = bytes!("fe");

impl GenesisConfig {
    /// Computes the genesis; equal configurations have equal roots.
    ///
    /// # Errors
    /// [`GenesisError`].
    pub fn build(&self) -> Result<Genesis, GenesisError> {
        let mut changes = StateChanges::default();
        for (address, account) in &self.accounts {
            insert(&mut changes, *address, account)?;
        }
        for at in NATIVE_CONTRACTS {
            let code = if at == address::HISTORY_STORAGE { HISTORY_CODE } else { NATIVE_CODE };
            insert(&mut changes, at, &GenesisAccount { code, nonce: 1, ..Default::default() })?;
        }
        let supply: U256 = self.accounts.values().map(|a| U256::from(a.balance)).sum();
        if !supply.is_zero() {
            changes.slots.insert((address::BASE_TOKEN, SUPPLY_SLOT), (U256::ZERO, supply));
        }
        let writes = changes.writes();
        let update = apply_to_empty(&writes).ok_or(GenesisError::Tree)?;
        let header = BlockHeader {
            chain_id: self.config.chain_id,
            number: 0,
            timestamp: self.timestamp,
            parent_hash: B256::ZERO,
            txs_rolling_hash: B256::ZERO,
            base_fee: 0,
            gas_used: 0,
            beneficiary: Address::ZERO,
        };
        let hash = header.hash();
        Ok(Genesis { changes, writes, update, header, hash })
    }
}

fn insert(
    changes: &mut StateChanges,
    address: Address,
    account: &GenesisAccount,
) -> Result<(), GenesisError> {
    if account.code.is_empty() && !account.storage.is_empty() {
        return Err(GenesisError::StorageWithoutCode(address));
    }
    let mut state =
        AccountState { nonce: account.nonce, balance: account.balance, ..Default::default() };
    if !account.code.is_empty() {
        state.nonce = state.nonce.max(1);
        state.code_hash = keccak256(&account.code);
        changes.codes.insert(state.code_hash, account.code.clone());
    }
    if !state.is_empty() {
        changes.accounts.insert(address, (AccountState::default(), state));
    }
    for (slot, value) in account.storage.iter().filter(|(_, v)| !v.is_zero()) {
        changes.slots.insert((address, *slot), (U256::ZERO, *value));
    }
    Ok(())
}

/// Applies writes to the empty tree by way of a witness of it: the same code that every later batch uses.
fn apply_to_empty(writes: &[Write]) -> Option<TreeUpdate> {
    let leaves = cairn_state::Leaf::GENESIS;
    let witness = TreeWitness::new(&[(0, leaves[0]), (1, leaves[1])], &[]);
    witness.view().open(empty_root(), cairn_state::GENESIS_LEAF_COUNT).ok()?.apply(writes).ok()
}

/// Root of the empty state: the two sentinels.
fn empty_root() -> Digest {
    let [a, b] = cairn_state::Leaf::GENESIS;
    let first = cairn_state::digest::compress(&a.hash(), &b.hash());
    (1..cairn_state::DEPTH).fold(first, |node, height| {
        cairn_state::digest::compress(&node, &cairn_state::digest::EMPTY[height])
    })
}

impl Genesis {
    /// What L1 stores of batch 0. Its public input is zero: nothing proves a genesis but its agreement.
    pub fn batch_info(&self) -> StoredBatchInfo {
        StoredBatchInfo {
            batchNumber: 0,
            stateRoot: self.update.root.to_b256(),
            leafCount: self.update.leaf_count,
            lastBlock: 0,
            lastBlockHash: self.hash,
            lastTimestamp: self.header.timestamp,
            priorityOpsCount: 0,
            priorityOpsHashAfter: genesis_priority_hash(),
            l2ToL1Root: B256::ZERO,
            publicInput: B256::ZERO,
        }
    }

    /// Keys that the genesis writes.
    pub fn touched(&self) -> TouchedKeys {
        TouchedKeys {
            accounts: self.changes.accounts.iter().map(|(a, (_, s))| (*a, s.has_code())).collect(),
            slots: self.changes.slots.keys().copied().collect(),
            codes: self.changes.codes.keys().copied().collect(),
            ..Default::default()
        }
    }
}
