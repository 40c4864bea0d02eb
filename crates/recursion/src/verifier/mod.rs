//! A circuit that verifies a batch-STARK proof: the twin of `p3_batch_stark::verify_batch` over the base prover's configuration.
//!
//! [`Shape`] is all that is fixed about a proof; [`verify`] writes the verifier of proofs of that shape; [`witness::inputs`] flattens a proof in the order in which that circuit reads it. Domain
//! separators, domains, folding schedules, lookups and constraints come from the functions that the native verifier calls: constraints are the symbolic form of the AIRs' own `eval`.

pub mod challenger;
pub mod constraints;
pub mod fri;
pub mod shape;
pub mod witness;

use crate::circuit::{Base, Builder, Wire};
use cairn_prover::bus::{EF, F};
use challenger::{Cell, Challenger};
use p3_field::PrimeCharacteristicRing;
use shape::Shape;

/// What an instance's openings are in the circuit.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// Main columns at the point and (empty unless the AIR reads it) at the next one.
    pub main: [Vec<Wire>; 2],
    /// Preprocessed columns, likewise.
    pub fixed: [Vec<Wire>; 2],
    /// Lookup columns, as base columns.
    pub permutation: [Vec<Wire>; 2],
    /// Chunks of the quotient, as base columns.
    pub quotient: Vec<Vec<Wire>>,
}

/// What the circuit gives of the proof it verifies besides its verdict.
pub struct Given<'a> {
    /// What the transcript begins with.
    pub seed: &'a [Base],
    /// The public values of each instance.
    pub public: &'a [Vec<Base>],
    /// The commitment to preprocessed columns, if there are any.
    pub fixed: Option<[Wire; 2]>,
}

fn commitment(b: &mut Builder, challenger: &mut Challenger) -> [Wire; 2] {
    let root = [b.input(), b.input()];
    challenger.observe_digest(b, root);
    root
}

fn opened(b: &mut Builder, challenger: &mut Challenger, width: usize) -> Vec<Wire> {
    (0..width)
        .map(|_| {
            let value = b.input();
            challenger.observe_element(b, value);
            value
        })
        .collect()
}

/// Writes the verifier of a proof. Private inputs are taken in the order of [`witness::inputs`].
///
/// # Panics
/// When what is given does not fit the shape, or the shape is one that no verifier takes: both are faults of a circuit's author.
pub fn verify(b: &mut Builder, shape: &Shape, given: &Given<'_>) {
    shape.check();
    let tables = shape.instances.iter().any(|i| i.fixed_width > 0);
    assert_eq!(given.fixed.is_some(), tables, "preprocessed columns have a commitment");
    assert!(
        given.public.len() == shape.instances.len()
            && given.public.iter().zip(&shape.instances).all(|(p, i)| p.len() == i.num_public),
        "every instance has its public values"
    );
    let mut challenger = Challenger::new(b);
    for &element in given.seed {
        challenger.observe(b, Cell::Base(element));
    }
    challenger.observe_constants(b, &shape.separator());
    for instance in &shape.instances {
        let bits = b.constant(EF::from_usize(instance.log_height));
        challenger.observe_element(b, bits);
    }
    let main = commitment(b, &mut challenger);
    for &value in given.public.iter().flatten() {
        challenger.observe(b, Cell::Base(value));
    }
    if let Some(fixed) = given.fixed {
        challenger.observe_digest(b, fixed);
    }
    challenger.grind(b, shape.params.lookup_pow);
    let lookup_alpha = challenger.sample(b);
    let lookup_beta = challenger.sample(b);
    let permutation = commitment(b, &mut challenger);
    let mut terminals = Vec::new();
    for instance in &shape.instances {
        let terminal = (!instance.lookups.is_empty()).then(|| {
            let terminal = b.input();
            challenger.observe_element(b, terminal);
            terminal
        });
        terminals.push(terminal);
    }
    let alpha = challenger.sample(b);
    let quotient = commitment(b, &mut challenger);
    challenger.grind(b, shape.params.ood_pow);
    let zeta = challenger.sample(b);

    // The opening argument.
    challenger.observe_constants(b, &shape.pcs_separator());
    let mut values: Vec<Opened> = vec![Opened::default(); shape.instances.len()];
    for (value, instance) in values.iter_mut().zip(&shape.instances) {
        value.main[0] = opened(b, &mut challenger, instance.width);
        if instance.next {
            value.main[1] = opened(b, &mut challenger, instance.width);
        }
    }
    for (value, instance) in values.iter_mut().zip(&shape.instances) {
        value.quotient =
            (0..1usize << instance.log_chunks).map(|_| opened(b, &mut challenger, 4)).collect();
    }
    for (value, instance) in values.iter_mut().zip(&shape.instances) {
        value.fixed[0] = opened(b, &mut challenger, instance.fixed_width);
        if instance.fixed_next && instance.fixed_width > 0 {
            value.fixed[1] = opened(b, &mut challenger, instance.fixed_width);
        }
    }
    for (value, instance) in values.iter_mut().zip(&shape.instances) {
        for values in &mut value.permutation {
            *values = opened(b, &mut challenger, instance.permutation_width());
        }
    }
    let roots = fri::Roots { main, quotient, fixed: given.fixed, permutation };
    fri::verify(b, shape, &mut challenger, &roots, &values, zeta);

    // Constraints.
    let lookup = constraints::LookupChallenges::new(b, shape, lookup_alpha, lookup_beta);
    for (i, instance) in shape.instances.iter().enumerate() {
        let env = constraints::Env {
            opened: &values[i],
            public: given.public.get(i).map_or(&[][..], Vec::as_slice),
            challenges: &lookup.per_instance[i],
            terminal: terminals[i],
            zeta,
            alpha,
        };
        constraints::check(b, instance, &env);
    }
    let zero = b.zero();
    let sum = terminals.into_iter().flatten().fold(zero, |sum, t| b.add(sum, t));
    b.assert_zero(sum);
}

/// The element whose coordinates are four elements: what openings of an extension column's base columns stand for.
fn recompose(b: &mut Builder, coordinates: &[Wire]) -> Wire {
    let mut sum = b.zero();
    for (i, &c) in coordinates.iter().enumerate() {
        let basis = EF::new(core::array::from_fn(|k| F::from_bool(k == i)));
        let basis = b.constant(basis);
        sum = b.mul_add(c, basis, sum);
    }
    sum
}
