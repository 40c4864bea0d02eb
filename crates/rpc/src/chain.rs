//! The border between the server and a chain.
//!
//! [`Chain`] is what every chain offers; it is object-safe and the server holds it as `Arc<dyn Chain>`. [`DevChain`] adds what only
//! a development node may do; each of its methods has a default that answers "not available", so that a chain implements what it can
//! honour. All methods but [`Chain::submit`] are synchronous and may be called from many threads at once; the server moves the heavy
//! ones ([`Chain::call`], [`Chain::replay`], everything of [`DevChain`]) off the network threads.

use crate::error::{ChainError, Result};
use crate::frames::Stepwise;
use crate::tracers::Tracers;
use crate::view::{Block, Extra, Log, Receipt, Transaction};
use alloy_eips::eip7910::EthForkConfig;
use alloy_primitives::{Address, B256, Bloom, Bytes, TxHash, U256};
use alloy_rpc_types::state::StateOverride;
use alloy_rpc_types::{BlockOverrides, EIP1186AccountProofResponse, Header, TransactionRequest};
use alloy_serde::OtherFields;
use futures::future::BoxFuture;
use revm::context::{BlockEnv, TxEnv};
use revm::context_interface::result::{ExecutionResult, HaltReason, ResultAndState};
use revm::database_interface::DatabaseRef;
use revm_inspectors::access_list::AccessListInspector;
use revm_inspectors::tracing::TracingInspector;
use serde_json::Value;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;

/// Named points of the chain, except `pending`, which is a [`BlockRef`] of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NamedBlock {
    /// Block 0.
    Earliest,
    /// Head.
    Latest,
    /// L1: justified. L2: its batch is committed on L1.
    Safe,
    /// L1: finalized. L2: its batch is executed on L1.
    Finalized,
    /// zkSync's tag: final for the sequencer. Same as `latest` where there is no difference.
    Committed,
    /// zkSync's tag: last block of a batch committed on L1.
    L1Committed,
}

/// A block that a client asked for, names resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockRef {
    /// By number.
    Number(u64),
    /// By hash.
    Hash(B256),
    /// The block after the head, as it would be built now: its number, timestamp and fees. Its transactions are the pool's executable
    /// ones, which nobody has executed yet: its state is the head's, it has no receipts, and it cannot be replayed.
    Pending,
}

/// Read access to the state at one block. `Error` is always [`ChainError`].
pub trait StateView: DatabaseRef<Error = ChainError> + Send + Sync {}
impl<T: DatabaseRef<Error = ChainError> + Send + Sync + ?Sized> StateView for T {}

/// Fees as of the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fees {
    /// Base fee of the next block, in wei.
    pub next_base_fee: u128,
    /// Tip that gets a transaction into the next block.
    pub suggested_tip: u128,
    /// Blob base fee of the next block; 0 where there are no blobs.
    pub next_blob_base_fee: u128,
    /// Blob gas a block may hold; 0 where there are no blobs.
    pub max_blob_gas: u64,
}

/// What a simulated execution is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallPurpose {
    /// `eth_call` and tracing: balance, nonce and base-fee checks are off unless the request states fees.
    Call,
    /// One probe of `eth_estimateGas`: as `Call`, with `request.gas` as the gas limit to try, and value and fees must be covered.
    Estimate,
}

/// A simulated execution.
#[derive(Clone, Debug)]
pub struct CallRequest {
    /// The transaction to simulate. The server has set `from` and `gas` (within its cap).
    pub request: TransactionRequest,
    /// Fields beyond Ethereum's, e.g. `eip712Meta`.
    pub other: OtherFields,
    /// Block whose state (and environment) the execution sees: it runs on top of that block.
    pub block: BlockRef,
    /// Changes to the state first.
    pub state_overrides: Option<StateOverride>,
    /// Changes to the block environment.
    pub block_overrides: Option<Box<BlockOverrides>>,
    /// Why.
    pub purpose: CallPurpose,
}

/// The result of a simulated execution.
#[derive(Clone, Debug)]
pub struct CallOutcome {
    /// revm's result; a chain's own halt reasons are mapped to the nearest of revm's.
    pub result: ExecutionResult<HaltReason>,
    /// Gas that the sender is charged for, when it is not `result.tx_gas_used()` (e.g. pubdata is charged beside execution).
    pub gas_used: u64,
}

/// The inspectors that the server runs inside an execution. An enum and not a type parameter, so that [`Chain`] stays object-safe;
/// it implements revm's `Inspector` for every context.
#[derive(Debug)]
pub enum RpcInspector {
    /// `debug_trace*`.
    Debug(Box<Tracers>),
    /// `eth_createAccessList`.
    AccessList(Box<AccessListInspector>),
    /// Call traces for other namespaces (`ots_`).
    Calls(Box<Stepwise<TracingInspector>>),
}

impl RpcInspector {
    /// An inspector that records calls.
    pub fn calls(inspector: TracingInspector) -> Self {
        Self::Calls(Box::new(Stepwise::new(inspector)))
    }

    /// A call or creation begins.
    fn enter(&mut self) {
        match self {
            Self::Debug(i) => i.enter(),
            Self::Calls(i) => i.enter(),
            Self::AccessList(_) => {}
        }
    }

    /// A call or creation ended.
    fn leave(&mut self) {
        match self {
            Self::Debug(i) => i.leave(),
            Self::Calls(i) => i.leave(),
            Self::AccessList(_) => {}
        }
    }
}

/// A transaction that a tracer is shown.
#[derive(Clone, Copy, Debug)]
pub struct TracedTx {
    /// Hash; zero for a simulated call.
    pub hash: TxHash,
    /// Index in the block; 0 for a simulated call.
    pub index: u64,
    /// Hash of the block; zero for a simulated call.
    pub block_hash: B256,
}

/// What watches executions. The chain calls, for each transaction in order, `inspector`; executes with it (plainly if it is `None`);
/// then, if there was one, `finish`.
pub trait TxTracer {
    /// The inspector to run `tx` with; `None` executes it without.
    fn inspector(&mut self, tx: &TracedTx) -> Option<&mut RpcInspector>;

    /// The transaction was executed. `before` is the state before it. Break ends the replay.
    fn finish(
        &mut self,
        tx: &TracedTx,
        tx_env: &TxEnv,
        block_env: &BlockEnv,
        result: &ResultAndState<HaltReason>,
        before: &dyn StateView,
    ) -> Result<ControlFlow<()>>;
}

/// What to replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayTarget {
    /// All transactions of the block.
    Block(BlockRef),
    /// The block's transactions up to and with this one.
    Transaction(TxHash),
}

/// The pool's content: (transaction, executable now).
#[derive(Clone, Debug, Default)]
pub struct PoolSnapshot {
    /// Executable transactions.
    pub pending: Vec<Transaction>,
    /// Transactions behind a nonce gap.
    pub queued: Vec<Transaction>,
}

/// A new head or a reorg, as subscribers see it.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "one value per block, always behind an Arc")]
pub enum BlockEvent {
    /// The chain grew by this block.
    New {
        /// Its header.
        header: Header,
        /// The chain's own fields of the header.
        extra: Extra,
        /// Its logs.
        logs: Vec<Log>,
    },
    /// This block (the then head) was taken back; its logs carry `removed: true`.
    Removed {
        /// Its hash.
        hash: B256,
        /// Its number.
        number: u64,
        /// Its logs.
        logs: Vec<Log>,
    },
}

/// A chain that the server can show. See the module's text for threading.
pub trait Chain: Send + Sync + 'static {
    /// EIP-155 chain id.
    fn chain_id(&self) -> u64;

    /// Answer of `web3_clientVersion`, e.g. `cairn/v0.1.0/l1`.
    fn client_version(&self) -> String;

    /// The number of the named block; `None` while there is none.
    fn named_block(&self, name: NamedBlock) -> Result<Option<u64>>;

    /// The block; `None` if unknown.
    fn block(&self, block: BlockRef) -> Result<Option<Arc<Block>>>;

    /// The block's logs bloom; `None` if unknown. Cheap: `eth_getLogs` calls it for every block of a range.
    fn bloom(&self, number: u64) -> Result<Option<Bloom>>;

    /// The block's transactions in order; `None` if the block is unknown.
    fn transactions(&self, block: BlockRef) -> Result<Option<Vec<Transaction>>>;

    /// The block's receipts in order; `None` if the block is unknown.
    fn receipts(&self, block: BlockRef) -> Result<Option<Vec<Receipt>>>;

    /// A transaction in a block or in the pool.
    fn transaction(&self, hash: TxHash) -> Result<Option<Transaction>>;

    /// EIP-2718 bytes of a transaction in a block or in the pool (blob transactions without sidecar).
    fn raw_transaction(&self, hash: TxHash) -> Result<Option<Bytes>>;

    /// Receipt of an included transaction.
    fn receipt(&self, hash: TxHash) -> Result<Option<Receipt>>;

    /// State after the block.
    fn state(&self, block: BlockRef) -> Result<Box<dyn StateView>>;

    /// Next nonce of the account, the pool's executable transactions counted.
    fn pending_nonce(&self, address: Address) -> Result<u64>;

    /// Gas limit of the next block: the cap of calls and estimates.
    fn block_gas_limit(&self) -> u64;

    /// Greatest gas limit of a transaction (EIP-7825), where it is below the block's.
    fn tx_gas_cap(&self) -> Option<u64> {
        None
    }

    /// Fees as of now.
    fn fees(&self) -> Result<Fees>;

    /// Blob base fee of the block of that header; 0 where there are no blobs.
    fn blob_base_fee(&self, _header: &Header) -> u128 {
        0
    }

    /// Takes a signed transaction in its EIP-2718 (pooled) encoding and returns its hash once it is as durable as the chain promises.
    fn submit(&self, raw: Bytes) -> BoxFuture<'_, Result<TxHash>>;

    /// Simulates a transaction. With a tracer, it is shown as one transaction with a zero hash.
    fn call(&self, call: CallRequest, tracer: Option<&mut dyn TxTracer>) -> Result<CallOutcome>;

    /// Executes included transactions again under a tracer.
    fn replay(&self, target: ReplayTarget, tracer: &mut dyn TxTracer) -> Result<()>;

    /// The pool's content; a chain may cut it to a bound.
    fn pool(&self) -> Result<PoolSnapshot>;

    /// How many transactions the pool holds: (executable, behind a nonce gap).
    fn pool_counts(&self) -> Result<(usize, usize)> {
        self.pool().map(|pool| (pool.pending.len(), pool.queued.len()))
    }

    /// New heads, from now on. Lagging receivers lose the oldest.
    fn subscribe_blocks(&self) -> broadcast::Receiver<Arc<BlockEvent>>;

    /// Hashes of transactions that enter the pool, from now on. Lagging receivers lose the oldest.
    fn subscribe_pending(&self) -> broadcast::Receiver<TxHash>;

    /// What EIP-7910's `eth_config` says of the fork that is active. No other is scheduled on any chain behind this server.
    fn fork(&self) -> Result<EthForkConfig> {
        Err(ChainError::unsupported("eth_config"))
    }

    /// EIP-1186 proof, where the chain has a Merkle-Patricia trie.
    fn proof(
        &self,
        _address: Address,
        _keys: Vec<B256>,
        _block: BlockRef,
    ) -> Result<EIP1186AccountProofResponse> {
        Err(ChainError::unsupported("eth_getProof"))
    }
}

/// `anvil_mine`, `evm_mine`, `hardhat_mine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MineRequest {
    /// How many blocks.
    pub blocks: u64,
    /// Seconds between their timestamps, where given.
    pub interval: Option<u64>,
    /// Timestamp of the first, where given.
    pub timestamp: Option<u64>,
}

/// A transaction to include after `anvil_reorg`.
#[derive(Clone, Debug)]
pub enum ReorgTx {
    /// EIP-2718 bytes.
    Raw(Bytes),
    /// An unsigned request, sent as if signed by its `from`.
    Request(Box<TransactionRequest>),
}

/// Development methods. Defaults answer -32601 with the method's name; a chain implements those it can honour, and answers
/// [`ChainError::Unsupported`] with the reason for those it must not (e.g. a rollup whose state must stay provable).
pub trait DevChain: Send + Sync + 'static {
    /// Mines blocks now; returns the hash of the last.
    fn mine(&self, request: MineRequest) -> Result<B256>;

    /// Sets a balance in wei.
    fn set_balance(&self, _address: Address, _balance: U256) -> Result<()> {
        Err(ChainError::unsupported("anvil_setBalance"))
    }

    /// Sets an account's code.
    fn set_code(&self, _address: Address, _code: Bytes) -> Result<()> {
        Err(ChainError::unsupported("anvil_setCode"))
    }

    /// Sets an account's nonce.
    fn set_nonce(&self, _address: Address, _nonce: u64) -> Result<()> {
        Err(ChainError::unsupported("anvil_setNonce"))
    }

    /// Sets a storage slot.
    fn set_storage_at(&self, _address: Address, _slot: U256, _value: B256) -> Result<()> {
        Err(ChainError::unsupported("anvil_setStorageAt"))
    }

    /// Accepts (or, with false, no longer accepts) unsigned transactions from this address.
    fn impersonate(&self, _address: Address, _on: bool) -> Result<()> {
        Err(ChainError::unsupported("anvil_impersonateAccount"))
    }

    /// Accepts unsigned transactions from every address.
    fn auto_impersonate(&self, _on: bool) -> Result<()> {
        Err(ChainError::unsupported("anvil_autoImpersonateAccount"))
    }

    /// True if unsigned transactions from this address are accepted.
    fn is_impersonated(&self, _address: Address) -> bool {
        false
    }

    /// Takes an unsigned transaction of an impersonated account, its missing fields filled in by the server.
    fn submit_impersonated(&self, _request: TransactionRequest) -> BoxFuture<'_, Result<TxHash>> {
        Box::pin(async { Err(ChainError::unsupported("eth_sendTransaction")) })
    }

    /// Remembers the chain's present state; returns its id.
    fn snapshot(&self) -> Result<U256> {
        Err(ChainError::unsupported("evm_snapshot"))
    }

    /// Goes back to a snapshot, which is thereby used up; false if there is none of that id.
    fn revert(&self, _id: U256) -> Result<bool> {
        Err(ChainError::unsupported("evm_revert"))
    }

    /// Moves the clock of coming blocks forward; returns the total offset in seconds.
    fn increase_time(&self, _by: Duration) -> Result<i64> {
        Err(ChainError::unsupported("evm_increaseTime"))
    }

    /// Sets the clock; returns the seconds by which it moved.
    fn set_time(&self, _timestamp: u64) -> Result<i64> {
        Err(ChainError::unsupported("evm_setTime"))
    }

    /// Timestamp of exactly the next block.
    fn set_next_block_timestamp(&self, _timestamp: u64) -> Result<()> {
        Err(ChainError::unsupported("evm_setNextBlockTimestamp"))
    }

    /// Fixed seconds between blocks' timestamps; `None` goes back to the clock. Returns whether one was set before.
    fn set_block_timestamp_interval(&self, _interval: Option<u64>) -> Result<bool> {
        Err(ChainError::unsupported("anvil_setBlockTimestampInterval"))
    }

    /// True if each transaction is mined at once.
    fn automine(&self) -> Result<bool> {
        Err(ChainError::unsupported("anvil_getAutomine"))
    }

    /// Mines each transaction at once, or not.
    fn set_automine(&self, _on: bool) -> Result<()> {
        Err(ChainError::unsupported("evm_setAutomine"))
    }

    /// The interval of interval mining; `None` when off.
    fn interval_mining(&self) -> Result<Option<Duration>> {
        Err(ChainError::unsupported("anvil_getIntervalMining"))
    }

    /// Mines a block every so often; `None` turns it off.
    fn set_interval_mining(&self, _interval: Option<Duration>) -> Result<()> {
        Err(ChainError::unsupported("evm_setIntervalMining"))
    }

    /// Drops a transaction from the pool; `None` if it is not there.
    fn drop_transaction(&self, _hash: TxHash) -> Result<Option<TxHash>> {
        Err(ChainError::unsupported("anvil_dropTransaction"))
    }

    /// Empties the pool.
    fn drop_all_transactions(&self) -> Result<()> {
        Err(ChainError::unsupported("anvil_dropAllTransactions"))
    }

    /// Drops the pool's transactions of one sender.
    fn remove_pool_transactions(&self, _sender: Address) -> Result<()> {
        Err(ChainError::unsupported("anvil_removePoolTransactions"))
    }

    /// The whole chain in the chain's own compressed format.
    fn dump_state(&self) -> Result<Bytes> {
        Err(ChainError::unsupported("anvil_dumpState"))
    }

    /// Loads what `dump_state` gave.
    fn load_state(&self, _state: Bytes) -> Result<bool> {
        Err(ChainError::unsupported("anvil_loadState"))
    }

    /// Answer of `anvil_nodeInfo`.
    fn node_info(&self) -> Result<Value> {
        Err(ChainError::unsupported("anvil_nodeInfo"))
    }

    /// Answer of `anvil_metadata` and `hardhat_metadata`.
    fn metadata(&self) -> Result<Value> {
        Err(ChainError::unsupported("anvil_metadata"))
    }

    /// Fee recipient of coming blocks.
    fn set_coinbase(&self, _address: Address) -> Result<()> {
        Err(ChainError::unsupported("anvil_setCoinbase"))
    }

    /// Least gas price that the pool takes.
    fn set_min_gas_price(&self, _price: u128) -> Result<()> {
        Err(ChainError::unsupported("anvil_setMinGasPrice"))
    }

    /// Base fee of the next block.
    fn set_next_block_base_fee(&self, _fee: u128) -> Result<()> {
        Err(ChainError::unsupported("anvil_setNextBlockBaseFeePerGas"))
    }

    /// Gas limit of coming blocks.
    fn set_block_gas_limit(&self, _limit: u64) -> Result<()> {
        Err(ChainError::unsupported("evm_setBlockGasLimit"))
    }

    /// `PREVRANDAO` of the next block.
    fn set_prevrandao(&self, _value: B256) -> Result<()> {
        Err(ChainError::unsupported("hardhat_setPrevRandao"))
    }

    /// Replaces the last `depth` blocks by as many with these transactions, each at an offset from the first replaced block.
    fn reorg(&self, _depth: u64, _transactions: Vec<(ReorgTx, u64)>) -> Result<()> {
        Err(ChainError::unsupported("anvil_reorg"))
    }

    /// Takes back the last `depth` blocks.
    fn rollback(&self, _depth: u64) -> Result<()> {
        Err(ChainError::unsupported("anvil_rollback"))
    }

    /// Blobs of a transaction; `None` if it is unknown or has none.
    fn blobs_by_transaction(&self, _hash: TxHash) -> Result<Option<Vec<Bytes>>> {
        Err(ChainError::unsupported("anvil_getBlobsByTransactionHash"))
    }

    /// A blob by its versioned hash.
    fn blob_by_hash(&self, _versioned_hash: B256) -> Result<Option<Bytes>> {
        Err(ChainError::unsupported("anvil_getBlobByHash"))
    }

    /// All blobs of a block, in the order of its transactions.
    fn blobs_by_block(&self, _block: BlockRef) -> Result<Option<Vec<Bytes>>> {
        Err(ChainError::unsupported("beacon blobs"))
    }
}

mod inspect {
    //! Hands each of revm's hooks to the inspector that the enum holds.

    use super::RpcInspector;
    use alloy_primitives::{Address, Log, U256};
    use revm::Inspector;
    use revm::context_interface::ContextTr;
    use revm::inspector::JournalExt;
    use revm::interpreter::{CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter};

    macro_rules! each {
        ($self:expr, $i:ident => $call:expr) => {
            match $self {
                RpcInspector::Debug(tracers) => {
                    let $i = tracers.as_mut();
                    $call
                }
                RpcInspector::AccessList(boxed) => {
                    let $i = boxed.as_mut();
                    $call
                }
                RpcInspector::Calls(stepwise) => {
                    let $i = &mut stepwise.inner;
                    $call
                }
            }
        };
    }

    impl<CTX: ContextTr<Journal: JournalExt>> Inspector<CTX> for RpcInspector {
        fn initialize_interp(&mut self, interp: &mut Interpreter, context: &mut CTX) {
            each!(self, i => Inspector::<CTX>::initialize_interp(i, interp, context))
        }

        fn step(&mut self, interp: &mut Interpreter, context: &mut CTX) {
            each!(self, i => Inspector::<CTX>::step(i, interp, context))
        }

        fn step_end(&mut self, interp: &mut Interpreter, context: &mut CTX) {
            each!(self, i => Inspector::<CTX>::step_end(i, interp, context))
        }

        fn log(&mut self, context: &mut CTX, log: Log) {
            each!(self, i => Inspector::<CTX>::log(i, context, log))
        }

        fn log_full(&mut self, interp: &mut Interpreter, context: &mut CTX, log: Log) {
            each!(self, i => Inspector::<CTX>::log_full(i, interp, context, log))
        }

        fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
            self.enter();
            each!(self, i => Inspector::<CTX>::call(i, context, inputs))
        }

        fn call_end(&mut self, context: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
            each!(self, i => Inspector::<CTX>::call_end(i, context, inputs, outcome));
            self.leave();
        }

        fn create(
            &mut self,
            context: &mut CTX,
            inputs: &mut CreateInputs,
        ) -> Option<CreateOutcome> {
            self.enter();
            each!(self, i => Inspector::<CTX>::create(i, context, inputs))
        }

        fn create_end(
            &mut self,
            context: &mut CTX,
            inputs: &CreateInputs,
            outcome: &mut CreateOutcome,
        ) {
            each!(self, i => Inspector::<CTX>::create_end(i, context, inputs, outcome));
            self.leave();
        }

        fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
            each!(self, i => Inspector::<CTX>::selfdestruct(i, contract, target, value))
        }
    }
}
