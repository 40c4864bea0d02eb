//! Transactions of every type that a block may hold.

use alloc::{boxed::Box, vec::Vec};

use alloy_consensus::{EthereumTxEnvelope, Transaction as _, TxEip4844};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::SolValue;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    eip712::{EIP712_TX_TYPE, Eip712Error, Eip712Tx},
    priority::{PRIORITY_TX_TYPE, PriorityError, PriorityTx},
};

/// Most bytes of one encoded transaction.
pub const MAX_TX_SIZE: usize = 128 * 1024 + 4096;

/// A signed Ethereum transaction (legacy, EIP-2930, EIP-1559, EIP-7702).
pub type EthTransaction = EthereumTxEnvelope<TxEip4844>;

/// A transaction of an L2 block.
// Boxing the common variant would cost an allocation for each transaction inside the VM.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transaction {
    /// Signed by an externally owned account.
    Ethereum(EthTransaction),
    /// Started by any account, under its own rules (type 0x71).
    Eip712(Box<Eip712Tx>),
    /// Asked for by L1.
    Priority(Box<PriorityTx>),
}

/// Why bytes are no transaction of this chain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TransactionError {
    /// Larger than [`MAX_TX_SIZE`].
    #[error("oversized data: transaction size {0}, limit {MAX_TX_SIZE}")]
    TooLarge(usize),
    /// Not the canonical encoding of any known type.
    #[error("rlp: not a transaction of a known type")]
    Encoding,
    /// A known type that this chain does not take.
    #[error("transaction type not supported")]
    Unsupported,
    /// A malformed L1->L2 transaction.
    #[error(transparent)]
    Priority(#[from] PriorityError),
    /// A malformed account-abstraction transaction.
    #[error(transparent)]
    Eip712(#[from] Eip712Error),
}

impl Transaction {
    /// Decodes the EIP-2718 form; the whole input must be used.
    ///
    /// # Errors
    /// [`TransactionError`]; blob transactions are not taken on L2.
    pub fn decode(bytes: &[u8]) -> Result<Self, TransactionError> {
        if bytes.len() > MAX_TX_SIZE {
            return Err(TransactionError::TooLarge(bytes.len()));
        }
        match bytes.first() {
            None => Err(TransactionError::Encoding),
            Some(&PRIORITY_TX_TYPE) => {
                let (tx, _) = PriorityTx::decode(&bytes[1..])?;
                Ok(Self::Priority(Box::new(tx)))
            }
            Some(&EIP712_TX_TYPE) => Ok(Self::Eip712(Box::new(Eip712Tx::decode(&bytes[1..])?))),
            Some(_) => {
                let mut rest = bytes;
                let tx = EthTransaction::decode_2718(&mut rest)
                    .map_err(|_| TransactionError::Encoding)?;
                if !rest.is_empty() {
                    return Err(TransactionError::Encoding);
                }
                if matches!(tx, EthereumTxEnvelope::Eip4844(_)) {
                    return Err(TransactionError::Unsupported);
                }
                Ok(Self::Ethereum(tx))
            }
        }
    }

    /// The EIP-2718 form: what a witness carries and what [`Self::decode`] takes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Ethereum(tx) => tx.encoded_2718(),
            Self::Eip712(tx) => tx.encode(),
            Self::Priority(tx) => {
                let mut out = Vec::with_capacity(tx.data.len() + 1024);
                out.push(PRIORITY_TX_TYPE);
                out.extend(tx.to_canonical().abi_encode());
                out
            }
        }
    }

    /// Hash by which clients know it.
    pub fn hash(&self) -> B256 {
        match self {
            Self::Ethereum(tx) => *tx.tx_hash(),
            Self::Eip712(tx) => tx.hash(),
            Self::Priority(tx) => tx.hash,
        }
    }

    /// EIP-2718 type byte.
    pub fn ty(&self) -> u8 {
        match self {
            Self::Ethereum(tx) => tx.tx_type() as u8,
            Self::Eip712(_) => EIP712_TX_TYPE,
            Self::Priority(_) => PRIORITY_TX_TYPE,
        }
    }

    /// Gas limit.
    pub fn gas_limit(&self) -> u64 {
        match self {
            Self::Ethereum(tx) => tx.gas_limit(),
            Self::Eip712(tx) => tx.gas_limit,
            Self::Priority(tx) => tx.gas_limit,
        }
    }

    /// Account nonce, or the index in the priority queue.
    pub fn nonce(&self) -> u64 {
        match self {
            Self::Ethereum(tx) => tx.nonce(),
            Self::Eip712(tx) => tx.nonce,
            Self::Priority(tx) => tx.id,
        }
    }

    /// Wei sent.
    pub fn value(&self) -> U256 {
        match self {
            Self::Ethereum(tx) => tx.value(),
            Self::Eip712(tx) => tx.value,
            Self::Priority(tx) => tx.value,
        }
    }

    /// Calldata or init code.
    pub fn input(&self) -> &Bytes {
        match self {
            Self::Ethereum(tx) => tx.input(),
            Self::Eip712(tx) => &tx.data,
            Self::Priority(tx) => &tx.data,
        }
    }

    /// Callee, or a deployment.
    pub fn kind(&self) -> TxKind {
        match self {
            Self::Ethereum(tx) => tx.kind(),
            Self::Eip712(tx) => tx.to.map_or(TxKind::Create, TxKind::Call),
            Self::Priority(tx) => TxKind::Call(tx.to),
        }
    }

    /// Callee; `None` for a deployment.
    pub fn to(&self) -> Option<Address> {
        self.kind().to().copied()
    }

    /// Most wei per gas that the sender pays.
    pub fn max_fee_per_gas(&self) -> u128 {
        match self {
            Self::Ethereum(tx) => tx.max_fee_per_gas(),
            Self::Eip712(tx) => tx.max_fee_per_gas,
            Self::Priority(tx) => tx.max_fee_per_gas,
        }
    }

    /// True for an L1->L2 transaction.
    pub fn is_priority(&self) -> bool {
        matches!(self, Self::Priority(_))
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;

    use super::*;

    #[test]
    fn refuses_what_is_no_transaction() {
        assert_eq!(Transaction::decode(&[]), Err(TransactionError::Encoding));
        assert_eq!(Transaction::decode(&[0x05, 1, 2]), Err(TransactionError::Encoding));
        assert_eq!(Transaction::decode(&[0x7f, 1, 2]), Err(PriorityError::Abi.into()));
        assert_eq!(
            Transaction::decode(&alloc::vec![0; MAX_TX_SIZE + 1]),
            Err(TransactionError::TooLarge(MAX_TX_SIZE + 1))
        );
    }

    /// EIP-155's own example.
    #[test]
    fn decodes_the_example_of_eip_155() {
        let raw = hex!(
            "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
        );
        let tx = Transaction::decode(&raw).unwrap();
        assert_eq!((tx.nonce(), tx.gas_limit(), tx.ty()), (9, 21_000, 0));
        assert_eq!(tx.encode(), raw);
        let mut longer = raw.to_vec();
        longer.push(0);
        assert_eq!(Transaction::decode(&longer), Err(TransactionError::Encoding));
    }
}
