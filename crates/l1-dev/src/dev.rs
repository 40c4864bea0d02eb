//! The development methods of the embedded L1.

use crate::build::Source;
use crate::chain::Node;
use crate::core::{SUGGESTED_TIP, Writer};
use crate::miner::Command;
use crate::pool::PoolTx;
use crate::state::{Changes, WorldState, difference};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes, TxHash, U256, keccak256};
use alloy_rpc_types::TransactionRequest;
use alloy_rpc_types::anvil::{Metadata, NodeEnvironment, NodeForkConfig, NodeInfo};
use cairn_rpc::{BlockRef, ChainError, DevChain, MineRequest, ReorgTx, Result};
use futures::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// First bytes of a state dump.
const DUMP_MAGIC: &[u8] = b"CAIRNL1\x01";

fn to_value(value: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| ChainError::Internal(e.to_string()))
}

impl Node {
    /// Tells the miner that its settings changed.
    fn settings_changed(&self) -> Result<()> {
        self.0
            .miner
            .send(Command::Settings)
            .map_err(|_| ChainError::Internal("the miner has stopped".into()))
    }

    fn set(&self, change: impl FnOnce(&mut Writer)) {
        change(&mut self.0.writer.lock());
    }

    fn reorg_tx(&self, tx: ReorgTx) -> Result<Arc<PoolTx>> {
        let tx = match tx {
            ReorgTx::Raw(raw) => self.0.decode(&raw)?,
            ReorgTx::Request(request) => {
                PoolTx::new(self.0.unsigned(self.fill(*request)?)?, None, 0)
            }
        };
        Ok(Arc::new(tx))
    }

    /// Fills in what a reorg's request leaves open.
    fn fill(&self, mut request: TransactionRequest) -> Result<TransactionRequest> {
        let (head, header) = self.0.pending_header();
        let from =
            request.from.ok_or_else(|| ChainError::InvalidParams("missing field `from`".into()))?;
        request.chain_id.get_or_insert(self.0.config.chain_id);
        request.to.get_or_insert(alloy_primitives::TxKind::Create);
        request.gas.get_or_insert(1_000_000);
        request.nonce.get_or_insert_with(|| head.state.nonce(from));
        if request.gas_price.is_none() {
            let base_fee = u128::from(header.base_fee_per_gas.unwrap_or_default());
            let tip = *request.max_priority_fee_per_gas.get_or_insert(SUGGESTED_TIP);
            request.max_fee_per_gas.get_or_insert(base_fee.saturating_mul(2).saturating_add(tip));
        }
        Ok(request)
    }

    /// Blobs of some versioned hashes; `None` if one is not kept any more.
    fn blobs(&self, hashes: &[B256]) -> Result<Option<Vec<Bytes>>> {
        hashes.iter().map(|hash| self.0.store.blob(*hash)).collect()
    }
}

impl DevChain for Node {
    fn mine(&self, request: MineRequest) -> Result<B256> {
        let mut writer = self.0.writer.lock();
        let mut timestamp = request.timestamp;
        let mut hash = self.0.head().block.hash;
        for _ in 0..request.blocks {
            let block = self.0.mine_one(&mut writer, timestamp.take(), Source::Pool)?;
            hash = block.hash;
            timestamp = request
                .interval
                .filter(|i| *i > 0)
                .map(|i| block.header.timestamp.saturating_add(i));
        }
        Ok(hash)
    }

    fn set_balance(&self, address: Address, balance: U256) -> Result<()> {
        self.0.modify(|state, touched| {
            touched.account(address);
            state.update(address, |account| account.balance = balance);
        })
    }

    fn set_code(&self, address: Address, code: Bytes) -> Result<()> {
        self.0.modify(|state, touched| {
            touched.account(address);
            state.update(address, |account| account.set_code(code));
        })
    }

    fn set_nonce(&self, address: Address, nonce: u64) -> Result<()> {
        self.0.modify(|state, touched| {
            touched.account(address);
            state.update(address, |account| account.nonce = nonce);
        })
    }

    fn set_storage_at(&self, address: Address, slot: U256, value: B256) -> Result<()> {
        self.0.modify(|state, touched| {
            touched.account(address).insert(slot);
            state.update(address, |account| account.set_slot(slot, value.into()));
        })
    }

    fn impersonate(&self, address: Address, on: bool) -> Result<()> {
        let mut mode = self.0.mode.lock();
        if on {
            mode.impersonated.insert(address)
        } else {
            mode.impersonated.remove(&address)
        };
        Ok(())
    }

    fn auto_impersonate(&self, on: bool) -> Result<()> {
        self.0.mode.lock().impersonate_all = on;
        Ok(())
    }

    fn is_impersonated(&self, address: Address) -> bool {
        self.0.is_impersonated_sender(address)
    }

    fn submit_impersonated(&self, request: TransactionRequest) -> BoxFuture<'_, Result<TxHash>> {
        Box::pin(Arc::clone(&self.0).submit_unsigned(request))
    }

    fn snapshot(&self) -> Result<U256> {
        Ok(U256::from(self.0.take_snapshot()))
    }

    fn revert(&self, id: U256) -> Result<bool> {
        u64::try_from(id).map_or(Ok(false), |id| self.0.revert_snapshot(id))
    }

    fn increase_time(&self, by: Duration) -> Result<i64> {
        Ok(self.0.writer.lock().clock.increase(by))
    }

    fn set_time(&self, timestamp: u64) -> Result<i64> {
        Ok(self.0.writer.lock().clock.set(timestamp))
    }

    fn set_next_block_timestamp(&self, timestamp: u64) -> Result<()> {
        let mut writer = self.0.writer.lock();
        let parent = self.0.head().block.header.timestamp;
        writer.clock.set_next(timestamp, parent)
    }

    fn set_block_timestamp_interval(&self, interval: Option<u64>) -> Result<bool> {
        Ok(std::mem::replace(&mut self.0.writer.lock().clock.step, interval).is_some())
    }

    fn automine(&self) -> Result<bool> {
        Ok(self.0.mode.lock().automine)
    }

    fn set_automine(&self, on: bool) -> Result<()> {
        self.0.mode.lock().automine = on;
        self.settings_changed()
    }

    fn interval_mining(&self) -> Result<Option<Duration>> {
        Ok(self.0.mode.lock().interval)
    }

    fn set_interval_mining(&self, interval: Option<Duration>) -> Result<()> {
        {
            let mut mode = self.0.mode.lock();
            mode.interval = interval;
            // As anvil: interval mining takes the place of automatic mining.
            mode.automine &= interval.is_none();
        }
        self.settings_changed()
    }

    fn drop_transaction(&self, hash: TxHash) -> Result<Option<TxHash>> {
        Ok(self.0.pool.lock().remove(&hash).then_some(hash))
    }

    fn drop_all_transactions(&self) -> Result<()> {
        self.0.pool.lock().clear();
        Ok(())
    }

    fn remove_pool_transactions(&self, sender: Address) -> Result<()> {
        self.0.pool.lock().remove_sender(sender);
        Ok(())
    }

    fn dump_state(&self) -> Result<Bytes> {
        let changes = difference(&WorldState::default(), &self.0.head().state);
        let body =
            postcard::to_stdvec(&changes).map_err(|e| ChainError::Internal(e.to_string()))?;
        Ok([DUMP_MAGIC, &body].concat().into())
    }

    fn load_state(&self, dump: Bytes) -> Result<bool> {
        let bad = || ChainError::InvalidParams("not a state dump of this program".into());
        let body = dump.strip_prefix(DUMP_MAGIC).ok_or_else(bad)?;
        let changes: Changes = postcard::from_bytes(body).map_err(|_| bad())?;
        if changes.code.iter().any(|(hash, code)| keccak256(code) != *hash) {
            return Err(bad());
        }
        let mut state = self.0.head().state;
        state.apply(&changes, |_| None);
        self.0.replace_state(state)?;
        Ok(true)
    }

    fn node_info(&self) -> Result<Value> {
        let (head, header) = self.0.pending_header();
        let base_fee = u128::from(header.base_fee_per_gas.unwrap_or_default());
        to_value(&NodeInfo {
            current_block_number: head.block.number(),
            current_block_timestamp: head.block.header.timestamp,
            current_block_hash: head.block.hash,
            hard_fork: "Osaka".into(),
            transaction_order: "fees".into(),
            environment: NodeEnvironment {
                base_fee,
                chain_id: self.0.config.chain_id,
                gas_limit: header.gas_limit,
                gas_price: base_fee.saturating_add(SUGGESTED_TIP),
            },
            fork_config: NodeForkConfig::default(),
            network: None,
        })
    }

    fn metadata(&self) -> Result<Value> {
        let head = self.0.head().block;
        to_value(&Metadata {
            client_version: cairn_rpc::Chain::client_version(self),
            client_semver: Some(env!("CARGO_PKG_VERSION").into()),
            client_commit_sha: None,
            chain_id: self.0.config.chain_id,
            instance_id: self.0.block_by_number(0)?.map_or(B256::ZERO, |b| b.hash),
            latest_block_number: head.number(),
            latest_block_hash: head.hash,
            forked_network: None,
            snapshots: Default::default(),
        })
    }

    fn set_coinbase(&self, address: Address) -> Result<()> {
        self.set(|w| w.coinbase = address);
        Ok(())
    }

    fn set_min_gas_price(&self, price: u128) -> Result<()> {
        self.0.mode.lock().min_gas_price = price;
        Ok(())
    }

    fn set_next_block_base_fee(&self, fee: u128) -> Result<()> {
        let fee = u64::try_from(fee)
            .map_err(|_| ChainError::InvalidParams("the base fee does not fit 64 bits".into()))?;
        self.set(|w| w.base_fee = Some(fee));
        Ok(())
    }

    fn set_block_gas_limit(&self, limit: u64) -> Result<()> {
        if limit < 5_000 {
            return Err(ChainError::InvalidParams(
                "the block gas limit must be at least 5000".into(),
            ));
        }
        self.set(|w| w.gas_limit = limit);
        Ok(())
    }

    fn set_prevrandao(&self, value: B256) -> Result<()> {
        self.set(|w| w.prevrandao = Some(value));
        Ok(())
    }

    fn reorg(&self, depth: u64, transactions: Vec<(ReorgTx, u64)>) -> Result<()> {
        let txs = transactions
            .into_iter()
            .map(|(tx, at)| Ok((self.reorg_tx(tx)?, at)))
            .collect::<Result<_>>()?;
        self.0.reorganise(depth, txs)
    }

    fn rollback(&self, depth: u64) -> Result<()> {
        let mut writer = self.0.writer.lock();
        let head = self.0.head().block.number();
        let to = head.checked_sub(depth).ok_or_else(|| {
            ChainError::InvalidParams(format!("depth {depth} is above the head's number {head}"))
        })?;
        let state = self.0.entry(BlockRef::Number(to))?.state;
        writer.salt += 1;
        self.0.rewind(&writer, to, state)
    }

    fn blobs_by_transaction(&self, hash: TxHash) -> Result<Option<Vec<Bytes>>> {
        let Some((block, index)) = self.0.included(hash)? else { return Ok(None) };
        match block.txs.get(index).and_then(|t| t.tx.blob_versioned_hashes()) {
            Some(hashes) => self.blobs(hashes),
            None => Ok(None),
        }
    }

    fn blob_by_hash(&self, versioned_hash: B256) -> Result<Option<Bytes>> {
        self.0.store.blob(versioned_hash)
    }

    fn blobs_by_block(&self, block: BlockRef) -> Result<Option<Vec<Bytes>>> {
        let Some(block) = self.0.block(block)? else { return Ok(None) };
        let hashes: Vec<B256> = block
            .txs
            .iter()
            .filter_map(|t| t.tx.blob_versioned_hashes())
            .flatten()
            .copied()
            .collect();
        self.blobs(&hashes)
    }
}
