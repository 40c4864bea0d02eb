//! Reads a chain's batches back from L1 alone: what was committed, with the pubdata from calldata or blobs.

use std::collections::BTreeMap;

use alloy_consensus::Transaction as _;
use alloy_eips::eip4844::{Blob, kzg_to_versioned_hash};
use alloy_network::TransactionResponse as _;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_provider::Provider;
use alloy_sol_types::{SolCall, SolEvent};
use cairn_primitives::{
    StoredBatchInfo,
    da::{BlobError, DaMode, MAX_BLOBS_PER_BATCH, from_blobs},
};
use serde::Deserialize;
use thiserror::Error;

use crate::{
    bindings::{CommitBatchInfo, ZKChain},
    l1::{L1, L1Error},
};

/// L1 blocks looked through in one query.
const WINDOW: u64 = 1_000;
/// Most commits that are remembered while reading, before their fate is known.
const MAX_COMMITS: usize = 1_000_000;

/// Why a chain cannot be read back.
#[derive(Debug, Error)]
pub enum RecoverError {
    /// L1 failed us.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// The transaction of a commit cannot be read as one.
    #[error("batch {number}: transaction {tx} on L1 is not a direct call of commitBatches")]
    NotACommit {
        /// Which batch.
        number: u64,
        /// The transaction.
        tx: B256,
    },
    /// What was read does not give the hash that L1 keeps.
    #[error("batch {number}: what L1's history says ({found}) is not what its state says ({kept})")]
    Mismatch {
        /// Which batch.
        number: u64,
        /// From history.
        found: B256,
        /// From state.
        kept: B256,
    },
    /// A commit that L1 counts is not in its history.
    #[error(
        "batch {0} is committed on L1 but its commit was not found; look from an earlier L1 block"
    )]
    Missing(u64),
    /// The blobs are gone or are not what was committed to.
    #[error(
        "batch {number}: blob {hash} cannot be had from this L1 node ({reason}); give a node or beacon API that keeps blobs"
    )]
    Blob {
        /// Which batch.
        number: u64,
        /// Versioned hash.
        hash: B256,
        /// Why.
        reason: String,
    },
    /// The blobs do not hold pubdata.
    #[error("batch {number}: {error}")]
    Layout {
        /// Which batch.
        number: u64,
        /// What is wrong.
        error: BlobError,
    },
    /// The data is not on L1 (a validium), or in a mode that this version does not know.
    #[error(
        "batch {number} has its data elsewhere (mode {mode}); it cannot be recovered from L1 alone"
    )]
    Elsewhere {
        /// Which batch.
        number: u64,
        /// First byte of the input.
        mode: u8,
    },
}

/// A batch as L1 tells it.
#[derive(Debug, Clone)]
pub struct L1Batch {
    /// What L1 keeps of it.
    pub stored: StoredBatchInfo,
    /// What the operator said.
    pub info: CommitBatchInfo,
    /// Its pubdata.
    pub pubdata: Vec<u8>,
    /// The commit transaction.
    pub commit_tx: B256,
}

/// Reads batches of one chain.
pub struct Reader {
    l1: L1,
    chain: Address,
    http: reqwest::Client,
}

#[derive(Deserialize)]
struct BeaconBlobs {
    data: Vec<Bytes>,
}

impl Reader {
    /// A reader of the chain contract at `chain`.
    pub fn new(l1: L1, chain: Address) -> Self {
        Self { l1, chain, http: reqwest::Client::new() }
    }

    /// Number of batches committed now.
    ///
    /// # Errors
    /// [`RecoverError::L1`].
    pub async fn committed(&self) -> Result<u64, RecoverError> {
        let n = self.l1.call(self.chain, ZKChain::getTotalBatchesCommittedCall {}).await?;
        Ok(u64::try_from(n).unwrap_or(u64::MAX))
    }

    /// The commit transactions that count, by batch, from L1's history since `from_block`. A batch that was reverted and committed again is there once.
    ///
    /// # Errors
    /// [`RecoverError`].
    pub async fn commits(
        &self,
        from_block: u64,
    ) -> Result<BTreeMap<u64, (B256, B256)>, RecoverError> {
        let head = self.l1.block_number().await?;
        let mut out: BTreeMap<u64, (B256, B256)> = BTreeMap::new();
        let mut from = from_block;
        while from <= head && out.len() < MAX_COMMITS {
            let to = head.min(from + WINDOW - 1);
            let topic = ZKChain::BlockCommit::SIGNATURE_HASH;
            for log in self.l1.logs(self.chain, topic, from, to).await? {
                let event = ZKChain::BlockCommit::decode_log(&log.inner).map_err(|e| {
                    L1Error::Nonsense { what: "BlockCommit", detail: e.to_string() }
                })?;
                let number = u64::try_from(event.batchNumber).unwrap_or(u64::MAX);
                let tx = log.transaction_hash.unwrap_or_default();
                out.insert(number, (tx, event.commitment));
            }
            from = to + 1;
        }
        Ok(out)
    }

    /// Reads one batch and checks it against the hash that L1 keeps. `prev` is the batch before.
    ///
    /// # Errors
    /// [`RecoverError`].
    pub async fn batch(
        &self,
        prev: &StoredBatchInfo,
        commit_tx: B256,
        commitment: B256,
    ) -> Result<L1Batch, RecoverError> {
        let number = prev.batchNumber + 1;
        let (info, block, blob_hashes) = self.commit_info(number, commit_tx).await?;
        let stored = self.stored(prev, &info, commitment).await?;
        let call = ZKChain::storedBatchHashCall { batchNumber: U256::from(number) };
        let kept = self.l1.call(self.chain, call).await?;
        if stored.hash() != kept {
            return Err(RecoverError::Mismatch { number, found: stored.hash(), kept });
        }
        let mode = info.daInput.first().copied().unwrap_or(u8::MAX);
        let pubdata = match DaMode::from_u8(mode) {
            Some(DaMode::Calldata) => info.daInput[1..].to_vec(),
            Some(DaMode::Blobs) => {
                self.pubdata_in_blobs(number, commit_tx, block, &blob_hashes).await?
            }
            _ => return Err(RecoverError::Elsewhere { number, mode }),
        };
        Ok(L1Batch { stored, info, pubdata, commit_tx })
    }

    async fn commit_info(
        &self,
        number: u64,
        tx: B256,
    ) -> Result<(CommitBatchInfo, u64, Vec<B256>), RecoverError> {
        let found = self
            .l1
            .read("eth_getTransactionByHash", move |p| async move {
                p.get_transaction_by_hash(tx).await
            })
            .await?;
        let not_a_commit = || RecoverError::NotACommit { number, tx };
        let found = found.ok_or_else(not_a_commit)?;
        if found.to() != Some(self.chain) {
            return Err(not_a_commit());
        }
        let call =
            ZKChain::commitBatchesCall::abi_decode(found.input()).map_err(|_| not_a_commit())?;
        let info =
            call.batches.into_iter().find(|b| b.batchNumber == number).ok_or_else(not_a_commit)?;
        let hashes = found.blob_versioned_hashes().unwrap_or_default().to_vec();
        Ok((info, found.block_number().unwrap_or_default(), hashes))
    }

    async fn stored(
        &self,
        prev: &StoredBatchInfo,
        info: &CommitBatchInfo,
        public_input: B256,
    ) -> Result<StoredBatchInfo, RecoverError> {
        let count = prev.priorityOpsCount.saturating_add(info.priorityOpsCount);
        let call = ZKChain::priorityOpsRollingHashCall { count: U256::from(count) };
        Ok(StoredBatchInfo {
            batchNumber: info.batchNumber,
            stateRoot: info.newStateRoot,
            leafCount: info.newLeafCount,
            lastBlock: info.lastBlock,
            lastBlockHash: info.lastBlockHash,
            lastTimestamp: info.lastTimestamp,
            priorityOpsCount: count,
            priorityOpsHashAfter: self.l1.call(self.chain, call).await?,
            l2ToL1Root: info.l2ToL1Root,
            publicInput: public_input,
        })
    }

    async fn pubdata_in_blobs(
        &self,
        number: u64,
        tx: B256,
        block: u64,
        hashes: &[B256],
    ) -> Result<Vec<u8>, RecoverError> {
        let first = hashes.first().copied().unwrap_or_default();
        let blobs = self.fetch_blobs(tx, block).await.map_err(|reason| RecoverError::Blob {
            number,
            hash: first,
            reason,
        })?;
        let mut ordered: Vec<&[u8]> = Vec::new();
        for hash in hashes.iter().take(MAX_BLOBS_PER_BATCH) {
            let blob = blobs.iter().find(|(h, _)| h == hash).ok_or_else(|| RecoverError::Blob {
                number,
                hash: *hash,
                reason: "not among those given".to_owned(),
            })?;
            ordered.push(blob.1.as_slice());
        }
        from_blobs(&ordered).map_err(|error| RecoverError::Layout { number, error })
    }

    /// Blobs with their versioned hashes, computed here from the bytes, so that the node need not be trusted.
    async fn fetch_blobs(&self, tx: B256, block: u64) -> Result<Vec<(B256, Box<Blob>)>, String> {
        let by_tx: Result<Option<Vec<Bytes>>, _> =
            self.l1.provider().raw_request("anvil_getBlobsByTransactionHash".into(), (tx,)).await;
        let raw = match by_tx {
            Ok(Some(blobs)) => blobs,
            _ => self.fetch_from_beacon(block).await?,
        };
        let settings = crate::blobs::settings();
        raw.iter()
            .take(64)
            .map(|bytes| {
                let blob = Blob::try_from(bytes.as_ref()).map_err(|e| e.to_string())?;
                let kzg = c_kzg::Blob::from_bytes(blob.as_slice()).map_err(|e| e.to_string())?;
                let commitment =
                    settings.blob_to_kzg_commitment(&kzg).map_err(|e| e.to_string())?;
                let hash = kzg_to_versioned_hash(commitment.to_bytes().as_slice());
                Ok((hash, Box::new(blob)))
            })
            .collect()
    }

    async fn fetch_from_beacon(&self, block: u64) -> Result<Vec<Bytes>, String> {
        let url = format!("{}/eth/v1/beacon/blobs/{block}", self.l1.url().trim_end_matches('/'));
        let answer = self.http.get(url).send().await.map_err(|e| e.to_string())?;
        Ok(answer.json::<BeaconBlobs>().await.map_err(|e| e.to_string())?.data)
    }
}
