//! Accelerator chips. Each takes its calls off [`crate::bus::ACCEL`] and reads and writes guest memory on [`crate::bus::MEM`].
//!
//! What the shard prover asks of this module: [`AccelAir::all`] gives the chips in their fixed order, [`AccelAir::ids`] the
//! ecall numbers that a chip serves, [`AccelAir::generate`] the trace of a shard's calls (in the order of execution), padded to a
//! power of two with rows that put nothing on any bus. A chip without calls in a shard is left out of that shard's proof.

use crate::bus::{AccelCall, F};
use crate::counts::Counts;
use p3_air::{Air, BaseAir};
use p3_lookup::InteractionBuilder;
use p3_matrix::dense::RowMajorMatrix;

/// One accelerator chip.
#[derive(Clone, Debug)]
pub enum AccelAir {}

impl AccelAir {
    /// All chips in the fixed order of proofs.
    pub fn all() -> Vec<Self> {
        Vec::new()
    }

    /// A short unique name.
    pub fn name(&self) -> &'static str {
        match *self {}
    }

    /// The ecall numbers that this chip serves.
    pub fn ids(&self) -> &'static [u32] {
        match *self {}
    }

    /// The trace of `calls` (all of them of this chip's ids), and the lookups it makes.
    pub fn generate(&self, _calls: &[AccelCall], _counts: &mut Counts) -> RowMajorMatrix<F> {
        match *self {}
    }
}

impl BaseAir<F> for AccelAir {
    fn width(&self) -> usize {
        match *self {}
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for AccelAir {
    fn eval(&self, _b: &mut AB) {
        match *self {}
    }
}
