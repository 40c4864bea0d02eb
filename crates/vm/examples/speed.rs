//! Instructions a second of the interpreter: `cargo run --release -p cairn-vm --example speed [ROUNDS]`.
use cairn_vm::{CycleMeter, Input, Machine, NoTrace, ProgramImage, execute};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rounds: u32 = std::env::args().nth(1).map_or(Ok(20_000), |a| a.parse())?;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest/elf/fib.elf.zst");
    let program = ProgramImage::from_elf(&zstd::decode_all(&std::fs::read(path)?[..])?)?;
    let input = Input::from_bytes(&rounds.to_le_bytes())?;
    let start = Instant::now();
    let mut machine = Machine::new(&program, input.clone());
    machine.run(&mut NoTrace, u64::MAX)?;
    report("plain", machine.cycle(), start);
    let start = Instant::now();
    let run = execute(&program, &input, &mut CycleMeter::new(1 << 20), u64::MAX)?;
    report("sharded", run.cycles, start);
    Ok(())
}

fn report(what: &str, cycles: u64, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    println!("{what}: {cycles} instructions, {:.1} M a second", cycles as f64 / seconds / 1e6);
}
