use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use alloy_consensus::{EthereumTxEnvelope, SignableTransaction, TxEip1559};
use alloy_primitives::{Address, B256, Signature, TxKind, U256};
use cairn_primitives::{Eip712Tx, Transaction};
use cairn_rpc::PoolError;
use cairn_stf::{AccountState, RecoveredTx};
use proptest::prelude::*;

use super::{Judged, Mempool};
use crate::config::MempoolLimits;

const BASE_FEE: u64 = 10;
const RICH: u128 = u128::MAX;

fn address(i: u8) -> Address {
    Address::repeat_byte(i + 1)
}

fn account(nonce: u64, balance: u128) -> AccountState {
    AccountState { nonce, balance, ..AccountState::default() }
}

fn tx(sender: u8, nonce: u64, tip: u128) -> RecoveredTx {
    let tx = TxEip1559 {
        chain_id: 1,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: u128::from(BASE_FEE) + tip,
        max_priority_fee_per_gas: tip,
        to: TxKind::Call(address(sender)),
        value: U256::from(1),
        ..TxEip1559::default()
    };
    let signed = EthereumTxEnvelope::from(tx.into_signed(Signature::test_signature()));
    RecoveredTx::assume_sender(Transaction::Ethereum(signed), address(sender))
}

fn pool(limits: MempoolLimits) -> Mempool {
    Mempool::new(limits, BASE_FEE)
}

fn order(pool: &Mempool) -> Vec<(Address, u64)> {
    pool.best().map(|t| (t.sender, t.tx.nonce())).collect()
}

#[test]
fn best_tip_first_each_sender_in_order_oldest_among_equals() {
    let mut p = pool(MempoolLimits::default());
    let now = Instant::now();
    for (sender, nonce, tip) in [(0, 0, 5), (0, 1, 50), (1, 0, 7), (2, 0, 5), (1, 2, 100)] {
        p.add(tx(sender, nonce, tip), 100, &account(0, RICH), now).unwrap();
    }
    let a = |i, n| (address(i), n);
    assert_eq!(order(&p), [a(1, 0), a(0, 0), a(0, 1), a(2, 0)]);
    assert_eq!(p.next_nonce(&address(1)), Some(1));
    p.add(tx(1, 1, 1), 100, &account(0, RICH), now).unwrap();
    assert_eq!(order(&p), [a(1, 0), a(0, 0), a(0, 1), a(2, 0), a(1, 1), a(1, 2)]);
    assert_eq!(p.next_nonce(&address(1)), Some(3));
}

#[test]
fn the_balance_covers_all_of_a_senders_transactions() {
    let mut p = pool(MempoolLimits::default());
    let now = Instant::now();
    let one = 21_000 * u128::from(BASE_FEE) + 1;
    p.add(tx(0, 0, 0), 100, &account(0, 2 * one), now).unwrap();
    p.add(tx(0, 1, 0), 100, &account(0, 2 * one), now).unwrap();
    let refused = p.add(tx(0, 2, 0), 100, &account(0, 2 * one), now);
    let (have, want) = (U256::from(2 * one), U256::from(3 * one));
    assert_eq!(refused, Err(PoolError::InsufficientFunds { have, want }));
    // Half of the money goes elsewhere: the second is dropped, the first stays.
    assert_eq!(p.on_account(address(0), &account(0, one)), [tx(0, 1, 0).hash]);
    assert_eq!(order(&p), [(address(0), 0)]);
}

#[test]
fn a_full_pool_takes_only_what_pays_more() {
    let limits = MempoolLimits { transactions: 3, ..MempoolLimits::default() };
    let mut p = pool(limits);
    let now = Instant::now();
    for sender in 0..3 {
        p.add(tx(sender, 0, 5 + u128::from(sender)), 100, &account(0, RICH), now).unwrap();
    }
    assert_eq!(p.add(tx(3, 0, 5), 100, &account(0, RICH), now), Err(PoolError::PoolFull));
    let added = p.add(tx(3, 0, 6), 100, &account(0, RICH), now).unwrap();
    assert_eq!(added.evicted, [tx(0, 0, 5).hash]);
    assert_eq!(p.len(), 3);
}

#[test]
fn bytes_and_senders_are_bounded() {
    let limits =
        MempoolLimits { bytes: 250, senders: 2, per_sender: 2, ..MempoolLimits::default() };
    let mut p = pool(limits);
    let now = Instant::now();
    p.add(tx(0, 0, 5), 100, &account(0, RICH), now).unwrap();
    p.add(tx(1, 0, 6), 100, &account(0, RICH), now).unwrap();
    assert_eq!(p.add(tx(2, 0, 5), 10, &account(0, RICH), now), Err(PoolError::PoolFull));
    assert_eq!(
        p.add(tx(2, 0, 50), 10, &account(0, RICH), now).unwrap().evicted,
        [tx(0, 0, 5).hash]
    );
    let evicted = p.add(tx(1, 1, 70), 200, &account(0, RICH), now).unwrap().evicted;
    assert_eq!(evicted, [tx(1, 0, 6).hash]);
    assert!(p.bytes() <= 250 && p.sender_count() <= 2);
    assert!(matches!(
        p.add(tx(1, 2, 70), 1, &account(0, RICH), now),
        Err(PoolError::NonceTooHigh { .. })
    ));
}

#[test]
fn what_waits_behind_gaps_gets_a_small_part_of_the_pool() {
    let limits = MempoolLimits {
        gapped: 3,
        gapped_per_sender: 2,
        gapped_bytes: 350,
        ..MempoolLimits::default()
    };
    let mut p = pool(limits);
    let now = Instant::now();
    let mut add = |sender, nonce, size| p.add(tx(sender, nonce, 9), size, &account(0, RICH), now);
    add(0, 1, 100).unwrap();
    add(0, 2, 100).unwrap();
    let refused = add(0, 3, 100);
    assert!(matches!(refused, Err(PoolError::NonceTooHigh { next: 0, got: 3 })), "{refused:?}");
    assert_eq!(add(1, 7, 200), Err(PoolError::PoolFull), "too many bytes");
    add(1, 7, 100).unwrap();
    assert_eq!(add(2, 7, 1), Err(PoolError::PoolFull), "too many");
    // What can be executed is another matter, and so is what fills a gap.
    add(2, 0, 100).unwrap();
    assert!(add(0, 0, 100).unwrap().executable);
    add(0, 3, 100).unwrap();
    add(2, 7, 100).unwrap();
}

#[test]
fn a_sender_that_makes_room_for_itself_keeps_its_nonce() {
    let limits = MempoolLimits { transactions: 1, ..MempoolLimits::default() };
    let mut p = pool(limits);
    let now = Instant::now();
    p.add(tx(0, 5, 1), 100, &account(5, RICH), now).unwrap();
    let added = p.add(tx(0, 6, 9), 100, &account(5, RICH), now).unwrap();
    assert_eq!((added.evicted, added.executable), (vec![tx(0, 5, 1).hash], false));
    assert_eq!((p.next_nonce(&address(0)), order(&p)), (Some(5), vec![]));
}

#[test]
fn a_larger_replacement_respects_the_bytes() {
    let limits = MempoolLimits { bytes: 100, ..MempoolLimits::default() };
    let mut p = pool(limits);
    let now = Instant::now();
    p.add(tx(0, 0, 1), 100, &account(0, RICH), now).unwrap();
    assert_eq!(p.add(tx(0, 0, 90), 101, &account(0, RICH), now), Err(PoolError::PoolFull));
    p.add(tx(0, 0, 90), 100, &account(0, RICH), now).unwrap();
}

#[test]
fn queued_transactions_expire_and_fees_rise() {
    let limits =
        MempoolLimits { queued_lifetime: Duration::from_secs(1), ..MempoolLimits::default() };
    let mut p = pool(limits);
    let now = Instant::now();
    p.add(tx(0, 0, 5), 100, &account(0, RICH), now).unwrap();
    p.add(tx(1, 1, 5), 100, &account(0, RICH), now).unwrap();
    assert_eq!(p.expire(now + Duration::from_secs(2)), [tx(1, 1, 5).hash]);
    p.add(tx(2, 0, 500), 100, &account(0, RICH), now).unwrap();
    assert_eq!(p.set_base_fee(BASE_FEE + 6), [tx(0, 0, 5).hash]);
    assert_eq!(order(&p), [(address(2), 0)]);
}

/// What the pool should hold, kept in the plainest way.
#[derive(Default)]
struct Model {
    nonces: HashMap<u8, u64>,
    txs: BTreeMap<(u8, u64), (u128, B256, usize)>,
    arrivals: usize,
}

impl Model {
    fn nonce(&self, sender: u8) -> u64 {
        self.nonces.get(&sender).copied().unwrap_or(0)
    }

    /// Takes the best head again and again.
    fn order(&self) -> Vec<B256> {
        let mut next: BTreeMap<u8, u64> =
            self.txs.keys().map(|(s, _)| (*s, self.nonce(*s))).collect();
        let mut out = Vec::new();
        loop {
            let heads = next.iter().filter_map(|(s, n)| self.txs.get(&(*s, *n)).map(|t| (*s, t)));
            let Some((sender, (_, hash, _))) =
                heads.min_by_key(|(_, (tip, _, at))| (std::cmp::Reverse(*tip), *at))
            else {
                return out;
            };
            out.push(*hash);
            *next.entry(sender).or_default() += 1;
        }
    }
}

#[derive(Debug, Clone)]
enum Op {
    Add(u8, u64, u128),
    Remove(u8, u64),
    Advance(u8, u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..4u8, 0..8u64, 0..6u128).prop_map(|(s, n, t)| Op::Add(s, n, t)),
        1 => (0..4u8, 0..8u64).prop_map(|(s, n)| Op::Remove(s, n)),
        1 => (0..4u8, 1..3u64).prop_map(|(s, by)| Op::Advance(s, by)),
    ]
}

proptest! {
    /// Whatever happens, the pool holds what the model holds and hands it out in the model's order.
    #[test]
    fn the_pool_agrees_with_a_plain_model(ops in prop::collection::vec(op(), 1..80)) {
        let mut p = pool(MempoolLimits::default());
        let mut m = Model::default();
        let now = Instant::now();
        for op in ops {
            match op {
                Op::Add(s, n, tip) => {
                    let new = tx(s, n, tip);
                    let hash = new.hash;
                    let outcome = p.add(new, 100, &account(m.nonce(s), RICH), now);
                    let old = m.txs.get(&(s, n)).copied();
                    let bumped = |v: u128| v + (v * 10).div_ceil(100).max(1);
                    let base = u128::from(BASE_FEE);
                    let expect = n >= m.nonce(s)
                        && old.is_none_or(|(t, h, _)| h != hash && base + tip >= bumped(base + t) && (tip >= bumped(t) || (t == 0 && tip == 0)));
                    prop_assert_eq!(outcome.is_ok(), expect, "{:?}", outcome);
                    if outcome.is_ok() {
                        m.txs.insert((s, n), (tip, hash, m.arrivals));
                        m.arrivals += 1;
                    }
                }
                Op::Remove(s, n) => {
                    let known = m.txs.remove(&(s, n));
                    if let Some((_, hash, _)) = known {
                        prop_assert!(p.remove(&hash));
                        prop_assert!(!p.remove(&hash));
                    }
                }
                Op::Advance(s, by) => {
                    let nonce = m.nonce(s) + by;
                    m.nonces.insert(s, nonce);
                    m.txs.retain(|(sender, n), _| *sender != s || *n >= nonce);
                    prop_assert!(p.on_account(address(s), &account(nonce, RICH)).is_empty());
                }
            }
            prop_assert_eq!(p.len(), m.txs.len());
            prop_assert_eq!(p.bytes(), 100 * m.txs.len());
            let got: Vec<B256> = p.best().map(|t| t.hash).collect();
            prop_assert_eq!(got, m.order());
            let executable = p.iter().filter(|(_, executable)| *executable).count();
            prop_assert_eq!(executable, m.order().len());
            prop_assert_eq!(p.has_executable(), executable > 0);
        }
    }

    /// The bounds hold after every step, and an eviction never makes room for something worse.
    #[test]
    fn bounds_hold(ops in prop::collection::vec((0..12u8, 0..4u64, 0..50u128, 1..40usize), 1..120)) {
        let limits = MempoolLimits { transactions: 12, bytes: 200, senders: 6, per_sender: 3, ..MempoolLimits::default() };
        let mut p = pool(limits);
        for (s, n, tip, size) in ops {
            let worst = p.iter().map(|(t, _)| t.tip(BASE_FEE)).min();
            if let Ok(added) = p.add(tx(s, n, tip), size, &account(0, RICH), Instant::now()) {
                prop_assert!(added.evicted.is_empty() || worst.is_some_and(|w| tip > w));
            }
            prop_assert!(p.len() <= 12 && p.bytes() <= 200 && p.sender_count() <= 6);
        }
    }
}

/// Validations that rest on one slot of a contract that is everybody's: one write must not make a thousand invalid.
#[test]
fn so_many_rest_on_one_slot_and_no_more() {
    let mut p = pool(MempoolLimits::default());
    let shared = (address(9), U256::from(7));
    let mut add = |i: u64, slot| {
        let from = Address::left_padding_from(&(1_000 + i).to_be_bytes());
        let fee = u128::from(BASE_FEE);
        let tx = Eip712Tx { from, max_fee_per_gas: fee, gas_limit: 21_000, ..Eip712Tx::default() };
        let tx = RecoveredTx::assume_sender(Transaction::Eip712(tx.into()), from);
        let judged = Judged { slots: vec![slot], ..Judged::default() };
        p.add_judged(tx, 100, &account(0, RICH), Some(judged), U256::ZERO, Instant::now())
    };
    for i in 0..256 {
        add(i, shared).unwrap();
    }
    let refusal = add(256, shared).unwrap_err().to_string();
    assert!(refusal.contains("rest on slot 0x7"), "{refusal}");
    add(256, (address(9), U256::from(8))).unwrap();
}
