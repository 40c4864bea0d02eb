//! Polled filters: `eth_newFilter`, `eth_newBlockFilter`, `eth_newPendingTransactionFilter` and what reads them.
//!
//! A filter holds its own receiver of the chain's events, so that a poll sees everything since the last one and nothing else runs
//! in the background. A filter that nobody polls expires.

use crate::chain::BlockEvent;
use crate::context::{Context, Module, Registered, heavy, quick};
use crate::error::{ChainError, Result};
use crate::logs::{self, LogFilter};
use crate::params::Quantity;
use crate::view::Log;
use alloy_primitives::{B256, U256};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

enum Kind {
    Blocks(Receiver<Arc<BlockEvent>>),
    Pending(Receiver<B256>),
    Logs { filter: Box<LogFilter>, events: Receiver<Arc<BlockEvent>>, seen: u64 },
}

struct Filter {
    kind: Kind,
    polled: Instant,
}

/// All filters of the server.
#[derive(Default)]
pub(crate) struct Filters {
    filters: Mutex<HashMap<U256, Filter>>,
}

/// What a poll answers.
#[derive(Serialize)]
#[serde(untagged)]
enum Changes {
    Hashes(Vec<B256>),
    Logs(Vec<Log>),
}

fn not_found() -> ChainError {
    // Geth's code here is -32000.
    ChainError::Halted("filter not found".into())
}

impl Filters {
    fn insert(&self, ctx: &Context, kind: Kind) -> Result<U256> {
        let mut filters = self.filters.lock();
        let now = Instant::now();
        filters.retain(|_, f| now.duration_since(f.polled) < ctx.limits.filter_timeout);
        if filters.len() >= ctx.limits.max_filters {
            return Err(ChainError::LimitExceeded(format!(
                "too many filters: the limit is {}",
                ctx.limits.max_filters
            )));
        }
        let id = U256::from_be_bytes(B256::random().0) >> 128;
        filters.insert(id, Filter { kind, polled: now });
        Ok(id)
    }

    fn take_changes(&self, ctx: &Context, id: U256) -> Result<Changes> {
        let mut filters = self.filters.lock();
        let filter = filters.get_mut(&id).ok_or_else(not_found)?;
        filter.polled = Instant::now();
        match &mut filter.kind {
            Kind::Blocks(events) => {
                let mut hashes = Vec::new();
                drain(events, |event| {
                    if let BlockEvent::New { header, .. } = &*event {
                        hashes.push(header.hash);
                    }
                });
                Ok(Changes::Hashes(hashes))
            }
            Kind::Pending(events) => {
                let mut hashes = Vec::new();
                drain(events, |hash| hashes.push(hash));
                Ok(Changes::Hashes(hashes))
            }
            Kind::Logs { filter, events, seen } => {
                log_changes(ctx, filter, events, seen).map(Changes::Logs)
            }
        }
    }

    fn log_filter(&self, id: U256) -> Result<LogFilter> {
        let mut filters = self.filters.lock();
        let filter = filters.get_mut(&id).ok_or_else(not_found)?;
        filter.polled = Instant::now();
        match &filter.kind {
            Kind::Logs { filter, .. } => Ok((**filter).clone()),
            Kind::Blocks(_) | Kind::Pending(_) => Err(not_found()),
        }
    }
}

/// Takes what has arrived; true if some was lost because the filter was polled too seldom.
fn drain<T: Clone>(events: &mut Receiver<T>, mut each: impl FnMut(T)) -> bool {
    let mut lost = false;
    loop {
        match events.try_recv() {
            Ok(event) => each(event),
            Err(TryRecvError::Lagged(_)) => lost = true,
            Err(TryRecvError::Empty | TryRecvError::Closed) => return lost,
        }
    }
}

fn log_changes(
    ctx: &Context,
    filter: &LogFilter,
    events: &mut Receiver<Arc<BlockEvent>>,
    seen: &mut u64,
) -> Result<Vec<Log>> {
    let mut found = Vec::new();
    let mut last = *seen;
    let lost = drain(events, |event| match &*event {
        BlockEvent::New { header, logs, .. } => {
            last = header.number;
            found.extend(logs.iter().filter(|log| filter.matches(log)).cloned());
        }
        BlockEvent::Removed { number, logs, .. } => {
            last = number.saturating_sub(1);
            found.extend(logs.iter().filter(|log| filter.matches(log)).cloned());
        }
    });
    if lost {
        // Events were lost: read the blocks instead. A reorg in between shows only as its new blocks.
        found.clear();
        last = ctx.head()?;
        logs::collect(ctx, filter, seen.saturating_add(1), last, &mut found)?;
    }
    *seen = last;
    Ok(found)
}

pub(crate) fn register(module: &mut Module) -> Registered {
    quick(module, "eth_newFilter", |ctx, args| {
        let filter = args.req::<LogFilter>()?;
        filter.check()?;
        let events = ctx.chain.subscribe_blocks();
        ctx.filters.insert(ctx, Kind::Logs { filter: Box::new(filter), events, seen: ctx.head()? })
    })?;
    quick(module, "eth_newBlockFilter", |ctx, _| {
        ctx.filters.insert(ctx, Kind::Blocks(ctx.chain.subscribe_blocks()))
    })?;
    quick(module, "eth_newPendingTransactionFilter", |ctx, _| {
        ctx.filters.insert(ctx, Kind::Pending(ctx.chain.subscribe_pending()))
    })?;
    heavy(module, "eth_getFilterChanges", |ctx, args| {
        ctx.filters.take_changes(ctx, args.req::<Quantity>()?.0)
    })?;
    heavy(module, "eth_getFilterLogs", |ctx, args| {
        logs::get_logs(ctx, &ctx.filters.log_filter(args.req::<Quantity>()?.0)?)
    })?;
    quick(module, "eth_uninstallFilter", |ctx, args| {
        Ok(ctx.filters.filters.lock().remove(&args.req::<Quantity>()?.0).is_some())
    })
}
