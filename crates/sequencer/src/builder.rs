//! The thread that builds blocks. It alone writes to the chain.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, Bloom};
use cairn_primitives::eip712::EIP712_TX_TYPE;
use cairn_primitives::{FeeParams, PriorityTx};
use cairn_rpc::ChainError;
use cairn_stf::life::aa::nonce::UNORDERED;
use cairn_stf::{
    BatchLimits, BatchUsage, BlockEnvParams, BlockExecutor, BlockOutput, ExecError, RecoveredTx,
    TxResult,
};
use cairn_storage::{
    Account, BlockCommit, BlockRecord, CommittedTx, LogEntry, LogRecord, ReceiptRecord, StateDiff,
    StorageError, TxRecord,
};
use tokio::sync::oneshot;

use crate::batcher::{BatchSender, OpenBatch};
use crate::clock::unix_now_ms;
use crate::config::BlockTime;
use crate::error::SequencerError;
use crate::judge::Verdict;
use crate::shared::Shared;
use crate::state::{HeadReader, HeadSlots, SnapshotReader, StateError};

/// Most candidates looked at for one block.
const MAX_CANDIDATES: usize = 4_000;
/// Most priority operations taken into one block.
const MAX_PRIORITY_PER_BLOCK: usize = 500;
/// Longest that the transactions of one block are executed: what waits behind gets its turn in the next.
const MAX_BUILD_TIME: Duration = Duration::from_millis(200);
/// Longest pause by which a block waits for company under load.
const MAX_LINGER: Duration = Duration::from_millis(20);
/// Longest that transactions are judged again after a block.
const MAX_JUDGE_TIME: Duration = Duration::from_millis(5);
/// How often the pool is swept.
const SWEEP: Duration = Duration::from_secs(60);
/// Most blocks of one `evm_mine`.
pub(crate) const MAX_MINE: u64 = 100_000;

/// What the builder is asked for.
pub(crate) enum Command {
    /// Something may wait.
    Wake,
    /// Build blocks now, empty ones too.
    Mine {
        blocks: u64,
        interval: Option<u64>,
        timestamp: Option<u64>,
        done: oneshot::Sender<Result<B256, SequencerError>>,
    },
    /// Seal what is there; answers the number of the last batch cut so far.
    Seal(oneshot::Sender<Result<u64, SequencerError>>),
    /// New fee parameters, from the next batch on.
    Fees(FeeParams),
    /// End the thread.
    Stop,
}

pub(crate) struct Builder {
    pub(crate) shared: Arc<Shared>,
    pub(crate) commands: Receiver<Command>,
    pub(crate) batches: BatchSender,
    pub(crate) open: OpenBatch,
    pub(crate) slots: HeadSlots,
    pub(crate) last_block_at: Instant,
    pub(crate) last_block_txs: usize,
    pub(crate) last_sweep: Instant,
}

impl Builder {
    pub(crate) fn run(mut self) {
        loop {
            let command = match self.commands.recv_timeout(self.pause()) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let outcome = match command {
                Some(Command::Stop) => break,
                Some(command) => self.obey(command),
                None => Ok(()),
            };
            if let Err(e) = outcome.and_then(|()| self.work()) {
                self.shared.halt(&e);
                break;
            }
        }
        // Requests that come now are answered by the closed channel.
    }

    fn obey(&mut self, command: Command) -> Result<(), SequencerError> {
        match command {
            Command::Wake => self.shared.woken.store(false, Ordering::Release),
            Command::Mine { blocks, interval, timestamp, done } => {
                let _ = done.send(self.mine(blocks, interval, timestamp));
            }
            Command::Seal(done) => {
                let cut = self.cut();
                let _ = done.send(cut.map(|()| self.batches.number_of(self.open.number - 1)));
            }
            Command::Fees(fees) => self.set_fees(fees)?,
            Command::Stop => {}
        }
        Ok(())
    }

    /// How long to wait for a command: until work can be done that no command announces.
    fn pause(&self) -> Duration {
        let idle = Duration::from_millis(500);
        let batch =
            self.batch_deadline().map_or(idle, |at| at.saturating_duration_since(Instant::now()));
        if !self.has_work() {
            return batch.min(idle);
        }
        match *self.shared.block_time.lock() {
            BlockTime::Manual => batch.min(idle),
            BlockTime::Instant => self.linger().min(batch),
            BlockTime::Interval(every) => {
                every.saturating_sub(self.last_block_at.elapsed()).min(batch)
            }
        }
    }

    /// Under load a block waits a little for company, so that the cost of a durable commit is shared.
    fn linger(&self) -> Duration {
        if self.last_block_txs <= 2 {
            return Duration::ZERO;
        }
        let want = Duration::from_micros(200 * self.last_block_txs as u64).min(MAX_LINGER);
        want.saturating_sub(self.last_block_at.elapsed())
    }

    fn has_work(&self) -> bool {
        !self.is_backpressed()
            && (self.shared.priority_waiting() || self.shared.pool.lock().has_executable())
    }

    fn is_backpressed(&self) -> bool {
        let full = self.shared.is_blind()
            || self.shared.unsettled() >= self.shared.config.batches.max_unsettled
            || self.batches.is_full();
        self.shared.backpressure.store(full, Ordering::Relaxed);
        full
    }

    fn work(&mut self) -> Result<(), SequencerError> {
        self.sweep();
        if self.batch_deadline().is_some_and(|at| at <= Instant::now()) {
            self.cut()?;
        }
        let due = match *self.shared.block_time.lock() {
            BlockTime::Manual => false,
            BlockTime::Instant => self.linger().is_zero(),
            BlockTime::Interval(every) => self.last_block_at.elapsed() >= every,
        };
        if due && self.has_work() {
            self.build(false)?;
        }
        Ok(())
    }

    fn sweep(&mut self) {
        if self.last_sweep.elapsed() < SWEEP {
            return;
        }
        self.last_sweep = Instant::now();
        let expired = self.shared.pool.lock().expire(Instant::now());
        self.shared.log_dropped(&expired);
        self.shared.compact_log();
    }

    fn batch_deadline(&self) -> Option<Instant> {
        let batches = &self.shared.config.batches;
        let age = batches.max_age?;
        let executed = self.shared.storage.batch_heads().executed;
        let waiting = self.batches.number_of(self.open.number).saturating_sub(1 + executed);
        if waiting >= batches.busy_at {
            return None;
        }
        (self.open.usage.txs > 0 && !self.batches.is_full()).then(|| self.open.since + age)
    }

    fn mine(
        &mut self,
        blocks: u64,
        interval: Option<u64>,
        timestamp: Option<u64>,
    ) -> Result<B256, SequencerError> {
        if blocks > MAX_MINE {
            return Err(SequencerError::Refused(format!(
                "{blocks} blocks at once are more than {MAX_MINE}"
            )));
        }
        for i in 0..blocks {
            let parent = self.shared.head().header.timestamp;
            let at = match (i, timestamp, interval) {
                (0, Some(t), _) => Some(t),
                (1.., _, Some(by)) => Some(parent.saturating_add(by)),
                _ => None,
            };
            if let Some(at) = at {
                self.shared
                    .clock
                    .set_next(at, parent)
                    .map_err(|e| SequencerError::Refused(e.to_string()))?;
            }
            self.build(true)?;
        }
        Ok(self.shared.head().hash)
    }

    fn set_fees(&mut self, fees: FeeParams) -> Result<(), SequencerError> {
        if *self.shared.fees.read() == fees {
            return Ok(());
        }
        // A batch has one set of fee parameters.
        self.cut()?;
        *self.shared.fees.write() = fees;
        let dropped = self.shared.pool.lock().set_base_fee(fees.base_fee);
        self.shared.log_dropped(&dropped);
        Ok(())
    }

    /// Hands the open batch over to be sealed, if it holds a block.
    fn cut(&mut self) -> Result<(), SequencerError> {
        if self.open.blocks.is_empty() {
            return Ok(());
        }
        let next = self.open.successor();
        let batch = std::mem::replace(&mut self.open, next);
        self.batches.send(batch)
    }

    /// Builds and commits one block; without `force` only if a transaction enters it.
    fn build(&mut self, force: bool) -> Result<(), SequencerError> {
        let number = self.shared.head_number() + 1;
        let mut built = self.execute(number, force)?;
        if matches!(built, Built::Nothing { batch_full: true }) {
            self.cut()?;
            built = self.execute(number, force)?;
        }
        let Built::Block(output, body) = built else { return Ok(()) };
        let commit = self.commit_of(&output, &body);
        match self.shared.storage.commit_block(&commit) {
            // Nothing was written: the next round builds it anew.
            Err(StorageError::PriorityGone(_)) => return self.reread_priority_ops(),
            outcome => outcome?,
        }
        self.committed(output, commit, body)
    }

    fn reread_priority_ops(&self) -> Result<(), SequencerError> {
        let (end, _) = self.shared.storage.priority_queue()?;
        self.shared.priority_end.store(end, Ordering::Release);
        self.shared.wake();
        Ok(())
    }

    fn env(&self, number: u64) -> BlockEnvParams {
        let head = self.shared.head();
        BlockEnvParams {
            chain_id: self.shared.config.chain.chain_id,
            number,
            timestamp: self.shared.clock.peek(head.header.timestamp),
            parent_hash: head.hash,
            beneficiary: self.shared.config.operator,
            fees: *self.shared.fees.read(),
        }
    }

    fn execute(&self, number: u64, force: bool) -> Result<Built, SequencerError> {
        let shared = &self.shared;
        let first_op = shared.next_priority.load(Ordering::Acquire);
        let ops = if shared.priority_waiting() {
            shared.storage.priority_ops(first_op, MAX_PRIORITY_PER_BLOCK)?
        } else {
            Vec::new()
        };
        let candidates: Vec<_> = shared.pool.lock().best().take(MAX_CANDIDATES).collect();
        if ops.is_empty() && candidates.is_empty() && !force {
            return Ok(Built::Nothing { batch_full: false });
        }
        let snapshot = SnapshotReader::at(&shared.storage, number - 1, shared.codes.clone())?;
        let reader = HeadReader { snapshot, accounts: &shared.accounts, slots: &self.slots };
        let env = self.env(number);
        let mut filler = Filler {
            executor: BlockExecutor::new(env, &reader),
            env,
            reader: &reader,
            discarded: false,
            limits: shared.config.batches.limits,
            open: self.open.usage,
            body: Body { next_priority_id: first_op, ..Body::default() },
            number,
            batch_full: false,
            started: Instant::now(),
        };
        filler.take_priority(ops, first_op)?;
        filler.take_signed(candidates)?;
        if filler.body.included.is_empty() && (!force || filler.batch_full) {
            // What failed validation leaves the pool even when no block comes of it.
            self.drop_invalid(&filler.body.invalid);
            return Ok(Built::Nothing { batch_full: filler.batch_full });
        }
        filler.forget_discarded()?;
        let mut body = filler.body;
        body.batch_full = filler.batch_full;
        Ok(Built::Block(Box::new(filler.executor.finish()), body))
    }

    fn commit_of(&self, output: &BlockOutput, body: &Body) -> BlockCommit {
        let mut bloom = Bloom::ZERO;
        let (mut first_log, mut first_l2_to_l1, mut size) = (0, 0, 0);
        let mut transactions = Vec::with_capacity(output.results.len());
        for (tx, result) in body.included.iter().zip(&output.results) {
            for log in &result.logs {
                bloom.accrue_log(log);
            }
            let raw = tx.encode();
            size += raw.len() as u64;
            let receipt = receipt_record(result, first_log, first_l2_to_l1);
            first_log += receipt.logs.len() as u32;
            first_l2_to_l1 += receipt.l2_to_l1_logs.len() as u32;
            let tx = TxRecord { hash: tx.hash, sender: tx.sender, raw: raw.into() };
            transactions.push(CommittedTx { tx, receipt });
        }
        let block = BlockRecord {
            header: output.header.clone(),
            hash: output.hash,
            gas_limit: cairn_stf::limits::BLOCK_GAS_LIMIT,
            gas_per_pubdata: self.shared.fees.read().gas_per_pubdata,
            tx_count: transactions.len() as u32,
            priority_count: body.included.iter().filter(|t| t.is_priority()).count() as u32,
            l2_to_l1_count: first_l2_to_l1,
            pubdata_bytes: output.results.iter().map(|r| r.pubdata_bytes).sum(),
            size,
            built_at_ms: unix_now_ms(),
        };
        let diff = state_diff(&output.changes);
        let consumed = body.included.iter().filter(|t| t.is_priority());
        let priority_ops = consumed.map(|t| (t.tx.nonce(), t.hash)).collect();
        BlockCommit {
            block,
            bloom,
            transactions,
            diff,
            next_priority_id: body.next_priority_id,
            priority_ops,
        }
    }

    /// The block is durable: everything else follows.
    fn committed(
        &mut self,
        output: Box<BlockOutput>,
        commit: BlockCommit,
        body: Body,
    ) -> Result<(), SequencerError> {
        let shared = &self.shared;
        shared.clock.used(output.header.timestamp);
        shared.accounts.advance(output.header.number, &output.changes);
        self.slots.advance(&output.changes);
        shared.next_priority.store(body.next_priority_id, Ordering::Release);
        let unfunded = {
            let mut pool = shared.pool.lock();
            let mut gone = Vec::new();
            for (address, (_, after)) in &output.changes.accounts {
                gone.extend(pool.on_account(*address, after));
            }
            gone
        };
        shared.log_dropped(&unfunded);
        let unordered: Vec<B256> = (body.included.iter())
            .filter(|t| t.ty() == EIP712_TX_TYPE && t.tx.nonce() >= UNORDERED)
            .map(|t| t.hash)
            .collect();
        // Their nonces pass no account's nonce, so they leave by name.
        self.drop_invalid(&unordered);
        self.drop_invalid(&body.invalid);
        self.judge_again(&output.changes);
        self.last_block_at = Instant::now();
        self.last_block_txs = body.included.len();
        shared.publish(&commit);
        self.open.add(*output, &body.included);
        if body.batch_full
            || self.open.is_long()
            || shared.config.batches.limits.is_nearly_full(&self.open.usage)
        {
            self.cut()?;
        }
        Ok(())
    }

    /// Asks code again whose storage the block changed, for a bounded time: what is left over is asked when its turn to be executed comes.
    fn judge_again(&self, changes: &cairn_stf::StateChanges) {
        let shared = &self.shared;
        let touched: Vec<_> = {
            let pool = shared.pool.lock();
            let hashes = pool.touched_by(changes);
            hashes.iter().filter_map(|h| pool.get(h).map(|p| p.tx.clone())).collect()
        };
        let started = Instant::now();
        let mut invalid = Vec::new();
        for tx in touched {
            if started.elapsed() > MAX_JUDGE_TIME {
                break;
            }
            let Ok(account) = shared.accounts.get(&shared.storage, tx.sender) else { continue };
            match shared.judge(&tx, &account) {
                Ok(Verdict { judged: Some(judged), .. }) => {
                    shared.pool.lock().judged_again(&tx.hash, judged);
                }
                Ok(_) => {}
                Err(ChainError::Pool(reason)) => {
                    tracing::debug!(hash = %tx.hash, %reason, "dropping a transaction that became invalid");
                    invalid.push(tx.hash);
                }
                Err(e) => tracing::debug!(hash = %tx.hash, error = %e, "not judged again"),
            }
        }
        self.drop_invalid(&invalid);
    }

    fn drop_invalid(&self, invalid: &[B256]) {
        if invalid.is_empty() {
            return;
        }
        let mut pool = self.shared.pool.lock();
        for hash in invalid {
            pool.remove(hash);
        }
        drop(pool);
        self.shared.log_dropped(invalid);
    }
}

enum Built {
    Block(Box<BlockOutput>, Body),
    Nothing { batch_full: bool },
}

/// What went into a block, and what was found unfit on the way.
#[derive(Debug, Default)]
struct Body {
    included: Vec<Arc<RecoveredTx>>,
    invalid: Vec<B256>,
    next_priority_id: u64,
    batch_full: bool,
}

/// Whether a transaction entered the block.
enum Fit {
    /// It did.
    Taken,
    /// Not into this batch.
    Full,
    /// Not even into an empty batch, by this criterion.
    Never(&'static str),
}

/// Fills one block.
struct Filler<'a> {
    executor: BlockExecutor<&'a HeadReader<'a>>,
    env: BlockEnvParams,
    reader: &'a HeadReader<'a>,
    /// The executor has run what did not enter the block: what that read is in its records, and would be in the witness.
    discarded: bool,
    limits: BatchLimits,
    open: BatchUsage,
    body: Body,
    number: u64,
    batch_full: bool,
    started: Instant,
}

impl Filler<'_> {
    fn take_priority(&mut self, ops: Vec<PriorityTx>, first: u64) -> Result<(), SequencerError> {
        for (op, id) in ops.into_iter().zip(first..) {
            if op.id != id || self.is_over_time() {
                break;
            }
            let tx = Arc::new(RecoveredTx::priority(Box::new(op.clone())));
            match self.try_execute(&tx) {
                Ok(Fit::Taken) => self.body.next_priority_id = id + 1,
                Ok(Fit::Full | Fit::Never(_)) => break,
                Err(ExecError::Invalid(e)) if e.is_for_this_block_only() => break,
                // L1 accepted it and nothing can refuse it: this is a fault of ours, and going on would fork from L1's queue.
                Err(ExecError::Invalid(e)) => {
                    return Err(SequencerError::Priority {
                        op: Box::new(op),
                        reason: e.to_string(),
                    });
                }
                Err(e) => return Err(self.fault(e)),
            }
        }
        Ok(())
    }

    fn take_signed(&mut self, candidates: Vec<Arc<RecoveredTx>>) -> Result<(), SequencerError> {
        let mut skipped: HashSet<Address> = HashSet::new();
        for tx in candidates {
            if self.batch_full || self.is_over_time() {
                break;
            }
            if skipped.contains(&tx.sender) {
                continue;
            }
            match self.try_execute(&tx) {
                Ok(Fit::Taken) => {}
                Ok(Fit::Full) => break,
                Ok(Fit::Never(criterion)) => {
                    skipped.insert(tx.sender);
                    tracing::info!(hash = %tx.hash, criterion, "dropping a transaction that fits in no batch");
                    self.body.invalid.push(tx.hash);
                }
                Err(ExecError::Invalid(e)) => {
                    skipped.insert(tx.sender);
                    // What an empty block has no room for, no block has: it would be tried for ever.
                    if !e.is_for_this_block_only() || self.body.included.is_empty() {
                        tracing::debug!(hash = %tx.hash, reason = %e, "dropping a transaction that became invalid");
                        self.body.invalid.push(tx.hash);
                    }
                }
                Err(e) => return Err(self.fault(e)),
            }
        }
        Ok(())
    }

    /// Executes a transaction into the block unless it would overfill the batch.
    fn try_execute(&mut self, tx: &Arc<RecoveredTx>) -> Result<Fit, ExecError<StateError>> {
        if self.batch_full {
            return Ok(Fit::Full);
        }
        let before = self.discarded;
        let mut fit = self.try_once(tx)?;
        if before && !matches!(fit, Fit::Taken) {
            // It was counted with what others had read that are not in the block.
            self.renew()?;
            fit = self.try_once(tx)?;
        }
        self.batch_full = matches!(fit, Fit::Full);
        Ok(fit)
    }

    fn try_once(&mut self, tx: &Arc<RecoveredTx>) -> Result<Fit, ExecError<StateError>> {
        let mut usage = self.open;
        usage.add(self.executor.usage());
        // A priority operation must be taken; alone, it is within what consensus allows.
        let must = usage.txs == 0 && tx.is_priority();
        let (limits, mut never) = (self.limits, None);
        let fits = |result: &TxResult| {
            usage.add_tx(result);
            // What fits in no batch must not end this one.
            let mut alone = BatchUsage::EMPTY_BATCH;
            alone.add_block();
            alone.add_tx(result);
            never = limits.exceeded_by(&alone).filter(|_| !tx.is_priority());
            must || limits.exceeded_by(&usage).is_none()
        };
        let taken = match self.executor.execute_if(tx, fits) {
            Ok(taken) => taken.is_some(),
            Err(e) => {
                self.discarded = true;
                return Err(e);
            }
        };
        if taken {
            self.body.included.push(tx.clone());
            return Ok(Fit::Taken);
        }
        self.discarded = true;
        Ok(never.map_or(Fit::Full, Fit::Never))
    }

    /// An executor that has run nothing but what is in the block.
    fn renew(&mut self) -> Result<(), ExecError<StateError>> {
        let mut executor = BlockExecutor::new(self.env, self.reader);
        for tx in &self.body.included {
            executor.execute(tx)?;
        }
        (self.executor, self.discarded) = (executor, false);
        Ok(())
    }

    /// What was tried and is not in the block leaves nothing behind that a witness would hold.
    fn forget_discarded(&mut self) -> Result<(), SequencerError> {
        if self.discarded {
            self.renew().map_err(|e| self.fault(e))?;
        }
        Ok(())
    }

    fn is_over_time(&self) -> bool {
        self.started.elapsed() > MAX_BUILD_TIME
    }

    fn fault(&self, e: ExecError<StateError>) -> SequencerError {
        match e {
            ExecError::State(StateError::Storage(e)) => e.into(),
            e => SequencerError::Execution { block: self.number, reason: e.to_string() },
        }
    }
}

fn receipt_record(r: &TxResult, first_log_index: u32, first_l2_to_l1_index: u32) -> ReceiptRecord {
    let log = |l: &alloy_primitives::Log| LogRecord {
        address: l.address,
        topics: l.data.topics().to_vec(),
        data: l.data.data.clone(),
    };
    ReceiptRecord {
        success: r.success(),
        gas_used: r.gas_used,
        cumulative_gas_used: r.cumulative_gas_used,
        effective_gas_price: r.effective_gas_price,
        contract_address: r.contract_address,
        pubdata_bytes: r.pubdata_bytes,
        first_log_index,
        first_l2_to_l1_index,
        logs: r.logs.iter().map(log).collect(),
        l2_to_l1_logs: r.l2_to_l1_logs.clone(),
    }
}

/// The store's form of a block's changes.
pub(crate) fn state_diff(changes: &cairn_stf::StateChanges) -> StateDiff {
    let account = |a: &cairn_stf::AccountState| {
        (!a.is_empty()).then_some(Account {
            nonce: a.nonce,
            balance: a.balance,
            code_hash: a.code_hash,
        })
    };
    StateDiff {
        accounts: changes
            .accounts
            .iter()
            .map(|(address, (_, after))| (*address, account(after)))
            .collect(),
        storage: changes
            .slots
            .iter()
            .map(|((address, slot), (_, after))| (*address, *slot, *after))
            .collect(),
        codes: changes.codes.iter().map(|(hash, code)| (*hash, code.clone())).collect(),
    }
}

impl Shared {
    /// Notes in the log that transactions left the pool for good. Nobody waits for it: were it lost, they would be dropped again.
    pub(crate) fn log_dropped(&self, hashes: &[B256]) {
        for hash in hashes {
            if let Err(e) = self.log.append(&LogEntry::Dropped(*hash)) {
                tracing::debug!(%hash, error = %e, "a dropped transaction is not noted");
            }
        }
    }
}
