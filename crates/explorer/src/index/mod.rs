//! The explorer's index: what a page needs and the chain's own store cannot answer without a scan.
//!
//! It lives in a redb file of its own, built by following the chain, and holds nothing that the chain does not: a file of another version, of
//! another chain, or of a chain that has other blocks, is deleted and built again. Catching up goes in transactions of at most
//! [`MAX_BLOCKS`] blocks, so memory is bounded; a kill loses at most what was not yet synced, which is then read again. Internal operations need
//! blocks to be executed again; they follow behind with a mark of their own, and nothing waits for them.

mod extract;
mod internal;
pub mod model;
mod queries;
mod tables;
mod write;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use alloy_primitives::B256;
use parking_lot::RwLock;
use redb::{Database, ReadableDatabase, ReadableTable};

use crate::error::{ExplorerError, Result};
use tables::{
    META, META_FORMAT, META_GENESIS, META_HEAD_HASH, META_INTERNAL_NEXT, META_NEXT, read_u64,
};

pub(crate) use extract::{NO_CODE, deposit};
pub use internal::{BlockInternals, TxInternals};
pub use queries::{Page, Totals};

/// Version of the file's format. Another one is built again.
const FORMAT: u64 = 2;
/// Bytes of the page cache.
const CACHE: usize = 64 << 20;
/// Most blocks that one transaction takes.
pub const MAX_BLOCKS: u64 = 512;
/// Most transactions that one transaction takes, when it has at least one block.
pub const MAX_TXS: usize = 20_000;

/// The index.
#[derive(Debug)]
pub struct Index {
    db: Database,
    path: PathBuf,
    next: AtomicU64,
    next_internal: AtomicU64,
    /// Whoever reads the chain and writes what it read reads this meanwhile: how often the index went back.
    pub(crate) turn: RwLock<u64>,
}

/// A state to which an index can go back as long as the process lives.
pub struct Savepoint(redb::Savepoint);

impl std::fmt::Debug for Savepoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Savepoint").finish_non_exhaustive()
    }
}

impl Index {
    /// Opens the index of the chain with this genesis, and makes a new one when the file is not there or not usable.
    ///
    /// # Errors
    /// When the file cannot be created or read.
    pub fn open(path: impl AsRef<Path>, genesis: B256) -> Result<Self> {
        let path = path.as_ref();
        match Self::try_open(path, genesis) {
            Ok(Some(index)) => return Ok(index),
            Ok(None) => {
                tracing::info!(path = %path.display(), "the explorer's index is of another chain or version: building it again")
            }
            Err(ExplorerError::Open(_, e))
                if matches!(*e, redb::DatabaseError::DatabaseAlreadyOpen) =>
            {
                return Err(ExplorerError::Open(path.to_path_buf(), e));
            }
            Err(e) => {
                tracing::warn!(error = %e, "the explorer's index is damaged: building it again")
            }
        }
        if let Err(e) = std::fs::remove_file(path) {
            return Err(ExplorerError::Io(path.to_path_buf(), e));
        }
        Self::try_open(path, genesis)?
            .ok_or_else(|| ExplorerError::Chain("a new index is of another chain".into()))
    }

    /// The index in the file; `None` when it is of another version or chain.
    fn try_open(path: &Path, genesis: B256) -> Result<Option<Self>> {
        let db = Database::builder()
            .set_cache_size(CACHE)
            .create(path)
            .map_err(|e| ExplorerError::Open(path.to_path_buf(), Box::new(e)))?;
        let txn = db.begin_write()?;
        let (next, next_internal) = {
            let mut meta = txn.open_table(META)?;
            let format = read_u64(&meta, META_FORMAT)?;
            match format {
                None => {
                    meta.insert(META_FORMAT, &FORMAT.to_be_bytes()[..])?;
                    meta.insert(META_GENESIS, genesis.as_slice())?;
                }
                Some(FORMAT) => {
                    let same =
                        meta.get(META_GENESIS)?.is_some_and(|v| v.value() == genesis.as_slice());
                    if !same {
                        return Ok(None);
                    }
                }
                Some(_) => return Ok(None),
            }
            let read = |key| Ok::<_, ExplorerError>(read_u64(&meta, key)?.unwrap_or(0));
            (read(META_NEXT)?, read(META_INTERNAL_NEXT)?)
        };
        tables::create(&txn)?;
        txn.commit()?;
        Ok(Some(Self {
            db,
            path: path.to_path_buf(),
            next: AtomicU64::new(next),
            next_internal: AtomicU64::new(next_internal),
            turn: RwLock::default(),
        }))
    }

    /// Remembers the present state.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn savepoint(&self) -> Result<Savepoint> {
        let txn = self.db.begin_write()?;
        let savepoint = txn.ephemeral_savepoint()?;
        txn.abort()?;
        Ok(Savepoint(savepoint))
    }

    /// Goes back to `to` while `go_back` takes the chain there; nothing is read of the chain meanwhile. Younger savepoints are of no use any more.
    ///
    /// # Errors
    /// A fault of the file, or what `go_back` gives.
    pub fn rewind<E: From<ExplorerError>>(
        &self,
        to: &Savepoint,
        go_back: impl FnOnce() -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut turn = self.turn.write();
        *turn += 1;
        self.restore(to)?;
        go_back()
    }

    fn restore(&self, to: &Savepoint) -> Result<()> {
        let mut txn = self.db.begin_write()?;
        txn.restore_savepoint(&to.0)?;
        let (next, next_internal) = {
            let meta = txn.open_table(META)?;
            let read = |key| Ok::<_, ExplorerError>(read_u64(&meta, key)?.unwrap_or(0));
            (read(META_NEXT)?, read(META_INTERNAL_NEXT)?)
        };
        txn.commit()?;
        self.next_internal.store(next_internal, Ordering::Release);
        self.next.store(next, Ordering::Release);
        Ok(())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of the first block that is not indexed yet.
    pub fn next_block(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    /// Number of the first block whose internal operations are not indexed yet. Never beyond [`Self::next_block`].
    pub fn next_internal(&self) -> u64 {
        self.next_internal.load(Ordering::Acquire)
    }

    /// Hash of the last indexed block.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn head_hash(&self) -> Result<Option<B256>> {
        let txn = self.db.begin_read()?;
        let meta = txn.open_table(META)?;
        Ok(meta.get(META_HEAD_HASH)?.and_then(|v| B256::try_from(v.value()).ok()))
    }
}
