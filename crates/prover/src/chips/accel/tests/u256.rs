use super::*;
use crate::chips::accel::limbs::{self, BASE16, Interval};
use crate::chips::accel::modmul::{self, ModMulAir, ModMulCols};
use crate::chips::accel::u256_add::{U256AddAir, U256AddCols};
use crate::chips::accel::u256_mul::{self, U256MulAir, U256MulCols};
use cairn_accel::u256::{self, Words};
use core::cmp::Ordering;
use p3_field::Field;

const UNARY_IDS: [u32; 7] = [
    ids::U256_ADD,
    ids::U256_SUB,
    ids::U256_MUL,
    ids::U256_DIVREM,
    ids::U256_CMP,
    ids::U256_SHL,
    ids::U256_SHR,
];

fn two_operands(rng: &mut StdRng, n: u32, id: u32, a: Words, b: Words) -> AccelCall {
    let out: Vec<u32> = match id {
        ids::U256_ADD => u256::add(&a, &b).to_vec(),
        ids::U256_SUB => u256::sub(&a, &b).to_vec(),
        ids::U256_MUL => u256::mul(&a, &b).to_vec(),
        ids::U256_DIVREM => {
            let (q, r) = u256::div_rem(&a, &b);
            [q, r].concat()
        }
        ids::U256_CMP => vec![match u256::cmp(&a, &b) {
            Ordering::Equal => 0,
            Ordering::Less => 1,
            Ordering::Greater => 2,
        }],
        ids::U256_SHL => u256::shl(&a, &b).to_vec(),
        _ => u256::shr(&a, &b).to_vec(),
    };
    call(rng, n, id, &[a, b].concat(), &out)
}

fn modular(rng: &mut StdRng, n: u32, id: u32, a: Words, b: Words, m: Words) -> AccelCall {
    let out =
        if id == ids::MODMUL256 { u256::mul_mod(&a, &b, &m) } else { u256::add_mod(&a, &b, &m) };
    call(rng, n, id, &[a, b, m].concat(), &out)
}

/// Numbers of all sizes, zero and the greatest included.
fn number(rng: &mut StdRng) -> Words {
    let mut words: Words = rng.random();
    match rng.random_range(0..8) {
        0 => words = [0; 8],
        1 => words = [u32::MAX; 8],
        2 => words = [1, 0, 0, 0, 0, 0, 0, 0],
        3 => words = [0, 0, 0, 0, 0, 0, 0, 1 << 31],
        4 => {
            let keep = rng.random_range(0..8);
            words[keep..].fill(0);
        }
        _ => {}
    }
    words
}

fn shift(rng: &mut StdRng) -> Words {
    let mut words = [rng.random_range(0..256), 0, 0, 0, 0, 0, 0, 0];
    match rng.random_range(0..5) {
        0 => words[0] = 256 + rng.random_range(0..2),
        1 => words[rng.random_range(1..8)] = 1,
        _ => {}
    }
    words
}

#[test]
fn calls_agree_with_the_native_model() {
    for seed in 0..8 {
        let mut rng = rng(seed);
        let mut calls = Vec::new();
        for n in 1..60 {
            let (a, mut b, m) = (number(&mut rng), number(&mut rng), number(&mut rng));
            let id = UNARY_IDS[n as usize % UNARY_IDS.len()];
            if matches!(id, ids::U256_SHL | ids::U256_SHR) {
                b = shift(&mut rng);
            } else if rng.random_bool(0.1) {
                b = a;
            }
            calls.push(two_operands(&mut rng, 2 * n, id, a, b));
            let id = if rng.random_bool(0.5) { ids::MODMUL256 } else { ids::U256_ADDMOD };
            calls.push(modular(&mut rng, 2 * n + 1, id, a, b, m));
        }
        check_calls(&calls);
    }
}

#[test]
fn every_shift_is_a_power_of_two() {
    let mut rng = rng(9);
    let a = rng.random();
    let calls: Vec<_> = (0..512)
        .map(|s| {
            two_operands(
                &mut rng,
                s + 1,
                if s % 2 == 0 { ids::U256_SHL } else { ids::U256_SHR },
                a,
                [s / 2, 0, 0, 0, 0, 0, 0, 0],
            )
        })
        .collect();
    check_calls(&calls);
}

#[test]
fn bounds_hold() {
    let (byte, limb) = (Interval::bits(8), Interval::bits(16));
    let mut m = [byte; 32];
    m[0].hi += 1;
    let identity = modmul::Operands {
        a: [byte; 32],
        y: [byte; 32],
        z: [limb; 16],
        q: [byte; 64],
        m,
        r: [limb; 16],
    }
    .identity();
    assert_eq!(identity.0.0.len(), modmul::CARRIES + 1);
    BASE16.check_bounds(&identity.0).unwrap();
    assert!(identity.1.lo == 0 && identity.1.hi < crate::chips::accel::limbs::P);
    let identity = u256_mul::Operands {
        x: [byte; 32],
        y: [byte; 32],
        s: [limb; 16],
        n: [limb; 16],
        h: [limb; 16],
    }
    .identity();
    assert_eq!(identity.0.len(), u256_mul::CARRIES + 1);
    BASE16.check_bounds(&identity).unwrap();
}

#[test]
fn every_column_of_modmul_is_bound() {
    let mut rng = rng(1);
    let (a, b) = (rng.random(), rng.random());
    let m = |hi: u32| [5, 7, 0, hi, 9, hi, 1, hi];
    let calls = [
        modular(&mut rng, 1, ids::MODMUL256, a, b, m(3)),
        modular(&mut rng, 2, ids::U256_ADDMOD, a, b, m(0)),
        modular(&mut rng, 3, ids::MODMUL256, a, b, [0; 8]),
    ];
    let trace = ModMulAir.generate(&calls, &mut Counts::new());
    corrupt_all(&ModMulAir, &trace, &ModMulCols::<F>::groups(), &[0, 1, 2], |_, _| false);
    assert_padding_is_silent(&ModMulAir, &trace, &[], 3);
}

#[test]
fn every_column_of_add_is_bound() {
    let mut rng = rng(2);
    let (a, b) = (rng.random(), rng.random());
    let mut calls: Vec<_> = [ids::U256_ADD, ids::U256_SUB, ids::U256_CMP]
        .map(|id| two_operands(&mut rng, id, id, a, b))
        .to_vec();
    calls.push(two_operands(&mut rng, 60, ids::U256_CMP, a, a));
    calls.push(two_operands(&mut rng, 61, ids::U256_CMP, b, a));
    let trace = U256AddAir.generate(&calls, &mut Counts::new());
    corrupt_all(&U256AddAir, &trace, &U256AddCols::<F>::groups(), &[0, 1, 2, 3, 4], |_, _| false);
    assert_padding_is_silent(&U256AddAir, &trace, &[], 6);
}

#[test]
fn every_column_of_mul_is_bound() {
    let mut rng = rng(3);
    let (a, b): (Words, Words) = (rng.random(), [77, 3, 5, 9, 0, 0, 0, 0]);
    let mut calls: Vec<_> =
        UNARY_IDS[2..4].iter().map(|&id| two_operands(&mut rng, id, id, a, b)).collect();
    for (n, id, b) in [
        (1, ids::U256_SHL, [100, 0, 0, 0, 0, 0, 0, 0]),
        (2, ids::U256_SHR, [37, 0, 0, 0, 0, 0, 0, 0]),
        (3, ids::U256_SHL, [0x1234, 0, 0, 0, 0, 0, 0, 0]),
        (4, ids::U256_SHR, [3, 0, 0, 0, 8, 0, 0, 0]),
        (5, ids::U256_DIVREM, [0; 8]),
    ] {
        calls.push(two_operands(&mut rng, n, id, a, b));
    }
    let trace = U256MulAir.generate(&calls, &mut Counts::new());
    corrupt_all(
        &U256MulAir,
        &trace,
        &U256MulCols::<F>::groups(),
        &[0, 1, 2, 3, 4, 5, 6],
        |_, _| false,
    );
    assert_padding_is_silent(&U256MulAir, &trace, &[], 7);
}

/// No choice of flags and difference shows `small < large` when it is not so.
#[test]
fn less_than_has_no_false_witness() {
    let pairs: [([u16; 4], [u16; 4]); 6] = [
        ([0; 4], [0; 4]),
        ([1, 0, 0, 0], [0; 4]),
        ([5, 6, 7, 8], [5, 6, 7, 8]),
        ([0xffff; 4], [0xffff; 4]),
        ([0, 0, 0, 1], [0xffff, 0xffff, 0xffff, 0]),
        ([0, 0xffff, 3, 3], [0xffff, 0, 3, 3]),
    ];
    for (small, large) in pairs {
        let (small, large) = (small.map(F::from_u16), large.map(F::from_u16));
        for choice in 0..16 {
            let flags: [F; 4] = core::array::from_fn(|i| F::from_bool(choice >> i & 1 == 1));
            let honest: F = (0..4).map(|i| flags[i] * (large[i] - small[i])).sum::<F>() - F::ONE;
            for diff in [honest, F::ZERO, F::ONE, F::from_u32(0xffff)] {
                assert!(!crate::testing::holds(|b| limbs::less_than(
                    b,
                    &small,
                    &large,
                    &flags,
                    &diff,
                    &F::ONE
                )));
            }
        }
    }
}

/// A wrong quotient, remainder, product or sum cannot be repaired by carries: for every small change of a result, the carries that the
/// coefficients ask for modulo p leave the range, or do not end in zero.
#[test]
fn carries_repair_nothing() {
    let mut rng = rng(4);
    for _ in 0..20 {
        let mut identity = limbs::Poly::<limbs::Int>(Vec::new());
        let (x, y): ([u16; 16], [u16; 16]) = (rng.random(), rng.random());
        let product =
            limbs::Poly::new(&limbs::int_bytes::<32>(&x)).mul(&limbs::int_bytes::<32>(&y)).pairs();
        identity = identity.plus(1, &product.0, 0);
        let mut carry = 0;
        let digits: Vec<limbs::Int> = (0..32)
            .map(|j| {
                let sum = identity.0.get(j).map_or(0, |c| c.0) + carry;
                carry = sum >> 16;
                limbs::Int(sum & 0xffff)
            })
            .collect();
        let honest = identity.plus(-1, &digits, 0);
        for _ in 0..20 {
            let mut forged: Vec<i128> = honest.0.iter().map(|c| c.0).collect();
            forged[rng.random_range(0..32)] +=
                if rng.random_bool(0.5) { 1 } else { -1 } << rng.random_range(0..16);
            // The only carries that satisfy the equations modulo p.
            let inverse = F::from_u32(1 << 16).inverse();
            let mut carry = F::ZERO;
            let mut columns = Vec::new();
            for &c in &forged[..31] {
                carry = (F::from_i64(c as i64) + carry) * inverse;
                columns.push(carry + F::from_u32(1 << 14));
            }
            let poly = limbs::Poly(forged.iter().map(|&c| F::from_i64(c as i64)).collect());
            assert!(!crate::testing::holds(|b| BASE16.constrain(b, poly, &columns, &F::ONE)));
        }
    }
}
