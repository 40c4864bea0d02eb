//! [`L1Cheats`]: balances without owners and senders without keys, as priority operations. An L1 in development lets anybody speak for any account, and
//! what L1 vouches for the chain executes: so even what a test conjures up is part of a history that is proven.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, Bytes, TxHash, TxKind, U256, address};
use alloy_provider::Provider;
use alloy_rpc_types::{TransactionReceipt, TransactionRequest};
use alloy_sol_types::SolCall;
use cairn_primitives::priority::{MAX_PRIORITY_DATA, MAX_PRIORITY_GAS};
use cairn_rpc::{BlockRef, Chain, ChainError, DevChain, NamedBlock, error::Result};
use cairn_sequencer::{Cheats, L2Rpc};
use cairn_settlement::{
    bindings::{Bridgehub, L2TransactionRequestDirect},
    bridge::{DEPOSIT_GAS_PER_PUBDATA, deposit_of},
    l1::{L1, L1Error},
};
use futures::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use serde_json::json;
use tokio::runtime::Handle;

use crate::{dev_l1, network::Network};

/// Who gives on L1 and takes on L2. Nobody has its key, and it has no code.
const MINT: Address = address!("ca1200000000000000000000000000000000ca12");
/// Gas of an operation that calls an account without code, to the last unit: nothing comes back, so the refund is all that is given.
const PLAIN_GAS: u64 = 21_000;
/// Gas of an operation that moves ether to an account without code, its pubdata included.
const TRANSFER_GAS: u64 = 100_000;
/// L1 gas that a request's sender is given ether for; the largest request takes half of it.
const L1_GAS: u64 = 16_000_000;
/// Wei per unit of L1 gas: so many times what L1 asks, since its base fee may rise before the request is mined.
const PRICE_ROOM: u128 = 4;
/// Longest wait for the chain to execute it.
const L2_PATIENCE: Duration = Duration::from_secs(10);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);
/// Most accounts that are impersonated by name.
const MAX_IMPERSONATED: usize = 10_000;

/// Development methods of a chain whose L1 is one for development too.
pub struct L1Cheats {
    chain: L2Rpc,
    l1: L1,
    bridgehub: Address,
    contract: Address,
    runtime: Handle,
    impersonated: Mutex<Impersonated>,
    /// One change of a balance at a time.
    changing: tokio::sync::Mutex<()>,
    /// One request at a time: each first gives its sender ether on L1.
    sending: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Impersonated {
    all: bool,
    accounts: HashSet<Address>,
}

/// An operation to ask L1 for.
struct Operation {
    from: Address,
    to: Address,
    value: U256,
    data: Bytes,
    gas: u64,
    /// Base token that L1 mints beside the fee.
    mint: U256,
    /// Who receives what is left.
    refund: Address,
}

impl L1Cheats {
    /// For `chain`, which `network` describes. Within a runtime.
    pub fn new(chain: L2Rpc, l1: L1, network: &Network) -> Self {
        Self {
            chain,
            l1,
            bridgehub: network.ecosystem.bridgehub,
            contract: network.chain.address,
            runtime: Handle::current(),
            impersonated: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            sending: tokio::sync::Mutex::default(),
        }
    }

    async fn change_balance(&self, address: Address, wanted: U256) -> Result<()> {
        if wanted > U256::from(u128::MAX) {
            let most = "a balance of this chain has 128 bits: at most 2^128 - 1 wei";
            return Err(ChainError::InvalidParams(most.into()));
        }
        if self.mines_by_hand()? {
            let why = "a balance is changed by a transaction, and blocks are mined by hand now: turn automine on first";
            return Err(ChainError::Halted(why.into()));
        }
        // From the look at the balance to the end: the change is a difference.
        let _one = self.changing.lock().await;
        let now = self.balance(address)?;
        let operation = if wanted > now {
            self.gift(address, wanted - now).await?
        } else if wanted < now {
            Operation::take(address, now - wanted)
        } else {
            return Ok(());
        };
        let hash = self.request(&operation).await?;
        if !self.executed(hash).await? {
            let why = format!("the change of balance (transaction {hash}) is not executed yet");
            return Err(ChainError::Halted(why));
        }
        let is = self.balance(address)?;
        if is == wanted {
            return Ok(());
        }
        let why = format!(
            "{address} has {is} wei, not {wanted}: it refused the change, or its balance changed meanwhile"
        );
        Err(ChainError::Halted(why))
    }

    /// A refund cannot be refused, since no code of the receiver's runs. L1 refunds its own contracts at their alias, and takes no address for the sender's: those are paid.
    async fn gift(&self, to: Address, wei: U256) -> Result<Operation> {
        let code = self.l1.read("eth_getCode", move |p| async move { p.get_code_at(to).await });
        let is_contract = !code.await.map_err(failed)?.is_empty();
        Ok(if is_contract || to.is_zero() {
            Operation::pay(to, wei)
        } else {
            Operation::refund(to, wei)
        })
    }

    fn balance(&self, address: Address) -> Result<U256> {
        let head = self.chain.named_block(NamedBlock::Latest)?.unwrap_or_default();
        let state = self.chain.state(BlockRef::Number(head))?;
        Ok(state.basic_ref(address)?.map_or(U256::ZERO, |account| account.balance))
    }

    /// Has L1 take the operation; gives its hash on the chain.
    async fn request(&self, operation: &Operation) -> Result<TxHash> {
        let _one = self.sending.lock().await;
        let price = self.l1.read("eth_gasPrice", |p| async move { p.get_gas_price().await });
        let price = price.await.map_err(failed)?.max(1).saturating_mul(PRICE_ROOM);
        let cost = Bridgehub::l2TransactionBaseCostCall {
            chainId: U256::from(self.chain.chain_id()),
            gasPrice: U256::from(price),
            l2GasLimit: U256::from(operation.gas),
            l2GasPerPubdataByteLimit: U256::from(DEPOSIT_GAS_PER_PUBDATA),
        };
        let mint = self.l1.call(self.bridgehub, cost).await.map_err(failed)? + operation.mint;
        let from = operation.from;
        let has = self.l1.balance(from).await.map_err(failed)?;
        let needs = mint + U256::from(price) * U256::from(L1_GAS);
        if has < needs {
            dev_l1::ask(&self.l1, "anvil_setBalance", json!([from, needs])).await?;
        }
        dev_l1::ask(&self.l1, "anvil_impersonateAccount", json!([from])).await?;
        let request = json!({
            "from": from, "to": self.bridgehub, "value": mint, "gasPrice": U256::from(price),
            "data": self.call(operation, mint),
        });
        let sent = dev_l1::ask(&self.l1, "eth_sendTransaction", json!([request])).await?;
        let sent: B256 = serde_json::from_value(sent)
            .map_err(|e| ChainError::Internal(format!("L1's eth_sendTransaction: {e}")))?;
        let receipt = self.mined(sent).await?;
        if !receipt.status() {
            return Err(ChainError::Halted(format!("L1 refused the request (transaction {sent})")));
        }
        Ok(deposit_of(&receipt, self.contract)
            .map_err(|e| ChainError::Internal(e.to_string()))?
            .l2_tx)
    }

    fn call(&self, operation: &Operation, mint: U256) -> Bytes {
        let request = L2TransactionRequestDirect {
            chainId: U256::from(self.chain.chain_id()),
            mintValue: mint,
            l2Contract: operation.to,
            l2Value: operation.value,
            l2Calldata: operation.data.clone(),
            l2GasLimit: U256::from(operation.gas),
            l2GasPerPubdataByteLimit: U256::from(DEPOSIT_GAS_PER_PUBDATA),
            factoryDeps: Vec::new(),
            refundRecipient: operation.refund,
        };
        Bridgehub::requestL2TransactionFromBalanceCall { request }.abi_encode().into()
    }

    async fn mined(&self, hash: B256) -> Result<TransactionReceipt> {
        let end = Instant::now() + dev_l1::PATIENCE;
        loop {
            if let Some(receipt) = self.l1.receipt(hash).await.map_err(failed)? {
                return Ok(receipt);
            }
            if Instant::now() > end {
                let why = format!("L1 has not mined the request yet (transaction {hash})");
                return Err(ChainError::Halted(why));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the chain has executed what L1 asked of it; false where blocks are mined by hand, or not in time.
    async fn executed(&self, hash: TxHash) -> Result<bool> {
        let by_hand = self.mines_by_hand()?;
        let end = Instant::now() + L2_PATIENCE;
        while !by_hand && Instant::now() < end {
            if self.chain.receipt(hash)?.is_some() {
                return Ok(true);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(false)
    }

    fn mines_by_hand(&self) -> Result<bool> {
        Ok(!self.chain.automine()? && self.chain.interval_mining()?.is_none())
    }

    async fn send(&self, request: TransactionRequest) -> Result<TxHash> {
        let from = request.from.unwrap_or_default();
        if !self.is_impersonated(from) {
            let why = format!("{from} is not impersonated: anvil_impersonateAccount comes first");
            return Err(ChainError::Halted(why));
        }
        let hash = self.request(&Operation::impersonated(from, request)?).await?;
        self.executed(hash).await?;
        Ok(hash)
    }
}

impl Operation {
    fn refund(to: Address, mint: U256) -> Self {
        let (value, data) = (U256::ZERO, Bytes::new());
        Self { from: MINT, to: MINT, value, data, gas: PLAIN_GAS, mint, refund: to }
    }

    fn pay(to: Address, value: U256) -> Self {
        let data = Bytes::new();
        Self { from: MINT, to, value, data, gas: MAX_PRIORITY_GAS, mint: value, refund: MINT }
    }

    fn take(from: Address, value: U256) -> Self {
        let (data, mint) = (Bytes::new(), U256::ZERO);
        Self { from, to: MINT, value, data, gas: TRANSFER_GAS, mint, refund: MINT }
    }

    /// The value is the sender's own; L1 mints the fee, and nobody on the chain gets back what is left of it.
    fn impersonated(from: Address, request: TransactionRequest) -> Result<Self> {
        let Some(TxKind::Call(to)) = request.to else {
            return Err(unsupported(
                "creates a contract (call the factory at 0x4e59b44847b379578588920cA78FbF26c0B4956C)",
            ));
        };
        if request.authorization_list.is_some() || request.sidecar.is_some() {
            return Err(unsupported("has an authorization list or blobs"));
        }
        let data = request.input.into_input().unwrap_or_default();
        if data.len() > MAX_PRIORITY_DATA {
            return Err(unsupported(&format!("has more than {MAX_PRIORITY_DATA} bytes of data")));
        }
        let least = PLAIN_GAS + 10 * data.len() as u64;
        // The estimate was for a transaction of another kind.
        let asked = request.gas.unwrap_or(MAX_PRIORITY_GAS);
        let gas = asked.saturating_add(asked / 4).clamp(least, MAX_PRIORITY_GAS);
        let value = request.value.unwrap_or_default();
        Ok(Self { from, to, value, data, gas, mint: U256::ZERO, refund: MINT })
    }
}

fn unsupported(what: &str) -> ChainError {
    let why = "a transaction of an impersonated account goes through L1, and cannot be one that";
    ChainError::Unsupported(format!("{why} {what}"))
}

fn failed(error: L1Error) -> ChainError {
    match error {
        L1Error::Reverted { .. } => ChainError::Halted(error.to_string()),
        other => ChainError::Internal(other.to_string()),
    }
}

impl Cheats for L1Cheats {
    fn set_balance(&self, address: Address, balance: U256) -> Result<()> {
        self.runtime.block_on(self.change_balance(address, balance))
    }

    fn impersonate(&self, address: Address, on: bool) -> Result<()> {
        let accounts = &mut self.impersonated.lock().accounts;
        if !on {
            accounts.remove(&address);
        } else if accounts.len() < MAX_IMPERSONATED {
            accounts.insert(address);
        } else {
            let why = format!("at most {MAX_IMPERSONATED} accounts can be impersonated");
            return Err(ChainError::LimitExceeded(why));
        }
        Ok(())
    }

    fn auto_impersonate(&self, on: bool) -> Result<()> {
        self.impersonated.lock().all = on;
        Ok(())
    }

    fn is_impersonated(&self, address: Address) -> bool {
        let now = self.impersonated.lock();
        now.all || now.accounts.contains(&address)
    }

    fn submit_impersonated(&self, request: TransactionRequest) -> BoxFuture<'_, Result<TxHash>> {
        self.send(request).boxed()
    }
}
