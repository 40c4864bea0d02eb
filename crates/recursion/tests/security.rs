//! Every layer has its proven bits.

use cairn_prover::config::Params;
use cairn_recursion::air::Layout;
use cairn_recursion::security::*;

#[test]
fn every_layer_has_a_hundred_proven_bits() {
    for (params, layout, height) in [
        (LEAF_PARAMS, Layout::WIDE, LEAF_LOG_HEIGHT),
        (NODE_PARAMS, Layout::WIDE, NODE_LOG_HEIGHT),
        (ROOT_PARAMS, ROOT_LAYOUT, ROOT_LOG_HEIGHT),
    ] {
        let report = report(&params, layout, &[height as u8; 5]);
        eprintln!("{report:#?}");
        assert!(report.bits >= 100.0 && report.union_bits >= 100.0, "{report:#?}");
    }
}

#[test]
fn fewer_queries_are_noticed() {
    let node = Params { num_queries: 80, ..NODE_PARAMS };
    assert!(report(&node, Layout::WIDE, &[NODE_LOG_HEIGHT as u8; 5]).bits < 100.0);
    let few = Params { num_queries: 29, ..ROOT_PARAMS };
    for root in [few, Params { batch_pow: 0, ..ROOT_PARAMS }] {
        assert!(report(&root, ROOT_LAYOUT, &[ROOT_LOG_HEIGHT as u8; 5]).bits < 100.0);
    }
}
