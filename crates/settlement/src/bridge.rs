//! The user's side of the bridge on L1: deposits, and finalizing withdrawals.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types::TransactionReceipt;
use alloy_sol_types::{SolEvent, SolValue};
use cairn_primitives::{address::ETH_TOKEN, config::asset_id};
use thiserror::Error;

use crate::{
    bindings::{
        Bridgehub, Erc20, FinalizeL1DepositParams, L1AssetRouter, L1NativeTokenVault, L1Nullifier,
        L2TransactionRequestDirect, L2TransactionRequestTwoBridgesOuter, ZKChain,
    },
    deploy::Ecosystem,
    l1::{L1Error, L1Wallet, Send},
};

/// Gas per byte of pubdata that zkSync's clients offer on a deposit.
pub const DEPOSIT_GAS_PER_PUBDATA: u64 = 800;
/// L2 gas for a plain deposit of the base token.
pub const ETH_DEPOSIT_GAS: u64 = 300_000;
/// L2 gas for a deposit of an ERC-20, its L2 token's deployment included.
pub const ERC20_DEPOSIT_GAS: u64 = 3_000_000;
/// Wei per L1 gas that a deposit offers at most; the base cost is asked for at this price.
const L1_GAS_PRICE_ROOM: u128 = 4;

/// Why a bridge action failed.
#[derive(Debug, Error)]
pub enum BridgeError {
    /// L1 failed us.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// A deposit's receipt has no priority request.
    #[error("the deposit {0} was mined without a priority request")]
    NoRequest(B256),
}

/// A deposit that L1 took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deposit {
    /// Transaction on L1.
    pub l1_tx: B256,
    /// Hash of the transaction that the chain will execute.
    pub l2_tx: B256,
    /// Index in the priority queue.
    pub priority_id: u64,
}

/// The message of a withdrawal, with where it is in its batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawalProof {
    /// Batch that holds it.
    pub batch: u64,
    /// Index of its log in the batch.
    pub log_index: u64,
    /// Index of its transaction in its block.
    pub tx_number: u16,
    /// Contract on L2 that sent it.
    pub l2_sender: Address,
    /// The message.
    pub message: Bytes,
    /// Merkle proof, as `zks_getL2ToL1LogProof` gives it.
    pub proof: Vec<B256>,
}

/// A user of the bridge of one chain.
pub struct Bridge<'a> {
    wallet: &'a L1Wallet,
    ecosystem: &'a Ecosystem,
    chain_id: u64,
    chain: Address,
}

impl<'a> Bridge<'a> {
    /// The bridge to the chain `chain_id`, whose contract on L1 is `chain`.
    pub fn new(
        wallet: &'a L1Wallet,
        ecosystem: &'a Ecosystem,
        chain_id: u64,
        chain: Address,
    ) -> Self {
        Self { wallet, ecosystem, chain_id, chain }
    }

    /// Deposits the chain's base token to `to`; where that is an ERC-20, approves it first.
    ///
    /// # Errors
    /// [`BridgeError`].
    pub async fn deposit_base(&self, to: Address, amount: U256) -> Result<Deposit, BridgeError> {
        self.request(to, amount, Bytes::new(), ETH_DEPOSIT_GAS).await
    }

    /// Asks the chain for any call, with its base token minted for value and gas.
    ///
    /// # Errors
    /// [`BridgeError`].
    pub async fn request(
        &self,
        to: Address,
        value: U256,
        calldata: Bytes,
        gas: u64,
    ) -> Result<Deposit, BridgeError> {
        let mint = self.base_cost(gas).await? + value;
        let request = L2TransactionRequestDirect {
            chainId: U256::from(self.chain_id),
            mintValue: mint,
            l2Contract: to,
            l2Value: value,
            l2Calldata: calldata,
            l2GasLimit: U256::from(gas),
            l2GasPerPubdataByteLimit: U256::from(DEPOSIT_GAS_PER_PUBDATA),
            factoryDeps: Vec::new(),
            refundRecipient: self.wallet.address(),
        };
        let ether = self.pay_base(mint).await?;
        let call = Bridgehub::requestL2TransactionDirectCall { request };
        let send = Send::call("deposit", self.ecosystem.bridgehub, call).value(ether);
        deposit_of(&self.wallet.send(send).await?, self.chain)
    }

    /// Deposits a token that is not the chain's base token to `to`, approving it first: an ERC-20, or ETH (`0x..01`) where the base token is an ERC-20.
    ///
    /// # Errors
    /// [`BridgeError`].
    pub async fn deposit_token(
        &self,
        token: Address,
        to: Address,
        amount: U256,
    ) -> Result<Deposit, BridgeError> {
        let second_value = if token == ETH_TOKEN {
            amount
        } else {
            register(self.wallet, self.ecosystem, token).await?;
            self.approve(token, amount).await?;
            U256::ZERO
        };
        let asset = asset_id(self.ecosystem.l1_chain_id, token);
        let transfer = (amount, to, Address::ZERO).abi_encode_params();
        let mut second = vec![1u8];
        second.extend((asset, Bytes::from(transfer)).abi_encode_params());
        let mint = self.base_cost(ERC20_DEPOSIT_GAS).await?;
        let request = L2TransactionRequestTwoBridgesOuter {
            chainId: U256::from(self.chain_id),
            mintValue: mint,
            l2Value: U256::ZERO,
            l2GasLimit: U256::from(ERC20_DEPOSIT_GAS),
            l2GasPerPubdataByteLimit: U256::from(DEPOSIT_GAS_PER_PUBDATA),
            refundRecipient: self.wallet.address(),
            secondBridgeAddress: self.ecosystem.asset_router,
            secondBridgeValue: second_value,
            secondBridgeCalldata: second.into(),
        };
        let ether = self.pay_base(mint).await? + second_value;
        let call = Bridgehub::requestL2TransactionTwoBridgesCall { request };
        let send = Send::call("deposit of the token", self.ecosystem.bridgehub, call).value(ether);
        deposit_of(&self.wallet.send(send).await?, self.chain)
    }

    /// Lets the bridge take `mint` of the base token; returns the ether that the request brings along.
    async fn pay_base(&self, mint: U256) -> Result<U256, BridgeError> {
        let call = Bridgehub::baseTokenCall { chainId: U256::from(self.chain_id) };
        let token = self.wallet.l1().call(self.ecosystem.bridgehub, call).await?;
        if token == ETH_TOKEN {
            return Ok(mint);
        }
        self.approve(token, mint).await?;
        Ok(U256::ZERO)
    }

    async fn approve(&self, token: Address, amount: U256) -> Result<(), BridgeError> {
        let approve = Erc20::approveCall { spender: self.ecosystem.native_token_vault, amount };
        self.wallet.send(Send::call("approval of the token", token, approve)).await?;
        Ok(())
    }

    async fn base_cost(&self, gas: u64) -> Result<U256, BridgeError> {
        use alloy_provider::Provider;
        let l1 = self.wallet.l1();
        let price = l1.read("eth_gasPrice", |p| async move { p.get_gas_price().await }).await?;
        let call = Bridgehub::l2TransactionBaseCostCall {
            chainId: U256::from(self.chain_id),
            gasPrice: U256::from(price.saturating_mul(L1_GAS_PRICE_ROOM)),
            l2GasLimit: U256::from(gas),
            l2GasPerPubdataByteLimit: U256::from(DEPOSIT_GAS_PER_PUBDATA),
        };
        Ok(l1.call(self.ecosystem.bridgehub, call).await?)
    }

    /// Finalizes a withdrawal; anybody may, the message says who receives.
    ///
    /// # Errors
    /// [`BridgeError`]; the contract refuses a batch that is not executed and a message that was consumed.
    pub async fn finalize(&self, w: &WithdrawalProof) -> Result<TransactionReceipt, BridgeError> {
        let params = FinalizeL1DepositParams {
            chainId: U256::from(self.chain_id),
            l2BatchNumber: U256::from(w.batch),
            l2MessageIndex: U256::from(w.log_index),
            l2Sender: w.l2_sender,
            l2TxNumberInBatch: w.tx_number,
            message: w.message.clone(),
            merkleProof: w.proof.clone(),
        };
        let call = L1Nullifier::finalizeDepositCall { params };
        let send = Send::call("finalization of a withdrawal", self.ecosystem.nullifier, call);
        Ok(self.wallet.send(send).await?)
    }

    /// Whether a withdrawal was finalized.
    ///
    /// # Errors
    /// [`BridgeError`].
    pub async fn is_finalized(&self, batch: u64, log_index: u64) -> Result<bool, BridgeError> {
        let call = L1AssetRouter::isWithdrawalFinalizedCall {
            chainId: U256::from(self.chain_id),
            l2BatchNumber: U256::from(batch),
            l2MessageIndex: U256::from(log_index),
        };
        Ok(self.wallet.l1().call(self.ecosystem.asset_router, call).await?)
    }
}

/// Makes a token known to the bridge, unless it is already.
///
/// # Errors
/// What L1 gives.
pub async fn register(
    wallet: &L1Wallet,
    ecosystem: &Ecosystem,
    token: Address,
) -> Result<(), L1Error> {
    let vault = ecosystem.native_token_vault;
    if wallet.l1().call(vault, L1NativeTokenVault::assetIdCall { token }).await? == B256::ZERO {
        let call = L1NativeTokenVault::registerTokenCall { token };
        wallet.send(Send::call("registration of the token", vault, call)).await?;
    }
    Ok(())
}

/// The priority request of `chain` that a transaction made.
///
/// # Errors
/// [`BridgeError::NoRequest`].
pub fn deposit_of(receipt: &TransactionReceipt, chain: Address) -> Result<Deposit, BridgeError> {
    let l1_tx = receipt.transaction_hash;
    receipt
        .logs()
        .iter()
        .filter(|l| l.address() == chain)
        .find_map(|l| ZKChain::NewPriorityRequest::decode_log(&l.inner).ok())
        .map(|e| Deposit {
            l1_tx,
            l2_tx: e.txHash,
            priority_id: u64::try_from(e.txId).unwrap_or(u64::MAX),
        })
        .ok_or(BridgeError::NoRequest(l1_tx))
}
