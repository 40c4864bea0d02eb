//! Where the index reads the chain from.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types::TransactionRequest;
use alloy_serde::OtherFields;
use alloy_sol_types::{SolCall, sol};
use cairn_primitives::L2ToL1Log;
use cairn_primitives::{PriorityTx, Transaction};
use cairn_rpc::internal::{self, InternalOperation, TxOperations};
use cairn_rpc::{BlockRef, CallPurpose, CallRequest, Chain};
use cairn_storage::{LogRecord, ReceiptRecord, Storage};

use crate::error::{ExplorerError, Result};
use crate::index::model::{InternalKind, InternalRecord, TokenMeta, clean_text};
use crate::index::{BlockInternals, TxInternals};

/// Gas that one look at a token's own words may use.
const META_GAS: u64 = 500_000;
/// Most internal operations that are kept of a transaction.
pub const MAX_INTERNALS: usize = 1_000;
/// A transaction that used less gas did nothing internal: 21,000 for itself, and 6,700 (a call with value, its stipend given back) less the most
/// that is refunded (EIP-3529: a fifth).
const LEAST_GAS: u64 = (21_000 + 6_700) * 4 / 5;

sol! {
    interface IToken {
        function name() external view returns (string);
        function symbol() external view returns (string);
        function decimals() external view returns (uint8);
        function originToken() external view returns (address);
        function balanceOf(address account) external view returns (uint256);
        function totalSupply() external view returns (uint256);
    }
    /// Tokens from before the standard say their name in one word.
    interface IOldToken {
        function name() external view returns (bytes32);
        function symbol() external view returns (bytes32);
    }
}

/// A block as the index takes it.
#[derive(Debug, Clone)]
pub struct SourceBlock {
    /// Number.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Its transactions in order.
    pub txs: Vec<SourceTx>,
}

/// A transaction as the index takes it.
#[derive(Debug, Clone)]
pub struct SourceTx {
    /// Hash.
    pub hash: B256,
    /// Sender.
    pub from: Address,
    /// Callee.
    pub to: Option<Address>,
    /// Contract that it created.
    pub created: Option<Address>,
    /// The priority operation, if it is one.
    pub priority: Option<Box<PriorityTx>>,
    /// Whether it succeeded.
    pub success: bool,
    /// Events.
    pub logs: Vec<LogRecord>,
    /// L2->L1 logs.
    pub l2_to_l1: Vec<L2ToL1Log>,
}

/// A chain that the index can follow.
pub trait Source: Send + Sync + 'static {
    /// Number of the last block.
    fn head(&self) -> u64;

    /// Hash of a block.
    ///
    /// # Errors
    /// When the chain cannot be read.
    fn block_hash(&self, number: u64) -> Result<Option<B256>>;

    /// A block.
    ///
    /// # Errors
    /// When the chain cannot be read.
    fn block(&self, number: u64) -> Result<Option<SourceBlock>>;

    /// The internal operations of a block, at the price of executing it again; `None` when there is no such block.
    ///
    /// # Errors
    /// When the chain cannot be read, or the block does not execute.
    fn internals(&self, number: u64) -> Result<Option<BlockInternals>>;

    /// What a token says of itself now; empty where it says nothing.
    fn token(&self, address: Address) -> TokenMeta;
}

/// The node's own chain.
#[derive(Clone)]
pub struct NodeSource {
    /// Its store.
    pub storage: Storage,
    /// Its executions.
    pub chain: Arc<dyn Chain>,
}

impl Source for NodeSource {
    fn head(&self) -> u64 {
        self.storage.head_number()
    }

    fn block_hash(&self, number: u64) -> Result<Option<B256>> {
        Ok(self.storage.block_hash(number)?)
    }

    fn block(&self, number: u64) -> Result<Option<SourceBlock>> {
        let Some(record) = self.storage.block(number)? else { return Ok(None) };
        let txs = self.storage.transactions(number)?;
        let receipts = self.storage.receipts(number)?;
        let txs = txs.into_iter().zip(receipts).map(|(tx, receipt)| {
            let decoded = Transaction::decode(&tx.raw)
                .map_err(|e| ExplorerError::Chain(format!("transaction {}: {e}", tx.hash)))?;
            let to = decoded.to();
            let priority = match decoded {
                Transaction::Priority(op) => Some(op),
                _ => None,
            };
            Ok(SourceTx {
                hash: tx.hash,
                from: tx.sender,
                to,
                created: receipt.contract_address,
                priority,
                success: receipt.success,
                logs: receipt.logs,
                l2_to_l1: receipt.l2_to_l1_logs,
            })
        });
        let txs = txs.collect::<Result<_>>()?;
        Ok(Some(SourceBlock { number, hash: record.hash, txs }))
    }

    fn internals(&self, number: u64) -> Result<Option<BlockInternals>> {
        if self.storage.block(number)?.is_none() {
            return Ok(None);
        }
        let none = BlockInternals { block: number, txs: Vec::new() };
        // Genesis has no transactions, and a recovered chain no state from before its recovery.
        let Some(parent) = number.checked_sub(1) else { return Ok(Some(none)) };
        let txs = self.storage.transactions(number)?;
        let receipts = self.storage.receipts(number)?;
        let worth = txs.iter().zip(&receipts).zip(0u32..);
        let worth = worth.filter(|((tx, receipt), _)| may_have_internals(&tx.raw, receipt));
        let wanted: Vec<u32> = worth.map(|(_, index)| index).collect();
        if wanted.is_empty() || self.storage.state_at(parent)?.is_none() {
            return Ok(Some(none));
        }
        let found = internal::block_operations(&*self.chain, number, &wanted, MAX_INTERNALS)?;
        Ok(Some(BlockInternals { txs: found.into_iter().map(tx_internals).collect(), ..none }))
    }

    fn token(&self, address: Address) -> TokenMeta {
        let chain = &*self.chain;
        let text = |new: Option<String>, old: Option<B256>| {
            let old = || old.map(|w| String::from_utf8_lossy(w.as_slice()).into_owned());
            clean_text(new.or_else(old).unwrap_or_default().trim_matches('\0'))
        };
        let l1_token = view(chain, address, &IToken::originTokenCall {}).filter(|a| !a.is_zero());
        TokenMeta {
            name: text(
                view(chain, address, &IToken::nameCall {}),
                view(chain, address, &IOldToken::nameCall {}),
            ),
            symbol: text(
                view(chain, address, &IToken::symbolCall {}),
                view(chain, address, &IOldToken::symbolCall {}),
            ),
            decimals: view(chain, address, &IToken::decimalsCall {}).unwrap_or(0),
            l1_token,
        }
    }
}

/// Whether it is worth to execute a transaction again for its internal operations. What failed undid them all, but for what an account-abstraction
/// transaction had paid before.
fn may_have_internals(raw: &[u8], receipt: &ReceiptRecord) -> bool {
    let pays_by_calls = raw.first() == Some(&cairn_primitives::eip712::EIP712_TX_TYPE);
    pays_by_calls || (receipt.success && receipt.gas_used >= LEAST_GAS)
}

fn tx_internals(tx: TxOperations) -> TxInternals {
    let operations = tx.operations.into_iter().map(record).collect();
    TxInternals { index: tx.index, hash: tx.hash, operations, beyond: tx.beyond }
}

fn record(o: InternalOperation) -> InternalRecord {
    let kind = match o.kind {
        internal::InternalKind::Call => InternalKind::Call,
        internal::InternalKind::SelfDestruct => InternalKind::SelfDestruct,
        internal::InternalKind::Create => InternalKind::Create,
        internal::InternalKind::Create2 => InternalKind::Create2,
    };
    InternalRecord { kind, from: o.from, to: o.to, value: o.value }
}

/// A view function's answer on the newest state; `None` when it fails or answers something else. Bounded in gas.
pub(crate) fn view<C: SolCall>(chain: &dyn Chain, to: Address, call: &C) -> Option<C::Return> {
    let out = raw_view(chain, to, call.abi_encode().into(), META_GAS)?;
    C::abi_decode_returns(&out).ok()
}

fn raw_view(chain: &dyn Chain, to: Address, data: Bytes, gas: u64) -> Option<Bytes> {
    let number = chain.named_block(cairn_rpc::NamedBlock::Latest).ok()??;
    let request = TransactionRequest {
        from: Some(Address::ZERO),
        to: Some(to.into()),
        input: data.into(),
        gas: Some(gas),
        ..TransactionRequest::default()
    };
    let call = CallRequest {
        request,
        other: OtherFields::default(),
        block: BlockRef::Number(number),
        state_overrides: None,
        block_overrides: None,
        purpose: CallPurpose::Call,
    };
    let outcome = chain.call(call, None).ok()?;
    if !outcome.result.is_success() {
        return None;
    }
    outcome.result.into_output()
}

/// The balance of an account in a token; zero when the token does not say.
pub(crate) fn token_balance(chain: &dyn Chain, token: Address, account: Address) -> U256 {
    view(chain, token, &IToken::balanceOfCall { account }).unwrap_or_default()
}

/// A token's supply, when it says.
pub(crate) fn token_supply(chain: &dyn Chain, token: Address) -> Option<U256> {
    view(chain, token, &IToken::totalSupplyCall {})
}
