//! `SECP256K1_DOUBLE`: `(x, y) = 2 (x, y)` by the tangent formula, for any 256-bit coordinates with `y != 0` mod p. One row a call.
//!
//! With a witnessed slope `s` (any representative mod p), three identities over the integers:
//!
//! 1. `3 x^2 - 2 s y = q0 p`, in base 2^8, because its coefficients (up to `3 * 32 * 255^2` and down to `-2 * 32 * 255^2`) would wrap modulo the field's prime in base 2^16;
//! 2. `s^2 - 2 x - x3 = q1 p`;
//! 3. `s (x - x3) - y - y3 = q2 p`.
//!
//! `y` is neither 0 nor p, the only 256-bit integers that are 0 mod p (`2^256 < 2p`), so the slope is unique mod p. `x3` and `y3` are below p.

use super::cols::columns;
use super::field256::{
    BELOW, CARRIES, PRIME, QUOTIENT, eval_below, eval_quotient, fill_below, fill_quotient,
    limbs_of_words, minus, modular, quotient, words_of_limbs,
};
use super::limbs::{
    BASE8, BASE16, Int, Poly, Ring, bytes_of, check_bytes, check_limbs, count_bytes, count_limbs,
    high_bytes, int_bytes, int_limbs, to_field,
};
use super::mem::{Operand, new_limbs, old_limbs, prev_times, word_addr};
use crate::bus::{AccelCall, F, accel_receive, range_check};
use crate::counts::Counts;
use cairn_accel::{ids, secp256k1, u256};
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::{Field, PrimeCharacteristicRing};
use p3_lookup::InteractionBuilder;
use p3_matrix::dense::RowMajorMatrix;

/// Digits of the tangent identity's quotient: 32 bytes and a signed top in `-4 ..= 3` (its column holds it plus 4).
pub const TANGENT_QUOTIENT: usize = 33;
/// Carries of the tangent identity: 65 coefficients.
pub const TANGENT_CARRIES: usize = 64;

columns! {
    /// Columns of the point doubling.
    pub struct Secp256k1DoubleCols {
        /// 1 in a row that serves a call, 0 in padding.
        real,
        /// Time of the call.
        ts,
        /// Word address of the point.
        addr,
        /// `x`, then `y`: limbs of the point before.
        p: 32,
        /// `x3`, then `y3`: limbs of the double, each number below p.
        double: 32,
        /// Times of the versions consumed.
        prev_ts: 16,
        /// High bytes of the limbs of `x`.
        x_high: 16,
        /// High bytes of the limbs of `y`.
        y_high: 16,
        /// High bytes of the limbs of `x3`.
        x3_high: 16,
        /// Byte digits of the slope.
        slope: 32,
        /// Quotient of the tangent identity, in bytes.
        tangent_quotient: TANGENT_QUOTIENT,
        /// Carries of the tangent identity.
        tangent_carries: TANGENT_CARRIES,
        /// Quotients of the other two identities.
        quotients: 2 * QUOTIENT,
        /// Carries of the other two identities.
        carries: 2 * CARRIES,
        /// `x3 < p`, then `y3 < p`.
        below: 2 * BELOW,
        /// `y != 0`: the inverse of the sum of its limbs.
        not_zero,
        /// `y != p`: multipliers of three distances between limbs of `y` and of p whose sum of products is one; only the first non-zero distance has one.
        not_prime: 3,
    }
}

/// The chip.
#[derive(Clone, Copy, Debug, Default)]
pub struct Secp256k1DoubleAir;

/// The numbers in the identities.
pub struct Operands<R> {
    /// Byte digits of `x`, `y`, `x3`.
    pub bytes: [[R; 32]; 3],
    /// Limbs of `x`, `y`, `x3`, `y3`.
    pub limbs: [[R; 16]; 4],
    /// Byte digits of the slope.
    pub slope: [R; 32],
}

impl<R: Ring> Operands<R> {
    /// The tangent identity in base 2^8, where `p = X^32 - X^4 - 3X - 209`.
    pub fn tangent(&self, q: &[R; TANGENT_QUOTIENT]) -> Poly<R> {
        let [x, y, _] = &self.bytes;
        let (square, line) = (Poly::new(x).mul(x), Poly::new(&self.slope).mul(y));
        let sum = Poly(Vec::new()).plus(3, &square.0, 0).plus(-2, &line.0, 0);
        sum.plus(209, q, 0).plus(3, q, 1).plus(1, q, 4).plus(-1, q, 32)
    }

    /// Identity 0 (`x3`) or 1 (`y3`).
    pub fn identity(&self, i: usize, q: &[R; QUOTIENT]) -> Poly<R> {
        let ([x_bytes, _, x3_bytes], [x, y, x3, y3]) = (&self.bytes, &self.limbs);
        let slope = Poly::new(&self.slope);
        match i {
            0 => modular(slope.mul(&self.slope), &[(-2, x), (-1, x3)], q),
            _ => modular(slope.mul(&minus(x_bytes, x3_bytes)), &[(-1, y), (-1, y3)], q),
        }
    }
}

fn half<T: Clone, const N: usize>(point: &[T], start: usize) -> [T; N] {
    core::array::from_fn(|i| point[start + i].clone())
}

/// Distances between the limbs of `y` and of p: they all vanish iff `y = p`. Limb 1 and limbs from 3 up of p are `0xffff`, so their distances are non-negative and
/// their sum (below 2^20) vanishes only with all of them.
fn distances<R: Ring>(y: &[R; 16]) -> [R; 3] {
    let mut rest = R::int(0);
    for i in (0..16).filter(|i| ![0, 2].contains(i)) {
        rest = rest + (R::int(PRIME[i].into()) - y[i].clone());
    }
    [rest, y[0].clone() - R::int(PRIME[0].into()), y[2].clone() - R::int(PRIME[2].into())]
}

impl Secp256k1DoubleAir {
    fn row(call: &AccelCall, counts: &mut Counts) -> Secp256k1DoubleCols<F> {
        let mut cols = Secp256k1DoubleCols::zero();
        let p: [u16; 32] = old_limbs(&call.accesses);
        let double: [u16; 32] = new_limbs(&call.accesses);
        cols.real = F::ONE;
        cols.ts = F::from_u32(call.ts);
        cols.addr = word_addr(call, 0);
        (cols.p, cols.double) = (to_field(&p), to_field(&double));
        cols.prev_ts = prev_times(&call.accesses, counts);
        let (x, y, x3, y3): ([u16; 16], [u16; 16], [u16; 16], [u16; 16]) =
            (half(&p, 0), half(&p, 16), half(&double, 0), half(&double, 16));
        [cols.x_high, cols.y_high, cols.x3_high] = [x, y, x3].map(|limbs| high_bytes(&limbs));
        let slope = slope(&x, &y);
        cols.slope = core::array::from_fn(|i| F::from_u16(slope[i / 2] >> (8 * (i % 2)) & 0xff));
        for limbs in [&x, &y, &x3, &slope] {
            count_bytes(limbs, counts);
        }
        count_limbs(&y3, counts);
        let operands = Operands {
            bytes: [x, y, x3].map(|limbs| int_bytes(&limbs)),
            limbs: [x, y, x3, y3].map(|limbs| int_limbs(&limbs)),
            slope: int_bytes(&slope),
        };
        fill_tangent(&mut cols, &operands, counts);
        for i in 0..2 {
            let q = quotient(&operands.identity(i, &[Int(0); QUOTIENT]));
            cols.quotients[i * QUOTIENT..][..QUOTIENT].copy_from_slice(&fill_quotient(&q, counts));
            BASE16.fill(
                &operands.identity(i, &q.map(Int)),
                &mut cols.carries[i * CARRIES..][..CARRIES],
                counts,
            );
        }
        cols.below[..BELOW].copy_from_slice(&fill_below(&x3, counts));
        cols.below[BELOW..].copy_from_slice(&fill_below(&y3, counts));
        fill_not_zero(&mut cols, &y);
        cols
    }

    /// The trace of these calls.
    pub fn generate(self, calls: &[AccelCall], counts: &mut Counts) -> RowMajorMatrix<F> {
        super::rows(calls, Secp256k1DoubleCols::<F>::WIDTH, |call, row| {
            Self::row(call, counts).write(row)
        })
    }
}

fn fill_tangent(cols: &mut Secp256k1DoubleCols<F>, operands: &Operands<Int>, counts: &mut Counts) {
    let q = quotient(&operands.tangent(&[Int(0); TANGENT_QUOTIENT]).pairs());
    let digits: [Int; TANGENT_QUOTIENT] = core::array::from_fn(|i| {
        if i < 32 { Int(q[i / 2] >> (8 * (i % 2)) & 0xff) } else { Int(q[16]) }
    });
    for (column, digit) in cols.tangent_quotient[..32].iter_mut().zip(&digits) {
        *column = F::from_u8(u8::try_from(digit.0).expect("a digit is a byte"));
    }
    let limbs: [u16; 16] =
        core::array::from_fn(|i| u16::try_from(q[i]).expect("a limb has 16 bits"));
    count_bytes(&limbs, counts);
    let top = u32::try_from(q[16] + 4).expect("the tangent's quotient is in range");
    cols.tangent_quotient[32] = F::from_u32(top);
    counts.range(top, 3);
    BASE8.fill(&operands.tangent(&digits), &mut cols.tangent_carries, counts);
}

fn fill_not_zero(cols: &mut Secp256k1DoubleCols<F>, y: &[u16; 16]) {
    let limbs = to_field(y);
    cols.not_zero = limbs.into_iter().sum::<F>().try_inverse().unwrap_or(F::ZERO);
    if let Some((i, inverse)) =
        distances(&limbs).iter().enumerate().find_map(|(i, d)| d.try_inverse().map(|v| (i, v)))
    {
        cols.not_prime[i] = inverse;
    }
}

fn slope(x: &[u16; 16], y: &[u16; 16]) -> [u16; 16] {
    let p = &secp256k1::P;
    let (x, y) = (words_of_limbs(x), words_of_limbs(y));
    let square = u256::mul_mod(&x, &x, p);
    let numerator = u256::add_mod(&u256::add_mod(&square, &square, p), &square, p);
    limbs_of_words(&u256::mul_mod(&numerator, &u256::inv_mod(&u256::add_mod(&y, &y, p), p), p))
}

impl BaseAir<F> for Secp256k1DoubleAir {
    fn width(&self) -> usize {
        Secp256k1DoubleCols::<F>::WIDTH
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }
}

/// `y` is neither 0 nor p. Its limbs are 16-bit words of memory.
pub(super) fn eval_not_zero<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    cols: &Secp256k1DoubleCols<AB::Expr>,
    y: &[AB::Expr; 16],
) {
    let real = cols.real.clone();
    let sum: AB::Expr = y.iter().cloned().sum();
    b.assert_eq(sum * cols.not_zero.clone(), real.clone());
    let [d0, d1, d2] = distances(y);
    let [m0, m1, m2] = cols.not_prime.clone();
    b.assert_eq(d0.clone() * m0.clone() + d1.clone() * m1.clone() + d2 * m2.clone(), real);
    // Only one multiplier is used, so that there is one witness.
    b.assert_zero(m0.clone() * m1.clone());
    b.assert_zero((m0 + m1) * m2);
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for Secp256k1DoubleAir {
    fn eval(&self, b: &mut AB) {
        let cols = Secp256k1DoubleCols::<AB::Expr>::read(b.main().current_slice());
        let (real, ts) = (&cols.real, &cols.ts);
        b.assert_bool(real.clone());
        let zero = AB::Expr::ZERO;
        accel_receive(
            b,
            ids::SECP256K1_DOUBLE,
            ts.clone(),
            [cols.addr.clone(), zero.clone(), zero.clone(), zero],
            real.clone(),
        );
        Operand {
            addr: &cols.addr,
            index: 0,
            old: &cols.p,
            new: &cols.double,
            prev_ts: &cols.prev_ts,
        }
        .access(b, ts, real);

        let limbs: [[AB::Expr; 16]; 4] =
            [half(&cols.p, 0), half(&cols.p, 16), half(&cols.double, 0), half(&cols.double, 16)];
        let highs = [&cols.x_high, &cols.y_high, &cols.x3_high];
        let bytes: [[AB::Expr; 32]; 3] = core::array::from_fn(|i| bytes_of(&limbs[i], highs[i]));
        for digits in bytes.iter().chain([&cols.slope]) {
            check_bytes(b, digits, real);
        }
        check_limbs(b, &limbs[3], real);
        eval_below(b, &limbs[2], &half(&cols.below, 0), real);
        eval_below(b, &limbs[3], &half(&cols.below, BELOW), real);
        eval_not_zero(b, &cols, &limbs[1]);

        let operands = Operands { bytes, limbs, slope: cols.slope.clone() };
        let (bytes, top) = (&cols.tangent_quotient[..32], &cols.tangent_quotient[32]);
        check_bytes(b, bytes, real);
        range_check(b, top.clone(), 3, real.clone());
        let q: [AB::Expr; TANGENT_QUOTIENT] = core::array::from_fn(|i| {
            if i < 32 { bytes[i].clone() } else { top.clone() - real.clone() * F::from_u32(4) }
        });
        BASE8.constrain(b, operands.tangent(&q), &cols.tangent_carries, real);
        for i in 0..2 {
            let q = eval_quotient(b, &half(&cols.quotients, i * QUOTIENT), real);
            BASE16.constrain(
                b,
                operands.identity(i, &q),
                &cols.carries[i * CARRIES..][..CARRIES],
                real,
            );
        }
    }
}
