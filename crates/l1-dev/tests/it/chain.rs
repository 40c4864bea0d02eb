//! Blocks, transactions, calls, traces, persistence.

use crate::support::{ALICE, BOB, Node, REVERTS, STORE_AND_LOG};
use alloy_network::TransactionBuilder;
use alloy_primitives::{B256, U256, hex, keccak256};
use alloy_provider::Provider;
use alloy_rpc_types::{BlockNumberOrTag, Filter, TransactionRequest};
use alloy_trie::Nibbles;
use cairn_l1_dev::{L1Config, L1Dev, L1Error};
use serde_json::json;
use std::time::Duration;

fn word(n: u64) -> Vec<u8> {
    U256::from(n).to_be_bytes_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn transfer_and_everything_about_it() {
    let node = Node::start().await;
    assert_eq!(node.provider.get_chain_id().await.unwrap(), 31_337);
    let before = node.provider.get_balance(ALICE).await.unwrap();
    let receipt = node.pay(BOB, 1_000).await;
    assert!(receipt.status());
    assert_eq!((receipt.gas_used, receipt.block_number), (21_000, Some(1)));
    let paid =
        U256::from(receipt.effective_gas_price) * U256::from(21_000u64) + U256::from(1_000u64);
    assert_eq!(node.provider.get_balance(ALICE).await.unwrap(), before - paid);
    let tx =
        node.provider.get_transaction_by_hash(receipt.transaction_hash).await.unwrap().unwrap();
    assert_eq!(tx.block_hash, receipt.block_hash);
    let block =
        node.provider.get_block_by_number(BlockNumberOrTag::Latest).full().await.unwrap().unwrap();
    // The hash, the roots and the bloom are what they say.
    assert_eq!(block.header.inner.hash_slow(), block.header.hash);
    let txs: Vec<_> = block.transactions.txns().map(|t| t.as_ref().clone()).collect();
    assert_eq!(
        alloy_consensus::proofs::calculate_transaction_root(&txs),
        block.header.transactions_root
    );
    let receipts = node.call("eth_getBlockReceipts", json!(["latest"])).await;
    assert_eq!(receipts[0]["transactionHash"], json!(receipt.transaction_hash));
    assert_eq!(node.provider.get_transaction_count(ALICE).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn contracts_logs_reverts_and_estimates() {
    let node = Node::start().await;
    let contract = node.deploy(STORE_AND_LOG).await;
    let receipt =
        node.send(TransactionRequest::default().with_to(contract).with_input(word(7))).await;
    assert_eq!(receipt.logs().len(), 1);
    assert_eq!(node.provider.get_storage_at(contract, U256::ZERO).await.unwrap(), U256::from(7));
    let filter =
        Filter::new().address(contract).event_signature(B256::with_last_byte(0x2a)).from_block(0);
    assert_eq!(node.provider.get_logs(&filter).await.unwrap().len(), 1);
    assert!(
        node.provider
            .get_logs(&filter.clone().event_signature(B256::ZERO))
            .await
            .unwrap()
            .is_empty()
    );
    // State of an earlier block.
    let before = receipt.block_number.unwrap() - 1;
    assert_eq!(
        node.provider.get_storage_at(contract, U256::ZERO).number(before).await.unwrap(),
        U256::ZERO
    );
    // An estimate is enough and not far off.
    let call = TransactionRequest::default().with_from(ALICE).with_to(contract).with_input(word(9));
    let gas = node.provider.estimate_gas(call.clone()).await.unwrap();
    let used = node.send(call.with_gas_limit(gas)).await;
    assert!(
        used.status() && gas < used.gas_used * 12 / 10,
        "estimate {gas}, used {}",
        used.gas_used
    );
    let failing = node.deploy(REVERTS).await;
    let (code, message) = node.error("eth_call", json!([{ "to": failing }, "latest"])).await;
    assert_eq!((code, message.as_str()), (3, "execution reverted: no"));
    let response = node.raw("eth_estimateGas", json!([{ "from": ALICE, "to": failing }])).await;
    assert_eq!(response["error"]["code"], 3);
    assert!(response["error"]["data"].as_str().unwrap().starts_with("0x08c379a0"));
    let list = node
        .call(
            "eth_createAccessList",
            json!([{ "from": ALICE, "to": contract, "data": hex::encode_prefixed(word(1)) }]),
        )
        .await;
    assert_eq!(list["accessList"][0]["storageKeys"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn overrides_change_a_call_and_nothing_else() {
    let node = Node::start().await;
    let params = json!([{ "to": BOB, "data": "0x" }, "latest", { (BOB.to_string()): { "code": "0x60425f5260205ff3" } }]);
    assert_eq!(node.call("eth_call", params).await, json!(B256::with_last_byte(0x42)));
    assert_eq!(node.call("eth_getCode", json!([BOB, "latest"])).await, json!("0x"));
    // NUMBER under a block override.
    let params = json!([{ "data": "0x435f5260205ff3" }, "latest", {}, { "number": "0x99" }]);
    assert_eq!(node.call("eth_call", params).await, json!(B256::with_last_byte(0x99)));
}

#[tokio::test(flavor = "multi_thread")]
async fn traces() {
    let node = Node::start().await;
    let contract = node.deploy(STORE_AND_LOG).await;
    let receipt =
        node.send(TransactionRequest::default().with_to(contract).with_input(word(7))).await;
    let hash = receipt.transaction_hash;
    let call = node
        .call(
            "debug_traceTransaction",
            json!([hash, { "tracer": "callTracer", "tracerConfig": { "withLog": true } }]),
        )
        .await;
    assert_eq!(call["to"].as_str().unwrap().to_lowercase(), contract.to_string().to_lowercase());
    assert_eq!(call["logs"].as_array().unwrap().len(), 1);
    assert_eq!(call["gasUsed"], json!(format!("{:#x}", receipt.gas_used)));
    let diff = node
        .call(
            "debug_traceTransaction",
            json!([hash, { "tracer": "prestateTracer", "tracerConfig": { "diffMode": true } }]),
        )
        .await;
    let slot =
        &diff["post"][contract.to_string().to_lowercase()]["storage"][B256::ZERO.to_string()];
    assert_eq!(slot, &json!(B256::with_last_byte(7)));
    let logs = node.call("debug_traceTransaction", json!([hash])).await;
    assert!(logs["structLogs"].as_array().unwrap().iter().any(|s| s["op"] == "SSTORE"));
    let block =
        node.call("debug_traceBlockByNumber", json!(["latest", { "tracer": "callTracer" }])).await;
    assert_eq!(block[0]["txHash"], json!(hash));
    let traced = node.call("debug_traceCall", json!([{ "to": contract, "data": hex::encode_prefixed(word(3)) }, "latest", { "tracer": "callTracer" }])).await;
    assert_eq!(traced["output"], json!(B256::with_last_byte(3)));
    let (code, _) = node.error("debug_traceTransaction", json!([B256::ZERO])).await;
    assert_eq!(code, -32000);
    let (code, _) =
        node.error("debug_traceTransaction", json!([hash, { "tracer": "{ js: 1 }" }])).await;
    assert_eq!(code, -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_verify_against_the_state_root() {
    let node = Node::start().await;
    node.pay(BOB, 5).await;
    let block = node.provider.get_block_by_number(BlockNumberOrTag::Latest).await.unwrap().unwrap();
    let proof = node.provider.get_proof(BOB, vec![B256::ZERO]).await.unwrap();
    let account = alloy_trie::TrieAccount {
        nonce: proof.nonce,
        balance: proof.balance,
        storage_root: proof.storage_hash,
        code_hash: proof.code_hash,
    };
    let key = Nibbles::unpack(keccak256(BOB));
    alloy_trie::proof::verify_proof(
        block.header.state_root,
        key,
        Some(alloy_rlp::encode(account)),
        &proof.account_proof,
    )
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn fee_history_is_complete() {
    let node = Node::start().await;
    for _ in 0..3 {
        node.pay(BOB, 1).await;
    }
    let history = node.call("eth_feeHistory", json!(["0x2", "latest", [10.0, 90.0]])).await;
    assert_eq!(history["oldestBlock"], "0x2");
    for (field, len) in [
        ("baseFeePerGas", 3),
        ("gasUsedRatio", 2),
        ("reward", 2),
        ("baseFeePerBlobGas", 3),
        ("blobGasUsedRatio", 2),
    ] {
        assert_eq!(history[field].as_array().unwrap().len(), len, "{field}");
    }
    assert_eq!(history["reward"][0].as_array().unwrap().len(), 2);
    let block = node.call("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(history["baseFeePerGas"][1], block["baseFeePerGas"]);
    let next = node.call("eth_feeHistory", json!([1, "pending", []])).await;
    assert!(next.get("reward").is_none());
    assert_eq!(node.error("eth_feeHistory", json!([1, "0xffff", []])).await.0, -32000);
}

#[tokio::test(flavor = "multi_thread")]
async fn interval_blocks_and_finality_tags() {
    let config = L1Config {
        block_time: Some(Duration::from_millis(30)),
        automine: false,
        slots_in_epoch: 1,
        ..L1Config::default()
    };
    let node = Node::with(config).await;
    let pending = node
        .provider
        .send_transaction(TransactionRequest::default().with_to(BOB).with_value(U256::from(1)))
        .await
        .unwrap();
    assert!(pending.get_receipt().await.unwrap().status());
    while node.provider.get_block_number().await.unwrap() < 5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let calls = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["finalized", false] },
        { "jsonrpc": "2.0", "id": 2, "method": "eth_getBlockByNumber", "params": ["safe", false] },
    ]);
    let batch = node.post(&calls).await;
    let number = |i: usize| {
        u64::from_str_radix(&batch[i]["result"]["number"].as_str().unwrap()[2..], 16).unwrap()
    };
    assert!(number(1) >= number(0) && number(0) >= 3, "{} {}", number(0), number(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let config = || L1Config { data_dir: Some(dir.path().into()), ..L1Config::default() };
    let (contract, head, root) = {
        let node = Node::with(config()).await;
        let contract = node.deploy(STORE_AND_LOG).await;
        node.send(TransactionRequest::default().with_to(contract).with_input(word(5))).await;
        node.send(TransactionRequest::default().with_to(contract).with_input(word(6))).await;
        node.call("anvil_setBalance", json!([BOB, "0x7"])).await;
        let block = node.call("eth_getBlockByNumber", json!(["latest", false])).await;
        node.rpc.stop();
        (contract, block["hash"].clone(), block["stateRoot"].clone())
    };
    // The old server's connections hold the chain for a moment.
    let mut tries = 0;
    let node = loop {
        match L1Dev::open(config()) {
            Ok(l1) => {
                drop(l1);
                tokio::time::sleep(Duration::from_millis(50)).await;
                break Node::with(config()).await;
            }
            Err(e) if tries > 100 => panic!("{e}"),
            Err(_) => tries += 1,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let block = node.call("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!((&block["hash"], &block["stateRoot"]), (&head, &root));
    assert_eq!(node.provider.get_storage_at(contract, U256::ZERO).await.unwrap(), U256::from(6));
    assert_eq!(
        node.provider.get_storage_at(contract, U256::ZERO).number(2).await.unwrap(),
        U256::from(5)
    );
    assert_eq!(node.provider.get_balance(BOB).await.unwrap(), U256::from(7));
    // The tries were rebuilt exactly: the next block's execution agrees with proofs against its root.
    let receipt =
        node.send(TransactionRequest::default().with_to(contract).with_input(word(8))).await;
    assert_eq!(receipt.block_number, Some(4));
    let trace = node
        .call(
            "debug_traceTransaction",
            json!([receipt.transaction_hash, { "tracer": "callTracer" }]),
        )
        .await;
    assert_eq!(trace["output"], json!(B256::with_last_byte(8)));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_chains_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = L1Config { data_dir: Some(dir.path().into()), ..L1Config::default() };
    drop(L1Dev::open(config.clone()).unwrap());
    let error = L1Dev::open(L1Config { chain_id: 5, ..config }).err().unwrap();
    assert!(matches!(error, L1Error::OtherChain { wanted: 5, found: 31_337 }), "{error}");
}
