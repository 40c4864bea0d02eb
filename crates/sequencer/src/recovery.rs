//! The start, which is the recovery: the pool from the log of accepted transactions, batches from the blocks that no batch holds.

use std::io;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use alloy_primitives::{B256, Bytes};
use cairn_primitives::{FeeParams, Transaction};
use cairn_rpc::BlockEvent;
use cairn_stf::{BatchLimits, BlockEnvParams, BlockExecutor, BlockOutput, RecoveredTx};
use cairn_storage::{BlockRecord, LogEntry, Storage, TxLog};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, broadcast, watch};

use crate::batcher::{self, MAX_BLOCKS, OpenBatch, QUEUE};
use crate::builder::{Builder, Command};
use crate::clock::Clock;
use crate::config::{BlockTime, SequencerConfig};
use crate::error::SequencerError;
use crate::mempool::Mempool;
use crate::shared::{BLOCK_EVENTS, PENDING_EVENTS, Shared};
use crate::state::{CodeCache, HeadAccounts, HeadSlots, SnapshotReader};

/// Commands that wait for the builder.
const COMMANDS: usize = 1_024;

type Threads = Vec<JoinHandle<()>>;

/// What a sequencer keeps when its store goes back.
struct Kept {
    config: SequencerConfig,
    storage: Storage,
    log: TxLog,
    clock: Clock,
    block_time: BlockTime,
    fees: FeeParams,
    blocks: broadcast::Sender<Arc<BlockEvent>>,
    pending: broadcast::Sender<B256>,
    head: watch::Sender<u64>,
}

/// Recovers and starts the threads.
pub(crate) fn start(
    config: SequencerConfig,
    storage: Storage,
) -> Result<(Arc<Shared>, Threads), SequencerError> {
    let (log, entries) = storage.open_tx_log()?;
    let kept = Kept {
        log,
        clock: Clock::default(),
        block_time: config.block_time,
        fees: config.fees,
        blocks: broadcast::channel(BLOCK_EVENTS).0,
        pending: broadcast::channel(PENDING_EVENTS).0,
        head: watch::channel(storage.head_number()).0,
        config,
        storage,
    };
    launch(kept, entries)
}

/// Starts the threads again on a store that went back, with the pool, the clock and the fees of then. Who subscribed goes on to hear of blocks.
pub(crate) fn start_again(
    old: &Shared,
    clock: Clock,
    fees: FeeParams,
    pool: Vec<LogEntry>,
) -> Result<(Arc<Shared>, Threads), SequencerError> {
    let kept = Kept {
        config: old.config.clone(),
        storage: old.storage.clone(),
        log: old.log.clone(),
        clock,
        block_time: *old.block_time.lock(),
        fees,
        blocks: old.blocks.clone(),
        pending: old.pending.clone(),
        head: old.head.clone(),
    };
    launch(kept, pool)
}

fn launch(kept: Kept, entries: Vec<LogEntry>) -> Result<(Arc<Shared>, Threads), SequencerError> {
    let Kept { config, storage, log, clock, block_time, fees, blocks, pending, head: heads } = kept;
    let head = storage
        .head()
        .ok_or_else(|| SequencerError::Refused("the data directory has no genesis".into()))?;
    heads.send_replace(head.header.number);
    let (commands, receiver) = sync_channel(COMMANDS);
    let (caught_up_sender, caught_up) = watch::channel(false);
    let shared = Arc::new(Shared {
        pool: Mutex::new(Mempool::new(config.mempool, fees.base_fee)),
        log,
        judging: Semaphore::new(1),
        accounts: HeadAccounts::new(head.header.number),
        codes: Arc::new(CodeCache::default()),
        clock,
        block_time: Mutex::new(block_time),
        fees: RwLock::new(fees),
        next_priority: AtomicU64::new(storage.next_priority_id()?),
        priority_end: AtomicU64::new(storage.priority_queue()?.0),
        commands,
        woken: AtomicBool::new(false),
        backpressure: AtomicBool::new(false),
        l1_seen: Mutex::new(Instant::now()),
        blocks,
        pending,
        head: heads,
        halted: RwLock::new(None),
        stopping: AtomicBool::new(false),
        caught_up,
        config,
        storage,
    });
    reload_pool(&shared, entries)?;
    let handles = start_threads(&shared, receiver, head.header.number, caught_up_sender)?;
    Ok((shared, handles))
}

fn start_threads(
    shared: &Arc<Shared>,
    commands: Receiver<Command>,
    head: u64,
    caught_up: watch::Sender<bool>,
) -> Result<Threads, SequencerError> {
    let backlog = shared.storage.batch_heads().last_sealed_block + 1..=head;
    let (sender, batcher) = batcher::queue(shared.clone(), backlog, caught_up)?;
    let sealing = spawn("batcher", shared, move || batcher.run())?;
    let now = Instant::now();
    let builder = Builder {
        shared: shared.clone(),
        commands,
        batches: sender,
        open: OpenBatch::new(1),
        slots: HeadSlots::default(),
        last_block_at: now,
        last_block_txs: 0,
        last_sweep: now,
    };
    let building = spawn("builder", shared, move || builder.run())?;
    shared.wake();
    Ok(vec![building, sealing])
}

/// A thread whose panic stops the sequencer, as an error of it would.
fn spawn(
    name: &str,
    shared: &Arc<Shared>,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    let (shared, panicked) = (shared.clone(), format!("the {name} panicked"));
    thread::Builder::new().name(name.into()).spawn(move || {
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            shared.halt(&SequencerError::Stopped(panicked));
        }
    })
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

/// About how many batches these blocks make, as far as their records tell; [`QUEUE`] stands for as many or more.
pub(crate) fn batches_in(
    storage: &Storage,
    blocks: RangeInclusive<u64>,
    limits: &BatchLimits,
) -> Result<usize, SequencerError> {
    const AT_ONCE: u64 = 1_000;
    let (mut count, mut txs, mut gas, mut pubdata, mut logs) = (0u64, 0u64, 0u64, 0u64, 0u64);
    let mut batches = 0;
    let mut first = *blocks.start();
    while first <= *blocks.end() && batches < QUEUE as u64 {
        for block in storage.blocks(first, (first + AT_ONCE - 1).min(*blocks.end()))? {
            count += 1;
            txs += u64::from(block.tx_count);
            gas = gas.saturating_add(block.header.gas_used);
            pubdata = pubdata.saturating_add(block.pubdata_bytes);
            logs += u64::from(block.l2_to_l1_count);
        }
        let parts = [
            (count, MAX_BLOCKS as u64),
            (txs, limits.txs),
            (gas, limits.gas),
            (pubdata, limits.pubdata),
            (logs, limits.l2_to_l1_logs),
        ];
        batches = parts.iter().map(|(have, most)| have.div_ceil((*most).max(1))).max().unwrap_or(0);
        first += AT_ONCE;
    }
    Ok(usize::try_from(batches).map_or(QUEUE, |n| n.min(QUEUE)))
}

/// Executes a stored block again on the state before it; its hash must come out the same.
pub(crate) fn replay(
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
