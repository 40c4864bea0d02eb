//! Checks traces without proving: every constraint on every row, and the balance of every bus. What the negative tests run on.

use crate::bus::F;
use crate::chips::Chip;
use p3_air::{Air, AirBuilder, BaseAir, RowWindow};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use std::collections::HashMap;

/// A chip with its trace, its table content and its public values.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The chip.
    pub chip: Chip,
    /// Its rows.
    pub trace: RowMajorMatrix<F>,
    /// Its table content, if it has any.
    pub preprocessed: Option<RowMajorMatrix<F>>,
    /// Its public values.
    pub public_values: Vec<F>,
}

/// A message on a bus: the bus's name and the tuple.
pub type Message = (String, Vec<F>);

/// What is wrong with traces.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// A constraint does not hold.
    #[error("chip {chip}, row {row}: constraint {constraint} does not hold")]
    Constraint {
        /// The chip's name.
        chip: &'static str,
        /// Row index.
        row: usize,
        /// Index of the constraint in the order of evaluation.
        constraint: usize,
    },
    /// A bus does not balance.
    #[error("bus {bus}: {count} x {message:?} left over")]
    Balance {
        /// The bus.
        bus: String,
        /// What is left.
        message: Vec<F>,
        /// How often, modulo p.
        count: F,
    },
}

/// Evaluates one row: collects failed constraints and messages.
pub struct RowBuilder<'a> {
    main: RowWindow<'a, F>,
    preprocessed: RowWindow<'a, F>,
    public_values: &'a [F],
    position: (usize, usize),
    constraint: usize,
    /// Constraints that failed.
    pub failed: Vec<usize>,
    /// Messages with their signed counts.
    pub messages: Vec<(Message, F)>,
}

impl<'a> AirBuilder for RowBuilder<'a> {
    type F = F;
    type Expr = F;
    type Var = F;
    type PreprocessedWindow = RowWindow<'a, F>;
    type MainWindow = RowWindow<'a, F>;
    type PublicVar = F;
    type PeriodicVar = F;

    fn main(&self) -> Self::MainWindow {
        self.main
    }
    fn preprocessed(&self) -> &Self::PreprocessedWindow {
        &self.preprocessed
    }
    fn is_first_row(&self) -> F {
        F::from_bool(self.position.0 == 0)
    }
    fn is_last_row(&self) -> F {
        F::from_bool(self.position.0 + 1 == self.position.1)
    }
    fn is_transition(&self) -> F {
        F::from_bool(self.position.0 + 1 < self.position.1)
    }
    fn assert_zero<I: Into<F>>(&mut self, x: I) {
        if x.into() != F::ZERO {
            self.failed.push(self.constraint);
        }
        self.constraint += 1;
    }
    fn public_values(&self) -> &[F] {
        self.public_values
    }
}

impl InteractionBuilder for RowBuilder<'_> {
    fn push_interaction<E: Into<F>>(&mut self, bus: &str, fields: impl IntoIterator<Item = E>, count: impl Into<Count<F>>) {
        let (count, _) = count.into().into_parts();
        if count != F::ZERO {
            let fields = fields.into_iter().map(Into::into).collect();
            self.messages.push(((bus.to_owned(), fields), count));
        }
    }
    fn push_local_interaction(&mut self, tuples: impl IntoIterator<Item = (Vec<F>, Count<F>)>) {
        tuples.into_iter().for_each(drop);
    }
    fn push_exclusive_interaction(&mut self, bus: &str, branches: impl IntoIterator<Item = (F, Count<F>, Vec<F>)>) {
        for (flag, count, fields) in branches {
            let count = flag * count.into_parts().0;
            if count != F::ZERO {
                self.messages.push(((bus.to_owned(), fields), count));
            }
        }
    }
}

impl Instance {
    /// With the chip's own table content.
    pub fn new(chip: Chip, trace: RowMajorMatrix<F>, public_values: Vec<F>) -> Self {
        let preprocessed = chip.preprocessed_trace();
        Self { chip, trace, preprocessed, public_values }
    }

    /// Evaluates row `row` of the trace.
    pub fn eval_row(&self, row: usize) -> RowBuilder<'_> {
        let height = self.trace.height();
        self.eval_cells(row, self.row(row), self.row((row + 1) % height))
    }

    /// Evaluates row `row` with other cells in it and in the row after it.
    pub fn eval_cells<'a>(&'a self, row: usize, cells: &'a [F], next: &'a [F]) -> RowBuilder<'a> {
        let height = self.trace.height();
        let cells_of = |r: usize| self.preprocessed.as_ref().map_or(&[][..], |p| &p.values[r * p.width..(r + 1) * p.width]);
        let mut builder = RowBuilder {
            main: RowWindow::from_two_rows(cells, next),
            preprocessed: RowWindow::from_two_rows(cells_of(row), cells_of((row + 1) % height)),
            public_values: &self.public_values,
            position: (row, height),
            constraint: 0,
            failed: Vec::new(),
            messages: Vec::new(),
        };
        self.chip.eval(&mut builder);
        builder
    }

    /// The cells of a row.
    pub fn row(&self, row: usize) -> &[F] {
        let width = self.trace.width();
        &self.trace.values[row * width..(row + 1) * width]
    }
}

/// Checks every row of every chip, and every bus.
///
/// # Errors
/// The first constraint that fails, or the first message left over.
pub fn check(instances: &[Instance]) -> Result<(), CheckError> {
    let mut balance: HashMap<Message, F> = HashMap::new();
    for instance in instances {
        for row in 0..instance.trace.height() {
            let builder = instance.eval_row(row);
            if let Some(&constraint) = builder.failed.first() {
                return Err(CheckError::Constraint { chip: instance.chip.name(), row, constraint });
            }
            for (message, count) in builder.messages {
                *balance.entry(message).or_default() += count;
            }
        }
    }
    let mut left: Vec<_> = balance.into_iter().filter(|(_, count)| *count != F::ZERO).collect();
    left.sort_by(|a, b| a.0.cmp(&b.0));
    match left.into_iter().next() {
        None => Ok(()),
        Some(((bus, message), count)) => Err(CheckError::Balance { bus, message, count }),
    }
}
