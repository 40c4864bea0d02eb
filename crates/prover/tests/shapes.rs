//! Runs that are cut for recursion: every shard fits an allowed shape.

use cairn_prover::program::Program;
use cairn_prover::run::Run;
use cairn_prover::shape::{ShapeError, ShardShape};
use cairn_prover::shard::traces;
use cairn_prover::trace::ShardLimits;
use cairn_vm::{Input, ProgramImage};
use std::sync::Arc;

fn program(name: &str) -> Arc<Program> {
    let path = format!("{}/../../guest/elf/{name}.elf.zst", env!("CARGO_MANIFEST_DIR"));
    let elf = zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap();
    Arc::new(Program::new(ProgramImage::from_elf(&elf).unwrap()).unwrap())
}

#[test]
fn allowed_shapes_are_those_of_shards() {
    for log_program in [9, 20] {
        let allowed = ShardShape::allowed(log_program);
        for shape in &allowed {
            shape.check().unwrap();
            assert_eq!(shape.log_program, log_program);
        }
        // The last covers all but what only the middle size has room for.
        let last = allowed.last().unwrap();
        assert!(allowed.iter().all(|shape| last.covers(shape)));
        assert!(!allowed[0].covers(&allowed[1]) && !allowed[1].covers(&allowed[2]));
    }
}

/// A run longer than the largest shape is cut into shards that fit, and the cut is not early.
#[test]
fn long_runs_are_cut_to_fit() {
    let program = program("fib");
    let input = Input::from_bytes(&150u32.to_le_bytes()).unwrap();
    let run = Run::new(program, input, ShardLimits::recursion(), 1 << 30).unwrap();
    let cycles = run.execution.cycles;
    eprintln!("{cycles} cycles, {} shards", run.shards());
    assert!(run.shards() >= 2, "{cycles}");
    let mut tree = run.tree_at(0).unwrap();
    for i in 0..run.shards() {
        let s = run.prepare(i, &mut tree).unwrap();
        let made = traces(&run.program, &s.record, &s.nodes, &s.statement);
        let own = ShardShape::of_traces(&made);
        let allowed = ShardShape::allowed(own.log_program);
        assert!(allowed.iter().any(|shape| shape.covers(&own)), "{own:?}");
    }
}

/// A run that was cut by other limits may have a shard that fits nowhere: an error, not a proof that recursion refuses later.
#[test]
fn a_shard_that_fits_nowhere_is_an_error() {
    let program = program("fib");
    let input = Input::from_bytes(&150u32.to_le_bytes()).unwrap();
    let limits = ShardLimits { cycles: 1 << 21, ..Default::default() };
    let run = Run::new(program, input, limits, 1 << 30).unwrap();
    let mut tree = run.tree_at(0).unwrap();
    let s = run.prepare(0, &mut tree).unwrap();
    let made = traces(&run.program, &s.record, &s.nodes, &s.statement);
    assert!(matches!(ShardShape::pad_to_allowed(made), Err(ShapeError::None)));
}
