//! Simulations on a state: `eth_call`, `eth_estimateGas` and calls under a tracer, through the very steps that blocks use.

use alloc::{boxed::Box, vec, vec::Vec};

use alloy_primitives::{Address, Bytes, Log, TxKind, U256};
use cairn_primitives::{Eip712Tx, Transaction, eip712::PaymasterParams};
use revm::{
    Inspector,
    context::{ContextTr, TxEnv, result::Output},
    context_interface::transaction::{AccessList, SignedAuthorization},
    interpreter::interpreter::EthInterpreter,
};
use thiserror::Error;

use crate::{
    block::{BlockEnvParams, block_env},
    db::StateOverrides,
    error::{ExecError, TxError},
    evm::{CairnContext, CairnEvm, new_evm},
    life::{
        self, Failure, Outcome, Policy, Rules,
        execute::{Exec, inspected, plain},
    },
    limits::TX_GAS_LIMIT,
    reader::StateReader,
    tx::{RecoveredTx, recover_authorizations},
};

/// A call that nobody signed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// Pretended sender.
    pub from: Address,
    /// Callee, or a creation.
    pub to: TxKind,
    /// Gas limit; at most [`MAX_CALL_GAS`] is given.
    pub gas_limit: u64,
    /// Wei per gas (the cap, for a transaction with a tip). Zero means free: no fee is taken and BASEFEE answers zero, as in geth.
    pub gas_price: u128,
    /// Tip, for the effective price.
    pub priority_fee: Option<u128>,
    /// Wei sent.
    pub value: U256,
    /// Calldata or init code.
    pub data: Bytes,
    /// Addresses and slots that are warm from the start.
    pub access_list: AccessList,
    /// EIP-7702 authorizations.
    pub authorization_list: Vec<SignedAuthorization>,
    /// Set: the steps of an account-abstraction transaction (0x71) are run, signatures and nonces aside.
    pub account: Option<Box<AccountRequest>>,
}

/// What a simulated account-abstraction transaction has beside the fields of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountRequest {
    /// Who would pay.
    pub paymaster: Option<PaymasterParams>,
    /// As long as the real one will be; empty: 65 bytes.
    pub signature: Bytes,
}

/// Most gas that a simulation runs with.
pub const MAX_CALL_GAS: u64 = 50_000_000;

/// Pretended block values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BlockOverrides {
    /// NUMBER.
    pub number: Option<u64>,
    /// TIMESTAMP.
    pub timestamp: Option<u64>,
    /// COINBASE.
    pub beneficiary: Option<Address>,
    /// BASEFEE.
    pub base_fee: Option<u64>,
    /// PREVRANDAO.
    pub prev_randao: Option<alloy_primitives::B256>,
}

/// What a simulated call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallResult {
    /// `None` when it succeeded.
    pub failure: Option<Failure>,
    /// Gas used.
    pub gas_used: u64,
    /// Gas refunded within that.
    pub gas_refunded: u64,
    /// Return or revert data.
    pub output: Bytes,
    /// Contract that a creation made.
    pub contract_address: Option<Address>,
    /// Logs.
    pub logs: Vec<Log>,
    /// Pubdata bytes.
    pub pubdata_bytes: u64,
    /// Gas that pubdata cost.
    pub pubdata_gas: u64,
}

impl From<Outcome> for CallResult {
    fn from(o: Outcome) -> Self {
        Self {
            failure: o.failure,
            gas_used: o.gas_used,
            gas_refunded: o.gas_refunded,
            output: o.output,
            contract_address: o.contract_address,
            logs: o.logs,
            pubdata_bytes: o.pubdata_bytes,
            pubdata_gas: o.pubdata_gas,
        }
    }
}

impl CallResult {
    /// revm's form of the output.
    pub fn revm_output(&self) -> Output {
        match self.contract_address {
            Some(address) => Output::Create(self.output.clone(), Some(address)),
            None => Output::Call(self.output.clone()),
        }
    }
}

/// Simulates calls on one state. Each call sees the state as the reader shows it (and the overrides), unless [`Self::keep_changes`] is set.
#[derive(Debug)]
pub struct Simulator<R: StateReader, I = ()> {
    evm: CairnEvm<R, I>,
    env: BlockEnvParams,
    block: BlockOverrides,
    /// Keep each call's changes for the next one (`eth_simulateV1`, bundles).
    pub keep_changes: bool,
}

impl<R: StateReader> Simulator<R> {
    /// A simulator without an inspector.
    pub fn new(
        env: BlockEnvParams,
        reader: R,
        overrides: StateOverrides,
        block: BlockOverrides,
    ) -> Self {
        Self::with_inspector(env, reader, overrides, block, ())
    }
}

impl<R: StateReader, I> Simulator<R, I> {
    /// A simulator whose calls may be run under `inspector`.
    pub fn with_inspector(
        env: BlockEnvParams,
        reader: R,
        overrides: StateOverrides,
        block: BlockOverrides,
        inspector: I,
    ) -> Self {
        let mut evm = new_evm(reader, env.chain_id, inspector);
        evm.ctx.db_mut().set_overrides(overrides);
        if let Some(parent) = env.number.checked_sub(1) {
            evm.ctx.db_mut().recent.push((parent, env.parent_hash));
        }
        Self { evm, env, block, keep_changes: false }
    }

    /// Runs a call.
    ///
    /// # Errors
    /// [`ExecError::Invalid`] when it is no valid call (funds, intrinsic gas, init code size).
    pub fn call(&mut self, request: &CallRequest) -> Result<CallResult, ExecError<R::Error>> {
        self.run(request, plain())
    }

    /// Runs a call under the inspector.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn call_inspected(
        &mut self,
        request: &CallRequest,
    ) -> Result<CallResult, ExecError<R::Error>>
    where
        I: Inspector<CairnContext<R>, EthInterpreter>,
    {
        self.run(request, inspected())
    }

    /// The EVM: its inspector and its journal (which after a call without [`Self::keep_changes`] is as before it).
    pub fn evm_mut(&mut self) -> &mut CairnEvm<R, I> {
        &mut self.evm
    }

    /// Gives the inspector back.
    pub fn into_inspector(self) -> I {
        self.evm.inspector
    }

    fn run(
        &mut self,
        request: &CallRequest,
        exec: Exec<R, I>,
    ) -> Result<CallResult, ExecError<R::Error>> {
        self.set_block(request.gas_price == 0);
        self.evm.ctx.tx = tx_env(request);
        let charge = request.gas_price > 0;
        let policy = Policy { check_fees: charge, charge_fees: charge, ..Policy::SIMULATION };
        let rules = Rules { fees: self.env.fees, block_gas_left: u64::MAX, policy };
        let out = match &request.account {
            Some(account) => {
                let tx = self.account_tx(request, account)?;
                life::run_open(&mut self.evm, &tx, &rules, exec)
            }
            None => life::run_env(&mut self.evm, &rules, exec),
        };
        life::end(&mut self.evm, out.is_ok() && self.keep_changes);
        out.map(CallResult::from)
    }

    /// The transaction that the request stands for, with the account's present nonce.
    fn account_tx(
        &mut self,
        request: &CallRequest,
        account: &AccountRequest,
    ) -> Result<RecoveredTx, ExecError<R::Error>> {
        let state = revm::Database::basic(self.evm.ctx.db_mut(), request.from);
        let nonce = state.map_err(life::db_fault)?.map_or(0, |a| a.nonce);
        let signature = if account.signature.is_empty() {
            vec![1; 65].into()
        } else {
            account.signature.clone()
        };
        let tx = Eip712Tx {
            chain_id: self.env.chain_id,
            from: request.from,
            to: request.to.to().copied(),
            nonce,
            gas_limit: request.gas_limit.min(MAX_CALL_GAS),
            gas_per_pubdata: u64::MAX,
            max_fee_per_gas: request.gas_price,
            max_priority_fee_per_gas: 0,
            value: request.value,
            data: request.data.clone(),
            paymaster: account.paymaster.clone(),
            signature,
        };
        Ok(RecoveredTx::assume_sender(Transaction::Eip712(Box::new(tx)), request.from))
    }

    /// Runs the steps of an account-abstraction transaction up to **execute**, as a block would, under the inspector, and keeps nothing of it: what
    /// a mempool judges by. Answers the gas that account and paymaster code used.
    ///
    /// # Errors
    /// [`ExecError::Invalid`] when the account or its paymaster does not want it.
    pub fn validate(&mut self, tx: &RecoveredTx) -> Result<u64, ExecError<R::Error>>
    where
        I: Inspector<CairnContext<R>, EthInterpreter>,
    {
        self.set_block(false);
        let policy = Policy::CONSENSUS;
        let rules = Rules { fees: self.env.fees, block_gas_left: u64::MAX, policy };
        life::validate_account(&mut self.evm, tx, &rules, inspected())
    }

    fn set_block(&mut self, free: bool) {
        let mut block = block_env(&self.env);
        if free {
            block.basefee = 0;
        }
        let o = &self.block;
        block.number = o.number.map_or(block.number, U256::from);
        block.timestamp = o.timestamp.map_or(block.timestamp, U256::from);
        block.beneficiary = o.beneficiary.unwrap_or(block.beneficiary);
        block.basefee = o.base_fee.unwrap_or(block.basefee);
        block.prevrandao = o.prev_randao.or(block.prevrandao);
        self.evm.ctx.block = block;
    }

    /// The least gas limit with which the call succeeds, within 1.5% above (as geth's search).
    ///
    /// # Errors
    /// [`EstimateError`] when it fails even with `cap` gas (or the request's own limit, or what the sender can pay).
    pub fn estimate_gas(
        &mut self,
        request: &CallRequest,
        cap: u64,
    ) -> Result<u64, EstimateError<R::Error>> {
        let mut call = request.clone();
        let mut high = if call.gas_limit == 0 { TX_GAS_LIMIT } else { call.gas_limit };
        high = high.min(cap).min(TX_GAS_LIMIT);
        high = self.affordable(&call, high)?;
        call.gas_limit = high;
        let first = match self.call(&call) {
            Ok(result) => result,
            Err(e) if needs_more_gas(&e) => return Err(EstimateError::Allowance(high)),
            Err(e) => return Err(e.into()),
        };
        match first.failure {
            None => {}
            Some(Failure::Revert) => return Err(EstimateError::Revert(first.output)),
            Some(Failure::OutOfGas | Failure::PubdataOutOfGas { .. }) => {
                return Err(EstimateError::Allowance(high));
            }
            Some(other) => return Err(EstimateError::Failed(other)),
        }
        let mut low = (first.gas_used + first.gas_refunded).saturating_sub(first.pubdata_gas + 1);
        low = low.min(first.gas_used.saturating_sub(1));
        // One guess with EIP-150's 63/64 and the call stipend in mind saves most of the search.
        let guess = ((first.gas_used + first.gas_refunded + 2_300) * 64 / 63).min(high);
        if self.succeeds(&mut call, guess)? {
            high = guess;
        } else {
            low = guess;
        }
        if first.gas_used < high && self.succeeds(&mut call, first.gas_used)? {
            return Ok(first.gas_used);
        }
        while low + 1 < high && (high - low) * 1_000 > high * 15 {
            let middle = (low + (high - low) / 2).min(low.saturating_mul(2)).max(low + 1);
            if self.succeeds(&mut call, middle)? {
                high = middle;
            } else {
                low = middle;
            }
        }
        Ok(high)
    }

    /// The largest gas limit not above `high` that the sender can pay for.
    fn affordable(
        &mut self,
        call: &CallRequest,
        high: u64,
    ) -> Result<u64, EstimateError<R::Error>> {
        if call.gas_price == 0 {
            return Ok(high);
        }
        let account = revm::Database::basic(self.evm.ctx.db_mut(), call.from)
            .map_err(|e| EstimateError::Exec(life::db_fault(e)))?;
        let balance = account.map(|a| a.balance).unwrap_or_default();
        let Some(left) = balance.checked_sub(call.value) else {
            let (address, have, want) = (call.from, balance, call.value);
            return Err(ExecError::from(TxError::InsufficientFunds { address, have, want }).into());
        };
        let most = (left / U256::from(call.gas_price)).saturating_to::<u64>();
        Ok(high.min(most))
    }

    fn succeeds(
        &mut self,
        call: &mut CallRequest,
        gas: u64,
    ) -> Result<bool, EstimateError<R::Error>> {
        call.gas_limit = gas;
        match self.call(call) {
            Ok(result) => Ok(result.failure.is_none()),
            Err(e) if needs_more_gas(&e) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}

fn needs_more_gas<E: core::error::Error>(e: &ExecError<E>) -> bool {
    matches!(e, ExecError::Invalid(TxError::IntrinsicGas { .. } | TxError::FloorDataGas { .. }))
}

fn tx_env(request: &CallRequest) -> TxEnv {
    let authorization_list = recover_authorizations(&request.authorization_list);
    let tx_type = match (&authorization_list.is_empty(), request.priority_fee) {
        (false, _) => 4,
        (true, Some(_)) => 2,
        (true, None) => u8::from(!request.access_list.0.is_empty()),
    };
    TxEnv {
        tx_type,
        caller: request.from,
        gas_limit: request.gas_limit.min(MAX_CALL_GAS),
        gas_price: request.gas_price,
        kind: request.to,
        value: request.value,
        data: request.data.clone(),
        nonce: 0,
        chain_id: None,
        access_list: request.access_list.clone(),
        gas_priority_fee: request.priority_fee,
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list,
    }
}

/// Why no gas limit can be estimated.
#[derive(Debug, Error)]
pub enum EstimateError<E: core::error::Error> {
    /// The call reverts; the data holds the reason.
    #[error("execution reverted")]
    Revert(Bytes),
    /// The call fails in another way.
    #[error("execution failed: {0:?}")]
    Failed(Failure),
    /// It needs more gas than allowed or paid for.
    #[error("gas required exceeds allowance ({0})")]
    Allowance(u64),
    /// It could not be run.
    #[error(transparent)]
    Exec(#[from] ExecError<E>),
}
