//! The guest program in the VM's interpreter: the same public input as natively, from the witness alone.

mod common;

use alloy_primitives::{Address, TxKind, U256};
use alloy_sol_types::SolValue;
use cairn_stf::{SealedBatch, prove_batch};
use cairn_vm::{CycleMeter, Execution, Input, ProgramImage, execute};
use common::*;
use std::path::PathBuf;

/// Far above what the batches here need.
const MAX_CYCLES: u64 = 1 << 30;

fn guest() -> ProgramImage {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest/elf/batch.elf.zst");
    ProgramImage::from_elf(&zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap()).unwrap()
}

fn run(witness: &[u8]) -> Execution {
    execute(
        &guest(),
        &Input::from_bytes(witness).unwrap(),
        &mut CycleMeter::new(1 << 20),
        MAX_CYCLES,
    )
    .unwrap()
}

/// The test token with a balance for every signer.
fn token(chain: &mut Chain) -> Address {
    let artifact: serde_json::Value =
        serde_json::from_str(include_str!("../../../contracts/artifacts/TestERC20.json")).unwrap();
    let mut code = alloy_primitives::hex::decode(artifact["bytecode"].as_str().unwrap()).unwrap();
    code.extend(("Token".to_string(), "TOK".to_string(), U256::from(18)).abi_encode_params());
    let nonce = chain.nonces.get(&chain.signers[0].address()).copied().unwrap_or_default();
    let token = chain.signers[0].address().create(nonce);
    let deploy = chain.tx(0, TxKind::Create, 0, code);
    chain.block(vec![deploy]);
    let mints = (0..chain.signers.len()).map(|i| {
        let to = chain.signers[i].address();
        call_data("mint(address,uint256)", to, 1_000_000)
    });
    let mints: Vec<_> = mints.collect();
    let txs = mints.into_iter().map(|data| chain.call(0, token, data)).collect();
    chain.block(txs);
    token
}

fn call_data(signature: &str, to: Address, amount: u64) -> Vec<u8> {
    let mut data = alloy_primitives::keccak256(signature)[..4].to_vec();
    data.extend((to, U256::from(amount)).abi_encode_params());
    data
}

/// A batch of plain transfers between accounts that exist.
fn eth_batch(transfers: usize) -> SealedBatch {
    let mut chain = Chain::new(20);
    let warm: Vec<_> =
        (0..20).map(|i| chain.transfer(i, Address::repeat_byte(0x40 + i as u8), 5)).collect();
    chain.block(warm);
    chain.seal();
    for block in 0..transfers.div_ceil(10) {
        let txs = (0..10.min(transfers - 10 * block)).map(|i| {
            let n = 10 * block + i;
            chain.transfer(
                n % 20,
                Address::repeat_byte(0x40 + (n * 7 % 20) as u8),
                1_000_000_007 + n as u128,
            )
        });
        let txs = txs.collect();
        chain.block(txs);
    }
    chain.seal()
}

/// The same as account-abstraction transactions (0x71) of plain accounts.
fn account_batch(transfers: usize) -> SealedBatch {
    use alloy_signer::SignerSync;
    let mut chain = Chain::new(20);
    let warm: Vec<_> =
        (0..20).map(|i| chain.transfer(i, Address::repeat_byte(0x40 + i as u8), 5)).collect();
    chain.block(warm);
    chain.seal();
    for block in 0..transfers.div_ceil(10) {
        let txs = (0..10.min(transfers - 10 * block)).map(|i| {
            let n = 10 * block + i;
            let who = n % 20;
            let mut tx = cairn_primitives::Eip712Tx {
                chain_id: CHAIN_ID,
                from: chain.signers[who].address(),
                to: Some(Address::repeat_byte(0x40 + (n * 7 % 20) as u8)),
                nonce: chain.nonce(who),
                gas_limit: 2_000_000,
                gas_per_pubdata: 50_000,
                max_fee_per_gas: 1_000,
                max_priority_fee_per_gas: 1_000,
                value: U256::from(1_000_000_007 + n as u128),
                ..Default::default()
            };
            let signature = chain.signers[who].sign_hash_sync(&tx.signing_hash()).unwrap();
            tx.signature = signature.as_bytes().to_vec().into();
            cairn_stf::RecoveredTx::account(Box::new(tx))
        });
        let txs = txs.collect();
        chain.block(txs);
    }
    chain.seal()
}

/// A batch of transfers of an OpenZeppelin ERC-20 between holders.
fn erc20_batch(transfers: usize) -> SealedBatch {
    let mut chain = Chain::new(20);
    let token = token(&mut chain);
    chain.seal();
    for block in 0..transfers.div_ceil(10) {
        let txs = (0..10.min(transfers - 10 * block)).map(|i| {
            let n = 10 * block + i;
            let to = chain.signers[(n * 7 + 3) % 20].address();
            chain.call(n % 20, token, call_data("transfer(address,uint256)", to, 1 + n as u64))
        });
        let txs = txs.collect();
        chain.block(txs);
    }
    chain.seal()
}

/// Transfers, token calls, a deployment, a deposit, a message, a revert, a delegation.
fn mixed_batch() -> SealedBatch {
    let mut chain = Chain::new(4);
    let token = token(&mut chain);
    let to = chain.signers[2].address();
    let txs = vec![
        chain.transfer(0, to, 12345),
        chain.legacy(1, to, 5, true),
        chain.call(1, token, call_data("transfer(address,uint256)", to, 77)),
        chain.call(2, token, call_data("transfer(address,uint256)", to, u64::MAX)),
        chain.call(2, STORE, store_data(1, 9)),
        chain.call(2, REVERT, vec![]),
        chain.access_list(3, 4),
        chain.delegate(3, 1, STORE),
        chain.priority(Address::repeat_byte(0x77), 1_000_000, 100_000, vec![1, 2, 3]),
        chain.call(0, cairn_primitives::address::L1_MESSENGER, vec![5; 100]),
        chain.tx(1, TxKind::Create, 0, init_code(&[0x60, 1, 0x60, 0, 0x55, 0])),
    ];
    chain.block(txs);
    let last = vec![chain.call(1, BLOCKHASH, U256::from(2).abi_encode())];
    chain.block(last);
    chain.seal()
}

#[test]
fn guest_and_native_agree_on_every_kind_of_transaction() {
    let sealed = mixed_batch();
    let run = run(&sealed.witness);
    assert_eq!(run.exit_code, 0);
    assert_eq!(run.public_input(), Some(prove_batch(&sealed.witness).unwrap().0));
    assert_eq!(run.public_input(), Some(sealed.public_input().hash().0));
}

/// A witness that lies, is cut short or is empty never yields a public input.
#[test]
fn bad_witnesses_have_no_proof() {
    let sealed = mixed_batch();
    let honest = sealed.public_input().hash().0;
    let program = guest();
    let length = sealed.witness.len();
    let corrupted = (0..12).map(|i| {
        let mut bytes = sealed.witness.clone();
        bytes[(i * 97 + 13) * length / 1200] ^= 1 << (i % 8);
        bytes
    });
    for witness in corrupted.chain([
        vec![],
        sealed.witness[..length / 2].to_vec(),
        sealed.witness[..length - 1].to_vec(),
    ]) {
        let input = Input::from_bytes(&witness).unwrap();
        match execute(&program, &input, &mut CycleMeter::new(1 << 20), MAX_CYCLES) {
            Ok(run) => {
                assert_eq!(run.exit_code == 0, prove_batch(&witness).is_ok());
                assert!(run.exit_code != 0 || run.public_input() != Some(honest));
            }
            Err(_) => assert!(prove_batch(&witness).is_err()),
        }
    }
}

/// Cycles a transaction in batches of 100, printed for the performance table; the bounds are the project's.
#[test]
fn cycles_of_a_transfer() {
    for (name, sealed, bound) in
        [("ETH transfer", eth_batch(100), 40_000), ("ERC-20 transfer", erc20_batch(100), 90_000)]
    {
        let run = run(&sealed.witness);
        assert_eq!(run.public_input(), Some(sealed.public_input().hash().0));
        println!(
            "{name}: {} cycles each, {} in all, witness {} bytes",
            run.cycles / 100,
            run.cycles,
            sealed.witness.len()
        );
        assert!(run.cycles / 100 <= bound, "{name}: {} cycles", run.cycles / 100);
    }
}

/// A transfer by account abstraction costs at most 1.3 times an ordinary one.
#[test]
fn cycles_of_an_account_abstraction_transfer() {
    let cycles = |sealed: SealedBatch| {
        let run = run(&sealed.witness);
        assert_eq!(run.public_input(), Some(sealed.public_input().hash().0));
        run.cycles / 100
    };
    let (ordinary, account) = (cycles(eth_batch(100)), cycles(account_batch(100)));
    println!("transfer: ordinary {ordinary} cycles, account abstraction {account}");
    assert!(account * 10 <= ordinary * 13, "{account} cycles, ordinary {ordinary}");
}

/// Writes witness files for profiles and benchmarks: `CAIRN_WITNESS_DIR=... cargo test -p cairn-stf --test guest -- --ignored`.
#[test]
#[ignore = "writes files"]
fn write_witnesses() {
    let folder = PathBuf::from(std::env::var_os("CAIRN_WITNESS_DIR").expect("CAIRN_WITNESS_DIR"));
    for (name, sealed) in [
        ("eth100", eth_batch(100)),
        ("eth10", eth_batch(10)),
        ("erc20", erc20_batch(100)),
        ("mixed", mixed_batch()),
        ("account100", account_batch(100)),
    ] {
        std::fs::write(folder.join(format!("{name}.witness")), &sealed.witness).unwrap();
    }
}
