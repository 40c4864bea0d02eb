//! Assembly: limits, namespaces, and one port for HTTP and WebSocket.

use crate::accounts::DevAccounts;
use crate::attest::AttestationDesk;
use crate::chain::{Chain, DevChain};
use crate::context::{Context, Module};
use crate::envelope::{self, HttpWords, Words};
use crate::filters::Filters;
use crate::http::{RestHandler, RestLayer};
use crate::ots::AddressIndex;
use crate::pubsub::HexIds;
use crate::zks::ZkChain;
use crate::{
    attest, debug, dev, eth, execute, fees, filters, logs, ots, pubsub, send, simulate, txpool, zks,
};
use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::server::middleware::rpc::RpcServiceBuilder;
use jsonrpsee::server::{BatchRequestConfig, PingConfig, Server, ServerConfig, ServerHandle};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tower_http::cors::CorsLayer;

/// Bounds on what clients may ask for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request body.
    pub max_request_body: u32,
    /// Bytes of a response body.
    pub max_response_body: u32,
    /// Calls in a batch.
    pub max_batch: u32,
    /// Open connections.
    pub max_connections: u32,
    /// Subscriptions of a connection.
    pub max_subscriptions: u32,
    /// Installed filters.
    pub max_filters: usize,
    /// A filter that nobody polls for this long is dropped.
    pub filter_timeout: Duration,
    /// Blocks that one log query covers.
    pub max_log_range: u64,
    /// Logs that one query returns.
    pub max_log_results: usize,
    /// Gas of a simulated call.
    pub call_gas_cap: u64,
    /// Entries of state (accounts and slots) that the calls of one `eth_simulateV1` hand to those after them, counted once for each call.
    pub max_handed_over: usize,
    /// Bytes of a raw transaction (with blobs).
    pub max_transaction_size: usize,
    /// Calls, traces and log queries that run at once.
    pub max_executions: u32,
    /// Longest that a method waits for the chain.
    pub max_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_request_body: 16 << 20,
            max_response_body: 64 << 20,
            max_batch: 1_000,
            max_connections: 1_024,
            max_subscriptions: 128,
            max_filters: 1_024,
            filter_timeout: Duration::from_secs(300),
            max_log_range: 100_000,
            max_log_results: 20_000,
            call_gas_cap: 50_000_000,
            max_handed_over: 4_000_000,
            max_transaction_size: 2 << 20,
            max_executions: 16,
            max_wait: Duration::from_secs(30),
        }
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be bound.
    #[error("cannot listen on {0}: {1}. Is the port in use? Choose another one")]
    Bind(SocketAddr, #[source] std::io::Error),
    /// Two methods of one name: a fault of the build.
    #[error("methods clash: {0}")]
    Methods(#[from] RegisterMethodError),
}

/// A server to be started.
pub struct RpcServer {
    chain: Arc<dyn Chain>,
    dev: Option<Arc<dyn DevChain>>,
    zk: Option<Arc<dyn ZkChain>>,
    attestations: Option<Arc<dyn AttestationDesk>>,
    accounts: DevAccounts,
    limits: Limits,
    rest: Vec<Arc<dyn RestHandler>>,
    index: Option<Arc<dyn AddressIndex>>,
    cors: bool,
}

impl RpcServer {
    /// Serves `chain` with default limits and without development methods.
    pub fn new(chain: Arc<dyn Chain>) -> Self {
        let (accounts, limits) = (DevAccounts::default(), Limits::default());
        Self {
            chain,
            dev: None,
            zk: None,
            attestations: None,
            accounts,
            limits,
            rest: Vec::new(),
            index: None,
            cors: false,
        }
    }

    /// Adds `anvil_ evm_ hardhat_`, the signing methods for these accounts, and answers browsers of any origin.
    #[must_use]
    pub fn with_dev(mut self, dev: Arc<dyn DevChain>, accounts: DevAccounts) -> Self {
        self.dev = Some(dev);
        self.accounts = accounts;
        self.cors = true;
        self
    }

    /// Adds `zks_`.
    #[must_use]
    pub fn with_zk(mut self, zk: Arc<dyn ZkChain>) -> Self {
        self.zk = Some(zk);
        self
    }

    /// Adds `cairn_`: witnesses for attesters, and their signatures.
    #[must_use]
    pub fn with_attestations(mut self, desk: Arc<dyn AttestationDesk>) -> Self {
        self.attestations = Some(desk);
        self
    }

    /// Other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Adds `GET` answers on the same port.
    #[must_use]
    pub fn with_rest(mut self, handler: Arc<dyn RestHandler>) -> Self {
        self.rest.push(handler);
        self
    }

    /// Answers `ots_searchTransactionsBefore` and `After` from this index.
    #[must_use]
    pub fn with_address_index(mut self, index: Arc<dyn AddressIndex>) -> Self {
        self.index = Some(index);
        self
    }

    /// Answers browsers of any origin, or of none.
    #[must_use]
    pub const fn with_cors(mut self, any_origin: bool) -> Self {
        self.cors = any_origin;
        self
    }

    fn config(&self) -> ServerConfig {
        let limits = &self.limits;
        ServerConfig::builder()
            .max_request_body_size(limits.max_request_body)
            .max_response_body_size(limits.max_response_body)
            .max_connections(limits.max_connections)
            .max_subscriptions_per_connection(limits.max_subscriptions)
            .set_batch_request_config(BatchRequestConfig::Limit(envelope::read_batch(limits)))
            .enable_ws_ping(PingConfig::new())
            .set_id_provider(HexIds)
            .set_tcp_no_delay(true)
            .build()
    }

    /// Starts to listen; port 0 takes a free one.
    pub async fn start(self, addr: SocketAddr) -> Result<RpcHandle, StartError> {
        let config = self.config();
        let cors = if self.cors { CorsLayer::very_permissive() } else { CorsLayer::new() };
        let rest = RestLayer(self.rest.clone().into());
        let words = HttpWords { max_request: self.limits.max_request_body };
        let http = tower::ServiceBuilder::new().layer(cors).layer(rest).layer(words);
        let limits = self.limits.clone();
        let module = self.module()?;
        let rpc = RpcServiceBuilder::new().layer(Words::new(module.method_names(), &limits));
        let server = Server::builder()
            .set_config(config)
            .set_http_middleware(http)
            .set_rpc_middleware(rpc)
            .build(addr)
            .await;
        let server = server.map_err(|e| StartError::Bind(addr, e))?;
        let local = server.local_addr().map_err(|e| StartError::Bind(addr, e))?;
        let methods = module.method_names().collect();
        Ok(RpcHandle { addr: local, methods, server: server.start(module) })
    }

    fn module(self) -> Result<Module, RegisterMethodError> {
        let (has_dev, has_zk) = (self.dev.is_some(), self.zk.is_some());
        let has_attestations = self.attestations.is_some();
        let context = Context {
            chain: self.chain,
            dev: self.dev,
            zk: self.zk,
            attestations: self.attestations,
            index: self.index,
            accounts: self.accounts,
            heavy: Arc::new(Semaphore::new(self.limits.max_executions as usize)),
            permits: self.limits.max_executions,
            limits: self.limits,
            filters: Filters::default(),
        };
        let mut module = RpcModule::new(context);
        for register in [
            eth::register,
            fees::register,
            execute::register,
            simulate::register,
            send::register,
            logs::register,
            filters::register,
            pubsub::register,
        ] {
            register(&mut module)?;
        }
        debug::register(&mut module)?;
        ots::register(&mut module)?;
        txpool::register(&mut module)?;
        if has_dev {
            dev::register(&mut module)?;
        }
        if has_zk {
            zks::register(&mut module)?;
        }
        if has_attestations {
            attest::register(&mut module)?;
        }
        Ok(module)
    }
}

/// A running server; it stops when this is dropped or told to.
#[derive(Debug)]
pub struct RpcHandle {
    addr: SocketAddr,
    methods: Vec<&'static str>,
    server: ServerHandle,
}

impl RpcHandle {
    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Names of the methods that it serves, in no order.
    pub fn methods(&self) -> &[&'static str] {
        &self.methods
    }

    /// `http://..` URL.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// `ws://..` URL.
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.addr)
    }

    /// Stops to listen; open calls end.
    pub fn stop(&self) {
        // An error means that it has stopped already.
        let _ = self.server.stop();
    }

    /// Ends when the server has stopped.
    pub async fn stopped(self) {
        self.server.stopped().await;
    }
}
