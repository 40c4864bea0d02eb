//! What a block or batch did to the state, and which keys it looked at.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use alloy_primitives::{Address, B256, Bytes, U256};
use cairn_state::{AccountLeaf, Key, Write};
use serde::{Deserialize, Serialize};

use crate::{
    evm::CairnEvm,
    life::charge::{code_word, info_at_end, to_state},
    reader::{AccountState, StateReader},
};

/// Net changes from a start to an end. Nothing is listed whose value is the same at both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChanges {
    /// Accounts: (before, after). An empty account is the default.
    pub accounts: BTreeMap<Address, (AccountState, AccountState)>,
    /// Slots: (before, after).
    pub slots: BTreeMap<(Address, U256), (U256, U256)>,
    /// Code published for the first time, by its keccak256 hash: the code of every account that a transaction left with code not known before
    /// (even if a later transaction replaced it).
    pub codes: BTreeMap<B256, Bytes>,
}

impl StateChanges {
    /// Adds later changes to these. `next` must start where these end.
    pub fn append(&mut self, next: &Self) {
        for (address, (before, after)) in &next.accounts {
            let entry = self.accounts.entry(*address).or_insert((*before, *after));
            entry.1 = *after;
        }
        for (slot, (before, after)) in &next.slots {
            let entry = self.slots.entry(*slot).or_insert((*before, *after));
            entry.1 = *after;
        }
        self.accounts.retain(|_, (before, after)| before != after);
        self.slots.retain(|_, (before, after)| before != after);
        for (hash, code) in &next.codes {
            self.codes.entry(*hash).or_insert_with(|| code.clone());
        }
    }

    /// True when nothing changed.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.slots.is_empty() && self.codes.is_empty()
    }

    /// The tree writes, ascending by key.
    pub fn writes(&self) -> Vec<Write> {
        let mut out = Vec::with_capacity(self.accounts.len() + self.slots.len() + self.codes.len());
        for (address, (before, after)) in &self.accounts {
            push_account_writes(&mut out, address, before, after);
        }
        for ((address, slot), (_, after)) in &self.slots {
            out.push(Write { key: Key::slot(address, slot), value: *after });
        }
        for (hash, code) in &self.codes {
            out.push(code_write(hash, code));
        }
        out.sort_unstable_by_key(|w| w.key);
        out
    }
}

/// The account's own leaf.
pub fn account_leaf(account: &AccountState) -> AccountLeaf {
    AccountLeaf { nonce: account.nonce, has_code: account.has_code(), balance: account.balance }
}

fn push_account_writes(
    out: &mut Vec<Write>,
    address: &Address,
    before: &AccountState,
    after: &AccountState,
) {
    let value = account_leaf(after).to_value();
    if value != account_leaf(before).to_value() {
        out.push(Write { key: Key::account(address), value });
    }
    if before.code_hash != after.code_hash {
        out.push(Write { key: Key::code_hash(address), value: code_word(after) });
    }
}

fn code_write(hash: &B256, code: &Bytes) -> Write {
    let digest = cairn_state::code::code_digest(code);
    Write { key: Key::code(hash), value: digest.to_u256() }
}

/// Every key that a block or batch read or wrote: what a batch's witness must cover.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TouchedKeys {
    /// Accounts; true when their code-hash leaf was touched too.
    pub accounts: BTreeMap<Address, bool>,
    /// Storage slots.
    pub slots: BTreeSet<(Address, U256)>,
    /// Code hashes whose existence was asked or whose code was published or read.
    pub codes: BTreeSet<B256>,
    /// Of [`Self::codes`], those whose bytes were read.
    pub codes_read: BTreeSet<B256>,
    /// Lowest block number whose hash was read from before this block or batch.
    pub lowest_block_hash: Option<u64>,
}

impl TouchedKeys {
    /// Adds the keys of a later block.
    pub fn append(&mut self, next: &Self) {
        for (address, code) in &next.accounts {
            *self.accounts.entry(*address).or_insert(false) |= code;
        }
        self.slots.extend(&next.slots);
        self.codes.extend(&next.codes);
        self.codes_read.extend(&next.codes_read);
        self.lowest_block_hash = match (self.lowest_block_hash, next.lowest_block_hash) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    /// The tree keys, ascending, each once.
    pub fn tree_keys(&self) -> Vec<Key> {
        let mut keys =
            Vec::with_capacity(self.accounts.len() + self.slots.len() + self.codes.len());
        for (address, code) in &self.accounts {
            keys.push(Key::account(address));
            if *code {
                keys.push(Key::code_hash(address));
            }
        }
        keys.extend(self.slots.iter().map(|(address, slot)| Key::slot(address, slot)));
        keys.extend(self.codes.iter().map(Key::code));
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

/// Net changes since the EVM was made. Each key is compared with its first read.
pub(crate) fn collect_changes<R: StateReader, I>(evm: &mut CairnEvm<R, I>) -> StateChanges {
    let mut out = StateChanges::default();
    let (state, db) = (&evm.ctx.journaled_state.inner.state, &evm.ctx.journaled_state.database);
    for (address, before) in &db.accounts {
        let Some(account) = state.get(address) else { continue };
        let after = to_state(&info_at_end(account));
        if after != *before {
            out.accounts.insert(*address, (*before, after));
        }
        if account.is_created() && !account.is_selfdestructed_locally() {
            // Slots of an account created here were never read from below: they start at zero.
            for (slot, value) in &account.storage {
                if !value.present_value.is_zero() {
                    out.slots.insert((*address, *slot), (U256::ZERO, value.present_value));
                }
            }
        }
    }
    out.codes.extend(db.published.iter().cloned());
    for (address, slot, before) in &db.slots {
        let Some(account) = state.get(address) else { continue };
        let after = account.storage.get(slot).map_or(U256::ZERO, |s| s.present_value);
        if after != *before {
            out.slots.insert((*address, *slot), (*before, after));
        }
    }
    out
}

/// Keys touched since the EVM was made, those of `changes` included.
pub(crate) fn collect_touched<R: StateReader, I>(
    evm: &CairnEvm<R, I>,
    changes: &StateChanges,
) -> TouchedKeys {
    let db = &evm.ctx.journaled_state.database;
    let mut out = TouchedKeys { lowest_block_hash: db.lowest_hash_read, ..Default::default() };
    for (address, before) in &db.accounts {
        *out.accounts.entry(*address).or_insert(false) |= before.has_code();
    }
    for (address, (before, after)) in &changes.accounts {
        *out.accounts.entry(*address).or_insert(false) |= before.code_hash != after.code_hash;
    }
    out.slots.extend(db.slots.iter().map(|(address, slot, _)| (*address, *slot)));
    out.slots.extend(changes.slots.keys());
    out.codes.extend(db.code_known.keys());
    out.codes.extend(&db.codes_read);
    out.codes.extend(changes.codes.keys());
    out.codes_read.extend(&db.codes_read);
    out
}
