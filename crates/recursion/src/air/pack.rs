//! Packing: a wire and the four wires of its limbs, one packing a row.

use super::{Fixed, Rows, log_height, message, slot_cells};
use crate::circuit::Circuit;
use crate::run::{Witness, limbs};
use cairn_prover::bus::F;
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;
use p3_lookup::InteractionBuilder;
use p3_matrix::dense::RowMajorMatrix;

/// Columns: the four limbs.
pub const WIDTH: usize = 4;
/// Preprocessed columns: wire and multiplicity of the whole and of each limb.
pub const FIXED_WIDTH: usize = 10;

/// The table.
#[derive(Clone, Debug)]
pub struct PackAir {
    /// Preprocessed cells.
    pub fixed: Fixed,
}

pub(super) fn fixed(circuit: &Circuit, rows: &Rows<'_>, least: usize) -> RowMajorMatrix<F> {
    let mut cells = vec![F::ZERO; FIXED_WIDTH << log_height(rows.packs.len(), least)];
    for (row, slots) in cells.chunks_exact_mut(FIXED_WIDTH).zip(&rows.packs) {
        for (pair, &slot) in row.chunks_exact_mut(2).zip(*slots) {
            pair.copy_from_slice(&slot_cells(&circuit.reads, slot));
        }
    }
    RowMajorMatrix::new(cells, FIXED_WIDTH)
}

pub(super) fn trace(rows: &Rows<'_>, witness: &Witness, height: usize) -> RowMajorMatrix<F> {
    let mut cells = vec![F::ZERO; WIDTH * height];
    for (row, slots) in cells.chunks_exact_mut(WIDTH).zip(&rows.packs) {
        row.copy_from_slice(&limbs(&witness.wires[slots[0].wire.0 as usize]));
    }
    RowMajorMatrix::new(cells, WIDTH)
}

pub(super) fn eval<AB: InteractionBuilder<F = F>>(b: &mut AB) {
    let main = b.main();
    let cells = main.current_slice();
    let fixed: Vec<AB::Expr> = b.preprocessed().current_slice().iter().map(|&x| x.into()).collect();
    message(b, fixed[0].clone(), core::array::from_fn(|i| cells[i].into()), fixed[1].clone());
    for i in 0..4 {
        let zero = AB::Expr::ZERO;
        let limbs = [cells[i].into(), zero.clone(), zero.clone(), zero];
        message(b, fixed[2 + 2 * i].clone(), limbs, fixed[3 + 2 * i].clone());
    }
}
