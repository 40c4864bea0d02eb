//! Poseidon2 permutations of width 16, one a row, with links to the row before and a Horner accumulator over the first eight cells.
//!
//! Preprocessed flags of row `r` say how the cells of row `r + 1` come about (cyclically, so that the first row is bound, too).

use super::{Fixed, Rows, log_height, message, read_cells, slot_cells};
use crate::circuit::{Circuit, Link, PermRow};
use crate::run::{Witness, limbs};
use cairn_prover::bus::F;
use cairn_prover::columns;
use cairn_prover::columns::Columns;
use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::{
    GenericPoseidon2LinearLayersKoalaBear, KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL,
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL, KOALABEAR_POSEIDON2_RC_16_INTERNAL,
};
use p3_lookup::InteractionBuilder;
use p3_matrix::dense::RowMajorMatrix;
use p3_poseidon2::GenericPoseidon2LinearLayers;
use rayon::prelude::*;

columns! {
    /// Columns.
    pub struct PermCols {
        /// The state before.
        input: [T; 16],
        /// State after each of the four first full rounds; the round's formula.
        begin: [[T; 16]; 4],
        /// The S-box output of each of the twenty partial rounds; the round's formula.
        partial: [T; 20],
        /// State after each of the four last full rounds, the last of them the output; the round's formula.
        end: [[T; 16]; 4],
        /// The side of the digest in a Merkle step; bound by its wire.
        bit: T,
        /// The accumulator's base; bound by its wire, or the row before.
        point: [T; 4],
        /// The accumulator after each of the first eight cells; by Horner's formula.
        sums: [[T; 4]; 8],
        /// The accumulator that is given to a wire; the one selected.
        emitted: [T; 4],
    }
}

columns! {
    /// Columns for constraints of degree 9: every second full round and every fourth step of the accumulator follow from the others.
    pub struct CompactCols {
        /// The state before.
        input: [T; 16],
        /// State after the second and the fourth full round; the two rounds' formula.
        begin: [[T; 16]; 2],
        /// The S-box output of each of the twenty partial rounds; the round's formula.
        partial: [T; 20],
        /// State after the second last and the last full round, the last of them the output; the two rounds' formula.
        end: [[T; 16]; 2],
        /// The side of the digest in a Merkle step; bound by its wire.
        bit: T,
        /// The accumulator's base; bound by its wire, or the row before.
        point: [T; 4],
        /// The accumulator after the first and the fifth cell; by Horner's formula.
        sums: [[T; 4]; 2],
        /// The accumulator that is given to a wire; the one selected.
        emitted: [T; 4],
    }
}

columns! {
    /// Preprocessed columns.
    pub struct PermFixed {
        /// The next row's cell is zero or kept.
        bound: [T; 8],
        /// As `bound`, for all of the second half.
        bound_high: T,
        /// Bound cells of the next row are kept (otherwise zero).
        keep: T,
        /// The next row is a Merkle step.
        merkle: T,
        /// The next row's accumulator goes on from this one's.
        resume: T,
        /// The next row's accumulator has the same base.
        same_point: T,
        /// After which cell the accumulator is given to a wire.
        emit: [T; 8],
        /// Wire and multiplicity of the four wires before, the four after, the bit, the point, the emitted accumulator.
        slots: [[T; 2]; 11],
    }
}

/// Columns.
pub const WIDTH: usize = <PermCols<F> as Columns<F>>::WIDTH;
/// Columns of the compact layout.
pub const COMPACT_WIDTH: usize = <CompactCols<F> as Columns<F>>::WIDTH;
/// Preprocessed columns.
pub const FIXED_WIDTH: usize = <PermFixed<F> as Columns<F>>::WIDTH;

type Layers = GenericPoseidon2LinearLayersKoalaBear;

/// The table.
#[derive(Clone, Debug)]
pub struct PermAir {
    /// Whether it has the columns of [`CompactCols`].
    pub compact: bool,
    /// Preprocessed cells.
    pub fixed: Fixed,
}

/// A row in either layout; what is not committed follows from the rest.
struct View<V> {
    input: [V; 16],
    begin: [Option<[V; 16]>; 4],
    partial: [V; 20],
    end: [Option<[V; 16]>; 3],
    output: [V; 16],
    bit: V,
    point: [V; 4],
    first_sum: [V; 4],
    sums: [Option<[V; 4]>; 7],
    emitted: [V; 4],
}

impl<V: Copy> View<V> {
    fn of(row: &[V], compact: bool) -> Self {
        if compact {
            let c: &CompactCols<V> = Columns::of(row);
            Self {
                input: c.input,
                begin: [None, Some(c.begin[0]), None, Some(c.begin[1])],
                partial: c.partial,
                end: [None, Some(c.end[0]), None],
                output: c.end[1],
                bit: c.bit,
                point: c.point,
                first_sum: c.sums[0],
                sums: [None, None, None, Some(c.sums[1]), None, None, None],
                emitted: c.emitted,
            }
        } else {
            let c: &PermCols<V> = Columns::of(row);
            Self {
                input: c.input,
                begin: c.begin.map(Some),
                partial: c.partial,
                end: [c.end[0], c.end[1], c.end[2]].map(Some),
                output: c.end[3],
                bit: c.bit,
                point: c.point,
                first_sum: c.sums[0],
                sums: core::array::from_fn(|i| Some(c.sums[i + 1])),
                emitted: c.emitted,
            }
        }
    }
}

pub(super) fn fixed(circuit: &Circuit, rows: &Rows<'_>, least: usize) -> RowMajorMatrix<F> {
    let height = 1usize << log_height(rows.perms.len(), least);
    let mut cells = vec![F::ZERO; FIXED_WIDTH * height];
    let mut has_point = false;
    for (r, row) in rows.perms.iter().enumerate() {
        let before = (r + height - 1) % height;
        let cols: &mut PermFixed<F> =
            Columns::of_mut(&mut cells[before * FIXED_WIDTH..(before + 1) * FIXED_WIDTH]);
        links(cols, row);
        cols.same_point = F::from_bool(has_point && row.point.is_none());
        has_point |= row.point.is_some();
        let cols: &mut PermFixed<F> =
            Columns::of_mut(&mut cells[r * FIXED_WIDTH..(r + 1) * FIXED_WIDTH]);
        for (cell, slot) in cols.slots.iter_mut().zip(row.ins.iter().chain(&row.outs)) {
            if let Some(slot) = slot {
                *cell = slot_cells(&circuit.reads, *slot);
            }
        }
        for (cell, wire) in cols.slots[8..10].iter_mut().zip([row.bit, row.point]) {
            if let Some(wire) = wire {
                *cell = read_cells(wire);
            }
        }
        if let Some((at, wire)) = row.emit {
            cols.emit[usize::from(at)] = F::ONE;
            cols.slots[10] =
                slot_cells(&circuit.reads, crate::circuit::Slot { wire, define: true });
        }
    }
    RowMajorMatrix::new(cells, FIXED_WIDTH)
}

/// What the row before `row` says of it.
fn links(cols: &mut PermFixed<F>, row: &PermRow) {
    let bind_from = |cols: &mut PermFixed<F>, n: u8| {
        cols.bound[usize::from(n)..].fill(F::ONE);
        cols.bound_high = F::ONE;
    };
    match row.link {
        Link::Wires => {}
        Link::Start(n) => bind_from(cols, n),
        Link::Continue(n) => {
            bind_from(cols, n);
            cols.keep = F::ONE;
        }
        Link::Inject => {
            cols.bound.fill(F::ONE);
            cols.keep = F::ONE;
        }
        Link::Merkle => cols.merkle = F::ONE,
    }
    cols.resume = F::from_bool(row.resume);
}

pub(super) fn trace(witness: &Witness, compact: bool, height: usize) -> RowMajorMatrix<F> {
    let full = full_trace(witness, height);
    if !compact {
        return full;
    }
    let mut cells = vec![F::ZERO; COMPACT_WIDTH * height];
    cells.par_chunks_exact_mut(COMPACT_WIDTH).zip(full.values.par_chunks_exact(WIDTH)).for_each(
        |(row, full)| {
            let full: &PermCols<F> = Columns::of(full);
            let cols: &mut CompactCols<F> = Columns::of_mut(row);
            cols.input = full.input;
            cols.begin = [full.begin[1], full.begin[3]];
            cols.partial = full.partial;
            cols.end = [full.end[1], full.end[3]];
            cols.bit = full.bit;
            cols.point = full.point;
            cols.sums = [full.sums[0], full.sums[4]];
            cols.emitted = full.emitted;
        },
    );
    RowMajorMatrix::new(cells, COMPACT_WIDTH)
}

fn full_trace(witness: &Witness, height: usize) -> RowMajorMatrix<F> {
    let mut cells = vec![F::ZERO; WIDTH * height];
    let (used, padding) = cells.split_at_mut(WIDTH * witness.perms.len());
    used.par_chunks_exact_mut(WIDTH).zip(&witness.perms).for_each(|(row, perm)| {
        fill_permutation(row, perm.input);
        let cols: &mut PermCols<F> = Columns::of_mut(row);
        cols.bit = perm.bit;
        cols.point = limbs(&perm.point);
        for (cell, sum) in cols.sums.iter_mut().zip(&perm.sums) {
            *cell = limbs(sum);
        }
        if let Some(at) = perm.emit {
            cols.emitted = limbs(&perm.sums[usize::from(at)]);
        }
    });
    let mut empty = vec![F::ZERO; WIDTH];
    fill_permutation(&mut empty, [F::ZERO; 16]);
    padding.par_chunks_exact_mut(WIDTH).for_each(|row| row.copy_from_slice(&empty));
    RowMajorMatrix::new(cells, WIDTH)
}

fn fill_permutation(row: &mut [F], input: [F; 16]) {
    let c: &mut PermCols<F> = Columns::of_mut(row);
    c.input = input;
    let mut state = input;
    <Layers as GenericPoseidon2LinearLayers<16>>::external_linear_layer(&mut state);
    let full = |state: &mut [F; 16], rc: &[F; 16]| {
        for (s, rc) in state.iter_mut().zip(rc) {
            *s = (*s + *rc).cube();
        }
        <Layers as GenericPoseidon2LinearLayers<16>>::external_linear_layer(state);
    };
    for (rc, post) in KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL.iter().zip(&mut c.begin) {
        full(&mut state, rc);
        *post = state;
    }
    for (rc, post) in KOALABEAR_POSEIDON2_RC_16_INTERNAL.iter().zip(&mut c.partial) {
        state[0] = (state[0] + *rc).cube();
        *post = state[0];
        <Layers as GenericPoseidon2LinearLayers<16>>::internal_linear_layer(&mut state);
    }
    for (rc, post) in KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL.iter().zip(&mut c.end) {
        full(&mut state, rc);
        *post = state;
    }
}

/// One full round, pinned to `post` where that is committed.
fn full_round<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    state: &mut [AB::Expr; 16],
    rc: &[F; 16],
    post: Option<[AB::Var; 16]>,
) {
    for (s, rc) in state.iter_mut().zip(rc) {
        *s = (s.clone() + AB::Expr::from(*rc)).cube();
    }
    <Layers as GenericPoseidon2LinearLayers<16>>::external_linear_layer(state);
    for (s, post) in state.iter_mut().zip(post.into_iter().flatten()) {
        b.assert_eq(s.clone(), post);
        *s = post.into();
    }
}

fn eval_permutation<AB: InteractionBuilder<F = F>>(b: &mut AB, c: &View<AB::Var>) {
    let mut state: [AB::Expr; 16] = c.input.map(Into::into);
    <Layers as GenericPoseidon2LinearLayers<16>>::external_linear_layer(&mut state);
    for (rc, post) in KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL.iter().zip(c.begin) {
        full_round(b, &mut state, rc, post);
    }
    for (rc, post) in KOALABEAR_POSEIDON2_RC_16_INTERNAL.iter().zip(c.partial) {
        b.assert_eq((state[0].clone() + AB::Expr::from(*rc)).cube(), post);
        state[0] = post.into();
        <Layers as GenericPoseidon2LinearLayers<16>>::internal_linear_layer(&mut state);
    }
    let end = c.end.into_iter().chain([Some(c.output)]);
    for (rc, post) in KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL.iter().zip(end) {
        full_round(b, &mut state, rc, post);
    }
}

/// How the next row's cells come about.
fn eval_links<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    c: &View<AB::Var>,
    next: &View<AB::Var>,
    fixed: &PermFixed<AB::Var>,
) {
    for (i, &out) in c.output.iter().enumerate() {
        let bound = if i < 8 { fixed.bound[i] } else { fixed.bound_high };
        b.assert_zero((next.input[i] - fixed.keep * out) * bound);
    }
    for (i, &out) in c.output[..8].iter().enumerate() {
        let chosen: AB::Expr = (next.input[8 + i] - next.input[i]) * next.bit + next.input[i];
        b.assert_zero((chosen - out) * fixed.merkle);
    }
    for i in 0..4 {
        b.assert_zero((next.point[i] - c.point[i]) * fixed.same_point);
    }
}

fn limbs_of<AB: InteractionBuilder<F = F>>(cells: [AB::Var; 4]) -> [AB::Expr; 4] {
    cells.map(Into::into)
}

/// The accumulator over the first eight cells of this row, and its first step in the next row.
fn eval_sums<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    c: &View<AB::Var>,
    next: &View<AB::Var>,
    fixed: &PermFixed<AB::Var>,
) {
    let point = limbs_of::<AB>(c.point);
    let mut sum = limbs_of::<AB>(c.first_sum);
    let mut emitted: [AB::Expr; 4] = core::array::from_fn(|_| AB::Expr::ZERO);
    for i in 0..8 {
        for (emitted, sum) in emitted.iter_mut().zip(&sum) {
            *emitted += sum.clone() * fixed.emit[i];
        }
        let step = super::alu::product(&sum, &point);
        // The first step of the next row has the next row's base, which is this row's if it resumes.
        let (goes_on, x): (AB::Expr, _) = if i < 7 {
            (AB::Expr::ONE - fixed.emit[i], c.input[i + 1])
        } else {
            (fixed.resume.into(), next.input[0])
        };
        let mut after = step.map(|limb| limb * goes_on.clone());
        after[0] += x;
        let committed = if i < 7 { c.sums[i] } else { Some(next.first_sum) };
        if let Some(committed) = committed {
            for (after, committed) in after.iter_mut().zip(committed) {
                b.assert_eq(after.clone(), committed);
                *after = committed.into();
            }
        }
        sum = after;
    }
    for (emitted, cell) in emitted.into_iter().zip(c.emitted) {
        b.assert_eq(emitted, cell);
    }
}

impl PermAir {
    pub(super) fn width(&self) -> usize {
        if self.compact { COMPACT_WIDTH } else { WIDTH }
    }

    pub(super) fn eval<AB: InteractionBuilder<F = F>>(&self, b: &mut AB) {
        let main = b.main();
        let c = View::of(main.current_slice(), self.compact);
        let next = View::of(main.next_slice(), self.compact);
        let preprocessed = b.preprocessed().clone();
        let fixed: &PermFixed<AB::Var> = Columns::of(preprocessed.current_slice());
        eval_permutation(b, &c);
        eval_links(b, &c, &next, fixed);
        eval_sums(b, &c, &next, fixed);
        let quarters = c.input.chunks_exact(4).chain(c.output.chunks_exact(4));
        let mut messages: Vec<[AB::Expr; 4]> =
            quarters.map(|q| core::array::from_fn(|i| q[i].into())).collect();
        let zero = AB::Expr::ZERO;
        messages.push([c.bit.into(), zero.clone(), zero.clone(), zero]);
        messages.push(limbs_of::<AB>(c.point));
        messages.push(limbs_of::<AB>(c.emitted));
        for (slot, limbs) in fixed.slots.iter().zip(messages) {
            message(b, slot[0].into(), limbs, slot[1].into());
        }
    }
}
