//! The well-known development accounts. Their keys are public: they guard nothing but a development network.

use std::{error::Error, fs, path::Path};

use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};

/// The test mnemonic that anvil, Hardhat and others use.
pub const MNEMONIC: &str = "test test test test test test test test test test test junk";
/// Accounts that a development network funds, on L1 and (by real deposits) on L2.
pub const RICH_ACCOUNTS: u32 = 10;
/// The funded account that deploys the L1 contracts in development.
const DEPLOYER: u32 = 9;
/// Index of the operator's key: commits, proves, executes, and receives the fees.
const OPERATOR: u32 = 10;
/// Index of the first attester's key.
const ATTESTER: u32 = 11;

/// Account of the mnemonic by index.
fn account(index: u32) -> PrivateKeySigner {
    MnemonicBuilder::<English>::default()
        .phrase(MNEMONIC)
        .index(index)
        .and_then(|b| b.build())
        .expect("the mnemonic is a constant and valid")
}

/// The key that a file holds in hexadecimal.
///
/// # Errors
/// When there is no such file, or no key in it.
pub fn read(path: &Path) -> Result<PrivateKeySigner, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    parse(&text)
}

/// A key in hexadecimal.
///
/// # Errors
/// When it is none.
pub fn parse(text: &str) -> Result<PrivateKeySigner, Box<dyn Error>> {
    // The error of the parser would show the key.
    text.trim().parse().map_err(|_| "the key is not 32 bytes in hexadecimal".into())
}

/// The keys of a development network's roles.
#[derive(Debug, Clone)]
pub struct DevKeys {
    /// Funded users.
    pub rich: Vec<PrivateKeySigner>,
    /// Deploys the L1 contracts, and is the chain's admin.
    pub deployer: PrivateKeySigner,
    /// Sends batches to L1.
    pub operator: PrivateKeySigner,
    /// Attests batches.
    pub attester: PrivateKeySigner,
}

impl DevKeys {
    /// Derives them.
    pub fn derive() -> Self {
        let rich: Vec<_> = (0..RICH_ACCOUNTS).map(account).collect();
        Self {
            deployer: rich[DEPLOYER as usize].clone(),
            rich,
            operator: account(OPERATOR),
            attester: account(ATTESTER),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::address;

    use super::*;

    #[test]
    fn the_first_account_is_the_one_that_everybody_knows() {
        assert_eq!(account(0).address(), address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
    }
}
