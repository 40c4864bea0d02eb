//! `cairn demo`, and errors that a person should understand.

use serde_json::Value;

use crate::world::cairn;

/// Runs the demo; all its lines.
fn demo(options: &[&str]) -> Vec<Value> {
    let output = cairn().args(["demo", "--json"]).args(options).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
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
    // Every batch passed through all its states, in order.
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
#[test]
fn the_demo_finalizes_everything_by_validity_proofs() {
    let lines = demo(&[]);
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
}

/// Attesters instead, by the option of the same meaning: quick, and never called a proof.
#[test]
fn the_demo_without_proofs_says_that_batches_are_attested() {
    let lines = demo(&["--no-prove"]);
    let summary = check(&lines);
    assert_eq!(summary["verifier"], "attesters");
    for batch in summary["batches"].as_array().unwrap() {
        assert_eq!(batch["verifier"], "attesters");
        assert!(batch["proven_bits"].is_null() && batch["prove_seconds"].is_null(), "{batch}");
        assert_eq!(batch["proof_bytes"], 65);
    }
}

#[test]
fn an_unreachable_l1_is_a_clear_error() {
    let output = cairn().args(["demo", "--json", "--l1", "http://127.0.0.1:9"]).output().unwrap();
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("does not answer"), "{errors}");
}

#[test]
fn doctor_finds_a_damaged_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("network.json"), "{").unwrap();
    let output = cairn()
        .args(["doctor", "--json", "--ports", "0", "--data-dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("not a network record"), "{text}");
}
