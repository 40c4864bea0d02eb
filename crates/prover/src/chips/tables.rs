//! The tables that answer lookups, and the chip that ties a shard's ends to its public values.

use super::boundary::TREE_DEPTH;
use super::cpu::k;
use crate::bus::{EXEC, F, LOOKUP, MERKLE, PUBLIC, TAG_AND, TAG_BYTES, TS_STEP};
use crate::columns;
use crate::columns::Columns;
use crate::counts::{AND_ROWS, RANGE_ROWS, fixed_row};
use crate::program::{Program, TABLE_WIDTH};
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::dense::RowMajorMatrix;
use std::sync::Arc;

columns! {
    /// Columns of the table chips; the entries themselves are preprocessed.
    pub struct TableCols {
        /// How often the entry is looked up; balances the bus.
        mult: T,
    }
}

/// The decoded program, the ecall descriptors and the powers of two, all preprocessed.
#[derive(Clone, Debug)]
pub struct ProgramChip(pub Option<Arc<Program>>);

impl BaseAir<F> for ProgramChip {
    fn width(&self) -> usize {
        1
    }
    fn preprocessed_trace(&self) -> Option<RowMajorMatrix<F>> {
        self.0.as_ref().map(|p| p.table())
    }
    fn preprocessed_width(&self) -> usize {
        TABLE_WIDTH
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
    fn preprocessed_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for ProgramChip {
    fn eval(&self, b: &mut AB) {
        let mult = b.main().current_slice()[0];
        let entry: Vec<AB::Expr> =
            b.preprocessed().current_slice().iter().map(|&x| x.into()).collect();
        LOOKUP.table_entry(b, entry, mult);
    }
}

/// Range checks: every `(bits, value)` with `value < 2^bits`, `bits <= 16`.
#[derive(Clone, Copy, Debug)]
pub struct RangeChip;

impl BaseAir<F> for RangeChip {
    fn width(&self) -> usize {
        1
    }
    fn preprocessed_trace(&self) -> Option<RowMajorMatrix<F>> {
        let cells =
            (0..RANGE_ROWS).flat_map(|i| fixed_row(i)[..2].to_vec()).map(F::from_u32).collect();
        Some(RowMajorMatrix::new(cells, 2))
    }
    fn preprocessed_width(&self) -> usize {
        2
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
    fn preprocessed_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for RangeChip {
    fn eval(&self, b: &mut AB) {
        let mult = b.main().current_slice()[0];
        let (bits, value) = (
            b.preprocessed().current_slice()[0].into(),
            b.preprocessed().current_slice()[1].into(),
        );
        let zero = AB::Expr::ZERO;
        LOOKUP.table_entry(b, [bits, value, zero.clone(), zero.clone(), zero.clone(), zero], mult);
    }
}

columns! {
    /// Columns of [`AndChip`].
    pub struct AndCols {
        /// How often the entry is looked up with its AND; balances the bus.
        mult: T,
        /// How often the entry is looked up as a pair of bytes; balances the bus.
        bytes_mult: T,
    }
}

/// Every `(a, b, a & b)` of bytes, and every `(a, b)`.
#[derive(Clone, Copy, Debug)]
pub struct AndChip;

impl BaseAir<F> for AndChip {
    fn width(&self) -> usize {
        <AndCols<F> as Columns<F>>::WIDTH
    }
    fn preprocessed_trace(&self) -> Option<RowMajorMatrix<F>> {
        let cells = (0..AND_ROWS)
            .flat_map(|i| fixed_row(RANGE_ROWS + i)[1..].to_vec())
            .map(F::from_u32)
            .collect();
        Some(RowMajorMatrix::new(cells, 3))
    }
    fn preprocessed_width(&self) -> usize {
        3
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
    fn preprocessed_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for AndChip {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let cols = AndCols::of(main.current_slice());
        let entry: [AB::Expr; 3] =
            core::array::from_fn(|i| b.preprocessed().current_slice()[i].into());
        let [x, y, and] = entry;
        let zero = AB::Expr::ZERO;
        LOOKUP.table_entry(
            b,
            [k::<AB>(TAG_AND), x.clone(), y.clone(), and, zero.clone(), zero.clone()],
            cols.mult,
        );
        LOOKUP.table_entry(
            b,
            [k::<AB>(TAG_BYTES), x, y, zero.clone(), zero.clone(), zero],
            cols.bytes_mult,
        );
    }
}

columns! {
    /// Columns of [`PublicChip`].
    pub struct PublicCols {
        /// Time at which the shard ends; bound by the execution bus.
        end_ts: T,
    }
}

/// log2 of the public chip's height.
pub const PUBLIC_LOG_ROWS: usize = 4;
/// Number of public values: see [`crate::shard::ShardStatement`].
pub const NUM_PUBLIC: usize = 35;

/// First row: starts and ends the execution, opens the memory tree, takes the commitment. Other rows do nothing.
#[derive(Clone, Copy, Debug)]
pub struct PublicChip;

impl BaseAir<F> for PublicChip {
    fn width(&self) -> usize {
        <PublicCols<F> as Columns<F>>::WIDTH
    }
    fn preprocessed_trace(&self) -> Option<RowMajorMatrix<F>> {
        let mut cells = vec![F::ZERO; 1 << PUBLIC_LOG_ROWS];
        cells[0] = F::ONE;
        Some(RowMajorMatrix::new(cells, 1))
    }
    fn preprocessed_width(&self) -> usize {
        1
    }
    fn num_public_values(&self) -> usize {
        NUM_PUBLIC
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
    fn preprocessed_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for PublicChip {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let c: &PublicCols<AB::Var> = Columns::of(main.current_slice());
        // A preprocessed column, because the row selectors of the proof system are not normalised to one.
        let first: AB::Expr = b.preprocessed().current_slice()[0].into();
        let public: Vec<AB::Expr> = b.public_values().iter().map(|&x| x.into()).collect();
        let once = || Count::bounded(first.clone(), 1);
        EXEC.send(b, [public[0].clone(), k::<AB>(TS_STEP)], once());
        EXEC.receive(b, [public[1].clone(), c.end_ts.into()], once());
        let roots = public[2..18].iter().cloned();
        MERKLE.send(b, [k::<AB>(TREE_DEPTH), AB::Expr::ZERO].into_iter().chain(roots), once());
        // public[18] is 0 or 1: the verifier checks it.
        PUBLIC.receive(
            b,
            public[19..35].iter().cloned(),
            Count::bounded(first.clone() * public[18].clone(), 1),
        );
    }
}
