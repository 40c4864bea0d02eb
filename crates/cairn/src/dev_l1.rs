//! Methods that only an L1 in development offers.

use std::time::Duration;

use alloy_provider::Provider;
use cairn_rpc::{
    ChainError,
    error::{METHOD_NOT_FOUND, Result},
};
use cairn_settlement::l1::L1;
use serde_json::Value;

/// Longest wait for an answer.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks once: what changes L1 must not be tried again.
///
/// # Errors
/// [`ChainError::Unsupported`] where L1 does not know the method, [`ChainError::Halted`] with its words, [`ChainError::Internal`] without an answer.
pub async fn ask(l1: &L1, method: &'static str, params: Value) -> Result<Value> {
    let asked = l1.provider().raw_request(method.into(), params);
    let Ok(answer) = tokio::time::timeout(PATIENCE, asked).await else {
        return Err(ChainError::Internal(format!("L1's {method}: no answer in time")));
    };
    answer.map_err(|e| match e.as_error_resp() {
        Some(said) if said.code == i64::from(METHOD_NOT_FOUND) => ChainError::Unsupported(format!(
            "the chain's L1 does not offer {method}, which this needs"
        )),
        Some(said) => ChainError::Halted(format!("L1's {method}: {}", said.message)),
        None => ChainError::Internal(format!("L1's {method}: no answer")),
    })
}
