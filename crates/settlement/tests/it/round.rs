//! Rounds of settlement with the data in a blob: what they cost, and the way back of the data from a beacon node.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use alloy_primitives::{Address, B256, FixedBytes, U256, hex, keccak256};
use cairn_primitives::{
    PublicInput, StoredBatchInfo,
    config::PROTOCOL_VERSION,
    da::{BlobClaim, DaMode, da_commitment, evaluation_point, to_blobs},
    priority::empty_queue_hash,
};
use cairn_settlement::{
    batch::{BatchSource, Counters, L1Tx, ProofSource, RangeProof, SealedBatch, SourceError, Step},
    bindings::ZKChain,
    l1::{L1Wallet, Send},
    recover::{Reader, RecoverError},
    sender::Settler,
};
use parking_lot::Mutex;
use serde_json::json;

use crate::world::{CHAIN_ID, KEY, World, world_with};

/// `PUSH1 1 PUSH0 MSTORE PUSH1 32 PUSH0 RETURN`: a verifier that accepts at once.
pub const ACCEPT: &[u8] = &hex!("60015f5260205ff3");
/// Most gas of commit, prove and execute of one batch, its data in a blob, without the verifier.
const BUDGET: u64 = 360_000;
/// The committed figures, and how far timestamps (a zero byte costs less) may move a fresh one.
const SNAPSHOT: &str = include_str!("../../../../contracts/snapshots/Rounds.json");
const SLACK: u64 = 600;

/// Batches that were made up, and what became of them on L1.
#[derive(Default)]
struct Batches {
    genesis: Option<StoredBatchInfo>,
    sealed: Vec<SealedBatch>,
    steps: Mutex<Vec<(u64, Step, L1Tx)>>,
    at: Mutex<Counters>,
}

impl BatchSource for Batches {
    fn newest(&self) -> Result<u64, SourceError> {
        Ok(self.sealed.len() as u64)
    }

    fn stored(&self, number: u64) -> Result<Option<StoredBatchInfo>, SourceError> {
        match number {
            0 => Ok(self.genesis.clone()),
            n => Ok(self.sealed(n)?.map(|b| b.stored)),
        }
    }

    fn sealed(&self, number: u64) -> Result<Option<SealedBatch>, SourceError> {
        Ok(self.sealed.get(number as usize - 1).cloned())
    }

    fn follow(&self, on_l1: Counters) -> Result<bool, SourceError> {
        let before = std::mem::replace(&mut *self.at.lock(), on_l1);
        let furthest = |c: Counters| (c.committed, c.proven, c.executed);
        Ok(furthest(on_l1) > furthest(before))
    }

    fn record(
        &self,
        batches: RangeInclusive<u64>,
        step: Step,
        tx: L1Tx,
    ) -> Result<(), SourceError> {
        self.steps.lock().extend(batches.map(|number| (number, step, tx)));
        Ok(())
    }
}

/// Proofs of one batch each.
pub struct NoProofs;

impl ProofSource for NoProofs {
    fn proof(&self, first: u64, _: u64) -> Result<Option<RangeProof>, SourceError> {
        Ok(Some(RangeProof { first, last: first, proof: Default::default() }))
    }

    fn refused(&self, _: &RangeProof, reason: &str) {
        panic!("{reason}");
    }
}

/// Batch `number` on top of `prev`, with pubdata of its own in one blob.
pub async fn batch(w: &World, prev: &StoredBatchInfo, number: u64) -> SealedBatch {
    let pubdata: Vec<u8> = (0..2_000u32).map(|i| (i * 7 + number as u32) as u8).collect();
    let blob = c_kzg::Blob::from_bytes(&to_blobs(&pubdata).unwrap()[0]).unwrap();
    let kzg = c_kzg::ethereum_kzg_settings(0);
    let commitment = kzg.blob_to_kzg_commitment(&blob).unwrap().to_bytes();
    let commitment = FixedBytes::<48>::from_slice(commitment.as_slice());
    let versioned_hash = alloy_eips::eip4844::kzg_to_versioned_hash(commitment.as_slice());
    let z = evaluation_point(keccak256(&pubdata), versioned_hash);
    let (_, y) = kzg.compute_kzg_proof(&blob, &c_kzg::Bytes32::new(z.to_be_bytes())).unwrap();
    let claims = vec![BlobClaim { versioned_hash, z, y: U256::from_be_slice(y.as_slice()) }];
    let (_, _, now) = w.l1.block(Default::default()).await.unwrap().unwrap();
    let word = |what: &str| keccak256(format!("{what} {number}"));
    let fees = w.genesis.fee_params;
    let public_input = PublicInput {
        protocol_version: PROTOCOL_VERSION,
        guest_program_id: w.genesis.program_id,
        chain_id: CHAIN_ID,
        batch_number: number,
        first_block: prev.lastBlock + 1,
        last_block: prev.lastBlock + 3,
        first_timestamp: now,
        last_timestamp: now,
        prev_state_root: prev.stateRoot,
        prev_leaf_count: prev.leafCount,
        prev_block_hash: prev.lastBlockHash,
        new_state_root: word("state"),
        new_leaf_count: prev.leafCount + 5,
        last_block_hash: word("block"),
        priority_ops_count: 0,
        priority_ops_hash_before: prev.priorityOpsHashAfter,
        priority_ops_hash_after: prev.priorityOpsHashAfter,
        l2_to_l1_root: word("messages"),
        da_commitment: da_commitment(DaMode::Blobs, keccak256(&pubdata), &claims),
        imported_roots_hash: B256::ZERO,
        fee_params_hash: fees.hash(),
        operator: Address::repeat_byte(0xfe),
        chain_config_hash: w.genesis.config.hash(),
    };
    SealedBatch {
        stored: StoredBatchInfo::from_public_input(&public_input, 0),
        public_input,
        fee_params: fees,
        da_mode: DaMode::Blobs,
        pubdata: pubdata.into(),
        claims,
        commitments: vec![commitment],
    }
}

pub fn genesis(w: &World) -> StoredBatchInfo {
    StoredBatchInfo {
        batchNumber: 0,
        stateRoot: w.genesis.genesis_root,
        leafCount: w.genesis.genesis_leaves,
        lastBlock: 0,
        lastBlockHash: w.genesis.genesis_block_hash,
        lastTimestamp: w.genesis.genesis_timestamp,
        priorityOpsCount: 0,
        priorityOpsHashAfter: empty_queue_hash(),
        l2ToL1Root: B256::ZERO,
        publicInput: B256::ZERO,
    }
}

/// Two batches, one on the other.
async fn two_batches(w: &World) -> Arc<Batches> {
    let mut prev = genesis(w);
    let mut all = Batches { genesis: Some(prev.clone()), ..Batches::default() };
    for number in 1..=2 {
        let next = batch(w, &prev, number).await;
        prev = next.stored.clone();
        all.sealed.push(next);
    }
    Arc::new(all)
}

fn settler(w: &World, batches: &Arc<Batches>) -> Settler {
    Settler::new(
        L1Wallet::new(w.l1.clone(), KEY.parse().unwrap()),
        w.chain.address,
        batches.clone(),
        Arc::new(NoProofs),
        Duration::from_millis(1),
    )
}

/// Settles two batches, one after the other.
async fn settle(w: &World) -> Arc<Batches> {
    let batches = two_batches(w).await;
    let settler = settler(w, &batches);
    while settler.round().await.unwrap() {}
    batches
}

fn gas(batches: &Batches, number: u64, step: Step) -> u64 {
    let steps = batches.steps.lock();
    let found = steps.iter().find(|(n, s, _)| (*n, *s) == (number, step));
    found.and_then(|(_, _, tx)| tx.gas_used).unwrap()
}

/// Whole transactions of the production sender with a real blob: intrinsic gas, calldata, proxies, point evaluation.
#[tokio::test(flavor = "multi_thread")]
async fn a_round_in_a_blob_keeps_to_its_gas_budget_and_snapshot() {
    let w = world_with(Some(ACCEPT)).await;
    let batches = settle(&w).await;
    let snapshot: serde_json::Value = serde_json::from_str(SNAPSHOT).unwrap();
    let mut measured = serde_json::Map::new();
    for (number, name) in [(1, "first batch"), (2, "later batch")] {
        let steps = [
            ("commit with a blob", gas(&batches, number, Step::Committed)),
            ("prove without verifier", gas(&batches, number, Step::Proven)),
            ("execute", gas(&batches, number, Step::Executed)),
        ];
        let total: u64 = steps.iter().map(|(_, gas)| gas).sum();
        assert!(total <= BUDGET, "{name}: {total} gas, of {BUDGET}: {steps:?}");
        for (step, gas) in steps {
            measured.insert(format!("{name}: {step}"), gas.into());
        }
        measured.insert(format!("{name}: total"), total.into());
    }
    for (name, gas) in &measured {
        let (gas, kept) = (gas.as_u64().unwrap(), snapshot[name].as_u64().unwrap_or(0));
        let shown = serde_json::to_string_pretty(&measured).unwrap();
        assert!(
            gas.abs_diff(kept) <= SLACK,
            "{name} takes {gas} gas, contracts/snapshots/Rounds.json says {kept}; now:\n{shown}"
        );
    }
}

/// What the chain's admin reverts, or an L1 reorganisation takes back, is sent again, and what is known of the batches is L1's own account at every step.
#[tokio::test(flavor = "multi_thread")]
async fn what_l1_takes_back_is_sent_again() {
    use alloy_provider::Provider;
    let w = world_with(Some(ACCEPT)).await;
    let batches = two_batches(&w).await;
    let settler = settler(&w, &batches);
    let seen = || {
        let at = *batches.at.lock();
        (at.committed, at.proven, at.executed)
    };
    for _ in 0..3 {
        settler.round().await.unwrap();
    }
    assert_eq!(seen(), (2, 1, 0), "as of the third round's start");
    // Batch 1 is executed by now. Batch 2 is proven and taken back.
    let call = ZKChain::revertBatchesCall { newLastBatch: U256::from(1) };
    w.wallet.send(Send::call("a revert", w.chain.address, call)).await.unwrap();
    let known = batches.steps.lock().len();
    settler.round().await.unwrap();
    assert_eq!(seen(), (1, 1, 1));
    while settler.round().await.unwrap() {}
    assert_eq!(seen(), (2, 2, 2));
    let again: Vec<_> = batches.steps.lock()[known..].iter().map(|(n, s, _)| (*n, *s)).collect();
    let steps = [Step::Committed, Step::Proven, Step::Executed];
    assert!(steps.iter().all(|s| again.contains(&(2, *s))), "{again:?}");

    // A later start finds the transactions that count, not those that were taken back.
    let fresh = Arc::new(Batches {
        genesis: batches.genesis.clone(),
        sealed: batches.sealed.clone(),
        ..Batches::default()
    });
    while self::settler(&w, &fresh).round().await.unwrap() {}
    let last = |of: &Batches, n: u64, s: Step| {
        let steps = of.steps.lock();
        steps.iter().rev().find(|(m, t, _)| (*m, *t) == (n, s)).map(|(_, _, tx)| tx.hash)
    };
    for (number, step) in [1, 2].into_iter().flat_map(|n| steps.map(|s| (n, s))) {
        let found = last(&fresh, number, step);
        assert!(found.is_some() && found == last(&batches, number, step), "{number} {step:?}");
    }

    // A reorganisation drops the last three transactions.
    let reorg = json!([3, []]);
    w.l1.provider().raw_request::<_, serde_json::Value>("anvil_reorg".into(), reorg).await.unwrap();
    settler.round().await.unwrap();
    assert!(seen() < (2, 2, 2), "{:?}", seen());
    while settler.round().await.unwrap() {}
    assert_eq!(seen(), (2, 2, 2));
}

/// A beacon node's REST API over one blob, with what other chains put into the same slot before it.
struct Beacon {
    slot: u64,
    blobs: Vec<Vec<u8>>,
    /// Knows `blobs` (since Fusaka); otherwise `blob_sidecars` only.
    new: bool,
}

const GENESIS_TIME: u64 = 1_000;
const SECONDS_PER_SLOT: u64 = 12;

impl Beacon {
    /// Serves on a port of its own until the test's process ends.
    fn serve(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = self.answer(stream.unwrap());
            }
        });
        url
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        while lines.next().is_some_and(|line| line.is_ok_and(|l| !l.is_empty())) {}
        let path = request.split(' ').nth(1).unwrap_or_default();
        let (status, body) = match self.data(path) {
            Some(data) => ("200 OK", json!({ "data": data })),
            None => ("404 Not Found", json!({ "code": 404, "message": "NOT_FOUND" })),
        };
        let body = body.to_string();
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn data(&self, path: &str) -> Option<serde_json::Value> {
        let shown = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
        match path {
            "/eth/v1/beacon/genesis" => Some(json!({
                "genesis_time": GENESIS_TIME.to_string(),
                "genesis_validators_root": B256::ZERO,
                "genesis_fork_version": "0x00000000",
            })),
            "/eth/v1/config/spec" => Some(json!({
                "SECONDS_PER_SLOT": SECONDS_PER_SLOT.to_string(), "BLOB_SCHEDULE": [],
            })),
            _ if path == format!("/eth/v1/beacon/blobs/{}", self.slot) && self.new => {
                Some(self.blobs.iter().map(|b| shown(b)).collect())
            }
            _ if path == format!("/eth/v1/beacon/blob_sidecars/{}", self.slot) && !self.new => {
                let sidecar = |(index, blob): (usize, &Vec<u8>)| {
                    json!({
                        "index": index.to_string(), "blob": shown(blob),
                        "kzg_commitment": shown(&[0; 48]), "kzg_proof": shown(&[0; 48]),
                        "signed_block_header": { "message": { "slot": self.slot.to_string() } },
                        "kzg_commitment_inclusion_proof": [],
                    })
                };
                Some(self.blobs.iter().enumerate().map(sidecar).collect())
            }
            _ => None,
        }
    }
}

/// Reads batch 1 back with blobs from this node alone.
async fn read_from(w: &World, batches: &Batches, beacon: Beacon) -> Result<Vec<u8>, RecoverError> {
    let reader = Reader::new(w.l1.clone(), w.chain.address);
    let reader = reader.with_beacon(&beacon.serve()).await?;
    let commits = reader.commits(w.chain.created_at).await?;
    let (tx, commitment) = commits[&1];
    let read = reader.batch(&genesis(w), tx, commitment).await?;
    assert_eq!(read.stored, batches.sealed[0].stored);
    assert_eq!(read.claims, batches.sealed[0].claims);
    assert_eq!(read.commitments, batches.sealed[0].commitments);
    Ok(read.pubdata)
}

#[tokio::test(flavor = "multi_thread")]
async fn pubdata_comes_back_from_a_beacon_node() {
    let w = world_with(Some(ACCEPT)).await;
    let batches = settle(&w).await;
    let commit = batches.steps.lock().iter().find(|(n, ..)| *n == 1).unwrap().2;
    let slot = (commit.timestamp - GENESIS_TIME) / SECONDS_PER_SLOT;
    let ours = &batches.sealed[0].pubdata;
    let blob = to_blobs(ours).unwrap()[0].to_vec();
    let foreign = to_blobs(&[9; 500]).unwrap()[0].to_vec();
    for new in [true, false] {
        let blobs = vec![foreign.clone(), blob.clone()];
        let found = read_from(&w, &batches, Beacon { slot, blobs, new }).await.unwrap();
        assert_eq!(found, ours[..], "new API: {new}");
    }
    // The embedded L1 has the blob, but a beacon node was named: what it lacks or falsifies is an error.
    let mut false_blob = blob.clone();
    false_blob[40] ^= 1;
    for (slot, blobs) in [
        (slot, vec![foreign]),
        (slot, vec![false_blob]),
        (slot + 1, vec![blob]),
        (slot, vec![vec![1]]),
    ] {
        let missing = read_from(&w, &batches, Beacon { slot, blobs, new: false }).await;
        assert!(matches!(missing, Err(RecoverError::Blob { number: 1, .. })), "{missing:?}");
    }
    let nobody = Reader::new(w.l1.clone(), w.chain.address).with_beacon("http://127.0.0.1:9").await;
    assert!(matches!(nobody.err(), Some(RecoverError::Beacon { .. })));
}
