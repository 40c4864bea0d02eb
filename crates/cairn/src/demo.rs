//! `cairn demo`: everything at work once, checked to the last wei.

use std::{collections::BTreeMap, error::Error, path::PathBuf, process::ExitCode, time::Duration};

use alloy_primitives::{Address, B256, Bytes, U256, utils::format_ether};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolValue;
use cairn_primitives::{address, config::asset_id};
use cairn_prover::verify::{self, ExecutionProof};
use cairn_settlement::{
    artifacts::artifact,
    bindings::{Erc20, L2AssetRouter, L2BaseToken},
    bridge::{Bridge, Deposit},
    deploy::deploy_test_token,
    l1::{L1, L1Wallet, Send},
};
use serde_json::{Value, json};

use crate::{
    cli::DemoArgs,
    demo_accounts, guest,
    l2_client::{BatchView, L2Client, ProvingView},
    node::{Node, NodeConfig},
    prover_role,
    report::Report,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Longest wait for a deposit or a block.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for a batch to be final.
const FINALITY_PATIENCE: Duration = Duration::from_secs(600);

/// Longest wait for a batch's validity proof.
const PROOF_PATIENCE: Duration = Duration::from_secs(1_800);

/// One ether in wei.
const ETHER: u128 = 1_000_000_000_000_000_000;

/// Runs the demo and says so with its exit code.
pub async fn run(args: DemoArgs) -> Outcome<ExitCode> {
    let mut report = Report::new(args.json);
    let scratch;
    let data_dir = match &args.data_dir {
        Some(dir) => dir.clone(),
        None => {
            scratch = tempfile::tempdir()?;
            scratch.path().to_owned()
        }
    };
    report.heading("Cairn: a rollup, its L1 and its bridge on this machine");
    report.wait("starting");
    let prove = !args.no_prove;
    let config = NodeConfig { prove, ..NodeConfig::demo(data_dir.clone(), args.l1.clone()) };
    let node = Node::start(config).await?;
    let proofs = prove.then_some(data_dir);
    let outcome = Demo::new(&node, &mut report, proofs).await?.run().await;
    let stopped = node.stop().await;
    let l1 = args.l1.as_deref().unwrap_or("embedded");
    match outcome {
        Ok(mut summary) => {
            stopped?;
            summary["ok"] = json!(true);
            summary["l1"] = json!(l1);
            report.heading("Everything checked: balances on both sides, to the last wei.");
            report.summary(summary);
            Ok(ExitCode::SUCCESS)
        }
        Err(e) => {
            report.summary(json!({ "ok": false, "l1": l1, "error": e.to_string() }));
            Err(e)
        }
    }
}

/// What the demo knows while it runs.
struct Demo<'a> {
    node: &'a Node,
    report: &'a mut Report,
    l2: L2Client,
    /// The demo's user, on L1 and on L2.
    user_l1: L1Wallet,
    user_l2: L1Wallet,
    /// Somebody else, who receives.
    friend: Address,
    /// A fresh account on L1: what arrives there is exactly what was withdrawn.
    receiver: Address,
    seen: BTreeMap<u64, &'static str>,
    /// Data directory whose prover's proofs are awaited.
    proofs: Option<PathBuf>,
}

/// A withdrawal under way.
struct Withdrawal {
    token: &'static str,
    amount: U256,
    tx: B256,
}

impl<'a> Demo<'a> {
    async fn new(node: &'a Node, report: &'a mut Report, proofs: Option<PathBuf>) -> Outcome<Self> {
        let l2 = L2Client::connect(&node.l2_url()).await?;
        let l1 = L1::connect(node.l1_url(), Some(node.network().ecosystem.l1_chain_id)).await?;
        let user = node.keys().rich[0].clone();
        Ok(Self {
            user_l1: L1Wallet::new(l1, user.clone()),
            user_l2: l2.wallet(user),
            l2,
            friend: PrivateKeySigner::random().address(),
            receiver: PrivateKeySigner::random().address(),
            node,
            report,
            seen: BTreeMap::new(),
            proofs,
        })
    }

    async fn run(mut self) -> Outcome<Value> {
        self.introduce();
        self.report.heading("Deposits from L1");
        let token = self.create_l1_token().await?;
        let eth = self.deposit_eth(U256::from(10 * ETHER)).await?;
        let erc20 = self.deposit_token(token, U256::from(1_000 * ETHER)).await?;
        let l2_token = self.show_l2_balances(token).await?;

        self.report.heading("Life on the rollup");
        self.transfer_eth(U256::from(ETHER)).await?;
        self.deploy_and_use_token().await?;

        self.report.heading("Smart accounts and paymasters");
        let accounts = self.accounts().await?;

        self.report.heading("Withdrawals to L1");
        let withdrawals = vec![
            self.withdraw_eth(U256::from(2 * ETHER)).await?,
            self.withdraw_token(token, l2_token, U256::from(400 * ETHER)).await?,
        ];
        let last = self.follow_to_finality(&withdrawals).await?;
        for w in &withdrawals {
            self.finalize(w).await?;
        }
        self.check_l1(token).await?;
        let proofs = self.check_proofs(last).await?;
        let mut batches = self.batches(last).await?;
        batches.iter_mut().zip(proofs).for_each(|(batch, proof)| batch["proof"] = proof);
        Ok(json!({
            "chain_id": self.node.network().config.chain_id,
            "batches": batches,
            "deposits": self.settled_deposits(vec![eth, erc20]).await?,
            "withdrawals": withdrawals.iter().map(|w| json!({
                "token": w.token, "amount": w.amount.to_string(), "l2_tx": w.tx, "status": "finalized",
            })).collect::<Vec<_>>(),
            "accounts": accounts,
            "seconds": self.report.seconds(),
        }))
    }

    /// A gasless transaction, a fee in tokens, and a passkey: their transactions settle with all others.
    async fn accounts(&mut self) -> Outcome<Value> {
        self.report.wait("deploying paymasters and accounts");
        let paymasters = demo_accounts::deploy_paymasters(&self.l2, &self.user_l2).await?;
        let chain_id = self.node.network().config.chain_id;
        let steps = demo_accounts::show(&self.l2, &self.user_l2, paymasters, chain_id).await?;
        for step in &steps {
            self.report.event("account", step.json(), &step.words);
        }
        Ok(steps.iter().map(demo_accounts::Step::json).collect())
    }

    fn introduce(&mut self) {
        let network = self.node.network();
        let fields = json!({
            "l1_url": self.node.l1_url(), "l1_chain_id": network.ecosystem.l1_chain_id,
            "l2_url": self.node.l2_url(), "chain_id": network.config.chain_id,
            "bridgehub": network.ecosystem.bridgehub, "chain": network.chain.address,
        });
        let words = format!(
            "L1 (chain {}) with the contracts, and rollup {} are up",
            network.ecosystem.l1_chain_id, network.config.chain_id
        );
        self.report.event("started", fields, &words);
        self.report.line(&format!("L1 {}   L2 {}", self.node.l1_url(), self.node.l2_url()));
        self.report.line(&format!(
            "bridgehub {}   chain contract {}",
            network.ecosystem.bridgehub, network.chain.address
        ));
    }

    fn bridge(&self) -> Bridge<'_> {
        let network = self.node.network();
        Bridge::new(
            &self.user_l1,
            &network.ecosystem,
            network.config.chain_id,
            network.chain.address,
        )
    }

    async fn create_l1_token(&mut self) -> Outcome<Address> {
        self.report.wait("deploying an ERC-20 on L1");
        let token = deploy_test_token(&self.user_l1, "Cairn Demo Token", "DEMO", 18).await?;
        let mint =
            Erc20::mintCall { to: self.user_l1.address(), amount: U256::from(5_000 * ETHER) };
        self.user_l1.send(Send::call("mint", token, mint)).await?;
        self.report.event(
            "l1_token",
            json!({ "token": token }),
            &format!("ERC-20 DEMO on L1: {token}"),
        );
        Ok(token)
    }

    async fn deposit_eth(&mut self, amount: U256) -> Outcome<Value> {
        let user = self.user_l1.address();
        let before = self.l2.balance(user).await?;
        self.report.wait("depositing ETH");
        let deposit = self.bridge().deposit_eth(user, amount).await?;
        self.arrived("ETH", &deposit).await?;
        let after = self.l2.balance(user).await?;
        // What the deposit did not need of its gas comes back to the user as well.
        ensure(after >= before + amount, "the deposited ETH is on L2")?;
        self.deposited("ETH", &deposit, amount)
    }

    async fn deposit_token(&mut self, token: Address, amount: U256) -> Outcome<Value> {
        let user = self.user_l1.address();
        self.report.wait("depositing the ERC-20");
        let deposit = self.bridge().deposit_erc20(token, user, amount).await?;
        self.arrived("DEMO", &deposit).await?;
        self.deposited("DEMO", &deposit, amount)
    }

    async fn arrived(&mut self, token: &str, deposit: &Deposit) -> Outcome<()> {
        self.report.wait(&format!("the rollup takes the deposit of {token}"));
        let receipt = self.l2.wait_receipt(deposit.l2_tx, PATIENCE).await?;
        ensure(receipt["status"] == "0x1", &format!("the deposit of {token} succeeded on L2"))
    }

    fn deposited(&mut self, token: &str, deposit: &Deposit, amount: U256) -> Outcome<Value> {
        let record = json!({
            "token": token, "amount": amount.to_string(), "status": "executed",
            "l1_tx": deposit.l1_tx, "l2_tx": deposit.l2_tx,
        });
        let words = format!(
            "deposited {} {token}, executed on L2 as {}",
            format_ether(amount),
            deposit.l2_tx
        );
        self.report.event("deposit", record.clone(), &words);
        Ok(record)
    }

    async fn show_l2_balances(&mut self, token: Address) -> Outcome<Address> {
        let user = self.user_l2.address();
        let eth = self.l2.balance(user).await?;
        let call = L2AssetRouter::l2TokenAddressCall { l1Token: token };
        let l2_token = self.l2.call(address::L2_ASSET_ROUTER, call).await?;
        let tokens = self.l2.call(l2_token, Erc20::balanceOfCall { account: user }).await?;
        ensure(tokens == U256::from(1_000 * ETHER), "the deposited tokens are on L2")?;
        let fields = json!({ "account": user, "eth": eth.to_string(), "token": l2_token, "tokens": tokens.to_string() });
        let words =
            format!("on L2 {user} has {} ETH and {} DEMO", format_ether(eth), format_ether(tokens));
        self.report.event("l2_balances", fields, &words);
        Ok(l2_token)
    }

    async fn transfer_eth(&mut self, amount: U256) -> Outcome<()> {
        let user = self.user_l2.address();
        let before = self.l2.balance(user).await?;
        let send = Send {
            what: "transfer".to_owned(),
            to: Some(self.friend),
            value: amount,
            ..Send::default()
        };
        let receipt = self.user_l2.send(send).await?;
        let fee = U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price);
        ensure(self.l2.balance(self.friend).await? == amount, "the friend has the ETH")?;
        ensure(
            self.l2.balance(user).await? == before - amount - fee,
            "the sender paid value and fee, no more",
        )?;
        let fields = json!({ "tx": receipt.transaction_hash, "amount": amount.to_string(), "gas": receipt.gas_used });
        let words =
            format!("sent {} ETH to a friend for {} gas", format_ether(amount), receipt.gas_used);
        self.report.event("transfer", fields, &words);
        Ok(())
    }

    async fn deploy_and_use_token(&mut self) -> Outcome<()> {
        let token = deploy_test_token(&self.user_l2, "Made on L2", "MADE", 18).await?;
        let user = self.user_l2.address();
        let mint = Erc20::mintCall { to: user, amount: U256::from(100) };
        self.user_l2.send(Send::call("mint", token, mint)).await?;
        let transfer = Erc20::transferCall { to: self.friend, amount: U256::from(42) };
        let receipt = self.user_l2.send(Send::call("transfer", token, transfer)).await?;
        for (who, expected) in [(user, 58u64), (self.friend, 42)] {
            let balance = self.l2.call(token, Erc20::balanceOfCall { account: who }).await?;
            ensure(balance == U256::from(expected), "the new token's balances are right")?;
        }
        let size = artifact("TestERC20")?.bytecode.len();
        let fields = json!({ "token": token, "transfer_tx": receipt.transaction_hash, "gas": receipt.gas_used });
        let words = format!(
            "deployed an ERC-20 ({size} bytes of plain solc output) and moved it for {} gas",
            receipt.gas_used
        );
        self.report.event("l2_token", fields, &words);
        Ok(())
    }

    async fn withdraw_eth(&mut self, amount: U256) -> Outcome<Withdrawal> {
        let call = L2BaseToken::withdrawCall { l1Receiver: self.receiver };
        let send = Send::call("withdrawal of ETH", address::BASE_TOKEN, call).value(amount);
        let receipt = self.user_l2.send(send).await?;
        self.withdrawn("ETH", amount, receipt.transaction_hash)
    }

    async fn withdraw_token(
        &mut self,
        token: Address,
        l2_token: Address,
        amount: U256,
    ) -> Outcome<Withdrawal> {
        let user = self.user_l2.address();
        let before = self.l2.call(l2_token, Erc20::balanceOfCall { account: user }).await?;
        let data = (amount, self.receiver, l2_token).abi_encode_params();
        let call = L2AssetRouter::withdrawCall {
            assetId: asset_id(self.node.network().ecosystem.l1_chain_id, token),
            assetData: Bytes::from(data),
        };
        let send = Send::call("withdrawal of the token", address::L2_ASSET_ROUTER, call);
        let receipt = self.user_l2.send(send).await?;
        let after = self.l2.call(l2_token, Erc20::balanceOfCall { account: user }).await?;
        ensure(after == before - amount, "the withdrawn tokens left L2")?;
        self.withdrawn("DEMO", amount, receipt.transaction_hash)
    }

    fn withdrawn(&mut self, token: &'static str, amount: U256, tx: B256) -> Outcome<Withdrawal> {
        let fields = json!({ "token": token, "amount": amount.to_string(), "l2_tx": tx });
        let words = format!("withdrawal of {} {token} starts in {tx}", format_ether(amount));
        self.report.event("withdrawal", fields, &words);
        Ok(Withdrawal { token, amount, tx })
    }

    /// Follows every batch up to the last withdrawal's until it is final; returns that batch.
    async fn follow_to_finality(&mut self, withdrawals: &[Withdrawal]) -> Outcome<u64> {
        self.report.heading("Batches on their way to L1");
        let deadline = tokio::time::Instant::now() + FINALITY_PATIENCE;
        let mut last = None;
        loop {
            self.node.check()?;
            if last.is_none() {
                last = self.batch_of_all(withdrawals).await?;
            }
            let newest = self.l2.newest_batch().await?;
            for number in 1..=newest {
                self.look_at(number).await?;
            }
            let open = self.seen.iter().find(|(_, s)| **s != "finalized").map(|(n, s)| (*n, *s));
            match (last, open) {
                (Some(last), None) if newest >= last => return Ok(last),
                (_, Some((n, s))) => self.report.wait(&format!("batch {n} is {s}")),
                _ => self.report.wait("the batch is pending"),
            }
            if tokio::time::Instant::now() > deadline {
                return Err(format!("no finality within {} s", FINALITY_PATIENCE.as_secs()).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn batch_of_all(&self, withdrawals: &[Withdrawal]) -> Outcome<Option<u64>> {
        let mut last = 0;
        for w in withdrawals {
            match self.l2.batch_of(w.tx).await? {
                Some(batch) => last = last.max(batch),
                None => return Ok(None),
            }
        }
        Ok(Some(last))
    }

    async fn look_at(&mut self, number: u64) -> Outcome<()> {
        let known = self.seen.get(&number).copied();
        if known == Some("finalized") {
            return Ok(());
        }
        let Some(batch) = self.l2.batch(number).await? else { return Ok(()) };
        if known.is_none() {
            let fields = json!({ "number": number, "status": "pending" });
            self.report.event("batch", fields, &format!("batch {number} pending"));
        }
        // A quick L1 can take several steps between two looks; each is told.
        let order = ["processed", "committed", "proven", "finalized"];
        let from = known.and_then(|k| order.iter().position(|o| *o == k)).map_or(0, |i| i + 1);
        let to = order.iter().position(|o| *o == batch.status).unwrap_or_default();
        for status in order.iter().take(to + 1).skip(from) {
            self.tell(&batch, status);
            self.seen.insert(number, status);
        }
        Ok(())
    }

    fn tell(&mut self, batch: &BatchView, status: &str) {
        let tx = match status {
            "committed" => batch.commit_tx,
            "proven" => batch.prove_tx,
            "finalized" => batch.execute_tx,
            _ => None,
        };
        let fields =
            json!({ "number": batch.number, "status": status, "txs": batch.txs, "l1_tx": tx });
        let on_l1 = tx.map(|t| format!(" in L1 transaction {t}")).unwrap_or_default();
        let words = format!("batch {} ({} transactions) {status}{on_l1}", batch.number, batch.txs);
        self.report.event("batch", fields, &words);
    }

    async fn finalize(&mut self, w: &Withdrawal) -> Outcome<()> {
        self.report.wait(&format!("finalizing the withdrawal of {}", w.token));
        let proof =
            self.l2.withdrawal_proof(w.tx).await?.ok_or("the withdrawal has no proof yet")?;
        ensure(
            !self.bridge().is_finalized(proof.batch, proof.log_index).await?,
            "the withdrawal is open",
        )?;
        let receipt = self.bridge().finalize(&proof).await?;
        ensure(
            self.bridge().is_finalized(proof.batch, proof.log_index).await?,
            "the withdrawal is finalized",
        )?;
        // A message is consumed once.
        ensure(self.bridge().finalize(&proof).await.is_err(), "a second finalization is refused")?;
        let fields =
            json!({ "token": w.token, "l1_tx": receipt.transaction_hash, "gas": receipt.gas_used });
        let words =
            format!("finalized the withdrawal of {} {} on L1", format_ether(w.amount), w.token);
        self.report.event("finalized", fields, &words);
        Ok(())
    }

    async fn check_l1(&mut self, token: Address) -> Outcome<()> {
        let l1 = self.user_l1.l1();
        let eth = l1.balance(self.receiver).await?;
        let tokens = l1.call(token, Erc20::balanceOfCall { account: self.receiver }).await?;
        ensure(eth == U256::from(2 * ETHER), "the withdrawn ETH is on L1")?;
        ensure(tokens == U256::from(400 * ETHER), "the withdrawn tokens are on L1")?;
        let fields = json!({ "account": self.receiver, "eth": eth.to_string(), "tokens": tokens.to_string() });
        let words = format!(
            "on L1 {} has {} ETH and {} DEMO",
            self.receiver,
            format_ether(eth),
            format_ether(tokens)
        );
        self.report.event("l1_balances", fields, &words);
        Ok(())
    }

    /// Waits for every batch's validity proof and verifies it from the proof, the program id and the public input on L1's record alone.
    async fn check_proofs(&mut self, last: u64) -> Outcome<Vec<Value>> {
        let Some(dir) = self.proofs.clone() else { return Ok(Vec::new()) };
        self.report.heading("Validity proofs, made beside all this");
        let mut proofs = Vec::new();
        for number in 1..=last {
            let made = self.await_proof(number).await?;
            let bytes = std::fs::read(prover_role::proof_path(&dir, number))?;
            let public_input = self.node.public_input(number)?;
            let verified = tokio::task::spawn_blocking(move || -> Result<(), String> {
                let proof: ExecutionProof =
                    verify::decode(&bytes, verify::MAX_PROOF_BYTES).map_err(|e| e.to_string())?;
                verify::verify(&guest::program_id(), &public_input, &proof)
                    .map_err(|e| e.to_string())
            });
            verified.await??;
            let seconds = made.spent_ms as f64 / 1000.0;
            let fields = json!({
                "number": number, "cycles": made.cycles, "shards": made.shards, "bytes": made.proof_bytes,
                "seconds": seconds, "public_input": public_input, "program_id": guest::program_id(),
                "proven_bits": cairn_prover::security::report().bits, "verified": true,
            });
            let words = format!(
                "batch {number}: {} cycles proven in {} shards, {seconds:.1} s; verified against its public input",
                made.cycles, made.shards
            );
            self.report.event("proof", fields.clone(), &words);
            proofs.push(fields);
        }
        Ok(proofs)
    }

    async fn await_proof(&mut self, number: u64) -> Outcome<ProvingView> {
        let deadline = tokio::time::Instant::now() + PROOF_PATIENCE;
        loop {
            self.node.check()?;
            let batch = self.l2.batch(number).await?.ok_or("a batch vanished")?;
            match batch.proving {
                Some(p) if p.status == "proven" => return Ok(p),
                Some(p) if p.status == "failed" => {
                    let reason = p.failure.unwrap_or_default();
                    return Err(format!("batch {number} cannot be proven: {reason}").into());
                }
                Some(p) => self
                    .report
                    .wait(&format!("batch {number}: {} of {} shards proven", p.done, p.shards)),
                None => self.report.wait(&format!("batch {number} waits for the prover")),
            }
            if tokio::time::Instant::now() > deadline {
                return Err(format!("no proof within {} s", PROOF_PATIENCE.as_secs()).into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The deposits with the status of the batches that hold them.
    async fn settled_deposits(&self, mut deposits: Vec<Value>) -> Outcome<Vec<Value>> {
        for deposit in &mut deposits {
            let tx: B256 = serde_json::from_value(deposit["l2_tx"].clone())?;
            let number = self.l2.batch_of(tx).await?.ok_or("a deposit is in no batch")?;
            let batch = self.l2.batch(number).await?.ok_or("a batch vanished")?;
            deposit["status"] = json!(batch.status);
            deposit["batch"] = json!(number);
            ensure(batch.status == "finalized", "every deposit is final")?;
        }
        Ok(deposits)
    }

    async fn batches(&self, last: u64) -> Outcome<Vec<Value>> {
        let mut out = Vec::new();
        for number in 1..=last {
            let b = self.l2.batch(number).await?.ok_or("a batch vanished")?;
            ensure(b.status == "finalized", "every batch is final")?;
            out.push(json!({
                "number": b.number, "status": b.status, "txs": b.txs,
                "commit_tx": b.commit_tx, "prove_tx": b.prove_tx, "execute_tx": b.execute_tx,
            }));
        }
        Ok(out)
    }
}

/// Fails the demo when something that must be true is not.
fn ensure(holds: bool, what: &str) -> Outcome<()> {
    if holds { Ok(()) } else { Err(format!("not true: {what}").into()) }
}
