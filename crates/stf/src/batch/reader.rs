//! State reads from a witness. What they return is what the witness claims, until the end of the batch checks the witness against the root.

use alloc::vec::Vec;
use core::cell::OnceCell;

use alloy_primitives::{Address, B256, Bytes, U256};
use cairn_state::{AccountLeaf, Key, WitnessError, WitnessState, account::NotAnAccount};
use revm::{bytecode::Bytecode, primitives::KECCAK_EMPTY};
use thiserror::Error;

use crate::reader::{AccountState, StateReader};

/// Why a stateless read fails.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// The witness does not cover the key.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// An account's leaf holds something else.
    #[error(transparent)]
    Account(#[from] NotAnAccount),
    /// The witness does not supply a code.
    #[error("code {0} is not in the witness")]
    MissingCode(B256),
    /// A supplied code does not have the Poseidon2 hash that the state holds for its name.
    #[error("code {0} in the witness is not the code of that hash")]
    FalseCode(B256),
    /// A block hash beyond the ancestors that the witness supplies.
    #[error("the hash of block {0} is not in the witness")]
    MissingBlockHash(u64),
}

/// A code of the witness: its claimed keccak256 hash, its bytes, and the checked and analysed form once it was used.
pub(super) struct WitnessCode<'a> {
    hash: B256,
    bytes: &'a [u8],
    checked: OnceCell<Bytecode>,
}

pub(super) struct WitnessReader<'a> {
    state: WitnessState<'a>,
    /// Strictly ascending by claimed hash (the codec checks).
    codes: Vec<WitnessCode<'a>>,
    /// Hashes of the blocks before the batch, newest first, and the newest's number.
    last_block: u64,
    ancestors: Vec<B256>,
}

impl<'a> WitnessReader<'a> {
    pub(super) fn new(
        state: WitnessState<'a>,
        codes: Vec<(B256, &'a [u8])>,
        last_block: u64,
        ancestors: Vec<B256>,
    ) -> Self {
        let code = |(hash, bytes)| WitnessCode { hash, bytes, checked: OnceCell::new() };
        Self { state, codes: codes.into_iter().map(code).collect(), last_block, ancestors }
    }

    fn checked_code(&self, hash: B256, digest: U256) -> Result<Bytecode, ReadError> {
        let at = self.codes.binary_search_by(|code| code.hash.cmp(&hash));
        let code = &self.codes[at.map_err(|_| ReadError::MissingCode(hash))?];
        if let Some(bytecode) = code.checked.get() {
            return Ok(bytecode.clone());
        }
        if cairn_state::code::code_digest(code.bytes).to_u256() != digest {
            return Err(ReadError::FalseCode(hash));
        }
        let bytes = Bytes::copy_from_slice(code.bytes);
        let bytecode = Bytecode::new_raw_checked(bytes.clone())
            .unwrap_or_else(|_| Bytecode::new_legacy(bytes));
        Ok(code.checked.get_or_init(|| bytecode).clone())
    }
}

impl StateReader for WitnessReader<'_> {
    type Error = ReadError;

    fn account(&self, address: Address) -> Result<Option<AccountState>, ReadError> {
        let value = self.state.value(&Key::account(&address))?;
        let leaf = AccountLeaf::from_value(&value)?;
        if leaf.is_empty() {
            return Ok(None);
        }
        let code_hash = if leaf.has_code {
            B256::from(self.state.value(&Key::code_hash(&address))?)
        } else {
            KECCAK_EMPTY
        };
        Ok(Some(AccountState { nonce: leaf.nonce, balance: leaf.balance, code_hash }))
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, ReadError> {
        Ok(self.state.value(&Key::slot(&address, &slot))?)
    }

    fn code_by_hash(&self, hash: B256) -> Result<Option<Bytecode>, ReadError> {
        let digest = self.state.value(&Key::code(&hash))?;
        if digest.is_zero() {
            return Ok(None);
        }
        self.checked_code(hash, digest).map(Some)
    }

    fn code_exists(&self, hash: B256) -> Result<bool, ReadError> {
        Ok(!self.state.value(&Key::code(&hash))?.is_zero())
    }

    fn block_hash(&self, number: u64) -> Result<B256, ReadError> {
        let back = self.last_block.checked_sub(number).and_then(|n| usize::try_from(n).ok());
        let hash = back.and_then(|i| self.ancestors.get(i));
        hash.copied().ok_or(ReadError::MissingBlockHash(number))
    }
}
