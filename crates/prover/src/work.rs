//! A work directory: one execution's shards, proven in any order by any number of processes, resumed after a kill at shard granularity.
//!
//! Files: `job` (what is being proven), `shard-N.proof` (written under another name and renamed, so that a partial file is never taken for a proof) and `shard-N.lock` (held with
//! an operating-system lock while a process works on the shard; a killed process releases it).

use crate::memory::MemoryTree;
use crate::program::Program;
use crate::run::{Run, RunError};
use crate::shape::ShardShape;
use crate::shard::{ProveError, ProvingKey, ShardProof, ShardStatement, traces};
use crate::trace::ShardLimits;
use crate::verify::{DecodeError, ExecutionProof, MAX_SHARD_BYTES, decode, encode};
use cairn_vm::Input;
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a work directory is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct JobFile {
    program_id: [u8; 32],
    /// Poseidon2 digest of the input.
    input: [u32; 8],
    limits: [u64; 5],
    /// Cycles of each shard.
    shards: Vec<u64>,
}

/// Why work in a directory fails.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The file system refuses.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The directory is for something else.
    #[error(
        "the work directory {0} is for another program, input or shard size; use an empty directory"
    )]
    OtherJob(PathBuf),
    /// The job file is not one.
    #[error("{0} is damaged; use an empty directory, or delete the file to start again")]
    Damaged(PathBuf),
    /// The run cannot be proven.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A shard cannot be proven.
    #[error("shard {0}: {1}")]
    Prove(usize, ProveError),
    /// The program cannot be committed to.
    #[error(transparent)]
    Key(ProveError),
    /// Encoding failed.
    #[error(transparent)]
    Encode(#[from] DecodeError),
    /// Not all shards are proven yet.
    #[error("shard {0} is not proven yet")]
    Missing(usize),
}

/// How far the work is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Shards with a proof.
    pub done: usize,
    /// All shards.
    pub total: usize,
    /// Cycles of the whole run.
    pub cycles: u64,
    /// Time spent by this process on shards it proved.
    pub spent: Duration,
    /// Estimate of the time left if no other process helps.
    pub left: Duration,
}

/// Work on one execution.
pub struct Job {
    dir: PathBuf,
    run: Run,
    key: ProvingKey,
    padded: bool,
    /// The tree at the start of a shard, kept for the next one.
    tree: Option<(usize, MemoryTree)>,
    spent: Duration,
    proven: u32,
}

impl Job {
    /// Opens or creates a work directory for a program and its input, and executes the program.
    ///
    /// # Errors
    /// When the directory is for something else, or the run cannot be proven.
    pub fn open(
        dir: &Path,
        program: Arc<Program>,
        input: &[u8],
        limits: ShardLimits,
        max_cycles: u64,
    ) -> Result<Self, WorkError> {
        let key = ProvingKey::new(program.clone()).map_err(WorkError::Key)?;
        Self::with_key(dir, key, input, limits, max_cycles)
    }

    /// As [`Job::open`], with a key made before.
    ///
    /// # Errors
    /// When the directory is for something else, or the run cannot be proven.
    pub fn with_key(
        dir: &Path,
        key: ProvingKey,
        input: &[u8],
        limits: ShardLimits,
        max_cycles: u64,
    ) -> Result<Self, WorkError> {
        let program = key.program.clone();
        let framed = Input::from_bytes(input).map_err(|e| io(dir, std::io::Error::other(e)))?;
        let run = Run::new(program, framed, limits, max_cycles)?;
        let job = JobFile {
            program_id: key.vk.program_id(),
            input: digest_bytes(input),
            limits: [
                limits.cycles as u64,
                limits.accel_cells as u64,
                limits.blocks as u64,
                limits.gaps as u64,
                u64::from(limits.padded),
            ],
            shards: run.execution.shards.iter().map(|s| s.cycles).collect(),
        };
        std::fs::create_dir_all(dir).map_err(|e| io(dir, e))?;
        let path = dir.join("job");
        match std::fs::read(&path) {
            Ok(bytes) => match decode::<JobFile>(&bytes, 1 << 20) {
                Ok(found) if found == job => {}
                Ok(_) => return Err(WorkError::OtherJob(dir.to_owned())),
                Err(_) => return Err(WorkError::Damaged(path)),
            },
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                write_whole(&path, &encode(&job)?)?
            }
            Err(e) => return Err(io(&path, e)),
        }
        let (dir, padded) = (dir.to_owned(), limits.padded);
        Ok(Self { dir, run, key, padded, tree: None, spent: Duration::ZERO, proven: 0 })
    }

    /// The run being proven.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The key of the program.
    pub fn key(&self) -> &ProvingKey {
        &self.key
    }

    /// Gives the key back, for the next job of the same program.
    pub fn into_key(self) -> ProvingKey {
        self.key
    }

    /// How far the work is.
    pub fn progress(&self) -> Progress {
        let total = self.run.shards();
        let done = (0..total).filter(|&i| self.shard_path(i).exists()).count();
        let each = self.spent.checked_div(self.proven).unwrap_or_default();
        let cycles = self.run.execution.cycles;
        Progress { done, total, cycles, spent: self.spent, left: each * (total - done) as u32 }
    }

    /// Proves every shard that no process has proven or works on. `observe` hears of each step and may break off.
    ///
    /// # Errors
    /// The first failure; finished shards stay.
    pub fn work(
        &mut self,
        mut observe: impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<(), WorkError> {
        for index in 0..self.run.shards() {
            if observe(&self.progress()).is_break() {
                return Ok(());
            }
            self.work_on(index)?;
        }
        let _ = observe(&self.progress());
        Ok(())
    }

    /// Proves one shard unless it is proven or another process works on it.
    ///
    /// # Errors
    /// When it cannot be proven or written.
    pub fn work_on(&mut self, index: usize) -> Result<(), WorkError> {
        if self.read_shard(index)?.is_some() {
            return Ok(());
        }
        let path = self.dir.join(format!("shard-{index}.lock"));
        let lock = File::create(&path).map_err(|e| io(&path, e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(e)) => return Err(io(&path, e)),
        }
        // The other process may have finished between our look and our lock.
        if self.read_shard(index)?.is_some() {
            return Ok(());
        }
        let start = Instant::now();
        let proof = self.prove(index)?;
        write_whole(&self.shard_path(index), &encode(&proof)?)?;
        self.spent += start.elapsed();
        self.proven += 1;
        Ok(())
    }

    fn prove(&mut self, index: usize) -> Result<ShardProof, WorkError> {
        let mut tree = match self.tree.take() {
            Some((at, tree)) if at == index => tree,
            _ => self.run.tree_at(index)?,
        };
        let shard = self.run.prepare(index, &mut tree)?;
        self.tree = Some((index + 1, tree));
        let mut instances =
            traces(&self.run.program, &shard.record, &shard.nodes, &shard.statement);
        drop((shard.record, shard.nodes));
        if self.padded {
            instances = ShardShape::pad_to_allowed(instances)
                .map_err(|e| WorkError::Prove(index, e.into()))?;
        }
        self.key.prove(shard.statement, instances).map_err(|e| WorkError::Prove(index, e))
    }

    /// Puts the execution proof together.
    ///
    /// # Errors
    /// When a shard is missing.
    pub fn finish(&self) -> Result<ExecutionProof, WorkError> {
        let shards = (0..self.run.shards())
            .map(|i| self.read_shard(i)?.ok_or(WorkError::Missing(i)))
            .collect::<Result<_, _>>()?;
        Ok(ExecutionProof { vk: self.key.vk.clone(), shards })
    }

    fn shard_path(&self, index: usize) -> PathBuf {
        self.dir.join(format!("shard-{index}.proof"))
    }

    /// A shard's proof if it is there and is of this run; anything else is proven again.
    fn read_shard(&self, index: usize) -> Result<Option<ShardProof>, WorkError> {
        let path = self.shard_path(index);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(decode::<ShardProof>(&bytes, MAX_SHARD_BYTES)
                .ok()
                .filter(|p| self.matches(index, &p.statement))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io(&path, e)),
        }
    }

    /// Whether a statement has the program counters of shard `index`.
    fn matches(&self, index: usize, statement: &ShardStatement) -> bool {
        let shards = &self.run.execution.shards;
        shards.get(index).is_some_and(|s| {
            let end = if s.is_last { crate::program::HALT_PC } else { s.end.pc };
            statement.pc == [s.start.pc, end]
        })
    }
}

fn io(path: &Path, source: std::io::Error) -> WorkError {
    WorkError::Io { path: path.to_owned(), source }
}

/// Writes a file so that it is there whole or not at all.
///
/// # Errors
/// When the file system refuses; nothing is left behind under the file's name.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), WorkError> {
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    let written = File::create(&partial)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&partial, path));
    written.map_err(|e| {
        let _ = std::fs::remove_file(&partial);
        io(path, e)
    })
}

/// A digest of bytes, to tell inputs apart.
fn digest_bytes(bytes: &[u8]) -> [u32; 8] {
    use p3_field::PrimeCharacteristicRing;
    use p3_symmetric::{CryptographicHasher, PaddingFreeSponge};
    let length = [bytes.len() as u32 & 0xffff, (bytes.len() >> 16) as u32];
    let limbs =
        bytes.chunks(2).map(|c| u32::from(c[0]) | u32::from(c.get(1).copied().unwrap_or(0)) << 8);
    let sponge = PaddingFreeSponge::<_, 16, 8, 8>::new(crate::memory::permutation().clone());
    let digest: [crate::bus::F; 8] =
        sponge.hash_iter(length.into_iter().chain(limbs).map(crate::bus::F::from_u32));
    crate::memory::canonical(&digest)
}
