//! A chain whose fees are paid in an ERC-20 of L1.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_provider::Provider;
use alloy_sol_types::SolValue;
use cairn_primitives::{
    address::{BASE_TOKEN, ETH_TOKEN, L2_ASSET_ROUTER},
    config::asset_id,
};
use cairn_settlement::{
    bindings::{Erc20, L2AssetRouter, L2BaseToken},
    bridge::WithdrawalProof,
    deploy::deploy_test_token,
    l1::{L1, L1Wallet, Send},
};
use serde_json::{Value, json};

use crate::{
    calldata::settled,
    recover::{bridge_of, deposit},
    starts::refused,
    world::{Up, ask, cairn, free_port, pay, start_l1, until},
};

/// The sender and what they said, in the first message of a transaction, with its proof.
async fn message(l2: &L1, tx: B256) -> WithdrawalProof {
    let receipt = ask(l2, "eth_getTransactionReceipt", json!([tx])).await;
    let proof = ask(l2, "zks_getL2ToL1LogProof", json!([tx, 0])).await;
    let logs = receipt["logs"].as_array().unwrap();
    let sent = logs.iter().find(|l| l["address"] == "0x0000000000000000000000000000000000008008");
    let data: Bytes = serde_json::from_value(sent.unwrap()["data"].clone()).unwrap();
    let sender: B256 = serde_json::from_value(sent.unwrap()["topics"][1].clone()).unwrap();
    let index: U256 = serde_json::from_value(receipt["transactionIndex"].clone()).unwrap();
    WithdrawalProof {
        batch: proof["batch_number"].as_u64().unwrap(),
        log_index: proof["id"].as_u64().unwrap(),
        tx_number: index.to(),
        l2_sender: Address::from_word(sender),
        message: Bytes::abi_decode(&data).unwrap(),
        proof: serde_json::from_value(proof["proof"].clone()).unwrap(),
    }
}

async fn withdrawn(up: &Up, send: Send) {
    let wallet = up.wallet(0).await;
    let tx = wallet.send(send).await.unwrap().transaction_hash;
    let l2 = up.l2().await;
    settled(&l2).await;
    let proof = message(&l2, tx).await;
    bridge_of(up, async |bridge| bridge.finalize(&proof).await.map(|_| ())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_another_base_token_lives_like_any() {
    let dir = tempfile::tempdir().unwrap();
    let (_l1, l1) = start_l1(&dir.path().join("l1"), free_port()).await;
    let node = dir.path().join("node");
    let mut up = Up::start_with(&node, Some(l1.url()), &["--base-token", "new"]);
    let token = up.address("/base_token/address");
    assert_ne!(token, ETH_TOKEN);
    let l2 = up.l2().await;
    assert_eq!(ask(&l2, "zks_getBaseTokenL1Address", json!([])).await, json!(token));
    let explorer = reqwest::get(up.text("/explorer") + "/api/info").await.unwrap();
    let info: Value = explorer.json().await.unwrap();
    assert_eq!(info["baseToken"]["symbol"], up.ready["base_token"]["symbol"]);
    let refusal: Result<Value, _> = l2
        .provider()
        .raw_request("anvil_setBalance".into(), json!([Address::repeat_byte(1), "0x1"]))
        .await;
    assert!(refusal.unwrap_err().to_string().contains("not available"));

    // In: the base token, and ether as a token like any other.
    let friend = Address::repeat_byte(0x81);
    deposit(&up, friend).await;
    let ether = U256::from(3_000_000);
    let to = up.address("/accounts/0/address");
    bridge_of(&up, async |b| b.deposit_token(ETH_TOKEN, to, ether).await.map(|_| ())).await;
    pay(&up.wallet(0).await, friend, 23).await;
    let twin = L2AssetRouter::l2TokenAddressCall { l1Token: ETH_TOKEN };
    let twin = l2.call(L2_ASSET_ROUTER, twin).await.unwrap();
    until("both deposits", || async {
        let held = l2.call(twin, Erc20::balanceOfCall { account: to }).await;
        let base = l2.balance(friend).await.unwrap();
        (held.ok() == Some(ether) && base == U256::from(800)).then_some(())
    })
    .await;

    // The portal's plan does the same.
    let from = up.address("/accounts/2/address");
    let wish = json!({ "action": "deposit", "from": from, "to": friend, "amount": "200" });
    let plan = reqwest::Client::new().post(up.text("/explorer") + "/api/portal/plan").json(&wish);
    let plan: Value = plan.send().await.unwrap().json().await.unwrap();
    let key = up.text("/accounts/2/key").parse().unwrap();
    let wallet = L1Wallet::new(l1.clone(), key);
    for step in plan["steps"].as_array().unwrap() {
        assert_eq!(step["tx"]["value"], "0x0");
        let data: Bytes = serde_json::from_value(step["tx"]["data"].clone()).unwrap();
        let to = serde_json::from_value(step["tx"]["to"].clone()).unwrap();
        let what = step["title"].to_string();
        wallet.send(Send { what, to: Some(to), data, ..Send::default() }).await.unwrap();
    }
    until("the portal's deposit", || async {
        (l2.balance(friend).await.unwrap() == U256::from(1_000)).then_some(())
    })
    .await;

    // Out: to the unit.
    let receiver = Address::repeat_byte(0x82);
    let call = L2BaseToken::withdrawCall { l1Receiver: receiver };
    let value = U256::from(123_456);
    withdrawn(&up, Send::call("a withdrawal", BASE_TOKEN, call).value(value)).await;
    let held = l1.call(token, Erc20::balanceOfCall { account: receiver }).await.unwrap();
    assert_eq!((held, l1.balance(receiver).await.unwrap()), (value, U256::ZERO));
    let data = (ether, receiver, twin).abi_encode_params().into();
    let asset = asset_id(l1.chain_id(), ETH_TOKEN);
    let call = L2AssetRouter::withdrawCall { assetId: asset, assetData: data };
    withdrawn(&up, Send::call("a withdrawal of ether", L2_ASSET_ROUTER, call)).await;
    assert_eq!(l1.balance(receiver).await.unwrap(), ether);
    let details = settled(&l2).await;
    up.process.kill();

    // It is the chain's for good, and L1 knows.
    refused(&node, &["--l1", l1.url(), "--base-token", "eth"], "the chain's base token is CTB");
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
    let again = Up::start(&target, Some(l1.url()));
    assert_eq!(again.ready["base_token"], up.ready["base_token"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_base_token_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_l1, l1) = start_l1(&dir.path().join("l1"), free_port()).await;
    let node = dir.path().join("node");
    let wallet = L1Wallet::new(l1.clone(), rich());
    let few = deploy_test_token(&wallet, "Few", "FEW", 6).await.unwrap().to_string();
    let nothing = Address::repeat_byte(0x91).to_string();
    for (token, words) in
        [(few.as_str(), "has 6 decimals"), (nothing.as_str(), "there is no ERC-20")]
    {
        refused(&node, &["--l1", l1.url(), "--base-token", token], words);
    }
    let good = deploy_test_token(&wallet, "Good\n", "GOOD", 18).await.unwrap();
    // Nobody of the development accounts has any: the chain starts all the same.
    let up = Up::start_with(&node, Some(l1.url()), &["--base-token", &good.to_string()]);
    assert_eq!(
        up.ready["base_token"],
        json!({ "address": good, "symbol": "GOOD", "name": "Good" })
    );
    assert_eq!(up.l2().await.balance(wallet.address()).await.unwrap(), U256::ZERO);
}

/// The first account of the test mnemonic.
fn rich() -> alloy_signer_local::PrivateKeySigner {
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80".parse().unwrap()
}
