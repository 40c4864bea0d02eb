//! The circuit that verifies proofs accepts what the native verifier accepts, and nothing else.

mod common;

use cairn_prover::bus::F;
use cairn_prover::config::Params;
use cairn_prover::memory::Digest;
use cairn_prover::verify::{decode, encode};
use cairn_recursion::circuit::{Base, Builder, Circuit};
use cairn_recursion::prove::{CircuitKey, CircuitProof, lookups, verify_circuit};
use cairn_recursion::verifier::shape::Shape;
use cairn_recursion::verifier::{Given, verify, witness};
use common::{FAST, FAST_POW, sampler};
use p3_field::PrimeCharacteristicRing;

/// A circuit that verifies proofs of `key`'s circuit, its public values being its own.
fn verifier(key: &CircuitKey, params: Params) -> (Circuit, Shape) {
    let heights = key.vk.log_heights.map(usize::from);
    let shape = Shape::new(&key.airs, key.airs.iter().map(lookups).collect(), &heights, params);
    let mut b = Builder::new();
    let seed: Vec<Base> = key.vk.digest(&params).iter().map(|&x| b.base(x)).collect();
    let fixed = {
        let fixed: Vec<Base> = key.vk.fixed.iter().map(|&x| b.base(x)).collect();
        [0, 4].map(|i| b.pack([fixed[i], fixed[i + 1], fixed[i + 2], fixed[i + 3]]))
    };
    let mut public = vec![Vec::new(); 5];
    for _ in 0..key.vk.num_public / 4 {
        let (wire, parts) = b.input_base();
        public[0].extend(parts);
        b.expose(wire);
    }
    verify(&mut b, &shape, &Given { seed: &seed, public: &public, fixed: Some(fixed) });
    (b.finish(), shape)
}

fn inputs(key: &CircuitKey, shape: &Shape, fixed: Digest, proof: &CircuitProof) -> Option<Vec<F>> {
    let mut public = vec![Vec::new(); 5];
    public[0] = proof.public.clone();
    let seed = key.vk.digest(&key.params);
    let rest = witness::inputs(shape, &seed, &public, Some(fixed), &proof.proof).ok()?;
    Some(proof.public.iter().copied().chain(rest).collect())
}

#[test]
fn honest_proofs_are_accepted_and_the_circuit_is_proven() {
    let (circuit, values) = sampler();
    let key = CircuitKey::new(circuit, &[3, 5, 4, 6, 7], FAST_POW).unwrap();
    let proof = key.prove(&values).unwrap();
    verify_circuit(&key.vk, &FAST_POW, &proof).unwrap();
    let (circuit, shape) = verifier(&key, FAST_POW);
    eprintln!("{:?}", circuit.size());
    let inputs = inputs(&key, &shape, key.vk.fixed, &proof).unwrap();
    let run = circuit.run(&inputs).unwrap();
    assert_eq!(run.public, proof.public);
    let outer = CircuitKey::new(circuit, &[0; 5], FAST).unwrap();
    let outer_proof = outer.prove(&inputs).unwrap();
    verify_circuit(&outer.vk, &FAST, &outer_proof).unwrap();
}

/// Every private input of the circuit matters: a proof changed anywhere is refused.
#[test]
fn no_input_is_free() {
    let (circuit, values) = sampler();
    let key = CircuitKey::new(circuit, &[0; 5], FAST).unwrap();
    let proof = key.prove(&values).unwrap();
    let (circuit, shape) = verifier(&key, FAST);
    let inputs = inputs(&key, &shape, key.vk.fixed, &proof).unwrap();
    circuit.run(&inputs).unwrap();
    let step = (inputs.len() / 150).max(1);
    for at in (0..inputs.len()).step_by(step).chain(0..40) {
        let mut forged = inputs.clone();
        forged[at] += F::ONE;
        assert!(circuit.run(&forged).is_err(), "input {at} of {}", inputs.len());
    }
}

/// Bytes of a proof changed one at a time: native and in-circuit verifiers agree on each.
#[test]
fn both_verifiers_agree_on_mutated_proofs() {
    let (circuit, values) = sampler();
    let key = CircuitKey::new(circuit, &[0; 5], FAST).unwrap();
    let proof = key.prove(&values).unwrap();
    let (circuit, shape) = verifier(&key, FAST);
    let bytes = encode(&proof).unwrap();
    let (mut tried, mut refused) = (0, 0);
    let step = bytes.len() / 120;
    for at in (0..bytes.len()).step_by(step).chain(0..60).chain(bytes.len() - 40..bytes.len()) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        let Ok(mutated) = decode::<CircuitProof>(&bytes, 1 << 24) else { continue };
        tried += 1;
        let native = verify_circuit(&key.vk, &FAST, &mutated).is_ok();
        let ours = (mutated.public.len() == proof.public.len())
            .then(|| inputs(&key, &shape, key.vk.fixed, &mutated))
            .flatten()
            .is_some_and(|inputs| circuit.run(&inputs).is_ok());
        assert_eq!(native, ours, "byte {at}");
        refused += usize::from(!native);
    }
    assert!(tried > 50 && refused == tried, "{refused} of {tried} refused");
    // Another key's preprocessed columns.
    let mut fixed = key.vk.fixed;
    fixed[0] += F::ONE;
    assert!(inputs(&key, &shape, fixed, &proof).is_none());
}
