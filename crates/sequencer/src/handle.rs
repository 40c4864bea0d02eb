//! The sequencer's handle: what the other roles of a node call.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use alloy_primitives::{B256, Bytes};
use cairn_primitives::eip712::EIP712_TX_TYPE;
use cairn_primitives::{FeeParams, PriorityTx};
use cairn_rpc::{BlockEvent, ChainError, PoolError};
use cairn_storage::{BatchHeads, Storage, StorageError};
use parking_lot::Mutex;
use tokio::sync::{broadcast, oneshot, watch};

use crate::admission::admit;
use crate::builder::Command;
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
    pub(crate) shared: Arc<Shared>,
    threads: Arc<Threads>,
}

impl std::fmt::Debug for Sequencer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sequencer").field("status", &self.status()).finish_non_exhaustive()
    }
}

struct Threads {
    shared: Arc<Shared>,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        let _ = self.shared.commands.send(Command::Stop);
        for handle in self.handles.lock().drain(..) {
            let _ = handle.join();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Sequencer {
    /// Starts on an initialised store (see [`crate::open_storage`]): reads the log of accepted transactions back into the pool, executes the blocks
    /// of the open batch again, and goes on where the last run stopped.
    ///
    /// # Errors
    /// A fault of the store, or [`SequencerError::Diverged`].
    pub fn start(config: SequencerConfig, storage: Storage) -> Result<Self, SequencerError> {
        let (shared, handles) = recovery::start(config, storage)?;
        let threads = Threads { shared: shared.clone(), handles: Mutex::new(handles) };
        Ok(Self { shared, threads: Arc::new(threads) })
    }

    /// Takes a signed transaction; resolves to its hash once it is durable.
    ///
    /// # Errors
    /// [`ChainError::Pool`] in geth's words, or a fault of the store.
    pub async fn submit(&self, raw: Bytes) -> Result<B256, ChainError> {
        self.shared.check_running()?;
        let tx = admit(&raw, self.shared.config.chain.chain_id)?;
        let hash = tx.hash;
        let write = if tx.ty() == EIP712_TX_TYPE {
            let shared = self.shared.clone();
            self.shared.in_turn(move || shared.enqueue(tx, &raw)).await??
        } else {
            self.shared.enqueue(tx, &raw)?
        };
        match write.await {
            Ok(Ok(())) => Ok(hash),
            Ok(Err(e)) => {
                self.shared.pool.lock().remove(&hash);
                if matches!(e, StorageError::DiskFull) {
                    self.shared.halt(&StorageError::DiskFull.into());
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
        self.shared.storage.put_priority_ops(&ops, l1_block)?;
        self.refresh_priority_end()
    }

    /// All priority operations that L1 has confirmed are here.
    pub fn saw_l1(&self) {
        *self.shared.l1_seen.lock() = std::time::Instant::now();
    }

    /// Forgets operations from `id` on that no block has consumed: L1 reorganised them away.
    ///
    /// # Errors
    /// A fault of the disk.
    pub fn drop_priority_ops_from(&self, id: u64) -> Result<(), StorageError> {
        self.shared.storage.drop_priority_ops_from(id)?;
        self.refresh_priority_end()
    }

    fn refresh_priority_end(&self) -> Result<(), StorageError> {
        let (end, _) = self.shared.storage.priority_queue()?;
        self.shared.priority_end.store(end, Ordering::Release);
        self.shared.wake();
        Ok(())
    }

    /// Seals what is in the open batch now; returns the number of the last batch that was cut so far. It is in the store a little later: see
    /// [`Storage::watch_batches`]. After a start it first waits until the blocks of earlier runs are in batches.
    ///
    /// # Errors
    /// When the sequencer has stopped.
    pub async fn seal_now(&self) -> Result<u64, SequencerError> {
        let mut caught_up = self.shared.caught_up.clone();
        caught_up.wait_for(|done| *done).await.map_err(|_| self.shared.stopped())?;
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
        self.shared.send(command(done))?;
        answer.await.map_err(|_| self.shared.stopped())?
    }

    /// New fee parameters, from the next block on. They begin a new batch.
    ///
    /// # Errors
    /// When the sequencer has stopped.
    pub fn set_fee_params(&self, fees: FeeParams) -> Result<(), SequencerError> {
        self.shared.send(Command::Fees(fees))
    }

    /// The store.
    pub fn storage(&self) -> &Storage {
        &self.shared.storage
    }

    /// The settings.
    pub fn config(&self) -> &SequencerConfig {
        &self.shared.config
    }

    /// How it is.
    pub fn status(&self) -> SequencerStatus {
        let shared = &self.shared;
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
        self.shared.head.subscribe()
    }

    /// New heads with their logs.
    pub fn subscribe_blocks(&self) -> broadcast::Receiver<Arc<BlockEvent>> {
        self.shared.blocks.subscribe()
    }

    /// Hashes of transactions that enter the pool.
    pub fn subscribe_pending(&self) -> broadcast::Receiver<B256> {
        self.shared.pending.subscribe()
    }

    /// Ends the threads and waits for them. Nothing needs it: the start recovers from any end.
    pub fn stop(&self) {
        self.threads.stop();
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
