//! What L1 changes under a running node: fee parameters that the chain's admin sets, and batches that it reverts.

use alloy_primitives::{Address, B256, U256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::sol;
use cairn_settlement::{
    bindings::ZKChain,
    l1::{L1, L1Wallet, Send},
};
use serde_json::json;

use crate::{
    attester::attester,
    kill::counters,
    world::{Up, ask, pay, until},
};

sol! {
    function setFeeParams(uint64 baseFee, uint64 gasPerPubdata) external;
}

/// The account that deployed the contracts and is the chain's admin.
const ADMIN: usize = 9;

async fn admin(up: &Up) -> (L1, L1Wallet) {
    let l1 = L1::connect(&up.text("/l1/http"), None).await.unwrap();
    let key: PrivateKeySigner = up.text(&format!("/accounts/{ADMIN}/key")).parse().unwrap();
    (l1.clone(), L1Wallet::new(l1, key))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_follows_its_chains_fee_parameters() {
    let dir = tempfile::tempdir().unwrap();
    let mut up = Up::start(dir.path(), None);
    let chain = up.address("/chain/address");
    let (l1, wallet) = admin(&up).await;
    let before = l1.call(chain, ZKChain::getFeeParamsCall {}).await.unwrap();
    let fees = setFeeParamsCall {
        // Less than what a payment offers that asked for its fees before.
        baseFee: before.baseFee / 2 * 3,
        gasPerPubdata: before.gasPerPubdata * 2,
    };
    let wanted = json!(format!("{:#x}", fees.baseFee));
    wallet.send(Send::call("new fee parameters", chain, fees)).await.unwrap();
    let follows = async |up: &Up| {
        let l2 = up.l2().await;
        until("the new base fee", || async {
            pay(&up.wallet(0).await, Address::repeat_byte(0x61), 1).await;
            let head = ask(&l2, "eth_getBlockByNumber", json!(["latest", false])).await;
            (head["baseFeePerGas"] == wanted).then_some(())
        })
        .await;
    };
    follows(&up).await;
    // A start does not go back to what the chain was created with.
    up.process.kill();
    up = Up::start(dir.path(), None);
    let l1 = L1::connect(&up.text("/l1/http"), None).await.unwrap();
    follows(&up).await;
    // What was built with the old ones is settled before L1 takes them no longer.
    let l2 = up.l2().await;
    let settled = async || {
        let last = pay(&up.wallet(0).await, Address::repeat_byte(0x61), 1).await;
        until("finality", || async {
            let details = ask(&l2, "zks_getTransactionDetails", json!([last])).await;
            details["ethExecuteTxHash"].is_string().then_some(())
        })
        .await;
    };
    settled().await;
    ask(&l1, "evm_increaseTime", json!([86_400 + 60])).await;
    ask(&l1, "evm_mine", json!([])).await;
    settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_the_admin_reverts_are_committed_again() {
    let dir = tempfile::tempdir().unwrap();
    let second = PrivateKeySigner::random();
    let other = second.address().to_string();
    // Two of two must sign, and one of them is not there: batches stay committed.
    let up = Up::start_with(dir.path(), None, &["--attester", &other, "--attestations", "2"]);
    let chain = up.address("/chain/address");
    let (l1, wallet) = admin(&up).await;
    let l2 = up.l2().await;
    let commit_of = || async {
        let details = ask(&l2, "zks_getL1BatchDetails", json!([1])).await;
        details["commitTxHash"].as_str().and_then(|h| h.parse::<B256>().ok())
    };
    let first = until("the first commit", commit_of).await;
    let call = ZKChain::revertBatchesCall { newLastBatch: U256::ZERO };
    wallet.send(Send::call("a revert", chain, call)).await.unwrap();
    until("another commit", || async { commit_of().await.filter(|tx| *tx != first) }).await;
    let _attester = attester(&up, l1.url(), &second);
    until("finality", || async { (counters(&l1, chain).await[2] >= 1).then_some(()) }).await;
}
