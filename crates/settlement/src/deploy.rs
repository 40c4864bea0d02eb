//! Puts the settlement contracts on an L1, and new chains into them. `contracts/DEPLOY.md` describes the same order for people.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent, SolValue, sol};
use cairn_primitives::{ChainConfig, FeeParams, config::PROTOCOL_VERSION};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    artifacts::{MissingArtifact, artifact},
    bindings::{Bridgehub, NewChainParams},
    l1::{L1Error, L1Wallet, Send},
    verifier::Verifiers,
};

sol! {
    interface Init {
        function initialize(address owner, address admin) external;
        function setL1AssetRouter(address assetRouter) external;
        function setNativeTokenVault(address vault) external;
        function transferOwnership(address newOwner) external;
    }
    interface InitThree {
        function initialize(address owner, address bridgehub, address nullifier) external;
    }
}

/// Why a deployment failed.
#[derive(Debug, Error)]
pub enum DeployError {
    /// L1 failed us.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// The binary lacks a contract.
    #[error(transparent)]
    Artifact(#[from] MissingArtifact),
    /// A deployment's receipt names no contract, or the registry did not announce the chain.
    #[error("L1 mined {0} without the result that it must have")]
    NoResult(String),
    /// The description of a verifying key comes in one or two contracts.
    #[error("the verifying key comes in {0} parts, one or two are possible")]
    Key(usize),
}

/// The contracts that all chains of the family share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ecosystem {
    /// Chain id of the L1.
    pub l1_chain_id: u64,
    /// Registry and entry point.
    pub bridgehub: Address,
    /// Asset bridge.
    pub asset_router: Address,
    /// Vault of locked assets.
    pub native_token_vault: Address,
    /// Consumed messages.
    pub nullifier: Address,
    /// Roots of all chains.
    pub message_root: Address,
    /// Data availability of rollups.
    pub rollup_da_validator: Address,
    /// Owner of everything above, behind a delay.
    pub governance: Address,
    /// First L1 block in which any of them existed.
    pub deployed_at: u64,
}

/// One chain on the L1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainDeployment {
    /// Its contract.
    pub address: Address,
    /// Its verifier contracts.
    pub verifiers: Verifiers,
    /// L1 block of its creation.
    pub created_at: u64,
}

/// What a new chain starts as.
#[derive(Debug, Clone)]
pub struct NewChain {
    /// Identity.
    pub config: ChainConfig,
    /// Prices.
    pub fee_params: FeeParams,
    /// Sets fees, validators and pause.
    pub admin: Address,
    /// May commit, prove and execute.
    pub validator: Address,
    /// Its verifier contracts.
    pub verifiers: Verifiers,
    /// Guest program that proofs must be of.
    pub program_id: B256,
    /// State root of genesis.
    pub genesis_root: B256,
    /// Leaves at genesis.
    pub genesis_leaves: u64,
    /// Hash of block 0.
    pub genesis_block_hash: B256,
    /// Timestamp of block 0.
    pub genesis_timestamp: u64,
}

/// Deploys contracts one after the other, with words for each.
pub(crate) struct Deployer<'a> {
    pub(crate) wallet: &'a L1Wallet,
}

impl Deployer<'_> {
    /// A contract of ours with its constructor's arguments; its address and block.
    pub(crate) async fn create(
        &self,
        name: &str,
        arguments: Vec<u8>,
    ) -> Result<(Address, u64), DeployError> {
        let mut data = artifact(name)?.bytecode.to_vec();
        data.extend(arguments);
        self.create_code(format!("deployment of {name}"), data).await
    }

    /// Any init code.
    pub(crate) async fn create_code(
        &self,
        what: String,
        init: Vec<u8>,
    ) -> Result<(Address, u64), DeployError> {
        let send = Send { what: what.clone(), data: init.into(), ..Send::default() };
        let receipt = self.wallet.send(send).await?;
        let block = receipt.block_number.unwrap_or_default();
        tracing::debug!(what, address = ?receipt.contract_address, gas = receipt.gas_used, "done");
        let address = receipt.contract_address.ok_or(DeployError::NoResult(what))?;
        Ok((address, block))
    }

    /// The implementation, and an ERC-1967 proxy that is initialised in its constructor (so that nobody can come first).
    async fn proxied(&self, name: &str, init: Vec<u8>) -> Result<(Address, u64), DeployError> {
        let (implementation, block) = self.create(name, Vec::new()).await?;
        let arguments = (implementation, Bytes::from(init)).abi_encode_params();
        let (proxy, _) = self.create("ERC1967Proxy", arguments).await?;
        Ok((proxy, block))
    }

    async fn call<C: SolCall>(&self, to: Address, call: C) -> Result<(), DeployError> {
        self.wallet.send(Send::call(C::SIGNATURE, to, call)).await?;
        Ok(())
    }
}

/// Deploys the shared contracts and hands them to a timelock. The wallet stays the bridgehub's admin, who may register chains.
///
/// # Errors
/// [`DeployError`]; a deployment that broke off is simply made again, nothing points to its contracts.
pub async fn deploy_ecosystem(
    wallet: &L1Wallet,
    governance_delay: u64,
) -> Result<Ecosystem, DeployError> {
    let d = Deployer { wallet };
    let me = wallet.address();
    let (bridgehub, deployed_at) =
        d.proxied("Bridgehub", Init::initializeCall { owner: me, admin: me }.abi_encode()).await?;
    let second = |admin| Init::initializeCall { owner: me, admin }.abi_encode();
    let (message_root, _) = d.proxied("MessageRoot", second(bridgehub)).await?;
    let (nullifier, _) = d.proxied("L1Nullifier", second(bridgehub)).await?;
    let init = InitThree::initializeCall { owner: me, bridgehub, nullifier }.abi_encode();
    let (asset_router, _) = d.proxied("L1AssetRouter", init).await?;
    let (native_token_vault, _) = d.proxied("L1NativeTokenVault", second(asset_router)).await?;
    let (rollup_da_validator, _) = d.create("RollupDAValidator", Vec::new()).await?;
    let (zk_chain, _) = d.create("ZKChain", Vec::new()).await?;

    d.call(asset_router, Init::setNativeTokenVaultCall { vault: native_token_vault }).await?;
    d.call(nullifier, Init::setL1AssetRouterCall { assetRouter: asset_router }).await?;
    let addresses = Bridgehub::setAddressesCall {
        assetRouter: asset_router,
        messageRoot: message_root,
        zkChainImplementation: zk_chain,
    };
    d.call(bridgehub, addresses).await?;

    let arguments =
        (U256::from(governance_delay), vec![me], vec![me], Address::ZERO).abi_encode_params();
    let (governance, _) = d.create("TimelockController", arguments).await?;
    for owned in [bridgehub, message_root, nullifier, asset_router, native_token_vault] {
        d.call(owned, Init::transferOwnershipCall { newOwner: governance }).await?;
    }
    Ok(Ecosystem {
        l1_chain_id: wallet.l1().chain_id(),
        bridgehub,
        asset_router,
        native_token_vault,
        nullifier,
        message_root,
        rollup_da_validator,
        governance,
        deployed_at,
    })
}

/// Deploys the mintable test token.
///
/// # Errors
/// [`DeployError`].
pub async fn deploy_test_token(
    wallet: &L1Wallet,
    name: &str,
    symbol: &str,
    decimals: u8,
) -> Result<Address, DeployError> {
    let arguments = (name.to_owned(), symbol.to_owned(), U256::from(decimals)).abi_encode_params();
    Ok(Deployer { wallet }.create("TestERC20", arguments).await?.0)
}

/// Registers a chain with the bridgehub.
///
/// # Errors
/// [`DeployError`]; the registry refuses a chain id that is taken.
pub async fn create_chain(
    wallet: &L1Wallet,
    ecosystem: &Ecosystem,
    chain: &NewChain,
) -> Result<ChainDeployment, DeployError> {
    let params = NewChainParams {
        chainId: U256::from(chain.config.chain_id),
        baseTokenAssetId: chain.config.base_token_asset_id,
        admin: chain.admin,
        validator: chain.validator,
        verifier: chain.verifiers.verifier,
        daValidator: ecosystem.rollup_da_validator,
        daPolicy: chain.config.da_policy as u8,
        protocolVersion: PROTOCOL_VERSION,
        programId: chain.program_id,
        baseFee: chain.fee_params.base_fee,
        gasPerPubdata: chain.fee_params.gas_per_pubdata,
        genesisStateRoot: chain.genesis_root,
        genesisLeafCount: chain.genesis_leaves,
        genesisBlockHash: chain.genesis_block_hash,
        genesisTimestamp: chain.genesis_timestamp,
    };
    let what = format!("creation of chain {}", chain.config.chain_id);
    let call = Bridgehub::createNewChainCall { params };
    let receipt = wallet.send(Send::call(what.clone(), ecosystem.bridgehub, call)).await?;
    let created = receipt
        .logs()
        .iter()
        .filter(|l| l.address() == ecosystem.bridgehub)
        .find_map(|l| Bridgehub::NewChain::decode_log(&l.inner).ok())
        .ok_or(DeployError::NoResult(what))?;
    Ok(ChainDeployment {
        address: created.zkChain,
        verifiers: chain.verifiers,
        created_at: receipt.block_number.unwrap_or_default(),
    })
}
