//! `cairn demo`, and errors that a person should understand.

use serde_json::Value;

use crate::world::cairn;

#[test]
fn the_demo_finalizes_everything_and_says_so() {
    let output = cairn().args(["demo", "--json"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let summary = lines.last().unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!(summary["ok"], true);
    assert_eq!(summary["l1"], "embedded");
    for batch in summary["batches"].as_array().unwrap() {
        assert_eq!(batch["status"], "finalized");
        for tx in ["commit_tx", "prove_tx", "execute_tx"] {
            assert!(batch[tx].as_str().is_some_and(|h| h.len() == 66), "{batch}");
        }
        assert_eq!(batch["proof"]["verified"], true, "{batch}");
        assert!(batch["proof"]["proven_bits"].as_f64().unwrap() >= 100.0);
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
