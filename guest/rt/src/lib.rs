//! What a program needs to run in the Cairn VM: the entry point, a bump allocator, memory functions, the panic handler and the input.
#![no_std]

extern crate alloc;

mod heap;

use cairn_accel::sys;
use cairn_guest_mem as _;

core::arch::global_asm!(
    ".section .text._start",
    ".globl _start",
    "_start:",
    "lui sp, %hi(__stack_top)",
    "addi sp, sp, %lo(__stack_top)",
    "call __cairn_main",
    "unimp",
);

/// Exit code of a panic, where the build does not turn panics into traps.
pub const EXIT_PANIC: u32 = 101;
/// Exit code when memory is exhausted.
pub const EXIT_OUT_OF_MEMORY: u32 = 102;
/// Exit code when the input's length cannot be right.
pub const EXIT_BAD_INPUT: u32 = 103;

/// The largest input in bytes, the executor's own bound.
const MAX_INPUT_BYTES: usize = 1 << 28;

/// Declares the program: a function from the input's bytes to the public input.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(no_mangle)]
        extern "C" fn __cairn_main() -> ! {
            let main: fn(&'static [u8]) -> [u8; 32] = $main;
            $crate::finish(&main($crate::read_input()))
        }
    };
}

/// Reads the whole input. It is untrusted: the prover chooses it.
pub fn read_input() -> &'static [u8] {
    let first = sys::hint(cairn_accel::ids::hint::INPUT, 0, 0);
    let length = first[0] as usize;
    if length > MAX_INPUT_BYTES {
        sys::halt(EXIT_BAD_INPUT);
    }
    let chunks = (4 + length).div_ceil(32);
    let buffer = heap::allocate(32 * chunks, 4).cast::<u32>();
    // SAFETY: the allocation has 32 bytes for each chunk and is never freed; every byte of the slice is written before it is made.
    unsafe {
        buffer.cast::<[u32; 8]>().write(first);
        for i in 1..chunks {
            sys::read_input_chunk(buffer.add(8 * i));
        }
        core::slice::from_raw_parts(buffer.add(1).cast::<u8>(), length)
    }
}

/// Commits the public input and halts with exit code 0.
pub fn finish(public_input: &[u8; 32]) -> ! {
    let words = core::array::from_fn(|i| {
        u32::from_le_bytes([
            public_input[4 * i],
            public_input[4 * i + 1],
            public_input[4 * i + 2],
            public_input[4 * i + 3],
        ])
    });
    sys::commit(&words);
    sys::halt(0)
}

/// Halts with an exit code; nothing but 0 can be proven.
pub fn exit(code: u32) -> ! {
    sys::halt(code)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    sys::halt(EXIT_PANIC)
}

/// alloy-primitives' hook for Keccak-256 (its feature `native-keccak`).
///
/// # Safety
/// `bytes` is readable for `len` bytes, `output` writable for 32.
#[unsafe(no_mangle)]
unsafe extern "C" fn native_keccak256(bytes: *const u8, len: usize, output: *mut u8) {
    // SAFETY: by the caller's promise.
    unsafe {
        output.cast::<[u8; 32]>().write_unaligned(cairn_accel::keccak::keccak256(
            core::slice::from_raw_parts(bytes, len),
        ))
    }
}
