//! The program as the AIRs see it: a table of decoded instructions with the few fixed rows that the chips look up beside them.

use crate::bus::{
    ADDR_SPACE_WORDS, F, LOOKUP_WIDTH, LOW_WORDS, SINK_ADDR, TAG_ECALL, TAG_HALT, TAG_POW,
};
use cairn_accel::ids;
use cairn_vm::{Instr, Op, ProgramImage};
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;

/// Tags of decoded instructions. A chip adds its flags to the first tag of its class.
pub mod op {
    /// `(rd, rs1, rs2, 0)`.
    pub const ADD: u32 = 32;
    /// `(rd, rs1, rs2, 0)`.
    pub const SUB: u32 = 33;
    /// `(rd, rs1, imm)`.
    pub const ADDI: u32 = 34;
    /// And: `(rd, rs1, rs2, 0)`; plus 1 for or, 2 for xor, 4 for an immediate in place of `rs2`.
    pub const AND: u32 = 40;
    /// Shift right: `(rd, rs1, rs2, 0)`; plus 1 for an immediate, 2 for left, 4 for arithmetic.
    pub const SHIFT: u32 = 48;
    /// `(rs1, rs2, 0, rd)`; plus 1 for signed, 2 for an immediate, 4 for a branch (to the last field), 8 for "not less".
    pub const COMPARE: u32 = 64;
    /// `(rs1, rs2, target, 0)`; plus 1 for "not equal".
    pub const BEQ: u32 = 80;
    /// `(rd, target, 0, 0)`; plus 1 for JALR `(rd, rs1, imm)`.
    pub const JAL: u32 = 82;
    /// `(rs1, register, shifted imm)`; plus 1 for SW.
    pub const LW: u32 = 84;
    /// `(rs1, register, shifted imm)`; plus 1 for a store, 2 for a half, 4 for signed.
    pub const SUBWORD: u32 = 96;
    /// `(rd, rs1, rs2, 0)`; plus 1 for the high half, 2 and 4 for a signed first and second operand.
    pub const MUL: u32 = 104;
    /// `(rd, rs1, rs2, 0)`; plus 1 for signed, 2 for the remainder.
    pub const DIV: u32 = 112;
    /// No fields.
    pub const ECALL: u32 = 116;
}

/// Where the machine is after HALT: in no program.
pub const HALT_PC: u32 = 1;
/// Stands for jump targets that are not addresses of instructions: in no program.
pub const INVALID_PC: u32 = 3;
/// Columns of the table.
pub const TABLE_WIDTH: usize = LOOKUP_WIDTH;
/// The largest table, in rows.
pub const MAX_LOG_ROWS: usize = 21;

/// Which chip an instruction belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // the chips' names
pub enum Class {
    Add,
    Bitwise,
    Shift,
    Compare,
    Branch,
    Jump,
    Word,
    Subword,
    Mul,
    Div,
    Ecall,
}

/// All instruction classes.
pub const CLASSES: [Class; 11] = [
    Class::Add,
    Class::Bitwise,
    Class::Shift,
    Class::Compare,
    Class::Branch,
    Class::Jump,
    Class::Word,
    Class::Subword,
    Class::Mul,
    Class::Div,
    Class::Ecall,
];

impl Class {
    /// The class of an operation; none for those without a chip.
    pub const fn of(op: Op) -> Option<Self> {
        Some(match op {
            Op::Add | Op::Sub | Op::Addi | Op::Lui | Op::Auipc => Self::Add,
            Op::And | Op::Or | Op::Xor | Op::Andi | Op::Ori | Op::Xori => Self::Bitwise,
            Op::Sll | Op::Srl | Op::Sra | Op::Slli | Op::Srli | Op::Srai => Self::Shift,
            Op::Slt | Op::Sltu | Op::Slti | Op::Sltiu => Self::Compare,
            Op::Blt | Op::Bge | Op::Bltu | Op::Bgeu => Self::Compare,
            Op::Beq | Op::Bne => Self::Branch,
            Op::Jal | Op::Jalr => Self::Jump,
            Op::Lw | Op::Sw => Self::Word,
            Op::Lb | Op::Lh | Op::Lbu | Op::Lhu | Op::Sb | Op::Sh => Self::Subword,
            Op::Mul | Op::Mulh | Op::Mulhsu | Op::Mulhu => Self::Mul,
            Op::Div | Op::Divu | Op::Rem | Op::Remu => Self::Div,
            Op::Ecall => Self::Ecall,
            Op::Illegal => return None,
        })
    }
}

/// One decoded instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Its chip.
    pub class: Class,
    /// Tag: the class's first tag plus its flags.
    pub tag: u32,
    /// Fields as the class's tag describes them.
    pub fields: [u32; 4],
}

/// Why a program cannot be proven.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// Too long.
    #[error("the program has {0} instructions, the table ends at 2^{MAX_LOG_ROWS} rows")]
    TooLong(usize),
    /// Initial data in the reserved area.
    #[error("the program has data at {0:#x}; addresses below {low:#x} are reserved", low = 4 * LOW_WORDS)]
    ReservedData(u32),
    /// The code or the data reaches beyond 2^29.
    #[error("the program reaches {0:#x}; addresses end at 2^29")]
    OutOfRange(u32),
}

/// A program ready for proving.
#[derive(Clone, Debug)]
pub struct Program {
    /// What the machine runs.
    pub image: ProgramImage,
    instrs: Vec<Option<Decoded>>,
    log_rows: usize,
}

/// Fixed rows at the table's start: 32 powers, HALT, and one descriptor for every other ecall.
const POW_ROWS: usize = 32;
const FIXED_ROWS: usize = POW_ROWS + ids::ALL.len();

impl Program {
    /// Decodes a program.
    ///
    /// # Errors
    /// When it does not fit the machine's address space.
    pub fn new(image: ProgramImage) -> Result<Self, ProgramError> {
        let rows = FIXED_ROWS + image.instrs.len();
        if rows > 1 << MAX_LOG_ROWS {
            return Err(ProgramError::TooLong(image.instrs.len()));
        }
        let end = u64::from(image.base) + 4 * image.instrs.len() as u64;
        if end > 4 * u64::from(ADDR_SPACE_WORDS) {
            return Err(ProgramError::OutOfRange(image.base));
        }
        for (addr, _) in image.initial_words() {
            if addr < 4 * LOW_WORDS {
                return Err(ProgramError::ReservedData(addr));
            }
            if addr >= 4 * ADDR_SPACE_WORDS {
                return Err(ProgramError::OutOfRange(addr));
            }
        }
        let instrs =
            (0u32..).zip(&image.instrs).map(|(i, instr)| decode(instr, image.pc_of(i))).collect();
        Ok(Self { image, instrs, log_rows: rows.next_power_of_two().ilog2() as usize })
    }

    /// log2 of the table's height.
    pub fn log_rows(&self) -> usize {
        self.log_rows
    }

    /// The decoded instruction of a row of the image's instruction table, unless it is illegal.
    pub fn decoded(&self, index: u32) -> Option<&Decoded> {
        self.instrs.get(index as usize)?.as_ref()
    }

    /// The table's row of an instruction.
    pub fn instr_row(index: u32) -> usize {
        FIXED_ROWS + index as usize
    }

    /// The table's row of `(cut, 2^cut, 2^(16-cut), left)`.
    pub fn pow_row(left: bool, cut: u32) -> usize {
        if left { 16 + cut as usize - 1 } else { cut as usize }
    }

    /// The table's row of an ecall's descriptor.
    pub fn ecall_row(id: u32) -> Option<usize> {
        ids::ALL.iter().position(|&i| i == id).map(|i| POW_ROWS + i)
    }

    /// Row `i` of the table.
    pub fn row(&self, i: usize) -> [u32; TABLE_WIDTH] {
        if i < POW_ROWS {
            let left = i >= 16;
            let cut = (i % 16) as u32 + u32::from(left);
            [TAG_POW, cut, 1 << cut, 1 << (16 - cut), u32::from(left), 0]
        } else if i < FIXED_ROWS {
            ecall_descriptor(ids::ALL[i - POW_ROWS])
        } else {
            let index = (i - FIXED_ROWS) as u32;
            self.decoded(index).map_or([0; TABLE_WIDTH], |d| {
                let [f0, f1, f2, f3] = d.fields;
                [d.tag, self.image.pc_of(index), f0, f1, f2, f3]
            })
        }
    }

    /// The whole table.
    pub fn table(&self) -> RowMajorMatrix<F> {
        let cells =
            (0..1usize << self.log_rows).flat_map(|i| self.row(i)).map(F::from_u32).collect();
        RowMajorMatrix::new(cells, TABLE_WIDTH)
    }
}

/// `(tag, id, which of a0..a3 are pointers)`.
fn ecall_descriptor(id: u32) -> [u32; TABLE_WIDTH] {
    if id == ids::HALT {
        return [TAG_HALT, 0, 0, 0, 0, 0];
    }
    let mut row = [TAG_ECALL, id, 0, 0, 0, 0];
    for operand in ids::operands(id).unwrap_or(&[]) {
        row[2 + usize::from(operand.arg)] = 1;
    }
    row
}

/// A jump target as a field element: out-of-range or unaligned ones become an address that no program has.
fn target(pc: u32) -> u32 {
    if pc.is_multiple_of(4) && pc < 4 * ADDR_SPACE_WORDS { pc } else { INVALID_PC }
}

/// What the table says of an instruction at `pc`.
fn decode(instr: &Instr, pc: u32) -> Option<Decoded> {
    let rd = if instr.rd == 0 { SINK_ADDR } else { u32::from(instr.rd) };
    let (rs1, rs2) = (u32::from(instr.rs1), u32::from(instr.rs2));
    let halves = |w: u32| (w & 0xffff, w >> 16);
    let reg = [rd, rs1, rs2, 0];
    let imm = |w: u32| [rd, rs1, halves(w).0, halves(w).1];
    let (tag, fields) = match instr.op {
        Op::Add => (op::ADD, reg),
        Op::Sub => (op::SUB, reg),
        Op::Addi | Op::Lui => (op::ADDI, imm(instr.imm)),
        Op::Auipc => (op::ADDI, imm(pc.wrapping_add(instr.imm))),
        Op::And | Op::Or | Op::Xor | Op::Andi | Op::Ori | Op::Xori => {
            let kind = match instr.op {
                Op::And | Op::Andi => 0,
                Op::Or | Op::Ori => 1,
                _ => 2,
            };
            let immediate = matches!(instr.op, Op::Andi | Op::Ori | Op::Xori);
            let fields = if immediate { imm(instr.imm) } else { reg };
            (op::AND + kind + 4 * u32::from(immediate), fields)
        }
        Op::Sll | Op::Srl | Op::Sra | Op::Slli | Op::Srli | Op::Srai => {
            let immediate = matches!(instr.op, Op::Slli | Op::Srli | Op::Srai);
            let left = matches!(instr.op, Op::Sll | Op::Slli);
            let arithmetic = matches!(instr.op, Op::Sra | Op::Srai);
            let fields = if immediate { [rd, rs1, instr.imm & 31, 0] } else { reg };
            (
                op::SHIFT + u32::from(immediate) + 2 * u32::from(left) + 4 * u32::from(arithmetic),
                fields,
            )
        }
        Op::Slt | Op::Sltu => (op::COMPARE + u32::from(instr.op == Op::Slt), [rs1, rs2, 0, rd]),
        Op::Slti | Op::Sltiu => {
            let (lo, hi) = halves(instr.imm);
            (op::COMPARE + 2 + u32::from(instr.op == Op::Slti), [rs1, lo, hi, rd])
        }
        Op::Blt | Op::Bge | Op::Bltu | Op::Bgeu => {
            let signed = matches!(instr.op, Op::Blt | Op::Bge);
            let ge = matches!(instr.op, Op::Bge | Op::Bgeu);
            let tag = op::COMPARE + 4 + u32::from(signed) + 8 * u32::from(ge);
            (tag, [rs1, rs2, 0, target(pc.wrapping_add(instr.imm))])
        }
        Op::Beq | Op::Bne => {
            let fields = [rs1, rs2, target(pc.wrapping_add(instr.imm)), 0];
            (op::BEQ + u32::from(instr.op == Op::Bne), fields)
        }
        Op::Jal => (op::JAL, [rd, target(pc.wrapping_add(instr.imm)), 0, 0]),
        Op::Jalr => (op::JAL + 1, imm(instr.imm)),
        Op::Lw | Op::Sw | Op::Lb | Op::Lh | Op::Lbu | Op::Lhu | Op::Sb | Op::Sh => {
            decode_memory(instr, rd)
        }
        Op::Mul => (op::MUL, reg),
        Op::Mulhu => (op::MUL + 1, reg),
        Op::Mulhsu => (op::MUL + 3, reg),
        Op::Mulh => (op::MUL + 7, reg),
        Op::Div | Op::Divu | Op::Rem | Op::Remu => {
            let signed = matches!(instr.op, Op::Div | Op::Rem);
            let rem = matches!(instr.op, Op::Rem | Op::Remu);
            (op::DIV + u32::from(signed) + 2 * u32::from(rem), reg)
        }
        Op::Ecall => (op::ECALL, [0; 4]),
        Op::Illegal => return None,
    };
    Some(Decoded { class: Class::of(instr.op)?, tag, fields })
}

/// Loads and stores: the immediate is given less the reserved area.
fn decode_memory(instr: &Instr, rd: u32) -> (u32, [u32; 4]) {
    let store = instr.op.is_store();
    let register = if store { u32::from(instr.rs2) } else { rd };
    let imm = instr.imm.wrapping_sub(4 * LOW_WORDS);
    let fields = [u32::from(instr.rs1), register, imm & 0xffff, imm >> 16];
    let tag = match instr.op {
        Op::Lw | Op::Sw => op::LW + u32::from(store),
        _ => {
            let half = matches!(instr.op, Op::Lh | Op::Lhu | Op::Sh);
            let signed = matches!(instr.op, Op::Lb | Op::Lh);
            op::SUBWORD + u32::from(store) + 2 * u32::from(half) + 4 * u32::from(signed)
        }
    };
    (tag, fields)
}
