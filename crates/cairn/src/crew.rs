//! The roles beside the sequencer that a network runs, and their shifts: a rewind sends them off and calls them back.

use std::sync::Arc;

use cairn_sequencer::Sequencer;
use cairn_settlement::{
    attester::{AttestError, AttestationPool, Attester},
    l1::{L1, L1Wallet},
    sender::{SettlementError, Settler},
    watcher::Watcher,
};
use tokio::sync::Mutex;

use crate::{
    attester::re_execute,
    fees, finality,
    keys::DevKeys,
    network::Network,
    node::{NodeConfig, NodeError, POLL, confirmations_of, poll},
    prover_role::{self, ProverError},
    source::{LocalAttestation, NodeBatches, NodePriority},
    supervisor::{Health, RoleError, Roles},
    witnesses,
};

/// What the roles work with.
pub struct Crew {
    /// The node's settings.
    pub config: NodeConfig,
    /// The network's contracts.
    pub network: Network,
    /// The operator's and the attester's keys.
    pub keys: DevKeys,
    /// The settlement layer.
    pub l1: L1,
    /// The chain.
    pub sequencer: Sequencer,
    /// Where attestations come together, where the chain has any.
    pub pool: Option<Arc<AttestationPool>>,
}

/// The crew at work, or sent off.
pub struct Shift {
    crew: Crew,
    health: Health,
    prover: Arc<prover_role::Bench>,
    /// Those that read L1 or send to it.
    on_l1: Mutex<Option<Roles>>,
    /// The others.
    at_home: Mutex<Option<Roles>>,
}

impl Shift {
    /// Nobody works yet.
    pub fn new(crew: Crew) -> Self {
        let (health, prover) = (Health::default(), Arc::default());
        Self { crew, health, prover, on_l1: Mutex::default(), at_home: Mutex::default() }
    }

    /// Which roles are down.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// The chain.
    pub fn sequencer(&self) -> &Sequencer {
        &self.crew.sequencer
    }

    /// Starts all roles.
    pub async fn start(&self) {
        let mut roles = Roles::of(self.health.clone());
        self.crew.attest(&mut roles);
        self.crew.prove(&mut roles, &self.prover);
        self.crew.tidy(&mut roles);
        *self.at_home.lock().await = Some(roles);
        self.return_to_l1().await;
    }

    /// Ends all roles.
    pub async fn stop(&self) {
        self.leave_l1().await;
        if let Some(mut roles) = self.at_home.lock().await.take() {
            roles.stop().await;
        }
    }

    /// Starts the roles that read L1 or send to it.
    pub async fn return_to_l1(&self) {
        let mut roles = Roles::of(self.health.clone());
        self.crew.watch(&mut roles);
        self.crew.settle(&mut roles);
        *self.on_l1.lock().await = Some(roles);
    }

    /// Ends the roles that read L1 or send to it.
    pub async fn leave_l1(&self) {
        if let Some(mut roles) = self.on_l1.lock().await.take() {
            roles.stop().await;
        }
    }

    /// The chain goes back: proofs of batches after `last` are of batches that will be no more. To be called while no role runs.
    pub fn forget_proofs(&self, last: u64) {
        self.prover.forget_beyond(last);
    }
}

impl Crew {
    fn attest(&self, roles: &mut Roles) {
        let verifiers = self.network.chain.verifiers;
        let (Some(pool), Some(contract)) = (self.pool.clone(), verifiers.attesters) else { return };
        let (storage, l1_chain_id) = (self.sequencer.storage().clone(), self.l1.chain_id());
        let signer = self.keys.attester.clone();
        roles.start("the attester", move |stop| {
            let first = storage.batch_heads().proven + 1;
            let local = LocalAttestation { storage: storage.clone(), pool: pool.clone() };
            let signer = signer.clone();
            let attester = Attester::new(local, signer, l1_chain_id, contract, re_execute(), POLL);
            async move { attester.run(first, stop).await.map_err(NodeError::from) }
        });
    }

    fn prove(&self, roles: &mut Roles, bench: &Arc<prover_role::Bench>) {
        let kind = self.network.chain.verifiers.kind;
        if !kind.needs_proof() {
            return;
        }
        let storage = self.sequencer.storage().clone();
        let (data_dir, bench) = (self.config.data_dir.clone(), bench.clone());
        let range = finality::max_range(kind);
        roles.start("the prover", move |stop| {
            let run =
                prover_role::run(storage.clone(), data_dir.clone(), range, bench.clone(), stop);
            async move { run.await.map_err(NodeError::from) }
        });
    }

    fn tidy(&self, roles: &mut Roles) {
        if self.config.keep_witnesses {
            return;
        }
        let storage = self.sequencer.storage().clone();
        roles.start("the store's upkeep", move |stop| {
            let run = witnesses::run(storage.clone(), stop);
            async move { run.await.map_err(NodeError::from) }
        });
    }

    fn settle(&self, roles: &mut Roles) {
        let (l1, storage) = (self.l1.clone(), self.sequencer.storage().clone());
        let chain = self.network.chain.address;
        let operator = self.keys.operator.clone();
        let poll = poll(&self.config, &l1);
        let verifiers = self.network.chain.verifiers;
        let data_dir = &self.config.data_dir;
        let proofs = finality::proofs(verifiers, storage.clone(), data_dir, self.pool.clone());
        let batches = Arc::new(NodeBatches(storage));
        roles.start("settlement", move |stop| {
            let wallet = L1Wallet::new(l1.clone(), operator.clone()).sole();
            let settler = Settler::new(wallet, chain, batches.clone(), proofs.clone(), poll);
            async move { settler.run(stop).await.map_err(NodeError::from) }
        });
    }

    /// What comes from L1: priority operations and fee parameters.
    fn watch(&self, roles: &mut Roles) {
        let (l1, sequencer) = (self.l1.clone(), self.sequencer.clone());
        let (chain, created_at) = (self.network.chain.address, self.network.chain.created_at);
        let (confirmations, poll) = (confirmations_of(&self.config, &l1), poll(&self.config, &l1));
        let followed = fees::Followed {
            l1: l1.clone(),
            chain: self.network.chain.clone(),
            confirmations,
            sequencer: sequencer.clone(),
        };
        roles.start("the look at L1's fee parameters", move |stop| {
            let run = fees::follow(followed.clone(), stop);
            async move { run.await.map_err(NodeError::from) }
        });
        roles.start("the L1 watcher", move |stop| {
            let sink = NodePriority { sequencer: sequencer.clone(), created_at };
            let watcher = Watcher::new(l1.clone(), chain, sink, confirmations, poll);
            async move { watcher.run(stop).await.map_err(NodeError::from) }
        });
    }
}

impl RoleError for NodeError {
    /// What a proof, a witness or an attestation says of a batch does not change by asking again; all else may be L1's, a disk's or an admin's matter and pass.
    fn needs_a_person(&self) -> bool {
        matches!(
            self,
            Self::Settlement(SettlementError::ProofRefused { .. })
                | Self::Attest(AttestError::Invalid { .. } | AttestError::Mismatch { .. })
                | Self::Prover(
                    ProverError::Unprovable { .. }
                        | ProverError::Invalid { .. }
                        | ProverError::OtherBatch(_)
                )
        )
    }
}
