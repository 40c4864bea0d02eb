//! Internal operations: what moved ETH or made a contract inside transactions, read off call traces. `ots_getInternalOperations` and an index of calls
//! show the same ones.

use std::ops::ControlFlow;

use alloy_primitives::{Address, hex};
use alloy_primitives::{TxHash, U256};
use revm::context::{BlockEnv, TxEnv};
use revm::context_interface::result::{HaltReason, ResultAndState};
use revm_inspectors::tracing::types::{CallKind, CallTraceNode};
use revm_inspectors::tracing::{
    TraceLimitBehavior, TraceLimits, TracingInspector, TracingInspectorConfig,
};

use crate::chain::{BlockRef, Chain, ReplayTarget, RpcInspector, StateView, TracedTx, TxTracer};
use crate::error::Result;
use crate::frames::BOOTLOADER;

/// Selector of `IAccount.executeTransaction`.
const EXECUTE: [u8; 4] = hex!("df9c1589");
/// Bytes of calldata that a trace for internal operations copies: room for the selectors of the top-level calls.
const MAX_INPUTS: usize = 1 << 20;

/// Kind of an internal operation; the numbers are Otterscan's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum InternalKind {
    /// A call that carries value.
    Call = 0,
    /// A contract gave up its balance.
    SelfDestruct = 1,
    /// A creation.
    Create = 2,
    /// A creation at an address of the creator's choice.
    Create2 = 3,
}

/// What moved ETH or made a contract inside a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InternalOperation {
    /// Kind.
    pub kind: InternalKind,
    /// Caller, creator, or the contract that gave up its balance.
    pub from: Address,
    /// Callee, the new contract, or who received the balance.
    pub to: Address,
    /// Wei.
    pub value: U256,
}

/// The internal operations of a transaction that lasted, in order. What a reverted call did, or called, is none; nor is the transaction's own call.
pub fn internal_operations(nodes: &[CallTraceNode], succeeded: bool) -> Vec<InternalOperation> {
    let mut undone = vec![false; nodes.len()];
    let mut out = Vec::new();
    for (i, node) in nodes.iter().enumerate() {
        // A parent comes before its children.
        let above = node.parent.and_then(|p| undone.get(p).copied()).unwrap_or(false);
        undone[i] = above || is_undone(nodes, node, succeeded);
        if undone[i] {
            continue;
        }
        let t = &node.trace;
        let kind = match t.kind {
            CallKind::Create => Some(InternalKind::Create),
            CallKind::Create2 => Some(InternalKind::Create2),
            CallKind::Call if !t.value.is_zero() => Some(InternalKind::Call),
            _ => None,
        };
        if let Some(kind) = kind.filter(|_| t.depth > 0 && !is_own(nodes, node)) {
            out.push(InternalOperation { kind, from: t.caller, to: t.address, value: t.value });
        }
        if t.is_selfdestruct() {
            out.push(InternalOperation {
                kind: InternalKind::SelfDestruct,
                from: t.selfdestruct_address.unwrap_or(t.address),
                to: t.selfdestruct_refund_target.unwrap_or_default(),
                value: t.selfdestruct_transferred_value.unwrap_or_default(),
            });
        }
    }
    out
}

/// Whether the root stands for the steps of an account-abstraction transaction (see [`crate::frames`]): nothing is below a call to the bootloader else.
fn has_steps(nodes: &[CallTraceNode]) -> bool {
    nodes.len() > 1 && nodes[0].trace.address == BOOTLOADER
}

/// The step that is a plain account's own call: the transaction's value.
fn is_own(nodes: &[CallTraceNode], node: &CallTraceNode) -> bool {
    has_steps(nodes) && node.trace.depth == 1 && node.trace.caller == nodes[0].trace.caller
}

/// Whether what a call itself did was taken back, its parents aside.
fn is_undone(nodes: &[CallTraceNode], node: &CallTraceNode, succeeded: bool) -> bool {
    let t = &node.trace;
    if !has_steps(nodes) {
        // A transaction may fail when its call has ended well: it could not pay for its pubdata.
        return !t.success || (t.depth == 0 && !succeeded);
    }
    match t.depth {
        // What accounts and paymasters paid stays, whatever execution does.
        0 => false,
        1 => {
            // An input that was not kept counts as execution's, so that nothing is shown that may not have lasted.
            let executes = is_own(nodes, node) || t.data.is_empty() || t.data.starts_with(&EXECUTE);
            !t.success || (executes && !succeeded)
        }
        _ => !t.success,
    }
}

/// The internal operations of one transaction of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxOperations {
    /// Its index in the block.
    pub index: u32,
    /// Its hash.
    pub hash: TxHash,
    /// The first ones in order, within the bound.
    pub operations: Vec<InternalOperation>,
    /// How many more there were.
    pub beyond: u64,
}

/// The internal operations of some transactions of a block, which it executes again: those at the ascending positions `wanted`. At most
/// `per_tx` are kept of each; transactions without any are left out.
///
/// # Errors
/// What replaying the block fails with.
pub fn block_operations(
    chain: &dyn Chain,
    block: u64,
    wanted: &[u32],
    per_tx: usize,
) -> Result<Vec<TxOperations>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let limits = TraceLimits::default()
        .set_max_recorded_bytes(Some(MAX_INPUTS))
        .set_behavior(TraceLimitBehavior::Skip);
    let config = TracingInspectorConfig::none().set_record_inputs(true);
    let mut tracer = OperationsTracer {
        inspector: RpcInspector::calls(TracingInspector::new(config).with_limits(limits)),
        wanted,
        per_tx,
        found: Vec::new(),
    };
    chain.replay(ReplayTarget::Block(BlockRef::Number(block)), &mut tracer)?;
    Ok(tracer.found)
}

struct OperationsTracer<'a> {
    inspector: RpcInspector,
    wanted: &'a [u32],
    per_tx: usize,
    found: Vec<TxOperations>,
}

impl TxTracer for OperationsTracer<'_> {
    fn inspector(&mut self, tx: &TracedTx) -> Option<&mut RpcInspector> {
        let wanted = |index| self.wanted.binary_search(&index).is_ok();
        u32::try_from(tx.index).is_ok_and(wanted).then_some(&mut self.inspector)
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
        let nodes = std::mem::take(inspector.traces_mut().nodes_mut());
        inspector.fuse();
        let mut operations = internal_operations(&nodes, result.result.is_success());
        let index = u32::try_from(tx.index).unwrap_or(u32::MAX);
        if !operations.is_empty() {
            let beyond = operations.len().saturating_sub(self.per_tx) as u64;
            operations.truncate(self.per_tx);
            self.found.push(TxOperations { index, hash: tx.hash, operations, beyond });
        }
        let last = self.wanted.last().is_none_or(|last| index >= *last);
        Ok(if last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Bytes;
    use revm_inspectors::tracing::types::CallTrace;

    fn at(byte: u8) -> Address {
        Address::repeat_byte(byte)
    }

    /// A successful call with one wei by default.
    fn node(parent: Option<usize>, depth: usize, from: Address, to: Address) -> CallTraceNode {
        let trace = CallTrace {
            depth,
            success: true,
            caller: from,
            address: to,
            value: U256::from(1),
            ..CallTrace::default()
        };
        CallTraceNode { parent, trace, ..Default::default() }
    }

    fn parties(nodes: &[CallTraceNode], succeeded: bool) -> Vec<(Address, Address)> {
        internal_operations(nodes, succeeded).iter().map(|o| (o.from, o.to)).collect()
    }

    #[test]
    fn only_what_lasted_is_an_operation() {
        let mut nodes = vec![
            node(None, 0, at(1), at(2)),
            node(Some(0), 1, at(2), at(3)),
            node(Some(1), 2, at(3), at(4)),
            node(Some(0), 1, at(2), at(5)),
            node(Some(0), 1, at(2), at(6)),
            node(Some(0), 1, at(2), at(7)),
        ];
        nodes[3].trace.value = U256::ZERO;
        nodes[4].trace.kind = CallKind::DelegateCall;
        nodes[5].trace.kind = CallKind::Create2;
        nodes[5].trace.value = U256::ZERO;
        let all = [(at(2), at(3)), (at(3), at(4)), (at(2), at(7))];
        assert_eq!(parties(&nodes, true), all);
        assert_eq!(internal_operations(&nodes, true)[2].kind, InternalKind::Create2);
        // A call that reverted takes what it called with it, though that succeeded.
        nodes[1].trace.success = false;
        assert_eq!(parties(&nodes, true), all[2..]);
        // The transaction failed for its pubdata: its call ended well, and nothing lasted.
        assert_eq!(parties(&nodes, false), []);
    }

    #[test]
    fn payments_of_account_abstraction_last_and_a_plain_accounts_own_call_is_no_operation() {
        let (account, paymaster) = (at(1), at(2));
        let data = |selector: [u8; 4]| Bytes::copy_from_slice(&selector);
        let mut nodes = vec![
            node(None, 0, account, BOOTLOADER),
            // The paymaster pays the bootloader within a step.
            node(Some(0), 1, BOOTLOADER, paymaster),
            node(Some(1), 2, paymaster, BOOTLOADER),
            // A smart account executes.
            node(Some(0), 1, BOOTLOADER, account),
            node(Some(3), 2, account, at(3)),
        ];
        for (i, selector) in [(1, hex!("038a24bc")), (3, EXECUTE)] {
            nodes[i].trace.value = U256::ZERO;
            nodes[i].trace.data = data(selector);
        }
        let (pays, sends) = ((paymaster, BOOTLOADER), (account, at(3)));
        assert_eq!(parties(&nodes, true), [pays, sends]);
        assert_eq!(parties(&nodes, false), [pays]);
        // A plain account's own call, as its only second step.
        nodes.truncate(3);
        nodes.push(node(Some(0), 1, account, at(3)));
        nodes.push(node(Some(3), 2, at(3), at(4)));
        assert_eq!(parties(&nodes, true), [pays, (at(3), at(4))]);
        assert_eq!(parties(&nodes, false), [pays]);
    }
}
