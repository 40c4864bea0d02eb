//! The development namespaces `anvil_`, `evm_`, `hardhat_`: one handler each, under every name that tools use for it.

use crate::chain::{BlockRef, MineRequest, ReorgTx};
use crate::context::{Context, Module, Registered, heavy};
use crate::error::{ChainError, Result};
use crate::execute::Request;
use crate::params::{Args, Quantity, Word};
use crate::send::{asynchronous, send_unsigned};
use crate::view::Hex;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types::TransactionRequest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// Most blocks that one call mines.
const MAX_MINE: u64 = 100_000;
/// Most transactions in one `anvil_reorg`.
const MAX_REORG_TXS: usize = 10_000;

/// Registers one handler under several names.
fn each<T, F>(m: &mut Module, names: &[&'static str], f: F) -> Registered
where
    T: Serialize,
    F: Fn(&Context, &mut Args<'_>) -> Result<T> + Clone + Send + Sync + 'static,
{
    names.iter().try_for_each(|name| heavy(m, name, f.clone()))
}

/// Registers an action. As their tools expect, `anvil_` names answer null and the others true.
fn act<F>(m: &mut Module, names: &[&'static str], f: F) -> Registered
where
    F: Fn(&Context, &mut Args<'_>) -> Result<()> + Clone + Send + Sync + 'static,
{
    names.iter().try_for_each(|name| {
        let (f, quiet) = (f.clone(), name.starts_with("anvil_"));
        heavy(m, name, move |ctx, args| f(ctx, args).map(|()| (!quiet).then_some(true)))
    })
}

/// `evm_mine`'s parameter: a timestamp or an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum MineOptions {
    Object { timestamp: Option<Quantity>, blocks: Option<Quantity> },
    Timestamp(Quantity),
}

fn mine(ctx: &Context, request: MineRequest) -> Result<()> {
    if request.blocks > MAX_MINE {
        return Err(ChainError::LimitExceeded(format!(
            "at most {MAX_MINE} blocks can be mined at once"
        )));
    }
    if request.blocks > 0 {
        ctx.dev()?.mine(request)?;
    }
    Ok(())
}

fn evm_mine(ctx: &Context, args: &mut Args<'_>) -> Result<&'static str> {
    let mut request = MineRequest { blocks: 1, interval: None, timestamp: None };
    match args.opt::<MineOptions>()? {
        Some(MineOptions::Timestamp(t)) => request.timestamp = Some(t.u64()?),
        Some(MineOptions::Object { timestamp, blocks }) => {
            request.timestamp = timestamp.map(Quantity::u64).transpose()?;
            request.blocks = blocks.map_or(Ok(1), Quantity::u64)?;
        }
        None => {}
    }
    mine(ctx, request)?;
    Ok("0x0")
}

fn register_mining(m: &mut Module) -> Registered {
    act(m, &["anvil_mine", "hardhat_mine"], |ctx, args| {
        let request = MineRequest {
            blocks: args.opt_u64()?.unwrap_or(1),
            interval: args.opt_u64()?,
            timestamp: None,
        };
        mine(ctx, request)
    })?;
    each(m, &["evm_mine"], evm_mine)?;
    each(m, &["anvil_getAutomine", "hardhat_getAutomine"], |ctx, _| ctx.dev()?.automine())?;
    act(m, &["anvil_setAutomine", "evm_setAutomine"], |ctx, args| {
        ctx.dev()?.set_automine(args.req()?)
    })?;
    act(m, &["anvil_setIntervalMining"], |ctx, args| {
        let seconds = args.u64()?;
        ctx.dev()?.set_interval_mining((seconds > 0).then(|| Duration::from_secs(seconds)))
    })?;
    // Hardhat's counts in milliseconds and takes a range: its lower end is used.
    act(m, &["evm_setIntervalMining"], |ctx, args| {
        let millis = match args.req::<Value>()? {
            Value::Array(range) => range.first().and_then(Value::as_u64),
            other => other.as_u64(),
        };
        let millis =
            millis.ok_or_else(|| ChainError::InvalidParams("expected milliseconds".into()))?;
        ctx.dev()?.set_interval_mining((millis > 0).then(|| Duration::from_millis(millis)))
    })?;
    each(m, &["anvil_getIntervalMining"], |ctx, _| {
        Ok(ctx.dev()?.interval_mining()?.map(|i| i.as_secs()))
    })
}

fn register_state(m: &mut Module) -> Registered {
    act(m, &["anvil_setBalance", "hardhat_setBalance", "evm_setAccountBalance"], |ctx, args| {
        ctx.dev()?.set_balance(args.req()?, args.req::<Quantity>()?.0)
    })?;
    act(m, &["anvil_addBalance", "hardhat_addBalance"], |ctx, args| {
        let (address, more) = (args.req::<Address>()?, args.req::<Quantity>()?.0);
        let state = ctx.chain.state(BlockRef::Number(ctx.head()?))?;
        let balance = state.basic_ref(address)?.map_or(U256::ZERO, |a| a.balance);
        ctx.dev()?.set_balance(address, balance.saturating_add(more))
    })?;
    act(m, &["anvil_setCode", "hardhat_setCode", "evm_setAccountCode"], |ctx, args| {
        ctx.dev()?.set_code(args.req()?, args.req()?)
    })?;
    act(m, &["anvil_setNonce", "hardhat_setNonce", "evm_setAccountNonce"], |ctx, args| {
        ctx.dev()?.set_nonce(args.req()?, args.u64()?)
    })?;
    each(
        m,
        &["anvil_setStorageAt", "hardhat_setStorageAt", "evm_setAccountStorageAt"],
        |ctx, args| {
            ctx.dev()?.set_storage_at(
                args.req()?,
                args.req::<Quantity>()?.0,
                args.req::<Word>()?.0,
            )?;
            Ok(true)
        },
    )?;
    each(m, &["anvil_dumpState", "hardhat_dumpState"], |ctx, _| ctx.dev()?.dump_state())?;
    each(m, &["anvil_loadState", "hardhat_loadState"], |ctx, args| {
        ctx.dev()?.load_state(args.req()?)
    })?;
    each(m, &["evm_snapshot", "anvil_snapshot"], |ctx, _| ctx.dev()?.snapshot())?;
    each(m, &["evm_revert", "anvil_revert"], |ctx, args| {
        ctx.dev()?.revert(args.req::<Quantity>()?.0)
    })
}

fn register_time(m: &mut Module) -> Registered {
    each(m, &["evm_increaseTime", "anvil_increaseTime"], |ctx, args| {
        ctx.dev()?.increase_time(Duration::from_secs(args.u64()?))
    })?;
    each(m, &["anvil_setTime", "evm_setTime"], |ctx, args| {
        // Hardhat's and anvil's callers pass seconds or, as JavaScript's clock gives them, milliseconds.
        let time = args.u64()?;
        ctx.dev()?.set_time(if time > 1_000_000_000_000 { time / 1000 } else { time })
    })?;
    each(m, &["evm_setNextBlockTimestamp", "anvil_setNextBlockTimestamp"], |ctx, args| {
        ctx.dev()?.set_next_block_timestamp(args.u64()?)
    })?;
    act(m, &["anvil_setBlockTimestampInterval"], |ctx, args| {
        ctx.dev()?.set_block_timestamp_interval(Some(args.u64()?)).map(|_| ())
    })?;
    each(m, &["anvil_removeBlockTimestampInterval"], |ctx, _| {
        ctx.dev()?.set_block_timestamp_interval(None)
    })
}

fn register_accounts(m: &mut Module) -> Registered {
    act(m, &["anvil_impersonateAccount", "hardhat_impersonateAccount"], |ctx, args| {
        ctx.dev()?.impersonate(args.req()?, true)
    })?;
    act(
        m,
        &["anvil_stopImpersonatingAccount", "hardhat_stopImpersonatingAccount"],
        |ctx, args| ctx.dev()?.impersonate(args.req()?, false),
    )?;
    act(m, &["anvil_autoImpersonateAccount", "hardhat_autoImpersonateAccount"], |ctx, args| {
        ctx.dev()?.auto_impersonate(args.req()?)
    })?;
    each(m, &["anvil_dropTransaction"], |ctx, args| ctx.dev()?.drop_transaction(args.req()?))?;
    each(m, &["hardhat_dropTransaction"], |ctx, args| {
        Ok(ctx.dev()?.drop_transaction(args.req()?)?.is_some())
    })?;
    act(m, &["anvil_dropAllTransactions", "hardhat_dropAllTransactions"], |ctx, _| {
        ctx.dev()?.drop_all_transactions()
    })?;
    act(m, &["anvil_removePoolTransactions"], |ctx, args| {
        ctx.dev()?.remove_pool_transactions(args.req()?)
    })?;
    asynchronous(m, "eth_sendUnsignedTransaction", |ctx, params| async move {
        let request = Args::new(&params).req::<Request>()?;
        send_unsigned(ctx, request).await
    })
}

fn register_block_settings(m: &mut Module) -> Registered {
    act(m, &["anvil_setCoinbase", "hardhat_setCoinbase"], |ctx, args| {
        ctx.dev()?.set_coinbase(args.req()?)
    })?;
    act(m, &["anvil_setMinGasPrice", "hardhat_setMinGasPrice"], |ctx, args| {
        ctx.dev()?.set_min_gas_price(args.u64()?.into())
    })?;
    act(
        m,
        &["anvil_setNextBlockBaseFeePerGas", "hardhat_setNextBlockBaseFeePerGas"],
        |ctx, args| ctx.dev()?.set_next_block_base_fee(args.u64()?.into()),
    )?;
    each(m, &["evm_setBlockGasLimit", "anvil_setBlockGasLimit"], |ctx, args| {
        ctx.dev()?.set_block_gas_limit(args.u64()?)?;
        Ok(true)
    })?;
    act(m, &["hardhat_setPrevRandao", "anvil_setPrevRandao"], |ctx, args| {
        ctx.dev()?.set_prevrandao(args.req::<Word>()?.0)
    })
}

/// `anvil_reorg`'s parameters, positional or named.
#[derive(Deserialize)]
struct ReorgOptions {
    depth: Quantity,
    #[serde(default)]
    tx_block_pairs: Vec<(ReorgData, u64)>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ReorgData {
    Raw(Bytes),
    Request(Box<TransactionRequest>),
}

impl From<ReorgData> for ReorgTx {
    fn from(data: ReorgData) -> Self {
        match data {
            ReorgData::Raw(raw) => Self::Raw(raw),
            ReorgData::Request(request) => Self::Request(request),
        }
    }
}

fn reorg(ctx: &Context, options: ReorgOptions) -> Result<()> {
    if options.tx_block_pairs.len() > MAX_REORG_TXS {
        return Err(ChainError::LimitExceeded(format!(
            "at most {MAX_REORG_TXS} transactions in a reorg"
        )));
    }
    let pairs = options.tx_block_pairs.into_iter().map(|(tx, block)| (tx.into(), block)).collect();
    ctx.dev()?.reorg(options.depth.u64()?, pairs)
}

fn register_chain(m: &mut Module) -> Registered {
    asynchronous(m, "anvil_reorg", |ctx, params| async move {
        let options =
            params.parse::<ReorgOptions>().map_err(|e| ChainError::InvalidParams(e.to_string()))?;
        tokio::task::spawn_blocking(move || reorg(&ctx, options))
            .await
            .map_err(|e| ChainError::Internal(e.to_string()))?
    })?;
    act(m, &["anvil_rollback"], |ctx, args| ctx.dev()?.rollback(args.opt_u64()?.unwrap_or(1)))?;
    each(m, &["anvil_nodeInfo", "hardhat_nodeInfo"], |ctx, _| ctx.dev()?.node_info())?;
    each(m, &["anvil_metadata", "hardhat_metadata"], |ctx, _| ctx.dev()?.metadata())?;
    act(m, &["anvil_setLoggingEnabled", "hardhat_setLoggingEnabled"], |ctx, _| {
        ctx.dev().map(|_| ())
    })?;
    each(m, &["anvil_getBlobsByTransactionHash"], |ctx, args| {
        ctx.dev()?.blobs_by_transaction(args.req()?)
    })?;
    each(m, &["anvil_getBlobByHash"], |ctx, args| ctx.dev()?.blob_by_hash(args.req::<B256>()?))?;
    each(m, &["anvil_getGenesisTime"], |ctx, _| {
        let genesis = ctx.chain.block(BlockRef::Number(0))?.ok_or(ChainError::UnknownBlock)?;
        Ok(Hex(genesis.header.timestamp))
    })
}

pub(crate) fn register(m: &mut Module) -> Registered {
    register_mining(m)?;
    register_state(m)?;
    register_time(m)?;
    register_accounts(m)?;
    register_block_settings(m)?;
    register_chain(m)
}
