//! The store against plain models.

use std::collections::HashMap;

use alloy_primitives::{Address, B256, Bloom, Bytes, U256, keccak256};
use cairn_primitives::batch::{PublicInput, StoredBatchInfo};
use cairn_primitives::da::DaMode;
use cairn_primitives::{BlockHeader, ChainConfig};
use cairn_state::{Key, MemStore, Tree, TreeChanges, TreeReader, Write};
use cairn_storage::{
    Account, BatchRecord, BlockCommit, BlockRecord, ChainIdentity, LogEntry, SealedBatch,
    StateDiff, Storage, StorageError,
};
use proptest::prelude::*;

fn identity() -> ChainIdentity {
    ChainIdentity { config: ChainConfig::eth_rollup(1, 2), genesis_digest: B256::ZERO }
}

fn block(number: u64, parent_hash: B256) -> BlockRecord {
    let header = BlockHeader {
        chain_id: 1,
        number,
        timestamp: number,
        parent_hash,
        txs_rolling_hash: B256::ZERO,
        base_fee: 1,
        gas_used: 0,
        beneficiary: Address::ZERO,
    };
    BlockRecord {
        hash: header.hash(),
        header,
        gas_limit: 1,
        gas_per_pubdata: 1,
        tx_count: 0,
        priority_count: 0,
        l2_to_l1_count: 0,
        pubdata_bytes: 0,
        size: 0,
        built_at_ms: 0,
    }
}

fn info() -> StoredBatchInfo {
    StoredBatchInfo {
        batchNumber: 0,
        stateRoot: B256::ZERO,
        leafCount: 2,
        lastBlock: 0,
        lastBlockHash: B256::ZERO,
        lastTimestamp: 0,
        priorityOpsCount: 0,
        priorityOpsHashAfter: B256::ZERO,
        l2ToL1Root: B256::ZERO,
        publicInput: B256::ZERO,
    }
}

fn open(dir: &std::path::Path) -> Storage {
    let storage = Storage::open(dir, &identity()).unwrap();
    if !storage.is_initialized() {
        let tree = [TreeChanges::genesis()];
        storage.init_genesis(&block(0, B256::ZERO), &StateDiff::default(), &tree, &info()).unwrap();
    }
    storage
}

fn commit(storage: &Storage, diff: StateDiff) -> Result<(), StorageError> {
    let head = storage.head().unwrap();
    let block = block(head.header.number + 1, head.hash);
    storage.commit_block(&BlockCommit {
        block,
        bloom: Bloom::ZERO,
        transactions: Vec::new(),
        diff,
        next_priority_id: 0,
        priority_ops: Vec::new(),
    })
}

fn account(nonce: u64) -> Account {
    Account { nonce, balance: u128::from(nonce), ..Account::default() }
}

type Change = (Vec<(u8, u64)>, Vec<(u8, u8, u64)>);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let accounts = prop::collection::vec((0..4u8, 0..3u64), 0..3);
    let slots = prop::collection::vec((0..3u8, 0..3u8, 0..3u64), 0..4);
    prop::collection::vec((accounts, slots), 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The state after every block stays what it was, also after the store was opened again.
    #[test]
    fn history_is_the_states_that_were(blocks in changes()) {
        let dir = tempfile::tempdir().unwrap();
        let storage = open(dir.path());
        let mut states = vec![(HashMap::new(), HashMap::new())];
        for (accounts, slots) in blocks {
            let (mut a, mut s) = states[states.len() - 1].clone();
            let accounts: HashMap<u8, u64> = accounts.into_iter().collect();
            let slots: HashMap<(u8, u8), u64> = slots.into_iter().map(|(x, y, v)| ((x, y), v)).collect();
            let diff = StateDiff {
                // Nonce 0 stands for an account that ceases to exist.
                accounts: accounts.iter().map(|(i, n)| (Address::repeat_byte(*i), (*n > 0).then(|| account(*n)))).collect(),
                storage: slots.iter().map(|((x, y), v)| (Address::repeat_byte(*x), U256::from(*y), U256::from(*v))).collect(),
                codes: Vec::new(),
            };
            commit(&storage, diff).unwrap();
            a.extend(accounts);
            s.extend(slots);
            states.push((a, s));
        }
        drop(storage);
        let storage = open(dir.path());
        for (n, (accounts, slots)) in states.iter().enumerate() {
            let state = storage.state_at(n as u64).unwrap().unwrap();
            for i in 0..4u8 {
                let expected = accounts.get(&i).filter(|n| **n > 0).map(|n| account(*n));
                prop_assert_eq!(state.account(Address::repeat_byte(i)).unwrap(), expected, "block {}", n);
            }
            for (x, y) in (0..3u8).flat_map(|x| (0..3u8).map(move |y| (x, y))) {
                let expected = U256::from(slots.get(&(x, y)).copied().unwrap_or(0));
                prop_assert_eq!(state.storage(Address::repeat_byte(x), U256::from(y)).unwrap(), expected);
            }
        }
        prop_assert!(storage.state_at(states.len() as u64).unwrap().is_none());
    }
}

#[test]
fn blocks_must_follow_the_head() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    commit(&storage, StateDiff::default()).unwrap();
    let with = |block| BlockCommit {
        block,
        bloom: Bloom::ZERO,
        transactions: Vec::new(),
        diff: StateDiff::default(),
        next_priority_id: 0,
        priority_ops: Vec::new(),
    };
    let skip = storage.commit_block(&with(block(3, storage.head().unwrap().hash)));
    assert!(matches!(skip, Err(StorageError::Order { got: 3, expected: 2, .. })), "{skip:?}");
    let fork = storage.commit_block(&with(block(2, B256::ZERO)));
    assert!(matches!(fork, Err(StorageError::Parent { number: 2, .. })), "{fork:?}");
    assert_eq!(storage.head_number(), 1);
    let again = storage.init_genesis(&block(0, B256::ZERO), &StateDiff::default(), &[], &info());
    assert!(matches!(again, Err(StorageError::Order { .. })), "{again:?}");
}

#[test]
fn code_appears_with_its_block() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let code = Bytes::from_static(b"code");
    let hash = keccak256(&code);
    commit(&storage, StateDiff { codes: vec![(hash, code.clone())], ..StateDiff::default() })
        .unwrap();
    // Published again later, it still dates from the first time.
    commit(&storage, StateDiff { codes: vec![(hash, code.clone())], ..StateDiff::default() })
        .unwrap();
    assert_eq!(storage.state_at(0).unwrap().unwrap().code(hash).unwrap(), None);
    assert_eq!(storage.state_at(1).unwrap().unwrap().code(hash).unwrap(), Some(code));
}

/// The stored tree is the tree in memory: same genesis, reads, and updates computed over it.
#[test]
fn the_stored_tree_is_the_tree_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let writes: Vec<Write> = {
        let mut all: Vec<_> = (1..200u64)
            .map(|i| Write { key: Key::slot(&Address::ZERO, &U256::from(i)), value: U256::from(i) })
            .collect();
        all.sort_unstable_by_key(|w| w.key);
        all
    };
    let mut memory = Tree::new(MemStore::new());
    let (_, changes) = memory.compute(&writes).unwrap();
    let storage = Storage::open(dir.path(), &identity()).unwrap();
    let tree = [TreeChanges::genesis(), changes];
    storage.init_genesis(&block(0, B256::ZERO), &StateDiff::default(), &tree, &info()).unwrap();
    memory.apply(&writes).unwrap();
    let stored = Tree::new(storage.tree().unwrap());
    assert_eq!(stored.meta().unwrap(), memory.meta().unwrap());
    let keys: Vec<Key> = (0..300u64).map(|i| Key::slot(&Address::ZERO, &U256::from(i))).collect();
    assert_eq!(stored.prove(&keys).unwrap(), memory.prove(&keys).unwrap());
    let more = [Write { key: Key::account(&Address::ZERO), value: U256::from(7) }];
    assert_eq!(stored.compute(&more).unwrap(), memory.compute(&more).unwrap());
    assert!(stored.store().leaf(500).unwrap().is_none());
}

fn accepted(i: u8) -> LogEntry {
    LogEntry::Accepted { sender: Address::repeat_byte(i), raw: vec![i; usize::from(i) + 1].into() }
}

#[test]
fn the_log_keeps_what_was_synced_and_drops_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let (log, old) = storage.open_tx_log().unwrap();
    assert!(old.is_empty());
    let entries: Vec<LogEntry> =
        (0..50).map(accepted).chain([LogEntry::Dropped(B256::repeat_byte(3))]).collect();
    let writes: Vec<_> = entries.iter().map(|e| log.append(e).unwrap()).collect();
    for write in writes {
        write.blocking_recv().unwrap().unwrap();
    }
    drop(log);
    let segment =
        std::fs::read_dir(dir.path().join("pool")).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(&segment).unwrap();
    // Cut anywhere in the last record, or damaged there: all before it is read, and the file is mended.
    for cut in [whole.len() - 1, whole.len() - 20, whole.len() - 40] {
        std::fs::write(&segment, &whole[..cut]).unwrap();
        assert_eq!(storage.open_tx_log().unwrap().1, entries[..50]);
    }
    let mut damaged = whole.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    std::fs::write(&segment, &damaged).unwrap();
    assert_eq!(storage.open_tx_log().unwrap().1, entries[..50]);
}

#[test]
fn rotation_forgets_only_older_segments() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let (log, _) = storage.open_tx_log().unwrap();
    let sync = |e: &LogEntry| log.append(e).unwrap().blocking_recv().unwrap().unwrap();
    (0..5).for_each(|i| sync(&accepted(i)));
    let segment = log.rotate().unwrap().blocking_recv().unwrap().unwrap();
    sync(&accepted(9));
    log.forget_before(segment).unwrap();
    sync(&accepted(10));
    assert_eq!(storage.open_tx_log().unwrap().1, [accepted(9), accepted(10)]);
    let oversized = LogEntry::Accepted { sender: Address::ZERO, raw: vec![0; 1 << 20].into() };
    assert!(matches!(log.append(&oversized), Err(StorageError::TooLarge { .. })));
}

#[test]
fn cursors_and_proofs_survive() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    storage.set_cursor("watcher", b"7").unwrap();
    storage.put_proof(1, "shard-0", &[1, 2, 3]).unwrap();
    drop(storage);
    let storage = open(dir.path());
    assert_eq!(storage.cursor("watcher").unwrap().unwrap(), b"7");
    assert_eq!(storage.proof(1, "shard-0").unwrap().unwrap(), [1, 2, 3]);
    assert_eq!(storage.proof(1, "shard-1").unwrap(), None);
    assert!(matches!(
        storage.set_cursor("x", &vec![0; 2 << 20]),
        Err(StorageError::TooLarge { .. })
    ));
}

/// A recovered chain knows state by the hashes of its names; later blocks write by name, and remove without bringing the old back.
#[test]
fn a_recovered_chain_is_read_written_and_looked_back_at() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let (alice, bob, slot) = (Address::repeat_byte(1), Address::repeat_byte(2), U256::from(7));
    let leaf = |nonce, balance| cairn_state::AccountLeaf { nonce, has_code: false, balance };
    let leaves = vec![
        (Key::account(&alice), leaf(3, 500).to_value()),
        (Key::account(&bob), leaf(1, 9).to_value()),
        (Key::slot(&alice, &slot), U256::from(42)),
    ];
    let first = block(1, storage.head().unwrap().hash);
    let chain = |blocks| cairn_storage::RecoveredChain {
        blocks,
        leaves: leaves.clone(),
        codes: [(B256::repeat_byte(5), Bytes::from_static(b"code"))],
        next_priority_id: 2,
    };
    // Blocks that no batch holds are refused: the directory stays as it was.
    assert!(matches!(
        storage.finish_recovery(chain(vec![first.clone()])),
        Err(StorageError::Order { .. })
    ));
    seal_empty(&storage, 1);
    storage.finish_recovery(chain(vec![first.clone()])).unwrap();
    assert!(storage.finish_recovery(chain(vec![first.clone()])).is_err(), "only once");
    drop(storage);
    let storage = open(dir.path());
    assert_eq!((storage.head_number(), storage.next_priority_id().unwrap()), (1, 2));
    assert!(storage.state_at(0).unwrap().is_none(), "nothing is known of earlier states");
    let state = storage.state().unwrap();
    assert_eq!(state.account(alice).unwrap().map(|a| (a.nonce, a.balance)), Some((3, 500)));
    assert_eq!(state.storage(alice, slot).unwrap(), U256::from(42));
    assert_eq!(state.account(Address::repeat_byte(3)).unwrap(), None);
    assert_eq!(state.block_hash(1).unwrap(), Some(first.hash));
    assert!(state.code(B256::repeat_byte(5)).unwrap().is_some());

    let diff = StateDiff {
        accounts: vec![(alice, Some(Account { nonce: 4, ..Account::default() })), (bob, None)],
        storage: vec![(alice, slot, U256::ZERO)],
        codes: vec![],
    };
    storage
        .commit_block(&BlockCommit {
            block: block(2, first.hash),
            bloom: Bloom::ZERO,
            transactions: vec![],
            diff,
            next_priority_id: 2,
            priority_ops: vec![],
        })
        .unwrap();
    let (now, then) = (storage.state().unwrap(), storage.state_at(1).unwrap().unwrap());
    assert_eq!(now.account(alice).unwrap().map(|a| a.nonce), Some(4));
    assert_eq!(now.account(bob).unwrap(), None, "removed, whatever was recovered");
    assert_eq!(now.storage(alice, slot).unwrap(), U256::ZERO);
    assert_eq!(then.account(alice).unwrap().map(|a| (a.nonce, a.balance)), Some((3, 500)));
    assert_eq!(then.account(bob).unwrap().map(|a| a.balance), Some(9));
    assert_eq!(then.storage(alice, slot).unwrap(), U256::from(42));
}

/// Seals a batch of blocks up to `last` that changes nothing.
fn seal_empty(storage: &Storage, last: u64) {
    let public_input = PublicInput {
        protocol_version: 1,
        guest_program_id: B256::ZERO,
        chain_id: 1,
        batch_number: 1,
        first_block: 1,
        last_block: last,
        first_timestamp: 1,
        last_timestamp: last,
        prev_state_root: B256::ZERO,
        prev_leaf_count: 2,
        prev_block_hash: B256::ZERO,
        new_state_root: B256::ZERO,
        new_leaf_count: 2,
        last_block_hash: B256::ZERO,
        priority_ops_count: 0,
        priority_ops_hash_before: B256::ZERO,
        priority_ops_hash_after: B256::ZERO,
        l2_to_l1_root: B256::ZERO,
        da_commitment: B256::ZERO,
        imported_roots_hash: B256::ZERO,
        fee_params_hash: B256::ZERO,
        operator: Address::ZERO,
        chain_config_hash: B256::ZERO,
    };
    let record = BatchRecord {
        info: StoredBatchInfo::from_public_input(&public_input, 0),
        public_input,
        tx_count: 0,
        priority_count: 0,
        gas_used: 0,
        fee_params: cairn_primitives::FeeParams { base_fee: 1, gas_per_pubdata: 1 },
        da_mode: DaMode::Calldata,
        pubdata_hash: B256::ZERO,
        pubdata_len: 0,
        blob_claims: vec![],
        blob_commitments: vec![],
        logs_root: B256::ZERO,
        logs_count: 0,
        sealed_at_ms: 0,
    };
    let (_, tree) = Tree::new(storage.tree().unwrap()).compute(&[]).unwrap();
    let batch = SealedBatch { record, pubdata: &[], witness: &[], logs: &[], tree };
    storage.seal_batch(batch).unwrap();
    storage.follow_settlement(1, 1, 0).unwrap();
    assert_eq!((storage.batch_heads().proven, storage.batch_heads().executed), (1, 0));
    assert_eq!(storage.batch_witness(1).unwrap(), None);
}
