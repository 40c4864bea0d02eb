//! A whole network in one process: L1 (or a connection to one), contracts, sequencer, RPC, watcher, settlement, attester.

use std::{
    error::Error,
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, B256, U256};
use alloy_provider::Provider;
use cairn_explorer::Explorer;
use cairn_l1_dev::L1Dev;
use cairn_primitives::{ChainConfig, FeeParams, address, config::asset_id};
use cairn_rpc::{
    DevAccounts, RestHandler, RestReply, RpcHandle, RpcServer, StartError, zks::BridgeContracts,
};
use cairn_sequencer::{BridgeInfo, L2Rpc, Sequencer, SequencerConfig};
use cairn_settlement::{
    attester::{AttestError, AttestationPool},
    bindings::{Bridgehub, FinalVerifier, Verifier, ZKChain},
    bridge::Bridge,
    deploy::{DeployError, NewChain, create_chain, deploy_ecosystem},
    l1::{L1, L1Error, L1Wallet, Send},
    sender::SettlementError,
    verifier::{Attesters, ProofKey, VerifierKind, Verifiers, deploy_verifiers},
    watcher::WatchError,
};
use cairn_storage::Storage;
use serde_json::json;
use thiserror::Error;

use crate::{
    attester::Desk,
    base_token::{BaseTokenError, Choice, prepare, spare},
    cheats::L1Cheats,
    cli::{DEFAULT_CHAIN_ID, DEFAULT_L1_CHAIN_ID, UpArgs},
    confirmations,
    crew::{Crew, Shift},
    demo_accounts::{Paymasters, deploy_paymasters},
    explorer, fees,
    genesis::{self, PredeployError},
    guest,
    keys::{DevKeys, MNEMONIC},
    l2_client::{ClientError, L2Client},
    network::{Da, Network, NetworkError},
    proof_run::proof_run,
    prover_role::ProverError,
    rewind::Rewinder,
    roles::{interrupted, l1_config},
    source::NodeAttestations,
    supervisor::Health,
    verifier,
};

/// What the operator's account gets on L1 for its fees in development.
const OPERATOR_FUNDS: u128 = 100_000_000_000_000_000_000;
/// Oldest that a batch of the demo gets that needs a proof: all that the demo does fits into one or two.
const DEMO_BATCH_AGE: Duration = Duration::from_secs(120);
/// What each development account gets on L2, by a deposit from its own account on L1.
const RICH_DEPOSIT: u128 = 1_000_000_000_000_000_000_000;
/// L1 gas price that fee estimates assume, in wei.
const L1_GAS_PRICE: u64 = 1_000_000_000;
/// Pause between two looks at an L1 in development, and of the attester at the node.
pub const POLL: Duration = Duration::from_millis(100);
/// The same of other L1s, whose providers count requests.
const REMOTE_POLL: Duration = Duration::from_secs(2);
/// Longest that blocks are built without a look at L1's queue. L1 gives each operation three days.
const MAX_L1_AGE: Duration = Duration::from_secs(2 * 24 * 3_600);
/// Pause between two reminders of what is down.
const REMINDER: Duration = Duration::from_secs(60);
/// Longest wait for the development accounts' deposits.
const DEPOSIT_PATIENCE: Duration = Duration::from_secs(120);
/// Delay of the timelock that owns the contracts in development.
const GOVERNANCE_DELAY: u64 = 3_600;
/// While this many batches wait for L1, age alone seals no further one: proofs are made one batch at a time, and a larger batch costs less for each transaction.
const BATCHES_IN_PROOF: u64 = 2;

/// Why a network does not start or cannot go on.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The data directory.
    #[error("{path}: {error}")]
    Io {
        /// Which path.
        path: String,
        /// What happened.
        error: io::Error,
    },
    /// The embedded L1.
    #[error(transparent)]
    L1Dev(#[from] cairn_l1_dev::L1Error),
    /// L1.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// Putting the contracts on L1.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// The network's record.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The base token.
    #[error(transparent)]
    BaseToken(#[from] BaseTokenError),
    /// The predeploys.
    #[error(transparent)]
    Predeploy(#[from] PredeployError),
    /// The genesis.
    #[error(transparent)]
    Genesis(#[from] cairn_stf::genesis::GenesisError),
    /// Storage.
    #[error(transparent)]
    Storage(#[from] cairn_storage::StorageError),
    /// The sequencer.
    #[error(transparent)]
    Sequencer(#[from] cairn_sequencer::SequencerError),
    /// The RPC server.
    #[error(transparent)]
    Rpc(#[from] cairn_rpc::StartError),
    /// The explorer.
    #[error(transparent)]
    Explorer(#[from] cairn_explorer::ExplorerError),
    /// Settlement.
    #[error(transparent)]
    Settlement(#[from] SettlementError),
    /// The watcher.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The attester.
    #[error(transparent)]
    Attest(#[from] AttestError),
    /// The prover.
    #[error(transparent)]
    Prover(#[from] ProverError),
    /// The bridge, while development accounts are funded.
    #[error("funding the development accounts: {0}")]
    Bridge(#[from] cairn_settlement::bridge::BridgeError),
    /// The node's own RPC.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The program that is proven.
    #[error(transparent)]
    Guest(#[from] guest::GuestError),
    /// The verifying key that this program was shipped with.
    #[error("the verifying key: {0}")]
    VerifierData(String),
    /// A key of proofs that the chain's verifier does not accept.
    #[error(
        "the verifier {verifier} accepts proofs of program {program} under key {key}; this version of cairn makes others. Use the version that the chain was made with, or upgrade the chain (`upgradeProtocol`, by its governance)"
    )]
    OtherKey {
        /// The contract.
        verifier: Address,
        /// Its guest program.
        program: B256,
        /// Its key's digest.
        key: B256,
    },
    /// A port that is taken, or an address that is not this machine's.
    #[error(
        "cannot listen on {addr} for {what}: {error}. If another program uses the port (a node that runs already?), stop it or choose another port with {option}"
    )]
    Listen {
        /// What would listen.
        what: &'static str,
        /// Where.
        addr: SocketAddr,
        /// The option that chooses the port.
        option: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// The L1 does not hold the data directory's chain, whatever its chain id.
    #[error(
        "{l1} is not the L1 of this data directory's network: {why}. Was it started afresh, or its folder removed? Start again on the L1 that the network was created on (--l1 URL, or the folder `l1` of the data directory, put back), or create a new network with another --data-dir"
    )]
    OtherL1 {
        /// URL, or which folder.
        l1: String,
        /// How it can be told.
        why: String,
    },
    /// A chain without the record of its network.
    #[error(
        "{path} holds a chain, and the data directory has no network.json: a `cairn recover` did not end. Remove {path}, or run `cairn recover` again into an empty directory"
    )]
    Unfinished {
        /// The chain's folder.
        path: String,
    },
    /// A role is down.
    #[error("{0}")]
    Stopped(String),
}

/// What a network is started with.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// An L1 elsewhere, instead of the embedded one.
    pub l1_url: Option<String>,
    /// Where the rollup's RPC listens.
    pub l2_addr: SocketAddr,
    /// Where the embedded L1's RPC listens.
    pub l1_addr: SocketAddr,
    /// Chain id of the rollup.
    pub chain_id: u64,
    /// L1 blocks above a deposit before it is taken; by default what is safe on that L1.
    pub confirmations: Option<u64>,
    /// Oldest that a batch gets before it is sealed.
    pub batch_age: Duration,
    /// Give the development accounts the base token on L2.
    pub fund_accounts: bool,
    /// What makes batches final; `None` takes what the data directory's chain has, and proofs for a new one.
    pub verifier: Option<VerifierKind>,
    /// How pubdata reaches L1; `None` takes what the data directory's chain has, and blobs for a new one.
    pub da: Option<Da>,
    /// In what fees are paid; `None` takes what the data directory's chain has, and ETH for a new one.
    pub base_token: Option<Choice>,
    /// Keep the witnesses of settled batches.
    pub keep_witnesses: bool,
    /// Attesters in other processes, when the network is created.
    pub attesters: Vec<Address>,
    /// Attestations that a batch needs, when the network is created.
    pub attestations: usize,
    /// Where the explorer listens; `None` runs none.
    pub explorer_addr: Option<SocketAddr>,
}

impl NodeConfig {
    /// For the demo: any free ports, nobody funded but by what the demo shows. Attested batches are quick ones; of those that are proven the demo itself says when.
    pub fn demo(data_dir: PathBuf, l1_url: Option<String>, verifier: VerifierKind) -> Self {
        let age = if verifier.needs_proof() { DEMO_BATCH_AGE } else { Duration::from_secs(1) };
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self {
            data_dir,
            l1_url,
            l2_addr: any,
            l1_addr: any,
            chain_id: DEFAULT_CHAIN_ID,
            confirmations: None,
            batch_age: age,
            fund_accounts: false,
            verifier: Some(verifier),
            da: None,
            base_token: None,
            keep_witnesses: true,
            attesters: Vec::new(),
            attestations: 1,
            explorer_addr: None,
        }
    }

    fn up(args: &UpArgs) -> Self {
        Self {
            data_dir: args.data_dir.clone(),
            l1_url: args.l1.clone(),
            l2_addr: SocketAddr::new(args.host, args.port),
            l1_addr: SocketAddr::new(args.host, args.l1_port),
            chain_id: args.chain_id,
            confirmations: args.confirmations,
            batch_age: Duration::from_secs(2),
            fund_accounts: true,
            verifier: args.verifier,
            da: args.da,
            base_token: args.base_token,
            keep_witnesses: args.keep_witnesses,
            attesters: args.attesters.clone(),
            attestations: args.attestations,
            explorer_addr: Some(SocketAddr::new(args.host, args.explorer_port)),
        }
    }
}

/// A running network.
pub struct Node {
    network: Network,
    keys: DevKeys,
    l1_url: String,
    embedded_l1: Option<(L1Dev, RpcHandle)>,
    sequencer: Sequencer,
    rpc: RpcHandle,
    explorer: Option<Explorer>,
    crew: Arc<Shift>,
}

impl Node {
    /// Starts everything, or goes on where the data directory stopped.
    ///
    /// # Errors
    /// [`NodeError`]; nothing is left running.
    pub async fn start(config: NodeConfig) -> Result<Self, NodeError> {
        fs::create_dir_all(&config.data_dir).map_err(|error| NodeError::Io {
            path: config.data_dir.display().to_string(),
            error,
        })?;
        let keys = DevKeys::derive();
        let known = known_network(&config)?;
        let (l1_url, embedded_l1) = start_l1(&config).await?;
        let (l1, network) = open_network(&config, &keys, &l1_url, known).await?;
        let depth = confirmations_of(&config, &l1);
        let fees = fees::current(&l1, &network.chain, depth).await?;
        let fees = fees.unwrap_or(network.fee_params);
        let (storage, sequencer) = {
            // Opening reads and syncs files, and the sequencer starts its own threads.
            let (config, keys, network) = (config.clone(), keys.clone(), network.clone());
            let open = move || open_chain(&config, &keys, &network, fees);
            let opened = tokio::task::spawn_blocking(open).await;
            opened.map_err(|e| NodeError::Stopped(format!("opening the chain: {e}")))??
        };
        let pool = attestation_pool(&keys, &network, &storage);
        let chain_id = network.config.chain_id;
        let desk = pool.as_ref().map(|p| Desk::new(storage.clone(), p.clone(), chain_id));
        let crew = Crew {
            config: config.clone(),
            network: network.clone(),
            keys: keys.clone(),
            l1: l1.clone(),
            sequencer: sequencer.clone(),
            pool,
        };
        let crew = Arc::new(Shift::new(crew));
        let (rpc, explorer) = serve(&config, &keys, &network, &crew, &l1, desk).await?;
        let node = Self { network, keys, l1_url, embedded_l1, sequencer, rpc, explorer, crew };
        node.crew.start().await;
        if config.fund_accounts {
            node.fund_accounts().await?;
            node.deploy_paymasters().await;
        }
        Ok(node)
    }

    /// The network's contracts and identity.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The development keys.
    pub fn keys(&self) -> &DevKeys {
        &self.keys
    }

    /// HTTP URL of L1.
    pub fn l1_url(&self) -> &str {
        &self.l1_url
    }

    /// WebSocket URL of the embedded L1; nobody has said where another L1 has one.
    pub fn l1_ws_url(&self) -> Option<String> {
        self.embedded_l1.as_ref().map(|(_, server)| server.ws_url())
    }

    /// HTTP URL of the rollup.
    pub fn l2_url(&self) -> String {
        self.rpc.http_url()
    }

    /// WebSocket URL of the rollup.
    pub fn l2_ws_url(&self) -> String {
        self.rpc.ws_url()
    }

    /// What the node has stored.
    pub fn storage(&self) -> &Storage {
        self.sequencer.storage()
    }

    /// Public input of a sealed batch.
    ///
    /// # Errors
    /// [`NodeError::Storage`], when there is no such batch.
    pub fn public_input(&self, number: u64) -> Result<B256, NodeError> {
        Ok(self.storage().batch_info(number)?.publicInput)
    }

    /// Seals what is in the open batch now.
    ///
    /// # Errors
    /// [`NodeError::Sequencer`] when the sequencer has stopped.
    pub async fn seal(&self) -> Result<(), NodeError> {
        self.sequencer.seal_now().await?;
        Ok(())
    }

    /// URL of the explorer, where one runs.
    pub fn explorer_url(&self) -> Option<String> {
        self.explorer.as_ref().map(Explorer::url)
    }

    /// Fails when a role is down or the sequencer has stopped.
    ///
    /// # Errors
    /// [`NodeError::Stopped`] with their words.
    pub fn check(&self) -> Result<(), NodeError> {
        health(self.crew.health(), &self.sequencer).map_err(NodeError::Stopped)
    }

    /// Stops everything in order.
    ///
    /// # Errors
    /// [`NodeError::Stopped`] when a role was down.
    pub async fn stop(mut self) -> Result<(), NodeError> {
        let outcome = self.check();
        self.rpc.stop();
        self.explorer = None;
        self.crew.stop().await;
        let sequencer = self.sequencer.clone();
        let _ = tokio::task::spawn_blocking(move || sequencer.stop()).await;
        if let Some((_, server)) = &self.embedded_l1 {
            server.stop();
        }
        outcome
    }

    /// The development network's paymasters. It is of use without them too.
    async fn deploy_paymasters(&self) {
        let Ok(l2) = L2Client::connect(&self.l2_url()).await else { return };
        if let Err(e) = deploy_paymasters(&l2, &l2.wallet(self.keys.deployer.clone())).await {
            tracing::warn!(error = %e, "the development paymasters are not deployed");
        }
    }

    /// Deposits the base token for each development account that has none on L2 yet, and some on L1.
    async fn fund_accounts(&self) -> Result<(), NodeError> {
        let l2 = L2Client::connect(&self.l2_url()).await?;
        let l1 = L1::connect(&self.l1_url, None).await?;
        let n = &self.network;
        let mut deposits = Vec::new();
        for key in &self.keys.rich {
            let account = key.address();
            if !l2.balance(account).await?.is_zero() {
                continue;
            }
            let amount = spare(&l1, &n.base_token, account, U256::from(RICH_DEPOSIT)).await?;
            if amount.is_zero() {
                continue;
            }
            let wallet = L1Wallet::new(l1.clone(), key.clone());
            let bridge = Bridge::new(&wallet, &n.ecosystem, n.config.chain_id, n.chain.address);
            deposits.push(bridge.deposit_base(account, amount).await?);
        }
        for deposit in deposits {
            l2.wait_receipt(deposit.l2_tx, DEPOSIT_PATIENCE).await?;
        }
        Ok(())
    }
}

/// Fails when a role is down or the sequencer has stopped.
fn health(roles: &Health, sequencer: &Sequencer) -> Result<(), String> {
    let status = sequencer.status();
    let halted = status.halted.map(|why| format!("the sequencer stopped: {why}"));
    let blind = status.blind.then(|| "no block is built until L1's queue can be read".to_owned());
    let waiting = status.batches.sealed - status.batches.executed;
    let full = waiting >= sequencer.config().batches.max_unsettled;
    let full = full.then(|| format!("nothing is accepted while {waiting} batches wait for L1"));
    let down = halted.into_iter().chain(blind).chain(full);
    let words: Vec<_> = down.chain(roles.check().err()).collect();
    if words.is_empty() { Ok(()) } else { Err(words.join("; ")) }
}

/// `GET /health` of the rollup's port.
struct HealthPage {
    roles: Health,
    sequencer: Sequencer,
}

impl RestHandler for HealthPage {
    fn get(&self, path: &str, _query: Option<&str>) -> Option<RestReply> {
        let (status, answer) = match health(&self.roles, &self.sequencer) {
            _ if path != "/health" => return None,
            Ok(()) => (200, json!({ "status": "ok" })),
            Err(why) => (503, json!({ "status": "down", "why": why })),
        };
        Some(RestReply::json(status, &answer))
    }
}

/// L1 blocks above what is taken from there.
pub fn confirmations_of(config: &NodeConfig, l1: &L1) -> u64 {
    confirmations::depth(config.confirmations, config.l1_url.is_some(), l1.chain_id())
}

/// Whether everything here is for development only: L1 is.
pub fn is_development(config: &NodeConfig, l1: &L1) -> bool {
    confirmations::is_development(config.l1_url.is_some(), l1.chain_id())
}

/// Pause between two looks at L1.
pub fn poll(config: &NodeConfig, l1: &L1) -> Duration {
    if is_development(config, l1) { POLL } else { REMOTE_POLL }
}

/// Where attestations come together: the network's own attester's and those of others.
fn attestation_pool(
    keys: &DevKeys,
    network: &Network,
    storage: &Storage,
) -> Option<Arc<AttestationPool>> {
    let contract = network.chain.verifiers.attesters?;
    let mut attesters = network.attesters.clone();
    attesters.push(keys.attester.address());
    Some(Arc::new(AttestationPool::new(
        network.ecosystem.l1_chain_id,
        contract,
        attesters,
        network.attestations,
        Arc::new(NodeAttestations(storage.clone())),
    )))
}

async fn start_l1(config: &NodeConfig) -> Result<(String, Option<(L1Dev, RpcHandle)>), NodeError> {
    if let Some(url) = &config.l1_url {
        return Ok((url.clone(), None));
    }
    let l1 = L1Dev::open(l1_config(l1_dir(&config.data_dir), DEFAULT_L1_CHAIN_ID, None))?;
    let server = l1.serve(config.l1_addr).await.map_err(|e| match e {
        cairn_l1_dev::L1Error::Serve(StartError::Bind(addr, error)) => {
            NodeError::Listen { what: "the embedded L1", addr, option: "--l1-port", error }
        }
        other => other.into(),
    })?;
    Ok((server.http_url(), Some((l1, server))))
}

/// The network that the data directory knows, if it is the one that is asked for. Nothing is started or written before that is clear.
fn known_network(config: &NodeConfig) -> Result<Option<Network>, NodeError> {
    let dir = &config.data_dir;
    let Some(network) = Network::load(dir)? else {
        return if chain_dir(dir).exists() { Err(unfinished(dir)) } else { Ok(None) };
    };
    network.check_chain_id(config.chain_id)?;
    network.check_verifier(config.verifier)?;
    network.check_da(config.da)?;
    network.check_base_token(config.base_token)?;
    if config.l1_url.is_none() {
        check_l1_dir(dir)?;
    }
    Ok(Some(network))
}

/// Folder of the chain in a data directory.
pub fn chain_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("l2")
}

/// Folder of the embedded L1 in a data directory.
pub fn l1_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("l1")
}

/// The error of a data directory that has a chain and no record of its network.
pub fn unfinished(data_dir: &Path) -> NodeError {
    NodeError::Unfinished { path: chain_dir(data_dir).display().to_string() }
}

/// A network that is known needs the L1 that it is on: a new embedded one would be empty.
///
/// # Errors
/// [`NodeError::OtherL1`] when the data directory holds none.
pub fn check_l1_dir(data_dir: &Path) -> Result<(), NodeError> {
    let dir = l1_dir(data_dir);
    if dir.join(cairn_l1_dev::DATABASE_FILE).exists() {
        return Ok(());
    }
    let why = format!("{} has no L1's data", dir.display());
    Err(NodeError::OtherL1 { l1: "The embedded L1".to_owned(), why })
}

/// The network that the data directory knows, or a new one.
async fn open_network(
    config: &NodeConfig,
    keys: &DevKeys,
    l1_url: &str,
    known: Option<Network>,
) -> Result<(L1, Network), NodeError> {
    if let Some(network) = known {
        let l1 = L1::connect(l1_url, Some(network.ecosystem.l1_chain_id)).await?;
        check_l1(&l1, &network).await?;
        check_key(&l1, network.chain.verifiers).await?;
        return Ok((l1, network));
    }
    let l1 = L1::connect(l1_url, None).await?;
    let network = create_network(config, keys, &l1).await?;
    network.store(&config.data_dir)?;
    Ok((l1, network))
}

/// The L1 must hold this very chain. Another one may have the same chain id and, since development keys deploy the contracts, even the same addresses.
///
/// # Errors
/// [`NodeError::OtherL1`], or what reading L1 gives.
pub async fn check_l1(l1: &L1, network: &Network) -> Result<(), NodeError> {
    let (hub, chain) = (network.ecosystem.bridgehub, network.chain.address);
    let id = network.config.chain_id;
    let other = |why: String| Err(NodeError::OtherL1 { l1: l1.url().to_owned(), why });
    if !has_code(l1, hub).await? {
        return other(format!("there is no bridgehub at {hub}"));
    }
    let known = l1.call(hub, Bridgehub::getZKChainCall { chainId: U256::from(id) }).await?;
    if known != chain {
        return other(format!("its bridgehub {hub} has {known} for chain {id}, not {chain}"));
    }
    if !has_code(l1, chain).await? {
        return other(format!("there is no contract at the chain's address {chain}"));
    }
    let genesis = genesis::genesis(&network.config, &network.ecosystem, network.genesis_timestamp)?;
    let genesis = genesis.build()?.batch_info().hash();
    let kept = l1.call(chain, ZKChain::storedBatchHashCall { batchNumber: U256::ZERO }).await?;
    if kept != genesis {
        return other(format!("its chain {id} has genesis {kept}, the data directory's {genesis}"));
    }
    Ok(())
}

async fn has_code(l1: &L1, address: Address) -> Result<bool, L1Error> {
    let code = l1.read("eth_getCode", move |p| async move { p.get_code_at(address).await });
    Ok(!code.await?.is_empty())
}

/// The proofs that this program makes must be those that the chain's verifier accepts.
async fn check_key(l1: &L1, verifiers: Verifiers) -> Result<(), NodeError> {
    let Some(verifier) = verifiers.proof else { return Ok(()) };
    let ours = shipped_key()?;
    let key = l1.call(verifier, FinalVerifier::keyDigestCall {}).await?;
    let program = l1.call(verifier, Verifier::programIdCall {}).await?;
    if (key, program) == (ours.digest, ours.program_id) {
        return Ok(());
    }
    Err(NodeError::OtherKey { verifier, program, key })
}

/// What the chain's verifier of proofs is deployed from: the key that this program was shipped with.
fn shipped_key() -> Result<ProofKey, NodeError> {
    verifier::shipped_key().map_err(|e| NodeError::VerifierData(e.to_string()))
}

/// Deploys the contracts, funds the operator, and creates the chain.
async fn create_network(
    config: &NodeConfig,
    keys: &DevKeys,
    l1: &L1,
) -> Result<Network, NodeError> {
    let wallet = L1Wallet::new(l1.clone(), keys.deployer.clone());
    let ecosystem = deploy_ecosystem(&wallet, GOVERNANCE_DELAY).await?;
    let mut accounts = config.attesters.clone();
    accounts.push(keys.attester.address());
    let k = config.attestations;
    let kind = config.verifier.unwrap_or_default();
    let attesters = Attesters { accounts, threshold: k as u64, owner: ecosystem.governance };
    let key = if kind.needs_proof() { Some(shipped_key()?) } else { None };
    let verifiers = deploy_verifiers(&wallet, kind, key.as_ref(), &attesters).await?;
    wallet
        .send(Send {
            what: "funding of the operator".to_owned(),
            to: Some(keys.operator.address()),
            value: U256::from(OPERATOR_FUNDS),
            ..Send::default()
        })
        .await?;
    let head = l1.block(BlockNumberOrTag::Latest).await?;
    let genesis_timestamp = head.map(|(_, _, timestamp)| timestamp).unwrap_or_default();
    let base_token = prepare(&wallet, &ecosystem, config.base_token, &keys.rich).await?;
    let chain_config = ChainConfig {
        base_token_asset_id: asset_id(l1.chain_id(), base_token.address),
        ..ChainConfig::eth_rollup(config.chain_id, l1.chain_id())
    };
    let fee_params = FeeParams::default();
    let built = genesis::genesis(&chain_config, &ecosystem, genesis_timestamp)?.build()?;
    let info = built.batch_info();
    let chain = NewChain {
        config: chain_config.clone(),
        fee_params,
        admin: keys.deployer.address(),
        validator: keys.operator.address(),
        verifiers,
        program_id: guest::program_id(),
        genesis_root: info.stateRoot,
        genesis_leaves: info.leafCount,
        genesis_block_hash: info.lastBlockHash,
        genesis_timestamp,
    };
    let deployment = create_chain(&wallet, &ecosystem, &chain).await?;
    let mut network =
        Network::new(ecosystem, deployment, chain_config, fee_params, genesis_timestamp);
    (network.attesters, network.attestations) = (config.attesters.clone(), k);
    network.da = config.da.unwrap_or_default();
    network.base_token = base_token;
    Ok(network)
}

fn open_chain(
    config: &NodeConfig,
    keys: &DevKeys,
    network: &Network,
    fees: FeeParams,
) -> Result<(Storage, Sequencer), NodeError> {
    let genesis = genesis::genesis(&network.config, &network.ecosystem, network.genesis_timestamp)?;
    let storage = cairn_sequencer::open_storage(chain_dir(&config.data_dir), &genesis)?;
    let mut settings = SequencerConfig::new(network.config.clone(), keys.operator.address());
    settings.fees = fees;
    settings.guest_program_id = guest::program_id();
    settings.batches.max_age = Some(config.batch_age);
    settings.batches.da_mode = network.da.mode();
    if network.chain.verifiers.kind.needs_proof() {
        settings.batches.proof_run = Some(proof_run()?);
        settings.batches.busy_at = BATCHES_IN_PROOF;
    }
    settings.max_l1_age = Some(MAX_L1_AGE);
    settings.dev = true;
    let sequencer = Sequencer::start(settings, storage.clone())?;
    Ok((storage, sequencer))
}

/// The storage of a data directory whose node is stopped.
///
/// # Errors
/// [`NodeError`], among them that another process has it open.
pub fn open_stopped(data_dir: &Path) -> Result<Storage, NodeError> {
    let missing = || NodeError::Io {
        path: data_dir.display().to_string(),
        error: io::Error::new(io::ErrorKind::NotFound, "no network has been started in it"),
    };
    let network = Network::load(data_dir)?.ok_or_else(missing)?;
    let genesis = genesis::genesis(&network.config, &network.ecosystem, network.genesis_timestamp)?;
    Ok(cairn_sequencer::open_storage(chain_dir(data_dir), &genesis)?)
}

async fn serve(
    config: &NodeConfig,
    keys: &DevKeys,
    network: &Network,
    crew: &Arc<Shift>,
    l1: &L1,
    desk: Option<Desk>,
) -> Result<(RpcHandle, Option<Explorer>), NodeError> {
    let e = &network.ecosystem;
    let sequencer = crew.sequencer().clone();
    let health = HealthPage { roles: crew.health().clone(), sequencer: sequencer.clone() };
    let bridge = BridgeInfo {
        l1_chain_id: e.l1_chain_id,
        bridgehub: e.bridgehub,
        main_contract: network.chain.address,
        base_token: network.base_token.address,
        bridges: BridgeContracts {
            l1_erc20_default_bridge: Some(e.asset_router),
            l2_erc20_default_bridge: Some(address::L2_ASSET_ROUTER),
            l1_shared_default_bridge: Some(e.asset_router),
            l2_shared_default_bridge: Some(address::L2_ASSET_ROUTER),
            l1_nullifier: Some(e.nullifier),
            l1_native_token_vault: Some(e.native_token_vault),
            ..BridgeContracts::default()
        },
        testnet_paymaster: config
            .fund_accounts
            .then(|| Paymasters::of(keys.deployer.address()).ok())
            .flatten()
            .map(|p| p.erc20),
        l1_gas_price: L1_GAS_PRICE,
    };
    let mut chain = L2Rpc::new(sequencer.clone(), bridge);
    let index = explorer::index(config, &chain, &sequencer)?;
    if is_development(config, l1) {
        let rewinder = Rewinder::new(chain.clone(), l1.clone(), crew.clone(), index.clone());
        chain = chain.with_rewind(Arc::new(rewinder));
        // What they do costs ether on L1, and would cost the base token where that is another.
        if network.base_token.is_eth() {
            let cheats = L1Cheats::new(chain.clone(), l1.clone(), network);
            chain = chain.with_cheats(Arc::new(cheats));
        }
    }
    let chain = Arc::new(chain);
    let accounts = DevAccounts::from_signers(keys.rich.clone());
    let mut server =
        RpcServer::new(chain.clone()).with_zk(chain.clone()).with_rest(Arc::new(health));
    // A clock that anybody may move ahead of L1's would end settlement.
    server = if is_development(config, l1) {
        server.with_dev(chain.clone(), accounts)
    } else {
        server.with_cors(true)
    };
    if let Some(desk) = desk {
        server = server.with_attestations(Arc::new(desk));
    }
    if let Some(index) = &index {
        server = server.with_address_index(index.clone());
    }
    let rpc = server.start(config.l2_addr).await.map_err(|e| match e {
        StartError::Bind(addr, error) => {
            NodeError::Listen { what: "the rollup's JSON-RPC", addr, option: "--port", error }
        }
        other => other.into(),
    })?;
    let parts = explorer::Parts { config, keys, network, l2_url: rpc.http_url(), l1: l1.clone() };
    let explorer = explorer::start(parts, chain, index).await?;
    Ok((rpc, explorer))
}

/// `cairn up`: a development network until it is interrupted.
///
/// # Errors
/// What the person at the keyboard should read.
pub async fn up(args: UpArgs) -> Result<ExitCode, Box<dyn Error>> {
    let started = std::time::Instant::now();
    let node = Node::start(NodeConfig::up(&args)).await?;
    announce(&node, args.json, started.elapsed());
    tokio::select! {
        () = interrupted() => {}
        () = remind(&node) => {}
    }
    if !args.json {
        say!("\nstopping; start again with the same --data-dir to go on");
    }
    node.stop().await?;
    Ok(ExitCode::SUCCESS)
}

/// Says again and again what is down, for as long as it is.
async fn remind(node: &Node) {
    loop {
        tokio::time::sleep(REMINDER).await;
        if let Err(why) = node.check() {
            tracing::error!("{why}");
        }
    }
}

fn announce(node: &Node, as_json: bool, took: Duration) {
    let n = &node.network;
    if as_json {
        let accounts: Vec<_> = node
            .keys
            .rich
            .iter()
            .map(|k| json!({ "address": k.address(), "key": k.to_bytes() }))
            .collect();
        say!(
            "{}",
            json!({
                "event": "ready", "seconds": took.as_secs_f64(),
                "l2": { "http": node.l2_url(), "ws": node.l2_ws_url(), "chain_id": n.config.chain_id },
                "l1": { "http": node.l1_url, "ws": node.l1_ws_url(), "chain_id": n.ecosystem.l1_chain_id },
                "explorer": node.explorer_url(),
                "contracts": n.ecosystem, "chain": n.chain, "verifier": n.chain.verifiers.kind, "da": n.da,
                "base_token": n.base_token,
                "paymasters": Paymasters::of(node.keys.deployer.address()).ok(),
                "mnemonic": MNEMONIC, "accounts": accounts,
            })
        );
        return;
    }
    say!("Cairn is up ({:.1} s)\n", took.as_secs_f64());
    say!("  rollup  chain id {:<8} {}   {}", n.config.chain_id, node.l2_url(), node.l2_ws_url());
    let l1_ws = node.l1_ws_url().unwrap_or_default();
    say!("  L1      chain id {:<8} {}   {l1_ws}", n.ecosystem.l1_chain_id, node.l1_url);
    if let Some(url) = node.explorer_url() {
        say!("  explorer and portal       {url}");
    }
    say!("\n  bridgehub           {}", n.ecosystem.bridgehub);
    say!("  asset router        {}", n.ecosystem.asset_router);
    say!("  native token vault  {}", n.ecosystem.native_token_vault);
    say!("  nullifier           {}", n.ecosystem.nullifier);
    say!("  chain contract      {}", n.chain.address);
    let v = n.chain.verifiers;
    say!("  verifier            {} ({})", v.verifier, v.kind.words());
    say!("  data availability   {} on L1", n.da);
    if !n.base_token.is_eth() {
        say!("  base token          {} ({} on L1)", n.base_token.symbol, n.base_token.address);
    }
    say!("\n  Development accounts, funded on L1 and on L2 (mnemonic \"{MNEMONIC}\"):");
    for key in &node.keys.rich {
        say!("    {}  {}", key.address(), key.to_bytes());
    }
    say!("\nCtrl-C stops it.");
}
