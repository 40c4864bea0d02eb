//! Simulated executions: `eth_call`, `eth_estimateGas`, `eth_createAccessList`.

use crate::chain::{
    BlockRef, CallOutcome, CallPurpose, CallRequest, RpcInspector, StateView, TracedTx, TxTracer,
};
use crate::context::{Context, Module, Registered, heavy};
use crate::error::{ChainError, Result, halt_message};
use crate::params::{Args, BlockArg};
use crate::view::Hex;
use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, Bytes, TxKind, U256};
use alloy_rpc_types::state::StateOverride;
use alloy_rpc_types::{BlockOverrides, TransactionRequest};
use alloy_serde::WithOtherFields;
use revm::context::{BlockEnv, TxEnv};
use revm::context_interface::result::{ExecutionResult, HaltReason, ResultAndState};
use revm_inspectors::access_list::AccessListInspector;
use serde::Serialize;
use std::ops::ControlFlow;

/// Share of the execution permits that a trace takes: it holds far more memory than a call.
pub(crate) const TRACE_PERMITS: u32 = 8;
/// Gas of a plain transfer.
const TRANSFER_GAS: u64 = 21_000;
/// What a call with value hands its callee for free.
const CALL_STIPEND: u64 = 2_300;
/// `eth_estimateGas` stops when the bounds are this close (geth's ratio).
const ESTIMATE_ERROR_RATIO: f64 = 0.015;
/// Bound on the probes of one estimate: far above what halving 2^64 needs.
const MAX_PROBES: usize = 80;

/// A request as clients send it.
pub(crate) type Request = WithOtherFields<TransactionRequest>;

/// `from`, gas limit and block of a request, made definite.
pub(crate) fn prepare(
    ctx: &Context,
    request: Request,
    block: BlockRef,
    purpose: CallPurpose,
) -> CallRequest {
    let WithOtherFields { inner: mut request, other } = request;
    request.normalize_input();
    request.from.get_or_insert(Address::ZERO);
    let cap = ctx.limits.call_gas_cap;
    request.gas = Some(request.gas.unwrap_or(cap).min(cap));
    CallRequest { request, other, block, state_overrides: None, block_overrides: None, purpose }
}

/// The return data, or the revert or halt as an error.
pub(crate) fn output(outcome: CallOutcome) -> Result<Bytes> {
    match outcome.result {
        ExecutionResult::Success { output, .. } => Ok(output.into_data()),
        ExecutionResult::Revert { output, .. } => Err(ChainError::Reverted(output)),
        ExecutionResult::Halt { reason, .. } => Err(ChainError::Halted(halt_message(&reason))),
    }
}

fn call(ctx: &Context, args: &mut Args<'_>) -> Result<Bytes> {
    let (request, at) = (args.req::<Request>()?, args.block()?);
    let mut call = prepare(ctx, request, ctx.resolve(at)?, CallPurpose::Call);
    call.state_overrides = args.opt::<StateOverride>()?;
    call.block_overrides = args.opt::<BlockOverrides>()?.map(Box::new);
    output(ctx.chain.call(call, None)?)
}

/// Greatest gas limit that the sender can pay for at the fee it states.
fn affordable(
    ctx: &Context,
    request: &TransactionRequest,
    call: &CallRequest,
) -> Result<Option<u64>> {
    let fee = request.max_fee_per_gas.or(request.gas_price).unwrap_or_default();
    if fee == 0 || crate::eip712::meta(&call.other)?.is_some_and(|m| m.paymaster.is_some()) {
        return Ok(None);
    }
    let from = request.from.unwrap_or_default();
    let overridden =
        call.state_overrides.as_ref().and_then(|o| o.get(&from)).and_then(|o| o.balance);
    let balance = match overridden {
        Some(balance) => balance,
        None => ctx.chain.state(call.block)?.basic_ref(from)?.map_or(U256::ZERO, |a| a.balance),
    };
    let value = request.value.unwrap_or_default();
    let Some(available) = balance.checked_sub(value) else {
        return Err(crate::PoolError::InsufficientFunds { have: balance, want: value }.into());
    };
    Ok(Some(u64::try_from(available / U256::from(fee)).unwrap_or(u64::MAX)))
}

fn probe(ctx: &Context, call: &CallRequest, gas: u64) -> Result<CallOutcome> {
    let mut call = call.clone();
    call.request.gas = Some(gas);
    ctx.chain.call(call, None)
}

/// True if the gas limit sufficed. A limit under the intrinsic gas is an ordinary "no".
fn suffices(ctx: &Context, call: &CallRequest, gas: u64) -> Result<bool> {
    use crate::PoolError::{FloorGas, IntrinsicGas};
    match probe(ctx, call, gas) {
        Ok(outcome) => Ok(outcome.result.is_success()),
        Err(ChainError::Pool(IntrinsicGas { .. } | FloorGas { .. })) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_plain_transfer(ctx: &Context, call: &CallRequest) -> Result<bool> {
    let request = &call.request;
    let Some(TxKind::Call(to)) = request.to else { return Ok(false) };
    let plain = request.input.input().is_none_or(|data| data.is_empty())
        && request.access_list.is_none()
        && request.authorization_list.is_none()
        && call.state_overrides.is_none()
        && call.other.is_empty();
    Ok(plain && ctx.chain.state(call.block)?.basic_ref(to)?.is_none_or(|a| a.is_empty_code_hash()))
}

/// The least gas limit with which the request succeeds, within geth's error ratio.
pub(crate) fn estimate(ctx: &Context, mut call: CallRequest) -> Result<u64> {
    call.purpose = CallPurpose::Estimate;
    let limit = ctx.chain.block_gas_limit().min(ctx.chain.tx_gas_cap().unwrap_or(u64::MAX));
    let mut high = call.request.gas.unwrap_or(limit).min(limit);
    if let Some(most) = affordable(ctx, &call.request, &call)? {
        high = high.min(most);
    }
    if is_plain_transfer(ctx, &call)? && high >= TRANSFER_GAS && suffices(ctx, &call, TRANSFER_GAS)?
    {
        return Ok(TRANSFER_GAS);
    }
    let first = probe(ctx, &call, high)?;
    match &first.result {
        ExecutionResult::Halt { reason: HaltReason::OutOfGas(_), .. } => {
            return Err(ChainError::Halted(format!("gas required exceeds allowance ({high})")));
        }
        ExecutionResult::Success { .. } => {}
        _ => return output(first).map(|_| high),
    }
    search(ctx, &call, &first, high)
}

fn search(ctx: &Context, call: &CallRequest, first: &CallOutcome, mut high: u64) -> Result<u64> {
    let spent = first.gas_used.max(first.result.gas().total_gas_spent());
    let mut low = first.gas_used.saturating_sub(1);
    // What inner calls see is 63/64 of what is left: try the bound that covers it first.
    let optimistic = spent.saturating_add(CALL_STIPEND).saturating_mul(64) / 63;
    if optimistic < high {
        if suffices(ctx, call, optimistic)? {
            high = optimistic;
        } else {
            low = optimistic;
        }
    }
    for _ in 0..MAX_PROBES {
        if low + 1 >= high || (high - low) as f64 / (high as f64) < ESTIMATE_ERROR_RATIO {
            break;
        }
        let middle = (low + (high - low) / 2).min(low.saturating_mul(2).max(1));
        if suffices(ctx, call, middle)? {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(high)
}

fn estimate_gas(ctx: &Context, args: &mut Args<'_>) -> Result<Hex<u64>> {
    let (request, at) =
        (args.req::<Request>()?, args.opt::<BlockArg>()?.unwrap_or(BlockArg::Pending));
    let asked = request.inner.gas;
    let mut call = prepare(ctx, request, ctx.resolve(at)?, CallPurpose::Estimate);
    call.request.gas = asked;
    call.state_overrides = args.opt::<StateOverride>()?;
    call.block_overrides = args.opt::<BlockOverrides>()?.map(Box::new);
    let room = crate::eip712::margin(&call.request, &call.other)?;
    Ok(Hex(estimate(ctx, call)?.saturating_add(room)))
}

/// Answer of `eth_createAccessList`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccessListReply {
    access_list: AccessList,
    gas_used: Hex<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Collects what one execution touches.
struct AccessListTracer(RpcInspector);

impl TxTracer for AccessListTracer {
    fn inspector(&mut self, _: &TracedTx) -> Option<&mut RpcInspector> {
        Some(&mut self.0)
    }

    fn finish(
        &mut self,
        _: &TracedTx,
        _: &TxEnv,
        _: &BlockEnv,
        _: &ResultAndState<HaltReason>,
        _: &dyn StateView,
    ) -> Result<ControlFlow<()>> {
        Ok(ControlFlow::Break(()))
    }
}

fn create_access_list(ctx: &Context, args: &mut Args<'_>) -> Result<AccessListReply> {
    let (request, at) =
        (args.req::<Request>()?, args.opt::<BlockArg>()?.unwrap_or(BlockArg::Pending));
    let mut call = prepare(ctx, request, ctx.resolve(at)?, CallPurpose::Call);
    call.state_overrides = args.opt::<StateOverride>()?;
    // Each round warms what the last one found, which may change the way taken; it settles in a few rounds.
    let mut list = call.request.access_list.clone().unwrap_or_default();
    for _ in 0..8 {
        call.request.access_list = Some(list.clone());
        let mut tracer = AccessListTracer(RpcInspector::AccessList(Box::new(
            AccessListInspector::new(list.clone()),
        )));
        let outcome = ctx.chain.call(call.clone(), Some(&mut tracer))?;
        let RpcInspector::AccessList(inspector) = tracer.0 else { break };
        let found = inspector.access_list();
        let settled = found == list;
        list = found;
        if settled {
            let gas_used = Hex(outcome.gas_used);
            return Ok(AccessListReply {
                access_list: list,
                gas_used,
                error: output(outcome).err().map(|e| e.to_string()),
            });
        }
    }
    Err(ChainError::Halted("the access list does not settle".into()))
}

pub(crate) fn register(m: &mut Module) -> Registered {
    heavy(m, "eth_call", call)?;
    heavy(m, "eth_estimateGas", estimate_gas)?;
    heavy(m, "eth_createAccessList", create_access_list)
}
