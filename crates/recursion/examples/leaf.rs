//! Figures of recursion over real shards: `cargo run --release -p cairn-recursion --example leaf -- [program.elf.zst] [input as hex] [log2 cycles of a shard] [size|run|prove]`.
//!
//! `size` builds the circuits for the first shard's shape, `run` also executes the leaf on its proof, `prove` also proves leaf and lift.

use cairn_prover::bus::F;
use cairn_prover::config::PARAMS;
use cairn_prover::program::Program;
use cairn_prover::run::Run;
use cairn_prover::shape::ShardShape;
use cairn_prover::shard::{ProvingKey, traces};
use cairn_prover::trace::ShardLimits;
use cairn_recursion::aggregate::{Kind, NODE_WIRES, common_heights, heights, lift, node};
use cairn_recursion::air::Layout;
use cairn_recursion::claim::State;
use cairn_recursion::leaf::Leaf;
use cairn_recursion::prove::{CircuitKey, CircuitVk, verify_circuit};
use cairn_recursion::security::{LEAF_PARAMS, NODE_PARAMS, report};
use cairn_vm::{Input, ProgramImage};
use p3_field::PrimeCharacteristicRing;
use std::sync::Arc;
use std::time::Instant;

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = work();
    println!("{what}: {:.2} s", start.elapsed().as_secs_f64());
    value
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let default = format!("{}/../../guest/elf/fib.elf.zst", env!("CARGO_MANIFEST_DIR"));
    let elf = zstd::decode_all(&std::fs::read(args.get(1).unwrap_or(&default))?[..])?;
    let input = match args.get(2) {
        Some(hex) => (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16))
            .collect::<Result<Vec<_>, _>>()?,
        None => 1000u32.to_le_bytes().to_vec(),
    };
    let log_cycles: u32 = args.get(3).map_or(Ok(16), |s| s.parse())?;
    let mode = args.get(4).map_or("size", String::as_str);
    for (name, params, height) in [("leaf", LEAF_PARAMS, 20), ("node", NODE_PARAMS, 18)] {
        let report = report(&params, Layout::WIDE, &[height; 5]);
        println!(
            "{name}: {:.1} proven bits, {:.1} by the union bound",
            report.bits, report.union_bits
        );
    }

    let program = Arc::new(Program::new(ProgramImage::from_elf(&elf)?)?);
    let limits = ShardLimits { cycles: 1 << log_cycles, ..Default::default() };
    let run = Run::new(program.clone(), Input::from_bytes(&input)?, limits, 1 << 36)?;
    let key = ProvingKey::with_params(program, PARAMS)?;
    let mut tree = key.initial.clone();
    let shard = run.prepare(0, &mut tree)?;
    println!("{} shards; the first has {} cycles", run.shards(), shard.record.cycles);
    let proof = timed("shard proof", || {
        let instances = traces(&run.program, &shard.record, &shard.nodes, &shard.statement);
        key.prove(shard.statement, instances)
    })?;
    let shape = ShardShape::of(&key.vk, &proof);
    println!("{} chips, heights {:?}", shape.log_heights.len(), shape.log_heights);
    let leaf = Leaf::new(shape, PARAMS)?;
    let circuit = timed("leaf circuit", || leaf.circuit());
    println!("leaf: {:?}, heights {:?}", circuit.size(), heights(&circuit, 4));
    let sample = CircuitVk {
        log_heights: heights(&circuit, 4),
        num_public: 24,
        layout: Layout::WIDE,
        fixed: [F::ZERO; 8],
    };
    let lifted = timed("lift circuit", || lift(&sample, LEAF_PARAMS));
    println!("lift: {:?}, heights {:?}", lifted.size(), heights(&lifted, 4));
    let common = timed("common heights", || common_heights(&[lifted], NODE_PARAMS))?;
    let node = node(&Kind::new(common, NODE_WIRES, NODE_PARAMS));
    println!("node: {:?}, common heights {common:?}", node.size());
    if mode == "size" {
        return Ok(());
    }
    let start = State::initial(&key.vk, [F::ZERO; 8]);
    let (inputs, _) = timed("leaf inputs", || leaf.inputs(&key.vk, &start, &proof))?;
    let _witness = timed("leaf witness", || circuit.run(&inputs))?;
    if mode == "run" {
        return Ok(());
    }
    let leaf_key = timed("leaf key", || CircuitKey::new(circuit, &[0; 5], LEAF_PARAMS))?;
    let leaf_proof = timed("leaf proof", || leaf_key.prove(&inputs))?;
    timed("leaf verification", || verify_circuit(&leaf_key.vk, &LEAF_PARAMS, &leaf_proof))?;
    println!("{:.0} MiB", cairn_prover::bench::peak_rss_mib());
    Ok(())
}
