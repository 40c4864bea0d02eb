//! Transactions as RPC bodies and witnesses bring them.
#![no_main]

use cairn_primitives::Transaction;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(tx) = Transaction::decode(data) {
        let again = Transaction::decode(&tx.encode()).expect("what was encoded decodes");
        if !tx.is_priority() {
            // One transaction has one form: else its hash would not be its own.
            assert_eq!(tx.encode(), data);
        }
        assert_eq!((again.nonce(), again.value()), (tx.nonce(), tx.value()));
    }
});
