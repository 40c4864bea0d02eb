//! `eth_simulateV1`, `eth_fillTransaction` and the raw forms of blocks.

use crate::support::{ALICE, BOB, Node, REVERTS, STORE_AND_LOG};
use alloy_consensus::{Block, ReceiptEnvelope, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{B256, Bytes, U256, address, keccak256};
use alloy_provider::Provider;
use alloy_rlp::Decodable;
use serde_json::{Value, json};

const CONTRACT: alloy_primitives::Address = address!("00000000000000000000000000000000000c0de5");

fn word(n: u64) -> String {
    B256::from(U256::from(n)).to_string()
}

#[tokio::test]
async fn calls_see_what_came_before_and_the_chain_stays_as_it_is() {
    let node = Node::start().await;
    let head = node.provider.get_block_number().await.unwrap();
    let payload = json!({
        "blockStateCalls": [
            {
                "stateOverrides": {
                    CONTRACT.to_string(): { "code": format!("0x{STORE_AND_LOG}") },
                    BOB.to_string(): { "balance": "0x64" },
                },
                "calls": [
                    { "from": ALICE, "to": CONTRACT, "input": word(7) },
                    { "from": BOB, "to": ALICE, "value": "0x64" },
                ],
            },
            {
                "blockOverrides": { "number": format!("{:#x}", head + 4), "time": "0xffffffffff" },
                // SLOAD(0) and NUMBER, returned.
                "stateOverrides": { CONTRACT.to_string(): { "code": "0x5f545f524360205260405ff3" } },
                "calls": [{ "to": CONTRACT }, { "from": BOB, "to": ALICE, "value": "0x1" }],
            },
        ],
    });
    let refused = node.raw("eth_simulateV1", json!([payload, "latest"])).await;
    assert_eq!(refused["error"]["code"], -38014, "Bob spent what he had: {refused}");
    let mut payload = payload;
    payload["blockStateCalls"][1]["calls"].as_array_mut().unwrap().pop();
    let blocks = node.call("eth_simulateV1", json!([payload, "latest"])).await;
    let blocks = blocks.as_array().unwrap();
    let numbers: Vec<_> = blocks.iter().map(|b| b["number"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<_> = (1..=4).map(|i| format!("{:#x}", head + i)).collect();
    assert_eq!(numbers, expected, "gaps are filled");
    assert!(blocks.windows(2).all(|w| w[1]["parentHash"] == w[0]["hash"]));
    let first = &blocks[0]["calls"];
    assert_eq!((&first[0]["status"], &first[0]["returnData"]), (&json!("0x1"), &json!(word(7))));
    assert_eq!(first[0]["logs"][0]["blockHash"], blocks[0]["hash"]);
    assert_eq!(first[1]["gasUsed"], "0x5208");
    let seen = blocks[3]["calls"][0]["returnData"].as_str().unwrap().to_owned();
    assert_eq!(seen, format!("{}{}", word(7), &word(head + 4)[2..]), "the slot and the number");
    assert_eq!(node.provider.get_block_number().await.unwrap(), head);
    assert!(node.provider.get_code_at(CONTRACT).await.unwrap().is_empty());
}

#[tokio::test]
async fn validation_transfers_and_failures_are_as_specified() {
    let node = Node::start().await;
    let simulate = |calls: Value, options: Value| {
        let mut payload = json!({ "blockStateCalls": [{ "calls": calls,
            "stateOverrides": { CONTRACT.to_string(): { "code": format!("0x{REVERTS}") } } }] });
        payload.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        node.raw("eth_simulateV1", json!([payload, "latest"]))
    };
    let strict = json!({ "validation": true });
    let cheap = simulate(json!([{ "from": ALICE, "to": BOB }]), strict.clone()).await;
    assert_eq!(cheap["error"]["code"], -38012, "{cheap}");
    let fees = json!({ "from": ALICE, "to": BOB, "maxFeePerGas": "0x174876e800", "nonce": "0x9" });
    let early = simulate(json!([fees]), strict).await;
    assert_eq!(early["error"]["code"], -38011, "{early}");
    let calls = json!([{ "from": ALICE, "to": BOB, "value": "0x5" }, { "to": CONTRACT }]);
    let whole = json!({ "traceTransfers": true, "returnFullTransactions": true });
    let answer = simulate(calls, whole).await;
    let block = &answer["result"][0];
    let log = &block["calls"][0]["logs"][0];
    assert_eq!(log["address"], "0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee", "{answer}");
    assert_eq!((&log["data"], &log["topics"][2]), (&json!(word(5)), &json!(BOB.into_word())));
    let failed = &block["calls"][1];
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("0x0"), &json!(3)));
    assert_eq!(failed["error"]["message"], "execution reverted: no");
    assert_eq!(block["transactions"][0]["from"], json!(ALICE).as_str().unwrap().to_lowercase());
}

#[tokio::test]
async fn simulations_are_bounded_and_in_order() {
    let node = Node::start().await;
    let run = |blocks: Value| {
        node.raw("eth_simulateV1", json!([{ "blockStateCalls": blocks }, "latest"]))
    };
    let code = |answer: Value| answer["error"]["code"].as_i64();
    assert_eq!(code(run(json!([])).await), Some(-32602));
    assert_eq!(code(run(json!([{ "blockOverrides": { "number": "0x0" } }])).await), Some(-38020));
    assert_eq!(code(run(json!([{ "blockOverrides": { "time": "0x1" } }])).await), Some(-38021));
    let far = json!([{ "blockOverrides": { "number": "0xffffffffffffffffff" } }]);
    assert_eq!(code(run(far).await), Some(-38026));
    let loops = json!([{ "stateOverrides": { CONTRACT.to_string(): { "code": "0x5b5f56" } },
        "calls": [{ "to": CONTRACT }, { "to": CONTRACT }] }]);
    let answer = run(loops).await;
    let calls = &answer["result"][0]["calls"];
    assert_eq!((&calls[0]["error"]["code"], &calls[1]["status"]), (&json!(-32015), &json!("0x0")));
}

#[tokio::test]
async fn a_filled_transaction_is_complete() {
    let node = Node::start().await;
    let answer = node
        .call("eth_fillTransaction", json!([{ "from": ALICE, "to": BOB, "value": "0x1" }]))
        .await;
    assert_eq!((&answer["tx"]["gas"], &answer["tx"]["type"]), (&json!("0x5208"), &json!("0x2")));
    assert_eq!((&answer["tx"]["nonce"], &answer["tx"]["r"]), (&json!("0x0"), &json!("0x0")));
    let raw: Bytes = serde_json::from_value(answer["raw"].clone()).unwrap();
    let decoded = TxEnvelope::decode_2718(&mut &raw[..]).unwrap();
    assert_eq!(json!(decoded.tx_hash()), answer["tx"]["hash"]);
    let zksync = json!([{ "from": ALICE, "to": BOB, "type": "0x71", "eip712Meta": {} }]);
    assert_eq!(node.error("eth_fillTransaction", zksync).await.0, -32601);
}

#[tokio::test]
async fn raw_blocks_and_receipts_decode_to_what_was_shown() {
    let node = Node::start().await;
    let receipt = node.pay(BOB, 3).await;
    let raw = |method: &'static str| node.call(method, json!(["latest"]));
    let bytes = |v: Value| serde_json::from_value::<Bytes>(v).unwrap();
    let header = bytes(raw("debug_getRawHeader").await);
    assert_eq!(keccak256(&header), receipt.block_hash.unwrap());
    let block = bytes(raw("debug_getRawBlock").await);
    let block = Block::<TxEnvelope>::decode(&mut &block[..]).unwrap();
    assert_eq!(*block.body.transactions[0].tx_hash(), receipt.transaction_hash);
    let receipts: Vec<Bytes> = serde_json::from_value(raw("debug_getRawReceipts").await).unwrap();
    let decoded = ReceiptEnvelope::decode_2718(&mut &receipts[0][..]).unwrap();
    assert!(decoded.is_success() && decoded.cumulative_gas_used() == 21_000);
    let roots = alloy_consensus::proofs::calculate_receipt_root(&[decoded]);
    assert_eq!(block.header.receipts_root, roots);
}
