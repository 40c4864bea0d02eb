//! The ecalls on blocks of eight words: COMMIT (read and publish), HINT (write anything), COPY.

use super::cpu::k;
use crate::bus::{ACCEL, F, PUBLIC, mem_read, mem_write, range_check_word};
use crate::columns;
use crate::columns::Columns;
use cairn_accel::ids;
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder};

columns! {
    /// Columns of [`BlockChip`].
    pub struct BlockCols {
        /// Time of the call; bound by the accelerator bus.
        ts: T,
        /// Word address read (COMMIT, COPY); bound by the accelerator bus.
        src: T,
        /// Word address written (HINT, COPY); bound by the accelerator bus.
        dst: T,
        /// The eight words as limbs; bound by the memory bus, or 16-bit by range check for HINT.
        val: [T; 16],
        /// When each source word was last accessed; range-checked (unused for HINT).
        src_ts: [T; 8],
        /// What the destination held; bound by the memory bus (unused for COMMIT).
        old: [T; 16],
        /// When each destination word was last accessed; range-checked (unused for COMMIT).
        dst_ts: [T; 8],
        /// It is COMMIT; boolean, bound by the id on the accelerator bus.
        commit: T,
        /// It is HINT; boolean, bound by the id on the accelerator bus.
        hint: T,
        /// It is COPY; boolean, bound by the id on the accelerator bus.
        copy: T,
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct BlockChip;

impl BaseAir<F> for BlockChip {
    fn width(&self) -> usize {
        <BlockCols<F> as Columns<F>>::WIDTH
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for BlockChip {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let c: &BlockCols<AB::Var> = Columns::of(main.current_slice());
        b.assert_bools([c.commit, c.hint, c.copy]);
        let real = c.commit + c.hint + c.copy;
        b.assert_bool(real.clone());
        let id = c.commit * k::<AB>(ids::COMMIT)
            + c.hint * k::<AB>(ids::HINT)
            + c.copy * k::<AB>(ids::COPY);
        let a0 = (c.commit + c.copy) * c.src + c.hint * c.dst;
        let a1 = c.copy * c.dst;
        ACCEL.receive(
            b,
            [id, c.ts.into(), a0, a1, AB::Expr::ZERO, AB::Expr::ZERO],
            Count::bounded(real, 1),
        );

        for i in 0..8 {
            let value: [AB::Expr; 2] = [c.val[2 * i].into(), c.val[2 * i + 1].into()];
            let old: [AB::Expr; 2] = [c.old[2 * i].into(), c.old[2 * i + 1].into()];
            let offset = k::<AB>(i as u32);
            mem_read(
                b,
                c.src + offset.clone(),
                value.clone(),
                c.src_ts[i],
                c.ts,
                c.commit + c.copy,
            );
            mem_write(
                b,
                c.dst + offset,
                old,
                value.clone(),
                c.dst_ts[i],
                c.ts + c.copy,
                c.hint + c.copy,
            );
            range_check_word(b, value, c.hint);
        }
        PUBLIC.send(b, c.val, Count::bounded(c.commit.into(), 1));
    }
}
