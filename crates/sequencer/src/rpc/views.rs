//! Stored records as the server shows them: Ethereum's shapes, with zkSync's extra fields beside.

use alloy_consensus::proofs::ordered_trie_root_with_encoder;
use alloy_consensus::{Header as ConsensusHeader, TxEnvelope};
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, LogData, U256};
use alloy_rpc_types::Header;
use cairn_primitives::eip712::EIP712_TX_TYPE;
use cairn_primitives::transaction::EthTransaction;
use cairn_primitives::{Eip712Tx, L2ToL1Log, Transaction as L2Transaction};
use cairn_rpc::view::{Extra, Inclusion};
use cairn_rpc::{Block, BlockEvent, Log, Receipt, Transaction};
use cairn_storage::{BatchRecord, BlockCommit, BlockRecord, ReceiptRecord, TxRecord};
use serde_json::{Value, json};

use crate::shared::Shared;

/// Ethereum's roots over a block's transactions and receipts. The chain itself commits to transactions by a rolling hash; these are for clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roots {
    /// Transactions.
    pub transactions: B256,
    /// Receipts.
    pub receipts: B256,
}

/// What a batch adds to the views of its blocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct BatchView {
    /// Number, once the batch is sealed.
    pub number: Option<u64>,
    /// Timestamp of its first block.
    pub timestamp: u64,
    /// State root before it.
    pub prev_state_root: B256,
}

impl BatchView {
    /// Of a sealed batch.
    pub fn of(batch: &BatchRecord) -> Self {
        let p = &batch.public_input;
        Self {
            number: Some(p.batch_number),
            timestamp: p.first_timestamp,
            prev_state_root: p.prev_state_root,
        }
    }

    fn number_json(&self) -> Value {
        self.number.map_or(Value::Null, hex_json)
    }
}

fn hex_json(v: u64) -> Value {
    Value::String(format!("{v:#x}"))
}

/// Computes a block's roots.
pub fn roots(transactions: &[TxRecord], receipts: &[ReceiptRecord]) -> Roots {
    let types: Vec<u8> = transactions.iter().map(|t| tx_type(&t.raw)).collect();
    let pairs: Vec<(u8, &ReceiptRecord)> = types.into_iter().zip(receipts).collect();
    Roots {
        transactions: ordered_trie_root_with_encoder(transactions, |t, out| {
            out.extend_from_slice(&t.raw)
        }),
        receipts: ordered_trie_root_with_encoder(&pairs, |(ty, r), out| {
            encode_receipt(*ty, r, out)
        }),
    }
}

fn tx_type(raw: &[u8]) -> u8 {
    match raw.first() {
        Some(&b) if b < 0xc0 => b,
        _ => 0,
    }
}

fn encode_receipt(ty: u8, r: &ReceiptRecord, out: &mut dyn alloy_rlp::BufMut) {
    use alloy_rlp::Encodable;
    let logs: Vec<alloy_primitives::Log> = r
        .logs
        .iter()
        .map(|l| alloy_primitives::Log {
            address: l.address,
            data: LogData::new_unchecked(l.topics.clone(), l.data.clone()),
        })
        .collect();
    let bloom = bloom_of(r);
    let length =
        r.success.length() + r.cumulative_gas_used.length() + bloom.length() + logs.length();
    if ty != 0 {
        out.put_u8(ty);
    }
    alloy_rlp::Header { list: true, payload_length: length }.encode(out);
    r.success.encode(out);
    r.cumulative_gas_used.encode(out);
    bloom.encode(out);
    logs.encode(out);
}

/// Bloom of a receipt's events.
pub fn bloom_of(receipt: &ReceiptRecord) -> Bloom {
    let mut bloom = Bloom::ZERO;
    for log in &receipt.logs {
        bloom.accrue_raw_log(log.address, &log.topics);
    }
    bloom
}

/// A block.
pub fn block(
    record: &BlockRecord,
    bloom: Bloom,
    roots: Roots,
    batch: BatchView,
    hashes: Vec<B256>,
) -> Block {
    let h = &record.header;
    let header = ConsensusHeader {
        parent_hash: h.parent_hash,
        ommers_hash: alloy_consensus::EMPTY_OMMER_ROOT_HASH,
        beneficiary: h.beneficiary,
        state_root: batch.prev_state_root,
        transactions_root: roots.transactions,
        receipts_root: roots.receipts,
        logs_bloom: bloom,
        difficulty: U256::ZERO,
        number: h.number,
        gas_limit: record.gas_limit,
        gas_used: h.gas_used,
        timestamp: h.timestamp,
        extra_data: Bytes::new(),
        mix_hash: cairn_stf::block::PREV_RANDAO,
        nonce: B64::ZERO,
        base_fee_per_gas: Some(h.base_fee),
        ..ConsensusHeader::default()
    };
    let size = U256::from(record.size + 600);
    let header = Header {
        hash: record.hash,
        inner: header,
        total_difficulty: Some(U256::ZERO),
        size: Some(size),
    };
    Block { header, extra: block_extra(batch), transactions: hashes }
}

fn block_extra(batch: BatchView) -> Extra {
    let mut extra = Extra::new();
    extra.insert("l1BatchNumber".into(), batch.number_json());
    let timestamp = if batch.number.is_some() { hex_json(batch.timestamp) } else { Value::Null };
    extra.insert("l1BatchTimestamp".into(), timestamp);
    extra
}

/// Where a transaction of a block is.
pub fn inclusion(block: &BlockRecord, index: u64) -> Inclusion {
    Inclusion {
        block_hash: block.hash,
        block_number: block.header.number,
        block_timestamp: block.header.timestamp,
        transaction_index: index,
    }
}

/// A transaction; `place` is the inclusion, the price paid, and the batch.
pub fn transaction(
    tx: &L2Transaction,
    sender: Address,
    place: Option<(Inclusion, u64, BatchView)>,
) -> Transaction {
    let included = place.map(|(i, ..)| i);
    let base_fee = place.map(|(_, fee, _)| fee);
    let mut view = match tx {
        L2Transaction::Ethereum(eth) => {
            Transaction::from_envelope(&to_envelope(eth), sender, included, base_fee)
        }
        L2Transaction::Eip712(t) => eip712_view(t, included, base_fee),
        L2Transaction::Priority(op) => Transaction {
            hash: op.hash,
            ty: cairn_primitives::priority::PRIORITY_TX_TYPE,
            chain_id: None,
            from: op.from,
            nonce: op.id,
            to: Some(op.to),
            value: op.value,
            gas: op.gas_limit,
            gas_price: op.max_fee_per_gas,
            max_fee_per_gas: Some(op.max_fee_per_gas),
            max_priority_fee_per_gas: Some(0),
            input: op.data.clone(),
            inclusion: included,
            ..Transaction::default()
        },
    };
    let batch = place.map(|(.., b)| b).unwrap_or_default();
    view.extra.insert("l1BatchNumber".into(), batch.number_json());
    let index = included
        .filter(|_| batch.number.is_some())
        .map_or(Value::Null, |i| hex_json(i.transaction_index));
    view.extra.insert("l1BatchTxIndex".into(), index);
    if tx.is_priority() {
        // Nobody signed it; ethers wants the fields all the same, in full width.
        let zero = Value::from(B256::ZERO.to_string());
        view.extra.insert("r".into(), zero.clone());
        view.extra.insert("s".into(), zero);
        view.extra.insert("v".into(), hex_json(0));
        view.extra.insert("yParity".into(), hex_json(0));
    }
    view
}

/// An account-abstraction transaction. ethers reads an ECDSA signature of every transaction: one of another kind shows as zeros there, and whole in
/// `eip712Meta`.
fn eip712_view(t: &Eip712Tx, included: Option<Inclusion>, base_fee: Option<u64>) -> Transaction {
    let mut meta = json!({
        "gasPerPubdata": hex_json(t.gas_per_pubdata),
        "customSignature": t.signature,
        "factoryDeps": [],
    });
    if let Some(p) = &t.paymaster {
        meta["paymasterParams"] = json!({ "paymaster": p.paymaster, "paymasterInput": p.input });
    }
    let mut extra = Extra::new();
    extra.insert("eip712Meta".into(), meta);
    let word = |at: usize| B256::from_slice(&t.signature[at..at + 32]);
    let (r, s, odd) = match t.signature.len() {
        65 if t.signature[32] < 0x80 => (word(0), word(32), t.signature[64] == 28),
        _ => (B256::ZERO, B256::ZERO, false),
    };
    extra.insert("r".into(), json!(r));
    extra.insert("s".into(), json!(s));
    extra.insert("v".into(), hex_json(odd.into()));
    extra.insert("yParity".into(), hex_json(odd.into()));
    Transaction {
        hash: t.hash(),
        ty: EIP712_TX_TYPE,
        chain_id: Some(t.chain_id),
        from: t.from,
        nonce: t.nonce,
        to: t.to,
        value: t.value,
        gas: t.gas_limit,
        gas_price: base_fee.map_or(t.max_fee_per_gas, u128::from),
        max_fee_per_gas: Some(t.max_fee_per_gas),
        max_priority_fee_per_gas: Some(t.max_priority_fee_per_gas),
        input: t.data.clone(),
        inclusion: included,
        extra,
        ..Transaction::default()
    }
}

/// The chain holds no blob transactions, so each of its transactions is one of the standard envelope.
fn to_envelope(tx: &EthTransaction) -> TxEnvelope {
    use alloy_consensus::EthereumTxEnvelope as E;
    match tx.clone() {
        E::Legacy(t) => TxEnvelope::Legacy(t),
        E::Eip2930(t) => TxEnvelope::Eip2930(t),
        E::Eip1559(t) => TxEnvelope::Eip1559(t),
        E::Eip7702(t) => TxEnvelope::Eip7702(t),
        E::Eip4844(t) => TxEnvelope::Eip4844(t.map(Into::into)),
    }
}

/// Events of a receipt.
pub fn logs(receipt: &ReceiptRecord, hash: B256, at: Inclusion, batch: BatchView) -> Vec<Log> {
    let numbered = receipt.logs.iter().zip(0u64..);
    numbered
        .map(|(l, i)| {
            let mut extra = Extra::new();
            extra.insert("l1BatchNumber".into(), batch.number_json());
            extra.insert("transactionLogIndex".into(), hex_json(i));
            extra.insert("logType".into(), Value::Null);
            Log {
                address: l.address,
                data: LogData::new_unchecked(l.topics.clone(), l.data.clone()),
                transaction_hash: hash,
                inclusion: at,
                log_index: u64::from(receipt.first_log_index) + i,
                removed: false,
                extra,
            }
        })
        .collect()
}

/// A receipt.
pub fn receipt(
    tx: &L2Transaction,
    record: &TxRecord,
    r: &ReceiptRecord,
    at: Inclusion,
    batch: BatchView,
) -> Receipt {
    let mut extra = Extra::new();
    extra.insert("l1BatchNumber".into(), batch.number_json());
    let index = if batch.number.is_some() { hex_json(at.transaction_index) } else { Value::Null };
    extra.insert("l1BatchTxIndex".into(), index);
    let l2_to_l1: Vec<Value> = r
        .l2_to_l1_logs
        .iter()
        .zip(0u64..)
        .map(|(log, i)| {
            l2_to_l1_json(log, u64::from(r.first_l2_to_l1_index) + i, i, record.hash, at, batch)
        })
        .collect();
    extra.insert("l2ToL1Logs".into(), Value::Array(l2_to_l1));
    extra.insert("root".into(), json!(at.block_hash));
    Receipt {
        transaction_hash: record.hash,
        ty: tx.ty(),
        inclusion: at,
        from: record.sender,
        to: tx.to(),
        contract_address: r.contract_address,
        status: r.success,
        cumulative_gas_used: r.cumulative_gas_used,
        gas_used: r.gas_used,
        effective_gas_price: r.effective_gas_price,
        blob_gas_used: None,
        blob_gas_price: None,
        logs_bloom: bloom_of(r),
        logs: logs(r, record.hash, at, batch),
        extra,
    }
}

/// An L2->L1 log in both spellings that clients read.
fn l2_to_l1_json(
    log: &L2ToL1Log,
    in_block: u64,
    in_tx: u64,
    tx: B256,
    at: Inclusion,
    batch: BatchView,
) -> Value {
    let (number, index) = (hex_json(at.block_number), hex_json(at.transaction_index));
    json!({
        "blockNumber": number, "block_number": number,
        "blockHash": at.block_hash, "block_hash": at.block_hash,
        "l1BatchNumber": batch.number_json(), "l1_batch_number": batch.number_json(),
        "transactionIndex": index, "transaction_index": index,
        "shardId": hex_json(log.shard_id.into()), "shard_id": hex_json(log.shard_id.into()),
        "isService": log.is_service, "is_service": log.is_service,
        "sender": log.sender, "key": log.key, "value": log.value,
        "txIndexInL1Batch": index, "tx_index_in_l1_batch": index,
        "transactionHash": tx, "transaction_hash": tx,
        "logIndex": hex_json(in_block), "log_index": hex_json(in_block),
        "transactionLogIndex": hex_json(in_tx), "transaction_log_index": hex_json(in_tx),
    })
}

/// A new head, for subscribers.
pub(crate) fn block_event(commit: &BlockCommit, shared: &Shared) -> BlockEvent {
    let records: Vec<TxRecord> = commit.transactions.iter().map(|t| t.tx.clone()).collect();
    let receipts: Vec<ReceiptRecord> =
        commit.transactions.iter().map(|t| t.receipt.clone()).collect();
    let batch = BatchView { prev_state_root: open_batch_root(shared), ..BatchView::default() };
    let hashes = records.iter().map(|t| t.hash).collect();
    let view = block(&commit.block, commit.bloom, roots(&records, &receipts), batch, hashes);
    let all = records.iter().zip(&receipts).zip(0u64..);
    let logs = all
        .flat_map(|((tx, receipt), i)| logs(receipt, tx.hash, inclusion(&commit.block, i), batch))
        .collect();
    BlockEvent::New { header: view.header, extra: view.extra, logs }
}

/// State root that blocks outside sealed batches show: that of the last sealed one.
pub(crate) fn open_batch_root(shared: &Shared) -> B256 {
    let sealed = shared.storage.batch_heads().sealed;
    shared.storage.batch_info(sealed).map(|info| info.stateRoot).unwrap_or_default()
}
