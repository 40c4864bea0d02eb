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
    assert_eq!(node.error("eth_sendRawTransaction", raw(tx())).await.1, "already known");
    let low =
        node.error("eth_sendRawTransaction", raw(TxEip1559 { value: U256::from(2), ..tx() })).await;
    assert!(low.1.starts_with("nonce too low"), "{}", low.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests() {
    let node = Node::start().await;
    assert_eq!(node.error("eth_noSuchMethod", json!([{}])).await.0, -32601);
    assert_eq!(node.error("eth_getAccountInfo", json!([])).await.0, -32601);
    assert_eq!(node.error("zks_L1ChainId", json!([])).await.0, -32601);
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
    assert_eq!(node.post_text("{ not json".into()).await.1["error"]["code"], -32700);
    assert_eq!(node.post_text("[]".into()).await.1["error"]["code"], -32600);
    assert_eq!(node.call("eth_getBlockByNumber", json!(["0xfff", true])).await, json!(null));
    assert_eq!(node.call("eth_chainId", json!([])).await, "0x7a69");
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
    assert_eq!(node.post(&json!([call, call, call, call])).await["error"]["code"], -32010);
    let (status, _) = node.post_text(" ".repeat(3_000)).await;
    assert_eq!(status, 413);
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
