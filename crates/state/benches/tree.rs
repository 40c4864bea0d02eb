//! A batch of 10,000 slots, half inserts and half updates, on a tree of a million leaves: native update, proof,
//! stateless verification with update, and the pubdata codec. Also prints what the guest pays: Poseidon2 permutations a slot.

use std::{hint::black_box, time::Duration};

use alloy_primitives::{Address, U256};
use cairn_state::{
    Key, MemStore, Tree, TreeMeta, TreeReader, TreeWitness, WitnessView, Write, code,
    digest::counter, pubdata,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const LEAVES: u64 = 1_000_000;
const SLOTS: u64 = 10_000;

struct Case {
    tree: Tree<MemStore>,
    meta: TreeMeta,
    keys: Vec<Key>,
    writes: Vec<Write>,
    witness: TreeWitness,
}

fn key(n: u64) -> Key {
    Key::slot(&Address::ZERO, &U256::from(n))
}

fn value(n: u64) -> U256 {
    U256::from(n).wrapping_mul(U256::from(0x9e37_79b9_7f4a_7c15u64)) << 16
}

impl Case {
    fn new(tree: Tree<MemStore>, slots: u64) -> Self {
        let updated = (0..slots / 2).map(|n| key(n * (LEAVES / slots)));
        let inserted = (0..slots / 2).map(|n| key(2 * LEAVES + n));
        let mut keys: Vec<Key> = updated.chain(inserted).collect();
        keys.sort();
        let writes =
            keys.iter().zip(7..).map(|(key, n)| Write { key: *key, value: value(n) }).collect();
        let witness = tree.prove(&keys).expect("the tree is whole");
        Self { meta: tree.meta().expect("the store is in memory"), keys, writes, witness, tree }
    }

    fn stateless(&self, words: &[u32]) -> cairn_state::TreeUpdate {
        let view = WitnessView::parse(words).expect("honest");
        let state = view.open(self.meta.root, self.meta.leaf_count).expect("honest");
        for key in &self.keys {
            black_box(state.get(key).expect("covered"));
        }
        state.apply(&self.writes).expect("honest")
    }

    fn report(&self) {
        let words = self.witness.to_words();
        counter::take();
        let update = self.stateless(&words);
        let permutations = counter::take();
        let slots = self.writes.len() as f64;
        eprintln!(
            "{} slots: {:.1} permutations, {:.0} witness bytes, {:.1} pubdata bytes a slot ({} leaves, {} siblings)",
            self.writes.len(),
            permutations as f64 / slots,
            words.len() as f64 * 4.0 / slots,
            pubdata::encode(&update.diffs).len() as f64 / slots,
            self.witness.leaves().len(),
            self.witness.sibling_count(),
        );
    }
}

fn bench(c: &mut Criterion) {
    let entries: Vec<_> = (0..LEAVES - 2).map(|n| (key(n), value(n + 1))).collect();
    let tree = Tree::new(MemStore::from_entries(&entries).expect("distinct keys"));
    for slots in [2, 20, 200, 2_000] {
        Case::new(tree.clone(), slots).report();
    }
    let case = Case::new(tree, SLOTS);
    case.report();
    let words = case.witness.to_words();
    let update = case.stateless(&words);
    let bytes = pubdata::encode(&update.diffs);

    let mut group = c.benchmark_group("tree of 1M leaves, batch of 10k slots");
    group
        .throughput(Throughput::Elements(SLOTS))
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    group.bench_function("compute", |b| b.iter(|| case.tree.compute(&case.writes)));
    group.bench_function("prove", |b| b.iter(|| case.tree.prove(&case.keys)));
    group.bench_function("stateless verify and apply", |b| b.iter(|| case.stateless(&words)));
    group.bench_function("pubdata encode", |b| b.iter(|| pubdata::encode(&update.diffs)));
    group.bench_function("pubdata decode", |b| {
        let store = case.tree.store();
        let leaf_at = |index| store.leaf(index).map(|leaf| leaf.map(|leaf| (leaf.key, leaf.value)));
        b.iter(|| pubdata::decode(&bytes, case.meta.leaf_count, leaf_at));
    });
    group.finish();

    let mut group = c.benchmark_group("hash");
    group.bench_function("compress", |b| {
        let (l, r) = (case.meta.root, case.meta.root);
        b.iter(|| cairn_state::digest::compress(black_box(&l), black_box(&r)));
    });
    group.bench_function("slot key", |b| b.iter(|| key(black_box(5))));
    group.bench_function("code of 24 KiB", |b| {
        b.iter_batched_ref(
            || vec![0x5b; 24 * 1024],
            |code| code::code_digest(code),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
