//! Prints the id of a program: `cargo run -p cairn-prover --example program_id -- guest/elf/batch.elf.zst`.

use cairn_prover::{program::Program, shard::ProvingKey};
use cairn_vm::ProgramImage;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: program_id ELF.zst")?;
    let elf = zstd::decode_all(&std::fs::read(path)?[..])?;
    let key = ProvingKey::new(Arc::new(Program::new(ProgramImage::from_elf(&elf)?)?))?;
    let digits: String = key.vk.program_id().iter().map(|b| format!("{b:02x}")).collect();
    println!("0x{digits}");
    Ok(())
}
