//! Development methods that the chain cannot honour alone, since every state of it is proven: who has its L1 may lend them.

use alloy_primitives::{Address, Bytes, TxHash, U256};
use alloy_rpc_types::TransactionRequest;
use cairn_rpc::ChainError;
use cairn_rpc::error::Result;
use futures::FutureExt;
use futures::future::BoxFuture;

const DEPOSIT: &str = "Deposit from L1 instead.";
pub(super) const DEPLOY: &str = "Deploy a contract or send a transaction instead.";
pub(super) const NO_REORG: &str =
    "Blocks of this chain are final once built; start another --data-dir to begin anew.";
const NO_SIGNATURE: &str =
    "Sign with the account's key, or use an L1 deposit, whose sender L1 vouches for.";
pub(super) const SET_ON_L1: &str = "The chain's admin sets it on L1.";
const COPY: &str = "Copy the data directory of a stopped node, or recover the chain from L1.";

/// Refuses a method that would write state behind the proof's back.
pub(super) fn unprovable<T>(method: &str, instead: &str) -> Result<T> {
    Err(ChainError::Unsupported(format!(
        "{method} is not available on L2: every state of this chain follows from transactions and is proven. {instead}"
    )))
}

/// Balances and senders that L1 vouches for. The defaults refuse, with the reason. All may wait for L1: never on a network thread.
pub trait Cheats: Send + Sync + 'static {
    /// Sets a balance in wei.
    ///
    /// # Errors
    /// [`ChainError::Unsupported`] where nothing provable does it, or what L1 answers.
    fn set_balance(&self, _address: Address, _balance: U256) -> Result<()> {
        unprovable("setBalance", DEPOSIT)
    }

    /// Takes (or no longer takes) unsigned transactions of this address.
    ///
    /// # Errors
    /// As [`Cheats::set_balance`].
    fn impersonate(&self, _address: Address, _on: bool) -> Result<()> {
        unprovable("impersonateAccount", NO_SIGNATURE)
    }

    /// Takes (or no longer takes) unsigned transactions of every address.
    ///
    /// # Errors
    /// As [`Cheats::set_balance`].
    fn auto_impersonate(&self, _on: bool) -> Result<()> {
        unprovable("autoImpersonateAccount", NO_SIGNATURE)
    }

    /// Whether unsigned transactions of this address are taken.
    fn is_impersonated(&self, _address: Address) -> bool {
        false
    }

    /// Sends an unsigned transaction; the hash is that of what stands in the block.
    fn submit_impersonated(&self, _request: TransactionRequest) -> BoxFuture<'_, Result<TxHash>> {
        async { unprovable("an unsigned transaction", NO_SIGNATURE) }.boxed()
    }
}

/// Going back, which only the whole network can do: L1 together with its rollup. The defaults refuse, with the reason.
pub trait Rewind: Send + Sync + 'static {
    /// Remembers the network's state; returns its id.
    ///
    /// # Errors
    /// [`ChainError::Unsupported`] where the network cannot, or what failed.
    fn snapshot(&self) -> Result<U256> {
        unprovable("snapshot", NO_REORG)
    }

    /// Goes back to a snapshot, which is thereby used up, as are later ones; false if there is none of that id.
    ///
    /// # Errors
    /// As [`Rewind::snapshot`].
    fn revert(&self, _id: U256) -> Result<bool> {
        unprovable("revert", NO_REORG)
    }

    /// The whole network in this program's own format.
    ///
    /// # Errors
    /// As [`Rewind::snapshot`].
    fn dump_state(&self) -> Result<Bytes> {
        unprovable("dumpState", COPY)
    }

    /// Puts what [`Rewind::dump_state`] gave in the network's place.
    ///
    /// # Errors
    /// As [`Rewind::snapshot`], and [`ChainError::InvalidParams`] for what is no dump.
    fn load_state(&self, _state: Bytes) -> Result<bool> {
        unprovable("loadState", COPY)
    }
}

/// Lends nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alone;

impl Cheats for Alone {}
impl Rewind for Alone {}
