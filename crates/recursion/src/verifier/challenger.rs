//! The transcript in a circuit: the twin of `p3_challenger::DuplexChallenger` with width 16 and rate 8.

use crate::circuit::{Base, Builder, Wire};
use cairn_prover::bus::F;
use p3_field::PrimeCharacteristicRing;

/// A base element in the transcript.
#[derive(Clone, Copy, Debug)]
pub enum Cell {
    /// A wire of its own.
    Base(Base),
    /// A limb of a wire.
    Limb(Wire, usize),
}

/// The state of a transcript.
pub struct Challenger {
    state: [Wire; 4],
    input: Vec<Cell>,
    output: Vec<Cell>,
}

/// The wire that packs four cells.
fn pack(b: &mut Builder, cells: &[Cell]) -> Wire {
    if let [Cell::Limb(w0, 0), Cell::Limb(w1, 1), Cell::Limb(w2, 2), Cell::Limb(w3, 3)] = cells
        && [w1, w2, w3] == [w0; 3]
    {
        return *w0;
    }
    let parts = core::array::from_fn(|i| element(b, cells[i]));
    b.pack(parts)
}

/// A cell as a wire.
fn element(b: &mut Builder, cell: Cell) -> Base {
    match cell {
        Cell::Base(base) => base,
        Cell::Limb(wire, i) => b.unpack(wire)[i],
    }
}

impl Challenger {
    /// An empty transcript.
    pub fn new(b: &mut Builder) -> Self {
        Self { state: [b.zero(); 4], input: Vec::new(), output: Vec::new() }
    }

    fn duplex(&mut self, b: &mut Builder) {
        let absorbed = self.input.len();
        if absorbed > 0 {
            let zero = Cell::Base(b.base(F::ZERO));
            self.input.resize(8, zero);
            let tag = b.base(F::from_usize(absorbed));
            self.state = [
                pack(b, &self.input[..4]),
                pack(b, &self.input[4..]),
                b.add(self.state[2], tag.wire()),
                self.state[3],
            ];
            self.input.clear();
        }
        self.state = b.permute(self.state);
        self.output = (0..8).map(|i| Cell::Limb(self.state[i / 4], i % 4)).collect();
    }

    /// Absorbs a base element.
    pub fn observe(&mut self, b: &mut Builder, cell: Cell) {
        self.output.clear();
        self.input.push(cell);
        if self.input.len() == 8 {
            self.duplex(b);
        }
    }

    /// Absorbs the limbs of a wire.
    pub fn observe_element(&mut self, b: &mut Builder, wire: Wire) {
        (0..4).for_each(|i| self.observe(b, Cell::Limb(wire, i)));
    }

    /// Absorbs a digest.
    pub fn observe_digest(&mut self, b: &mut Builder, digest: [Wire; 2]) {
        digest.into_iter().for_each(|wire| self.observe_element(b, wire));
    }

    /// Absorbs constants.
    pub fn observe_constants(&mut self, b: &mut Builder, elements: &[F]) {
        for &element in elements {
            let element = b.base(element);
            self.observe(b, Cell::Base(element));
        }
    }

    fn pop(&mut self, b: &mut Builder) -> Cell {
        if !self.input.is_empty() || self.output.is_empty() {
            self.duplex(b);
        }
        // A duplexing gives eight cells.
        self.output.pop().unwrap_or(Cell::Limb(self.state[0], 0))
    }

    /// Draws a base element.
    pub fn sample_base(&mut self, b: &mut Builder) -> Base {
        let cell = self.pop(b);
        element(b, cell)
    }

    /// Draws an element of the extension field.
    pub fn sample(&mut self, b: &mut Builder) -> Wire {
        let cells: [Cell; 4] = core::array::from_fn(|_| self.pop(b));
        pack(b, &cells)
    }

    /// Takes a proof of work of `bits` bits from the private inputs (the witness and three elements that say nothing) and checks it. Nothing happens at zero bits.
    pub fn grind(&mut self, b: &mut Builder, bits: usize) {
        if bits == 0 {
            return;
        }
        let (_, [witness, ..]) = b.input_base();
        self.observe(b, Cell::Base(witness));
        let drawn = self.sample_base(b);
        let drawn = b.bits(drawn);
        let low = b.from_bits(&drawn[..bits]);
        b.assert_zero(low.wire());
    }

    /// Draws an index of `bits` bits, least significant first.
    pub fn sample_bits(&mut self, b: &mut Builder, bits: usize) -> Vec<Base> {
        let drawn = self.sample_base(b);
        b.bits(drawn)[..bits].to_vec()
    }
}
