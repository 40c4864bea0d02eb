//! What survives a restart, on redb. A block with its state changes is one durable transaction.

use crate::block::StoredBlock;
use crate::config::L1Error;
use crate::state::{AccountRecord, Changes, WorldState};
use alloy_eips::eip4844::Blob;
use alloy_primitives::{Address, B256, Bytes, TxHash, U256};
use cairn_rpc::ChainError;
use redb::{
    Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
    backends::InMemoryBackend,
};
use std::path::Path;

/// Name of the database in the data directory.
pub const DATABASE_FILE: &str = "l1.redb";
/// Format of the tables.
const VERSION: u64 = 1;
/// Blobs of older blocks are dropped: mainnet's 4,096 epochs.
const BLOB_BLOCKS: u64 = 4_096 * 32;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const ACCOUNTS: TableDefinition<'_, [u8; 20], &[u8]> = TableDefinition::new("accounts");
const SLOTS: TableDefinition<'_, [u8; 52], [u8; 32]> = TableDefinition::new("slots");
const CODE: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("code");
const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
const HASHES: TableDefinition<'_, [u8; 32], u64> = TableDefinition::new("hashes");
const TXS: TableDefinition<'_, [u8; 32], (u64, u32)> = TableDefinition::new("transactions");
const UNDO: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("undo");
/// Versioned hash to (number of its block, blob).
const BLOBS: TableDefinition<'_, [u8; 32], (u64, &[u8])> = TableDefinition::new("blobs");
const BLOBS_BY_BLOCK: TableDefinition<'_, (u64, [u8; 32]), ()> =
    TableDefinition::new("blobs_by_block");

/// See the module's text.
pub(crate) struct Store(Database);

/// A block to commit, with what leads to its state and back.
pub(crate) struct Commit<'a> {
    pub(crate) block: &'a StoredBlock,
    pub(crate) forward: &'a Changes,
    pub(crate) undo: &'a Changes,
    pub(crate) blobs: Vec<(B256, &'a Blob)>,
    /// Undo records below this number are dropped.
    pub(crate) keep_undo_from: u64,
}

fn failed(error: impl Into<redb::Error>) -> ChainError {
    ChainError::Internal(format!("the L1's database: {}", error.into()))
}

fn damaged(why: impl std::fmt::Display) -> ChainError {
    ChainError::Internal(format!("the L1's database is damaged: {why}"))
}

fn slot_key(address: Address, slot: U256) -> [u8; 52] {
    let mut key = [0; 52];
    key[..20].copy_from_slice(address.as_slice());
    key[20..].copy_from_slice(&slot.to_be_bytes::<32>());
    key
}

impl Store {
    /// Opens or makes the database; `None` keeps it in memory.
    pub(crate) fn open(dir: Option<&Path>, chain_id: u64) -> Result<Self, L1Error> {
        let database = match dir {
            None => Database::builder()
                .create_with_backend(InMemoryBackend::new())
                .map_err(|e| L1Error::Database(e.to_string()))?,
            Some(dir) => {
                let fail = |why: String| L1Error::DataDir { path: dir.to_owned(), why };
                std::fs::create_dir_all(dir).map_err(|e| fail(e.to_string()))?;
                Database::builder()
                    .set_cache_size(64 << 20)
                    .create(dir.join(DATABASE_FILE))
                    .map_err(|e| fail(e.to_string()))?
            }
        };
        let store = Self(database);
        store.check(chain_id)?;
        Ok(store)
    }

    /// Makes the tables; refuses another chain's or version's.
    fn check(&self, chain_id: u64) -> Result<(), L1Error> {
        let database = |e: ChainError| L1Error::Database(e.to_string());
        let write = self.0.begin_write().map_err(|e| database(failed(e)))?;
        let found = make_tables(&write, chain_id).map_err(database)?;
        write.commit().map_err(|e| database(failed(e)))?;
        match found {
            (version, _) if version != VERSION => {
                Err(L1Error::OtherVersion { wanted: VERSION, found: version })
            }
            (_, id) if id != chain_id => Err(L1Error::OtherChain { wanted: chain_id, found: id }),
            _ => Ok(()),
        }
    }

    pub(crate) fn head(&self) -> Result<Option<u64>, ChainError> {
        let read = self.0.begin_read().map_err(failed)?;
        let meta = read.open_table(META).map_err(failed)?;
        Ok(meta.get("head").map_err(failed)?.map(|v| v.value()))
    }

    pub(crate) fn block(&self, number: u64) -> Result<Option<StoredBlock>, ChainError> {
        let read = self.0.begin_read().map_err(failed)?;
        let table = read.open_table(BLOCKS).map_err(failed)?;
        let bytes = table.get(number).map_err(failed)?;
        bytes.map(|b| StoredBlock::decode(b.value()).map_err(damaged)).transpose()
    }

    pub(crate) fn number_of(&self, hash: B256) -> Result<Option<u64>, ChainError> {
        let read = self.0.begin_read().map_err(failed)?;
        let table = read.open_table(HASHES).map_err(failed)?;
        Ok(table.get(hash.0).map_err(failed)?.map(|n| n.value()))
    }

    /// Block and index of an included transaction.
    pub(crate) fn location(&self, hash: TxHash) -> Result<Option<(u64, usize)>, ChainError> {
        let read = self.0.begin_read().map_err(failed)?;
        let table = read.open_table(TXS).map_err(failed)?;
        Ok(table.get(hash.0).map_err(failed)?.map(|v| (v.value().0, v.value().1 as usize)))
    }

    pub(crate) fn blob(&self, versioned_hash: B256) -> Result<Option<Bytes>, ChainError> {
        let read = self.0.begin_read().map_err(failed)?;
        let table = read.open_table(BLOBS).map_err(failed)?;
        Ok(table
            .get(versioned_hash.0)
            .map_err(failed)?
            .map(|v| Bytes::copy_from_slice(v.value().1)))
    }

    pub(crate) fn code(&self, hash: B256) -> Result<Option<Bytes>, ChainError> {
        let read = self.0.begin_read().map_err(failed)?;
        let table = read.open_table(CODE).map_err(failed)?;
        Ok(table.get(hash.0).map_err(failed)?.map(|v| Bytes::copy_from_slice(v.value())))
    }

    pub(crate) fn undo(&self, number: u64) -> Result<Option<Changes>, ChainError> {
        let read = self.0.begin_read().map_err(failed)?;
        let table = read.open_table(UNDO).map_err(failed)?;
        let bytes = table.get(number).map_err(failed)?;
        bytes.map(|b| postcard::from_bytes(b.value()).map_err(damaged)).transpose()
    }

    /// The head's state.
    pub(crate) fn state(&self) -> Result<WorldState, ChainError> {
        let read = self.0.begin_read().map_err(failed)?;
        let mut changes = Changes::default();
        for entry in read.open_table(ACCOUNTS).map_err(failed)?.iter().map_err(failed)? {
            let (address, bytes) = entry.map_err(failed)?;
            let record: AccountRecord = postcard::from_bytes(bytes.value()).map_err(damaged)?;
            changes.accounts.push((address.value().into(), Some(record)));
        }
        for entry in read.open_table(SLOTS).map_err(failed)?.iter().map_err(failed)? {
            let (key, value) = entry.map_err(failed)?;
            let key = key.value();
            changes.slots.push((
                Address::from_slice(&key[..20]),
                U256::from_be_slice(&key[20..]),
                U256::from_be_bytes(value.value()),
            ));
        }
        for entry in read.open_table(CODE).map_err(failed)?.iter().map_err(failed)? {
            let (hash, code) = entry.map_err(failed)?;
            changes.code.insert(hash.value().into(), Bytes::copy_from_slice(code.value()));
        }
        let mut state = WorldState::default();
        state.apply(&changes, |_| None);
        Ok(state)
    }

    fn write(
        &self,
        f: impl FnOnce(&WriteTransaction) -> Result<(), ChainError>,
    ) -> Result<(), ChainError> {
        let write = self.0.begin_write().map_err(failed)?;
        f(&write)?;
        write.commit().map_err(failed)
    }

    /// Appends a block; durable when this returns.
    pub(crate) fn commit(&self, commit: &Commit<'_>) -> Result<(), ChainError> {
        self.write(|write| {
            write_state(write, commit.forward)?;
            write_block(write, commit)?;
            write_blobs(write, commit)
        })
    }

    /// Writes changes to the head's state outside any block.
    pub(crate) fn change(&self, changes: &Changes) -> Result<(), ChainError> {
        self.write(|write| write_state(write, changes))
    }

    /// Goes back to block `to`, whose state `changes` leads to.
    pub(crate) fn rewind(&self, to: u64, changes: &Changes) -> Result<(), ChainError> {
        self.write(|write| {
            write_state(write, changes)?;
            drop_blocks_above(write, to)
        })
    }
}

fn make_tables(write: &WriteTransaction, chain_id: u64) -> Result<(u64, u64), ChainError> {
    write.open_table(ACCOUNTS).map_err(failed)?;
    write.open_table(SLOTS).map_err(failed)?;
    write.open_table(CODE).map_err(failed)?;
    write.open_table(BLOCKS).map_err(failed)?;
    write.open_table(HASHES).map_err(failed)?;
    write.open_table(TXS).map_err(failed)?;
    write.open_table(UNDO).map_err(failed)?;
    write.open_table(BLOBS).map_err(failed)?;
    write.open_table(BLOBS_BY_BLOCK).map_err(failed)?;
    let mut meta = write.open_table(META).map_err(failed)?;
    let mut value = |key: &str, wanted: u64| -> Result<u64, ChainError> {
        let found = meta.get(key).map_err(failed)?.map(|v| v.value());
        if found.is_none() {
            meta.insert(key, wanted).map_err(failed)?;
        }
        Ok(found.unwrap_or(wanted))
    };
    Ok((value("version", VERSION)?, value("chain_id", chain_id)?))
}

fn write_state(write: &WriteTransaction, changes: &Changes) -> Result<(), ChainError> {
    let mut accounts = write.open_table(ACCOUNTS).map_err(failed)?;
    for (address, record) in &changes.accounts {
        match record {
            Some(record) => {
                let bytes = postcard::to_stdvec(record).map_err(damaged)?;
                accounts.insert(address.into_array(), bytes.as_slice()).map_err(failed)?;
            }
            None => {
                accounts.remove(address.into_array()).map_err(failed)?;
            }
        }
    }
    let mut slots = write.open_table(SLOTS).map_err(failed)?;
    for (address, slot, value) in &changes.slots {
        let key = slot_key(*address, *slot);
        if value.is_zero() {
            slots.remove(key).map_err(failed)?;
        } else {
            slots.insert(key, value.to_be_bytes::<32>()).map_err(failed)?;
        }
    }
    let mut code = write.open_table(CODE).map_err(failed)?;
    for (hash, bytes) in &changes.code {
        code.insert(hash.0, bytes.as_ref()).map_err(failed)?;
    }
    Ok(())
}

fn write_block(write: &WriteTransaction, commit: &Commit<'_>) -> Result<(), ChainError> {
    let block = commit.block;
    let number = block.number();
    let bytes = block.encode().map_err(damaged)?;
    write.open_table(BLOCKS).map_err(failed)?.insert(number, bytes.as_slice()).map_err(failed)?;
    write.open_table(HASHES).map_err(failed)?.insert(block.hash.0, number).map_err(failed)?;
    let mut txs = write.open_table(TXS).map_err(failed)?;
    for (index, sent) in block.txs.iter().enumerate() {
        txs.insert(sent.tx.tx_hash().0, (number, index as u32)).map_err(failed)?;
    }
    let mut undo = write.open_table(UNDO).map_err(failed)?;
    let bytes = postcard::to_stdvec(commit.undo).map_err(damaged)?;
    undo.insert(number, bytes.as_slice()).map_err(failed)?;
    undo.retain_in(..commit.keep_undo_from, |_, _| false).map_err(failed)?;
    write.open_table(META).map_err(failed)?.insert("head", number).map_err(failed)?;
    Ok(())
}

fn write_blobs(write: &WriteTransaction, commit: &Commit<'_>) -> Result<(), ChainError> {
    let number = commit.block.number();
    let mut blobs = write.open_table(BLOBS).map_err(failed)?;
    let mut by_block = write.open_table(BLOBS_BY_BLOCK).map_err(failed)?;
    for (hash, blob) in &commit.blobs {
        blobs.insert(hash.0, (number, blob.as_slice())).map_err(failed)?;
        by_block.insert((number, hash.0), ()).map_err(failed)?;
    }
    let Some(oldest) = number.checked_sub(BLOB_BLOCKS) else { return Ok(()) };
    let mut expired = Vec::new();
    for entry in by_block.range(..(oldest, [0; 32])).map_err(failed)? {
        expired.push(entry.map_err(failed)?.0.value());
    }
    for (block, hash) in expired {
        by_block.remove((block, hash)).map_err(failed)?;
        let still = blobs.get(hash).map_err(failed)?.is_some_and(|v| v.value().0 == block);
        if still {
            blobs.remove(hash).map_err(failed)?;
        }
    }
    Ok(())
}

fn drop_blocks_above(write: &WriteTransaction, to: u64) -> Result<(), ChainError> {
    let mut blocks = write.open_table(BLOCKS).map_err(failed)?;
    let mut hashes = write.open_table(HASHES).map_err(failed)?;
    let mut txs = write.open_table(TXS).map_err(failed)?;
    let mut undo = write.open_table(UNDO).map_err(failed)?;
    for entry in blocks.range(to + 1..).map_err(failed)? {
        let (_, bytes) = entry.map_err(failed)?;
        let block = StoredBlock::decode(bytes.value()).map_err(damaged)?;
        hashes.remove(block.hash.0).map_err(failed)?;
        for sent in &block.txs {
            txs.remove(sent.tx.tx_hash().0).map_err(failed)?;
        }
    }
    blocks.retain_in(to + 1.., |_, _| false).map_err(failed)?;
    undo.retain_in(to + 1.., |_, _| false).map_err(failed)?;
    write.open_table(META).map_err(failed)?.insert("head", to).map_err(failed)?;
    Ok(())
}
