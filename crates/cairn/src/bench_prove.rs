//! `cairn bench prove`: the base prover's figures, on a long ordinary run and on batches that a real node sealed.

use std::{error::Error, process::ExitCode, time::Duration};

use alloy_consensus::TxEnvelope;
use alloy_eips::eip2718::Encodable2718;
use alloy_network::{EthereumWallet, NetworkTransactionBuilder, TransactionBuilder};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_provider::Provider;
use alloy_rpc_types::{TransactionInput, TransactionRequest};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolCall;
use cairn_prover::bench::{self, Batch, Suite, SuiteReport};
use cairn_settlement::{
    bindings::Erc20,
    deploy::deploy_test_token,
    l1::{L1, L1Wallet},
    verifier::VerifierKind,
};
use serde_json::json;

use crate::{
    cli::BenchProveArgs,
    guest,
    l2_client::L2Client,
    node::{Node, NodeConfig},
    report::Report,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Accounts that send, and as many that receive.
const SENDERS: usize = 100;
/// Transactions under way at once.
const LANES: usize = 8;
/// Longest wait for a batch to be sealed.
const PATIENCE: Duration = Duration::from_secs(120);
/// What each account is given of ETH, in wei.
const ALLOWANCE: u128 = 1_000_000_000_000_000_000;
/// How often a batch is tried again that came out in two pieces.
const ATTEMPTS: u64 = 3;
/// Steps of the ordinary run: a Fibonacci loop with some of every instruction class, without accelerators.
const ORDINARY_STEPS: u32 = 2_000;
/// The program of the ordinary run.
static ORDINARY_ELF: &[u8] = include_bytes!("../../../guest/elf/fib.elf.zst");

/// Runs the command.
pub async fn run(args: BenchProveArgs) -> Outcome<ExitCode> {
    let mut report = Report::new(args.json);
    report.wait("making batches");
    let (eth, erc20) = batches(&mut report).await?;
    let suite = Suite {
        ordinary: (
            guest::unpack(ORDINARY_ELF)?.image.clone(),
            ORDINARY_STEPS.to_le_bytes().to_vec(),
        ),
        guest: guest::program()?.image.clone(),
        eth,
        erc20,
        max_shards: args.shards,
    };
    let figures = bench::suite(&suite, |what, done, all| {
        report.wait(&format!("{what}: {done} of {all}"));
    })?;
    if args.json {
        say!("{}", serde_json::to_string(&figures)?);
    } else {
        show(&mut report, &figures);
    }
    Ok(ExitCode::SUCCESS)
}

fn show(report: &mut Report, f: &SuiteReport) {
    report.heading("Base proofs on this machine");
    report
        .line(&format!("ordinary run        {:.1} kHz ({:.1} kHz a core)", f.khz, f.khz_per_core));
    report.line(&format!("trace cells         {:.1} a cycle", f.cells_per_cycle));
    report.line(&format!("memory              {:.0} MiB at most", f.peak_rss_mib));
    report.line(&format!("security            {:.1} proven bits", f.proven_bits));
    report.line(&format!(
        "guest cycles        {} for a transfer of ETH, {} for one of an ERC-20",
        f.eth_transfer_cycles, f.erc20_transfer_cycles
    ));
    report.line(&format!(
        "transactions        {:.2} a second proven (ETH), {:.2} (ERC-20)",
        f.proven_tps.eth, f.proven_tps.erc20
    ));
    let n = f.negative_columns;
    report.line(&format!("negative tests      {} of {} columns", n.covered, n.total));
    report.heading("Where the cells of the ordinary run are");
    for chip in f.chips.iter().filter(|c| c.share > 0.005) {
        report.line(&format!(
            "{:<12} {:>9} rows {:>5.1} %",
            chip.name,
            chip.rows,
            100.0 * chip.share
        ));
    }
}

/// Two batches of a node of our own: 100 transfers of ETH, and 100 of an ERC-20, each from another account to another.
async fn batches(report: &mut Report) -> Outcome<(Batch, Batch)> {
    let scratch = tempfile::tempdir()?;
    let config = NodeConfig {
        fund_accounts: true,
        // Long enough for all transfers to come into one batch.
        batch_age: Duration::from_secs(5),
        ..NodeConfig::demo(scratch.path().to_owned(), None, VerifierKind::Attesters)
    };
    let node = Node::start(config).await?;
    let maker = Maker::new(&node).await?;
    let made = maker.make(report).await;
    node.stop().await?;
    made
}

/// Sends what becomes the batches.
struct Maker<'a> {
    node: &'a Node,
    l2: L2Client,
    rpc: L1,
    senders: Vec<PrivateKeySigner>,
    receivers: Vec<Address>,
}

impl<'a> Maker<'a> {
    async fn new(node: &'a Node) -> Outcome<Self> {
        let key = |i: usize| {
            PrivateKeySigner::from_bytes(&keccak256(format!("cairn bench {i}"))).map_err(Box::new)
        };
        let senders = (0..SENDERS).map(key).collect::<Result<Vec<_>, _>>()?;
        let receivers = (SENDERS..2 * SENDERS)
            .map(|i| key(i).map(|k| k.address()))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            node,
            l2: L2Client::connect(&node.l2_url()).await?,
            rpc: L1::connect(&node.l2_url(), None).await?,
            senders,
            receivers,
        })
    }

    async fn make(&self, report: &mut Report) -> Outcome<(Batch, Batch)> {
        let bank = &self.node.keys().rich[0];
        let wallet = L1Wallet::new(self.rpc.clone(), bank.clone());
        let token = deploy_test_token(&wallet, "Bench", "BENCH", 18).await?;
        let first = self.rpc.read("eth_getTransactionCount", |p| {
            let account = bank.address();
            async move { p.get_transaction_count(account).pending().await }
        });
        let mut nonce = first.await?;
        let mut setup = Vec::new();
        let all = self.senders.iter().map(|k| k.address()).chain(self.receivers.iter().copied());
        for account in all {
            setup.push(self.sign(bank, nonce, account, ALLOWANCE, Bytes::new()).await?);
            let mint = Erc20::mintCall { to: account, amount: U256::from(1u64 << 40) };
            setup.push(self.sign(bank, nonce + 1, token, 0, mint.abi_encode().into()).await?);
            nonce += 2;
        }
        // One account's transactions, so in order.
        self.send(&[setup.clone()]).await?;
        self.sealed(setup.last().map(|(hash, _)| *hash)).await?;
        let mut made = Vec::new();
        let mut nonce = 0;
        for (name, token) in [("ETH", None), ("ERC-20", Some(token))] {
            report.wait(&format!("a batch of {SENDERS} transfers of {name}"));
            made.push(self.batch(token, &mut nonce).await?);
        }
        let erc20 = made.pop().ok_or("no batch")?;
        Ok((made.pop().ok_or("no batch")?, erc20))
    }

    /// One batch that holds exactly one transfer of every sender.
    async fn batch(&self, token: Option<Address>, nonce: &mut u64) -> Outcome<Batch> {
        for _ in 0..ATTEMPTS {
            let mut txs = Vec::new();
            for (key, &to) in self.senders.iter().zip(&self.receivers) {
                let tx = match token {
                    None => self.sign(key, *nonce, to, 1, Bytes::new()).await?,
                    Some(token) => {
                        let call = Erc20::transferCall { to, amount: U256::from(1) }.abi_encode();
                        self.sign(key, *nonce, token, 0, call.into()).await?
                    }
                };
                txs.push(tx);
            }
            *nonce += 1;
            let lanes: Vec<_> = txs.chunks(SENDERS.div_ceil(LANES)).map(<[_]>::to_vec).collect();
            self.send(&lanes).await?;
            let number = self.sealed(txs.last().map(|(hash, _)| *hash)).await?;
            let storage = self.node.storage();
            let record = storage.batch(number)?.ok_or("the batch vanished")?;
            if record.tx_count == SENDERS as u64 {
                let witness = storage.batch_witness(number)?.ok_or("the witness was dropped")?;
                return Ok(Batch { witness, transactions: record.tx_count });
            }
        }
        Err(format!("{SENDERS} transfers did not come into one batch in {ATTEMPTS} attempts; the machine is too busy for a benchmark").into())
    }

    async fn sign(
        &self,
        key: &PrivateKeySigner,
        nonce: u64,
        to: Address,
        value: u128,
        input: Bytes,
    ) -> Outcome<(B256, Bytes)> {
        let gas = if input.is_empty() { 21_000 } else { 120_000 };
        let tx = TransactionRequest::default()
            .with_from(key.address())
            .with_nonce(nonce)
            .with_chain_id(self.rpc.chain_id())
            .with_max_fee_per_gas(10_000_000_000)
            .with_max_priority_fee_per_gas(0)
            .with_gas_limit(gas)
            .with_value(U256::from(value))
            .to(to)
            .input(TransactionInput::both(input));
        let signed: TxEnvelope = tx.build(&EthereumWallet::from(key.clone())).await?;
        Ok((*signed.tx_hash(), signed.encoded_2718().into()))
    }

    /// Sends every lane's transactions in order, the lanes side by side.
    async fn send(&self, lanes: &[Vec<(B256, Bytes)>]) -> Outcome<()> {
        let mut tasks = tokio::task::JoinSet::new();
        for lane in lanes {
            let lane = lane.clone();
            let provider = self.rpc.provider().clone();
            tasks.spawn(async move {
                for (_, raw) in &lane {
                    let _pending =
                        provider.send_raw_transaction(raw).await.map_err(|e| e.to_string())?;
                }
                Ok::<(), String>(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok(())
    }

    /// The batch of a transaction, once it is sealed.
    async fn sealed(&self, tx: Option<B256>) -> Outcome<u64> {
        let tx = tx.ok_or("nothing was sent")?;
        let until = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < until {
            self.node.check()?;
            if let Some(number) = self.l2.batch_of(tx).await? {
                return Ok(number);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!("{} was not in a batch within {} s", json!(tx), PATIENCE.as_secs()).into())
    }
}
