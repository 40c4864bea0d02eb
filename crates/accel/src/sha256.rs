//! SHA-256's compression function.

/// Compresses one block into the state. The block is 64 message bytes as they lie in memory, read as little-endian words.
#[inline]
pub fn compress(state: &mut [u32; 8], block: &[u32; 16]) {
    #[cfg(target_os = "zkvm")]
    crate::sys::sha256_compress(state, block);
    #[cfg(not(target_os = "zkvm"))]
    {
        let mut bytes = [0u8; 64];
        for (chunk, word) in bytes.chunks_exact_mut(4).zip(block) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        sha2::compress256(state, &[bytes.into()]);
    }
}

/// The initial state.
const IV: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// SHA-256 of a byte string.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut state = IV;
    let mut chunks = bytes.chunks_exact(64);
    for chunk in &mut chunks {
        compress(&mut state, &block_of(chunk));
    }
    let rest = chunks.remainder();
    let mut last = [0u8; 128];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 0x80;
    let end = if rest.len() < 56 { 64 } else { 128 };
    last[end - 8..end].copy_from_slice(&(8 * bytes.len() as u64).to_be_bytes());
    for chunk in last[..end].chunks_exact(64) {
        compress(&mut state, &block_of(chunk));
    }
    let mut out = [0; 32];
    for (chunk, word) in out.chunks_exact_mut(4).zip(state) {
        chunk.copy_from_slice(&word.to_be_bytes());
    }
    out
}

fn block_of(bytes: &[u8]) -> [u32; 16] {
    core::array::from_fn(|i| {
        u32::from_le_bytes([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]])
    })
}
