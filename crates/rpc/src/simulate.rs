//! `eth_simulateV1`: blocks of calls, each on top of what came before.
//!
//! The chain only executes single calls. What a call changes is read off its trace and handed to the next one as state overrides, so that
//! every chain behind the server has the method. State roots are not computed: a simulated header shows that of the block it builds on.

use crate::PoolError;
use crate::chain::{
    BlockRef, CallPurpose, CallRequest, RpcInspector, StateView, TracedTx, TxTracer,
};
use crate::context::{Context, Module, Registered, weighted};
use crate::error::{ChainError, Result, halt_message, revert_message};
use crate::eth::{BlockJson, Bodies};
use crate::execute::{Request, TRACE_PERMITS};
use crate::params::Args;
use crate::view::{Extra, Hex, Inclusion, Log, Transaction};
use alloy_consensus::proofs::{calculate_receipt_root, calculate_transaction_root};
use alloy_consensus::{
    Eip658Value, Receipt, ReceiptEnvelope, ReceiptWithBloom, SignableTransaction, TxEnvelope,
    TxType, Typed2718,
};
use alloy_primitives::{
    Address, B256, Bloom, Bytes, LogData, Signature, TxKind, U256, address, b256, map::B256Map,
};
use alloy_rpc_types::simulate::{SimBlock, SimulatePayload};
use alloy_rpc_types::state::{AccountOverride, StateOverride};
use alloy_rpc_types::{BlockOverrides, Header, TransactionRequest};
use alloy_serde::WithOtherFields;
use revm::context::{BlockEnv, TxEnv};
use revm::context_interface::result::{ExecutionResult, HaltReason, ResultAndState};
use revm_inspectors::tracing::types::TraceMemberOrder;
use revm_inspectors::tracing::{CallTraceArena, TracingInspector, TracingInspectorConfig};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::ops::ControlFlow;

/// Most blocks of a simulation, those that fill gaps between numbers included (geth's bound).
const MAX_BLOCKS: u64 = 256;
/// Most calls of a simulation.
const MAX_CALLS: usize = 1_000;
/// Who emits the logs of `traceTransfers`.
const TRANSFER_EMITTER: Address = address!("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
/// `Transfer(address,address,uint256)`.
const TRANSFER_TOPIC: B256 =
    b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// Codes of the execution API's specification.
mod code {
    pub(super) const NONCE_TOO_LOW: i32 = -38010;
    pub(super) const NONCE_TOO_HIGH: i32 = -38011;
    pub(super) const BASE_FEE_TOO_LOW: i32 = -38012;
    pub(super) const INTRINSIC_GAS: i32 = -38013;
    pub(super) const INSUFFICIENT_FUNDS: i32 = -38014;
    pub(super) const BLOCK_GAS_LIMIT: i32 = -38015;
    pub(super) const BLOCK_NUMBER: i32 = -38020;
    pub(super) const BLOCK_TIMESTAMP: i32 = -38021;
    pub(super) const SENDER_IS_CONTRACT: i32 = -38024;
    pub(super) const INIT_CODE_TOO_LARGE: i32 = -38025;
    pub(super) const TOO_MANY_BLOCKS: i32 = -38026;
    pub(super) const VM_ERROR: i32 = -32015;
}

fn refuse<T>(code: i32, message: String) -> Result<T> {
    Err(ChainError::Coded { code, message })
}

/// The pool's reasons under the specification's codes.
fn invalid(error: ChainError) -> ChainError {
    let ChainError::Pool(reason) = &error else { return error };
    let code = match reason {
        PoolError::NonceTooLow { .. } => code::NONCE_TOO_LOW,
        PoolError::NonceTooHigh { .. } => code::NONCE_TOO_HIGH,
        PoolError::FeeCapTooLow { .. } => code::BASE_FEE_TOO_LOW,
        PoolError::IntrinsicGas { .. } | PoolError::FloorGas { .. } => code::INTRINSIC_GAS,
        PoolError::InsufficientFunds { .. } => code::INSUFFICIENT_FUNDS,
        PoolError::ExceedsBlockGasLimit => code::BLOCK_GAS_LIMIT,
        PoolError::SenderHasCode(_) => code::SENDER_IS_CONTRACT,
        PoolError::InitCodeTooLarge { .. } => code::INIT_CODE_TOO_LARGE,
        _ => return error,
    };
    ChainError::Coded { code, message: reason.to_string() }
}

/// What one call came to.
struct CallResult {
    return_data: Bytes,
    logs: Vec<Log>,
    gas_used: u64,
    max_used_gas: u64,
    error: Option<CallError>,
}

/// Why a call failed.
#[derive(Serialize)]
struct CallError {
    code: i32,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Bytes>,
}

impl Serialize for CallResult {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut m = s.serialize_map(None)?;
        m.serialize_entry("returnData", &self.return_data)?;
        m.serialize_entry("logs", &self.logs)?;
        m.serialize_entry("gasUsed", &Hex(self.gas_used))?;
        m.serialize_entry("maxUsedGas", &Hex(self.max_used_gas))?;
        m.serialize_entry("status", &Hex(u8::from(self.error.is_none())))?;
        if let Some(error) = &self.error {
            m.serialize_entry("error", error)?;
        }
        m.end()
    }
}

/// A simulated block.
struct SimulatedBlock {
    header: Header,
    bodies: Bodies,
    calls: Vec<CallResult>,
}

impl Serialize for SimulatedBlock {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Whole<'a> {
            #[serde(flatten)]
            block: BlockJson<'a>,
            calls: &'a [CallResult],
        }
        let extra = Extra::new();
        let block =
            BlockJson { header: &self.header, extra: &extra, transactions: Some(&self.bodies) };
        Whole { block, calls: &self.calls }.serialize(s)
    }
}

/// Keeps what one execution did.
struct Capture {
    inspector: RpcInspector,
    changes: StateOverride,
}

impl Capture {
    fn new() -> Self {
        let config = TracingInspectorConfig::none().set_record_logs(true);
        let inspector = RpcInspector::calls(TracingInspector::new(config));
        Self { inspector, changes: StateOverride::default() }
    }
}

impl TxTracer for Capture {
    fn inspector(&mut self, _: &TracedTx) -> Option<&mut RpcInspector> {
        Some(&mut self.inspector)
    }

    fn finish(
        &mut self,
        _: &TracedTx,
        _: &TxEnv,
        _: &BlockEnv,
        result: &ResultAndState<HaltReason>,
        before: &dyn StateView,
    ) -> Result<ControlFlow<()>> {
        for (address, account) in result.state.iter().filter(|(_, a)| a.is_touched()) {
            let old = before.basic_ref(*address)?.unwrap_or_default();
            let mut change = AccountOverride {
                balance: Some(account.info.balance),
                nonce: Some(account.info.nonce),
                ..AccountOverride::default()
            };
            if account.info.code_hash != old.code_hash {
                let code = account.info.code.as_ref().map(|c| c.original_bytes());
                change.code = Some(code.unwrap_or_default());
            }
            let slots = account.storage.iter().filter(|(_, slot)| slot.is_changed());
            let slots = slots.map(|(key, slot)| (B256::from(*key), B256::from(slot.present_value)));
            let slots = slots.collect();
            if account.is_selfdestructed() || account.is_created() {
                change.state = Some(slots);
            } else {
                change.state_diff = Some(slots);
            }
            self.changes.insert(*address, change);
        }
        Ok(ControlFlow::Break(()))
    }
}

/// Lays overrides over others.
fn merge(into: &mut StateOverride, from: StateOverride) {
    for (address, new) in from {
        let old = into.entry(address).or_default();
        old.balance = new.balance.or(old.balance);
        old.nonce = new.nonce.or(old.nonce);
        old.code = new.code.or_else(|| old.code.take());
        old.move_precompile_to = new.move_precompile_to.or(old.move_precompile_to);
        if let Some(state) = new.state {
            (old.state, old.state_diff) = (Some(state), None);
        }
        if let Some(diff) = new.state_diff {
            let whole = old.state.as_mut();
            whole.unwrap_or_else(|| old.state_diff.get_or_insert_default()).extend(diff);
        }
    }
}

/// The logs of a call tree in order, each transfer of ether among them as a log of its own.
fn logs_with_transfers(arena: &CallTraceArena, at: usize, out: &mut Vec<(Address, LogData)>) {
    let Some(node) = arena.nodes().get(at).filter(|node| node.trace.success) else { return };
    let (trace, kind) = (&node.trace, node.trace.kind);
    let moves = !kind.is_delegate() && !kind.is_static_call() && !trace.value.is_zero();
    if moves && trace.caller != trace.address {
        let topics = vec![TRANSFER_TOPIC, trace.caller.into_word(), trace.address.into_word()];
        let data = LogData::new_unchecked(topics, B256::from(trace.value).into());
        out.push((TRANSFER_EMITTER, data));
    }
    for member in &node.ordering {
        match member {
            TraceMemberOrder::Log(index) => {
                out.extend(node.logs.get(*index).map(|l| (l.address, l.raw_log.clone())));
            }
            // The depth of calls bounds that of this recursion.
            TraceMemberOrder::Call(index) => {
                if let Some(child) = node.children.get(*index) {
                    logs_with_transfers(arena, *child, out);
                }
            }
            TraceMemberOrder::Step(_) => {}
        }
    }
}

/// A block while its calls run.
struct Open {
    header: alloy_consensus::Header,
    transactions: Vec<(TxEnvelope, Address)>,
    receipts: Vec<ReceiptEnvelope>,
    calls: Vec<CallResult>,
    logs: u64,
}

/// A simulation while it runs.
struct Simulation<'a> {
    ctx: &'a Context,
    base: BlockRef,
    parent: Header,
    state: StateOverride,
    trace_transfers: bool,
    validation: bool,
    full: bool,
    /// Gas that the whole simulation may still use.
    gas_left: u64,
    blocks: u64,
    /// Entries of state that further calls may be handed.
    handing_left: usize,
}

impl Simulation<'_> {
    /// Runs one block; empty ones fill the gap before it.
    fn block(&mut self, block: SimBlock<Request>, out: &mut Vec<SimulatedBlock>) -> Result<()> {
        let overrides = block.block_overrides.unwrap_or_default();
        let next = self.parent.number.saturating_add(1);
        let number = overrides.number.map_or(next, |n| n.saturating_to());
        if number < next {
            let parent = self.parent.number;
            let message = format!("block numbers must be in order: {number} <= {parent}");
            return refuse(code::BLOCK_NUMBER, message);
        }
        self.blocks = self.blocks.saturating_add(number - next).saturating_add(1);
        if self.blocks > MAX_BLOCKS {
            return refuse(code::TOO_MANY_BLOCKS, "too many blocks".into());
        }
        for _ in next..number {
            let open = self.open(&BlockOverrides::default())?;
            out.push(self.close(open));
        }
        merge(&mut self.state, block.state_overrides.unwrap_or_default());
        let mut open = self.open(&overrides)?;
        for call in block.calls {
            self.call(call, &overrides, &mut open)?;
        }
        out.push(self.close(open));
        Ok(())
    }

    /// The header of the next block.
    fn open(&self, overrides: &BlockOverrides) -> Result<Open> {
        let parent = &self.parent;
        let timestamp = overrides.time.unwrap_or_else(|| parent.timestamp.saturating_add(1));
        if timestamp <= parent.timestamp {
            let message =
                format!("block timestamps must be in order: {timestamp} <= {}", parent.timestamp);
            return refuse(code::BLOCK_TIMESTAMP, message);
        }
        let base_fee = match overrides.base_fee {
            Some(fee) => fee.saturating_to(),
            None if self.validation => self.ctx.chain.fees()?.next_base_fee as u64,
            None => 0,
        };
        let header = alloy_consensus::Header {
            parent_hash: parent.hash,
            beneficiary: overrides.coinbase.unwrap_or(parent.beneficiary),
            state_root: parent.state_root,
            number: parent.number.saturating_add(1),
            gas_limit: overrides.gas_limit.unwrap_or(parent.gas_limit),
            timestamp,
            mix_hash: overrides.random.unwrap_or(parent.mix_hash),
            base_fee_per_gas: Some(base_fee),
            withdrawals_root: parent.withdrawals_root,
            blob_gas_used: parent.blob_gas_used.map(|_| 0),
            excess_blob_gas: parent.excess_blob_gas,
            parent_beacon_block_root: parent.parent_beacon_block_root,
            requests_hash: parent.requests_hash,
            ..alloy_consensus::Header::default()
        };
        let (transactions, receipts, calls) = Default::default();
        Ok(Open { header, transactions, receipts, calls, logs: 0 })
    }

    fn close(&mut self, open: Open) -> SimulatedBlock {
        let Open { mut header, transactions, receipts, mut calls, .. } = open;
        let envelopes: Vec<_> = transactions.iter().map(|(tx, _)| tx.clone()).collect();
        header.transactions_root = calculate_transaction_root(&envelopes);
        header.receipts_root = calculate_receipt_root(&receipts);
        header.logs_bloom = receipts.iter().fold(Bloom::ZERO, |all, r| all | *r.logs_bloom());
        let header = Header::new(header);
        for log in calls.iter_mut().flat_map(|c| c.logs.iter_mut()) {
            log.inclusion.block_hash = header.hash;
        }
        let bodies = if self.full {
            let shown = transactions.iter().zip(0u64..).map(|((tx, from), index)| {
                let at = inclusion(&header, header.hash, index);
                Transaction::from_envelope(tx, *from, Some(at), header.base_fee_per_gas)
            });
            Bodies::Full(shown.collect())
        } else {
            Bodies::Hashes(envelopes.iter().map(|tx| *tx.tx_hash()).collect())
        };
        self.parent = header.clone();
        SimulatedBlock { header, bodies, calls }
    }

    fn nonce(&self, address: Address) -> Result<u64> {
        if let Some(nonce) = self.state.get(&address).and_then(|a| a.nonce) {
            return Ok(nonce);
        }
        let account = self.ctx.chain.state(self.base)?.basic_ref(address)?;
        Ok(account.map_or(0, |a| a.nonce))
    }

    /// Fills in what a call leaves open.
    fn fill(
        &self,
        mut tx: TransactionRequest,
        header: &alloy_consensus::Header,
    ) -> Result<TransactionRequest> {
        tx.normalize_input();
        let from = *tx.from.get_or_insert_default();
        tx.to.get_or_insert(TxKind::Create);
        tx.value.get_or_insert_default();
        tx.chain_id = Some(self.ctx.chain.chain_id());
        let expected = self.nonce(from)?;
        let nonce = *tx.nonce.get_or_insert(expected);
        if self.validation && nonce < expected {
            return Err(PoolError::NonceTooLow { next: expected, got: nonce }.into());
        }
        if self.validation && nonce > expected {
            return Err(PoolError::NonceTooHigh { next: expected, got: nonce }.into());
        }
        let room = header.gas_limit.saturating_sub(header.gas_used);
        let cap = self.ctx.chain.tx_gas_cap().unwrap_or(u64::MAX);
        let gas = *tx.gas.get_or_insert(room.min(self.gas_left).min(cap));
        if gas > room {
            return Err(PoolError::ExceedsBlockGasLimit.into());
        }
        tx.gas = Some(gas.min(self.gas_left));
        if tx.gas_price.is_none() {
            tx.max_fee_per_gas.get_or_insert_default();
            tx.max_priority_fee_per_gas.get_or_insert_default();
        }
        let max_fee = tx.gas_price.or(tx.max_fee_per_gas).unwrap_or_default();
        let base_fee = u128::from(header.base_fee_per_gas.unwrap_or_default());
        if self.validation && max_fee < base_fee {
            return Err(PoolError::FeeCapTooLow { sender: from, max_fee, base_fee }.into());
        }
        Ok(tx)
    }

    /// The state that a call starts from, on top of the base block's. Each call gets its own copy.
    fn hand_over(&mut self) -> Result<StateOverride> {
        let slots = |o: &AccountOverride| {
            let of = |s: &Option<_>| s.as_ref().map_or(0, B256Map::len);
            1 + of(&o.state) + of(&o.state_diff)
        };
        let entries = self.state.values().map(slots).sum();
        let left = self.handing_left.checked_sub(entries);
        self.handing_left = left.ok_or_else(|| {
            let message = "the simulation's calls hand over too much state; simulate fewer at once";
            ChainError::LimitExceeded(message.into())
        })?;
        Ok(self.state.clone())
    }

    /// Runs one call.
    fn call(&mut self, request: Request, block: &BlockOverrides, open: &mut Open) -> Result<()> {
        let WithOtherFields { inner, other } = request;
        let tx = self.fill(inner, &open.header).map_err(invalid)?;
        let (from, nonce) = (tx.from.unwrap_or_default(), tx.nonce.unwrap_or_default());
        let envelope = unsigned(tx.clone())?;
        let mut capture = Capture::new();
        let environment = BlockOverrides {
            number: Some(U256::from(open.header.number)),
            time: Some(open.header.timestamp),
            gas_limit: Some(open.header.gas_limit),
            coinbase: Some(open.header.beneficiary),
            random: Some(open.header.mix_hash),
            base_fee: open.header.base_fee_per_gas.map(U256::from),
            ..block.clone()
        };
        let call = CallRequest {
            request: tx,
            other,
            block: self.base,
            state_overrides: Some(self.hand_over()?),
            block_overrides: Some(Box::new(environment)),
            purpose: CallPurpose::Call,
        };
        let outcome = self.ctx.chain.call(call, Some(&mut capture)).map_err(invalid)?;
        let RpcInspector::Calls(tracing) = &capture.inspector else {
            return Err(ChainError::Internal("the inspector was exchanged".into()));
        };
        let logs = self.logs(&outcome.result, tracing);
        // A simulated nonce counts even where the chain leaves that of a simulation alone.
        capture.changes.entry(from).or_default().nonce = Some(nonce.saturating_add(1));
        merge(&mut self.state, capture.changes);
        self.gas_left = self.gas_left.saturating_sub(outcome.gas_used);
        open.add(envelope, from, outcome.result, outcome.gas_used, logs);
        Ok(())
    }

    fn logs(
        &self,
        result: &ExecutionResult<HaltReason>,
        tracing: &TracingInspector,
    ) -> Vec<(Address, LogData)> {
        if self.trace_transfers {
            let mut out = Vec::new();
            if result.is_success() {
                logs_with_transfers(tracing.traces(), 0, &mut out);
            }
            return out;
        }
        result.logs().iter().map(|l| (l.address, l.data.clone())).collect()
    }
}

impl Open {
    fn add(
        &mut self,
        tx: TxEnvelope,
        from: Address,
        result: ExecutionResult<HaltReason>,
        gas_used: u64,
        logs: Vec<(Address, LogData)>,
    ) {
        self.header.gas_used = self.header.gas_used.saturating_add(gas_used);
        let max_used_gas = result.gas().total_gas_spent().max(gas_used);
        let receipt = Receipt {
            status: Eip658Value::Eip658(result.is_success()),
            cumulative_gas_used: self.header.gas_used,
            logs: logs
                .iter()
                .map(|(address, data)| alloy_primitives::Log {
                    address: *address,
                    data: data.clone(),
                })
                .collect(),
        };
        self.receipts.push(envelope_of(tx.ty(), receipt.into()));
        let at = Inclusion {
            block_hash: B256::ZERO,
            block_number: self.header.number,
            block_timestamp: self.header.timestamp,
            transaction_index: self.transactions.len() as u64,
        };
        let (hash, first) = (*tx.tx_hash(), self.logs);
        self.logs += logs.len() as u64;
        let logs = logs.into_iter().zip(first..).map(|((address, data), log_index)| Log {
            address,
            data,
            transaction_hash: hash,
            inclusion: at,
            log_index,
            removed: false,
            extra: Extra::new(),
        });
        let (return_data, error) = match result {
            ExecutionResult::Success { output, .. } => (output.into_data(), None),
            ExecutionResult::Revert { output, .. } => {
                let message = revert_message(&output);
                let error = CallError { code: 3, message, data: Some(output.clone()) };
                (output, Some(error))
            }
            ExecutionResult::Halt { reason, .. } => {
                let message = halt_message(&reason);
                (Bytes::new(), Some(CallError { code: code::VM_ERROR, message, data: None }))
            }
        };
        let logs = logs.collect();
        self.calls.push(CallResult { return_data, logs, gas_used, max_used_gas, error });
        self.transactions.push((tx, from));
    }
}

fn inclusion(header: &Header, block_hash: B256, transaction_index: u64) -> Inclusion {
    Inclusion {
        block_hash,
        block_number: header.number,
        block_timestamp: header.timestamp,
        transaction_index,
    }
}

fn envelope_of(ty: u8, receipt: ReceiptWithBloom<Receipt>) -> ReceiptEnvelope {
    match TxType::try_from(ty).unwrap_or(TxType::Legacy) {
        TxType::Legacy => ReceiptEnvelope::Legacy(receipt),
        TxType::Eip2930 => ReceiptEnvelope::Eip2930(receipt),
        TxType::Eip1559 => ReceiptEnvelope::Eip1559(receipt),
        TxType::Eip4844 => ReceiptEnvelope::Eip4844(receipt),
        TxType::Eip7702 => ReceiptEnvelope::Eip7702(receipt),
    }
}

/// The transaction that a complete request stands for, with a signature of zeros.
pub(crate) fn unsigned(tx: TransactionRequest) -> Result<TxEnvelope> {
    let typed = tx.build_consensus_tx().map_err(|e| ChainError::InvalidParams(e.error))?;
    Ok(typed.into_signed(Signature::new(U256::ZERO, U256::ZERO, false)).into())
}

fn simulate(ctx: &Context, args: &mut Args<'_>) -> Result<Vec<SimulatedBlock>> {
    let (payload, at) = (args.req::<SimulatePayload<Request>>()?, args.block()?);
    let blocks = payload.block_state_calls;
    if blocks.is_empty() {
        return Err(ChainError::InvalidParams("empty input".into()));
    }
    let calls: usize = blocks.iter().map(|b| b.calls.len()).sum();
    if blocks.len() as u64 > MAX_BLOCKS || calls > MAX_CALLS {
        let message = format!("at most {MAX_BLOCKS} blocks with {MAX_CALLS} calls in all");
        return refuse(code::TOO_MANY_BLOCKS, message);
    }
    let base = ctx.resolve(at)?;
    let parent = ctx.chain.block(base)?.ok_or(ChainError::UnknownBlock)?.header.clone();
    let mut simulation = Simulation {
        ctx,
        base,
        parent,
        state: StateOverride::default(),
        trace_transfers: payload.trace_transfers,
        validation: payload.validation,
        full: payload.return_full_transactions,
        gas_left: ctx.limits.call_gas_cap,
        blocks: 0,
        handing_left: ctx.limits.max_handed_over,
    };
    let mut out = Vec::with_capacity(blocks.len());
    for block in blocks {
        simulation.block(block, &mut out)?;
    }
    Ok(out)
}

pub(crate) fn register(m: &mut Module) -> Registered {
    weighted(m, "eth_simulateV1", TRACE_PERMITS, simulate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(state: bool, slot: u8) -> AccountOverride {
        let slots = [(B256::repeat_byte(slot), B256::ZERO)].into_iter().collect();
        let (state, state_diff) = if state { (Some(slots), None) } else { (None, Some(slots)) };
        AccountOverride { state, state_diff, ..AccountOverride::default() }
    }

    #[test]
    fn later_overrides_lie_over_earlier_ones() {
        let who = Address::repeat_byte(1);
        let one = |o: AccountOverride| StateOverride::from_iter([(who, o)]);
        let mut all = one(AccountOverride { nonce: Some(1), ..account(false, 1) });
        merge(&mut all, one(account(false, 2)));
        assert_eq!((all[&who].nonce, all[&who].state_diff.as_ref().unwrap().len()), (Some(1), 2));
        merge(&mut all, one(account(true, 3)));
        assert!(all[&who].state_diff.is_none() && all[&who].state.as_ref().unwrap().len() == 1);
        merge(&mut all, one(account(false, 4)));
        assert!(all[&who].state_diff.is_none() && all[&who].state.as_ref().unwrap().len() == 2);
    }
}
