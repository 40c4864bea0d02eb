//! The log of accepted transactions: append-only segments, synced in groups.
//!
//! A record is `length u32 || checksum u64 || kind u8 || payload`, big-endian; the checksum is the first half of keccak256 over kind and payload,
//! cut to eight bytes. A torn tail (the process died while it wrote) is cut off when the log is opened: nobody was told of what it held.
//!
//! The log may hold transactions that blocks hold by now; the reader drops them by their nonces. [`TxLog::rotate`] starts a new segment, into
//! which the caller appends what is still waiting before it calls [`TxLog::forget_before`].

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;

use alloy_primitives::{Address, B256, Bytes, keccak256};
use tokio::sync::oneshot;

use crate::error::{Result, StorageError};

/// Largest payload of a record, in bytes.
const MAX_RECORD: usize = 256 * 1024;
/// Most writes that wait for the disk.
const QUEUE: usize = 16_384;
/// Most bytes written between two syncs.
const MAX_GROUP: usize = 8 << 20;

const KIND_ACCEPTED: u8 = 1;
const KIND_DROPPED: u8 = 2;
const HEADER: usize = 4 + 8 + 1;

/// What the log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEntry {
    /// A transaction was accepted.
    Accepted {
        /// Its sender, recovered when it was accepted.
        sender: Address,
        /// EIP-2718 form.
        raw: Bytes,
    },
    /// An accepted transaction was dropped (replaced, evicted, or by a development method) and must not come back.
    Dropped(B256),
}

/// Resolves when the write is durable, or failed.
pub type LogWrite = oneshot::Receiver<Result<()>>;

#[derive(Debug)]
enum Command {
    Append(Vec<u8>, oneshot::Sender<Result<()>>),
    Rotate(oneshot::Sender<Result<u64>>),
    ForgetBefore(u64),
}

/// Handle of the log's writer thread. The thread ends, and everything queued is written, when the last handle goes.
#[derive(Debug, Clone)]
pub struct TxLog {
    writer: Arc<WriterThread>,
    bytes: Arc<AtomicU64>,
}

#[derive(Debug)]
struct WriterThread {
    commands: Option<SyncSender<Command>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl TxLog {
    /// Opens the log in `dir` and reads it.
    pub(crate) fn open(dir: &Path) -> Result<(Self, Vec<LogEntry>)> {
        fs::create_dir_all(dir)?;
        let mut entries = Vec::new();
        let segments = segments(dir)?;
        let mut total = 0;
        for (_, path) in &segments {
            total += read_segment(path, &mut entries)?;
        }
        let next = segments.last().map_or(1, |(n, _)| n + 1);
        let bytes = Arc::new(AtomicU64::new(total));
        let mut writer = Writer {
            dir: dir.to_path_buf(),
            segment: next,
            file: None,
            len: 0,
            bytes: bytes.clone(),
        };
        writer.start_segment(next)?;
        let (commands, receiver) = sync_channel(QUEUE);
        let thread =
            thread::Builder::new().name("tx-log".into()).spawn(move || writer.run(&receiver))?;
        let writer = Arc::new(WriterThread { commands: Some(commands), thread: Some(thread) });
        Ok((Self { writer, bytes }, entries))
    }

    /// Queues an entry. The receiver resolves once it is durable.
    ///
    /// # Errors
    /// [`StorageError::Busy`] when too many writes wait, [`StorageError::TooLarge`] for an oversized transaction.
    pub fn append(&self, entry: &LogEntry) -> Result<LogWrite> {
        let record = encode_record(entry)?;
        let (done, receiver) = oneshot::channel();
        self.send(Command::Append(record, done))?;
        Ok(receiver)
    }

    /// Bytes in all segments.
    pub fn size(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Starts a new segment; resolves to its number.
    ///
    /// # Errors
    /// [`StorageError::Busy`].
    pub fn rotate(&self) -> Result<oneshot::Receiver<Result<u64>>> {
        let (done, receiver) = oneshot::channel();
        self.send(Command::Rotate(done))?;
        Ok(receiver)
    }

    /// Deletes the segments before `segment`.
    ///
    /// # Errors
    /// [`StorageError::Busy`].
    pub fn forget_before(&self, segment: u64) -> Result<()> {
        self.send(Command::ForgetBefore(segment))
    }

    fn send(&self, command: Command) -> Result<()> {
        let ended = || StorageError::corrupt("the log's writer ended");
        let commands = self.writer.commands.as_ref().ok_or_else(ended)?;
        commands.try_send(command).map_err(|e| match e {
            TrySendError::Full(_) => StorageError::Busy,
            TrySendError::Disconnected(_) => ended(),
        })
    }
}

fn checksum(body: &[u8]) -> [u8; 8] {
    let hash = keccak256(body);
    std::array::from_fn(|i| hash[i])
}

fn encode_record(entry: &LogEntry) -> Result<Vec<u8>> {
    let mut out = vec![0; HEADER];
    match entry {
        LogEntry::Accepted { sender, raw } => {
            out[HEADER - 1] = KIND_ACCEPTED;
            out.extend_from_slice(sender.as_slice());
            out.extend_from_slice(raw);
        }
        LogEntry::Dropped(hash) => {
            out[HEADER - 1] = KIND_DROPPED;
            out.extend_from_slice(hash.as_slice());
        }
    }
    let size = out.len() - HEADER;
    if size > MAX_RECORD {
        return Err(StorageError::TooLarge { what: "log record", size, limit: MAX_RECORD });
    }
    let sum = checksum(&out[HEADER - 1..]);
    out[..4].copy_from_slice(&(size as u32).to_be_bytes());
    out[4..12].copy_from_slice(&sum);
    Ok(out)
}

/// One record and its length, or `None` for a torn or damaged one.
fn decode_record(bytes: &[u8]) -> Option<(LogEntry, usize)> {
    let size = u32::from_be_bytes(*bytes.first_chunk::<4>()?) as usize;
    if size > MAX_RECORD {
        return None;
    }
    let end = HEADER + size;
    let body = bytes.get(HEADER - 1..end)?;
    if bytes.get(4..12)? != checksum(body) {
        return None;
    }
    let (kind, payload) = body.split_first()?;
    let entry = match *kind {
        KIND_ACCEPTED => {
            let (sender, raw) = payload.split_first_chunk::<20>()?;
            LogEntry::Accepted { sender: Address::from(*sender), raw: Bytes::copy_from_slice(raw) }
        }
        KIND_DROPPED => LogEntry::Dropped(B256::try_from(payload).ok()?),
        _ => return None,
    };
    Some((entry, end))
}

fn segments(dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut out = Vec::new();
    for file in fs::read_dir(dir)? {
        let path = file?.path();
        let name = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".log"));
        if let Some(number) = name.and_then(|n| n.parse().ok()) {
            out.push((number, path));
        }
    }
    out.sort_unstable();
    Ok(out)
}

/// Reads a segment and cuts a torn tail off. Returns its length.
fn read_segment(path: &Path, entries: &mut Vec<LogEntry>) -> Result<u64> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    let mut at = 0;
    while let Some((entry, len)) = decode_record(&bytes[at..]) {
        entries.push(entry);
        at += len;
    }
    if at < bytes.len() {
        tracing::warn!(segment = %path.display(), torn = bytes.len() - at, "cutting an unfinished record off");
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(at as u64)?;
        file.sync_all()?;
    }
    Ok(at as u64)
}

/// The thread that owns the files.
struct Writer {
    dir: PathBuf,
    segment: u64,
    /// `None` after a failed sync: what is on the disk is not known any more, and nothing is acknowledged until a restart.
    file: Option<File>,
    len: u64,
    bytes: Arc<AtomicU64>,
}

impl Writer {
    fn start_segment(&mut self, number: u64) -> Result<()> {
        let path = self.dir.join(format!("{number:010}.log"));
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        file.sync_all()?;
        File::open(&self.dir)?.sync_all()?;
        (self.segment, self.file, self.len) = (number, Some(file), 0);
        Ok(())
    }

    fn run(mut self, commands: &Receiver<Command>) {
        let mut next = commands.recv().ok();
        while let Some(command) = next.take() {
            match command {
                Command::Append(record, done) => next = self.group(record, done, commands),
                Command::Rotate(done) => {
                    let rotated = self.start_segment(self.segment + 1).map(|()| self.segment);
                    let _ = done.send(rotated);
                }
                Command::ForgetBefore(segment) => self.forget_before(segment),
            }
            if next.is_none() {
                next = commands.recv().ok();
            }
        }
    }

    /// Writes this record and those that wait behind it, syncs once, and answers all. Returns a command that is no append.
    fn group(
        &mut self,
        first: Vec<u8>,
        done: oneshot::Sender<Result<()>>,
        commands: &Receiver<Command>,
    ) -> Option<Command> {
        let (mut buffer, mut waiting, mut other) = (first, vec![done], None);
        while buffer.len() < MAX_GROUP {
            match commands.try_recv() {
                Ok(Command::Append(record, done)) => {
                    buffer.extend_from_slice(&record);
                    waiting.push(done);
                }
                Ok(command) => {
                    other = Some(command);
                    break;
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        let outcome = self.write(&buffer);
        for done in waiting {
            let _ = done.send(match &outcome {
                Ok(()) => Ok(()),
                Err(StorageError::DiskFull) => Err(StorageError::DiskFull),
                Err(e) => Err(StorageError::Io(std::io::Error::other(e.to_string()))),
            });
        }
        other
    }

    fn write(&mut self, buffer: &[u8]) -> Result<()> {
        let Some(file) = &mut self.file else {
            return Err(StorageError::Io(std::io::Error::other(
                "the log failed before; restart the node",
            )));
        };
        if let Err(e) = file.write_all(buffer) {
            // Leave no half record behind: later ones would be unreadable.
            if file.set_len(self.len).is_err() {
                self.file = None;
            }
            return Err(e.into());
        }
        if let Err(e) = file.sync_data() {
            self.file = None;
            return Err(e.into());
        }
        self.len += buffer.len() as u64;
        self.bytes.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn forget_before(&self, segment: u64) {
        let Ok(old) = segments(&self.dir) else { return };
        for (number, path) in old {
            if number < segment {
                let len = fs::metadata(&path).map_or(0, |m| m.len());
                if fs::remove_file(&path).is_ok() {
                    self.bytes.fetch_sub(len, Ordering::Relaxed);
                }
            }
        }
    }
}
