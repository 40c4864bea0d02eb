//! The full native tree over a [`TreeReader`]: lookups, batch proofs and batch updates.
//!
//! Updates hash level by level, each level in parallel.

use alloy_primitives::U256;
use cairn_accel::poseidon2;
use rayon::prelude::*;

use crate::{
    DEPTH, Digest, Key, Leaf,
    digest::EMPTY,
    key::to_le_words,
    leaf::{self, LeafWords, LeafWordsExt},
    store::{NodeChange, TreeChanges, TreeMeta, TreeReader, TreeStore},
    update::{InitialWrite, Plan, PlanError, RepeatedWrite, StateDiffs, TreeUpdate, Write, plan},
    witness::TreeWitness,
};

/// Why an operation on the tree failed.
#[derive(Debug, thiserror::Error)]
pub enum TreeError<E: core::error::Error> {
    /// The storage failed.
    #[error("the tree's storage failed: {0}")]
    Store(#[source] E),
    /// A leaf or node that must be there is missing.
    #[error(
        "the stored tree is damaged: level {level}, index {index} is missing; rebuild it from the leaves or from L1"
    )]
    Damaged {
        /// The level; 0 for a leaf.
        level: u8,
        /// The index.
        index: u64,
    },
    /// The map from keys to indices lacks the least key.
    #[error(
        "the stored tree is damaged: the key index has no predecessor of {0}; rebuild it from the leaves or from L1"
    )]
    DamagedIndex(Key),
    /// The writes cannot be applied.
    #[error(transparent)]
    Writes(#[from] PlanError),
}

type Result<T, R> = core::result::Result<T, TreeError<<R as TreeReader>::Error>>;

/// The siblings of a row with their indices, and the row above.
type Step = (Vec<(u64, Digest)>, Vec<u64>);

/// A tree over a store.
#[derive(Clone, Debug, Default)]
pub struct Tree<S> {
    store: S,
}

impl<S: TreeReader> Tree<S> {
    /// A tree over a store that holds at least [`TreeChanges::genesis`].
    pub const fn new(store: S) -> Self {
        Self { store }
    }

    /// The store.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Gives the store back.
    pub fn into_store(self) -> S {
        self.store
    }

    /// The root and leaf count.
    pub fn meta(&self) -> Result<TreeMeta, S> {
        self.store.meta().map_err(TreeError::Store)
    }

    /// The value of a key; `None` if it was never written.
    pub fn get(&self, key: &Key) -> Result<Option<U256>, S> {
        let (low, index) = self.predecessor(key)?;
        if low != *key {
            return Ok(None);
        }
        Ok(Some(self.leaf(index)?.value))
    }

    /// A witness with which anyone reads these keys and writes any of them. Keys may come in any order and repeat.
    pub fn prove(&self, keys: &[Key]) -> Result<TreeWitness, S> {
        let meta = self.meta()?;
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        keys.dedup();
        let leaves = self.touched(keys.iter())?;
        let mut row: Vec<u64> = leaves.iter().map(LeafWordsExt::index).collect();
        row.sort_unstable();
        row.push(meta.leaf_count);
        let siblings = self.read_siblings(&sibling_positions(&row))?;
        Ok(TreeWitness::from_sorted(leaves, siblings))
    }

    /// The state after `writes` (strictly ascending by key), and what a store must change to get there. Nothing is
    /// written.
    pub fn compute(&self, writes: &[Write]) -> Result<(TreeUpdate, TreeChanges), S> {
        let meta = self.meta()?;
        let leaves = self.touched(writes.iter().map(|write| &write.key))?;
        let plan = plan(&leaves, writes, meta.leaf_count)?;
        let leaf_count = meta.leaf_count + plan.inserts.len() as u64;
        let (changed, diffs) = changed_leaves(&leaves, &plan, meta.leaf_count);
        let keys = plan
            .inserts
            .iter()
            .zip(meta.leaf_count..)
            .map(|(leaf, index)| (leaf.key, index))
            .collect();
        let (root, nodes) = self.rehash(&meta, &changed)?;
        let changes =
            TreeChanges { meta: TreeMeta { root, leaf_count }, leaves: changed, keys, nodes };
        Ok((TreeUpdate { root, leaf_count, diffs }, changes))
    }

    /// The digests at positions (level, index) that are not empty, read level by level.
    fn read_siblings(&self, positions: &[(usize, u64)]) -> Result<Vec<[u32; 8]>, S> {
        let mut siblings = vec![[0; 8]; positions.len()];
        let mut order: Vec<usize> = (0..positions.len()).collect();
        order.sort_by_key(|i| positions[*i].0);
        for row in order.chunk_by(|a, b| positions[*a].0 == positions[*b].0) {
            let level = positions[row[0]].0 as u8;
            let indices: Vec<u64> = row.iter().map(|i| positions[*i].1).collect();
            let digests = self.store.nodes(level, &indices).map_err(TreeError::Store)?;
            for ((i, index), digest) in row.iter().zip(indices).zip(digests) {
                siblings[*i] = digest.ok_or(TreeError::Damaged { level, index })?.0;
            }
        }
        Ok(siblings)
    }

    /// The leaves that cover ascending keys, ascending by key.
    fn touched<'a>(&self, keys: impl Iterator<Item = &'a Key>) -> Result<Vec<LeafWords>, S> {
        let mut leaves: Vec<LeafWords> = Vec::with_capacity(keys.size_hint().0);
        for key in keys {
            if leaves.last().is_some_and(|last| crate::update::covers(last, key).is_some()) {
                continue;
            }
            let (_, index) = self.predecessor(key)?;
            leaves.push(leaf::to_words(index, &self.leaf(index)?));
        }
        Ok(leaves)
    }

    fn predecessor(&self, key: &Key) -> Result<(Key, u64), S> {
        self.store.predecessor(key).map_err(TreeError::Store)?.ok_or(TreeError::DamagedIndex(*key))
    }

    fn leaf(&self, index: u64) -> Result<Leaf, S> {
        self.store
            .leaf(index)
            .map_err(TreeError::Store)?
            .ok_or(TreeError::Damaged { level: 0, index })
    }

    /// The root after leaves changed, and the nodes that changed.
    fn rehash(
        &self,
        meta: &TreeMeta,
        changed: &[(u64, Leaf)],
    ) -> Result<(Digest, Vec<NodeChange>), S> {
        if changed.is_empty() {
            return Ok((meta.root, Vec::new()));
        }
        let leaves: Vec<Leaf> = changed.iter().map(|(_, leaf)| *leaf).collect();
        let mut row: Vec<u64> = changed.iter().map(|(index, _)| *index).collect();
        let mut digests = hash_leaves(&leaves);
        let mut nodes = Vec::new();
        let mut first_empty = meta.leaf_count;
        for level in 0..DEPTH {
            let put = |(index, digest): (&u64, &Digest)| NodeChange {
                level: level as u8,
                index: *index,
                digest: *digest,
            };
            nodes.extend(row.iter().zip(&digests).map(put));
            let (siblings, above) = self.step(level, &row, first_empty)?;
            digests = hash_pairs(&pairs(level, &row, &digests, &siblings));
            row = above;
            first_empty = first_empty.div_ceil(2);
        }
        Ok((digests[0], nodes))
    }

    /// For a row of touched indices of one level: the siblings outside the row that are not empty, and the row above.
    fn step(&self, level: usize, row: &[u64], first_empty: u64) -> Result<Step, S> {
        let mut missing = Vec::new();
        let mut above: Vec<u64> = Vec::with_capacity(row.len());
        for (i, index) in row.iter().enumerate() {
            if above.last() == Some(&(index >> 1)) {
                continue;
            }
            above.push(index >> 1);
            let sibling = index ^ 1;
            if row.get(i + 1) != Some(&sibling) && sibling < first_empty {
                missing.push(sibling);
            }
        }
        let level = level as u8;
        let digests = self.store.nodes(level, &missing).map_err(TreeError::Store)?;
        let found = missing
            .into_iter()
            .zip(digests)
            .map(|(index, digest)| Ok((index, digest.ok_or(TreeError::Damaged { level, index })?)))
            .collect::<Result<_, S>>()?;
        Ok((found, above))
    }
}

impl<S: TreeStore> Tree<S> {
    /// Applies writes (strictly ascending by key) and commits them.
    pub fn apply(&mut self, writes: &[Write]) -> Result<TreeUpdate, S> {
        let (update, changes) = self.compute(writes)?;
        self.store.commit(&changes).map_err(TreeError::Store)?;
        Ok(update)
    }
}

/// The siblings that the witness's walk over ascending positions asks for, the last of which is the first free one.
fn sibling_positions(row: &[u64]) -> Vec<(usize, u64)> {
    let mut siblings = Vec::new();
    let mut waiting = Vec::new();
    for (i, index) in row.iter().enumerate() {
        let meet = row.get(i + 1).map(|next| 63 - (index ^ next).leading_zeros() as usize);
        for level in 0..meet.unwrap_or(DEPTH) {
            let at = index >> level;
            let is_right = at & 1 == 1;
            if is_right && waiting.last() == Some(&level) {
                waiting.pop();
            } else if is_right || meet.is_some() {
                siblings.push((level, at ^ 1));
            }
        }
        waiting.extend(meet);
    }
    siblings
}

/// The leaves that a plan changes or appends, ascending by index, and the diffs.
fn changed_leaves(
    leaves: &[LeafWords],
    plan: &Plan<'_>,
    leaf_count: u64,
) -> (Vec<(u64, Leaf)>, StateDiffs) {
    let mut diffs = StateDiffs::default();
    let mut changed = Vec::with_capacity(plan.changes.len() + plan.inserts.len());
    for change in &plan.changes {
        let words = &leaves[change.position];
        let (index, old) = (words.index(), words.value());
        let key = Key(*words.key());
        let next_key = change.next_key.copied().unwrap_or(Key(*words.next_key()));
        changed.push((index, Leaf { key, value: change.value.copied().unwrap_or(old), next_key }));
        if let Some(new) = change.value {
            diffs.repeated.push(RepeatedWrite { index, old, new: *new });
        }
    }
    changed.sort_unstable_by_key(|(index, _)| *index);
    diffs.repeated.sort_unstable_by_key(|write| write.index);
    changed.extend((leaf_count..).zip(plan.inserts.iter().copied()));
    diffs.initial =
        plan.inserts.iter().map(|leaf| InitialWrite { key: leaf.key, value: leaf.value }).collect();
    (changed, diffs)
}

/// The children of each parent of a row, as inputs of the compression.
fn pairs(
    level: usize,
    row: &[u64],
    digests: &[Digest],
    siblings: &[(u64, Digest)],
) -> Vec<[u32; 16]> {
    let mut siblings = siblings.iter().peekable();
    let mut pairs: Vec<[u32; 16]> = Vec::with_capacity(row.len());
    let mut i = 0;
    while i < row.len() {
        let index = row[i];
        let sibling = match row.get(i + 1) {
            Some(next) if *next == index ^ 1 => {
                i += 1;
                digests[i]
            }
            _ => siblings
                .next_if(|(at, _)| *at == index ^ 1)
                .map_or(EMPTY[level], |(_, digest)| *digest),
        };
        let own = if row[i] == index { digests[i] } else { digests[i - 1] };
        let (left, right) = if index & 1 == 0 { (own, sibling) } else { (sibling, own) };
        pairs.push(join(&left.0, &right.0));
        i += 1;
    }
    pairs
}

fn join(left: &[u32; 8], right: &[u32; 8]) -> [u32; 16] {
    core::array::from_fn(|i| if i < 8 { left[i] } else { right[i - 8] })
}

/// Pairs below this number are hashed on the caller's thread: about 100 microseconds of work.
const CHUNK: usize = 256;

/// Hashes pairs, in parallel where it pays.
fn hash_pairs(pairs: &[[u32; 16]]) -> Vec<Digest> {
    let mut words = vec![[0; 8]; pairs.len()];
    if pairs.len() <= CHUNK {
        poseidon2::compress_many(pairs, &mut words);
    } else {
        words
            .par_chunks_mut(CHUNK)
            .zip(pairs.par_chunks(CHUNK))
            .for_each(|(words, pairs)| poseidon2::compress_many(pairs, words));
    }
    words.into_iter().map(Digest).collect()
}

/// The hashes of leaves, in parallel where it pays.
pub(crate) fn hash_leaves(leaves: &[Leaf]) -> Vec<Digest> {
    let links: Vec<_> = leaves.iter().map(|leaf| join(&leaf.key.0, &leaf.next_key.0)).collect();
    let values: Vec<_> = leaves.iter().map(|leaf| limbs(&leaf.value)).collect();
    let (links, values) = (hash_pairs(&links), hash_pairs(&values));
    let joins: Vec<_> =
        links.iter().zip(&values).map(|(link, value)| join(&link.0, &value.0)).collect();
    hash_pairs(&joins)
}

/// A value's 16-bit limbs, most significant first.
fn limbs(value: &U256) -> [u32; 16] {
    let words = to_le_words(value);
    core::array::from_fn(|i| (words[7 - i / 2] >> (16 * (1 - i % 2))) & 0xffff)
}

/// The whole row above a whole row that is not empty.
pub(crate) fn hash_level(level: usize, row: &[Digest]) -> Vec<Digest> {
    let right = |pair: &[Digest]| pair.get(1).copied().unwrap_or(EMPTY[level]);
    let pairs: Vec<_> = row.chunks(2).map(|pair| join(&pair[0].0, &right(pair).0)).collect();
    hash_pairs(&pairs)
}
