//! Steps **validate** and **pay** of a signed transaction.

use alloy_consensus::{Transaction as _, transaction::EthereumTxEnvelope};
use alloy_primitives::{Address, U256};
use cairn_primitives::transaction::EthTransaction;
use revm::{
    context::{
        Block, Cfg, ContextTr, JournalTr, Transaction as _, TxEnv, result::InvalidTransaction,
    },
    context_interface::{
        journaled_state::account::JournaledAccountTr, transaction::TransactionType,
    },
    handler::validation::validate_initial_tx_gas_with_gas_params,
    interpreter::InitialAndFloorGas,
};

use super::Rules;
use crate::{
    error::{ExecError, TxError},
    evm::{CairnEvm, SPEC},
    limits::TX_GAS_LIMIT,
    reader::StateReader,
    tx::recover_authorizations,
};

/// Which checks apply. Blocks use [`Policy::CONSENSUS`]; simulations leave some out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The nonce must be the account's, and the sender must not be a contract.
    pub check_sender: bool,
    /// Fee cap against base fee, tip against cap.
    pub check_fees: bool,
    /// Fees are taken from the sender (who must have them) and given to the operator.
    pub charge_fees: bool,
    /// EIP-7825's cap and the block's remaining gas.
    pub check_gas_limit: bool,
}

impl Policy {
    /// Everything.
    pub const CONSENSUS: Self =
        Self { check_sender: true, check_fees: true, charge_fees: true, check_gas_limit: true };
    /// `eth_call`, `eth_estimateGas`: as geth relaxes them.
    pub const SIMULATION: Self =
        Self { check_sender: false, check_fees: false, charge_fees: false, check_gas_limit: false };
}

/// A transaction that passed [`validate`].
#[derive(Debug, Clone, Copy)]
pub struct Valid {
    /// Intrinsic and floor gas.
    pub intrinsic: InitialAndFloorGas,
    /// Wei per gas that is paid.
    pub gas_price: u128,
}

/// The EVM's view of a signed transaction.
pub fn tx_env(tx: &EthTransaction, sender: Address) -> TxEnv {
    let authorization_list = match tx {
        EthereumTxEnvelope::Eip7702(t) => recover_authorizations(&t.tx().authorization_list),
        _ => Default::default(),
    };
    TxEnv {
        tx_type: tx.tx_type() as u8,
        caller: sender,
        gas_limit: tx.gas_limit(),
        gas_price: tx.max_fee_per_gas(),
        kind: tx.kind(),
        value: tx.value(),
        data: tx.input().clone(),
        nonce: tx.nonce(),
        chain_id: tx.chain_id(),
        access_list: tx.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: tx.max_priority_fee_per_gas(),
        blob_hashes: Default::default(),
        max_fee_per_blob_gas: 0,
        authorization_list,
    }
}

/// Step **validate**: nothing is changed; the sender is loaded.
pub(super) fn validate<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    rules: &Rules,
) -> Result<Valid, ExecError<R::Error>> {
    let policy = rules.policy;
    chain_id(evm)?;
    gas_limit(evm, rules)?;
    if policy.check_fees {
        fee_caps(evm)?;
    }
    shape(evm)?;
    let intrinsic = intrinsic_gas(evm)?;
    let gas_price = evm.ctx.tx.effective_gas_price(evm.ctx.block.basefee().into());
    let (_, tx, _, journal, _, _) = evm.ctx.all_mut();
    let caller = tx.caller();
    let account = journal.load_account_with_code_mut(caller).map_err(super::db_fault)?.data;
    if policy.check_sender {
        sender(caller, tx.nonce(), &account)?;
    }
    funds(tx, caller, *account.balance(), policy)?;
    Ok(Valid { intrinsic, gas_price })
}

/// Step **pay**: the whole gas limit at the effective price, and the nonce of a call (a creation raises it when its frame starts).
pub(super) fn pay<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    valid: &Valid,
    rules: &Rules,
) -> Result<(), ExecError<R::Error>> {
    let (_, tx, _, journal, _, _) = evm.ctx.all_mut();
    let mut account = journal.load_account_mut(tx.caller()).map_err(super::db_fault)?.data;
    if rules.policy.charge_fees {
        let fee = U256::from(tx.gas_limit()) * U256::from(valid.gas_price);
        account.decr_balance(fee);
    }
    if tx.kind().is_call() {
        account.bump_nonce();
    }
    Ok(())
}

pub(super) fn chain_id<R: StateReader, I>(evm: &CairnEvm<R, I>) -> Result<(), TxError> {
    let want = evm.ctx.cfg.chain_id();
    match evm.ctx.tx.chain_id() {
        Some(have) if have != want => Err(TxError::ChainId { have, want }),
        // A legacy transaction from before EIP-155 names no chain. It is valid, as on Ethereum (keyless deployments rest on it); the RPC
        // refuses it by default, as geth does.
        _ => Ok(()),
    }
}

pub(super) fn gas_limit<R: StateReader, I>(
    evm: &CairnEvm<R, I>,
    rules: &Rules,
) -> Result<(), TxError> {
    let have = evm.ctx.tx.gas_limit();
    if !rules.policy.check_gas_limit {
        return Ok(());
    }
    if have > TX_GAS_LIMIT {
        return Err(TxError::GasLimitTooHigh { have, cap: TX_GAS_LIMIT });
    }
    if have > rules.block_gas_left {
        return Err(TxError::BlockGasExceeded { have, left: rules.block_gas_left });
    }
    Ok(())
}

pub(super) fn fee_caps<R: StateReader, I>(evm: &CairnEvm<R, I>) -> Result<(), TxError> {
    let (tx, base_fee) = (&evm.ctx.tx, evm.ctx.block.basefee());
    let (address, max_fee) = (tx.caller(), tx.max_fee_per_gas());
    if let Some(tip) = tx.max_priority_fee_per_gas().filter(|tip| *tip > max_fee) {
        return Err(TxError::TipAboveFeeCap { address, tip, max_fee });
    }
    if max_fee < u128::from(base_fee) {
        return Err(TxError::FeeCapTooLow { address, max_fee, base_fee });
    }
    Ok(())
}

pub(super) fn shape<R: StateReader, I>(evm: &CairnEvm<R, I>) -> Result<(), TxError> {
    let tx = &evm.ctx.tx;
    let limit = evm.ctx.cfg.max_initcode_size();
    if tx.kind().is_create() && tx.input().len() > limit {
        return Err(TxError::InitCodeTooLarge { size: tx.input().len(), limit });
    }
    if tx.tx_type() == TransactionType::Eip7702 as u8 {
        if tx.authorization_list.is_empty() {
            return Err(TxError::EmptyAuthorizationList);
        }
        if tx.kind().is_create() {
            return Err(TxError::SetCodeCreate);
        }
    }
    if tx.nonce() == u64::MAX {
        return Err(TxError::NonceMax { address: tx.caller(), nonce: tx.nonce() });
    }
    Ok(())
}

/// Intrinsic gas, and EIP-7623's floor.
pub(super) fn intrinsic_gas<R: StateReader, I>(
    evm: &CairnEvm<R, I>,
) -> Result<InitialAndFloorGas, TxError> {
    let (tx, cfg) = (&evm.ctx.tx, &evm.ctx.cfg);
    let checked = validate_initial_tx_gas_with_gas_params(
        tx,
        SPEC,
        cfg.gas_params(),
        false,
        false,
        TX_GAS_LIMIT,
        None,
    );
    checked.map_err(|e| match e {
        InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
            TxError::FloorDataGas { have: gas_limit, want: gas_floor }
        }
        InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
            TxError::IntrinsicGas { have: gas_limit, want: initial_gas }
        }
        // The function returns nothing else.
        _ => TxError::IntrinsicGas { have: tx.gas_limit(), want: u64::MAX },
    })
}

fn sender(address: Address, tx: u64, account: &impl JournaledAccountTr) -> Result<(), TxError> {
    let state = account.nonce();
    if tx < state {
        return Err(TxError::NonceTooLow { address, tx, state });
    }
    if tx > state {
        return Err(TxError::NonceTooHigh { address, tx, state });
    }
    if account.code().is_some_and(|code| !code.is_empty() && !code.is_eip7702()) {
        return Err(TxError::SenderNotEoa { address });
    }
    Ok(())
}

fn funds(tx: &TxEnv, address: Address, have: U256, policy: Policy) -> Result<(), TxError> {
    let max_fee = U256::from(tx.gas_limit()) * U256::from(tx.max_fee_per_gas());
    let fee = if policy.charge_fees { max_fee } else { U256::ZERO };
    let want = fee.saturating_add(tx.value());
    if have < want {
        return Err(TxError::InsufficientFunds { address, have, want });
    }
    Ok(())
}
