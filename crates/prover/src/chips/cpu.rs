//! What all instruction chips share: the step of the machine and the lookup of the decoded instruction.

use crate::bus::{EXEC, F, LOOKUP, TS_STEP};
use p3_air::AirBuilder;
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder};

/// The machine goes from `(pc, ts)` to `(next_pc, ts + 8)`.
pub fn step<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    pc: impl Into<AB::Expr>,
    ts: impl Into<AB::Expr>,
    next_pc: impl Into<AB::Expr>,
    real: impl Into<AB::Expr>,
) {
    let (ts, real) = (ts.into(), real.into());
    EXEC.receive(b, [pc.into(), ts.clone()], Count::bounded(real.clone(), 1));
    EXEC.send(b, [next_pc.into(), ts + AB::Expr::from_u32(TS_STEP)], Count::bounded(real, 1));
}

/// The program has, at `pc`, the instruction `op` with fields `f`.
pub fn instruction<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    op: impl Into<AB::Expr>,
    pc: impl Into<AB::Expr>,
    f: [AB::Expr; 4],
    real: impl Into<AB::Expr>,
) {
    let [f0, f1, f2, f3] = f;
    LOOKUP.lookup_key(b, [op.into(), pc.into(), f0, f1, f2, f3], Count::bounded(real.into(), 1));
}

/// `real` is boolean; every flag is boolean and zero on rows that are not real.
pub fn flags<AB: AirBuilder, const N: usize>(b: &mut AB, real: AB::Var, flags: [AB::Var; N]) {
    b.assert_bool(real);
    for flag in flags {
        b.assert_bool(flag);
        b.assert_zero(flag * (AB::Expr::ONE - real.into()));
    }
}

/// `x` is boolean when `cond` is one.
pub fn bool_when<AB: AirBuilder>(b: &mut AB, cond: impl Into<AB::Expr>, x: AB::Expr) {
    b.assert_zero(cond.into() * x.clone() * (x - AB::Expr::ONE));
}

/// A constant.
pub fn k<AB: AirBuilder<F = F>>(value: u32) -> AB::Expr {
    AB::Expr::from_u32(value)
}

/// `2^-16`, for carries.
pub fn inv_2_16() -> F {
    use p3_field::Field;
    F::from_u32(1 << 16).inverse()
}

/// The carry out of a limb, `total / 2^16`, which the caller must constrain.
pub fn carry<AB: AirBuilder<F = F>>(total: AB::Expr) -> AB::Expr {
    total * AB::Expr::from(inv_2_16())
}

/// A word's two columns as expressions.
pub fn word<AB: AirBuilder>(w: [AB::Var; 2]) -> [AB::Expr; 2] {
    w.map(Into::into)
}
