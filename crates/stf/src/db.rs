//! Adapter between [`StateReader`] and revm, which also notes every first read: the base from which net changes and touched keys follow.
//!
//! revm's journal is the overlay: it keeps every account and slot it ever loaded for the executor's whole life, so each key is asked here once.

use alloc::vec::Vec;

use alloy_primitives::{
    Address, B256, Bytes, U256,
    map::{AddressMap, B256Map, HashMap},
};
use revm::{
    Database, bytecode::Bytecode, database_interface::DBErrorMarker, primitives::KECCAK_EMPTY,
    state::AccountInfo,
};
use thiserror::Error;

use crate::reader::{AccountState, StateReader};

/// A failed read, as revm carries it.
#[derive(Debug, Error)]
pub enum DbError<E: core::error::Error> {
    /// The reader failed.
    #[error(transparent)]
    Reader(E),
    /// An account refers to code that the reader does not know.
    #[error("code {0} is referred to but missing")]
    MissingCode(B256),
}

impl<E: core::error::Error + Send + Sync + 'static> DBErrorMarker for DbError<E> {}

/// State that a simulation pretends (`eth_call`'s third parameter). Never set when blocks are built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountOverride {
    /// Pretended balance.
    pub balance: Option<U256>,
    /// Pretended nonce.
    pub nonce: Option<u64>,
    /// Pretended code.
    pub code: Option<Bytecode>,
    /// Whole storage: slots not listed are zero.
    pub state: Option<HashMap<U256, U256>>,
    /// Changed slots; the others keep their value.
    pub state_diff: Option<HashMap<U256, U256>>,
}

/// Pretended state by account.
pub type StateOverrides = AddressMap<AccountOverride>;

/// The database that the EVM runs on.
#[derive(Debug)]
pub struct StateDb<R> {
    pub(crate) reader: R,
    /// First read of every account, in order.
    pub(crate) accounts: Vec<(Address, AccountState)>,
    /// First read of every slot, in order.
    pub(crate) slots: Vec<(Address, U256, U256)>,
    /// Code whose bytes were read.
    pub(crate) codes_read: Vec<B256>,
    /// How many bytes that were.
    pub(crate) code_bytes_read: u64,
    /// Whether code was published before this executor started, for each hash asked.
    pub(crate) code_known: B256Map<bool>,
    /// Code that this executor's transactions published, in order.
    pub(crate) published: Vec<(B256, Bytes)>,
    /// Lowest block number whose hash was asked from the reader.
    pub(crate) lowest_hash_read: Option<u64>,
    /// Hashes of blocks that this executor itself produced or was told of (ascending, consecutive).
    pub(crate) recent: Vec<(u64, B256)>,
    overrides: StateOverrides,
    override_code: B256Map<Bytecode>,
}

impl<R: StateReader> StateDb<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader,
            accounts: Vec::new(),
            slots: Vec::new(),
            codes_read: Vec::new(),
            code_bytes_read: 0,
            code_known: B256Map::default(),
            published: Vec::new(),
            lowest_hash_read: None,
            recent: Vec::new(),
            overrides: StateOverrides::default(),
            override_code: B256Map::default(),
        }
    }

    /// Pretends state. Only before anything was loaded.
    pub(crate) fn set_overrides(&mut self, overrides: StateOverrides) {
        for o in overrides.values() {
            if let Some(code) = &o.code {
                self.override_code.insert(code.hash_slow(), code.clone());
            }
        }
        self.overrides = overrides;
    }

    /// Whether code with this hash has been published, before this executor started or by a transaction of its own.
    pub(crate) fn code_known(&mut self, hash: B256) -> Result<bool, DbError<R::Error>> {
        if let Some(known) = self.code_known.get(&hash) {
            return Ok(*known || self.published.iter().any(|(h, _)| *h == hash));
        }
        let known = self.reader.code_exists(hash).map_err(DbError::Reader)?;
        self.code_known.insert(hash, known);
        Ok(known)
    }

    fn apply_override(&self, address: Address, mut info: AccountInfo) -> AccountInfo {
        let Some(o) = self.overrides.get(&address) else { return info };
        info.balance = o.balance.unwrap_or(info.balance);
        info.nonce = o.nonce.unwrap_or(info.nonce);
        if let Some(code) = &o.code {
            info.code_hash = if code.is_empty() { KECCAK_EMPTY } else { code.hash_slow() };
            info.code = Some(code.clone());
        }
        info
    }

    fn overridden_slot(&self, address: Address, slot: U256) -> Option<U256> {
        let o = self.overrides.get(&address)?;
        if let Some(v) = o.state_diff.as_ref().and_then(|d| d.get(&slot)) {
            return Some(*v);
        }
        o.state.as_ref().map(|s| s.get(&slot).copied().unwrap_or_default())
    }
}

impl<R: StateReader> Database for StateDb<R> {
    type Error = DbError<R::Error>;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        let found = self.reader.account(address).map_err(DbError::Reader)?;
        self.accounts.push((address, found.unwrap_or_default()));
        let info = found.map(|a| AccountInfo {
            balance: U256::from(a.balance),
            nonce: a.nonce,
            code_hash: a.code_hash,
            account_id: None,
            code: (!a.has_code()).then(Bytecode::default),
        });
        if self.overrides.is_empty() {
            return Ok(info);
        }
        let info = self.apply_override(address, info.unwrap_or_default());
        Ok((!info.is_empty()).then_some(info))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, Self::Error> {
        if let Some(code) = self.override_code.get(&hash) {
            return Ok(code.clone());
        }
        let code = self.reader.code_by_hash(hash).map_err(DbError::Reader)?;
        let code = code.ok_or(DbError::MissingCode(hash))?;
        self.codes_read.push(hash);
        self.code_bytes_read += code.len() as u64;
        Ok(code)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Self::Error> {
        if let Some(v) = self.overridden_slot(address, slot) {
            return Ok(v);
        }
        let value = self.reader.storage(address, slot).map_err(DbError::Reader)?;
        self.slots.push((address, slot, value));
        Ok(value)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        if let Some((_, hash)) = self.recent.iter().rev().find(|(n, _)| *n == number) {
            return Ok(*hash);
        }
        self.lowest_hash_read = Some(self.lowest_hash_read.map_or(number, |n| n.min(number)));
        self.reader.block_hash(number).map_err(DbError::Reader)
    }
}
