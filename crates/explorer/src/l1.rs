//! Looks at L1 on behalf of pages.

use alloy_consensus::{Transaction as _, Typed2718};
use alloy_primitives::{Address, B256, U256};
use alloy_provider::Provider;
use alloy_sol_types::{SolCall, SolEvent};
use cairn_settlement::bindings::{
    AttestationVerifier, Bridgehub, L1AssetRouter, L1NativeTokenVault, L1Nullifier, ZKChain,
};
use cairn_settlement::deploy::{ChainDeployment, Ecosystem};
use cairn_settlement::l1::L1;
use cairn_settlement::verifier::find_verifiers;
use serde_json::{Value, json};

use crate::decode::Decoder;
use crate::error::Result;

/// Most bytes of calldata that a page shows.
const MAX_INPUT: usize = 4_096;

/// The decoder for L1's contracts of this chain.
pub fn decoder(ecosystem: &Ecosystem, chain: &ChainDeployment) -> Decoder {
    Decoder::l1(&[
        (ecosystem.bridgehub, "Bridgehub"),
        (ecosystem.asset_router, "L1AssetRouter"),
        (ecosystem.native_token_vault, "L1NativeTokenVault"),
        (ecosystem.nullifier, "L1Nullifier"),
        (ecosystem.message_root, "MessageRoot"),
        (ecosystem.rollup_da_validator, "RollupDAValidator"),
        (ecosystem.governance, "TimelockController"),
        (chain.address, "ZKChain"),
    ])
}

/// A transaction on L1, with the priority operations that it queued; `None` when L1 does not know it.
///
/// # Errors
/// L1's.
pub async fn transaction(
    l1: &L1,
    decoder: &Decoder,
    chain: Address,
    hash: B256,
) -> Result<Option<Value>> {
    let tx =
        l1.read("eth_getTransactionByHash", move |p| async move {
            p.get_transaction_by_hash(hash).await
        })
        .await?;
    let Some(tx) = tx else { return Ok(None) };
    let receipt = l1.receipt(hash).await?;
    let timestamp = match tx.block_number {
        Some(n) => l1.block(n.into()).await?.map(|(_, _, timestamp)| timestamp),
        None => None,
    };
    let input = tx.input();
    let logs = receipt.as_ref().map(|r| r.logs().to_vec()).unwrap_or_default();
    let queued: Vec<Value> = logs
        .iter()
        .filter(|l| l.address() == chain)
        .filter_map(|l| ZKChain::NewPriorityRequest::decode_log(&l.inner).ok())
        .map(|e| json!({ "id": e.txId.to_string(), "hash": e.txHash }))
        .collect();
    let events: Vec<Value> = logs
        .iter()
        .take(100)
        .map(|l| {
            json!({
                "address": l.address(), "topics": l.topics(),
                "event": decoder.event(l.address(), l.topics(), &l.data().data),
            })
        })
        .collect();
    let inner = tx.inner.inner();
    Ok(Some(json!({
        "hash": hash, "from": tx.inner.signer(), "to": tx.to(), "value": tx.value().to_string(),
        "nonce": inner.nonce(), "type": inner.ty(),
        "block": tx.block_number, "timestamp": timestamp,
        "status": receipt.as_ref().map(|r| r.status()),
        "gasUsed": receipt.as_ref().map(|r| r.gas_used),
        "gasLimit": inner.gas_limit(),
        "gasPrice": receipt.as_ref().map(|r| r.effective_gas_price.to_string()),
        "fee": receipt.as_ref().map(|r| {
            U256::from(r.gas_used).saturating_mul(U256::from(r.effective_gas_price)).to_string()
        }),
        "blobs": inner.blob_versioned_hashes().map_or(0, <[B256]>::len),
        "blobGas": receipt.as_ref().and_then(|r| r.blob_gas_used),
        "contract": tx.to().and_then(|a| decoder.contract(a).map(str::to_owned)),
        "call": decoder.call(tx.to(), input),
        "inputBytes": input.len(),
        "input": alloy_primitives::hex::encode_prefixed(&input[..input.len().min(MAX_INPUT)]),
        "logs": events, "queued": queued, "chainId": l1.chain_id(),
    })))
}

/// Bytes of the proof that a `proveBatches` carried.
///
/// # Errors
/// L1's.
pub async fn proof_bytes(l1: &L1, hash: B256) -> Result<Option<usize>> {
    let tx =
        l1.read("eth_getTransactionByHash", move |p| async move {
            p.get_transaction_by_hash(hash).await
        })
        .await?;
    let call = tx.and_then(|tx| ZKChain::proveBatchesCall::abi_decode(tx.input()).ok());
    Ok(call.map(|c| c.proof.len()))
}

/// What makes batches of this chain final, named as [`cairn_settlement::verifier::VerifierKind`] is everywhere: `{kind, address, threshold}`, the
/// last where there are attesters; `unknown` for a contract of no known kind.
///
/// # Errors
/// L1's, when it does not answer.
pub async fn verifier(l1: &L1, chain: Address) -> Result<Value> {
    let address = l1.call(chain, ZKChain::getVerifierCall {}).await?;
    let Some(found) = find_verifiers(l1, address).await? else {
        return Ok(json!({ "kind": "unknown", "address": address }));
    };
    let threshold = match found.attesters {
        Some(at) => Some(l1.call(at, AttestationVerifier::thresholdCall {}).await?.to_string()),
        None => None,
    };
    Ok(json!({ "kind": found.kind, "address": address, "threshold": threshold }))
}

/// Whether a message was consumed.
///
/// # Errors
/// L1's.
pub async fn is_finalized(
    l1: &L1,
    router: Address,
    chain_id: u64,
    batch: u64,
    message: u64,
) -> Result<bool> {
    let call = L1AssetRouter::isWithdrawalFinalizedCall {
        chainId: U256::from(chain_id),
        l2BatchNumber: U256::from(batch),
        l2MessageIndex: U256::from(message),
    };
    Ok(l1.call(router, call).await?)
}

/// Whether L1 still holds what a failed deposit of a token locked.
///
/// # Errors
/// L1's.
pub async fn is_claimable(
    l1: &L1,
    nullifier: Address,
    chain_id: u64,
    l2_tx_hash: B256,
) -> Result<bool> {
    let call =
        L1Nullifier::depositHappenedCall { chainId: U256::from(chain_id), l2TxHash: l2_tx_hash };
    Ok(!l1.call(nullifier, call).await?.is_zero())
}

/// What a deposit must bring along for its gas on L2, in wei.
///
/// # Errors
/// L1's.
pub async fn base_cost(
    l1: &L1,
    bridgehub: Address,
    chain_id: u64,
    gas: u64,
    gas_per_pubdata: u64,
) -> Result<U256> {
    let price = l1.read("eth_gasPrice", |p| async move { p.get_gas_price().await }).await?;
    let call = Bridgehub::l2TransactionBaseCostCall {
        chainId: U256::from(chain_id),
        // Room for a rise until the wallet's user has read the request.
        gasPrice: U256::from(price.saturating_mul(4)),
        l2GasLimit: U256::from(gas),
        l2GasPerPubdataByteLimit: U256::from(gas_per_pubdata),
    };
    Ok(l1.call(bridgehub, call).await?)
}

/// The asset id of a token, zero while nobody registered it.
///
/// # Errors
/// L1's.
pub async fn registered_asset(l1: &L1, vault: Address, token: Address) -> Result<B256> {
    Ok(l1.call(vault, L1NativeTokenVault::assetIdCall { token }).await?)
}
