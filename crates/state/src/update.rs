//! Writes, and what a batch of them did to the tree.
//!
//! The order is canonical: writes come strictly ascending by key, and keys that are new get their leaves in that
//! order. So a batch's result does not depend on the order of execution, and the linking of leaves is one merge.

use alloc::vec::Vec;

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

use crate::{
    CAPACITY, Digest, Key, Leaf,
    digest::{equal, less},
    leaf::{LeafWords, LeafWordsExt},
};

/// A key's new value. A value equal to the old one (zero for an absent key) is no change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// The key.
    pub key: Key,
    /// Its value at the end of the batch.
    pub value: U256,
}

/// A key's first value; its index is the batch's first free one plus its position among the initial writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitialWrite {
    /// The key.
    pub key: Key,
    /// Its value, never zero.
    pub value: U256,
}

/// A change of a leaf that was there before the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepeatedWrite {
    /// The leaf's index.
    pub index: u64,
    /// Its value before the batch.
    pub old: U256,
    /// Its value after the batch, not equal to `old`.
    pub new: U256,
}

/// What pubdata publishes of a batch's writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateDiffs {
    /// New keys in the order of their indices, which is ascending by key.
    pub initial: Vec<InitialWrite>,
    /// Changed leaves, ascending by index.
    pub repeated: Vec<RepeatedWrite>,
}

/// The state after a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeUpdate {
    /// The new root.
    pub root: Digest,
    /// The new number of leaves.
    pub leaf_count: u64,
    /// The changes.
    pub diffs: StateDiffs,
}

/// Why writes cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The writes are not strictly ascending by key.
    #[error(
        "write {0} is not above the write before it; sort writes by key and keep the last of each key"
    )]
    UnsortedWrites(usize),
    /// A write names the least or greatest key.
    #[error("write {0} names a sentinel key")]
    SentinelKey(usize),
    /// No leaf at hand is the key's own or its lower neighbour.
    #[error("the witness does not cover key {0}")]
    NotCovered(Key),
    /// The tree has no room.
    #[error("the tree is full")]
    TreeFull,
}

/// A change of a touched leaf.
pub(crate) struct Change<'a> {
    /// Position among the touched leaves.
    pub position: usize,
    /// The new value, where it changes.
    pub value: Option<&'a U256>,
    /// The new next key, where it changes.
    pub next_key: Option<&'a Key>,
}

/// What a list of writes does to leaves: the one rule of the tree's growth, used by the witness and by the native tree.
pub(crate) struct Plan<'a> {
    /// Ascending by position.
    pub changes: Vec<Change<'a>>,
    /// The leaves to append, in order.
    pub inserts: Vec<Leaf>,
}

/// Merges sorted writes with the touched leaves, which are sorted by key and cover every write.
pub(crate) fn plan<'a>(
    leaves: &[LeafWords],
    writes: &'a [Write],
    leaf_count: u64,
) -> Result<Plan<'a>, PlanError> {
    let mut changes: Vec<Change<'a>> = Vec::with_capacity(writes.len());
    let mut inserts: Vec<Leaf> = Vec::new();
    // The position of the leaf below the latest insert.
    let mut insert_low = usize::MAX;
    let mut low = 0;
    for (i, write) in writes.iter().enumerate() {
        if i > 0 && !less(&writes[i - 1].key.0, &write.key.0) {
            return Err(PlanError::UnsortedWrites(i));
        }
        if write.key.is_sentinel() {
            return Err(PlanError::SentinelKey(i));
        }
        while leaves.get(low + 1).is_some_and(|next| !less(&write.key.0, next.key())) {
            low += 1;
        }
        let leaf = leaves.get(low).ok_or(PlanError::NotCovered(write.key))?;
        if equal(leaf.key(), &write.key.0) {
            if leaf.value() != write.value {
                changes.push(Change { position: low, value: Some(&write.value), next_key: None });
            }
            continue;
        }
        if !less(leaf.key(), &write.key.0) || !less(&write.key.0, leaf.next_key()) {
            return Err(PlanError::NotCovered(write.key));
        }
        if write.value.is_zero() {
            continue;
        }
        match inserts.last_mut() {
            Some(last) if insert_low == low => last.next_key = write.key,
            _ => link(&mut changes, low, &write.key),
        }
        insert_low = low;
        inserts.push(Leaf { key: write.key, value: write.value, next_key: Key(*leaf.next_key()) });
    }
    if inserts.len() as u64 > CAPACITY - leaf_count.min(CAPACITY) {
        return Err(PlanError::TreeFull);
    }
    Ok(Plan { changes, inserts })
}

fn link<'a>(changes: &mut Vec<Change<'a>>, position: usize, next_key: &'a Key) {
    match changes.last_mut() {
        Some(change) if change.position == position => change.next_key = Some(next_key),
        _ => changes.push(Change { position, value: None, next_key: Some(next_key) }),
    }
}

/// Whether `key` is the leaf's own, or lies between the leaf and its upper neighbour, or neither.
pub(crate) fn covers(leaf: &LeafWords, key: &Key) -> Option<Option<U256>> {
    if equal(leaf.key(), &key.0) {
        Some(Some(leaf.value()))
    } else if less(leaf.key(), &key.0) && less(&key.0, leaf.next_key()) {
        Some(None)
    } else {
        None
    }
}
