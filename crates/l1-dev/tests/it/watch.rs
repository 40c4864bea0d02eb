//! Filters and subscriptions.

use crate::support::{BOB, Node, STORE_AND_LOG};
use alloy_network::TransactionBuilder;
use alloy_primitives::Address;
use alloy_provider::{Provider, ProviderBuilder};
use alloy_rpc_types::{Filter, TransactionRequest};
use cairn_l1_dev::L1Config;
use cairn_rpc::Limits;
use serde_json::{Value, json};
use std::time::Duration;

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn polled_filters() {
    let node = Node::start().await;
    let blocks = node.call("eth_newBlockFilter", json!([])).await;
    let pending = node.call("eth_newPendingTransactionFilter", json!([])).await;
    let contract = node.deploy(STORE_AND_LOG).await;
    let logs =
        node.call("eth_newFilter", json!([{ "address": [contract], "fromBlock": "0x0" }])).await;
    let receipt =
        node.send(TransactionRequest::default().with_to(contract).with_input(vec![7u8; 32])).await;
    assert_eq!(
        node.call("eth_getFilterChanges", json!([blocks])).await.as_array().unwrap().len(),
        2
    );
    let hashes = node.call("eth_getFilterChanges", json!([pending])).await;
    assert_eq!(hashes[1], json!(receipt.transaction_hash));
    assert_eq!(node.call("eth_getFilterChanges", json!([logs])).await.as_array().unwrap().len(), 1);
    assert_eq!(node.call("eth_getFilterChanges", json!([logs])).await, json!([]));
    assert_eq!(node.call("eth_getFilterLogs", json!([logs])).await.as_array().unwrap().len(), 1);
    assert_eq!(node.call("eth_uninstallFilter", json!([logs])).await, true);
    assert_eq!(node.call("eth_uninstallFilter", json!([logs])).await, false);
    assert_eq!(
        node.error("eth_getFilterChanges", json!([logs])).await,
        (-32000, "filter not found".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions() {
    let node = Node::start().await;
    let contract = node.deploy(STORE_AND_LOG).await;
    let ws = ProviderBuilder::new().connect(&node.rpc.ws_url()).await.unwrap();
    let mut heads = ws.subscribe_blocks().await.unwrap();
    let mut logs = ws.subscribe_logs(&Filter::new().address(contract)).await.unwrap();
    let mut pending = ws.subscribe_pending_transactions().await.unwrap();
    let receipt =
        node.send(TransactionRequest::default().with_to(contract).with_input(vec![7u8; 32])).await;
    assert_eq!(soon(heads.recv()).await.unwrap().hash, receipt.block_hash.unwrap());
    assert_eq!(soon(logs.recv()).await.unwrap().transaction_hash, Some(receipt.transaction_hash));
    assert_eq!(soon(pending.recv()).await.unwrap(), receipt.transaction_hash);
    // Every other method works there too.
    assert_eq!(ws.get_block_number().await.unwrap(), 2);
    node.pay(BOB, 1).await;
    assert_eq!(soon(heads.recv()).await.unwrap().number, 3);
}

/// Has the contract emit one log with this word.
async fn emit(node: &Node, contract: Address, word: u64) {
    let mut input = [0; 32];
    input[24..].copy_from_slice(&word.to_be_bytes());
    node.send(TransactionRequest::default().with_to(contract).with_input(input.to_vec())).await;
}

/// The last bytes of the logs' data.
fn words(logs: &Value) -> Vec<u64> {
    let word = |log: &Value| u64::from_str_radix(&log["data"].as_str().unwrap()[50..], 16).unwrap();
    logs.as_array().unwrap().iter().map(word).collect()
}

/// Polls until so many logs have come, and once more.
async fn poll(node: &Node, filter: &Value, count: usize) -> Vec<Vec<u64>> {
    let mut answers: Vec<Vec<u64>> = Vec::new();
    for _ in 0..50 {
        let logs = words(&node.call("eth_getFilterChanges", json!([filter])).await);
        let done = answers.iter().map(Vec::len).sum::<usize>() >= count;
        answers.push(logs);
        if done {
            break;
        }
    }
    answers.retain(|logs| !logs.is_empty());
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_lost_events_reads_the_blocks() {
    // Fewer blocks a poll than are behind.
    let limits = Limits { max_log_range: 700, ..Limits::default() };
    let node = Node::with_limits(L1Config::default(), limits).await;
    let contract = node.deploy(STORE_AND_LOG).await;
    let filter = node.call("eth_newFilter", json!([{ "address": contract }])).await;
    emit(&node, contract, 1).await;
    assert_eq!(poll(&node, &filter, 1).await, [[1]]);
    emit(&node, contract, 2).await;
    // More blocks than the channel holds.
    node.call("anvil_mine", json!([600])).await;
    emit(&node, contract, 3).await;
    node.call("anvil_mine", json!([600])).await;
    emit(&node, contract, 4).await;
    assert_eq!(poll(&node, &filter, 3).await.concat(), [2, 3, 4]);
    // And on as before.
    emit(&node, contract, 5).await;
    assert_eq!(poll(&node, &filter, 1).await, [[5]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_splits_what_one_answer_does_not_hold() {
    let limits = Limits { max_log_results: 2, ..Limits::default() };
    let config = L1Config { automine: false, ..L1Config::default() };
    let node = Node::with_limits(config, limits).await;
    node.call("evm_setAutomine", json!([true])).await;
    let contract = node.deploy(STORE_AND_LOG).await;
    let filter = node.call("eth_newFilter", json!([{ "address": contract }])).await;
    for word in 1..=5 {
        emit(&node, contract, word).await;
    }
    assert_eq!(poll(&node, &filter, 5).await, [vec![1, 2], vec![3, 4], vec![5]]);
    // Five in one block.
    node.call("evm_setAutomine", json!([false])).await;
    for word in 6..=10u64 {
        let input = alloy_primitives::B256::from(alloy_primitives::U256::from(word));
        let call = json!([{ "from": crate::support::ALICE, "to": contract, "data": input }]);
        node.call("eth_sendTransaction", call).await;
    }
    node.call("evm_mine", json!([])).await;
    assert_eq!(poll(&node, &filter, 5).await, [vec![6, 7], vec![8, 9], vec![10]]);
    // A reorg: what was answered is taken back, once.
    node.call("anvil_reorg", json!([1, []])).await;
    let removed = node.call("eth_getFilterChanges", json!([filter])).await;
    assert!(removed.as_array().unwrap().len() <= 2, "{removed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_nobody_polls_expires() {
    let limits = Limits { filter_timeout: Duration::from_millis(600), ..Limits::default() };
    let node = Node::with_limits(L1Config::default(), limits).await;
    let polled = node.call("eth_newBlockFilter", json!([])).await;
    let forgotten = node.call("eth_newFilter", json!([{}])).await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        node.call("eth_getFilterChanges", json!([polled])).await;
    }
    for method in ["eth_getFilterChanges", "eth_getFilterLogs"] {
        let answer = node.error(method, json!([forgotten])).await;
        assert_eq!(answer, (-32000, "filter not found".into()), "{method}");
    }
    assert_eq!(node.call("eth_uninstallFilter", json!([forgotten])).await, false);
    assert_eq!(node.call("eth_uninstallFilter", json!([polled])).await, true);
}
