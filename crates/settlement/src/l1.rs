//! A client of the layer that a chain settles on. It speaks plain JSON-RPC and nothing else, so that the embedded L1, anvil, geth and reth look the same.

use std::{future::Future, time::Duration};

use alloy_consensus::TxEnvelope;
use alloy_eips::{
    BlockId, BlockNumberOrTag, eip2718::Encodable2718, eip7594::BlobTransactionSidecarVariant,
};
use alloy_network::{EthereumWallet, NetworkTransactionBuilder, TransactionBuilder};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_provider::{DynProvider, Provider, ProviderBuilder};
use alloy_rpc_types::{Filter, Log, TransactionInput, TransactionReceipt, TransactionRequest};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolCall;
use alloy_transport::{RpcError, TransportErrorKind};
use thiserror::Error;
use tokio::{sync::Mutex, time::Instant};

use crate::revert::describe_revert;

/// Times that a read is tried again before the caller is told.
const READ_TRIES: u32 = 5;
/// Longest wait for one answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Fee rises over what an earlier run left in L1's pool.
const MAX_FEE_BUMPS: u32 = 8;
/// Wait for a transaction before its fees are compared with what L1 asks.
const LOOK_AFTER: Duration = Duration::from_secs(30);
/// Wait for a transaction whose fees are enough before they are raised all the same.
const RAISE_AFTER: Duration = Duration::from_secs(150);
/// Highest tip that is raised further, in wei for a unit of gas.
const MAX_TIP: u128 = 100_000_000_000;
/// How long the receipt of a used nonce is looked for.
const LAST_LOOK: Duration = Duration::from_secs(2);
/// Most gas of one transaction (EIP-7825).
pub const MAX_TX_GAS: u64 = 1 << 24;
/// Most logs that one query may bring.
pub const MAX_LOGS_PER_QUERY: usize = 20_000;

/// What goes wrong between us and L1.
#[derive(Debug, Error)]
pub enum L1Error {
    /// The URL cannot be parsed.
    #[error("`{0}` is not an HTTP URL of an L1 node")]
    Url(String),
    /// The node did not answer, or answered with an error that is not about our request.
    #[error("L1 at {url} does not answer ({reason}); is it running and reachable?")]
    Unreachable {
        /// URL of the node.
        url: String,
        /// What the transport said.
        reason: String,
    },
    /// The node answers, with something that cannot be true.
    #[error("L1 answered {what}: {detail}")]
    Nonsense {
        /// Which question.
        what: &'static str,
        /// What is wrong with the answer.
        detail: String,
    },
    /// Another chain than the configured one.
    #[error("L1 has chain id {found}, not {expected}: this node was set up for another L1")]
    WrongChain {
        /// From the configuration or the data directory.
        expected: u64,
        /// From the node.
        found: u64,
    },
    /// A call or transaction reverted.
    #[error("{what} reverted on L1: {reason}")]
    Reverted {
        /// Which action.
        what: String,
        /// Decoded reason.
        reason: String,
        /// Raw revert data.
        data: Bytes,
    },
    /// A transaction was sent and not mined in time, fee raises included.
    #[error("{what} was not mined on L1 within {seconds} s (last hash {hash})")]
    NotMined {
        /// Which action.
        what: String,
        /// How long was waited.
        seconds: u64,
        /// Hash of the last attempt.
        hash: B256,
    },
    /// The sender's account cannot pay.
    #[error("{address} has not enough ETH on L1 to pay for {what}: {reason}")]
    Unfunded {
        /// Who pays.
        address: Address,
        /// Which action.
        what: String,
        /// The node's words.
        reason: String,
    },
    /// Another kind of transaction of the same account waits in L1's pool: blobs and others exclude each other there.
    #[error("L1 does not take {what} yet: {reason}")]
    Barred {
        /// Which action.
        what: String,
        /// The node's words.
        reason: String,
    },
    /// A key or signature problem.
    #[error("cannot sign: {0}")]
    Sign(String),
}

impl L1Error {
    /// True when the same request may go through later.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::NotMined { .. }
                | Self::Nonsense { .. }
                | Self::Barred { .. }
        )
    }
}

/// A connection to L1.
#[derive(Debug, Clone)]
pub struct L1 {
    provider: DynProvider,
    url: String,
    chain_id: u64,
    timeout: Duration,
}

impl L1 {
    /// Connects and asks for the chain id.
    ///
    /// # Errors
    /// [`L1Error::Url`], [`L1Error::Unreachable`], or [`L1Error::WrongChain`] when `expected` is given and another chain answers.
    pub async fn connect(url: &str, expected: Option<u64>) -> Result<Self, L1Error> {
        let parsed = url.parse().map_err(|_| L1Error::Url(url.to_owned()))?;
        let provider =
            ProviderBuilder::new().disable_recommended_fillers().connect_http(parsed).erased();
        let timeout = CALL_TIMEOUT;
        let mut l1 = Self { provider, url: url.to_owned(), chain_id: 0, timeout };
        l1.chain_id = l1.read("eth_chainId", |p| async move { p.get_chain_id().await }).await?;
        match expected {
            Some(expected) if expected != l1.chain_id => {
                Err(L1Error::WrongChain { expected, found: l1.chain_id })
            }
            _ => Ok(l1),
        }
    }

    /// Waits no longer than this for one answer (20 s unless said otherwise).
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// EIP-155 chain id.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// URL of the node.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The provider itself, for what has no method here.
    pub fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// Asks with a time limit, again a bounded number of times while the node does not answer.
    pub async fn read<T, F, Fut>(&self, what: &'static str, ask: F) -> Result<T, L1Error>
    where
        F: Fn(DynProvider) -> Fut,
        Fut: Future<Output = Result<T, RpcError<TransportErrorKind>>>,
    {
        let mut wait = Duration::from_millis(100);
        let mut attempt = 1;
        loop {
            let error = match tokio::time::timeout(self.timeout, ask(self.provider.clone())).await {
                Ok(Ok(v)) => return Ok(v),
                Ok(Err(e)) => self.classify(what, e),
                Err(_) => self.unreachable("no answer in time"),
            };
            if attempt >= READ_TRIES || !matches!(error, L1Error::Unreachable { .. }) {
                return Err(error);
            }
            attempt += 1;
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }

    fn unreachable(&self, reason: impl ToString) -> L1Error {
        let shown = without_secrets(&self.url);
        let reason = reason.to_string().replace(self.url.trim_end_matches('/'), &shown);
        L1Error::Unreachable { url: shown, reason }
    }

    fn classify(&self, what: &'static str, error: RpcError<TransportErrorKind>) -> L1Error {
        match error {
            RpcError::ErrorResp(payload) => match payload.as_revert_data() {
                Some(data) => L1Error::Reverted {
                    what: what.to_owned(),
                    reason: describe_revert(&data),
                    data,
                },
                None if payload.message.contains("revert") => L1Error::Reverted {
                    what: what.to_owned(),
                    reason: payload.message.to_string(),
                    data: Bytes::new(),
                },
                None => L1Error::Nonsense { what, detail: payload.message.to_string() },
            },
            RpcError::DeserError { err, text } => {
                let head: String = text.chars().take(120).collect();
                L1Error::Nonsense { what, detail: format!("{err} in `{head}`") }
            }
            RpcError::NullResp => L1Error::Nonsense { what, detail: "null".to_owned() },
            other => self.unreachable(other),
        }
    }

    /// Number of the newest block.
    pub async fn block_number(&self) -> Result<u64, L1Error> {
        self.read("eth_blockNumber", |p| async move { p.get_block_number().await }).await
    }

    /// Hash and timestamp of a block; `None` when the node does not have it.
    pub async fn block(&self, id: BlockNumberOrTag) -> Result<Option<(u64, B256, u64)>, L1Error> {
        let block = self
            .read("eth_getBlockByNumber", move |p| async move { p.get_block_by_number(id).await })
            .await?;
        Ok(block.map(|b| (b.header.number, b.header.hash, b.header.timestamp)))
    }

    /// Calls a view function on the newest state.
    pub async fn call<C: SolCall>(&self, to: Address, call: C) -> Result<C::Return, L1Error> {
        self.call_in(to, call, BlockId::latest()).await
    }

    /// Calls a view function on the state after a block, so that several calls see one state.
    pub async fn call_at<C: SolCall>(
        &self,
        to: Address,
        call: C,
        block: u64,
    ) -> Result<C::Return, L1Error> {
        self.call_in(to, call, BlockId::number(block)).await
    }

    async fn call_in<C: SolCall>(
        &self,
        to: Address,
        call: C,
        block: BlockId,
    ) -> Result<C::Return, L1Error> {
        let out = self.call_raw(C::SIGNATURE, to, call.abi_encode().into(), block).await?;
        C::abi_decode_returns(&out).map_err(|e| L1Error::Nonsense {
            what: C::SIGNATURE,
            detail: format!("{e} (from {to})"),
        })
    }

    async fn call_raw(
        &self,
        what: &'static str,
        to: Address,
        data: Bytes,
        block: BlockId,
    ) -> Result<Bytes, L1Error> {
        let request = TransactionRequest::default().to(to).input(TransactionInput::both(data));
        self.read(what, |p| {
            let request = request.clone();
            async move { p.call(request).block(block).await }
        })
        .await
    }

    /// Logs of a contract in a range of blocks.
    pub async fn logs(
        &self,
        address: Address,
        topic: B256,
        from: u64,
        to: u64,
    ) -> Result<Vec<Log>, L1Error> {
        let filter =
            Filter::new().address(address).event_signature(topic).from_block(from).to_block(to);
        let logs = self
            .read("eth_getLogs", |p| {
                let filter = filter.clone();
                async move { p.get_logs(&filter).await }
            })
            .await?;
        if logs.len() > MAX_LOGS_PER_QUERY {
            let detail = format!("{} logs for blocks {from}..={to}", logs.len());
            return Err(L1Error::Nonsense { what: "eth_getLogs", detail });
        }
        match logs.iter().find(|l| l.address() != address || l.topic0() != Some(&topic)) {
            Some(_) => Err(L1Error::Nonsense {
                what: "eth_getLogs",
                detail: "a log that was not asked for".to_owned(),
            }),
            None => Ok(logs),
        }
    }

    /// Receipt of a mined transaction.
    pub async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, L1Error> {
        self.read("eth_getTransactionReceipt", move |p| async move {
            p.get_transaction_receipt(hash).await
        })
        .await
    }

    /// Balance in wei.
    pub async fn balance(&self, address: Address) -> Result<U256, L1Error> {
        self.read("eth_getBalance", move |p| async move { p.get_balance(address).await }).await
    }
}

/// A URL without what providers put their keys into: user, path and query.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

/// What to send.
#[derive(Debug, Clone, Default)]
pub struct Send {
    /// Words for errors and logs: "commit of batch 7".
    pub what: String,
    /// Callee; `None` deploys `data`.
    pub to: Option<Address>,
    /// Wei sent along.
    pub value: U256,
    /// Calldata or init code.
    pub data: Bytes,
    /// Blobs, for an EIP-4844 transaction.
    pub sidecar: Option<BlobTransactionSidecarVariant>,
    /// Gas limit; estimated when absent.
    pub gas: Option<u64>,
}

impl Send {
    /// A call of a contract.
    pub fn call<C: SolCall>(what: impl Into<String>, to: Address, call: C) -> Self {
        Self { what: what.into(), to: Some(to), data: call.abi_encode().into(), ..Self::default() }
    }

    /// With wei.
    pub fn value(mut self, value: U256) -> Self {
        self.value = value;
        self
    }
}

/// An account on L1 that sends transactions one after the other, with its own nonce and fees.
#[derive(Debug)]
pub struct L1Wallet {
    l1: L1,
    signer: PrivateKeySigner,
    /// Held while a transaction is being sent, so that nonces are taken in turn; in it what was last offered for which nonce.
    turn: Mutex<Option<Offer>>,
    /// Longest wait for a transaction, fee raises included.
    patience: Duration,
    /// Nobody else sends by this key: what waits in L1's pool was left by an earlier run.
    sole: bool,
}

impl L1Wallet {
    /// A wallet of `signer`.
    pub fn new(l1: L1, signer: PrivateKeySigner) -> Self {
        Self { l1, signer, turn: Mutex::default(), patience: Duration::from_secs(300), sole: false }
    }

    /// The only one that sends by its key. A transaction that an earlier run left in L1's pool is replaced by the next one: behind it nothing would be mined while
    /// its fee is too low.
    pub fn sole(self) -> Self {
        Self { sole: true, ..self }
    }

    /// Its address.
    pub fn address(&self) -> Address {
        self.signer.address()
    }

    /// The connection.
    pub fn l1(&self) -> &L1 {
        &self.l1
    }

    /// Sends, waits until it is mined, raises the fee when it is too low or that takes long.
    ///
    /// # Errors
    /// [`L1Error::Reverted`] from the estimate or from the mined transaction, [`L1Error::Unfunded`], [`L1Error::NotMined`], or what reading L1 gives.
    pub async fn send(&self, send: Send) -> Result<TransactionReceipt, L1Error> {
        let mut last = self.turn.lock().await;
        let mut request = self.prepare(&send).await?;
        if let Some(offer) = last.filter(|offer| Some(offer.nonce) == request.nonce) {
            offer.outbid(&mut request);
        }
        let started = Instant::now();
        let mut hashes = vec![self.submit_first(&send.what, &mut request).await?];
        *last = Some(Offer::of(&request));
        let mut offered = started;
        while started.elapsed() < self.patience {
            if let Some(receipt) = self.wait(&hashes, LOOK_AFTER).await? {
                return self.settled(&send, receipt).await;
            }
            let waited = offered.elapsed();
            if !may_raise(&request) || (waited < RAISE_AFTER && self.is_enough(&request).await) {
                continue;
            }
            raise_fees(&mut request);
            tracing::warn!(what = send.what, "not mined yet, raising its fee");
            match self.submit(&send.what, &request).await {
                Ok(hash) => {
                    hashes.push(hash);
                    (*last, offered) = (Some(Offer::of(&request)), Instant::now());
                }
                // An attempt was mined in between, or what an earlier run sent.
                Err(L1Error::Nonsense { detail, .. }) if detail.contains("nonce too low") => {
                    if let Some(receipt) = self.wait(&hashes, LAST_LOOK).await? {
                        return self.settled(&send, receipt).await;
                    }
                    break;
                }
                Err(e) => tracing::debug!(error = %e, "replacement refused"),
            }
        }
        Err(L1Error::NotMined {
            what: send.what,
            seconds: started.elapsed().as_secs(),
            hash: *hashes.last().unwrap_or(&B256::ZERO),
        })
    }

    /// Whether the offer covers what L1 asks now. Who does not know waits.
    async fn is_enough(&self, request: &TransactionRequest) -> bool {
        let latest =
            |p: DynProvider| async move { p.get_block_by_number(BlockNumberOrTag::Latest).await };
        let Ok(Some(head)) = self.l1.read("eth_getBlockByNumber", latest).await else {
            return true;
        };
        let base_fee = u128::from(head.header.base_fee_per_gas.unwrap_or_default());
        if request.max_fee_per_gas.is_some_and(|cap| cap < base_fee) {
            return false;
        }
        let Some(cap) = request.max_fee_per_blob_gas else { return true };
        let ask = |p: DynProvider| async move { p.get_blob_base_fee().await };
        self.l1.read("eth_blobBaseFee", ask).await.is_ok_and(|fee| cap >= fee)
    }

    async fn prepare(&self, send: &Send) -> Result<TransactionRequest, L1Error> {
        let (from, sole) = (self.address(), self.sole);
        let nonce = self
            .l1
            .read("eth_getTransactionCount", move |p| async move {
                let count = p.get_transaction_count(from);
                if sole { count.latest().await } else { count.pending().await }
            })
            .await?;
        let fees = self
            .l1
            .read("eth_feeHistory", |p| async move { p.estimate_eip1559_fees().await })
            .await?;
        let mut request = TransactionRequest::default()
            .with_from(from)
            .with_nonce(nonce)
            .with_chain_id(self.l1.chain_id)
            .with_value(send.value)
            .input(TransactionInput::both(send.data.clone()))
            .with_max_fee_per_gas(fees.max_fee_per_gas)
            .with_max_priority_fee_per_gas(fees.max_priority_fee_per_gas);
        request.to = Some(send.to.map_or(TxKind::Create, TxKind::Call));
        if let Some(sidecar) = &send.sidecar {
            request.sidecar = Some(sidecar.clone());
            request.populate_blob_hashes();
            let blob_fee = self
                .l1
                .read("eth_blobBaseFee", |p| async move { p.get_blob_base_fee().await })
                .await?;
            request.max_fee_per_blob_gas = Some((blob_fee * 2).max(1_000_000));
        }
        let gas = match send.gas {
            Some(gas) => gas,
            None => self.estimate(send, &request).await?,
        };
        Ok(request.with_gas_limit(gas))
    }

    async fn estimate(&self, send: &Send, request: &TransactionRequest) -> Result<u64, L1Error> {
        // Blobs themselves are not needed to estimate, their hashes are.
        let mut slim = request.clone();
        slim.sidecar = None;
        let gas = self
            .l1
            .read("eth_estimateGas", |p| {
                let slim = slim.clone();
                async move { p.estimate_gas(slim).await }
            })
            .await
            .map_err(|e| self.about(&send.what, e))?;
        Ok(with_margin(gas))
    }

    /// Puts our own words on an error of the node.
    fn about(&self, action: &str, error: L1Error) -> L1Error {
        match error {
            L1Error::Reverted { reason, data, .. } => {
                L1Error::Reverted { what: action.to_owned(), reason, data }
            }
            L1Error::Nonsense { detail, .. }
                if detail.to_lowercase().contains("insufficient funds") =>
            {
                L1Error::Unfunded {
                    address: self.address(),
                    what: action.to_owned(),
                    reason: detail,
                }
            }
            other => other,
        }
    }

    /// Submits, over what has the nonce already where that is an earlier run's.
    async fn submit_first(
        &self,
        what: &str,
        request: &mut TransactionRequest,
    ) -> Result<B256, L1Error> {
        for _ in 0..MAX_FEE_BUMPS {
            match self.submit(what, request).await {
                Err(L1Error::Nonsense { detail, .. })
                    if self.sole && detail.contains("underpriced") && may_raise(request) =>
                {
                    tracing::warn!(
                        what,
                        "another transaction waits with its nonce, raising the fee"
                    );
                    raise_fees(request);
                }
                other => return other,
            }
        }
        self.submit(what, request).await
    }

    async fn submit(&self, what: &str, request: &TransactionRequest) -> Result<B256, L1Error> {
        let wallet = EthereumWallet::from(self.signer.clone());
        let envelope: TxEnvelope =
            request.clone().build(&wallet).await.map_err(|e| L1Error::Sign(e.to_string()))?;
        let raw = envelope.encoded_2718();
        let hash = *envelope.tx_hash();
        let sent = self
            .l1
            .read("eth_sendRawTransaction", |p| {
                let raw = raw.clone();
                async move { p.send_raw_transaction(&raw).await.map(|pending| *pending.tx_hash()) }
            })
            .await;
        match sent {
            Ok(_) => Ok(hash),
            // A retry of a submission whose answer was lost.
            Err(L1Error::Nonsense { detail, .. })
                if detail.contains("already known") || detail.contains("already imported") =>
            {
                Ok(hash)
            }
            // Or it is mined already.
            Err(L1Error::Nonsense { detail, .. })
                if detail.contains("nonce too low")
                    && matches!(self.l1.receipt(hash).await, Ok(Some(_))) =>
            {
                Ok(hash)
            }
            Err(L1Error::Nonsense { detail, .. }) if detail.contains("already reserved") => {
                Err(L1Error::Barred { what: what.to_owned(), reason: detail })
            }
            Err(e) => Err(self.about(what, e)),
        }
    }

    async fn wait(
        &self,
        hashes: &[B256],
        limit: Duration,
    ) -> Result<Option<TransactionReceipt>, L1Error> {
        let until = Instant::now() + limit;
        let mut pause = Duration::from_millis(20);
        loop {
            for hash in hashes {
                match self.l1.receipt(*hash).await {
                    Ok(Some(receipt)) => return Ok(Some(receipt)),
                    Ok(None) => {}
                    // What was sent is on its way all the same.
                    Err(e) if e.is_transient() => tracing::warn!(error = %e, "no answer from L1"),
                    Err(e) => return Err(e),
                }
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    async fn settled(
        &self,
        send: &Send,
        receipt: TransactionReceipt,
    ) -> Result<TransactionReceipt, L1Error> {
        if receipt.status() {
            return Ok(receipt);
        }
        // Ask again as a call for the reason; the state may have moved on, so this is a best effort.
        let request = TransactionRequest::default()
            .with_from(self.address())
            .with_value(send.value)
            .input(TransactionInput::both(send.data.clone()));
        let request = match send.to {
            Some(to) => request.to(to),
            None => request,
        };
        let again = self
            .l1
            .read("eth_call", |p| {
                let request = request.clone();
                async move { p.call(request).await }
            })
            .await;
        match again {
            Err(L1Error::Reverted { reason, data, .. }) => {
                Err(L1Error::Reverted { what: send.what.clone(), reason, data })
            }
            _ => Err(L1Error::Reverted {
                what: send.what.clone(),
                reason: format!("transaction {} failed", receipt.transaction_hash),
                data: Bytes::new(),
            }),
        }
    }
}

/// A gas limit with room for what changes until the transaction is mined, within what L1 takes.
fn with_margin(estimate: u64) -> u64 {
    estimate.saturating_add(estimate / 4).min(MAX_TX_GAS.max(estimate))
}

/// What was offered for a nonce. Whatever is sent with that nonce again has to offer more.
#[derive(Debug, Clone, Copy)]
struct Offer {
    nonce: u64,
    max_fee: u128,
    tip: u128,
    blob_fee: u128,
}

impl Offer {
    fn of(request: &TransactionRequest) -> Self {
        Self {
            nonce: request.nonce.unwrap_or_default(),
            max_fee: request.max_fee_per_gas.unwrap_or_default(),
            tip: request.max_priority_fee_per_gas.unwrap_or_default(),
            blob_fee: request.max_fee_per_blob_gas.unwrap_or_default(),
        }
    }

    fn outbid(self, request: &mut TransactionRequest) {
        let mut raised = request.clone();
        raised.max_fee_per_gas = Some(self.max_fee);
        raised.max_priority_fee_per_gas = Some(self.tip);
        raised.max_fee_per_blob_gas = request.max_fee_per_blob_gas.map(|_| self.blob_fee);
        raise_fees(&mut raised);
        let higher = |a: Option<u128>, b: Option<u128>| a.max(b);
        request.max_fee_per_gas = higher(request.max_fee_per_gas, raised.max_fee_per_gas);
        request.max_priority_fee_per_gas =
            higher(request.max_priority_fee_per_gas, raised.max_priority_fee_per_gas);
        request.max_fee_per_blob_gas =
            higher(request.max_fee_per_blob_gas, raised.max_fee_per_blob_gas);
    }
}

/// The tip is paid, whatever the caps are: it does not rise without end.
fn may_raise(request: &TransactionRequest) -> bool {
    request.max_priority_fee_per_gas.is_none_or(|tip| tip < MAX_TIP)
}

/// Raises every fee field by a quarter (blob fees double, as nodes ask for a blob replacement).
fn raise_fees(request: &mut TransactionRequest) {
    let up = |v: u128| v.saturating_add(v / 4).saturating_add(1);
    if request.sidecar.is_some() {
        let double = |v: u128| v.saturating_mul(2);
        request.max_fee_per_blob_gas = request.max_fee_per_blob_gas.map(double);
        request.max_fee_per_gas = request.max_fee_per_gas.map(double);
        request.max_priority_fee_per_gas = request.max_priority_fee_per_gas.map(double);
    } else {
        request.max_fee_per_gas = request.max_fee_per_gas.map(up);
        request.max_priority_fee_per_gas = request.max_priority_fee_per_gas.map(up);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_providers_key_is_in_no_error() {
        for (url, shown) in [
            ("https://eth.example/v3/KEY", "https://eth.example"),
            ("https://user:KEY@eth.example:8545/", "https://eth.example:8545"),
            ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
            ("https://eth.example?apikey=KEY", "https://eth.example"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }

    #[tokio::test]
    async fn an_unreachable_provider_is_named_without_its_key() {
        let gone = L1::connect("http://127.0.0.1:9/v3/KEY", None).await.unwrap_err();
        assert!(matches!(gone, L1Error::Unreachable { .. }), "{gone}");
        assert!(!gone.to_string().contains("KEY"), "{gone}");
    }

    #[test]
    fn what_replaces_an_offer_is_more_than_it_in_every_field() {
        let fees = |cap, tip, blob| {
            let mut request = TransactionRequest::default().with_nonce(7);
            request.max_fee_per_gas = Some(cap);
            request.max_priority_fee_per_gas = Some(tip);
            request.max_fee_per_blob_gas = blob;
            request
        };
        let shown = |r: &TransactionRequest| {
            (r.max_fee_per_gas, r.max_priority_fee_per_gas, r.max_fee_per_blob_gas)
        };
        let last = Offer::of(&fees(1_000, 100, None));
        // L1 asks for more by now, but for the tip.
        let mut request = fees(9_000, 100, None);
        last.outbid(&mut request);
        assert_eq!(shown(&request), (Some(9_000), Some(126), None));
        let last = Offer::of(&fees(1_000, 100, Some(50)));
        let mut request = fees(1_500, 300, Some(60));
        request.sidecar = Some(BlobTransactionSidecarVariant::Eip7594(Default::default()));
        last.outbid(&mut request);
        assert_eq!(shown(&request), (Some(2_000), Some(300), Some(100)));
        assert!(may_raise(&request) && !may_raise(&fees(1, MAX_TIP, None)));
    }

    #[test]
    fn gas_limits_stay_within_the_cap_of_a_transaction() {
        assert_eq!(with_margin(100_000), 125_000);
        // A proof's verification: there is room.
        assert_eq!(with_margin(9_000_000), 11_250_000);
        assert_eq!(with_margin(15_000_000), MAX_TX_GAS);
        // An L1 without the cap knows what it says.
        assert_eq!(with_margin(20_000_000), 20_000_000);
    }
}
