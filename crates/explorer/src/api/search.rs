//! Search by hash, number, address, or the name of a token.

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, ApiError, Cost, Shared, work};
use crate::app::{App, parse_address, parse_hash};
use crate::error::Result;

/// Longest search text.
const MAX_TEXT: usize = 128;
/// Most tokens that a search by name looks at: the latest ones.
const MAX_TOKENS: usize = 1_000;
/// Most results.
const MAX_RESULTS: usize = 10;

#[derive(Deserialize)]
pub(super) struct SearchQuery {
    #[serde(default)]
    q: String,
}

pub(super) async fn search(State(app): State<Shared>, Query(q): Query<SearchQuery>) -> Answer {
    let text = q.q.trim().to_owned();
    if text.is_empty() || text.len() > MAX_TEXT {
        return Err(ApiError::bad("search for a hash, an address, a number or a token"));
    }
    let results = work(&app, Cost::Reads, move |app| find(app, &text)).await?;
    Ok(Json(json!({ "results": results })))
}

fn result(kind: &str, label: impl Into<String>, path: String) -> Value {
    json!({ "kind": kind, "label": label.into(), "path": path })
}

fn find(app: &App, text: &str) -> Result<Vec<Value>> {
    let mut out = Vec::new();
    let prefixed = if text.starts_with("0x") { text.to_owned() } else { format!("0x{text}") };
    if let Some(hash) = parse_hash(&prefixed) {
        if app.chain.transaction(hash)?.is_some() {
            out.push(result("Transaction", prefixed.clone(), format!("/tx/{hash}")));
        }
        if let Some(n) = app.storage.block_number(hash)? {
            out.push(result("Block", n.to_string(), format!("/block/{n}")));
        }
        if out.is_empty() {
            out.push(result("L1 transaction", prefixed, format!("/l1/tx/{hash}")));
        }
        return Ok(out);
    }
    if let Some(address) = parse_address(&prefixed) {
        let kind = if app.index.token(address)?.is_some() { "Token" } else { "Address" };
        let base = if kind == "Token" { "token" } else { "address" };
        out.push(result(kind, address.to_string(), format!("/{base}/{address}")));
        return Ok(out);
    }
    let number = text.trim_start_matches('#').replace([',', '_'], "");
    if let Ok(n) = number.parse::<u64>() {
        if n <= app.storage.head_number() {
            out.push(result("Block", n.to_string(), format!("/block/{n}")));
        }
        if n > 0 && n <= app.storage.batch_heads().sealed {
            out.push(result("Batch", n.to_string(), format!("/batch/{n}")));
        }
        return Ok(out);
    }
    tokens(app, &text.to_lowercase(), &mut out)?;
    Ok(out)
}

fn tokens(app: &App, text: &str, out: &mut Vec<Value>) -> Result<()> {
    let (mut before, mut seen) = (None, 0);
    while seen < MAX_TOKENS {
        let page = app.index.tokens(before, 100)?;
        seen += page.rows.len();
        for (address, token) in page.rows {
            let (name, symbol) = (&token.meta.name, &token.meta.symbol);
            let hit = name.to_lowercase().contains(text) || symbol.to_lowercase().contains(text);
            if hit && out.len() < MAX_RESULTS {
                out.push(result(
                    "Token",
                    format!("{symbol} · {name}"),
                    format!("/token/{address}"),
                ));
            }
        }
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    Ok(())
}
