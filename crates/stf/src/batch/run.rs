//! The stateless execution of a batch.

use alloc::{string::ToString, vec::Vec};

use alloy_primitives::{B256, Bytes};
use cairn_primitives::{
    DaPolicy, L2ToL1Log, LogTree, PublicInput, Transaction,
    config::PROTOCOL_VERSION,
    da::{DaMode, MAX_PUBDATA},
    l2_to_l1::{LogTreeError, MAX_LOGS_PER_BATCH, chain_batch_root},
    priority::roll_priority_hash,
};
use cairn_state::{Digest, TreeUpdate, WitnessState, WitnessView};

use super::{
    BatchError, BatchInput, BlockInput,
    codec::Parts,
    reader::{ReadError, WitnessReader},
};
use crate::{
    block::{BlockEnvParams, Engine},
    changes::{StateChanges, collect_changes},
    da,
    error::ExecError,
    life::{TxResult, execute::plain},
    limits::{BLOCK_HASH_WINDOW, MAX_BLOCKS_PER_BATCH, MAX_TXS_PER_BATCH},
    pubdata::{self, PublishedBlock},
    tx::RecoveredTx,
};

/// What a batch's execution came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchResult {
    /// The claims that L1 checks.
    pub public_input: PublicInput,
    /// The data that must be available.
    pub pubdata: Vec<u8>,
    /// The state after, and the leaves changed.
    pub update: TreeUpdate,
    /// L2->L1 logs, in the order of the batch's tree.
    pub logs: Vec<L2ToL1Log>,
}

/// Checks a witness, executes its batch and returns the hash of its public input. This is what the VM runs.
///
/// # Errors
/// [`BatchError`] for an invalid batch or a false witness: there is no public input for it.
pub fn prove_batch(witness: &[u8]) -> Result<B256, BatchError> {
    execute_batch(witness).map(|result| result.public_input.hash())
}

/// As [`prove_batch`], with everything that the execution came to: what an attester compares with L1.
///
/// # Errors
/// As [`prove_batch`].
pub fn execute_batch(witness: &[u8]) -> Result<BatchResult, BatchError> {
    let Parts { input, codes, tree } = Parts::decode(witness)?;
    let state = open_state(&input, &tree)?;
    let executed = run_blocks(&input, codes, state)?;
    // From here on the witness is known to be true: `apply` checks it against the previous root.
    let update = state.apply(&executed.changes.writes())?;
    conclude(&input, executed, update)
}

fn open_state<'a>(input: &BatchInput, tree: &'a [u32]) -> Result<WitnessState<'a>, BatchError> {
    let root = Digest::try_from(input.prev_state_root).map_err(|_| BatchError::PrevRoot)?;
    Ok(WitnessView::parse(tree)?.open(root, input.prev_leaf_count)?)
}

/// What the blocks of a batch came to, the state tree aside.
#[derive(Debug, Clone)]
pub(super) struct Executed {
    pub blocks: Vec<PublishedBlock>,
    pub changes: StateChanges,
    pub logs: Vec<L2ToL1Log>,
    pub messages: Vec<Bytes>,
    pub last_block: u64,
    pub last_timestamp: u64,
    pub last_block_hash: B256,
    pub priority_ops: u64,
    pub priority_ops_hash: B256,
}

fn run_blocks(
    input: &BatchInput,
    codes: Vec<(B256, &[u8])>,
    state: WitnessState<'_>,
) -> Result<Executed, BatchError> {
    let hashes = ancestor_hashes(input)?;
    let (parent, parent_hash) = (&input.ancestors[0], hashes[0]);
    if input.blocks.is_empty() || input.blocks.len() > MAX_BLOCKS_PER_BATCH {
        return Err(BatchError::BlockCount(input.blocks.len()));
    }
    let txs: usize = input.blocks.iter().map(|b| b.txs.len()).sum();
    if txs > MAX_TXS_PER_BATCH {
        return Err(BatchError::TxCount);
    }
    let reader = WitnessReader::new(state, codes, parent.number, hashes);
    let mut run = Run {
        engine: Engine::new(input.config.chain_id, reader, ()),
        input,
        out: Executed {
            blocks: Vec::with_capacity(input.blocks.len()),
            changes: StateChanges::default(),
            logs: Vec::new(),
            messages: Vec::new(),
            last_block: parent.number,
            last_timestamp: parent.timestamp,
            last_block_hash: parent_hash,
            priority_ops: 0,
            priority_ops_hash: input.priority_ops_hash_before,
        },
    };
    for block in &input.blocks {
        run.block(block)?;
    }
    run.out.changes = collect_changes(&mut run.engine.evm);
    Ok(run.out)
}

/// Hashes of the ancestors, newest first, each checked to be the parent of the one after it.
pub(super) fn ancestor_hashes(input: &BatchInput) -> Result<Vec<B256>, BatchError> {
    let n = input.ancestors.len();
    if n == 0 || n > BLOCK_HASH_WINDOW as usize {
        return Err(BatchError::Ancestors(n));
    }
    let mut hashes: Vec<B256> = Vec::with_capacity(n);
    for (i, header) in input.ancestors.iter().enumerate() {
        let hash = header.hash();
        if i > 0 {
            let child = &input.ancestors[i - 1];
            if child.parent_hash != hash || header.number.checked_add(1) != Some(child.number) {
                return Err(BatchError::AncestorChain(i));
            }
        }
        if header.chain_id != input.config.chain_id {
            return Err(BatchError::AncestorChain(i));
        }
        hashes.push(hash);
    }
    Ok(hashes)
}

struct Run<'a, 'w> {
    engine: Engine<WitnessReader<'w>, ()>,
    input: &'a BatchInput,
    out: Executed,
}

impl Run<'_, '_> {
    fn block(&mut self, block: &BlockInput) -> Result<(), BatchError> {
        let number = self.out.last_block.checked_add(1).ok_or(BatchError::Timestamp(u64::MAX))?;
        if block.timestamp < self.out.last_timestamp {
            return Err(BatchError::Timestamp(number));
        }
        self.engine.begin_block(BlockEnvParams {
            chain_id: self.input.config.chain_id,
            number,
            timestamp: block.timestamp,
            parent_hash: self.out.last_block_hash,
            beneficiary: self.input.operator,
            fees: self.input.fees,
        });
        for (index, raw) in block.txs.iter().enumerate() {
            let result = self.tx(raw).map_err(|e| place(e, number, index))?;
            self.out.logs.extend(result.l2_to_l1_logs);
            self.out.messages.extend(result.messages);
        }
        if self.out.logs.len() > MAX_LOGS_PER_BATCH {
            return Err(LogTreeError::TooManyLogs(self.out.logs.len()).into());
        }
        let header = self.engine.end_block();
        self.out.blocks.push(PublishedBlock::of(&header, self.out.last_timestamp));
        let hash = header.hash();
        self.engine.remember(number, hash);
        self.out.last_block = number;
        self.out.last_timestamp = block.timestamp;
        self.out.last_block_hash = hash;
        Ok(())
    }

    fn tx(&mut self, raw: &[u8]) -> Result<TxResult, ExecError<ReadError>> {
        let tx = RecoveredTx::decode(raw)?;
        let result = self.engine.execute(&tx, plain())?;
        if let Transaction::Priority(op) = &tx.tx {
            self.out.priority_ops += 1;
            self.out.priority_ops_hash = roll_priority_hash(self.out.priority_ops_hash, op.hash);
        }
        Ok(result)
    }
}

fn place(e: ExecError<ReadError>, block: u64, index: usize) -> BatchError {
    match e {
        ExecError::Invalid(error) => BatchError::InvalidTx { block, index, error },
        ExecError::State(e) => BatchError::Read(e),
        ExecError::MissingCode(hash) => BatchError::Read(ReadError::MissingCode(hash)),
        e @ ExecError::Evm(_) => BatchError::Evm(e.to_string()),
    }
}

/// The chain's policy decides where data may go.
pub(super) fn check_da_mode(policy: DaPolicy, mode: DaMode) -> Result<(), BatchError> {
    match (policy, mode) {
        (DaPolicy::Rollup, DaMode::Calldata | DaMode::Blobs)
        | (DaPolicy::Validium, DaMode::External) => Ok(()),
        _ => Err(BatchError::DaMode(mode)),
    }
}

/// From results to claims: pubdata, its commitment, the log tree and the public input.
pub(super) fn conclude(
    input: &BatchInput,
    executed: Executed,
    update: TreeUpdate,
) -> Result<BatchResult, BatchError> {
    let codes = executed.changes.codes.values();
    let pubdata =
        pubdata::encode(&executed.blocks, &executed.logs, &executed.messages, codes, &update.diffs);
    conclude_with(input, &executed, update, pubdata)
}

/// [`conclude`] with the pubdata at hand.
pub(super) fn conclude_with(
    input: &BatchInput,
    executed: &Executed,
    update: TreeUpdate,
    pubdata: Vec<u8>,
) -> Result<BatchResult, BatchError> {
    check_da_mode(input.config.da_policy, input.da_mode)?;
    if pubdata.len() > MAX_PUBDATA {
        return Err(BatchError::PubdataTooLarge(pubdata.len()));
    }
    let da_commitment = da::commitment(input.da_mode, &pubdata, &input.blob_hashes)?;
    let logs_root = LogTree::new(&executed.logs)?.root();
    let (first, parent) = (&input.blocks[0], &input.ancestors[0]);
    let public_input = PublicInput {
        protocol_version: PROTOCOL_VERSION,
        guest_program_id: input.guest_program_id,
        chain_id: input.config.chain_id,
        batch_number: input.batch_number,
        first_block: parent.number + 1,
        last_block: executed.last_block,
        first_timestamp: first.timestamp,
        last_timestamp: executed.last_timestamp,
        prev_state_root: input.prev_state_root,
        prev_leaf_count: input.prev_leaf_count,
        prev_block_hash: parent.hash(),
        new_state_root: update.root.to_b256(),
        new_leaf_count: update.leaf_count,
        last_block_hash: executed.last_block_hash,
        priority_ops_count: executed.priority_ops,
        priority_ops_hash_before: input.priority_ops_hash_before,
        priority_ops_hash_after: executed.priority_ops_hash,
        l2_to_l1_root: chain_batch_root(logs_root, B256::ZERO),
        da_commitment,
        imported_roots_hash: B256::ZERO,
        fee_params_hash: input.fees.hash(),
        operator: input.operator,
        chain_config_hash: input.config.hash(),
    };
    Ok(BatchResult { public_input, pubdata, update, logs: executed.logs.clone() })
}
