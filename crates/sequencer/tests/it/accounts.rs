//! Account abstraction from the pool to a sealed batch: what enters, what is refused and in which words, what leaves when it became invalid.

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use alloy_signer::SignerSync;
use alloy_sol_types::{SolCall, SolValue, sol};
use cairn_primitives::Eip712Tx;
use cairn_primitives::address::{BOOTLOADER, HISTORY_STORAGE};
use cairn_primitives::eip712::PaymasterParams;
use cairn_rpc::{BlockRef, CallPurpose, CallRequest, Chain, ChainError, PoolError};
use cairn_sequencer::config::BlockTime;
use cairn_sequencer::{L2Rpc, Sequencer};
use cairn_stf::life::aa::nonce::UNORDERED;
use serde_json::json;

use crate::common::*;

sol! {
    function set(uint8 step, uint8 deed, uint256 argument);
    function store(uint256 slot, uint256 value);
    function general(bytes input);
}

// The enums of MischiefAccount.
const VALIDATE: u8 = 0;
const PAYMASTER: u8 = 3;
const BEHAVE: u8 = 0;
const REVERTS: u8 = 1;
const LOOPS: u8 = 2;
const WRONG_MAGIC: u8 = 3;
const READ_FOREIGN: u8 = 7;
const TIMESTAMP: u8 = 8;
const DRAIN: u8 = 9;
const SWITCH: u8 = 10;
const UNORDERED_NONCE: u8 = 11;
const DEPLOY: u8 = 14;
const ETHER: u128 = 1_000_000_000_000_000_000;

struct World {
    chain: L2Rpc,
    nonce: u64,
    account: Address,
}

impl World {
    async fn new(sequencer: &Sequencer) -> Self {
        let mut world = Self { chain: rpc(sequencer), nonce: 0, account: Address::ZERO };
        world.account = world.deploy().await;
        let account = world.account;
        world.send(|tx| tx.call(account, Bytes::new()).value(U256::from(ETHER)).gas(100_000)).await;
        world
    }

    /// Another account that does any wrong thing.
    async fn deploy(&mut self) -> Address {
        self.create("MischiefAccount", &[]).await
    }

    async fn create(&mut self, contract: &str, arguments: &[u8]) -> Address {
        let path =
            format!("{}/../../contracts/artifacts/{contract}.json", env!("CARGO_MANIFEST_DIR"));
        let artifact: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut code = hex::decode(artifact["bytecode"].as_str().unwrap()).unwrap();
        code.extend_from_slice(arguments);
        let hash = self.send(|tx| tx.create(code).gas(12_000_000)).await;
        self.chain.receipt(hash).unwrap().unwrap().contract_address.unwrap()
    }

    /// A contract of this code, with so much wei.
    async fn create_raw(&mut self, code: &[u8], value: u128) -> Address {
        // PUSH1 length DUP1 PUSH1 9 PUSH0 CODECOPY PUSH0 RETURN
        let head = [0x60, code.len() as u8, 0x80, 0x60, 9, 0x5f, 0x39, 0x5f, 0xf3];
        let init = [&head[..], code].concat();
        let hash = self.send(|tx| tx.create(init).value(U256::from(value)).gas(1_000_000)).await;
        self.chain.receipt(hash).unwrap().unwrap().contract_address.unwrap()
    }

    /// Sends a transaction of the first key and waits for its success.
    async fn send(&mut self, make: impl FnOnce(Tx) -> Tx) -> B256 {
        let (hash, raw) = make(Tx::new(self.nonce)).sign(&key(0));
        self.nonce += 1;
        self.chain.submit(raw).await.unwrap();
        included(self.chain.sequencer().storage(), hash).await;
        assert!(self.chain.receipt(hash).unwrap().unwrap().status);
        hash
    }

    async fn plan(&mut self, step: u8, deed: u8, argument: u64) {
        let data = setCall { step, deed, argument: U256::from(argument) }.abi_encode();
        let account = self.account;
        self.send(|tx| tx.call(account, data)).await;
    }

    async fn submit(&self, tx: &Eip712Tx) -> Result<B256, ChainError> {
        self.chain.submit(tx.encode().into()).await
    }

    async fn refusal(&self, tx: &Eip712Tx) -> String {
        match self.submit(tx).await {
            Err(ChainError::Pool(e)) => e.to_string(),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }
}

fn aa(from: Address, nonce: u64) -> Eip712Tx {
    Eip712Tx {
        chain_id: CHAIN_ID,
        from,
        to: Some(SINK),
        nonce,
        gas_limit: 1_000_000,
        gas_per_pubdata: 50_000,
        max_fee_per_gas: FEE,
        max_priority_fee_per_gas: FEE,
        value: U256::from(3),
        signature: Bytes::from_static(&[1; 65]),
        ..Default::default()
    }
}

fn signed(i: u64, mut tx: Eip712Tx) -> Eip712Tx {
    let signature = key(i).sign_hash_sync(&tx.signing_hash()).unwrap();
    tx.signature = signature.as_bytes().to_vec().into();
    tx
}

fn sponsored(mut tx: Eip712Tx, paymaster: Address) -> Eip712Tx {
    let input = generalCall { input: Bytes::new() }.abi_encode().into();
    tx.paymaster = Some(PaymasterParams { paymaster, input });
    tx
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_pool_to_a_batch() {
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let mut world = World::new(&sequencer).await;
    let account = world.account;
    // A plain account, an account with code, a sponsored one, and one with a nonce without order.
    let mut all = vec![signed(1, aa(key(1).address(), 0)), aa(account, 1)];
    all.push(signed(2, sponsored(aa(key(2).address(), 0), account)));
    for tx in &all {
        assert_eq!(world.submit(tx).await.unwrap(), tx.hash());
        included(sequencer.storage(), tx.hash()).await;
        let receipt = world.chain.receipt(tx.hash()).unwrap().unwrap();
        assert_eq!((receipt.status, receipt.ty, receipt.from), (true, 0x71, tx.from));
        let view = world.chain.transaction(tx.hash()).unwrap().unwrap();
        let text = serde_json::to_value(&view).unwrap();
        assert_eq!((text["type"].as_str(), text["hash"].clone()), (Some("0x71"), json!(tx.hash())));
        assert_eq!(text["eip712Meta"]["customSignature"], json!(tx.signature));
    }
    world.plan(VALIDATE, UNORDERED_NONCE, 0).await;
    let unordered = aa(account, UNORDERED + 5);
    world.submit(&unordered).await.unwrap();
    included(sequencer.storage(), unordered.hash()).await;
    assert!(world.refusal(&unordered).await.contains("was used before"));
    sealed(&sequencer).await;
    assert_eq!(sequencer.status().pooled, 0);
    // And from the store back.
    drop(world);
    sequencer.stop();
    drop(sequencer);
    let sequencer = start(dir.path(), config());
    assert!(rpc(&sequencer).receipt(all[1].hash()).unwrap().unwrap().status);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pool_refuses_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let mut world = World::new(&sequencer).await;
    let account = world.account;
    // Only code keeps nonces without order.
    let lasting = signed(1, aa(key(1).address(), UNORDERED + 1));
    let refusal = world.refusal(&lasting).await;
    assert!(refusal.contains("nonce too high"), "{refusal}");
    let other = world.deploy().await;
    // The token that it asks for somebody else's balance.
    let arguments = ("T".to_owned(), "T".to_owned(), U256::from(18)).abi_encode_params();
    let token = world.create("TestERC20", &arguments).await;
    let store = storeCall { slot: U256::from(100), value: token.into_word().into() }.abi_encode();
    world.send(|tx| tx.call(account, store)).await;
    for (deed, argument, words) in [
        (REVERTS, 0, "validateTransaction of 0x"),
        (LOOPS, 0, ": out of gas"),
        (WRONG_MAGIC, 0, ": wrong answer 0xdeadbeef"),
        (READ_FOREIGN, 5, ", which belongs neither to the account nor to its paymaster"),
        (DRAIN, 0, "payForTransaction of 0x"),
        (TIMESTAMP, 0, "forbidden opcode TIMESTAMP"),
        (DEPLOY, 0, "forbidden opcode CREATE"),
    ] {
        world.plan(VALIDATE, deed, argument).await;
        let refusal = world.refusal(&aa(account, 1)).await;
        assert!(refusal.contains(words), "{refusal}");
    }
    world.plan(VALIDATE, REVERTS, 0).await;
    match world.submit(&aa(account, 1)).await {
        Err(ChainError::Pool(PoolError::Account { reason, data: Some(data) })) => {
            assert!(reason.ends_with("execution reverted: mischief"), "{reason}");
            assert!(data.starts_with(&[0x08, 0xc3, 0x79, 0xa0]));
        }
        other => panic!("{other:?}"),
    }
    world.plan(VALIDATE, BEHAVE, 0).await;
    world.plan(PAYMASTER, REVERTS, 0).await;
    let sponsored_tx = signed(2, sponsored(aa(key(2).address(), 0), account));
    let refusal = world.refusal(&sponsored_tx).await;
    assert!(refusal.starts_with("paymaster validation failed: "), "{refusal}");
    // The plain account's key, the price of pubdata, an EOA's long signature.
    assert!(world.refusal(&signed(2, aa(key(1).address(), 0))).await.contains("another key"));
    let mut long = aa(key(1).address(), 0);
    long.signature = Bytes::from_static(&[1; 66]);
    assert!(world.refusal(&long).await.contains("65 bytes"));
    // No signature at all, and one that no account takes.
    let bare = Eip712Tx { signature: Bytes::new(), ..aa(account, 1) };
    assert!(world.refusal(&bare).await.contains("customSignature"));
    let huge = Eip712Tx { signature: vec![1; 65_537].into(), ..aa(account, 1) };
    assert!(world.refusal(&huge).await.contains("customSignature"), "oversize");
    // Fields out of their range.
    let tip = Eip712Tx { max_priority_fee_per_gas: FEE + 1, ..aa(account, 1) };
    assert!(world.refusal(&tip).await.contains("max priority fee per gas higher than max fee"));
    let gas = Eip712Tx { gas_limit: 1 << 30, ..aa(account, 1) };
    assert!(world.refusal(&gas).await.contains("transaction gas limit too high"));
    let little = Eip712Tx { gas_limit: 20_999, ..aa(account, 1) };
    assert!(world.refusal(&little).await.contains("intrinsic gas too low"));
    let last = Eip712Tx { nonce: u64::MAX, ..aa(account, 1) };
    assert!(world.refusal(&last).await.contains("nonce"));
    // A paymaster that has nothing, and one without code.
    world.plan(PAYMASTER, BEHAVE, 0).await;
    let poor = signed(2, sponsored(aa(key(2).address(), 0), other));
    let refusal = world.refusal(&poor).await;
    assert!(refusal.starts_with("paymaster validation failed: ") && refusal.ends_with("no funds"));
    let nobody = signed(2, sponsored(aa(key(2).address(), 0), Address::repeat_byte(0x99)));
    assert!(world.refusal(&nobody).await.starts_with("paymaster validation failed: "));
    let cheap = signed(1, Eip712Tx { gas_per_pubdata: 0, ..aa(key(1).address(), 0) });
    assert!(world.refusal(&cheap).await.contains("gas per pubdata limit too low"));
    let foreign = signed(1, Eip712Tx { chain_id: 1, ..aa(key(1).address(), 0) });
    assert!(world.refusal(&foreign).await.contains("chain id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_invalid_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let mut world = World::new(&sequencer).await;
    let account = world.account;
    world.plan(VALIDATE, SWITCH, 0).await;
    // Behind a gap, so that it waits.
    let waiting = aa(account, 2);
    world.submit(&waiting).await.unwrap();
    assert_eq!(sequencer.status().pooled, 1);
    let data = storeCall { slot: U256::from(101), value: U256::from(1) }.abi_encode();
    world.send(|tx| tx.call(account, data)).await;
    until("it is dropped", || sequencer.status().pooled == 0).await;
}

/// What a paymaster looks at before it pays must not be what one write of somebody else's, or the next block, changes.
#[tokio::test(flavor = "multi_thread")]
async fn validation_rests_on_nothing_that_one_write_changes() {
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let mut world = World::new(&sequencer).await;
    // Answers with its balance.
    let rich = world.create_raw(&hex!("475f5260205ff3"), 0).await;
    let (from, nobody) = (key(1).address(), key(3).address());
    let call = |at: Address| [&hex!("5f5f5f5f73")[..], &at[..], &hex!("5afa50")].concat();
    let size = |at: Address| [&[0x73][..], &at[..], &[0x3b, 0x50]].concat();
    // getMinNonce
    let nonce = |whose: Address| {
        let store = [&hex!("63896909dc60e01b5f5273")[..], &whose[..], &hex!("600452")];
        [&store.concat()[..], &hex!("5f5f60245f6180035afa50")].concat()
    };
    let cases = [
        (call(HISTORY_STORAGE), "hashes of blocks"),
        (call(rich), "the balance of"),
        (call(nobody), "no code of its own"),
        (size(nobody), "no code of its own"),
        (nonce(nobody), "the nonces of"),
        ([size(rich), nonce(from), call(Address::with_last_byte(4))].concat(), ""),
    ];
    for (i, (looks, words)) in cases.into_iter().enumerate() {
        // Then it pays 2e15 wei to the bootloader and answers with the magic.
        let pays =
            hex!("5f5f5f5f66071afd498d00006180015af15063038a24bc60e01b5f52604060205260605ff3");
        let paymaster = world.create_raw(&[&looks[..], &pays].concat(), ETHER).await;
        let tx = signed(1, sponsored(aa(from, 0), paymaster));
        if words.is_empty() {
            assert_eq!(world.submit(&tx).await.unwrap(), tx.hash());
            included(sequencer.storage(), tx.hash()).await;
        } else {
            let refusal = world.refusal(&tx).await;
            assert!(refusal.contains(words), "{i}: {refusal}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paymaster_cannot_promise_more_than_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = config();
    settings.block_time = BlockTime::Instant;
    let sequencer = start(dir.path(), settings);
    let world = World::new(&sequencer).await;
    let account = world.account;
    // Each may cost 16,000,000 * 20 gwei = 0.32 ether; it has one. They wait behind a gap.
    let tx = |i: u64| {
        let base = Eip712Tx {
            gas_limit: 16_000_000,
            max_fee_per_gas: 20_000_000_000,
            max_priority_fee_per_gas: 0,
            ..aa(key(i).address(), 1)
        };
        signed(i, sponsored(base, account))
    };
    for i in 1..=3 {
        world.submit(&tx(i)).await.unwrap();
    }
    let refusal = world.refusal(&tx(4)).await;
    assert!(refusal.contains("its waiting transactions may cost"), "{refusal}");
    // Accounts with code have a bound of their own.
    for nonce in 2..=17 {
        world.submit(&Eip712Tx { gas_limit: 100_000, ..aa(account, nonce) }).await.unwrap();
    }
    let refusal = world.refusal(&Eip712Tx { gas_limit: 100_000, ..aa(account, 18) }).await;
    assert!(refusal.contains("no more are taken"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn estimates_take_eip712_meta() {
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let mut world = World::new(&sequencer).await;
    let account = world.account;
    let estimate = |world: &World, from: Address, meta: serde_json::Value| {
        let request = alloy_rpc_types::TransactionRequest {
            from: Some(from),
            to: Some(SINK.into()),
            gas: Some(1_000_000),
            ..Default::default()
        };
        let call = CallRequest {
            request,
            other: serde_json::from_value(json!({ "eip712Meta": meta })).unwrap(),
            block: BlockRef::Pending,
            state_overrides: None,
            block_overrides: None,
            purpose: CallPurpose::Estimate,
        };
        world.chain.call(call, None)
    };
    let plain = json!({ "gasPerPubdata": "0xc350" });
    let input: Vec<u8> = generalCall { input: Bytes::new() }.abi_encode();
    let paid = json!({ "paymasterParams": { "paymaster": account, "paymasterInput": input } });
    let eoa = estimate(&world, key(1).address(), plain.clone()).unwrap().gas_used;
    let sponsored = estimate(&world, key(1).address(), paid.clone()).unwrap().gas_used;
    let smart = estimate(&world, account, plain).unwrap().gas_used;
    assert_eq!(eoa, 21_000);
    assert!(sponsored > eoa + 10_000 && smart > eoa + 10_000, "{sponsored} {smart}");
    world.plan(PAYMASTER, REVERTS, 0).await;
    match estimate(&world, key(1).address(), paid) {
        Err(ChainError::Pool(PoolError::Account { reason, .. })) => {
            assert!(reason.contains("mischief"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_show_every_step() {
    use cairn_rpc::ots::CallTracer;
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let world = World::new(&sequencer).await;
    let account = world.account;
    let smart = aa(account, 1);
    let paid = signed(2, sponsored(aa(key(2).address(), 0), account));
    let plain = signed(1, aa(key(1).address(), 0));
    for tx in [&smart, &paid, &plain] {
        world.submit(tx).await.unwrap();
        included(sequencer.storage(), tx.hash()).await;
    }
    let trace = |tx: &Eip712Tx| CallTracer::trace(&world.chain, tx.hash()).unwrap().nodes;
    let selectors = |nodes: &[revm_inspectors::tracing::types::CallTraceNode]| {
        let roots = nodes[0].children.iter().map(|i| &nodes[*i].trace);
        roots.map(|t| hex::encode(&t.data[..t.data.len().min(4)])).collect::<Vec<_>>()
    };
    // validateTransaction, payForTransaction, executeTransaction.
    let nodes = trace(&smart);
    assert_eq!((nodes[0].trace.caller, nodes[0].trace.address), (account, BOOTLOADER));
    assert_eq!(nodes[0].trace.gas_limit, smart.gas_limit);
    let gas = world.chain.receipt(smart.hash()).unwrap().unwrap().gas_used;
    assert_eq!(nodes[0].trace.gas_used, gas);
    assert_eq!(selectors(&nodes), ["202bcce7", "e2f318e3", "df9c1589"]);
    assert!(nodes.iter().any(|n| n.trace.depth == 2 && n.trace.address == SINK));
    assert!(
        nodes.iter().skip(1).all(|n| nodes[n.parent.unwrap()].trace.depth + 1 == n.trace.depth)
    );
    // The paymaster, the call itself, the paymaster again.
    let nodes = trace(&paid);
    assert_eq!(selectors(&nodes), ["038a24bc", "", "817b17f0"]);
    assert_eq!(nodes[nodes[0].children[1]].trace.value, U256::from(3));
    // A plain account's is the one call that it is on Ethereum.
    let nodes = trace(&plain);
    assert_eq!((nodes.len(), nodes[0].trace.address), (1, SINK));
}
