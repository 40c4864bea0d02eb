//! Revert data in words.

use alloy_primitives::{Bytes, hex};
use alloy_sol_types::{Panic, Revert, SolError};

/// `Error(string)` and `Panic(uint256)` decoded; a custom error by its selector, with the name when it is one of our contracts'.
pub fn describe_revert(data: &Bytes) -> String {
    if data.is_empty() {
        return "no reason given".to_owned();
    }
    if let Ok(e) = Revert::abi_decode(data) {
        return e.reason;
    }
    if let Ok(p) = Panic::abi_decode(data) {
        return p.to_string();
    }
    let Some(selector) = data.first_chunk::<4>() else {
        return format!("0x{}", hex::encode(data));
    };
    let shown = hex::encode(&data[..data.len().min(260)]);
    match crate::artifacts::error_name(*selector) {
        Some(name) => format!("{name} (0x{shown})"),
        None => format!("custom error 0x{shown}"),
    }
}
