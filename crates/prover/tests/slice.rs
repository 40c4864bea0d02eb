//! Real guest programs through the executor, the traces, the prover and the verifier.

use cairn_prover::check::check;
use cairn_prover::config::{PARAMS, Params};
use cairn_prover::program::Program;
use cairn_prover::run::Run;
use cairn_prover::shard::{ProvingKey, traces, verify_shard_with};
use cairn_prover::trace::ShardLimits;
use cairn_vm::{Input, ProgramImage};
use std::sync::Arc;

const FAST: Params = Params {
    num_queries: 8,
    lookup_pow: 0,
    ood_pow: 0,
    batch_pow: 0,
    commit_pow: 0,
    query_pow: 0,
    ..PARAMS
};

fn guest(name: &str) -> Arc<Program> {
    let path = format!("{}/../../guest/elf/{name}.elf.zst", env!("CARGO_MANIFEST_DIR"));
    let elf = zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap();
    Arc::new(Program::new(ProgramImage::from_elf(&elf).unwrap()).unwrap())
}

fn run(name: &str, input: &[u8], cycles: u32) -> Run {
    let limits = ShardLimits { cycles, ..Default::default() };
    Run::new(guest(name), Input::from_bytes(input).unwrap(), limits, 1 << 30).unwrap()
}

#[test]
fn honest_traces_satisfy_every_constraint_and_balance() {
    let run = run("fib", &1u32.to_le_bytes(), 4000);
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
    let run = run("fib", &1u32.to_le_bytes(), 1 << 20);
    let key = ProvingKey::with_params(run.program.clone(), FAST).unwrap();
    let mut tree = run.tree_at(0).unwrap();
    assert_eq!(tree.root(), key.vk.initial_root);
    let shard = run.prepare(0, &mut tree).unwrap();
    let instances = traces(&run.program, &shard.record, &shard.nodes, &shard.statement);
    let proof = key.prove(shard.statement, instances).unwrap();
    verify_shard_with(&key.vk, &proof, &FAST).unwrap();
}
