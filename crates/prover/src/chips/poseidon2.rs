//! The Poseidon2 permutation of width 16 over KoalaBear, one a row, answering both Poseidon2 buses.

use crate::bus::{COMPRESS, F, PERMUTE};
use crate::columns;
use crate::columns::Columns;
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::{
    GenericPoseidon2LinearLayersKoalaBear, KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL,
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL, KOALABEAR_POSEIDON2_RC_16_INTERNAL,
};
use p3_lookup::InteractionBuilder;
use p3_poseidon2::GenericPoseidon2LinearLayers;

columns! {
    /// Columns of [`Poseidon2Chip`].
    pub struct Poseidon2Cols {
        /// The permutation's input.
        input: [T; 16],
        /// State after each of the four first full rounds; the round's formula.
        begin: [[T; 16]; 4],
        /// The S-box output of each of the twenty partial rounds; the round's formula.
        partial: [T; 20],
        /// State after each of the four last full rounds, the last of them the output; the round's formula.
        end: [[T; 16]; 4],
        /// How often it is looked up as a compression; balances the bus.
        compress: T,
        /// How often it is looked up as a permutation; balances the bus.
        permute: T,
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Poseidon2Chip;

type Layers = GenericPoseidon2LinearLayersKoalaBear;

impl BaseAir<F> for Poseidon2Chip {
    fn width(&self) -> usize {
        <Poseidon2Cols<F> as Columns<F>>::WIDTH
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

/// One full round on linear expressions, pinned to `post`.
fn full_round<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    state: &mut [AB::Expr; 16],
    rc: &[F; 16],
    post: [AB::Var; 16],
) {
    for (s, rc) in state.iter_mut().zip(rc) {
        *s = (s.clone() + AB::Expr::from(*rc)).cube();
    }
    <Layers as GenericPoseidon2LinearLayers<16>>::external_linear_layer(state);
    for (s, post) in state.iter_mut().zip(post) {
        b.assert_eq(s.clone(), post);
        *s = post.into();
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for Poseidon2Chip {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let c: &Poseidon2Cols<AB::Var> = Columns::of(main.current_slice());
        let mut state: [AB::Expr; 16] = c.input.map(Into::into);
        <Layers as GenericPoseidon2LinearLayers<16>>::external_linear_layer(&mut state);
        for (rc, post) in KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL.iter().zip(c.begin) {
            full_round(b, &mut state, rc, post);
        }
        for (rc, post) in KOALABEAR_POSEIDON2_RC_16_INTERNAL.iter().zip(c.partial) {
            b.assert_eq((state[0].clone() + AB::Expr::from(*rc)).cube(), post);
            state[0] = post.into();
            <Layers as GenericPoseidon2LinearLayers<16>>::internal_linear_layer(&mut state);
        }
        for (rc, post) in KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL.iter().zip(c.end) {
            full_round(b, &mut state, rc, post);
        }
        let output = c.end[3];
        let digest: [AB::Expr; 8] = core::array::from_fn(|i| output[i] + c.input[i]);
        let input = c.input.map(Into::<AB::Expr>::into);
        COMPRESS.table_entry(b, input.clone().into_iter().chain(digest), c.compress);
        PERMUTE.table_entry(b, input.into_iter().chain(output.map(Into::into)), c.permute);
    }
}

/// Fills a row for `input`.
pub fn fill_row(row: &mut [F], input: [F; 16]) {
    let c: &mut Poseidon2Cols<F> = Columns::of_mut(row);
    c.input = input;
    let mut state = input;
    <Layers as GenericPoseidon2LinearLayers<16>>::external_linear_layer(&mut state);
    let full = |state: &mut [F; 16], rc: &[F; 16]| {
        for (s, rc) in state.iter_mut().zip(rc) {
            *s = (*s + *rc).cube();
        }
        <Layers as GenericPoseidon2LinearLayers<16>>::external_linear_layer(state);
    };
    for (rc, post) in KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL.iter().zip(&mut c.begin) {
        full(&mut state, rc);
        *post = state;
    }
    for (rc, post) in KOALABEAR_POSEIDON2_RC_16_INTERNAL.iter().zip(&mut c.partial) {
        state[0] = (state[0] + *rc).cube();
        *post = state[0];
        <Layers as GenericPoseidon2LinearLayers<16>>::internal_linear_layer(&mut state);
    }
    for (rc, post) in KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL.iter().zip(&mut c.end) {
        full(&mut state, rc);
        *post = state;
    }
}
