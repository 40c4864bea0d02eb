//! The shape of a shard proof: all of it that a circuit verifying such proofs has fixed.

use crate::chips::{Chip, MANDATORY};
use crate::counts::{AND_ROWS, RANGE_ROWS};
use crate::program::MAX_LOG_ROWS;
use crate::shard::{
    LOG_MAX_MESSAGES, MAX_CYCLE_ROWS, MAX_LOG_HEIGHT, ShardProof, VerifyingKey, lookups,
};
use p3_air::BaseAir;
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
    /// A proof has another shape than the one expected.
    #[error("the proof has another shape")]
    Other,
}

impl ShardShape {
    /// The shape of a proof.
    pub fn of(vk: &VerifyingKey, shard: &ShardProof) -> Self {
        let height = |&bits: &usize| u8::try_from(bits).unwrap_or(u8::MAX);
        Self {
            log_program: vk.log_program,
            chips: shard.chips,
            log_heights: shard.proof.degree_bits.iter().map(height).collect(),
        }
    }

    /// Checks all that the verifier of shards checks of a shape, and gives its chips.
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
            let fixed = match chip {
                Chip::Public(_) => Some(crate::chips::tables::PUBLIC_LOG_ROWS),
                Chip::Program(_) => Some(usize::from(self.log_program)),
                Chip::Range(_) => Some(RANGE_ROWS.ilog2() as usize),
                Chip::And(_) => Some(AND_ROWS.ilog2() as usize),
                _ => (chip.preprocessed_width() > 0).then_some(usize::MAX),
            };
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
