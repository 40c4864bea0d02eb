//! Settings and errors of the embedded L1.

use alloy_primitives::{Address, U256};
use std::path::PathBuf;
use std::time::Duration;

/// Balance of each development account at genesis: 10,000 ETH, as Hardhat and anvil have it.
pub const DEV_BALANCE: U256 = U256::from_limbs([0x19e0_c9ba_b240_0000, 0x21e, 0, 0]);

/// Settings of [`crate::L1Dev`].
#[derive(Clone, Debug)]
pub struct L1Config {
    /// Where the state lives; `None` keeps it in memory.
    pub data_dir: Option<PathBuf>,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// A block every so often; `None` for none.
    pub block_time: Option<Duration>,
    /// Mines each transaction at once. With `block_time` both happen (anvil's `--mixed-mining`).
    pub automine: bool,
    /// Gas limit of a block.
    pub gas_limit: u64,
    /// `safe` lags the head by this many blocks, `finalized` by twice as many.
    pub slots_in_epoch: u64,
    /// How many of the last blocks keep their state for calls, traces and reorgs.
    pub history: u64,
    /// Mnemonic of the development accounts.
    pub mnemonic: String,
    /// How many of them are funded at genesis.
    pub accounts: u32,
    /// More accounts to fund at genesis.
    pub alloc: Vec<(Address, U256)>,
    /// Base fee of the first block, in wei.
    pub base_fee: u64,
    /// Most transactions in the pool.
    pub max_pool: usize,
    /// Most transactions of one sender in the pool.
    pub max_pool_per_sender: usize,
}

impl Default for L1Config {
    fn default() -> Self {
        Self {
            data_dir: None,
            chain_id: 31_337,
            block_time: None,
            automine: true,
            gas_limit: 60_000_000,
            slots_in_epoch: 32,
            history: 1_024,
            mnemonic: cairn_rpc::TEST_MNEMONIC.into(),
            accounts: 10,
            alloc: Vec::new(),
            base_fee: 1_000_000_000,
            max_pool: 65_536,
            max_pool_per_sender: 16_384,
        }
    }
}

/// Why the L1 does not start or stops.
#[derive(Debug, thiserror::Error)]
pub enum L1Error {
    /// The data directory cannot be made or opened.
    #[error("cannot open the L1's data directory {path}: {why}")]
    DataDir {
        /// Directory.
        path: PathBuf,
        /// Reason.
        why: String,
    },
    /// It holds another chain.
    #[error(
        "the L1's data directory holds chain {found}, not {wanted}: choose another directory or chain id"
    )]
    OtherChain {
        /// Chain id asked for.
        wanted: u64,
        /// Chain id found.
        found: u64,
    },
    /// It was written by another version.
    #[error(
        "the L1's data directory has format {found}, this program reads {wanted}: remove it to start anew"
    )]
    OtherVersion {
        /// Format of this program.
        wanted: u64,
        /// Format found.
        found: u64,
    },
    /// It does not hold together.
    #[error("the L1's data directory is damaged: {0}")]
    Damaged(String),
    /// A write or read failed (a full disk, for one).
    #[error("the L1's database failed: {0}")]
    Database(String),
    /// The settings make no sense.
    #[error("settings of the L1: {0}")]
    Config(String),
    /// The server does not start.
    #[error(transparent)]
    Serve(#[from] cairn_rpc::StartError),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}
