//! Native building of batches from executed blocks.

use alloc::{collections::VecDeque, vec::Vec};

use alloy_primitives::{Address, B256, Bytes};
use cairn_primitives::{
    BlockHeader, ChainConfig, FeeParams, PublicInput, Transaction, da::DaMode,
    priority::roll_priority_hash,
};
use cairn_state::{Digest, Key, TreeUpdate, TreeWitness, Write};

use super::{
    BatchError, BatchInput, BatchWitness, BlockInput,
    run::{self, BatchResult, Executed},
};
use crate::{
    block::BlockOutput,
    changes::{StateChanges, TouchedKeys},
    limits::BLOCK_HASH_WINDOW,
    meter::BatchUsage,
    pubdata::{self, PublishedBlock},
    tx::RecoveredTx,
};

/// Where a batch starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchStart {
    /// The chain.
    pub config: ChainConfig,
    /// See [`BatchInput::guest_program_id`].
    pub guest_program_id: B256,
    /// Fee parameters of all its blocks.
    pub fees: FeeParams,
    /// Fee recipient of all its blocks.
    pub operator: Address,
    /// Number of the batch.
    pub batch_number: u64,
    /// State root before.
    pub prev_state_root: B256,
    /// Leaves before.
    pub prev_leaf_count: u64,
    /// Rolling hash of the priority operations consumed before.
    pub priority_ops_hash_before: B256,
    /// The last block before.
    pub prev_header: BlockHeader,
}

/// Gathers executed blocks into a batch.
///
/// Feed blocks in order; when the batch is to be sealed, ask for [`Self::tree_keys`], have the tree prove them, and call [`Self::prepare`].
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    start: BatchStart,
    blocks: Vec<BlockInput>,
    executed: Executed,
    touched: TouchedKeys,
    usage: BatchUsage,
}

impl BatchBuilder {
    /// An empty batch.
    pub fn new(start: BatchStart) -> Self {
        let executed = Executed {
            blocks: Vec::new(),
            changes: StateChanges::default(),
            logs: Vec::new(),
            messages: Vec::new(),
            last_block: start.prev_header.number,
            last_timestamp: start.prev_header.timestamp,
            last_block_hash: start.prev_header.hash(),
            priority_ops: 0,
            priority_ops_hash: start.priority_ops_hash_before,
        };
        Self {
            start,
            blocks: Vec::new(),
            executed,
            touched: TouchedKeys::default(),
            usage: BatchUsage::EMPTY_BATCH,
        }
    }

    /// Adds the next block with its transactions.
    ///
    /// # Errors
    /// [`BatchError::NotConsecutive`] when it does not follow, or was built with other fee parameters or another operator.
    pub fn add_block<'a>(
        &mut self,
        output: &BlockOutput,
        txs: impl IntoIterator<Item = &'a RecoveredTx>,
    ) -> Result<(), BatchError> {
        let header = &output.header;
        let want = self.executed.last_block + 1;
        let continues = header.number == want
            && header.parent_hash == self.executed.last_block_hash
            && header.base_fee == self.start.fees.base_fee
            && header.beneficiary == self.start.operator
            && header.chain_id == self.start.config.chain_id;
        if !continues {
            return Err(BatchError::NotConsecutive { have: header.number, want });
        }
        let mut block = BlockInput { timestamp: header.timestamp, txs: Vec::new() };
        for tx in txs {
            if let Transaction::Priority(op) = &tx.tx {
                self.executed.priority_ops += 1;
                let rolling = self.executed.priority_ops_hash;
                self.executed.priority_ops_hash = roll_priority_hash(rolling, op.hash);
            }
            block.txs.push(tx.encode().into());
        }
        self.blocks.push(block);
        self.executed.blocks.push(PublishedBlock::of(header, self.executed.last_timestamp));
        self.executed.changes.append(&output.changes);
        self.executed.logs.extend_from_slice(&output.l2_to_l1_logs);
        self.executed.messages.extend_from_slice(&output.messages);
        self.executed.last_block = header.number;
        self.executed.last_timestamp = header.timestamp;
        self.executed.last_block_hash = output.hash;
        self.touched.append(&output.touched);
        self.usage.add(&output.usage);
        Ok(())
    }

    /// How full the batch is.
    pub fn usage(&self) -> &BatchUsage {
        &self.usage
    }

    /// Blocks so far.
    pub fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// The keys that the tree must prove for the witness.
    pub fn tree_keys(&self) -> Vec<Key> {
        self.touched.tree_keys()
    }

    /// The tree writes of the batch, ascending by key.
    pub fn writes(&self) -> Vec<Write> {
        self.executed.changes.writes()
    }

    /// Code hashes whose bytes the witness must hold.
    pub fn codes_needed(&self) -> impl Iterator<Item = &B256> {
        self.touched.codes_read.iter()
    }

    /// How many headers before the batch the witness must hold (the last block before included).
    pub fn ancestors_needed(&self) -> usize {
        let last = self.start.prev_header.number;
        let reach = self.touched.lowest_block_hash.map_or(1, |n| last.saturating_sub(n) + 1);
        reach.clamp(1, BLOCK_HASH_WINDOW) as usize
    }

    /// Computes the batch's result and witness. `tree` proves [`Self::tree_keys`]; `code` and `header` look up what the batch read.
    ///
    /// # Errors
    /// [`BatchError`] when the witness does not fit the batch, or something is not supplied.
    pub fn prepare(
        self,
        tree: TreeWitness,
        mut code: impl FnMut(B256) -> Option<Bytes>,
        mut header: impl FnMut(u64) -> Option<BlockHeader>,
    ) -> Result<PreparedBatch, BatchError> {
        let root =
            Digest::try_from(self.start.prev_state_root).map_err(|_| BatchError::PrevRoot)?;
        let writes = self.writes();
        let update = tree.view().open(root, self.start.prev_leaf_count)?.apply(&writes)?;
        let mut codes = Vec::new();
        for hash in &self.touched.codes_read {
            // Code that a block of this batch published is in the journal when the batch is executed as one.
            if self.executed.changes.codes.contains_key(hash) {
                continue;
            }
            codes.push((*hash, code(*hash).ok_or(BatchError::MissingCode(*hash))?));
        }
        let mut ancestors: VecDeque<BlockHeader> = VecDeque::from([self.start.prev_header.clone()]);
        for back in 1..self.ancestors_needed() as u64 {
            let number = self.start.prev_header.number - back;
            ancestors.push_back(header(number).ok_or(BatchError::AncestorChain(back as usize))?);
        }
        let pubdata = pubdata::encode(
            &self.executed.blocks,
            &self.executed.logs,
            &self.executed.messages,
            self.executed.changes.codes.values(),
            &update.diffs,
        );
        Ok(PreparedBatch {
            input: self.input(ancestors.into()),
            executed: self.executed,
            codes,
            tree,
            update,
            writes,
            pubdata,
        })
    }

    fn input(&self, ancestors: Vec<BlockHeader>) -> BatchInput {
        BatchInput {
            config: self.start.config.clone(),
            guest_program_id: self.start.guest_program_id,
            fees: self.start.fees,
            operator: self.start.operator,
            da_mode: DaMode::Calldata,
            blob_hashes: Vec::new(),
            batch_number: self.start.batch_number,
            prev_state_root: self.start.prev_state_root,
            prev_leaf_count: self.start.prev_leaf_count,
            priority_ops_hash_before: self.start.priority_ops_hash_before,
            ancestors,
            blocks: self.blocks.clone(),
        }
    }
}

/// A batch that lacks only the choice of data availability: blobs are made from [`Self::pubdata`].
#[derive(Debug, Clone)]
pub struct PreparedBatch {
    input: BatchInput,
    executed: Executed,
    codes: Vec<(B256, Bytes)>,
    tree: TreeWitness,
    update: TreeUpdate,
    writes: Vec<Write>,
    pubdata: Vec<u8>,
}

impl PreparedBatch {
    /// The data that must be available.
    pub fn pubdata(&self) -> &[u8] {
        &self.pubdata
    }

    /// Seals the batch with its data-availability mode and, for blobs, their versioned hashes.
    ///
    /// # Errors
    /// [`BatchError`] when the mode is not the chain's policy, or the hashes are not those of as many blobs as the pubdata takes.
    pub fn seal(
        mut self,
        da_mode: DaMode,
        blob_hashes: Vec<B256>,
    ) -> Result<SealedBatch, BatchError> {
        self.input.da_mode = da_mode;
        self.input.blob_hashes = blob_hashes;
        let result = run::conclude_with(&self.input, &self.executed, self.update, self.pubdata)?;
        let witness = BatchWitness { input: self.input, codes: self.codes, tree: self.tree };
        Ok(SealedBatch { witness: witness.encode(), writes: self.writes, result })
    }
}

/// A finished batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedBatch {
    /// The encoded [`BatchWitness`]: what attesters and provers take.
    pub witness: Vec<u8>,
    /// The tree writes, ascending by key: what the node's own tree takes.
    pub writes: Vec<Write>,
    /// Public input, pubdata, new root and logs.
    pub result: BatchResult,
}

impl SealedBatch {
    /// The claims that L1 checks.
    pub fn public_input(&self) -> &PublicInput {
        &self.result.public_input
    }
}
