//! Leaves of the tree.

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

use crate::{
    Digest, Key,
    digest::{append_right, compress_into},
    key::{from_le_words, to_le_words},
};

/// A leaf: a key, its value, and the next greater key in the tree.
///
/// Leaf 0 has the least key and leaf 1 the greatest, whose next key is the least: they are there at genesis, so that
/// every other key lies between two neighbours, and `key < k < next_key` proves that `k` is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// The key.
    pub key: Key,
    /// The value; zero when a slot was cleared.
    pub value: U256,
    /// The least key in the tree above `key`.
    pub next_key: Key,
}

impl Leaf {
    /// The two leaves of an empty state.
    pub const GENESIS: [Self; 2] = [
        Self { key: Key::MIN, value: U256::ZERO, next_key: Key::MAX },
        Self { key: Key::MAX, value: U256::ZERO, next_key: Key::MIN },
    ];

    /// `compress(compress(key, next_key), compress(value limbs 0..8, value limbs 8..16))`: three permutations.
    pub fn hash(&self) -> Digest {
        let mut digest = Digest::ZERO;
        hash_into(&self.key.0, &self.next_key.0, &to_le_words(&self.value), &mut digest.0);
        digest
    }
}

/// The hash of a leaf, whose value is given by its words, least significant first.
#[inline]
pub(crate) fn hash_into(
    key: &[u32; 8],
    next_key: &[u32; 8],
    value: &[u32; 8],
    digest: &mut [u32; 8],
) {
    let mut value_hash = [0; 8];
    value_hash_into(value, &mut value_hash);
    compress_into(key, next_key, digest);
    append_right(digest, &value_hash);
}

/// The hash of a value's 16-bit limbs, most significant first.
#[inline]
pub(crate) fn value_hash_into(w: &[u32; 8], digest: &mut [u32; 8]) {
    let mut low = [0; 8];
    for i in 0..4 {
        (digest[2 * i], digest[2 * i + 1]) = (w[7 - i] >> 16, w[7 - i] & 0xffff);
        (low[2 * i], low[2 * i + 1]) = (w[3 - i] >> 16, w[3 - i] & 0xffff);
    }
    append_right(digest, &low);
}

/// A leaf with its index as the words of a witness: `key 8 || value 8 (little-endian) || next_key 8 || index 2 (little-endian)`.
pub(crate) type LeafWords = [u32; 26];

/// Borrowed access to [`LeafWords`].
pub(crate) trait LeafWordsExt {
    fn key(&self) -> &[u32; 8];
    fn next_key(&self) -> &[u32; 8];
    fn value(&self) -> U256;
    fn value_words(&self) -> &[u32; 8];
    fn index(&self) -> u64;
}

impl LeafWordsExt for LeafWords {
    #[inline]
    fn key(&self) -> &[u32; 8] {
        self.first_chunk().unwrap_or(&[0; 8])
    }

    #[inline]
    fn next_key(&self) -> &[u32; 8] {
        self[16..].first_chunk().unwrap_or(&[0; 8])
    }

    #[inline]
    fn value(&self) -> U256 {
        from_le_words(self.value_words())
    }

    #[inline]
    fn value_words(&self) -> &[u32; 8] {
        self[8..].first_chunk().unwrap_or(&[0; 8])
    }

    #[inline]
    fn index(&self) -> u64 {
        u64::from(self[24]) | u64::from(self[25]) << 32
    }
}

pub(crate) fn to_words(index: u64, leaf: &Leaf) -> LeafWords {
    let mut words = [0; 26];
    words[..8].copy_from_slice(&leaf.key.0);
    words[8..16].copy_from_slice(&to_le_words(&leaf.value));
    words[16..24].copy_from_slice(&leaf.next_key.0);
    words[24] = index as u32;
    words[25] = (index >> 32) as u32;
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_follows_the_documented_rule() {
        let value = U256::from_be_bytes(core::array::from_fn::<u8, 32, _>(|i| i as u8 + 1));
        let leaf = Leaf { key: Key([1; 8]), value, next_key: Key([2; 8]) };
        let limbs: [u32; 16] = core::array::from_fn(|i| {
            let bytes = value.to_be_bytes::<32>();
            u32::from(bytes[2 * i]) << 8 | u32::from(bytes[2 * i + 1])
        });
        let digest = |w: &[u32]| Digest::from_words(w.try_into().unwrap()).unwrap();
        let link = crate::digest::compress(&digest(&[1; 8]), &digest(&[2; 8]));
        let value = crate::digest::compress(&digest(&limbs[..8]), &digest(&limbs[8..]));
        assert_eq!(leaf.hash(), crate::digest::compress(&link, &value));
    }

    #[test]
    fn words_round_trip() {
        let leaf = Leaf { key: Key([3; 8]), value: U256::MAX >> 3, next_key: Key([9; 8]) };
        let words = to_words(0xab_cdef_0123, &leaf);
        assert_eq!(words.index(), 0xab_cdef_0123);
        assert_eq!(
            (words.key(), words.next_key(), words.value()),
            (&leaf.key.0, &leaf.next_key.0, leaf.value)
        );
    }
}
