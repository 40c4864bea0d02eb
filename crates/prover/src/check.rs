//! Checks traces without proving: every constraint on every row, and the balance of every bus. What the negative tests run on.

use crate::bus::{COMPRESS, F, LOOKUP, PERMUTE};
use crate::chips::Chip;
use crate::memory::permutation;
use p3_air::{Air, AirBuilder, BaseAir, RowWindow};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_symmetric::Permutation;
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
    fn push_interaction<E: Into<F>>(
        &mut self,
        bus: &str,
        fields: impl IntoIterator<Item = E>,
        count: impl Into<Count<F>>,
    ) {
        let (count, _) = count.into().into_parts();
        if count != F::ZERO {
            let fields = fields.into_iter().map(Into::into).collect();
            self.messages.push(((bus.to_owned(), fields), count));
        }
    }
    fn push_local_interaction(&mut self, tuples: impl IntoIterator<Item = (Vec<F>, Count<F>)>) {
        tuples.into_iter().for_each(drop);
    }
    fn push_exclusive_interaction(
        &mut self,
        bus: &str,
        branches: impl IntoIterator<Item = (F, Count<F>, Vec<F>)>,
    ) {
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
        let cells_of = |r: usize| {
            self.preprocessed
                .as_ref()
                .map_or(&[][..], |p| &p.values[r * p.width..(r + 1) * p.width])
        };
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
        // A table's entry that nobody looks up says nothing.
        let is_table = matches!(instance.chip, Chip::Program(_) | Chip::Range(_) | Chip::And(_));
        for row in (0..instance.trace.height())
            .filter(|&row| !is_table || instance.row(row).iter().any(|&mult| mult != F::ZERO))
        {
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

/// The ways of corrupting a cell.
pub const STRATEGIES: [&str; 5] = ["+1", "zero", "p-1", "neighbouring column", "another row"];

/// Which columns' corruption is noticed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Columns where every strategy is noticed on some row.
    pub covered: usize,
    /// All columns.
    pub total: usize,
    /// Cells corrupted.
    pub tried: usize,
    /// Chip, column and strategy that nothing noticed.
    pub missed: Vec<(&'static str, usize, &'static str)>,
}

impl Coverage {
    /// Adds another trace's coverage.
    pub fn merge(&mut self, other: Self) {
        self.covered += other.covered;
        self.total += other.total;
        self.tried += other.tried;
        self.missed.extend(other.missed);
    }
}

/// What a row says to the rest of the proof: its messages, less lookups that a table answers. A prover can always adapt the tables'
/// multiplicities, so such a lookup binds nothing but itself. `None` if a constraint fails or a lookup misses its table.
fn effect(
    builder: &RowBuilder<'_>,
    tables: &Tables,
    is_table: bool,
) -> Option<HashMap<Message, F>> {
    if !builder.failed.is_empty() {
        return None;
    }
    let mut effect: HashMap<Message, F> = HashMap::new();
    for (message, count) in &builder.messages {
        if !is_table {
            match tables.answer(message) {
                Some(true) => continue,
                Some(false) => return None,
                None => {}
            }
        }
        *effect.entry(message.clone()).or_default() += *count;
    }
    effect.retain(|_, count| *count != F::ZERO);
    Some(effect)
}

/// The content of the lookup tables.
pub struct Tables(std::collections::HashSet<Vec<F>>);

impl Tables {
    /// From the instances' table content.
    pub fn new(instances: &[Instance]) -> Self {
        let mut entries = std::collections::HashSet::new();
        for instance in instances {
            for row in 0..instance.preprocessed.as_ref().map_or(0, |_| instance.trace.height()) {
                let one = vec![F::ONE; instance.trace.width()];
                let builder = instance.eval_cells(row, &one, &one);
                entries.extend(
                    builder
                        .messages
                        .into_iter()
                        .filter(|((bus, _), _)| bus == LOOKUP.name())
                        .map(|((_, fields), _)| fields),
                );
            }
        }
        Self(entries)
    }

    /// Whether a message is a lookup, and then whether its table has it.
    fn answer(&self, (bus, fields): &Message) -> Option<bool> {
        if bus == LOOKUP.name() {
            Some(self.0.contains(fields))
        } else if bus == COMPRESS.name() {
            let (input, digest) = fields.split_at(16);
            let (l, r) =
                (core::array::from_fn(|i| input[i]), core::array::from_fn(|i| input[8 + i]));
            Some(crate::memory::compress(&l, &r) == *digest)
        } else if bus == PERMUTE.name() {
            let (input, output) = fields.split_at(16);
            let mut state: [F; 16] = core::array::from_fn(|i| input[i]);
            permutation().permute_mut(&mut state);
            Some(state == *output)
        } else {
            None
        }
    }
}

/// Rows to corrupt: all of a short trace; of a long one its first rows, its last ones, and some between.
fn sample_rows(height: usize, most: usize) -> Vec<usize> {
    if height <= most {
        return (0..height).collect();
    }
    let mut rows: Vec<usize> = (0..most / 2)
        .chain((1..=most / 2).map(|i| i * height / (most / 2 + 1)))
        .chain([height - 1])
        .collect();
    rows.sort_unstable();
    rows.dedup();
    rows
}

/// Corrupts every column of every chip of an honest proof's traces by every strategy, on up to `most` rows each: a constraint must fail, a lookup must miss its table,
/// or another bus must lose its balance.
pub fn coverage(instances: &[Instance], most: usize) -> Coverage {
    let tables = Tables::new(instances);
    instances.iter().map(|i| chip_coverage(i, &tables, most)).fold(
        Coverage::default(),
        |mut all, one| {
            all.merge(one);
            all
        },
    )
}

fn chip_coverage(instance: &Instance, tables: &Tables, most: usize) -> Coverage {
    let (height, width) = (instance.trace.height(), instance.trace.width());
    let looks_ahead = !instance.chip.main_next_row_columns().is_empty();
    // Tables say themselves what they contain; a change of multiplicity is noticed by the balance.
    let is_table = instance.preprocessed.is_some() || matches!(instance.chip, Chip::Poseidon2(_));
    let rows = sample_rows(height, most);
    // The rows that see a row: itself, and the one before if the chip looks ahead.
    let observe = |row: usize, cells: &[F]| {
        let next = if height == 1 { cells } else { instance.row((row + 1) % height) };
        let mut all = vec![effect(&instance.eval_cells(row, cells, next), tables, is_table)?];
        if looks_ahead && height > 1 {
            let before = (row + height - 1) % height;
            all.push(effect(
                &instance.eval_cells(before, instance.row(before), cells),
                tables,
                is_table,
            )?);
        }
        Some(all)
    };
    let honest: Vec<_> = rows.iter().map(|&row| observe(row, instance.row(row))).collect();
    let mut coverage = Coverage { total: width, ..Default::default() };
    for column in 0..width {
        let (mut applied, mut noticed) = ([false; 5], [false; 5]);
        for (&row, honest) in rows.iter().zip(&honest) {
            let cells = instance.row(row);
            let old = cells[column];
            let other = instance.row((row + 1) % height)[column];
            let values = [old + F::ONE, F::ZERO, -F::ONE, cells[(column + 1) % width], other];
            for (s, value) in values.into_iter().enumerate().filter(|(_, v)| *v != old) {
                if noticed[s] {
                    continue;
                }
                let mut cells = cells.to_vec();
                cells[column] = value;
                coverage.tried += 1;
                applied[s] = true;
                noticed[s] = observe(row, &cells) != *honest || honest.is_none();
            }
        }
        let missed: Vec<_> = (0..5).filter(|&s| applied[s] && !noticed[s]).collect();
        coverage.covered += usize::from(missed.is_empty() && applied[0]);
        coverage
            .missed
            .extend(missed.into_iter().map(|s| (instance.chip.name(), column, STRATEGIES[s])));
    }
    coverage
}

/// A row that a dishonest prover could put in place of an honest one: same chip, same instruction, other result.
#[derive(Clone, Debug)]
pub struct Forgery {
    /// The chip.
    pub chip: &'static str,
    /// The row.
    pub row: usize,
    /// The cells changed, with their new values.
    pub cells: Vec<(usize, F)>,
}

/// Whether a row is a HINT, whose words are the prover's to choose.
fn is_hint(instance: &Instance, row: usize) -> bool {
    let hint = std::mem::offset_of!(crate::chips::block::BlockCols<u8>, hint);
    matches!(instance.chip, Chip::Block(_)) && instance.row(row)[hint] == F::ONE
}

/// Looks for forgeries: changes up to `cells` cells of a row at random, by small amounts, carries, and swaps. A changed row that satisfies every constraint and
/// lookup and takes the same messages off the buses must put the same messages on them.
pub fn search_forgeries(
    instances: &[Instance],
    trials: usize,
    cells: usize,
    seed: u64,
) -> Vec<Forgery> {
    let tables = Tables::new(instances);
    let mut state = seed | 1;
    let mut random = move |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % n.max(1)
    };
    let mut found = Vec::new();
    // The initial time of a word, the time to which a version is brought forward, and how much of the memory tree is opened beyond need are the prover's to choose.
    let free = |chip: &Chip| matches!(chip, Chip::Boundary(_) | Chip::Gap(_) | Chip::Merkle(_));
    for instance in instances.iter().filter(|i| {
        i.preprocessed.is_none() && i.chip.main_next_row_columns().is_empty() && !free(&i.chip)
    }) {
        let (height, width) = (instance.trace.height(), instance.trace.width());
        for _ in 0..trials {
            let row = random(height);
            if is_hint(instance, row) {
                continue;
            }
            let honest = instance.row(row);
            let Some(expected) = effect(&instance.eval_cells(row, honest, honest), &tables, false)
            else {
                continue;
            };
            let mut changed = honest.to_vec();
            let mut changes = Vec::new();
            for _ in 0..1 + random(cells) {
                let column = random(width);
                let old = changed[column];
                let value = match random(9) {
                    0 => old + F::ONE,
                    1 => old - F::ONE,
                    2 => F::ONE - old,
                    3 => old + F::from_u32(1 << 16),
                    4 => old - F::from_u32(1 << 16),
                    5 => honest[random(width)],
                    6 => instance.row(random(height))[column],
                    7 => F::from_u32(random(1 << 16) as u32),
                    _ => F::ZERO,
                };
                changed[column] = value;
                changes.push((column, value));
            }
            let Some(got) = effect(&instance.eval_cells(row, &changed, &changed), &tables, false)
            else {
                continue;
            };
            let inputs = |e: &HashMap<Message, F>| -> HashMap<Message, F> {
                e.iter().filter(|(_, c)| **c != F::ONE).map(|(m, c)| (m.clone(), *c)).collect()
            };
            if got != expected && inputs(&got) == inputs(&expected) {
                found.push(Forgery { chip: instance.chip.name(), row, cells: changes });
            }
        }
    }
    found
}
