//! The rollup behind the RPC server.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rpc_types::state::AccountOverride;
use alloy_sol_types::SolValue;
use cairn_primitives::l2_to_l1::chain_batch_root;
use cairn_rpc::chain::RpcInspector;
use cairn_rpc::zks::{EstimateRequest, LogProofMode, TransactionStatus};
use cairn_rpc::{
    BlockEvent, BlockRef, CallPurpose, CallRequest, Chain, ChainError, DevChain, MineRequest,
    NamedBlock, ZkChain,
};
use cairn_sequencer::L2Rpc;
use cairn_storage::L1Tx;
use revm::database_interface::DatabaseRef;

use crate::common::*;

async fn deploy(chain: &L2Rpc) -> Address {
    let signer = key(0);
    let nonce = chain.pending_nonce(signer.address()).unwrap();
    let (hash, raw) = Tx::new(nonce).create(recorder()).sign(&signer);
    chain.submit(raw).await.unwrap();
    included(chain.sequencer().storage(), hash).await;
    let receipt = chain.receipt(hash).unwrap().unwrap();
    assert!(receipt.status, "{receipt:?}");
    receipt.contract_address.unwrap()
}

fn call(to: Address, data: Vec<u8>, block: BlockRef) -> CallRequest {
    let mut request = alloy_rpc_types::TransactionRequest {
        to: Some(to.into()),
        gas: Some(1_000_000),
        ..Default::default()
    };
    request.input = Bytes::from(data).into();
    CallRequest {
        request,
        other: Default::default(),
        block,
        state_overrides: None,
        block_overrides: None,
        purpose: CallPurpose::Call,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_receipts_logs_and_state() {
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let chain = rpc(&sequencer);
    let mut events = chain.subscribe_blocks();
    let mut pending = chain.subscribe_pending();
    let contract = deploy(&chain).await;
    let topic = B256::repeat_byte(7);
    let (hash, raw) = Tx::new(1).call(contract, topic.to_vec()).sign(&key(0));
    chain.submit(raw.clone()).await.unwrap();
    included(sequencer.storage(), hash).await;
    let receipt = chain.receipt(hash).unwrap().unwrap();
    assert!(receipt.status);
    assert_eq!(receipt.logs[0].data.topics(), [topic]);
    assert_eq!(chain.raw_transaction(hash).unwrap().unwrap(), raw);
    let json = serde_json::to_value(&receipt).unwrap();
    assert_eq!(json["l1BatchNumber"], serde_json::Value::Null);
    assert_eq!(json["l2ToL1Logs"], serde_json::json!([]));
    assert_eq!(json["logs"][0]["transactionLogIndex"], "0x0");
    let number = receipt.inclusion.block_number;
    let block = chain.block(BlockRef::Number(number)).unwrap().unwrap();
    assert_eq!(
        chain.block(BlockRef::Hash(block.header.hash)).unwrap().unwrap().transactions,
        [hash]
    );
    assert!(chain.bloom(number).unwrap().unwrap().contains_raw_log(contract, &[topic]));
    let state = chain.state(BlockRef::Number(number)).unwrap();
    assert_eq!(state.storage_ref(contract, U256::ZERO).unwrap(), U256::from_be_bytes(topic.0));
    let before = chain.state(BlockRef::Number(number - 1)).unwrap();
    assert_eq!(before.storage_ref(contract, U256::ZERO).unwrap(), U256::ZERO);
    assert!(chain.state(BlockRef::Number(0)).unwrap().basic_ref(contract).unwrap().is_none());
    assert!(pending.try_recv().is_ok());
    let BlockEvent::New { header, .. } = &*events.recv().await.unwrap() else { panic!() };
    assert_eq!(header.number, 1);
    // Once the batch is sealed, its number is everywhere.
    let batch = sealed(&sequencer).await;
    let json = serde_json::to_value(chain.receipt(hash).unwrap().unwrap()).unwrap();
    assert_eq!(json["l1BatchNumber"], format!("{batch:#x}"));
    assert_eq!(json["l1BatchTxIndex"], "0x0");
    assert_eq!(json["logs"][0]["l1BatchNumber"], format!("{batch:#x}"));
    assert_eq!(
        chain.batch_block_range(batch).unwrap(),
        Some((1, sequencer.storage().head_number()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_estimates_and_reverts() {
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let chain = rpc(&sequencer);
    let contract = deploy(&chain).await;
    let at = BlockRef::Pending;
    let reverted = chain.call(call(contract, vec![], at), None).unwrap();
    let reason = keccak256("Error(string)")[..4].to_vec();
    assert_eq!(reverted.result.output().unwrap()[..4], reason);
    assert_eq!(reverted.result.output().unwrap()[4..], ("no",).abi_encode_params());
    let ok = chain.call(call(contract, vec![1; 32], at), None).unwrap();
    assert!(ok.result.is_success() && ok.gas_used > 40_000);
    let request = call(contract, vec![1; 32], at).request;
    let mut request = EstimateRequest { request, other: Default::default() };
    request.request.gas = None;
    request.request.from = Some(key(0).address());
    let fee = chain.estimate_fee(request.clone()).unwrap();
    assert!(
        fee.gas_limit >= ok.gas_used
            && fee.max_fee_per_gas >= sequencer.config().fees.base_fee.into()
    );
    assert!(chain.estimate_gas_l1_to_l2(request.clone()).unwrap() >= fee.gas_limit);
    request.request.input = Bytes::new().into();
    assert!(matches!(chain.estimate_fee(request), Err(ChainError::Reverted(_))));
    // A call with an override sees it.
    let mut with = call(contract, vec![1; 32], at);
    let code = Bytes::from_static(&[0x5f, 0x35, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3]);
    let o = alloy_rpc_types::state::AccountOverride { code: Some(code), ..Default::default() };
    with.state_overrides = Some([(contract, o)].into_iter().collect());
    assert_eq!(chain.call(with, None).unwrap().result.output().unwrap()[..], [1; 32]);
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_show_what_happened() {
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let chain: Arc<L2Rpc> = Arc::new(rpc(&sequencer));
    let contract = deploy(&chain).await;
    chain.set_automine(false).unwrap();
    for nonce in 1..4u8 {
        let (_, raw) = Tx::new(nonce.into()).call(contract, vec![nonce; 32]).sign(&key(0));
        chain.submit(raw).await.unwrap();
    }
    sequencer.mine().await.unwrap();
    let block = BlockRef::Number(sequencer.storage().head_number());
    let hashes = chain.block(block).unwrap().unwrap().transactions.clone();
    assert_eq!(hashes.len(), 3);
    let mut seen = Collect::default();
    chain.replay(cairn_rpc::ReplayTarget::Block(block), &mut seen).unwrap();
    assert_eq!(seen.before, [U256::ZERO, word(1), word(2)]);
    assert_eq!(
        seen.gas,
        chain.receipts(block).unwrap().unwrap().iter().map(|r| r.gas_used).collect::<Vec<_>>()
    );
    assert!(seen.slots.iter().all(|s| *s));
    let mut one = Collect::default();
    chain.replay(cairn_rpc::ReplayTarget::Transaction(hashes[1]), &mut one).unwrap();
    assert_eq!(one.before.last(), Some(&word(1)));
    assert_eq!(one.before.len(), 2);
    // A traced call's overrides belong to the state before it.
    let mut request = call(contract, vec![9; 32], block);
    let pretended = AccountOverride {
        balance: Some(U256::from(7)),
        state: Some(std::iter::once((B256::ZERO, word(5).into())).collect()),
        ..AccountOverride::default()
    };
    request.state_overrides = Some(std::iter::once((contract, pretended)).collect());
    let mut seen = Collect::default();
    chain.call(request, Some(&mut seen)).unwrap();
    assert_eq!((seen.balances, seen.before), (vec![U256::from(7)], vec![word(5)]));
}

fn word(byte: u8) -> U256 {
    U256::from_be_bytes([byte; 32])
}

/// Notes slot 0 of the callee before each transaction, the gas used, and whether the slot is among what the transaction touched.
#[derive(Default)]
struct Collect {
    inspector: Option<RpcInspector>,
    before: Vec<U256>,
    balances: Vec<U256>,
    gas: Vec<u64>,
    slots: Vec<bool>,
}

impl cairn_rpc::TxTracer for Collect {
    fn inspector(&mut self, _: &cairn_rpc::TracedTx) -> Option<&mut RpcInspector> {
        let config = revm_inspectors::tracing::TracingInspectorConfig::all();
        let tracing = revm_inspectors::tracing::TracingInspector::new(config);
        Some(self.inspector.insert(RpcInspector::calls(tracing)))
    }

    fn finish(
        &mut self,
        _: &cairn_rpc::TracedTx,
        tx: &revm::context::TxEnv,
        _: &revm::context::BlockEnv,
        result: &revm::context_interface::result::ResultAndState<
            revm::context_interface::result::HaltReason,
        >,
        before: &dyn cairn_rpc::StateView,
    ) -> cairn_rpc::Result<std::ops::ControlFlow<()>> {
        let to = *tx.kind.to().unwrap();
        self.before.push(before.storage_ref(to, U256::ZERO)?);
        self.balances.push(before.basic_ref(to)?.unwrap_or_default().balance);
        self.gas.push(result.result.tx_gas_used());
        self.slots.push(result.state.get(&to).is_some_and(|a| a.storage.contains_key(&U256::ZERO)));
        let Some(RpcInspector::Calls(calls)) = &self.inspector else { panic!() };
        assert!(!calls.traces().nodes().is_empty());
        Ok(std::ops::ControlFlow::Continue(()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_and_proofs_as_clients_ask_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let chain = rpc(&sequencer);
    let ops = vec![deposit(0, SINK, 5), deposit(1, SINK, 6)];
    sequencer.submit_priority_ops(ops.clone(), 1).unwrap();
    included(sequencer.storage(), ops[1].hash).await;
    let proof = |n: usize| chain.log_proof(ops[n].hash, 0, LogProofMode::BatchRoot).unwrap();
    assert_eq!(proof(0), None);
    let batch = sealed(&sequencer).await;
    for (n, op) in ops.iter().enumerate() {
        let p = proof(n).unwrap();
        let log = sequencer.storage().batch_logs(batch).unwrap()[p.id as usize].1;
        assert_eq!((log.key, p.batch_number), (op.hash, batch));
        let mut hash = log.hash();
        for (height, sibling) in p.proof[1..15].iter().enumerate() {
            let (l, r) =
                if (p.id >> height) & 1 == 0 { (hash, *sibling) } else { (*sibling, hash) };
            hash = cairn_primitives::header::keccak2(l, r);
        }
        assert_eq!(chain_batch_root(hash, p.proof[15]), p.root);
    }
    assert_eq!(chain.log_proof(ops[0].hash, 1, LogProofMode::BatchRoot).unwrap(), None);
    let details = chain.transaction_details(ops[0].hash).unwrap().unwrap();
    assert!(details.is_l1_originated && details.status == TransactionStatus::Included);
    assert_eq!(chain.named_block(NamedBlock::Finalized).unwrap(), Some(0));
    let tx = L1Tx { hash: B256::repeat_byte(9), block: 1, timestamp: 1, gas_used: Some(1) };
    sequencer.storage().record_executed(1, 1, tx).unwrap();
    assert_eq!(
        chain.named_block(NamedBlock::Finalized).unwrap(),
        Some(sequencer.storage().head_number())
    );
    let details = chain.transaction_details(ops[0].hash).unwrap().unwrap();
    assert_eq!(
        (details.status, details.eth_execute_tx_hash),
        (TransactionStatus::Verified, Some(tx.hash))
    );
    assert_eq!(chain.batch_details(1).unwrap().unwrap().l1_tx_count, 2);
    assert_eq!(chain.block_details(1).unwrap().unwrap().l1_batch_number, 1);
    assert_eq!(chain.l1_batch_number().unwrap(), 1);
    assert_eq!(chain.raw_block_transactions(1).unwrap().len(), 2);
    assert!(chain.all_balances(SINK).unwrap().values().next().unwrap() >= &U256::from(11));
    // Priority operations show as type 0x7f.
    let json = serde_json::to_value(chain.transaction(ops[0].hash).unwrap().unwrap()).unwrap();
    assert_eq!(json["type"], "0x7f");
    let json = serde_json::to_value(chain.receipt(ops[0].hash).unwrap().unwrap()).unwrap();
    assert_eq!(json["l2ToL1Logs"][0]["transactionLogIndex"], "0x0");
    assert_eq!(json["l2ToL1Logs"][0]["l1_batch_number"], "0x1");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_and_mining() {
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let chain = rpc(&sequencer);
    let dev = chain.clone();
    let mined = move |request| dev.mine(request);
    let before = sequencer.storage().head().unwrap().header.timestamp;
    chain.set_next_block_timestamp(before + 2_000_000_000).unwrap();
    let request = MineRequest { blocks: 3, interval: Some(10), timestamp: None };
    let m = mined.clone();
    tokio::task::spawn_blocking(move || m(request)).await.unwrap().unwrap();
    let at = |n| sequencer.storage().block(n).unwrap().unwrap().header.timestamp;
    assert_eq!((at(1), at(2), at(3)), (before + 2_000_000_000, at(1) + 10, at(1) + 20));
    assert!(chain.set_next_block_timestamp(at(3) - 1).is_err());
    chain.increase_time(Duration::from_secs(100)).unwrap();
    chain.set_automine(false).unwrap();
    let (hash, raw) = Tx::new(0).sign(&key(0));
    chain.submit(raw).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(chain.receipt(hash).unwrap().is_none());
    assert_eq!(chain.pending_nonce(key(0).address()).unwrap(), 1);
    assert_eq!(chain.pool().unwrap().pending.len(), 1);
    chain.set_automine(true).unwrap();
    included(sequencer.storage(), hash).await;
    assert!(at(4) >= at(3) + 100);
    let e = chain.set_balance(SINK, U256::from(1)).unwrap_err();
    assert!(matches!(&e, ChainError::Unsupported(why) if why.contains("Deposit from L1")), "{e}");
    sealed(&sequencer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_is_the_next_block() {
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let chain = rpc(&sequencer);
    chain.set_automine(false).unwrap();
    sequencer.mine().await.unwrap();
    let head = sequencer.storage().head().unwrap();
    let mut hashes = Vec::new();
    for nonce in [0, 1, 5] {
        let (hash, raw) = Tx::new(nonce).sign(&key(0));
        chain.submit(raw).await.unwrap();
        hashes.push(hash);
    }
    let block = chain.block(BlockRef::Pending).unwrap().unwrap();
    assert_eq!(block.header.number, head.header.number + 1);
    assert_eq!(block.header.parent_hash, head.hash);
    assert!(block.header.timestamp >= head.header.timestamp);
    assert_eq!(block.transactions, hashes[..2], "not what waits for a nonce");
    let whole = chain.transactions(BlockRef::Pending).unwrap().unwrap();
    assert!(whole.iter().map(|tx| tx.hash).eq(block.transactions.iter().copied()));
    assert!(whole.iter().all(|tx| tx.inclusion.is_none()));
    assert!(chain.receipts(BlockRef::Pending).unwrap().is_none());
    assert_eq!(chain.pool_counts().unwrap(), (2, 1));
    sequencer.mine().await.unwrap();
    let built = chain.block(BlockRef::Number(block.header.number)).unwrap().unwrap();
    assert_eq!(built.transactions, block.transactions);
    assert_eq!(built.header.base_fee_per_gas, block.header.base_fee_per_gas);
    assert_eq!(built.header.beneficiary, block.header.beneficiary);
    assert_eq!(built.header.gas_limit, block.header.gas_limit);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fork_and_what_proves_slots() {
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let chain = rpc(&sequencer);
    let fork = chain.fork().unwrap();
    assert_eq!(fork.chain_id, chain.chain_id());
    assert_eq!((fork.blob_schedule.max_blob_count, fork.precompiles.len()), (0, 18));
    let contracts = serde_json::to_value(&fork.system_contracts).unwrap();
    assert_eq!(contracts.as_object().unwrap().len(), 7);
    let messenger = "0x0000000000000000000000000000000000008008";
    assert_eq!(contracts["L1_MESSENGER_ADDRESS"], messenger);
    assert_eq!(contracts["HISTORY_STORAGE_ADDRESS"], "0x0000f90827f1c53a10cb7a02335b175320002935");
    let refused = chain.proof(SINK, vec![], BlockRef::Number(0)).unwrap_err();
    assert_eq!(refused.code(), -32601);
    assert!(refused.to_string().contains("use zks_getProof"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_proofs_of_older_batches_are_what_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let sequencer = start(dir.path(), config());
    let chain = rpc(&sequencer);
    let contract = deploy(&chain).await;
    let keys = || vec![B256::ZERO, B256::repeat_byte(9)];
    let mut kept = vec![chain.storage_proof(contract, keys(), 0).unwrap().unwrap()];
    for round in 1..=4u8 {
        let nonce = chain.pending_nonce(key(0).address()).unwrap();
        let set = Tx::new(nonce).call(contract, vec![round; 32]).sign(&key(0));
        // A leaf of its own, so that older trees lack leaves that this one links to.
        let mut pay = Tx::new(nonce + 1);
        pay.0.to = Address::repeat_byte(round).into();
        let pay = pay.sign(&key(0));
        for (hash, raw) in [set, pay] {
            chain.submit(raw).await.unwrap();
            included(sequencer.storage(), hash).await;
        }
        let batch = sealed(&sequencer).await;
        assert_eq!(batch, u64::from(round));
        let proof = chain.storage_proof(contract, keys(), batch).unwrap().unwrap();
        assert_eq!(proof[0].value, B256::repeat_byte(round));
        kept.push(proof);
    }
    for (batch, was) in kept.iter().enumerate() {
        let now = chain.storage_proof(contract, keys(), batch as u64).unwrap().unwrap();
        assert_eq!(now, *was, "batch {batch}");
        let tree = sequencer.storage().tree_at(batch as u64).unwrap().unwrap();
        let mut hash = cairn_state::TreeReader::leaf(&tree, now[1].index).unwrap().unwrap().hash();
        for (level, sibling) in now[1].proof.iter().enumerate() {
            let sibling = cairn_state::Digest::from_bytes(&sibling.0).unwrap();
            let (left, right) = match now[1].index >> level & 1 {
                0 => (hash, sibling),
                _ => (sibling, hash),
            };
            hash = cairn_state::digest::compress(&left, &right);
        }
        let root = sequencer.storage().batch_info(batch as u64).unwrap().stateRoot;
        assert_eq!(hash.to_b256(), root, "batch {batch}");
    }
    assert!(kept.windows(2).all(|pair| pair[0] != pair[1]));
    assert_eq!(chain.storage_proof(contract, keys(), 5).unwrap(), None);
}
