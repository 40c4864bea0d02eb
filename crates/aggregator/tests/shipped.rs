//! What is shipped is what the code makes.

use cairn_aggregator::{Circuits, Settings, Verifier};
use cairn_prover::program::Program;
use cairn_vm::ProgramImage;

/// Makes every circuit and its key: the slowest test of this crate.
#[test]
fn the_shipped_circuits_are_those_of_the_code() {
    let root = env!("CARGO_MANIFEST_DIR");
    let elf = std::fs::read(format!("{root}/../../guest/elf/batch.elf.zst")).unwrap();
    let elf = zstd::decode_all(&elf[..]).unwrap();
    let program = Program::new(ProgramImage::from_elf(&elf).unwrap()).unwrap();
    let settings = Settings::real(program.log_rows() as u8);
    let built = Circuits::build(&settings).unwrap();
    assert_eq!(Circuits::shipped().unwrap(), built, "run `cairn verifier generate` and commit");
}

#[test]
fn every_layer_has_a_hundred_proven_bits() {
    let id = include_str!("../../../guest/elf/batch.id").trim().parse().unwrap();
    let verifier = Verifier::shipped(id).unwrap();
    for layer in verifier.security_report() {
        eprintln!("{layer:?}");
        assert!(layer.bits >= 100.0 && layer.union_bits >= 100.0, "{layer:?}");
    }
    let data = verifier.data().unwrap();
    assert_eq!(data.program_id, id);
    assert!(data.data_code.len() <= 2 && data.data_code.iter().all(|code| code.len() <= 24_576));
}
