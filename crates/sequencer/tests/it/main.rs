//! Tests of the sequencer as a whole: a real store, real execution, real batches.

mod blocks;
mod common;
mod crash;
mod restart;
mod rpc;
