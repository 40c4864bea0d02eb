//! Real guest programs through the executor, the traces, the prover and the verifier.

mod common;

use cairn_prover::check::check;
use cairn_prover::shard::{ProvingKey, traces, verify_shard_with};
use common::*;

#[test]
fn honest_traces_satisfy_every_constraint_and_balance() {
    let run = run(guest("fib"), &1u32.to_le_bytes(), 4000);
    let mut tree = run.tree_at(0).unwrap();
    for index in 0..run.shards() {
        let shard = run.prepare(index, &mut tree).unwrap();
        if index + 1 < run.shards() {
            assert_eq!(tree.root(), run.tree_at(index + 1).unwrap().root());
        }
        let instances = traces(&run.program, &shard.record, &shard.nodes, &shard.statement);
        if let Err(e) = check(&instances) {
            panic!("shard {index}: {e}");
        }
    }
}

#[test]
fn a_shard_proves_and_verifies() {
    let run = run(guest("fib"), &1u32.to_le_bytes(), 1 << 20);
    let key = ProvingKey::with_params(run.program.clone(), FAST).unwrap();
    let mut tree = run.tree_at(0).unwrap();
    assert_eq!(tree.root(), key.vk.initial_root);
    let shard = run.prepare(0, &mut tree).unwrap();
    let instances = traces(&run.program, &shard.record, &shard.nodes, &shard.statement);
    let proof = key.prove(shard.statement, instances).unwrap();
    verify_shard_with(&key.vk, &proof, &FAST).unwrap();
}
