//! Tests of the sequencer as a whole: a real store, real execution, real batches.

mod accounts;
mod blocks;
mod common;
mod crash;
mod restart;
mod rewind;
mod rpc;
