//! The proven security of circuits' proofs, computed with `p3-security` from the actual tables and parameters: by unique decoding, or by list decoding up to the Johnson bound, whichever is more.
//!
//! The field's size is rounded down to 123 bits (it is 123.95).

use crate::air::{CircuitAir, Layout};
use crate::prove::{MAX_PUBLIC, lookups};
use cairn_prover::bus::{EF, F};
use cairn_prover::config::{PARAMS, Params};
use p3_air::BaseAir;
use p3_air::symbolic::AirLayout;
use p3_batch_stark::security::num_batched_openings;
use p3_batch_stark::symbolic::get_symbolic_constraints;
use p3_lookup::LogUpGadget;
use p3_security::fri::FriRegime;
use p3_security::grinding::GrindingSites;
use p3_security::logup::{self, LogUpAir};
use p3_security::shape::{InstanceShape, StarkAirParams};
use p3_security::stark::proven_security_report;
use p3_uni_stark::OpeningShape;

/// Bits of the challenge field, rounded down.
const FIELD_BITS: usize = 123;
/// Collision resistance of eight 31-bit elements.
const HASH_BITS: usize = 123;

/// Parameters of leaves, whose tables are tall: those of the shard proofs that they verify, but for more queries, which a lift has room to verify, in place of grinding.
pub const LEAF_PARAMS: Params = Params { num_queries: 220, query_pow: 12, ..PARAMS };
/// The tallest table of a leaf (log2).
pub const LEAF_LOG_HEIGHT: usize = 20;
/// Parameters of lifts and nodes: fewer queries, since others verify them in circuits, and as many as those have room for.
pub const NODE_PARAMS: Params = Params {
    log_blowup: 2,
    num_queries: 135,
    log_final_poly_len: 0,
    max_log_arity: 3,
    lookup_pow: 12,
    ood_pow: 2,
    batch_pow: 16,
    commit_pow: 5,
    query_pow: 12,
};
/// The tallest table of a node (log2).
pub const NODE_LOG_HEIGHT: usize = 18;
/// Parameters of roots: few queries, since the last circuit verifies them and must be small.
///
/// The lookups' grinding is five bits above what their term below asks for: `p3-security` counts that term for one codeword, while up to the Johnson bound there may be a list of 26 near the
/// committed columns.
pub const ROOT_PARAMS: Params = Params {
    log_blowup: 5,
    num_queries: 36,
    log_final_poly_len: 5,
    max_log_arity: 3,
    lookup_pow: 10,
    ood_pow: 9,
    batch_pow: 22,
    commit_pow: 17,
    query_pow: 20,
};
/// The layout of roots' tables: a high blowup affords constraints of a high degree.
pub const ROOT_LAYOUT: Layout = Layout { lanes: 4, compact: true };
/// The tallest table of a root (log2).
pub const ROOT_LOG_HEIGHT: usize = 15;

/// What limits the security of a proof.
#[derive(Clone, Debug)]
pub struct SecurityReport {
    /// Proven bits: of the weakest term.
    pub bits: f64,
    /// Proven bits by the union bound over all terms.
    pub union_bits: f64,
    /// Each source of error with its bits.
    pub terms: Vec<(String, f64)>,
}

/// The report for tables of these heights (log2).
pub fn report(params: &Params, layout: Layout, log_heights: &[u8; 5]) -> SecurityReport {
    let (mut openings, mut constraints, mut degree, mut messages, mut width) = (0, 0, 3, 0usize, 0);
    let mut chunks = 2;
    for (air, &log_height) in CircuitAir::all(MAX_PUBLIC, layout).iter().zip(log_heights) {
        let lookups = lookups(air);
        let layout = AirLayout::from_air::<F>(air);
        let (base, extension) =
            get_symbolic_constraints::<F, EF, _, _>(air, layout, &lookups, &LogUpGadget::new());
        constraints += base.len() + extension.len();
        degree = base.iter().map(|c| c.degree_multiple()).fold(degree, usize::max);
        degree = extension.iter().map(|c| c.degree_multiple()).fold(degree, usize::max);
        let elements = || lookups.iter().flat_map(|l| &l.elements);
        messages += elements().count() << log_height;
        width = elements().map(Vec::len).fold(width, usize::max);
        let own_chunks = (air.degree() - 1).next_power_of_two();
        chunks = chunks.max(own_chunks);
        openings += num_batched_openings(
            BaseAir::<F>::width(air),
            !air.main_next_row_columns().is_empty(),
            air.preprocessed_width(),
            !air.preprocessed_next_row_columns().is_empty(),
            own_chunks,
            lookups.len(),
            4,
            OpeningShape::new(),
        );
    }
    let air = StarkAirParams {
        num_constraints: constraints,
        max_constraint_degree: degree,
        num_quotient_chunks: chunks,
        max_combo: 2,
    };
    let shape = InstanceShape {
        log_trace_length: usize::from(log_heights.iter().copied().max().unwrap_or_default()),
        modulus_bits: FIELD_BITS,
        collision_resistance: HASH_BITS,
        num_batched_functions: openings,
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
    let log_messages = messages.next_power_of_two().ilog2() as usize;
    let logup = LogUpAir { num_interactions: 1, max_message_width: width + 1 };
    let in_all = InstanceShape { log_trace_length: log_messages, ..shape };
    let extras: Vec<_> = logup::security_term(&logup, &in_all, &grinding).into_iter().collect();
    let report = proven_security_report(&regime, &air, &shape, &extras, &grinding);
    let label = |component: Option<&str>, label: &str| {
        component.map_or_else(|| label.to_owned(), |c| format!("{c}/{label}"))
    };
    let of_regime = |bits: f64, terms: Vec<(String, f64)>| {
        let union: f64 = terms.iter().map(|(_, bits)| (-bits).exp2()).sum();
        SecurityReport { bits, union_bits: -union.log2(), terms }
    };
    let udr = of_regime(
        report.udr.security_bits(),
        report.udr.terms().iter().map(|t| (label(t.component, t.label), t.bits.bits())).collect(),
    );
    let ldr = report.ldr.as_ref().map(|r| {
        let terms = r.terms().iter().map(|t| (label(t.component, t.label), t.bits.bits()));
        of_regime(r.security_bits(), terms.collect())
    });
    match ldr {
        Some(ldr) if ldr.bits > udr.bits => ldr,
        _ => udr,
    }
}
