//! Circuits: what they accept, and that no table's cell is free.

mod common;

use cairn_prover::bus::F;
use cairn_prover::memory::permutation;
use cairn_recursion::air::{CircuitAir, Layout, traces};
use cairn_recursion::circuit::Builder;
use cairn_recursion::claim::{hash_two, input_digest};
use cairn_recursion::prove::{CircuitKey, CircuitProof, verify_circuit};
use cairn_recursion::run::RunError;
use common::{FAST, ef, sampler, truncated_twin};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_matrix::Matrix;
use p3_symmetric::{CryptographicHasher, PaddingFreeSponge};

#[test]
fn a_circuit_is_proven_and_verified() {
    let (circuit, inputs) = sampler();
    let key = CircuitKey::new(circuit, &[0; 5], FAST).unwrap();
    let proof = key.prove(&inputs).unwrap();
    verify_circuit(&key.vk, &FAST, &proof).unwrap();
    // The accumulator is Horner's rule, the hash the base prover's.
    let y = ef([5, 6, 7, 8]);
    let horner =
        |range: std::ops::Range<u32>| range.fold(ef([0; 4]), |s, x| s * y + F::from_u32(x));
    let expected: Vec<F> =
        [horner(11..14), horner(14..24)].iter().flat_map(cairn_recursion::run::limbs).collect();
    assert_eq!(proof.public[..8], expected[..]);
    let sponge = PaddingFreeSponge::<_, 16, 8, 8>::new(permutation().clone());
    let digest: [F; 8] = sponge.hash_iter([9, 10, 0x7f00_0000, 0].map(F::from_u32));
    assert_eq!(proof.public[20..24], digest[..4]);
}

/// Limbs that were never committed must not open a digest. A truncated permutation of two free halves can be run backwards, so data is hashed by the sponge:
/// what is a second preimage of the one is none of the other, in a circuit as outside.
#[test]
fn data_is_not_hashed_by_a_truncated_permutation() {
    let words = [0xdead_beef, 1, 2, 0xffff_ffff, 0, 6, 0x7f00_0001, 8];
    let limbs: Vec<F> = words.iter().flat_map(|&w| cairn_prover::bus::limbs(w)).collect();
    let limbs: [F; 16] = limbs.try_into().unwrap();
    let twin = truncated_twin(limbs);
    let halves = |x: [F; 16]| {
        let (l, r) = x.split_at(8);
        [l, r].map(|half| <[F; 8]>::try_from(half).unwrap())
    };
    let native = |x: [F; 16]| {
        let [l, r] = halves(x);
        hash_two(l, r)
    };
    assert_eq!(native(limbs), input_digest(&words));
    assert_ne!(native(limbs), native(twin));
    let mut b = Builder::new();
    let wires: Vec<_> = (0..4).map(|_| b.input_base().0).collect();
    let digest = b.hash_two([wires[0], wires[1]], [wires[2], wires[3]]);
    digest.into_iter().for_each(|wire| b.expose(wire));
    let circuit = b.finish();
    for data in [limbs, twin] {
        assert_eq!(circuit.run(&data).unwrap().public, native(data));
    }
}

#[test]
fn another_public_value_or_key_is_refused() {
    let (circuit, inputs) = sampler();
    let key = CircuitKey::new(circuit, &[0; 5], FAST).unwrap();
    let proof = key.prove(&inputs).unwrap();
    for i in 0..proof.public.len() {
        let mut public = proof.public.clone();
        public[i] += F::ONE;
        let bytes = cairn_prover::verify::encode(&proof).unwrap();
        let copy: CircuitProof = cairn_prover::verify::decode(&bytes, 1 << 24).unwrap();
        let forged = CircuitProof { public, proof: copy.proof };
        assert!(verify_circuit(&key.vk, &FAST, &forged).is_err(), "public value {i}");
    }
    let mut vk = key.vk.clone();
    vk.fixed[3] += F::ONE;
    assert!(verify_circuit(&vk, &FAST, &proof).is_err());
    let mut vk = key.vk.clone();
    vk.log_heights[4] += 1;
    assert!(verify_circuit(&vk, &FAST, &proof).is_err());
    let mut vk = key.vk.clone();
    vk.num_public -= 4;
    assert!(verify_circuit(&vk, &FAST, &proof).is_err());
}

/// Every column of every table, changed in a row, must make the proof fail: by each way of changing it.
#[test]
fn no_column_is_free() {
    let (circuit, inputs) = sampler();
    let key = CircuitKey::new(circuit, &[0; 5], FAST).unwrap();
    let witness = key.circuit.run(&inputs).unwrap();
    let honest = traces(&key.circuit, &witness, &key.airs);
    let accepted = |traces: &[_; 5]| {
        key.prove_traces(traces, &witness.public).is_ok_and(|proof| {
            let proof = CircuitProof { public: witness.public.clone(), proof };
            verify_circuit(&key.vk, &FAST, &proof).is_ok()
        })
    };
    assert!(accepted(&honest));
    // In a row that is used: a padding row's unread cells are anyone's.
    let used = [0, 1, 1, 0, 3];
    for (table, row) in used.into_iter().enumerate() {
        let width = honest[table].width();
        for column in 0..width {
            let at = row * width + column;
            let old = honest[table].values[at];
            let other = honest[table].values[(at + 1) % honest[table].values.len()];
            let values = [old + F::ONE, F::ZERO, F::NEG_ONE, other];
            // The first way that changes the cell, and one more for every third column: each is a whole proof.
            let ways = if column % 3 == 0 { 4 } else { 1 };
            for value in values.into_iter().filter(|&v| v != old).take(ways) {
                let mut forged = honest.clone();
                forged[table].values[at] = value;
                assert!(!accepted(&forged), "{} column {column}", key.airs[table].name());
            }
        }
    }
}

#[test]
fn runs_refuse_what_the_circuit_refuses() {
    let (circuit, inputs) = sampler();
    assert!(circuit.run(&inputs).is_ok());
    assert_eq!(circuit.run(&inputs[1..]).unwrap_err(), RunError::Inputs(inputs.len() - 1));
    let mut longer = inputs.clone();
    longer.push(F::ONE);
    assert_eq!(circuit.run(&longer).unwrap_err(), RunError::Inputs(longer.len()));
    let mut zero = inputs.clone();
    zero[4..8].fill(F::ZERO);
    assert!(matches!(circuit.run(&zero), Err(RunError::Division(_))));
    let mut bits = inputs;
    bits[10] = F::from_u32(0x7f00_0000 - 1);
    assert!(matches!(circuit.run(&bits), Err(RunError::Refused(_))));
}

/// A quotient exists unless only the divisor is zero; where it is read, it must be the only one.
#[test]
fn divisions_by_zero_are_refused() {
    for read in [false, true] {
        let mut b = Builder::new();
        let (x, y) = (b.input(), b.input());
        let quotient = b.div(x, y);
        b.expose(if read { quotient } else { x });
        let circuit = b.finish();
        let run = |x: u32, y: u32| circuit.run(&[x, 0, 0, 0, y, 0, 0, 0].map(F::from_u32));
        assert_eq!(run(6, 3).unwrap().public[0], F::from_u32(if read { 2 } else { 6 }));
        assert_eq!(run(0, 0).is_ok(), !read);
        assert!(matches!(run(6, 0), Err(RunError::Division(_))));
    }
}

/// p - 1 and values around it decompose into their canonical bits.
#[test]
fn bits_are_canonical() {
    let mut b = Builder::new();
    let (_, [x, ..]) = b.input_base();
    let bits = b.bits(x);
    let parts = core::array::from_fn(|i| bits[i]);
    let packed = b.pack(parts);
    b.expose(packed);
    let circuit = b.finish();
    for x in [0, 1, 0x7f00_0000, 0x7eff_ffff, 12345] {
        let run = circuit.run(&[x, 0, 0, 0].map(F::from_u32)).unwrap();
        let expected: Vec<u32> = (0..4).map(|i| x >> i & 1).collect();
        assert_eq!(run.public.iter().map(F::as_canonical_u32).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn every_constraint_has_degree_three_at_most() {
    use p3_air::symbolic::AirLayout;
    use p3_batch_stark::symbolic::get_symbolic_constraints;
    for air in CircuitAir::all(32, Layout::WIDE) {
        let lookups = cairn_recursion::prove::lookups(&air);
        let (base, extension) = get_symbolic_constraints::<F, cairn_prover::bus::EF, _, _>(
            &air,
            AirLayout::from_air::<F>(&air),
            &lookups,
            &p3_lookup::LogUpGadget::new(),
        );
        let degrees = base
            .iter()
            .map(|c| c.degree_multiple())
            .chain(extension.iter().map(|c| c.degree_multiple()));
        assert!(degrees.max().unwrap_or(0) <= 3, "{}", air.name());
    }
}
