//! The state as execution reads it: a snapshot of the store behind caches.

use std::cell::RefCell;
use std::sync::Arc;

use alloy_primitives::map::{AddressMap, B256Map, HashMap};
use alloy_primitives::{Address, B256, Bytes, U256};
use cairn_stf::{AccountState, StateChanges, StateReader};
use cairn_storage::{Account, StateSnapshot, Storage, StorageError};
use parking_lot::RwLock;
use revm::bytecode::Bytecode;

/// Most accounts in the head's cache.
const MAX_ACCOUNTS: usize = 500_000;
/// Most slots in the builder's cache.
const MAX_SLOTS: usize = 500_000;
/// Most bytes of analysed code that are kept.
const MAX_CODE_BYTES: usize = 128 << 20;

/// Why state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// No such block.
    #[error("block {0} is not known")]
    UnknownBlock(u64),
}

/// Analysed code by hash. Code never changes, so all readers share it.
#[derive(Debug, Default)]
pub struct CodeCache {
    inner: RwLock<(B256Map<Bytecode>, usize)>,
}

impl CodeCache {
    fn get(&self, hash: &B256) -> Option<Bytecode> {
        self.inner.read().0.get(hash).cloned()
    }

    fn put(&self, hash: B256, code: &Bytecode) {
        let mut inner = self.inner.write();
        if inner.1 > MAX_CODE_BYTES {
            *inner = (B256Map::default(), 0);
        }
        inner.1 += code.original_byte_slice().len() + 256;
        inner.0.insert(hash, code.clone());
    }
}

/// The state after one block, for execution on top of it.
#[derive(Debug)]
pub struct SnapshotReader {
    snapshot: StateSnapshot,
    codes: Arc<CodeCache>,
}

impl SnapshotReader {
    /// The state after `block`.
    ///
    /// # Errors
    /// [`StateError::UnknownBlock`], or a fault of the store.
    pub fn at(storage: &Storage, block: u64, codes: Arc<CodeCache>) -> Result<Self, StateError> {
        let snapshot = storage.state_at(block)?.ok_or(StateError::UnknownBlock(block))?;
        Ok(Self { snapshot, codes })
    }

    /// The block after which this is the state.
    pub fn block(&self) -> u64 {
        self.snapshot.block()
    }
}

/// The store's account as execution knows it.
pub(crate) fn to_state(a: Account) -> AccountState {
    AccountState { nonce: a.nonce, balance: a.balance, code_hash: a.code_hash }
}

impl StateReader for SnapshotReader {
    type Error = StateError;

    fn account(&self, address: Address) -> Result<Option<AccountState>, StateError> {
        Ok(self.snapshot.account(address)?.map(to_state))
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        Ok(self.snapshot.storage(address, slot)?)
    }

    fn code_by_hash(&self, hash: B256) -> Result<Option<Bytecode>, StateError> {
        if !self.snapshot.code_exists(hash)? {
            return Ok(None);
        }
        if let Some(code) = self.codes.get(&hash) {
            return Ok(Some(code));
        }
        let Some(raw) = self.snapshot.code(hash)? else { return Ok(None) };
        let code = analyse(raw);
        self.codes.put(hash, &code);
        Ok(Some(code))
    }

    fn code_exists(&self, hash: B256) -> Result<bool, StateError> {
        Ok(self.snapshot.code_exists(hash)?)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.snapshot.block_hash(number)?.ok_or(StateError::UnknownBlock(number))
    }
}

fn analyse(raw: Bytes) -> Bytecode {
    // An EIP-7702 designator that does not parse is ordinary code.
    Bytecode::new_raw_checked(raw.clone()).unwrap_or_else(|_| Bytecode::new_legacy(raw))
}

/// Accounts after the head, for admission to the mempool and for the builder.
#[derive(Debug, Default)]
pub struct HeadAccounts {
    inner: RwLock<(u64, AddressMap<AccountState>)>,
}

impl HeadAccounts {
    /// An empty cache at a block.
    pub fn new(block: u64) -> Self {
        Self { inner: RwLock::new((block, AddressMap::default())) }
    }

    /// The account after the head (or, for an instant while a block is committed, after the one before).
    ///
    /// # Errors
    /// A fault of the store.
    pub fn get(&self, storage: &Storage, address: Address) -> Result<AccountState, StorageError> {
        match self.cached(&address) {
            Some(found) => Ok(found),
            None => self.load(&storage.state()?, address),
        }
    }

    fn cached(&self, address: &Address) -> Option<AccountState> {
        self.inner.read().1.get(address).copied()
    }

    fn load(
        &self,
        snapshot: &StateSnapshot,
        address: Address,
    ) -> Result<AccountState, StorageError> {
        let account = snapshot.account(address)?.map(to_state).unwrap_or_default();
        let mut inner = self.inner.write();
        // A snapshot that is not of the cache's block may show what the cache must not, or lack what it must.
        if inner.0 == snapshot.block() {
            if inner.1.len() >= MAX_ACCOUNTS {
                inner.1.clear();
            }
            inner.1.insert(address, account);
        }
        Ok(account)
    }

    /// Moves on to the state after `block`.
    pub(crate) fn advance(&self, block: u64, changes: &StateChanges) {
        let mut inner = self.inner.write();
        if inner.1.len() + changes.accounts.len() > MAX_ACCOUNTS {
            inner.1.clear();
        }
        inner.0 = block;
        inner.1.extend(changes.accounts.iter().map(|(address, (_, after))| (*address, *after)));
    }
}

/// Slots after the head, kept by the thread that builds blocks.
#[derive(Debug, Default)]
pub(crate) struct HeadSlots {
    slots: RefCell<HashMap<(Address, U256), U256>>,
}

impl HeadSlots {
    pub(crate) fn advance(&self, changes: &StateChanges) {
        let mut slots = self.slots.borrow_mut();
        if slots.len() + changes.slots.len() > MAX_SLOTS {
            slots.clear();
        }
        slots.extend(changes.slots.iter().map(|(key, (_, after))| (*key, *after)));
    }
}

/// The state after the head, behind the caches.
#[derive(Debug)]
pub(crate) struct HeadReader<'a> {
    pub(crate) snapshot: SnapshotReader,
    pub(crate) accounts: &'a HeadAccounts,
    pub(crate) slots: &'a HeadSlots,
}

impl StateReader for HeadReader<'_> {
    type Error = StateError;

    fn account(&self, address: Address) -> Result<Option<AccountState>, StateError> {
        let account = match self.accounts.cached(&address) {
            Some(found) => found,
            None => self.accounts.load(&self.snapshot.snapshot, address)?,
        };
        Ok((!account.is_empty()).then_some(account))
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        if let Some(value) = self.slots.slots.borrow().get(&(address, slot)) {
            return Ok(*value);
        }
        let value = self.snapshot.storage(address, slot)?;
        let mut slots = self.slots.slots.borrow_mut();
        if slots.len() >= MAX_SLOTS {
            slots.clear();
        }
        slots.insert((address, slot), value);
        Ok(value)
    }

    fn code_by_hash(&self, hash: B256) -> Result<Option<Bytecode>, StateError> {
        self.snapshot.code_by_hash(hash)
    }

    fn code_exists(&self, hash: B256) -> Result<bool, StateError> {
        self.snapshot.code_exists(hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        self.snapshot.block_hash(number)
    }
}
