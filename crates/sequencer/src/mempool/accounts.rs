//! What the pool knows of transactions whose validity is up to code: which storage it rests on, and how much of each account and paymaster waits.

use std::collections::{BTreeSet, HashMap, HashSet};

use alloy_primitives::{Address, B256, U256, keccak256};
use cairn_primitives::{Eip712Tx, Transaction};
use cairn_rpc::PoolError;
use cairn_stf::life::aa::nonce::UNORDERED;
use cairn_stf::{RecoveredTx, StateChanges};

/// Most waiting transactions of one account with code: each costs a validation when the account changes its mind.
const MAX_PER_ACCOUNT: usize = 16;
/// Most waiting transactions that one paymaster pays for.
const MAX_PER_PAYMASTER: usize = 256;

/// Most waiting transactions whose validation rests on one slot (a shared proxy's implementation, say): one write can make them all invalid.
const MAX_PER_SLOT: usize = 256;

/// What a validation rests on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// Storage that it read or wrote.
    pub slots: Vec<(Address, U256)>,
    /// Gas that it used.
    pub gas: u64,
    /// The account has code of its own.
    pub smart: bool,
}

#[derive(Debug, Default)]
struct Paymaster {
    waiting: BTreeSet<B256>,
    /// Most wei that they can cost it.
    reserved: U256,
}

/// The waiting transactions whose validity is up to code.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    judged: HashMap<B256, Judged>,
    by_slot: HashMap<(Address, U256), HashSet<B256>>,
    accounts: HashMap<Address, usize>,
    paymasters: HashMap<Address, Paymaster>,
}

/// The transaction as an account-abstraction one.
pub(crate) fn eip712(tx: &RecoveredTx) -> Option<&Eip712Tx> {
    match &tx.tx {
        Transaction::Eip712(t) => Some(t),
        _ => None,
    }
}

/// Whose queue a transaction waits in: its sender's, or one of its own when its nonce has no order.
pub(super) fn queue_of(tx: &RecoveredTx) -> Address {
    if eip712(tx).is_none_or(|t| t.nonce < UNORDERED) {
        return tx.sender;
    }
    let mut name = tx.sender.to_vec();
    name.extend(tx.tx.nonce().to_be_bytes());
    Address::from_slice(&keccak256(name)[12..])
}

/// The fee that a paymaster has to have for it.
fn fee(tx: &Eip712Tx) -> U256 {
    U256::from(tx.gas_limit).saturating_mul(U256::from(tx.max_fee_per_gas))
}

impl Accounts {
    /// Whether there is room for another transaction of this account and paymaster, which has `balance`.
    pub(super) fn check(
        &self,
        tx: &RecoveredTx,
        judged: &Judged,
        balance: U256,
    ) -> Result<(), PoolError> {
        let Some(t) = eip712(tx) else { return Ok(()) };
        let crowded = |slot: &&_| self.by_slot.get(*slot).is_some_and(|h| h.len() >= MAX_PER_SLOT);
        if let Some((at, slot)) = judged.slots.iter().find(crowded) {
            return Err(refuse(format!(
                "{MAX_PER_SLOT} waiting transactions rest on slot {slot:#x} of {at}, no more are taken"
            )));
        }
        if judged.smart && self.accounts.get(&t.from).is_some_and(|n| *n >= MAX_PER_ACCOUNT) {
            return Err(refuse(format!(
                "account {} has {MAX_PER_ACCOUNT} waiting transactions, no more are taken",
                t.from
            )));
        }
        let Some(params) = &t.paymaster else { return Ok(()) };
        let use_ = self.paymasters.get(&params.paymaster);
        if use_.is_some_and(|p| p.waiting.len() >= MAX_PER_PAYMASTER) {
            return Err(refuse(format!(
                "paymaster {} has {MAX_PER_PAYMASTER} waiting transactions, no more are taken",
                params.paymaster
            )));
        }
        let want = use_.map_or(U256::ZERO, |p| p.reserved).saturating_add(fee(t));
        if want > balance {
            return Err(refuse(format!(
                "paymaster {} has {balance} wei, its waiting transactions may cost {want}",
                params.paymaster
            )));
        }
        Ok(())
    }

    pub(super) fn insert(&mut self, tx: &RecoveredTx, judged: Judged) {
        let Some(t) = eip712(tx) else { return };
        if judged.smart {
            *self.accounts.entry(t.from).or_default() += 1;
        }
        if let Some(params) = &t.paymaster {
            let paymaster = self.paymasters.entry(params.paymaster).or_default();
            paymaster.reserved = paymaster.reserved.saturating_add(fee(t));
            paymaster.waiting.insert(tx.hash);
        }
        for slot in &judged.slots {
            self.by_slot.entry(*slot).or_default().insert(tx.hash);
        }
        self.judged.insert(tx.hash, judged);
    }

    pub(super) fn remove(&mut self, tx: &RecoveredTx) {
        let Some(judged) = self.judged.remove(&tx.hash) else { return };
        let Some(t) = eip712(tx) else { return };
        if judged.smart
            && let Some(n) = self.accounts.get_mut(&t.from)
        {
            *n -= 1;
            if *n == 0 {
                self.accounts.remove(&t.from);
            }
        }
        if let Some(params) = &t.paymaster
            && let Some(paymaster) = self.paymasters.get_mut(&params.paymaster)
        {
            paymaster.reserved = paymaster.reserved.saturating_sub(fee(t));
            paymaster.waiting.remove(&tx.hash);
            if paymaster.waiting.is_empty() {
                self.paymasters.remove(&params.paymaster);
            }
        }
        for slot in &judged.slots {
            if let Some(hashes) = self.by_slot.get_mut(slot) {
                hashes.remove(&tx.hash);
                if hashes.is_empty() {
                    self.by_slot.remove(slot);
                }
            }
        }
    }

    /// Transactions whose validation rested on what changed, or whose paymaster can no longer pay for all that waits.
    pub(super) fn touched_by(&self, changes: &StateChanges) -> Vec<B256> {
        if self.judged.is_empty() {
            return Vec::new();
        }
        let mut out: BTreeSet<B256> = BTreeSet::new();
        for slot in changes.slots.keys() {
            out.extend(self.by_slot.get(slot).into_iter().flatten());
        }
        for (address, (_, after)) in &changes.accounts {
            if let Some(p) = self.paymasters.get(address)
                && p.reserved > U256::from(after.balance)
            {
                out.extend(&p.waiting);
            }
        }
        out.into_iter().collect()
    }
}

fn refuse(reason: String) -> PoolError {
    PoolError::Account { reason, data: None }
}
