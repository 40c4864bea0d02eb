//! keccak-f\[1600\] and Keccak-256.

/// The permutation, lanes in the order `x + 5y`.
#[inline]
pub fn keccak_f(state: &mut [u64; 25]) {
    #[cfg(target_os = "zkvm")]
    crate::sys::keccak_f(state);
    #[cfg(not(target_os = "zkvm"))]
    ::keccak::f1600(state);
}

/// Bytes absorbed by one permutation of Keccak-256.
pub const RATE: usize = 136;

/// Keccak-256 of a byte string (Ethereum's padding).
#[must_use]
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    let mut state = [0u64; 25];
    let mut blocks = bytes.chunks_exact(RATE);
    for block in &mut blocks {
        absorb(&mut state, block);
        keccak_f(&mut state);
    }
    let rest = blocks.remainder();
    absorb(&mut state, rest);
    state[rest.len() / 8] ^= 1 << (8 * (rest.len() % 8));
    state[RATE / 8 - 1] ^= 1 << 63;
    keccak_f(&mut state);
    let mut out = [0; 32];
    for (chunk, lane) in out.chunks_exact_mut(8).zip(state) {
        chunk.copy_from_slice(&lane.to_le_bytes());
    }
    out
}

/// Xors at most [`RATE`] bytes into the start of the state.
fn absorb(state: &mut [u64; 25], bytes: &[u8]) {
    let mut lanes = bytes.chunks_exact(8);
    let mut i = 0;
    for lane in &mut lanes {
        state[i] ^= u64::from_le_bytes([
            lane[0], lane[1], lane[2], lane[3], lane[4], lane[5], lane[6], lane[7],
        ]);
        i += 1;
    }
    for (j, &byte) in lanes.remainder().iter().enumerate() {
        state[i] ^= u64::from(byte) << (8 * j);
    }
}
