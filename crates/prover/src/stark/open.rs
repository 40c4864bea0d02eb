//! Opening the commitments at the out-of-domain points: what [`p3_fri::TwoAdicFriPcs`] does, over packed rows.

use super::fold::{coefficients, gather, invert_all};
use super::{CommittedData, LANES, PackedEF, PackedF};
use crate::bus::{EF, F};
use crate::config::{Challenger, Params, ValMmcs, fri_params, val_mmcs};
use crate::shard::ProveError;
use p3_commit::{Mmcs, OpenedValues, OpeningRequest};
use p3_field::coset::TwoAdicMultiplicativeCoset;
use p3_field::{
    Algebra, BasedVectorSpace, Field, FieldArray, PackedFieldExtension, PackedValue,
    PrimeCharacteristicRing, dot_product,
};
use p3_fri::{PcsProverTranscript, PcsShape, TwoAdicFriFolding, TwoAdicFriFoldingForMmcs};
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_util::{log2_strict_usize, reverse_slice_index_bits};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::marker::PhantomData;

/// A commitment and the points at which each of its matrices is opened.
pub struct Round<'a> {
    pub data: &'a CommittedData,
    pub points: Vec<Vec<EF>>,
}

/// The points of the largest coset in the order of committed rows, and `1 / (z - x)` for each opening point.
struct Denominators {
    points: Vec<F>,
    inverses: Vec<(EF, Vec<PackedEF>)>,
}

impl Denominators {
    fn new(mats: &[(Vec<&RowMajorMatrix<F>>, &Round<'_>)]) -> Self {
        let mut heights: Vec<(EF, usize)> = Vec::new();
        for (mats, round) in mats {
            for (mat, points) in mats.iter().zip(&round.points) {
                for &point in points {
                    match heights.iter_mut().find(|(p, _)| *p == point) {
                        Some((_, height)) => *height = (*height).max(mat.height()),
                        None => heights.push((point, mat.height())),
                    }
                }
            }
        }
        let largest = heights.iter().map(|(_, h)| *h).max().unwrap_or(1);
        let mut points: Vec<F> =
            TwoAdicMultiplicativeCoset::new(F::GENERATOR, log2_strict_usize(largest))
                .map(|coset| coset.iter().collect())
                .unwrap_or_default();
        reverse_slice_index_bits(&mut points);
        let inverses = heights
            .into_iter()
            .map(|(z, height)| {
                let mut values: Vec<PackedEF> = points[..height]
                    .par_chunks_exact(LANES)
                    .map(|x| PackedEF::from(z) - *PackedF::from_slice(x))
                    .collect();
                values.par_chunks_mut(1 << 10).for_each_init(Vec::new, |scratch, part| {
                    invert_all(part, scratch);
                });
                (z, values)
            })
            .collect();
        Self { points, inverses }
    }

    fn at(&self, z: EF) -> &[PackedEF] {
        self.inverses.iter().find(|(point, _)| *point == z).map_or(&[], |(_, v)| v)
    }

    /// `x / (z - x)` for the first `height` points.
    fn weights(&self, z: EF, height: usize) -> Vec<EF> {
        self.at(z)[..height / LANES]
            .iter()
            .zip(self.points.chunks_exact(LANES))
            .flat_map(|(inverse, x)| {
                let weight = *inverse * *PackedF::from_slice(x);
                (0..LANES).map(move |lane| weight.extract(lane))
            })
            .collect()
    }
}

/// `((z / g)^n - 1) / n`, what weighted sums over the coset `g K` with `n` points are multiplied by.
fn scale(z: EF, log_height: usize) -> EF {
    let n = F::from_usize(1 << log_height);
    ((z * F::GENERATOR.inverse()).exp_power_of_2(log_height) - EF::ONE) * n.inverse()
}

/// The values of a matrix's columns at its points.
fn evaluate(
    mat: &RowMajorMatrix<F>,
    points: &[EF],
    weights: &BTreeMap<usize, Vec<EF>>,
    index: impl Fn(EF) -> usize,
    log_blowup: usize,
) -> Vec<Vec<EF>> {
    let height = mat.height() >> log_blowup;
    let (low, _) = mat.split_rows(height);
    let of = |z: EF| &weights[&index(z)][..height];
    let finish = |z: EF, sums: Vec<EF>| -> Vec<EF> {
        let factor = scale(z, log2_strict_usize(height));
        sums.into_iter().map(|x| x * factor).collect()
    };
    if let &[z, next] = points {
        let pairs: Vec<FieldArray<EF, 2>> =
            of(z).iter().zip(of(next)).map(|(&a, &b)| FieldArray([a, b])).collect();
        let sums = low.columnwise_dot_product_batched::<EF, 2>(&pairs);
        let (a, b) = sums.into_iter().map(|FieldArray([a, b])| (a, b)).unzip();
        return vec![finish(z, a), finish(next, b)];
    }
    points.iter().map(|&z| finish(z, low.columnwise_dot_product(of(z)))).collect()
}

/// A matrix in the combination of all matrices of its height.
struct Part<'a> {
    mat: &'a RowMajorMatrix<F>,
    /// Coefficients of the weight of each column at the first point.
    weights: [Vec<F>; 4],
    /// What the second point's weights are more.
    rescale: Option<EF>,
}

/// The combination of all matrices of one height.
#[derive(Default)]
struct Combination<'a> {
    parts: Vec<Part<'a>>,
    /// Columns and points so far.
    count: u64,
    /// The first and the second opening point, and the weighted opened values there.
    claims: [Option<(EF, EF)>; 2],
}

impl<'a> Combination<'a> {
    fn add(&mut self, mat: &'a RowMajorMatrix<F>, points: &[EF], opened: &[Vec<EF>], alpha: EF) {
        let offset = alpha.exp_u64(self.count);
        let powers: Vec<EF> =
            alpha.powers().take(mat.width()).map(|power| power * offset).collect();
        let rescale = alpha.exp_u64(mat.width() as u64);
        let mut factor = EF::ONE;
        for ((claim, &point), values) in self.claims.iter_mut().zip(points).zip(opened) {
            let value: EF = dot_product(powers.iter().copied(), values.iter().copied());
            let claim = claim.get_or_insert((point, EF::ZERO));
            assert_eq!(claim.0, point, "matrices of one height are opened at the same points");
            claim.1 += factor * value;
            factor *= rescale;
        }
        let split: Vec<[F; 4]> = powers.into_iter().map(coefficients).collect();
        let weights = core::array::from_fn(|k| split.iter().map(|c| c[k]).collect());
        self.parts.push(Part { mat, weights, rescale: (points.len() > 1).then_some(rescale) });
        self.count += (mat.width() * points.len()) as u64;
    }

    /// `sum (claimed - evaluated) / (z - x)` for every row.
    fn reduce(&self, denominators: &Denominators, height: usize) -> Vec<EF> {
        let inverses = self.claims.map(|c| c.map(|(z, _)| denominators.at(z)));
        let mut out = EF::zero_vec(height);
        out.par_chunks_mut(LANES).enumerate().for_each_init(Vec::new, |row, (group, out)| {
            let mut sums =
                self.claims.map(|c| PackedEF::from(c.map_or(EF::ZERO, |(_, value)| value)));
            for part in &self.parts {
                gather(&part.mat.values, part.mat.width, group * LANES, row);
                let sum = PackedEF::from_basis_coefficients_fn(|k| {
                    <PackedF as Algebra<F>>::batched_linear_combination(row, &part.weights[k])
                });
                sums[0] -= sum;
                if let Some(rescale) = part.rescale {
                    sums[1] -= sum * rescale;
                }
            }
            let mut total = PackedEF::ZERO;
            for (sum, inverse) in sums.into_iter().zip(inverses) {
                if let Some(inverse) = inverse {
                    total += sum * inverse[group];
                }
            }
            total.to_ext_slice(out);
        });
        out
    }
}

/// Opens every matrix at its points: the opened values, and the proof that they are right.
///
/// # Errors
/// When the commitment scheme refuses.
#[allow(clippy::type_complexity)]
pub fn open(
    params: &Params,
    rounds: &[Round<'_>],
    challenger: &mut Challenger,
) -> Result<(OpenedValues<EF>, p3_batch_stark::config::PcsProof<crate::config::Config>), ProveError>
{
    let mmcs = val_mmcs();
    let fri = fri_params(params);
    let mats: Vec<(Vec<&RowMajorMatrix<F>>, &Round<'_>)> =
        rounds.iter().map(|round| (mmcs.get_matrices(round.data), round)).collect();
    let denominators = Denominators::new(&mats);
    let position = |z: EF| denominators.inverses.iter().position(|(p, _)| *p == z).unwrap_or(0);
    let weights: BTreeMap<usize, Vec<EF>> = denominators
        .inverses
        .par_iter()
        .enumerate()
        .map(|(i, (z, v))| (i, denominators.weights(*z, (v.len() * LANES) >> params.log_blowup)))
        .collect();
    let opened: OpenedValues<EF> = mats
        .iter()
        .map(|(mats, round)| {
            mats.iter()
                .zip(&round.points)
                .map(|(mat, points)| evaluate(mat, points, &weights, position, params.log_blowup))
                .collect()
        })
        .collect();
    drop(weights);

    let mut transcript = PcsProverTranscript::<Challenger, F, EF>::new(
        challenger,
        PcsShape::from_opened_values(&fri, &opened),
    );
    transcript.claimed_openings(&opened);
    let (alpha, batch_pow_witness) = transcript.batch_phase();
    let mut combinations: BTreeMap<usize, Combination<'_>> = BTreeMap::new();
    for ((mats, round), opened) in mats.iter().zip(&opened) {
        for ((mat, points), opened) in mats.iter().zip(&round.points).zip(opened) {
            combinations.entry(mat.height()).or_default().add(mat, points, opened, alpha);
        }
    }
    let inputs: Vec<Vec<EF>> = combinations
        .iter()
        .rev()
        .map(|(&height, combination)| combination.reduce(&denominators, height))
        .collect();
    let largest = denominators.points.len();
    drop((combinations, denominators));
    let requests: Vec<_> = rounds
        .iter()
        .map(|r| OpeningRequest { prover_data: r.data, points: r.points.clone() })
        .collect();
    let folding: TwoAdicFriFoldingForMmcs<F, ValMmcs> = TwoAdicFriFolding(PhantomData);
    let proof = transcript.delegate(|challenger| {
        p3_fri::prover::prove_fri(
            &folding,
            &fri,
            inputs,
            challenger,
            log2_strict_usize(largest),
            &requests,
            &mmcs,
            batch_pow_witness.unwrap_or(F::ZERO),
        )
    });
    match proof {
        Ok(proof) => {
            transcript.finish();
            Ok((opened, proof))
        }
        Err(e) => {
            transcript.abort();
            Err(ProveError::Stark(format!("{e:?}")))
        }
    }
}
