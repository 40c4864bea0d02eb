//! What the parameters of aggregating circuits cost: `cargo run --release -p cairn-aggregator --example parameters`.
//!
//! Prints the rows and proven bits of every circuit as shipped, then for the root the least grinding with which a number of queries has its proven bits, with the rows of the last circuit that verifies such a root.

use cairn_aggregator::{Circuits, Settings};
use cairn_prover::config::Params;
use cairn_recursion::aggregate::{Kind, Members, lift, node, root, shrink};
use cairn_recursion::circuit::Circuit;
use cairn_recursion::leaf::Leaf;
use cairn_recursion::prove::CircuitVk;
use cairn_recursion::security::report;

/// Bits that each term, and all together, must have.
const BITS: f64 = 102.0;
const UNION_BITS: f64 = 101.0;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn rows(name: &str, circuit: &Circuit, vk: &CircuitVk) {
    let size = circuit.size();
    println!(
        "{name}: {} gates, {} permutations, {} packs, {} values, {} public; tables {:?}",
        size.gates,
        size.perms,
        size.packs,
        size.values,
        4 * circuit.public.len(),
        vk.log_heights
    );
}

/// The least grinding (in permutations) that makes up for what `params` lack; each site on its own, then all together.
fn grinding(mut params: Params, vk: &CircuitVk) -> Option<(Params, f64)> {
    let enough = |p: &Params| {
        let r = report(p, vk.layout, &vk.log_heights);
        r.bits >= BITS && r.union_bits >= UNION_BITS
    };
    for p in [&mut params.lookup_pow, &mut params.ood_pow, &mut params.batch_pow] {
        *p = 28;
    }
    params.commit_pow = 26;
    if !enough(&params) {
        return None;
    }
    for site in 0..4 {
        loop {
            let mut less = params;
            let bits = match site {
                0 => &mut less.lookup_pow,
                1 => &mut less.ood_pow,
                2 => &mut less.batch_pow,
                _ => &mut less.commit_pow,
            };
            if *bits == 0 {
                break;
            }
            *bits -= 1;
            if !enough(&less) {
                break;
            }
            params = less;
        }
    }
    let p = &params;
    let tall = usize::from(vk.log_heights[4]) + p.log_blowup;
    let rounds = (tall - p.log_blowup - p.log_final_poly_len).div_ceil(p.max_log_arity);
    let work = |bits: usize| (bits as f64).exp2();
    let all = work(p.lookup_pow)
        + work(p.ood_pow)
        + work(p.batch_pow)
        + work(p.query_pow)
        + rounds as f64 * work(p.commit_pow);
    Some((params, all))
}

fn main() -> Outcome<()> {
    let circuits = Circuits::shipped()?;
    let settings = Settings::real(20);
    for (i, vk) in circuits.leaves.iter().enumerate() {
        let leaf = Leaf::new(settings.shapes[i].clone(), settings.shard)?;
        rows(&format!("leaf {i}"), &leaf.circuit(), vk);
        rows(&format!("lift {i}"), &lift(vk, settings.leaf), &circuits.lifts[i]);
    }
    let kind = Kind::of(&circuits.node, settings.node);
    rows("node", &node(&kind), &circuits.node);
    let members = Members::new(&[]).ok_or("a list")?;
    rows("root", &root(&kind, &members, settings.log_program), &circuits.root);
    let last = |p: Params| shrink(&circuits.root, p);
    rows("last", &last(settings.root), &circuits.root);
    for (name, params, vk) in [
        ("leaf", settings.leaf, &circuits.leaves[3]),
        ("node", settings.node, &circuits.node),
        ("root", settings.root, &circuits.root),
    ] {
        let r = report(&params, vk.layout, &vk.log_heights);
        println!(
            "{name}: {:.1} bits, {:.1} by the union bound: {:?}",
            r.bits, r.union_bits, r.terms
        );
    }
    for num_queries in settings.root.num_queries - 2..settings.root.num_queries + 4 {
        for query_pow in [20, 21, 22] {
            let p = Params { num_queries, query_pow, ..settings.root };
            let Some((p, work)) = grinding(p, &circuits.root) else { continue };
            let size = last(p).size();
            println!(
                "{p:?}: {:.1} M permutations of grinding; last: {} gates, {} permutations",
                work / 1e6,
                size.gates,
                size.perms
            );
        }
    }
    Ok(())
}
