//! The embedded L1 for development: plain Ethereum rules at the newest mainnet hardfork (Osaka with BPO2's blob parameters) on
//! revm, behind Cairn's JSON-RPC server.
//!
//! Every block is durable before it is visible: `kill -9` at any moment loses nothing that a client has seen in a block. The state is
//! a persistent Merkle-Patricia trie, so that the last [`L1Config::history`] blocks keep theirs for calls, traces, proofs and reorgs.

mod beacon;
mod block;
mod build;
mod chain;
mod clock;
mod config;
mod core;
mod dev;
mod evm;
mod genesis;
mod miner;
mod pool;
mod state;
mod store;
mod submit;
mod trie;

pub use config::{DEV_BALANCE, L1Config, L1Error};
pub use store::DATABASE_FILE;

use crate::chain::Node;
use crate::core::Core;
use cairn_rpc::{Chain, DevAccounts, DevChain, Limits, RpcHandle, RpcServer};
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

/// A running embedded L1. It stops when dropped.
pub struct L1Dev {
    node: Node,
    miner: Option<JoinHandle<()>>,
}

impl L1Dev {
    /// Opens the chain in the data directory where it stopped, or makes a new one, and starts mining.
    pub fn open(config: L1Config) -> Result<Self, L1Error> {
        let (sender, commands) = mpsc::channel();
        let core = Arc::new(Core::open(config, sender)?);
        let miner = miner::start(&core, commands)?;
        Ok(Self { node: Node(core), miner: Some(miner) })
    }

    /// Serves JSON-RPC over HTTP and WebSocket, and the blobs of the beacon API, on `addr`; port 0 takes a free one.
    pub async fn serve(&self, addr: SocketAddr) -> Result<RpcHandle, L1Error> {
        self.serve_with(addr, Limits::default()).await
    }

    /// As [`Self::serve`], with other limits.
    pub async fn serve_with(&self, addr: SocketAddr, limits: Limits) -> Result<RpcHandle, L1Error> {
        let node = Arc::new(self.node.clone());
        let server = RpcServer::new(Arc::clone(&node) as Arc<dyn Chain>)
            .with_dev(Arc::clone(&node) as Arc<dyn DevChain>, self.accounts().clone())
            .with_rest(node)
            .with_limits(limits);
        Ok(server.start(addr).await?)
    }

    /// The chain, for use in this process.
    pub fn chain(&self) -> Arc<dyn Chain> {
        Arc::new(self.node.clone())
    }

    /// The development methods, for use in this process.
    pub fn dev(&self) -> Arc<dyn DevChain> {
        Arc::new(self.node.clone())
    }

    /// The accounts that are funded at genesis and whose keys the node holds.
    pub fn accounts(&self) -> &DevAccounts {
        &self.node.0.accounts
    }
}

impl Drop for L1Dev {
    fn drop(&mut self) {
        // An error means that the miner has stopped already.
        let _ = self.node.0.miner.send(miner::Command::Stop);
        if let Some(miner) = self.miner.take() {
            let _ = miner.join();
        }
    }
}
