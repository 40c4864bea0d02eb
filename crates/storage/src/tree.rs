//! The state tree on disk, as of the last sealed batch, and what each of the last batches changed in it, so that the trees before them can be seen too.

use std::collections::HashMap;

use alloy_primitives::U256;
use cairn_state::store::NodeChange;
use cairn_state::{Digest, Key, Leaf, TreeChanges, TreeMeta, TreeReader};
use redb::{ReadOnlyTable, ReadTransaction, ReadableDatabase, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::batches::{newest_batch, read_info};
use crate::db::{Storage, decode, encode};
use crate::error::{Result, StorageError};

const LEAVES: TableDefinition<u64, &[u8; LEAF_BYTES]> = TableDefinition::new("tree_leaves");
/// `level << 48 | index` -> digest.
const NODES: TableDefinition<u64, &[u8; 32]> = TableDefinition::new("tree_nodes");
const KEYS: TableDefinition<&[u8; 32], u64> = TableDefinition::new("tree_keys");
const TREE_META: TableDefinition<&str, &[u8; 40]> = TableDefinition::new("tree_meta");

/// batch -> what the tree held before it where it changed the tree ([`Undo`]).
const UNDO: TableDefinition<u64, &[u8]> = TableDefinition::new("tree_undo");

/// So many of the last batches can be undone.
pub const KEPT_TREES: u64 = 256;
/// Most bytes of changes that one look at an older tree undoes.
const MAX_UNDO: usize = 64 << 20;

const LEAF_BYTES: usize = 96;
const META_KEY: &str = "meta";

/// What a batch does to the tree.
pub type TreeWrites = TreeChanges;

/// What a batch's changes replaced; empty bytes where nothing was.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Undo {
    leaves: Vec<(u64, Vec<u8>)>,
    nodes: Vec<(u64, Vec<u8>)>,
}

/// What an older tree holds where the last one differs.
#[derive(Debug, Default)]
struct Past {
    leaves: HashMap<u64, Option<Leaf>>,
    nodes: HashMap<u64, Option<Digest>>,
}

/// The tree at one moment: it stays the same while batches are sealed. It implements [`TreeReader`], so `cairn_state::Tree::new(tree)` offers
/// lookups, proofs and the computation of a batch's update.
pub struct BatchTree {
    meta: TreeMeta,
    leaves: ReadOnlyTable<u64, &'static [u8; LEAF_BYTES]>,
    nodes: ReadOnlyTable<u64, &'static [u8; 32]>,
    keys: ReadOnlyTable<&'static [u8; 32], u64>,
    past: Past,
}

impl std::fmt::Debug for BatchTree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchTree").field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl Storage {
    pub(crate) fn create_tree_tables(txn: &WriteTransaction) -> Result<()> {
        txn.open_table(LEAVES)?;
        txn.open_table(NODES)?;
        txn.open_table(KEYS)?;
        txn.open_table(TREE_META)?;
        txn.open_table(UNDO)?;
        Ok(())
    }

    /// The tree after the last sealed batch.
    ///
    /// # Errors
    /// A fault of the database, or before genesis.
    pub fn tree(&self) -> Result<BatchTree> {
        let txn = self.inner.batches.begin_read()?;
        let meta =
            txn.open_table(TREE_META)?.get(META_KEY)?.map(|v| read_meta(v.value())).transpose()?;
        let meta = meta.ok_or_else(|| StorageError::corrupt("there is no state tree"))?;
        BatchTree::open(&txn, meta, Past::default())
    }

    /// The tree after a batch (0 is genesis); `None` when there is no such batch yet, or its tree is not kept any more: at most [`KEPT_TREES`] batches back, fewer
    /// when those changed very much.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn tree_at(&self, batch: u64) -> Result<Option<BatchTree>> {
        let txn = self.inner.batches.begin_read()?;
        let newest = newest_batch(&txn)?;
        if batch > newest || newest - batch > KEPT_TREES {
            return Ok(None);
        }
        let undo = txn.open_table(UNDO)?;
        let (mut past, mut size) = (Past::default(), 0);
        // The older a change, the later it is noted: what was before the first one counts.
        for number in (batch + 1..=newest).rev() {
            let Some(row) = undo.get(number)? else { return Ok(None) };
            size += row.value().len();
            if size > MAX_UNDO {
                return Ok(None);
            }
            past.note(decode(row.value())?)?;
        }
        let Some(info) = read_info(&txn, batch)? else { return Ok(None) };
        let root = Digest::from_bytes(&info.stateRoot.0)
            .map_err(|_| StorageError::corrupt("a batch's state root is not canonical"))?;
        let meta = TreeMeta { root, leaf_count: info.leafCount };
        BatchTree::open(&txn, meta, past).map(Some)
    }
}

impl Past {
    fn note(&mut self, undo: Undo) -> Result<()> {
        let cut = |_| StorageError::corrupt("the record of a tree's changes");
        for (index, old) in undo.leaves {
            let old =
                (!old.is_empty()).then(|| read_leaf(&old.try_into().map_err(cut)?)).transpose()?;
            self.leaves.insert(index, old);
        }
        for (key, old) in undo.nodes {
            let old = (!old.is_empty())
                .then(|| read_digest(&old.try_into().map_err(cut)?))
                .transpose()?;
            self.nodes.insert(key, old);
        }
        Ok(())
    }
}

impl BatchTree {
    fn open(txn: &ReadTransaction, meta: TreeMeta, past: Past) -> Result<Self> {
        Ok(Self {
            meta,
            leaves: txn.open_table(LEAVES)?,
            nodes: txn.open_table(NODES)?,
            keys: txn.open_table(KEYS)?,
            past,
        })
    }
}

impl TreeReader for BatchTree {
    type Error = StorageError;

    fn meta(&self) -> Result<TreeMeta> {
        Ok(self.meta)
    }

    fn leaf(&self, index: u64) -> Result<Option<Leaf>> {
        if let Some(old) = self.past.leaves.get(&index) {
            return Ok(*old);
        }
        self.leaves.get(index)?.map(|v| read_leaf(v.value())).transpose()
    }

    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>> {
        if let Some(old) = self.past.nodes.get(&node_key(level, index)) {
            return Ok(*old);
        }
        self.nodes.get(node_key(level, index))?.map(|v| read_digest(v.value())).transpose()
    }

    fn predecessor(&self, key: &Key) -> Result<Option<(Key, u64)>> {
        let bytes = key.to_bytes();
        for row in self.keys.range::<&[u8; 32]>(..=&bytes)?.rev() {
            let (found, index) = row?;
            // Leaves are appended: an older tree has the first ones, under the same keys.
            if index.value() < self.meta.leaf_count {
                return Ok(Some((read_key(found.value())?, index.value())));
            }
        }
        Ok(None)
    }
}

/// Writes a batch's changes into an open transaction; returns what was there before.
pub(crate) fn write_tree(txn: &WriteTransaction, changes: &TreeChanges) -> Result<Undo> {
    let mut undo = Undo::default();
    let mut leaves = txn.open_table(LEAVES)?;
    for (index, leaf) in &changes.leaves {
        let old = leaves.insert(*index, &leaf_bytes(leaf))?;
        undo.leaves.push((*index, old.map_or(Vec::new(), |v| v.value().to_vec())));
    }
    let mut nodes = txn.open_table(NODES)?;
    for NodeChange { level, index, digest } in &changes.nodes {
        let key = node_key(*level, *index);
        let old = nodes.insert(key, &digest.to_bytes())?;
        undo.nodes.push((key, old.map_or(Vec::new(), |v| v.value().to_vec())));
    }
    let mut keys = txn.open_table(KEYS)?;
    for (key, index) in &changes.keys {
        keys.insert(&key.to_bytes(), *index)?;
    }
    txn.open_table(TREE_META)?.insert(META_KEY, &meta_bytes(&changes.meta))?;
    Ok(undo)
}

/// Keeps what undoes a batch, and forgets what undoes the one that is too far back by now.
pub(crate) fn write_undo(txn: &WriteTransaction, batch: u64, undo: &Undo) -> Result<()> {
    let mut table = txn.open_table(UNDO)?;
    table.insert(batch, &encode(undo)?[..])?;
    if let Some(old) = batch.checked_sub(KEPT_TREES) {
        table.remove(old)?;
    }
    Ok(())
}

fn node_key(level: u8, index: u64) -> u64 {
    u64::from(level) << 48 | index
}

fn leaf_bytes(leaf: &Leaf) -> [u8; LEAF_BYTES] {
    let mut out = [0; LEAF_BYTES];
    out[..32].copy_from_slice(&leaf.key.to_bytes());
    out[32..64].copy_from_slice(&leaf.value.to_be_bytes::<32>());
    out[64..].copy_from_slice(&leaf.next_key.to_bytes());
    out
}

fn read_leaf(bytes: &[u8; LEAF_BYTES]) -> Result<Leaf> {
    let part = |i: usize| -> [u8; 32] { std::array::from_fn(|j| bytes[32 * i + j]) };
    Ok(Leaf {
        key: read_key(&part(0))?,
        value: U256::from_be_bytes(part(1)),
        next_key: read_key(&part(2))?,
    })
}

fn read_key(bytes: &[u8; 32]) -> Result<Key> {
    Key::from_bytes(bytes)
        .map_err(|_| StorageError::corrupt("a key of the state tree is not canonical"))
}

fn read_digest(bytes: &[u8; 32]) -> Result<Digest> {
    Digest::from_bytes(bytes)
        .map_err(|_| StorageError::corrupt("a node of the state tree is not canonical"))
}

fn meta_bytes(meta: &TreeMeta) -> [u8; 40] {
    let mut out = [0; 40];
    out[..32].copy_from_slice(&meta.root.to_bytes());
    out[32..].copy_from_slice(&meta.leaf_count.to_be_bytes());
    out
}

fn read_meta(bytes: &[u8; 40]) -> Result<TreeMeta> {
    let root = read_digest(&std::array::from_fn(|i| bytes[i]))?;
    Ok(TreeMeta { root, leaf_count: u64::from_be_bytes(std::array::from_fn(|i| bytes[32 + i])) })
}
