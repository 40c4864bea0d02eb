//! An L1 with the contracts and one chain on it.

use alloy_primitives::{Address, B256};
use alloy_signer_local::PrivateKeySigner;
use cairn_l1_dev::{L1Config, L1Dev};
use cairn_primitives::{ChainConfig, FeeParams};
use cairn_settlement::{
    bridge::Bridge,
    deploy::{ChainDeployment, Ecosystem, NewChain, create_chain, deploy_ecosystem},
    l1::{L1, L1Wallet},
    verifier::{Attesters, VerifierKind, Verifiers, deploy_verifiers},
};

/// First account of the test mnemonic.
pub const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
pub const CHAIN_ID: u64 = 271;

pub struct World {
    pub l1: L1,
    pub wallet: L1Wallet,
    pub ecosystem: Ecosystem,
    pub chain: ChainDeployment,
    pub genesis: NewChain,
    _server: cairn_rpc::RpcHandle,
    _node: L1Dev,
}

/// A chain whose batches one attester signs.
pub async fn world() -> World {
    world_with(None).await
}

/// A chain with another verifier: runtime code is the answer to any call, and it is 1.
pub async fn world_with(verifier: Option<&[u8]>) -> World {
    let node = L1Dev::open(L1Config::default()).unwrap();
    let server = node.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let l1 = L1::connect(&server.http_url(), None).await.unwrap();
    let signer: PrivateKeySigner = KEY.parse().unwrap();
    let me = signer.address();
    let wallet = L1Wallet::new(l1.clone(), signer);
    let ecosystem = deploy_ecosystem(&wallet, 60).await.unwrap();
    let kind = VerifierKind::Attesters;
    let attesters = Attesters { accounts: vec![me], threshold: 1, owner: ecosystem.governance };
    let (verifiers, program_id) = match verifier {
        None => (deploy_verifiers(&wallet, kind, None, &attesters).await.unwrap(), B256::ZERO),
        Some(runtime) => {
            let verifier = deploy_raw(&wallet, runtime).await;
            // It answers so when it is asked for its program, too.
            let program = B256::with_last_byte(1);
            (Verifiers { kind, verifier, proof: None, attesters: Some(verifier) }, program)
        }
    };
    let genesis = NewChain {
        config: ChainConfig::eth_rollup(CHAIN_ID, l1.chain_id()),
        fee_params: FeeParams::default(),
        admin: me,
        validator: me,
        verifiers,
        program_id,
        genesis_root: B256::repeat_byte(1),
        genesis_leaves: 2,
        genesis_block_hash: B256::repeat_byte(2),
        genesis_timestamp: 1,
    };
    let chain = create_chain(&wallet, &ecosystem, &genesis).await.unwrap();
    World { l1, wallet, ecosystem, chain, genesis, _server: server, _node: node }
}

async fn deploy_raw(wallet: &L1Wallet, runtime: &[u8]) -> Address {
    // PUSH1 len DUP1 PUSH1 9 PUSH0 CODECOPY PUSH0 RETURN
    let mut init = vec![0x60, runtime.len() as u8, 0x80, 0x60, 9, 0x5f, 0x39, 0x5f, 0xf3];
    init.extend(runtime);
    let send = cairn_settlement::l1::Send {
        what: "a contract".into(),
        data: init.into(),
        ..Default::default()
    };
    wallet.send(send).await.unwrap().contract_address.unwrap()
}

impl World {
    pub fn bridge(&self) -> Bridge<'_> {
        Bridge::new(&self.wallet, &self.ecosystem, CHAIN_ID, self.chain.address)
    }
}
