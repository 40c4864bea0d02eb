//! RV32IM: instruction forms and the decoder.
//!
//! `FENCE` and `FENCE.I` decode to `addi x0, x0, 0`. `EBREAK`, CSR access and everything outside RV32IM decode to [`Op::Illegal`], which traps when executed, so that
//! padding in a text section does no harm.

/// An operation. The order of the classes is stable: `repr(u8)` values may be used in tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)] // the RISC-V names
pub enum Op {
    // register-register
    Add,
    Sub,
    Sll,
    Slt,
    Sltu,
    Xor,
    Srl,
    Sra,
    Or,
    And,
    // multiplication and division
    Mul,
    Mulh,
    Mulhsu,
    Mulhu,
    Div,
    Divu,
    Rem,
    Remu,
    // register-immediate
    Addi,
    Slti,
    Sltiu,
    Xori,
    Ori,
    Andi,
    Slli,
    Srli,
    Srai,
    // upper immediates
    Lui,
    Auipc,
    // jumps and branches
    Jal,
    Jalr,
    Beq,
    Bne,
    Blt,
    Bge,
    Bltu,
    Bgeu,
    // memory
    Lb,
    Lh,
    Lw,
    Lbu,
    Lhu,
    Sb,
    Sh,
    Sw,
    // system
    Ecall,
    Illegal,
}

impl Op {
    /// How many operations there are.
    pub const COUNT: usize = Self::Illegal as usize + 1;

    /// Every operation in `repr` order.
    pub const ALL: [Self; Self::COUNT] = {
        use Op::*;
        [
            Add, Sub, Sll, Slt, Sltu, Xor, Srl, Sra, Or, And, Mul, Mulh, Mulhsu, Mulhu, Div, Divu,
            Rem, Remu, Addi, Slti, Sltiu, Xori, Ori, Andi, Slli, Srli, Srai, Lui, Auipc, Jal, Jalr,
            Beq, Bne, Blt, Bge, Bltu, Bgeu, Lb, Lh, Lw, Lbu, Lhu, Sb, Sh, Sw, Ecall, Illegal,
        ]
    };

    /// Whether it reads or writes memory as a load or store.
    #[must_use]
    pub const fn is_memory(self) -> bool {
        self.is_load() || self.is_store()
    }

    /// A load.
    #[must_use]
    pub const fn is_load(self) -> bool {
        matches!(self, Self::Lb | Self::Lh | Self::Lw | Self::Lbu | Self::Lhu)
    }

    /// A store.
    #[must_use]
    pub const fn is_store(self) -> bool {
        matches!(self, Self::Sb | Self::Sh | Self::Sw)
    }

    /// A conditional branch.
    #[must_use]
    pub const fn is_branch(self) -> bool {
        matches!(self, Self::Beq | Self::Bne | Self::Blt | Self::Bge | Self::Bltu | Self::Bgeu)
    }

    /// Whether the instruction reads `rs1`.
    #[must_use]
    pub const fn reads_rs1(self) -> bool {
        !matches!(self, Self::Lui | Self::Auipc | Self::Jal | Self::Ecall | Self::Illegal)
    }

    /// Whether the instruction reads `rs2`.
    #[must_use]
    pub const fn reads_rs2(self) -> bool {
        (self as u8) <= (Self::Remu as u8) || self.is_branch() || self.is_store()
    }

    /// Whether the instruction writes `rd` (a write to x0 is discarded).
    #[must_use]
    pub const fn writes_rd(self) -> bool {
        !(self.is_branch() || self.is_store() || matches!(self, Self::Ecall | Self::Illegal))
    }
}

/// A decoded instruction. Fields that the operation does not use are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instr {
    /// What to do.
    pub op: Op,
    /// Destination register.
    pub rd: u8,
    /// First source register.
    pub rs1: u8,
    /// Second source register.
    pub rs2: u8,
    /// The immediate, sign-extended to 32 bits; for `LUI` and `AUIPC` already shifted left by 12, for shifts the amount 0..32, for branches and `JAL` the byte offset.
    pub imm: u32,
}

impl Instr {
    /// The instruction that always traps.
    pub const ILLEGAL: Self = Self { op: Op::Illegal, rd: 0, rs1: 0, rs2: 0, imm: 0 };
    /// `addi x0, x0, 0`.
    pub const NOP: Self = Self { op: Op::Addi, rd: 0, rs1: 0, rs2: 0, imm: 0 };
}

/// Sign-extends the low `bits` of `value`.
const fn sext(value: u32, bits: u32) -> u32 {
    let shift = 32 - bits;
    (((value << shift) as i32) >> shift) as u32
}

const fn imm_i(word: u32) -> u32 {
    sext(word >> 20, 12)
}

const fn imm_s(word: u32) -> u32 {
    sext(((word >> 25) << 5) | ((word >> 7) & 31), 12)
}

const fn imm_b(word: u32) -> u32 {
    sext(
        ((word >> 31) << 12)
            | (((word >> 7) & 1) << 11)
            | (((word >> 25) & 63) << 5)
            | (((word >> 8) & 15) << 1),
        13,
    )
}

const fn imm_j(word: u32) -> u32 {
    sext(
        ((word >> 31) << 20)
            | (((word >> 12) & 255) << 12)
            | (((word >> 20) & 1) << 11)
            | (((word >> 21) & 1023) << 1),
        21,
    )
}

const fn decode_reg(funct3: u32, funct7: u32) -> Op {
    match (funct7, funct3) {
        (0, 0) => Op::Add,
        (0x20, 0) => Op::Sub,
        (0, 1) => Op::Sll,
        (0, 2) => Op::Slt,
        (0, 3) => Op::Sltu,
        (0, 4) => Op::Xor,
        (0, 5) => Op::Srl,
        (0x20, 5) => Op::Sra,
        (0, 6) => Op::Or,
        (0, 7) => Op::And,
        (1, 0) => Op::Mul,
        (1, 1) => Op::Mulh,
        (1, 2) => Op::Mulhsu,
        (1, 3) => Op::Mulhu,
        (1, 4) => Op::Div,
        (1, 5) => Op::Divu,
        (1, 6) => Op::Rem,
        (1, 7) => Op::Remu,
        _ => Op::Illegal,
    }
}

const fn decode_imm(funct3: u32, funct7: u32) -> Op {
    match funct3 {
        0 => Op::Addi,
        1 if funct7 == 0 => Op::Slli,
        2 => Op::Slti,
        3 => Op::Sltiu,
        4 => Op::Xori,
        5 if funct7 == 0 => Op::Srli,
        5 if funct7 == 0x20 => Op::Srai,
        6 => Op::Ori,
        7 => Op::Andi,
        _ => Op::Illegal,
    }
}

const fn decode_branch(funct3: u32) -> Op {
    match funct3 {
        0 => Op::Beq,
        1 => Op::Bne,
        4 => Op::Blt,
        5 => Op::Bge,
        6 => Op::Bltu,
        7 => Op::Bgeu,
        _ => Op::Illegal,
    }
}

const fn decode_load(funct3: u32) -> Op {
    match funct3 {
        0 => Op::Lb,
        1 => Op::Lh,
        2 => Op::Lw,
        4 => Op::Lbu,
        5 => Op::Lhu,
        _ => Op::Illegal,
    }
}

const fn decode_store(funct3: u32) -> Op {
    match funct3 {
        0 => Op::Sb,
        1 => Op::Sh,
        2 => Op::Sw,
        _ => Op::Illegal,
    }
}

/// Decodes one instruction word.
#[must_use]
pub const fn decode(word: u32) -> Instr {
    let rd = ((word >> 7) & 31) as u8;
    let rs1 = ((word >> 15) & 31) as u8;
    let rs2 = ((word >> 20) & 31) as u8;
    let (funct3, funct7) = ((word >> 12) & 7, word >> 25);
    let instr = match word & 0x7f {
        0x33 => Instr { op: decode_reg(funct3, funct7), rd, rs1, rs2, imm: 0 },
        0x13 => {
            let op = decode_imm(funct3, funct7);
            let shift = matches!(op, Op::Slli | Op::Srli | Op::Srai);
            Instr { op, rd, rs1, rs2: 0, imm: if shift { rs2 as u32 } else { imm_i(word) } }
        }
        0x37 => Instr { op: Op::Lui, rd, rs1: 0, rs2: 0, imm: word & 0xffff_f000 },
        0x17 => Instr { op: Op::Auipc, rd, rs1: 0, rs2: 0, imm: word & 0xffff_f000 },
        0x6f => Instr { op: Op::Jal, rd, rs1: 0, rs2: 0, imm: imm_j(word) },
        0x67 if funct3 == 0 => Instr { op: Op::Jalr, rd, rs1, rs2: 0, imm: imm_i(word) },
        0x63 => Instr { op: decode_branch(funct3), rd: 0, rs1, rs2, imm: imm_b(word) },
        0x03 => Instr { op: decode_load(funct3), rd, rs1, rs2: 0, imm: imm_i(word) },
        0x23 => Instr { op: decode_store(funct3), rd: 0, rs1, rs2, imm: imm_s(word) },
        0x0f if funct3 <= 1 => Instr::NOP,
        0x73 if word == 0x73 => Instr { op: Op::Ecall, rd: 0, rs1: 0, rs2: 0, imm: 0 },
        _ => Instr::ILLEGAL,
    };
    if matches!(instr.op, Op::Illegal) { Instr::ILLEGAL } else { instr }
}
