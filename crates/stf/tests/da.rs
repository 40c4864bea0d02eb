//! Blob evaluation against c-kzg, and pubdata decoding of any bytes.

use alloy_primitives::{B256, U256};
use cairn_primitives::da::{BLS_MODULUS, blob_elements, evaluation_point, to_blobs};
use cairn_stf::{
    da::{blob_claims, evaluate_blob},
    pubdata::Pubdata,
};
use proptest::prelude::*;

fn kzg_value(blob: &[u8], z: U256) -> U256 {
    let blob = c_kzg::Blob::from_bytes(blob).unwrap();
    let z = c_kzg::Bytes32::new(z.to_be_bytes());
    let settings = c_kzg::ethereum_kzg_settings(0);
    let (_, y) = settings.compute_kzg_proof(&blob, &z).unwrap();
    U256::from_be_slice(y.as_slice())
}

#[test]
fn evaluation_agrees_with_c_kzg() {
    for (len, seed) in [(0, 1u8), (1, 2), (27, 3), (31, 4), (500, 5), (20_000, 6), (130_000, 7)] {
        let pubdata: Vec<u8> = (0..len).map(|i: u32| (i as u8).wrapping_mul(seed) ^ seed).collect();
        let blobs = to_blobs(&pubdata).unwrap();
        let elements = blob_elements(&pubdata).unwrap();
        for (blob, elements) in blobs.iter().zip(&elements) {
            let z = evaluation_point(B256::repeat_byte(seed), B256::repeat_byte(9));
            assert_eq!(evaluate_blob(elements, z), kzg_value(blob, z), "{len} bytes");
        }
    }
}

/// At a root of unity the polynomial takes one of the elements.
#[test]
fn evaluation_at_roots_of_unity() {
    let pubdata: Vec<u8> = (0..3_000u32).map(|i| i as u8).collect();
    let blob = &to_blobs(&pubdata).unwrap()[0];
    let elements = &blob_elements(&pubdata).unwrap()[0];
    let order = (BLS_MODULUS - U256::ONE) / U256::from(4096);
    let root = U256::from(7).pow_mod(order, BLS_MODULUS);
    for power in [0u64, 1, 2, 5, 2048, 4095] {
        let z = root.pow_mod(U256::from(power), BLS_MODULUS);
        assert_eq!(evaluate_blob(elements, z), kzg_value(blob, z), "power {power}");
    }
}

#[test]
fn claims_need_one_hash_a_blob() {
    let pubdata = vec![1; 200_000];
    assert_eq!(blob_claims(&pubdata, &[B256::ZERO; 2]).unwrap().len(), 2);
    assert!(blob_claims(&pubdata, &[B256::ZERO]).is_err());
    assert!(blob_claims(&pubdata, &[B256::ZERO; 3]).is_err());
}

proptest! {
    #[test]
    fn pubdata_decoder_survives_any_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..600), versioned: bool) {
        if versioned && !bytes.is_empty() {
            bytes[0] = 1;
        }
        let _ = Pubdata::decode(&bytes);
    }

    #[test]
    fn witness_decoder_survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut framed = b"CWv1".to_vec();
        framed.extend(bytes);
        framed.resize(framed.len().next_multiple_of(4), 0);
        prop_assert!(cairn_stf::prove_batch(&framed).is_err());
    }
}
