//! Tests of the accelerator chips: each trace satisfies its constraints and says on the buses exactly what the native model says; each corrupted column is noticed.

mod cost;
mod keccak;
mod poseidon2;
mod secp256k1;
mod sha256;
mod u256;

use super::AccelAir;
use crate::bus::{ACCEL, AccelCall, F, MEM, MemAccess};
use crate::chips::poseidon2::Poseidon2Chip;
use crate::columns::ColumnGroup;
use crate::counts::Counts;
use crate::testing::{
    Balance, assert_covered, assert_padding_is_silent, check_trace, counted_lookups, fixed_lookups,
    mutate, row_fails,
};
use cairn_accel::ids::{self, Mode};
use p3_air::BaseAir;
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Deterministic randomness.
pub(crate) fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// A call as the executor would record it. `inputs` are the words of the R and RW operands in order, `outputs` those that the W or RW operand gets.
pub(crate) fn call(
    rng: &mut StdRng,
    n: u32,
    id: u32,
    inputs: &[u32],
    outputs: &[u32],
) -> AccelCall {
    let ts = 8 * (1000 * n + rng.random_range(2..1000));
    let mut call = AccelCall { id, ts, ..AccelCall::default() };
    let mut inputs = inputs.iter().copied();
    for (k, operand) in ids::operands(id).unwrap().iter().enumerate() {
        let base = rng.random_range(64..1 << 20) * 128 + 4096 * k as u32;
        call.args[usize::from(operand.arg)] = base;
        for i in 0..u32::from(operand.words) {
            let prev =
                if operand.mode == Mode::Write { rng.random() } else { inputs.next().unwrap() };
            let value = if operand.mode == Mode::Read { prev } else { outputs[i as usize] };
            let ts = ts + k as u32;
            call.accesses.push(MemAccess {
                addr: base / 4 + i,
                ts,
                prev_ts: ts - rng.random_range(1..ts.min(1 << 16)),
                prev,
                value,
            });
        }
    }
    assert!(inputs.next().is_none());
    call
}

/// What these calls must say on the buses of the machine.
pub(crate) fn expected(calls: &[AccelCall]) -> Balance {
    let mut balance = Balance::default();
    for call in calls {
        let [a0, a1, a2, a3] = call.args.map(|a| F::from_u32(a / 4));
        balance.add(
            ACCEL.name(),
            &[F::from_u32(call.id), F::from_u32(call.ts), a0, a1, a2, a3],
            -F::ONE,
        );
        for a in &call.accesses {
            let ([old_lo, old_hi], [lo, hi], addr) =
                (a.prev_limbs(), a.value_limbs(), F::from_u32(a.addr));
            balance.add(MEM.name(), &[addr, old_lo, old_hi, a.prev_ts_f()], -F::ONE);
            balance.add(MEM.name(), &[addr, lo, hi, F::from_u32(a.ts)], F::ONE);
        }
    }
    balance
}

/// Generates the traces of every chip that serves these calls and checks that together they do what the calls say and look up what they count.
pub(crate) fn check_calls(calls: &[AccelCall]) -> Vec<(AccelAir, RowMajorMatrix<F>)> {
    let mut balance = Balance::default();
    let mut counts = Counts::new();
    let mut looked_up = std::collections::BTreeMap::new();
    let mut traces = Vec::new();
    for air in AccelAir::all() {
        let mine: Vec<AccelCall> =
            calls.iter().filter(|c| air.ids().contains(&c.id)).cloned().collect();
        if mine.is_empty() {
            continue;
        }
        let trace = air.generate(&mine, &mut counts);
        assert_eq!(trace.width, air.width());
        assert!((trace.values.len() / trace.width).is_power_of_two());
        balance.merge(&check_trace(&air, &trace, &[]));
        for (key, count) in fixed_lookups(&air, &trace, &[]) {
            *looked_up.entry(key).or_insert(0) += count;
        }
        traces.push((air, trace));
    }
    assert_eq!(counted_lookups(&counts), looked_up, "lookups are counted");
    let table = crate::generate::poseidon2(&counts.perms());
    balance.merge(&check_trace(&Poseidon2Chip, &table, &[]));
    assert_eq!(balance, expected(calls), "the buses carry exactly the calls");
    traces
}

/// Corrupts every column of a chip in the given rows.
pub(crate) fn corrupt_all<A>(
    air: &A,
    trace: &RowMajorMatrix<F>,
    columns: &[ColumnGroup],
    rows: &[usize],
    excused: impl Fn(&str, &[F]) -> bool,
) where
    A: for<'b> p3_air::Air<crate::testing::RowBuilder<'b>> + BaseAir<F>,
{
    let coverage = mutate(air, trace, &[], columns, rows, excused);
    println!("{} of {} columns, {} corruptions", coverage.covered, coverage.total, coverage.tried);
    assert_covered(&coverage);
}
