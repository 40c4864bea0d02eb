//! A transaction's calls as a page shows them.

use alloy_primitives::{TxHash, hex};
use cairn_rpc::Chain;
use cairn_rpc::ots::{CallTrace, CallTracer};
use serde_json::{Value, json};

use crate::decode::Decoder;
use crate::error::Result;

/// Most calls that are shown.
const MAX_CALLS: usize = 1_000;
/// Most bytes of a call's input or output that are shown.
const MAX_BYTES: usize = 512;

/// Executes a transaction again and tells its calls in order: `{calls: [{depth, kind, from, to, value, gasUsed, ok, error, call, output}], more}`.
///
/// # Errors
/// When it is unknown or the replay fails.
pub fn trace(chain: &dyn Chain, decoder: &Decoder, hash: TxHash) -> Result<Value> {
    let trace = CallTracer::trace(chain, hash)?;
    let failure = failure(&trace, decoder);
    let total = trace.nodes.len();
    let calls: Vec<Value> =
        trace.nodes.into_iter().take(MAX_CALLS).map(|n| call(n, decoder)).collect();
    let more = total.saturating_sub(calls.len());
    Ok(json!({ "calls": calls, "more": more, "cut": trace.cut, "failure": failure }))
}

/// Why a transaction failed, in words; nothing when it did not.
pub fn failure(trace: &CallTrace, decoder: &Decoder) -> Option<String> {
    use revm::context_interface::result::ExecutionResult as R;
    match &trace.result {
        R::Success { .. } => None,
        R::Revert { output, .. } => {
            Some(decoder.failure(output).unwrap_or_else(|| "reverted without a reason".into()))
        }
        R::Halt { reason, .. } => Some(reason.to_string()),
    }
}

fn call(node: revm_inspectors::tracing::types::CallTraceNode, decoder: &Decoder) -> Value {
    let t = node.trace;
    let create = t.kind.is_any_create();
    let error = (!t.success).then(|| match decoder.failure(&t.output) {
        Some(words) => words,
        None => t.status.map_or_else(|| "failed".to_owned(), |s| format!("{s:?}")),
    });
    let decoded = if create { None } else { decoder.call(Some(t.address), &t.data) };
    let output =
        if create || !t.success { None } else { decoder.output(t.address, &t.data, &t.output) };
    json!({
        "depth": t.depth, "kind": t.kind.to_str(), "from": t.caller, "to": t.address,
        "value": t.value.to_string(), "gasUsed": t.gas_used, "ok": t.success, "error": error,
        "call": decoded, "output": output,
        "input": shown(&t.data), "inputBytes": t.data.len(),
        "rawOutput": shown(&t.output), "outputBytes": t.output.len(),
        "contract": decoder.contract(t.address), "logs": node.logs.len(),
    })
}

fn shown(bytes: &[u8]) -> String {
    hex::encode_prefixed(&bytes[..bytes.len().min(MAX_BYTES)])
}
