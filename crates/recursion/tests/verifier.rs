//! The circuit that verifies proofs accepts what the native verifier accepts, and nothing else.

mod common;

use cairn_prover::bus::{EF, F};
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

/// A way to change a proof.
type Change<'a> = (&'a str, Box<dyn Fn(&mut CircuitProof) + 'a>);

/// A way to set a witness of work.
type SetWitness = fn(&mut CircuitProof, F);

fn change<'a>(what: &'a str, how: impl Fn(&mut CircuitProof) + 'a) -> Change<'a> {
    (what, Box::new(how))
}

/// What a forger would leave out or add: both verifiers refuse each of it, and the circuit is of one shape, so that it has no room for most of it.
#[test]
fn incomplete_and_inflated_proofs_are_refused() {
    let (circuit, values) = sampler();
    // With a final polynomial of two coefficients, so that there is one less and one more.
    let params = Params { log_final_poly_len: 1, ..FAST_POW };
    let key = CircuitKey::new(circuit, &[0; 5], params).unwrap();
    let honest = encode(&key.prove(&values).unwrap()).unwrap();
    let (circuit, shape) = verifier(&key, params);
    let copy = || decode::<CircuitProof>(&honest, 1 << 24).unwrap();
    let accepted = |proof: &CircuitProof| {
        let native = verify_circuit(&key.vk, &params, proof).is_ok();
        let inputs = inputs(&key, &shape, key.vk.fixed, proof);
        let ours = inputs.is_some_and(|inputs| circuit.run(&inputs).is_ok());
        (native, ours)
    };
    assert_eq!(accepted(&copy()), (true, true));
    let rounds = copy().proof.opening_proof.commit_phase_commits.len();
    let batches = copy().proof.opening_proof.input_openings.len();
    let mut changes = vec![
        change("a final polynomial too long", |p| p.proof.opening_proof.final_poly.push(EF::ONE)),
        change("one too long by a zero", |p| p.proof.opening_proof.final_poly.push(EF::ZERO)),
        change("a final polynomial too short", |p| {
            p.proof.opening_proof.final_poly.pop();
        }),
        change("another final polynomial", |p| p.proof.opening_proof.final_poly[1] += EF::ONE),
        change("a folding less", |p| {
            p.proof.opening_proof.commit_phase_commits.pop();
        }),
        change("an opening less", |p| {
            p.proof.opening_proof.input_openings.pop();
        }),
        change("a terminal less", |p| {
            p.proof.lookup_terminals.pop();
        }),
        change("a table less", |p| {
            p.proof.opened_values.instances.pop();
        }),
        change("another height", |p| p.proof.degree_bits[0] += 1),
        change("no work for the lookups", |p| p.proof.lookup_pow_witness = None),
        change("two openings swapped", |p| {
            p.proof.opened_values.instances[4].base_opened_values.trace_local.swap(0, 1);
        }),
    ];
    for round in 0..rounds {
        changes.push(change("a query less in a folding", move |p| {
            p.proof.opening_proof.commit_phase_openings[round].sibling_values.pop();
        }));
        changes.push(change("a wrong folding", move |p| {
            p.proof.opening_proof.commit_phase_openings[round].sibling_values[0][0] += EF::ONE;
        }));
        changes.push(change("two queries swapped in a folding", move |p| {
            p.proof.opening_proof.commit_phase_openings[round].sibling_values.reverse();
        }));
    }
    for batch in 0..batches {
        changes.push(change("a query less", move |p| {
            p.proof.opening_proof.input_openings[batch].opened_values.pop();
        }));
        changes.push(change("a query for another", move |p| {
            let rows = &mut p.proof.opening_proof.input_openings[batch].opened_values;
            rows[0] = rows[1].clone();
        }));
        changes.push(change("a matrix less", move |p| {
            p.proof.opening_proof.input_openings[batch].opened_values[0].pop();
        }));
    }
    let unchanged = |proof: &CircuitProof| encode(proof).unwrap() == honest;
    for (what, how) in &changes {
        let mut proof = copy();
        how(&mut proof);
        // Queries may coincide on so small a domain.
        assert!(unchanged(&proof) || accepted(&proof) == (false, false), "{what}");
    }
    // Too little work: eight witnesses in a row, not all of which can do by chance.
    let grinds: [(&str, SetWitness); 5] = [
        ("lookups", |p, w| p.proof.lookup_pow_witness = Some(w)),
        ("point", |p, w| p.proof.ood_pow_witness = w),
        ("batching", |p, w| p.proof.opening_proof.batch_pow_witness = w),
        ("folding", |p, w| p.proof.opening_proof.commit_pow_witnesses[0] = w),
        ("queries", |p, w| p.proof.opening_proof.query_pow_witness = w),
    ];
    for (what, set) in grinds {
        for witness in 1..=8 {
            let mut proof = copy();
            set(&mut proof, F::from_u32(witness));
            assert!(unchanged(&proof) || accepted(&proof) == (false, false), "{what}: {witness}");
        }
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
