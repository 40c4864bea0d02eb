//! A proof as the private inputs of the circuit that verifies it.
//!
//! The circuit folds every query itself; what a proof leaves out because a verifier can compute it (pruned Merkle paths, the queried value of each folding round) is computed here by the
//! functions of the native verifier.

use super::shape::{Matrix, Shape, Tree, domain};
use cairn_prover::bus::{EF, F};
use cairn_prover::config::{ChallengeMmcs, Challenger, Commitment, InnerProof, ValMmcs};
use cairn_prover::memory::{Digest, permutation};
use p3_batch_stark::BatchVerifierTranscript;
use p3_challenger::CanObserve;
use p3_commit::{CommitmentWithOpeningPoints, MatrixOpening, PointOpening};
use p3_field::coset::TwoAdicMultiplicativeCoset;
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing};
use p3_fri::verifier::{fold_query, open_inputs};
use p3_fri::{
    BatchMultiOpening, FriShape, PcsVerifierTranscript, TwoAdicFriFolding, VerifierTranscript,
};
use p3_lookup::LogUpGadget;
use p3_matrix::Dimensions;
use p3_merkle_tree::PrunedMerklePaths;
use p3_symmetric::{PaddingFreeSponge, TruncatedPermutation};
use rayon::prelude::*;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a proof cannot be made inputs of a circuit: the native verifier refuses such a proof, too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proof is not of the circuit's shape: {0}")]
pub struct WitnessError(pub String);

fn refuse(reason: impl core::fmt::Debug) -> WitnessError {
    WitnessError(format!("{reason:?}"))
}

/// The inputs in the circuit's order.
#[derive(Default)]
struct Inputs(Vec<F>);

impl Inputs {
    fn element(&mut self, x: &EF) {
        self.0.extend_from_slice(x.as_basis_coefficients_slice());
    }
    fn elements(&mut self, xs: &[EF]) {
        xs.iter().for_each(|x| self.element(x));
    }
    fn digest(&mut self, digest: &Digest) {
        self.0.extend_from_slice(digest);
    }
    fn work(&mut self, bits: usize, witness: F) {
        if bits > 0 {
            self.0.extend([witness, F::ZERO, F::ZERO, F::ZERO]);
        }
    }
}

type Claims = Vec<CommitmentWithOpeningPoints<EF, Commitment, TwoAdicMultiplicativeCoset<F>>>;

fn root(commitment: &Commitment) -> Result<Digest, WitnessError> {
    match commitment.roots() {
        [root] => Ok(*root),
        _ => Err(refuse("a commitment is one digest")),
    }
}

/// The private inputs by which the circuit of `shape` verifies a proof.
///
/// # Errors
/// When the proof is not of that shape, or is refused on the way. A proof that gets inputs may still be refused by the circuit.
pub fn inputs(
    shape: &Shape,
    seed: &[F],
    public: &[Vec<F>],
    fixed: Option<Digest>,
    proof: &InnerProof,
) -> Result<Vec<F>, WitnessError> {
    check_shape(shape, public, proof)?;
    // Upstream documents that its verifier's functions may panic on malformed proofs.
    catch_unwind(AssertUnwindSafe(|| replay(shape, seed, public, fixed, proof)))
        .map_err(|_| refuse("the verifier cannot process it"))?
}

fn check_shape(shape: &Shape, public: &[Vec<F>], proof: &InnerProof) -> Result<(), WitnessError> {
    let ensure = |condition: bool, what: &str| condition.then_some(()).ok_or_else(|| refuse(what));
    let n = shape.instances.len();
    let openings = &proof.opened_values.instances;
    ensure(openings.len() == n && public.len() == n, "number of instances")?;
    ensure(proof.lookup_terminals.len() == n, "number of terminals")?;
    ensure(
        proof.degree_bits.iter().copied().eq(shape.instances.iter().map(|i| i.log_height)),
        "heights",
    )?;
    ensure(proof.commitments.random.is_none(), "no randomization")?;
    for (((instance, opened), public), terminal) in
        shape.instances.iter().zip(openings).zip(public).zip(&proof.lookup_terminals)
    {
        let base = &opened.base_opened_values;
        let length = |values: &Option<Vec<EF>>| values.as_ref().map(Vec::len);
        ensure(public.len() == instance.num_public, "public values")?;
        ensure(base.random.is_none(), "no randomization")?;
        ensure(base.trace_local.len() == instance.width, "main columns")?;
        ensure(length(&base.trace_next) == instance.next.then_some(instance.width), "next row")?;
        ensure(
            base.preprocessed_local().map(<[EF]>::len)
                == (instance.fixed_width > 0).then_some(instance.fixed_width),
            "preprocessed columns",
        )?;
        ensure(
            base.preprocessed_next().map(<[EF]>::len)
                == (instance.fixed_next && instance.fixed_width > 0)
                    .then_some(instance.fixed_width),
            "preprocessed next row",
        )?;
        ensure(base.quotient_chunks.len() == 1 << instance.log_chunks, "quotient chunks")?;
        ensure(base.quotient_chunks.iter().all(|c| c.len() == 4), "quotient chunk")?;
        let lookup = instance.permutation_width();
        ensure(
            opened.permutation_local.len() == lookup && opened.permutation_next.len() == lookup,
            "lookup columns",
        )?;
        ensure(terminal.is_some() == (lookup > 0), "terminals")?;
    }
    let fri = &proof.opening_proof;
    let schedule = shape.schedule();
    ensure(fri.commit_phase_commits.len() == schedule.len(), "folding rounds")?;
    ensure(fri.commit_phase_openings.len() == schedule.len(), "folding rounds")?;
    ensure(fri.final_poly.len() == 1 << shape.params.log_final_poly_len, "final polynomial")?;
    for (step, arity) in fri.commit_phase_openings.iter().zip(schedule) {
        ensure(step.sibling_values.len() == shape.params.num_queries, "queries")?;
        ensure(step.sibling_values.iter().all(|s| s.len() + 1 == 1 << arity), "siblings")?;
    }
    let p = &shape.params;
    let unused = [
        (p.ood_pow, Some(proof.ood_pow_witness)),
        (p.lookup_pow, proof.lookup_pow_witness),
        (p.batch_pow, Some(fri.batch_pow_witness)),
        (p.query_pow, Some(fri.query_pow_witness)),
    ];
    ensure(
        unused.iter().all(|(bits, w)| *bits > 0 || w.is_none_or(|w| w == F::ZERO)),
        "proof of work without difficulty",
    )?;
    ensure(
        p.commit_pow > 0 || fri.commit_pow_witnesses.iter().all(|w| *w == F::ZERO),
        "proof of work without difficulty",
    )
}

/// What the opening argument claims, as the native verifier hears it.
fn claims(
    shape: &Shape,
    fixed: Option<Digest>,
    proof: &InnerProof,
    zeta: EF,
) -> Result<Claims, WitnessError> {
    let openings = &proof.opened_values.instances;
    let mut claims = Claims::new();
    for (tree, matrices) in shape.trees() {
        let commitment = match tree {
            Tree::Main => proof.commitments.main.clone(),
            Tree::Quotient => proof.commitments.quotient_chunks.clone(),
            Tree::Fixed => vec![fixed.ok_or_else(|| refuse("preprocessed commitment"))?].into(),
            Tree::Permutation => {
                proof.commitments.permutation.clone().ok_or_else(|| refuse("lookup commitment"))?
            }
        };
        let mut opened = Vec::new();
        for matrix in matrices {
            let values = &openings[matrix.instance];
            let base = &values.base_opened_values;
            let domain = domain(matrix.log_height);
            let empty = Vec::new;
            let (local, next) = match tree {
                Tree::Main => (base.trace_local.clone(), base.trace_next.clone()),
                Tree::Quotient => (base.quotient_chunks[matrix.chunk].clone(), None),
                Tree::Fixed => (
                    base.preprocessed_local().map_or_else(empty, <[EF]>::to_vec),
                    base.preprocessed_next().map(<[EF]>::to_vec),
                ),
                Tree::Permutation => {
                    (values.permutation_local.clone(), Some(values.permutation_next.clone()))
                }
            };
            let mut points = vec![PointOpening { point: zeta, values: local }];
            if matrix.next {
                let point = zeta * domain.subgroup_generator();
                points.push(PointOpening { point, values: next.unwrap_or_default() });
            }
            opened.push(MatrixOpening { domain, points });
        }
        claims.push(CommitmentWithOpeningPoints { commitment, matrices: opened });
    }
    Ok(claims)
}

/// The challenges of the opening argument.
struct Drawn {
    alpha: EF,
    betas: Vec<EF>,
    indices: Vec<usize>,
    claims: Claims,
}

/// Runs the native transcript.
fn challenges(
    shape: &Shape,
    seed: &[F],
    public: &[Vec<F>],
    fixed: Option<Digest>,
    proof: &InnerProof,
) -> Result<Drawn, WitnessError> {
    let mut challenger = Challenger::new(permutation().clone());
    challenger.observe_slice(seed);
    let mut transcript = BatchVerifierTranscript::<Challenger, F, EF, Commitment>::new(
        &mut challenger,
        shape.batch_shape(),
    );
    transcript.instance_bindings(&proof.degree_bits);
    transcript.main_phase(proof.commitments.main.clone(), public);
    transcript.preprocessed_phase(fixed.map(|digest| vec![digest].into()));
    let lookups: Vec<_> = shape.instances.iter().map(|i| i.lookups.clone()).collect();
    transcript
        .lookup_phase(&lookups, &LogUpGadget::new(), proof.lookup_pow_witness)
        .map_err(refuse)?;
    let terminals: Vec<EF> = proof.lookup_terminals.iter().flatten().map(|t| t.0).collect();
    let _constraint_challenge =
        transcript.permutation_phase(proof.commitments.permutation.clone(), &terminals);
    transcript.quotient_phase(proof.commitments.quotient_chunks.clone(), None);
    let zeta = transcript.ood_phase(proof.ood_pow_witness).map_err(refuse)?;
    let claims = match claims(shape, fixed, proof, zeta) {
        Ok(claims) => claims,
        Err(e) => {
            transcript.abort();
            return Err(e);
        }
    };
    let drawn = transcript.delegate(|challenger| opening(shape, challenger, claims, proof));
    transcript.finish();
    drawn
}

fn opening(
    shape: &Shape,
    challenger: &mut Challenger,
    claims: Claims,
    proof: &InnerProof,
) -> Result<Drawn, WitnessError> {
    let fri = &proof.opening_proof;
    let mut transcript =
        PcsVerifierTranscript::<Challenger, F, EF>::new(challenger, shape.pcs_shape());
    transcript.claimed_openings(&claims).map_err(refuse)?;
    let alpha = transcript.batch_phase(Some(fri.batch_pow_witness)).map_err(refuse)?;
    let test = transcript.delegate(|challenger| {
        let fri_shape =
            FriShape::with_schedule(&shape.params.fri(()), shape.schedule(), shape.max_height());
        let mut transcript = VerifierTranscript::<Challenger, F, EF>::new(challenger, fri_shape);
        let betas = transcript
            .commit_rounds(&fri.commit_phase_commits, &fri.commit_pow_witnesses)
            .map_err(refuse)?;
        let indices =
            transcript.query_phase(&fri.final_poly, Some(fri.query_pow_witness)).map_err(refuse)?;
        transcript.finish();
        Ok((betas, indices))
    });
    transcript.finish();
    let (betas, indices) = test?;
    Ok(Drawn { alpha, betas, indices, claims })
}

fn mmcs() -> ValMmcs {
    let perm = permutation().clone();
    ValMmcs::new(PaddingFreeSponge::new(perm.clone()), TruncatedPermutation::new(perm), 0)
}

/// The siblings of every query's path.
fn paths(
    dimensions: &[Dimensions],
    indices: &[usize],
    rows: &[Vec<Vec<F>>],
    proof: &PrunedMerklePaths<F, 8>,
) -> Result<Vec<Vec<Digest>>, WitnessError> {
    let paths =
        mmcs().restore_and_recompute_paths(dimensions, indices, rows, proof).map_err(refuse)?;
    Ok(paths.into_iter().map(|path| path.siblings).collect())
}

fn replay(
    shape: &Shape,
    seed: &[F],
    public: &[Vec<F>],
    fixed: Option<Digest>,
    proof: &InnerProof,
) -> Result<Vec<F>, WitnessError> {
    let params = &shape.params;
    let fri = &proof.opening_proof;
    let drawn = challenges(shape, seed, public, fixed, proof)?;

    // The transcript's part.
    let mut inputs = Inputs::default();
    inputs.digest(&root(&proof.commitments.main)?);
    inputs.work(params.lookup_pow, proof.lookup_pow_witness.unwrap_or_default());
    let permutation = proof.commitments.permutation.as_ref();
    inputs.digest(&root(permutation.ok_or_else(|| refuse("lookup commitment"))?)?);
    proof.lookup_terminals.iter().flatten().for_each(|t| inputs.element(&t.0));
    inputs.digest(&root(&proof.commitments.quotient_chunks)?);
    inputs.work(params.ood_pow, proof.ood_pow_witness);
    let values = drawn.claims.iter().flat_map(|c| &c.matrices).flat_map(|m| &m.points);
    values.for_each(|point| inputs.elements(&point.values));
    inputs.work(params.batch_pow, fri.batch_pow_witness);
    for (commitment, &witness) in fri.commit_phase_commits.iter().zip(&fri.commit_pow_witnesses) {
        inputs.digest(&root(commitment)?);
        inputs.work(params.commit_pow, witness);
    }
    inputs.elements(&fri.final_poly);
    inputs.work(params.query_pow, fri.query_pow_witness);

    // The queries' part.
    let top = shape.max_height();
    if fri.input_openings.len() != drawn.claims.len() {
        return Err(refuse("number of trees"));
    }
    let all = shape.trees();
    let restore = |((_, matrices), opening): (&(Tree, Vec<Matrix>), &InputOpening)| {
        let dimensions: Vec<Dimensions> = matrices
            .iter()
            .map(|m| Dimensions { width: m.width, height: 1 << (m.log_height + params.log_blowup) })
            .collect();
        let tallest = matrices.iter().map(|m| m.log_height + params.log_blowup).max().unwrap_or(0);
        let indices: Vec<usize> = drawn.indices.iter().map(|i| i >> (top - tallest)).collect();
        paths(&dimensions, &indices, &opening.opened_values, &opening.opening_proof)
    };
    let (trees, rounds) = rayon::join(
        || -> Result<Vec<_>, _> { all.par_iter().zip(&fri.input_openings).map(restore).collect() },
        || rounds(shape, proof, &drawn),
    );
    let (trees, rounds) = (trees?, rounds?);
    for query in 0..drawn.indices.len() {
        for (((_, matrices), opening), siblings) in
            shape.trees().iter().zip(&fri.input_openings).zip(&trees)
        {
            let mut heights: Vec<usize> = matrices.iter().map(|m| m.log_height).collect();
            heights.sort_unstable_by(|a, b| b.cmp(a));
            heights.dedup();
            heights.rotate_left(1);
            for height in heights {
                for (row, _) in opening.opened_values[query]
                    .iter()
                    .zip(matrices)
                    .filter(|(_, m)| m.log_height == height)
                {
                    inputs.0.extend_from_slice(row);
                }
            }
            siblings[query].iter().for_each(|digest| inputs.digest(digest));
        }
        for (rows, siblings) in &rounds {
            inputs.elements(&rows[query]);
            siblings[query].iter().for_each(|digest| inputs.digest(digest));
        }
    }
    Ok(inputs.0)
}

/// One tree's openings of all queries.
type InputOpening = BatchMultiOpening<F, ValMmcs>;

/// Every folding round's rows and paths, by query.
type Rounds = Vec<(Vec<Vec<EF>>, Vec<Vec<Digest>>)>;

fn rounds(shape: &Shape, proof: &InnerProof, drawn: &Drawn) -> Result<Rounds, WitnessError> {
    let params = &shape.params;
    let fri = &proof.opening_proof;
    let top = shape.max_height();
    let schedule = shape.schedule();
    let fri_params = params.fri(ChallengeMmcs::new(mmcs()));
    let reduced = open_inputs(
        &fri_params,
        top,
        &drawn.indices,
        &fri.input_openings,
        drawn.alpha,
        &mmcs(),
        &drawn.claims,
    )
    .map_err(refuse)?;
    let mut groups = vec![Vec::new(); schedule.len()];
    let mut rows = vec![Vec::new(); schedule.len()];
    let folding: TwoAdicFriFolding<(), p3_merkle_tree::MerkleTreeError> =
        TwoAdicFriFolding(PhantomData);
    for (query, (&index, reduced)) in drawn.indices.iter().zip(reduced).enumerate() {
        let _folded = fold_query::<_, F, EF, ChallengeMmcs>(
            &folding,
            query,
            &mut { index },
            &drawn.betas,
            &schedule,
            &fri.commit_phase_openings,
            reduced,
            top,
            params.log_blowup + params.log_final_poly_len,
            &mut groups,
            &mut rows,
        )
        .map_err(refuse)?;
    }
    let mut height = top;
    let mut rounds = Rounds::new();
    for (((&arity, step), groups), rows) in
        schedule.iter().zip(&fri.commit_phase_openings).zip(&groups).zip(rows)
    {
        height -= arity;
        let dimensions = [Dimensions { width: 4 << arity, height: 1 << height }];
        let flat: Vec<Vec<Vec<F>>> = rows
            .iter()
            .map(|matrices: &Vec<Vec<EF>>| {
                matrices.iter().map(|row| EF::flatten_to_base(row.clone())).collect()
            })
            .collect();
        let siblings = paths(&dimensions, groups, &flat, &step.opening_proof)?;
        rounds.push((rows.into_iter().flatten().collect(), siblings));
    }
    Ok(rounds)
}
