//! The `zks_` namespace: batches, proofs of messages, the bridge's addresses and fee estimates, with the JSON shapes of zkSync's
//! client API (zksync-ethers, viem/zksync and zksync-js read them).
//!
//! [`ZkChain`] is what the rollup's node implements; the structs here are its answers, already in the clients' spelling.

use crate::context::{Context, Module, Registered, heavy, quick};
use crate::error::{ChainError, Result};
use crate::execute::Request;
use crate::params::{Args, Word};
use crate::send::{asynchronous, raw_argument};
use crate::view::{Hex, Log};
use alloy_primitives::{Address, B256, Bytes, TxHash, U256};
use alloy_rpc_types::TransactionRequest;
use alloy_serde::{OtherFields, WithOtherFields};
use futures::future::BoxFuture;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most keys of one `zks_getProof`.
const MAX_PROOF_KEYS: usize = 1024;
/// Most tokens of one `zks_getConfirmedTokens`.
const MAX_TOKENS: u64 = 255;

/// Which root a log proof must lead to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogProofMode {
    /// The batch's root on its settlement layer (zksync-js: `l1BatchRoot`; the default).
    #[default]
    BatchRoot,
    /// zksync-ethers' `proof_based_gw`: the same root through the gateway, where the chain settles there.
    ProofBasedGateway,
    /// zksync-js' `messageRoot`: the aggregated message root, for interop.
    MessageRoot,
}

/// Answer of `zks_getL2ToL1LogProof`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogProof {
    /// Index of the leaf in the batch's tree.
    pub id: u64,
    /// Words of the proof, as the L1 contracts take them.
    pub proof: Vec<B256>,
    /// Root that the proof leads to.
    pub root: B256,
    /// Batch of the log.
    pub batch_number: u64,
}

/// Answer of `zks_getBridgeContracts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BridgeContracts {
    /// Legacy name of the ERC-20 bridge; the asset router.
    pub l1_erc20_default_bridge: Option<Address>,
    /// Its L2 side.
    pub l2_erc20_default_bridge: Option<Address>,
    /// The shared bridge: the asset router.
    pub l1_shared_default_bridge: Option<Address>,
    /// Its L2 side.
    pub l2_shared_default_bridge: Option<Address>,
    /// Absent on new chains.
    pub l1_weth_bridge: Option<Address>,
    /// Absent on new chains.
    pub l2_weth_bridge: Option<Address>,
    /// Absent on new chains.
    pub l2_legacy_shared_bridge: Option<Address>,
    /// The nullifier on L1.
    pub l1_nullifier: Option<Address>,
    /// The native token vault on L1.
    pub l1_native_token_vault: Option<Address>,
}

/// Answer of `zks_estimateFee`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeEstimate {
    /// Gas limit to use.
    pub gas_limit: u64,
    /// Most gas per byte of pubdata that the transaction should accept.
    pub gas_per_pubdata_limit: u64,
    /// Fee cap to use, in wei.
    pub max_fee_per_gas: u128,
    /// Tip to use, in wei.
    pub max_priority_fee_per_gas: u128,
}

impl Serialize for FeeEstimate {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut m = s.serialize_map(Some(4))?;
        m.serialize_entry("gas_limit", &Hex(self.gas_limit))?;
        m.serialize_entry("gas_per_pubdata_limit", &Hex(self.gas_per_pubdata_limit))?;
        m.serialize_entry("max_fee_per_gas", &Hex(self.max_fee_per_gas))?;
        m.serialize_entry("max_priority_fee_per_gas", &Hex(self.max_priority_fee_per_gas))?;
        m.end()
    }
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TransactionStatus {
    /// In the pool.
    Pending,
    /// In a block.
    Included,
    /// In a batch executed on L1.
    Verified,
    /// In a block, reverted.
    Failed,
}

/// Answer of `zks_getTransactionDetails`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionDetails {
    /// True for a priority operation.
    #[serde(rename = "isL1Originated")]
    pub is_l1_originated: bool,
    /// Where it stands.
    pub status: TransactionStatus,
    /// Fee paid (or the most it can pay, while pending), in wei.
    pub fee: U256,
    /// Gas per byte of pubdata.
    pub gas_per_pubdata: U256,
    /// Sender.
    pub initiator_address: Address,
    /// RFC 3339 time at which the node took it.
    pub received_at: String,
    /// L1 transaction that committed its batch.
    pub eth_commit_tx_hash: Option<TxHash>,
    /// L1 transaction that proved its batch.
    pub eth_prove_tx_hash: Option<TxHash>,
    /// L1 transaction that executed its batch.
    pub eth_execute_tx_hash: Option<TxHash>,
}

/// Where a block or batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchStatus {
    /// Not executed on L1 yet.
    Sealed,
    /// Executed on L1.
    Verified,
}

/// The part that `zks_getBlockDetails` and `zks_getL1BatchDetails` share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettlementDetails {
    /// Block or batch number.
    pub number: u64,
    /// Timestamp in seconds.
    pub timestamp: u64,
    /// Priority operations in it.
    pub l1_tx_count: u64,
    /// Other transactions in it.
    pub l2_tx_count: u64,
    /// State root (batch) or block hash (block).
    pub root_hash: Option<B256>,
    /// Where it stands.
    pub status: BatchStatus,
    /// L1 transaction of the commit.
    pub commit_tx_hash: Option<TxHash>,
    /// Its RFC 3339 time.
    pub committed_at: Option<String>,
    /// Chain of the commit.
    pub commit_chain_id: Option<u64>,
    /// L1 transaction of the proof.
    pub prove_tx_hash: Option<TxHash>,
    /// Its RFC 3339 time.
    pub proven_at: Option<String>,
    /// Chain of the proof.
    pub prove_chain_id: Option<u64>,
    /// L1 transaction of the execution.
    pub execute_tx_hash: Option<TxHash>,
    /// Its RFC 3339 time.
    pub executed_at: Option<String>,
    /// Chain of the execution.
    pub execute_chain_id: Option<u64>,
    /// L1 gas price when it was sealed, in wei.
    pub l1_gas_price: u64,
    /// L2 base fee, in wei.
    pub l2_fair_gas_price: u64,
    /// Price of a byte of pubdata, in wei.
    pub fair_pubdata_price: Option<u64>,
    /// Hashes that EraVM chains have; zero here.
    pub base_system_contracts_hashes: BaseSystemContracts,
    /// Protocol version, e.g. `Version29`.
    pub protocol_version: Option<String>,
    /// The validity proof of a batch, once a prover has taken it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proving: Option<Proving>,
}

/// How far a batch's validity proof is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proving {
    /// `proving` (its shards), `joining` (their proofs into one for L1), `proven` or `failed`.
    pub status: &'static str,
    /// The guest program.
    pub program_id: B256,
    /// Cycles of the batch's execution in the virtual machine.
    pub cycles: u64,
    /// Shards of the execution.
    pub shards: u32,
    /// Shards that have a proof.
    pub done: u32,
    /// Steps of joining the shards' proofs (0 before it has begun).
    pub join_steps: u32,
    /// Steps that are done.
    pub joined: u32,
    /// Milliseconds spent, on all of it.
    pub spent_ms: u64,
    /// Bytes of the proof that L1 verifies (0 until it is made).
    pub proof_bytes: u64,
    /// Proven bits of the weakest layer below that proof, rounded down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proven_bits: Option<u32>,
    /// First and last batch of that proof, once it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof_of: Option<(u64, u64)>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// EraVM's base contracts: zero on an EVM chain, and clients expect the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BaseSystemContracts {
    /// Zero.
    pub bootloader: B256,
    /// Zero.
    pub default_aa: B256,
    /// Absent.
    pub evm_emulator: Option<B256>,
}

/// Answer of `zks_getBlockDetails`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockDetails {
    /// The shared part.
    #[serde(flatten)]
    pub settlement: SettlementDetails,
    /// Batch of the block (the one that it will be in, while pending).
    pub l1_batch_number: u64,
    /// Fee recipient.
    pub operator_address: Address,
}

/// A token of `zks_getConfirmedTokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// Address on L1.
    pub l1_address: Address,
    /// Address on L2.
    pub l2_address: Address,
    /// Name.
    pub name: String,
    /// Symbol.
    pub symbol: String,
    /// Decimals.
    pub decimals: u8,
}

/// Figures behind `zks_getFeeParams`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeParams {
    /// L2 base fee in wei.
    pub minimal_l2_gas_price: u64,
    /// Greatest gas of a batch.
    pub max_gas_per_batch: u64,
    /// Greatest pubdata of a batch, in bytes.
    pub max_pubdata_per_batch: u64,
    /// L1 gas that a batch costs beside its pubdata.
    pub batch_overhead_l1_gas: u64,
    /// L1 gas price in wei.
    pub l1_gas_price: u64,
    /// Price of a byte of pubdata on L1, in wei.
    pub l1_pubdata_price: u64,
}

/// A storage write of `zks_sendRawTransactionWithDetailedOutput`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageWrite {
    /// Contract.
    pub address: Address,
    /// Slot.
    pub key: U256,
    /// Value.
    pub written_value: U256,
}

/// Answer of `zks_sendRawTransactionWithDetailedOutput`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DetailedOutput {
    /// Hash of the accepted transaction.
    pub transaction_hash: TxHash,
    /// Writes that its simulation made.
    pub storage_logs: Vec<StorageWrite>,
    /// Events that its simulation emitted.
    pub events: Vec<Log>,
}

/// One slot of `zks_getProof`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StorageProof {
    /// Slot.
    pub key: B256,
    /// Value.
    pub value: B256,
    /// Index of the leaf.
    pub index: u64,
    /// Sibling digests from the leaf upward.
    pub proof: Vec<B256>,
}

/// A request whose gas or fee is to be estimated.
#[derive(Clone, Debug)]
pub struct EstimateRequest {
    /// The transaction.
    pub request: TransactionRequest,
    /// Fields beyond Ethereum's, e.g. `eip712Meta`.
    pub other: OtherFields,
}

/// What a rollup of the family offers beside [`crate::Chain`]. Defaults answer -32601.
pub trait ZkChain: Send + Sync + 'static {
    /// `zks_getBridgehubContract`.
    fn bridgehub(&self) -> Result<Address>;

    /// `zks_getMainContract`: the chain's own contract on the settlement layer.
    fn main_contract(&self) -> Result<Address>;

    /// `zks_getBridgeContracts`.
    fn bridge_contracts(&self) -> Result<BridgeContracts>;

    /// `zks_L1ChainId`.
    fn l1_chain_id(&self) -> Result<u64>;

    /// `zks_getBaseTokenL1Address`; ETH is `0x..01`.
    fn base_token_l1_address(&self) -> Result<Address>;

    /// `zks_getTestnetPaymaster`; `None` where none is deployed.
    fn testnet_paymaster(&self) -> Result<Option<Address>>;

    /// `zks_getBytecodeSupplierContract`; `None` where L1 has none: EVM bytecode is published with its deployment.
    fn bytecode_supplier(&self) -> Result<Option<Address>> {
        Ok(None)
    }

    /// `zks_L1BatchNumber`: the last sealed batch.
    fn l1_batch_number(&self) -> Result<u64>;

    /// `zks_getL1BatchBlockRange`: first and last block.
    fn batch_block_range(&self, batch: u64) -> Result<Option<(u64, u64)>>;

    /// `zks_getL1BatchDetails`.
    fn batch_details(&self, batch: u64) -> Result<Option<SettlementDetails>>;

    /// `zks_getBlockDetails`.
    fn block_details(&self, block: u64) -> Result<Option<BlockDetails>>;

    /// `zks_getTransactionDetails`.
    fn transaction_details(&self, hash: TxHash) -> Result<Option<TransactionDetails>>;

    /// `zks_getL2ToL1LogProof`: `index` is that of the log among the transaction's L2->L1 logs; `None` until its batch is sealed.
    fn log_proof(&self, hash: TxHash, index: usize, mode: LogProofMode)
    -> Result<Option<LogProof>>;

    /// `zks_estimateFee`.
    fn estimate_fee(&self, request: EstimateRequest) -> Result<FeeEstimate>;

    /// `zks_estimateGasL1ToL2`.
    fn estimate_gas_l1_to_l2(&self, request: EstimateRequest) -> Result<u64>;

    /// `zks_gasPerPubdata`.
    fn gas_per_pubdata(&self) -> Result<u64>;

    /// `zks_getFeeParams`.
    fn fee_params(&self) -> Result<FeeParams>;

    /// `zks_getAllAccountBalances`: token to balance, those that are not zero.
    fn all_balances(&self, _address: Address) -> Result<BTreeMap<Address, U256>> {
        Err(ChainError::unsupported("zks_getAllAccountBalances"))
    }

    /// `zks_getConfirmedTokens`.
    fn confirmed_tokens(&self, _from: usize, _limit: usize) -> Result<Vec<Token>> {
        Err(ChainError::unsupported("zks_getConfirmedTokens"))
    }

    /// `zks_getBytecodeByHash`: code by its keccak hash.
    fn bytecode_by_hash(&self, _hash: B256) -> Result<Option<Bytes>> {
        Err(ChainError::unsupported("zks_getBytecodeByHash"))
    }

    /// `zks_getRawBlockTransactions`, in the server's JSON.
    fn raw_block_transactions(&self, _block: u64) -> Result<Vec<Value>> {
        Err(ChainError::unsupported("zks_getRawBlockTransactions"))
    }

    /// `zks_getProof`: proofs against the state root of a sealed batch; `None` if there is no such batch.
    fn storage_proof(
        &self,
        _address: Address,
        _keys: Vec<B256>,
        _batch: u64,
    ) -> Result<Option<Vec<StorageProof>>> {
        Err(ChainError::unsupported("zks_getProof"))
    }

    /// `zks_getProtocolVersion`, in the server's JSON; `None` if unknown.
    fn protocol_version(&self, _id: Option<u16>) -> Result<Option<Value>> {
        Err(ChainError::unsupported("zks_getProtocolVersion"))
    }

    /// `zks_getGenesis`, in the server's JSON.
    fn genesis(&self) -> Result<Value> {
        Err(ChainError::unsupported("zks_getGenesis"))
    }

    /// `zks_getBlockMetadataByNumber`, in the server's JSON.
    fn block_metadata(&self, _block: u64) -> Result<Option<Value>> {
        Err(ChainError::unsupported("zks_getBlockMetadataByNumber"))
    }

    /// `zks_sendRawTransactionWithDetailedOutput`.
    fn submit_detailed(&self, _raw: Bytes) -> BoxFuture<'_, Result<DetailedOutput>> {
        Box::pin(async { Err(ChainError::unsupported("zks_sendRawTransactionWithDetailedOutput")) })
    }
}

fn show_fee_params(p: FeeParams) -> Value {
    json!({ "V2": {
        "config": {
            "minimal_l2_gas_price": p.minimal_l2_gas_price,
            "compute_overhead_part": 0.0,
            "pubdata_overhead_part": 1.0,
            "batch_overhead_l1_gas": p.batch_overhead_l1_gas,
            "max_gas_per_batch": p.max_gas_per_batch,
            "max_pubdata_per_batch": p.max_pubdata_per_batch,
        },
        "l1_gas_price": p.l1_gas_price,
        "l1_pubdata_price": p.l1_pubdata_price,
        "conversion_ratio": { "numerator": 1, "denominator": 1 },
    } })
}

fn estimate_argument(args: &mut Args<'_>) -> Result<EstimateRequest> {
    let WithOtherFields { inner: mut request, other } = args.req::<Request>()?;
    request.normalize_input();
    Ok(EstimateRequest { request, other })
}

fn log_proof(ctx: &Context, args: &mut Args<'_>) -> Result<Option<LogProof>> {
    let (hash, index) = (args.req()?, args.opt_u64()?.unwrap_or(0));
    let mode = match args.opt::<String>()?.as_deref() {
        None | Some("l1BatchRoot" | "l1_batch_root") => LogProofMode::BatchRoot,
        Some("proof_based_gw" | "proofBasedGw") => LogProofMode::ProofBasedGateway,
        Some("messageRoot" | "message_root") => LogProofMode::MessageRoot,
        Some(other) => {
            return Err(ChainError::InvalidParams(format!("unknown log proof mode {other}")));
        }
    };
    ctx.zk()?.log_proof(hash, usize::try_from(index).unwrap_or(usize::MAX), mode)
}

fn storage_proof(ctx: &Context, args: &mut Args<'_>) -> Result<Option<Value>> {
    let (address, keys, batch) = (args.req::<Address>()?, args.req::<Vec<Word>>()?, args.u64()?);
    if keys.len() > MAX_PROOF_KEYS {
        return Err(ChainError::LimitExceeded(format!(
            "too many keys: the limit is {MAX_PROOF_KEYS}"
        )));
    }
    let proofs =
        ctx.zk()?.storage_proof(address, keys.into_iter().map(|k| k.0).collect(), batch)?;
    Ok(proofs.map(|storage| json!({ "address": address, "storageProof": storage })))
}

fn register_contracts(m: &mut Module) -> Registered {
    quick(m, "zks_getBridgehubContract", |ctx, _| ctx.zk()?.bridgehub())?;
    quick(m, "zks_getMainContract", |ctx, _| ctx.zk()?.main_contract())?;
    quick(m, "zks_getBridgeContracts", |ctx, _| ctx.zk()?.bridge_contracts())?;
    quick(m, "zks_getTestnetPaymaster", |ctx, _| ctx.zk()?.testnet_paymaster())?;
    quick(m, "zks_getBytecodeSupplierContract", |ctx, _| ctx.zk()?.bytecode_supplier())?;
    quick(m, "zks_getBaseTokenL1Address", |ctx, _| ctx.zk()?.base_token_l1_address())?;
    quick(m, "zks_L1ChainId", |ctx, _| ctx.zk()?.l1_chain_id().map(Hex))?;
    heavy(m, "zks_getConfirmedTokens", |ctx, args| {
        let (from, limit) =
            (args.opt_u64()?.unwrap_or(0), args.opt_u64()?.unwrap_or(255).min(MAX_TOKENS));
        ctx.zk()?.confirmed_tokens(usize::try_from(from).unwrap_or(usize::MAX), limit as usize)
    })?;
    heavy(m, "zks_getAllAccountBalances", |ctx, args| ctx.zk()?.all_balances(args.req()?))?;
    quick(m, "zks_getProtocolVersion", |ctx, args| {
        let id = args.opt_u64()?.map(|id| {
            u16::try_from(id).map_err(|_| ChainError::InvalidParams("version too large".into()))
        });
        ctx.zk()?.protocol_version(id.transpose()?)
    })?;
    quick(m, "zks_getGenesis", |ctx, _| ctx.zk()?.genesis())
}

fn register_batches(m: &mut Module) -> Registered {
    quick(m, "zks_L1BatchNumber", |ctx, _| ctx.zk()?.l1_batch_number().map(Hex))?;
    quick(m, "zks_getL1BatchBlockRange", |ctx, args| {
        Ok(ctx.zk()?.batch_block_range(args.u64()?)?.map(|(first, last)| [Hex(first), Hex(last)]))
    })?;
    quick(m, "zks_getL1BatchDetails", |ctx, args| ctx.zk()?.batch_details(args.u64()?))?;
    quick(m, "zks_getBlockDetails", |ctx, args| ctx.zk()?.block_details(args.u64()?))?;
    quick(m, "zks_getTransactionDetails", |ctx, args| ctx.zk()?.transaction_details(args.req()?))?;
    heavy(m, "zks_getRawBlockTransactions", |ctx, args| {
        ctx.zk()?.raw_block_transactions(args.u64()?)
    })?;
    quick(m, "zks_getBlockMetadataByNumber", |ctx, args| ctx.zk()?.block_metadata(args.u64()?))?;
    heavy(m, "zks_getBytecodeByHash", |ctx, args| {
        // zksync-ethers reads an array of numbers.
        Ok(ctx.zk()?.bytecode_by_hash(args.req()?)?.map(|code| code.to_vec()))
    })?;
    heavy(m, "zks_getL2ToL1LogProof", log_proof)?;
    heavy(m, "zks_getProof", storage_proof)
}

fn register_fees(m: &mut Module) -> Registered {
    heavy(m, "zks_estimateFee", |ctx, args| ctx.zk()?.estimate_fee(estimate_argument(args)?))?;
    heavy(m, "zks_estimateGasL1ToL2", |ctx, args| {
        ctx.zk()?.estimate_gas_l1_to_l2(estimate_argument(args)?).map(Hex)
    })?;
    quick(m, "zks_gasPerPubdata", |ctx, _| ctx.zk()?.gas_per_pubdata().map(Hex))?;
    quick(m, "zks_getFeeParams", |ctx, _| ctx.zk()?.fee_params().map(show_fee_params))?;
    asynchronous(m, "zks_sendRawTransactionWithDetailedOutput", |ctx, params| async move {
        let raw = raw_argument(&ctx, &mut Args::new(&params))?;
        ctx.zk()?.submit_detailed(raw).await
    })
}

pub(crate) fn register(m: &mut Module) -> Registered {
    register_contracts(m)?;
    register_batches(m)?;
    register_fees(m)
}
