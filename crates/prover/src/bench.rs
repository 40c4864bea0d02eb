//! Figures of the base prover on one program.

use crate::chips::Chip;
use crate::program::{Program, ProgramError};
use crate::run::{Run, RunError};
use crate::shard::{ProveError, ProvingKey, ShardError, lookups, traces, verify_shard};
use crate::trace::ShardLimits;
use crate::verify::encode;
use cairn_vm::{Input, ProgramImage};
use p3_matrix::Matrix;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// One chip's part of the trace.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ChipShare {
    /// The chip.
    pub name: &'static str,
    /// Rows, with padding.
    pub rows: usize,
    /// Cells, with padding and lookup columns.
    pub cells: usize,
    /// Part of all cells.
    pub share: f64,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    /// Cycles proven.
    pub cycles: u64,
    /// Shards proven.
    pub shards: usize,
    /// Thousand cycles a second, trace generation included.
    pub khz: f64,
    /// Trace cells (lookup columns and padding included) a cycle.
    pub cells_per_cycle: f64,
    /// Largest resident memory of the process.
    pub peak_rss_mib: f64,
    /// Proven security.
    pub proven_bits: f64,
    /// Seconds of execution, trace generation and proving.
    pub seconds: [f64; 3],
    /// Processor seconds of trace generation and proving, over all threads.
    pub cpu_seconds: f64,
    /// Milliseconds to verify one shard.
    pub verify_ms: f64,
    /// Bytes of one shard's proof.
    pub proof_bytes: usize,
    /// Where the cells are.
    pub chips: Vec<ChipShare>,
}

/// Why a benchmark failed.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The input.
    #[error(transparent)]
    Input(#[from] cairn_vm::InputTooLarge),
    /// The run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The prover.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// The verifier.
    #[error(transparent)]
    Verify(#[from] ShardError),
    /// The encoding.
    #[error(transparent)]
    Encode(#[from] crate::verify::DecodeError),
}

/// Proves at most `max_shards` shards of a program on an input, and verifies each.
///
/// # Errors
/// When any step fails.
pub fn run(
    image: ProgramImage,
    input: &[u8],
    limits: ShardLimits,
    max_shards: usize,
) -> Result<BenchReport, BenchError> {
    let program = Arc::new(Program::new(image)?);
    let mut key = ProvingKey::new(program.clone())?;
    let start = Instant::now();
    let run = Run::new(program, Input::from_bytes(input)?, limits, 1 << 36)?;
    let mut seconds = [start.elapsed().as_secs_f64(), 0.0, 0.0];
    let mut tree = key.initial.clone();
    let (mut cycles, mut shares, mut verify_ms, mut proof_bytes): (
        u64,
        Vec<ChipShare>,
        f64,
        usize,
    ) = Default::default();
    let mut cpu_total = 0.0;
    let shards = run.shards().min(max_shards);
    for index in 0..shards {
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let shard = run.prepare(index, &mut tree)?;
        cycles += u64::from(shard.record.cycles);
        let instances = traces(&run.program, &shard.record, &shard.nodes, &shard.statement);
        for instance in &instances {
            add_share(&mut shares, &instance.chip, instance.trace.height(), instance.trace.width());
        }
        drop((shard.record, shard.nodes));
        seconds[1] += start.elapsed().as_secs_f64();
        let start = Instant::now();
        let proof = key.prove(shard.statement, instances)?;
        seconds[2] += start.elapsed().as_secs_f64();
        cpu_total += cpu_seconds() - cpu;
        let start = Instant::now();
        verify_shard(&key.vk, &proof)?;
        verify_ms = start.elapsed().as_secs_f64() * 1e3;
        proof_bytes = encode(&proof)?.len();
    }
    let cells: usize = shares.iter().map(|s| s.cells).sum();
    shares.iter_mut().for_each(|s| s.share = s.cells as f64 / cells as f64);
    shares.sort_by_key(|s| std::cmp::Reverse(s.cells));
    Ok(BenchReport {
        cycles,
        shards,
        khz: cycles as f64 / (seconds[1] + seconds[2]) / 1e3,
        cells_per_cycle: cells as f64 / cycles as f64,
        peak_rss_mib: peak_rss_mib(),
        proven_bits: crate::security::report().bits,
        seconds,
        cpu_seconds: cpu_total,
        verify_ms,
        proof_bytes,
        chips: shares,
    })
}

/// Processor time of this process so far, where the system tells (0 elsewhere). Linux counts in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|t| t.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

fn add_share(shares: &mut Vec<ChipShare>, chip: &Chip, rows: usize, width: usize) {
    let lookups = lookups(chip).len();
    let extension = if lookups > 0 { 4 * (lookups + 1) } else { 0 };
    let cells = rows * (width + extension);
    match shares.iter_mut().find(|s| s.name == chip.name()) {
        Some(share) => {
            share.rows += rows;
            share.cells += cells;
        }
        None => shares.push(ChipShare { name: chip.name(), rows, cells, share: 0.0 }),
    }
}

/// The process's largest resident set so far, where the system tells (0 elsewhere).
pub fn peak_rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<f64>().ok())
        .map_or(0.0, |kib| kib / 1024.0)
}
