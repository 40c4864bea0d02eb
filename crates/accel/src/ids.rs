//! The environment calls of the VM: the contract between guest code, executor and AIRs.
//!
//! An `ecall` reads the id from `a7` (x17) and its arguments from `a0..a3` (x10..x13). It writes no register and continues at `pc + 4`.
//! It takes one cycle of the machine whatever it does. An unknown id is a trap.
//!
//! # Operands
//!
//! | id | name | operands, in access order (argument: words, mode) | result |
//! |---|---|---|---|
//! | 0 | `HALT` | none; `a0` is the exit code | the machine stops. A run is valid only with exit code 0 |
//! | 1 | `COMMIT` | a0: 8 R | the 32-byte public input, once and before `HALT` |
//! | 2 | `HINT` | a0: 8 W | eight arbitrary (**untrusted**) words; `a1` (kind), `a2`, `a3` only advise the executor |
//! | 3 | `COPY` | a0: 8 R, a1: 8 W | `a1 = a0`, a 32-byte copy |
//! | 16 | `KECCAK_F` | a0: 50 RW | keccak-f\[1600\] on 25 lanes, each as (low word, high word), lane `x + 5y` |
//! | 17 | `SHA256_COMPRESS` | a1: 16 R, a0: 8 RW | state words are numbers; the block is 64 bytes of memory in order (big-endian words of the message) |
//! | 32 | `POSEIDON2_PERMUTE` | a0: 16 RW | the KoalaBear width-16 permutation |
//! | 33 | `POSEIDON2_COMPRESS` | a0: 8 R, a1: 8 R, a2: 8 W | `out = P(l, r)[0..8] + l` |
//! | 48 | `U256_ADD` | a0: 8 R, a1: 8 R, a2: 8 W | `a + b mod 2^256` |
//! | 49 | `U256_SUB` | a0: 8 R, a1: 8 R, a2: 8 W | `a - b mod 2^256` |
//! | 50 | `U256_MUL` | a0: 8 R, a1: 8 R, a2: 8 W | `a * b mod 2^256` |
//! | 51 | `U256_DIVREM` | a0: 8 R, a1: 8 R, a2: 16 W | words 0..8 `a / b`, words 8..16 `a % b`; both 0 when `b = 0` |
//! | 52 | `U256_CMP` | a0: 8 R, a1: 8 R, a2: 1 W | 0 if `a = b`, 1 if `a < b`, 2 if `a > b` |
//! | 53 | `U256_SHL` | a0: 8 R, a1: 8 R, a2: 8 W | `a << s`, 0 when `s >= 256` (`s` = all of operand a1) |
//! | 54 | `U256_SHR` | a0: 8 R, a1: 8 R, a2: 8 W | `a >> s`, 0 when `s >= 256` |
//! | 55 | `U256_ADDMOD` | a0: 8 R, a1: 8 R, a2: 8 R, a3: 8 W | `(a + b) mod m` over the integers, canonical; 0 when `m = 0` |
//! | 56 | `MODMUL256` | a0: 8 R, a1: 8 R, a2: 8 R, a3: 8 W | `(a * b) mod m`, canonical; 0 when `m = 0` |
//! | 64 | `SECP256K1_ADD` | a1: 16 R, a0: 16 RW | `a0 = a0 + a1`, affine; traps unless `x0 != x1 (mod p)` |
//! | 65 | `SECP256K1_DOUBLE` | a0: 16 RW | `a0 = 2 * a0`, affine; traps unless `y != 0 (mod p)` |
//!
//! # Rules
//!
//! - **Pointers** are byte addresses, multiples of 4, with `ptr + 4 * words <= 2^29`; otherwise the call traps and nothing is written.
//! - **Modes**: R reads; W overwrites (the trace still knows the old word); RW takes the old words as input and replaces them.
//! - **Aliasing** is allowed. Operands are accessed in the order of the table, each at its own sub-time within the cycle. Every R operand comes before the one
//!   W or RW operand, so all inputs are the values before the call, and no call has two operands that write.
//! - **256-bit integers** are 8 words, least significant first. Any value is a valid input.
//! - **Field elements** of KoalaBear are one word each. An input word stands for its value mod p (any word is accepted); outputs are canonical (`< p`).
//! - **Points** are `x` (8 words) then `y` (8 words), least significant word first. Input coordinates are any 256-bit integers and stand for their value mod p; the chord
//!   (tangent) formula is applied whether or not the point is on the curve; outputs are canonical (`< p`). There is no encoding of the point at infinity.
//! - A call with an input that is out of its domain (`SECP256K1_*`) is a trap, and no proof of it exists. Guest code checks first.
//! - `COMMIT` twice, `HALT` with code 0 and no `COMMIT`, and `HINT` beyond the end of the input are traps of the executor. For the AIR a hint is any eight words.

/// Stop the machine with the exit code in `a0`.
pub const HALT: u32 = 0;
/// Commit the 32-byte public input.
pub const COMMIT: u32 = 1;
/// Write eight untrusted words.
pub const HINT: u32 = 2;
/// Copy eight words.
pub const COPY: u32 = 3;
/// keccak-f\[1600\] in place.
pub const KECCAK_F: u32 = 16;
/// SHA-256 compression in place.
pub const SHA256_COMPRESS: u32 = 17;
/// Poseidon2 width-16 permutation in place.
pub const POSEIDON2_PERMUTE: u32 = 32;
/// Poseidon2 2-to-1 compression with feed-forward of the left input.
pub const POSEIDON2_COMPRESS: u32 = 33;
/// 256-bit wrapping addition.
pub const U256_ADD: u32 = 48;
/// 256-bit wrapping subtraction.
pub const U256_SUB: u32 = 49;
/// 256-bit wrapping multiplication.
pub const U256_MUL: u32 = 50;
/// 256-bit quotient and remainder.
pub const U256_DIVREM: u32 = 51;
/// 256-bit comparison.
pub const U256_CMP: u32 = 52;
/// 256-bit left shift.
pub const U256_SHL: u32 = 53;
/// 256-bit logical right shift.
pub const U256_SHR: u32 = 54;
/// 256-bit modular addition.
pub const U256_ADDMOD: u32 = 55;
/// 256-bit modular multiplication.
pub const MODMUL256: u32 = 56;
/// secp256k1 addition of two affine points with different x.
pub const SECP256K1_ADD: u32 = 64;
/// secp256k1 doubling of an affine point with y != 0.
pub const SECP256K1_DOUBLE: u32 = 65;

/// Every id, in ascending order.
pub const ALL: [u32; 19] = [
    HALT,
    COMMIT,
    HINT,
    COPY,
    KECCAK_F,
    SHA256_COMPRESS,
    POSEIDON2_PERMUTE,
    POSEIDON2_COMPRESS,
    U256_ADD,
    U256_SUB,
    U256_MUL,
    U256_DIVREM,
    U256_CMP,
    U256_SHL,
    U256_SHR,
    U256_ADDMOD,
    MODMUL256,
    SECP256K1_ADD,
    SECP256K1_DOUBLE,
];

/// Kinds of [`HINT`] (argument `a1`). They only advise the executor; nothing about the words written is proven.
pub mod hint {
    /// The next eight words of the witness input stream. Word 0 of the stream is the input's length in bytes; then the bytes, zero-padded.
    pub const INPUT: u32 = 0;
    /// `a2` points to a value and `a3` to a modulus (8 words each): the inverse, or zero if there is none.
    pub const MODINV: u32 = 1;
    /// `a2` points to a secp256k1 base-field element: a square root, or a root of minus the element's product with -1 if it is no square, or zero.
    pub const SECP256K1_SQRT: u32 = 2;
    /// `a2` points to a scalar below the secp256k1 order: words 0..4 |k1|, words 4..8 |k2| of the endomorphism split (see `secp256k1`).
    pub const SECP256K1_SPLIT: u32 = 3;
    /// `a2` points as for [`SECP256K1_SPLIT`]: word 0 has bit 0 set if k1 is negative, bit 1 if k2 is; the rest is zero.
    pub const SECP256K1_SPLIT_SIGNS: u32 = 4;
}

/// How an ecall uses an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Read only.
    Read,
    /// Overwrite; the old words are not an input.
    Write,
    /// Read and replace in place.
    ReadWrite,
}

/// One memory operand of an ecall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// Which of `a0..a3` holds the pointer.
    pub arg: u8,
    /// Length in words.
    pub words: u8,
    /// How it is used.
    pub mode: Mode,
}

const fn r(arg: u8, words: u8) -> Operand {
    Operand { arg, words, mode: Mode::Read }
}

const fn w(arg: u8, words: u8) -> Operand {
    Operand { arg, words, mode: Mode::Write }
}

const fn rw(arg: u8, words: u8) -> Operand {
    Operand { arg, words, mode: Mode::ReadWrite }
}

/// The operands of an ecall in access order, or `None` for an unknown id.
#[must_use]
pub const fn operands(id: u32) -> Option<&'static [Operand]> {
    Some(match id {
        HALT => &[],
        COMMIT => const { &[r(0, 8)] },
        HINT => const { &[w(0, 8)] },
        COPY => const { &[r(0, 8), w(1, 8)] },
        KECCAK_F => const { &[rw(0, 50)] },
        SHA256_COMPRESS => const { &[r(1, 16), rw(0, 8)] },
        POSEIDON2_PERMUTE => const { &[rw(0, 16)] },
        POSEIDON2_COMPRESS | U256_ADD | U256_SUB | U256_MUL | U256_SHL | U256_SHR => {
            const { &[r(0, 8), r(1, 8), w(2, 8)] }
        }
        U256_DIVREM => const { &[r(0, 8), r(1, 8), w(2, 16)] },
        U256_CMP => const { &[r(0, 8), r(1, 8), w(2, 1)] },
        U256_ADDMOD | MODMUL256 => const { &[r(0, 8), r(1, 8), r(2, 8), w(3, 8)] },
        SECP256K1_ADD => const { &[r(1, 16), rw(0, 16)] },
        SECP256K1_DOUBLE => const { &[rw(0, 16)] },
        _ => return None,
    })
}

/// The call's name, for profiles and errors.
#[must_use]
pub const fn name(id: u32) -> &'static str {
    match id {
        HALT => "halt",
        COMMIT => "commit",
        HINT => "hint",
        COPY => "copy",
        KECCAK_F => "keccak_f",
        SHA256_COMPRESS => "sha256_compress",
        POSEIDON2_PERMUTE => "poseidon2_permute",
        POSEIDON2_COMPRESS => "poseidon2_compress",
        U256_ADD => "u256_add",
        U256_SUB => "u256_sub",
        U256_MUL => "u256_mul",
        U256_DIVREM => "u256_divrem",
        U256_CMP => "u256_cmp",
        U256_SHL => "u256_shl",
        U256_SHR => "u256_shr",
        U256_ADDMOD => "u256_addmod",
        MODMUL256 => "modmul256",
        SECP256K1_ADD => "secp256k1_add",
        SECP256K1_DOUBLE => "secp256k1_double",
        _ => "unknown",
    }
}
