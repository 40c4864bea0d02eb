//! Ethereum's rules at the newest mainnet fork (Osaka with BPO2's blob parameters), on revm.

use crate::block::{BLOBS, SentTx};
use crate::state::StateDb;
use alloy_consensus::{Header, Transaction as _, TxEnvelope, Typed2718};
use alloy_eips::{eip2935, eip4788, eip7002, eip7251};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_rpc_types::TransactionRequest;
use alloy_rpc_types::state::StateOverride;
use cairn_rpc::chain::RpcInspector;
use cairn_rpc::error::from_invalid;
use cairn_rpc::{CallPurpose, ChainError};
use revm::bytecode::Bytecode;
use revm::context::{BlockEnv, CfgEnv, Context, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::context_interface::either::Either;
use revm::context_interface::result::{EVMError, ExecutionResult, HaltReason, ResultAndState};
use revm::handler::{MainBuilder, MainContext, MainnetContext, MainnetEvm};
use revm::inspector::InspectEvm;
use revm::primitives::hardfork::SpecId;
use revm::{ExecuteEvm, SystemCallCommitEvm};

/// The newest hardfork that is live on mainnet.
pub(crate) const SPEC: SpecId = SpecId::OSAKA;

/// Configuration of the EVM for blocks of the chain.
pub(crate) fn cfg(chain_id: u64) -> CfgEnv {
    let mut cfg = CfgEnv::new_with_spec(SPEC).with_chain_id(chain_id);
    cfg.max_blobs_per_tx = Some(BLOBS.max_blobs_per_tx);
    cfg.blob_base_fee_update_fraction = Some(BLOBS.update_fraction as u64);
    cfg
}

/// Configuration for a simulated call: who may pay and how much is not checked unless the request states fees.
pub(crate) fn call_cfg(
    chain_id: u64,
    purpose: CallPurpose,
    request: &TransactionRequest,
) -> CfgEnv {
    let mut cfg = cfg(chain_id);
    cfg.disable_eip3607 = true;
    // As geth: a simulation does not mind a stale nonce.
    cfg.disable_nonce_check = true;
    cfg.disable_base_fee = request.gas_price.or(request.max_fee_per_gas).unwrap_or_default() == 0;
    if purpose == CallPurpose::Call {
        cfg.disable_block_gas_limit = true;
        cfg.tx_gas_limit_cap = Some(u64::MAX);
    }
    cfg
}

/// Block environment of a header.
pub(crate) fn block_env(header: &Header) -> BlockEnv {
    let mut env = BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or_default(),
        difficulty: U256::ZERO,
        prevrandao: Some(header.mix_hash),
        ..BlockEnv::default()
    };
    let excess = header.excess_blob_gas.unwrap_or_default();
    env.blob_excess_gas_and_price =
        Some(BlobExcessGasAndPrice::new(excess, BLOBS.update_fraction as u64));
    env
}

/// The EVM's view of a transaction.
pub(crate) fn tx_env(tx: &TxEnvelope, sender: Address) -> TxEnv {
    TxEnv {
        tx_type: tx.ty(),
        caller: sender,
        gas_limit: tx.gas_limit(),
        gas_price: tx.max_fee_per_gas(),
        kind: tx.kind(),
        value: tx.value(),
        data: tx.input().clone(),
        nonce: tx.nonce(),
        chain_id: tx.chain_id(),
        access_list: tx.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: tx.max_priority_fee_per_gas(),
        blob_hashes: tx.blob_versioned_hashes().map(<[B256]>::to_vec).unwrap_or_default(),
        max_fee_per_blob_gas: tx.max_fee_per_blob_gas().unwrap_or_default(),
        authorization_list: tx
            .authorization_list()
            .unwrap_or_default()
            .iter()
            .cloned()
            .map(Either::Left)
            .collect(),
    }
}

/// The EVM's view of a request to simulate.
pub(crate) fn request_env(
    request: &TransactionRequest,
    chain_id: u64,
    nonce: u64,
) -> Result<TxEnv, ChainError> {
    let input = request
        .input
        .clone()
        .try_into_unique_input()
        .map_err(|e| ChainError::InvalidParams(e.to_string()))?;
    let kind = request.to.unwrap_or(TxKind::Create);
    let authorizations = request.authorization_list.clone().unwrap_or_default();
    let blob_hashes = request.blob_versioned_hashes.clone().unwrap_or_default();
    let tx_type = match request {
        _ if !authorizations.is_empty() => 4,
        _ if !blob_hashes.is_empty() => 3,
        r if r.max_fee_per_gas.is_some() || r.max_priority_fee_per_gas.is_some() => 2,
        r if r.access_list.is_some() => 1,
        _ => 0,
    };
    if let (Some(price), Some(_)) =
        (request.gas_price, request.max_fee_per_gas.or(request.max_priority_fee_per_gas))
    {
        return Err(ChainError::InvalidParams(format!(
            "both gasPrice ({price}) and (maxFeePerGas or maxPriorityFeePerGas) specified"
        )));
    }
    Ok(TxEnv {
        tx_type,
        caller: request.from.unwrap_or_default(),
        gas_limit: request.gas.unwrap_or(u64::MAX),
        gas_price: request
            .max_fee_per_gas
            .or(request.gas_price)
            .or(request.max_priority_fee_per_gas)
            .unwrap_or_default(),
        kind,
        value: request.value.unwrap_or_default(),
        data: input.unwrap_or_default(),
        nonce: request.nonce.unwrap_or(nonce),
        chain_id: Some(request.chain_id.unwrap_or(chain_id)),
        access_list: request.access_list.clone().unwrap_or_default(),
        gas_priority_fee: (tx_type >= 2)
            .then(|| request.max_priority_fee_per_gas.unwrap_or_default()),
        blob_hashes,
        max_fee_per_blob_gas: request.max_fee_per_blob_gas.unwrap_or(if tx_type == 3 {
            u128::MAX
        } else {
            0
        }),
        authorization_list: authorizations.into_iter().map(Either::Left).collect(),
    })
}

/// An EVM over a state.
pub(crate) type Evm = MainnetEvm<MainnetContext<StateDb>>;

pub(crate) fn evm(db: StateDb, cfg: CfgEnv, block: BlockEnv) -> Evm {
    Context::mainnet().with_db(db).with_cfg(cfg).with_block(block).build_mainnet()
}

/// The state that an EVM holds.
pub(crate) const fn db(evm: &mut Evm) -> &mut StateDb {
    &mut evm.ctx.journaled_state.database
}

/// Calls EIP-4788's and EIP-2935's contracts, as every block does before its transactions.
pub(crate) fn pre_block(evm: &mut Evm, header: &Header) -> Result<(), ChainError> {
    let fail = |e: EVMError<ChainError>| ChainError::Internal(format!("system call: {e}"));
    let beacon_root = header.parent_beacon_block_root.unwrap_or_default();
    evm.system_call_commit(
        eip4788::BEACON_ROOTS_ADDRESS,
        Bytes::copy_from_slice(beacon_root.as_slice()),
    )
    .map_err(fail)?;
    let parent = Bytes::copy_from_slice(header.parent_hash.as_slice());
    evm.system_call_commit(eip2935::HISTORY_STORAGE_ADDRESS, parent).map_err(fail)?;
    Ok(())
}

/// Calls EIP-7002's and EIP-7251's contracts after the transactions; returns their requests by type.
pub(crate) fn post_block(evm: &mut Evm) -> Result<Vec<Bytes>, ChainError> {
    let contracts = [
        (eip7002::WITHDRAWAL_REQUEST_TYPE, eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS),
        (eip7251::CONSOLIDATION_REQUEST_TYPE, eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS),
    ];
    let mut requests = Vec::new();
    for (ty, address) in contracts {
        let result = evm
            .system_call_commit(address, Bytes::new())
            .map_err(|e| ChainError::Internal(format!("system call: {e}")))?;
        let data = result.into_output().unwrap_or_default();
        if !data.is_empty() {
            requests.push([&[ty], &data[..]].concat().into());
        }
    }
    Ok(requests)
}

/// revm's error as the pool's or the node's.
pub(crate) fn chain_error(error: EVMError<ChainError>, tx: &TxEnv, base_fee: u64) -> ChainError {
    match error {
        EVMError::Transaction(invalid) => from_invalid(&invalid, tx, base_fee).into(),
        EVMError::Database(error) => error,
        other => ChainError::Internal(other.to_string()),
    }
}

/// Executes without committing, with or without an inspector.
pub(crate) fn transact(
    db: StateDb,
    cfg: CfgEnv,
    block: BlockEnv,
    tx: TxEnv,
    inspector: Option<&mut RpcInspector>,
) -> Result<ResultAndState<HaltReason>, ChainError> {
    let base_fee = block.basefee;
    let context = Context::mainnet().with_db(db).with_cfg(cfg).with_block(block);
    let result = match inspector {
        Some(inspector) => context.build_mainnet_with_inspector(inspector).inspect_tx(tx.clone()),
        None => context.build_mainnet().transact(tx.clone()),
    };
    result.map_err(|e| chain_error(e, &tx, base_fee))
}

/// Executes a block's transaction and commits it.
pub(crate) fn execute(
    evm: &mut Evm,
    sent: &SentTx,
) -> Result<ExecutionResult, EVMError<ChainError>> {
    use revm::DatabaseCommit;
    let ResultAndState { result, state } = evm.transact(tx_env(&sent.tx, sent.sender))?;
    db(evm).commit(state);
    Ok(result)
}

/// Changes a state as `eth_call`'s third parameter asks.
pub(crate) fn apply_overrides(
    db: &mut StateDb,
    overrides: &StateOverride,
) -> Result<(), ChainError> {
    for (address, change) in overrides {
        if change.state.is_some() && change.state_diff.is_some() {
            return Err(ChainError::InvalidParams(format!(
                "account {address} has both 'state' and 'stateDiff'"
            )));
        }
        if change.move_precompile_to.is_some() {
            return Err(ChainError::InvalidParams(
                "movePrecompileToAddress is not supported".into(),
            ));
        }
        db.state.update(*address, |account| {
            account.nonce = change.nonce.unwrap_or(account.nonce);
            account.balance = change.balance.unwrap_or(account.balance);
            if let Some(code) = &change.code {
                account.set_code(code.clone());
            }
            if change.state.is_some() {
                account.storage = Default::default();
            }
            for (slot, value) in change.state.iter().chain(&change.state_diff).flatten() {
                account.set_slot((*slot).into(), (*value).into());
            }
        });
    }
    Ok(())
}

/// Code as revm holds it: a designator of EIP-7702 is one only if it is well formed.
pub(crate) fn bytecode(raw: Bytes) -> Bytecode {
    Bytecode::new_raw_checked(raw.clone()).unwrap_or_else(|_| Bytecode::new_legacy(raw))
}
