//! `cairn recover --from-l1`: a thousand transactions later, the same root from L1 alone, and a chain that goes on from it.

use std::time::Duration;

use alloy_primitives::{Address, U256};
use alloy_signer_local::PrivateKeySigner;
use cairn_settlement::{
    bindings::{Erc20, ZKChain},
    bridge::{Bridge, BridgeError},
    deploy::deploy_test_token,
    l1::{L1, L1Wallet, Send},
};
use serde_json::{Value, json};

use crate::{
    attester::attester,
    kill::counters,
    world::{Up, ask, cairn, free_port, pay, start_l1, until},
};

/// Rounds; each is eight wallets' transactions.
const ROUNDS: u64 = 130;

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_a_thousand_transactions_comes_back_from_l1_and_the_chain_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let (_l1, _) = start_l1(&dir.path().join("l1"), port).await;
    let l1_url = format!("http://127.0.0.1:{port}");
    let mut up = Up::start(&dir.path().join("node"), Some(&l1_url));
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

    let old = Snapshot::take(&up, token, &head).await;
    up.process.kill();
    std::fs::remove_dir_all(dir.path().join("node")).unwrap();
    goes_on(&Up::start(&target, Some(&l1_url)), token, &old).await;
}

/// The node is lost while a batch is committed and not proven. Nobody can prove it any more; it is taken back, and the chain goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_not_proven_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let (_l1, l1) = start_l1(&dir.path().join("l1"), free_port()).await;
    let friend = Address::repeat_byte(0x52);
    // Two signatures are needed and the node has one attester: a batch that is committed stays unproven until the other one comes.
    let absent = PrivateKeySigner::random();
    let address = absent.address().to_string();
    let options = ["--attester", &address, "--attestations", "2"];
    let mut up = Up::start_with(&dir.path().join("node"), Some(l1.url()), &options);
    let (hub, chain) = (up.text("/contracts/bridgehub"), up.address("/chain/address"));
    pay(&up.wallet(0).await, friend, 1).await;
    until("a commit", || async { (counters(&l1, chain).await[0] > 0).then_some(()) }).await;
    up.process.kill();
    // A commitment may have been on its way to L1 when the node was killed: it is there when the counters stand still.
    let before = until("counters that stand still", || async {
        let now = counters(&l1, chain).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        (counters(&l1, chain).await == now).then_some(now)
    })
    .await;
    assert_eq!(before[1], 0);
    let recover = |target: &str, options: &[&str]| -> Value {
        let mut command = cairn();
        command.args(["recover", "--json", "--from-l1", l1.url(), "--bridgehub", &hub]);
        command.args(options).arg("--data-dir").arg(dir.path().join(target));
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    };
    let unproven = before[0] - before[1];
    assert_eq!(recover("looked", &[])["unproven"], unproven);
    assert_eq!(counters(&l1, chain).await, before, "only asked for is anything taken back");
    assert_eq!(recover("recovered", &["--revert-unproven"])["unproven"], 0);
    assert_eq!(counters(&l1, chain).await[..2], [before[1], before[1]]);

    let up = Up::start_with(&dir.path().join("recovered"), Some(l1.url()), &options);
    let _other = attester(&up, l1.url(), &absent);
    pay(&up.wallet(0).await, friend, 1).await;
    until("finality of batches in their place", || async {
        (counters(&l1, chain).await[2] > before[1]).then_some(())
    })
    .await;
}

/// What must be the same before and after.
struct Snapshot {
    head: u64,
    hashes: Vec<Value>,
    balances: Vec<Value>,
    minted: Value,
}

impl Snapshot {
    async fn take(up: &Up, token: Address, head: &Value) -> Self {
        let l2 = up.l2().await;
        let head = number(head);
        let mut hashes = Vec::new();
        for block in head.saturating_sub(255)..=head {
            let block =
                ask(&l2, "eth_getBlockByNumber", json!([format!("{block:#x}"), false])).await;
            hashes.push(block["hash"].clone());
        }
        Self { head, hashes, balances: balances(up, &l2).await, minted: minted(&l2, token).await }
    }
}

fn number(quantity: &Value) -> u64 {
    u64::from_str_radix(quantity.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

async fn balances(up: &Up, l2: &L1) -> Vec<Value> {
    let mut out = Vec::new();
    for i in 0..8 {
        let account = up.text(&format!("/accounts/{i}/address"));
        out.push(ask(l2, "eth_getBalance", json!([account, "latest"])).await);
        out.push(ask(l2, "eth_getTransactionCount", json!([account, "latest"])).await);
    }
    out
}

async fn minted(l2: &L1, token: Address) -> Value {
    let holder = Address::from_slice(&U256::from(0x10_0000).to_be_bytes::<32>()[12..]);
    let call = alloy_sol_types::SolCall::abi_encode(&Erc20::balanceOfCall { account: holder });
    let data = alloy_primitives::Bytes::from(call);
    ask(l2, "eth_call", json!([{ "to": token, "data": data }, "latest"])).await
}

/// The node on the recovered directory knows the state and the last 256 blocks, takes deposits and transactions, and settles.
async fn goes_on(up: &Up, token: Address, old: &Snapshot) {
    let l2 = up.l2().await;
    let before = ask(&l2, "eth_blockNumber", json!([])).await;
    assert_eq!(number(&before), old.head);
    assert_eq!(balances(up, &l2).await, old.balances);
    assert_eq!(minted(&l2, token).await, old.minted);
    let first = old.head.saturating_sub(255);
    for (block, hash) in (first..=old.head).zip(&old.hashes) {
        let found = ask(&l2, "eth_getBlockByNumber", json!([format!("{block:#x}"), false])).await;
        assert_eq!(&found["hash"], hash, "block {block}");
    }
    // Init code that returns STOP and BLOCKHASH(first): consensus answers with it too, and proves it. (Code may not start with any byte, EIP-3541.)
    let wallet = up.wallet(0).await;
    let mut init = vec![0x63];
    init.extend((first.max(1) as u32).to_be_bytes());
    init.extend([0x40, 0x60, 1, 0x52, 0x60, 33, 0x5f, 0xf3]);
    let receipt = wallet
        .send(Send {
            what: "blockhash".into(),
            data: init.into(),
            gas: Some(200_000),
            ..Send::default()
        })
        .await
        .unwrap();
    let code = ask(&l2, "eth_getCode", json!([receipt.contract_address, "latest"])).await;
    let hash = old.hashes[(first.max(1) - first) as usize].as_str().unwrap();
    assert_eq!(code, format!("0x00{}", &hash[2..]));
    let to = Address::repeat_byte(0x77);
    pay(&wallet, to, 12_345).await;
    let mint = Erc20::mintCall { to, amount: U256::from(5) };
    wallet.send(Send::call("mint", token, mint)).await.unwrap();
    deposit(up, to).await;
    until("the deposit", || async {
        let wei = ask(&l2, "eth_getBalance", json!([to, "latest"])).await;
        (number(&wei) == 12_345 + 777).then_some(())
    })
    .await;
    let head = ask(&l2, "eth_blockNumber", json!([])).await;
    assert!(number(&head) > old.head);
    until("finality of what came after", || async {
        let block = ask(&l2, "eth_getBlockByNumber", json!(["finalized", false])).await;
        (!block.is_null() && number(&block["number"]) >= number(&head)).then_some(())
    })
    .await;
}

/// A deposit of 777 wei from L1.
pub async fn deposit(up: &Up, to: Address) {
    bridge_of(up, async |bridge| bridge.deposit_base(to, U256::from(777)).await.map(|_| ())).await;
}

/// What an account of L1 does with the bridge.
pub async fn bridge_of<T>(
    up: &Up,
    act: impl AsyncFnOnce(Bridge<'_>) -> Result<T, BridgeError>,
) -> T {
    let l1 = L1::connect(&up.text("/l1/http"), None).await.unwrap();
    let key: alloy_signer_local::PrivateKeySigner = up.text("/accounts/3/key").parse().unwrap();
    let wallet = L1Wallet::new(l1, key);
    let ecosystem = serde_json::from_value(up.ready["contracts"].clone()).unwrap();
    let chain_id = up.ready["l2"]["chain_id"].as_u64().unwrap();
    let bridge = Bridge::new(&wallet, &ecosystem, chain_id, up.address("/chain/address"));
    act(bridge).await.unwrap()
}
