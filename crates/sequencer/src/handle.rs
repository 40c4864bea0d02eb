//! The sequencer's handle: what the other roles of a node call.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use alloy_primitives::{B256, Bytes};
use cairn_primitives::eip712::EIP712_TX_TYPE;
use cairn_primitives::{FeeParams, PriorityTx};
use cairn_rpc::{BlockEvent, ChainError, PoolError};
use cairn_stf::RecoveredTx;
use cairn_storage::{BatchHeads, LogEntry, Savepoint, Storage, StorageError};
use parking_lot::RwLock;
use tokio::sync::{broadcast, oneshot, watch};

use crate::admission::admit;
use crate::builder::Command;
use crate::clock::Clock;
use crate::config::SequencerConfig;
use crate::error::SequencerError;
use crate::recovery;
use crate::shared::Shared;

/// How the sequencer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequencerStatus {
    /// Why it stopped, if it did.
    pub halted: Option<String>,
    /// Whether it waits for batches to settle.
    pub backpressure: bool,
    /// Whether it waits until L1's queue can be read again.
    pub blind: bool,
    /// Number of the last block.
    pub head: u64,
    /// How far batches are.
    pub batches: BatchHeads,
    /// Transactions in the mempool.
    pub pooled: usize,
    /// First priority operation that no block has consumed, and the end of those known.
    pub priority: (u64, u64),
}

/// A running sequencer. Clones share it; it ends when [`Sequencer::stop`] is called or the last clone goes.
#[derive(Clone)]
pub struct Sequencer {
    storage: Storage,
    config: Arc<SequencerConfig>,
    /// Another one after [`Sequencer::rewind`].
    running: Arc<RwLock<Running>>,
}

impl std::fmt::Debug for Sequencer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sequencer").field("status", &self.status()).finish_non_exhaustive()
    }
}

struct Running {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    fn stop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        let _ = self.shared.commands.send(Command::Stop);
        for handle in self.threads.drain(..) {
            let _ = handle.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What [`Sequencer::rewind`] goes back to: the store, the transactions that waited, the clock's settings and the fees.
#[derive(Debug)]
pub struct Snapshot {
    store: Savepoint,
    pool: Vec<LogEntry>,
    clock: Clock,
    fees: FeeParams,
}

impl Sequencer {
    /// Starts on an initialised store (see [`crate::open_storage`]): reads the log of accepted transactions back into the pool, executes the blocks
    /// of the open batch again, and goes on where the last run stopped.
    ///
    /// # Errors
    /// A fault of the store, or [`SequencerError::Diverged`].
    pub fn start(config: SequencerConfig, storage: Storage) -> Result<Self, SequencerError> {
        let (shared, threads) = recovery::start(config, storage.clone())?;
        let config = Arc::new(shared.config.clone());
        let running = Arc::new(RwLock::new(Running { shared, threads }));
        Ok(Self { storage, config, running })
    }

    /// What its threads work on now.
    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.running.read().shared.clone()
    }

    /// Remembers the present state, for development networks. Blocks may be built meanwhile.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn snapshot(&self) -> Result<Snapshot, SequencerError> {
        let shared = self.shared();
        // The pool first: what a block takes meanwhile is found by its nonce, and must not be missing from both.
        let pool = shared.pool.lock().iter().map(|(tx, _)| tx.tx.clone()).collect::<Vec<_>>();
        let accepted = |tx: Arc<RecoveredTx>| {
            let (sender, raw) = (tx.sender, tx.encode().into());
            LogEntry::Accepted { sender, raw }
        };
        let pool = pool.into_iter().map(accepted).collect();
        let (clock, fees) = (shared.clock.clone(), *shared.fees.read());
        Ok(Snapshot { store: self.storage.savepoint()?, pool, clock, fees })
    }

    /// Goes back to a snapshot; younger ones are of no use any more. Nobody else may write to the store meanwhile, and L1 must be where it was: otherwise the chain's history is not L1's.
    /// Whoever asks anything waits until it is done.
    ///
    /// # Errors
    /// A fault of the store: the sequencer is then stopped.
    pub fn rewind(&self, to: &Snapshot) -> Result<(), SequencerError> {
        let mut running = self.running.write();
        running.stop();
        let old = running.shared.clone();
        let again = self.storage.restore(&to.store).map_err(SequencerError::from);
        let again = again
            .and_then(|()| recovery::start_again(&old, to.clock.clone(), to.fees, to.pool.clone()));
        let (shared, threads) = again.inspect_err(|e| old.halt(e))?;
        *running = Running { shared, threads };
        Ok(())
    }

    /// Takes a signed transaction; resolves to its hash once it is durable.
    ///
    /// # Errors
    /// [`ChainError::Pool`] in geth's words, or a fault of the store.
    pub async fn submit(&self, raw: Bytes) -> Result<B256, ChainError> {
        let shared = self.shared();
        shared.check_running()?;
        let tx = admit(&raw, shared.config.chain.chain_id)?;
        let hash = tx.hash;
        let write = if tx.ty() == EIP712_TX_TYPE {
            let judge = shared.clone();
            shared.in_turn(move || judge.enqueue(tx, &raw)).await??
        } else {
            shared.enqueue(tx, &raw)?
        };
        match write.await {
            Ok(Ok(())) => Ok(hash),
            Ok(Err(e)) => {
                shared.pool.lock().remove(&hash);
                if matches!(e, StorageError::DiskFull) {
                    shared.halt(&StorageError::DiskFull.into());
                }
                Err(PoolError::Other(format!("the transaction was not accepted: {e}")).into())
            }
            Err(_) => Err(ChainError::Internal("the log's writer ended".into())),
        }
    }

    /// Takes priority operations that L1 shows, durably, with the L1 block up to which everything was taken. Operations that no block has consumed
    /// are replaced; the others must be the same.
    ///
    /// # Errors
    /// [`StorageError::Order`] for a gap, [`StorageError::PriorityConflict`], or a fault of the disk.
    pub fn submit_priority_ops(
        &self,
        ops: Vec<PriorityTx>,
        l1_block: u64,
    ) -> Result<(), StorageError> {
        self.storage.put_priority_ops(&ops, l1_block)?;
        self.refresh_priority_end()
    }

    /// All priority operations that L1 has confirmed are here.
    pub fn saw_l1(&self) {
        *self.shared().l1_seen.lock() = std::time::Instant::now();
    }

    /// Forgets operations from `id` on that no block has consumed: L1 reorganised them away.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn drop_priority_ops_from(&self, id: u64) -> Result<(), StorageError> {
        self.storage.drop_priority_ops_from(id)?;
        self.refresh_priority_end()
    }

    fn refresh_priority_end(&self) -> Result<(), StorageError> {
        let shared = self.shared();
        let (end, _) = self.storage.priority_queue()?;
        shared.priority_end.store(end, Ordering::Release);
        shared.wake();
        Ok(())
    }

    /// Seals what is in the open batch now; returns the number of the last batch that was cut so far. It is in the store a little later: see
    /// [`Storage::watch_batches`]. After a start it first waits until the blocks of earlier runs are in batches.
    ///
    /// # Errors
    /// When the sequencer has stopped.
    pub async fn seal_now(&self) -> Result<u64, SequencerError> {
        let shared = self.shared();
        let mut caught_up = shared.caught_up.clone();
        caught_up.wait_for(|done| *done).await.map_err(|_| shared.stopped())?;
        self.ask(Command::Seal).await
    }

    /// Builds a block now, even an empty one; returns its hash.
    ///
    /// # Errors
    /// When the sequencer has stopped.
    pub async fn mine(&self) -> Result<B256, SequencerError> {
        self.ask(|done| Command::Mine { blocks: 1, interval: None, timestamp: None, done }).await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, SequencerError>>) -> Command,
    ) -> Result<T, SequencerError> {
        let (done, answer) = oneshot::channel();
        let shared = self.shared();
        shared.send(command(done))?;
        answer.await.map_err(|_| shared.stopped())?
    }

    /// New fee parameters, from the next block on. They begin a new batch.
    ///
    /// # Errors
    /// When the sequencer has stopped.
    pub fn set_fee_params(&self, fees: FeeParams) -> Result<(), SequencerError> {
        self.shared().send(Command::Fees(fees))
    }

    /// The store.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The settings.
    pub fn config(&self) -> &SequencerConfig {
        &self.config
    }

    /// How it is.
    pub fn status(&self) -> SequencerStatus {
        let shared = self.shared();
        SequencerStatus {
            halted: shared.halted.read().clone(),
            backpressure: shared.backpressure.load(Ordering::Relaxed),
            blind: shared.is_blind(),
            head: shared.head_number(),
            batches: shared.storage.batch_heads(),
            pooled: shared.pool.lock().len(),
            priority: (
                shared.next_priority.load(Ordering::Acquire),
                shared.priority_end.load(Ordering::Acquire),
            ),
        }
    }

    /// Tells of every new head.
    pub fn watch_head(&self) -> watch::Receiver<u64> {
        self.shared().head.subscribe()
    }

    /// New heads with their logs.
    pub fn subscribe_blocks(&self) -> broadcast::Receiver<Arc<BlockEvent>> {
        self.shared().blocks.subscribe()
    }

    /// Hashes of transactions that enter the pool.
    pub fn subscribe_pending(&self) -> broadcast::Receiver<B256> {
        self.shared().pending.subscribe()
    }

    /// Ends the threads and waits for them. Nothing needs it: the start recovers from any end.
    pub fn stop(&self) {
        // Reads go on while the threads end.
        let (shared, threads) = {
            let mut running = self.running.write();
            (running.shared.clone(), std::mem::take(&mut running.threads))
        };
        Running { shared, threads }.stop();
    }
}

impl Shared {
    pub(crate) fn send(&self, command: Command) -> Result<(), SequencerError> {
        self.commands.send(command).map_err(|_| self.stopped())
    }

    pub(crate) fn stopped(&self) -> SequencerError {
        let reason = self.halted.read().clone();
        SequencerError::Stopped(reason.unwrap_or_else(|| "it was told to".into()))
    }
}
