//! What circuits say of executions.
//!
//! Every proof says: *the program with this digest goes from one state to another*. A [`State`] is a machine between two shards, with what earlier shards and batches left to remember; only its digest
//! is public. So joining two proofs is one comparison, whether the seam lies inside a batch or between two, and in whatever tree they are joined.

use crate::circuit::{Base, Builder, Wire};
use cairn_prover::bus::F;
use cairn_prover::memory::{Digest, permutation};
use cairn_prover::program::HALT_PC;
use cairn_prover::shard::{ShardStatement, VerifyingKey};
use p3_field::PrimeCharacteristicRing;
use p3_symmetric::{CryptographicHasher, PaddingFreeSponge};

/// A machine between two shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Program counter.
    pub pc: F,
    /// Whether the batch's public input has been committed.
    pub committed: bool,
    /// Memory root.
    pub root: Digest,
    /// Digest of the public input committed, zero before.
    pub input: Digest,
    /// Hash chain over the public inputs of the batches finished so far.
    pub chain: Digest,
}

/// Why a shard does not go on from a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It starts elsewhere.
    #[error("the shard does not start where the state is")]
    Start,
    /// A second public input.
    #[error("the shard commits a second public input")]
    Committed,
    /// It ends without one.
    #[error("the execution halts without a public input")]
    Missing,
}

/// The digest of two blocks: see [`Builder::hash_two`].
pub fn hash_two(l: Digest, r: Digest) -> Digest {
    hash(l.into_iter().chain(r))
}

/// The digest of a batch's public input, from its sixteen limbs.
pub fn input_digest(words: &[u32; 8]) -> Digest {
    let limbs: Vec<F> = words.iter().flat_map(|&w| cairn_prover::bus::limbs(w)).collect();
    hash(limbs)
}

/// The base prover's sponge.
pub fn hash(elements: impl IntoIterator<Item = F>) -> Digest {
    PaddingFreeSponge::<_, 16, 8, 8>::new(permutation().clone()).hash_iter(elements)
}

impl State {
    /// A program before its first instruction, after the batches that `chain` tells of.
    pub fn initial(vk: &VerifyingKey, chain: Digest) -> Self {
        Self {
            pc: F::from_u32(vk.entry),
            committed: false,
            root: vk.initial_root,
            input: [F::ZERO; 8],
            chain,
        }
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        let head = [self.pc, F::from_bool(self.committed)];
        hash(
            head.into_iter()
                .chain([F::ZERO; 6])
                .chain(self.root)
                .chain(self.input)
                .chain(self.chain),
        )
    }

    /// The state after a shard. The end of a batch is the beginning of the next.
    ///
    /// # Errors
    /// When the shard is not one that can follow.
    pub fn after(&self, vk: &VerifyingKey, shard: &ShardStatement) -> Result<Self, StateError> {
        if F::from_u32(shard.pc[0]) != self.pc || shard.root[0] != self.root {
            return Err(StateError::Start);
        }
        let (committed, input) = match (&shard.committed, self.committed) {
            (Some(_), true) => return Err(StateError::Committed),
            (Some(words), false) => (true, input_digest(words)),
            (None, committed) => (committed, self.input),
        };
        if shard.pc[1] != HALT_PC {
            let pc = F::from_u32(shard.pc[1]);
            return Ok(Self { pc, committed, root: shard.root[1], input, chain: self.chain });
        }
        if !committed {
            return Err(StateError::Missing);
        }
        Ok(Self::initial(vk, hash_two(self.chain, input)))
    }
}

/// A state in a circuit.
#[derive(Clone, Copy, Debug)]
pub struct StateWires {
    /// Program counter.
    pub pc: Base,
    /// Whether the public input has been committed.
    pub committed: Base,
    /// Memory root.
    pub root: [Wire; 2],
    /// Digest of the public input.
    pub input: [Wire; 2],
    /// Hash chain.
    pub chain: [Wire; 2],
}

impl StateWires {
    /// The digest.
    pub fn digest(&self, b: &mut Builder) -> [Wire; 2] {
        let zero = b.base(F::ZERO);
        let head = b.pack([self.pc, self.committed, zero, zero]);
        b.hash_packed(&[[head, zero.wire()], self.root, self.input, self.chain])
    }
}

/// A program's key in a circuit.
#[derive(Clone, Copy, Debug)]
pub struct ProgramWires {
    /// Where execution starts.
    pub entry: Base,
    /// Commitment to the tables.
    pub tables: [Wire; 2],
    /// Memory root before the first instruction.
    pub initial_root: [Wire; 2],
    /// The digest: what the program id is the encoding of.
    pub digest: [Wire; 2],
}

/// Eight private elements.
pub fn input_digest_wires(b: &mut Builder) -> ([Wire; 2], [Base; 8]) {
    let (l, left) = b.input_base();
    let (r, right) = b.input_base();
    ([l, r], core::array::from_fn(|i| if i < 4 { left[i] } else { right[i - 4] }))
}

impl ProgramWires {
    /// Takes a key from the private inputs (see [`program_inputs`]) and hashes it.
    pub fn input(b: &mut Builder, log_program: u8) -> Self {
        let (_, [entry, ..]) = b.input_base();
        let (tables, table_parts) = input_digest_wires(b);
        let (initial_root, root_parts) = input_digest_wires(b);
        let zero = [F::ZERO; 8];
        let sample = VerifyingKey { log_program, tables: zero, initial_root: zero, entry: 0 };
        let elements = sample.elements();
        // The key's own elements come last: height, entry, tables, root.
        let fixed = elements.len() - 17;
        let mut all = vec![b.base(F::from_usize(elements.len()))];
        all.extend(elements[..fixed].iter().map(|&x| b.base(x)));
        all.push(entry);
        all.extend(table_parts);
        all.extend(root_parts);
        let digest = b.hash(&all);
        Self { entry, tables, initial_root, digest }
    }
}

/// The private inputs of [`ProgramWires::input`].
pub fn program_inputs(vk: &VerifyingKey) -> Vec<F> {
    let mut inputs = vec![F::from_u32(vk.entry), F::ZERO, F::ZERO, F::ZERO];
    inputs.extend(vk.tables.iter().chain(&vk.initial_root));
    inputs
}
