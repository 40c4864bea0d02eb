//! The embedded L1 through real HTTP and WebSocket, with alloy's provider and with raw requests.

mod blobs;
mod chain;
mod dev;
mod input;
mod limits;
mod methods;
mod pending;
mod simulate;
mod support;
mod traces;
mod watch;
