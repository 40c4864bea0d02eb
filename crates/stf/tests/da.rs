//! Blob evaluation against c-kzg, and pubdata decoding of any bytes.

use alloy_primitives::{B256, U256};
use cairn_primitives::da::{BLS_MODULUS, blob_elements, evaluation_point, to_blobs};
use cairn_stf::{
    da::{blob_claims, evaluate_blob},
    pubdata::{MAX_BLOCK_BYTES, PUBDATA_VERSION, Pubdata, PublishedBlock, encode},
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

fn published() -> impl Strategy<Value = Vec<PublishedBlock>> {
    let empty = (0u64..3).prop_map(|gap| PublishedBlock { gap, ..Default::default() });
    let full =
        (any::<u64>(), 0u64..1 << 40, any::<[u8; 32]>()).prop_map(|(gap, gas_used, hash)| {
            PublishedBlock { gap, gas_used, txs_rolling_hash: B256::new(hash) }
        });
    prop::collection::vec(prop_oneof![3 => empty, 1 => full], 1..80)
}

fn with_blocks(blocks: &[PublishedBlock]) -> Vec<u8> {
    encode(blocks, &[], &[], [].iter(), &Default::default())
}

#[test]
fn empty_blocks_cost_next_to_nothing() {
    let one = with_blocks(&[PublishedBlock::default()]).len();
    let blocks = vec![PublishedBlock { gap: 1, ..Default::default() }; 5_000];
    assert!(with_blocks(&blocks).len() <= one + 4);
    assert_eq!(Pubdata::decode(&with_blocks(&blocks)).unwrap().blocks, blocks);
}

#[test]
fn blocks_have_one_encoding() {
    let rest = &with_blocks(&[PublishedBlock::default()])[5..];
    let bytes = |blocks: &[u8]| [&[PUBDATA_VERSION], blocks, rest].concat();
    assert!(Pubdata::decode(&bytes(&[2, 0, 1, 7])).is_ok());
    for (name, blocks) in [
        ("no blocks", &[0u8][..]),
        ("two runs of one gap", &[2, 0, 0, 7, 0, 0, 7]),
        ("a run beyond the count", &[2, 0, 2, 7]),
        ("a longer varint", &[2, 0, 0x81, 0, 7]),
        ("too many", &[0xff, 0xff, 0xff, 0x7f, 0, 0, 0]),
    ] {
        assert!(Pubdata::decode(&bytes(blocks)).is_err(), "{name}");
    }
    let disguised = [&[1u8, 1, 7][..], &[0; 32]].concat();
    assert!(Pubdata::decode(&bytes(&disguised)).is_err(), "an empty block in the long form");
}

proptest! {
    #[test]
    fn published_blocks_come_back(blocks in published()) {
        let bytes = with_blocks(&blocks);
        prop_assert!(bytes.len() as u64 <= 64 + blocks.len() as u64 * MAX_BLOCK_BYTES);
        prop_assert_eq!(&Pubdata::decode(&bytes).unwrap().blocks, &blocks);
    }

    #[test]
    fn pubdata_decoder_survives_any_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..600), versioned: bool) {
        if versioned && !bytes.is_empty() {
            bytes[0] = PUBDATA_VERSION;
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
