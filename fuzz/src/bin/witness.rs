//! Batch witnesses as provers and attesters take them from anybody.
#![no_main]

use cairn_state::TreeWitness;
use cairn_stf::BatchWitness;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = cairn_stf::prove_batch(data);
    if let Ok(witness) = BatchWitness::decode(data) {
        assert_eq!(witness.encode(), data);
    }
    if let Ok(tree) = TreeWitness::from_bytes(data) {
        assert_eq!(tree.to_bytes(), data);
    }
});
