//! Constants and private inputs, one a row.

use super::{Fixed, Rows, log_height, message, slot_cells};
use crate::circuit::{Circuit, Slot};
use crate::run::{Witness, limbs};
use cairn_prover::bus::F;
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;
use p3_lookup::InteractionBuilder;
use p3_matrix::dense::RowMajorMatrix;

/// Columns: the four limbs.
pub const WIDTH: usize = 4;
/// Preprocessed columns: wire, multiplicity, whether it is a constant, its limbs.
pub const FIXED_WIDTH: usize = 7;

/// The table.
#[derive(Clone, Debug)]
pub struct ValueAir {
    /// Preprocessed cells.
    pub fixed: Fixed,
}

pub(super) fn fixed(circuit: &Circuit, rows: &Rows<'_>, least: usize) -> RowMajorMatrix<F> {
    let mut cells = vec![F::ZERO; FIXED_WIDTH << log_height(rows.values.len(), least)];
    for (row, (wire, value)) in cells.chunks_exact_mut(FIXED_WIDTH).zip(&rows.values) {
        row[..2].copy_from_slice(&slot_cells(&circuit.reads, Slot { wire: *wire, define: true }));
        if let Some(value) = value {
            row[2] = F::ONE;
            row[3..].copy_from_slice(&limbs(value));
        }
    }
    RowMajorMatrix::new(cells, FIXED_WIDTH)
}

pub(super) fn trace(rows: &Rows<'_>, witness: &Witness, height: usize) -> RowMajorMatrix<F> {
    let mut cells = vec![F::ZERO; WIDTH * height];
    for (row, (wire, _)) in cells.chunks_exact_mut(WIDTH).zip(&rows.values) {
        row.copy_from_slice(&limbs(&witness.wires[wire.0 as usize]));
    }
    RowMajorMatrix::new(cells, WIDTH)
}

pub(super) fn eval<AB: InteractionBuilder<F = F>>(b: &mut AB) {
    let main = b.main();
    let cells = main.current_slice();
    let fixed: Vec<AB::Expr> = b.preprocessed().current_slice().iter().map(|&x| x.into()).collect();
    for i in 0..4 {
        b.assert_zero(fixed[2].clone() * (fixed[3 + i].clone() - cells[i]));
    }
    message(b, fixed[0].clone(), core::array::from_fn(|i| cells[i].into()), fixed[1].clone());
}
