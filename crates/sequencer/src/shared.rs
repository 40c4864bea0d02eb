//! What the sequencer's threads and its handles share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Instant;

use alloy_primitives::{B256, Bytes};
use cairn_primitives::FeeParams;
use cairn_rpc::{BlockEvent, PoolError};
use cairn_stf::RecoveredTx;
use cairn_storage::{BlockCommit, BlockRecord, LogEntry, Storage, StorageError, TxLog};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, broadcast, watch};

use crate::builder::Command;
use crate::clock::Clock;
use crate::config::{BlockTime, SequencerConfig};
use crate::error::SequencerError;
use crate::judge::Verdict;
use crate::mempool::Mempool;
use crate::state::{CodeCache, HeadAccounts};

/// Blocks that a slow subscriber may lag behind. Each holds its logs, and who lags further reads them from the store.
pub(crate) const BLOCK_EVENTS: usize = 256;
/// Hashes of accepted transactions that a slow subscriber may lag behind.
pub(crate) const PENDING_EVENTS: usize = 4_096;
/// The log is rewritten when it is larger than this.
const LOG_COMPACTION: u64 = 64 << 20;

pub(crate) struct Shared {
    pub(crate) config: SequencerConfig,
    pub(crate) storage: Storage,
    pub(crate) pool: Mutex<Mempool>,
    pub(crate) log: TxLog,
    /// Whoever has code run before anybody has paid for it holds this: so it occupies one core at most.
    pub(crate) judging: Semaphore,
    pub(crate) accounts: HeadAccounts,
    pub(crate) codes: Arc<CodeCache>,
    pub(crate) clock: Clock,
    pub(crate) block_time: Mutex<BlockTime>,
    pub(crate) fees: RwLock<FeeParams>,
    /// First priority operation that no block has consumed, and the end of those that are stored.
    pub(crate) next_priority: AtomicU64,
    pub(crate) priority_end: AtomicU64,
    pub(crate) commands: SyncSender<Command>,
    pub(crate) woken: AtomicBool,
    pub(crate) backpressure: AtomicBool,
    /// When all confirmed priority operations were last known to be here.
    pub(crate) l1_seen: Mutex<Instant>,
    pub(crate) blocks: broadcast::Sender<Arc<BlockEvent>>,
    pub(crate) pending: broadcast::Sender<B256>,
    pub(crate) head: watch::Sender<u64>,
    pub(crate) halted: RwLock<Option<String>>,
    /// The threads are to end.
    pub(crate) stopping: AtomicBool,
    /// True once the blocks of earlier runs are in batches.
    pub(crate) caught_up: watch::Receiver<bool>,
}

impl Shared {
    /// The last block. The sequencer only runs on an initialised store.
    pub(crate) fn head(&self) -> Arc<BlockRecord> {
        self.storage.head().unwrap_or_else(|| unreachable!("the store has a genesis"))
    }

    pub(crate) fn head_number(&self) -> u64 {
        self.storage.head_number()
    }

    pub(crate) fn priority_waiting(&self) -> bool {
        self.next_priority.load(Ordering::Acquire) < self.priority_end.load(Ordering::Acquire)
    }

    /// Batches that are sealed and not executed on L1.
    pub(crate) fn unsettled(&self) -> u64 {
        let heads = self.storage.batch_heads();
        heads.sealed - heads.executed
    }

    /// Nobody has looked at L1's queue for so long that operations in it may expire unseen.
    pub(crate) fn is_blind(&self) -> bool {
        self.config.max_l1_age.is_some_and(|age| self.l1_seen.lock().elapsed() > age)
    }

    /// Tells the builder that something may wait. Cheap when it knows already.
    pub(crate) fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel)
            && let Err(TrySendError::Full(_)) = self.commands.try_send(Command::Wake)
        {
            // It has commands to go through, and looks for work after each.
            self.woken.store(false, Ordering::Release);
        }
    }

    /// Stops accepting; reads go on.
    pub(crate) fn halt(&self, reason: &SequencerError) {
        tracing::error!(%reason, "the sequencer stops");
        self.halted.write().get_or_insert_with(|| reason.to_string());
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(crate) fn check_running(&self) -> Result<(), PoolError> {
        if let Some(reason) = &*self.halted.read() {
            return Err(PoolError::Other(format!("the node accepts no transactions: {reason}")));
        }
        if self.is_blind() {
            return Err(PoolError::Other(
                "the node accepts no transactions until it can read L1's queue again".into(),
            ));
        }
        if self.backpressure.load(Ordering::Relaxed) {
            return Err(PoolError::Other(
                "the node accepts no transactions until more batches are executed on L1".into(),
            ));
        }
        Ok(())
    }

    /// Runs `work`, which runs code that nobody has paid for yet, off the network threads and one at a time.
    pub(crate) async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, cairn_rpc::ChainError> {
        let _turn = self.judging.acquire().await.map_err(internal)?;
        tokio::task::spawn_blocking(work).await.map_err(internal)
    }

    /// Puts a transaction into the pool and queues it for the log. The pool comes first: the log's compaction copies what the pool holds.
    pub(crate) fn enqueue(
        &self,
        tx: RecoveredTx,
        raw: &Bytes,
    ) -> Result<cairn_storage::LogWrite, cairn_rpc::ChainError> {
        self.check_running()?;
        let (hash, sender) = (tx.hash, tx.sender);
        let account = self.accounts.get(&self.storage, sender).map_err(internal)?;
        let is_account = tx.ty() == cairn_primitives::eip712::EIP712_TX_TYPE;
        if !is_account && account.has_code() && !self.is_delegation(account.code_hash) {
            return Err(PoolError::SenderHasCode(sender).into());
        }
        let Verdict { judged, paymaster_balance } = self.judge(&tx, &account)?;
        let now = Instant::now();
        let added = {
            let mut pool = self.pool.lock();
            // A block may have been committed since: the pool has been told of it, and must not be told of the state before it again.
            let account = self.accounts.get(&self.storage, sender).map_err(internal)?;
            pool.add_judged(tx, raw.len(), &account, judged, paymaster_balance, now)?
        };
        let entry = LogEntry::Accepted { sender, raw: raw.clone() };
        let write = match self.log.append(&entry) {
            Ok(write) => write,
            Err(e) => {
                self.pool.lock().remove(&hash);
                return Err(match e {
                    StorageError::Busy => PoolError::PoolFull.into(),
                    e => internal(e),
                });
            }
        };
        if let Some(old) = added.replaced {
            self.log_dropped(&[old]);
        }
        self.log_dropped(&added.evicted);
        if added.executable {
            self.wake();
        }
        let _ = self.pending.send(hash);
        Ok(write)
    }

    pub(crate) fn is_delegation(&self, code_hash: B256) -> bool {
        let code = self.storage.state().and_then(|s| s.code(code_hash));
        matches!(code, Ok(Some(code)) if code.starts_with(&[0xef, 0x01, 0x00]) && code.len() == 23)
    }

    /// Rewrites the log when it has grown beyond what the pool holds.
    pub(crate) fn compact_log(&self) {
        let live = self.pool.lock().bytes() as u64;
        if self.log.size() < LOG_COMPACTION.max(4 * live) {
            return;
        }
        if let Err(e) = self.rewrite_log() {
            tracing::warn!(error = %e, "the log of accepted transactions is not compacted");
        }
    }

    /// Starts a new segment, copies what waits into it, and deletes the older ones. What is accepted meanwhile is in the new segment already.
    pub(crate) fn rewrite_log(&self) -> Result<(), StorageError> {
        let ended = |_| StorageError::Corrupt("the log's writer ended".into());
        let segment = wait(self.log.rotate()?).map_err(ended)??;
        let live: Vec<_> = self.pool.lock().iter().map(|(tx, _)| tx.tx.clone()).collect();
        for chunk in live.chunks(4_096) {
            let mut writes = Vec::with_capacity(chunk.len());
            for tx in chunk {
                let entry = LogEntry::Accepted { sender: tx.sender, raw: tx.encode().into() };
                writes.push(self.log.append(&entry)?);
            }
            for write in writes {
                wait(write).map_err(ended)??;
            }
        }
        self.log.forget_before(segment)
    }

    /// Tells subscribers of a block that is durable.
    pub(crate) fn publish(&self, commit: &BlockCommit) {
        self.head.send_replace(commit.block.header.number);
        if self.blocks.receiver_count() == 0 {
            return;
        }
        let _ = self.blocks.send(Arc::new(crate::rpc::views::block_event(commit, self)));
    }
}

/// Blocks this thread until `answer` is there. Not a part of tokio's cooperative budget: inside a task that has used its budget up (128 answers a turn) every
/// poll would say "not yet", and this would turn for ever.
pub(crate) fn wait<F: Future>(answer: F) -> F::Output {
    futures::executor::block_on(tokio::task::coop::unconstrained(answer))
}

pub(crate) fn internal(e: impl std::fmt::Display) -> cairn_rpc::ChainError {
    cairn_rpc::ChainError::Internal(e.to_string())
}
