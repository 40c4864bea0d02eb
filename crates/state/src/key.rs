//! From what the EVM names to a leaf's key.
//!
//! A key is one compression of sixteen elements, `compress(e[0..8], e[8..16])` with
//!
//! | elements | hold |
//! |---|---|
//! | 0 | the domain |
//! | 1..7 | the address as a 160-bit big-endian number, in 30-bit digits, least significant first; zero in domain 2 |
//! | 7..16 | the slot (or hash) as a 256-bit big-endian number, in 30-bit digits, least significant first; zero where the domain has none |
//!
//! A digit is below 2^30 < p, so it is canonical, and the packing is injective (6 * 30 >= 160, 9 * 30 >= 256):
//! two different names share a key only by a collision of the compression. So a key costs one permutation, where
//! a sponge over 16-bit limbs costs four.

use core::fmt;

use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::digest::{self, Digest, NonCanonical, P, compress_words};

/// What a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Domain {
    /// (address, slot) -> the slot's value.
    Slot = 0,
    /// (address) -> [`crate::AccountLeaf`].
    Account = 1,
    /// (keccak256 of code) -> [`crate::code::code_hash_poseidon2`] of the code.
    Code = 2,
    /// (address) -> keccak256 of the account's code.
    CodeHash = 3,
}

/// A leaf's key: eight canonical elements, ordered lexicographically (as its 32 bytes are).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub(crate) [u32; 8]);

impl Key {
    /// The least key, held by leaf 0.
    pub const MIN: Self = Self([0; 8]);
    /// The greatest key, held by leaf 1.
    pub const MAX: Self = Self([P - 1; 8]);

    /// The key of a storage slot.
    pub fn slot(address: &Address, slot: &U256) -> Self {
        Self::slot_of(&PackedAddress::new(address), slot)
    }

    /// The key of a storage slot of an address packed before.
    pub fn slot_of(address: &PackedAddress, slot: &U256) -> Self {
        Self::derive(Domain::Slot, address, slot)
    }

    /// The key of an account's nonce, balance and code flag.
    pub fn account(address: &Address) -> Self {
        Self::derive(Domain::Account, &PackedAddress::new(address), &U256::ZERO)
    }

    /// The key under which the Poseidon2 hash of a code is found by its keccak256 hash.
    pub fn code(keccak: &B256) -> Self {
        let hash = U256::from_be_bytes(keccak.0);
        Self::derive(Domain::Code, &PackedAddress([0; 6]), &hash)
    }

    /// The key under which the keccak256 hash of an account's code is found.
    pub fn code_hash(address: &Address) -> Self {
        Self::derive(Domain::CodeHash, &PackedAddress::new(address), &U256::ZERO)
    }

    fn derive(domain: Domain, address: &PackedAddress, slot: &U256) -> Self {
        let s = to_le_words(slot);
        let a = &address.0;
        let left = [domain as u32, a[0], a[1], a[2], a[3], a[4], a[5], s[0] & MASK];
        let right = [
            (s[0] >> 30 | s[1] << 2) & MASK,
            (s[1] >> 28 | s[2] << 4) & MASK,
            (s[2] >> 26 | s[3] << 6) & MASK,
            (s[3] >> 24 | s[4] << 8) & MASK,
            (s[4] >> 22 | s[5] << 10) & MASK,
            (s[5] >> 20 | s[6] << 12) & MASK,
            (s[6] >> 18 | s[7] << 14) & MASK,
            s[7] >> 16,
        ];
        Self(compress_words(&left, &right))
    }

    /// From canonical words.
    pub const fn from_words(words: [u32; 8]) -> Result<Self, NonCanonical> {
        if digest::is_canonical(&words) { Ok(Self(words)) } else { Err(NonCanonical) }
    }

    /// The elements.
    pub const fn as_words(&self) -> &[u32; 8] {
        &self.0
    }

    /// 32 bytes: each element big-endian, element 0 first; comparing bytes compares keys.
    pub fn to_bytes(self) -> [u8; 32] {
        digest::words_to_bytes(&self.0)
    }

    /// The inverse of [`Self::to_bytes`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, NonCanonical> {
        Self::from_words(digest::bytes_to_words(bytes))
    }

    /// Whether this is a sentinel's key, which nothing may write.
    pub fn is_sentinel(&self) -> bool {
        digest::equal(&self.0, &Self::MIN.0) || digest::equal(&self.0, &Self::MAX.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Digest(self.0))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Digest(self.0))
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Digest(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Digest::deserialize(deserializer).map(|digest| Self(digest.0)).map_err(de::Error::custom)
    }
}

/// An address in 30-bit digits; keep it to derive the keys of many slots of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedAddress([u32; 6]);

impl PackedAddress {
    /// Packs an address.
    pub fn new(address: &Address) -> Self {
        let chunks = address.0.as_chunks::<4>().0;
        let w = |i: usize| u32::from_be_bytes(chunks[4 - i]);
        let (a, b, c, d, e) = (w(0), w(1), w(2), w(3), w(4));
        Self([
            a & MASK,
            (a >> 30 | b << 2) & MASK,
            (b >> 28 | c << 4) & MASK,
            (c >> 26 | d << 6) & MASK,
            (d >> 24 | e << 8) & MASK,
            e >> 22,
        ])
    }
}

const MASK: u32 = (1 << 30) - 1;

/// The 32-bit words of a number, least significant first.
#[inline]
pub(crate) fn to_le_words(value: &U256) -> [u32; 8] {
    let limbs = value.as_limbs();
    core::array::from_fn(|i| (limbs[i / 2] >> (32 * (i % 2))) as u32)
}

/// The inverse of [`to_le_words`].
#[inline]
pub(crate) fn from_le_words(w: &[u32; 8]) -> U256 {
    U256::from_limbs(core::array::from_fn(|i| u64::from(w[2 * i]) | u64::from(w[2 * i + 1]) << 32))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rule of the module's page, written from the page.
    fn by_the_page(domain: u32, address: U256, slot: U256) -> [u32; 8] {
        let digit = |n: U256, i: usize| ((n >> (30 * i)) & U256::from(MASK)).to::<u32>();
        let mut elements = vec![domain];
        elements.extend((0..6).map(|i| digit(address, i)));
        elements.extend((0..9).map(|i| digit(slot, i)));
        let (l, r) = elements.split_at(8);
        cairn_accel::poseidon2::compress(l.try_into().unwrap(), r.try_into().unwrap())
    }

    proptest! {
        #[test]
        fn keys_follow_the_page(address: [u8; 20], slot: [u8; 32]) {
            let a = Address::new(address);
            let a_number = U256::from_be_slice(&address);
            let s = U256::from_be_bytes(slot);
            prop_assert_eq!(Key::slot(&a, &s).0, by_the_page(0, a_number, s));
            prop_assert_eq!(Key::account(&a).0, by_the_page(1, a_number, U256::ZERO));
            prop_assert_eq!(Key::code(&B256::new(slot)).0, by_the_page(2, U256::ZERO, s));
            prop_assert_eq!(Key::code_hash(&a).0, by_the_page(3, a_number, U256::ZERO));
        }

        #[test]
        fn words_round_trip(value: [u8; 32]) {
            let value = U256::from_be_bytes(value);
            prop_assert_eq!(from_le_words(&to_le_words(&value)), value);
        }
    }

    #[test]
    fn every_bit_of_address_and_slot_reaches_the_packing() {
        let base = Key::slot(&Address::ZERO, &U256::ZERO);
        let mut seen = std::collections::BTreeSet::from([base]);
        for bit in 0..160 {
            let mut bytes = [0u8; 20];
            bytes[bit / 8] = 1 << (bit % 8);
            assert!(seen.insert(Key::slot(&Address::new(bytes), &U256::ZERO)));
        }
        for bit in 0..256 {
            assert!(seen.insert(Key::slot(&Address::ZERO, &(U256::ONE << bit))));
        }
        assert!(seen.insert(Key::account(&Address::ZERO)));
        assert!(seen.insert(Key::code(&B256::ZERO)));
        assert!(seen.insert(Key::code_hash(&Address::ZERO)));
    }
}
