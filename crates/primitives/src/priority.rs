//! Priority operations: transactions that L1 asks for (type 0x7f), and the queue's rolling hash.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolValue, sol};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{address::BASE_TOKEN, header::keccak2};

/// EIP-2718 type byte of a priority operation.
pub const PRIORITY_TX_TYPE: u8 = 0x7f;
/// Most calldata bytes that a priority operation may carry (enforced by L1 too).
pub const MAX_PRIORITY_DATA: usize = 128 * 1024;
/// Most gas that a priority operation may ask for (enforced by L1 too).
pub const MAX_PRIORITY_GAS: u64 = 15_000_000;

sol! {
    /// zkSync's canonical L1->L2 transaction, as `NewPriorityRequest` carries it.
    #[derive(Debug, PartialEq, Eq)]
    struct L2CanonicalTransaction {
        uint256 txType;
        uint256 from;
        uint256 to;
        uint256 gasLimit;
        uint256 gasPerPubdataByteLimit;
        uint256 maxFeePerGas;
        uint256 maxPriorityFeePerGas;
        uint256 paymaster;
        uint256 nonce;
        uint256 value;
        uint256[4] reserved;
        bytes data;
        bytes signature;
        uint256[] factoryDeps;
        bytes paymasterInput;
        bytes reservedDynamic;
    }
}

/// Why bytes are no priority operation that L1 could have queued.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PriorityError {
    /// Not the ABI encoding of the struct.
    #[error("not an ABI-encoded L1->L2 transaction")]
    Abi,
    /// A word field is out of the range that L1 enforces.
    #[error("field `{0}` of an L1->L2 transaction is out of range")]
    Field(&'static str),
    /// Too much calldata.
    #[error("an L1->L2 transaction carries {0} bytes of data, more than {MAX_PRIORITY_DATA}")]
    TooLarge(usize),
}

/// A priority operation, checked and in plain types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriorityTx {
    /// keccak256 of the ABI encoding: the transaction's hash on L2.
    pub hash: B256,
    /// Index in the chain's priority queue.
    pub id: u64,
    /// Sender on L2 (already aliased when an L1 contract asked).
    pub from: Address,
    /// Contract or account called. Never a deployment.
    pub to: Address,
    /// Gas limit.
    pub gas_limit: u64,
    /// Gas per byte of pubdata that L1 charged for.
    pub gas_per_pubdata: u64,
    /// Wei per gas, set by L1.
    pub max_fee_per_gas: u128,
    /// Wei sent with the call.
    pub value: U256,
    /// Wei minted to `from` before anything else.
    pub to_mint: U256,
    /// Who receives unused gas, and the value when the call fails.
    pub refund_recipient: Address,
    /// Calldata.
    pub data: Bytes,
}

impl PriorityTx {
    /// Checks the canonical struct and hashes it.
    ///
    /// # Errors
    /// [`PriorityError`] when a field is out of the range that L1 enforces.
    pub fn from_canonical(tx: &L2CanonicalTransaction) -> Result<Self, PriorityError> {
        Self::from_parts(tx, keccak256(tx.abi_encode()))
    }

    fn from_parts(tx: &L2CanonicalTransaction, hash: B256) -> Result<Self, PriorityError> {
        if tx.txType != U256::from(PRIORITY_TX_TYPE) {
            return Err(PriorityError::Field("txType"));
        }
        if tx.data.len() > MAX_PRIORITY_DATA {
            return Err(PriorityError::TooLarge(tx.data.len()));
        }
        refuse_unused_fields(tx)?;
        let gas_limit = narrow(tx.gasLimit, "gasLimit")?;
        if gas_limit > MAX_PRIORITY_GAS {
            return Err(PriorityError::Field("gasLimit"));
        }
        Ok(Self {
            hash,
            id: narrow(tx.nonce, "nonce")?,
            from: to_address(tx.from, "from")?,
            to: to_address(tx.to, "to")?,
            gas_limit,
            gas_per_pubdata: narrow(tx.gasPerPubdataByteLimit, "gasPerPubdataByteLimit")?,
            max_fee_per_gas: u128::try_from(tx.maxFeePerGas)
                .map_err(|_| PriorityError::Field("maxFeePerGas"))?,
            value: tx.value,
            to_mint: bounded_mint(tx.reserved[0])?,
            refund_recipient: to_address(tx.reserved[1], "reserved[1]")?,
            data: tx.data.clone(),
        })
    }

    /// Decodes `abi.encode(L2CanonicalTransaction)` as a batch's witness carries it.
    ///
    /// # Errors
    /// [`PriorityError`] for anything that is not the canonical encoding of a transaction that L1 accepts.
    pub fn decode(abi: &[u8]) -> Result<(Self, L2CanonicalTransaction), PriorityError> {
        if abi.len() > MAX_PRIORITY_DATA + 4096 {
            return Err(PriorityError::TooLarge(abi.len()));
        }
        let tx = L2CanonicalTransaction::abi_decode(abi).map_err(|_| PriorityError::Abi)?;
        // The hash is of the bytes given: any other encoding of the same struct hashes to something that is not in L1's queue.
        let out = Self::from_parts(&tx, keccak256(abi))?;
        Ok((out, tx))
    }

    /// The canonical struct again (factory dependencies and the reserved fields that L1 leaves empty are empty).
    pub fn to_canonical(&self) -> L2CanonicalTransaction {
        L2CanonicalTransaction {
            txType: U256::from(PRIORITY_TX_TYPE),
            from: self.from.into_word().into(),
            to: self.to.into_word().into(),
            gasLimit: U256::from(self.gas_limit),
            gasPerPubdataByteLimit: U256::from(self.gas_per_pubdata),
            maxFeePerGas: U256::from(self.max_fee_per_gas),
            maxPriorityFeePerGas: U256::ZERO,
            paymaster: U256::ZERO,
            nonce: U256::from(self.id),
            value: self.value,
            reserved: [
                self.to_mint,
                self.refund_recipient.into_word().into(),
                U256::ZERO,
                U256::ZERO,
            ],
            data: self.data.clone(),
            signature: Bytes::new(),
            factoryDeps: Vec::new(),
            paymasterInput: Bytes::new(),
            reservedDynamic: Bytes::new(),
        }
    }

    /// True when the call goes to the base-token contract, which clients show as a plain deposit.
    pub fn is_to_base_token(&self) -> bool {
        self.to == BASE_TOKEN
    }
}

/// L1 leaves these empty; a transaction that used one would otherwise lose it silently, and hash to something else when encoded again.
fn refuse_unused_fields(tx: &L2CanonicalTransaction) -> Result<(), PriorityError> {
    let unused = [
        ("maxPriorityFeePerGas", tx.maxPriorityFeePerGas.is_zero()),
        ("paymaster", tx.paymaster.is_zero()),
        ("reserved[2]", tx.reserved[2].is_zero()),
        ("reserved[3]", tx.reserved[3].is_zero()),
        ("signature", tx.signature.is_empty()),
        ("factoryDeps", tx.factoryDeps.is_empty()),
        ("paymasterInput", tx.paymasterInput.is_empty()),
        ("reservedDynamic", tx.reservedDynamic.is_empty()),
    ];
    match unused.iter().find(|(_, empty)| !empty) {
        Some((name, _)) => Err(PriorityError::Field(name)),
        None => Ok(()),
    }
}

/// A balance is a `u128` in the state tree, so L1 mints no more than that at once.
fn bounded_mint(v: U256) -> Result<U256, PriorityError> {
    if v >> 128 != U256::ZERO {
        return Err(PriorityError::Field("reserved[0]"));
    }
    Ok(v)
}

fn narrow(v: U256, name: &'static str) -> Result<u64, PriorityError> {
    u64::try_from(v).map_err(|_| PriorityError::Field(name))
}

fn to_address(v: U256, name: &'static str) -> Result<Address, PriorityError> {
    if v >> 160 != U256::ZERO {
        return Err(PriorityError::Field(name));
    }
    Ok(Address::from_word(B256::from(v)))
}

/// Rolling hash of an empty priority queue: `keccak256("")`.
pub fn empty_queue_hash() -> B256 {
    keccak256([])
}

/// The queue's rolling hash after one more operation.
pub fn roll_priority_hash(rolling: B256, canonical_hash: B256) -> B256 {
    keccak2(rolling, canonical_hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> PriorityTx {
        let mut tx = PriorityTx {
            hash: B256::ZERO,
            id: 3,
            from: Address::repeat_byte(1),
            to: Address::repeat_byte(2),
            gas_limit: 1_000_000,
            gas_per_pubdata: 800,
            max_fee_per_gas: 5,
            value: U256::from(7),
            to_mint: U256::from(9_000_000),
            refund_recipient: Address::repeat_byte(3),
            data: Bytes::from_static(b"hello"),
        };
        tx.hash = keccak256(tx.to_canonical().abi_encode());
        tx
    }

    #[test]
    fn canonical_encoding_round_trips() {
        let tx = sample();
        let (back, raw) = PriorityTx::decode(&tx.to_canonical().abi_encode()).unwrap();
        assert_eq!(back, tx);
        assert_eq!(PriorityTx::from_canonical(&raw).unwrap(), tx);
    }

    #[test]
    fn fields_out_of_range_are_refused() {
        let mut c = sample().to_canonical();
        c.from |= U256::from(1) << 160;
        assert_eq!(PriorityTx::from_canonical(&c), Err(PriorityError::Field("from")));
        let mut c = sample().to_canonical();
        c.gasLimit = U256::from(MAX_PRIORITY_GAS + 1);
        assert_eq!(PriorityTx::from_canonical(&c), Err(PriorityError::Field("gasLimit")));
        let mut c = sample().to_canonical();
        c.factoryDeps.push(U256::ZERO);
        assert_eq!(PriorityTx::from_canonical(&c), Err(PriorityError::Field("factoryDeps")));
        let mut c = sample().to_canonical();
        c.reserved[0] = U256::from(1) << 128;
        assert_eq!(PriorityTx::from_canonical(&c), Err(PriorityError::Field("reserved[0]")));
        let mut c = sample().to_canonical();
        c.txType = U256::from(2);
        assert_eq!(PriorityTx::from_canonical(&c), Err(PriorityError::Field("txType")));
    }
}
