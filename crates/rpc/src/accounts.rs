//! The development accounts: keys that the node itself holds, so that `eth_sendTransaction` and the signing methods work.

use crate::error::{ChainError, Result};
use alloy_primitives::Address;
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};

/// The well-known test mnemonic of Hardhat and Foundry.
pub const TEST_MNEMONIC: &str = "test test test test test test test test test test test junk";

/// Keys held by the node. Empty outside development.
#[derive(Clone, Debug, Default)]
pub struct DevAccounts {
    signers: Vec<PrivateKeySigner>,
}

impl DevAccounts {
    /// The first `count` accounts of a mnemonic on Ethereum's path `m/44'/60'/0'/0/i`.
    pub fn from_mnemonic(mnemonic: &str, count: u32) -> Result<Self> {
        let signers = (0..count)
            .map(|i| {
                MnemonicBuilder::<English>::default()
                    .phrase(mnemonic)
                    .index(i)
                    .and_then(|b| b.build())
            })
            .collect::<core::result::Result<_, _>>()
            .map_err(|e| ChainError::InvalidParams(format!("mnemonic: {e}")))?;
        Ok(Self { signers })
    }

    /// The accounts of these keys.
    pub const fn from_signers(signers: Vec<PrivateKeySigner>) -> Self {
        Self { signers }
    }

    /// Addresses in order.
    pub fn addresses(&self) -> Vec<Address> {
        self.signers.iter().map(PrivateKeySigner::address).collect()
    }

    /// The signers in order.
    pub fn signers(&self) -> &[PrivateKeySigner] {
        &self.signers
    }

    /// The signer of an address.
    pub fn signer(&self, address: Address) -> Option<&PrivateKeySigner> {
        self.signers.iter().find(|s| s.address() == address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;

    #[test]
    fn test_mnemonic_gives_the_known_accounts() {
        let accounts = DevAccounts::from_mnemonic(TEST_MNEMONIC, 2).unwrap();
        let expected = [
            address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
        ];
        assert_eq!(accounts.addresses(), expected);
    }

    #[test]
    fn a_bad_mnemonic_is_an_error() {
        assert!(DevAccounts::from_mnemonic("test junk", 1).is_err());
    }
}
