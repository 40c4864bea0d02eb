//! Environment calls: operands by the table in [`cairn_accel::ids`], results by the accelerators' native twins.

use crate::error::TrapKind;
use crate::image::{ADDRESS_SPACE, RESERVED_BYTES};
use crate::machine::{Machine, misplaced};
use crate::trace::{AccelCall, WordRead, WordWrite};
use cairn_accel::ids::{self, Mode, Operand};
use cairn_accel::secp256k1::Point;
use cairn_accel::{keccak, poseidon2, secp256k1, sha256, u256};
use std::cmp::Ordering;

/// Reused between calls, so that the interpreter does not allocate.
#[derive(Debug, Default)]
pub(crate) struct EcallBuffers {
    reads: Vec<WordRead>,
    writes: Vec<WordWrite>,
}

/// A call that was carried out.
pub(crate) struct Call {
    id: u32,
    args: [u32; 4],
}

impl Call {
    pub(crate) fn event<'a>(&self, buffers: &'a EcallBuffers) -> AccelCall<'a> {
        AccelCall { id: self.id, args: self.args, reads: &buffers.reads, writes: &buffers.writes }
    }

    pub(crate) fn exit_code(&self) -> Option<u32> {
        (self.id == ids::HALT).then_some(self.args[0])
    }
}

fn check_pointer(pointer: u32, operand: &Operand) -> Result<(), TrapKind> {
    if !pointer.is_multiple_of(4) {
        return Err(TrapKind::Unaligned(pointer));
    }
    let end = u64::from(pointer) + 4 * u64::from(operand.words);
    if pointer < RESERVED_BYTES || end > u64::from(ADDRESS_SPACE) {
        return Err(misplaced(pointer));
    }
    Ok(())
}

impl Machine<'_> {
    /// Carries out the ecall that the registers describe: all checks and reads first, then the writes.
    pub(crate) fn dispatch(&mut self, buffers: &mut EcallBuffers) -> Result<Call, TrapKind> {
        let (id, args) =
            (self.regs[17], [self.regs[10], self.regs[11], self.regs[12], self.regs[13]]);
        let operands = ids::operands(id).ok_or(TrapKind::UnknownEcall(id))?;
        buffers.reads.clear();
        buffers.writes.clear();
        for operand in operands {
            let pointer = args[usize::from(operand.arg)];
            check_pointer(pointer, operand)?;
            for i in 0..u32::from(operand.words) {
                let addr = pointer + 4 * i;
                let old = self.memory.get(addr);
                if operand.mode == Mode::Read {
                    buffers.reads.push(WordRead { addr, value: old });
                } else {
                    buffers.writes.push(WordWrite { addr, old, new: old });
                }
            }
        }
        match id {
            ids::HALT if args[0] == 0 && self.committed.is_none() => {
                return Err(TrapKind::NoCommit);
            }
            ids::HALT => {}
            ids::COMMIT if self.committed.is_some() => return Err(TrapKind::DoubleCommit),
            ids::COMMIT => self.committed = Some(input(&buffers.reads, 0)),
            ids::HINT => output(&mut buffers.writes, &self.hint(args)?),
            _ => compute(id, &buffers.reads, &mut buffers.writes)?,
        }
        for write in &buffers.writes {
            self.memory.set(write.addr, write.new);
        }
        Ok(Call { id, args })
    }

    /// The words of the 256-bit value at an address that only advises: misplaced pointers give zero.
    pub(crate) fn peek(&self, pointer: u32) -> [u32; 8] {
        if check_pointer(pointer, &Operand { arg: 0, words: 8, mode: Mode::Read }).is_err() {
            return [0; 8];
        }
        core::array::from_fn(|i| self.memory.get(pointer + 4 * i as u32))
    }
}

/// `N` words of the R operands from position `at`. The operand table guarantees the length.
fn input<const N: usize>(reads: &[WordRead], at: usize) -> [u32; N] {
    core::array::from_fn(|i| reads[at + i].value)
}

fn inout<const N: usize>(writes: &[WordWrite], at: usize) -> [u32; N] {
    core::array::from_fn(|i| writes[at + i].old)
}

fn output(writes: &mut [WordWrite], words: &[u32]) {
    for (write, &word) in writes.iter_mut().zip(words) {
        write.new = word;
    }
}

/// The accelerators that are functions of their operands.
fn compute(id: u32, reads: &[WordRead], writes: &mut [WordWrite]) -> Result<(), TrapKind> {
    match id {
        ids::COPY => output(writes, &input::<8>(reads, 0)),
        ids::KECCAK_F => keccak_f(writes),
        ids::SHA256_COMPRESS => {
            let mut state = inout(writes, 0);
            sha256::compress(&mut state, &input(reads, 0));
            output(writes, &state);
        }
        ids::POSEIDON2_PERMUTE => {
            let mut state = inout(writes, 0).map(|w| w % poseidon2::P);
            poseidon2::permute(&mut state);
            output(writes, &state);
        }
        ids::POSEIDON2_COMPRESS => {
            let (l, r) = (
                input(reads, 0).map(|w| w % poseidon2::P),
                input(reads, 8).map(|w| w % poseidon2::P),
            );
            output(writes, &poseidon2::compress(&l, &r));
        }
        ids::SECP256K1_ADD => {
            let mut p = Point { x: inout(writes, 0), y: inout(writes, 8) };
            let q = Point { x: input(reads, 0), y: input(reads, 8) };
            secp256k1::add_assign(&mut p, &q).map_err(|_| TrapKind::Domain(id))?;
            output(&mut writes[..8], &p.x);
            output(&mut writes[8..], &p.y);
        }
        ids::SECP256K1_DOUBLE => {
            let mut p = Point { x: inout(writes, 0), y: inout(writes, 8) };
            secp256k1::double_assign(&mut p).map_err(|_| TrapKind::Domain(id))?;
            output(&mut writes[..8], &p.x);
            output(&mut writes[8..], &p.y);
        }
        _ => return integers(id, reads, writes),
    }
    Ok(())
}

fn keccak_f(writes: &mut [WordWrite]) {
    let words: [u32; 50] = inout(writes, 0);
    let mut state: [u64; 25] =
        core::array::from_fn(|i| u64::from(words[2 * i]) | (u64::from(words[2 * i + 1]) << 32));
    keccak::keccak_f(&mut state);
    let words: [u32; 50] = core::array::from_fn(|i| (state[i / 2] >> (32 * (i % 2))) as u32);
    output(writes, &words);
}

fn integers(id: u32, reads: &[WordRead], writes: &mut [WordWrite]) -> Result<(), TrapKind> {
    let (a, b) = (input(reads, 0), input(reads, 8));
    match id {
        ids::U256_ADD => output(writes, &u256::add(&a, &b)),
        ids::U256_SUB => output(writes, &u256::sub(&a, &b)),
        ids::U256_MUL => output(writes, &u256::mul(&a, &b)),
        ids::U256_DIVREM => {
            let (q, r) = u256::div_rem(&a, &b);
            output(&mut writes[..8], &q);
            output(&mut writes[8..], &r);
        }
        ids::U256_CMP => {
            let order = match u256::cmp(&a, &b) {
                Ordering::Equal => 0,
                Ordering::Less => 1,
                Ordering::Greater => 2,
            };
            output(writes, &[order]);
        }
        ids::U256_SHL => output(writes, &u256::shl(&a, &b)),
        ids::U256_SHR => output(writes, &u256::shr(&a, &b)),
        ids::U256_ADDMOD => output(writes, &u256::add_mod(&a, &b, &input(reads, 16))),
        ids::MODMUL256 => output(writes, &u256::mul_mod(&a, &b, &input(reads, 16))),
        _ => return Err(TrapKind::UnknownEcall(id)),
    }
    Ok(())
}
