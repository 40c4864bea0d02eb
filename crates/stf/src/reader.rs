//! The one door through which execution reads state.

use alloy_primitives::{Address, B256, U256};
use revm::{bytecode::Bytecode, primitives::KECCAK_EMPTY};
use serde::{Deserialize, Serialize};

/// An account as the state knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AccountState {
    /// Transactions sent, or contracts created by it.
    pub nonce: u64,
    /// Wei. Representable values are below 2^128 (see ARCHITECTURE.md, "State").
    pub balance: u128,
    /// keccak256 of the code; [`KECCAK_EMPTY`] when there is none.
    pub code_hash: B256,
}

impl Default for AccountState {
    fn default() -> Self {
        Self { nonce: 0, balance: 0, code_hash: KECCAK_EMPTY }
    }
}

impl AccountState {
    /// True for an account that does not exist (EIP-161: nonce and balance zero, no code).
    pub fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance == 0 && !self.has_code()
    }

    /// True when it has code (a contract's, or an EIP-7702 delegation).
    pub fn has_code(&self) -> bool {
        self.code_hash != KECCAK_EMPTY
    }
}

/// Read access to the state at the start of a block (natively) or of a batch (statelessly).
///
/// Answers must not change while an executor holds the reader.
pub trait StateReader {
    /// Why a read failed: a storage fault natively, a key missing from the witness statelessly.
    type Error: core::error::Error + Send + Sync + 'static;

    /// The account, or `None` when it is empty.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn account(&self, address: Address) -> Result<Option<AccountState>, Self::Error>;

    /// A storage slot; zero when never written.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn storage(&self, address: Address, slot: U256) -> Result<U256, Self::Error>;

    /// Code by its keccak256 hash; `None` when no such code was ever published.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn code_by_hash(&self, hash: B256) -> Result<Option<Bytecode>, Self::Error>;

    /// Whether code with this keccak256 hash has been published (its bytes need not be at hand).
    ///
    /// # Errors
    /// When the state cannot be read.
    fn code_exists(&self, hash: B256) -> Result<bool, Self::Error> {
        Ok(self.code_by_hash(hash)?.is_some())
    }

    /// Hash of a block below the one being built. Asked only for the last 256 blocks.
    ///
    /// # Errors
    /// When the hash cannot be read or the block is not known.
    fn block_hash(&self, number: u64) -> Result<B256, Self::Error>;
}

impl<R: StateReader + ?Sized> StateReader for &R {
    type Error = R::Error;

    fn account(&self, address: Address) -> Result<Option<AccountState>, Self::Error> {
        (**self).account(address)
    }
    fn storage(&self, address: Address, slot: U256) -> Result<U256, Self::Error> {
        (**self).storage(address, slot)
    }
    fn code_by_hash(&self, hash: B256) -> Result<Option<Bytecode>, Self::Error> {
        (**self).code_by_hash(hash)
    }
    fn code_exists(&self, hash: B256) -> Result<bool, Self::Error> {
        (**self).code_exists(hash)
    }
    fn block_hash(&self, number: u64) -> Result<B256, Self::Error> {
        (**self).block_hash(number)
    }
}
