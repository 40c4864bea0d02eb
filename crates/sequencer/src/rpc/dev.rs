//! [`DevChain`]: mining and time. What needs L1 goes to [`super::cheats`]; what nothing can prove is refused with the reason.

use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, TxHash, U256};
use alloy_rpc_types::TransactionRequest;
use cairn_rpc::error::Result;
use cairn_rpc::{Chain, ChainError, DevChain, MineRequest, ReorgTx};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::L2Rpc;
use super::cheats::{DEPLOY, NO_REORG, SET_ON_L1, unprovable};
use crate::builder::Command;
use crate::config::BlockTime;
use crate::error::SequencerError;
use crate::shared::{internal, wait};

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

    fn set_balance(&self, address: Address, balance: U256) -> Result<()> {
        self.cheats.set_balance(address, balance)
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

    fn impersonate(&self, address: Address, on: bool) -> Result<()> {
        self.cheats.impersonate(address, on)
    }

    fn auto_impersonate(&self, on: bool) -> Result<()> {
        self.cheats.auto_impersonate(on)
    }

    fn is_impersonated(&self, address: Address) -> bool {
        self.cheats.is_impersonated(address)
    }

    fn submit_impersonated(&self, request: TransactionRequest) -> BoxFuture<'_, Result<TxHash>> {
        self.cheats.submit_impersonated(request)
    }

    fn snapshot(&self) -> Result<U256> {
        self.rewind.snapshot()
    }

    fn revert(&self, id: U256) -> Result<bool> {
        self.rewind.revert(id)
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
        self.rewind.dump_state()
    }

    fn load_state(&self, state: Bytes) -> Result<bool> {
        self.rewind.load_state(state)
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
