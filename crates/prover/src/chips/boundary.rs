//! Where a shard's memory begins and ends: versions brought forward in time ([`GapChip`]), blocks of memory ([`BoundaryChip`]) and the tree over
//! them ([`MerkleChip`]).
//!
//! Memory is 2^24 blocks of 8 words. A block's digest is `compress` of its 16 limbs; a binary tree of depth 24 over them gives the root. The tree of the blocks a shard
//! touches is walked from the root down: every node message is sent once by its parent and received by at most one row, so a block appears at most once.

use super::cpu::{flags, k};
use crate::bus::{F, MEM, MERKLE, compress, range_check};
use crate::columns;
use crate::columns::Columns;
use p3_air::{Air, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder};

/// Depth of the memory tree.
pub const TREE_DEPTH: u32 = 24;
/// Words in a block.
pub const BLOCK_WORDS: u32 = 8;
/// Bits of the epoch (2^16 timestamps) at which a word is first accessed.
const EPOCH_BITS: u32 = 10;

columns! {
    /// Columns of [`GapChip`].
    pub struct GapCols {
        /// Word address; bound by the memory bus.
        addr: T,
        /// The word; bound by the memory bus.
        val: [T; 2],
        /// New version's time, low part; 16 bits by range check.
        ts_low: T,
        /// New version's time, high part; 10 bits by range check.
        ts_high: T,
        /// How far it moved, less one, low part; 16 bits by range check.
        by_low: T,
        /// How far it moved, high part; 10 bits by range check.
        by_high: T,
        /// The row is an access; boolean.
        real: T,
    }
}

/// Brings a word's version forward in time, so that the next access is within 2^16 of it.
#[derive(Clone, Copy, Debug)]
pub struct GapChip;

impl BaseAir<F> for GapChip {
    fn width(&self) -> usize {
        <GapCols<F> as Columns<F>>::WIDTH
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for GapChip {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let c: &GapCols<AB::Var> = Columns::of(main.current_slice());
        flags(b, c.real, []);
        let ts = c.ts_low + c.ts_high * k::<AB>(1 << 16);
        let prev = ts.clone() - c.by_low - c.by_high * k::<AB>(1 << 16) - AB::Expr::ONE;
        MEM.receive(
            b,
            [c.addr.into(), c.val[0].into(), c.val[1].into(), prev],
            Count::bounded(c.real.into(), 1),
        );
        MEM.send(
            b,
            [c.addr.into(), c.val[0].into(), c.val[1].into(), ts],
            Count::bounded(c.real.into(), 1),
        );
        for (x, bits) in
            [(c.ts_low, 16), (c.ts_high, EPOCH_BITS), (c.by_low, 16), (c.by_high, EPOCH_BITS)]
        {
            range_check(b, x, bits, c.real);
        }
    }
}

columns! {
    /// Columns of [`BoundaryChip`].
    pub struct BoundaryCols {
        /// Index of the block; bound by the tree.
        index: T,
        /// The block at the start, as limbs; bound by its digest.
        old: [T; 16],
        /// The block at the end, as limbs; bound by the memory bus.
        new: [T; 16],
        /// Epoch of each word's initial version; 10 bits by range check.
        first: [T; 8],
        /// Time of each word's last version; bound by the memory bus.
        last: [T; 8],
        /// Digest of `old`; by the Poseidon2 chip, bound by the tree.
        old_digest: [T; 8],
        /// Digest of `new`; by the Poseidon2 chip, bound by the tree.
        new_digest: [T; 8],
        /// The row is a block; boolean.
        real: T,
    }
}

/// The touched blocks of memory: gives the initial version of each word, takes the last.
#[derive(Clone, Copy, Debug)]
pub struct BoundaryChip;

impl BaseAir<F> for BoundaryChip {
    fn width(&self) -> usize {
        <BoundaryCols<F> as Columns<F>>::WIDTH
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

/// Compresses 16 cells to a digest.
fn digest_of<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    l: [AB::Var; 8],
    r: [AB::Var; 8],
    digest: [AB::Var; 8],
    real: AB::Var,
) {
    compress(b, l.map(Into::into), r.map(Into::into), digest.map(Into::into), real);
}

/// The two halves of sixteen cells.
fn halves<T: Copy>(x: [T; 16]) -> ([T; 8], [T; 8]) {
    (core::array::from_fn(|i| x[i]), core::array::from_fn(|i| x[8 + i]))
}

/// A message of the tree.
fn node<AB: InteractionBuilder<F = F>>(
    level: AB::Expr,
    index: AB::Expr,
    old: [AB::Var; 8],
    new: [AB::Var; 8],
) -> Vec<AB::Expr> {
    [level, index].into_iter().chain(old.map(Into::into)).chain(new.map(Into::into)).collect()
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for BoundaryChip {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let c: &BoundaryCols<AB::Var> = Columns::of(main.current_slice());
        flags(b, c.real, []);
        for i in 0..8 {
            let addr = c.index * k::<AB>(BLOCK_WORDS) + k::<AB>(i as u32);
            let first = c.first[i] * k::<AB>(1 << 16);
            MEM.send(
                b,
                [addr.clone(), c.old[2 * i].into(), c.old[2 * i + 1].into(), first],
                Count::bounded(c.real.into(), 1),
            );
            MEM.receive(
                b,
                [addr, c.new[2 * i].into(), c.new[2 * i + 1].into(), c.last[i].into()],
                Count::bounded(c.real.into(), 1),
            );
            range_check(b, c.first[i], EPOCH_BITS, c.real);
        }
        let (old_l, old_r) = halves(c.old);
        let (new_l, new_r) = halves(c.new);
        digest_of(b, old_l, old_r, c.old_digest, c.real);
        digest_of(b, new_l, new_r, c.new_digest, c.real);
        let leaf = node::<AB>(AB::Expr::ZERO, c.index.into(), c.old_digest, c.new_digest);
        MERKLE.receive(b, leaf, Count::bounded(c.real.into(), 1));
    }
}

columns! {
    /// Columns of [`MerkleChip`].
    pub struct MerkleCols {
        /// Level of the node, leaves at 0; bound by the parent.
        level: T,
        /// Index in the level; bound by the parent.
        index: T,
        /// Left child at the start; bound by `old`.
        old_left: [T; 8],
        /// Right child at the start; bound by `old`.
        old_right: [T; 8],
        /// Left child at the end; equal to `old_left` unless touched.
        new_left: [T; 8],
        /// Right child at the end; equal to `old_right` unless touched.
        new_right: [T; 8],
        /// The node at the start; by the Poseidon2 chip, bound by the parent.
        old: [T; 8],
        /// The node at the end; by the Poseidon2 chip, bound by the parent.
        new: [T; 8],
        /// The left child is opened; boolean.
        left: T,
        /// The right child is opened; boolean.
        right: T,
        /// The row is a node; boolean.
        real: T,
    }
}

/// The inner nodes above the touched blocks.
#[derive(Clone, Copy, Debug)]
pub struct MerkleChip;

impl BaseAir<F> for MerkleChip {
    fn width(&self) -> usize {
        <MerkleCols<F> as Columns<F>>::WIDTH
    }
    fn main_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for MerkleChip {
    fn eval(&self, b: &mut AB) {
        let main = b.main();
        let c: &MerkleCols<AB::Var> = Columns::of(main.current_slice());
        flags(b, c.real, [c.left, c.right]);
        MERKLE.receive(
            b,
            node::<AB>(c.level.into(), c.index.into(), c.old, c.new),
            Count::bounded(c.real.into(), 1),
        );
        let below = || c.level - AB::Expr::ONE;
        let child = c.index * k::<AB>(2);
        MERKLE.send(
            b,
            node::<AB>(below(), child.clone(), c.old_left, c.new_left),
            Count::bounded(c.left.into(), 1),
        );
        let right = node::<AB>(below(), child + AB::Expr::ONE, c.old_right, c.new_right);
        MERKLE.send(b, right, Count::bounded(c.right.into(), 1));
        digest_of(b, c.old_left, c.old_right, c.old, c.real);
        digest_of(b, c.new_left, c.new_right, c.new, c.real);
        for i in 0..8 {
            b.assert_zero((AB::Expr::ONE - c.left) * (c.old_left[i] - c.new_left[i]));
            b.assert_zero((AB::Expr::ONE - c.right) * (c.old_right[i] - c.new_right[i]));
        }
    }
}
