//! Placeholder; see ARCHITECTURE.md.
#![no_std]

pub mod poseidon2;
