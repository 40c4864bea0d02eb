//! Balances and senders that a test conjures up are part of a history that settles like any other.

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use alloy_provider::Provider;
use cairn_settlement::l1::{L1, L1Wallet, Send};
use serde_json::{Value, json};

use crate::world::{Up, ask, pay, until};

/// Init code of a contract that keeps its caller in slot 0.
const KEEPS_CALLER: &[u8] = &hex!("63335f55005f526004601cf3");
/// Init code of a contract that takes no ether.
const REFUSES: &[u8] = &hex!("625f5ffd5f526003601df3");
/// Slot of no matter.
const SLOT: &str = "0x0";

async fn deploy(wallet: &L1Wallet, init: &'static [u8]) -> Address {
    let send = Send {
        what: "a contract".to_owned(),
        data: Bytes::from_static(init),
        gas: Some(1_000_000),
        ..Send::default()
    };
    wallet.send(send).await.unwrap().contract_address.unwrap()
}

async fn set(l2: &L1, account: Address, wei: U256) {
    ask(l2, "anvil_setBalance", json!([account, wei])).await;
    assert_eq!(l2.balance(account).await.unwrap(), wei, "{account}");
}

async fn refusal(l2: &L1, method: &'static str, params: Value) -> String {
    let answer: Result<Value, _> = l2.provider().raw_request(method.into(), params).await;
    answer.unwrap_err().as_error_resp().unwrap().message.to_string()
}

async fn settled(l2: &L1, tx: B256) {
    until("finality", || async {
        let details = ask(l2, "zks_getTransactionDetails", json!([tx])).await;
        details["ethExecuteTxHash"].is_string().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn balances_are_set_to_the_wei() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(dir.path(), None);
    let l2 = up.l2().await;
    let wallet = up.wallet(0).await;
    let contract = deploy(&wallet, REFUSES).await;
    let wei = U256::from(1_234_567_890_123_456_789_u64);
    for account in [Address::repeat_byte(0x31), contract, up.address("/accounts/3/address")] {
        set(&l2, account, wei).await;
        set(&l2, account, wei + U256::ONE).await;
        set(&l2, account, U256::from(7)).await;
        set(&l2, account, U256::ZERO).await;
    }
    set(&l2, contract, U256::from(10).pow(U256::from(24))).await;
    // An address that is a contract on L1, where refunds would go to its alias.
    set(&l2, up.address("/contracts/bridgehub"), wei).await;
    ask(&l2, "hardhat_setBalance", json!([Address::repeat_byte(0x31), "0x64"])).await;
    ask(&l2, "anvil_addBalance", json!([Address::repeat_byte(0x31), "0x1"])).await;
    assert_eq!(l2.balance(Address::repeat_byte(0x31)).await.unwrap(), U256::from(101));
    let why = refusal(&l2, "anvil_setBalance", json!([contract, U256::from(1) << 128])).await;
    assert!(why.contains("128 bits"), "{why}");
    // Whoever asks at the same time is asked to wait, and each gets what they asked for.
    let both =
        [3_u64, 4].map(|wei| ask(&l2, "anvil_setBalance", json!([contract, U256::from(wei)])));
    futures::future::join_all(both).await;
    let left = l2.balance(contract).await.unwrap();
    assert!(left == U256::from(3) || left == U256::from(4), "{left}");
    set(&l2, Address::ZERO, l2.balance(Address::ZERO).await.unwrap() + U256::from(9)).await;
    ask(&l2, "evm_setAutomine", json!([false])).await;
    let why = refusal(&l2, "anvil_setBalance", json!([contract, "0x5"])).await;
    assert!(why.contains("automine"), "{why}");
    ask(&l2, "evm_setAutomine", json!([true])).await;
    settled(&l2, pay(&wallet, Address::repeat_byte(0x32), 1).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_impersonated_sends() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(dir.path(), None);
    let l2 = up.l2().await;
    let contract = deploy(&up.wallet(0).await, KEEPS_CALLER).await;
    let someone = Address::repeat_byte(0x41);
    let send = json!([{ "from": someone, "to": contract, "gas": "0x186a0" }]);
    let why = refusal(&l2, "eth_sendTransaction", send.clone()).await;
    assert!(why.contains("unknown account"), "{why}");
    let why = refusal(&l2, "eth_sendUnsignedTransaction", send.clone()).await;
    assert!(why.contains("not impersonated"), "{why}");

    ask(&l2, "anvil_impersonateAccount", json!([someone])).await;
    let sent = ask(&l2, "eth_sendTransaction", send.clone()).await;
    let receipt = ask(&l2, "eth_getTransactionReceipt", json!([sent])).await;
    assert_eq!((&receipt["status"], &receipt["from"]), (&json!("0x1"), &json!(someone)));
    let caller = ask(&l2, "eth_getStorageAt", json!([contract, SLOT, "latest"])).await;
    assert_eq!(caller, json!(someone.into_word()));

    // The value is the account's own, here of a contract, and to the wei.
    set(&l2, contract, U256::from(1_000)).await;
    ask(&l2, "hardhat_impersonateAccount", json!([contract])).await;
    let to = Address::repeat_byte(0x42);
    let value = json!([{ "from": contract, "to": to, "value": "0x3e7" }]);
    let sent = ask(&l2, "eth_sendTransaction", value.clone()).await;
    assert_eq!(l2.balance(to).await.unwrap(), U256::from(999));
    assert_eq!(l2.balance(contract).await.unwrap(), U256::ONE);
    let too_much = json!([{ "from": contract, "to": to, "value": "0x2", "gas": "0x186a0" }]);
    let failed = ask(&l2, "eth_sendTransaction", too_much).await;
    let receipt = ask(&l2, "eth_getTransactionReceipt", json!([failed])).await;
    assert_eq!(receipt["status"], "0x0");
    assert_eq!(l2.balance(to).await.unwrap(), U256::from(999));
    let why = refusal(
        &l2,
        "eth_sendTransaction",
        json!([{ "from": contract, "data": "0x00", "gas": "0x186a0" }]),
    );
    assert!(why.await.contains("creates a contract"));

    ask(&l2, "anvil_stopImpersonatingAccount", json!([someone])).await;
    refusal(&l2, "eth_sendTransaction", send.clone()).await;
    ask(&l2, "anvil_autoImpersonateAccount", json!([true])).await;
    ask(&l2, "eth_sendTransaction", send.clone()).await;
    // Who has a key in the node signs, and pays on the chain.
    let rich = up.address("/accounts/1/address");
    let before = l2.balance(rich).await.unwrap();
    ask(&l2, "eth_sendTransaction", json!([{ "from": rich, "to": to, "value": "0x1" }])).await;
    until("the payment", || async {
        (l2.balance(rich).await.unwrap() < before - U256::ONE).then_some(())
    })
    .await;
    ask(&l2, "anvil_autoImpersonateAccount", json!([false])).await;
    refusal(&l2, "eth_sendTransaction", send).await;
    settled(&l2, serde_json::from_value(sent).unwrap()).await;
    settled(&l2, serde_json::from_value(failed).unwrap()).await;
}
