//! What is fixed about a proof.

use cairn_prover::bus::{EF, F};
use cairn_prover::config::Params;
use p3_air::symbolic::{AirLayout, SymbolicExpression, SymbolicExpressionExt};
use p3_air::{Air, BaseAir};
use p3_batch_stark::BatchShape;
use p3_batch_stark::symbolic::{get_log_num_quotient_chunks_for_domain, get_symbolic_constraints};
use p3_challenger::CanObserve;
use p3_field::coset::TwoAdicMultiplicativeCoset;
use p3_field::{PrimeCharacteristicRing, TwoAdicField};
use p3_fri::{FriShape, PcsShape, fold_schedule};
use p3_lookup::{InteractionSymbolicBuilder, LogUpGadget, Lookups};

/// One instance of a proof.
#[derive(Clone, Debug)]
pub struct InstanceShape {
    /// Main columns.
    pub width: usize,
    /// Preprocessed columns.
    pub fixed_width: usize,
    /// Public values.
    pub num_public: usize,
    /// log2 of the height.
    pub log_height: usize,
    /// log2 of the number of the quotient's chunks.
    pub log_chunks: usize,
    /// Whether the main columns are opened at the next point, too.
    pub next: bool,
    /// Whether the preprocessed columns are.
    pub fixed_next: bool,
    /// The lookups.
    pub lookups: Lookups<F>,
    /// The AIR's constraints, then those of the lookups.
    pub constraints: (Vec<SymbolicExpression<F>>, Vec<SymbolicExpressionExt<F, EF>>),
}

impl InstanceShape {
    /// Base columns of the lookups.
    pub fn permutation_width(&self) -> usize {
        if self.lookups.is_empty() { 0 } else { 4 * (self.lookups.len() + 1) }
    }
}

/// A proof's shape.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The instances in order.
    pub instances: Vec<InstanceShape>,
    /// Parameters.
    pub params: Params,
}

/// Which tree a matrix is in, in the order in which the opening argument takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// Main columns.
    Main,
    /// Chunks of the quotients.
    Quotient,
    /// Preprocessed columns.
    Fixed,
    /// Lookup columns.
    Permutation,
}

/// A committed matrix.
#[derive(Clone, Copy, Debug)]
pub struct Matrix {
    /// The instance that it is of.
    pub instance: usize,
    /// Which chunk, of a quotient.
    pub chunk: usize,
    /// Columns.
    pub width: usize,
    /// log2 of the height that it would have without blowup.
    pub log_height: usize,
    /// Whether it is opened at the next point, too.
    pub next: bool,
}

/// Writes down what it hears.
struct Recorder(Vec<F>);

impl CanObserve<F> for Recorder {
    fn observe(&mut self, value: F) {
        self.0.push(value);
    }
}

impl Shape {
    /// The shape of proofs of these AIRs. `lookups` are those that prover and verifier use.
    pub fn new<A>(
        airs: &[A],
        lookups: Vec<Lookups<F>>,
        log_heights: &[usize],
        params: Params,
    ) -> Self
    where
        A: Air<InteractionSymbolicBuilder<F, EF>> + BaseAir<F>,
    {
        let instances = airs
            .iter()
            .zip(lookups)
            .zip(log_heights)
            .map(|((air, lookups), &log_height)| {
                let layout = AirLayout {
                    preprocessed_width: air.preprocessed_width(),
                    main_width: air.width(),
                    num_public_values: air.num_public_values(),
                    num_periodic_columns: air.num_periodic_columns(),
                    ..Default::default()
                };
                let gadget = LogUpGadget::new();
                let log_chunks = get_log_num_quotient_chunks_for_domain::<F, EF, A, _>(
                    air,
                    layout,
                    domain(log_height),
                    &lookups,
                    0,
                    &gadget,
                );
                let constraints =
                    get_symbolic_constraints::<F, EF, A, _>(air, layout, &lookups, &gadget);
                InstanceShape {
                    width: air.width(),
                    fixed_width: air.preprocessed_width(),
                    num_public: air.num_public_values(),
                    log_height,
                    log_chunks,
                    next: !air.main_next_row_columns().is_empty(),
                    fixed_next: !air.preprocessed_next_row_columns().is_empty(),
                    lookups,
                    constraints,
                }
            })
            .collect();
        Self { instances, params }
    }

    /// Checks what the native verifier refuses and a circuit cannot: above all that the folding reaches every height.
    ///
    /// # Panics
    /// When no sound verifier of this shape exists.
    pub fn check(&self) {
        let p = &self.params;
        assert!(p.num_queries > 0 && p.log_blowup > 0 && p.max_log_arity > 0, "parameters");
        let last = p.log_blowup + p.log_final_poly_len;
        for height in self.codeword_heights() {
            assert!(height <= F::TWO_ADICITY, "a codeword is too long");
            // A polynomial of one coefficient is checked where it is opened.
            let constant = height == p.log_blowup;
            assert!(height >= last || constant, "the folding does not reach a table this low");
        }
        assert!(
            self.instances.iter().all(|i| i.log_chunks <= p.log_blowup),
            "constraints of too high a degree"
        );
    }

    /// The trees and their matrices, in the order of the opening argument.
    pub fn trees(&self) -> Vec<(Tree, Vec<Matrix>)> {
        let all = || self.instances.iter().enumerate();
        let matrix = |(instance, i): (usize, &InstanceShape), width, next| Matrix {
            instance,
            chunk: 0,
            width,
            log_height: i.log_height,
            next,
        };
        let main = all().map(|i| matrix(i, i.1.width, i.1.next)).collect();
        let quotient = all()
            .flat_map(|i| {
                (0..1 << i.1.log_chunks).map(move |chunk| Matrix { chunk, ..matrix(i, 4, false) })
            })
            .collect();
        let fixed: Vec<Matrix> = all()
            .filter(|(_, i)| i.fixed_width > 0)
            .map(|i| matrix(i, i.1.fixed_width, i.1.fixed_next))
            .collect();
        let permutation = all()
            .filter(|(_, i)| !i.lookups.is_empty())
            .map(|i| matrix(i, i.1.permutation_width(), true))
            .collect();
        let mut trees = vec![(Tree::Main, main), (Tree::Quotient, quotient)];
        if !fixed.is_empty() {
            trees.push((Tree::Fixed, fixed));
        }
        trees.push((Tree::Permutation, permutation));
        trees
    }

    /// The native description of the transcript.
    pub fn batch_shape(&self) -> BatchShape {
        BatchShape {
            trace_widths: self.instances.iter().map(|i| i.width).collect(),
            public_value_counts: self.instances.iter().map(|i| i.num_public).collect(),
            preprocessed_widths: self.instances.iter().map(|i| i.fixed_width).collect(),
            has_preprocessed_commitment: self.instances.iter().any(|i| i.fixed_width > 0),
            num_lookup_instances: self.instances.iter().filter(|i| !i.lookups.is_empty()).count(),
            lookup_pow_bits: self.params.lookup_pow,
            has_randomization_commitment: false,
            ood_pow_bits: self.params.ood_pow,
        }
    }

    /// The domain separator of the proof system.
    pub fn separator(&self) -> Vec<F> {
        let mut recorder = Recorder(Vec::new());
        self.batch_shape().domain_separator::<F, EF>().seed(&mut recorder);
        recorder.0
    }

    /// The native description of the opening argument.
    pub fn pcs_shape(&self) -> PcsShape {
        let counts = self
            .trees()
            .iter()
            .map(|(_, matrices)| {
                matrices.iter().map(|m| vec![m.width; if m.next { 2 } else { 1 }]).collect()
            })
            .collect();
        PcsShape { claimed_evaluation_counts: counts, batch_pow_bits: self.params.batch_pow }
    }

    /// The domain separator of the opening argument.
    pub fn pcs_separator(&self) -> Vec<F> {
        let mut recorder = Recorder(Vec::new());
        self.pcs_shape().domain_separator::<F, EF>().seed(&mut recorder);
        recorder.0
    }

    /// log2 heights of the codewords, tallest first, each once.
    pub fn codeword_heights(&self) -> Vec<usize> {
        let mut heights: Vec<usize> =
            self.instances.iter().map(|i| i.log_height + self.params.log_blowup).collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        heights.dedup();
        heights
    }

    /// log2 height of the tallest codeword.
    pub fn max_height(&self) -> usize {
        self.codeword_heights().first().copied().unwrap_or(self.params.log_blowup)
    }

    /// How much each round folds (log2).
    pub fn schedule(&self) -> Vec<usize> {
        fold_schedule(
            &self.codeword_heights(),
            self.params.log_blowup + self.params.log_final_poly_len,
            self.params.max_log_arity,
        )
    }

    /// The domain separator of the low-degree test.
    pub fn fri_separator(&self) -> Vec<F> {
        let shape =
            FriShape::with_schedule(&self.params.fri(()), self.schedule(), self.max_height());
        let mut recorder = Recorder(Vec::new());
        shape.domain_separator::<F, EF>().seed(&mut recorder);
        recorder.0
    }
}

/// The trace domain of a height. Heights beyond the field's two-adicity give the largest domain there is; no verifier takes such a proof.
pub fn domain(log_height: usize) -> TwoAdicMultiplicativeCoset<F> {
    let log_height = log_height.min(F::TWO_ADICITY);
    TwoAdicMultiplicativeCoset::new(F::ONE, log_height)
        .unwrap_or_else(|| unreachable!("the height is within the field's two-adicity"))
}
