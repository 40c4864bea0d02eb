//! What a final proof says: its public values.
//!
//! A guest program made the public inputs of one to four batches. The values are, in this order: the program's id, which is a digest of eight field elements, most significant byte first; the number of
//! batches, and three zeros; each batch's public input as sixteen limbs of two bytes, the least significant first, as they lie in the guest's memory, and zeros for absent batches.
//! The contract computes them from what it knows, so a proof of another range or another program is refused.

use crate::config::F;
use alloy_primitives::B256;
use p3_field::{PrimeCharacteristicRing, PrimeField32};

/// The most batches of a statement.
pub const MAX_BATCHES: usize = 4;
/// Limbs of a public input.
pub const LIMBS: usize = 16;
/// Elements of a program id.
pub const ID_ELEMENTS: usize = 8;
/// Public values of a final proof.
pub const NUM_PUBLIC_VALUES: usize = ID_ELEMENTS + 4 + MAX_BATCHES * LIMBS;

/// Nothing can be said of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// A program id whose numbers are not below the modulus is no program's.
    #[error("the program id is not a digest of field elements")]
    ProgramId,
    /// No batches, or too many.
    #[error("a final proof is of 1 to {MAX_BATCHES} batches, not {0}")]
    Batches(usize),
}

/// The elements of a program id.
///
/// # Errors
/// When one is not below the modulus.
pub fn program_elements(id: &B256) -> Result<[F; ID_ELEMENTS], StatementError> {
    let words: [u32; ID_ELEMENTS] = std::array::from_fn(|i| {
        u32::from_be_bytes([id[4 * i], id[4 * i + 1], id[4 * i + 2], id[4 * i + 3]])
    });
    if words.iter().any(|&word| word >= F::ORDER_U32) {
        return Err(StatementError::ProgramId);
    }
    Ok(words.map(F::from_u32))
}

/// The limbs of a public input.
pub fn limbs(public_input: &B256) -> [F; LIMBS] {
    std::array::from_fn(|i| {
        F::from_u16(u16::from_le_bytes([public_input[2 * i], public_input[2 * i + 1]]))
    })
}

/// The public values of a proof that `program_id` made these public inputs.
///
/// # Errors
/// When no proof can say so.
pub fn public_values(program_id: &B256, public_inputs: &[B256]) -> Result<Vec<F>, StatementError> {
    let count = public_inputs.len();
    if !(1..=MAX_BATCHES).contains(&count) {
        return Err(StatementError::Batches(count));
    }
    let mut values = program_elements(program_id)?.to_vec();
    values.extend([F::from_usize(count), F::ZERO, F::ZERO, F::ZERO]);
    values.extend(public_inputs.iter().flat_map(limbs));
    values.resize(NUM_PUBLIC_VALUES, F::ZERO);
    Ok(values)
}
