//! Polled filters: `eth_newFilter`, `eth_newBlockFilter`, `eth_newPendingTransactionFilter` and what reads them.
//!
//! A filter holds its own receiver of the chain's events, so that a poll sees everything since the last one and nothing else runs
//! in the background. A filter that nobody polls expires.

use crate::chain::BlockEvent;
use crate::context::{Context, Module, Registered, heavy, quick};
use crate::error::{ChainError, Result};
use crate::logs::{self, Budget, LogFilter};
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
    Logs(Box<Logs>),
}

struct Logs {
    filter: LogFilter,
    events: Receiver<Arc<BlockEvent>>,
    /// Last block whose logs were answered.
    seen: u64,
    /// Logs of the block after it that were answered already.
    within: usize,
    /// Events were lost since, or held more than an answer does: blocks are read instead, until the head is reached.
    behind: bool,
}

struct Filter {
    kind: Mutex<Kind>,
    polled: Mutex<Instant>,
}

/// All filters of the server.
#[derive(Default)]
pub(crate) struct Filters {
    filters: Mutex<HashMap<U256, Arc<Filter>>>,
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
        filters.retain(|_, f| f.is_fresh(ctx, now));
        if filters.len() >= ctx.limits.max_filters {
            return Err(ChainError::LimitExceeded(format!(
                "too many filters: the limit is {}",
                ctx.limits.max_filters
            )));
        }
        let id = U256::from_be_bytes(B256::random().0) >> 128;
        let filter = Filter { kind: Mutex::new(kind), polled: Mutex::new(now) };
        filters.insert(id, Arc::new(filter));
        Ok(id)
    }

    /// A filter that has not expired. Nobody else waits while it is read.
    fn poll(&self, ctx: &Context, id: U256) -> Result<Arc<Filter>> {
        let mut filters = self.filters.lock();
        let now = Instant::now();
        let Some(filter) = filters.get(&id).filter(|f| f.is_fresh(ctx, now)).cloned() else {
            filters.remove(&id);
            return Err(not_found());
        };
        *filter.polled.lock() = now;
        Ok(filter)
    }

    fn take_changes(&self, ctx: &Context, id: U256) -> Result<Changes> {
        let filter = self.poll(ctx, id)?;
        let mut kind = filter.kind.lock();
        match &mut *kind {
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
            Kind::Logs(logs) => logs.changes(ctx).map(Changes::Logs),
        }
    }

    fn log_filter(&self, ctx: &Context, id: U256) -> Result<LogFilter> {
        match &*self.poll(ctx, id)?.kind.lock() {
            Kind::Logs(logs) => Ok(logs.filter.clone()),
            Kind::Blocks(_) | Kind::Pending(_) => Err(not_found()),
        }
    }
}

impl Filter {
    fn is_fresh(&self, ctx: &Context, now: Instant) -> bool {
        now.duration_since(*self.polled.lock()) < ctx.limits.filter_timeout
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

impl Logs {
    fn changes(&mut self, ctx: &Context) -> Result<Vec<Log>> {
        let (filter, mut found, mut last) = (&self.filter, Vec::new(), self.seen);
        let (mut budget, mut whole) = (Budget::new(&ctx.limits), true);
        // The newest block of which there was an event, and the lowest that one took back to.
        let (mut newest, mut lowest) = (0, u64::MAX);
        let lost = drain(&mut self.events, |event| {
            let logs = match &*event {
                BlockEvent::New { header, logs, .. } => {
                    newest = header.number;
                    // Read already, when events had been lost.
                    if newest <= last {
                        return;
                    }
                    last = newest;
                    logs
                }
                BlockEvent::Removed { number, logs, .. } => {
                    newest = number.saturating_sub(1);
                    lowest = lowest.min(newest);
                    // Never answered.
                    if *number > last {
                        return;
                    }
                    last = newest;
                    logs
                }
            };
            for log in logs.iter().filter(|log| filter.matches(log)) {
                whole = whole && budget.fit(std::slice::from_ref(log)) == 1;
                if whole {
                    found.push(log.clone());
                }
            }
        });
        self.behind |= lost || !whole;
        if self.behind {
            if lowest <= self.seen {
                (self.seen, self.within) = (lowest, 0);
            }
            return self.read_on(ctx, newest);
        }
        self.seen = last;
        Ok(found)
    }

    /// Reads the blocks instead of the events, as much as one answer holds; `newest` is the last block that is known of. A reorg in between
    /// shows only as its new blocks.
    fn read_on(&mut self, ctx: &Context, newest: u64) -> Result<Vec<Log>> {
        let head = ctx.head()?;
        if self.seen > head {
            (self.seen, self.within) = (head, 0);
        }
        let (mut found, mut budget) = (Vec::new(), Budget::new(&ctx.limits));
        let to = head.min(self.seen.saturating_add(ctx.limits.max_log_range));
        while self.seen < to {
            let logs = logs::of_block(ctx, &self.filter, self.seen + 1)?.unwrap_or_default();
            let rest = logs.get(self.within..).unwrap_or_default();
            let fit = budget.fit(rest);
            found.extend_from_slice(&rest[..fit]);
            if fit < rest.len() {
                self.within += fit;
                return Ok(found);
            }
            (self.seen, self.within) = (self.seen + 1, 0);
        }
        self.behind = self.seen < head.max(newest);
        Ok(found)
    }
}

pub(crate) fn register(module: &mut Module) -> Registered {
    quick(module, "eth_newFilter", |ctx, args| {
        let filter = args.req::<LogFilter>()?;
        filter.check()?;
        let events = ctx.chain.subscribe_blocks();
        let logs = Logs { filter, events, seen: ctx.head()?, within: 0, behind: false };
        ctx.filters.insert(ctx, Kind::Logs(Box::new(logs)))
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
        logs::get_logs(ctx, &ctx.filters.log_filter(ctx, args.req::<Quantity>()?.0)?)
    })?;
    quick(module, "eth_uninstallFilter", |ctx, args| {
        Ok(ctx.filters.filters.lock().remove(&args.req::<Quantity>()?.0).is_some())
    })
}
