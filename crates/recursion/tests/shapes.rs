//! Shapes of shards, and what padding adds.

use cairn_prover::bus::F;
use cairn_prover::check::Instance;
use cairn_prover::chips::Chip;
use cairn_prover::shape::{ShapeError, ShardShape};
use p3_air::BaseAir;
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;

fn all(height: u8) -> ShardShape {
    let chips = Chip::all(None);
    let log_heights = chips
        .iter()
        .map(|chip| match chip.name() {
            "public" => cairn_prover::chips::tables::PUBLIC_LOG_ROWS as u8,
            "program" => 9,
            "range" => 17,
            "and" => 16,
            _ => height,
        })
        .collect();
    ShardShape { log_program: 9, chips: (1 << chips.len()) - 1, log_heights }
}

/// Rows without content satisfy their chip and send nothing on any bus.
#[test]
fn padding_says_nothing() {
    let shape = all(4);
    // Tables are in every shard, at their own heights.
    assert!(matches!(shape.pad(Vec::new()), Err(ShapeError::Other)));
    let tables = Chip::all(None)
        .into_iter()
        .zip(&shape.log_heights)
        .filter(|(chip, _)| BaseAir::<F>::preprocessed_width(chip) > 0)
        .map(|(chip, height)| {
            let width = BaseAir::<F>::width(&chip);
            let cells = vec![F::ZERO; width << height];
            Instance::new(chip, RowMajorMatrix::new(cells, width), Vec::new())
        })
        .collect();
    let padded = shape.pad(tables).unwrap();
    assert_eq!(padded.len(), shape.log_heights.len());
    for instance in padded {
        let name = instance.chip.name();
        assert!(instance.chip.main_next_row_columns().is_empty(), "{name} looks ahead");
        if BaseAir::<F>::preprocessed_width(&instance.chip) > 0 {
            continue;
        }
        let seen = instance.eval_row(3);
        assert!(seen.failed.is_empty(), "{name}: {:?}", seen.failed);
        assert!(seen.messages.iter().all(|(_, count)| *count == F::ZERO), "{name}");
    }
}

#[test]
fn shapes_are_checked_as_the_verifier_of_shards_does() {
    let shape = all(4);
    shape.check().unwrap();
    let missing = ShardShape { chips: shape.chips & !1, ..shape.clone() };
    assert!(matches!(missing.check(), Err(ShapeError::ChipSet(_))));
    let mut range = shape.clone();
    range.log_heights[2] = 16;
    assert_eq!(range.check().unwrap_err(), ShapeError::Heights);
    let mut tall = shape.clone();
    tall.log_heights[9] = 22;
    assert_eq!(tall.check().unwrap_err(), ShapeError::Heights);
    assert_eq!(all(21).check().unwrap_err(), ShapeError::TooLarge);
}

#[test]
fn a_union_covers_both() {
    let shape = |chips: u64, heights: &[u8]| ShardShape {
        log_program: 9,
        chips,
        log_heights: heights.to_vec(),
    };
    let (a, b) = (shape(0b1011, &[3, 9, 4]), shape(0b0111, &[3, 9, 5]));
    let union = a.union(&b).unwrap();
    assert_eq!(union, shape(0b1111, &[3, 9, 5, 4]));
    assert!(union.covers(&a) && union.covers(&b) && !a.covers(&b) && !a.covers(&union));
    assert_eq!(a.union(&ShardShape { log_program: 8, ..b }), None);
}
