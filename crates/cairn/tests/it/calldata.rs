//! A chain whose data goes to L1 in calldata: from a deposit to finality, and back from L1 alone.

use alloy_primitives::{Address, U256};
use cairn_settlement::l1::L1;
use serde_json::{Value, json};

use crate::{
    recover::deposit,
    world::{Up, ask, cairn, free_port, pay, start_l1, until},
};

/// Waits until all that is on L2 now is final; the last batch's details.
pub async fn settled(l2: &L1) -> Value {
    let head = ask(l2, "eth_blockNumber", json!([])).await;
    until("finality", || async {
        let block = ask(l2, "eth_getBlockByNumber", json!(["finalized", false])).await;
        (block["number"] == head).then_some(())
    })
    .await;
    let newest: U256 =
        serde_json::from_value(ask(l2, "zks_L1BatchNumber", json!([])).await).unwrap();
    ask(l2, "zks_getL1BatchDetails", json!([newest.to::<u64>()])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_calldata_settles_and_comes_back_from_l1() {
    let dir = tempfile::tempdir().unwrap();
    let (_l1, l1) = start_l1(&dir.path().join("l1"), free_port()).await;
    let mut up = Up::start_with(&dir.path().join("node"), Some(l1.url()), &["--da", "calldata"]);
    assert_eq!(up.ready["da"], "calldata");
    let friend = Address::repeat_byte(0x71);
    deposit(&up, friend).await;
    pay(&up.wallet(0).await, friend, 23).await;
    let l2 = up.l2().await;
    until("the deposit", || async {
        (l2.balance(friend).await.unwrap() == U256::from(777 + 23)).then_some(())
    })
    .await;
    let details = settled(&l2).await;
    for number in 1..=details["number"].as_u64().unwrap() {
        let batch = ask(&l2, "zks_getL1BatchDetails", json!([number])).await;
        let commit = ask(&l1, "eth_getTransactionByHash", json!([batch["commitTxHash"]])).await;
        // An ordinary transaction: no blobs.
        assert_eq!(commit["type"], "0x2", "{commit}");
        assert!(commit.get("blobVersionedHashes").is_none_or(Value::is_null), "{commit}");
    }
    up.process.kill();

    let target = dir.path().join("recovered");
    let output = cairn()
        .args(["recover", "--json", "--from-l1", l1.url()])
        .args(["--bridgehub", &up.text("/contracts/bridgehub"), "--data-dir"])
        .arg(&target)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let recovered: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(recovered["state_root"], details["rootHash"]);
    assert_eq!(recovered["batches"], details["number"]);

    // It goes on in the same way without being told.
    let up = Up::start(&target, Some(l1.url()));
    assert_eq!(up.ready["da"], "calldata");
    pay(&up.wallet(0).await, friend, 200).await;
    let l2 = up.l2().await;
    assert_eq!(l2.balance(friend).await.unwrap(), U256::from(1_000));
    let newest = settled(&l2).await;
    assert!(newest["number"].as_u64() > details["number"].as_u64());
    let commit = ask(&l1, "eth_getTransactionByHash", json!([newest["commitTxHash"]])).await;
    assert_eq!(commit["type"], "0x2", "{commit}");
}
