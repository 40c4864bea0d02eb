//! A chain's first block, state and batch in the store.

use alloy_primitives::B256;
use cairn_primitives::config::BLOCK_GAS_LIMIT;
use cairn_state::{MemStore, Tree, TreeChanges};
use cairn_stf::genesis::{Genesis, GenesisConfig};
use cairn_storage::{BlockRecord, ChainIdentity, Storage};

use crate::builder::state_diff;
use crate::clock::unix_now_ms;
use crate::error::SequencerError;

/// Opens a data directory for a chain and writes genesis into a fresh one.
///
/// # Errors
/// When it belongs to another chain or version, is in use, or the disk fails.
pub fn open_storage(
    path: impl AsRef<std::path::Path>,
    config: &GenesisConfig,
) -> Result<Storage, SequencerError> {
    let refused = |e: &dyn std::fmt::Display| SequencerError::Refused(format!("genesis: {e}"));
    let genesis = config.build().map_err(|e| refused(&e))?;
    let identity =
        ChainIdentity { config: config.config.clone(), genesis_digest: digest(&genesis) };
    let storage = Storage::open(path, &identity)?;
    if storage.is_initialized() {
        return Ok(storage);
    }
    let (update, changes) =
        Tree::new(MemStore::new()).compute(&genesis.writes).map_err(|e| refused(&e))?;
    if update != genesis.update {
        return Err(refused(&"the tree's root is not that of the state-transition function"));
    }
    let block = BlockRecord {
        header: genesis.header.clone(),
        hash: genesis.hash,
        gas_limit: BLOCK_GAS_LIMIT,
        gas_per_pubdata: 0,
        tx_count: 0,
        priority_count: 0,
        l2_to_l1_count: 0,
        pubdata_bytes: 0,
        size: 0,
        built_at_ms: unix_now_ms(),
    };
    let tree = [TreeChanges::genesis(), changes];
    storage.init_genesis(&block, &state_diff(&genesis.changes), &tree, &genesis.batch_info())?;
    Ok(storage)
}

/// The genesis block's hash and the state root: all that a configuration determines.
fn digest(genesis: &Genesis) -> B256 {
    cairn_primitives::header::keccak2(genesis.hash, B256::from(genesis.update.root.to_bytes()))
}
