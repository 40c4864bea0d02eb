//! Proofs as `cairn verify` takes them from anybody: arbitrary bytes, and an honest proof with some bytes changed. Whatever they are, the verifier answers, and it
//! accepts nothing but the honest proof.
#![no_main]

use cairn_prover::config::{PARAMS, Params};
use cairn_prover::program::Program;
use cairn_prover::run::Run;
use cairn_prover::selftest::image;
use cairn_prover::shard::{ProvingKey, traces};
use cairn_prover::trace::ShardLimits;
use cairn_prover::verify::{
    ExecutionProof, MAX_PROOF_BYTES, decode, encode, public_input_bytes, verify_with,
};
use cairn_vm::Input;
use std::sync::{Arc, LazyLock};

/// Few queries, so that one input takes milliseconds.
const FAST: Params = Params {
    num_queries: 2,
    lookup_pow: 0,
    ood_pow: 0,
    batch_pow: 0,
    commit_pow: 0,
    query_pow: 0,
    ..PARAMS
};

/// An honest proof of a small program, and the public input that it shows.
static HONEST: LazyLock<(Vec<u8>, [u8; 32])> = LazyLock::new(|| {
    let program = Arc::new(Program::new(image(&[], &[1, 2, 3])).expect("a valid program"));
    let key = ProvingKey::with_params(program.clone(), FAST).expect("a key");
    let input = Input::from_bytes(&[]).expect("no input");
    let run = Run::new(program, input, ShardLimits::default(), 1 << 20).expect("an honest run");
    let shard = run.prepare(0, &mut key.initial.clone()).expect("an honest shard");
    let instances = traces(&run.program, &shard.record, &shard.nodes, &shard.statement);
    let words = shard.statement.committed.expect("a commitment");
    let shard = key.prove(shard.statement, instances).expect("a proof");
    let proof = ExecutionProof { vk: key.vk.clone(), shards: vec![shard] };
    (encode(&proof).expect("an encoding"), public_input_bytes(&words))
});

/// The honest proof with a byte changed for every four bytes of `edits`: three of position, one of value.
fn edited(edits: &[u8]) -> Vec<u8> {
    let mut bytes = HONEST.0.clone();
    for edit in edits.chunks_exact(4) {
        let position = u32::from_le_bytes([edit[0], edit[1], edit[2], 0]) as usize % bytes.len();
        bytes[position] = edit[3];
    }
    bytes.truncate(bytes.len() - edits.chunks_exact(4).remainder().len());
    bytes
}

libfuzzer_sys::fuzz_target!(
    // Upstream's verifier may panic, which the verifier catches: only a panic that gets out counts, and that aborts by itself. The honest proof is made
    // before the first input, whose time is bounded.
    init: {
        LazyLock::force(&HONEST);
        std::panic::set_hook(Box::new(|_| ()));
    },
    |data: &[u8]| {
        let Some((kind, rest)) = data.split_first() else { return };
        let bytes = if kind % 2 == 0 { rest.to_vec() } else { edited(rest) };
        let Ok(proof) = decode::<ExecutionProof>(&bytes, MAX_PROOF_BYTES) else { return };
        let accepted = verify_with(&proof.vk.program_id(), &HONEST.1, &proof, &FAST).is_ok();
        assert!(!accepted || bytes == HONEST.0, "a forged proof was accepted");
    }
);
