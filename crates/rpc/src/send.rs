//! Methods that submit or sign: `eth_sendRawTransaction`, and with the node's own development keys `eth_sendTransaction`,
//! `eth_signTransaction`, `eth_sign`, `personal_sign`, `eth_signTypedData_v4`.

use crate::chain::{BlockRef, CallPurpose, NamedBlock};
use crate::context::{Context, Module, Registered, Reply, heavy, quick, reply};
use crate::error::{ChainError, PoolError, Result};
use crate::execute::{self, Request};
use crate::params::Args;
use crate::simulate::unsigned;
use crate::view::{Receipt, Transaction};
use alloy_consensus::TxEnvelope;
use alloy_eips::eip2718::Encodable2718;
use alloy_network::TxSignerSync;
use alloy_primitives::{Address, Bytes, TxHash, TxKind};
use alloy_rpc_types::TransactionRequest;
use alloy_serde::WithOtherFields;
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use serde::Serialize;
use serde_json::Value;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// How long `eth_sendRawTransactionSync` waits (EIP-7966's default).
const SYNC_TIMEOUT: Duration = Duration::from_secs(2);

/// An async handler.
pub(crate) fn asynchronous<T, F, Fut>(m: &mut Module, name: &'static str, f: F) -> Registered
where
    T: Serialize,
    F: Fn(Arc<Context>, jsonrpsee::types::Params<'static>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<T>> + Send + 'static,
{
    m.register_async_method(name, move |params, ctx, _| {
        let answer = f(ctx, params);
        async move { reply(answer.await) as Reply }
    })
    .map(|_| ())
}

/// The raw transaction of a call, within the size limit.
pub(crate) fn raw_argument(ctx: &Context, args: &mut Args<'_>) -> Result<Bytes> {
    let raw = args.req::<Bytes>()?;
    let limit = ctx.limits.max_transaction_size;
    if raw.len() > limit {
        return Err(PoolError::Oversized { size: raw.len(), limit }.into());
    }
    Ok(raw)
}

async fn send_sync(ctx: Arc<Context>, raw: Bytes, timeout: Duration) -> Result<Receipt> {
    let mut blocks = ctx.chain.subscribe_blocks();
    let hash = ctx.chain.submit(raw).await?;
    let wait = async {
        loop {
            if let Some(receipt) = ctx.chain.receipt(hash)? {
                return Ok(receipt);
            }
            if let Err(tokio::sync::broadcast::error::RecvError::Closed) = blocks.recv().await {
                return Err(ChainError::Internal("the chain stopped".into()));
            }
        }
    };
    let late = || {
        ChainError::Halted(format!(
            "the transaction {hash} was added to the mempool but was not mined in time"
        ))
    };
    tokio::time::timeout(timeout, wait).await.unwrap_or_else(|_| Err(late()))
}

/// Whose gas an estimate is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gas {
    /// The sender's, who cannot use more than they can pay.
    Own,
    /// An impersonated sender's: the chain knows who pays, if anybody.
    Lent,
}

/// Fills in what a request leaves open: chain id, nonce, fees, gas limit.
fn fill(ctx: &Context, request: Request, gas: Gas) -> Result<TransactionRequest> {
    let WithOtherFields { inner: mut tx, other } = request;
    tx.normalize_input();
    let chain_id = ctx.chain.chain_id();
    if *tx.chain_id.get_or_insert(chain_id) != chain_id {
        return Err(PoolError::InvalidChainId {
            have: tx.chain_id.unwrap_or_default(),
            want: chain_id,
        }
        .into());
    }
    let from = tx.from.ok_or_else(|| ChainError::InvalidParams("missing field `from`".into()))?;
    tx.to.get_or_insert(TxKind::Create);
    tx.value.get_or_insert_default();
    if tx.nonce.is_none() {
        tx.nonce = Some(ctx.chain.pending_nonce(from)?);
    }
    let fees = ctx.chain.fees()?;
    if tx.gas_price.is_none() {
        let tip = *tx.max_priority_fee_per_gas.get_or_insert(fees.suggested_tip);
        tx.max_fee_per_gas.get_or_insert(fees.next_base_fee.saturating_mul(2).saturating_add(tip));
    }
    if tx.sidecar.is_some() || tx.blob_versioned_hashes.is_some() {
        tx.max_fee_per_blob_gas.get_or_insert(fees.next_blob_base_fee.saturating_mul(2));
        tx.populate_blob_hashes();
    }
    if tx.gas.is_none() {
        let request = WithOtherFields { inner: tx.clone(), other };
        let mut call = execute::prepare(ctx, request, BlockRef::Pending, CallPurpose::Estimate);
        call.request.gas = None;
        // The pool checks it anyway, and better.
        call.request.nonce = None;
        if gas == Gas::Lent {
            call.request.gas_price = None;
            call.request.max_fee_per_gas = None;
            call.request.max_priority_fee_per_gas = None;
        }
        tx.gas = Some(execute::estimate(ctx, call)?);
    }
    Ok(tx)
}

fn signer(ctx: &Context, address: Address) -> Result<&PrivateKeySigner> {
    ctx.accounts.signer(address).ok_or_else(|| ChainError::Halted("unknown account".into()))
}

fn sign_request(ctx: &Context, tx: TransactionRequest) -> Result<TxEnvelope> {
    let signer = signer(ctx, tx.from.unwrap_or_default())?;
    let mut typed = tx.build_consensus_tx().map_err(|e| ChainError::InvalidParams(e.error))?;
    let signature = match &mut typed {
        alloy_consensus::TypedTransaction::Legacy(tx) => signer.sign_transaction_sync(tx),
        alloy_consensus::TypedTransaction::Eip2930(tx) => signer.sign_transaction_sync(tx),
        alloy_consensus::TypedTransaction::Eip1559(tx) => signer.sign_transaction_sync(tx),
        alloy_consensus::TypedTransaction::Eip4844(tx) => signer.sign_transaction_sync(tx),
        alloy_consensus::TypedTransaction::Eip7702(tx) => signer.sign_transaction_sync(tx),
    };
    let signature = signature.map_err(|e| ChainError::Internal(format!("cannot sign: {e}")))?;
    Ok(alloy_consensus::SignableTransaction::into_signed(typed, signature).into())
}

/// What `eth_sendTransaction` hands to the chain.
enum Ready {
    Signed(Bytes),
    Impersonated(Box<TransactionRequest>),
}

fn ready(ctx: &Context, request: Request) -> Result<Ready> {
    let from = match request.inner.from {
        Some(from) => from,
        None => *ctx
            .accounts
            .addresses()
            .first()
            .ok_or_else(|| ChainError::Halted("unknown account".into()))?,
    };
    let mut request = request;
    request.inner.from = Some(from);
    // A key that the node has signs better than anybody's word.
    let signer = signer(ctx, from).map(|_| ());
    let impersonated =
        signer.is_err() && ctx.dev.as_ref().is_some_and(|dev| dev.is_impersonated(from));
    if !impersonated {
        signer?;
    }
    let gas = if impersonated { Gas::Lent } else { Gas::Own };
    let filled = fill(ctx, request, gas)?;
    if impersonated {
        return Ok(Ready::Impersonated(Box::new(filled)));
    }
    Ok(Ready::Signed(sign_request(ctx, filled)?.encoded_2718().into()))
}

async fn send_transaction(ctx: Arc<Context>, request: Request) -> Result<TxHash> {
    let prepared = {
        let ctx = Arc::clone(&ctx);
        tokio::task::spawn_blocking(move || ready(&ctx, request)).await
    };
    match prepared.map_err(|e| ChainError::Internal(e.to_string()))?? {
        Ready::Signed(raw) => ctx.chain.submit(raw).await,
        Ready::Impersonated(request) => ctx.dev()?.submit_impersonated(*request).await,
    }
}

/// Sends as an impersonated account; what the request leaves open is filled in.
pub(crate) async fn send_unsigned(ctx: Arc<Context>, request: Request) -> Result<TxHash> {
    let dev = Arc::clone(ctx.dev()?);
    let from = request.inner.from.unwrap_or_default();
    if !dev.is_impersonated(from) {
        // The chain says why it does not take it.
        return dev.submit_impersonated(request.inner).await;
    }
    let filled = tokio::task::spawn_blocking(move || fill(&ctx, request, Gas::Lent)).await;
    let filled = filled.map_err(|e| ChainError::Internal(e.to_string()))??;
    dev.submit_impersonated(filled).await
}

/// Answer of `eth_signTransaction` and `eth_fillTransaction`.
#[derive(Serialize)]
struct Signed {
    raw: Bytes,
    tx: Transaction,
}

/// The type of zkSync's own transactions (EIP-712).
const EIP712_TX_TYPE: u8 = 0x71;

/// As geth's: the complete transaction, unsigned.
fn fill_transaction(ctx: &Context, args: &mut Args<'_>) -> Result<Signed> {
    let mut request = args.req::<Request>()?;
    let is_eip712 = request.inner.transaction_type == Some(EIP712_TX_TYPE);
    if is_eip712 || request.other.contains_key("eip712Meta") {
        // -32601 is how clients learn to fill it in themselves.
        let why = "eth_fillTransaction is not available for transactions of type 0x71";
        return Err(ChainError::Unsupported(why.into()));
    }
    let from = *request.inner.from.get_or_insert_default();
    let envelope = unsigned(fill(ctx, request, Gas::Own)?)?;
    Ok(Signed {
        raw: envelope.encoded_2718().into(),
        tx: Transaction::from_envelope(&envelope, from, None, None),
    })
}

fn sign_transaction(ctx: &Context, args: &mut Args<'_>) -> Result<Signed> {
    let tx = fill(ctx, args.req()?, Gas::Own)?;
    let from = tx.from.unwrap_or_default();
    let envelope = sign_request(ctx, tx)?;
    Ok(Signed {
        raw: envelope.encoded_2718().into(),
        tx: Transaction::from_envelope(&envelope, from, None, None),
    })
}

fn sign_message(ctx: &Context, address: Address, message: &Bytes) -> Result<Bytes> {
    let signature = signer(ctx, address)?.sign_message_sync(message);
    signature.map(|s| s.as_bytes().into()).map_err(|e| ChainError::Internal(e.to_string()))
}

fn sign_typed_data(ctx: &Context, args: &mut Args<'_>) -> Result<Bytes> {
    let (address, data) = (args.req::<Address>()?, args.req::<Value>()?);
    let parsed = match data {
        Value::String(text) => serde_json::from_str(&text),
        other => serde_json::from_value(other),
    };
    let typed: alloy_dyn_abi::TypedData =
        parsed.map_err(|e| ChainError::InvalidParams(format!("typed data: {e}")))?;
    let signature = signer(ctx, address)?.sign_dynamic_typed_data_sync(&typed);
    signature
        .map(|s| s.as_bytes().into())
        .map_err(|e| ChainError::InvalidParams(format!("typed data: {e}")))
}

fn register_accounts(m: &mut Module) -> Registered {
    quick(m, "eth_accounts", |ctx, _| Ok(ctx.accounts.addresses()))?;
    quick(m, "eth_requestAccounts", |ctx, _| Ok(ctx.accounts.addresses()))?;
    quick(m, "personal_listAccounts", |ctx, _| Ok(ctx.accounts.addresses()))?;
    heavy(m, "eth_coinbase", |ctx, _| {
        let head = ctx.chain.named_block(NamedBlock::Latest)?.unwrap_or_default();
        Ok(ctx.chain.block(BlockRef::Number(head))?.map_or(Address::ZERO, |b| b.header.beneficiary))
    })?;
    heavy(m, "eth_signTransaction", sign_transaction)?;
    heavy(m, "eth_fillTransaction", fill_transaction)?;
    quick(m, "eth_sign", |ctx, args| {
        let (address, message) = (args.req()?, args.req::<Bytes>()?);
        sign_message(ctx, address, &message)
    })?;
    quick(m, "personal_sign", |ctx, args| {
        let (message, address) = (args.req::<Bytes>()?, args.req()?);
        sign_message(ctx, address, &message)
    })?;
    heavy(m, "eth_signTypedData_v4", sign_typed_data)?;
    heavy(m, "eth_signTypedData", sign_typed_data)
}

pub(crate) fn register(m: &mut Module) -> Registered {
    asynchronous(m, "eth_sendRawTransaction", |ctx, params| async move {
        let raw = raw_argument(&ctx, &mut Args::new(&params))?;
        ctx.chain.submit(raw).await
    })?;
    asynchronous(m, "eth_sendRawTransactionSync", |ctx, params| async move {
        let (raw, timeout) = {
            let mut args = Args::new(&params);
            (raw_argument(&ctx, &mut args)?, args.opt_u64()?)
        };
        let timeout = timeout.map_or(SYNC_TIMEOUT, Duration::from_millis).min(ctx.limits.max_wait);
        send_sync(ctx, raw, timeout).await
    })?;
    asynchronous(m, "eth_sendTransaction", |ctx, params| async move {
        let request = Args::new(&params).req::<Request>()?;
        send_transaction(ctx, request).await
    })?;
    register_accounts(m)
}
