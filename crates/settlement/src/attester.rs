//! Attesters: independent parties that re-execute a batch from its witness, check that L1 holds its data, and sign the public input.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use alloy_primitives::{Address, B256, Bytes, Signature};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use cairn_primitives::batch::attestation_digest;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::watch;

use crate::batch::{ProofSource, RangeProof, SourceError};

/// Batches whose attestations are kept; older ones are proven or forgotten.
const MAX_KEPT: usize = 4096;

/// What an attester needs of a node: a batch's witness and claims, and a way to hand over its signature.
pub trait AttesterNode: Send + Sync + 'static {
    /// Newest sealed batch.
    fn newest(&self) -> impl Future<Output = Result<u64, SourceError>> + Send;
    /// The witness of a batch, and the public input that the operator claims.
    fn witness(
        &self,
        number: u64,
    ) -> impl Future<Output = Result<(Bytes, B256), SourceError>> + Send;
    /// Hands over a signature of [`attestation_digest`] for this one batch.
    fn submit(
        &self,
        number: u64,
        signature: Bytes,
    ) -> impl Future<Output = Result<(), SourceError>> + Send;
}

/// Re-executes a witness; the state-transition function is handed in so that this crate knows nothing of it.
pub type ReExecute = Arc<dyn Fn(&[u8]) -> Result<B256, SourceError> + Send + Sync>;

/// Why an attester will not sign.
#[derive(Debug, Error)]
pub enum AttestError {
    /// The node failed us.
    #[error("the node: {0}")]
    Node(SourceError),
    /// The witness does not lead to any public input.
    #[error("batch {number} cannot be re-executed: {reason}")]
    Invalid {
        /// Which batch.
        number: u64,
        /// What is wrong with it.
        reason: SourceError,
    },
    /// The operator claims something else than execution gives.
    #[error(
        "batch {number}: the operator claims public input {claimed}, execution gives {found}; not signing"
    )]
    Mismatch {
        /// Which batch.
        number: u64,
        /// The operator's.
        claimed: B256,
        /// Ours.
        found: B256,
    },
    /// A key problem.
    #[error("cannot sign: {0}")]
    Sign(#[from] alloy_signer::Error),
}

/// One attester.
pub struct Attester<N> {
    node: N,
    signer: PrivateKeySigner,
    l1_chain_id: u64,
    verifier: Address,
    re_execute: ReExecute,
    poll: Duration,
}

impl<N: AttesterNode> Attester<N> {
    /// An attester for the [`crate::bindings::AttestationVerifier`] at `verifier`.
    pub fn new(
        node: N,
        signer: PrivateKeySigner,
        l1_chain_id: u64,
        verifier: Address,
        re_execute: ReExecute,
        poll: Duration,
    ) -> Self {
        Self { node, signer, l1_chain_id, verifier, re_execute, poll }
    }

    /// Attests every batch from `next` on. A batch that it cannot stand behind stops it: what follows builds on that batch.
    ///
    /// # Errors
    /// [`AttestError::Invalid`], [`AttestError::Mismatch`], [`AttestError::Sign`]; a node that does not answer is asked again.
    pub async fn run(
        &self,
        mut next: u64,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), AttestError> {
        while !*stop.borrow() {
            match self.catch_up(&mut next).await {
                Ok(()) => {}
                Err(AttestError::Node(e)) => {
                    tracing::warn!(error = %e, "the attester waits for the node")
                }
                Err(e) => return Err(e),
            }
            tokio::select! {
                _ = tokio::time::sleep(self.poll) => {}
                _ = stop.changed() => {}
            }
        }
        Ok(())
    }

    async fn catch_up(&self, next: &mut u64) -> Result<(), AttestError> {
        let newest = self.node.newest().await.map_err(AttestError::Node)?;
        while *next <= newest {
            self.attest(*next).await?;
            *next += 1;
        }
        Ok(())
    }

    async fn attest(&self, number: u64) -> Result<(), AttestError> {
        let (witness, claimed) = self.node.witness(number).await.map_err(AttestError::Node)?;
        let run = self.re_execute.clone();
        let found = tokio::task::spawn_blocking(move || run(&witness))
            .await
            .map_err(|e| AttestError::Node(e.into()))?
            .map_err(|reason| AttestError::Invalid { number, reason })?;
        if found != claimed {
            return Err(AttestError::Mismatch { number, claimed, found });
        }
        let digest = attestation_digest(self.l1_chain_id, self.verifier, &[found]);
        let signature = self.signer.sign_hash_sync(&digest)?;
        let bytes = Bytes::copy_from_slice(&signature.as_bytes());
        self.node.submit(number, bytes).await.map_err(AttestError::Node)?;
        tracing::info!(number, public_input = %found, "attested");
        Ok(())
    }
}

/// Why a submitted attestation is not taken.
#[derive(Debug, Error)]
pub enum SubmitError {
    /// Not 65 bytes `(r, s, v)`.
    #[error("an attestation is a 65-byte signature")]
    Malformed,
    /// Signed by somebody who is no attester of the chain.
    #[error("{0} is not a registered attester")]
    Unknown(Address),
}

/// Collects attestations until a batch has enough, and hands them to settlement in the verifier contract's format.
#[derive(Debug)]
pub struct AttestationPool {
    l1_chain_id: u64,
    verifier: Address,
    attesters: Vec<Address>,
    threshold: usize,
    signatures: Mutex<BTreeMap<u64, HashMap<Address, Bytes>>>,
    refusals: Mutex<Vec<(u64, String)>>,
}

impl AttestationPool {
    /// A pool for the registered `attesters`, of whom `threshold` must sign.
    pub fn new(
        l1_chain_id: u64,
        verifier: Address,
        attesters: Vec<Address>,
        threshold: usize,
    ) -> Self {
        Self {
            l1_chain_id,
            verifier,
            attesters,
            threshold,
            signatures: Mutex::default(),
            refusals: Mutex::default(),
        }
    }

    /// Takes a signature over one batch's public input. It is checked here, so that nobody can fill the pool or spoil a proof.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub fn submit(
        &self,
        number: u64,
        public_input: B256,
        signature: &[u8],
    ) -> Result<(), SubmitError> {
        let parsed = Signature::from_raw(signature).map_err(|_| SubmitError::Malformed)?;
        if signature.len() != 65 || parsed.normalize_s().is_some() {
            return Err(SubmitError::Malformed);
        }
        let digest = attestation_digest(self.l1_chain_id, self.verifier, &[public_input]);
        let signer =
            parsed.recover_address_from_prehash(&digest).map_err(|_| SubmitError::Malformed)?;
        if !self.attesters.contains(&signer) {
            return Err(SubmitError::Unknown(signer));
        }
        let mut all = self.signatures.lock();
        all.entry(number).or_default().insert(signer, parsed.as_bytes().to_vec().into());
        while all.len() > MAX_KEPT {
            all.pop_first();
        }
        Ok(())
    }

    /// Refusals of the verifier contract, with the first batch of the range.
    pub fn refusals(&self) -> Vec<(u64, String)> {
        self.refusals.lock().clone()
    }
}

impl ProofSource for AttestationPool {
    fn proof(&self, first: u64, _last: u64) -> Result<Option<RangeProof>, SourceError> {
        let all = self.signatures.lock();
        let Some(signatures) = all.get(&first).filter(|s| s.len() >= self.threshold) else {
            return Ok(None);
        };
        // The contract wants ascending signers, each once.
        let sorted: BTreeMap<_, _> = signatures.iter().collect();
        let proof: Vec<u8> =
            sorted.values().take(self.threshold).flat_map(|s| s.iter().copied()).collect();
        Ok(Some(RangeProof { first, last: first, proof: proof.into() }))
    }

    fn refused(&self, proof: &RangeProof, reason: &str) {
        self.refusals.lock().push((proof.first, reason.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(signer: &PrivateKeySigner, input: B256) -> Vec<u8> {
        let digest = attestation_digest(1, Address::repeat_byte(9), &[input]);
        signer.sign_hash_sync(&digest).unwrap().as_bytes().to_vec()
    }

    #[test]
    fn a_proof_needs_enough_different_registered_signers() {
        let (a, b, c) =
            (PrivateKeySigner::random(), PrivateKeySigner::random(), PrivateKeySigner::random());
        let pool =
            AttestationPool::new(1, Address::repeat_byte(9), vec![a.address(), b.address()], 2);
        let input = B256::repeat_byte(5);
        pool.submit(1, input, &sign(&a, input)).unwrap();
        pool.submit(1, input, &sign(&a, input)).unwrap();
        assert!(pool.proof(1, 1).unwrap().is_none(), "one signer twice is one signer");
        assert!(matches!(pool.submit(1, input, &sign(&c, input)), Err(SubmitError::Unknown(_))));
        // A signature over another batch's input recovers to a stranger.
        assert!(pool.submit(1, input, &sign(&b, B256::ZERO)).is_err());
        pool.submit(1, input, &sign(&b, input)).unwrap();
        let proof = pool.proof(1, 1).unwrap().unwrap();
        assert_eq!(proof.proof.len(), 130);
        assert!(pool.proof(2, 2).unwrap().is_none());
    }

    #[test]
    fn malformed_signatures_are_refused() {
        let pool = AttestationPool::new(1, Address::ZERO, vec![], 1);
        for bad in [vec![], vec![0; 64], vec![0; 65], vec![1; 66]] {
            assert!(pool.submit(1, B256::ZERO, &bad).is_err());
        }
    }
}
