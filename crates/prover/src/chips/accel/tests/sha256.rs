use super::*;
use crate::chips::accel::sha256::{Sha256CallAir, Sha256CallCols, Sha256StepAir, Sha256StepCols};
use cairn_accel::sha256::compress;

fn sha256_call(rng: &mut StdRng, n: u32, state: [u32; 8], block: [u32; 16]) -> AccelCall {
    let mut new = state;
    compress(&mut new, &block);
    call(rng, n, ids::SHA256_COMPRESS, &[&block[..], &state[..]].concat(), &new)
}

#[test]
fn calls_agree_with_the_native_model() {
    for seed in 0..4 {
        let mut rng = rng(seed);
        let mut calls = vec![
            sha256_call(&mut rng, 1, [0; 8], [0; 16]),
            sha256_call(&mut rng, 2, [u32::MAX; 8], [u32::MAX; 16]),
        ];
        for n in 3..7 {
            let (state, block) = (rng.random(), core::array::from_fn(|_| rng.random()));
            calls.push(sha256_call(&mut rng, n, state, block));
        }
        check_calls(&calls);
    }
}

#[test]
fn every_column_of_the_calls_is_bound() {
    let mut rng = rng(1);
    let calls: Vec<_> = (1..4)
        .map(|n| {
            let (state, block) = (rng.random(), core::array::from_fn(|_| rng.random()));
            sha256_call(&mut rng, n, state, block)
        })
        .collect();
    let trace = Sha256CallAir.generate(&calls, &mut Counts::new());
    corrupt_all(&Sha256CallAir, &trace, &Sha256CallCols::<F>::groups(), &[0, 1], |_, _| false);
    assert_padding_is_silent(&Sha256CallAir, &trace, &[], 3);
}

#[test]
fn every_column_of_the_steps_is_bound() {
    let mut rng = rng(2);
    let (state, block) = (rng.random(), core::array::from_fn(|_| rng.random()));
    let mut calls = vec![sha256_call(&mut rng, 1, state, block)];
    let trace = Sha256StepAir.generate(&calls, &mut Counts::new());
    corrupt_all(&Sha256StepAir, &trace, &Sha256StepCols::<F>::groups(), &[0, 3, 15], |_, _| false);
    calls.extend((2..4).map(|n| sha256_call(&mut rng, n, state, block)));
    let trace = Sha256StepAir.generate(&calls, &mut Counts::new());
    assert_padding_is_silent(&Sha256StepAir, &trace, &[], 50);
}
