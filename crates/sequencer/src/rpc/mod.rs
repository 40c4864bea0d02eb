//! The rollup behind the JSON-RPC server: the server's `Chain`, `ZkChain` and `DevChain` over the store and the sequencer.
//!
//! | file | holds |
//! |---|---|
//! | [`views`] | stored records as the server shows them |
//! | `chain` | blocks, transactions, receipts, state, pool |
//! | `simulate` | calls and replays under inspectors |
//! | `zk` | batches, message proofs, fees, the bridge's addresses |
//! | `dev` | mining and time |
//! | [`cheats`] | development methods that need the chain's L1 |

mod chain;
pub mod cheats;
mod dev;
mod simulate;
pub(crate) use simulate::pool_error as tx_error;
pub mod views;
mod zk;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use alloy_primitives::{Address, B256};
use cairn_rpc::Block;
use cairn_rpc::zks::BridgeContracts;
use parking_lot::Mutex;

use self::cheats::{Alone, Cheats, Rewind};
use crate::handle::Sequencer;
use crate::shared::Shared;

/// Addresses on L1 that clients ask the node for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BridgeInfo {
    /// Chain id of L1.
    pub l1_chain_id: u64,
    /// The bridgehub.
    pub bridgehub: Address,
    /// The chain's own contract.
    pub main_contract: Address,
    /// The base token on L1; `0x..01` for ETH.
    pub base_token: Address,
    /// Bridge contracts of both layers.
    pub bridges: BridgeContracts,
    /// A paymaster for tests, where there is one.
    pub testnet_paymaster: Option<Address>,
    /// L1 gas price in wei, for fee estimates.
    pub l1_gas_price: u64,
}

/// Blocks whose Ethereum roots were computed.
const MAX_BLOCK_VIEWS: usize = 1_024;

/// The rollup as the JSON-RPC server sees it. It implements `Chain`, `ZkChain` and `DevChain`.
#[derive(Clone)]
pub struct L2Rpc {
    sequencer: Sequencer,
    bridge: Arc<BridgeInfo>,
    roots: Arc<Mutex<RootCache>>,
    tokens: Arc<Mutex<zk::TokenIndex>>,
    cheats: Arc<dyn Cheats>,
    rewind: Arc<dyn Rewind>,
}

impl std::fmt::Debug for L2Rpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("L2Rpc").field("bridge", &self.bridge).finish_non_exhaustive()
    }
}

impl L2Rpc {
    /// Shows `sequencer`'s chain.
    pub fn new(sequencer: Sequencer, bridge: BridgeInfo) -> Self {
        Self {
            sequencer,
            bridge: Arc::new(bridge),
            roots: Arc::default(),
            tokens: Arc::default(),
            cheats: Arc::new(Alone),
            rewind: Arc::new(Alone),
        }
    }

    /// Balances and senders that L1 vouches for.
    #[must_use]
    pub fn with_cheats(mut self, cheats: Arc<dyn Cheats>) -> Self {
        self.cheats = cheats;
        self
    }

    /// Going back, together with L1.
    #[must_use]
    pub fn with_rewind(mut self, rewind: Arc<dyn Rewind>) -> Self {
        self.rewind = rewind;
        self
    }

    /// The sequencer behind it.
    pub fn sequencer(&self) -> &Sequencer {
        &self.sequencer
    }

    fn shared(&self) -> Arc<Shared> {
        self.sequencer.shared()
    }

    /// Forgets what was read of blocks that may be no more: the sequencer went back.
    pub fn forget(&self) {
        *self.tokens.lock() = zk::TokenIndex::default();
    }
}

/// Transactions and receipts roots by block hash; bounded, first in first out.
#[derive(Debug, Default)]
struct RootCache {
    roots: HashMap<B256, views::Roots>,
    order: VecDeque<B256>,
}

impl RootCache {
    fn get(&self, hash: &B256) -> Option<views::Roots> {
        self.roots.get(hash).copied()
    }

    fn put(&mut self, hash: B256, roots: views::Roots) {
        if self.roots.insert(hash, roots).is_some() {
            return;
        }
        self.order.push_back(hash);
        if self.order.len() > MAX_BLOCK_VIEWS
            && let Some(old) = self.order.pop_front()
        {
            self.roots.remove(&old);
        }
    }
}

/// A block's view, shared.
type SharedBlock = Arc<Block>;
