//! Recursion: circuits that verify batch-STARK proofs, and the proofs of such circuits.
//!
//! [`circuit`] builds circuits, [`run`] executes them, [`air`] has their tables, [`prove`] proves and verifies them.

pub mod aggregate;
pub mod air;
pub mod circuit;
pub mod claim;
pub mod leaf;
pub mod prove;
pub mod run;
pub mod security;
pub mod verifier;
