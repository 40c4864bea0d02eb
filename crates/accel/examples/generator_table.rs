//! Writes `src/generator_table.bin`, which a test compares.
fn main() -> std::io::Result<()> {
    std::fs::write(
        concat!(env!("CARGO_MANIFEST_DIR"), "/src/generator_table.bin"),
        cairn_accel::ecdsa::generator_table(),
    )
}
