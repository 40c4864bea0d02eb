//! Accelerator chips. Each takes its calls off [`crate::bus::ACCEL`] and reads and writes guest memory on [`crate::bus::MEM`].
//!
//! What the shard prover asks of this module: [`AccelAir::all`] gives the chips in their fixed order, [`AccelAir::ids`] the
//! ecall numbers that a chip serves, [`AccelAir::generate`] the trace of a shard's calls (in the order of execution), padded to a
//! power of two with rows that put nothing on any bus. A chip without calls in a shard is left out of that shard's proof.
//!
//! Operand number `k` of a call, in the access order of [`cairn_accel::ids`], is accessed at time `ts + k`. Operands that only read come first, so pointers may alias.

pub mod cols;
pub mod field256;
pub mod keccak;
pub mod limbs;
pub mod mem;
pub mod modmul;
pub mod poseidon2_call;
pub mod secp256k1_add;
pub mod secp256k1_double;
pub mod sha256;
pub mod u256_add;
pub mod u256_mul;

#[cfg(test)]
mod tests;

use crate::bus::{AccelCall, F};
use crate::columns::ColumnGroup;
use crate::counts::Counts;
use crate::generate::MIN_LOG_HEIGHT;
use cairn_accel::ids;
use keccak::{KeccakCallAir, KeccakRoundAir};
use modmul::ModMulAir;
use p3_air::{Air, BaseAir};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::InteractionBuilder;
use p3_matrix::dense::RowMajorMatrix;
use poseidon2_call::{CompressAir, PermuteAir};
use secp256k1_add::Secp256k1AddAir;
use secp256k1_double::Secp256k1DoubleAir;
use sha256::{Sha256CallAir, Sha256StepAir};
use u256_add::U256AddAir;
use u256_mul::U256MulAir;

/// One accelerator chip.
#[derive(Clone, Copy, Debug)]
pub enum AccelAir {
    /// Poseidon2 permutation calls.
    Permute(PermuteAir),
    /// Poseidon2 compression calls.
    Compress(CompressAir),
    /// keccak-f calls.
    KeccakCall(KeccakCallAir),
    /// keccak-f rounds.
    KeccakRound(KeccakRoundAir),
    /// secp256k1 additions.
    Secp256k1Add(Secp256k1AddAir),
    /// secp256k1 doublings.
    Secp256k1Double(Secp256k1DoubleAir),
    /// Modular multiplications and additions.
    ModMul(ModMulAir),
    /// 256-bit additions, subtractions and comparisons.
    U256Add(U256AddAir),
    /// 256-bit multiplications, divisions and shifts.
    U256Mul(U256MulAir),
    /// SHA-256 calls.
    Sha256Call(Sha256CallAir),
    /// SHA-256 steps.
    Sha256Step(Sha256StepAir),
}

/// Does the same with the chip inside.
macro_rules! each {
    ($value:expr, $chip:ident => $body:expr) => {
        match $value {
            AccelAir::Permute($chip) => $body,
            AccelAir::Compress($chip) => $body,
            AccelAir::KeccakCall($chip) => $body,
            AccelAir::KeccakRound($chip) => $body,
            AccelAir::Secp256k1Add($chip) => $body,
            AccelAir::Secp256k1Double($chip) => $body,
            AccelAir::ModMul($chip) => $body,
            AccelAir::U256Add($chip) => $body,
            AccelAir::U256Mul($chip) => $body,
            AccelAir::Sha256Call($chip) => $body,
            AccelAir::Sha256Step($chip) => $body,
        }
    };
}

impl AccelAir {
    /// All chips in the fixed order of proofs.
    pub fn all() -> Vec<Self> {
        vec![
            Self::Permute(PermuteAir),
            Self::Compress(CompressAir),
            Self::KeccakCall(KeccakCallAir),
            Self::KeccakRound(KeccakRoundAir),
            Self::Secp256k1Add(Secp256k1AddAir),
            Self::Secp256k1Double(Secp256k1DoubleAir),
            Self::ModMul(ModMulAir),
            Self::U256Add(U256AddAir),
            Self::U256Mul(U256MulAir),
            Self::Sha256Call(Sha256CallAir),
            Self::Sha256Step(Sha256StepAir),
        ]
    }

    /// A short unique name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Permute(_) => "poseidon2_permute",
            Self::Compress(_) => "poseidon2_compress",
            Self::KeccakCall(_) => "keccak_call",
            Self::KeccakRound(_) => "keccak_round",
            Self::Secp256k1Add(_) => "secp256k1_add",
            Self::Secp256k1Double(_) => "secp256k1_double",
            Self::ModMul(_) => "modmul256",
            Self::U256Add(_) => "u256_add",
            Self::U256Mul(_) => "u256_mul",
            Self::Sha256Call(_) => "sha256_call",
            Self::Sha256Step(_) => "sha256_step",
        }
    }

    /// The ecall numbers that this chip serves.
    pub fn ids(&self) -> &'static [u32] {
        match self {
            Self::Permute(_) => &[ids::POSEIDON2_PERMUTE],
            Self::Compress(_) => &[ids::POSEIDON2_COMPRESS],
            Self::KeccakCall(_) | Self::KeccakRound(_) => &[ids::KECCAK_F],
            Self::Secp256k1Add(_) => &[ids::SECP256K1_ADD],
            Self::Secp256k1Double(_) => &[ids::SECP256K1_DOUBLE],
            Self::ModMul(_) => &[ids::MODMUL256, ids::U256_ADDMOD],
            Self::U256Add(_) => &[ids::U256_ADD, ids::U256_SUB, ids::U256_CMP],
            Self::U256Mul(_) => &[ids::U256_MUL, ids::U256_DIVREM, ids::U256_SHL, ids::U256_SHR],
            Self::Sha256Call(_) | Self::Sha256Step(_) => &[ids::SHA256_COMPRESS],
        }
    }

    /// Rows of one call.
    pub fn rows_per_call(&self) -> usize {
        match self {
            Self::KeccakRound(_) => keccak::ROUNDS,
            Self::Sha256Step(_) => sha256::ROWS,
            _ => 1,
        }
    }

    /// Its columns.
    pub fn columns(&self) -> Vec<ColumnGroup> {
        match self {
            Self::Permute(_) => poseidon2_call::PermuteCols::<F>::groups(),
            Self::Compress(_) => poseidon2_call::CompressCols::<F>::groups(),
            Self::KeccakCall(_) => keccak::KeccakCallCols::<F>::groups(),
            Self::KeccakRound(_) => keccak::KeccakRoundCols::<F>::groups(),
            Self::Secp256k1Add(_) => secp256k1_add::Secp256k1AddCols::<F>::groups(),
            Self::Secp256k1Double(_) => secp256k1_double::Secp256k1DoubleCols::<F>::groups(),
            Self::ModMul(_) => modmul::ModMulCols::<F>::groups(),
            Self::U256Add(_) => u256_add::U256AddCols::<F>::groups(),
            Self::U256Mul(_) => u256_mul::U256MulCols::<F>::groups(),
            Self::Sha256Call(_) => sha256::Sha256CallCols::<F>::groups(),
            Self::Sha256Step(_) => sha256::Sha256StepCols::<F>::groups(),
        }
    }

    /// The trace of `calls` (all of them of this chip's ids), and the lookups it makes.
    pub fn generate(&self, calls: &[AccelCall], counts: &mut Counts) -> RowMajorMatrix<F> {
        each!(self, chip => chip.generate(calls, counts))
    }
}

impl BaseAir<F> for AccelAir {
    fn width(&self) -> usize {
        each!(self, chip => chip.width())
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for AccelAir {
    fn eval(&self, b: &mut AB) {
        each!(self, chip => chip.eval(b));
    }
}

/// The height of a trace of so many rows.
fn height(rows: usize) -> usize {
    rows.next_power_of_two().max(1 << MIN_LOG_HEIGHT)
}

/// A trace of one row a call, padded with zero rows to a power of two.
fn rows(
    calls: &[AccelCall],
    width: usize,
    mut fill: impl FnMut(&AccelCall, &mut [F]),
) -> RowMajorMatrix<F> {
    let mut values = F::zero_vec(height(calls.len()) * width);
    for (call, row) in calls.iter().zip(values.chunks_exact_mut(width)) {
        fill(call, row);
    }
    RowMajorMatrix::new(values, width)
}
