//! Arithmetic: several gates `a * b + c = d` a row, over the extension field `F[X] / (X^4 - 3)`.

use super::{Fixed, Rows, log_height, message, slot_cells};
use crate::circuit::Circuit;
use crate::run::{Witness, limbs};
use cairn_prover::bus::{EF, F};
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;
use p3_field::extension::BinomiallyExtendable;
use p3_lookup::InteractionBuilder;
use p3_matrix::dense::RowMajorMatrix;
use rayon::prelude::*;

/// Cells of a gate: the limbs of `a, b, c, d`.
const LANE: usize = 16;
/// Preprocessed cells of a gate: wire and multiplicity of each.
const FIXED_LANE: usize = 8;

/// Columns.
pub fn width(lanes: usize) -> usize {
    LANE * lanes
}

/// Preprocessed columns.
pub fn fixed_width(lanes: usize) -> usize {
    FIXED_LANE * lanes
}

/// The table.
#[derive(Clone, Debug)]
pub struct AluAir {
    /// Gates in a row.
    pub lanes: usize,
    /// Preprocessed cells.
    pub fixed: Fixed,
}

pub(super) fn fixed(
    circuit: &Circuit,
    rows: &Rows<'_>,
    lanes: usize,
    least: usize,
) -> RowMajorMatrix<F> {
    let height = log_height(rows.gates.len().div_ceil(lanes), least);
    let mut cells = vec![F::ZERO; fixed_width(lanes) << height];
    for (lane, gate) in cells.chunks_exact_mut(FIXED_LANE).zip(&rows.gates) {
        for (pair, slot) in lane.chunks_exact_mut(2).zip(gate.slots) {
            pair.copy_from_slice(&slot_cells(&circuit.reads, slot));
        }
    }
    RowMajorMatrix::new(cells, fixed_width(lanes))
}

pub(super) fn trace(
    rows: &Rows<'_>,
    witness: &Witness,
    lanes: usize,
    height: usize,
) -> RowMajorMatrix<F> {
    let mut cells = vec![F::ZERO; width(lanes) * height];
    cells.par_chunks_exact_mut(LANE).zip(&rows.gates).for_each(|(lane, gate)| {
        for (cell, slot) in lane.chunks_exact_mut(4).zip(gate.slots) {
            cell.copy_from_slice(&limbs(&witness.wires[slot.wire.0 as usize]));
        }
    });
    RowMajorMatrix::new(cells, width(lanes))
}

/// The limbs of a product.
pub(super) fn product<E: PrimeCharacteristicRing + From<F>>(a: &[E; 4], b: &[E; 4]) -> [E; 4] {
    let w = E::from(<F as BinomiallyExtendable<4>>::W);
    core::array::from_fn(|k| {
        let low = (0..=k).map(|i| a[i].clone() * b[k - i].clone()).sum::<E>();
        let high = (k + 1..4).map(|i| a[i].clone() * b[4 + k - i].clone()).sum::<E>();
        low + high * w.clone()
    })
}

pub(super) fn eval<AB: InteractionBuilder<F = F>>(b: &mut AB) {
    let main = b.main();
    let fixed: Vec<AB::Expr> = b.preprocessed().current_slice().iter().map(|&x| x.into()).collect();
    for (cells, fixed) in
        main.current_slice().chunks_exact(LANE).zip(fixed.chunks_exact(FIXED_LANE))
    {
        let wire =
            |i: usize| -> [AB::Expr; 4] { core::array::from_fn(|k| cells[4 * i + k].into()) };
        let [x, y, z, w] = [wire(0), wire(1), wire(2), wire(3)];
        let xy = product(&x, &y);
        for k in 0..4 {
            b.assert_zero(xy[k].clone() + z[k].clone() - w[k].clone());
        }
        for (i, limbs) in [x, y, z, w].into_iter().enumerate() {
            message(b, fixed[2 * i].clone(), limbs, fixed[2 * i + 1].clone());
        }
    }
}

/// The extension field that the constraints are written for is the one that circuits compute in.
const _: () = assert!(core::mem::size_of::<EF>() == 4 * core::mem::size_of::<F>());
