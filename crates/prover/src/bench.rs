//! Figures of the base prover: of one program ([`run`]), and of everything that `cairn bench prove` shows ([`suite`]).

use crate::chips::Chip;
use crate::program::{Program, ProgramError};
use crate::run::{Run, RunError};
use crate::shard::{ProveError, ProvingKey, ShardError, traces, verify_shard};
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
    /// Cycles of the whole run.
    pub total_cycles: u64,
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
    /// The negative tests.
    #[error(transparent)]
    SelfTest(#[from] crate::selftest::SelfTestError),
}

/// A batch to be proven by the guest program.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The guest's input.
    pub witness: Vec<u8>,
    /// Transactions in it.
    pub transactions: u64,
}

/// What [`suite`] measures.
#[derive(Clone, Debug)]
pub struct Suite {
    /// A long ordinary run without accelerators: the program and its input.
    pub ordinary: (ProgramImage, Vec<u8>),
    /// The guest program that proves batches.
    pub guest: ProgramImage,
    /// Plain transfers.
    pub eth: Batch,
    /// ERC-20 transfers.
    pub erc20: Batch,
    /// The most shards to prove of each; throughput is of those.
    pub max_shards: usize,
}

/// A figure for each kind of transfer.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ByTransfer {
    /// Plain transfers.
    pub eth: f64,
    /// ERC-20 transfers.
    pub erc20: f64,
}

/// Columns whose corruption is always noticed.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct NegativeColumns {
    /// Noticed.
    pub covered: usize,
    /// All columns of all chips.
    pub total: usize,
}

/// The figures of the base prover, as one JSON object.
#[derive(Clone, Debug, Serialize)]
pub struct SuiteReport {
    /// Thousand cycles a second on the ordinary run.
    pub khz: f64,
    /// The same by processor time: thousand cycles a second of one core. What other work on the machine changes least.
    pub khz_per_core: f64,
    /// Trace cells a cycle on the ordinary run.
    pub cells_per_cycle: f64,
    /// Largest resident memory of the process.
    pub peak_rss_mib: f64,
    /// Proven security.
    pub proven_bits: f64,
    /// Guest cycles of a plain transfer, all told.
    pub eth_transfer_cycles: u64,
    /// Guest cycles of an ERC-20 transfer, all told.
    pub erc20_transfer_cycles: u64,
    /// Transactions proven a second.
    pub proven_tps: ByTransfer,
    /// Coverage of the negative tests.
    pub negative_columns: NegativeColumns,
    /// Where the cells of the ordinary run are.
    pub chips: Vec<ChipShare>,
    /// Where the cells of the plain transfers are.
    pub eth_chips: Vec<ChipShare>,
}

/// Measures everything. `progress` hears what is being measured, and how many of its shards are done.
///
/// # Errors
/// When any step fails.
pub fn suite(
    suite: &Suite,
    mut progress: impl FnMut(&'static str, usize, usize),
) -> Result<SuiteReport, BenchError> {
    let mut measure = |name: &'static str, image: &ProgramImage, input: &[u8]| {
        let limits = ShardLimits::default();
        run(image.clone(), input, limits, suite.max_shards, |done, all| progress(name, done, all))
    };
    let ordinary = measure("ordinary", &suite.ordinary.0, &suite.ordinary.1)?;
    let eth = measure("eth", &suite.guest, &suite.eth.witness)?;
    let erc20 = measure("erc20", &suite.guest, &suite.erc20.witness)?;
    progress("negative tests", 0, 1);
    let coverage = crate::selftest::coverage()?;
    progress("negative tests", 1, 1);
    let a_transaction =
        |report: &BenchReport, batch: &Batch| report.total_cycles / batch.transactions.max(1);
    let tps = |report: &BenchReport, batch: &Batch| {
        report.khz * 1e3 * batch.transactions as f64 / report.total_cycles as f64
    };
    Ok(SuiteReport {
        khz: ordinary.khz,
        khz_per_core: ordinary.cycles as f64 / 1e3 / ordinary.cpu_seconds,
        cells_per_cycle: ordinary.cells_per_cycle,
        peak_rss_mib: peak_rss_mib(),
        proven_bits: ordinary.proven_bits,
        eth_transfer_cycles: a_transaction(&eth, &suite.eth),
        erc20_transfer_cycles: a_transaction(&erc20, &suite.erc20),
        proven_tps: ByTransfer { eth: tps(&eth, &suite.eth), erc20: tps(&erc20, &suite.erc20) },
        negative_columns: NegativeColumns { covered: coverage.covered, total: coverage.total },
        chips: ordinary.chips,
        eth_chips: eth.chips,
    })
}

/// Proves at most `max_shards` shards of a program on an input, and verifies each. `progress` hears how many are done, and of how many.
///
/// # Errors
/// When any step fails.
pub fn run(
    image: ProgramImage,
    input: &[u8],
    limits: ShardLimits,
    max_shards: usize,
    mut progress: impl FnMut(usize, usize),
) -> Result<BenchReport, BenchError> {
    let program = Arc::new(Program::new(image)?);
    let key = ProvingKey::new(program.clone())?;
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
        progress(index, shards);
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let shard = run.prepare(index, &mut tree)?;
        cycles += u64::from(shard.record.cycles);
        let instances = traces(&run.program, &shard.record, &shard.nodes, &shard.statement);
        for instance in &instances {
            add_share(&mut shares, &instance.chip, instance.trace.height());
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
    progress(shards, shards);
    let cells: usize = shares.iter().map(|s| s.cells).sum();
    shares.iter_mut().for_each(|s| s.share = s.cells as f64 / cells as f64);
    shares.sort_by_key(|s| std::cmp::Reverse(s.cells));
    Ok(BenchReport {
        total_cycles: run.execution.cycles,
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

fn add_share(shares: &mut Vec<ChipShare>, chip: &Chip, rows: usize) {
    let cells = rows * chip.row_cells();
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
