//! The guest program that this binary proves: the state-transition function, built for the virtual machine.

use std::{io::Read, sync::Arc};

use alloy_primitives::B256;
use cairn_prover::program::{Program, ProgramError};
use cairn_vm::{ElfError, ProgramImage};
use thiserror::Error;

/// The batch program, as `cargo xtask guest build` writes it.
static BATCH_ELF: &[u8] = include_bytes!("../../../guest/elf/batch.elf.zst");
/// Its program id, 64 hexadecimal digits.
static BATCH_ID: &str = include_str!("../../../guest/elf/batch.id");
/// Largest ELF file that is unpacked.
const MAX_ELF_BYTES: u64 = 128 << 20;
/// Most cycles of one batch: no honest batch comes near, and a guest that never halts ends here.
pub const MAX_CYCLES: u64 = 1 << 34;

/// Why there is no program.
#[derive(Debug, Error)]
pub enum GuestError {
    /// Not a compressed file.
    #[error("the program cannot be unpacked: {0}")]
    Compression(#[from] std::io::Error),
    /// Not a program for the machine.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// Not a program that can be proven.
    #[error(transparent)]
    Program(#[from] ProgramError),
}

/// Id of the batch program: proofs and commits name it.
pub fn program_id() -> B256 {
    BATCH_ID.trim().parse().expect("a test compares guest/elf/batch.id with the program")
}

/// The batch program.
///
/// # Errors
/// [`GuestError`], when the binary was built from damaged files.
pub fn program() -> Result<Arc<Program>, GuestError> {
    unpack(BATCH_ELF)
}

/// A program from a compressed ELF file.
///
/// # Errors
/// [`GuestError`].
pub fn unpack(compressed: &[u8]) -> Result<Arc<Program>, GuestError> {
    let mut elf = Vec::new();
    zstd::Decoder::new(compressed)?.take(MAX_ELF_BYTES).read_to_end(&mut elf)?;
    Ok(Arc::new(Program::new(ProgramImage::from_elf(&elf)?)?))
}

#[cfg(test)]
mod tests {
    use cairn_prover::shard::ProvingKey;

    use super::*;

    #[test]
    fn the_written_program_id_is_the_programs() {
        let key = ProvingKey::new(program().unwrap()).unwrap();
        assert_eq!(
            B256::from(key.vk.program_id()),
            program_id(),
            "run `cargo xtask guest build` and commit guest/elf"
        );
    }

    #[test]
    fn damaged_programs_are_refused() {
        assert!(unpack(b"no zstd").is_err());
        let text = zstd::encode_all(&b"\x7fELF but nothing else"[..], 1).unwrap();
        assert!(matches!(unpack(&text), Err(GuestError::Elf(_))));
    }
}
