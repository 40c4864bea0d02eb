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

fn open(dir: &std::path::Path, input: &[u8]) -> Result<Job, WorkError> {
    let limits = ShardLimits { cycles: 400, ..Default::default() };
    Job::with_key(dir, key(), input, limits, 1 << 20)
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
    std::fs::write(dir.path().join("job"), [0; 7]).unwrap();
    assert!(matches!(open(dir.path(), &[]), Err(WorkError::OtherJob(_))));
}

#[test]
fn an_unwritable_directory_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, []).unwrap();
    assert!(matches!(open(&file, &[]), Err(WorkError::Io { .. })));
}
