//! The chain's rules, one by one: fees, pubdata, priority operations, native contracts, invalid transactions, simulations.

mod common;

use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue, sol};
use cairn_primitives::address::{BASE_TOKEN, HISTORY_STORAGE, NONCE_HOLDER};
use cairn_stf::{
    CallRequest, ExecError, Failure, RecoveredTx, Simulator, TxError, TxResult,
    limits::TX_GAS_LIMIT, simulate::EstimateError,
};
use common::*;

sol! {
    function getMinNonce(address who);
    function getRawNonce(address who);
    function getDeploymentNonce(address who);
}

fn invalid(result: Result<TxResult, ExecError<NoBlock>>) -> TxError {
    match result {
        Err(ExecError::Invalid(e)) => e,
        other => panic!("expected an invalid transaction, got {other:?}"),
    }
}

fn base(chain: &Chain, nonce: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 100_000,
        max_fee_per_gas: 1_000,
        max_priority_fee_per_gas: 7,
        to: TxKind::Call(chain.signers[0].address()),
        value: U256::ZERO,
        access_list: Default::default(),
        input: Bytes::new(),
    }
}

fn balance(chain: &Chain, who: Address) -> u128 {
    chain.state.accounts.get(&who).map_or(0, |a| a.balance)
}

fn total(chain: &Chain) -> u128 {
    chain.state.accounts.values().map(|a| a.balance).sum()
}

#[test]
fn fees_go_to_the_operator_and_nothing_is_lost() {
    let mut chain = Chain::new(2);
    let before = total(&chain);
    let to = Address::repeat_byte(0x42);
    let sender = chain.signers[0].address();
    let tx = chain.transfer(0, to, 1_000);
    let out = chain.block(vec![tx]);
    assert_eq!((out.results[0].gas_used, out.results[0].effective_gas_price), (21_000, 107));
    assert_eq!(balance(&chain, OPERATOR), 21_000 * 107);
    assert_eq!(balance(&chain, to), 1_000);
    assert_eq!(balance(&chain, sender), 100 * ETHER - 1_000 - 21_000 * 107);
    assert_eq!(total(&chain), before);
}

#[test]
fn geths_messages_for_invalid_transactions() {
    let mut chain = Chain::new(1);
    let one = chain.transfer(0, OPERATOR, 1);
    chain.block(vec![one]);
    let me = chain.signers[0].address();
    let cases: Vec<(TxEip1559, &str)> = vec![
        (base(&chain, 0), "nonce too low: address"),
        (base(&chain, 2), "nonce too high: address"),
        (
            TxEip1559 { gas_limit: 20_999, ..base(&chain, 1) },
            "intrinsic gas too low: have 20999, want 21000",
        ),
        (
            TxEip1559 { input: vec![1; 1_000].into(), gas_limit: 40_000, ..base(&chain, 1) },
            "insufficient gas for floor data gas cost: have 40000, want 61000",
        ),
        (
            TxEip1559 { max_fee_per_gas: 99, ..base(&chain, 1) },
            "max fee per gas less than block base fee",
        ),
        (
            TxEip1559 { max_priority_fee_per_gas: 1_001, ..base(&chain, 1) },
            "max priority fee per gas higher than max fee per gas",
        ),
        (
            TxEip1559 { value: U256::MAX, ..base(&chain, 1) },
            "insufficient funds for gas * price + value",
        ),
        (TxEip1559 { value: U256::from(100 * ETHER), ..base(&chain, 1) }, "insufficient funds"),
        (
            TxEip1559 { gas_limit: TX_GAS_LIMIT + 1, ..base(&chain, 1) },
            "transaction gas limit too high",
        ),
        (
            TxEip1559 {
                to: TxKind::Create,
                input: vec![0; 49_153].into(),
                gas_limit: 5_000_000,
                ..base(&chain, 1)
            },
            "max initcode size exceeded: code size 49153 limit 49152",
        ),
    ];
    for (tx, message) in cases {
        // A floor above the tip is refused too.
        let tx = TxEip1559 {
            max_priority_fee_per_gas: if tx.max_fee_per_gas < 1_000 {
                1
            } else {
                tx.max_priority_fee_per_gas
            },
            ..tx
        };
        let error = invalid(chain.try_tx(&chain.sign(0, tx))).to_string();
        assert!(error.starts_with(message), "{error}");
    }
    let foreign = chain.sign(0, TxEip1559 { chain_id: 1, ..base(&chain, 1) });
    assert_eq!(invalid(chain.try_tx(&foreign)), TxError::ChainId { have: 1, want: CHAIN_ID });
    let contract = RecoveredTx::assume_sender(chain.sign(0, base(&chain, 1)).tx, STORE);
    assert_eq!(invalid(chain.try_tx(&contract)), TxError::SenderNotEoa { address: STORE });
    let _ = me;
}

#[test]
fn an_invalid_transaction_leaves_the_block_as_it_was() {
    let mut chain = Chain::new(2);
    let good = chain.call(0, STORE, store_data(1, 1));
    let dropped = chain.transfer(1, OPERATOR, 5);
    let bad = chain.sign(1, base(&chain, 9));
    let alone = {
        let mut block = cairn_stf::BlockExecutor::new(chain.env(), &chain.state);
        block.execute(&good).unwrap();
        block.finish()
    };
    let mut block = cairn_stf::BlockExecutor::new(chain.env(), &chain.state);
    assert!(block.execute(&bad).is_err());
    block.execute(&good).unwrap();
    assert!(block.execute(&bad).is_err());
    assert!(block.execute_if(&dropped, |_| false).unwrap().is_none());
    let with = block.finish();
    assert_eq!((with.hash, &with.changes), (alone.hash, &alone.changes));
}

#[test]
fn malleable_signatures_are_refused() {
    let mut chain = Chain::new(1);
    let tx = chain.transfer(0, OPERATOR, 1);
    let cairn_primitives::Transaction::Ethereum(alloy_consensus::EthereumTxEnvelope::Eip1559(t)) =
        tx.tx
    else {
        panic!()
    };
    let n = U256::from_str_radix(
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        16,
    )
    .unwrap();
    let s = t.signature();
    let twin = alloy_primitives::Signature::new(s.r(), n - s.s(), !s.v());
    let twin = alloy_consensus::Signed::new_unhashed(t.tx().clone(), twin);
    assert_eq!(RecoveredTx::signed(twin.into()), Err(TxError::InvalidSignature));
}

#[test]
fn pubdata_beyond_the_allowance_is_charged_and_must_be_covered() {
    let mut chain = Chain::new(1);
    let message = vec![0; 1_000];
    let to = cairn_primitives::address::L1_MESSENGER;
    let tx = chain.call(0, to, message.clone());
    let free = {
        let fees = std::mem::replace(&mut chain.fees.gas_per_pubdata, 0);
        let result = chain.try_tx(&tx).unwrap();
        chain.fees.gas_per_pubdata = fees;
        result
    };
    let charged = chain.try_tx(&tx).unwrap();
    assert!(charged.pubdata_bytes >= 1_092, "{}", charged.pubdata_bytes);
    assert_eq!(charged.pubdata_gas, (charged.pubdata_bytes - 128) * 50);
    assert_eq!(charged.gas_used, free.gas_used + charged.pubdata_gas);
    // One gas less than needed, and all is undone but the fee.
    let tight = chain.sign(
        0,
        TxEip1559 {
            gas_limit: charged.gas_used - 1,
            to: TxKind::Call(to),
            input: message.into(),
            ..base(&chain, 0)
        },
    );
    let out = chain.block(vec![tight]);
    let result = &out.results[0];
    assert!(matches!(result.failure, Some(Failure::PubdataOutOfGas { .. })), "{result:?}");
    assert_eq!(result.gas_used, charged.gas_used - 1);
    assert!(result.logs.is_empty() && result.l2_to_l1_logs.is_empty() && out.messages.is_empty());
    assert_eq!(out.changes.accounts.len(), 2, "sender and operator");
    chain.seal();
}

#[test]
fn a_creation_that_cannot_pay_its_pubdata_still_uses_its_nonce() {
    let mut chain = Chain::new(1);
    let tx = chain.sign(
        0,
        TxEip1559 {
            gas_limit: 110_000,
            to: TxKind::Create,
            input: init_code(&[0; 100]).into(),
            ..base(&chain, 0)
        },
    );
    chain.fees.gas_per_pubdata = 1_000;
    let out = chain.block(vec![tx]);
    assert!(matches!(out.results[0].failure, Some(Failure::PubdataOutOfGas { .. })));
    assert!(out.changes.codes.is_empty());
    assert_eq!(chain.state.accounts[&chain.signers[0].address()].nonce, 1);
    chain.seal();
}

#[test]
fn too_much_pubdata_fails_whatever_the_gas() {
    let mut chain = Chain::new(1);
    chain.fees.gas_per_pubdata = 1;
    let tx = chain.sign(
        0,
        TxEip1559 {
            gas_limit: TX_GAS_LIMIT,
            to: TxKind::Call(cairn_primitives::address::L1_MESSENGER),
            input: vec![0; 100_001].into(),
            ..base(&chain, 0)
        },
    );
    let result = chain.try_tx(&tx).unwrap();
    assert!(
        matches!(result.failure, Some(Failure::PubdataTooLarge { .. })),
        "{:?}",
        result.failure
    );
    assert_eq!(result.gas_used, TX_GAS_LIMIT);
}

#[test]
fn deposits_mint_refund_and_never_fail_to_enter() {
    let mut chain = Chain::new(1);
    let to = Address::repeat_byte(0x55);
    let refund = Address::repeat_byte(0x78);
    let ok = chain.priority(to, 1_000, 100_000, vec![]);
    let out = chain.block(vec![ok]);
    assert!(out.results[0].success());
    assert_eq!(out.results[0].gas_used, 21_000);
    assert_eq!(balance(&chain, to), 1_000);
    assert_eq!(balance(&chain, OPERATOR), 21_000 * 250);
    // Unused gas and the surplus that L1 minted.
    assert_eq!(balance(&chain, refund), 79_000 * 250 + 12_345);
    assert_eq!(balance(&chain, Address::repeat_byte(0x77)), 0);

    // A call that reverts gives the value back to the refund recipient.
    let before = balance(&chain, refund);
    let reverts = chain.priority(REVERT, 500, 100_000, vec![]);
    let hash = reverts.hash;
    let out = chain.block(vec![reverts]);
    let used = u128::from(out.results[0].gas_used);
    assert_eq!(out.results[0].failure, Some(Failure::Revert));
    assert_eq!(out.l2_to_l1_logs, [cairn_primitives::L2ToL1Log::priority_outcome(0, hash, false)]);
    assert_eq!(balance(&chain, refund) - before, 500 + (100_000 - used) * 250 + 12_345);
    assert_eq!(balance(&chain, REVERT), 0);

    // Too little gas: charged in full, the value comes back.
    let before = balance(&chain, refund);
    let poor = chain.priority(to, 9, 20_000, vec![]);
    let out = chain.block(vec![poor]);
    assert_eq!(out.results[0].failure, Some(Failure::Underpaid));
    assert_eq!(out.results[0].gas_used, 20_000);
    assert_eq!(balance(&chain, refund) - before, 9 + 12_345);
    assert_eq!(balance(&chain, to), 1_000);
    chain.seal();
}

#[test]
fn an_operation_may_spend_what_its_sender_has_and_no_more() {
    let mut chain = Chain::new(1);
    let (to, refund) = (Address::repeat_byte(0x55), Address::repeat_byte(0x78));
    let sender = Address::repeat_byte(0x77);
    let fund = chain.transfer(0, sender, 1_000);
    chain.block(vec![fund]);
    let spend = |chain: &mut Chain, to: Address, value: u128| {
        let RecoveredTx { tx: cairn_primitives::Transaction::Priority(mut op), .. } =
            chain.priority(to, value, 100_000, vec![])
        else {
            panic!()
        };
        op.to_mint = U256::from(100_000 * 250);
        op.hash = keccak256(op.to_canonical().abi_encode());
        let out = chain.block(vec![RecoveredTx::priority(op)]);
        let (failure, used) = (out.results[0].failure.clone(), out.results[0].gas_used);
        (failure, u128::from(used), balance(chain, refund), balance(chain, sender))
    };
    assert_eq!(spend(&mut chain, to, 400), (None, 21_000, 79_000 * 250, 600));
    // What a failed call was to spend stays the sender's; the refund recipient gets of the fee only.
    let (failure, used, back, left) = spend(&mut chain, REVERT, 600);
    assert_eq!((failure, left), (Some(Failure::Revert), 600));
    assert_eq!(back, (79_000 + 100_000 - used) * 250);
    let before = back;
    assert_eq!(spend(&mut chain, to, 601), (Some(Failure::Underpaid), 100_000, before, 600));
    assert_eq!(balance(&chain, to), 400);
    chain.seal();
}

#[test]
fn a_minted_amount_out_of_range_fails_but_does_not_stop_the_chain() {
    let mut chain = Chain::new(1);
    let mut op = match chain.priority(OPERATOR, 0, 50_000, vec![]).tx {
        cairn_primitives::Transaction::Priority(op) => op,
        _ => panic!(),
    };
    op.value = U256::from(1) << 200;
    op.to_mint = U256::from(1) << 201;
    op.hash = keccak256(op.to_canonical().abi_encode());
    // L1 cannot lock so much. What no balance can hold is lost, and the supply still counts it.
    chain.balances_hold_the_supply = false;
    let out = chain.block(vec![RecoveredTx::priority(op)]);
    assert_eq!(out.results[0].failure, Some(Failure::BalanceOverflow));
    let next = chain.transfer(0, OPERATOR, 1);
    chain.block(vec![next]);
    chain.seal();
}

#[test]
fn native_contracts_answer() {
    let mut chain = Chain::new(1);
    for _ in 0..3 {
        let tx = chain.transfer(0, OPERATOR, 1);
        chain.block(vec![tx]);
    }
    let who = chain.signers[0].address();
    let mut sim = Simulator::new(chain.env(), &chain.state, Default::default(), Default::default());
    let mut call = |to, data: Vec<u8>| {
        let request = CallRequest {
            to: TxKind::Call(to),
            gas_limit: 1_000_000,
            data: data.into(),
            ..Default::default()
        };
        sim.call(&request).unwrap()
    };
    let three = U256::from(3);
    assert_eq!(call(NONCE_HOLDER, getMinNonceCall { who }.abi_encode()).output, three.abi_encode());
    assert_eq!(
        call(NONCE_HOLDER, getDeploymentNonceCall { who }.abi_encode()).output,
        three.abi_encode()
    );
    let raw: U256 = (three << 128) | three;
    assert_eq!(call(NONCE_HOLDER, getRawNonceCall { who }.abi_encode()).output, raw.abi_encode());
    assert_eq!(call(NONCE_HOLDER, vec![1, 2, 3, 4]).failure, Some(Failure::Revert));
    // EIP-2935: block 2 is known, the block being built is not.
    let known = call(HISTORY_STORAGE, U256::from(2).abi_encode());
    assert_eq!(known.output, chain.state.headers[2].hash().to_vec());
    assert_eq!(call(HISTORY_STORAGE, U256::from(4).abi_encode()).failure, Some(Failure::Revert));
    assert_eq!(call(HISTORY_STORAGE, vec![0; 31]).failure, Some(Failure::Revert));
    // P256VERIFY is there (EIP-7951): malformed input gives empty output, not a revert.
    let p256 = Address::with_last_byte(0).into_word() | B256::from(U256::from(0x100));
    assert_eq!(call(Address::from_word(p256), vec![0; 160]).failure, None);
}

#[test]
fn estimates_are_enough_and_not_far_above() {
    let mut chain = Chain::new(2);
    let from = chain.signers[0].address();
    let requests = [
        (TxKind::Call(Address::repeat_byte(9)), Bytes::new(), U256::from(5)),
        (TxKind::Call(STORE), store_data(77, 1).into(), U256::ZERO),
        (TxKind::Call(cairn_primitives::address::L1_MESSENGER), vec![1; 500].into(), U256::ZERO),
        (TxKind::Create, init_code(&[1, 2, 3]).into(), U256::ZERO),
    ];
    for (to, data, value) in requests {
        let request = CallRequest { from, to, data: data.clone(), value, ..Default::default() };
        let mut sim =
            Simulator::new(chain.env(), &chain.state, Default::default(), Default::default());
        let estimate = sim.estimate_gas(&request, 50_000_000).unwrap();
        let nonce = chain.nonce(0);
        let tx = TxEip1559 { to, input: data, value, gas_limit: estimate, ..base(&chain, nonce) };
        let tx = chain.sign(0, tx);
        let out = chain.block(vec![tx]);
        let result = &out.results[0];
        assert!(result.success(), "{to:?} with {estimate}: {result:?}");
        assert!(
            estimate <= result.gas_used + result.gas_used / 20 + 2_300,
            "{to:?}: {estimate} for {}",
            result.gas_used
        );
    }
    let mut sim = Simulator::new(chain.env(), &chain.state, Default::default(), Default::default());
    let reverts = CallRequest { from, to: TxKind::Call(REVERT), ..Default::default() };
    assert!(matches!(sim.estimate_gas(&reverts, 1 << 24), Err(EstimateError::Revert(_))));
}

#[test]
fn overrides_pretend_state() {
    let chain = Chain::new(1);
    let who = Address::repeat_byte(0x99);
    let code = cairn_stf::revm::bytecode::Bytecode::new_raw(Bytes::from_static(
        &alloy_primitives::hex!("5f545f5260205ff3"),
    ));
    let mut overrides = cairn_stf::StateOverrides::default();
    let account = cairn_stf::AccountOverride {
        balance: Some(U256::from(5)),
        code: Some(code),
        state_diff: Some([(U256::ZERO, U256::from(42))].into_iter().collect()),
        ..Default::default()
    };
    overrides.insert(who, account);
    let mut sim = Simulator::new(chain.env(), &chain.state, overrides, Default::default());
    let request = CallRequest { to: TxKind::Call(who), gas_limit: 100_000, ..Default::default() };
    assert_eq!(sim.call(&request).unwrap().output, U256::from(42).abi_encode());
}

#[test]
fn a_block_can_be_replayed_under_an_inspector() {
    use revm_inspectors::tracing::{TracingInspector, TracingInspectorConfig};
    let mut chain = Chain::new(1);
    let tx = chain.call(0, REVERT, vec![]);
    let inspector = TracingInspector::new(TracingInspectorConfig::default_geth());
    let mut block = cairn_stf::BlockExecutor::with_inspector(chain.env(), &chain.state, inspector);
    let traced = block.execute_inspected(&tx).unwrap().clone();
    let steps = block.inspector_mut().traces().nodes()[0].trace.steps.len();
    assert!(steps > 3, "{steps}");
    assert_eq!(traced, chain.try_tx(&tx).unwrap());
}

#[test]
fn genesis_is_deterministic_and_refuses_orphan_storage() {
    let mut config = genesis_accounts(3);
    let a = config.build().unwrap();
    assert_eq!(a, config.build().unwrap());
    let json = serde_json::to_string(&config).unwrap();
    let back: cairn_stf::genesis::GenesisConfig = serde_json::from_str(&json).unwrap();
    assert_eq!(back.build().unwrap().update.root, a.update.root);
    let account = config.accounts.entry(Address::repeat_byte(0xdd)).or_default();
    account.storage.insert(U256::ONE, U256::ONE);
    assert!(config.build().is_err());
}

#[test]
fn native_contracts_look_at_no_more_than_they_need() {
    let mut chain = Chain::new(1);
    chain.block(vec![]);
    let mut nonce = getRawNonceCall { who: chain.signers[0].address() }.abi_encode();
    // Solidity's decoder ignores what follows the arguments; EIP-2935 takes exactly a word.
    nonce.resize(100_000, 7);
    let tx = gas_call(&mut chain, NONCE_HOLDER, nonce, 5_000_000);
    assert_eq!(chain.try_tx(&tx).unwrap().failure, None);
    let mut number = U256::from(1).abi_encode();
    chain.block(vec![]);
    chain.nonces.clear();
    let tx = gas_call(&mut chain, HISTORY_STORAGE, number.clone(), 5_000_000);
    assert_eq!(chain.try_tx(&tx).unwrap().failure, None);
    number.resize(100_000, 0);
    chain.nonces.clear();
    let tx = gas_call(&mut chain, HISTORY_STORAGE, number, 5_000_000);
    assert_eq!(chain.try_tx(&tx).unwrap().failure, Some(Failure::Revert));
}

fn gas_call(chain: &mut Chain, to: Address, data: Vec<u8>, gas_limit: u64) -> RecoveredTx {
    let nonce = chain.nonce(0);
    let tx = base(chain, nonce);
    chain.sign(0, TxEip1559 { gas_limit, to: TxKind::Call(to), input: data.into(), ..tx })
}

/// Input of blake2f with so many rounds.
fn blake2f(rounds: u32) -> Vec<u8> {
    let mut input = rounds.to_be_bytes().to_vec();
    input.resize(213, 0);
    input
}

#[test]
fn precompiles_are_metered_for_the_prover() {
    let mut chain = Chain::new(1);
    let precompile = Address::with_last_byte(9);
    let tx = gas_call(&mut chain, precompile, blake2f(1_000), 100_000);
    let result = chain.try_tx(&tx).unwrap();
    assert_eq!((result.failure, result.work.gas, result.work.exhausted), (None, 1_000, false));
    assert!(result.work.cycles >= 1_000 * 500, "{:?}", result.work);
    let mut usage = cairn_stf::BatchUsage::default();
    usage.add_tx(&chain.try_tx(&tx).unwrap());
    assert!(usage.cycles >= result.work.cycles && usage.worst_cycles >= usage.cycles);
}

#[test]
fn what_no_proof_has_room_for_is_not_executed_and_fails_charged_in_full() {
    let mut chain = Chain::new(1);
    // Sixteen million rounds for sixteen million gas: cheap on Ethereum, days of proving.
    let gas_limit = TX_GAS_LIMIT;
    let tx = gas_call(&mut chain, Address::with_last_byte(9), blake2f(16_000_000), gas_limit);
    let started = std::time::Instant::now();
    let out = chain.block(vec![tx]).results[0].clone();
    assert!(started.elapsed().as_secs() < 5, "the rounds were not run");
    assert_eq!(out.failure, Some(Failure::ProofTooLong));
    assert_eq!(out.gas_used, gas_limit);
    // A contract cannot hide it: what it does after the refusal is undone.
    let sealed = chain.seal();
    assert_eq!(cairn_stf::prove_batch(&sealed.witness).unwrap(), sealed.public_input().hash());
}

#[test]
fn loaded_code_counts_once_a_block() {
    let mut chain = Chain::new(1);
    let (a, b) = (chain.call(0, STORE, vec![0; 64]), chain.call(0, STORE, vec![0; 64]));
    let out = chain.block(vec![a, b]);
    assert_eq!(out.results[0].code_bytes, STORE_CODE.len() as u64);
    assert_eq!(out.results[1].code_bytes, 0);
}

#[test]
fn withdrawn_base_tokens_leave_the_supply() {
    let mut chain = Chain::new(1);
    let before = total(&chain);
    let tx = chain.transfer(0, BASE_TOKEN, 5_000);
    let out = chain.block(vec![tx]);
    assert!(out.results[0].success(), "{:?}", out.results[0].failure);
    assert_eq!(balance(&chain, BASE_TOKEN), 0);
    assert_eq!(total(&chain), before - 5_000, "fees stay, the withdrawn amount is gone");
    // What fees leave there does not make the next block differ from its stateless execution.
    let deposit = chain.priority(BASE_TOKEN, 7_000, 100_000, vec![]);
    chain.block(vec![deposit]);
    let (a, b) = (chain.transfer(0, Address::repeat_byte(9), 1), chain.transfer(0, BASE_TOKEN, 1));
    chain.block(vec![a]);
    chain.block(vec![b]);
    assert_eq!(balance(&chain, BASE_TOKEN), 0);
    let supply = chain.state.slots[&(BASE_TOKEN, cairn_stf::life::supply::SUPPLY_SLOT)];
    assert_eq!(supply, U256::from(total(&chain)));
    assert!(total(&chain) > before, "the deposit's fee stays, its value was burned");
    let sealed = chain.seal();
    assert_eq!(cairn_stf::prove_batch(&sealed.witness).unwrap(), sealed.public_input().hash());
}
