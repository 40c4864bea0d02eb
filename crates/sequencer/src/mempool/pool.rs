//! The pool: what enters, what makes room, and what leaves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, U256};
use cairn_primitives::Transaction;
use cairn_rpc::PoolError;
use cairn_stf::{AccountState, RecoveredTx, StateChanges};

use super::accounts::{Accounts, Judged, queue_of};
use crate::config::MempoolLimits;

/// Percent by which a replacement must raise both the fee cap and the tip (geth's default).
const PRICE_BUMP_PERCENT: u128 = 10;

/// A transaction in the pool.
#[derive(Debug, Clone)]
pub struct PooledTx {
    /// The transaction.
    pub tx: Arc<RecoveredTx>,
    /// Bytes of its encoding.
    pub size: usize,
    /// Order of arrival.
    pub seq: u64,
    /// When it arrived.
    pub since: Instant,
}

impl PooledTx {
    /// Fee cap in wei.
    pub fn max_fee(&self) -> u128 {
        self.tx.tx.max_fee_per_gas()
    }

    /// Most tip in wei that it pays over `base_fee`.
    pub fn tip(&self, base_fee: u64) -> u128 {
        tip(&self.tx, base_fee)
    }

    /// Most that it can cost its sender.
    pub fn cost(&self) -> U256 {
        max_cost(&self.tx.tx)
    }
}

/// Most tip in wei that a transaction pays over `base_fee`.
pub(crate) fn tip(tx: &RecoveredTx, base_fee: u64) -> u128 {
    match &tx.tx {
        Transaction::Ethereum(eth) => {
            let above = eth.max_fee_per_gas().saturating_sub(base_fee.into());
            eth.max_priority_fee_per_gas().map_or(above, |tip| tip.min(above))
        }
        // Account-abstraction transactions pay no tip.
        Transaction::Eip712(_) | Transaction::Priority(_) => 0,
    }
}

/// `gas limit * fee cap + value`, saturated; the value alone when a paymaster pays.
pub(crate) fn max_cost(tx: &Transaction) -> U256 {
    if let Transaction::Eip712(t) = tx
        && t.paymaster.is_some()
    {
        return t.value;
    }
    let fee = U256::from(tx.gas_limit()).saturating_mul(U256::from(tx.max_fee_per_gas()));
    fee.saturating_add(tx.value())
}

/// One account's queue.
#[derive(Debug, Default)]
pub(super) struct Sender {
    /// Nonce of the account in the state.
    pub(super) nonce: u64,
    /// Nonce after the executable transactions.
    next: u64,
    pub(super) txs: BTreeMap<u64, PooledTx>,
    /// Sum of the costs of `txs`.
    cost: U256,
}

impl Sender {
    /// Moves `next` over what has become executable.
    fn advance(&mut self) {
        self.next = self.next.max(self.nonce);
        while self.txs.contains_key(&self.next) {
            self.next += 1;
        }
    }

    /// Transactions behind a gap.
    fn gapped(&self) -> impl Iterator<Item = &PooledTx> {
        self.txs.range(self.next..).map(|(_, tx)| tx)
    }

    /// The executable transaction that comes first.
    pub(super) fn first(&self) -> Option<&PooledTx> {
        self.txs.get(&self.nonce)
    }
}

/// What an accepted transaction did to the pool.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// The transaction of the same nonce that it replaced.
    pub replaced: Option<B256>,
    /// Transactions that made room for it.
    pub evicted: Vec<B256>,
    /// Whether it can be executed now.
    pub executable: bool,
}

/// Key of the order in which blocks take transactions: best tip first, then the oldest.
pub(super) type Rank = (std::cmp::Reverse<u128>, u64);

/// The pool. See the module's text.
#[derive(Debug)]
pub struct Mempool {
    limits: MempoolLimits,
    base_fee: u64,
    pub(super) senders: HashMap<Address, Sender>,
    by_hash: HashMap<B256, (Address, u64)>,
    /// All transactions, the first to be evicted last.
    by_rank: BTreeSet<(Rank, Address, u64)>,
    /// Each sender's first executable transaction.
    pub(super) ready: BTreeSet<(Rank, Address)>,
    accounts: Accounts,
    bytes: usize,
    seq: u64,
}

impl Mempool {
    /// An empty pool.
    pub fn new(limits: MempoolLimits, base_fee: u64) -> Self {
        Self {
            limits,
            base_fee,
            senders: HashMap::new(),
            by_hash: HashMap::new(),
            by_rank: BTreeSet::new(),
            ready: BTreeSet::new(),
            accounts: Accounts::default(),
            bytes: 0,
            seq: 0,
        }
    }

    /// Number of transactions.
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// True without transactions.
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// Bytes of the encoded transactions.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of senders.
    pub fn sender_count(&self) -> usize {
        self.senders.len()
    }

    /// True if a block could take a transaction.
    pub fn has_executable(&self) -> bool {
        !self.ready.is_empty()
    }

    /// A transaction by hash.
    pub fn get(&self, hash: &B256) -> Option<&PooledTx> {
        let (sender, nonce) = self.by_hash.get(hash)?;
        self.senders.get(sender)?.txs.get(nonce)
    }

    /// Nonce that the account uses next, its executable transactions counted; `None` if it has none here.
    pub fn next_nonce(&self, sender: &Address) -> Option<u64> {
        self.senders.get(sender).map(|s| s.next)
    }

    /// All transactions: (transaction, executable).
    pub fn iter(&self) -> impl Iterator<Item = (&PooledTx, bool)> {
        self.senders.values().flat_map(|s| s.txs.iter().map(|(nonce, tx)| (tx, *nonce < s.next)))
    }

    /// Base fee by which tips are counted.
    pub fn base_fee(&self) -> u64 {
        self.base_fee
    }

    pub(super) fn rank(&self, tx: &PooledTx) -> Rank {
        (std::cmp::Reverse(tx.tip(self.base_fee)), tx.seq)
    }

    /// Takes a transaction whose sender's account is `account`. Checks everything that depends on the account and on the pool; what depends on the
    /// transaction alone was checked before.
    ///
    /// # Errors
    /// A [`PoolError`] in geth's words; the pool is as before.
    pub fn add(
        &mut self,
        tx: RecoveredTx,
        size: usize,
        account: &AccountState,
        now: Instant,
    ) -> Result<Added, PoolError> {
        self.add_judged(tx, size, account, None, U256::ZERO, now)
    }

    /// As [`Self::add`], of a transaction whose validity is up to code: what it rests on, and the balance of its paymaster, if it has one.
    ///
    /// # Errors
    /// As [`Self::add`]; [`PoolError::Account`] when too much of the account or the paymaster waits already.
    pub fn add_judged(
        &mut self,
        tx: RecoveredTx,
        size: usize,
        account: &AccountState,
        judged: Option<Judged>,
        paymaster_balance: U256,
        now: Instant,
    ) -> Result<Added, PoolError> {
        let (sender, nonce) = (queue_of(&tx), tx.tx.nonce());
        // A nonce without order is the first of a queue of its own.
        let account =
            &if sender == tx.sender { *account } else { AccountState { nonce, ..*account } };
        if self.by_hash.contains_key(&tx.hash) {
            return Err(PoolError::AlreadyKnown);
        }
        self.check_fees(&tx)?;
        if nonce < account.nonce {
            return Err(PoolError::NonceTooLow { next: account.nonce, got: nonce });
        }
        if nonce - account.nonce >= self.limits.per_sender as u64 {
            return Err(PoolError::NonceTooHigh { next: account.nonce, got: nonce });
        }
        if let Some(judged) = &judged {
            self.accounts.check(&tx, judged, paymaster_balance)?;
        }
        self.refresh(sender, account);
        let noted = judged.map(|judged| (tx.clone(), judged));
        let outcome = self.place(tx, size, account, now);
        if let (Ok(_), Some((tx, judged))) = (&outcome, noted) {
            self.accounts.insert(&tx, judged);
        }
        self.drop_if_idle(&sender);
        outcome
    }

    fn check_fees(&self, tx: &RecoveredTx) -> Result<(), PoolError> {
        let max_fee = tx.tx.max_fee_per_gas();
        if max_fee < self.base_fee.into() {
            return Err(PoolError::FeeCapTooLow {
                sender: tx.sender,
                max_fee,
                base_fee: self.base_fee.into(),
            });
        }
        let got = tip(tx, self.base_fee);
        if got < self.limits.min_tip {
            return Err(PoolError::Underpriced { got, need: self.limits.min_tip });
        }
        Ok(())
    }

    fn place(
        &mut self,
        tx: RecoveredTx,
        size: usize,
        account: &AccountState,
        now: Instant,
    ) -> Result<Added, PoolError> {
        let (sender, nonce, cost) = (queue_of(&tx), tx.tx.nonce(), max_cost(&tx.tx));
        let queue = self.senders.get(&sender);
        let old = queue.and_then(|q| q.txs.get(&nonce));
        if let Some(old) = old {
            check_replacement(old, &tx)?;
        }
        let mut want = queue.map_or(U256::ZERO, |q| q.cost).saturating_add(cost);
        want = want.saturating_sub(old.map_or(U256::ZERO, PooledTx::cost));
        let have = U256::from(account.balance);
        if want > have {
            return Err(PoolError::InsufficientFunds { have, want });
        }
        if old.is_none() && nonce > queue.map_or(account.nonce, |q| q.next) {
            self.check_gapped(queue, account.nonce, nonce, size)?;
        }
        let mut added = Added { replaced: old.map(|o| o.tx.hash), ..Added::default() };
        let seq = self.seq;
        let new = PooledTx { tx: Arc::new(tx), size, seq, since: now };
        match old.map(|o| o.size) {
            None => added.evicted = self.make_room(&new)?,
            Some(old_size) => {
                if self.bytes - old_size + size > self.limits.bytes {
                    return Err(PoolError::PoolFull);
                }
                self.take(sender, nonce);
            }
        }
        // The sender's own last transaction may have made room, and its entry with it.
        self.refresh(sender, account);
        self.seq += 1;
        self.put(sender, nonce, new);
        added.executable = self.senders.get(&sender).is_some_and(|q| nonce < q.next);
        Ok(added)
    }

    /// What waits behind a gap pays nobody and may wait for hours: it gets a small part of the pool.
    fn check_gapped(
        &self,
        queue: Option<&Sender>,
        next: u64,
        got: u64,
        size: usize,
    ) -> Result<(), PoolError> {
        if queue.is_some_and(|q| q.gapped().count() >= self.limits.gapped_per_sender) {
            return Err(PoolError::NonceTooHigh { next: queue.map_or(next, |q| q.next), got });
        }
        let all = self.senders.values().flat_map(Sender::gapped);
        let (count, bytes) = all.fold((0, 0), |(n, bytes), tx| (n + 1, bytes + tx.size));
        if count >= self.limits.gapped || bytes + size > self.limits.gapped_bytes {
            return Err(PoolError::PoolFull);
        }
        Ok(())
    }

    /// Drops the transactions that rank below `new` until it fits.
    fn make_room(&mut self, new: &PooledTx) -> Result<Vec<B256>, PoolError> {
        let limits = self.limits;
        let queue_len = self.senders.get(&queue_of(&new.tx)).map_or(0, |s| s.txs.len());
        if queue_len >= limits.per_sender || new.size > limits.bytes {
            return Err(PoolError::PoolFull);
        }
        let is_new_sender = queue_len == 0;
        let rank = self.rank(new);
        let mut victims = Vec::new();
        let (mut count, mut bytes) = (self.by_hash.len(), self.bytes);
        let mut left: HashMap<Address, usize> = HashMap::new();
        let mut senders = self.senders.values().filter(|s| !s.txs.is_empty()).count();
        let mut candidates = self.by_rank.iter().rev();
        while count + 1 > limits.transactions
            || bytes + new.size > limits.bytes
            || (is_new_sender && senders + 1 > limits.senders)
        {
            // The newest among equals would be the victim, which is the new one itself.
            let Some((worst, sender, nonce)) =
                candidates.next().filter(|(worst, ..)| *worst > rank)
            else {
                return Err(PoolError::PoolFull);
            };
            let Some(queue) = self.senders.get(sender) else { continue };
            let Some(victim) = queue.txs.get(nonce) else { continue };
            debug_assert!(*worst == self.rank(victim));
            let rest = left.entry(*sender).or_insert(queue.txs.len());
            *rest -= 1;
            senders -= usize::from(*rest == 0);
            (count, bytes) = (count - 1, bytes - victim.size);
            victims.push((*sender, *nonce, victim.tx.hash));
        }
        for (sender, nonce, _) in &victims {
            self.take(*sender, *nonce);
            self.drop_if_idle(sender);
        }
        Ok(victims.into_iter().map(|(.., hash)| hash).collect())
    }

    fn put(&mut self, sender: Address, nonce: u64, tx: PooledTx) {
        self.bytes += tx.size;
        self.by_hash.insert(tx.tx.hash, (sender, nonce));
        self.by_rank.insert((self.rank(&tx), sender, nonce));
        let rank = self.rank(&tx);
        let queue = self.senders.entry(sender).or_default();
        if nonce == queue.nonce {
            self.ready.insert((rank, sender));
        }
        queue.cost = queue.cost.saturating_add(tx.cost());
        queue.txs.insert(nonce, tx);
        queue.advance();
    }

    fn take(&mut self, sender: Address, nonce: u64) -> Option<PooledTx> {
        let queue = self.senders.get_mut(&sender)?;
        let tx = queue.txs.remove(&nonce)?;
        // Costs never saturate: their sum was within a 128-bit balance when each was added.
        queue.cost = queue.cost.saturating_sub(tx.cost());
        queue.next = queue.next.min(nonce.max(queue.nonce));
        let rank = (std::cmp::Reverse(tx.tip(self.base_fee)), tx.seq);
        if nonce == queue.nonce {
            self.ready.remove(&(rank, sender));
        }
        self.by_rank.remove(&(rank, sender, nonce));
        self.by_hash.remove(&tx.tx.hash);
        self.bytes -= tx.size;
        self.accounts.remove(&tx.tx);
        Some(tx)
    }

    fn drop_if_idle(&mut self, sender: &Address) {
        if self.senders.get(sender).is_some_and(|s| s.txs.is_empty()) {
            self.senders.remove(sender);
        }
    }

    /// Takes note of the account's present state without dropping anything.
    fn refresh(&mut self, sender: Address, account: &AccountState) {
        let base_fee = self.base_fee;
        let queue = self.senders.entry(sender).or_default();
        if queue.nonce == account.nonce {
            return;
        }
        let key = |tx: &PooledTx| ((std::cmp::Reverse(tx.tip(base_fee)), tx.seq), sender);
        if let Some(first) = queue.first() {
            self.ready.remove(&key(first));
        }
        queue.nonce = account.nonce;
        queue.advance();
        if let Some(first) = queue.first() {
            self.ready.insert(key(first));
        }
    }

    /// Brings a sender up to date with the state: drops what its nonce passed, and from the first transaction on that its balance does not cover.
    /// Returns what became invalid (transactions with a used nonce are not in it: a block holds them or one in their place).
    pub fn on_account(&mut self, sender: Address, account: &AccountState) -> Vec<B256> {
        if !self.senders.contains_key(&sender) {
            return Vec::new();
        }
        let used: Vec<u64> = self
            .senders
            .get(&sender)
            .map(|s| s.txs.range(..account.nonce).map(|(n, _)| *n).collect())
            .unwrap_or_default();
        for nonce in used {
            self.take(sender, nonce);
        }
        self.refresh(sender, account);
        let dropped = self.drop_unfunded(sender, account);
        self.drop_if_idle(&sender);
        dropped
    }

    fn drop_unfunded(&mut self, sender: Address, account: &AccountState) -> Vec<B256> {
        let balance = U256::from(account.balance);
        let Some(queue) = self.senders.get(&sender).filter(|q| q.cost > balance) else {
            return Vec::new();
        };
        let mut sum = U256::ZERO;
        let mut out = Vec::new();
        for (nonce, tx) in &queue.txs {
            sum = sum.saturating_add(tx.cost());
            if sum > balance {
                out.push((*nonce, tx.tx.hash));
            }
        }
        for (nonce, _) in &out {
            self.take(sender, *nonce);
        }
        out.into_iter().map(|(_, hash)| hash).collect()
    }

    /// Transactions whose validity rested on what changed; they should be judged again.
    pub fn touched_by(&self, changes: &StateChanges) -> Vec<B256> {
        self.accounts.touched_by(changes)
    }

    /// Notes what a transaction rests on now.
    pub fn judged_again(&mut self, hash: &B256, judged: Judged) {
        if let Some(tx) = self.get(hash).map(|p| p.tx.clone()) {
            self.accounts.remove(&tx);
            self.accounts.insert(&tx, judged);
        }
    }

    /// Drops a transaction; false if it is not here.
    pub fn remove(&mut self, hash: &B256) -> bool {
        let Some((sender, nonce)) = self.by_hash.get(hash).copied() else { return false };
        let removed = self.take(sender, nonce).is_some();
        self.drop_if_idle(&sender);
        removed
    }

    /// Hashes of one sender's transactions.
    pub fn of_sender(&self, sender: &Address) -> Vec<B256> {
        self.senders
            .get(sender)
            .map(|s| s.txs.values().map(|t| t.tx.hash).collect())
            .unwrap_or_default()
    }

    /// Hashes of all transactions.
    pub fn hashes(&self) -> Vec<B256> {
        self.by_hash.keys().copied().collect()
    }

    /// Drops queued transactions that waited too long behind their gap. Returns their hashes.
    pub fn expire(&mut self, now: Instant) -> Vec<B256> {
        let lifetime: Duration = self.limits.queued_lifetime;
        let old: Vec<B256> = self
            .iter()
            .filter(|(tx, executable)| !executable && now.duration_since(tx.since) > lifetime)
            .map(|(tx, _)| tx.tx.hash)
            .collect();
        for hash in &old {
            self.remove(hash);
        }
        old
    }

    /// Counts tips over another base fee from now on, and drops what does not pay it. Returns what was dropped.
    pub fn set_base_fee(&mut self, base_fee: u64) -> Vec<B256> {
        if base_fee == self.base_fee {
            return Vec::new();
        }
        self.base_fee = base_fee;
        self.by_rank.clear();
        self.ready.clear();
        for (address, sender) in &self.senders {
            for (nonce, tx) in &sender.txs {
                let rank = (std::cmp::Reverse(tx.tip(base_fee)), tx.seq);
                self.by_rank.insert((rank, *address, *nonce));
                if *nonce == sender.nonce {
                    self.ready.insert((rank, *address));
                }
            }
        }
        let low: Vec<B256> = self
            .iter()
            .filter(|(tx, _)| tx.max_fee() < base_fee.into())
            .map(|(tx, _)| tx.tx.hash)
            .collect();
        for hash in &low {
            self.remove(hash);
        }
        low
    }
}

/// A replacement must pay at least 10 % more on both counts.
fn check_replacement(old: &PooledTx, new: &RecoveredTx) -> Result<(), PoolError> {
    let priority_fee = |tx: &RecoveredTx| match &tx.tx {
        Transaction::Ethereum(eth) => {
            eth.max_priority_fee_per_gas().unwrap_or_else(|| eth.max_fee_per_gas())
        }
        Transaction::Eip712(_) | Transaction::Priority(_) => 0,
    };
    let bumped =
        |v: u128| v.saturating_add(v.saturating_mul(PRICE_BUMP_PERCENT).div_ceil(100)).max(v + 1);
    let (old_fee, old_tip) = (old.max_fee(), priority_fee(&old.tx));
    let (new_fee, new_tip) = (new.tx.max_fee_per_gas(), priority_fee(new));
    // A tip of zero stays zero: only the cap can grow.
    let enough_tip = new_tip >= bumped(old_tip) || (old_tip == 0 && new_tip == 0);
    if new_fee >= bumped(old_fee) && enough_tip {
        return Ok(());
    }
    Err(PoolError::ReplacementUnderpriced)
}
