//! Building blocks: the native executor, and the engine that the stateless batch execution shares with it.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, Bytes, U256, b256};
use cairn_primitives::{BlockHeader, FeeParams, L2ToL1Log, header::roll_tx_hash};
use revm::{
    Inspector, context::BlockEnv, context_interface::block::BlobExcessGasAndPrice,
    interpreter::interpreter::EthInterpreter,
};

use crate::{
    changes::{StateChanges, TouchedKeys, collect_changes, collect_touched},
    error::{ExecError, TxError},
    evm::{CairnContext, CairnEvm, new_evm},
    life::{
        self, Outcome, Policy, Rules, TxResult,
        execute::{Exec, inspected, plain},
    },
    limits::{BLOCK_GAS_LIMIT, MAX_TXS_PER_BLOCK},
    meter::BatchUsage,
    reader::StateReader,
    tx::RecoveredTx,
};

/// What PREVRANDAO answers: zkSync's constant. There is no randomness beacon on a rollup, and a constant cannot be mistaken for one.
pub const PREV_RANDAO: B256 =
    b256!("00000000000000000000000000000000000000000000000000082da0c5a13800");

/// What a block is built on and with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockEnvParams {
    /// Chain id.
    pub chain_id: u64,
    /// Number of the block.
    pub number: u64,
    /// Unix seconds; at least the parent's.
    pub timestamp: u64,
    /// Hash of the block before.
    pub parent_hash: B256,
    /// Operator: receives the fees.
    pub beneficiary: Address,
    /// Base fee and pubdata price.
    pub fees: FeeParams,
}

/// A finished block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockOutput {
    /// Header.
    pub header: BlockHeader,
    /// Its hash.
    pub hash: B256,
    /// What became of each transaction, in order: receipts follow from these.
    pub results: Vec<TxResult>,
    /// All L2->L1 logs of the block, in order.
    pub l2_to_l1_logs: Vec<L2ToL1Log>,
    /// All messages to L1, in order.
    pub messages: Vec<Bytes>,
    /// Net state changes.
    pub changes: StateChanges,
    /// Keys read or written.
    pub touched: TouchedKeys,
    /// What the block adds to a batch.
    pub usage: BatchUsage,
}

/// Executes transactions one after the other into a block.
///
/// ```ignore
/// let mut block = BlockExecutor::new(env, reader);
/// for tx in &candidates {
///     match block.execute(tx) {
///         Ok(result) => ..,
///         Err(ExecError::Invalid(why)) => .., // the block is as before
///         Err(fatal) => return Err(fatal),
///     }
/// }
/// let output = block.finish();
/// ```
#[derive(Debug)]
pub struct BlockExecutor<R: StateReader, I = ()> {
    engine: Engine<R, I>,
    results: Vec<TxResult>,
}

impl<R: StateReader> BlockExecutor<R> {
    /// Starts a block on the state that `reader` shows.
    pub fn new(env: BlockEnvParams, reader: R) -> Self {
        Self::with_inspector(env, reader, ())
    }
}

impl<R: StateReader, I> BlockExecutor<R, I> {
    /// Starts a block whose transactions may be run under an inspector.
    pub fn with_inspector(env: BlockEnvParams, reader: R, inspector: I) -> Self {
        let mut engine = Engine::new(env.chain_id, reader, inspector);
        engine.begin_block(env);
        Self { engine, results: Vec::new() }
    }

    /// Executes a transaction into the block.
    ///
    /// # Errors
    /// [`ExecError::Invalid`] when it may not enter; the block is as before, whatever the error.
    pub fn execute(&mut self, tx: &RecoveredTx) -> Result<&TxResult, ExecError<R::Error>> {
        let result = self.engine.execute(tx, plain())?;
        Ok(self.keep(result))
    }

    /// As [`Self::execute`], then drops the transaction again if `accept` says so: for seal criteria that are known only after execution.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub fn execute_if(
        &mut self,
        tx: &RecoveredTx,
        accept: impl FnOnce(&TxResult) -> bool,
    ) -> Result<Option<&TxResult>, ExecError<R::Error>> {
        match self.engine.execute_if(tx, plain(), accept)? {
            Some(result) => Ok(Some(self.keep(result))),
            None => Ok(None),
        }
    }

    /// As [`Self::execute`], under the inspector.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub fn execute_inspected(&mut self, tx: &RecoveredTx) -> Result<&TxResult, ExecError<R::Error>>
    where
        I: Inspector<CairnContext<R>, EthInterpreter>,
    {
        let result = self.engine.execute(tx, inspected())?;
        Ok(self.keep(result))
    }

    fn keep(&mut self, result: TxResult) -> &TxResult {
        self.engine.usage.add_tx(&result);
        self.results.push(result);
        &self.results[self.results.len() - 1]
    }

    /// The inspector.
    pub fn inspector_mut(&mut self) -> &mut I {
        &mut self.engine.evm.inspector
    }

    /// The EVM, for tracers that look at its journal between transactions.
    pub fn evm_mut(&mut self) -> &mut CairnEvm<R, I> {
        &mut self.engine.evm
    }

    /// Results so far.
    pub fn results(&self) -> &[TxResult] {
        &self.results
    }

    /// Gas used so far.
    pub fn gas_used(&self) -> u64 {
        self.engine.gas_used
    }

    /// What the block adds to a batch so far.
    pub fn usage(&self) -> &BatchUsage {
        &self.engine.usage
    }

    /// Ends the block.
    pub fn finish(mut self) -> BlockOutput {
        let header = self.engine.end_block();
        let hash = header.hash();
        let changes = collect_changes(&mut self.engine.evm);
        let touched = collect_touched(&self.engine.evm, &changes);
        let l2_to_l1_logs = self.results.iter().flat_map(|r| r.l2_to_l1_logs.clone()).collect();
        let messages = self.results.iter().flat_map(|r| r.messages.clone()).collect();
        BlockOutput {
            header,
            hash,
            results: self.results,
            l2_to_l1_logs,
            messages,
            changes,
            touched,
            usage: self.engine.usage,
        }
    }
}

/// One EVM that runs the transactions of consecutive blocks. Its journal is the state between them.
#[derive(Debug)]
pub(crate) struct Engine<R: StateReader, I> {
    pub(crate) evm: CairnEvm<R, I>,
    env: BlockEnvParams,
    txs_rolling_hash: B256,
    tx_count: u32,
    gas_used: u64,
    usage: BatchUsage,
    /// Of the bytes of code read so far, those that results account for.
    code_bytes_counted: u64,
    policy: Policy,
}

impl<R: StateReader, I> Engine<R, I> {
    pub(crate) fn new(chain_id: u64, reader: R, inspector: I) -> Self {
        Self {
            evm: new_evm(reader, chain_id, inspector),
            env: BlockEnvParams {
                chain_id,
                number: 0,
                timestamp: 0,
                parent_hash: B256::ZERO,
                beneficiary: Address::ZERO,
                fees: FeeParams::default(),
            },
            txs_rolling_hash: B256::ZERO,
            tx_count: 0,
            gas_used: 0,
            usage: BatchUsage::default(),
            code_bytes_counted: 0,
            policy: Policy::CONSENSUS,
        }
    }

    pub(crate) fn begin_block(&mut self, env: BlockEnvParams) {
        self.evm.ctx.block = block_env(&env);
        let recent = &mut self.evm.ctx.journaled_state.database.recent;
        if let Some(parent) = env.number.checked_sub(1)
            && recent.last().map(|(n, _)| *n) != Some(parent)
        {
            recent.push((parent, env.parent_hash));
        }
        self.env = env;
        self.txs_rolling_hash = B256::ZERO;
        self.tx_count = 0;
        self.gas_used = 0;
        self.usage.add_block();
    }

    pub(crate) fn execute(
        &mut self,
        tx: &RecoveredTx,
        exec: Exec<R, I>,
    ) -> Result<TxResult, ExecError<R::Error>> {
        if self.tx_count as usize >= MAX_TXS_PER_BLOCK {
            return Err(TxError::BlockFull(MAX_TXS_PER_BLOCK).into());
        }
        let rules = self.rules();
        let mut outcome = life::run(&mut self.evm, tx, &rules, exec)?;
        self.publish(core::mem::take(&mut outcome.new_codes));
        let result = self.result(tx, outcome);
        self.advance(&result);
        Ok(result)
    }

    fn execute_if(
        &mut self,
        tx: &RecoveredTx,
        exec: Exec<R, I>,
        accept: impl FnOnce(&TxResult) -> bool,
    ) -> Result<Option<TxResult>, ExecError<R::Error>> {
        if self.tx_count as usize >= MAX_TXS_PER_BLOCK {
            return Err(TxError::BlockFull(MAX_TXS_PER_BLOCK).into());
        }
        let rules = self.rules();
        let mut outcome = life::run_open(&mut self.evm, tx, &rules, exec)?;
        let codes = core::mem::take(&mut outcome.new_codes);
        let result = self.result(tx, outcome);
        let accepted = accept(&result);
        life::end(&mut self.evm, accepted);
        if !accepted {
            return Ok(None);
        }
        self.publish(codes);
        self.advance(&result);
        Ok(Some(result))
    }

    fn rules(&self) -> Rules {
        Rules {
            fees: self.env.fees,
            block_gas_left: BLOCK_GAS_LIMIT - self.gas_used,
            policy: self.policy,
        }
    }

    fn publish(&mut self, codes: Vec<(B256, Bytes)>) {
        self.evm.ctx.journaled_state.database.published.extend(codes);
    }

    fn code_bytes_read(&self) -> u64 {
        self.evm.ctx.journaled_state.database.code_bytes_read
    }

    fn advance(&mut self, result: &TxResult) {
        self.code_bytes_counted += result.code_bytes;
        self.txs_rolling_hash = roll_tx_hash(self.txs_rolling_hash, result.hash);
        self.gas_used = result.cumulative_gas_used;
        self.tx_count += 1;
    }

    fn result(&self, tx: &RecoveredTx, o: Outcome) -> TxResult {
        // A block holds at most MAX_TXS_PER_BLOCK transactions, so the index fits.
        let number = self.tx_count as u16;
        let mut l2_to_l1_logs: Vec<_> = o
            .messages
            .iter()
            .map(|(sender, hash, _)| L2ToL1Log::message(number, *sender, *hash))
            .collect();
        if tx.is_priority() {
            let success = o.failure.is_none();
            l2_to_l1_logs.push(L2ToL1Log::priority_outcome(number, tx.hash, success));
        }
        TxResult {
            hash: tx.hash,
            index: self.tx_count,
            sender: tx.sender,
            failure: o.failure,
            gas_used: o.gas_used,
            cumulative_gas_used: self.gas_used + o.gas_used,
            effective_gas_price: o.effective_gas_price,
            output: o.output,
            contract_address: o.contract_address,
            logs: o.logs,
            l2_to_l1_logs,
            messages: o.messages.into_iter().map(|(_, _, message)| message).collect(),
            pubdata_bytes: o.pubdata_bytes,
            pubdata_gas: o.pubdata_gas,
            gas_refunded: o.gas_refunded,
            work: o.work,
            code_bytes: self.code_bytes_read() - self.code_bytes_counted,
        }
    }

    pub(crate) fn end_block(&mut self) -> BlockHeader {
        BlockHeader {
            chain_id: self.env.chain_id,
            number: self.env.number,
            timestamp: self.env.timestamp,
            parent_hash: self.env.parent_hash,
            txs_rolling_hash: self.txs_rolling_hash,
            base_fee: self.env.fees.base_fee,
            gas_used: self.gas_used,
            beneficiary: self.env.beneficiary,
        }
    }

    /// Tells later blocks of this engine the hash of the one just ended.
    pub(crate) fn remember(&mut self, number: u64, hash: B256) {
        self.evm.ctx.journaled_state.database.recent.push((number, hash));
    }
}

/// The EVM's view of a block.
pub fn block_env(env: &BlockEnvParams) -> BlockEnv {
    BlockEnv {
        number: U256::from(env.number),
        beneficiary: env.beneficiary,
        timestamp: U256::from(env.timestamp),
        gas_limit: BLOCK_GAS_LIMIT,
        basefee: env.fees.base_fee,
        difficulty: U256::ZERO,
        prevrandao: Some(PREV_RANDAO),
        blob_excess_gas_and_price: Some(BlobExcessGasAndPrice {
            excess_blob_gas: 0,
            blob_gasprice: 1,
        }),
        slot_num: 0,
    }
}
