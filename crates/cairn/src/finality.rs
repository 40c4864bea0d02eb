//! What settlement hands to the verifier on L1: validity proofs from the prover's files, attestations, or both joined; and what is kept when L1 refuses one.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{B256, keccak256};
use cairn_aggregator::MAX_BATCHES;
use cairn_prover::work::write_whole;
use cairn_settlement::{
    attester::AttestationPool,
    batch::{ProofSource, RangeProof, SourceError},
    verifier::{VerifierKind, Verifiers, dual_proof},
};
use cairn_storage::Storage;
use serde_json::json;

use crate::final_file;

/// The proofs of a node whose batches are verified by `verifiers`.
pub fn proofs(
    verifiers: Verifiers,
    storage: Storage,
    data_dir: &Path,
    pool: Option<Arc<AttestationPool>>,
) -> Arc<dyn ProofSource> {
    let validity = ValidityProofs { storage: storage.clone(), data_dir: data_dir.to_owned() };
    let inner: Arc<dyn ProofSource> = match (verifiers.kind, pool) {
        (VerifierKind::Attesters, Some(pool)) => pool,
        (VerifierKind::Both, Some(attestations)) => Arc::new(Both { validity, attestations }),
        _ => Arc::new(validity),
    };
    Arc::new(WithEvidence { inner, verifiers, storage, dir: data_dir.join("refused") })
}

/// Most batches that share a proof under a verifier. Attesters sign each batch alone.
pub fn max_range(kind: VerifierKind) -> usize {
    if kind.needs_attesters() { 1 } else { MAX_BATCHES }
}

/// The prover's final proofs, from their files.
struct ValidityProofs {
    storage: Storage,
    data_dir: PathBuf,
}

impl ProofSource for ValidityProofs {
    fn proof(&self, first: u64, last: u64) -> Result<Option<RangeProof>, SourceError> {
        let found = final_file::longest(&self.data_dir, &self.storage, first, last)?;
        Ok(found.map(|(last, file)| RangeProof { first, last, proof: file.proof }))
    }

    fn refused(&self, _proof: &RangeProof, _reason: &str) {}
}

fn public_inputs(storage: &Storage, first: u64, last: u64) -> Result<Vec<B256>, SourceError> {
    (first..=last).map(|n| Ok(storage.batch_info(n)?.publicInput)).collect()
}

/// A validity proof and attestations of the same batch.
struct Both {
    validity: ValidityProofs,
    attestations: Arc<AttestationPool>,
}

impl ProofSource for Both {
    fn proof(&self, first: u64, _last: u64) -> Result<Option<RangeProof>, SourceError> {
        let Some(validity) = self.validity.proof(first, first)? else { return Ok(None) };
        let Some(attested) = self.attestations.proof(first, first)? else { return Ok(None) };
        let proof = dual_proof(&validity.proof, &attested.proof);
        Ok(Some(RangeProof { first, last: first, proof }))
    }

    fn refused(&self, proof: &RangeProof, reason: &str) {
        self.attestations.refused(proof, reason);
    }
}

/// Keeps what L1 refused, in `refused` below the data directory.
struct WithEvidence {
    inner: Arc<dyn ProofSource>,
    verifiers: Verifiers,
    storage: Storage,
    dir: PathBuf,
}

impl WithEvidence {
    /// Writes the proof and a report beside it; the folder's name says of which batches and which proof.
    fn keep(&self, proof: &RangeProof, reason: &str) -> Result<PathBuf, SourceError> {
        let (first, last) = (proof.first, proof.last);
        let hash = keccak256(&proof.proof);
        let name = format!("batches-{first}-{last}-{}", alloy_primitives::hex::encode(&hash[..4]));
        let dir = self.dir.join(name);
        fs::create_dir_all(&dir).map_err(|e| shown(&dir, &e))?;
        write_whole(&dir.join("proof.bin"), &proof.proof)?;
        let report = json!({
            "first": first, "last": last, "reason": reason, "proof_keccak256": hash, "proof_bytes": proof.proof.len(),
            "public_inputs": public_inputs(&self.storage, first, last)?, "program_id": crate::guest::program_id(),
            "verifiers": self.verifiers, "refused_at_ms": unix_ms(),
        });
        write_whole(&dir.join("report.json"), format!("{report:#}\n").as_bytes())?;
        Ok(dir)
    }

    /// The batches' state says why they do not become final.
    fn mark(&self, proof: &RangeProof, reason: &str) -> Result<(), SourceError> {
        for number in proof.first..=proof.last {
            let mut record = self.storage.proving(number)?.unwrap_or_default();
            record.program_id = crate::guest::program_id();
            record.failure = Some(format!("L1 refused the proof: {reason}"));
            self.storage.set_proving(number, &record)?;
        }
        Ok(())
    }
}

impl ProofSource for WithEvidence {
    fn proof(&self, first: u64, last: u64) -> Result<Option<RangeProof>, SourceError> {
        self.inner.proof(first, last)
    }

    fn refused(&self, proof: &RangeProof, reason: &str) {
        let (first, last) = (proof.first, proof.last);
        match self.keep(proof, reason) {
            Ok(dir) => {
                tracing::error!(first, last, reason, evidence = %dir.display(), "L1 refused a proof")
            }
            Err(e) => {
                tracing::error!(first, last, reason, error = %e, "L1 refused a proof, and it could not be kept")
            }
        }
        if let Err(e) = self.mark(proof, reason) {
            tracing::error!(error = %e, "the refusal is not shown with the batches");
        }
        self.inner.refused(proof, reason);
    }
}

fn shown(path: &Path, error: &io::Error) -> SourceError {
    format!("{}: {error}", path.display()).into()
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}
