//! What a transaction's proof costs, in upper bounds: guest cycles and guest memory.
//!
//! Gas bounds neither: a pairing costs a hundred times more cycles for its gas than an addition. So precompiles are metered one by one while a transaction
//! runs. One that would go beyond [`MAX_PRECOMPILE_CYCLES`] is not run, and the transaction fails, charged in full: a priority operation cannot be refused, and a
//! batch that cannot be proven would stop the chain. All else is bounded by gas ([`MAX_CYCLES_PER_GAS`], [`MAX_HEAP_PER_GAS`]) and by the code that is loaded.
//!
//! The figures are measured in the VM with `cargo run --release -p cairn-stf --example costs` and rounded up.

use alloy_primitives::Address;

/// Most guest cycles that the precompiles of one transaction may take. A transaction of nothing but opcodes stays below it at any gas limit.
pub const MAX_PRECOMPILE_CYCLES: u64 = 1 << 31;
/// Guest cycles of a precompile call beside its own work.
pub const CYCLES_PER_PRECOMPILE_CALL: u64 = 3_000;
/// Upper bound of the guest cycles of a unit of gas spent outside precompiles. Measured: 144 for a loop of MULMOD, below 100 for every other opcode.
pub const MAX_CYCLES_PER_GAS: u64 = 200;
/// Upper bound of the bytes of guest memory that a unit of gas takes for good (the guest reuses only large blocks). Measured: 5 for TSTORE to fresh slots.
pub const MAX_HEAP_PER_GAS: u64 = 8;
/// Upper bound of the guest cycles for loading a byte of code: hashing and analysis.
pub const CYCLES_PER_CODE_BYTE: u64 = 40;
/// Bytes of guest memory for a byte of code: in the witness, and analysed.
pub const HEAP_PER_CODE_BYTE: u64 = 3;

/// What one transaction's precompiles came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Gas that they took.
    pub gas: u64,
    /// Upper bound of the guest cycles.
    pub cycles: u64,
    /// One was not run because of [`MAX_PRECOMPILE_CYCLES`].
    pub exhausted: bool,
}

impl Work {
    /// Gas of a precompile that is within the bound.
    pub(crate) fn affordable_gas(&self, price: &Price) -> u64 {
        let left = MAX_PRECOMPILE_CYCLES
            .saturating_sub(self.cycles)
            .saturating_sub(CYCLES_PER_PRECOMPILE_CALL);
        left / price.cycles_per_gas
    }

    /// Counts a call that took `gas`.
    pub(crate) fn add(&mut self, price: &Price, gas: u64) {
        self.gas = self.gas.saturating_add(gas);
        let cycles = gas.saturating_mul(price.cycles_per_gas);
        self.cycles = self.cycles.saturating_add(cycles + CYCLES_PER_PRECOMPILE_CALL);
    }
}

/// What a precompile's gas means in cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Price {
    cycles_per_gas: u64,
    /// The gas of a call that ends in an error is all that it was given; its work is no more than this base and rate for each item of so many input bytes.
    error: (u64, u64, usize),
}

impl Price {
    /// Gas of the work that a call did which failed.
    pub(crate) fn gas_of_error(&self, input_len: usize) -> u64 {
        let (base, rate, item) = self.error;
        base + rate * (input_len / item) as u64
    }
}

const fn price(cycles_per_gas: u64, error: (u64, u64, usize)) -> Price {
    Price { cycles_per_gas, error }
}

/// The price of the precompile at an address.
pub(crate) fn price_of(address: &Address) -> Price {
    let [zeros @ .., high, low] = address.0.0;
    let number = if zeros == [0; 18] { u16::from_be_bytes([high, low]) } else { 0 };
    match number {
        0x01 => price(10, (3_000, 0, 1)),
        0x02 => price(40, (60, 12, 32)),
        0x03 => price(20, (600, 120, 32)),
        0x04 => price(40, (15, 3, 32)),
        // No error after the gas is known.
        0x05 => price(500, (500, 0, 1)),
        0x06 => price(800, (150, 0, 1)),
        0x07 => price(1_100, (6_000, 0, 1)),
        0x08 => price(700, (45_000, 34_000, 192)),
        0x09 => price(800, (1, 0, 1)),
        0x0a => price(3_600, (50_000, 0, 1)),
        0x0b => price(900, (375, 0, 1)),
        0x0c => price(1_400, (12_000, 12_000, 160)),
        0x0d => price(900, (600, 0, 1)),
        0x0e => price(2_200, (22_500, 22_500, 288)),
        0x0f => price(1_600, (37_700, 32_600, 384)),
        0x10 => price(1_500, (5_500, 0, 1)),
        0x11 => price(1_000, (23_800, 0, 1)),
        0x100 => price(120, (6_900, 0, 1)),
        // What is not known here is dear.
        _ => price(20_000, (u64::MAX >> 32, 0, 1)),
    }
}
