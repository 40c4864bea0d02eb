//! Decoding and sender recovery: what must be known of a transaction before the first step of its life.

use alloc::{boxed::Box, vec::Vec};

use alloy_consensus::{SignableTransaction, transaction::EthereumTxEnvelope};
use alloy_primitives::{Address, B256, Signature, U256, keccak256};
use cairn_primitives::{
    Eip712Tx, Transaction,
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
    /// Who signed it, for whom L1 asked, or the account that a 0x71 transaction names.
    pub sender: Address,
    /// What the account of a 0x71 transaction signs; zero for other types.
    pub digest: B256,
    /// The key that signed a 0x71 transaction, where it is known already ([`Self::recover_signer`]); plain accounts are checked against it.
    pub signer: Option<Address>,
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
            Transaction::Eip712(t) => Ok(Self::account(t)),
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
        let (hash, sender) = (tx.hash, tx.from);
        Self { tx: Transaction::Priority(tx), hash, sender, digest: B256::ZERO, signer: None }
    }

    /// An account-abstraction transaction. Whether its account agrees is a matter of the state, and so of execution.
    pub fn account(tx: Box<Eip712Tx>) -> Self {
        let digest = tx.signing_hash();
        let (hash, sender) = (tx.hash_with(digest), tx.from);
        Self { tx: Transaction::Eip712(tx), hash, sender, digest, signer: None }
    }

    /// Recovers the key behind the signature of a 0x71 transaction ahead of its execution: the costly part of what a plain account's validation
    /// does. Nothing is decided by it: an account with code has signatures of its own.
    pub fn recover_signer(&mut self) {
        if let Transaction::Eip712(t) = &self.tx {
            self.signer = eip712_signer(self.digest, &t.signature).ok();
        }
    }

    /// A transaction whose sender is taken on trust: simulations and impersonation in development. Never for a block that is to be proven.
    pub fn assume_sender(tx: Transaction, sender: Address) -> Self {
        let known = match tx {
            Transaction::Eip712(t) => Self::account(t),
            tx => Self { hash: tx.hash(), sender, tx, digest: B256::ZERO, signer: None },
        };
        Self { sender, signer: Some(sender), ..known }
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
        let tx = Transaction::Ethereum(tx);
        Ok(Self { tx, hash, sender, digest: B256::ZERO, signer: None })
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

/// Address of the key behind a plain account's signature `r || s || v` of a 0x71 transaction; there is one form of it.
///
/// # Errors
/// What is wrong with the signature.
pub(crate) fn eip712_signer(digest: B256, signature: &[u8]) -> Result<Address, &'static str> {
    let Ok(bytes) = <&[u8; 65]>::try_from(signature) else {
        return Err("an account without code has a signature of 65 bytes");
    };
    let odd = match bytes[64] {
        27 => false,
        28 => true,
        _ => return Err("the last byte of the signature is neither 27 nor 28"),
    };
    let word = |at: usize| U256::from_be_slice(&bytes[at..at + 32]);
    recover(digest, &Signature::new(word(0), word(32), odd))
        .ok_or("it does not recover, or its `s` is in the upper half (EIP-2)")
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
