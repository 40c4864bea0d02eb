//! Blocks and batches.

use alloy_primitives::{Address, B256, U256};
use cairn_primitives::{batch::BatchStatus, da::DaMode};
use cairn_rpc::{ChainError, PoolError};
use cairn_sequencer::{BlockTime, ProofRun, Sequencer, open_storage};
use cairn_stf::genesis::GenesisAccount;
use cairn_storage::{L1Tx, StorageError};

use crate::common::*;

#[tokio::test(flavor = "multi_thread")]
async fn transfers_are_included_and_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let storage = sequencer.storage().clone();
    let mut hashes = Vec::new();
    for nonce in 0..20 {
        for account in 0..4 {
            let (hash, raw) = Tx::new(nonce).sign(&key(account));
            assert_eq!(sequencer.submit(raw).await.unwrap(), hash);
            hashes.push(hash);
        }
    }
    for hash in &hashes {
        included(&storage, *hash).await;
        let at = storage.tx_location(*hash).unwrap().unwrap();
        assert!(storage.receipt(at).unwrap().unwrap().success);
    }
    let state = storage.state().unwrap();
    assert_eq!(state.account(SINK).unwrap().unwrap().balance, 80);
    assert_eq!(state.account(key(0).address()).unwrap().unwrap().nonce, 20);
    let batch = sealed(&sequencer).await;
    let record = storage.batch(batch).unwrap().unwrap();
    assert_eq!(record.tx_count, 80);
    assert_eq!(record.blocks(), (1, storage.head_number()));
    // What is stored is what anyone gets from the witness alone.
    let witness = storage.batch_witness(batch).unwrap().unwrap();
    assert_eq!(cairn_stf::prove_batch(&witness).unwrap(), record.info.publicInput);
    assert_eq!(storage.batch_of_block(1).unwrap(), Some(batch));
    assert_eq!(storage.batch_blobs(batch).unwrap().len(), record.blob_claims.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_come_first_and_batches_settle() {
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let storage = sequencer.storage().clone();
    let ops = vec![deposit(0, SINK, 5), deposit(1, SINK, 7)];
    sequencer.submit_priority_ops(ops.clone(), 10).unwrap();
    included(&storage, ops[1].hash).await;
    assert!(storage.state().unwrap().account(SINK).unwrap().unwrap().balance >= 12);
    assert_eq!((sequencer.status().priority, storage.l1_cursor().unwrap()), ((2, 2), 10));
    // The same again is nothing new; another one in its place is a reorganisation that came too late.
    sequencer.submit_priority_ops(ops, 11).unwrap();
    let other = sequencer.submit_priority_ops(vec![deposit(1, SINK, 8)], 11);
    assert!(matches!(other, Err(StorageError::PriorityConflict { id: 1, .. })), "{other:?}");
    let gap = sequencer.submit_priority_ops(vec![deposit(3, SINK, 8)], 11);
    assert!(matches!(gap, Err(StorageError::Order { got: 3, expected: 2, .. })), "{gap:?}");
    let batch = sealed(&sequencer).await;
    let logs = storage.batch_logs(batch).unwrap();
    assert_eq!(logs.len(), 2);
    let tx = |n| L1Tx { hash: B256::repeat_byte(n), block: 20, timestamp: 30, gas_used: None };
    storage.record_committed(1, 1, tx(1)).unwrap();
    assert_eq!(storage.batch_heads().last_committed_block, storage.head_number());
    storage.record_proven(1, 1, tx(2)).unwrap();
    storage.record_executed(1, 1, tx(3)).unwrap();
    assert_eq!(storage.settlement(1).unwrap().status, BatchStatus::Finalized);
    assert_eq!(storage.batch_heads().executed, 1);
    assert!(matches!(storage.record_committed(2, 2, tx(4)), Err(StorageError::UnknownBatch(2))));
    // L1 takes the execution back, then everything, and has it again by transactions that nobody here knows.
    assert!(!storage.follow_settlement(1, 1, 0).unwrap());
    let record = storage.settlement(1).unwrap();
    assert_eq!(record.status, BatchStatus::Proven);
    assert!(record.commit.is_some() && record.prove.is_some() && record.execute.is_none());
    assert!(!storage.follow_settlement(0, 0, 0).unwrap());
    assert_eq!((storage.batch_heads().committed, storage.settlement(1).unwrap().commit), (0, None));
    assert!(storage.follow_settlement(1, 1, 1).unwrap());
    assert_eq!(storage.batch_heads().last_executed_block, storage.head_number());
    assert!(!storage.follow_settlement(1, 1, 1).unwrap());
    assert!(matches!(storage.follow_settlement(2, 0, 0), Err(StorageError::UnknownBatch(2))));
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_end_at_their_limits() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.batches.limits.txs = 7;
    let sequencer = start(dir.path(), config);
    let storage = sequencer.storage().clone();
    let mut last = B256::ZERO;
    for nonce in 0..30 {
        let (hash, raw) = Tx::new(nonce).sign(&key(0));
        sequencer.submit(raw).await.unwrap();
        last = hash;
    }
    included(&storage, last).await;
    sealed(&sequencer).await;
    let batches: Vec<_> =
        (1..=storage.batch_heads().sealed).map(|n| storage.batch(n).unwrap().unwrap()).collect();
    assert_eq!(batches.iter().map(|b| b.tx_count).sum::<u64>(), 30);
    assert!(
        batches.iter().all(|b| b.tx_count <= 7),
        "{:?}",
        batches.iter().map(|b| b.tx_count).collect::<Vec<_>>()
    );
    for pair in batches.windows(2) {
        assert_eq!(pair[0].blocks().1 + 1, pair[1].blocks().0);
        assert_eq!(pair[0].info.stateRoot, pair[1].public_input.prev_state_root);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_batches_are_sealed_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.batches.max_age = Some(std::time::Duration::from_millis(100));
    let sequencer = start(dir.path(), config);
    sequencer.submit(Tx::new(0).sign(&key(0)).1).await.unwrap();
    until("a batch by age", || sequencer.storage().batch_heads().sealed == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_unsettled_batches_stop_acceptance() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.batches.max_unsettled = 1;
    let sequencer = start(dir.path(), config);
    let (hash, raw) = Tx::new(0).sign(&key(0));
    sequencer.submit(raw).await.unwrap();
    included(sequencer.storage(), hash).await;
    sealed(&sequencer).await;
    until("backpressure", || sequencer.status().backpressure).await;
    let refused = sequencer.submit(Tx::new(1).sign(&key(0)).1).await;
    assert!(
        matches!(&refused, Err(ChainError::Pool(PoolError::Other(why))) if why.contains("batches")),
        "{refused:?}"
    );
    let tx = L1Tx { hash: B256::ZERO, block: 1, timestamp: 1, gas_used: None };
    sequencer.storage().record_executed(1, 1, tx).unwrap();
    until("no backpressure", || !sequencer.status().backpressure).await;
    sequencer.submit(Tx::new(1).sign(&key(0)).1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_built_on_an_old_view_of_l1() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.max_l1_age = Some(std::time::Duration::from_millis(300));
    let sequencer = start(dir.path(), config);
    sequencer.saw_l1();
    let (hash, raw) = Tx::new(0).sign(&key(0));
    sequencer.submit(raw).await.unwrap();
    // Looked at again and again, lest a slow machine's view is old before its block is built.
    let built = || sequencer.storage().tx_location(hash).unwrap().is_some();
    until("a block", || {
        sequencer.saw_l1();
        built()
    })
    .await;
    until("an old view", || sequencer.status().blind).await;
    let refused = sequencer.submit(Tx::new(1).sign(&key(0)).1).await;
    assert!(
        matches!(&refused, Err(ChainError::Pool(PoolError::Other(why))) if why.contains("L1")),
        "{refused:?}"
    );
    sequencer.submit_priority_ops(vec![deposit(0, SINK, 5)], 10).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert_eq!(sequencer.status().priority, (0, 1), "a block was built");
    until("the deposit", || {
        sequencer.saw_l1();
        sequencer.status().priority == (1, 1)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unfit_transactions_get_typed_errors() {
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let refuse = async |tx: Tx, signer: u64| match sequencer.submit(tx.sign(&key(signer)).1).await {
        Err(ChainError::Pool(e)) => e,
        other => panic!("{other:?}"),
    };
    let mut foreign = Tx::new(0);
    foreign.0.chain_id = 1;
    assert_eq!(refuse(foreign, 0).await, PoolError::InvalidChainId { have: 1, want: CHAIN_ID });
    assert!(matches!(refuse(Tx::new(0), 99).await, PoolError::InsufficientFunds { .. }));
    assert!(matches!(
        refuse(Tx::new(0).gas(20_999), 0).await,
        PoolError::IntrinsicGas { have: 20_999, want: 21_000 }
    ));
    assert!(matches!(refuse(Tx::new(0).fee(1, 0), 0).await, PoolError::FeeCapTooLow { .. }));
    assert!(matches!(
        refuse(Tx::new(0).fee(FEE, FEE + 1), 0).await,
        PoolError::TipAboveFeeCap { .. }
    ));
    assert!(matches!(refuse(Tx::new(1 << 40), 0).await, PoolError::NonceTooHigh { .. }));
    assert!(matches!(refuse(Tx::new(u64::MAX), 0).await, PoolError::NonceMax));
    assert!(matches!(refuse(Tx::new(0).gas(1 << 30), 0).await, PoolError::ExceedsTxGasCap { .. }));
    assert!(matches!(
        refuse(Tx::new(0).value(U256::MAX), 0).await,
        PoolError::InsufficientFunds { .. }
    ));
    assert!(matches!(
        refuse(Tx::new(0).create(vec![0; 50_000]), 0).await,
        PoolError::InitCodeTooLarge { .. }
    ));
    for junk in [&[][..], &[0xc0], &[0x02, 1], &[0x7f, 0], &[0x03, 0xc0], &[5; 200_000]] {
        let e = sequencer.submit(junk.to_vec().into()).await;
        assert!(matches!(e, Err(ChainError::Pool(_))), "{e:?}");
    }
    let (hash, raw) = Tx::new(0).sign(&key(0));
    sequencer.submit(raw.clone()).await.unwrap();
    included(sequencer.storage(), hash).await;
    let again = sequencer.submit(raw).await;
    assert!(
        matches!(again, Err(ChainError::Pool(PoolError::NonceTooLow { next: 1, got: 0 }))),
        "{again:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn replacement_and_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.block_time = BlockTime::Manual;
    let sequencer = start(dir.path(), config);
    let first = Tx::new(0).sign(&key(0));
    sequencer.submit(first.1.clone()).await.unwrap();
    assert!(matches!(
        sequencer.submit(first.1).await,
        Err(ChainError::Pool(PoolError::AlreadyKnown))
    ));
    let low = sequencer.submit(Tx::new(0).fee(FEE + FEE / 11, 0).sign(&key(0)).1).await;
    assert!(matches!(low, Err(ChainError::Pool(PoolError::ReplacementUnderpriced))));
    let better = Tx::new(0).fee(FEE + FEE / 10, 0).sign(&key(0));
    sequencer.submit(better.1).await.unwrap();
    let behind_gap = Tx::new(2).sign(&key(0));
    sequencer.submit(behind_gap.1).await.unwrap();
    sequencer.mine().await.unwrap();
    let storage = sequencer.storage();
    assert!(storage.tx_location(better.0).unwrap().is_some());
    assert!(storage.tx_location(first.0).unwrap().is_none());
    assert_eq!(sequencer.status().pooled, 1);
    let filler = Tx::new(1).sign(&key(0));
    sequencer.submit(filler.1).await.unwrap();
    sequencer.mine().await.unwrap();
    assert!(storage.tx_location(behind_gap.0).unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn new_fee_parameters_begin_a_batch() {
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let (a, raw) = Tx::new(0).sign(&key(0));
    sequencer.submit(raw).await.unwrap();
    included(sequencer.storage(), a).await;
    let mut fees = sequencer.config().fees;
    fees.base_fee += 1;
    sequencer.set_fee_params(fees).unwrap();
    let (b, raw) = Tx::new(1).sign(&key(0));
    sequencer.submit(raw).await.unwrap();
    included(sequencer.storage(), b).await;
    sealed(&sequencer).await;
    let storage = sequencer.storage();
    assert_eq!(storage.batch(1).unwrap().unwrap().fee_params, sequencer.config().fees);
    assert_eq!(storage.batch(2).unwrap().unwrap().fee_params, fees);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_cannot_be_proven_is_cut_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.block_time = BlockTime::Manual;
    // A machine with room for two blocks.
    config.batches.proof_run = Some(ProofRun::new(|witness| {
        let blocks = cairn_stf::BatchWitness::decode(witness).unwrap().input.blocks.len();
        if blocks > 2 {
            return Err(format!("out of memory at block {blocks}"));
        }
        cairn_stf::prove_batch(witness).map_err(|e| e.to_string())
    }));
    let sequencer = start(dir.path(), config.clone());
    let storage = sequencer.storage().clone();
    for nonce in 0..7 {
        sequencer.submit(Tx::new(nonce).sign(&key(0)).1).await.unwrap();
        sequencer.mine().await.unwrap();
    }
    sequencer.seal_now().await.unwrap();
    until("all blocks in batches", || storage.batch_heads().last_sealed_block == 7).await;
    assert_eq!(sequencer.status().halted, None);
    let sealed_batches = storage.batch_heads().sealed;
    assert!(sealed_batches >= 4, "{sealed_batches} batches of at most two blocks");
    // What follows goes on behind them, and so does a restart.
    sequencer.submit(Tx::new(7).sign(&key(0)).1).await.unwrap();
    sequencer.mine().await.unwrap();
    let next = sealed(&sequencer).await;
    assert_eq!(storage.batch_heads().sealed, sealed_batches + 1);
    assert_eq!(next, sealed_batches + 1, "who asked is told the batch that it became");
    sequencer.stop();
    drop((sequencer, storage));
    let sequencer = start(dir.path(), config);
    assert_eq!(sequencer.status().batches.sealed, sealed_batches + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_block_that_cannot_be_proven_halts() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.batches.proof_run = Some(ProofRun::new(|_| Err("trap".into())));
    let sequencer = start(dir.path(), config);
    sequencer.submit(Tx::new(0).sign(&key(0)).1).await.unwrap();
    until("a block", || sequencer.status().head == 1).await;
    sequencer.seal_now().await.unwrap();
    until("the halt", || sequencer.status().halted.is_some()).await;
    let why = sequencer.status().halted.unwrap();
    assert!(why.contains("the proven program: trap"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_fits_in_no_batch_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.batches.limits.worst_cycles = 30_000_000;
    let sequencer = start(dir.path(), config);
    let storage = sequencer.storage().clone();
    // Spins until its gas is gone.
    let spin = Tx::new(0).create(alloy_primitives::hex!("5b5f56")).sign(&key(0));
    sequencer.submit(spin.1).await.unwrap();
    let (hash, raw) = Tx::new(0).sign(&key(1));
    sequencer.submit(raw).await.unwrap();
    included(&storage, hash).await;
    until("the drop", || sequencer.status().pooled == 0).await;
    assert_eq!(storage.tx_location(spin.0).unwrap(), None);
    assert_eq!(sequencer.status().halted, None);
}

/// A transaction that reads more code than a batch may prove is dropped; the batch that it met goes on, and those behind it are not counted with what it read.
#[tokio::test(flavor = "multi_thread")]
async fn what_fits_in_no_batch_burdens_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let mut genesis = genesis(8);
    let long = |i: u8| Address::with_last_byte(i).create(1);
    for i in 0..8 {
        let code = vec![0; 24_576].into();
        genesis.accounts.insert(long(i), GenesisAccount { code, ..Default::default() });
    }
    let mut config = config();
    config.block_time = BlockTime::Manual;
    config.batches.da_mode = DaMode::Calldata;
    // Room for the code of about five.
    config.batches.limits.cycles = 5_000_000;
    let storage = open_storage(dir.path(), &genesis).unwrap();
    let sequencer = Sequencer::start(config, storage.clone()).unwrap();
    let first = Tx::new(0).sign(&key(0));
    sequencer.submit(first.1).await.unwrap();
    sequencer.mine().await.unwrap();

    let sizes: Vec<u8> =
        (0..8).flat_map(|i| [&[0x73][..], &long(i)[..], &[0x3b, 0x50]].concat()).collect();
    let greedy = Tx::new(0).create(sizes).gas(1_000_000).fee(2 * FEE, FEE).sign(&key(1));
    sequencer.submit(greedy.1).await.unwrap();
    let mut behind = Vec::new();
    for i in 2..6 {
        let (hash, raw) = Tx::new(0).sign(&key(i));
        sequencer.submit(raw).await.unwrap();
        behind.push(hash);
    }
    sequencer.mine().await.unwrap();
    assert_eq!(sequencer.status().pooled, 0);
    assert_eq!(storage.tx_location(greedy.0).unwrap(), None);
    for hash in behind {
        assert!(storage.tx_location(hash).unwrap().is_some(), "{hash} was dropped as well");
    }
    // One batch holds both blocks, and its witness none of the code.
    assert_eq!(sealed(&sequencer).await, 1);
    assert_eq!(storage.batch(1).unwrap().unwrap().blocks(), (1, 2));
    assert!(storage.batch_witness(1).unwrap().unwrap().len() < 24_576);
}
