//! The formats that the settlement contracts recompute: Rust, Solidity (`contracts/test/Vectors.t.sol`) and an independent script agree on one file.
#![allow(missing_docs, clippy::unwrap_used)]

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use cairn_primitives::{
    batch::{PublicInput, StoredBatchInfo, attestation_digest},
    config::{ChainConfig, DaPolicy, FeeParams},
    da::{DaMode, da_commitment},
    l2_to_l1::{L2ToL1Log, LogTree, chain_batch_root},
    priority::{PriorityTx, empty_queue_hash, roll_priority_hash},
};
use serde_json::Value;

fn vector() -> Value {
    serde_json::from_str(include_str!("../../../contracts/test/vectors/public_input.json")).unwrap()
}

fn get<T: serde::de::DeserializeOwned>(v: &Value) -> T {
    serde_json::from_value(v.clone()).unwrap()
}

#[test]
fn public_input_and_stored_batch() {
    let v = vector();
    let input: PublicInput = get(&v["public_input"]);
    let words: Vec<B256> = get(&v["words"]);
    assert_eq!(input.words().to_vec(), words);
    assert_eq!(input.hash(), get::<B256>(&v["public_input_hash"]));

    let stored = StoredBatchInfo::from_public_input(&input, input.priority_ops_count);
    assert_eq!(stored, get::<StoredBatchInfo>(&v["stored_batch"]));
    assert_eq!(stored.hash(), get::<B256>(&v["stored_batch_hash"]));
}

#[test]
fn chain_config_and_fees() {
    let v = vector();
    let c = &v["chain_config"];
    let config = ChainConfig {
        chain_id: get(&c["chain_id"]),
        settlement_chain_id: get(&c["settlement_chain_id"]),
        base_token_asset_id: get(&c["base_token_asset_id"]),
        da_policy: DaPolicy::Rollup,
    };
    assert_eq!(config, ChainConfig::eth_rollup(config.chain_id, config.settlement_chain_id));
    assert_eq!(config.hash(), get::<B256>(&v["chain_config_hash"]));
    let fees: FeeParams = get(&v["fee_params"]);
    assert_eq!(fees.hash(), get::<B256>(&v["fee_params_hash"]));
}

#[test]
fn priority_operations() {
    let v = vector();
    let mut rolling = empty_queue_hash();
    for o in v["operations"].as_array().unwrap() {
        let encoded: Bytes = get(&o["encoded"]);
        let (tx, _) = PriorityTx::decode(&encoded).unwrap();
        assert_eq!(tx.hash, get::<B256>(&o["hash"]));
        assert_eq!(tx.id, get::<u64>(&o["id"]));
        assert_eq!(tx.from, get::<Address>(&o["from"]));
        assert_eq!(tx.to, get::<Address>(&o["to"]));
        assert_eq!(tx.gas_limit, get::<u64>(&o["gas_limit"]));
        assert_eq!(tx.gas_per_pubdata, get::<u64>(&o["gas_per_pubdata"]));
        assert_eq!(tx.max_fee_per_gas, u128::from(get::<u64>(&o["max_fee_per_gas"])));
        assert_eq!(tx.value, U256::from(get::<u64>(&o["value"])));
        assert_eq!(tx.to_mint, U256::from(get::<u64>(&o["to_mint"])));
        assert_eq!(tx.refund_recipient, get::<Address>(&o["refund_recipient"]));
        assert_eq!(tx.data, get::<Bytes>(&o["data"]));
        rolling = roll_priority_hash(rolling, tx.hash);
    }
    assert_eq!(rolling, get::<B256>(&v["public_input"]["priority_ops_hash_after"]));
}

#[test]
fn data_availability() {
    let v = vector();
    let pubdata: Bytes = get(&v["pubdata"]);
    let commitment = da_commitment(DaMode::Calldata, keccak256(&pubdata), &[]);
    assert_eq!(commitment, get::<B256>(&v["da_commitment"]));
}

#[test]
fn logs_and_their_proof() {
    let v = vector();
    let log: L2ToL1Log = get(&v["log"]);
    assert_eq!(Bytes::from(log.pack().to_vec()), get::<Bytes>(&v["log_packed"]));
    assert_eq!(log.hash(), get::<B256>(&v["log_leaf"]));
    let tree = LogTree::new(&[log]).unwrap();
    assert_eq!(tree.l1_proof(0, B256::ZERO).unwrap(), get::<Vec<B256>>(&v["log_proof"]));
    let root = chain_batch_root(tree.root(), B256::ZERO);
    assert_eq!(root, get::<B256>(&v["public_input"]["l2_to_l1_root"]));
}

#[test]
fn attestation() {
    let v = vector();
    let a = &v["attestation"];
    let inputs: Vec<B256> = get(&a["public_inputs"]);
    let digest = attestation_digest(get(&a["settlement_chain_id"]), get(&a["verifier"]), &inputs);
    assert_eq!(digest, get::<B256>(&a["digest"]));
}
