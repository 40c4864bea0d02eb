//! An attacker writes the witness. Every lie is refused: by its structure, or because it does not hash to the root.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use cairn_state::{
    CAPACITY, Digest, Key, Leaf, MemStore, Tree, TreeMeta, TreeReader, TreeWitness, WitnessError,
    Write, digest::P, update::PlanError, witness::WitnessView,
};
use proptest::prelude::*;

const LEAF_WORDS: usize = 26;
const NEXT_KEY: usize = 16;
const INDEX: usize = 24;

fn key(n: u32) -> Key {
    Key::slot(&Address::ZERO, &U256::from(n))
}

fn write(key: Key, value: u64) -> Write {
    Write { key, value: U256::from(value) }
}

/// A tree of 30 entries, a witness for ten of them and two absent keys, and what it is checked against.
struct Fixture {
    tree: Tree<MemStore>,
    meta: TreeMeta,
    keys: Vec<Key>,
    absent: [Key; 2],
    words: Vec<u32>,
    leaves: usize,
}

impl Fixture {
    fn new() -> Self {
        let entries: Vec<_> = (0..30).map(|n| (key(n), U256::from(n + 1))).collect();
        let tree = Tree::new(MemStore::from_entries(&entries).unwrap());
        let mut keys: Vec<Key> = (10..20).map(key).collect();
        keys.sort();
        let mut absent = [key(100), key(101)];
        absent.sort();
        let witness = tree.prove(&[&keys[..], &absent].concat()).unwrap();
        let meta = tree.meta().unwrap();
        Self { meta, keys, absent, words: witness.to_words(), leaves: witness.leaves().len(), tree }
    }

    fn leaf(&self, i: usize) -> usize {
        2 + i * LEAF_WORDS
    }

    fn position(&self, i: usize) -> usize {
        2 + self.leaves * LEAF_WORDS + i
    }

    fn sibling(&self, i: usize) -> usize {
        self.position(self.leaves) + i * 8
    }

    /// What happens to the witness after `change`, used as the guest does: open, then apply.
    fn after(&self, change: impl FnOnce(&mut Vec<u32>)) -> Result<(), WitnessError> {
        let mut words = self.words.clone();
        change(&mut words);
        self.run(&words)
    }

    fn run(&self, words: &[u32]) -> Result<(), WitnessError> {
        let state = WitnessView::parse(words)?.open(self.meta.root, self.meta.leaf_count)?;
        let mut writes =
            vec![write(self.keys[0], 99), write(self.absent[0], 5), write(self.absent[1], 6)];
        writes.sort_by_key(|write| write.key);
        state.apply(&writes).map(|_| ())
    }

    fn owned(&self) -> TreeWitness {
        TreeWitness::from_words(&self.words).unwrap()
    }
}

#[test]
fn the_honest_witness_is_accepted() {
    let f = Fixture::new();
    f.after(|_| ()).unwrap();
    f.owned().verify(f.meta.root, f.meta.leaf_count).unwrap();
}

/// The strongest statement: no word of the encoding may change (a sibling's: not mod p).
#[test]
fn every_word_counts() {
    let f = Fixture::new();
    for i in 0..f.words.len() {
        let changes: [fn(&mut u32); 3] =
            [|w| *w ^= 1, |w| *w = u32::MAX, |w| *w = w.wrapping_add(P)];
        let is_sibling = i >= f.sibling(0);
        for change in &changes[..if is_sibling { 2 } else { 3 }] {
            let result = f.after(|words| change(&mut words[i]));
            assert!(result.is_err(), "word {i}");
        }
    }
}

#[test]
fn a_wrong_root_or_leaf_count_is_refused() {
    let f = Fixture::new();
    let witness = f.owned();
    let mut words = *f.meta.root.as_words();
    words[0] ^= 1;
    let other = Digest::from_words(words).unwrap();
    assert_eq!(
        witness.verify(other, f.meta.leaf_count).unwrap_err(),
        WitnessError::RootMismatch(f.meta.root)
    );
    for count in [f.meta.leaf_count - 1, f.meta.leaf_count + 1, f.meta.leaf_count * 2, CAPACITY] {
        witness.verify(f.meta.root, count).unwrap_err();
    }
    for count in [0, 1, CAPACITY + 1, u64::MAX] {
        assert_eq!(witness.verify(f.meta.root, count).unwrap_err(), WitnessError::LeafCount(count));
    }
}

#[test]
fn keys_out_of_the_witness_are_errors_not_defaults() {
    let f = Fixture::new();
    let witness = f.owned();
    let state = witness.verify(f.meta.root, f.meta.leaf_count).unwrap();
    let untouched = (0..10).map(key).find(|key| state.get(key).is_err()).unwrap();
    assert_eq!(state.get(&untouched), Err(WitnessError::NotCovered(untouched)));
    assert_eq!(state.value(&untouched), Err(WitnessError::NotCovered(untouched)));
    assert_eq!(
        state.apply(&[write(untouched, 1)]),
        Err(WitnessError::Writes(PlanError::NotCovered(untouched)))
    );
    let empty = TreeWitness::default();
    let state = empty.view().open(f.meta.root, f.meta.leaf_count).unwrap();
    assert_eq!(state.get(&f.keys[0]), Err(WitnessError::NotCovered(f.keys[0])));
    assert_eq!(
        state.apply(&[write(f.keys[0], 1)]),
        Err(WitnessError::Writes(PlanError::NotCovered(f.keys[0])))
    );
}

#[test]
fn duplicate_leaves_are_refused() {
    let f = Fixture::new();
    // A whole copy of a leaf in another's place: equal keys.
    let same = f.after(|words| words.copy_within(f.leaf(2)..f.leaf(3), f.leaf(3)));
    assert_eq!(same, Err(WitnessError::UnsortedLeaves(3)));
    // The same leaf twice with two values, as two neighbours in key order cannot share a key; and twice the same index.
    let same_index =
        f.after(|words| words.copy_within(f.leaf(2) + INDEX..f.leaf(3), f.leaf(3) + INDEX));
    assert!(matches!(same_index, Err(WitnessError::UnsortedIndices(_))));
}

#[test]
fn leaves_out_of_order_are_refused() {
    let f = Fixture::new();
    let swapped = f.after(|words| {
        let (a, b) = words.split_at_mut(f.leaf(1));
        a[f.leaf(0)..].swap_with_slice(&mut b[..LEAF_WORDS]);
    });
    assert_eq!(swapped, Err(WitnessError::UnsortedLeaves(1)));
    let positions = f.after(|words| words.swap(f.position(0), f.position(1)));
    assert_eq!(positions, Err(WitnessError::UnsortedIndices(1)));
    let repeated = f.after(|words| words[f.position(1)] = words[f.position(0)]);
    assert_eq!(repeated, Err(WitnessError::UnsortedIndices(1)));
    let outside = f.after(|words| words[f.position(0)] = f.leaves as u32);
    assert_eq!(outside, Err(WitnessError::UnsortedIndices(0)));
}

#[test]
fn a_leaf_beyond_the_leaf_count_is_refused() {
    let f = Fixture::new();
    let last = *f.words[f.position(0)..f.position(f.leaves)].last().unwrap() as usize;
    let beyond = |low: u32, high: u32| {
        f.after(|words| {
            (words[f.leaf(last) + INDEX], words[f.leaf(last) + INDEX + 1]) = (low, high)
        })
    };
    assert_eq!(beyond(f.meta.leaf_count as u32, 0), Err(WitnessError::IndexOutOfRange(last)));
    assert_eq!(beyond(0, 1), Err(WitnessError::IndexOutOfRange(last)));
    assert_eq!(beyond(u32::MAX, u32::MAX), Err(WitnessError::IndexOutOfRange(last)));
}

#[test]
fn non_canonical_elements_are_refused() {
    let f = Fixture::new();
    for word in 0..8 {
        let at_key = f.after(|words| words[f.leaf(1) + word] += P);
        assert_eq!(at_key, Err(WitnessError::NonCanonicalKey(1)));
        let at_next = f.after(|words| words[f.leaf(1) + NEXT_KEY + word] += P);
        assert_eq!(at_next, Err(WitnessError::NonCanonicalKey(1)));
        // A sibling is only hashed, as its value mod p.
        f.after(|words| words[f.sibling(2) + word] += P).unwrap();
    }
}

/// A low leaf that is wider than the truth would let a key that is present be read as absent, and inserted twice.
#[test]
fn a_wrong_low_leaf_is_refused() {
    let f = Fixture::new();
    let present = f.keys[3];
    let honest: Vec<(u64, Leaf)> =
        f.owned().leaves().filter(|(_, leaf)| leaf.key != present).collect();
    let low = honest.iter().rposition(|(_, leaf)| leaf.key < present).unwrap();

    // Without its leaf, the key is not covered by the true neighbour.
    let witness = TreeWitness::new(&honest, &[]);
    let state = witness.view().open(f.meta.root, f.meta.leaf_count).unwrap();
    assert_eq!(state.get(&present), Err(WitnessError::NotCovered(present)));

    // With a stretched neighbour it looks absent, but the root knows.
    let mut forged = honest.clone();
    forged[low].1.next_key = honest.get(low + 1).map_or(Key::MAX, |(_, leaf)| leaf.key);
    let siblings = f.words[f.sibling(0)..]
        .chunks(8)
        .map(|w| Digest::from_words(w.try_into().unwrap()).unwrap());
    let siblings: Vec<Digest> = siblings.collect();
    let witness = TreeWitness::new(&forged, &siblings);
    let state = witness.view().open(f.meta.root, f.meta.leaf_count).unwrap();
    assert_eq!(state.get(&present), Ok(None));
    state.check_root().unwrap_err();
    state.apply(&[write(present, 1)]).unwrap_err();
}

/// A forger with full freedom: forge a leaf and supply the siblings that an honest tree with that leaf would have.
#[test]
fn a_consistent_forgery_misses_the_root() {
    let f = Fixture::new();
    type Forge = fn(&mut Leaf);
    let forgeries: [Forge; 3] = [
        |leaf| leaf.value += U256::ONE,
        |leaf| leaf.next_key = Key::MAX,
        |leaf| leaf.next_key = leaf.key,
    ];
    for forge in forgeries {
        let mut leaves: Vec<_> = f.owned().leaves().collect();
        forge(&mut leaves[4].1);
        let siblings: Vec<Digest> = f.words[f.sibling(0)..]
            .chunks(8)
            .map(|w| Digest::from_words(w.try_into().unwrap()).unwrap())
            .collect();
        let error = TreeWitness::new(&leaves, &siblings)
            .verify(f.meta.root, f.meta.leaf_count)
            .unwrap_err();
        assert!(matches!(error, WitnessError::RootMismatch(_)), "{error}");
    }
}

/// Overlapping ranges: an extra low leaf that claims a range which another leaf's range already holds.
#[test]
fn overlapping_ranges_are_refused() {
    let f = Fixture::new();
    let mut leaves: Vec<_> = f.owned().leaves().collect();
    for i in 0..leaves.len() - 1 {
        let honest = leaves[i].1.next_key;
        leaves[i].1.next_key = Key::MAX;
        let siblings: Vec<Digest> = f.words[f.sibling(0)..]
            .chunks(8)
            .map(|w| Digest::from_words(w.try_into().unwrap()).unwrap())
            .collect();
        let witness = TreeWitness::new(&leaves, &siblings);
        let verdict = witness.verify(f.meta.root, f.meta.leaf_count).map(|_| ());
        assert!(honest == Key::MAX || matches!(verdict, Err(WitnessError::RootMismatch(_))));
        leaves[i].1.next_key = honest;
    }
}

#[test]
fn siblings_must_be_exact() {
    let f = Fixture::new();
    let count = f.owned().sibling_count();
    let fewer = f.after(|words| {
        words[1] -= 1;
        words.truncate(words.len() - 8);
    });
    assert_eq!(fewer, Err(WitnessError::MissingSibling));
    let more = f.after(|words| {
        words[1] += 1;
        words.extend([0; 8]);
    });
    assert_eq!(more, Err(WitnessError::ExtraSiblings(1)));
    for i in 1..count {
        let swapped = f.after(|words| {
            let (a, b) = words.split_at_mut(f.sibling(i));
            a[f.sibling(i - 1)..].swap_with_slice(&mut b[..8]);
        });
        assert!(
            matches!(swapped, Err(WitnessError::RootMismatch(_))),
            "siblings {} and {i}",
            i - 1
        );
    }
}

/// A subtree right of the last leaf is the constant: a witness cannot bring its own.
#[test]
fn leaves_cannot_hide_right_of_the_last() {
    let f = Fixture::new();
    let mut grown = f.tree.clone();
    let update = grown.apply(&[write(key(500), 1)]).unwrap();
    // The root of the larger tree with the smaller count: appending would overwrite the hidden leaf.
    let witness = grown.prove(&f.keys).unwrap();
    witness.verify(update.root, f.meta.leaf_count).unwrap_err();
    // The root of the smaller tree with the larger count: appending would leave a gap.
    f.tree.prove(&f.keys).unwrap().verify(f.meta.root, update.leaf_count).unwrap_err();
}

#[test]
fn bad_writes_are_refused() {
    let f = Fixture::new();
    let witness = f.owned();
    let state = witness.verify(f.meta.root, f.meta.leaf_count).unwrap();
    let apply = |writes: &[Write]| match state.apply(writes) {
        Err(WitnessError::Writes(error)) => error,
        other => panic!("{other:?}"),
    };
    let [low, high] = f.absent;
    assert_eq!(apply(&[write(low, 1), write(low, 2)]), PlanError::UnsortedWrites(1));
    assert_eq!(apply(&[write(high, 1), write(low, 1)]), PlanError::UnsortedWrites(1));
    assert_eq!(apply(&[write(f.keys[0], 1), write(f.keys[0], 1)]), PlanError::UnsortedWrites(1));
    assert_eq!(apply(&[write(Key::MIN, 1)]), PlanError::SentinelKey(0));
    assert_eq!(apply(&[write(low, 1), write(Key::MAX, 1)]), PlanError::SentinelKey(1));
    assert!(matches!(
        f.tree.compute(&[write(Key::MAX, 1)]),
        Err(cairn_state::TreeError::Writes(_))
    ));
}

#[test]
fn the_ends_of_the_key_space_work() {
    let least = Key::from_words([0, 0, 0, 0, 0, 0, 0, 1]).unwrap();
    let greatest =
        Key::from_words([P - 1, P - 1, P - 1, P - 1, P - 1, P - 1, P - 1, P - 2]).unwrap();
    let mut tree = Tree::new(MemStore::new());
    let writes = [write(least, 1), write(greatest, 2)];
    let meta = tree.meta().unwrap();
    let witness = tree.prove(&[least, greatest, Key::MIN, Key::MAX]).unwrap();
    let state = witness.verify(meta.root, meta.leaf_count).unwrap();
    assert_eq!(state.get(&least), Ok(None));
    assert_eq!(state.get(&greatest), Ok(None));
    assert_eq!(state.get(&Key::MAX), Ok(Some(U256::ZERO)));
    let stateless = state.apply(&writes).unwrap();
    assert_eq!(stateless, tree.apply(&writes).unwrap());
    assert_eq!(tree.store().leaf(2).unwrap().unwrap().next_key, greatest);
    assert_eq!(tree.store().leaf(3).unwrap().unwrap().next_key, Key::MAX);
}

#[test]
fn writing_what_is_there_changes_nothing() {
    let f = Fixture::new();
    let witness = f.owned();
    let state = witness.verify(f.meta.root, f.meta.leaf_count).unwrap();
    let value = state.value(&f.keys[0]).unwrap();
    let mut writes = [Write { key: f.keys[0], value }, write(f.absent[0], 0)];
    writes.sort_by_key(|write| write.key);
    let update = state.apply(&writes).unwrap();
    assert_eq!((update.root, update.leaf_count), (f.meta.root, f.meta.leaf_count));
    assert_eq!(update.diffs, Default::default());
    // Clearing a slot keeps its leaf.
    let cleared = state.apply(&[write(f.keys[0], 0)]).unwrap();
    assert_eq!((cleared.leaf_count, cleared.diffs.repeated.len()), (f.meta.leaf_count, 1));
}

#[test]
fn malformed_encodings_are_refused() {
    let f = Fixture::new();
    let bytes = f.owned().to_bytes();
    assert_eq!(TreeWitness::from_bytes(&bytes).unwrap(), f.owned());
    for cut in [0, 1, 4, 7, 8, 12, bytes.len() - 1, bytes.len() - 4] {
        TreeWitness::from_bytes(&bytes[..cut]).unwrap_err();
    }
    TreeWitness::from_bytes(&[&bytes[..], &[0; 4]].concat()).unwrap_err();
    for header in [[u32::MAX, 0], [0, u32::MAX], [u32::MAX; 2], [1 << 20, 1 << 24]] {
        WitnessView::parse(&header).unwrap_err();
    }
    assert_eq!(WitnessView::encoded_len(&f.words), Ok(f.words.len()));
    let json = serde_json::to_string(&f.owned()).unwrap();
    assert_eq!(serde_json::from_str::<TreeWitness>(&json).unwrap(), f.owned());
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = TreeWitness::from_bytes(&bytes);
    }

    /// Small counts in the header reach the code behind the length check.
    #[test]
    fn any_words_are_survived(leaves in 0u32..4, siblings in 0u32..4, fill in proptest::collection::vec(0u32..4, 200), count in 0u64..40) {
        let mut words = vec![leaves, siblings];
        let len = WitnessView::encoded_len(&words).unwrap();
        words.extend(fill.iter().cycle().take(len - 2));
        let view = WitnessView::parse(&words).unwrap();
        if let Ok(state) = view.open(Digest::ZERO, count) {
            let _ = state.get(&key(1));
            prop_assert!(state.apply(&[write(key(1), 1)]).is_err());
        }
    }

    /// Several random words change at once.
    #[test]
    fn mutations_are_refused(changes in proptest::collection::vec((any::<prop::sample::Index>(), 1u32..), 1..5)) {
        let f = Fixture::new();
        let changes: BTreeMap<usize, u32> = changes.iter().map(|(at, by)| (at.index(f.words.len()), *by)).collect();
        let result = f.after(|words| changes.iter().for_each(|(at, by)| words[*at] ^= by));
        prop_assert!(result.is_err());
    }
}
