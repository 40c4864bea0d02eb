//! A transaction's life, in five named steps that every transaction type goes through:
//!
//! | step | signed transaction | priority operation |
//! |---|---|---|
//! | **validate** | nonce, chain id, fee caps, intrinsic gas, EIP-3607, sizes, funds ([`validate`]) | nothing can fail: L1 has accepted it |
//! | **pay** | the sender's balance pays `gas_limit * price`, its nonce rises | L1 minted the fee: it is held back from `to_mint` |
//! | **execute** | EIP-7702 authorizations, then the call or creation ([`execute`]) | the minted value goes to `from`, then the call |
//! | **charge pubdata** | bytes of state diff beyond the intrinsic allowance ([`charge`]) | the same |
//! | **refund** | unused gas to the sender, the fee to the operator ([`settle`]) | unused gas (and the value after a failure) to the refund recipient |
//!
//! An account-abstraction transaction (0x71) is one more column of this table: its validate, pay and refund steps are calls of account and
//! paymaster code through the same machinery ([`aa`]).

pub mod aa;
mod authorize;
pub mod charge;
pub mod execute;
mod priority;
pub mod settle;
pub mod supply;
pub mod validate;

use alloc::{string::ToString, vec::Vec};

use alloy_primitives::{Address, B256, Bytes, Log, U256};
use cairn_primitives::{FeeParams, L2ToL1Log, Transaction};
use revm::{
    context::{
        ContextTr, JournalTr, LocalContextTr,
        result::{EVMError, HaltReason},
    },
    handler::EvmTr,
};
use serde::{Deserialize, Serialize};

use crate::{
    db::DbError,
    error::ExecError,
    evm::{CairnEvm, EvmFault},
    reader::StateReader,
    tx::RecoveredTx,
    work::Work,
};

pub use validate::Policy;

/// Why an included transaction failed. It paid all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// `REVERT`; the output holds the reason.
    Revert,
    /// An exceptional halt, as revm words it; consumes all gas.
    Halt(alloc::string::String),
    /// Out of gas (geth: "out of gas"); consumes all gas.
    OutOfGas,
    /// The gas limit does not cover the pubdata; consumes all gas.
    PubdataOutOfGas {
        /// Bytes of pubdata.
        bytes: u64,
        /// Gas that they cost.
        gas: u64,
    },
    /// More pubdata than one transaction may cause ([`crate::limits::MAX_PUBDATA_PER_TX`]); consumes all gas.
    PubdataTooLarge {
        /// Bytes of pubdata.
        bytes: u64,
    },
    /// A balance would exceed 2^128-1; consumes all gas.
    BalanceOverflow,
    /// A priority operation whose gas limit is below the intrinsic gas, or whose minted amount is below its fee.
    Underpaid,
    /// Its precompiles would take more of the prover than one transaction may ([`crate::work::MAX_PRECOMPILE_CYCLES`]); consumes all gas.
    ProofTooLong,
}

/// What became of an included transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxResult {
    /// Hash of the transaction.
    pub hash: B256,
    /// Index in the block.
    pub index: u32,
    /// Sender.
    pub sender: Address,
    /// `None` when it succeeded.
    pub failure: Option<Failure>,
    /// Gas used, pubdata and refunds included.
    pub gas_used: u64,
    /// Gas used in this block up to and with this transaction.
    pub cumulative_gas_used: u64,
    /// Wei per gas that was paid.
    pub effective_gas_price: u128,
    /// Return data or revert data.
    pub output: Bytes,
    /// Address of the contract that a creation made.
    pub contract_address: Option<Address>,
    /// EVM logs; none after a failure.
    pub logs: Vec<Log>,
    /// L2->L1 logs: messages, and a priority operation's outcome.
    pub l2_to_l1_logs: Vec<L2ToL1Log>,
    /// Messages to L1, in the order of their logs.
    pub messages: Vec<Bytes>,
    /// Bytes of pubdata measured for it (net state diff, messages, new code).
    pub pubdata_bytes: u64,
    /// Gas of [`Self::gas_used`] that pubdata cost.
    pub pubdata_gas: u64,
    /// Gas refunded for cleared storage and known EIP-7702 authorities.
    pub gas_refunded: u64,
    /// What its precompiles mean for the prover.
    pub work: Work,
    /// Bytes of code that were loaded for it and for no transaction before it in the block.
    pub code_bytes: u64,
}

impl TxResult {
    /// Receipt status.
    pub fn success(&self) -> bool {
        self.failure.is_none()
    }
}

/// What the steps need to know beside the EVM.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Fee parameters of the block.
    pub fees: FeeParams,
    /// Gas that is left in the block.
    pub block_gas_left: u64,
    /// Which checks apply.
    pub policy: Policy,
}

/// What the steps hand to the block: everything of [`TxResult`] that does not depend on the place in the block.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub failure: Option<Failure>,
    pub gas_used: u64,
    pub effective_gas_price: u128,
    pub output: Bytes,
    pub contract_address: Option<Address>,
    pub logs: Vec<Log>,
    pub messages: Vec<(Address, B256, Bytes)>,
    pub new_codes: Vec<(B256, Bytes)>,
    pub pubdata_bytes: u64,
    pub pubdata_gas: u64,
    pub gas_refunded: u64,
    pub work: Work,
}

/// Runs all steps. On an error the state is as before.
pub(crate) fn run<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    tx: &RecoveredTx,
    rules: &Rules,
    exec: execute::Exec<R, I>,
) -> Result<Outcome, ExecError<R::Error>> {
    let out = run_open(evm, tx, rules, exec)?;
    end(evm, true);
    Ok(out)
}

/// As [`run`], but a transaction that passed all steps still waits for [`end`], which keeps or drops it.
pub(crate) fn run_open<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    tx: &RecoveredTx,
    rules: &Rules,
    exec: execute::Exec<R, I>,
) -> Result<Outcome, ExecError<R::Error>> {
    let out = match &tx.tx {
        Transaction::Ethereum(eth) => signed(evm, tx, eth, rules, exec),
        Transaction::Eip712(t) => aa::run(evm, tx, t, rules, exec),
        Transaction::Priority(op) => priority::run(evm, op, rules, exec),
    };
    if out.is_err() {
        end(evm, false);
    }
    out
}

fn signed<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    tx: &RecoveredTx,
    eth: &cairn_primitives::transaction::EthTransaction,
    rules: &Rules,
    exec: execute::Exec<R, I>,
) -> Result<Outcome, ExecError<R::Error>> {
    evm.ctx.tx = validate::tx_env(eth, tx.sender);
    run_env(evm, rules, exec)
}

/// Runs the steps of an account-abstraction transaction up to **execute** and keeps nothing of it; answers the gas that account and paymaster
/// code used. Other transactions have no such steps.
pub(crate) fn validate_account<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    tx: &RecoveredTx,
    rules: &Rules,
    exec: execute::Exec<R, I>,
) -> Result<u64, ExecError<R::Error>> {
    let Transaction::Eip712(t) = &tx.tx else { return Ok(0) };
    let gas = aa::validate_only(evm, tx, t, rules, exec);
    end(evm, false);
    gas
}

/// The steps of a signed transaction (or of a simulated call) whose environment is set.
pub(crate) fn run_env<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    rules: &Rules,
    exec: execute::Exec<R, I>,
) -> Result<Outcome, ExecError<R::Error>> {
    let valid = validate::validate(evm, rules)?;
    validate::pay(evm, &valid, rules)?;
    let mut executed = execute::execute(evm, valid.intrinsic, exec)?;
    charge::charge_pubdata(evm, &mut executed, rules.fees.gas_per_pubdata)?;
    settle::settle_signed(evm, &valid, &executed, rules)?;
    Ok(settle::outcome(evm, executed, valid.gas_price))
}

/// Clears what belongs to one transaction.
pub(crate) fn end<R: StateReader, I>(evm: &mut CairnEvm<R, I>, keep: bool) {
    if keep {
        evm.ctx.journal_mut().commit_tx();
    } else {
        evm.ctx.journal_mut().discard_tx();
    }
    evm.ctx.local_mut().clear();
    evm.frame_stack().clear();
    evm.precompiles.work = Work::default();
    evm.ctx.error = Ok(());
}

/// Errors of revm in our words.
pub(crate) fn fault<R: StateReader>(e: EvmFault<R>) -> ExecError<R::Error> {
    match e {
        EVMError::Database(e) => db_fault(e),
        other => ExecError::Evm(other.to_string()),
    }
}

pub(crate) fn db_fault<E: core::error::Error>(e: DbError<E>) -> ExecError<E> {
    match e {
        DbError::Reader(e) => ExecError::State(e),
        DbError::MissingCode(h) => ExecError::MissingCode(h),
    }
}

/// The largest balance that the state represents.
pub(crate) const MAX_BALANCE: U256 = U256::from_limbs([u64::MAX, u64::MAX, 0, 0]);

pub(crate) fn halt(reason: HaltReason) -> Failure {
    match reason {
        HaltReason::OutOfGas(_) => Failure::OutOfGas,
        other => Failure::Halt(other.to_string()),
    }
}
