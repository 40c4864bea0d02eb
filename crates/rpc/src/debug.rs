//! `debug_trace*` with callTracer, prestateTracer, flatCallTracer, 4byteTracer, muxTracer, noopTracer and struct logs.

use crate::chain::{
    BlockRef, CallPurpose, ReplayTarget, RpcInspector, StateView, TracedTx, TxTracer,
};
use crate::context::{Context, Module, Registered, heavy, quick};
use crate::error::{ChainError, Result};
use crate::execute::{self, Request};
use crate::params::{Args, BlockArg};
use alloy_primitives::{B256, Bytes, TxHash};
use alloy_rpc_types::trace::geth::{
    GethDebugTracingCallOptions, GethDebugTracingOptions, GethTrace,
};
use revm::context::{BlockEnv, TxEnv};
use revm::context_interface::result::{HaltReason, ResultAndState};
use revm_inspectors::tracing::{DebugInspector, DebugInspectorError, TransactionContext};
use serde::Serialize;
use std::fmt::Display;
use std::ops::ControlFlow;

/// One transaction's trace in a block's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockTrace {
    tx_hash: TxHash,
    result: GethTrace,
}

/// Runs the asked tracer over one or all transactions.
struct Debugger {
    inspector: RpcInspector,
    only: Option<TxHash>,
    traces: Vec<(TracedTx, GethTrace)>,
}

fn bad_tracer<E: Display>(error: DebugInspectorError<E>) -> ChainError {
    match error {
        DebugInspectorError::Database(e) => ChainError::Internal(e.to_string()),
        other => ChainError::InvalidParams(other.to_string()),
    }
}

impl Debugger {
    fn new(options: GethDebugTracingOptions, only: Option<TxHash>) -> Result<Self> {
        let inspector = DebugInspector::new(options).map_err(bad_tracer)?;
        Ok(Self { inspector: RpcInspector::Debug(Box::new(inspector)), only, traces: Vec::new() })
    }

    fn single(mut self) -> Result<GethTrace> {
        self.traces.pop().map(|(_, trace)| trace).ok_or(ChainError::UnknownTransaction)
    }
}

impl TxTracer for Debugger {
    fn inspector(&mut self, tx: &TracedTx) -> Option<&mut RpcInspector> {
        self.only.is_none_or(|hash| hash == tx.hash).then_some(&mut self.inspector)
    }

    fn finish(
        &mut self,
        tx: &TracedTx,
        tx_env: &TxEnv,
        block_env: &BlockEnv,
        result: &ResultAndState<HaltReason>,
        before: &dyn StateView,
    ) -> Result<ControlFlow<()>> {
        let RpcInspector::Debug(inspector) = &mut self.inspector else {
            return Ok(ControlFlow::Break(()));
        };
        let included = !tx.hash.is_zero();
        let context = TransactionContext {
            block_hash: included.then_some(tx.block_hash),
            tx_index: included.then_some(tx.index as usize),
            tx_hash: included.then_some(tx.hash),
        };
        let trace = inspector
            .get_result(Some(context), tx_env, block_env, result, &mut &*before)
            .map_err(bad_tracer)?;
        inspector.fuse().map_err(bad_tracer)?;
        self.traces.push((*tx, trace));
        Ok(if self.only.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

fn trace_transaction(ctx: &Context, args: &mut Args<'_>) -> Result<GethTrace> {
    let (hash, options) =
        (args.req::<TxHash>()?, args.opt::<GethDebugTracingOptions>()?.unwrap_or_default());
    let mut debugger = Debugger::new(options, Some(hash))?;
    ctx.chain.replay(ReplayTarget::Transaction(hash), &mut debugger)?;
    debugger.single()
}

fn trace_block(
    ctx: &Context,
    block: BlockRef,
    options: GethDebugTracingOptions,
) -> Result<Vec<BlockTrace>> {
    let known = ctx.chain.block(block)?.ok_or(ChainError::UnknownBlock)?;
    if known.header.number == 0 {
        return Err(ChainError::Halted("genesis is not traceable".into()));
    }
    let mut debugger = Debugger::new(options, None)?;
    ctx.chain.replay(ReplayTarget::Block(block), &mut debugger)?;
    Ok(debugger
        .traces
        .into_iter()
        .map(|(tx, result)| BlockTrace { tx_hash: tx.hash, result })
        .collect())
}

fn trace_call(ctx: &Context, args: &mut Args<'_>) -> Result<GethTrace> {
    let (request, at) = (args.req::<Request>()?, args.block()?);
    let options = args.opt::<GethDebugTracingCallOptions>()?.unwrap_or_default();
    let mut call = execute::prepare(ctx, request, ctx.resolve(at)?, CallPurpose::Call);
    call.state_overrides = options.state_overrides;
    call.block_overrides = options.block_overrides.map(Box::new);
    let mut debugger = Debugger::new(options.tracing_options, None)?;
    ctx.chain.call(call, Some(&mut debugger))?;
    debugger.single()
}

pub(crate) fn register(m: &mut Module) -> Registered {
    heavy(m, "debug_traceTransaction", trace_transaction)?;
    heavy(m, "debug_traceBlockByNumber", |ctx, args| {
        let block = ctx.resolve(args.req::<BlockArg>()?)?;
        trace_block(ctx, block, args.opt()?.unwrap_or_default())
    })?;
    heavy(m, "debug_traceBlockByHash", |ctx, args| {
        let block = BlockRef::Hash(args.req::<B256>()?);
        trace_block(ctx, block, args.opt()?.unwrap_or_default())
    })?;
    heavy(m, "debug_traceCall", trace_call)?;
    quick(m, "debug_getRawTransaction", |ctx, args| {
        Ok(ctx.chain.raw_transaction(args.req()?)?.unwrap_or_else(Bytes::new))
    })
}
