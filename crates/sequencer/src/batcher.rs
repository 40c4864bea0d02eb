//! The thread that seals batches: tree proof, witness, data availability, a check of its own work, and the store.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

use alloy_primitives::{B256, FixedBytes, keccak256};
use c_kzg::{Blob, ethereum_kzg_settings};
use cairn_primitives::da::{DaMode, to_blobs};
use cairn_primitives::{FeeParams, LogTree, StoredBatchInfo};
use cairn_state::{Tree, TreeChanges};
use cairn_stf::batch::build::BatchStart;
use cairn_stf::batch::{BatchBuilder, PreparedBatch, SealedBatch};
use cairn_stf::{BatchUsage, BlockOutput, RecoveredTx, prove_batch};
use cairn_storage::{BatchRecord, BatchTree};
use tokio::sync::watch;

use crate::clock::unix_now_ms;
use crate::error::SequencerError;
use crate::recovery::{batches_in, replay};
use crate::shared::Shared;

/// Batches that wait to be sealed; at this many, no block is built.
pub(crate) const QUEUE: usize = 32;

/// A block with its transactions.
type BatchBlock = (BlockOutput, Vec<Arc<RecoveredTx>>);

/// A batch that blocks still enter.
#[derive(Debug)]
pub(crate) struct OpenBatch {
    /// How many batches were cut since the start, up to and with it (more come of it when some are cut again).
    pub(crate) number: u64,
    /// What it holds so far.
    pub(crate) usage: BatchUsage,
    /// Its blocks with their transactions.
    pub(crate) blocks: Vec<BatchBlock>,
    /// When its first block with a transaction was built.
    pub(crate) since: Instant,
    /// Fee parameters of its blocks, when they are known.
    pub(crate) fees: Option<FeeParams>,
}

/// Most blocks of a batch.
pub(crate) const MAX_BLOCKS: usize = 2_000;

impl OpenBatch {
    pub(crate) fn new(number: u64) -> Self {
        Self {
            number,
            usage: BatchUsage::EMPTY_BATCH,
            blocks: Vec::new(),
            since: Instant::now(),
            fees: None,
        }
    }

    /// True when it holds as many blocks as it may.
    pub(crate) fn is_long(&self) -> bool {
        self.blocks.len() >= MAX_BLOCKS
    }

    /// The batch after this one, empty.
    pub(crate) fn successor(&self) -> Self {
        Self::new(self.number + 1)
    }

    pub(crate) fn add(&mut self, mut output: BlockOutput, txs: &[Arc<RecoveredTx>]) {
        if self.usage.txs == 0 {
            self.since = Instant::now();
        }
        self.usage.add(&output.usage);
        // Receipts are in the store; the batch does not need them.
        output.results = Vec::new();
        self.blocks.push((output, txs.to_vec()));
    }
}

/// How much there is to seal.
#[derive(Default)]
struct Load {
    /// Batches in the queue, and the one that is being sealed.
    waiting: AtomicUsize,
    /// Batches that the blocks of earlier runs make, about.
    behind: AtomicUsize,
    /// Batches that were sealed before the start or made of blocks of earlier runs, and those that came of it that some had to be cut again.
    beside: AtomicU64,
}

/// Where batches are handed over.
pub(crate) struct BatchSender {
    sender: SyncSender<OpenBatch>,
    load: Arc<Load>,
}

impl BatchSender {
    pub(crate) fn is_full(&self) -> bool {
        let load = &self.load;
        load.waiting.load(Ordering::Acquire) + load.behind.load(Ordering::Acquire) >= QUEUE
    }

    /// Number of the batch that was the `cut`-th to be cut since the start; final once the blocks of earlier runs are sealed, and if no batch before it has to be cut
    /// again.
    pub(crate) fn number_of(&self, cut: u64) -> u64 {
        self.load.beside.load(Ordering::Acquire) + cut
    }

    pub(crate) fn send(&self, batch: OpenBatch) -> Result<(), SequencerError> {
        self.load.waiting.fetch_add(1, Ordering::AcqRel);
        self.sender
            .send(batch)
            .map_err(|_| SequencerError::Stopped("batches are no longer sealed".into()))
    }
}

/// The two ends of the queue of batches. `backlog` are the blocks of earlier runs that no batch holds: they come first.
pub(crate) fn queue(
    shared: Arc<Shared>,
    backlog: RangeInclusive<u64>,
    caught_up: watch::Sender<bool>,
) -> Result<(BatchSender, Batcher), SequencerError> {
    let (sender, receiver) = std::sync::mpsc::sync_channel(QUEUE);
    let load = Arc::new(Load::default());
    let limits = &shared.config.batches.limits;
    load.behind.store(batches_in(&shared.storage, backlog.clone(), limits)?, Ordering::Release);
    load.beside.store(shared.storage.batch_heads().sealed, Ordering::Release);
    let batcher = Batcher { shared, receiver, backlog, caught_up, load: load.clone() };
    Ok((BatchSender { sender, load }, batcher))
}

pub(crate) struct Batcher {
    shared: Arc<Shared>,
    receiver: Receiver<OpenBatch>,
    backlog: RangeInclusive<u64>,
    caught_up: watch::Sender<bool>,
    load: Arc<Load>,
}

impl Batcher {
    pub(crate) fn run(self) {
        if let Err(e) = self.catch_up().and_then(|()| self.follow()) {
            self.shared.halt(&e);
        }
    }

    /// Seals the blocks that earlier runs left. They are executed again, one batch's worth at a time, beside the builder, so that a start takes no longer for them.
    /// What is left of them at the end is a batch too: nothing says any more where the last run would have cut.
    fn catch_up(&self) -> Result<(), SequencerError> {
        let limits = self.shared.config.batches.limits;
        let mut open = OpenBatch::new(0);
        for number in self.backlog.clone() {
            let (output, txs, fees) = replay(&self.shared, number)?;
            let mut usage = open.usage;
            usage.add(&output.usage);
            let other_fees = open.fees.is_some_and(|f| f != fees);
            if other_fees || open.is_long() || limits.exceeded_by(&usage).is_some() {
                self.seal_earlier(std::mem::replace(&mut open, OpenBatch::new(0)))?;
            }
            if self.shared.is_stopping() {
                return Ok(());
            }
            open.fees = Some(fees);
            open.add(output, &txs);
        }
        self.seal_earlier(open)?;
        self.load.behind.store(0, Ordering::Release);
        self.caught_up.send_replace(true);
        self.shared.wake();
        Ok(())
    }

    fn seal_earlier(&self, batch: OpenBatch) -> Result<(), SequencerError> {
        if batch.blocks.is_empty() {
            return Ok(());
        }
        self.load.beside.fetch_add(1, Ordering::AcqRel);
        self.seal_or_recut(batch.blocks)?;
        let less = |behind: usize| Some(behind.saturating_sub(1));
        let _ = self.load.behind.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        self.shared.wake();
        Ok(())
    }

    fn follow(&self) -> Result<(), SequencerError> {
        while let Ok(batch) = self.receiver.recv() {
            // What waits is sealed by the next run.
            if self.shared.is_stopping() {
                break;
            }
            self.seal_or_recut(batch.blocks)?;
            self.load.waiting.fetch_sub(1, Ordering::AcqRel);
            self.shared.wake();
        }
        Ok(())
    }

    /// Seals blocks as one batch; as smaller ones when they turn out too much for one. What was measured while they were built should have prevented that: this is
    /// the second line, so that a wrong estimate costs a batch more and does not stop the chain.
    fn seal_or_recut(&self, blocks: Vec<BatchBlock>) -> Result<(), SequencerError> {
        // Halves that wait, the next one last. Each split makes parts smaller, so there are never more than blocks.
        let mut parts = vec![blocks];
        while let Some(part) = parts.pop() {
            let started = Instant::now();
            let number = self.shared.storage.batch_heads().sealed + 1;
            match seal(&self.shared, number, &part) {
                Ok(record) => tracing::info!(
                    batch = number,
                    txs = record.tx_count,
                    pubdata = record.pubdata_len,
                    ms = started.elapsed().as_millis() as u64,
                    "sealed"
                ),
                Err(reason) if part.len() > 1 && reason.may_be_size() => {
                    tracing::warn!(batch = number, blocks = part.len(), %reason, "cutting the batch again");
                    let mut first = part;
                    let second = first.split_off(first.len() / 2);
                    parts.extend([second, first]);
                    self.load.beside.fetch_add(1, Ordering::AcqRel);
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Seals blocks into the store as batch `number`.
fn seal(
    shared: &Shared,
    number: u64,
    blocks: &[BatchBlock],
) -> Result<BatchRecord, SequencerError> {
    let fault =
        |e: &dyn std::fmt::Display| SequencerError::Batch { batch: number, reason: e.to_string() };
    let prev = shared.storage.batch_info(number - 1)?;
    let fees = fees_of(shared, &blocks[0].0)?;
    let (prepared, usage, tree, logs) = prepare(shared, number, blocks, &prev, fees)?;
    let da_mode = shared.config.batches.da_mode;
    let commitments = if da_mode == DaMode::Blobs {
        blob_commitments(prepared.pubdata()).map_err(|e| fault(&e))?
    } else {
        Vec::new()
    };
    let hashes: Vec<B256> = commitments
        .iter()
        .map(|c| alloy_eips::eip4844::kzg_to_versioned_hash(c.as_slice()))
        .collect();
    let sealed = prepared.seal(da_mode, hashes.clone()).map_err(|e| fault(&e))?;
    if shared.config.batches.self_check {
        self_check(number, &sealed, "its witness", |w| prove_batch(w).map_err(|e| e.to_string()))?;
    }
    if let Some(run) = &shared.config.batches.proof_run {
        self_check(number, &sealed, "the proven program", |w| run.run(w))?;
    }
    let changes = tree_changes(number, &tree, &sealed)?;
    let mut record =
        record_of(number, &sealed, &prev, usage, fees, da_mode, &hashes).map_err(|e| fault(&e))?;
    record.blob_commitments = commitments;
    shared.storage.seal_batch(cairn_storage::SealedBatch {
        record: record.clone(),
        pubdata: &sealed.result.pubdata,
        witness: &sealed.witness,
        logs: &logs,
        tree: changes,
    })?;
    Ok(record)
}

/// Fee parameters of a batch: those of its first block.
fn fees_of(shared: &Shared, first: &BlockOutput) -> Result<FeeParams, SequencerError> {
    let header = &first.header;
    let block = shared.storage.block(header.number)?;
    let gas_per_pubdata = block.map_or(shared.config.fees.gas_per_pubdata, |b| b.gas_per_pubdata);
    Ok(FeeParams { base_fee: header.base_fee, gas_per_pubdata })
}

type Logs = Vec<(u64, cairn_primitives::L2ToL1Log)>;

/// Feeds the blocks to the state-transition function's builder and has the tree prove what they touched.
fn prepare(
    shared: &Shared,
    number: u64,
    blocks: &[BatchBlock],
    prev: &StoredBatchInfo,
    fees: FeeParams,
) -> Result<(PreparedBatch, BatchUsage, Tree<BatchTree>, Logs), SequencerError> {
    let fault =
        |e: &dyn std::fmt::Display| SequencerError::Batch { batch: number, reason: e.to_string() };
    let storage = &shared.storage;
    let first = blocks[0].0.header.number;
    let prev_header =
        storage.block(first - 1)?.ok_or_else(|| fault(&"the block before it is missing"))?.header;
    let mut builder = BatchBuilder::new(BatchStart {
        config: shared.config.chain.clone(),
        guest_program_id: shared.config.guest_program_id,
        fees,
        operator: shared.config.operator,
        batch_number: number,
        prev_state_root: prev.stateRoot,
        prev_leaf_count: prev.leafCount,
        priority_ops_hash_before: prev.priorityOpsHashAfter,
        prev_header,
    });
    let mut logs = Logs::new();
    let last = blocks[blocks.len() - 1].0.header.number;
    for (output, txs) in blocks {
        logs.extend(output.l2_to_l1_logs.iter().map(|l| (output.header.number, *l)));
        builder.add_block(output, txs.iter().map(AsRef::as_ref)).map_err(|e| fault(&e))?;
    }
    let tree = Tree::new(storage.tree()?);
    let witness = tree.prove(&builder.tree_keys()).map_err(|e| fault(&e))?;
    let state = storage.state_at(last)?.ok_or_else(|| fault(&"its last block is missing"))?;
    let code = |hash| state.code(hash).ok().flatten();
    let header = |n| storage.block(n).ok().flatten().map(|b| b.header);
    let usage = *builder.usage();
    let prepared = builder.prepare(witness, code, header).map_err(|e| fault(&e))?;
    Ok((prepared, usage, tree, logs))
}

/// KZG commitments of the blobs that carry `pubdata`. They are kept with the batch: whoever commits it on L1 needs them again.
pub(crate) fn blob_commitments(
    pubdata: &[u8],
) -> Result<Vec<FixedBytes<48>>, Box<dyn std::error::Error>> {
    let settings = ethereum_kzg_settings(0);
    let mut out = Vec::new();
    for bytes in to_blobs(pubdata)? {
        let blob = Blob::from_bytes(&bytes)?;
        let commitment = settings.blob_to_kzg_commitment(&blob)?;
        out.push(FixedBytes::from_slice(commitment.to_bytes().as_slice()));
    }
    Ok(out)
}

/// Executes the batch again from its witness alone: it must come to what was built.
fn self_check(
    batch: u64,
    sealed: &SealedBatch,
    what: &str,
    run: impl FnOnce(&[u8]) -> Result<B256, String>,
) -> Result<(), SequencerError> {
    let fail = |reason: String| SequencerError::SelfCheck { batch, reason };
    let again = run(&sealed.witness).map_err(|e| fail(format!("{what}: {e}")))?;
    let built = sealed.public_input().hash();
    if again != built {
        return Err(fail(format!("public input {built} was built, {what} gives {again}")));
    }
    Ok(())
}

/// What the node's own tree makes of the writes must be what the witness makes of them.
fn tree_changes(
    batch: u64,
    tree: &Tree<BatchTree>,
    sealed: &SealedBatch,
) -> Result<TreeChanges, SequencerError> {
    let fail = |reason: String| SequencerError::SelfCheck { batch, reason };
    let (update, changes) = tree.compute(&sealed.writes).map_err(|e| fail(e.to_string()))?;
    if update != sealed.result.update {
        let (ours, theirs) = (update.root, sealed.result.update.root);
        return Err(fail(format!("the tree's root is {ours}, the witness gives {theirs}")));
    }
    Ok(changes)
}

fn record_of(
    number: u64,
    sealed: &SealedBatch,
    prev: &StoredBatchInfo,
    usage: BatchUsage,
    fee_params: FeeParams,
    da_mode: DaMode,
    hashes: &[B256],
) -> Result<BatchRecord, Box<dyn std::error::Error>> {
    let (public_input, pubdata) = (sealed.public_input().clone(), &sealed.result.pubdata);
    debug_assert_eq!(public_input.batch_number, number);
    let total = prev.priorityOpsCount + public_input.priority_ops_count;
    let blob_claims = if da_mode == DaMode::Blobs {
        cairn_stf::da::blob_claims(pubdata, hashes)?
    } else {
        Vec::new()
    };
    Ok(BatchRecord {
        info: StoredBatchInfo::from_public_input(&public_input, total),
        tx_count: usage.txs,
        priority_count: public_input.priority_ops_count,
        gas_used: usage.gas,
        fee_params,
        da_mode,
        pubdata_hash: keccak256(pubdata),
        pubdata_len: pubdata.len() as u64,
        blob_claims,
        blob_commitments: Vec::new(),
        logs_root: LogTree::new(&sealed.result.logs)?.root(),
        logs_count: sealed.result.logs.len() as u64,
        sealed_at_ms: unix_now_ms(),
        public_input,
    })
}
