//! Accounts, tokens and contracts.

use axum::Json;
use axum::extract::{Path, Query, State};
use cairn_rpc::ots;
use serde_json::{Value, json};

use super::{Answer, ApiError, Cost, PageQuery, Shared, work};
use crate::app::parse_address;
use crate::index::NO_CODE;
use crate::index::model::{ItemPos, TxPos, role};
use crate::source::{token_balance, token_supply};
use alloy_primitives::Address;

/// Most bytes of code that a page shows.
const MAX_CODE: usize = 24 << 10;

pub(super) fn address_of(text: &str) -> Result<Address, ApiError> {
    parse_address(text).ok_or_else(|| ApiError::bad("not an address"))
}

fn tx_cursor(q: &PageQuery) -> Result<Option<TxPos>, ApiError> {
    let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(q.cursor::<2>()?.map(|[block, index]| TxPos { block, index: small(index) }))
}

pub(super) fn item_cursor(q: &PageQuery) -> Result<Option<ItemPos>, ApiError> {
    let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(q.cursor::<3>()?.map(|[block, index, item]| ItemPos {
        tx: TxPos { block, index: small(index) },
        item: small(item),
    }))
}

pub(super) fn item_text(at: ItemPos) -> String {
    format!("{}-{}-{}", at.tx.block, at.tx.index, at.item)
}

pub(super) async fn address(State(app): State<Shared>, Path(text): Path<String>) -> Answer {
    let address = address_of(&text)?;
    let row = work(&app, Cost::Executes, move |app| {
        let account = app.account(address)?;
        let counts = app.index.address(address)?;
        let has_code = account.code_hash != NO_CODE;
        let mut row = json!({
            "address": address, "balance": account.balance.to_string(), "nonce": account.nonce,
            "txs": counts.txs, "transfers": counts.transfers, "internal": counts.internal,
            "name": app.name_of(address), "system": app.is_system(address),
            "token": app.index.token(address)?.is_some(), "contract": has_code,
        });
        if has_code {
            row["code"] = code(app, address, account.code_hash)?;
        }
        Ok(row)
    });
    row.await.map(Json)
}

/// An account's code, who created it, and what it delegates to (EIP-7702).
fn code(
    app: &crate::app::App,
    address: Address,
    hash: alloy_primitives::B256,
) -> crate::Result<Value> {
    let bytes = app.storage.state()?.code(hash)?.unwrap_or_default();
    let delegate = (bytes.len() == 23 && bytes.starts_with(&[0xef, 0x01, 0x00]))
        .then(|| Address::from_slice(&bytes[3..]));
    let known = app.index.contract(address)?;
    let creation = match known {
        Some(c) if c.creator.is_some() => Some((c.tx, c.creator.unwrap_or_default())),
        // Made at genesis, or a moment ago: looked for by bisection over the states of the past.
        _ if delegate.is_none() && !app.is_system(address) => {
            ots::contract_creator(&*app.chain, address)?
        }
        _ => None,
    };
    Ok(json!({
        "hash": hash, "bytes": bytes.len(),
        "hex": alloy_primitives::hex::encode_prefixed(&bytes[..bytes.len().min(MAX_CODE)]),
        "delegate": delegate, "functions": app.decoder.functions_of(address),
        "creator": creation.map(|c| c.1), "creationTx": creation.map(|c| c.0),
    }))
}

pub(super) async fn txs(
    State(app): State<Shared>,
    Path(text): Path<String>,
    Query(q): Query<PageQuery>,
) -> Answer {
    let (address, before, limit) = (address_of(&text)?, tx_cursor(&q)?, q.limit());
    let page = work(&app, Cost::Reads, move |app| {
        // Counts are read before rows: the index may advance between, and a count never promises rows that are not there.
        let total = app.index.address(address)?.txs;
        let page = app.index.address_txs(address, before, limit)?;
        let mut rows = Vec::new();
        for (at, roles) in page.rows {
            if let Some(stored) = app.stored(at)? {
                let mut row = app.tx_row(&stored);
                row["roles"] = role_names(roles);
                rows.push(row);
            }
        }
        let next = page.next.map(|at| format!("{}-{}", at.block, at.index));
        Ok(json!({ "rows": rows, "next": next, "total": total }))
    });
    page.await.map(Json)
}

fn role_names(roles: u8) -> Value {
    let all = [
        (role::SENDER, "sender"),
        (role::RECIPIENT, "recipient"),
        (role::CREATED, "created"),
        (role::TOKENS, "tokens"),
        (role::BRIDGE, "bridge"),
        (role::INTERNAL, "internal"),
    ];
    all.into_iter().filter(|(bit, _)| roles & bit != 0).map(|(_, name)| name).collect()
}

pub(super) async fn transfers(
    State(app): State<Shared>,
    Path(text): Path<String>,
    Query(q): Query<PageQuery>,
) -> Answer {
    let (address, before, limit) = (address_of(&text)?, item_cursor(&q)?, q.limit());
    let page = work(&app, Cost::Reads, move |app| {
        let total = app.index.address(address)?.transfers;
        let page = app.index.address_transfers(address, before, limit)?;
        transfer_page(app, page, total)
    });
    page.await.map(Json)
}

fn transfer_page(
    app: &crate::app::App,
    page: crate::index::Page<(ItemPos, crate::index::model::TransferRecord), ItemPos>,
    total: u64,
) -> crate::Result<Value> {
    let mut rows = Vec::new();
    for (at, transfer) in &page.rows {
        let mut row = app.transfer_row(transfer);
        let place = cairn_storage::TxLocation { block: at.tx.block, index: at.tx.index };
        row["hash"] = json!(app.storage.transaction(place)?.map(|t| t.hash));
        row["block"] = json!(at.tx.block);
        row["timestamp"] = json!(app.storage.block(at.tx.block)?.map(|b| b.header.timestamp));
        rows.push(row);
    }
    Ok(json!({ "rows": rows, "next": page.next.map(item_text), "total": total }))
}

pub(super) async fn tokens(
    State(app): State<Shared>,
    Path(text): Path<String>,
    Query(q): Query<PageQuery>,
) -> Answer {
    let address = address_of(&text)?;
    let after = q.before.as_deref().filter(|t| !t.is_empty()).map(address_of).transpose()?;
    let limit = q.limit();
    let page = work(&app, Cost::Executes, move |app| {
        let page = app.index.account_tokens(address, after, limit)?;
        let row = |token: &Address| {
            json!({
                "token": token, "meta": app.token_brief(*token),
                "balance": token_balance(&*app.chain, *token, address).to_string(),
            })
        };
        Ok(json!({ "rows": page.rows.iter().map(row).collect::<Vec<_>>(), "next": page.next }))
    });
    page.await.map(Json)
}

pub(super) async fn token_list(State(app): State<Shared>, Query(q): Query<PageQuery>) -> Answer {
    let (before, limit) = (q.cursor::<1>()?.map(|[n]| n), q.limit());
    let page = work(&app, Cost::Reads, move |app| {
        let page = app.index.tokens(before, limit)?;
        let rows: Vec<Value> = page.rows.iter().map(|(a, t)| token_row(*a, t)).collect();
        let total = app.index.totals()?.tokens;
        Ok(json!({ "rows": rows, "next": page.next.map(|n| n.to_string()), "total": total }))
    });
    page.await.map(Json)
}

fn token_row(address: Address, t: &crate::index::model::TokenRecord) -> Value {
    json!({
        "address": address, "name": t.meta.name, "symbol": t.meta.symbol,
        "decimals": t.meta.decimals, "kind": t.kind.name(), "transfers": t.transfers,
        "accounts": t.accounts, "l1Token": t.meta.l1_token, "firstBlock": t.first.block,
    })
}

pub(super) async fn token(State(app): State<Shared>, Path(text): Path<String>) -> Answer {
    let address = address_of(&text)?;
    let row = work(&app, Cost::Executes, move |app| {
        let Some(token) = app.index.token(address)? else { return Ok(None) };
        let mut row = token_row(address, &token);
        row["supply"] = json!(token_supply(&*app.chain, address).map(|s| s.to_string()));
        Ok(Some(row))
    });
    row.await?.map(Json).ok_or_else(|| ApiError::missing("this token"))
}

pub(super) async fn token_transfers(
    State(app): State<Shared>,
    Path(text): Path<String>,
    Query(q): Query<PageQuery>,
) -> Answer {
    let (address, before, limit) = (address_of(&text)?, item_cursor(&q)?, q.limit());
    let page = work(&app, Cost::Reads, move |app| {
        let total = app.index.token(address)?.map_or(0, |t| t.transfers);
        let page = app.index.token_transfers(address, before, limit)?;
        transfer_page(app, page, total)
    });
    page.await.map(Json)
}

pub(super) async fn token_accounts(
    State(app): State<Shared>,
    Path(text): Path<String>,
    Query(q): Query<PageQuery>,
) -> Answer {
    let address = address_of(&text)?;
    let after = q.before.as_deref().filter(|t| !t.is_empty()).map(address_of).transpose()?;
    let limit = q.limit();
    let page = work(&app, Cost::Executes, move |app| {
        let page = app.index.token_accounts(address, after, limit)?;
        let total = app.index.token(address)?.map_or(0, |t| t.accounts);
        let row = |account: &Address| {
            let balance = token_balance(&*app.chain, address, *account).to_string();
            json!({ "account": account, "balance": balance })
        };
        let rows: Vec<Value> = page.rows.iter().map(row).collect();
        let meta = app.token_brief(address);
        Ok(json!({ "rows": rows, "next": page.next, "total": total, "meta": meta }))
    });
    page.await.map(Json)
}

pub(super) async fn contracts(State(app): State<Shared>, Query(q): Query<PageQuery>) -> Answer {
    let (before, limit) = (q.cursor::<1>()?.map(|[n]| n), q.limit());
    let page = work(&app, Cost::Reads, move |app| {
        let page = app.index.contracts(before, limit)?;
        let mut rows = Vec::new();
        for (address, c) in &page.rows {
            let counts = app.index.address(*address)?;
            rows.push(json!({
                "address": address, "name": app.name_of(*address), "creator": c.creator,
                "tx": c.tx, "block": c.at.block, "txs": counts.txs,
                "system": app.is_system(*address),
                "timestamp": app.storage.block(c.at.block)?.map(|b| b.header.timestamp),
            }));
        }
        let total = app.index.totals()?.contracts;
        Ok(json!({ "rows": rows, "next": page.next.map(|n| n.to_string()), "total": total }))
    });
    page.await.map(Json)
}
