//! Calls with value and creations by contracts, which explorers call internal transactions.

use axum::Json;
use axum::extract::{Path, Query, State};
use cairn_storage::TxLocation;
use serde_json::{Value, json};

use super::accounts::{address_of, item_cursor, item_text};
use super::{Answer, ApiError, Cost, PageQuery, Shared, work};
use crate::app::{App, parse_hash};
use crate::error::Result;
use crate::index::Page;
use crate::index::model::{InternalCount, InternalRecord, ItemPos, TxPos};

pub(super) async fn all(State(app): State<Shared>, Query(q): Query<PageQuery>) -> Answer {
    let (before, limit) = (item_cursor(&q)?, q.limit());
    let page = work(&app, Cost::Reads, move |app| {
        let total = app.index.totals()?.internal;
        rows(app, &app.index.internals(None, before, limit)?, total)
    });
    page.await.map(Json)
}

pub(super) async fn of_address(
    State(app): State<Shared>,
    Path(text): Path<String>,
    Query(q): Query<PageQuery>,
) -> Answer {
    let (address, before, limit) = (address_of(&text)?, item_cursor(&q)?, q.limit());
    let page = work(&app, Cost::Reads, move |app| {
        let total = app.index.address(address)?.internal;
        rows(app, &app.index.internals(Some(address), before, limit)?, total)
    });
    page.await.map(Json)
}

/// A transaction's own, in their order; `before` is where the page begins.
pub(super) async fn of_tx(
    State(app): State<Shared>,
    Path(hash): Path<String>,
    Query(q): Query<PageQuery>,
) -> Answer {
    let hash = parse_hash(&hash).ok_or_else(|| ApiError::bad("not a transaction hash"))?;
    let from = q.cursor::<1>()?.map_or(0, |[n]| u32::try_from(n).unwrap_or(u32::MAX));
    let limit = q.limit();
    let page = work(&app, Cost::Reads, move |app| {
        let Some(at) = app.storage.tx_location(hash)? else { return Ok(None) };
        let at = TxPos { block: at.block, index: at.index };
        let count = app.index.tx_internal_count(at)?;
        let page = app.index.tx_internals(at, from, limit)?;
        let InternalCount { kept, beyond } = count.unwrap_or_default();
        let mut out = rows(app, &page, kept)?;
        out["next"] = json!(page.next.map(|at| (u64::from(at.item) + 1).to_string()));
        out["beyond"] = json!(beyond);
        out["indexed"] = json!(count.is_some());
        Ok(Some(out))
    });
    page.await?.map(Json).ok_or_else(|| ApiError::missing("this transaction"))
}

fn rows(app: &App, page: &Page<(ItemPos, InternalRecord), ItemPos>, total: u64) -> Result<Value> {
    let mut rows = Vec::with_capacity(page.rows.len());
    for (at, o) in &page.rows {
        let place = TxLocation { block: at.tx.block, index: at.tx.index };
        rows.push(json!({
            "hash": app.storage.transaction(place)?.map(|t| t.hash), "block": place.block,
            "timestamp": app.storage.block(place.block)?.map(|b| b.header.timestamp),
            "item": at.item, "kind": o.kind.name(), "from": o.from, "to": o.to,
            "fromName": app.name_of(o.from), "toName": app.name_of(o.to),
            "value": o.value.to_string(),
        }));
    }
    let behind = app.index.next_internal() < app.index.next_block();
    Ok(json!({ "rows": rows, "next": page.next.map(item_text), "total": total, "behind": behind }))
}
