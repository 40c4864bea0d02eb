//! Everything between a chain and the layer it settles on: the L1 client, contract deployment, the watcher of priority operations, the sender of
//! commit / prove / execute, attesters, recovery from L1 alone, and the user's side of the bridge.

pub mod artifacts;
pub mod attester;
pub mod batch;
pub mod bindings;
pub mod blobs;
pub mod bridge;
pub mod deploy;
mod head;
pub mod l1;
pub mod recover;
pub mod remote;
pub mod revert;
pub mod sender;
pub mod verifier;
pub mod watcher;
