//! The accelerators of the Cairn VM: hashes, 256-bit integers and secp256k1.
//!
//! Each has one signature and two implementations, chosen by the target: inside the VM (`target_os = "zkvm"`) an `ecall`, elsewhere a library. Both give the same
//! bytes for every input. [`ids`] is the contract between guest, executor and AIRs.
#![no_std]

#[cfg(not(target_os = "zkvm"))]
extern crate alloc;

pub mod ecdsa;
#[cfg(not(target_os = "zkvm"))]
pub mod hints;
pub mod ids;
pub mod keccak;
pub mod p256;
pub mod poseidon2;
pub mod secp256k1;
pub mod sha256;
#[cfg(target_os = "zkvm")]
pub mod sys;
pub mod u256;
