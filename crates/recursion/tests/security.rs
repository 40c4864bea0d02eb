//! Every layer has its proven bits.

use cairn_prover::config::Params;
use cairn_recursion::security::{
    LEAF_LOG_HEIGHT, LEAF_PARAMS, NODE_LOG_HEIGHT, NODE_PARAMS, report,
};

#[test]
fn every_layer_has_a_hundred_proven_bits() {
    for (params, height) in [(LEAF_PARAMS, LEAF_LOG_HEIGHT), (NODE_PARAMS, NODE_LOG_HEIGHT)] {
        let report = report(&params, height);
        eprintln!("{report:#?}");
        assert!(report.bits >= 100.0 && report.union_bits >= 100.0, "{report:#?}");
    }
}

#[test]
fn fewer_queries_are_noticed() {
    let fewer = Params { num_queries: 80, ..NODE_PARAMS };
    assert!(report(&fewer, NODE_LOG_HEIGHT).bits < 100.0);
}
