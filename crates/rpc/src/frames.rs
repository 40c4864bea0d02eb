//! Traces of transactions that have several top-level calls.
//!
//! An account-abstraction transaction (0x71) of an account with code, or with a paymaster, is no single call: the chain calls the account to validate,
//! to pay and to execute, and the paymaster before and after. revm-inspectors knows one root, and each further top-level call would replace it.
//! Here each call's tree is kept, and in the end they hang under one root in their order: a call from the account to the bootloader (0x8001), as
//! zkSync shows them. That root is no frame of the EVM: it moves no value and has no input; its gas and outcome are the transaction's.

use std::ops::{Deref, DerefMut};

use alloy_primitives::{Address, address};
use revm::context::TxEnv;
use revm::context_interface::result::{ExecutionResult, HaltReason};
use revm::interpreter::InstructionResult;
use revm_inspectors::tracing::types::{CallKind, CallTrace, CallTraceNode, TraceMemberOrder};
use revm_inspectors::tracing::{DebugInspector, TracingInspector};

/// zkSync's bootloader, in whose name the chain calls accounts and paymasters.
pub(crate) const BOOTLOADER: Address = address!("0000000000000000000000000000000000008001");

/// An inspector that records calls in a [`TracingInspector`], or none.
pub trait Recorder {
    /// Where it records.
    fn recorder(&mut self) -> Option<&mut TracingInspector>;

    /// The same, to look at.
    fn recorder_ref(&self) -> Option<&TracingInspector>;
}

impl Recorder for TracingInspector {
    fn recorder(&mut self) -> Option<&mut TracingInspector> {
        Some(self)
    }

    fn recorder_ref(&self) -> Option<&TracingInspector> {
        Some(self)
    }
}

impl Recorder for DebugInspector {
    fn recorder(&mut self) -> Option<&mut TracingInspector> {
        match self {
            Self::CallTracer(i, _)
            | Self::PreStateTracer(i, _)
            | Self::FlatCallTracer(i)
            | Self::Erc7562Tracer(i, _)
            | Self::Default(i, _) => Some(i),
            _ => None,
        }
    }

    fn recorder_ref(&self) -> Option<&TracingInspector> {
        match self {
            Self::CallTracer(i, _)
            | Self::PreStateTracer(i, _)
            | Self::FlatCallTracer(i)
            | Self::Erc7562Tracer(i, _)
            | Self::Default(i, _) => Some(i),
            _ => None,
        }
    }
}

/// An inspector, and the trees of the top-level calls that ended before the present one.
#[derive(Debug)]
pub struct Stepwise<T> {
    pub(crate) inner: T,
    /// Calls that are open.
    open: u32,
    /// Whether a top-level call has begun.
    begun: bool,
    /// Trees of the calls that ended.
    ended: Vec<Vec<CallTraceNode>>,
}

impl<T> Deref for Stepwise<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for Stepwise<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: Recorder> Stepwise<T> {
    /// Watches over an inspector that has seen nothing yet.
    pub const fn new(inner: T) -> Self {
        Self { inner, open: 0, begun: false, ended: Vec::new() }
    }

    /// A call or creation begins.
    pub(crate) fn enter(&mut self) {
        if self.open == 0 && std::mem::replace(&mut self.begun, true) {
            self.ended.extend(self.inner.recorder().map(take));
        }
        self.open += 1;
    }

    /// A call or creation ended.
    pub(crate) const fn leave(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// Ends the transaction: the trees of its top-level calls in order, when there were several; nothing (and one tree in the inspector) when not.
    pub(crate) fn split(&mut self) -> Option<Vec<Vec<CallTraceNode>>> {
        self.begun = false;
        self.open = 0;
        let mut trees = std::mem::take(&mut self.ended);
        if trees.is_empty() {
            return None;
        }
        trees.extend(self.inner.recorder().map(take));
        Some(trees)
    }

    /// Ends the transaction: leaves one tree in the inspector, whatever the number of top-level calls.
    pub(crate) fn join(&mut self, tx: &TxEnv, result: &ExecutionResult<HaltReason>) {
        let Some(trees) = self.split() else { return };
        let root = root(tx, result, &trees);
        if let Some(recorder) = self.inner.recorder() {
            *recorder.traces_mut().nodes_mut() = joined(root, trees);
        }
    }
}

/// Takes the tree, and leaves an empty one as inspectors begin with.
fn take(recorder: &mut TracingInspector) -> Vec<CallTraceNode> {
    let traces = recorder.traces_mut();
    let nodes = std::mem::take(traces.nodes_mut());
    traces.clear();
    nodes
}

fn root(
    tx: &TxEnv,
    result: &ExecutionResult<HaltReason>,
    trees: &[Vec<CallTraceNode>],
) -> CallTrace {
    let failed = || trees.iter().filter_map(|t| t.first()?.trace.status).find(|s| !s.is_ok());
    let status = match result {
        ExecutionResult::Success { .. } => InstructionResult::Return,
        ExecutionResult::Revert { .. } => InstructionResult::Revert,
        ExecutionResult::Halt { reason: HaltReason::OutOfGas(_), .. } => {
            InstructionResult::OutOfGas
        }
        ExecutionResult::Halt { .. } => failed().unwrap_or(InstructionResult::PrecompileError),
    };
    CallTrace {
        success: result.is_success(),
        caller: tx.caller,
        address: BOOTLOADER,
        kind: CallKind::Call,
        output: result.output().cloned().unwrap_or_default(),
        gas_used: result.tx_gas_used(),
        gas_limit: tx.gas_limit,
        status: Some(status),
        ..CallTrace::default()
    }
}

/// One tree with the others' roots as the new root's children.
fn joined(root: CallTrace, trees: Vec<Vec<CallTraceNode>>) -> Vec<CallTraceNode> {
    let mut nodes = vec![CallTraceNode { trace: root, ..CallTraceNode::default() }];
    for tree in trees {
        let offset = nodes.len();
        for mut node in tree {
            node.idx += offset;
            node.parent = Some(node.parent.map_or(0, |parent| parent + offset));
            node.children.iter_mut().for_each(|child| *child += offset);
            node.trace.depth += 1;
            nodes.push(node);
        }
        if nodes.len() > offset {
            let at = nodes[0].children.len();
            nodes[0].children.push(offset);
            nodes[0].ordering.push(TraceMemberOrder::Call(at));
        }
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(idx: usize, parent: Option<usize>, children: &[usize]) -> CallTraceNode {
        let trace = CallTrace { depth: usize::from(parent.is_some()), ..CallTrace::default() };
        CallTraceNode { idx, parent, children: children.to_vec(), trace, ..Default::default() }
    }

    #[test]
    fn trees_hang_under_one_root_in_order() {
        let trees = vec![
            vec![node(0, None, &[1, 2]), node(1, Some(0), &[]), node(2, Some(0), &[])],
            vec![node(0, None, &[])],
            vec![node(0, None, &[1]), node(1, Some(0), &[])],
        ];
        let nodes = joined(CallTrace::default(), trees);
        assert_eq!(nodes[0].children, [1, 4, 5]);
        assert_eq!(nodes[0].ordering, [0, 1, 2].map(TraceMemberOrder::Call));
        let parents: Vec<_> = nodes.iter().map(|n| n.parent).collect();
        assert_eq!(parents, [None, Some(0), Some(1), Some(1), Some(0), Some(0), Some(5)]);
        let depths: Vec<_> = nodes.iter().map(|n| n.trace.depth).collect();
        assert_eq!(depths, [0, 1, 2, 2, 1, 1, 2]);
        assert_eq!(nodes[1].children, [2, 3]);
        assert!(nodes.iter().enumerate().all(|(i, n)| n.idx == i));
    }
}
