//! State at a block: the flat state, and the reverse diffs of the blocks above.
//!
//! A history entry `(key, b)` holds the value before block `b`. The value after block `n` is that of the first entry with `b > n`, or the
//! present one if there is none.

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use cairn_state::{AccountLeaf, Key};
use redb::{ReadOnlyTable, ReadableDatabase, ReadableTable};

use crate::chain::{
    ACCOUNT_HISTORY, ACCOUNTS, BLOCKS, CODE_BLOCK, CODES, RECOVERED, SLOT_HISTORY, SLOTS,
};
use crate::db::{META, META_RECOVERED_AT, Storage, decode, read_u64};
use crate::error::{Result, StorageError};
use crate::model::{Account, BlockRecord};

/// Bytes of an account in the flat state: nonce, balance, code hash.
const ACCOUNT_BYTES: usize = 8 + 16 + 32;

pub(crate) fn account_value(a: &Account) -> [u8; ACCOUNT_BYTES] {
    let mut out = [0; ACCOUNT_BYTES];
    out[..8].copy_from_slice(&a.nonce.to_be_bytes());
    out[8..24].copy_from_slice(&a.balance.to_be_bytes());
    out[24..].copy_from_slice(a.code_hash.as_slice());
    out
}

fn read_account(bytes: &[u8]) -> Result<Option<Account>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let fault = || StorageError::corrupt("an account has a wrong size");
    let (nonce, rest) = bytes.split_first_chunk::<8>().ok_or_else(fault)?;
    let (balance, code_hash) = rest.split_first_chunk::<16>().ok_or_else(fault)?;
    Ok(Some(Account {
        nonce: u64::from_be_bytes(*nonce),
        balance: u128::from_be_bytes(*balance),
        code_hash: B256::try_from(code_hash).map_err(|_| fault())?,
    }))
}

pub(crate) fn slot_key(address: &Address, slot: &U256) -> [u8; 52] {
    let mut key = [0; 52];
    key[..20].copy_from_slice(address.as_slice());
    key[20..].copy_from_slice(&slot.to_be_bytes::<32>());
    key
}

pub(crate) fn history_key<const N: usize, const M: usize>(key: &[u8; N], block: u64) -> [u8; M] {
    let mut out = [0; M];
    out[..N].copy_from_slice(key);
    out[N..].copy_from_slice(&block.to_be_bytes());
    out
}

/// An account of a recovered chain, put together from its leaves.
pub(crate) fn recovered_account(
    leaves: &impl ReadableTable<&'static [u8; 32], &'static [u8; 32]>,
    address: Address,
) -> Result<Option<Account>> {
    let leaf = AccountLeaf::from_value(&recovered_value(leaves, &Key::account(&address))?)
        .map_err(|e| StorageError::corrupt(e.to_string()))?;
    if leaf.is_empty() {
        return Ok(None);
    }
    let code_hash = match leaf.has_code {
        true => B256::from(recovered_value(leaves, &Key::code_hash(&address))?),
        false => KECCAK256_EMPTY,
    };
    Ok(Some(Account { nonce: leaf.nonce, balance: leaf.balance, code_hash }))
}

/// A slot of a recovered chain.
pub(crate) fn recovered_slot(
    leaves: &impl ReadableTable<&'static [u8; 32], &'static [u8; 32]>,
    address: Address,
    slot: U256,
) -> Result<U256> {
    recovered_value(leaves, &Key::slot(&address, &slot))
}

fn recovered_value(
    leaves: &impl ReadableTable<&'static [u8; 32], &'static [u8; 32]>,
    key: &Key,
) -> Result<U256> {
    Ok(leaves.get(&key.to_bytes())?.map_or(U256::ZERO, |v| U256::from_be_bytes(*v.value())))
}

/// The state after one block. It stays the same however the chain grows, and holds on to the database's pages: do not keep it for long.
pub struct StateSnapshot {
    block: u64,
    is_head: bool,
    blocks: ReadOnlyTable<u64, &'static [u8]>,
    accounts: ReadOnlyTable<&'static [u8; 20], &'static [u8]>,
    account_history: ReadOnlyTable<&'static [u8; 28], &'static [u8]>,
    slots: ReadOnlyTable<&'static [u8; 52], &'static [u8; 32]>,
    slot_history: ReadOnlyTable<&'static [u8; 60], &'static [u8; 32]>,
    codes: ReadOnlyTable<&'static [u8; 32], &'static [u8]>,
    code_block: ReadOnlyTable<&'static [u8; 32], u64>,
    /// Only in a recovered chain: what is in no other table.
    recovered: Option<ReadOnlyTable<&'static [u8; 32], &'static [u8; 32]>>,
}

impl std::fmt::Debug for StateSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateSnapshot").field("block", &self.block).finish_non_exhaustive()
    }
}

impl Storage {
    /// The state after `block`; `None` if the chain is not that high, or was recovered from its settlement layer at a later block.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn state_at(&self, block: u64) -> Result<Option<StateSnapshot>> {
        let txn = self.inner.chain.begin_read()?;
        let recovered_at = read_u64(&txn.open_table(META)?, META_RECOVERED_AT)?;
        if recovered_at.is_some_and(|first| block < first) {
            return Ok(None);
        }
        let blocks = txn.open_table(BLOCKS)?;
        let Some(head) = blocks.range(block..)?.next_back().transpose()?.map(|(k, _)| k.value())
        else {
            return Ok(None);
        };
        Ok(Some(StateSnapshot {
            block,
            is_head: head == block,
            blocks,
            accounts: txn.open_table(ACCOUNTS)?,
            account_history: txn.open_table(ACCOUNT_HISTORY)?,
            slots: txn.open_table(SLOTS)?,
            slot_history: txn.open_table(SLOT_HISTORY)?,
            codes: txn.open_table(CODES)?,
            code_block: txn.open_table(CODE_BLOCK)?,
            recovered: Some(txn.open_table(RECOVERED)?).filter(|_| recovered_at.is_some()),
        }))
    }

    /// The state after the head.
    ///
    /// # Errors
    /// A fault of the database, or before genesis.
    pub fn state(&self) -> Result<StateSnapshot> {
        self.state_at(self.head_number())?
            .ok_or_else(|| StorageError::corrupt("there is no genesis"))
    }
}

impl StateSnapshot {
    /// The block after which this is the state.
    pub fn block(&self) -> u64 {
        self.block
    }

    /// An account; `None` if it does not exist.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn account(&self, address: Address) -> Result<Option<Account>> {
        let key: &[u8; 20] = &address.0.0;
        if !self.is_head {
            let low = history_key::<20, 28>(key, self.block + 1);
            let high = history_key::<20, 28>(key, u64::MAX);
            if let Some(row) = self.account_history.range::<&[u8; 28]>(&low..=&high)?.next() {
                return read_account(row?.1.value());
            }
        }
        match (self.accounts.get(key)?, &self.recovered) {
            (Some(v), _) => read_account(v.value()),
            (None, Some(leaves)) => recovered_account(leaves, address),
            (None, None) => Ok(None),
        }
    }

    /// A storage slot; zero if it was never written.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn storage(&self, address: Address, slot: U256) -> Result<U256> {
        let key = slot_key(&address, &slot);
        if !self.is_head {
            let (low, high) = (
                history_key::<52, 60>(&key, self.block + 1),
                history_key::<52, 60>(&key, u64::MAX),
            );
            if let Some(row) = self.slot_history.range::<&[u8; 60]>(&low..=&high)?.next() {
                return Ok(U256::from_be_bytes(*row?.1.value()));
            }
        }
        match (self.slots.get(&key)?, &self.recovered) {
            (Some(v), _) => Ok(U256::from_be_bytes(*v.value())),
            (None, Some(leaves)) => recovered_slot(leaves, address, slot),
            (None, None) => Ok(U256::ZERO),
        }
    }

    /// Code by its keccak256; `None` if it was not published by then.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn code(&self, hash: B256) -> Result<Option<Bytes>> {
        if !self.code_exists(hash)? {
            return Ok(None);
        }
        Ok(self.codes.get(&hash.0)?.map(|v| Bytes::copy_from_slice(v.value())))
    }

    /// Whether code with this keccak256 was published by then.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn code_exists(&self, hash: B256) -> Result<bool> {
        Ok(self.code_block.get(&hash.0)?.is_some_and(|b| b.value() <= self.block))
    }

    /// Hash of a block up to this one.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn block_hash(&self, number: u64) -> Result<Option<B256>> {
        if number > self.block {
            return Ok(None);
        }
        let record =
            self.blocks.get(number)?.map(|v| decode::<BlockRecord>(v.value())).transpose()?;
        Ok(record.map(|b| b.hash))
    }
}
