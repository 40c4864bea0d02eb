//! Decoding and sender recovery: what must be known of a transaction before the first step of its life.

use alloc::{boxed::Box, vec::Vec};

use alloy_consensus::{SignableTransaction, transaction::EthereumTxEnvelope};
use alloy_primitives::{Address, B256, Signature, U256, keccak256};
use cairn_primitives::{
    Transaction,
    priority::{PRIORITY_TX_TYPE, PriorityTx},
    transaction::EthTransaction,
};
use revm::context_interface::{either::Either, transaction::SignedAuthorization};

use crate::error::TxError;

/// Half the order of secp256k1: EIP-2 refuses an `s` above it.
const HALF_N: U256 = U256::from_limbs([
    0xdfe9_2f46_681b_20a0,
    0x5d57_6e73_57a4_501d,
    0xffff_ffff_ffff_ffff,
    0x7fff_ffff_ffff_ffff,
]);

/// A transaction with its hash and sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveredTx {
    /// The transaction.
    pub tx: Transaction,
    /// Hash by which clients know it.
    pub hash: B256,
    /// Who signed it, or for whom L1 asked.
    pub sender: Address,
}

impl RecoveredTx {
    /// Decodes the EIP-2718 form and recovers the sender. The hash is taken from the bytes given, once.
    ///
    /// # Errors
    /// [`TxError::Decode`] or [`TxError::InvalidSignature`].
    pub fn decode(raw: &[u8]) -> Result<Self, TxError> {
        let tx = Transaction::decode(raw)?;
        match tx {
            Transaction::Priority(p) => Ok(Self::priority(p)),
            Transaction::Ethereum(eth) => {
                let hash = keccak256(raw);
                Self::signed_with_hash(eth, hash)
            }
        }
    }

    /// Recovers the sender of a signed transaction.
    ///
    /// # Errors
    /// [`TxError::InvalidSignature`], or [`TxError::UnsupportedType`] for a blob transaction.
    pub fn signed(tx: EthTransaction) -> Result<Self, TxError> {
        let hash = *alloy_consensus::transaction::TxHashRef::tx_hash(&tx);
        Self::signed_with_hash(tx, hash)
    }

    /// A priority operation: L1 vouches for its sender.
    pub fn priority(tx: Box<PriorityTx>) -> Self {
        Self { hash: tx.hash, sender: tx.from, tx: Transaction::Priority(tx) }
    }

    /// A transaction whose sender is taken on trust: simulations and impersonation in development. Never for a block that is to be proven.
    pub fn assume_sender(tx: Transaction, sender: Address) -> Self {
        Self { hash: tx.hash(), sender, tx }
    }

    fn signed_with_hash(tx: EthTransaction, hash: B256) -> Result<Self, TxError> {
        let (prehash, signature) = match &tx {
            EthereumTxEnvelope::Legacy(t) => (signing_hash(t.tx()), *t.signature()),
            EthereumTxEnvelope::Eip2930(t) => (signing_hash(t.tx()), *t.signature()),
            EthereumTxEnvelope::Eip1559(t) => (signing_hash(t.tx()), *t.signature()),
            EthereumTxEnvelope::Eip7702(t) => (signing_hash(t.tx()), *t.signature()),
            EthereumTxEnvelope::Eip4844(_) => return Err(TxError::UnsupportedType),
        };
        let sender = recover(prehash, &signature).ok_or(TxError::InvalidSignature)?;
        Ok(Self { tx: Transaction::Ethereum(tx), hash, sender })
    }

    /// The EIP-2718 form, as a witness carries it.
    pub fn encode(&self) -> Vec<u8> {
        self.tx.encode()
    }

    /// EIP-2718 type byte.
    pub fn ty(&self) -> u8 {
        self.tx.ty()
    }

    /// True for an L1->L2 transaction.
    pub fn is_priority(&self) -> bool {
        self.ty() == PRIORITY_TX_TYPE
    }
}

fn signing_hash<T: SignableTransaction<Signature>>(tx: &T) -> B256 {
    let mut buf = Vec::with_capacity(tx.payload_len_for_signature());
    tx.encode_for_signing(&mut buf);
    keccak256(&buf)
}

/// Address of the key that signed `prehash`; `None` for a signature that is invalid or malleable (EIP-2).
///
/// Goes through the crypto provider that revm's ecrecover precompile uses, so that the VM's accelerator serves both.
pub fn recover(prehash: B256, signature: &Signature) -> Option<Address> {
    let (r, s) = (signature.r(), signature.s());
    if r.is_zero() || s.is_zero() || s > HALF_N {
        return None;
    }
    let mut rs = [0u8; 64];
    rs[..32].copy_from_slice(&r.to_be_bytes::<32>());
    rs[32..].copy_from_slice(&s.to_be_bytes::<32>());
    let word = revm::precompile::crypto()
        .secp256k1_ecrecover(&rs, u8::from(signature.v()), &prehash.0)
        .ok()?;
    Some(Address::from_slice(&word[12..]))
}

/// EIP-7702 authorizations with their authorities recovered by [`recover`].
pub(crate) type Authorizations =
    Vec<Either<SignedAuthorization, revm::context_interface::transaction::RecoveredAuthorization>>;

/// Recovers each authority by the same path as senders. One that does not recover is kept as invalid, and so skipped.
pub(crate) fn recover_authorizations(list: &[SignedAuthorization]) -> Authorizations {
    use revm::context_interface::transaction::{RecoveredAuthority, RecoveredAuthorization};
    list.iter()
        .map(|auth| {
            let authority =
                authority(auth).map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
            Either::Right(RecoveredAuthorization::new_unchecked(auth.inner().clone(), authority))
        })
        .collect()
}

fn authority(auth: &SignedAuthorization) -> Option<Address> {
    let parity = match auth.y_parity() {
        0 => false,
        1 => true,
        _ => return None,
    };
    let signature = Signature::new(auth.r(), auth.s(), parity);
    recover(auth.signature_hash(), &signature)
}
