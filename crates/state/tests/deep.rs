//! A tree of 2^35 leaves, of which only three exist: the paths that no test could build leaf by leaf.

use std::convert::Infallible;

use alloy_primitives::{Address, U256};
use cairn_state::{
    CAPACITY, Digest, Key, Leaf, Tree, TreeMeta, TreeReader, WitnessError, Write,
    digest::{EMPTY, compress},
    update::PlanError,
};

const FAR: u64 = 1 << 35;

fn key(n: u32) -> Key {
    Key::slot(&Address::ZERO, &U256::from(n))
}

/// The sentinels and one leaf far away; subtrees without any of them have an invented digest.
#[derive(Clone)]
struct Far {
    leaf: Leaf,
    root: Digest,
    leaf_count: u64,
}

impl Far {
    fn new(value: u64) -> Self {
        let leaf = Leaf { key: key(1), value: U256::from(value), next_key: Key::MAX };
        Self { leaf, root: Digest::ZERO, leaf_count: FAR + 2 }
    }

    /// True above the leaves that exist and at the tree's right edge, invented elsewhere.
    fn digest(&self, level: u8, index: u64) -> Digest {
        let positions = index << level..(index + 1) << level;
        if positions.start >= self.leaf_count {
            return EMPTY[usize::from(level)];
        }
        let is_known = [0, 1, FAR].iter().any(|known| positions.contains(known));
        if level == 0 && is_known {
            return self.leaf(index).unwrap().unwrap().hash();
        }
        if is_known || positions.contains(&self.leaf_count) {
            let child = |i| self.digest(level - 1, 2 * index + i);
            return compress(&child(0), &child(1));
        }
        let words = [u32::from(level), index as u32, (index >> 32) as u32, 9, 9, 9, 9, 9];
        Digest::from_words(words.map(|w| w >> 2)).unwrap()
    }
}

impl TreeReader for Far {
    type Error = Infallible;

    fn meta(&self) -> Result<TreeMeta, Infallible> {
        Ok(TreeMeta { root: self.root, leaf_count: self.leaf_count })
    }

    fn leaf(&self, index: u64) -> Result<Option<Leaf>, Infallible> {
        Ok(match index {
            0 => Some(Leaf { next_key: self.leaf.key, ..Leaf::GENESIS[0] }),
            1 => Some(Leaf::GENESIS[1]),
            FAR => Some(self.leaf),
            _ => None,
        })
    }

    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, Infallible> {
        Ok((index << level < self.leaf_count).then(|| self.digest(level, index)))
    }

    fn predecessor(&self, key: &Key) -> Result<Option<(Key, u64)>, Infallible> {
        Ok(Some(if *key == Key::MAX {
            (Key::MAX, 1)
        } else if *key >= self.leaf.key {
            (self.leaf.key, FAR)
        } else {
            (Key::MIN, 0)
        }))
    }
}

/// The root that the witness's walk finds for the store.
fn walked_root(store: &Far, keys: &[Key]) -> Digest {
    let witness = Tree::new(store).prove(keys).unwrap();
    match witness.verify(Digest::ZERO, store.leaf_count) {
        Err(WitnessError::RootMismatch(root)) => root,
        other => panic!("{other:?}"),
    }
}

#[test]
fn far_positions_agree_between_walk_and_levels() {
    let far = key(1);
    let (below, above) = {
        let mut others: Vec<Key> = (2..40).map(key).collect();
        others.sort();
        (others[0], others[others.len() - 1])
    };
    assert!(below < far && far < above);
    let keys = [below, far, above, Key::MAX];
    let mut before = Far::new(5);
    before.root = walked_root(&before, &keys);
    assert_eq!(before.root, before.digest(40, 0));
    assert_eq!(before.root, walked_root(&before, &[far]), "any witness finds the same root");

    // A change of the far leaf alone: the levels find what the walk finds in the store that has the new value.
    let update = Tree::new(&before).compute(&[Write { key: far, value: U256::from(6) }]).unwrap().0;
    assert_eq!(update.root, walked_root(&Far::new(6), &keys));

    // Changes and inserts everywhere, by both.
    let writes = [below, far, above].map(|key| Write { key, value: U256::from(7) });
    let witness = Tree::new(&before).prove(&keys).unwrap();
    let state = witness.verify(before.root, before.leaf_count).unwrap();
    let stateless = state.apply(&writes).unwrap();
    assert_eq!(stateless, Tree::new(&before).compute(&writes).unwrap().0);
    assert_eq!(stateless.leaf_count, FAR + 4);
    assert_eq!(stateless.diffs.repeated[0].index, FAR);
}

#[test]
fn a_full_tree_takes_no_more_leaves() {
    let mut store = Far::new(5);
    store.leaf_count = CAPACITY;
    store.root = walked_root(&store, &[key(1)]);
    let new = (2..).map(key).find(|k| *k > key(1)).unwrap();
    let insert = [Write { key: new, value: U256::ONE }];
    let witness = Tree::new(&store).prove(&[new]).unwrap();
    let state = witness.verify(store.root, CAPACITY).unwrap();
    assert_eq!(state.apply(&insert), Err(WitnessError::Writes(PlanError::TreeFull)));
    let update = [Write { key: key(1), value: U256::ONE }];
    assert_eq!(state.apply(&update).unwrap(), Tree::new(&store).compute(&update).unwrap().0);

    // One place left: it is taken, and the last position stays free.
    store.leaf_count = CAPACITY - 1;
    store.root = walked_root(&store, &[key(1)]);
    let witness = Tree::new(&store).prove(&[new]).unwrap();
    let state = witness.verify(store.root, CAPACITY - 1).unwrap();
    let stateless = state.apply(&insert).unwrap();
    assert_eq!(stateless.leaf_count, CAPACITY);
    assert_eq!(stateless, Tree::new(&store).compute(&insert).unwrap().0);
}
