//! `cairn doctor` on a network that is well, and on what is not. (What a start refuses as well is in `starts`.)

use std::{net::TcpListener, path::Path};

use serde_json::Value;

use crate::world::{Up, cairn, free_port, start_l1_with};

/// Everything that the doctor finds, and whether all of it is well by the exit code.
pub fn doctor(dir: &Path, options: &[&str]) -> (bool, Vec<Value>) {
    let output = cairn()
        .args(["doctor", "--json", "--ports", "0", "--data-dir"])
        .arg(dir)
        .args(options)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let findings = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    (output.status.code() == Some(0), findings)
}

/// The one finding of a check that is not well has these words.
pub fn finds(dir: &Path, options: &[&str], check: &str, words: &str) {
    let (well, findings) = doctor(dir, options);
    assert!(!well, "{findings:?}");
    let bad: Vec<_> = findings.iter().filter(|f| f["ok"] == false).collect();
    let found = bad.len() == 1
        && bad[0]["check"] == check
        && bad[0]["detail"].as_str().is_some_and(|d| d.contains(words));
    assert!(found, "{words} {findings:?}");
}

fn has(findings: &[Value], words: &str) {
    let found = |f: &Value| f["ok"] == true && f["detail"].as_str().unwrap().contains(words);
    assert!(findings.iter().any(found), "{words} {findings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_well_and_what_is_around_it() {
    let dir = tempfile::tempdir().unwrap();
    let (well, findings) = doctor(&dir.path().join("none"), &[]);
    assert!(well, "{findings:?}");
    has(&findings, "does not exist yet");

    let data = dir.path().join("data");
    let mut up = Up::start(&data, None);
    finds(&data, &[], "chain", "a node runs on");
    up.process.kill();
    let (well, findings) = doctor(&data, &[]);
    assert!(well, "{findings:?}");
    for words in ["holds chain 271, version 2", "its blocks are of format 2"] {
        has(&findings, words);
    }
    for words in ["MiB free", "is free", "is chain 31337", "it holds the data directory's chain"] {
        has(&findings, words);
    }

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = cairn().args(["doctor", "--ports", &port, "--data-dir"]).arg(&data).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let line = text.lines().find(|l| l.starts_with("FAIL port")).unwrap();
    assert!(line.contains(&format!("127.0.0.1:{port} is in use by another program")), "{line}");

    let nobody = format!("http://127.0.0.1:{}", free_port());
    finds(&data, &["--l1", &nobody], "l1", "does not answer");
    let options = ["--chain-id", "1337"];
    let (_l1, l1) = start_l1_with(&dir.path().join("l1"), free_port(), &options).await;
    let words = "L1 has chain id 1337, not 31337: this node was set up for another L1";
    finds(&data, &["--l1", l1.url()], "l1", words);
}

#[test]
fn a_damaged_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("network.json"), "{").unwrap();
    finds(dir.path(), &[], "data", "not a network record");
}
