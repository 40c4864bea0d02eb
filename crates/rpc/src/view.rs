//! What the server shows: blocks, transactions, receipts and logs as plain values that serialise to the JSON of Ethereum's
//! execution API, with room (`extra`) for a chain's own fields.

use alloy_consensus::{Transaction as _, TxEnvelope, Typed2718};
use alloy_eips::eip2930::AccessList;
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, B256, Bloom, Bytes, LogData, TxHash, U256};
use alloy_rpc_types::Header;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// Extra JSON fields of a chain, e.g. `l1BatchNumber`.
pub type Extra = Map<String, Value>;

/// A block without its transactions' bodies.
#[derive(Clone, Debug)]
pub struct Block {
    /// Header, hash and size.
    pub header: Header,
    /// Fields that only this chain has.
    pub extra: Extra,
    /// Hashes of the transactions in order.
    pub transactions: Vec<TxHash>,
}

/// Where a transaction was included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inclusion {
    /// Hash of the block.
    pub block_hash: B256,
    /// Number of the block.
    #[serde(with = "alloy_serde::quantity")]
    pub block_number: u64,
    /// Timestamp of the block in seconds.
    #[serde(with = "alloy_serde::quantity")]
    pub block_timestamp: u64,
    /// Index in the block.
    #[serde(with = "alloy_serde::quantity")]
    pub transaction_index: u64,
}

/// A transaction of any type.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    /// Hash.
    pub hash: TxHash,
    /// EIP-2718 type.
    pub ty: u8,
    /// Chain id; absent on a legacy transaction without replay protection.
    pub chain_id: Option<u64>,
    /// Sender.
    pub from: Address,
    /// Nonce.
    pub nonce: u64,
    /// Recipient; absent when it creates a contract.
    pub to: Option<Address>,
    /// Wei sent.
    pub value: U256,
    /// Gas limit.
    pub gas: u64,
    /// The gas price of a legacy or 2930 transaction; the effective one (or the fee cap while pending) of the others.
    pub gas_price: u128,
    /// EIP-1559 fee cap.
    pub max_fee_per_gas: Option<u128>,
    /// EIP-1559 tip.
    pub max_priority_fee_per_gas: Option<u128>,
    /// EIP-4844 blob fee cap.
    pub max_fee_per_blob_gas: Option<u128>,
    /// EIP-4844 versioned hashes.
    pub blob_versioned_hashes: Option<Vec<B256>>,
    /// Call data or init code.
    pub input: Bytes,
    /// EIP-2930 access list.
    pub access_list: Option<AccessList>,
    /// EIP-7702 authorizations.
    pub authorization_list: Option<Vec<SignedAuthorization>>,
    /// `r`, `s` and the parity of `y`; absent where there is no ECDSA signature.
    pub signature: Option<(U256, U256, bool)>,
    /// Block; absent while pending.
    pub inclusion: Option<Inclusion>,
    /// Fields that only this chain has.
    pub extra: Extra,
}

impl Transaction {
    /// The view of a standard transaction. `base_fee` is that of its block, `None` while pending.
    pub fn from_envelope(
        tx: &TxEnvelope,
        from: Address,
        inclusion: Option<Inclusion>,
        base_fee: Option<u64>,
    ) -> Self {
        let signature = tx.signature();
        let dynamic = tx.is_dynamic_fee();
        Self {
            hash: *tx.tx_hash(),
            ty: tx.ty(),
            chain_id: tx.chain_id(),
            from,
            nonce: tx.nonce(),
            to: tx.to(),
            value: tx.value(),
            gas: tx.gas_limit(),
            gas_price: tx.gas_price().unwrap_or_else(|| {
                base_fee.map_or(tx.max_fee_per_gas(), |b| tx.effective_gas_price(Some(b)))
            }),
            max_fee_per_gas: dynamic.then(|| tx.max_fee_per_gas()),
            max_priority_fee_per_gas: tx.max_priority_fee_per_gas(),
            max_fee_per_blob_gas: tx.max_fee_per_blob_gas(),
            blob_versioned_hashes: tx.blob_versioned_hashes().map(<[B256]>::to_vec),
            input: tx.input().clone(),
            access_list: tx.access_list().cloned(),
            authorization_list: tx.authorization_list().map(<[SignedAuthorization]>::to_vec),
            signature: Some((signature.r(), signature.s(), signature.v())),
            inclusion,
            extra: Extra::new(),
        }
    }

    /// `v` as clients expect it: EIP-155 for legacy transactions, the parity for typed ones.
    fn v(&self, parity: bool) -> u64 {
        match (self.ty, self.chain_id) {
            (0, Some(id)) => id.saturating_mul(2).saturating_add(35 + u64::from(parity)),
            (0, None) => 27 + u64::from(parity),
            _ => u64::from(parity),
        }
    }
}

/// A quantity: `0x`-hex without leading zeros.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hex<T>(pub T);

impl<T: core::fmt::LowerHex> Serialize for Hex<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{:#x}", self.0))
    }
}

impl Serialize for Transaction {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut m = s.serialize_map(None)?;
        m.serialize_entry("hash", &self.hash)?;
        m.serialize_entry("type", &Hex(self.ty))?;
        if let Some(id) = self.chain_id {
            m.serialize_entry("chainId", &Hex(id))?;
        }
        m.serialize_entry("nonce", &Hex(self.nonce))?;
        m.serialize_entry("from", &self.from)?;
        m.serialize_entry("to", &self.to)?;
        m.serialize_entry("value", &self.value)?;
        m.serialize_entry("gas", &Hex(self.gas))?;
        m.serialize_entry("gasPrice", &Hex(self.gas_price))?;
        if let Some(fee) = self.max_fee_per_gas {
            m.serialize_entry("maxFeePerGas", &Hex(fee))?;
        }
        if let Some(tip) = self.max_priority_fee_per_gas {
            m.serialize_entry("maxPriorityFeePerGas", &Hex(tip))?;
        }
        if let Some(fee) = self.max_fee_per_blob_gas {
            m.serialize_entry("maxFeePerBlobGas", &Hex(fee))?;
        }
        if let Some(hashes) = &self.blob_versioned_hashes {
            m.serialize_entry("blobVersionedHashes", hashes)?;
        }
        m.serialize_entry("input", &self.input)?;
        if let Some(list) = &self.access_list {
            m.serialize_entry("accessList", list)?;
        }
        if let Some(list) = &self.authorization_list {
            m.serialize_entry("authorizationList", list)?;
        }
        if let Some((r, s, parity)) = &self.signature {
            m.serialize_entry("v", &Hex(self.v(*parity)))?;
            m.serialize_entry("r", r)?;
            m.serialize_entry("s", s)?;
            if self.ty != 0 {
                m.serialize_entry("yParity", &Hex(u8::from(*parity)))?;
            }
        }
        m.serialize_entry("blockHash", &self.inclusion.map(|i| i.block_hash))?;
        m.serialize_entry("blockNumber", &self.inclusion.map(|i| Hex(i.block_number)))?;
        if let Some(inclusion) = self.inclusion {
            m.serialize_entry("blockTimestamp", &Hex(inclusion.block_timestamp))?;
        }
        m.serialize_entry("transactionIndex", &self.inclusion.map(|i| Hex(i.transaction_index)))?;
        for (key, value) in &self.extra {
            m.serialize_entry(key, value)?;
        }
        m.end()
    }
}

/// A log of an included transaction.
#[derive(Clone, Debug)]
pub struct Log {
    /// Contract that emitted it.
    pub address: Address,
    /// Topics and data.
    pub data: LogData,
    /// Hash of the transaction.
    pub transaction_hash: TxHash,
    /// Where the transaction was included.
    pub inclusion: Inclusion,
    /// Index of the log in its block.
    pub log_index: u64,
    /// True when a reorg took it back.
    pub removed: bool,
    /// Fields that only this chain has, e.g. `l1BatchNumber` and `transactionLogIndex`.
    pub extra: Extra,
}

impl Serialize for Log {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut m = s.serialize_map(None)?;
        m.serialize_entry("address", &self.address)?;
        m.serialize_entry("topics", self.data.topics())?;
        m.serialize_entry("data", &self.data.data)?;
        m.serialize_entry("blockHash", &self.inclusion.block_hash)?;
        m.serialize_entry("blockNumber", &Hex(self.inclusion.block_number))?;
        m.serialize_entry("blockTimestamp", &Hex(self.inclusion.block_timestamp))?;
        m.serialize_entry("transactionHash", &self.transaction_hash)?;
        m.serialize_entry("transactionIndex", &Hex(self.inclusion.transaction_index))?;
        m.serialize_entry("logIndex", &Hex(self.log_index))?;
        m.serialize_entry("removed", &self.removed)?;
        for (key, value) in &self.extra {
            m.serialize_entry(key, value)?;
        }
        m.end()
    }
}

/// The receipt of an included transaction.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Hash of the transaction.
    pub transaction_hash: TxHash,
    /// EIP-2718 type of the transaction.
    pub ty: u8,
    /// Where it was included.
    pub inclusion: Inclusion,
    /// Sender.
    pub from: Address,
    /// Recipient; absent when it created a contract.
    pub to: Option<Address>,
    /// Address of the created contract.
    pub contract_address: Option<Address>,
    /// False when it reverted or halted.
    pub status: bool,
    /// Gas used by it and all before it in the block.
    pub cumulative_gas_used: u64,
    /// Gas used by it.
    pub gas_used: u64,
    /// Price paid per gas in wei.
    pub effective_gas_price: u128,
    /// Blob gas used, for a blob transaction.
    pub blob_gas_used: Option<u64>,
    /// Price paid per blob gas, for a blob transaction.
    pub blob_gas_price: Option<u128>,
    /// Bloom of the logs.
    pub logs_bloom: Bloom,
    /// Logs.
    pub logs: Vec<Log>,
    /// Fields that only this chain has, e.g. `l1BatchNumber`, `l1BatchTxIndex`, `l2ToL1Logs`.
    pub extra: Extra,
}

impl Serialize for Receipt {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut m = s.serialize_map(None)?;
        m.serialize_entry("transactionHash", &self.transaction_hash)?;
        m.serialize_entry("type", &Hex(self.ty))?;
        m.serialize_entry("transactionIndex", &Hex(self.inclusion.transaction_index))?;
        m.serialize_entry("blockHash", &self.inclusion.block_hash)?;
        m.serialize_entry("blockNumber", &Hex(self.inclusion.block_number))?;
        m.serialize_entry("blockTimestamp", &Hex(self.inclusion.block_timestamp))?;
        m.serialize_entry("from", &self.from)?;
        m.serialize_entry("to", &self.to)?;
        m.serialize_entry("contractAddress", &self.contract_address)?;
        m.serialize_entry("status", &Hex(u8::from(self.status)))?;
        m.serialize_entry("cumulativeGasUsed", &Hex(self.cumulative_gas_used))?;
        m.serialize_entry("gasUsed", &Hex(self.gas_used))?;
        m.serialize_entry("effectiveGasPrice", &Hex(self.effective_gas_price))?;
        if let Some(used) = self.blob_gas_used {
            m.serialize_entry("blobGasUsed", &Hex(used))?;
        }
        if let Some(price) = self.blob_gas_price {
            m.serialize_entry("blobGasPrice", &Hex(price))?;
        }
        m.serialize_entry("logsBloom", &self.logs_bloom)?;
        m.serialize_entry("logs", &self.logs)?;
        for (key, value) in &self.extra {
            m.serialize_entry(key, value)?;
        }
        m.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn inclusion() -> Inclusion {
        let block_hash = B256::repeat_byte(1);
        Inclusion { block_hash, block_number: 16, block_timestamp: 99, transaction_index: 0 }
    }

    #[test]
    fn transactions_show_the_fields_of_their_type() {
        let signature = Some((U256::from(1), U256::from(2), true));
        let legacy = Transaction { chain_id: Some(5), signature, ..Transaction::default() };
        let json = serde_json::to_value(&legacy).unwrap();
        assert_eq!(
            (&json["v"], &json["type"], &json["blockHash"]),
            (&json!("0x2e"), &json!("0x0"), &json!(null))
        );
        assert!(json.get("yParity").is_none() && json.get("maxFeePerGas").is_none());
        let dynamic = Transaction {
            ty: 2,
            max_fee_per_gas: Some(9),
            max_priority_fee_per_gas: Some(0),
            inclusion: Some(inclusion()),
            ..legacy
        };
        let json = serde_json::to_value(&dynamic).unwrap();
        assert_eq!(
            (&json["v"], &json["yParity"], &json["maxPriorityFeePerGas"]),
            (&json!("0x1"), &json!("0x1"), &json!("0x0"))
        );
        assert_eq!(
            (&json["blockNumber"], &json["transactionIndex"]),
            (&json!("0x10"), &json!("0x0"))
        );
    }

    #[test]
    fn receipts_and_logs_keep_a_chains_own_fields() {
        let mut extra = Extra::new();
        extra.insert("l1BatchNumber".into(), json!("0x3"));
        let log = Log {
            address: Address::ZERO,
            data: LogData::default(),
            transaction_hash: B256::ZERO,
            inclusion: inclusion(),
            log_index: 0,
            removed: false,
            extra: extra.clone(),
        };
        let receipt = Receipt {
            transaction_hash: B256::ZERO,
            ty: 0x7f,
            inclusion: inclusion(),
            from: Address::ZERO,
            to: None,
            contract_address: None,
            status: true,
            cumulative_gas_used: 1,
            gas_used: 1,
            effective_gas_price: 0,
            blob_gas_used: None,
            blob_gas_price: None,
            logs_bloom: Bloom::ZERO,
            logs: vec![log],
            extra,
        };
        let json = serde_json::to_value(&receipt).unwrap();
        assert_eq!((&json["type"], &json["l1BatchNumber"]), (&json!("0x7f"), &json!("0x3")));
        assert_eq!(
            (&json["logs"][0]["l1BatchNumber"], &json["contractAddress"]),
            (&json!("0x3"), &json!(null))
        );
    }
}
