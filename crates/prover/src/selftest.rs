//! A program that uses every instruction and every ecall, written as instructions: what the coverage of the negative tests is measured on.

use crate::check::{self, CheckError, Coverage, check};
use crate::program::{Program, ProgramError};
use crate::run::{Run, RunError};
use crate::shard::traces;
use crate::trace::ShardLimits;
use cairn_accel::ids;
use cairn_vm::{DataSegment, Input, InputTooLarge, Instr, Op, ProgramImage};
use std::sync::Arc;

/// Where data of the small programs lies.
pub const DATA: u32 = 0x1000;
/// Where code of the small programs lies.
pub const TEXT: u32 = 0x10000;

/// A register-register instruction.
pub fn r(op: Op, rd: u8, rs1: u8, rs2: u8) -> Instr {
    Instr { op, rd, rs1, rs2, imm: 0 }
}

/// An instruction with an immediate.
pub fn i(op: Op, rd: u8, rs1: u8, imm: i32) -> Instr {
    Instr { op, rd, rs1, rs2: 0, imm: imm as u32 }
}

/// A store or a branch.
pub fn s(op: Op, rs1: u8, rs2: u8, imm: i32) -> Instr {
    Instr { op, rd: 0, rs1, rs2, imm: imm as u32 }
}

/// `rd = value`, in two instructions.
pub fn li(rd: u8, value: u32) -> [Instr; 2] {
    [i(Op::Lui, rd, 0, (value & 0xffff_f000) as i32), i(Op::Ori, rd, rd, (value & 0xfff) as i32)]
}

/// Loads `a0..` and `a7` and makes the call.
pub fn ecall(id: u32, args: &[u32]) -> Vec<Instr> {
    let mut code: Vec<Instr> = (10..).zip(args).flat_map(|(rd, &arg)| li(rd, arg)).collect();
    code.extend(li(17, id));
    code.push(r(Op::Ecall, 0, 0, 0));
    code
}

/// The body, then COMMIT of the words at [`DATA`], then HALT with code 0.
pub fn image(body: &[Instr], data: &[u32]) -> ProgramImage {
    let mut instrs = body.to_vec();
    instrs.extend(ecall(ids::COMMIT, &[DATA]));
    instrs.extend(ecall(ids::HALT, &[0]));
    let data = if data.is_empty() {
        vec![]
    } else {
        vec![DataSegment { addr: DATA, words: data.to_vec() }]
    };
    ProgramImage { base: TEXT, entry: TEXT, instrs, data, symbols: vec![] }
}

/// A body that uses every instruction, immediates of both signs, memory of every width, and the block ecalls.
pub fn everything() -> (Vec<Instr>, Vec<u32>) {
    use Op::*;
    let mut code: Vec<Instr> = Vec::new();
    let values = [0, 1, 7, 0x8000_0000, 0xffff_ffff, 0x7fff_ffff, 0x1234_5678, 0xfffe_0001, 31, 16];
    for (k, &a) in values.iter().enumerate() {
        let b = values[(3 * k + 1) % values.len()];
        code.extend(li(5, a));
        code.extend(li(6, b));
        for op in [
            Add, Sub, Sll, Slt, Sltu, Xor, Srl, Sra, Or, And, Mul, Mulh, Mulhsu, Mulhu, Div, Divu,
            Rem, Remu,
        ] {
            code.extend([r(op, 7, 5, 6), r(op, 8, 6, 5), r(op, 9, 5, 5), r(op, 0, 5, 6)]);
        }
        for (op, imm) in [
            (Addi, -1),
            (Addi, 2047),
            (Slti, -3),
            (Sltiu, -3),
            (Sltiu, 4),
            (Xori, -7),
            (Ori, 5),
            (Andi, -2048),
        ] {
            code.push(i(op, 7, 5, imm));
        }
        for op in [Slli, Srli, Srai] {
            for shift in [0, 1, 15, 16, 17, 31] {
                code.push(i(op, 7, 5, shift));
            }
        }
        code.extend([
            i(Lui, 7, 0, 0x8000_0000u32 as i32),
            i(Auipc, 7, 0, 0xffff_f000u32 as i32),
            i(Auipc, 8, 0, 0x1000),
        ]);
        // Branches over one instruction, taken or not.
        for op in [Beq, Bne, Blt, Bge, Bltu, Bgeu] {
            code.extend([s(op, 5, 6, 8), i(Addi, 9, 9, 1), s(op, 6, 6, 8), i(Addi, 9, 9, 2)]);
        }
        code.extend([
            i(Jal, 1, 0, 8),
            i(Addi, 9, 9, 3),
            i(Auipc, 2, 0, 0),
            i(Jalr, 1, 2, 13),
            i(Addi, 9, 9, 4),
        ]);
    }
    code.extend(li(2, DATA));
    code.extend(li(5, 0x89ab_cdef));
    for offset in 0..4 {
        code.extend([
            s(Sb, 2, 5, 64 + offset),
            i(Lb, 7, 2, offset),
            i(Lbu, 7, 2, offset),
            i(Lb, 0, 2, offset),
        ]);
    }
    for offset in [0, 2] {
        code.extend([s(Sh, 2, 5, 72 + offset), i(Lh, 7, 2, offset), i(Lhu, 7, 2, offset)]);
    }
    code.extend([s(Sw, 2, 5, 80), i(Lw, 7, 2, 80), i(Lw, 2, 2, 0), i(Addi, 0, 0, 0)]);
    code.extend(ecall(ids::HINT, &[DATA + 128]));
    code.extend(ecall(ids::COPY, &[DATA + 128, DATA + 132]));
    code.extend(ecall(ids::COPY, &[DATA, DATA]));
    (code, vec![0x8081_8283, 0xf0e1_d2c3, 3, 4, 5, 6, 7, 8])
}

/// Calls every accelerator, on the words after [`DATA`].
pub fn accelerators() -> (Vec<Instr>, Vec<u32>) {
    let mut state = 0x2545_f491u32;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let data: Vec<u32> = (0..128).map(|_| word()).collect();
    let mut code = Vec::new();
    for id in ids::ALL.into_iter().filter(|&id| id >= ids::KECCAK_F) {
        // Operands overlap on purpose; each argument starts 16 words after the one before.
        code.extend(ecall(id, &[DATA, DATA + 64, DATA + 128, DATA + 192]));
        // A second time with all arguments that only read in one place, for equal operands.
        if !matches!(id, ids::SECP256K1_ADD | ids::SHA256_COMPRESS) {
            code.extend(ecall(id, &[DATA, DATA, DATA + 64, DATA + 128]));
        }
    }
    // Shifts below 256, division by zero, zero moduli.
    code.extend([i(Op::Addi, 5, 0, 77)]);
    code.extend(li(6, DATA + 1024));
    code.push(s(Op::Sw, 6, 5, 0));
    for id in [ids::U256_SHL, ids::U256_SHR, ids::U256_DIVREM] {
        code.extend(ecall(id, &[DATA, DATA + 1024, DATA + 192]));
        code.extend(ecall(id, &[DATA, DATA + 1056, DATA + 192]));
    }
    for id in [ids::U256_ADDMOD, ids::MODMUL256] {
        code.extend(ecall(id, &[DATA, DATA + 64, DATA + 1056, DATA + 192]));
        code.extend(ecall(id, &[DATA, DATA + 64, DATA + 1024, DATA + 192]));
    }
    (code, data)
}

/// Everything in one program, with a loop long enough that versions must be brought forward in time.
pub fn all() -> ProgramImage {
    let (mut body, mut data) = everything();
    body.extend(li(5, 4500));
    body.extend([i(Op::Addi, 5, 5, -1), s(Op::Bne, 5, 0, -4)]);
    body.extend([r(Op::Add, 7, 7, 8), r(Op::Sltu, 7, 9, 8), i(Op::Lw, 2, 0, DATA as i32)]);
    let (calls, words) = accelerators();
    body.extend(calls);
    data.extend(words);
    image(&body, &data)
}

/// The coverage of [`crate::check::coverage`] on [`all`]: what `bench` and the tests report.
///
/// # Errors
/// Only if the executor and the traces disagree.
pub fn coverage() -> Result<Coverage, SelfTestError> {
    let program = Arc::new(Program::new(all())?);
    let run = Run::new(program, Input::from_bytes(&[1, 2, 3])?, ShardLimits::default(), 1 << 24)?;
    let mut tree = run.tree_at(0)?;
    let shard = run.prepare(0, &mut tree)?;
    let instances = traces(&run.program, &shard.record, &shard.nodes, &shard.statement);
    check(&instances)?;
    Ok(check::coverage(&instances, 128))
}

/// Why the self-test cannot run.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestError {
    /// The program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The input.
    #[error(transparent)]
    Input(#[from] InputTooLarge),
    /// The run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The honest traces.
    #[error(transparent)]
    Check(#[from] CheckError),
}
