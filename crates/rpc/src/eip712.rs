//! zkSync's `eip712Meta`: what a request says of account abstraction.

use alloy_primitives::{Address, Bytes, U256};
use alloy_rpc_types::TransactionRequest;
use alloy_serde::OtherFields;
use serde::Deserialize;

use crate::error::{ChainError, Result};

/// Gas by which an estimate for a 0x71 transaction of an account without code is raised: zksync-ethers asks for a smart account's transaction with its
/// signer's address, and the account's own code wants gas too. What is not used is refunded.
pub const ACCOUNT_GAS_MARGIN: u64 = 120_000;
/// The margin that an estimate of this request gets.
///
/// # Errors
/// As [`meta`].
pub fn margin(request: &TransactionRequest, other: &OtherFields) -> Result<u64> {
    let is_account = request.transaction_type == Some(0x71) || meta(other)?.is_some();
    Ok(if is_account { ACCOUNT_GAS_MARGIN } else { 0 })
}

/// Most bytes of one field.
const MAX_FIELD: usize = 64 * 1024;

/// The fields, in plain types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Eip712Meta {
    /// Most gas per byte of pubdata.
    pub gas_per_pubdata: Option<U256>,
    /// Paymaster and its input.
    pub paymaster: Option<(Address, Bytes)>,
    /// Empty when the client has none yet.
    pub signature: Bytes,
}

/// Bytes as clients write them: `0x`-hex or an array of numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyBytes {
    Hex(Bytes),
    Numbers(Vec<u8>),
}

impl AnyBytes {
    fn bytes(self) -> Result<Bytes> {
        let bytes = match self {
            Self::Hex(b) => b,
            Self::Numbers(n) => n.into(),
        };
        if bytes.len() > MAX_FIELD {
            return Err(ChainError::LimitExceeded("a field of `eip712Meta` is too large".into()));
        }
        Ok(bytes)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMeta {
    gas_per_pubdata: Option<U256>,
    custom_signature: Option<AnyBytes>,
    paymaster_params: Option<RawPaymaster>,
    factory_deps: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPaymaster {
    paymaster: Address,
    paymaster_input: AnyBytes,
}

/// Reads `eip712Meta` of a request; `None` when it has none.
///
/// # Errors
/// [`ChainError::InvalidParams`] for what is malformed, and for factory dependencies: they carry EraVM bytecode.
pub fn meta(other: &OtherFields) -> Result<Option<Eip712Meta>> {
    let Some(raw) = other.get_deserialized::<Option<RawMeta>>("eip712Meta") else {
        return Ok(None);
    };
    let raw = raw.map_err(|e| ChainError::InvalidParams(format!("eip712Meta: {e}")))?;
    let Some(raw) = raw else { return Ok(None) };
    if raw.factory_deps.is_some_and(|deps| !deps.is_empty()) {
        return Err(ChainError::InvalidParams(
            "`factoryDeps` carries EraVM bytecode; this chain runs EVM bytecode: deploy it with an ordinary creation (no `to`) or through a CREATE2 deployer"
                .into(),
        ));
    }
    let paymaster = match raw.paymaster_params {
        Some(p) => Some((p.paymaster, p.paymaster_input.bytes()?)),
        None => None,
    };
    let signature = raw.custom_signature.map(AnyBytes::bytes).transpose()?.unwrap_or_default();
    Ok(Some(Eip712Meta { gas_per_pubdata: raw.gas_per_pubdata, paymaster, signature }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(v: serde_json::Value) -> OtherFields {
        serde_json::from_value(v).unwrap()
    }

    #[test]
    fn reads_what_clients_send() {
        assert_eq!(meta(&fields(serde_json::json!({}))).unwrap(), None);
        let both = meta(&fields(serde_json::json!({ "eip712Meta": {
            "gasPerPubdata": "0xc350", "factoryDeps": [], "customSignature": [1, 2],
            "paymasterParams": { "paymaster": "0x0101010101010101010101010101010101010101", "paymasterInput": "0x0304" },
        } })));
        let m = both.unwrap().unwrap();
        assert_eq!(m.signature, Bytes::from_static(&[1, 2]));
        assert_eq!(m.paymaster, Some((Address::repeat_byte(1), Bytes::from_static(&[3, 4]))));
        assert_eq!(m.gas_per_pubdata, Some(U256::from(50_000)));
    }

    #[test]
    fn refuses_eravm_bytecode_and_nonsense() {
        let deps =
            meta(&fields(serde_json::json!({ "eip712Meta": { "factoryDeps": [[1, 2, 3]] } })));
        assert!(matches!(deps, Err(ChainError::InvalidParams(e)) if e.contains("EraVM")));
        let odd = meta(&fields(serde_json::json!({ "eip712Meta": { "customSignature": [256] } })));
        assert!(matches!(odd, Err(ChainError::InvalidParams(_))));
    }
}
