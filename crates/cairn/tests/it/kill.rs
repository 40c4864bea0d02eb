//! SIGKILL at every step of settlement, and while transactions come in: nothing acknowledged is lost, and every batch ends final.

use alloy_primitives::{Address, B256, U256};
use cairn_settlement::{bindings::ZKChain, l1::L1};
use serde_json::json;

use crate::world::{Up, ask, cairn, free_port, pay, start_l1, until};

/// Batches (committed, proven, executed) as L1 counts them.
pub async fn counters(l1: &L1, chain: Address) -> [u64; 3] {
    let n = |v: U256| u64::try_from(v).unwrap();
    [
        n(l1.call(chain, ZKChain::getTotalBatchesCommittedCall {}).await.unwrap()),
        n(l1.call(chain, ZKChain::getTotalBatchesVerifiedCall {}).await.unwrap()),
        n(l1.call(chain, ZKChain::getTotalBatchesExecutedCall {}).await.unwrap()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn settlement_goes_on_after_a_kill_at_each_step() {
    let dir = tempfile::tempdir().unwrap();
    let (_l1_process, l1) = start_l1(&dir.path().join("l1"), free_port()).await;
    let data = dir.path().join("node");
    let mut up = Up::start(&data, Some(l1.url()));
    let chain = up.address("/chain/address");
    let friend = Address::repeat_byte(0x51);
    let mut paid = 0;
    // Twice round: the second time, the batch before is on its way as well.
    for step in [0, 1, 2, 0, 1, 2] {
        let before = counters(&l1, chain).await;
        pay(&up.wallet(0).await, friend, 1).await;
        paid += 1;
        until("the next step on L1", || async {
            (counters(&l1, chain).await[step] > before[step]).then_some(())
        })
        .await;
        up.process.kill();
        up = Up::start(&data, Some(l1.url()));
        let balance = up.l2().await.balance(friend).await.unwrap();
        assert_eq!(balance, U256::from(paid), "an acknowledged payment was lost");
    }
    let l2 = up.l2().await;
    let last = pay(&up.wallet(0).await, friend, 1).await;
    let block = ask(&l2, "eth_getTransactionReceipt", json!([last])).await["blockNumber"].clone();
    let number = |v: &serde_json::Value| {
        u64::from_str_radix(v.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    };
    until("finality", || async {
        let finalized = ask(&l2, "eth_getBlockByNumber", json!(["finalized", false])).await;
        (finalized.is_object() && number(&finalized["number"]) >= number(&block)).then_some(())
    })
    .await;
    let [committed, proven, executed] = counters(&l1, chain).await;
    // Payments of several rounds may share a batch, but not all of them.
    assert!(
        committed >= 3 && proven == committed && executed == committed,
        "{committed} committed, {proven} proven, {executed} executed"
    );
    // Each batch knows its three transactions, also those that were sent right before a kill.
    for batch in 1..=executed {
        let details = ask(&l2, "zks_getL1BatchDetails", json!([batch])).await;
        for field in ["commitTxHash", "proveTxHash", "executeTxHash"] {
            let hash: B256 =
                details[field].as_str().unwrap_or_default().parse().unwrap_or_default();
            let receipt = ask(&l1, "eth_getTransactionReceipt", json!([hash])).await;
            assert_eq!(receipt["status"], "0x1", "batch {batch}: {field} {details}");
        }
    }
    up.process.kill();
    // Dropped at a start after the batch was final.
    let out = dir.path().join("witness");
    let mut witness = cairn();
    witness.args(["witness", "--number", "1", "--data-dir"]).arg(&data).arg("--out").arg(&out);
    let refused = witness.output().unwrap();
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && errors.contains("dropped"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_network_goes_on_after_kills() {
    let dir = tempfile::tempdir().unwrap();
    let mut up = Up::start(dir.path(), None);
    let friend = Address::repeat_byte(0x52);
    for round in 1..=4u64 {
        let wallet = up.wallet(1).await;
        for _ in 0..5 {
            pay(&wallet, friend, 1).await;
        }
        let head = ask(&up.l2().await, "eth_getBlockByNumber", json!(["latest", false])).await;
        up.process.kill();
        up = Up::start(dir.path(), None);
        let l2 = up.l2().await;
        assert_eq!(l2.balance(friend).await.unwrap(), U256::from(5 * round));
        let same = ask(&l2, "eth_getBlockByNumber", json!([head["number"], false])).await;
        assert_eq!(same["hash"], head["hash"], "the chain forked");
    }
}
