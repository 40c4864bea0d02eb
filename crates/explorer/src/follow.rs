//! Keeps the index up with the chain, and with what L1 says of deposits and withdrawals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256};
use alloy_provider::Provider;
use alloy_rpc_types::Log;
use alloy_sol_types::{SolCall, SolEvent, sol};
use cairn_settlement::bindings::{L1Nullifier, ZKChain};
use cairn_settlement::l1::L1;
use tokio::sync::watch;

use crate::error::{ExplorerError, Result};
use crate::index::model::L1Deposit;
use crate::index::{BlockInternals, Index, MAX_BLOCKS, MAX_TXS};
use crate::source::Source;

/// Pause between two looks at the head. A block that nobody waited for is seen within it.
const POLL: Duration = Duration::from_millis(100);
/// Longest that indexed blocks stay unsynced. They would be read again after a crash.
const SYNC: Duration = Duration::from_secs(3);
/// Pause after a fault.
const RETRY: Duration = Duration::from_secs(2);
/// Blocks whose internal operations one transaction takes at most.
const INTERNAL_BLOCKS: usize = 256;
/// Longest work before what was found of internal operations is written.
const INTERNAL_WORK: Duration = Duration::from_millis(250);
/// Operations that are held before they are written.
const INTERNAL_HELD: usize = 20_000;
/// Faults in a row after which a block is left without internal operations.
const INTERNAL_FAULTS: u32 = 3;
/// Pause between two looks at L1.
const L1_POLL: Duration = Duration::from_secs(1);
/// L1 blocks that one look covers at most.
const L1_RANGE: u64 = 2_000;
/// L1 blocks that are read again each time, for shallow reorgs.
const L1_OVERLAP: u64 = 16;

sol! {
    event DepositFinalizedAssetRouter(uint256 indexed chainId, bytes32 indexed assetId, bytes assetData);
}

/// Indexes everything that the source has beyond the index, in bounded steps; returns the number of blocks.
///
/// # Errors
/// A fault of the source or the file. [`ExplorerError::Chain`] when the indexed chain is not the source's.
pub fn catch_up<S: Source + ?Sized>(index: &Index, source: &S, stop: &AtomicBool) -> Result<u64> {
    let from = index.next_block();
    check_same_chain(index, source)?;
    while !stop.load(Ordering::Relaxed) && step(index, source, true)? {}
    while !stop.load(Ordering::Relaxed) && step_internals(index, source, true)? {}
    Ok(index.next_block() - from)
}

/// Takes one transaction's worth of blocks; false when there are none.
fn step<S: Source + ?Sized>(index: &Index, source: &S, durable: bool) -> Result<bool> {
    let _turn = index.turn.read();
    let (first, head) = (index.next_block(), source.head());
    if first > head {
        return Ok(false);
    }
    let mut blocks = Vec::new();
    let mut txs = 0;
    for number in first..=head.min(first + MAX_BLOCKS - 1) {
        let Some(block) = source.block(number)? else { break };
        txs += block.txs.len();
        blocks.push(block);
        if txs >= MAX_TXS {
            break;
        }
    }
    index.append(&blocks, |token| source.token(token), durable)?;
    Ok(!blocks.is_empty())
}

/// Takes the internal operations of some indexed blocks; false when there are none to take.
fn step_internals<S: Source + ?Sized>(index: &Index, source: &S, durable: bool) -> Result<bool> {
    let _turn = index.turn.read();
    let (started, mut held) = (Instant::now(), 0);
    let mut blocks = Vec::new();
    for number in index.next_internal()..index.next_block() {
        // What went before is written when this block cannot be read.
        let block = match source.internals(number) {
            Ok(Some(block)) => block,
            Ok(None) => break,
            Err(_) if !blocks.is_empty() => break,
            Err(e) => return Err(e),
        };
        held += block.txs.iter().map(|tx| tx.operations.len()).sum::<usize>();
        blocks.push(block);
        if blocks.len() >= INTERNAL_BLOCKS
            || held >= INTERNAL_HELD
            || started.elapsed() >= INTERNAL_WORK
        {
            break;
        }
    }
    index.append_internals(&blocks, durable)?;
    Ok(!blocks.is_empty())
}

fn check_same_chain<S: Source + ?Sized>(index: &Index, source: &S) -> Result<()> {
    let Some(last) = index.next_block().checked_sub(1) else { return Ok(()) };
    if source.block_hash(last)? == index.head_hash()? {
        return Ok(());
    }
    Err(ExplorerError::Chain(format!(
        "block {last} of the chain is not the one that {} holds; delete that file, it is built again",
        index.path().display()
    )))
}

/// Whether an existing index belongs to the source's chain as it stands.
///
/// # Errors
/// A fault of the source or the file.
pub fn is_current<S: Source + ?Sized>(index: &Index, source: &S) -> Result<bool> {
    match check_same_chain(index, source) {
        Ok(()) => Ok(true),
        Err(ExplorerError::Chain(_)) => Ok(false),
        Err(e) => Err(e),
    }
}

/// The threads that follow the chain: one the blocks, one behind it their internal operations. They end when this is dropped.
#[derive(Debug)]
pub struct Follower {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Follower {
    /// Starts to follow.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(index: Arc<Index>, source: Arc<dyn Source>) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut follower = Self { stop: stop.clone(), threads: Vec::new() };
        let (i, s, told) = (index.clone(), source.clone(), stop.clone());
        follower.spawn("explorer-index", move || follow(&i, &*s, &told))?;
        follower.spawn("explorer-calls", move || follow_internals(&index, &*source, &stop))?;
        Ok(follower)
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        self.threads.push(std::thread::Builder::new().name(name.into()).spawn(run)?);
        Ok(())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn follow(index: &Index, source: &dyn Source, stop: &AtomicBool) {
    let mut synced = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let behind = source.head().saturating_sub(index.next_block()) > MAX_BLOCKS;
        let durable = behind || synced.elapsed() > SYNC;
        match step(index, source, durable) {
            Ok(true) => {
                if durable {
                    synced = Instant::now();
                }
                // Under load a pause lets blocks gather, so that they share a transaction.
                if !behind {
                    std::thread::sleep(POLL);
                }
            }
            Ok(false) => std::thread::sleep(POLL),
            Err(e) => {
                tracing::warn!(error = %e, "the explorer's index does not advance");
                std::thread::sleep(RETRY);
            }
        }
    }
}

/// As [`follow`], for internal operations. It rests as long as it works, so that it never takes more than half a core from the sequencer.
fn follow_internals(index: &Index, source: &dyn Source, stop: &AtomicBool) {
    let (mut synced, mut faults) = (Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        let durable = synced.elapsed() > SYNC;
        match step_internals(index, source, durable) {
            Ok(taken) => {
                faults = 0;
                if durable && taken {
                    synced = Instant::now();
                }
                let rest = if taken { started.elapsed() } else { POLL };
                std::thread::sleep(rest.clamp(POLL / 10, RETRY));
            }
            Err(e) => {
                faults += 1;
                tracing::warn!(error = %e, "the explorer's index of calls does not advance");
                if faults >= INTERNAL_FAULTS && pass_over(index).is_ok() {
                    faults = 0;
                }
                std::thread::sleep(RETRY);
            }
        }
    }
}

/// Leaves a block without internal operations, so that one that cannot be executed again does not keep all later ones from the index.
fn pass_over(index: &Index) -> Result<()> {
    let block = index.next_internal();
    tracing::error!(block, "the explorer shows no internal calls of this block");
    index.append_internals(&[BlockInternals { block, txs: Vec::new() }], false)
}

/// What of L1 the index follows.
#[derive(Debug, Clone)]
pub struct L1Contracts {
    /// The chain's own contract.
    pub chain: Address,
    /// The asset router.
    pub asset_router: Address,
    /// The nullifier.
    pub nullifier: Address,
    /// L1 block before which none of them existed.
    pub created_at: u64,
    /// Chain id of the rollup.
    pub chain_id: u64,
}

/// Follows L1's events until told to stop. L1's faults are waited out.
pub async fn follow_l1(
    index: Arc<Index>,
    l1: L1,
    contracts: L1Contracts,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let pause = match l1_step(&index, &l1, &contracts).await {
            Ok(true) => Duration::ZERO,
            Ok(false) => L1_POLL,
            Err(e) => {
                tracing::debug!(error = %e, "L1's events are read again later");
                RETRY
            }
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Reads a range; true when there is more.
async fn l1_step(index: &Index, l1: &L1, contracts: &L1Contracts) -> Result<bool> {
    let turn = *index.turn.read();
    let head = l1.block_number().await?;
    let next = index.l1_next()?.unwrap_or(contracts.created_at);
    if next > head {
        return Ok(false);
    }
    let from = next.saturating_sub(L1_OVERLAP).max(contracts.created_at);
    let to = head.min(next + L1_RANGE - 1);
    let topic = ZKChain::NewPriorityRequest::SIGNATURE_HASH;
    let deposits = l1.logs(contracts.chain, topic, from, to).await?;
    let topic = DepositFinalizedAssetRouter::SIGNATURE_HASH;
    let finalized = l1.logs(contracts.asset_router, topic, from, to).await?;
    let deposits: Vec<_> = deposits.iter().filter_map(read_deposit).collect();
    let mut consumed = Vec::new();
    for log in &finalized {
        let Some(hash) = log.transaction_hash else { continue };
        if let Some(message) = consumed_message(l1, contracts, hash).await? {
            consumed.push((message, hash));
        }
    }
    let now = index.turn.read();
    if *now == turn {
        index.put_l1(&deposits, &consumed, to + 1)?;
    }
    Ok(to < head || *now != turn)
}

fn read_deposit(log: &Log) -> Option<(u64, L1Deposit)> {
    let event = ZKChain::NewPriorityRequest::decode_log(&log.inner).ok()?;
    let deposit = L1Deposit { l1_tx: log.transaction_hash?, l1_block: log.block_number? };
    Some((u64::try_from(event.txId).ok()?, deposit))
}

/// The message that a transaction consumed by calling the nullifier itself.
async fn consumed_message(
    l1: &L1,
    contracts: &L1Contracts,
    hash: B256,
) -> Result<Option<(u64, u64)>> {
    use alloy_consensus::Transaction as _;
    let tx =
        l1.read("eth_getTransactionByHash", move |p| async move {
            p.get_transaction_by_hash(hash).await
        })
        .await?;
    let Some(tx) = tx.filter(|tx| tx.to() == Some(contracts.nullifier)) else { return Ok(None) };
    let Ok(call) = L1Nullifier::finalizeDepositCall::abi_decode(tx.input()) else {
        return Ok(None);
    };
    let p = call.params;
    if u64::try_from(p.chainId) != Ok(contracts.chain_id) {
        return Ok(None);
    }
    Ok(u64::try_from(p.l2BatchNumber).ok().zip(u64::try_from(p.l2MessageIndex).ok()))
}
