//! The raw `ecall`s. Only in the guest; see [`crate::ids`] for what each does.

use crate::ids;
use crate::secp256k1::Point;
use core::arch::asm;
use core::mem::MaybeUninit;

/// Eight words: a digest or a 256-bit integer.
pub type Words = [u32; 8];

/// # Safety
/// The pointers must be valid for the accesses that [`crate::ids`] lists for the id.
#[inline(always)]
unsafe fn ecall(id: u32, a0: usize, a1: usize, a2: usize, a3: usize) {
    // SAFETY: the ecall reads and writes only the operands; no register changes.
    unsafe {
        asm!("ecall", in("a7") id, in("a0") a0, in("a1") a1, in("a2") a2, in("a3") a3, options(nostack, preserves_flags))
    }
}

/// # Safety
/// As [`ecall`].
#[inline(always)]
unsafe fn ecall1(id: u32, a0: usize) {
    // SAFETY: as `ecall`.
    unsafe { asm!("ecall", in("a7") id, in("a0") a0, options(nostack, preserves_flags)) }
}

/// # Safety
/// As [`ecall`].
#[inline(always)]
unsafe fn ecall2(id: u32, a0: usize, a1: usize) {
    // SAFETY: as `ecall`.
    unsafe {
        asm!("ecall", in("a7") id, in("a0") a0, in("a1") a1, options(nostack, preserves_flags))
    }
}

/// # Safety
/// As [`ecall`].
#[inline(always)]
unsafe fn ecall3(id: u32, a0: usize, a1: usize, a2: usize) {
    // SAFETY: as `ecall`.
    unsafe {
        asm!("ecall", in("a7") id, in("a0") a0, in("a1") a1, in("a2") a2, options(nostack, preserves_flags))
    }
}

#[inline(always)]
fn addr<T>(r: &T) -> usize {
    core::ptr::from_ref(r) as usize
}

#[inline(always)]
fn addr_mut<T>(r: &mut T) -> usize {
    core::ptr::from_mut(r) as usize
}

/// Stops the machine.
pub fn halt(code: u32) -> ! {
    // SAFETY: HALT touches no memory.
    unsafe { asm!("ecall", in("a7") ids::HALT, in("a0") code, options(noreturn, nostack)) }
}

/// Commits the public input.
pub fn commit(words: &Words) {
    // SAFETY: the operand is a reference.
    unsafe { ecall1(ids::COMMIT, addr(words)) }
}

/// Eight untrusted words. `a2` and `a3` are addresses for the executor.
#[inline]
pub fn hint(kind: u32, a2: usize, a3: usize) -> Words {
    let mut out = MaybeUninit::<Words>::uninit();
    // SAFETY: HINT writes all eight words.
    unsafe {
        ecall(ids::HINT, out.as_mut_ptr() as usize, kind as usize, a2, a3);
        out.assume_init()
    }
}

/// Copies 32 bytes.
///
/// # Safety
/// Both pointers are aligned to 4, `src` is readable and `dst` writable for 32 bytes.
#[inline(always)]
pub unsafe fn copy32(src: *const u8, dst: *mut u8) {
    // SAFETY: by the caller's promise.
    unsafe { ecall2(ids::COPY, src as usize, dst as usize) }
}

/// Input chunks: eight words each, straight into a buffer.
///
/// # Safety
/// `dst` is aligned to 4 and writable for 32 bytes.
#[inline(always)]
pub unsafe fn read_input_chunk(dst: *mut u32) {
    // SAFETY: by the caller's promise.
    unsafe { ecall2(ids::HINT, dst as usize, ids::hint::INPUT as usize) }
}

/// keccak-f in place.
#[inline]
pub fn keccak_f(state: &mut [u64; 25]) {
    // SAFETY: the operand is a reference; a little-endian u64 is (low word, high word).
    unsafe { ecall1(ids::KECCAK_F, addr_mut(state)) }
}

/// SHA-256 compression in place.
#[inline]
pub fn sha256_compress(state: &mut [u32; 8], block: &[u32; 16]) {
    // SAFETY: the operands are references.
    unsafe { ecall2(ids::SHA256_COMPRESS, addr_mut(state), addr(block)) }
}

/// Poseidon2 permutation in place.
#[inline]
pub fn poseidon2_permute(state: &mut [u32; 16]) {
    // SAFETY: the operand is a reference.
    unsafe { ecall1(ids::POSEIDON2_PERMUTE, addr_mut(state)) }
}

/// Poseidon2 compression.
#[inline]
pub fn poseidon2_compress(l: &Words, r: &Words) -> Words {
    binary(ids::POSEIDON2_COMPRESS, l, r)
}

/// Any call with two 8-word inputs and one output.
#[inline(always)]
pub(crate) fn binary<const N: usize>(id: u32, a: &Words, b: &Words) -> [u32; N] {
    let mut out = MaybeUninit::<[u32; N]>::uninit();
    // SAFETY: callers pass an id whose output has N words, all of which it writes.
    unsafe {
        ecall3(id, addr(a), addr(b), out.as_mut_ptr() as usize);
        out.assume_init()
    }
}

/// Any call with three 8-word inputs and one 8-word output.
#[inline(always)]
pub(crate) fn ternary(id: u32, a: &Words, b: &Words, m: &Words) -> Words {
    let mut out = MaybeUninit::<Words>::uninit();
    // SAFETY: callers pass an id whose output has 8 words, all of which it writes.
    unsafe {
        ecall(id, addr(a), addr(b), addr(m), out.as_mut_ptr() as usize);
        out.assume_init()
    }
}

/// As [`binary`] with 8 output words, into a place.
#[inline(always)]
pub(crate) fn binary_to(id: u32, a: &Words, b: &Words, out: &mut Words) {
    // SAFETY: the operands are references.
    unsafe { ecall3(id, addr(a), addr(b), addr_mut(out)) }
}

/// As [`ternary`], into a place.
#[inline(always)]
pub(crate) fn ternary_to(id: u32, a: &Words, b: &Words, m: &Words, out: &mut Words) {
    // SAFETY: the operands are references.
    unsafe { ecall(id, addr(a), addr(b), addr(m), addr_mut(out)) }
}

/// Four point doublings in place. An ecall keeps all registers, so they need to be set once.
#[inline(always)]
pub fn secp256k1_double4(p: &mut Point) {
    // SAFETY: as `ecall1`, four times.
    unsafe {
        asm!("ecall", "ecall", "ecall", "ecall", in("a7") ids::SECP256K1_DOUBLE, in("a0") addr_mut(p), options(nostack, preserves_flags));
    }
}

/// Point addition in place.
#[inline]
pub fn secp256k1_add(p: &mut Point, q: &Point) {
    // SAFETY: the operands are references.
    unsafe { ecall2(ids::SECP256K1_ADD, addr_mut(p), addr(q)) }
}

/// Point doubling in place.
#[inline]
pub fn secp256k1_double(p: &mut Point) {
    // SAFETY: the operand is a reference.
    unsafe { ecall1(ids::SECP256K1_DOUBLE, addr_mut(p)) }
}
