//! What the tests share.
#![allow(dead_code)] // each test binary uses its own part

use cairn_prover::bus::{EF, F};
use cairn_prover::config::{PARAMS, Params};
use cairn_prover::memory::permutation;
use cairn_recursion::circuit::{Builder, Circuit, Link, PermRow};
use p3_field::{Field, PrimeCharacteristicRing};
use p3_koala_bear::{
    GenericPoseidon2LinearLayersKoalaBear as Layers, KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL,
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL, KOALABEAR_POSEIDON2_RC_16_INTERNAL,
};
use p3_poseidon2::GenericPoseidon2LinearLayers;
use p3_symmetric::Permutation;

/// Parameters for quick proofs: sound structure, few queries.
pub const FAST: Params = Params {
    num_queries: 2,
    lookup_pow: 0,
    ood_pow: 0,
    batch_pow: 0,
    commit_pow: 0,
    query_pow: 0,
    ..PARAMS
};

/// As [`FAST`], with every proof of work.
pub const FAST_POW: Params = Params {
    num_queries: 3,
    lookup_pow: 2,
    ood_pow: 1,
    batch_pow: 2,
    commit_pow: 1,
    query_pow: 3,
    ..PARAMS
};

pub fn ef(x: [u32; 4]) -> EF {
    EF::new(x.map(F::from_u32))
}

/// A circuit that uses every kind of row, and inputs that it accepts.
pub fn sampler() -> (Circuit, Vec<F>) {
    let mut b = Builder::new();
    let mut inputs = Vec::new();
    let mut put = |x: [u32; 4]| inputs.extend(x.map(F::from_u32));
    let x = b.input();
    put([1, 2, 3, 4]);
    let y = b.input();
    put([5, 6, 7, 8]);
    let product = b.mul(x, y);
    let quotient = b.div(product, y);
    b.assert_eq(quotient, x);
    let difference = b.sub(product, x);
    let sum = b.add(difference, x);
    b.assert_eq(sum, product);
    let (packed, parts) = b.input_base();
    put([9, 10, 0x7f00_0000, 0]);
    let turned = b.pack([parts[3], parts[2], parts[1], parts[0]]);
    let bits = b.bits(parts[2]);
    let chosen = b.select(bits[30], turned, packed);
    let low = b.from_bits(&bits[..24]);
    b.assert_zero(low.wire());
    let state = b.permute([x, chosen, sum, packed]);
    // A leaf of two runs, then a path with an injected digest.
    let mut row = PermRow::new(Link::Start(8));
    row.point = Some(b.note_read(y));
    let slot = b.defining();
    row.emit = Some((2, slot.wire));
    let first_run = slot.wire;
    b.push_perm(row);
    put([11, 12, 13, 14]);
    put([15, 16, 17, 18]);
    let mut row = PermRow::new(Link::Continue(5));
    row.resume = true;
    let slot = b.defining();
    row.emit = Some((4, slot.wire));
    let second_run = slot.wire;
    let element = b.defining();
    row.ins[0] = Some(element);
    b.push_perm(row);
    put([19, 20, 21, 22]);
    inputs.push(F::from_u32(23));
    for bit in [bits[30], bits[0]] {
        let mut row = PermRow::new(Link::Merkle);
        row.bit = Some(b.note_read(bit.wire()));
        b.push_perm(row);
        inputs.extend((100..108).map(F::from_u32));
    }
    let mut row = PermRow::new(Link::Inject);
    row.ins[2] = Some(b.reading(state[0]));
    row.ins[3] = Some(b.reading(state[1]));
    let outs = [b.defining(), b.defining()];
    row.outs[..2].copy_from_slice(&outs.map(Some));
    b.push_perm(row);
    let digest = b.hash(&parts);
    for wire in
        [first_run, second_run, element.wire, outs[0].wire, outs[1].wire, digest[0], state[3]]
    {
        b.expose(wire);
    }
    (b.finish(), inputs)
}

/// Other data whose permutation begins with the same eight cells as that of `data`: a second preimage of the truncated permutation, found by running it backwards.
pub fn truncated_twin(data: [F; 16]) -> [F; 16] {
    let mut state = permutation().permute(data);
    state[8..].iter_mut().for_each(|x| *x += F::ONE);
    let twin = unpermute(state);
    assert!(twin != data && permutation().permute(twin)[..8] == permutation().permute(data)[..8]);
    twin
}

/// The inverse of Poseidon2: everyone can compute it, as quickly as Poseidon2 itself.
fn unpermute(mut state: [F; 16]) -> [F; 16] {
    let external = |state: &mut [F; 16]| {
        unapply(state, <Layers as GenericPoseidon2LinearLayers<16>>::external_linear_layer)
    };
    let internal = |state: &mut [F; 16]| {
        unapply(state, <Layers as GenericPoseidon2LinearLayers<16>>::internal_linear_layer)
    };
    let full = |state: &mut [F; 16], constants: &[F; 16]| {
        external(state);
        state.iter_mut().zip(constants).for_each(|(x, c)| *x = cube_root(*x) - *c);
    };
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL.iter().rev().for_each(|c| full(&mut state, c));
    for c in KOALABEAR_POSEIDON2_RC_16_INTERNAL.iter().rev() {
        internal(&mut state);
        state[0] = cube_root(state[0]) - *c;
    }
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL.iter().rev().for_each(|c| full(&mut state, c));
    external(&mut state);
    state
}

/// `x^(1/3)`: cubing is a permutation of the field, since 3 does not divide `p - 1`.
fn cube_root(x: F) -> F {
    const ORDER: u64 = 0x7f00_0000;
    // Three times the exponent is 1 modulo the order.
    x.exp_u64((2 * ORDER + 1) / 3)
}

/// Undoes a linear layer, by elimination in the matrix that it is.
fn unapply(state: &mut [F; 16], layer: impl Fn(&mut [F; 16])) {
    let mut rows = [[F::ZERO; 17]; 16];
    for column in 0..16 {
        let mut unit = [F::ZERO; 16];
        unit[column] = F::ONE;
        layer(&mut unit);
        (0..16).for_each(|row| rows[row][column] = unit[row]);
    }
    (0..16).for_each(|row| rows[row][16] = state[row]);
    for at in 0..16 {
        let pivot = (at..16).find(|&row| rows[row][at] != F::ZERO).unwrap();
        rows.swap(at, pivot);
        let inverse = rows[at][at].inverse();
        rows[at].iter_mut().for_each(|x| *x *= inverse);
        let pivot = rows[at];
        for row in (0..16).filter(|&row| row != at) {
            let factor = rows[row][at];
            rows[row].iter_mut().zip(pivot).for_each(|(x, p)| *x -= factor * p);
        }
    }
    (0..16).for_each(|row| state[row] = rows[row][16]);
}
