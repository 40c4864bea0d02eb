//! Batch witnesses as provers and attesters take them from anybody.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = cairn_stf::prove_batch(data);
    let _ = cairn_state::TreeWitness::from_bytes(data);
});
