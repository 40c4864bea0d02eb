//! The start, which is the recovery: the pool from the log of accepted transactions, the open batch from the blocks that no batch holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use alloy_primitives::Bytes;
use cairn_primitives::{FeeParams, Transaction};
use cairn_stf::{BlockEnvParams, BlockExecutor, BlockOutput, RecoveredTx};
use cairn_storage::{BlockRecord, LogEntry, Storage};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{broadcast, watch};

use crate::batcher::{self, BatchSender, OpenBatch};
use crate::builder::Builder;
use crate::clock::Clock;
use crate::config::SequencerConfig;
use crate::error::SequencerError;
use crate::mempool::Mempool;
use crate::shared::{EVENTS, Shared};
use crate::state::{CodeCache, HeadAccounts, HeadSlots, SnapshotReader};

/// Commands that wait for the builder.
const COMMANDS: usize = 1_024;

type Threads = Vec<JoinHandle<()>>;

/// Recovers and starts the threads.
pub(crate) fn start(
    config: SequencerConfig,
    storage: Storage,
) -> Result<(Arc<Shared>, Threads), SequencerError> {
    let head = storage
        .head()
        .ok_or_else(|| SequencerError::Refused("the data directory has no genesis".into()))?;
    let (log, entries) = storage.open_tx_log()?;
    let (commands, receiver) = sync_channel(COMMANDS);
    // A restart keeps the parameters of the open batch; the caller sets new ones afterwards if L1 has any.
    let fees = open_batch_fees(&storage, &config, &head)?;
    let shared = Arc::new(Shared {
        pool: Mutex::new(Mempool::new(config.mempool, fees.base_fee)),
        log,
        judging: Mutex::new(()),
        accounts: HeadAccounts::new(head.header.number),
        codes: Arc::new(CodeCache::default()),
        clock: Clock::default(),
        block_time: Mutex::new(config.block_time),
        fees: RwLock::new(fees),
        next_priority: AtomicU64::new(storage.next_priority_id()?),
        priority_end: AtomicU64::new(storage.priority_queue()?.0),
        commands,
        woken: AtomicBool::new(false),
        backpressure: AtomicBool::new(false),
        blocks: broadcast::channel(EVENTS).0,
        pending: broadcast::channel(EVENTS).0,
        head: watch::channel(head.header.number).0,
        halted: RwLock::new(None),
        config,
        storage,
    });
    reload_pool(&shared, entries)?;
    let (sender, batcher) = batcher::queue(shared.clone());
    let sealing = thread::Builder::new().name("batcher".into()).spawn(move || batcher.run())?;
    let open = replay_open_batch(&shared, &sender)?;
    let now = Instant::now();
    let builder = Builder {
        shared: shared.clone(),
        commands: receiver,
        batches: sender,
        open,
        slots: HeadSlots::default(),
        last_block_at: now,
        last_block_txs: 0,
        last_sweep: now,
    };
    let building = thread::Builder::new().name("builder".into()).spawn(move || builder.run())?;
    shared.wake();
    Ok((shared, vec![building, sealing]))
}

fn open_batch_fees(
    storage: &Storage,
    config: &SequencerConfig,
    head: &BlockRecord,
) -> Result<FeeParams, SequencerError> {
    if storage.batch_heads().last_sealed_block == head.header.number || head.header.number == 0 {
        return Ok(config.fees);
    }
    Ok(FeeParams { base_fee: head.header.base_fee, gas_per_pubdata: head.gas_per_pubdata })
}

/// Puts what the log holds and no block does back into the pool.
fn reload_pool(shared: &Shared, entries: Vec<LogEntry>) -> Result<(), SequencerError> {
    let total = entries.len();
    {
        let mut pool = shared.pool.lock();
        let now = Instant::now();
        for entry in entries {
            match entry {
                LogEntry::Dropped(hash) => {
                    pool.remove(&hash);
                }
                LogEntry::Accepted { sender, raw } => {
                    let Some(tx) = decode(sender, &raw) else { continue };
                    let account = shared.accounts.get(&shared.storage, sender)?;
                    // A used nonce, above all: a block holds it. Whatever else the pool refuses now it would have dropped by itself.
                    // Code is asked again whether it wants its transaction.
                    let added = match shared.judge(&tx, &account) {
                        Ok(v) => pool
                            .add_judged(tx, raw.len(), &account, v.judged, v.paymaster_balance, now)
                            .map_err(Into::into),
                        Err(e) => Err(e),
                    };
                    if let Err(reason) = added {
                        tracing::trace!(%reason, "not put back into the pool");
                    }
                }
            }
        }
        tracing::debug!(
            entries = total,
            pooled = pool.len(),
            "read the log of accepted transactions"
        );
    }
    // The fresh segment gets what is left, and the old ones go.
    shared.rewrite_log()?;
    Ok(())
}

fn decode(sender: alloy_primitives::Address, raw: &Bytes) -> Option<RecoveredTx> {
    let tx = Transaction::decode(raw).ok()?;
    Some(RecoveredTx::assume_sender(tx, sender))
}

/// Executes the blocks that no sealed batch holds again, and cuts them into batches as they were or would be now.
fn replay_open_batch(shared: &Shared, batches: &BatchSender) -> Result<OpenBatch, SequencerError> {
    let heads = shared.storage.batch_heads();
    let mut open = OpenBatch::new(heads.sealed + 1);
    for number in heads.last_sealed_block + 1..=shared.head_number() {
        let (output, txs, fees) = replay(shared, number)?;
        let mut usage = open.usage;
        usage.add(&output.usage);
        let mixed = open.blocks.last().is_some_and(|(b, _)| b.header.base_fee != fees.base_fee)
            || open.fees.is_some_and(|f| f != fees);
        let full = shared.config.batches.limits.exceeded_by(&usage).is_some();
        if !open.blocks.is_empty() && (full || mixed || open.is_long()) {
            let next = open.successor();
            batches.send(std::mem::replace(&mut open, next))?;
        }
        open.fees = Some(fees);
        open.add(output, &txs);
    }
    Ok(open)
}

/// Executes a stored block again on the state before it; its hash must come out the same.
fn replay(
    shared: &Shared,
    number: u64,
) -> Result<(BlockOutput, Vec<Arc<RecoveredTx>>, FeeParams), SequencerError> {
    let fault = |reason: String| SequencerError::Execution { block: number, reason };
    let storage = &shared.storage;
    let block = storage.block(number)?.ok_or_else(|| fault("it is not stored".into()))?;
    let reader = SnapshotReader::at(storage, number - 1, shared.codes.clone())?;
    let fees =
        FeeParams { base_fee: block.header.base_fee, gas_per_pubdata: block.gas_per_pubdata };
    let mut executor = BlockExecutor::new(block_params(&block, fees), &reader);
    let mut txs = Vec::with_capacity(block.tx_count as usize);
    for stored in storage.transactions(number)? {
        let tx = decode(stored.sender, &stored.raw)
            .ok_or_else(|| fault("a transaction does not decode".into()))?;
        executor.execute(&tx).map_err(|e| fault(e.to_string()))?;
        txs.push(Arc::new(tx));
    }
    let output = executor.finish();
    if output.hash != block.hash {
        return Err(SequencerError::Diverged(number));
    }
    Ok((output, txs, fees))
}

/// The environment in which a stored block was built.
pub(crate) fn block_params(block: &BlockRecord, fees: FeeParams) -> BlockEnvParams {
    let h = &block.header;
    BlockEnvParams {
        chain_id: h.chain_id,
        number: h.number,
        timestamp: h.timestamp,
        parent_hash: h.parent_hash,
        beneficiary: h.beneficiary,
        fees,
    }
}
