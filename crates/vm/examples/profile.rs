//! Profile of a guest program: `cargo run --release -p cairn-vm --example profile ELF.zst INPUT_FILE`.
use cairn_vm::{Input, Machine, Profiler, ProgramImage};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, elf, input] = &args[..] else { return Err("usage: profile ELF.zst INPUT_FILE".into()) };
    let program = ProgramImage::from_elf(&zstd::decode_all(&std::fs::read(elf)?[..])?)?;
    let mut profiler = Profiler::new(&program);
    let mut machine = Machine::new(&program, Input::from_bytes(&std::fs::read(input)?)?);
    let stop = machine.run(&mut profiler, u64::MAX);
    println!(
        "{stop:?}; {} program rows, {} data words",
        program.instrs.len(),
        program.initial_words().count()
    );
    println!("{}", profiler.finish());
    Ok(())
}
