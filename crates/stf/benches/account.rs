//! What a transfer costs the sequencer, ordinary (type 2) and by account abstraction (type 0x71 of a plain account without a paymaster, the default
//! path): decoding, recovery of the signer, and execution in a block of 100. `cargo bench -p cairn-stf --bench account`; the bar is 1.3 times.

#[path = "../tests/common/mod.rs"]
mod common;

use std::{hint::black_box, time::Duration};

use alloy_primitives::{Address, U256};
use alloy_signer::SignerSync;
use cairn_primitives::Eip712Tx;
use cairn_stf::{BlockExecutor, RecoveredTx};
use common::{CHAIN_ID, Chain};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const TRANSFERS: usize = 100;
const ACCOUNTS: u64 = 20;

/// Raw transfers of each kind on the same state.
fn transfers(account_abstraction: bool) -> (Chain, Vec<Vec<u8>>) {
    let mut chain = Chain::new(ACCOUNTS);
    let raw = (0..TRANSFERS).map(|n| {
        let who = n % ACCOUNTS as usize;
        let to = Address::repeat_byte(0x40 + (n % 50) as u8);
        if !account_abstraction {
            return chain.transfer(who, to, 5).encode();
        }
        let mut tx = Eip712Tx {
            chain_id: CHAIN_ID,
            from: chain.signers[who].address(),
            to: Some(to),
            nonce: chain.nonce(who),
            gas_limit: 2_000_000,
            gas_per_pubdata: 50_000,
            max_fee_per_gas: 1_000,
            value: U256::from(5),
            ..Default::default()
        };
        let signature = chain.signers[who].sign_hash_sync(&tx.signing_hash()).expect("a key");
        tx.signature = signature.as_bytes().to_vec().into();
        tx.encode()
    });
    let raw = raw.collect();
    (chain, raw)
}

/// What the sequencer does from the raw bytes on, up to the block's changes.
fn sequence(chain: &Chain, raw: &[Vec<u8>]) -> usize {
    let mut block = BlockExecutor::new(chain.env(), &chain.state);
    for bytes in raw {
        let mut tx = RecoveredTx::decode(bytes).expect("well formed");
        tx.recover_signer();
        block.execute(&tx).expect("valid");
    }
    block.finish().changes.accounts.len()
}

fn transfer(c: &mut Criterion) {
    let mut group = c.benchmark_group("transfer");
    group.throughput(Throughput::Elements(TRANSFERS as u64));
    group.sample_size(30).measurement_time(Duration::from_secs(5));
    for (name, account_abstraction) in [("ordinary", false), ("account_abstraction", true)] {
        let (chain, raw) = transfers(account_abstraction);
        group.bench_function(name, |b| b.iter(|| black_box(sequence(&chain, &raw))));
    }
    group.finish();
}

criterion_group!(benches, transfer);
criterion_main!(benches);
