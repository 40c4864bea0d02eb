//! A batch built natively and its stateless re-execution agree on every byte, over random mixes of transactions.

mod common;

use alloy_primitives::{Address, B256, TxKind, U256, hex, keccak256};
use alloy_sol_types::SolValue;
use cairn_primitives::{L2ToL1Log, address, da::DaMode};
use cairn_stf::{RecoveredTx, execute_batch, prove_batch};
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
