//! The `ots_` namespace, as Otterscan asks for it, and the one `erigon_` method that it needs.
//!
//! Everything but the search by address is answered from the chain itself: who created a contract and which transaction used a nonce are found by
//! bisection over the state of the past. The search needs an [`AddressIndex`]; without one it answers -32601.

use crate::chain::{
    BlockRef, Chain, NamedBlock, ReplayTarget, RpcInspector, StateView, TracedTx, TxTracer,
};
use crate::context::{Context, Module, Registered, heavy, quick, weighted};
use crate::error::{ChainError, Result};
use crate::internal::{InternalOperation, internal_operations};
use crate::params::Args;
use crate::view::{Block, Hex, Receipt, Transaction};
use alloy_primitives::{Address, B256, Bytes, TxHash, U256};
use revm::context::{BlockEnv, TxEnv};
use revm::context_interface::result::{ExecutionResult, HaltReason, ResultAndState};
use revm_inspectors::tracing::types::{CallKind, CallTraceNode};
use revm_inspectors::tracing::{
    TraceLimitBehavior, TraceLimits, TracingInspector, TracingInspectorConfig,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::ops::ControlFlow;

/// Version of the namespace.
const API_LEVEL: u64 = 8;
/// Most rows of one page.
const MAX_PAGE: u64 = 100;
/// Most bytes that a call trace copies.
const MAX_TRACE_BYTES: usize = 64 << 20;
/// Share of the execution permits that a trace takes.
const TRACE_PERMITS: u32 = 4;
/// Type of a rollup's L1->L2 transactions: their nonce is the place in L1's queue, not the account's.
const FROM_L1: u8 = 0x7f;
/// Bytes of the input that lists of transactions show: the selector.
const SHOWN_INPUT: usize = 4;

/// Transactions of an address, by position `(block, index)`. Both directions are bounded by `limit`.
pub trait AddressIndex: Send + Sync + 'static {
    /// Positions before block `before` (from the newest where it is `None`), newest first.
    fn before(
        &self,
        address: Address,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, u32)>>;

    /// Positions after block `after`, oldest first.
    fn after(&self, address: Address, after: u64, limit: usize) -> Result<Vec<(u64, u32)>>;
}

/// The call trace of included transactions.
#[derive(Debug)]
pub struct CallTracer {
    inspector: RpcInspector,
    only: Option<TxHash>,
    outcomes: Vec<CallTrace>,
}

/// One transaction's calls in order, and its outcome.
#[derive(Debug)]
pub struct CallTrace {
    /// The transaction.
    pub tx: TracedTx,
    /// Calls; the first is the transaction's own.
    pub nodes: Vec<CallTraceNode>,
    /// The outcome.
    pub result: ExecutionResult<HaltReason>,
    /// Whether the trace was cut at its bound of memory.
    pub cut: bool,
}

impl CallTracer {
    /// Traces one transaction, or all.
    pub fn new(only: Option<TxHash>) -> Self {
        let limits = TraceLimits::default()
            .set_max_recorded_bytes(Some(MAX_TRACE_BYTES))
            .set_behavior(TraceLimitBehavior::Halt);
        let config = TracingInspectorConfig::none().set_record_inputs(true).set_record_logs(true);
        let inspector = TracingInspector::new(config).with_limits(limits);
        Self { inspector: RpcInspector::calls(inspector), only, outcomes: Vec::new() }
    }

    /// The trace of one included transaction.
    ///
    /// # Errors
    /// [`ChainError::UnknownTransaction`], or what the replay fails with.
    pub fn trace(chain: &dyn Chain, hash: TxHash) -> Result<CallTrace> {
        let mut tracer = Self::new(Some(hash));
        chain.replay(ReplayTarget::Transaction(hash), &mut tracer)?;
        tracer.outcomes.pop().ok_or(ChainError::UnknownTransaction)
    }
}

impl TxTracer for CallTracer {
    fn inspector(&mut self, tx: &TracedTx) -> Option<&mut RpcInspector> {
        self.only.is_none_or(|hash| hash == tx.hash).then_some(&mut self.inspector)
    }

    fn finish(
        &mut self,
        tx: &TracedTx,
        env: &TxEnv,
        _: &BlockEnv,
        result: &ResultAndState<HaltReason>,
        _: &dyn StateView,
    ) -> Result<ControlFlow<()>> {
        let RpcInspector::Calls(inspector) = &mut self.inspector else {
            return Ok(ControlFlow::Break(()));
        };
        inspector.join(env, &result.result);
        let cut = inspector.limit_exceeded();
        let nodes = std::mem::take(inspector.traces_mut().nodes_mut());
        inspector.fuse();
        self.outcomes.push(CallTrace { tx: *tx, nodes, result: result.result.clone(), cut });
        Ok(if self.only.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

/// A call inside a transaction.
#[derive(Serialize)]
struct TraceEntry {
    #[serde(rename = "type")]
    kind: &'static str,
    depth: usize,
    from: Address,
    to: Address,
    value: Option<U256>,
    input: Bytes,
    output: Bytes,
}

fn operations(trace: &CallTrace) -> Vec<Value> {
    let all = internal_operations(&trace.nodes, trace.result.is_success());
    let row = |o: InternalOperation| json!({ "type": o.kind as u8, "from": o.from, "to": o.to, "value": o.value });
    all.into_iter().map(row).collect()
}

fn trace_entries(trace: CallTrace) -> Vec<TraceEntry> {
    let entry = |node: CallTraceNode| {
        let t = node.trace;
        let carries = !matches!(t.kind, CallKind::StaticCall | CallKind::DelegateCall);
        TraceEntry {
            kind: t.kind.to_str(),
            depth: t.depth,
            from: t.caller,
            to: t.address,
            value: carries.then_some(t.value),
            input: t.data,
            output: t.output,
        }
    };
    trace.nodes.into_iter().map(entry).collect()
}

/// Code of an account, as the state has it.
fn code(state: &dyn StateView, address: Address) -> Result<Bytes> {
    let Some(account) = state.basic_ref(address)? else { return Ok(Bytes::new()) };
    if account.is_empty_code_hash() {
        return Ok(Bytes::new());
    }
    Ok(match account.code {
        Some(code) => code.original_bytes(),
        None => state.code_by_hash_ref(account.code_hash)?.original_bytes(),
    })
}

/// The first block in `1..=head` whose state satisfies `holds`, which never stops holding once it does; `None` if the head's does not.
fn first_block(
    chain: &dyn Chain,
    head: u64,
    holds: impl Fn(&dyn StateView) -> Result<bool>,
) -> Result<Option<u64>> {
    let at = |n: u64| holds(&*chain.state(BlockRef::Number(n))?);
    if !at(head)? {
        return Ok(None);
    }
    let (mut low, mut high) = (0, head);
    while low < high {
        let middle = low + (high - low) / 2;
        if at(middle)? { high = middle } else { low = middle + 1 }
    }
    Ok(Some(low))
}

fn head(chain: &dyn Chain) -> Result<u64> {
    chain.named_block(NamedBlock::Latest)?.ok_or(ChainError::UnknownBlock)
}

/// The transaction and account that created a contract; `None` for an account without code and for what genesis put there.
///
/// # Errors
/// What reading or replaying the chain fails with.
pub fn contract_creator(chain: &dyn Chain, address: Address) -> Result<Option<(TxHash, Address)>> {
    let has_code = |state: &dyn StateView| Ok(!code(state, address)?.is_empty());
    let Some(block) = first_block(chain, head(chain)?, has_code)?.filter(|b| *b > 0) else {
        return Ok(None);
    };
    let mut tracer = CallTracer::new(None);
    chain.replay(ReplayTarget::Block(BlockRef::Number(block)), &mut tracer)?;
    let created = |trace: &CallTrace| {
        let node = trace.nodes.iter().find(|n| {
            n.trace.kind.is_any_create() && n.trace.address == address && n.trace.success
        })?;
        Some((trace.tx.hash, node.trace.caller))
    };
    Ok(tracer.outcomes.iter().rev().find_map(created))
}

/// The transaction by which an account used a nonce.
///
/// # Errors
/// What reading the chain fails with.
pub fn transaction_by_nonce(
    chain: &dyn Chain,
    sender: Address,
    nonce: u64,
) -> Result<Option<TxHash>> {
    let used = |state: &dyn StateView| {
        Ok(state.basic_ref(sender)?.is_some_and(|account| account.nonce > nonce))
    };
    let Some(block) = first_block(chain, head(chain)?, used)? else { return Ok(None) };
    let txs = chain.transactions(BlockRef::Number(block))?.unwrap_or_default();
    let found = txs.iter().find(|t| t.from == sender && t.nonce == nonce && t.ty != FROM_L1);
    Ok(found.map(|t| t.hash))
}

/// Return data of a failed transaction; empty when it succeeded or gave none.
fn transaction_error(ctx: &Context, args: &mut Args<'_>) -> Result<Bytes> {
    let hash = args.req::<TxHash>()?;
    let receipt = ctx.chain.receipt(hash)?.ok_or(ChainError::UnknownTransaction)?;
    if receipt.status {
        return Ok(Bytes::new());
    }
    Ok(CallTracer::trace(&*ctx.chain, hash)?.result.into_output().unwrap_or_default())
}

fn header(block: &Block, count: usize) -> Result<Map<String, Value>> {
    let value = serde_json::to_value(&block.header)
        .map_err(|e| ChainError::Internal(format!("cannot serialise a header: {e}")))?;
    let Value::Object(mut map) = value else {
        return Err(ChainError::Internal("a header is no object".into()));
    };
    map.insert("logsBloom".into(), Value::Null);
    map.insert("transactionCount".into(), json!(count));
    map.insert("transactions".into(), json!([]));
    map.insert("uncles".into(), json!([]));
    map.extend(block.extra.clone());
    Ok(map)
}

fn block_details(ctx: &Context, block: BlockRef) -> Result<Option<Value>> {
    let Some(view) = ctx.chain.block(block)? else { return Ok(None) };
    let receipts = ctx.chain.receipts(block)?.unwrap_or_default();
    let fees = receipts.iter().fold(U256::ZERO, |sum, r| sum.saturating_add(fee(r)));
    let zero = U256::ZERO;
    Ok(Some(json!({
        "block": header(&view, receipts.len())?,
        "issuance": { "blockReward": zero, "uncleReward": zero, "issuance": zero },
        "totalFees": fees,
    })))
}

fn fee(receipt: &Receipt) -> U256 {
    U256::from(receipt.gas_used).saturating_mul(U256::from(receipt.effective_gas_price))
}

fn to_json<T: Serialize>(value: &T) -> Result<Value> {
    serde_json::to_value(value)
        .map_err(|e| ChainError::Internal(format!("cannot serialise an answer: {e}")))
}

/// A transaction with nothing of its input but the selector.
fn short_transaction(mut tx: Transaction) -> Result<Value> {
    tx.input.truncate(SHOWN_INPUT);
    to_json(&tx)
}

/// A receipt without logs.
fn short_receipt(receipt: &Receipt) -> Result<Value> {
    let mut value = to_json(receipt)?;
    if let Value::Object(map) = &mut value {
        map.insert("logs".into(), Value::Null);
        map.insert("logsBloom".into(), Value::Null);
        map.remove("l2ToL1Logs");
        map.insert("timestamp".into(), to_json(&Hex(receipt.inclusion.block_timestamp))?);
    }
    Ok(value)
}

fn block_transactions(ctx: &Context, args: &mut Args<'_>) -> Result<Option<Value>> {
    let (number, page, size) = (args.u64()?, args.u64()?, args.u64()?.clamp(1, MAX_PAGE));
    let block = BlockRef::Number(number);
    let Some(view) = ctx.chain.block(block)? else { return Ok(None) };
    let txs = ctx.chain.transactions(block)?.unwrap_or_default();
    let receipts = ctx.chain.receipts(block)?.unwrap_or_default();
    let skip = usize::try_from(page.saturating_mul(size)).unwrap_or(usize::MAX);
    let mut full = header(&view, txs.len())?;
    let rows = txs.into_iter().skip(skip).take(size as usize).map(short_transaction);
    full.insert("transactions".into(), Value::Array(rows.collect::<Result<_>>()?));
    let receipts = receipts.iter().skip(skip).take(size as usize).map(short_receipt);
    let receipts: Vec<Value> = receipts.collect::<Result<_>>()?;
    Ok(Some(json!({ "fullblock": full, "receipts": receipts })))
}

/// Rows of a search: whole blocks, so that the next page can begin at a block.
fn whole_blocks(mut positions: Vec<(u64, u32)>, size: usize) -> (Vec<(u64, u32)>, bool) {
    if positions.len() <= size {
        return (positions, true);
    }
    let last = positions[size - 1].0;
    let end = positions.iter().position(|p| p.0 == last).unwrap_or(size);
    // Up to the whole block that crosses the page's end, as far as it was read.
    let beyond = positions.iter().skip(end).take_while(|p| p.0 == last).count() + end;
    positions.truncate(beyond);
    (positions, false)
}

fn search(ctx: &Context, args: &mut Args<'_>, backwards: bool) -> Result<Value> {
    let (address, block) = (args.req::<Address>()?, args.u64()?);
    let size = args.u64()?.clamp(1, MAX_PAGE) as usize;
    let index = ctx.index()?;
    // One block's transactions of one address are never cut, so more than a page may be read.
    let wide = size + MAX_BLOCK_ROWS;
    let start = block == 0;
    let found = match backwards {
        true => index.before(address, (!start).then_some(block), wide)?,
        false => index.after(address, block, wide)?,
    };
    let (mut rows, end) = whole_blocks(found, size);
    if !backwards {
        rows.reverse();
    }
    let (mut txs, mut receipts) = (Vec::new(), Vec::new());
    for (number, index) in rows {
        let block = BlockRef::Number(number);
        let at = index as usize;
        let all = ctx.chain.block(block)?;
        let Some(hash) = all.and_then(|b| b.transactions.get(at).copied()) else { continue };
        let (Some(tx), Some(receipt)) = (ctx.chain.transaction(hash)?, ctx.chain.receipt(hash)?)
        else {
            continue;
        };
        txs.push(short_transaction(tx)?);
        receipts.push(short_receipt(&receipt)?);
    }
    // `firstPage` is the newest, `lastPage` the oldest.
    let (first, last) = if backwards { (start, end) } else { (end, start) };
    Ok(json!({ "txs": txs, "receipts": receipts, "firstPage": first, "lastPage": last }))
}

/// Most transactions of one address in one block that a search reads beyond a page.
const MAX_BLOCK_ROWS: usize = 2_000;

pub(crate) fn register(m: &mut Module) -> Registered {
    quick(m, "ots_getApiLevel", |_, _| Ok(API_LEVEL))?;
    heavy(m, "ots_hasCode", |ctx, args| {
        let (address, at) = (args.req::<Address>()?, args.block()?);
        Ok(!code(&*ctx.chain.state(ctx.resolve(at)?)?, address)?.is_empty())
    })?;
    weighted(m, "ots_getInternalOperations", TRACE_PERMITS, |ctx, args| {
        Ok(operations(&CallTracer::trace(&*ctx.chain, args.req()?)?))
    })?;
    weighted(m, "ots_traceTransaction", TRACE_PERMITS, |ctx, args| {
        let trace = CallTracer::trace(&*ctx.chain, args.req()?)?;
        if trace.cut {
            return Err(ChainError::LimitExceeded("the trace is too large".into()));
        }
        Ok(trace_entries(trace))
    })?;
    weighted(m, "ots_getTransactionError", TRACE_PERMITS, transaction_error)?;
    heavy(m, "ots_getBlockDetails", |ctx, args| {
        let at = args.block()?;
        block_details(ctx, ctx.resolve(at)?)
    })?;
    heavy(m, "ots_getBlockDetailsByHash", |ctx, args| {
        block_details(ctx, BlockRef::Hash(args.req::<B256>()?))
    })?;
    heavy(m, "ots_getBlockTransactions", block_transactions)?;
    heavy(m, "ots_searchTransactionsBefore", |ctx, args| search(ctx, args, true))?;
    heavy(m, "ots_searchTransactionsAfter", |ctx, args| search(ctx, args, false))?;
    heavy(m, "ots_getTransactionBySenderAndNonce", |ctx, args| {
        transaction_by_nonce(&*ctx.chain, args.req()?, args.u64()?)
    })?;
    weighted(m, "ots_getContractCreator", TRACE_PERMITS, |ctx, args| {
        let found = contract_creator(&*ctx.chain, args.req()?)?;
        Ok(found.map(|(hash, creator)| json!({ "hash": hash, "creator": creator })))
    })?;
    heavy(m, "erigon_getHeaderByNumber", |ctx, args| {
        let at = args.block()?;
        Ok(ctx.chain.block(ctx.resolve(at)?)?.map(|b| b.header.clone()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_with_a_whole_block() {
        let rows = vec![(9, 1), (9, 0), (7, 2), (7, 1), (7, 0), (3, 0)];
        assert_eq!(whole_blocks(rows.clone(), 10), (rows.clone(), true));
        assert_eq!(whole_blocks(rows.clone(), 3), (rows[..5].to_vec(), false));
        assert_eq!(whole_blocks(rows.clone(), 2), (rows[..2].to_vec(), false));
        assert_eq!(whole_blocks(Vec::new(), 1), (Vec::new(), true));
    }
}
