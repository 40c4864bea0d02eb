//! The proven security of a key, computed with `p3-security` from its tables, heights and parameters.

use crate::FinalAir;
use crate::config::{EF, F, Params};
use crate::key::FinalVk;
use p3_air::symbolic::AirLayout;
use p3_batch_stark::symbolic::get_symbolic_constraints;
use p3_lookup::LogUpGadget;
use p3_security::fri::FriRegime;
use p3_security::grinding::GrindingSites;
use p3_security::logup::{self, LogUpAir};
use p3_security::shape::{InstanceShape, StarkAirParams};
use p3_security::stark::proven_security_report;

/// Bits of the challenge field, rounded down (154.94).
const FIELD_BITS: usize = 154;
/// Collision resistance of Keccak-256.
const HASH_BITS: usize = 128;

/// What limits the security of a final proof.
#[derive(Clone, Debug)]
pub struct SecurityReport {
    /// Proven bits: of the weakest term.
    pub bits: f64,
    /// Proven bits by the union bound over all terms.
    pub union_bits: f64,
    /// Each source of error with its bits.
    pub terms: Vec<(String, f64)>,
    /// Base-field columns combined into one low-degree test, over all points.
    pub openings: usize,
    /// Constraints of all tables.
    pub constraints: usize,
    /// Bus messages, over all rows of all tables.
    pub messages: usize,
}

struct Sizes {
    constraints: usize,
    degree: usize,
    messages: usize,
    width: usize,
}

fn sizes<A: FinalAir>(key: &FinalVk<A>) -> Sizes {
    let mut sizes = Sizes { constraints: 0, degree: 0, messages: 0, width: 0 };
    for ((air, shape), lookups) in key.airs().iter().zip(&key.shape().airs).zip(key.lookups()) {
        let layout = AirLayout::from_air(air);
        let (base, ext) =
            get_symbolic_constraints::<F, EF, A, _>(air, layout, lookups, &LogUpGadget::new());
        sizes.constraints += base.len() + ext.len();
        let degrees =
            base.iter().map(|c| c.degree_multiple()).chain(ext.iter().map(|c| c.degree_multiple()));
        sizes.degree = degrees.fold(sizes.degree, usize::max);
        let elements = || lookups.iter().flat_map(|l| &l.elements);
        sizes.messages += elements().count() << shape.log_height;
        sizes.width = elements().map(Vec::len).fold(sizes.width, usize::max);
    }
    sizes
}

/// The report for a key's own parameters.
pub fn report<A: FinalAir>(key: &FinalVk<A>) -> SecurityReport {
    report_for(key, &key.shape().params)
}

/// The report for a key's tables and other parameters.
///
/// The bits are those of the better of the two proven regimes: unique decoding, and list decoding up to the Johnson bound.
pub fn report_for<A: FinalAir>(key: &FinalVk<A>, params: &Params) -> SecurityReport {
    let (sizes, shape) = (sizes(key), key.shape());
    let air = StarkAirParams {
        num_constraints: sizes.constraints,
        max_constraint_degree: sizes.degree.max(3),
        num_quotient_chunks: shape.airs.iter().map(|a| 1 << a.log_chunks).max().unwrap_or(2),
        max_combo: 2,
    };
    let instance = InstanceShape {
        log_trace_length: shape.airs.iter().map(|a| a.log_height).max().unwrap_or(0),
        modulus_bits: FIELD_BITS,
        collision_resistance: HASH_BITS,
        num_batched_functions: shape.num_opened,
    };
    let regime = FriRegime {
        log_blowup: params.log_blowup,
        num_queries: params.num_queries,
        log_final_poly_len: params.log_final_poly_len,
        max_log_arity: params.max_log_arity,
        commit_pow_bits: params.commit_pow,
        query_pow_bits: params.query_pow,
    };
    let grinding = GrindingSites {
        out_of_domain: params.ood_pow,
        batch_combination: params.batch_pow,
        lookup_challenge: params.lookup_pow,
    };
    // All messages as those of one table of one message a row; one more than the widest message, for the element that separates buses.
    let log_messages = sizes.messages.next_power_of_two().ilog2() as usize;
    let messages = LogUpAir { num_interactions: 1, max_message_width: sizes.width + 1 };
    let extras: Vec<_> = logup::security_term(
        &messages,
        &InstanceShape { log_trace_length: log_messages, ..instance },
        &grinding,
    )
    .into_iter()
    .collect();
    let report = proven_security_report(&regime, &air, &instance, &extras, &grinding);
    let of_regime = |bits: f64, terms: Vec<(String, f64)>| {
        let union: f64 = terms.iter().map(|(_, bits)| (-bits).exp2()).sum();
        SecurityReport {
            bits,
            union_bits: -union.log2(),
            terms,
            openings: shape.num_opened,
            constraints: sizes.constraints,
            messages: sizes.messages,
        }
    };
    let name = |component: Option<&str>, label: &str| {
        component.map_or_else(|| label.to_owned(), |c| format!("{c}/{label}"))
    };
    let udr = of_regime(
        report.udr.security_bits(),
        report.udr.terms().iter().map(|t| (name(t.component, t.label), t.bits.bits())).collect(),
    );
    let ldr = report.ldr.as_ref().map(|r| {
        of_regime(
            r.security_bits(),
            r.terms().iter().map(|t| (name(t.component, t.label), t.bits.bits())).collect(),
        )
    });
    match ldr {
        Some(ldr) if ldr.bits > udr.bits => ldr,
        _ => udr,
    }
}
