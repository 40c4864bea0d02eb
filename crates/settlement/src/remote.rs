//! A node as an attester in another process sees it: witnesses over its JSON-RPC, claims from L1.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_provider::Provider;
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolEvent;
use cairn_primitives::batch::witness_request_digest;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::{
    attester::AttesterNode,
    batch::SourceError,
    bindings::ZKChain,
    l1::{L1, L1Error},
};

/// Largest witness that is taken, in bytes; the state-transition function takes no larger one.
const MAX_WITNESS: u64 = 256 << 20;
/// L1 blocks looked through in one query.
const WINDOW: u64 = 1_000;
/// L1 blocks looked through again in each round: a commit may have moved in a reorg.
const OVERLAP: u64 = 64;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WitnessPart {
    size: u64,
    data: Bytes,
    public_input: B256,
}

/// Commits on L1 as far as they were read.
#[derive(Default)]
struct Commits {
    /// L1 block up to which logs were read.
    read_to: u64,
    /// What L1 holds of each batch.
    claims: BTreeMap<u64, B256>,
}

/// A node behind its RPC, for one attester.
pub struct RemoteNode {
    node: L1,
    l1: L1,
    chain: Address,
    signer: PrivateKeySigner,
    commits: Mutex<Commits>,
}

impl RemoteNode {
    /// The node behind `node` (any JSON-RPC connection) of the chain contract at `chain`, whose commits lie above L1 block `from_block`.
    pub fn new(
        node: L1,
        l1: L1,
        chain: Address,
        signer: PrivateKeySigner,
        from_block: u64,
    ) -> Self {
        let commits = Commits { read_to: from_block, ..Commits::default() };
        Self { node, l1, chain, signer, commits: Mutex::new(commits) }
    }

    /// Number of the first batch that L1 holds no proof of.
    ///
    /// # Errors
    /// When L1 does not answer.
    pub async fn first_unproven(&self) -> Result<u64, L1Error> {
        let proven = self.l1.call(self.chain, ZKChain::getTotalBatchesVerifiedCall {}).await?;
        Ok(u64::try_from(proven).unwrap_or(u64::MAX).saturating_add(1))
    }

    /// Reads the commits that are new on L1, and forgets what is proven.
    async fn read_commits(&self) -> Result<(), SourceError> {
        let head = self.l1.block_number().await?;
        let first = self.first_unproven().await?;
        let mut from = self.commits.lock().read_to.saturating_sub(OVERLAP);
        while from <= head {
            let to = head.min(from + WINDOW - 1);
            let topic = ZKChain::BlockCommit::SIGNATURE_HASH;
            let logs = self.l1.logs(self.chain, topic, from, to).await?;
            let mut commits = self.commits.lock();
            for log in logs {
                let event = ZKChain::BlockCommit::decode_log(&log.inner)?;
                let number = u64::try_from(event.batchNumber).unwrap_or(u64::MAX);
                if number >= first {
                    commits.claims.insert(number, event.commitment);
                }
            }
            commits.read_to = to;
            drop(commits);
            from = to + 1;
        }
        self.commits.lock().claims.retain(|number, _| *number >= first);
        Ok(())
    }

    async fn part(
        &self,
        number: u64,
        offset: u64,
        signature: &Bytes,
    ) -> Result<WitnessPart, SourceError> {
        let params = (U64::from(number), U64::from(offset), signature);
        let part: Option<WitnessPart> =
            self.node.provider().raw_request("cairn_getWitness".into(), params).await?;
        Ok(part.ok_or("the node has not sealed that batch")?)
    }
}

impl AttesterNode for RemoteNode {
    /// Only what L1 holds the data of is attested.
    async fn newest(&self) -> Result<u64, SourceError> {
        self.read_commits().await?;
        let committed = self.l1.call(self.chain, ZKChain::getTotalBatchesCommittedCall {}).await?;
        Ok(u64::try_from(committed).unwrap_or(u64::MAX))
    }

    async fn is_final(&self, number: u64) -> Result<bool, SourceError> {
        let executed = self.l1.call(self.chain, ZKChain::getTotalBatchesExecutedCall {}).await?;
        Ok(U256::from(number) <= executed)
    }

    async fn witness(&self, number: u64) -> Result<(Bytes, B256), SourceError> {
        let claim = self.commits.lock().claims.get(&number).copied();
        let claim =
            claim.ok_or_else(|| format!("the commit of batch {number} is not on L1 yet"))?;
        let digest = witness_request_digest(self.node.chain_id(), number);
        let signature = Bytes::copy_from_slice(&self.signer.sign_hash_sync(&digest)?.as_bytes());
        let mut witness: Vec<u8> = Vec::new();
        loop {
            let part = self.part(number, witness.len() as u64, &signature).await?;
            if part.public_input != claim {
                // The node cut the batch anew, or L1 reorganised: the next round reads both again.
                return Err(format!(
                    "batch {number}: the node claims {}, L1 holds {claim}",
                    part.public_input
                )
                .into());
            }
            if part.size > MAX_WITNESS {
                return Err(format!("a witness of {} bytes is too large", part.size).into());
            }
            witness.extend_from_slice(&part.data);
            match (witness.len() as u64).cmp(&part.size) {
                std::cmp::Ordering::Equal => return Ok((witness.into(), claim)),
                std::cmp::Ordering::Less if !part.data.is_empty() => {}
                _ => return Err("the node's witness is not as long as it says".into()),
            }
        }
    }

    async fn submit(&self, number: u64, signature: Bytes) -> Result<(), SourceError> {
        let params = (U256::from(number), signature);
        let _: bool =
            self.node.provider().raw_request("cairn_submitAttestation".into(), params).await?;
        Ok(())
    }
}
