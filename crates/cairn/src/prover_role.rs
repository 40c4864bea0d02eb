//! The prover as a role of the node: takes sealed batches in order and makes the proofs that L1 verifies, in the background.
//!
//! Three steps lead there: a batch's shards are proven, their proofs are joined into one, and a final proof is made of one to four consecutive batches. All of it
//! lies in `prover` below the data directory, every shard and every step of joining as soon as it is done, so that a kill at any moment costs one of them:
//!
//! | file | what | until |
//! |---|---|---|
//! | `batch-N/` | proofs of shards as they are made | all of them are |
//! | `batch-N.shards` | the proofs of all shards, verified | the batch is joined |
//! | `batch-N.joining/` | steps of joining | the batch is joined |
//! | `batch-N.joined` | the batch's one proof | the batch is settled: until then L1 may want it in another range |
//! | `final-A-B.proof` | the final proof of batches A to B ([`crate::final_file`]) | for good |

use std::{
    fs, io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use cairn_aggregator::{Aggregator, BatchProof, Verifier};
use cairn_prover::{
    run::RunError,
    shard::{ProveError, ProvingKey},
    trace::ShardLimits,
    verify::{self, ExecutionProof, MAX_PROOF_BYTES, VerifyError},
    work::{Job, Progress, WorkError, write_whole},
};
use cairn_storage::{FinalProofRecord, ProvingRecord, Storage, StorageError};
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::{oneshot, watch};

use crate::{
    files::{self, FileError},
    final_file::{self, FinalFile, LoadError},
    guest::{self, GuestError},
};

/// How much less than the node's own threads the prover's get of the processor (as `nice` counts).
const NICENESS: i32 = 10;
/// Largest proof of a batch that is read back.
const MAX_JOINED_BYTES: u64 = 64 << 20;
/// Pause between two looks for something to do.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest wait for a step under way when the node stops; what it has not finished by then is made again.
const GRACE: Duration = Duration::from_secs(2);

/// Why the prover stops.
#[derive(Debug, Error)]
pub enum ProverError {
    /// The program.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// The program's key.
    #[error(transparent)]
    Key(#[from] ProveError),
    /// The keys of the layers above the shards.
    #[error("the keys of recursion: {0}")]
    Keys(cairn_aggregator::Error),
    /// The node's storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The work directory, or a proof that cannot be made.
    #[error("batch {number}: {error}")]
    Work {
        /// Which batch.
        number: u64,
        /// What happened.
        error: WorkError,
    },
    /// Our own verifier refuses the finished proof.
    #[error("batch {number}: the proof that was made is not valid: {error}")]
    Invalid {
        /// Which batch.
        number: u64,
        /// Why.
        error: VerifyError,
    },
    /// Joining or the final proof.
    #[error("batches {first}..={last}: {error}")]
    Aggregate {
        /// First batch.
        first: u64,
        /// Last batch.
        last: u64,
        /// What happened.
        error: cairn_aggregator::Error,
    },
    /// A proof of a batch that does not claim what the batch claims.
    #[error(
        "{0} is not the proof of this chain's batch; it was left by another chain, remove it and start again"
    )]
    OtherBatch(PathBuf),
    /// A batch that has no proof, and why.
    #[error("batch {number} cannot be proven: {why}")]
    Unprovable {
        /// Which batch.
        number: u64,
        /// Why.
        why: String,
    },
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A final proof that is there cannot be read.
    #[error(transparent)]
    Final(#[from] LoadError),
    /// The threads cannot be started.
    #[error("the prover's threads: {0}")]
    Threads(String),
}

/// Proven bits of the weakest layer below a final proof, rounded down.
pub fn proven_bits(verifier: &Verifier) -> u32 {
    let bits = verifier.security_report().into_iter().map(|l| l.union_bits.min(l.bits));
    bits.fold(f64::INFINITY, f64::min).clamp(0.0, 1000.0) as u32
}

/// Proves every sealed batch that L1 holds no proof of, until it is told to stop. At most `max_range` batches share a final proof.
///
/// # Errors
/// [`ProverError`]. A batch that cannot be proven is marked so, with the reason, and ends the prover: batches are final in order.
pub async fn run(
    storage: Storage,
    data_dir: PathBuf,
    max_range: usize,
    bench: Arc<Bench>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), ProverError> {
    let stopping = Arc::new(AtomicBool::new(false));
    let flag = stopping.clone();
    let (done, ended) = oneshot::channel();
    // A thread of its own: a step that takes long does not hold up the end of the process.
    std::thread::Builder::new()
        .name("prover".to_owned())
        .spawn(move || {
            let _one = bench.taken.lock();
            let cleared = bench.clear(&data_dir);
            let proven = cleared.and_then(|()| match flag.load(Ordering::Relaxed) {
                // It has waited for longer than it was wanted.
                true => Ok(()),
                false => prove_all(storage, data_dir, max_range, flag),
            });
            let _ = done.send(proven);
        })
        .map_err(|e| ProverError::Threads(e.to_string()))?;
    tokio::pin!(ended);
    let died = |_| Err(ProverError::Threads("the prover panicked".to_owned()));
    tokio::select! {
        result = &mut ended => return result.unwrap_or_else(died),
        _ = stop.wait_for(|&s| s) => stopping.store(true, Ordering::Relaxed),
    }
    match tokio::time::timeout(GRACE, ended).await {
        Ok(result) => result.unwrap_or_else(died),
        Err(_) => Ok(()),
    }
}

/// Where the prover works: one at a time, although a step under way is not waited for when the prover is told to stop.
#[derive(Debug, Default)]
pub struct Bench {
    taken: Mutex<()>,
    /// Last batch whose proofs may stay.
    last: Mutex<Option<u64>>,
}

impl Bench {
    /// Proofs of batches after `last` are of batches that are no more: the next prover removes them before it begins.
    pub fn forget_beyond(&self, last: u64) {
        let mut kept = self.last.lock();
        *kept = Some(kept.map_or(last, |earlier| earlier.min(last)));
    }

    fn clear(&self, data_dir: &Path) -> Result<(), ProverError> {
        let mut beyond = self.last.lock();
        let Some(last) = *beyond else { return Ok(()) };
        let dir = data_dir.join("prover");
        let entries = match fs::read_dir(&dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                *beyond = None;
                return Ok(());
            }
            entries => entries.map_err(|e| io_error(&dir, e))?,
        };
        for entry in entries {
            let path = entry.map_err(|e| io_error(&dir, e))?.path();
            if last_batch(&path).is_none_or(|number| number <= last) {
                continue;
            }
            if path.is_dir() {
                remove_dir(&path)?;
            } else {
                remove(&path)?;
            }
        }
        *beyond = None;
        Ok(())
    }
}

/// Number of the last batch that a file or folder of the prover's is of.
fn last_batch(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let name = name.split_once('.').map_or(name, |(stem, _)| stem);
    name.rsplit('-').next()?.parse().ok()
}

fn prove_all(
    storage: Storage,
    data_dir: PathBuf,
    max_range: usize,
    stopping: Arc<AtomicBool>,
) -> Result<(), ProverError> {
    let mut pool = rayon::ThreadPoolBuilder::new();
    pool = pool.thread_name(|i| format!("prover-{i}")).start_handler(|_| lower_priority());
    let pool = pool.build().map_err(|e| ProverError::Threads(e.to_string()))?;
    pool.install(|| Worker::new(storage, data_dir, max_range, stopping)?.run())
}

/// The node stays responsive while proofs are made.
fn lower_priority() {
    // SAFETY: a plain system call on the calling thread; failure leaves the priority as it was.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS);
    }
}

/// How far the prover is: each number is the last batch that is at least that far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    sealed: u64,
    proven: u64,
    joined: u64,
    finished: u64,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Shards(u64),
    Join(u64),
    Finish(u64, u64),
}

impl Standing {
    /// Reads off the files how far the prover is. What L1 has verified needs nothing more.
    fn read(storage: &Storage, data_dir: &Path, max_range: u64) -> Result<Self, ProverError> {
        let heads = storage.batch_heads();
        let mut finished = heads.proven;
        loop {
            let furthest = heads.sealed.min(finished + max_range);
            match final_file::longest(data_dir, storage, finished + 1, furthest)? {
                Some((last, _)) => finished = last,
                None => break,
            }
        }
        let last = |from: u64, path: fn(&Path, u64) -> PathBuf| {
            (from..heads.sealed).find(|n| !path(data_dir, n + 1).exists()).unwrap_or(heads.sealed)
        };
        let joined = last(finished, joined_path);
        let proven = last(joined, shards_path);
        Ok(Self { sealed: heads.sealed, proven, joined, finished })
    }

    /// A full range is finished at once; a shorter one only when no further batch waits that could share its proof.
    fn next(self, max_range: u64) -> Option<Task> {
        let waiting = self.joined - self.finished;
        let first = self.finished + 1;
        if waiting >= max_range {
            Some(Task::Finish(first, self.finished + max_range))
        } else if self.joined < self.proven {
            Some(Task::Join(self.joined + 1))
        } else if self.proven < self.sealed {
            Some(Task::Shards(self.proven + 1))
        } else if waiting > 0 {
            Some(Task::Finish(first, self.joined))
        } else {
            None
        }
    }
}

fn work_path(data_dir: &Path, name: String) -> PathBuf {
    data_dir.join("prover").join(name)
}

fn shards_path(data_dir: &Path, number: u64) -> PathBuf {
    work_path(data_dir, format!("batch-{number}.shards"))
}

fn joined_path(data_dir: &Path, number: u64) -> PathBuf {
    work_path(data_dir, format!("batch-{number}.joined"))
}

struct Worker {
    storage: Storage,
    data_dir: PathBuf,
    max_range: u64,
    stopping: Arc<AtomicBool>,
    key: Option<ProvingKey>,
    /// Makes its keys when they are first needed, and keeps them.
    aggregator: Aggregator,
    /// Proven bits of the weakest layer.
    proven_bits: u32,
}

impl Worker {
    fn new(
        storage: Storage,
        data_dir: PathBuf,
        max_range: usize,
        stopping: Arc<AtomicBool>,
    ) -> Result<Self, ProverError> {
        let dir = data_dir.join("prover");
        fs::create_dir_all(&dir).map_err(|e| io_error(&dir, e))?;
        let key = ProvingKey::new(guest::program()?)?;
        let aggregator = Aggregator::open(&key.vk).map_err(ProverError::Keys)?;
        let proven_bits = proven_bits(aggregator.verifier());
        let (key, max_range) = (Some(key), max_range as u64);
        Ok(Self { storage, data_dir, max_range, stopping, key, aggregator, proven_bits })
    }

    fn stopped(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn path(&self, name: String) -> PathBuf {
        work_path(&self.data_dir, name)
    }

    fn shards_path(&self, number: u64) -> PathBuf {
        shards_path(&self.data_dir, number)
    }

    fn joined_path(&self, number: u64) -> PathBuf {
        joined_path(&self.data_dir, number)
    }

    fn run(mut self) -> Result<(), ProverError> {
        let mut cleared = 0;
        while !self.stopped() {
            // L1 may want a proof from another batch on than before: it reverted some, or somebody else proved some. So nothing of this is remembered.
            let at = Standing::read(&self.storage, &self.data_dir, self.max_range)?;
            match at.next(self.max_range) {
                Some(Task::Shards(n)) => self.prove(n)?,
                Some(Task::Join(n)) => self.join(n)?,
                Some(Task::Finish(a, b)) => self.finish(a, b)?,
                None => {
                    self.clear(&mut cleared)?;
                    std::thread::sleep(PAUSE);
                }
            }
        }
        Ok(())
    }

    /// Removes what is kept of batches for the case that L1 wants a proof of other ranges: of those that are settled it does not.
    fn clear(&self, cleared: &mut u64) -> Result<(), ProverError> {
        let settled = self.storage.settled(*cleared)?;
        for number in *cleared + 1..=settled {
            remove(&self.joined_path(number))?;
            remove(&self.shards_path(number))?;
        }
        *cleared = settled;
        Ok(())
    }

    fn record(&self, number: u64) -> Result<ProvingRecord, ProverError> {
        let record = self.storage.proving(number)?.unwrap_or_default();
        Ok(ProvingRecord { program_id: guest::program_id(), failure: None, ..record })
    }

    /// Proves a batch's shards, unless it is told to stop before the end.
    fn prove(&mut self, number: u64) -> Result<(), ProverError> {
        let Some(witness) = self.storage.batch_witness(number)? else {
            if number <= self.storage.batch_heads().proven {
                // Somebody else proved it meanwhile.
                return Ok(());
            }
            return Err(self.unprovable(number, "its witness was dropped")?);
        };
        let started = Instant::now();
        let work = |error| ProverError::Work { number, error };
        let dir = self.path(format!("batch-{number}"));
        let key = match self.key.take() {
            Some(key) => key,
            None => ProvingKey::new(guest::program()?)?,
        };
        let limits = ShardLimits::recursion();
        let opened = Job::with_key(&dir, key, &witness, limits, guest::MAX_CYCLES);
        let mut job = match opened {
            Ok(job) => job,
            Err(error) => return Err(self.failed(number, error)?),
        };
        drop(witness);
        let before = self.record(number)?;
        let now = |p: &Progress| ProvingRecord {
            cycles: p.cycles,
            shards: p.total as u32,
            done: p.done as u32,
            base_ms: before.base_ms + ms(started),
            ..before.clone()
        };
        let mut fault = None;
        job.work(|p| {
            fault = self.storage.set_proving(number, &now(p)).err();
            if fault.is_some() || self.stopped() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })
        .map_err(work)?;
        if let Some(e) = fault {
            return Err(e.into());
        }
        let progress = job.progress();
        if progress.done < progress.total {
            self.key = Some(job.into_key());
            return Ok(());
        }
        let base_bytes = self.keep_shards(number, &job)?;
        self.storage.set_proving(number, &ProvingRecord { base_bytes, ..now(&progress) })?;
        self.key = Some(job.into_key());
        remove_dir(&dir)?;
        tracing::info!(
            number,
            shards = progress.total,
            base_bytes,
            seconds = started.elapsed().as_secs(),
            "shards proven"
        );
        Ok(())
    }

    /// Puts the shards' proofs together, verifies them, and keeps them; their size.
    fn keep_shards(&self, number: u64, job: &Job) -> Result<u64, ProverError> {
        let work = |error| ProverError::Work { number, error };
        let record = self.storage.batch(number)?.ok_or(StorageError::UnknownBatch(number))?;
        let proof = job.finish().map_err(work)?;
        verify::verify(&guest::program_id(), &record.info.publicInput, &proof)
            .map_err(|error| ProverError::Invalid { number, error })?;
        let bytes = verify::encode(&proof).map_err(|e| work(e.into()))?;
        write_whole(&self.shards_path(number), &bytes).map_err(work)?;
        Ok(bytes.len() as u64)
    }

    /// Joins the proofs of a batch's shards into one.
    fn join(&self, number: u64) -> Result<(), ProverError> {
        let aggregate = |error| ProverError::Aggregate { first: number, last: number, error };
        let work = |error| ProverError::Work { number, error };
        let path = self.shards_path(number);
        let bytes = files::read(&path, MAX_PROOF_BYTES as u64)?;
        let Ok(proof) = verify::decode::<ExecutionProof>(&bytes, MAX_PROOF_BYTES) else {
            return make_again(&path);
        };
        drop(bytes);
        let started = Instant::now();
        let before = self.record(number)?;
        let now = |joined: usize, steps: usize| ProvingRecord {
            join_steps: steps as u32,
            joined: joined as u32,
            join_ms: before.join_ms + ms(started),
            ..before.clone()
        };
        let storage = self.storage.clone();
        let dir = self.path(format!("batch-{number}.joining"));
        fs::create_dir_all(&dir).map_err(|e| io_error(&dir, e))?;
        let mut last = (0, 0);
        let joined = self
            .aggregator
            .wrap_batch(&proof, Some(&dir), &mut |done, steps| {
                last = (done, steps);
                if let Err(e) = storage.set_proving(number, &now(done, steps)) {
                    tracing::warn!(number, error = %e, "the prover's progress is not shown");
                }
            })
            .map_err(aggregate)?;
        let claim = self.storage.batch_info(number)?.publicInput;
        if joined.public_input() != claim {
            return Err(ProverError::OtherBatch(path));
        }
        let bytes = joined.encode().map_err(aggregate)?;
        write_whole(&self.joined_path(number), &bytes).map_err(work)?;
        self.storage.set_proving(number, &now(last.1, last.1))?;
        remove(&path)?;
        remove_dir(&dir)?;
        let seconds = started.elapsed().as_secs();
        tracing::info!(number, bytes = bytes.len(), seconds, "shards joined");
        Ok(())
    }

    /// Makes the proof that L1 verifies.
    fn finish(&self, first: u64, last: u64) -> Result<(), ProverError> {
        let aggregate = |error| ProverError::Aggregate { first, last, error };
        let started = Instant::now();
        let mut batches = Vec::new();
        for number in first..=last {
            let path = self.joined_path(number);
            let bytes = files::read(&path, MAX_JOINED_BYTES)?;
            let Ok(proof) = BatchProof::decode(&bytes) else { return make_again(&path) };
            if proof.public_input() != self.storage.batch_info(number)?.publicInput {
                return Err(ProverError::OtherBatch(path));
            }
            batches.push(proof);
        }
        let made = self.aggregator.finish(&batches).map_err(aggregate)?;
        let bytes = made.bytes.len() as u64;
        let file = FinalFile { public_inputs: made.public_inputs, proof: made.bytes.into() };
        let path = final_file::path(&self.data_dir, first, last);
        let record = FinalProofRecord {
            first,
            last,
            bytes,
            proven_bits: self.proven_bits,
            spent_ms: ms(started),
            made_at_ms: unix_ms(),
        };
        for number in first..=last {
            let with = ProvingRecord { last: Some(record), ..self.record(number)? };
            self.storage.set_proving(number, &with)?;
        }
        // Settlement takes what is there: last of all.
        write_whole(&path, &file.encode())
            .map_err(|error| ProverError::Work { number: first, error })?;
        tracing::info!(first, last, bytes, seconds = started.elapsed().as_secs(), "proof for L1");
        Ok(())
    }

    /// Notes that a batch cannot be proven.
    fn failed(&self, number: u64, error: WorkError) -> Result<ProverError, ProverError> {
        if matches!(error, WorkError::Run(RunError::Trap(_) | RunError::ExitCode(_))) {
            self.unprovable(number, &error.to_string())?;
        }
        Ok(ProverError::Work { number, error })
    }

    fn unprovable(&self, number: u64, why: &str) -> Result<ProverError, ProverError> {
        let record = ProvingRecord { failure: Some(why.to_owned()), ..self.record(number)? };
        self.storage.set_proving(number, &record)?;
        Ok(ProverError::Unprovable { number, why: why.to_owned() })
    }
}

/// A damaged file of ours is in the way of nothing: what it held is made again.
fn make_again(path: &Path) -> Result<(), ProverError> {
    tracing::warn!(path = %path.display(), "damaged; it is removed and made again");
    remove(path)
}

fn remove(path: &Path) -> Result<(), ProverError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error(path, e)),
        _ => Ok(()),
    }
}

fn remove_dir(path: &Path) -> Result<(), ProverError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error(path, e)),
        _ => Ok(()),
    }
}

fn io_error(path: &Path, error: io::Error) -> ProverError {
    FileError::Io { path: path.to_owned(), error }.into()
}

fn ms(since: Instant) -> u64 {
    since.elapsed().as_millis() as u64
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Address;
    use cairn_primitives::ChainConfig;
    use cairn_sequencer::{Sequencer, SequencerConfig};
    use cairn_settlement::deploy::Ecosystem;

    use super::*;
    use crate::genesis;

    #[test]
    fn proofs_of_batches_that_are_no_more_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let prover = dir.path().join("prover");
        let bench = Bench::default();
        bench.forget_beyond(0);
        bench.clear(dir.path()).unwrap();
        fs::create_dir_all(prover.join("batch-11.joining")).unwrap();
        fs::create_dir_all(prover.join("batch-11")).unwrap();
        let keep = ["batch-9.shards", "batch-10.joined", "final-9-10.proof", "other"];
        for name in
            keep.iter().chain(&["batch-11.shards", "final-10-12.proof", "final-11-11.proof"])
        {
            fs::write(prover.join(name), "x").unwrap();
        }
        bench.clear(dir.path()).unwrap();
        assert_eq!(fs::read_dir(&prover).unwrap().count(), 9, "nothing was to be forgotten");
        bench.forget_beyond(10);
        bench.forget_beyond(12);
        bench.clear(dir.path()).unwrap();
        let names = fs::read_dir(&prover).unwrap().map(|e| e.unwrap().file_name());
        let mut left: Vec<_> = names.map(|n| n.into_string().unwrap()).collect();
        left.sort();
        let mut kept = keep.map(str::to_owned);
        kept.sort();
        assert_eq!(left, kept);
    }

    /// Does one task after the other until there is nothing to do; the ranges of final proofs.
    fn ranges(
        mut at: Standing,
        max_range: u64,
        mut arrives: impl FnMut(Task) -> u64,
    ) -> Vec<(u64, u64)> {
        let mut out = Vec::new();
        while let Some(task) = at.next(max_range) {
            match task {
                Task::Shards(n) => at.proven = n,
                Task::Join(n) => at.joined = n,
                Task::Finish(a, b) => {
                    assert!(a == at.finished + 1 && b <= at.joined && b - a < max_range);
                    out.push((a, b));
                    at.finished = b;
                }
            }
            assert!(at.finished <= at.joined && at.joined <= at.proven && at.proven <= at.sealed);
            at.sealed += arrives(task);
        }
        assert_eq!(at.finished, at.sealed);
        out
    }

    const NEW: Standing = Standing { sealed: 0, proven: 0, joined: 0, finished: 0 };

    #[test]
    fn batches_that_wait_share_a_proof() {
        let none = |_| 0;
        assert_eq!(ranges(NEW, 4, none), []);
        assert_eq!(ranges(Standing { sealed: 1, ..NEW }, 4, none), [(1, 1)]);
        assert_eq!(ranges(Standing { sealed: 3, ..NEW }, 4, none), [(1, 3)]);
        assert_eq!(ranges(Standing { sealed: 9, ..NEW }, 4, none), [(1, 4), (5, 8), (9, 9)]);
        assert_eq!(ranges(Standing { sealed: 3, ..NEW }, 1, none), [(1, 1), (2, 2), (3, 3)]);
        // In the middle of it, after a restart.
        let middle = Standing { sealed: 8, proven: 6, joined: 5, finished: 3 };
        assert_eq!(ranges(middle, 4, none), [(4, 7), (8, 8)]);
    }

    /// A store with four sealed batches, an empty block each.
    async fn four_batches(dir: &Path) -> Storage {
        let config = ChainConfig::eth_rollup(271, 1);
        let nowhere = Address::ZERO;
        let ecosystem = Ecosystem {
            l1_chain_id: 1,
            bridgehub: nowhere,
            asset_router: nowhere,
            native_token_vault: nowhere,
            nullifier: nowhere,
            message_root: nowhere,
            rollup_da_validator: nowhere,
            governance: nowhere,
            deployed_at: 0,
        };
        let genesis = genesis::genesis(&config, &ecosystem, 1).unwrap();
        let storage = cairn_sequencer::open_storage(dir.join("l2"), &genesis).unwrap();
        let settings = SequencerConfig::new(config, Address::ZERO);
        let sequencer = Sequencer::start(settings, storage.clone()).unwrap();
        for number in 1..=4 {
            sequencer.mine().await.unwrap();
            sequencer.seal_now().await.unwrap();
            let mut heads = storage.watch_batches();
            heads.wait_for(|heads| heads.sealed == number).await.unwrap();
        }
        tokio::task::spawn_blocking(move || sequencer.stop()).await.unwrap();
        storage
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_prover_goes_on_where_l1_wants_a_proof() {
        let dir = tempfile::tempdir().unwrap();
        let storage = four_batches(dir.path()).await;
        fs::create_dir_all(dir.path().join("prover")).unwrap();
        let next = || Standing::read(&storage, dir.path(), 4).unwrap().next(4);
        let claim = |n| storage.batch_info(n).unwrap().publicInput;
        let final_proof = |first, last, claims: &[u64]| {
            let public_inputs = claims.iter().map(|n| claim(*n)).collect();
            let file = FinalFile { public_inputs, proof: Default::default() };
            fs::write(final_file::path(dir.path(), first, last), file.encode()).unwrap();
        };
        assert_eq!(next(), Some(Task::Shards(1)));
        fs::write(shards_path(dir.path(), 1), []).unwrap();
        assert_eq!(next(), Some(Task::Join(1)));
        for number in 1..=4 {
            fs::write(joined_path(dir.path(), number), []).unwrap();
        }
        assert_eq!(next(), Some(Task::Finish(1, 4)));
        // Damaged, then of other batches, then the one.
        fs::write(final_file::path(dir.path(), 1, 4), b"CAIRNFIN").unwrap();
        assert_eq!(next(), Some(Task::Finish(1, 4)));
        final_proof(1, 4, &[1, 2, 4, 3]);
        assert_eq!(next(), Some(Task::Finish(1, 4)));
        final_proof(1, 4, &[1, 2, 3, 4]);
        assert_eq!(next(), None);
        storage.follow_settlement(4, 4, 0).unwrap();
        assert_eq!(next(), None);
        // L1 takes back the second half: the proof of all four does not help.
        storage.follow_settlement(2, 2, 0).unwrap();
        assert_eq!(next(), Some(Task::Finish(3, 4)));
        final_proof(3, 4, &[3, 4]);
        assert_eq!(next(), None);
        // And everything: now it does.
        storage.follow_settlement(0, 0, 0).unwrap();
        assert_eq!(next(), None);
    }

    #[test]
    fn no_batch_waits_for_ever_while_others_arrive() {
        // A batch arrives for each one that is proven, up to the hundredth.
        let mut left = 100;
        let arrives = |task| {
            let more = matches!(task, Task::Shards(_)) && left > 0;
            left -= i32::from(more);
            u64::from(more)
        };
        let made = ranges(Standing { sealed: 1, ..NEW }, 4, arrives);
        assert!(made[..25].iter().all(|(a, b)| b - a == 3), "{made:?}");
    }
}
