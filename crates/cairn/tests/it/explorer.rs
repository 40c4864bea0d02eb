//! The explorer's HTTP side and `ots_`, against the real binary. What a person sees is tested in a browser (`cargo xtask browser`).

use alloy_primitives::{Address, B256, U256, hex};
use cairn_settlement::bindings::{Erc20, L2BaseToken};
use cairn_settlement::{
    artifacts::artifact,
    l1::{L1Wallet, Send},
};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::world::{Up, ask, pay, until};

async fn get(up: &Up, path: &str) -> Value {
    let url = format!("{}/api{path}", up.text("/explorer"));
    let answer = Client::new().get(url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.json().await.unwrap()
}

async fn raw(up: &Up, path: &str) -> Response {
    Client::new().get(format!("{}{path}", up.text("/explorer"))).send().await.unwrap()
}

/// The index follows within moments; until it does, `look` is asked again.
async fn indexed(up: &Up, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
    until(path, || async {
        let answer = get(up, path).await;
        holds(&answer).then_some(answer)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_explorer_shows_the_chain_and_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut up = Up::start(dir.path(), None);
    let wallet = up.wallet(2).await;
    let friend = Address::repeat_byte(0x61);
    let paid = pay(&wallet, friend, 5).await;

    // An ERC-20 whose name is markup, made by a transaction, with a transfer.
    let name = "<img src=x onerror=alert(1)>";
    let token = artifact("TestERC20").unwrap();
    let arguments = alloy_sol_types::SolValue::abi_encode_params(&(
        name,
        "X",
        alloy_primitives::U256::from(18),
    ));
    let data = [&token.bytecode[..], &arguments[..]].concat().into();
    let made = wallet.send(Send { what: "token".into(), data, ..Send::default() }).await.unwrap();
    let token = made.contract_address.unwrap();
    let mint = Erc20::mintCall { to: friend, amount: U256::from(7) };
    let minted = wallet.send(Send::call("mint", token, mint)).await.unwrap();
    let call = L2BaseToken::withdrawCall { l1Receiver: friend };
    let send = Send::call("withdrawal", cairn_primitives::address::BASE_TOKEN, call);
    let withdrawn = wallet.send(send.value(U256::from(9))).await.unwrap();

    // JSON keeps the name as it is; it is served as JSON that nobody sniffs.
    let shown = indexed(&up, &format!("/address/{friend}/transfers"), |v| v["total"] == 1).await;
    assert_eq!(shown["rows"][0]["meta"]["name"], name);
    assert_eq!(shown["rows"][0]["hash"], json!(minted.transaction_hash));
    assert_eq!(shown["rows"][0]["amount"], "7");
    let tokens = get(&up, &format!("/address/{friend}/tokens")).await;
    assert_eq!(tokens["rows"][0]["balance"], "7");
    let tx = get(&up, &format!("/tx/{paid}")).await;
    assert_eq!((&tx["value"], &tx["ok"], &tx["type"]), (&json!("5"), &json!(true), &json!(2)));
    let call = get(&up, &format!("/tx/{}", minted.transaction_hash)).await;
    assert_eq!(call["call"]["name"], "mint");
    assert_eq!(call["logs"][0]["event"]["name"], "Transfer");
    let trace = get(&up, &format!("/tx/{}/trace", minted.transaction_hash)).await;
    assert_eq!(trace["calls"][0]["to"], json!(token));
    let page = get(&up, &format!("/address/{token}")).await;
    assert_eq!(page["code"]["creator"], json!(wallet.address()));
    let txs = indexed(&up, &format!("/address/{friend}/txs"), |v| v["total"] == 3).await;
    assert_eq!(txs["rows"][2]["hash"], json!(paid));
    let found = get(&up, &format!("/search?q={paid}")).await;
    assert_eq!(found["results"][0]["path"], format!("/tx/{paid}"));

    // The withdrawal becomes ready, and its batch has its L1 transactions.
    let path = format!("/withdrawals?address={friend}");
    let ready = indexed(&up, &path, |v| v["rows"][0]["state"] == "ready").await;
    assert_eq!(ready["rows"][0]["hash"], json!(withdrawn.transaction_hash));
    let batch = get(&up, &format!("/batch/{}", ready["rows"][0]["batch"])).await;
    assert_eq!(batch["status"], "finalized");
    let commit = batch["commit"]["hash"].as_str().unwrap();
    let on_l1 = get(&up, &format!("/l1/tx/{commit}")).await;
    assert_eq!((&on_l1["status"], &on_l1["call"]["name"]), (&json!(true), &json!("commitBatches")));
    let deposits = get(&up, "/deposits").await;
    assert_eq!(deposits["total"], 10, "the development accounts' own deposits");
    let named = indexed(&up, "/deposits", |v| v["rows"][9]["l1Tx"].is_string()).await;
    assert_eq!(named["rows"].as_array().unwrap().len(), 10);

    let (through, paid_within) = internal_calls(&up, &wallet).await;
    otterscan(&up, friend, token, wallet.address()).await;
    refusals(&up, wallet.address()).await;

    // A kill takes nothing from the index that does not come back.
    let before = get(&up, &format!("/address/{friend}/txs")).await;
    up.process.kill();
    up = Up::start(dir.path(), None);
    let after = indexed(&up, &format!("/address/{friend}/txs"), |v| v["total"] == 3).await;
    let hashes = |v: &Value| -> Vec<Value> {
        v["rows"].as_array().unwrap().iter().map(|r| r["hash"].clone()).collect()
    };
    assert_eq!(hashes(&after), hashes(&before));
    let path = format!("/address/{paid_within}/internal");
    assert_eq!(hashes(&indexed(&up, &path, |v| v["total"] == 1).await), [json!(through)]);
}

/// A contract passes what it receives on and makes another contract: the index, its pages and `ots_` tell the same of it. Answers the transaction, and
/// who was paid.
async fn internal_calls(up: &Up, wallet: &L1Wallet) -> (B256, Address) {
    // Calls the address in its calldata with the value that it got, then creates a contract without code.
    const PASS_ON: &[u8] = &hex!(
        "60188060095f395ff3" "6000600060006000346000355af150600060006000f05000"
    );
    let send = Send { what: "passing on".into(), data: PASS_ON.into(), ..Send::default() };
    let contract = wallet.send(send).await.unwrap().contract_address.unwrap();
    let receiver = Address::repeat_byte(0x62);
    let send = Send {
        what: "pass on".into(),
        to: Some(contract),
        data: receiver.into_word().0.into(),
        value: U256::from(5),
        ..Send::default()
    };
    let hash = wallet.send(send).await.unwrap().transaction_hash;

    // The receiver is in no transaction but within this one, and has no code.
    let path = format!("/address/{receiver}/internal");
    let page = indexed(up, &path, |v| v["total"] == 1).await;
    let row = &page["rows"][0];
    assert_eq!((&row["kind"], &row["value"]), (&json!("call"), &json!("5")));
    assert_eq!((&row["hash"], &row["from"]), (&json!(hash), &json!(contract)));
    let txs = get(up, &format!("/address/{receiver}/txs")).await;
    assert_eq!((&txs["total"], &txs["rows"][0]["roles"]), (&json!(1), &json!(["internal"])));
    assert_eq!(get(up, &format!("/address/{receiver}")).await["internal"], 1);
    assert_eq!(get(up, &format!("/tx/{hash}")).await["internal"], 2);

    // Page by page, they are what Otterscan is told.
    let l2 = up.l2().await;
    let first = get(up, &format!("/tx/{hash}/internal?limit=1")).await;
    let next = first["next"].as_str().unwrap();
    let second = get(up, &format!("/tx/{hash}/internal?limit=1&before={next}")).await;
    assert!(second["next"].is_null());
    let told = ask(&l2, "ots_getInternalOperations", json!([hash])).await;
    let types = json!({ "call": 0, "create": 2 });
    for (i, page) in [first, second].iter().enumerate() {
        let (row, told) = (&page["rows"][0], &told[i]);
        assert_eq!(types[row["kind"].as_str().unwrap()], told["type"]);
        assert_eq!((&row["from"], &row["to"]), (&told["from"], &told["to"]));
    }
    assert_eq!(told.as_array().unwrap().len(), 2);
    let found = ask(&l2, "ots_searchTransactionsBefore", json!([receiver, 0, 25])).await;
    assert_eq!(found["txs"][0]["hash"], json!(hash));
    (hash, receiver)
}

async fn otterscan(up: &Up, friend: Address, token: Address, sender: Address) {
    let l2 = up.l2().await;
    assert_eq!(ask(&l2, "ots_getApiLevel", json!([])).await, 8);
    assert_eq!(ask(&l2, "ots_hasCode", json!([token, "latest"])).await, true);
    assert_eq!(ask(&l2, "ots_hasCode", json!([friend, "latest"])).await, false);
    let creator = ask(&l2, "ots_getContractCreator", json!([token])).await;
    assert_eq!(creator["creator"], json!(sender));
    assert!(ask(&l2, "ots_getContractCreator", json!([friend])).await.is_null());
    // The account's first transaction was the payment.
    let all = ask(&l2, "ots_searchTransactionsBefore", json!([friend, 0, 25])).await;
    let list = all["txs"].as_array().unwrap();
    assert_eq!((list.len(), &all["firstPage"], &all["lastPage"]), (3, &json!(true), &json!(true)));
    assert_eq!(all["receipts"].as_array().unwrap().len(), 3);
    assert!(list[1]["input"].as_str().unwrap().len() <= 10, "the input is cut to its selector");
    let paid = &list[2]["hash"];
    let by_nonce = ask(&l2, "ots_getTransactionBySenderAndNonce", json!([sender, 0])).await;
    assert_eq!(&by_nonce, paid);
    let none = ask(&l2, "ots_getTransactionBySenderAndNonce", json!([sender, 99])).await;
    assert!(none.is_null());
    let first = list[2]["blockNumber"].clone();
    let later = ask(&l2, "ots_searchTransactionsAfter", json!([friend, first, 25])).await;
    assert!(later["txs"].as_array().unwrap().iter().all(|t| t["blockNumber"] != first));
    let one = ask(&l2, "ots_searchTransactionsBefore", json!([friend, 0, 1])).await;
    assert_eq!(one["lastPage"], one["txs"].as_array().unwrap().len() == 3);
    let details = ask(&l2, "ots_getBlockDetails", json!([first])).await;
    assert!(details["block"]["transactionCount"].as_u64().unwrap() >= 1);
    assert!(details["totalFees"].is_string());
    let page = ask(&l2, "ots_getBlockTransactions", json!([first, 0, 10])).await;
    assert_eq!(page["fullblock"]["transactions"][0]["blockNumber"], first);
    assert!(page["receipts"][0]["logs"].is_null());
    let trace = ask(&l2, "ots_traceTransaction", json!([list[1]["hash"]])).await;
    assert_eq!((&trace[0]["type"], &trace[0]["depth"]), (&json!("CALL"), &json!(0)));
    assert_eq!(ask(&l2, "ots_getInternalOperations", json!([paid])).await, json!([]));
    assert_eq!(ask(&l2, "ots_getTransactionError", json!([paid])).await, "0x");
}

async fn refusals(up: &Up, account: Address) {
    // Pages and data come with the policy that keeps foreign code out, and files are typed.
    for path in ["/", "/tx/0x12", "/assets/app.js", "/api/info"] {
        let answer = raw(up, path).await;
        let headers = answer.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
    }
    for (path, status) in [
        ("/assets/nothing.js", 404),
        ("/assets/../Cargo.toml", 200), // the client resolves it to a page of the application
        ("/api/tx/0x12", 400),
        ("/api/tx/0x1212121212121212121212121212121212121212121212121212121212121212", 404),
        ("/api/block/999999999", 404),
        ("/api/block/zzz", 404),
        ("/api/batch/-1", 400),
        ("/api/address/0x12", 400),
        ("/api/txs?before=x", 400),
        ("/api/blocks?before=0", 200),
        ("/api/txs?limit=1000000", 200),
        ("/api/search?q=", 400),
        ("/api/nothing", 404),
    ] {
        assert_eq!(raw(up, path).await.status().as_u16(), status, "{path}");
    }
    // Development accounts sign for the page itself and for nobody else.
    let site = up.text("/explorer");
    let wish = json!({ "layer": "l2", "from": account, "to": account, "value": "0x1" });
    let send = |origin: Option<&str>, kind: &str| {
        let mut request = Client::new().post(format!("{site}/api/dev/send"));
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        request.header("content-type", kind).body(wish.to_string()).send()
    };
    let json = "application/json";
    assert_eq!(send(Some("https://evil.example"), json).await.unwrap().status(), 403);
    assert_eq!(send(Some("null"), json).await.unwrap().status(), 403);
    assert_eq!(send(Some(&site), "text/plain").await.unwrap().status(), 415);
    assert_eq!(send(Some(&site), json).await.unwrap().status(), 200);
}
