//! The opening argument: reduced openings, Merkle paths, folding.
//!
//! A leaf of a tree is the sponge over the rows of all matrices of one height. The same rows are what a query reduces with powers of the batching challenge, so the permutation table does both
//! in one pass: its accumulator runs over the sponge's cells with the inverse of the challenge, and the result is scaled by one power.

use super::challenger::Challenger;
use super::shape::{Matrix, Shape, Tree};
use super::{Opened, commitment};
use crate::circuit::{Base, Builder, Link, PermRow, Wire};
use cairn_prover::bus::F;
use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};
use std::collections::BTreeMap;

/// The committed trees.
pub struct Roots {
    /// Main columns.
    pub main: [Wire; 2],
    /// Quotient chunks.
    pub quotient: [Wire; 2],
    /// Preprocessed columns.
    pub fixed: Option<[Wire; 2]>,
    /// Lookup columns.
    pub permutation: [Wire; 2],
}

impl Roots {
    fn of(&self, tree: Tree) -> [Wire; 2] {
        match tree {
            Tree::Main => self.main,
            Tree::Quotient => self.quotient,
            // `verify` has checked that there is one where there are such columns.
            Tree::Fixed => self.fixed.unwrap_or_else(|| unreachable!("no preprocessed commitment")),
            Tree::Permutation => self.permutation,
        }
    }
}

/// Matrices that one accumulator covers: neighbours in the leaf whose powers of the challenge also follow each other.
#[derive(Clone, Debug)]
struct Run {
    width: usize,
    /// First power at the point and, for a matrix opened twice, at the next point.
    offsets: [Option<usize>; 2],
}

/// The rows of one height in one tree.
#[derive(Clone, Debug)]
struct Group {
    /// log2 of the codewords' height.
    height: usize,
    runs: Vec<Run>,
}

/// One tree's leaves, tallest first.
#[derive(Clone, Debug)]
struct Leaves {
    tree: Tree,
    groups: Vec<Group>,
}

/// Assigns powers of the challenge: every height counts its own, in the order of the opening argument.
fn plan(shape: &Shape) -> Vec<Leaves> {
    let mut ladders: BTreeMap<usize, usize> = BTreeMap::new();
    let mut plan = Vec::new();
    for (tree, matrices) in shape.trees() {
        let mut groups: BTreeMap<usize, Vec<Run>> = BTreeMap::new();
        for matrix in matrices {
            let height = matrix.log_height + shape.params.log_blowup;
            let next_power = ladders.entry(height).or_insert(0);
            let first = *next_power;
            let points = if matrix.next { 2 } else { 1 };
            *next_power += points * matrix.width;
            let runs = groups.entry(height).or_default();
            match runs.last_mut() {
                Some(Run { width, offsets: [Some(start), None] })
                    if !matrix.next && *start + *width == first =>
                {
                    *width += matrix.width;
                }
                _ => runs.push(Run {
                    width: matrix.width,
                    offsets: [Some(first), matrix.next.then_some(first + matrix.width)],
                }),
            }
        }
        let groups =
            groups.into_iter().rev().map(|(height, runs)| Group { height, runs }).collect();
        plan.push(Leaves { tree, groups });
    }
    plan
}

/// What the low-degree test knows of one height before any query.
#[derive(Clone, Copy)]
struct Claim {
    /// The opened points.
    points: [Wire; 2],
    /// The claimed values, reduced, at each.
    sums: [Wire; 2],
    /// Whether anything is opened at the next point.
    next: bool,
}

fn values_of<'a>(opened: &'a [Opened], tree: Tree, matrix: &Matrix, side: usize) -> &'a [Wire] {
    let opened = &opened[matrix.instance];
    match tree {
        Tree::Main => &opened.main[side],
        Tree::Quotient => &opened.quotient[matrix.chunk],
        Tree::Fixed => &opened.fixed[side],
        Tree::Permutation => &opened.permutation[side],
    }
}

/// The claims by height. `powers` are powers of the challenge by exponent.
fn claims(
    b: &mut Builder,
    shape: &Shape,
    opened: &[Opened],
    alpha: Wire,
    zeta: Wire,
) -> BTreeMap<usize, Claim> {
    let zero = b.zero();
    let mut claims: BTreeMap<usize, (Claim, usize)> = BTreeMap::new();
    for (tree, matrices) in shape.trees() {
        for matrix in matrices {
            let height = matrix.log_height + shape.params.log_blowup;
            let generator = b.base(F::two_adic_generator(matrix.log_height));
            let next = b.mul(zeta, generator.wire());
            let (claim, offset) = claims
                .entry(height)
                .or_insert((Claim { points: [zeta, next], sums: [zero; 2], next: false }, 0));
            claim.next |= matrix.next;
            for side in 0..if matrix.next { 2 } else { 1 } {
                let values = values_of(opened, tree, &matrix, side);
                let sum = values.iter().rev().fold(zero, |sum, &v| b.mul_add(sum, alpha, v));
                let power = b.exp(alpha, *offset as u64);
                claim.sums[side] = b.mul_add(sum, power, claim.sums[side]);
                *offset += values.len();
            }
        }
    }
    claims.into_iter().map(|(height, (claim, _))| (height, claim)).collect()
}

/// Hashes private cells and reduces each run with the accumulator. The digest stays in the table for the next row, or becomes wires if `out`.
fn leaf(b: &mut Builder, runs: &[Run], point: Wire, out: bool) -> (Vec<Wire>, Option<[Wire; 2]>) {
    let total: usize = runs.iter().map(|r| r.width).sum();
    let ends: Vec<usize> = runs
        .iter()
        .scan(0, |end, run| {
            *end += run.width;
            Some(*end)
        })
        .collect();
    let (mut reduced, mut digest) = (Vec::new(), None);
    let chunks = total.div_ceil(8);
    for chunk in 0..chunks {
        let (from, to) = (8 * chunk, (8 * chunk + 8).min(total));
        let cells = (to - from) as u8;
        let mut row =
            PermRow::new(if chunk == 0 { Link::Start(cells) } else { Link::Continue(cells) });
        row.point = (chunk == 0).then(|| b.note_read(point));
        row.resume = chunk > 0 && !ends.contains(&from);
        let mut ends = ends.iter().filter(|&&end| end > from && end <= to);
        if let Some(end) = ends.next() {
            let slot = b.defining();
            row.emit = Some(((end - from - 1) as u8, slot.wire));
            reduced.push(slot.wire);
        }
        assert!(ends.next().is_none(), "two runs end in one row: no table here is that narrow");
        if out && chunk + 1 == chunks {
            let slots = [b.defining(), b.defining()];
            row.outs[..2].copy_from_slice(&slots.map(Some));
            digest = Some(slots.map(|s| s.wire));
        }
        b.push_perm(row);
    }
    (reduced, digest)
}

/// Walks from a leaf's digest, which the last row holds, to the root. `injected` are digests that join where the path reaches a height.
fn path(
    b: &mut Builder,
    bits: &[Base],
    top: usize,
    injected: &BTreeMap<usize, [Wire; 2]>,
    root: [Wire; 2],
) {
    let mut rows = Vec::new();
    for (level, bit) in bits.iter().enumerate() {
        let mut row = PermRow::new(Link::Merkle);
        row.bit = Some(b.note_read(bit.wire()));
        rows.push(row);
        if let Some(digest) = injected.get(&(top - level - 1)) {
            let mut row = PermRow::new(Link::Inject);
            row.ins[2] = Some(b.reading(digest[0]));
            row.ins[3] = Some(b.reading(digest[1]));
            rows.push(row);
        }
    }
    if let Some(last) = rows.last_mut() {
        last.outs[0] = Some(b.reading(root[0]));
        last.outs[1] = Some(b.reading(root[1]));
    }
    rows.into_iter().for_each(|row| b.push_perm(row));
}

/// A query's place in the domain.
struct Place {
    /// Bits of the index, least significant first.
    bits: Vec<Base>,
    /// `y^(2^i)` for the point `g y` of the tallest domain.
    powers: Vec<Wire>,
}

impl Place {
    fn new(b: &mut Builder, bits: Vec<Base>) -> Self {
        let mut power = rotation(b, &bits);
        let powers = (0..=bits.len())
            .map(|_| {
                let own = power;
                power = b.mul(power, power);
                own
            })
            .collect();
        Self { bits, powers }
    }
}

/// The root of unity at an index of a domain in bit-reversed order, given by the index's bits.
fn rotation(b: &mut Builder, bits: &[Base]) -> Wire {
    let one = b.one();
    bits.iter().enumerate().fold(one, |y, (i, &bit)| {
        let less = b.base(F::two_adic_generator(i + 1) - F::ONE);
        let factor = b.mul_add(bit.wire(), less.wire(), one);
        b.mul(y, factor)
    })
}

/// Verifies the opening argument.
pub fn verify(
    b: &mut Builder,
    shape: &Shape,
    challenger: &mut Challenger,
    roots: &Roots,
    opened: &[Opened],
    zeta: Wire,
) {
    let params = &shape.params;
    challenger.grind(b, params.batch_pow);
    let alpha = challenger.sample(b);
    let top = shape.max_height();
    let schedule = shape.schedule();
    challenger.observe_constants(b, &shape.fri_separator());
    let mut rounds = Vec::new();
    for &arity in &schedule {
        let root = commitment(b, challenger);
        challenger.grind(b, params.commit_pow);
        rounds.push(Round { arity, root, beta: challenger.sample(b) });
    }
    let final_poly: Vec<Wire> = (0..1usize << params.log_final_poly_len)
        .map(|_| {
            let coefficient = b.input();
            challenger.observe_element(b, coefficient);
            coefficient
        })
        .collect();
    challenger.grind(b, params.query_pow);
    let queries: Vec<Vec<Base>> =
        (0..params.num_queries).map(|_| challenger.sample_bits(b, top)).collect();

    let plan = plan(shape);
    let reduction = Reduction {
        shape,
        plan: &plan,
        roots,
        claims: claims(b, shape, opened, alpha, zeta),
        scales: scales(b, &plan, alpha),
        point: b.inverse(alpha),
    };
    for bits in queries {
        let place = Place::new(b, bits);
        let reduced = reduction.open(b, &place);
        let folded = fold(b, shape, &rounds, &place, &reduced);
        // The final polynomial at the folded point.
        let x = place.powers[schedule.iter().sum::<usize>()];
        let zero = b.zero();
        let expected = final_poly.iter().rev().fold(zero, |sum, &c| b.mul_add(sum, x, c));
        b.assert_eq(expected, folded);
    }
}

/// For each run, the powers of the challenge that its accumulator is multiplied with.
fn scales(b: &mut Builder, plan: &[Leaves], alpha: Wire) -> Vec<Vec<Vec<[Option<Wire>; 2]>>> {
    plan.iter()
        .map(|leaves| {
            leaves
                .groups
                .iter()
                .map(|group| {
                    group
                        .runs
                        .iter()
                        .map(|run| {
                            run.offsets.map(|offset| {
                                offset.map(|offset| b.exp(alpha, (offset + run.width - 1) as u64))
                            })
                        })
                        .collect()
                })
                .collect()
        })
        .collect()
}

/// What every query's reduction shares.
struct Reduction<'a> {
    shape: &'a Shape,
    plan: &'a [Leaves],
    roots: &'a Roots,
    claims: BTreeMap<usize, Claim>,
    scales: Vec<Vec<Vec<[Option<Wire>; 2]>>>,
    /// The inverse of the batching challenge.
    point: Wire,
}

impl Reduction<'_> {
    /// Opens all trees at a query; gives the reduced opening of each height.
    fn open(&self, b: &mut Builder, place: &Place) -> BTreeMap<usize, Wire> {
        let top = self.shape.max_height();
        let mut numerators: BTreeMap<usize, [Wire; 2]> =
            self.claims.iter().map(|(&height, claim)| (height, claim.sums)).collect();
        for (leaves, scales) in self.plan.iter().zip(&self.scales) {
            let Some(tallest) = leaves.groups.first() else { continue };
            let mut injected = BTreeMap::new();
            let order = (1..leaves.groups.len()).chain([0]);
            for i in order {
                let group = &leaves.groups[i];
                let (reduced, digest) = leaf(b, &group.runs, self.point, i > 0);
                injected.extend(digest.map(|digest| (group.height, digest)));
                if let Some(numerators) = numerators.get_mut(&group.height) {
                    for (&sum, scales) in reduced.iter().zip(&scales[i]) {
                        for (numerator, scale) in numerators.iter_mut().zip(scales) {
                            if let Some(scale) = scale {
                                *numerator = b.sub_mul(*numerator, sum, *scale);
                            }
                        }
                    }
                }
            }
            let bits = &place.bits[top - tallest.height..];
            path(b, bits, tallest.height, &injected, self.roots.of(leaves.tree));
        }
        let generator = b.base(F::GENERATOR);
        self.claims
            .iter()
            .map(|(&height, claim)| {
                let x = b.mul(place.powers[top - height], generator.wire());
                let mut sum = b.zero();
                let points = if claim.next { 2 } else { 1 };
                for (&point, &numerator) in
                    claim.points.iter().zip(&numerators[&height]).take(points)
                {
                    let below = b.sub(point, x);
                    let quotient = b.div(numerator, below);
                    sum = b.add(sum, quotient);
                }
                // A polynomial of one coefficient leaves no remainder to fold.
                if height == self.shape.params.log_blowup {
                    b.assert_zero(sum);
                }
                (height, sum)
            })
            .collect()
    }
}

/// A folding round.
struct Round {
    arity: usize,
    root: [Wire; 2],
    beta: Wire,
}

/// Folds a query's reduced openings down.
fn fold(
    b: &mut Builder,
    shape: &Shape,
    rounds: &[Round],
    place: &Place,
    reduced: &BTreeMap<usize, Wire>,
) -> Wire {
    let top = shape.max_height();
    let mut height = top;
    let mut folded = reduced.get(&top).copied().unwrap_or_else(|| b.zero());
    let mut joined = 1;
    for round in rounds {
        let from = top - height;
        let bits = &place.bits[from..from + round.arity];
        let row = evaluations(b, 1 << round.arity);
        height -= round.arity;
        path(b, &place.bits[top - height..], height, &BTreeMap::new(), round.root);
        let own = choose(b, bits, &row);
        b.assert_eq(own, folded);
        folded = interpolate(b, place.powers[from], bits, round.beta, row);
        if let Some(&joins) = reduced.get(&height) {
            let power = b.exp_power_of_2(round.beta, round.arity);
            folded = b.mul_add(power, joins, folded);
            joined += 1;
        }
    }
    // Those of one coefficient are zero.
    let constant =
        height > shape.params.log_blowup && reduced.contains_key(&shape.params.log_blowup);
    assert_eq!(joined + usize::from(constant), reduced.len(), "every height joins the folding");
    folded
}

/// Hashes private elements, which become wires; the digest stays in the last row.
fn evaluations(b: &mut Builder, count: usize) -> Vec<Wire> {
    let mut row_wires = Vec::new();
    for from in (0..count).step_by(2) {
        let cells = 4 * (count - from).min(2) as u8;
        let mut row =
            PermRow::new(if from == 0 { Link::Start(cells) } else { Link::Continue(cells) });
        for slot in row.ins.iter_mut().take((count - from).min(2)) {
            let defined = b.defining();
            row_wires.push(defined.wire);
            *slot = Some(defined);
        }
        b.push_perm(row);
    }
    row_wires
}

/// The element at an index given by its bits.
fn choose(b: &mut Builder, bits: &[Base], row: &[Wire]) -> Wire {
    let mut row = row.to_vec();
    for &bit in bits {
        row = row.chunks(2).map(|pair| b.select(bit, pair[1], pair[0])).collect();
    }
    row[0]
}

/// The polynomial through a row of evaluations, at `beta`, by halving: a pair at `p` and `-p` folds to `(e0 + e1) / 2 + beta (e0 - e1) / (2 p)`. The queried point is that of the row's first
/// evaluation times the root of unity at `bits`; it is not zero.
fn interpolate(b: &mut Builder, point: Wire, bits: &[Base], beta: Wire, row: Vec<Wire>) -> Wire {
    let turned = rotation(b, bits);
    let turned = b.mul(beta, turned);
    let mut ratio = b.div(turned, point);
    let half = b.base(F::TWO.inverse());
    let mut row = row;
    for level in (1..=bits.len()).rev() {
        let root = F::two_adic_generator(level).inverse();
        row = row
            .chunks(2)
            .enumerate()
            .map(|(j, pair)| {
                let power = root.exp_u64(reverse_bits(j, level - 1) as u64);
                let scale = b.base(-power.halve());
                let weight = b.mul_add(ratio, scale.wire(), half.wire());
                // The same difference as where one of the two is chosen.
                let difference = b.sub(pair[1], pair[0]);
                b.mul_add(difference, weight, pair[0])
            })
            .collect();
        ratio = b.mul(ratio, ratio);
    }
    row[0]
}

fn reverse_bits(x: usize, bits: usize) -> usize {
    (0..bits).fold(0, |r, i| r | (x >> i & 1) << (bits - 1 - i))
}
