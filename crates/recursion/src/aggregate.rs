//! Circuits that verify circuits: lifts bring every leaf to one common shape, nodes join two proofs of that shape, the root opens the result, and shrinks make it small for the last layer.
//!
//! Lifts and nodes have tables of the same heights, so that one circuit verifies either; which circuits are allowed is a list of key digests. A node checks that its children's keys are in the list, and
//! that the list is the one its own claim names. The root has the list as constants, so that whoever pins its key need not know the tree.
//!
//! A node joins either two parts of one execution (the first ends where the second begins) or two executions from the same state, batches: then its claim's end is the hash of both ends. So a batch
//! is proven without knowing which others will share its final proof.

use crate::air::{CircuitAir, Layout, log_height};
use crate::circuit::{Base, Builder, Circuit, Wire};
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
    layout: Layout,
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
    /// Circuits with tables of these heights (log2) in the wide layout, so many public wires, and proofs made with `params`.
    pub fn new(log_heights: [u8; 5], public_wires: usize, params: Params) -> Self {
        let num_public = 4 * public_wires as u16;
        let fixed = [F::ZERO; 8];
        Self::of(&CircuitVk { log_heights, num_public, layout: Layout::WIDE, fixed }, params)
    }

    /// The kind of a circuit.
    pub fn of(vk: &CircuitVk, params: Params) -> Self {
        let &CircuitVk { log_heights, num_public, layout, .. } = vk;
        assert_eq!(num_public % 4, 0, "public values are whole wires");
        let airs = CircuitAir::all(usize::from(num_public), layout);
        let heights = log_heights.map(usize::from);
        let shape = Shape::new(&airs, airs.iter().map(lookups).collect(), &heights, params);
        Self { log_heights, num_public, layout, params, shape }
    }

    /// Writes the verifier of a child whose preprocessed commitment is given.
    fn child(&self, b: &mut Builder, fixed: [Wire; 2]) -> Child {
        let sample = CircuitVk {
            log_heights: self.log_heights,
            num_public: self.num_public,
            layout: self.layout,
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
        let own = (self.log_heights, self.num_public, self.layout);
        if (vk.log_heights, vk.num_public, vk.layout) != own {
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

/// How a node joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// The first ends where the second begins.
    Shards,
    /// Both begin at the same state.
    Batches,
}

/// The circuit that joins two proofs of lifts or nodes: see [`Join`], which is a private bit.
pub fn node(kind: &Kind) -> Circuit {
    let mut b = Builder::new();
    let b = &mut b;
    let (members, list) = list(b);
    let (_, [batches, ..]) = b.input_base();
    b.assert_bool(batches.wire());
    let left = member(b, kind, &members, list);
    let right = member(b, kind, &members, list);
    let pair = |claim: &[Wire], at: usize| [claim[at], claim[at + 1]];
    b.assert_same(pair(&left.claim, 0), pair(&right.claim, 0));
    let [(before, middle), (begin, after)] =
        [&left, &right].map(|child| (pair(&child.claim, 4), pair(&child.claim, 6)));
    let expected = b.select_all(batches, before, middle);
    b.assert_same(expected, begin);
    let both = b.hash_two(middle, after);
    let end = b.select_all(batches, both, after);
    let claim = left.claim[..6].iter().copied().chain(end);
    claim.for_each(|wire| b.expose(wire));
    std::mem::take(b).finish()
}

/// The private inputs of [`node`].
///
/// # Errors
/// When a proof is refused, or its circuit is not in the list.
pub fn node_inputs(
    kind: &Kind,
    members: &Members,
    join: Join,
    children: [(&CircuitVk, &CircuitProof); 2],
) -> Result<Vec<F>, AggregateError> {
    let mut inputs = members.digests.concat();
    inputs.extend([F::from_bool(join == Join::Batches), F::ZERO, F::ZERO, F::ZERO]);
    for (vk, proof) in children {
        inputs.extend(member_inputs(kind, members, vk, proof)?);
    }
    Ok(inputs)
}

/// The circuit that opens a proof of one or several whole batches: its public values are the digest of the program, the number of batches, and the sixteen limbs of each one's public input. The list
/// of allowed circuits is part of it. Limbs are bound by their hash, not by their range: whoever reads them must have numbers of 16 bits to compare with, as the contract has.
pub fn root(kind: &Kind, members: &Members, log_program: u8) -> Circuit {
    let mut b = Builder::new();
    let b = &mut b;
    let constants = members.digests.map(|digest| constant_digest(b, &digest));
    let list = constant_digest(b, &members.digest());
    let child = member(b, kind, &constants, list);
    let program = ProgramWires::input(b, log_program);
    b.assert_same(program.digest, [child.claim[0], child.claim[1]]);
    let (zero, one) = (b.base(F::ZERO), b.base(F::ONE));
    let none = [zero.wire(); 2];
    let state = |chain| StateWires {
        pc: program.entry,
        committed: zero,
        root: program.initial_root,
        input: none,
        chain,
    };
    let start = state(none).digest(b);
    b.assert_same(start, [child.claim[4], child.claim[5]]);
    let (mut end, mut count, mut before) = (none, zero, one);
    let mut opened = Vec::new();
    let (_, flags) = b.input_base();
    for flag in flags {
        b.assert_bool(flag.wire());
        // Batches come first, empty places after; there is at least one batch.
        let late = b.sub_base(one, before);
        b.assert_product(flag.wire(), late.wire(), zero.wire());
        let (low, _) = input_digest_wires(b);
        let (high, _) = input_digest_wires(b);
        let absent = b.sub_base(one, flag);
        for &wire in low.iter().chain(&high) {
            b.assert_product(absent.wire(), wire, zero.wire());
        }
        let input = b.hash_two(low, high);
        let chain = b.hash_two(none, input);
        let own = state(chain).digest(b);
        if opened.is_empty() {
            b.assert_eq(flag.wire(), one.wire());
            end = own;
        } else {
            let both = b.hash_two(end, own);
            end = b.select_all(flag, both, end);
        }
        before = flag;
        count = b.add_base(count, flag);
        opened.extend(low.into_iter().chain(high));
    }
    b.assert_same(end, [child.claim[6], child.claim[7]]);
    child.claim[..2].iter().for_each(|&wire| b.expose(wire));
    let count = b.pack([count, zero, zero, zero]);
    b.expose(count);
    opened.into_iter().for_each(|wire| b.expose(wire));
    std::mem::take(b).finish()
}

/// Wires of a root's public values.
pub const ROOT_WIRES: usize = 3 + 4 * ROOT_BATCHES;

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
    let mut inputs = member_inputs(kind, members, vk, proof)?;
    inputs.extend(program_inputs(program));
    inputs.extend((0..ROOT_BATCHES).map(|i| F::from_bool(i < batches.len())));
    for place in 0..ROOT_BATCHES {
        let words = batches.get(place).copied().unwrap_or_default();
        inputs.extend(words.iter().flat_map(|&w| cairn_prover::bus::limbs(w)));
    }
    Ok(inputs)
}

/// The circuit that verifies proofs of one circuit and says what they say.
pub fn shrink(vk: &CircuitVk, params: Params) -> Circuit {
    let kind = Kind::of(vk, params);
    let mut b = Builder::new();
    let fixed = constant_digest(&mut b, &vk.fixed);
    let child = kind.child(&mut b, fixed);
    child.claim.iter().for_each(|&wire| b.expose(wire));
    b.finish()
}

/// The private inputs of [`shrink`].
///
/// # Errors
/// When the proof is refused.
pub fn shrink_inputs(
    vk: &CircuitVk,
    params: Params,
    proof: &CircuitProof,
) -> Result<Vec<F>, AggregateError> {
    Ok(Kind::of(vk, params).child_inputs(vk, proof)?)
}

/// The digests of the states before and after batches, as nodes that joined them one after the other claim them.
pub fn batch_states(program: &VerifyingKey, batches: &[[u32; 8]]) -> [Digest; 2] {
    let start = [F::ZERO; 8];
    let state = |chain| State::initial(program, chain).digest();
    let ends = batches
        .iter()
        .map(|words| state(crate::claim::hash_two(start, crate::claim::input_digest(words))));
    [state(start), ends.reduce(crate::claim::hash_two).unwrap_or_else(|| state(start))]
}

/// The heights of a circuit's tables (log2) with so many gates in a row. The three small tables have one: each further height costs whoever verifies the proof more than their cells cost.
pub fn heights(circuit: &Circuit, lanes: u8) -> [u8; 5] {
    let size = circuit.size();
    let height = |rows: usize| log_height(rows, 0) as u8;
    let small = height(circuit.public.len().max(size.values).max(size.packs));
    let gates = size.gates.div_ceil(usize::from(lanes));
    [small, small, small, height(gates), height(size.perms)]
}

/// The common heights of lifts and nodes: such that every lift fits, and the node that verifies circuits of these heights fits itself.
///
/// # Errors
/// When there are none.
pub fn common_heights(lifts: &[Circuit], params: Params) -> Result<[u8; 5], AggregateError> {
    let mut common = [0; 5];
    let raise = |common: &mut [u8; 5], circuit: &Circuit| {
        let needed = heights(circuit, Layout::WIDE.lanes);
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
