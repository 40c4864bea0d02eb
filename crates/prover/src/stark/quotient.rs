//! Quotient polynomials: all constraints of a chip folded and divided by the vanishing polynomial.
//!
//! Committed matrices hold the rows of the coset `g <w>` of twice the trace's height in bit-reversed order: the first half is the coset `g K` of the trace's subgroup
//! `K`, the second half `g w K`, each bit-reversed again. The two chunks of a quotient are its values on these halves, so each chunk's
//! extension has one half already, and only the other half needs a transform.

use super::fold::{Buffers, Terms, fraction};
use super::plan::Plan;
use super::{LANES, PackedEF, PackedF, coordinates};
use crate::bus::{EF, F};
use crate::check::Instance;
use crate::config::Dft;
use p3_dft::TwoAdicSubgroupDft;
use p3_field::coset::TwoAdicMultiplicativeCoset;
use p3_field::{
    Algebra, BasedVectorSpace, Field, PackedValue, PrimeCharacteristicRing, TwoAdicField,
    batch_multiplicative_inverse,
};
use p3_matrix::Matrix;
use p3_matrix::bitrev::BitReversibleMatrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_util::{reverse_bits_len, reverse_slice_index_bits};
use rayon::prelude::*;

/// What the quotient of one chip is made from.
pub struct Input<'a> {
    pub instance: &'a Instance,
    pub plan: &'a Plan,
    pub terms: &'a Terms,
    pub log_height: usize,
    /// Committed main trace.
    pub main: &'a RowMajorMatrix<F>,
    /// Committed fractions.
    pub fractions: &'a RowMajorMatrix<F>,
    /// Committed table content.
    pub table: Option<&'a RowMajorMatrix<F>>,
    pub terminal: EF,
    pub alpha: EF,
}

/// Selectors at every point, in the order of the committed rows.
struct Selectors {
    first: Vec<F>,
    last: Vec<F>,
    transition: Vec<F>,
    /// By half.
    inverse_vanishing: Vec<F>,
}

impl Selectors {
    fn new(log_height: usize, log_size: usize) -> Self {
        let mut points: Vec<F> = TwoAdicMultiplicativeCoset::new(F::GENERATOR, log_size)
            .map(|coset| coset.iter().collect())
            .unwrap_or_default();
        reverse_slice_index_bits(&mut points);
        let halves = 1 << (log_size - log_height);
        // x^n is the same on all of a half.
        let vanishing: Vec<F> = (0..halves)
            .map(|h| points[h << log_height].exp_power_of_2(log_height) - F::ONE)
            .collect();
        let last = F::two_adic_generator(log_height).inverse();
        let at = |point: F| -> Vec<F> {
            let mut inverses = batch_multiplicative_inverse(
                &points.iter().map(|&x| x - point).collect::<Vec<_>>(),
            );
            for (part, &vanishing) in inverses.chunks_exact_mut(1 << log_height).zip(&vanishing) {
                part.iter_mut().for_each(|x| *x *= vanishing);
            }
            inverses
        };
        Self {
            first: at(F::ONE),
            last: at(last),
            transition: points.iter().map(|&x| x - last).collect(),
            inverse_vanishing: batch_multiplicative_inverse(&vanishing),
        }
    }
}

/// The chunks' extensions, ready to be committed.
pub fn chunks(input: &Input<'_>) -> Vec<RowMajorMatrix<F>> {
    let values = values(input);
    if input.plan.log_chunks == 0 {
        vec![whole(values, input.log_height)]
    } else {
        halves(values, input.log_height).into()
    }
}

/// The quotient's values in the order of the committed rows, four cells a point.
fn values(input: &Input<'_>) -> Vec<F> {
    let Input { plan, fractions, .. } = input;
    assert!(plan.log_chunks <= 1, "constraints of degree three at most have two chunks");
    let log_size = input.log_height + plan.log_chunks;
    let selectors = Selectors::new(input.log_height, log_size);
    let (base_powers, extension_powers) = plan.layout.decompose_alpha::<F, EF>(input.alpha);
    let terminal = PackedEF::from(input.terminal);
    let mut values = F::zero_vec(4 << log_size);
    values.par_chunks_mut(4 * LANES).enumerate().for_each_init(
        || (Buffers::default(), Vec::new()),
        |(row, extension): &mut (Buffers, Vec<PackedEF>), (group, out)| {
            let at = group * LANES;
            let cell = |lane: usize, c: usize| fractions.values[(at + lane) * fractions.width + c];
            let column = |c: usize| {
                PackedEF::from_basis_coefficients_fn(|k| {
                    PackedF::from_fn(|lane| cell(lane, 4 * c + k))
                })
            };
            // The row after, in the order of the trace.
            let step = 1 << plan.log_chunks;
            let next: [usize; LANES] = core::array::from_fn(|lane| {
                let i = reverse_bits_len(at + lane, log_size);
                reverse_bits_len((i + step) % (1 << log_size), log_size)
            });
            let sum_next = PackedEF::from_basis_coefficients_fn(|k| {
                PackedF::from_fn(|lane| fractions.values[next[lane] * fractions.width + k])
            });
            let folded = row.evaluate(
                input.instance,
                input.terms,
                (input.main, input.table),
                at,
                |folder| {
                    extension.clear();
                    let mut total = PackedEF::ZERO;
                    for (c, members) in plan.columns.iter().enumerate() {
                        let (n, d) = fraction(members, &folder.messages);
                        let f = column(1 + c);
                        total += f;
                        extension.push(d * f - n);
                    }
                    let select = |of: &[F]| *PackedF::from_slice(&of[at..at + LANES]);
                    let sum = column(0);
                    extension.push(sum * select(&selectors.first));
                    extension.push((sum_next - sum - total) * select(&selectors.transition));
                    extension.push((terminal - sum - total) * select(&selectors.last));
                    let base = PackedEF::from_basis_coefficients_fn(|k| {
                        <PackedF as Algebra<F>>::batched_linear_combination(
                            &folder.constraints,
                            &base_powers[k],
                        )
                    });
                    base + <PackedEF as Algebra<EF>>::batched_linear_combination(
                        extension,
                        &extension_powers,
                    )
                },
            );
            let quotient =
                folded * PackedF::from(selectors.inverse_vanishing[at >> input.log_height]);
            for (k, lanes) in coordinates(&quotient).iter().enumerate() {
                for (lane, &value) in lanes.as_slice().iter().enumerate() {
                    out[4 * lane + k] = value;
                }
            }
        },
    );
    values
}

/// The extension of a quotient of one chunk from its values on `g K`.
fn whole(values: Vec<F>, log_height: usize) -> RowMajorMatrix<F> {
    let natural = RowMajorMatrix::new(values, 4).bit_reverse_rows().to_row_major_matrix();
    debug_assert_eq!(natural.height(), 1 << log_height);
    // Values on g K extended to g <w>: the shift from the one coset to the other is one.
    Dft::default().coset_lde_batch(natural, 1, F::ONE).bit_reverse_rows().to_row_major_matrix()
}

/// The extensions of two chunks from their values on `g K` and on `g w K`.
fn halves(values: Vec<F>, log_height: usize) -> [RowMajorMatrix<F>; 2] {
    let height = 1usize << log_height;
    let (low, high) = values.split_at(4 * height);
    // Both chunks side by side, in natural order.
    let mut both = F::zero_vec(8 * height);
    both.par_chunks_mut(8).enumerate().with_min_len(1 << 10).for_each(|(i, row)| {
        let at = 4 * reverse_bits_len(i, log_height);
        row[..4].copy_from_slice(&low[at..at + 4]);
        row[4..].copy_from_slice(&high[at..at + 4]);
    });
    let dft = Dft::default();
    let mut coefficients = dft.idft_batch(RowMajorMatrix::new(both, 8));
    // Over K: chunk 0 is q0(g x), wanted at g w x; chunk 1 is q1(g w x), wanted at g x.
    let w = F::two_adic_generator(log_height + 1);
    let part = height.div_ceil(rayon::current_num_threads()).max(1 << 10);
    coefficients.values.par_chunks_mut(8 * part).enumerate().for_each(|(i, rows)| {
        let start = (i * part) as u64;
        let inverse = w.inverse();
        let (mut up, mut down) = (w.exp_u64(start), inverse.exp_u64(start));
        for row in rows.chunks_exact_mut(8) {
            row[..4].iter_mut().for_each(|x| *x *= up);
            row[4..].iter_mut().for_each(|x| *x *= down);
            up *= w;
            down *= inverse;
        }
    });
    let other = dft.dft_batch(coefficients).bit_reverse_rows().to_row_major_matrix().values;
    let mut chunks = [F::zero_vec(8 * height), F::zero_vec(8 * height)];
    chunks[0][..4 * height].copy_from_slice(low);
    chunks[1][4 * height..].copy_from_slice(high);
    for (i, row) in other.chunks_exact(8).enumerate() {
        chunks[0][4 * (height + i)..][..4].copy_from_slice(&row[..4]);
        chunks[1][4 * i..][..4].copy_from_slice(&row[4..]);
    }
    chunks.map(|cells| RowMajorMatrix::new(cells, 4))
}
