//! The machine and its interpreter.

use crate::ecall::EcallBuffers;
use crate::error::{Trap, TrapKind};
use crate::image::{ADDRESS_SPACE, ProgramImage, RESERVED_BYTES};
use crate::input::Input;
use crate::isa::{Instr, Op};
use crate::memory::{Memory, Pages};
use crate::trace::{Step, Tracer};

/// Why a run returned without a trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The program executed `HALT` with this exit code.
    Halted(u32),
    /// The tracer asked for a pause, or the target cycle was reached.
    Paused,
}

/// The whole state between two instructions. Cloning shares the pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Instructions executed so far.
    pub cycle: u64,
    /// Next instruction's address.
    pub pc: u32,
    /// x0..x31.
    pub regs: [u32; 32],
    /// Memory.
    pub pages: Pages,
    /// Chunks of the input consumed.
    pub input_chunk: usize,
    /// The public input, once committed.
    pub committed: Option<[u32; 8]>,
}

/// A running program.
#[derive(Debug)]
pub struct Machine<'p> {
    pub(crate) program: &'p ProgramImage,
    pub(crate) input: Input,
    pub(crate) input_chunk: usize,
    pub(crate) memory: Memory,
    pub(crate) regs: [u32; 32],
    pub(crate) committed: Option<[u32; 8]>,
    pc: u32,
    cycle: u64,
    halted: Option<u32>,
    buffers: EcallBuffers,
}

impl<'p> Machine<'p> {
    /// A machine at the program's entry.
    #[must_use]
    pub fn new(program: &'p ProgramImage, input: Input) -> Self {
        Self {
            program,
            input,
            input_chunk: 0,
            memory: Memory::initial(program),
            regs: [0; 32],
            committed: None,
            pc: program.entry,
            cycle: 0,
            halted: None,
            buffers: EcallBuffers::default(),
        }
    }

    /// A machine in a snapshot's state. The input is the whole input of the run.
    #[must_use]
    pub fn resume(program: &'p ProgramImage, input: Input, snapshot: &Snapshot) -> Self {
        Self {
            program,
            input,
            input_chunk: snapshot.input_chunk,
            memory: Memory::from_pages(&snapshot.pages),
            regs: snapshot.regs,
            committed: snapshot.committed,
            pc: snapshot.pc,
            cycle: snapshot.cycle,
            halted: None,
            buffers: EcallBuffers::default(),
        }
    }

    /// The state now. Pages unchanged since the last snapshot of this machine are shared with it.
    pub fn snapshot(&mut self) -> Snapshot {
        Snapshot {
            cycle: self.cycle,
            pc: self.pc,
            regs: self.regs,
            pages: self.memory.pages(),
            input_chunk: self.input_chunk,
            committed: self.committed,
        }
    }

    /// Instructions executed since the program's start.
    #[must_use]
    pub const fn cycle(&self) -> u64 {
        self.cycle
    }

    /// Address of the next instruction.
    #[must_use]
    pub const fn pc(&self) -> u32 {
        self.pc
    }

    /// x0..x31.
    #[must_use]
    pub const fn regs(&self) -> &[u32; 32] {
        &self.regs
    }

    /// The memory.
    #[must_use]
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The exit code after `HALT`.
    #[must_use]
    pub const fn exit_code(&self) -> Option<u32> {
        self.halted
    }

    /// The committed public input (words little-endian in memory order).
    #[must_use]
    pub const fn committed(&self) -> Option<[u32; 8]> {
        self.committed
    }

    /// Runs until `HALT`, until the tracer pauses, or until `cycle() == until`, whichever comes first. A halted machine stays halted.
    ///
    /// # Errors
    /// A trap; the machine's state is then that before the trapping instruction, except for an ecall's hints consumed.
    pub fn run<T: Tracer>(&mut self, tracer: &mut T, until: u64) -> Result<Stop, Trap> {
        if let Some(code) = self.halted {
            return Ok(Stop::Halted(code));
        }
        while self.cycle < until && !tracer.pause() {
            match self.segment(tracer, until) {
                Ok(true) => {}
                Ok(false) => match self.ecall(tracer) {
                    Ok(Some(code)) => {
                        self.halted = Some(code);
                        return Ok(Stop::Halted(code));
                    }
                    Ok(None) => {}
                    Err(kind) => return Err(self.trap(kind)),
                },
                Err(kind) => return Err(self.trap(kind)),
            }
        }
        Ok(Stop::Paused)
    }

    const fn trap(&self, kind: TrapKind) -> Trap {
        Trap { pc: self.pc, cycle: self.cycle, kind }
    }

    /// Executes instructions other than `ecall`. `Ok(false)` stops before an ecall, `Ok(true)` at the target cycle or a pause.
    fn segment<T: Tracer>(&mut self, tracer: &mut T, until: u64) -> Result<bool, TrapKind> {
        let program = self.program;
        let mut regs = self.regs;
        let (mut cycle, mut pc) = (self.cycle, self.pc);
        let outcome = loop {
            if cycle >= until || tracer.pause() {
                break Ok(true);
            }
            let index = pc.wrapping_sub(program.base) >> 2;
            let Some(&instr) = program.instrs.get(index as usize) else {
                break Err(TrapKind::BadJump(pc));
            };
            if instr.op == Op::Ecall {
                break Ok(false);
            }
            let (rd, rs1, rs2) = (
                usize::from(instr.rd & 31),
                regs[usize::from(instr.rs1 & 31)],
                regs[usize::from(instr.rs2 & 31)],
            );
            let effect = match execute(instr, pc, rs1, rs2, &mut self.memory) {
                Ok(effect) => effect,
                Err(kind) => break Err(kind),
            };
            if T::ENABLED {
                let Effect { value, next_pc, mem_addr, mem_old, mem_new } = effect;
                let rd_old = regs[rd];
                tracer.step(&Step {
                    cycle,
                    pc,
                    index,
                    instr,
                    rs1,
                    rs2,
                    rd_old,
                    rd_new: value,
                    mem_addr,
                    mem_old,
                    mem_new,
                    next_pc,
                });
            }
            regs[rd] = effect.value;
            regs[0] = 0;
            pc = effect.next_pc;
            cycle += 1;
        };
        (self.regs, self.cycle, self.pc) = (regs, cycle, pc);
        outcome
    }

    /// Executes the ecall at `pc`. Returns the exit code of a `HALT`.
    fn ecall<T: Tracer>(&mut self, tracer: &mut T) -> Result<Option<u32>, TrapKind> {
        let mut buffers = core::mem::take(&mut self.buffers);
        let outcome = self.dispatch(&mut buffers);
        if let Ok(call) = &outcome {
            if T::ENABLED {
                let index = self.pc.wrapping_sub(self.program.base) >> 2;
                let instr = Instr { op: Op::Ecall, rd: 0, rs1: 0, rs2: 0, imm: 0 };
                let next_pc = self.pc.wrapping_add(4);
                let (cycle, pc) = (self.cycle, self.pc);
                let step = Step {
                    cycle,
                    pc,
                    index,
                    instr,
                    rs1: 0,
                    rs2: 0,
                    rd_old: 0,
                    rd_new: 0,
                    mem_addr: 0,
                    mem_old: 0,
                    mem_new: 0,
                    next_pc,
                };
                tracer.ecall(&step, &call.event(&buffers));
            }
            self.pc = self.pc.wrapping_add(4);
            self.cycle += 1;
        }
        self.buffers = buffers;
        outcome.map(|call| call.exit_code())
    }
}

/// What one instruction does besides its accesses to memory.
#[derive(Clone, Copy)]
struct Effect {
    value: u32,
    next_pc: u32,
    mem_addr: u32,
    mem_old: u32,
    mem_new: u32,
}

/// Why an aligned address cannot be accessed.
#[cold]
pub(crate) const fn misplaced(addr: u32) -> TrapKind {
    if addr < RESERVED_BYTES { TrapKind::Reserved(addr) } else { TrapKind::OutOfRange(addr) }
}

#[inline(always)]
fn checked_addr(base: u32, imm: u32, size: u32) -> Result<u32, TrapKind> {
    let addr = base.wrapping_add(imm);
    if addr & (size - 1) != 0 {
        return Err(TrapKind::Unaligned(addr));
    }
    // One comparison for both ends.
    if addr.wrapping_sub(RESERVED_BYTES) >= ADDRESS_SPACE - RESERVED_BYTES {
        return Err(misplaced(addr));
    }
    Ok(addr)
}

/// A jump's target, which must be a multiple of 4. That it is in the program is checked when it is fetched.
#[inline(always)]
const fn target(pc: u32) -> Result<u32, TrapKind> {
    if pc & 3 != 0 { Err(TrapKind::BadJump(pc)) } else { Ok(pc) }
}

#[inline(always)]
fn execute(
    instr: Instr,
    pc: u32,
    rs1: u32,
    rs2: u32,
    memory: &mut Memory,
) -> Result<Effect, TrapKind> {
    let imm = instr.imm;
    let next_pc = pc.wrapping_add(4);
    let alu = |value: u32| Ok(Effect { value, next_pc, mem_addr: 0, mem_old: 0, mem_new: 0 });
    let jump = |value: u32, next_pc: u32| {
        Ok(Effect { value, next_pc: target(next_pc)?, mem_addr: 0, mem_old: 0, mem_new: 0 })
    };
    let branch = |taken: bool| if taken { jump(0, pc.wrapping_add(imm)) } else { alu(0) };
    match instr.op {
        Op::Add => alu(rs1.wrapping_add(rs2)),
        Op::Sub => alu(rs1.wrapping_sub(rs2)),
        Op::Sll => alu(rs1 << (rs2 & 31)),
        Op::Slt => alu(u32::from((rs1 as i32) < rs2 as i32)),
        Op::Sltu => alu(u32::from(rs1 < rs2)),
        Op::Xor => alu(rs1 ^ rs2),
        Op::Srl => alu(rs1 >> (rs2 & 31)),
        Op::Sra => alu(((rs1 as i32) >> (rs2 & 31)) as u32),
        Op::Or => alu(rs1 | rs2),
        Op::And => alu(rs1 & rs2),
        Op::Mul => alu(rs1.wrapping_mul(rs2)),
        Op::Mulh => alu(((i64::from(rs1 as i32) * i64::from(rs2 as i32)) >> 32) as u32),
        Op::Mulhsu => alu(((i64::from(rs1 as i32) * i64::from(rs2)) >> 32) as u32),
        Op::Mulhu => alu(((u64::from(rs1) * u64::from(rs2)) >> 32) as u32),
        Op::Div => {
            alu(if rs2 == 0 { u32::MAX } else { (rs1 as i32).wrapping_div(rs2 as i32) as u32 })
        }
        Op::Divu => alu(rs1.checked_div(rs2).unwrap_or(u32::MAX)),
        Op::Rem => alu(if rs2 == 0 { rs1 } else { (rs1 as i32).wrapping_rem(rs2 as i32) as u32 }),
        Op::Remu => alu(rs1.checked_rem(rs2).unwrap_or(rs1)),
        Op::Addi => alu(rs1.wrapping_add(imm)),
        Op::Slti => alu(u32::from((rs1 as i32) < imm as i32)),
        Op::Sltiu => alu(u32::from(rs1 < imm)),
        Op::Xori => alu(rs1 ^ imm),
        Op::Ori => alu(rs1 | imm),
        Op::Andi => alu(rs1 & imm),
        Op::Slli => alu(rs1 << (imm & 31)),
        Op::Srli => alu(rs1 >> (imm & 31)),
        Op::Srai => alu(((rs1 as i32) >> (imm & 31)) as u32),
        Op::Lui => alu(imm),
        Op::Auipc => alu(pc.wrapping_add(imm)),
        Op::Jal => jump(next_pc, pc.wrapping_add(imm)),
        Op::Jalr => jump(next_pc, rs1.wrapping_add(imm) & !1),
        Op::Beq => branch(rs1 == rs2),
        Op::Bne => branch(rs1 != rs2),
        Op::Blt => branch((rs1 as i32) < rs2 as i32),
        Op::Bge => branch(rs1 as i32 >= rs2 as i32),
        Op::Bltu => branch(rs1 < rs2),
        Op::Bgeu => branch(rs1 >= rs2),
        Op::Lb => load(checked_addr(rs1, imm, 1)?, next_pc, memory, |w| w as i8 as u32),
        Op::Lh => load(checked_addr(rs1, imm, 2)?, next_pc, memory, |w| w as i16 as u32),
        Op::Lw => load(checked_addr(rs1, imm, 4)?, next_pc, memory, |w| w),
        Op::Lbu => load(checked_addr(rs1, imm, 1)?, next_pc, memory, |w| w & 0xff),
        Op::Lhu => load(checked_addr(rs1, imm, 2)?, next_pc, memory, |w| w & 0xffff),
        Op::Sb => store(checked_addr(rs1, imm, 1)?, next_pc, memory, rs2, 0xff),
        Op::Sh => store(checked_addr(rs1, imm, 2)?, next_pc, memory, rs2, 0xffff),
        Op::Sw => store(checked_addr(rs1, imm, 4)?, next_pc, memory, rs2, u32::MAX),
        Op::Ecall | Op::Illegal => Err(TrapKind::IllegalInstruction),
    }
}

#[inline(always)]
fn load(
    addr: u32,
    next_pc: u32,
    memory: &Memory,
    extend: impl Fn(u32) -> u32,
) -> Result<Effect, TrapKind> {
    let word = memory.get(addr);
    let value = extend(word >> (8 * (addr & 3)));
    Ok(Effect { value, next_pc, mem_addr: addr, mem_old: word, mem_new: word })
}

#[inline(always)]
fn store(
    addr: u32,
    next_pc: u32,
    memory: &mut Memory,
    value: u32,
    mask: u32,
) -> Result<Effect, TrapKind> {
    let shift = 8 * (addr & 3);
    let old = memory.get(addr);
    let new = (old & !(mask << shift)) | ((value & mask) << shift);
    memory.set(addr, new);
    Ok(Effect { value: 0, next_pc, mem_addr: addr, mem_old: old, mem_new: new })
}
