//! The portal: transactions for a wallet to sign, and, in development only, signing by the node's own development accounts.
//!
//! The node never holds a user's key. It composes calls of the bridge and the browser's wallet signs them. A development node that listens on
//! loopback also signs for the accounts of the public test mnemonic; a request for that must come from the very page (same origin, a loopback
//! host name, a JSON body), so that no other site can have it sent by a browser.

use alloy_network::{EthereumWallet, TransactionBuilder};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_provider::{Provider, ProviderBuilder};
use alloy_rpc_types::TransactionRequest;
use alloy_sol_types::{SolCall, SolValue, sol};
use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use cairn_primitives::address;
use cairn_primitives::config::asset_id;
use cairn_rpc::zks::LogProofMode;
use cairn_settlement::bindings::{
    Bridgehub, Erc20, FinalizeL1DepositParams, L1NativeTokenVault, L1Nullifier, L2AssetRouter,
    L2BaseToken, L2TransactionRequestDirect, L2TransactionRequestTwoBridgesOuter,
};
use cairn_settlement::bridge::{DEPOSIT_GAS_PER_PUBDATA, ERC20_DEPOSIT_GAS, ETH_DEPOSIT_GAS};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

use super::{Answer, ApiError, Cost, Shared, work};
use crate::app::parse_address;
use crate::index::model::{ItemPos, TxPos, clean_text};
use crate::l1;
use crate::source::token_balance;

/// Most tokens whose balances the portal shows.
const MAX_TOKENS: usize = 20;
/// Longest wait for a node to take a development transaction.
const SEND_PATIENCE: Duration = Duration::from_secs(30);

sol! {
    interface IErc20 {
        function allowance(address owner, address spender) external view returns (uint256);
    }
}

#[derive(Deserialize)]
pub(super) struct AccountQuery {
    address: String,
    /// Another L1 token to look at.
    #[serde(default)]
    token: Option<String>,
}

/// What an account has on both sides: the base token, the bridged tokens that it ever received here, and one more L1 token where asked.
pub(super) async fn account(State(app): State<Shared>, Query(q): Query<AccountQuery>) -> Answer {
    let account = parse_address(&q.address).ok_or_else(|| ApiError::bad("not an address"))?;
    let extra = q.token.as_deref().filter(|t| !t.is_empty());
    let extra = extra
        .map(|t| parse_address(t).ok_or_else(|| ApiError::bad("the token is not an address")))
        .transpose()?;
    let (l2_base, mut tokens) = work(&app, Cost::Executes, move |app| {
        let base = app.account(account)?.balance;
        let page = app.index.account_tokens(account, None, MAX_TOKENS)?;
        let mut tokens = Vec::new();
        for l2 in page.rows {
            let Some(record) = app.index.token(l2)? else { continue };
            if record.kind != crate::index::model::TokenKind::Erc20 {
                continue;
            }
            let balance = token_balance(&*app.chain, l2, account).to_string();
            tokens.push(json!({
                "symbol": record.meta.symbol, "name": record.meta.name,
                "decimals": record.meta.decimals, "l1": record.meta.l1_token, "l2": l2,
                "l2Balance": balance, "l1Balance": null,
            }));
        }
        Ok((base, tokens))
    })
    .await?;
    if let Some(token) = extra
        && !tokens.iter().any(|t| t["l1"] == json!(token))
    {
        tokens.push(unbridged(&app, token).await?);
    }
    for token in &mut tokens {
        let Some(l1_token) = token["l1"].as_str().and_then(parse_address) else { continue };
        let call = Erc20::balanceOfCall { account };
        token["l1Balance"] = json!(app.l1.call(l1_token, call).await.ok().map(|b| b.to_string()));
    }
    let base = &app.network.base_token;
    let l1_base = match base.erc20() {
        None => app.l1.balance(account).await,
        Some(token) => app.l1.call(token, Erc20::balanceOfCall { account }).await,
    };
    let mut first = base.brief();
    first["l1Balance"] = json!(l1_base.map_err(crate::ExplorerError::from)?.to_string());
    first["l2Balance"] = json!(l2_base.to_string());
    (first["l1"], first["l2"]) = (Value::Null, Value::Null);
    let mut all = vec![first];
    all.append(&mut tokens);
    Ok(Json(json!({ "address": account, "tokens": all })))
}

/// An L1 token that may not have come over yet, in its own words.
async fn unbridged(app: &Shared, token: Address) -> Result<Value, ApiError> {
    let decimals = app.l1.call(token, Erc20::decimalsCall {}).await;
    let Ok(decimals) = decimals else {
        return Err(ApiError::bad("there is no ERC-20 token at that address on L1"));
    };
    let name = app.l1.call(token, Erc20::nameCall {}).await.unwrap_or_default();
    let symbol = app.l1.call(token, Erc20::symbolCall {}).await.unwrap_or_default();
    let l2 = app.index.token_of_l1(token)?;
    Ok(json!({
        "symbol": clean_text(&symbol), "name": clean_text(&name), "decimals": decimals,
        "l1": token, "l2": l2, "l2Balance": "0", "l1Balance": null,
    }))
}

/// What a person wants done.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wish {
    action: Action,
    from: Address,
    /// Who receives; the sender themselves where absent.
    #[serde(default)]
    to: Option<Address>,
    /// The token: on L1 for a deposit, on L2 else; the base token where absent.
    #[serde(default)]
    token: Option<Address>,
    /// Amount in the smallest unit, in decimal digits.
    #[serde(default)]
    amount: String,
    /// For `finalize`: the withdrawal's transaction and place in it. For `claim`: the failed deposit's transaction here.
    #[serde(default)]
    hash: Option<B256>,
    #[serde(default)]
    item: u32,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Action {
    Deposit,
    Send,
    Withdraw,
    Finalize,
    Claim,
}

fn step(layer: &str, title: &str, to: Address, value: U256, data: Bytes) -> Value {
    json!({
        "layer": layer, "title": title,
        "tx": { "to": to, "value": format!("{value:#x}"), "data": data },
    })
}

/// The transactions that do what a person wants, in order.
pub(super) async fn plan(State(app): State<Shared>, Json(wish): Json<Wish>) -> Answer {
    let steps = match wish.action {
        Action::Finalize => finalize(&app, &wish).await?,
        Action::Claim => claim(&app, &wish).await?,
        Action::Deposit => deposit(&app, &wish, amount_of(&wish)?).await?,
        Action::Send => send(&wish, amount_of(&wish)?),
        Action::Withdraw => withdraw(&app, &wish, amount_of(&wish)?).await?,
    };
    Ok(Json(json!({ "steps": steps })))
}

fn amount_of(wish: &Wish) -> Result<U256, ApiError> {
    let digits = !wish.amount.is_empty() && wish.amount.bytes().all(|b| b.is_ascii_digit());
    let amount = digits.then(|| U256::from_str_radix(&wish.amount, 10).ok()).flatten();
    amount.filter(|a| !a.is_zero()).ok_or_else(|| ApiError::bad("the amount must be above zero"))
}

fn send(wish: &Wish, amount: U256) -> Vec<Value> {
    let to = wish.to.unwrap_or(wish.from);
    vec![match wish.token {
        None => step("l2", "Send", to, amount, Bytes::new()),
        Some(token) => {
            let call = Erc20::transferCall { to, amount };
            step("l2", "Send", token, U256::ZERO, call.abi_encode().into())
        }
    }]
}

async fn base_cost(app: &Shared, gas: u64) -> Result<U256, ApiError> {
    let (hub, id) = (app.network.ecosystem.bridgehub, app.network.chain_id);
    Ok(l1::base_cost(&app.l1, hub, id, gas, DEPOSIT_GAS_PER_PUBDATA).await?)
}

async fn deposit(app: &Shared, wish: &Wish, amount: U256) -> Result<Vec<Value>, ApiError> {
    let n = &app.network;
    let (hub, vault) = (n.ecosystem.bridgehub, n.ecosystem.native_token_vault);
    let to = wish.to.unwrap_or(wish.from);
    // The base token's own address means the base token, too.
    let token = wish.token.filter(|t| n.base_token.erc20() != Some(*t));
    let gas = if token.is_some() { ERC20_DEPOSIT_GAS } else { ETH_DEPOSIT_GAS };
    let cost = base_cost(app, gas).await?;
    let mint = if token.is_some() { cost } else { cost.saturating_add(amount) };
    let mut steps = Vec::new();
    let ether = match n.base_token.erc20() {
        None => mint,
        Some(base) => {
            steps.extend(allow(app, wish.from, base, mint).await?);
            U256::ZERO
        }
    };
    let Some(token) = token else {
        let data = base_deposit(app, wish.from, to, amount, mint);
        steps.push(step("l1", "Deposit", hub, ether, data));
        return Ok(steps);
    };
    if l1::registered_asset(&app.l1, vault, token).await?.is_zero() {
        let data = L1NativeTokenVault::registerTokenCall { token }.abi_encode().into();
        steps.push(step("l1", "Register the token", vault, U256::ZERO, data));
    }
    steps.extend(allow(app, wish.from, token, amount).await?);
    let data = token_deposit(app, wish.from, token, to, amount, mint);
    steps.push(step("l1", "Deposit", hub, ether, data));
    Ok(steps)
}

/// The approval that the bridge still needs to take `amount`.
async fn allow(
    app: &Shared,
    owner: Address,
    token: Address,
    amount: U256,
) -> Result<Option<Value>, ApiError> {
    let spender = app.network.ecosystem.native_token_vault;
    let call = IErc20::allowanceCall { owner, spender };
    let allowed = app.l1.call(token, call).await.map_err(crate::ExplorerError::from)?;
    let data = Erc20::approveCall { spender, amount }.abi_encode().into();
    let approve = || step("l1", "Allow the bridge to take it", token, U256::ZERO, data);
    Ok((allowed < amount).then(approve))
}

fn base_deposit(app: &Shared, from: Address, to: Address, amount: U256, mint: U256) -> Bytes {
    let request = L2TransactionRequestDirect {
        chainId: U256::from(app.network.chain_id),
        mintValue: mint,
        l2Contract: to,
        l2Value: amount,
        l2Calldata: Bytes::new(),
        l2GasLimit: U256::from(ETH_DEPOSIT_GAS),
        l2GasPerPubdataByteLimit: U256::from(DEPOSIT_GAS_PER_PUBDATA),
        factoryDeps: Vec::new(),
        refundRecipient: from,
    };
    Bridgehub::requestL2TransactionDirectCall { request }.abi_encode().into()
}

fn token_deposit(
    app: &Shared,
    from: Address,
    token: Address,
    to: Address,
    amount: U256,
    mint: U256,
) -> Bytes {
    let e = &app.network.ecosystem;
    let transfer = Bytes::from((amount, to, Address::ZERO).abi_encode_params());
    // First byte 1: the encoding that names assets by their id.
    let mut second = vec![1u8];
    second.extend((asset_id(e.l1_chain_id, token), transfer).abi_encode_params());
    let request = L2TransactionRequestTwoBridgesOuter {
        chainId: U256::from(app.network.chain_id),
        mintValue: mint,
        l2Value: U256::ZERO,
        l2GasLimit: U256::from(ERC20_DEPOSIT_GAS),
        l2GasPerPubdataByteLimit: U256::from(DEPOSIT_GAS_PER_PUBDATA),
        refundRecipient: from,
        secondBridgeAddress: e.asset_router,
        secondBridgeValue: U256::ZERO,
        secondBridgeCalldata: second.into(),
    };
    Bridgehub::requestL2TransactionTwoBridgesCall { request }.abi_encode().into()
}

async fn withdraw(app: &Shared, wish: &Wish, amount: U256) -> Result<Vec<Value>, ApiError> {
    let to = wish.to.unwrap_or(wish.from);
    let Some(token) = wish.token else {
        let data = L2BaseToken::withdrawCall { l1Receiver: to }.abi_encode().into();
        return Ok(vec![step("l2", "Withdraw", address::BASE_TOKEN, amount, data)]);
    };
    let l1_token = app.index.token(token)?.and_then(|t| t.meta.l1_token);
    let l1_token = l1_token
        .ok_or_else(|| ApiError::bad("this token did not come over the bridge and cannot leave"))?;
    let asset = asset_id(app.network.ecosystem.l1_chain_id, l1_token);
    let data = Bytes::from((amount, to, token).abi_encode_params());
    let call = L2AssetRouter::withdrawCall { assetId: asset, assetData: data };
    let data = call.abi_encode().into();
    Ok(vec![step("l2", "Withdraw", address::L2_ASSET_ROUTER, U256::ZERO, data)])
}

/// The L1 call that consumes a withdrawal's message. Anybody may send it; the message says who receives.
async fn finalize(app: &Shared, wish: &Wish) -> Result<Vec<Value>, ApiError> {
    let hash = wish.hash.ok_or_else(|| ApiError::bad("which withdrawal?"))?;
    let item = wish.item;
    let params = work(app, Cost::Executes, move |app| {
        let Some(at) = app.storage.tx_location(hash)? else { return Ok(None) };
        let pos = TxPos { block: at.block, index: at.index };
        let messages = app.index.tx_withdrawals(pos, 100)?;
        let Some(w) = messages.iter().find(|w| w.at == ItemPos { tx: pos, item }) else {
            return Ok(None);
        };
        let proof = app.zk.log_proof(hash, item as usize, LogProofMode::BatchRoot)?;
        let (Some(proof), Some(message)) = (proof, message_of(app, at, w)?) else {
            return Ok(None);
        };
        Ok(Some(FinalizeL1DepositParams {
            chainId: U256::from(app.network.chain_id),
            l2BatchNumber: U256::from(proof.batch_number),
            l2MessageIndex: U256::from(proof.id),
            l2Sender: w.l2_sender,
            l2TxNumberInBatch: u16::try_from(at.index).unwrap_or(u16::MAX),
            message,
            merkleProof: proof.proof,
        }))
    });
    let params = params.await?.ok_or_else(|| ApiError::missing("this withdrawal"))?;
    let data = L1Nullifier::finalizeDepositCall { params }.abi_encode().into();
    let nullifier = app.network.ecosystem.nullifier;
    Ok(vec![step("l1", "Finalize on L1", nullifier, U256::ZERO, data)])
}

/// The L1 call that gives back what a failed deposit of a token locked. Anybody may send it; L1 noted who deposited.
async fn claim(app: &Shared, wish: &Wish) -> Result<Vec<Value>, ApiError> {
    let hash = wish.hash.ok_or_else(|| ApiError::bad("which deposit?"))?;
    let call = work(app, Cost::Executes, move |app| failed_deposit(app, hash));
    let call = call.await?.ok_or_else(|| ApiError::missing("this failed deposit"))?;
    let nullifier = app.network.ecosystem.nullifier;
    Ok(vec![step("l1", "Claim it back on L1", nullifier, U256::ZERO, call.abi_encode().into())])
}

/// `None` unless the transaction is a deposit of a token that failed, in a batch whose messages L1 knows.
fn failed_deposit(
    app: &crate::app::App,
    hash: B256,
) -> crate::Result<Option<L1Nullifier::bridgeRecoverFailedTransferCall>> {
    let Some(at) = app.storage.tx_location(hash)? else { return Ok(None) };
    let pos = TxPos { block: at.block, index: at.index };
    let Some(stored) = app.stored(pos)? else { return Ok(None) };
    let cairn_primitives::Transaction::Priority(op) = &stored.decoded else { return Ok(None) };
    let deposit = crate::index::deposit(op);
    let Some(token) = deposit.l1_token.filter(|_| !stored.receipt.success) else {
        return Ok(None);
    };
    let logs = &stored.receipt.l2_to_l1_logs;
    let Some(item) = logs.iter().position(|l| l.sender == address::BOOTLOADER) else {
        return Ok(None);
    };
    let Some(proof) = app.zk.log_proof(hash, item, LogProofMode::BatchRoot)? else {
        return Ok(None);
    };
    Ok(Some(L1Nullifier::bridgeRecoverFailedTransferCall {
        chainId: U256::from(app.network.chain_id),
        depositSender: deposit.sender,
        assetId: asset_id(app.network.ecosystem.l1_chain_id, token),
        assetData: (deposit.amount, deposit.receiver, token).abi_encode_params().into(),
        l2TxHash: hash,
        l2BatchNumber: U256::from(proof.batch_number),
        l2MessageIndex: U256::from(proof.id),
        l2TxNumberInBatch: u16::try_from(at.index).unwrap_or(u16::MAX),
        merkleProof: proof.proof,
    }))
}

/// The text of a message to L1: that of the messenger's event of the same place.
fn message_of(
    app: &crate::app::App,
    at: cairn_storage::TxLocation,
    w: &crate::index::model::WithdrawalRecord,
) -> crate::Result<Option<Bytes>> {
    let Some(receipt) = app.storage.receipt(at)? else { return Ok(None) };
    let mine = |l: &&cairn_primitives::L2ToL1Log| l.sender == address::L1_MESSENGER;
    let before = receipt.l2_to_l1_logs.iter().take(w.at.item as usize).filter(mine).count();
    let mut events = receipt.logs.iter().filter(|l| l.address == address::L1_MESSENGER);
    let event = events.nth(before);
    Ok(event.and_then(|e| <(Bytes,)>::abi_decode_params(&e.data).ok()).map(|(m,)| m))
}

/// A transaction that a development account shall sign.
#[derive(Deserialize)]
pub(super) struct DevSend {
    layer: String,
    from: Address,
    to: Address,
    #[serde(default)]
    value: U256,
    #[serde(default)]
    data: Bytes,
}

/// Refuses what another site's page could have sent: browsers say in `Origin` and `Host` where a request comes from and goes to.
fn same_origin(headers: &HeaderMap) -> Result<(), ApiError> {
    let refused = |words: &str| Err(ApiError(StatusCode::FORBIDDEN, words.into()));
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let Some(host) = text(header::HOST) else { return refused("no Host header") };
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if !matches!(name, "localhost" | "127.0.0.1" | "[::1]") {
        return refused("development accounts sign for pages of this machine only");
    }
    match text(header::ORIGIN) {
        Some(origin) if origin == format!("http://{host}") => Ok(()),
        None => Ok(()),
        Some(_) => refused("development accounts sign for the explorer's own page only"),
    }
}

pub(super) async fn dev_send(
    State(app): State<Shared>,
    headers: HeaderMap,
    Json(wish): Json<DevSend>,
) -> Answer {
    let Some(dev) = &app.dev else {
        let words = "this node signs for nobody: connect a wallet";
        return Err(ApiError(StatusCode::FORBIDDEN, words.into()));
    };
    same_origin(&headers)?;
    let signer = dev.signer(wish.from).cloned();
    let signer = signer.ok_or_else(|| ApiError::bad("not one of the development accounts"))?;
    let url = match wish.layer.as_str() {
        "l1" => app.network.l1_rpc_url.as_deref().unwrap_or_default(),
        "l2" => &app.network.rpc_url,
        _ => return Err(ApiError::bad("`layer` is l1 or l2")),
    };
    let url = url.parse().map_err(|_| ApiError::bad("this layer has no URL"))?;
    let provider = ProviderBuilder::new().wallet(EthereumWallet::from(signer)).connect_http(url);
    let request = TransactionRequest::default()
        .with_from(wish.from)
        .with_to(wish.to)
        .with_value(wish.value)
        .with_input(wish.data);
    let _turn = app.signing.lock().await;
    let sent = tokio::time::timeout(SEND_PATIENCE, provider.send_transaction(request)).await;
    match sent {
        Ok(Ok(pending)) => Ok(Json(json!({ "hash": pending.tx_hash() }))),
        Ok(Err(e)) => Err(ApiError(StatusCode::UNPROCESSABLE_ENTITY, refusal(&e, &app))),
        Err(_) => Err(ApiError(StatusCode::GATEWAY_TIMEOUT, "the node did not answer".into())),
    }
}

/// A node's refusal in words, with the reason of a revert decoded.
fn refusal(
    e: &alloy_provider::transport::RpcError<alloy_provider::transport::TransportErrorKind>,
    app: &Shared,
) -> String {
    let Some(payload) = e.as_error_resp() else { return e.to_string() };
    let reason = payload.as_revert_data().and_then(|data| app.decoder.failure(&data));
    reason.map_or_else(|| payload.message.to_string(), |words| format!("it would revert: {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            map.insert(header::ORIGIN, origin.parse().unwrap());
        }
        map
    }

    #[test]
    fn development_signing_is_for_the_page_itself() {
        let own = headers("127.0.0.1:3010", Some("http://127.0.0.1:3010"));
        assert!(same_origin(&own).is_ok());
        assert!(same_origin(&headers("localhost:3010", None)).is_ok());
        // Another site, another port of this machine, a rebound name, a sandboxed frame, no host at all.
        for (host, origin) in [
            ("127.0.0.1:3010", Some("https://evil.example")),
            ("127.0.0.1:3010", Some("http://127.0.0.1:8080")),
            ("evil.example:3010", Some("http://evil.example:3010")),
            ("127.0.0.1:3010", Some("null")),
            ("evil.example", None),
        ] {
            assert!(same_origin(&headers(host, origin)).is_err(), "{host} {origin:?}");
        }
        assert!(same_origin(&HeaderMap::new()).is_err());
    }
}
