//! `debug_trace*` with callTracer, prestateTracer, flatCallTracer, 4byteTracer, erc7562Tracer, noopTracer, muxTracer and struct logs.

use crate::chain::{
    BlockRef, CallPurpose, ReplayTarget, RpcInspector, StateView, TracedTx, TxTracer,
};
use crate::context::{Context, Module, Registered, quick, weighted};
use crate::error::{ChainError, Result};
use crate::execute::{self, Request, TRACE_PERMITS};
use crate::frames::Stepwise;
use crate::params::{Args, BlockArg};
use crate::tracers::{Tracers, bad_tracer};
use crate::view::{Log, Receipt};
use alloy_primitives::{B256, Bytes, TxHash};
use alloy_rlp::Encodable;
use alloy_rpc_types::trace::geth::mux::MuxFrame;
use alloy_rpc_types::trace::geth::{
    DefaultFrame, GethDebugBuiltInTracerType, GethDebugTracerType, GethDebugTracingCallOptions,
    GethDebugTracingOptions, GethTrace,
};
use revm::context::{BlockEnv, TxEnv};
use revm::context_interface::result::{HaltReason, ResultAndState};
use revm_inspectors::tracing::{DebugInspector, GethTraceBuilder, TransactionContext};
use serde::Serialize;
use std::ops::ControlFlow;

/// Most steps of a struct log trace with stacks (up to 32 KiB each), and without.
const MAX_STEPS: u64 = 50_000;
const MAX_STEPS_NO_STACK: u64 = 1_000_000;

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
    /// Steps of a struct log trace beyond which it would be cut without the client having asked for it.
    step_bound: Option<usize>,
    /// Steps so far, and the most of them in all.
    steps: usize,
    most_steps: usize,
    traces: Vec<(TracedTx, GethTrace)>,
}

/// The struct logs of a transaction with several top-level calls: one call's after the other's, as they ran. `None` for all others.
fn struct_logs(
    inspector: &mut Stepwise<DebugInspector>,
    result: &ResultAndState<HaltReason>,
) -> Option<GethTrace> {
    let DebugInspector::Default(_, options) = &inspector.inner else { return None };
    let options = *options;
    let result = &result.result;
    let mut frame = DefaultFrame {
        failed: !result.is_success(),
        gas: result.tx_gas_used(),
        return_value: result.output().cloned().unwrap_or_default(),
        ..DefaultFrame::default()
    };
    for tree in inspector.split()? {
        let part = GethTraceBuilder::new(tree).geth_traces(0, Bytes::new(), options);
        frame.struct_logs.extend(part.struct_logs);
    }
    Some(frame.into())
}

impl Debugger {
    fn new(mut options: GethDebugTracingOptions, only: Option<TxHash>) -> Result<Self> {
        let most = if options.config.is_stack_enabled() { MAX_STEPS } else { MAX_STEPS_NO_STACK };
        let asked = options.config.limit.filter(|limit| *limit > 0);
        let limit = asked.unwrap_or(most).min(most);
        options.config.limit = Some(limit);
        let step_bound = asked.is_none_or(|asked| asked > most).then_some(limit as usize);
        let inspector = RpcInspector::Debug(Box::new(Tracers::new(options)?));
        let most_steps = most as usize;
        Ok(Self { inspector, only, step_bound, steps: 0, most_steps, traces: Vec::new() })
    }

    /// Runs an execution. When the tracers ended it, that is the reason of whatever came out.
    fn watch(&mut self, run: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let ran = run(self);
        let RpcInspector::Debug(tracers) = &self.inspector else { return ran };
        tracers.cut().map_or(ran, Err)
    }

    /// Refuses to pass a cut trace off as a whole one, and to hold more steps of a block than it may.
    fn count_steps(&mut self, trace: &GethTrace) -> Result<()> {
        let GethTrace::Default(frame) = trace else { return Ok(()) };
        let steps = frame.struct_logs.len();
        self.steps += steps;
        let cut = self.step_bound.is_some_and(|most| steps >= most);
        if cut || self.steps > self.most_steps {
            let most = self.most_steps;
            let message = format!(
                "the trace has more than {most} steps: use disableStack, limit or callTracer"
            );
            return Err(ChainError::LimitExceeded(message));
        }
        Ok(())
    }

    fn single(mut self) -> Result<GethTrace> {
        self.traces.pop().map(|(_, trace)| trace).ok_or(ChainError::UnknownTransaction)
    }
}

impl TxTracer for Debugger {
    fn inspector(&mut self, tx: &TracedTx) -> Option<&mut RpcInspector> {
        if self.only.is_some_and(|hash| hash != tx.hash) {
            return None;
        }
        if let RpcInspector::Debug(tracers) = &mut self.inspector {
            tracers.begin();
        }
        Some(&mut self.inspector)
    }

    fn finish(
        &mut self,
        tx: &TracedTx,
        tx_env: &TxEnv,
        block_env: &BlockEnv,
        result: &ResultAndState<HaltReason>,
        before: &dyn StateView,
    ) -> Result<ControlFlow<()>> {
        let RpcInspector::Debug(tracers) = &mut self.inspector else {
            return Ok(ControlFlow::Break(()));
        };
        if let Some(cut) = tracers.cut() {
            return Err(cut);
        }
        let run = Run { tx, tx_env, block_env, result, before };
        let traces = tracers.each.iter_mut().map(|t| run.trace(t)).collect::<Result<Vec<_>>>()?;
        let trace = together(tracers.names.as_deref(), traces);
        self.count_steps(&trace)?;
        self.traces.push((*tx, trace));
        Ok(if self.only.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

/// An execution that a tracer has seen.
struct Run<'a> {
    tx: &'a TracedTx,
    tx_env: &'a TxEnv,
    block_env: &'a BlockEnv,
    result: &'a ResultAndState<HaltReason>,
    before: &'a dyn StateView,
}

impl Run<'_> {
    /// What the tracer says of it; the tracer is as new then.
    fn trace(&self, inspector: &mut Stepwise<DebugInspector>) -> Result<GethTrace> {
        let tx = self.tx;
        let included = !tx.hash.is_zero();
        let context = TransactionContext {
            block_hash: included.then_some(tx.block_hash),
            tx_index: included.then_some(tx.index as usize),
            tx_hash: included.then_some(tx.hash),
        };
        let trace = match struct_logs(inspector, self.result) {
            Some(trace) => trace,
            None => {
                inspector.join(self.tx_env, &self.result.result);
                inspector
                    .get_result(
                        Some(context),
                        self.tx_env,
                        self.block_env,
                        self.result,
                        &mut &*self.before,
                    )
                    .map_err(bad_tracer)?
            }
        };
        inspector.fuse().map_err(bad_tracer)?;
        Ok(trace)
    }
}

/// The traces of a `muxTracer` by name, or the only one.
fn together(names: Option<&[GethDebugBuiltInTracerType]>, traces: Vec<GethTrace>) -> GethTrace {
    match names {
        Some(names) => {
            let names = names.iter().map(|name| GethDebugTracerType::from(*name));
            GethTrace::MuxTracer(MuxFrame(names.zip(traces).collect()))
        }
        None => traces.into_iter().next().unwrap_or_default(),
    }
}

fn trace_transaction(ctx: &Context, args: &mut Args<'_>) -> Result<GethTrace> {
    let (hash, options) =
        (args.req::<TxHash>()?, args.opt::<GethDebugTracingOptions>()?.unwrap_or_default());
    let mut debugger = Debugger::new(options, Some(hash))?;
    debugger.watch(|d| ctx.chain.replay(ReplayTarget::Transaction(hash), d))?;
    debugger.single()
}

fn trace_block(
    ctx: &Context,
    block: BlockRef,
    options: GethDebugTracingOptions,
) -> Result<Vec<BlockTrace>> {
    if block == BlockRef::Pending {
        return Err(ChainError::Halted("tracing on top of pending is not supported".into()));
    }
    let known = ctx.chain.block(block)?.ok_or(ChainError::UnknownBlock)?;
    if known.header.number == 0 {
        return Err(ChainError::Halted("genesis is not traceable".into()));
    }
    let mut debugger = Debugger::new(options, None)?;
    debugger.watch(|d| ctx.chain.replay(ReplayTarget::Block(block), d))?;
    Ok(debugger
        .traces
        .into_iter()
        .map(|(tx, result)| BlockTrace { tx_hash: tx.hash, result })
        .collect())
}

/// The block's RLP as on Ethereum: header, transactions, no uncles.
fn raw_block(ctx: &Context, args: &mut Args<'_>) -> Result<Bytes> {
    let at = ctx.resolve(args.req::<BlockArg>()?)?;
    let block = ctx.chain.block(at)?.ok_or(ChainError::UnknownBlock)?;
    let mut transactions = Vec::new();
    for hash in &block.transactions {
        let raw = ctx.chain.raw_transaction(*hash)?.ok_or(ChainError::UnknownTransaction)?;
        if raw.first().is_some_and(|first| *first >= 0xc0) {
            transactions.extend_from_slice(&raw);
        } else {
            raw.encode(&mut transactions);
        }
    }
    let list = |payload: &[u8], out: &mut Vec<u8>| {
        alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(out);
        out.extend_from_slice(payload);
    };
    let mut payload = alloy_rlp::encode(&block.header.inner);
    list(&transactions, &mut payload);
    list(&[], &mut payload);
    if block.header.withdrawals_root.is_some() {
        list(&[], &mut payload);
    }
    let mut out = Vec::with_capacity(payload.len() + 9);
    list(&payload, &mut out);
    Ok(out.into())
}

fn raw_header(ctx: &Context, args: &mut Args<'_>) -> Result<Bytes> {
    let at = ctx.resolve(args.req::<BlockArg>()?)?;
    let block = ctx.chain.block(at)?.ok_or(ChainError::UnknownBlock)?;
    Ok(alloy_rlp::encode(&block.header.inner).into())
}

/// EIP-2718 bytes of the block's receipts.
fn raw_receipts(ctx: &Context, args: &mut Args<'_>) -> Result<Vec<Bytes>> {
    let at = ctx.resolve(args.req::<BlockArg>()?)?;
    let receipts = ctx.chain.receipts(at)?.ok_or(ChainError::UnknownBlock)?;
    Ok(receipts.iter().map(raw_receipt).collect())
}

fn raw_receipt(receipt: &Receipt) -> Bytes {
    let log = |l: &Log| alloy_primitives::Log { address: l.address, data: l.data.clone() };
    let consensus = alloy_consensus::Receipt {
        status: receipt.status.into(),
        cumulative_gas_used: receipt.cumulative_gas_used,
        logs: receipt.logs.iter().map(log).collect(),
    };
    let mut out = Vec::new();
    if receipt.ty != 0 {
        out.push(receipt.ty);
    }
    consensus.with_bloom().encode(&mut out);
    out.into()
}

fn trace_call(ctx: &Context, args: &mut Args<'_>) -> Result<GethTrace> {
    let (request, at) = (args.req::<Request>()?, args.block()?);
    let options = args.opt::<GethDebugTracingCallOptions>()?.unwrap_or_default();
    let mut call = execute::prepare(ctx, request, ctx.resolve(at)?, CallPurpose::Call);
    call.state_overrides = options.state_overrides;
    call.block_overrides = options.block_overrides.map(Box::new);
    let mut debugger = Debugger::new(options.tracing_options, None)?;
    debugger.watch(|d| ctx.chain.call(call, Some(d)).map(|_| ()))?;
    debugger.single()
}

pub(crate) fn register(m: &mut Module) -> Registered {
    weighted(m, "debug_traceTransaction", TRACE_PERMITS, trace_transaction)?;
    weighted(m, "debug_traceBlockByNumber", TRACE_PERMITS, |ctx, args| {
        let block = ctx.resolve(args.req::<BlockArg>()?)?;
        trace_block(ctx, block, args.opt()?.unwrap_or_default())
    })?;
    weighted(m, "debug_traceBlockByHash", TRACE_PERMITS, |ctx, args| {
        let block = BlockRef::Hash(args.req::<B256>()?);
        trace_block(ctx, block, args.opt()?.unwrap_or_default())
    })?;
    weighted(m, "debug_traceCall", TRACE_PERMITS, trace_call)?;
    weighted(m, "debug_getRawBlock", 1, raw_block)?;
    weighted(m, "debug_getRawHeader", 1, raw_header)?;
    weighted(m, "debug_getRawReceipts", 1, raw_receipts)?;
    // Geth lists the bad blocks that peers sent: there are no peers.
    quick(m, "debug_getBadBlocks", |_, _| Ok([(); 0]))?;
    quick(m, "debug_getRawTransaction", |ctx, args| {
        Ok(ctx.chain.raw_transaction(args.req()?)?.unwrap_or_else(Bytes::new))
    })
}
