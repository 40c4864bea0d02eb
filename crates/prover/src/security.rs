//! The proven security of shard proofs, computed with `p3-security` from the actual AIRs and parameters.
//!
//! Counted for the worst shard that the verifier accepts: every chip present, every trace at the greatest height, all by unique decoding. The field's size is rounded
//! down to 123 bits (it is 123.95).

use crate::bus::{EF, F};
use crate::chips::Chip;
use crate::config::{PARAMS, Params};
use crate::shard::{LOG_MAX_MESSAGES, MAX_LOG_HEIGHT, lookups};
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

/// What limits the security of a shard proof.
#[derive(Clone, Debug)]
pub struct SecurityReport {
    /// Proven bits: of the weakest term.
    pub bits: f64,
    /// Proven bits by the union bound over all terms.
    pub union_bits: f64,
    /// Each source of error with its bits.
    pub terms: Vec<(String, f64)>,
    /// Columns opened, over all chips and points.
    pub openings: usize,
    /// Constraints of all chips.
    pub constraints: usize,
    /// Bus messages a row, over all chips.
    pub messages: usize,
}

/// Sizes of the whole chip set.
struct Sizes {
    openings: usize,
    constraints: usize,
    messages: usize,
    width: usize,
    degree: usize,
}

fn sizes() -> Sizes {
    let mut sizes = Sizes { openings: 0, constraints: 0, messages: 0, width: 0, degree: 0 };
    for chip in Chip::all(None) {
        let lookups = lookups(&chip);
        let layout = AirLayout::from_air::<F>(&chip);
        let (base, extension) =
            get_symbolic_constraints::<F, EF, _, _>(&chip, layout, &lookups, &LogUpGadget::new());
        sizes.constraints += base.len() + extension.len();
        let degrees = base
            .iter()
            .map(|c| c.degree_multiple())
            .chain(extension.iter().map(|c| c.degree_multiple()));
        sizes.degree = degrees.fold(sizes.degree, usize::max);
        let elements = || lookups.iter().flat_map(|l| &l.elements);
        sizes.messages += elements().count();
        sizes.width = elements().map(Vec::len).fold(sizes.width, usize::max);
        sizes.openings += num_batched_openings(
            BaseAir::<F>::width(&chip),
            !chip.main_next_row_columns().is_empty(),
            chip.preprocessed_width(),
            !chip.preprocessed_next_row_columns().is_empty(),
            2,
            lookups.len(),
            4,
            OpeningShape::new(),
        );
    }
    sizes
}

/// The report for the parameters of shard proofs.
pub fn report() -> SecurityReport {
    report_for(&PARAMS)
}

/// The report for other parameters.
pub fn report_for(params: &Params) -> SecurityReport {
    let sizes = sizes();
    let air = StarkAirParams {
        num_constraints: sizes.constraints,
        max_constraint_degree: sizes.degree.max(3),
        num_quotient_chunks: 2,
        max_combo: 2,
    };
    let shape = InstanceShape {
        log_trace_length: MAX_LOG_HEIGHT,
        modulus_bits: FIELD_BITS,
        collision_resistance: HASH_BITS,
        num_batched_functions: sizes.openings,
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
    // The verifier bounds the number of all messages of a shard: one row with 2^LOG_MAX_MESSAGES of them is the worst case.
    let message_shape = InstanceShape { log_trace_length: LOG_MAX_MESSAGES, ..shape };
    // One more than the widest message, for the element that separates buses.
    let messages = LogUpAir { num_interactions: 1, max_message_width: sizes.width + 1 };
    let extras: Vec<_> =
        logup::security_term(&messages, &message_shape, &grinding).into_iter().collect();
    let report = proven_security_report(&regime, &air, &shape, &extras, &grinding);
    let terms: Vec<(String, f64)> = report
        .udr
        .terms()
        .iter()
        .map(|t| {
            (
                t.component.map_or_else(|| t.label.to_owned(), |c| format!("{c}/{}", t.label)),
                t.bits.bits(),
            )
        })
        .collect();
    let union: f64 = terms.iter().map(|(_, bits)| (-bits).exp2()).sum();
    SecurityReport {
        bits: report.udr.security_bits(),
        union_bits: -union.log2(),
        terms,
        openings: sizes.openings,
        constraints: sizes.constraints,
        messages: sizes.messages,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_proofs_have_a_hundred_proven_bits() {
        let report = report();
        eprintln!("{report:#?}");
        assert!(report.bits >= 100.0, "{report:#?}");
        assert!(report.union_bits >= 100.0, "{report:#?}");
    }

    #[test]
    fn every_constraint_has_degree_three_at_most() {
        assert!(sizes().degree <= 3);
    }

    #[test]
    fn fewer_queries_are_noticed() {
        assert!(report_for(&Params { num_queries: 100, ..PARAMS }).bits < 100.0);
    }
}
