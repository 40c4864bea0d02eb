//! What comes out of logs: priority operations from L1, messages from the rollup's own messenger.
#![no_main]

use alloy_primitives::{B256, Log};
use cairn_primitives::{
    L2ToL1Log, PriorityTx, address::L1_MESSENGER, l2_to_l1::L1_MESSAGE_SENT_TOPIC,
};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok((tx, canonical)) = PriorityTx::decode(data) {
        let again = PriorityTx::from_canonical(&canonical).expect("what was decoded is in range");
        assert_eq!((again.from, again.to, again.value), (tx.from, tx.to, tx.value));
    }
    let topics = vec![L1_MESSAGE_SENT_TOPIC, B256::ZERO, B256::ZERO];
    let log = Log::new_unchecked(L1_MESSENGER, topics, data.to_vec().into());
    if let Some((_, _, message)) = L2ToL1Log::parse_message_event(&log) {
        assert!(message.len() <= data.len());
    }
});
