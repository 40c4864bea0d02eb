//! An L1 that lags, answers nonsense, drops connections and loses answers: everything becomes final all the same, once and in order, and no question is
//! asked without end.

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_provider::Provider;
use alloy_sol_types::SolEvent;
use cairn_primitives::{
    StoredBatchInfo,
    da::{DaMode, da_commitment},
    priority::{PriorityTx, empty_queue_hash, roll_priority_hash},
};
use cairn_settlement::{
    batch::{BatchSource, Counters, L1Tx, SealedBatch, SourceError, Step},
    bindings::ZKChain,
    l1::{L1, L1Error, L1Wallet},
    sender::{SettlementError, Settler},
    watcher::{PrioritySink, WatchError, Watcher},
};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    proxy::{Fault, Proxy, each},
    round::{ACCEPT, NoProofs, batch, genesis},
    world::{KEY, World, world_with},
};

/// Longest wait for an answer here: what L1 does takes milliseconds.
const TIMEOUT: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(5);
/// Longest wait for anything to become true.
const PATIENCE: Duration = Duration::from_secs(60);

/// Most rounds that settlement may take to get over the faults of one plan.
const MOST_ROUNDS: usize = 60;

/// What settlement asks.
const OF_SETTLEMENT: [&str; 10] = [
    "eth_blockNumber",
    "eth_call",
    "eth_getTransactionCount",
    "eth_feeHistory",
    "eth_blobBaseFee",
    "eth_estimateGas",
    "eth_sendRawTransaction",
    "eth_getTransactionReceipt",
    "eth_getBlockByNumber",
    "eth_getLogs",
];
/// What the watcher asks.
const OF_THE_WATCHER: [&str; 4] =
    ["eth_blockNumber", "eth_call", "eth_getBlockByNumber", "eth_getLogs"];
/// What never yields an answer.
const FAILURES: [Fault; 8] = [
    Fault::Close,
    Fault::Cut,
    Fault::Html,
    Fault::Null,
    Fault::Status(429),
    Fault::Status(500),
    Fault::RateLimit,
    Fault::Silence,
];

/// Batches that are sealed as the test goes on, and what is known of their way on L1.
#[derive(Default)]
struct Batches {
    genesis: Option<StoredBatchInfo>,
    sealed: Mutex<Vec<SealedBatch>>,
    at: Mutex<Counters>,
    steps: Mutex<BTreeMap<(u64, u8), L1Tx>>,
}

impl Batches {
    async fn seal(&self, w: &World, mode: DaMode) {
        let number = self.sealed.lock().len() as u64 + 1;
        let prev = self.stored(number - 1).unwrap().unwrap();
        let mut next = batch(w, &prev, number).await;
        if mode == DaMode::Calldata {
            next.da_mode = mode;
            next.pubdata.truncate(200);
            next.claims.clear();
            next.commitments.clear();
            let hash = keccak256(&next.pubdata);
            next.public_input.da_commitment = da_commitment(mode, hash, &[]);
            next.stored = StoredBatchInfo::from_public_input(&next.public_input, 0);
        }
        self.sealed.lock().push(next);
    }

    /// The transaction of each step of each batch is known.
    fn all_known(&self) -> bool {
        self.steps.lock().len() == 3 * self.sealed.lock().len()
    }
}

impl BatchSource for Batches {
    fn newest(&self) -> Result<u64, SourceError> {
        Ok(self.sealed.lock().len() as u64)
    }

    fn stored(&self, number: u64) -> Result<Option<StoredBatchInfo>, SourceError> {
        match number {
            0 => Ok(self.genesis.clone()),
            n => Ok(self.sealed(n)?.map(|b| b.stored)),
        }
    }

    fn sealed(&self, number: u64) -> Result<Option<SealedBatch>, SourceError> {
        Ok(self.sealed.lock().get(number as usize - 1).cloned())
    }

    fn follow(&self, on_l1: Counters) -> Result<bool, SourceError> {
        let before = std::mem::replace(&mut *self.at.lock(), on_l1);
        Ok(on_l1.committed > before.committed
            || on_l1.proven > before.proven
            || on_l1.executed > before.executed)
    }

    fn record(
        &self,
        batches: RangeInclusive<u64>,
        step: Step,
        tx: L1Tx,
    ) -> Result<(), SourceError> {
        let mut at = self.at.lock();
        let counter = match step {
            Step::Committed => &mut at.committed,
            Step::Proven => &mut at.proven,
            Step::Executed => &mut at.executed,
        };
        *counter = (*counter).max(*batches.end());
        self.steps.lock().extend(batches.map(|number| ((number, step as u8), tx)));
        Ok(())
    }
}

/// Through the proxy.
async fn connect(proxy: &Proxy) -> L1 {
    L1::connect(&proxy.url, None).await.unwrap().with_timeout(TIMEOUT)
}

async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !look().await {
        assert!(Instant::now() < end, "gave up waiting for {what}");
        tokio::time::sleep(POLL).await;
    }
}

async fn executed(w: &World) -> u64 {
    let n = w.l1.call(w.chain.address, ZKChain::getTotalBatchesExecutedCall {}).await.unwrap();
    u64::try_from(n).unwrap()
}

fn settler(w: &World, l1: L1, batches: Arc<Batches>) -> Settler {
    let wallet = L1Wallet::new(l1, KEY.parse().unwrap());
    Settler::new(wallet, w.chain.address, batches, Arc::new(NoProofs), POLL)
}

fn batches(w: &World) -> Arc<Batches> {
    Arc::new(Batches { genesis: Some(genesis(w)), ..Batches::default() })
}

/// How often L1 itself says that a batch took a step.
async fn events(w: &World, topic: B256) -> Vec<u64> {
    let head = w.l1.block_number().await.unwrap();
    let logs = w.l1.logs(w.chain.address, topic, 0, head).await.unwrap();
    let word = |topics: &[B256], i: usize| u64::try_from(U256::from_be_bytes(topics[i].0)).unwrap();
    logs.iter()
        .flat_map(|log| match log.topics() {
            // After which batch, up to which.
            t if topic == ZKChain::BlocksVerification::SIGNATURE_HASH => {
                word(t, 1) + 1..=word(t, 2)
            }
            t => word(t, 1)..=word(t, 1),
        })
        .collect()
}

/// Each step of each batch happened once, in order, and its transaction is known here.
async fn assert_settled_once(w: &World, batches: &Batches) {
    let newest = batches.newest().unwrap();
    for (step, topic) in [
        (Step::Committed, ZKChain::BlockCommit::SIGNATURE_HASH),
        (Step::Proven, ZKChain::BlocksVerification::SIGNATURE_HASH),
        (Step::Executed, ZKChain::BlockExecution::SIGNATURE_HASH),
    ] {
        assert_eq!(events(w, topic).await, (1..=newest).collect::<Vec<_>>(), "{step:?}");
        for number in 1..=newest {
            let tx = batches.steps.lock().get(&(number, step as u8)).copied();
            let tx = tx.unwrap_or_else(|| panic!("no transaction of batch {number}, {step:?}"));
            let receipt = w.l1.receipt(tx.hash).await.unwrap().unwrap();
            assert!(receipt.status(), "batch {number}, {step:?}");
            assert_eq!(
                (receipt.block_number, tx.gas_used),
                (Some(tx.block), Some(receipt.gas_used))
            );
        }
    }
    let all = Counters { committed: newest, proven: newest, executed: newest };
    assert_eq!(*batches.at.lock(), all);
}

/// Rounds until everything is final. Each that fails says that a later one may not.
async fn settle(w: &World, settler: &Settler, batches: &Batches, fault: &str) {
    let newest = batches.newest().unwrap();
    for _ in 0..MOST_ROUNDS {
        match settler.round().await {
            // The last round sees what those before could not record.
            Ok(false) if batches.at.lock().executed == newest && batches.all_known() => return,
            Ok(_) => {}
            Err(SettlementError::L1(e)) if e.is_transient() => {}
            // Sent by what a replica knew that lags.
            Err(SettlementError::L1(L1Error::Reverted { .. })) => {}
            Err(e) => panic!("{fault}: {e}"),
        }
    }
    panic!(
        "{fault}: after {MOST_ROUNDS} rounds {} of {newest} batches are final",
        executed(w).await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_become_final_once_through_every_fault() {
    let w = world_with(Some(ACCEPT)).await;
    let proxy = Proxy::before(w.l1.url()).await;
    let batches = batches(&w);
    let settler = settler(&w, connect(&proxy).await, batches.clone());

    // Any of them at any place.
    let all = [&FAILURES[..7], &[Fault::Lost, Fault::NullResult, Fault::Behind(1)]].concat();
    proxy.storm(12, &all);
    for _ in 0..3 {
        batches.seal(&w, DaMode::Calldata).await;
    }
    settle(&w, &settler, &batches, "a storm").await;
    assert!(proxy.counts().1 > 5, "{:?}", proxy.counts());

    // Mined, and nobody is told: each of the three transactions.
    let lost = each(&["eth_sendRawTransaction"], Fault::Lost, 3);
    let mut plans = vec![
        lost.clone(),
        each(&["eth_blockNumber", "eth_estimateGas"], Fault::Silence, 1),
        each(&OF_SETTLEMENT, Fault::NullResult, 1),
        // Everything from a replica that lags, then some of it.
        each(&[""], Fault::Behind(2), 30),
        each(&OF_SETTLEMENT, Fault::Behind(1), 2),
        // They are looked up in L1's history, and that is spoilt too.
        [lost.clone(), each(&["eth_getLogs"], Fault::Behind(9), 3)].concat(),
        [lost, each(&["eth_getLogs"], Fault::Cut, 3)].concat(),
    ];
    let quick = FAILURES.into_iter().filter(|fault| *fault != Fault::Silence);
    plans.extend(quick.map(|fault| each(&OF_SETTLEMENT, fault, 1)));
    for (n, plan) in plans.into_iter().enumerate() {
        let mode = if n == 0 { DaMode::Blobs } else { DaMode::Calldata };
        batches.seal(&w, mode).await;
        let name = format!("{:?}", plan.last());
        proxy.spoil(plan);
        settle(&w, &settler, &batches, &name).await;
        assert!(proxy.counts().1 > 0, "{name} never happened");
    }
    assert_settled_once(&w, &batches).await;
}

/// As long as a question is repeated and longer, as when L1 starts again: the services go on by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_waited_out() {
    let w = world_with(Some(ACCEPT)).await;
    let (proxy, sink) = (Proxy::before(w.l1.url()).await, Sink::default());
    let l1 = connect(&proxy).await;
    let batches = batches(&w);
    let settler = settler(&w, l1.clone(), batches.clone());
    let watcher = Watcher::new(l1, w.chain.address, sink.clone(), 0, POLL);
    let (stop, stopped) = watch::channel(false);
    proxy.spoil(each(&[""], Fault::Close, 24));
    let watching = tokio::spawn(watcher.run(stopped.clone()));
    let settling = tokio::spawn(async move { settler.run(stopped).await });
    let mut due = Vec::new();
    for number in 1..=2 {
        batches.seal(&w, DaMode::Calldata).await;
        due.push(w.bridge().deposit_base(Address::ZERO, U256::from(1)).await.unwrap().l2_tx);
        until("finality and the deposit", async || {
            assert!(!settling.is_finished() && !watching.is_finished(), "one of them gave up");
            executed(&w).await == number && sink.hashes() == due
        })
        .await;
    }
    assert_eq!(proxy.counts().1, 24);
    until("the records", async || batches.all_known()).await;
    until("the counters", async || batches.at.lock().executed == 2).await;
    stop.send_replace(true);
    settling.await.unwrap().unwrap();
    watching.await.unwrap().unwrap();
    assert_settled_once(&w, &batches).await;
}

/// Every fault that lasts ends in an error that says "later", after few questions and little time: for settlement and for the watcher.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_heal_is_an_error_within_bounds() {
    let w = world_with(Some(ACCEPT)).await;
    let w = &w;
    let all = FAILURES.into_iter().chain([Fault::NullResult]).map(|fault| async move {
        let proxy = Proxy::before(w.l1.url()).await;
        let l1 = connect(&proxy).await.with_timeout(TIMEOUT / 4);
        let batches = batches(w);
        batches.seal(w, DaMode::Calldata).await;
        let settler = settler(w, l1.clone(), batches);
        let mut watcher = Watcher::new(l1, w.chain.address, Sink::default(), 0, POLL);
        proxy.spoil(each(&[""], fault, usize::MAX));
        let limit = Duration::from_secs(15);
        let settled = tokio::time::timeout(limit, settler.round()).await.unwrap();
        let watched = tokio::time::timeout(limit, watcher.round()).await.unwrap();
        let (asked, spoiled) = proxy.counts();
        assert!((2..=10).contains(&asked) && asked == spoiled, "{fault:?}: {asked} questions");
        match (settled, watched) {
            (Err(SettlementError::L1(a)), Err(WatchError::L1(b))) => {
                assert!(a.is_transient() && b.is_transient(), "{fault:?}: {a}, {b}");
            }
            other => panic!("{fault:?}: {other:?}"),
        }
    });
    futures_join(all).await;
}

/// All at once: most of them only wait.
async fn futures_join(all: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        all.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// Operations as a node keeps them: the first ones are in blocks and stay, whatever L1 says.
#[derive(Default)]
struct Taken {
    operations: Vec<PriorityTx>,
    consumed: usize,
    cursor: u64,
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Taken>>);

impl PrioritySink for Sink {
    fn next(&self) -> Result<(u64, B256), SourceError> {
        let taken = self.0.lock();
        let hashes = taken.operations.iter().map(|op| op.hash);
        Ok((taken.operations.len() as u64, hashes.fold(empty_queue_hash(), roll_priority_hash)))
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

    fn rewind(&self) -> Result<(), SourceError> {
        let mut taken = self.0.lock();
        let consumed = taken.consumed;
        taken.operations.truncate(consumed);
        taken.cursor = 0;
        Ok(())
    }
}

impl Sink {
    fn hashes(&self) -> Vec<B256> {
        self.0.lock().operations.iter().map(|op| op.hash).collect()
    }

    fn consume(&self) {
        let mut taken = self.0.lock();
        taken.consumed = taken.operations.len();
    }
}

async fn mine(w: &World) {
    let _: serde_json::Value =
        w.l1.provider().raw_request("anvil_mine".into(), (1u64,)).await.unwrap();
}

/// Rounds until these operations and no others were taken. Each that fails says that a later one may not.
async fn take(w: &World, watcher: &mut Watcher<Sink>, sink: &Sink, due: &[B256], fault: Fault) {
    for _ in 0..MOST_ROUNDS {
        match watcher.round().await {
            Ok(_) if sink.hashes().len() >= due.len() => break,
            Ok(true) => {}
            // What a node left out comes with a further block.
            Ok(false) => mine(w).await,
            Err(WatchError::L1(e)) if e.is_transient() => {}
            Err(e) => panic!("{fault:?}: {e}"),
        }
    }
    assert_eq!(sink.hashes(), due, "{fault:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_arrive_once_and_in_order_through_every_fault() {
    let w = world_with(Some(ACCEPT)).await;
    let proxy = Proxy::before(w.l1.url()).await;
    let sink = Sink::default();
    let mut watcher = Watcher::new(connect(&proxy).await, w.chain.address, sink.clone(), 0, POLL);
    let mut due = Vec::new();

    let logs = ["eth_getLogs"];
    let mut plans = vec![
        each(&[""], Fault::Close, 12),
        each(&["eth_blockNumber", "eth_getLogs"], Fault::Silence, 1),
        each(&OF_THE_WATCHER, Fault::NullResult, 1),
        each(&[""], Fault::Behind(2), 20),
        each(&OF_THE_WATCHER, Fault::Behind(1), 2),
        each(&logs, Fault::Twice, 3),
        each(&logs, Fault::ShortLogs, 3),
    ];
    let quick = FAILURES.into_iter().filter(|fault| *fault != Fault::Silence);
    plans.extend(quick.map(|fault| each(&OF_THE_WATCHER, fault, 2)));
    for plan in plans {
        let fault = plan[0].fault;
        proxy.spoil(plan);
        for _ in 0..2 {
            let to = Address::with_last_byte(due.len() as u8);
            due.push(w.bridge().deposit_base(to, U256::from(1)).await.unwrap().l2_tx);
        }
        take(&w, &mut watcher, &sink, &due, fault).await;
        assert!(proxy.counts().1 > 0, "{fault:?} never happened");
        sink.consume();
    }
}

/// Rounds one by one, since these faults need the answer that holds the deposits.
#[tokio::test(flavor = "multi_thread")]
async fn logs_of_another_order_or_of_a_replica_that_lags_lose_no_deposit() {
    let w = world_with(Some(ACCEPT)).await;
    let proxy = Proxy::before(w.l1.url()).await;
    let sink = Sink::default();
    let mut watcher = Watcher::new(connect(&proxy).await, w.chain.address, sink.clone(), 0, POLL);
    let mut due = Vec::new();
    // Behind: the head's hash comes from a node that has the deposits, the logs from one that has not.
    for fault in [Fault::Backwards, Fault::Twice, Fault::Behind(1), Fault::Behind(3)] {
        while watcher.round().await.unwrap() {}
        for _ in 0..2 {
            let to = Address::with_last_byte(due.len() as u8);
            due.push(w.bridge().deposit_base(to, U256::from(1)).await.unwrap().l2_tx);
        }
        proxy.spoil(each(&["eth_getLogs"], fault, 1));
        while watcher.round().await.unwrap() {}
        assert_eq!(proxy.counts().1, 1, "{fault:?}");
        // L1 goes on, without further deposits.
        mine(&w).await;
        while watcher.round().await.unwrap() {}
        assert_eq!(sink.hashes(), due, "{fault:?}");
        sink.consume();
    }
}
