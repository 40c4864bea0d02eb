//! What the operator sets.

use std::{fmt, sync::Arc, time::Duration};

use alloy_primitives::{Address, B256};
use cairn_primitives::da::DaMode;
use cairn_primitives::{ChainConfig, FeeParams};
use cairn_stf::BatchLimits;

/// When blocks are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockTime {
    /// As soon as a transaction waits; under load, blocks gather what arrives while the one before is built.
    Instant,
    /// At most one every so often, and only when a transaction waits.
    Interval(Duration),
    /// Only when asked (`evm_mine`).
    Manual,
}

/// Bounds of the mempool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MempoolLimits {
    /// Most transactions.
    pub transactions: usize,
    /// Most bytes of encoded transactions.
    pub bytes: usize,
    /// Most senders.
    pub senders: usize,
    /// Most transactions of one sender, and so the widest nonce gap.
    pub per_sender: usize,
    /// Most transactions behind nonce gaps, which may wait for hours and pay nobody.
    pub gapped: usize,
    /// Most of one sender.
    pub gapped_per_sender: usize,
    /// Most bytes of them.
    pub gapped_bytes: usize,
    /// How long a transaction behind a nonce gap is kept.
    pub queued_lifetime: Duration,
    /// Least tip, in wei.
    pub min_tip: u128,
}

impl Default for MempoolLimits {
    fn default() -> Self {
        Self {
            transactions: 50_000,
            bytes: 256 << 20,
            senders: 20_000,
            per_sender: 16_384,
            gapped: 4_096,
            gapped_per_sender: 1_024,
            gapped_bytes: 32 << 20,
            queued_lifetime: Duration::from_secs(3 * 3600),
            min_tip: 0,
        }
    }
}

/// From a witness to the public input, or why there is none.
type RunWitness = dyn Fn(&[u8]) -> Result<B256, String> + Send + Sync;

/// A run of the program that will be proven, without proving: from a witness to the public input.
#[derive(Clone)]
pub struct ProofRun(Arc<RunWitness>);

impl ProofRun {
    /// From a function that says why there would be no proof.
    pub fn new(run: impl Fn(&[u8]) -> Result<B256, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(run))
    }

    pub(crate) fn run(&self, witness: &[u8]) -> Result<B256, String> {
        (self.0)(witness)
    }
}

impl fmt::Debug for ProofRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofRun")
    }
}

impl PartialEq for ProofRun {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ProofRun {}

/// When batches are sealed, and what is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchConfig {
    /// What one batch may hold.
    pub limits: BatchLimits,
    /// Oldest that a batch with a transaction gets before it is sealed; `None` seals by the other criteria only.
    pub max_age: Option<Duration>,
    /// While this many batches are sealed and not yet executed on L1, age alone seals no further one: what makes batches final is busy, and larger ones cost it less.
    pub busy_at: u64,
    /// How pubdata reaches L1.
    pub da_mode: DaMode,
    /// Execute each batch again, statelessly from its witness, before it is stored, and refuse it when any byte of the result differs.
    pub self_check: bool,
    /// Runs the program that will be proven, before a batch is stored. A batch on which it fails is cut into smaller ones.
    pub proof_run: Option<ProofRun>,
    /// Most batches that are sealed and not yet executed on L1; at this many, no block is built and no transaction accepted.
    pub max_unsettled: u64,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            limits: BatchLimits::default(),
            max_age: Some(Duration::from_secs(5)),
            busy_at: u64::MAX,
            da_mode: DaMode::Blobs,
            self_check: true,
            proof_run: None,
            max_unsettled: 10_000,
        }
    }
}

/// The sequencer's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequencerConfig {
    /// The chain.
    pub chain: ChainConfig,
    /// Receives the fees; part of every batch's public input.
    pub operator: Address,
    /// Fee parameters from the first batch on (see [`crate::Sequencer::set_fee_params`]).
    pub fees: FeeParams,
    /// Program that proofs must be of; part of every batch's public input.
    pub guest_program_id: B256,
    /// When blocks are built.
    pub block_time: BlockTime,
    /// Bounds of the mempool.
    pub mempool: MempoolLimits,
    /// When batches are sealed.
    pub batches: BatchConfig,
    /// Longest that blocks are built without a look at L1 that found all confirmed priority operations ([`crate::Sequencer::saw_l1`]); `None` where nobody looks.
    /// L1 refuses every batch that leaves an expired operation behind, and a sealed batch cannot be changed any more.
    pub max_l1_age: Option<Duration>,
    /// Whether development methods (time, mining) are answered.
    pub dev: bool,
}

impl SequencerConfig {
    /// Defaults for a chain.
    pub fn new(chain: ChainConfig, operator: Address) -> Self {
        Self {
            chain,
            operator,
            fees: FeeParams::default(),
            guest_program_id: B256::ZERO,
            block_time: BlockTime::Instant,
            mempool: MempoolLimits::default(),
            batches: BatchConfig::default(),
            max_l1_age: None,
            dev: false,
        }
    }
}
