//! The prover as a role of the node: takes sealed batches in order, proves them in the background, and keeps the proofs.
//!
//! It works in `prover/batch-N` below the data directory, shard by shard, so that a kill at any moment costs one shard. A whole proof is verified before it is kept as
//! `prover/batch-N.proof`.

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

use cairn_prover::{
    run::RunError,
    shard::{ProveError, ProvingKey},
    trace::ShardLimits,
    verify::{self, VerifyError},
    work::{Job, Progress, WorkError, write_whole},
};
use cairn_storage::{BatchRecord, ProvingRecord, Storage, StorageError};
use thiserror::Error;
use tokio::sync::watch;

use crate::guest::{self, GuestError};

/// How much less than the node's own threads the prover's get of the processor (as `nice` counts).
const NICENESS: i32 = 10;

/// Why the prover stops.
#[derive(Debug, Error)]
pub enum ProverError {
    /// The program.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// The program's key.
    #[error(transparent)]
    Key(#[from] ProveError),
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
    /// A file.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// The threads cannot be started.
    #[error("the prover's threads: {0}")]
    Threads(String),
}

/// The file of a batch's whole proof.
pub fn proof_path(data_dir: &Path, number: u64) -> PathBuf {
    data_dir.join("prover").join(format!("batch-{number}.proof"))
}

/// Proves every sealed batch that has no proof, in order, until it is told to stop.
///
/// # Errors
/// [`ProverError`]. A batch that cannot be proven is marked so, with the reason, and ends the prover: batches are final in order.
pub async fn run(
    storage: Storage,
    data_dir: PathBuf,
    mut stop: watch::Receiver<bool>,
) -> Result<(), ProverError> {
    let stopping = Arc::new(AtomicBool::new(false));
    let flag = stopping.clone();
    let worker = tokio::task::spawn_blocking(move || {
        let mut pool = rayon::ThreadPoolBuilder::new();
        pool = pool.thread_name(|i| format!("prover-{i}")).start_handler(|_| lower_priority());
        let pool = pool.build().map_err(|e| ProverError::Threads(e.to_string()))?;
        pool.install(|| Worker::new(storage, data_dir, flag)?.run())
    });
    tokio::pin!(worker);
    tokio::select! {
        done = &mut worker => return done.map_err(|e| ProverError::Threads(e.to_string()))?,
        _ = stop.wait_for(|&s| s) => stopping.store(true, Ordering::Relaxed),
    }
    worker.await.map_err(|e| ProverError::Threads(e.to_string()))?
}

/// The node stays responsive while proofs are made.
fn lower_priority() {
    // SAFETY: a plain system call on the calling thread; failure leaves the priority as it was.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS);
    }
}

struct Worker {
    storage: Storage,
    data_dir: PathBuf,
    stopping: Arc<AtomicBool>,
    key: Option<ProvingKey>,
}

impl Worker {
    fn new(
        storage: Storage,
        data_dir: PathBuf,
        stopping: Arc<AtomicBool>,
    ) -> Result<Self, ProverError> {
        let dir = data_dir.join("prover");
        fs::create_dir_all(&dir).map_err(|error| ProverError::Io { path: dir, error })?;
        let key = ProvingKey::new(guest::program()?)?;
        Ok(Self { storage, data_dir, stopping, key: Some(key) })
    }

    fn stopped(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn run(mut self) -> Result<(), ProverError> {
        let mut next = 1;
        while !self.stopped() {
            if next > self.storage.batch_heads().sealed {
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
            if self.is_proven(next)? || self.prove(next)? {
                next += 1;
            }
        }
        Ok(())
    }

    fn is_proven(&self, number: u64) -> Result<bool, ProverError> {
        let complete = self.storage.proving(number)?.is_some_and(|r| r.is_complete());
        Ok(complete && proof_path(&self.data_dir, number).exists())
    }

    /// Proves a batch; false when it was told to stop before the end.
    fn prove(&mut self, number: u64) -> Result<bool, ProverError> {
        let record = self.storage.batch(number)?.ok_or(StorageError::UnknownBatch(number))?;
        let Some(witness) = self.storage.batch_witness(number)? else {
            // A batch that was final before this prover was switched on: nobody needs its proof.
            tracing::warn!(number, "the witness was dropped; not proven");
            return Ok(true);
        };
        let started = Instant::now();
        let work = |error| ProverError::Work { number, error };
        let dir = self.data_dir.join("prover").join(format!("batch-{number}"));
        let key = match self.key.take() {
            Some(key) => key,
            None => ProvingKey::new(guest::program()?)?,
        };
        let opened = Job::with_key(&dir, key, &witness, ShardLimits::default(), guest::MAX_CYCLES);
        let mut job = match opened {
            Ok(job) => job,
            Err(error) => return Err(self.failed(number, error)?),
        };
        drop(witness);
        let before = self.storage.proving(number)?.map_or(0, |r| r.spent_ms);
        let spent = || before + started.elapsed().as_millis() as u64;
        let mut fault = None;
        job.work(|p| {
            let saved = self.storage.set_proving(number, &progress_record(p, spent()));
            fault = saved.err();
            if fault.is_some() || self.stopped() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })
        .map_err(work)?;
        if let Some(e) = fault {
            return Err(e.into());
        }
        if job.progress().done < job.progress().total {
            return Ok(false);
        }
        let finished = self.finish(&job, &record, spent)?;
        self.key = Some(job.into_key());
        fs::remove_dir_all(&dir).map_err(|error| ProverError::Io { path: dir, error })?;
        tracing::info!(
            number,
            shards = finished.shards,
            bytes = finished.proof_bytes,
            seconds = finished.spent_ms / 1000,
            "batch proven"
        );
        Ok(true)
    }

    /// Puts the proof together, verifies it, and keeps it.
    fn finish(
        &self,
        job: &Job,
        record: &BatchRecord,
        spent: impl Fn() -> u64,
    ) -> Result<ProvingRecord, ProverError> {
        let number = record.number();
        let work = |error| ProverError::Work { number, error };
        let proof = job.finish().map_err(work)?;
        verify::verify(&guest::program_id(), &record.info.publicInput, &proof)
            .map_err(|error| ProverError::Invalid { number, error })?;
        let bytes = verify::encode(&proof).map_err(|e| work(e.into()))?;
        write_whole(&proof_path(&self.data_dir, number), &bytes).map_err(work)?;
        let finished = ProvingRecord {
            proof_bytes: bytes.len() as u64,
            proven_at_ms: unix_ms(),
            ..progress_record(&job.progress(), spent())
        };
        self.storage.set_proving(number, &finished)?;
        Ok(finished)
    }

    /// Notes that a batch cannot be proven.
    fn failed(&self, number: u64, error: WorkError) -> Result<ProverError, ProverError> {
        if matches!(error, WorkError::Run(RunError::Trap(_) | RunError::ExitCode(_))) {
            let record = ProvingRecord {
                program_id: guest::program_id(),
                failure: Some(error.to_string()),
                ..ProvingRecord::default()
            };
            self.storage.set_proving(number, &record)?;
        }
        Ok(ProverError::Work { number, error })
    }
}

fn progress_record(p: &Progress, spent_ms: u64) -> ProvingRecord {
    ProvingRecord {
        program_id: guest::program_id(),
        cycles: p.cycles,
        shards: p.total as u32,
        done: p.done as u32,
        spent_ms,
        ..ProvingRecord::default()
    }
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}
