//! The genesis of a chain: the predeployed contracts, with what they must know of L1.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use cairn_primitives::ChainConfig;
use cairn_settlement::{
    artifacts::{MissingArtifact, artifact, text},
    deploy::Ecosystem,
};
use cairn_stf::genesis::{GenesisAccount, GenesisConfig};
use serde::Deserialize;
use thiserror::Error;

/// Name of the list of predeploys among the artifacts.
const LIST: &str = "predeploys";

/// Why the genesis cannot be put together.
#[derive(Debug, Error)]
pub enum PredeployError {
    /// The binary lacks a contract.
    #[error(transparent)]
    Missing(#[from] MissingArtifact),
    /// The list of predeploys names a storage value that this program does not know.
    #[error(
        "predeploy {contract} wants the unknown storage value `{value}`; the artifacts are newer than this program"
    )]
    UnknownValue {
        /// The contract.
        contract: String,
        /// The value's name.
        value: String,
    },
}

#[derive(Deserialize)]
struct Predeploy {
    address: Address,
    name: String,
    #[serde(default)]
    storage: BTreeMap<U256, String>,
}

/// The genesis configuration of a chain that settles through `ecosystem`. Anybody can compute it again from L1 alone.
///
/// # Errors
/// [`PredeployError`].
pub fn genesis(
    config: &ChainConfig,
    ecosystem: &Ecosystem,
    timestamp: u64,
) -> Result<GenesisConfig, PredeployError> {
    let list: Vec<Predeploy> =
        serde_json::from_str(text(LIST)?).map_err(|_| MissingArtifact(LIST.to_owned()))?;
    let mut accounts = BTreeMap::new();
    for predeploy in list {
        let mut storage = BTreeMap::new();
        for (slot, value) in &predeploy.storage {
            storage.insert(*slot, named_value(value, &predeploy.name, config, ecosystem)?);
        }
        let code = artifact(&predeploy.name)?.deployed_bytecode.clone();
        let account = GenesisAccount { nonce: 1, code, storage, ..GenesisAccount::default() };
        accounts.insert(predeploy.address, account);
    }
    Ok(GenesisConfig { config: config.clone(), timestamp, accounts })
}

fn named_value(
    name: &str,
    contract: &str,
    config: &ChainConfig,
    ecosystem: &Ecosystem,
) -> Result<U256, PredeployError> {
    match name {
        "l1AssetRouter" => Ok(ecosystem.asset_router.into_word().into()),
        "l1ChainId" => Ok(U256::from(ecosystem.l1_chain_id)),
        "baseTokenAssetId" => Ok(config.base_token_asset_id.into()),
        _ => Err(PredeployError::UnknownValue {
            contract: contract.to_owned(),
            value: name.to_owned(),
        }),
    }
}
