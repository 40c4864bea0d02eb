//! Blocks as they are kept, and how clients see them.

use alloy_consensus::{
    BlobTransactionSidecarVariant, Eip658Value, Header, Receipt as ConsensusReceipt,
    ReceiptEnvelope, Transaction as _, TxEnvelope, Typed2718,
};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_eips::eip7840::BlobParams;
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, LogData, TxHash, U256};
use alloy_rlp::{Decodable, Encodable};
use cairn_rpc::view::{
    Block, Extra, Inclusion, Log as LogView, Receipt as ReceiptView, Transaction as TransactionView,
};
use serde::{Deserialize, Serialize};

/// Blob parameters of the newest mainnet fork (BPO2).
pub(crate) const BLOBS: BlobParams = BlobParams::bpo2();

/// A transaction without its sidecar, and who sent it.
#[derive(Clone, Debug)]
pub(crate) struct SentTx {
    pub(crate) tx: TxEnvelope,
    /// Recovered, or impersonated (the signature is then a placeholder).
    pub(crate) sender: Address,
}

/// What happened to a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) status: bool,
    pub(crate) gas_used: u64,
    pub(crate) contract: Option<Address>,
    pub(crate) logs: Vec<RawLog>,
}

/// A log as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RawLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
}

impl From<Log> for RawLog {
    fn from(log: Log) -> Self {
        let (topics, data) = log.data.split();
        Self { address: log.address, topics, data }
    }
}

impl RawLog {
    fn data(&self) -> LogData {
        LogData::new_unchecked(self.topics.clone(), self.data.clone())
    }

    fn consensus(&self) -> Log {
        Log { address: self.address, data: self.data() }
    }
}

/// A block with its transactions and their outcomes.
#[derive(Clone, Debug)]
pub(crate) struct StoredBlock {
    pub(crate) hash: B256,
    pub(crate) header: Header,
    pub(crate) txs: Vec<SentTx>,
    pub(crate) outcomes: Vec<Outcome>,
}

/// A block's bytes on disk.
#[derive(Serialize, Deserialize)]
struct Encoded {
    header: Bytes,
    txs: Vec<(Address, Bytes)>,
    outcomes: Vec<Outcome>,
}

/// The receipt as it enters the receipts' root.
pub(crate) fn receipt(ty: u8, outcome: &Outcome, cumulative_gas_used: u64) -> ReceiptEnvelope {
    let logs = outcome.logs.iter().map(RawLog::consensus).collect();
    let receipt =
        ConsensusReceipt { status: Eip658Value::Eip658(outcome.status), cumulative_gas_used, logs }
            .with_bloom();
    match ty {
        1 => ReceiptEnvelope::Eip2930(receipt),
        2 => ReceiptEnvelope::Eip1559(receipt),
        3 => ReceiptEnvelope::Eip4844(receipt),
        4 => ReceiptEnvelope::Eip7702(receipt),
        _ => ReceiptEnvelope::Legacy(receipt),
    }
}

impl StoredBlock {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, postcard::Error> {
        let mut header = Vec::new();
        self.header.encode(&mut header);
        let txs = self.txs.iter().map(|t| (t.sender, t.tx.encoded_2718().into())).collect();
        postcard::to_stdvec(&Encoded {
            header: header.into(),
            txs,
            outcomes: self.outcomes.clone(),
        })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let encoded: Encoded = postcard::from_bytes(bytes).map_err(|e| e.to_string())?;
        let header = Header::decode(&mut &encoded.header[..]).map_err(|e| e.to_string())?;
        let txs = encoded.txs.into_iter().map(|(sender, raw)| {
            TxEnvelope::decode_2718(&mut &raw[..])
                .map(|tx| SentTx { tx, sender })
                .map_err(|e| e.to_string())
        });
        let txs = txs.collect::<Result<Vec<_>, _>>()?;
        if txs.len() != encoded.outcomes.len() {
            return Err("a block has as many receipts as transactions".into());
        }
        Ok(Self { hash: header.hash_slow(), header, txs, outcomes: encoded.outcomes })
    }

    pub(crate) const fn number(&self) -> u64 {
        self.header.number
    }

    pub(crate) fn base_fee(&self) -> u64 {
        self.header.base_fee_per_gas.unwrap_or_default()
    }

    fn inclusion(&self, index: usize) -> Inclusion {
        Inclusion {
            block_hash: self.hash,
            block_number: self.header.number,
            block_timestamp: self.header.timestamp,
            transaction_index: index as u64,
        }
    }

    pub(crate) fn rpc_header(&self) -> alloy_rpc_types::Header {
        let transactions: usize = self.txs.iter().map(|t| t.tx.encode_2718_len()).sum();
        alloy_rpc_types::Header {
            hash: self.hash,
            inner: self.header.clone(),
            total_difficulty: Some(U256::ZERO),
            size: Some(U256::from(self.header.length() + transactions)),
        }
    }

    pub(crate) fn view(&self) -> Block {
        let transactions = self.txs.iter().map(|t| *t.tx.tx_hash()).collect();
        Block { header: self.rpc_header(), extra: Extra::new(), transactions }
    }

    pub(crate) fn transaction(&self, index: usize) -> Option<TransactionView> {
        let sent = self.txs.get(index)?;
        Some(TransactionView::from_envelope(
            &sent.tx,
            sent.sender,
            Some(self.inclusion(index)),
            Some(self.base_fee()),
        ))
    }

    pub(crate) fn transactions(&self) -> Vec<TransactionView> {
        (0..self.txs.len()).filter_map(|i| self.transaction(i)).collect()
    }

    /// Receipts of all transactions, in order.
    pub(crate) fn receipts(&self) -> Vec<ReceiptView> {
        let (mut cumulative, mut log_index) = (0u64, 0u64);
        let pairs = self.txs.iter().zip(&self.outcomes).enumerate();
        pairs
            .map(|(index, (sent, outcome))| {
                cumulative += outcome.gas_used;
                let view = self.receipt_view(index, sent, outcome, cumulative, log_index);
                log_index += outcome.logs.len() as u64;
                view
            })
            .collect()
    }

    /// The receipt of one transaction.
    pub(crate) fn receipt(&self, index: usize) -> Option<ReceiptView> {
        let (sent, outcome) = (self.txs.get(index)?, self.outcomes.get(index)?);
        let before = &self.outcomes[..index];
        let cumulative = before.iter().map(|o| o.gas_used).sum::<u64>() + outcome.gas_used;
        let first_log = before.iter().map(|o| o.logs.len() as u64).sum();
        Some(self.receipt_view(index, sent, outcome, cumulative, first_log))
    }

    fn receipt_view(
        &self,
        index: usize,
        sent: &SentTx,
        outcome: &Outcome,
        cumulative: u64,
        first_log: u64,
    ) -> ReceiptView {
        let hash = *sent.tx.tx_hash();
        let inclusion = self.inclusion(index);
        let bloom = receipt(0, outcome, 0).logs_bloom().to_owned();
        let blob_gas = sent.tx.blob_gas_used();
        ReceiptView {
            transaction_hash: hash,
            ty: sent.tx.ty(),
            inclusion,
            from: sent.sender,
            to: sent.tx.to(),
            contract_address: outcome.contract,
            status: outcome.status,
            cumulative_gas_used: cumulative,
            gas_used: outcome.gas_used,
            effective_gas_price: sent.tx.effective_gas_price(Some(self.base_fee())),
            blob_gas_used: blob_gas,
            blob_gas_price: blob_gas.map(|_| blob_base_fee(&self.header)),
            logs_bloom: bloom,
            logs: log_views(outcome, hash, inclusion, first_log),
            extra: Extra::new(),
        }
    }

    /// All logs, marked as taken back or not.
    pub(crate) fn logs(&self, removed: bool) -> Vec<LogView> {
        let mut logs: Vec<_> = self.receipts().into_iter().flat_map(|r| r.logs).collect();
        logs.iter_mut().for_each(|log| log.removed = removed);
        logs
    }
}

fn log_views(outcome: &Outcome, hash: TxHash, inclusion: Inclusion, first: u64) -> Vec<LogView> {
    let logs = outcome.logs.iter().enumerate();
    logs.map(|(i, log)| LogView {
        address: log.address,
        data: log.data(),
        transaction_hash: hash,
        inclusion,
        log_index: first + i as u64,
        removed: false,
        extra: Extra::new(),
    })
    .collect()
}

/// Price of a blob gas in the block of that header.
pub(crate) fn blob_base_fee(header: &Header) -> u128 {
    BLOBS.calc_blob_fee(header.excess_blob_gas.unwrap_or_default())
}

/// Splits a pooled transaction into what a block holds and its sidecar.
pub(crate) fn strip_sidecar(tx: TxEnvelope) -> (TxEnvelope, Option<BlobTransactionSidecarVariant>) {
    use alloy_consensus::{Signed, TxEip4844Variant};
    let TxEnvelope::Eip4844(signed) = tx else { return (tx, None) };
    let (variant, signature, hash) = signed.into_parts();
    let (tx, sidecar) = match variant {
        TxEip4844Variant::TxEip4844(tx) => (tx, None),
        TxEip4844Variant::TxEip4844WithSidecar(with) => {
            let (tx, sidecar) = with.into_parts();
            (tx, Some(sidecar))
        }
    };
    (
        TxEnvelope::Eip4844(Signed::new_unchecked(
            TxEip4844Variant::TxEip4844(tx),
            signature,
            hash,
        )),
        sidecar,
    )
}

/// Bloom of all the block's logs.
pub(crate) fn block_bloom(receipts: &[ReceiptEnvelope]) -> Bloom {
    receipts.iter().fold(Bloom::ZERO, |mut bloom, r| {
        bloom.accrue_bloom(r.logs_bloom());
        bloom
    })
}
