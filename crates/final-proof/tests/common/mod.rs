//! A circuit of the recursion layer whose public values are a statement, in the layout of the last circuit.

#![allow(dead_code)]

pub mod evm;

use cairn_final_proof::{F, FinalKey, Params};
use cairn_recursion::air::{CircuitAir, Layout, traces};
use cairn_recursion::circuit::{Builder, Circuit, Link, PermRow, Wire};
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;

/// Tables with traces that satisfy them.
pub struct Sample {
    pub key: FinalKey<CircuitAir>,
    pub traces: Vec<RowMajorMatrix<F>>,
    pub publics: Vec<F>,
}

/// A circuit that exposes its inputs and uses every kind of row.
fn circuit(num_public: usize) -> Circuit {
    let mut b = Builder::new();
    let wires: Vec<Wire> = (0..num_public / 4).map(|_| b.input()).collect();
    let state = b.permute([wires[0], wires[1], wires[2], wires[3]]);
    let product = b.mul(state[0], wires[4]);
    let quotient = b.div(product, state[0]);
    b.assert_eq(quotient, wires[4]);
    let (packed, parts) = b.input_base();
    let bits = b.bits(parts[1]);
    let turned = b.pack([parts[3], parts[2], parts[1], parts[0]]);
    let chosen = b.select(bits[0], turned, packed);
    // A leaf whose cells are summed, and a step of a path.
    let mut row = PermRow::new(Link::Start(8));
    row.point = Some(b.note_read(chosen));
    let sum = b.defining();
    row.emit = Some((5, sum.wire));
    b.push_perm(row);
    let mut row = PermRow::new(Link::Merkle);
    row.bit = Some(b.note_read(bits[1].wire()));
    let out = b.defining();
    row.outs[0] = Some(out);
    b.push_perm(row);
    let again = b.mul(sum.wire, out.wire);
    let back = b.div(again, sum.wire);
    b.assert_eq(back, out.wire);
    wires.iter().for_each(|&w| b.expose(w));
    b.finish()
}

/// The tables at least as high as `least` (log2), with these public values.
pub fn sample(least: [usize; 5], params: Params, publics: &[F]) -> Sample {
    let circuit = circuit(publics.len());
    let private: Vec<F> = (1..21u32).map(F::from_u32).collect();
    let inputs = [publics, &private].concat();
    let witness = circuit.run(&inputs).unwrap();
    assert_eq!(witness.public, publics);
    let airs = CircuitAir::of(&circuit, Layout { lanes: 1, compact: true }, &least);
    let heights: Vec<usize> = airs.iter().map(|a| a.log_height().unwrap()).collect();
    let traces = traces(&circuit, &witness, &airs).to_vec();
    let key = FinalKey::with_params(airs.to_vec(), &heights, params).unwrap();
    Sample { key, traces, publics: publics.to_vec() }
}

/// Parameters that prove little and fast.
pub const CHEAP: Params = Params {
    log_blowup: 3,
    num_queries: 6,
    log_final_poly_len: 2,
    max_log_arity: 3,
    lookup_pow: 2,
    ood_pow: 3,
    batch_pow: 4,
    commit_pow: 5,
    query_pow: 6,
};
/// Small heights, with every kind of folding: from 2^8 to 2^5, which nothing joins, to 2^4, the height of constants.
pub const SMALL: [usize; 5] = [7, 4, 5, 8, 7];
