use super::*;
use crate::bus::EF;
use p3_air::Air;
use p3_air::symbolic::{AirLayout, SymbolicExpression};
use p3_lookup::{InteractionSymbolicBuilder, LogUpGadget, Lookups};

/// `(columns, constraints, greatest constraint degree, interactions, LogUp columns of degree 3, widest message)`.
fn shape<A>(air: &A) -> (usize, usize, usize, usize, usize, usize)
where
    A: Air<InteractionSymbolicBuilder<F, EF>> + BaseAir<F>,
{
    let builder = InteractionSymbolicBuilder::<F, EF>::from_air(air, AirLayout::from_air::<F>(air));
    let constraints = builder.base_constraints();
    let degree = constraints.iter().map(SymbolicExpression::degree_multiple).max().unwrap_or(0);
    let interactions = builder.global_interactions();
    let widest = interactions.iter().map(|i| i.fields.len()).max().unwrap_or(0);
    let packed = Lookups::from_builder(&builder).pack_same_bus(&LogUpGadget, 3);
    for lookup in packed.iter() {
        assert!(
            LogUpGadget.constraint_degree_with_transition(lookup, 0) <= 3,
            "a LogUp column of degree above 3"
        );
    }
    (air.width(), constraints.len(), degree, interactions.len(), packed.len(), widest)
}

/// All constraints and lookups have degree 3 at most, so that the quotient has two chunks; and no chip reads the next row.
/// Prints the cost table: cells a row are the columns, and four for each LogUp column and for the accumulator.
#[test]
fn degrees_and_cells() {
    let mut table = vec![("poseidon2 (table)", shape(&Poseidon2Chip), 1)];
    for air in AccelAir::all() {
        assert!(air.main_next_row_columns().is_empty());
        table.push((air.name(), shape(&air), air.rows_per_call()));
    }
    for (name, (width, constraints, degree, interactions, columns, widest), rows) in table {
        assert!(degree <= 3, "{name} has degree {degree}");
        let cells = rows * (width + 4 * (columns + 1));
        println!(
            "{name:20} {width:5} columns {constraints:5} constraints {interactions:4} messages (<= {widest} wide) {columns:4} LogUp columns {cells:6} cells a call"
        );
    }
}
