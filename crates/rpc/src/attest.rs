//! `cairn_`: what attesters in other processes need of a node. Two methods, both answered only to registered attesters.

use alloy_primitives::{B256, Bytes};
use serde::Serialize;

use crate::context::{Module, Registered, heavy};
use crate::error::{ChainError, Result};

/// Bytes of a witness in one answer.
pub const WITNESS_CHUNK: u64 = 4 << 20;
/// Bytes of a signature `(r, s, v)`.
const SIGNATURE: usize = 65;

/// A part of a batch's witness.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WitnessPart {
    /// Bytes of the whole witness.
    pub size: u64,
    /// Bytes from the asked offset on, at most [`WITNESS_CHUNK`].
    pub data: Bytes,
    /// What the operator claims of the batch.
    pub public_input: B256,
}

/// The node's side.
pub trait AttestationDesk: Send + Sync + 'static {
    /// Bytes of a batch's witness from `offset` on; `None` while the batch is not sealed. `signature` is a registered attester's over the request (see
    /// [`cairn_primitives::batch::witness_request_digest`]).
    ///
    /// # Errors
    /// For a stranger, or when the witness was dropped.
    fn witness(&self, number: u64, offset: u64, signature: &[u8]) -> Result<Option<WitnessPart>>;

    /// Takes an attester's signature over a batch's claim.
    ///
    /// # Errors
    /// For a stranger, or a signature over anything else.
    fn submit(&self, number: u64, signature: &[u8]) -> Result<()>;
}

pub(crate) fn register(m: &mut Module) -> Registered {
    heavy(m, "cairn_getWitness", |ctx, args| {
        let (number, offset) = (args.u64()?, args.u64()?);
        let signature = sized(args.req::<Bytes>()?)?;
        ctx.attestations()?.witness(number, offset, &signature)
    })?;
    heavy(m, "cairn_submitAttestation", |ctx, args| {
        let number = args.u64()?;
        let signature = sized(args.req::<Bytes>()?)?;
        ctx.attestations()?.submit(number, &signature)?;
        Ok(true)
    })
}

fn sized(signature: Bytes) -> Result<Bytes> {
    if signature.len() == SIGNATURE {
        return Ok(signature);
    }
    Err(ChainError::InvalidParams("an attester's signature has 65 bytes".into()))
}
