//! Snapshots of a network: L1 and its rollup go back together, and on.

use alloy_primitives::{Address, U256};
use cairn_settlement::l1::L1;
use serde_json::{Value, json};

use crate::{
    calldata::settled,
    recover::deposit,
    world::{Up, ask, pay, until},
};

/// Heads of both chains, and what an account has.
async fn standing(up: &Up, account: Address) -> Value {
    let (l1, l2) = (L1::connect(&up.text("/l1/http"), None).await.unwrap(), up.l2().await);
    let block = ask(&l2, "eth_getBlockByNumber", json!(["latest", false])).await;
    json!({
        "l1": ask(&l1, "eth_getBlockByNumber", json!(["latest", false])).await["hash"],
        "l2": block["hash"], "number": block["number"],
        "balance": l2.balance(account).await.unwrap(),
        "batch": ask(&l2, "zks_L1BatchNumber", json!([])).await,
    })
}

async fn snapshot(l2: &L1) -> Value {
    ask(l2, "evm_snapshot", json!([])).await
}

async fn revert(l2: &L1, id: &Value) -> bool {
    ask(l2, "evm_revert", json!([id])).await == json!(true)
}

async fn balance(l2: &L1, account: Address, wei: u64) {
    until("the balance", || async {
        (l2.balance(account).await.unwrap() == U256::from(wei)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_goes_back_to_a_snapshot_and_settles_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut up = Up::start(dir.path(), None);
    let l2 = up.l2().await;
    let wallet = up.wallet(0).await;
    let friend = Address::repeat_byte(0xa1);
    pay(&wallet, friend, 5).await;
    // All is final, so that nothing moves between the look and the snapshot.
    settled(&l2).await;
    let before = standing(&up, friend).await;
    let first = snapshot(&l2).await;

    for again in 0..2 {
        let id = if again == 0 { first.clone() } else { snapshot(&l2).await };
        let gone = pay(&wallet, friend, 7).await;
        let later = snapshot(&l2).await;
        deposit(&up, friend).await;
        balance(&l2, friend, 5 + 7 + 777).await;
        settled(&l2).await;
        ask(&l2, "evm_increaseTime", json!([1_000_000])).await;
        pay(&wallet, friend, 7).await;
        assert!(revert(&l2, &id).await);
        assert_eq!(standing(&up, friend).await, before, "round {again}");
        assert!(ask(&l2, "eth_getTransactionByHash", json!([gone])).await.is_null());
        // Used up, as are those that came after it.
        assert!(!revert(&l2, &id).await && !revert(&l2, &later).await);
    }

    // The same account's nonce, L1's queue and the batch's number, all for the second time, and to the end.
    let wallet = up.wallet(0).await;
    deposit(&up, friend).await;
    balance(&l2, friend, 5 + 777).await;
    let paid = pay(&wallet, friend, 11).await;
    let details = settled(&l2).await;
    assert!(details["executeTxHash"].is_string());
    let health = reqwest::get(up.text("/l2/http") + "/health").await.unwrap();
    assert_eq!(health.status(), 200);
    let page = up.text("/explorer") + &format!("/api/tx/{paid}");
    until("the explorer", || async {
        let shown: Value = reqwest::get(&page).await.ok()?.json().await.ok()?;
        (shown["batch"]["status"] == "finalized").then_some(())
    })
    .await;

    // Snapshots end with the process; what was done does not.
    let kept = snapshot(&l2).await;
    let now = standing(&up, friend).await;
    up.process.kill();
    let up = Up::start(dir.path(), None);
    let l2 = up.l2().await;
    assert_eq!(standing(&up, friend).await["l2"], now["l2"]);
    assert!(!revert(&l2, &kept).await);
    pay(&up.wallet(0).await, friend, 1).await;
    settled(&l2).await;
}
