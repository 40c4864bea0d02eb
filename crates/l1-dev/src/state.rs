//! The world state: accounts and storage in persistent tries, changes to it, and a database for revm on top.

use crate::trie::{LeafValue, Trie};
use alloy_primitives::map::AddressMap;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_rlp::Encodable;
use cairn_rpc::ChainError;
use revm::database_interface::{Database, DatabaseCommit, DatabaseRef};
use revm::state::{Account as EvmAccount, AccountInfo, Bytecode};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A storage slot.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) key: U256,
    pub(crate) value: U256,
}

impl LeafValue for Slot {
    fn encode_leaf(&self) -> Vec<u8> {
        alloy_rlp::encode(self.value)
    }
}

/// An account with its storage.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) address: Address,
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    pub(crate) code_hash: B256,
    pub(crate) code: Bytecode,
    pub(crate) storage: Trie<Slot>,
}

impl LeafValue for Account {
    fn encode_leaf(&self) -> Vec<u8> {
        alloy_trie::TrieAccount {
            nonce: self.nonce,
            balance: self.balance,
            storage_root: self.storage.root(),
            code_hash: self.code_hash,
        }
        .to_rlp()
    }
}

/// `Encodable` into a new vector.
trait ToRlp {
    fn to_rlp(&self) -> Vec<u8>;
}

impl<T: Encodable> ToRlp for T {
    fn to_rlp(&self) -> Vec<u8> {
        alloy_rlp::encode(self)
    }
}

impl Account {
    fn new(address: Address) -> Self {
        Self {
            address,
            nonce: 0,
            balance: U256::ZERO,
            code_hash: KECCAK256_EMPTY,
            code: Bytecode::default(),
            storage: Trie::default(),
        }
    }

    fn info(&self) -> AccountInfo {
        AccountInfo::new(self.balance, self.nonce, self.code_hash, self.code.clone())
    }

    pub(crate) fn slot(&self, slot: U256) -> U256 {
        self.storage.get(&keccak256(slot.to_be_bytes::<32>())).map_or(U256::ZERO, |s| s.value)
    }

    pub(crate) fn set_code(&mut self, code: Bytes) {
        self.code_hash = if code.is_empty() { KECCAK256_EMPTY } else { keccak256(&code) };
        self.code = crate::evm::bytecode(code);
    }

    pub(crate) fn set_slot(&mut self, key: U256, value: U256) {
        let path = keccak256(key.to_be_bytes::<32>());
        if value.is_zero() {
            self.storage.remove(&path);
        } else {
            self.storage.insert(path, Slot { key, value });
        }
    }
}

/// All accounts. `Clone` is cheap and shares.
#[derive(Clone, Default)]
pub(crate) struct WorldState {
    accounts: Trie<Account>,
}

impl WorldState {
    pub(crate) fn account(&self, address: Address) -> Option<&Account> {
        self.accounts.get(&keccak256(address))
    }

    pub(crate) fn nonce(&self, address: Address) -> u64 {
        self.account(address).map_or(0, |a| a.nonce)
    }

    pub(crate) fn root(&self) -> B256 {
        self.accounts.root()
    }

    /// Changes an account, made if it is not there.
    pub(crate) fn update(&mut self, address: Address, change: impl FnOnce(&mut Account)) {
        let path = keccak256(address);
        let mut account =
            self.accounts.get(&path).cloned().unwrap_or_else(|| Account::new(address));
        change(&mut account);
        self.accounts.insert(path, account);
    }

    pub(crate) fn remove(&mut self, address: Address) {
        self.accounts.remove(&keccak256(address));
    }

    pub(crate) fn visit<'a>(&'a self, each: impl FnMut(&'a Account)) {
        self.accounts.visit(each);
    }

    /// Merkle proof of an account.
    pub(crate) fn proof(&self, address: Address) -> Vec<Vec<u8>> {
        self.accounts.proof(&keccak256(address))
    }

    /// Applies changes whose code is all known to `code`.
    pub(crate) fn apply(&mut self, changes: &Changes, code: impl Fn(B256) -> Option<Bytes>) {
        for (address, record) in &changes.accounts {
            match record {
                None => self.remove(*address),
                Some(record) => self.update(*address, |account| {
                    account.nonce = record.nonce;
                    account.balance = record.balance;
                    if account.code_hash != record.code_hash {
                        let raw = changes
                            .code
                            .get(&record.code_hash)
                            .cloned()
                            .or_else(|| code(record.code_hash));
                        account.code = crate::evm::bytecode(raw.unwrap_or_default());
                        account.code_hash = record.code_hash;
                    }
                }),
            }
        }
        let mut slots: BTreeMap<Address, Vec<(U256, U256)>> = BTreeMap::new();
        for (address, slot, value) in &changes.slots {
            slots.entry(*address).or_default().push((*slot, *value));
        }
        for (address, slots) in slots {
            if self.account(address).is_some() {
                self.update(address, |account| {
                    slots.iter().for_each(|(k, v)| account.set_slot(*k, *v))
                });
            }
        }
    }
}

/// An account as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccountRecord {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    pub(crate) code_hash: B256,
}

impl From<&Account> for AccountRecord {
    fn from(account: &Account) -> Self {
        Self { nonce: account.nonce, balance: account.balance, code_hash: account.code_hash }
    }
}

/// New values of what changed; `None` removes an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changes {
    pub(crate) accounts: Vec<(Address, Option<AccountRecord>)>,
    pub(crate) slots: Vec<(Address, U256, U256)>,
    pub(crate) code: BTreeMap<B256, Bytes>,
}

/// What was written, values aside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched(BTreeMap<Address, BTreeSet<U256>>);

impl Touched {
    pub(crate) fn account(&mut self, address: Address) -> &mut BTreeSet<U256> {
        self.0.entry(address).or_default()
    }

    /// The values in `to` of all that was touched and differs from `from`.
    pub(crate) fn changes(&self, from: &WorldState, to: &WorldState) -> Changes {
        let mut changes = Changes::default();
        for (address, slots) in &self.0 {
            push_account(&mut changes, *address, from.account(*address), to.account(*address));
            for slot in slots {
                let value = |state: &WorldState| {
                    state.account(*address).map_or(U256::ZERO, |a| a.slot(*slot))
                };
                if value(from) != value(to) {
                    changes.slots.push((*address, *slot, value(to)));
                }
            }
        }
        changes
    }
}

fn push_account(
    changes: &mut Changes,
    address: Address,
    from: Option<&Account>,
    to: Option<&Account>,
) {
    let (old, new) = (from.map(AccountRecord::from), to.map(AccountRecord::from));
    if old == new {
        return;
    }
    if let Some(account) = to.filter(|a| {
        a.code_hash != KECCAK256_EMPTY && from.is_none_or(|f| f.code_hash != a.code_hash)
    }) {
        changes.code.insert(account.code_hash, account.code.original_bytes());
    }
    changes.accounts.push((address, new));
}

/// All differences between two states, found by walking both.
pub(crate) fn difference(from: &WorldState, to: &WorldState) -> Changes {
    let mut touched = Touched::default();
    let mut walk = |a: &WorldState, b: &WorldState| {
        a.visit(|account| {
            let other = b.account(account.address);
            if other.is_some_and(|o| {
                AccountRecord::from(o) == AccountRecord::from(account)
                    && o.storage.same(&account.storage)
            }) {
                return;
            }
            let slots = touched.account(account.address);
            account.storage.visit(|slot| {
                slots.insert(slot.key);
            });
        });
    };
    walk(from, to);
    walk(to, from);
    touched.changes(from, to)
}

/// Looks up hashes of earlier blocks.
pub(crate) type BlockHashes = Arc<dyn Fn(u64) -> B256 + Send + Sync>;

/// A state that revm reads and writes.
#[derive(Clone)]
pub(crate) struct StateDb {
    pub(crate) state: WorldState,
    pub(crate) touched: Touched,
    hashes: BlockHashes,
}

impl StateDb {
    pub(crate) fn new(state: WorldState, hashes: BlockHashes) -> Self {
        Self { state, touched: Touched::default(), hashes }
    }

    fn commit_account(&mut self, address: Address, account: EvmAccount) {
        let slots = self.touched.account(address);
        let created = account.is_created();
        if account.is_selfdestructed() || (account.is_empty() && !created) {
            self.state.remove(address);
            return;
        }
        slots.extend(account.changed_storage_slots().map(|(key, _)| *key));
        self.state.update(address, |mine| {
            mine.nonce = account.info.nonce;
            mine.balance = account.info.balance;
            if mine.code_hash != account.info.code_hash {
                mine.code_hash = account.info.code_hash;
                mine.code = account.info.code.clone().unwrap_or_default();
            }
            account
                .changed_storage_slots()
                .for_each(|(key, slot)| mine.set_slot(*key, slot.present_value));
        });
    }
}

impl DatabaseRef for StateDb {
    type Error = ChainError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, ChainError> {
        Ok(self.state.account(address).map(Account::info))
    }

    fn code_by_hash_ref(&self, _: B256) -> Result<Bytecode, ChainError> {
        // `basic_ref` hands the code out with the account.
        Ok(Bytecode::default())
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, ChainError> {
        Ok(self.state.account(address).map_or(U256::ZERO, |a| a.slot(slot)))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, ChainError> {
        Ok((self.hashes)(number))
    }
}

impl Database for StateDb {
    type Error = ChainError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, ChainError> {
        self.basic_ref(address)
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, ChainError> {
        self.code_by_hash_ref(hash)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, ChainError> {
        self.storage_ref(address, slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, ChainError> {
        self.block_hash_ref(number)
    }
}

impl DatabaseCommit for StateDb {
    fn commit(&mut self, changes: AddressMap<EvmAccount>) {
        for (address, account) in changes {
            if account.is_touched() {
                self.commit_account(address, account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> WorldState {
        let mut state = WorldState::default();
        state.update(Address::repeat_byte(1), |a| a.balance = U256::from(5));
        state.update(Address::repeat_byte(2), |a| {
            a.code = Bytecode::new_raw(Bytes::from_static(&[0x60, 0x00]));
            a.code_hash = a.code.hash_slow();
            a.set_slot(U256::from(1), U256::from(7));
            a.set_slot(U256::from(2), U256::from(8));
        });
        state
    }

    #[test]
    fn differences_lead_from_one_state_to_the_other_and_back() {
        let before = sample();
        let mut after = before.clone();
        after.remove(Address::repeat_byte(1));
        after.update(Address::repeat_byte(2), |a| a.set_slot(U256::from(1), U256::ZERO));
        after.update(Address::repeat_byte(3), |a| a.nonce = 9);
        let (forward, back) = (difference(&before, &after), difference(&after, &before));
        let (mut a, mut b) = (before.clone(), after.clone());
        a.apply(&forward, |_| None);
        b.apply(&back, |_| None);
        assert_eq!(a.root(), after.root());
        assert_eq!(b.root(), before.root());
        assert_ne!(before.root(), after.root());
        assert_eq!(difference(&before, &before.clone()), Changes::default());
    }
}
