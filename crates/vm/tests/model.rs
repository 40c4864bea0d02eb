//! The interpreter against an independent model: random programs, step by step. The model works on raw instruction words, wide signed integers and a byte map, and
//! shares no code with the machine.

use cairn_vm::{
    AccelCall, Input, Machine, ProgramImage, Snapshot, Step, Stop, Tracer, TrapKind, decode,
};
use proptest::prelude::*;
use std::collections::HashMap;

const BASE: u32 = 0x1000;
const DATA: u32 = 0x8000;

#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Illegal,
    Jump(u32),
    Align(u32),
    Range(u32),
    Ecall,
}

/// The model machine.
struct Model {
    code: Vec<u32>,
    x: [u32; 32],
    pc: u32,
    bytes: HashMap<u32, u8>,
}

fn bits(w: u32, high: u32, low: u32) -> i128 {
    i128::from((w >> low) & (((1u64 << (high - low + 1)) - 1) as u32))
}

fn signed(v: i128, width: u32) -> i128 {
    if v >> (width - 1) & 1 == 1 { v - (1 << width) } else { v }
}

impl Model {
    fn s(&self, r: i128) -> i128 {
        i128::from(self.x[r as usize] as i32)
    }
    fn u(&self, r: i128) -> i128 {
        i128::from(self.x[r as usize])
    }
    fn set(&mut self, r: i128, v: i128) {
        if r != 0 {
            self.x[r as usize] = v.rem_euclid(1 << 32) as u32;
        }
    }
    fn address(&self, base: i128, offset: i128, size: u32) -> Result<u32, Fault> {
        let a = (self.u(base) + offset).rem_euclid(1 << 32) as u32;
        if !a.is_multiple_of(size) {
            return Err(Fault::Align(a));
        }
        if !(256..512 * 1024 * 1024).contains(&a) {
            return Err(Fault::Range(a));
        }
        Ok(a)
    }
    fn read(&self, a: u32, size: u32) -> i128 {
        (0..size).map(|i| i128::from(*self.bytes.get(&(a + i)).unwrap_or(&0)) << (8 * i)).sum()
    }

    fn step(&mut self) -> Result<(), Fault> {
        let slot = i128::from(self.pc) - i128::from(BASE);
        if slot < 0 || slot % 4 != 0 || slot / 4 >= self.code.len() as i128 {
            return Err(Fault::Jump(self.pc));
        }
        let w = self.code[(slot / 4) as usize];
        let (rd, rs1, rs2) = (bits(w, 11, 7), bits(w, 19, 15), bits(w, 24, 20));
        let (f3, f7, pc) = (bits(w, 14, 12), bits(w, 31, 25), i128::from(self.pc));
        let i_imm = signed(bits(w, 31, 20), 12);
        let mut next = pc + 4;
        match bits(w, 6, 0) {
            0b0110111 => self.set(rd, bits(w, 31, 12) * 4096),
            0b0010111 => self.set(rd, pc + bits(w, 31, 12) * 4096),
            0b1101111 => {
                next = pc
                    + signed(
                        (bits(w, 31, 31) << 20)
                            + (bits(w, 19, 12) << 12)
                            + (bits(w, 20, 20) << 11)
                            + (bits(w, 30, 21) << 1),
                        21,
                    );
                self.jump(rd, next)?;
            }
            0b1100111 if f3 == 0 => {
                next = (self.u(rs1) + i_imm).rem_euclid(1 << 32) / 2 * 2;
                self.jump(rd, next)?;
            }
            0b1100011 => {
                let taken = match f3 {
                    0 => self.u(rs1) == self.u(rs2),
                    1 => self.u(rs1) != self.u(rs2),
                    4 => self.s(rs1) < self.s(rs2),
                    5 => self.s(rs1) >= self.s(rs2),
                    6 => self.u(rs1) < self.u(rs2),
                    7 => self.u(rs1) >= self.u(rs2),
                    _ => return Err(Fault::Illegal),
                };
                if taken {
                    next = pc
                        + signed(
                            (bits(w, 31, 31) << 12)
                                + (bits(w, 7, 7) << 11)
                                + (bits(w, 30, 25) << 5)
                                + (bits(w, 11, 8) << 1),
                            13,
                        );
                    self.jump(0, next)?;
                }
            }
            0b0000011 => {
                let size = [1, 2, 4, 0, 1, 2, 0, 0][f3 as usize];
                if size == 0 {
                    return Err(Fault::Illegal);
                }
                let v = self.read(self.address(rs1, i_imm, size)?, size);
                self.set(rd, if f3 < 4 { signed(v, 8 * size) } else { v });
            }
            0b0100011 => {
                let size = [1, 2, 4, 0, 0, 0, 0, 0][f3 as usize];
                if size == 0 {
                    return Err(Fault::Illegal);
                }
                let a = self.address(rs1, signed((f7 << 5) + rd, 12), size)?;
                for i in 0..size {
                    self.bytes.insert(a + i, (self.u(rs2) >> (8 * i)) as u8);
                }
            }
            0b0010011 => {
                let shamt = rs2;
                let v = match (f3, f7) {
                    (0, _) => self.u(rs1) + i_imm,
                    (1, 0) => self.u(rs1) << shamt,
                    (2, _) => i128::from(self.s(rs1) < i_imm),
                    (3, _) => i128::from(self.u(rs1) < i_imm.rem_euclid(1 << 32)),
                    (4, _) => self.s(rs1) ^ i_imm,
                    (5, 0) => self.u(rs1) >> shamt,
                    (5, 32) => self.s(rs1) >> shamt,
                    (6, _) => self.s(rs1) | i_imm,
                    (7, _) => self.s(rs1) & i_imm,
                    _ => return Err(Fault::Illegal),
                };
                self.set(rd, v);
            }
            0b0110011 => {
                let v = self.register_op(f3, f7, rs1, rs2)?;
                self.set(rd, v);
            }
            0b0001111 if f3 < 2 => {}
            0b1110011 if w == 0x73 => return Err(Fault::Ecall),
            _ => return Err(Fault::Illegal),
        }
        self.pc = next.rem_euclid(1 << 32) as u32;
        Ok(())
    }

    fn jump(&mut self, rd: i128, to: i128) -> Result<(), Fault> {
        let to = to.rem_euclid(1 << 32) as u32;
        if !to.is_multiple_of(4) {
            return Err(Fault::Jump(to));
        }
        self.set(rd, i128::from(self.pc) + 4);
        Ok(())
    }

    fn register_op(&self, f3: i128, f7: i128, a: i128, b: i128) -> Result<i128, Fault> {
        let (su, sv, u, v) = (self.s(a), self.s(b), self.u(a), self.u(b));
        let shamt = v % 32;
        Ok(match (f7, f3) {
            (0, 0) => u + v,
            (32, 0) => u - v,
            (0, 1) => u << shamt,
            (0, 2) => i128::from(su < sv),
            (0, 3) => i128::from(u < v),
            (0, 4) => u ^ v,
            (0, 5) => u >> shamt,
            (32, 5) => su >> shamt,
            (0, 6) => u | v,
            (0, 7) => u & v,
            (1, 0) => su * sv,
            (1, 1) => (su * sv) >> 32,
            (1, 2) => (su * v) >> 32,
            (1, 3) => (u * v) >> 32,
            (1, 4) => {
                if sv == 0 {
                    -1
                } else {
                    su / sv
                }
            }
            (1, 5) => {
                if v == 0 {
                    -1
                } else {
                    u / v
                }
            }
            (1, 6) => {
                if sv == 0 {
                    su
                } else {
                    su % sv
                }
            }
            (1, 7) => {
                if v == 0 {
                    u
                } else {
                    u % v
                }
            }
            _ => return Err(Fault::Illegal),
        })
    }
}

fn fault_of(kind: TrapKind) -> Fault {
    match kind {
        TrapKind::IllegalInstruction => Fault::Illegal,
        TrapKind::BadJump(pc) => Fault::Jump(pc),
        TrapKind::Unaligned(a) => Fault::Align(a),
        TrapKind::OutOfRange(a) | TrapKind::Reserved(a) => Fault::Range(a),
        _ => Fault::Ecall,
    }
}

/// Rebuilds registers and memory from the reported steps alone, so that a wrong report shows.
#[derive(Default)]
struct Replay {
    x: [u32; 32],
    words: HashMap<u32, u32>,
    steps: u64,
}

impl Tracer for Replay {
    fn step(&mut self, s: &Step) {
        let i = s.instr;
        assert_eq!(s.cycle, self.steps);
        assert_eq!(s.rs1, if i.op.reads_rs1() { self.x[i.rs1 as usize] } else { 0 });
        assert_eq!(s.rs2, if i.op.reads_rs2() { self.x[i.rs2 as usize] } else { 0 });
        if i.op.writes_rd() {
            assert_eq!(s.rd_old, self.x[i.rd as usize]);
            if i.rd != 0 {
                self.x[i.rd as usize] = s.rd_new;
            }
        }
        if i.op.is_memory() {
            let word = self.words.entry(s.mem_addr & !3).or_insert(0);
            assert_eq!(s.mem_old, *word);
            assert!(i.op.is_store() || s.mem_new == s.mem_old);
            *word = s.mem_new;
        }
        self.steps += 1;
    }
    fn ecall(&mut self, _: &Step, _: &AccelCall<'_>) {
        unreachable!("no ecall succeeds here");
    }
}

fn start(code: &[u32], x: [u32; 32]) -> (ProgramImage, Snapshot, Model) {
    let instrs = code.iter().map(|&w| decode(w)).collect();
    let program = ProgramImage { base: BASE, entry: BASE, instrs, data: vec![], symbols: vec![] };
    let snapshot = Snapshot {
        cycle: 0,
        pc: BASE,
        regs: x,
        pages: Default::default(),
        input_chunk: 0,
        committed: None,
    };
    (program, snapshot, Model { code: code.to_vec(), x, pc: BASE, bytes: HashMap::new() })
}

fn compare(code: &[u32], x: [u32; 32], steps: u64) {
    let (program, snapshot, mut model) = start(code, x);
    let mut machine = Machine::resume(&program, Input::from_bytes(&[]).unwrap(), &snapshot);
    let mut replay = Replay { x, ..Replay::default() };
    let outcome = machine.run(&mut replay, steps);
    let mut fault = None;
    for _ in 0..machine.cycle() {
        model.step().expect("the machine executed it");
    }
    if machine.cycle() < steps {
        fault = model.step().err();
        assert!(fault.is_some());
    }
    match outcome {
        Err(trap) => assert_eq!(
            Some(if fault == Some(Fault::Ecall) { Fault::Ecall } else { fault_of(trap.kind) }),
            fault
        ),
        Ok(stop) => assert_eq!((stop, &fault), (Stop::Paused, &None)),
    }
    assert_eq!((machine.pc(), machine.regs()), (model.pc, &model.x));
    assert_eq!(replay.x, model.x);
    for &a in model.bytes.keys() {
        let expected: u32 = (0..4)
            .map(|i| u32::from(*model.bytes.get(&((a & !3) + i)).unwrap_or(&0)) << (8 * i))
            .sum();
        assert_eq!(machine.memory().get(a & !3), expected);
        assert_eq!(replay.words.get(&(a & !3)), Some(&expected));
    }
}

/// Numbers at the edges of 32-bit arithmetic, and others.
fn value() -> impl Strategy<Value = u32> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(u32::MAX),
        Just(1 << 31),
        Just(i32::MAX as u32),
        Just(DATA),
        0u32..64,
        any::<u32>()
    ]
}

/// A valid instruction word: memory accesses mostly near x8, branches mostly short.
fn instruction() -> impl Strategy<Value = u32> {
    let r = || 0u32..32;
    let funct = prop_oneof![
        Just((0u32, 0u32)),
        (0u32..8).prop_map(|f| (f, 0)),
        (0u32..8).prop_map(|f| (f, 1)),
        Just((0, 32)),
        Just((5, 32))
    ];
    prop_oneof![
        4 => (r(), r(), r(), funct).prop_map(|(d, a, b, (f3, f7))| 0x33 | d << 7 | f3 << 12 | a << 15 | b << 20 | f7 << 25),
        3 => (r(), r(), 0u32..8, any::<u32>()).prop_map(|(d, a, f3, imm)| {
            let imm = match f3 { 1 => imm & 31, 5 => imm & 0x41f, _ => imm & 0xfff };
            0x13 | d << 7 | f3 << 12 | a << 15 | (if f3 == 5 { (imm & 31) | (imm & 0x400) } else { imm }) << 20
        }),
        1 => (r(), any::<u32>(), any::<bool>()).prop_map(|(d, imm, pc)| (if pc { 0x17 } else { 0x37 }) | d << 7 | imm & 0xffff_f000),
        2 => (r(), 0usize..5, 0u32..64).prop_map(|(d, f3, imm)| 0x03 | d << 7 | [0, 1, 2, 4, 5][f3] << 12 | 8 << 15 | (imm & !3 | imm & [3, 2, 0, 3, 2][f3]) << 20),
        2 => (r(), 0usize..3, 0u32..32).prop_map(|(b, f3, imm)| {
            let imm = imm & [31, 30, 28][f3];
            0x23 | imm << 7 | (f3 as u32) << 12 | 8 << 15 | b << 20
        }),
        1 => (r(), r(), 0usize..6, 1u32..12).prop_map(|(a, b, f3, words)| 0x63 | ((4 * words) & 0x1e) << 7 | [0, 1, 4, 5, 6, 7][f3] << 12 | a << 15 | b << 20 | ((4 * words) >> 5) << 25),
        1 => (r(), 1u32..8).prop_map(|(d, words)| 0x6f | d << 7 | (4 * words) << 20),
        1 => any::<u32>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_programs(code in prop::collection::vec(instruction(), 1..80), mut x in prop::array::uniform32(value())) {
        x[0] = 0;
        x[8] = DATA;
        compare(&code, x, 300);
    }

    /// One instruction on arbitrary registers: unaligned and out-of-range addresses, wild jumps, illegal words.
    #[test]
    fn single_instructions(words in prop::collection::vec(any::<u32>(), 60), mut x in prop::array::uniform32(value()), op in 0usize..10) {
        x[0] = 0;
        for w in words {
            let opcode = [0x33, 0x13, 0x03, 0x23, 0x63, 0x67, 0x6f, 0x17, 0x37, 0x73][op];
            compare(&[w & !0x7f | opcode], x, 1);
            compare(&[w & !0x7f & !0xfc00_0000 | opcode | (w >> 31) << 25 | (w >> 30 & 1) << 30], x, 1);
        }
    }
}

/// Every register operation on every pair of edge values.
#[test]
fn edge_values() {
    let edges = [
        0,
        1,
        2,
        31,
        32,
        0xffff,
        0x8000,
        0x1_0000,
        i32::MAX as u32,
        1 << 31,
        (1 << 31) + 1,
        u32::MAX - 1,
        u32::MAX,
    ];
    for (f7, f3) in (0..8).flat_map(|f3| [(0, f3), (1, f3)]).chain([(32, 0), (32, 5)]) {
        for (a, b) in edges.iter().flat_map(|a| edges.map(|b| (*a, b))) {
            let mut x = [0; 32];
            (x[5], x[6]) = (a, b);
            compare(&[0x33 | 7 << 7 | f3 << 12 | 5 << 15 | 6 << 20 | f7 << 25], x, 1);
            // rs1 = rs2 = rd, and a write to x0
            compare(
                &[
                    0x33 | 5 << 7 | f3 << 12 | 5 << 15 | 5 << 20 | f7 << 25,
                    0x33 | f3 << 12 | 5 << 15 | 6 << 20 | f7 << 25,
                ],
                x,
                2,
            );
        }
    }
}
