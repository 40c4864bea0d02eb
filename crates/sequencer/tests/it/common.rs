//! A chain with funded accounts, and signed transactions.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use cairn_primitives::{ChainConfig, PriorityTx};
use cairn_sequencer::{BridgeInfo, L2Rpc, Sequencer, SequencerConfig, open_storage};
use cairn_stf::genesis::{GenesisAccount, GenesisConfig};
use cairn_storage::Storage;

pub const CHAIN_ID: u64 = 270;
pub const L1_CHAIN_ID: u64 = 31337;
pub const OPERATOR: Address = address!("00000000000000000000000000000000000000fe");
pub const SINK: Address = address!("00000000000000000000000000000000000051dc");
/// 2 gwei: above the base fee.
pub const FEE: u128 = 2_000_000_000;

pub fn key(i: u64) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&keccak256(i.to_be_bytes())).unwrap()
}

pub fn genesis(accounts: u64) -> GenesisConfig {
    let mut all = BTreeMap::new();
    for i in 0..accounts {
        let balance = 1_000_000_000_000_000_000_000;
        all.insert(key(i).address(), GenesisAccount { balance, ..Default::default() });
    }
    GenesisConfig {
        config: ChainConfig::eth_rollup(CHAIN_ID, L1_CHAIN_ID),
        timestamp: 1_700_000_000,
        accounts: all,
    }
}

pub fn config() -> SequencerConfig {
    let mut config = SequencerConfig::new(ChainConfig::eth_rollup(CHAIN_ID, L1_CHAIN_ID), OPERATOR);
    config.batches.max_age = None;
    config.dev = true;
    config
}

pub fn start(dir: &Path, config: SequencerConfig) -> Sequencer {
    Sequencer::start(config, open_storage(dir, &genesis(8)).unwrap()).unwrap()
}

pub fn rpc(sequencer: &Sequencer) -> L2Rpc {
    L2Rpc::new(sequencer.clone(), BridgeInfo { l1_chain_id: L1_CHAIN_ID, ..BridgeInfo::default() })
}

#[derive(Clone)]
pub struct Tx(pub TxEip1559);

impl Tx {
    pub fn new(nonce: u64) -> Self {
        Self(TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: 21_000,
            max_fee_per_gas: FEE,
            max_priority_fee_per_gas: 0,
            to: TxKind::Call(SINK),
            value: U256::from(1),
            ..Default::default()
        })
    }

    pub fn fee(mut self, cap: u128, tip: u128) -> Self {
        (self.0.max_fee_per_gas, self.0.max_priority_fee_per_gas) = (cap, tip);
        self
    }

    pub fn gas(mut self, gas: u64) -> Self {
        self.0.gas_limit = gas;
        self
    }

    pub fn value(mut self, value: U256) -> Self {
        self.0.value = value;
        self
    }

    pub fn call(mut self, to: Address, data: impl Into<Bytes>) -> Self {
        (self.0.to, self.0.input, self.0.value) = (TxKind::Call(to), data.into(), U256::ZERO);
        self.gas(1_000_000)
    }

    pub fn create(mut self, code: impl Into<Bytes>) -> Self {
        (self.0.to, self.0.input, self.0.value) = (TxKind::Create, code.into(), U256::ZERO);
        self.gas(2_000_000)
    }

    pub fn sign(self, signer: &PrivateKeySigner) -> (B256, Bytes) {
        let signature = signer.sign_hash_sync(&self.0.signature_hash()).unwrap();
        let tx = TxEnvelope::from(self.0.into_signed(signature));
        (*tx.tx_hash(), tx.encoded_2718().into())
    }
}

pub fn deposit(id: u64, to: Address, value: u128) -> PriorityTx {
    let (gas_limit, price) = (1_000_000, 1_000_000_000u128);
    let mut op = PriorityTx {
        hash: B256::ZERO,
        id,
        from: to,
        to,
        gas_limit,
        gas_per_pubdata: 800,
        max_fee_per_gas: price,
        value: U256::from(value),
        to_mint: U256::from(value + u128::from(gas_limit) * price),
        refund_recipient: to,
        data: Bytes::new(),
    };
    op.hash = PriorityTx::from_canonical(&op.to_canonical()).unwrap().hash;
    op
}

/// Waits until `done`, for at most a minute (a loaded machine).
pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(60), "timed out: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub async fn included(storage: &Storage, hash: B256) {
    until("inclusion", || storage.tx_location(hash).unwrap().is_some()).await;
}

pub async fn sealed(sequencer: &Sequencer) -> u64 {
    let number = sequencer.seal_now().await.unwrap();
    until("a sealed batch", || {
        sequencer.storage().batch_heads().sealed >= number || sequencer.status().halted.is_some()
    })
    .await;
    assert_eq!(sequencer.status().halted, None);
    number
}

/// Init code of a contract that logs its calldata's first word as a topic and stores it in slot 0; with empty calldata it reverts with "no".
pub fn recorder() -> Bytes {
    // CALLDATASIZE PUSH1 ok JUMPI; revert Error("no"); ok: slot0 = calldata[0]; LOG1(topic = calldata[0]); STOP
    let mut revert = alloy_primitives::hex!("08c379a0").to_vec();
    revert.resize(4 + 31, 0);
    revert.push(0x20);
    revert.resize(4 + 63, 0);
    revert.push(2);
    revert.extend(b"no");
    revert.resize(4 + 96, 0);
    let mut code = vec![0x36, 0x60, 0, 0x57];
    // CODECOPY(0, at, 100) REVERT(0, 100)
    code.extend([0x60, 100, 0x60, 0, 0x60, 0, 0x39, 0x60, 100, 0x60, 0, 0xfd]);
    let ok = code.len();
    code.extend([0x5b, 0x5f, 0x35, 0x80, 0x5f, 0x55, 0x5f, 0x5f, 0xa1, 0x00]);
    let at = code.len();
    code[2] = ok as u8;
    code[7] = at as u8;
    code.extend(revert);
    // PUSH1 len, PUSH1 offset, PUSH0 CODECOPY; RETURN
    let len = code.len() as u8;
    let mut init = vec![0x60, len, 0x60, 11, 0x5f, 0x39, 0x60, len, 0x5f, 0xf3, 0x00];
    init.extend(code);
    init.into()
}
