//! The pending block, and what a chain says of its fork.

use crate::support::{ALICE, BOB, Node};
use alloy_eips::eip7910::{EthConfig, SystemContract};
use alloy_network::TransactionBuilder;
use alloy_primitives::U256;
use alloy_provider::Provider;
use alloy_rpc_types::TransactionRequest;
use cairn_l1_dev::L1Config;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn pending_is_the_next_block_everywhere() {
    let node = Node::with(L1Config { automine: false, ..L1Config::default() }).await;
    node.call("anvil_mine", json!([2])).await;
    let tx = TransactionRequest::default().with_to(BOB).with_value(U256::from(1));
    let mut hashes = Vec::new();
    for nonce in [0, 1, 3] {
        let tx = tx.clone().with_nonce(nonce);
        hashes.push(json!(*node.provider.send_transaction(tx).await.unwrap().tx_hash()));
    }
    let block = node.call("eth_getBlockByNumber", json!(["pending", false])).await;
    let head = node.call("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!((&block["number"], &block["parentHash"]), (&json!("0x3"), &head["hash"]));
    assert_eq!(block["transactions"], json!(hashes[..2]), "not what waits for a nonce");
    for unknown in ["hash", "nonce", "miner"] {
        assert_eq!(block[unknown], Value::Null, "{unknown}");
    }
    let full = node.call("eth_getBlockByNumber", json!(["pending", true])).await;
    let places = |field: &str| -> Vec<Value> {
        full["transactions"].as_array().unwrap().iter().map(|tx| tx[field].clone()).collect()
    };
    assert_eq!(places("hash"), hashes[..2]);
    assert_eq!(places("blockNumber"), [Value::Null, Value::Null]);
    let count = node.call("eth_getBlockTransactionCountByNumber", json!(["pending"])).await;
    assert_eq!(count, "0x2");
    let at = ["pending", "0x1"];
    assert_eq!(
        node.call("eth_getTransactionByBlockNumberAndIndex", json!(at)).await["hash"],
        hashes[1]
    );
    assert_eq!(node.call("eth_getTransactionCount", json!([ALICE, "pending"])).await, "0x2");
    assert_eq!(node.call("eth_getTransactionCount", json!([ALICE, "latest"])).await, "0x0");
    assert_eq!(node.call("eth_getBlockReceipts", json!(["pending"])).await, Value::Null);
    // NUMBER, returned.
    let code = json!({ BOB.to_string(): { "code": "0x435f5260205ff3" } });
    for (at, number) in [("pending", 3), ("latest", 2)] {
        let seen = node.call("eth_call", json!([{ "to": BOB }, at, code])).await;
        assert_eq!(seen.as_str().unwrap().parse::<U256>().unwrap(), U256::from(number), "{at}");
    }
    // A stock client reads it.
    let read = node.provider.get_block(alloy_eips::BlockId::pending()).await.unwrap().unwrap();
    assert_eq!(read.header.number, 3);
    node.call("evm_mine", json!([])).await;
    assert_eq!(
        node.call("eth_getBlockByNumber", json!(["0x3", false])).await["transactions"],
        json!(hashes[..2])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn eth_config_says_what_the_chain_runs() {
    let node = Node::start().await;
    let config: EthConfig =
        serde_json::from_value(node.call("eth_config", json!([])).await).unwrap();
    let current = config.current;
    assert_eq!((config.next, config.last), (None, None));
    assert_eq!((current.chain_id, current.activation_time), (31_337, 0));
    assert_eq!(
        (current.blob_schedule.target_blob_count, current.blob_schedule.max_blob_count),
        (14, 21)
    );
    assert_eq!(current.precompiles.len(), 18);
    assert_eq!(current.fork_id.len(), 4);
    // Every contract that it names is there.
    assert_eq!(current.system_contracts.len(), 4);
    assert!(current.system_contracts.contains_key(&SystemContract::BeaconRoots));
    for address in current.system_contracts.values() {
        assert!(!node.provider.get_code_at(*address).await.unwrap().is_empty(), "{address}");
    }
}
