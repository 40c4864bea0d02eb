//! A set of tables of the kind that the final layer proves: arithmetic over the challenge field, Poseidon2, constants, public values, wired by one bus.

#![allow(dead_code)]

pub mod evm;

use cairn_final_proof::{EF, F, FinalKey, Params};
use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing};
use p3_koala_bear::{
    GenericPoseidon2LinearLayersKoalaBear, KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL,
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL, KOALABEAR_POSEIDON2_RC_16_INTERNAL,
};
use p3_lookup::{Count, InteractionBuilder, PermutationCheckBus};
use p3_matrix::dense::RowMajorMatrix;
use p3_poseidon2::GenericPoseidon2LinearLayers;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;

const WIRES: PermutationCheckBus<'static> = PermutationCheckBus::new("wires");
/// Public values.
pub const PUBLIC: usize = 32;
const POSEIDON_WIDTH: usize = 16 + 4 * 16 + 20 + 4 * 16;

/// A table with its preprocessed columns.
#[derive(Clone)]
pub enum SampleAir {
    /// `c = a b` or `c = a + b`, over the challenge field.
    Alu(Arc<RowMajorMatrix<F>>),
    /// Poseidon2 of three wires to three wires.
    Poseidon2(Arc<RowMajorMatrix<F>>),
    /// Wires of fixed value.
    Constants(Arc<RowMajorMatrix<F>>),
    /// Wires of public value.
    Publics(Arc<RowMajorMatrix<F>>),
}

impl SampleAir {
    fn pre(&self) -> &RowMajorMatrix<F> {
        match self {
            Self::Alu(m) | Self::Poseidon2(m) | Self::Constants(m) | Self::Publics(m) => m,
        }
    }
}

impl BaseAir<F> for SampleAir {
    fn width(&self) -> usize {
        match self {
            Self::Alu(_) => 15,
            Self::Poseidon2(_) => POSEIDON_WIDTH,
            Self::Constants(_) => 1,
            Self::Publics(_) => 2,
        }
    }
    fn preprocessed_trace(&self) -> Option<RowMajorMatrix<F>> {
        Some(self.pre().clone())
    }
    fn preprocessed_width(&self) -> usize {
        self.pre().width
    }
    fn num_public_values(&self) -> usize {
        if matches!(self, Self::Publics(_)) { PUBLIC } else { 0 }
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        // The public table counts its rows, so that reading the next row is covered.
        if matches!(self, Self::Publics(_)) { vec![1] } else { vec![] }
    }
    fn preprocessed_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for SampleAir {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let m: Vec<AB::Var> = main.current_slice().to_vec();
        let p: Vec<AB::Var> = b.preprocessed().current_slice().to_vec();
        let once = |flag: AB::Var| Count::bounded(AB::Expr::from(flag), 1);
        // How often a wire is read is a preprocessed number below 2^16; few wires are read often.
        let often = |n: AB::Var| Count::bounded(AB::Expr::from(n), 4);
        let wire = |index: AB::Var, value: &[AB::Var]| -> Vec<AB::Expr> {
            let mut tuple: Vec<AB::Expr> = vec![index.into()];
            tuple.extend(value.iter().map(|&v| AB::Expr::from(v)));
            tuple.resize(6, AB::Expr::ZERO);
            tuple
        };
        match self {
            Self::Alu(_) => {
                let (a, x, c) = (&m[0..5], &m[5..10], &m[10..15]);
                let product = quintic_product::<AB>(a, x);
                for i in 0..5 {
                    let sum = a[i] + x[i];
                    b.assert_zero(p[0] * (product[i].clone() - sum.clone()) + sum - c[i]);
                }
                WIRES.receive(b, wire(p[2], a), once(p[1]));
                WIRES.receive(b, wire(p[3], x), once(p[1]));
                WIRES.send(b, wire(p[4], c), often(p[5]));
            }
            Self::Poseidon2(_) => {
                let output = poseidon2(b, &m);
                for i in 0..3 {
                    WIRES.receive(b, wire(p[1 + i], &m[5 * i..5 * i + 5]), once(p[0]));
                    WIRES.send(b, wire(p[4 + i], &output[5 * i..5 * i + 5]), often(p[7 + i]));
                }
                b.assert_zero(m[15]);
            }
            Self::Constants(_) => {
                b.assert_eq(m[0], p[2]);
                WIRES.send(b, wire(p[0], &m[..1]), often(p[1]));
            }
            Self::Publics(_) => {
                let next = main.next_slice()[1];
                b.when_first_row().assert_zero(m[1]);
                b.when_transition().assert_eq(next, m[1] + F::ONE);
                b.when_last_row().assert_eq(m[1], p[2]);
                let publics: Vec<AB::Expr> = b.public_values().iter().map(|&v| v.into()).collect();
                let sum = publics
                    .into_iter()
                    .zip(&p[3..])
                    .fold(AB::Expr::ZERO, |sum, (v, &flag)| sum + v * flag);
                b.assert_eq(m[0], sum);
                WIRES.send(b, wire(p[0], &m[..1]), often(p[1]));
            }
        }
    }
}

/// `a b` with `X^5 = 1 - X^2`.
fn quintic_product<AB: AirBuilder<F = F>>(a: &[AB::Var], b: &[AB::Var]) -> Vec<AB::Expr> {
    let mut c = vec![AB::Expr::ZERO; 9];
    for i in 0..5 {
        for j in 0..5 {
            c[i + j] += a[i] * b[j];
        }
    }
    for k in (5..9).rev() {
        let x = c[k].clone();
        c[k - 5] += x.clone();
        c[k - 3] -= x;
    }
    c.truncate(5);
    c
}

type Layers = GenericPoseidon2LinearLayersKoalaBear;

fn poseidon2<AB: AirBuilder<F = F>>(b: &mut AB, m: &[AB::Var]) -> Vec<AB::Var> {
    let mut state: [AB::Expr; 16] = std::array::from_fn(|i| m[i].into());
    let mut at = 16;
    let full = |b: &mut AB, state: &mut [AB::Expr; 16], rc: &[F; 16], post: &[AB::Var]| {
        for (s, rc) in state.iter_mut().zip(rc) {
            *s = (s.clone() + AB::Expr::from(*rc)).cube();
        }
        <Layers as GenericPoseidon2LinearLayers<16>>::external_linear_layer(state);
        for (s, post) in state.iter_mut().zip(post) {
            b.assert_eq(s.clone(), *post);
            *s = (*post).into();
        }
    };
    <Layers as GenericPoseidon2LinearLayers<16>>::external_linear_layer(&mut state);
    for rc in &KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL {
        full(b, &mut state, rc, &m[at..at + 16]);
        at += 16;
    }
    for rc in &KOALABEAR_POSEIDON2_RC_16_INTERNAL {
        b.assert_eq((state[0].clone() + AB::Expr::from(*rc)).cube(), m[at]);
        state[0] = m[at].into();
        <Layers as GenericPoseidon2LinearLayers<16>>::internal_linear_layer(&mut state);
        at += 1;
    }
    for rc in &KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL {
        full(b, &mut state, rc, &m[at..at + 16]);
        at += 16;
    }
    m[at - 16..at].to_vec()
}

fn poseidon2_row(input: [F; 16]) -> Vec<F> {
    let mut row = input.to_vec();
    let mut state = input;
    let full = |state: &mut [F; 16], rc: &[F; 16], row: &mut Vec<F>| {
        for (s, rc) in state.iter_mut().zip(rc) {
            *s = (*s + *rc).cube();
        }
        <Layers as GenericPoseidon2LinearLayers<16>>::external_linear_layer(state);
        row.extend(*state);
    };
    <Layers as GenericPoseidon2LinearLayers<16>>::external_linear_layer(&mut state);
    for rc in &KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL {
        full(&mut state, rc, &mut row);
    }
    for rc in &KOALABEAR_POSEIDON2_RC_16_INTERNAL {
        state[0] = (state[0] + *rc).cube();
        row.push(state[0]);
        <Layers as GenericPoseidon2LinearLayers<16>>::internal_linear_layer(&mut state);
    }
    for rc in &KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL {
        full(&mut state, rc, &mut row);
    }
    row
}

/// Tables with traces that satisfy them.
pub struct Sample {
    pub key: FinalKey<SampleAir>,
    pub traces: Vec<RowMajorMatrix<F>>,
    pub publics: Vec<F>,
}

struct Wires {
    values: Vec<EF>,
    reads: Vec<u32>,
}

impl Wires {
    fn read(&mut self, rng: &mut StdRng) -> usize {
        let i = rng.random_range(0..self.values.len());
        self.reads[i] += 1;
        i
    }
    fn add(&mut self, value: EF) -> usize {
        self.values.push(value);
        self.reads.push(0);
        self.values.len() - 1
    }
}

fn coordinates(x: EF) -> Vec<F> {
    let c: &[F] = x.as_basis_coefficients_slice();
    c.to_vec()
}

/// A circuit of random wiring; `log_heights` are those of the arithmetic, Poseidon2, constants and public tables.
pub fn sample(log_heights: [usize; 4], params: Params, publics: &[F]) -> Sample {
    let [alu_rows, poseidon_rows, constant_rows, public_rows] = log_heights.map(|h| 1usize << h);
    let rng = &mut StdRng::seed_from_u64(7);
    let mut wires = Wires { values: vec![], reads: vec![] };
    let (mut alu, mut alu_pre) = (vec![], vec![]);
    let (mut pos, mut pos_pre) = (vec![], vec![]);
    let (mut outputs, mut pos_outputs) = (vec![], vec![]);
    for &value in publics {
        wires.add(value.into());
    }
    let constants = constant_rows.min(50);
    for i in 0..constants {
        wires.add(F::from_usize(3 * i + 1).into());
    }
    // The last rows of each table are padding.
    for row in 0..poseidon_rows {
        if row + 5 < poseidon_rows {
            let inputs: [usize; 3] = std::array::from_fn(|_| wires.read(rng));
            let mut state = [F::ZERO; 16];
            for (chunk, &i) in state.chunks_exact_mut(5).zip(&inputs) {
                chunk.copy_from_slice(&coordinates(wires.values[i]));
            }
            let cells = poseidon2_row(state);
            let out = &cells[POSEIDON_WIDTH - 16..];
            let made: [usize; 3] = std::array::from_fn(|i| {
                wires.add(EF::from_basis_coefficients_fn(|k| out[5 * i + k]))
            });
            pos.extend(cells);
            pos_pre.push((true, inputs));
            pos_outputs.push(made);
        } else {
            pos.extend(poseidon2_row([F::ZERO; 16]));
            pos_pre.push((false, [0; 3]));
            pos_outputs.push([usize::MAX; 3]);
        }
        let per = alu_rows / poseidon_rows.min(alu_rows);
        for _ in 0..per {
            let active = outputs.len() + 3 < alu_rows;
            if !active {
                break;
            }
            let (a, x) = (wires.read(rng), wires.read(rng));
            let mul = rng.random_bool(0.5);
            let (va, vx) = (wires.values[a], wires.values[x]);
            let c = if mul { va * vx } else { va + vx };
            alu.extend([coordinates(va), coordinates(vx), coordinates(c)].concat());
            alu_pre.push((mul, a, x));
            outputs.push(wires.add(c));
        }
    }
    let f = F::from_usize;
    let reads = |i: usize| if i == usize::MAX { F::ZERO } else { F::from_u32(wires.reads[i]) };
    let index = |i: usize| if i == usize::MAX { F::ZERO } else { f(i) };
    let mut alu_table = vec![];
    for (&(mul, a, x), &c) in alu_pre.iter().zip(&outputs) {
        alu_table.extend([F::from_bool(mul), F::ONE, f(a), f(x), f(c), reads(c)]);
    }
    alu.resize(15 * alu_rows, F::ZERO);
    alu_table.resize(6 * alu_rows, F::ZERO);
    let mut pos_table = vec![];
    for ((active, inputs), made) in pos_pre.iter().zip(&pos_outputs) {
        pos_table.push(F::from_bool(*active));
        pos_table.extend(inputs.map(f));
        pos_table.extend(made.map(index));
        pos_table.extend(made.map(reads));
    }
    let (mut constant, mut constant_table) = (vec![], vec![]);
    for i in 0..constants {
        constant.push(f(3 * i + 1));
        constant_table.extend([f(PUBLIC + i), reads(PUBLIC + i), f(3 * i + 1)]);
    }
    constant.resize(constant_rows, F::ZERO);
    constant_table.resize(3 * constant_rows, F::ZERO);
    let (mut public, mut public_table) = (vec![], vec![]);
    for i in 0..public_rows {
        let used = i < PUBLIC;
        public.extend([publics.get(i).copied().unwrap_or(F::ZERO), f(i)]);
        public_table.extend([
            if used { f(i) } else { F::ZERO },
            if used { reads(i) } else { F::ZERO },
            f(public_rows - 1),
        ]);
        public_table.extend((0..PUBLIC).map(|k| F::from_bool(k == i)));
    }
    let m = |values: Vec<F>, width| RowMajorMatrix::new(values, width);
    let airs = vec![
        SampleAir::Alu(Arc::new(m(alu_table, 6))),
        SampleAir::Poseidon2(Arc::new(m(pos_table, 10))),
        SampleAir::Constants(Arc::new(m(constant_table, 3))),
        SampleAir::Publics(Arc::new(m(public_table, 3 + PUBLIC))),
    ];
    Sample {
        key: FinalKey::with_params(airs, &log_heights, params).unwrap(),
        traces: vec![m(alu, 15), m(pos, POSEIDON_WIDTH), m(constant, 1), m(public, 2)],
        publics: publics.to_vec(),
    }
}

/// Parameters that prove little and fast.
pub const CHEAP: Params = Params {
    log_blowup: 2,
    num_queries: 6,
    log_final_poly_len: 2,
    max_log_arity: 3,
    lookup_pow: 2,
    ood_pow: 3,
    batch_pow: 4,
    commit_pow: 5,
    query_pow: 6,
};
/// Small heights, with every kind of folding: 2^8 -> 2^5 joins nothing, -> 2^4 is the constants' height.
pub const SMALL: [usize; 4] = [8, 7, 4, 5];
