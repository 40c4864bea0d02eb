//! Development methods.

use crate::support::{ALICE, BOB, Node, STORE_AND_LOG};
use alloy_network::TransactionBuilder;
use alloy_primitives::{Address, U256};
use alloy_provider::Provider;
use alloy_provider::ext::AnvilApi;
use alloy_rpc_types::TransactionRequest;
use alloy_rpc_types::anvil::{ReorgOptions, TransactionData};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn state_setters_time_and_mining() {
    let node = Node::start().await;
    let p = &node.provider;
    p.anvil_set_balance(BOB, U256::from(42)).await.unwrap();
    p.anvil_set_nonce(BOB, 9).await.unwrap();
    p.anvil_set_code(BOB, vec![0x60u8, 0x00].into()).await.unwrap();
    node.call(
        "hardhat_setStorageAt",
        json!([BOB, "0x1", "0x0000000000000000000000000000000000000000000000000000000000000005"]),
    )
    .await;
    assert_eq!(p.get_balance(BOB).await.unwrap(), U256::from(42));
    assert_eq!(p.get_transaction_count(BOB).await.unwrap(), 9);
    assert_eq!(p.get_storage_at(BOB, U256::from(1)).await.unwrap(), U256::from(5));
    p.anvil_mine(Some(3), Some(10)).await.unwrap();
    assert_eq!(p.get_block_number().await.unwrap(), 3);
    let time = |b: serde_json::Value| {
        u64::from_str_radix(&b["timestamp"].as_str().unwrap()[2..], 16).unwrap()
    };
    let third = time(node.call("eth_getBlockByNumber", json!(["0x3", false])).await);
    let second = time(node.call("eth_getBlockByNumber", json!(["0x2", false])).await);
    assert_eq!(third - second, 10);
    node.call("evm_increaseTime", json!([1_000])).await;
    node.call("evm_mine", json!([])).await;
    assert!(
        time(node.call("eth_getBlockByNumber", json!(["latest", false])).await) >= second + 1_000
    );
    node.call("evm_setNextBlockTimestamp", json!([third + 5_000])).await;
    node.call("evm_mine", json!([])).await;
    assert_eq!(
        time(node.call("eth_getBlockByNumber", json!(["latest", false])).await),
        third + 5_000
    );
    assert_eq!(node.error("evm_setNextBlockTimestamp", json!([1])).await.0, -32602);
    assert_eq!(node.call("anvil_nodeInfo", json!([])).await["hardFork"], "Osaka");
    assert_eq!(node.error("anvil_reset", json!([])).await.0, -32601);
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_impersonation() {
    let node = Node::start().await;
    let whale = Address::repeat_byte(0x77);
    let id = node.call("evm_snapshot", json!([])).await;
    node.call("anvil_setBalance", json!([whale, "0xde0b6b3a7640000"])).await;
    assert_eq!(
        node.error("eth_sendTransaction", json!([{ "from": whale, "to": BOB, "value": "0x1" }]))
            .await
            .0,
        -32000
    );
    node.call("hardhat_impersonateAccount", json!([whale])).await;
    let hash = node
        .call("eth_sendTransaction", json!([{ "from": whale, "to": BOB, "value": "0x1" }]))
        .await;
    let receipt = node.call("eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!((&receipt["status"], &receipt["from"]), (&json!("0x1"), &json!(whale)));
    assert_eq!(node.call("evm_revert", json!([id])).await, true);
    assert_eq!(node.call("eth_blockNumber", json!([])).await, "0x0");
    assert_eq!(node.call("eth_getBalance", json!([whale, "latest"])).await, "0x0");
    assert_eq!(node.call("eth_getTransactionReceipt", json!([hash])).await, json!(null));
    assert_eq!(node.call("evm_revert", json!([id])).await, false);
    // The node's own accounts need no signature.
    let hash = node
        .call("eth_sendTransaction", json!([{ "from": ALICE, "to": BOB, "value": "0x1" }]))
        .await;
    assert_eq!(node.call("eth_getTransactionReceipt", json!([hash])).await["status"], "0x1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_takes_blocks_back_and_can_put_transactions_elsewhere() {
    let node = Node::start().await;
    let contract = node.deploy(STORE_AND_LOG).await;
    let lost = node.pay(BOB, 11).await;
    let kept = node.pay(BOB, 22).await;
    let raw = node.call("eth_getRawTransactionByHash", json!([lost.transaction_hash])).await;
    let before = node.call("eth_getBlockByNumber", json!(["0x2", false])).await;
    let filter = node.call("eth_newFilter", json!([{ "address": contract }])).await;
    let balance = node.provider.get_balance(BOB).await.unwrap();
    let options = ReorgOptions {
        depth: 2,
        tx_block_pairs: vec![(TransactionData::Raw(serde_json::from_value(raw).unwrap()), 1)],
    };
    node.provider.anvil_reorg(options).await.unwrap();
    assert_eq!(node.provider.get_block_number().await.unwrap(), 3);
    assert_ne!(
        node.call("eth_getBlockByNumber", json!(["0x2", false])).await["hash"],
        before["hash"]
    );
    assert_eq!(node.call("eth_getBlockByHash", json!([before["hash"], false])).await, json!(null));
    assert_eq!(node.provider.get_balance(BOB).await.unwrap(), balance - U256::from(22));
    let moved =
        node.provider.get_transaction_receipt(lost.transaction_hash).await.unwrap().unwrap();
    assert_eq!(moved.block_number, Some(3));
    assert!(node.provider.get_transaction_receipt(kept.transaction_hash).await.unwrap().is_none());
    assert_eq!(node.call("eth_getFilterChanges", json!([filter])).await, json!([]));
    assert_eq!(node.error("anvil_reorg", json!([99, []])).await.0, -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_shows_removed_logs() {
    let node = Node::start().await;
    let contract = node.deploy(STORE_AND_LOG).await;
    let filter = node.call("eth_newFilter", json!([{ "address": contract }])).await;
    node.send(TransactionRequest::default().with_to(contract).with_input(vec![1u8; 32])).await;
    assert_eq!(node.call("eth_getFilterChanges", json!([filter])).await[0]["removed"], false);
    node.call("anvil_reorg", json!([1, []])).await;
    assert_eq!(node.call("eth_getFilterChanges", json!([filter])).await[0]["removed"], true);
    assert_eq!(
        node.call("eth_getStorageAt", json!([contract, "0x0", "latest"])).await,
        json!(alloy_primitives::B256::ZERO)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn manual_mining_pool_and_state_dump() {
    let node = Node::start().await;
    let p = &node.provider;
    p.anvil_set_auto_mine(false).await.unwrap();
    let tx = TransactionRequest::default().with_to(BOB).with_value(U256::from(1));
    let first = *p.send_transaction(tx.clone()).await.unwrap().tx_hash();
    let second = *p.send_transaction(tx).await.unwrap().tx_hash();
    assert_eq!(node.call("txpool_status", json!([])).await["pending"], "0x2");
    assert_eq!(p.get_transaction_count(ALICE).pending().await.unwrap(), 2);
    p.anvil_drop_transaction(second).await.unwrap();
    node.call("evm_mine", json!([])).await;
    assert!(p.get_transaction_receipt(first).await.unwrap().is_some());
    assert!(p.get_transaction_by_hash(second).await.unwrap().is_none());
    let dump = node.call("anvil_dumpState", json!([])).await;
    let other = Node::start().await;
    assert_eq!(other.call("anvil_loadState", json!([dump])).await, true);
    assert_eq!(other.provider.get_balance(BOB).await.unwrap(), p.get_balance(BOB).await.unwrap());
    assert_eq!(other.error("anvil_loadState", json!(["0x1234"])).await.0, -32602);
}
