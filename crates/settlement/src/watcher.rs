//! Watches L1 for priority operations, in the queue's order, behind a confirmation depth, through reorgs.

use std::{collections::VecDeque, time::Duration};

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, B256, Log, U256};
use alloy_sol_types::SolEvent;
use cairn_primitives::priority::{PriorityError, PriorityTx, empty_queue_hash, roll_priority_hash};
use thiserror::Error;
use tokio::sync::watch;

use crate::{
    batch::SourceError,
    bindings::ZKChain,
    head::Heads,
    l1::{L1, L1Error},
};

/// Most L1 blocks asked for in one query.
const MAX_RANGE: u64 = 1_000;
/// L1 blocks below the cursor that are read again with each new one: a node that lags leaves the logs of its missing blocks out without a word, while others
/// behind the same URL have these blocks.
const LATE_LOGS: u64 = 32;
/// Scanned blocks whose hashes are remembered, to see a reorg.
const REMEMBERED: usize = 256;

/// Why the watcher cannot go on.
#[derive(Debug, Error)]
pub enum WatchError {
    /// L1 failed us.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// Operations came out of the queue's order.
    #[error("L1 gave priority operation {found} where {expected} was due")]
    Order {
        /// Index that was due.
        expected: u64,
        /// Index that came.
        found: u64,
    },
    /// The event's hash is not that of its transaction.
    #[error(
        "priority operation {0} does not hash to what its event says; the L1 node or the contract is not to be trusted"
    )]
    Hash(u64),
    /// The contract queued something that the chain cannot execute.
    #[error("priority operation {id} on L1 is malformed: {error}")]
    Malformed {
        /// Index in the queue.
        id: u64,
        /// What is wrong.
        error: PriorityError,
    },
    /// L1 dropped operations that this chain has already executed.
    #[error(
        "an L1 reorg deeper than the confirmation depth removed priority operations that this chain has executed (the queue's hash after {count} is {on_l1}, ours is {ours}); raise the confirmation depth and recover from L1"
    )]
    DeepReorg {
        /// Operations consumed here.
        count: u64,
        /// Rolling hash on L1.
        on_l1: B256,
        /// Rolling hash here.
        ours: B256,
    },
    /// The consumer failed.
    #[error("the node's storage: {0}")]
    Sink(SourceError),
}

/// Takes priority operations as they are confirmed.
pub trait PrioritySink: Send + Sync + 'static {
    /// Index of the next operation due, and the rolling hash of all before.
    fn next(&self) -> Result<(u64, B256), SourceError>;
    /// L1 block up to which everything was taken, remembered over restarts.
    fn cursor(&self) -> Result<u64, SourceError>;
    /// Takes operations, in order, and the new cursor, durably and at once.
    fn accept(&self, operations: Vec<PriorityTx>, cursor: u64) -> Result<(), SourceError>;
    /// Everything that is confirmed by now was taken.
    fn caught_up(&self);
    /// L1 reorganised: forgets the operations that no block has consumed yet, and the cursor, so that everything is read again.
    fn rewind(&self) -> Result<(), SourceError>;
}

/// The watcher.
pub struct Watcher<S> {
    l1: L1,
    chain: Address,
    sink: S,
    confirmations: u64,
    poll: Duration,
    heads: Heads,
    seen: VecDeque<(u64, B256)>,
    /// Set while everything is being read again because of a gap, so that a gap that stays is an error.
    rewound: bool,
    /// L1 blocks below the cursor that the next round reads again. Hashes of what was read are not kept over a restart, so what may have been reorganised
    /// meanwhile is read twice; operations that are known are passed over.
    overlap: u64,
}

impl<S: PrioritySink> Watcher<S> {
    /// Watches the chain contract at `chain`; blocks with fewer than `confirmations` blocks above them are left alone.
    pub fn new(l1: L1, chain: Address, sink: S, confirmations: u64, poll: Duration) -> Self {
        let (heads, seen, overlap) = (Heads::default(), VecDeque::new(), REMEMBERED as u64);
        Self { l1, chain, sink, confirmations, poll, heads, seen, rewound: false, overlap }
    }

    /// Runs until it is told to stop or cannot go on.
    ///
    /// # Errors
    /// What needs a person; transient errors of L1 are tried again with a growing pause of at most half a minute.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), WatchError> {
        let (mut pause, mut checked) = (self.poll, false);
        while !*stop.borrow() {
            pause = match self.step(&mut checked).await {
                Ok(true) => Duration::ZERO,
                Ok(false) => self.poll,
                Err(WatchError::L1(e)) if e.is_transient() => {
                    tracing::warn!(error = %e, "the watcher waits for L1");
                    (pause * 2).clamp(self.poll, Duration::from_secs(30))
                }
                Err(e) => return Err(e),
            };
            tokio::select! {
                _ = tokio::time::sleep(pause) => {}
                _ = stop.changed() => {}
            }
        }
        Ok(())
    }

    /// A round, after what earlier runs read was found to be L1's still.
    async fn step(&mut self, checked: &mut bool) -> Result<bool, WatchError> {
        if !*checked {
            self.heads.saw(self.sink.cursor().map_err(WatchError::Sink)?);
            self.check_queue().await?;
            *checked = true;
        }
        self.round().await
    }

    /// What was read must still be what L1 queued. What no block has consumed may have changed and is read again; what was consumed may not.
    async fn check_queue(&self) -> Result<(), WatchError> {
        match self.compare_queue().await {
            Err(WatchError::DeepReorg { .. }) => {
                self.sink.rewind().map_err(WatchError::Sink)?;
                self.compare_queue().await
            }
            other => other,
        }
    }

    async fn compare_queue(&self) -> Result<(), WatchError> {
        let (count, ours) = self.sink.next().map_err(WatchError::Sink)?;
        if count == 0 {
            return Ok(());
        }
        self.check_rolling(count, ours).await
    }

    /// Takes what is new and confirmed. True when there is more.
    ///
    /// # Errors
    /// See [`WatchError`].
    pub async fn round(&mut self) -> Result<bool, WatchError> {
        let head = self.heads.newest(&self.l1).await?;
        let Some(safe) = head.checked_sub(self.confirmations) else { return Ok(false) };
        self.notice_reorg(head).await?;
        let cursor = self.sink.cursor().map_err(WatchError::Sink)?;
        let from = (cursor + 1).saturating_sub(self.overlap);
        if cursor > safe {
            return Ok(false);
        }
        if cursor == safe && self.overlap == LATE_LOGS {
            self.sink.caught_up();
            return Ok(false);
        }
        let to = safe.min(from + MAX_RANGE - 1).max(cursor);
        // What is read counts only if the chain that it was read from is the same before and after.
        let end = BlockNumberOrTag::Number(to);
        let before = self.l1.block(end).await?.map(|(number, hash, _)| (number, hash));
        let operations = match self.fetch(from, to).await {
            // A gap: an operation that was due sits below the cursor since a reorg that nobody saw. If it is not there either, the next round fails.
            Err(WatchError::Order { .. }) if !self.rewound => {
                self.rewound = true;
                self.read_again().await?;
                return Ok(true);
            }
            other => other?,
        };
        let after = self.l1.block(end).await?.map(|(number, hash, _)| (number, hash));
        // Else it reorganised meanwhile, or lags: the next round looks again.
        let Some(block) = after.filter(|_| before == after) else { return Ok(false) };
        if !operations.is_empty() {
            self.rewound = false;
        }
        self.sink.accept(operations, to).map_err(WatchError::Sink)?;
        self.overlap = LATE_LOGS;
        if to == safe {
            self.sink.caught_up();
        }
        self.seen.push_back(block);
        while self.seen.len() > REMEMBERED {
            self.seen.pop_front();
        }
        Ok(to < safe)
    }

    /// A reorg of blocks that were read is harmless as long as the queue we consumed is still there; else there is no honest way on.
    async fn notice_reorg(&mut self, head: u64) -> Result<(), WatchError> {
        let Some(&(number, hash)) = self.seen.back() else { return Ok(()) };
        let now = self.l1.block(BlockNumberOrTag::Number(number)).await?;
        if now.is_none() && head >= number {
            // Another node than the one that told the head.
            let detail = format!("none of {number}, and {head} before");
            return Err(L1Error::Nonsense { what: "eth_getBlockByNumber", detail }.into());
        }
        let same = now.is_some_and(|(_, h, _)| h == hash);
        if same || (now.is_none() && head < number && self.seen.len() == 1) {
            return Ok(());
        }
        tracing::warn!(number, "L1 reorganised a block that was already read; reading again");
        self.read_again().await
    }

    /// An operation may have moved below the cursor: everything that no block has consumed is read anew, and what was consumed must still be there.
    async fn read_again(&mut self) -> Result<(), WatchError> {
        self.seen.clear();
        self.sink.rewind().map_err(WatchError::Sink)?;
        self.compare_queue().await
    }

    async fn fetch(&self, from: u64, to: u64) -> Result<Vec<PriorityTx>, WatchError> {
        let topic = ZKChain::NewPriorityRequest::SIGNATURE_HASH;
        let logs = self.l1.logs(self.chain, topic, from, to).await?;
        let (mut due, mut rolling) = self.sink.next().map_err(WatchError::Sink)?;
        let mut out = Vec::with_capacity(logs.len());
        for log in &logs {
            let tx = parse(&log.inner)?;
            // Read again after a crash between accepting and moving the cursor, or after a reorg.
            if tx.id < due {
                continue;
            }
            if tx.id > due {
                return Err(WatchError::Order { expected: due, found: tx.id });
            }
            rolling = roll_priority_hash(rolling, tx.hash);
            due += 1;
            out.push(tx);
        }
        if !out.is_empty() {
            self.check_rolling(due, rolling).await?;
        }
        Ok(out)
    }

    /// The contract's own hash of the queue must agree with the events.
    async fn check_rolling(&self, count: u64, ours: B256) -> Result<(), WatchError> {
        // Asked at a block that is not older than what was read: a node that lags has a shorter queue, not another one.
        let head = self.heads.newest(&self.l1).await?;
        let call = ZKChain::priorityOpsRollingHashCall { count: U256::from(count) };
        match self.l1.call_at(self.chain, call, head).await {
            Ok(on_l1) if on_l1 == ours => Ok(()),
            Ok(on_l1) => Err(WatchError::DeepReorg { count, on_l1, ours }),
            Err(L1Error::Reverted { .. }) => {
                Err(WatchError::DeepReorg { count, on_l1: B256::ZERO, ours })
            }
            Err(e) => Err(e.into()),
        }
    }
}

fn parse(log: &Log) -> Result<PriorityTx, WatchError> {
    let event = ZKChain::NewPriorityRequest::decode_log(log)
        .map_err(|e| L1Error::Nonsense { what: "NewPriorityRequest", detail: e.to_string() })?;
    let id = u64::try_from(event.txId).unwrap_or(u64::MAX);
    let tx = PriorityTx::from_canonical(&(&event.transaction).into())
        .map_err(|error| WatchError::Malformed { id, error })?;
    if tx.hash != event.txHash || tx.id != id {
        return Err(WatchError::Hash(id));
    }
    Ok(tx)
}

/// Rolling hash of the first operations of a queue.
pub fn rolling_hash<'a>(operations: impl IntoIterator<Item = &'a PriorityTx>) -> B256 {
    operations.into_iter().fold(empty_queue_hash(), |h, tx| roll_priority_hash(h, tx.hash))
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, keccak256};
    use alloy_sol_types::SolValue;
    use proptest::prelude::*;

    use super::*;
    use crate::bindings::L2CanonicalTransaction;

    fn operation(data: Vec<u8>) -> PriorityTx {
        let mut tx = PriorityTx {
            hash: B256::ZERO,
            id: 7,
            from: Address::repeat_byte(1),
            to: Address::repeat_byte(2),
            gas_limit: 100_000,
            gas_per_pubdata: 800,
            max_fee_per_gas: 250,
            value: U256::from(5),
            to_mint: U256::from(30_000_000),
            refund_recipient: Address::repeat_byte(3),
            data: data.into(),
        };
        tx.hash = keccak256(tx.to_canonical().abi_encode());
        tx
    }

    /// The log as the contract writes it.
    fn log(tx: &PriorityTx) -> Log {
        let transaction = tx.to_canonical().abi_encode();
        let event = ZKChain::NewPriorityRequest {
            txId: U256::from(tx.id),
            txHash: tx.hash,
            expirationTimestamp: 9,
            transaction: L2CanonicalTransaction::abi_decode(&transaction).unwrap(),
            factoryDeps: Vec::new(),
        };
        Log { address: Address::ZERO, data: event.encode_log_data() }
    }

    #[test]
    fn a_log_tells_its_operation() {
        for length in [0, 1, 32, 5_000] {
            let tx = operation(vec![9; length]);
            assert_eq!(parse(&log(&tx)).unwrap(), tx);
        }
    }

    proptest! {
        /// Whatever an L1 node says: an error, or an operation that hashes to what it says.
        #[test]
        fn a_spoilt_log_is_an_error_or_an_operation_of_its_hash(
            length in 0usize..100,
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            words in prop::collection::vec((0usize..40, any::<u8>(), 0usize..32), 0..2),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let mut log = log(&operation(vec![9; length]));
            let mut data = log.data.data.to_vec();
            for (at, value) in edits {
                let at = at.index(data.len());
                data[at] = value;
            }
            // Offsets and lengths are whole words: one of them becomes large or small.
            for (word, value, byte) in words {
                if let Some(place) = data.get_mut(32 * word + byte) {
                    *place = value;
                }
            }
            if let Some(cut) = cut {
                data.truncate(cut.index(data.len() + 1));
            }
            log.data.data = Bytes::from(data);
            if let Ok(tx) = parse(&log) {
                prop_assert_eq!(keccak256(tx.to_canonical().abi_encode()), tx.hash);
            }
        }
    }
}
