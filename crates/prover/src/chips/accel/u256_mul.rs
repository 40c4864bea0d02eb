//! `U256_MUL`, `U256_DIVREM`, `U256_SHL` and `U256_SHR`: one row a call, one identity `x y + s = n + 2^256 h`.
//!
//! | call | x | y | s | n | h |
//! |---|---|---|---|---|---|
//! | MUL | a | b | 0 | result | free |
//! | DIVREM, b > 0 | quotient | b | remainder, below b | a | 0 |
//! | DIVREM, b = 0 | 0 (quotient) | 0 | 0 (remainder) | 0 instead of a | 0 |
//! | SHL by b | a | 2^b, or 0 for b >= 256 | 0 | result | free |
//! | SHR by b < 256 | result | 2^b | discarded, below 2^b | a | 0 |
//! | SHR by b >= 256 | 0 (result) | 0 | 0 | 0 instead of a | 0 |
//!
//! `x`, `y` have byte digits; `s`, `n`, `h` 16-bit limbs. The identity has 32 coefficients in base 2^16, `|E_j| < 257 * 32 * 255^2 + 2^18 < 5.4e8`; see `bounds_hold`.

use super::cols::columns;
use super::field256::{limbs_of_words, words_of_limbs};
use super::limbs::{
    BASE16, Int, Poly, Ring, bytes_of, check_bytes, check_limbs, count_bytes, count_limbs,
    fill_less_than, high_bytes, int_bytes, int_limbs, less_than, to_field,
};
use super::mem::{Operand, new_limbs, old_limbs, prev_times, word_addr};
use crate::bus::{ACCEL, AccelCall, F, range_check_bytes};
use crate::counts::Counts;
use cairn_accel::{ids, u256};
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::{Field, PrimeCharacteristicRing};
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::dense::RowMajorMatrix;

/// Carries of the identity: 32 coefficients.
pub const CARRIES: usize = 31;

columns! {
    /// Columns of multiplications, divisions and shifts.
    pub struct U256MulCols {
        /// 1 in a row that serves a multiplication.
        mul,
        /// 1 in a row that serves a division.
        div,
        /// 1 in a row that serves a left shift.
        shl,
        /// 1 in a row that serves a right shift. At most one of the four flags is 1; none in padding.
        shr,
        /// Time of the call.
        ts,
        /// Word addresses of `a`, `b` and the result.
        addr: 3,
        /// Limbs of `a`.
        a: 16,
        /// Limbs of `b`.
        b: 16,
        /// Limbs of the result (of a division the quotient).
        out: 16,
        /// `s`: of a division the remainder, of a right shift what falls out, else zero.
        s: 16,
        /// Limbs of the result's words before; the second half only in a division, else zero.
        old: 32,
        /// Times of the versions consumed: `a`, `b`, result (the last eight only in a division, else zero).
        prev_ts: 32,
        /// Limbs of `x`.
        x: 16,
        /// High bytes of the limbs of `x`.
        x_high: 16,
        /// Limbs of `y`.
        y: 16,
        /// High bytes of the limbs of `y`.
        y_high: 16,
        /// Limbs of `h`: zero in divisions and right shifts.
        h: 16,
        /// Carries of the identity.
        carries: CARRIES,
        /// 1 iff a division has `b = 0` or a shift `b >= 256`.
        degenerate,
        /// In a proper division, right shift: one-hot, the most significant limb in which `s` and `y` differ.
        flags: 16,
        /// In a proper division, right shift: `y - s - 1` in that limb.
        diff,
        /// Of a proper shift, one-hot: the shift divided by 16.
        limb_shift: 16,
        /// Of a proper shift, one-hot: the shift modulo 16.
        bit_shift: 16,
        /// Of a shift: the high byte of limb 0 of `b`; else zero.
        b_high,
        /// Of a shift by 256 or more: inverse of the sum that shows it; else zero.
        inverse,
    }
}

/// The chip.
#[derive(Clone, Copy, Debug, Default)]
pub struct U256MulAir;

/// The numbers in the identity.
pub struct Operands<R> {
    /// Byte digits of `x`.
    pub x: [R; 32],
    /// Byte digits of `y`.
    pub y: [R; 32],
    /// Limbs of `s`.
    pub s: [R; 16],
    /// Limbs of `n`.
    pub n: [R; 16],
    /// Limbs of `h`.
    pub h: [R; 16],
}

impl<R: Ring> Operands<R> {
    /// The identity in base 2^16.
    pub fn identity(&self) -> Poly<R> {
        Poly::new(&self.x)
            .mul(&self.y)
            .pairs()
            .plus(1, &self.s, 0)
            .plus(-1, &self.n, 0)
            .plus(-1, &self.h, 16)
    }
}

/// The numbers of a call as limbs.
struct Witness {
    x: [u16; 16],
    y: [u16; 16],
    s: [u16; 16],
    n: [u16; 16],
    degenerate: bool,
}

fn power_of_two(b: &[u16; 16]) -> Option<[u16; 16]> {
    let small = b[1..].iter().all(|&limb| limb == 0) && b[0] < 256;
    small.then(|| {
        let mut y = [0; 16];
        y[usize::from(b[0] / 16)] = 1 << (b[0] % 16);
        y
    })
}

impl Witness {
    fn of(call: &AccelCall, a: &[u16; 16], b: &[u16; 16], out: &[u16; 16]) -> Self {
        let zero = [0; 16];
        let shift = matches!(call.id, ids::U256_SHL | ids::U256_SHR);
        let y = if shift { power_of_two(b).unwrap_or(zero) } else { *b };
        let divides = matches!(call.id, ids::U256_DIVREM | ids::U256_SHR);
        let degenerate = (shift || divides) && y == zero;
        let s = if divides && !degenerate {
            limbs_of_words(&u256::div_rem(&words_of_limbs(a), &words_of_limbs(&y)).1)
        } else {
            zero
        };
        let (x, n) = match (divides, degenerate) {
            (false, _) => (*a, *out),
            (true, false) => (*out, *a),
            (true, true) => (zero, zero),
        };
        Self { x, y, s, n, degenerate }
    }
}

impl U256MulAir {
    fn row(call: &AccelCall, counts: &mut Counts) -> U256MulCols<F> {
        let mut cols = U256MulCols::zero();
        let a: [u16; 16] = old_limbs(&call.accesses[..8]);
        let b: [u16; 16] = old_limbs(&call.accesses[8..16]);
        let out: [u16; 16] = new_limbs(&call.accesses[16..]);
        let w = Witness::of(call, &a, &b, &out);
        *(match call.id {
            ids::U256_MUL => &mut cols.mul,
            ids::U256_DIVREM => &mut cols.div,
            ids::U256_SHL => &mut cols.shl,
            _ => &mut cols.shr,
        }) = F::ONE;
        cols.ts = F::from_u32(call.ts);
        cols.addr = core::array::from_fn(|i| word_addr(call, i));
        [cols.a, cols.b, cols.out, cols.s, cols.x, cols.y] =
            [a, b, out, w.s, w.x, w.y].map(|limbs| to_field(&limbs));
        [cols.x_high, cols.y_high] = [w.x, w.y].map(|limbs| high_bytes(&limbs));
        for (i, access) in call.accesses[16..].iter().enumerate() {
            [cols.old[2 * i], cols.old[2 * i + 1]] = access.prev_limbs();
        }
        for (cell, access) in cols.prev_ts.iter_mut().zip(&call.accesses) {
            [*cell] = prev_times(core::slice::from_ref(access), counts);
        }
        count_bytes(&w.x, counts);
        count_bytes(&w.y, counts);
        count_limbs(&out, counts);
        count_limbs(&w.s, counts);
        fill_identity(&mut cols, &w, counts);
        cols.degenerate = F::from_bool(w.degenerate);
        if matches!(call.id, ids::U256_DIVREM | ids::U256_SHR) && !w.degenerate {
            fill_less_than(&w.s, &w.y, &mut cols.flags, &mut cols.diff, counts);
        }
        if matches!(call.id, ids::U256_SHL | ids::U256_SHR) {
            fill_shift(&mut cols, &b, counts);
        }
        cols
    }

    /// The trace of these calls.
    pub fn generate(self, calls: &[AccelCall], counts: &mut Counts) -> RowMajorMatrix<F> {
        super::rows(calls, U256MulCols::<F>::WIDTH, |call, row| Self::row(call, counts).write(row))
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn fill_identity(cols: &mut U256MulCols<F>, w: &Witness, counts: &mut Counts) {
    let zero = [Int(0); 16];
    let mut operands = Operands {
        x: int_bytes(&w.x),
        y: int_bytes(&w.y),
        s: int_limbs(&w.s),
        n: int_limbs(&w.n),
        h: zero,
    };
    let mut carry = 0;
    let sums = operands.identity().0;
    let limbs: Vec<u16> = sums
        .iter()
        .map(|sum| {
            let sum = sum.0 + carry;
            carry = sum >> 16;
            sum as u16
        })
        .collect();
    let h: [u16; 16] = core::array::from_fn(|i| limbs[16 + i]);
    operands.h = int_limbs(&h);
    cols.h = to_field(&h);
    count_limbs(&h, counts);
    BASE16.fill(&operands.identity(), &mut cols.carries, counts);
}

fn fill_shift(cols: &mut U256MulCols<F>, b: &[u16; 16], counts: &mut Counts) {
    cols.b_high = F::from_u16(b[0] >> 8);
    count_bytes(&b[..1], counts);
    if power_of_two(b).is_some() {
        cols.limb_shift[usize::from(b[0] / 16)] = F::ONE;
        cols.bit_shift[usize::from(b[0] % 16)] = F::ONE;
    } else {
        let sum: F = b[1..].iter().map(|&limb| F::from_u16(limb)).sum();
        cols.inverse = (sum + cols.b_high).try_inverse().unwrap_or(F::ZERO);
    }
}

impl BaseAir<F> for U256MulAir {
    fn width(&self) -> usize {
        U256MulCols::<F>::WIDTH
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }
}

/// The call on the accelerator bus and its operands on the memory bus.
fn eval_call<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    cols: &U256MulCols<AB::Expr>,
    real: &AB::Expr,
) {
    let flags = [
        (&cols.mul, ids::U256_MUL),
        (&cols.div, ids::U256_DIVREM),
        (&cols.shl, ids::U256_SHL),
        (&cols.shr, ids::U256_SHR),
    ];
    let id: AB::Expr = flags.into_iter().map(|(flag, id)| flag.clone() * F::from_u32(id)).sum();
    let args = cols.addr.clone().into_iter().chain([AB::Expr::ZERO]);
    ACCEL.receive(
        b,
        [id, cols.ts.clone()].into_iter().chain(args),
        Count::bounded(real.clone(), 1),
    );
    let (ts, prev_ts, [a, b_addr, out]) = (&cols.ts, &cols.prev_ts, &cols.addr);
    Operand { addr: a, index: 0, old: &cols.a, new: &cols.a, prev_ts: &prev_ts[..8] }
        .access(b, ts, real);
    Operand { addr: b_addr, index: 1, old: &cols.b, new: &cols.b, prev_ts: &prev_ts[8..16] }
        .access(b, ts, real);
    Operand {
        addr: out,
        index: 2,
        old: &cols.old[..16],
        new: &cols.out,
        prev_ts: &prev_ts[16..24],
    }
    .access(b, ts, real);
    let rest = out.clone() + AB::Expr::from_u32(8);
    Operand { addr: &rest, index: 2, old: &cols.old[16..], new: &cols.s, prev_ts: &prev_ts[24..] }
        .access(b, ts, &cols.div);
    // The cells that only a division uses.
    for cell in cols.old[16..].iter().chain(&prev_ts[24..]) {
        b.assert_zero((AB::Expr::ONE - cols.div.clone()) * cell.clone());
    }
}

/// Which numbers are `x`, `y`, `s`, `h`; returns `n`.
fn eval_roles<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    cols: &U256MulCols<AB::Expr>,
) -> [AB::Expr; 16] {
    let (forward, divides) =
        (cols.mul.clone() + cols.shl.clone(), cols.div.clone() + cols.shr.clone());
    let plain = cols.mul.clone() + cols.div.clone();
    let degenerate = &cols.degenerate;
    for i in 0..16 {
        b.assert_zero(forward.clone() * (cols.x[i].clone() - cols.a[i].clone()));
        b.assert_zero(divides.clone() * (cols.x[i].clone() - cols.out[i].clone()));
        b.assert_zero(plain.clone() * (cols.y[i].clone() - cols.b[i].clone()));
        b.assert_zero(forward.clone() * cols.s[i].clone());
        b.assert_zero(divides.clone() * cols.h[i].clone());
    }
    // y = 0 when degenerate; then a division's and right shift's results are 0, too. Sums of 16-bit limbs do not wrap.
    let sum = |limbs: &[AB::Expr; 16]| -> AB::Expr { limbs.iter().cloned().sum() };
    b.assert_zero(
        degenerate.clone() * (sum(&cols.y) + divides.clone() * (sum(&cols.x) + sum(&cols.s))),
    );
    let proper = divides - degenerate.clone() * (AB::Expr::ONE - cols.shl.clone());
    core::array::from_fn(|i| {
        forward.clone() * cols.out[i].clone() + proper.clone() * cols.a[i].clone()
    })
}

/// Of a shift: `y = 2^b` for `b < 256`, or it is degenerate and `b >= 256`.
fn eval_shift<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    cols: &U256MulCols<AB::Expr>,
    shift: &AB::Expr,
) {
    let low = cols.b[0].clone() - cols.b_high.clone() * F::from_u32(256);
    range_check_bytes(b, low.clone(), cols.b_high.clone(), shift.clone());
    let proper = shift.clone() - cols.degenerate.clone() * shift.clone();
    let (mut limbs, mut bits, mut amount, mut power) =
        (AB::Expr::ZERO, AB::Expr::ZERO, AB::Expr::ZERO, AB::Expr::ZERO);
    for i in 0..16 {
        b.assert_bool(cols.limb_shift[i].clone());
        b.assert_bool(cols.bit_shift[i].clone());
        limbs += cols.limb_shift[i].clone();
        bits += cols.bit_shift[i].clone();
        amount += cols.limb_shift[i].clone() * F::from_usize(16 * i)
            + cols.bit_shift[i].clone() * F::from_usize(i);
        power += cols.bit_shift[i].clone() * F::from_u32(1 << i);
    }
    b.assert_eq(limbs, proper.clone());
    b.assert_eq(bits, proper.clone());
    for i in 0..16 {
        b.assert_zero(
            shift.clone() * (cols.y[i].clone() - cols.limb_shift[i].clone() * power.clone()),
        );
    }
    // Everything of b above its low byte: a sum of small non-negative numbers.
    let above = cols.b[1..].iter().cloned().sum::<AB::Expr>() + cols.b_high.clone();
    b.assert_zero(proper.clone() * above.clone());
    b.assert_zero(proper * (low - amount));
    let degenerate = cols.degenerate.clone() * shift.clone();
    b.assert_eq(above * cols.inverse.clone(), degenerate.clone());
    b.assert_zero((AB::Expr::ONE - degenerate) * cols.inverse.clone());
    b.assert_zero((AB::Expr::ONE - shift.clone()) * cols.b_high.clone());
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for U256MulAir {
    fn eval(&self, b: &mut AB) {
        let cols = U256MulCols::<AB::Expr>::read(b.main().current_slice());
        let shift = cols.shl.clone() + cols.shr.clone();
        let real = cols.mul.clone() + cols.div.clone() + shift.clone();
        for flag in [&cols.mul, &cols.div, &cols.shl, &cols.shr, &real, &cols.degenerate] {
            b.assert_bool(flag.clone());
        }
        b.assert_zero(cols.degenerate.clone() * (AB::Expr::ONE - real.clone() + cols.mul.clone()));
        eval_call(b, &cols, &real);
        for limbs in [&cols.out, &cols.s, &cols.h] {
            check_limbs(b, limbs, &real);
        }
        let (x, y): ([AB::Expr; 32], [AB::Expr; 32]) =
            (bytes_of(&cols.x, &cols.x_high), bytes_of(&cols.y, &cols.y_high));
        check_bytes(b, &x, &real);
        check_bytes(b, &y, &real);
        let n = eval_roles(b, &cols);
        eval_shift(b, &cols, &shift);
        let identity = Operands { x, y, s: cols.s.clone(), n, h: cols.h.clone() }.identity();
        BASE16.constrain(b, identity, &cols.carries, &real);
        // A division's divisor is zero iff it is degenerate: if not, its remainder is below it.
        let below = cols.div.clone() + cols.shr.clone()
            - cols.degenerate.clone() * (AB::Expr::ONE - cols.shl.clone());
        less_than(b, &cols.s, &cols.y, &cols.flags, &cols.diff, &below);
    }
}
