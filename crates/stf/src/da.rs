//! Tying blobs to pubdata: the value of a blob's polynomial at a point, computed from the blob's non-zero prefix.
//!
//! A blob is a polynomial by its values `d[i]` at the 4096th roots of unity in bit-reversed order. Off the roots, the barycentric formula gives
//! `p(z) = (z^4096 - 1) / 4096 * sum d[i] * w[i] / (z - w[i])` (EIP-4844, `evaluate_polynomial_in_evaluation_form`); zero elements add nothing.

use alloc::vec::Vec;

use alloy_primitives::{B256, U256, keccak256};
use cairn_accel::u256::{self, Words};
use cairn_primitives::da::{
    BLS_MODULUS, BlobClaim, DaMode, ELEMENTS_PER_BLOB, blob_elements, da_commitment,
    evaluation_point,
};

use crate::batch::BatchError;

const fn words(v: U256) -> Words {
    let l = v.as_limbs();
    [
        l[0] as u32,
        (l[0] >> 32) as u32,
        l[1] as u32,
        (l[1] >> 32) as u32,
        l[2] as u32,
        (l[2] >> 32) as u32,
        l[3] as u32,
        (l[3] >> 32) as u32,
    ]
}

fn number(w: &Words) -> U256 {
    U256::from_limbs(core::array::from_fn(|i| u64::from(w[2 * i]) | u64::from(w[2 * i + 1]) << 32))
}

const P: Words = words(BLS_MODULUS);
/// 7 generates the multiplicative group of the BLS12-381 scalar field.
const GENERATOR: Words = [7, 0, 0, 0, 0, 0, 0, 0];
const LOG_ELEMENTS: usize = ELEMENTS_PER_BLOB.trailing_zeros() as usize;

fn mul(a: &Words, b: &Words) -> Words {
    u256::mul_mod(a, b, &P)
}

fn pow(base: &Words, exponent: U256) -> Words {
    let mut out = u256::ONE;
    for bit in (0..exponent.bit_len()).rev() {
        out = mul(&out, &out);
        if exponent.bit(bit) {
            out = mul(&out, base);
        }
    }
    out
}

/// Canonical `a - b` of canonical values.
fn sub(a: &Words, b: &Words) -> Words {
    if u256::lt(a, b) { u256::sub(&u256::add(a, &P), b) } else { u256::sub(a, b) }
}

/// Inverse of a value that is not zero, by Fermat: once a blob, so 400 multiplications beat the code of a checked hint.
fn inverse(a: &Words) -> Words {
    pow(a, BLS_MODULUS - U256::from(2))
}

/// `w^(bit-reversed 2^b)` for each bit `b` of an index: the root at an index is the product over its bits.
fn bit_roots() -> [Words; LOG_ELEMENTS] {
    let order = (BLS_MODULUS - U256::ONE) / U256::from(ELEMENTS_PER_BLOB);
    let root = pow(&GENERATOR, order);
    let mut out = [u256::ONE; LOG_ELEMENTS];
    let mut power = root;
    for slot in out.iter_mut().rev() {
        *slot = power;
        power = mul(&power, &power);
    }
    out
}

/// The first `n` roots in bit-reversed order.
fn roots(n: usize) -> Vec<Words> {
    let bits = bit_roots();
    let mut out: Vec<Words> = Vec::with_capacity(n.max(1));
    out.push(u256::ONE);
    for i in 1..n {
        let low = i.trailing_zeros() as usize;
        let rest = out[i & (i - 1)];
        out.push(mul(&rest, &bits[low]));
    }
    out
}

/// Evaluates the polynomial whose values are `elements` (32-byte big-endian, below the modulus) and then zeros, at `z` below the modulus.
pub fn evaluate_blob(elements: &[[u8; 32]], z: U256) -> U256 {
    let z = words(z);
    let elements: Vec<Words> =
        elements.iter().take(ELEMENTS_PER_BLOB).map(u256::from_be_bytes).collect();
    // z^4096 - 1 is zero exactly at the roots of unity.
    let mut vanishing = z;
    for _ in 0..LOG_ELEMENTS {
        vanishing = mul(&vanishing, &vanishing);
    }
    vanishing = sub(&vanishing, &u256::ONE);
    if u256::is_zero(&vanishing) {
        let at = roots(ELEMENTS_PER_BLOB).iter().position(|w| *w == z);
        return at.and_then(|i| elements.get(i)).map_or(U256::ZERO, number);
    }
    let roots = roots(elements.len());
    let differences: Vec<Words> = roots[..elements.len()].iter().map(|w| sub(&z, w)).collect();
    let inverses = invert_all(&differences);
    let mut sum = u256::ZERO;
    for ((d, w), inv) in elements.iter().zip(&roots).zip(&inverses) {
        let term = mul(&mul(d, w), inv);
        sum = u256::add_mod(&sum, &term, &P);
    }
    let size_inverse = inverse(&[ELEMENTS_PER_BLOB as u32, 0, 0, 0, 0, 0, 0, 0]);
    number(&mul(&mul(&sum, &vanishing), &size_inverse))
}

/// Inverses of values none of which is zero, with one inversion (Montgomery's trick).
fn invert_all(values: &[Words]) -> Vec<Words> {
    let mut prefixes = Vec::with_capacity(values.len());
    let mut product = u256::ONE;
    for v in values {
        prefixes.push(product);
        product = mul(&product, v);
    }
    let mut inv = inverse(&product);
    let mut out = prefixes;
    for (slot, v) in out.iter_mut().zip(values).rev() {
        *slot = mul(slot, &inv);
        inv = mul(&inv, v);
    }
    out
}

/// The claims of the blobs that carry `pubdata`, in order. `blob_hashes` are their versioned hashes.
///
/// # Errors
/// When the number of hashes is not the number of blobs, or the pubdata does not fit.
pub fn blob_claims(pubdata: &[u8], blob_hashes: &[B256]) -> Result<Vec<BlobClaim>, BatchError> {
    let blobs = blob_elements(pubdata).map_err(BatchError::Blob)?;
    if blobs.len() != blob_hashes.len() {
        return Err(BatchError::BlobCount { needed: blobs.len(), given: blob_hashes.len() });
    }
    let pubdata_hash = keccak256(pubdata);
    let claim = |(elements, hash): (&Vec<[u8; 32]>, &B256)| {
        let z = evaluation_point(pubdata_hash, *hash);
        BlobClaim { versioned_hash: *hash, z, y: evaluate_blob(elements, z) }
    };
    Ok(blobs.iter().zip(blob_hashes).map(claim).collect())
}

/// The batch's data-availability commitment.
///
/// # Errors
/// See [`blob_claims`].
pub fn commitment(mode: DaMode, pubdata: &[u8], blob_hashes: &[B256]) -> Result<B256, BatchError> {
    let claims = match mode {
        DaMode::Blobs => blob_claims(pubdata, blob_hashes)?,
        DaMode::Calldata | DaMode::External if !blob_hashes.is_empty() => {
            return Err(BatchError::BlobCount { needed: 0, given: blob_hashes.len() });
        }
        DaMode::Calldata | DaMode::External => Vec::new(),
    };
    Ok(da_commitment(mode, keccak256(pubdata), &claims))
}
