//! Heights of the traces of a batch's shards: `cargo run -p cairn-aggregator --example shapes -- WITNESS.. `.

use cairn_prover::program::Program;
use cairn_prover::run::Run;
use cairn_prover::shard::traces;
use cairn_prover::trace::ShardLimits;
use cairn_prover::memory::MemoryTree;
use cairn_vm::{Input, ProgramImage};
use p3_matrix::Matrix;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = format!("{}/../../guest/elf/batch.elf.zst", env!("CARGO_MANIFEST_DIR"));
    let elf = zstd::decode_all(&std::fs::read(path)?[..])?;
    let program = Arc::new(Program::new(ProgramImage::from_elf(&elf)?)?);
    println!("log program {}", program.log_rows());
    for path in std::env::args().skip(1) {
        let witness = std::fs::read(&path)?;
        let run = Run::new(program.clone(), Input::from_bytes(&witness)?, ShardLimits::default(), 1 << 36)?;
        println!("{path}: {} cycles, {} shards", run.execution.cycles, run.shards());
        let mut tree: MemoryTree = run.tree_at(0)?;
        for i in 0..run.shards() {
            let shard = run.prepare(i, &mut tree)?;
            let made = traces(&run.program, &shard.record, &shard.nodes, &shard.statement);
            let (mut cells, mut used) = (0usize, String::new());
            for m in &made {
                let h = m.trace.height().ilog2();
                cells += m.chip.row_cells() << h;
                used += &format!("{}:{h} ", m.chip.name());
            }
            println!("  {} cycles, {:.1} Mcells: {used}", shard.record.cycles, cells as f64 / 1e6);
        }
    }
    Ok(())
}
