//! The work directory: resuming, several workers, refusal of foreign and partial files.

mod common;

use cairn_prover::shard::ProvingKey;
use cairn_prover::trace::ShardLimits;
use cairn_prover::verify::{public_input_bytes, verify_with};
use cairn_prover::work::{Job, WorkError};
use common::*;
use std::ops::ControlFlow;

fn key() -> ProvingKey {
    let (body, data) = everything();
    ProvingKey::with_params(program(&body, &data), FAST).unwrap()
}

fn limits() -> ShardLimits {
    ShardLimits { cycles: 400, ..Default::default() }
}

fn open(dir: &std::path::Path, input: &[u8]) -> Result<Job, WorkError> {
    Job::with_key(dir, key(), input, limits(), 1 << 20)
}

#[test]
fn work_is_resumed_shared_and_put_together() {
    let dir = tempfile::tempdir().unwrap();
    let mut job = open(dir.path(), &[]).unwrap();
    assert!(matches!(job.finish(), Err(WorkError::Missing(0))));
    // Break off after the first shard, as a kill between shards would.
    let mut steps = 0;
    job.work(|_| {
        steps += 1;
        if steps > 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert_eq!(job.progress().done, 1);
    let first = std::fs::read(dir.path().join("shard-0.proof")).unwrap();
    drop(job);

    // A partial file and a file of another shard are not taken for proofs.
    std::fs::write(dir.path().join("shard-1.proof"), &first[..first.len() / 2]).unwrap();
    std::fs::write(dir.path().join("shard-2.proof"), &first).unwrap();
    // Another process holds shard 1.
    let held = std::fs::File::create(dir.path().join("shard-1.lock")).unwrap();
    held.lock().unwrap();
    let mut job = open(dir.path(), &[]).unwrap();
    job.work(|_| ControlFlow::Continue(())).unwrap();
    assert!(matches!(job.finish(), Err(WorkError::Missing(1))));
    assert_eq!(
        std::fs::read(dir.path().join("shard-0.proof")).unwrap(),
        first,
        "shard 0 is not proven again"
    );
    // It dies; its lock goes with it.
    drop(held);
    job.work_on(1).unwrap();
    let proof = job.finish().unwrap();
    let input = public_input_bytes(&job.run().execution.committed.unwrap());
    verify_with(&job.key().vk.program_id(), &input, &proof, &FAST).unwrap();
    let leftovers: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.contains("partial"))
        .collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

#[test]
fn a_directory_serves_one_job() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), &[]).unwrap();
    assert!(matches!(open(dir.path(), &[1]), Err(WorkError::OtherJob(_))));
    let other = ProvingKey::with_params(program(&[], &[]), FAST).unwrap();
    let of_other = Job::with_key(dir.path(), other, &[], limits(), 1 << 20);
    assert!(matches!(of_other, Err(WorkError::OtherJob(_))));
    let job = std::fs::read(dir.path().join("job")).unwrap();
    for damaged in [&[0; 7][..], &[], &job[..job.len() - 1]] {
        std::fs::write(dir.path().join("job"), damaged).unwrap();
        assert!(matches!(open(dir.path(), &[]), Err(WorkError::Damaged(_))));
    }
}

/// Not a test of its own: what the tests below run as another process, in the directory of the environment variable.
#[test]
#[ignore = "runs as a child process of other tests"]
fn worker() {
    let dir = std::env::var_os(WORK_DIR).expect("the directory");
    let mut job = open(dir.as_ref(), &[]).unwrap();
    if let Err(e) = job.work(|_| ControlFlow::Continue(())) {
        eprintln!("{REFUSED} {e}");
        std::process::exit(3);
    }
}

const WORK_DIR: &str = "CAIRN_TEST_WORK_DIR";
const REFUSED: &str = "work refused:";

/// This test program as a worker, by way of a shell that runs `setup` first.
fn worker_process(dir: &std::path::Path, setup: &str) -> std::process::Command {
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", &format!("{setup} exec \"$0\" worker --exact --ignored --nocapture")])
        .arg(std::env::current_exe().unwrap())
        .env(WORK_DIR, dir)
        .stdout(std::process::Stdio::null());
    command
}

fn files(dir: &std::path::Path, part: &str) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap();
    names
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.contains(part))
        .collect()
}

/// Two processes share a directory and are killed at any moment, again and again; what is there then is used, and the whole verifies.
#[test]
fn killed_processes_lose_at_most_the_shard_they_work_on() {
    let dir = tempfile::tempdir().unwrap();
    let job = open(dir.path(), &[]).unwrap();
    let all = job.run().shards();
    let mut state = 0x9e37_79b9u32;
    for round in 0..12 {
        let before = files(dir.path(), ".proof").len();
        let mut workers: Vec<_> = (0..2)
            .map(|_| {
                let quiet = std::process::Stdio::null();
                worker_process(dir.path(), "").stderr(quiet).spawn().unwrap()
            })
            .collect();
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        std::thread::sleep(std::time::Duration::from_millis(u64::from(state >> 22)));
        for worker in &mut workers {
            worker.kill().unwrap();
            worker.wait().unwrap();
        }
        assert!(files(dir.path(), ".proof").len() >= before, "round {round}");
    }
    let status = worker_process(dir.path(), "").status().unwrap();
    assert!(status.success());
    assert_eq!(files(dir.path(), ".proof").len(), all);
    let proof = job.finish().unwrap();
    let input = public_input_bytes(&job.run().execution.committed.unwrap());
    verify_with(&job.key().vk.program_id(), &input, &proof, &FAST).unwrap();
}

/// A disk that takes no more than a part of a proof: a clear error, and nothing that could be taken for a proof.
#[test]
fn a_full_disk_is_an_error_and_leaves_no_partial_proof() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), &[]).unwrap());
    // Ignored signals stay ignored in the new program: writing beyond the limit then fails instead of killing.
    let output = worker_process(dir.path(), "trap '' XFSZ; ulimit -f 16;").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains(REFUSED) && message.contains("shard-0.proof"), "{message}");
    assert_eq!(files(dir.path(), ".proof"), Vec::<String>::new());
    assert_eq!(files(dir.path(), "partial"), Vec::<String>::new());
    // With room again, the same directory serves.
    assert!(worker_process(dir.path(), "").status().unwrap().success());
}

#[test]
fn an_unwritable_directory_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, []).unwrap();
    assert!(matches!(open(&file, &[]), Err(WorkError::Io { .. })));
}
