//! What is checked of a transaction before the pool sees it: everything that depends on the transaction alone.

use alloy_consensus::transaction::EthereumTxEnvelope;
use alloy_consensus::{Transaction as _, Typed2718};
use cairn_primitives::transaction::{EthTransaction, MAX_TX_SIZE};
use cairn_primitives::{Eip712Tx, Transaction, TransactionError};
use cairn_rpc::PoolError;
use cairn_stf::limits::TX_GAS_LIMIT;
use cairn_stf::{RecoveredTx, TxError};
use revm::context_interface::cfg::gas_params::GasParams;
use revm::primitives::eip3860::MAX_INITCODE_SIZE;

/// Decodes a signed transaction, recovers its sender and checks its shape. The expensive part of taking a transaction: call it outside all locks.
///
/// # Errors
/// A [`PoolError`] in geth's words.
pub fn admit(raw: &[u8], chain_id: u64) -> Result<RecoveredTx, PoolError> {
    if raw.len() > MAX_TX_SIZE {
        return Err(PoolError::Oversized { size: raw.len(), limit: MAX_TX_SIZE });
    }
    if raw.first() == Some(&cairn_primitives::priority::PRIORITY_TX_TYPE) {
        return Err(PoolError::TypeNotSupported);
    }
    let tx = match Transaction::decode(raw).map_err(decode_error)? {
        Transaction::Ethereum(tx) => tx,
        Transaction::Eip712(tx) => return admit_account(tx, chain_id),
        Transaction::Priority(_) => return Err(PoolError::TypeNotSupported),
    };
    check_shape(&tx, chain_id)?;
    RecoveredTx::signed(tx).map_err(|e| match e {
        TxError::UnsupportedType => PoolError::TypeNotSupported,
        _ => PoolError::InvalidSender,
    })
}

/// An account-abstraction transaction: whether its account wants it is judged on the state, later.
fn admit_account(tx: Box<Eip712Tx>, chain_id: u64) -> Result<RecoveredTx, PoolError> {
    if tx.chain_id != chain_id {
        return Err(PoolError::InvalidChainId { have: tx.chain_id, want: chain_id });
    }
    let (tip, max_fee) = (tx.max_priority_fee_per_gas, tx.max_fee_per_gas);
    if tip > max_fee {
        return Err(PoolError::TipAboveFeeCap { tip, max_fee });
    }
    if tx.gas_limit > TX_GAS_LIMIT {
        return Err(PoolError::ExceedsTxGasCap { cap: TX_GAS_LIMIT, got: tx.gas_limit });
    }
    if tx.nonce == u64::MAX {
        return Err(PoolError::NonceMax);
    }
    if tx.to.is_none() && tx.data.len() > MAX_INITCODE_SIZE {
        let (size, limit) = (tx.data.len(), MAX_INITCODE_SIZE);
        return Err(PoolError::InitCodeTooLarge { size, limit });
    }
    let params = GasParams::new_spec(cairn_stf::evm::SPEC);
    let need = params.initial_tx_gas(&tx.data, tx.to.is_none(), 0, 0, 0, None);
    let have = tx.gas_limit;
    if need.initial_total_gas() > have {
        return Err(PoolError::IntrinsicGas { have, want: need.initial_total_gas() });
    }
    if need.floor_gas() > have {
        return Err(PoolError::FloorGas { have, want: need.floor_gas() });
    }
    let mut tx = RecoveredTx::account(tx);
    tx.recover_signer();
    Ok(tx)
}

fn decode_error(e: TransactionError) -> PoolError {
    match e {
        TransactionError::TooLarge(size) => PoolError::Oversized { size, limit: MAX_TX_SIZE },
        TransactionError::Unsupported => PoolError::TypeNotSupported,
        other => PoolError::Decode(other.to_string().trim_start_matches("rlp: ").to_owned()),
    }
}

fn check_shape(tx: &EthTransaction, chain_id: u64) -> Result<(), PoolError> {
    match tx.chain_id() {
        None => return Err(PoolError::NotReplayProtected),
        Some(have) if have != chain_id => {
            return Err(PoolError::InvalidChainId { have, want: chain_id });
        }
        Some(_) => {}
    }
    let (max_fee, got) = (tx.max_fee_per_gas(), tx.gas_limit());
    if let Some(tip) = tx.max_priority_fee_per_gas().filter(|tip| *tip > max_fee) {
        return Err(PoolError::TipAboveFeeCap { tip, max_fee });
    }
    if got > TX_GAS_LIMIT {
        return Err(PoolError::ExceedsTxGasCap { cap: TX_GAS_LIMIT, got });
    }
    if tx.nonce() == u64::MAX {
        return Err(PoolError::NonceMax);
    }
    if tx.kind().is_create() && tx.input().len() > MAX_INITCODE_SIZE {
        return Err(PoolError::InitCodeTooLarge {
            size: tx.input().len(),
            limit: MAX_INITCODE_SIZE,
        });
    }
    if let EthereumTxEnvelope::Eip7702(t) = tx
        && t.tx().authorization_list.is_empty()
    {
        return Err(PoolError::Other("EIP-7702 transaction with empty auth list".into()));
    }
    check_intrinsic_gas(tx)
}

fn check_intrinsic_gas(tx: &EthTransaction) -> Result<(), PoolError> {
    let (accounts, slots) = tx.access_list().map_or((0, 0), |list| {
        (list.0.len() as u64, list.0.iter().map(|i| i.storage_keys.len() as u64).sum())
    });
    let authorizations = tx.authorization_list().map_or(0, |l| l.len() as u64);
    let params = GasParams::new_spec(cairn_stf::evm::SPEC);
    let need = params.initial_tx_gas(
        tx.input(),
        tx.kind().is_create(),
        accounts,
        slots,
        authorizations,
        None,
    );
    let have = tx.gas_limit();
    if need.initial_total_gas() > have {
        return Err(PoolError::IntrinsicGas { have, want: need.initial_total_gas() });
    }
    if need.floor_gas() > have {
        return Err(PoolError::FloorGas { have, want: need.floor_gas() });
    }
    debug_assert!(tx.ty() != 3);
    Ok(())
}
