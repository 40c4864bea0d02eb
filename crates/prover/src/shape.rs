//! The shape of a shard proof: all of it that a circuit verifying such proofs has fixed.

//!
//! A circuit verifies proofs of one shape, so shards that go into recursion are padded to one of a few allowed shapes ([`ShardShape::allowed`]), and runs are cut so that each shard fits the largest.

use crate::bus::F;
use crate::check::Instance;
use crate::chips::{Chip, MANDATORY};
use crate::counts::{AND_ROWS, Counts, RANGE_ROWS};
use crate::program::MAX_LOG_ROWS;
use crate::shard::{
    LOG_MAX_MESSAGES, MAX_CYCLE_ROWS, MAX_LOG_HEIGHT, ShardProof, VerifyingKey, lookups,
};
use p3_air::BaseAir;
use p3_field::PrimeCharacteristicRing;
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use serde::{Deserialize, Serialize};

/// Which chips a shard proof has and how high their traces are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ShardShape {
    /// log2 height of the program table.
    pub log_program: u8,
    /// Which chips: bit `i` is chip `i` of [`Chip::all`].
    pub chips: u64,
    /// log2 height of each chip present.
    pub log_heights: Vec<u8>,
}

/// Why no verifier takes proofs of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// The chip set is not allowed.
    #[error("chip set {0:#x} is not allowed")]
    ChipSet(u64),
    /// Heights do not fit the chips.
    #[error("the heights are not those of the chips")]
    Heights,
    /// Too many messages or cycles.
    #[error("a shard of this shape is too large")]
    TooLarge,
    /// No allowed shape has room.
    #[error("the shard fits no allowed shape")]
    None,
    /// A proof has another shape than the one expected.
    #[error("the proof has another shape")]
    Other,
}

/// How many sizes shards without rare chips have.
pub const SIZES: usize = 3;
/// log2 heights of the chips of allowed shapes, by size: for about ten plain transactions, for about 2^20 cycles, for about 2^21; zero where there is no such chip. Tables have their own heights.
/// Few different heights: each one costs a circuit that verifies the shard a Merkle join in every tree and a folding round in every query.
const HEIGHTS: [(&str, [u8; SIZES]); 24] = [
    ("poseidon2", [14, 14, 15]),
    ("boundary", [14, 14, 15]),
    ("merkle", [14, 14, 15]),
    ("gap", [16, 17, 18]),
    ("add", [18, 18, 19]),
    ("bitwise", [16, 17, 18]),
    ("shift", [16, 17, 18]),
    ("compare", [15, 16, 17]),
    ("branch", [15, 16, 17]),
    ("jump", [14, 16, 16]),
    ("word", [17, 18, 19]),
    ("subword", [15, 17, 18]),
    ("mul", [14, 14, 15]),
    ("div", [11, 12, 13]),
    ("ecall", [14, 14, 15]),
    ("block", [14, 14, 15]),
    ("poseidon2_permute", [0, 12, 0]),
    ("poseidon2_compress", [11, 12, 13]),
    ("keccak_call", [11, 12, 13]),
    ("keccak_round", [11, 12, 13]),
    ("secp256k1_add", [11, 12, 13]),
    ("secp256k1_double", [11, 12, 13]),
    ("modmul256", [11, 12, 13]),
    ("u256_add", [11, 12, 13]),
];
/// Chips that few shards have: they are in a shape of their own, which is otherwise the largest.
const RARE_HEIGHTS: [(&str, u8); 4] =
    [("poseidon2_permute", 13), ("u256_mul", 13), ("sha256_call", 13), ("sha256_step", 13)];

/// log2 height of a chip in an allowed shape; none if the shape is without it. `rare` adds what few shards have.
fn allowed_height(chip: &Chip, log_program: u8, size: usize, rare: bool) -> Option<u8> {
    if let Some(height) = table_log_height(chip, usize::from(log_program)) {
        return u8::try_from(height).ok();
    }
    let name = chip.name();
    let common = HEIGHTS.iter().find(|(n, _)| *n == name).map(|(_, h)| h[size]);
    let seldom = RARE_HEIGHTS.iter().find(|(n, _)| rare && *n == name).map(|(_, h)| *h);
    common.filter(|&height| height > 0).or(seldom)
}

/// log2 height of a chip with table content; beyond any height for one that has no place here.
pub(crate) fn table_log_height(chip: &Chip, log_program: usize) -> Option<usize> {
    match chip {
        Chip::Public(_) => Some(crate::chips::tables::PUBLIC_LOG_ROWS),
        Chip::Program(_) => Some(log_program),
        Chip::Range(_) => Some(RANGE_ROWS.ilog2() as usize),
        Chip::And(_) => Some(AND_ROWS.ilog2() as usize),
        _ => (chip.preprocessed_width() > 0).then_some(usize::MAX),
    }
}

/// A row without content: valid anywhere (no chip looks at the next row) and silent on every bus.
fn empty_row(chip: &Chip) -> Vec<F> {
    let width = BaseAir::<F>::width(chip);
    let trace = match chip {
        Chip::Accel(accel) => accel.generate(&[], &mut Counts::new()),
        Chip::Poseidon2(_) => crate::generate::poseidon2(&[]),
        _ => return vec![F::ZERO; width],
    };
    trace.values[..width].to_vec()
}

/// Rows that the largest allowed shape has for a chip, tables apart.
pub(crate) fn most_rows(chip: &Chip) -> usize {
    allowed_height(chip, 0, SIZES - 1, true).map_or(0, |height| 1 << height)
}

impl ShardShape {
    /// The shapes that recursion takes, the smallest first: each size without rare chips, and the largest with them.
    pub fn allowed(log_program: u8) -> Vec<Self> {
        let shape = |size: usize, rare: bool| {
            let (mut chips, mut log_heights) = (0, Vec::new());
            for (i, chip) in Chip::all(None).iter().enumerate() {
                if let Some(height) = allowed_height(chip, log_program, size, rare) {
                    chips |= 1 << i;
                    log_heights.push(height);
                }
            }
            Self { log_program, chips, log_heights }
        };
        (0..SIZES).map(|size| shape(size, false)).chain([shape(SIZES - 1, true)]).collect()
    }

    /// Pads a shard's traces to the smallest allowed shape that covers them.
    ///
    /// # Errors
    /// When none does: a run that was cut with [`crate::trace::ShardLimits::recursion`] has no such shard.
    pub fn pad_to_allowed(instances: Vec<Instance>) -> Result<Vec<Instance>, ShapeError> {
        let own = Self::of_traces(&instances);
        let allowed = Self::allowed(own.log_program);
        let shape = allowed.iter().find(|shape| shape.covers(&own)).ok_or(ShapeError::None)?;
        shape.pad(instances)
    }

    /// The shape of traces.
    pub fn of_traces(instances: &[Instance]) -> Self {
        let mut own = Self { log_program: 0, chips: 0, log_heights: Vec::new() };
        for (i, chip) in Chip::all(None).iter().enumerate() {
            if let Some(instance) = instances.iter().find(|x| x.chip.name() == chip.name()) {
                let height = instance.trace.height().max(1).ilog2() as u8;
                own.chips |= 1 << i;
                own.log_heights.push(height);
                if matches!(chip, Chip::Program(_)) {
                    own.log_program = height;
                }
            }
        }
        own
    }

    /// The shape of a proof.
    pub fn of(vk: &VerifyingKey, shard: &ShardProof) -> Self {
        let height = |&bits: &usize| u8::try_from(bits).unwrap_or(u8::MAX);
        Self {
            log_program: vk.log_program,
            chips: shard.chips,
            log_heights: shard.proof.degree_bits.iter().map(height).collect(),
        }
    }

    /// Whether shards of another shape can be padded to this one.
    pub fn covers(&self, other: &Self) -> bool {
        self.log_program == other.log_program
            && other.heights().all(|(chip, height)| {
                self.heights().any(|(mine, most)| mine == chip && height <= most)
            })
    }

    /// The least shape that covers both; `None` if their program tables differ.
    pub fn union(&self, other: &Self) -> Option<Self> {
        if self.log_program != other.log_program {
            return None;
        }
        let chips = self.chips | other.chips;
        let height = |shape: &Self, chip| shape.heights().find(|(i, _)| *i == chip).map(|(_, h)| h);
        let log_heights = (0..64)
            .filter(|i| chips >> i & 1 == 1)
            .map(|i| height(self, i).max(height(other, i)).unwrap_or_default())
            .collect();
        Some(Self { log_program: self.log_program, chips, log_heights })
    }

    /// Index and log2 height of each chip present.
    fn heights(&self) -> impl Iterator<Item = (u32, u8)> + '_ {
        (0..64).filter(|i| self.chips >> i & 1 == 1).zip(self.log_heights.iter().copied())
    }

    /// Pads a shard's traces to this shape: absent chips get traces without content, short ones rows without content.
    ///
    /// # Errors
    /// When the shape does not cover the traces.
    pub fn pad(&self, instances: Vec<Instance>) -> Result<Vec<Instance>, ShapeError> {
        let mut given = instances.into_iter().peekable();
        let mut padded = Vec::new();
        for (chip, &height) in self.check()?.into_iter().zip(&self.log_heights) {
            let row = empty_row(&chip);
            let mut instance =
                given.next_if(|i| i.chip.name() == chip.name()).unwrap_or_else(|| {
                    Instance::new(chip, RowMajorMatrix::new(row.clone(), row.len()), Vec::new())
                });
            let rows = instance.trace.height();
            if rows > 1 << height || instance.preprocessed.is_some() && rows != 1 << height {
                return Err(ShapeError::Other);
            }
            for _ in rows..1 << height {
                instance.trace.values.extend_from_slice(&row);
            }
            padded.push(instance);
        }
        given.next().map_or(Ok(padded), |_| Err(ShapeError::Other))
    }

    /// Checks a shape as the verifier of shards does, and gives its chips.
    ///
    /// # Errors
    /// When that verifier refuses every proof of the shape.
    pub fn check(&self) -> Result<Vec<Chip>, ShapeError> {
        let all = Chip::all(None);
        let mandatory = (1u64 << MANDATORY) - 1;
        if self.chips & mandatory != mandatory || self.chips >> all.len() != 0 {
            return Err(ShapeError::ChipSet(self.chips));
        }
        let chips: Vec<Chip> =
            (0..).zip(all).filter(|(i, _)| self.chips >> i & 1 == 1).map(|(_, c)| c).collect();
        if chips.len() != self.log_heights.len() || usize::from(self.log_program) > MAX_LOG_ROWS {
            return Err(ShapeError::Heights);
        }
        let (mut cycles, mut messages) = (0usize, 0usize);
        for (chip, &bits) in chips.iter().zip(&self.log_heights) {
            let bits = usize::from(bits);
            let fixed = table_log_height(chip, usize::from(self.log_program));
            if bits > MAX_LOG_HEIGHT || fixed.is_some_and(|fixed| fixed != bits) {
                return Err(ShapeError::Heights);
            }
            if chip.is_instruction() {
                cycles += 1 << bits;
            }
            messages += lookups(chip).iter().map(|l| l.elements.len()).sum::<usize>() << bits;
        }
        if messages > 1 << LOG_MAX_MESSAGES || cycles > MAX_CYCLE_ROWS {
            return Err(ShapeError::TooLarge);
        }
        Ok(chips)
    }
}
