//! An account as one 32-byte value.

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

/// A value that is no account: a flag or filler bit is set that must be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a state value is no account: unknown flag bits are set")]
pub struct NotAnAccount;

/// An account's leaf: `nonce u64 BE || flags u8 || 7 zero bytes || balance u128 BE`. The absent account is the zero value.
///
/// A balance above 2^128 - 1 has no representation; the transaction that would create it is invalid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLeaf {
    /// The nonce.
    pub nonce: u64,
    /// Whether the account has code (flags bit 0); its keccak256 hash is under [`crate::Key::code_hash`].
    pub has_code: bool,
    /// The balance in wei.
    pub balance: u128,
}

/// Flags bit 0 within the second-highest limb of a value.
const HAS_CODE: u64 = 1 << 56;

impl AccountLeaf {
    /// The value of the account's leaf.
    #[inline]
    pub const fn to_value(&self) -> U256 {
        let flags = if self.has_code { HAS_CODE } else { 0 };
        U256::from_limbs([self.balance as u64, (self.balance >> 64) as u64, flags, self.nonce])
    }

    /// The account that a value stands for.
    #[inline]
    pub const fn from_value(value: &U256) -> Result<Self, NotAnAccount> {
        let [low, high, flags, nonce] = *value.as_limbs();
        if flags & !HAS_CODE != 0 {
            return Err(NotAnAccount);
        }
        Ok(Self { nonce, has_code: flags != 0, balance: low as u128 | (high as u128) << 64 })
    }

    /// The 32 bytes of the value.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.to_value().to_be_bytes()
    }

    /// The inverse of [`Self::to_bytes`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, NotAnAccount> {
        Self::from_value(&U256::from_be_bytes(*bytes))
    }

    /// Whether the account is empty in the sense of EIP-161.
    pub const fn is_empty(&self) -> bool {
        self.nonce == 0 && !self.has_code && self.balance == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn layout_is_the_documented_one() {
        let account = AccountLeaf { nonce: 0x0102, has_code: true, balance: 0x0a0b << 64 | 0x0c };
        let mut bytes = [0; 32];
        (bytes[6], bytes[7], bytes[8]) = (1, 2, 1);
        (bytes[22], bytes[23], bytes[31]) = (0x0a, 0x0b, 0x0c);
        assert_eq!(account.to_bytes(), bytes);
        assert_eq!(AccountLeaf::default().to_value(), U256::ZERO);
    }

    #[test]
    fn foreign_bits_are_refused() {
        for bit in 128..192 {
            let value = U256::ONE << bit;
            let expected = if bit == 184 {
                Ok(AccountLeaf { has_code: true, ..Default::default() })
            } else {
                Err(NotAnAccount)
            };
            assert_eq!(AccountLeaf::from_value(&value), expected, "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(nonce: u64, has_code: bool, balance: u128) {
            let account = AccountLeaf { nonce, has_code, balance };
            prop_assert_eq!(AccountLeaf::from_bytes(&account.to_bytes()), Ok(account));
        }
    }
}
