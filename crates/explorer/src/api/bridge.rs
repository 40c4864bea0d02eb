//! Deposits, withdrawals and transactions on L1.

use axum::Json;
use axum::extract::{Path, Query, State};
use futures::future::join_all;
use serde_json::{Value, json};

use super::accounts::{item_cursor, item_text};
use super::{Answer, ApiError, Cost, PageQuery, Shared, work};
use crate::app::{parse_address, parse_hash};
use crate::error::Result;
use crate::l1;
use alloy_primitives::Address;

/// Most waiting deposits that the first page shows before the included ones.
const MAX_WAITING: usize = 100;

fn filter_of(q: &PageQuery) -> Result<Option<Address>, ApiError> {
    let Some(text) = q.address.as_deref().filter(|t| !t.is_empty()) else { return Ok(None) };
    parse_address(text).map(Some).ok_or_else(|| ApiError::bad("not an address"))
}

pub(super) async fn deposits(State(app): State<Shared>, Query(q): Query<PageQuery>) -> Answer {
    let (of, before, limit) = (filter_of(&q)?, q.cursor::<1>()?.map(|[n]| n), q.limit());
    let page = work(&app, Cost::Reads, move |app| {
        let mut rows = Vec::new();
        if before.is_none() {
            let next = app.storage.next_priority_id()?;
            let waiting = app.storage.priority_ops(next, MAX_WAITING)?;
            for op in waiting.iter().rev() {
                let deposit = crate::index::deposit(op);
                if of.is_none_or(|a| a == deposit.sender || a == deposit.receiver) {
                    rows.push(app.deposit_row(&deposit)?);
                }
            }
        }
        let page = app.index.deposits(of, before, limit)?;
        for deposit in &page.rows {
            rows.push(app.deposit_row(deposit)?);
        }
        let total = of.is_none().then(|| app.storage.priority_ops_end()).transpose()?;
        Ok(json!({ "rows": rows, "next": page.next.map(|n| n.to_string()), "total": total }))
    });
    let mut page = page.await?;
    if let Some(rows) = page["rows"].as_array_mut() {
        settle_failed(&app, rows).await;
    }
    Ok(Json(page))
}

/// Says of failed deposits of tokens in final batches whether they can still be claimed back: `claim` is `ready` or `done`.
async fn settle_failed(app: &Shared, rows: &mut [Value]) {
    let ask = rows.iter().map(|row| async {
        let final_batch = row["status"] == "finalized" && row["l1Token"].is_string();
        if row["state"] != "failed" || !final_batch {
            return None;
        }
        let hash = row["hash"].as_str().and_then(parse_hash)?;
        let (nullifier, id) = (app.network.ecosystem.nullifier, app.network.chain_id);
        l1::is_claimable(&app.l1, nullifier, id, hash).await.ok()
    });
    let answers = join_all(ask).await;
    for (row, answer) in rows.iter_mut().zip(answers) {
        row["claim"] = json!(answer.map(|open| if open { "ready" } else { "done" }));
    }
}

pub(super) async fn withdrawals(State(app): State<Shared>, Query(q): Query<PageQuery>) -> Answer {
    let (of, before, limit) = (filter_of(&q)?, item_cursor(&q)?, q.limit());
    let (mut rows, next, total) = work(&app, Cost::Reads, move |app| {
        let page = app.index.withdrawals(of, before, limit)?;
        let rows: Vec<Value> =
            page.rows.iter().map(|w| app.withdrawal_row(w)).collect::<Result<_>>()?;
        let total = of.is_none().then(|| app.index.totals()).transpose()?.map(|t| t.withdrawals);
        Ok((rows, page.next.map(item_text), total))
    })
    .await?;
    settle_ready(&app, &mut rows).await;
    Ok(Json(json!({ "rows": rows, "next": next, "total": total })))
}

/// Asks L1 about withdrawals that look ready: another contract may have finalized them.
pub(super) async fn settle_ready(app: &Shared, rows: &mut [Value]) {
    let ask = rows.iter().map(|row| async {
        let ready = row["state"] == "ready";
        let (batch, message) = (row["batch"].as_u64()?, row["message"].as_u64()?);
        if !ready {
            return None;
        }
        let (router, id) = (app.network.ecosystem.asset_router, app.network.chain_id);
        l1::is_finalized(&app.l1, router, id, batch, message).await.ok()
    });
    let answers = join_all(ask).await;
    for (row, answer) in rows.iter_mut().zip(answers) {
        if answer == Some(true) {
            row["state"] = json!("finalized");
        }
    }
}

pub(super) async fn l1_tx(State(app): State<Shared>, Path(hash): Path<String>) -> Answer {
    let hash = parse_hash(&hash).ok_or_else(|| ApiError::bad("not a transaction hash"))?;
    let chain = app.network.chain.address;
    let found = l1::transaction(&app.l1, &app.l1_decoder, chain, hash).await?;
    found.map(Json).ok_or_else(|| ApiError::missing("this L1 transaction"))
}
