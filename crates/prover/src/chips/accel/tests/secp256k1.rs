use super::*;
use crate::chips::accel::field256::{self, COEFFICIENTS, QUOTIENT};
use crate::chips::accel::limbs::{BASE8, BASE16, Interval};
use crate::chips::accel::secp256k1_add::{self, Secp256k1AddAir, Secp256k1AddCols};
use crate::chips::accel::secp256k1_double::{
    self, Secp256k1DoubleAir, Secp256k1DoubleCols, TANGENT_QUOTIENT,
};
use cairn_accel::secp256k1::{G, P, Point, add_assign, double_assign};
use cairn_accel::u256;

fn words(p: &Point) -> [u32; 16] {
    core::array::from_fn(|i| if i < 8 { p.x[i] } else { p.y[i - 8] })
}

fn add_call(rng: &mut StdRng, n: u32, p: Point, q: Point) -> AccelCall {
    let mut sum = p;
    add_assign(&mut sum, &q).unwrap();
    call(rng, n, ids::SECP256K1_ADD, &[words(&q), words(&p)].concat(), &words(&sum))
}

fn double_call(rng: &mut StdRng, n: u32, p: Point) -> AccelCall {
    let mut double = p;
    double_assign(&mut double).unwrap();
    call(rng, n, ids::SECP256K1_DOUBLE, &words(&p), &words(&double))
}

/// Any 256-bit integer, with edges around 0, p and 2^256.
fn coordinate(rng: &mut StdRng) -> [u32; 8] {
    let small = |v: u32| [v, 0, 0, 0, 0, 0, 0, 0];
    match rng.random_range(0..6) {
        0 => small(rng.random_range(0..3)),
        1 => u256::add(&P, &small(rng.random_range(0..3))),
        2 => u256::sub(&P, &small(rng.random_range(1..3))),
        3 => u256::sub(&[0; 8], &small(rng.random_range(1..3))),
        _ => rng.random(),
    }
}

fn point(rng: &mut StdRng) -> Point {
    Point { x: coordinate(rng), y: coordinate(rng) }
}

fn reduced(a: &[u32; 8]) -> [u32; 8] {
    u256::add_mod(a, &[0; 8], &P)
}

#[test]
fn additions_agree_with_the_native_model() {
    for seed in 0..8 {
        let mut rng = rng(seed);
        let mut calls = Vec::new();
        for n in 1..8 {
            let (p, q) = (point(&mut rng), point(&mut rng));
            if reduced(&p.x) != reduced(&q.x) {
                calls.push(add_call(&mut rng, n, p, q));
            }
        }
        // Points of the curve.
        let mut double = G;
        double_assign(&mut double).unwrap();
        calls.push(add_call(&mut rng, 20, G, double));
        calls.push(add_call(&mut rng, 21, double, G));
        check_calls(&calls);
    }
}

#[test]
fn doublings_agree_with_the_native_model() {
    for seed in 0..8 {
        let mut rng = rng(seed);
        let mut calls = vec![double_call(&mut rng, 20, G)];
        for n in 1..8 {
            let p = point(&mut rng);
            if reduced(&p.y) != [0; 8] {
                calls.push(double_call(&mut rng, n, p));
            }
        }
        check_calls(&calls);
    }
}

#[test]
fn bounds_hold() {
    let (byte, limb) = (Interval::bits(8), Interval::bits(16));
    let q: [Interval; QUOTIENT] =
        core::array::from_fn(|i| if i < 16 { limb } else { Interval { lo: -2, hi: 1 } });
    let add = secp256k1_add::Operands {
        one: Interval { lo: 1, hi: 1 },
        x: [[byte; 32]; 3],
        x_limbs: [[limb; 16]; 3],
        y_limbs: [[limb; 16]; 3],
        inverse: [byte; 32],
        slope: [byte; 32],
    };
    for i in 0..4 {
        let identity = add.identity(i, &q);
        assert_eq!(identity.0.len(), COEFFICIENTS);
        BASE16.check_bounds(&identity).unwrap();
    }
    let double = secp256k1_double::Operands {
        bytes: [[byte; 32]; 3],
        limbs: [[limb; 16]; 4],
        slope: [byte; 32],
    };
    for i in 0..2 {
        BASE16.check_bounds(&double.identity(i, &q)).unwrap();
    }
    let q: [Interval; TANGENT_QUOTIENT] =
        core::array::from_fn(|i| if i < 32 { byte } else { Interval { lo: -4, hi: 3 } });
    let tangent = double.tangent(&q);
    assert_eq!(tangent.0.len(), secp256k1_double::TANGENT_CARRIES + 1);
    BASE8.check_bounds(&tangent).unwrap();
    // The check can fail: the tangent identity does not fit base 2^16.
    assert!(BASE16.check_bounds(&tangent.pairs()).is_err());
}

#[test]
fn every_column_of_the_addition_is_bound() {
    let mut rng = rng(1);
    let calls: Vec<_> =
        (1..4).map(|n| add_call(&mut rng, n, Point { x: [n; 8], y: [n + 7; 8] }, G)).collect();
    let trace = Secp256k1AddAir.generate(&calls, &mut Counts::new());
    corrupt_all(&Secp256k1AddAir, &trace, &Secp256k1AddCols::<F>::groups(), &[0, 1], |_, _| false);
    assert_padding_is_silent(&Secp256k1AddAir, &trace, &[], 3);
}

#[test]
fn every_column_of_the_doubling_is_bound() {
    let mut rng = rng(1);
    let calls: Vec<_> = (1..4)
        .map(|n| double_call(&mut rng, n, Point { x: [n; 8], y: [n << 20 | 9; 8] }))
        .collect();
    let trace = Secp256k1DoubleAir.generate(&calls, &mut Counts::new());
    corrupt_all(
        &Secp256k1DoubleAir,
        &trace,
        &Secp256k1DoubleCols::<F>::groups(),
        &[0, 1],
        |_, _| false,
    );
    assert_padding_is_silent(&Secp256k1DoubleAir, &trace, &[], 3);
}

/// A sum that is right modulo p but not below p is refused, whatever witnesses the prover computes for it.
#[test]
fn results_are_canonical() {
    let limbs = |words: [u32; 8]| field256::limbs_of_words(&words);
    let small = |v: u32| [v, 0, 0, 0, 0, 0, 0, 0];
    for below in [
        small(0),
        small(7),
        u256::sub(&P, &small(1)),
        u256::sub(&P, &small(0x1_0000)),
        [u32::MAX; 8].map(|w| w >> 1),
    ] {
        let _ = field256::fill_below(&limbs(below), &mut Counts::new());
    }
    for above in [P, u256::add(&P, &small(1)), [u32::MAX; 8]] {
        assert!(
            std::panic::catch_unwind(|| field256::fill_below(&limbs(above), &mut Counts::new()))
                .is_err()
        );
        // Every honest-looking choice of the selectors fails.
        for selector in 0..4 {
            for d in [0, 1, 0xffff] {
                for w in [F::ZERO, F::ONE, F::TWO] {
                    let mut columns = [F::ZERO; field256::BELOW];
                    if selector > 0 {
                        columns[selector - 1] = F::ONE;
                    }
                    (columns[3], columns[4]) = (w, F::from_u32(d));
                    assert!(!below_holds(&limbs(above), &columns));
                }
            }
        }
    }
}

fn below_holds(x: &[u16; 16], columns: &[F; field256::BELOW]) -> bool {
    crate::testing::holds(|b| field256::eval_below(b, &x.map(F::from_u16), columns, &F::ONE))
}

/// Equal x coordinates (mod p), and doublings of y = 0 (mod p), have no witness.
#[test]
fn undefined_points_have_no_trace() {
    let mut rng = rng(5);
    let zero_plus_p = |x: [u32; 8]| u256::add(&x, &P);
    for x in [[0; 8], [5, 0, 0, 0, 0, 0, 0, 0]] {
        for other in [x, zero_plus_p(x)] {
            let inputs =
                [words(&Point { x: other, y: [3; 8] }), words(&Point { x, y: [9; 8] })].concat();
            let call = call(&mut rng, 1, ids::SECP256K1_ADD, &inputs, &[0; 16]);
            assert!(
                std::panic::catch_unwind(|| Secp256k1AddAir.generate(&[call], &mut Counts::new()))
                    .is_err()
            );
        }
    }
    for y in [[0; 8], P] {
        let p: Vec<F> = field256::limbs_of_words(&y).map(F::from_u16).to_vec();
        let mut cols = Secp256k1DoubleCols::<F>::zero();
        cols.real = F::ONE;
        let y: [F; 16] = p.try_into().unwrap();
        for not_zero in [0, 1, 77] {
            for i in 0..3 {
                cols.not_zero = F::from_u32(not_zero);
                cols.not_prime = [F::ZERO; 3];
                cols.not_prime[i] = F::from_u32(1 + not_zero);
                assert!(!crate::testing::holds(|b| secp256k1_double::eval_not_zero(b, &cols, &y)));
            }
        }
    }
}
