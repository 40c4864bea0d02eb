//! Pubdata as recovery reads it from L1.
#![no_main]

use alloy_primitives::U256;
use cairn_state::Key;
use cairn_stf::pubdata::{Pubdata, encode};

/// Leaves of the tree that the diffs are read against; the value of each is its index.
const LEAVES: u64 = 1000;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(pubdata) = Pubdata::decode(data) else { return };
    let leaf = |index: u64| {
        Ok::<_, std::convert::Infallible>((index < LEAVES).then(|| {
            let word = U256::from(index);
            (Key::code(&word.into()), word)
        }))
    };
    let Ok(decoded) = pubdata.decode_diffs(LEAVES, leaf) else { return };
    // A batch has one encoding: else two commitments would stand for one batch.
    let Pubdata { blocks, logs, messages, codes, .. } = &pubdata;
    assert_eq!(encode(blocks, logs, messages, codes.iter(), &decoded.diffs), data);
});
