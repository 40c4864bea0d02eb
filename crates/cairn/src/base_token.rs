//! The token in which a chain's fees are paid: ETH, or an ERC-20 of L1, chosen when the network is created.

use std::str::FromStr;

use alloy_primitives::{Address, U256};
use alloy_signer_local::PrivateKeySigner;
use cairn_primitives::address::ETH_TOKEN;
use cairn_settlement::{
    bindings::Erc20,
    bridge::register,
    deploy::{DeployError, Ecosystem, deploy_test_token},
    l1::{L1, L1Error, L1Wallet, Send},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Decimals of a base token: gas prices are in the smallest unit, and fees of a token with few would be large amounts of it.
pub const DECIMALS: u8 = 18;
/// What each development account gets on L1 of a base token that was made for the network.
const PURSE: u128 = 10_000_000_000_000_000_000_000;
/// Name of such a token.
const NAME: &str = "Cairn Test Base Token";
/// Its symbol.
const SYMBOL: &str = "CTB";
/// Most characters of a token's name or symbol that are kept.
const MAX_WORDS: usize = 32;

/// What `--base-token` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// A token that anybody may mint, deployed for this network.
    New,
    /// A token that is on L1 already.
    Existing(Address),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "new" => Ok(Self::New),
            "eth" => Ok(Self::Existing(ETH_TOKEN)),
            address => address
                .parse()
                .map(Self::Existing)
                .map_err(|_| "expected `eth`, `new`, or the address of an ERC-20 on L1".to_owned()),
        }
    }
}

/// A chain's base token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseToken {
    /// On L1; `0x..01` for ETH.
    pub address: Address,
    /// Its symbol.
    pub symbol: String,
    /// Its name.
    pub name: String,
}

impl Default for BaseToken {
    fn default() -> Self {
        Self { address: ETH_TOKEN, symbol: "ETH".to_owned(), name: "Ether".to_owned() }
    }
}

impl BaseToken {
    /// Whether fees are paid in ETH.
    pub fn is_eth(&self) -> bool {
        self.address == ETH_TOKEN
    }

    /// Whether this is what `choice` asks for.
    pub fn is(&self, choice: Choice) -> bool {
        match choice {
            Choice::New => !self.is_eth(),
            Choice::Existing(address) => self.address == address,
        }
    }

    /// A token of L1 in its own words.
    ///
    /// # Errors
    /// [`BaseTokenError`] when it cannot be a base token.
    pub async fn read(l1: &L1, address: Address) -> Result<Self, BaseTokenError> {
        if address == ETH_TOKEN {
            return Ok(Self::default());
        }
        let decimals = l1.call(address, Erc20::decimalsCall {}).await;
        match decimals {
            Ok(DECIMALS) => {}
            Ok(decimals) => return Err(BaseTokenError::Decimals { address, decimals }),
            Err(L1Error::Nonsense { .. } | L1Error::Reverted { .. }) => {
                return Err(BaseTokenError::NoToken(address));
            }
            Err(e) => return Err(e.into()),
        }
        let symbol = l1.call(address, Erc20::symbolCall {}).await.unwrap_or_default();
        let name = l1.call(address, Erc20::nameCall {}).await.unwrap_or_default();
        Ok(Self { address, symbol: words(&symbol, "TOKEN"), name: words(&name, "Token") })
    }
}

/// Anybody writes a token's name: a line of printable characters is kept of it.
fn words(text: &str, else_: &str) -> String {
    let kept: String = text.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect();
    if kept.trim().is_empty() { else_.to_owned() } else { kept }
}

/// Why a token cannot be a chain's base token.
#[derive(Debug, Error)]
pub enum BaseTokenError {
    /// L1.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// Deploying one.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// Something else is at the address.
    #[error(
        "there is no ERC-20 at {0} on L1: deploy the base token first, or say --base-token new"
    )]
    NoToken(Address),
    /// Its unit is no 10^-18.
    #[error("the token at {address} has {decimals} decimals; a base token has {DECIMALS}")]
    Decimals {
        /// The token.
        address: Address,
        /// Its decimals.
        decimals: u8,
    },
}

/// The base token of a network that is being created, known to the bridge. A new one is given to the accounts.
///
/// # Errors
/// [`BaseTokenError`].
pub async fn prepare(
    wallet: &L1Wallet,
    ecosystem: &Ecosystem,
    choice: Option<Choice>,
    accounts: &[PrivateKeySigner],
) -> Result<BaseToken, BaseTokenError> {
    let address = match choice {
        None => ETH_TOKEN,
        Some(Choice::Existing(address)) => address,
        Some(Choice::New) => {
            let token = deploy_test_token(wallet, NAME, SYMBOL, DECIMALS).await?;
            for account in accounts {
                let call = Erc20::mintCall { to: account.address(), amount: U256::from(PURSE) };
                wallet.send(Send::call("tokens for an account", token, call)).await?;
            }
            token
        }
    };
    let token = BaseToken::read(wallet.l1(), address).await?;
    if !token.is_eth() {
        register(wallet, ecosystem, address).await?;
    }
    Ok(token)
}

/// How much of `wanted` an account of L1 can deposit of the base token and keep as much again for fees.
///
/// # Errors
/// What L1 gives.
pub async fn spare(
    l1: &L1,
    token: &BaseToken,
    account: Address,
    wanted: U256,
) -> Result<U256, L1Error> {
    if token.is_eth() {
        return Ok(wanted);
    }
    let has = l1.call(token.address, Erc20::balanceOfCall { account }).await?;
    Ok(wanted.min(has / U256::from(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_eth_new_or_an_address() {
        assert_eq!("new".parse(), Ok(Choice::New));
        assert_eq!("eth".parse(), Ok(Choice::Existing(ETH_TOKEN)));
        let address = Address::repeat_byte(7);
        assert_eq!(address.to_string().parse(), Ok(Choice::Existing(address)));
        assert!("0x12".parse::<Choice>().is_err());
        let token = BaseToken { address, ..BaseToken::default() };
        assert!(token.is(Choice::New) && token.is(Choice::Existing(address)));
        assert!(!token.is(Choice::Existing(ETH_TOKEN)) && !BaseToken::default().is(Choice::New));
    }

    #[test]
    fn a_tokens_words_are_a_short_line() {
        assert_eq!(words("a\n\u{7}b", "x"), "ab");
        assert_eq!(words(" \n", "x"), "x");
        assert_eq!(words(&"é".repeat(100), "x").chars().count(), MAX_WORDS);
    }
}
