//! The border between the tree and its storage, and a store in memory.
//!
//! A store holds four things: leaves by index, nodes by (level, index), an ordered map from key to index, and the
//! root with the leaf count. Nodes are dense: at level `h` exactly the indices below `ceil(leaf_count / 2^h)` exist.
//! A batch changes all of it at once ([`TreeChanges`]), so that a store is always at the end of some batch.

use std::{collections::BTreeMap, convert::Infallible};

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

use crate::{
    CAPACITY, DEPTH, Digest, Key, Leaf,
    tree::{hash_leaves, hash_level},
};

/// What a batch starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeMeta {
    /// The root.
    pub root: Digest,
    /// The number of leaves, the two sentinels included.
    pub leaf_count: u64,
}

/// A node to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeChange {
    /// The level, 0 for leaf hashes and up to [`DEPTH`] - 1.
    pub level: u8,
    /// The index within the level.
    pub index: u64,
    /// The digest.
    pub digest: Digest,
}

/// Everything that a batch changes in a store; write it atomically.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeChanges {
    /// The state after the batch.
    pub meta: TreeMeta,
    /// Leaves to put, ascending by index.
    pub leaves: Vec<(u64, Leaf)>,
    /// New entries of the map from key to index, ascending by key.
    pub keys: Vec<(Key, u64)>,
    /// Nodes to put, by level, then index.
    pub nodes: Vec<NodeChange>,
}

impl TreeChanges {
    /// What an empty store must hold first: the two sentinels.
    pub fn genesis() -> Self {
        let leaves = Leaf::GENESIS;
        let mut nodes = Vec::with_capacity(DEPTH + 1);
        let mut row: Vec<Digest> = leaves.iter().map(Leaf::hash).collect();
        for level in 0..DEPTH {
            let put = |(index, digest): (usize, &Digest)| NodeChange {
                level: level as u8,
                index: index as u64,
                digest: *digest,
            };
            nodes.extend(row.iter().enumerate().map(put));
            row = hash_level(level, &row);
        }
        Self {
            meta: TreeMeta { root: row[0], leaf_count: leaves.len() as u64 },
            keys: vec![(leaves[0].key, 0), (leaves[1].key, 1)],
            leaves: leaves.into_iter().enumerate().map(|(i, leaf)| (i as u64, leaf)).collect(),
            nodes,
        }
    }
}

/// Reads of a stored tree. All reads of one operation must see one batch's end (a snapshot).
pub trait TreeReader {
    /// Failure of the storage.
    type Error: core::error::Error + Send + Sync + 'static;

    /// The root and leaf count.
    fn meta(&self) -> Result<TreeMeta, Self::Error>;

    /// A leaf; `None` if the index is not below the leaf count.
    fn leaf(&self, index: u64) -> Result<Option<Leaf>, Self::Error>;

    /// A node's digest; `None` where the subtree is empty.
    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, Self::Error>;

    /// The greatest key not above `key`, with its index. The sentinels make sure that there is one.
    fn predecessor(&self, key: &Key) -> Result<Option<(Key, u64)>, Self::Error>;

    /// Many nodes of one level, by ascending index; a store may override it to read them in one go.
    fn nodes(&self, level: u8, indices: &[u64]) -> Result<Vec<Option<Digest>>, Self::Error> {
        indices.iter().map(|index| self.node(level, *index)).collect()
    }
}

/// A store that takes changes.
pub trait TreeStore: TreeReader {
    /// Writes all of a batch's changes, or nothing.
    fn commit(&mut self, changes: &TreeChanges) -> Result<(), Self::Error>;
}

impl<R: TreeReader + ?Sized> TreeReader for &R {
    type Error = R::Error;

    fn meta(&self) -> Result<TreeMeta, Self::Error> {
        (**self).meta()
    }

    fn leaf(&self, index: u64) -> Result<Option<Leaf>, Self::Error> {
        (**self).leaf(index)
    }

    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, Self::Error> {
        (**self).node(level, index)
    }

    fn predecessor(&self, key: &Key) -> Result<Option<(Key, u64)>, Self::Error> {
        (**self).predecessor(key)
    }

    fn nodes(&self, level: u8, indices: &[u64]) -> Result<Vec<Option<Digest>>, Self::Error> {
        (**self).nodes(level, indices)
    }
}

/// Leaves that are no tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RebuildError {
    /// The two sentinels do not come first.
    #[error("the first two leaves are not the sentinels")]
    Sentinels,
    /// A key occurs twice.
    #[error("the key of leaf {0} occurs twice")]
    DuplicateKey(u64),
    /// A leaf's next key is not the next greater key.
    #[error("leaf {0} is linked to the wrong key")]
    WrongLink(u64),
    /// More leaves than a tree holds.
    #[error("too many leaves")]
    TooMany,
}

/// A tree in memory: 32 bytes a node in one vector a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemStore {
    leaves: Vec<Leaf>,
    levels: Vec<Vec<Digest>>,
    index: BTreeMap<Key, u64>,
    root: Digest,
}

impl Default for MemStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemStore {
    /// The empty state.
    pub fn new() -> Self {
        Self::build(Leaf::GENESIS.to_vec(), BTreeMap::from([(Key::MIN, 0), (Key::MAX, 1)]))
    }

    /// Rebuilds the tree from its leaves in the order of their indices, checking every link.
    pub fn from_leaves(leaves: Vec<Leaf>) -> Result<Self, RebuildError> {
        if leaves.len() as u64 > CAPACITY {
            return Err(RebuildError::TooMany);
        }
        if leaves.len() < 2 || leaves[0].key != Key::MIN || leaves[1].key != Key::MAX {
            return Err(RebuildError::Sentinels);
        }
        let mut index = BTreeMap::new();
        for (i, leaf) in leaves.iter().enumerate() {
            if index.insert(leaf.key, i as u64).is_some() {
                return Err(RebuildError::DuplicateKey(i as u64));
            }
        }
        let nexts = index.keys().skip(1).chain([&Key::MIN]);
        for (i, next) in index.values().zip(nexts) {
            if leaves[*i as usize].next_key != *next {
                return Err(RebuildError::WrongLink(*i));
            }
        }
        Ok(Self::build(leaves, index))
    }

    /// A tree of the sentinels and `entries` in this order, as if each had been written in a batch of its own.
    pub fn from_entries(entries: &[(Key, U256)]) -> Result<Self, RebuildError> {
        let mut leaves = Leaf::GENESIS.to_vec();
        leaves.extend(entries.iter().map(|(key, value)| Leaf {
            key: *key,
            value: *value,
            next_key: Key::MIN,
        }));
        let mut order: Vec<usize> = (0..leaves.len()).collect();
        order.sort_unstable_by_key(|i| leaves[*i].key);
        for pair in order.windows(2) {
            leaves[pair[0]].next_key = leaves[pair[1]].key;
        }
        Self::from_leaves(leaves)
    }

    fn build(leaves: Vec<Leaf>, index: BTreeMap<Key, u64>) -> Self {
        let mut row = hash_leaves(&leaves);
        let mut levels = Vec::with_capacity(DEPTH);
        for level in 0..DEPTH {
            let above = hash_level(level, &row);
            levels.push(row);
            row = above;
        }
        Self { leaves, levels, index, root: row[0] }
    }

    /// All leaves in the order of their indices.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }
}

impl TreeReader for MemStore {
    type Error = Infallible;

    fn meta(&self) -> Result<TreeMeta, Infallible> {
        Ok(TreeMeta { root: self.root, leaf_count: self.leaves.len() as u64 })
    }

    fn leaf(&self, index: u64) -> Result<Option<Leaf>, Infallible> {
        Ok(self.leaves.get(index as usize).copied())
    }

    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, Infallible> {
        Ok(self.levels.get(usize::from(level)).and_then(|row| row.get(index as usize)).copied())
    }

    fn predecessor(&self, key: &Key) -> Result<Option<(Key, u64)>, Infallible> {
        Ok(self.index.range(..=*key).next_back().map(|(key, index)| (*key, *index)))
    }
}

impl TreeStore for MemStore {
    fn commit(&mut self, changes: &TreeChanges) -> Result<(), Infallible> {
        for (index, leaf) in &changes.leaves {
            put(&mut self.leaves, *index, *leaf);
        }
        for change in &changes.nodes {
            put(&mut self.levels[usize::from(change.level)], change.index, change.digest);
        }
        self.index.extend(changes.keys.iter().copied());
        self.root = changes.meta.root;
        Ok(())
    }
}

/// Overwrites an element, or appends the next one: indices come ascending and without gaps.
fn put<T>(row: &mut Vec<T>, index: u64, item: T) {
    match row.get_mut(index as usize) {
        Some(slot) => *slot = item,
        None => row.push(item),
    }
}
