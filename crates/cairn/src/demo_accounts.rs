//! Account abstraction at work: the development network's paymasters, and the demo's steps with them. All over JSON-RPC, as any user would.

use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::{SolCall, SolValue, sol};
use cairn_primitives::{
    Eip712Tx,
    address::CREATE2_DEPLOYER,
    eip712::{EIP712_TX_TYPE, PaymasterParams},
};
use cairn_settlement::{
    artifacts::{MissingArtifact, artifact},
    l1::{L1Error, L1Wallet, Send},
};
use p256::ecdsa::{Signature as P256Signature, SigningKey, signature::Signer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::l2_client::{ClientError, L2Client};

sol! {
    function mint(address to, uint256 amount) external returns (bool);
    function transfer(address to, uint256 amount) external returns (bool);
    function balanceOf(address who) external view returns (uint256);
    function setRate(address token, uint256 unitsPerEther) external;
    function rateOf(address token) external view returns (uint256);
    function general(bytes input) external;
    function approvalBased(address token, uint256 minAllowance, bytes innerInput) external;
}

/// Gas limit of the demo's transactions: plenty, the rest comes back.
const GAS: u64 = 2_000_000;
/// Wei that a development paymaster is given.
const PURSE: u128 = 1_000_000_000_000_000_000;
/// Most wei that the development sponsor pays for one transaction.
const MAX_SPONSORED: u128 = PURSE / 10;
/// Units of a token (of 18 decimals) that the development ERC-20 paymaster takes for one ether.
const RATE: u128 = 1_000 * PURSE;
/// Tokens that the demo's users get.
const TOKENS: u128 = 100 * PURSE;
/// Longest wait for a receipt.
const PATIENCE: Duration = Duration::from_secs(60);

/// What goes wrong.
#[derive(Debug, Error)]
pub enum AccountsError {
    /// The rollup did not answer or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A plain transaction failed.
    #[error(transparent)]
    Wallet(#[from] L1Error),
    /// The binary lacks a contract.
    #[error(transparent)]
    Missing(#[from] MissingArtifact),
    /// Something is not as it should be.
    #[error("not true: {0}")]
    NotTrue(String),
}

type Outcome<T> = Result<T, AccountsError>;

/// The paymasters of a development network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Paymasters {
    /// Pays for everyone, in ether.
    pub sponsor: Address,
    /// Pays for whoever gives tokens that its owner set a rate for.
    pub erc20: Address,
}

impl Paymasters {
    /// Where they are if `owner` deploys them: CREATE2 addresses, known before.
    ///
    /// # Errors
    /// [`MissingArtifact`].
    pub fn of(owner: Address) -> Result<Self, MissingArtifact> {
        let at = |code: Bytes| CREATE2_DEPLOYER.create2(B256::ZERO, keccak256(&code));
        Ok(Self { sponsor: at(sponsor_code(owner)?), erc20: at(erc20_code(owner)?) })
    }
}

fn sponsor_code(owner: Address) -> Result<Bytes, MissingArtifact> {
    init_code("SponsorPaymaster", (owner, U256::from(MAX_SPONSORED)).abi_encode_params())
}

fn erc20_code(owner: Address) -> Result<Bytes, MissingArtifact> {
    init_code("ERC20Paymaster", owner.abi_encode())
}

fn init_code(name: &str, arguments: Vec<u8>) -> Result<Bytes, MissingArtifact> {
    let mut code = artifact(name)?.bytecode.to_vec();
    code.extend(arguments);
    Ok(code.into())
}

/// Deploys and funds the paymasters, if they are not there yet: a restart finds them.
///
/// # Errors
/// [`AccountsError`].
pub async fn deploy_paymasters(l2: &L2Client, owner: &L1Wallet) -> Outcome<Paymasters> {
    let paymasters = Paymasters::of(owner.address())?;
    let all = [
        ("sponsor paymaster", paymasters.sponsor, sponsor_code(owner.address())?),
        ("ERC-20 paymaster", paymasters.erc20, erc20_code(owner.address())?),
    ];
    for (what, at, code) in all {
        let present: Bytes = l2.raw("eth_getCode", json!([at, "latest"])).await?;
        if present.is_empty() {
            let mut data = B256::ZERO.to_vec();
            data.extend(&code);
            let to = Some(CREATE2_DEPLOYER);
            owner
                .send(Send { what: what.into(), to, data: data.into(), ..Send::default() })
                .await?;
        }
        if l2.balance(at).await? < U256::from(PURSE / 2) {
            let send =
                Send { what: format!("purse of the {what}"), to: Some(at), ..Send::default() };
            owner.send(send.value(U256::from(PURSE))).await?;
        }
    }
    Ok(paymasters)
}

/// A step of the demo that is done and checked.
#[derive(Debug, Clone)]
pub struct Step {
    /// `gasless`, `fee_in_token` or `passkey`.
    pub name: &'static str,
    /// What happened, for a person.
    pub words: String,
    /// The transaction, to follow to finality.
    pub tx: B256,
    /// Gas that it used.
    pub gas_used: u64,
}

impl Step {
    /// For the demo's JSON.
    pub fn json(&self) -> Value {
        json!({ "name": self.name, "l2_tx": self.tx, "gas_used": self.gas_used })
    }
}

/// The three steps of the demo: a transaction of one who has no ether, a fee paid in tokens, a transfer by passkey. `owner` owns the paymasters and
/// pays for what is prepared.
///
/// # Errors
/// [`AccountsError`]; every outcome is checked.
pub async fn show(
    l2: &L2Client,
    owner: &L1Wallet,
    paymasters: Paymasters,
    chain_id: u64,
) -> Outcome<Vec<Step>> {
    let demo = Demo { l2, owner, chain_id };
    let token = demo.deploy("TestERC20", ("Fee Token", "FEE", U256::from(18)).abi_encode_params());
    let token = token.await?;
    Ok(vec![
        demo.gasless(token, paymasters.sponsor).await?,
        demo.fee_in_token(token, paymasters.erc20).await?,
        demo.passkey().await?,
    ])
}

struct Demo<'a> {
    l2: &'a L2Client,
    owner: &'a L1Wallet,
    chain_id: u64,
}

impl Demo<'_> {
    async fn deploy(&self, name: &str, arguments: Vec<u8>) -> Outcome<Address> {
        let data = init_code(name, arguments)?;
        let send = Send { what: format!("deployment of {name}"), data, ..Send::default() };
        let receipt = self.owner.send(send).await?;
        receipt
            .contract_address
            .ok_or_else(|| AccountsError::NotTrue(format!("{name} has an address")))
    }

    async fn tokens(&self, token: Address, who: Address) -> Outcome<U256> {
        Ok(self.l2.call(token, balanceOfCall { who }).await?)
    }

    async fn mint(&self, token: Address, to: Address) -> Outcome<()> {
        let call = mintCall { to, amount: U256::from(TOKENS) };
        self.owner.send(Send::call("tokens", token, call)).await?;
        Ok(())
    }

    /// A transaction of `from`, without signature.
    async fn draft(&self, from: Address, to: Address) -> Outcome<Eip712Tx> {
        let nonce: U256 = self.l2.raw("eth_getTransactionCount", json!([from, "pending"])).await?;
        let price: U256 = self.l2.raw("eth_gasPrice", json!([])).await?;
        Ok(Eip712Tx {
            chain_id: self.chain_id,
            from,
            to: Some(to),
            nonce: nonce.saturating_to(),
            gas_limit: GAS,
            gas_per_pubdata: 50_000,
            max_fee_per_gas: price.saturating_to(),
            ..Eip712Tx::default()
        })
    }

    /// Sends it and waits; answers its hash and the gas that it used.
    async fn send(&self, mut tx: Eip712Tx, signature: Bytes) -> Outcome<(B256, u64)> {
        tx.signature = signature;
        let raw = Bytes::from(tx.encode());
        let hash: B256 = self.l2.raw("eth_sendRawTransaction", json!([raw])).await?;
        ensure(hash == tx.hash(), "the node knows the transaction by the same hash")?;
        let receipt = self.l2.wait_receipt(hash, PATIENCE).await?;
        ensure(receipt["status"] == "0x1", &format!("{hash} succeeded"))?;
        let ty = format!("{EIP712_TX_TYPE:#x}");
        ensure(receipt["type"] == ty.as_str(), "it is an account-abstraction transaction")?;
        let gas = receipt["gasUsed"].as_str().unwrap_or_default().trim_start_matches("0x");
        Ok((hash, u64::from_str_radix(gas, 16).unwrap_or_default()))
    }

    async fn gasless(&self, token: Address, sponsor: Address) -> Outcome<Step> {
        let (key, friend) = (PrivateKeySigner::random(), PrivateKeySigner::random().address());
        let user = key.address();
        self.mint(token, user).await?;
        let mut tx = self.draft(user, token).await?;
        tx.data = transferCall { to: friend, amount: U256::from(7) }.abi_encode().into();
        let input = generalCall { input: Bytes::new() }.abi_encode().into();
        tx.paymaster = Some(PaymasterParams { paymaster: sponsor, input });
        let signature = ecdsa(&key, &tx)?;
        let (hash, gas_used) = self.send(tx, signature).await?;
        ensure(self.l2.balance(user).await?.is_zero(), "the user has no ether, before and after")?;
        ensure(self.tokens(token, friend).await? == U256::from(7), "the tokens arrived")?;
        let words = format!("{user} sent tokens without having ether: {sponsor} paid the fee");
        Ok(Step { name: "gasless", words, tx: hash, gas_used })
    }

    async fn fee_in_token(&self, token: Address, paymaster: Address) -> Outcome<Step> {
        let (key, friend) = (PrivateKeySigner::random(), PrivateKeySigner::random().address());
        let user = key.address();
        let set = setRateCall { token, unitsPerEther: U256::from(RATE) };
        self.owner.send(Send::call("rate", paymaster, set)).await?;
        self.mint(token, user).await?;
        let mut tx = self.draft(user, token).await?;
        tx.data = transferCall { to: friend, amount: U256::from(7) }.abi_encode().into();
        let flow =
            approvalBasedCall { token, minAllowance: U256::from(TOKENS), innerInput: Bytes::new() };
        tx.paymaster = Some(PaymasterParams { paymaster, input: flow.abi_encode().into() });
        let signature = ecdsa(&key, &tx)?;
        let (hash, gas_used) = self.send(tx, signature).await?;
        let paid = U256::from(TOKENS - 7) - self.tokens(token, user).await?;
        ensure(!paid.is_zero(), "the fee was paid in tokens")?;
        ensure(self.tokens(token, paymaster).await? >= paid, "the paymaster has them")?;
        ensure(self.l2.balance(user).await?.is_zero(), "the user has no ether, before and after")?;
        let words = format!("{user} paid its fee with {paid} units of {token}");
        Ok(Step { name: "fee_in_token", words, tx: hash, gas_used })
    }

    async fn passkey(&self) -> Outcome<Step> {
        let passkey = Passkey::random();
        let (x, y) = passkey.public();
        let account = self.deploy("PasskeyAccount", (x, y).abi_encode_params()).await?;
        let purse = Send {
            what: "purse of the passkey account".into(),
            to: Some(account),
            ..Send::default()
        };
        self.owner.send(purse.value(U256::from(PURSE))).await?;
        let friend = PrivateKeySigner::random().address();
        let mut tx = self.draft(account, friend).await?;
        tx.value = U256::from(PURSE / 4);
        let signature = passkey.answer(tx.signing_hash());
        let (hash, gas_used) = self.send(tx, signature).await?;
        ensure(self.l2.balance(friend).await? == U256::from(PURSE / 4), "the ether arrived")?;
        let words = format!("{account}, which only a passkey opens, sent 0.25 ETH");
        Ok(Step { name: "passkey", words, tx: hash, gas_used })
    }
}

fn ensure(holds: bool, what: &str) -> Outcome<()> {
    if holds { Ok(()) } else { Err(AccountsError::NotTrue(what.to_owned())) }
}

/// A plain account's signature.
fn ecdsa(key: &PrivateKeySigner, tx: &Eip712Tx) -> Outcome<Bytes> {
    let signature = key.sign_hash_sync(&tx.signing_hash());
    let signature = signature.map_err(|e| AccountsError::NotTrue(e.to_string()))?;
    Ok(signature.as_bytes().to_vec().into())
}

/// An authenticator as a phone or a browser has one.
struct Passkey(SigningKey);

impl Passkey {
    fn random() -> Self {
        // 32 random bytes; one in 2^32 is no key of this curve.
        loop {
            let bytes = PrivateKeySigner::random().to_bytes();
            if let Ok(key) = SigningKey::from_slice(bytes.as_slice()) {
                return Self(key);
            }
        }
    }

    fn public(&self) -> (B256, B256) {
        let point = self.0.verifying_key().to_encoded_point(false);
        let half =
            |bytes: Option<&p256::FieldBytes>| bytes.map_or(B256::ZERO, |b| B256::from_slice(b));
        (half(point.x().map(|x| x as _)), half(point.y().map(|y| y as _)))
    }

    /// What `navigator.credentials.get` gives for a challenge, as the account wants it.
    fn answer(&self, challenge: B256) -> Bytes {
        let client = format!(
            r#"{{"type":"webauthn.get","challenge":"{}","origin":"http://localhost"}}"#,
            base64_url(challenge.as_slice())
        );
        // Relying party, flags (present, verified), counter.
        let mut data = Sha256::digest(b"localhost").to_vec();
        data.extend([5, 0, 0, 0, 1]);
        let mut signed = data.clone();
        signed.extend(Sha256::digest(client.as_bytes()));
        let signature: P256Signature = self.0.sign(&signed);
        let signature = signature.normalize_s().unwrap_or(signature);
        let (r, s) = signature.split_bytes();
        let (r, s) = (B256::from_slice(&r), B256::from_slice(&s));
        let (challenge_at, type_at) = (U256::from(23), U256::from(1));
        (r, s, challenge_at, type_at, Bytes::from(data), client).abi_encode_params().into()
    }
}

/// Base64 for URLs, without padding (RFC 4648, section 5).
fn base64_url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0u8; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for i in 0..=chunk.len() {
            let index = (bits >> (18 - 6 * i)) & 63;
            out.push(char::from(ALPHABET[index as usize]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648's own examples, in the alphabet for URLs.
    #[test]
    fn base64_for_urls() {
        let cases = [("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")];
        for (plain, coded) in cases {
            assert_eq!(base64_url(plain.as_bytes()), coded);
        }
        assert_eq!(base64_url(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn paymasters_have_addresses_of_their_own() {
        let a = Paymasters::of(Address::repeat_byte(1)).unwrap();
        let b = Paymasters::of(Address::repeat_byte(2)).unwrap();
        assert!(a.sponsor != a.erc20 && a.sponsor != b.sponsor && a.erc20 != b.erc20);
    }
}
