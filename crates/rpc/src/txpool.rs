//! `txpool_content`, `txpool_contentFrom`, `txpool_inspect`, `txpool_status`.

use crate::context::{Module, Registered, heavy};
use crate::view::{Hex, Transaction};
use alloy_primitives::Address;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

type ByNonce<T> = BTreeMap<String, T>;

/// By sender, with the checksum of EIP-55 as geth has it.
fn group<T>(
    txs: Vec<Transaction>,
    show: impl Fn(Transaction) -> T,
) -> BTreeMap<String, ByNonce<T>> {
    let mut groups: BTreeMap<String, ByNonce<T>> = BTreeMap::new();
    for tx in txs {
        let (from, nonce) = (tx.from.to_string(), tx.nonce.to_string());
        groups.entry(from).or_default().insert(nonce, show(tx));
    }
    groups
}

fn both<T: Serialize>(pending: T, queued: T) -> Value {
    json!({ "pending": pending, "queued": queued })
}

fn summary(tx: Transaction) -> String {
    let to = tx.to.map_or_else(|| "contract creation".into(), |to| to.to_string());
    format!("{to}: {} wei + {} gas × {} wei", tx.value, tx.gas, tx.gas_price)
}

pub(crate) fn register(m: &mut Module) -> Registered {
    heavy(m, "txpool_content", |ctx, _| {
        let pool = ctx.chain.pool()?;
        Ok(both(group(pool.pending, |tx| tx), group(pool.queued, |tx| tx)))
    })?;
    heavy(m, "txpool_contentFrom", |ctx, args| {
        let (from, pool) = (args.req::<Address>()?.to_string(), ctx.chain.pool()?);
        let of = |txs| group(txs, |tx| tx).remove(&from).unwrap_or_default();
        Ok(both(of(pool.pending), of(pool.queued)))
    })?;
    heavy(m, "txpool_inspect", |ctx, _| {
        let pool = ctx.chain.pool()?;
        Ok(both(group(pool.pending, summary), group(pool.queued, summary)))
    })?;
    heavy(m, "txpool_status", |ctx, _| {
        let (pending, queued) = ctx.chain.pool_counts()?;
        Ok(both(Hex(pending), Hex(queued)))
    })
}
