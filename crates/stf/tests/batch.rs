//! A batch built natively and its stateless re-execution agree on every byte, over random mixes of transactions.

mod common;

use alloy_primitives::{Address, B256, TxKind, U256, hex, keccak256};
use alloy_signer::SignerSync;
use alloy_sol_types::SolValue;
use cairn_primitives::{Eip712Tx, L2ToL1Log, address, da::DaMode};
use cairn_state::{InitialWrite, RepeatedWrite, StateDiffs};
use cairn_stf::{RecoveredTx, execute_batch, prove_batch, pubdata};
use common::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Op {
    Transfer { from: usize, to: u8, value: u64 },
    Legacy { from: usize, eip155: bool },
    Store { from: usize, slot: u8, value: u8 },
    AccessList { from: usize, slot: u8 },
    Revert { from: usize },
    Deploy { from: usize, variant: u8 },
    Create2 { from: usize, salt: u8, destroy: bool },
    Delegate { from: usize, authority: usize, target: u8 },
    Message { from: usize, len: u16 },
    BlockHash { from: usize, back: u8 },
    Probe { from: usize, whom: u8 },
    Deposit { to: u8, value: u64, gas: u32, revert: bool },
    EndBlock,
}

const SIGNERS: usize = 4;

fn op() -> impl Strategy<Value = Op> {
    let who = 0..SIGNERS;
    prop_oneof![
        4 => (who.clone(), 0u8..12, 0u64..1_000_000).prop_map(|(from, to, value)| Op::Transfer { from, to, value }),
        1 => (who.clone(), any::<bool>()).prop_map(|(from, eip155)| Op::Legacy { from, eip155 }),
        5 => (who.clone(), 0u8..6, 0u8..3).prop_map(|(from, slot, value)| Op::Store { from, slot, value }),
        1 => (who.clone(), 0u8..6).prop_map(|(from, slot)| Op::AccessList { from, slot }),
        1 => who.clone().prop_map(|from| Op::Revert { from }),
        2 => (who.clone(), 0u8..4).prop_map(|(from, variant)| Op::Deploy { from, variant }),
        3 => (who.clone(), 0u8..3, any::<bool>()).prop_map(|(from, salt, destroy)| Op::Create2 { from, salt, destroy }),
        3 => (who.clone(), 0..SIGNERS, 0u8..4).prop_map(|(from, authority, target)| Op::Delegate { from, authority, target }),
        2 => (who.clone(), 0u16..300).prop_map(|(from, len)| Op::Message { from, len }),
        1 => (who.clone(), 0u8..8).prop_map(|(from, back)| Op::BlockHash { from, back }),
        2 => (who, 0u8..12).prop_map(|(from, whom)| Op::Probe { from, whom }),
        2 => (0u8..12, any::<u64>(), 0u32..300_000, any::<bool>()).prop_map(|(to, value, gas, revert)| Op::Deposit { to, value, gas, revert }),
        3 => Just(Op::EndBlock),
    ]
}

fn whom(chain: &Chain, n: u8) -> Address {
    match n {
        0..4 => chain.signers[n as usize % SIGNERS].address(),
        4 => OPERATOR,
        5 => STORE,
        6 => create2_address(0, false),
        7 => create2_address(1, true),
        8 => address::NONCE_HOLDER,
        _ => Address::repeat_byte(n),
    }
}

fn create2_init(destroy: bool) -> Vec<u8> {
    if destroy { SUICIDE_INIT.to_vec() } else { init_code(&STORE_CODE[..7]) }
}

fn create2_address(salt: u8, destroy: bool) -> Address {
    address::CREATE2_DEPLOYER
        .create2(B256::from(U256::from(salt)), keccak256(create2_init(destroy)))
}

fn build(chain: &mut Chain, op: &Op) -> Option<RecoveredTx> {
    Some(match op.clone() {
        Op::Transfer { from, to, value } => {
            let to = whom(chain, to);
            chain.transfer(from, to, value.into())
        }
        Op::Legacy { from, eip155 } => chain.legacy(from, Address::repeat_byte(0x33), 5, eip155),
        Op::Store { from, slot, value } => {
            chain.call(from, STORE, store_data(slot.into(), value.into()))
        }
        Op::AccessList { from, slot } => chain.access_list(from, slot.into()),
        Op::Revert { from } => chain.call(from, REVERT, vec![]),
        Op::Deploy { from, variant } => {
            let init = init_code(&[0x60, variant, 0x60, 0, 0x55, 0]);
            chain.tx(from, TxKind::Create, variant.into(), init)
        }
        Op::Create2 { from, salt, destroy } => {
            let mut data = U256::from(salt).abi_encode();
            data.extend(create2_init(destroy));
            chain.tx(from, TxKind::Call(address::CREATE2_DEPLOYER), 3, data)
        }
        Op::Delegate { from, authority, target } => {
            let target = [STORE, REVERT, Address::ZERO, OPERATOR][target as usize];
            chain.delegate(from, authority, target)
        }
        Op::Message { from, len } => {
            chain.call(from, address::L1_MESSENGER, vec![len as u8; len.into()])
        }
        Op::BlockHash { from, back } => chain.call(from, BLOCKHASH, U256::from(back).abi_encode()),
        Op::Probe { from, whom: n } => {
            let whom = whom(chain, n);
            chain.call(from, PROBE, whom.abi_encode())
        }
        Op::Deposit { to, value, gas, revert } => {
            let to = if revert { REVERT } else { whom(chain, to) };
            chain.priority(to, value.into(), gas.into(), vec![1; 64])
        }
        Op::EndBlock => return None,
    })
}

/// Runs the operations into blocks and all blocks into one batch.
fn run(chain: &mut Chain, ops: &[Op]) -> cairn_stf::SealedBatch {
    let mut txs = Vec::new();
    for op in ops {
        match build(chain, op) {
            Some(tx) => txs.push(tx),
            None => {
                chain.block(std::mem::take(&mut txs));
            }
        }
    }
    chain.block(txs);
    chain.seal()
}

fn check(sealed: &cairn_stf::SealedBatch) {
    let again = execute_batch(&sealed.witness).unwrap();
    assert_eq!(again, sealed.result);
    assert_eq!(prove_batch(&sealed.witness).unwrap(), sealed.public_input().hash());
    let parsed = cairn_stf::pubdata::Pubdata::decode(&sealed.result.pubdata).unwrap();
    assert_eq!(parsed.logs, sealed.result.logs);
    let decoded = cairn_stf::BatchWitness::decode(&sealed.witness).unwrap();
    assert_eq!(decoded.encode(), sealed.witness);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn native_and_stateless_agree(
        first in prop::collection::vec(op(), 1..40),
        second in prop::collection::vec(op(), 1..30),
    ) {
        let mut chain = Chain::new(SIGNERS as u64);
        // Delegated accounts spend nonces of their own when they deploy; the sender bookkeeping of the tests starts anew each batch.
        for ops in [first, second] {
            let sealed = run(&mut chain, &ops);
            check(&sealed);
        }
    }
}

#[test]
fn deposit_and_message_reach_the_log_tree() {
    let mut chain = Chain::new(1);
    let to = Address::repeat_byte(0x55);
    let deposit = chain.priority(to, ETHER, 100_000, vec![]);
    let hash = deposit.hash;
    let message = chain.call(0, address::L1_MESSENGER, b"withdraw".to_vec());
    let sender = message.sender;
    let out = chain.block(vec![deposit, message]);
    assert!(out.results.iter().all(cairn_stf::TxResult::success), "{:?}", out.results);
    let want = [
        L2ToL1Log::priority_outcome(0, hash, true),
        L2ToL1Log::message(1, sender, keccak256(b"withdraw")),
    ];
    assert_eq!(out.l2_to_l1_logs, want);
    assert_eq!(out.messages, [alloy_primitives::Bytes::from_static(b"withdraw")]);
    assert_eq!(chain.state.accounts[&to].balance, ETHER);
    let sealed = chain.seal();
    check(&sealed);
    assert_eq!(sealed.public_input().priority_ops_count, 1);
}

#[test]
fn hundred_transfers_in_one_batch() {
    let mut chain = Chain::new(4);
    let txs =
        (0..100).map(|i| chain.transfer(i % 4, Address::repeat_byte(i as u8 % 50), 10)).collect();
    let out = chain.block(txs);
    assert!(out.results.iter().all(|r| r.gas_used == 21_000 && r.success()));
    check(&chain.seal());
}

#[test]
fn blobs_are_tied_by_their_evaluation() {
    let mut chain = Chain::new(1);
    let message = chain.call(0, address::L1_MESSENGER, vec![0x5a; 3_000]);
    chain.block(vec![message]);
    let hashes =
        vec![B256::new(hex!("01aa000000000000000000000000000000000000000000000000000000000011"))];
    let sealed = chain.seal_with(DaMode::Blobs, |_| hashes);
    check(&sealed);
}

/// A transaction of type 0x71, as its sender signed it.
fn account_transaction(chain: &Chain) -> RecoveredTx {
    let mut tx = Eip712Tx {
        chain_id: CHAIN_ID,
        from: chain.signers[0].address(),
        to: Some(STORE),
        nonce: 3,
        gas_limit: 1_000_000,
        gas_per_pubdata: 50_000,
        max_fee_per_gas: 1_000,
        max_priority_fee_per_gas: 1_000,
        data: store_data(1, 2).into(),
        ..Default::default()
    };
    let signature = chain.signers[0].sign_hash_sync(&tx.signing_hash()).unwrap();
    tx.signature = signature.as_bytes().to_vec().into();
    RecoveredTx::account(Box::new(tx))
}

/// The pubdata of a batch, with diffs against the tree that the fuzz target makes up: a leaf's value is its index.
fn diffs_of_the_fuzz_target(published: &[u8]) -> Vec<u8> {
    let p = pubdata::Pubdata::decode(published).unwrap();
    let write = |key: u64, value: u64| InitialWrite {
        key: cairn_state::Key::code(&B256::from(U256::from(key))),
        value: U256::from(value),
    };
    let again = |index: u64, new: U256| RepeatedWrite { index, old: U256::from(index), new };
    let mut initial = vec![write(5_000, 1), write(5_001, 1 << 40), write(5_002, 77)];
    initial.sort_by_key(|w| w.key);
    let repeated = vec![
        again(5, U256::from(500)),
        again(6, U256::ZERO),
        again(900, U256::from(899)),
        again(901, U256::MAX),
    ];
    let diffs = StateDiffs { initial, repeated };
    pubdata::encode(&p.blocks, &p.logs, &p.messages, p.codes.iter(), &diffs)
}

/// What the fuzz targets begin with is what their decoders take today: from noise alone they hardly pass the first checks.
/// `CAIRN_WRITE_SEEDS=1 cargo test -p cairn-stf --test batch seeds` renews it.
#[test]
fn seeds_of_the_fuzz_targets_are_current() {
    let mut chain = Chain::new(2);
    let to = Address::repeat_byte(0x66);
    let first = vec![
        chain.transfer(0, to, 5),
        chain.call(0, STORE, store_data(1, 9)),
        chain.tx(1, TxKind::Create, 0, init_code(&[0x60, 1, 0x60, 0, 0x55, 0])),
    ];
    chain.block(first);
    chain.block(vec![]);
    let second = vec![
        chain.call(0, address::L1_MESSENGER, b"to L1".to_vec()),
        chain.call(1, BLOCKHASH, U256::from(1).abi_encode()),
        chain.access_list(1, 4),
    ];
    chain.block(second);
    let sealed = chain.seal();
    check(&sealed);
    let deposit = chain.priority(to, 5, 100_000, vec![1, 2, 3]);
    chain.block(vec![deposit]);
    let with_a_deposit = chain.seal();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    for (name, bytes) in [
        ("witness/batch", sealed.witness.clone()),
        ("witness/deposit", with_a_deposit.witness.clone()),
        ("pubdata/batch", sealed.result.pubdata.clone()),
        ("pubdata/deposit", with_a_deposit.result.pubdata),
        ("pubdata/diffs", diffs_of_the_fuzz_target(&sealed.result.pubdata)),
        ("transaction/eip712", account_transaction(&chain).encode()),
    ] {
        let path = folder.join(name);
        let text = hex::encode(&bytes) + "\n";
        if std::env::var_os("CAIRN_WRITE_SEEDS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        // libFuzzer is told to take no more.
        assert!(bytes.len() <= 65_536, "{name}: {} bytes", bytes.len());
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == text,
            "fuzz/seeds/{name} is not what is made today; see this test's comment"
        );
    }
}

fn seed(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(name);
    hex::decode(std::fs::read_to_string(path).unwrap().trim()).unwrap()
}

/// Bytes changed here and there, and perhaps the end cut off.
fn spoilt(mut bytes: Vec<u8>, edits: &[(prop::sample::Index, u8)], cut: usize) -> Vec<u8> {
    for (at, value) in edits {
        let at = at.index(bytes.len());
        bytes[at] = *value;
    }
    bytes.truncate(bytes.len().saturating_sub(cut));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// What the fuzz targets look for, a little of it in each run: no panic, and one encoding.
    #[test]
    fn spoilt_witnesses_and_pubdata_are_refused_or_have_one_encoding(
        which in 0usize..2,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop_oneof![9 => Just(0usize), 1 => 0usize..200],
    ) {
        let witness = spoilt(seed(["witness/batch", "witness/deposit"][which]), &edits, cut);
        let _ = prove_batch(&witness);
        if let Ok(decoded) = cairn_stf::BatchWitness::decode(&witness) {
            prop_assert_eq!(decoded.encode(), witness);
        }
        let published = spoilt(seed("pubdata/diffs"), &edits, cut);
        if let Ok(p) = pubdata::Pubdata::decode(&published) {
            let leaf = |index: u64| {
                let word = U256::from(index);
                Ok::<_, std::convert::Infallible>(Some((cairn_state::Key::code(&word.into()), word)))
            };
            if let Ok(diffs) = p.decode_diffs(1_000, leaf) {
                let again = pubdata::encode(&p.blocks, &p.logs, &p.messages, p.codes.iter(), &diffs.diffs);
                prop_assert_eq!(again, published);
            }
        }
    }
}
