//! Every accelerator through the whole pipeline: the guest `accel-test` in the executor, its traces (constraints and the balance of all buses), a proof.

use cairn_prover::check::check;
use cairn_prover::chips::Chip;
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

fn run() -> Run {
    let path = format!("{}/../../guest/elf/accel-test.elf.zst", env!("CARGO_MANIFEST_DIR"));
    let elf = zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap();
    let program = Arc::new(Program::new(ProgramImage::from_elf(&elf).unwrap()).unwrap());
    let limits = ShardLimits { cycles: 1 << 20, ..Default::default() };
    Run::new(program, Input::from_bytes(&1u32.to_le_bytes()).unwrap(), limits, 1 << 30).unwrap()
}

#[test]
fn every_accelerator_is_proven() {
    let run = run();
    let mut key = ProvingKey::with_params(run.program.clone(), FAST).unwrap();
    let mut tree = run.tree_at(0).unwrap();
    let mut served = Vec::new();
    for index in 0..run.shards() {
        let shard = run.prepare(index, &mut tree).unwrap();
        let instances = traces(&run.program, &shard.record, &shard.nodes, &shard.statement);
        check(&instances).unwrap();
        for instance in &instances {
            if let Chip::Accel(accel) = &instance.chip {
                served.push(accel.name());
            }
        }
        let proof = key.prove(shard.statement, instances).unwrap();
        verify_shard_with(&key.vk, &proof, &FAST).unwrap();
    }
    for accel in cairn_prover::chips::accel::AccelAir::all() {
        assert!(served.contains(&accel.name()), "{} is not covered", accel.name());
    }
}
