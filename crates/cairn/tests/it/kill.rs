//! SIGKILL at every step of settlement, and while transactions come in: nothing acknowledged is lost, and every batch ends final.

use alloy_primitives::{Address, B256, U256, hex};
use alloy_sol_types::SolCall;
use cairn_settlement::{bindings::ZKChain, l1::L1};
use serde_json::json;

use crate::{
    load::{Load, all_included, finalized, quantity},
    world::{Up, ask, cairn, free_port, pay, start_l1, start_l1_with, until},
};

/// Batches (committed, proven, executed) as L1 counts them.
pub async fn counters(l1: &L1, chain: Address) -> [u64; 3] {
    let n = |v: U256| u64::try_from(v).unwrap();
    [
        n(l1.call(chain, ZKChain::getTotalBatchesCommittedCall {}).await.unwrap()),
        n(l1.call(chain, ZKChain::getTotalBatchesVerifiedCall {}).await.unwrap()),
        n(l1.call(chain, ZKChain::getTotalBatchesExecutedCall {}).await.unwrap()),
    ]
}

/// Each batch up to this one knows its three transactions on L1, also those that were sent right before a kill.
pub async fn assert_three_transactions(l2: &L1, l1: &L1, last: u64) {
    for batch in 1..=last {
        let details = ask(l2, "zks_getL1BatchDetails", json!([batch])).await;
        for field in ["commitTxHash", "proveTxHash", "executeTxHash"] {
            let hash: B256 =
                details[field].as_str().unwrap_or_default().parse().unwrap_or_default();
            let receipt = ask(l1, "eth_getTransactionReceipt", json!([hash])).await;
            assert_eq!(receipt["status"], "0x1", "batch {batch}: {field} {details}");
        }
    }
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
    finalized(&l2, quantity(&block).unwrap()).await;
    let [committed, proven, executed] = counters(&l1, chain).await;
    // Payments of several rounds may share a batch, but not all of them.
    assert!(
        committed >= 3 && proven == committed && executed == committed,
        "{committed} committed, {proven} proven, {executed} executed"
    );
    assert_three_transactions(&l2, &l1, executed).await;
    up.process.kill();
    // Dropped at a start after the batch was final.
    let out = dir.path().join("witness");
    let mut witness = cairn();
    witness.args(["witness", "--number", "1", "--data-dir"]).arg(&data).arg("--out").arg(&out);
    let refused = witness.output().unwrap();
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && errors.contains("dropped"), "{errors}");
}

/// An L1 with a block a second: the node is killed while its transaction waits there, and while payments come in.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_settlement_transaction_waits_in_l1s_pool_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (l1_dir, port) = (dir.path().join("l1"), free_port());
    let (mut l1_process, l1) = start_l1(&l1_dir, port).await;
    let data = dir.path().join("node");
    let mut up = Up::start(&data, Some(l1.url()));
    let chain = up.address("/chain/address");
    // Its contracts are there: from now on blocks take their time.
    up.process.kill();
    l1_process.kill();
    let _l1_process = start_l1_with(&l1_dir, port, &["--block-time", "1"]).await;
    up = Up::start(&data, Some(l1.url()));
    let friend = Address::repeat_byte(0x56);
    let (mut payments, mut sent) = (Vec::new(), Vec::new());
    for selector in [
        ZKChain::commitBatchesCall::SELECTOR,
        ZKChain::proveBatchesCall::SELECTOR,
        ZKChain::executeBatchesCall::SELECTOR,
    ] {
        let load = Load::start(&up, &[0, 1], friend).await;
        load.more(5).await;
        sent.push(waiting(&l1, selector).await);
        up.process.kill();
        payments.extend(load.stop().await);
        up = Up::start(&data, Some(l1.url()));
        all_included(&up.l2().await, &payments).await;
    }
    let l2 = up.l2().await;
    let last = all_included(&l2, &payments).await;
    finalized(&l2, last).await;
    // What was on its way when its answer could be known is one that was being accepted at a kill.
    let paid = l2.balance(friend).await.unwrap();
    assert!(paid >= U256::from(payments.len()) && paid <= U256::from(payments.len() + 6), "{paid}");
    let executed = counters(&l1, chain).await[2];
    assert_three_transactions(&l2, &l1, executed).await;
    // Mined, or replaced by the next run's with the same nonce.
    for (sender, nonce) in sent {
        let count = ask(&l1, "eth_getTransactionCount", json!([sender, "latest"])).await;
        assert!(quantity(&count).unwrap() > nonce, "{nonce} still waits");
    }
}

/// Waits until a transaction that calls this function is in L1's pool; gives its sender and nonce.
async fn waiting(l1: &L1, selector: [u8; 4]) -> (String, u64) {
    let selector = format!("0x{}", hex::encode(selector));
    until("a transaction in L1's pool", || async {
        let pool = ask(l1, "txpool_content", json!([])).await;
        let mut all = pool["pending"].as_object()?.values().filter_map(|of| of.as_object());
        let found = all.find_map(|of| {
            of.values().find(|tx| tx["input"].as_str().is_some_and(|i| i.starts_with(&selector)))
        })?;
        Some((found["from"].as_str()?.to_owned(), quantity(&found["nonce"])?))
    })
    .await
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
