//! Commands and their options.

use std::{error::Error, net::IpAddr, path::PathBuf, process::ExitCode};

use alloy_primitives::{Address, B256};
use cairn_settlement::verifier::VerifierKind;
use clap::{Args, Parser, Subcommand};

use crate::{base_token::Choice, network::Da};

/// An EVM-equivalent ZK rollup, its L1 and its bridge, whole on one machine.
#[derive(Debug, Parser)]
#[command(name = "cairn", version, about, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What Cairn can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows everything at work once: deposits from L1, transfers, a deployment, withdrawals finalized on L1
    Demo(DemoArgs),
    /// Keeps a development network running: an L1, the rollup and its settlement
    Up(UpArgs),
    /// Runs the embedded development L1 alone
    L1(L1Args),
    /// Re-executes a chain's batches in a process of its own and signs what it finds
    Attester(AttesterArgs),
    /// Rebuilds a chain in an empty data directory from L1 alone, so that `up` goes on with it
    Recover(RecoverArgs),
    /// Proves a batch: executes its witness in the virtual machine and makes the validity proof; with `--final` the one that L1 verifies
    Prove(ProveArgs),
    /// Verifies a validity proof from the proof, the program id and the public inputs alone, as L1's contract does with `--final`
    Verify(VerifyArgs),
    /// The contract that verifies proofs on L1: what it is generated from
    #[command(subcommand)]
    Verifier(VerifierCommand),
    /// Writes a sealed batch's witness to a file, from a data directory whose node is stopped
    Witness(WitnessArgs),
    /// Measures the node
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Checks ports, disk, clock, the L1 and the data directory
    Doctor(DoctorArgs),
}

/// Options of `cairn demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// One JSON object a line; the last is the summary
    #[arg(long)]
    pub json: bool,
    /// Use this L1 (an HTTP URL, e.g. of anvil) instead of the embedded one; its development accounts must be funded
    #[arg(long, value_name = "URL")]
    pub l1: Option<String>,
    /// What makes batches final on L1: `proof` (a contract verifies their validity proofs), `attesters` (no validity rollup, and quick), or `both`
    #[arg(long, value_name = "KIND", default_value_t)]
    pub verifier: VerifierKind,
    /// Make no validity proofs (they take most of the time): the same as `--verifier attesters`
    #[arg(long, conflicts_with = "verifier")]
    pub no_prove: bool,
    /// How the rollup's data reaches L1; chosen when the network is created [default: blobs]
    #[arg(long, value_name = "WAY")]
    pub da: Option<Da>,
    /// Keep the network's data here instead of in a temporary folder
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Options of `cairn up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Where the network's data is kept; started again with the same folder, it goes on where it stopped
    #[arg(long, value_name = "DIR", default_value = ".cairn")]
    pub data_dir: PathBuf,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Port of the rollup's JSON-RPC (HTTP and WebSocket)
    #[arg(long, default_value_t = 3050)]
    pub port: u16,
    /// Port of the embedded L1's JSON-RPC
    #[arg(long, default_value_t = 8545)]
    pub l1_port: u16,
    /// Port of the explorer and portal
    #[arg(long, default_value_t = 3010)]
    pub explorer_port: u16,
    /// Use this L1 (an HTTP URL) instead of the embedded one
    #[arg(long, value_name = "URL")]
    pub l1: Option<String>,
    /// Chain id of the rollup
    #[arg(long, default_value_t = DEFAULT_CHAIN_ID)]
    pub chain_id: u64,
    /// What makes batches final on L1: `proof` (a contract verifies their validity proofs), `attesters` (no validity rollup), or `both`;
    /// chosen when the network is created [default: proof]
    #[arg(long, value_name = "KIND")]
    pub verifier: Option<VerifierKind>,
    /// How the rollup's data reaches L1; chosen when the network is created [default: blobs]
    #[arg(long, value_name = "WAY")]
    pub da: Option<Da>,
    /// In what fees are paid: `eth`, the address of an ERC-20 on L1 (with 18 decimals), or `new` for a test token that anybody may mint; chosen
    /// when the network is created [default: eth]
    #[arg(long, value_name = "TOKEN")]
    pub base_token: Option<Choice>,
    /// Keep every batch's witness; otherwise it is dropped once the batch is executed on L1, below the confirmation depth
    #[arg(long)]
    pub keep_witnesses: bool,
    /// L1 blocks above a deposit before the rollup takes it [default: 64; 0 on the embedded L1 and on development chains, e.g. chain id 31337]
    #[arg(long, value_name = "BLOCKS")]
    pub confirmations: Option<u64>,
    /// Register this attester, which runs in another process (`cairn attester`), beside the network's own; only when the network is created
    #[arg(long = "attester", value_name = "ADDRESS")]
    pub attesters: Vec<Address>,
    /// Attestations that a batch needs; only when the network is created
    #[arg(long, value_name = "K", default_value_t = 1)]
    pub attestations: usize,
    /// Print one JSON object with the network's addresses once it is usable
    #[arg(long)]
    pub json: bool,
}

/// Options of `cairn l1`.
#[derive(Debug, Args)]
pub struct L1Args {
    /// Where its state is kept
    #[arg(long, value_name = "DIR", default_value = ".cairn-l1")]
    pub data_dir: PathBuf,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Port of its JSON-RPC
    #[arg(long, default_value_t = 8545)]
    pub port: u16,
    /// Chain id
    #[arg(long, default_value_t = DEFAULT_L1_CHAIN_ID)]
    pub chain_id: u64,
    /// Seconds between blocks; without it, a block for each transaction
    #[arg(long, value_name = "SECONDS")]
    pub block_time: Option<f64>,
}

/// Options of `cairn attester`.
#[derive(Debug, Args)]
pub struct AttesterArgs {
    /// The node (an HTTP URL) that serves witnesses and takes attestations
    #[arg(long, value_name = "URL")]
    pub rpc: String,
    /// The L1 (an HTTP URL) on which the chain commits; it decides what is attested
    #[arg(long, value_name = "URL")]
    pub l1: String,
    /// The attester's private key, in hexadecimal (others on this machine may see it: better a file)
    #[arg(long, value_name = "HEX", conflicts_with = "key_file")]
    pub key: Option<String>,
    /// A file that holds the attester's private key, in hexadecimal
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// The chain's contract on L1; by default what the node says
    #[arg(long, value_name = "ADDRESS")]
    pub chain: Option<Address>,
    /// The attestation verifier on L1; by default the chain's verifier
    #[arg(long, value_name = "ADDRESS")]
    pub verifier: Option<Address>,
    /// L1 block before which nothing unproven was committed
    #[arg(long, default_value_t = 0)]
    pub from_block: u64,
}

/// Options of `cairn recover`.
#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// The L1 (an HTTP URL) that holds the chain's batches
    #[arg(long, value_name = "URL")]
    pub from_l1: String,
    /// A beacon node (the URL of its REST API) that keeps the blobs; without it the L1 is asked, which has them only in development
    #[arg(long, value_name = "URL")]
    pub beacon: Option<String>,
    /// The bridgehub that created the chain
    #[arg(long, value_name = "ADDRESS")]
    pub bridgehub: Address,
    /// The chain
    #[arg(long, default_value_t = DEFAULT_CHAIN_ID)]
    pub chain_id: u64,
    /// L1 block before which the chain did not exist
    #[arg(long, default_value_t = 0)]
    pub from_block: u64,
    /// Take batches that are committed but not proven back on L1 (`revertBatches`), with the validator's key: their transactions are not on L1, so without a copy of
    /// the old node nobody can prove them. Deposits in them are executed again
    #[arg(long)]
    pub revert_unproven: bool,
    /// A file that holds the key for --revert-unproven, in hexadecimal: the validator's or the chain admin's [default: the development network's]
    #[arg(long, value_name = "FILE", requires = "revert_unproven")]
    pub key_file: Option<PathBuf>,
    /// An empty directory
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Options of `cairn prove`.
#[derive(Debug, Args)]
pub struct ProveArgs {
    /// The batch's witness (see `cairn witness`); with `--final`, up to four of consecutive batches
    #[arg(long = "batch", value_name = "FILE", required = true)]
    pub batches: Vec<PathBuf>,
    /// Make the one small proof that L1 verifies, of all batches together
    #[arg(long = "final")]
    pub last: bool,
    /// Where the proof goes [default: the first witness's name with `.proof`, or `.final`]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Where finished shards and steps are kept; several processes may share the shards, and a killed one goes on [default: the witness's name with `.work`]
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// Prove nothing; show where the guest program's cycles go
    #[arg(long, conflicts_with_all = ["json", "last"])]
    pub profile: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Options of `cairn verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The proof
    #[arg(long, value_name = "FILE")]
    pub proof: PathBuf,
    /// The batch's public input, as L1 computes it; with `--final`, one for each batch in order
    #[arg(long = "public-input", value_name = "HASH", required = true)]
    pub public_inputs: Vec<B256>,
    /// The proof is one that L1 verifies
    #[arg(long = "final")]
    pub last: bool,
    /// The guest program [default: the one in this binary]
    #[arg(long, value_name = "HASH")]
    pub program_id: Option<B256>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// What `cairn verifier` does.
#[derive(Debug, Subcommand)]
pub enum VerifierCommand {
    /// Writes the verifying key, as data and as Solidity, from the circuits' own description: for developers, in the sources' folder
    Generate(GenerateArgs),
    /// Writes a final proof with its key and claims as the contracts' tests take it
    Vector(VectorArgs),
}

/// Options of `cairn verifier generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Folder of the sources
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub root: PathBuf,
    /// Write nothing; fail when the files are not what would be written
    #[arg(long)]
    pub check: bool,
    /// Take the circuits that this program was shipped with instead of computing them (about a minute)
    #[arg(long)]
    pub shipped: bool,
}

/// Options of `cairn verifier vector`.
#[derive(Debug, Args)]
pub struct VectorArgs {
    /// A final proof (`cairn prove --final`, or `prover/final-A-B.proof` of a node)
    #[arg(long, value_name = "FILE")]
    pub proof: PathBuf,
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "contracts/test/vectors/final_proof.json")]
    pub out: PathBuf,
}

/// Options of `cairn witness`.
#[derive(Debug, Args)]
pub struct WitnessArgs {
    /// The node's data directory
    #[arg(long, value_name = "DIR", default_value = ".cairn")]
    pub data_dir: PathBuf,
    /// Which batch
    #[arg(long)]
    pub number: u64,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// What `cairn bench` measures.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Transactions through JSON-RPC: one after the other, and as quickly as they are taken
    Rpc(BenchRpcArgs),
    /// Base proofs: cycles a second, cells, memory, proven bits, proven transactions a second
    Prove(BenchProveArgs),
    /// Gas on L1: verification of a final proof, part by part, and all of it for each transaction of batches of several sizes
    Gas(BenchGasArgs),
}

/// Options of `cairn bench rpc`.
#[derive(Debug, Args)]
pub struct BenchRpcArgs {
    /// Another node (an HTTP URL, e.g. of anvil) to measure in the same run
    #[arg(long, value_name = "URL")]
    pub peer: Option<String>,
    /// Transactions of each kind that are sent and awaited one after the other
    #[arg(long, default_value_t = 300)]
    pub serial: u64,
    /// Transactions of each kind that are sent without waiting
    #[arg(long, default_value_t = 2_000)]
    pub flood: u64,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// Options of `cairn bench prove`.
#[derive(Debug, Args)]
pub struct BenchProveArgs {
    /// Shards to prove of each run, at most; figures are of those
    #[arg(long, default_value_t = 4)]
    pub shards: usize,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// Options of `cairn bench gas`.
#[derive(Debug, Args)]
pub struct BenchGasArgs {
    /// A final proof (`cairn prove --final`, or `prover/final-A-B.proof` of a node)
    #[arg(long, value_name = "FILE")]
    pub proof: PathBuf,
    /// Verify on this L1 (an HTTP URL, e.g. of anvil) instead of the embedded one; its development accounts must be funded
    #[arg(long, value_name = "URL")]
    pub l1: Option<String>,
    /// How many transfers, each number by itself; as many batches as they fill
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1000])]
    pub batches: Vec<u64>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// Options of `cairn doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The data directory to look at
    #[arg(long, value_name = "DIR", default_value = ".cairn")]
    pub data_dir: PathBuf,
    /// The L1 (an HTTP URL) to reach; without it the data directory's own is looked at
    #[arg(long, value_name = "URL")]
    pub l1: Option<String>,
    /// Address that the node would listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Ports that must be free on it
    #[arg(long, value_delimiter = ',', default_values_t = [3050, 8545, 3010])]
    pub ports: Vec<u16>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Chain id of a development rollup.
pub const DEFAULT_CHAIN_ID: u64 = 271;
/// Chain id of the embedded L1.
pub const DEFAULT_L1_CHAIN_ID: u64 = 31_337;

impl Cli {
    /// True when standard output must hold nothing but JSON.
    pub fn json(&self) -> bool {
        match &self.command {
            Command::Demo(a) => a.json,
            Command::Up(a) => a.json,
            Command::Doctor(a) => a.json,
            Command::Recover(a) => a.json,
            Command::Bench(BenchCommand::Rpc(a)) => a.json,
            Command::Bench(BenchCommand::Prove(a)) => a.json,
            Command::Bench(BenchCommand::Gas(a)) => a.json,
            Command::Prove(a) => a.json,
            Command::Verify(a) => a.json,
            Command::L1(_) | Command::Witness(_) | Command::Attester(_) | Command::Verifier(_) => {
                false
            }
        }
    }

    /// Runs the command.
    ///
    /// # Errors
    /// What the person at the keyboard should read.
    pub async fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        match self.command {
            Command::Demo(args) => crate::demo::run(args).await,
            Command::Up(args) => crate::node::up(args).await,
            Command::L1(args) => crate::roles::run_l1(args).await,
            Command::Attester(args) => crate::attester::run(args).await,
            Command::Recover(args) => crate::recover::run(args).await,
            Command::Prove(args) => crate::prove::prove(args),
            Command::Verify(args) => crate::prove::verify(args),
            Command::Verifier(VerifierCommand::Generate(args)) => crate::verifier::generate(&args),
            Command::Verifier(VerifierCommand::Vector(args)) => crate::verifier::vector(&args),
            Command::Witness(args) => crate::prove::witness(args),
            Command::Bench(BenchCommand::Rpc(args)) => crate::bench_rpc::run(args).await,
            Command::Bench(BenchCommand::Prove(args)) => crate::bench_prove::run(args).await,
            Command::Bench(BenchCommand::Gas(args)) => crate::bench_gas::run(args).await,
            Command::Doctor(args) => crate::doctor::run(args).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
