//! Why a transaction cannot enter a block. Messages follow geth's (`core/error.go`), because clients match on them.

use alloc::string::String;

use alloy_primitives::{Address, U256};
use thiserror::Error;

use crate::life::aa::AaError;

/// An invalid transaction: it may not enter a block and costs its sender nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TxError {
    /// The bytes are no transaction of this chain.
    #[error(transparent)]
    Decode(#[from] cairn_primitives::TransactionError),
    /// The signature does not recover, or is malleable (EIP-2).
    #[error("invalid sender: invalid transaction v, r, s values")]
    InvalidSignature,
    /// Signed for another chain.
    #[error("invalid sender: invalid chain id for signer: have {have} want {want}")]
    ChainId {
        /// Chain id in the transaction.
        have: u64,
        /// This chain's.
        want: u64,
    },
    /// A transaction type without this field.
    #[error("transaction type not supported")]
    UnsupportedType,
    /// Nonce already used.
    #[error("nonce too low: address {address}, tx: {tx} state: {state}")]
    NonceTooLow {
        /// Sender.
        address: Address,
        /// Nonce of the transaction.
        tx: u64,
        /// Nonce of the account.
        state: u64,
    },
    /// Nonce in the future.
    #[error("nonce too high: address {address}, tx: {tx} state: {state}")]
    NonceTooHigh {
        /// Sender.
        address: Address,
        /// Nonce of the transaction.
        tx: u64,
        /// Nonce of the account.
        state: u64,
    },
    /// Nonce 2^64-1 (EIP-2681).
    #[error("nonce has max value: address {address}, nonce: {nonce}")]
    NonceMax {
        /// Sender.
        address: Address,
        /// Nonce of the transaction.
        nonce: u64,
    },
    /// The sender is a contract (EIP-3607).
    #[error("sender not an eoa: address {address}")]
    SenderNotEoa {
        /// Sender.
        address: Address,
    },
    /// `max_fee_per_gas` below the base fee.
    #[error(
        "max fee per gas less than block base fee: address {address}, maxFeePerGas: {max_fee}, baseFee: {base_fee}"
    )]
    FeeCapTooLow {
        /// Sender.
        address: Address,
        /// The transaction's cap.
        max_fee: u128,
        /// The block's base fee.
        base_fee: u64,
    },
    /// Tip above the cap.
    #[error(
        "max priority fee per gas higher than max fee per gas: address {address}, maxPriorityFeePerGas: {tip}, maxFeePerGas: {max_fee}"
    )]
    TipAboveFeeCap {
        /// Sender.
        address: Address,
        /// The transaction's tip.
        tip: u128,
        /// The transaction's cap.
        max_fee: u128,
    },
    /// `gas_limit * max_fee + value` is beyond the balance.
    #[error(
        "insufficient funds for gas * price + value: address {address} have {have} want {want}"
    )]
    InsufficientFunds {
        /// Sender.
        address: Address,
        /// Balance.
        have: U256,
        /// Needed (saturated at 2^256-1).
        want: U256,
    },
    /// Gas limit below the intrinsic gas.
    #[error("intrinsic gas too low: have {have}, want {want}")]
    IntrinsicGas {
        /// The transaction's gas limit.
        have: u64,
        /// Needed at least.
        want: u64,
    },
    /// Gas limit below EIP-7623's floor.
    #[error("insufficient gas for floor data gas cost: have {have}, want {want}")]
    FloorDataGas {
        /// The transaction's gas limit.
        have: u64,
        /// Needed at least.
        want: u64,
    },
    /// EIP-7825.
    #[error("transaction gas limit too high (cap: {cap}, tx: {have})")]
    GasLimitTooHigh {
        /// The transaction's gas limit.
        have: u64,
        /// Largest allowed.
        cap: u64,
    },
    /// Does not fit in what is left of the block. Not the transaction's fault: try the next block.
    #[error("gas limit reached: {left} left in the block, transaction asks for {have}")]
    BlockGasExceeded {
        /// The transaction's gas limit.
        have: u64,
        /// Gas left in the block.
        left: u64,
    },
    /// The block holds as many transactions as it may. Not the transaction's fault: try the next block.
    #[error("the block is full: {0} transactions")]
    BlockFull(usize),
    /// EIP-3860.
    #[error("max initcode size exceeded: code size {size} limit {limit}")]
    InitCodeTooLarge {
        /// Bytes of init code.
        size: usize,
        /// Largest allowed.
        limit: usize,
    },
    /// EIP-7702 without authorizations.
    #[error("EIP-7702 transaction with empty auth list")]
    EmptyAuthorizationList,
    /// EIP-7702 as a deployment.
    #[error("EIP-7702 transaction cannot be used to create contract")]
    SetCodeCreate,
    /// The account or its paymaster does not want the transaction (0x71), or cannot pay for it.
    #[error(transparent)]
    Account(#[from] AaError),
    /// The sender takes fewer gas per byte of pubdata than the chain asks for (0x71).
    #[error("gas per pubdata limit too low: have {have}, want {want}")]
    GasPerPubdataTooLow {
        /// The transaction's limit.
        have: u64,
        /// The chain's price.
        want: u64,
    },
    /// A priority operation that is not the next of the queue.
    #[error("priority operation {have} out of order: the next one is {want}")]
    PriorityOutOfOrder {
        /// Index given.
        have: u64,
        /// Index expected.
        want: u64,
    },
}

impl TxError {
    /// True when the same transaction may well be valid in a later block.
    pub fn is_for_this_block_only(&self) -> bool {
        matches!(
            self,
            Self::BlockGasExceeded { .. }
                | Self::BlockFull(_)
                | Self::NonceTooHigh { .. }
                | Self::FeeCapTooLow { .. }
                | Self::GasPerPubdataTooLow { .. }
        )
    }
}

/// Why [`crate::BlockExecutor::execute`] did not add a transaction. State is as before the call in every case.
#[derive(Debug, Error)]
pub enum ExecError<E: core::error::Error> {
    /// The transaction is invalid here.
    #[error(transparent)]
    Invalid(#[from] TxError),
    /// The state could not be read. Says nothing about the transaction.
    #[error("state: {0}")]
    State(E),
    /// Code that an account refers to is missing: a damaged database or a false witness.
    #[error("code {0} is referred to but missing")]
    MissingCode(alloy_primitives::B256),
    /// The EVM met a condition that it defines as fatal.
    #[error("evm: {0}")]
    Evm(String),
}

impl<E: core::error::Error> From<AaError> for ExecError<E> {
    fn from(e: AaError) -> Self {
        Self::Invalid(TxError::Account(e))
    }
}
