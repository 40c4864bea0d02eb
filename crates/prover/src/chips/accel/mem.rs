//! An accelerator's operands on the memory bus.

use crate::bus::{AccelCall, F, MemAccess, limbs, mem_write};
use crate::counts::Counts;
use p3_field::PrimeCharacteristicRing;
use p3_lookup::InteractionBuilder;

/// One operand: a run of words at `addr`, the `index`-th operand in access order.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a, E> {
    /// Word address of the first word.
    pub addr: &'a E,
    /// Position among the call's operands: it is accessed at time `ts + index`.
    pub index: u32,
    /// Limbs before, two a word.
    pub old: &'a [E],
    /// Limbs after, two a word (the same for a read).
    pub new: &'a [E],
    /// Times of the versions consumed, one a word.
    pub prev_ts: &'a [E],
}

impl<E: PrimeCharacteristicRing> Operand<'_, E> {
    /// Puts the accesses on the bus. New limbs must be range-checked by the caller unless they are copies.
    pub fn access<AB: InteractionBuilder<F = F, Expr = E>>(&self, b: &mut AB, ts: &E, real: &E) {
        let ts = ts.clone() + E::from_u32(self.index);
        let words = self.old.chunks_exact(2).zip(self.new.chunks_exact(2)).zip(self.prev_ts);
        for (i, ((old, new), prev_ts)) in words.enumerate() {
            let addr = self.addr.clone() + E::from_usize(i);
            let (old, new) = ([old[0].clone(), old[1].clone()], [new[0].clone(), new[1].clone()]);
            mem_write(b, addr, old, new, prev_ts.clone(), ts.clone(), real.clone());
        }
    }
}

/// The limbs before these accesses.
pub fn old_limbs<const N: usize>(accesses: &[MemAccess]) -> [u16; N] {
    core::array::from_fn(|i| limb_of(accesses[i / 2].prev, i))
}

/// The limbs after these accesses.
pub fn new_limbs<const N: usize>(accesses: &[MemAccess]) -> [u16; N] {
    core::array::from_fn(|i| limb_of(accesses[i / 2].value, i))
}

#[allow(clippy::cast_possible_truncation)]
const fn limb_of(word: u32, i: usize) -> u16 {
    (word >> (16 * (i % 2))) as u16
}

/// Times of the versions consumed, with their checks counted.
pub fn prev_times<const N: usize>(accesses: &[MemAccess], counts: &mut Counts) -> [F; N] {
    core::array::from_fn(|i| {
        counts.access(&accesses[i]);
        accesses[i].prev_ts_f()
    })
}

/// Limbs of field elements for a word.
pub fn word_limbs(word: u32) -> [F; 2] {
    limbs(word)
}

/// Word address of pointer argument `i`.
pub fn word_addr(call: &AccelCall, i: usize) -> F {
    F::from_u32(call.args[i] / 4)
}
