//! `cairn recover`: a data directory from which a chain goes on, rebuilt from L1 alone.
//!
//! What comes back is everything that L1 holds: the state, all code, the headers of all blocks, the messages to L1 and the batches. Transactions and receipts
//! are not on L1 and stay unknown, and so do the witnesses of batches: one that is not proven by then cannot be proven any more.

use std::{collections::BTreeMap, error::Error, fs, path::Path, process::ExitCode};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_provider::Provider;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::{SolCall, SolEvent, sol};
use cairn_primitives::{
    BlockHeader, ChainConfig, DaPolicy, FeeParams, LogTree, PublicInput, StoredBatchInfo,
    config::BLOCK_GAS_LIMIT,
    da::{DaMode, da_commitment},
};
use cairn_settlement::{
    bindings::{Bridgehub, L1AssetRouter, NewChainParams, ZKChain},
    deploy::{ChainDeployment, Ecosystem},
    l1::{L1, L1Wallet, Send},
    recover::{L1Batch, Reader},
    verifier::{find_verifiers, read_attesters},
};
use cairn_state::{Tree, TreeReader, TreeUpdate};
use cairn_stf::pubdata::Pubdata;
use cairn_storage::{BatchRecord, BlockRecord, RecoveredChain, SealedBatch, Storage};
use serde_json::json;

use crate::{
    base_token::BaseToken,
    cli::RecoverArgs,
    genesis,
    keys::{self, DevKeys},
    network::{Da, Network},
    report::Report,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

sol! {
    interface Owned {
        function owner() external view returns (address);
    }
}

/// Blocks of L1 looked through at once for the chain's creation.
const WINDOW: u64 = 1_000;

/// Runs the command.
pub async fn run(args: RecoverArgs) -> Outcome<ExitCode> {
    let mut report = Report::new(args.json);
    let dir = &args.data_dir;
    if dir.exists() && fs::read_dir(dir)?.next().is_some() {
        return Err(
            format!("{} is not empty; recover into an empty directory", dir.display()).into()
        );
    }
    fs::create_dir_all(dir)?;
    let l1 = L1::connect(&args.from_l1, None).await?;
    let creation = creation(&l1, &args).await?;
    let call = Bridgehub::getZKChainCall { chainId: U256::from(args.chain_id) };
    let chain = l1.call(args.bridgehub, call).await?;
    let mut reader = Reader::new(l1.clone(), chain);
    if let Some(url) = &args.beacon {
        reader = reader.with_beacon(url).await?;
    }
    let mut network = network(&l1, &args, &creation, chain).await?;
    let program = l1.call(chain, ZKChain::getProgramIdCall {}).await?;
    let mut recovery = Recovery::start(dir, &network, &creation.params, program)?;
    let (proven, executed) = reader.proven_and_executed().await?;
    let mut committed = reader.committed().await?;
    if args.revert_unproven && committed > proven {
        let key = match &args.key_file {
            Some(path) => keys::read(path)?,
            None => DevKeys::derive().operator,
        };
        revert(&l1, chain, proven, key).await?;
        report.event(
            "reverted",
            json!({ "first": proven + 1, "last": committed }),
            &format!(
                "batches {}..={committed} were not proven and are taken back on L1",
                proven + 1
            ),
        );
        committed = reader.committed().await?;
    }
    let commits = reader.commits(creation.block).await?;
    for number in 1..=proven {
        report.wait(&format!("batch {number} of {proven}"));
        let (tx, commitment) = commits
            .get(&number)
            .copied()
            .ok_or(format!("batch {number} is not in L1's history"))?;
        let batch = reader.batch(&recovery.last, tx, commitment).await?;
        recovery.apply(&batch)?;
        // The chain's own way is not in any contract: it is what its batches did.
        network.da = if da_mode(&batch) == DaMode::Calldata { Da::Calldata } else { Da::Blobs };
    }
    recovery.finish(executed)?;
    network.store(dir)?;
    conclude(&mut report, &recovery, committed, proven);
    Ok(ExitCode::SUCCESS)
}

fn conclude(report: &mut Report, recovery: &Recovery, committed: u64, proven: u64) {
    let last = &recovery.last;
    let fields = json!({
        "batches": proven, "unproven": committed - proven, "state_root": last.stateRoot,
        "leaves": last.leafCount, "codes": recovery.codes.len(), "last_block": last.lastBlock,
        "last_block_hash": last.lastBlockHash, "seconds": report.seconds(),
    });
    let mut words = format!(
        "{proven} batches replayed from L1: {} leaves, {} codes, {} blocks, state root {}, as L1 has it; `cairn up` goes on from here",
        last.leafCount,
        recovery.codes.len(),
        last.lastBlock,
        last.stateRoot,
    );
    if committed > proven {
        words.push_str(&format!(
            "\nBatches {}..={committed} are committed but not proven. Their transactions are not on L1, so nobody can prove them without a copy of the old node, and the chain does not go on before they are taken back: recover again with --revert-unproven, or have the validator or the chain's admin call `revertBatches({proven})`.",
            proven + 1
        ));
    }
    report.event("recovered", fields, &words);
}

/// Takes the batches after `last` back on L1, so that the chain can go on from there.
async fn revert(l1: &L1, chain: Address, last: u64, key: PrivateKeySigner) -> Outcome<()> {
    let wallet = L1Wallet::new(l1.clone(), key);
    let call = ZKChain::revertBatchesCall { newLastBatch: U256::from(last) };
    wallet.send(Send::call(format!("revert to batch {last}"), chain, call)).await?;
    Ok(())
}

/// How a chain was created.
struct Creation {
    /// L1 block.
    block: u64,
    params: NewChainParams,
}

/// What the data directory knows of its network.
async fn network(
    l1: &L1,
    args: &RecoverArgs,
    creation: &Creation,
    chain: Address,
) -> Outcome<Network> {
    let (hub, params) = (args.bridgehub, &creation.params);
    let asset_router = l1.call(hub, Bridgehub::assetRouterCall {}).await?;
    let ecosystem = Ecosystem {
        l1_chain_id: l1.chain_id(),
        bridgehub: hub,
        asset_router,
        native_token_vault: l1.call(asset_router, L1AssetRouter::nativeTokenVaultCall {}).await?,
        nullifier: l1.call(asset_router, L1AssetRouter::L1_NULLIFIERCall {}).await?,
        message_root: l1.call(hub, Bridgehub::messageRootCall {}).await?,
        rollup_da_validator: params.daValidator,
        governance: l1.call(hub, Owned::ownerCall {}).await?,
        deployed_at: creation.block,
    };
    let config = ChainConfig {
        chain_id: args.chain_id,
        settlement_chain_id: l1.chain_id(),
        base_token_asset_id: params.baseTokenAssetId,
        da_policy: match params.daPolicy {
            0 => DaPolicy::Rollup,
            _ => return Err("the chain is no rollup: its data is not on L1".into()),
        },
    };
    let fees = l1.call(chain, ZKChain::getFeeParamsCall {}).await?;
    let fees = FeeParams { base_fee: fees.baseFee, gas_per_pubdata: fees.gasPerPubdata };
    let verifier = l1.call(chain, ZKChain::getVerifierCall {}).await?;
    let verifiers = find_verifiers(l1, verifier)
        .await?
        .ok_or_else(|| format!("the chain's verifier {verifier} is of no kind known here"))?;
    let attesters = match verifiers.attesters {
        Some(contract) => Some(read_attesters(l1, contract, args.from_block).await?),
        None => None,
    };
    let deployment = ChainDeployment { address: chain, verifiers, created_at: creation.block };
    let mut network = Network::new(ecosystem, deployment, config, fees, params.genesisTimestamp);
    let base_token = l1.call(hub, Bridgehub::baseTokenCall { chainId: params.chainId }).await?;
    network.base_token = BaseToken::read(l1, base_token).await?;
    if let Some(attesters) = attesters {
        network.attesters = attesters.accounts;
        network.attestations = usize::try_from(attesters.threshold)?;
    }
    Ok(network)
}

/// The parameters with which the chain was created, from the registry's own history.
async fn creation(l1: &L1, args: &RecoverArgs) -> Outcome<Creation> {
    let head = l1.block_number().await?;
    let mut from = args.from_block;
    while from <= head {
        let to = head.min(from + WINDOW - 1);
        for log in l1.logs(args.bridgehub, Bridgehub::NewChain::SIGNATURE_HASH, from, to).await? {
            let event = Bridgehub::NewChain::decode_log(&log.inner)?;
            if event.chainId != U256::from(args.chain_id) {
                continue;
            }
            let hash = log.transaction_hash.unwrap_or_default();
            let tx = l1
                .read("eth_getTransactionByHash", move |p| async move {
                    p.get_transaction_by_hash(hash).await
                })
                .await?
                .filter(|tx| tx.to() == Some(args.bridgehub))
                .ok_or("the chain was not created by a direct call of the bridgehub")?;
            let call = Bridgehub::createNewChainCall::abi_decode(tx.input())?;
            return Ok(Creation {
                block: log.block_number.unwrap_or_default(),
                params: call.params,
            });
        }
        from = to + 1;
    }
    Err(format!("bridgehub {} has created no chain {}", args.bridgehub, args.chain_id).into())
}

/// A data directory on its way from genesis to the newest batch.
struct Recovery {
    storage: Storage,
    config: ChainConfig,
    protocol_version: u64,
    /// Programs whose proofs the chain takes or took.
    programs: [B256; 2],
    /// The last block so far.
    parent: BlockHeader,
    blocks: Vec<BlockRecord>,
    codes: BTreeMap<B256, Bytes>,
    last: StoredBatchInfo,
}

impl Recovery {
    fn start(
        dir: &Path,
        network: &Network,
        params: &NewChainParams,
        program: B256,
    ) -> Outcome<Self> {
        let config =
            genesis::genesis(&network.config, &network.ecosystem, network.genesis_timestamp)?;
        let genesis = config.build()?;
        if genesis.update.root.to_b256() != params.genesisStateRoot {
            return Err("the genesis that this program computes is not the chain's: it was created with other predeploys".into());
        }
        Ok(Self {
            storage: cairn_sequencer::open_storage(dir.join("l2"), &config)?,
            config: network.config.clone(),
            protocol_version: params.protocolVersion,
            programs: [program, params.programId],
            parent: genesis.header.clone(),
            blocks: Vec::new(),
            codes: BTreeMap::new(),
            last: genesis.batch_info(),
        })
    }

    /// Replays a batch into the directory; what comes out must be what L1 has.
    fn apply(&mut self, batch: &L1Batch) -> Outcome<()> {
        let (stored, info) = (&batch.stored, &batch.info);
        let number = stored.batchNumber;
        let parsed = Pubdata::decode(&batch.pubdata)?;
        let fees = FeeParams { base_fee: info.baseFee, gas_per_pubdata: info.gasPerPubdata };
        let headers = parsed.headers(&self.parent, fees, info.operator, stored.lastBlockHash)?;
        let tree = Tree::new(self.storage.tree()?);
        let diffs = parsed.decode_diffs(self.last.leafCount, |index| {
            tree.store().leaf(index).map(|leaf| leaf.map(|leaf| (leaf.key, leaf.value)))
        })?;
        let (update, changes) = tree.compute(&diffs.writes)?;
        check_root(stored, &update)?;
        let public_input = self.public_input(batch, &headers)?;
        let last_block = stored.lastBlock;
        let logs: Vec<_> = parsed.logs.iter().map(|log| (last_block, *log)).collect();
        let record = BatchRecord {
            info: stored.clone(),
            // Not on L1.
            tx_count: 0,
            priority_count: info.priorityOpsCount,
            gas_used: headers.iter().map(|h| h.gas_used).sum(),
            fee_params: fees,
            da_mode: da_mode(batch),
            pubdata_hash: keccak256(&batch.pubdata),
            pubdata_len: batch.pubdata.len() as u64,
            blob_claims: batch.claims.clone(),
            blob_commitments: batch.commitments.clone(),
            logs_root: LogTree::new(&parsed.logs)?.root(),
            logs_count: parsed.logs.len() as u64,
            sealed_at_ms: stored.lastTimestamp.saturating_mul(1_000),
            public_input,
        };
        let (pubdata, witness) = (&batch.pubdata[..], &[][..]);
        self.storage.seal_batch(SealedBatch {
            record,
            pubdata,
            witness,
            logs: &logs,
            tree: changes,
        })?;
        self.blocks.extend(headers.iter().map(|header| block_record(header, fees)));
        self.codes.extend(parsed.code_leaves().map(|(hash, code, ..)| (hash, code.clone())));
        self.parent = headers.last().cloned().ok_or(format!("batch {number} has no blocks"))?;
        self.last = stored.clone();
        Ok(())
    }

    /// The batch's claims, put together from the batch before, the commit and the replay: they must hash to what L1 keeps.
    fn public_input(&self, batch: &L1Batch, headers: &[BlockHeader]) -> Outcome<PublicInput> {
        let (prev, stored, info) = (&self.last, &batch.stored, &batch.info);
        let fees = FeeParams { base_fee: info.baseFee, gas_per_pubdata: info.gasPerPubdata };
        let hash = keccak256(&batch.pubdata);
        let mut claims = PublicInput {
            protocol_version: self.protocol_version,
            guest_program_id: B256::ZERO,
            chain_id: self.config.chain_id,
            batch_number: stored.batchNumber,
            first_block: prev.lastBlock + 1,
            last_block: stored.lastBlock,
            first_timestamp: headers.first().map_or(0, |h| h.timestamp),
            last_timestamp: stored.lastTimestamp,
            prev_state_root: prev.stateRoot,
            prev_leaf_count: prev.leafCount,
            prev_block_hash: prev.lastBlockHash,
            new_state_root: stored.stateRoot,
            new_leaf_count: stored.leafCount,
            last_block_hash: stored.lastBlockHash,
            priority_ops_count: info.priorityOpsCount,
            priority_ops_hash_before: prev.priorityOpsHashAfter,
            priority_ops_hash_after: stored.priorityOpsHashAfter,
            l2_to_l1_root: stored.l2ToL1Root,
            da_commitment: da_commitment(da_mode(batch), hash, &batch.claims),
            imported_roots_hash: B256::ZERO,
            fee_params_hash: fees.hash(),
            operator: info.operator,
            chain_config_hash: self.config.hash(),
        };
        for program in self.programs {
            claims.guest_program_id = program;
            if claims.hash() == stored.publicInput {
                return Ok(claims);
            }
        }
        Err(format!(
            "batch {}: its claims do not hash to {}, which L1 keeps",
            stored.batchNumber, stored.publicInput
        )
        .into())
    }

    /// Makes the directory one that a node starts from.
    fn finish(&mut self, executed: u64) -> Outcome<()> {
        // All of them are proven. Their transactions on L1 are found again by whoever settles.
        let last = self.storage.batch_heads().sealed;
        self.storage.follow_settlement(last, last, executed)?;
        let tree = self.storage.tree()?;
        let mut leaves = Vec::new();
        for index in 0..self.last.leafCount {
            let leaf = tree.leaf(index)?.ok_or(format!("leaf {index} is missing"))?;
            leaves.push((leaf.key, leaf.value));
        }
        self.storage.finish_recovery(RecoveredChain {
            blocks: std::mem::take(&mut self.blocks),
            leaves,
            codes: self.codes.clone(),
            next_priority_id: self.last.priorityOpsCount,
        })?;
        Ok(())
    }
}

fn check_root(stored: &StoredBatchInfo, update: &TreeUpdate) -> Outcome<()> {
    if update.root.to_b256() == stored.stateRoot && update.leaf_count == stored.leafCount {
        return Ok(());
    }
    Err(format!(
        "batch {}: the pubdata leads to root {}, L1 has {}",
        stored.batchNumber,
        update.root.to_b256(),
        stored.stateRoot
    )
    .into())
}

fn da_mode(batch: &L1Batch) -> DaMode {
    if batch.claims.is_empty() { DaMode::Calldata } else { DaMode::Blobs }
}

/// A block of which only the header is known.
fn block_record(header: &BlockHeader, fees: FeeParams) -> BlockRecord {
    BlockRecord {
        header: header.clone(),
        hash: header.hash(),
        gas_limit: BLOCK_GAS_LIMIT,
        gas_per_pubdata: fees.gas_per_pubdata,
        tx_count: 0,
        priority_count: 0,
        l2_to_l1_count: 0,
        pubdata_bytes: 0,
        size: 0,
        built_at_ms: header.timestamp.saturating_mul(1_000),
    }
}
