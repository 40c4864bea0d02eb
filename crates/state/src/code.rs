//! The Poseidon2 hash by which the guest checks the code that a batch runs.

use cairn_accel::poseidon2;

use crate::Digest;

/// Two blocks of the sponge take sixteen 30-bit digits: 480 bits, 15 words.
const PAIR_WORDS: usize = 15;

/// Keeps this sponge apart from every other use of the permutation: the capacity's second element.
const TAG: u32 = u32::from_be_bytes([0, b'c', b'o', b'd']);

/// The Poseidon2 hash of code, as a domain-2 leaf holds it: [`code_digest`] as 32 bytes.
pub fn code_hash_poseidon2(code: &[u8]) -> [u8; 32] {
    code_digest(code).to_bytes()
}

/// The Poseidon2 hash of code bytes.
///
/// A sponge in overwrite mode: width 16, rate 8 (elements 0..8), capacity 8. The capacity starts as
/// `[length in bytes, TAG, 0, ..]`, so that the padding is injective and no code is another's prefix. The bytes,
/// padded with zeros to a multiple of 60, are little-endian 32-bit words; each 15 words are one 480-bit
/// number, least significant word first, whose sixteen 30-bit digits, least significant first, fill two blocks. One permutation
/// follows each block (a pair of zero blocks stands for empty code); the digest is the rate at the end. 24 KiB take 820 permutations.
/// The length counts modulo 2^30: no EVM code is that long.
pub fn code_digest(code: &[u8]) -> Digest {
    let mut state = [0u32; 16];
    state[8] = code.len() as u32 & ((1 << 30) - 1);
    state[9] = TAG;
    // Any four bytes are a u32, so reading the aligned middle as words is sound; a little-endian target reads the same words.
    #[cfg(target_endian = "little")]
    {
        // SAFETY: every bit pattern is a valid u32, and `align_to` yields only in-bounds, aligned words.
        let (head, words, tail) = unsafe { code.align_to::<u32>() };
        if head.is_empty() {
            absorb_words(&mut state, words, tail);
            return finish(state);
        }
    }
    absorb_bytes(&mut state, code);
    finish(state)
}

fn finish(state: [u32; 16]) -> Digest {
    Digest(core::array::from_fn(|i| state[i]))
}

fn absorb_words(state: &mut [u32; 16], words: &[u32], tail: &[u8]) {
    let (pairs, rest) = words.as_chunks::<PAIR_WORDS>();
    for pair in pairs {
        absorb_pair(state, pair);
    }
    if !rest.is_empty() || !tail.is_empty() || pairs.is_empty() {
        let mut pair = [0; PAIR_WORDS];
        pair[..rest.len()].copy_from_slice(rest);
        if !tail.is_empty() {
            pair[rest.len()] = partial_word(tail);
        }
        absorb_pair(state, &pair);
    }
}

fn absorb_bytes(state: &mut [u32; 16], code: &[u8]) {
    let (chunks, rest) = code.as_chunks::<{ 4 * PAIR_WORDS }>();
    for chunk in chunks {
        let words = chunk.as_chunks::<4>().0;
        absorb_pair(state, &core::array::from_fn(|i| u32::from_le_bytes(words[i])));
    }
    if !rest.is_empty() || chunks.is_empty() {
        let mut pair = [0; PAIR_WORDS];
        for (word, bytes) in pair.iter_mut().zip(rest.chunks(4)) {
            *word = partial_word(bytes);
        }
        absorb_pair(state, &pair);
    }
}

fn partial_word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

fn absorb_pair(state: &mut [u32; 16], w: &[u32; PAIR_WORDS]) {
    const MASK: u32 = (1 << 30) - 1;
    // Digit k holds bits 30k..30k+30: word k - 1 from bit 32 - 2k on, and word k shifted left by 2k. A half has
    // 7.5 words: its first digit is whole in one word, and the ninth starts in the middle of word 7.
    state[0] = w[0] & MASK;
    for k in 1..8 {
        state[k] = (w[k - 1] >> (32 - 2 * k) | w[k] << (2 * k)) & MASK;
    }
    poseidon2::permute(state);
    for k in 8..15 {
        state[k - 8] = (w[k - 1] >> (32 - 2 * k) | w[k] << (2 * k)) & MASK;
    }
    state[7] = w[14] >> 2;
    poseidon2::permute(state);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use alloy_primitives::{U512, hex};
    use proptest::prelude::*;

    use super::*;

    /// The rule of [`code_digest`], written from its documentation.
    fn by_the_page(code: &[u8]) -> [u32; 8] {
        let mut padded = code.to_vec();
        padded.resize(code.len().div_ceil(60).max(1) * 60, 0);
        let mut state = [0u32; 16];
        (state[8], state[9]) = (code.len() as u32, TAG);
        for pair in padded.chunks(60) {
            let number = U512::from_le_slice(pair);
            for block in 0..2 {
                for (i, element) in state.iter_mut().take(8).enumerate() {
                    let digit = (number >> (30 * (8 * block + i))) & U512::from((1u32 << 30) - 1);
                    *element = digit.to::<u32>();
                }
                poseidon2::permute(&mut state);
            }
        }
        state[..8].try_into().unwrap()
    }

    proptest! {
        #[test]
        fn follows_the_page_at_any_alignment(code in proptest::collection::vec(any::<u8>(), 0..400), shift in 0usize..4) {
            let mut shifted = vec![0; shift];
            shifted.extend_from_slice(&code);
            prop_assert_eq!(code_digest(&shifted[shift..]).0, by_the_page(&code));
        }
    }

    #[test]
    fn zeros_of_different_length_differ() {
        let zeros = [0; 200];
        let digests: BTreeSet<_> = (0..200).map(|n| code_hash_poseidon2(&zeros[..n])).collect();
        assert_eq!(digests.len(), 200);
    }

    #[test]
    fn golden() {
        let golden = |code: &[u8]| hex::encode(code_hash_poseidon2(code));
        assert_eq!(golden(&[]), "1201a91c01b9b7450c111cf4105fda272604034679390e856c7731e61fc3beb7");
        assert_eq!(
            golden(&hex!("6001600101")),
            "2ad27cf736d1a6fd1402119c0737df850c1ea934406be0a0165b4a9b1f8b922d"
        );
    }
}
