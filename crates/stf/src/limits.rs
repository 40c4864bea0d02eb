//! Bounds that are consensus rules: a block or batch beyond them is invalid, whoever built it.

use cairn_primitives::da::MAX_PUBDATA;
pub use cairn_primitives::{config::BLOCK_GAS_LIMIT, l2_to_l1::MAX_LOGS_PER_BATCH};

/// Most gas of one transaction (EIP-7825).
pub const TX_GAS_LIMIT: u64 = 1 << 24;
/// Most transactions of one block.
pub const MAX_TXS_PER_BLOCK: usize = 10_000;
/// Most blocks of one batch.
pub const MAX_BLOCKS_PER_BATCH: usize = 10_000;
/// Most transactions of one batch.
pub const MAX_TXS_PER_BATCH: usize = 100_000;
/// Most pubdata bytes that one transaction may cause; beyond, it reverts, charged in full. Well below [`MAX_PUBDATA`], so that no transaction
/// (a priority operation cannot be refused) makes a batch that does not fit.
pub const MAX_PUBDATA_PER_TX: u64 = 100_000;
/// How many blocks back BLOCKHASH and EIP-2935 reach.
pub const BLOCK_HASH_WINDOW: u64 = 256;

const _: () = assert!((MAX_PUBDATA_PER_TX as usize) * 4 < MAX_PUBDATA);
