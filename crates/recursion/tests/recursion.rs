//! Shards to leaves, leaves to lifts, lifts to a node, the node opened by the root: on real shard proofs of a small program, with few queries.

mod common;

use cairn_prover::bus::F;
use cairn_prover::config::Params;
use cairn_prover::program::Program;
use cairn_prover::run::Run;
use cairn_prover::shape::ShardShape;
use cairn_prover::shard::{ProvingKey, ShardProof, traces};
use cairn_prover::trace::ShardLimits;
use cairn_prover::verify::{ExecutionProof, decode, encode, public_input_bytes, verify_with};
use cairn_recursion::aggregate::*;
use cairn_recursion::claim::{State, StateError};
use cairn_recursion::leaf::{Leaf, LeafError};
use cairn_recursion::prove::{CircuitKey, CircuitProof, verify_circuit};
use cairn_vm::{Input, ProgramImage};
use common::{FAST, truncated_twin};
use p3_field::PrimeCharacteristicRing;
use std::sync::Arc;

const SHARDS: Params = Params { num_queries: 1, ..FAST };

/// Two shards of the Fibonacci guest, of equal shape or not.
fn execution() -> (ProvingKey, Vec<ShardProof>) {
    let path = format!("{}/../../guest/elf/fib.elf.zst", env!("CARGO_MANIFEST_DIR"));
    let elf = zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap();
    let program = Arc::new(Program::new(ProgramImage::from_elf(&elf).unwrap()).unwrap());
    let limits = ShardLimits { cycles: 1 << 12, ..Default::default() };
    let input = Input::from_bytes(&1u32.to_le_bytes()).unwrap();
    let run = Run::new(program.clone(), input, limits, 1 << 30).unwrap();
    eprintln!("{} cycles, {} shards", run.execution.cycles, run.shards());
    assert!((2..=8).contains(&run.shards()), "{}", run.shards());
    let key = ProvingKey::with_params(program, SHARDS).unwrap();
    let mut tree = run.tree_at(0).unwrap();
    let shards = (0..run.shards())
        .map(|i| {
            let s = run.prepare(i, &mut tree).unwrap();
            let instances = traces(&run.program, &s.record, &s.nodes, &s.statement);
            key.prove(s.statement, instances).unwrap()
        })
        .collect();
    (key, shards)
}

fn copy(proof: &ShardProof) -> ShardProof {
    decode(&encode(proof).unwrap(), 32 << 20).unwrap()
}

#[test]
fn a_leaf_accepts_what_the_verifier_of_shards_accepts() {
    let (key, shards) = execution();
    let vk = &key.vk;
    let mut state = State::initial(vk, [F::ZERO; 8]);
    let shape = ShardShape::of(vk, &shards[0]);
    let leaf = Leaf::new(shape, SHARDS).unwrap();
    let circuit = leaf.circuit();
    eprintln!("{} shards; leaf of one query: {:?}", shards.len(), circuit.size());
    let (inputs, after) = leaf.inputs(vk, &state, &shards[0]).unwrap();
    let run = circuit.run(&inputs).unwrap();
    let expected: Vec<F> =
        [vk.digest(), state.digest(), after.digest()].into_iter().flatten().collect();
    assert_eq!(run.public, expected);
    // Any other input is refused, be it of the statement, the state or the proof; the last of each block of flags says nothing.
    let step = inputs.len() / 60;
    for at in (0..inputs.len()).step_by(step).chain(20..23).chain(56..59) {
        let mut forged = inputs.clone();
        forged[at] += F::ONE;
        assert!(circuit.run(&forged).map_or(true, |run| run.public != expected), "input {at}");
    }
    // Another program's key, a wrong start, a statement changed.
    let mut other = vk.clone();
    other.entry += 4;
    assert!(leaf.inputs(&other, &state, &shards[0]).is_err());
    state.pc += F::ONE;
    assert_eq!(
        leaf.inputs(vk, &state, &shards[0]).unwrap_err(),
        LeafError::State(StateError::Start)
    );
    let state = State::initial(vk, [F::ZERO; 8]);
    let mut forged = copy(&shards[0]);
    forged.statement.root[1][3] += F::ONE;
    assert!(leaf.inputs(vk, &state, &forged).is_err());
}

#[test]
fn an_execution_is_one_proof() {
    let (key, shards) = execution();
    let vk = &key.vk;
    let execution = ExecutionProof { vk: vk.clone(), shards };
    let words = execution.shards.iter().find_map(|s| s.statement.committed).unwrap();
    verify_with(&vk.program_id(), &public_input_bytes(&words), &execution, &SHARDS).unwrap();
    let shards = execution.shards;

    // One leaf for each shape.
    let mut leaves: Vec<(Leaf, CircuitKey)> = Vec::new();
    let mut state = State::initial(vk, [F::ZERO; 8]);
    let mut proofs: Vec<(usize, CircuitProof)> = Vec::new();
    for shard in &shards {
        let shape = ShardShape::of(vk, shard);
        let at = leaves.iter().position(|(leaf, _)| leaf.shard == shape).unwrap_or_else(|| {
            let leaf = Leaf::new(shape, SHARDS).unwrap();
            let key = CircuitKey::new(leaf.circuit(), &[0; 5], SHARDS).unwrap();
            leaves.push((leaf, key));
            leaves.len() - 1
        });
        let (leaf, key) = &leaves[at];
        let (inputs, after) = leaf.inputs(vk, &state, shard).unwrap();
        let proof = key.prove(&inputs).unwrap();
        verify_circuit(&key.vk, &SHARDS, &proof).unwrap();
        proofs.push((at, proof));
        state = after;
    }
    assert_eq!(state.digest(), batch_states(vk, &[words])[1], "the execution is a whole batch");

    // Lifts and the node, of common heights; the list of all.
    let lifts: Vec<_> = leaves.iter().map(|(_, key)| lift(&key.vk, SHARDS)).collect();
    let heights = common_heights(&lifts, SHARDS).unwrap();
    let kind = Kind::new(heights, NODE_WIRES, SHARDS);
    let least = heights.map(usize::from);
    let make = |circuit| CircuitKey::new(circuit, &least, SHARDS).unwrap();
    let lifts: Vec<CircuitKey> = lifts.into_iter().map(make).collect();
    let node = make(node(&kind));
    assert_eq!(node.vk.log_heights, heights, "the node verifies proofs of its own shape");
    let keys: Vec<_> = lifts.iter().chain([&node]).map(|key| key.vk.digest(&SHARDS)).collect();
    let members = Members::new(&keys).unwrap();
    let mut level: Vec<(&CircuitKey, CircuitProof)> = proofs
        .iter()
        .map(|(at, proof)| {
            let inputs = lift_inputs(&members, &leaves[*at].1.vk, SHARDS, proof).unwrap();
            (&lifts[*at], lifts[*at].prove(&inputs).unwrap())
        })
        .collect();

    // Swapped children do not chain.
    if level.len() > 1 {
        let swapped = [(&level[1].0.vk, &level[1].1), (&level[0].0.vk, &level[0].1)];
        let inputs = node_inputs(&kind, &members, Join::Shards, swapped).unwrap();
        assert!(node.circuit.run(&inputs).is_err());
        // A circuit that is not in the list.
        let fewer = Members::new(&keys[1..]).unwrap();
        let children = [(&level[0].0.vk, &level[0].1), (&level[1].0.vk, &level[1].1)];
        if level[0].0.vk == lifts[0].vk {
            assert!(node_inputs(&kind, &fewer, Join::Shards, children).is_err());
        }
        // Another list than the children name.
        let mut more = keys.clone();
        more.push([F::ONE; 8]);
        let more = Members::new(&more).unwrap();
        let inputs = node_inputs(&kind, &more, Join::Shards, children).unwrap();
        assert!(node.circuit.run(&inputs).is_err());
    }
    while level.len() > 1 {
        let mut next = Vec::new();
        let mut rest = level.into_iter();
        while let Some(left) = rest.next() {
            let Some(right) = rest.next() else {
                next.push(left);
                break;
            };
            let children = [(&left.0.vk, &left.1), (&right.0.vk, &right.1)];
            let inputs = node_inputs(&kind, &members, Join::Shards, children).unwrap();
            next.push((&node, node.prove(&inputs).unwrap()));
        }
        level = next;
    }
    let (top, proof) = level.pop().unwrap();
    verify_circuit(&top.vk, &SHARDS, &proof).unwrap();
    let [start, end] = batch_states(vk, &[words]);
    let claim: Vec<F> = [vk.digest(), members.digest(), start, end].into_iter().flatten().collect();
    assert_eq!(proof.public, claim);

    // The root opens it, and only with the right public input.
    let root_circuit = root(&kind, &members, vk.log_program);
    eprintln!("node {heights:?} {:?}; root {:?}", node.circuit.size(), root_circuit.size());
    let inputs = root_inputs(&kind, &members, &top.vk, &proof, vk, &[words]).unwrap();
    let run = root_circuit.run(&inputs).unwrap();
    let limbs: Vec<F> = words.iter().flat_map(|&w| cairn_prover::bus::limbs(w)).collect();
    assert_eq!(run.public[8], F::ONE);
    assert_eq!(run.public[12..28], limbs[..]);
    assert!(run.public[28..].iter().all(|&x| x == F::ZERO));
    // The limbs are the circuit's inputs, sixteen for each of the batches at the end: any others are refused, also those that a truncated permutation would take for the same.
    let at = inputs.len() - 16 * ROOT_BATCHES;
    assert_eq!(inputs[at..at + 16], limbs[..]);
    let mut others = vec![truncated_twin(limbs.clone().try_into().unwrap())];
    others.extend((0..16).map(|i| {
        let mut other: [F; 16] = limbs.clone().try_into().unwrap();
        other[i] += F::ONE;
        other
    }));
    for other in others {
        let mut forged = inputs.clone();
        forged[at..at + 16].copy_from_slice(&other);
        assert!(root_circuit.run(&forged).is_err(), "{other:?}");
        // Nor in the place of a batch that is not there.
        forged[at..at + 16].copy_from_slice(&limbs);
        forged[at + 16..at + 32].copy_from_slice(&other);
        assert!(root_circuit.run(&forged).is_err(), "{other:?}");
    }
    let mut other = words;
    other[2] ^= 1;
    let forged = root_inputs(&kind, &members, &top.vk, &proof, vk, &[other]).unwrap();
    assert!(root_circuit.run(&forged).is_err());
    let twice = root_inputs(&kind, &members, &top.vk, &proof, vk, &[words, words]).unwrap();
    assert!(root_circuit.run(&twice).is_err());
    assert!(root_inputs(&kind, &members, &top.vk, &proof, vk, &[]).is_err());
}
