//! Cairn's JSON-RPC server: `eth_ net_ web3_ txpool_ debug_ zks_` and the development namespaces over HTTP (batched) and WebSocket.
//!
//! The server knows a chain only through the traits of [`chain`]: [`Chain`] (required), [`DevChain`] (development methods) and
//! [`ZkChain`] (batches and bridge). Whoever implements them (the rollup's node, the embedded L1) gets the same server, the same
//! limits and the same error codes.

pub mod accounts;
pub mod attest;
pub mod chain;
mod context;
mod debug;
mod dev;
pub mod eip712;
mod envelope;
pub mod error;
mod eth;
mod execute;
mod fees;
mod filters;
pub mod fork;
pub mod frames;
pub mod http;
pub mod internal;
mod logs;
pub mod ots;
mod params;
mod pubsub;
mod send;
pub mod server;
mod simulate;
pub mod tracers;
mod txpool;
pub mod view;
pub mod zks;

pub use accounts::{DevAccounts, TEST_MNEMONIC};

pub use chain::{
    BlockEvent, BlockRef, CallOutcome, CallPurpose, CallRequest, Chain, DevChain, Fees,
    MineRequest, NamedBlock, PoolSnapshot, ReorgTx, ReplayTarget, StateView, TracedTx, TxTracer,
};
pub use error::{ChainError, PoolError, Result};
pub use http::{RestHandler, RestReply};
pub use ots::AddressIndex;
pub use server::{Limits, RpcHandle, RpcServer, StartError};
pub use view::{Block, Log, Receipt, Transaction};
pub use zks::ZkChain;
