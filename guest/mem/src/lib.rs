//! `memcpy` and its relatives. Copies of 32 bytes between aligned addresses are one ecall; the rest goes by words where both sides allow it.
//!
//! The crate is `no_builtins`, so that these loops are not turned into calls of themselves. Such a crate takes no part in link-time optimisation, so nothing else is here.
#![no_std]
#![no_builtins]

use cairn_accel::sys;

const WORD: usize = 4;

// `memcpy` between aligned addresses, by far the most frequent case, and `memcmp`, by hand: a 64-byte copy takes 27 instructions.
core::arch::global_asm!(
    ".section .text.memcpy",
    ".globl memcpy",
    ".type memcpy, @function",
    "memcpy:",
    "or   t0, a0, a1",
    "andi t0, t0, 3",
    "bnez t0, __cairn_memcpy_unaligned",
    "mv   t6, a0",
    "mv   t0, a1",
    "mv   a1, a0", // the ecall wants the source in a0
    "mv   a0, t0",
    "addi t1, a2, -32",
    "bltz t1, 2f",
    "add  t1, t1, a0", // the last place where 32 bytes begin
    "li   a7, {copy}",
    "1: ecall",
    "addi a0, a0, 32",
    "addi a1, a1, 32",
    "bgeu t1, a0, 1b",
    "2: andi t0, a2, 28",
    "beqz t0, 4f",
    "add  t0, t0, a0",
    "3: lw t1, 0(a0)",
    "addi a0, a0, 4",
    "sw   t1, 0(a1)",
    "addi a1, a1, 4",
    "bltu a0, t0, 3b",
    "4: andi a2, a2, 3",
    "beqz a2, 6f",
    "add  a2, a2, a0",
    "5: lbu t1, 0(a0)",
    "addi a0, a0, 1",
    "sb   t1, 0(a1)",
    "addi a1, a1, 1",
    "bltu a0, a2, 5b",
    "6: mv a0, t6",
    "ret",
    ".size memcpy, . - memcpy",
    // int memcmp(a, b, n), which is also bcmp
    ".section .text.memcmp",
    ".globl memcmp",
    ".globl bcmp",
    ".type memcmp, @function",
    "memcmp:",
    "bcmp:",
    "add  t3, a0, a2", // the end
    "or   t0, a0, a1",
    "andi t0, t0, 3",
    "bnez t0, 2f",
    "addi t4, t3, -4",
    "bltu t4, a0, 2f",
    "1: lw t0, 0(a0)",
    "lw   t1, 0(a1)",
    "bne  t0, t1, 2f", // the bytes decide
    "addi a0, a0, 4",
    "addi a1, a1, 4",
    "bgeu t4, a0, 1b",
    "2: bgeu a0, t3, 4f",
    "3: lbu t0, 0(a0)",
    "lbu  t1, 0(a1)",
    "bne  t0, t1, 5f",
    "addi a0, a0, 1",
    "addi a1, a1, 1",
    "bltu a0, t3, 3b",
    "4: li a0, 0",
    "ret",
    "5: sub a0, t0, t1",
    "ret",
    ".size memcmp, . - memcmp",
    copy = const cairn_accel::ids::COPY,
);

unsafe extern "C" {
    fn memcpy(dst: *mut u8, src: *const u8, n: usize) -> *mut u8;
}

/// # Safety
/// C's `memcpy`.
#[unsafe(no_mangle)]
unsafe extern "C" fn __cairn_memcpy_unaligned(dst: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: by the caller's promise; every access stays within the two ranges.
    unsafe {
        if (dst as usize ^ src as usize) & 3 == 0 {
            forward_congruent(dst, src, n);
        } else {
            forward_shifted(dst, src, n);
        }
    }
    dst
}

/// Copies upwards where both pointers have the same alignment.
///
/// # Safety
/// As `memcpy`, and the ranges may overlap if `dst` is below `src`.
#[inline(always)]
unsafe fn forward_congruent(mut dst: *mut u8, mut src: *const u8, mut n: usize) {
    // SAFETY: by the caller's promise.
    unsafe {
        while dst as usize & 3 != 0 && n > 0 {
            *dst = *src;
            (dst, src, n) = (dst.add(1), src.add(1), n - 1);
        }
        while n >= 32 {
            sys::copy32(src, dst);
            (dst, src, n) = (dst.add(32), src.add(32), n - 32);
        }
        while n >= WORD {
            *dst.cast::<u32>() = *src.cast::<u32>();
            (dst, src, n) = (dst.add(WORD), src.add(WORD), n - WORD);
        }
        while n > 0 {
            *dst = *src;
            (dst, src, n) = (dst.add(1), src.add(1), n - 1);
        }
    }
}

/// Copies upwards where the pointers' alignments differ: reads aligned words and shifts them together.
///
/// # Safety
/// As [`forward_congruent`]. Reads stay within the words that the source range touches.
#[inline(always)]
unsafe fn forward_shifted(mut dst: *mut u8, mut src: *const u8, mut n: usize) {
    // SAFETY: by the caller's promise; an aligned word that holds a byte of the range is mapped in this machine.
    unsafe {
        while dst as usize & 3 != 0 && n > 0 {
            *dst = *src;
            (dst, src, n) = (dst.add(1), src.add(1), n - 1);
        }
        if n >= WORD {
            let offset = src as usize & 3;
            let (right, left) = (8 * offset as u32, 32 - 8 * offset as u32);
            let mut words = src.sub(offset).cast::<u32>();
            let mut low = *words >> right;
            while n >= WORD {
                words = words.add(1);
                let high = *words;
                *dst.cast::<u32>() = low | (high << left);
                low = high >> right;
                (dst, src, n) = (dst.add(WORD), src.add(WORD), n - WORD);
            }
        }
        while n > 0 {
            *dst = *src;
            (dst, src, n) = (dst.add(1), src.add(1), n - 1);
        }
    }
}

/// # Safety
/// C's `memmove`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(dst: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: by the caller's promise. `memcpy` never reads a byte after writing it when `dst` is below `src`; elsewhere an overlap is copied downwards.
    unsafe {
        if (dst as usize).wrapping_sub(src as usize) >= n {
            memcpy(dst, src, n);
        } else {
            downwards(dst, src, n);
        }
    }
    dst
}

/// # Safety
/// Overlap is allowed with `dst >= src`.
unsafe fn downwards(dst: *mut u8, src: *const u8, mut n: usize) {
    let congruent = (dst as usize ^ src as usize) & 3 == 0;
    // SAFETY: by the caller's promise.
    unsafe {
        while n > 0 && (!congruent || (dst as usize + n) & 3 != 0) {
            n -= 1;
            *dst.add(n) = *src.add(n);
        }
        while n >= WORD {
            n -= WORD;
            *dst.add(n).cast::<u32>() = *src.add(n).cast::<u32>();
        }
        while n > 0 {
            n -= 1;
            *dst.add(n) = *src.add(n);
        }
    }
}

/// Zeros to copy from.
#[repr(align(32))]
struct Zeros([u32; 8]);
static ZEROS: Zeros = Zeros([0; 8]);

/// # Safety
/// C's `memset`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(dst: *mut u8, value: i32, n: usize) -> *mut u8 {
    let (byte, mut to, mut n) = (value as u8, dst, n);
    let word = u32::from(byte) * 0x0101_0101;
    // SAFETY: by the caller's promise.
    unsafe {
        while to as usize & 3 != 0 && n > 0 {
            *to = byte;
            (to, n) = (to.add(1), n - 1);
        }
        while n >= 32 {
            if word == 0 {
                sys::copy32(ZEROS.0.as_ptr().cast(), to);
            } else {
                for i in 0..8 {
                    *to.cast::<u32>().add(i) = word;
                }
            }
            (to, n) = (to.add(32), n - 32);
        }
        while n >= WORD {
            *to.cast::<u32>() = word;
            (to, n) = (to.add(WORD), n - WORD);
        }
        while n > 0 {
            *to = byte;
            (to, n) = (to.add(1), n - 1);
        }
    }
    dst
}

/// # Safety
/// C's `strlen`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(s: *const u8) -> usize {
    let mut n = 0;
    // SAFETY: by the caller's promise.
    unsafe {
        while *s.add(n) != 0 {
            n += 1;
        }
    }
    n
}
