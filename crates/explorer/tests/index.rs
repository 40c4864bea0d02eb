//! The index over a synthetic chain: right against a model, and unharmed by kills and strangers' files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use cairn_explorer::follow::{Follower, catch_up, is_current};
use cairn_explorer::index::model::{
    InternalCount, InternalKind, InternalRecord, TokenMeta, TxPos, role,
};
use cairn_explorer::index::{BlockInternals, TxInternals};
use cairn_explorer::source::{Source, SourceBlock, SourceTx};
use cairn_explorer::{Index, Result};
use cairn_rpc::AddressIndex;
use cairn_storage::LogRecord;

/// A chain made up on demand: block n has `n % 3` transactions, each with a token transfer, among `accounts` accounts.
struct Synthetic {
    blocks: u64,
    accounts: u64,
    salt: u64,
}

impl Synthetic {
    fn account(&self, i: u64) -> Address {
        Address::from_word(keccak256(i.to_be_bytes()))
    }

    fn token(&self, i: u64) -> Address {
        Address::from_word(keccak256([&[7u8][..], &(i % 5).to_be_bytes()].concat()))
    }

    /// The token of a transaction pays an account that has no other part in it, and makes a contract.
    fn internal(&self, block: u64, index: u64) -> TxInternals {
        let tx = self.tx(block, index);
        let from = tx.to.unwrap();
        let to = self.account((block * 3 + index) % 7 + 1_000_000);
        let value = U256::from(block);
        let made = Address::from_word(keccak256(tx.hash));
        TxInternals {
            index: index as u32,
            hash: tx.hash,
            operations: vec![
                InternalRecord { kind: InternalKind::Call, from, to, value },
                InternalRecord { kind: InternalKind::Create2, from, to: made, value: U256::ZERO },
            ],
            beyond: 3,
        }
    }

    fn tx(&self, block: u64, index: u64) -> SourceTx {
        let seed = block * 7 + index * 13;
        let (from, to) = (seed % self.accounts, (seed * 31 + 1) % self.accounts);
        let topic = keccak256("Transfer(address,address,uint256)");
        let (from, to) = (self.account(from), self.account(to));
        let data = Bytes::from(U256::from(seed).to_be_bytes_vec());
        SourceTx {
            hash: keccak256([block.to_be_bytes(), index.to_be_bytes()].concat()),
            from,
            to: Some(self.token(seed)),
            created: None,
            priority: None,
            success: true,
            logs: vec![LogRecord {
                address: self.token(seed),
                topics: vec![topic, from.into_word(), to.into_word()],
                data,
            }],
            l2_to_l1: Vec::new(),
        }
    }
}

impl Source for Synthetic {
    fn head(&self) -> u64 {
        self.blocks - 1
    }

    fn block_hash(&self, number: u64) -> Result<Option<B256>> {
        let hash = keccak256([self.salt.to_be_bytes(), number.to_be_bytes()].concat());
        Ok((number < self.blocks).then_some(hash))
    }

    fn block(&self, number: u64) -> Result<Option<SourceBlock>> {
        let Some(hash) = self.block_hash(number)? else { return Ok(None) };
        let txs = (0..number % 3).map(|i| self.tx(number, i)).collect();
        Ok(Some(SourceBlock { number, hash, txs }))
    }

    fn internals(&self, number: u64) -> Result<Option<BlockInternals>> {
        if number >= self.blocks {
            return Ok(None);
        }
        let txs = (0..number % 3).filter(|i| (number + i).is_multiple_of(2));
        let txs = txs.map(|i| self.internal(number, i)).collect();
        Ok(Some(BlockInternals { block: number, txs }))
    }

    fn token(&self, _: Address) -> TokenMeta {
        TokenMeta { symbol: "SYN".into(), decimals: 18, ..TokenMeta::default() }
    }
}

fn follow(index: &Index, chain: &Synthetic) -> u64 {
    catch_up(index, chain, &AtomicBool::new(false)).unwrap()
}

#[test]
fn the_index_agrees_with_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Synthetic { blocks: 1_500, accounts: 40, salt: 0 };
    let index = Index::open(dir.path().join("x.redb"), B256::ZERO).unwrap();
    assert_eq!(follow(&index, &chain), 1_500);
    let mut model: BTreeMap<Address, Vec<TxPos>> = BTreeMap::new();
    let mut transfers: BTreeMap<Address, u64> = BTreeMap::new();
    let mut total = 0;
    for number in 0..chain.blocks {
        for (tx, i) in chain.block(number).unwrap().unwrap().txs.iter().zip(0..) {
            total += 1;
            let to = Address::from_word(tx.logs[0].topics[2]);
            let mut concerned = vec![tx.from, tx.to.unwrap(), to];
            concerned.sort();
            concerned.dedup();
            for a in concerned {
                model.entry(a).or_default().push(TxPos { block: number, index: i });
            }
            for a in [tx.from, to].iter().take(if tx.from == to { 1 } else { 2 }) {
                *transfers.entry(*a).or_default() += 1;
            }
        }
    }
    assert_eq!(index.totals().unwrap().txs, total);
    assert_eq!(index.txs_since(1_498).unwrap(), 1 + 2);
    for (address, mut expected) in model {
        expected.reverse();
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = index.address_txs(address, before, 7).unwrap();
            found.extend(page.rows.iter().map(|(at, _)| *at));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(found, expected);
        let counts = index.address(address).unwrap();
        assert_eq!(counts.txs, expected.len() as u64);
        assert_eq!(counts.transfers, transfers.get(&address).copied().unwrap_or(0));
        // The JSON-RPC's view: strictly before, strictly after.
        let middle = expected[expected.len() / 2].block;
        let pair = |p: &TxPos| (p.block, p.index);
        let older = expected.iter().filter(|p| p.block < middle).map(pair).collect::<Vec<_>>();
        assert_eq!(index.before(address, Some(middle), 4_000).unwrap(), older);
        let newer = expected.iter().rev().filter(|p| p.block > middle).map(pair);
        assert_eq!(index.after(address, middle, 4_000).unwrap(), newer.collect::<Vec<_>>());
    }
    let paid: u64 = (0..7).map(|i| index.address(chain.account(1_000_000 + i)).unwrap().txs).sum();
    assert_eq!(index.totals().unwrap().internal, 2 * paid);
    let token = index.token(chain.token(0)).unwrap().unwrap();
    assert!(token.transfers > 0 && token.meta.symbol == "SYN" && token.accounts <= 40);
    assert!(index.address_txs(Address::repeat_byte(0xee), None, 10).unwrap().rows.is_empty());
}

#[test]
fn an_index_goes_on_where_it_was_and_is_rebuilt_when_it_is_a_strangers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.redb");
    let chain = Synthetic { blocks: 700, accounts: 10, salt: 0 };
    let index = Index::open(&path, B256::ZERO).unwrap();
    follow(&index, &chain);
    drop(index);
    let longer = Synthetic { blocks: 900, ..chain };
    let index = Index::open(&path, B256::ZERO).unwrap();
    assert_eq!(index.next_block(), 700);
    assert_eq!(follow(&index, &longer), 200);
    let totals = index.totals().unwrap();
    // The same chain with other blocks: seen, and refused.
    let other = Synthetic { salt: 1, ..longer };
    assert!(!is_current(&index, &other).unwrap());
    assert!(catch_up(&index, &other, &AtomicBool::new(false)).is_err());
    drop(index);
    // Another chain's, and a file that is no database: built again.
    assert_eq!(Index::open(&path, B256::repeat_byte(1)).unwrap().next_block(), 0);
    std::fs::write(&path, b"not a database at all").unwrap();
    let index = Index::open(&path, B256::ZERO).unwrap();
    follow(&index, &longer);
    assert_eq!(index.totals().unwrap(), totals);
    // In use by another process: an error, and the file stays.
    assert!(Index::open(&path, B256::ZERO).is_err());
    assert_eq!(index.next_block(), 900);
}

#[test]
fn blocks_that_were_not_synced_are_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.redb");
    let chain = Synthetic { blocks: 300, accounts: 10, salt: 0 };
    let index = Index::open(&path, B256::ZERO).unwrap();
    follow(&index, &Synthetic { blocks: 200, ..chain });
    let rest: Vec<_> = (200..300).map(|n| chain.block(n).unwrap().unwrap()).collect();
    index.append(&rest, |_| TokenMeta::default(), false).unwrap();
    assert_eq!(index.next_block(), 300);
    // What is on the disk now is what a kill leaves behind.
    let killed = dir.path().join("killed.redb");
    std::fs::copy(&path, &killed).unwrap();
    let after = Index::open(&killed, B256::ZERO).unwrap();
    assert_eq!(after.next_block(), 200);
    assert_eq!(after.totals().unwrap().txs, (0..200).map(|n| n % 3).sum::<u64>());
    assert_eq!(follow(&after, &chain), 100);
    follow(&index, &chain);
    assert_eq!(after.totals().unwrap(), index.totals().unwrap());
    // Blocks that leave a gap are refused.
    let gap = [chain.block(150).unwrap().unwrap()];
    assert!(after.append(&gap, |_| TokenMeta::default(), true).is_err());
}

#[test]
fn internal_operations_follow_behind_and_show_with_their_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.redb");
    let chain = Synthetic { blocks: 600, accounts: 10, salt: 0 };
    let index = Index::open(&path, B256::ZERO).unwrap();
    let blocks: Vec<_> = (0..600).map(|n| chain.block(n).unwrap().unwrap()).collect();
    index.append(&blocks, |_| TokenMeta::default(), true).unwrap();
    let tx = TxPos { block: 2, index: 0 };
    assert_eq!(index.tx_internal_count(tx).unwrap(), None, "not looked at is not none");
    // In order only, and never before the block itself.
    let of = |n: u64| chain.internals(n).unwrap().unwrap();
    assert!(index.append_internals(&[of(1)], true).is_err());
    let beyond = BlockInternals { block: 600, txs: Vec::new() };
    let all: Vec<_> = (0..600).map(of).chain([beyond]).collect();
    assert!(index.append_internals(&all, true).is_err());
    index.append_internals(&(0..300).map(of).collect::<Vec<_>>(), true).unwrap();
    // A kill leaves what was synced; the rest is taken again, once.
    index.append_internals(&(300..400).map(of).collect::<Vec<_>>(), false).unwrap();
    let killed = dir.path().join("killed.redb");
    std::fs::copy(&path, &killed).unwrap();
    let index = Index::open(&killed, B256::ZERO).unwrap();
    assert_eq!((index.next_block(), index.next_internal()), (600, 300));
    follow(&index, &chain);
    assert_eq!(index.next_internal(), 600);

    assert_eq!(index.tx_internal_count(tx).unwrap(), Some(InternalCount { kept: 2, beyond: 3 }));
    assert_eq!(
        index.tx_internal_count(TxPos { block: 3, index: 0 }).unwrap(),
        Some(InternalCount::default())
    );
    let first = index.tx_internals(tx, 0, 1).unwrap();
    let next = first.next.unwrap().item + 1;
    let second = index.tx_internals(tx, next, 1).unwrap();
    assert_eq!(
        (first.rows[0].1.kind, second.rows[0].1.kind),
        (InternalKind::Call, InternalKind::Create2)
    );
    assert_eq!(second.next, None);

    // An account that only contracts have paid has its transactions, newest first, and each operation once.
    let paid = chain.account(1_000_003);
    let expected: Vec<_> = (0..600)
        .flat_map(|n| of(n).txs.into_iter().map(move |tx| (n, tx)))
        .filter(|(_, tx)| tx.operations[0].to == paid)
        .map(|(block, tx)| TxPos { block, index: tx.index })
        .rev()
        .collect();
    assert!(expected.len() > 20);
    let counts = index.address(paid).unwrap();
    assert_eq!((counts.txs, counts.internal), (expected.len() as u64, expected.len() as u64));
    let txs = index.address_txs(paid, None, 100).unwrap().rows;
    assert_eq!(txs, expected.iter().map(|at| (*at, role::INTERNAL)).collect::<Vec<_>>());
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = index.internals(Some(paid), before, 7).unwrap();
        found.extend(page.rows.iter().map(|(at, _)| at.tx));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(found, expected);
    // A caller that has another part in the transaction keeps it, and is not counted twice.
    let token = chain.tx(2, 0).to.unwrap();
    let after = TxPos { index: 1, ..tx };
    let rows = index.address_txs(token, Some(after), 1).unwrap().rows;
    assert_eq!(rows, [(tx, role::RECIPIENT | role::INTERNAL)]);
    let (mut rows, mut before) = (0, None);
    loop {
        let page = index.address_txs(token, before, 100).unwrap();
        rows += page.rows.len() as u64;
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(index.address(token).unwrap().txs, rows);
    // A contract that a contract made knows its maker.
    let made = of(2).txs[0].operations[1].to;
    let contract = index.contract(made).unwrap().unwrap();
    assert_eq!((contract.creator, contract.at), (Some(token), tx));
}

/// A chain one block of which cannot be executed again.
struct Faulty(Synthetic);

impl Source for Faulty {
    fn head(&self) -> u64 {
        self.0.head()
    }

    fn block_hash(&self, number: u64) -> Result<Option<B256>> {
        self.0.block_hash(number)
    }

    fn block(&self, number: u64) -> Result<Option<SourceBlock>> {
        self.0.block(number)
    }

    fn internals(&self, number: u64) -> Result<Option<BlockInternals>> {
        if number == 5 {
            return Err(cairn_explorer::ExplorerError::Chain("it does not execute".into()));
        }
        self.0.internals(number)
    }

    fn token(&self, address: Address) -> TokenMeta {
        Source::token(&self.0, address)
    }
}

#[test]
fn a_block_that_cannot_be_executed_again_keeps_none_of_the_others_out() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Faulty(Synthetic { blocks: 20, accounts: 10, salt: 0 });
    let index = Index::open(dir.path().join("x.redb"), B256::ZERO).unwrap();
    assert!(catch_up(&index, &chain, &AtomicBool::new(false)).is_err());
    assert_eq!((index.next_block(), index.next_internal()), (20, 5), "what was found is kept");
    // The follower tries it a few times and goes on without it.
    let index = Arc::new(index);
    let follower = Follower::start(index.clone(), Arc::new(chain)).unwrap();
    let started = Instant::now();
    while index.next_internal() < 20 && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(follower);
    assert_eq!(index.next_internal(), 20);
    assert_eq!(index.tx_internal_count(TxPos { block: 8, index: 0 }).unwrap().unwrap().kept, 2);
}

#[test]
fn an_index_of_another_version_is_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.redb");
    let chain = Synthetic { blocks: 50, accounts: 10, salt: 0 };
    follow(&Index::open(&path, B256::ZERO).unwrap(), &chain);
    // The version that knew no internal operations.
    let db = redb::Database::open(&path).unwrap();
    let txn = db.begin_write().unwrap();
    let meta = redb::TableDefinition::<&str, &[u8]>::new("meta");
    txn.open_table(meta).unwrap().insert("format", &1u64.to_be_bytes()[..]).unwrap();
    txn.commit().unwrap();
    drop(db);
    let index = Index::open(&path, B256::ZERO).unwrap();
    assert_eq!((index.next_block(), index.next_internal()), (0, 0));
    follow(&index, &chain);
    assert_eq!((index.next_block(), index.next_internal()), (50, 50));
}
