//! `cairn witness`, `cairn prove` and `cairn verify` on a batch of the real chain.

use std::{path::Path, process::Output};

use serde_json::Value;

use crate::world::cairn;

fn run(args: &[&str], files: &[(&str, &Path)]) -> Output {
    let mut command = cairn();
    command.args(args);
    for (option, path) in files {
        command.arg(option).arg(path);
    }
    command.output().unwrap()
}

fn last_line(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_else(|| panic!("{output:?}"));
    serde_json::from_str(line).unwrap()
}

/// One batch of the demo: its proof is made once, resumed after a kill, accepted for its public input and refused for everything else.
#[test]
fn a_batch_of_the_chain_is_proven_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let (data, witness) = (dir.path().join("data"), dir.path().join("batch"));
    let (proof, work) = (dir.path().join("batch.proof"), dir.path().join("batch.work"));
    let demo = run(&["demo", "--json", "--no-prove"], &[("--data-dir", &data)]);
    assert!(demo.status.success(), "{demo:?}");
    let output = run(&["witness", "--number", "1"], &[("--data-dir", &data), ("--out", &witness)]);
    assert!(output.status.success(), "{output:?}");

    // Killed once the first shard is there; what is done stays done.
    let mut command = cairn();
    command.args(["prove", "--json", "--batch"]).arg(&witness);
    let mut first = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    while !work.join("shard-0.proof").exists() {
        assert!(first.try_wait().unwrap().is_none(), "it ended before the first shard");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let kept = std::fs::metadata(work.join("shard-0.proof")).unwrap().modified().unwrap();
    let proven = run(&["prove", "--json"], &[("--batch", &witness)]);
    assert!(proven.status.success(), "{proven:?}");
    let summary = last_line(&proven);
    assert_eq!(summary["complete"], true);
    let again = std::fs::metadata(work.join("shard-0.proof")).unwrap().modified().unwrap();
    assert_eq!(kept, again, "the first shard was proven twice");

    let public_input = summary["public_input"].as_str().unwrap().to_owned();
    let verify = |input: &str, program: Option<&str>, file: &Path| {
        let mut args = vec!["verify", "--json", "--public-input", input];
        if let Some(program) = program {
            args.extend(["--program-id", program]);
        }
        let output = run(&args, &[("--proof", file)]);
        output.status.success()
    };
    assert!(verify(&public_input, None, &proof));
    let other = format!("0x{}", "11".repeat(32));
    assert!(!verify(&other, None, &proof), "another public input");
    assert!(!verify(&public_input, Some(&other), &proof), "another program");
    let mut bytes = std::fs::read(&proof).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = dir.path().join("damaged");
    std::fs::write(&damaged, &bytes).unwrap();
    assert!(!verify(&public_input, None, &damaged), "a damaged proof");
    std::fs::write(&damaged, &bytes[..middle]).unwrap();
    assert!(!verify(&public_input, None, &damaged), "half a proof");

    // A witness that lies about the state is refused with its reason, before any proving.
    let mut lie = std::fs::read(&witness).unwrap();
    let middle = lie.len() / 3;
    lie[middle] ^= 1;
    let liar = dir.path().join("liar");
    std::fs::write(&liar, &lie).unwrap();
    let refused = run(&["prove", "--json"], &[("--batch", &liar)]);
    assert!(!refused.status.success());
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(errors.contains("is no valid batch"), "{errors}");
}
