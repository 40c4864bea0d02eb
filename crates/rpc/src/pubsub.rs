//! `eth_subscribe` over WebSocket: `newHeads`, `logs`, `newPendingTransactions`, `syncing`.

use crate::chain::BlockEvent;
use crate::context::{Context, Module, Registered};
use crate::error::ChainError;
use crate::eth::BlockJson;
use crate::logs::LogFilter;
use crate::params::invalid;
use jsonrpsee::core::SubscriptionResult;
use jsonrpsee::core::server::{SubscriptionMessage, SubscriptionSink};
use jsonrpsee::core::traits::IdProvider;
use jsonrpsee::types::{ErrorObjectOwned, Params, SubscriptionId};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::to_raw_value;
use std::sync::Arc;
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// Most characters of an unknown topic that an answer repeats.
const MAX_TOPIC: usize = 64;

/// Subscription ids as Ethereum's clients expect them: `0x`-hex.
#[derive(Debug)]
pub(crate) struct HexIds;

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        let random = alloy_primitives::FixedBytes::<16>::random();
        SubscriptionId::Str(random.to_string().into())
    }
}

enum Topic {
    Heads,
    Logs(Box<LogFilter>),
    Pending { full: bool },
    Syncing,
}

fn parse(params: &Params<'_>) -> Result<Topic, ErrorObjectOwned> {
    let mut sequence = params.sequence();
    let kind: String =
        sequence.next().map_err(|_| invalid("expected subscription name as first argument"))?;
    Ok(match kind.as_str() {
        "newHeads" => Topic::Heads,
        "logs" => {
            let filter = sequence.optional_next::<LogFilter>()?.unwrap_or_default();
            filter.check()?;
            Topic::Logs(Box::new(filter))
        }
        "newPendingTransactions" => Topic::Pending {
            full: matches!(sequence.optional_next::<Value>()?, Some(Value::Bool(true))),
        },
        "syncing" => Topic::Syncing,
        other => {
            let other: String = other.chars().take(MAX_TOPIC).collect();
            let message = format!("no \"{other}\" subscription in eth namespace");
            return Err(ChainError::Unsupported(message).into());
        }
    })
}

async fn send<T: Serialize>(sink: &SubscriptionSink, value: &T) -> bool {
    let Ok(raw) = to_raw_value(value) else { return false };
    sink.send(SubscriptionMessage::from(raw)).await.is_ok()
}

/// The next event; skips what a slow subscriber missed, ends with the chain or the subscription.
async fn next<T: Clone>(events: &mut Receiver<T>, sink: &SubscriptionSink) -> Option<T> {
    loop {
        tokio::select! {
            () = sink.closed() => return None,
            event = events.recv() => match event {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(lost)) => tracing::warn!(lost, "a subscriber is too slow: events skipped"),
                Err(RecvError::Closed) => return None,
            },
        }
    }
}

async fn heads(ctx: &Context, sink: &SubscriptionSink, mut events: Receiver<Arc<BlockEvent>>) {
    let _ = ctx;
    while let Some(event) = next(&mut events, sink).await {
        if let BlockEvent::New { header, extra, .. } = &*event
            && !send(sink, &BlockJson { header, extra, transactions: None }).await
        {
            return;
        }
    }
}

async fn logs(filter: &LogFilter, sink: &SubscriptionSink, mut events: Receiver<Arc<BlockEvent>>) {
    while let Some(event) = next(&mut events, sink).await {
        let (BlockEvent::New { logs, .. } | BlockEvent::Removed { logs, .. }) = &*event;
        for log in logs.iter().filter(|log| filter.matches(log)) {
            if !send(sink, log).await {
                return;
            }
        }
    }
}

async fn pending(
    ctx: &Context,
    sink: &SubscriptionSink,
    full: bool,
    mut events: Receiver<alloy_primitives::TxHash>,
) {
    while let Some(hash) = next(&mut events, sink).await {
        let alive = match full.then(|| ctx.chain.transaction(hash)) {
            Some(Ok(Some(tx))) => send(sink, &tx).await,
            Some(_) => true,
            None => send(sink, &hash).await,
        };
        if !alive {
            return;
        }
    }
}

pub(crate) fn register(module: &mut Module) -> Registered {
    module
        .register_subscription(
            "eth_subscribe",
            "eth_subscription",
            "eth_unsubscribe",
            |params, pending_sink, ctx, _| async move {
                let topic = match parse(&params) {
                    Ok(topic) => topic,
                    Err(error) => {
                        pending_sink.reject(error).await;
                        return SubscriptionResult::Ok(());
                    }
                };
                // Subscribe before the client learns its id, so that nothing is missed in between.
                let (blocks, transactions) =
                    (ctx.chain.subscribe_blocks(), ctx.chain.subscribe_pending());
                let sink = pending_sink.accept().await?;
                match topic {
                    Topic::Heads => heads(&ctx, &sink, blocks).await,
                    Topic::Logs(filter) => logs(&filter, &sink, blocks).await,
                    Topic::Pending { full } => pending(&ctx, &sink, full, transactions).await,
                    Topic::Syncing => {
                        send(&sink, &false).await;
                        sink.closed().await;
                    }
                }
                Ok(())
            },
        )
        .map(|_| ())
}
