//! Cairn's base prover: the chips (AIRs and trace generation), shards, and the verifier of a chain of shard proofs.
//!
//! Plonky3 appears only in this crate and in `recursion`.

pub mod bus;
pub mod chips;
pub mod counts;
#[cfg(test)]
pub mod testing;
