//! What the index keeps.

use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

/// Where a transaction is; orders as the chain does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TxPos {
    /// Block.
    pub block: u64,
    /// Index in the block.
    pub index: u32,
}

/// Where something inside a transaction (a transfer, a withdrawal) is; orders as the chain does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ItemPos {
    /// Its transaction.
    pub tx: TxPos,
    /// Its number in the transaction.
    pub item: u32,
}

impl TxPos {
    /// Big-endian form, as keys carry it.
    pub(crate) fn to_bytes(self) -> [u8; 12] {
        let mut out = [0; 12];
        out[..8].copy_from_slice(&self.block.to_be_bytes());
        out[8..].copy_from_slice(&self.index.to_be_bytes());
        out
    }

    /// Inverse of [`Self::to_bytes`]; missing bytes count as zero.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let mut all = [0; 12];
        let n = bytes.len().min(12);
        all[..n].copy_from_slice(&bytes[..n]);
        let (block, index) = all.split_at(8);
        Self {
            block: block.iter().fold(0, |v, b| v << 8 | u64::from(*b)),
            index: index.iter().fold(0, |v, b| v << 8 | u32::from(*b)),
        }
    }
}

impl ItemPos {
    /// Big-endian form, as keys carry it.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        let mut out = [0; 16];
        out[..12].copy_from_slice(&self.tx.to_bytes());
        out[12..].copy_from_slice(&self.item.to_be_bytes());
        out
    }

    /// Inverse of [`Self::to_bytes`]; missing bytes count as zero.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let item = bytes.iter().skip(12).take(4).fold(0, |v, b| v << 8 | u32::from(*b));
        Self { tx: TxPos::from_bytes(bytes), item }
    }
}

/// What an address has to do with a transaction, as bits.
pub mod role {
    /// It sent it.
    pub const SENDER: u8 = 1;
    /// It was called.
    pub const RECIPIENT: u8 = 2;
    /// It was created.
    pub const CREATED: u8 = 4;
    /// Tokens moved to or from it.
    pub const TOKENS: u8 = 8;
    /// It is a party of a deposit or withdrawal.
    pub const BRIDGE: u8 = 16;
    /// A contract called it with value, made it, or it did so itself.
    pub const INTERNAL: u8 = 32;
}

/// Standard of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenKind {
    /// ERC-20.
    Erc20,
    /// ERC-721.
    Erc721,
    /// ERC-1155.
    Erc1155,
}

impl TokenKind {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Erc20 => "ERC-20",
            Self::Erc721 => "ERC-721",
            Self::Erc1155 => "ERC-1155",
        }
    }
}

/// A transfer of tokens, as its event says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferRecord {
    /// Token contract.
    pub token: Address,
    /// Sender; zero for a mint.
    pub from: Address,
    /// Recipient; zero for a burn.
    pub to: Address,
    /// Standard that the event is of.
    pub kind: TokenKind,
    /// Amount in the token's smallest unit; 1 for an ERC-721.
    pub amount: U256,
    /// Id, of an ERC-721 or ERC-1155.
    pub id: Option<U256>,
}

/// What a token says of itself. Untrusted: cleaned of control characters and cut to [`MAX_TEXT`], and for display as text only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenMeta {
    /// Name.
    pub name: String,
    /// Symbol.
    pub symbol: String,
    /// Decimals.
    pub decimals: u8,
    /// Its L1 original, for a token that came over the bridge.
    pub l1_token: Option<Address>,
}

/// Longest name or symbol that is kept, in characters.
pub const MAX_TEXT: usize = 64;

/// A string of a contract's, fit for one line of a page: no control characters, nothing that turns the direction of text, cut to [`MAX_TEXT`].
pub fn clean_text(text: &str) -> String {
    let hidden = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().filter(hidden).take(MAX_TEXT).collect()
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Standard, as its first event was.
    pub kind: TokenKind,
    /// What it says of itself.
    pub meta: TokenMeta,
    /// Transfers so far.
    pub transfers: u64,
    /// Accounts that ever received it.
    pub accounts: u64,
    /// Where it was first seen.
    pub first: TxPos,
}

/// What is counted for an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressRecord {
    /// Transactions that concern it.
    pub txs: u64,
    /// Transfers of tokens from or to it.
    pub transfers: u64,
    /// Internal operations from or to it.
    pub internal: u64,
}

/// Kind of an internal operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InternalKind {
    /// A call that carries value.
    Call,
    /// A contract gave up its balance.
    SelfDestruct,
    /// A creation.
    Create,
    /// A creation at an address of the creator's choice.
    Create2,
}

impl InternalKind {
    /// Its name, as pages spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::SelfDestruct => "self-destruct",
            Self::Create => "create",
            Self::Create2 => "create2",
        }
    }

    /// Whether it makes a contract.
    pub const fn creates(self) -> bool {
        matches!(self, Self::Create | Self::Create2)
    }
}

/// A call with value, or a creation, by a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternalRecord {
    /// Kind.
    pub kind: InternalKind,
    /// Caller or creator.
    pub from: Address,
    /// Callee or new contract.
    pub to: Address,
    /// Wei.
    pub value: U256,
}

/// How many internal operations a transaction has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternalCount {
    /// Those that are kept.
    pub kept: u64,
    /// How many more there were.
    pub beyond: u64,
}

/// A contract that a transaction created or whose events were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractRecord {
    /// Who created it, once that is known: a transaction's sender, or a contract.
    pub creator: Option<Address>,
    /// Transaction that created it, or in which it was first seen.
    pub tx: B256,
    /// Where that is.
    pub at: TxPos,
}

/// A deposit (or any other call that L1 asked for), as its priority operation says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositRecord {
    /// Index in the priority queue.
    pub id: u64,
    /// Hash on L2.
    pub hash: B256,
    /// Who asked for it on L1.
    pub sender: Address,
    /// Who receives on L2.
    pub receiver: Address,
    /// The token on L1; `None` for the base token.
    pub l1_token: Option<Address>,
    /// Amount in the smallest unit.
    pub amount: U256,
    /// Where it was included; `None` while it waits.
    pub at: Option<TxPos>,
    /// Whether it succeeded.
    pub success: bool,
}

/// A withdrawal (or another message to L1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithdrawalRecord {
    /// Transaction on L2.
    pub hash: B256,
    /// Where it is; the item is the log's index among the transaction's L2->L1 logs.
    pub at: ItemPos,
    /// Contract that sent the message.
    pub l2_sender: Address,
    /// Who withdraws.
    pub from: Address,
    /// Who receives on L1; `None` for a message that is no withdrawal.
    pub receiver: Option<Address>,
    /// The token on L1; `None` for the base token.
    pub l1_token: Option<Address>,
    /// Amount in the smallest unit.
    pub amount: U256,
}

/// A deposit on its L1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct L1Deposit {
    /// Transaction on L1.
    pub l1_tx: B256,
    /// Block there.
    pub l1_block: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_as_the_chain_does() {
        let a = ItemPos { tx: TxPos { block: 1, index: 300 }, item: 7 };
        let b = ItemPos { tx: TxPos { block: 256, index: 0 }, item: 0 };
        assert!(a < b && a.to_bytes() < b.to_bytes());
        for pos in [a, b] {
            assert_eq!(ItemPos::from_bytes(&pos.to_bytes()), pos);
            assert_eq!(TxPos::from_bytes(&pos.tx.to_bytes()), pos.tx);
        }
    }

    #[test]
    fn text_of_contracts_loses_what_hides_or_turns_it() {
        assert_eq!(clean_text("<img onerror>"), "<img onerror>", "escaping is the page's part");
        assert_eq!(clean_text("a\u{202e}b\n\u{0}c\u{200d}"), "abc");
        assert_eq!(clean_text(&"x".repeat(1000)).len(), MAX_TEXT);
    }
}
