//! The steps from **execute** on: what happens here is paid for.

use alloy_primitives::{Address, Bytes, TxKind, U256};
use alloy_sol_types::SolCall;
use cairn_primitives::{address::BOOTLOADER, config::INTRINSIC_PUBDATA};
use revm::{
    context::{Block, ContextTr, JournalTr},
    context_interface::journaled_state::account::JournaledAccountTr,
};

use super::{
    Work,
    abi::{self, postTransactionCall, transaction},
    admit::Admitted,
    call::{Returned, call},
};
use crate::{
    error::ExecError,
    evm::CairnEvm,
    life::{
        Failure, Outcome, Rules, charge, db_fault,
        execute::{Exec, Executed, mark},
        settle,
    },
    limits::MAX_PUBDATA_PER_TX,
    reader::StateReader,
};

/// Executes, charges pubdata, lets the paymaster have its last word, and settles.
pub(super) fn finish<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    work: &Work<'_>,
    admitted: Admitted,
    rules: &Rules,
    exec: Exec<R, I>,
) -> Result<Outcome, ExecError<R::Error>> {
    let returned = execute(evm, work, &admitted, exec)?;
    let mut done = Executed::nothing(admitted.start, work.tx.gas_limit);
    done.spent = work.tx.gas_limit - admitted.reserve - returned.gas_left;
    done.floor = admitted.floor;
    done.failure = returned.failure;
    done.output = returned.output;
    done.contract_address = returned.created;
    let counter = admitted.refund.saturating_add(returned.refund);
    if let Some(failure) = charge(evm, work, &mut done, rules)? {
        fail(evm, work, &mut done, failure)?;
    } else {
        done.refund = counter.min(done.spent / 5);
        post(evm, work, &admitted.context, &mut done, rules, exec)?;
    }
    settle(evm, work, &done, admitted.paid, rules)?;
    let logs = evm.ctx.journal_mut().take_logs();
    // The logs of validation and of the paymaster stay even when execution failed: what they tell of stays too.
    Ok(Outcome { logs, ..settle::outcome(evm, done, work.price) })
}

fn execute<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    work: &Work<'_>,
    admitted: &Admitted,
    exec: Exec<R, I>,
) -> Result<Returned, ExecError<R::Error>> {
    let (tx, gas) = (work.tx, admitted.gas_left - admitted.reserve);
    if work.smart {
        let data = admitted.args.of::<abi::executeTransactionCall>();
        return call(evm, exec, BOOTLOADER, TxKind::Call(tx.from), U256::ZERO, data, gas);
    }
    let kind = tx.to.map_or(TxKind::Create, TxKind::Call);
    let before = nonce(evm, tx.from)?;
    let returned = call(evm, exec, tx.from, kind, tx.value, tx.data.clone(), gas)?;
    // The frame of a creation raises the nonce, but not where it finds less than the value: the paymaster's own calls may have taken it since it was there.
    if kind.is_create() && nonce(evm, tx.from)? == before {
        evm.ctx.journal_mut().load_account_mut(tx.from).map_err(db_fault)?.data.bump_nonce();
    }
    Ok(returned)
}

fn nonce<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    who: Address,
) -> Result<u64, ExecError<R::Error>> {
    Ok(evm.ctx.journal_mut().load_account_mut(who).map_err(db_fault)?.data.nonce())
}

/// Measures everything since the transaction's start and charges it; answers why that cannot be.
fn charge<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    work: &Work<'_>,
    done: &mut Executed,
    rules: &Rules,
) -> Result<Option<Failure>, ExecError<R::Error>> {
    if evm.precompiles.work.exhausted {
        return Ok(Some(Failure::ProofTooLong));
    }
    evm.ctx.tx.caller = work.tx.from;
    done.messages = charge::messages(evm);
    done.new_codes.clear();
    let Some(bytes) = charge::measure(evm, done)? else {
        return Ok(Some(Failure::BalanceOverflow));
    };
    let price = rules.fees.gas_per_pubdata;
    let counted = bytes + simulated(work, rules);
    let gas = counted.saturating_sub(INTRINSIC_PUBDATA).saturating_mul(price);
    if bytes > MAX_PUBDATA_PER_TX {
        return Ok(Some(Failure::PubdataTooLarge { bytes }));
    }
    if gas > done.gas_limit - done.spent {
        return Ok(Some(Failure::PubdataOutOfGas { bytes, gas }));
    }
    (done.pubdata_bytes, done.pubdata_gas) = (bytes, gas);
    Ok(None)
}

/// Pubdata that is reckoned for a paymaster in a simulation: nothing is paid there, so that its balance and the tokens that it takes do not change.
const SIMULATED_PAYMASTER: u64 = 256;

fn simulated(work: &Work<'_>, rules: &Rules) -> u64 {
    let unpaid = work.tx.paymaster.is_some() && !rules.policy.charge_fees;
    if unpaid { SIMULATED_PAYMASTER } else { 0 }
}

/// Undoes execution and charges the whole gas limit; what validation did stays, and is what is measured now.
fn fail<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    work: &Work<'_>,
    done: &mut Executed,
    failure: Failure,
) -> Result<(), ExecError<R::Error>> {
    evm.ctx.journal_mut().checkpoint_revert(done.start);
    if !work.smart && work.tx.to.is_none() {
        // The creation's own nonce bump was undone with the rest.
        let journal = evm.ctx.journal_mut();
        journal.load_account_mut(work.tx.from).map_err(db_fault)?.data.bump_nonce();
    }
    done.failure = Some(failure);
    done.output = Bytes::new();
    done.contract_address = None;
    (done.spent, done.refund, done.pubdata_gas) = (done.gas_limit, 0, 0);
    done.messages = charge::messages(evm);
    done.new_codes.clear();
    // It was measured before execution and was in range then.
    done.pubdata_bytes = charge::measure(evm, done)?.unwrap_or_default();
    Ok(())
}

/// `postTransaction`, with all gas that is left. It cannot undo the transaction: when it fails, or writes more than the gas covers, it alone is undone.
fn post<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    work: &Work<'_>,
    context: &Bytes,
    done: &mut Executed,
    rules: &Rules,
    exec: Exec<R, I>,
) -> Result<(), ExecError<R::Error>> {
    let Some(paymaster) = work.tx.paymaster.as_ref().map(|p| p.paymaster) else { return Ok(()) };
    let gas = done.gas_limit - done.spent - done.pubdata_gas;
    if gas == 0 {
        return Ok(());
    }
    // The floor of calldata (EIP-7623) is charged whatever was used: nothing below it comes back.
    let refundable = gas.min(done.gas_limit - done.floor);
    let data = post_call(work, context, done.failure.is_none(), refundable);
    let before = mark(evm);
    let returned = call(evm, exec, BOOTLOADER, TxKind::Call(paymaster), U256::ZERO, data, gas)?;
    done.spent += gas - returned.gas_left;
    let kept = (done.pubdata_bytes, done.pubdata_gas);
    if returned.failure.is_none() && charge(evm, work, done, rules)?.is_none() {
        return Ok(());
    }
    evm.ctx.journal_mut().checkpoint_revert(before);
    (done.pubdata_bytes, done.pubdata_gas) = kept;
    if returned.failure.is_none() {
        // Measuring noted what is undone now.
        done.messages = charge::messages(evm);
        done.new_codes.clear();
        charge::measure(evm, done)?;
    }
    Ok(())
}

fn post_call(work: &Work<'_>, context: &Bytes, success: bool, refundable: u64) -> Bytes {
    let call = postTransactionCall {
        context: context.clone(),
        transaction: transaction(work),
        txHash: work.hash,
        signedHash: work.digest,
        txResult: u8::from(success),
        maxRefundedGas: U256::from(refundable),
    };
    call.abi_encode().into()
}

/// Unused gas to who paid, the fee to the operator.
fn settle<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    work: &Work<'_>,
    done: &Executed,
    paid: U256,
    rules: &Rules,
) -> Result<(), ExecError<R::Error>> {
    evm.ctx.tx.caller = work.tx.from;
    if !rules.policy.charge_fees {
        return Ok(());
    }
    let fee = U256::from(done.gas_used()) * U256::from(work.price);
    settle::credit(evm, work.payer(), paid - fee)?;
    let operator: Address = evm.ctx.block.beneficiary();
    settle::credit(evm, operator, fee)
}
