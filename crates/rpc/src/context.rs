//! What every method handler sees, and how handlers are registered.

use crate::accounts::DevAccounts;
use crate::attest::AttestationDesk;
use crate::chain::{BlockRef, Chain, DevChain, NamedBlock};
use crate::error::{ChainError, Result};
use crate::filters::Filters;
use crate::ots::AddressIndex;
use crate::params::{Args, BlockArg};
use crate::server::Limits;
use crate::zks::ZkChain;
use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::types::ErrorObjectOwned;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Longest that a call waits for its turn: what waits holds its request, and nothing else bounds how many do.
const MAX_QUEUEING: Duration = Duration::from_secs(10);

/// Shared by all handlers.
pub(crate) struct Context {
    pub(crate) chain: Arc<dyn Chain>,
    pub(crate) dev: Option<Arc<dyn DevChain>>,
    pub(crate) zk: Option<Arc<dyn ZkChain>>,
    pub(crate) attestations: Option<Arc<dyn AttestationDesk>>,
    pub(crate) index: Option<Arc<dyn AddressIndex>>,
    pub(crate) accounts: DevAccounts,
    pub(crate) limits: Limits,
    pub(crate) filters: Filters,
    /// Bounds the executions that run at once.
    pub(crate) heavy: Arc<Semaphore>,
    /// How many there are.
    pub(crate) permits: u32,
}

pub(crate) type Module = RpcModule<Context>;
pub(crate) type Reply = Result<Box<RawValue>, ErrorObjectOwned>;
pub(crate) type Registered = Result<(), RegisterMethodError>;

impl Context {
    /// The block that the client means; `None` if there is none of that name.
    pub(crate) fn find(&self, arg: BlockArg) -> Result<Option<BlockRef>> {
        match (arg, arg.direct()) {
            (_, Some(block)) => Ok(Some(block)),
            (BlockArg::Named(name), None) => {
                Ok(self.chain.named_block(name)?.map(BlockRef::Number))
            }
            _ => Ok(None),
        }
    }

    /// The block that the client means, or `header not found`.
    pub(crate) fn resolve(&self, arg: BlockArg) -> Result<BlockRef> {
        self.find(arg)?.ok_or(ChainError::UnknownBlock)
    }

    /// Number of the head.
    pub(crate) fn head(&self) -> Result<u64> {
        self.chain.named_block(NamedBlock::Latest)?.ok_or(ChainError::UnknownBlock)
    }

    /// The number that a block argument stands for; pending is the head's next.
    pub(crate) fn number(&self, arg: BlockArg) -> Result<u64> {
        match self.resolve(arg)? {
            BlockRef::Number(n) => Ok(n),
            BlockRef::Pending => Ok(self.head()?.saturating_add(1)),
            block @ BlockRef::Hash(_) => {
                Ok(self.chain.block(block)?.ok_or(ChainError::UnknownBlock)?.header.number)
            }
        }
    }

    /// The development side, or -32601.
    pub(crate) fn dev(&self) -> Result<&Arc<dyn DevChain>> {
        self.dev.as_ref().ok_or_else(|| {
            ChainError::Unsupported("the development methods are off on this node".into())
        })
    }

    /// The attesters' side, or -32601.
    pub(crate) fn attestations(&self) -> Result<&Arc<dyn AttestationDesk>> {
        self.attestations
            .as_ref()
            .ok_or_else(|| ChainError::Unsupported("this node takes no attestations".into()))
    }

    /// The index of transactions by address, or -32601.
    pub(crate) fn index(&self) -> Result<&Arc<dyn AddressIndex>> {
        self.index.as_ref().ok_or_else(|| {
            ChainError::Unsupported("this node keeps no index of transactions by address".into())
        })
    }

    /// The rollup side, or -32601.
    pub(crate) fn zk(&self) -> Result<&Arc<dyn ZkChain>> {
        self.zk.as_ref().ok_or_else(|| {
            ChainError::Unsupported("the zks namespace is not served on this chain".into())
        })
    }
}

pub(crate) fn reply<T: Serialize>(result: Result<T>) -> Reply {
    let value = result?;
    to_raw_value(&value)
        .map_err(|e| ChainError::Internal(format!("cannot serialise the answer: {e}")).into())
}

/// A handler that answers at once, whatever the chain holds: it reads a bounded number of records.
pub(crate) fn quick<T, F>(module: &mut Module, name: &'static str, f: F) -> Registered
where
    T: Serialize,
    F: Fn(&Context, &mut Args<'_>) -> Result<T> + Clone + Send + Sync + 'static,
{
    module
        .register_async_method(name, move |params, ctx, _| {
            let f = f.clone();
            async move {
                // The calls of a batch follow one another in one task: now and then it lets others go on.
                tokio::task::coop::consume_budget().await;
                reply(f(&ctx, &mut Args::new(&params)))
            }
        })
        .map(|_| ())
}

/// A handler that executes code, reads whole blocks or waits for a lock: it runs off the network threads, a bounded number at once.
pub(crate) fn heavy<T, F>(module: &mut Module, name: &'static str, f: F) -> Registered
where
    T: Serialize,
    F: Fn(&Context, &mut Args<'_>) -> Result<T> + Clone + Send + Sync + 'static,
{
    weighted(module, name, 1, f)
}

/// As [`heavy`], taking several of the permits.
pub(crate) fn weighted<T, F>(
    module: &mut Module,
    name: &'static str,
    permits: u32,
    f: F,
) -> Registered
where
    T: Serialize,
    F: Fn(&Context, &mut Args<'_>) -> Result<T> + Clone + Send + Sync + 'static,
{
    module
        .register_async_method(name, move |params, ctx, _| {
            let f = f.clone();
            async move {
                let permits = permits.min(ctx.permits);
                let turn = Arc::clone(&ctx.heavy).acquire_many_owned(permits);
                let busy = |_| ChainError::LimitExceeded("the node is busy, try again".into());
                let permit = tokio::time::timeout(MAX_QUEUEING, turn).await.map_err(busy)?;
                let permit = permit.map_err(|_| internal("the server is stopping"))?;
                let ctx = Arc::clone(&ctx);
                let task = move || {
                    // Held to the end of the work, even if the client leaves before.
                    let _permit = permit;
                    reply(f(&ctx, &mut Args::new(&params)))
                };
                tokio::task::spawn_blocking(task)
                    .await
                    .unwrap_or_else(|e| Err(internal(&format!("the method failed: {e}"))))
            }
        })
        .map(|_| ())
}

pub(crate) fn internal(message: &str) -> ErrorObjectOwned {
    ChainError::Internal(message.into()).into()
}
