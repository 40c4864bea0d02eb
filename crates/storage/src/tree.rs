//! The state tree on disk, as of the last sealed batch.

use alloy_primitives::U256;
use cairn_state::store::NodeChange;
use cairn_state::{Digest, Key, Leaf, TreeChanges, TreeMeta, TreeReader};
use redb::{ReadOnlyTable, ReadableDatabase, TableDefinition, WriteTransaction};

use crate::db::Storage;
use crate::error::{Result, StorageError};

const LEAVES: TableDefinition<u64, &[u8; LEAF_BYTES]> = TableDefinition::new("tree_leaves");
/// `level << 48 | index` -> digest.
const NODES: TableDefinition<u64, &[u8; 32]> = TableDefinition::new("tree_nodes");
const KEYS: TableDefinition<&[u8; 32], u64> = TableDefinition::new("tree_keys");
const TREE_META: TableDefinition<&str, &[u8; 40]> = TableDefinition::new("tree_meta");

const LEAF_BYTES: usize = 96;
const META_KEY: &str = "meta";

/// What a batch does to the tree.
pub type TreeWrites = TreeChanges;

/// The tree at one moment: it stays the same while batches are sealed. It implements [`TreeReader`], so `cairn_state::Tree::new(tree)` offers
/// lookups, proofs and the computation of a batch's update.
pub struct BatchTree {
    meta: TreeMeta,
    leaves: ReadOnlyTable<u64, &'static [u8; LEAF_BYTES]>,
    nodes: ReadOnlyTable<u64, &'static [u8; 32]>,
    keys: ReadOnlyTable<&'static [u8; 32], u64>,
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
        Ok(BatchTree {
            meta: meta.ok_or_else(|| StorageError::corrupt("there is no state tree"))?,
            leaves: txn.open_table(LEAVES)?,
            nodes: txn.open_table(NODES)?,
            keys: txn.open_table(KEYS)?,
        })
    }
}

impl TreeReader for BatchTree {
    type Error = StorageError;

    fn meta(&self) -> Result<TreeMeta> {
        Ok(self.meta)
    }

    fn leaf(&self, index: u64) -> Result<Option<Leaf>> {
        self.leaves.get(index)?.map(|v| read_leaf(v.value())).transpose()
    }

    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>> {
        self.nodes.get(node_key(level, index))?.map(|v| read_digest(v.value())).transpose()
    }

    fn predecessor(&self, key: &Key) -> Result<Option<(Key, u64)>> {
        let bytes = key.to_bytes();
        let Some(row) = self.keys.range::<&[u8; 32]>(..=&bytes)?.next_back() else {
            return Ok(None);
        };
        let (found, index) = row?;
        Ok(Some((read_key(found.value())?, index.value())))
    }
}

/// Writes a batch's changes into an open transaction.
pub(crate) fn write_tree(txn: &WriteTransaction, changes: &TreeChanges) -> Result<()> {
    let mut leaves = txn.open_table(LEAVES)?;
    for (index, leaf) in &changes.leaves {
        leaves.insert(*index, &leaf_bytes(leaf))?;
    }
    let mut nodes = txn.open_table(NODES)?;
    for NodeChange { level, index, digest } in &changes.nodes {
        nodes.insert(node_key(*level, *index), &digest.to_bytes())?;
    }
    let mut keys = txn.open_table(KEYS)?;
    for (key, index) in &changes.keys {
        keys.insert(&key.to_bytes(), *index)?;
    }
    txn.open_table(TREE_META)?.insert(META_KEY, &meta_bytes(&changes.meta))?;
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
