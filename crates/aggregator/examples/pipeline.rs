//! From a batch's witness to a final proof that the contract accepts, with the time of each step: `cargo run --release -p cairn-aggregator --example pipeline -- [build] [WITNESS]..`.
//!
//! `build` makes every circuit again and writes `circuits.json`. Several witnesses are proven together.

#[path = "../../final-proof/tests/common/evm.rs"]
#[allow(dead_code)] // the tests use the rest
mod evm;

use alloy_primitives::B256;
use cairn_aggregator::{Aggregator, Circuits, Settings};
use cairn_prover::program::Program;
use cairn_prover::run::Run;
use cairn_prover::shape::ShardShape;
use cairn_prover::shard::{ProvingKey, traces};
use cairn_prover::trace::ShardLimits;
use cairn_prover::verify::ExecutionProof;
use cairn_vm::{Input, ProgramImage};
use std::sync::Arc;
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Processor seconds of this process so far, over all threads.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // User and system time are the 14th and 15th field, in hundredths; the second may hold spaces.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|x| x.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let value = work();
    println!(
        "{what}: {:.2} s, {:.2} of processors ({:.0} MiB at most so far)",
        start.elapsed().as_secs_f64(),
        cpu_seconds() - cpu,
        cairn_prover::bench::peak_rss_mib()
    );
    value
}

fn execution(program: &Arc<Program>, key: &ProvingKey, witness: &[u8]) -> Outcome<ExecutionProof> {
    let input = Input::from_bytes(witness)?;
    let run = Run::new(program.clone(), input, ShardLimits::recursion(), 1 << 36)?;
    println!("{} cycles, {} shards", run.execution.cycles, run.shards());
    let mut tree = run.tree_at(0)?;
    let mut shards = Vec::new();
    for i in 0..run.shards() {
        let shard = run.prepare(i, &mut tree)?;
        let made = traces(&run.program, &shard.record, &shard.nodes, &shard.statement);
        let cells = |all: &[cairn_prover::check::Instance]| {
            all.iter()
                .map(|m| m.chip.row_cells() * (m.trace.values.len() / m.trace.width))
                .sum::<usize>()
        };
        let before = cells(&made);
        let padded = ShardShape::pad_to_allowed(made)?;
        println!(
            "  shard {i}: {} cycles, {:.1} Mcells, padded {:.1}",
            shard.record.cycles,
            before as f64 / 1e6,
            cells(&padded) as f64 / 1e6
        );
        shards.push(timed("  shard proof", || key.prove(shard.statement, padded))?);
    }
    Ok(ExecutionProof { vk: key.vk.clone(), shards })
}

fn main() -> Outcome<()> {
    if std::env::var_os("SPANS").is_some() {
        use tracing_subscriber::fmt::format::FmtSpan;
        tracing_subscriber::fmt()
            .with_span_events(FmtSpan::CLOSE)
            .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
            .init();
    }
    let root = env!("CARGO_MANIFEST_DIR");
    let elf =
        zstd::decode_all(&std::fs::read(format!("{root}/../../guest/elf/batch.elf.zst"))?[..])?;
    let program = Arc::new(Program::new(ProgramImage::from_elf(&elf)?)?);
    let key = timed("program key", || ProvingKey::new(program.clone()))?;
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let settings = Settings::real(key.vk.log_program);
    let circuits = if args.first().is_some_and(|a| a == "build") {
        args.remove(0);
        let circuits = timed("all circuits", || Circuits::build(&settings))?;
        std::fs::write(format!("{root}/circuits.json"), circuits.to_json()?)?;
        circuits
    } else {
        Circuits::shipped()?
    };
    for vk in circuits.leaves.iter().chain(&circuits.lifts).chain([&circuits.node, &circuits.root])
    {
        println!("{:?}", vk.log_heights);
    }
    println!("last {:?}", circuits.last_heights);
    let aggregator = Aggregator::new(&key.vk, settings, circuits)?;
    for layer in aggregator.verifier().security_report() {
        println!(
            "{}: {:.1} proven bits, {:.1} by the union bound",
            layer.layer, layer.bits, layer.union_bits
        );
    }
    let shape = aggregator.verifier().vk().shape();
    println!("final: {} columns opened, {} queries", shape.num_opened, shape.params.num_queries);
    if args.is_empty() {
        return Ok(());
    }
    timed("keys of a small batch", || aggregator.prepare())?;
    let mut batches = Vec::new();
    for path in &args {
        let proof = timed("base proof", || execution(&program, &key, &std::fs::read(path)?))?;
        let mut last = cpu_seconds();
        let mut progress = |done: usize, of: usize| {
            println!("  {done} of {of}: {:.2} s of processors", cpu_seconds() - last);
            last = cpu_seconds();
        };
        batches.push(timed("wrapping", || aggregator.wrap_batch(&proof, None, &mut progress))?);
    }
    let proof = timed("finish", || aggregator.finish(&batches))?;
    let verifier = aggregator.verifier();
    timed("native verification", || verifier.verify(&proof.public_inputs, &proof.bytes))?;
    let data = verifier.data()?;
    println!(
        "{:.1} KiB; data code {:?} bytes",
        proof.bytes.len() as f64 / 1024.0,
        data.data_code.iter().map(Vec::len).collect::<Vec<_>>()
    );
    let contract = evm::Contract::deploy_with(&data.data_code, data.key_digest, data.program_id)
        .ok_or("the contract refuses the key")?;
    println!("{:?}", contract.verify(&proof.public_inputs, &proof.bytes));
    let mut other = proof.public_inputs.clone();
    other[0] ^= B256::with_last_byte(1);
    println!("another public input: {:?}", contract.verify(&other, &proof.bytes));
    Ok(())
}
