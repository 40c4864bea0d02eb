//! The fraction columns and the accumulator of a chip's messages.

use super::fold::{Buffers, Terms, fraction, invert_all};
use super::plan::Plan;
use super::{LANES, PackedEF, coordinates};
use crate::bus::{EF, F};
use crate::check::Instance;
use p3_field::{BasedVectorSpace, PackedValue, PrimeCharacteristicRing};
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use rayon::prelude::*;

/// Denominators inverted together, at least.
const BATCH: usize = 64;

#[derive(Default)]
struct Scratch {
    row: Buffers,
    numerators: Vec<PackedEF>,
    denominators: Vec<PackedEF>,
    prefix: Vec<PackedEF>,
}

/// The accumulator, then a fraction a column, as base field cells; and the sum of everything.
pub fn generate(instance: &Instance, plan: &Plan, terms: &Terms) -> (RowMajorMatrix<F>, EF) {
    let height = instance.trace.height();
    let width = 4 * (plan.columns.len() + 1);
    let mut cells = F::zero_vec(height * width);
    let groups = BATCH.div_ceil(plan.columns.len());
    cells.par_chunks_mut(groups * LANES * width).enumerate().for_each_init(
        Scratch::default,
        |scratch, (block, rows)| {
            let start = block * groups * LANES;
            scratch.numerators.clear();
            scratch.denominators.clear();
            for at in (start..start + rows.len() / width).step_by(LANES) {
                let Scratch { row, numerators, denominators, .. } = scratch;
                let tables = (&instance.trace, instance.preprocessed.as_ref());
                row.evaluate(instance, terms, tables, at, |folder| {
                    for members in &plan.columns {
                        let (n, d) = fraction(members, &folder.messages);
                        numerators.push(n);
                        denominators.push(d);
                    }
                });
            }
            invert_all(&mut scratch.denominators, &mut scratch.prefix);
            let fractions: Vec<PackedEF> = scratch
                .numerators
                .iter()
                .zip(&scratch.denominators)
                .map(|(&n, &d)| n * d)
                .collect();
            let groups = fractions.chunks_exact(plan.columns.len());
            for (fractions, rows) in groups.zip(rows.chunks_exact_mut(LANES * width)) {
                write_group(fractions, rows, width);
            }
        },
    );
    let terminal = accumulate(&mut cells, width);
    (RowMajorMatrix::new(cells, width), terminal)
}

/// Writes the fractions of a group of rows, their sum in place of the accumulator.
fn write_group(fractions: &[PackedEF], rows: &mut [F], width: usize) {
    let total: PackedEF = fractions.iter().copied().sum();
    for (column, x) in core::iter::once(&total).chain(fractions).enumerate() {
        for (k, lanes) in coordinates(x).iter().enumerate() {
            for (lane, &cell) in lanes.as_slice().iter().enumerate() {
                rows[lane * width + 4 * column + k] = cell;
            }
        }
    }
}

/// Turns the rows' totals into the sum of all rows before, and gives the sum of all.
fn accumulate(cells: &mut [F], width: usize) -> EF {
    let read = |row: &[F]| EF::from_basis_coefficients_fn(|k| row[k]);
    let part = width * (cells.len() / width).div_ceil(rayon::current_num_threads());
    let totals: Vec<EF> =
        cells.par_chunks(part).map(|rows| rows.chunks_exact(width).map(read).sum()).collect();
    let mut sum = EF::ZERO;
    let starts: Vec<EF> = totals
        .iter()
        .map(|&total| {
            let before = sum;
            sum += total;
            before
        })
        .collect();
    cells.par_chunks_mut(part).zip(starts).for_each(|(rows, mut sum)| {
        for row in rows.chunks_exact_mut(width) {
            let total = read(row);
            row[..4].copy_from_slice(sum.as_basis_coefficients_slice());
            sum += total;
        }
    });
    sum
}
