//! Transactions that wait for a block.
//!
//! Each sender has a queue ordered by nonce. A transaction is *executable* when all nonces from the account's own up to it are there; the others
//! are *queued* behind a gap. Blocks take executable transactions by tip, best first, each sender's in nonce order, and the oldest first
//! among equals. The pool holds no lock, no clock and no disk: time and account states are given.

mod pool;
mod select;

pub(crate) use pool::tip;
pub use pool::{Added, Mempool, PooledTx};
pub use select::BestTransactions;

#[cfg(test)]
mod tests;
