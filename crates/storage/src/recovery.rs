//! A data directory from what a settlement layer tells: batches one by one ([`Storage::seal_batch`] without a witness, [`Storage::follow_settlement`]), then the
//! chain that they are of.

use alloy_primitives::{B256, Bloom, Bytes, U256};
use cairn_state::Key;

use crate::chain::META_NEXT_PRIORITY;
use crate::chain::{ACCOUNTS, BLOCK_BY_HASH, BLOCKS, BLOOMS, CODE_BLOCK, CODES, RECOVERED, SLOTS};
use crate::db::{META, META_RECOVERED_AT, Storage, encode};
use crate::error::{Result, StorageError};
use crate::model::BlockRecord;

/// A chain as of the last block of its last recovered batch.
#[derive(Debug)]
pub struct RecoveredChain<L, C> {
    /// All blocks after genesis, in order; their transactions are not known.
    pub blocks: Vec<BlockRecord>,
    /// Every leaf of the state tree.
    pub leaves: L,
    /// All published code by its keccak256.
    pub codes: C,
    /// Priority operations consumed.
    pub next_priority_id: u64,
}

impl Storage {
    /// Ends a recovery: the chain as of its last recovered batch, at once. Before it the directory cannot be used (its batches are ahead of its chain).
    ///
    /// # Errors
    /// [`StorageError::Order`] when a block beyond genesis is there, or the blocks do not end where the last batch does; a fault of the disk.
    pub fn finish_recovery<L, C>(&self, chain: RecoveredChain<L, C>) -> Result<()>
    where
        L: IntoIterator<Item = (Key, U256)>,
        C: IntoIterator<Item = (B256, Bytes)>,
    {
        let order = |what, got, expected| Err(StorageError::Order { what, got, expected });
        if self.head_number() != 0 {
            return order("recovered chain", 0, self.head_number() + 1);
        }
        let Some(last) = chain.blocks.last() else { return Ok(()) };
        let (end, sealed) = (last.header.number, self.batch_heads().last_sealed_block);
        if end != sealed {
            return order("last recovered block", end, sealed);
        }
        let txn = self.inner.chain.begin_write()?;
        {
            // Genesis is among the leaves, as it is by now.
            txn.delete_table(ACCOUNTS)?;
            txn.delete_table(SLOTS)?;
            txn.open_table(ACCOUNTS)?;
            txn.open_table(SLOTS)?;
            let mut recovered = txn.open_table(RECOVERED)?;
            for (key, value) in chain.leaves {
                recovered.insert(&key.to_bytes(), &value.to_be_bytes::<32>())?;
            }
            let mut codes = txn.open_table(CODES)?;
            let mut code_block = txn.open_table(CODE_BLOCK)?;
            for (hash, code) in chain.codes {
                codes.insert(&hash.0, &code[..])?;
                code_block.insert(&hash.0, 0)?;
            }
            let mut blocks = txn.open_table(BLOCKS)?;
            let mut by_hash = txn.open_table(BLOCK_BY_HASH)?;
            let mut blooms = txn.open_table(BLOOMS)?;
            for block in &chain.blocks {
                let number = block.header.number;
                blocks.insert(number, &encode(block)?[..])?;
                by_hash.insert(&block.hash.0, number)?;
                blooms.insert(number, &Bloom::ZERO.0.0)?;
            }
            let mut meta = txn.open_table(META)?;
            meta.insert(META_NEXT_PRIORITY, &chain.next_priority_id.to_be_bytes()[..])?;
            meta.insert(META_RECOVERED_AT, &end.to_be_bytes()[..])?;
        }
        txn.commit()?;
        self.load_head()
    }
}
