//! The steps **validate** and **pay** of accounts with code and of transactions with a paymaster.

use alloy_primitives::{Address, Bytes, TxKind, U256};
use alloy_sol_types::SolCall;
use cairn_primitives::{address::BOOTLOADER, config::INTRINSIC_PUBDATA};
use revm::{
    context::{Cfg, ContextTr, JournalTr},
    context_interface::{
        cfg::gas::get_tokens_in_calldata,
        journaled_state::{JournalCheckpoint, account::JournaledAccountTr},
    },
    handler::Handler,
    interpreter::InitialAndFloorGas,
};

use super::{
    AaError, MAX_VALIDATION_GAS, PARTY_GAS, Reason, Step, Work,
    abi::{self, Arguments},
    bootloader_balance,
    call::{Returned, call, succeeded},
    extra_calldata, nonce, paymaster,
};
use crate::{
    error::{ExecError, TxError},
    evm::{Blocks, CairnEvm},
    life::{
        Rules, charge, db_fault,
        execute::{Exec, Executed, mark},
        fault, settle, validate,
    },
    reader::StateReader,
};

/// A transaction that has paid.
pub(super) struct Admitted {
    /// Calldata of the account's calls.
    pub args: Arguments,
    /// What the paymaster wants to be told in the end.
    pub context: Bytes,
    /// Gas that is not spent.
    pub gas_left: u64,
    /// Of it, what the pubdata of these steps costs: execution cannot have it.
    pub reserve: u64,
    /// Refund counter.
    pub refund: u64,
    /// EIP-7623.
    pub floor: u64,
    /// Wei in hand.
    pub paid: U256,
    /// Where a failed execution goes back to.
    pub start: JournalCheckpoint,
    /// Gas that account and paymaster code used.
    pub validation_gas: u64,
}

/// The gas of these steps: the transaction's, and their own bound.
pub(super) struct Budget {
    left: u64,
    validation: u64,
    refund: u64,
}

impl Budget {
    /// Runs a call within the budget; a plain call of the bootloader's unless `caller` says otherwise.
    pub(super) fn call<R: StateReader, I>(
        &mut self,
        evm: &mut CairnEvm<R, I>,
        exec: Exec<R, I>,
        caller: Address,
        to: Address,
        data: Bytes,
    ) -> Result<Returned, ExecError<R::Error>> {
        let gas = self.left.min(self.validation);
        let returned = call(evm, exec, caller, TxKind::Call(to), U256::ZERO, data, gas)?;
        let used = gas - returned.gas_left;
        self.left -= used;
        self.validation -= used;
        self.refund = self.refund.saturating_add(returned.refund);
        Ok(returned)
    }
}

/// Runs the steps up to **execute**. On an error nothing is kept (the caller discards the transaction's journal).
pub(super) fn admit<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    work: &Work<'_>,
    rules: &Rules,
    exec: Exec<R, I>,
) -> Result<Admitted, ExecError<R::Error>> {
    let tx = work.tx;
    let intrinsic = check(evm, work, rules)?;
    Blocks::<R, I>::default().load_accounts(evm).map_err(fault::<R>)?;
    let left = tx.gas_limit - intrinsic.initial_total_gas();
    let mut budget = Budget { left, validation: MAX_VALIDATION_GAS, refund: 0 };
    let args = Arguments::new(work);
    let held = bootloader_balance(evm)?;
    if work.smart {
        validate_account(evm, work, &args, &mut budget, rules, exec)?;
    } else {
        plain_account(evm, work, rules)?;
    }
    let context = match &tx.paymaster {
        Some(p) => paymaster::pay(evm, work, p, &args, &mut budget, rules, exec)?,
        None => {
            let data = args.of::<abi::payForTransactionCall>();
            let returned = budget.call(evm, exec, BOOTLOADER, tx.from, data)?;
            succeeded(Step::PayForTransaction, tx.from, returned)?;
            Bytes::new()
        }
    };
    let paid = collect(evm, work, held, rules)?;
    let validation_gas = MAX_VALIDATION_GAS - budget.validation;
    let reserve = reserve(evm, work, budget.left, rules)?;
    Ok(Admitted {
        args,
        context,
        gas_left: budget.left,
        reserve,
        refund: budget.refund,
        floor: intrinsic.floor_gas(),
        paid,
        start: mark(evm),
        validation_gas,
    })
}

/// What needs no code to be run.
fn check<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    work: &Work<'_>,
    rules: &Rules,
) -> Result<InitialAndFloorGas, ExecError<R::Error>> {
    validate::chain_id(evm)?;
    validate::gas_limit(evm, rules)?;
    if rules.policy.check_fees {
        validate::fee_caps(evm)?;
    }
    validate::shape(evm)?;
    Ok(intrinsic(evm, work)?)
}

/// Intrinsic and floor gas, with what only these transactions have.
fn intrinsic<R: StateReader, I>(
    evm: &CairnEvm<R, I>,
    work: &Work<'_>,
) -> Result<InitialAndFloorGas, TxError> {
    let mut gas = validate::intrinsic_gas(evm)?;
    let params = evm.ctx.cfg.gas_params();
    let mut more = PARTY_GAS * u64::from(work.smart);
    if let Some(p) = &work.tx.paymaster {
        let approves = !work.smart && paymaster::is_approval(&p.input);
        more += PARTY_GAS * (1 + u64::from(approves));
    }
    let mut floor = gas.floor_gas();
    for bytes in extra_calldata(work.tx) {
        let tokens = get_tokens_in_calldata(bytes, params.tx_token_non_zero_byte_multiplier());
        more += params.tx_token_cost() * tokens;
        floor += params.tx_floor_cost_per_token() * tokens;
    }
    gas = InitialAndFloorGas::new(gas.initial_total_gas() + more, floor);
    let have = work.tx.gas_limit;
    if gas.initial_total_gas() > have {
        return Err(TxError::IntrinsicGas { have, want: gas.initial_total_gas() });
    }
    if floor > have {
        return Err(TxError::FloorDataGas { have, want: floor });
    }
    Ok(gas)
}

/// A plain account whose paymaster pays: its nonce rises here, unless the frame of a creation raises it.
fn plain_account<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    work: &Work<'_>,
    rules: &Rules,
) -> Result<(), ExecError<R::Error>> {
    let tx = work.tx;
    let mut account = evm.ctx.journal_mut().load_account_mut(tx.from).map_err(db_fault)?.data;
    if rules.policy.check_sender {
        nonce::check_sequential(tx.from, tx.nonce, account.nonce())?;
    }
    let (have, want) = (*account.balance(), tx.value);
    if have < want {
        return Err(TxError::InsufficientFunds { address: tx.from, have, want }.into());
    }
    if tx.to.is_some() {
        account.bump_nonce();
    }
    Ok(())
}

fn validate_account<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    work: &Work<'_>,
    args: &Arguments,
    budget: &mut Budget,
    rules: &Rules,
    exec: Exec<R, I>,
) -> Result<(), ExecError<R::Error>> {
    let tx = work.tx;
    if rules.policy.check_sender {
        nonce::check_unused(evm, tx.from, tx.nonce)?;
    }
    let data = args.of::<abi::validateTransactionCall>();
    let returned = budget.call(evm, exec, BOOTLOADER, tx.from, data)?;
    let answer = succeeded(Step::ValidateTransaction, tx.from, returned)?;
    if !rules.policy.check_sender {
        return Ok(());
    }
    if !is_magic(&answer, abi::validateTransactionCall::SELECTOR) {
        let (step, account) = (Step::ValidateTransaction, tx.from);
        return Err(AaError { step, account, reason: Reason::Magic(answer) }.into());
    }
    nonce::check_used(evm, tx.from, tx.nonce)
}

/// Whether the answer's first word is a magic value: by convention the selector of what was called.
pub(super) fn is_magic(answer: &[u8], magic: [u8; 4]) -> bool {
    answer.len() >= 32 && answer[..4] == magic && answer[4..32].iter().all(|b| *b == 0)
}

/// Takes from the bootloader what came to it; what is beyond the fee goes back to the payer at once.
fn collect<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    work: &Work<'_>,
    held: U256,
    rules: &Rules,
) -> Result<U256, ExecError<R::Error>> {
    let have = bootloader_balance(evm)?.saturating_sub(held);
    let want = if rules.policy.charge_fees {
        U256::from(work.tx.gas_limit) * U256::from(work.price)
    } else {
        U256::ZERO
    };
    if have < want {
        let step = match work.tx.paymaster {
            Some(_) => Step::ValidateAndPay,
            None => Step::PayForTransaction,
        };
        let reason = Reason::Underpaid { have, want };
        return Err(AaError { step, account: work.payer(), reason }.into());
    }
    let mut bootloader = evm.ctx.journal_mut().load_account_mut(BOOTLOADER).map_err(db_fault)?.data;
    bootloader.decr_balance(have);
    settle::credit(evm, work.payer(), have - want)?;
    Ok(want)
}

/// Gas that the pubdata of these steps costs.
fn reserve<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    work: &Work<'_>,
    have: u64,
    rules: &Rules,
) -> Result<u64, ExecError<R::Error>> {
    let refuse = |reason| {
        let (step, account) = (Step::Pubdata, work.payer());
        ExecError::from(AaError { step, account, reason })
    };
    evm.ctx.tx.caller = work.tx.from;
    let mut so_far = Executed::nothing(mark(evm), work.tx.gas_limit);
    so_far.messages = charge::messages(evm);
    let bytes = charge::measure(evm, &mut so_far)?;
    let bytes = bytes.ok_or_else(|| refuse(Reason::BalanceOverflow))?;
    let want = bytes.saturating_sub(INTRINSIC_PUBDATA).saturating_mul(rules.fees.gas_per_pubdata);
    if want > have || bytes > crate::limits::MAX_PUBDATA_PER_TX {
        return Err(refuse(Reason::PubdataGas { bytes, want, have }));
    }
    Ok(want)
}
