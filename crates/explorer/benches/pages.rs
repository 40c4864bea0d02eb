//! How long the pages' JSON takes over HTTP on a chain of 1,000 and of 100,000 blocks: `cargo bench -p cairn-explorer --bench pages`. Blocks are made up,
//! but go through the real store and the real writer of the index. What a page asks of L1 or executes (the balance of a token) is answered by an
//! embedded L1, the same for both chains. `TMPDIR=/dev/shm` makes the filling quick: the store syncs each block.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bloom, Bytes, Signature, TxHash, U256, keccak256};
use cairn_explorer::follow::catch_up;
use cairn_explorer::index::model::{InternalKind, InternalRecord, TokenMeta};
use cairn_explorer::index::{BlockInternals, TxInternals};
use cairn_explorer::source::{NodeSource, Source, SourceBlock};
use cairn_explorer::{BaseToken, Config, Explorer, Index, NetworkInfo, Node, Result, open_index};
use cairn_l1_dev::{L1Config, L1Dev};
use cairn_primitives::address::ETH_TOKEN;
use cairn_primitives::batch::{PublicInput, StoredBatchInfo};
use cairn_primitives::da::DaMode;
use cairn_primitives::{BlockHeader, ChainConfig, FeeParams};
use cairn_rpc::zks::{
    BlockDetails, BridgeContracts, EstimateRequest, FeeEstimate, FeeParams as ZkFeeParams,
    LogProof, LogProofMode, SettlementDetails, TransactionDetails,
};
use cairn_rpc::{ChainError, ZkChain};
use cairn_settlement::deploy::{ChainDeployment, Ecosystem};
use cairn_settlement::l1::L1;
use cairn_settlement::verifier::{VerifierKind, Verifiers};
use cairn_state::{Tree, TreeChanges};
use cairn_storage::{
    Account, BatchRecord, BlockCommit, BlockRecord, ChainIdentity, CommittedTx, L1Tx, LogRecord,
    ReceiptRecord, SealedBatch, StateDiff, Storage, TxRecord,
};
use reqwest::Client;

/// Blocks of a batch.
const BATCH: u64 = 50;
/// Accounts that send and receive; the first one is a party of every second transaction.
const ACCOUNTS: u64 = 1_000;
/// Tokens.
const TOKENS: u64 = 200;
/// Times that each page is asked for.
const ROUNDS: u64 = 400;

fn account(i: u64) -> Address {
    Address::from_word(keccak256(i.to_be_bytes()))
}

fn token(i: u64) -> Address {
    Address::from_word(keccak256([7, i as u8]))
}

/// A token's transfer, on even blocks from the busy account.
fn transfer(number: u64, index: u32) -> CommittedTx {
    let seed = number * 7 + u64::from(index) * 13;
    let from = if number.is_multiple_of(2) { account(0) } else { account(seed % ACCOUNTS) };
    let (to, of) = (account((seed * 31 + 1) % ACCOUNTS), token(seed % TOKENS));
    let amount = B256::from(U256::from(seed));
    let input = [&[0xa9, 0x05, 0x9c, 0xbb], &to.into_word()[..], &amount[..]].concat();
    let tx = TxEip1559 {
        chain_id: 1,
        nonce: number,
        to: of.into(),
        input: input.into(),
        ..TxEip1559::default()
    };
    let tx = TxEnvelope::from(tx.into_signed(Signature::test_signature()));
    let topic = keccak256("Transfer(address,address,uint256)");
    let log = LogRecord {
        address: of,
        topics: vec![topic, from.into_word(), to.into_word()],
        data: Bytes::copy_from_slice(amount.as_slice()),
    };
    let receipt = ReceiptRecord {
        success: true,
        gas_used: 51_000,
        cumulative_gas_used: 51_000 * u64::from(index + 1),
        effective_gas_price: 1,
        contract_address: None,
        pubdata_bytes: 90,
        first_log_index: index,
        first_l2_to_l1_index: 0,
        logs: vec![log],
        l2_to_l1_logs: Vec::new(),
    };
    CommittedTx {
        tx: TxRecord { hash: *tx.tx_hash(), sender: from, raw: tx.encoded_2718().into() },
        receipt,
    }
}

fn block(number: u64, parent_hash: B256, tx_count: u32) -> BlockRecord {
    let header = BlockHeader {
        chain_id: 1,
        number,
        timestamp: 1_700_000_000 + number,
        parent_hash,
        txs_rolling_hash: B256::ZERO,
        base_fee: 1,
        gas_used: 51_000 * u64::from(tx_count),
        beneficiary: Address::ZERO,
    };
    BlockRecord {
        hash: header.hash(),
        header,
        gas_limit: 60_000_000,
        gas_per_pubdata: 1,
        tx_count,
        priority_count: 0,
        l2_to_l1_count: 0,
        pubdata_bytes: 0,
        size: 0,
        built_at_ms: 0,
    }
}

fn commit(storage: &Storage) {
    let head = storage.head().expect("there is a genesis");
    let number = head.header.number + 1;
    let transactions: Vec<_> = (0..1 + (number % 3) as u32).map(|i| transfer(number, i)).collect();
    let sender = Account { nonce: number, balance: u128::from(number), ..Account::default() };
    let diff = StateDiff {
        accounts: vec![(account(number % ACCOUNTS), Some(sender))],
        ..StateDiff::default()
    };
    let commit = BlockCommit {
        block: block(number, head.hash, transactions.len() as u32),
        bloom: Bloom::ZERO,
        transactions,
        diff,
        next_priority_id: 0,
        priority_ops: Vec::new(),
    };
    storage.commit_block(&commit).expect("the block follows");
}

fn public_input(batch: u64) -> PublicInput {
    let (first, last) = ((batch - 1) * BATCH + 1, batch * BATCH);
    PublicInput {
        protocol_version: 1,
        guest_program_id: B256::ZERO,
        chain_id: 1,
        batch_number: batch,
        first_block: first,
        last_block: last,
        first_timestamp: first,
        last_timestamp: last,
        prev_state_root: B256::ZERO,
        prev_leaf_count: 2,
        prev_block_hash: B256::ZERO,
        new_state_root: B256::ZERO,
        new_leaf_count: 2,
        last_block_hash: B256::ZERO,
        priority_ops_count: 0,
        priority_ops_hash_before: B256::ZERO,
        priority_ops_hash_after: B256::ZERO,
        l2_to_l1_root: B256::ZERO,
        da_commitment: B256::ZERO,
        imported_roots_hash: B256::ZERO,
        fee_params_hash: B256::ZERO,
        operator: Address::ZERO,
        chain_config_hash: B256::ZERO,
    }
}

/// Seals a batch, and executes it on L1 but for the newest ones.
fn seal(storage: &Storage, batch: u64, last: u64) {
    let input = public_input(batch);
    let record = BatchRecord {
        info: StoredBatchInfo::from_public_input(&input, 0),
        public_input: input,
        tx_count: 2 * BATCH,
        priority_count: 0,
        gas_used: 1,
        fee_params: FeeParams { base_fee: 1, gas_per_pubdata: 1 },
        da_mode: DaMode::Calldata,
        pubdata_hash: B256::ZERO,
        pubdata_len: 0,
        blob_claims: Vec::new(),
        blob_commitments: Vec::new(),
        logs_root: B256::ZERO,
        logs_count: 0,
        sealed_at_ms: 0,
    };
    let (_, tree) = Tree::new(storage.tree().expect("a tree")).compute(&[]).expect("no writes");
    let sealed = SealedBatch { record, pubdata: &[], witness: &[], logs: &[], tree };
    storage.seal_batch(sealed).expect("the batch follows");
    let tx = L1Tx { hash: B256::repeat_byte(1), block: 1, timestamp: 1, gas_used: Some(1) };
    if batch + 4 > last {
        return;
    }
    storage.record_committed(batch, batch, tx).expect("committed");
    storage.record_proven(batch, batch, tx).expect("proven");
    storage.record_executed(batch, batch, tx).expect("executed");
}

fn fill(dir: &std::path::Path, blocks: u64) -> Storage {
    let identity =
        ChainIdentity { config: ChainConfig::eth_rollup(1, 2), genesis_digest: B256::ZERO };
    let storage = Storage::open(dir, &identity).expect("a fresh folder");
    let info = StoredBatchInfo::from_public_input(&public_input(1), 0);
    let genesis = block(0, B256::ZERO, 0);
    storage
        .init_genesis(&genesis, &StateDiff::default(), &[TreeChanges::genesis()], &info)
        .expect("genesis");
    for _ in 0..blocks {
        commit(&storage);
    }
    for batch in 1..=blocks / BATCH {
        seal(&storage, batch, blocks / BATCH);
    }
    storage
}

/// The node's chain, with internal calls and tokens' words made up: nothing executes.
struct MadeUp(NodeSource);

impl Source for MadeUp {
    fn head(&self) -> u64 {
        self.0.head()
    }

    fn block_hash(&self, number: u64) -> Result<Option<B256>> {
        self.0.block_hash(number)
    }

    fn block(&self, number: u64) -> Result<Option<SourceBlock>> {
        self.0.block(number)
    }

    fn internals(&self, number: u64) -> Result<Option<BlockInternals>> {
        let Some(block) = self.0.block(number)? else { return Ok(None) };
        let txs = block.txs.iter().zip(0..).map(|(tx, index)| {
            let call = InternalRecord {
                kind: InternalKind::Call,
                from: tx.to.unwrap_or_default(),
                to: account(number % ACCOUNTS),
                value: U256::from(number),
            };
            TxInternals { index, hash: tx.hash, operations: vec![call; 2], beyond: 0 }
        });
        Ok(Some(BlockInternals { block: number, txs: txs.collect() }))
    }

    fn token(&self, address: Address) -> TokenMeta {
        TokenMeta {
            symbol: "SYN".into(),
            name: address.to_string(),
            decimals: 18,
            ..TokenMeta::default()
        }
    }
}

/// A chain whose batches have no details beyond what the store has.
struct NoDetails;

type Rpc<T> = std::result::Result<T, ChainError>;

fn none<T>() -> Rpc<T> {
    Err(ChainError::unsupported("this benchmark"))
}

impl ZkChain for NoDetails {
    fn bridgehub(&self) -> Rpc<Address> {
        none()
    }
    fn main_contract(&self) -> Rpc<Address> {
        none()
    }
    fn bridge_contracts(&self) -> Rpc<BridgeContracts> {
        none()
    }
    fn l1_chain_id(&self) -> Rpc<u64> {
        none()
    }
    fn base_token_l1_address(&self) -> Rpc<Address> {
        none()
    }
    fn testnet_paymaster(&self) -> Rpc<Option<Address>> {
        none()
    }
    fn l1_batch_number(&self) -> Rpc<u64> {
        none()
    }
    fn batch_block_range(&self, _: u64) -> Rpc<Option<(u64, u64)>> {
        none()
    }
    fn batch_details(&self, _: u64) -> Rpc<Option<SettlementDetails>> {
        Ok(None)
    }
    fn block_details(&self, _: u64) -> Rpc<Option<BlockDetails>> {
        none()
    }
    fn transaction_details(&self, _: TxHash) -> Rpc<Option<TransactionDetails>> {
        none()
    }
    fn log_proof(&self, _: TxHash, _: usize, _: LogProofMode) -> Rpc<Option<LogProof>> {
        none()
    }
    fn estimate_fee(&self, _: EstimateRequest) -> Rpc<FeeEstimate> {
        none()
    }
    fn estimate_gas_l1_to_l2(&self, _: EstimateRequest) -> Rpc<u64> {
        none()
    }
    fn gas_per_pubdata(&self) -> Rpc<u64> {
        none()
    }
    fn fee_params(&self) -> Rpc<ZkFeeParams> {
        none()
    }
}

fn network(l1: &L1) -> NetworkInfo {
    let verifiers = Verifiers {
        kind: VerifierKind::Proof,
        verifier: Address::ZERO,
        proof: None,
        attesters: None,
    };
    let ecosystem = Ecosystem {
        l1_chain_id: l1.chain_id(),
        bridgehub: Address::ZERO,
        asset_router: Address::ZERO,
        native_token_vault: Address::ZERO,
        nullifier: Address::ZERO,
        message_root: Address::ZERO,
        rollup_da_validator: Address::ZERO,
        governance: Address::ZERO,
        deployed_at: 0,
    };
    NetworkInfo {
        name: "bench".into(),
        chain_id: 1,
        ecosystem,
        chain: ChainDeployment { address: Address::ZERO, verifiers, created_at: 0 },
        base_token: BaseToken { l1_token: ETH_TOKEN, symbol: "ETH".into(), name: "Ether".into() },
        rpc_url: String::new(),
        l1_rpc_url: Some(l1.url().to_owned()),
    }
}

/// An explorer over a chain of so many blocks, and the folder that it is in.
struct World {
    blocks: u64,
    storage: Storage,
    explorer: Explorer,
    _l1: (L1Dev, cairn_rpc::RpcHandle),
    _dir: tempfile::TempDir,
}

async fn world(blocks: u64) -> World {
    let dir = tempfile::tempdir().expect("a folder");
    let started = Instant::now();
    let storage = fill(dir.path(), blocks);
    let filled = started.elapsed();
    let l1_dev = L1Dev::open(L1Config::default()).expect("an L1");
    let server = l1_dev.serve(([127, 0, 0, 1], 0).into()).await.expect("a free port");
    let l1 = L1::connect(&server.http_url(), None).await.expect("the embedded L1 answers");
    let chain = l1_dev.chain();
    let index = open_index(dir.path(), chain.clone(), &storage).expect("an index");
    let started = Instant::now();
    let source = MadeUp(NodeSource { storage: storage.clone(), chain: chain.clone() });
    index_all(&index, &source);
    println!("{blocks} blocks: stored in {filled:.1?}, indexed in {:.1?}", started.elapsed());
    let config = Config { addr: ([127, 0, 0, 1], 0).into(), network: network(&l1), dev: None };
    let node = Node { chain, zk: Arc::new(NoDetails), storage: storage.clone(), l1 };
    let explorer = Explorer::start(config, node, index).await.expect("the explorer starts");
    World { blocks, storage, explorer, _l1: (l1_dev, server), _dir: dir }
}

fn index_all(index: &Index, source: &MadeUp) {
    catch_up(index, source, &AtomicBool::new(false)).expect("it is indexed");
}

/// A page and how its n-th address is made.
type PageOf = (&'static str, fn(&World, u64) -> String);

/// A block somewhere on the chain.
fn somewhere(world: &World, i: u64) -> u64 {
    1 + i.wrapping_mul(2_654_435_761) % world.blocks
}

fn tx_hash(world: &World, i: u64) -> B256 {
    let at = cairn_storage::TxLocation { block: somewhere(world, i), index: 0 };
    world.storage.transaction(at).expect("it is stored").expect("each block has one").hash
}

const PAGES: [PageOf; 13] = [
    ("home", |_, _| "/home".into()),
    ("blocks, anywhere", |w, i| format!("/blocks?before={}", somewhere(w, i))),
    ("block", |w, i| format!("/block/{}", somewhere(w, i))),
    ("transactions, anywhere", |w, i| format!("/txs?before={}", somewhere(w, i))),
    ("transaction", |w, i| format!("/tx/{}", tx_hash(w, i))),
    ("address, the busiest", |_, _| format!("/address/{}", account(0))),
    ("its transactions, anywhere", |w, i| {
        format!("/address/{}/txs?before={}-0", account(0), somewhere(w, i))
    }),
    ("its token transfers", |w, i| {
        format!("/address/{}/transfers?before={}-0-0", account(0), somewhere(w, i))
    }),
    ("an account's internal calls", |w, i| {
        format!("/address/{}/internal?before={}-0-0", account(i % ACCOUNTS), somewhere(w, i))
    }),
    ("tokens", |_, _| "/tokens".into()),
    ("a token's transfers", |w, i| {
        format!("/token/{}/transfers?before={}-0-0", token(i % TOKENS), somewhere(w, i))
    }),
    ("batches, anywhere", |w, i| format!("/batches?before={}", 1 + somewhere(w, i) / BATCH)),
    ("batch", |w, i| format!("/batch/{}", 1 + (somewhere(w, i) - 1) / BATCH)),
];

/// p50 and p99 of a page.
async fn measure(world: &World, client: &Client, page: &PageOf) -> (Duration, Duration) {
    let mut times = Vec::new();
    for i in 0..ROUNDS {
        let url = format!("{}/api{}", world.explorer.url(), page.1(world, i));
        let started = Instant::now();
        let answer = client.get(&url).send().await.expect("the explorer answers");
        assert!(answer.status().is_success(), "{url}: {}", answer.status());
        answer.bytes().await.expect("a body");
        times.push(started.elapsed());
    }
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

#[tokio::main]
async fn main() {
    let (small, large) = (world(1_000).await, world(100_000).await);
    let client = Client::new();
    // A pass that is not counted warms caches and connections.
    for page in &PAGES {
        measure(&small, &client, page).await;
    }
    let ms = |t: Duration| t.as_secs_f64() * 1e3;
    println!(
        "| page | p50, p99 at 1,000 blocks (ms) | p50, p99 at 100,000 blocks (ms) | ratio of p50 |"
    );
    println!("|---|---|---|---|");
    for page in &PAGES {
        let (a50, a99) = measure(&small, &client, page).await;
        let (b50, b99) = measure(&large, &client, page).await;
        println!(
            "| {} | {:.2}, {:.2} | {:.2}, {:.2} | {:.2} |",
            page.0,
            ms(a50),
            ms(a99),
            ms(b50),
            ms(b99),
            ms(b50) / ms(a50)
        );
    }
}
