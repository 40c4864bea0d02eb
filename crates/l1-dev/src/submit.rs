//! Taking transactions in: decoding, checks in geth's order and words, and the pool.

use crate::block::{BLOBS, SentTx, strip_sidecar};
use crate::build::Source;
use crate::core::Core;
use crate::evm;
use crate::pool::PoolTx;
use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{BlobTransactionSidecarVariant, Transaction as _, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_eips::eip7594::BlobTransactionSidecarEip7594;
use alloy_primitives::{Bytes, TxHash, U256};
use cairn_rpc::error::{MAX_INIT_CODE, from_invalid};
use cairn_rpc::{ChainError, PoolError};
use revm::context::{Context, TxEnv};
use revm::context_interface::Cfg;
use revm::context_interface::result::InvalidTransaction;
use revm::handler::MainContext;
use revm::handler::validation::{validate_initial_tx_gas, validate_tx_env};
use std::sync::Arc;

/// Largest transaction without blobs: geth's four slots of 32 KiB.
const MAX_TX_SIZE: usize = 128 << 10;

impl Core {
    /// Decodes a transaction as it comes over the wire and checks what needs no state.
    pub(crate) fn decode(&self, raw: &[u8]) -> Result<PoolTx, PoolError> {
        let is_blob = raw.first() == Some(&3);
        if !is_blob && raw.len() > MAX_TX_SIZE {
            return Err(PoolError::Oversized { size: raw.len(), limit: MAX_TX_SIZE });
        }
        let mut rest = raw;
        let tx =
            TxEnvelope::decode_2718(&mut rest).map_err(|e| PoolError::Decode(e.to_string()))?;
        if !rest.is_empty() {
            return Err(PoolError::Decode("trailing bytes after the transaction".into()));
        }
        let wanted = self.config.chain_id;
        if let Some(have) = tx.chain_id().filter(|id| *id != wanted) {
            return Err(PoolError::InvalidChainId { have, want: wanted });
        }
        let sender = tx.recover_signer().map_err(|_| PoolError::InvalidSender)?;
        let (tx, sidecar) = strip_sidecar(tx);
        let sidecar = check_sidecar(&tx, sidecar)?;
        let size = if is_blob {
            alloy_eips::eip2718::Encodable2718::encode_2718_len(&tx)
        } else {
            raw.len()
        };
        Ok(PoolTx::new(SentTx { tx, sender }, sidecar, size))
    }

    /// Checks a transaction against the next block's rules and the head's state.
    fn check(&self, tx: &PoolTx, min_gas_price: u128) -> Result<u64, PoolError> {
        let (head, header) = self.pending_header();
        let env = evm::tx_env(&tx.sent.tx, tx.sent.sender);
        check_static(&env, self.cfg(), &header)?;
        let price = tx.sent.tx.max_fee_per_gas();
        if price < min_gas_price {
            return Err(PoolError::Underpriced { got: price, need: min_gas_price });
        }
        let account = head.state.account(tx.sent.sender);
        let (nonce, balance) = account.map_or((0, U256::ZERO), |a| (a.nonce, a.balance));
        if env.nonce < nonce {
            return Err(PoolError::NonceTooLow { next: nonce, got: env.nonce });
        }
        let impersonated = self.is_impersonated_sender(tx.sent.sender);
        if !impersonated && account.is_some_and(|a| !a.code.is_empty() && !a.code.is_eip7702()) {
            return Err(PoolError::SenderHasCode(tx.sent.sender));
        }
        let want = max_cost(&env);
        if balance < want {
            return Err(PoolError::InsufficientFunds { have: balance, want });
        }
        Ok(nonce)
    }

    pub(crate) fn is_impersonated_sender(&self, sender: alloy_primitives::Address) -> bool {
        let mode = self.mode.lock();
        mode.impersonate_all || mode.impersonated.contains(&sender)
    }

    /// Puts a checked transaction into the pool; true if it can be executed now.
    fn admit(&self, tx: PoolTx) -> Result<(TxHash, bool), ChainError> {
        let hash = tx.hash();
        let min_gas_price = self.mode.lock().min_gas_price;
        let nonce = self.check(&tx, min_gas_price)?;
        let ready = self.pool.lock().insert(tx, nonce)?;
        if ready {
            // An error means that nobody listens.
            let _ = self.pending.send(hash);
        }
        Ok((hash, ready))
    }

    /// Takes a transaction in; when each is mined at once, its block is there on return.
    pub(crate) async fn submit(self: Arc<Self>, raw: Bytes) -> Result<TxHash, ChainError> {
        let work = move || {
            let admitted = self.admit(self.decode(&raw)?)?;
            Ok(self.mine_for(admitted))
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| ChainError::Internal(e.to_string()))?
    }

    /// As [`Self::submit`], for a transaction of an impersonated account.
    pub(crate) async fn submit_unsigned(
        self: Arc<Self>,
        request: alloy_rpc_types::TransactionRequest,
    ) -> Result<TxHash, ChainError> {
        let work = move || {
            if !self.is_impersonated_sender(request.from.unwrap_or_default()) {
                return Err(ChainError::Halted("unknown account".into()));
            }
            let sent = self.unsigned(request)?;
            let size = alloy_eips::eip2718::Encodable2718::encode_2718_len(&sent.tx);
            let admitted = self.admit(PoolTx::new(sent, None, size))?;
            Ok(self.mine_for(admitted))
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| ChainError::Internal(e.to_string()))?
    }

    /// Mines the pool for a transaction that is executable, unless it is in a block by the time that it is its turn: of several
    /// that wait for the writer, the first mines for all.
    fn mine_for(self: &Arc<Self>, (hash, ready): (TxHash, bool)) -> TxHash {
        if ready && self.mode.lock().automine {
            let mut writer = self.writer.lock();
            let waits = self.pool.lock().get(&hash).is_some();
            if waits && let Err(error) = self.mine_one(&mut writer, None, Source::Pool) {
                // The transaction stays in the pool: it was accepted, and the next block takes it.
                tracing::error!(%error, "cannot mine a block");
            }
        }
        hash
    }
}

/// Most wei that the transaction can cost; saturates.
fn max_cost(env: &TxEnv) -> U256 {
    let gas = U256::from(env.gas_price).saturating_mul(U256::from(env.gas_limit));
    let blob_gas = U256::from(env.blob_hashes.len())
        .saturating_mul(U256::from(alloy_eips::eip4844::DATA_GAS_PER_BLOB));
    gas.saturating_add(blob_gas.saturating_mul(U256::from(env.max_fee_per_blob_gas)))
        .saturating_add(env.value)
}

/// revm's own checks of a transaction that need no state.
fn check_static(
    env: &TxEnv,
    cfg: revm::context::CfgEnv,
    header: &alloy_consensus::Header,
) -> Result<(), PoolError> {
    let base_fee = header.base_fee_per_gas.unwrap_or_default();
    let fail = |e: InvalidTransaction| from_invalid(&e, env, base_fee);
    if env.kind.is_create() && env.data.len() > MAX_INIT_CODE {
        return Err(PoolError::InitCodeTooLarge { size: env.data.len(), limit: MAX_INIT_CODE });
    }
    let cap = cfg.tx_gas_limit_cap();
    let mut context =
        Context::mainnet().with_cfg(cfg).with_block(evm::block_env(header)).with_tx(env.clone());
    validate_tx_env(&mut context, evm::SPEC).map_err(fail)?;
    validate_initial_tx_gas(env, evm::SPEC, false, false, cap, None).map_err(fail)?;
    Ok(())
}

/// A blob transaction needs its blobs with cell proofs (EIP-7594) that verify; no other may have any.
fn check_sidecar(
    tx: &TxEnvelope,
    sidecar: Option<BlobTransactionSidecarVariant>,
) -> Result<Option<BlobTransactionSidecarEip7594>, PoolError> {
    let Some(hashes) = tx.blob_versioned_hashes() else { return Ok(None) };
    let most = BLOBS.max_blobs_per_tx as usize;
    if hashes.len() > most {
        return Err(PoolError::Blob(format!(
            "too many blobs in transaction: have {}, permitted {most}",
            hashes.len()
        )));
    }
    match sidecar {
        None => Err(PoolError::Blob("missing sidecar in blob transaction".into())),
        Some(BlobTransactionSidecarVariant::Eip4844(_)) => {
            Err(PoolError::Blob("unexpected sidecar version, want: 1, got: 0".into()))
        }
        Some(BlobTransactionSidecarVariant::Eip7594(sidecar)) => {
            sidecar
                .validate(hashes, c_kzg::ethereum_kzg_settings(0))
                .map_err(|e| PoolError::Blob(format!("invalid blob: {e}")))?;
            Ok(Some(sidecar))
        }
    }
}
