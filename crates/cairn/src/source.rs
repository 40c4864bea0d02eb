//! The node's storage as settlement, the watcher and an in-process attester see it.

use std::{ops::RangeInclusive, sync::Arc};

use alloy_primitives::{B256, Bytes};
use cairn_primitives::{StoredBatchInfo, priority::PriorityTx};
use cairn_sequencer::Sequencer;
use cairn_settlement::{
    attester::{AttestationPool, AttestationStore, AttesterNode},
    batch::{BatchSource, Counters, L1Tx, SealedBatch, SourceError, Step},
    watcher::PrioritySink,
};
use cairn_storage::Storage;

/// Sealed batches, from storage.
pub struct NodeBatches(pub Storage);

impl BatchSource for NodeBatches {
    fn newest(&self) -> Result<u64, SourceError> {
        Ok(self.0.batch_heads().sealed)
    }

    fn stored(&self, number: u64) -> Result<Option<StoredBatchInfo>, SourceError> {
        if number > self.newest()? {
            return Ok(None);
        }
        Ok(Some(self.0.batch_info(number)?))
    }

    fn sealed(&self, number: u64) -> Result<Option<SealedBatch>, SourceError> {
        let Some(record) = self.0.batch(number)? else { return Ok(None) };
        Ok(Some(SealedBatch {
            pubdata: self.0.batch_pubdata(number)?.into(),
            public_input: record.public_input,
            stored: record.info,
            fee_params: record.fee_params,
            da_mode: record.da_mode,
            claims: record.blob_claims,
            commitments: record.blob_commitments,
        }))
    }

    fn follow(&self, on_l1: Counters) -> Result<bool, SourceError> {
        Ok(self.0.follow_settlement(on_l1.committed, on_l1.proven, on_l1.executed)?)
    }

    fn record(
        &self,
        batches: RangeInclusive<u64>,
        step: Step,
        tx: L1Tx,
    ) -> Result<(), SourceError> {
        let (first, last) = batches.into_inner();
        let tx = cairn_storage::L1Tx {
            hash: tx.hash,
            block: tx.block,
            timestamp: tx.timestamp,
            gas_used: tx.gas_used,
        };
        match step {
            Step::Committed => self.0.record_committed(first, last, tx)?,
            Step::Proven => self.0.record_proven(first, last, tx)?,
            Step::Executed => self.0.record_executed(first, last, tx)?,
        }
        Ok(())
    }
}

/// Attestations, kept with their batches.
pub struct NodeAttestations(pub Storage);

/// Name under which a batch's attestations of a claim are kept.
fn attestation_name(public_input: B256) -> String {
    format!("attestations/{public_input}")
}

impl AttestationStore for NodeAttestations {
    fn claim(&self, number: u64) -> Result<Option<B256>, SourceError> {
        Ok(self.0.batch(number)?.map(|record| record.info.publicInput))
    }

    fn load(&self, number: u64, public_input: B256) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.0.proof(number, &attestation_name(public_input))?)
    }

    fn save(&self, number: u64, public_input: B256, bytes: &[u8]) -> Result<(), SourceError> {
        Ok(self.0.put_proof(number, &attestation_name(public_input), bytes)?)
    }
}

/// Takes priority operations into the sequencer.
pub struct NodePriority {
    /// Where they are kept, and executed.
    pub sequencer: Sequencer,
    /// L1 block of the chain's creation: nothing was queued before.
    pub created_at: u64,
}

impl PrioritySink for NodePriority {
    fn next(&self) -> Result<(u64, B256), SourceError> {
        Ok(self.sequencer.storage().priority_queue()?)
    }

    fn cursor(&self) -> Result<u64, SourceError> {
        let before = self.created_at.saturating_sub(1);
        Ok(self.sequencer.storage().l1_cursor()?.max(before))
    }

    fn accept(&self, operations: Vec<PriorityTx>, cursor: u64) -> Result<(), SourceError> {
        Ok(self.sequencer.submit_priority_ops(operations, cursor)?)
    }

    fn caught_up(&self) {
        self.sequencer.saw_l1();
    }

    fn rewind(&self) -> Result<(), SourceError> {
        let consumed = self.sequencer.storage().next_priority_id()?;
        self.sequencer.drop_priority_ops_from(consumed)?;
        Ok(self.sequencer.submit_priority_ops(Vec::new(), self.created_at.saturating_sub(1))?)
    }
}

/// An attester in the node's own process.
pub struct LocalAttestation {
    /// Where witnesses come from.
    pub storage: Storage,
    /// Where signatures go.
    pub pool: Arc<AttestationPool>,
}

impl AttesterNode for LocalAttestation {
    async fn newest(&self) -> Result<u64, SourceError> {
        Ok(self.storage.batch_heads().sealed)
    }

    async fn is_final(&self, number: u64) -> Result<bool, SourceError> {
        Ok(number <= self.storage.batch_heads().executed)
    }

    async fn witness(&self, number: u64) -> Result<(Bytes, B256), SourceError> {
        let record = self.storage.batch(number)?.ok_or("no such batch")?;
        let witness = self.storage.batch_witness(number)?.ok_or("its witness was dropped")?;
        Ok((witness.into(), record.info.publicInput))
    }

    async fn submit(&self, number: u64, signature: Bytes) -> Result<(), SourceError> {
        let record = self.storage.batch(number)?.ok_or("no such batch")?;
        Ok(self.pool.submit(number, record.info.publicInput, &signature)?)
    }
}
