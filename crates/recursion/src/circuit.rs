//! Circuits: wires that hold elements of the degree-4 extension field, and the few operations that the tables of [`crate::air`] prove.
//!
//! A [`Builder`] records operations; [`Builder::finish`] gives a fixed [`Circuit`], which [`Circuit::run`] executes on private inputs. Every wire is defined by exactly one
//! cell group of one table and read by others; the tables agree on it over one bus, with multiplicities fixed by the circuit.
//!
//! Four operations carry everything:
//!
//! * [`Op::Gate`]: `a * b + c = d` on wires. Any one of the four may be the one defined, so that it also subtracts, divides and asserts.
//! * [`Op::Pack`]: a wire is the vector of four base elements, each a wire of its own.
//! * [`Op::Perm`]: one Poseidon2 permutation. Its sixteen cells are four wires, or come from the row before (sponges, Merkle paths), or are private. It also carries a Horner accumulator over
//!   the first eight cells, because FRI reduces exactly the rows that Merkle leaves hash.
//! * [`Op::Value`]: a constant or a private input.

use cairn_prover::bus::{EF, F};
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing, PrimeField32};
use std::collections::HashMap;

/// A wire: the index of an element of the extension field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wire(pub u32);

/// A wire whose value lies in the base field: a table's constraints say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Base(Wire);

impl Base {
    /// The wire.
    pub fn wire(self) -> Wire {
        self.0
    }
}

impl From<Base> for Wire {
    fn from(base: Base) -> Self {
        base.0
    }
}

/// A wire in a table's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The wire.
    pub wire: Wire,
    /// Whether this is the place that defines it.
    pub define: bool,
}

/// Which wire of a gate is computed from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Solve {
    /// None: the gate is a check, or defines a wire whose value is known already (a hint).
    Nothing,
    /// `a = (d - c) / b`.
    A,
    /// `c = d - a b`.
    C,
    /// `d = a b + c`.
    D,
}

/// `a * b + c = d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// `a, b, c, d`.
    pub slots: [Slot; 4],
    /// What the witness generator computes.
    pub solve: Solve,
}

/// Where a permutation's cells come from that no wire gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Every cell is a wire's.
    Wires,
    /// The first `n <= 8` cells are wires or private, the others zero: a sponge begins.
    Start(u8),
    /// The first `n <= 8` cells are wires or private, the others those of the row before after its permutation: a sponge goes on.
    Continue(u8),
    /// One half is the digest of the row before, the other is private; the bit says which (0: the digest is on the left).
    Merkle,
    /// The left half is the digest of the row before, the right half are wires.
    Inject,
}

/// One Poseidon2 permutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermRow {
    /// Wires of the cells before, four cells each.
    pub ins: [Option<Slot>; 4],
    /// Wires of the cells after.
    pub outs: [Option<Slot>; 4],
    /// The other cells.
    pub link: Link,
    /// The bit of [`Link::Merkle`].
    pub bit: Option<Wire>,
    /// The base of the accumulator, where it changes.
    pub point: Option<Wire>,
    /// Whether the accumulator goes on from the row before.
    pub resume: bool,
    /// After which of the first eight cells the accumulator is given to a wire (and begins anew).
    pub emit: Option<(u8, Wire)>,
}

impl PermRow {
    /// A row with a link and nothing else.
    pub fn new(link: Link) -> Self {
        Self {
            ins: [None; 4],
            outs: [None; 4],
            link,
            bit: None,
            point: None,
            resume: false,
            emit: None,
        }
    }
}

/// One step of the witness generator; all but [`Op::Bits`] are also a row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A wire with a fixed value, or with a private one (of which four elements are taken from the input).
    Value(Wire, Option<EF>),
    /// An arithmetic gate.
    Gate(Gate),
    /// The first wire packs the four others. If none is defined before, four elements are taken from the input.
    Pack([Slot; 5]),
    /// A permutation.
    Perm(Box<PermRow>),
    /// The canonical bits of a base element, least significant first; gates constrain them.
    Bits(Wire, Box<[Wire; 31]>),
}

/// A fixed circuit.
#[derive(Clone, Debug)]
pub struct Circuit {
    /// Steps in order.
    pub ops: Vec<Op>,
    /// Wires whose limbs are the public values.
    pub public: Vec<Wire>,
    /// How often each wire is read.
    pub reads: Vec<u32>,
}

/// Numbers of rows of a circuit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Arithmetic gates.
    pub gates: usize,
    /// Permutations.
    pub perms: usize,
    /// Packings.
    pub packs: usize,
    /// Constants and inputs.
    pub values: usize,
}

impl Circuit {
    /// Counts the rows.
    pub fn size(&self) -> Size {
        let mut size = Size::default();
        for op in &self.ops {
            match op {
                Op::Gate(_) => size.gates += 1,
                Op::Perm(_) => size.perms += 1,
                Op::Pack(_) => size.packs += 1,
                Op::Value(..) => size.values += 1,
                Op::Bits(..) => {}
            }
        }
        size
    }
}

/// Records a circuit.
#[derive(Default)]
pub struct Builder {
    ops: Vec<Op>,
    public: Vec<Wire>,
    reads: Vec<u32>,
    constants: HashMap<EF, Wire>,
    values: HashMap<Wire, EF>,
    gates: HashMap<[Wire; 3], Wire>,
    differences: HashMap<[Wire; 3], Wire>,
    packs: HashMap<[Wire; 4], Wire>,
    unpacks: HashMap<Wire, [Wire; 4]>,
}

fn coefficients(x: &EF) -> [F; 4] {
    core::array::from_fn(|i| x.as_basis_coefficients_slice()[i])
}

impl Builder {
    /// An empty circuit.
    pub fn new() -> Self {
        Self::default()
    }

    fn fresh(&mut self) -> Wire {
        self.reads.push(0);
        Wire(self.reads.len() as u32 - 1)
    }

    fn read(&mut self, wire: Wire) -> Slot {
        self.reads[wire.0 as usize] += 1;
        Slot { wire, define: false }
    }

    /// A constant.
    pub fn constant(&mut self, value: EF) -> Wire {
        if let Some(&wire) = self.constants.get(&value) {
            return wire;
        }
        let wire = self.fresh();
        self.ops.push(Op::Value(wire, Some(value)));
        self.constants.insert(value, wire);
        self.values.insert(wire, value);
        wire
    }

    /// A constant of the base field.
    pub fn base(&mut self, value: F) -> Base {
        Base(self.constant(value.into()))
    }

    /// Zero.
    pub fn zero(&mut self) -> Wire {
        self.constant(EF::ZERO)
    }

    /// One.
    pub fn one(&mut self) -> Wire {
        self.constant(EF::ONE)
    }

    /// The value of a wire that is a constant.
    pub fn known(&self, wire: Wire) -> Option<EF> {
        self.values.get(&wire).copied()
    }

    /// A private input.
    pub fn input(&mut self) -> Wire {
        let wire = self.fresh();
        self.ops.push(Op::Value(wire, None));
        wire
    }

    /// Four private elements of the base field, with the wire that packs them.
    pub fn input_base(&mut self) -> (Wire, [Base; 4]) {
        let packed = self.fresh();
        let parts: [Wire; 4] = core::array::from_fn(|_| self.fresh());
        let slots = [packed, parts[0], parts[1], parts[2], parts[3]];
        self.ops.push(Op::Pack(slots.map(|wire| Slot { wire, define: true })));
        self.unpacks.insert(packed, parts);
        self.packs.insert(parts, packed);
        (packed, parts.map(Base))
    }

    /// `a * b + c`.
    pub fn mul_add(&mut self, a: Wire, b: Wire, c: Wire) -> Wire {
        let (ka, kb, kc) = (self.known(a), self.known(b), self.known(c));
        if let (Some(x), Some(y), Some(z)) = (ka, kb, kc) {
            return self.constant(x * y + z);
        }
        if ka == Some(EF::ZERO) || kb == Some(EF::ZERO) {
            return c;
        }
        if kc == Some(EF::ZERO) {
            if ka == Some(EF::ONE) {
                return b;
            }
            if kb == Some(EF::ONE) {
                return a;
            }
        }
        let (a, b) = if a <= b { (a, b) } else { (b, a) };
        if let Some(&d) = self.gates.get(&[a, b, c]) {
            return d;
        }
        let slots = [self.read(a), self.read(b), self.read(c)];
        let d = self.fresh();
        let [sa, sb, sc] = slots;
        self.ops.push(Op::Gate(Gate {
            slots: [sa, sb, sc, Slot { wire: d, define: true }],
            solve: Solve::D,
        }));
        self.gates.insert([a, b, c], d);
        d
    }

    /// `d - a * b`.
    pub fn sub_mul(&mut self, d: Wire, a: Wire, b: Wire) -> Wire {
        if let (Some(x), Some(y)) = (self.known(a), self.known(b)) {
            if let Some(z) = self.known(d) {
                return self.constant(z - x * y);
            }
            if x * y == EF::ZERO {
                return d;
            }
        }
        let (a, b) = if a <= b { (a, b) } else { (b, a) };
        if let Some(&c) = self.differences.get(&[a, b, d]) {
            return c;
        }
        let (sa, sb, sd) = (self.read(a), self.read(b), self.read(d));
        let c = self.fresh();
        self.ops.push(Op::Gate(Gate {
            slots: [sa, sb, Slot { wire: c, define: true }, sd],
            solve: Solve::C,
        }));
        self.differences.insert([a, b, d], c);
        c
    }

    /// `a + b`.
    pub fn add(&mut self, a: Wire, b: Wire) -> Wire {
        if self.known(a) == Some(EF::ZERO) {
            return b;
        }
        if self.known(b) == Some(EF::ZERO) {
            return a;
        }
        let one = self.one();
        let (a, b) = if a <= b { (a, b) } else { (b, a) };
        self.mul_add(a, one, b)
    }

    /// `a - b`.
    pub fn sub(&mut self, a: Wire, b: Wire) -> Wire {
        let one = self.one();
        self.sub_mul(a, b, one)
    }

    /// `a * b`.
    pub fn mul(&mut self, a: Wire, b: Wire) -> Wire {
        let zero = self.zero();
        self.mul_add(a, b, zero)
    }

    /// `a / b`. No proof exists if `b` is zero, unless `a` is zero, too: then any quotient passes, so one of both must be known not to be zero wherever the quotient is read (the witness generator refuses 0 / 0 there).
    pub fn div(&mut self, a: Wire, b: Wire) -> Wire {
        let zero = self.zero();
        let (sb, sc, sd) = (self.read(b), self.read(zero), self.read(a));
        let quotient = self.fresh();
        self.ops.push(Op::Gate(Gate {
            slots: [Slot { wire: quotient, define: true }, sb, sc, sd],
            solve: Solve::A,
        }));
        quotient
    }

    /// `1 / a`; no proof exists if `a` is zero.
    pub fn inverse(&mut self, a: Wire) -> Wire {
        let one = self.one();
        self.div(one, a)
    }

    /// `a = b`.
    pub fn assert_eq(&mut self, a: Wire, b: Wire) {
        let (one, zero) = (self.one(), self.zero());
        let slots = [self.read(a), self.read(one), self.read(zero), self.read(b)];
        self.ops.push(Op::Gate(Gate { slots, solve: Solve::Nothing }));
    }

    /// `a * b = d`.
    pub fn assert_product(&mut self, a: Wire, b: Wire, d: Wire) {
        let zero = self.zero();
        let slots = [self.read(a), self.read(b), self.read(zero), self.read(d)];
        self.ops.push(Op::Gate(Gate { slots, solve: Solve::Nothing }));
    }

    /// `a = 0`.
    pub fn assert_zero(&mut self, a: Wire) {
        let zero = self.zero();
        self.assert_eq(a, zero);
    }

    /// `a` is 0 or 1 (and so of the base field).
    pub fn assert_bool(&mut self, a: Wire) -> Base {
        let zero = self.zero();
        let slots = [self.read(a), self.read(a), self.read(zero), self.read(a)];
        self.ops.push(Op::Gate(Gate { slots, solve: Solve::Nothing }));
        Base(a)
    }

    /// `bit ? x : y`, for a bit known to be 0 or 1.
    pub fn select(&mut self, bit: Base, x: Wire, y: Wire) -> Wire {
        let difference = self.sub(x, y);
        self.mul_add(bit.wire(), difference, y)
    }

    /// `a^(2^n)`.
    pub fn exp_power_of_2(&mut self, a: Wire, n: usize) -> Wire {
        (0..n).fold(a, |x, _| self.mul(x, x))
    }

    /// `a^n`.
    pub fn exp(&mut self, a: Wire, n: u64) -> Wire {
        let mut result = self.one();
        for i in (0..u64::BITS - n.leading_zeros()).rev() {
            result = self.mul(result, result);
            if n >> i & 1 == 1 {
                result = self.mul(result, a);
            }
        }
        result
    }

    /// The wire whose limbs are four base elements.
    pub fn pack(&mut self, parts: [Base; 4]) -> Wire {
        let wires = parts.map(Base::wire);
        if let Some(&packed) = self.packs.get(&wires) {
            return packed;
        }
        let known: Vec<F> =
            wires.iter().filter_map(|&w| self.known(w)).map(|x| coefficients(&x)[0]).collect();
        if let Ok(known) = <[F; 4]>::try_from(known) {
            return self.constant(EF::new(known));
        }
        let parts = wires.map(|w| self.read(w));
        let packed = self.fresh();
        let [a, b, c, d] = parts;
        self.ops.push(Op::Pack([Slot { wire: packed, define: true }, a, b, c, d]));
        self.packs.insert(wires, packed);
        self.unpacks.insert(packed, wires);
        packed
    }

    /// The four limbs of a wire.
    pub fn unpack(&mut self, packed: Wire) -> [Base; 4] {
        if let Some(parts) = self.unpacks.get(&packed) {
            return parts.map(Base);
        }
        if let Some(value) = self.known(packed) {
            return coefficients(&value).map(|c| self.base(c));
        }
        let slot = self.read(packed);
        let parts: [Wire; 4] = core::array::from_fn(|_| self.fresh());
        let [a, b, c, d] = parts.map(|wire| Slot { wire, define: true });
        self.ops.push(Op::Pack([slot, a, b, c, d]));
        self.unpacks.insert(packed, parts);
        self.packs.insert(parts, packed);
        parts.map(Base)
    }

    /// The bits of a base element's canonical value, least significant first.
    pub fn bits(&mut self, value: Base) -> [Base; 31] {
        let wires: [Wire; 31] = core::array::from_fn(|_| self.fresh());
        self.ops.push(Op::Bits(value.wire(), Box::new(wires)));
        let zero = self.zero();
        // The gate that checks a bit also defines it.
        for &wire in &wires {
            let slots =
                [Slot { wire, define: true }, self.read(wire), self.read(zero), self.read(wire)];
            self.ops.push(Op::Gate(Gate { slots, solve: Solve::Nothing }));
        }
        let mut sum = zero;
        let mut low = zero;
        for (i, &bit) in wires.iter().enumerate() {
            if i == 24 {
                low = sum;
            }
            let weight = self.base(F::from_u32(1 << i));
            sum = self.mul_add(bit, weight.wire(), sum);
        }
        self.assert_eq(sum, value.wire());
        // p - 1 is seven ones and then 24 zeros: a sum below 2^31 is canonical unless the upper seven bits are ones (then what they are worth is -1) and the rest is not zero: unless a quotient does
        // not exist.
        let upper = self.sub(sum, low);
        let one = self.one();
        let unless_ones = self.add(upper, one);
        self.div(low, unless_ones);
        wires.map(Base)
    }

    /// The value of bits, least significant first (fewer than 31).
    pub fn from_bits(&mut self, bits: &[Base]) -> Base {
        let mut sum = self.zero();
        for (i, bit) in bits.iter().enumerate() {
            let weight = self.base(F::from_u32(1 << i));
            sum = self.mul_add(bit.wire(), weight.wire(), sum);
        }
        Base(sum)
    }

    /// `a + b` in the base field.
    pub fn add_base(&mut self, a: Base, b: Base) -> Base {
        Base(self.add(a.wire(), b.wire()))
    }

    /// `a - b` in the base field.
    pub fn sub_base(&mut self, a: Base, b: Base) -> Base {
        Base(self.sub(a.wire(), b.wire()))
    }

    /// `a * b + c` in the base field.
    pub fn mul_add_base(&mut self, a: Base, b: Base, c: Base) -> Base {
        Base(self.mul_add(a.wire(), b.wire(), c.wire()))
    }

    /// `bit ? x : y` in the base field.
    pub fn select_base(&mut self, bit: Base, x: Base, y: Base) -> Base {
        Base(self.select(bit, x.wire(), y.wire()))
    }

    /// `P(ins)` on four wires of four cells each.
    pub fn permute(&mut self, ins: [Wire; 4]) -> [Wire; 4] {
        let mut row = PermRow::new(Link::Wires);
        row.ins = ins.map(|w| Some(self.read(w)));
        let outs: [Wire; 4] = core::array::from_fn(|_| self.fresh());
        row.outs = outs.map(|wire| Some(Slot { wire, define: true }));
        self.ops.push(Op::Perm(Box::new(row)));
        outs
    }

    /// The digest of base elements as the base prover's sponge gives it, as two wires.
    pub fn hash(&mut self, elements: &[Base]) -> [Wire; 2] {
        let zero = self.zero();
        let mut state = [zero; 4];
        for chunk in elements.chunks(8) {
            let old: Vec<Base> = if chunk.len() < 8 {
                [state[0], state[1]].into_iter().flat_map(|w| self.unpack(w)).collect()
            } else {
                Vec::new()
            };
            let rate: [Base; 8] =
                core::array::from_fn(|i| chunk.get(i).copied().unwrap_or_else(|| old[i]));
            let left = self.pack([rate[0], rate[1], rate[2], rate[3]]);
            let right = self.pack([rate[4], rate[5], rate[6], rate[7]]);
            state = self.permute([left, right, state[2], state[3]]);
        }
        [state[0], state[1]]
    }

    /// As [`Builder::hash`], of elements packed eight to two wires.
    pub fn hash_packed(&mut self, blocks: &[[Wire; 2]]) -> [Wire; 2] {
        let zero = self.zero();
        let [a, b, ..] = blocks
            .iter()
            .fold([zero; 4], |state, &[l, r]| self.permute([l, r, state[2], state[3]]));
        [a, b]
    }

    /// `x` and `y` are equal.
    pub fn assert_same<const N: usize>(&mut self, x: [Wire; N], y: [Wire; N]) {
        x.into_iter().zip(y).for_each(|(x, y)| self.assert_eq(x, y));
    }

    /// `bit ? x : y` on several wires.
    pub fn select_all<const N: usize>(
        &mut self,
        bit: Base,
        x: [Wire; N],
        y: [Wire; N],
    ) -> [Wire; N] {
        core::array::from_fn(|i| self.select(bit, x[i], y[i]))
    }

    /// The digest of two blocks of eight elements, by the sponge: a truncated permutation of the two could be inverted by whoever chooses both.
    pub fn hash_two(&mut self, l: [Wire; 2], r: [Wire; 2]) -> [Wire; 2] {
        self.hash_packed(&[l, r])
    }

    /// Adds a permutation made by hand. Slots are read or defined as [`Builder::reading`] and [`Builder::defining`] made them.
    pub fn push_perm(&mut self, row: PermRow) {
        self.ops.push(Op::Perm(Box::new(row)));
    }

    /// A slot that reads a wire.
    pub fn reading(&mut self, wire: Wire) -> Slot {
        self.read(wire)
    }

    /// A slot that defines a new wire.
    pub fn defining(&mut self) -> Slot {
        Slot { wire: self.fresh(), define: true }
    }

    /// Counts a read of a wire that a permutation makes outside of its slots (its bit, its point).
    pub fn note_read(&mut self, wire: Wire) -> Wire {
        self.read(wire).wire
    }

    /// Makes the limbs of a wire the next four public values.
    pub fn expose(&mut self, wire: Wire) {
        self.read(wire);
        self.public.push(wire);
    }

    /// Drops sums and products that nobody reads. They say nothing: any values of their other wires have one.
    fn drop_unread(&mut self) {
        let reads = &mut self.reads;
        let mut kept = Vec::with_capacity(self.ops.len());
        for op in std::mem::take(&mut self.ops).into_iter().rev() {
            if let Op::Gate(Gate { slots, solve: Solve::C | Solve::D }) = &op
                && slots.iter().any(|slot| slot.define && reads[slot.wire.0 as usize] == 0)
            {
                for slot in slots.iter().filter(|slot| !slot.define) {
                    reads[slot.wire.0 as usize] -= 1;
                }
                continue;
            }
            kept.push(op);
        }
        kept.reverse();
        self.ops = kept;
    }

    /// The circuit.
    ///
    /// # Panics
    /// When a wire is not defined exactly once, or there are so many reads that multiplicities could wrap: both are faults of a circuit's author.
    pub fn finish(mut self) -> Circuit {
        self.drop_unread();
        let mut defined = vec![0u8; self.reads.len()];
        let mut define = |slot: &Slot| {
            if slot.define {
                let count = &mut defined[slot.wire.0 as usize];
                *count = count.saturating_add(1);
            }
        };
        for op in &self.ops {
            match op {
                Op::Value(wire, _) => define(&Slot { wire: *wire, define: true }),
                Op::Gate(gate) => gate.slots.iter().for_each(&mut define),
                Op::Pack(slots) => slots.iter().for_each(&mut define),
                Op::Perm(row) => {
                    row.ins.iter().chain(&row.outs).flatten().for_each(&mut define);
                    if let Some((_, wire)) = row.emit {
                        define(&Slot { wire, define: true });
                    }
                }
                Op::Bits(..) => {}
            }
        }
        let sound = |(&count, &reads): (&u8, &u32)| count == 1 || count == 0 && reads == 0;
        assert!(defined.iter().zip(&self.reads).all(sound), "every wire has one definition");
        let reads: u64 = self.reads.iter().map(|&count| u64::from(count)).sum();
        assert!(reads < u64::from(F::ORDER_U32), "multiplicities do not wrap");
        Circuit { ops: self.ops, public: self.public, reads: self.reads }
    }
}
