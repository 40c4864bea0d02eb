//! Public values: one wire, four values, a row.
//!
//! Row `i` has value `i` of the wires that are exposed; which row it is, two groups of preprocessed flags say together, so that few columns do for many values.

use super::{Fixed, log_height, message, read_cells};
use crate::circuit::Circuit;
use crate::run::Witness;
use cairn_prover::bus::F;
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;
use p3_lookup::InteractionBuilder;
use p3_matrix::dense::RowMajorMatrix;

/// Columns: the four limbs.
pub const WIDTH: usize = 4;
/// Wires for each flag of the second group.
const GROUP: usize = 4;

/// The table.
#[derive(Clone, Debug)]
pub struct PublicAir {
    /// How many public values there are; a multiple of four.
    pub num_public: usize,
    /// Preprocessed cells: wire and multiplicity, one flag for each place in a group, one flag for each group.
    pub fixed: Fixed,
}

/// Preprocessed columns.
pub fn fixed_width(num_public: usize) -> usize {
    2 + GROUP + num_public.div_ceil(4 * GROUP)
}

pub(super) fn fixed(circuit: &Circuit, least: usize) -> RowMajorMatrix<F> {
    let width = fixed_width(4 * circuit.public.len());
    let mut cells = vec![F::ZERO; width << log_height(circuit.public.len(), least)];
    for (i, (row, &wire)) in cells.chunks_exact_mut(width).zip(&circuit.public).enumerate() {
        row[..2].copy_from_slice(&read_cells(wire));
        row[2 + i % GROUP] = F::ONE;
        row[2 + GROUP + i / GROUP] = F::ONE;
    }
    RowMajorMatrix::new(cells, width)
}

pub(super) fn trace(witness: &Witness, height: usize) -> RowMajorMatrix<F> {
    let mut cells = witness.public.clone();
    cells.resize(WIDTH * height, F::ZERO);
    RowMajorMatrix::new(cells, WIDTH)
}

impl PublicAir {
    pub(super) fn eval<AB: InteractionBuilder<F = F>>(&self, b: &mut AB) {
        let main = b.main();
        let fixed: Vec<AB::Expr> =
            b.preprocessed().current_slice().iter().map(|&x| x.into()).collect();
        let public: Vec<AB::Expr> = b.public_values().iter().map(|&x| x.into()).collect();
        let (places, groups) = fixed[2..].split_at(GROUP);
        let cells: [AB::Expr; WIDTH] = core::array::from_fn(|k| main.current_slice()[k].into());
        for (k, cell) in cells.iter().enumerate() {
            let chosen = public.chunks(4 * GROUP).zip(groups).map(|(values, group)| {
                let in_group = values.chunks_exact(4).zip(places);
                in_group.map(|(limbs, place)| limbs[k].clone() * place.clone()).sum::<AB::Expr>()
                    * group.clone()
            });
            let chosen = chosen.sum::<AB::Expr>();
            b.assert_zero(chosen - cell.clone());
        }
        message(b, fixed[0].clone(), cells, fixed[1].clone());
    }
}
