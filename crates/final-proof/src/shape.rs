//! What a key fixes about every proof: which matrices are committed and opened where, how FRI folds, and how long each part of a proof is.
//!
//! Nothing here is ever read from a proof.

use crate::FinalAir;
use crate::config::{EF, F, Params};
use p3_air::symbolic::AirLayout;
use p3_batch_stark::symbolic::get_log_num_quotient_chunks;
use p3_fri::fold_schedule;
use p3_lookup::{LogUpGadget, Lookups};

/// Coordinates of a challenge-field element.
pub const EXT: usize = 5;
/// Bytes of a base-field element.
pub const BASE_BYTES: usize = 4;
/// Bytes of a challenge-field element.
pub const EXT_BYTES: usize = EXT * BASE_BYTES;

/// One table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AirShape {
    /// log2 of the rows.
    pub log_height: usize,
    /// Main columns.
    pub width: usize,
    /// Whether constraints read the next row.
    pub next: bool,
    /// Preprocessed columns.
    pub pre_width: usize,
    /// Whether constraints read the next preprocessed row.
    pub pre_next: bool,
    /// Public values.
    pub num_public: usize,
    /// log2 of the quotient's chunks.
    pub log_chunks: usize,
    /// Lookup columns.
    pub num_lookups: usize,
}

/// Where a matrix is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The out-of-domain point.
    Zeta,
    /// The point after it in the matrix's trace domain.
    Next,
}

/// One committed matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatrixShape {
    /// Index into [`Shape::log_heights`].
    pub class: usize,
    /// Base-field columns.
    pub width: usize,
    /// Where it is opened, in order, each with the position of its first value among all opened values.
    pub points: Vec<(Point, usize)>,
}

/// The matrices under one root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchShape {
    /// In the order of commitment.
    pub matrices: Vec<MatrixShape>,
}

impl BatchShape {
    /// The classes of height in the tree, tallest first.
    pub fn classes(&self) -> Vec<usize> {
        let mut classes: Vec<usize> = self.matrices.iter().map(|m| m.class).collect();
        classes.sort_unstable();
        classes.dedup();
        classes
    }

    /// The matrices of a class in the order in which their rows are hashed.
    pub fn of_class(&self, class: usize) -> impl Iterator<Item = (usize, &MatrixShape)> {
        self.matrices.iter().enumerate().filter(move |(_, m)| m.class == class)
    }

    /// Base-field elements of one query.
    pub fn row_elements(&self) -> usize {
        self.matrices.iter().map(|m| m.width).sum()
    }
}

/// The index of the batch of main traces.
pub const MAIN: usize = 0;
/// The index of the batch of quotient chunks.
pub const QUOTIENT: usize = 1;

/// Everything about the form of a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The parameters.
    pub params: Params,
    /// The tables.
    pub airs: Vec<AirShape>,
    /// Main traces, quotient chunks, preprocessed traces (if any), lookup traces (if any).
    pub batches: Vec<BatchShape>,
    /// The index of the preprocessed batch.
    pub preprocessed: Option<usize>,
    /// The index of the batch of lookup traces.
    pub permutation: Option<usize>,
    /// log2 of the heights of committed (extended) matrices, tallest first, each once.
    pub log_heights: Vec<usize>,
    /// log2 of the arity of each folding.
    pub log_arities: Vec<usize>,
    /// Challenge-field elements opened at the out-of-domain points.
    pub num_opened: usize,
}

impl Shape {
    /// The shape of proofs for these tables.
    pub fn new<A: FinalAir>(
        params: &Params,
        airs: &[A],
        log_heights: &[usize],
        lookups: &[Lookups<F>],
    ) -> Self {
        let airs: Vec<AirShape> = airs
            .iter()
            .zip(log_heights)
            .zip(lookups)
            .map(|((air, &log_height), lookups)| air_shape(air, log_height, lookups))
            .collect();
        let mut classes: Vec<usize> =
            airs.iter().map(|a| a.log_height + params.log_blowup).collect();
        classes.sort_unstable_by(|a, b| b.cmp(a));
        classes.dedup();
        let log_arities = fold_schedule(
            &classes,
            params.log_blowup + params.log_final_poly_len,
            params.max_log_arity,
        );
        let mut shape = Self {
            params: *params,
            airs,
            batches: vec![],
            preprocessed: None,
            permutation: None,
            log_heights: classes,
            log_arities,
            num_opened: 0,
        };
        shape.add_batches();
        shape
    }

    fn add_batches(&mut self) {
        let airs = self.airs.clone();
        let both = |next| if next { &[Point::Zeta, Point::Next][..] } else { &[Point::Zeta][..] };
        let main = airs.iter().map(|a| self.matrix(a, a.width, both(a.next))).collect();
        self.batches.push(BatchShape { matrices: main });
        let chunks = airs
            .iter()
            .flat_map(|a| std::iter::repeat_n(a, 1 << a.log_chunks))
            .map(|a| self.matrix(a, EXT, &[Point::Zeta]))
            .collect();
        self.batches.push(BatchShape { matrices: chunks });
        let pre: Vec<MatrixShape> = airs
            .iter()
            .filter(|a| a.pre_width > 0)
            .map(|a| self.matrix(a, a.pre_width, both(a.pre_next)))
            .collect();
        if !pre.is_empty() {
            self.preprocessed = Some(self.batches.len());
            self.batches.push(BatchShape { matrices: pre });
        }
        let permutation: Vec<MatrixShape> = airs
            .iter()
            .filter(|a| a.num_lookups > 0)
            .map(|a| self.matrix(a, (a.num_lookups + 1) * EXT, both(true)))
            .collect();
        if !permutation.is_empty() {
            self.permutation = Some(self.batches.len());
            self.batches.push(BatchShape { matrices: permutation });
        }
    }

    fn matrix(&mut self, air: &AirShape, width: usize, points: &[Point]) -> MatrixShape {
        let log_height = air.log_height + self.params.log_blowup;
        let class = self.log_heights.iter().position(|&h| h == log_height).unwrap_or(0);
        let points = points
            .iter()
            .map(|&point| {
                let first = self.num_opened;
                self.num_opened += width;
                (point, first)
            })
            .collect();
        MatrixShape { class, width, points }
    }

    /// log2 of the greatest extended height: the bits of a query's index.
    pub fn log_max_height(&self) -> usize {
        self.log_heights[0]
    }

    /// log2 of the height of a batch's tree.
    pub fn tree_depth(&self, batch: usize) -> usize {
        self.log_heights[self.batches[batch].classes()[0]]
    }

    /// log2 of the height of a folding round's tree.
    pub fn fold_depth(&self, round: usize) -> usize {
        self.log_max_height() - self.log_arities[..=round].iter().sum::<usize>()
    }

    /// Public values of all tables.
    pub fn num_public(&self) -> usize {
        self.airs.iter().map(|a| a.num_public).sum()
    }

    /// Tables with lookups: each has one terminal.
    pub fn num_terminals(&self) -> usize {
        self.airs.iter().filter(|a| a.num_lookups > 0).count()
    }

    /// Merkle multi-proofs: one a batch, one a folding.
    pub fn num_trees(&self) -> usize {
        self.batches.len() + self.log_arities.len()
    }

    /// Bytes of one query in a proof: its rows and its siblings of each folding.
    pub fn query_bytes(&self) -> usize {
        let rows: usize = self.batches.iter().map(BatchShape::row_elements).sum();
        let siblings: usize = self.log_arities.iter().map(|a| (1 << a) - 1).sum();
        rows * BASE_BYTES + siblings * EXT_BYTES
    }
}

fn air_shape<A: FinalAir>(air: &A, log_height: usize, lookups: &Lookups<F>) -> AirShape {
    AirShape {
        log_height,
        width: air.width(),
        next: !air.main_next_row_columns().is_empty(),
        pre_width: air.preprocessed_width(),
        pre_next: !air.preprocessed_next_row_columns().is_empty(),
        num_public: air.num_public_values(),
        log_chunks: get_log_num_quotient_chunks::<F, EF, A, _>(
            air,
            AirLayout::from_air(air),
            1 << log_height,
            lookups,
            0,
            &LogUpGadget::new(),
        ),
        num_lookups: lookups.len(),
    }
}
