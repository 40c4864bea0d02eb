//! Drives batches over L1: commit, prove, execute. It keeps no state of its own: each round starts from L1's counters, so it goes on after a crash
//! between any two steps.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use alloy_eips::{BlockNumberOrTag, eip7594::BlobTransactionSidecarVariant};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types::{Log, TransactionReceipt};
use alloy_sol_types::SolEvent;
use cairn_primitives::{StoredBatchInfo, da::DaMode};
use thiserror::Error;
use tokio::sync::watch;

use crate::{
    batch::{
        Counters, L1Tx, ProofSource, RangeProof, SealedBatch, SharedBatches, SourceError, Step,
    },
    bindings::{self, CommitBatchInfo, ZKChain},
    blobs::{self, BlobsError},
    head::Heads,
    l1::{L1Error, L1Wallet, Send},
    verifier::is_about_the_proof,
};

/// Most batches that one commit, prove or execute transaction carries.
const MAX_BATCHES_PER_TX: u64 = 16;
/// Rounds in a row that L1 may refuse before settlement gives up: half an hour at the longest pause. A pause of the chain is waited for without end.
const MAX_REFUSALS: u32 = 60;
/// Most blocks looked through for the transaction by which a batch took a step.
const HISTORY_WINDOW: u64 = 50_000;
/// Most times that this history is looked through for the same steps.
const HISTORY_LOOKS: u32 = 5;
/// L1 blocks that one query of logs covers.
const HISTORY_STEP: u64 = 1_000;

/// Why settlement cannot go on.
#[derive(Debug, Error)]
pub enum SettlementError {
    /// L1 failed us.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// The node's own storage failed.
    #[error("the node's storage: {0}")]
    Source(SourceError),
    /// Blobs could not be made.
    #[error(transparent)]
    Blobs(#[from] BlobsError),
    /// L1 has committed a batch that is not ours: another operator, or a data directory that fell behind.
    #[error(
        "batch {number} on L1 is {on_l1}, ours is {ours}; this data directory does not belong to that chain or lost data, run `cairn recover --from-l1`"
    )]
    Diverged {
        /// Which batch.
        number: u64,
        /// Hash kept by L1.
        on_l1: B256,
        /// Hash of ours.
        ours: B256,
    },
    /// L1 is ahead of what this node has sealed.
    #[error(
        "L1 has committed batch {on_l1} but this node has sealed only {ours}; run `cairn recover --from-l1`"
    )]
    Behind {
        /// Newest on L1.
        on_l1: u64,
        /// Newest here.
        ours: u64,
    },
    /// The verifier contract refused a proof.
    #[error(
        "the L1 verifier refused the proof of batches {first}..={last}: {reason}; settlement has stopped and the proof is kept as evidence"
    )]
    ProofRefused {
        /// First batch.
        first: u64,
        /// Last batch.
        last: u64,
        /// The contract's words.
        reason: String,
    },
    /// The account is no validator of the chain.
    #[error("{0} is not a validator of the chain on L1; ask the chain's admin for `setValidator`")]
    NotValidator(Address),
}

/// Sends batches to L1.
pub struct Settler {
    wallet: L1Wallet,
    chain: Address,
    batches: SharedBatches,
    proofs: Arc<dyn ProofSource>,
    poll: Duration,
    heads: Heads,
    /// Times that the transactions of steps that L1 has taken are looked for still; 0 when all that can be found are recorded.
    looks: AtomicU32,
}

impl Settler {
    /// A settler for the chain contract at `chain`.
    pub fn new(
        wallet: L1Wallet,
        chain: Address,
        batches: SharedBatches,
        proofs: Arc<dyn ProofSource>,
        poll: Duration,
    ) -> Self {
        let (heads, looks) = (Heads::default(), AtomicU32::new(HISTORY_LOOKS));
        Self { wallet, chain, batches, proofs, poll, heads, looks }
    }

    /// Runs until it is told to stop or cannot go on. Transient errors of L1 are tried again, with a growing pause of at most half a minute.
    ///
    /// # Errors
    /// Only what needs a person: [`SettlementError::Diverged`], [`SettlementError::ProofRefused`], storage failures, and the like.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) -> Result<(), SettlementError> {
        self.check_role().await?;
        let mut pause = self.poll;
        let mut refusals = 0;
        while !*stop.borrow() {
            // Cut off anywhere: the next run starts from L1's counters again.
            let outcome = tokio::select! {
                outcome = self.round() => outcome,
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            };
            pause = match outcome {
                Ok(did) => {
                    refusals = 0;
                    if did { Duration::ZERO } else { self.poll }
                }
                Err(SettlementError::L1(L1Error::Reverted { what, reason, .. }))
                    if refusals < MAX_REFUSALS =>
                {
                    tracing::warn!(what, reason, "L1 refuses; settlement tries again");
                    // Only its admin ends a chain's pause, and only time brings a batch of L2's future into L1's present.
                    let patience = ["ChainPaused", "BatchTimestampInFuture"];
                    refusals += u32::from(!patience.iter().any(|p| reason.starts_with(p)));
                    (pause * 2).clamp(self.poll, Duration::from_secs(30))
                }
                Err(SettlementError::L1(e)) if e.is_transient() => {
                    tracing::warn!(error = %e, "settlement waits for L1");
                    (pause * 2).clamp(self.poll, Duration::from_secs(30))
                }
                Err(e) => return Err(e),
            };
            tokio::select! {
                _ = tokio::time::sleep(pause) => {}
                _ = stop.changed() => {}
            }
        }
        Ok(())
    }

    async fn check_role(&self) -> Result<(), SettlementError> {
        let account = self.wallet.address();
        match self.wallet.l1().call(self.chain, ZKChain::isValidatorCall { account }).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(SettlementError::NotValidator(account)),
            Err(e) if e.is_transient() => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// One round: whatever step L1 can take next. True when it did something.
    ///
    /// # Errors
    /// See [`SettlementError`].
    pub async fn round(&self) -> Result<bool, SettlementError> {
        let before = self.counters().await?;
        let newest = self.batches.newest().map_err(SettlementError::Source)?;
        if before.committed > newest {
            return Err(SettlementError::Behind { on_l1: before.committed, ours: newest });
        }
        self.check_agreement(before.committed).await?;
        self.follow(before).await?;
        let executed = unless_barred(self.execute(before).await)?;
        let proven = unless_barred(self.prove(before).await)?;
        let committed = self.commit(before, newest).await?;
        Ok(executed || proven || committed)
    }

    /// Our batches are where L1 has them, whoever took them there or back. Transactions that are not known yet are looked for.
    async fn follow(&self, on_l1: Counters) -> Result<(), SettlementError> {
        if self.batches.follow(on_l1).map_err(SettlementError::Source)? {
            self.looks.store(HISTORY_LOOKS, Ordering::Relaxed);
        }
        let looks = self.looks.load(Ordering::Relaxed);
        if looks > 0 {
            // A node that lags leaves out the newest without a word.
            let found_all = self.backfill(on_l1).await?;
            self.looks.store(if found_all { 0 } else { looks - 1 }, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn counters(&self) -> Result<Counters, SettlementError> {
        let (l1, chain, at) =
            (self.wallet.l1(), self.chain, self.heads.newest(self.wallet.l1()).await?);
        let committed = l1.call_at(chain, ZKChain::getTotalBatchesCommittedCall {}, at).await?;
        let proven = l1.call_at(chain, ZKChain::getTotalBatchesVerifiedCall {}, at).await?;
        let executed = l1.call_at(chain, ZKChain::getTotalBatchesExecutedCall {}, at).await?;
        let narrow = |v: U256| {
            u64::try_from(v).map_err(|_| L1Error::Nonsense {
                what: "batch counters",
                detail: format!("{v} batches"),
            })
        };
        let p = Counters {
            committed: narrow(committed)?,
            proven: narrow(proven)?,
            executed: narrow(executed)?,
        };
        if p.executed > p.proven || p.proven > p.committed {
            // Another block of that number answered in between.
            return Err(
                L1Error::Nonsense { what: "batch counters", detail: format!("{p:?}") }.into()
            );
        }
        Ok(p)
    }

    /// The newest batch that L1 knows must be ours.
    async fn check_agreement(&self, number: u64) -> Result<(), SettlementError> {
        let ours = self.stored(number)?.hash();
        let call = ZKChain::storedBatchHashCall { batchNumber: U256::from(number) };
        let on_l1 = self.wallet.l1().call(self.chain, call).await?;
        if on_l1.is_zero() {
            // L1 counted the batch a moment ago: another state of it answered, or it has reorganised.
            let detail = format!("none of batch {number}");
            return Err(L1Error::Nonsense { what: "stored batch hash", detail }.into());
        }
        if ours != on_l1 {
            return Err(SettlementError::Diverged { number, on_l1, ours });
        }
        Ok(())
    }

    async fn commit(&self, at: Counters, newest: u64) -> Result<bool, SettlementError> {
        if at.committed == newest {
            return Ok(false);
        }
        let first = at.committed + 1;
        let prev = self.stored(at.committed)?.into();
        let (batches, sidecar) = self.commit_group(first, newest).await?;
        let last = first + batches.len() as u64 - 1;
        let call = ZKChain::commitBatchesCall { prev, batches };
        let mut send = Send::call(format!("commit of batches {first}..={last}"), self.chain, call);
        send.sidecar = sidecar;
        let receipt = self.wallet.send(send).await?;
        self.record(first..=last, Step::Committed, self.l1_tx(&receipt).await?)?;
        tracing::info!(first, last, tx = %receipt.transaction_hash, gas = receipt.gas_used, "committed");
        Ok(true)
    }

    /// Batches that travel in one commit: blobs alone, calldata together.
    async fn commit_group(
        &self,
        first: u64,
        newest: u64,
    ) -> Result<(Vec<CommitBatchInfo>, Option<BlobTransactionSidecarVariant>), SettlementError>
    {
        const CALLDATA_ROOM: usize = 100_000;
        let mut group = Vec::new();
        let mut bytes = 0;
        for number in first..=newest.min(first + MAX_BATCHES_PER_TX - 1) {
            let batch = self.sealed(number)?;
            bytes += batch.pubdata.len();
            match batch.da_mode {
                DaMode::Blobs if group.is_empty() => {
                    let made = blobs::prepare(batch).await?;
                    let info = commit_info(&made.batch, made.da_input);
                    let sidecar = BlobTransactionSidecarVariant::Eip7594(made.sidecar);
                    return Ok((vec![info], Some(sidecar)));
                }
                DaMode::Blobs => break,
                DaMode::Calldata | DaMode::External => {
                    if bytes > CALLDATA_ROOM && !group.is_empty() {
                        break;
                    }
                    group.push(commit_info(&batch, blobs::plain_da_input(&batch)));
                }
            }
        }
        Ok((group, None))
    }

    async fn prove(&self, at: Counters) -> Result<bool, SettlementError> {
        if at.proven == at.committed {
            return Ok(false);
        }
        let first = at.proven + 1;
        let last = at.committed.min(at.proven + MAX_BATCHES_PER_TX);
        let Some(proof) = self.proofs.proof(first, last).map_err(SettlementError::Source)? else {
            return Ok(false);
        };
        if proof.first != first || !(first..=last).contains(&proof.last) {
            let words = format!("a proof of {}..={} for batch {first}", proof.first, proof.last);
            return Err(SettlementError::Source(words.into()));
        }
        let batches = self.stored_range(proof.first, proof.last)?;
        let call = ZKChain::proveBatchesCall {
            prev: self.stored(at.proven)?.into(),
            batches,
            proof: proof.proof.clone(),
        };
        let what = format!("proof of batches {}..={}", proof.first, proof.last);
        match self.wallet.send(Send::call(what, self.chain, call)).await {
            Ok(receipt) => {
                let hash = receipt.transaction_hash;
                let tx = self.l1_tx(&receipt).await?;
                self.record(proof.first..=proof.last, Step::Proven, tx)?;
                tracing::info!(first = proof.first, last = proof.last, tx = %hash, gas = receipt.gas_used, "proven");
                Ok(true)
            }
            Err(L1Error::Reverted { reason, .. }) if is_about_the_proof(&reason) => {
                Err(self.proof_refused(&proof, reason))
            }
            Err(e) => Err(e.into()),
        }
    }

    fn proof_refused(&self, proof: &RangeProof, reason: String) -> SettlementError {
        self.proofs.refused(proof, &reason);
        SettlementError::ProofRefused { first: proof.first, last: proof.last, reason }
    }

    async fn execute(&self, at: Counters) -> Result<bool, SettlementError> {
        if at.executed == at.proven {
            return Ok(false);
        }
        let first = at.executed + 1;
        let last = at.proven.min(at.executed + MAX_BATCHES_PER_TX);
        let batches = self.stored_range(first, last)?;
        let call = ZKChain::executeBatchesCall { batches };
        let what = format!("execution of batches {first}..={last}");
        let receipt = self.wallet.send(Send::call(what, self.chain, call)).await?;
        self.record(first..=last, Step::Executed, self.l1_tx(&receipt).await?)?;
        tracing::info!(first, last, tx = %receipt.transaction_hash, gas = receipt.gas_used, "executed");
        Ok(true)
    }

    /// Finds the L1 transactions of the steps that L1 has taken. What was reverted has such transactions too: only steps that count are recorded, and the newest
    /// transaction of each is the one that counts. True when the newest of each kind were among them.
    async fn backfill(&self, on_l1: Counters) -> Result<bool, SettlementError> {
        let mut found = Counters::default();
        let steps = [
            (ZKChain::BlockCommit::SIGNATURE_HASH, Step::Committed, on_l1.committed),
            (ZKChain::BlockExecution::SIGNATURE_HASH, Step::Executed, on_l1.executed),
        ];
        for ((topic, step, furthest), found) in
            steps.into_iter().zip([&mut found.committed, &mut found.executed])
        {
            for log in self.history(topic).await? {
                let number = topic_number(&log, 1);
                if (1..=furthest).contains(&number) {
                    self.record(number..=number, step, self.l1_tx_of(&log).await?)?;
                    *found = number.max(*found);
                }
            }
        }
        let topic = ZKChain::BlocksVerification::SIGNATURE_HASH;
        for log in self.history(topic).await? {
            let (after, last) = (topic_number(&log, 1), topic_number(&log, 2).min(on_l1.proven));
            let tx = self.l1_tx_of(&log).await?;
            self.record(after.saturating_add(1)..=last, Step::Proven, tx)?;
            found.proven = last.max(found.proven);
        }
        Ok(found == on_l1)
    }

    /// The chain's recent logs of a kind, asked for in ranges that any provider answers.
    async fn history(&self, topic: B256) -> Result<Vec<Log>, SettlementError> {
        let l1 = self.wallet.l1();
        let head = self.heads.newest(l1).await?;
        let mut from = head.saturating_sub(HISTORY_WINDOW);
        let mut found = Vec::new();
        while from <= head {
            let to = head.min(from + HISTORY_STEP - 1);
            found.extend(l1.logs(self.chain, topic, from, to).await?);
            from = to + 1;
        }
        Ok(found)
    }

    async fn l1_tx(&self, receipt: &TransactionReceipt) -> Result<L1Tx, SettlementError> {
        let block = receipt.block_number.unwrap_or_default();
        self.heads.saw(block);
        let timestamp = self.timestamp(block).await?;
        let gas_used = Some(receipt.gas_used);
        Ok(L1Tx { hash: receipt.transaction_hash, block, timestamp, gas_used })
    }

    async fn l1_tx_of(&self, log: &Log) -> Result<L1Tx, SettlementError> {
        let block = log.block_number.unwrap_or_default();
        let timestamp = self.timestamp(block).await?;
        let hash = log.transaction_hash.unwrap_or_default();
        let gas_used = self.wallet.l1().receipt(hash).await?.map(|r| r.gas_used);
        Ok(L1Tx { hash, block, timestamp, gas_used })
    }

    async fn timestamp(&self, block: u64) -> Result<u64, SettlementError> {
        let found = self.wallet.l1().block(BlockNumberOrTag::Number(block)).await?;
        let missing = || L1Error::Nonsense { what: "a block", detail: format!("none of {block}") };
        Ok(found.ok_or_else(missing)?.2)
    }

    fn record(
        &self,
        batches: RangeInclusive<u64>,
        step: Step,
        tx: L1Tx,
    ) -> Result<(), SettlementError> {
        if batches.is_empty() {
            return Ok(());
        }
        self.batches.record(batches, step, tx).map_err(SettlementError::Source)
    }

    fn stored_range(
        &self,
        first: u64,
        last: u64,
    ) -> Result<Vec<bindings::StoredBatchInfo>, SettlementError> {
        (first..=last).map(|n| self.stored(n).map(Into::into)).collect()
    }

    fn stored(&self, number: u64) -> Result<StoredBatchInfo, SettlementError> {
        let found = self.batches.stored(number).map_err(SettlementError::Source)?;
        found.ok_or_else(|| missing(number))
    }

    fn sealed(&self, number: u64) -> Result<SealedBatch, SettlementError> {
        let found = self.batches.sealed(number).map_err(SettlementError::Source)?;
        found.ok_or_else(|| missing(number))
    }
}

/// A blob transaction that waits in L1's pool bars all others of its account (geth's rule): only the next commit, which carries blobs too, can take its place.
fn unless_barred(outcome: Result<bool, SettlementError>) -> Result<bool, SettlementError> {
    match outcome {
        Err(SettlementError::L1(e @ L1Error::Barred { .. })) => {
            tracing::warn!(error = %e, "a commit goes first");
            Ok(false)
        }
        other => other,
    }
}

fn missing(number: u64) -> SettlementError {
    SettlementError::Source(format!("sealed batch {number} is missing").into())
}

fn topic_number(log: &Log, index: usize) -> u64 {
    let word = log.topics().get(index).copied().unwrap_or_default();
    u64::try_from(U256::from_be_bytes(word.0)).unwrap_or(u64::MAX)
}

fn commit_info(batch: &SealedBatch, da_input: Bytes) -> CommitBatchInfo {
    let p = &batch.public_input;
    CommitBatchInfo {
        batchNumber: p.batch_number,
        lastBlock: p.last_block,
        firstTimestamp: p.first_timestamp,
        lastTimestamp: p.last_timestamp,
        newStateRoot: p.new_state_root,
        newLeafCount: p.new_leaf_count,
        lastBlockHash: p.last_block_hash,
        priorityOpsCount: p.priority_ops_count,
        l2ToL1Root: p.l2_to_l1_root,
        baseFee: batch.fee_params.base_fee,
        gasPerPubdata: batch.fee_params.gas_per_pubdata,
        operator: p.operator,
        daInput: da_input,
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::LogData;

    use super::*;

    #[test]
    fn a_topic_is_a_number_whatever_it_holds() {
        let topics = vec![B256::ZERO, B256::with_last_byte(7), B256::repeat_byte(0xff)];
        let data = LogData::new_unchecked(topics, Bytes::new());
        let inner = alloy_primitives::Log { address: Address::ZERO, data };
        let log = Log { inner, ..Log::default() };
        let numbers: Vec<u64> = (0..4).map(|index| topic_number(&log, index)).collect();
        assert_eq!(numbers, [0, 7, u64::MAX, 0]);
    }
}
