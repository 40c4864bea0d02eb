//! Settlement against the embedded L1 over its JSON-RPC, as against any other L1.

mod l1;
mod proxy;
mod round;
mod unruly;
mod world;
