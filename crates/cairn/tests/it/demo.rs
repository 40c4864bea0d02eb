//! `cairn demo`, and errors that a person should understand.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Output, Stdio},
};

use alloy_primitives::{Address, U256};
use cairn_settlement::{
    bindings::{Bridgehub, L1AssetRouter},
    l1::L1,
};
use serde_json::{Value, json};

use crate::world::{Process, ask, cairn, free_port, start_l1};

/// Runs the demo; all its lines.
fn demo(options: &[&str]) -> Vec<Value> {
    let output = cairn().args(["demo", "--json"]).args(options).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// Starts the L1 that a demo left in its data directory, and looks there at every batch's three transactions: they succeeded on the chain's contract, one after
/// the other, and are those that the timeline told of.
async fn check_on_l1(data_dir: &Path, lines: &[Value]) {
    let (_process, l1) = start_l1(&data_dir.join("l1"), free_port()).await;
    let chain = &event(lines, "started")["chain"];
    let mut checked = 0;
    for batch in lines.last().unwrap()["batches"].as_array().unwrap() {
        let mut before = U256::ZERO;
        let steps =
            [("commit_tx", "committed"), ("prove_tx", "proven"), ("execute_tx", "finalized")];
        for (field, status) in steps {
            let receipt = ask(&l1, "eth_getTransactionReceipt", json!([batch[field]])).await;
            assert_eq!(receipt["status"], "0x1", "{field} of {batch}: {receipt}");
            let to: Address = serde_json::from_value(receipt["to"].clone()).unwrap();
            assert_eq!(to, serde_json::from_value::<Address>(chain.clone()).unwrap(), "{receipt}");
            let block: U256 = serde_json::from_value(receipt["blockNumber"].clone()).unwrap();
            assert!(block > before, "{field} of {batch} is in block {block}, not after {before}");
            before = block;
            let told = |l: &&Value| l["number"] == batch["number"] && l["status"] == status;
            assert_eq!(lines.iter().find(told).unwrap()["l1_tx"], batch[field]);
            checked += 1;
        }
    }
    assert!(checked >= 3, "there is a batch");
}

/// The first event of a name.
fn event<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    lines.iter().find(|l| l["event"] == name).unwrap()
}

/// The summary of a demo that fails.
fn failure(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let summary: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!(summary["ok"], false);
    summary
}

/// What is true whatever makes batches final.
fn check(lines: &[Value]) -> &Value {
    let summary = lines.last().unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!(summary["ok"], true);
    assert_eq!(summary["l1"], "embedded");
    for batch in summary["batches"].as_array().unwrap() {
        assert_eq!(batch["status"], "finalized");
        for tx in ["commit_tx", "prove_tx", "execute_tx"] {
            assert!(batch[tx].as_str().is_some_and(|h| h.len() == 66), "{batch}");
        }
    }
    for kind in ["deposits", "withdrawals"] {
        let items = summary[kind].as_array().unwrap();
        assert_eq!(items.len(), 2);
        assert!(items.iter().all(|i| i["status"] == "finalized"), "{items:?}");
    }
    // After each step every balance was compared.
    let steps: Vec<_> = lines.iter().filter(|l| l["event"] == "books").collect();
    assert_eq!(steps.len(), 5, "{steps:?}");
    assert!(steps.iter().all(|s| s["balances"] == 13), "{steps:?}");
    // Every batch was seen in all its states, in order.
    for number in 1..=summary["batches"].as_array().unwrap().len() as u64 {
        let states: Vec<_> = lines
            .iter()
            .filter(|l| l["event"] == "batch" && l["number"] == number)
            .map(|l| l["status"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(states, ["pending", "processed", "committed", "proven", "finalized"]);
    }
    summary
}

/// The default: every batch is final because the contract on L1 verified its proof.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_finalizes_everything_by_validity_proofs() {
    let dir = tempfile::tempdir().unwrap();
    let lines = demo(&["--data-dir", dir.path().to_str().unwrap()]);
    let summary = check(&lines);
    assert_eq!(summary["verifier"], "proof");
    for batch in summary["batches"].as_array().unwrap() {
        assert_eq!(batch["verifier"], "proof");
        assert!(batch["prove_seconds"].as_f64().unwrap() > 0.0);
        assert!(batch["cycles"].as_u64().unwrap() > 100_000, "{batch}");
        // What a transaction carries, and what the issue allows.
        let bytes = batch["proof_bytes"].as_u64().unwrap();
        assert!((64 << 10..128 << 10).contains(&bytes), "{batch}");
        assert!(batch["verify_gas"].as_u64().unwrap() > 1_000_000, "{batch}");
        assert!(batch["verify_gas"].as_u64().unwrap() < 1 << 24, "{batch}");
        assert!(batch["proven_bits"].as_u64().unwrap() >= 100, "{batch}");
    }
    let twins: Vec<_> = lines.iter().filter(|l| l["event"] == "proof").collect();
    assert!(!twins.is_empty() && twins.iter().all(|l| l["verified"] == true));
    check_on_l1(dir.path(), &lines).await;
}

/// Attesters instead, by the option of the same meaning: quick, and never called a proof.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_without_proofs_says_that_batches_are_attested() {
    let dir = tempfile::tempdir().unwrap();
    let lines =
        demo(&["--no-prove", "--da", "calldata", "--data-dir", dir.path().to_str().unwrap()]);
    let summary = check(&lines);
    assert_eq!(summary["verifier"], "attesters");
    for batch in summary["batches"].as_array().unwrap() {
        assert_eq!(batch["verifier"], "attesters");
        assert!(batch["proven_bits"].is_null() && batch["prove_seconds"].is_null(), "{batch}");
        assert_eq!(batch["proof_bytes"], 65);
    }
    assert_eq!(summary["da"], "calldata");
    check_on_l1(dir.path(), &lines).await;
}

/// One wei that nobody can account for ends the demo.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_wei_fails_the_demo() {
    let dir = tempfile::tempdir().unwrap();
    let (_l1, l1) = start_l1(dir.path(), free_port()).await;
    let mut command = cairn();
    command.args(["demo", "--json", "--no-prove", "--l1", l1.url()]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut demo = Process(child);
    let mut lines = Vec::new();
    for line in BufReader::new(demo.0.stdout.take().unwrap()).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let deposited = line["event"] == "deposit" && line["token"] == "ETH";
        lines.push(line);
        if deposited {
            let hub = event(&lines, "started")["bridgehub"].clone();
            give_a_wei(&l1, vault(&l1, serde_json::from_value(hub).unwrap()).await).await;
        }
    }
    assert_eq!(demo.0.wait().unwrap().code(), Some(1));
    let summary = lines.last().unwrap();
    assert_eq!((&summary["event"], &summary["ok"]), (&json!("summary"), &json!(false)));
    let error = summary["error"].as_str().unwrap();
    assert!(error.contains("the vault's ETH on L1 must be"), "{error}");
}

async fn vault(l1: &L1, hub: Address) -> Address {
    let router = l1.call(hub, Bridgehub::assetRouterCall {}).await.unwrap();
    l1.call(router, L1AssetRouter::nativeTokenVaultCall {}).await.unwrap()
}

async fn give_a_wei(l1: &L1, to: Address) {
    let more = l1.balance(to).await.unwrap() + U256::ONE;
    ask(l1, "anvil_setBalance", json!([to, more])).await;
}

/// Whatever fails, a program finds a summary in the last line.
#[test]
fn a_demo_that_does_not_start_ends_with_a_summary() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let output = cairn().args(["demo", "--json", "--l1", &nobody]).output().unwrap();
    let summary = failure(&output);
    assert_eq!(summary["l1"], nobody.as_str());
    assert!(summary["error"].as_str().unwrap().contains("does not answer"), "{summary}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("does not answer"), "{errors}");

    let file = tempfile::NamedTempFile::new().unwrap();
    let output = cairn().args(["demo", "--json", "--data-dir"]).arg(file.path()).output().unwrap();
    let summary = failure(&output);
    let path = file.path().display().to_string();
    assert!(summary["error"].as_str().unwrap().contains(&path), "{summary}");
}
