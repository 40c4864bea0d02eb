//! The tree and its witnesses against a naive model that recomputes everything from a list.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256, hex};
use cairn_state::{
    Digest, Key, Leaf, MemStore, Tree, TreeChanges, TreeReader, TreeWitness, Write,
    digest::{EMPTY, compress},
    pubdata,
};
use proptest::prelude::*;

/// The specification, slowly: a list of (key, value), links found by search, every node of the used prefix rehashed.
#[derive(Clone)]
struct Model {
    entries: Vec<(Key, U256)>,
}

impl Model {
    fn new() -> Self {
        Self { entries: vec![(Key::MIN, U256::ZERO), (Key::MAX, U256::ZERO)] }
    }

    fn get(&self, key: &Key) -> Option<U256> {
        self.entries.iter().find(|(k, _)| k == key).map(|(_, value)| *value)
    }

    fn apply(&mut self, writes: &[Write]) {
        for write in writes {
            match self.entries.iter_mut().find(|(k, _)| *k == write.key) {
                Some(entry) => entry.1 = write.value,
                None if write.value.is_zero() => {}
                None => self.entries.push((write.key, write.value)),
            }
        }
    }

    fn root(&self) -> Digest {
        let next = |key: &Key| {
            let above = self.entries.iter().map(|(k, _)| *k).filter(|k| k > key);
            above.min().unwrap_or(Key::MIN)
        };
        let leaf = |(key, value): &(Key, U256)| {
            Leaf { key: *key, value: *value, next_key: next(key) }.hash()
        };
        let mut row: Vec<Digest> = self.entries.iter().map(leaf).collect();
        for empty in &EMPTY[..cairn_state::DEPTH] {
            if row.len() % 2 == 1 {
                row.push(*empty);
            }
            row = row.chunks(2).map(|pair| compress(&pair[0], &pair[1])).collect();
        }
        row[0]
    }
}

fn key(n: u32) -> Key {
    Key::slot(&Address::ZERO, &U256::from(n))
}

fn batch(writes: &BTreeMap<u32, u64>) -> Vec<Write> {
    let mut writes: Vec<_> =
        writes.iter().map(|(k, v)| Write { key: key(*k), value: U256::from(*v) }).collect();
    writes.sort_by_key(|write| write.key);
    writes
}

/// Runs one batch through model, tree, witness and pubdata, and checks that all agree on every number.
fn check_batch(model: &mut Model, tree: &mut Tree<MemStore>, reads: &[u32], writes: &[Write]) {
    let before = tree.clone();
    let old = tree.meta().unwrap();
    let read_keys: Vec<Key> = reads.iter().map(|n| key(*n)).collect();
    let touched: Vec<Key> =
        read_keys.iter().copied().chain(writes.iter().map(|write| write.key)).collect();
    let witness = tree.prove(&touched).unwrap();
    let witness = TreeWitness::from_bytes(&witness.to_bytes()).unwrap();
    let state = witness.verify(old.root, old.leaf_count).unwrap();
    for key in &touched {
        assert_eq!(state.get(key).unwrap(), model.get(key));
        assert_eq!(tree.get(key).unwrap(), model.get(key));
    }
    let stateless = state.apply(writes).unwrap();
    let native = tree.apply(writes).unwrap();
    model.apply(writes);
    assert_eq!(stateless, native);
    assert_eq!(native.root, model.root());
    assert_eq!(native.leaf_count, model.entries.len() as u64);

    let bytes = pubdata::encode(&native.diffs);
    let leaf_at =
        |index| before.store().leaf(index).map(|leaf| leaf.map(|leaf| (leaf.key, leaf.value)));
    let decoded = pubdata::decode(&bytes, old.leaf_count, leaf_at).unwrap();
    assert_eq!(decoded.diffs, native.diffs);
    let mut replayed = before;
    assert_eq!(replayed.apply(&decoded.writes).unwrap().root, native.root);
    assert_eq!(replayed.store(), tree.store());
}

fn batches() -> impl Strategy<Value = Vec<(Vec<u32>, BTreeMap<u32, u64>)>> {
    let reads = proptest::collection::vec(0u32..60, 0..6);
    let writes = proptest::collection::btree_map(0u32..60, 0u64..3, 0..20);
    proptest::collection::vec((reads, writes), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..Default::default() })]

    #[test]
    fn batches_agree_with_the_model(batches in batches()) {
        let (mut model, mut tree) = (Model::new(), Tree::new(MemStore::new()));
        for (reads, writes) in &batches {
            check_batch(&mut model, &mut tree, reads, &batch(writes));
        }
        let leaves = tree.store().leaves().to_vec();
        prop_assert_eq!(&MemStore::from_leaves(leaves).unwrap(), tree.store());
    }
}

/// Every leaf count from 2 to 40 exercises every shape of the right edge, with inserts and without.
#[test]
fn every_edge_shape() {
    let (mut model, mut tree) = (Model::new(), Tree::new(MemStore::new()));
    for n in 0..38u32 {
        check_batch(&mut model, &mut tree, &[n, 1000], &[]);
        let mut writes = BTreeMap::from([(n, 7)]);
        if n > 2 {
            writes.insert(n / 2, u64::from(n) + 100);
        }
        check_batch(&mut model, &mut tree, &[n / 3], &batch(&writes));
    }
    for size in [0u32, 1, 2, 5, 64, 300] {
        let writes = (0..size).map(|i| (size * 1000 + i, 1)).collect();
        check_batch(&mut model, &mut tree, &[], &batch(&writes));
    }
}

#[test]
fn genesis_is_the_empty_store() {
    let store = MemStore::new();
    let genesis = TreeChanges::genesis();
    assert_eq!(store.meta().unwrap(), genesis.meta);
    for change in &genesis.nodes {
        assert_eq!(store.node(change.level, change.index).unwrap(), Some(change.digest));
    }
    assert_eq!(genesis.nodes.len(), 41);
    assert_eq!(Model::new().root(), genesis.meta.root);
}

#[test]
fn entries_equal_batches_of_one() {
    let entries: Vec<_> = (0..50).map(|n| (key(n), U256::from(n + 1))).collect();
    let mut tree = Tree::new(MemStore::new());
    for (key, value) in &entries {
        tree.apply(&[Write { key: *key, value: *value }]).unwrap();
    }
    assert_eq!(tree.store(), &MemStore::from_entries(&entries).unwrap());
}

/// Roots of fixed trees: a change of hash, key, leaf or order rule shows here.
#[test]
fn golden_roots() {
    let mut tree = Tree::new(MemStore::new());
    let mut roots = vec![tree.meta().unwrap().root];
    for range in [0..1u32, 1..10, 5..200] {
        let writes = range.map(|n| (n, u64::from(n) + 1)).collect();
        roots.push(tree.apply(&batch(&writes)).unwrap().root);
    }
    let roots: Vec<String> = roots.iter().map(|root| hex::encode(root.to_bytes())).collect();
    assert_eq!(roots, GOLDEN);
}

const GOLDEN: [&str; 4] = [
    "17f995c82a5861237cbdf85914e488ce7ab901105f2e12930004379900048e18",
    "558a8cc839f7bcde456b56cc3114d76832265f5a59fdc1aa4d8971197eea44d4",
    "592e19780ec07516654d4ab224e82fa450c4d5995b59d0674f7d1ab45337fe13",
    "60b81e6563a4f6fa6f28b1e231555425297f0c74243494385f49d2262792ad9f",
];
