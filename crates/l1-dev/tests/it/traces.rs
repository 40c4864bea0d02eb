//! `debug_trace*`: several tracers at once, and what bounds them.

use crate::support::{ALICE, BOB, Node, STORE_AND_LOG};
use alloy_network::TransactionBuilder;
use alloy_rpc_types::TransactionRequest;
use serde_json::{Value, json};

async fn traced(node: &Node, hash: &Value, options: Value) -> Value {
    node.call("debug_traceTransaction", json!([hash, options])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mux_is_what_its_parts_are_alone() {
    let node = Node::start().await;
    let contract = node.deploy(STORE_AND_LOG).await;
    let call = TransactionRequest::default().with_to(contract).with_input(vec![7u8; 36]);
    let receipt = node.send(call).await;
    let hash = json!(receipt.transaction_hash);
    let parts = json!({
        "callTracer": { "withLog": true }, "prestateTracer": { "diffMode": true },
        "flatCallTracer": null, "4byteTracer": null, "noopTracer": null,
    });
    let options = json!({ "tracer": "muxTracer", "tracerConfig": parts });
    let mux = traced(&node, &hash, options.clone()).await;
    assert_eq!(mux.as_object().unwrap().len(), 5);
    for (name, config) in parts.as_object().unwrap() {
        let mut alone = json!({ "tracer": name });
        if !config.is_null() {
            alone["tracerConfig"] = config.clone();
        }
        assert_eq!(mux[name], traced(&node, &hash, alone).await, "{name}");
    }
    assert_eq!(mux["callTracer"]["logs"][0]["address"], json!(contract), "{mux}");
    assert_eq!(mux["4byteTracer"], json!({ "0x07070707-32": 1 }));
    // Whole blocks: each transaction starts anew.
    node.pay(BOB, 1).await;
    let block = node.call("debug_traceBlockByNumber", json!(["latest", options])).await;
    assert_eq!(block[0]["result"]["4byteTracer"], json!({}), "{block}");
    assert_eq!(block[0]["result"]["callTracer"]["to"], json!(BOB), "{block}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_ends_at_its_timeout() {
    let node = Node::start().await;
    let endless = json!({ "from": ALICE, "to": BOB, "gas": "0x2faf080" });
    let run = |options: Value| {
        let mut options = options;
        options["stateOverrides"] = json!({ BOB.to_string(): { "code": "0x5b5f56" } });
        node.raw("debug_traceCall", json!([endless, "latest", options]))
    };
    for options in [
        json!({ "tracer": "callTracer", "timeout": "1ms" }),
        json!({ "tracer": "muxTracer", "tracerConfig": { "prestateTracer": null }, "timeout": "0" }),
        json!({ "disableStack": true, "timeout": "1ms" }),
    ] {
        let answer = run(options.clone()).await;
        let error = &answer["error"];
        assert_eq!(
            (&error["code"], &error["message"]),
            (&json!(-32000), &json!("execution timeout")),
            "{options}: {answer}"
        );
    }
    let patient = json!({ "tracer": "callTracer", "timeout": "1h30m" });
    let traced = node.call("debug_traceCall", json!([{ "to": BOB }, "latest", patient])).await;
    assert_eq!(traced["type"], "CALL");
    let (code, message) = node
        .error("debug_traceCall", json!([{ "to": BOB }, "latest", { "timeout": "soon" }]))
        .await;
    assert_eq!((code, &*message), (-32602, "time: invalid duration \"soon\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_traced_says_why() {
    let node = Node::start().await;
    for tracer in ["{ fault: function() {}, result: function() {} }", "fooTracer"] {
        let (code, message) = node
            .error("debug_traceCall", json!([{ "to": BOB }, "latest", { "tracer": tracer }]))
            .await;
        assert!(
            code == -32602 && message.contains("JavaScript tracers are not served"),
            "{message}"
        );
    }
    assert_eq!(
        node.error("debug_traceBlockByNumber", json!(["pending"])).await,
        (-32000, "tracing on top of pending is not supported".into())
    );
    assert_eq!(
        node.error("debug_traceBlockByNumber", json!(["0x0"])).await,
        (-32000, "genesis is not traceable".into())
    );
}
