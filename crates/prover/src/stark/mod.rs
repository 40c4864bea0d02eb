//! The prover of one shard: the same protocol as Plonky3's batch-STARK prover, whose verifier checks the proofs, with the loops over rows written for these chips.
//!
//! What is different from upstream's prover, and why: messages are evaluated by the chips' own code on packed rows where upstream interprets symbolic expressions and lifts
//! every field of a message to the extension; rows of committed matrices are visited in the order in which they are stored; what does not depend on the shard
//! ([`plan`]) is computed once a process.

mod fold;
mod logup;
mod open;
mod plan;
mod quotient;

pub use plan::{Plan, plan};

use crate::bus::{EF, F};
use crate::check::Instance;
use crate::chips::Chip;
use crate::config::{Commitment, FriPcs, InnerProof, Params, challenger, pcs, val_mmcs};
use crate::shard::ProveError;
use fold::Terms;
use open::{Round, open};
use p3_air::BaseAir;
use p3_batch_stark::proof::OpenedValuesWithLookups;
use p3_batch_stark::{BatchCommitments, BatchOpenedValues, BatchProverTranscript, BatchShape};
use p3_commit::{Mmcs, Pcs, PolynomialSpace, UnivariateStarkPcs};
use p3_field::{ExtensionField, Field};
use p3_lookup::{LogUpGadget, Lookup, LookupTerminal};
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_uni_stark::{OpenedValues, PreprocessedOpenedValues};
use rayon::prelude::*;

/// Packed base field elements: a lane a row.
pub(crate) type PackedF = <F as Field>::Packing;
/// Packed extension field elements.
pub(crate) type PackedEF = <EF as ExtensionField<F>>::ExtensionPacking;
/// Rows of a packed element.
pub(crate) const LANES: usize = <PackedF as p3_field::PackedValue>::WIDTH;

/// The coefficients of packed extension elements.
fn coordinates(x: &PackedEF) -> [PackedF; 4] {
    core::array::from_fn(|k| {
        <PackedEF as p3_field::BasedVectorSpace<PackedF>>::as_basis_coefficients_slice(x)[k]
    })
}

/// What a commitment keeps for its openings.
pub type CommittedData = <FriPcs as Pcs<EF, crate::config::Challenger>>::ProverData;
type Space = <FriPcs as Pcs<EF, crate::config::Challenger>>::Domain;

fn natural(pcs: &FriPcs, height: usize) -> Space {
    <FriPcs as Pcs<EF, crate::config::Challenger>>::natural_domain_for_degree(pcs, height)
}

fn commit(
    pcs: &FriPcs,
    matrices: Vec<(Space, RowMajorMatrix<F>)>,
) -> Result<(Commitment, CommittedData), ProveError> {
    <FriPcs as Pcs<EF, crate::config::Challenger>>::commit(pcs, matrices)
        .map_err(|e| ProveError::Stark(format!("{e:?}")))
}

/// Commits to matrices of a program's tables.
///
/// # Errors
/// When the commitment scheme refuses.
pub fn commit_tables(
    params: &Params,
    tables: Vec<RowMajorMatrix<F>>,
) -> Result<(Commitment, CommittedData), ProveError> {
    let pcs = pcs(params);
    let tables = tables.into_iter().map(|t| (natural(&pcs, t.height()), t)).collect::<Vec<_>>();
    <FriPcs as UnivariateStarkPcs<EF, crate::config::Challenger>>::commit_preprocessing(
        &pcs, tables,
    )
    .map_err(|e| ProveError::Stark(format!("{e:?}")))
}

/// Opens one matrix of a round at the points of a chip.
type Opened = Vec<Vec<EF>>;

/// Proves the instances. `tables` is the commitment to the table content of those instances that have any, in order.
///
/// # Errors
/// When the lookups' counts could wrap, or the commitment scheme refuses.
pub fn prove(
    params: &Params,
    seed: &[F],
    instances: Vec<Instance>,
    tables: (&Commitment, &CommittedData),
) -> Result<InnerProof, ProveError> {
    let pcs = pcs(params);
    let plans: Vec<&Plan> = instances.iter().map(|i| plan(&i.chip)).collect();
    check_counts(&instances, &plans)?;
    let log_heights: Vec<usize> =
        instances.iter().map(|i| p3_util::log2_strict_usize(i.trace.height())).collect();
    let mut sponge = challenger(seed);
    let mut transcript = BatchProverTranscript::new(&mut sponge, shape(params, &instances));
    transcript.instance_bindings(&log_heights);

    // Main traces.
    let inputs =
        instances.iter().map(|i| (natural(&pcs, i.trace.height()), i.trace.clone())).collect();
    let (main, main_data) = commit(&pcs, inputs).inspect_err(|_| transcript.abort())?;
    let public: Vec<&[F]> = instances.iter().map(|i| i.public_values.as_slice()).collect();
    transcript.main_phase(main.clone(), &public);
    transcript.preprocessed_phase(Some(tables.0.clone()));

    // Lookups.
    let all_lookups: Vec<&[Lookup<F>]> = plans.iter().map(|p| &*p.lookups as &[_]).collect();
    let (challenges, lookup_pow_witness) =
        transcript.lookup_phase(&all_lookups, &LogUpGadget::new());
    let terms: Vec<Terms> = plans.iter().zip(&challenges).map(|(p, c)| Terms::new(p, c)).collect();
    let made: Vec<(RowMajorMatrix<F>, EF)> = instances
        .par_iter()
        .zip(plans.par_iter().zip(&terms))
        .map(|(instance, (plan, terms))| logup::generate(instance, plan, terms))
        .collect();
    let mut rows: Vec<Instance> = instances;
    // The traces are committed; only chips and public values are needed from here on.
    rows.iter_mut().for_each(|i| i.trace = RowMajorMatrix::new(Vec::new(), 1));
    let (fractions, terminals): (Vec<_>, Vec<EF>) = made.into_iter().unzip();
    let inputs = fractions.into_iter().map(|m| (natural(&pcs, m.height()), m)).collect();
    let (permutation, permutation_data) =
        commit(&pcs, inputs).inspect_err(|_| transcript.abort())?;
    let alpha: EF = transcript.permutation_phase(Some(permutation.clone()), &terminals);

    // Quotients.
    let mmcs = val_mmcs();
    let (main_ldes, permutation_ldes, table_ldes) = (
        mmcs.get_matrices(&main_data),
        mmcs.get_matrices(&permutation_data),
        mmcs.get_matrices(tables.1),
    );
    let table_index = table_indices(&rows);
    let chunks: Vec<Vec<RowMajorMatrix<F>>> = (0..rows.len())
        .into_par_iter()
        .map(|i| {
            quotient::chunks(&quotient::Input {
                instance: &rows[i],
                plan: plans[i],
                terms: &terms[i],
                log_height: log_heights[i],
                main: main_ldes[i],
                fractions: permutation_ldes[i],
                table: table_index[i].map(|k| table_ldes[k]),
                terminal: terminals[i],
                alpha,
            })
        })
        .collect();
    let counts: Vec<usize> = chunks.iter().map(Vec::len).collect();
    let (quotient, quotient_data) =
        <FriPcs as UnivariateStarkPcs<EF, crate::config::Challenger>>::commit_ldes(
            &pcs,
            chunks.into_iter().flatten().collect(),
        )
        .map_err(|e| ProveError::Stark(format!("{e:?}")))
        .inspect_err(|_| transcript.abort())?;
    transcript.quotient_phase(quotient.clone(), None);

    // Openings.
    let (zeta, ood_pow_witness) = transcript.ood_phase();
    let next = |log_height: usize| {
        natural(&pcs, 1 << log_height).next_point(zeta).expect("two-adic domains have a next point")
    };
    let rounds = [
        Round { data: &main_data, points: vec![vec![zeta]; rows.len()] },
        Round { data: &quotient_data, points: vec![vec![zeta]; counts.iter().sum()] },
        Round { data: tables.1, points: vec![vec![zeta]; table_ldes.len()] },
        Round {
            data: &permutation_data,
            points: log_heights.iter().map(|&h| vec![zeta, next(h)]).collect(),
        },
    ];
    let opened = transcript.delegate(|sponge| open(params, &rounds, sponge));
    let (opened, opening_proof) = opened.inspect_err(|_| transcript.abort())?;
    transcript.finish();
    Ok(InnerProof {
        commitments: BatchCommitments {
            main,
            permutation: Some(permutation),
            quotient_chunks: quotient,
            random: None,
        },
        opened_values: BatchOpenedValues { instances: assemble(opened, &counts, &table_index) },
        opening_proof,
        lookup_terminals: terminals.into_iter().map(|t| Some(LookupTerminal(t))).collect(),
        degree_bits: log_heights,
        lookup_pow_witness,
        ood_pow_witness,
    })
}

/// Multiplicities of tables cannot wrap modulo p.
fn check_counts(instances: &[Instance], plans: &[&Plan]) -> Result<(), ProveError> {
    let lookups: Vec<_> = plans.iter().map(|p| p.lookups.clone()).collect();
    let heights: Vec<usize> = instances.iter().map(|i| i.trace.height()).collect();
    p3_lookup::check_multiplicity_height_bound(&lookups, &heights)
        .map_err(|e| ProveError::Stark(e.to_string()))
}

fn shape(params: &Params, instances: &[Instance]) -> BatchShape {
    let chips = || instances.iter().map(|i| &i.chip);
    BatchShape {
        trace_widths: chips().map(BaseAir::<F>::width).collect(),
        public_value_counts: instances.iter().map(|i| i.public_values.len()).collect(),
        preprocessed_widths: chips().map(BaseAir::<F>::preprocessed_width).collect(),
        has_preprocessed_commitment: true,
        num_lookup_instances: instances.len(),
        lookup_pow_bits: params.lookup_pow,
        has_randomization_commitment: false,
        ood_pow_bits: params.ood_pow,
    }
}

/// Which matrix of the tables' commitment belongs to each instance.
fn table_indices(instances: &[Instance]) -> Vec<Option<usize>> {
    let has = |chip: &Chip| BaseAir::<F>::preprocessed_width(chip) > 0;
    let mut next = 0..;
    instances.iter().map(|i| if has(&i.chip) { next.next() } else { None }).collect()
}

/// The opened values by instance.
fn assemble(
    opened: Vec<Vec<Opened>>,
    chunks: &[usize],
    tables: &[Option<usize>],
) -> Vec<OpenedValuesWithLookups<EF>> {
    let first = |points: &Opened| points.first().cloned().unwrap_or_default();
    let mut quotients = opened[1].iter();
    (0..chunks.len())
        .map(|i| OpenedValuesWithLookups {
            base_opened_values: OpenedValues {
                trace_local: first(&opened[0][i]),
                trace_next: None,
                preprocessed: tables[i]
                    .map(|k| PreprocessedOpenedValues { local: first(&opened[2][k]), next: None }),
                quotient_chunks: quotients.by_ref().take(chunks[i]).map(first).collect(),
                random: None,
            },
            permutation_local: opened[3][i][0].clone(),
            permutation_next: opened[3][i][1].clone(),
        })
        .collect()
}
