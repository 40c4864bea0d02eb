//! Batches to a final proof that the contract accepts, with few queries and small tables; and everything on the way that is refused.

#[path = "../../final-proof/tests/common/evm.rs"]
#[allow(dead_code)] // other tests use the rest
mod evm;

use alloy_primitives::B256;
use cairn_aggregator::{
    Aggregator, BatchProof, Circuits, Error, FinalProof, MAX_BATCHES, Settings,
};
use cairn_prover::config::{PARAMS, Params};
use cairn_prover::program::Program;
use cairn_prover::run::Run;
use cairn_prover::shape::ShardShape;
use cairn_prover::shard::{ProvingKey, VerifyingKey, traces};
use cairn_prover::trace::ShardLimits;
use cairn_prover::verify::{ExecutionProof, decode, encode};
use cairn_recursion::air::Layout;
use cairn_vm::{Input, ProgramImage};
use evm::{Contract, Verdict};
use std::sync::{Arc, OnceLock};

/// Sound structure, one query.
const CHEAP: Params = Params {
    num_queries: 1,
    lookup_pow: 0,
    ood_pow: 0,
    batch_pow: 0,
    commit_pow: 0,
    query_pow: 0,
    ..PARAMS
};

const LAST: cairn_final_proof::Params = cairn_final_proof::Params {
    log_blowup: 3,
    num_queries: 3,
    log_final_poly_len: 3,
    max_log_arity: 3,
    lookup_pow: 1,
    ood_pow: 1,
    batch_pow: 2,
    commit_pow: 1,
    query_pow: 3,
};

struct Setup {
    vk: VerifyingKey,
    settings: Settings,
    aggregator: Aggregator,
    executions: Vec<ExecutionProof>,
    contract: Contract,
}

fn execution(program: &Arc<Program>, key: &ProvingKey, steps: u32) -> ExecutionProof {
    let limits = ShardLimits { cycles: 1 << 12, ..Default::default() };
    let input = Input::from_bytes(&steps.to_le_bytes()).unwrap();
    let run = Run::new(program.clone(), input, limits, 1 << 30).unwrap();
    assert!(run.shards() >= 2);
    let mut tree = run.tree_at(0).unwrap();
    let shards = (0..run.shards())
        .map(|i| {
            let s = run.prepare(i, &mut tree).unwrap();
            let instances = traces(&run.program, &s.record, &s.nodes, &s.statement);
            key.prove(s.statement, instances).unwrap()
        })
        .collect();
    ExecutionProof { vk: key.vk.clone(), shards }
}

fn setup() -> &'static Setup {
    static SETUP: OnceLock<Setup> = OnceLock::new();
    SETUP.get_or_init(|| {
        let path = format!("{}/../../guest/elf/fib.elf.zst", env!("CARGO_MANIFEST_DIR"));
        let elf = zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap();
        let program = Arc::new(Program::new(ProgramImage::from_elf(&elf).unwrap()).unwrap());
        let key = ProvingKey::with_params(program.clone(), CHEAP).unwrap();
        let executions: Vec<_> = [1, 2].map(|steps| execution(&program, &key, steps)).into();
        let mut shapes: Vec<ShardShape> = Vec::new();
        for shard in executions.iter().flat_map(|e| &e.shards) {
            let shape = ShardShape::of(&key.vk, shard);
            if !shapes.contains(&shape) {
                shapes.push(shape);
            }
        }
        let settings = Settings {
            log_program: key.vk.log_program,
            shapes,
            shard: CHEAP,
            leaf: CHEAP,
            node: CHEAP,
            root: Params { log_blowup: 3, log_final_poly_len: 2, ..CHEAP },
            root_layout: Layout { lanes: 4, compact: true },
            last: LAST,
            layout: Layout { lanes: 2, compact: true },
            least: [11; 5],
        };
        let circuits = Circuits::build(&settings).unwrap();
        assert_eq!(Circuits::from_json(&circuits.to_json().unwrap()).unwrap(), circuits);
        let aggregator = Aggregator::new(&key.vk, settings.clone(), circuits).unwrap();
        let verifier = aggregator.verifier();
        let code = cairn_final_proof::solidity::parts(verifier.vk()).unwrap();
        let contract =
            Contract::deploy_with(&code, verifier.vk().digest(), verifier.program_id()).unwrap();
        Setup { vk: key.vk.clone(), settings, aggregator, executions, contract }
    })
}

impl Setup {
    fn batch(&self, at: usize) -> BatchProof {
        static BATCHES: [OnceLock<Vec<u8>>; 2] = [const { OnceLock::new() }; 2];
        let bytes = BATCHES[at].get_or_init(|| {
            let batch = self.aggregator.wrap_batch(&self.executions[at], None, &mut |_, _| {});
            batch.unwrap().encode().unwrap()
        });
        BatchProof::decode(bytes).unwrap()
    }

    fn accepted(&self, proof: &FinalProof) {
        self.aggregator.verifier().verify(&proof.public_inputs, &proof.bytes).unwrap();
        let verdict = self.contract.verify(&proof.public_inputs, &proof.bytes);
        assert!(matches!(verdict, Verdict::Accepted { .. }), "{verdict:?}");
    }

    fn refused(&self, inputs: &[B256], proof: &[u8]) {
        assert!(self.aggregator.verifier().verify(inputs, proof).is_err());
        assert!(matches!(self.contract.verify(inputs, proof), Verdict::Refused(_)), "{inputs:?}");
    }
}

fn copy(execution: &ExecutionProof) -> ExecutionProof {
    decode(&encode(execution).unwrap(), 64 << 20).unwrap()
}

#[test]
fn a_batch_is_proven_to_the_contract() {
    let s = setup();
    let proof = s.aggregator.finish(&[s.batch(0)]).unwrap();
    assert_eq!(proof.public_inputs, [s.batch(0).public_input()]);
    s.accepted(&proof);
    let (a, b) = (s.batch(0).public_input(), s.batch(1).public_input());
    assert_ne!(a, b);
    for other in [vec![b], vec![a, a], vec![a, b], vec![a, B256::ZERO], vec![]] {
        s.refused(&other, &proof.bytes);
    }
    for at in [0, 40, proof.bytes.len() / 2, proof.bytes.len() - 1] {
        let mut bad = proof.bytes.clone();
        bad[at] ^= 1;
        s.refused(&proof.public_inputs, &bad);
    }
    s.refused(&proof.public_inputs, &proof.bytes[..proof.bytes.len() - 32]);
}

#[test]
fn batches_share_a_proof() {
    let s = setup();
    let range = [s.batch(1), s.batch(0), s.batch(0), s.batch(1)];
    let proof = s.aggregator.finish(&range).unwrap();
    s.accepted(&proof);
    let (a, b) = (s.batch(0).public_input(), s.batch(1).public_input());
    assert_eq!(proof.public_inputs, [b, a, a, b]);
    for other in [vec![b, a, b, a], vec![b, a, a], vec![b], vec![a, b, b, a], vec![b, a, a, a]] {
        s.refused(&other, &proof.bytes);
    }
    assert!(matches!(s.aggregator.finish(&[]), Err(Error::Statement(_))));
    let many: Vec<BatchProof> = (0..=MAX_BATCHES).map(|_| s.batch(0)).collect();
    assert!(matches!(s.aggregator.finish(&many), Err(Error::Statement(_))));
}

/// A batch's proof is checked before it is used.
#[test]
fn forged_batches_are_refused() {
    let s = setup();
    let honest = s.batch(0).encode().unwrap();
    // Another batch's public input over this batch's proof: the first number is the encoding's first.
    let other = s.batch(1).encode().unwrap();
    let forged = [&other[..32], &honest[32..]].concat();
    if let Ok(batch) = BatchProof::decode(&forged) {
        assert!(s.aggregator.finish(&[batch]).is_err());
    }
    let step = honest.len() / 97;
    for at in (0..honest.len()).step_by(step) {
        let mut bad = honest.clone();
        bad[at] ^= 1;
        if let Ok(batch) = BatchProof::decode(&bad) {
            assert!(s.aggregator.finish(&[batch]).is_err(), "byte {at}");
        }
    }
    assert!(BatchProof::decode(&honest[..honest.len() - 1]).is_err());
    assert!(BatchProof::decode(&[&honest[..], &[0]].concat()).is_err());
}

#[test]
fn executions_that_did_not_happen_are_refused() {
    let s = setup();
    let wrap = |e: &ExecutionProof| s.aggregator.wrap_batch(e, None, &mut |_, _| {}).err();
    // Another program.
    let mut other = copy(&s.executions[0]);
    other.vk.entry += 4;
    assert!(matches!(wrap(&other), Some(Error::Program)));
    // Shards out of order, of another execution, or missing at either end.
    let mut swapped = copy(&s.executions[0]);
    swapped.shards.swap(0, 1);
    assert!(wrap(&swapped).is_some());
    let mut mixed = copy(&s.executions[0]);
    mixed.shards[1] = copy(&s.executions[1]).shards.remove(1);
    assert!(wrap(&mixed).is_some());
    let mut late = copy(&s.executions[0]);
    late.shards.remove(0);
    assert!(wrap(&late).is_some());
    let mut short = copy(&s.executions[0]);
    short.shards.pop();
    assert!(wrap(&short).is_some());
    let mut empty = copy(&s.executions[0]);
    empty.shards.clear();
    assert!(matches!(wrap(&empty), Some(Error::Execution)));
    // A statement that the shard's proof is not of.
    let mut lie = copy(&s.executions[0]);
    let at = lie.shards.iter().position(|shard| shard.statement.committed.is_some()).unwrap();
    if let Some(words) = &mut lie.shards[at].statement.committed {
        words[3] ^= 1;
    }
    assert!(wrap(&lie).is_some());
}

/// Circuits of another set of shapes do not take the shard, and their proofs are none of this key's.
#[test]
fn shapes_outside_the_set_are_refused() {
    let s = setup();
    let mut settings = s.settings.clone();
    for shape in &mut settings.shapes {
        *shape.log_heights.last_mut().unwrap() += 1;
    }
    let circuits = Circuits::build(&settings).unwrap();
    let other = Aggregator::new(&s.vk, settings, circuits).unwrap();
    assert_ne!(other.verifier().vk().digest(), s.aggregator.verifier().vk().digest());
    let wrapped = other.wrap_batch(&s.executions[0], None, &mut |_, _| {});
    assert!(matches!(wrapped, Err(Error::Shape(0))));
    // A lift or node of this list is none of the other's.
    assert!(matches!(other.finish(&[s.batch(0)]), Err(Error::Batch(0))));
}

#[test]
fn finished_steps_are_kept_and_checked() {
    let s = setup();
    let dir = std::env::temp_dir().join(format!("cairn-aggregator-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let wrap = || s.aggregator.wrap_batch(&s.executions[0], Some(&dir), &mut |_, _| {}).unwrap();
    let first = wrap().encode().unwrap();
    let lift = dir.join("lift-0.proof");
    let kept = std::fs::read(&lift).unwrap();
    // Everything is there: nothing is proven again.
    assert_eq!(wrap().encode().unwrap(), first);
    // A damaged, a truncated and a foreign file are made again.
    let foreign = std::fs::read(dir.join("lift-1.proof")).unwrap();
    let mut damaged = kept.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    for bad in [damaged, kept[..kept.len() / 2].to_vec(), foreign] {
        std::fs::write(&lift, &bad).unwrap();
        wrap();
        assert_ne!(std::fs::read(&lift).unwrap(), bad);
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn malformed_circuit_files_are_refused() {
    for text in ["", "{}", "[]", "{\"leaves\":[]}"] {
        assert!(matches!(Circuits::from_json(text), Err(Error::File(_))), "{text}");
    }
}
