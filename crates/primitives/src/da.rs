//! Data availability: how pubdata is laid out in blobs, and the commitment that the public input carries.

use alloc::{boxed::Box, vec, vec::Vec};

use alloy_primitives::{B256, U256, keccak256};
use alloy_sol_types::SolValue;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Field elements in an EIP-4844 blob.
pub const ELEMENTS_PER_BLOB: usize = 4096;
/// Pubdata bytes in one element: the first byte stays zero, so that it is below the BLS modulus.
pub const BYTES_PER_ELEMENT: usize = 31;
/// Pubdata bytes that one blob carries.
pub const BYTES_PER_BLOB: usize = ELEMENTS_PER_BLOB * BYTES_PER_ELEMENT;
/// Most blobs of one batch.
pub const MAX_BLOBS_PER_BATCH: usize = 6;
/// Most pubdata bytes of one batch: what its blobs hold, less the length prefix.
pub const MAX_PUBDATA: usize = MAX_BLOBS_PER_BATCH * BYTES_PER_BLOB - 4;
/// Order of the BLS12-381 scalar field.
pub const BLS_MODULUS: U256 = U256::from_limbs([
    0xffff_ffff_0000_0001,
    0x53bd_a402_fffe_5bfe,
    0x3339_d808_09a1_d805,
    0x73ed_a753_299d_7d48,
]);

/// How a batch's pubdata reaches the settlement layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum DaMode {
    /// In the calldata of the commit transaction.
    Calldata = 0,
    /// In blobs.
    Blobs = 1,
    /// Elsewhere; the policy's own commitment is `keccak256(pubdata)` until it defines another.
    External = 2,
}

impl DaMode {
    /// Inverse of `as u8`.
    pub fn from_u8(v: u8) -> Option<Self> {
        match v {
            0 => Some(Self::Calldata),
            1 => Some(Self::Blobs),
            2 => Some(Self::External),
            _ => None,
        }
    }
}

/// What ties one blob to the pubdata: its polynomial takes `y` at `z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobClaim {
    /// EIP-4844 versioned hash.
    pub versioned_hash: B256,
    /// Evaluation point, see [`evaluation_point`].
    pub z: U256,
    /// Value at `z`.
    pub y: U256,
}

/// The evaluation point depends on both commitments, so that neither can be chosen after the other:
/// `keccak256(pubdata_hash || versioned_hash) mod r`.
pub fn evaluation_point(pubdata_hash: B256, versioned_hash: B256) -> U256 {
    let h = crate::header::keccak2(pubdata_hash, versioned_hash);
    U256::from_be_bytes(h.0) % BLS_MODULUS
}

/// `keccak256(abi.encode(uint8 mode, bytes32 pubdata_hash, bytes32[] claims))`, claims flattened as (versioned hash, z, y).
pub fn da_commitment(mode: DaMode, pubdata_hash: B256, claims: &[BlobClaim]) -> B256 {
    let flat: Vec<B256> =
        claims.iter().flat_map(|c| [c.versioned_hash, B256::from(c.z), B256::from(c.y)]).collect();
    keccak256((U256::from(mode as u8), pubdata_hash, flat).abi_encode_params())
}

/// Why blobs do not hold pubdata of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BlobError {
    /// Longer than a batch may carry.
    #[error("{0} bytes of pubdata do not fit in {MAX_BLOBS_PER_BATCH} blobs")]
    TooLarge(usize),
    /// A blob's size is not 4096 * 32 bytes.
    #[error("a blob has {0} bytes, not 131072")]
    Size(usize),
    /// An element's first byte is set.
    #[error("element {0} of a blob is not a 31-byte element")]
    Element(usize),
    /// The length prefix is beyond what the blobs hold, or bytes after the pubdata are not zero.
    #[error("the length prefix of the pubdata does not match the blobs")]
    Length,
}

/// Bytes of one blob (131,072).
pub type BlobBytes = Box<[u8]>;

/// The 31-byte elements that hold `u32 length || pubdata`, per blob, without the zero tail.
pub fn blob_elements(pubdata: &[u8]) -> Result<Vec<Vec<[u8; 32]>>, BlobError> {
    if pubdata.len() > MAX_PUBDATA {
        return Err(BlobError::TooLarge(pubdata.len()));
    }
    let mut framed = Vec::with_capacity(pubdata.len() + 4);
    framed.extend_from_slice(&(pubdata.len() as u32).to_be_bytes());
    framed.extend_from_slice(pubdata);
    Ok(framed
        .chunks(BYTES_PER_BLOB)
        .map(|blob| {
            blob.chunks(BYTES_PER_ELEMENT)
                .map(|e| {
                    let mut out = [0u8; 32];
                    out[1..1 + e.len()].copy_from_slice(e);
                    out
                })
                .collect()
        })
        .collect())
}

/// Whole blobs for `pubdata`.
pub fn to_blobs(pubdata: &[u8]) -> Result<Vec<BlobBytes>, BlobError> {
    Ok(blob_elements(pubdata)?
        .into_iter()
        .map(|elements| {
            let mut blob = vec![0u8; ELEMENTS_PER_BLOB * 32];
            for (chunk, e) in blob.chunks_mut(32).zip(&elements) {
                chunk.copy_from_slice(e);
            }
            blob.into_boxed_slice()
        })
        .collect())
}

/// Inverse of [`to_blobs`]; everything outside the pubdata must be zero, so that one pubdata has one form.
pub fn from_blobs(blobs: &[&[u8]]) -> Result<Vec<u8>, BlobError> {
    if blobs.is_empty() || blobs.len() > MAX_BLOBS_PER_BATCH {
        return Err(BlobError::Length);
    }
    let mut framed = Vec::with_capacity(blobs.len() * BYTES_PER_BLOB);
    for blob in blobs {
        if blob.len() != ELEMENTS_PER_BLOB * 32 {
            return Err(BlobError::Size(blob.len()));
        }
        for (i, e) in blob.chunks(32).enumerate() {
            if e[0] != 0 {
                return Err(BlobError::Element(i));
            }
            framed.extend_from_slice(&e[1..]);
        }
    }
    let len = u32::from_be_bytes([framed[0], framed[1], framed[2], framed[3]]) as usize;
    let end = len.checked_add(4).filter(|end| *end <= framed.len()).ok_or(BlobError::Length)?;
    let needed = end.div_ceil(BYTES_PER_BLOB);
    if needed != blobs.len() || framed[end..].iter().any(|b| *b != 0) {
        return Err(BlobError::Length);
    }
    framed.truncate(end);
    framed.drain(..4);
    Ok(framed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_round_trip_at_the_edges() {
        for len in [0, 1, 26, 27, 28, BYTES_PER_BLOB - 4, BYTES_PER_BLOB - 3, MAX_PUBDATA] {
            let data: Vec<u8> = (0..len).map(|i| (i * 7 + 1) as u8).collect();
            let blobs = to_blobs(&data).unwrap();
            let refs: Vec<&[u8]> = blobs.iter().map(|b| &b[..]).collect();
            assert_eq!(from_blobs(&refs).unwrap(), data);
        }
        assert_eq!(to_blobs(&vec![0; MAX_PUBDATA + 1]), Err(BlobError::TooLarge(MAX_PUBDATA + 1)));
    }

    #[test]
    fn dirty_blobs_are_refused() {
        let mut blob = to_blobs(b"abc").unwrap().remove(0);
        blob[32 * 4095 + 31] = 1;
        assert_eq!(from_blobs(&[&blob]), Err(BlobError::Length));
        blob[32] = 1;
        assert_eq!(from_blobs(&[&blob]), Err(BlobError::Element(1)));
        assert_eq!(from_blobs(&[&blob[1..]]), Err(BlobError::Size(131071)));
    }
}
