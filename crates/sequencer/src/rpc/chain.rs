//! [`Chain`] over the store and the sequencer.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_eips::eip7840::BlobParams;
use alloy_eips::eip7910::{EthForkConfig, SystemContract};
use alloy_primitives::{Address, B256, Bloom, Bytes, TxHash};
use alloy_rpc_types::EIP1186AccountProofResponse;
use cairn_primitives::header::BlockHeader;
use cairn_primitives::{Transaction as L2Transaction, address};
use cairn_rpc::error::Result;
use cairn_rpc::{
    Block, BlockEvent, BlockRef, CallOutcome, CallRequest, Chain, ChainError, Fees, NamedBlock,
    PoolSnapshot, Receipt, ReplayTarget, StateView, Transaction, TxTracer, fork,
};
use cairn_stf::RecoveredTx;
use cairn_stf::evm::SPEC;
use cairn_stf::limits::{BLOCK_GAS_LIMIT, TX_GAS_LIMIT};
use cairn_storage::{BlockRecord, ReceiptRecord, StorageError, TxLocation, TxRecord};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::broadcast;

use super::views::{self, BatchView};
use super::{L2Rpc, SharedBlock};
use crate::shared::internal;
use crate::state::SnapshotReader;

/// Most transactions of each kind that the pool's content lists.
const MAX_POOL_VIEW: usize = 10_000;

/// The chain's own system contracts, by the names that zkSync gives them.
const SYSTEM_CONTRACTS: [(&str, Address); 6] = [
    ("ACCOUNT_CODE_STORAGE_ADDRESS", address::ACCOUNT_CODE_STORAGE),
    ("NONCE_HOLDER_ADDRESS", address::NONCE_HOLDER),
    ("CONTRACT_DEPLOYER_ADDRESS", address::CONTRACT_DEPLOYER),
    ("L1_MESSENGER_ADDRESS", address::L1_MESSENGER),
    ("L2_BASE_TOKEN_ADDRESS", address::BASE_TOKEN),
    ("SYSTEM_CONTEXT_ADDRESS", address::SYSTEM_CONTEXT),
];

/// Most bytes of calldata that the pool's content lists.
const MAX_POOL_VIEW_BYTES: usize = 8 << 20;

impl L2Rpc {
    pub(super) fn number(&self, block: BlockRef) -> Result<Option<u64>> {
        let storage = &self.shared().storage;
        match block {
            BlockRef::Number(n) => Ok((n <= storage.head_number()).then_some(n)),
            BlockRef::Hash(hash) => storage.block_number(hash).map_err(internal),
            BlockRef::Pending => Ok(Some(storage.head_number())),
        }
    }

    pub(super) fn record(&self, block: BlockRef) -> Result<Option<BlockRecord>> {
        match self.number(block)? {
            Some(n) => self.shared().storage.block(n).map_err(internal),
            None => Ok(None),
        }
    }

    /// The batch of a block, as far as it is known.
    pub(super) fn batch_view(&self, block: u64) -> Result<BatchView> {
        let storage = &self.shared().storage;
        let number = storage.batch_of_block(block).map_err(internal)?;
        match number {
            Some(0) => {
                let genesis = storage.genesis_batch().map_err(internal)?;
                Ok(BatchView {
                    number: Some(0),
                    timestamp: genesis.lastTimestamp,
                    prev_state_root: genesis.stateRoot,
                })
            }
            Some(n) => {
                let batch = storage.batch(n).map_err(internal)?;
                Ok(batch.as_ref().map(BatchView::of).unwrap_or_default())
            }
            None => Ok(BatchView {
                prev_state_root: views::open_batch_root(&self.shared()),
                ..BatchView::default()
            }),
        }
    }

    fn roots(&self, record: &BlockRecord) -> Result<(views::Roots, Vec<B256>)> {
        let storage = &self.shared().storage;
        let transactions = storage.transactions(record.header.number).map_err(internal)?;
        let hashes = transactions.iter().map(|t| t.hash).collect();
        if let Some(roots) = self.roots.lock().get(&record.hash) {
            return Ok((roots, hashes));
        }
        let receipts = storage.receipts(record.header.number).map_err(internal)?;
        let roots = views::roots(&transactions, &receipts);
        self.roots.lock().put(record.hash, roots);
        Ok((roots, hashes))
    }

    fn locate(&self, hash: TxHash) -> Result<Option<(TxLocation, TxRecord, BlockRecord)>> {
        let storage = &self.shared().storage;
        let Some(at) = storage.tx_location(hash).map_err(internal)? else { return Ok(None) };
        let missing = || {
            internal(StorageError::Corrupt(format!("transaction {hash} is indexed and missing")))
        };
        let tx = storage.transaction(at).map_err(internal)?.ok_or_else(missing)?;
        let block = storage.block(at.block).map_err(internal)?.ok_or_else(missing)?;
        Ok(Some((at, tx, block)))
    }

    pub(super) fn receipt_at(&self, at: TxLocation) -> Result<ReceiptRecord> {
        let receipt = self.shared().storage.receipt(at).map_err(internal)?;
        receipt.ok_or_else(|| internal(StorageError::Corrupt("a receipt is missing".into())))
    }

    /// What the next block would take, as the pool orders it and without executing anything.
    fn pending_txs(&self) -> Vec<Arc<RecoveredTx>> {
        let mut room = BLOCK_GAS_LIMIT;
        let mut fits = |tx: &Arc<RecoveredTx>| match room.checked_sub(tx.tx.gas_limit()) {
            Some(rest) => {
                room = rest;
                true
            }
            None => false,
        };
        let shared = self.shared();
        let pool = shared.pool.lock();
        pool.best().take(MAX_POOL_VIEW).take_while(|tx| fits(tx)).collect()
    }

    /// The block after the head as it would be built now, without what only execution decides.
    fn pending_block(&self) -> Result<Block> {
        let (head, env) = self.call_env(BlockRef::Pending)?;
        let hashes = self.pending_txs().iter().map(|tx| tx.hash).collect();
        let header = BlockHeader {
            chain_id: env.chain_id,
            number: env.number,
            timestamp: env.timestamp,
            parent_hash: env.parent_hash,
            txs_rolling_hash: B256::ZERO,
            base_fee: env.fees.base_fee,
            gas_used: 0,
            beneficiary: env.beneficiary,
        };
        let record = BlockRecord { hash: B256::ZERO, header, size: 0, ..head };
        let root = views::open_batch_root(&self.shared());
        let batch = BatchView { prev_state_root: root, ..BatchView::default() };
        Ok(views::block(&record, Bloom::ZERO, views::roots(&[], &[]), batch, hashes))
    }

    pub(super) fn snapshot(&self, number: u64) -> Result<SnapshotReader> {
        let shared = self.shared();
        SnapshotReader::at(&shared.storage, number, shared.codes.clone()).map_err(internal)
    }
}

pub(super) fn decode(raw: &[u8]) -> Result<L2Transaction> {
    L2Transaction::decode(raw).map_err(internal)
}

fn view_of(
    tx: &TxRecord,
    block: &BlockRecord,
    index: u64,
    batch: BatchView,
) -> Result<Transaction> {
    let place = (views::inclusion(block, index), block.header.base_fee, batch);
    Ok(views::transaction(&decode(&tx.raw)?, tx.sender, Some(place)))
}

impl Chain for L2Rpc {
    fn chain_id(&self) -> u64 {
        self.shared().config.chain.chain_id
    }

    fn client_version(&self) -> String {
        concat!("cairn/v", env!("CARGO_PKG_VERSION"), "/l2").into()
    }

    fn named_block(&self, name: NamedBlock) -> Result<Option<u64>> {
        let storage = &self.shared().storage;
        let heads = storage.batch_heads();
        Ok(Some(match name {
            NamedBlock::Earliest => 0,
            // zkSync's `committed` is what the sequencer has committed to.
            NamedBlock::Latest | NamedBlock::Committed => storage.head_number(),
            NamedBlock::Safe | NamedBlock::L1Committed => heads.last_committed_block,
            NamedBlock::Finalized => heads.last_executed_block,
        }))
    }

    fn block(&self, block: BlockRef) -> Result<Option<SharedBlock>> {
        if block == BlockRef::Pending {
            return self.pending_block().map(|block| Some(Arc::new(block)));
        }
        let Some(record) = self.record(block)? else { return Ok(None) };
        let number = record.header.number;
        let bloom = self.shared().storage.bloom(number).map_err(internal)?.unwrap_or_default();
        let (roots, hashes) = self.roots(&record)?;
        let view: Block = views::block(&record, bloom, roots, self.batch_view(number)?, hashes);
        Ok(Some(Arc::new(view)))
    }

    fn bloom(&self, number: u64) -> Result<Option<Bloom>> {
        self.shared().storage.bloom(number).map_err(internal)
    }

    fn transactions(&self, block: BlockRef) -> Result<Option<Vec<Transaction>>> {
        if block == BlockRef::Pending {
            let txs = self.pending_txs();
            return Ok(Some(
                txs.iter().map(|t| views::transaction(&t.tx, t.sender, None)).collect(),
            ));
        }
        let Some(record) = self.record(block)? else { return Ok(None) };
        let batch = self.batch_view(record.header.number)?;
        let stored = self.shared().storage.transactions(record.header.number).map_err(internal)?;
        stored
            .iter()
            .zip(0..)
            .map(|(tx, i)| view_of(tx, &record, i, batch))
            .collect::<Result<_>>()
            .map(Some)
    }

    fn receipts(&self, block: BlockRef) -> Result<Option<Vec<Receipt>>> {
        if block == BlockRef::Pending {
            return Ok(None);
        }
        let Some(record) = self.record(block)? else { return Ok(None) };
        let number = record.header.number;
        let batch = self.batch_view(number)?;
        let storage = &self.shared().storage;
        let txs = storage.transactions(number).map_err(internal)?;
        let receipts = storage.receipts(number).map_err(internal)?;
        let all = txs.iter().zip(&receipts).zip(0..);
        all.map(|((tx, r), i)| {
            Ok(views::receipt(&decode(&tx.raw)?, tx, r, views::inclusion(&record, i), batch))
        })
        .collect::<Result<_>>()
        .map(Some)
    }

    fn transaction(&self, hash: TxHash) -> Result<Option<Transaction>> {
        if let Some((at, tx, block)) = self.locate(hash)? {
            let batch = self.batch_view(at.block)?;
            return view_of(&tx, &block, at.index.into(), batch).map(Some);
        }
        let shared = self.shared();
        let pool = shared.pool.lock();
        Ok(pool.get(&hash).map(|p| views::transaction(&p.tx.tx, p.tx.sender, None)))
    }

    fn raw_transaction(&self, hash: TxHash) -> Result<Option<Bytes>> {
        let storage = &self.shared().storage;
        if let Some(at) = storage.tx_location(hash).map_err(internal)? {
            return Ok(storage.transaction(at).map_err(internal)?.map(|t| t.raw));
        }
        let shared = self.shared();
        let pool = shared.pool.lock();
        Ok(pool.get(&hash).map(|p| p.tx.encode().into()))
    }

    fn receipt(&self, hash: TxHash) -> Result<Option<Receipt>> {
        let Some((at, tx, block)) = self.locate(hash)? else { return Ok(None) };
        let (receipt, batch) = (self.receipt_at(at)?, self.batch_view(at.block)?);
        let place = views::inclusion(&block, at.index.into());
        Ok(Some(views::receipt(&decode(&tx.raw)?, &tx, &receipt, place, batch)))
    }

    fn state(&self, block: BlockRef) -> Result<Box<dyn StateView>> {
        let number = self.number(block)?.ok_or(ChainError::UnknownBlock)?;
        Ok(Box::new(super::simulate::Overlay::new(self.snapshot(number)?)))
    }

    fn pending_nonce(&self, address: Address) -> Result<u64> {
        let shared = self.shared();
        let pooled = shared.pool.lock().next_nonce(&address);
        let account = shared.accounts.get(&shared.storage, address).map_err(internal)?;
        Ok(pooled.unwrap_or(0).max(account.nonce))
    }

    fn block_gas_limit(&self) -> u64 {
        BLOCK_GAS_LIMIT
    }

    fn tx_gas_cap(&self) -> Option<u64> {
        Some(TX_GAS_LIMIT)
    }

    fn fees(&self) -> Result<Fees> {
        let shared = self.shared();
        Ok(Fees {
            next_base_fee: shared.fees.read().base_fee.into(),
            suggested_tip: shared.config.mempool.min_tip,
            next_blob_base_fee: 0,
            max_blob_gas: 0,
        })
    }

    fn submit(&self, raw: Bytes) -> BoxFuture<'_, Result<TxHash>> {
        self.sequencer.submit(raw).boxed()
    }

    fn call(&self, call: CallRequest, tracer: Option<&mut dyn TxTracer>) -> Result<CallOutcome> {
        self.simulate(call, tracer)
    }

    fn replay(&self, target: ReplayTarget, tracer: &mut dyn TxTracer) -> Result<()> {
        match target {
            ReplayTarget::Block(block) => {
                let number = self.number(block)?.ok_or(ChainError::UnknownBlock)?;
                self.replay_block(number, None, tracer)
            }
            ReplayTarget::Transaction(hash) => {
                let at = self.shared().storage.tx_location(hash).map_err(internal)?;
                let at = at.ok_or(ChainError::UnknownTransaction)?;
                self.replay_block(at.block, Some(at.index), tracer)
            }
        }
    }

    fn pool_counts(&self) -> Result<(usize, usize)> {
        let shared = self.shared();
        let pool = shared.pool.lock();
        let pending = pool.iter().filter(|(_, executable)| *executable).count();
        Ok((pending, pool.len() - pending))
    }

    fn pool(&self) -> Result<PoolSnapshot> {
        let shared = self.shared();
        let pool = shared.pool.lock();
        let mut snapshot = PoolSnapshot::default();
        let mut sorted: BTreeMap<(Address, u64), _> = BTreeMap::new();
        for (tx, executable) in pool.iter() {
            sorted.insert((tx.tx.sender, tx.tx.tx.nonce()), (tx.tx.clone(), executable));
        }
        drop(pool);
        // An answer is built as values before it is text: some times its calldata.
        let mut room = MAX_POOL_VIEW_BYTES;
        for (tx, executable) in sorted.into_values() {
            let list = if executable { &mut snapshot.pending } else { &mut snapshot.queued };
            let Some(left) = room.checked_sub(tx.tx.input().len()) else { continue };
            if list.len() < MAX_POOL_VIEW {
                list.push(views::transaction(&tx.tx, tx.sender, None));
                room = left;
            }
        }
        Ok(snapshot)
    }

    fn proof(
        &self,
        _address: Address,
        _keys: Vec<B256>,
        _block: BlockRef,
    ) -> Result<EIP1186AccountProofResponse> {
        // The state is no Merkle-Patricia trie: an EIP-1186 proof of it does not exist.
        Err(ChainError::Unsupported(
            "the method eth_getProof does not exist/is not available: use zks_getProof, which proves slots in this chain's state tree"
                .into(),
        ))
    }

    fn fork(&self) -> Result<EthForkConfig> {
        let genesis = self.record(BlockRef::Number(0))?.ok_or(ChainError::UnknownBlock)?;
        // There are no blobs on this chain; clients want the other numbers all the same.
        let none = BlobParams { target_blob_count: 0, max_blob_count: 0, ..BlobParams::osaka() };
        let own = SYSTEM_CONTRACTS.map(|(name, at)| (SystemContract::Other(name.into()), at));
        let history = (SystemContract::HistoryStorage, address::HISTORY_STORAGE);
        let contracts = own.into_iter().chain([history]);
        Ok(fork::since_genesis(self.chain_id(), genesis.hash, SPEC, none, contracts))
    }

    fn subscribe_blocks(&self) -> broadcast::Receiver<Arc<BlockEvent>> {
        self.sequencer.subscribe_blocks()
    }

    fn subscribe_pending(&self) -> broadcast::Receiver<TxHash> {
        self.sequencer.subscribe_pending()
    }
}
