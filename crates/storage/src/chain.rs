//! Blocks, transactions, receipts, the flat state with its history, and priority operations.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bloom, U256};
use cairn_primitives::PriorityTx;
use cairn_primitives::priority::{empty_queue_hash, roll_priority_hash};
use redb::{
    ReadableDatabase, ReadableTable, ReadableTableMetadata as _, TableDefinition, WriteTransaction,
};

use crate::db::{META, Storage, decode, encode, read_u64};
use crate::error::{Result, StorageError};
use crate::model::{BlockRecord, ReceiptRecord, StateDiff, TxLocation, TxRecord};
use crate::state_view::{account_value, history_key, recovered_account, recovered_slot, slot_key};

pub(crate) const BLOCKS: TableDefinition<u64, &[u8]> = TableDefinition::new("blocks");
pub(crate) const BLOCK_BY_HASH: TableDefinition<&[u8; 32], u64> =
    TableDefinition::new("block_by_hash");
pub(crate) const BLOOMS: TableDefinition<u64, &[u8; 256]> = TableDefinition::new("blooms");
const TXS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("transactions");
const TX_BY_HASH: TableDefinition<&[u8; 32], (u64, u32)> =
    TableDefinition::new("transaction_by_hash");
const RECEIPTS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("receipts");
const PRIORITY: TableDefinition<u64, &[u8]> = TableDefinition::new("priority_operations");

/// address -> account.
pub(crate) const ACCOUNTS: TableDefinition<&[u8; 20], &[u8]> = TableDefinition::new("accounts");
/// address || block -> account before that block.
pub(crate) const ACCOUNT_HISTORY: TableDefinition<&[u8; 28], &[u8]> =
    TableDefinition::new("account_history");
/// address || slot -> value.
pub(crate) const SLOTS: TableDefinition<&[u8; 52], &[u8; 32]> = TableDefinition::new("slots");
/// address || slot || block -> value before that block.
pub(crate) const SLOT_HISTORY: TableDefinition<&[u8; 60], &[u8; 32]> =
    TableDefinition::new("slot_history");
/// keccak256 -> code.
pub(crate) const CODES: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("codes");
/// keccak256 -> block that published it.
pub(crate) const CODE_BLOCK: TableDefinition<&[u8; 32], u64> = TableDefinition::new("code_block");

/// tree key -> value, of a chain that was read back from its settlement layer: there, state is known by the hashes of its names alone.
pub(crate) const RECOVERED: TableDefinition<&[u8; 32], &[u8; 32]> =
    TableDefinition::new("recovered_leaves");

pub(crate) const META_NEXT_PRIORITY: &str = "next_priority_id";
const META_L1_CURSOR: &str = "l1_cursor";

/// A stored operation: the queue's rolling hash with it, and itself.
type StoredOp = (B256, PriorityTx);

/// Most priority operations that wait to be included.
pub const MAX_WAITING_PRIORITY_OPS: u64 = 1 << 20;

/// A transaction of a [`BlockCommit`].
#[derive(Debug, Clone)]
pub struct CommittedTx {
    /// The transaction.
    pub tx: TxRecord,
    /// Its outcome.
    pub receipt: ReceiptRecord,
}

/// Everything that a block changes, written at once.
#[derive(Debug, Clone)]
pub struct BlockCommit {
    /// The block.
    pub block: BlockRecord,
    /// Bloom over all its events.
    pub bloom: Bloom,
    /// Its transactions in order.
    pub transactions: Vec<CommittedTx>,
    /// Net changes of the state.
    pub diff: StateDiff,
    /// Index of the first priority operation that no block has consumed yet.
    pub next_priority_id: u64,
    /// The operations that this block consumes: (index, hash). They must be stored as such.
    pub priority_ops: Vec<(u64, B256)>,
}

impl Storage {
    pub(crate) fn create_chain_tables(&self) -> Result<()> {
        let txn = self.inner.chain.begin_write()?;
        txn.open_table(BLOCKS)?;
        txn.open_table(BLOCK_BY_HASH)?;
        txn.open_table(BLOOMS)?;
        txn.open_table(TXS)?;
        txn.open_table(TX_BY_HASH)?;
        txn.open_table(RECEIPTS)?;
        txn.open_table(PRIORITY)?;
        txn.open_table(ACCOUNTS)?;
        txn.open_table(ACCOUNT_HISTORY)?;
        txn.open_table(SLOTS)?;
        txn.open_table(SLOT_HISTORY)?;
        txn.open_table(CODES)?;
        txn.open_table(CODE_BLOCK)?;
        txn.open_table(RECOVERED)?;
        txn.commit()?;
        Ok(())
    }

    pub(crate) fn load_head(&self) -> Result<()> {
        let txn = self.inner.chain.begin_read()?;
        let head = txn.open_table(BLOCKS)?.last()?.map(|(_, v)| decode(v.value())).transpose()?;
        *self.inner.head.write() = head.map(Arc::new);
        Ok(())
    }

    /// The last block; `None` before genesis.
    pub fn head(&self) -> Option<Arc<BlockRecord>> {
        self.inner.head.read().clone()
    }

    /// Number of the last block; 0 before genesis.
    pub fn head_number(&self) -> u64 {
        self.inner.head.read().as_ref().map_or(0, |b| b.header.number)
    }

    pub(crate) fn put_genesis_block(&self, block: &BlockRecord, diff: &StateDiff) -> Result<()> {
        let txn = self.inner.chain.begin_write()?;
        txn.open_table(BLOCKS)?.insert(0, &encode(block)?[..])?;
        txn.open_table(BLOCK_BY_HASH)?.insert(&block.hash.0, 0)?;
        txn.open_table(BLOOMS)?.insert(0, &Bloom::ZERO.0.0)?;
        apply_diff(&txn, 0, diff)?;
        txn.commit()?;
        *self.inner.head.write() = Some(Arc::new(block.clone()));
        Ok(())
    }

    /// Appends a block. When this returns, the block is durable and is the head; on an error nothing has changed.
    ///
    /// # Errors
    /// [`StorageError::Order`] or [`StorageError::Parent`] when it does not follow the head, [`StorageError::PriorityGone`] when L1 took back an
    /// operation that it consumes, or a fault of the disk.
    pub fn commit_block(&self, commit: &BlockCommit) -> Result<()> {
        let header = &commit.block.header;
        let head = self.head().ok_or(StorageError::Order {
            what: "block",
            got: header.number,
            expected: 0,
        })?;
        if header.number != head.header.number + 1 {
            let expected = head.header.number + 1;
            return Err(StorageError::Order { what: "block", got: header.number, expected });
        }
        if header.parent_hash != head.hash {
            let (number, got, expected) = (header.number, header.parent_hash, head.hash);
            return Err(StorageError::Parent { number, got, expected });
        }
        let txn = self.inner.chain.begin_write()?;
        check_priority_ops(&txn, &commit.priority_ops)?;
        write_block(&txn, commit)?;
        apply_diff(&txn, header.number, &commit.diff)?;
        txn.commit()?;
        // Look-ups by hash show nothing above the head, so that whoever finds a receipt finds its head too; nobody waits for the disk.
        *self.inner.head.write() = Some(Arc::new(commit.block.clone()));
        Ok(())
    }

    /// A block by number.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn block(&self, number: u64) -> Result<Option<BlockRecord>> {
        if let Some(head) = self.head().filter(|h| h.header.number == number) {
            return Ok(Some((*head).clone()));
        }
        let txn = self.inner.chain.begin_read()?;
        txn.open_table(BLOCKS)?.get(number)?.map(|v| decode(v.value())).transpose()
    }

    /// Blocks `first..=last` that exist, in order; at most 100,000.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn blocks(&self, first: u64, last: u64) -> Result<Vec<BlockRecord>> {
        let last = last.min(first.saturating_add(99_999));
        let txn = self.inner.chain.begin_read()?;
        let table = txn.open_table(BLOCKS)?;
        table.range(first..=last)?.map(|row| decode(row?.1.value())).collect()
    }

    /// Number of the block with this hash.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn block_number(&self, hash: B256) -> Result<Option<u64>> {
        let txn = self.inner.chain.begin_read()?;
        let number = txn.open_table(BLOCK_BY_HASH)?.get(&hash.0)?.map(|v| v.value());
        Ok(number.filter(|n| *n <= self.head_number()))
    }

    /// Hash of a block.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn block_hash(&self, number: u64) -> Result<Option<B256>> {
        Ok(self.block(number)?.map(|b| b.hash))
    }

    /// Bloom over a block's events.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn bloom(&self, number: u64) -> Result<Option<Bloom>> {
        let txn = self.inner.chain.begin_read()?;
        Ok(txn.open_table(BLOOMS)?.get(number)?.map(|v| Bloom::from(*v.value())))
    }

    /// Where a transaction is; `None` if no block holds it.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn tx_location(&self, hash: B256) -> Result<Option<TxLocation>> {
        let txn = self.inner.chain.begin_read()?;
        let at = txn.open_table(TX_BY_HASH)?.get(&hash.0)?.map(|v| v.value());
        let at = at.filter(|(block, _)| *block <= self.head_number());
        Ok(at.map(|(block, index)| TxLocation { block, index }))
    }

    /// A transaction of a block.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn transaction(&self, at: TxLocation) -> Result<Option<TxRecord>> {
        let txn = self.inner.chain.begin_read()?;
        txn.open_table(TXS)?.get((at.block, at.index))?.map(|v| decode(v.value())).transpose()
    }

    /// All transactions of a block in order.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn transactions(&self, block: u64) -> Result<Vec<TxRecord>> {
        let txn = self.inner.chain.begin_read()?;
        let table = txn.open_table(TXS)?;
        table.range((block, 0)..=(block, u32::MAX))?.map(|row| decode(row?.1.value())).collect()
    }

    /// The receipt of a transaction of a block.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn receipt(&self, at: TxLocation) -> Result<Option<ReceiptRecord>> {
        let txn = self.inner.chain.begin_read()?;
        txn.open_table(RECEIPTS)?.get((at.block, at.index))?.map(|v| decode(v.value())).transpose()
    }

    /// All receipts of a block in order.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn receipts(&self, block: u64) -> Result<Vec<ReceiptRecord>> {
        let txn = self.inner.chain.begin_read()?;
        let table = txn.open_table(RECEIPTS)?;
        table.range((block, 0)..=(block, u32::MAX))?.map(|row| decode(row?.1.value())).collect()
    }

    /// Stores priority operations that L1 shows, and the L1 block up to which everything was taken, at once. Operations that no block has
    /// consumed yet are replaced (L1 may have reorganised); those that one has must be the same.
    ///
    /// # Errors
    /// [`StorageError::Order`] when they leave a gap, [`StorageError::PriorityConflict`], or a fault of the disk.
    pub fn put_priority_ops(&self, ops: &[PriorityTx], l1_cursor: u64) -> Result<()> {
        let txn = self.inner.chain.begin_write()?;
        {
            let mut meta = txn.open_table(META)?;
            let next = read_u64(&meta, META_NEXT_PRIORITY)?.unwrap_or(0);
            let mut table = txn.open_table(PRIORITY)?;
            for op in ops {
                put_priority_op(&mut table, op, next)?;
            }
            meta.insert(META_L1_CURSOR, &l1_cursor.to_be_bytes()[..])?;
        }
        txn.commit()?;
        Ok(())
    }

    /// L1 block up to which priority operations were taken; 0 at first.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn l1_cursor(&self) -> Result<u64> {
        let txn = self.inner.chain.begin_read()?;
        Ok(read_u64(&txn.open_table(META)?, META_L1_CURSOR)?.unwrap_or(0))
    }

    /// Index of the next operation due from L1, and the queue's rolling hash of all before it.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn priority_queue(&self) -> Result<(u64, B256)> {
        let txn = self.inner.chain.begin_read()?;
        match txn.open_table(PRIORITY)?.last()? {
            None => Ok((0, empty_queue_hash())),
            Some((id, v)) => Ok((id.value() + 1, decode::<StoredOp>(v.value())?.0)),
        }
    }

    /// Forgets operations from `id` on that no block has consumed (L1 reorganised them away).
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn drop_priority_ops_from(&self, id: u64) -> Result<()> {
        let txn = self.inner.chain.begin_write()?;
        {
            let next = read_u64(&txn.open_table(META)?, META_NEXT_PRIORITY)?.unwrap_or(0);
            let mut table = txn.open_table(PRIORITY)?;
            table.retain_in(id.max(next).., |_, _| false)?;
        }
        txn.commit()?;
        Ok(())
    }

    /// Waiting operations from index `from` on, at most `limit`, in order and without gaps.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn priority_ops(&self, from: u64, limit: usize) -> Result<Vec<PriorityTx>> {
        let txn = self.inner.chain.begin_read()?;
        let table = txn.open_table(PRIORITY)?;
        let rows = table.range(from..)?.take(limit);
        rows.map(|row| decode::<StoredOp>(row?.1.value()).map(|(_, op)| op)).collect()
    }

    /// One priority operation, with the queue's rolling hash after it.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn priority_op(&self, id: u64) -> Result<Option<(B256, PriorityTx)>> {
        let txn = self.inner.chain.begin_read()?;
        txn.open_table(PRIORITY)?.get(id)?.map(|v| decode(v.value())).transpose()
    }

    /// Index after the last stored operation.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn priority_ops_end(&self) -> Result<u64> {
        let txn = self.inner.chain.begin_read()?;
        Ok(txn.open_table(PRIORITY)?.last()?.map_or(0, |(k, _)| k.value() + 1))
    }

    /// Index of the first operation that no block has consumed.
    ///
    /// # Errors
    /// A fault of the database.
    pub fn next_priority_id(&self) -> Result<u64> {
        let txn = self.inner.chain.begin_read()?;
        Ok(read_u64(&txn.open_table(META)?, META_NEXT_PRIORITY)?.unwrap_or(0))
    }
}

fn put_priority_op(
    table: &mut redb::Table<'_, u64, &'static [u8]>,
    op: &PriorityTx,
    next: u64,
) -> Result<()> {
    let stored =
        |table: &redb::Table<'_, u64, &'static [u8]>, id: u64| -> Result<Option<StoredOp>> {
            table.get(id)?.map(|v| decode(v.value())).transpose()
        };
    let known = stored(table, op.id)?;
    // A consumed operation that is not known is one of a recovered chain, and is noted for the queue's rolling hash.
    if let Some((_, known)) = known.as_ref().filter(|_| op.id < next) {
        if known.hash == op.hash {
            return Ok(());
        }
        let (id, executed, got) = (op.id, known.hash, op.hash);
        return Err(StorageError::PriorityConflict { id, executed, got });
    }
    if op.id >= next + MAX_WAITING_PRIORITY_OPS {
        return Err(StorageError::Order { what: "priority operation", got: op.id, expected: next });
    }
    let before = match op.id.checked_sub(1) {
        None => empty_queue_hash(),
        Some(id) => match stored(table, id)? {
            Some((rolling, _)) => rolling,
            None => {
                let expected = table.last()?.map_or(0, |(k, _)| k.value() + 1);
                return Err(StorageError::Order {
                    what: "priority operation",
                    got: op.id,
                    expected,
                });
            }
        },
    };
    if known.is_some_and(|(_, k)| k.hash != op.hash) {
        // L1 reorganised: what followed the old operation is void too.
        table.retain_in(op.id.., |_, _| false)?;
    }
    let rolling = roll_priority_hash(before, op.hash);
    table.insert(op.id, &encode(&(rolling, op))?[..])?;
    Ok(())
}

/// The watcher may have replaced operations while the block was built.
fn check_priority_ops(txn: &WriteTransaction, ops: &[(u64, B256)]) -> Result<()> {
    if ops.is_empty() {
        return Ok(());
    }
    let table = txn.open_table(PRIORITY)?;
    for (id, hash) in ops {
        let stored = table.get(id)?.map(|v| decode::<StoredOp>(v.value())).transpose()?;
        if stored.is_none_or(|(_, op)| op.hash != *hash) {
            return Err(StorageError::PriorityGone(*id));
        }
    }
    Ok(())
}

fn write_block(txn: &WriteTransaction, commit: &BlockCommit) -> Result<()> {
    let number = commit.block.header.number;
    txn.open_table(BLOCKS)?.insert(number, &encode(&commit.block)?[..])?;
    txn.open_table(BLOCK_BY_HASH)?.insert(&commit.block.hash.0, number)?;
    txn.open_table(BLOOMS)?.insert(number, &commit.bloom.0.0)?;
    let mut txs = txn.open_table(TXS)?;
    let mut receipts = txn.open_table(RECEIPTS)?;
    for (i, t) in commit.transactions.iter().enumerate() {
        let at = (number, i as u32);
        txs.insert(at, &encode(&t.tx)?[..])?;
        receipts.insert(at, &encode(&t.receipt)?[..])?;
    }
    // In key order: neighbours share pages.
    let mut by_hash: Vec<_> =
        commit.transactions.iter().enumerate().map(|(i, t)| (t.tx.hash.0, i as u32)).collect();
    by_hash.sort_unstable();
    let mut index = txn.open_table(TX_BY_HASH)?;
    for (hash, i) in &by_hash {
        index.insert(hash, (number, *i))?;
    }
    txn.open_table(META)?.insert(META_NEXT_PRIORITY, &commit.next_priority_id.to_be_bytes()[..])?;
    Ok(())
}

fn apply_diff(txn: &WriteTransaction, block: u64, diff: &StateDiff) -> Result<()> {
    apply_accounts(txn, block, diff)?;
    apply_slots(txn, block, diff)?;
    let mut codes = txn.open_table(CODES)?;
    let mut code_block = txn.open_table(CODE_BLOCK)?;
    for (hash, code) in &diff.codes {
        if codes.insert(&hash.0, &code[..])?.is_none() {
            code_block.insert(&hash.0, block)?;
        }
    }
    Ok(())
}

fn apply_accounts(txn: &WriteTransaction, block: u64, diff: &StateDiff) -> Result<()> {
    let mut accounts = txn.open_table(ACCOUNTS)?;
    let mut history = txn.open_table(ACCOUNT_HISTORY)?;
    let recovered = txn.open_table(RECOVERED)?;
    let keep = !recovered.is_empty()?;
    let mut sorted: Vec<_> = diff.accounts.iter().collect();
    sorted.sort_unstable_by_key(|(address, _)| *address);
    for (address, account) in sorted {
        let key: &[u8; 20] = &address.0.0;
        let before = match account {
            Some(a) => accounts.insert(key, &account_value(a)[..])?,
            // What is absent here may be among the recovered.
            None if keep => accounts.insert(key, &[][..])?,
            None => accounts.remove(key)?,
        };
        if block > 0 {
            let old = match &before {
                None if keep => recovered_account(&recovered, *address)?,
                _ => None,
            };
            let old = old.as_ref().map(account_value);
            let before = before.as_ref().map(|v| v.value());
            let before = before.or(old.as_ref().map(|v| &v[..])).unwrap_or_default();
            history.insert(&history_key::<20, 28>(key, block), before)?;
        }
    }
    Ok(())
}

fn apply_slots(txn: &WriteTransaction, block: u64, diff: &StateDiff) -> Result<()> {
    let mut slots = txn.open_table(SLOTS)?;
    let mut history = txn.open_table(SLOT_HISTORY)?;
    let recovered = txn.open_table(RECOVERED)?;
    let keep = !recovered.is_empty()?;
    let mut sorted: Vec<(&Address, &U256, &U256)> =
        diff.storage.iter().map(|(a, s, v)| (a, s, v)).collect();
    sorted.sort_unstable();
    for (address, slot, value) in sorted {
        let key = slot_key(address, slot);
        let before = if value.is_zero() && !keep {
            slots.remove(&key)?
        } else {
            slots.insert(&key, &value.to_be_bytes::<32>())?
        };
        if block > 0 {
            let before = match before {
                Some(v) => *v.value(),
                None if keep => recovered_slot(&recovered, *address, *slot)?.to_be_bytes(),
                None => [0; 32],
            };
            history.insert(&history_key::<52, 60>(&key, block), &before)?;
        }
    }
    Ok(())
}
