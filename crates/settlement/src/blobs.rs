//! Pubdata as blobs: KZG commitments, the sidecar of the commit transaction, and the data-availability validator's input.

use alloy_eips::{
    eip4844::{Blob, Bytes48},
    eip7594::BlobTransactionSidecarEip7594,
};
use alloy_primitives::{B256, Bytes, keccak256};
use c_kzg::{Bytes32, KzgSettings};
use cairn_primitives::da::{BlobError, to_blobs};
use thiserror::Error;

use crate::batch::SealedBatch;

/// Why blobs cannot be made.
#[derive(Debug, Error)]
pub enum BlobsError {
    /// The pubdata does not fit.
    #[error(transparent)]
    Layout(#[from] BlobError),
    /// The KZG library refused.
    #[error("KZG: {0}")]
    Kzg(#[from] c_kzg::Error),
    /// The thread for it cannot be had, or died.
    #[error("the thread that works on blobs: {0}")]
    Thread(String),
    /// The batch claims other blobs than its pubdata gives.
    #[error(
        "the batch claims {claimed} blobs, its pubdata gives {given}, or their commitments or values differ"
    )]
    Claims {
        /// In the batch.
        claimed: usize,
        /// From its pubdata.
        given: usize,
    },
}

/// A batch's blobs with all that L1 asks about them.
#[derive(Debug)]
pub struct Prepared {
    /// The batch.
    pub batch: SealedBatch,
    /// What travels with the commit.
    pub sidecar: BlobTransactionSidecarEip7594,
    /// See [`blob_da_input`].
    pub da_input: Bytes,
}

/// Makes what L1 asks about a batch's blobs. A blob is about a second of work, so it is done on a thread of its own: the
/// runtime's few answer clients.
///
/// # Errors
/// See [`sidecar`] and [`blob_da_input`]; [`BlobsError::Thread`].
pub async fn prepare(batch: SealedBatch) -> Result<Prepared, BlobsError> {
    let (done, prepared) = tokio::sync::oneshot::channel();
    let work = move || {
        let prepare = || {
            let sidecar = sidecar(&batch)?;
            let da_input = blob_da_input(&batch, &sidecar)?;
            Ok(Prepared { batch, sidecar, da_input })
        };
        // Nobody waits any more when settlement was stopped.
        let _ = done.send(prepare());
    };
    let thread = std::thread::Builder::new().name("blobs".into()).spawn(work);
    thread.map_err(|e| BlobsError::Thread(e.to_string()))?;
    prepared.await.map_err(|e| BlobsError::Thread(e.to_string()))?
}

/// Without precomputed tables: they take seconds to make and a node makes a proof now and then.
pub(crate) fn settings() -> &'static KzgSettings {
    c_kzg::ethereum_kzg_settings(0)
}

/// Blobs and cell proofs (EIP-7594) of a batch's pubdata, with the commitments that were made when it was sealed. Whether they fit is for [`blob_da_input`] and for
/// L1 to say: the proofs would be refused.
///
/// # Errors
/// [`BlobsError::Layout`] when it does not fit, [`BlobsError::Kzg`] when the library fails, [`BlobsError::Claims`] when there are not as many commitments as blobs.
pub fn sidecar(batch: &SealedBatch) -> Result<BlobTransactionSidecarEip7594, BlobsError> {
    let blobs: Vec<Blob> = to_blobs(&batch.pubdata)?.iter().map(|b| Blob::from_slice(b)).collect();
    let commitments = batch.commitments.clone();
    if blobs.len() != commitments.len() {
        return Err(BlobsError::Claims { claimed: commitments.len(), given: blobs.len() });
    }
    let mut proofs = Vec::new();
    for blob in &blobs {
        let blob = c_kzg::Blob::from_bytes(blob.as_slice())?;
        let (_, of_cells) = settings().compute_cells_and_kzg_proofs(&blob)?;
        proofs.extend(of_cells.iter().map(|p| Bytes48::from_slice(p.to_bytes().as_slice())));
    }
    Ok(BlobTransactionSidecarEip7594::new(blobs, commitments, proofs))
}

/// `0x01 || pubdata hash || index of the first blob || (y || commitment || proof)*`: what the rollup DA validator checks through 0x0a.
///
/// # Errors
/// [`BlobsError::Claims`] when the batch's claims are not about these blobs.
pub fn blob_da_input(
    batch: &SealedBatch,
    sidecar: &BlobTransactionSidecarEip7594,
) -> Result<Bytes, BlobsError> {
    let hashes: Vec<B256> = sidecar.versioned_hashes().collect();
    let mismatch = || BlobsError::Claims { claimed: batch.claims.len(), given: hashes.len() };
    if hashes.len() != batch.claims.len() {
        return Err(mismatch());
    }
    let mut out = vec![1u8];
    out.extend_from_slice(keccak256(&batch.pubdata).as_slice());
    out.push(0);
    for (i, claim) in batch.claims.iter().enumerate() {
        let blob = c_kzg::Blob::from_bytes(sidecar.blobs[i].as_slice())?;
        let z = Bytes32::new(claim.z.to_be_bytes());
        let (proof, y) = settings().compute_kzg_proof(&blob, &z)?;
        if claim.versioned_hash != hashes[i] || *y != claim.y.to_be_bytes::<32>() {
            return Err(mismatch());
        }
        out.extend_from_slice(y.as_slice());
        out.extend_from_slice(sidecar.commitments[i].as_slice());
        out.extend_from_slice(proof.to_bytes().as_slice());
    }
    Ok(out.into())
}

/// `mode || pubdata` for calldata; the mode alone for a policy that keeps the data elsewhere, with the pubdata's hash.
pub fn plain_da_input(batch: &SealedBatch) -> Bytes {
    let mut out = vec![batch.da_mode as u8];
    match batch.da_mode {
        cairn_primitives::da::DaMode::External => {
            out.extend_from_slice(keccak256(&batch.pubdata).as_slice());
        }
        _ => out.extend_from_slice(&batch.pubdata),
    }
    out.into()
}
