//! [`ZkChain`]: batches, message proofs, fees and the bridge.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, BloomInput, Bytes, TxHash, U256};
use alloy_rpc_types::TransactionRequest;
use alloy_serde::OtherFields;
use alloy_sol_types::{SolCall, sol};
use cairn_primitives::batch::BatchStatus;
use cairn_primitives::config::PROTOCOL_VERSION;
use cairn_primitives::{LogTree, address};
use cairn_rpc::error::Result;
use cairn_rpc::zks::{
    BaseSystemContracts, BatchStatus as ViewStatus, BlockDetails, BridgeContracts, DetailedOutput,
    EstimateRequest, FeeEstimate, FeeParams, LogProof, LogProofMode, Proving, SettlementDetails,
    StorageProof, StorageWrite, Token, TransactionDetails, TransactionStatus,
};
use cairn_rpc::{BlockRef, CallPurpose, CallRequest, Chain, ChainError, Log, ZkChain};
use cairn_state::{Key, Tree, TreeReader};
use cairn_stf::simulate::EstimateError;
use cairn_stf::{AccountOverride, BlockExecutor, Simulator, StateOverrides};
use cairn_storage::{
    BatchRecord, BlockRecord, KEPT_TREES, ProvingRecord, ReceiptRecord, SettlementRecord,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::L2Rpc;
use super::chain::decode;
use super::simulate::{Overlay, exec_error, stf_request};
use crate::admission::admit;
use crate::clock::unix_now_ms;
use crate::mempool::tip;
use crate::shared::internal;

/// Most gas of a priority operation.
const PRIORITY_GAS_CAP: u64 = cairn_primitives::priority::MAX_PRIORITY_GAS;
/// Percent that estimates for L1->L2 transactions add: the state may change until L1 includes them, and what is not used is refunded.
const L1_TO_L2_MARGIN: u64 = 20;
/// Percent that `zks_estimateFee` adds to the base fee; only the base fee is charged.
const FEE_MARGIN: u128 = 20;
/// Blocks that one look for tokens goes through at most.
const MAX_TOKEN_SCAN: u64 = 100_000;
/// Most tokens that are listed.
const MAX_TOKENS: usize = 1_000;
/// Most keys of one `zks_getProof`.
const MAX_PROOF_KEYS: usize = 1_000;

sol! {
    interface IVault {
        event BridgeMint(uint256 indexed chainId, bytes32 indexed assetId, address receiver, uint256 amount);
        function tokenAddress(bytes32 assetId) external view returns (address);
    }
    interface IToken {
        function name() external view returns (string);
        function symbol() external view returns (string);
        function decimals() external view returns (uint8);
        function originToken() external view returns (address);
        function balanceOf(address account) external view returns (uint256);
    }
}

/// Tokens that came over the bridge, found so far.
#[derive(Debug, Default)]
pub(super) struct TokenIndex {
    next_block: u64,
    assets: Vec<B256>,
    tokens: Vec<Token>,
}

/// `YYYY-MM-DDTHH:MM:SS.mmmZ` (proleptic Gregorian calendar; days to date after Howard Hinnant's `civil_from_days`).
fn rfc3339(ms: u64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (days, time) = ((seconds / 86_400) as i64, seconds % 86_400);
    let z = days + 719_468;
    let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    let (h, m, s) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{ms:03}Z")
}

impl L2Rpc {
    fn settlement_of(&self, batch: Option<u64>) -> Result<SettlementRecord> {
        match batch {
            Some(n) => self.shared().storage.settlement(n).map_err(internal),
            None => {
                Ok(SettlementRecord { status: BatchStatus::Pending, ..SettlementRecord::default() })
            }
        }
    }

    fn sealed_batch(&self, number: u64) -> Result<Option<BatchRecord>> {
        self.shared().storage.batch(number).map_err(internal)
    }

    fn details(
        &self,
        number: u64,
        timestamp: u64,
        s: &SettlementRecord,
        root: B256,
        counts: (u64, u64),
    ) -> SettlementDetails {
        let chain = self.shared().config.chain.settlement_chain_id;
        let time = |tx: &Option<cairn_storage::L1Tx>| {
            tx.map(|t| rfc3339(t.timestamp.saturating_mul(1000)))
        };
        let fees = *self.shared().fees.read();
        SettlementDetails {
            number,
            timestamp,
            l1_tx_count: counts.0,
            l2_tx_count: counts.1,
            root_hash: Some(root),
            status: if s.status == BatchStatus::Finalized {
                ViewStatus::Verified
            } else {
                ViewStatus::Sealed
            },
            commit_tx_hash: s.commit.map(|t| t.hash),
            committed_at: time(&s.commit),
            commit_chain_id: s.commit.map(|_| chain),
            prove_tx_hash: s.prove.map(|t| t.hash),
            proven_at: time(&s.prove),
            prove_chain_id: s.prove.map(|_| chain),
            execute_tx_hash: s.execute.map(|t| t.hash),
            executed_at: time(&s.execute),
            execute_chain_id: s.execute.map(|_| chain),
            l1_gas_price: self.bridge.l1_gas_price,
            l2_fair_gas_price: fees.base_fee,
            fair_pubdata_price: Some(fees.base_fee.saturating_mul(fees.gas_per_pubdata)),
            base_system_contracts_hashes: BaseSystemContracts::default(),
            protocol_version: Some(format!("Version{PROTOCOL_VERSION}")),
            proving: None,
        }
    }

    fn view_call(&self, to: Address, data: Vec<u8>) -> Result<Option<Bytes>> {
        let request = TransactionRequest {
            to: Some(to.into()),
            input: Bytes::from(data).into(),
            ..Default::default()
        };
        let call = CallRequest {
            request,
            other: OtherFields::default(),
            block: BlockRef::Number(self.shared().head_number()),
            state_overrides: None,
            block_overrides: None,
            purpose: CallPurpose::Call,
        };
        let outcome = self.simulate(call, None)?;
        Ok(outcome.result.is_success().then(|| outcome.result.into_output().unwrap_or_default()))
    }

    fn view<C: SolCall>(&self, to: Address, call: &C) -> Result<Option<C::Return>> {
        let data = self.view_call(to, call.abi_encode())?;
        Ok(data.and_then(|d| C::abi_decode_returns(&d).ok()))
    }

    /// Goes through the new blocks for tokens that the bridge minted for the first time.
    fn tokens(&self) -> Result<Vec<Token>> {
        use alloy_sol_types::SolEvent;
        let storage = &self.shared().storage;
        let mut index = self.tokens.lock();
        let last = storage.head_number().min(index.next_block.saturating_add(MAX_TOKEN_SCAN));
        for number in index.next_block..=last {
            let bloom = storage.bloom(number).map_err(internal)?.unwrap_or_default();
            if !bloom.contains_input(BloomInput::Raw(address::L2_NATIVE_TOKEN_VAULT.as_slice())) {
                continue;
            }
            for receipt in storage.receipts(number).map_err(internal)? {
                for log in
                    receipt.logs.iter().filter(|l| l.address == address::L2_NATIVE_TOKEN_VAULT)
                {
                    let is_mint = log.topics.first() == Some(&IVault::BridgeMint::SIGNATURE_HASH);
                    let Some(asset) =
                        log.topics.get(2).filter(|a| is_mint && !index.assets.contains(a))
                    else {
                        continue;
                    };
                    if index.assets.len() < MAX_TOKENS {
                        index.assets.push(*asset);
                        index.tokens.extend(self.token(*asset)?);
                    }
                }
            }
        }
        index.next_block = last + 1;
        Ok(index.tokens.clone())
    }

    fn token(&self, asset: B256) -> Result<Option<Token>> {
        let vault = address::L2_NATIVE_TOKEN_VAULT;
        let Some(at) = self.view(vault, &IVault::tokenAddressCall { assetId: asset })? else {
            return Ok(None);
        };
        Ok(Some(Token {
            l1_address: self.view(at, &IToken::originTokenCall {})?.unwrap_or_default(),
            l2_address: at,
            name: self.view(at, &IToken::nameCall {})?.unwrap_or_default(),
            symbol: self.view(at, &IToken::symbolCall {})?.unwrap_or_default(),
            decimals: self.view(at, &IToken::decimalsCall {})?.unwrap_or(18),
        }))
    }

    fn estimate(
        &self,
        request: EstimateRequest,
        mut overrides: StateOverrides,
        cap: u64,
        purpose: CallPurpose,
    ) -> Result<u64> {
        let head = self.shared().head_number();
        let call = CallRequest {
            request: request.request,
            other: request.other,
            block: BlockRef::Pending,
            state_overrides: None,
            block_overrides: None,
            purpose,
        };
        let mut stf = stf_request(&call)?;
        stf.gas_limit = call.request.gas.unwrap_or(0);
        self.lend(&stf, head, &mut overrides)?;
        let env = self.next_env();
        let mut simulator =
            Simulator::new(env, self.snapshot(head)?, overrides, Default::default());
        simulator.estimate_gas(&stf, cap).map_err(|e| match e {
            EstimateError::Revert(data) => ChainError::Reverted(data),
            EstimateError::Exec(e) => exec_error(e),
            other => ChainError::Halted(other.to_string()),
        })
    }

    fn next_env(&self) -> cairn_stf::BlockEnvParams {
        let shared = self.shared();
        let head = shared.head();
        cairn_stf::BlockEnvParams {
            chain_id: head.header.chain_id,
            number: head.header.number + 1,
            timestamp: shared.clock.peek(head.header.timestamp),
            parent_hash: head.hash,
            beneficiary: shared.config.operator,
            fees: *shared.fees.read(),
        }
    }

    fn pooled_details(&self, hash: TxHash) -> Option<TransactionDetails> {
        let shared = self.shared();
        let pool = shared.pool.lock();
        let tx = pool.get(&hash)?;
        let waited = u64::try_from(tx.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        Some(TransactionDetails {
            is_l1_originated: false,
            status: TransactionStatus::Pending,
            fee: U256::from(tx.tx.tx.gas_limit()).saturating_mul(U256::from(tx.max_fee())),
            gas_per_pubdata: U256::from(self.shared().fees.read().gas_per_pubdata),
            initiator_address: tx.tx.sender,
            received_at: rfc3339(unix_now_ms().saturating_sub(waited)),
            eth_commit_tx_hash: None,
            eth_prove_tx_hash: None,
            eth_execute_tx_hash: None,
        })
    }

    fn included_details(
        &self,
        block: &BlockRecord,
        r: &ReceiptRecord,
        sender: Address,
        priority: bool,
    ) -> Result<TransactionDetails> {
        let batch = self.shared().storage.batch_of_block(block.header.number).map_err(internal)?;
        let s = self.settlement_of(batch)?;
        let status = match (r.success, s.status == BatchStatus::Finalized) {
            (false, _) => TransactionStatus::Failed,
            (true, true) => TransactionStatus::Verified,
            (true, false) => TransactionStatus::Included,
        };
        Ok(TransactionDetails {
            is_l1_originated: priority,
            status,
            fee: U256::from(r.gas_used).saturating_mul(U256::from(r.effective_gas_price)),
            gas_per_pubdata: U256::from(block.gas_per_pubdata),
            initiator_address: sender,
            received_at: rfc3339(block.built_at_ms),
            eth_commit_tx_hash: s.commit.map(|t| t.hash),
            eth_prove_tx_hash: s.prove.map(|t| t.hash),
            eth_execute_tx_hash: s.execute.map(|t| t.hash),
        })
    }

    /// Executes a transaction on the head without including it: what it would write and emit.
    fn rehearse(&self, raw: &[u8]) -> Result<(Vec<StorageWrite>, Vec<Log>)> {
        let tx = admit(raw, self.chain_id())?;
        let env = self.next_env();
        let state = Overlay::new(self.snapshot(env.number - 1)?);
        let mut executor = BlockExecutor::new(env, &state);
        // Behind other transactions of its sender it cannot be executed yet, and there is nothing to show.
        if executor.execute(&tx).is_err() {
            return Ok((Vec::new(), Vec::new()));
        }
        let output = executor.finish();
        let write = |((address, slot), (_, value)): (&(Address, U256), &(U256, U256))| {
            StorageWrite { address: *address, key: *slot, written_value: *value }
        };
        let writes = output.changes.slots.iter().map(write).collect();
        let at = cairn_rpc::view::Inclusion {
            block_hash: B256::ZERO,
            block_number: env.number,
            block_timestamp: env.timestamp,
            transaction_index: 0,
        };
        let logs = output.results.iter().flat_map(|r| r.logs.iter()).zip(0u64..);
        let event = |(log, i): (&alloy_primitives::Log, u64)| Log {
            address: log.address,
            data: log.data.clone(),
            transaction_hash: tx.hash,
            inclusion: at,
            log_index: i,
            removed: false,
            extra: Default::default(),
        };
        Ok((writes, logs.map(event).collect()))
    }

    async fn submit_and_rehearse(&self, raw: Bytes) -> Result<DetailedOutput> {
        let (this, copy) = (self.clone(), raw.clone());
        let rehearsed = self.shared().in_turn(move || this.rehearse(&copy)).await?;
        let (storage_logs, events) = rehearsed?;
        let transaction_hash = self.sequencer.submit(raw).await?;
        Ok(DetailedOutput { transaction_hash, storage_logs, events })
    }
}

impl ZkChain for L2Rpc {
    fn bridgehub(&self) -> Result<Address> {
        Ok(self.bridge.bridgehub)
    }

    fn main_contract(&self) -> Result<Address> {
        Ok(self.bridge.main_contract)
    }

    fn bridge_contracts(&self) -> Result<BridgeContracts> {
        Ok(self.bridge.bridges.clone())
    }

    fn l1_chain_id(&self) -> Result<u64> {
        Ok(self.bridge.l1_chain_id)
    }

    fn base_token_l1_address(&self) -> Result<Address> {
        Ok(self.bridge.base_token)
    }

    fn testnet_paymaster(&self) -> Result<Option<Address>> {
        Ok(self.bridge.testnet_paymaster)
    }

    fn l1_batch_number(&self) -> Result<u64> {
        Ok(self.shared().storage.batch_heads().sealed)
    }

    fn batch_block_range(&self, batch: u64) -> Result<Option<(u64, u64)>> {
        if batch == 0 {
            return Ok(Some((0, 0)));
        }
        Ok(self.sealed_batch(batch)?.map(|b| b.blocks()))
    }

    fn batch_details(&self, batch: u64) -> Result<Option<SettlementDetails>> {
        if batch == 0 {
            let genesis = self.shared().storage.genesis_batch().map_err(internal)?;
            let s = self.settlement_of(Some(0))?;
            return Ok(Some(self.details(0, genesis.lastTimestamp, &s, genesis.stateRoot, (0, 0))));
        }
        let Some(b) = self.sealed_batch(batch)? else { return Ok(None) };
        let s = self.settlement_of(Some(batch))?;
        let counts = (b.priority_count, b.tx_count.saturating_sub(b.priority_count));
        let details =
            self.details(batch, b.public_input.first_timestamp, &s, b.info.stateRoot, counts);
        let proving = self.shared().storage.proving(batch).map_err(internal)?.map(proving_view);
        Ok(Some(SettlementDetails { proving, ..details }))
    }

    fn block_details(&self, block: u64) -> Result<Option<BlockDetails>> {
        let Some(record) = self.record(BlockRef::Number(block))? else { return Ok(None) };
        let storage = &self.shared().storage;
        let batch = storage.batch_of_block(block).map_err(internal)?;
        let s = self.settlement_of(batch)?;
        let counts =
            (record.priority_count.into(), u64::from(record.tx_count - record.priority_count));
        Ok(Some(BlockDetails {
            settlement: self.details(block, record.header.timestamp, &s, record.hash, counts),
            l1_batch_number: batch.unwrap_or(storage.batch_heads().sealed + 1),
            operator_address: record.header.beneficiary,
        }))
    }

    fn transaction_details(&self, hash: TxHash) -> Result<Option<TransactionDetails>> {
        let storage = &self.shared().storage;
        let Some(at) = storage.tx_location(hash).map_err(internal)? else {
            return Ok(self.pooled_details(hash));
        };
        let Some(tx) = storage.transaction(at).map_err(internal)? else { return Ok(None) };
        let Some(block) = storage.block(at.block).map_err(internal)? else { return Ok(None) };
        let priority = decode(&tx.raw)?.is_priority();
        self.included_details(&block, &self.receipt_at(at)?, tx.sender, priority).map(Some)
    }

    fn log_proof(
        &self,
        hash: TxHash,
        index: usize,
        mode: LogProofMode,
    ) -> Result<Option<LogProof>> {
        if mode == LogProofMode::MessageRoot {
            return Err(ChainError::Unsupported(
                "this chain's messages are not aggregated in a message root".into(),
            ));
        }
        let storage = &self.shared().storage;
        let Some(at) = storage.tx_location(hash).map_err(internal)? else { return Ok(None) };
        let Some(batch) = storage.batch_of_block(at.block).map_err(internal)?.filter(|b| *b > 0)
        else {
            return Ok(None);
        };
        if index >= self.receipt_at(at)?.l2_to_l1_logs.len() {
            return Ok(None);
        }
        let logs = storage.batch_logs(batch).map_err(internal)?;
        let mut of_tx = logs
            .iter()
            .enumerate()
            .filter(|(_, (block, log))| *block == at.block && u32::from(log.tx_number) == at.index);
        let Some((id, _)) = of_tx.nth(index) else { return Ok(None) };
        let leaves: Vec<_> = logs.iter().map(|(_, log)| *log).collect();
        let tree = LogTree::new(&leaves).map_err(internal)?;
        let root = storage.batch_info(batch).map_err(internal)?.l2ToL1Root;
        let proof = tree.l1_proof(id, B256::ZERO);
        Ok(proof.map(|proof| LogProof { id: id as u64, proof, root, batch_number: batch }))
    }

    fn estimate_fee(&self, request: EstimateRequest) -> Result<FeeEstimate> {
        let cap = cairn_stf::limits::TX_GAS_LIMIT;
        let room = cairn_rpc::eip712::margin(&request.request, &request.other)?;
        let gas = self.estimate(request, StateOverrides::default(), cap, CallPurpose::Estimate)?;
        let gas_limit = gas + room;
        let fees = *self.shared().fees.read();
        let base = u128::from(fees.base_fee);
        Ok(FeeEstimate {
            gas_limit,
            gas_per_pubdata_limit: fees.gas_per_pubdata,
            max_fee_per_gas: base + base * FEE_MARGIN / 100,
            max_priority_fee_per_gas: self.shared().config.mempool.min_tip,
        })
    }

    fn estimate_gas_l1_to_l2(&self, mut request: EstimateRequest) -> Result<u64> {
        let from = request.request.from.unwrap_or_default();
        let value = request.request.value.unwrap_or_default();
        // L1 mints what the operation needs: the sender need not have it yet, and pays no L2 fee.
        let have =
            self.shared().accounts.get(&self.shared().storage, from).map_err(internal)?.balance;
        let balance = U256::from(have).saturating_add(value).min(U256::from(u128::MAX));
        let mut overrides = StateOverrides::default();
        overrides
            .insert(from, AccountOverride { balance: Some(balance), ..AccountOverride::default() });
        let r = &mut request.request;
        (r.gas_price, r.max_fee_per_gas, r.max_priority_fee_per_gas) = (None, None, None);
        // A priority operation is a plain call, whatever `eip712Meta` says of it.
        let gas = self.estimate(request, overrides, PRIORITY_GAS_CAP, CallPurpose::Call)?;
        Ok((gas + gas * L1_TO_L2_MARGIN / 100).min(PRIORITY_GAS_CAP))
    }

    fn gas_per_pubdata(&self) -> Result<u64> {
        Ok(self.shared().fees.read().gas_per_pubdata)
    }

    fn fee_params(&self) -> Result<FeeParams> {
        let (fees, limits) = (*self.shared().fees.read(), self.shared().config.batches.limits);
        Ok(FeeParams {
            minimal_l2_gas_price: fees.base_fee,
            max_gas_per_batch: limits.gas,
            max_pubdata_per_batch: limits.pubdata,
            batch_overhead_l1_gas: 0,
            l1_gas_price: self.bridge.l1_gas_price,
            l1_pubdata_price: fees.base_fee.saturating_mul(fees.gas_per_pubdata),
        })
    }

    fn all_balances(&self, address: Address) -> Result<BTreeMap<Address, U256>> {
        let shared = self.shared();
        let mut out = BTreeMap::new();
        let account = shared.accounts.get(&shared.storage, address).map_err(internal)?;
        if account.balance > 0 {
            out.insert(address::BASE_TOKEN, U256::from(account.balance));
        }
        for token in self.tokens()? {
            let balance =
                self.view(token.l2_address, &IToken::balanceOfCall { account: address })?;
            if let Some(balance) = balance.filter(|b| !b.is_zero()) {
                out.insert(token.l2_address, balance);
            }
        }
        Ok(out)
    }

    fn confirmed_tokens(&self, from: usize, limit: usize) -> Result<Vec<Token>> {
        Ok(self.tokens()?.into_iter().skip(from).take(limit.min(MAX_TOKENS)).collect())
    }

    fn bytecode_by_hash(&self, hash: B256) -> Result<Option<Bytes>> {
        self.shared().storage.state().and_then(|s| s.code(hash)).map_err(internal)
    }

    fn raw_block_transactions(&self, block: u64) -> Result<Vec<Value>> {
        let storage = &self.shared().storage;
        let Some(record) = self.record(BlockRef::Number(block))? else { return Ok(Vec::new()) };
        let transactions = storage.transactions(block).map_err(internal)?;
        transactions.iter().map(|t| raw_transaction_json(t, &record)).collect()
    }

    fn storage_proof(
        &self,
        address: Address,
        keys: Vec<B256>,
        batch: u64,
    ) -> Result<Option<Vec<StorageProof>>> {
        let storage = &self.shared().storage;
        if batch > storage.batch_heads().sealed {
            return Ok(None);
        }
        if keys.len() > MAX_PROOF_KEYS {
            return Err(ChainError::LimitExceeded(format!("more than {MAX_PROOF_KEYS} keys")));
        }
        let tree = storage.tree_at(batch).map_err(internal)?.ok_or_else(|| {
            ChainError::Unsupported(format!(
                "the state tree of batch {batch} is not kept any more: at most {KEPT_TREES} batches back, fewer when they changed much"
            ))
        })?;
        let tree = Tree::new(tree);
        keys.iter().map(|key| slot_proof(&tree, address, key)).collect::<Result<_>>().map(Some)
    }

    fn protocol_version(&self, id: Option<u16>) -> Result<Option<Value>> {
        if id.is_some_and(|id| u64::from(id) != PROTOCOL_VERSION) {
            return Ok(None);
        }
        let genesis = self.shared().storage.genesis_batch().map_err(internal)?;
        let program = self.shared().config.guest_program_id;
        Ok(Some(json!({
            "version_id": PROTOCOL_VERSION, "minorVersion": PROTOCOL_VERSION,
            "timestamp": genesis.lastTimestamp,
            "verification_keys_hashes": { "recursion_scheduler_level_vk_hash": program },
            "base_system_contracts": { "bootloader": B256::ZERO, "default_aa": B256::ZERO },
            "bootloaderCodeHash": B256::ZERO, "defaultAccountCodeHash": B256::ZERO,
            "guestProgramId": program,
            "l2_system_upgrade_tx_hash": Value::Null, "l2SystemUpgradeTxHash": Value::Null,
        })))
    }

    fn genesis(&self) -> Result<Value> {
        let storage = &self.shared().storage;
        let info = storage.genesis_batch().map_err(internal)?;
        Ok(json!({
            "genesis_root": info.stateRoot, "leaf_count": info.leafCount,
            "genesis_block_hash": info.lastBlockHash, "timestamp": info.lastTimestamp,
            "execution_version": PROTOCOL_VERSION,
            "initial_contracts": [], "additional_storage": {},
        }))
    }

    fn block_metadata(&self, block: u64) -> Result<Option<Value>> {
        let Some(record) = self.record(BlockRef::Number(block))? else { return Ok(None) };
        let price = u128::from(record.header.base_fee) * u128::from(record.gas_per_pubdata);
        Ok(Some(json!({
            "pubdataPricePerByte": format!("{price:#x}"),
            "nativePrice": format!("{:#x}", record.header.base_fee),
            "executionVersion": PROTOCOL_VERSION,
        })))
    }

    fn submit_detailed(&self, raw: Bytes) -> BoxFuture<'_, Result<DetailedOutput>> {
        self.submit_and_rehearse(raw).boxed()
    }
}

fn slot_proof(
    tree: &Tree<cairn_storage::BatchTree>,
    address: Address,
    slot: &B256,
) -> Result<StorageProof> {
    let key = Key::slot(&address, &U256::from_be_bytes(slot.0));
    // The key's own leaf, or the one whose link shows that it is absent.
    let (index, found) = predecessor(tree, &key)?;
    let value =
        if found { tree.get(&key).map_err(internal)?.unwrap_or_default() } else { U256::ZERO };
    let mut proof = Vec::with_capacity(cairn_state::DEPTH);
    for level in 0..cairn_state::DEPTH {
        let sibling = tree.store().node(level as u8, (index >> level) ^ 1).map_err(internal)?;
        proof.push(B256::from(sibling.unwrap_or(cairn_state::digest::EMPTY[level]).to_bytes()));
    }
    Ok(StorageProof { key: *slot, value: B256::from(value), index, proof })
}

fn predecessor(tree: &Tree<cairn_storage::BatchTree>, key: &Key) -> Result<(u64, bool)> {
    let found = tree.store().predecessor(key).map_err(internal)?;
    let (low, index) =
        found.ok_or_else(|| internal("the state tree has no predecessor of a key"))?;
    Ok((index, low == *key))
}

/// zksync's shape of a stored transaction.
fn raw_transaction_json(record: &cairn_storage::TxRecord, block: &BlockRecord) -> Result<Value> {
    let tx = decode(&record.raw)?;
    let kind = if tx.is_priority() { "L1" } else { "L2" };
    let recovered = cairn_stf::RecoveredTx::assume_sender(tx.clone(), record.sender);
    let common = json!({
        "nonce": tx.nonce(),
        "fee": {
            "gas_limit": format!("{:#x}", tx.gas_limit()),
            "max_fee_per_gas": format!("{:#x}", tx.max_fee_per_gas()),
            "max_priority_fee_per_gas": format!("{:#x}", tip(&recovered, block.header.base_fee)),
            "gas_per_pubdata_limit": format!("{:#x}", block.gas_per_pubdata),
        },
        "initiatorAddress": record.sender,
        "transactionType": tx.ty(),
        "canonicalTxHash": record.hash,
    });
    Ok(json!({
        "common_data": { kind: common },
        "execute": {
            "contractAddress": tx.to(), "calldata": tx.input(),
            "value": format!("{:#x}", tx.value()), "factoryDeps": [],
        },
        "received_timestamp_ms": block.built_at_ms,
        "raw_bytes": record.raw,
    }))
}

fn proving_view(record: ProvingRecord) -> Proving {
    let status = match &record.failure {
        Some(_) => "failed",
        None if record.is_complete() => "proven",
        None if record.base_bytes > 0 => "joining",
        None => "proving",
    };
    Proving {
        status,
        program_id: record.program_id,
        cycles: record.cycles,
        shards: record.shards,
        done: record.done,
        join_steps: record.join_steps,
        joined: record.joined,
        spent_ms: record.spent_ms(),
        proof_bytes: record.last.map_or(0, |l| l.bytes),
        proven_bits: record.last.map(|l| l.proven_bits),
        proof_of: record.last.map(|l| (l.first, l.last)),
        failure: record.failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(951_827_696_789), "2000-02-29T12:34:56.789Z");
        assert_eq!(rfc3339(1_795_365_000_001), "2026-11-22T16:30:00.001Z");
        assert_eq!(rfc3339(4_107_542_399_000), "2100-02-28T23:59:59.000Z");
    }
}
