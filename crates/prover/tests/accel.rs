//! Every accelerator through the whole pipeline: the guest `accel-test` in the executor, its traces (constraints and the balance of all buses), a proof.

mod common;

use cairn_accel::ids;
use cairn_prover::check::{Instance, check};
use cairn_prover::chips::Chip;
use cairn_prover::generate::MIN_LOG_HEIGHT;
use cairn_prover::run::Run;
use cairn_prover::shard::{ProvingKey, traces, verify_shard_with};
use cairn_prover::trace::{ShardLimits, ShardRecord, call_cells};
use cairn_vm::Input;
use common::*;
use p3_matrix::Matrix;

fn run_with(limits: ShardLimits) -> Run {
    let program = guest("accel-test");
    Run::new(program, Input::from_bytes(&1u32.to_le_bytes()).unwrap(), limits, 1 << 30).unwrap()
}

#[test]
fn every_accelerator_is_proven() {
    let run = run_with(ShardLimits::default());
    let key = ProvingKey::with_params(run.program.clone(), FAST).unwrap();
    let mut tree = run.tree_at(0).unwrap();
    let mut served = Vec::new();
    for index in 0..run.shards() {
        let shard = run.prepare(index, &mut tree).unwrap();
        let instances = traces(&run.program, &shard.record, &shard.nodes, &shard.statement);
        check(&instances).unwrap();
        for instance in &instances {
            rows_are_those_of_the_calls(instance, &shard.record);
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

/// What the meter assumes of a chip is what its trace has.
fn rows_are_those_of_the_calls(instance: &Instance, record: &ShardRecord) {
    if matches!(instance.chip, Chip::Accel(_) | Chip::Block(_) | Chip::Ecall(_)) {
        let halt = usize::from(record.pc[1] == cairn_prover::program::HALT_PC);
        let calls = record.calls.iter().map(|c| instance.chip.rows_per_call(c.id)).sum::<usize>();
        let rows = calls + if matches!(instance.chip, Chip::Ecall(_)) { halt } else { 0 };
        let height = rows.next_power_of_two().max(1 << MIN_LOG_HEIGHT);
        assert_eq!(instance.trace.height(), height, "{}", instance.chip.name());
    }
}

/// Each limit cuts: no shard has more than the limit and one call's worth of cells, blocks or versions brought forward.
#[test]
fn shards_stay_within_their_limits() {
    let dear = ids::ALL.into_iter().map(call_cells).max().unwrap();
    assert!(dear < 1 << 17, "a single call fits any shard");
    let limits = ShardLimits {
        cycles: 1 << 20,
        accel_cells: 1 << 18,
        blocks: 300,
        gaps: 2000,
        padded: false,
    };
    let run = run_with(limits);
    assert!(run.shards() > 2);
    let mut tree = run.tree_at(0).unwrap();
    for index in 0..run.shards() {
        let shard = run.prepare(index, &mut tree).unwrap();
        assert!(shard.record.blocks.len() < limits.blocks + 12, "shard {index}");
        assert!(shard.record.gaps.len() < limits.gaps + 100, "shard {index}");
        let instances = traces(&run.program, &shard.record, &shard.nodes, &shard.statement);
        let cells: usize = instances
            .iter()
            .filter(|i| matches!(i.chip, Chip::Accel(_)))
            .map(|i| i.trace.height() * i.chip.row_cells())
            .sum();
        // Padding at most doubles a trace, and a trace has at least sixteen rows.
        let least: usize = Chip::all(None).iter().map(|c| c.row_cells() << MIN_LOG_HEIGHT).sum();
        assert!(cells <= 2 * (limits.accel_cells + dear) + least, "shard {index}: {cells}");
    }
}
