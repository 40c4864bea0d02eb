//! Pages out of the index. Each is one range read of at most [`MAX_PAGE`] rows, whatever the chain's length.

use alloy_primitives::{Address, B256};
use redb::{ReadOnlyTable, ReadableDatabase, ReadableTableMetadata};

use super::Index;
use super::model::{
    AddressRecord, ContractRecord, DepositRecord, ItemPos, L1Deposit, TokenRecord, TransferRecord,
    TxPos, WithdrawalRecord,
};
use super::tables::{
    self, META, META_INTERNAL, META_TRANSFERS, decode, item_key, join, pair_key, read_u64, tx_key,
};
use crate::error::Result;

/// Most rows of a page.
pub const MAX_PAGE: usize = 100;

/// Rows, newest first, and where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The rows.
    pub rows: Vec<T>,
    /// Pass it as `before` for the next page; `None` at the end.
    pub next: Option<C>,
}

impl<T, C: Copy> Page<T, C> {
    /// A page of at most `limit` of `rows`, which holds one more when there are more.
    pub(super) fn cut(mut rows: Vec<(C, T)>, limit: usize) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(|(c, _)| *c) } else { None };
        Self { rows: rows.into_iter().map(|(_, t)| t).collect(), next }
    }
}

/// Counts over the whole chain, as far as it is indexed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Transactions.
    pub txs: u64,
    /// Addresses seen.
    pub addresses: u64,
    /// Token transfers.
    pub transfers: u64,
    /// Internal operations.
    pub internal: u64,
    /// Tokens.
    pub tokens: u64,
    /// Contracts.
    pub contracts: u64,
    /// Messages to L1.
    pub withdrawals: u64,
    /// Included priority operations.
    pub deposits: u64,
}

pub(super) fn limited(limit: usize) -> usize {
    limit.clamp(1, MAX_PAGE)
}

const LAST_TX: TxPos = TxPos { block: u64::MAX, index: u32::MAX };
pub(super) const LAST_ITEM: ItemPos = ItemPos { tx: LAST_TX, item: u32::MAX };

/// Newest items of an address in a table of `address || position`.
pub(super) fn items_of(
    table: &ReadOnlyTable<&'static [u8; 36], ()>,
    address: Address,
    before: Option<ItemPos>,
    limit: usize,
) -> Result<Vec<ItemPos>> {
    let first: [u8; 36] = join(address.as_slice(), &[]);
    let end = item_key(address, before.unwrap_or(LAST_ITEM));
    let rows = table.range::<&[u8; 36]>(&first..&end)?.rev().take(limit + 1);
    rows.map(|row| Ok(ItemPos::from_bytes(&row?.0.value()[20..]))).collect()
}

/// The second halves of keys `head || x`, after `after`, in order.
fn pairs_of(
    table: &ReadOnlyTable<&'static [u8; 40], ()>,
    head: Address,
    after: Option<Address>,
    limit: usize,
) -> Result<Page<Address, Address>> {
    let first = pair_key(head, after.unwrap_or(Address::ZERO));
    let last = pair_key(head, Address::repeat_byte(0xff));
    let rows = table.range::<&[u8; 40]>(&first..=&last)?;
    let mut found = Vec::new();
    for row in rows {
        let other = Address::from_slice(&row?.0.value()[20..]);
        if Some(other) == after {
            continue;
        }
        found.push((other, other));
        if found.len() > limit {
            break;
        }
    }
    Ok(Page::cut(found, limit))
}

impl Index {
    /// Counts over the chain.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn totals(&self) -> Result<Totals> {
        let txn = self.db.begin_read()?;
        Ok(Totals {
            txs: txn.open_table(tables::TXS)?.len()?,
            addresses: txn.open_table(tables::ADDRESSES)?.len()?,
            transfers: read_u64(&txn.open_table(META)?, META_TRANSFERS)?.unwrap_or(0),
            internal: read_u64(&txn.open_table(META)?, META_INTERNAL)?.unwrap_or(0),
            tokens: txn.open_table(tables::TOKENS)?.len()?,
            contracts: txn.open_table(tables::CONTRACTS)?.len()?,
            withdrawals: txn.open_table(tables::WITHDRAWALS)?.len()?,
            deposits: txn.open_table(tables::DEPOSITS)?.len()?,
        })
    }

    /// Transactions of the chain, newest first, with their numbers, from below the number `before`.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn txs(&self, before: Option<u64>, limit: usize) -> Result<Page<TxPos, u64>> {
        let limit = limited(limit);
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::TXS)?;
        let rows = table.range(..before.unwrap_or(u64::MAX))?.rev().take(limit + 1);
        let rows = rows.map(|row| {
            let (number, at) = row?;
            let (block, index) = at.value();
            Ok((number.value(), TxPos { block, index }))
        });
        Ok(Page::cut(rows.collect::<Result<_>>()?, limit))
    }

    /// Transactions that concern an address, newest first, from before `before`, each with the address's roles.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn address_txs(
        &self,
        address: Address,
        before: Option<TxPos>,
        limit: usize,
    ) -> Result<Page<(TxPos, u8), TxPos>> {
        let limit = limited(limit);
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::ADDRESS_TXS)?;
        let first: [u8; 32] = join(address.as_slice(), &[]);
        let end = tx_key(address, before.unwrap_or(LAST_TX));
        let rows = table.range::<&[u8; 32]>(&first..&end)?.rev().take(limit + 1);
        let rows = rows.map(|row| {
            let (key, role) = row?;
            let at = TxPos::from_bytes(&key.value()[20..]);
            Ok((at, (at, role.value())))
        });
        Ok(Page::cut(rows.collect::<Result<_>>()?, limit))
    }

    /// Counts of an address.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn address(&self, address: Address) -> Result<AddressRecord> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::ADDRESSES)?;
        let record = table.get(&address.0.0)?.map(|v| decode(v.value())).transpose()?;
        Ok(record.unwrap_or_default())
    }

    /// Transfers from or to an address, newest first.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn address_transfers(
        &self,
        address: Address,
        before: Option<ItemPos>,
        limit: usize,
    ) -> Result<Page<(ItemPos, TransferRecord), ItemPos>> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::ADDRESS_TRANSFERS)?;
        let at = items_of(&table, address, before, limited(limit))?;
        self.transfers_at(at, limited(limit))
    }

    /// Transfers of a token, newest first.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn token_transfers(
        &self,
        token: Address,
        before: Option<ItemPos>,
        limit: usize,
    ) -> Result<Page<(ItemPos, TransferRecord), ItemPos>> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::TOKEN_TRANSFERS)?;
        let at = items_of(&table, token, before, limited(limit))?;
        self.transfers_at(at, limited(limit))
    }

    fn transfers_at(
        &self,
        at: Vec<ItemPos>,
        limit: usize,
    ) -> Result<Page<(ItemPos, TransferRecord), ItemPos>> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::TRANSFERS)?;
        let mut rows = Vec::with_capacity(at.len());
        for at in at {
            if let Some(v) = table.get(&at.to_bytes())? {
                rows.push((at, (at, decode(v.value())?)));
            }
        }
        Ok(Page::cut(rows, limit))
    }

    /// A transaction's transfers in order, at most `limit`.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn tx_transfers(&self, tx: TxPos, limit: usize) -> Result<Vec<TransferRecord>> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::TRANSFERS)?;
        let first = ItemPos { tx, item: 0 }.to_bytes();
        let last = ItemPos { tx, item: u32::MAX }.to_bytes();
        let rows = table.range::<&[u8; 16]>(&first..=&last)?.take(limit);
        rows.map(|row| decode(row?.1.value())).collect()
    }

    /// A token.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn token(&self, token: Address) -> Result<Option<TokenRecord>> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::TOKENS)?;
        table.get(&token.0.0)?.map(|v| decode(v.value())).transpose()
    }

    /// The token here of an L1 token.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn token_of_l1(&self, l1: Address) -> Result<Option<Address>> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::TOKEN_OF_L1)?;
        Ok(table.get(&l1.0.0)?.map(|v| Address::from(*v.value())))
    }

    /// Tokens, the last seen first.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn tokens(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<(Address, TokenRecord), u64>> {
        let limit = limited(limit);
        let txn = self.db.begin_read()?;
        let (list, table) = (txn.open_table(tables::TOKEN_LIST)?, txn.open_table(tables::TOKENS)?);
        let mut rows = Vec::new();
        for row in list.range(..before.unwrap_or(u64::MAX))?.rev().take(limit + 1) {
            let (number, address) = row?;
            if let Some(v) = table.get(address.value())? {
                rows.push((number.value(), (Address::from(*address.value()), decode(v.value())?)));
            }
        }
        Ok(Page::cut(rows, limit))
    }

    /// Tokens that an account ever received, by address, after `after`.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn account_tokens(
        &self,
        account: Address,
        after: Option<Address>,
        limit: usize,
    ) -> Result<Page<Address, Address>> {
        let txn = self.db.begin_read()?;
        pairs_of(&txn.open_table(tables::ACCOUNT_TOKENS)?, account, after, limited(limit))
    }

    /// Accounts that ever received a token, by address, after `after`.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn token_accounts(
        &self,
        token: Address,
        after: Option<Address>,
        limit: usize,
    ) -> Result<Page<Address, Address>> {
        let txn = self.db.begin_read()?;
        pairs_of(&txn.open_table(tables::TOKEN_ACCOUNTS)?, token, after, limited(limit))
    }

    /// A contract, if it was created directly or emitted an event.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn contract(&self, address: Address) -> Result<Option<ContractRecord>> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::CONTRACTS)?;
        table.get(&address.0.0)?.map(|v| decode(v.value())).transpose()
    }

    /// Contracts, the last seen first.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn contracts(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<(Address, ContractRecord), u64>> {
        let limit = limited(limit);
        let txn = self.db.begin_read()?;
        let (list, table) =
            (txn.open_table(tables::CONTRACT_LIST)?, txn.open_table(tables::CONTRACTS)?);
        let mut rows = Vec::new();
        for row in list.range(..before.unwrap_or(u64::MAX))?.rev().take(limit + 1) {
            let (number, address) = row?;
            if let Some(v) = table.get(address.value())? {
                rows.push((number.value(), (Address::from(*address.value()), decode(v.value())?)));
            }
        }
        Ok(Page::cut(rows, limit))
    }

    /// Included deposits, newest first, of one address or of all.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn deposits(
        &self,
        of: Option<Address>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<DepositRecord, u64>> {
        let limit = limited(limit);
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::DEPOSITS)?;
        let end = before.unwrap_or(u64::MAX);
        let ids: Vec<u64> = match of {
            None => {
                let rows = table.range(..end)?.rev().take(limit + 1);
                rows.map(|row| Ok(row?.0.value())).collect::<Result<_>>()?
            }
            Some(address) => {
                let first: [u8; 28] = join(address.as_slice(), &[]);
                let last: [u8; 28] = join(address.as_slice(), &end.to_be_bytes());
                let table = txn.open_table(tables::ADDRESS_DEPOSITS)?;
                let rows = table.range::<&[u8; 28]>(&first..&last)?.rev().take(limit + 1);
                rows.map(|row| {
                    let key = row?.0;
                    Ok(key.value()[20..].iter().fold(0, |v, b| v << 8 | u64::from(*b)))
                })
                .collect::<Result<_>>()?
            }
        };
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(v) = table.get(id)? {
                rows.push((id, decode(v.value())?));
            }
        }
        Ok(Page::cut(rows, limit))
    }

    /// Messages to L1, newest first, of one address or of all.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn withdrawals(
        &self,
        of: Option<Address>,
        before: Option<ItemPos>,
        limit: usize,
    ) -> Result<Page<WithdrawalRecord, ItemPos>> {
        let limit = limited(limit);
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::WITHDRAWALS)?;
        let at: Vec<ItemPos> = match of {
            None => {
                let end = before.unwrap_or(LAST_ITEM).to_bytes();
                let rows = table.range::<&[u8; 16]>(..&end)?.rev().take(limit + 1);
                rows.map(|row| Ok(ItemPos::from_bytes(row?.0.value()))).collect::<Result<_>>()?
            }
            Some(address) => {
                items_of(&txn.open_table(tables::ADDRESS_WITHDRAWALS)?, address, before, limit)?
            }
        };
        let mut rows = Vec::with_capacity(at.len());
        for at in at {
            if let Some(v) = table.get(&at.to_bytes())? {
                rows.push((at, decode(v.value())?));
            }
        }
        Ok(Page::cut(rows, limit))
    }

    /// A transaction's messages to L1, at most `limit`.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn tx_withdrawals(&self, tx: TxPos, limit: usize) -> Result<Vec<WithdrawalRecord>> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::WITHDRAWALS)?;
        let first = ItemPos { tx, item: 0 }.to_bytes();
        let last = ItemPos { tx, item: u32::MAX }.to_bytes();
        let rows = table.range::<&[u8; 16]>(&first..=&last)?.take(limit);
        rows.map(|row| decode(row?.1.value())).collect()
    }

    /// The L1 side of a deposit, once L1's events were read.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn l1_deposit(&self, id: u64) -> Result<Option<L1Deposit>> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::L1_DEPOSITS)?;
        table.get(id)?.map(|v| decode(v.value())).transpose()
    }

    /// The L1 transaction that consumed a message, once L1's events were read.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn l1_finalized(&self, batch: u64, message: u64) -> Result<Option<B256>> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::L1_FINALIZED)?;
        Ok(table.get((batch, message))?.map(|v| B256::from(*v.value())))
    }
}

impl Index {
    /// Number of transactions in block `first` and after it, by bisection over the list of all.
    ///
    /// # Errors
    /// A fault of the file.
    pub fn txs_since(&self, first: u64) -> Result<u64> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(tables::TXS)?;
        let total = table.len()?;
        let (mut low, mut high) = (0, total);
        while low < high {
            let middle = low + (high - low) / 2;
            let block = table.get(middle)?.map_or(u64::MAX, |v| v.value().0);
            if block < first { low = middle + 1 } else { high = middle }
        }
        Ok(total - low)
    }
}

/// Most rows that one call of the JSON-RPC server may ask for.
const MAX_RPC_ROWS: usize = 4_096;

impl cairn_rpc::AddressIndex for Index {
    fn before(
        &self,
        address: Address,
        before: Option<u64>,
        limit: usize,
    ) -> cairn_rpc::error::Result<Vec<(u64, u32)>> {
        let end = before.map_or(LAST_TX, |block| TxPos { block, index: 0 });
        self.positions(
            tx_key(address, TxPos { block: 0, index: 0 }),
            tx_key(address, end),
            true,
            limit,
        )
    }

    fn after(
        &self,
        address: Address,
        after: u64,
        limit: usize,
    ) -> cairn_rpc::error::Result<Vec<(u64, u32)>> {
        let from = TxPos { block: after.saturating_add(1), index: 0 };
        self.positions(tx_key(address, from), tx_key(address, LAST_TX), false, limit)
    }
}

impl Index {
    fn positions(
        &self,
        first: [u8; 32],
        end: [u8; 32],
        backwards: bool,
        limit: usize,
    ) -> cairn_rpc::error::Result<Vec<(u64, u32)>> {
        let read = || -> Result<Vec<(u64, u32)>> {
            if first > end {
                return Ok(Vec::new());
            }
            let txn = self.db.begin_read()?;
            let table = txn.open_table(tables::ADDRESS_TXS)?;
            let range = table.range::<&[u8; 32]>(&first..&end)?;
            let limit = limit.min(MAX_RPC_ROWS);
            let mut out = Vec::new();
            let mut take = |key: &[u8; 32]| {
                let at = TxPos::from_bytes(&key[20..]);
                out.push((at.block, at.index));
            };
            if backwards {
                for row in range.rev().take(limit) {
                    take(row?.0.value());
                }
            } else {
                for row in range.take(limit) {
                    take(row?.0.value());
                }
            }
            Ok(out)
        };
        read().map_err(|e| cairn_rpc::ChainError::Internal(e.to_string()))
    }
}
