//! The guest's Poseidon2 calls: `POSEIDON2_PERMUTE` (16 words in place) and `POSEIDON2_COMPRESS` (`out = P(l || r)[0..8] + l`).
//!
//! One row a call. The permutation itself is a lookup in [`crate::chips::poseidon2`]. An input word is any two 16-bit limbs and stands for `lo + 2^16 hi` mod p,
//! which is what the linear expression computes. An output word must be the one canonical representation ([`canonical`]).
//!
//! Cells a call, without the permutation's 178: 303 and 305.

use super::cols::columns;
use super::mem::{Operand, new_limbs, old_limbs, prev_times, word_addr};
use crate::bus::{AccelCall, F, accel_receive, compress, permute, range_check};
use crate::counts::Counts;
use cairn_accel::ids;
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::{Field, PrimeCharacteristicRing};
use p3_lookup::InteractionBuilder;
use p3_matrix::dense::RowMajorMatrix;

/// High limb of the greatest canonical word, `p - 1 = 0x7f00_0000`.
const TOP: u32 = 0x7f00;

columns! {
    /// Columns of the permutation calls.
    pub struct PermuteCols {
        /// 1 in a row that serves a call, 0 in padding.
        real,
        /// Time of the call.
        ts,
        /// Word address of the state.
        addr,
        /// Limbs of the state before.
        old: 32,
        /// Limbs of the state after: canonical elements.
        new: 32,
        /// Times of the versions consumed.
        prev_ts: 16,
        /// For each output word the inverse of `0x7f00 - hi` (0 if there is none): shows that `lo` may be non-zero.
        inverse: 16,
    }
}

columns! {
    /// Columns of the compression calls.
    pub struct CompressCols {
        /// 1 in a row that serves a call, 0 in padding.
        real,
        /// Time of the call.
        ts,
        /// Word addresses of left input, right input and output.
        addr: 3,
        /// Limbs of the left input.
        left: 16,
        /// Limbs of the right input.
        right: 16,
        /// Limbs of the output before.
        old: 16,
        /// Limbs of the output after: canonical elements.
        new: 16,
        /// Times of the versions consumed: left, right, output.
        prev_ts: 24,
        /// For each output word the inverse of `0x7f00 - hi` (0 if there is none): shows that `lo` may be non-zero.
        inverse: 8,
    }
}

/// The permutation calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct PermuteAir;

/// The compression calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct CompressAir;

/// Field elements of words.
fn elements<E: PrimeCharacteristicRing, const N: usize>(limbs: &[E]) -> [E; N] {
    core::array::from_fn(|i| limbs[2 * i].clone() + limbs[2 * i + 1].clone() * E::from_u32(1 << 16))
}

/// The word is a canonical element: `hi <= 0x7f00`, and `lo = 0` if `hi = 0x7f00`; both limbs are 16-bit.
///
/// `hi` and `0x7f00 - hi` are 16-bit, so `0 <= hi <= 0x7f00`. If `hi = 0x7f00` then `lo * (1 - 0 * inverse) = 0` forces `lo = 0`.
fn canonical<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    word: &[AB::Expr],
    inverse: &AB::Expr,
    real: &AB::Expr,
) {
    let (lo, hi) = (word[0].clone(), word[1].clone());
    let gap = real.clone() * F::from_u32(TOP) - hi.clone();
    range_check(b, lo.clone(), 16, real.clone());
    range_check(b, hi, 16, real.clone());
    range_check(b, gap.clone(), 16, real.clone());
    b.assert_zero(lo * (real.clone() - gap * inverse.clone()));
}

fn fill_canonical<const N: usize>(limbs: &[u16], counts: &mut Counts) -> [F; N] {
    core::array::from_fn(|i| {
        let (lo, hi) = (u32::from(limbs[2 * i]), u32::from(limbs[2 * i + 1]));
        for value in [lo, hi, TOP - hi] {
            counts.range(value, 16);
        }
        F::from_u32(TOP - hi).try_inverse().unwrap_or(F::ZERO)
    })
}

fn canonical_words(limbs: &[u16]) -> impl Iterator<Item = u32> {
    limbs
        .chunks_exact(2)
        .map(|w| (u32::from(w[0]) | u32::from(w[1]) << 16) % cairn_accel::poseidon2::P)
}

impl PermuteAir {
    fn row(call: &AccelCall, counts: &mut Counts) -> PermuteCols<F> {
        let mut cols = PermuteCols::zero();
        let old: [u16; 32] = old_limbs(&call.accesses);
        let new: [u16; 32] = new_limbs(&call.accesses);
        cols.real = F::ONE;
        cols.ts = F::from_u32(call.ts);
        cols.addr = word_addr(call, 0);
        cols.old = old.map(F::from_u16);
        cols.new = new.map(F::from_u16);
        cols.prev_ts = prev_times(&call.accesses, counts);
        cols.inverse = fill_canonical(&new, counts);
        let mut input = [0; 16];
        input.iter_mut().zip(canonical_words(&old)).for_each(|(a, b)| *a = b);
        counts.permute(input);
        cols
    }

    /// The trace of these calls.
    pub fn generate(self, calls: &[AccelCall], counts: &mut Counts) -> RowMajorMatrix<F> {
        super::rows(calls, PermuteCols::<F>::WIDTH, |call, row| Self::row(call, counts).write(row))
    }
}

impl BaseAir<F> for PermuteAir {
    fn width(&self) -> usize {
        PermuteCols::<F>::WIDTH
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for PermuteAir {
    fn eval(&self, b: &mut AB) {
        let cols = PermuteCols::<AB::Expr>::read(b.main().current_slice());
        b.assert_bool(cols.real.clone());
        let zero = AB::Expr::ZERO;
        accel_receive(
            b,
            ids::POSEIDON2_PERMUTE,
            cols.ts.clone(),
            [cols.addr.clone(), zero.clone(), zero.clone(), zero],
            cols.real.clone(),
        );
        Operand {
            addr: &cols.addr,
            index: 0,
            old: &cols.old,
            new: &cols.new,
            prev_ts: &cols.prev_ts,
        }
        .access(b, &cols.ts, &cols.real);
        for (word, inverse) in cols.new.chunks_exact(2).zip(&cols.inverse) {
            canonical(b, word, inverse, &cols.real);
        }
        permute(b, elements(&cols.old), elements(&cols.new), cols.real);
    }
}

impl CompressAir {
    fn row(call: &AccelCall, counts: &mut Counts) -> CompressCols<F> {
        let mut cols = CompressCols::zero();
        let left: [u16; 16] = old_limbs(&call.accesses[..8]);
        let right: [u16; 16] = old_limbs(&call.accesses[8..16]);
        let old: [u16; 16] = old_limbs(&call.accesses[16..]);
        let new: [u16; 16] = new_limbs(&call.accesses[16..]);
        cols.real = F::ONE;
        cols.ts = F::from_u32(call.ts);
        cols.addr = core::array::from_fn(|i| word_addr(call, i));
        cols.left = left.map(F::from_u16);
        cols.right = right.map(F::from_u16);
        cols.old = old.map(F::from_u16);
        cols.new = new.map(F::from_u16);
        cols.prev_ts = prev_times(&call.accesses, counts);
        cols.inverse = fill_canonical(&new, counts);
        let mut input = [0; 16];
        input
            .iter_mut()
            .zip(canonical_words(&left).chain(canonical_words(&right)))
            .for_each(|(a, b)| *a = b);
        counts.compress(input);
        cols
    }

    /// The trace of these calls.
    pub fn generate(self, calls: &[AccelCall], counts: &mut Counts) -> RowMajorMatrix<F> {
        super::rows(calls, CompressCols::<F>::WIDTH, |call, row| Self::row(call, counts).write(row))
    }
}

impl BaseAir<F> for CompressAir {
    fn width(&self) -> usize {
        CompressCols::<F>::WIDTH
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for CompressAir {
    fn eval(&self, b: &mut AB) {
        let cols = CompressCols::<AB::Expr>::read(b.main().current_slice());
        b.assert_bool(cols.real.clone());
        let [l, r, o] = cols.addr.clone();
        accel_receive(
            b,
            ids::POSEIDON2_COMPRESS,
            cols.ts.clone(),
            [l.clone(), r.clone(), o.clone(), AB::Expr::ZERO],
            cols.real.clone(),
        );
        let (left, right, new) = (&cols.left, &cols.right, &cols.new);
        Operand { addr: &l, index: 0, old: left, new: left, prev_ts: &cols.prev_ts[..8] }
            .access(b, &cols.ts, &cols.real);
        Operand { addr: &r, index: 1, old: right, new: right, prev_ts: &cols.prev_ts[8..16] }
            .access(b, &cols.ts, &cols.real);
        Operand { addr: &o, index: 2, old: &cols.old, new, prev_ts: &cols.prev_ts[16..] }
            .access(b, &cols.ts, &cols.real);
        for (word, inverse) in new.chunks_exact(2).zip(&cols.inverse) {
            canonical(b, word, inverse, &cols.real);
        }
        compress(b, elements(left), elements(right), elements(new), cols.real);
    }
}
