//! Cairn's block explorer and portal: pages that the node itself serves, the index behind them, and the bridge for a browser's wallet.
//!
//! | module | holds |
//! |---|---|
//! | [`source`] | where the index reads the chain from |
//! | [`index`] | transactions by address, transfers, tokens, contracts, deposits and withdrawals, in a redb file of their own |
//! | [`follow`] | keeps the index up with the chain and with L1 |
//! | [`decode`], [`trace`] | calls, events, failures and call trees in words |
//! | [`l1`] | looks at L1 |
//! | `api` | the HTTP server: pages, JSON, server-sent events, the portal |
//! | `listen` | bounds on connections |
//! | `assets/` | the pages: plain HTML, CSS and JavaScript modules, part of the binary |

mod api;
mod app;
pub mod decode;
pub mod error;
pub mod follow;
pub mod index;
pub mod l1;
mod listen;
pub mod source;
pub mod trace;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::B256;
use cairn_rpc::{Chain, DevAccounts, ZkChain};
use cairn_settlement::l1::L1;
use cairn_storage::Storage;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

pub use app::{BaseToken, NetworkInfo};
pub use error::{ExplorerError, Result};
pub use index::{Index, Savepoint};

use app::App;
use follow::{Follower, L1Contracts};
use source::NodeSource;

/// The index's file in the data directory.
pub const INDEX_FILE: &str = "explorer.redb";
/// Answers from the store that are worked on at once.
const WORKERS: usize = 16;
/// Traces and looks at tokens that run at once: they leave the machine to the sequencer.
const EXECUTIONS: usize = 2;
/// Open connections of browsers, those that listen for events included.
const CONNECTIONS: usize = 1_024;
/// Longest that a connection stays without reading or writing. Listeners hear something every 15 s.
const IDLE: Duration = Duration::from_secs(120);
/// Longest wait for L1 to say which verifier it has.
const L1_PATIENCE: Duration = Duration::from_secs(5);

/// What an explorer is started with.
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub addr: SocketAddr,
    /// What the pages say of the network.
    pub network: NetworkInfo,
    /// Accounts that the portal signs for, on a development node. Left aside unless `addr` is of this machine only.
    pub dev: Option<DevAccounts>,
}

/// The parts of a node that the explorer shows.
pub struct Node {
    /// Reads and executions.
    pub chain: Arc<dyn Chain>,
    /// Batches and proofs of messages.
    pub zk: Arc<dyn ZkChain>,
    /// The store.
    pub storage: Storage,
    /// The settlement layer.
    pub l1: L1,
}

/// Opens the index of a node's chain: the one in the folder, or a new one when that is of another chain or version.
///
/// # Errors
/// When the file cannot be made or read.
pub fn open_index(
    data_dir: &std::path::Path,
    chain: Arc<dyn Chain>,
    storage: &Storage,
) -> Result<Arc<Index>> {
    let path = data_dir.join(INDEX_FILE);
    let genesis = storage.block_hash(0)?.unwrap_or(B256::ZERO);
    let source = NodeSource { storage: storage.clone(), chain };
    let index = Index::open(&path, genesis)?;
    if follow::is_current(&index, &source)? {
        return Ok(Arc::new(index));
    }
    tracing::info!("the explorer's index is of other blocks: building it again");
    drop(index);
    std::fs::remove_file(&path).map_err(|e| ExplorerError::Io(path.clone(), e))?;
    Ok(Arc::new(Index::open(&path, genesis)?))
}

/// A running explorer; it stops when this is dropped.
#[derive(Debug)]
pub struct Explorer {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    server: Option<JoinHandle<()>>,
    _follower: Follower,
}

impl Explorer {
    /// Starts to follow the chain and to listen.
    ///
    /// # Errors
    /// [`ExplorerError::Bind`], or when the system gives no thread.
    pub async fn start(config: Config, node: Node, index: Arc<Index>) -> Result<Self> {
        let bind = |e| ExplorerError::Bind(config.addr, e);
        let listener = TcpListener::bind(config.addr).await.map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let source = NodeSource { storage: node.storage.clone(), chain: node.chain.clone() };
        let follower = Follower::start(index.clone(), Arc::new(source)).map_err(bind)?;
        let (stop, stopped) = watch::channel(false);
        let network = config.network;
        let contracts = L1Contracts {
            chain: network.chain.address,
            asset_router: network.ecosystem.asset_router,
            nullifier: network.ecosystem.nullifier,
            created_at: network.chain.created_at,
            chain_id: network.chain_id,
        };
        tokio::spawn(follow::follow_l1(index.clone(), node.l1.clone(), contracts, stopped.clone()));
        let asked = l1::verifier(&node.l1, network.chain.address);
        let verifier = match tokio::time::timeout(L1_PATIENCE, asked).await {
            Ok(Ok(verifier)) => verifier,
            _ => serde_json::json!({ "kind": "unknown" }),
        };
        let app = Arc::new(App {
            decoder: decode::Decoder::l2(),
            l1_decoder: l1::decoder(&network.ecosystem, &network.chain),
            chain: node.chain,
            zk: node.zk,
            storage: node.storage,
            index,
            network,
            l1: node.l1,
            dev: config.dev.filter(|_| addr.ip().is_loopback()),
            verifier,
            work: Arc::new(Semaphore::new(WORKERS)),
            executions: Arc::new(Semaphore::new(EXECUTIONS)),
            signing: tokio::sync::Mutex::new(()),
        });
        let live = api::Live::start(app.clone(), stopped);
        let router = api::router(app, live);
        let listener = listen::Bounded::new(listener, CONNECTIONS, IDLE);
        let server = tokio::spawn(async move {
            if let Err(e) = axum::serve(listener, router).await {
                tracing::error!(error = %e, "the explorer's server ended");
            }
        });
        Ok(Self { addr, stop, server: Some(server), _follower: follower })
    }

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for Explorer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(server) = self.server.take() {
            // Open event streams would keep it for ever.
            server.abort();
        }
    }
}
