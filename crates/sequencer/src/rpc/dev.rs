//! [`DevChain`]: mining and time. What would change the state without a transaction is refused with the reason: every state of this chain is proven.

use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, TxHash, U256};
use alloy_rpc_types::TransactionRequest;
use cairn_rpc::error::Result;
use cairn_rpc::{Chain, ChainError, DevChain, MineRequest, ReorgTx};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::L2Rpc;
use crate::builder::Command;
use crate::config::BlockTime;
use crate::error::SequencerError;
use crate::shared::{internal, wait};

/// Refuses a method that would write state behind the proof's back.
fn unprovable<T>(method: &str, instead: &str) -> Result<T> {
    Err(ChainError::Unsupported(format!(
        "{method} is not available on L2: every state of this chain follows from transactions and is proven. {instead}"
    )))
}

const DEPOSIT: &str = "Deposit from L1 instead (the embedded L1 offers this method).";
const DEPLOY: &str = "Deploy a contract or send a transaction instead.";
const NO_REORG: &str =
    "Blocks of this chain are final once built; start another --data-dir to begin anew.";
const NO_SIGNATURE: &str =
    "Sign with the account's key, or use an L1 deposit, whose sender L1 vouches for.";
const SET_ON_L1: &str = "The chain's admin sets it on L1.";

fn refused(e: SequencerError) -> ChainError {
    match e {
        SequencerError::Refused(why) => ChainError::InvalidParams(why),
        e => internal(e),
    }
}

impl L2Rpc {
    fn parent_timestamp(&self) -> u64 {
        self.shared().head().header.timestamp
    }

    fn set_block_time(&self, to: BlockTime) {
        *self.shared().block_time.lock() = to;
        self.shared().wake();
    }

    fn drop_from_pool(&self, hashes: &[B256]) -> Vec<B256> {
        let shared = self.shared();
        let dropped: Vec<B256> = {
            let mut pool = shared.pool.lock();
            hashes.iter().copied().filter(|h| pool.remove(h)).collect()
        };
        shared.log_dropped(&dropped);
        dropped
    }
}

impl DevChain for L2Rpc {
    fn mine(&self, request: MineRequest) -> Result<B256> {
        let (done, answer) = oneshot::channel();
        let MineRequest { blocks, interval, timestamp } = request;
        self.shared().send(Command::Mine { blocks, interval, timestamp, done }).map_err(refused)?;
        wait(answer).map_err(|_| internal(self.shared().stopped()))?.map_err(refused)
    }

    fn set_balance(&self, _: Address, _: U256) -> Result<()> {
        unprovable("setBalance", DEPOSIT)
    }

    fn set_code(&self, _: Address, _: Bytes) -> Result<()> {
        unprovable("setCode", DEPLOY)
    }

    fn set_nonce(&self, _: Address, _: u64) -> Result<()> {
        unprovable("setNonce", DEPLOY)
    }

    fn set_storage_at(&self, _: Address, _: U256, _: B256) -> Result<()> {
        unprovable("setStorageAt", DEPLOY)
    }

    fn impersonate(&self, _: Address, _: bool) -> Result<()> {
        unprovable("impersonateAccount", NO_SIGNATURE)
    }

    fn auto_impersonate(&self, _: bool) -> Result<()> {
        unprovable("autoImpersonateAccount", NO_SIGNATURE)
    }

    fn submit_impersonated(&self, _: TransactionRequest) -> BoxFuture<'_, Result<TxHash>> {
        async { unprovable("an unsigned transaction", NO_SIGNATURE) }.boxed()
    }

    fn snapshot(&self) -> Result<U256> {
        unprovable("snapshot", NO_REORG)
    }

    fn revert(&self, _: U256) -> Result<bool> {
        unprovable("revert", NO_REORG)
    }

    fn increase_time(&self, by: Duration) -> Result<i64> {
        self.shared()
            .clock
            .increase(by.as_secs())
            .map_err(|e| ChainError::InvalidParams(e.to_string()))
    }

    fn set_time(&self, timestamp: u64) -> Result<i64> {
        let set = self.shared().clock.set(timestamp, self.parent_timestamp());
        set.map_err(|e| ChainError::InvalidParams(e.to_string()))
    }

    fn set_next_block_timestamp(&self, timestamp: u64) -> Result<()> {
        let set = self.shared().clock.set_next(timestamp, self.parent_timestamp());
        set.map_err(|e| ChainError::InvalidParams(e.to_string()))
    }

    fn set_block_timestamp_interval(&self, interval: Option<u64>) -> Result<bool> {
        Ok(self.shared().clock.set_interval(interval))
    }

    fn automine(&self) -> Result<bool> {
        Ok(*self.shared().block_time.lock() == BlockTime::Instant)
    }

    fn set_automine(&self, on: bool) -> Result<()> {
        self.set_block_time(if on { BlockTime::Instant } else { BlockTime::Manual });
        Ok(())
    }

    fn interval_mining(&self) -> Result<Option<Duration>> {
        Ok(match *self.shared().block_time.lock() {
            BlockTime::Interval(every) => Some(every),
            _ => None,
        })
    }

    fn set_interval_mining(&self, interval: Option<Duration>) -> Result<()> {
        self.set_block_time(interval.map_or(BlockTime::Manual, BlockTime::Interval));
        Ok(())
    }

    fn drop_transaction(&self, hash: TxHash) -> Result<Option<TxHash>> {
        Ok(self.drop_from_pool(&[hash]).first().copied())
    }

    fn drop_all_transactions(&self) -> Result<()> {
        let all = self.shared().pool.lock().hashes();
        self.drop_from_pool(&all);
        Ok(())
    }

    fn remove_pool_transactions(&self, sender: Address) -> Result<()> {
        let all = self.shared().pool.lock().of_sender(&sender);
        self.drop_from_pool(&all);
        Ok(())
    }

    fn dump_state(&self) -> Result<Bytes> {
        unprovable(
            "dumpState",
            "Copy the data directory of a stopped node, or recover the chain from L1.",
        )
    }

    fn load_state(&self, _: Bytes) -> Result<bool> {
        unprovable(
            "loadState",
            "Copy the data directory of a stopped node, or recover the chain from L1.",
        )
    }

    fn node_info(&self) -> Result<Value> {
        let shared = self.shared();
        let (head, fees) = (shared.head(), *shared.fees.read());
        Ok(json!({
            "currentBlockNumber": format!("{:#x}", head.header.number),
            "currentBlockTimestamp": head.header.timestamp,
            "currentBlockHash": head.hash,
            "hardFork": "Osaka",
            "transactionOrder": "fees",
            "environment": {
                "baseFee": format!("{:#x}", fees.base_fee),
                "chainId": self.chain_id(),
                "gasLimit": format!("{:#x}", self.block_gas_limit()),
                "gasPrice": format!("{:#x}", fees.base_fee),
            },
            "forkConfig": { "forkUrl": null, "forkBlockNumber": null, "forkRetryBackoff": null },
            "network": null,
        }))
    }

    fn metadata(&self) -> Result<Value> {
        let shared = self.shared();
        let head = shared.head();
        let genesis = shared.storage.block_hash(0).map_err(internal)?.unwrap_or_default();
        Ok(json!({
            "clientVersion": self.client_version(),
            "clientSemver": env!("CARGO_PKG_VERSION"),
            "clientCommitSha": null,
            "chainId": self.chain_id(),
            "instanceId": genesis,
            "latestBlockNumber": head.header.number,
            "latestBlockHash": head.hash,
            "forkedNetwork": null,
            "snapshots": {},
        }))
    }

    fn set_coinbase(&self, _: Address) -> Result<()> {
        unprovable("setCoinbase", SET_ON_L1)
    }

    fn set_next_block_base_fee(&self, _: u128) -> Result<()> {
        unprovable("setNextBlockBaseFeePerGas", SET_ON_L1)
    }

    fn set_block_gas_limit(&self, _: u64) -> Result<()> {
        unprovable("setBlockGasLimit", "It is a rule of the chain.")
    }

    fn set_prevrandao(&self, _: B256) -> Result<()> {
        unprovable("setPrevRandao", "It is a constant of the chain.")
    }

    fn reorg(&self, _: u64, _: Vec<(ReorgTx, u64)>) -> Result<()> {
        unprovable("reorg", NO_REORG)
    }

    fn rollback(&self, _: u64) -> Result<()> {
        unprovable("rollback", NO_REORG)
    }
}
