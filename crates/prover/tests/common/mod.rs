//! Programs for the tests: guests from the repository, and small ones written as instructions.
#![allow(dead_code, unused_imports)] // each test binary uses its own part

use cairn_prover::check::{CheckError, Instance, check};
use cairn_prover::config::{PARAMS, Params};
use cairn_prover::program::Program;
use cairn_prover::run::{PreparedShard, Run, RunError};
pub use cairn_prover::selftest::*;
use cairn_prover::shard::{ProvingKey, traces};
use cairn_prover::trace::ShardLimits;
use cairn_prover::verify::ExecutionProof;
use cairn_vm::{Input, Instr, ProgramImage};
use std::sync::Arc;

/// Parameters for quick proofs: sound structure, few queries.
pub const FAST: Params = Params {
    num_queries: 8,
    lookup_pow: 0,
    ood_pow: 0,
    batch_pow: 0,
    commit_pow: 0,
    query_pow: 0,
    ..PARAMS
};

/// A guest program of the repository.
pub fn guest(name: &str) -> Arc<Program> {
    let path = format!("{}/../../guest/elf/{name}.elf.zst", env!("CARGO_MANIFEST_DIR"));
    let elf = zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap();
    Arc::new(Program::new(ProgramImage::from_elf(&elf).unwrap()).unwrap())
}

pub fn program(body: &[Instr], data: &[u32]) -> Arc<Program> {
    Arc::new(Program::new(image(body, data)).unwrap())
}

pub fn all_program() -> Arc<Program> {
    Arc::new(Program::new(all()).unwrap())
}

pub fn try_run(program: Arc<Program>, input: &[u8], cycles: u32) -> Result<Run, RunError> {
    let limits = ShardLimits { cycles, ..Default::default() };
    Run::new(program, Input::from_bytes(input).unwrap(), limits, 1 << 30)
}

pub fn run(program: Arc<Program>, input: &[u8], cycles: u32) -> Run {
    try_run(program, input, cycles).unwrap()
}

/// Every shard of a run.
pub fn shards(run: &Run) -> Vec<PreparedShard> {
    let mut tree = run.tree_at(0).unwrap();
    (0..run.shards()).map(|index| run.prepare(index, &mut tree).unwrap()).collect()
}

/// The traces of every shard of a run.
pub fn all_traces(run: &Run) -> Vec<Vec<Instance>> {
    shards(run).iter().map(|s| traces(&run.program, &s.record, &s.nodes, &s.statement)).collect()
}

/// Runs a small program in one shard and checks its traces.
pub fn check_body(body: &[Instr], data: &[u32]) -> Result<Vec<Instance>, CheckError> {
    let run = run(program(body, data), &[], 1 << 20);
    let instances = all_traces(&run).remove(0);
    check(&instances).map(|()| instances)
}

/// Proves a run with [`FAST`] parameters.
pub fn prove(run: &Run) -> ExecutionProof {
    let key = ProvingKey::with_params(run.program.clone(), FAST).unwrap();
    let shards = shards(run)
        .into_iter()
        .map(|s| {
            let instances = traces(&run.program, &s.record, &s.nodes, &s.statement);
            key.prove(s.statement, instances).unwrap()
        })
        .collect();
    ExecutionProof { vk: key.vk.clone(), shards }
}
