//! The home page's figures, and their changes as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, http::StatusCode};
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Answer, ApiError, Shared};
use crate::app::App;
use crate::error::Result;

/// Shortest time between two events.
const BEAT: Duration = Duration::from_millis(400);
/// Most browsers that listen at once.
const MAX_LISTENERS: usize = 256;
/// Batches, blocks and transactions on the home page.
const BATCHES: u64 = 6;
const ROWS: u64 = 8;

/// The latest figures, and who listens.
#[derive(Debug)]
pub(crate) struct Live {
    latest: watch::Sender<Arc<str>>,
    listeners: AtomicUsize,
}

impl Live {
    /// Starts to keep the figures fresh until `stop`.
    pub(crate) fn start(app: Shared, mut stop: watch::Receiver<bool>) -> Arc<Self> {
        let first = make(&app).unwrap_or_default();
        let (latest, _) = watch::channel(Arc::from(first.as_str()));
        let live = Arc::new(Self { latest, listeners: AtomicUsize::new(0) });
        let told = live.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => return,
                    () = tokio::time::sleep(BEAT) => {}
                }
                let app = app.clone();
                let made = tokio::task::spawn_blocking(move || make(&app)).await;
                let Ok(Ok(text)) = made else { continue };
                told.latest.send_if_modified(|old| {
                    let changed = **old != *text;
                    if changed {
                        *old = Arc::from(text.as_str());
                    }
                    changed
                });
            }
        });
        live
    }
}

fn make(app: &App) -> Result<String> {
    home_value(app).map(|v| v.to_string())
}

/// Everything that the home page shows.
pub(super) fn home_value(app: &App) -> Result<Value> {
    let head = app.storage.head_number();
    let heads = app.storage.batch_heads();
    let totals = app.index.totals()?;
    let mut blocks = Vec::new();
    for number in (head.saturating_sub(ROWS - 1)..=head).rev() {
        if let Some(block) = app.storage.block(number)? {
            blocks.push(app.block_row(&block)?);
        }
    }
    let mut batches: Vec<Value> = app.open_batch()?.into_iter().collect();
    for number in (heads.sealed.saturating_sub(BATCHES - 1).max(1)..=heads.sealed).rev() {
        if let Some(batch) = app.storage.batch(number)? {
            batches.push(app.batch_row(&batch)?);
        }
    }
    let txs = app.index.txs(None, ROWS as usize)?;
    Ok(json!({
        "head": head, "indexed": app.index.next_block(),
        "sealed": heads.sealed, "committed": heads.committed, "proven": heads.proven,
        "finalized": heads.executed, "lastFinalizedBlock": heads.last_executed_block,
        "totals": {
            "txs": totals.txs, "addresses": totals.addresses, "transfers": totals.transfers, "internal": totals.internal,
            "tokens": totals.tokens, "contracts": totals.contracts, "deposits": totals.deposits,
            "withdrawals": totals.withdrawals,
        },
        "blocks": blocks, "batches": batches, "txs": app.tx_rows(txs.rows.into_iter())?,
    }))
}

pub(super) async fn home(Extension(live): Extension<Arc<Live>>) -> Answer {
    let text = live.latest.borrow().clone();
    let value = serde_json::from_str(&text)
        .map_err(|_| ApiError(StatusCode::SERVICE_UNAVAILABLE, "not ready yet".into()))?;
    Ok(axum::Json(value))
}

/// One listener; it leaves the count when its stream is dropped.
struct Listener {
    live: Arc<Live>,
    updates: watch::Receiver<Arc<str>>,
    first: bool,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.live.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) async fn events(
    State(_): State<Shared>,
    Extension(live): Extension<Arc<Live>>,
) -> Response {
    if live.listeners.fetch_add(1, Ordering::Relaxed) >= MAX_LISTENERS {
        live.listeners.fetch_sub(1, Ordering::Relaxed);
        let words = "too many browsers listen; the page works without live updates";
        return ApiError(StatusCode::SERVICE_UNAVAILABLE, words.into()).into_response();
    }
    let listener = Listener { updates: live.latest.subscribe(), live, first: true };
    let events = stream::unfold(listener, |mut listener| async move {
        if !listener.first && listener.updates.changed().await.is_err() {
            return None;
        }
        listener.first = false;
        let text = listener.updates.borrow_and_update().clone();
        let event = Event::default().event("home").data(&*text);
        Some((Ok::<_, Infallible>(event), listener))
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}
