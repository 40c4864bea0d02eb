//! The buses that join the chips, and the only functions that put messages on them.
//!
//! # Words, addresses, time
//!
//! * A machine word is two 16-bit limbs `(lo, hi)`. **Invariant:** every word on the memory bus has both limbs in
//!   `0..2^16`. Whoever *writes* a word that is not a copy of words already on the bus must range-check both limbs.
//! * A *word address* is `byte_address / 4`, below [`ADDR_SPACE_WORDS`]. Words `0..32` are the registers `x0..x31` (`x0` is never written
//!   and stays zero), word [`SINK_ADDR`] takes the writes to `x0`, words up to [`LOW_WORDS`] are reserved. Guest code cannot
//!   reach below [`LOW_WORDS`]: the load/store and ecall chips only form addresses in `LOW_WORDS..ADDR_SPACE_WORDS + LOW_WORDS`, and the
//!   memory-boundary chip only offers addresses below `ADDR_SPACE_WORDS`, so a chip that adds a small offset to a pointer may run
//!   off the end but never into the registers, and running off the end cannot balance.
//! * *Time*: cycle number `n >= 1` of a shard has timestamp `8 n`; sub-steps are `ts .. ts + 7`. All timestamps are below `2^26` (a shard has at most 2^22 rows of instructions). The initial value of a word has timestamp 0.
//!
//! # Memory
//!
//! One offline-memory-checking bus [`MEM`] with messages `(addr, lo, hi, ts)`. An access *receives* the previous version
//! `(addr, old, prev_ts)` and *sends* `(addr, new, ts)`, and proves `prev_ts < ts` by one 16-bit range check of `ts - prev_ts - 1`: an older
//! version is first brought forward by the gap chip, so tracing guarantees `ts - prev_ts <= 2^16` ([`MemAccess`] records come out
//! already repaired). Use [`mem_read`] and [`mem_write`]; they do all three. Two accesses to one address at one timestamp cannot
//! balance, so give accesses that may alias distinct sub-steps: accelerators read through pointer argument `i` at `ts + i` and
//! write results after every read (see the record order of the call).
//!
//! # Lookups
//!
//! One bus [`LOOKUP`] of width 6 carries every table (so that odd lookups pack in pairs): `(tag, f0, f1, f2, f3, f4)`.
//! Tags `0..=16`: range check, `f0 < 2^tag`; [`TAG_AND`]: `f2 = f0 & f1` on bytes (`xor = a + b - 2 and`); [`TAG_ECALL`], [`TAG_HALT`]: ecall
//! descriptors; [`TAG_POW`]: powers of two; [`TAG_BYTES`]: pairs of bytes; [`OP_BASE`]`..`: decoded instructions. Use [`range_check`], [`and_bytes`], [`xor_bytes`].
//!
//! # Accelerators
//!
//! [`ACCEL`] carries `(id, ts, a0, a1, a2, a3)`: sent once by the ecall chip for each call, with the word addresses of the
//! pointer arguments (aligned, in guest range; unused arguments are zero), received once by the chip of that `id`.
//!
//! # Poseidon2
//!
//! [`COMPRESS`] `(l[8], r[8], d[8])` with `d = P(l || r)[..8] + l`; [`PERMUTE`] `(in[16], out[16])`. Both are answered by the Poseidon2
//! chip; a user calls [`compress`] / [`permute`] and counts the permutation in [`crate::counts::Counts`].
//!
//! # Multiplicities
//!
//! Every multiplicity given to these functions must be constrained boolean by the calling chip (the count bound handed to
//! the LogUp height check is 1).

use p3_field::extension::BinomialExtensionField;
use p3_field::{Field, PrimeCharacteristicRing};
use p3_koala_bear::KoalaBear;
use p3_lookup::{Count, InteractionBuilder, LookupBus, PermutationCheckBus};

/// The base field, KoalaBear, `p = 2^31 - 2^24 + 1`.
pub type F = KoalaBear;
/// The challenge field, degree 4 over [`F`].
pub type EF = BinomialExtensionField<F, 4>;

/// Memory: `(word address, lo, hi, timestamp)`.
pub const MEM: PermutationCheckBus<'static> = PermutationCheckBus::new("mem");
/// Execution state: `(pc, timestamp)`.
pub const EXEC: PermutationCheckBus<'static> = PermutationCheckBus::new("exec");
/// All tables: `(tag, f0, f1, f2, f3, f4)`.
pub const LOOKUP: LookupBus<'static> = LookupBus::new("lookup");
/// Accelerator calls: `(id, ts, a0, a1, a2, a3)`.
pub const ACCEL: PermutationCheckBus<'static> = PermutationCheckBus::new("accel");
/// Poseidon2 compression: `(l[8], r[8], d[8])`.
pub const COMPRESS: LookupBus<'static> = LookupBus::new("compress");
/// Poseidon2 permutation: `(in[16], out[16])`.
pub const PERMUTE: LookupBus<'static> = LookupBus::new("permute");
/// Nodes of the memory tree: `(level, index, old digest[8], new digest[8])`.
pub const MERKLE: PermutationCheckBus<'static> = PermutationCheckBus::new("merkle");
/// What a shard tells the world: `(kind, 16 limbs)`.
pub const PUBLIC: PermutationCheckBus<'static> = PermutationCheckBus::new("public");

/// Width of a [`LOOKUP`] message.
pub const LOOKUP_WIDTH: usize = 6;
/// Tag of the byte-wise AND table.
pub const TAG_AND: u32 = 17;
/// Tag of ecall descriptors.
pub const TAG_ECALL: u32 = 18;
/// Tag of the descriptor of the halting ecall.
pub const TAG_HALT: u32 = 19;
/// Tag of the powers of two: `(cut, 2^cut, 2^(16-cut), left)`.
pub const TAG_POW: u32 = 20;
/// Tag of the pairs of bytes.
pub const TAG_BYTES: u32 = 21;
/// First tag of decoded instructions.
pub const OP_BASE: u32 = 32;

/// Number of words of guest memory: 2^29 bytes.
pub const ADDR_SPACE_WORDS: u32 = 1 << 27;
/// Words below this are registers and scratch, out of the guest's reach.
pub const LOW_WORDS: u32 = 64;
const _: () = assert!(4 * LOW_WORDS == cairn_vm::RESERVED_BYTES);
/// Word address that takes writes to `x0`.
pub const SINK_ADDR: u32 = 32;
/// Timestamps per cycle.
pub const TS_STEP: u32 = 8;
/// Bits of the range check between two accesses of a word.
pub const TS_GAP_BITS: u32 = 16;

/// One memory access as the trace generators see it, its `prev_ts` already within reach of `ts`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemAccess {
    /// Word address.
    pub addr: u32,
    /// Time of this access.
    pub ts: u32,
    /// Time of the version that it consumes.
    pub prev_ts: u32,
    /// The word before.
    pub prev: u32,
    /// The word after (equal to `prev` for a read).
    pub value: u32,
}

impl MemAccess {
    /// Limbs of the word before.
    pub fn prev_limbs(&self) -> [F; 2] {
        limbs(self.prev)
    }
    /// Limbs of the word after.
    pub fn value_limbs(&self) -> [F; 2] {
        limbs(self.value)
    }
    /// `prev_ts` as a field element.
    pub fn prev_ts_f(&self) -> F {
        F::from_u32(self.prev_ts)
    }
    /// The value that the access's timestamp check looks up.
    pub fn ts_diff(&self) -> u32 {
        self.ts - self.prev_ts - 1
    }
}

/// One accelerator call with its accesses in the order in which the executor makes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccelCall {
    /// Accelerator id (the `ecall` number).
    pub id: u32,
    /// Timestamp of the ecall's cycle.
    pub ts: u32,
    /// Byte addresses of the arguments (unused ones zero).
    pub args: [u32; 4],
    /// Every word read and written, in order.
    pub accesses: Vec<MemAccess>,
}

/// Splits a word in its two 16-bit limbs.
pub fn limbs(word: u32) -> [F; 2] {
    [F::from_u32(word & 0xffff), F::from_u32(word >> 16)]
}

/// Looks `value` up in the range table: `value < 2^bits`, `bits <= 16`.
pub fn range_check<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    value: impl Into<AB::Expr>,
    bits: u32,
    mult: impl Into<AB::Expr>,
) {
    assert!(bits <= 16, "the range table ends at 16 bits");
    let zero = AB::Expr::ZERO;
    let key =
        [AB::Expr::from_u32(bits), value.into(), zero.clone(), zero.clone(), zero.clone(), zero];
    LOOKUP.lookup_key(b, key, Count::bounded(mult.into(), 1));
}

/// `value < 2^bits` where `bits` is an expression that the caller has bound to `0..=16`.
pub fn range_check_var<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    value: impl Into<AB::Expr>,
    bits: impl Into<AB::Expr>,
    mult: impl Into<AB::Expr>,
) {
    let zero = AB::Expr::ZERO;
    let key = [bits.into(), value.into(), zero.clone(), zero.clone(), zero.clone(), zero];
    LOOKUP.lookup_key(b, key, Count::bounded(mult.into(), 1));
}

/// Both limbs of a word are 16-bit.
pub fn range_check_word<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    word: [AB::Expr; 2],
    mult: impl Into<AB::Expr>,
) {
    let mult = mult.into();
    let [lo, hi] = word;
    range_check(b, lo, 16, mult.clone());
    range_check(b, hi, 16, mult);
}

/// Both `x` and `y` are bytes.
pub fn range_check_bytes<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    x: impl Into<AB::Expr>,
    y: impl Into<AB::Expr>,
    mult: impl Into<AB::Expr>,
) {
    let zero = AB::Expr::ZERO;
    let key = [AB::Expr::from_u32(TAG_BYTES), x.into(), y.into(), zero.clone(), zero.clone(), zero];
    LOOKUP.lookup_key(b, key, Count::bounded(mult.into(), 1));
}

/// `c = a & b` for bytes `a`, `b` (which it also range-checks).
pub fn and_bytes<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    x: impl Into<AB::Expr>,
    y: impl Into<AB::Expr>,
    and: impl Into<AB::Expr>,
    mult: impl Into<AB::Expr>,
) {
    let zero = AB::Expr::ZERO;
    let key = [AB::Expr::from_u32(TAG_AND), x.into(), y.into(), and.into(), zero.clone(), zero];
    LOOKUP.lookup_key(b, key, Count::bounded(mult.into(), 1));
}

/// `c = a ^ b` for bytes `a`, `b` (which it also range-checks). Count it as an AND of the same bytes.
pub fn xor_bytes<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    x: impl Into<AB::Expr>,
    y: impl Into<AB::Expr>,
    xor: impl Into<AB::Expr>,
    mult: impl Into<AB::Expr>,
) {
    let (x, y) = (x.into(), y.into());
    let half = AB::Expr::from(F::TWO.inverse());
    let and = (x.clone() + y.clone() - xor.into()) * half;
    and_bytes(b, x, y, and, mult);
}

/// Reads `value` at `addr` at time `ts`; the version consumed is of time `prev_ts`.
pub fn mem_read<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    addr: impl Into<AB::Expr>,
    value: [AB::Expr; 2],
    prev_ts: impl Into<AB::Expr>,
    ts: impl Into<AB::Expr>,
    mult: impl Into<AB::Expr>,
) {
    mem_write(b, addr, value.clone(), value, prev_ts, ts, mult);
}

/// Replaces `old` by `new` at `addr` at time `ts`. The caller range-checks `new` unless it is a copy.
pub fn mem_write<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    addr: impl Into<AB::Expr>,
    old: [AB::Expr; 2],
    new: [AB::Expr; 2],
    prev_ts: impl Into<AB::Expr>,
    ts: impl Into<AB::Expr>,
    mult: impl Into<AB::Expr>,
) {
    let (addr, prev_ts, ts, mult) = (addr.into(), prev_ts.into(), ts.into(), mult.into());
    let [old_lo, old_hi] = old;
    let [new_lo, new_hi] = new;
    MEM.receive(
        b,
        [addr.clone(), old_lo, old_hi, prev_ts.clone()],
        Count::bounded(mult.clone(), 1),
    );
    MEM.send(b, [addr, new_lo, new_hi, ts.clone()], Count::bounded(mult.clone(), 1));
    range_check(b, ts - prev_ts - AB::Expr::ONE, TS_GAP_BITS, mult);
}

/// Takes the call `(id, ts, args)` off the accelerator bus. `args` are word addresses; give zeros for unused ones.
pub fn accel_receive<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    id: u32,
    ts: impl Into<AB::Expr>,
    args: [AB::Expr; 4],
    mult: impl Into<AB::Expr>,
) {
    let [a0, a1, a2, a3] = args;
    ACCEL.receive(
        b,
        [AB::Expr::from_u32(id), ts.into(), a0, a1, a2, a3],
        Count::bounded(mult.into(), 1),
    );
}

/// `digest = compress(l, r)`.
pub fn compress<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    l: [AB::Expr; 8],
    r: [AB::Expr; 8],
    digest: [AB::Expr; 8],
    mult: impl Into<AB::Expr>,
) {
    COMPRESS.lookup_key(b, l.into_iter().chain(r).chain(digest), Count::bounded(mult.into(), 1));
}

/// `output = P(input)`.
pub fn permute<AB: InteractionBuilder<F = F>>(
    b: &mut AB,
    input: [AB::Expr; 16],
    output: [AB::Expr; 16],
    mult: impl Into<AB::Expr>,
) {
    PERMUTE.lookup_key(b, input.into_iter().chain(output), Count::bounded(mult.into(), 1));
}
