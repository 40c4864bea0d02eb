//! Step **refund**: unused gas back to who paid, the fee to the operator.

use alloy_primitives::{Address, U256};
use revm::{
    context::{Block, ContextTr, JournalTr, Transaction as _},
    context_interface::journaled_state::account::JournaledAccountTr,
};

use super::{MAX_BALANCE, Outcome, Rules, execute::Executed, validate::Valid};
use crate::{error::ExecError, evm::CairnEvm, reader::StateReader};

/// The sender gets the unused gas back; base fee and tip go to the operator.
pub(super) fn settle_signed<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    valid: &Valid,
    executed: &Executed,
    rules: &Rules,
) -> Result<(), ExecError<R::Error>> {
    if !rules.policy.charge_fees {
        return Ok(());
    }
    let price = U256::from(valid.gas_price);
    let used = executed.gas_used();
    let unused = U256::from(executed.gas_limit - used) * price;
    let caller = evm.ctx.tx.caller();
    credit(evm, caller, unused)?;
    let operator = evm.ctx.block.beneficiary();
    credit(evm, operator, U256::from(used) * price)
}

/// Adds to a balance. What cannot be represented is burned: the other choice would be a chain that stops.
pub(super) fn credit<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    address: Address,
    amount: U256,
) -> Result<(), ExecError<R::Error>> {
    if amount.is_zero() {
        return Ok(());
    }
    let mut account =
        evm.ctx.journal_mut().load_account_mut(address).map_err(super::db_fault)?.data;
    let balance = account.balance().saturating_add(amount).min(MAX_BALANCE);
    account.set_balance(balance);
    Ok(())
}

/// Gathers what the block keeps of the transaction.
pub(super) fn outcome<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    executed: Executed,
    effective_gas_price: u128,
) -> Outcome {
    let logs = evm.ctx.journal_mut().take_logs();
    Outcome {
        gas_used: executed.gas_used(),
        logs: if executed.failure.is_none() { logs } else { Default::default() },
        failure: executed.failure,
        effective_gas_price,
        output: executed.output,
        contract_address: executed.contract_address,
        messages: executed.messages,
        new_codes: executed.new_codes,
        pubdata_bytes: executed.pubdata_bytes,
        pubdata_gas: executed.pubdata_gas,
        gas_refunded: executed.refund,
        work: evm.precompiles.work,
    }
}
