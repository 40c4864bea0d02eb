//! Making proofs: shards to leaves, leaves to lifts, lifts to one proof a batch, batches to a final proof.

use crate::circuits::{Last, ZERO, common_key, digest_bytes, key, kind, last, members};
use crate::{Circuits, Error, Settings, Verifier};
use alloy_primitives::B256;
use cairn_final_proof::prove_final;
use cairn_prover::bus::F;
use cairn_prover::shape::ShardShape;
use cairn_prover::shard::{ShardProof, VerifyingKey};
use cairn_prover::verify::{ExecutionProof, decode, encode, public_input_bytes};
use cairn_prover::work::write_whole;
use cairn_recursion::aggregate::{
    Join, Kind, Members, batch_states, lift, lift_inputs, node, node_inputs, root, root_inputs,
    shrink_inputs,
};
use cairn_recursion::air::{Layout, traces};
use cairn_recursion::claim::State;
use cairn_recursion::leaf::Leaf;
use cairn_recursion::prove::{CircuitKey, CircuitProof, CircuitVk, verify_circuit};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::OnceLock;

/// The largest encoded proof of a circuit.
const MAX_PROOF_BYTES: usize = 16 << 20;

/// Which circuit made a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Member {
    Lift(u8),
    Node,
}

/// A proof of a lift or node.
#[derive(Serialize, Deserialize)]
struct Step {
    member: Member,
    proof: CircuitProof,
}

/// One batch's execution as a single proof.
#[derive(Serialize, Deserialize)]
pub struct BatchProof {
    /// The public input as the guest's words.
    words: [u32; 8],
    step: Step,
}

impl BatchProof {
    /// The public input that it claims.
    pub fn public_input(&self) -> B256 {
        public_input_bytes(&self.words).into()
    }

    /// The one encoding.
    ///
    /// # Errors
    /// Never for proofs made by this crate.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        Ok(encode(self)?)
    }

    /// Reads an encoding. Whether the proof holds is checked by [`Aggregator::finish`].
    ///
    /// # Errors
    /// When the bytes are no encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Ok(decode(bytes, MAX_PROOF_BYTES)?)
    }
}

/// A proof for the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalProof {
    /// What the contract gets as `proof`.
    pub bytes: Vec<u8>,
    /// The public inputs of the batches, in order.
    pub public_inputs: Vec<B256>,
}

/// Makes proofs of one program. Keys are made when they are first needed.
pub struct Aggregator {
    program: VerifyingKey,
    settings: Settings,
    circuits: Circuits,
    verifier: Verifier,
    kind: Kind,
    members: Members,
    leaves: Vec<OnceLock<(Leaf, CircuitKey)>>,
    lifts: Vec<OnceLock<CircuitKey>>,
    node: OnceLock<CircuitKey>,
    root: OnceLock<CircuitKey>,
    last: OnceLock<Last>,
}

/// What a lazy key is, made if it is not there yet.
fn made<T>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T, Error>) -> Result<&T, Error> {
    if cell.get().is_none() {
        let value = make()?;
        // Another thread may have been quicker: both made the same.
        let _ = cell.set(value);
    }
    cell.get().ok_or(Error::Stale("a key"))
}

fn expect(key: CircuitKey, vk: &CircuitVk, name: &'static str) -> Result<CircuitKey, Error> {
    if key.vk == *vk { Ok(key) } else { Err(Error::Stale(name)) }
}

impl Aggregator {
    /// For a program, with the circuits that this build was shipped with.
    ///
    /// # Errors
    /// When they are not circuits for this program (its table has another height), or the file is damaged.
    pub fn open(program: &VerifyingKey) -> Result<Self, Error> {
        Self::new(program, Settings::real(program.log_program), Circuits::shipped()?)
    }

    /// For a program, with other circuits.
    ///
    /// # Errors
    /// When they are not circuits for this program.
    pub fn new(
        program: &VerifyingKey,
        settings: Settings,
        circuits: Circuits,
    ) -> Result<Self, Error> {
        if circuits.leaves.len() != settings.shapes.len() {
            return Err(Error::Stale("the set of leaves"));
        }
        let program_id = B256::from(program.program_id());
        let verifier = Verifier::new(program_id, settings.clone(), circuits.clone())?;
        let shapes = settings.shapes.len();
        Ok(Self {
            program: program.clone(),
            verifier,
            kind: kind(&settings, &circuits),
            members: members(&settings, &circuits.lifts, &circuits.node),
            leaves: (0..shapes).map(|_| OnceLock::new()).collect(),
            lifts: (0..shapes).map(|_| OnceLock::new()).collect(),
            node: OnceLock::new(),
            root: OnceLock::new(),
            last: OnceLock::new(),
            settings,
            circuits,
        })
    }

    /// The verifier of this aggregator's proofs.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Makes the keys that a batch of one small shard needs, so that the first proof does not wait for them. Others are made when they are needed.
    ///
    /// # Errors
    /// When a key is not the one that was shipped.
    pub fn prepare(&self) -> Result<(), Error> {
        self.leaf(0)?;
        self.lift(0)?;
        self.root()?;
        self.last()?;
        Ok(())
    }

    fn leaf(&self, at: usize) -> Result<&(Leaf, CircuitKey), Error> {
        made(&self.leaves[at], || {
            let leaf = Leaf::new(self.settings.shapes[at].clone(), self.settings.shard)?;
            let key = key(leaf.circuit(), Layout::WIDE, self.settings.leaf)?;
            Ok((leaf, expect(key, &self.circuits.leaves[at], "a leaf")?))
        })
    }

    fn lift(&self, at: usize) -> Result<&CircuitKey, Error> {
        made(&self.lifts[at], || {
            let circuit = lift(&self.circuits.leaves[at], self.settings.leaf);
            let key = common_key(&self.settings, circuit, &self.circuits.node.log_heights)?;
            expect(key, &self.circuits.lifts[at], "a lift")
        })
    }

    fn node(&self) -> Result<&CircuitKey, Error> {
        made(&self.node, || {
            let heights = &self.circuits.node.log_heights;
            let key = common_key(&self.settings, node(&self.kind), heights)?;
            expect(key, &self.circuits.node, "the node")
        })
    }

    fn root(&self) -> Result<&CircuitKey, Error> {
        made(&self.root, || {
            let circuit = root(&self.kind, &self.members, self.settings.log_program);
            let key = key(circuit, self.settings.root_layout, self.settings.root)?;
            expect(key, &self.circuits.root, "the root")
        })
    }

    fn last(&self) -> Result<&Last, Error> {
        made(&self.last, || {
            let last = last(&self.settings, &self.circuits.root)?;
            let same = last.key.digest() == self.verifier.vk().digest();
            if same { Ok(last) } else { Err(Error::Stale("the last circuit")) }
        })
    }

    fn vk(&self, member: Member) -> Result<&CircuitVk, Error> {
        match member {
            Member::Lift(at) => self.circuits.lifts.get(usize::from(at)).ok_or(Error::Execution),
            Member::Node => Ok(&self.circuits.node),
        }
    }

    /// One batch's shard proofs to one proof. `work` is a directory for finished steps, so that a killed process goes on where it was; `progress` hears how many steps are done of how many.
    ///
    /// # Errors
    /// When the shards are not proofs of one whole execution of the program, in shapes that recursion takes.
    pub fn wrap_batch(
        &self,
        execution: &ExecutionProof,
        work: Option<&Path>,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<BatchProof, Error> {
        if execution.vk != self.program {
            return Err(Error::Program);
        }
        let shards = &execution.shards;
        let words = shards.iter().find_map(|s| s.statement.committed).ok_or(Error::Execution)?;
        let steps = (2 * shards.len()).saturating_sub(1);
        let mut done = 0;
        let mut level = Vec::new();
        let mut state = State::initial(&self.program, ZERO);
        for (i, shard) in shards.iter().enumerate() {
            progress(done, steps);
            let after = state
                .after(&self.program, &shard.statement)
                .map_err(cairn_recursion::leaf::LeafError::from)?;
            let claim = self.claim([&state, &after].map(State::digest));
            level.push(
                self.kept(work, &format!("lift-{i}"), &claim, || {
                    self.wrap_shard(i, &state, shard)
                })?,
            );
            state = after;
            done += 1;
        }
        let mut height = 0;
        while level.len() > 1 {
            height += 1;
            let mut next = Vec::new();
            let mut rest = level.into_iter();
            while let Some(left) = rest.next() {
                let Some(right) = rest.next() else {
                    next.push(left);
                    break;
                };
                progress(done, steps);
                let name = format!("node-{height}-{}", next.len());
                let claim = [&left.proof.public[..24], &right.proof.public[24..]].concat();
                next.push(
                    self.kept(work, &name, &claim, || self.join(Join::Shards, &left, &right))?,
                );
                done += 1;
            }
            level = next;
        }
        progress(done, steps);
        let step = level.pop().ok_or(Error::Execution)?;
        let batch = BatchProof { words, step };
        self.check(0, &batch)?;
        Ok(batch)
    }

    /// What a lift or node says.
    fn claim(&self, [before, after]: [cairn_prover::memory::Digest; 2]) -> Vec<F> {
        [self.program.digest(), self.members.digest(), before, after].concat()
    }

    /// A step from the work directory, if it is there, holds and says this; made and kept otherwise.
    fn kept(
        &self,
        work: Option<&Path>,
        name: &str,
        claim: &[F],
        make: impl FnOnce() -> Result<Step, Error>,
    ) -> Result<Step, Error> {
        let Some(dir) = work else { return make() };
        let path = dir.join(format!("{name}.proof"));
        let found =
            std::fs::read(&path).ok().and_then(|bytes| decode(&bytes, MAX_PROOF_BYTES).ok());
        if let Some(step) = found.filter(|step| self.holds(step, claim)) {
            return Ok(step);
        }
        let step = make()?;
        write_whole(&path, &encode(&step)?)?;
        Ok(step)
    }

    fn holds(&self, step: &Step, claim: &[F]) -> bool {
        step.proof.public == claim
            && self
                .vk(step.member)
                .is_ok_and(|vk| verify_circuit(vk, &self.settings.node, &step.proof).is_ok())
    }

    fn wrap_shard(&self, i: usize, before: &State, shard: &ShardProof) -> Result<Step, Error> {
        let shape = ShardShape::of(&self.program, shard);
        let at = self.settings.shapes.iter().position(|s| *s == shape).ok_or(Error::Shape(i))?;
        let (leaf, key) = self.leaf(at)?;
        let (inputs, _) = leaf.inputs(&self.program, before, shard)?;
        let proof = key.prove(&inputs)?;
        let inputs = lift_inputs(&self.members, &key.vk, self.settings.leaf, &proof)?;
        let proof = self.lift(at)?.prove(&inputs)?;
        Ok(Step { member: Member::Lift(at as u8), proof })
    }

    fn join(&self, join: Join, left: &Step, right: &Step) -> Result<Step, Error> {
        let children =
            [(self.vk(left.member)?, &left.proof), (self.vk(right.member)?, &right.proof)];
        let inputs = node_inputs(&self.kind, &self.members, join, children)?;
        Ok(Step { member: Member::Node, proof: self.node()?.prove(&inputs)? })
    }

    /// Checks that a proof says that a batch was executed.
    fn check(&self, at: usize, batch: &BatchProof) -> Result<(), Error> {
        let claim = self.claim(batch_states(&self.program, &[batch.words]));
        if batch.step.proof.public != claim {
            return Err(Error::Batch(at));
        }
        verify_circuit(self.vk(batch.step.member)?, &self.settings.node, &batch.step.proof)?;
        Ok(())
    }

    /// One final proof of 1 to [`crate::MAX_BATCHES`] batches in order, verified before it is returned.
    ///
    /// # Errors
    /// When a batch's proof does not hold, or there are too many or none.
    pub fn finish(&self, batches: &[BatchProof]) -> Result<FinalProof, Error> {
        for (at, batch) in batches.iter().enumerate() {
            self.check(at, batch)?;
        }
        let public_inputs: Vec<B256> = batches.iter().map(BatchProof::public_input).collect();
        let program_id = digest_bytes(&self.program.digest());
        let public = cairn_final_proof::statement::public_values(&program_id, &public_inputs)?;
        let mut joined: Option<Step> = None;
        for batch in &batches[1..] {
            let left = joined.as_ref().unwrap_or(&batches[0].step);
            joined = Some(self.join(Join::Batches, left, &batch.step)?);
        }
        let top = joined.as_ref().unwrap_or(&batches[0].step);
        let words: Vec<[u32; 8]> = batches.iter().map(|b| b.words).collect();
        let (vk, members) = (self.vk(top.member)?, &self.members);
        let inputs = root_inputs(&self.kind, members, vk, &top.proof, &self.program, &words)?;
        let root = self.root()?;
        let proof = root.prove(&inputs)?;
        let inputs = shrink_inputs(&root.vk, self.settings.root, &proof)?;
        let Last { circuit, airs, key } = self.last()?;
        let witness = circuit.run(&inputs)?;
        if witness.public != public {
            return Err(Error::Execution);
        }
        let traces = traces(circuit, &witness, airs);
        let bytes = prove_final(key, &traces, &public)?;
        self.verifier.verify(&public_inputs, &bytes)?;
        Ok(FinalProof { bytes, public_inputs })
    }
}
