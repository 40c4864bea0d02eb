//! Blob transactions, the point evaluation precompile, and reading blobs back.

use crate::support::{ALICE_KEY, BOB, Node};
use alloy_consensus::{
    BlobTransactionSidecar, SidecarBuilder, SignableTransaction, SimpleCoder, TxEip4844,
    TxEip4844WithSidecar, TxEnvelope,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip4844::env_settings::EnvKzgSettings;
use alloy_eips::eip7594::{BlobTransactionSidecarEip7594, BlobTransactionSidecarVariant};
use alloy_network::{TransactionBuilder, TransactionBuilder4844};
use alloy_primitives::{B256, Bytes, address, hex};
use alloy_provider::Provider;
use alloy_rpc_types::TransactionRequest;
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use serde_json::{Value, json};

fn sidecar() -> BlobTransactionSidecarEip7594 {
    SidecarBuilder::<SimpleCoder>::from_slice(b"pubdata of a batch").build_7594().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn blob_transaction_is_mined_and_its_blob_read_back() {
    let node = Node::start().await;
    let sidecar = sidecar();
    let mut tx =
        TransactionRequest::default().with_to(BOB).with_max_fee_per_blob_gas(1_000_000_000);
    tx.sidecar = Some(BlobTransactionSidecarVariant::Eip7594(sidecar.clone()));
    tx.populate_blob_hashes();
    let receipt = node.send(tx).await;
    assert!(receipt.status());
    assert_eq!(receipt.blob_gas_used, Some(131_072));
    let blobs =
        node.call("anvil_getBlobsByTransactionHash", json!([receipt.transaction_hash])).await;
    assert_eq!(blobs[0], json!(sidecar.blobs[0]));
    let hash = sidecar.versioned_hashes().next().unwrap();
    let number = receipt.block_number.unwrap();
    let url =
        format!("{}/eth/v1/beacon/blobs/{number}?versioned_hashes={hash}", node.rpc.http_url());
    let rest: Value =
        serde_json::from_str(&node.http.get(url).send().await.unwrap().text().await.unwrap())
            .unwrap();
    assert_eq!(rest["data"][0], json!(sidecar.blobs[0]));
    let block = node.call("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(block["blobGasUsed"], "0x20000");
    for (path, status) in
        [("/eth/v1/beacon/blobs/zz", 400), ("/eth/v1/beacon/blobs/999", 404), ("/health", 200)]
    {
        let response =
            node.http.get(format!("{}{path}", node.rpc.http_url())).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn point_evaluation_accepts_what_is_right_and_nothing_else() {
    let node = Node::start().await;
    let sidecar = sidecar();
    let kzg = EnvKzgSettings::Default;
    let blob = c_kzg::Blob::from_bytes(sidecar.blobs[0].as_slice()).unwrap();
    let mut z = [0u8; 32];
    z[31] = 9;
    let (proof, y) = kzg.get().compute_kzg_proof(&blob, &z.into()).unwrap();
    let hash = sidecar.versioned_hashes().next().unwrap();
    let mut input = [
        hash.as_slice(),
        &z,
        y.as_slice(),
        sidecar.commitments[0].as_slice(),
        proof.to_bytes().as_slice(),
    ]
    .concat();
    let precompile = address!("000000000000000000000000000000000000000a");
    let call =
        |input: &[u8]| json!([{ "to": precompile, "data": hex::encode_prefixed(input) }, "latest"]);
    let expected = "0x000000000000000000000000000000000000000000000000000000000000100073eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001";
    assert_eq!(node.call("eth_call", call(&input)).await, expected);
    input[95] ^= 1;
    assert_eq!(node.error("eth_call", call(&input)).await.0, -32000);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_blob_transactions_are_refused() {
    let node = Node::start().await;
    let base = || {
        TransactionRequest::default()
            .with_to(BOB)
            .with_max_fee_per_blob_gas(1_000_000_000)
            .with_gas_limit(21_000)
    };
    // The old proofs of EIP-4844.
    let old: BlobTransactionSidecar =
        SidecarBuilder::<SimpleCoder>::from_slice(b"x").build_4844().unwrap();
    let mut tx = base();
    tx.sidecar = Some(BlobTransactionSidecarVariant::Eip4844(old));
    tx.populate_blob_hashes();
    let error = node.provider.send_transaction(tx).await.unwrap_err().to_string();
    assert!(error.contains("unexpected sidecar version"), "{error}");
    // A proof of another cell.
    let mut forged = sidecar();
    forged.cell_proofs.swap(0, 1);
    let mut tx = base();
    tx.sidecar = Some(BlobTransactionSidecarVariant::Eip7594(forged));
    tx.populate_blob_hashes();
    let error = node.provider.send_transaction(tx).await.unwrap_err().to_string();
    assert!(error.contains("invalid blob"), "{error}");
    // Hashes of another blob.
    let tx = TxEip4844 {
        chain_id: 31_337,
        gas_limit: 21_000,
        max_fee_per_gas: 3_000_000_000,
        max_fee_per_blob_gas: 1_000_000_000,
        to: BOB,
        blob_versioned_hashes: vec![B256::repeat_byte(1)],
        ..TxEip4844::default()
    };
    let tx = TxEip4844WithSidecar::from_tx_and_sidecar(
        tx,
        BlobTransactionSidecarVariant::Eip7594(sidecar()),
    );
    let signer: PrivateKeySigner = ALICE_KEY.parse().unwrap();
    let signature = signer.sign_hash_sync(&tx.signature_hash()).unwrap();
    let raw = Bytes::from(TxEnvelope::from(tx.into_signed(signature)).encoded_2718());
    let (code, message) = node.error("eth_sendRawTransaction", json!([raw])).await;
    assert!(code == -32000 && message.contains("invalid blob"), "{message}");
    // No blobs at all: the canonical encoding without sidecar.
    assert_eq!(
        node.error("eth_sendRawTransaction", json!([Bytes::from_static(&[3, 0xc0])])).await.0,
        -32000
    );
}
