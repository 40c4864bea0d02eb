//! Public values: the first row takes them off the bus, four to a wire.

use super::{Fixed, log_height, message, read_cells};
use crate::circuit::Circuit;
use cairn_prover::bus::F;
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;
use p3_lookup::InteractionBuilder;
use p3_matrix::dense::RowMajorMatrix;

/// Columns: one, always zero (a table cannot be without).
pub const WIDTH: usize = 1;

/// The table.
#[derive(Clone, Debug)]
pub struct PublicAir {
    /// How many public values there are; a multiple of four.
    pub num_public: usize,
    /// Preprocessed cells: for each four public values the wire and its multiplicity.
    pub fixed: Fixed,
}

/// Preprocessed columns.
pub fn fixed_width(num_public: usize) -> usize {
    2 * num_public.div_ceil(4).max(1)
}

pub(super) fn fixed(circuit: &Circuit, least: usize) -> RowMajorMatrix<F> {
    let width = fixed_width(4 * circuit.public.len());
    let mut cells = vec![F::ZERO; width << log_height(1, least)];
    for (pair, &wire) in cells.chunks_exact_mut(2).zip(&circuit.public) {
        pair.copy_from_slice(&read_cells(wire));
    }
    RowMajorMatrix::new(cells, width)
}

pub(super) fn trace(height: usize) -> RowMajorMatrix<F> {
    RowMajorMatrix::new(vec![F::ZERO; height], WIDTH)
}

impl PublicAir {
    pub(super) fn eval<AB: InteractionBuilder<F = F>>(&self, b: &mut AB) {
        let unused = b.main().current_slice()[0];
        b.assert_zero(unused);
        let fixed: Vec<AB::Expr> =
            b.preprocessed().current_slice().iter().map(|&x| x.into()).collect();
        let public: Vec<AB::Expr> = b.public_values().iter().map(|&x| x.into()).collect();
        for (slot, limbs) in fixed.chunks_exact(2).zip(public.chunks_exact(4)) {
            let limbs = core::array::from_fn(|i| limbs[i].clone());
            message(b, slot[0].clone(), limbs, slot[1].clone());
        }
    }
}
