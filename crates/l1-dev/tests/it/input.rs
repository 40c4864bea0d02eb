//! What clients get wrong, and what attackers try.

use crate::support::{ALICE, ALICE_KEY, BOB, Node};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use cairn_l1_dev::L1Config;
use cairn_rpc::Limits;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn tx() -> TxEip1559 {
    TxEip1559 {
        chain_id: 31_337,
        nonce: 0,
        gas_limit: 21_000,
        max_fee_per_gas: 3_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(BOB),
        value: U256::from(1),
        ..TxEip1559::default()
    }
}

fn raw(tx: TxEip1559) -> Value {
    let signer: PrivateKeySigner = ALICE_KEY.parse().unwrap();
    let signature = signer.sign_hash_sync(&tx.signature_hash()).unwrap();
    json!([Bytes::from(TxEnvelope::from(tx.into_signed(signature)).encoded_2718())])
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_transactions_get_geths_words() {
    let node = Node::with(L1Config { automine: false, ..L1Config::default() }).await;
    let cases: Vec<(TxEip1559, &str)> = vec![
        (TxEip1559 { chain_id: 1, ..tx() }, "invalid chain id"),
        (TxEip1559 { gas_limit: 20_999, ..tx() }, "intrinsic gas too low"),
        (TxEip1559 { value: U256::MAX, ..tx() }, "insufficient funds for gas * price + value"),
        (
            TxEip1559 { max_fee_per_gas: 1, max_priority_fee_per_gas: 1, ..tx() },
            "max fee per gas less than block base fee",
        ),
        (
            TxEip1559 { max_priority_fee_per_gas: 4_000_000_000, ..tx() },
            "max priority fee per gas higher than max fee per gas",
        ),
        (TxEip1559 { gas_limit: 16_777_217, ..tx() }, "transaction gas limit too high"),
        (TxEip1559 { nonce: 9_999, ..tx() }, "nonce too high"),
        (
            TxEip1559 {
                to: TxKind::Create,
                input: vec![0; 49_153].into(),
                gas_limit: 9_000_000,
                ..tx()
            },
            "max initcode size exceeded",
        ),
        (
            TxEip1559 { input: vec![1; 140_000].into(), gas_limit: 9_000_000, ..tx() },
            "oversized data",
        ),
    ];
    for (tx, expected) in cases {
        let (code, message) = node.error("eth_sendRawTransaction", raw(tx)).await;
        assert!(code == -32000 && message.contains(expected), "{expected}: {code} {message}");
    }
    node.call("eth_sendRawTransaction", raw(tx())).await;
    assert_eq!(
        node.error("eth_sendRawTransaction", raw(tx())).await,
        (-32000, "already known".into())
    );
    let other = TxEip1559 { value: U256::from(2), ..tx() };
    assert_eq!(
        node.error("eth_sendRawTransaction", raw(other)).await.1,
        "replacement transaction underpriced"
    );
    node.call("evm_mine", json!([])).await;
    // As geth: what is in a block is no longer known to the pool.
    for again in [tx(), TxEip1559 { value: U256::from(2), ..tx() }] {
        assert_eq!(
            node.error("eth_sendRawTransaction", raw(again)).await,
            (-32000, "nonce too low: next nonce 1, tx nonce 0".into())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests() {
    let node = Node::start().await;
    for name in ["eth_noSuchMethod", "eth_getAccountInfo", "zks_L1ChainId", "eth_subscription", ""]
    {
        let message = format!("the method {name} does not exist/is not available");
        assert_eq!(node.error(name, json!([{}])).await, (-32601, message));
    }
    let long = "x".repeat(100_000);
    assert_eq!(
        node.error(&long, json!([])).await,
        (-32600, "method name too long: 100000>2048".into())
    );
    assert_eq!(
        node.error("eth_subscribe", json!(["newHeads"])).await,
        (-32601, "notifications not supported".into())
    );
    assert_eq!(
        node.error("eth_getBalance", json!([])).await,
        (-32602, "missing value for required argument 0".into())
    );
    assert_eq!(node.error("eth_getBalance", json!([ALICE, "newest"])).await.0, -32602);
    assert_eq!(
        node.error("eth_getBalance", json!([ALICE, "0xffff"])).await,
        (-32000, "header not found".into())
    );
    assert_eq!(node.error("eth_call", json!([{ "to": "0x12" }])).await.0, -32602);
    for bad in ["0x", "0x02", "0x02c0", "0xc0", "0x7fc0", "0x04ff", "zz", "0xf8ff"] {
        let (code, _) = node.error("eth_sendRawTransaction", json!([bad])).await;
        assert!(code == -32000 || code == -32602, "{bad}: {code}");
    }
    assert_eq!(node.call("eth_getBlockByNumber", json!(["0xfff", true])).await, json!(null));
    assert_eq!(node.call("eth_chainId", json!([])).await, "0x7a69");
}

fn refusal(code: i64, message: &str, id: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_calls_get_geths_codes_and_words() {
    let node = Node::start().await;
    let parse = refusal(-32700, "parse error", Value::Null);
    for body in ["{ not json", "[1,", "not json", "", "   ", "{\"id\":1", "nul"] {
        assert_eq!(node.post_text(body.into()).await, (200, parse.clone()), "{body}");
    }
    let no_call = |id: Value| refusal(-32600, "invalid request", id);
    for body in ["1", "null", "true", "\"eth_chainId\"", " -1.5 ", "{}"] {
        assert_eq!(node.post_text(body.into()).await, (200, no_call(Value::Null)), "{body}");
    }
    let old = r#"{"jsonrpc":"1.0","id":7,"method":"eth_chainId"}"#;
    assert_eq!(node.post_text(old.into()).await.1, no_call(json!(7)));
    let empty = refusal(-32600, "empty batch", Value::Null);
    assert_eq!(node.post_text("[]".into()).await, (200, empty));
    let call = json!({ "jsonrpc": "2.0", "id": "a", "method": "eth_chainId" });
    let mixed = node.post(&json!([1, call, { "id": 2 }])).await;
    assert_eq!(mixed[0], no_call(Value::Null));
    assert_eq!((&mixed[1]["id"], &mixed[1]["result"]), (&json!("a"), &json!("0x7a69")));
    assert_eq!(mixed[2], no_call(json!(2)));
    // Space before the body, however much, is no fault.
    let spaced = format!("{}{call}", "\n ".repeat(500));
    assert_eq!(node.post_text(spaced).await.1["result"], "0x7a69");
}

/// A call that returns 65,535 bytes.
fn large(id: u64) -> Value {
    let code = json!({ BOB.to_string(): { "code": "0x61ffff5ff3" } });
    json!({ "jsonrpc": "2.0", "id": id, "method": "eth_call", "params": [{ "to": BOB }, "latest", code] })
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_too_large_get_geths_code() {
    let limits = Limits { max_response_body: 200_000, ..Limits::default() };
    let node = Node::with_limits(L1Config::default(), limits).await;
    let too_large = |id: u64| refusal(-32003, "response too large", json!(id));
    assert!(node.post(&large(1)).await["result"].is_string());
    let small = json!({ "jsonrpc": "2.0", "id": 3, "method": "eth_chainId" });
    // The second does not fit beside the first: neither it nor what follows is answered.
    let answers = node.post(&json!([large(1), large(2), small])).await;
    assert!(answers[0]["result"].is_string());
    assert_eq!((&answers[1], &answers[2]), (&too_large(2), &too_large(3)));
    let limits = Limits { max_response_body: 100_000, ..Limits::default() };
    let node = Node::with_limits(L1Config::default(), limits).await;
    assert_eq!(node.post(&large(1)).await, too_large(1));
    let answers = node.post(&json!([small, large(2)])).await;
    assert_eq!((&answers[0]["result"], &answers[1]), (&json!("0x7a69"), &too_large(2)));
}

/// The answer to a body whose size is not said beforehand.
async fn unannounced(node: &Node, size: usize) -> String {
    let mut stream = tokio::net::TcpStream::connect(node.rpc.addr()).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: l1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let body = format!("{head}{size:x}\r\n{}\r\n0\r\n\r\n", " ".repeat(size));
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = vec![0; 64];
    let read = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold() {
    let limits = Limits {
        max_request_body: 2_000,
        max_batch: 3,
        max_filters: 2,
        max_log_range: 2,
        ..Limits::default()
    };
    let node = Node::with_limits(L1Config::default(), limits).await;
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": [] });
    assert_eq!(node.post(&json!([call, call, call])).await.as_array().unwrap().len(), 3);
    let too_large = |id: Value| refusal(-32600, "batch too large", id);
    assert_eq!(node.post(&json!([call, call, call, call])).await, json!([too_large(json!(1))]));
    // Far too many are not even looked at.
    assert_eq!(node.post(&json!(vec![1; 500])).await, too_large(Value::Null));
    let (status, _) = node.post_text(" ".repeat(3_000)).await;
    assert_eq!(status, 413);
    assert!(unannounced(&node, 3_000).await.starts_with("HTTP/1.1 413"));
    node.call("eth_newBlockFilter", json!([])).await;
    node.call("eth_newBlockFilter", json!([])).await;
    assert_eq!(node.error("eth_newBlockFilter", json!([])).await.0, -32005);
    node.call("anvil_mine", json!([5])).await;
    assert_eq!(
        node.error("eth_getLogs", json!([{ "fromBlock": "0x0", "toBlock": "latest" }])).await.0,
        -32005
    );
    node.call("eth_getLogs", json!([{ "fromBlock": "0x4", "toBlock": "latest" }])).await;
    assert_eq!(node.error("anvil_mine", json!([1_000_000_000u64])).await.0, -32005);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_methods() {
    let node = Node::start().await;
    assert_eq!(node.call("eth_accounts", json!([])).await.as_array().unwrap().len(), 10);
    let signed = node.call("personal_sign", json!(["0x68656c6c6f", ALICE])).await;
    let signature: alloy_primitives::Signature = signed.as_str().unwrap().parse().unwrap();
    assert_eq!(signature.recover_address_from_msg("hello").unwrap(), ALICE);
    let typed = json!({
        "types": { "EIP712Domain": [{ "name": "name", "type": "string" }], "Mail": [{ "name": "to", "type": "address" }] },
        "primaryType": "Mail", "domain": { "name": "x" }, "message": { "to": BOB },
    });
    assert_eq!(
        node.call("eth_signTypedData_v4", json!([ALICE, typed])).await.as_str().unwrap().len(),
        132
    );
    assert_eq!(node.error("eth_signTypedData_v4", json!([ALICE, { "types": 1 }])).await.0, -32602);
    assert_eq!(
        node.error("eth_sign", json!([alloy_primitives::Address::ZERO, "0x00"])).await,
        (-32000, "unknown account".into())
    );
}
