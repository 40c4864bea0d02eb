//! Parameters as clients really send them: quantities as hex or numbers, blocks as numbers, tags, hashes or EIP-1898 objects.

use crate::chain::{BlockRef, NamedBlock};
use crate::error::{ChainError, INVALID_PARAMS, Result};
use alloy_primitives::{B256, U256};
use jsonrpsee::types::{ErrorObject, ErrorObjectOwned, Params, ParamsSequence};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Error with code -32602.
pub(crate) fn invalid(message: impl Into<String>) -> ErrorObjectOwned {
    ErrorObject::owned(INVALID_PARAMS, message.into(), None::<()>)
}

/// Positional parameters, read one after another.
pub(crate) struct Args<'a> {
    sequence: ParamsSequence<'a>,
    index: usize,
}

impl<'a> Args<'a> {
    pub(crate) fn new(params: &'a Params<'_>) -> Self {
        Self { sequence: params.sequence(), index: 0 }
    }

    /// The next parameter, which must be there.
    pub(crate) fn req<T: DeserializeOwned>(&mut self) -> Result<T> {
        let index = self.index;
        self.opt()?.ok_or_else(|| {
            ChainError::InvalidParams(format!("missing value for required argument {index}"))
        })
    }

    /// The next parameter; `None` when absent or null.
    pub(crate) fn opt<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let index = self.index;
        self.index += 1;
        self.sequence.optional_next::<T>().map_err(|e| {
            let why = e
                .data()
                .map_or_else(|| e.message().to_owned(), |d| d.get().trim_matches('"').to_owned());
            ChainError::InvalidParams(format!("invalid argument {index}: {why}"))
        })
    }

    /// The next parameter as a u64 quantity.
    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.req::<Quantity>()?.u64()
    }

    /// The next parameter as an optional u64 quantity.
    pub(crate) fn opt_u64(&mut self) -> Result<Option<u64>> {
        self.opt::<Quantity>()?.map(|q| q.u64()).transpose()
    }

    /// The next parameter as a block; the head when absent.
    pub(crate) fn block(&mut self) -> Result<BlockArg> {
        Ok(self.opt()?.unwrap_or(BlockArg::Named(NamedBlock::Latest)))
    }
}

/// A number as hex, decimal string or JSON number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quantity(pub U256);

impl Quantity {
    pub(crate) fn u64(self) -> Result<u64> {
        u64::try_from(self.0)
            .map_err(|_| ChainError::InvalidParams("number does not fit 64 bits".into()))
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match Value::deserialize(d)? {
            Value::String(s) => {
                parse_quantity(&s).map(Self).ok_or_else(|| D::Error::custom("not a number"))
            }
            Value::Number(n) => n
                .as_u64()
                .map(|n| Self(U256::from(n)))
                .ok_or_else(|| D::Error::custom("not a whole positive number")),
            _ => Err(D::Error::custom("not a number")),
        }
    }
}

fn parse_quantity(s: &str) -> Option<U256> {
    match s.strip_prefix("0x").or_else(|| s.strip_prefix("0X")) {
        Some("") => Some(U256::ZERO),
        Some(hex) => U256::from_str_radix(hex, 16).ok(),
        None if s.is_empty() => None,
        None => U256::from_str_radix(s, 10).ok(),
    }
}

/// A 32-byte word; short hex is padded on the left, as for storage slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(pub B256);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Quantity::deserialize(d).map(|q| Self(q.0.into()))
    }
}

/// A block as a client names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockArg {
    /// A tag.
    Named(NamedBlock),
    /// `pending`.
    Pending,
    /// A number.
    Number(u64),
    /// A hash.
    Hash(B256),
}

impl BlockArg {
    fn parse(s: &str) -> Result<Self, &'static str> {
        Ok(match s {
            "" | "latest" => Self::Named(NamedBlock::Latest),
            "earliest" => Self::Named(NamedBlock::Earliest),
            "pending" => Self::Pending,
            "safe" => Self::Named(NamedBlock::Safe),
            "finalized" => Self::Named(NamedBlock::Finalized),
            "committed" => Self::Named(NamedBlock::Committed),
            "l1_committed" => Self::Named(NamedBlock::L1Committed),
            _ if s.len() == 66 => Self::Hash(s.parse().map_err(|_| "invalid block hash")?),
            _ => {
                let number = parse_quantity(s).ok_or("invalid block number or tag")?;
                Self::Number(u64::try_from(number).map_err(|_| "block number larger than int64")?)
            }
        })
    }

    fn from_value(value: &Value) -> Result<Self, &'static str> {
        match value {
            Value::String(s) => Self::parse(s),
            Value::Number(n) => n.as_u64().map(Self::Number).ok_or("invalid block number"),
            Value::Object(map) => match (map.get("blockHash"), map.get("blockNumber")) {
                (Some(_), Some(_)) => {
                    Err("cannot specify both blockHash and blockNumber, choose one or the other")
                }
                (Some(Value::String(hash)), None) => {
                    hash.parse().map(Self::Hash).map_err(|_| "invalid block hash")
                }
                (None, Some(number)) if !number.is_object() => Self::from_value(number),
                _ => Err("invalid block object: expected blockHash or blockNumber"),
            },
            _ => Err("invalid block number or tag"),
        }
    }
}

impl<'de> Deserialize<'de> for BlockArg {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::from_value(&Value::deserialize(d)?).map_err(D::Error::custom)
    }
}

impl BlockArg {
    /// The block, where the name needs no look-up.
    pub(crate) fn direct(self) -> Option<BlockRef> {
        match self {
            Self::Named(_) => None,
            Self::Pending => Some(BlockRef::Pending),
            Self::Number(n) => Some(BlockRef::Number(n)),
            Self::Hash(h) => Some(BlockRef::Hash(h)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(json: &str) -> Result<BlockArg, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn blocks_in_every_spelling() {
        assert_eq!(block(r#""latest""#).unwrap(), BlockArg::Named(NamedBlock::Latest));
        assert_eq!(block(r#""committed""#).unwrap(), BlockArg::Named(NamedBlock::Committed));
        assert_eq!(block(r#""l1_committed""#).unwrap(), BlockArg::Named(NamedBlock::L1Committed));
        assert_eq!(block(r#""0x10""#).unwrap(), BlockArg::Number(16));
        assert_eq!(block("16").unwrap(), BlockArg::Number(16));
        assert_eq!(block(r#"{"blockNumber":"0x1"}"#).unwrap(), BlockArg::Number(1));
        let hash = B256::repeat_byte(7);
        assert_eq!(
            block(&format!(r#"{{"blockHash":"{hash}","requireCanonical":true}}"#)).unwrap(),
            BlockArg::Hash(hash)
        );
        assert_eq!(block(&format!(r#""{hash}""#)).unwrap(), BlockArg::Hash(hash));
    }

    #[test]
    fn bad_blocks_are_refused() {
        for json in [
            r#""newest""#,
            r#""0xzz""#,
            "-1",
            "{}",
            "[]",
            r#"{"blockNumber":{}}"#,
            r#""0x1ffffffffffffffff""#,
        ] {
            assert!(block(json).is_err(), "{json}");
        }
    }
}
