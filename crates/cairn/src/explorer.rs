//! The explorer's place in a node.

use std::{net::IpAddr, sync::Arc};

use cairn_explorer::{BaseToken, Config, Explorer, Index, NetworkInfo, Node, open_index};
use cairn_rpc::{Chain, DevAccounts, ZkChain};
use cairn_sequencer::{L2Rpc, Sequencer};
use cairn_settlement::l1::L1;

use crate::{confirmations, keys::DevKeys, network::Network, node::NodeConfig, node::NodeError};

/// The index of transactions by address, where the node runs an explorer.
///
/// # Errors
/// When its file cannot be made.
pub fn index(
    config: &NodeConfig,
    chain: &L2Rpc,
    sequencer: &Sequencer,
) -> Result<Option<Arc<Index>>, NodeError> {
    if config.explorer_addr.is_none() {
        return Ok(None);
    }
    let chain: Arc<dyn Chain> = Arc::new(chain.clone());
    Ok(Some(open_index(&config.data_dir.join("l2"), chain, sequencer.storage())?))
}

/// What is started besides the node's own parts.
pub struct Parts<'a> {
    /// The node's settings.
    pub config: &'a NodeConfig,
    /// Keys of the development accounts.
    pub keys: &'a DevKeys,
    /// The network's contracts.
    pub network: &'a Network,
    /// URL of the rollup's JSON-RPC.
    pub l2_url: String,
    /// L1.
    pub l1: L1,
}

/// Starts the explorer, where the node runs one.
///
/// # Errors
/// When its port is taken.
pub async fn start(
    parts: Parts<'_>,
    chain: Arc<L2Rpc>,
    index: Option<Arc<Index>>,
) -> Result<Option<Explorer>, NodeError> {
    let (Some(addr), Some(index)) = (parts.config.explorer_addr, index) else { return Ok(None) };
    let network = parts.network;
    // Another L1's URL may hold a provider's key, and wallets know such an L1.
    let near = confirmations::is_development(parts.config.l1_url.is_some(), parts.l1.chain_id());
    let config = Config {
        addr,
        network: NetworkInfo {
            name: "Cairn Devnet".to_owned(),
            chain_id: network.config.chain_id,
            ecosystem: network.ecosystem.clone(),
            chain: network.chain.clone(),
            base_token: BaseToken {
                l1_token: network.base_token.address,
                symbol: network.base_token.symbol.clone(),
                name: network.base_token.name.clone(),
            },
            rpc_url: reachable(&parts.l2_url),
            l1_rpc_url: near.then(|| reachable(parts.l1.url())),
        },
        dev: near.then(|| DevAccounts::from_signers(parts.keys.rich.clone())),
    };
    let storage = chain.sequencer().storage().clone();
    let (reads, zk): (Arc<dyn Chain>, Arc<dyn ZkChain>) = (chain.clone(), chain);
    let node = Node { chain: reads, zk, storage, l1: parts.l1 };
    Ok(Some(Explorer::start(config, node, index).await?))
}

/// A URL that a browser on this machine can open: nobody connects to the unspecified address.
fn reachable(url: &str) -> String {
    let unspecified = [IpAddr::from([0, 0, 0, 0]).to_string(), "[::]".to_owned()];
    unspecified
        .iter()
        .fold(url.to_owned(), |url, any| url.replacen(&format!("//{any}:"), "//127.0.0.1:", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unspecified_address_is_shown_as_loopback() {
        assert_eq!(reachable("http://0.0.0.0:3050"), "http://127.0.0.1:3050");
        assert_eq!(reachable("http://[::]:3050"), "http://127.0.0.1:3050");
        assert_eq!(reachable("http://10.0.0.1:3050"), "http://10.0.0.1:3050");
    }
}
