//! What can go wrong: loading a program, and running it.

/// Why an ELF file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// Not parseable as a little-endian ELF32 file.
    #[error("malformed ELF file: {0}")]
    Malformed(String),
    /// A well-formed file for something else.
    #[error("unsupported ELF file: {0}; expected a static little-endian RV32IM executable")]
    Unsupported(&'static str),
    /// A part is larger than the machine allows.
    #[error("{what} is too large: {size} bytes, at most {limit}")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// Its size.
        size: u64,
        /// The bound.
        limit: u64,
    },
    /// A segment lies outside the address space, is unaligned, or overlaps another.
    #[error("segment at {address:#x} is misplaced: {why}")]
    Segment {
        /// Where it starts.
        address: u32,
        /// What is wrong.
        why: &'static str,
    },
    /// The entry point is not an instruction of the program.
    #[error("entry point {0:#x} is not in the program")]
    Entry(u32),
}

/// Why a run stopped without a valid `HALT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrapKind {
    /// An instruction that is not RV32IM (or `EBREAK`).
    #[error("illegal instruction")]
    IllegalInstruction,
    /// A jump to an address outside the program, or not a multiple of 4.
    #[error("jump to {0:#x}, which is not in the program")]
    BadJump(u32),
    /// A load or store that is not aligned to its size.
    #[error("unaligned access at {0:#x}")]
    Unaligned(u32),
    /// A load or store at or above 2^29.
    #[error("access at {0:#x} is out of range")]
    OutOfRange(u32),
    /// A load, a store or an ecall's operand below [`crate::RESERVED_BYTES`], where the proof keeps the registers.
    #[error("access at {0:#x}: addresses below {low:#x} are reserved", low = crate::RESERVED_BYTES)]
    Reserved(u32),
    /// An ecall id that does not exist.
    #[error("unknown ecall {0}")]
    UnknownEcall(u32),
    /// An ecall's input is outside its domain.
    #[error("{} got an input outside its domain", cairn_accel::ids::name(*.0))]
    Domain(u32),
    /// A second `COMMIT`.
    #[error("the public input was committed twice")]
    DoubleCommit,
    /// `HALT` with exit code 0 and no `COMMIT` before it.
    #[error("halted without committing a public input")]
    NoCommit,
    /// A hint beyond the end of the input.
    #[error("the input stream is exhausted")]
    InputExhausted,
    /// The stated bound on cycles was reached.
    #[error("the bound of {0} cycles was reached")]
    CycleLimit(u64),
}

/// A trap with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("trap at pc {pc:#x}, cycle {cycle}: {kind}")]
pub struct Trap {
    /// Program counter of the instruction that did not execute.
    pub pc: u32,
    /// How many instructions executed before it.
    pub cycle: u64,
    /// What happened.
    pub kind: TrapKind,
}
