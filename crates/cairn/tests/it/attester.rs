//! Attesters in processes of their own: two of three must sign.

use std::process::Stdio;

use alloy_primitives::{Address, B256};
use alloy_signer_local::PrivateKeySigner;
use cairn_settlement::{bindings::ZKChain, l1::L1};
use serde_json::json;

use crate::world::{Process, Up, cairn, free_port, pay, start_l1, until};

pub fn attester(up: &Up, l1: &str, key: &PrivateKeySigner) -> Process {
    let key = key.to_bytes().to_string();
    let child = cairn()
        .args(["attester", "--rpc", &up.text("/l2/http"), "--l1", l1, "--key", &key])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Process(child)
}

async fn counters(l1: &L1, chain: Address) -> (u64, u64) {
    let committed = l1.call(chain, ZKChain::getTotalBatchesCommittedCall {}).await.unwrap();
    let proven = l1.call(chain, ZKChain::getTotalBatchesVerifiedCall {}).await.unwrap();
    (u64::try_from(committed).unwrap(), u64::try_from(proven).unwrap())
}

/// Waits until everything committed by now is proven.
async fn proven(l1: &L1, chain: Address) {
    let (target, _) = counters(l1, chain).await;
    until("the proof", || async { (counters(l1, chain).await.1 >= target).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_attesters_one_of_them_in_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let (_process, l1) = start_l1(&dir.path().join("l1"), port).await;
    let url = format!("http://127.0.0.1:{port}");
    let (second, third) = (PrivateKeySigner::random(), PrivateKeySigner::random());
    let (a, b) = (second.address().to_string(), third.address().to_string());
    let options = ["--attester", &a, "--attester", &b, "--attestations", "2"];
    let up = Up::start_with(&dir.path().join("node"), Some(&url), &options);
    let chain = up.address("/chain/address");
    until("a commit", || async { (counters(&l1, chain).await.0 > 0).then_some(()) }).await;
    // One signature, the node's own attester's, is not enough.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(counters(&l1, chain).await.1, 0);

    let mut other = attester(&up, &url, &second);
    proven(&l1, chain).await;
    other.kill();
    // The third one alone does as well, from where the second stopped.
    pay(&up.wallet(0).await, Address::repeat_byte(5), 1).await;
    let (before, _) = counters(&l1, chain).await;
    until("another commit", || async { (counters(&l1, chain).await.0 > before).then_some(()) })
        .await;
    let _third = attester(&up, &url, &third);
    proven(&l1, chain).await;

    // A stranger is given nothing and signs nothing.
    let rpc = up.l2().await;
    let stranger = PrivateKeySigner::random();
    let digest = cairn_primitives::batch::witness_request_digest(rpc.chain_id(), 1);
    let signature = alloy_signer::SignerSync::sign_hash_sync(&stranger, &digest).unwrap();
    let signature = alloy_primitives::Bytes::copy_from_slice(&signature.as_bytes());
    refused(&rpc, "cairn_getWitness", json!([1, 0, signature])).await;
    let digest = cairn_primitives::batch::attestation_digest(1, chain, &[B256::ZERO]);
    let signature = alloy_signer::SignerSync::sign_hash_sync(&second, &digest).unwrap();
    let signature = alloy_primitives::Bytes::copy_from_slice(&signature.as_bytes());
    refused(&rpc, "cairn_submitAttestation", json!([1, signature])).await;
    refused(&rpc, "cairn_submitAttestation", json!([1, "0x00"])).await;
}

async fn refused(rpc: &L1, method: &'static str, params: serde_json::Value) {
    use alloy_provider::Provider;
    let answer: Result<serde_json::Value, _> =
        rpc.provider().raw_request(method.into(), params).await;
    let error = answer.unwrap_err().to_string();
    assert!(error.contains("attester") || error.contains("signature"), "{error}");
}
