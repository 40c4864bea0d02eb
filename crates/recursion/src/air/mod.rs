//! The tables of a circuit. Each is an AIR over the base field, written for any challenge field and any commitment scheme.
//!
//! One bus carries `(wire, four limbs)`: the defining row sends it as often as it is read, every reading row takes it once. Wires and multiplicities are preprocessed.

pub mod alu;
pub mod pack;
pub mod perm;
pub mod public;
pub mod value;

use crate::circuit::{Circuit, Op, Slot, Wire};
use crate::run::Witness;
use cairn_prover::bus::F;
use p3_air::{Air, BaseAir};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::dense::RowMajorMatrix;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The name of the bus.
pub const BUS: &str = "wire";

/// How the two large tables are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Layout {
    /// Arithmetic gates in a row of the ALU table.
    pub lanes: u8,
    /// Whether the Poseidon2 table leaves out what constraints of degree 9 can do without.
    pub compact: bool,
}

impl Layout {
    /// For circuits whose proofs have a low blowup.
    pub const WIDE: Self = Self { lanes: 4, compact: false };
}

/// The tables in the order of proofs.
pub const TABLES: [&str; 5] = ["public", "value", "pack", "alu", "perm"];
/// The least log2 height of a table.
pub const MIN_LOG_HEIGHT: usize = 3;

/// Puts `(wire, limbs)` on the bus: `count` is -1 for a read, the number of reads for a definition.
///
/// Counts are preprocessed, so the library's bound on what a row may send says nothing here. What holds instead: a wire has one definition and fewer reads than the modulus (checked by
/// [`crate::circuit::Builder::finish`]), so the messages of a wire cancel only if each read has the defined value.
pub(crate) fn message<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    wire: AB::Expr,
    limbs: [AB::Expr; 4],
    count: AB::Expr,
) {
    let [x0, x1, x2, x3] = limbs;
    b.push_interaction(BUS, [wire, x0, x1, x2, x3], Count::bounded(count, 1));
}

/// Wire and multiplicity of a slot as preprocessed cells.
pub(crate) fn slot_cells(reads: &[u32], slot: Slot) -> [F; 2] {
    let index = slot.wire.0;
    let count = if slot.define { F::from_u32(reads[index as usize]) } else { F::NEG_ONE };
    [F::from_u32(index), count]
}

/// As [`slot_cells`], of a read.
pub(crate) fn read_cells(wire: Wire) -> [F; 2] {
    [F::from_u32(wire.0), F::NEG_ONE]
}

/// One table of a circuit.
#[derive(Clone, Debug)]
pub enum CircuitAir {
    /// Public values.
    Public(public::PublicAir),
    /// Constants and private inputs.
    Value(value::ValueAir),
    /// Packing of base elements.
    Pack(pack::PackAir),
    /// Arithmetic.
    Alu(alu::AluAir),
    /// Poseidon2.
    Perm(perm::PermAir),
}

/// A table's preprocessed cells; a verifier needs none.
pub type Fixed = Option<Arc<RowMajorMatrix<F>>>;

macro_rules! each {
    ($air:expr, $a:ident => $e:expr) => {
        match $air {
            CircuitAir::Public($a) => $e,
            CircuitAir::Value($a) => $e,
            CircuitAir::Pack($a) => $e,
            CircuitAir::Alu($a) => $e,
            CircuitAir::Perm($a) => $e,
        }
    };
}

impl CircuitAir {
    /// All tables, as a verifier needs them.
    pub fn all(num_public: usize, layout: Layout) -> [Self; 5] {
        Self::with([const { None }; 5], num_public, layout)
    }

    fn with(fixed: [Fixed; 5], num_public: usize, layout: Layout) -> [Self; 5] {
        let [public, value, pack, alu, perm] = fixed;
        let lanes = usize::from(layout.lanes);
        [
            Self::Public(public::PublicAir { num_public, fixed: public }),
            Self::Value(value::ValueAir { fixed: value }),
            Self::Pack(pack::PackAir { fixed: pack }),
            Self::Alu(alu::AluAir { lanes, fixed: alu }),
            Self::Perm(perm::PermAir { compact: layout.compact, fixed: perm }),
        ]
    }

    /// All tables of a circuit, with heights of at least `least` (log2).
    pub fn of(circuit: &Circuit, layout: Layout, least: &[usize; 5]) -> [Self; 5] {
        let rows = Rows::new(circuit);
        let fixed = [
            public::fixed(circuit, least[0]),
            value::fixed(circuit, &rows, least[1]),
            pack::fixed(circuit, &rows, least[2]),
            alu::fixed(circuit, &rows, usize::from(layout.lanes), least[3]),
            perm::fixed(circuit, &rows, least[4]),
        ];
        Self::with(fixed.map(|f| Some(Arc::new(f))), 4 * circuit.public.len(), layout)
    }

    /// A short unique name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Public(_) => TABLES[0],
            Self::Value(_) => TABLES[1],
            Self::Pack(_) => TABLES[2],
            Self::Alu(_) => TABLES[3],
            Self::Perm(_) => TABLES[4],
        }
    }

    /// The degree of the table's constraints that lookups may also reach.
    pub(crate) fn degree(&self) -> usize {
        match self {
            Self::Perm(air) if air.compact => 9,
            _ => 3,
        }
    }

    /// The same table without its preprocessed cells, as a verifier needs it.
    #[must_use]
    pub fn bare(&self) -> Self {
        let mut air = self.clone();
        each!(&mut air, a => a.fixed = None);
        air
    }

    /// log2 of the height, where the preprocessed cells are known.
    pub fn log_height(&self) -> Option<usize> {
        let fixed = each!(self, a => a.fixed.as_ref())?;
        Some((fixed.values.len() / fixed.width).ilog2() as usize)
    }
}

/// The rows of a circuit by table.
pub(crate) struct Rows<'a> {
    pub(crate) gates: Vec<&'a crate::circuit::Gate>,
    pub(crate) packs: Vec<&'a [Slot; 5]>,
    pub(crate) perms: Vec<&'a crate::circuit::PermRow>,
    pub(crate) values: Vec<(Wire, Option<cairn_prover::bus::EF>)>,
}

impl<'a> Rows<'a> {
    fn new(circuit: &'a Circuit) -> Self {
        let mut rows =
            Self { gates: Vec::new(), packs: Vec::new(), perms: Vec::new(), values: Vec::new() };
        for op in &circuit.ops {
            match op {
                Op::Gate(gate) => rows.gates.push(gate),
                Op::Pack(slots) => rows.packs.push(slots),
                Op::Perm(row) => rows.perms.push(row),
                Op::Value(wire, value) => rows.values.push((*wire, *value)),
                Op::Bits(..) => {}
            }
        }
        rows
    }
}

/// log2 of the height of a table of `rows` rows.
pub(crate) fn log_height(rows: usize, least: usize) -> usize {
    (rows.max(1).next_power_of_two().ilog2() as usize).max(least).max(MIN_LOG_HEIGHT)
}

/// The traces of all tables, of the heights that the tables of [`CircuitAir::of`] have.
pub fn traces(
    circuit: &Circuit,
    witness: &Witness,
    airs: &[CircuitAir; 5],
) -> [RowMajorMatrix<F>; 5] {
    let rows = Rows::new(circuit);
    let height = |i: usize| 1usize << airs[i].log_height().unwrap_or(MIN_LOG_HEIGHT);
    [
        public::trace(witness, height(0)),
        value::trace(&rows, witness, height(1)),
        pack::trace(&rows, witness, height(2)),
        alu::trace(&rows, witness, airs[3].width() / alu::width(1), height(3)),
        perm::trace(witness, airs[4].width() < perm::WIDTH, height(4)),
    ]
}

impl BaseAir<F> for CircuitAir {
    fn width(&self) -> usize {
        match self {
            Self::Public(_) => public::WIDTH,
            Self::Value(_) => value::WIDTH,
            Self::Pack(_) => pack::WIDTH,
            Self::Alu(air) => alu::width(air.lanes),
            Self::Perm(air) => air.width(),
        }
    }
    fn preprocessed_trace(&self) -> Option<RowMajorMatrix<F>> {
        each!(self, a => a.fixed.as_ref()).map(|fixed| RowMajorMatrix::clone(fixed))
    }
    fn preprocessed_width(&self) -> usize {
        match self {
            Self::Public(air) => public::fixed_width(air.num_public),
            Self::Value(_) => value::FIXED_WIDTH,
            Self::Pack(_) => pack::FIXED_WIDTH,
            Self::Alu(air) => alu::fixed_width(air.lanes),
            Self::Perm(_) => perm::FIXED_WIDTH,
        }
    }
    fn num_public_values(&self) -> usize {
        match self {
            Self::Public(air) => air.num_public,
            _ => 0,
        }
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        match self {
            Self::Perm(air) => (0..air.width()).collect(),
            _ => Vec::new(),
        }
    }
    fn preprocessed_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for CircuitAir {
    fn eval(&self, b: &mut AB) {
        match self {
            Self::Public(air) => air.eval(b),
            Self::Value(_) => value::eval(b),
            Self::Pack(_) => pack::eval(b),
            Self::Alu(_) => alu::eval(b),
            Self::Perm(air) => air.eval(b),
        }
    }
}
