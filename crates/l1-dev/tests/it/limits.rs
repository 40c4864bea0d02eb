//! Bounds of the server that a client can run into.

use crate::support::{ALICE, BOB, Node, STORE_AND_LOG};
use alloy_network::TransactionBuilder;
use alloy_rpc_types::TransactionRequest;
use cairn_l1_dev::L1Config;
use cairn_rpc::Limits;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn socket(node: &Node) -> Socket {
    connect_async(node.rpc.ws_url()).await.unwrap().0
}

/// Sends a message and reads the next one.
async fn exchange(socket: &mut Socket, text: String) -> Value {
    socket.send(Message::text(text)).await.unwrap();
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Text(answer) => return serde_json::from_str(&answer).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn call(id: u64, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

async fn with(limits: Limits) -> Node {
    Node::with_limits(L1Config::default(), limits).await
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_of_a_connection_are_bounded() {
    let node = with(Limits { max_subscriptions: 2, ..Limits::default() }).await;
    let mut ws = socket(&node).await;
    let subscribe = |id| call(id, "eth_subscribe", json!(["newHeads"])).to_string();
    let first = exchange(&mut ws, subscribe(1)).await["result"].clone();
    assert!(first.is_string());
    assert!(exchange(&mut ws, subscribe(2)).await["result"].is_string());
    let refused = exchange(&mut ws, subscribe(3)).await;
    assert_eq!(
        refused["error"],
        json!({ "code": -32005, "message": "too many subscriptions: the limit is 2" })
    );
    // Another connection has its own, and one that ends makes room.
    assert!(exchange(&mut socket(&node).await, subscribe(1)).await["result"].is_string());
    let ended = exchange(&mut ws, call(4, "eth_unsubscribe", json!([first])).to_string()).await;
    assert_eq!(ended["result"], true);
    assert!(exchange(&mut ws, subscribe(5)).await["result"].is_string());
    let mut other = socket(&node).await;
    let unknown = exchange(&mut other, call(6, "eth_subscribe", json!(["news"])).to_string()).await;
    let message = "no \"news\" subscription in eth namespace";
    assert_eq!(unknown["error"], json!({ "code": -32601, "message": message }));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_bounded() {
    let node = with(Limits { max_connections: 2, ..Limits::default() }).await;
    let (one, two) = (socket(&node).await, socket(&node).await);
    let (status, _) = node.post_text(call(1, "eth_chainId", json!([])).to_string()).await;
    assert_eq!(status, 429);
    drop((one, two));
    for attempt in 0.. {
        // The server notices the ends in its own time.
        let (status, _) = node.post_text(call(1, "eth_chainId", json!([])).to_string()).await;
        if status == 200 {
            break;
        }
        assert!(attempt < 100, "{status}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn websocket_messages_are_bounded_and_answered_as_over_http() {
    let limits = Limits { max_request_body: 2_000, max_batch: 2, ..Limits::default() };
    let node = with(limits).await;
    let mut ws = socket(&node).await;
    let large = exchange(&mut ws, call(1, &"x".repeat(3_000), json!([])).to_string()).await;
    assert_eq!(large["error"]["code"], -32007, "{large}");
    // The connection goes on.
    let chain_id = call(2, "eth_chainId", json!([]));
    assert_eq!(exchange(&mut ws, chain_id.to_string()).await["result"], "0x7a69");
    let batch = json!([chain_id, chain_id, chain_id]).to_string();
    let refused = exchange(&mut ws, batch).await;
    assert_eq!(refused[0]["error"], json!({ "code": -32600, "message": "batch too large" }));
    assert_eq!(refused[0]["id"], 2);
    let empty = exchange(&mut ws, "[]".into()).await;
    assert_eq!(empty["error"], json!({ "code": -32600, "message": "empty batch" }));
    let unknown = exchange(&mut ws, call(3, "eth_x", json!([])).to_string()).await;
    assert_eq!(unknown["error"]["message"], "the method eth_x does not exist/is not available");
    assert_eq!(exchange(&mut ws, "{".into()).await["error"]["code"], -32700);
    assert_eq!(exchange(&mut ws, "{}".into()).await["error"]["code"], -32700);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_and_raw_transactions_are_bounded() {
    let limits = Limits { max_log_results: 2, max_transaction_size: 100, ..Limits::default() };
    let node = with(limits).await;
    let contract = node.deploy_unsigned(STORE_AND_LOG).await;
    let logs =
        |from: &str| json!([{ "fromBlock": from, "toBlock": "latest", "address": contract }]);
    for _ in 0..3 {
        let request = json!([{ "from": ALICE, "to": contract }]);
        node.call("eth_sendTransaction", request).await;
    }
    let (code, message) = node.error("eth_getLogs", logs("0x0")).await;
    assert!(
        code == -32005 && message.starts_with("query returned more than 2 results"),
        "{message}"
    );
    assert_eq!(node.call("eth_getLogs", logs("0x3")).await.as_array().unwrap().len(), 2);
    let raw = format!("0x{}", "02".repeat(101));
    assert_eq!(
        node.error("eth_sendRawTransaction", json!([raw])).await,
        (-32000, "oversized data: transaction size 101, limit 100".into())
    );
    let short = format!("0x{}", "02".repeat(100));
    assert!(node.error("eth_sendRawTransaction", json!([short])).await.1.starts_with("rlp:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn simulations_hand_over_so_much_state_and_no_more() {
    let node = with(Limits { max_handed_over: 1_000, ..Limits::default() }).await;
    let slots = |count: u64| {
        let slot = |n: u64| (format!("{:#066x}", n + 1), json!(format!("{:#066x}", 1)));
        Value::Object((0..count).map(slot).collect())
    };
    let payload = |count: u64, calls: usize| {
        json!([{ "blockStateCalls": [{
            "stateOverrides": { BOB.to_string(): { "stateDiff": slots(count) } },
            "calls": vec![json!({ "from": ALICE, "to": BOB }); calls],
        }] }, "latest"])
    };
    // The account and its 99 slots for ten calls, with what they touch themselves, are more than a thousand entries.
    let (code, message) = node.error("eth_simulateV1", payload(99, 10)).await;
    assert_eq!(code, -32005);
    assert!(message.contains("hand over too much state"), "{message}");
    let few = node.call("eth_simulateV1", payload(80, 10)).await;
    assert_eq!(few[0]["calls"].as_array().unwrap().len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pools_counts_are_those_of_its_content() {
    let node = Node::with(L1Config { automine: false, ..L1Config::default() }).await;
    let pay =
        |nonce: u64| TransactionRequest::default().with_from(ALICE).with_to(BOB).with_nonce(nonce);
    for nonce in [0, 1, 2, 7] {
        node.call("eth_sendTransaction", json!([pay(nonce)])).await;
    }
    let status = node.call("txpool_status", json!([])).await;
    assert_eq!(status, json!({ "pending": "0x3", "queued": "0x1" }));
}
