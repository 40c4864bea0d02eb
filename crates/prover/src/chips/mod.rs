//! The chips: each is an AIR (its columns and constraints). They speak only over the buses of [`crate::bus`]; [`crate::generate`] fills their traces.

pub mod accel;
pub mod add;
pub mod bitwise;
pub mod block;
pub mod boundary;
pub mod branch;
pub mod compare;
pub mod cpu;
pub mod div;
pub mod ecall;
pub mod jump;
pub mod memory;
pub mod mul;
pub mod poseidon2;
pub mod shift;
pub mod tables;

use crate::bus::F;
use crate::columns::ColumnGroup;
use crate::program::{Class, Program};
use accel::AccelAir;
use p3_air::{Air, BaseAir};
use p3_lookup::InteractionBuilder;
use p3_matrix::dense::RowMajorMatrix;
use std::sync::Arc;

/// Every chip of the VM.
#[derive(Clone, Debug)]
pub enum Chip {
    /// Ends of the shard.
    Public(tables::PublicChip),
    /// Decoded program.
    Program(tables::ProgramChip),
    /// Range table.
    Range(tables::RangeChip),
    /// AND table.
    And(tables::AndChip),
    /// Poseidon2 permutations.
    Poseidon2(poseidon2::Poseidon2Chip),
    /// Touched blocks of memory.
    Boundary(boundary::BoundaryChip),
    /// Nodes of the memory tree.
    Merkle(boundary::MerkleChip),
    /// Versions brought forward in time.
    Gap(boundary::GapChip),
    /// ADD, SUB, ADDI, LUI, AUIPC.
    Add(add::AddChip),
    /// AND, OR, XOR.
    Bitwise(bitwise::BitwiseChip),
    /// Shifts.
    Shift(shift::ShiftChip),
    /// Comparisons and ordering branches.
    Compare(compare::CompareChip),
    /// BEQ, BNE.
    Branch(branch::BranchChip),
    /// JAL, JALR.
    Jump(jump::JumpChip),
    /// LW, SW.
    Word(memory::WordChip),
    /// Loads and stores of bytes and halves.
    Subword(memory::SubwordChip),
    /// Multiplication.
    Mul(mul::MulChip),
    /// Division.
    Div(div::DivChip),
    /// ECALL.
    Ecall(ecall::EcallChip),
    /// COMMIT, HINT, COPY.
    Block(block::BlockChip),
    /// An accelerator.
    Accel(AccelAir),
}

/// Runs an expression with `$c` bound to the inner chip.
macro_rules! each {
    ($chip:expr, $c:ident => $e:expr) => {
        match $chip {
            Chip::Public($c) => $e,
            Chip::Program($c) => $e,
            Chip::Range($c) => $e,
            Chip::And($c) => $e,
            Chip::Poseidon2($c) => $e,
            Chip::Boundary($c) => $e,
            Chip::Merkle($c) => $e,
            Chip::Gap($c) => $e,
            Chip::Add($c) => $e,
            Chip::Bitwise($c) => $e,
            Chip::Shift($c) => $e,
            Chip::Compare($c) => $e,
            Chip::Branch($c) => $e,
            Chip::Jump($c) => $e,
            Chip::Word($c) => $e,
            Chip::Subword($c) => $e,
            Chip::Mul($c) => $e,
            Chip::Div($c) => $e,
            Chip::Ecall($c) => $e,
            Chip::Block($c) => $e,
            Chip::Accel($c) => $e,
        }
    };
}

/// How many of the first chips are in every proof.
pub const MANDATORY: usize = 7;

impl Chip {
    /// Every chip in the fixed order of proofs. A verifier needs no program: only the prover reads the table's content.
    pub fn all(program: Option<Arc<Program>>) -> Vec<Self> {
        let mut all = vec![
            Self::Public(tables::PublicChip),
            Self::Program(tables::ProgramChip(program)),
            Self::Range(tables::RangeChip),
            Self::And(tables::AndChip),
            Self::Poseidon2(poseidon2::Poseidon2Chip),
            Self::Boundary(boundary::BoundaryChip),
            Self::Merkle(boundary::MerkleChip),
            Self::Gap(boundary::GapChip),
        ];
        all.extend(crate::program::CLASSES.into_iter().filter_map(Self::of_class));
        all.push(Self::Block(block::BlockChip));
        all.extend(AccelAir::all().into_iter().map(Self::Accel));
        all
    }

    /// The chip of an instruction class.
    pub fn of_class(class: Class) -> Option<Self> {
        Some(match class {
            Class::Add => Self::Add(add::AddChip),
            Class::Bitwise => Self::Bitwise(bitwise::BitwiseChip),
            Class::Shift => Self::Shift(shift::ShiftChip),
            Class::Compare => Self::Compare(compare::CompareChip),
            Class::Branch => Self::Branch(branch::BranchChip),
            Class::Jump => Self::Jump(jump::JumpChip),
            Class::Word => Self::Word(memory::WordChip),
            Class::Subword => Self::Subword(memory::SubwordChip),
            Class::Mul => Self::Mul(mul::MulChip),
            Class::Div => Self::Div(div::DivChip),
            Class::Ecall => Self::Ecall(ecall::EcallChip),
        })
    }

    /// A short unique name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Public(_) => "public",
            Self::Program(_) => "program",
            Self::Range(_) => "range",
            Self::And(_) => "and",
            Self::Poseidon2(_) => "poseidon2",
            Self::Boundary(_) => "boundary",
            Self::Merkle(_) => "merkle",
            Self::Gap(_) => "gap",
            Self::Add(_) => "add",
            Self::Bitwise(_) => "bitwise",
            Self::Shift(_) => "shift",
            Self::Compare(_) => "compare",
            Self::Branch(_) => "branch",
            Self::Jump(_) => "jump",
            Self::Word(_) => "word",
            Self::Subword(_) => "subword",
            Self::Mul(_) => "mul",
            Self::Div(_) => "div",
            Self::Ecall(_) => "ecall",
            Self::Block(_) => "block",
            Self::Accel(accel) => accel.name(),
        }
    }

    /// Whether its rows are cycles of the machine.
    pub fn is_instruction(&self) -> bool {
        matches!(
            self,
            Self::Add(_)
                | Self::Bitwise(_)
                | Self::Shift(_)
                | Self::Compare(_)
                | Self::Branch(_)
                | Self::Jump(_)
                | Self::Word(_)
                | Self::Subword(_)
                | Self::Mul(_)
                | Self::Div(_)
                | Self::Ecall(_)
        )
    }

    /// Cells of a row, lookup columns included.
    pub fn row_cells(&self) -> usize {
        let fractions = crate::shard::lookups(self).len();
        BaseAir::<F>::width(self) + if fractions > 0 { 4 * (fractions + 1) } else { 0 }
    }

    /// How many of its rows serve one call of an ecall.
    pub fn rows_per_call(&self, id: u32) -> usize {
        use cairn_accel::ids;
        match self {
            Self::Ecall(_) => usize::from(ids::operands(id).is_some()),
            Self::Block(_) => usize::from(matches!(id, ids::COMMIT | ids::HINT | ids::COPY)),
            Self::Poseidon2(_) => {
                usize::from(matches!(id, ids::POSEIDON2_PERMUTE | ids::POSEIDON2_COMPRESS))
            }
            Self::Accel(accel) if accel.ids().contains(&id) => accel.rows_per_call(),
            _ => 0,
        }
    }

    /// Its columns by name.
    pub fn columns(&self) -> Vec<ColumnGroup> {
        match self {
            Self::Public(_) => tables::PublicCols::groups(),
            Self::Program(_) | Self::Range(_) => tables::TableCols::groups(),
            Self::And(_) => tables::AndCols::groups(),
            Self::Poseidon2(_) => poseidon2::Poseidon2Cols::groups(),
            Self::Boundary(_) => boundary::BoundaryCols::groups(),
            Self::Merkle(_) => boundary::MerkleCols::groups(),
            Self::Gap(_) => boundary::GapCols::groups(),
            Self::Add(_) => add::AddCols::groups(),
            Self::Bitwise(_) => bitwise::BitwiseCols::groups(),
            Self::Shift(_) => shift::ShiftCols::groups(),
            Self::Compare(_) => compare::CompareCols::groups(),
            Self::Branch(_) => branch::BranchCols::groups(),
            Self::Jump(_) => jump::JumpCols::groups(),
            Self::Word(_) => memory::WordCols::groups(),
            Self::Subword(_) => memory::SubwordCols::groups(),
            Self::Mul(_) => mul::MulCols::groups(),
            Self::Div(_) => div::DivCols::groups(),
            Self::Ecall(_) => ecall::EcallCols::groups(),
            Self::Block(_) => block::BlockCols::groups(),
            Self::Accel(a) => a.columns(),
        }
    }
}

impl BaseAir<F> for Chip {
    fn width(&self) -> usize {
        each!(self, c => BaseAir::<F>::width(c))
    }
    fn preprocessed_trace(&self) -> Option<RowMajorMatrix<F>> {
        each!(self, c => BaseAir::<F>::preprocessed_trace(c))
    }
    fn preprocessed_width(&self) -> usize {
        each!(self, c => BaseAir::<F>::preprocessed_width(c))
    }
    fn num_public_values(&self) -> usize {
        each!(self, c => BaseAir::<F>::num_public_values(c))
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        each!(self, c => BaseAir::<F>::main_next_row_columns(c))
    }
    fn preprocessed_next_row_columns(&self) -> Vec<usize> {
        each!(self, c => BaseAir::<F>::preprocessed_next_row_columns(c))
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for Chip {
    fn eval(&self, b: &mut AB) {
        each!(self, c => c.eval(b));
    }
}
