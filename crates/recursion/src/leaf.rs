//! The circuit that verifies one shard proof of any program, for one shape of shards.

use crate::circuit::{Base, Builder, Circuit};
use crate::claim::{
    ProgramWires, State, StateError, StateWires, input_digest_wires, program_inputs,
};
use crate::verifier::shape::Shape;
use crate::verifier::{Given, verify, witness};
use cairn_prover::bus::F;
use cairn_prover::config::Params;
use cairn_prover::program::HALT_PC;
use cairn_prover::shape::{ShapeError, ShardShape};
use cairn_prover::shard::{ShardProof, VerifyingKey, lookups, transcript_seed};
use p3_air::BaseAir;
use p3_field::{Field, PrimeCharacteristicRing};

/// Wires of a leaf's public values: digests of the program, of the state before and after.
pub const CLAIM_WIRES: usize = 6;

/// Why a shard proof cannot be made inputs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// The shard does not follow on the state.
    #[error(transparent)]
    State(#[from] StateError),
    /// The proof is not one that the circuit verifies.
    #[error(transparent)]
    Witness(#[from] witness::WitnessError),
    /// The shape is not allowed.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

/// The circuit for one shape, with what is needed to feed it.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The shape of the shards.
    pub shard: ShardShape,
    /// The shape of their proofs.
    pub shape: Shape,
}

impl Leaf {
    /// For shard proofs made with `params`.
    ///
    /// # Errors
    /// When no verifier takes proofs of the shape.
    pub fn new(shard: ShardShape, params: Params) -> Result<Self, ShapeError> {
        let chips = shard.check()?;
        let heights: Vec<usize> = shard.log_heights.iter().map(|&h| usize::from(h)).collect();
        let shape = Shape::new(&chips, chips.iter().map(lookups).collect(), &heights, params);
        Ok(Self { shard, shape })
    }

    /// Writes the circuit.
    pub fn circuit(&self) -> Circuit {
        let mut b = Builder::new();
        let b = &mut b;
        let program = ProgramWires::input(b, self.shard.log_program);
        let (_, [pc0, pc1, has, _]) = b.input_base();
        let (root0, root0_parts) = input_digest_wires(b);
        let (root1, root1_parts) = input_digest_wires(b);
        let (low, low_parts) = input_digest_wires(b);
        let (high, high_parts) = input_digest_wires(b);
        let (_, [committed, halt, inverse, _]) = b.input_base();
        let before = StateWires {
            pc: pc0,
            committed,
            root: root0,
            input: input_digest_wires(b).0,
            chain: input_digest_wires(b).0,
        };

        // The proof.
        let mut seed: Vec<Base> = program.digest.into_iter().flat_map(|w| b.unpack(w)).collect();
        let chips = &transcript_seed(&[F::ZERO; 8], self.shard.chips)[8..];
        seed.extend(chips.iter().map(|&x| b.base(x)));
        let mut statement = vec![pc0, pc1];
        statement.extend(root0_parts.iter().chain(&root1_parts));
        statement.push(has);
        statement.extend(low_parts.iter().chain(&high_parts));
        let public: Vec<Vec<Base>> = self
            .shape
            .instances
            .iter()
            .map(|i| if i.num_public > 0 { statement.clone() } else { Vec::new() })
            .collect();
        let given = Given { seed: &seed, public: &public, fixed: Some(program.tables) };
        verify(b, &self.shape, &given);

        // The state after: see `State::after`.
        let (zero, one) = (b.base(F::ZERO), b.base(F::ONE));
        for flag in [has, committed, halt] {
            b.assert_bool(flag.wire());
        }
        b.assert_product(has.wire(), committed.wire(), zero.wire());
        let none = b.sub_base(one, has);
        for wire in low.into_iter().chain(high) {
            b.assert_product(none.wire(), wire, zero.wire());
        }
        let halt_pc = b.base(F::from_u32(HALT_PC));
        let off = b.sub_base(pc1, halt_pc);
        b.assert_product(halt.wire(), off.wire(), zero.wire());
        let covered = b.mul_add_base(inverse, off, halt);
        b.assert_eq(covered.wire(), one.wire());
        let digest = b.hash_two(low, high);
        let input = b.select_all(has, digest, before.input);
        let done = b.add_base(committed, has);
        let missing = b.sub_base(one, done);
        b.assert_product(halt.wire(), missing.wire(), zero.wire());
        let chain = b.hash_two(before.chain, input);
        let after = StateWires {
            pc: b.select_base(halt, program.entry, pc1),
            committed: b.select_base(halt, zero, done),
            root: b.select_all(halt, program.initial_root, root1),
            input: b.select_all(halt, [zero.wire(); 2], input),
            chain: b.select_all(halt, chain, before.chain),
        };
        let claims = [program.digest, before.digest(b), after.digest(b)];
        claims.into_iter().flatten().for_each(|wire| b.expose(wire));
        std::mem::take(b).finish()
    }

    /// The private inputs for a shard that goes on from `before`, and the state after it.
    ///
    /// # Errors
    /// When the proof has another shape, is refused on the way, or does not follow on the state.
    pub fn inputs(
        &self,
        vk: &VerifyingKey,
        before: &State,
        shard: &ShardProof,
    ) -> Result<(Vec<F>, State), LeafError> {
        if ShardShape::of(vk, shard) != self.shard {
            return Err(LeafError::Shape(ShapeError::Other));
        }
        let statement = &shard.statement;
        let after = before.after(vk, statement)?;
        let values = statement.public_values();
        let mut inputs = program_inputs(vk);
        inputs.extend([values[0], values[1], values[18], F::ZERO]);
        inputs.extend_from_slice(&values[2..18]);
        inputs.extend_from_slice(&values[19..35]);
        let off = values[1] - F::from_u32(HALT_PC);
        let halt = F::from_bool(off == F::ZERO);
        let inverse = off.try_inverse().unwrap_or_default();
        inputs.extend([F::from_bool(before.committed), halt, inverse, F::ZERO]);
        inputs.extend(before.input.iter().chain(&before.chain));
        let chips = self.shard.check()?;
        let public: Vec<Vec<F>> = chips
            .iter()
            .map(|c| if c.num_public_values() > 0 { values.clone() } else { Vec::new() })
            .collect();
        let seed = transcript_seed(&vk.digest(), self.shard.chips);
        inputs.extend(witness::inputs(&self.shape, &seed, &public, Some(vk.tables), &shard.proof)?);
        Ok((inputs, after))
    }
}
