//! The table of Poseidon2 permutations (width 16, KoalaBear, x^3, 4 + 20 + 4 rounds): one permutation a row.
//!
//! It answers the buses [`COMPRESS`] and [`PERMUTE`] for every chip: the guest's ecalls, and the memory tree. Each row is a true input/output pair whatever its
//! multiplicities are, so multiplicities need no constraint: a row can be claimed any number of times, and a false pair never (an unclaimed one has multiplicity 0).
//! Rows are independent: no next-row access.
//!
//! Cells a permutation: 164 + 2 main, 3 extension columns: 178.

use super::cols::columns;
use crate::bus::{COMPRESS, F, PERMUTE};
use crate::counts::Counts;
use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::{
    GenericPoseidon2LinearLayersKoalaBear, KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL,
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL, KOALABEAR_POSEIDON2_RC_16_INTERNAL,
};
use p3_lookup::InteractionBuilder;
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;
use p3_poseidon2::GenericPoseidon2LinearLayers;

type Layers = GenericPoseidon2LinearLayersKoalaBear;

const HALF_FULL: usize = 4;
const PARTIAL: usize = 20;

columns! {
    /// Columns of the permutation table.
    pub struct Poseidon2Cols {
        /// The input state.
        input: 16,
        /// The state after each of the first four full rounds.
        first: 64,
        /// The cubed element of each partial round.
        partial: 20,
        /// The state after each of the last four full rounds; the last one is the output.
        last: 64,
        /// How often [`COMPRESS`] claims this row. Free: it can only count.
        compressions,
        /// How often [`PERMUTE`] claims this row. Free: it can only count.
        permutations,
    }
}

/// The permutation table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Poseidon2Air;

fn full_round<R: PrimeCharacteristicRing + From<F>>(state: &mut [R; 16], constants: &[F; 16]) {
    for (s, c) in state.iter_mut().zip(constants) {
        *s = (s.clone() + R::from(*c)).cube();
    }
    Layers::external_linear_layer(state);
}

impl Poseidon2Air {
    /// The trace of all permutations that were asked for.
    pub fn generate(self, counts: &Counts) -> RowMajorMatrix<F> {
        let perms = counts.perms();
        let width = Poseidon2Cols::<F>::WIDTH;
        let height = perms.len().next_power_of_two();
        let mut values = F::zero_vec(height * width);
        values.par_chunks_mut(width).enumerate().for_each(|(i, row)| {
            let (input, uses) = perms.get(i).copied().unwrap_or_default();
            let mut cols = Self::row(input.map(F::from_u32));
            cols.compressions = F::from_u32(uses.compress);
            cols.permutations = F::from_u32(uses.permute);
            cols.write(row);
        });
        RowMajorMatrix::new(values, width)
    }

    fn row(input: [F; 16]) -> Poseidon2Cols<F> {
        let mut cols = Poseidon2Cols::<F>::zero();
        cols.input = input;
        let mut state = input;
        Layers::external_linear_layer(&mut state);
        for (round, constants) in KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL.iter().enumerate() {
            full_round(&mut state, constants);
            cols.first[16 * round..16 * round + 16].copy_from_slice(&state);
        }
        for (cell, constant) in cols.partial.iter_mut().zip(&KOALABEAR_POSEIDON2_RC_16_INTERNAL) {
            state[0] = (state[0] + *constant).cube();
            *cell = state[0];
            Layers::internal_linear_layer(&mut state);
        }
        for (round, constants) in KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL.iter().enumerate() {
            full_round(&mut state, constants);
            cols.last[16 * round..16 * round + 16].copy_from_slice(&state);
        }
        cols
    }
}

impl BaseAir<F> for Poseidon2Air {
    fn width(&self) -> usize {
        Poseidon2Cols::<F>::WIDTH
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }
}

/// Replaces `state` by committed columns that must equal it.
fn commit_state<AB: AirBuilder>(b: &mut AB, state: &mut [AB::Expr; 16], columns: &[AB::Expr]) {
    for (s, column) in state.iter_mut().zip(columns) {
        b.assert_eq(s.clone(), column.clone());
        *s = column.clone();
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for Poseidon2Air
where
    AB::Expr: From<F>,
{
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let cols = Poseidon2Cols::<AB::Expr>::read(main.current_slice());
        let mut state = cols.input.clone();
        Layers::external_linear_layer(&mut state);
        for (round, constants) in KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL.iter().enumerate() {
            full_round(&mut state, constants);
            commit_state(b, &mut state, &cols.first[16 * round..][..16]);
        }
        for (cell, constant) in cols.partial.iter().zip(&KOALABEAR_POSEIDON2_RC_16_INTERNAL) {
            let cubed = (state[0].clone() + AB::Expr::from(*constant)).cube();
            b.assert_eq(cubed, cell.clone());
            state[0] = cell.clone();
            Layers::internal_linear_layer(&mut state);
        }
        for (round, constants) in KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL.iter().enumerate() {
            full_round(&mut state, constants);
            commit_state(b, &mut state, &cols.last[16 * round..][..16]);
        }
        let digest: Vec<AB::Expr> =
            (0..8).map(|i| state[i].clone() + cols.input[i].clone()).collect();
        COMPRESS.table_entry(b, cols.input.iter().cloned().chain(digest), cols.compressions);
        PERMUTE.table_entry(b, cols.input.iter().cloned().chain(state), cols.permutations);
    }
}

const _: () = assert!(HALF_FULL * 16 == 64 && PARTIAL == 20);
