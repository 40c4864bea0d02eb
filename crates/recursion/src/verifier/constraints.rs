//! The AIRs' constraints at the opened point.

use super::shape::{InstanceShape, Shape, domain};
use super::{Opened, recompose};
use crate::circuit::{Base, Builder, Wire};
use cairn_prover::bus::{EF, F};
use p3_air::symbolic::{
    BaseEntry, BaseLeaf, ExtEntry, ExtLeaf, SymbolicExpr, SymbolicExpression, SymbolicExpressionExt,
};
use p3_commit::PolynomialSpace;
use p3_field::{Field, PrimeCharacteristicRing, TwoAdicField};
use p3_lookup::Kind;
use std::collections::HashMap;
use std::sync::Arc;

/// The challenges of every lookup: `[prefix of its bus, beta]`, as the native verifier lays them out.
pub struct LookupChallenges {
    /// By instance.
    pub per_instance: Vec<Vec<Wire>>,
}

impl LookupChallenges {
    /// Numbers the buses in order of appearance, and gives each its prefix.
    pub fn new(b: &mut Builder, shape: &Shape, alpha: Wire, beta: Wire) -> Self {
        let mut names: HashMap<&str, usize> = HashMap::new();
        let (mut buses, mut widest) = (0, 1);
        let mut ids = Vec::new();
        for instance in &shape.instances {
            let mut of_instance = Vec::new();
            for lookup in instance.lookups.iter() {
                widest = lookup.elements.iter().map(Vec::len).fold(widest, usize::max);
                let fresh = |buses: &mut usize| {
                    *buses += 1;
                    *buses - 1
                };
                of_instance.push(match &lookup.kind {
                    Kind::Global(name) => *names.entry(name).or_insert_with(|| fresh(&mut buses)),
                    Kind::Local => fresh(&mut buses),
                });
            }
            ids.push(of_instance);
        }
        let gamma = b.exp(beta, widest as u64);
        let mut prefix = alpha;
        let prefixes: Vec<Wire> = (0..buses)
            .map(|_| {
                prefix = b.add(prefix, gamma);
                prefix
            })
            .collect();
        let per_instance = ids
            .into_iter()
            .map(|ids| ids.into_iter().flat_map(|id| [prefixes[id], beta]).collect())
            .collect();
        Self { per_instance }
    }
}

/// Where an instance's variables are.
pub struct Env<'a> {
    /// Openings.
    pub opened: &'a Opened,
    /// Public values.
    pub public: &'a [Base],
    /// Challenges of the lookups.
    pub challenges: &'a [Wire],
    /// The lookups' sum.
    pub terminal: Option<Wire>,
    /// The opened point.
    pub zeta: Wire,
    /// Folds the constraints.
    pub alpha: Wire,
}

/// Selectors at the point.
struct Selectors {
    first: Wire,
    last: Wire,
    transition: Wire,
    inverse_vanishing: Wire,
}

fn selectors(b: &mut Builder, log_height: usize, zeta: Wire) -> Selectors {
    let one = b.one();
    let power = b.exp_power_of_2(zeta, log_height);
    let vanishing = b.sub(power, one);
    let end = b.base(F::two_adic_generator(log_height).inverse());
    let from_first = b.sub(zeta, one);
    let from_last = b.sub(zeta, end.wire());
    Selectors {
        first: b.div(vanishing, from_first),
        last: b.div(vanishing, from_last),
        transition: from_last,
        inverse_vanishing: b.inverse(vanishing),
    }
}

/// The quotient at the point from its chunks.
fn quotient(b: &mut Builder, instance: &InstanceShape, opened: &Opened, zeta: Wire) -> Wire {
    let chunks = 1usize << instance.log_chunks;
    let domains = domain(instance.log_height)
        .create_disjoint_domain(1 << (instance.log_height + instance.log_chunks))
        .split_domains(chunks);
    let power = b.exp_power_of_2(zeta, instance.log_height);
    let minus_one = b.base(F::NEG_ONE);
    // Each domain's vanishing polynomial at the point.
    let vanishing: Vec<Wire> = domains
        .iter()
        .map(|d| {
            let scale = b.base(d.shift_inverse().exp_power_of_2(instance.log_height));
            b.mul_add(power, scale.wire(), minus_one.wire())
        })
        .collect();
    let mut sum = b.zero();
    for (i, values) in opened.quotient.iter().enumerate() {
        let mut factor = b.one();
        for j in (0..chunks).filter(|&j| j != i) {
            let scale = domains[j].vanishing_poly_at_point(domains[i].first_point()).inverse();
            let scale = b.base(scale);
            let term = b.mul(vanishing[j], scale.wire());
            factor = b.mul(factor, term);
        }
        let chunk = recompose(b, values);
        sum = b.mul_add(factor, chunk, sum);
    }
    sum
}

/// Checks that the constraints of an instance, folded, are the quotient times the vanishing polynomial.
pub fn check(b: &mut Builder, instance: &InstanceShape, env: &Env<'_>) {
    let permutation = [0, 1].map(|side| {
        env.opened.permutation[side].chunks(4).map(|c| recompose(b, c)).collect::<Vec<_>>()
    });
    let mut evaluation = Evaluation {
        env,
        selectors: selectors(b, instance.log_height, env.zeta),
        permutation,
        base: HashMap::new(),
        extension: HashMap::new(),
    };
    let mut folded = b.zero();
    for constraint in &instance.constraints.0 {
        let value = evaluation.eval(b, constraint);
        folded = b.mul_add(folded, env.alpha, value);
    }
    for constraint in &instance.constraints.1 {
        let value = evaluation.eval_extension(b, constraint);
        folded = b.mul_add(folded, env.alpha, value);
    }
    let quotient = quotient(b, instance, env.opened, env.zeta);
    b.assert_product(folded, evaluation.selectors.inverse_vanishing, quotient);
}

/// Evaluates symbolic expressions, each shared part once.
struct Evaluation<'a> {
    env: &'a Env<'a>,
    selectors: Selectors,
    permutation: [Vec<Wire>; 2],
    base: HashMap<*const SymbolicExpression<F>, Wire>,
    extension: HashMap<*const SymbolicExpressionExt<F, EF>, Wire>,
}

impl Evaluation<'_> {
    fn leaf(&mut self, b: &mut Builder, leaf: &BaseLeaf<F>) -> Wire {
        match leaf {
            BaseLeaf::Constant(c) => b.base(*c).wire(),
            BaseLeaf::IsFirstRow => self.selectors.first,
            BaseLeaf::IsLastRow => self.selectors.last,
            BaseLeaf::IsTransition => self.selectors.transition,
            BaseLeaf::Variable(v) => match v.entry {
                // Out of range for an AIR that reads a next row without declaring it: natively it would read zeros, and its transitions would say nothing.
                BaseEntry::Main { offset } => self.env.opened.main[offset.min(1)][v.index],
                BaseEntry::Preprocessed { offset } => self.env.opened.fixed[offset.min(1)][v.index],
                BaseEntry::Public => self.env.public[v.index].wire(),
                BaseEntry::Periodic => unreachable!("no AIR here has periodic columns"),
            },
        }
    }

    fn shared(&mut self, b: &mut Builder, e: &Arc<SymbolicExpression<F>>) -> Wire {
        let key = Arc::as_ptr(e);
        if let Some(&wire) = self.base.get(&key) {
            return wire;
        }
        let wire = self.eval(b, e);
        self.base.insert(key, wire);
        wire
    }

    fn eval(&mut self, b: &mut Builder, e: &SymbolicExpression<F>) -> Wire {
        match e {
            SymbolicExpr::Leaf(leaf) => self.leaf(b, leaf),
            SymbolicExpr::Add { x, y, .. } => {
                if let SymbolicExpr::Mul { x: p, y: q, .. } = &**x {
                    let (p, q, y) = (self.shared(b, p), self.shared(b, q), self.shared(b, y));
                    return b.mul_add(p, q, y);
                }
                if let SymbolicExpr::Mul { x: p, y: q, .. } = &**y {
                    let (p, q, x) = (self.shared(b, p), self.shared(b, q), self.shared(b, x));
                    return b.mul_add(p, q, x);
                }
                let (x, y) = (self.shared(b, x), self.shared(b, y));
                b.add(x, y)
            }
            SymbolicExpr::Sub { x, y, .. } => {
                let x = self.shared(b, x);
                if let SymbolicExpr::Mul { x: p, y: q, .. } = &**y {
                    let (p, q) = (self.shared(b, p), self.shared(b, q));
                    return b.sub_mul(x, p, q);
                }
                let y = self.shared(b, y);
                b.sub(x, y)
            }
            SymbolicExpr::Neg { x, .. } => {
                let (zero, x) = (b.zero(), self.shared(b, x));
                b.sub(zero, x)
            }
            SymbolicExpr::Mul { x, y, .. } => {
                let (x, y) = (self.shared(b, x), self.shared(b, y));
                b.mul(x, y)
            }
        }
    }

    fn shared_extension(&mut self, b: &mut Builder, e: &Arc<SymbolicExpressionExt<F, EF>>) -> Wire {
        let key = Arc::as_ptr(e);
        if let Some(&wire) = self.extension.get(&key) {
            return wire;
        }
        let wire = self.eval_extension(b, e);
        self.extension.insert(key, wire);
        wire
    }

    fn eval_extension(&mut self, b: &mut Builder, e: &SymbolicExpressionExt<F, EF>) -> Wire {
        match e {
            SymbolicExpr::Leaf(ExtLeaf::Base(e)) => self.eval(b, e),
            SymbolicExpr::Leaf(ExtLeaf::ExtConstant(c)) => b.constant(*c),
            SymbolicExpr::Leaf(ExtLeaf::ExtVariable(v)) => match v.entry {
                ExtEntry::Permutation { offset } => self.permutation[offset.min(1)][v.index],
                ExtEntry::Challenge => self.env.challenges[v.index],
                ExtEntry::PermutationValue => {
                    self.env.terminal.expect("an AIR with lookups has a terminal")
                }
            },
            SymbolicExpr::Add { x, y, .. } => {
                if let SymbolicExpr::Mul { x: p, y: q, .. } = &**x {
                    let (p, q) = (self.shared_extension(b, p), self.shared_extension(b, q));
                    let y = self.shared_extension(b, y);
                    return b.mul_add(p, q, y);
                }
                if let SymbolicExpr::Mul { x: p, y: q, .. } = &**y {
                    let (p, q) = (self.shared_extension(b, p), self.shared_extension(b, q));
                    let x = self.shared_extension(b, x);
                    return b.mul_add(p, q, x);
                }
                let (x, y) = (self.shared_extension(b, x), self.shared_extension(b, y));
                b.add(x, y)
            }
            SymbolicExpr::Sub { x, y, .. } => {
                let x = self.shared_extension(b, x);
                if let SymbolicExpr::Mul { x: p, y: q, .. } = &**y {
                    let (p, q) = (self.shared_extension(b, p), self.shared_extension(b, q));
                    return b.sub_mul(x, p, q);
                }
                let y = self.shared_extension(b, y);
                b.sub(x, y)
            }
            SymbolicExpr::Neg { x, .. } => {
                let (zero, x) = (b.zero(), self.shared_extension(b, x));
                b.sub(zero, x)
            }
            SymbolicExpr::Mul { x, y, .. } => {
                let (x, y) = (self.shared_extension(b, x), self.shared_extension(b, y));
                b.mul(x, y)
            }
        }
    }
}
