//! The chips' test harness: evaluates an AIR row by row over plain field elements, collects its bus messages, and corrupts cells.
//!
//! * [`check_trace`]: every constraint holds on every row and every fixed lookup is in its table; returns the [`Balance`] of all other buses.
//! * [`mutate`]: for every column and several ways of corrupting it, the corruption must break a constraint, make a lookup miss its table, or change the row's
//!   messages on some other bus (so that the bus no longer balances). A prover can always adapt the multiplicities of lookup tables, so a lookup that still hits does not count as caught.

use crate::bus::{F, TAG_AND, TAG_BYTES};
use crate::columns::ColumnGroup;
use p3_air::{Air, AirBuilder, BaseAir, RowWindow};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::dense::RowMajorMatrix;
use std::collections::BTreeMap;

/// One message: bus, fields, signed count.
pub type Message = (String, Vec<F>, F);

/// Evaluates one row.
pub struct RowBuilder<'a> {
    main: RowWindow<'a, F>,
    preprocessed: RowWindow<'a, F>,
    public_values: &'a [F],
    first: bool,
    last: bool,
    constraints: usize,
    /// Indices of the constraints that do not hold.
    pub failed: Vec<usize>,
    /// Messages with a non-zero count.
    pub messages: Vec<Message>,
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
        F::from_bool(self.first)
    }
    fn is_last_row(&self) -> F {
        F::from_bool(self.last)
    }
    fn is_transition(&self) -> F {
        F::from_bool(!self.last)
    }
    fn assert_zero<I: Into<F>>(&mut self, x: I) {
        if x.into() != F::ZERO {
            self.failed.push(self.constraints);
        }
        self.constraints += 1;
    }
    fn public_values(&self) -> &[F] {
        self.public_values
    }
}

impl InteractionBuilder for RowBuilder<'_> {
    fn push_interaction<E: Into<F>>(
        &mut self,
        bus_name: &str,
        fields: impl IntoIterator<Item = E>,
        count: impl Into<Count<F>>,
    ) {
        let (count, _) = count.into().into_parts();
        let fields: Vec<F> = fields.into_iter().map(Into::into).collect();
        if count != F::ZERO {
            self.messages.push((bus_name.to_owned(), fields, count));
        }
    }

    fn push_local_interaction(&mut self, tuples: impl IntoIterator<Item = (Vec<F>, Count<F>)>) {
        for (fields, count) in tuples {
            self.push_interaction("local", fields, count);
        }
    }

    fn push_exclusive_interaction(
        &mut self,
        bus_name: &str,
        branches: impl IntoIterator<Item = (F, Count<F>, Vec<F>)>,
    ) {
        // As the LogUp gadget combines them: only right if the flags are exclusive, so anything else is a failed constraint.
        let mut total = F::ZERO;
        for (flag, count, fields) in branches {
            let (count, _) = count.into_parts();
            self.assert_zero(flag * (flag - F::ONE));
            total += flag;
            if flag != F::ZERO {
                self.push_interaction(bus_name, fields, Count::bounded(flag * count, 1));
            }
        }
        self.assert_zero(total * (total - F::ONE));
    }
}

/// An AIR with its trace.
pub struct Subject<'a, A> {
    /// The AIR.
    pub air: &'a A,
    /// Its main trace.
    pub main: &'a RowMajorMatrix<F>,
    /// Public values.
    pub public_values: &'a [F],
}

impl<A> Subject<'_, A>
where
    A: for<'b> Air<RowBuilder<'b>> + BaseAir<F>,
{
    fn height(&self) -> usize {
        self.main.values.len() / self.main.width
    }

    /// Evaluates the row `current` (which stands at index `row`) with the row `next` after it.
    fn eval(
        &self,
        preprocessed: Option<&RowMajorMatrix<F>>,
        row: usize,
        current: &[F],
        next: &[F],
    ) -> (Vec<usize>, Vec<Message>) {
        let height = self.height();
        let pre =
            |i: usize| preprocessed.map_or(&[][..], |p| &p.values[i * p.width..(i + 1) * p.width]);
        let mut builder = RowBuilder {
            main: RowWindow::from_two_rows(current, next),
            preprocessed: RowWindow::from_two_rows(pre(row), pre((row + 1) % height)),
            public_values: self.public_values,
            first: row == 0,
            last: row + 1 == height,
            constraints: 0,
            failed: Vec::new(),
            messages: Vec::new(),
        };
        self.air.eval(&mut builder);
        (builder.failed, builder.messages)
    }

    fn row(&self, i: usize) -> &[F] {
        let width = self.main.width;
        &self.main.values[i * width..(i + 1) * width]
    }
}

/// Whether a message is a lookup in a table of fixed content, and if so, whether the table holds it.
/// (Instruction and ecall tables depend on the program; those messages count as ordinary ones.)
pub fn fixed_lookup(bus: &str, fields: &[F]) -> Option<bool> {
    if bus != crate::bus::LOOKUP.name() {
        return None;
    }
    let f: Vec<u32> = fields.iter().map(F::as_canonical_u32).collect();
    match f[0] {
        bits @ 0..=16 => Some(f[1] < 1 << bits && f[2..].iter().all(|&x| x == 0)),
        TAG_AND => {
            Some(f[1] < 256 && f[2] < 256 && f[3] == f[1] & f[2] && f[4..].iter().all(|&x| x == 0))
        }
        TAG_BYTES => Some(f[1] < 256 && f[2] < 256 && f[3..].iter().all(|&x| x == 0)),
        _ => None,
    }
}

/// Net count of every message on the buses that are not fixed lookups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balance(BTreeMap<(String, Vec<u32>), F>);

impl Balance {
    /// Adds a message.
    pub fn add(&mut self, bus: &str, fields: &[F], count: F) {
        let key = (bus.to_owned(), fields.iter().map(F::as_canonical_u32).collect());
        let sum = self.0.get(&key).copied().unwrap_or(F::ZERO) + count;
        if sum == F::ZERO {
            self.0.remove(&key);
        } else {
            self.0.insert(key, sum);
        }
    }

    /// Adds another balance.
    pub fn merge(&mut self, other: &Self) {
        for ((bus, fields), count) in &other.0 {
            let fields: Vec<F> = fields.iter().map(|&f| F::from_u32(f)).collect();
            self.add(bus, &fields, *count);
        }
    }

    /// Whether everything cancels.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of(messages: &[Message]) -> Option<Self> {
        let mut balance = Self::default();
        for (bus, fields, count) in messages {
            match fixed_lookup(bus, fields) {
                Some(true) => {}
                Some(false) => return None,
                None => balance.add(bus, fields, *count),
            }
        }
        Some(balance)
    }
}

/// Checks every row of a trace.
///
/// # Panics
/// When a constraint does not hold or a fixed lookup misses.
pub fn check_trace<A>(air: &A, main: &RowMajorMatrix<F>, public_values: &[F]) -> Balance
where
    A: for<'b> Air<RowBuilder<'b>> + BaseAir<F>,
{
    let subject = Subject { air, main, public_values };
    let preprocessed = air.preprocessed_trace();
    let mut balance = Balance::default();
    for row in 0..subject.height() {
        let (failed, messages) = subject.eval(
            preprocessed.as_ref(),
            row,
            subject.row(row),
            subject.row((row + 1) % subject.height()),
        );
        assert!(failed.is_empty(), "row {row}: constraints {failed:?} do not hold");
        for (bus, fields, count) in &messages {
            match fixed_lookup(bus, fields) {
                Some(true) => {}
                Some(false) => panic!("row {row}: lookup {fields:?} misses"),
                None => balance.add(bus, fields, *count),
            }
        }
    }
    balance
}

/// Lookups in fixed tables made by a trace, with their counts: what [`crate::counts::Counts`] must say.
pub fn fixed_lookups<A>(
    air: &A,
    main: &RowMajorMatrix<F>,
    public_values: &[F],
) -> BTreeMap<Vec<u32>, u32>
where
    A: for<'b> Air<RowBuilder<'b>> + BaseAir<F>,
{
    let subject = Subject { air, main, public_values };
    let preprocessed = air.preprocessed_trace();
    let mut out = BTreeMap::new();
    for row in 0..subject.height() {
        let (_, messages) = subject.eval(
            preprocessed.as_ref(),
            row,
            subject.row(row),
            subject.row((row + 1) % subject.height()),
        );
        for (bus, fields, count) in &messages {
            if fixed_lookup(bus, fields).is_some() {
                *out.entry(fields.iter().map(F::as_canonical_u32).collect()).or_insert(0) +=
                    count.as_canonical_u32();
            }
        }
    }
    out
}

/// The fixed lookups that a [`crate::counts::Counts`] holds, in the form of [`fixed_lookups`].
pub fn counted_lookups(counts: &crate::counts::Counts) -> BTreeMap<Vec<u32>, u32> {
    let fixed =
        counts.range_counts().iter().chain(counts.and_counts()).enumerate().map(|(i, &count)| {
            let [tag, a, b, c] = crate::counts::fixed_row(i);
            (vec![tag, a, b, c, 0, 0], count)
        });
    let pair = |i: usize| vec![TAG_BYTES, (i >> 8) as u32, (i & 0xff) as u32, 0, 0, 0];
    let bytes = counts.bytes_counts().iter().enumerate().map(|(i, &count)| (pair(i), count));
    fixed.chain(bytes).filter(|(_, count)| *count > 0).collect()
}

/// The ways of corrupting a cell.
pub const STRATEGIES: [&str; 5] = ["+1", "zero", "p-1", "neighbour column", "other row"];

/// What [`mutate`] found.
#[derive(Debug, Default)]
pub struct Coverage {
    /// Columns for which at least one corruption was tried and every one was caught (or excused).
    pub covered: usize,
    /// All columns.
    pub total: usize,
    /// Corruptions tried.
    pub tried: usize,
    /// Corruptions that went unnoticed: (column name, strategy, row).
    pub missed: Vec<(String, &'static str, usize)>,
}

/// Corrupts every column of the given rows in every way of [`STRATEGIES`].
///
/// `excused(name, row cells)` names cells that are free in that row by design (for example the inverse of zero, or a multiplicity of a table row nobody claims); a
/// column must still be caught in at least one row.
pub fn mutate<A>(
    air: &A,
    main: &RowMajorMatrix<F>,
    public_values: &[F],
    columns: &[ColumnGroup],
    rows: &[usize],
    excused: impl Fn(&str, &[F]) -> bool,
) -> Coverage
where
    A: for<'b> Air<RowBuilder<'b>> + BaseAir<F>,
{
    let subject = Subject { air, main, public_values };
    let preprocessed = air.preprocessed_trace();
    let height = subject.height();
    let names: Vec<String> = columns
        .iter()
        .flat_map(|group| (0..group.len).map(|i| format!("{}[{i}]", group.name)))
        .collect();
    assert_eq!(names.len(), main.width, "every column has a name");
    let uses_next = !air.main_next_row_columns().is_empty();
    // The rows whose evaluation a change of `row` can affect: itself, and the one before when the AIR looks ahead.
    let observe = |row: usize, cells: &[F]| -> Option<Balance> {
        let next = if height == 1 { cells } else { subject.row((row + 1) % height) };
        let (failed, mut messages) = subject.eval(preprocessed.as_ref(), row, cells, next);
        if !failed.is_empty() {
            return None;
        }
        if uses_next && height > 1 {
            let before = (row + height - 1) % height;
            let (failed, more) =
                subject.eval(preprocessed.as_ref(), before, subject.row(before), cells);
            if !failed.is_empty() {
                return None;
            }
            messages.extend(more);
        }
        Balance::of(&messages)
    };
    let mut coverage = Coverage { total: main.width, ..Coverage::default() };
    let honest: Vec<Balance> = rows
        .iter()
        .map(|&row| observe(row, subject.row(row)).expect("the trace is honest"))
        .collect();
    for (column, name) in names.iter().enumerate() {
        let (mut caught, mut missed) = (false, false);
        for (&row, honest) in rows.iter().zip(&honest) {
            let old = subject.row(row)[column];
            let other = subject.row((row + 1) % height)[column];
            let neighbour = subject.row(row)[(column + 1) % main.width];
            let values = [old + F::ONE, F::ZERO, -F::ONE, neighbour, other];
            for (value, strategy) in values.into_iter().zip(STRATEGIES) {
                if value == old {
                    continue;
                }
                let mut cells = subject.row(row).to_vec();
                cells[column] = value;
                coverage.tried += 1;
                if observe(row, &cells).is_none_or(|balance| balance != *honest) {
                    caught = true;
                } else if !excused(name, subject.row(row)) {
                    missed = true;
                    coverage.missed.push((name.clone(), strategy, row));
                }
            }
        }
        if !caught && !missed {
            coverage.missed.push((name.clone(), "never caught", 0));
        }
        coverage.covered += usize::from(caught && !missed);
    }
    coverage
}

/// Asserts that [`mutate`] covers every column.
///
/// # Panics
/// When a corruption is not noticed.
pub fn assert_covered(coverage: &Coverage) {
    assert!(
        coverage.missed.is_empty(),
        "{} corruptions unnoticed: {:?}",
        coverage.missed.len(),
        &coverage.missed[..coverage.missed.len().min(20)]
    );
    assert_eq!(coverage.covered, coverage.total);
}

/// Whether row `row` of a trace fails: a constraint, or a lookup.
pub fn row_fails<A>(air: &A, main: &RowMajorMatrix<F>, public_values: &[F], row: usize) -> bool
where
    A: for<'b> Air<RowBuilder<'b>> + BaseAir<F>,
{
    let subject = Subject { air, main, public_values };
    let next = subject.row((row + 1) % subject.height());
    let (failed, messages) =
        subject.eval(air.preprocessed_trace().as_ref(), row, subject.row(row), next);
    !failed.is_empty() || Balance::of(&messages).is_none()
}

/// Asserts that no single-cell corruption of a padding row (one that says nothing) satisfies the constraints and speaks on a bus, unless it claims a call
/// on the accelerator bus, which only the ecall chip gives out.
///
/// # Panics
/// When one does.
pub fn assert_padding_is_silent<A>(
    air: &A,
    main: &RowMajorMatrix<F>,
    public_values: &[F],
    row: usize,
) where
    A: for<'b> Air<RowBuilder<'b>> + BaseAir<F>,
{
    let subject = Subject { air, main, public_values };
    let preprocessed = air.preprocessed_trace();
    let next = subject.row((row + 1) % subject.height());
    for column in 0..main.width {
        for value in [F::ONE, F::TWO, -F::ONE, F::from_u32(0x1234)] {
            let mut cells = subject.row(row).to_vec();
            cells[column] = value;
            let (failed, messages) = subject.eval(preprocessed.as_ref(), row, &cells, next);
            let caught = !failed.is_empty() || Balance::of(&messages).is_none();
            let claims_a_call = messages.iter().any(|(bus, _, _)| bus == crate::bus::ACCEL.name());
            assert!(
                caught || messages.is_empty() || claims_a_call,
                "column {column} of padding row {row} speaks: {messages:?}"
            );
        }
    }
}

/// Whether a piece of constraints over constants holds, lookups included.
pub fn holds(eval: impl FnOnce(&mut RowBuilder<'_>)) -> bool {
    let window = RowWindow::from_two_rows(&[], &[]);
    let mut builder = RowBuilder {
        main: window,
        preprocessed: window,
        public_values: &[],
        first: true,
        last: true,
        constraints: 0,
        failed: Vec::new(),
        messages: Vec::new(),
    };
    eval(&mut builder);
    builder.failed.is_empty() && Balance::of(&builder.messages).is_some()
}
