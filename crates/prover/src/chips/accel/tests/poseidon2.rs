use super::*;
use crate::chips::accel::poseidon2_call::{CompressAir, CompressCols, PermuteAir, PermuteCols};
use crate::chips::poseidon2::Poseidon2Cols;
use cairn_accel::poseidon2::{P, compress, permute};
use p3_field::Field;

fn permute_call(rng: &mut StdRng, n: u32, input: [u32; 16]) -> AccelCall {
    let mut state = input.map(|w| w % P);
    permute(&mut state);
    call(rng, n, ids::POSEIDON2_PERMUTE, &input, &state)
}

fn compress_call(rng: &mut StdRng, n: u32, l: [u32; 8], r: [u32; 8]) -> AccelCall {
    let out = compress(&l.map(|w| w % P), &r.map(|w| w % P));
    call(rng, n, ids::POSEIDON2_COMPRESS, &[l, r].concat(), &out)
}

/// Canonical and non-canonical words, edges included.
fn word(rng: &mut StdRng) -> u32 {
    const EDGES: [u32; 7] = [0, 1, P - 1, P, P + 1, 1 << 31, u32::MAX];
    if rng.random_bool(0.2) { EDGES[rng.random_range(0..EDGES.len())] } else { rng.random() }
}

#[test]
fn calls_agree_with_the_native_model() {
    for seed in 0..4 {
        let mut rng = rng(seed);
        let mut calls = Vec::new();
        for n in 0..5 {
            let input = core::array::from_fn(|_| word(&mut rng));
            calls.push(permute_call(&mut rng, 2 * n + 1, input));
            let (l, r) = (
                core::array::from_fn(|_| word(&mut rng)),
                core::array::from_fn(|_| word(&mut rng)),
            );
            calls.push(compress_call(&mut rng, 2 * n + 2, l, r));
        }
        // The same permutation twice shares a row.
        calls.push(permute_call(&mut rng, 20, [7; 16]));
        calls.push(permute_call(&mut rng, 21, [7; 16]));
        check_calls(&calls);
    }
}

#[test]
fn every_column_of_the_table_is_bound() {
    let mut counts = Counts::new();
    let mut rng = rng(1);
    for _ in 0..3 {
        let input: [u32; 16] = core::array::from_fn(|_| rng.random_range(0..P));
        counts.permute(input);
        counts.compress(input);
        counts.compress(input);
    }
    let trace = crate::generate::poseidon2(&counts.perms());
    corrupt_all(&Poseidon2Chip, &trace, &Poseidon2Cols::<u8>::groups(), &[0, 1, 2], |_, _| false);
    // A padding row is a true permutation too; only claiming it is possible and changes the balance.
    corrupt_all(&Poseidon2Chip, &trace, &Poseidon2Cols::<u8>::groups(), &[3], |_, _| false);
}

#[test]
fn every_column_of_the_calls_is_bound() {
    let mut rng = rng(2);
    let calls: Vec<_> = (1..4).map(|n| permute_call(&mut rng, n, [n; 16])).collect();
    let trace = PermuteAir.generate(&calls, &mut Counts::new());
    corrupt_all(&PermuteAir, &trace, &PermuteCols::<F>::groups(), &[0, 1, 2], |_, _| false);
    let calls: Vec<_> = (1..4).map(|n| compress_call(&mut rng, n, [n; 8], [n + 1; 8])).collect();
    let trace = CompressAir.generate(&calls, &mut Counts::new());
    corrupt_all(&CompressAir, &trace, &CompressCols::<F>::groups(), &[0, 1, 2], |_, _| false);
}

/// Whatever a prover writes in `new` and `inverse`, the row holds only for the canonical word: tried on elements that have a second representation below 2^32.
#[test]
fn outputs_are_canonical() {
    let mut rng = rng(3);
    let calls = [permute_call(&mut rng, 1, [3; 16])];
    let mut trace = PermuteAir.generate(&calls, &mut Counts::new());
    for (word, ok) in [
        (0, true),
        (5, true),
        (P - 1, true),
        (P, false),
        (P + 5, false),
        (0x7fff_ffff, false),
        (0x8000_0000, false),
        (u32::MAX, false),
    ] {
        for inverse in [0, 1, 2, P - 1]
            .map(F::from_u32)
            .into_iter()
            .chain((F::from_u32(0x7f00) - F::from_u32(word >> 16)).try_inverse())
        {
            let mut cols = PermuteCols::<F>::read(&trace.values);
            [cols.new[4], cols.new[5]] = crate::bus::limbs(word);
            cols.inverse[2] = inverse;
            cols.write(&mut trace.values);
            let fails = row_fails(&PermuteAir, &trace, &[], 0);
            assert!(ok || fails, "{word:#x} passes");
        }
        assert_eq!(
            row_fails(&PermuteAir, &trace, &[], 0),
            !ok,
            "{word:#x} with the honest inverse"
        );
    }
}
