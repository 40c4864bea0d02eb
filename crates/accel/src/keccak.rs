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
const LANES: usize = RATE / 8;

/// Keccak-256 of a byte string (Ethereum's padding).
#[must_use]
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    let mut state = [0u64; 25];
    let mut rest = bytes;
    if let Some((block, tail)) = bytes.split_first_chunk::<RATE>() {
        // The first block meets a zero state, so it is a copy.
        fill(&mut state, block);
        keccak_f(&mut state);
        rest = tail;
        while let Some((block, tail)) = rest.split_first_chunk::<RATE>() {
            absorb(&mut state, block);
            keccak_f(&mut state);
            rest = tail;
        }
        absorb(&mut state, rest);
    } else {
        fill(&mut state, bytes);
    }
    state[rest.len() / 8] ^= 1 << (8 * (rest.len() % 8));
    state[LANES - 1] ^= 1 << 63;
    keccak_f(&mut state);
    digest(&state)
}

/// Puts at most [`RATE`] bytes into the first lanes.
#[inline(always)]
fn fill(lanes: &mut [u64; 25], bytes: &[u8]) {
    debug_assert!(bytes.len() <= RATE);
    // SAFETY: the lanes are 200 bytes and the slice at most 136; the two do not overlap, and every bit pattern is a lane.
    unsafe {
        core::ptr::copy_nonoverlapping(bytes.as_ptr(), lanes.as_mut_ptr().cast::<u8>(), bytes.len())
    };
    if cfg!(target_endian = "big") {
        lanes.iter_mut().for_each(|lane| *lane = u64::from_le(*lane));
    }
}

/// Xors at most [`RATE`] bytes into the state. Copying them to aligned lanes first is cheaper than reading bytes.
#[inline]
fn absorb(state: &mut [u64; 25], bytes: &[u8]) {
    let mut lanes = [0u64; 25];
    fill(&mut lanes, bytes);
    for (state, lane) in state.iter_mut().zip(&lanes[..LANES]) {
        *state ^= lane;
    }
}

fn digest(state: &[u64; 25]) -> [u8; 32] {
    let mut out = [0; 32];
    for (chunk, lane) in out.chunks_exact_mut(8).zip(state) {
        chunk.copy_from_slice(&lane.to_le_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    /// Against an implementation of the sponge that works byte by byte.
    #[test]
    fn every_length_around_the_rate() {
        let bytes: std::vec::Vec<u8> = (0..500u32).map(|i| ((i * i) >> 3) as u8).collect();
        for n in (0..20).chain(130..142).chain(268..276).chain([407, 408, 409, 500]) {
            assert_eq!(keccak256(&bytes[..n]), bytewise(&bytes[..n]), "{n} bytes");
        }
        assert_eq!(keccak256(b"")[..4], [0xc5, 0xd2, 0x46, 0x01]);
    }

    fn bytewise(bytes: &[u8]) -> [u8; 32] {
        let mut padded = bytes.to_vec();
        padded.push(1);
        padded.resize(padded.len().next_multiple_of(RATE), 0);
        *padded.last_mut().unwrap() |= 0x80;
        let mut state = [0u64; 25];
        for block in padded.chunks(RATE) {
            for (i, b) in block.iter().enumerate() {
                state[i / 8] ^= u64::from(*b) << (8 * (i % 8));
            }
            keccak_f(&mut state);
        }
        core::array::from_fn(|i| (state[i / 8] >> (8 * (i % 8))) as u8)
    }
}
