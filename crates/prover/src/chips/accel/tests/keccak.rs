use super::*;
use crate::chips::accel::keccak::{KeccakCallAir, KeccakCallCols, KeccakRoundAir, KeccakRoundCols};
use p3_keccak::KeccakF;
use p3_symmetric::Permutation;

fn keccak_call(rng: &mut StdRng, n: u32, input: [u64; 25]) -> AccelCall {
    let words =
        |s: [u64; 25]| s.iter().flat_map(|&l| [l as u32, (l >> 32) as u32]).collect::<Vec<u32>>();
    call(rng, n, ids::KECCAK_F, &words(input), &words(KeccakF.permute(input)))
}

#[test]
fn calls_agree_with_the_native_model() {
    for seed in 0..3 {
        let mut rng = rng(seed);
        let mut calls =
            vec![keccak_call(&mut rng, 1, [0; 25]), keccak_call(&mut rng, 2, [u64::MAX; 25])];
        calls.extend((3..5 + seed as u32).map(|n| {
            let input = core::array::from_fn(|_| rng.random());
            keccak_call(&mut rng, n, input)
        }));
        check_calls(&calls);
    }
}

#[test]
fn every_column_of_the_calls_is_bound() {
    let mut rng = rng(7);
    let calls: Vec<_> =
        (1..4).map(|n| keccak_call(&mut rng, n, [u64::from(n) << 40 | 5; 25])).collect();
    let trace = KeccakCallAir.generate(&calls, &mut Counts::new());
    corrupt_all(&KeccakCallAir, &trace, &KeccakCallCols::<F>::groups(), &[0, 2], |_, _| false);
}

#[test]
fn every_column_of_the_rounds_is_bound() {
    let mut rng = rng(8);
    let input = core::array::from_fn(|_| rng.random());
    let trace = KeccakRoundAir.generate(&[keccak_call(&mut rng, 1, input)], &mut Counts::new());
    corrupt_all(&KeccakRoundAir, &trace, &KeccakRoundCols::<F>::groups(), &[1, 18], |_, _| false);
    // A padding row can be turned into nothing that is claimed.
    assert_padding_is_silent(&KeccakRoundAir, &trace, &[], 30);
}

/// A call's output needs all 24 rounds: without one, with one twice, or with one of another call, the states do not balance.
#[test]
fn a_call_needs_each_of_its_rounds() {
    let mut rng = rng(9);
    let calls = [keccak_call(&mut rng, 1, [1; 25]), keccak_call(&mut rng, 2, [1; 25])];
    let states =
        check_trace(&KeccakCallAir, &KeccakCallAir.generate(&calls, &mut Counts::new()), &[]);
    let honest = KeccakRoundAir.generate(&calls, &mut Counts::new());
    let width = honest.width;
    let row = |i: usize| honest.values[i * width..(i + 1) * width].to_vec();
    let with = |change: &dyn Fn(&mut RowMajorMatrix<F>)| {
        let mut trace = honest.clone();
        change(&mut trace);
        let mut all = states.clone();
        all.merge(&check_trace(&KeccakRoundAir, &trace, &[]));
        all == expected(&calls)
    };
    assert!(with(&|_| {}));
    for dropped in [0, 11, 23, 24, 47] {
        assert!(!with(&|t| t.values[dropped * width..(dropped + 1) * width].fill(F::ZERO)));
        assert!(!with(&|t| t.values[50 * width..51 * width].copy_from_slice(&row(dropped))));
        let other = (dropped + 24) % 48;
        assert!(!with(
            &|t| t.values[dropped * width..(dropped + 1) * width].copy_from_slice(&row(other))
        ));
    }
    // The order of rows means nothing.
    assert!(with(&|t| {
        t.values[..width].copy_from_slice(&row(40));
        t.values[40 * width..41 * width].copy_from_slice(&row(0));
    }));
    // Rounds without a call's row are left over.
    assert!(!check_trace(&KeccakRoundAir, &honest, &[]).is_empty());
}
