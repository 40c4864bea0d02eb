//! The steps of a priority operation. None of them can make it invalid: L1 has taken the money and counts on an outcome.
//!
//! Of `to_mint`, the fee `gas_limit * max_fee_per_gas` is held back, up to `value` is given to `from` before the call, and what is left in the
//! end (unused gas, any surplus, and the value when the call failed) goes to the refund recipient.

use alloy_primitives::{TxKind, U256};
use cairn_primitives::PriorityTx;
use revm::{
    context::{Block, ContextTr, JournalTr, TxEnv},
    context_interface::journaled_state::account::JournaledAccountTr,
};

use super::{
    Failure, MAX_BALANCE, Outcome, Rules, charge,
    execute::{self, Exec, Executed},
    settle, supply, validate,
};
use crate::{
    error::{ExecError, TxError},
    evm::CairnEvm,
    reader::StateReader,
};

pub(super) fn run<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    op: &PriorityTx,
    rules: &Rules,
    exec: Exec<R, I>,
) -> Result<Outcome, ExecError<R::Error>> {
    if rules.policy.check_gas_limit && op.gas_limit > rules.block_gas_left {
        let (have, left) = (op.gas_limit, rules.block_gas_left);
        return Err(TxError::BlockGasExceeded { have, left }.into());
    }
    evm.ctx.tx = tx_env(op);
    let fee = U256::from(op.gas_limit) * U256::from(op.max_fee_per_gas);
    let given = op.to_mint.saturating_sub(fee).min(op.value);
    let mut executed = attempt(evm, op, fee, given, exec)?;
    if executed.failure.is_none() || executed.spent < executed.gas_limit {
        let price = rules.fees.gas_per_pubdata.min(op.gas_per_pubdata);
        charge::charge_pubdata(evm, &mut executed, price)?;
    }
    if executed.failure.is_some() {
        // Whatever a revert left in place (the minted value) goes back too.
        evm.ctx.journal_mut().checkpoint_revert(executed.start);
        executed.new_codes.clear();
    }
    refund(evm, op, &executed, given)?;
    supply::minted(evm, op.to_mint)?;
    Ok(settle::outcome(evm, executed, op.max_fee_per_gas))
}

fn tx_env(op: &PriorityTx) -> TxEnv {
    TxEnv {
        tx_type: 0,
        caller: op.from,
        gas_limit: op.gas_limit,
        gas_price: op.max_fee_per_gas,
        kind: TxKind::Call(op.to),
        value: op.value,
        data: op.data.clone(),
        nonce: op.id,
        chain_id: None,
        access_list: Default::default(),
        gas_priority_fee: None,
        blob_hashes: Default::default(),
        max_fee_per_blob_gas: 0,
        authorization_list: Default::default(),
    }
}

/// Mints `given` to the sender and runs the call.
fn attempt<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    op: &PriorityTx,
    fee: U256,
    given: U256,
    exec: Exec<R, I>,
) -> Result<Executed, ExecError<R::Error>> {
    let start = execute::mark(evm);
    let Ok(intrinsic) = validate::intrinsic_gas(evm) else {
        return Ok(refused(start, op, Failure::Underpaid));
    };
    if op.to_mint < fee {
        return Ok(refused(start, op, Failure::Underpaid));
    }
    let mut from = evm.ctx.journal_mut().load_account_mut(op.from).map_err(super::db_fault)?.data;
    let balance = from.balance().saturating_add(given);
    if balance > MAX_BALANCE {
        return Ok(refused(start, op, Failure::BalanceOverflow));
    }
    from.set_balance(balance);
    if balance < op.value {
        return Ok(refused(start, op, Failure::Underpaid));
    }
    execute::execute_from(evm, start, intrinsic, exec)
}

/// An operation that is charged in full without being executed.
fn refused(
    start: revm::context_interface::journaled_state::JournalCheckpoint,
    op: &PriorityTx,
    failure: Failure,
) -> Executed {
    Executed {
        failure: Some(failure),
        spent: op.gas_limit,
        ..Executed::nothing(start, op.gas_limit)
    }
}

fn refund<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    op: &PriorityTx,
    executed: &Executed,
    given: U256,
) -> Result<(), ExecError<R::Error>> {
    let price = U256::from(op.max_fee_per_gas);
    let paid = (U256::from(executed.gas_used()) * price).min(op.to_mint);
    let kept = if executed.failure.is_none() { given } else { U256::ZERO };
    let back = op.to_mint.saturating_sub(paid).saturating_sub(kept);
    settle::credit(evm, op.refund_recipient, back)?;
    let operator = evm.ctx.block.beneficiary();
    settle::credit(evm, operator, paid)
}
