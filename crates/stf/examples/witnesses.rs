//! Writes witnesses for measuring the guest: `cargo run --release -p cairn-stf --example witnesses DIR [TXS]`.
//!
//! `eth.witness` holds a batch of plain transfers, `erc20.witness` one of OpenZeppelin ERC-20 transfers; every sender sends once. `mixed.witness` has both, deposits, deployments,
//! messages to L1, storage writes and calls that revert.

#[path = "../tests/common/mod.rs"]
mod common;

use alloy_primitives::{Address, TxKind, U256, hex};
use alloy_sol_types::{SolCall, SolValue, sol};
use cairn_primitives::address;
use cairn_stf::{RecoveredTx, prove_batch};
use common::Chain;

sol! {
    function mint(address to, uint256 amount);
    function transfer(address to, uint256 amount);
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("usage: witnesses DIR [TXS]")?;
    let txs: usize = args.next().map_or(Ok(100), |n| n.parse())?;
    std::fs::create_dir_all(&dir)?;
    for (name, witness) in [("eth", eth(txs)), ("erc20", erc20(txs)), ("mixed", mixed(txs))] {
        let start = std::time::Instant::now();
        let input = prove_batch(&witness)?;
        let path = format!("{dir}/{name}.witness");
        println!(
            "{path}: {} bytes, public input {input}, natively {:?}",
            witness.len(),
            start.elapsed()
        );
        std::fs::write(path, &witness)?;
    }
    Ok(())
}

fn eth(n: usize) -> Vec<u8> {
    let mut chain = Chain::new(n as u64);
    let txs = (0..n)
        .map(|i| {
            let to = chain.signers[(i + 1) % n].address();
            chain.transfer(i, to, 1_000_000)
        })
        .collect();
    chain.block(txs);
    chain.seal().witness
}

/// Init code of the test token.
fn token_code() -> Vec<u8> {
    let artifact = include_str!("../../../contracts/artifacts/TestERC20.json");
    let artifact: serde_json::Value = serde_json::from_str(artifact).unwrap_or_default();
    let mut init =
        hex::decode(artifact["bytecode"].as_str().unwrap_or_default()).unwrap_or_default();
    init.extend(("Token", "TKN", U256::from(18)).abi_encode_params());
    init
}

/// A chain of `n` accounts that all hold the test token, its setup sealed.
fn with_token(n: usize) -> (Chain, Address) {
    let mut chain = Chain::new(n as u64);
    let token = chain.signers[0].address().create(0);
    let mut setup = vec![chain.tx(0, TxKind::Create, 0, token_code())];
    for i in 0..n {
        let to = chain.signers[i].address();
        let call = mintCall { to, amount: U256::from(1_000_000_000u64) };
        setup.push(chain.call(0, token, call.abi_encode()));
    }
    // A block's gas holds about 25 transactions of the tests' gas limit at a time.
    for part in setup.chunks(25) {
        let out = chain.block(part.to_vec());
        assert!(out.results.iter().all(cairn_stf::TxResult::success), "{:?}", out.results);
    }
    chain.seal();
    (chain, token)
}

fn token_transfer(chain: &mut Chain, token: Address, from: usize) -> RecoveredTx {
    let to = chain.signers[(from + 1) % chain.signers.len()].address();
    chain.call(from, token, transferCall { to, amount: U256::from(777) }.abi_encode())
}

fn mixed(n: usize) -> Vec<u8> {
    let (mut chain, token) = with_token(n);
    let mut reverts = 0;
    let txs: Vec<_> = (0..n)
        .map(|i| match i % 20 {
            0 => chain.priority(Address::repeat_byte(i as u8 + 1), 1 << 60, 100_000, vec![]),
            1 => chain.call(i, address::L1_MESSENGER, format!("withdrawal {i}").into_bytes()),
            2 => {
                reverts += 1;
                chain.call(i, common::REVERT, vec![])
            }
            3 if i < 40 => chain.tx(i, TxKind::Create, 0, token_code()),
            4 => chain.call(i, common::STORE, common::store_data(i as u64, 7)),
            k if k % 2 == 0 => token_transfer(&mut chain, token, i),
            _ => chain.transfer(i, Address::repeat_byte(i as u8 + 1), 5),
        })
        .collect();
    // Priority operations come first, as in the sequencer's blocks.
    let (first, rest): (Vec<_>, Vec<_>) = txs.into_iter().partition(RecoveredTx::is_priority);
    let mut failed = 0;
    for part in [first, rest].concat().chunks(25) {
        let out = chain.block(part.to_vec());
        failed += out.results.iter().filter(|r| !r.success()).count();
    }
    assert_eq!(failed, reverts);
    chain.seal().witness
}

fn erc20(n: usize) -> Vec<u8> {
    let (mut chain, token) = with_token(n);
    let txs: Vec<_> = (0..n).map(|i| token_transfer(&mut chain, token, i)).collect();
    for part in txs.chunks(25) {
        let out = chain.block(part.to_vec());
        assert!(out.results.iter().all(cairn_stf::TxResult::success), "{:?}", out.results);
    }
    chain.seal().witness
}
