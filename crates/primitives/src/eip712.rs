//! The account-abstraction transaction (type 0x71), signed as EIP-712 typed data: zkSync's format, as zksync-ethers and viem encode and hash it.
//!
//! RLP: `0x71 || [nonce, maxPriorityFeePerGas, maxFeePerGas, gasLimit, to, value, data, chainId, "", "", chainId, from, gasPerPubdata,
//! factoryDeps[], customSignature, [] | [paymaster, paymasterInput]]`. There is one encoding of a transaction: integers are minimal, an absent
//! `to` or paymaster is empty (the zero address, which the typed data cannot tell from it, is refused), and nothing follows the list.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, Bytes, U256, b256, keccak256};
use alloy_rlp::{Decodable, Encodable, Header};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// EIP-2718 type byte of an account-abstraction transaction.
pub const EIP712_TX_TYPE: u8 = 0x71;
/// Most bytes of a custom signature: room for a passkey's client data, or for a hundred ECDSA signatures.
pub const MAX_CUSTOM_SIGNATURE: usize = 8 * 1024;
/// Most bytes of a paymaster's input.
pub const MAX_PAYMASTER_INPUT: usize = 16 * 1024;

/// keccak256 of the struct's type in EIP-712's words.
const TYPE_HASH: B256 = b256!("848e1bfa1ac4e3576b728bda6721b215c70a7799a5b4866282a71bab954baac8");
/// keccak256("EIP712Domain(string name,string version,uint256 chainId)").
const DOMAIN_TYPE_HASH: B256 =
    b256!("c2f8787176b8ac6bf7215b4adcc1e069bf4ab82d9ab1df05a57a91d425935b6e");
/// keccak256("zkSync").
const DOMAIN_NAME_HASH: B256 =
    b256!("19b453ce45aaaaf3a300f5a9ec95869b4f28ab10430b572ee218c3a6a5e07d6f");
/// keccak256("2").
const DOMAIN_VERSION_HASH: B256 =
    b256!("ad7c5bef027816a800da1736444fb58a807ef4c9603b7848673f7e3a68eb14a5");
/// keccak256 of nothing.
const EMPTY_HASH: B256 = b256!("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");

/// Who pays instead of the sender, and what it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymasterParams {
    /// The paymaster; never the zero address.
    pub paymaster: Address,
    /// A call of `IPaymasterFlow` by convention.
    pub input: Bytes,
}

/// An account-abstraction transaction with its signature.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eip712Tx {
    /// Chain that it is signed for.
    pub chain_id: u64,
    /// The account that starts it.
    pub from: Address,
    /// Callee; `None` for a deployment. Never the zero address.
    pub to: Option<Address>,
    /// Nonce, which the account checks in its own way.
    pub nonce: u64,
    /// Gas for everything: validation, payment, execution, pubdata and the paymaster's last word.
    pub gas_limit: u64,
    /// Most gas per byte of pubdata that the sender takes.
    pub gas_per_pubdata: u64,
    /// Most wei per gas.
    pub max_fee_per_gas: u128,
    /// Signed but never charged: clients encode a tip of zero as `max_fee_per_gas`.
    pub max_priority_fee_per_gas: u128,
    /// Wei sent.
    pub value: U256,
    /// Calldata or init code.
    pub data: Bytes,
    /// Who pays; `None`: the account itself.
    pub paymaster: Option<PaymasterParams>,
    /// What the account checks. Never empty; for a plain account 65 bytes `r || s || v`.
    pub signature: Bytes,
}

/// Why bytes are no account-abstraction transaction of this chain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Eip712Error {
    /// Not the canonical RLP of the sixteen fields.
    #[error("rlp: not an EIP-712 transaction: field `{0}`")]
    Rlp(&'static str),
    /// Bytes after the list.
    #[error("rlp: bytes after an EIP-712 transaction")]
    Trailing,
    /// The two chain ids differ, or the fields of an Ethereum signature are used.
    #[error(
        "an EIP-712 transaction carries its chain id in place of `v` and its signature in `customSignature`"
    )]
    SignatureFields,
    /// The signed data cannot tell the zero address from an absent one.
    #[error("`{0}` is the zero address; leave it empty if none is meant")]
    ZeroAddress(&'static str),
    /// EraVM bytecode.
    #[error(
        "`factoryDeps` carries EraVM bytecode; this chain runs EVM bytecode: deploy it with an ordinary creation (no `to`) or through a CREATE2 deployer"
    )]
    FactoryDeps,
    /// No signature.
    #[error("`customSignature` is empty")]
    NoSignature,
    /// A field beyond its bound.
    #[error("`{field}` has {size} bytes, more than {limit}")]
    TooLarge {
        /// The field.
        field: &'static str,
        /// Bytes.
        size: usize,
        /// Most bytes.
        limit: usize,
    },
}

impl Eip712Tx {
    /// Decodes what follows the type byte; the whole input must be used.
    ///
    /// # Errors
    /// [`Eip712Error`].
    pub fn decode(payload: &[u8]) -> Result<Self, Eip712Error> {
        let mut rest = payload;
        let mut list =
            Header::decode_bytes(&mut rest, true).map_err(|_| Eip712Error::Rlp("list"))?;
        if !rest.is_empty() {
            return Err(Eip712Error::Trailing);
        }
        let buf = &mut list;
        let nonce = field(buf, "nonce")?;
        let max_priority_fee_per_gas = field(buf, "maxPriorityFeePerGas")?;
        let max_fee_per_gas = field(buf, "maxFeePerGas")?;
        let gas_limit = field(buf, "gasLimit")?;
        let to = address(buf, "to")?;
        let value = field(buf, "value")?;
        let data = bytes(buf, "data", usize::MAX)?;
        let chain_id = signature_fields(buf)?;
        let from = field(buf, "from")?;
        let gas_per_pubdata = field(buf, "gasPerPubdata")?;
        let deps = Header::decode_bytes(buf, true).map_err(|_| Eip712Error::Rlp("factoryDeps"))?;
        if !deps.is_empty() {
            return Err(Eip712Error::FactoryDeps);
        }
        let signature = bytes(buf, "customSignature", MAX_CUSTOM_SIGNATURE)?;
        let paymaster = paymaster(buf)?;
        if !buf.is_empty() {
            return Err(Eip712Error::Trailing);
        }
        if signature.is_empty() {
            return Err(Eip712Error::NoSignature);
        }
        Ok(Self {
            chain_id,
            from,
            to,
            nonce,
            gas_limit,
            gas_per_pubdata,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            value,
            data,
            paymaster,
            signature,
        })
    }

    /// The EIP-2718 form, type byte included.
    pub fn encode(&self) -> Vec<u8> {
        let mut fields = Vec::with_capacity(self.data.len() + self.signature.len() + 256);
        self.nonce.encode(&mut fields);
        self.max_priority_fee_per_gas.encode(&mut fields);
        self.max_fee_per_gas.encode(&mut fields);
        self.gas_limit.encode(&mut fields);
        match &self.to {
            Some(to) => to.encode(&mut fields),
            None => fields.push(alloy_rlp::EMPTY_STRING_CODE),
        }
        self.value.encode(&mut fields);
        self.data.encode(&mut fields);
        self.chain_id.encode(&mut fields);
        fields.extend([alloy_rlp::EMPTY_STRING_CODE; 2]);
        self.chain_id.encode(&mut fields);
        self.from.encode(&mut fields);
        self.gas_per_pubdata.encode(&mut fields);
        fields.push(alloy_rlp::EMPTY_LIST_CODE);
        self.signature.encode(&mut fields);
        self.encode_paymaster(&mut fields);
        let mut out = Vec::with_capacity(fields.len() + 10);
        out.push(EIP712_TX_TYPE);
        Header { list: true, payload_length: fields.len() }.encode(&mut out);
        out.extend(fields);
        out
    }

    fn encode_paymaster(&self, out: &mut Vec<u8>) {
        let Some(p) = &self.paymaster else {
            return out.push(alloy_rlp::EMPTY_LIST_CODE);
        };
        let payload_length = p.paymaster.length() + p.input.length();
        Header { list: true, payload_length }.encode(out);
        p.paymaster.encode(out);
        p.input.encode(out);
    }

    /// The EIP-712 digest: what the account's key signs.
    pub fn signing_hash(&self) -> B256 {
        let (paymaster, input) = match &self.paymaster {
            Some(p) => (p.paymaster, hash_bytes(&p.input)),
            None => (Address::ZERO, EMPTY_HASH),
        };
        let words: [[u8; 32]; 14] = [
            TYPE_HASH.0,
            word(EIP712_TX_TYPE.into()),
            self.from.into_word().0,
            self.to.unwrap_or_default().into_word().0,
            word(self.gas_limit.into()),
            word(self.gas_per_pubdata.into()),
            word(self.max_fee_per_gas),
            word(self.max_priority_fee_per_gas),
            paymaster.into_word().0,
            word(self.nonce.into()),
            self.value.to_be_bytes(),
            hash_bytes(&self.data).0,
            // No factory dependencies.
            EMPTY_HASH.0,
            input.0,
        ];
        let mut signed = [0u8; 66];
        signed[0] = 0x19;
        signed[1] = 0x01;
        signed[2..34].copy_from_slice(domain_separator(self.chain_id).as_slice());
        signed[34..].copy_from_slice(keccak256(words.as_flattened()).as_slice());
        keccak256(signed)
    }

    /// Hash by which clients know the transaction, from its [`Self::signing_hash`].
    pub fn hash_with(&self, signing_hash: B256) -> B256 {
        let mut both = [0u8; 64];
        both[..32].copy_from_slice(signing_hash.as_slice());
        both[32..].copy_from_slice(keccak256(&self.signature).as_slice());
        keccak256(both)
    }

    /// Hash by which clients know the transaction: `keccak256(signing hash || keccak256(signature))`.
    pub fn hash(&self) -> B256 {
        self.hash_with(self.signing_hash())
    }
}

/// The EIP-712 domain of a chain.
fn domain_separator(chain_id: u64) -> B256 {
    let words: [[u8; 32]; 4] =
        [DOMAIN_TYPE_HASH.0, DOMAIN_NAME_HASH.0, DOMAIN_VERSION_HASH.0, word(chain_id.into())];
    keccak256(words.as_flattened())
}

fn word(v: u128) -> [u8; 32] {
    U256::from(v).to_be_bytes()
}

fn hash_bytes(bytes: &[u8]) -> B256 {
    if bytes.is_empty() { EMPTY_HASH } else { keccak256(bytes) }
}

fn field<T: Decodable>(buf: &mut &[u8], name: &'static str) -> Result<T, Eip712Error> {
    T::decode(buf).map_err(|_| Eip712Error::Rlp(name))
}

fn bytes(buf: &mut &[u8], name: &'static str, limit: usize) -> Result<Bytes, Eip712Error> {
    let raw = Header::decode_bytes(buf, false).map_err(|_| Eip712Error::Rlp(name))?;
    if raw.len() > limit {
        return Err(Eip712Error::TooLarge { field: name, size: raw.len(), limit });
    }
    Ok(Bytes::copy_from_slice(raw))
}

/// An address or nothing.
fn address(buf: &mut &[u8], name: &'static str) -> Result<Option<Address>, Eip712Error> {
    let raw = Header::decode_bytes(buf, false).map_err(|_| Eip712Error::Rlp(name))?;
    if raw.is_empty() {
        return Ok(None);
    }
    let address = Address::try_from(raw).map_err(|_| Eip712Error::Rlp(name))?;
    if address.is_zero() {
        return Err(Eip712Error::ZeroAddress(name));
    }
    Ok(Some(address))
}

/// `v, r, s, chainId`, of which only the chain id says something; it stands twice.
fn signature_fields(buf: &mut &[u8]) -> Result<u64, Eip712Error> {
    let v = field::<U256>(buf, "v")?;
    let r = bytes(buf, "r", 32)?;
    let s = bytes(buf, "s", 32)?;
    let chain_id: u64 = field(buf, "chainId")?;
    if v != U256::from(chain_id) || !r.is_empty() || !s.is_empty() {
        return Err(Eip712Error::SignatureFields);
    }
    Ok(chain_id)
}

fn paymaster(buf: &mut &[u8]) -> Result<Option<PaymasterParams>, Eip712Error> {
    const NAME: &str = "paymasterParams";
    let mut list = Header::decode_bytes(buf, true).map_err(|_| Eip712Error::Rlp(NAME))?;
    if list.is_empty() {
        return Ok(None);
    }
    let paymaster = address(&mut list, NAME)?.ok_or(Eip712Error::Rlp(NAME))?;
    let input = bytes(&mut list, "paymasterInput", MAX_PAYMASTER_INPUT)?;
    if !list.is_empty() {
        return Err(Eip712Error::Rlp(NAME));
    }
    Ok(Some(PaymasterParams { paymaster, input }))
}

#[cfg(test)]
#[path = "eip712_tests.rs"]
mod tests;
