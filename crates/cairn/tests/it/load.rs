//! Payments that are sent without a pause, and which of them the node has acknowledged.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, TxKind, U256};
use alloy_provider::{DynProvider, Provider};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use cairn_settlement::l1::L1;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::world::{Up, ask, until};

/// Between two payments of an account: load, and not a flood.
const PAUSE: Duration = Duration::from_millis(100);

/// Accounts that pay a friend 1 wei again and again, until they are told to stop or the node is gone.
pub struct Load {
    acknowledged: Arc<Mutex<Vec<B256>>>,
    stop: Arc<AtomicBool>,
    payers: Vec<JoinHandle<()>>,
}

impl Load {
    /// One payer for each of these accounts.
    pub async fn start(up: &Up, accounts: &[usize], friend: Address) -> Self {
        let (acknowledged, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let mut payers = Vec::new();
        for account in accounts {
            let key = up.text(&format!("/accounts/{account}/key")).parse().unwrap();
            let payer = Payer::new(&up.l2().await, key, friend).await;
            payers.push(tokio::spawn(payer.pay(Arc::clone(&acknowledged), stop.clone())));
        }
        Self { acknowledged, stop, payers }
    }

    /// Payments acknowledged by now.
    pub fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Waits for so many more.
    pub async fn more(&self, payments: usize) {
        let target = self.count() + payments;
        until("payments", || async { (self.count() >= target).then_some(()) }).await;
    }

    /// Ends it; gives the hashes of the acknowledged payments.
    pub async fn stop(self) -> Vec<B256> {
        self.stop.store(true, Ordering::Relaxed);
        for payer in self.payers {
            payer.await.unwrap();
        }
        std::mem::take(&mut *self.acknowledged.lock().unwrap())
    }
}

struct Payer {
    l2: DynProvider,
    signer: PrivateKeySigner,
    tx: TxEip1559,
}

impl Payer {
    async fn new(l2: &L1, signer: PrivateKeySigner, friend: Address) -> Self {
        let provider = l2.provider().clone();
        let nonce = provider.get_transaction_count(signer.address()).pending().await.unwrap();
        let price = provider.get_gas_price().await.unwrap();
        let tx = TxEip1559 {
            chain_id: l2.chain_id(),
            nonce,
            gas_limit: 21_000,
            max_fee_per_gas: price * 2,
            max_priority_fee_per_gas: 0,
            to: TxKind::Call(friend),
            value: U256::from(1),
            ..TxEip1559::default()
        };
        Self { l2: provider, signer, tx }
    }

    async fn pay(mut self, acknowledged: Arc<Mutex<Vec<B256>>>, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            let signature = self.signer.sign_hash_sync(&self.tx.signature_hash()).unwrap();
            let signed = TxEnvelope::from(self.tx.clone().into_signed(signature));
            match self.l2.send_raw_transaction(&signed.encoded_2718()).await {
                Ok(_) => {
                    acknowledged.lock().unwrap().push(*signed.tx_hash());
                    self.tx.nonce += 1;
                }
                // The node accepts nothing for now: too much waits for L1.
                Err(e) if e.is_error_resp() => {}
                Err(_) => return,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Waits until each of these transactions is in a block; gives the highest of them.
pub async fn all_included(l2: &L1, payments: &[B256]) -> u64 {
    let mut highest = 0;
    for hash in payments {
        let block = until("an acknowledged payment", || async {
            let receipt = ask(l2, "eth_getTransactionReceipt", json!([hash])).await;
            assert!(receipt.is_null() || receipt["status"] == "0x1", "{receipt}");
            quantity(&receipt["blockNumber"])
        })
        .await;
        highest = highest.max(block);
    }
    highest
}

/// Waits until L1 has made a block final, for as long as it makes any so: on a busy machine much may be before it.
pub async fn finalized(l2: &L1, block: u64) {
    let mut known = 0;
    while known < block {
        known = until("more finality", || async {
            let last = ask(l2, "eth_getBlockByNumber", json!(["finalized", false])).await;
            quantity(&last["number"]).filter(|n| *n > known)
        })
        .await;
    }
}

/// A number as JSON-RPC writes it.
pub fn quantity(value: &serde_json::Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}
