//! The explorer's HTTP server: pages, their JSON, live updates, and the portal.
//!
//! | path | answers |
//! |---|---|
//! | `/api/...` ([`chain`], [`accounts`], [`internal`], [`bridge`], [`search`]) | JSON for the pages, from the index and the store |
//! | `/api/events` ([`live`]) | server-sent events |
//! | `/api/portal/...`, `/api/dev/...` ([`portal`]) | transactions to sign, and signing by development accounts |
//! | anything else ([`assets`]) | the pages themselves |

mod accounts;
mod assets;
mod bridge;
mod chain;
mod internal;
mod live;
mod portal;
mod search;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::ExplorerError;
pub(crate) use live::Live;

/// Longest wait for a turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of a request's body.
const MAX_BODY: usize = 256 << 10;
/// Nothing but our own files runs or is shown, nobody frames us, and no form goes anywhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) type Shared = Arc<App>;

/// Why there is no answer, for the person at the browser.
#[derive(Debug)]
pub(crate) struct ApiError(pub(crate) StatusCode, pub(crate) String);

impl ApiError {
    pub(crate) fn bad(words: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, words.into())
    }

    pub(crate) fn missing(what: &str) -> Self {
        Self(StatusCode::NOT_FOUND, format!("{what} is not known here"))
    }
}

impl From<ExplorerError> for ApiError {
    fn from(e: ExplorerError) -> Self {
        let status = match &e {
            ExplorerError::L1(cairn_settlement::l1::L1Error::Reverted { .. }) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            ExplorerError::L1(_) => StatusCode::BAD_GATEWAY,
            ExplorerError::Rpc(cairn_rpc::ChainError::UnknownTransaction) => StatusCode::NOT_FOUND,
            ExplorerError::Rpc(_) => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, e.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.0, axum::Json(json!({ "error": self.1 }))).into_response()
    }
}

pub(crate) type Answer = Result<axum::Json<Value>, ApiError>;

/// How much an answer costs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cost {
    /// Reads of the store.
    Reads,
    /// Executions as well.
    Executes,
}

/// Runs blocking work off the network's threads, a bounded amount at once.
pub(crate) async fn work<T, F>(app: &Shared, cost: Cost, f: F) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: FnOnce(&App) -> Result<T, ExplorerError> + Send + 'static,
{
    let gate = if cost == Cost::Reads { &app.work } else { &app.executions };
    let busy =
        || ApiError(StatusCode::SERVICE_UNAVAILABLE, "the explorer is busy; try again".into());
    let permit = tokio::time::timeout(PATIENCE, gate.clone().acquire_owned()).await;
    let permit = permit.map_err(|_| busy())?.map_err(|_| busy())?;
    let app = app.clone();
    let task = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        f(&app)
    });
    let done = task.await.map_err(|e| {
        ApiError(StatusCode::INTERNAL_SERVER_ERROR, format!("the answer could not be made: {e}"))
    })?;
    Ok(done?)
}

/// Where a list goes on, and how long it is.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct PageQuery {
    #[serde(default)]
    pub(crate) before: Option<String>,
    #[serde(default)]
    pub(crate) limit: Option<usize>,
    #[serde(default)]
    pub(crate) address: Option<String>,
}

impl PageQuery {
    pub(crate) fn limit(&self) -> usize {
        self.limit.unwrap_or(25).clamp(1, 100)
    }

    /// Cursor of numbers joined by `-`, e.g. `12-3`.
    pub(crate) fn cursor<const N: usize>(&self) -> Result<Option<[u64; N]>, ApiError> {
        let Some(text) = self.before.as_deref().filter(|t| !t.is_empty()) else { return Ok(None) };
        let parts: Option<Vec<u64>> = text.split('-').map(|p| p.parse().ok()).collect();
        let array = parts.and_then(|p| <[u64; N]>::try_from(p).ok());
        array.map(Some).ok_or_else(|| ApiError::bad("`before` is not a cursor of this list"))
    }
}

/// The whole server.
pub(crate) fn router(app: Shared, live: Arc<Live>) -> Router {
    let api = Router::new()
        .route("/info", get(chain::info))
        .route("/home", get(live::home))
        .route("/events", get(live::events))
        .route("/blocks", get(chain::blocks))
        .route("/block/{id}", get(chain::block))
        .route("/txs", get(chain::txs))
        .route("/tx/{hash}", get(chain::tx))
        .route("/tx/{hash}/trace", get(chain::trace))
        .route("/tx/{hash}/internal", get(internal::of_tx))
        .route("/internal", get(internal::all))
        .route("/batches", get(chain::batches))
        .route("/batch/{number}", get(chain::batch))
        .route("/address/{address}", get(accounts::address))
        .route("/address/{address}/txs", get(accounts::txs))
        .route("/address/{address}/transfers", get(accounts::transfers))
        .route("/address/{address}/internal", get(internal::of_address))
        .route("/address/{address}/tokens", get(accounts::tokens))
        .route("/tokens", get(accounts::token_list))
        .route("/token/{address}", get(accounts::token))
        .route("/token/{address}/transfers", get(accounts::token_transfers))
        .route("/token/{address}/accounts", get(accounts::token_accounts))
        .route("/contracts", get(accounts::contracts))
        .route("/deposits", get(bridge::deposits))
        .route("/withdrawals", get(bridge::withdrawals))
        .route("/l1/tx/{hash}", get(bridge::l1_tx))
        .route("/search", get(search::search))
        .route("/portal/account", get(portal::account))
        .route("/portal/plan", post(portal::plan))
        .route("/dev/send", post(portal::dev_send))
        .fallback(|| async { ApiError::missing("this address") })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(axum::Extension(live))
        .with_state(app);
    Router::new().nest("/api", api).fallback(get(assets::serve)).layer(middleware::from_fn(headers))
}

/// Security headers on everything, and no caching of what has not said otherwise.
async fn headers(request: axum::extract::Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
