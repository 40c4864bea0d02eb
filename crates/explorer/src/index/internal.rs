//! Internal operations in the index: taking them in behind the blocks, and pages of them.

use std::sync::atomic::Ordering;

use alloy_primitives::{Address, B256};
use redb::{Durability, ReadableDatabase, ReadableTable, WriteTransaction};

use super::Index;
use super::model::{ContractRecord, InternalCount, InternalRecord, ItemPos, TxPos, role};
use super::queries::{LAST_ITEM, Page, items_of, limited};
use super::tables::{
    self, META, META_INTERNAL, META_INTERNAL_NEXT, decode, encode, item_key, read_u64, tx_key,
};
use super::write::{Pending, address_record, flush, next_number};
use crate::error::{ExplorerError, Result};

/// The internal operations of a block's transactions; those without any are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockInternals {
    /// The block.
    pub block: u64,
    /// Its transactions in order.
    pub txs: Vec<TxInternals>,
}

/// A transaction's internal operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxInternals {
    /// Its index in the block.
    pub index: u32,
    /// Its hash.
    pub hash: B256,
    /// Its operations in order, as far as they are kept.
    pub operations: Vec<InternalRecord>,
    /// How many more there were.
    pub beyond: u64,
}

impl Index {
    /// Appends the internal operations of blocks that are indexed, and follow the last block whose operations are. `durable` syncs to the disk
    /// (what is not synced is read again after a crash).
    ///
    /// # Errors
    /// When they do not follow, or a fault of the file; then nothing has changed.
    pub fn append_internals(&self, blocks: &[BlockInternals], durable: bool) -> Result<()> {
        let Some(last) = blocks.last() else { return Ok(()) };
        let expected = self.next_internal();
        let follow = blocks.iter().zip(expected..).all(|(b, n)| b.block == n);
        if !follow || last.block >= self.next_block() {
            let got = blocks[0].block;
            return Err(ExplorerError::Chain(format!(
                "internal operations of block {got} do not follow the index, which is at {expected}"
            )));
        }
        let mut txn = self.db.begin_write()?;
        txn.set_durability(if durable { Durability::Immediate } else { Durability::None })?;
        let (mut pending, mut count) = (Pending::default(), 0);
        for block in blocks {
            for tx in &block.txs {
                let at = TxPos { block: block.block, index: tx.index };
                put_internals(&txn, &mut pending, tx, at)?;
                count += tx.operations.len() as u64;
            }
        }
        flush(&txn, pending)?;
        {
            let mut meta = txn.open_table(META)?;
            let count = read_u64(&meta, META_INTERNAL)?.unwrap_or(0) + count;
            meta.insert(META_INTERNAL, &count.to_be_bytes()[..])?;
            meta.insert(META_INTERNAL_NEXT, &(last.block + 1).to_be_bytes()[..])?;
        }
        txn.commit()?;
        self.next_internal.store(last.block + 1, Ordering::Release);
        Ok(())
    }

    /// How many internal operations a transaction has; `None` while its block waits to be looked at.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn tx_internal_count(&self, tx: TxPos) -> Result<Option<InternalCount>> {
        if tx.block >= self.next_internal() {
            return Ok(None);
        }
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::TX_INTERNAL)?;
        let count = table.get(&tx.to_bytes())?.map(|v| decode(v.value())).transpose()?;
        Ok(Some(count.unwrap_or_default()))
    }

    /// A transaction's internal operations in order, from number `from` on.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn tx_internals(
        &self,
        tx: TxPos,
        from: u32,
        limit: usize,
    ) -> Result<Page<(ItemPos, InternalRecord), ItemPos>> {
        let limit = limited(limit);
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::INTERNAL)?;
        let first = ItemPos { tx, item: from }.to_bytes();
        let last = ItemPos { tx, item: u32::MAX }.to_bytes();
        let rows = table.range::<&[u8; 16]>(&first..=&last)?.take(limit + 1);
        let rows = rows.map(|row| {
            let (key, value) = row?;
            let at = ItemPos::from_bytes(key.value());
            Ok((at, (at, decode(value.value())?)))
        });
        Ok(Page::cut(rows.collect::<Result<_>>()?, limit))
    }

    /// Internal operations from or to an address, or all, newest first.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn internals(
        &self,
        of: Option<Address>,
        before: Option<ItemPos>,
        limit: usize,
    ) -> Result<Page<(ItemPos, InternalRecord), ItemPos>> {
        let limit = limited(limit);
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::INTERNAL)?;
        let at: Vec<ItemPos> = match of {
            None => {
                let end = before.unwrap_or(LAST_ITEM).to_bytes();
                let rows = table.range::<&[u8; 16]>(..&end)?.rev().take(limit + 1);
                rows.map(|row| Ok(ItemPos::from_bytes(row?.0.value()))).collect::<Result<_>>()?
            }
            Some(of) => items_of(&txn.open_table(tables::ADDRESS_INTERNAL)?, of, before, limit)?,
        };
        let mut rows = Vec::with_capacity(at.len());
        for at in at {
            if let Some(v) = table.get(&at.to_bytes())? {
                rows.push((at, (at, decode(v.value())?)));
            }
        }
        Ok(Page::cut(rows, limit))
    }
}

fn put_internals(
    txn: &WriteTransaction,
    pending: &mut Pending,
    tx: &TxInternals,
    at: TxPos,
) -> Result<()> {
    let count = InternalCount { kept: tx.operations.len() as u64, beyond: tx.beyond };
    txn.open_table(tables::TX_INTERNAL)?.insert(&at.to_bytes(), &encode(&count)?[..])?;
    for (operation, item) in tx.operations.iter().zip(0u32..) {
        let place = ItemPos { tx: at, item };
        txn.open_table(tables::INTERNAL)?.insert(&place.to_bytes(), &encode(operation)?[..])?;
        put_party(txn, pending, operation.from, place)?;
        // An operation on oneself is one row.
        if operation.to != operation.from {
            put_party(txn, pending, operation.to, place)?;
        }
        if operation.kind.creates() {
            put_creation(txn, tx, operation, at)?;
        }
    }
    Ok(())
}

/// An address takes part in an operation, and so in its transaction.
fn put_party(
    txn: &WriteTransaction,
    pending: &mut Pending,
    address: Address,
    at: ItemPos,
) -> Result<()> {
    if address.is_zero() {
        return Ok(());
    }
    txn.open_table(tables::ADDRESS_INTERNAL)?.insert(&item_key(address, at), ())?;
    let mut table = txn.open_table(tables::ADDRESS_TXS)?;
    let key = tx_key(address, at.tx);
    let roles = table.get(&key)?.map(|v| v.value());
    table.insert(&key, roles.unwrap_or_default() | role::INTERNAL)?;
    let record = address_record(txn, pending, address)?;
    record.internal += 1;
    record.txs += u64::from(roles.is_none());
    Ok(())
}

/// A contract that another one made. It may be known already, by its events.
fn put_creation(
    txn: &WriteTransaction,
    tx: &TxInternals,
    creation: &InternalRecord,
    at: TxPos,
) -> Result<()> {
    let mut table = txn.open_table(tables::CONTRACTS)?;
    let key = &creation.to.0.0;
    let known: Option<ContractRecord> = table.get(key)?.map(|v| decode(v.value())).transpose()?;
    if known.is_some_and(|c| c.creator.is_some()) {
        return Ok(());
    }
    let record = ContractRecord { creator: Some(creation.from), tx: tx.hash, at };
    table.insert(key, &encode(&record)?[..])?;
    if known.is_none() {
        let mut list = txn.open_table(tables::CONTRACT_LIST)?;
        let number = next_number(&list)?;
        list.insert(number, key)?;
    }
    Ok(())
}
