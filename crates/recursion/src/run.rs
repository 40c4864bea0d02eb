//! Executing a circuit on private inputs.

use crate::circuit::{Circuit, Gate, Link, Op, PermRow, Slot, Solve, Wire};
use cairn_prover::bus::{EF, F};
use cairn_prover::memory::permutation;
use p3_field::{BasedVectorSpace, Field, PrimeCharacteristicRing, PrimeField32};
use p3_symmetric::Permutation;

/// Why a circuit does not accept its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// A check of the circuit fails.
    #[error("the inputs do not satisfy step {0} of the circuit")]
    Refused(usize),
    /// A division by zero.
    #[error("step {0} of the circuit divides by zero")]
    Division(usize),
    /// Not as many inputs as the circuit takes.
    #[error("the circuit takes another number of inputs than the {0} given")]
    Inputs(usize),
}

/// A permutation's cells that are not wires.
#[derive(Clone, Debug)]
pub struct PermWitness {
    /// The sixteen cells before.
    pub input: [F; 16],
    /// The bit of a Merkle row.
    pub bit: F,
    /// The accumulator's base.
    pub point: EF,
    /// The accumulator after each of the first eight cells.
    pub sums: [EF; 8],
    /// Which of them is given to a wire.
    pub emit: Option<u8>,
}

/// Everything a run computes.
#[derive(Clone, Debug)]
pub struct Witness {
    /// The value of each wire.
    pub wires: Vec<EF>,
    /// The permutations in order.
    pub perms: Vec<PermWitness>,
    /// The public values.
    pub public: Vec<F>,
}

struct Runner<'a> {
    reads: &'a [u32],
    wires: Vec<EF>,
    perms: Vec<PermWitness>,
    inputs: std::slice::Iter<'a, F>,
    given: usize,
    /// The state after the last permutation.
    state: [F; 16],
    /// Its accumulator.
    sum: EF,
    point: EF,
}

impl Circuit {
    /// Executes the circuit.
    ///
    /// # Errors
    /// When the inputs do not satisfy it, or are too few or too many.
    pub fn run(&self, inputs: &[F]) -> Result<Witness, RunError> {
        let mut runner = Runner::new(self, inputs);
        for (step, op) in self.ops.iter().enumerate() {
            runner.step(step, op)?;
        }
        if runner.inputs.next().is_some() {
            return Err(RunError::Inputs(inputs.len()));
        }
        let public = self.public.iter().flat_map(|w| limbs(&runner.wires[w.0 as usize])).collect();
        Ok(Witness { wires: runner.wires, perms: runner.perms, public })
    }
}

/// The limbs of an element.
pub fn limbs(x: &EF) -> [F; 4] {
    core::array::from_fn(|i| x.as_basis_coefficients_slice()[i])
}

impl<'a> Runner<'a> {
    fn new(circuit: &'a Circuit, inputs: &'a [F]) -> Self {
        Self {
            reads: &circuit.reads,
            wires: vec![EF::ZERO; circuit.reads.len()],
            perms: Vec::with_capacity(circuit.size().perms),
            inputs: inputs.iter(),
            given: inputs.len(),
            state: [F::ZERO; 16],
            sum: EF::ZERO,
            point: EF::ZERO,
        }
    }

    fn get(&self, wire: Wire) -> EF {
        self.wires[wire.0 as usize]
    }

    fn set(&mut self, wire: Wire, value: EF) {
        self.wires[wire.0 as usize] = value;
    }

    fn take(&mut self) -> Result<F, RunError> {
        self.inputs.next().copied().ok_or(RunError::Inputs(self.given))
    }

    fn take_element(&mut self) -> Result<EF, RunError> {
        Ok(EF::new([self.take()?, self.take()?, self.take()?, self.take()?]))
    }

    fn step(&mut self, step: usize, op: &Op) -> Result<(), RunError> {
        match op {
            Op::Value(wire, Some(value)) => self.set(*wire, *value),
            Op::Value(wire, None) => {
                let value = self.take_element()?;
                self.set(*wire, value);
            }
            Op::Gate(gate) => self.gate(step, gate)?,
            Op::Pack(slots) => self.pack(step, slots)?,
            Op::Perm(row) => self.perm(step, row)?,
            Op::Bits(value, bits) => {
                let value = limbs(&self.get(*value))[0].as_canonical_u32();
                for (i, &bit) in bits.iter().enumerate() {
                    self.set(bit, F::from_bool(value >> i & 1 == 1).into());
                }
            }
        }
        Ok(())
    }

    fn gate(&mut self, step: usize, gate: &Gate) -> Result<(), RunError> {
        let [a, b, c, d] = gate.slots.map(|s| s.wire);
        let (x, y, z, w) = (self.get(a), self.get(b), self.get(c), self.get(d));
        match gate.solve {
            Solve::Nothing if x * y + z != w => return Err(RunError::Refused(step)),
            Solve::Nothing => {}
            Solve::A => {
                let quotient = match (w - z, y.try_inverse()) {
                    (numerator, Some(inverse)) => numerator * inverse,
                    // Where nobody reads it, only that a quotient exists is claimed.
                    (EF::ZERO, None) if self.reads[a.0 as usize] == 0 => EF::ZERO,
                    (_, None) => return Err(RunError::Division(step)),
                };
                self.set(a, quotient);
            }
            Solve::C => self.set(c, w - x * y),
            Solve::D => self.set(d, x * y + z),
        }
        Ok(())
    }

    fn pack(&mut self, step: usize, slots: &[Slot; 5]) -> Result<(), RunError> {
        let [packed, parts @ ..] = slots;
        let value = if parts.iter().all(|p| p.define) {
            if packed.define { self.take_element()? } else { self.get(packed.wire) }
        } else {
            let mut cells = [F::ZERO; 4];
            for (cell, part) in cells.iter_mut().zip(parts) {
                let value = self.get(part.wire);
                *cell = limbs(&value)[0];
                if value != (*cell).into() {
                    return Err(RunError::Refused(step));
                }
            }
            EF::new(cells)
        };
        if packed.define {
            self.set(packed.wire, value);
        } else if self.get(packed.wire) != value {
            return Err(RunError::Refused(step));
        }
        for (part, cell) in parts.iter().zip(limbs(&value)) {
            if part.define {
                self.set(part.wire, cell.into());
            }
        }
        Ok(())
    }

    /// The cells of a row before its permutation.
    fn perm_input(&mut self, row: &PermRow) -> Result<([F; 16], F), RunError> {
        let mut input = [F::ZERO; 16];
        let mut bit = F::ZERO;
        // Cells below this are wires or private.
        let free = match row.link {
            Link::Wires => 16,
            Link::Start(n) => usize::from(n),
            Link::Continue(n) => {
                input.copy_from_slice(&self.state);
                usize::from(n)
            }
            Link::Inject => {
                input[..8].copy_from_slice(&self.state[..8]);
                0
            }
            Link::Merkle => {
                bit = row.bit.map_or(F::ZERO, |wire| limbs(&self.get(wire))[0]);
                let side = if bit == F::ONE { 8 } else { 0 };
                input[side..side + 8].copy_from_slice(&self.state[..8]);
                for i in 0..8 {
                    input[8 - side + i] = self.take()?;
                }
                0
            }
        };
        for (j, slot) in row.ins.iter().enumerate() {
            let cells = 4 * j..4 * j + 4;
            match slot {
                Some(slot) if slot.define => {
                    let value = self.take_element()?;
                    self.set(slot.wire, value);
                    input[cells].copy_from_slice(&limbs(&value));
                }
                Some(slot) => input[cells].copy_from_slice(&limbs(&self.get(slot.wire))),
                None => {
                    for i in cells.filter(|&i| i < free) {
                        input[i] = self.take()?;
                    }
                }
            }
        }
        Ok((input, bit))
    }

    fn perm(&mut self, step: usize, row: &PermRow) -> Result<(), RunError> {
        let (input, bit) = self.perm_input(row)?;
        if let Some(point) = row.point {
            self.point = self.get(point);
        }
        let mut sum = if row.resume { self.sum } else { EF::ZERO };
        let mut sums = [EF::ZERO; 8];
        for (i, (out, &x)) in sums.iter_mut().zip(&input[..8]).enumerate() {
            sum = sum * self.point + x;
            *out = sum;
            if let Some((at, wire)) = row.emit
                && usize::from(at) == i
            {
                self.set(wire, sum);
                sum = EF::ZERO;
            }
        }
        self.sum = sum;
        self.perms.push(PermWitness {
            input,
            bit,
            point: self.point,
            sums,
            emit: row.emit.map(|(at, _)| at),
        });
        self.state = input;
        permutation().permute_mut(&mut self.state);
        for (slot, cells) in row.outs.iter().zip(self.state.chunks_exact(4)) {
            let value = EF::new([cells[0], cells[1], cells[2], cells[3]]);
            match slot {
                Some(slot) if slot.define => self.wires[slot.wire.0 as usize] = value,
                Some(slot) if self.get(slot.wire) != value => return Err(RunError::Refused(step)),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::Builder;

    /// Runs a decomposition of `value` with other bits than its own: what a dishonest prover would put there.
    fn with_bits(value: u32, forged: u32) -> Result<(), RunError> {
        let mut b = Builder::new();
        let (_, [x, ..]) = b.input_base();
        b.bits(x);
        let circuit = b.finish();
        let inputs = [value, 0, 0, 0].map(F::from_u32);
        let mut runner = Runner::new(&circuit, &inputs);
        for (step, op) in circuit.ops.iter().enumerate() {
            match op {
                Op::Bits(_, bits) => {
                    for (i, &bit) in bits.iter().enumerate() {
                        runner.set(bit, F::from_bool(forged >> i & 1 == 1).into());
                    }
                }
                op => runner.step(step, op)?,
            }
        }
        Ok(())
    }

    /// Numbers of 31 bits from p on stand for small elements, too; their sums fit, and only the last division refuses them.
    #[test]
    fn bits_of_the_modulus_and_more_are_refused() {
        for value in [0, 1, 5, 0x00ff_fffe] {
            with_bits(value, value).unwrap();
            let refused = with_bits(value, value + F::ORDER_U32).unwrap_err();
            assert!(matches!(refused, RunError::Division(_)), "{value}: {refused:?}");
            let other = with_bits(value, value ^ 0x100).unwrap_err();
            assert!(matches!(other, RunError::Refused(_)), "{value}: {other:?}");
        }
        with_bits(F::ORDER_U32 - 1, F::ORDER_U32 - 1).unwrap();
    }
}
