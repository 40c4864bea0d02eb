//! What every answer is made from, and the views that several of them share.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use cairn_primitives::batch::BatchStatus;
use cairn_primitives::da::DaMode;
use cairn_primitives::{Transaction, address};
use cairn_rpc::{Chain, DevAccounts, ZkChain};
use cairn_settlement::deploy::{ChainDeployment, Ecosystem};
use cairn_settlement::l1::L1;
use cairn_storage::{BatchRecord, BlockRecord, L1Tx, ReceiptRecord, Storage, TxLocation, TxRecord};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::decode::Decoder;
use crate::error::{ExplorerError, Result};
use crate::index::Index;
use crate::index::model::{DepositRecord, TransferRecord, TxPos, WithdrawalRecord};

/// The token in which fees are paid, with 18 decimals.
#[derive(Debug, Clone)]
pub struct BaseToken {
    /// On L1; `0x..01` for ETH.
    pub l1_token: Address,
    /// Its symbol.
    pub symbol: String,
    /// Its name.
    pub name: String,
}

impl BaseToken {
    /// The ERC-20 that it is on L1; `None` for ETH.
    pub(crate) fn erc20(&self) -> Option<Address> {
        (self.l1_token != address::ETH_TOKEN).then_some(self.l1_token)
    }

    pub(crate) fn brief(&self) -> Value {
        json!({ "symbol": self.symbol, "name": self.name, "decimals": 18 })
    }
}

/// What the pages say of the network.
#[derive(Debug, Clone)]
pub struct NetworkInfo {
    /// Its name, for wallets.
    pub name: String,
    /// Chain id of the rollup.
    pub chain_id: u64,
    /// Contracts that all chains share.
    pub ecosystem: Ecosystem,
    /// The chain's own.
    pub chain: ChainDeployment,
    /// In what fees are paid.
    pub base_token: BaseToken,
    /// URL of the rollup's JSON-RPC, as a wallet on this machine reaches it.
    pub rpc_url: String,
    /// URL of L1's, where everybody may know it.
    pub l1_rpc_url: Option<String>,
}

/// Shared by all handlers.
pub(crate) struct App {
    pub(crate) chain: Arc<dyn Chain>,
    pub(crate) zk: Arc<dyn ZkChain>,
    pub(crate) storage: Storage,
    pub(crate) index: Arc<Index>,
    pub(crate) network: NetworkInfo,
    pub(crate) decoder: Decoder,
    pub(crate) l1_decoder: Decoder,
    pub(crate) l1: L1,
    /// Development accounts that the node signs for; `None` outside development.
    pub(crate) dev: Option<DevAccounts>,
    pub(crate) verifier: Value,
    /// Answers that are worked on at once.
    pub(crate) work: Arc<Semaphore>,
    /// Executions (traces, balances of tokens) among them.
    pub(crate) executions: Arc<Semaphore>,
    /// Held while the node signs, so that nonces are taken in turn.
    pub(crate) signing: tokio::sync::Mutex<()>,
}

/// A transaction as it is stored, with everything beside it.
pub(crate) struct Stored {
    pub(crate) at: TxPos,
    pub(crate) tx: TxRecord,
    pub(crate) decoded: Transaction,
    pub(crate) receipt: ReceiptRecord,
    pub(crate) block: BlockRecord,
}

impl App {
    /// A transaction by its place.
    pub(crate) fn stored(&self, at: TxPos) -> Result<Option<Stored>> {
        let Some(block) = self.storage.block(at.block)? else { return Ok(None) };
        self.stored_in(at, block)
    }

    fn stored_in(&self, at: TxPos, block: BlockRecord) -> Result<Option<Stored>> {
        let place = TxLocation { block: at.block, index: at.index };
        let (Some(tx), Some(receipt)) =
            (self.storage.transaction(place)?, self.storage.receipt(place)?)
        else {
            return Ok(None);
        };
        let decoded =
            Transaction::decode(&tx.raw).map_err(|e| ExplorerError::Chain(e.to_string()))?;
        Ok(Some(Stored { at, tx, decoded, receipt, block }))
    }

    /// A row of a list of transactions.
    pub(crate) fn tx_row(&self, s: &Stored) -> Value {
        let to = s.decoded.to();
        let input = s.decoded.input();
        let has_data = !input.is_empty();
        let method = if to.is_none() {
            Some("create".to_owned())
        } else if s.decoded.is_priority() && !has_data {
            Some("deposit".to_owned())
        } else if has_data {
            let selector = || alloy_primitives::hex::encode_prefixed(&input[..input.len().min(4)]);
            Some(self.decoder.method(to, input).unwrap_or_else(selector))
        } else {
            None
        };
        json!({
            "hash": s.tx.hash, "block": s.at.block, "index": s.at.index,
            "timestamp": s.block.header.timestamp,
            "from": s.tx.sender, "to": to, "created": s.receipt.contract_address,
            "toName": to.and_then(|a| self.name_of(a)),
            "value": s.decoded.value().to_string(), "type": s.decoded.ty(), "method": method,
            "ok": s.receipt.success,
            "fee": fee(&s.receipt).to_string(),
        })
    }

    /// Rows of a list of transactions by their places.
    pub(crate) fn tx_rows(&self, places: impl Iterator<Item = TxPos>) -> Result<Vec<Value>> {
        let mut rows = Vec::new();
        for at in places {
            if let Some(stored) = self.stored(at)? {
                rows.push(self.tx_row(&stored));
            }
        }
        Ok(rows)
    }

    /// The name of a predeploy, of the bootloader or of a token.
    pub(crate) fn name_of(&self, a: Address) -> Option<String> {
        if let Some(name) = self.decoder.contract(a) {
            return Some(name.to_owned());
        }
        if a == address::BOOTLOADER {
            return Some("Bootloader".to_owned());
        }
        let token = self.index.token(a).ok()??;
        Some(token.meta.symbol).filter(|s| !s.is_empty())
    }

    /// A row of a list of blocks.
    pub(crate) fn block_row(&self, b: &BlockRecord) -> Result<Value> {
        let batch = self.storage.batch_of_block(b.header.number)?;
        Ok(json!({
            "number": b.header.number, "hash": b.hash, "timestamp": b.header.timestamp,
            "txs": b.tx_count, "deposits": b.priority_count, "gasUsed": b.header.gas_used,
            "gasLimit": b.gas_limit, "pubdata": b.pubdata_bytes, "size": b.size,
            "batch": batch, "status": self.status_of_block(b.header.number)?,
        }))
    }

    /// Status of the batch of a block, as the pages spell it.
    pub(crate) fn status_of_block(&self, block: u64) -> Result<&'static str> {
        Ok(match self.storage.batch_of_block(block)? {
            None => "pending",
            Some(batch) => status_name(self.storage.settlement(batch)?.status),
        })
    }

    /// A batch with everything that is known of its way to L1.
    pub(crate) fn batch_row(&self, b: &BatchRecord) -> Result<Value> {
        let s = self.storage.settlement(b.number())?;
        let (first, last) = b.blocks();
        let p = &b.public_input;
        let gas: Option<u64> =
            [s.commit, s.prove, s.execute].iter().try_fold(0u64, |sum, tx| match tx {
                Some(tx) => tx.gas_used.map(|g| sum + g),
                None => Some(sum),
            });
        let details = self.zk.batch_details(b.number())?;
        let details = details.and_then(|d| serde_json::to_value(d).ok()).unwrap_or_default();
        Ok(json!({
            "number": b.number(), "status": status_name(s.status),
            "txs": b.tx_count, "deposits": b.priority_count, "gasUsed": b.gas_used,
            "firstBlock": first, "lastBlock": last,
            "firstTimestamp": p.first_timestamp, "lastTimestamp": p.last_timestamp,
            "sealedAt": b.sealed_at_ms, "pubdata": b.pubdata_len, "pubdataHash": b.pubdata_hash,
            "da": if b.da_mode == DaMode::Blobs { "blobs" } else { "calldata" },
            "blobs": b.blob_claims.len(), "messages": b.logs_count,
            "stateRoot": b.info.stateRoot, "leafCount": b.info.leafCount,
            "prevStateRoot": p.prev_state_root, "publicInput": b.info.publicInput,
            "programId": p.guest_program_id,
            "commit": l1_tx(&s.commit), "prove": l1_tx(&s.prove), "execute": l1_tx(&s.execute),
            "l1Gas": gas.filter(|g| *g > 0),
            "proving": details.get("proving"),
        }))
    }

    /// The batch that is still open; `None` when every block is in a sealed batch.
    pub(crate) fn open_batch(&self) -> Result<Option<Value>> {
        let heads = self.storage.batch_heads();
        let head = self.storage.head_number();
        if head <= heads.last_sealed_block {
            return Ok(None);
        }
        let first = heads.last_sealed_block + 1;
        let since = self.storage.block(first)?.map(|b| b.header.timestamp);
        Ok(Some(json!({
            "number": heads.sealed + 1, "status": "pending",
            "firstBlock": first, "lastBlock": head, "firstTimestamp": since,
            "txs": self.index.txs_since(first)?,
        })))
    }

    /// A transfer of tokens with what is known of the token.
    pub(crate) fn transfer_row(&self, t: &TransferRecord) -> Value {
        json!({
            "token": t.token, "from": t.from, "to": t.to, "kind": t.kind.name(),
            "amount": t.amount.to_string(), "id": t.id.map(|id| id.to_string()),
            "meta": self.token_brief(t.token),
        })
    }

    /// Symbol, name and decimals of a token.
    pub(crate) fn token_brief(&self, token: Address) -> Value {
        match self.index.token(token) {
            Ok(Some(t)) => json!({
                "symbol": t.meta.symbol, "name": t.meta.name, "decimals": t.meta.decimals,
                "kind": t.kind.name(),
            }),
            _ => Value::Null,
        }
    }

    /// The same of an L1 token, by its twin here; the base token's for `None`.
    pub(crate) fn l1_token_brief(&self, token: Option<Address>) -> Value {
        let Some(l1) = token else {
            return self.network.base_token.brief();
        };
        match self.index.token_of_l1(l1) {
            Ok(Some(l2)) => {
                let mut brief = self.token_brief(l2);
                brief["l2"] = json!(l2);
                brief
            }
            _ => Value::Null,
        }
    }

    /// A deposit with its state: `waiting`, `failed`, or its batch's status.
    pub(crate) fn deposit_row(&self, d: &DepositRecord) -> Result<Value> {
        let l1 = self.index.l1_deposit(d.id)?;
        let (status, batch, timestamp) = match d.at {
            None => ("waiting", None, None),
            Some(at) => {
                let batch = self.storage.batch_of_block(at.block)?;
                let block = self.storage.block(at.block)?;
                (self.status_of_block(at.block)?, batch, block.map(|b| b.header.timestamp))
            }
        };
        let state = if d.at.is_some() && !d.success { "failed" } else { status };
        Ok(json!({
            "id": d.id, "hash": d.hash, "from": d.sender, "to": d.receiver,
            "l1Token": d.l1_token, "amount": d.amount.to_string(),
            "token": self.l1_token_brief(d.l1_token),
            "block": d.at.map(|a| a.block), "timestamp": timestamp, "batch": batch, "state": state,
            "status": status, "l1Tx": l1.map(|l| l.l1_tx), "l1Block": l1.map(|l| l.l1_block),
        }))
    }

    /// A message to L1 with its state: its batch's status, `ready`, or `finalized`.
    pub(crate) fn withdrawal_row(&self, w: &WithdrawalRecord) -> Result<Value> {
        let block = w.at.tx.block;
        let batch = self.storage.batch_of_block(block)?;
        let mut state = self.status_of_block(block)?;
        let message = match batch {
            Some(batch) => self.message_index(batch, w)?,
            None => None,
        };
        let mut l1_tx = None;
        if state == "finalized" && w.receiver.is_some() {
            state = "ready";
            if let (Some(batch), Some(message)) = (batch, message) {
                l1_tx = self.index.l1_finalized(batch, message)?;
            }
            if l1_tx.is_some() {
                state = "finalized";
            }
        }
        let timestamp = self.storage.block(block)?.map(|b| b.header.timestamp);
        Ok(json!({
            "hash": w.hash, "item": w.at.item, "block": block, "index": w.at.tx.index,
            "timestamp": timestamp, "sender": w.l2_sender, "from": w.from, "to": w.receiver,
            "l1Token": w.l1_token, "amount": w.amount.to_string(),
            "token": self.l1_token_brief(w.l1_token),
            "batch": batch, "message": message, "state": state, "l1Tx": l1_tx,
        }))
    }

    /// Index of a message among all of its batch.
    fn message_index(&self, batch: u64, w: &WithdrawalRecord) -> Result<Option<u64>> {
        if batch == 0 {
            return Ok(None);
        }
        let logs = self.storage.batch_logs(batch)?;
        let mut of_tx = logs.iter().zip(0u64..).filter(|((block, log), _)| {
            *block == w.at.tx.block && u32::from(log.tx_number) == w.at.tx.index
        });
        Ok(of_tx.nth(w.at.item as usize).map(|(_, i)| i))
    }

    /// Balance and nonce of an account at the head.
    pub(crate) fn account(&self, a: Address) -> Result<cairn_storage::Account> {
        Ok(self.storage.state()?.account(a)?.unwrap_or_default())
    }

    /// True for the contracts that are part of the protocol.
    pub(crate) fn is_system(&self, a: Address) -> bool {
        a == address::BOOTLOADER || self.decoder.contract(a).is_some()
    }
}

/// What a transaction paid.
pub(crate) fn fee(receipt: &ReceiptRecord) -> U256 {
    U256::from(receipt.gas_used).saturating_mul(U256::from(receipt.effective_gas_price))
}

fn l1_tx(tx: &Option<L1Tx>) -> Value {
    match tx {
        Some(t) => json!({
            "hash": t.hash, "block": t.block, "timestamp": t.timestamp, "gas": t.gas_used,
        }),
        None => Value::Null,
    }
}

/// A status as the pages spell it.
pub(crate) const fn status_name(status: BatchStatus) -> &'static str {
    match status {
        BatchStatus::Pending => "pending",
        BatchStatus::Processed => "processed",
        BatchStatus::Committed => "committed",
        BatchStatus::Proven => "proven",
        BatchStatus::Finalized => "finalized",
    }
}

/// A 32-byte hash from a path or query.
pub(crate) fn parse_hash(text: &str) -> Option<B256> {
    (text.len() == 66 && text.starts_with("0x")).then(|| text.parse().ok()).flatten()
}

/// An address from a path or query, in any case.
pub(crate) fn parse_address(text: &str) -> Option<Address> {
    (text.len() == 42 && text.starts_with("0x"))
        .then(|| text.to_ascii_lowercase().parse().ok())
        .flatten()
}
