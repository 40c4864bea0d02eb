//! The index over a synthetic chain: right against a model, quick at 100,000 blocks, and unharmed by kills and strangers' files.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use cairn_explorer::follow::{catch_up, is_current};
use cairn_explorer::index::model::{ItemPos, TokenMeta, TxPos};
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
    assert_eq!(after.totals().unwrap(), index.totals().unwrap());
    // Blocks that leave a gap are refused.
    let gap = [chain.block(150).unwrap().unwrap()];
    assert!(after.append(&gap, |_| TokenMeta::default(), true).is_err());
}

/// The bar of the explorer: pages from an index, not scans, at 100,000 blocks. The bound is far above what is measured, and far below any scan.
#[test]
fn pages_come_from_the_index_at_100_000_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let chain = Synthetic { blocks: 100_000, accounts: 1_000, salt: 0 };
    let index = Index::open(dir.path().join("x.redb"), B256::ZERO).unwrap();
    let started = Instant::now();
    follow(&index, &chain);
    println!(
        "100,000 blocks, {} transactions indexed in {:?}",
        index.totals().unwrap().txs,
        started.elapsed()
    );
    let mut worst = Duration::ZERO;
    for i in 0..200 {
        let account = chain.account(i * 5);
        let middle = TxPos { block: i * 499, index: 0 };
        let started = Instant::now();
        let page = index.address_txs(account, Some(middle), 25).unwrap();
        let transfers = index.address_transfers(account, None, 25).unwrap();
        let at = ItemPos { tx: middle, item: 0 };
        index.token_transfers(chain.token(i), Some(at), 25).unwrap();
        index.account_tokens(account, None, 25).unwrap();
        index.txs(Some(i * 499), 25).unwrap();
        index.txs_since(i * 499).unwrap();
        index.totals().unwrap();
        worst = worst.max(started.elapsed());
        assert!(i < 20 || !page.rows.is_empty());
        assert!(!transfers.rows.is_empty());
    }
    println!("worst of 200 rounds of seven pages: {worst:?}");
    assert!(worst < Duration::from_secs(1), "{worst:?}");
}
