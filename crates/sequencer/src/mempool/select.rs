//! The order in which a block takes transactions.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

use alloy_primitives::Address;
use cairn_stf::RecoveredTx;

use super::pool::{Mempool, Rank};

/// Goes through the executable transactions, best first, each sender's in nonce order, without changing the pool.
#[derive(Debug)]
pub struct BestTransactions<'a> {
    pool: &'a Mempool,
    heads: std::iter::Peekable<std::collections::btree_set::Iter<'a, (Rank, Address)>>,
    /// Later transactions of senders that were taken from: (rank, sender, nonce), best on top.
    followers: BinaryHeap<Reverse<(Rank, Address, u64)>>,
    skipped: HashSet<Address>,
}

impl Mempool {
    /// The executable transactions in the order of blocks.
    pub fn best(&self) -> BestTransactions<'_> {
        BestTransactions {
            pool: self,
            heads: self.ready.iter().peekable(),
            followers: BinaryHeap::new(),
            skipped: HashSet::new(),
        }
    }
}

impl BestTransactions<'_> {
    /// Takes no more of this sender's transactions.
    pub fn skip_sender(&mut self, sender: Address) {
        self.skipped.insert(sender);
    }

    fn next_key(&mut self) -> Option<(Address, u64)> {
        let follower = self.followers.peek().map(|Reverse((rank, ..))| *rank);
        let head = self.heads.peek().map(|(rank, _)| *rank);
        match (head, follower) {
            (Some(h), Some(f)) if f < h => self.followers.pop().map(|Reverse((_, s, n))| (s, n)),
            (None, Some(_)) => self.followers.pop().map(|Reverse((_, s, n))| (s, n)),
            (Some(_), _) => {
                let (_, sender) = self.heads.next()?;
                let nonce = self.pool.senders.get(sender)?.nonce;
                Some((*sender, nonce))
            }
            (None, None) => None,
        }
    }
}

impl Iterator for BestTransactions<'_> {
    type Item = Arc<RecoveredTx>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (sender, nonce) = self.next_key()?;
            if self.skipped.contains(&sender) {
                continue;
            }
            let Some(queue) = self.pool.senders.get(&sender) else { continue };
            let Some(tx) = queue.txs.get(&nonce) else { continue };
            if let Some(next) = queue.txs.get(&(nonce + 1)) {
                // It cannot come before its predecessor, whatever it pays.
                let rank = self.pool.rank(next);
                self.followers.push(Reverse((rank, sender, nonce + 1)));
            }
            return Some(tx.tx.clone());
        }
    }
}
