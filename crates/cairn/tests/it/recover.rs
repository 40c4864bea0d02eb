//! `cairn recover --from-l1`: a thousand transactions later, the same root from L1 alone.

use alloy_primitives::{Address, U256};
use cairn_settlement::{
    bindings::{Erc20, ZKChain},
    deploy::deploy_test_token,
    l1::{L1, Send},
};
use serde_json::{Value, json};

use crate::world::{Up, ask, cairn, pay, until};

/// Rounds; each is eight wallets' transactions.
const ROUNDS: u64 = 130;

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_a_thousand_transactions_comes_back_from_l1() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(&dir.path().join("node"), None);
    let first = up.wallet(0).await;
    let token = deploy_test_token(&first, "Recovered", "REC", 18).await.unwrap();
    let mut tasks = Vec::new();
    for lane in 0..8usize {
        let wallet = up.wallet(lane).await;
        tasks.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                // New accounts and slots, old ones again, and a contract's storage.
                let to = Address::from_slice(
                    &U256::from(round % 40 + 1000 * lane as u64 + 0x10_0000).to_be_bytes::<32>()
                        [12..],
                );
                if round % 3 == 0 {
                    let mint = Erc20::mintCall { to, amount: U256::from(round + 1) };
                    wallet.send(Send::call("mint", token, mint)).await.unwrap();
                } else {
                    pay(&wallet, to, round + 1).await;
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let l2 = up.l2().await;
    let head = ask(&l2, "eth_blockNumber", json!([])).await;
    let final_head = until("finality", || async {
        let block = ask(&l2, "eth_getBlockByNumber", json!(["finalized", false])).await;
        (block["number"] == head).then_some(block)
    })
    .await;
    assert!(final_head.is_object());
    let l1 = L1::connect(&up.text("/l1/http"), None).await.unwrap();
    let batches = l1
        .call(up.address("/chain/address"), ZKChain::getTotalBatchesExecutedCall {})
        .await
        .unwrap();
    let details = ask(&l2, "zks_getL1BatchDetails", json!([u64::try_from(batches).unwrap()])).await;

    let target = dir.path().join("recovered");
    let run = || {
        let mut command = cairn();
        command.args(["recover", "--json", "--from-l1", &up.text("/l1/http")]);
        command.args(["--bridgehub", &up.text("/contracts/bridgehub"), "--data-dir"]).arg(&target);
        command.output().unwrap()
    };
    let output = run();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["state_root"], details["rootHash"], "{last} {details}");
    assert_eq!(last["batches"].as_u64(), Some(u64::try_from(batches).unwrap()));

    let again = run();
    assert!(!again.status.success(), "a directory that is not empty is left alone");
}
