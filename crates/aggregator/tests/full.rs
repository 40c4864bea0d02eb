//! One proof with the parameters of real proofs, from a shard to the contract: within the limits of security, size and gas.

#[path = "../../final-proof/tests/common/evm.rs"]
#[allow(dead_code)] // other tests use the rest
mod evm;

use cairn_aggregator::{Aggregator, Circuits, Settings};
use cairn_prover::program::Program;
use cairn_prover::shard::ProvingKey;
use cairn_prover::trace::ShardLimits;
use cairn_prover::work::Job;
use cairn_vm::ProgramImage;
use evm::{Contract, Verdict};
use std::ops::ControlFlow;
use std::sync::Arc;

/// What a transaction may have beside the proof: the batches' stored info, the encoding, the envelope.
const BESIDE: usize = 4 << 10;

/// A program of a few thousand instructions, in the smallest shape.
#[test]
fn a_real_proof_is_accepted_within_the_limits() {
    let path = format!("{}/../../guest/elf/fib.elf.zst", env!("CARGO_MANIFEST_DIR"));
    let elf = zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap();
    let program = Arc::new(Program::new(ProgramImage::from_elf(&elf).unwrap()).unwrap());
    let key = ProvingKey::new(program).unwrap();
    let vk = key.vk.clone();
    let mut settings = Settings::real(vk.log_program);
    settings.shapes.truncate(1);
    let circuits = Circuits::build(&settings).unwrap();
    let aggregator = Aggregator::new(&vk, settings, circuits).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let limits = ShardLimits::recursion();
    let mut job = Job::with_key(dir.path(), key, &1u32.to_le_bytes(), limits, 1 << 30).unwrap();
    job.work(|_| ControlFlow::Continue(())).unwrap();
    let execution = job.finish().unwrap();
    let [words] = execution.shards.iter().map(|s| s.statement.committed).collect::<Vec<_>>()[..]
    else {
        panic!("one shard")
    };
    let batch = aggregator.wrap_batch(&execution, None, &mut |_, _| {}).unwrap();
    let proof = aggregator.finish(&[batch]).unwrap();
    let public_input = cairn_prover::verify::public_input_bytes(&words.unwrap());
    assert_eq!(proof.public_inputs, [public_input]);

    let data = aggregator.verifier().data().unwrap();
    let contract =
        Contract::deploy_with(&data.data_code, data.key_digest, data.program_id).unwrap();
    let verdict = contract.verify(&proof.public_inputs, &proof.bytes);
    eprintln!("{} bytes, {verdict:?}", proof.bytes.len());
    let Verdict::Accepted { gas } = verdict else { panic!("{verdict:?}") };
    assert!(gas <= 8_000_000, "{gas} gas");
    assert!(proof.bytes.len() + BESIDE <= 128 << 10, "{} bytes", proof.bytes.len());
    for layer in aggregator.verifier().security_report() {
        assert!(layer.bits >= 100.0 && layer.union_bits >= 100.0, "{layer:?}");
    }
    let step = proof.bytes.len() / 37;
    for at in (0..proof.bytes.len()).step_by(step) {
        let mut bad = proof.bytes.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(aggregator.verifier().verify(&proof.public_inputs, &bad).is_err(), "byte {at}");
        let verdict = contract.verify(&proof.public_inputs, &bad);
        assert!(matches!(verdict, Verdict::Refused(_)), "byte {at}");
    }
}
