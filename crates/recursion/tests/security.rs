//! Every layer has its proven bits.

use cairn_prover::config::Params;
use cairn_recursion::air::Layout;
use cairn_recursion::security::*;

#[test]
fn every_layer_has_a_hundred_proven_bits() {
    for (params, height) in [
        (LEAF_PARAMS, LEAF_LOG_HEIGHT),
        (NODE_PARAMS, NODE_LOG_HEIGHT),
        (ROOT_PARAMS, ROOT_LOG_HEIGHT),
    ] {
        let report = report(&params, Layout::WIDE, &[height as u8; 5]);
        eprintln!("{report:#?}");
        assert!(report.bits >= 100.0 && report.union_bits >= 100.0, "{report:#?}");
    }
}

#[test]
fn fewer_queries_are_noticed() {
    let bits = |params: Params, height| report(&params, Layout::WIDE, &[height as u8; 5]).bits;
    assert!(bits(Params { num_queries: 80, ..NODE_PARAMS }, NODE_LOG_HEIGHT) < 100.0);
    assert!(bits(Params { num_queries: 36, ..ROOT_PARAMS }, ROOT_LOG_HEIGHT) < 100.0);
    assert!(bits(Params { batch_pow: 0, ..ROOT_PARAMS }, ROOT_LOG_HEIGHT) < 100.0);
}
