//! What fixes the circuits: shapes of shards and the parameters of every layer.

use cairn_final_proof::Params as FinalParams;
use cairn_prover::config::{PARAMS, Params};
use cairn_prover::shape::ShardShape;
use cairn_recursion::air::Layout;
use cairn_recursion::security::{LEAF_PARAMS, NODE_PARAMS, ROOT_LAYOUT, ROOT_PARAMS};

/// Shapes and parameters. Those of real proofs are [`Settings::real`]; tests have cheap ones.
#[derive(Clone, Debug)]
pub struct Settings {
    /// log2 of the program table's height.
    pub log_program: u8,
    /// The shapes of shards, smallest first.
    pub shapes: Vec<ShardShape>,
    /// Of shard proofs.
    pub shard: Params,
    /// Of leaves.
    pub leaf: Params,
    /// Of lifts and nodes.
    pub node: Params,
    /// Of roots.
    pub root: Params,
    /// The roots' tables.
    pub root_layout: Layout,
    /// Of the final layer.
    pub last: FinalParams,
    /// The last circuit's tables.
    pub layout: Layout,
    /// The least heights of the last circuit's tables (log2): all the same, so that the contract neither joins trees nor foldings.
    pub least: [usize; 5],
}

impl Settings {
    /// Those of real proofs.
    pub fn real(log_program: u8) -> Self {
        Self {
            log_program,
            shapes: ShardShape::allowed(log_program),
            shard: PARAMS,
            leaf: LEAF_PARAMS,
            node: NODE_PARAMS,
            root: ROOT_PARAMS,
            root_layout: ROOT_LAYOUT,
            last: cairn_final_proof::PARAMS,
            layout: Layout { lanes: 2, compact: true },
            least: [13; 5],
        }
    }
}
