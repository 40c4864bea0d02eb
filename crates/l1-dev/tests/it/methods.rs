//! Every method that the server registers, by name: what it is asked and what it must answer. A method that is missing here fails
//! [`every_method_has_a_test`].
//!
//! [`reads`] are asked of one chain of three blocks; each of [`actions`] has a chain of its own.

use crate::support::{ALICE, ALICE_KEY, BOB, Node, STORE_AND_LOG};
use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use alloy_provider::{Provider, ProviderBuilder};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use cairn_l1_dev::L1Config;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// 10,000 ETH and five wei.
const BOBS: &str = "0x21e19e0c9bab2400005";
/// An address that has nothing.
const NOBODY: Address = Address::repeat_byte(0x77);

async fn node() -> Node {
    Node::with(L1Config { accounts: 2, ..L1Config::default() }).await
}

fn word(n: u64) -> String {
    B256::from(U256::from(n)).to_string()
}

fn number(value: &Value) -> u128 {
    let text = value.as_str().unwrap_or_else(|| panic!("no quantity: {value}"));
    u128::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

/// A chain with a contract (block 1), a call of it (block 2) and a payment of five wei (block 3).
struct World {
    node: Node,
    contract: Value,
    /// The call's hash, raw form, receipt and block.
    hash: Value,
    raw: Value,
    receipt: Value,
    block: Value,
    head: Value,
}

impl World {
    async fn new() -> Self {
        let node = node().await;
        let contract = json!(node.deploy_unsigned(STORE_AND_LOG).await);
        let call = json!([{ "from": ALICE, "to": contract, "data": word(7) }]);
        let hash = node.call("eth_sendTransaction", call).await;
        let pay = json!([{ "from": ALICE, "to": BOB, "value": "0x5" }]);
        node.call("eth_sendTransaction", pay).await;
        let raw = node.call("eth_getRawTransactionByHash", json!([hash])).await;
        let receipt = node.call("eth_getTransactionReceipt", json!([hash])).await;
        let block = node.call("eth_getBlockByNumber", json!(["0x2", false])).await;
        let head = node.call("eth_getBlockByNumber", json!(["0x3", false])).await;
        Self { node, contract, hash, raw, receipt, block, head }
    }
}

type Check = Box<dyn Fn(&Value) -> bool + Send + Sync>;

enum Want {
    Is(Value),
    Like(Check),
    /// An error of this code.
    Error(i64),
}

struct Read {
    name: &'static str,
    params: Value,
    want: Want,
}

fn is(name: &'static str, params: Value, value: Value) -> Read {
    Read { name, params, want: Want::Is(value) }
}

fn like(
    name: &'static str,
    params: Value,
    check: impl Fn(&Value) -> bool + Send + Sync + 'static,
) -> Read {
    Read { name, params, want: Want::Like(Box::new(check)) }
}

/// The answer's part at this JSON pointer.
fn part(name: &'static str, params: Value, at: &'static str, value: Value) -> Read {
    like(name, params, move |answer| answer.pointer(at) == Some(&value))
}

fn blocks(w: &World) -> Vec<Read> {
    let by_hash = w.block["hash"].clone();
    let (hash, block, none) = (w.hash.clone(), w.block.clone(), Value::Null);
    vec![
        is("eth_blockNumber", json!([]), json!("0x3")),
        is("eth_getBlockByHash", json!([by_hash, false]), block.clone()),
        part("eth_getBlockByNumber", json!(["0x2", true]), "/transactions/0/hash", hash.clone()),
        is("eth_getBlockReceipts", json!(["0x2"]), json!([w.receipt])),
        is("eth_getBlockTransactionCountByHash", json!([by_hash]), json!("0x1")),
        is("eth_getBlockTransactionCountByNumber", json!(["0x0"]), json!("0x0")),
        is("eth_getUncleByBlockHashAndIndex", json!([by_hash, "0x0"]), none.clone()),
        is("eth_getUncleByBlockNumberAndIndex", json!(["0x2", "0x0"]), none.clone()),
        is("eth_getUncleCountByBlockHash", json!([by_hash]), json!("0x0")),
        is("eth_getUncleCountByBlockNumber", json!(["0x9"]), none.clone()),
        part(
            "eth_getTransactionByBlockHashAndIndex",
            json!([by_hash, "0x0"]),
            "/hash",
            hash.clone(),
        ),
        part(
            "eth_getTransactionByBlockNumberAndIndex",
            json!(["0x2", "0x0"]),
            "/hash",
            hash.clone(),
        ),
        is("eth_getTransactionByBlockNumberAndIndex", json!(["0x2", "0x1"]), none),
        is("eth_getRawTransactionByBlockHashAndIndex", json!([by_hash, "0x0"]), w.raw.clone()),
        is("eth_getRawTransactionByBlockNumberAndIndex", json!(["0x2", "0x0"]), w.raw.clone()),
        is("eth_getRawTransactionByHash", json!([hash]), w.raw.clone()),
        part("eth_getTransactionByHash", json!([hash]), "/blockHash", by_hash.clone()),
        part("eth_getTransactionReceipt", json!([hash]), "/status", json!("0x1")),
        is("eth_getLogs", json!([{ "fromBlock": "0x0" }]), w.receipt["logs"].clone()),
        part("erigon_getHeaderByNumber", json!(["0x2"]), "/hash", by_hash),
    ]
}

fn state(w: &World) -> Vec<Read> {
    let (contract, seven) = (&w.contract, json!(word(7)));
    let call = json!({ "from": ALICE, "to": contract, "data": word(9) });
    let simulation = json!([{ "blockStateCalls": [{ "calls": [call] }] }, "latest"]);
    vec![
        is("eth_getBalance", json!([BOB, "latest"]), json!(BOBS)),
        is("eth_getCode", json!([contract, "latest"]), json!(format!("0x{STORE_AND_LOG}"))),
        is("eth_getStorageAt", json!([contract, "0x0", "latest"]), seven),
        is("eth_getTransactionCount", json!([ALICE, "latest"]), json!("0x3")),
        part(
            "eth_getProof",
            json!([contract, ["0x0"], "latest"]),
            "/storageProof/0/value",
            json!("0x7"),
        ),
        is("eth_call", json!([call, "latest"]), json!(word(9))),
        like("eth_estimateGas", json!([call]), |gas| (25_000..100_000).contains(&number(gas))),
        part("eth_createAccessList", json!([call]), "/accessList/0/address", contract.clone()),
        part("eth_simulateV1", simulation, "/0/calls/0/returnData", json!(word(9))),
        part("eth_config", json!([]), "/current/chainId", json!("0x7a69")),
        part("eth_fillTransaction", json!([call]), "/tx/nonce", json!("0x3")),
    ]
}

fn fees_and_node(w: &World) -> Vec<Read> {
    let hello = "0x1c8aff950685c2ed4bc3174f3472287b56d9517b9c948127319a09a7a36deac8";
    let accounts = json!([ALICE, BOB]);
    let history = json!(["0x2", "latest", [50]]);
    let base = number(&w.head["baseFeePerGas"]);
    vec![
        // The tip of a gwei on a base fee that falls while blocks are nearly empty.
        like("eth_gasPrice", json!([]), move |price| {
            (1_000_000_000..base + 1_000_000_000).contains(&number(price))
        }),
        is("eth_maxPriorityFeePerGas", json!([]), json!("0x3b9aca00")),
        is("eth_blobBaseFee", json!([]), json!("0x1")),
        part("eth_feeHistory", history, "/baseFeePerGas/1", w.head["baseFeePerGas"].clone()),
        is("eth_accounts", json!([]), accounts.clone()),
        is("eth_requestAccounts", json!([]), accounts.clone()),
        is("personal_listAccounts", json!([]), accounts),
        is("eth_coinbase", json!([]), w.head["miner"].clone()),
        is("eth_chainId", json!([]), json!("0x7a69")),
        is("eth_protocolVersion", json!([]), json!("0x44")),
        is("eth_syncing", json!([]), json!(false)),
        is("eth_mining", json!([]), json!(false)),
        is("eth_hashrate", json!([]), json!("0x0")),
        is("net_version", json!([]), json!("31337")),
        is("net_listening", json!([]), json!(true)),
        is("net_peerCount", json!([]), json!("0x0")),
        like("web3_clientVersion", json!([]), |v| v.as_str().unwrap().starts_with("cairn-l1/v")),
        is("web3_sha3", json!(["0x68656c6c6f"]), json!(hello)),
        like("rpc_modules", json!([]), |v| {
            v["eth"] == "1.0" && v["anvil"] == "1.0" && v["zks"].is_null()
        }),
    ]
}

/// True if this is Alice's signature of `hello`.
fn hellos(signature: &Value) -> bool {
    let signature: Signature = signature.as_str().unwrap().parse().unwrap();
    signature.recover_address_from_msg("hello").unwrap() == ALICE
}

fn signing(w: &World) -> Vec<Read> {
    let typed = json!({
        "types": { "EIP712Domain": [{ "name": "name", "type": "string" }], "Mail": [{ "name": "to", "type": "address" }] },
        "primaryType": "Mail", "domain": { "name": "x" }, "message": { "to": BOB },
    });
    // EIP-712 by hand.
    let name = [keccak256("EIP712Domain(string name)"), keccak256("x")].concat();
    let mail = [keccak256("Mail(address to)"), BOB.into_word()].concat();
    let digest = [&[0x19, 1][..], &keccak256(name)[..], &keccak256(mail)[..]].concat();
    let mails = move |signature: &Value| {
        let signature: Signature = signature.as_str().unwrap().parse().unwrap();
        signature.recover_address_from_prehash(&keccak256(&digest)).unwrap() == ALICE
    };
    let request = json!([{ "from": ALICE, "to": w.contract, "data": word(1) }]);
    vec![
        like("eth_sign", json!([ALICE, "0x68656c6c6f"]), hellos),
        like("personal_sign", json!(["0x68656c6c6f", ALICE]), hellos),
        like("eth_signTypedData", json!([ALICE, typed.to_string()]), mails.clone()),
        like("eth_signTypedData_v4", json!([ALICE, typed]), mails),
        like("eth_signTransaction", request, |signed| {
            let raw: Bytes = serde_json::from_value(signed["raw"].clone()).unwrap();
            let tx = TxEnvelope::decode_2718(&mut &raw[..]).unwrap();
            tx.recover_signer().unwrap() == ALICE && json!(tx.tx_hash()) == signed["tx"]["hash"]
        }),
    ]
}

fn debug(w: &World) -> Vec<Read> {
    let (by_hash, hash, to) = (w.block["hash"].clone(), w.hash.clone(), w.contract.clone());
    let calls = json!({ "tracer": "callTracer" });
    let header_hash = by_hash.clone();
    vec![
        part("debug_traceBlockByHash", json!([by_hash, calls]), "/0/txHash", hash.clone()),
        part("debug_traceBlockByNumber", json!(["0x2", calls]), "/0/result/to", to.clone()),
        part("debug_traceTransaction", json!([hash, calls]), "/to", to.clone()),
        part("debug_traceCall", json!([{ "to": to }, "latest", calls]), "/type", json!("CALL")),
        is("debug_getBadBlocks", json!([]), json!([])),
        like("debug_getRawBlock", json!(["0x2"]), |raw| raw.as_str().unwrap().starts_with("0xf9")),
        like("debug_getRawHeader", json!(["0x2"]), move |raw| {
            let raw: Bytes = serde_json::from_value(raw.clone()).unwrap();
            json!(keccak256(raw)) == header_hash
        }),
        like("debug_getRawReceipts", json!(["0x2"]), |raw| raw.as_array().unwrap().len() == 1),
        is("debug_getRawTransaction", json!([hash]), w.raw.clone()),
        is("debug_getRawTransaction", json!([B256::ZERO]), json!("0x")),
    ]
}

fn otterscan(w: &World) -> Vec<Read> {
    let (hash, contract, by_hash) = (&w.hash, &w.contract, &w.block["hash"]);
    vec![
        is("ots_getApiLevel", json!([]), json!(8)),
        is("ots_hasCode", json!([contract, "latest"]), json!(true)),
        is("ots_hasCode", json!([BOB, "latest"]), json!(false)),
        part("ots_getBlockDetails", json!([2]), "/block/transactionCount", json!(1)),
        part("ots_getBlockDetailsByHash", json!([by_hash]), "/block/hash", by_hash.clone()),
        part(
            "ots_getBlockTransactions",
            json!([2, 0, 10]),
            "/receipts/0/transactionHash",
            hash.clone(),
        ),
        part("ots_getContractCreator", json!([contract]), "/creator", json!(ALICE)),
        is("ots_getInternalOperations", json!([hash]), json!([])),
        is("ots_getTransactionBySenderAndNonce", json!([ALICE, 1]), hash.clone()),
        is("ots_getTransactionError", json!([hash]), json!("0x")),
        part("ots_traceTransaction", json!([hash]), "/0/to", contract.clone()),
        // The embedded L1 keeps no index of addresses.
        Read {
            name: "ots_searchTransactionsAfter",
            params: json!([ALICE, 0, 5]),
            want: Want::Error(-32601),
        },
        Read {
            name: "ots_searchTransactionsBefore",
            params: json!([ALICE, 0, 5]),
            want: Want::Error(-32601),
        },
    ]
}

fn development(w: &World) -> Vec<Read> {
    let head = w.head["hash"].clone();
    vec![
        is("anvil_getAutomine", json!([]), json!(true)),
        is("hardhat_getAutomine", json!([]), json!(true)),
        is("anvil_getIntervalMining", json!([]), Value::Null),
        is("anvil_getBlobByHash", json!([B256::ZERO]), Value::Null),
        is("anvil_getBlobsByTransactionHash", json!([w.hash]), Value::Null),
        like("anvil_getGenesisTime", json!([]), |time| number(time) > 1_700_000_000),
        part("anvil_nodeInfo", json!([]), "/currentBlockHash", head.clone()),
        part("hardhat_nodeInfo", json!([]), "/environment/chainId", json!(31_337)),
        part("anvil_metadata", json!([]), "/latestBlockHash", head.clone()),
        part("hardhat_metadata", json!([]), "/latestBlockNumber", json!(3)),
        is("anvil_setLoggingEnabled", json!([true]), Value::Null),
        is("hardhat_setLoggingEnabled", json!([true]), json!(true)),
    ]
}

fn reads(w: &World) -> Vec<Read> {
    [blocks, state, fees_and_node, signing, debug, otterscan, development]
        .into_iter()
        .flat_map(|some| some(w))
        .collect()
}

/// What one method does to a chain of its own.
type Action = fn(Node, &'static str) -> BoxFuture<'static, ()>;

/// An async function as an [`Action`].
macro_rules! action {
    ($f:ident) => {
        (|node, name| $f(node, name).boxed()) as Action
    };
}

/// `anvil_` actions answer null, those of other tools true.
fn done(name: &str) -> Value {
    if name.starts_with("anvil_") { Value::Null } else { json!(true) }
}

async fn act(node: &Node, name: &str, params: Value) {
    assert_eq!(node.call(name, params).await, done(name), "{name}");
}

async fn latest(node: &Node) -> Value {
    node.call("eth_getBlockByNumber", json!(["latest", false])).await
}

async fn mine(node: &Node) -> Value {
    node.call("evm_mine", json!([])).await;
    latest(node).await
}

/// Sends a wei from Alice to Bob by the node's key.
async fn pay(node: &Node) -> Value {
    node.call("eth_sendTransaction", json!([{ "from": ALICE, "to": BOB, "value": "0x1" }])).await
}

async fn receipt(node: &Node, hash: &Value) -> Value {
    node.call("eth_getTransactionReceipt", json!([hash])).await
}

/// A chain with a transaction in the pool.
async fn waiting(node: &Node) -> Value {
    node.call("evm_setAutomine", json!([false])).await;
    pay(node).await
}

fn signed(nonce: u64) -> Bytes {
    let tx = TxEip1559 {
        chain_id: 31_337,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 3_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(BOB),
        value: U256::from(1),
        ..TxEip1559::default()
    };
    let signer: PrivateKeySigner = ALICE_KEY.parse().unwrap();
    let signature = signer.sign_hash_sync(&tx.signature_hash()).unwrap();
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into()
}

async fn sends(node: Node, name: &'static str) {
    let answer = match name {
        "eth_sendTransaction" => pay(&node).await,
        _ => node.call(name, json!([signed(0)])).await,
    };
    let hash = if name.ends_with("Sync") { answer["transactionHash"].clone() } else { answer };
    assert_eq!(receipt(&node, &hash).await["from"], json!(ALICE), "{name}");
    if name.ends_with("Sync") {
        node.call("evm_setAutomine", json!([false])).await;
        let (code, late) = node.error(name, json!([signed(1), 50])).await;
        assert!(code == -32000 && late.contains("not mined in time"), "{code} {late}");
    }
}

async fn sends_unsigned(node: Node, name: &'static str) {
    node.call("anvil_setBalance", json!([NOBODY, "0xde0b6b3a7640000"])).await;
    let request = json!([{ "from": NOBODY, "to": BOB, "value": "0x1" }]);
    assert_eq!(node.error(name, request.clone()).await, (-32000, "unknown account".into()));
    node.call("anvil_impersonateAccount", json!([NOBODY])).await;
    let hash = node.call(name, request).await;
    assert_eq!(receipt(&node, &hash).await["from"], json!(NOBODY));
}

async fn pool(node: Node, name: &'static str) {
    let hash = waiting(&node).await;
    node.call("eth_sendTransaction", json!([{ "from": ALICE, "to": BOB, "nonce": "0x5" }])).await;
    let params = if name.ends_with("From") { json!([ALICE]) } else { json!([]) };
    let answer = node.call(name, params).await;
    let of = |kind: &str| match name {
        "txpool_contentFrom" => answer[kind].clone(),
        _ => answer[kind][ALICE.to_string()].clone(),
    };
    match name {
        "txpool_status" => assert_eq!(answer, json!({ "pending": "0x1", "queued": "0x1" })),
        "txpool_inspect" => {
            let line = of("pending")["0"].as_str().unwrap().to_owned();
            assert!(line.starts_with(&format!("{BOB}: 1 wei + 21000 gas × ")), "{line}");
            assert_eq!(of("queued").as_object().unwrap().len(), 1);
        }
        _ => {
            assert_eq!(of("pending")["0"]["hash"], hash, "{answer}");
            assert_eq!(of("pending")["0"]["blockHash"], Value::Null);
            assert_eq!(of("queued")["5"]["nonce"], "0x5");
        }
    }
}

async fn filters(node: Node, name: &'static str) {
    let hash = match name {
        "eth_newBlockFilter" | "eth_newPendingTransactionFilter" => {
            let id = node.call(name, json!([])).await;
            let hash = pay(&node).await;
            let block = latest(&node).await["hash"].clone();
            let changes = node.call("eth_getFilterChanges", json!([id])).await;
            assert_eq!(changes, json!([if name == "eth_newBlockFilter" { block } else { hash }]));
            return;
        }
        _ => node.deploy_unsigned(STORE_AND_LOG).await,
    };
    let id = node.call("eth_newFilter", json!([{ "address": hash, "fromBlock": "0x0" }])).await;
    node.call("eth_sendTransaction", json!([{ "from": ALICE, "to": hash }])).await;
    match name {
        "eth_uninstallFilter" => {
            assert_eq!(node.call(name, json!([id])).await, true);
            assert_eq!(node.call(name, json!([id])).await, false);
        }
        "eth_newFilter" => {
            assert_eq!(
                node.call("eth_getFilterChanges", json!([id])).await[0]["address"],
                json!(hash)
            );
        }
        _ => {
            assert_eq!(node.call(name, json!([id])).await[0]["address"], json!(hash));
            // Changes are answered once, logs whenever one asks.
            let again = node.call(name, json!([id])).await.as_array().unwrap().len();
            assert_eq!(again, usize::from(name == "eth_getFilterLogs"));
        }
    }
}

async fn subscribes(node: Node, _: &'static str) {
    let ws = ProviderBuilder::new().connect(&node.rpc.ws_url()).await.unwrap();
    let mut heads = ws.subscribe_blocks().await.unwrap();
    let id = *heads.local_id();
    let block = mine(&node).await;
    assert_eq!(json!(heads.recv().await.unwrap().hash), block["hash"]);
    ws.unsubscribe(id).await.unwrap();
}

async fn mines(node: Node, name: &'static str) {
    if name == "evm_mine" {
        assert_eq!(node.call(name, json!([])).await, "0x0");
        let time = number(&latest(&node).await["timestamp"]) + 1_000;
        node.call(name, json!([{ "blocks": 2, "timestamp": time as u64 }])).await;
        assert!(number(&latest(&node).await["timestamp"]) >= time);
    } else {
        act(&node, name, json!(["0x3", 50])).await;
        let before = node.call("eth_getBlockByNumber", json!(["0x2", false])).await;
        let apart = number(&latest(&node).await["timestamp"]) - number(&before["timestamp"]);
        assert_eq!(apart, 50);
    }
    assert_eq!(latest(&node).await["number"], "0x3", "{name}");
}

async fn automine(node: Node, name: &'static str) {
    act(&node, name, json!([false])).await;
    assert_eq!(node.call("anvil_getAutomine", json!([])).await, false);
    let hash = pay(&node).await;
    assert_eq!(receipt(&node, &hash).await, Value::Null);
    act(&node, name, json!([true])).await;
    assert_eq!(node.call("hardhat_getAutomine", json!([])).await, true);
}

async fn interval(node: Node, name: &'static str) {
    // anvil's counts in seconds, Hardhat's in milliseconds or takes a range of them.
    let (two, range) = match name {
        "anvil_setIntervalMining" => (json!([2]), json!([3])),
        _ => (json!([2_000]), json!([[3_000, 5_000]])),
    };
    act(&node, name, two).await;
    assert_eq!(node.call("anvil_getIntervalMining", json!([])).await, 2);
    assert_eq!(node.call("anvil_getAutomine", json!([])).await, false);
    act(&node, name, range).await;
    assert_eq!(node.call("anvil_getIntervalMining", json!([])).await, 3);
    act(&node, name, json!([0])).await;
    assert_eq!(node.call("anvil_getIntervalMining", json!([])).await, Value::Null);
}

async fn sets_balance(node: Node, name: &'static str) {
    act(&node, name, json!([NOBODY, "0x5"])).await;
    assert_eq!(node.call("eth_getBalance", json!([NOBODY, "latest"])).await, "0x5");
}

async fn adds_balance(node: Node, name: &'static str) {
    for total in ["0x5", "0xa"] {
        act(&node, name, json!([NOBODY, "0x5"])).await;
        assert_eq!(node.call("eth_getBalance", json!([NOBODY, "latest"])).await, total);
    }
}

async fn sets_code(node: Node, name: &'static str) {
    act(&node, name, json!([NOBODY, "0x60425f5260205ff3"])).await;
    assert_eq!(node.call("eth_call", json!([{ "to": NOBODY }])).await, word(0x42));
}

async fn sets_nonce(node: Node, name: &'static str) {
    act(&node, name, json!([NOBODY, "0x9"])).await;
    assert_eq!(node.call("eth_getTransactionCount", json!([NOBODY, "latest"])).await, "0x9");
}

async fn sets_storage(node: Node, name: &'static str) {
    assert_eq!(node.call(name, json!([NOBODY, "0x1", word(8)])).await, true);
    assert_eq!(node.call("eth_getStorageAt", json!([NOBODY, "0x1", "latest"])).await, word(8));
}

async fn dumps(node: Node, name: &'static str) {
    let (dump, load) = match name.starts_with("anvil_") {
        true => ("anvil_dumpState", "anvil_loadState"),
        false => ("hardhat_dumpState", "hardhat_loadState"),
    };
    let before = node.call(dump, json!([])).await;
    node.call("anvil_setBalance", json!([BOB, "0x5"])).await;
    assert_eq!(node.call(load, json!([before])).await, true);
    assert_ne!(node.call("eth_getBalance", json!([BOB, "latest"])).await, "0x5");
    assert_eq!(node.error(load, json!(["0x00"])).await.0, -32602);
}

async fn snapshots(node: Node, name: &'static str) {
    let (take, revert) = match name.starts_with("anvil_") {
        true => ("anvil_snapshot", "anvil_revert"),
        false => ("evm_snapshot", "evm_revert"),
    };
    let id = node.call(take, json!([])).await;
    let hash = pay(&node).await;
    assert_eq!(node.call(revert, json!([id])).await, true);
    assert_eq!(receipt(&node, &hash).await, Value::Null);
    assert_eq!(node.call(revert, json!([id])).await, false);
}

async fn moves_time(node: Node, name: &'static str) {
    let before = number(&mine(&node).await["timestamp"]) as u64;
    match name {
        "anvil_increaseTime" | "evm_increaseTime" => {
            assert_eq!(node.call(name, json!([1_000])).await, 1_000);
            assert_eq!(node.call(name, json!([500])).await, 1_500, "the whole offset");
            let after = number(&mine(&node).await["timestamp"]) as u64;
            // The clock may lag the last block by a second or two: blocks' timestamps always rise.
            assert!((before + 1_490..before + 1_600).contains(&after), "{before} {after}");
        }
        "anvil_setTime" | "evm_setTime" => {
            // JavaScript's clock counts milliseconds.
            for time in [before + 5_000, (before + 9_000) * 1_000] {
                assert!(node.call(name, json!([time])).await.as_i64().unwrap() > 0);
            }
            let after = number(&mine(&node).await["timestamp"]) as u64;
            assert!((before + 9_000..before + 9_100).contains(&after));
        }
        _ => {
            node.call(name, json!([before + 77])).await;
            assert_eq!(number(&mine(&node).await["timestamp"]), u128::from(before + 77));
            assert_eq!(node.error(name, json!([1])).await.0, -32602);
        }
    }
}

async fn steps_time(node: Node, name: &'static str) {
    let before = number(&mine(&node).await["timestamp"]);
    act(&node, "anvil_setBlockTimestampInterval", json!([30])).await;
    mine(&node).await;
    assert_eq!(number(&mine(&node).await["timestamp"]) - before, 60, "{name}");
    let remove = "anvil_removeBlockTimestampInterval";
    assert_eq!(node.call(remove, json!([])).await, true);
    assert_eq!(node.call(remove, json!([])).await, false, "there is none any more");
}

async fn impersonates(node: Node, name: &'static str) {
    node.call("anvil_setBalance", json!([NOBODY, "0xde0b6b3a7640000"])).await;
    let tool = name.split('_').next().unwrap();
    let request = json!([{ "from": NOBODY, "to": BOB, "value": "0x1" }]);
    let (on, off) = match name.contains("auto") {
        true => ((name.to_owned(), json!([true])), (name.to_owned(), json!([false]))),
        false => (
            (format!("{tool}_impersonateAccount"), json!([NOBODY])),
            (format!("{tool}_stopImpersonatingAccount"), json!([NOBODY])),
        ),
    };
    act(&node, &on.0, on.1).await;
    let hash = node.call("eth_sendTransaction", request.clone()).await;
    assert_eq!(receipt(&node, &hash).await["from"], json!(NOBODY));
    act(&node, &off.0, off.1).await;
    let refused = node.error("eth_sendTransaction", request).await;
    assert_eq!(refused, (-32000, "unknown account".into()));
}

async fn drops(node: Node, name: &'static str) {
    let hash = waiting(&node).await;
    match name {
        "anvil_dropTransaction" => {
            assert_eq!(node.call(name, json!([hash])).await, hash);
            assert_eq!(node.call(name, json!([hash])).await, Value::Null);
        }
        "hardhat_dropTransaction" => {
            assert_eq!(node.call(name, json!([hash])).await, true);
            assert_eq!(node.call(name, json!([hash])).await, false);
        }
        "anvil_removePoolTransactions" => {
            act(&node, name, json!([BOB])).await;
            assert_eq!(node.call("txpool_status", json!([])).await["pending"], "0x1");
            act(&node, name, json!([ALICE])).await;
        }
        _ => act(&node, name, json!([])).await,
    }
    assert_eq!(node.call("txpool_status", json!([])).await["pending"], "0x0", "{name}");
    assert_eq!(node.call("eth_getTransactionByHash", json!([hash])).await, Value::Null);
}

async fn sets_block(node: Node, name: &'static str) {
    let kind = name.split_once('_').unwrap().1;
    let (value, field) = match kind {
        "setCoinbase" => (json!(NOBODY), "miner"),
        "setNextBlockBaseFeePerGas" => (json!("0x3039"), "baseFeePerGas"),
        "setBlockGasLimit" => (json!("0x1c9c380"), "gasLimit"),
        _ => (json!(word(9)), "mixHash"),
    };
    let answer = node.call(name, json!([value])).await;
    assert_eq!(answer, if kind == "setBlockGasLimit" { json!(true) } else { done(name) });
    assert_eq!(mine(&node).await[field], value, "{name}");
    if kind == "setBlockGasLimit" {
        assert_eq!(node.error(name, json!([1])).await.0, -32602);
    }
}

async fn sets_price(node: Node, name: &'static str) {
    act(&node, name, json!(["0x174876e800"])).await;
    let (code, refused) = node.error("eth_sendRawTransaction", json!([signed(0)])).await;
    assert!(code == -32000 && refused.starts_with("transaction underpriced"), "{refused}");
}

async fn goes_back(node: Node, name: &'static str) {
    let hash = pay(&node).await;
    let before = latest(&node).await;
    pay(&node).await;
    if name == "anvil_reorg" {
        node.call(name, json!([1, []])).await;
        assert_eq!(latest(&node).await["number"], "0x2");
    } else {
        act(&node, name, json!([])).await;
        assert_eq!(latest(&node).await, before);
        act(&node, name, json!([1])).await;
        assert_eq!(receipt(&node, &hash).await, Value::Null);
        assert_eq!(node.error(name, json!([9])).await.0, -32602);
    }
    assert_eq!(
        node.call("eth_getTransactionCount", json!([ALICE, "latest"])).await,
        if name == "anvil_reorg" { "0x1" } else { "0x0" }
    );
}

fn actions() -> Vec<(&'static [&'static str], Action)> {
    vec![
        (
            &["eth_sendRawTransaction", "eth_sendRawTransactionSync", "eth_sendTransaction"],
            action!(sends),
        ),
        (&["eth_sendUnsignedTransaction"], action!(sends_unsigned)),
        (
            &["txpool_content", "txpool_contentFrom", "txpool_inspect", "txpool_status"],
            action!(pool),
        ),
        (
            &[
                "eth_newFilter",
                "eth_newBlockFilter",
                "eth_newPendingTransactionFilter",
                "eth_getFilterChanges",
                "eth_getFilterLogs",
                "eth_uninstallFilter",
            ],
            action!(filters),
        ),
        (&["eth_subscribe", "eth_unsubscribe"], action!(subscribes)),
        (&["anvil_mine", "hardhat_mine", "evm_mine"], action!(mines)),
        (&["anvil_setAutomine", "evm_setAutomine"], action!(automine)),
        (&["anvil_setIntervalMining", "evm_setIntervalMining"], action!(interval)),
        (
            &["anvil_setBalance", "hardhat_setBalance", "evm_setAccountBalance"],
            action!(sets_balance),
        ),
        (&["anvil_addBalance", "hardhat_addBalance"], action!(adds_balance)),
        (&["anvil_setCode", "hardhat_setCode", "evm_setAccountCode"], action!(sets_code)),
        (&["anvil_setNonce", "hardhat_setNonce", "evm_setAccountNonce"], action!(sets_nonce)),
        (
            &["anvil_setStorageAt", "hardhat_setStorageAt", "evm_setAccountStorageAt"],
            action!(sets_storage),
        ),
        (
            &["anvil_dumpState", "anvil_loadState", "hardhat_dumpState", "hardhat_loadState"],
            action!(dumps),
        ),
        (&["anvil_snapshot", "anvil_revert", "evm_snapshot", "evm_revert"], action!(snapshots)),
        (
            &[
                "anvil_increaseTime",
                "evm_increaseTime",
                "anvil_setTime",
                "evm_setTime",
                "anvil_setNextBlockTimestamp",
                "evm_setNextBlockTimestamp",
            ],
            action!(moves_time),
        ),
        (
            &["anvil_setBlockTimestampInterval", "anvil_removeBlockTimestampInterval"],
            action!(steps_time),
        ),
        (
            &[
                "anvil_impersonateAccount",
                "anvil_stopImpersonatingAccount",
                "anvil_autoImpersonateAccount",
                "hardhat_impersonateAccount",
                "hardhat_stopImpersonatingAccount",
                "hardhat_autoImpersonateAccount",
            ],
            action!(impersonates),
        ),
        (
            &[
                "anvil_dropTransaction",
                "hardhat_dropTransaction",
                "anvil_dropAllTransactions",
                "hardhat_dropAllTransactions",
                "anvil_removePoolTransactions",
            ],
            action!(drops),
        ),
        (
            &[
                "anvil_setCoinbase",
                "hardhat_setCoinbase",
                "anvil_setNextBlockBaseFeePerGas",
                "hardhat_setNextBlockBaseFeePerGas",
                "anvil_setBlockGasLimit",
                "evm_setBlockGasLimit",
                "anvil_setPrevRandao",
                "hardhat_setPrevRandao",
            ],
            action!(sets_block),
        ),
        (&["anvil_setMinGasPrice", "hardhat_setMinGasPrice"], action!(sets_price)),
        (&["anvil_reorg", "anvil_rollback"], action!(goes_back)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_has_a_test() {
    let world = World::new().await;
    let read = reads(&world).into_iter().map(|read| read.name);
    let acted = actions().into_iter().flat_map(|(names, _)| names);
    let tested: BTreeSet<&str> = read.chain(acted.copied()).collect();
    let served: BTreeSet<&str> = world.node.rpc.methods().iter().copied().collect();
    let untested: Vec<_> = served.difference(&tested).collect();
    let gone: Vec<_> = tested.difference(&served).collect();
    assert!(untested.is_empty() && gone.is_empty(), "untested: {untested:?}; gone: {gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_that_reads_answers_what_it_should() {
    let world = World::new().await;
    for Read { name, params, want } in reads(&world) {
        let answer = world.node.raw(name, params).await;
        let (result, error) = (&answer["result"], &answer["error"]);
        let right = match &want {
            Want::Is(value) => error.is_null() && result == value,
            Want::Like(check) => error.is_null() && check(result),
            Want::Error(code) => error["code"] == *code,
        };
        assert!(right, "{name}: {answer}");
    }
    // None of them changed anything.
    assert_eq!(latest(&world.node).await, world.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_that_acts_does_what_it_should() {
    let all =
        actions().into_iter().flat_map(|(names, run)| names.iter().map(move |name| (*name, run)));
    let runs = all.map(|(name, run)| async move {
        let ran = tokio::spawn(async move { run(node().await, name).await }).await;
        ran.err().map(|e| format!("{name}: {e}"))
    });
    let ran: Vec<_> = stream::iter(runs).buffer_unordered(4).collect().await;
    let failed: Vec<String> = ran.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
