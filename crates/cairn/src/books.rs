//! The demo's double entry: what its accounts and the bridge hold on both sides, and what a step may have changed of it, to the last wei.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolEvent, sol};
use cairn_primitives::{address, config::asset_id, priority::PRIORITY_TX_TYPE};
use cairn_settlement::{
    bindings::{Erc20, L1NativeTokenVault, L2AssetRouter, ZKChain},
    l1::{L1, L1Error},
};
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    l2_client::{ClientError, L2Client},
    network::Network,
};

sol! {
    interface Supply {
        function totalSupply() external view returns (uint256);
    }
}

/// Most blocks that are looked through for an account's transactions.
const MAX_BLOCKS: u64 = 10_000;

/// Why the books do not agree, or cannot be read.
#[derive(Debug, Error)]
pub enum BooksError {
    /// L1.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// The rollup.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// An entry is not what the step must have made of it.
    #[error("not true: after {step}, {entry} must be {expected} and is {found}")]
    Wrong {
        /// Which step.
        step: String,
        /// Which entry.
        entry: &'static str,
        /// What its transactions account for.
        expected: U256,
        /// What is there.
        found: U256,
    },
    /// Something else is not as it must be.
    #[error("not true: {0}")]
    NotTrue(String),
}

type Outcome<T> = Result<T, BooksError>;

/// What is held somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// The user's ETH on L1.
    UserEthL1,
    /// The user's tokens on L1.
    UserTokenL1,
    /// ETH of the account on L1 that withdrawals go to.
    ReceiverEthL1,
    /// Tokens of that account.
    ReceiverTokenL1,
    /// ETH that the vault on L1 holds.
    VaultEth,
    /// Tokens that the vault holds.
    VaultToken,
    /// ETH that the chain may take out of the vault (`chainBalance`).
    ChainEth,
    /// Tokens that the chain may take out of it.
    ChainToken,
    /// The user's ETH on L2.
    UserEthL2,
    /// The user's tokens on L2.
    UserTokenL2,
    /// ETH on L2 of the account that receives all fees.
    FeesL2,
    /// `totalSupply` of the base token on L2.
    SupplyL2,
    /// `totalSupply` of the token on L2.
    TokenSupplyL2,
}

/// How many entries there are.
pub const ENTRIES: usize = 13;

impl Entry {
    const ALL: [Self; ENTRIES] = [
        Self::UserEthL1,
        Self::UserTokenL1,
        Self::ReceiverEthL1,
        Self::ReceiverTokenL1,
        Self::VaultEth,
        Self::VaultToken,
        Self::ChainEth,
        Self::ChainToken,
        Self::UserEthL2,
        Self::UserTokenL2,
        Self::FeesL2,
        Self::SupplyL2,
        Self::TokenSupplyL2,
    ];

    fn words(self) -> &'static str {
        match self {
            Self::UserEthL1 => "the user's ETH on L1",
            Self::UserTokenL1 => "the user's tokens on L1",
            Self::ReceiverEthL1 => "the receiver's ETH on L1",
            Self::ReceiverTokenL1 => "the receiver's tokens on L1",
            Self::VaultEth => "the vault's ETH on L1",
            Self::VaultToken => "the vault's tokens on L1",
            Self::ChainEth => "the chain's share of the vault's ETH",
            Self::ChainToken => "the chain's share of the vault's tokens",
            Self::UserEthL2 => "the user's ETH on L2",
            Self::UserTokenL2 => "the user's tokens on L2",
            Self::FeesL2 => "the operator's ETH on L2",
            Self::SupplyL2 => "the base token's supply on L2",
            Self::TokenSupplyL2 => "the token's supply on L2",
        }
    }
}

/// All entries at one moment when nobody moves anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balances {
    amounts: [U256; ENTRIES],
    /// The user's nonce and the newest block, on L1.
    l1: (u64, u64),
    /// The same on L2.
    l2: (u64, u64),
}

impl Balances {
    /// One entry, in wei or the token's units.
    pub fn of(&self, entry: Entry) -> U256 {
        self.amounts[entry as usize]
    }

    /// That L1 holds all that L2 has: what the vault holds is the chain's (it is the only one here), and as many tokens are on L2.
    ///
    /// # Errors
    /// [`BooksError::Wrong`]; also while tokens are withdrawn and not finalized, which are on L1 alone. Of ETH there may be more there: an earlier run in the same
    /// directory may have left some so.
    pub fn check_backing(&self, step: &str) -> Outcome<()> {
        let equal = [
            (Entry::VaultEth, Entry::ChainEth),
            (Entry::VaultToken, Entry::ChainToken),
            (Entry::TokenSupplyL2, Entry::ChainToken),
        ];
        for (entry, other) in equal {
            expect(step, entry, self.of(entry), self.of(other))?;
        }
        if self.of(Entry::SupplyL2) > self.of(Entry::ChainEth) {
            return expect(
                step,
                Entry::SupplyL2,
                self.of(Entry::SupplyL2),
                self.of(Entry::ChainEth),
            );
        }
        Ok(())
    }
}

/// What a step must have changed; every entry that is not named stays what it was.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change {
    gained: [U256; ENTRIES],
    lost: [U256; ENTRIES],
}

impl Change {
    /// More of an entry.
    pub fn gain(mut self, entry: Entry, amount: U256) -> Self {
        let gained = &mut self.gained[entry as usize];
        *gained = gained.wrapping_add(amount);
        self
    }

    /// Less of it.
    pub fn lose(mut self, entry: Entry, amount: U256) -> Self {
        let lost = &mut self.lost[entry as usize];
        *lost = lost.wrapping_add(amount);
        self
    }

    /// That `after` is `before` with this change and no other.
    ///
    /// # Errors
    /// [`BooksError::Wrong`] with the first entry that is not.
    pub fn check(&self, step: &str, before: &Balances, after: &Balances) -> Outcome<()> {
        for entry in Entry::ALL {
            let i = entry as usize;
            let more = before.of(entry).wrapping_add(self.gained[i]);
            expect(step, entry, after.of(entry), more.wrapping_sub(self.lost[i]))?;
        }
        Ok(())
    }
}

fn expect(step: &str, entry: Entry, found: U256, expected: U256) -> Outcome<()> {
    if found == expected {
        return Ok(());
    }
    Err(BooksError::Wrong { step: step.to_owned(), entry: entry.words(), expected, found })
}

/// What transactions of a range of blocks cost, by their receipts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Paid {
    /// Fees of the account's own transactions.
    pub fees: U256,
    /// Wei that they moved.
    pub value: U256,
    /// Fees of everybody's.
    pub all_fees: U256,
}

/// A priority operation and its receipt on L2.
#[derive(Debug, Clone, Copy)]
pub struct Minted {
    /// Wei that L1 has it mint.
    pub amount: U256,
    /// Wei of it that were its fee.
    pub fee: U256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    transaction_hash: B256,
    from: Address,
    #[serde(rename = "type")]
    ty: U256,
    status: U256,
    gas_used: U256,
    effective_gas_price: U256,
}

/// Where the entries are read.
pub struct Books<'a> {
    /// L1.
    pub l1: &'a L1,
    /// The rollup.
    pub l2: &'a L2Client,
    /// Contracts and identity.
    pub network: &'a Network,
    /// The account that deposits, uses the rollup and withdraws.
    pub user: Address,
    /// The account on L1 that receives what is withdrawn.
    pub receiver: Address,
    /// The account on L2 that receives the fees.
    pub operator: Address,
    /// The token on L1.
    pub token: Address,
}

impl Books<'_> {
    /// Every entry now.
    ///
    /// # Errors
    /// When either side does not answer.
    pub async fn read(&self) -> Outcome<Balances> {
        let (l1, l2) = (self.l1, self.l2);
        let vault = self.network.ecosystem.native_token_vault;
        let (tokens_l2, supply_l2) = self.l2_tokens().await?;
        let amounts = [
            l1.balance(self.user).await?,
            self.tokens(self.user).await?,
            l1.balance(self.receiver).await?,
            self.tokens(self.receiver).await?,
            l1.balance(vault).await?,
            self.tokens(vault).await?,
            self.share(address::ETH_TOKEN).await?,
            self.share(self.token).await?,
            l2.balance(self.user).await?,
            tokens_l2,
            l2.balance(self.operator).await?,
            l2.call(address::BASE_TOKEN, Supply::totalSupplyCall {}).await?,
            supply_l2,
        ];
        Ok(Balances {
            amounts,
            l1: position(l1, self.user).await?,
            l2: position(l2.rpc(), self.user).await?,
        })
    }

    async fn tokens(&self, account: Address) -> Outcome<U256> {
        Ok(self.l1.call(self.token, Erc20::balanceOfCall { account }).await?)
    }

    async fn share(&self, token: Address) -> Outcome<U256> {
        let call = L1NativeTokenVault::chainBalanceCall {
            chainId: U256::from(self.network.config.chain_id),
            assetId: asset_id(self.network.ecosystem.l1_chain_id, token),
        };
        Ok(self.l1.call(self.network.ecosystem.native_token_vault, call).await?)
    }

    /// The user's tokens on L2 and how many there are; none before the first deposit, which deploys the contract.
    async fn l2_tokens(&self) -> Outcome<(U256, U256)> {
        let call = L2AssetRouter::l2TokenAddressCall { l1Token: self.token };
        let token = self.l2.call(address::L2_ASSET_ROUTER, call).await?;
        let code: Bytes = self.l2.raw("eth_getCode", json!([token, "latest"])).await?;
        if code.is_empty() {
            return Ok((U256::ZERO, U256::ZERO));
        }
        let held = self.l2.call(token, Erc20::balanceOfCall { account: self.user }).await?;
        Ok((held, self.l2.call(token, Supply::totalSupplyCall {}).await?))
    }

    /// What the user's transactions on L1 between two readings cost.
    ///
    /// # Errors
    /// When one of them cannot be found.
    pub async fn paid_on_l1(&self, before: &Balances, after: &Balances) -> Outcome<Paid> {
        paid(self.l1, self.user, before.l1, after.l1).await
    }

    /// What the transactions on L2 between two readings cost.
    ///
    /// # Errors
    /// When one of them cannot be found.
    pub async fn paid_on_l2(&self, before: &Balances, after: &Balances) -> Outcome<Paid> {
        paid(self.l2.rpc(), self.user, before.l2, after.l2).await
    }

    /// What a deposit mints, by L1's event, and what its receipt on L2 says that it cost.
    ///
    /// # Errors
    /// When L1 or the rollup does not know it.
    pub async fn minted(&self, l1_tx: B256, l2_receipt: &Value) -> Outcome<Minted> {
        let not_true = |what: &str| BooksError::NotTrue(what.to_owned());
        let receipt = self.l1.receipt(l1_tx).await?;
        let receipt = receipt.ok_or_else(|| not_true("the deposit's transaction is on L1"))?;
        let event = receipt
            .logs()
            .iter()
            .filter(|log| log.address() == self.network.chain.address)
            .find_map(|log| ZKChain::NewPriorityRequest::decode_log(&log.inner).ok())
            .ok_or_else(|| not_true("the deposit has a priority request"))?;
        let on_l2: Receipt = serde_json::from_value(l2_receipt.clone())
            .map_err(|e| BooksError::NotTrue(format!("the deposit's receipt is whole ({e})")))?;
        Ok(Minted { amount: event.transaction.reserved[0], fee: on_l2.fee() })
    }
}

impl Receipt {
    fn fee(&self) -> U256 {
        self.gas_used.wrapping_mul(self.effective_gas_price)
    }
}

/// An account's nonce and the newest block.
async fn position(rpc: &L1, account: Address) -> Outcome<(u64, u64)> {
    let nonce: U256 = ask(rpc, "eth_getTransactionCount", json!([account, "latest"])).await?;
    Ok((nonce.saturating_to(), rpc.block_number().await?))
}

/// Adds up receipts from one position to another.
async fn paid(rpc: &L1, account: Address, from: (u64, u64), to: (u64, u64)) -> Outcome<Paid> {
    let ((first_nonce, first), (nonce, last)) = (from, to);
    if last.saturating_sub(first) > MAX_BLOCKS {
        let words = format!("a step of the demo takes no more than {MAX_BLOCKS} blocks");
        return Err(BooksError::NotTrue(words));
    }
    let (mut paid, mut own) = (Paid::default(), 0);
    for block in first + 1..=last {
        let block = format!("{block:#x}");
        let receipts: Vec<Receipt> = ask(rpc, "eth_getBlockReceipts", json!([block])).await?;
        for receipt in receipts {
            let fee = receipt.fee();
            paid.all_fees = paid.all_fees.wrapping_add(fee);
            // A priority operation is paid for out of what it mints.
            if receipt.from != account || receipt.ty == U256::from(PRIORITY_TX_TYPE) {
                continue;
            }
            own += 1;
            paid.fees = paid.fees.wrapping_add(fee);
            if !receipt.status.is_zero() {
                let hash = receipt.transaction_hash;
                let tx: Value = ask(rpc, "eth_getTransactionByHash", json!([hash])).await?;
                let value = serde_json::from_value::<U256>(tx["value"].clone());
                let value =
                    value.map_err(|e| BooksError::NotTrue(format!("{hash} has a value ({e})")))?;
                paid.value = paid.value.wrapping_add(value);
            }
        }
    }
    if own != nonce.saturating_sub(first_nonce) {
        let words = format!("all transactions of {account} are in blocks {first}..={last}");
        return Err(BooksError::NotTrue(words));
    }
    Ok(paid)
}

async fn ask<T>(rpc: &L1, method: &'static str, params: Value) -> Result<T, L1Error>
where
    T: serde::de::DeserializeOwned,
{
    use alloy_provider::Provider;
    let answer: Value = rpc
        .read(method, |p| {
            let params = params.clone();
            async move { p.raw_request(method.into(), params).await }
        })
        .await?;
    serde_json::from_value(answer)
        .map_err(|e| L1Error::Nonsense { what: method, detail: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balances() -> Balances {
        let mut amounts = [U256::from(1_000_000); ENTRIES];
        for (i, amount) in amounts.iter_mut().enumerate() {
            *amount += U256::from(i);
        }
        Balances { amounts, l1: (0, 0), l2: (0, 0) }
    }

    #[test]
    fn one_wei_too_much_or_too_little_is_found_in_every_entry() {
        let before = balances();
        let change = Change::default()
            .gain(Entry::VaultEth, U256::from(700))
            .gain(Entry::ChainEth, U256::from(700))
            .lose(Entry::UserEthL1, U256::from(721));
        let mut after = before;
        after.amounts[Entry::VaultEth as usize] += U256::from(700);
        after.amounts[Entry::ChainEth as usize] += U256::from(700);
        after.amounts[Entry::UserEthL1 as usize] -= U256::from(721);
        change.check("a deposit", &before, &after).unwrap();
        for (i, entry) in Entry::ALL.into_iter().enumerate() {
            assert_eq!(entry as usize, i, "the list is in the order of the numbers");
            for wrong in [after.amounts[i] + U256::ONE, after.amounts[i] - U256::ONE] {
                let mut off = after;
                off.amounts[i] = wrong;
                let error = change.check("a deposit", &before, &off).unwrap_err().to_string();
                let expected = after.amounts[i];
                let words =
                    format!("after a deposit, {} must be {expected} and is {wrong}", entry.words());
                assert!(error.contains(&words), "{error}");
            }
        }
    }

    #[test]
    fn what_the_vault_does_not_hold_is_found() {
        let mut whole = balances();
        for entry in [Entry::VaultEth, Entry::ChainEth, Entry::SupplyL2] {
            whole.amounts[entry as usize] = U256::from(500);
        }
        for entry in [Entry::VaultToken, Entry::ChainToken, Entry::TokenSupplyL2] {
            whole.amounts[entry as usize] = U256::from(300);
        }
        whole.check_backing("the end").unwrap();
        // Withdrawn and not finalized.
        let mut waiting = whole;
        waiting.amounts[Entry::SupplyL2 as usize] -= U256::ONE;
        waiting.check_backing("the end").unwrap();
        for entry in [
            Entry::VaultEth,
            Entry::VaultToken,
            Entry::SupplyL2,
            Entry::TokenSupplyL2,
            Entry::ChainToken,
        ] {
            let mut off = whole;
            off.amounts[entry as usize] += U256::ONE;
            assert!(off.check_backing("the end").is_err(), "{entry:?}");
        }
    }
}
