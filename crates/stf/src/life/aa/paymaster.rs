//! Paymasters: the account makes ready, the paymaster agrees and pays, and has the last word.

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, SolValue};
use cairn_primitives::{address::BOOTLOADER, eip712::PaymasterParams};

use super::{
    AaError, Reason, Step, Work,
    abi::{self, Arguments, PaymasterFlow},
    admit::{Budget, is_magic},
    call::succeeded,
};
use crate::{
    error::ExecError,
    evm::CairnEvm,
    life::{Rules, execute::Exec},
    reader::StateReader,
};

/// Most bytes of a paymaster's context.
const MAX_CONTEXT: usize = 16 * 1024;

/// Whether the input asks for an allowance.
pub(super) fn is_approval(input: &[u8]) -> bool {
    input.starts_with(&PaymasterFlow::approvalBasedCall::SELECTOR)
}

/// The account's part and the paymaster's; answers the context that `postTransaction` gets.
pub(super) fn pay<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    work: &Work<'_>,
    params: &PaymasterParams,
    args: &Arguments,
    budget: &mut Budget,
    rules: &Rules,
    exec: Exec<R, I>,
) -> Result<Bytes, ExecError<R::Error>> {
    let from = work.tx.from;
    if work.smart {
        let data = args.of::<abi::prepareForPaymasterCall>();
        let returned = budget.call(evm, exec, BOOTLOADER, from, data)?;
        succeeded(Step::PrepareForPaymaster, from, returned)?;
    } else {
        prepare_plain(evm, work, params, budget, exec)?;
    }
    let data = args.of::<abi::validateAndPayForPaymasterTransactionCall>();
    let account = params.paymaster;
    let returned = budget.call(evm, exec, BOOTLOADER, account, data)?;
    let answer = succeeded(Step::ValidateAndPay, account, returned)?;
    let magic = abi::validateAndPayForPaymasterTransactionCall::SELECTOR;
    let context = context(&answer);
    match context {
        Some(context) if !rules.policy.check_sender || is_magic(&answer, magic) => Ok(context),
        _ => {
            let (step, reason) = (Step::ValidateAndPay, Reason::Magic(answer));
            Err(AaError { step, account, reason }.into())
        }
    }
}

/// The context of the answer `(bytes4, bytes)`; `None` when it is no such answer.
fn context(answer: &[u8]) -> Option<Bytes> {
    let (_, context) = <(U256, Bytes)>::abi_decode_params(answer).ok()?;
    (context.len() <= MAX_CONTEXT).then_some(context)
}

/// What `prepareForPaymaster` of a plain account does: nothing for `general`, an allowance for `approvalBased`.
fn prepare_plain<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    work: &Work<'_>,
    params: &PaymasterParams,
    budget: &mut Budget,
    exec: Exec<R, I>,
) -> Result<(), ExecError<R::Error>> {
    if params.input.starts_with(&PaymasterFlow::generalCall::SELECTOR) {
        return Ok(());
    }
    let account = work.tx.from;
    let refuse = || AaError { step: Step::Approval, account, reason: Reason::Flow };
    if !is_approval(&params.input) {
        return Err(refuse().into());
    }
    let flow = PaymasterFlow::approvalBasedCall::abi_decode(&params.input).map_err(|_| refuse())?;
    let mut token = Token { evm, budget, exec, owner: account, token: flow.token };
    let have = token.allowance(params.paymaster)?;
    if have >= flow.minAllowance {
        return Ok(());
    }
    if !have.is_zero() {
        // Tokens such as USDT change an allowance only from or to zero.
        token.approve(params.paymaster, U256::ZERO)?;
    }
    token.approve(params.paymaster, flow.minAllowance)
}

struct Token<'a, R: StateReader, I> {
    evm: &'a mut CairnEvm<R, I>,
    budget: &'a mut Budget,
    exec: Exec<R, I>,
    owner: Address,
    token: Address,
}

impl<R: StateReader, I> Token<'_, R, I> {
    fn call(&mut self, data: Bytes) -> Result<Bytes, ExecError<R::Error>> {
        let returned = self.budget.call(self.evm, self.exec, self.owner, self.token, data)?;
        Ok(succeeded(Step::Approval, self.token, returned)?)
    }

    fn refused(&self) -> AaError {
        AaError { step: Step::Approval, account: self.token, reason: Reason::Token }
    }

    fn allowance(&mut self, spender: Address) -> Result<U256, ExecError<R::Error>> {
        let data = abi::allowanceCall { owner: self.owner, spender }.abi_encode();
        let answer = self.call(data.into())?;
        Ok(U256::abi_decode(&answer).map_err(|_| self.refused())?)
    }

    /// Succeeds if the token answers true, or nothing at all (as some old ones do).
    fn approve(&mut self, spender: Address, amount: U256) -> Result<(), ExecError<R::Error>> {
        let data = abi::approveCall { spender, amount }.abi_encode();
        let answer = self.call(data.into())?;
        let agrees = answer.is_empty() || bool::abi_decode_validate(&answer) == Ok(true);
        if agrees { Ok(()) } else { Err(self.refused().into()) }
    }
}
