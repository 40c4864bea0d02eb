//! Filters and subscriptions.

use crate::support::{BOB, Node, STORE_AND_LOG};
use alloy_network::TransactionBuilder;
use alloy_provider::{Provider, ProviderBuilder};
use alloy_rpc_types::{Filter, TransactionRequest};
use serde_json::json;
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
