//! The embedded L1 as the JSON-RPC server sees it.

use crate::block::{BLOBS, blob_base_fee};
use crate::core::{Core, Entry, SUGGESTED_TIP};
use crate::evm;
use crate::pool::PoolTx;
use crate::state::StateDb;
use alloy_consensus::Transaction as _;
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip7910::{EthForkConfig, SystemContract};
use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
use alloy_primitives::{Address, B256, Bloom, Bytes, TxHash, U256, keccak256};
use alloy_rpc_types::serde_helpers::JsonStorageKey;
use alloy_rpc_types::{BlockOverrides, EIP1186AccountProofResponse, EIP1186StorageProof, Header};
use cairn_rpc::chain::{CallRequest, TracedTx, TxTracer};
use cairn_rpc::view::{Block, Receipt, Transaction};
use cairn_rpc::{
    BlockEvent, BlockRef, CallOutcome, Chain, ChainError, Fees, NamedBlock, PoolSnapshot,
    ReplayTarget, Result, StateView, fork,
};
use futures::future::BoxFuture;
use revm::DatabaseCommit;
use revm::context::BlockEnv;
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Most transactions that the pending block shows.
const MAX_PENDING: usize = 10_000;

/// A handle to the chain; what the server holds.
#[derive(Clone)]
pub(crate) struct Node(pub(crate) Arc<Core>);

impl Node {
    fn pool_view(&self, tx: &PoolTx) -> Transaction {
        Transaction::from_envelope(&tx.sent.tx, tx.sent.sender, None, None)
    }

    /// What the next block would take, as the pool orders it.
    fn pending_txs(&self, header: &alloy_consensus::Header) -> Vec<Arc<PoolTx>> {
        let (state, mut room) = (self.0.head().state, header.gas_limit);
        let base_fee = header.base_fee_per_gas.unwrap_or_default();
        let best = self.0.pool.lock().best(base_fee, MAX_PENDING, |sender| state.nonce(sender));
        let mut fits = |tx: &Arc<PoolTx>| match room.checked_sub(tx.sent.tx.gas_limit()) {
            Some(rest) => {
                room = rest;
                true
            }
            None => false,
        };
        best.into_iter().take_while(|tx| fits(tx)).collect()
    }

    /// State and environment of a simulated call.
    fn environment(&self, call: &CallRequest) -> Result<(StateDb, BlockEnv)> {
        let (entry, header) = match call.block {
            BlockRef::Pending => self.0.pending_header(),
            block => {
                let entry = self.0.entry(block)?;
                let header = entry.block.header.clone();
                (entry, header)
            }
        };
        let mut db = self.0.db(entry.state);
        let mut env = evm::block_env(&header);
        if let Some(overrides) = &call.state_overrides {
            evm::apply_overrides(&mut db, overrides)?;
        }
        if let Some(overrides) = &call.block_overrides {
            override_block(&mut env, overrides);
        }
        Ok((db, env))
    }

    /// The state before a block's transactions, its system calls made, and its environment.
    fn before(&self, number: u64) -> Result<(StateDb, BlockEnv, Entry)> {
        let entry = self.0.entry(BlockRef::Number(number))?;
        let parent = number
            .checked_sub(1)
            .ok_or_else(|| ChainError::Halted("genesis is not traceable".into()))?;
        let before = self.0.entry(BlockRef::Number(parent))?;
        let env = evm::block_env(&entry.block.header);
        let mut vm = evm::evm(self.0.db(before.state), self.0.cfg(), env.clone());
        evm::pre_block(&mut vm, &entry.block.header)?;
        Ok((vm.ctx.journaled_state.database, env, entry))
    }
}

fn override_block(env: &mut BlockEnv, o: &BlockOverrides) {
    env.number = o.number.unwrap_or(env.number);
    env.timestamp = o.time.map_or(env.timestamp, U256::from);
    env.gas_limit = o.gas_limit.unwrap_or(env.gas_limit);
    env.beneficiary = o.coinbase.unwrap_or(env.beneficiary);
    env.prevrandao = o.random.or(env.prevrandao);
    if let Some(fee) = o.base_fee {
        env.basefee = u64::try_from(fee).unwrap_or(u64::MAX);
    }
}

impl Chain for Node {
    fn chain_id(&self) -> u64 {
        self.0.config.chain_id
    }

    fn client_version(&self) -> String {
        concat!("cairn-l1/v", env!("CARGO_PKG_VERSION")).into()
    }

    fn named_block(&self, name: NamedBlock) -> Result<Option<u64>> {
        let head = self.0.view.read().head().block.number();
        let lag = self.0.config.slots_in_epoch;
        Ok(Some(match name {
            NamedBlock::Earliest => 0,
            NamedBlock::Latest | NamedBlock::Committed | NamedBlock::L1Committed => head,
            NamedBlock::Safe => head.saturating_sub(lag),
            NamedBlock::Finalized => head.saturating_sub(lag.saturating_mul(2)),
        }))
    }

    fn block(&self, block: BlockRef) -> Result<Option<Arc<Block>>> {
        if block == BlockRef::Pending {
            let (_, header) = self.0.pending_header();
            let pending = self.pending_txs(&header);
            let transactions = pending.iter().map(|tx| tx.hash()).collect();
            return Ok(Some(Arc::new(Block {
                header: Header::new(header),
                extra: Default::default(),
                transactions,
            })));
        }
        Ok(self.0.block(block)?.map(|b| Arc::new(b.view())))
    }

    fn bloom(&self, number: u64) -> Result<Option<Bloom>> {
        Ok(self.0.block_by_number(number)?.map(|b| b.header.logs_bloom))
    }

    fn transactions(&self, block: BlockRef) -> Result<Option<Vec<Transaction>>> {
        if block == BlockRef::Pending {
            let (_, header) = self.0.pending_header();
            let pending = self.pending_txs(&header);
            return Ok(Some(pending.iter().map(|tx| self.pool_view(tx)).collect()));
        }
        Ok(self.0.block(block)?.map(|b| b.transactions()))
    }

    fn receipts(&self, block: BlockRef) -> Result<Option<Vec<Receipt>>> {
        if block == BlockRef::Pending {
            return Ok(None);
        }
        Ok(self.0.block(block)?.map(|b| b.receipts()))
    }

    fn transaction(&self, hash: TxHash) -> Result<Option<Transaction>> {
        if let Some((block, index)) = self.0.included(hash)? {
            return Ok(block.transaction(index));
        }
        Ok(self.0.pool.lock().get(&hash).map(|tx| self.pool_view(tx)))
    }

    fn raw_transaction(&self, hash: TxHash) -> Result<Option<Bytes>> {
        if let Some((block, index)) = self.0.included(hash)? {
            return Ok(block.txs.get(index).map(|t| t.tx.encoded_2718().into()));
        }
        Ok(self.0.pool.lock().get(&hash).map(|tx| tx.sent.tx.encoded_2718().into()))
    }

    fn receipt(&self, hash: TxHash) -> Result<Option<Receipt>> {
        Ok(self.0.included(hash)?.and_then(|(block, index)| block.receipt(index)))
    }

    fn state(&self, block: BlockRef) -> Result<Box<dyn StateView>> {
        let entry = self.0.entry(block)?;
        Ok(Box::new(self.0.db(entry.state)))
    }

    fn pending_nonce(&self, address: Address) -> Result<u64> {
        let nonce = self.0.head().state.nonce(address);
        Ok(self.0.pool.lock().next_nonce(address, nonce))
    }

    fn block_gas_limit(&self) -> u64 {
        self.0.pending_header().1.gas_limit
    }

    fn tx_gas_cap(&self) -> Option<u64> {
        Some(revm::primitives::eip7825::TX_GAS_LIMIT_CAP)
    }

    fn fees(&self) -> Result<Fees> {
        let (_, header) = self.0.pending_header();
        Ok(Fees {
            next_base_fee: header.base_fee_per_gas.unwrap_or_default().into(),
            suggested_tip: SUGGESTED_TIP,
            next_blob_base_fee: blob_base_fee(&header),
            max_blob_gas: BLOBS.max_blob_gas_per_block(),
        })
    }

    fn blob_base_fee(&self, header: &Header) -> u128 {
        blob_base_fee(&header.inner)
    }

    fn submit(&self, raw: Bytes) -> BoxFuture<'_, Result<TxHash>> {
        Box::pin(Arc::clone(&self.0).submit(raw))
    }

    fn call(&self, call: CallRequest, tracer: Option<&mut dyn TxTracer>) -> Result<CallOutcome> {
        let (db, env) = self.environment(&call)?;
        let nonce = db.state.nonce(call.request.from.unwrap_or_default());
        let tx = evm::request_env(&call.request, self.0.config.chain_id, nonce)?;
        let cfg = evm::call_cfg(self.0.config.chain_id, call.purpose, &call.request);
        let traced = TracedTx { hash: B256::ZERO, index: 0, block_hash: B256::ZERO };
        let result = match tracer {
            None => evm::transact(db, cfg, env, tx, None)?,
            Some(tracer) => {
                let result = evm::transact(
                    db.clone(),
                    cfg,
                    env.clone(),
                    tx.clone(),
                    tracer.inspector(&traced),
                )?;
                // A lone call has nothing after it: whether to go on does not matter.
                let _ = tracer.finish(&traced, &tx, &env, &result, &db)?;
                result
            }
        };
        Ok(CallOutcome { gas_used: result.result.tx_gas_used(), result: result.result })
    }

    fn replay(&self, target: ReplayTarget, tracer: &mut dyn TxTracer) -> Result<()> {
        let (number, last) = match target {
            ReplayTarget::Block(block) => {
                (self.0.block(block)?.ok_or(ChainError::UnknownBlock)?.number(), usize::MAX)
            }
            ReplayTarget::Transaction(hash) => {
                let (block, index) =
                    self.0.included(hash)?.ok_or(ChainError::UnknownTransaction)?;
                (block.number(), index)
            }
        };
        let (mut db, env, entry) = self.before(number)?;
        for (index, sent) in entry.block.txs.iter().enumerate().take(last.saturating_add(1)) {
            let traced = TracedTx {
                hash: *sent.tx.tx_hash(),
                index: index as u64,
                block_hash: entry.block.hash,
            };
            let tx = evm::tx_env(&sent.tx, sent.sender);
            let mut cfg = self.0.cfg();
            cfg.disable_eip3607 = true;
            let inspector = tracer.inspector(&traced);
            let watched = inspector.is_some();
            let result = evm::transact(db.clone(), cfg, env.clone(), tx.clone(), inspector)?;
            if watched && tracer.finish(&traced, &tx, &env, &result, &db)? == ControlFlow::Break(())
            {
                return Ok(());
            }
            db.commit(result.state);
        }
        Ok(())
    }

    fn pool(&self) -> Result<PoolSnapshot> {
        let (ready, waiting) = self.0.pool.lock().all();
        let show = |txs: Vec<Arc<PoolTx>>| txs.iter().map(|tx| self.pool_view(tx)).collect();
        Ok(PoolSnapshot { pending: show(ready), queued: show(waiting) })
    }

    fn subscribe_blocks(&self) -> broadcast::Receiver<Arc<BlockEvent>> {
        self.0.blocks.subscribe()
    }

    fn subscribe_pending(&self) -> broadcast::Receiver<TxHash> {
        self.0.pending.subscribe()
    }

    fn fork(&self) -> Result<EthForkConfig> {
        let genesis = self.0.block_by_number(0)?.ok_or(ChainError::UnknownBlock)?;
        let contracts = [
            (SystemContract::BeaconRoots, eip4788::BEACON_ROOTS_ADDRESS),
            (SystemContract::HistoryStorage, eip2935::HISTORY_STORAGE_ADDRESS),
            (
                SystemContract::WithdrawalRequestPredeploy,
                eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
            ),
            (
                SystemContract::ConsolidationRequestPredeploy,
                eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
            ),
        ];
        let chain_id = self.0.config.chain_id;
        Ok(fork::since_genesis(chain_id, genesis.hash, evm::SPEC, BLOBS, contracts))
    }

    fn proof(
        &self,
        address: Address,
        keys: Vec<B256>,
        block: BlockRef,
    ) -> Result<EIP1186AccountProofResponse> {
        let state = self.0.entry(block)?.state;
        let account = state.account(address);
        let storage_proof = keys.into_iter().map(|key| EIP1186StorageProof {
            key: JsonStorageKey::Hash(key),
            value: account.map_or(U256::ZERO, |a| a.slot(key.into())),
            proof: account
                .map(|a| a.storage.proof(&keccak256(key)))
                .unwrap_or_default()
                .into_iter()
                .map(Into::into)
                .collect(),
        });
        Ok(EIP1186AccountProofResponse {
            address,
            balance: account.map_or(U256::ZERO, |a| a.balance),
            code_hash: account.map_or(alloy_primitives::KECCAK256_EMPTY, |a| a.code_hash),
            nonce: account.map_or(0, |a| a.nonce),
            storage_hash: account.map_or(alloy_trie::EMPTY_ROOT_HASH, |a| a.storage.root()),
            account_proof: state.proof(address).into_iter().map(Into::into).collect(),
            storage_proof: storage_proof.collect(),
        })
    }
}
