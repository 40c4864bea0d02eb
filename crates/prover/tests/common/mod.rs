//! Programs for the tests: guests from the repository, and small ones written as instructions.
#![allow(dead_code)] // each test binary uses its own part

use cairn_accel::ids;
use cairn_prover::check::{CheckError, Instance, check};
use cairn_prover::config::{PARAMS, Params};
use cairn_prover::program::Program;
use cairn_prover::run::{PreparedShard, Run, RunError};
use cairn_prover::shard::{ProvingKey, traces};
use cairn_prover::trace::ShardLimits;
use cairn_prover::verify::ExecutionProof;
use cairn_vm::{DataSegment, Input, Instr, Op, ProgramImage};
use std::sync::Arc;

/// Parameters for quick proofs: sound structure, few queries.
pub const FAST: Params =
    Params { num_queries: 8, lookup_pow: 0, ood_pow: 0, batch_pow: 0, commit_pow: 0, query_pow: 0, ..PARAMS };

/// Where data of the small programs lies.
pub const DATA: u32 = 0x1000;
/// Where code of the small programs lies.
pub const TEXT: u32 = 0x10000;

/// A guest program of the repository.
pub fn guest(name: &str) -> Arc<Program> {
    let path = format!("{}/../../guest/elf/{name}.elf.zst", env!("CARGO_MANIFEST_DIR"));
    let elf = zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap();
    Arc::new(Program::new(ProgramImage::from_elf(&elf).unwrap()).unwrap())
}

pub fn r(op: Op, rd: u8, rs1: u8, rs2: u8) -> Instr {
    Instr { op, rd, rs1, rs2, imm: 0 }
}

pub fn i(op: Op, rd: u8, rs1: u8, imm: i32) -> Instr {
    Instr { op, rd, rs1, rs2: 0, imm: imm as u32 }
}

/// Stores and branches.
pub fn s(op: Op, rs1: u8, rs2: u8, imm: i32) -> Instr {
    Instr { op, rd: 0, rs1, rs2, imm: imm as u32 }
}

/// `rd = value`, in two instructions.
pub fn li(rd: u8, value: u32) -> [Instr; 2] {
    [i(Op::Lui, rd, 0, (value & 0xffff_f000) as i32), i(Op::Ori, rd, rd, (value & 0xfff) as i32)]
}

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
    let data = if data.is_empty() { vec![] } else { vec![DataSegment { addr: DATA, words: data.to_vec() }] };
    ProgramImage { base: TEXT, entry: TEXT, instrs, data, symbols: vec![] }
}

pub fn program(body: &[Instr], data: &[u32]) -> Arc<Program> {
    Arc::new(Program::new(image(body, data)).unwrap())
}

pub fn try_run(program: Arc<Program>, input: &[u8], cycles: u32) -> Result<Run, RunError> {
    let limits = ShardLimits { cycles, ..Default::default() };
    Run::new(program, Input::from_bytes(input).unwrap(), limits, 1 << 30)
}

pub fn run(program: Arc<Program>, input: &[u8], cycles: u32) -> Run {
    try_run(program, input, cycles).unwrap()
}

/// Every shard of a run.
pub fn shards(run: &Run) -> Vec<PreparedShard> {
    let mut tree = run.tree_at(0).unwrap();
    (0..run.shards()).map(|index| run.prepare(index, &mut tree).unwrap()).collect()
}

/// The traces of every shard of a run.
pub fn all_traces(run: &Run) -> Vec<Vec<Instance>> {
    shards(run).iter().map(|s| traces(&run.program, &s.record, &s.nodes, &s.statement)).collect()
}

/// Runs a small program in one shard and checks its traces.
pub fn check_body(body: &[Instr], data: &[u32]) -> Result<Vec<Instance>, CheckError> {
    let run = run(program(body, data), &[], 1 << 20);
    let instances = all_traces(&run).remove(0);
    check(&instances).map(|()| instances)
}

/// Proves a run with [`FAST`] parameters.
pub fn prove(run: &Run) -> ExecutionProof {
    let mut key = ProvingKey::with_params(run.program.clone(), FAST).unwrap();
    let shards = shards(run)
        .into_iter()
        .map(|s| {
            let instances = traces(&run.program, &s.record, &s.nodes, &s.statement);
            key.prove(s.statement, instances).unwrap()
        })
        .collect();
    ExecutionProof { vk: key.vk.clone(), shards }
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
        for op in [Add, Sub, Sll, Slt, Sltu, Xor, Srl, Sra, Or, And, Mul, Mulh, Mulhsu, Mulhu, Div, Divu, Rem, Remu] {
            code.extend([r(op, 7, 5, 6), r(op, 8, 6, 5), r(op, 9, 5, 5), r(op, 0, 5, 6)]);
        }
        for (op, imm) in [(Addi, -1), (Addi, 2047), (Slti, -3), (Sltiu, -3), (Sltiu, 4), (Xori, -7), (Ori, 5), (Andi, -2048)] {
            code.push(i(op, 7, 5, imm));
        }
        for op in [Slli, Srli, Srai] {
            for shift in [0, 1, 15, 16, 17, 31] {
                code.push(i(op, 7, 5, shift));
            }
        }
        code.extend([i(Lui, 7, 0, 0x8000_0000u32 as i32), i(Auipc, 7, 0, 0xffff_f000u32 as i32), i(Auipc, 8, 0, 0x1000)]);
        // Branches over one instruction, taken or not.
        for op in [Beq, Bne, Blt, Bge, Bltu, Bgeu] {
            code.extend([s(op, 5, 6, 8), i(Addi, 9, 9, 1), s(op, 6, 6, 8), i(Addi, 9, 9, 2)]);
        }
        code.extend([i(Jal, 1, 0, 8), i(Addi, 9, 9, 3), i(Auipc, 2, 0, 0), i(Jalr, 1, 2, 13), i(Addi, 9, 9, 4)]);
    }
    code.extend(li(2, DATA));
    code.extend(li(5, 0x89ab_cdef));
    for offset in 0..4 {
        code.extend([s(Sb, 2, 5, 64 + offset), i(Lb, 7, 2, offset), i(Lbu, 7, 2, offset), i(Lb, 0, 2, offset)]);
    }
    for offset in [0, 2] {
        code.extend([s(Sh, 2, 5, 72 + offset), i(Lh, 7, 2, offset), i(Lhu, 7, 2, offset)]);
    }
    code.extend([s(Sw, 2, 5, 80), i(Lw, 7, 2, 80), i(Lw, 2, 2, 0), i(Addi, 0, 0, 0)]);
    code.extend(ecall(ids::HINT, &[DATA + 128]));
    code.extend(ecall(ids::COPY, &[DATA + 128, DATA + 132]));
    code.extend(ecall(ids::COPY, &[DATA, DATA]));
    code.extend(ecall(ids::U256_ADDMOD, &[DATA, DATA + 4, DATA + 8, DATA + 160]));
    code.extend(ecall(ids::POSEIDON2_COMPRESS, &[DATA, DATA + 128, DATA + 192]));
    (code, vec![0x8081_8283, 0xf0e1_d2c3, 3, 4, 5, 6, 7, 8])
}
