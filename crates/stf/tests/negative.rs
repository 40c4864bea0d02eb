//! A witness that lies proves nothing: it is refused, or it proves something else than the honest public input.

mod common;

use alloy_primitives::{Address, B256, TxKind, U256};
use cairn_primitives::{DaPolicy, address, da::DaMode};
use cairn_stf::{BatchError, BatchWitness, TxError, prove_batch};
use common::*;

/// A batch with a bit of everything.
fn batch() -> (BatchWitness, B256) {
    let mut chain = Chain::new(3);
    let first = vec![chain.transfer(0, Address::repeat_byte(0x42), 5)];
    chain.block(first);
    chain.seal();
    let deposit = chain.priority(Address::repeat_byte(0x55), 7, 100_000, vec![]);
    let store = chain.call(0, STORE, store_data(1, 2));
    let hash = chain.call(1, BLOCKHASH, U256::from(2).to_be_bytes_vec());
    chain.block(vec![deposit, store, hash]);
    let message = chain.call(2, address::L1_MESSENGER, vec![9; 40]);
    let deploy = chain.tx(0, TxKind::Create, 0, init_code(&[0x60, 1, 0]));
    let delegate = chain.delegate(1, 2, STORE);
    chain.block(vec![message, deploy, delegate]);
    let sealed = chain.seal();
    let witness = BatchWitness::decode(&sealed.witness).unwrap();
    assert_eq!(witness.encode(), sealed.witness);
    let honest = prove_batch(&sealed.witness).unwrap();
    assert_eq!(honest, sealed.public_input().hash());
    (witness, honest)
}

type Tamper = (&'static str, fn(&mut BatchWitness));

/// Every field of the witness, each changed in a way that keeps the encoding well-formed.
const TAMPERS: &[Tamper] = &[
    ("chain id", |w| w.input.config.chain_id += 1),
    ("settlement chain id", |w| w.input.config.settlement_chain_id += 1),
    ("base token", |w| w.input.config.base_token_asset_id.0[0] ^= 1),
    ("policy", |w| w.input.config.da_policy = DaPolicy::Validium),
    ("program id", |w| w.input.guest_program_id.0[0] ^= 1),
    ("base fee", |w| w.input.fees.base_fee += 1),
    ("gas per pubdata", |w| w.input.fees.gas_per_pubdata += 1),
    ("operator", |w| w.input.operator.0[0] ^= 1),
    ("mode external", |w| w.input.da_mode = DaMode::External),
    ("mode blobs", |w| w.input.da_mode = DaMode::Blobs),
    ("blob hash", |w| w.input.blob_hashes.push(B256::repeat_byte(1))),
    ("blobs", |w| {
        w.input.da_mode = DaMode::Blobs;
        w.input.blob_hashes = vec![B256::repeat_byte(1)];
    }),
    ("batch number", |w| w.input.batch_number += 1),
    ("previous root", |w| w.input.prev_state_root.0[31] ^= 1),
    ("leaf count +1", |w| w.input.prev_leaf_count += 1),
    ("leaf count -1", |w| w.input.prev_leaf_count -= 1),
    ("priority hash", |w| w.input.priority_ops_hash_before.0[0] ^= 1),
    ("ancestor number", |w| w.input.ancestors[0].number += 1),
    ("ancestor timestamp", |w| w.input.ancestors[0].timestamp -= 1),
    ("ancestor parent", |w| w.input.ancestors[0].parent_hash.0[0] ^= 1),
    ("ancestor transactions", |w| w.input.ancestors[0].txs_rolling_hash.0[0] ^= 1),
    ("ancestor base fee", |w| w.input.ancestors[0].base_fee += 1),
    ("ancestor gas", |w| w.input.ancestors[0].gas_used += 1),
    ("ancestor beneficiary", |w| w.input.ancestors[0].beneficiary.0[0] ^= 1),
    ("second ancestor", |w| w.input.ancestors[1].gas_used += 1),
    ("second ancestor dropped", |w| {
        w.input.ancestors.pop();
    }),
    ("no ancestors", |w| w.input.ancestors.clear()),
    ("block time", |w| w.input.blocks[1].timestamp += 1),
    ("block time backwards", |w| w.input.blocks[1].timestamp = 0),
    ("first block time", |w| w.input.blocks[0].timestamp -= 1),
    ("transaction dropped", |w| {
        w.input.blocks[1].txs.pop();
    }),
    ("first transaction dropped", |w| {
        w.input.blocks[0].txs.remove(0);
    }),
    ("transactions swapped", |w| w.input.blocks[0].txs.swap(0, 1)),
    ("transaction twice", |w| {
        let tx = w.input.blocks[0].txs[1].clone();
        w.input.blocks[0].txs.push(tx);
    }),
    ("block dropped", |w| {
        w.input.blocks.pop();
    }),
    ("empty block added", |w| w.input.blocks.push(w.input.blocks[0].clone())),
    ("no blocks", |w| w.input.blocks.clear()),
    ("code dropped", |w| {
        w.codes.remove(0);
    }),
    ("code under another name", |w| w.codes[0].0.0[31] ^= 1),
    ("codes exchanged", |w| {
        let (a, b) = (w.codes[0].1.clone(), w.codes[1].1.clone());
        (w.codes[0].1, w.codes[1].1) = (b, a);
    }),
    ("tree dropped", |w| w.tree = Default::default()),
];

fn refused_or_different(name: &str, witness: &[u8], honest: B256) {
    if let Ok(input) = prove_batch(witness) {
        assert_ne!(input, honest, "{name}: a false witness proved the honest claim");
    }
}

#[test]
fn every_field_matters() {
    let (witness, honest) = batch();
    for (name, tamper) in TAMPERS {
        let mut lie = witness.clone();
        tamper(&mut lie);
        refused_or_different(name, &lie.encode(), honest);
    }
}

#[test]
fn every_transaction_byte_matters() {
    let (witness, honest) = batch();
    for (b, block) in witness.input.blocks.iter().enumerate() {
        for (t, tx) in block.txs.iter().enumerate() {
            for i in (0..tx.len()).step_by(3) {
                let mut lie = witness.clone();
                let mut bytes = tx.to_vec();
                bytes[i] ^= 1;
                lie.input.blocks[b].txs[t] = bytes.into();
                refused_or_different("transaction byte", &lie.encode(), honest);
            }
        }
    }
}

#[test]
fn every_code_byte_matters() {
    let (witness, honest) = batch();
    for (c, (_, code)) in witness.codes.iter().enumerate() {
        for i in 0..code.len() {
            let mut lie = witness.clone();
            let mut bytes = code.to_vec();
            bytes[i] ^= 0x80;
            lie.codes[c].1 = bytes.into();
            assert!(prove_batch(&lie.encode()).is_err(), "code {c} byte {i}");
        }
        let mut lie = witness.clone();
        lie.codes[c].1 = [code.as_ref(), &[0]].concat().into();
        assert!(prove_batch(&lie.encode()).is_err());
    }
    let _ = honest;
}

/// Any single byte of the encoding, the tree witness included: padding is the only part that carries nothing, and it must be zero.
#[test]
fn every_word_of_the_encoding_matters() {
    let (witness, honest) = batch();
    let bytes = witness.encode();
    for i in (0..bytes.len()).step_by(17) {
        let mut lie = bytes.clone();
        lie[i] ^= 1 << (i % 8);
        refused_or_different("byte", &lie, honest);
    }
}

#[test]
fn truncated_extended_and_random_bytes_are_refused() {
    let (witness, _) = batch();
    let bytes = witness.encode();
    for n in (0..bytes.len()).step_by(97) {
        assert!(prove_batch(&bytes[..n]).is_err(), "{n}");
    }
    for tail in [1, 2, 3, 4, 8, 1000] {
        let mut longer = bytes.clone();
        longer.resize(bytes.len() + tail, 0);
        assert!(prove_batch(&longer).is_err(), "{tail}");
    }
    assert!(prove_batch(&[]).is_err());
    // Huge claimed lengths.
    for at in (8..bytes.len() - 4).step_by(31) {
        let mut lie = bytes.clone();
        lie[at..at + 4].fill(0xff);
        let _ = prove_batch(&lie);
    }
}

/// An unaligned slice decodes to the same.
#[test]
fn alignment_does_not_matter() {
    let (witness, honest) = batch();
    let bytes = witness.encode();
    for shift in 0..4 {
        let mut shifted = vec![0; shift];
        shifted.extend(&bytes);
        assert_eq!(prove_batch(&shifted[shift..]), Ok(honest));
    }
}

#[test]
fn invalid_transactions_invalidate_the_batch() {
    let (witness, _) = batch();
    let mut lie = witness.clone();
    let again = lie.input.blocks[0].txs[1].clone();
    lie.input.blocks[0].txs.push(again);
    let refused = prove_batch(&lie.encode());
    assert!(
        matches!(
            refused,
            Err(BatchError::InvalidTx { index: 3, error: TxError::NonceTooLow { .. }, .. })
        ),
        "{refused:?}"
    );
}

/// The witness of one chain's batch is nothing to another chain.
#[test]
fn transactions_of_another_chain_are_refused() {
    let (witness, _) = batch();
    let mut lie = witness.clone();
    lie.input.config.chain_id = 1;
    lie.input.ancestors.truncate(1);
    let refused = prove_batch(&lie.encode());
    assert!(matches!(refused, Err(BatchError::InvalidTx { error: TxError::ChainId { .. }, .. })));
}
