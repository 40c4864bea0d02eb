//! A proof that L1's contract refuses: settlement stops, says why and keeps the evidence; nothing becomes final.

use std::{path::Path, time::Duration};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolEvent, SolValue};
use cairn_settlement::{bindings::ZKChain, l1::L1};
use serde_json::{Value, json};

use crate::world::{PROOF_PATIENCE, Process, Up, ask, free_port, start_l1, until, until_within};

/// What L1 was told of the first batch.
async fn public_input(l1: &L1, chain: Address) -> B256 {
    until("the first commit", || async {
        let head = l1.block_number().await.ok()?;
        let logs = l1.logs(chain, ZKChain::BlockCommit::SIGNATURE_HASH, 0, head).await.ok()?;
        let events = logs.iter().filter_map(|l| ZKChain::BlockCommit::decode_log(&l.inner).ok());
        events.into_iter().find(|e| e.batchNumber == U256::from(1)).map(|e| e.commitment)
    })
    .await
}

/// A file as the prover writes it, of a proof that is none.
fn forged(public_input: B256) -> Vec<u8> {
    let mut file = b"CAIRNFIN\x01\x01".to_vec();
    file.extend(public_input);
    file.extend((0..3_000u32).flat_map(|i| keccak256(i.to_be_bytes()).0));
    file
}

fn evidence(data: &Path) -> Option<Value> {
    let folder = std::fs::read_dir(data.join("refused")).ok()?.next()?.ok()?.path();
    // The report is written last.
    let report = std::fs::read_to_string(folder.join("report.json")).ok()?;
    assert!(folder.join("proof.bin").exists());
    Some(serde_json::from_str(&report).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_proof_halts_settlement_and_is_kept() {
    halts("proof").await;
}

/// Attesters cannot make up for a proof, where a chain asks for both. Once a person has taken the false one away, an honest one is made, and with the attesters'
/// signatures it makes the batch final.
#[tokio::test(flavor = "multi_thread")]
async fn an_attested_batch_with_a_false_proof_halts_settlement_until_it_is_taken_away() {
    let mut halted = halts("both").await;
    let (data, l1) = (halted.dir.path().join("node"), &halted.l1);
    halted.up.process.kill();
    std::fs::remove_file(data.join("prover/final-1-1.proof")).unwrap();
    let up = Up::start_of("both", &data, Some(l1.url()), &[]);
    let l2 = up.l2().await;
    let details = until_within(PROOF_PATIENCE, "finality", || async {
        let details = ask(&l2, "zks_getL1BatchDetails", json!([1])).await;
        details["executeTxHash"].is_string().then_some(details)
    })
    .await;
    assert_eq!(details["proving"]["status"], "proven", "{details}");
    assert_eq!(details["proving"]["proofOf"], json!([1, 1]), "{details}");
    assert!(details["proving"]["failure"].is_null(), "{details}");
    // What L1 took is a proof and a signature: `DualVerifier` takes the two as byte strings.
    let tx = ask(l1, "eth_getTransactionByHash", json!([details["proveTxHash"]])).await;
    let input: Bytes = tx["input"].as_str().unwrap().parse().unwrap();
    let call = ZKChain::proveBatchesCall::abi_decode(&input).unwrap();
    let (proof, signatures) = <(Bytes, Bytes)>::abi_decode_params(&call.proof).unwrap();
    assert!((64 << 10..128 << 10).contains(&proof.len()) && signatures.len() == 65);
}

/// What is left when settlement has halted.
struct Halted {
    dir: tempfile::TempDir,
    l1: L1,
    up: Up,
    _l1_process: Process,
}

async fn halts(kind: &str) -> Halted {
    let dir = tempfile::tempdir().unwrap();
    let (l1_process, l1) = start_l1(&dir.path().join("l1"), free_port()).await;
    let data = dir.path().join("node");
    let mut up = Up::start_of(kind, &data, Some(l1.url()), &[]);
    assert_eq!(up.text("/verifier"), kind);
    let chain = up.address("/chain/address");
    let claim = public_input(&l1, chain).await;
    up.process.kill();

    let prover = data.join("prover");
    std::fs::create_dir_all(&prover).unwrap();
    let file = prover.join("final-1-1.proof");
    std::fs::write(&file, forged(claim)).unwrap();
    let up = Up::start_of(kind, &data, Some(l1.url()), &[]);
    let report = until("the evidence", || async { evidence(&data) }).await;
    assert!(report["reason"].as_str().unwrap().contains("FinalProofRefused"), "{report}");
    assert_eq!(report["public_inputs"], json!([claim]));
    assert!(file.exists(), "the file stays until a person has looked at it");

    // The node lives, and says what is wrong with the batch; L1 has taken no further step.
    let details = until("the batch's state", || async {
        let details = ask(&up.l2().await, "zks_getL1BatchDetails", json!([1])).await;
        (details["proving"]["status"] == "failed").then_some(details)
    })
    .await;
    assert!(details["proving"]["failure"].as_str().unwrap().contains("refused"), "{details}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let verified = l1.call(chain, ZKChain::getTotalBatchesVerifiedCall {}).await.unwrap();
    let executed = l1.call(chain, ZKChain::getTotalBatchesExecutedCall {}).await.unwrap();
    assert_eq!((verified, executed), (U256::ZERO, U256::ZERO));
    // A chain's kind of verifier is not changed by an option.
    let other = crate::world::cairn()
        .args(["up", "--json", "--port", "0", "--l1-port", "0", "--explorer-port", "0"])
        .args(["--verifier", "attesters", "--l1", l1.url(), "--data-dir"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(!other.status.success());
    Halted { dir, l1, up, _l1_process: l1_process }
}
