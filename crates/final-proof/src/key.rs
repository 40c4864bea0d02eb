//! The verifying key of the final layer and its description as data for the contract.
//!
//! The description says everything about verification that depends on the tables: shape, transcript seeds, preprocessed root, constraint program.
//! Its Keccak-256 is the key's digest, the first thing in the transcript; the contract hashes the data that it interprets and compares.

use crate::FinalAir;
use crate::codec::{Layout, element_bytes};
use crate::config::{Challenger, Config, EF, F, FinalPcs, Params, Root, config, pcs};
use crate::program::{Instruction, Program, ProgramError};
use crate::shape::{Point, Shape};
use alloy_primitives::{B256, keccak256};
use p3_air::BaseAir;
use p3_air::symbolic::AirLayout;
use p3_batch_stark::common::{GlobalPreprocessed, PreprocessedInstanceMeta};
use p3_batch_stark::symbolic::get_log_num_quotient_chunks;
use p3_batch_stark::{CommonData, ProverData, ProverOnlyData};
use p3_challenger::CanObserve;
use p3_commit::{Pcs, UnivariateStarkPcs};
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing, TwoAdicField};
use p3_fri::{FriShape, PcsShape};
use p3_lookup::{LogUpGadget, Lookups};
use p3_matrix::Matrix;
use p3_merkle_tree::MerkleCap;
use std::ops::Deref;

/// The greatest log2 of a table's height: parameters are proven up to it.
pub const MAX_LOG_HEIGHT: usize = 14;
/// The first bytes of a description.
pub const MAGIC: &[u8; 8] = b"CAIRNFP1";
/// No entry, in a description.
const NONE: u8 = 0xff;

/// A key cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Something about the tables that the final layer does not support.
    #[error("the tables do not fit the final layer: {0}")]
    Unsupported(&'static str),
    /// The constraint program cannot be expressed.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The preprocessed columns cannot be committed.
    #[error("committing to the preprocessed columns failed: {0}")]
    Commit(String),
}

/// What a verifier knows: tables at fixed heights, the commitment to their preprocessed columns, and all that follows from them.
pub struct FinalVk<A> {
    airs: Vec<A>,
    shape: Shape,
    program: Program,
    description: Vec<u8>,
    digest: B256,
    root: Root,
    common: CommonData<Config>,
}

/// A key with what proving needs besides.
pub struct FinalKey<A> {
    vk: FinalVk<A>,
    data: ProverData<Config>,
}

impl<A> Deref for FinalKey<A> {
    type Target = FinalVk<A>;
    fn deref(&self) -> &FinalVk<A> {
        &self.vk
    }
}

impl<A: FinalAir> FinalKey<A> {
    /// The key of tables at heights `2^log_heights`, with [`crate::PARAMS`].
    ///
    /// # Errors
    /// When the tables do not fit the final layer.
    pub fn new(airs: Vec<A>, log_heights: &[usize]) -> Result<Self, KeyError> {
        Self::with_params(airs, log_heights, crate::PARAMS)
    }

    /// As [`FinalKey::new`] with parameters of the caller's choice (tests use cheap ones).
    ///
    /// # Errors
    /// When the tables do not fit the final layer.
    pub fn with_params(
        airs: Vec<A>,
        log_heights: &[usize],
        params: Params,
    ) -> Result<Self, KeyError> {
        check(&airs, log_heights, &params)?;
        let tables = airs.iter().map(|air| {
            let table = BaseAir::<F>::preprocessed_trace(air).filter(|table| table.width() > 0);
            table.ok_or(KeyError::Unsupported("a table without preprocessed columns"))
        });
        let tables: Vec<_> = tables.collect::<Result<_, _>>()?;
        for (table, &log_height) in tables.iter().zip(log_heights) {
            if table.height() != 1 << log_height {
                return Err(KeyError::Unsupported("preprocessed height"));
            }
        }
        let pcs = pcs(&params);
        let domain =
            |h: usize| <FinalPcs as Pcs<EF, Challenger>>::natural_domain_for_degree(&pcs, h);
        let tables: Vec<_> =
            tables.into_iter().map(|table| (domain(table.height()), table)).collect();
        let (commitment, data) =
            <FinalPcs as UnivariateStarkPcs<EF, Challenger>>::commit_preprocessing(&pcs, tables)
                .map_err(|e| KeyError::Commit(format!("{e:?}")))?;
        let [root] = commitment.roots() else {
            return Err(KeyError::Unsupported("a cap of several roots"));
        };
        let vk = FinalVk::with_params(airs, log_heights, params, *root)?;
        let data = ProverData {
            common: common(&vk.shape, vk.lookups().to_vec(), *root),
            prover_only: ProverOnlyData { preprocessed_prover_data: Some(data) },
        };
        Ok(Self { vk, data })
    }

    /// The verifier's part.
    pub fn vk(&self) -> &FinalVk<A> {
        &self.vk
    }
    pub(crate) fn data(&self) -> &ProverData<Config> {
        &self.data
    }
}

impl<A: FinalAir> FinalVk<A> {
    /// The key of tables at heights `2^log_heights` whose preprocessed columns have the commitment `root`, with [`crate::PARAMS`]. The tables need not know those columns.
    ///
    /// # Errors
    /// When the tables do not fit the final layer.
    pub fn new(airs: Vec<A>, log_heights: &[usize], root: Root) -> Result<Self, KeyError> {
        Self::with_params(airs, log_heights, crate::PARAMS, root)
    }

    /// As [`FinalVk::new`] with parameters of the caller's choice.
    ///
    /// # Errors
    /// When the tables do not fit the final layer.
    pub fn with_params(
        airs: Vec<A>,
        log_heights: &[usize],
        params: Params,
        root: Root,
    ) -> Result<Self, KeyError> {
        check(&airs, log_heights, &params)?;
        let lookups: Vec<Lookups<F>> =
            airs.iter().zip(log_heights).map(|(air, &height)| lookups(air, height)).collect();
        let shape = Shape::new(&params, &airs, log_heights, &lookups);
        if shape.log_heights.iter().any(|&h| h <= params.log_blowup + params.log_final_poly_len) {
            return Err(KeyError::Unsupported("a table is not higher than the final polynomial"));
        }
        if shape.airs.iter().any(|a| a.log_chunks > params.log_blowup) {
            return Err(KeyError::Unsupported("constraints of too high a degree"));
        }
        if shape.permutation.is_none() {
            return Err(KeyError::Unsupported("tables without lookups"));
        }
        // The contract does not look at lookups: what the library's verifier checks of them for each proof is checked here.
        let heights: Vec<usize> = log_heights.iter().map(|&h| 1 << h).collect();
        p3_lookup::check_bus_widths(&lookups)
            .map_err(|_| KeyError::Unsupported("messages of several widths on one bus"))?;
        p3_lookup::check_multiplicity_height_bound(&lookups, &heights)
            .map_err(|_| KeyError::Unsupported("multiplicities that could wrap"))?;
        let program = Program::new(&shape, &airs, &lookups)?;
        let description = Description::new(&shape, &program, Some(root));
        description.fits()?;
        let description = description.bytes();
        let digest = keccak256(&description);
        let common = common(&shape, lookups, root);
        Ok(Self { airs, shape, program, description, digest, root, common })
    }

    /// The tables.
    pub fn airs(&self) -> &[A] {
        &self.airs
    }
    /// The form of proofs.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
    /// The constraint program.
    pub fn program(&self) -> &Program {
        &self.program
    }
    /// The data that the contract interprets.
    pub fn description(&self) -> &[u8] {
        &self.description
    }
    /// Keccak-256 of the description.
    pub fn digest(&self) -> B256 {
        self.digest
    }
    /// The commitment to the preprocessed columns.
    pub fn root(&self) -> Root {
        self.root
    }
    /// The lookups of each table.
    pub fn lookups(&self) -> &[Lookups<F>] {
        &self.common.lookups
    }
    pub(crate) fn common(&self) -> &CommonData<Config> {
        &self.common
    }
    /// The configuration whose transcript starts with the digest.
    pub(crate) fn config(&self) -> Config {
        config(&self.shape.params, self.digest.0)
    }
    /// Splits the public values of all tables, in order, into each table's own.
    pub(crate) fn split_public(&self, values: &[F]) -> Vec<Vec<F>> {
        let mut rest = values;
        self.shape
            .airs
            .iter()
            .map(|a| {
                let (own, after) = rest.split_at(a.num_public);
                rest = after;
                own.to_vec()
            })
            .collect()
    }
}

/// A table's lookups, as many to a column as leave the number of the quotient's chunks as it is.
fn lookups<A: FinalAir>(air: &A, log_height: usize) -> Lookups<F> {
    let gadget = LogUpGadget::new();
    let single = Lookups::from_air::<EF, A>(air);
    let layout = AirLayout::from_air(air);
    let log_chunks = get_log_num_quotient_chunks::<F, EF, A, _>(
        air,
        layout,
        1 << log_height,
        &single,
        0,
        &gadget,
    );
    single.pack_same_bus(&gadget, (1 << log_chunks) + 1)
}

/// What prover and verifier of the library share.
fn common(shape: &Shape, lookups: Vec<Lookups<F>>, root: Root) -> CommonData<Config> {
    let instances = shape.airs.iter().enumerate().map(|(matrix_index, air)| {
        Some(PreprocessedInstanceMeta {
            matrix_index,
            width: air.pre_width,
            degree_bits: air.log_height,
        })
    });
    let preprocessed = GlobalPreprocessed {
        commitment: MerkleCap::new(vec![root]),
        instances: instances.collect(),
        matrix_to_instance: (0..shape.airs.len()).collect(),
    };
    CommonData::new(Some(preprocessed), lookups)
}

fn check<A: FinalAir>(airs: &[A], log_heights: &[usize], params: &Params) -> Result<(), KeyError> {
    let all = |ok: bool, why| if ok { Ok(()) } else { Err(KeyError::Unsupported(why)) };
    all(!airs.is_empty() && airs.len() == log_heights.len(), "one height for each table")?;
    all(airs.len() < 64, "at most 63 tables")?;
    all(log_heights.iter().all(|&h| h <= MAX_LOG_HEIGHT), "a table is higher than 2^14")?;
    all(params.log_blowup > 0 && params.num_queries > 0, "parameters that prove nothing")?;
    all(params.num_queries <= 255, "at most 255 queries")?;
    all((1..=3).contains(&params.max_log_arity), "folding arities are 2, 4 and 8")?;
    all(params.log_final_poly_len >= 1, "the final polynomial has an even number of coefficients")?;
    all(MAX_LOG_HEIGHT + params.log_blowup <= F::TWO_ADICITY, "codewords that are too long")?;
    for air in airs {
        all(air.preprocessed_width() > 0, "a table without preprocessed columns")?;
        all(BaseAir::<F>::public_boundary_io(air).is_empty(), "boundary values")?;
    }
    Ok(())
}

/// Collects the bytes that a transcript absorbs.
struct Recorder(Vec<u8>);

impl CanObserve<F> for Recorder {
    fn observe(&mut self, value: F) {
        self.0.extend(element_bytes(value));
    }
}

/// What each of the three nested protocols absorbs before its first message: its name, its shape, its parameters.
pub fn transcript_seeds(shape: &Shape) -> [Vec<u8>; 3] {
    let mut batch = Recorder(vec![]);
    p3_batch_stark::BatchShape {
        trace_widths: shape.airs.iter().map(|a| a.width).collect(),
        public_value_counts: shape.airs.iter().map(|a| a.num_public).collect(),
        preprocessed_widths: shape.airs.iter().map(|a| a.pre_width).collect(),
        has_preprocessed_commitment: shape.preprocessed.is_some(),
        num_lookup_instances: shape.num_terminals(),
        lookup_pow_bits: shape.params.lookup_pow,
        has_randomization_commitment: false,
        ood_pow_bits: shape.params.ood_pow,
    }
    .domain_separator::<F, EF>()
    .seed(&mut batch);
    for air in &shape.airs {
        let bits = EF::from(F::from_usize(air.log_height));
        batch.observe_slice(bits.as_basis_coefficients_slice());
    }
    let mut pcs = Recorder(vec![]);
    PcsShape {
        claimed_evaluation_counts: shape
            .batches
            .iter()
            .map(|b| b.matrices.iter().map(|m| vec![m.width; m.points.len()]).collect())
            .collect(),
        batch_pow_bits: shape.params.batch_pow,
    }
    .domain_separator::<F, EF>()
    .seed(&mut pcs);
    let mut fri = Recorder(vec![]);
    FriShape::with_schedule(
        &shape.params.fri(()),
        shape.log_arities.clone(),
        shape.log_max_height(),
    )
    .domain_separator::<F, EF>()
    .seed(&mut fri);
    [batch.0, pcs.0, fri.0]
}

/// A run of columns whose rows are combined with consecutive entries of the table of batching powers.
struct Run {
    first: u16,
    width: u16,
    /// The slot of `alpha^width` when the matrix is also opened at the next point.
    slot: Option<u8>,
}

/// Builds the description.
struct Description<'a> {
    shape: &'a Shape,
    program: &'a Program,
    root: Option<Root>,
    /// For each batch, for each of its classes: the runs of a row.
    runs: Vec<Vec<(usize, Vec<Run>)>>,
    /// For each batch and matrix: its first entry in the table of powers, and its slot.
    place: Vec<Vec<(u16, Option<u8>)>>,
    table: usize,
    slots: u8,
}

impl<'a> Description<'a> {
    fn new(shape: &'a Shape, program: &'a Program, root: Option<Root>) -> Self {
        let place = shape.batches.iter().map(|b| vec![(0, None); b.matrices.len()]).collect();
        let mut description =
            Self { shape, program, root, runs: vec![], place, table: 0, slots: 0 };
        for batch in 0..shape.batches.len() {
            let classes = shape.batches[batch].classes();
            let runs = classes.into_iter().map(|c| (c, description.class_runs(batch, c))).collect();
            description.runs.push(runs);
        }
        description
    }

    /// The runs of a row, each padded to whole words of eight entries.
    fn class_runs(&mut self, batch: usize, class: usize) -> Vec<Run> {
        let mut runs: Vec<Run> = vec![];
        for (index, matrix) in self.shape.batches[batch].of_class(class) {
            let next = matrix.points.iter().any(|(p, _)| *p == Point::Next);
            let slot = next.then(|| {
                self.slots = self.slots.saturating_add(1);
                self.slots - 1
            });
            let joins = slot.is_none() && runs.last().is_some_and(|r| r.slot.is_none());
            if !joins {
                self.table = self.table.next_multiple_of(8);
                runs.push(Run { first: self.table as u16, width: 0, slot });
            }
            self.place[batch][index] = (self.table as u16, slot);
            if let Some(run) = runs.last_mut() {
                run.width += matrix.width as u16;
            }
            self.table += matrix.width;
        }
        runs
    }

    /// Whether every number has room in its field.
    fn fits(&self) -> Result<(), KeyError> {
        let s = self.shape;
        let per_class =
            |class: usize| -> usize { s.batches.iter().map(|b| b.of_class(class).count()).sum() };
        let short = usize::from(u16::MAX);
        let ok = (0..s.log_heights.len()).all(|class| per_class(class) < usize::from(NONE))
            && self.slots < NONE
            && self.table.next_multiple_of(8) <= short
            && s.num_opened <= short
            && s.batches.iter().all(|b| 4 * b.row_elements() <= short);
        if ok { Ok(()) } else { Err(KeyError::Unsupported("too many columns")) }
    }

    /// How the table of powers is filled: for each class its matrices in the order in which their openings are batched.
    fn ladder(&self) -> Vec<u8> {
        let mut out = vec![];
        for class in 0..self.shape.log_heights.len() {
            let mut entries = vec![];
            for (batch, shape) in self.shape.batches.iter().enumerate() {
                for (index, matrix) in shape.of_class(class) {
                    let (first, slot) = self.place[batch][index];
                    entries.push((first, matrix.width as u16, slot));
                }
            }
            out.push(entries.len() as u8);
            for (first, width, slot) in entries {
                out.extend(first.to_be_bytes());
                out.extend(width.to_be_bytes());
                out.push(slot.unwrap_or(NONE));
            }
        }
        out
    }

    /// Every opening: entry in the table of powers, first value, width, class, point, slot.
    fn openings(&self) -> (Vec<u8>, usize) {
        let (mut out, mut count) = (vec![], 0);
        for (batch, shape) in self.shape.batches.iter().enumerate() {
            for (index, matrix) in shape.matrices.iter().enumerate() {
                let (first, slot) = self.place[batch][index];
                for (point, value) in &matrix.points {
                    out.extend(first.to_be_bytes());
                    out.extend((*value as u16).to_be_bytes());
                    out.extend((matrix.width as u16).to_be_bytes());
                    out.push(matrix.class as u8);
                    out.push(u8::from(*point == Point::Next));
                    out.push(slot.unwrap_or(NONE));
                    count += 1;
                }
            }
        }
        (out, count)
    }

    /// The rows of a query: for each batch its classes, for each class its runs.
    fn rows(&self) -> Vec<u8> {
        let mut out = vec![];
        for classes in &self.runs {
            out.push(classes.len() as u8);
            for (class, runs) in classes {
                let bytes: u16 = runs.iter().map(|r| 4 * r.width).sum();
                out.push(*class as u8);
                out.extend(bytes.to_be_bytes());
                out.push(runs.len() as u8);
                for run in runs {
                    out.extend(run.first.to_be_bytes());
                    out.extend(run.width.to_be_bytes());
                    out.push(run.slot.unwrap_or(NONE));
                }
            }
        }
        out
    }

    /// For each class: log2 of its height, of its trace's height, and whether some matrix of it is opened at the next point. For each folding: log2 of its arity, of its tree's
    /// height, and the class that joins after it.
    fn heights(&self) -> Vec<u8> {
        let s = self.shape;
        let mut out = vec![];
        for (class, &height) in s.log_heights.iter().enumerate() {
            let has_next =
                s.batches.iter().flat_map(|b| b.of_class(class)).any(|(_, m)| m.points.len() > 1);
            let trace_height = height - s.params.log_blowup;
            out.extend([height as u8, trace_height as u8, u8::from(has_next)]);
        }
        for (round, &arity) in s.log_arities.iter().enumerate() {
            let depth = s.fold_depth(round);
            let joins = s.log_heights.iter().position(|&h| h == depth);
            out.extend([arity as u8, depth as u8, joins.map_or(NONE, |c| c as u8)]);
        }
        out
    }

    fn bytes(&self) -> Vec<u8> {
        let (s, p) = (self.shape, self.program);
        let seeds = transcript_seeds(s);
        let constants: Vec<u8> = p.constants.iter().flat_map(|c| c.to_be_bytes()).collect();
        let code: Vec<u8> = p.code.iter().flat_map(Instruction::encode).collect();
        let (openings, num_openings) = self.openings();
        let l = Layout::new(s);
        let mut words: Vec<usize> = vec![
            s.params.num_queries,
            s.log_max_height(),
            1 << s.params.log_final_poly_len,
            s.num_public(),
            s.num_opened,
            s.num_terminals(),
            s.batches.len(),
            s.preprocessed.unwrap_or(usize::from(NONE)),
            s.log_heights.len(),
            s.log_arities.len(),
            s.params.lookup_pow,
            s.params.ood_pow,
            s.params.batch_pow,
            s.params.commit_pow,
            s.params.query_pow,
            s.query_bytes(),
            l.lookup,
            l.quotient,
            l.opened,
            l.fold_roots,
            l.final_poly,
            l.witnesses,
            l.counts,
            l.queries,
            l.digests,
            p.constants.len(),
            p.num_registers,
            p.publics,
            p.terminals,
            p.opened,
            p.code.len(),
            num_openings,
            self.table.next_multiple_of(8),
            self.slots.into(),
            seeds[0].len(),
            seeds[1].len(),
            seeds[2].len(),
        ];
        let sections = [
            &self.root.unwrap_or_default()[..],
            &seeds[0],
            &seeds[1],
            &seeds[2],
            &self.ladder(),
            &openings,
            &self.rows(),
            &self.heights(),
            &constants,
            &code,
        ];
        let mut at = MAGIC.len() + 4 * (words.len() + sections.len());
        for section in sections {
            words.push(at);
            at += section.len();
        }
        let mut out = MAGIC.to_vec();
        out.extend(words.iter().flat_map(|&w| (w as u32).to_be_bytes()));
        sections.iter().for_each(|s| out.extend(*s));
        out
    }
}
