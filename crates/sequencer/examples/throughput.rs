//! What the sequencer does without a server: `cargo run --release -p cairn-sequencer --example throughput`.
//!
//! Prints the time of one transaction after the other (accepted, then included), and the rate when many come at once, each durable when
//! acknowledged and in a durable block at the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use cairn_primitives::ChainConfig;
use cairn_sequencer::{Sequencer, SequencerConfig, open_storage};
use cairn_stf::genesis::{GenesisAccount, GenesisConfig};

const ACCOUNTS: u64 = 50;
const SERIAL: u64 = 500;
const PARALLEL: u64 = 200;

fn key(i: u64) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&keccak256(i.to_be_bytes()))
        .unwrap_or_else(|_| PrivateKeySigner::random())
}

fn transfer(
    signer: &PrivateKeySigner,
    nonce: u64,
) -> Result<(B256, Bytes), Box<dyn std::error::Error>> {
    let tx = TxEip1559 {
        chain_id: 270,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(Address::repeat_byte(9)),
        value: U256::from(1),
        ..TxEip1559::default()
    };
    let signature = signer.sign_hash_sync(&tx.signature_hash())?;
    let tx = TxEnvelope::from(tx.into_signed(signature));
    Ok((*tx.tx_hash(), tx.encoded_2718().into()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let chain = ChainConfig::eth_rollup(270, 31337);
    let rich = GenesisAccount { balance: 1 << 100, ..GenesisAccount::default() };
    let accounts: BTreeMap<_, _> =
        (0..ACCOUNTS).map(|i| (key(i).address(), rich.clone())).collect();
    let genesis = GenesisConfig { config: chain.clone(), timestamp: 1_700_000_000, accounts };
    let storage = open_storage(dir.path(), &genesis)?;
    let sequencer =
        Sequencer::start(SequencerConfig::new(chain, Address::repeat_byte(1)), storage)?;
    serial(&sequencer).await?;
    parallel(&sequencer).await?;
    sealing(&sequencer).await
}

/// How long the batches of all that take from here on.
async fn sealing(sequencer: &Sequencer) -> Result<(), Box<dyn std::error::Error>> {
    let (started, before) = (Instant::now(), sequencer.storage().batch_heads().sealed);
    let last = sequencer.seal_now().await?;
    let mut heads = sequencer.storage().watch_batches();
    while heads.borrow_and_update().sealed < last {
        tokio::time::timeout(Duration::from_secs(120), heads.changed()).await??;
    }
    let took = started.elapsed().as_secs_f64();
    println!("{} batches sealed and checked in {took:.2} s more", last - before);
    for n in 1..=last {
        if let Some(b) = sequencer.storage().batch(n)? {
            println!(
                "  batch {n}: {} transactions, {} bytes of pubdata",
                b.tx_count, b.pubdata_len
            );
        }
    }
    Ok(())
}

async fn wait_for(sequencer: &Sequencer, hash: B256) -> Result<(), Box<dyn std::error::Error>> {
    let mut head = sequencer.watch_head();
    while sequencer.storage().tx_location(hash)?.is_none() {
        tokio::time::timeout(Duration::from_secs(10), head.changed()).await??;
    }
    Ok(())
}

async fn serial(sequencer: &Sequencer) -> Result<(), Box<dyn std::error::Error>> {
    let signed: Vec<_> = (0..SERIAL).map(|n| transfer(&key(0), n)).collect::<Result<_, _>>()?;
    let (started, mut accepting) = (Instant::now(), Duration::ZERO);
    for (hash, raw) in signed {
        let at = Instant::now();
        sequencer.submit(raw).await?;
        accepting += at.elapsed();
        wait_for(sequencer, hash).await?;
    }
    let each = |d: Duration| d.as_secs_f64() * 1e6 / SERIAL as f64;
    println!(
        "one by one: {:.0} us accepted, {:.0} us included",
        each(accepting),
        each(started.elapsed())
    );
    Ok(())
}

async fn parallel(sequencer: &Sequencer) -> Result<(), Box<dyn std::error::Error>> {
    let mut all = Vec::new();
    for account in 1..ACCOUNTS {
        let signer = key(account);
        all.push((0..PARALLEL).map(|n| transfer(&signer, n)).collect::<Result<Vec<_>, _>>()?);
    }
    let total = all.iter().map(Vec::len).sum::<usize>();
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for signed in all {
        let sequencer = sequencer.clone();
        tasks.spawn(async move {
            let mut last = B256::ZERO;
            for (hash, raw) in signed {
                sequencer.submit(raw).await.map_err(|e| e.to_string())?;
                last = hash;
            }
            Ok::<_, String>(last)
        });
    }
    let mut last = Vec::new();
    while let Some(done) = tasks.join_next().await {
        last.push(done??);
    }
    let accepted = started.elapsed();
    for hash in last {
        wait_for(sequencer, hash).await?;
    }
    let rate = |d: Duration| total as f64 / d.as_secs_f64();
    println!(
        "{total} at once: {:.0}/s accepted, {:.0}/s included",
        rate(accepted),
        rate(started.elapsed())
    );
    Ok(())
}
