//! Opening a data directory, and what says which chain it belongs to.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use alloy_primitives::B256;
use cairn_primitives::ChainConfig;
use cairn_primitives::batch::StoredBatchInfo;
use parking_lot::{Mutex, RwLock};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::batches::BatchHeads;
use crate::error::{Result, StorageError};
use crate::log::TxLog;
use crate::model::{BlockRecord, FORMAT_VERSION, StateDiff};

/// Metadata of `chain.redb`.
pub(crate) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

const META_FORMAT: &str = "format";
const META_CONFIG_HASH: &str = "chain_config_hash";
const META_CONFIG: &str = "chain_config";
const META_GENESIS: &str = "genesis_hash";
/// Last block that was recovered from the settlement layer.
pub(crate) const META_RECOVERED_AT: &str = "recovered_at";
const META_EXTRA: &str = "identity_extra";

/// Bytes of each database's page cache.
const CACHE_BYTES: usize = 256 << 20;

/// What must be the same for a data directory to be used again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainIdentity {
    /// The chain's parameters.
    pub config: ChainConfig,
    /// Hash of everything at genesis that `config` does not say (predeploys, funded accounts); any fixed value will do.
    pub genesis_digest: B256,
}

/// A data directory in use. Clones share it; the last one to go closes it.
#[derive(Clone)]
pub struct Storage {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) path: PathBuf,
    pub(crate) chain: Database,
    pub(crate) batches: Database,
    pub(crate) head: RwLock<Option<Arc<BlockRecord>>>,
    pub(crate) heads: watch::Sender<BatchHeads>,
    /// Whoever publishes heads that it has read holds this.
    pub(crate) publishing: Mutex<()>,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl Storage {
    /// Opens a data directory, creating it if it is not there. A fresh one has no genesis yet: see [`Storage::init_genesis`].
    ///
    /// # Errors
    /// [`StorageError::FormatVersion`], [`StorageError::WrongChain`], [`StorageError::Locked`], or a fault of the disk.
    pub fn open(path: impl AsRef<Path>, identity: &ChainIdentity) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        fs::create_dir_all(&path)?;
        let chain = open_database(&path, "chain.redb")?;
        let batches = open_database(&path, "batches.redb")?;
        check_identity(&chain, &path, identity)?;
        let (heads, _) = watch::channel(BatchHeads::default());
        let publishing = Mutex::new(());
        let inner = Inner { path, chain, batches, head: RwLock::new(None), heads, publishing };
        let storage = Self { inner: Arc::new(inner) };
        storage.create_chain_tables()?;
        storage.create_batch_tables()?;
        storage.load_head()?;
        storage.load_batch_heads()?;
        storage.check_consistency()?;
        Ok(storage)
    }

    /// The data directory.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Whether genesis is in.
    pub fn is_initialized(&self) -> bool {
        self.inner.head.read().is_some()
    }

    /// Writes genesis: block 0, the state, its tree (changes to an empty store, in order), and what L1 is told of batch 0. May be called
    /// again when it was interrupted.
    ///
    /// # Errors
    /// When there is a genesis already, or the disk fails.
    pub fn init_genesis(
        &self,
        block: &BlockRecord,
        diff: &StateDiff,
        tree: &[crate::tree::TreeWrites],
        info: &StoredBatchInfo,
    ) -> Result<()> {
        if self.is_initialized() {
            return Err(StorageError::Order {
                what: "genesis",
                got: 0,
                expected: self.head_number() + 1,
            });
        }
        // The tree first: a directory counts as initialised when block 0 is in.
        self.put_genesis_batch(tree, info)?;
        self.put_genesis_block(block, diff)
    }

    /// Opens the log of accepted transactions and returns what it holds. Call it once.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn open_tx_log(&self) -> Result<(TxLog, Vec<crate::log::LogEntry>)> {
        TxLog::open(&self.inner.path.join("pool"))
    }

    /// Hash of the chain's parameters in a data directory that may belong to any chain (for `doctor`): `(format version, config hash)`.
    ///
    /// # Errors
    /// When there is no data directory or it cannot be read.
    pub fn peek(path: impl AsRef<Path>) -> Result<(u64, B256)> {
        let file = path.as_ref().join("chain.redb");
        let db = Database::builder()
            .set_cache_size(1 << 20)
            .open(&file)
            .map_err(|e| lock_error(e, path.as_ref()))?;
        let txn = db.begin_read()?;
        let meta = txn.open_table(META)?;
        Ok((
            read_u64(&meta, META_FORMAT)?.unwrap_or(0),
            read_b256(&meta, META_CONFIG_HASH)?.unwrap_or_default(),
        ))
    }

    /// The chain that an existing data directory belongs to, if it can be told.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn peek_config(path: impl AsRef<Path>) -> Result<Option<ChainConfig>> {
        let file = path.as_ref().join("chain.redb");
        if !file.exists() {
            return Ok(None);
        }
        let db = Database::builder()
            .set_cache_size(1 << 20)
            .open(&file)
            .map_err(|e| lock_error(e, path.as_ref()))?;
        let txn = db.begin_read()?;
        match txn.open_table(META) {
            Ok(meta) => meta.get(META_CONFIG)?.map(|v| decode(v.value())).transpose(),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn check_consistency(&self) -> Result<()> {
        if !self.is_initialized() {
            return Ok(());
        }
        let (head, sealed) = (self.head_number(), self.batch_heads());
        if sealed.last_sealed_block > head {
            return Err(StorageError::corrupt(format!(
                "batch {} ends at block {}, the chain at {head}: were the files copied at different times?",
                sealed.sealed, sealed.last_sealed_block
            )));
        }
        Ok(())
    }
}

fn open_database(dir: &Path, name: &str) -> Result<Database> {
    let (path, told) = (dir.join(name), AtomicU8::new(0));
    let shown = path.display().to_string();
    Database::builder()
        .set_cache_size(CACHE_BYTES)
        // After a kill a large file takes minutes to be walked through: whoever waits should know for what.
        .set_repair_callback(move |repair| {
            let tenths = (repair.progress() * 10.0) as u8;
            if told.swap(tenths + 1, Ordering::Relaxed) != tenths + 1 {
                tracing::info!(file = shown, percent = tenths * 10, "checking after a hard stop");
            }
        })
        .create(path)
        .map_err(|e| lock_error(e, dir))
}

fn lock_error(e: redb::DatabaseError, dir: &Path) -> StorageError {
    match e {
        redb::DatabaseError::DatabaseAlreadyOpen => StorageError::Locked(dir.to_path_buf()),
        redb::DatabaseError::Storage(redb::StorageError::Io(io))
            if io.kind() == std::io::ErrorKind::InvalidData =>
        {
            StorageError::corrupt(format!(
                "a file in {} is no database of this program",
                dir.display()
            ))
        }
        e => e.into(),
    }
}

fn check_identity(chain: &Database, path: &Path, identity: &ChainIdentity) -> Result<()> {
    let txn = chain.begin_write()?;
    {
        let mut meta = txn.open_table(META)?;
        let config_hash = identity.config.hash();
        match read_u64(&meta, META_FORMAT)? {
            None => {
                meta.insert(META_FORMAT, &FORMAT_VERSION.to_be_bytes()[..])?;
                meta.insert(META_CONFIG_HASH, config_hash.as_slice())?;
                meta.insert(META_CONFIG, &encode(&identity.config)?[..])?;
                meta.insert(META_GENESIS, identity.genesis_digest.as_slice())?;
                meta.insert(META_EXTRA, &[][..])?;
            }
            Some(found) if found != FORMAT_VERSION => {
                let path = path.to_path_buf();
                return Err(StorageError::FormatVersion { path, found, expected: FORMAT_VERSION });
            }
            Some(_) => {
                expect_same(&meta, META_CONFIG_HASH, "configuration", config_hash, path)?;
                expect_same(&meta, META_GENESIS, "genesis", identity.genesis_digest, path)?;
            }
        }
    }
    txn.commit()?;
    Ok(())
}

fn expect_same(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
    what: &'static str,
    expected: B256,
    path: &Path,
) -> Result<()> {
    let found = read_b256(meta, key)?.ok_or_else(|| StorageError::corrupt(format!("no {key}")))?;
    if found == expected {
        return Ok(());
    }
    Err(StorageError::WrongChain { path: path.to_path_buf(), what, found, expected })
}

pub(crate) fn read_u64(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<Option<u64>> {
    let Some(v) = meta.get(key)? else { return Ok(None) };
    let bytes =
        v.value().try_into().map_err(|_| StorageError::corrupt(format!("{key} is no number")))?;
    Ok(Some(u64::from_be_bytes(bytes)))
}

fn read_b256(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<Option<B256>> {
    let Some(v) = meta.get(key)? else { return Ok(None) };
    B256::try_from(v.value())
        .map(Some)
        .map_err(|_| StorageError::corrupt(format!("{key} is no hash")))
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    Ok(postcard::to_stdvec(value)?)
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    Ok(postcard::from_bytes(bytes)?)
}
