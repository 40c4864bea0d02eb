//! `cairn witness`, `cairn prove` and `cairn verify` on a batch of the real chain.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

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

    let smallest = smallest_witness(&data, dir.path());
    final_proof(dir.path(), &smallest, &proof);

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

/// The witness of the demo's batch with the least in it: a proof for L1 of it takes the least time.
fn smallest_witness(data: &Path, dir: &Path) -> PathBuf {
    let written = (1..).map_while(|number: u32| {
        let (path, number) = (dir.join(format!("batch-{number}")), number.to_string());
        let files = [("--data-dir", data), ("--out", path.as_path())];
        run(&["witness", "--number", &number], &files).status.success().then_some(path)
    });
    written.min_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap()
}

/// A batch's proof for L1, and its native twin's verdict on it and on everything that resembles it.
fn final_proof(dir: &Path, witness: &Path, of_shards: &Path) {
    let (last, work) = (dir.join("batch.final"), dir.join("final.work"));
    let files = [("--batch", witness), ("--work-dir", work.as_path()), ("--out", last.as_path())];
    let made = run(&["prove", "--json", "--final"], &files);
    assert!(made.status.success(), "{made:?}");
    let summary = last_line(&made);
    assert_eq!(summary["public_inputs"].as_array().unwrap().len(), 1, "{summary}");
    let public_input = summary["public_inputs"][0].as_str().unwrap();
    assert!(summary["proven_bits"].as_u64().unwrap() >= 100, "{summary}");
    let bytes = std::fs::read(&last).unwrap();
    assert!(bytes.len() < 128 << 10, "{summary}");

    let verify = |inputs: &[&str], more: &[&str], file: &Path| {
        let mut args = vec!["verify", "--json", "--final"];
        inputs.iter().for_each(|input| args.extend(["--public-input", *input]));
        args.extend(more);
        let output = run(&args, &[("--proof", file)]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!errors.contains("panicked"), "{errors}");
        (output.status.success(), text + &errors)
    };
    assert!(verify(&[public_input], &[], &last).0);
    let other = format!("0x{}", "11".repeat(32));
    for inputs in [&[other.as_str()][..], &[public_input, public_input], &[public_input, &other]] {
        let (valid, words) = verify(inputs, &[], &last);
        assert!(!valid, "{inputs:?}");
        assert!(words.contains("\"valid\":false"), "{words}");
    }
    assert!(!verify(&[public_input], &["--program-id", &other], &last).0, "another program");
    assert!(!verify(&[public_input], &[], of_shards).0, "proofs of shards");
    let swapped = run(&["verify", "--json", "--public-input", public_input], &[("--proof", &last)]);
    assert!(!swapped.status.success(), "a final proof for proofs of shards");
    let damaged = dir.join("damaged.final");
    let refused = |bytes: &[u8], what: &str| {
        std::fs::write(&damaged, bytes).unwrap();
        assert!(!verify(&[public_input], &[], &damaged).0, "{what}");
    };
    for at in [0, 8, 9, 50, bytes.len() / 2, bytes.len() - 1] {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        refused(&bad, &format!("byte {at}"));
    }
    refused(&bytes[..bytes.len() - 32], "cut off");
    refused(&[&bytes[..], &[0; 32]].concat(), "longer");
    refused(&[], "empty");
}
