//! Why an account-abstraction transaction is invalid: which step refused it, and in which words.

use alloc::{format, string::String};
use core::fmt;

use alloy_primitives::{Address, Bytes, U256, hex};
use alloy_sol_types::{Panic, Revert, SolError};

/// A step before **execute**.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The ECDSA signature of a plain account.
    Signature,
    /// `IAccount.validateTransaction`.
    ValidateTransaction,
    /// The account must have used its nonce.
    Nonce,
    /// `IAccount.payForTransaction`.
    PayForTransaction,
    /// `IAccount.prepareForPaymaster`.
    PrepareForPaymaster,
    /// A plain account's allowance for its paymaster.
    Approval,
    /// `IPaymaster.validateAndPayForPaymasterTransaction`.
    ValidateAndPay,
    /// The pubdata that these steps caused.
    Pubdata,
}

impl Step {
    /// True when the paymaster's code refused, not the account's.
    pub fn is_paymaster(self) -> bool {
        self == Self::ValidateAndPay
    }

    fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::ValidateTransaction => "validateTransaction",
            Self::Nonce => "nonce",
            Self::PayForTransaction => "payForTransaction",
            Self::PrepareForPaymaster => "prepareForPaymaster",
            Self::Approval => "approval for the paymaster",
            Self::ValidateAndPay => "validateAndPayForPaymasterTransaction",
            Self::Pubdata => "pubdata of the validation",
        }
    }
}

/// What was wrong in a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// What is wrong with the signature.
    Signature(&'static str),
    /// The code reverted with this data.
    Revert(Bytes),
    /// The code ran out of the gas that validation may use.
    OutOfGas,
    /// The code ended in an exceptional halt.
    Halt(String),
    /// The code answered something else than its magic value.
    Magic(Bytes),
    /// Less came to the bootloader than the gas limit costs.
    Underpaid {
        /// Wei that came.
        have: U256,
        /// Wei that were due.
        want: U256,
    },
    /// The nonce was used before.
    NonceUsed(u64),
    /// Validation ended without using the nonce.
    NonceUnused(u64),
    /// The paymaster's input is no known flow.
    Flow,
    /// The token did not take the approval.
    Token,
    /// The gas limit does not cover what validation wrote.
    PubdataGas {
        /// Bytes.
        bytes: u64,
        /// Gas that they cost.
        want: u64,
        /// Gas that was left.
        have: u64,
    },
    /// A balance would exceed 2^128-1.
    BalanceOverflow,
}

/// A transaction that its account or paymaster does not want, or cannot pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AaError {
    /// Where.
    pub step: Step,
    /// Whose code, key or funds.
    pub account: Address,
    /// Why.
    pub reason: Reason,
}

impl AaError {
    /// The data of the revert, if it was one.
    pub fn revert_data(&self) -> Option<&Bytes> {
        match &self.reason {
            Reason::Revert(data) => Some(data),
            _ => None,
        }
    }
}

impl core::error::Error for AaError {}

impl fmt::Display for AaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.step.is_paymaster() { "paymaster" } else { "account" };
        write!(f, "{who} validation failed: {} of {}: ", self.step.name(), self.account)?;
        match &self.reason {
            Reason::Signature(why) => write!(f, "{why}"),
            Reason::Revert(data) => write!(f, "{}", reverted(data)),
            Reason::OutOfGas => write!(f, "out of gas"),
            Reason::Halt(text) => write!(f, "{text}"),
            Reason::Magic(data) => write!(f, "wrong answer {}", short(data)),
            Reason::Underpaid { have, want } => write!(f, "paid {have} wei of {want}"),
            Reason::NonceUsed(nonce) => write!(f, "{nonce} was used before"),
            Reason::NonceUnused(nonce) => write!(f, "{nonce} is not used by the validation"),
            Reason::Flow => {
                write!(f, "the paymaster input is neither `general` nor `approvalBased`")
            }
            Reason::Token => write!(f, "the token refuses it"),
            Reason::PubdataGas { bytes, want, have } => {
                write!(f, "{bytes} bytes cost {want} gas, {have} are left")
            }
            Reason::BalanceOverflow => write!(f, "a balance would exceed 2^128-1"),
        }
    }
}

/// Longest text of a revert that is repeated.
const MAX_TEXT: usize = 1_024;
/// Most bytes of unknown data that are repeated.
const MAX_DATA: usize = 68;

fn reverted(data: &Bytes) -> String {
    if data.is_empty() {
        return "execution reverted without a reason".into();
    }
    if let Ok(revert) = Revert::abi_decode(data)
        && revert.reason.len() <= MAX_TEXT
    {
        return format!("execution reverted: {}", revert.reason);
    }
    if let Ok(panic) = Panic::abi_decode(data) {
        return format!("execution reverted: {panic}");
    }
    format!("execution reverted with {}", short(data))
}

fn short(data: &Bytes) -> String {
    let dots = if data.len() > MAX_DATA { ".." } else { "" };
    format!("{}{dots}", hex::encode_prefixed(&data[..data.len().min(MAX_DATA)]))
}
