//! Writes witnesses for measuring the guest: `cargo run --release -p cairn-stf --example witnesses DIR [TXS]`.
//!
//! `eth.witness` holds a batch of plain transfers, `erc20.witness` one of OpenZeppelin ERC-20 transfers; every sender sends once.

#[path = "../tests/common/mod.rs"]
mod common;

use alloy_primitives::{Address, TxKind, U256, hex};
use alloy_sol_types::{SolCall, SolValue, sol};
use cairn_stf::prove_batch;
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
    for (name, witness) in [("eth", eth(txs)), ("erc20", erc20(txs))] {
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

fn erc20(n: usize) -> Vec<u8> {
    let artifact = include_str!("../../../contracts/artifacts/TestERC20.json");
    let artifact: serde_json::Value = serde_json::from_str(artifact).unwrap_or_default();
    let mut init =
        hex::decode(artifact["bytecode"].as_str().unwrap_or_default()).unwrap_or_default();
    init.extend(("Token", "TKN", U256::from(18)).abi_encode_params());
    let mut chain = Chain::new(n as u64);
    let token = chain.signers[0].address().create(0);
    let mut setup = vec![chain.tx(0, TxKind::Create, 0, init)];
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
    let txs: Vec<_> = (0..n)
        .map(|i| {
            let to = chain.signers[(i + 1) % n].address();
            let call = transferCall { to, amount: U256::from(777) };
            chain.call(i, token, call.abi_encode())
        })
        .collect();
    for part in txs.chunks(25) {
        let out = chain.block(part.to_vec());
        assert!(out.results.iter().all(cairn_stf::TxResult::success), "{:?}", out.results);
        let _: Address = token;
    }
    chain.seal().witness
}
