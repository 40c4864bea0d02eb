//! Batch multi-proofs: everything a batch reads and writes, checked against the old root, and the new root, from one
//! witness in one pass.
//!
//! # What a witness holds
//! The touched leaves (for every key the batch reads or writes: the key's own leaf, or where the key is absent its
//! lower neighbour), and the siblings that hashing up to the root needs, in the order of the walk below. The path of the
//! first free position is always part of it, so that a witness for a set of *keys* serves any writes to them. Subtrees
//! right of the last leaf are empty and never supplied: the verifier uses the constant.
//!
//! # The walk
//! Touched positions are taken by ascending index, the first free position (or the appended ones) last. Each climbs from the bottom to just below the
//! level where its path meets the next position's, taking a sibling from the witness at every level; there it waits on a
//! stack, and the later path takes it off as its left sibling. The last path climbs to the root; right of it all is
//! empty. Old and new digest climb together; the new one is not hashed where nothing below changed, nor the old
//! one where all was empty.
//!
//! # How it is used
//! ```
//! # use alloy_primitives::{Address, U256};
//! # use cairn_state::{Key, MemStore, Tree, WitnessView, Write};
//! # let mut tree = Tree::new(MemStore::new());
//! let key = Key::slot(&Address::ZERO, &U256::from(7));
//! let old = tree.meta()?;
//! let words = tree.prove(&[key])?.to_words(); // by whoever holds the tree
//!
//! let state = WitnessView::parse(&words)?.open(old.root, old.leaf_count)?; // structure only
//! assert_eq!(state.get(&key)?, None); // while executing
//! let writes = [Write { key, value: U256::from(1) }];
//! let update = state.apply(&writes)?; // old root checked, new root computed
//! assert_eq!(update, tree.apply(&writes)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//! **Soundness.** Until [`WitnessState::apply`] or [`WitnessState::check_root`] returned `Ok`, what [`WitnessState::get`] says is
//! only what the witness claims: nothing that follows from it may be published before. The old root is checked in the pass
//! that computes the new one, because walking the tree twice would cost the guest a second copy of every node in
//! memory. A root that was reached honestly has distinct, correctly linked leaves at indices below its leaf count and nothing
//! above; a witness whose leaves hash to it holds true leaves.
//!
//! # Encoding
//! `u32` words: `[leaves n, siblings m] || n leaves (26 words) || n positions || m siblings (8 words)`. A leaf is `key (8) || value
//! (8, least significant first) || next_key (8) || index (2, least significant first)`; leaves are sorted by key, and `positions`
//! lists them sorted by index. As bytes, each word is little-endian.

use alloc::vec::Vec;

use alloy_primitives::U256;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    CAPACITY, DEPTH, Digest, GENESIS_LEAF_COUNT, Key, Leaf,
    digest::{EMPTY, append_left, append_right, compress_into, is_canonical, less},
    key::to_le_words,
    leaf::{self, LeafWords, LeafWordsExt},
    update::{
        Change, InitialWrite, Plan, PlanError, RepeatedWrite, StateDiffs, TreeUpdate, Write,
        covers, plan,
    },
};

/// The most leaves a witness may hold; a batch is sealed long before.
pub const MAX_LEAVES: usize = 1 << 20;

/// The most siblings a witness may hold.
pub const MAX_SIBLINGS: usize = MAX_LEAVES * 24;

const HEADER_WORDS: usize = 2;
const LEAF_WORDS: usize = 26;
const DIGEST_WORDS: usize = 8;

/// Why a witness is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// The encoding is cut off, has bytes left over, or is no whole number of words.
    #[error("the witness has {actual} words where its header asks for {expected}")]
    Length {
        /// Words that the header asks for.
        expected: usize,
        /// Words that are there.
        actual: usize,
    },
    /// The encoding is not a whole number of words.
    #[error("the witness has {0} bytes, which is no multiple of four")]
    PartialWord(usize),
    /// More leaves or siblings than the bound.
    #[error(
        "the witness holds {leaves} leaves and {siblings} siblings; the bounds are {MAX_LEAVES} and {MAX_SIBLINGS}"
    )]
    TooLarge {
        /// Leaves that the header asks for.
        leaves: u32,
        /// Siblings that the header asks for.
        siblings: u32,
    },
    /// The old leaf count is impossible.
    #[error("a tree cannot have {0} leaves")]
    LeafCount(u64),
    /// A key or next key is not canonical.
    #[error("leaf {0} has a key that is not canonical")]
    NonCanonicalKey(usize),
    /// Leaves are not strictly ascending by key.
    #[error("leaf {0} is not above the leaf before it")]
    UnsortedLeaves(usize),
    /// Positions are not a permutation that sorts leaves strictly by index.
    #[error("position {0} does not continue the order of indices")]
    UnsortedIndices(usize),
    /// A leaf's index is not below the old leaf count.
    #[error("leaf {0} lies beyond the leaf count")]
    IndexOutOfRange(usize),
    /// The key is neither a touched leaf's nor provably absent.
    #[error("the witness does not cover key {0}")]
    NotCovered(Key),
    /// Hashing up asked for a sibling that is not there.
    #[error("the witness has too few siblings")]
    MissingSibling,
    /// Siblings were left over.
    #[error("the witness has {0} siblings too many")]
    ExtraSiblings(usize),
    /// The leaves do not hash to the old root.
    #[error("the witness does not match the state root: it hashes to {0}")]
    RootMismatch(Digest),
    /// The writes cannot be applied.
    #[error(transparent)]
    Writes(#[from] PlanError),
}

/// An owned witness; [`crate::Tree::prove`] makes it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TreeWitness {
    pub(crate) leaves: Vec<LeafWords>,
    pub(crate) positions: Vec<u32>,
    pub(crate) siblings: Vec<[u32; 8]>,
}

impl TreeWitness {
    /// A witness of leaves at their indices, in any order, and of siblings in the order of the pass. Nothing is checked: a
    /// wrong witness fails when it is used.
    pub fn new(leaves: &[(u64, Leaf)], siblings: &[Digest]) -> Self {
        let mut leaves: Vec<_> =
            leaves.iter().map(|(index, leaf)| leaf::to_words(*index, leaf)).collect();
        leaves.sort_unstable_by(|a, b| a.key().cmp(b.key()));
        Self::from_sorted(leaves, siblings.iter().map(|digest| digest.0).collect())
    }

    pub(crate) fn from_sorted(leaves: Vec<LeafWords>, siblings: Vec<[u32; 8]>) -> Self {
        let mut positions: Vec<u32> = (0..leaves.len() as u32).collect();
        positions.sort_unstable_by_key(|position| leaves[*position as usize].index());
        Self { leaves, positions, siblings }
    }

    /// The touched leaves with their indices, ascending by key.
    pub fn leaves(&self) -> impl ExactSizeIterator<Item = (u64, Leaf)> + '_ {
        self.leaves.iter().map(|words| {
            let leaf = Leaf {
                key: Key(*words.key()),
                value: words.value(),
                next_key: Key(*words.next_key()),
            };
            (words.index(), leaf)
        })
    }

    /// The number of siblings.
    pub fn sibling_count(&self) -> usize {
        self.siblings.len()
    }

    /// The encoding as words.
    pub fn to_words(&self) -> Vec<u32> {
        let mut words = Vec::with_capacity(self.word_count());
        words.extend([self.leaves.len() as u32, self.siblings.len() as u32]);
        words.extend_from_slice(self.leaves.as_flattened());
        words.extend_from_slice(&self.positions);
        words.extend_from_slice(self.siblings.as_flattened());
        words
    }

    /// The encoding as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_words().iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Decodes words.
    pub fn from_words(words: &[u32]) -> Result<Self, WitnessError> {
        WitnessView::parse(words).map(|view| view.to_owned())
    }

    /// Decodes bytes; allocates no more than their length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WitnessError> {
        let (chunks, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(WitnessError::PartialWord(bytes.len()));
        }
        let header: Vec<u32> =
            chunks.iter().take(HEADER_WORDS).map(|chunk| u32::from_le_bytes(*chunk)).collect();
        check_header(&header, chunks.len())?;
        let words: Vec<u32> = chunks.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect();
        Self::from_words(&words)
    }

    fn word_count(&self) -> usize {
        HEADER_WORDS + self.leaves.len() * (LEAF_WORDS + 1) + self.siblings.len() * DIGEST_WORDS
    }

    /// Borrows the witness.
    pub fn view(&self) -> WitnessView<'_> {
        WitnessView { leaves: &self.leaves, positions: &self.positions, siblings: &self.siblings }
    }

    /// Checks the whole witness against the old root, before anything is read from it. (The guest opens the view and
    /// lets [`WitnessState::apply`] check the root instead: one pass fewer.)
    pub fn verify(&self, root: Digest, leaf_count: u64) -> Result<WitnessState<'_>, WitnessError> {
        let state = self.view().open(root, leaf_count)?;
        state.check_root()?;
        Ok(state)
    }
}

impl Serialize for TreeWitness {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        alloy_primitives::Bytes::from(self.to_bytes()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TreeWitness {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = alloy_primitives::Bytes::deserialize(deserializer)?;
        Self::from_bytes(&bytes).map_err(de::Error::custom)
    }
}

/// A witness borrowed from words, without a copy.
#[derive(Clone, Copy, Debug)]
pub struct WitnessView<'a> {
    leaves: &'a [LeafWords],
    positions: &'a [u32],
    siblings: &'a [[u32; 8]],
}

/// Checks the header against the number of words; returns (leaves, siblings).
fn check_header(words: &[u32], actual: usize) -> Result<(usize, usize), WitnessError> {
    let &[leaves, siblings, ..] = words else {
        return Err(WitnessError::Length { expected: HEADER_WORDS, actual });
    };
    if leaves as usize > MAX_LEAVES || siblings as usize > MAX_SIBLINGS {
        return Err(WitnessError::TooLarge { leaves, siblings });
    }
    let (leaves, siblings) = (leaves as usize, siblings as usize);
    let expected = HEADER_WORDS + leaves * (LEAF_WORDS + 1) + siblings * DIGEST_WORDS;
    if actual != expected {
        return Err(WitnessError::Length { expected, actual });
    }
    Ok((leaves, siblings))
}

impl<'a> WitnessView<'a> {
    /// Splits words into a witness; the words must be exactly one encoding.
    pub fn parse(words: &'a [u32]) -> Result<Self, WitnessError> {
        let (leaves, _) = check_header(words, words.len())?;
        let (leaf_words, rest) = words[HEADER_WORDS..].split_at(leaves * LEAF_WORDS);
        let (positions, siblings) = rest.split_at(leaves);
        Ok(Self { leaves: leaf_words.as_chunks().0, positions, siblings: siblings.as_chunks().0 })
    }

    /// The words of the encoding that starts here: use it to split a witness off a longer input.
    pub fn encoded_len(words: &[u32]) -> Result<usize, WitnessError> {
        let &[leaves, siblings, ..] = words else {
            return Err(WitnessError::Length { expected: HEADER_WORDS, actual: words.len() });
        };
        if leaves as usize > MAX_LEAVES || siblings as usize > MAX_SIBLINGS {
            return Err(WitnessError::TooLarge { leaves, siblings });
        }
        Ok(HEADER_WORDS + leaves as usize * (LEAF_WORDS + 1) + siblings as usize * DIGEST_WORDS)
    }

    /// An owned copy.
    pub fn to_owned(&self) -> TreeWitness {
        TreeWitness {
            leaves: self.leaves.to_vec(),
            positions: self.positions.to_vec(),
            siblings: self.siblings.to_vec(),
        }
    }

    /// Checks the structure (order, ranges, canonical keys) and hashes nothing: see the module's page on soundness.
    /// Siblings are only ever hashed, and the hash takes a word as its value mod p, so they may be anything.
    pub fn open(self, root: Digest, leaf_count: u64) -> Result<WitnessState<'a>, WitnessError> {
        if !(GENESIS_LEAF_COUNT..=CAPACITY).contains(&leaf_count) {
            return Err(WitnessError::LeafCount(leaf_count));
        }
        self.check_keys()?;
        self.check_indices(leaf_count)?;
        Ok(WitnessState { view: self, root, leaf_count })
    }

    fn check_keys(&self) -> Result<(), WitnessError> {
        for (i, leaf) in self.leaves.iter().enumerate() {
            if !is_canonical(leaf.key()) || !is_canonical(leaf.next_key()) {
                return Err(WitnessError::NonCanonicalKey(i));
            }
            if i > 0 && !less(self.leaves[i - 1].key(), leaf.key()) {
                return Err(WitnessError::UnsortedLeaves(i));
            }
        }
        Ok(())
    }

    /// Strictly ascending indices make `positions` a permutation: none can be named twice, and their number is right.
    fn check_indices(&self, leaf_count: u64) -> Result<(), WitnessError> {
        if self.positions.len() != self.leaves.len() {
            return Err(WitnessError::UnsortedIndices(self.positions.len()));
        }
        let mut next_index = 0;
        for (i, position) in self.positions.iter().enumerate() {
            let index = self
                .leaves
                .get(*position as usize)
                .ok_or(WitnessError::UnsortedIndices(i))?
                .index();
            if index < next_index {
                return Err(WitnessError::UnsortedIndices(i));
            }
            if index >= leaf_count {
                return Err(WitnessError::IndexOutOfRange(*position as usize));
            }
            next_index = index + 1;
        }
        Ok(())
    }
}

/// A witness in use for one batch: the state before it, as far as the batch touches it.
#[derive(Clone, Copy, Debug)]
pub struct WitnessState<'a> {
    view: WitnessView<'a>,
    root: Digest,
    leaf_count: u64,
}

impl WitnessState<'_> {
    /// The value of a key: `None` if it is absent, an error (never a default) if the witness does not cover it.
    pub fn get(&self, key: &Key) -> Result<Option<U256>, WitnessError> {
        let above = self.view.leaves.partition_point(|leaf| !less(&key.0, leaf.key()));
        let leaf = above.checked_sub(1).map(|low| &self.view.leaves[low]);
        leaf.and_then(|leaf| covers(leaf, key)).ok_or(WitnessError::NotCovered(*key))
    }

    /// The value of a key, zero if it is absent.
    pub fn value(&self, key: &Key) -> Result<U256, WitnessError> {
        self.get(key).map(Option::unwrap_or_default)
    }

    /// The old root, as it was given.
    pub fn root(&self) -> Digest {
        self.root
    }

    /// The old leaf count, as it was given.
    pub fn leaf_count(&self) -> u64 {
        self.leaf_count
    }

    /// Checks that the witness hashes to the old root.
    pub fn check_root(&self) -> Result<(), WitnessError> {
        self.apply(&[]).map(|_| ())
    }

    /// Checks that the witness hashes to the old root and computes the state after `writes`, which are strictly
    /// ascending by key and covered by the witness, in one pass.
    pub fn apply(&self, writes: &[Write]) -> Result<TreeUpdate, WitnessError> {
        let plan = plan(self.view.leaves, writes, self.leaf_count)?;
        let mut diffs = StateDiffs::default();
        let (old, new) = self.walk(&plan, &mut diffs)?;
        if old != self.root {
            return Err(WitnessError::RootMismatch(old));
        }
        let leaf_count = self.leaf_count + plan.inserts.len() as u64;
        let initial = |leaf: &Leaf| InitialWrite { key: leaf.key, value: leaf.value };
        diffs.initial = plan.inserts.iter().map(initial).collect();
        Ok(TreeUpdate { root: new, leaf_count, diffs })
    }

    /// The roots before and after; collects the changed values on the way.
    fn walk(
        &self,
        plan: &Plan<'_>,
        diffs: &mut StateDiffs,
    ) -> Result<(Digest, Digest), WitnessError> {
        let leaves = self.view.leaves;
        let mut change_at = alloc::vec![u32::MAX; leaves.len()];
        for (i, change) in plan.changes.iter().enumerate() {
            change_at[change.position] = i as u32;
        }
        let mut walk =
            Walk { siblings: self.view.siblings.iter(), waiting: Vec::with_capacity(DEPTH) };
        let mut subtree = Subtree::default();
        let mut positions =
            self.view.positions.iter().map(|position| *position as usize).peekable();
        while let Some(position) = positions.next() {
            let words = &leaves[position];
            subtree.set_leaf(words, plan.changes.get(change_at[position] as usize), diffs);
            let next =
                positions.peek().map_or(self.leaf_count, |position| leaves[*position].index());
            walk.climb_to_meet(&mut subtree, words.index(), next)?;
        }
        let mut index = self.leaf_count;
        for (i, leaf) in plan.inserts.iter().enumerate() {
            subtree.set_appended(leaf);
            if i + 1 < plan.inserts.len() {
                walk.climb_to_meet(&mut subtree, index, index + 1)?;
                index += 1;
            }
        }
        if plan.inserts.is_empty() {
            subtree.set_free();
        }
        walk.climb_to_root(&mut subtree, index)?;
        match walk.siblings.len() {
            0 => Ok((Digest(*subtree.before(DEPTH)), Digest(*subtree.after(DEPTH)))),
            extra => Err(WitnessError::ExtraSiblings(extra)),
        }
    }
}

/// A subtree that a path has reached: its digest before, and after if something in it changed.
#[derive(Clone, Default)]
struct Subtree {
    old: [u32; 8],
    new: [u32; 8],
    /// Whether `new` is valid; else the digest is the old one.
    changed: bool,
    /// Whether all of it was empty before; then `old` is not valid.
    was_empty: bool,
}

impl Subtree {
    fn set_leaf(&mut self, words: &LeafWords, change: Option<&Change<'_>>, diffs: &mut StateDiffs) {
        (self.changed, self.was_empty) = (change.is_some(), false);
        let mut value_hash = [0; 8];
        leaf::value_hash_into(words.value_words(), &mut value_hash);
        compress_into(words.key(), words.next_key(), &mut self.old);
        let Some(change) = change else {
            append_right(&mut self.old, &value_hash);
            return;
        };
        match change.next_key {
            Some(next_key) => compress_into(words.key(), &next_key.0, &mut self.new),
            None => self.new = self.old,
        }
        append_right(&mut self.old, &value_hash);
        if let Some(new) = change.value {
            diffs.repeated.push(RepeatedWrite {
                index: words.index(),
                old: words.value(),
                new: *new,
            });
            leaf::value_hash_into(&to_le_words(new), &mut value_hash);
        }
        append_right(&mut self.new, &value_hash);
    }

    fn set_appended(&mut self, leaf: &Leaf) {
        (self.changed, self.was_empty) = (true, true);
        leaf::hash_into(&leaf.key.0, &leaf.next_key.0, &to_le_words(&leaf.value), &mut self.new);
    }

    fn set_free(&mut self) {
        (self.changed, self.was_empty) = (false, true);
    }

    #[inline]
    fn before(&self, level: usize) -> &[u32; 8] {
        if self.was_empty { &EMPTY[level].0 } else { &self.old }
    }

    #[inline]
    fn after(&self, level: usize) -> &[u32; 8] {
        if self.changed { &self.new } else { self.before(level) }
    }

    /// Becomes the parent of itself and an unchanged right sibling, which is empty if this is.
    #[inline]
    fn join_right(&mut self, right: &[u32; 8]) {
        if self.changed {
            append_right(&mut self.new, right);
        }
        if !self.was_empty {
            append_right(&mut self.old, right);
        }
    }

    /// Becomes the parent of an unchanged left sibling, which is not empty, and itself.
    #[inline]
    fn join_left(&mut self, left: &[u32; 8], level: usize) {
        if self.changed {
            append_left(left, &mut self.new);
        }
        if self.was_empty {
            compress_into(left, &EMPTY[level].0, &mut self.old);
            self.was_empty = false;
        } else {
            append_left(left, &mut self.old);
        }
    }

    /// Becomes the parent of a left sibling that was on a path too, and itself.
    fn join(&mut self, left: &Self, level: usize) {
        if self.changed {
            append_left(left.after(level), &mut self.new);
        } else if left.changed {
            let mut new = [0; 8];
            compress_into(&left.new, self.before(level), &mut new);
            (self.new, self.changed) = (new, true);
        }
        // Right of what was empty all was empty.
        if !left.was_empty {
            if self.was_empty {
                compress_into(&left.old, &EMPTY[level].0, &mut self.old);
                self.was_empty = false;
            } else {
                append_left(&left.old, &mut self.old);
            }
        }
    }
}

/// The walk over all paths.
struct Walk<'a> {
    siblings: core::slice::Iter<'a, [u32; 8]>,
    /// Left siblings that wait for a later path, the lowest level on top.
    waiting: Vec<(usize, Subtree)>,
}

impl Walk<'_> {
    /// Climbs from position `index` to where the path of `next` (greater) meets it, and waits there.
    fn climb_to_meet(
        &mut self,
        subtree: &mut Subtree,
        index: u64,
        next: u64,
    ) -> Result<(), WitnessError> {
        let meet = 63 - (index ^ next).leading_zeros() as usize;
        self.climb(subtree, index as u32, 0, meet.min(32), false)?;
        if meet > 32 {
            self.climb(subtree, (index >> 32) as u32, 32, meet, false)?;
        }
        self.waiting.push((meet, subtree.clone()));
        Ok(())
    }

    /// Climbs from the last position to the root.
    fn climb_to_root(&mut self, subtree: &mut Subtree, index: u64) -> Result<(), WitnessError> {
        self.climb(subtree, index as u32, 0, 32, true)?;
        self.climb(subtree, (index >> 32) as u32, 32, DEPTH, true)
    }

    /// Climbs from a level to another; the lowest bit of `path` says whether the subtree is a right child.
    fn climb(
        &mut self,
        subtree: &mut Subtree,
        mut path: u32,
        from: usize,
        to: usize,
        is_last: bool,
    ) -> Result<(), WitnessError> {
        let mut next_waiting = self.waiting.last().map_or(usize::MAX, |(level, _)| *level);
        for (level, empty) in EMPTY.iter().enumerate().take(to).skip(from) {
            if path & 1 == 0 {
                let right = if is_last { &empty.0 } else { self.sibling()? };
                subtree.join_right(right);
            } else if next_waiting == level {
                if let Some((_, left)) = self.waiting.last() {
                    subtree.join(left, level);
                }
                self.waiting.pop();
                next_waiting = self.waiting.last().map_or(usize::MAX, |(level, _)| *level);
            } else {
                let left = self.sibling()?;
                subtree.join_left(left, level);
            }
            path >>= 1;
        }
        Ok(())
    }

    #[inline]
    fn sibling(&mut self) -> Result<&'_ [u32; 8], WitnessError> {
        self.siblings.next().ok_or(WitnessError::MissingSibling)
    }
}
