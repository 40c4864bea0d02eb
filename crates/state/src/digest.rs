//! Digests, the tree's hash, and the digests of empty subtrees.

use core::fmt;

use alloy_primitives::{B256, U256};
use cairn_accel::poseidon2;
pub use cairn_accel::poseidon2::P;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::DEPTH;

/// Eight field elements that are not all canonical (< [`P`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest holds a word that is no canonical KoalaBear element")]
pub struct NonCanonical;

/// A hash value: eight canonical KoalaBear elements. Ordered as its serialised bytes are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub(crate) [u32; 8]);

impl Digest {
    /// The digest of an empty position.
    pub const ZERO: Self = Self([0; 8]);

    /// From canonical words.
    pub const fn from_words(words: [u32; 8]) -> Result<Self, NonCanonical> {
        if is_canonical(&words) { Ok(Self(words)) } else { Err(NonCanonical) }
    }

    /// The elements.
    pub const fn as_words(&self) -> &[u32; 8] {
        &self.0
    }

    /// 32 bytes: each element big-endian, element 0 first.
    pub fn to_bytes(self) -> [u8; 32] {
        words_to_bytes(&self.0)
    }

    /// The inverse of [`Self::to_bytes`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, NonCanonical> {
        Self::from_words(bytes_to_words(bytes))
    }

    /// The bytes as a B256, as roots cross to L1.
    pub fn to_b256(self) -> B256 {
        B256::new(self.to_bytes())
    }

    /// The bytes as a big-endian number, as a digest is stored in a leaf's value.
    pub fn to_u256(self) -> U256 {
        let w = &self.0;
        let limb = |i: usize| u64::from(w[i]) << 32 | u64::from(w[i + 1]);
        U256::from_limbs([limb(6), limb(4), limb(2), limb(0)])
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_b256())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_b256())
    }
}

impl From<Digest> for B256 {
    fn from(digest: Digest) -> Self {
        digest.to_b256()
    }
}

impl TryFrom<B256> for Digest {
    type Error = NonCanonical;

    fn try_from(bytes: B256) -> Result<Self, NonCanonical> {
        Self::from_bytes(&bytes.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_b256().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(B256::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Whether every word is a canonical element.
#[inline]
pub const fn is_canonical(words: &[u32; 8]) -> bool {
    let mut i = 0;
    while i < 8 {
        if words[i] >= P {
            return false;
        }
        i += 1;
    }
    true
}

pub(crate) fn words_to_bytes(words: &[u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (chunk, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *chunk = word.to_be_bytes();
    }
    bytes
}

pub(crate) fn bytes_to_words(bytes: &[u8; 32]) -> [u32; 8] {
    let chunks = bytes.as_chunks::<4>().0;
    core::array::from_fn(|i| u32::from_be_bytes(chunks[i]))
}

/// The two-to-one compression of every node: `P(l || r)[0..8] + l`.
#[inline]
pub fn compress(l: &Digest, r: &Digest) -> Digest {
    Digest(compress_words(&l.0, &r.0))
}

#[inline]
pub(crate) fn compress_words(l: &[u32; 8], r: &[u32; 8]) -> [u32; 8] {
    #[cfg(feature = "count-hashes")]
    counter::add(1);
    poseidon2::compress(l, r)
}

/// `out = compress(l, r)`.
#[inline(always)]
pub(crate) fn compress_into(l: &[u32; 8], r: &[u32; 8], out: &mut [u32; 8]) {
    #[cfg(feature = "count-hashes")]
    counter::add(1);
    poseidon2::compress_into(l, r, out);
}

/// `acc = compress(acc, r)`.
#[inline(always)]
pub(crate) fn append_right(acc: &mut [u32; 8], r: &[u32; 8]) {
    #[cfg(feature = "count-hashes")]
    counter::add(1);
    poseidon2::append_right(acc, r);
}

/// `acc = compress(l, acc)`.
#[inline(always)]
pub(crate) fn append_left(l: &[u32; 8], acc: &mut [u32; 8]) {
    #[cfg(feature = "count-hashes")]
    counter::add(1);
    poseidon2::append_left(l, acc);
}

/// Whether two digests or keys are equal; most pairs that are compared differ in their first word.
#[inline]
pub(crate) fn equal(a: &[u32; 8], b: &[u32; 8]) -> bool {
    a[0] == b[0] && a[1] == b[1] && (2..8).fold(0, |or, i| or | (a[i] ^ b[i])) == 0
}

/// Whether `a < b` lexicographically.
#[inline]
pub(crate) fn less(a: &[u32; 8], b: &[u32; 8]) -> bool {
    if a[0] != b[0] { a[0] < b[0] } else { a[1..] < b[1..] }
}

/// Poseidon2 permutations done by this thread, for the benchmark.
#[cfg(feature = "count-hashes")]
pub mod counter {
    use std::cell::Cell;

    thread_local!(static COUNT: Cell<u64> = const { Cell::new(0) });

    pub(crate) fn add(n: u64) {
        COUNT.with(|count| count.set(count.get() + n));
    }

    /// Returns the count and starts again at zero.
    pub fn take() -> u64 {
        COUNT.with(|count| count.replace(0))
    }
}

/// `EMPTY[h]` is the digest of an empty subtree of height `h`: zero at the bottom, `compress(e, e)` above.
pub static EMPTY: [Digest; DEPTH + 1] = crate::digest::empty::TABLE;

#[path = "empty.rs"]
mod empty;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_subtrees_follow_from_the_hash() {
        let mut digest = Digest::ZERO;
        for (height, empty) in EMPTY.iter().enumerate() {
            assert_eq!(*empty, digest, "height {height}: {:?}", digest.0);
            digest = compress(&digest, &digest);
        }
    }

    #[test]
    fn bytes_round_trip_and_order() {
        let a = Digest([1, 2, 3, 4, 5, 6, 7, P - 1]);
        let b = Digest([1, 2, 3, 4, 5, 6, 8, 0]);
        assert_eq!(Digest::from_bytes(&a.to_bytes()), Ok(a));
        assert!(a < b && a.to_bytes() < b.to_bytes());
        assert_eq!(a.to_u256(), U256::from_be_bytes(a.to_bytes()));
        let json = serde_json::to_string(&a).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), a);
    }

    #[test]
    fn non_canonical_words_are_refused() {
        for i in 0..8 {
            let mut words = [0; 8];
            words[i] = P;
            assert_eq!(Digest::from_words(words), Err(NonCanonical));
            assert_eq!(Digest::from_bytes(&words_to_bytes(&words)), Err(NonCanonical));
        }
    }
}
