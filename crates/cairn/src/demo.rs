//! `cairn demo`: everything at work once, checked to the last wei.

use std::{
    collections::BTreeMap,
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use alloy_primitives::{Address, B256, Bytes, U256, utils::format_ether};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolValue;
use cairn_aggregator::Verifier;
use cairn_primitives::{address, config::asset_id};
use cairn_settlement::{
    artifacts::artifact,
    bindings::{Erc20, L2AssetRouter, L2BaseToken},
    bridge::{Bridge, Deposit},
    deploy::deploy_test_token,
    l1::{L1, L1Wallet, Send},
    verifier::{VerifierKind, proof_bytes},
};
use serde_json::{Value, json};

use crate::{
    batch_states::{BatchStates, Seen},
    books::{Balances, Books, Change, ENTRIES, Entry},
    cli::DemoArgs,
    demo_accounts, files,
    final_file::{self, FinalFile},
    l2_client::{BatchView, L2Client, ProvingView},
    node::{Node, NodeConfig},
    report::Report,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Longest wait for a deposit or a block.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for attested batches to be final.
const FINALITY_PATIENCE: Duration = Duration::from_secs(600);
/// Longest wait for proven batches to be final.
const PROOF_PATIENCE: Duration = Duration::from_secs(3_600);

/// One ether in wei.
const ETHER: u128 = 1_000_000_000_000_000_000;

/// Runs the demo and says so with its exit code. Whatever goes wrong, the last line for a program is a summary.
pub async fn run(args: DemoArgs) -> Outcome<ExitCode> {
    let mut report = Report::new(args.json);
    let l1 = args.l1.as_deref().unwrap_or("embedded");
    match show(&args, &mut report).await {
        Ok(mut summary) => {
            summary["ok"] = json!(true);
            summary["l1"] = json!(l1);
            report.heading("Everything checked: balances on both sides, to the last wei.");
            if kind(&args) == VerifierKind::Attesters {
                report.line("The batches were attested, not proven: this was no validity rollup.");
            }
            report.summary(summary);
            Ok(ExitCode::SUCCESS)
        }
        Err(e) => {
            report.summary(json!({ "ok": false, "l1": l1, "error": e.to_string() }));
            Err(e)
        }
    }
}

/// What makes the demo's batches final.
fn kind(args: &DemoArgs) -> VerifierKind {
    if args.no_prove { VerifierKind::Attesters } else { args.verifier }
}

/// Starts a network, shows everything on it, and stops it.
async fn show(args: &DemoArgs, report: &mut Report) -> Outcome<Value> {
    let scratch;
    let data_dir: &Path = match &args.data_dir {
        Some(dir) => dir,
        None => {
            scratch = tempfile::tempdir()?;
            scratch.path()
        }
    };
    report.heading("Cairn: a rollup, its L1 and its bridge on this machine");
    report.wait("starting");
    let mut config = NodeConfig::demo(data_dir.to_owned(), args.l1.clone(), kind(args));
    config.da = args.da;
    let node = Node::start(config).await?;
    let outcome = match Demo::new(&node, report, data_dir.to_owned()).await {
        Ok(demo) => demo.run().await,
        Err(e) => Err(e),
    };
    let stopped = node.stop().await;
    let summary = outcome?;
    stopped?;
    Ok(summary)
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
    /// What happens to batches meanwhile.
    states: BatchStates,
    /// What was told of each batch.
    told: BTreeMap<u64, &'static str>,
    data_dir: PathBuf,
}

/// A withdrawal under way.
struct Withdrawal {
    /// In the books.
    entry: Entry,
    token: &'static str,
    amount: U256,
    tx: B256,
}

impl<'a> Demo<'a> {
    async fn new(node: &'a Node, report: &'a mut Report, data_dir: PathBuf) -> Outcome<Self> {
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
            states: BatchStates::follow(node.storage().clone()),
            told: BTreeMap::new(),
            data_dir,
        })
    }

    async fn run(mut self) -> Outcome<Value> {
        self.introduce();
        self.report.heading("Deposits from L1");
        let token = self.create_l1_token().await?;
        let mut balances = self.books(token).read().await?;
        let eth = self.deposit_eth(token, &mut balances, U256::from(10 * ETHER)).await?;
        let erc20 = self.deposit_token(token, &mut balances, U256::from(1_000 * ETHER)).await?;
        let l2_token = self.show_l2_balances(token, &balances).await?;
        self.tell_batches().await?;

        self.report.heading("Life on the rollup");
        self.transfer_eth(U256::from(ETHER)).await?;
        self.deploy_and_use_token().await?;
        self.tell_batches().await?;

        self.report.heading("Smart accounts and paymasters");
        let accounts = self.accounts().await?;
        self.tell_batches().await?;

        self.report.heading("Withdrawals to L1");
        let withdrawals = vec![
            self.withdraw_eth(U256::from(2 * ETHER)).await?,
            self.withdraw_token(token, l2_token, U256::from(400 * ETHER)).await?,
        ];
        self.book_life(token, &mut balances, &withdrawals).await?;
        let last = self.follow_to_finality(&withdrawals).await?;
        // Settlement moves nobody's assets.
        let settled = self.books(token).read().await?;
        self.agree("settlement", &mut balances, settled, Change::default())?;
        for w in &withdrawals {
            self.finalize(w).await?;
        }
        self.book_finalization(token, &mut balances, &withdrawals).await?;
        self.show_l1_balances(&balances);
        self.check_proofs(last).await?;
        Ok(json!({
            "chain_id": self.node.network().config.chain_id,
            "verifier": self.kind(),
            "da": self.node.network().da,
            "batches": self.batches(last).await?,
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
            "verifier": network.chain.verifiers,
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
        let verifiers = network.chain.verifiers;
        self.report.line(&format!("verifier {}: {}", verifiers.verifier, verifiers.kind.words()));
    }

    fn kind(&self) -> VerifierKind {
        self.node.network().chain.verifiers.kind
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

    fn books(&self, token: Address) -> Books<'_> {
        Books {
            l1: self.user_l1.l1(),
            l2: &self.l2,
            network: self.node.network(),
            user: self.user_l1.address(),
            receiver: self.receiver,
            operator: self.node.keys().operator.address(),
            token,
        }
    }

    /// Compares the books with what the step must have made of them; they are the new ones after that.
    fn agree(
        &mut self,
        step: &str,
        balances: &mut Balances,
        after: Balances,
        change: Change,
    ) -> Outcome<()> {
        change.check(step, balances, &after)?;
        *balances = after;
        let words = format!("after {step} all {ENTRIES} balances are right to the last wei");
        self.report.event("books", json!({ "step": step, "balances": ENTRIES }), &words);
        Ok(())
    }

    /// After a deposit: what it minted left the user and is the vault's; on L2 its fee is the operator's, and all else the user's.
    async fn book_deposit(
        &mut self,
        token: Address,
        balances: &mut Balances,
        deposit: &Deposit,
        tokens: U256,
    ) -> Outcome<()> {
        let receipt = self.l2.wait_receipt(deposit.l2_tx, PATIENCE).await?;
        let books = self.books(token);
        let after = books.read().await?;
        let minted = books.minted(deposit.l1_tx, &receipt).await?;
        let paid = books.paid_on_l1(balances, &after).await?;
        ensure(paid.value == minted.amount, "what the user sent along is what L2 mints")?;
        let change = Change::default()
            .lose(Entry::UserEthL1, paid.fees)
            .lose(Entry::UserEthL1, minted.amount)
            .gain(Entry::VaultEth, minted.amount)
            .gain(Entry::ChainEth, minted.amount)
            .gain(Entry::SupplyL2, minted.amount)
            .gain(Entry::UserEthL2, minted.amount)
            .lose(Entry::UserEthL2, minted.fee)
            .gain(Entry::FeesL2, minted.fee)
            .lose(Entry::UserTokenL1, tokens)
            .gain(Entry::VaultToken, tokens)
            .gain(Entry::ChainToken, tokens)
            .gain(Entry::UserTokenL2, tokens)
            .gain(Entry::TokenSupplyL2, tokens);
        let step = if tokens.is_zero() { "the deposit of ETH" } else { "the deposit of DEMO" };
        after.check_backing(step)?;
        self.agree(step, balances, after, change)
    }

    /// After everything on L2: the user paid for the own transactions, the operator got everybody's fees, and what was withdrawn is gone.
    async fn book_life(
        &mut self,
        token: Address,
        balances: &mut Balances,
        withdrawals: &[Withdrawal],
    ) -> Outcome<()> {
        let books = self.books(token);
        let after = books.read().await?;
        let paid = books.paid_on_l2(balances, &after).await?;
        let mut change = Change::default()
            .lose(Entry::UserEthL2, paid.fees)
            .lose(Entry::UserEthL2, paid.value)
            .gain(Entry::FeesL2, paid.all_fees);
        for w in withdrawals {
            change = match w.entry {
                // A withdrawal of ETH is its transaction's value.
                Entry::ReceiverEthL1 => change.lose(Entry::SupplyL2, w.amount),
                _ => change.lose(Entry::UserTokenL2, w.amount).lose(Entry::TokenSupplyL2, w.amount),
            };
        }
        self.agree("all transactions on L2", balances, after, change)
    }

    /// After finalization: what was withdrawn left the vault for its receiver, the user paid gas, and nothing changed on L2.
    async fn book_finalization(
        &mut self,
        token: Address,
        balances: &mut Balances,
        withdrawals: &[Withdrawal],
    ) -> Outcome<()> {
        let books = self.books(token);
        let after = books.read().await?;
        let paid = books.paid_on_l1(balances, &after).await?;
        ensure(paid.value.is_zero(), "finalization costs nothing but gas")?;
        let mut change = Change::default().lose(Entry::UserEthL1, paid.fees);
        for w in withdrawals {
            let (vault, chain) = match w.entry {
                Entry::ReceiverEthL1 => (Entry::VaultEth, Entry::ChainEth),
                _ => (Entry::VaultToken, Entry::ChainToken),
            };
            change = change.gain(w.entry, w.amount).lose(vault, w.amount).lose(chain, w.amount);
        }
        let step = "the finalization on L1";
        after.check_backing(step)?;
        self.agree(step, balances, after, change)
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

    async fn deposit_eth(
        &mut self,
        token: Address,
        balances: &mut Balances,
        amount: U256,
    ) -> Outcome<Value> {
        self.report.wait("depositing ETH");
        let deposit = self.bridge().deposit_base(self.user_l1.address(), amount).await?;
        self.arrived("ETH", &deposit).await?;
        let had = balances.of(Entry::UserEthL2);
        self.book_deposit(token, balances, &deposit, U256::ZERO).await?;
        // What the deposit did not need of its gas came back to the user as well.
        ensure(balances.of(Entry::UserEthL2) >= had + amount, "the deposited ETH is on L2")?;
        self.deposited("ETH", &deposit, amount)
    }

    async fn deposit_token(
        &mut self,
        token: Address,
        balances: &mut Balances,
        amount: U256,
    ) -> Outcome<Value> {
        self.report.wait("depositing the ERC-20");
        let user = self.user_l1.address();
        let deposit = self.bridge().deposit_token(token, user, amount).await?;
        self.arrived("DEMO", &deposit).await?;
        self.book_deposit(token, balances, &deposit, amount).await?;
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

    async fn show_l2_balances(&mut self, token: Address, balances: &Balances) -> Outcome<Address> {
        let user = self.user_l2.address();
        let (eth, tokens) = (balances.of(Entry::UserEthL2), balances.of(Entry::UserTokenL2));
        let call = L2AssetRouter::l2TokenAddressCall { l1Token: token };
        let l2_token = self.l2.call(address::L2_ASSET_ROUTER, call).await?;
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
        let tx = receipt.transaction_hash;
        self.withdrawn(Withdrawal { entry: Entry::ReceiverEthL1, token: "ETH", amount, tx })
    }

    async fn withdraw_token(
        &mut self,
        token: Address,
        l2_token: Address,
        amount: U256,
    ) -> Outcome<Withdrawal> {
        let data = (amount, self.receiver, l2_token).abi_encode_params();
        let call = L2AssetRouter::withdrawCall {
            assetId: asset_id(self.node.network().ecosystem.l1_chain_id, token),
            assetData: Bytes::from(data),
        };
        let send = Send::call("withdrawal of the token", address::L2_ASSET_ROUTER, call);
        let receipt = self.user_l2.send(send).await?;
        let tx = receipt.transaction_hash;
        self.withdrawn(Withdrawal { entry: Entry::ReceiverTokenL1, token: "DEMO", amount, tx })
    }

    fn withdrawn(&mut self, w: Withdrawal) -> Outcome<Withdrawal> {
        let fields = json!({ "token": w.token, "amount": w.amount.to_string(), "l2_tx": w.tx });
        let words =
            format!("withdrawal of {} {} starts in {}", format_ether(w.amount), w.token, w.tx);
        self.report.event("withdrawal", fields, &words);
        Ok(w)
    }

    /// Follows every batch up to the last withdrawal's until it is final; returns that batch.
    async fn follow_to_finality(&mut self, withdrawals: &[Withdrawal]) -> Outcome<u64> {
        self.report.heading("Batches on their way to L1");
        let patience = if self.kind().needs_proof() { PROOF_PATIENCE } else { FINALITY_PATIENCE };
        let deadline = tokio::time::Instant::now() + patience;
        // Nothing more comes: the batch need not grow older.
        self.node.seal().await?;
        let mut last = None;
        loop {
            self.node.check()?;
            if last.is_none() {
                last = self.batch_of_all(withdrawals).await?;
            }
            self.tell_batches().await?;
            let open = self.told.iter().find(|(_, s)| **s != "finalized").map(|(n, s)| (*n, *s));
            match (last, open) {
                (Some(last), _) if self.told.get(&last) == Some(&"finalized") => return Ok(last),
                (_, Some((n, s))) => {
                    let batch = self.l2.batch(n).await?;
                    self.report.wait(&progress(n, s, batch.and_then(|b| b.proving))?);
                }
                _ => self.report.wait("batches are sealed"),
            }
            if tokio::time::Instant::now() > deadline {
                return Err(format!("no finality within {} s", patience.as_secs()).into());
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

    /// Tells what has happened to batches since the last time.
    async fn tell_batches(&mut self) -> Outcome<()> {
        while let Some(seen) = self.states.first() {
            if !self.tell(seen).await? {
                return Ok(());
            }
            self.told.insert(seen.batch, seen.status);
            self.states.told();
        }
        Ok(())
    }

    /// Tells it; false while its transaction on L1 is not known here, because the answer to it was lost.
    async fn tell(&mut self, seen: Seen) -> Outcome<bool> {
        let Seen { batch: number, status, at } = seen;
        if status == "pending" {
            let fields = json!({ "number": number, "status": status });
            self.report.event_at(at, "batch", fields, &format!("batch {number} pending"));
            return Ok(true);
        }
        let batch = self.l2.batch(number).await?.ok_or("a batch vanished")?;
        let tx = match status {
            "committed" => batch.commit_tx,
            "proven" => batch.prove_tx,
            "finalized" => batch.execute_tx,
            _ => None,
        };
        if tx.is_none() && status != "processed" {
            return Ok(false);
        }
        let mut fields =
            json!({ "number": number, "status": status, "txs": batch.txs, "l1_tx": tx });
        let on_l1 = tx.map(|t| format!(" in L1 transaction {t}")).unwrap_or_default();
        let mut words = format!("batch {number} ({} transactions) {status}{on_l1}", batch.txs);
        if status == "proven" {
            let proof = self.proof_of(&batch).await?;
            words.push_str(&format!("\n            {}", proof.words()));
            merge(&mut fields, proof.json());
        }
        self.report.event_at(at, "batch", fields, &words);
        Ok(true)
    }

    /// What made a batch final, as L1 and the prover have it.
    async fn proof_of(&self, batch: &BatchView) -> Outcome<BatchProof> {
        let l1 = self.user_l1.l1();
        let tx = batch.prove_tx.ok_or("a proven batch has a transaction on L1")?;
        let receipt = l1.receipt(tx).await?.ok_or("the proof's transaction is on L1")?;
        let made = batch.proving.as_ref().filter(|_| self.kind().needs_proof());
        Ok(BatchProof {
            kind: self.kind(),
            seconds: made.map(|p| p.spent_ms as f64 / 1000.0),
            bytes: proof_bytes(l1, tx).await?.ok_or("the transaction carries a proof")?,
            gas: receipt.gas_used,
            bits: made.and_then(|p| p.proven_bits),
            cycles: made.map(|p| p.cycles),
            range: made.and_then(|p| p.proof_of),
        })
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

    fn show_l1_balances(&mut self, balances: &Balances) {
        let (eth, tokens) =
            (balances.of(Entry::ReceiverEthL1), balances.of(Entry::ReceiverTokenL1));
        let fields = json!({
            "account": self.receiver, "eth": eth.to_string(), "tokens": tokens.to_string(),
            "vault_eth": balances.of(Entry::VaultEth).to_string(),
            "vault_tokens": balances.of(Entry::VaultToken).to_string(),
        });
        let words = format!(
            "on L1 {} has {} ETH and {} DEMO",
            self.receiver,
            format_ether(eth),
            format_ether(tokens)
        );
        self.report.event("l1_balances", fields, &words);
    }

    /// Verifies every batch's final proof once more, natively, from the shipped key, the program id and the public inputs on L1's record alone; and that
    /// it is the one that L1 verified.
    async fn check_proofs(&mut self, last: u64) -> Outcome<()> {
        if !self.kind().needs_proof() {
            return Ok(());
        }
        self.report.heading("The same proofs, verified by the contract's native twin");
        let verifier = Verifier::shipped(crate::guest::program_id())?;
        let mut number = 1;
        while number <= last {
            let batch = self.l2.batch(number).await?.ok_or("a batch vanished")?;
            let range = batch.proving.and_then(|p| p.proof_of).ok_or("a batch without a proof")?;
            let path = final_file::path(&self.data_dir, range.0, range.1);
            let file = FinalFile::decode(&files::read(&path, final_file::MAX_BYTES)?)?;
            let inputs: Result<Vec<B256>, _> =
                (range.0..=range.1).map(|n| self.node.public_input(n)).collect();
            let inputs = inputs?;
            verifier.verify(&inputs, &file.proof)?;
            let fields = json!({
                "first": range.0, "last": range.1, "bytes": file.proof.len(), "public_inputs": inputs,
                "program_id": crate::guest::program_id(), "verified": true,
            });
            let words = format!("batches {} to {}: accepted", range.0, range.1);
            self.report.event("proof", fields, &words);
            number = range.1 + 1;
        }
        Ok(())
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
            let mut row = json!({
                "number": b.number, "status": b.status, "txs": b.txs,
                "commit_tx": b.commit_tx, "prove_tx": b.prove_tx, "execute_tx": b.execute_tx,
            });
            merge(&mut row, self.proof_of(&b).await?.json());
            out.push(row);
        }
        Ok(out)
    }
}

/// What made a batch final.
struct BatchProof {
    kind: VerifierKind,
    /// Of proving, all layers; a final proof that batches share counts for each.
    seconds: Option<f64>,
    /// As L1 got it.
    bytes: usize,
    /// Of the transaction that carried it, for all batches that share it.
    gas: u64,
    bits: Option<u32>,
    cycles: Option<u64>,
    range: Option<(u64, u64)>,
}

impl BatchProof {
    fn json(&self) -> Value {
        json!({
            "verifier": self.kind, "prove_seconds": self.seconds, "proof_bytes": self.bytes,
            "verify_gas": self.gas, "proven_bits": self.bits, "cycles": self.cycles, "proof_of": self.range,
        })
    }

    fn words(&self) -> String {
        let shared = self.range.is_some_and(|(first, last)| first < last);
        let by = match self.kind {
            VerifierKind::Attesters => "attested, not proven",
            _ if shared => "proof, shared by several batches,",
            _ => "proof",
        };
        let mut words = format!("{by}: {} bytes, {} gas on L1", self.bytes, self.gas);
        if let (Some(seconds), Some(cycles)) = (self.seconds, self.cycles) {
            words.push_str(&format!(", {cycles} cycles proven in {seconds:.1} s"));
        }
        if let Some(bits) = self.bits {
            words.push_str(&format!(", {bits} proven bits"));
        }
        words
    }
}

/// Words for a batch that is not final yet.
///
/// # Errors
/// When it cannot become final.
fn progress(number: u64, status: &str, proving: Option<ProvingView>) -> Outcome<String> {
    let Some(p) = proving.filter(|_| status == "committed" || status == "processed") else {
        return Ok(format!("batch {number} is {status}"));
    };
    Ok(match p.status.as_str() {
        "failed" => {
            let reason = p.failure.unwrap_or_default();
            return Err(format!("batch {number} cannot become final: {reason}").into());
        }
        "proving" => {
            format!("batch {number} is {status}: {} of {} shards proven", p.done, p.shards)
        }
        "joining" if p.join_steps == 0 => format!("batch {number} is {status}: keys of recursion"),
        "joining" if p.joined < p.join_steps => {
            format!("batch {number} is {status}: {} of {} proofs joined", p.joined, p.join_steps)
        }
        "joining" => format!("batch {number} is {status}: the proof for L1"),
        _ => format!("batch {number} is {status}: its proof is on its way to L1"),
    })
}

/// Adds an object's fields to another's.
fn merge(into: &mut Value, fields: Value) {
    if let (Some(into), Value::Object(fields)) = (into.as_object_mut(), fields) {
        into.extend(fields);
    }
}

/// Fails the demo when something that must be true is not.
fn ensure(holds: bool, what: &str) -> Outcome<()> {
    if holds { Ok(()) } else { Err(format!("not true: {what}").into()) }
}
