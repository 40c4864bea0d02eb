//! The reading methods of `eth_`, and `net_`, `web3_`.

use crate::chain::BlockRef;
use crate::context::{Context, Module, Registered, heavy, quick};
use crate::error::{ChainError, Result};
use crate::params::{Args, BlockArg, Quantity, Word};
use crate::view::{Block, Extra, Hex, Receipt, Transaction};
use alloy_eips::eip7910::EthConfig;
use alloy_primitives::{Address, B256, Bytes, TxHash, U256, keccak256};
use alloy_rpc_types::Header;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// The transactions of a shown block.
pub(crate) enum Bodies {
    Hashes(Vec<TxHash>),
    Full(Vec<Transaction>),
}

/// A block (or, without `transactions`, a header) as JSON.
pub(crate) struct BlockJson<'a> {
    pub(crate) header: &'a Header,
    pub(crate) extra: &'a Extra,
    pub(crate) transactions: Option<&'a Bodies>,
}

/// `Serialize` of a `Header` into a map that goes on.
#[derive(Serialize)]
struct Flat<'a> {
    #[serde(flatten)]
    header: &'a Header,
    #[serde(flatten)]
    rest: Rest<'a>,
}

struct Rest<'a>(&'a BlockJson<'a>);

impl Serialize for Rest<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut m = s.serialize_map(None)?;
        if let Some(bodies) = self.0.transactions {
            match bodies {
                Bodies::Hashes(hashes) => m.serialize_entry("transactions", hashes)?,
                Bodies::Full(transactions) => m.serialize_entry("transactions", transactions)?,
            }
            m.serialize_entry("uncles", &[(); 0])?;
            if self.0.header.withdrawals_root.is_some() {
                m.serialize_entry("withdrawals", &[(); 0])?;
            }
        }
        for (key, value) in self.0.extra {
            m.serialize_entry(key, value)?;
        }
        m.end()
    }
}

impl Serialize for BlockJson<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        Flat { header: self.header, rest: Rest(self) }.serialize(s)
    }
}

/// A block that owns what it shows.
struct OwnedBlock {
    block: std::sync::Arc<Block>,
    bodies: Bodies,
    /// It is not built yet.
    pending: bool,
}

impl Serialize for OwnedBlock {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let block = BlockJson {
            header: &self.block.header,
            extra: &self.block.extra,
            transactions: Some(&self.bodies),
        };
        if !self.pending {
            return block.serialize(s);
        }
        // As geth: what only a finished block has is null.
        let mut value = serde_json::to_value(block).map_err(serde::ser::Error::custom)?;
        for field in ["hash", "nonce", "miner"] {
            value[field] = Value::Null;
        }
        value.serialize(s)
    }
}

fn get_block(ctx: &Context, block: Option<BlockRef>, full: bool) -> Result<Option<OwnedBlock>> {
    let Some(at) = block else { return Ok(None) };
    let Some(block) = ctx.chain.block(at)? else { return Ok(None) };
    let bodies = if full {
        Bodies::Full(ctx.chain.transactions(at)?.unwrap_or_default())
    } else {
        Bodies::Hashes(block.transactions.clone())
    };
    Ok(Some(OwnedBlock { block, bodies, pending: at == BlockRef::Pending }))
}

fn hash_arg(args: &mut Args<'_>) -> Result<Option<BlockRef>> {
    Ok(Some(BlockRef::Hash(args.req::<B256>()?)))
}

fn number_arg(ctx: &Context, args: &mut Args<'_>) -> Result<Option<BlockRef>> {
    let arg = args.req::<BlockArg>()?;
    ctx.find(arg)
}

fn tx_count(ctx: &Context, at: Option<BlockRef>) -> Result<Option<Hex<u64>>> {
    let Some(at) = at else { return Ok(None) };
    Ok(ctx.chain.block(at)?.map(|b| Hex(b.transactions.len() as u64)))
}

fn hash_at(ctx: &Context, at: Option<BlockRef>, index: u64) -> Result<Option<TxHash>> {
    let (Some(at), Ok(index)) = (at, usize::try_from(index)) else { return Ok(None) };
    Ok(ctx.chain.block(at)?.and_then(|block| block.transactions.get(index).copied()))
}

fn tx_at(ctx: &Context, at: Option<BlockRef>, index: u64) -> Result<Option<Transaction>> {
    let hash = hash_at(ctx, at, index)?;
    hash.map_or(Ok(None), |hash| ctx.chain.transaction(hash))
}

fn raw_tx_at(ctx: &Context, at: Option<BlockRef>, index: u64) -> Result<Option<Bytes>> {
    let hash = hash_at(ctx, at, index)?;
    hash.map_or(Ok(None), |hash| ctx.chain.raw_transaction(hash))
}

fn no_uncles(ctx: &Context, at: Option<BlockRef>) -> Result<Option<Hex<u64>>> {
    let Some(at) = at else { return Ok(None) };
    Ok(ctx.chain.block(at)?.map(|_| Hex(0)))
}

fn block_receipts(ctx: &Context, args: &mut Args<'_>) -> Result<Option<Vec<Receipt>>> {
    let arg = args.req::<BlockArg>()?;
    let Some(at) = ctx.find(arg)? else { return Ok(None) };
    ctx.chain.receipts(at)
}

fn nonce(ctx: &Context, address: Address, at: BlockArg) -> Result<Hex<u64>> {
    if at == BlockArg::Pending {
        return ctx.chain.pending_nonce(address).map(Hex);
    }
    let account = ctx.chain.state(ctx.resolve(at)?)?.basic_ref(address)?;
    Ok(Hex(account.map_or(0, |a| a.nonce)))
}

fn code(ctx: &Context, address: Address, at: BlockArg) -> Result<Bytes> {
    let state = ctx.chain.state(ctx.resolve(at)?)?;
    let Some(account) = state.basic_ref(address)? else { return Ok(Bytes::new()) };
    if account.is_empty_code_hash() {
        return Ok(Bytes::new());
    }
    let code = match account.code {
        Some(code) => code,
        None => state.code_by_hash_ref(account.code_hash)?,
    };
    Ok(code.original_bytes())
}

fn proof(
    ctx: &Context,
    args: &mut Args<'_>,
) -> Result<alloy_rpc_types::EIP1186AccountProofResponse> {
    let (address, keys) = (args.req::<Address>()?, args.req::<Vec<Word>>()?);
    let at = args.block()?;
    if keys.len() > 1024 {
        return Err(ChainError::LimitExceeded("too many storage keys: the limit is 1024".into()));
    }
    ctx.chain.proof(address, keys.into_iter().map(|k| k.0).collect(), ctx.resolve(at)?)
}

fn register_blocks(m: &mut Module) -> Registered {
    quick(m, "eth_blockNumber", |ctx, _| ctx.head().map(Hex))?;
    heavy(m, "eth_getBlockByNumber", |ctx, args| {
        let at = number_arg(ctx, args)?;
        get_block(ctx, at, args.opt()?.unwrap_or(false))
    })?;
    heavy(m, "eth_getBlockByHash", |ctx, args| {
        get_block(ctx, hash_arg(args)?, args.opt()?.unwrap_or(false))
    })?;
    heavy(m, "eth_getBlockTransactionCountByNumber", |ctx, args| {
        tx_count(ctx, number_arg(ctx, args)?)
    })?;
    heavy(m, "eth_getBlockTransactionCountByHash", |ctx, args| tx_count(ctx, hash_arg(args)?))?;
    heavy(m, "eth_getUncleCountByBlockNumber", |ctx, args| no_uncles(ctx, number_arg(ctx, args)?))?;
    heavy(m, "eth_getUncleCountByBlockHash", |ctx, args| no_uncles(ctx, hash_arg(args)?))?;
    quick(m, "eth_getUncleByBlockNumberAndIndex", |_, _| Ok(Value::Null))?;
    quick(m, "eth_getUncleByBlockHashAndIndex", |_, _| Ok(Value::Null))?;
    heavy(m, "eth_getBlockReceipts", block_receipts)
}

fn register_transactions(m: &mut Module) -> Registered {
    quick(m, "eth_getTransactionByHash", |ctx, args| ctx.chain.transaction(args.req()?))?;
    quick(m, "eth_getRawTransactionByHash", |ctx, args| ctx.chain.raw_transaction(args.req()?))?;
    quick(m, "eth_getTransactionReceipt", |ctx, args| ctx.chain.receipt(args.req()?))?;
    heavy(m, "eth_getTransactionByBlockNumberAndIndex", |ctx, args| {
        tx_at(ctx, number_arg(ctx, args)?, args.u64()?)
    })?;
    heavy(m, "eth_getTransactionByBlockHashAndIndex", |ctx, args| {
        tx_at(ctx, hash_arg(args)?, args.u64()?)
    })?;
    heavy(m, "eth_getRawTransactionByBlockNumberAndIndex", |ctx, args| {
        raw_tx_at(ctx, number_arg(ctx, args)?, args.u64()?)
    })?;
    heavy(m, "eth_getRawTransactionByBlockHashAndIndex", |ctx, args| {
        raw_tx_at(ctx, hash_arg(args)?, args.u64()?)
    })
}

fn register_state(m: &mut Module) -> Registered {
    quick(m, "eth_getBalance", |ctx, args| {
        let (address, at) = (args.req::<Address>()?, args.block()?);
        let account = ctx.chain.state(ctx.resolve(at)?)?.basic_ref(address)?;
        Ok(account.map_or(U256::ZERO, |a| a.balance))
    })?;
    quick(m, "eth_getTransactionCount", |ctx, args| nonce(ctx, args.req()?, args.block()?))?;
    quick(m, "eth_getCode", |ctx, args| code(ctx, args.req()?, args.block()?))?;
    quick(m, "eth_getStorageAt", |ctx, args| {
        let (address, slot, at) = (args.req::<Address>()?, args.req::<Quantity>()?, args.block()?);
        let value = ctx.chain.state(ctx.resolve(at)?)?.storage_ref(address, slot.0)?;
        Ok(B256::from(value))
    })?;
    heavy(m, "eth_getProof", proof)
}

fn register_node(m: &mut Module) -> Registered {
    quick(m, "eth_chainId", |ctx, _| Ok(Hex(ctx.chain.chain_id())))?;
    quick(m, "eth_config", |ctx, _| {
        Ok(EthConfig { current: ctx.chain.fork()?, next: None, last: None })
    })?;
    quick(m, "eth_protocolVersion", |_, _| Ok("0x44"))?;
    quick(m, "eth_syncing", |_, _| Ok(false))?;
    quick(m, "eth_mining", |_, _| Ok(false))?;
    quick(m, "eth_hashrate", |_, _| Ok("0x0"))?;
    quick(m, "net_version", |ctx, _| Ok(ctx.chain.chain_id().to_string()))?;
    quick(m, "net_listening", |_, _| Ok(true))?;
    quick(m, "net_peerCount", |_, _| Ok("0x0"))?;
    quick(m, "web3_clientVersion", |ctx, _| Ok(ctx.chain.client_version()))?;
    quick(m, "web3_sha3", |_, args| Ok(keccak256(args.req::<Bytes>()?)))?;
    quick(m, "rpc_modules", |ctx, _| {
        let mut modules = json!({"eth": "1.0", "net": "1.0", "web3": "1.0", "debug": "1.0", "txpool": "1.0", "rpc": "1.0"});
        let extra = [
            ("zks", ctx.zk.is_some()),
            ("anvil", ctx.dev.is_some()),
            ("evm", ctx.dev.is_some()),
            ("hardhat", ctx.dev.is_some()),
        ];
        for (name, _) in extra.into_iter().filter(|(_, on)| *on) {
            modules[name] = "1.0".into();
        }
        Ok(modules)
    })
}

pub(crate) fn register(m: &mut Module) -> Registered {
    register_node(m)?;
    register_blocks(m)?;
    register_transactions(m)?;
    register_state(m)
}
