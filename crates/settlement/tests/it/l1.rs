//! Deployment, deposits and the watcher.

use std::{sync::Arc, time::Duration};

use alloy_primitives::{Address, B256, U256};
use alloy_provider::Provider;
use alloy_signer_local::PrivateKeySigner;
use cairn_l1_dev::{L1Config, L1Dev};
use cairn_primitives::{
    ChainConfig,
    priority::{PriorityTx, empty_queue_hash, roll_priority_hash},
};
use cairn_rpc::MineRequest;
use cairn_settlement::{
    batch::SourceError,
    bindings::{Bridgehub, L1NativeTokenVault, Verifier},
    deploy::{DeployError, create_chain},
    l1::{L1, L1Error, L1Wallet, Send},
    verifier::{Attesters, ProofKey, VerifierKind, deploy_verifiers, find_verifiers},
    watcher::{PrioritySink, WatchError, Watcher},
};
use parking_lot::Mutex;

use crate::world::{CHAIN_ID, KEY, world};

#[derive(Default)]
struct Taken {
    operations: Vec<PriorityTx>,
    cursor: u64,
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Taken>>);

impl PrioritySink for Sink {
    fn next(&self) -> Result<(u64, B256), SourceError> {
        let taken = self.0.lock();
        let hash = taken
            .operations
            .iter()
            .fold(empty_queue_hash(), |h, op| roll_priority_hash(h, op.hash));
        Ok((taken.operations.len() as u64, hash))
    }

    fn cursor(&self) -> Result<u64, SourceError> {
        Ok(self.0.lock().cursor)
    }

    fn accept(&self, operations: Vec<PriorityTx>, cursor: u64) -> Result<(), SourceError> {
        let mut taken = self.0.lock();
        taken.operations.extend(operations);
        taken.cursor = cursor;
        Ok(())
    }

    fn caught_up(&self) {}

    /// Nothing here is consumed by a block: everything may be read again.
    fn rewind(&self) -> Result<(), SourceError> {
        *self.0.lock() = Taken::default();
        Ok(())
    }
}

async fn drain(watcher: &mut Watcher<Sink>) -> Result<(), WatchError> {
    while watcher.round().await? {}
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_reach_the_watcher_and_lock_their_assets() {
    let w = world().await;
    let call = Bridgehub::getZKChainCall { chainId: U256::from(CHAIN_ID) };
    assert_eq!(w.l1.call(w.ecosystem.bridgehub, call).await.unwrap(), w.chain.address);

    let to = Address::repeat_byte(7);
    let deposit = w.bridge().deposit_base(to, U256::from(12345)).await.unwrap();
    let sink = Sink::default();
    let mut watcher =
        Watcher::new(w.l1.clone(), w.chain.address, sink.clone(), 0, Duration::from_millis(10));
    drain(&mut watcher).await.unwrap();
    {
        let taken = sink.0.lock();
        assert_eq!(taken.operations.len(), 1);
        let op = &taken.operations[0];
        assert_eq!((op.hash, op.id), (deposit.l2_tx, deposit.priority_id));
        assert_eq!((op.to, op.value), (to, U256::from(12345)));
        assert!(op.to_mint > op.value, "the gas is paid for as well");
    }
    let asset = ChainConfig::eth_rollup(CHAIN_ID, w.l1.chain_id()).base_token_asset_id;
    let call =
        L1NativeTokenVault::chainBalanceCall { chainId: U256::from(CHAIN_ID), assetId: asset };
    let locked = w.l1.call(w.ecosystem.native_token_vault, call).await.unwrap();
    assert_eq!(locked, sink.0.lock().operations[0].to_mint);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watcher_keeps_its_distance_and_survives_a_reorg() {
    use alloy_provider::Provider;
    let w = world().await;
    let sink = Sink::default();
    let mut watcher =
        Watcher::new(w.l1.clone(), w.chain.address, sink.clone(), 2, Duration::from_millis(10));
    w.bridge().deposit_base(Address::repeat_byte(7), U256::from(1)).await.unwrap();
    drain(&mut watcher).await.unwrap();
    assert!(sink.0.lock().operations.is_empty(), "not deep enough yet");
    let mine = |n: u64| {
        let p = w.l1.provider().clone();
        async move { p.raw_request::<_, serde_json::Value>("anvil_mine".into(), (n,)).await.unwrap() }
    };
    mine(2).await;
    drain(&mut watcher).await.unwrap();
    assert_eq!(sink.0.lock().operations.len(), 1);
    let old = sink.0.lock().operations[0].hash;

    // The deposit's block goes, with two above it; another deposit takes its place in the queue.
    let empty: Vec<serde_json::Value> = Vec::new();
    let _: serde_json::Value =
        w.l1.provider().raw_request("anvil_reorg".into(), (3u64, empty)).await.unwrap();
    w.bridge().deposit_base(Address::repeat_byte(8), U256::from(2)).await.unwrap();
    mine(3).await;
    drain(&mut watcher).await.unwrap();
    let taken = sink.0.lock();
    assert_eq!(taken.operations.len(), 1);
    assert_ne!(taken.operations[0].hash, old);
    assert_eq!(taken.operations[0].to, Address::repeat_byte(8));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_is_wrong() {
    let w = world().await;
    let other = L1::connect(w.l1.url(), Some(1)).await;
    assert!(matches!(other, Err(L1Error::WrongChain { expected: 1, .. })));
    assert!(matches!(L1::connect("not a url", None).await, Err(L1Error::Url(_))));

    let poor = L1Wallet::new(w.l1.clone(), PrivateKeySigner::random());
    let send = Send {
        what: "a gift".to_owned(),
        to: Some(Address::ZERO),
        value: U256::from(1),
        ..Send::default()
    };
    let error = poor.send(send).await.unwrap_err();
    assert!(matches!(error, L1Error::Unfunded { .. }), "{error}");

    // A chain id that is taken.
    let call = Bridgehub::createNewChainCall {
        params: cairn_settlement::bindings::NewChainParams {
            chainId: U256::from(CHAIN_ID),
            baseTokenAssetId: B256::ZERO,
            admin: Address::ZERO,
            validator: Address::ZERO,
            verifier: Address::ZERO,
            daValidator: Address::ZERO,
            daPolicy: 0,
            protocolVersion: 1,
            programId: B256::ZERO,
            baseFee: 1,
            gasPerPubdata: 1,
            genesisStateRoot: B256::ZERO,
            genesisLeafCount: 0,
            genesisBlockHash: B256::ZERO,
            genesisTimestamp: 0,
        },
    };
    let error =
        w.wallet.send(Send::call("creation", w.ecosystem.bridgehub, call)).await.unwrap_err();
    assert!(error.to_string().contains("ChainAlreadyRegistered"), "{error}");
}

/// Each kind is deployed, and told by what it answers; a description that is not of its digest is refused by the contract itself.
#[tokio::test(flavor = "multi_thread")]
async fn verifiers_of_each_kind_are_deployed_and_recognised() {
    let w = world().await;
    // Two parts, as a large description has them; nothing is verified here.
    // It begins as descriptions do; the fourth number is that of the public values.
    let first = [&b"CAIRNFP1"[..], &[0; 12], &[0, 0, 0, 76], &[7; 24_551]].concat();
    let parts = [first, b"the rest".to_vec()];
    let code = |part: &Vec<u8>| [&[0], part.as_slice()].concat();
    let key = ProofKey {
        digest: alloy_primitives::keccak256(parts.concat()),
        program_id: B256::repeat_byte(1),
        data_code: parts.iter().map(code).collect(),
    };
    let me = w.wallet.address();
    let attesters = Attesters { accounts: vec![me], threshold: 1, owner: w.ecosystem.governance };
    for kind in [VerifierKind::Proof, VerifierKind::Attesters, VerifierKind::Both] {
        let made = deploy_verifiers(&w.wallet, kind, Some(&key), &attesters).await.unwrap();
        assert_eq!(made.kind, kind);
        assert_eq!(made.proof.is_some(), kind.needs_proof());
        assert_eq!(made.attesters.is_some(), kind.needs_attesters());
        assert_eq!(find_verifiers(&w.l1, made.verifier).await.unwrap(), Some(made));
    }
    for stranger in [me, w.ecosystem.bridgehub] {
        assert_eq!(find_verifiers(&w.l1, stranger).await.unwrap(), None);
    }
    // A chain of another program than its verifier's is not made.
    let proof = VerifierKind::Proof;
    let verifiers = deploy_verifiers(&w.wallet, proof, Some(&key), &attesters).await.unwrap();
    let mut genesis = w.genesis.clone();
    genesis.config.chain_id += 1;
    genesis.verifiers = verifiers;
    let error = create_chain(&w.wallet, &w.ecosystem, &genesis).await.unwrap_err();
    assert!(error.to_string().contains("ProgramMismatch"), "{error}");
    genesis.program_id = key.program_id;
    create_chain(&w.wallet, &w.ecosystem, &genesis).await.unwrap();
    let program = w.l1.call(verifiers.verifier, Verifier::programIdCall {}).await.unwrap();
    assert_eq!(program, key.program_id);

    assert!(matches!(
        deploy_verifiers(&w.wallet, proof, None, &attesters).await,
        Err(DeployError::Key(0))
    ));
    let other = ProofKey { digest: B256::ZERO, ..key };
    let error = deploy_verifiers(&w.wallet, proof, Some(&other), &attesters).await.unwrap_err();
    assert!(error.to_string().contains("FinalProofRefused"), "{error}");
}

/// A run that was killed left a transaction in L1's pool. The next run's takes its nonce, at a fee that L1's pool takes for a replacement.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_run_left_waiting_is_replaced() {
    let node = L1Dev::open(L1Config { automine: false, ..L1Config::default() }).unwrap();
    let server = node.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let l1 = L1::connect(&server.http_url(), None).await.unwrap();
    let signer: PrivateKeySigner = KEY.parse().unwrap();
    let waits = async |target: Address| {
        let target = format!("{target:?}").to_lowercase();
        for _ in 0..600 {
            let pool: serde_json::Value =
                l1.provider().raw_request("txpool_content".into(), ()).await.unwrap();
            if pool.to_string().to_lowercase().contains(&target) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no transaction to {target} waits");
    };
    let send = |wallet: L1Wallet, to: Address| {
        let what = "a payment".to_owned();
        let send = Send { what, to: Some(to), gas: Some(21_000), ..Send::default() };
        tokio::spawn(async move { wallet.send(send).await })
    };
    let (old, new) = (Address::repeat_byte(0xa1), Address::repeat_byte(0xa2));
    let killed = send(L1Wallet::new(l1.clone(), signer.clone()), old);
    waits(old).await;
    killed.abort();
    let next = send(L1Wallet::new(l1.clone(), signer.clone()).sole(), new);
    waits(new).await;
    node.dev().mine(MineRequest { blocks: 1, interval: None, timestamp: None }).unwrap();
    let receipt = next.await.unwrap().unwrap();
    assert_eq!(receipt.to, Some(new));
    let used = l1.provider().get_transaction_count(signer.address()).await.unwrap();
    assert_eq!(used, 1, "both were mined");
}
