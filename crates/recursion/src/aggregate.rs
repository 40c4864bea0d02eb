//! Circuits that verify circuits: lifts bring every leaf to one common shape, nodes join two proofs of that shape, the root opens the result for the last layer.
//!
//! Lifts and nodes have tables of the same heights, so that one circuit verifies either; which circuits are allowed is a list of key digests. A node checks that its children's keys are in the list, and
//! that the list is the one its own claim names, so that the last verifier, which knows the list's digest, need not know the tree.

use crate::air::{CircuitAir, LANES, log_height};
use crate::circuit::{Base, Builder, Circuit, Size, Wire};
use crate::claim::{ProgramWires, State, StateWires, hash, input_digest_wires, program_inputs};
use crate::leaf::CLAIM_WIRES;
use crate::prove::{CircuitProof, CircuitVk, lookups};
use crate::verifier::shape::Shape;
use crate::verifier::witness::WitnessError;
use crate::verifier::{Given, verify, witness};
use cairn_prover::bus::F;
use cairn_prover::config::Params;
use cairn_prover::memory::Digest;
use cairn_prover::shard::VerifyingKey;
use p3_field::PrimeCharacteristicRing;

/// Wires of a lift's or node's public values: digests of the program, of the list of allowed circuits, of the state before and after.
pub const NODE_WIRES: usize = 8;
/// Length of the list of allowed circuits; unused places are zero.
pub const MEMBERS: usize = 16;
/// Batches that a root may open.
pub const ROOT_BATCHES: usize = 4;

/// Why a proof is not made inputs of an aggregating circuit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AggregateError {
    /// The proof is refused.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// A child's circuit is not in the list.
    #[error("a circuit is not in the list of allowed ones")]
    Member,
    /// Not as many batches as a root opens.
    #[error("a root opens 1 to {ROOT_BATCHES} batches, not {0}")]
    Batches(usize),
    /// No heights are large enough for a circuit that verifies circuits of these heights.
    #[error("the tables of aggregating circuits do not converge")]
    Heights,
}

/// The list of allowed lifts and nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    digests: [Digest; MEMBERS],
}

impl Members {
    /// The list; `None` if it is too long.
    pub fn new(digests: &[Digest]) -> Option<Self> {
        let mut members = Self { digests: [[F::ZERO; 8]; MEMBERS] };
        members.digests.get_mut(..digests.len())?.copy_from_slice(digests);
        Some(members)
    }

    /// The digest of the list.
    pub fn digest(&self) -> Digest {
        hash(self.digests.into_iter().flatten())
    }

    /// One bit a place, of the place where a digest is.
    fn selector(&self, digest: &Digest) -> Result<Vec<F>, AggregateError> {
        let at = self.digests.iter().position(|d| d == digest).ok_or(AggregateError::Member)?;
        Ok((0..MEMBERS).map(|i| F::from_bool(i == at)).collect())
    }
}

/// Circuits of one kind as their verifier knows them: everything but the commitment to the preprocessed columns.
#[derive(Clone, Debug)]
pub struct Kind {
    log_heights: [u8; 5],
    num_public: u16,
    params: Params,
    shape: Shape,
}

/// A verified child.
struct Child {
    /// The digest of its key.
    key: [Wire; 2],
    /// Its public values.
    claim: Vec<Wire>,
}

impl Kind {
    /// Circuits with tables of these heights (log2), so many public wires, and proofs made with `params`.
    pub fn new(log_heights: [u8; 5], public_wires: usize, params: Params) -> Self {
        let airs = CircuitAir::all(4 * public_wires);
        let heights = log_heights.map(usize::from);
        let shape = Shape::new(&airs, airs.iter().map(lookups).collect(), &heights, params);
        Self { log_heights, num_public: 4 * public_wires as u16, params, shape }
    }

    /// The kind of a circuit.
    pub fn of(vk: &CircuitVk, params: Params) -> Self {
        Self::new(vk.log_heights, usize::from(vk.num_public) / 4, params)
    }

    /// Writes the verifier of a child whose preprocessed commitment is given.
    fn child(&self, b: &mut Builder, fixed: [Wire; 2]) -> Child {
        let sample = CircuitVk {
            log_heights: self.log_heights,
            num_public: self.num_public,
            fixed: [F::ZERO; 8],
        };
        let elements = sample.elements(&self.params);
        let known = elements.len() - 8;
        let mut all: Vec<Base> = elements[..known].iter().map(|&x| b.base(x)).collect();
        all.extend(fixed.into_iter().flat_map(|w| b.unpack(w)));
        let key = b.hash(&all);
        let mut public = vec![Vec::new(); self.shape.instances.len()];
        let mut claim = Vec::new();
        for _ in 0..self.num_public / 4 {
            let (wire, parts) = b.input_base();
            public[0].extend(parts);
            claim.push(wire);
        }
        let seed: Vec<Base> = key.into_iter().flat_map(|w| b.unpack(w)).collect();
        verify(b, &self.shape, &Given { seed: &seed, public: &public, fixed: Some(fixed) });
        Child { key, claim }
    }

    /// The private inputs of [`Kind::child`].
    fn child_inputs(&self, vk: &CircuitVk, proof: &CircuitProof) -> Result<Vec<F>, WitnessError> {
        if vk.log_heights != self.log_heights || vk.num_public != self.num_public {
            return Err(WitnessError("the key is of another kind of circuit".to_owned()));
        }
        let mut public = vec![Vec::new(); self.shape.instances.len()];
        public[0] = proof.public.clone();
        let seed = vk.digest(&self.params);
        let rest = witness::inputs(&self.shape, &seed, &public, Some(vk.fixed), &proof.proof)?;
        Ok(proof.public.iter().copied().chain(rest).collect())
    }
}

fn constant_digest(b: &mut Builder, digest: &Digest) -> [Wire; 2] {
    let parts = digest.map(|x| b.base(x));
    [0, 4].map(|i| b.pack([parts[i], parts[i + 1], parts[i + 2], parts[i + 3]]))
}

/// The circuit that verifies proofs of one leaf, and takes the list of allowed circuits from whoever asks.
pub fn lift(leaf: &CircuitVk, params: Params) -> Circuit {
    let kind = Kind::of(leaf, params);
    let mut b = Builder::new();
    let fixed = constant_digest(&mut b, &leaf.fixed);
    let list = [b.input(), b.input()];
    let child = kind.child(&mut b, fixed);
    let claim = &child.claim[..CLAIM_WIRES];
    for wire in [claim[0], claim[1], list[0], list[1], claim[2], claim[3], claim[4], claim[5]] {
        b.expose(wire);
    }
    b.finish()
}

/// The private inputs of [`lift`].
///
/// # Errors
/// When the proof is refused.
pub fn lift_inputs(
    members: &Members,
    leaf: &CircuitVk,
    params: Params,
    proof: &CircuitProof,
) -> Result<Vec<F>, AggregateError> {
    let mut inputs = members.digest().to_vec();
    inputs.extend(Kind::of(leaf, params).child_inputs(leaf, proof)?);
    Ok(inputs)
}

/// The list, private, with its digest.
fn list(b: &mut Builder) -> (Vec<[Wire; 2]>, [Wire; 2]) {
    let members: Vec<[Wire; 2]> = (0..MEMBERS).map(|_| [b.input(), b.input()]).collect();
    let digest = b.hash_packed(&members);
    (members, digest)
}

/// A child that is in the list and names the list.
fn member(b: &mut Builder, kind: &Kind, members: &[[Wire; 2]], list: [Wire; 2]) -> Child {
    let zero = b.zero();
    let (mut sum, mut chosen) = (zero, [zero; 2]);
    for quarter in members.chunks(4) {
        let (_, bits) = b.input_base();
        for (bit, digest) in bits.into_iter().zip(quarter) {
            b.assert_bool(bit.wire());
            sum = b.add(sum, bit.wire());
            for (chosen, &part) in chosen.iter_mut().zip(digest) {
                *chosen = b.mul_add(bit.wire(), part, *chosen);
            }
        }
    }
    let one = b.one();
    b.assert_eq(sum, one);
    let (fixed, _) = input_digest_wires(b);
    let child = kind.child(b, fixed);
    b.assert_same(child.key, chosen);
    b.assert_same([child.claim[2], child.claim[3]], list);
    child
}

fn member_inputs(
    kind: &Kind,
    members: &Members,
    vk: &CircuitVk,
    proof: &CircuitProof,
) -> Result<Vec<F>, AggregateError> {
    let mut inputs = members.selector(&vk.digest(&kind.params))?;
    inputs.extend(vk.fixed);
    inputs.extend(kind.child_inputs(vk, proof)?);
    Ok(inputs)
}

/// The circuit that joins two proofs of lifts or nodes: the first ends where the second begins.
pub fn node(kind: &Kind) -> Circuit {
    let mut b = Builder::new();
    let (members, list) = list(&mut b);
    let left = member(&mut b, kind, &members, list);
    let right = member(&mut b, kind, &members, list);
    b.assert_same([left.claim[0], left.claim[1]], [right.claim[0], right.claim[1]]);
    b.assert_same([left.claim[6], left.claim[7]], [right.claim[4], right.claim[5]]);
    let claim = left.claim[..6].iter().chain(&right.claim[6..8]);
    claim.for_each(|&wire| b.expose(wire));
    b.finish()
}

/// The private inputs of [`node`].
///
/// # Errors
/// When a proof is refused, or its circuit is not in the list.
pub fn node_inputs(
    kind: &Kind,
    members: &Members,
    children: [(&CircuitVk, &CircuitProof); 2],
) -> Result<Vec<F>, AggregateError> {
    let mut inputs = members.digests.concat();
    for (vk, proof) in children {
        inputs.extend(member_inputs(kind, members, vk, proof)?);
    }
    Ok(inputs)
}

/// The circuit that opens a proof of one or several whole batches: its public values are the digests of program and list, the number of batches, and the sixteen limbs of each one's public input.
pub fn root(kind: &Kind, log_program: u8) -> Circuit {
    let mut b = Builder::new();
    let b = &mut b;
    let (members, list) = list(b);
    let child = member(b, kind, &members, list);
    let program = ProgramWires::input(b, log_program);
    b.assert_same(program.digest, [child.claim[0], child.claim[1]]);
    let (zero, one) = (b.base(F::ZERO), b.base(F::ONE));
    let (mut chain, mut count, mut before) = ([zero.wire(); 2], zero, one);
    let mut opened = Vec::new();
    for quarter in 0..ROOT_BATCHES.div_ceil(4) {
        let (_, flags) = b.input_base();
        for (i, flag) in flags.into_iter().enumerate() {
            b.assert_bool(flag.wire());
            if 4 * quarter + i >= ROOT_BATCHES {
                b.assert_zero(flag.wire());
                continue;
            }
            // Batches come first, empty places after; there is at least one batch.
            let late = b.sub_base(one, before);
            b.assert_product(flag.wire(), late.wire(), zero.wire());
            if opened.is_empty() {
                b.assert_eq(flag.wire(), one.wire());
            }
            before = flag;
            count = b.add_base(count, flag);
            let (low, _) = input_digest_wires(b);
            let (high, _) = input_digest_wires(b);
            let none = b.sub_base(one, flag);
            for &wire in low.iter().chain(&high) {
                b.assert_product(none.wire(), wire, zero.wire());
            }
            let input = b.compress(low, high);
            let longer = b.compress(chain, input);
            chain = b.select_all(flag, longer, chain);
            opened.extend(low.into_iter().chain(high));
        }
    }
    let state = |chain| StateWires {
        pc: program.entry,
        committed: zero,
        root: program.initial_root,
        input: [zero.wire(); 2],
        chain,
    };
    let (start, end) = (state([zero.wire(); 2]).digest(b), state(chain).digest(b));
    b.assert_same(start, [child.claim[4], child.claim[5]]);
    b.assert_same(end, [child.claim[6], child.claim[7]]);
    child.claim[..4].iter().for_each(|&wire| b.expose(wire));
    let count = b.pack([count, zero, zero, zero]);
    b.expose(count);
    opened.into_iter().for_each(|wire| b.expose(wire));
    std::mem::take(b).finish()
}

/// The private inputs of [`root`] for the batches' public inputs as the guest's words.
///
/// # Errors
/// When the proof is refused, or there are too many batches or none.
pub fn root_inputs(
    kind: &Kind,
    members: &Members,
    vk: &CircuitVk,
    proof: &CircuitProof,
    program: &VerifyingKey,
    batches: &[[u32; 8]],
) -> Result<Vec<F>, AggregateError> {
    if batches.is_empty() || batches.len() > ROOT_BATCHES {
        return Err(AggregateError::Batches(batches.len()));
    }
    let mut inputs = members.digests.concat();
    inputs.extend(member_inputs(kind, members, vk, proof)?);
    inputs.extend(program_inputs(program));
    let places = ROOT_BATCHES.div_ceil(4) * 4;
    for place in 0..places {
        if place % 4 == 0 {
            inputs.extend((place..place + 4).map(|i| F::from_bool(i < batches.len())));
        }
        if place < ROOT_BATCHES {
            let words = batches.get(place).copied().unwrap_or_default();
            inputs.extend(words.iter().flat_map(|&w| cairn_prover::bus::limbs(w)));
        }
    }
    Ok(inputs)
}

/// The digests of the states before and after a whole number of batches, as nodes claim them.
pub fn batch_states(program: &VerifyingKey, batches: &[[u32; 8]]) -> [Digest; 2] {
    let start = [F::ZERO; 8];
    let end = batches.iter().fold(start, |chain, words| {
        crate::claim::compress(chain, crate::claim::input_digest(words))
    });
    [start, end].map(|chain| State::initial(program, chain).digest())
}

/// The least heights of a circuit's tables (log2).
pub fn heights(size: &Size) -> [u8; 5] {
    let rows = [1, size.values, size.packs, size.gates.div_ceil(LANES), size.perms];
    rows.map(|rows| log_height(rows, 0) as u8)
}

/// The common heights of lifts and nodes: such that every lift fits, and the node that verifies circuits of these heights fits itself.
///
/// # Errors
/// When there are none.
pub fn common_heights(lifts: &[Circuit], params: Params) -> Result<[u8; 5], AggregateError> {
    let mut common = [0; 5];
    let raise = |common: &mut [u8; 5], circuit: &Circuit| {
        let needed = heights(&circuit.size());
        common.iter_mut().zip(needed).for_each(|(c, n)| *c = n.max(*c));
    };
    lifts.iter().for_each(|circuit| raise(&mut common, circuit));
    for _ in 0..8 {
        let before = common;
        raise(&mut common, &node(&Kind::new(before, NODE_WIRES, params)));
        if common == before {
            return Ok(common);
        }
    }
    Err(AggregateError::Heights)
}
