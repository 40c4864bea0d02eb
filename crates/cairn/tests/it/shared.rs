//! Batches that wait for their proof share one; and a kill in the middle of making it costs no more than the step under way.

use std::{path::Path, time::SystemTime};

use alloy_primitives::{Address, U256};
use cairn_settlement::l1::L1;
use serde_json::{Value, json};

use crate::{
    kill::counters,
    world::{PROOF_PATIENCE, Up, ask, pay, until, until_within},
};

async fn details(l2: &L1, number: u64) -> Option<Value> {
    let details = ask(l2, "zks_getL1BatchDetails", json!([number])).await;
    details.is_object().then_some(details)
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_wait_share_a_proof_even_across_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut up = Up::start_of("proof", dir.path(), None, &[]);
    let friend = Address::repeat_byte(0x53);
    let l2 = up.l2().await;
    // The first batch holds the accounts' funds; a second one is sealed while the first one's shards are proven.
    until("the first batch", || details(&l2, 1)).await;
    pay(&up.wallet(0).await, friend, 7).await;
    until("the second batch", || details(&l2, 2)).await;

    // SIGKILL as soon as the joining of the first has begun: it takes many seconds.
    let prover = dir.path().join("prover");
    let (shards, joined) = (prover.join("batch-1.shards"), prover.join("batch-1.joined"));
    let joining = || async { prover.join("batch-1.joining").exists().then_some(()) };
    until_within(PROOF_PATIENCE, "the joining of the first batch", joining).await;
    up.process.kill();
    assert!(!joined.exists(), "it was not killed in time");
    let kept = modified(&shards).expect("the shards' proofs are kept");
    let up = Up::start_of("proof", dir.path(), None, &[]);

    // Its shards are not proven a second time: their proofs lie where they lay, until they are joined.
    until_within(PROOF_PATIENCE, "the first batch's proof", || async {
        assert!(!prover.join("batch-1").exists(), "the shards are proven again");
        match modified(&shards) {
            Some(now) => {
                assert_eq!(now, kept, "the shards were proven again");
                None
            }
            // Joined, or joined and used already.
            None => Some(()),
        }
    })
    .await;

    let l1 = L1::connect(&up.text("/l1/http"), None).await.unwrap();
    let chain = up.address("/chain/address");
    let executed = || async { (counters(&l1, chain).await[2] >= 2).then_some(()) };
    until_within(PROOF_PATIENCE, "finality", executed).await;
    let l2 = up.l2().await;
    assert_eq!(l2.balance(friend).await.unwrap(), U256::from(7));
    let [first, second] = until("both batches' transactions", || async {
        let both = [details(&l2, 1).await?, details(&l2, 2).await?];
        both.iter().all(|d| d["executeTxHash"].is_string()).then_some(both)
    })
    .await;
    // Two batches, one transaction that proves them.
    assert_ne!(first["rootHash"], second["rootHash"]);
    assert!(first["proveTxHash"].is_string(), "{first}");
    assert_eq!(first["proveTxHash"], second["proveTxHash"], "{first} {second}");
    for batch in [&first, &second] {
        assert_eq!(batch["proving"]["proofOf"], json!([1, 2]), "{batch}");
        assert_eq!(batch["proving"]["status"], "proven", "{batch}");
    }
    let receipt = ask(&l1, "eth_getTransactionReceipt", json!([first["proveTxHash"]])).await;
    assert_eq!(receipt["status"], "0x1");
    assert!(prover.join("final-1-2.proof").exists());
}
