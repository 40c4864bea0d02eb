//! Typed errors of a chain and how a client sees them.
//!
//! Codes and messages follow geth, because wallets and libraries match on the text: `-32000` for a refused transaction or a failed
//! execution, `3` with the return data for a revert, `-32602` for bad parameters, `-32601` for a method that is not served.

use alloy_primitives::{Address, Bytes, U256, hex};
use alloy_sol_types::{Panic, Revert, SolError};
use jsonrpsee::types::{ErrorObject, ErrorObjectOwned};
use revm::context::TxEnv;
use revm::context_interface::result::{HaltReason, InvalidTransaction};
use revm::database_interface::DBErrorMarker;

/// Result of a chain's method.
pub type Result<T, E = ChainError> = core::result::Result<T, E>;

/// JSON-RPC: the request is no JSON.
pub const PARSE_ERROR: i32 = -32700;
/// JSON-RPC: the request is JSON and no call.
pub const INVALID_REQUEST: i32 = -32600;
/// JSON-RPC: the method does not exist.
pub const METHOD_NOT_FOUND: i32 = -32601;
/// JSON-RPC: parameters do not parse or contradict each other.
pub const INVALID_PARAMS: i32 = -32602;
/// JSON-RPC: a fault of the node.
pub const INTERNAL: i32 = -32603;
/// Geth's general server error.
pub const SERVER_ERROR: i32 = -32000;
/// EIP-1474: a limit was exceeded.
pub const LIMIT_EXCEEDED: i32 = -32005;
/// Geth's code of a revert; `data` holds the return data.
pub const REVERTED: i32 = 3;

/// Why the pool refuses a transaction. The texts are geth's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The nonce was used.
    #[error("nonce too low: next nonce {next}, tx nonce {got}")]
    NonceTooLow {
        /// Nonce that the account uses next.
        next: u64,
        /// Nonce of the transaction.
        got: u64,
    },
    /// The nonce leaves a gap wider than the pool keeps.
    #[error("nonce too high: next nonce {next}, tx nonce {got}")]
    NonceTooHigh {
        /// Nonce that the account uses next.
        next: u64,
        /// Nonce of the transaction.
        got: u64,
    },
    /// The nonce is 2^64-1 (EIP-2681).
    #[error("nonce has max value")]
    NonceMax,
    /// The balance does not cover gas and value.
    #[error("insufficient funds for gas * price + value: balance {have}, tx cost {want}, overshot {}", want.saturating_sub(*have))]
    InsufficientFunds {
        /// Balance of the payer.
        have: U256,
        /// Most that the transaction can cost.
        want: U256,
    },
    /// The very transaction is in the pool or in a block.
    #[error("already known")]
    AlreadyKnown,
    /// Another transaction of that nonce is in the pool and the new one does not pay 10 % more.
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    /// The fee is below the pool's minimum.
    #[error("transaction underpriced: gas tip cap {got}, minimum needed {need}")]
    Underpriced {
        /// What the transaction offers.
        got: u128,
        /// What the pool asks for.
        need: u128,
    },
    /// The gas limit does not cover the intrinsic gas.
    #[error("intrinsic gas too low: gas {have}, minimum needed {want}")]
    IntrinsicGas {
        /// Gas limit of the transaction.
        have: u64,
        /// Intrinsic gas.
        want: u64,
    },
    /// The gas limit does not cover EIP-7623's floor.
    #[error("insufficient gas for floor data gas cost: gas {have}, minimum needed {want}")]
    FloorGas {
        /// Gas limit of the transaction.
        have: u64,
        /// Floor of the calldata.
        want: u64,
    },
    /// The account or its paymaster does not want the transaction (type 0x71), or the pool's rules for them are broken.
    #[error("{reason}")]
    Account {
        /// Which step, whose code, and why.
        reason: String,
        /// Data of the revert, if it was one.
        data: Option<Bytes>,
    },
    /// The gas limit is above the block's.
    #[error("exceeds block gas limit")]
    ExceedsBlockGasLimit,
    /// The gas limit is above EIP-7825's cap.
    #[error("transaction gas limit too high (cap: {cap}, tx: {got})")]
    ExceedsTxGasCap {
        /// Greatest gas limit of a transaction.
        cap: u64,
        /// Gas limit of the transaction.
        got: u64,
    },
    /// The fee cap is below the base fee of the next block.
    #[error(
        "max fee per gas less than block base fee: address {sender}, maxFeePerGas: {max_fee}, baseFee: {base_fee}"
    )]
    FeeCapTooLow {
        /// Sender.
        sender: Address,
        /// The transaction's `maxFeePerGas`.
        max_fee: u128,
        /// Base fee.
        base_fee: u128,
    },
    /// The tip is above the fee cap.
    #[error(
        "max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: {tip}, maxFeePerGas: {max_fee}"
    )]
    TipAboveFeeCap {
        /// `maxPriorityFeePerGas`.
        tip: u128,
        /// `maxFeePerGas`.
        max_fee: u128,
    },
    /// The blob fee cap is below the blob base fee.
    #[error(
        "max fee per blob gas less than block blob gas fee: maxFeePerBlobGas: {max_fee}, blobBaseFee: {base_fee}"
    )]
    BlobFeeCapTooLow {
        /// `maxFeePerBlobGas`.
        max_fee: u128,
        /// Blob base fee.
        base_fee: u128,
    },
    /// Signed for another chain.
    #[error("invalid chain id for signer: have {have} want {want}")]
    InvalidChainId {
        /// Chain id of the transaction.
        have: u64,
        /// Chain id of the chain.
        want: u64,
    },
    /// Not replay protected (EIP-155) where that is asked for.
    #[error("only replay-protected (EIP-155) transactions allowed over RPC")]
    NotReplayProtected,
    /// The signature recovers no sender.
    #[error("invalid sender")]
    InvalidSender,
    /// The bytes are no transaction.
    #[error("rlp: {0}")]
    Decode(String),
    /// The type is not served on this chain.
    #[error("transaction type not supported")]
    TypeNotSupported,
    /// The encoded transaction is too large.
    #[error("oversized data: transaction size {size}, limit {limit}")]
    Oversized {
        /// Bytes of the transaction.
        size: usize,
        /// Greatest size.
        limit: usize,
    },
    /// Init code above EIP-3860's limit.
    #[error("max initcode size exceeded: code size {size}, limit {limit}")]
    InitCodeTooLarge {
        /// Bytes of init code.
        size: usize,
        /// Greatest size.
        limit: usize,
    },
    /// The sender has code that is no EIP-7702 delegation.
    #[error("sender not an eoa: address {0}")]
    SenderHasCode(Address),
    /// The blobs, their proofs or their hashes do not fit together.
    #[error("{0}")]
    Blob(String),
    /// The pool holds as many transactions (of this sender) as it may.
    #[error("txpool is full")]
    PoolFull,
    /// The account's or the paymaster's own validation refused it: which step, and why.
    #[error("failed to validate the transaction. reason: {0}")]
    Validation(String),
    /// Any other reason.
    #[error("{0}")]
    Other(String),
}

/// Why a chain's method fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The pool refuses the transaction.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// No such block.
    #[error("header not found")]
    UnknownBlock,
    /// The block is known and its state is no longer kept.
    #[error("missing trie node: state of block {0} is not kept (pruned)")]
    StatePruned(u64),
    /// No such transaction where one must exist.
    #[error("transaction not found")]
    UnknownTransaction,
    /// Execution reverted with this return data.
    #[error("{}", revert_message(.0))]
    Reverted(Bytes),
    /// Execution halted: geth's text.
    #[error("{0}")]
    Halted(String),
    /// The method or one of its options is not served here, and why.
    #[error("{0}")]
    Unsupported(String),
    /// A parameter is wrong.
    #[error("{0}")]
    InvalidParams(String),
    /// A stated limit was exceeded.
    #[error("{0}")]
    LimitExceeded(String),
    /// A reason for which the execution API has a code of its own (`eth_simulateV1`).
    #[error("{message}")]
    Coded {
        /// JSON-RPC code.
        code: i32,
        /// Text.
        message: String,
    },
    /// A fault of the node.
    #[error("internal error: {0}")]
    Internal(String),
}

impl DBErrorMarker for ChainError {}

impl ChainError {
    /// A method that the chain does not serve.
    pub fn unsupported(method: &str) -> Self {
        Self::Unsupported(format!("the method {method} does not exist/is not available"))
    }

    /// The JSON-RPC code of the error.
    pub const fn code(&self) -> i32 {
        match self {
            Self::Reverted(_) => REVERTED,
            Self::Unsupported(_) => METHOD_NOT_FOUND,
            Self::InvalidParams(_) => INVALID_PARAMS,
            Self::LimitExceeded(_) => LIMIT_EXCEEDED,
            Self::Internal(_) => INTERNAL,
            Self::Coded { code, .. } => *code,
            Self::Pool(_)
            | Self::UnknownBlock
            | Self::StatePruned(_)
            | Self::UnknownTransaction
            | Self::Halted(_) => SERVER_ERROR,
        }
    }
}

impl From<ChainError> for ErrorObjectOwned {
    fn from(error: ChainError) -> Self {
        let data = match &error {
            ChainError::Reverted(data)
            | ChainError::Pool(PoolError::Account { data: Some(data), .. }) => {
                Some(hex::encode_prefixed(data))
            }
            _ => None,
        };
        ErrorObject::owned(error.code(), error.to_string(), data)
    }
}

/// Longest revert reason that is repeated in an error message, in bytes.
const MAX_REASON: usize = 4096;

/// Geth's message for a revert: the decoded `Error(string)` or `Panic(uint256)` where there is one.
pub fn revert_message(data: &Bytes) -> String {
    let reason = Revert::abi_decode(data)
        .map(|r| r.reason)
        .ok()
        .or_else(|| Panic::abi_decode(data).ok().map(|p| p.to_string()));
    match reason {
        Some(reason) if reason.len() <= MAX_REASON => format!("execution reverted: {reason}"),
        _ => "execution reverted".into(),
    }
}

/// Geth's text for a halt.
pub fn halt_message(reason: &HaltReason) -> String {
    match reason {
        HaltReason::OutOfGas(_) => "out of gas".into(),
        HaltReason::OpcodeNotFound | HaltReason::NotActivated => "invalid opcode".into(),
        HaltReason::InvalidFEOpcode => "invalid opcode: INVALID".into(),
        HaltReason::InvalidJump => "invalid jump destination".into(),
        HaltReason::StackUnderflow => "stack underflow".into(),
        HaltReason::StackOverflow => "stack limit reached 1024 (1023)".into(),
        HaltReason::OutOfOffset => "return data out of bounds".into(),
        HaltReason::CreateCollision => "contract address collision".into(),
        HaltReason::NonceOverflow => "nonce uint64 overflow".into(),
        HaltReason::CreateContractSizeLimit => "max code size exceeded".into(),
        HaltReason::CreateContractStartingWithEF => "invalid code: must not begin with 0xef".into(),
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded".into(),
        HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => {
            "write protection".into()
        }
        HaltReason::OutOfFunds | HaltReason::OverflowPayment => {
            "insufficient balance for transfer".into()
        }
        HaltReason::CallTooDeep => "max call depth exceeded".into(),
        HaltReason::PrecompileError | HaltReason::PrecompileErrorWithContext(_) => {
            reason.to_string()
        }
    }
}

/// What the pool says of a transaction that revm finds invalid.
pub fn from_invalid(error: &InvalidTransaction, tx: &TxEnv, base_fee: u64) -> PoolError {
    use InvalidTransaction as Invalid;
    match error {
        Invalid::PriorityFeeGreaterThanMaxFee => PoolError::TipAboveFeeCap {
            tip: tx.gas_priority_fee.unwrap_or_default(),
            max_fee: tx.gas_price,
        },
        Invalid::GasPriceLessThanBasefee => PoolError::FeeCapTooLow {
            sender: tx.caller,
            max_fee: tx.gas_price,
            base_fee: base_fee.into(),
        },
        Invalid::CallerGasLimitMoreThanBlock => PoolError::ExceedsBlockGasLimit,
        Invalid::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
            PoolError::IntrinsicGas { have: *gas_limit, want: *initial_gas }
        }
        Invalid::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
            PoolError::FloorGas { have: *gas_limit, want: *gas_floor }
        }
        Invalid::RejectCallerWithCode => PoolError::SenderHasCode(tx.caller),
        Invalid::LackOfFundForMaxFee { fee, balance } => {
            PoolError::InsufficientFunds { have: **balance, want: **fee }
        }
        Invalid::OverflowPaymentInTransaction => {
            PoolError::InsufficientFunds { have: U256::ZERO, want: U256::MAX }
        }
        Invalid::NonceOverflowInTransaction => PoolError::NonceMax,
        Invalid::NonceTooHigh { tx, state } => PoolError::NonceTooHigh { next: *state, got: *tx },
        Invalid::NonceTooLow { tx, state } => PoolError::NonceTooLow { next: *state, got: *tx },
        Invalid::CreateInitCodeSizeLimit => {
            PoolError::InitCodeTooLarge { size: tx.data.len(), limit: MAX_INIT_CODE }
        }
        Invalid::TxGasLimitGreaterThanCap { gas_limit, cap } => {
            PoolError::ExceedsTxGasCap { cap: *cap, got: *gas_limit }
        }
        Invalid::BlobGasPriceGreaterThanMax { block_blob_gas_price, tx_max_fee_per_blob_gas } => {
            PoolError::BlobFeeCapTooLow {
                max_fee: *tx_max_fee_per_blob_gas,
                base_fee: *block_blob_gas_price,
            }
        }
        Invalid::EmptyBlobs
        | Invalid::BlobCreateTransaction
        | Invalid::TooManyBlobs { .. }
        | Invalid::BlobVersionNotSupported => PoolError::Blob(error.to_string()),
        other => PoolError::Other(other.to_string()),
    }
}

/// EIP-3860's limit on init code, in bytes.
pub const MAX_INIT_CODE: usize = 49_152;

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    #[test]
    fn codes_and_messages_are_geths() {
        let low = ChainError::from(PoolError::NonceTooLow { next: 3, got: 1 });
        assert_eq!(
            (low.code(), low.to_string()),
            (-32000, "nonce too low: next nonce 3, tx nonce 1".into())
        );
        let poor = PoolError::InsufficientFunds { have: U256::from(5), want: U256::from(7) };
        let expected =
            "insufficient funds for gas * price + value: balance 5, tx cost 7, overshot 2";
        assert_eq!(poor.to_string(), expected);
        assert_eq!(
            PoolError::ReplacementUnderpriced.to_string(),
            "replacement transaction underpriced"
        );
        assert_eq!(ChainError::unsupported("eth_x").code(), METHOD_NOT_FOUND);
    }

    #[test]
    fn reverts_carry_their_data_and_reason() {
        let data: Bytes = Revert::from("no").abi_encode().into();
        let error = ErrorObjectOwned::from(ChainError::Reverted(data.clone()));
        assert_eq!((error.code(), error.message()), (3, "execution reverted: no"));
        assert_eq!(error.data().unwrap().get(), format!("\"{data}\""));
        let custom = ChainError::Reverted(B256::repeat_byte(9).as_slice().to_vec().into());
        assert_eq!(custom.to_string(), "execution reverted");
        let long: Bytes = Revert::from("x".repeat(MAX_REASON + 1)).abi_encode().into();
        assert_eq!(revert_message(&long), "execution reverted");
    }
}
