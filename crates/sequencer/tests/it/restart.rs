//! Reopening, and directories that are not this chain's.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use cairn_primitives::{ChainConfig, da::DaMode};
use cairn_sequencer::{BlockTime, ProofRun, SequencerError, open_storage};
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
    // What the first run left open is a batch of its own.
    let batch = sealed(&sequencer).await;
    assert_eq!(batch, 2);
    for (number, blocks) in [(1, (1, 1)), (2, (2, 2))] {
        assert_eq!(sequencer.storage().batch(number).unwrap().unwrap().blocks(), blocks);
    }
}

/// A start inside a task of tokio's reads back more transactions than the task's cooperative budget has turns.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_pool_is_there_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut manual = config();
    manual.block_time = BlockTime::Manual;
    let sequencer = start(dir.path(), manual.clone());
    let writes = (0..300).map(|nonce| sequencer.submit(Tx::new(nonce).sign(&key(0)).1));
    futures::future::try_join_all(writes).await.unwrap();
    sequencer.stop();
    drop(sequencer);

    // In a runtime of its own that nobody waits for, so that a start that hangs fails this test.
    let (path, (done, pooled)) = (dir.path().to_path_buf(), std::sync::mpsc::channel());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        done.send(runtime.block_on(async { start(&path, manual).status().pooled })).unwrap();
    });
    assert_eq!(pooled.recv_timeout(Duration::from_secs(30)), Ok(300), "the start hangs");
}

/// More batches wait to be sealed than the queue takes, and nothing can be sealed: the node is there all the same, and seals them when it can.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_does_not_wait_for_batches_to_be_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let mut stuck = config();
    stuck.block_time = BlockTime::Manual;
    stuck.batches.da_mode = DaMode::Calldata;
    let shut = gate.clone();
    stuck.batches.proof_run = Some(ProofRun::new(move |witness| {
        // Not for ever, so that a failure of this test ends it.
        let open = shut.0.lock().unwrap();
        drop(shut.1.wait_timeout_while(open, Duration::from_secs(30), |open| !*open).unwrap());
        cairn_stf::prove_batch(witness).map_err(|e| e.to_string())
    }));
    const BLOCKS: u64 = 60;
    let mut first = stuck.clone();
    first.batches.proof_run = None;
    let sequencer = start(dir.path(), first);
    for nonce in 0..BLOCKS {
        sequencer.submit(Tx::new(nonce).sign(&key(0)).1).await.unwrap();
        sequencer.mine().await.unwrap();
    }
    assert_eq!(sequencer.storage().batch_heads().sealed, 0);
    sequencer.stop();
    drop(sequencer);

    // One transaction a batch now.
    stuck.batches.limits.txs = 1;
    let sequencer = start(dir.path(), stuck);
    let status = sequencer.status();
    assert_eq!((status.head, status.batches.sealed), (BLOCKS, 0));
    sequencer.mine().await.unwrap();
    let seal = tokio::spawn({
        let sequencer = sequencer.clone();
        async move { sequencer.seal_now().await.unwrap() }
    });
    until("backpressure", || sequencer.status().backpressure).await;
    assert!(sequencer.submit(Tx::new(BLOCKS).sign(&key(0)).1).await.is_err());
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    let last = seal.await.unwrap();
    assert_eq!(last, BLOCKS + 1, "those of the first run, and the one that was asked for");
    until("all batches", || sequencer.storage().batch_heads().sealed == last).await;
    until("no backpressure", || !sequencer.status().backpressure).await;
    sequencer.submit(Tx::new(BLOCKS).sign(&key(0)).1).await.unwrap();
    for n in 1..=last {
        assert_eq!(sequencer.storage().batch(n).unwrap().unwrap().blocks(), (n, n));
    }
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
