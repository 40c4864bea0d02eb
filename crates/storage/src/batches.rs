//! Batches, and their way through settlement.

use cairn_primitives::L2ToL1Log;
use cairn_primitives::batch::{BatchStatus, StoredBatchInfo};
use cairn_primitives::da::{BlobBytes, DaMode, to_blobs};
use redb::{ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use tokio::sync::watch;

use crate::db::{Storage, decode, encode};
use crate::error::{Result, StorageError};
use crate::model::{BatchRecord, L1Tx, ProvingRecord, SettlementRecord};
use crate::tree::{TreeWrites, write_tree, write_undo};

const BATCHES: TableDefinition<u64, &[u8]> = TableDefinition::new("batches");
const BATCH_BY_LAST_BLOCK: TableDefinition<u64, u64> = TableDefinition::new("batch_by_last_block");
const SETTLEMENT: TableDefinition<u64, &[u8]> = TableDefinition::new("settlement");
const PUBDATA: TableDefinition<u64, &[u8]> = TableDefinition::new("pubdata");
const WITNESS: TableDefinition<u64, &[u8]> = TableDefinition::new("witness");
const LOGS: TableDefinition<u64, &[u8]> = TableDefinition::new("l2_to_l1_logs");
const PROOFS: TableDefinition<(u64, &str), &[u8]> = TableDefinition::new("proofs");
const CURSORS: TableDefinition<&str, &[u8]> = TableDefinition::new("cursors");
const GENESIS: TableDefinition<u64, &[u8]> = TableDefinition::new("genesis_batch");

/// Name under which a batch's [`ProvingRecord`] is kept among its proofs.
const PROVING: &str = "proving";

/// Largest witness that is stored, in bytes.
pub const MAX_WITNESS: usize = 512 << 20;
/// Largest proof that is stored, in bytes.
pub const MAX_PROOF: usize = 64 << 20;
/// Most batches that are looked at for one whose execution is deep.
const MAX_SETTLED_SCAN: usize = 1_000;
/// Largest cursor, in bytes.
const MAX_CURSOR: usize = 1 << 20;

/// How far batches are. Numbers are those of the last batch that is at least that far; batch 0 is genesis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchHeads {
    /// Sealed.
    pub sealed: u64,
    /// Committed on L1.
    pub committed: u64,
    /// Proven on L1.
    pub proven: u64,
    /// Executed on L1.
    pub executed: u64,
    /// Last block of `sealed`.
    pub last_sealed_block: u64,
    /// Last block of `committed`.
    pub last_committed_block: u64,
    /// Last block of `executed`.
    pub last_executed_block: u64,
}

/// A batch to seal.
#[derive(Debug)]
pub struct SealedBatch<'a> {
    /// What is kept of it for good.
    pub record: BatchRecord,
    /// Its pubdata.
    pub pubdata: &'a [u8],
    /// Its witness, as attesters and provers take it; empty for a batch read back from the settlement layer, which has none.
    pub witness: &'a [u8],
    /// Its L2->L1 logs in order, each with its block.
    pub logs: &'a [(u64, L2ToL1Log)],
    /// What it does to the state tree.
    pub tree: TreeWrites,
}

impl Storage {
    pub(crate) fn create_batch_tables(&self) -> Result<()> {
        let txn = self.inner.batches.begin_write()?;
        txn.open_table(BATCHES)?;
        txn.open_table(BATCH_BY_LAST_BLOCK)?;
        txn.open_table(SETTLEMENT)?;
        txn.open_table(PUBDATA)?;
        txn.open_table(WITNESS)?;
        txn.open_table(LOGS)?;
        txn.open_table(PROOFS)?;
        txn.open_table(CURSORS)?;
        txn.open_table(GENESIS)?;
        Self::create_tree_tables(&txn)?;
        txn.commit()?;
        Ok(())
    }

    pub(crate) fn put_genesis_batch(
        &self,
        tree: &[TreeWrites],
        info: &StoredBatchInfo,
    ) -> Result<()> {
        let txn = self.inner.batches.begin_write()?;
        for changes in tree {
            write_tree(&txn, changes)?;
        }
        txn.open_table(GENESIS)?.insert(0, &encode(info)?[..])?;
        txn.commit()?;
        Ok(())
    }

    pub(crate) fn load_batch_heads(&self) -> Result<()> {
        // Held from reading to publishing, so that no older reading is published after a newer one.
        let _turn = self.inner.publishing.lock();
        let txn = self.inner.batches.begin_read()?;
        let (batches, settlement) = (txn.open_table(BATCHES)?, txn.open_table(SETTLEMENT)?);
        let mut heads = BatchHeads::default();
        if let Some((k, v)) = batches.last()? {
            heads.sealed = k.value();
            heads.last_sealed_block = decode::<BatchRecord>(v.value())?.blocks().1;
        }
        // Statuses only fall as numbers grow, so each head is the first from above that is far enough.
        for n in (1..=heads.sealed).rev() {
            let status = read_settlement(&settlement, n)?.status;
            let last_block = || -> Result<u64> { Ok(read_batch(&batches, n)?.blocks().1) };
            if status >= BatchStatus::Committed && heads.committed == 0 {
                (heads.committed, heads.last_committed_block) = (n, last_block()?);
            }
            if status >= BatchStatus::Proven && heads.proven == 0 {
                heads.proven = n;
            }
            if status >= BatchStatus::Finalized {
                (heads.executed, heads.last_executed_block) = (n, last_block()?);
                break;
            }
        }
        self.inner.heads.send_replace(heads);
        Ok(())
    }

    /// How far batches are.
    pub fn batch_heads(&self) -> BatchHeads {
        *self.inner.heads.borrow()
    }

    /// Tells of every change of [`Self::batch_heads`].
    pub fn watch_batches(&self) -> watch::Receiver<BatchHeads> {
        self.inner.heads.subscribe()
    }

    /// What L1 is told of batch 0.
    ///
    /// # Errors
    /// A fault of the database, or before genesis.
    pub fn genesis_batch(&self) -> Result<StoredBatchInfo> {
        let txn = self.inner.batches.begin_read()?;
        let info = txn.open_table(GENESIS)?.get(0)?.map(|v| decode(v.value())).transpose()?;
        info.ok_or_else(|| StorageError::corrupt("there is no genesis batch"))
    }

    /// Stores a sealed batch and moves the state tree on, in one durable transaction.
    ///
    /// # Errors
    /// [`StorageError::Order`] when it does not follow the last one, [`StorageError::TooLarge`], or a fault of the disk.
    pub fn seal_batch(&self, batch: SealedBatch<'_>) -> Result<()> {
        let heads = self.batch_heads();
        let number = batch.record.number();
        let (first, last) = batch.record.blocks();
        check_order("batch", number, heads.sealed + 1)?;
        check_order("first block of a batch", first, heads.last_sealed_block + 1)?;
        check_size("witness", batch.witness.len(), MAX_WITNESS)?;
        let txn = self.inner.batches.begin_write()?;
        let undo = write_tree(&txn, &batch.tree)?;
        write_undo(&txn, number, &undo)?;
        txn.open_table(BATCHES)?.insert(number, &encode(&batch.record)?[..])?;
        txn.open_table(BATCH_BY_LAST_BLOCK)?.insert(last, number)?;
        txn.open_table(PUBDATA)?.insert(number, batch.pubdata)?;
        if !batch.witness.is_empty() {
            txn.open_table(WITNESS)?.insert(number, batch.witness)?;
        }
        txn.open_table(LOGS)?.insert(number, &encode(&batch.logs)?[..])?;
        write_settlement(&txn, number, &SettlementRecord::default())?;
        txn.commit()?;
        let _turn = self.inner.publishing.lock();
        self.inner.heads.send_modify(|h| (h.sealed, h.last_sealed_block) = (number, last));
        Ok(())
    }

    /// A sealed batch; `None` if there is none of that number (nor for genesis).
    ///
    /// # Errors
    /// A fault of the database.
    pub fn batch(&self, number: u64) -> Result<Option<BatchRecord>> {
        let txn = self.inner.batches.begin_read()?;
        txn.open_table(BATCHES)?.get(number)?.map(|v| decode(v.value())).transpose()
    }

    /// What L1 keeps of a batch, genesis included.
    ///
    /// # Errors
    /// [`StorageError::UnknownBatch`], or a fault of the database.
    pub fn batch_info(&self, number: u64) -> Result<StoredBatchInfo> {
        if number == 0 {
            return self.genesis_batch();
        }
        self.batch(number)?.map(|b| b.info).ok_or(StorageError::UnknownBatch(number))
    }

    /// Number of the sealed batch that holds a block; 0 for genesis, `None` while it is not sealed.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn batch_of_block(&self, block: u64) -> Result<Option<u64>> {
        if block == 0 {
            return Ok(Some(0));
        }
        if block > self.batch_heads().last_sealed_block {
            return Ok(None);
        }
        let txn = self.inner.batches.begin_read()?;
        let table = txn.open_table(BATCH_BY_LAST_BLOCK)?;
        Ok(table.range(block..)?.next().transpose()?.map(|(_, v)| v.value()))
    }

    /// A batch's pubdata.
    ///
    /// # Errors
    /// [`StorageError::UnknownBatch`], or a fault of the database.
    pub fn batch_pubdata(&self, number: u64) -> Result<Vec<u8>> {
        let txn = self.inner.batches.begin_read()?;
        let bytes = txn.open_table(PUBDATA)?.get(number)?.map(|v| v.value().to_vec());
        bytes.ok_or(StorageError::UnknownBatch(number))
    }

    /// The blobs that carry a batch's pubdata; none when it goes elsewhere.
    ///
    /// # Errors
    /// [`StorageError::UnknownBatch`], or a fault of the database.
    pub fn batch_blobs(&self, number: u64) -> Result<Vec<BlobBytes>> {
        let record = self.batch(number)?.ok_or(StorageError::UnknownBatch(number))?;
        if record.da_mode != DaMode::Blobs {
            return Ok(Vec::new());
        }
        to_blobs(&self.batch_pubdata(number)?).map_err(|e| StorageError::corrupt(e.to_string()))
    }

    /// A batch's witness; `None` once it was dropped.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn batch_witness(&self, number: u64) -> Result<Option<Vec<u8>>> {
        let txn = self.inner.batches.begin_read()?;
        Ok(txn.open_table(WITNESS)?.get(number)?.map(|v| v.value().to_vec()))
    }

    /// A batch's L2->L1 logs in order, each with its block.
    ///
    /// # Errors
    /// [`StorageError::UnknownBatch`], or a fault of the database.
    pub fn batch_logs(&self, number: u64) -> Result<Vec<(u64, L2ToL1Log)>> {
        let txn = self.inner.batches.begin_read()?;
        let logs = txn.open_table(LOGS)?.get(number)?.map(|v| decode(v.value())).transpose()?;
        logs.ok_or(StorageError::UnknownBatch(number))
    }

    /// Forgets the witnesses of batches up to `number`, to save space. Nothing needs them once the batch is executed.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn drop_witnesses_up_to(&self, number: u64) -> Result<()> {
        let txn = self.inner.batches.begin_write()?;
        txn.open_table(WITNESS)?.retain_in(..=number, |_, _| false)?;
        txn.commit()?;
        Ok(())
    }

    /// How far a batch is on the settlement layer. Genesis is executed from the start.
    ///
    /// # Errors
    /// [`StorageError::UnknownBatch`], or a fault of the database.
    pub fn settlement(&self, number: u64) -> Result<SettlementRecord> {
        if number == 0 {
            return Ok(SettlementRecord { status: BatchStatus::Finalized, ..Default::default() });
        }
        if number > self.batch_heads().sealed {
            return Err(StorageError::UnknownBatch(number));
        }
        let txn = self.inner.batches.begin_read()?;
        read_settlement(&txn.open_table(SETTLEMENT)?, number)
    }

    /// Records that L1 accepted `commitBatches` of `first..=last`. Idempotent.
    ///
    /// # Errors
    /// [`StorageError::UnknownBatch`], or a fault of the disk.
    pub fn record_committed(&self, first: u64, last: u64, tx: L1Tx) -> Result<()> {
        self.advance(first, last, BatchStatus::Committed, |r| r.commit = Some(tx))
    }

    /// Records that L1 accepted `proveBatches` of `first..=last`. Idempotent.
    ///
    /// # Errors
    /// [`StorageError::UnknownBatch`], or a fault of the disk.
    pub fn record_proven(&self, first: u64, last: u64, tx: L1Tx) -> Result<()> {
        self.advance(first, last, BatchStatus::Proven, |r| r.prove = Some(tx))
    }

    /// Records that L1 accepted `executeBatches` of `first..=last`. Idempotent.
    ///
    /// # Errors
    /// [`StorageError::UnknownBatch`], or a fault of the disk.
    pub fn record_executed(&self, first: u64, last: u64, tx: L1Tx) -> Result<()> {
        self.advance(first, last, BatchStatus::Finalized, |r| r.execute = Some(tx))
    }

    /// Takes every batch to where L1's own counters say it is, up or down: L1 may have reverted batches or reorganised, another may have sent them, or the answer
    /// to our own transaction was lost. Transactions of steps that are no longer taken are forgotten; true when a batch is further than was known, so that
    /// transactions may be missing.
    ///
    /// # Errors
    /// [`StorageError::UnknownBatch`] when L1 has batches that are not sealed here, or a fault of the disk.
    pub fn follow_settlement(&self, committed: u64, proven: u64, executed: u64) -> Result<bool> {
        let heads = self.batch_heads();
        if (heads.committed, heads.proven, heads.executed) == (committed, proven, executed) {
            return Ok(false);
        }
        let furthest = committed.max(proven).max(executed);
        if furthest > heads.sealed {
            return Err(StorageError::UnknownBatch(furthest));
        }
        let txn = self.inner.batches.begin_write()?;
        let mut raised = false;
        for n in heads.executed.min(executed) + 1..=heads.sealed {
            let mut record = read_settlement(&txn.open_table(SETTLEMENT)?, n)?;
            let status = match n {
                n if n <= executed => BatchStatus::Finalized,
                n if n <= proven => BatchStatus::Proven,
                n if n <= committed => BatchStatus::Committed,
                _ => BatchStatus::Processed,
            };
            raised |= status > record.status;
            record.status = status;
            let taken = |tx: Option<L1Tx>, step| tx.filter(|_| status >= step);
            record.commit = taken(record.commit, BatchStatus::Committed);
            record.prove = taken(record.prove, BatchStatus::Proven);
            record.execute = taken(record.execute, BatchStatus::Finalized);
            write_settlement(&txn, n, &record)?;
        }
        txn.commit()?;
        self.load_batch_heads()?;
        Ok(raised)
    }

    /// The last batch whose execution on L1 is as deep as this node asks priority operations to be: no proof of it or of those before will be wanted again.
    /// Those up to `known` are taken as such.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn settled(&self, known: u64) -> Result<u64> {
        let (executed, cursor) = (self.batch_heads().executed, self.l1_cursor()?);
        let txn = self.inner.batches.begin_read()?;
        let table = txn.open_table(SETTLEMENT)?;
        // Old executions may be by transactions that were never found.
        for n in (known + 1..=executed).rev().take(MAX_SETTLED_SCAN) {
            if read_settlement(&table, n)?.execute.is_some_and(|tx| tx.block <= cursor) {
                return Ok(n);
            }
        }
        Ok(known)
    }

    fn advance(
        &self,
        first: u64,
        last: u64,
        status: BatchStatus,
        set: impl Fn(&mut SettlementRecord),
    ) -> Result<()> {
        self.update_settlement(first, last, |r| {
            set(r);
            r.status = r.status.max(status);
        })
    }

    fn update_settlement(
        &self,
        first: u64,
        last: u64,
        update: impl Fn(&mut SettlementRecord),
    ) -> Result<()> {
        if first == 0 || last > self.batch_heads().sealed {
            return Err(StorageError::UnknownBatch(if first == 0 { 0 } else { last }));
        }
        let txn = self.inner.batches.begin_write()?;
        for n in first..=last {
            let mut record = read_settlement(&txn.open_table(SETTLEMENT)?, n)?;
            update(&mut record);
            write_settlement(&txn, n, &record)?;
        }
        txn.commit()?;
        self.load_batch_heads()
    }

    /// Stores a proof (or a part of one) of a batch under a name of the caller's.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`], or a fault of the disk.
    pub fn put_proof(&self, batch: u64, name: &str, proof: &[u8]) -> Result<()> {
        check_size("proof", proof.len(), MAX_PROOF)?;
        let txn = self.inner.batches.begin_write()?;
        txn.open_table(PROOFS)?.insert((batch, name), proof)?;
        txn.commit()?;
        Ok(())
    }

    /// A stored proof.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn proof(&self, batch: u64, name: &str) -> Result<Option<Vec<u8>>> {
        let txn = self.inner.batches.begin_read()?;
        Ok(txn.open_table(PROOFS)?.get((batch, name))?.map(|v| v.value().to_vec()))
    }

    /// How far the validity proof of a batch is; `None` before a prover has taken it.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn proving(&self, batch: u64) -> Result<Option<ProvingRecord>> {
        let txn = self.inner.batches.begin_read()?;
        txn.open_table(PROOFS)?.get((batch, PROVING))?.map(|row| decode(row.value())).transpose()
    }

    /// Replaces what [`Self::proving`] answers.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`], or a fault of the disk.
    pub fn set_proving(&self, batch: u64, record: &ProvingRecord) -> Result<()> {
        self.put_proof(batch, PROVING, &encode(record)?)
    }

    /// A named value that a service keeps across restarts (e.g. the watcher's L1 block).
    ///
    /// # Errors
    /// A fault of the database.
    pub fn cursor(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let txn = self.inner.batches.begin_read()?;
        Ok(txn.open_table(CURSORS)?.get(name)?.map(|v| v.value().to_vec()))
    }

    /// Sets a named value.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`], or a fault of the disk.
    pub fn set_cursor(&self, name: &str, value: &[u8]) -> Result<()> {
        check_size("cursor", value.len(), MAX_CURSOR)?;
        let txn = self.inner.batches.begin_write()?;
        txn.open_table(CURSORS)?.insert(name, value)?;
        txn.commit()?;
        Ok(())
    }
}

fn check_order(what: &'static str, got: u64, expected: u64) -> Result<()> {
    if got == expected { Ok(()) } else { Err(StorageError::Order { what, got, expected }) }
}

fn check_size(what: &'static str, size: usize, limit: usize) -> Result<()> {
    if size <= limit { Ok(()) } else { Err(StorageError::TooLarge { what, size, limit }) }
}

fn read_batch(table: &impl ReadableTable<u64, &'static [u8]>, number: u64) -> Result<BatchRecord> {
    let row = table.get(number)?.ok_or(StorageError::UnknownBatch(number))?;
    decode(row.value())
}

/// Number of the last batch; 0 when there is only genesis.
pub(crate) fn newest_batch(txn: &ReadTransaction) -> Result<u64> {
    Ok(txn.open_table(BATCHES)?.last()?.map_or(0, |(number, _)| number.value()))
}

/// What L1 keeps of a batch, genesis included.
pub(crate) fn read_info(txn: &ReadTransaction, batch: u64) -> Result<Option<StoredBatchInfo>> {
    if batch == 0 {
        return txn.open_table(GENESIS)?.get(0)?.map(|v| decode(v.value())).transpose();
    }
    let record = txn.open_table(BATCHES)?.get(batch)?;
    record.map(|v| Ok(decode::<BatchRecord>(v.value())?.info)).transpose()
}

fn read_settlement(
    table: &impl ReadableTable<u64, &'static [u8]>,
    number: u64,
) -> Result<SettlementRecord> {
    let row = table.get(number)?.ok_or(StorageError::UnknownBatch(number))?;
    decode(row.value())
}

fn write_settlement(txn: &WriteTransaction, number: u64, record: &SettlementRecord) -> Result<()> {
    txn.open_table(SETTLEMENT)?.insert(number, &encode(record)?[..])?;
    Ok(())
}
