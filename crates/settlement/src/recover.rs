//! Reads a chain's batches back from L1 alone: what was committed, with the pubdata from calldata or blobs.

use std::collections::BTreeMap;

use alloy_consensus::Transaction as _;
use alloy_eips::{
    BlockNumberOrTag,
    eip4844::{Blob, kzg_to_versioned_hash},
};
use alloy_network::TransactionResponse as _;
use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
use alloy_provider::Provider;
use alloy_sol_types::{SolCall, SolEvent};
use cairn_primitives::{
    StoredBatchInfo,
    da::{BlobClaim, BlobError, DaMode, MAX_BLOBS_PER_BATCH, evaluation_point, from_blobs},
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
    #[error(
        "batch {number}: transaction {tx} on L1 neither calls commitBatches nor carries such a call whole in its input"
    )]
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
    /// The beacon node does not answer as one.
    #[error("beacon node {url}: {reason}")]
    Beacon {
        /// Its URL.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// What the operator gave to the data-availability validator is malformed.
    #[error("batch {0}: the data-availability input of its commit is malformed")]
    DaInput(u64),
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
    /// For blobs: what ties each to the pubdata.
    pub claims: Vec<BlobClaim>,
    /// KZG commitments of the blobs, in the order of the claims.
    pub commitments: Vec<FixedBytes<48>>,
    /// The commit transaction.
    pub commit_tx: B256,
}

/// A commit as its transaction has it.
struct Commit {
    info: CommitBatchInfo,
    /// L1 block of the transaction.
    block: u64,
    /// Versioned hashes of all its blobs.
    blobs: Vec<B256>,
}

/// Reads batches of one chain.
pub struct Reader {
    l1: L1,
    chain: Address,
    http: reqwest::Client,
    beacon: Option<Beacon>,
}

/// A beacon node, which keeps blobs by slot.
#[derive(Debug, Clone)]
struct Beacon {
    url: String,
    genesis_time: u64,
    seconds_per_slot: u64,
}

/// Most bytes of a beacon node's answer: nine blobs of 128 KiB in hexadecimal take 2.4 MB; other data of the slot may come with them.
const MAX_BEACON_ANSWER: usize = 64 << 20;
/// Most places of a transaction's input that are looked at as calls of commitBatches.
const MAX_CALLS_TRIED: usize = 64;

#[derive(Deserialize)]
struct BeaconData<T> {
    data: T,
}

#[derive(Deserialize)]
struct BeaconGenesis {
    genesis_time: String,
}

#[derive(Deserialize)]
struct BeaconSpec {
    #[serde(rename = "SECONDS_PER_SLOT")]
    seconds_per_slot: String,
}

#[derive(Deserialize)]
struct BlobSidecar {
    blob: Bytes,
}

impl Reader {
    /// A reader of the chain contract at `chain`.
    pub fn new(l1: L1, chain: Address) -> Self {
        Self { l1, chain, http: reqwest::Client::new(), beacon: None }
    }

    /// Takes blobs from a beacon node (its REST API's URL) instead of from the L1 node, which has them only in development.
    ///
    /// # Errors
    /// [`RecoverError::Beacon`] when it does not answer as one.
    pub async fn with_beacon(mut self, url: &str) -> Result<Self, RecoverError> {
        let url = url.trim_end_matches('/').to_owned();
        let fail = |reason: String| RecoverError::Beacon { url: url.clone(), reason };
        let number = |text: String| {
            text.parse::<u64>().map_err(|_| fail(format!("`{text}` is not a number")))
        };
        let genesis: BeaconData<BeaconGenesis> =
            self.get(format!("{url}/eth/v1/beacon/genesis")).await.map_err(fail)?;
        let spec: BeaconData<BeaconSpec> =
            self.get(format!("{url}/eth/v1/config/spec")).await.map_err(fail)?;
        let genesis_time = number(genesis.data.genesis_time)?;
        let seconds_per_slot = number(spec.data.seconds_per_slot)?.max(1);
        self.beacon = Some(Beacon { url: url.clone(), genesis_time, seconds_per_slot });
        Ok(self)
    }

    /// Batches that L1 has accepted proofs of, and those that it has executed.
    ///
    /// # Errors
    /// [`RecoverError::L1`].
    pub async fn proven_and_executed(&self) -> Result<(u64, u64), RecoverError> {
        let narrow = |n: U256| u64::try_from(n).unwrap_or(u64::MAX);
        let executed = self.l1.call(self.chain, ZKChain::getTotalBatchesExecutedCall {}).await?;
        let proven = self.l1.call(self.chain, ZKChain::getTotalBatchesVerifiedCall {}).await?;
        Ok((narrow(proven), narrow(executed)))
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
        let commit = self.commit(number, commit_tx).await?;
        let stored = self.stored(prev, &commit.info, commitment).await?;
        let call = ZKChain::storedBatchHashCall { batchNumber: U256::from(number) };
        let kept = self.l1.call(self.chain, call).await?;
        if stored.hash() != kept {
            return Err(RecoverError::Mismatch { number, found: stored.hash(), kept });
        }
        let input = &commit.info.daInput;
        let mode = input.first().copied().unwrap_or(u8::MAX);
        let (pubdata, (claims, commitments)) = match DaMode::from_u8(mode) {
            Some(DaMode::Calldata) => (input[1..].to_vec(), Default::default()),
            Some(DaMode::Blobs) => {
                let blobs = blob_claims(input, &commit.blobs);
                let blobs = blobs.ok_or(RecoverError::DaInput(number))?;
                let hashes: Vec<B256> = blobs.0.iter().map(|c| c.versioned_hash).collect();
                (self.pubdata_in_blobs(number, commit_tx, commit.block, &hashes).await?, blobs)
            }
            _ => return Err(RecoverError::Elsewhere { number, mode }),
        };
        Ok(L1Batch { stored, info: commit.info, pubdata, claims, commitments, commit_tx })
    }

    async fn commit(&self, number: u64, tx: B256) -> Result<Commit, RecoverError> {
        let found = self
            .l1
            .read("eth_getTransactionByHash", move |p| async move {
                p.get_transaction_by_hash(tx).await
            })
            .await?;
        let found = found.ok_or(RecoverError::NotACommit { number, tx })?;
        let info =
            find_commit(found.input(), number).ok_or(RecoverError::NotACommit { number, tx })?;
        let blobs = found.blob_versioned_hashes().unwrap_or_default().to_vec();
        Ok(Commit { info, block: found.block_number().unwrap_or_default(), blobs })
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
        for hash in hashes {
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
        let raw = match self.fetch_from_l1(tx).await {
            Some(blobs) => blobs,
            None => self.fetch_from_beacon(block).await?,
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

    /// What a development L1 has, unless a beacon node was named.
    async fn fetch_from_l1(&self, tx: B256) -> Option<Vec<Bytes>> {
        if self.beacon.is_some() {
            return None;
        }
        let method = "anvil_getBlobsByTransactionHash";
        self.l1.provider().raw_request(method.into(), (tx,)).await.ok().flatten()
    }

    async fn fetch_from_beacon(&self, block: u64) -> Result<Vec<Bytes>, String> {
        let Some(beacon) = &self.beacon else {
            // A development L1 serves blobs by block number.
            let url = self.l1.url().trim_end_matches('/');
            let url = format!("{url}/eth/v1/beacon/blobs/{block}");
            return Ok(self.get::<BeaconData<Vec<Bytes>>>(url).await?.data);
        };
        let found = self.l1.block(BlockNumberOrTag::Number(block)).await;
        let (_, _, timestamp) =
            found.map_err(|e| e.to_string())?.ok_or(format!("L1 has no block {block}"))?;
        let slot = timestamp.saturating_sub(beacon.genesis_time) / beacon.seconds_per_slot;
        let url = format!("{}/eth/v1/beacon/blobs/{slot}", beacon.url);
        match self.get::<BeaconData<Vec<Bytes>>>(url).await {
            Ok(blobs) => Ok(blobs.data),
            // Nodes before Fusaka know only this one.
            Err(first) => {
                let url = format!("{}/eth/v1/beacon/blob_sidecars/{slot}", beacon.url);
                let sidecars = self.get::<BeaconData<Vec<BlobSidecar>>>(url).await;
                let sidecars = sidecars.map_err(|e| format!("{first}; {e}"))?;
                Ok(sidecars.data.into_iter().map(|s| s.blob).collect())
            }
        }
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, url: String) -> Result<T, String> {
        let mut answer = self.http.get(&url).send().await.map_err(|e| e.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("{url} answers {}", answer.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| e.to_string())? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BEACON_ANSWER {
                return Err(format!("{url} answers with more than {MAX_BEACON_ANSWER} bytes"));
            }
        }
        serde_json::from_slice(&body).map_err(|e| format!("{url}: {e}"))
    }
}

/// The claim about a batch in a transaction's input: a call of commitBatches, or one that another contract (a multicall, a multisig) was given to make. What is
/// found is only a candidate: L1's own hash of the batch decides.
fn find_commit(input: &[u8], number: u64) -> Option<CommitBatchInfo> {
    let selector = ZKChain::commitBatchesCall::SELECTOR;
    let places = input.windows(4).enumerate().filter(|(_, w)| *w == selector);
    places.map(|(at, _)| at).take(MAX_CALLS_TRIED).find_map(|at| {
        let call = ZKChain::commitBatchesCall::abi_decode(&input[at..]).ok()?;
        call.batches.into_iter().find(|b| b.batchNumber == number)
    })
}

/// Bytes of the input before the claims: mode, pubdata hash, index of the first blob.
const BLOB_HEADER: usize = 1 + 32 + 1;
/// Bytes of a claim: value, commitment, proof.
const BLOB_CLAIM: usize = 32 + 48 + 48;

/// What a blob commit claims about its blobs, and their commitments.
type BlobClaims = (Vec<BlobClaim>, Vec<FixedBytes<48>>);

/// The rollup DA validator's input, applied to the transaction's blobs.
fn blob_claims(input: &[u8], hashes: &[B256]) -> Option<BlobClaims> {
    let (header, rest) = input.split_at_checked(BLOB_HEADER)?;
    let pubdata_hash = B256::from_slice(&header[1..33]);
    let first = usize::from(header[33]);
    let count = rest.len() / BLOB_CLAIM;
    if rest.len() % BLOB_CLAIM != 0 || count == 0 || count > MAX_BLOBS_PER_BATCH {
        return None;
    }
    let hashes = hashes.get(first..first + count)?;
    let claim = |(hash, claim): (&B256, &[u8])| BlobClaim {
        versioned_hash: *hash,
        z: evaluation_point(pubdata_hash, *hash),
        y: U256::from_be_slice(&claim[..32]),
    };
    let commitments = rest.chunks(BLOB_CLAIM).map(|c| FixedBytes::from_slice(&c[32..80]));
    let claims = hashes.iter().zip(rest.chunks(BLOB_CLAIM)).map(claim);
    Some((claims.collect(), commitments.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(number: u64) -> CommitBatchInfo {
        CommitBatchInfo {
            batchNumber: number,
            lastBlock: 7,
            firstTimestamp: 1,
            lastTimestamp: 2,
            newStateRoot: B256::repeat_byte(3),
            newLeafCount: 4,
            lastBlockHash: B256::repeat_byte(5),
            priorityOpsCount: 0,
            l2ToL1Root: B256::repeat_byte(6),
            baseFee: 8,
            gasPerPubdata: 9,
            operator: Address::repeat_byte(10),
            daInput: vec![0, 1, 2].into(),
        }
    }

    fn stored() -> crate::bindings::StoredBatchInfo {
        crate::bindings::StoredBatchInfo {
            batchNumber: 3,
            stateRoot: B256::ZERO,
            leafCount: 0,
            lastBlock: 0,
            lastBlockHash: B256::ZERO,
            lastTimestamp: 0,
            priorityOpsCount: 0,
            priorityOpsHashAfter: B256::ZERO,
            l2ToL1Root: B256::ZERO,
            publicInput: B256::ZERO,
        }
    }

    #[test]
    fn commits_are_found_direct_and_wrapped() {
        let call = ZKChain::commitBatchesCall { prev: stored(), batches: vec![info(4), info(5)] };
        let direct = call.abi_encode();
        assert_eq!(find_commit(&direct, 5), Some(info(5)));
        assert_eq!(find_commit(&direct, 6), None);
        // A multicall carries the call whole, behind bytes that look like another start of it.
        let mut wrapped = vec![0xab; 77];
        wrapped.extend(ZKChain::commitBatchesCall::SELECTOR);
        wrapped.extend([0xff; 31]);
        wrapped.extend(&direct);
        wrapped.extend([0; 13]);
        assert_eq!(find_commit(&wrapped, 4), Some(info(4)));
        for cut in 0..direct.len() {
            let _ = find_commit(&direct[..cut], 5);
        }
    }

    #[test]
    fn blobs_are_those_that_the_input_names() {
        let hashes: Vec<B256> = (1..=4).map(B256::repeat_byte).collect();
        let mut input = vec![1];
        input.extend([7; 32]);
        input.push(1);
        input.extend([9; 2 * BLOB_CLAIM]);
        let (claims, commitments) = blob_claims(&input, &hashes).unwrap();
        assert_eq!(commitments, [FixedBytes::repeat_byte(9); 2]);
        let named: Vec<B256> = claims.iter().map(|c| c.versioned_hash).collect();
        assert_eq!(named, hashes[1..3], "not the first, not the last");
        assert_eq!(claims[0].y, U256::from_be_bytes([9; 32]));
        input[33] = 3;
        assert_eq!(blob_claims(&input, &hashes), None, "beyond the transaction's blobs");
        assert_eq!(blob_claims(&input[..input.len() - 1], &hashes), None);
        assert_eq!(blob_claims(&input[..BLOB_HEADER], &hashes), None);
    }

    proptest::proptest! {
        /// Whatever a transaction carries: no commit, or one of the batch that was asked for; and no blobs but its own.
        #[test]
        fn spoilt_commits_are_none_or_of_their_batch(
            edits in proptest::collection::vec((0usize..1_200, proptest::num::u8::ANY), 1..6),
            cut in 0usize..1_200,
            again in 0usize..70,
        ) {
            let call = ZKChain::commitBatchesCall { prev: stored(), batches: vec![info(4), info(5)] };
            let mut input = ZKChain::commitBatchesCall::SELECTOR.repeat(again);
            input.extend(call.abi_encode());
            for (at, value) in edits {
                if let Some(byte) = input.get_mut(4 * again + at) {
                    *byte = value;
                }
            }
            input.truncate(input.len().saturating_sub(cut / 8));
            if let Some(found) = find_commit(&input, 5) {
                proptest::prop_assert_eq!(found.batchNumber, 5);
            }
            let hashes: Vec<B256> = (1..=4).map(B256::repeat_byte).collect();
            if let Some((claims, commitments)) = blob_claims(&input[..input.len().min(cut)], &hashes) {
                proptest::prop_assert_eq!(claims.len(), commitments.len());
                proptest::prop_assert!(claims.iter().all(|c| hashes.contains(&c.versioned_hash)));
            }
        }
    }
}
