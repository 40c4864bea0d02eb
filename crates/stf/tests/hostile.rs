//! Contracts that spend, recurse, expand, burn and shout as much as their gas lets them, through the whole: blocks, a batch, its stateless execution and
//! the guest program in the VM. All agree on every byte, and those who only share the batch are not harmed.

mod common;

use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, TxKind, U256, hex};
use cairn_stf::{Failure, RecoveredTx, SealedBatch, TxResult, execute_batch, prove_batch};
use cairn_vm::{CycleMeter, Input, ProgramImage, execute};
use common::*;

/// Calls itself with all that it has; what it returns is how deep it came. `CALL(gas, this, 0, 0, 0, 0, 32); return mload(0) + 1`.
const RECURSE: &[u8] = &hex!("6020 5f 5f 5f 5f 30 5a f1 50 5f 51 6001 01 5f 52 6020 5f f3");
/// Calls the address in calldata with all gas and stores the first word of what comes back. `CALL(gas, calldata[0], 0, 0, 0, 0, 32); sstore(0, mload(0))`.
const STORE_ANSWER: &[u8] = &hex!("6020 5f 5f 5f 5f 5f 35 5a f1 50 5f 51 5f 55 00");
/// `mstore(0xf0000, 0)`: nearly all of two million gas for a megabyte of memory.
const EXPAND: &[u8] = &hex!("5f 620f0000 52 00");
/// All gas at once.
const INVALID: &[u8] = &hex!("fe");
/// `for (;;) {}`
const SPIN: &[u8] = &hex!("5b 5f 56");
/// `revert(0, 0xf0000)`
const REVERT_A_MEGABYTE: &[u8] = &hex!("620f0000 5f fd");
/// Calls the address in calldata, copies whatever comes back, and reverts with it.
const BOUNCE: &[u8] = &hex!("5f 5f 5f 5f 5f 5f 35 5a f1 50 3d 5f 5f 3e 3d 5f fd");
/// Three thousand empty logs.
const SHOUT: &[u8] = &hex!("610bb8 5b 5f 5f a0 6001 90 03 80 6003 57 00");
/// A hundred empty messages to L1.
const MESSAGES: &[u8] = &hex!("6064 5b 5f 5f 5f 5f 5f 618008 5a f1 50 6001 90 03 80 6002 57 00");
/// Fifty slots: `for (i = 50; i > 0; i--) sstore(i, gas())`.
const FILL: &[u8] = &hex!("6032 5b 5a 81 55 6001 90 03 80 6002 57 00");
/// Sixty contracts in one transaction, each with 1 wei, each of which destroys itself in its init code in favour of the one before, which is destroyed already.
/// `for (i = 60, last = 0; i > 0; i--) last = create(1, PUSH20 last SELFDESTRUCT)`.
const DESTROY: &[u8] = &hex!(
    "603c 5f 5b 80 6058 1b 6073 60f8 1b 17 60ff 6050 1b 17 5f 52 50 6016 5f 6001 f0 90 6001 90 03 90 81 6003 57 00"
);
/// `return(0, 24577)`: a byte more than code may have.
const TOO_LARGE: &[u8] = &hex!("616001 5f f3");

const MILLION: u64 = 1_000_000;
/// Most gas of a transaction (EIP-7825).
const MOST_GAS: u64 = 1 << 24;

struct Hostile {
    chain: Chain,
    results: Vec<TxResult>,
}

impl Hostile {
    fn deploy(&mut self, runtime: &[u8]) -> Address {
        let at = self.chain.signers[0].address().create(self.nonce(0));
        let tx = self.chain.tx(0, TxKind::Create, 0, init_code(runtime));
        assert!(self.chain.block(vec![tx]).results[0].success());
        at
    }

    fn nonce(&self, who: usize) -> u64 {
        let known = self.chain.nonces.get(&self.chain.signers[who].address());
        known.copied().unwrap_or_default()
    }

    fn tx(&mut self, to: TxKind, gas_limit: u64, value: u128, input: Vec<u8>) -> RecoveredTx {
        let nonce = self.chain.nonce(1);
        let tx = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit,
            max_fee_per_gas: 1_000,
            max_priority_fee_per_gas: 0,
            to,
            value: U256::from(value),
            access_list: Default::default(),
            input: input.into(),
        };
        self.chain.sign(1, tx)
    }

    /// A block of one hostile transaction between two plain payments, which go through.
    fn among_others(&mut self, hostile: RecoveredTx) -> &TxResult {
        let friend = Address::repeat_byte(0x66);
        let before = self.chain.transfer(2, friend, 1);
        let after = self.chain.transfer(3, friend, 1);
        let results = &self.chain.block(vec![before, hostile, after]).results;
        assert!(results[0].success() && results[2].success());
        assert_eq!((results[0].gas_used, results[2].gas_used), (21_000, 21_000));
        self.results.push(results[1].clone());
        self.results.last().unwrap()
    }

    fn call(&mut self, to: Address, gas: u64, input: Vec<u8>) -> &TxResult {
        let tx = self.tx(TxKind::Call(to), gas, 0, input);
        self.among_others(tx)
    }
}

fn word(address: Address) -> Vec<u8> {
    address.into_word().to_vec()
}

/// All gas is gone.
fn burnt(result: &TxResult, gas: u64) {
    assert!(!result.success() && result.gas_used == gas, "{result:?}");
}

fn batch() -> (SealedBatch, Vec<TxResult>) {
    let mut h = Hostile { chain: Chain::new(4), results: Vec::new() };
    // What is destroyed with wei that was sent to the destroyed is gone for good, as on Ethereum.
    h.chain.balances_hold_the_supply = false;
    let [recurse, store, expand, invalid, spin] =
        [RECURSE, STORE_ANSWER, EXPAND, INVALID, SPIN].map(|code| h.deploy(code));
    let [revert, bounce, shout, messages, fill, destroy] =
        [REVERT_A_MEGABYTE, BOUNCE, SHOUT, MESSAGES, FILL, DESTROY].map(|code| h.deploy(code));
    h.chain.seal();

    // A call keeps a 64th of its gas (EIP-150), so the most gas that a transaction has ends before depth 1,024 does.
    assert!(h.call(store, MOST_GAS, word(recurse)).success());
    let depth = h.chain.state.slots[&(store, U256::ZERO)];
    assert!(depth > U256::from(300) && depth < U256::from(1_024), "{depth}");
    assert!(h.call(expand, 2 * MILLION, vec![]).success());
    burnt(h.call(expand, 2 * MILLION - 50_000, vec![]), 2 * MILLION - 50_000);
    burnt(h.call(invalid, MOST_GAS, vec![]), MOST_GAS);
    burnt(h.call(spin, MILLION, vec![]), MILLION);
    let result = h.call(revert, 2 * MILLION, vec![]);
    assert!(matches!(result.failure, Some(Failure::Revert)), "{result:?}");
    assert_eq!(result.output.len(), 0xf0000);
    let result = h.call(bounce, 5 * MILLION, word(revert));
    assert!(matches!(result.failure, Some(Failure::Revert)), "{result:?}");
    assert_eq!(result.output.len(), 0xf0000);
    assert_eq!(h.call(shout, 2 * MILLION, vec![]).logs.len(), 3_000);
    let result = h.call(messages, 3 * MILLION, vec![]);
    assert_eq!((result.success(), result.messages.len()), (true, 100));
    assert!(h.call(fill, 2 * MILLION, vec![]).success());
    let tx = h.tx(TxKind::Call(destroy), 4 * MILLION, 60, vec![]);
    assert!(h.among_others(tx).success());
    let tx = h.tx(TxKind::Create, 2 * MILLION, 0, TOO_LARGE.to_vec());
    burnt(h.among_others(tx), 2 * MILLION);
    // From L1, where nobody can refuse them.
    for (to, gas) in [(invalid, 15 * MILLION), (spin, MILLION)] {
        let deposit = h.chain.priority(to, 7, gas, vec![]);
        assert!(!h.among_others(deposit).success());
    }
    (h.chain.seal(), h.results)
}

#[test]
fn native_stateless_and_guest_agree_on_hostile_contracts() {
    let (sealed, results) = batch();
    assert_eq!(results.len(), 14);
    let again = execute_batch(&sealed.witness).unwrap();
    assert_eq!(again, sealed.result);
    let claim = sealed.public_input().hash();
    assert_eq!(prove_batch(&sealed.witness).unwrap(), claim);
    // The messages, and what became of two deposits.
    assert_eq!(sealed.result.logs.len(), 102);

    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest/elf/batch.elf.zst");
    let program = zstd::decode_all(&std::fs::read(program).unwrap()[..]).unwrap();
    let program = ProgramImage::from_elf(&program).unwrap();
    let input = Input::from_bytes(&sealed.witness).unwrap();
    // What a batch of this gas is allowed.
    let run = execute(&program, &input, &mut CycleMeter::new(1 << 20), 1 << 33).unwrap();
    assert_eq!((run.exit_code, run.public_input()), (0, Some(claim.0)));
    let gas: u64 = results.iter().map(|r| r.gas_used).sum();
    println!("{} cycles, {gas} gas, witness {} bytes", run.cycles, sealed.witness.len());
    assert!(run.cycles < gas * cairn_stf::work::MAX_CYCLES_PER_GAS, "{} cycles", run.cycles);
}
