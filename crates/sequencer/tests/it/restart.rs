//! Reopening, and directories that are not this chain's.

use cairn_primitives::ChainConfig;
use cairn_sequencer::{BlockTime, SequencerError, open_storage};
use cairn_storage::{Storage, StorageError};

use crate::common::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let mut manual = config();
    manual.block_time = BlockTime::Manual;
    let sequencer = start(dir.path(), manual.clone());
    let mined = Tx::new(0).sign(&key(0));
    sequencer.submit(mined.1).await.unwrap();
    let head = sequencer.mine().await.unwrap();
    let waiting = Tx::new(1).sign(&key(0));
    let gapped = Tx::new(3).sign(&key(0));
    sequencer.submit(waiting.1).await.unwrap();
    sequencer.submit(gapped.1).await.unwrap();
    let dropped = Tx::new(0).sign(&key(1));
    sequencer.submit(dropped.1).await.unwrap();
    cairn_rpc::DevChain::drop_transaction(&rpc(&sequencer), dropped.0).unwrap();
    sequencer.stop();
    drop(sequencer);

    let sequencer = start(dir.path(), manual);
    assert_eq!(sequencer.storage().head().unwrap().hash, head);
    assert_eq!(sequencer.status().pooled, 2);
    sequencer.mine().await.unwrap();
    assert!(sequencer.storage().tx_location(waiting.0).unwrap().is_some());
    assert!(sequencer.storage().tx_location(gapped.0).unwrap().is_none());
    assert!(sequencer.storage().tx_location(dropped.0).unwrap().is_none());
    // The open batch holds the block of the first run too.
    let batch = sealed(&sequencer).await;
    assert_eq!(sequencer.storage().batch(batch).unwrap().unwrap().blocks(), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn past_states_stay_readable() {
    let dir = tempfile::tempdir().unwrap();
    let mut manual = config();
    manual.block_time = BlockTime::Manual;
    let sequencer = start(dir.path(), manual);
    for nonce in 0..5 {
        sequencer.submit(Tx::new(nonce).sign(&key(0)).1).await.unwrap();
        sequencer.mine().await.unwrap();
    }
    let storage = sequencer.storage();
    for block in 0..=5u64 {
        let state = storage.state_at(block).unwrap().unwrap();
        let sink = state.account(SINK).unwrap().map_or(0, |a| a.balance);
        assert_eq!(
            (sink, state.account(key(0).address()).unwrap().unwrap().nonce),
            (block.into(), block)
        );
    }
    assert!(storage.state_at(6).unwrap().is_none());
}

#[test]
fn another_chains_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open_storage(dir.path(), &genesis(2)).unwrap());
    let mut other = genesis(2);
    other.config = ChainConfig::eth_rollup(CHAIN_ID + 1, L1_CHAIN_ID);
    let refused = open_storage(dir.path(), &other);
    assert!(
        matches!(
            &refused,
            Err(SequencerError::Storage(StorageError::WrongChain { what: "configuration", .. }))
        ),
        "{refused:?}"
    );
    let refused = open_storage(dir.path(), &genesis(3));
    assert!(
        matches!(
            &refused,
            Err(SequencerError::Storage(StorageError::WrongChain { what: "genesis", .. }))
        ),
        "{refused:?}"
    );
    assert_eq!(Storage::peek_config(dir.path()).unwrap(), Some(genesis(2).config));
    let open = open_storage(dir.path(), &genesis(2)).unwrap();
    let locked = open_storage(dir.path(), &genesis(2));
    assert!(matches!(locked, Err(SequencerError::Storage(StorageError::Locked(_)))), "{locked:?}");
    drop(open);
}

#[test]
fn files_that_are_no_database_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("chain.redb"), vec![7; 10_000]).unwrap();
    let refused = open_storage(dir.path(), &genesis(2));
    assert!(
        matches!(refused, Err(SequencerError::Storage(StorageError::Corrupt(_)))),
        "{refused:?}"
    );
}
