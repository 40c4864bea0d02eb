//! The mempool: one queue per sender in nonce order, replacement by 10 % higher fees, bounded.

use crate::block::SentTx;
use alloy_consensus::Transaction as _;
use alloy_eips::eip7594::BlobTransactionSidecarEip7594;
use alloy_primitives::{Address, TxHash};
use cairn_rpc::PoolError;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;

/// Percentage by which a replacement must raise both fees; blob transactions must double them.
const PRICE_BUMP: u128 = 10;
const BLOB_PRICE_BUMP: u128 = 100;
/// How far beyond the next nonce a transaction may lie.
const MAX_NONCE_GAP: u64 = 1_024;

/// A transaction that waits.
#[derive(Debug)]
pub(crate) struct PoolTx {
    pub(crate) sent: SentTx,
    pub(crate) sidecar: Option<BlobTransactionSidecarEip7594>,
    pub(crate) size: usize,
    arrival: u64,
}

impl PoolTx {
    pub(crate) const fn new(
        sent: SentTx,
        sidecar: Option<BlobTransactionSidecarEip7594>,
        size: usize,
    ) -> Self {
        Self { sent, sidecar, size, arrival: 0 }
    }

    pub(crate) fn hash(&self) -> TxHash {
        *self.sent.tx.tx_hash()
    }

    fn nonce(&self) -> u64 {
        self.sent.tx.nonce()
    }

    /// True if this pays enough more than `old` to take its place.
    fn replaces(&self, old: &Self) -> bool {
        let (new, old) = (&self.sent.tx, &old.sent.tx);
        let bump = if old.blob_versioned_hashes().is_some() { BLOB_PRICE_BUMP } else { PRICE_BUMP };
        let raised = |old: u128, new: u128| {
            new >= old.saturating_add((old.saturating_mul(bump) / 100).max(1))
        };
        let tip = |tx: &alloy_consensus::TxEnvelope| {
            tx.max_priority_fee_per_gas().unwrap_or_else(|| tx.max_fee_per_gas())
        };
        let blob = |tx: &alloy_consensus::TxEnvelope| tx.max_fee_per_blob_gas();
        raised(old.max_fee_per_gas(), new.max_fee_per_gas())
            && (raised(tip(old), tip(new)) || (tip(old) == 0 && tip(new) == 0))
            && blob(old).is_none_or(|old| blob(new).is_none_or(|new| raised(old, new)))
    }
}

#[derive(Default)]
struct Sender {
    txs: BTreeMap<u64, Arc<PoolTx>>,
    /// First nonce that is neither used nor here in an unbroken row.
    next: u64,
}

impl Sender {
    fn extend_row(&mut self) {
        while self.txs.contains_key(&self.next) {
            self.next += 1;
        }
    }
}

/// See the module's text.
pub(crate) struct Pool {
    senders: HashMap<Address, Sender>,
    hashes: HashMap<TxHash, (Address, u64)>,
    arrivals: u64,
    max: usize,
    max_per_sender: usize,
}

impl Pool {
    pub(crate) fn new(max: usize, max_per_sender: usize) -> Self {
        Self { senders: HashMap::new(), hashes: HashMap::new(), arrivals: 0, max, max_per_sender }
    }

    pub(crate) fn get(&self, hash: &TxHash) -> Option<&Arc<PoolTx>> {
        let (sender, nonce) = self.hashes.get(hash)?;
        self.senders.get(sender)?.txs.get(nonce)
    }

    /// The sender's next nonce, with `state_nonce` in the state.
    pub(crate) fn next_nonce(&self, sender: Address, state_nonce: u64) -> u64 {
        self.senders.get(&sender).map_or(state_nonce, |s| s.next.max(state_nonce))
    }

    /// Takes a transaction in; true if it can be executed now.
    pub(crate) fn insert(&mut self, mut tx: PoolTx, state_nonce: u64) -> Result<bool, PoolError> {
        let (sender, nonce, hash) = (tx.sent.sender, tx.nonce(), tx.hash());
        if self.hashes.contains_key(&hash) {
            return Err(PoolError::AlreadyKnown);
        }
        let full = self.hashes.len() >= self.max;
        let queue = self.senders.entry(sender).or_default();
        queue.next = queue.next.max(state_nonce);
        queue.extend_row();
        let verdict = match queue.txs.get(&nonce) {
            Some(old) if !tx.replaces(old) => Err(PoolError::ReplacementUnderpriced),
            Some(old) => Ok(Some(old.hash())),
            None if full || queue.txs.len() >= self.max_per_sender => Err(PoolError::PoolFull),
            None if nonce > queue.next.saturating_add(MAX_NONCE_GAP) => {
                Err(PoolError::NonceTooHigh { next: queue.next, got: nonce })
            }
            None => Ok(None),
        };
        let replaced = verdict.inspect_err(|_| {
            if self.senders.get(&sender).is_some_and(|s| s.txs.is_empty()) {
                self.senders.remove(&sender);
            }
        })?;
        if let Some(old) = replaced {
            self.hashes.remove(&old);
        }
        self.arrivals += 1;
        tx.arrival = self.arrivals;
        self.hashes.insert(hash, (sender, nonce));
        let queue = self.senders.entry(sender).or_default();
        queue.txs.insert(nonce, Arc::new(tx));
        queue.extend_row();
        Ok(nonce < queue.next)
    }

    pub(crate) fn remove(&mut self, hash: &TxHash) -> bool {
        let Some((sender, nonce)) = self.hashes.remove(hash) else { return false };
        if let Some(queue) = self.senders.get_mut(&sender) {
            queue.txs.remove(&nonce);
            queue.next = queue.next.min(nonce);
            if queue.txs.is_empty() {
                self.senders.remove(&sender);
            }
        }
        true
    }

    pub(crate) fn remove_sender(&mut self, sender: Address) {
        if let Some(queue) = self.senders.remove(&sender) {
            queue.txs.values().for_each(|tx| {
                self.hashes.remove(&tx.hash());
            });
        }
    }

    pub(crate) fn clear(&mut self) {
        self.senders.clear();
        self.hashes.clear();
    }

    /// Forgets what the chain has overtaken.
    pub(crate) fn prune(&mut self, sender: Address, state_nonce: u64) {
        let Some(queue) = self.senders.get_mut(&sender) else { return };
        let left = queue.txs.split_off(&state_nonce);
        for tx in std::mem::replace(&mut queue.txs, left).values() {
            self.hashes.remove(&tx.hash());
        }
        queue.next = queue.next.max(state_nonce);
        queue.extend_row();
        if queue.txs.is_empty() {
            self.senders.remove(&sender);
        }
    }

    /// After the chain went back: the rows start again where the state says.
    pub(crate) fn rewind(&mut self, nonce: impl Fn(Address) -> u64) {
        for (sender, queue) in &mut self.senders {
            queue.next = nonce(*sender);
            queue.extend_row();
        }
    }

    /// At most `max` executable transactions, best tip first, in nonce order for each sender.
    pub(crate) fn best(
        &self,
        base_fee: u64,
        max: usize,
        nonce: impl Fn(Address) -> u64,
    ) -> Vec<Arc<PoolTx>> {
        let mut heap = BinaryHeap::new();
        let push = |heap: &mut BinaryHeap<_>, tx: &PoolTx| {
            if let Some(tip) = tx.sent.tx.effective_tip_per_gas(base_fee) {
                heap.push((tip, Reverse(tx.arrival), tx.sent.sender, tx.nonce()));
            }
        };
        for (sender, queue) in &self.senders {
            if let Some(tx) = queue.txs.get(&nonce(*sender)) {
                push(&mut heap, tx);
            }
        }
        let mut best = Vec::new();
        while best.len() < max
            && let Some((_, _, sender, nonce)) = heap.pop()
        {
            let Some(queue) = self.senders.get(&sender) else { continue };
            best.extend(queue.txs.get(&nonce).cloned());
            if let Some(next) = queue.txs.get(&(nonce + 1)) {
                push(&mut heap, next);
            }
        }
        best
    }

    /// All transactions: (executable, waiting for a nonce).
    pub(crate) fn all(&self) -> (Vec<Arc<PoolTx>>, Vec<Arc<PoolTx>>) {
        let (mut ready, mut waiting) = (Vec::new(), Vec::new());
        for queue in self.senders.values() {
            for (nonce, tx) in &queue.txs {
                if *nonce < queue.next {
                    ready.push(Arc::clone(tx))
                } else {
                    waiting.push(Arc::clone(tx))
                }
            }
        }
        (ready, waiting)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{SignableTransaction, TxEip1559};
    use alloy_primitives::Signature;

    fn tx(sender: u8, nonce: u64, fee: u128) -> PoolTx {
        let tx = TxEip1559 {
            // Another hash for another sender.
            value: alloy_primitives::U256::from(sender),
            nonce,
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: fee,
            gas_limit: 21_000,
            ..Default::default()
        };
        let signed = tx.into_signed(Signature::test_signature());
        PoolTx::new(SentTx { tx: signed.into(), sender: Address::repeat_byte(sender) }, None, 100)
    }

    fn order(pool: &Pool) -> Vec<(u8, u64)> {
        pool.best(0, 10, |_| 0).iter().map(|tx| (tx.sent.sender[0], tx.nonce())).collect()
    }

    #[test]
    fn nonces_first_then_tips() {
        let mut pool = Pool::new(100, 100);
        assert_eq!(pool.insert(tx(1, 1, 90), 0), Ok(false));
        assert_eq!(pool.insert(tx(1, 0, 10), 0), Ok(true));
        assert_eq!(pool.insert(tx(2, 0, 50), 0), Ok(true));
        assert_eq!(order(&pool), [(2, 0), (1, 0), (1, 1)]);
        assert_eq!(pool.next_nonce(Address::repeat_byte(1), 0), 2);
        pool.prune(Address::repeat_byte(1), 1);
        assert_eq!(pool.len(), 2);
        assert_eq!(pool.next_nonce(Address::repeat_byte(1), 1), 2);
    }

    #[test]
    fn replacement_needs_ten_percent() {
        let mut pool = Pool::new(100, 100);
        pool.insert(tx(1, 0, 100), 0).unwrap();
        assert_eq!(pool.insert(tx(1, 0, 100), 0), Err(PoolError::AlreadyKnown));
        assert_eq!(pool.insert(tx(1, 0, 109), 0), Err(PoolError::ReplacementUnderpriced));
        assert_eq!(pool.insert(tx(1, 0, 110), 0), Ok(true));
        assert_eq!(pool.len(), 1);
    }

    #[test]
    fn bounds_hold() {
        let mut pool = Pool::new(3, 2);
        pool.insert(tx(1, 0, 1), 0).unwrap();
        pool.insert(tx(1, 1, 1), 0).unwrap();
        assert_eq!(pool.insert(tx(1, 2, 1), 0), Err(PoolError::PoolFull));
        pool.insert(tx(2, 0, 1), 0).unwrap();
        assert_eq!(pool.insert(tx(3, 0, 1), 0), Err(PoolError::PoolFull));
        assert!(pool.remove(&tx(2, 0, 1).hash()));
        assert_eq!(pool.insert(tx(3, 0, 1), 0), Ok(true), "there is room again");
        assert!(matches!(
            Pool::new(9, 9).insert(tx(1, 5_000, 1), 0),
            Err(PoolError::NonceTooHigh { .. })
        ));
    }

    #[test]
    fn a_removed_transaction_leaves_a_gap() {
        let mut pool = Pool::new(10, 10);
        (0..3).for_each(|n| assert_eq!(pool.insert(tx(1, n, 1), 0), Ok(true)));
        assert!(pool.remove(&tx(1, 1, 1).hash()));
        assert_eq!(pool.next_nonce(Address::repeat_byte(1), 0), 1);
        let (ready, waiting) = pool.all();
        assert_eq!((ready.len(), waiting.len()), (1, 1));
    }
}
