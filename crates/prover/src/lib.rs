//! Cairn's base prover: the chips (AIRs and trace generation), shards, and the verifier of a chain of shard proofs.
//!
//! Plonky3 appears only in this crate and in `recursion`.

pub mod bench;
pub mod bus;
pub mod check;
pub mod chips;
pub mod columns;
pub mod config;
pub mod counts;
pub mod docs;
pub mod generate;
pub mod memory;
pub mod meter;
pub mod program;
pub mod run;
pub mod security;
pub mod selftest;
pub mod shape;
pub mod shard;
pub mod stark;
#[cfg(test)]
pub mod testing;
pub mod trace;
pub mod verify;
pub mod work;
