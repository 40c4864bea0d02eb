//! Calls and replays through the state-transition function, under the server's inspectors.

use std::ops::ControlFlow;

use alloy_primitives::map::{AddressMap, AddressSet, B256Map, HashMap};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_rpc_types::BlockOverrides as RpcBlockOverrides;
use alloy_rpc_types::state::{AccountOverride as RpcAccountOverride, StateOverride};
use cairn_primitives::FeeParams;
use cairn_primitives::eip712::{EIP712_TX_TYPE, PaymasterParams};
use cairn_rpc::chain::RpcInspector;
use cairn_rpc::error::Result;
use cairn_rpc::{
    BlockRef, CallOutcome, CallPurpose, CallRequest, ChainError, PoolError, TracedTx, TxTracer,
};
use cairn_stf::simulate::{AccountRequest, CallResult};
use cairn_stf::{
    AccountOverride, AccountState, BlockEnvParams, BlockExecutor, BlockOverrides, ExecError,
    Failure, RecoveredTx, Simulator, StateChanges, StateOverrides, StateReader, TxError, TxResult,
};
use cairn_storage::BlockRecord;
use revm::bytecode::Bytecode;
use revm::context::ContextTr;
use revm::context_interface::result::{
    ExecutionResult, HaltReason, OutOfGasError, Output, ResultAndState, ResultGas, SuccessReason,
};
use revm::database_interface::DatabaseRef;
use revm::primitives::KECCAK_EMPTY;
use revm::state::AccountInfo;

use super::L2Rpc;
use super::chain::decode;
use crate::recovery::block_params;
use crate::shared::internal;
use crate::state::{SnapshotReader, StateError};

/// Code of contracts that is larger than this is refused in overrides.
const MAX_OVERRIDE_CODE: usize = 1 << 20;

/// State within a block: a snapshot and what transactions have changed since.
#[derive(Debug)]
pub(crate) struct Overlay {
    base: SnapshotReader,
    accounts: AddressMap<AccountState>,
    slots: HashMap<(Address, U256), U256>,
    codes: B256Map<Bytecode>,
    /// Accounts of whose storage only `slots` counts.
    replaced: AddressSet,
}

impl Overlay {
    pub(crate) fn new(base: SnapshotReader) -> Self {
        Self {
            base,
            accounts: AddressMap::default(),
            slots: HashMap::default(),
            codes: B256Map::default(),
            replaced: AddressSet::default(),
        }
    }

    /// What a call with these overrides finds.
    fn pretend(&mut self, overrides: &StateOverrides) -> Result<()> {
        for (address, o) in overrides {
            let mut account = self.account(*address).map_err(internal)?.unwrap_or_default();
            account.balance = o.balance.map_or(account.balance, |b| b.saturating_to());
            account.nonce = o.nonce.unwrap_or(account.nonce);
            if let Some(code) = &o.code {
                account.code_hash = if code.is_empty() { KECCAK_EMPTY } else { code.hash_slow() };
                self.codes.insert(account.code_hash, code.clone());
            }
            self.accounts.insert(*address, account);
            if o.state.is_some() {
                self.replaced.insert(*address);
            }
            for (slot, value) in o.state.iter().chain(&o.state_diff).flatten() {
                self.slots.insert((*address, *slot), *value);
            }
        }
        Ok(())
    }

    fn apply(&mut self, changes: &StateChanges) {
        self.accounts.extend(changes.accounts.iter().map(|(a, (_, after))| (*a, *after)));
        self.slots.extend(changes.slots.iter().map(|(k, (_, after))| (*k, *after)));
        let codes = changes.codes.iter().map(|(h, c)| (*h, analyse(c.clone())));
        self.codes.extend(codes);
    }
}

fn analyse(raw: Bytes) -> Bytecode {
    Bytecode::new_raw_checked(raw.clone()).unwrap_or_else(|_| Bytecode::new_legacy(raw))
}

impl StateReader for Overlay {
    type Error = StateError;

    fn account(&self, address: Address) -> Result<Option<AccountState>, StateError> {
        match self.accounts.get(&address) {
            Some(a) => Ok((!a.is_empty()).then_some(*a)),
            None => self.base.account(address),
        }
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        match self.slots.get(&(address, slot)) {
            Some(v) => Ok(*v),
            None if self.replaced.contains(&address) => Ok(U256::ZERO),
            None => StateReader::storage(&self.base, address, slot),
        }
    }

    fn code_by_hash(&self, hash: B256) -> Result<Option<Bytecode>, StateError> {
        match self.codes.get(&hash) {
            Some(c) => Ok(Some(c.clone())),
            None => StateReader::code_by_hash(&self.base, hash),
        }
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        StateReader::block_hash(&self.base, number)
    }
}

impl DatabaseRef for Overlay {
    type Error = ChainError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>> {
        let account = self.account(address).map_err(internal)?;
        Ok(account.map(|a| AccountInfo {
            balance: U256::from(a.balance),
            nonce: a.nonce,
            code_hash: a.code_hash,
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode> {
        if hash == KECCAK_EMPTY || hash.is_zero() {
            return Ok(Bytecode::default());
        }
        let code = StateReader::code_by_hash(self, hash).map_err(internal)?;
        code.ok_or_else(|| internal(format!("code {hash} is missing")))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256> {
        StateReader::storage(self, address, slot).map_err(internal)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256> {
        match StateReader::block_hash(self, number) {
            Ok(hash) => Ok(hash),
            Err(StateError::UnknownBlock(_)) => Ok(B256::ZERO),
            Err(e) => Err(internal(e)),
        }
    }
}

/// Errors of execution as clients know them.
pub(super) fn exec_error(e: ExecError<StateError>) -> ChainError {
    match e {
        ExecError::Invalid(e) => pool_error(e).into(),
        e => internal(e),
    }
}

/// A refusal as clients know it.
pub(crate) fn pool_error(e: TxError) -> PoolError {
    match e {
        TxError::NonceTooLow { tx, state, .. } => PoolError::NonceTooLow { next: state, got: tx },
        TxError::NonceTooHigh { tx, state, .. } => PoolError::NonceTooHigh { next: state, got: tx },
        TxError::NonceMax { .. } => PoolError::NonceMax,
        TxError::SenderNotEoa { address } => PoolError::SenderHasCode(address),
        TxError::FeeCapTooLow { address, max_fee, base_fee } => {
            PoolError::FeeCapTooLow { sender: address, max_fee, base_fee: base_fee.into() }
        }
        TxError::TipAboveFeeCap { tip, max_fee, .. } => PoolError::TipAboveFeeCap { tip, max_fee },
        TxError::InsufficientFunds { have, want, .. } => {
            PoolError::InsufficientFunds { have, want }
        }
        TxError::IntrinsicGas { have, want } => PoolError::IntrinsicGas { have, want },
        TxError::FloorDataGas { have, want } => PoolError::FloorGas { have, want },
        TxError::GasLimitTooHigh { have, cap } => PoolError::ExceedsTxGasCap { cap, got: have },
        TxError::BlockGasExceeded { .. } => PoolError::ExceedsBlockGasLimit,
        TxError::InitCodeTooLarge { size, limit } => PoolError::InitCodeTooLarge { size, limit },
        TxError::ChainId { have, want } => PoolError::InvalidChainId { have, want },
        TxError::Account(e) => {
            PoolError::Account { reason: e.to_string(), data: e.revert_data().cloned() }
        }
        other => PoolError::Other(other.to_string()),
    }
}

/// The outcome in revm's shape.
struct Outcome {
    failure: Option<Failure>,
    gas_used: u64,
    gas_refunded: u64,
    output: Bytes,
    contract_address: Option<Address>,
    logs: Vec<alloy_primitives::Log>,
}

impl From<CallResult> for Outcome {
    fn from(r: CallResult) -> Self {
        Self {
            failure: r.failure,
            gas_used: r.gas_used,
            gas_refunded: r.gas_refunded,
            output: r.output,
            contract_address: r.contract_address,
            logs: r.logs,
        }
    }
}

impl From<&TxResult> for Outcome {
    fn from(r: &TxResult) -> Self {
        Self {
            failure: r.failure.clone(),
            gas_used: r.gas_used,
            gas_refunded: r.gas_refunded,
            output: r.output.clone(),
            contract_address: r.contract_address,
            logs: r.logs.clone(),
        }
    }
}

impl Outcome {
    fn into_revm(self) -> ExecutionResult<HaltReason> {
        let spent = self.gas_used.saturating_add(self.gas_refunded);
        let gas = ResultGas::new_with_state_gas(spent, self.gas_refunded, 0, 0);
        let logs = self.logs;
        match self.failure {
            None => {
                let output = match self.contract_address {
                    Some(address) => Output::Create(self.output, Some(address)),
                    None => Output::Call(self.output),
                };
                ExecutionResult::Success { reason: SuccessReason::Return, gas, logs, output }
            }
            Some(Failure::Revert) => ExecutionResult::Revert { gas, logs, output: self.output },
            Some(failure) => ExecutionResult::Halt { reason: halt_reason(failure), gas, logs },
        }
    }
}

/// Our own failures mapped to the nearest of revm's.
fn halt_reason(failure: Failure) -> HaltReason {
    match failure {
        Failure::OutOfGas | Failure::PubdataOutOfGas { .. } => {
            HaltReason::OutOfGas(OutOfGasError::Basic)
        }
        Failure::BalanceOverflow => HaltReason::OverflowPayment,
        Failure::Underpaid => HaltReason::OutOfFunds,
        Failure::ProofTooLong => HaltReason::PrecompileErrorWithContext(
            "the precompiles of one transaction took more than a proof has room for".into(),
        ),
        Failure::PubdataTooLarge { bytes } => HaltReason::PrecompileErrorWithContext(format!(
            "pubdata of {bytes} bytes exceeds the limit of a transaction"
        )),
        Failure::Halt(text) => named_halt(text),
        Failure::Revert => HaltReason::PrecompileError,
    }
}

fn named_halt(text: String) -> HaltReason {
    let known = [
        HaltReason::OpcodeNotFound,
        HaltReason::InvalidFEOpcode,
        HaltReason::InvalidJump,
        HaltReason::NotActivated,
        HaltReason::StackUnderflow,
        HaltReason::StackOverflow,
        HaltReason::OutOfOffset,
        HaltReason::CreateCollision,
        HaltReason::PrecompileError,
        HaltReason::NonceOverflow,
        HaltReason::CreateContractSizeLimit,
        HaltReason::CreateContractStartingWithEF,
        HaltReason::CreateInitCodeSizeLimit,
        HaltReason::StateChangeDuringStaticCall,
        HaltReason::CallNotAllowedInsideStatic,
        HaltReason::CallTooDeep,
    ];
    let found = known.into_iter().find(|h| h.to_string() == text);
    found.unwrap_or(HaltReason::PrecompileErrorWithContext(text))
}

impl L2Rpc {
    /// The environment of a call on a block: geth's rule, the block's own header; on the pending block, the next one's.
    pub(super) fn call_env(&self, block: BlockRef) -> Result<(BlockRecord, BlockEnvParams)> {
        let record = self.record(block)?.ok_or(ChainError::UnknownBlock)?;
        let shared = self.shared();
        let now = *shared.fees.read();
        if block == BlockRef::Pending {
            let env = BlockEnvParams {
                chain_id: record.header.chain_id,
                number: record.header.number + 1,
                timestamp: shared.clock.peek(record.header.timestamp),
                parent_hash: record.hash,
                beneficiary: shared.config.operator,
                fees: now,
            };
            return Ok((record, env));
        }
        let fees = if record.header.number == 0 {
            now
        } else {
            FeeParams { base_fee: record.header.base_fee, gas_per_pubdata: record.gas_per_pubdata }
        };
        let env = block_params(&record, fees);
        Ok((record, env))
    }

    /// Who estimates an account-abstraction transaction need not have what it sends: zksync-ethers asks with a smart account's signer.
    pub(super) fn lend(
        &self,
        request: &cairn_stf::CallRequest,
        block: u64,
        overrides: &mut StateOverrides,
    ) -> Result<()> {
        if request.account.is_none() || request.value.is_zero() {
            return Ok(());
        }
        let account = self.snapshot(block)?.account(request.from).map_err(internal)?;
        let has = U256::from(account.map_or(0, |a| a.balance));
        let entry = overrides.entry(request.from).or_default();
        if entry.balance.unwrap_or(has) < request.value {
            entry.balance = Some(request.value);
        }
        Ok(())
    }

    pub(super) fn simulate(
        &self,
        call: CallRequest,
        tracer: Option<&mut dyn TxTracer>,
    ) -> Result<CallOutcome> {
        let (record, env) = self.call_env(call.block)?;
        let request = stf_request(&call)?;
        let mut state = state_overrides(call.state_overrides)?;
        let block = block_overrides(call.block_overrides.as_deref());
        let number = record.header.number;
        self.lend(&request, number, &mut state)?;
        let Some(tracer) = tracer else {
            let mut simulator = Simulator::new(env, self.snapshot(number)?, state, block);
            let result = simulator.call(&request).map_err(exec_error)?;
            let gas_used = result.gas_used;
            return Ok(CallOutcome { result: Outcome::from(result).into_revm(), gas_used });
        };
        let traced = TracedTx { hash: B256::ZERO, index: 0, block_hash: B256::ZERO };
        let Some(inspector) = tracer.inspector(&traced) else {
            return Err(internal("a traced call has an inspector"));
        };
        let inspector: &mut RpcInspector = inspector;
        let mut before = Overlay::new(self.snapshot(number)?);
        before.pretend(&state)?;
        let mut simulator =
            Simulator::with_inspector(env, self.snapshot(number)?, state, block, inspector);
        simulator.keep_changes = true;
        let result = simulator.call_inspected(&request).map_err(exec_error)?;
        let gas_used = result.gas_used;
        let evm = simulator.evm_mut();
        let (tx_env, block_env) = (evm.ctx.tx.clone(), evm.ctx.block.clone());
        let state = evm.ctx.journal_mut().inner.state.clone();
        drop(simulator);
        let result = ResultAndState { result: Outcome::from(result).into_revm(), state };
        // There is one transaction, so whether to go on does not matter.
        let _ = tracer.finish(&traced, &tx_env, &block_env, &result, &before)?;
        Ok(CallOutcome { result: result.result, gas_used })
    }

    /// Executes a block's transactions again (up to and with `last`), each in an executor of its own over what came before it, so that its
    /// journal holds what it alone touched.
    pub(super) fn replay_block(
        &self,
        number: u64,
        last: Option<u32>,
        tracer: &mut dyn TxTracer,
    ) -> Result<()> {
        let record = self.record(BlockRef::Number(number))?.ok_or(ChainError::UnknownBlock)?;
        if number == 0 {
            return Ok(());
        }
        let fees =
            FeeParams { base_fee: record.header.base_fee, gas_per_pubdata: record.gas_per_pubdata };
        let env = block_params(&record, fees);
        let mut state = Overlay::new(self.snapshot(number - 1)?);
        let stored = self.shared().storage.transactions(number).map_err(internal)?;
        for (tx, index) in stored.into_iter().zip(0u32..) {
            let recovered = RecoveredTx::assume_sender(decode(&tx.raw)?, tx.sender);
            let traced = TracedTx { hash: tx.hash, index: index.into(), block_hash: record.hash };
            let Replayed { flow, changes } = replay_one(env, &state, &recovered, &traced, tracer)?;
            state.apply(&changes);
            if flow.is_break() || last.is_some_and(|l| index >= l) {
                break;
            }
        }
        Ok(())
    }
}

struct Replayed {
    flow: ControlFlow<()>,
    changes: StateChanges,
}

fn replay_one(
    env: BlockEnvParams,
    state: &Overlay,
    tx: &RecoveredTx,
    traced: &TracedTx,
    tracer: &mut dyn TxTracer,
) -> Result<Replayed> {
    let Some(inspector) = tracer.inspector(traced) else {
        let mut executor = BlockExecutor::new(env, state);
        executor.execute(tx).map_err(exec_error)?;
        return Ok(Replayed {
            flow: ControlFlow::Continue(()),
            changes: executor.finish().changes,
        });
    };
    let mut executor = BlockExecutor::with_inspector(env, state, inspector);
    let result = Outcome::from(executor.execute_inspected(tx).map_err(exec_error)?).into_revm();
    let evm = executor.evm_mut();
    let (tx_env, block_env) = (evm.ctx.tx.clone(), evm.ctx.block.clone());
    let touched = evm.ctx.journal_mut().inner.state.clone();
    let changes = executor.finish().changes;
    let result = ResultAndState { result, state: touched };
    let flow = tracer.finish(traced, &tx_env, &block_env, &result, state)?;
    Ok(Replayed { flow, changes })
}

pub(super) fn stf_request(call: &CallRequest) -> Result<cairn_stf::CallRequest> {
    let r = &call.request;
    let fee = r.max_fee_per_gas.or(r.gas_price).unwrap_or_default();
    if let (Some(tip), Some(cap)) = (r.max_priority_fee_per_gas, r.max_fee_per_gas)
        && tip > cap
    {
        return Err(PoolError::TipAboveFeeCap { tip, max_fee: cap }.into());
    }
    debug_assert!(matches!(call.purpose, CallPurpose::Call | CallPurpose::Estimate));
    let account = account_request(call)?.map(Box::new);
    // Who asks what a paymaster's transaction needs is not asked for the fee; nor is the paymaster.
    let sponsored = account.as_ref().is_some_and(|a| a.paymaster.is_some());
    Ok(cairn_stf::CallRequest {
        from: r.from.unwrap_or_default(),
        to: r.to.unwrap_or(TxKind::Create),
        gas_limit: r.gas.unwrap_or(cairn_stf::simulate::MAX_CALL_GAS),
        gas_price: if sponsored { 0 } else { fee },
        priority_fee: r.max_fee_per_gas.and(r.max_priority_fee_per_gas).filter(|_| !sponsored),
        value: r.value.unwrap_or_default(),
        data: r.input.input().cloned().unwrap_or_default(),
        access_list: r.access_list.clone().unwrap_or_default(),
        authorization_list: r.authorization_list.clone().unwrap_or_default(),
        account,
    })
}

/// What an estimate says of account abstraction: type 0x71, or zkSync's `eip712Meta`. An `eth_call` is the bare call, as on zkSync.
fn account_request(call: &CallRequest) -> Result<Option<AccountRequest>> {
    if call.purpose != CallPurpose::Estimate {
        return Ok(None);
    }
    let meta = cairn_rpc::eip712::meta(&call.other)?;
    let is_type = call.request.transaction_type == Some(EIP712_TX_TYPE);
    Ok(match meta {
        Some(m) => Some(AccountRequest {
            paymaster: m.paymaster.map(|(paymaster, input)| PaymasterParams { paymaster, input }),
            signature: m.signature,
        }),
        None => is_type.then(AccountRequest::default),
    })
}

fn state_overrides(overrides: Option<StateOverride>) -> Result<StateOverrides> {
    let mut out = StateOverrides::default();
    for (address, o) in overrides.unwrap_or_default() {
        out.insert(address, account_override(o)?);
    }
    Ok(out)
}

fn account_override(o: RpcAccountOverride) -> Result<AccountOverride> {
    if o.state.is_some() && o.state_diff.is_some() {
        return Err(ChainError::InvalidParams("account has both 'state' and 'stateDiff'".into()));
    }
    if o.code.as_ref().is_some_and(|c| c.len() > MAX_OVERRIDE_CODE) {
        return Err(ChainError::LimitExceeded("code in a state override is too large".into()));
    }
    let slots = |m: Option<alloy_primitives::map::B256HashMap<B256>>| {
        m.map(|m| {
            m.into_iter()
                .map(|(k, v)| (U256::from_be_bytes(k.0), U256::from_be_bytes(v.0)))
                .collect()
        })
    };
    Ok(AccountOverride {
        balance: o.balance,
        nonce: o.nonce,
        code: o.code.map(analyse),
        state: slots(o.state),
        state_diff: slots(o.state_diff),
    })
}

fn block_overrides(o: Option<&RpcBlockOverrides>) -> BlockOverrides {
    let Some(o) = o else { return BlockOverrides::default() };
    BlockOverrides {
        number: o.number.map(|n| n.saturating_to()),
        timestamp: o.time,
        beneficiary: o.coinbase,
        base_fee: o.base_fee.map(|f| f.saturating_to()),
        prev_randao: o.random,
    }
}
