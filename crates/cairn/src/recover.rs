//! `cairn recover`: a chain's whole state, rebuilt in an empty directory from L1 alone.

use std::{collections::BTreeMap, error::Error, fs, io::Write as _, path::Path, process::ExitCode};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, U256};
use alloy_provider::Provider;
use alloy_sol_types::{SolCall, SolEvent};
use cairn_primitives::{ChainConfig, DaPolicy, StoredBatchInfo};
use cairn_settlement::{
    bindings::{Bridgehub, L1AssetRouter, NewChainParams},
    deploy::Ecosystem,
    l1::L1,
    recover::Reader,
};
use cairn_state::{MemStore, Tree, TreeReader};
use cairn_stf::pubdata::Pubdata;
use serde_json::json;

use crate::{cli::RecoverArgs, genesis, report::Report};

type Outcome<T> = Result<T, Box<dyn Error>>;

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
    let (created_at, params) = creation(&l1, &args).await?;
    let mut recovery = Recovery::start(&l1, &args, &params).await?;
    let call = Bridgehub::getZKChainCall { chainId: U256::from(args.chain_id) };
    let reader = Reader::new(l1.clone(), l1.call(args.bridgehub, call).await?);
    let total = reader.committed().await?;
    let commits = reader.commits(created_at).await?;
    for number in 1..=total {
        report.wait(&format!("batch {number} of {total}"));
        let (tx, commitment) = commits
            .get(&number)
            .copied()
            .ok_or(format!("batch {number} is not in L1's history"))?;
        let batch = reader.batch(&recovery.last, tx, commitment).await?;
        recovery.apply(batch.stored, &batch.pubdata)?;
    }
    let root = recovery.write(dir)?;
    let fields = json!({
        "batches": total, "state_root": root, "leaves": recovery.last.leafCount,
        "codes": recovery.codes.len(), "last_block": recovery.last.lastBlock,
        "seconds": report.seconds(),
    });
    let words = format!(
        "{total} batches replayed from L1: {} leaves, {} codes, state root {root}, as L1 has it",
        recovery.last.leafCount,
        recovery.codes.len()
    );
    report.event("recovered", fields, &words);
    Ok(ExitCode::SUCCESS)
}

/// The parameters with which the chain was created, from the registry's own history.
async fn creation(l1: &L1, args: &RecoverArgs) -> Outcome<(u64, NewChainParams)> {
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
            return Ok((log.block_number.unwrap_or_default(), call.params));
        }
        from = to + 1;
    }
    Err(format!("bridgehub {} has created no chain {}", args.bridgehub, args.chain_id).into())
}

/// A state on its way from genesis to the newest batch.
struct Recovery {
    tree: Tree<MemStore>,
    codes: BTreeMap<B256, Vec<u8>>,
    last: StoredBatchInfo,
}

impl Recovery {
    async fn start(l1: &L1, args: &RecoverArgs, params: &NewChainParams) -> Outcome<Self> {
        let asset_router = l1.call(args.bridgehub, Bridgehub::assetRouterCall {}).await?;
        let ecosystem = Ecosystem {
            l1_chain_id: l1.chain_id(),
            bridgehub: args.bridgehub,
            asset_router,
            native_token_vault: l1
                .call(asset_router, L1AssetRouter::nativeTokenVaultCall {})
                .await?,
            nullifier: l1.call(asset_router, L1AssetRouter::L1_NULLIFIERCall {}).await?,
            message_root: Address::ZERO,
            rollup_da_validator: Address::ZERO,
            governance: Address::ZERO,
            deployed_at: 0,
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
        let genesis = genesis::genesis(&config, &ecosystem, params.genesisTimestamp)?.build()?;
        let mut tree = Tree::new(MemStore::new());
        let update = tree.apply(&genesis.writes)?;
        if update.root.to_b256() != params.genesisStateRoot {
            return Err("the genesis that this program computes is not the chain's: it was created with other predeploys".into());
        }
        let codes = genesis.changes.codes.iter().map(|(h, c)| (*h, c.to_vec())).collect();
        Ok(Self { tree, codes, last: genesis.batch_info() })
    }

    /// Replays a batch; what comes out must be what L1 has.
    fn apply(&mut self, stored: StoredBatchInfo, pubdata: &[u8]) -> Outcome<()> {
        let number = stored.batchNumber;
        let parsed = Pubdata::decode(pubdata)?;
        let store = self.tree.store();
        let diffs = parsed.decode_diffs(self.last.leafCount, |index| {
            store.leaf(index).map(|leaf| leaf.map(|leaf| (leaf.key, leaf.value)))
        })?;
        let update = self.tree.apply(&diffs.writes)?;
        if update.root.to_b256() != stored.stateRoot || update.leaf_count != stored.leafCount {
            return Err(format!(
                "batch {number}: the pubdata leads to root {}, L1 has {}",
                update.root.to_b256(),
                stored.stateRoot
            )
            .into());
        }
        self.codes.extend(parsed.code_leaves().map(|(hash, code, ..)| (hash, code.to_vec())));
        self.last = stored;
        Ok(())
    }

    /// Writes leaves (key and value, in index order), codes by hash, and what they are of.
    fn write(&self, dir: &Path) -> Outcome<B256> {
        let meta = self.tree.meta()?;
        let mut leaves = std::io::BufWriter::new(fs::File::create(dir.join("leaves.bin"))?);
        for leaf in self.tree.store().leaves() {
            leaves.write_all(&leaf.key.to_bytes())?;
            leaves.write_all(&leaf.value.to_be_bytes::<32>())?;
        }
        leaves.into_inner()?.sync_all()?;
        let codes = dir.join("codes");
        fs::create_dir_all(&codes)?;
        for (hash, code) in &self.codes {
            fs::write(codes.join(format!("{hash}")), code)?;
        }
        let root = meta.root.to_b256();
        let summary =
            json!({ "state_root": root, "leaf_count": meta.leaf_count, "last_batch": self.last });
        fs::write(dir.join("recovered.json"), serde_json::to_vec_pretty(&summary)?)?;
        Ok(root)
    }
}
