//! keccak-f\[1600\]: a table of calls (one row each, on the memory bus) and a table of rounds (one row each).
//!
//! The two are joined by [`STATES`], whose messages are `(call time, round, 100 limbs of the state before that round)`: a call sends its input as the state before round 0
//! and takes its output as the state before round 24; a round row takes the state before round `r` and sends the one before `r + 1`. Rounds only go up from 0 to
//! 24 and a call's time is unique, so the 24 rows of a call must all be there, in any order and anywhere in the table. Rows are independent: no next-row
//! access, no trouble with 24 not dividing a power of two, and a padding row (all flags zero) claims nothing.
//!
//! A round row holds bits of theta's result, as in Plonky3's keccak AIR; it needs no copy of the permutation's input, no 24 round flags and only the seven bits of lane 0
//! that a round constant can flip.
//!
//! Cells a permutation: 24 rows of 2459 + 8, and a call row of 565: 59,773.

use super::cols::columns;
use super::mem::{Operand, new_limbs, old_limbs, prev_times, word_addr};
use crate::bus::{AccelCall, F, accel_receive};
use crate::counts::Counts;
use cairn_accel::ids;
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder, PermutationCheckBus};
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;

/// States between rounds: `(call time, rounds done, 100 limbs)`.
pub const STATES: PermutationCheckBus<'static> = PermutationCheckBus::new("keccak");

/// Rows of a call.
pub const ROUNDS: usize = 24;
/// Bits of a lane that round constants can flip.
const RC_BITS: [usize; 7] = [0, 1, 3, 7, 15, 31, 63];

columns! {
    /// Columns of the call table.
    pub struct KeccakCallCols {
        /// 1 in a row that serves a call, 0 in padding.
        real,
        /// Time of the call: it names the call on [`STATES`].
        ts,
        /// Word address of the state.
        addr,
        /// Limbs of the state before.
        old: 100,
        /// Limbs of the state after. 16-bit, as sums of bits in the round table.
        new: 100,
        /// Times of the versions consumed.
        prev_ts: 50,
    }
}

columns! {
    /// Columns of the round table. Lane `x + 5 y` has four limbs, or 64 bits, at that index.
    pub struct KeccakRoundCols {
        /// Time of the call.
        ts,
        /// One-hot: the round divided by 8. All zero in padding.
        high: 3,
        /// One-hot: the round modulo 8. All zero in padding.
        low: 8,
        /// The state before the round.
        a: 100,
        /// `C[x, z]`: parity of a column of `a`.
        c: 320,
        /// `C'[x, z]`: parity of a column of `a_prime`.
        c_prime: 320,
        /// The bits of the state after theta.
        a_prime: 1600,
        /// Bits 0, 1, 3, 7, 15, 31, 63 of lane 0 after chi, before iota.
        iota: 7,
        /// The state after the round. 16-bit limbs, as sums of bits.
        out: 100,
    }
}

/// The call table.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeccakCallAir;

/// The round table.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeccakRoundAir;

/// Rotation of lane `x + 5 y` in rho.
const ROTATIONS: [usize; 25] = rotations();

const fn rotations() -> [usize; 25] {
    let mut out = [0; 25];
    let (mut x, mut y) = (1, 0);
    let mut t = 0;
    while t < 24 {
        out[x + 5 * y] = (t + 1) * (t + 2) / 2 % 64;
        (x, y) = (y, (2 * x + 3 * y) % 5);
        t += 1;
    }
    out
}

/// Which of [`RC_BITS`] are set in each round's constant: the LFSR of the specification.
const RC: [[bool; 7]; ROUNDS] = round_constants();

const fn round_constants() -> [[bool; 7]; ROUNDS] {
    let mut out = [[false; 7]; ROUNDS];
    let mut lfsr: u32 = 1;
    let mut round = 0;
    while round < ROUNDS {
        let mut j = 0;
        while j < 7 {
            out[round][j] = lfsr & 1 == 1;
            lfsr <<= 1;
            if lfsr & 0x100 != 0 {
                lfsr ^= 0x171;
            }
            j += 1;
        }
        round += 1;
    }
    out
}

/// Where bit `z` of lane `(x, y)` after rho and pi sits in `a_prime`: `B[y, 2x + 3y] = rot(A'[x, y])`, so `B[x, y] = rot(A'[x + 3y, x])`.
const fn b_index(x: usize, y: usize, z: usize) -> usize {
    let lane = (x + 3 * y) % 5 + 5 * x;
    64 * lane + (z + 64 - ROTATIONS[lane]) % 64
}

fn limb_of_bits<E: PrimeCharacteristicRing>(limb: usize, bit: impl Fn(usize) -> E) -> E {
    (16 * limb..16 * limb + 16).rev().fold(E::ZERO, |sum, z| sum.double() + bit(z))
}

impl KeccakCallAir {
    /// The trace of these calls.
    pub fn generate(self, calls: &[AccelCall], counts: &mut Counts) -> RowMajorMatrix<F> {
        super::rows(calls, KeccakCallCols::<F>::WIDTH, |call, row| {
            let mut cols = KeccakCallCols::zero();
            cols.real = F::ONE;
            cols.ts = F::from_u32(call.ts);
            cols.addr = word_addr(call, 0);
            cols.old = old_limbs::<100>(&call.accesses).map(F::from_u16);
            cols.new = new_limbs::<100>(&call.accesses).map(F::from_u16);
            cols.prev_ts = prev_times(&call.accesses, counts);
            cols.write(row);
        })
    }
}

impl BaseAir<F> for KeccakCallAir {
    fn width(&self) -> usize {
        KeccakCallCols::<F>::WIDTH
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for KeccakCallAir {
    fn eval(&self, b: &mut AB) {
        let cols = KeccakCallCols::<AB::Expr>::read(b.main().current_slice());
        b.assert_bool(cols.real.clone());
        let zero = AB::Expr::ZERO;
        accel_receive(
            b,
            ids::KECCAK_F,
            cols.ts.clone(),
            [cols.addr.clone(), zero.clone(), zero.clone(), zero.clone()],
            cols.real.clone(),
        );
        Operand {
            addr: &cols.addr,
            index: 0,
            old: &cols.old,
            new: &cols.new,
            prev_ts: &cols.prev_ts,
        }
        .access(b, &cols.ts, &cols.real);
        let count = Count::bounded(cols.real, 1);
        STATES.send(b, [cols.ts.clone(), zero].into_iter().chain(cols.old), count.clone());
        STATES.receive(
            b,
            [cols.ts, AB::Expr::from_usize(ROUNDS)].into_iter().chain(cols.new),
            count,
        );
    }
}

impl KeccakRoundAir {
    /// The trace of these calls' rounds. They look nothing up.
    pub fn generate(self, calls: &[AccelCall], _: &mut Counts) -> RowMajorMatrix<F> {
        let width = KeccakRoundCols::<F>::WIDTH;
        let height = super::height(calls.len() * ROUNDS);
        let mut values = F::zero_vec(height * width);
        values.par_chunks_mut(width * ROUNDS).zip(calls).for_each(|(rows, call)| {
            let mut state: [u64; 25] = core::array::from_fn(|i| {
                u64::from(call.accesses[2 * i].prev)
                    | u64::from(call.accesses[2 * i + 1].prev) << 32
            });
            for (round, row) in rows.chunks_exact_mut(width).enumerate() {
                let mut cols = KeccakRoundCols::zero();
                cols.ts = F::from_u32(call.ts);
                cols.high[round / 8] = F::ONE;
                cols.low[round % 8] = F::ONE;
                fill_round(&mut cols, round, &mut state);
                cols.write(row);
            }
        });
        RowMajorMatrix::new(values, width)
    }
}

fn state_limbs(state: &[u64; 25]) -> [F; 100] {
    core::array::from_fn(|i| F::from_u64(state[i / 4] >> (16 * (i % 4)) & 0xffff))
}

const fn bit(word: u64, z: usize) -> F {
    if word >> z & 1 == 1 { F::ONE } else { F::ZERO }
}

fn fill_round(cols: &mut KeccakRoundCols<F>, round: usize, state: &mut [u64; 25]) {
    cols.a = state_limbs(state);
    let c: [u64; 5] = core::array::from_fn(|x| (0..5).fold(0, |sum, y| sum ^ state[x + 5 * y]));
    let d: [u64; 5] = core::array::from_fn(|x| c[(x + 4) % 5] ^ c[(x + 1) % 5].rotate_left(1));
    cols.c = core::array::from_fn(|i| bit(c[i / 64], i % 64));
    cols.c_prime = core::array::from_fn(|i| bit(c[i / 64] ^ d[i / 64], i % 64));
    let theta: [u64; 25] = core::array::from_fn(|lane| state[lane] ^ d[lane % 5]);
    cols.a_prime = core::array::from_fn(|i| bit(theta[i / 64], i % 64));
    let b: [u64; 25] = core::array::from_fn(|i| {
        let (x, y) = (i % 5, i / 5);
        let lane = (x + 3 * y) % 5 + 5 * x;
        theta[lane].rotate_left(ROTATIONS[lane] as u32)
    });
    *state = core::array::from_fn(|i| {
        let (x, y) = (i % 5, i / 5);
        b[i] ^ (!b[(x + 1) % 5 + 5 * y] & b[(x + 2) % 5 + 5 * y])
    });
    cols.iota = RC_BITS.map(|z| bit(state[0], z));
    for (set, z) in RC[round].iter().zip(RC_BITS) {
        state[0] ^= u64::from(*set) << z;
    }
    cols.out = state_limbs(state);
}

impl BaseAir<F> for KeccakRoundAir {
    fn width(&self) -> usize {
        KeccakRoundCols::<F>::WIDTH
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }
}

/// Constrains the flags; returns `(real, round, round-constant bits)`.
fn eval_flags<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    cols: &KeccakRoundCols<AB::Expr>,
) -> (AB::Expr, AB::Expr, [AB::Expr; 7]) {
    let (mut real, mut real_low, mut round) = (AB::Expr::ZERO, AB::Expr::ZERO, AB::Expr::ZERO);
    for (i, flag) in cols.high.iter().enumerate() {
        b.assert_bool(flag.clone());
        real += flag.clone();
        round += flag.clone() * F::from_usize(8 * i);
    }
    for (i, flag) in cols.low.iter().enumerate() {
        b.assert_bool(flag.clone());
        real_low += flag.clone();
        round += flag.clone() * F::from_usize(i);
    }
    b.assert_bool(real.clone());
    b.assert_eq(real.clone(), real_low);
    let constants = core::array::from_fn(|k| {
        let mut set = AB::Expr::ZERO;
        for (i, high) in cols.high.iter().enumerate() {
            let lows: AB::Expr =
                (0..8).filter(|j| RC[8 * i + j][k]).map(|j| cols.low[j].clone()).sum();
            set += high.clone() * lows;
        }
        set
    });
    (real, round, constants)
}

/// `a`, `c`, `c_prime` and `a_prime` are theta of `a`, as in Plonky3's AIR: `C' = C ^ D` by its definition, `A = A' ^ (C ^ C')`, and the parity of `A'` is `C'`;
/// so the parity of `A` is `C' ^ D = C`.
fn eval_theta<AB: InteractionBuilder<F = F>>(b: &mut AB, cols: &KeccakRoundCols<AB::Expr>) {
    for x in 0..5 {
        for z in 0..64 {
            let (c, c_prime) = (&cols.c[64 * x + z], &cols.c_prime[64 * x + z]);
            b.assert_bool(c.clone());
            b.assert_eq(
                c_prime.clone(),
                c.xor3(
                    &cols.c[64 * ((x + 4) % 5) + z],
                    &cols.c[64 * ((x + 1) % 5) + (z + 63) % 64],
                ),
            );
            let sum: AB::Expr = (0..5).map(|y| cols.a_prime[64 * (x + 5 * y) + z].clone()).sum();
            let diff = sum - c_prime.clone();
            b.assert_zero(
                diff.clone() * (diff.clone() - AB::Expr::TWO) * (diff - AB::Expr::from_u32(4)),
            );
        }
        let d: Vec<AB::Expr> =
            (0..64).map(|z| cols.c[64 * x + z].xor(&cols.c_prime[64 * x + z])).collect();
        for lane in (0..5).map(|y| x + 5 * y) {
            for bit in &cols.a_prime[64 * lane..64 * lane + 64] {
                b.assert_bool(bit.clone());
            }
            for limb in 0..4 {
                let value = limb_of_bits(limb, |z| cols.a_prime[64 * lane + z].xor(&d[z]));
                b.assert_eq(value, cols.a[4 * lane + limb].clone());
            }
        }
    }
}

/// `out` is chi, and iota for lane 0, of the rotated and permuted `a_prime`.
fn eval_chi_iota<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    cols: &KeccakRoundCols<AB::Expr>,
    constants: &[AB::Expr; 7],
) {
    let chi = |x: usize, y: usize, z: usize| {
        let at = |x: usize| &cols.a_prime[b_index(x % 5, y, z)];
        at(x).xor(&at(x + 1).andn(at(x + 2)))
    };
    for (k, z) in RC_BITS.into_iter().enumerate() {
        b.assert_eq(chi(0, 0, z), cols.iota[k].clone());
    }
    for lane in 0..25 {
        let (x, y) = (lane % 5, lane / 5);
        for limb in 0..4 {
            let value = limb_of_bits(limb, |z| {
                match RC_BITS.iter().position(|&bit| lane == 0 && bit == z) {
                    Some(k) => cols.iota[k].xor(&constants[k]),
                    None => chi(x, y, z),
                }
            });
            b.assert_eq(value, cols.out[4 * lane + limb].clone());
        }
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for KeccakRoundAir {
    fn eval(&self, b: &mut AB) {
        let cols = KeccakRoundCols::<AB::Expr>::read(b.main().current_slice());
        let (real, round, constants) = eval_flags(b, &cols);
        eval_theta(b, &cols);
        eval_chi_iota(b, &cols, &constants);
        let count = Count::bounded(real, 1);
        STATES.receive(
            b,
            [cols.ts.clone(), round.clone()].into_iter().chain(cols.a),
            count.clone(),
        );
        STATES.send(b, [cols.ts, round + AB::Expr::ONE].into_iter().chain(cols.out), count);
    }
}
