//! What a final proof says: its public values.
//!
//! A statement is two 32-byte words, the guest program's id and the hash of the public inputs of a range of batches
//! (`keccak256(publicInput_1 || .. || publicInput_n)`), each as sixteen limbs of 16 bits, the most significant first: thirty-two field elements.
//! The contract computes them from what it knows, so a proof of another range or another program is refused.

use crate::config::F;
use alloy_primitives::{B256, keccak256};
use p3_field::PrimeCharacteristicRing;

/// Limbs of a word.
pub const LIMBS: usize = 16;
/// Public values of a final proof.
pub const NUM_PUBLIC_VALUES: usize = 2 * LIMBS;

/// A 32-byte word as sixteen limbs of 16 bits, the most significant first.
pub fn limbs(word: &B256) -> [F; LIMBS] {
    std::array::from_fn(|i| F::from_u16(u16::from_be_bytes([word[2 * i], word[2 * i + 1]])))
}

/// The hash of the public inputs of consecutive batches, as the contract computes it.
pub fn range_hash(public_inputs: &[B256]) -> B256 {
    keccak256(public_inputs.concat())
}

/// The public values of a proof that `program_id` made these public inputs.
pub fn public_values(program_id: &B256, public_inputs: &[B256]) -> Vec<F> {
    [limbs(program_id), limbs(&range_hash(public_inputs))].concat()
}
