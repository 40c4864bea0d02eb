//! Taking blocks in.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use alloy_primitives::{Address, B256};
use redb::{Durability, ReadableDatabase, ReadableTable, Table, WriteTransaction};

use super::Index;
use super::extract::{Found, extract};
use super::model::{
    AddressRecord, ContractRecord, ItemPos, L1Deposit, TokenMeta, TokenRecord, TransferRecord,
    TxPos,
};
use super::tables::{
    self, META, META_HEAD_HASH, META_L1_NEXT, META_NEXT, META_TRANSFERS, decode, encode, item_key,
    join, pair_key, read_u64, tx_key,
};
use crate::error::{ExplorerError, Result};
use crate::source::{SourceBlock, SourceTx};

/// Counts that a transaction of the database changes, held until its end.
#[derive(Default)]
pub(super) struct Pending {
    addresses: HashMap<Address, AddressRecord>,
    tokens: HashMap<Address, TokenRecord>,
    transfers: u64,
}

impl Index {
    /// Appends blocks that follow the last indexed one. `token` asks a new token for its own words; `durable` syncs to the disk (what is not
    /// synced is read again after a crash).
    ///
    /// # Errors
    /// When they do not follow, or a fault of the file; then nothing has changed.
    pub fn append(
        &self,
        blocks: &[SourceBlock],
        token: impl Fn(Address) -> TokenMeta,
        durable: bool,
    ) -> Result<()> {
        let Some(last) = blocks.last() else { return Ok(()) };
        let expected = self.next_block();
        if !blocks.iter().zip(expected..).all(|(b, n)| b.number == n) {
            let got = blocks[0].number;
            return Err(ExplorerError::Chain(format!(
                "block {got} does not follow the index, which is at {expected}"
            )));
        }
        let mut txn = self.db.begin_write()?;
        txn.set_durability(if durable { Durability::Immediate } else { Durability::None })?;
        let mut pending = Pending::default();
        for block in blocks {
            for (tx, index) in block.txs.iter().zip(0u32..) {
                let at = TxPos { block: block.number, index };
                put_tx(&txn, &mut pending, tx, at, &token)?;
            }
        }
        flush(&txn, pending)?;
        {
            let mut meta = txn.open_table(META)?;
            meta.insert(META_NEXT, &(last.number + 1).to_be_bytes()[..])?;
            meta.insert(META_HEAD_HASH, last.hash.as_slice())?;
        }
        txn.commit()?;
        self.next.store(last.number + 1, Ordering::Release);
        Ok(())
    }

    /// L1 block from which on L1's events were not read yet.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn l1_next(&self) -> Result<Option<u64>> {
        let txn = self.db.begin_read()?;
        read_u64(&txn.open_table(META)?, META_L1_NEXT)
    }

    /// Records what L1 showed up to, not with, block `next`: deposits by their index, and consumed messages by (batch, index).
    ///
    /// # Errors
    /// A fault of the file.
    pub fn put_l1(
        &self,
        deposits: &[(u64, L1Deposit)],
        finalized: &[((u64, u64), B256)],
        next: u64,
    ) -> Result<()> {
        let mut txn = self.db.begin_write()?;
        txn.set_durability(Durability::None)?;
        {
            let mut table = txn.open_table(tables::L1_DEPOSITS)?;
            for (id, deposit) in deposits {
                table.insert(id, &encode(deposit)?[..])?;
            }
            let mut table = txn.open_table(tables::L1_FINALIZED)?;
            for (message, tx) in finalized {
                table.insert(message, &tx.0)?;
            }
            txn.open_table(META)?.insert(META_L1_NEXT, &next.to_be_bytes()[..])?;
        }
        txn.commit()?;
        Ok(())
    }
}

pub(super) fn next_number<V: redb::Value + 'static>(table: &Table<'_, u64, V>) -> Result<u64> {
    Ok(table.last()?.map_or(0, |(k, _)| k.value() + 1))
}

fn put_tx(
    txn: &WriteTransaction,
    pending: &mut Pending,
    tx: &SourceTx,
    at: TxPos,
    token: &impl Fn(Address) -> TokenMeta,
) -> Result<()> {
    let found = extract(tx, at);
    {
        let mut list = txn.open_table(tables::TXS)?;
        let number = next_number(&list)?;
        list.insert(number, (at.block, at.index))?;
        let mut table = txn.open_table(tables::ADDRESS_TXS)?;
        for (address, role) in &found.addresses {
            table.insert(&tx_key(*address, at), *role)?;
            address_record(txn, pending, *address)?.txs += 1;
        }
    }
    for (transfer, item) in found.transfers.iter().zip(0u32..) {
        put_transfer(txn, pending, transfer, ItemPos { tx: at, item }, token)?;
    }
    put_contracts(txn, tx, &found, at)?;
    put_bridge(txn, &found)
}

pub(super) fn address_record<'a>(
    txn: &WriteTransaction,
    pending: &'a mut Pending,
    address: Address,
) -> Result<&'a mut AddressRecord> {
    use std::collections::hash_map::Entry;
    match pending.addresses.entry(address) {
        Entry::Occupied(e) => Ok(e.into_mut()),
        Entry::Vacant(e) => {
            let table = txn.open_table(tables::ADDRESSES)?;
            let record = table.get(&address.0.0)?.map(|v| decode(v.value())).transpose()?;
            Ok(e.insert(record.unwrap_or_default()))
        }
    }
}

fn put_transfer(
    txn: &WriteTransaction,
    pending: &mut Pending,
    transfer: &TransferRecord,
    at: ItemPos,
    token: &impl Fn(Address) -> TokenMeta,
) -> Result<()> {
    pending.transfers += 1;
    txn.open_table(tables::TRANSFERS)?.insert(&at.to_bytes(), &encode(transfer)?[..])?;
    txn.open_table(tables::TOKEN_TRANSFERS)?.insert(&item_key(transfer.token, at), ())?;
    let mut received = false;
    for address in [transfer.from, transfer.to] {
        // A transfer to oneself is one row.
        if address.is_zero() || (received && transfer.from == transfer.to) {
            continue;
        }
        received = true;
        txn.open_table(tables::ADDRESS_TRANSFERS)?.insert(&item_key(address, at), ())?;
        address_record(txn, pending, address)?.transfers += 1;
    }
    let mut new_account = false;
    if !transfer.to.is_zero() {
        let (to, of) = (transfer.to, transfer.token);
        new_account =
            txn.open_table(tables::ACCOUNT_TOKENS)?.insert(&pair_key(to, of), ())?.is_none();
        txn.open_table(tables::TOKEN_ACCOUNTS)?.insert(&pair_key(of, to), ())?;
    }
    let record = token_record(txn, pending, transfer, at.tx, token)?;
    record.transfers += 1;
    record.accounts += u64::from(new_account);
    Ok(())
}

fn token_record<'a>(
    txn: &WriteTransaction,
    pending: &'a mut Pending,
    transfer: &TransferRecord,
    at: TxPos,
    token: &impl Fn(Address) -> TokenMeta,
) -> Result<&'a mut TokenRecord> {
    use std::collections::hash_map::Entry;
    let address = transfer.token;
    let entry = match pending.tokens.entry(address) {
        Entry::Occupied(e) => return Ok(e.into_mut()),
        Entry::Vacant(e) => e,
    };
    let known = txn.open_table(tables::TOKENS)?.get(&address.0.0)?.map(|v| decode(v.value()));
    if let Some(record) = known.transpose()? {
        return Ok(entry.insert(record));
    }
    let meta = token(address);
    let mut list = txn.open_table(tables::TOKEN_LIST)?;
    let number = next_number(&list)?;
    list.insert(number, &address.0.0)?;
    if let Some(l1) = meta.l1_token {
        let mut of_l1 = txn.open_table(tables::TOKEN_OF_L1)?;
        // The first one stays: anybody may deploy a token that claims an original.
        if of_l1.get(&l1.0.0)?.is_none() {
            of_l1.insert(&l1.0.0, &address.0.0)?;
        }
    }
    let record = TokenRecord { kind: transfer.kind, meta, transfers: 0, accounts: 0, first: at };
    Ok(entry.insert(record))
}

fn put_contracts(txn: &WriteTransaction, tx: &SourceTx, found: &Found, at: TxPos) -> Result<()> {
    let created = tx.created.filter(|_| tx.success);
    let mut table = txn.open_table(tables::CONTRACTS)?;
    for address in created.iter().chain(&found.emitters) {
        if table.get(&address.0.0)?.is_some() {
            continue;
        }
        let creator = (Some(*address) == created).then_some(tx.from);
        let record = ContractRecord { creator, tx: tx.hash, at };
        table.insert(&address.0.0, &encode(&record)?[..])?;
        let mut list = txn.open_table(tables::CONTRACT_LIST)?;
        let number = next_number(&list)?;
        list.insert(number, &address.0.0)?;
    }
    Ok(())
}

fn put_bridge(txn: &WriteTransaction, found: &Found) -> Result<()> {
    if let Some(deposit) = &found.deposit {
        txn.open_table(tables::DEPOSITS)?.insert(deposit.id, &encode(deposit)?[..])?;
        let mut table = txn.open_table(tables::ADDRESS_DEPOSITS)?;
        for address in [deposit.sender, deposit.receiver] {
            let key: [u8; 28] = join(address.as_slice(), &deposit.id.to_be_bytes());
            table.insert(&key, ())?;
        }
    }
    for w in &found.withdrawals {
        txn.open_table(tables::WITHDRAWALS)?.insert(&w.at.to_bytes(), &encode(w)?[..])?;
        let mut table = txn.open_table(tables::ADDRESS_WITHDRAWALS)?;
        for address in [Some(w.from), w.receiver].into_iter().flatten() {
            table.insert(&item_key(address, w.at), ())?;
        }
    }
    Ok(())
}

pub(super) fn flush(txn: &WriteTransaction, pending: Pending) -> Result<()> {
    let mut table = txn.open_table(tables::ADDRESSES)?;
    for (address, record) in pending.addresses {
        table.insert(&address.0.0, &encode(&record)?[..])?;
    }
    let mut table = txn.open_table(tables::TOKENS)?;
    for (address, record) in pending.tokens {
        table.insert(&address.0.0, &encode(&record)?[..])?;
    }
    let mut meta = txn.open_table(META)?;
    let transfers = read_u64(&meta, META_TRANSFERS)?.unwrap_or(0) + pending.transfers;
    meta.insert(META_TRANSFERS, &transfers.to_be_bytes()[..])?;
    Ok(())
}
