//! What proving needs of a chip whatever its trace is.

use crate::bus::{EF, F};
use crate::chips::Chip;
use crate::shard::lookups;
use p3_air::symbolic::{AirLayout, ConstraintLayout, SymbolicExpression};
use p3_air::symbolic::{BaseLeaf, SymbolicExpr};
use p3_batch_stark::symbolic::{get_constraint_layout, get_log_num_quotient_chunks};
use p3_lookup::{InteractionSymbolicBuilder, Kind, LogUpGadget, Lookups};
use std::collections::{HashMap, VecDeque};
use std::sync::LazyLock;

/// A message in the order in which the chip sends them.
#[derive(Clone, Debug)]
pub struct MessagePlan {
    /// The fraction column that it is part of.
    pub column: usize,
    /// The value of each field that is a constant.
    pub constants: Vec<Option<F>>,
}

/// Facts about a chip.
#[derive(Debug)]
pub struct Plan {
    /// Its lookups as verifier and transcript see them.
    pub lookups: Lookups<F>,
    /// Its messages in the order of evaluation.
    pub messages: Vec<MessagePlan>,
    /// The messages of each fraction column, in the order of the column's terms.
    pub columns: Vec<Vec<usize>>,
    /// Which constraints are over the base field and which over the extension.
    pub layout: ConstraintLayout,
    /// log2 of the number of quotient chunks.
    pub log_chunks: usize,
}

/// The plan of a chip.
///
/// # Panics
/// Never for a [`Chip`]: all of them are planned.
pub fn plan(chip: &Chip) -> &'static Plan {
    static ALL: LazyLock<HashMap<&'static str, Plan>> = LazyLock::new(|| {
        Chip::all(None).iter().map(|chip| (chip.name(), Plan::new(chip))).collect()
    });
    &ALL[chip.name()]
}

impl Plan {
    fn new(chip: &Chip) -> Self {
        let lookups = lookups(chip);
        let air_layout = AirLayout::from_air::<F>(chip);
        let gadget = LogUpGadget::new();
        let builder = InteractionSymbolicBuilder::<F, EF>::from_air(chip, air_layout);
        let sent = builder.global_interactions();
        assert!(
            builder.local_interactions().is_empty() && builder.exclusive_interactions().is_empty(),
            "chips use global buses only"
        );
        let mut waiting: HashMap<&str, VecDeque<usize>> = HashMap::new();
        for (i, message) in sent.iter().enumerate() {
            waiting.entry(&message.bus_name).or_default().push_back(i);
        }
        // Packing keeps the order of messages within a bus.
        let columns: Vec<Vec<usize>> = lookups
            .iter()
            .map(|lookup| {
                let Kind::Global(bus) = &lookup.kind else { return Vec::new() };
                let queue = waiting.get_mut(bus.as_str());
                queue.map_or_else(Vec::new, |q| q.drain(..lookup.elements.len()).collect())
            })
            .collect();
        let mut messages: Vec<MessagePlan> = sent
            .iter()
            .map(|message| MessagePlan {
                column: usize::MAX,
                constants: message.fields.iter().map(constant).collect(),
            })
            .collect();
        for (column, members) in columns.iter().enumerate() {
            members.iter().for_each(|&i| messages[i].column = column);
        }
        assert!(messages.iter().all(|m| m.column < columns.len()), "every message has a column");
        let layout = get_constraint_layout::<F, EF, _, _>(chip, air_layout, &lookups, &gadget);
        let log_chunks =
            get_log_num_quotient_chunks::<F, EF, _, _>(chip, air_layout, 1, &lookups, 0, &gadget);
        Self { lookups, messages, columns, layout, log_chunks }
    }
}

/// The expression's value if it is a constant.
fn constant(expr: &SymbolicExpression<F>) -> Option<F> {
    match expr {
        SymbolicExpr::Leaf(BaseLeaf::Constant(value)) => Some(*value),
        _ => None,
    }
}
