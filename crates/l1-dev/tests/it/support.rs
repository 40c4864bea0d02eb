//! A running L1 and small helpers.

use alloy_network::{EthereumWallet, TransactionBuilder};
use alloy_primitives::{Address, Bytes, U256, address, hex};
use alloy_provider::{DynProvider, Provider, ProviderBuilder};
use alloy_rpc_types::{TransactionReceipt, TransactionRequest};
use alloy_signer_local::PrivateKeySigner;
use cairn_l1_dev::{L1Config, L1Dev};
use cairn_rpc::{Limits, RpcHandle};
use serde_json::{Value, json};

pub(crate) const ALICE: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
pub(crate) const BOB: Address = address!("70997970C51812dc3A010C7d01b50e0d17dc79C8");
pub(crate) const ALICE_KEY: &str =
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

pub(crate) struct Node {
    /// Held so that the chain runs as long as the test.
    _l1: L1Dev,
    pub(crate) rpc: RpcHandle,
    pub(crate) provider: DynProvider,
    pub(crate) http: reqwest::Client,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::with(L1Config::default()).await
    }

    pub(crate) async fn with(config: L1Config) -> Self {
        Self::with_limits(config, Limits::default()).await
    }

    pub(crate) async fn with_limits(config: L1Config, limits: Limits) -> Self {
        let l1 = L1Dev::open(config).unwrap();
        let rpc = l1.serve_with("127.0.0.1:0".parse().unwrap(), limits).await.unwrap();
        let signer: PrivateKeySigner = ALICE_KEY.parse().unwrap();
        let provider = ProviderBuilder::new()
            .wallet(EthereumWallet::from(signer))
            .connect_http(rpc.http_url().parse().unwrap())
            .erased();
        provider.client().set_poll_interval(std::time::Duration::from_millis(20));
        Self { _l1: l1, rpc, provider, http: reqwest::Client::new() }
    }

    /// Raw JSON-RPC; the whole response.
    pub(crate) async fn post(&self, body: &Value) -> Value {
        self.post_text(body.to_string()).await.1
    }

    pub(crate) async fn post_text(&self, body: String) -> (u16, Value) {
        let request = self
            .http
            .post(self.rpc.http_url())
            .header("content-type", "application/json")
            .body(body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// The result of a method.
    pub(crate) async fn call(&self, method: &str, params: Value) -> Value {
        let response = self.raw(method, params).await;
        assert!(response.get("error").is_none(), "{method}: {response}");
        response["result"].clone()
    }

    pub(crate) async fn raw(&self, method: &str, params: Value) -> Value {
        self.post(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).await
    }

    /// Code and message of the error that a method answers.
    pub(crate) async fn error(&self, method: &str, params: Value) -> (i64, String) {
        let response = self.raw(method, params).await;
        let error = &response["error"];
        (
            error["code"].as_i64().unwrap_or_else(|| panic!("{method}: {response}")),
            error["message"].as_str().unwrap().into(),
        )
    }

    pub(crate) async fn send(&self, tx: TransactionRequest) -> TransactionReceipt {
        self.provider.send_transaction(tx).await.unwrap().get_receipt().await.unwrap()
    }

    pub(crate) async fn pay(&self, to: Address, wei: u64) -> TransactionReceipt {
        self.send(TransactionRequest::default().with_to(to).with_value(U256::from(wei))).await
    }

    /// As [`Self::deploy`], with the node's own key.
    pub(crate) async fn deploy_unsigned(&self, runtime: &str) -> Address {
        let request = json!([{ "from": ALICE, "data": init(runtime) }]);
        let hash = self.call("eth_sendTransaction", request).await;
        let receipt = self.call("eth_getTransactionReceipt", json!([hash])).await;
        receipt["contractAddress"].as_str().unwrap().parse().unwrap()
    }

    /// Deploys runtime code.
    pub(crate) async fn deploy(&self, runtime: &str) -> Address {
        let request = TransactionRequest::default().with_deploy_code(init(runtime));
        let receipt = self.send(request).await;
        assert!(receipt.status());
        receipt.contract_address.unwrap()
    }
}

/// Code that deploys this runtime code.
fn init(runtime: &str) -> Bytes {
    let runtime = hex::decode(runtime).unwrap();
    // PUSH2 len, DUP1, PUSH1 offset, PUSH0, CODECOPY, PUSH0, RETURN
    let mut init = vec![
        0x61,
        (runtime.len() >> 8) as u8,
        runtime.len() as u8,
        0x80,
        0x60,
        0x0a,
        0x5f,
        0x39,
        0x5f,
        0xf3,
    ];
    init.extend(runtime);
    init.into()
}

/// Stores call data's first word in slot 0, emits it as a log with topic 0x2a, and returns it.
pub(crate) const STORE_AND_LOG: &str = "5f35805f555f52602a60205fa160205ff3";
/// Reverts with `Error("no")`.
pub(crate) const REVERTS: &str = "62461bcd60e51b5f5260206004526002602452616e6f60f01b60445260645ffd";
