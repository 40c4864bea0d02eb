//! Blocks, transactions and batches.

use alloy_sol_types::{SolCall, sol};
use axum::Json;
use axum::extract::{Path, Query, State};
use cairn_primitives::{Eip712Tx, Transaction};
use serde_json::{Value, json};

use super::{Answer, ApiError, Cost, PageQuery, Shared, work};
use crate::app::{App, Stored, fee, parse_hash};
use crate::error::Result;
use crate::index::model::TxPos;
use crate::{l1, trace as calls};

/// Most transactions of a block's page.
const BLOCK_TXS: u32 = 50;
/// Most events and transfers of a transaction's page.
const MAX_LOGS: usize = 500;
/// Most bytes of calldata that a page shows.
const MAX_INPUT: usize = 16 << 10;

pub(super) async fn info(State(app): State<Shared>) -> Answer {
    let n = &app.network;
    let accounts = app.dev.as_ref().map(|d| d.addresses());
    Ok(Json(json!({
        "name": n.name, "chainId": n.chain_id, "l1ChainId": n.ecosystem.l1_chain_id,
        "rpc": n.rpc_url, "l1Rpc": n.l1_rpc_url, "verifier": app.verifier,
        "contracts": {
            "bridgehub": n.ecosystem.bridgehub, "assetRouter": n.ecosystem.asset_router,
            "vault": n.ecosystem.native_token_vault, "nullifier": n.ecosystem.nullifier,
            "chain": n.chain.address,
        },
        "baseToken": n.base_token.brief(),
        "devAccounts": accounts, "version": env!("CARGO_PKG_VERSION"),
    })))
}

pub(super) async fn blocks(State(app): State<Shared>, Query(q): Query<PageQuery>) -> Answer {
    let (before, limit) = (q.cursor::<1>()?, q.limit() as u64);
    let rows = work(&app, Cost::Reads, move |app| {
        let head = app.storage.head_number();
        let last = match before {
            Some([0]) => return Ok(json!({ "rows": [], "next": null, "total": head + 1 })),
            Some([n]) => head.min(n - 1),
            None => head,
        };
        let first = last.saturating_sub(limit - 1);
        let blocks = app.storage.blocks(first, last)?;
        let rows = blocks.iter().rev().map(|b| app.block_row(b)).collect::<Result<Vec<_>>>()?;
        let next = (first > 0).then(|| first.to_string());
        Ok(json!({ "rows": rows, "next": next, "total": head + 1 }))
    });
    rows.await.map(Json)
}

pub(super) async fn block(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Query(q): Query<PageQuery>,
) -> Answer {
    let from = q.cursor::<1>()?.map_or(0, |[n]| u32::try_from(n).unwrap_or(u32::MAX));
    let found = work(&app, Cost::Reads, move |app| {
        let number = match parse_hash(&id) {
            Some(hash) => app.storage.block_number(hash)?,
            None => id.parse().ok(),
        };
        let Some(block) = number.map(|n| app.storage.block(n)).transpose()?.flatten() else {
            return Ok(None);
        };
        let mut row = app.block_row(&block)?;
        let header = &block.header;
        let end = block.tx_count.min(from.saturating_add(BLOCK_TXS));
        let places = (from..end).map(|index| TxPos { block: header.number, index });
        row["parentHash"] = json!(header.parent_hash);
        row["txsHash"] = json!(header.txs_rolling_hash);
        row["baseFee"] = json!(header.base_fee.to_string());
        row["gasPerPubdata"] = json!(block.gas_per_pubdata);
        row["operator"] = json!(header.beneficiary);
        row["messages"] = json!(block.l2_to_l1_count);
        row["builtAt"] = json!(block.built_at_ms);
        row["isHead"] = json!(header.number == app.storage.head_number());
        row["rows"] = Value::Array(app.tx_rows(places)?);
        row["next"] = json!((end < block.tx_count).then(|| end.to_string()));
        Ok(Some(row))
    });
    found.await?.map(Json).ok_or_else(|| ApiError::missing("this block"))
}

pub(super) async fn txs(State(app): State<Shared>, Query(q): Query<PageQuery>) -> Answer {
    let (before, limit) = (q.cursor::<1>()?.map(|[n]| n), q.limit());
    let rows = work(&app, Cost::Reads, move |app| {
        let total = app.index.totals()?.txs;
        let page = app.index.txs(before, limit)?;
        let rows = app.tx_rows(page.rows.into_iter())?;
        Ok(json!({ "rows": rows, "next": page.next.map(|n| n.to_string()), "total": total }))
    });
    rows.await.map(Json)
}

pub(super) async fn tx(State(app): State<Shared>, Path(hash): Path<String>) -> Answer {
    let hash = parse_hash(&hash).ok_or_else(|| ApiError::bad("not a transaction hash"))?;
    let found = work(&app, Cost::Reads, move |app| match app.storage.tx_location(hash)? {
        Some(at) => {
            let at = TxPos { block: at.block, index: at.index };
            app.stored(at)?.map(|s| included(app, &s)).transpose()
        }
        None => Ok(app.chain.transaction(hash)?.map(|tx| {
            json!({
                "hash": hash, "status": "pool", "from": tx.from, "to": tx.to,
                "value": tx.value.to_string(), "nonce": tx.nonce, "type": tx.ty,
                "gasLimit": tx.gas, "call": app.decoder.call(tx.to, &tx.input),
                "input": shown(&tx.input), "inputBytes": tx.input.len(),
            })
        })),
    });
    found.await?.map(Json).ok_or_else(|| ApiError::missing("this transaction"))
}

fn shown(input: &[u8]) -> String {
    alloy_primitives::hex::encode_prefixed(&input[..input.len().min(MAX_INPUT)])
}

/// The page of an included transaction.
fn included(app: &App, s: &Stored) -> Result<Value> {
    let mut row = app.tx_row(s);
    let (tx, r, to) = (&s.decoded, &s.receipt, s.decoded.to());
    let batch = match app.storage.batch_of_block(s.at.block)?.filter(|b| *b > 0) {
        Some(n) => app.storage.batch(n)?.map(|b| app.batch_row(&b)).transpose()?,
        None => None,
    };
    let logs = r.logs.iter().zip(0u32..).take(MAX_LOGS).map(|(log, i)| {
        json!({
            "index": r.first_log_index + i, "address": log.address,
            "name": app.name_of(log.address), "topics": log.topics, "data": shown(&log.data),
            "dataBytes": log.data.len(),
            "event": app.decoder.event(log.address, &log.topics, &log.data),
        })
    });
    let logs: Vec<Value> = logs.collect();
    let transfers = app.index.tx_transfers(s.at, MAX_LOGS)?;
    let withdrawals = app.index.tx_withdrawals(s.at, 100)?;
    let withdrawals: Vec<Value> =
        withdrawals.iter().map(|w| app.withdrawal_row(w)).collect::<Result<_>>()?;
    row["status"] = json!(app.status_of_block(s.at.block)?);
    row["batch"] = batch.unwrap_or_default();
    row["blockHash"] = json!(s.block.hash);
    row["nonce"] = json!(tx.nonce());
    row["gasLimit"] = json!(tx.gas_limit());
    row["gasUsed"] = json!(r.gas_used);
    row["gasPrice"] = json!(r.effective_gas_price.to_string());
    row["fee"] = json!(fee(r).to_string());
    row["pubdata"] = json!(r.pubdata_bytes);
    row["gasPerPubdata"] = json!(s.block.gas_per_pubdata);
    row["call"] = app.decoder.call(to, tx.input()).unwrap_or_default();
    row["input"] = json!(shown(tx.input()));
    row["inputBytes"] = json!(tx.input().len());
    row["logs"] = Value::Array(logs);
    row["logCount"] = json!(r.logs.len());
    row["transfers"] = transfers.iter().map(|t| app.transfer_row(t)).collect();
    row["withdrawals"] = Value::Array(withdrawals);
    row["internal"] = json!(app.index.tx_internal_count(s.at)?.map(|c| c.kept));
    if let Transaction::Eip712(t) = tx {
        row["account"] = account_fields(app, t, s.at.block)?;
    }
    if let Transaction::Priority(op) = tx {
        let deposit = crate::index::deposit(op);
        let deposit =
            crate::index::model::DepositRecord { at: Some(s.at), success: r.success, ..deposit };
        row["deposit"] = app.deposit_row(&deposit)?;
        row["deposit"]["minted"] = json!(op.to_mint.to_string());
        row["deposit"]["refundRecipient"] = json!(op.refund_recipient);
    }
    Ok(row)
}

sol! {
    function general(bytes input) external;
    function approvalBased(address token, uint256 minAllowance, bytes innerInput) external;
}

/// What only a transaction of type 0x71 has: who validated it, who paid, in which token, and the signature.
fn account_fields(app: &App, tx: &Eip712Tx, block: u64) -> Result<Value> {
    let before = app.storage.state_at(block.saturating_sub(1))?;
    let code_hash = match before {
        Some(state) => state.account(tx.from)?.map(|a| a.code_hash),
        None => None,
    };
    let code = match code_hash.filter(|hash| *hash != crate::index::NO_CODE) {
        Some(hash) => app.storage.state()?.code(hash)?.unwrap_or_default(),
        None => Default::default(),
    };
    // An EIP-7702 delegation leaves an account a plain one.
    let smart = !code.is_empty() && !code.starts_with(&[0xef, 0x01, 0x00]);
    let mut out = json!({
        "smart": smart, "gasPerPubdata": tx.gas_per_pubdata, "digest": tx.signing_hash(),
        "signature": shown(&tx.signature), "signatureBytes": tx.signature.len(),
    });
    let Some(p) = &tx.paymaster else { return Ok(out) };
    out["paymaster"] = json!(p.paymaster);
    out["input"] = json!(shown(&p.input));
    out["inputBytes"] = json!(p.input.len());
    out["flow"] = json!("unknown");
    if generalCall::abi_decode(&p.input).is_ok() {
        out["flow"] = json!("general");
    } else if let Ok(call) = approvalBasedCall::abi_decode(&p.input) {
        out["flow"] = json!("approvalBased");
        out["feeToken"] = json!(call.token);
        out["minAllowance"] = json!(call.minAllowance.to_string());
        out["feeMeta"] = app.token_brief(call.token);
    }
    Ok(out)
}

pub(super) async fn trace(State(app): State<Shared>, Path(hash): Path<String>) -> Answer {
    let hash = parse_hash(&hash).ok_or_else(|| ApiError::bad("not a transaction hash"))?;
    let trace =
        work(&app, Cost::Executes, move |app| calls::trace(&*app.chain, &app.decoder, hash));
    trace.await.map(Json)
}

pub(super) async fn batches(State(app): State<Shared>, Query(q): Query<PageQuery>) -> Answer {
    let (before, limit) = (q.cursor::<1>()?, q.limit() as u64);
    let rows = work(&app, Cost::Reads, move |app| {
        let sealed = app.storage.batch_heads().sealed;
        let last = before.map_or(sealed, |[n]| sealed.min(n.saturating_sub(1)));
        let mut rows: Vec<Value> =
            if before.is_none() { app.open_batch()?.into_iter().collect() } else { Vec::new() };
        let first = last.saturating_sub(limit - 1).max(1);
        for number in (first..=last).rev() {
            if let Some(batch) = app.storage.batch(number)? {
                rows.push(app.batch_row(&batch)?);
            }
        }
        let next = (last > 0 && first > 1).then(|| first.to_string());
        Ok(json!({ "rows": rows, "next": next, "total": sealed }))
    });
    rows.await.map(Json)
}

pub(super) async fn batch(State(app): State<Shared>, Path(number): Path<String>) -> Answer {
    let number: u64 = number.parse().map_err(|_| ApiError::bad("not a batch number"))?;
    let found = work(&app, Cost::Reads, move |app| {
        let open = app.open_batch()?.filter(|b| b["number"] == number);
        let mut row = match (app.storage.batch(number)?, open) {
            (Some(batch), _) => app.batch_row(&batch)?,
            (None, Some(open)) => open,
            (None, None) => return Ok(None),
        };
        let last = row["lastBlock"].as_u64().unwrap_or_default();
        let first = row["firstBlock"].as_u64().unwrap_or_default().max(last.saturating_sub(24));
        let blocks = app.storage.blocks(first, last)?;
        row["rows"] =
            Value::Array(blocks.iter().rev().map(|b| app.block_row(b)).collect::<Result<_>>()?);
        Ok(Some(row))
    });
    let mut row = found.await?.ok_or_else(|| ApiError::missing("this batch"))?;
    if let Some(hash) = row["prove"]["hash"].as_str().and_then(parse_hash) {
        // L1 may be away; the page does without.
        row["l1ProofBytes"] = json!(l1::proof_bytes(&app.l1, hash).await.ok().flatten());
    }
    row["verifier"] = app.verifier.clone();
    Ok(Json(row))
}
