//! The key as Solidity source: contracts whose code is the key's description, for `FinalVerifier` to interpret.
//!
//! The description starts after a zero byte, so that nobody can call the data. `FinalVerifier` takes the digest and the data contracts' addresses.

use crate::FinalAir;
use crate::key::FinalVk;
use std::fmt::Write;

/// The most description bytes in one contract (EIP-170's 24,576 less the zero byte).
pub const MAX_CHUNK: usize = 24_575;
/// The most data contracts that `FinalVerifier` reads.
pub const MAX_CONTRACTS: usize = 2;

/// Proven bits that a key must have to be deployed.
pub const PROVEN_BITS: f64 = 100.0;

/// A key is none to deploy.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Unfit {
    /// Its description is larger than `FinalVerifier` can read.
    #[error("the key's description has {0} bytes, {limit} are possible", limit = MAX_CHUNK * MAX_CONTRACTS)]
    TooLarge(usize),
    /// Proofs of it would prove too little.
    #[error("proofs of the key have {0:.1} proven bits, {PROVEN_BITS} are needed")]
    Insecure(f64),
}

/// The runtime code of each data contract.
///
/// # Errors
/// When proofs of the key have fewer than [`PROVEN_BITS`], or the description needs more contracts than `FinalVerifier` reads.
pub fn data_code<A: FinalAir>(key: &FinalVk<A>) -> Result<Vec<Vec<u8>>, Unfit> {
    let report = crate::security::report(key);
    let bits = report.bits.min(report.union_bits);
    if bits < PROVEN_BITS { Err(Unfit::Insecure(bits)) } else { parts(key) }
}

/// As [`data_code`], of a key of any strength: for tests.
///
/// # Errors
/// When the description needs more contracts than `FinalVerifier` reads.
pub fn parts<A: FinalAir>(key: &FinalVk<A>) -> Result<Vec<Vec<u8>>, Unfit> {
    let description = key.description();
    if description.len() > MAX_CHUNK * MAX_CONTRACTS {
        return Err(Unfit::TooLarge(description.len()));
    }
    Ok(description.chunks(MAX_CHUNK).map(|chunk| [&[0], chunk].concat()).collect())
}

/// The source file `FinalKeyData.sol`: contracts `FinalKeyData0` and, if it takes two, `FinalKeyData1`.
///
/// # Errors
/// As of [`data_code`].
pub fn generate<A: FinalAir>(key: &FinalVk<A>) -> Result<String, Unfit> {
    let mut out = String::from(
        "// SPDX-License-Identifier: MIT OR Apache-2.0\npragma solidity ^0.8.30;\n\n// Generated from the recursion circuit's tables; do not edit.\n\n",
    );
    // Writing to a string cannot fail.
    let _ = writeln!(out, "bytes32 constant FINAL_KEY_DIGEST = {};", key.digest());
    for (i, code) in data_code(key)?.iter().enumerate() {
        let hex = alloy_primitives::hex::encode(code);
        let lines: Vec<String> = hex
            .as_bytes()
            .chunks(128)
            .map(|line| format!("            hex\"{}\"", String::from_utf8_lossy(line)))
            .collect();
        let _ = write!(
            out,
            "\n/// @dev Its code is part {i} of the key's description.\ncontract FinalKeyData{i} {{\n    constructor() {{\n        bytes memory data =\n{};\n        assembly {{\n            return(add(data, 32), mload(data))\n        }}\n    }}\n}}\n",
            lines.join("\n")
        );
    }
    Ok(out)
}
