//! Account abstraction: the order of the steps, who pays, what is refused and in which words; and that no account or paymaster gains by mischief.
//! Every block goes into a batch that is executed again from its witness alone.

mod common;

use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use alloy_signer::SignerSync;
use alloy_sol_types::{SolCall, SolError, SolValue, sol};
use cairn_primitives::{Eip712Tx, Transaction, address::NONCE_HOLDER, eip712::PaymasterParams};
use cairn_stf::{
    BlockExecutor, CallRequest, ExecError, Failure, RecoveredTx, Simulator, TxError, TxResult,
    life::aa::{AaError, MAX_VALIDATION_GAS, Reason, Step, nonce::UNORDERED},
    prove_batch,
    simulate::AccountRequest,
};
use common::*;
use proptest::prelude::*;

sol! {
    function set(uint8 step, uint8 deed, uint256 argument);
    function store(uint256 slot, uint256 value);
    function mint(address to, uint256 amount) returns (bool);
    function balanceOf(address who) returns (uint256);
    function setRate(address token, uint256 unitsPerEther);
    function general(bytes input);
    function approvalBased(address token, uint256 minAllowance, bytes innerInput);
    function isNonceUsed(address account, uint256 nonce) returns (bool);
    function getMinNonce(address account) returns (uint256);
    function increaseMinNonce(uint256 value);
    function incrementMinNonceIfEquals(uint256 expected);
    function setValueUnderNonce(uint256 key, uint256 value);
    error PaymasterEmpty(uint256 balance, uint256 fee);
    error AllowanceTooLow(uint256 allowance, uint256 needed);
    error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed);
    function openSession(address key, address asset, uint128 limit, uint128 feeLimit, uint64 validUntil);
}

const DEAD: Address = Address::with_last_byte(0xd1);

// The enums of MischiefAccount.
const VALIDATE: u8 = 0;
const PAY: u8 = 1;
const PREPARE: u8 = 2;
const PAYMASTER: u8 = 3;
const EXECUTE: u8 = 4;
const POST: u8 = 5;
const BEHAVE: u8 = 0;
const REVERTS: u8 = 1;
const LOOPS: u8 = 2;
const WRONG_MAGIC: u8 = 3;
const KEEP_NONCE: u8 = 4;
const UNDERPAY: u8 = 5;
const WRITE_SLOTS: u8 = 6;
const DRAIN: u8 = 9;
const SWITCH: u8 = 10;
const UNORDERED_NONCE: u8 = 11;
const LONG_ANSWER: u8 = 12;
const MESSAGE: u8 = 13;
const DEPLOY: u8 = 14;
const OVERPAY: u8 = 15;

fn init_code_of(name: &str) -> Bytes {
    let path = format!("{}/../../contracts/artifacts/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let artifact: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    artifact["bytecode"].as_str().unwrap().parse().unwrap()
}

/// `args` is the constructor's arguments, encoded.
fn deploy(chain: &mut Chain, name: &str, args: Vec<u8>) -> Address {
    let mut data = init_code_of(name).to_vec();
    data.extend(args);
    let nonce = chain.nonce(0);
    let tx = alloy_consensus::TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 12_000_000,
        max_fee_per_gas: 1_000,
        max_priority_fee_per_gas: 0,
        to: TxKind::Create,
        value: U256::ZERO,
        access_list: Default::default(),
        input: data.into(),
    };
    let tx = chain.sign(0, tx);
    let out = chain.block(vec![tx]);
    assert_eq!(out.results[0].failure, None, "{name}");
    out.results[0].contract_address.unwrap()
}

fn aa(from: Address, to: Address) -> Eip712Tx {
    Eip712Tx {
        chain_id: CHAIN_ID,
        from,
        to: Some(to),
        nonce: 0,
        gas_limit: 1_000_000,
        gas_per_pubdata: 50_000,
        max_fee_per_gas: 130,
        max_priority_fee_per_gas: 130,
        value: U256::from(7),
        data: Bytes::new(),
        paymaster: None,
        signature: Bytes::from_static(&[1; 65]),
    }
}

fn ready(tx: Eip712Tx) -> RecoveredTx {
    let raw = tx.encode();
    let out = RecoveredTx::decode(&raw).unwrap();
    assert_eq!((out.hash, out.sender), (tx.hash(), tx.from));
    assert_eq!(out.encode(), raw);
    out
}

fn sign(chain: &Chain, who: usize, mut tx: Eip712Tx) -> RecoveredTx {
    let signature = chain.signers[who].sign_hash_sync(&tx.signing_hash()).unwrap();
    tx.signature = signature.as_bytes().to_vec().into();
    ready(tx)
}

fn nonce_of(chain: &Chain, who: Address) -> u64 {
    chain.state.accounts.get(&who).map_or(0, |a| a.nonce)
}

fn balance(chain: &Chain, who: Address) -> u128 {
    chain.state.accounts.get(&who).map_or(0, |a| a.balance)
}

fn total(chain: &Chain) -> u128 {
    chain.state.accounts.values().map(|a| a.balance).sum()
}

fn fund(chain: &mut Chain, who: Address, value: u128) {
    let tx = chain.transfer(0, who, value);
    chain.block(vec![tx]);
}

fn call(chain: &mut Chain, to: Address, data: Vec<u8>) {
    let tx = chain.call(0, to, data);
    let out = chain.block(vec![tx]);
    assert_eq!(out.results[0].failure, None);
}

fn plan(chain: &mut Chain, at: Address, step: u8, deed: u8, argument: u64) {
    let argument = U256::from(argument);
    call(chain, at, setCall { step, deed, argument }.abi_encode());
}

/// Includes a transaction; its block, and all before it, is proven.
fn include(chain: &mut Chain, tx: RecoveredTx) -> TxResult {
    let before = total(chain);
    let result = chain.block(vec![tx]).results[0].clone();
    assert_eq!(total(chain), before, "no wei is made or lost");
    let sealed = chain.seal();
    assert_eq!(prove_batch(&sealed.witness).unwrap(), sealed.public_input().hash());
    result
}

/// The transaction must be invalid, and the block as if it had never been tried.
fn refused(chain: &Chain, tx: &RecoveredTx) -> TxError {
    let mut block = BlockExecutor::new(chain.env(), &chain.state);
    let error = match block.execute(tx) {
        Err(ExecError::Invalid(e)) => e,
        other => panic!("expected an invalid transaction, got {other:?}"),
    };
    assert!(block.finish().changes.is_empty(), "no trace");
    error
}

fn aa_refused(chain: &Chain, tx: &RecoveredTx) -> AaError {
    match refused(chain, tx) {
        TxError::Account(e) => e,
        other => panic!("expected a refusal by the account, got {other:?}"),
    }
}

fn read_token(chain: &Chain, token: Address, who: Address) -> u128 {
    let mut simulator =
        Simulator::new(chain.env(), &chain.state, Default::default(), Default::default());
    let request = CallRequest {
        to: TxKind::Call(token),
        gas_limit: 1_000_000,
        data: balanceOfCall { who }.abi_encode().into(),
        ..Default::default()
    };
    let out = simulator.call(&request).unwrap().output;
    U256::abi_decode(&out).unwrap().to()
}

fn mischief(chain: &mut Chain) -> Address {
    let at = deploy(chain, "MischiefAccount", Vec::new());
    fund(chain, at, ETHER);
    at
}

#[test]
fn a_plain_account_transfers_as_by_an_ordinary_transaction() {
    let mut chain = Chain::new(2);
    let from = chain.signers[1].address();
    let tx = sign(&chain, 1, aa(from, DEAD));
    let result = include(&mut chain, tx.clone());
    // Base fee only: the tip that clients encode is not charged.
    assert_eq!((result.gas_used, result.effective_gas_price), (21_000, 100));
    assert_eq!(balance(&chain, DEAD), 7);
    assert_eq!(balance(&chain, from), 100 * ETHER - 7 - 2_100_000);
    assert_eq!(balance(&chain, OPERATOR), 2_100_000);
    assert_eq!(nonce_of(&chain, from), 1);
    assert!(matches!(refused(&chain, &tx), TxError::NonceTooLow { .. }), "no replay");
}

#[test]
fn a_plain_account_deploys() {
    let mut chain = Chain::new(2);
    let from = chain.signers[1].address();
    let data = init_code(&[0x00]).into();
    let tx = Eip712Tx { to: None, value: U256::ZERO, data, ..aa(from, DEAD) };
    let tx = sign(&chain, 1, tx);
    let result = include(&mut chain, tx);
    assert_eq!(result.contract_address, Some(from.create(0)));
}

#[test]
fn signatures_of_plain_accounts() {
    let chain = Chain::new(2);
    let from = chain.signers[1].address();
    let good = sign(&chain, 1, aa(from, DEAD));
    let Transaction::Eip712(tx) = &good.tx else { unreachable!() };
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut signature = tx.signature.to_vec();
        change(&mut signature);
        let tx = ready(Eip712Tx { signature: signature.into(), ..(**tx).clone() });
        let error = aa_refused(&chain, &tx);
        assert_eq!((error.step, error.account), (Step::Signature, from));
        error.to_string()
    };
    let n = U256::from_be_bytes(
        alloy_primitives::b256!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
            .0,
    );
    let malleable = with(&|s| {
        let high = n - U256::from_be_slice(&s[32..64]);
        s[32..64].copy_from_slice(&high.to_be_bytes::<32>());
        s[64] = 27 + (28 - s[64]);
    });
    assert!(malleable.contains("upper half"), "{malleable}");
    assert!(with(&|s| s[64] -= 27).contains("27 nor 28"));
    assert!(with(&|s| s.truncate(64)).contains("65 bytes"));
    assert!(with(&|s| s.push(0)).contains("65 bytes"));
    assert!(with(&|s| s[3] ^= 1).starts_with("account validation failed: signature of 0x"));
    let other_key = sign(&chain, 0, aa(from, DEAD));
    assert!(aa_refused(&chain, &other_key).to_string().contains("another key"));
    let other_chain = sign(&chain, 1, Eip712Tx { chain_id: 1, ..aa(from, DEAD) });
    assert!(matches!(refused(&chain, &other_chain), TxError::ChainId { have: 1, want: CHAIN_ID }));
    let cheap = sign(&chain, 1, Eip712Tx { gas_per_pubdata: 49, ..aa(from, DEAD) });
    assert!(matches!(refused(&chain, &cheap), TxError::GasPerPubdataTooLow { have: 49, want: 50 }));
    let tip = sign(&chain, 1, Eip712Tx { max_priority_fee_per_gas: 131, ..aa(from, DEAD) });
    assert!(matches!(refused(&chain, &tip), TxError::TipAboveFeeCap { .. }));
}

#[test]
fn a_delegated_account_stays_a_plain_one() {
    let mut chain = Chain::new(2);
    let from = chain.signers[1].address();
    let tx = chain.delegate(0, 1, STORE);
    chain.block(vec![tx]);
    let tx = sign(&chain, 1, Eip712Tx { nonce: 1, ..aa(from, DEAD) });
    assert_eq!(include(&mut chain, tx).failure, None);
    assert_eq!(balance(&chain, DEAD), 7);
}

/// Its own paymaster gives its ether away after its balance was checked, so that no frame of a creation begins: the nonce is used all the same.
#[test]
fn a_creation_that_cannot_begin_uses_its_nonce() {
    let mut chain = Chain::new(2);
    let from = chain.signers[1].address();
    // Pays 130,000,000 wei to the bootloader and, when that calls, all else to `DEAD`; answers with the magic and an empty context.
    let code = hex!(
        "5f5f5f5f6307bfa4806180015af1505f5f5f5f3361800114470260d15af15063038a24bc60e01b5f52604060205260605ff3"
    );
    let tx = chain.tx(0, TxKind::Create, 0, init_code(&code));
    let giver = chain.block(vec![tx]).results[0].contract_address.unwrap();
    let tx = chain.delegate(0, 1, giver);
    chain.block(vec![tx]);
    let data = Bytes::from_static(&hex!("5f5ff3"));
    let value = U256::from(ETHER);
    let tx = Eip712Tx { nonce: 1, to: None, data, value, ..sponsored(aa(from, DEAD), from) };
    let tx = sign(&chain, 1, tx);
    let result = include(&mut chain, tx.clone());
    assert!(result.failure.is_some());
    assert_eq!(nonce_of(&chain, from), 2);
    assert!(matches!(refused(&chain, &tx), TxError::NonceTooLow { .. }));
}

#[test]
fn two_of_three_owners_move_an_account() {
    let mut chain = Chain::new(4);
    let owners: [Address; 3] = std::array::from_fn(|i| chain.signers[i + 1].address());
    let account = deploy(&mut chain, "MultisigAccount", owners.abi_encode());
    fund(&mut chain, account, ETHER);
    let tx = Eip712Tx { nonce: 1, ..aa(account, DEAD) };
    let digest = tx.signing_hash();
    let by = |who: [usize; 2]| {
        let signature: Vec<u8> = who
            .iter()
            .flat_map(|i| chain.signers[*i].sign_hash_sync(&digest).unwrap().as_bytes())
            .collect();
        ready(Eip712Tx { signature: signature.into(), ..tx.clone() })
    };
    for wrong in [[1, 1], [0, 1], [2, 0]] {
        let error = aa_refused(&chain, &by(wrong));
        assert_eq!(error.step, Step::ValidateTransaction);
        assert!(matches!(error.reason, Reason::Magic(_)));
    }
    let good = by([3, 1]);
    let before = balance(&chain, account);
    let result = include(&mut chain, good.clone());
    assert_eq!(result.failure, None);
    assert_eq!(balance(&chain, DEAD), 7);
    assert_eq!(balance(&chain, account), before - 7 - u128::from(result.gas_used) * 100);
    assert_eq!(nonce_of(&chain, account), 2);
    assert!(matches!(refused(&chain, &good), TxError::NonceTooLow { .. }), "no replay");
    println!("multisig transfer: {} gas", result.gas_used);
}

#[test]
fn session_keys_spend_within_their_limits() {
    let mut chain = Chain::new(4);
    let (owner, key) = (chain.signers[1].address(), chain.signers[2].address());
    let account = deploy(&mut chain, "SessionKeyAccount", owner.abi_encode());
    fund(&mut chain, account, ETHER);
    let open = openSessionCall {
        key,
        asset: Address::ZERO,
        limit: 10,
        feeLimit: 260_000_000,
        validUntil: 1_000_000,
    };
    let tx = Eip712Tx {
        nonce: 1,
        value: U256::ZERO,
        data: open.abi_encode().into(),
        ..aa(account, account)
    };
    let tx = sign(&chain, 1, tx);
    assert_eq!(include(&mut chain, tx).failure, None);
    let spend =
        |nonce, value: u64| Eip712Tx { nonce, value: U256::from(value), ..aa(account, DEAD) };
    let tx = sign(&chain, 2, spend(2, 8));
    assert_eq!(include(&mut chain, tx).failure, None);
    assert_eq!(balance(&chain, DEAD), 8);
    // Beyond the limit; beyond it in fees; another call; a stranger.
    let over = sign(&chain, 2, spend(3, 3));
    assert!(matches!(aa_refused(&chain, &over).reason, Reason::Revert(_)));
    let fees = sign(&chain, 2, Eip712Tx { gas_limit: 1_000_001, ..spend(3, 1) });
    assert!(matches!(aa_refused(&chain, &fees).reason, Reason::Revert(_)));
    let data = sign(&chain, 2, Eip712Tx { data: Bytes::from_static(&[1]), ..spend(3, 1) });
    assert!(matches!(aa_refused(&chain, &data).reason, Reason::Revert(_)));
    let stranger = sign(&chain, 3, spend(3, 1));
    assert!(matches!(aa_refused(&chain, &stranger).reason, Reason::Magic(_)));
    let owner = sign(&chain, 1, spend(3, 100));
    assert_eq!(include(&mut chain, owner).failure, None);
}

fn sponsored(tx: Eip712Tx, paymaster: Address) -> Eip712Tx {
    let input = generalCall { input: Bytes::new() }.abi_encode().into();
    Eip712Tx { paymaster: Some(PaymasterParams { paymaster, input }), ..tx }
}

#[test]
fn a_sponsor_pays_for_one_who_has_nothing() {
    let mut chain = Chain::new(2);
    let owner = chain.signers[0].address();
    let paymaster =
        deploy(&mut chain, "SponsorPaymaster", (owner, U256::from(ETHER)).abi_encode_params());
    fund(&mut chain, paymaster, ETHER);
    let poor = signer(77);
    let from = poor.address();
    let mut tx = sponsored(Eip712Tx { value: U256::ZERO, ..aa(from, DEAD) }, paymaster);
    tx.signature = poor.sign_hash_sync(&tx.signing_hash()).unwrap().as_bytes().to_vec().into();
    let result = include(&mut chain, ready(tx.clone()));
    assert_eq!(result.failure, None);
    assert_eq!((balance(&chain, from), nonce_of(&chain, from)), (0, 1));
    assert_eq!(balance(&chain, paymaster), ETHER - u128::from(result.gas_used) * 100);
    println!("sponsored transfer: {} gas", result.gas_used);
    // Without the sponsor's money, or in another flow, it is invalid and says why.
    let nonce = 1;
    let mut other = Eip712Tx { nonce, ..tx.clone() };
    other.paymaster.as_mut().unwrap().input = Bytes::from_static(&[1, 2, 3, 4]);
    other.signature =
        poor.sign_hash_sync(&other.signing_hash()).unwrap().as_bytes().to_vec().into();
    assert_eq!(aa_refused(&chain, &ready(other)).reason, Reason::Flow);
    let mut dear = Eip712Tx { nonce, max_fee_per_gas: ETHER, ..tx };
    dear.signature = poor.sign_hash_sync(&dear.signing_hash()).unwrap().as_bytes().to_vec().into();
    let error = aa_refused(&chain, &ready(dear));
    assert_eq!((error.step, error.account), (Step::ValidateAndPay, paymaster));
    assert!(error.to_string().starts_with("paymaster validation failed: "));
    // A sponsor without money says how much it has, and how much the fee is.
    let empty =
        deploy(&mut chain, "SponsorPaymaster", (owner, U256::from(ETHER)).abi_encode_params());
    let mut tx = sponsored(Eip712Tx { nonce, value: U256::ZERO, ..aa(from, DEAD) }, empty);
    tx.signature = poor.sign_hash_sync(&tx.signing_hash()).unwrap().as_bytes().to_vec().into();
    let error = aa_refused(&chain, &ready(tx));
    let says = PaymasterEmpty { balance: U256::ZERO, fee: U256::from(130_000_000) };
    assert_eq!(error.reason, Reason::Revert(says.abi_encode().into()));
}

#[test]
fn fees_in_a_token() {
    let mut chain = Chain::new(2);
    let me = chain.signers[0].address();
    let token = deploy(
        &mut chain,
        "TestERC20",
        ("T".to_owned(), "T".to_owned(), U256::from(18)).abi_encode_params(),
    );
    let paymaster = deploy(&mut chain, "ERC20Paymaster", me.abi_encode());
    fund(&mut chain, paymaster, ETHER);
    let poor = signer(78);
    let from = poor.address();
    call(&mut chain, token, mintCall { to: from, amount: U256::from(ETHER) }.abi_encode());
    // Two tokens for one ether.
    let units_per_ether = U256::from(2 * ETHER);
    call(&mut chain, paymaster, setRateCall { token, unitsPerEther: units_per_ether }.abi_encode());
    let paid = |allowance: u128, nonce| {
        let input = approvalBasedCall {
            token,
            minAllowance: U256::from(allowance),
            innerInput: Bytes::new(),
        };
        let params = PaymasterParams { paymaster, input: input.abi_encode().into() };
        let mut tx =
            Eip712Tx { nonce, value: U256::ZERO, paymaster: Some(params), ..aa(from, DEAD) };
        tx.signature = poor.sign_hash_sync(&tx.signing_hash()).unwrap().as_bytes().to_vec().into();
        ready(tx)
    };
    let error = aa_refused(&chain, &paid(259_999_999, 0));
    assert_eq!(error.step, Step::ValidateAndPay, "{error}");
    let (allowance, needed) = (U256::from(259_999_999), U256::from(260_000_000));
    let says = AllowanceTooLow { allowance, needed };
    assert_eq!(error.reason, Reason::Revert(says.abi_encode().into()));
    // Allowed, but not there: the token's own words.
    let broke = signer(79);
    let input = approvalBasedCall { token, minAllowance: U256::MAX, innerInput: Bytes::new() };
    let params = PaymasterParams { paymaster, input: input.abi_encode().into() };
    let poorer =
        Eip712Tx { value: U256::ZERO, paymaster: Some(params), ..aa(broke.address(), DEAD) };
    let sign_by = |key: &alloy_signer_local::PrivateKeySigner, mut tx: Eip712Tx| {
        tx.signature = key.sign_hash_sync(&tx.signing_hash()).unwrap().as_bytes().to_vec().into();
        ready(tx)
    };
    let error = aa_refused(&chain, &sign_by(&broke, poorer.clone()));
    assert_eq!((error.step, error.account), (Step::ValidateAndPay, paymaster));
    let says = ERC20InsufficientBalance { sender: broke.address(), balance: U256::ZERO, needed };
    assert_eq!(error.reason, Reason::Revert(says.abi_encode().into()));
    // What is named as the token is none.
    let input =
        approvalBasedCall { token: STORE, minAllowance: U256::ONE, innerInput: Bytes::new() };
    let params = PaymasterParams { paymaster, input: input.abi_encode().into() };
    let error =
        aa_refused(&chain, &sign_by(&broke, Eip712Tx { paymaster: Some(params), ..poorer }));
    assert_eq!((error.step, error.account, error.reason), (Step::Approval, STORE, Reason::Token));
    let result = include(&mut chain, paid(260_000_000, 0));
    assert_eq!(result.failure, None);
    let tokens = ETHER - read_token(&chain, token, from);
    let cost = u128::from(result.gas_used) * 100;
    assert!(tokens >= 2 * cost, "the paymaster is not out of pocket: {tokens} for {cost}");
    assert!(tokens < 4 * cost, "and refunds what was not used: {tokens} for {cost}");
    assert_eq!(balance(&chain, paymaster), ETHER - cost);
    println!("transfer paid in a token: {} gas", result.gas_used);
    // Long calldata is charged by its floor (EIP-7623), however little was used: the paymaster is told so.
    let before = (read_token(&chain, token, from), balance(&chain, paymaster));
    let input = approvalBasedCall { token, minAllowance: U256::MAX, innerInput: Bytes::new() };
    let params = PaymasterParams { paymaster, input: input.abi_encode().into() };
    let long = Eip712Tx {
        nonce: 1,
        value: U256::ZERO,
        gas_limit: 3_000_000,
        data: vec![1; 50_000].into(),
        paymaster: Some(params),
        ..aa(from, DEAD)
    };
    let result = include(&mut chain, sign_by(&poor, long));
    assert_eq!(result.failure, None);
    assert!(result.gas_used > 2_000_000, "the floor: {}", result.gas_used);
    let tokens = before.0 - read_token(&chain, token, from);
    let cost = before.1 - balance(&chain, paymaster);
    assert!(tokens >= 2 * cost, "the paymaster is not out of pocket: {tokens} for {cost}");
    // The simulation agrees, and asks for no signature.
    let input = approvalBasedCall { token, minAllowance: U256::ONE, innerInput: Bytes::new() };
    let params = PaymasterParams { paymaster, input: input.abi_encode().into() };
    let account = AccountRequest { paymaster: Some(params), ..Default::default() };
    let request = CallRequest {
        from,
        to: TxKind::Call(DEAD),
        gas_limit: 1_000_000,
        account: Some(Box::new(account)),
        ..Default::default()
    };
    let mut simulator =
        Simulator::new(chain.env(), &chain.state, Default::default(), Default::default());
    let simulated = simulator.call(&request).unwrap();
    assert_eq!(simulated.failure, None);
}

#[test]
fn what_validation_does_wrong_is_told_and_leaves_nothing() {
    let mut chain = Chain::new(2);
    let at = mischief(&mut chain);
    let with = |chain: &mut Chain, step, deed, argument| {
        plan(chain, at, step, deed, argument);
        let error = aa_refused(chain, &ready(Eip712Tx { nonce: 1, ..aa(at, DEAD) }));
        plan(chain, at, step, BEHAVE, 0);
        error
    };
    let error = with(&mut chain, VALIDATE, REVERTS, 0);
    assert_eq!(error.step, Step::ValidateTransaction);
    let text = format!(
        "account validation failed: validateTransaction of {at}: execution reverted: mischief"
    );
    assert_eq!(error.to_string(), text);
    assert!(error.revert_data().is_some());
    assert_eq!(with(&mut chain, VALIDATE, LOOPS, 0).reason, Reason::OutOfGas);
    assert!(matches!(with(&mut chain, VALIDATE, WRONG_MAGIC, 0).reason, Reason::Magic(_)));
    let error = with(&mut chain, VALIDATE, KEEP_NONCE, 0);
    assert_eq!((error.step, error.reason), (Step::Nonce, Reason::NonceUnused(1)));
    let error = with(&mut chain, PAY, REVERTS, 0);
    assert_eq!(error.step, Step::PayForTransaction);
    let error = with(&mut chain, PAY, UNDERPAY, 0);
    let (have, want) = (U256::from(99_999_999), U256::from(100_000_000));
    assert_eq!(error.reason, Reason::Underpaid { have, want });
    let error = with(&mut chain, PAY, DRAIN, 0);
    assert!(matches!(error.reason, Reason::Revert(_)));
    // Pubdata of validation must be covered before anything is executed.
    plan(&mut chain, at, VALIDATE, WRITE_SLOTS, 40);
    let gas_limit = 1_030_000;
    let tx = Eip712Tx { nonce: 1, gas_limit, ..aa(at, DEAD) };
    let error = aa_refused(&chain, &ready(tx));
    assert!(matches!(error.reason, Reason::PubdataGas { .. } | Reason::OutOfGas), "{error}");
    plan(&mut chain, at, VALIDATE, BEHAVE, 0);
    // Having done all that, it still works.
    let result = include(&mut chain, ready(Eip712Tx { nonce: 1, ..aa(at, DEAD) }));
    assert_eq!(result.failure, None);
}

#[test]
fn a_paymaster_that_misbehaves() {
    let mut chain = Chain::new(2);
    let at = mischief(&mut chain);
    let from = chain.signers[1].address();
    let tx = |nonce| sponsored(Eip712Tx { nonce, ..aa(from, DEAD) }, at);
    for (deed, argument) in
        [(REVERTS, 0), (LOOPS, 0), (WRONG_MAGIC, 0), (UNDERPAY, 0), (LONG_ANSWER, 0), (DRAIN, 0)]
    {
        plan(&mut chain, at, PAYMASTER, deed, argument);
        let error = aa_refused(&chain, &sign(&chain, 1, tx(0)));
        assert_eq!((error.step, error.account), (Step::ValidateAndPay, at), "{deed}");
    }
    plan(&mut chain, at, PAYMASTER, OVERPAY, 0);
    let signed = sign(&chain, 1, tx(0));
    let before = balance(&chain, at);
    let result = include(&mut chain, signed);
    assert_eq!(result.failure, None);
    assert_eq!(balance(&chain, at), before - u128::from(result.gas_used) * 100, "no more than due");
    plan(&mut chain, at, PAYMASTER, BEHAVE, 0);
    // What it refuses in the end changes nothing for the transaction, and is charged.
    for (nonce, deed) in [(1, REVERTS), (2, LOOPS), (3, DRAIN)] {
        plan(&mut chain, at, POST, deed, 0);
        let dead = balance(&chain, DEAD);
        let signed = sign(&chain, 1, tx(nonce));
        let result = include(&mut chain, signed);
        assert_eq!(result.failure, None, "{deed}");
        assert_eq!(balance(&chain, DEAD), dead + 7);
        if deed == LOOPS {
            assert_eq!(result.gas_used, 1_000_000);
        }
    }
}

#[test]
fn a_failed_execution_is_charged() {
    let mut chain = Chain::new(2);
    let at = mischief(&mut chain);
    let cases =
        [(REVERTS, 0, false), (LOOPS, 0, true), (WRITE_SLOTS, 400, true), (DRAIN, 0, false)];
    for ((deed, argument, in_full), nonce) in cases.into_iter().zip(1..) {
        plan(&mut chain, at, EXECUTE, deed, argument);
        let gas_limit = 10_000_000;
        let tx = Eip712Tx { nonce, gas_limit, ..aa(at, DEAD) };
        let (before, operator) = (balance(&chain, at), balance(&chain, OPERATOR));
        let result = include(&mut chain, ready(tx));
        assert!(result.failure.is_some(), "{deed}");
        assert_eq!(nonce_of(&chain, at), nonce + 1);
        assert_eq!(result.gas_used == gas_limit, in_full, "{deed}: {}", result.gas_used);
        let fee = u128::from(result.gas_used) * 100;
        assert!(balance(&chain, OPERATOR) >= operator + fee);
        assert_eq!(balance(&chain, at), before - fee);
    }
}

#[test]
fn validation_may_send_messages_and_deploy_and_pays_for_it() {
    let mut chain = Chain::new(2);
    let at = mischief(&mut chain);
    for (nonce, deed, execute) in [(1, MESSAGE, REVERTS), (2, DEPLOY, LOOPS), (4, MESSAGE, BEHAVE)]
    {
        plan(&mut chain, at, VALIDATE, deed, 0);
        plan(&mut chain, at, EXECUTE, execute, 0);
        let result = include(&mut chain, ready(Eip712Tx { nonce, ..aa(at, DEAD) }));
        assert_eq!(result.failure.is_some(), execute != BEHAVE);
        assert_eq!(result.messages.len(), usize::from(deed == MESSAGE));
        assert_eq!(result.l2_to_l1_logs.len(), result.messages.len());
    }
}

#[test]
fn the_gas_of_validation_is_bounded() {
    let mut chain = Chain::new(2);
    let at = mischief(&mut chain);
    plan(&mut chain, at, VALIDATE, LOOPS, 0);
    let tx = ready(Eip712Tx { nonce: 1, gas_limit: 16_000_000, ..aa(at, DEAD) });
    assert_eq!(aa_refused(&chain, &tx).reason, Reason::OutOfGas);
    plan(&mut chain, at, VALIDATE, BEHAVE, 0);
    let mut simulator = Simulator::with_inspector(
        chain.env(),
        &chain.state,
        Default::default(),
        Default::default(),
        Count(0),
    );
    let gas = simulator.validate(&tx).unwrap();
    assert!(gas > 5_000 && gas < MAX_VALIDATION_GAS, "{gas}");
    assert!(simulator.into_inspector().0 > 100);
}

/// Counts instructions.
struct Count(u64);
impl<C> cairn_stf::revm::Inspector<C> for Count {
    fn step(&mut self, _: &mut cairn_stf::revm::interpreter::Interpreter, _: &mut C) {
        self.0 += 1;
    }
}

#[test]
fn nonces_without_order_are_used_once() {
    let mut chain = Chain::new(2);
    let at = mischief(&mut chain);
    plan(&mut chain, at, VALIDATE, UNORDERED_NONCE, 0);
    let tx = |nonce| ready(Eip712Tx { nonce, ..aa(at, DEAD) });
    for nonce in [UNORDERED + 9, UNORDERED, u64::MAX - 1] {
        assert_eq!(include(&mut chain, tx(nonce)).failure, None);
        let error = aa_refused(&chain, &tx(nonce));
        assert_eq!((error.step, error.reason), (Step::Nonce, Reason::NonceUsed(nonce)));
    }
    // A value under a sequential nonce is refused, and a sequential nonce must be the next.
    assert!(matches!(aa_refused(&chain, &tx(1)).reason, Reason::Revert(_)));
    assert!(matches!(refused(&chain, &tx(2)), TxError::NonceTooHigh { .. }));
    assert_eq!(nonce_of(&chain, at), 1);
    plan(&mut chain, at, VALIDATE, BEHAVE, 0);
    assert_eq!(include(&mut chain, tx(1)).failure, None);
}

#[test]
fn nonce_holder() {
    let mut chain = Chain::new(2);
    let me = chain.signers[0].address();
    let call = |chain: &Chain, data: Vec<u8>| {
        let mut simulator =
            Simulator::new(chain.env(), &chain.state, Default::default(), Default::default());
        let request = CallRequest {
            from: me,
            to: TxKind::Call(NONCE_HOLDER),
            gas_limit: 1_000_000,
            data: data.into(),
            ..Default::default()
        };
        simulator.call(&request).unwrap()
    };
    let word = |data: Vec<u8>| U256::abi_decode(&call(&chain, data).output).unwrap();
    // A simulated call raises its sender's nonce before it starts.
    assert_eq!(word(getMinNonceCall { account: me }.abi_encode()), U256::ONE);
    let used = |n: u64| word(isNonceUsedCall { account: me, nonce: U256::from(n) }.abi_encode());
    assert_eq!((used(0), used(1), used(UNORDERED)), (U256::ONE, U256::ZERO, U256::ZERO));
    let fails = |data: Vec<u8>| call(&chain, data).failure == Some(Failure::Revert);
    assert!(fails(incrementMinNonceIfEqualsCall { expected: U256::from(2) }.abi_encode()));
    assert!(!fails(incrementMinNonceIfEqualsCall { expected: U256::ONE }.abi_encode()));
    assert!(fails(increaseMinNonceCall { value: U256::from((1u64 << 32) + 1) }.abi_encode()));
    assert!(!fails(increaseMinNonceCall { value: U256::from(1u64 << 32) }.abi_encode()));
    let set = |key: U256, value: u64| {
        setValueUnderNonceCall { key, value: U256::from(value) }.abi_encode()
    };
    assert!(fails(set(U256::from(5), 1)));
    assert!(fails(set(U256::from(UNORDERED), 0)));
    assert!(fails(set(U256::from(u64::MAX) + U256::ONE, 1)));
    assert!(!fails(set(U256::from(UNORDERED), 1)));
    assert!(fails(vec![1, 2, 3, 4]) && fails(Vec::new()));
    let tx =
        chain.call(0, NONCE_HOLDER, increaseMinNonceCall { value: U256::from(10) }.abi_encode());
    include(&mut chain, tx);
    assert_eq!(nonce_of(&chain, me), 11);
}

#[test]
fn validation_that_changes_its_mind_is_out_of_the_block() {
    let mut chain = Chain::new(2);
    let at = mischief(&mut chain);
    plan(&mut chain, at, VALIDATE, SWITCH, 0);
    let tx = ready(Eip712Tx { nonce: 1, ..aa(at, DEAD) });
    assert!(chain.try_tx(&tx).is_ok());
    let data = storeCall { slot: U256::from(101), value: U256::ONE }.abi_encode();
    call(&mut chain, at, data);
    assert!(aa_refused(&chain, &tx).to_string().ends_with("execution reverted: switched"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever account and paymaster do in every step: a transaction is refused without a trace, or it is paid in full to the operator, nobody else's
    /// balance falls, no wei is made, and the batch is proven.
    #[test]
    fn mischief_does_not_pay(
        deeds in proptest::collection::vec(0u8..=15, 6),
        arguments in proptest::collection::vec(0u64..60, 6),
        with_paymaster: bool,
        smart: bool,
        gas_limit in 60_000u64..3_000_000,
    ) {
        let mut chain = Chain::new(2);
        let account = mischief(&mut chain);
        let paymaster = mischief(&mut chain);
        for (step, (deed, argument)) in deeds.iter().zip(&arguments).enumerate() {
            let at = if matches!(step as u8, PAYMASTER | POST) { paymaster } else { account };
            plan(&mut chain, at, step as u8, *deed, *argument);
        }
        let _ = PREPARE;
        chain.seal();
        let from = if smart { account } else { chain.signers[1].address() };
        let mut tx = Eip712Tx { nonce: nonce_of(&chain, from), gas_limit, ..aa(from, DEAD) };
        if with_paymaster {
            tx = sponsored(tx, paymaster);
        }
        let tx = if smart { ready(tx) } else { sign(&chain, 1, tx) };
        let payer = if with_paymaster { paymaster } else { from };
        let others: Vec<(Address, u128)> = chain
            .state
            .accounts
            .iter()
            .filter(|(a, _)| **a != from && **a != payer)
            .map(|(a, s)| (*a, s.balance))
            .collect();
        match chain.try_tx(&tx) {
            Err(ExecError::Invalid(_)) => { refused(&chain, &tx); }
            Err(e) => panic!("{e}"),
            Ok(_) => {
                let operator = balance(&chain, OPERATOR);
                let result = include(&mut chain, tx);
                prop_assert!(result.gas_used <= gas_limit);
                let price = u128::from(chain.fees.base_fee);
                prop_assert_eq!(balance(&chain, OPERATOR), operator + u128::from(result.gas_used) * price);
                let covered = result.pubdata_bytes.saturating_sub(128) * chain.fees.gas_per_pubdata;
                prop_assert!(result.gas_used >= covered, "pubdata is paid: {} of {covered}", result.gas_used);
                for (who, before) in others {
                    prop_assert!(balance(&chain, who) >= before, "{who} lost");
                }
            }
        }
    }
}
