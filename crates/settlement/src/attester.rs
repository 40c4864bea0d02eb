//! Attesters: independent parties that re-execute a batch from its witness, check that L1 holds its data, and sign the public input.

use std::{
    collections::{BTreeMap, btree_map::Entry},
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

/// Batches whose attestations are kept in memory; those of all unproven batches are in the store.
const MAX_KEPT: usize = 4096;
/// Bytes of a signature `(r, s, v)`.
const SIGNATURE: usize = 65;

/// What an attester needs of a node: a batch's witness and claims, and a way to hand over its signature.
pub trait AttesterNode: Send + Sync + 'static {
    /// Newest sealed batch.
    fn newest(&self) -> impl Future<Output = Result<u64, SourceError>> + Send;
    /// The witness of a batch, and the public input that the operator claims.
    fn witness(
        &self,
        number: u64,
    ) -> impl Future<Output = Result<(Bytes, B256), SourceError>> + Send;
    /// Whether a batch is final: then nobody waits for an attestation of it, and its witness may be gone.
    fn is_final(&self, number: u64) -> impl Future<Output = Result<bool, SourceError>> + Send;
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
        let (witness, claimed) = match self.node.witness(number).await {
            Ok(found) => found,
            Err(_) if self.node.is_final(number).await.map_err(AttestError::Node)? => {
                tracing::debug!(number, "final without this attester");
                return Ok(());
            }
            Err(e) => return Err(AttestError::Node(e)),
        };
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
    /// There is no such batch, or it claims something else by now.
    #[error("batch {0} does not claim what was signed")]
    OtherClaim(u64),
    /// The store failed.
    #[error("attestations cannot be kept: {0}")]
    Store(SourceError),
}

/// Where attestations survive a restart, and what batches claim.
pub trait AttestationStore: Send + Sync + 'static {
    /// The public input that a batch claims now; `None` if there is no such batch.
    fn claim(&self, number: u64) -> Result<Option<B256>, SourceError>;
    /// What was kept for a batch of this claim.
    fn load(&self, number: u64, public_input: B256) -> Result<Option<Vec<u8>>, SourceError>;
    /// Keeps bytes for a batch of this claim, durably, in place of earlier ones.
    fn save(&self, number: u64, public_input: B256, bytes: &[u8]) -> Result<(), SourceError>;
}

type Signatures = BTreeMap<Address, Bytes>;

/// Collects attestations until a batch has enough, and hands them to settlement in the verifier contract's format. What was taken is kept in the store before
/// it is acknowledged, by batch and claim, so that neither a restart nor a batch that was cut again mixes or loses any.
pub struct AttestationPool {
    l1_chain_id: u64,
    verifier: Address,
    attesters: Vec<Address>,
    threshold: usize,
    store: Arc<dyn AttestationStore>,
    /// What the store holds, for the batches looked at lately.
    kept: Mutex<BTreeMap<(u64, B256), Signatures>>,
    refusals: Mutex<Vec<(u64, String)>>,
}

impl AttestationPool {
    /// A pool for the registered `attesters`, of whom `threshold` must sign.
    pub fn new(
        l1_chain_id: u64,
        verifier: Address,
        attesters: Vec<Address>,
        threshold: usize,
        store: Arc<dyn AttestationStore>,
    ) -> Self {
        let (kept, refusals) = (Mutex::default(), Mutex::default());
        Self { l1_chain_id, verifier, attesters, threshold, store, kept, refusals }
    }

    /// Whether an account is a registered attester.
    pub fn is_attester(&self, account: Address) -> bool {
        self.attesters.contains(&account)
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
        let signer = self.signer(public_input, signature)?;
        if self.store.claim(number).map_err(SubmitError::Store)? != Some(public_input) {
            return Err(SubmitError::OtherClaim(number));
        }
        let mut kept = self.kept.lock();
        let signatures =
            self.signatures(&mut kept, number, public_input).map_err(SubmitError::Store)?;
        if signatures.contains_key(&signer) {
            return Ok(());
        }
        signatures.insert(signer, Bytes::copy_from_slice(signature));
        let bytes: Vec<u8> = signatures.values().flat_map(|s| s.iter().copied()).collect();
        let saved = self.store.save(number, public_input, &bytes);
        if saved.is_err() {
            signatures.remove(&signer);
        }
        saved.map_err(SubmitError::Store)
    }

    /// The registered attester who signed, if the signature is in its one form.
    fn signer(&self, public_input: B256, signature: &[u8]) -> Result<Address, SubmitError> {
        let parsed = Signature::from_raw(signature).map_err(|_| SubmitError::Malformed)?;
        let canonical = parsed.as_bytes()[..] == *signature && parsed.normalize_s().is_none();
        if !canonical {
            return Err(SubmitError::Malformed);
        }
        let digest = attestation_digest(self.l1_chain_id, self.verifier, &[public_input]);
        let signer =
            parsed.recover_address_from_prehash(&digest).map_err(|_| SubmitError::Malformed)?;
        if self.is_attester(signer) { Ok(signer) } else { Err(SubmitError::Unknown(signer)) }
    }

    /// The signatures of a batch, read from the store when they are not in memory.
    fn signatures<'a>(
        &self,
        kept: &'a mut BTreeMap<(u64, B256), Signatures>,
        number: u64,
        public_input: B256,
    ) -> Result<&'a mut Signatures, SourceError> {
        let key = (number, public_input);
        while kept.len() >= MAX_KEPT && !kept.contains_key(&key) {
            // Any will do: the store has them all.
            kept.pop_last();
        }
        match kept.entry(key) {
            Entry::Occupied(found) => Ok(found.into_mut()),
            Entry::Vacant(place) => {
                let bytes = self.store.load(number, public_input)?.unwrap_or_default();
                // What does not hold any more (other attesters by now) is left out.
                let valid =
                    |s: &[u8]| Some((self.signer(public_input, s).ok()?, s.to_vec().into()));
                Ok(place.insert(bytes.chunks(SIGNATURE).filter_map(valid).collect()))
            }
        }
    }

    /// Refusals of the verifier contract, with the first batch of the range.
    pub fn refusals(&self) -> Vec<(u64, String)> {
        self.refusals.lock().clone()
    }
}

impl ProofSource for AttestationPool {
    fn proof(&self, first: u64, _last: u64) -> Result<Option<RangeProof>, SourceError> {
        let Some(claim) = self.store.claim(first)? else { return Ok(None) };
        let mut kept = self.kept.lock();
        // Settlement asks for the first batch that is not proven: those before are.
        kept.retain(|(number, _), _| *number >= first);
        let signatures = self.signatures(&mut kept, first, claim)?;
        if signatures.len() < self.threshold {
            return Ok(None);
        }
        // The contract wants ascending signers, each once.
        let proof: Vec<u8> =
            signatures.values().take(self.threshold).flat_map(|s| s.iter().copied()).collect();
        Ok(Some(RangeProof { first, last: first, proof: proof.into() }))
    }

    fn refused(&self, proof: &RangeProof, reason: &str) {
        self.refusals.lock().push((proof.first, reason.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn sign(signer: &PrivateKeySigner, input: B256) -> Vec<u8> {
        let digest = attestation_digest(1, Address::repeat_byte(9), &[input]);
        signer.sign_hash_sync(&digest).unwrap().as_bytes().to_vec()
    }

    /// A store in memory, with one claim for every batch.
    #[derive(Default)]
    struct Kept {
        claim: Mutex<B256>,
        saved: Mutex<HashMap<(u64, B256), Vec<u8>>>,
    }

    impl AttestationStore for Kept {
        fn claim(&self, number: u64) -> Result<Option<B256>, SourceError> {
            Ok((number > 0).then_some(*self.claim.lock()))
        }
        fn load(&self, number: u64, input: B256) -> Result<Option<Vec<u8>>, SourceError> {
            Ok(self.saved.lock().get(&(number, input)).cloned())
        }
        fn save(&self, number: u64, input: B256, bytes: &[u8]) -> Result<(), SourceError> {
            self.saved.lock().insert((number, input), bytes.to_vec());
            Ok(())
        }
    }

    fn pool(
        store: &Arc<Kept>,
        attesters: &[&PrivateKeySigner],
        threshold: usize,
    ) -> AttestationPool {
        let attesters = attesters.iter().map(|a| a.address()).collect();
        AttestationPool::new(1, Address::repeat_byte(9), attesters, threshold, store.clone())
    }

    #[test]
    fn a_proof_needs_enough_different_registered_signers() {
        let (a, b, c) =
            (PrivateKeySigner::random(), PrivateKeySigner::random(), PrivateKeySigner::random());
        let input = B256::repeat_byte(5);
        let store = Arc::new(Kept { claim: Mutex::new(input), ..Kept::default() });
        let pool = pool(&store, &[&a, &b], 2);
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
    fn attestations_survive_a_restart_and_belong_to_one_claim() {
        let (a, b) = (PrivateKeySigner::random(), PrivateKeySigner::random());
        let (old, new) = (B256::repeat_byte(5), B256::repeat_byte(6));
        let store = Arc::new(Kept { claim: Mutex::new(old), ..Kept::default() });
        pool(&store, &[&a, &b], 2).submit(1, old, &sign(&a, old)).unwrap();
        let again = pool(&store, &[&a, &b], 2);
        again.submit(1, old, &sign(&b, old)).unwrap();
        assert_eq!(again.proof(1, 1).unwrap().unwrap().proof.len(), 130);
        // The batch is cut anew: what was signed before is about another batch.
        *store.claim.lock() = new;
        assert!(again.proof(1, 1).unwrap().is_none());
        assert!(matches!(again.submit(1, old, &sign(&a, old)), Err(SubmitError::OtherClaim(1))));
        again.submit(1, new, &sign(&a, new)).unwrap();
        assert!(again.proof(1, 1).unwrap().is_none());
        // Who is no attester any more does not count, whatever the store holds.
        assert!(pool(&store, &[&b], 1).proof(1, 1).unwrap().is_none());
    }

    #[test]
    fn many_unproven_batches_lose_nothing() {
        let a = PrivateKeySigner::random();
        let input = B256::repeat_byte(5);
        let store = Arc::new(Kept { claim: Mutex::new(input), ..Kept::default() });
        let pool = pool(&store, &[&a], 1);
        let signature = sign(&a, input);
        let last = MAX_KEPT as u64 + 3;
        for number in 1..=last {
            pool.submit(number, input, &signature).unwrap();
        }
        assert!(pool.kept.lock().len() <= MAX_KEPT);
        for number in [1, 2, last - 1, last] {
            assert!(pool.proof(number, number).unwrap().is_some(), "batch {number}");
        }
    }

    #[test]
    fn malformed_signatures_are_refused() {
        let pool = pool(&Arc::new(Kept::default()), &[], 1);
        for bad in [vec![], vec![0; 64], vec![0; 65], vec![1; 66]] {
            assert!(pool.submit(1, B256::ZERO, &bad).is_err());
        }
    }
}
