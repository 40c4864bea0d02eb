//! Tables and keys. Keys are big-endian bytes, so that a range is a page.

use alloy_primitives::Address;
use redb::{ReadableTable, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::model::{ItemPos, TxPos};
use crate::error::Result;

type Bytes = &'static [u8];

pub(crate) const META: TableDefinition<&str, Bytes> = TableDefinition::new("meta");
/// Number in the order of the chain -> where the transaction is.
pub(crate) const TXS: TableDefinition<u64, (u64, u32)> = TableDefinition::new("txs");
/// address || position -> roles.
pub(crate) const ADDRESS_TXS: TableDefinition<&[u8; 32], u8> = TableDefinition::new("address_txs");
/// address -> counts.
pub(crate) const ADDRESSES: TableDefinition<&[u8; 20], Bytes> = TableDefinition::new("addresses");
/// position -> transfer.
pub(crate) const TRANSFERS: TableDefinition<&[u8; 16], Bytes> = TableDefinition::new("transfers");
/// address || position.
pub(crate) const ADDRESS_TRANSFERS: TableDefinition<&[u8; 36], ()> =
    TableDefinition::new("address_transfers");
/// token || position.
pub(crate) const TOKEN_TRANSFERS: TableDefinition<&[u8; 36], ()> =
    TableDefinition::new("token_transfers");
/// token -> what is known of it.
pub(crate) const TOKENS: TableDefinition<&[u8; 20], Bytes> = TableDefinition::new("tokens");
/// Number in the order of appearance -> token.
pub(crate) const TOKEN_LIST: TableDefinition<u64, &[u8; 20]> = TableDefinition::new("token_list");
/// L1 token -> its token here.
pub(crate) const TOKEN_OF_L1: TableDefinition<&[u8; 20], &[u8; 20]> =
    TableDefinition::new("token_of_l1");
/// account || token: tokens that an account ever received.
pub(crate) const ACCOUNT_TOKENS: TableDefinition<&[u8; 40], ()> =
    TableDefinition::new("account_tokens");
/// token || account.
pub(crate) const TOKEN_ACCOUNTS: TableDefinition<&[u8; 40], ()> =
    TableDefinition::new("token_accounts");
/// contract -> where it came from.
pub(crate) const CONTRACTS: TableDefinition<&[u8; 20], Bytes> = TableDefinition::new("contracts");
/// Number in the order of appearance -> contract.
pub(crate) const CONTRACT_LIST: TableDefinition<u64, &[u8; 20]> =
    TableDefinition::new("contract_list");
/// Index in the priority queue -> deposit.
pub(crate) const DEPOSITS: TableDefinition<u64, Bytes> = TableDefinition::new("deposits");
/// address || index in the priority queue.
pub(crate) const ADDRESS_DEPOSITS: TableDefinition<&[u8; 28], ()> =
    TableDefinition::new("address_deposits");
/// position -> message to L1.
pub(crate) const WITHDRAWALS: TableDefinition<&[u8; 16], Bytes> =
    TableDefinition::new("withdrawals");
/// address || position.
pub(crate) const ADDRESS_WITHDRAWALS: TableDefinition<&[u8; 36], ()> =
    TableDefinition::new("address_withdrawals");
/// position -> internal operation.
pub(crate) const INTERNAL: TableDefinition<&[u8; 16], Bytes> = TableDefinition::new("internal");
/// address || position.
pub(crate) const ADDRESS_INTERNAL: TableDefinition<&[u8; 36], ()> =
    TableDefinition::new("address_internal");
/// position of a transaction -> how many internal operations it has.
pub(crate) const TX_INTERNAL: TableDefinition<&[u8; 12], Bytes> =
    TableDefinition::new("tx_internal");
/// Index in the priority queue -> its transaction on L1.
pub(crate) const L1_DEPOSITS: TableDefinition<u64, Bytes> = TableDefinition::new("l1_deposits");
/// (batch, index of the message) -> transaction on L1 that consumed it.
pub(crate) const L1_FINALIZED: TableDefinition<(u64, u64), &[u8; 32]> =
    TableDefinition::new("l1_finalized");

pub(crate) const META_FORMAT: &str = "format";
pub(crate) const META_GENESIS: &str = "genesis";
pub(crate) const META_NEXT: &str = "next_block";
pub(crate) const META_HEAD_HASH: &str = "head_hash";
pub(crate) const META_TRANSFERS: &str = "transfers";
pub(crate) const META_L1_NEXT: &str = "l1_next";
pub(crate) const META_INTERNAL: &str = "internal";
pub(crate) const META_INTERNAL_NEXT: &str = "internal_next_block";

/// Makes every table, so that readers find them.
pub(crate) fn create(txn: &WriteTransaction) -> Result<()> {
    txn.open_table(META)?;
    txn.open_table(TXS)?;
    txn.open_table(ADDRESS_TXS)?;
    txn.open_table(ADDRESSES)?;
    txn.open_table(TRANSFERS)?;
    txn.open_table(ADDRESS_TRANSFERS)?;
    txn.open_table(TOKEN_TRANSFERS)?;
    txn.open_table(TOKENS)?;
    txn.open_table(TOKEN_LIST)?;
    txn.open_table(TOKEN_OF_L1)?;
    txn.open_table(ACCOUNT_TOKENS)?;
    txn.open_table(TOKEN_ACCOUNTS)?;
    txn.open_table(CONTRACTS)?;
    txn.open_table(CONTRACT_LIST)?;
    txn.open_table(DEPOSITS)?;
    txn.open_table(ADDRESS_DEPOSITS)?;
    txn.open_table(WITHDRAWALS)?;
    txn.open_table(ADDRESS_WITHDRAWALS)?;
    txn.open_table(INTERNAL)?;
    txn.open_table(ADDRESS_INTERNAL)?;
    txn.open_table(TX_INTERNAL)?;
    txn.open_table(L1_DEPOSITS)?;
    txn.open_table(L1_FINALIZED)?;
    Ok(())
}

pub(crate) fn read_u64(
    meta: &impl ReadableTable<&'static str, Bytes>,
    key: &str,
) -> Result<Option<u64>> {
    let value = meta.get(key)?;
    Ok(value.and_then(|v| v.value().try_into().ok().map(u64::from_be_bytes)))
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    Ok(postcard::to_stdvec(value)?)
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    Ok(postcard::from_bytes(bytes)?)
}

/// `head || tail`, as keys of two parts are.
pub(crate) fn join<const N: usize>(head: &[u8], tail: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    let n = head.len().min(N);
    out[..n].copy_from_slice(&head[..n]);
    let m = tail.len().min(N - n);
    out[n..n + m].copy_from_slice(&tail[..m]);
    out
}

pub(crate) fn tx_key(address: Address, at: TxPos) -> [u8; 32] {
    join(address.as_slice(), &at.to_bytes())
}

pub(crate) fn item_key(address: Address, at: ItemPos) -> [u8; 36] {
    join(address.as_slice(), &at.to_bytes())
}

pub(crate) fn pair_key(a: Address, b: Address) -> [u8; 40] {
    join(a.as_slice(), b.as_slice())
}
