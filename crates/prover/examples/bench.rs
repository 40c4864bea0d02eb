//! Figures of the base prover: `cargo run --release -p cairn-prover --example bench -- [program.elf.zst] [input as hex, or @file] [shards] [log2 cycles of a shard]`.

use cairn_prover::{bench, trace::ShardLimits};
use cairn_vm::ProgramImage;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    if std::env::var_os("SPANS").is_some() {
        use tracing_subscriber::fmt::format::FmtSpan;
        tracing_subscriber::fmt()
            .with_span_events(FmtSpan::CLOSE)
            .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
            .init();
    }
    let default = format!("{}/../../guest/elf/fib.elf.zst", env!("CARGO_MANIFEST_DIR"));
    let elf = zstd::decode_all(&std::fs::read(args.get(1).unwrap_or(&default))?[..])?;
    let input = match args.get(2) {
        Some(path) if path.starts_with('@') => std::fs::read(&path[1..])?,
        Some(hex) => (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16))
            .collect::<Result<Vec<_>, _>>()?,
        None => 1000u32.to_le_bytes().to_vec(),
    };
    let shards = args.get(3).map_or(Ok(2), |s| s.parse())?;
    let mut limits = ShardLimits::default();
    if let Some(log_cycles) = args.get(4) {
        limits.cycles = 1 << log_cycles.parse::<u32>()?;
    }
    let report = bench::run(ProgramImage::from_elf(&elf)?, &input, limits, shards, |_, _| ())?;
    for chip in &report.chips {
        println!(
            "{:>12} {:>9} rows {:>11} cells {:>5.1}%",
            chip.name,
            chip.rows,
            chip.cells,
            100.0 * chip.share
        );
    }
    println!(
        "{} cycles in {} shards: {:.1} kHz, {:.1} cells a cycle, {:.0} MiB, {:.1} proven bits; execute {:.2} s, trace {:.2} s, prove {:.2} s ({:.2} cpu s); verify {:.0} ms, proof {} bytes",
        report.cycles,
        report.shards,
        report.khz,
        report.cells_per_cycle,
        report.peak_rss_mib,
        report.proven_bits,
        report.seconds[0],
        report.seconds[1],
        report.seconds[2],
        report.cpu_seconds,
        report.verify_ms,
        report.proof_bytes
    );
    Ok(())
}
