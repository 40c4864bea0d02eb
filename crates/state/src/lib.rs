//! The state of a Cairn chain: one flat key-value map in an indexed Merkle tree over Poseidon2.
//!
//! | file | holds |
//! |---|---|
//! | [`digest`] | digests, the hash, the digests of empty subtrees |
//! | [`key`] | from (domain, address, slot) to a leaf's key |
//! | [`account`] | an account's nonce, balance and code flag as one value |
//! | [`leaf`] | leaves and their hash |
//! | [`code`] | the Poseidon2 hash of code bytes |
//! | [`update`] | writes, and what a batch of them did |
//! | [`witness`] | batch multi-proofs: read state and compute the next root from a witness alone (`no_std`) |
//! | [`pubdata`] | state diffs as bytes, from which anyone rebuilds the tree (`no_std`) |
//! | [`store`] | the border to storage, and an in-memory store (`std`) |
//! | [`tree`] | the full native tree: lookups, proofs, updates (`std`) |
//!
//! The invariant of the crate: a new root follows from the old root, a witness and the writes, and from nothing else.
//!
//! A key that was never written is *absent* and reads as zero. Writing a value that is already there (zero to an
//! absent key included) changes nothing: no leaf, no state diff.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod account;
pub mod code;
pub mod digest;
pub mod key;
pub mod leaf;
pub mod pubdata;
#[cfg(feature = "std")]
pub mod store;
#[cfg(feature = "std")]
pub mod tree;
pub mod update;
pub mod witness;

pub use account::AccountLeaf;
pub use digest::Digest;
pub use key::Key;
pub use leaf::Leaf;
#[cfg(feature = "std")]
pub use store::{MemStore, TreeChanges, TreeMeta, TreeReader, TreeStore};
#[cfg(feature = "std")]
pub use tree::{Tree, TreeError};
pub use update::{InitialWrite, RepeatedWrite, StateDiffs, TreeUpdate, Write};
pub use witness::{TreeWitness, WitnessError, WitnessState, WitnessView};

/// The depth of the tree: 2^40 positions.
pub const DEPTH: usize = 40;

/// The most leaves a tree can hold: all positions but one, so that there always is a first free position.
pub const CAPACITY: u64 = (1 << DEPTH) - 1;

/// The leaves of an empty state: the two sentinels with the least and the greatest key.
pub const GENESIS_LEAF_COUNT: u64 = 2;
