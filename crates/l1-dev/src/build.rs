//! Building a block: which transactions go in, and the header that they make.

use crate::block::{BLOBS, Outcome, SentTx, StoredBlock, block_bloom, receipt};
use crate::core::{Core, Writer};
use crate::evm::{self, Evm};
use crate::pool::PoolTx;
use crate::state::StateDb;
use alloy_consensus::{Header, Transaction as _, Typed2718};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;
use alloy_eips::eip7685::Requests;
use alloy_primitives::{Address, TxHash};
use alloy_trie::root::ordered_trie_root_with_encoder;
use cairn_rpc::ChainError;
use revm::context_interface::result::{EVMError, InvalidTransaction};
use std::collections::HashSet;
use std::sync::Arc;

/// EIP-7934: a block is at most 10 MiB less 2 MiB for the consensus layer's part.
const MAX_BLOCK_SIZE: usize = 8 << 20;
/// Gas of the cheapest transaction.
const MIN_TX_GAS: u64 = 21_000;

/// Where a block's transactions come from.
pub(crate) enum Source {
    /// The pool's best.
    Pool,
    /// Exactly these; one that is invalid is left out.
    Given(Vec<Arc<PoolTx>>),
}

/// A block in the making.
struct Builder {
    header: Header,
    included: Vec<Arc<PoolTx>>,
    outcomes: Vec<Outcome>,
    gas_used: u64,
    blob_gas_used: u64,
    size: usize,
    /// Senders of which nothing more can go in, for want of gas or of a nonce.
    skipped: HashSet<Address>,
    invalid: Vec<TxHash>,
}

impl Builder {
    fn new(header: Header) -> Self {
        Self {
            header,
            included: Vec::new(),
            outcomes: Vec::new(),
            gas_used: 0,
            blob_gas_used: 0,
            size: 0,
            skipped: HashSet::new(),
            invalid: Vec::new(),
        }
    }

    fn fits(&self, tx: &PoolTx) -> bool {
        let blob_gas = tx.sent.tx.blob_gas_used().unwrap_or_default();
        self.gas_used.saturating_add(tx.sent.tx.gas_limit()) <= self.header.gas_limit
            && self.blob_gas_used + blob_gas <= BLOBS.max_blob_count * DATA_GAS_PER_BLOB
            && self.size + tx.size <= MAX_BLOCK_SIZE
    }

    fn is_full(&self) -> bool {
        self.gas_used.saturating_add(MIN_TX_GAS) > self.header.gas_limit
    }

    fn include(&mut self, evm: &mut Evm, tx: Arc<PoolTx>) -> Result<(), ChainError> {
        let sent = &tx.sent;
        if self.skipped.contains(&sent.sender) {
            return Ok(());
        }
        if !self.fits(&tx) {
            self.skipped.insert(sent.sender);
            return Ok(());
        }
        match evm::execute(evm, sent) {
            Ok(result) => {
                let gas_used = result.tx_gas_used();
                self.gas_used += gas_used;
                self.blob_gas_used += sent.tx.blob_gas_used().unwrap_or_default();
                self.size += tx.size;
                let contract = sent.tx.is_create().then(|| sent.sender.create(sent.tx.nonce()));
                let status = result.is_success();
                let logs = if status {
                    result.into_logs().into_iter().map(Into::into).collect()
                } else {
                    Vec::new()
                };
                self.outcomes.push(Outcome { status, gas_used, contract, logs });
                self.included.push(tx);
                Ok(())
            }
            Err(EVMError::Transaction(
                InvalidTransaction::NonceTooHigh { .. }
                | InvalidTransaction::GasPriceLessThanBasefee,
            )) => {
                self.skipped.insert(sent.sender);
                Ok(())
            }
            Err(EVMError::Transaction(error)) => {
                tracing::debug!(hash = %tx.hash(), %error, "a transaction became invalid and is dropped");
                self.skipped.insert(sent.sender);
                self.invalid.push(tx.hash());
                Ok(())
            }
            Err(other) => Err(ChainError::Internal(other.to_string())),
        }
    }

    /// The finished block, but for its hash's dependence on the state root, which is `state`'s.
    fn finish(
        mut self,
        state: &StateDb,
        requests: Requests,
    ) -> (StoredBlock, Vec<Arc<PoolTx>>, Vec<TxHash>) {
        let mut cumulative = 0u64;
        let receipts: Vec<_> = self
            .included
            .iter()
            .zip(&self.outcomes)
            .map(|(tx, outcome)| {
                cumulative += outcome.gas_used;
                receipt(tx.sent.tx.ty(), outcome, cumulative)
            })
            .collect();
        let txs: Vec<SentTx> = self.included.iter().map(|t| t.sent.clone()).collect();
        let header = &mut self.header;
        header.transactions_root =
            ordered_trie_root_with_encoder(&txs, |t: &SentTx, out| t.tx.encode_2718(out));
        header.receipts_root =
            ordered_trie_root_with_encoder(&receipts, |r, out| r.encode_2718(out));
        header.logs_bloom = block_bloom(&receipts);
        header.state_root = state.state.root();
        header.gas_used = self.gas_used;
        header.blob_gas_used = Some(self.blob_gas_used);
        header.requests_hash = Some(requests.requests_hash());
        let block = StoredBlock {
            hash: header.hash_slow(),
            header: self.header,
            txs,
            outcomes: self.outcomes,
        };
        (block, self.included, self.invalid)
    }
}

impl Core {
    /// Mines one block and makes it the head.
    pub(crate) fn mine_one(
        self: &Arc<Self>,
        writer: &mut Writer,
        timestamp: Option<u64>,
        source: Source,
    ) -> Result<Arc<StoredBlock>, ChainError> {
        let head = self.head();
        let parent_time = head.block.header.timestamp;
        if let Some(timestamp) = timestamp {
            writer.clock.set_next(timestamp, parent_time)?;
        }
        let header = self.next_header(writer, &head.block, writer.clock.peek(parent_time));
        let base_fee = header.base_fee_per_gas.unwrap_or_default();
        let candidates = match source {
            Source::Given(txs) => txs,
            Source::Pool => {
                let most = usize::try_from(header.gas_limit / MIN_TX_GAS).unwrap_or(usize::MAX);
                self.pool.lock().best(base_fee, most, |sender| head.state.nonce(sender))
            }
        };
        let mut evm = evm::evm(self.db(head.state.clone()), self.cfg(), evm::block_env(&header));
        evm::pre_block(&mut evm, &header)?;
        let mut builder = Builder::new(header);
        for tx in candidates {
            builder.include(&mut evm, tx)?;
            if builder.is_full() {
                break;
            }
        }
        let requests = Requests::new(evm::post_block(&mut evm)?);
        let db = evm.ctx.journaled_state.database;
        let (block, included, invalid) = builder.finish(&db, requests);
        let blobs = included
            .iter()
            .filter_map(|tx| Some((tx.sent.tx.blob_versioned_hashes()?, tx.sidecar.as_ref()?)));
        let blobs = blobs
            .flat_map(|(hashes, sidecar)| hashes.iter().copied().zip(&sidecar.blobs))
            .collect();
        let block = self.append(block, &head.state, db.state, &db.touched, blobs)?;
        writer.clock.take(parent_time);
        (writer.base_fee, writer.prevrandao) = (None, None);
        self.tidy_pool(&included, &invalid);
        self.announce(&block);
        Ok(block)
    }

    fn tidy_pool(&self, included: &[Arc<PoolTx>], invalid: &[TxHash]) {
        let state = self.head().state;
        let mut pool = self.pool.lock();
        let senders: HashSet<_> = included.iter().map(|tx| tx.sent.sender).collect();
        senders.into_iter().for_each(|sender| pool.prune(sender, state.nonce(sender)));
        invalid.iter().for_each(|hash| {
            pool.remove(hash);
        });
    }

    /// Replaces the last `depth` blocks by as many, with these transactions at their offsets.
    pub(crate) fn reorganise(
        self: &Arc<Self>,
        depth: u64,
        txs: Vec<(Arc<PoolTx>, u64)>,
    ) -> Result<(), ChainError> {
        let mut writer = self.writer.lock();
        let head = self.head().block.number();
        let Some(to) = head.checked_sub(depth).filter(|_| depth > 0) else {
            return Err(ChainError::InvalidParams(format!(
                "reorg depth {depth} is not between 1 and the head's number {head}"
            )));
        };
        if let Some((_, offset)) = txs.iter().find(|(_, offset)| *offset >= depth) {
            return Err(ChainError::InvalidParams(format!(
                "block offset {offset} is not under the reorg's depth {depth}"
            )));
        }
        let state = self.entry(cairn_rpc::BlockRef::Number(to))?.state;
        self.rewind(&writer, to, state)?;
        writer.salt += 1;
        for offset in 0..depth {
            let given =
                txs.iter().filter(|(_, at)| *at == offset).map(|(tx, _)| Arc::clone(tx)).collect();
            self.mine_one(&mut writer, None, Source::Given(given))?;
        }
        Ok(())
    }
}
