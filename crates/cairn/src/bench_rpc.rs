//! `cairn bench rpc`: transactions through JSON-RPC, on this node and on a peer, measured in turn in one run.

use std::{
    error::Error,
    process::ExitCode,
    time::{Duration, Instant},
};

use alloy_consensus::TxEnvelope;
use alloy_eips::eip2718::Encodable2718;
use alloy_network::{EthereumWallet, NetworkTransactionBuilder, TransactionBuilder};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_provider::Provider;
use alloy_rpc_types::{TransactionInput, TransactionRequest};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolCall;
use cairn_settlement::{
    bindings::Erc20,
    deploy::deploy_test_token,
    l1::{L1, L1Wallet, Send},
    verifier::VerifierKind,
};
use serde_json::{Value, json};

use crate::{
    cli::BenchRpcArgs,
    keys::DevKeys,
    node::{Node, NodeConfig},
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Accounts that send in parallel when nothing is awaited.
const SENDERS: usize = 8;
/// Longest wait for the last receipt.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a transaction offers at least, in wei: a flood must not outrun its own fees on a chain whose base fee rises with it.
const MAX_FEE: u128 = 100_000_000_000;

/// What is sent.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Eth,
    Erc20(Address),
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Eth => "eth_transfer",
            Self::Erc20(_) => "erc20_transfer",
        }
    }
}

/// A node under test.
struct Target {
    name: String,
    rpc: L1,
    keys: Vec<PrivateKeySigner>,
}

/// Runs the command.
pub async fn run(args: BenchRpcArgs) -> Outcome<ExitCode> {
    let scratch = tempfile::tempdir()?;
    // What is measured is the node. A prover takes every core that it gets, and belongs on a machine of its own under load.
    let mut config = NodeConfig::demo(scratch.path().to_owned(), None, VerifierKind::Attesters);
    config.fund_accounts = true;
    let node = Node::start(config).await?;
    let mut targets = vec![Target::new("cairn", &node.l2_url()).await?];
    if let Some(url) = &args.peer {
        targets.push(Target::new("peer", url).await?);
    }
    let mut figures = Vec::new();
    for target in &targets {
        let token = target.deploy().await?;
        for kind in [Kind::Eth, Kind::Erc20(token)] {
            let serial = target.serial(kind, args.serial).await?;
            let flood = target.flood(kind, args.flood).await?;
            figures.push(figure(&target.name, kind, &args, serial, flood));
        }
    }
    node.stop().await?;
    if args.json {
        say!("{}", json!({ "figures": figures }));
    } else {
        show(&figures);
    }
    Ok(ExitCode::SUCCESS)
}

fn figure(
    target: &str,
    kind: Kind,
    args: &BenchRpcArgs,
    serial: Duration,
    flood: Duration,
) -> Value {
    json!({
        "target": target, "kind": kind.name(),
        "serial_ms_per_tx": serial.as_secs_f64() * 1e3 / args.serial.max(1) as f64,
        "flood_tps": args.flood as f64 / flood.as_secs_f64(),
    })
}

fn show(figures: &[Value]) {
    say!(
        "{:<8} {:<16} {:>22} {:>12}",
        "node",
        "transactions",
        "send and await, ms/tx",
        "flood, TPS"
    );
    for f in figures {
        say!(
            "{:<8} {:<16} {:>22.2} {:>12.0}",
            f["target"].as_str().unwrap_or_default(),
            f["kind"].as_str().unwrap_or_default(),
            f["serial_ms_per_tx"].as_f64().unwrap_or_default(),
            f["flood_tps"].as_f64().unwrap_or_default(),
        );
    }
}

impl Target {
    async fn new(name: &str, url: &str) -> Outcome<Self> {
        let rpc = L1::connect(url, None).await?;
        Ok(Self { name: name.to_owned(), rpc, keys: DevKeys::derive().rich })
    }

    /// A token of which every sender has plenty.
    async fn deploy(&self) -> Outcome<Address> {
        let wallet = L1Wallet::new(self.rpc.clone(), self.keys[0].clone());
        let token = deploy_test_token(&wallet, "Bench", "BENCH", 18).await?;
        for key in self.keys.iter().take(SENDERS) {
            let mint = Erc20::mintCall { to: key.address(), amount: U256::from(1u64 << 40) };
            wallet.send(Send::call("mint", token, mint)).await?;
        }
        Ok(token)
    }

    async fn nonce(&self, account: Address) -> Outcome<u64> {
        let ask = |p: alloy_provider::DynProvider| async move {
            p.get_transaction_count(account).pending().await
        };
        Ok(self.rpc.read("eth_getTransactionCount", ask).await?)
    }

    /// Signs `count` transactions of one sender.
    async fn sign(
        &self,
        key: &PrivateKeySigner,
        kind: Kind,
        count: u64,
    ) -> Outcome<Vec<(B256, Bytes)>> {
        let first = self.nonce(key.address()).await?;
        let fees = self
            .rpc
            .read("eth_feeHistory", |p| async move { p.estimate_eip1559_fees().await })
            .await?;
        let wallet = EthereumWallet::from(key.clone());
        let mut out = Vec::with_capacity(count as usize);
        for nonce in first..first + count {
            let mut tx = TransactionRequest::default()
                .with_from(key.address())
                .with_nonce(nonce)
                .with_chain_id(self.rpc.chain_id())
                .with_max_fee_per_gas(fees.max_fee_per_gas.max(MAX_FEE))
                .with_max_priority_fee_per_gas(fees.max_priority_fee_per_gas);
            // Every sender pays the same two, so that no new account is made each time.
            let to = Address::repeat_byte(0x77);
            tx = match kind {
                Kind::Eth => tx.with_value(U256::from(1)).with_gas_limit(21_000).to(to),
                Kind::Erc20(token) => {
                    let call = Erc20::transferCall { to, amount: U256::from(1) }.abi_encode();
                    tx.with_gas_limit(80_000).to(token).input(TransactionInput::both(call.into()))
                }
            };
            debug_assert!(matches!(tx.to, Some(TxKind::Call(_))));
            let signed: TxEnvelope = tx.build(&wallet).await?;
            out.push((*signed.tx_hash(), signed.encoded_2718().into()));
        }
        Ok(out)
    }

    async fn submit(rpc: &L1, raw: &Bytes) -> Outcome<()> {
        let _pending = rpc.provider().send_raw_transaction(raw).await?;
        Ok(())
    }

    async fn receipt(rpc: &L1, hash: B256) -> Outcome<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(receipt) = rpc.provider().get_transaction_receipt(hash).await? {
                return if receipt.status() { Ok(()) } else { Err("a transfer failed".into()) };
            }
            if Instant::now() > until {
                return Err(format!("no receipt of {hash} within {} s", PATIENCE.as_secs()).into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// One after the other: send, await the receipt.
    async fn serial(&self, kind: Kind, count: u64) -> Outcome<Duration> {
        let txs = self.sign(&self.keys[0], kind, count).await?;
        let started = Instant::now();
        for (hash, raw) in &txs {
            Self::submit(&self.rpc, raw).await?;
            Self::receipt(&self.rpc, *hash).await?;
        }
        Ok(started.elapsed())
    }

    /// As quickly as the node takes them, from several accounts; until the last is in a block.
    async fn flood(&self, kind: Kind, count: u64) -> Outcome<Duration> {
        let mut lanes = Vec::new();
        for key in self.keys.iter().take(SENDERS) {
            lanes.push(self.sign(key, kind, count.div_ceil(SENDERS as u64)).await?);
        }
        let started = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for lane in lanes {
            let rpc = self.rpc.clone();
            tasks.spawn(async move {
                for (_, raw) in &lane {
                    Self::submit(&rpc, raw).await.map_err(|e| e.to_string())?;
                }
                match lane.last() {
                    Some((hash, _)) => Self::receipt(&rpc, *hash).await.map_err(|e| e.to_string()),
                    None => Ok(()),
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok(started.elapsed())
    }
}
