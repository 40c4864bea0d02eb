//! SHA-256 compression: a table of calls (one row each, on the memory bus) and a table of steps (four rounds a row, sixteen rows a call).
//!
//! The two are joined by [`STEPS`], whose messages are `(call time, steps done, working state, message window)`: eight and sixteen words as 16-bit limbs. A call sends the initial
//! one and takes the one after sixteen steps; a step row takes the one before step `r` and sends the one before `r + 1`. As in [`super::keccak`], rows may stand anywhere and a
//! padding row (all flags zero) claims nothing.
//!
//! A step numbers the words of the two shift registers from the oldest: `A = [d, c, b, a, and the four new a]`, `E = [h, g, f, e, and the four new e]`, and `W` is the
//! window of sixteen words and four new ones. Words that enter a bitwise function (`A1..A6`, `E1..E6`, `W1..W4`, `W14..W17`) are held as bits, the others as limbs. New words
//! are sums modulo 2^32: limb by limb with carries below 8, so that `limb sums < 8 * 2^16` cannot wrap.

use super::cols::columns;
use super::limbs::{check_limbs, count_limbs, high_bytes, to_field};
use super::mem::{Operand, new_limbs, old_limbs, prev_times, word_addr};
use crate::bus::{AccelCall, F, accel_receive, range_check};
use crate::counts::Counts;
use cairn_accel::ids;
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder, PermutationCheckBus};
use p3_matrix::dense::RowMajorMatrix;

/// States between steps: `(call time, steps done, 16 limbs of a..h, 32 limbs of the message window)`.
pub const STEPS: PermutationCheckBus<'static> = PermutationCheckBus::new("sha256");

/// Rounds of a row.
const ROUNDS: usize = 4;
/// Rows of a call.
pub const ROWS: usize = 16;
/// Words of the shift registers that are held as bits.
const REGISTER_BITS: [usize; 6] = [1, 2, 3, 4, 5, 6];
/// Words of the message window that are held as bits, and as limbs.
const WINDOW_BITS: [usize; 8] = [1, 2, 3, 4, 14, 15, 16, 17];
const WINDOW_LIMBS: [usize; 12] = [0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 18, 19];

/// Round constants: the first 32 bits of the fractional parts of the cube roots of the first 64 primes.
const K: [u32; 64] = round_constants();

const fn round_constants() -> [u32; 64] {
    let mut out = [0; 64];
    let (mut n, mut found) = (2u128, 0);
    while found < 64 {
        let mut divisor = 2;
        while divisor * divisor <= n && n % divisor != 0 {
            divisor += 1;
        }
        if divisor * divisor > n {
            // floor(cbrt(n) * 2^32) by bisection: the cube of the result is at most n * 2^96.
            let (mut low, mut high) = (0u128, 1 << 36);
            while high - low > 1 {
                let middle = (low + high) / 2;
                if middle * middle * middle <= n << 96 {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            out[found] = (low & 0xffff_ffff) as u32;
            found += 1;
        }
        n += 1;
    }
    out
}

columns! {
    /// Columns of the call table.
    pub struct Sha256CallCols {
        /// 1 in a row that serves a call, 0 in padding.
        real,
        /// Time of the call: it names the call on [`STEPS`].
        ts,
        /// Word addresses of the state and of the block.
        addr: 2,
        /// Limbs of the block's memory words.
        block: 32,
        /// High bytes of the limbs of the block.
        block_high: 32,
        /// Limbs of the state before.
        old: 16,
        /// Limbs of the working state after 64 rounds.
        work: 16,
        /// Limbs of the message window after 64 rounds (of no use, but on the bus).
        window: 32,
        /// Limbs of the state after.
        new: 16,
        /// Carries of `old + work`, a low and a high one for each word.
        carries: 16,
        /// Times of the versions consumed: block, state.
        prev_ts: 24,
    }
}

columns! {
    /// Columns of the step table.
    pub struct Sha256StepCols {
        /// Time of the call.
        ts,
        /// One-hot: the step. All zero in padding.
        step: 16,
        /// Bits of `A1..A6`.
        a_bits: 192,
        /// Bits of `E1..E6`.
        e_bits: 192,
        /// Bits of `W1..W4`, `W14..W17`.
        w_bits: 256,
        /// Limbs of `A0`, `A7`.
        a_limbs: 4,
        /// Limbs of `E0`, `E7`.
        e_limbs: 4,
        /// Limbs of `W0`, `W5..W13`, `W18`, `W19`.
        w_limbs: 24,
        /// Carries of each round's new `A`, new `E` and new `W`: a low and a high one each.
        carries: 24,
    }
}

/// The call table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sha256CallAir;

/// The step table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sha256StepAir;

/// The working registers of a step: eight words of each register, twenty of the window.
struct Step {
    a: [u32; 8],
    e: [u32; 8],
    w: [u32; 20],
    carries: [u32; 24],
}

/// The working registers after `steps` steps, `(a..h, window)`.
type Registers = ([u32; 8], [u32; 16]);

const fn small_sigma(x: u32, r0: u32, r1: u32, shift: u32) -> u32 {
    x.rotate_right(r0) ^ x.rotate_right(r1) ^ x >> shift
}

const fn big_sigma(x: u32, r: [u32; 3]) -> u32 {
    x.rotate_right(r[0]) ^ x.rotate_right(r[1]) ^ x.rotate_right(r[2])
}

/// Sum modulo 2^32 with the carries out of its low and high limbs.
fn sum(terms: &[u32]) -> (u32, [u32; 2]) {
    let low: u32 = terms.iter().map(|t| t & 0xffff).sum();
    let high = terms.iter().map(|t| t >> 16).sum::<u32>() + (low >> 16);
    ((high & 0xffff) << 16 | low & 0xffff, [low >> 16, high >> 16])
}

impl Step {
    fn run(step: usize, (state, window): &Registers) -> Self {
        let [a, b, c, d, e, f, g, h] = *state;
        let mut s = Self {
            a: [d, c, b, a, 0, 0, 0, 0],
            e: [h, g, f, e, 0, 0, 0, 0],
            w: [0; 20],
            carries: [0; 24],
        };
        s.w[..16].copy_from_slice(window);
        for j in 0..ROUNDS {
            let (a, b, c) = (s.a[3 + j], s.a[2 + j], s.a[1 + j]);
            let (e, f, g) = (s.e[3 + j], s.e[2 + j], s.e[1 + j]);
            let choice = (e & f) ^ (!e & g);
            let majority = (a & b) ^ (a & c) ^ (b & c);
            let t = [s.e[j], big_sigma(e, [6, 11, 25]), choice, K[ROUNDS * step + j], s.w[j]];
            let new_e = sum(&[&t[..], &[s.a[j]]].concat());
            let new_a = sum(&[&t[..], &[big_sigma(a, [2, 13, 22]), majority]].concat());
            let new_w = sum(&[
                small_sigma(s.w[14 + j], 17, 19, 10),
                s.w[9 + j],
                small_sigma(s.w[1 + j], 7, 18, 3),
                s.w[j],
            ]);
            (s.a[4 + j], s.e[4 + j], s.w[16 + j]) = (new_a.0, new_e.0, new_w.0);
            s.carries[6 * j..6 * j + 6].copy_from_slice(&[new_a.1, new_e.1, new_w.1].concat());
        }
        s
    }

    fn after(&self) -> Registers {
        let [.., d, c, b, a] = self.a;
        let [.., h, g, f, e] = self.e;
        ([a, b, c, d, e, f, g, h], core::array::from_fn(|i| self.w[4 + i]))
    }

    fn fill(&self, cols: &mut Sha256StepCols<F>, counts: &mut Counts) {
        let bits = |words: &[u32], which: &[usize], cells: &mut [F]| {
            for (cells, &word) in cells.chunks_exact_mut(32).zip(which) {
                for (z, cell) in cells.iter_mut().enumerate() {
                    *cell = F::from_u32(words[word] >> z & 1);
                }
            }
        };
        let limbs = |words: &[u32], which: &[usize], cells: &mut [F]| {
            for (cells, &word) in cells.chunks_exact_mut(2).zip(which) {
                cells.copy_from_slice(&crate::bus::limbs(words[word]));
            }
        };
        bits(&self.a, &REGISTER_BITS, &mut cols.a_bits);
        bits(&self.e, &REGISTER_BITS, &mut cols.e_bits);
        bits(&self.w, &WINDOW_BITS, &mut cols.w_bits);
        limbs(&self.a, &[0, 7], &mut cols.a_limbs);
        limbs(&self.e, &[0, 7], &mut cols.e_limbs);
        limbs(&self.w, &WINDOW_LIMBS, &mut cols.w_limbs);
        for word in [self.a[7], self.e[7], self.w[18], self.w[19]] {
            counts.word(word);
        }
        for (cell, &carry) in cols.carries.iter_mut().zip(&self.carries) {
            *cell = F::from_u32(carry);
            counts.range(carry, 3);
        }
    }
}

/// The state and the block's message words at the start of a call.
fn registers(call: &AccelCall) -> Registers {
    let (block, state) = call.accesses.split_at(16);
    (core::array::from_fn(|i| state[i].prev), core::array::from_fn(|i| block[i].prev.swap_bytes()))
}

fn limbs_of<const N: usize>(words: &[u32]) -> [u16; N] {
    #[allow(clippy::cast_possible_truncation)]
    core::array::from_fn(|i| (words[i / 2] >> (16 * (i % 2))) as u16)
}

impl Sha256CallAir {
    fn row(call: &AccelCall, counts: &mut Counts) -> Sha256CallCols<F> {
        let mut cols = Sha256CallCols::zero();
        let block: [u16; 32] = old_limbs(&call.accesses[..16]);
        let mut registers = registers(call);
        let old = registers.0;
        for step in 0..ROWS {
            registers = Step::run(step, &registers).after();
        }
        cols.real = F::ONE;
        cols.ts = F::from_u32(call.ts);
        cols.addr = [word_addr(call, 0), word_addr(call, 1)];
        cols.block = to_field(&block);
        cols.block_high = high_bytes(&block);
        super::limbs::count_bytes(&block, counts);
        cols.old = to_field(&limbs_of(&old));
        cols.work = to_field(&limbs_of(&registers.0));
        cols.window = to_field(&limbs_of(&registers.1));
        let new: [u16; 16] = new_limbs(&call.accesses[16..]);
        cols.new = to_field(&new);
        count_limbs(&new, counts);
        for (cells, (old, work)) in
            cols.carries.chunks_exact_mut(2).zip(old.iter().zip(&registers.0))
        {
            cells.copy_from_slice(&sum(&[*old, *work]).1.map(F::from_u32));
        }
        cols.prev_ts = prev_times(&call.accesses, counts);
        cols
    }

    /// The trace of these calls.
    pub fn generate(self, calls: &[AccelCall], counts: &mut Counts) -> RowMajorMatrix<F> {
        super::rows(calls, Sha256CallCols::<F>::WIDTH, |call, row| {
            Self::row(call, counts).write(row)
        })
    }
}

impl BaseAir<F> for Sha256CallAir {
    fn width(&self) -> usize {
        Sha256CallCols::<F>::WIDTH
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for Sha256CallAir {
    fn eval(&self, b: &mut AB) {
        let cols = Sha256CallCols::<AB::Expr>::read(b.main().current_slice());
        let (real, ts, [state, block]) = (&cols.real, &cols.ts, &cols.addr);
        b.assert_bool(real.clone());
        let zero = AB::Expr::ZERO;
        accel_receive(
            b,
            ids::SHA256_COMPRESS,
            ts.clone(),
            [state.clone(), block.clone(), zero.clone(), zero.clone()],
            real.clone(),
        );
        Operand {
            addr: block,
            index: 0,
            old: &cols.block,
            new: &cols.block,
            prev_ts: &cols.prev_ts[..16],
        }
        .access(b, ts, real);
        Operand {
            addr: state,
            index: 1,
            old: &cols.old,
            new: &cols.new,
            prev_ts: &cols.prev_ts[16..],
        }
        .access(b, ts, real);
        check_limbs(b, &cols.new, real);

        // Message words are big-endian: each limb's bytes swap, and so do the limbs of a word.
        let byte = AB::Expr::from_u32(256);
        let bytes: [AB::Expr; 64] = super::limbs::bytes_of(&cols.block, &cols.block_high);
        super::limbs::check_bytes(b, &bytes, real);
        let message: [AB::Expr; 32] = core::array::from_fn(|i| {
            bytes[2 * (i ^ 1)].clone() * byte.clone() + bytes[2 * (i ^ 1) + 1].clone()
        });

        // new = old + work.
        let base = AB::Expr::from_u32(1 << 16);
        for i in 0..16 {
            let carry = &cols.carries[i];
            b.assert_bool(carry.clone());
            let carry_in = if i % 2 == 1 { cols.carries[i - 1].clone() } else { zero.clone() };
            let sum = cols.old[i].clone() + cols.work[i].clone() + carry_in;
            b.assert_eq(sum, cols.new[i].clone() + base.clone() * carry.clone());
        }
        let count = Count::bounded(real.clone(), 1);
        STEPS.send(b, [ts.clone(), zero].into_iter().chain(cols.old).chain(message), count.clone());
        STEPS.receive(
            b,
            [ts.clone(), AB::Expr::from_usize(ROWS)]
                .into_iter()
                .chain(cols.work)
                .chain(cols.window),
            count,
        );
    }
}

impl Sha256StepAir {
    /// The trace of these calls' steps.
    pub fn generate(self, calls: &[AccelCall], counts: &mut Counts) -> RowMajorMatrix<F> {
        let width = Sha256StepCols::<F>::WIDTH;
        let mut values = F::zero_vec(super::height(calls.len() * ROWS) * width);
        for (call, rows) in calls.iter().zip(values.chunks_mut(ROWS * width)) {
            let mut registers = registers(call);
            for (step, row) in rows.chunks_exact_mut(width).enumerate() {
                let mut cols = Sha256StepCols::zero();
                cols.ts = F::from_u32(call.ts);
                cols.step[step] = F::ONE;
                let done = Step::run(step, &registers);
                done.fill(&mut cols, counts);
                registers = done.after();
                cols.write(row);
            }
        }
        RowMajorMatrix::new(values, width)
    }
}

impl BaseAir<F> for Sha256StepAir {
    fn width(&self) -> usize {
        Sha256StepCols::<F>::WIDTH
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }
}

/// A word: its two limbs, and its bits if it has any.
struct Word<'a, E> {
    limbs: [E; 2],
    bits: &'a [E],
}

impl<E: PrimeCharacteristicRing> Word<'_, E> {
    /// Limbs of the word whose bit `z` is `bit(z)`.
    fn of_bits(bit: impl Fn(usize) -> E) -> [E; 2] {
        // Not `sum.double()`: doubling a symbolic expression doubles its tree, and whoever walks it would walk 2^16 leaves.
        let limb =
            |start: usize| (start..start + 16).rev().fold(E::ZERO, |sum, z| sum * E::TWO + bit(z));
        [limb(0), limb(16)]
    }

    fn rotated(&self, z: usize, by: usize) -> &E {
        &self.bits[(z + by) % 32]
    }

    fn big_sigma(&self, [r0, r1, r2]: [usize; 3]) -> [E; 2] {
        Self::of_bits(|z| self.rotated(z, r0).xor3(self.rotated(z, r1), self.rotated(z, r2)))
    }

    fn small_sigma(&self, [r0, r1, shift]: [usize; 3]) -> [E; 2] {
        Self::of_bits(|z| {
            let (x, y) = (self.rotated(z, r0), self.rotated(z, r1));
            self.bits.get(z + shift).map_or_else(|| x.xor(y), |shifted| x.xor3(y, shifted))
        })
    }
}

/// Words of a register: bits for the indices `with_bits` in order, limbs for those of `with_limbs`. Bits are constrained boolean.
fn words<'a, AB: InteractionBuilder<F = F>, const N: usize>(
    b: &mut AB,
    (with_bits, bits): (&[usize], &'a [AB::Expr]),
    (with_limbs, limbs): (&[usize], &'a [AB::Expr]),
) -> [Word<'a, AB::Expr>; N] {
    for bit in bits {
        b.assert_bool(bit.clone());
    }
    core::array::from_fn(|i| {
        if let Some(k) = with_bits.iter().position(|&w| w == i) {
            let bits = &bits[32 * k..32 * k + 32];
            return Word { limbs: Word::of_bits(|z| bits[z].clone()), bits };
        }
        let k = with_limbs.iter().position(|&w| w == i).expect("every word is in one of the lists");
        Word { limbs: [limbs[2 * k].clone(), limbs[2 * k + 1].clone()], bits: &[] }
    })
}

/// `new` is the sum of `terms` modulo 2^32.
fn eval_sum<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    terms: &[&[AB::Expr; 2]],
    new: &[AB::Expr; 2],
    carries: &[AB::Expr],
    real: &AB::Expr,
) {
    let mut carry_in = AB::Expr::ZERO;
    for limb in 0..2 {
        let sum: AB::Expr = terms.iter().map(|term| term[limb].clone()).sum();
        let carry = carries[limb].clone();
        range_check(b, carry.clone(), 3, real.clone());
        b.assert_eq(sum + carry_in, new[limb].clone() + carry.clone() * F::from_u32(1 << 16));
        carry_in = carry;
    }
}

/// The words of a row's two registers and of its window.
type StepWords<'a, E> = (&'a [Word<'a, E>; 8], &'a [Word<'a, E>; 8], &'a [Word<'a, E>; 20]);

/// The four rounds of a row.
fn eval_rounds<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    cols: &Sha256StepCols<AB::Expr>,
    (a, e, w): StepWords<'_, AB::Expr>,
    real: &AB::Expr,
) {
    for j in 0..ROUNDS {
        let constant = |shift: u32| -> AB::Expr {
            cols.step
                .iter()
                .enumerate()
                .map(|(step, flag)| {
                    flag.clone() * F::from_u32(K[ROUNDS * step + j] >> shift & 0xffff)
                })
                .sum()
        };
        let k = [constant(0), constant(16)];
        let choice = Word::of_bits(|z| {
            let (e, f, g) = (&e[3 + j].bits[z], &e[2 + j].bits[z], &e[1 + j].bits[z]);
            e.clone() * (f.clone() - g.clone()) + g.clone()
        });
        let majority = Word::of_bits(|z| {
            let (a, b, c) = (&a[3 + j].bits[z], &a[2 + j].bits[z], &a[1 + j].bits[z]);
            a.clone() * b.clone() + a.xor(b) * c.clone()
        });
        let (sigma_e, sigma_a) = (e[3 + j].big_sigma([6, 11, 25]), a[3 + j].big_sigma([2, 13, 22]));
        let t = [&e[j].limbs, &sigma_e, &choice, &k, &w[j].limbs];
        let carries = &cols.carries[6 * j..6 * j + 6];
        eval_sum(
            b,
            &[&t[..], &[&sigma_a, &majority]].concat(),
            &a[4 + j].limbs,
            &carries[..2],
            real,
        );
        eval_sum(b, &[&t[..], &[&a[j].limbs]].concat(), &e[4 + j].limbs, &carries[2..4], real);
        let (sigma_0, sigma_1) =
            (w[1 + j].small_sigma([7, 18, 3]), w[14 + j].small_sigma([17, 19, 10]));
        eval_sum(
            b,
            &[&sigma_1, &w[9 + j].limbs, &sigma_0, &w[j].limbs],
            &w[16 + j].limbs,
            &carries[4..],
            real,
        );
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for Sha256StepAir {
    fn eval(&self, b: &mut AB) {
        let cols = Sha256StepCols::<AB::Expr>::read(b.main().current_slice());
        let (mut real, mut step) = (AB::Expr::ZERO, AB::Expr::ZERO);
        for (i, flag) in cols.step.iter().enumerate() {
            b.assert_bool(flag.clone());
            real += flag.clone();
            step += flag.clone() * F::from_usize(i);
        }
        b.assert_bool(real.clone());
        let a: [Word<'_, AB::Expr>; 8] =
            words(b, (&REGISTER_BITS, &cols.a_bits), (&[0, 7], &cols.a_limbs));
        let e: [Word<'_, AB::Expr>; 8] =
            words(b, (&REGISTER_BITS, &cols.e_bits), (&[0, 7], &cols.e_limbs));
        let w: [Word<'_, AB::Expr>; 20] =
            words(b, (&WINDOW_BITS, &cols.w_bits), (&WINDOW_LIMBS, &cols.w_limbs));
        for word in [&a[7], &e[7], &w[18], &w[19]] {
            check_limbs(b, &word.limbs, &real);
        }
        eval_rounds(b, &cols, (&a, &e, &w), &real);

        let message = |from: usize, done: AB::Expr| -> Vec<AB::Expr> {
            let registers = [3, 2, 1, 0].map(|i| from + i);
            let state = registers.iter().map(|&i| &a[i]).chain(registers.iter().map(|&i| &e[i]));
            let limbs = state.chain(&w[from..from + 16]).flat_map(|word| word.limbs.clone());
            [cols.ts.clone(), done].into_iter().chain(limbs).collect()
        };
        let count = Count::bounded(real, 1);
        STEPS.receive(b, message(0, step.clone()), count.clone());
        STEPS.send(b, message(ROUNDS, step + AB::Expr::ONE), count);
    }
}
