//! Transactions that wait for a block.
//!
//! Each sender has a queue ordered by nonce. A transaction is *executable* when all nonces from the account's own up to it are there; the others
//! are *queued* behind a gap. Blocks take executable transactions by tip, best first, each sender's in nonce order, and the oldest first
//! among equals. Transactions whose validity is up to code (accounts with code, paymasters) are validated before they enter, under ERC-7562's rules,
//! and again when storage that they rest on changes. The pool holds no lock, no clock and no disk: time and account states are given.

mod accounts;
mod pool;
mod rules;
mod select;

pub use accounts::Judged;
pub(crate) use accounts::eip712;
pub(crate) use pool::tip;
pub use pool::{Added, Mempool, PooledTx};
pub(crate) use rules::Rules;
pub use select::BestTransactions;

#[cfg(test)]
mod tests;
