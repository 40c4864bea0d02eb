//! Pubdata as recovery reads it from L1.
#![no_main]

use alloy_primitives::U256;
use cairn_state::Key;
use cairn_stf::pubdata::Pubdata;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(pubdata) = Pubdata::decode(data) {
        let leaf = |index: u64| {
            Ok::<_, std::convert::Infallible>((index < 1000).then(|| {
                let word = U256::from(index);
                (Key::code(&word.into()), word)
            }))
        };
        let _ = pubdata.decode_diffs(1000, leaf);
    }
});
