//! Columns of chips, and leaf sizes.
use cairn_prover::chips::Chip;
use cairn_prover::config::PARAMS;
use cairn_prover::shard::lookups;
use cairn_prover::shape::ShardShape;
use cairn_prover::bus::F;
use cairn_recursion::leaf::Leaf;
use p3_air::BaseAir;

fn main() {
    let all = Chip::all(None);
    for (i, c) in all.iter().enumerate() {
        println!("{i} {} main {} pre {} lookup cols {} row cells {} messages {}", c.name(), BaseAir::<F>::width(c), c.preprocessed_width(), 4 * (lookups(c).len() + 1), c.row_cells(),
            lookups(c).iter().map(|l| l.elements.len()).sum::<usize>());
    }
    let heights = |name: &str, l: u8| -> u8 { match name { "public" => 4, "program" => 20, "range" => 17, "and" => 16, "add" | "word" => l, _ => l - 2 } };
    for (set, names) in [("all", vec![]), ("eth", vec!["public","program","range","and","poseidon2","boundary","merkle","gap","add","bitwise","shift","compare","branch","jump","word","subword","mul","div","ecall","block","poseidon2_compress","keccak_call","keccak_round","secp256k1_add","secp256k1_double","modmul256","u256_add"])] {
        let picked: Vec<(usize, &Chip)> = all.iter().enumerate().filter(|(_, c)| names.is_empty() || names.contains(&c.name())).collect();
        let shape = ShardShape { log_program: 20, chips: picked.iter().map(|(i, _)| 1u64 << i).sum(), log_heights: picked.iter().map(|(_, c)| heights(c.name(), 18)).collect() };
        match Leaf::new(shape, PARAMS) { Ok(leaf) => println!("{set}: {:?}", leaf.circuit().size()), Err(e) => println!("{set}: {e}") }
    }
}
