//! What a transaction adds to the index, read off its receipt alone.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256, b256};
use alloy_sol_types::{SolCall, SolEvent, SolValue, sol};
use cairn_primitives::{PriorityTx, address};
use cairn_storage::LogRecord;

use super::model::{
    DepositRecord, ItemPos, TokenKind, TransferRecord, TxPos, WithdrawalRecord, role,
};
use crate::source::SourceTx;

/// Most items of one ERC-1155 batch event that are kept.
const MAX_BATCH_ITEMS: usize = 256;

sol! {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event TransferSingle(address indexed operator, address indexed from, address indexed to, uint256 id, uint256 value);
    event TransferBatch(address indexed operator, address indexed from, address indexed to, uint256[] ids, uint256[] values);
    event L1MessageSent(address indexed sender, bytes32 indexed hash, bytes message);
    function finalizeDeposit(uint256 chainId, bytes32 assetId, bytes transferData) external payable;
}

/// First word of a message that withdraws the base token: `finalizeEthWithdrawal(uint256,uint256,uint16,bytes,bytes32[])`.
const ETH_WITHDRAWAL: [u8; 4] = [0x6c, 0x09, 0x60, 0xf9];

/// Everything that a transaction adds.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Addresses concerned, with their roles.
    pub(crate) addresses: BTreeMap<Address, u8>,
    /// Token transfers in order.
    pub(crate) transfers: Vec<TransferRecord>,
    /// The deposit, if it is one.
    pub(crate) deposit: Option<DepositRecord>,
    /// Messages to L1.
    pub(crate) withdrawals: Vec<WithdrawalRecord>,
    /// Contracts whose events were seen.
    pub(crate) emitters: Vec<Address>,
}

impl Found {
    fn concern(&mut self, address: Address, role: u8) {
        if !address.is_zero() {
            *self.addresses.entry(address).or_default() |= role;
        }
    }
}

/// Reads a transaction.
pub(crate) fn extract(tx: &SourceTx, at: TxPos) -> Found {
    let mut found = Found::default();
    found.concern(tx.from, role::SENDER);
    if let Some(to) = tx.to {
        found.concern(to, role::RECIPIENT);
    }
    if let Some(created) = tx.created {
        found.concern(created, role::CREATED);
    }
    for log in &tx.logs {
        transfers(log, &mut found.transfers);
        if !found.emitters.contains(&log.address) {
            found.emitters.push(log.address);
        }
    }
    for i in 0..found.transfers.len() {
        let (from, to) = (found.transfers[i].from, found.transfers[i].to);
        found.concern(from, role::TOKENS);
        found.concern(to, role::TOKENS);
    }
    if let Some(op) = &tx.priority {
        let deposit = DepositRecord { at: Some(at), success: tx.success, ..deposit(op) };
        found.concern(deposit.sender, role::BRIDGE);
        found.concern(deposit.receiver, role::BRIDGE);
        found.deposit = Some(deposit);
    }
    found.withdrawals = withdrawals(tx, at);
    for i in 0..found.withdrawals.len() {
        let w = &found.withdrawals[i];
        let (from, receiver) = (w.from, w.receiver);
        found.concern(from, role::BRIDGE);
        if let Some(receiver) = receiver {
            found.concern(receiver, role::BRIDGE);
        }
    }
    found
}

/// How much of an operation's value L1 minted; the rest is what the sender had here.
fn minted_value(op: &PriorityTx) -> U256 {
    let fee = U256::from(op.gas_limit) * U256::from(op.max_fee_per_gas);
    op.to_mint.saturating_sub(fee).min(op.value)
}

/// What a priority operation is for, as far as it can be told: a deposit of a token, or of the base token, or any call.
pub(crate) fn deposit(op: &PriorityTx) -> DepositRecord {
    let plain = DepositRecord {
        id: op.id,
        hash: op.hash,
        sender: op.from,
        receiver: op.to,
        l1_token: None,
        amount: minted_value(op),
        at: None,
        success: false,
    };
    if op.to != address::L2_ASSET_ROUTER {
        return plain;
    }
    let Some((sender, receiver, token, amount)) = finalizeDepositCall::abi_decode(&op.data)
        .ok()
        .and_then(|call| bridge_data(&call.transferData))
    else {
        return plain;
    };
    DepositRecord { sender, receiver, l1_token: Some(token), amount, ..plain }
}

/// `(original caller, receiver, token of origin, amount, metadata)`, as both sides of the bridge encode it.
fn bridge_data(data: &[u8]) -> Option<(Address, Address, Address, U256)> {
    type Data = (Address, Address, Address, U256, alloy_primitives::Bytes);
    let (caller, receiver, token, amount, _) = Data::abi_decode_params(data).ok()?;
    Some((caller, receiver, token, amount))
}

fn indexed_address(topic: &B256) -> Address {
    Address::from_word(*topic)
}

fn transfers(log: &LogRecord, out: &mut Vec<TransferRecord>) {
    let Some(topic) = log.topics.first() else { return };
    // The base token's own contract tells of every movement of ETH, and is no ERC-20.
    if log.address == address::BASE_TOKEN {
        return;
    }
    let token = log.address;
    let mut push = |from: &B256, to: &B256, kind, amount, id| {
        let (from, to) = (indexed_address(from), indexed_address(to));
        out.push(TransferRecord { token, from, to, kind, amount, id });
    };
    if *topic == Transfer::SIGNATURE_HASH {
        match log.topics.as_slice() {
            [_, from, to] if log.data.len() == 32 => {
                push(from, to, TokenKind::Erc20, U256::from_be_slice(&log.data), None);
            }
            [_, from, to, id] if log.data.is_empty() => {
                let id = Some(U256::from_be_bytes(id.0));
                push(from, to, TokenKind::Erc721, U256::ONE, id);
            }
            _ => {}
        }
    } else if *topic == TransferSingle::SIGNATURE_HASH {
        let [_, _, from, to] = log.topics.as_slice() else { return };
        if let Ok((id, value)) = <(U256, U256)>::abi_decode_params(&log.data) {
            push(from, to, TokenKind::Erc1155, value, Some(id));
        }
    } else if *topic == TransferBatch::SIGNATURE_HASH {
        let [_, _, from, to] = log.topics.as_slice() else { return };
        let Ok((ids, values)) = <(Vec<U256>, Vec<U256>)>::abi_decode_params(&log.data) else {
            return;
        };
        for (id, value) in ids.into_iter().zip(values).take(MAX_BATCH_ITEMS) {
            push(from, to, TokenKind::Erc1155, value, Some(id));
        }
    }
}

/// Messages to L1: each L2->L1 log of the messenger with the event that carries its text.
fn withdrawals(tx: &SourceTx, at: TxPos) -> Vec<WithdrawalRecord> {
    let mut events = tx.logs.iter().filter(|l| {
        l.address == address::L1_MESSENGER
            && l.topics.len() == 3
            && l.topics[0] == L1MessageSent::SIGNATURE_HASH
    });
    let logs = tx.l2_to_l1.iter().zip(0u32..).filter(|(l, _)| l.sender == address::L1_MESSENGER);
    logs.filter_map(|(_, item)| {
        let event = events.next()?;
        let l2_sender = indexed_address(&event.topics[1]);
        let message = <(alloy_primitives::Bytes,)>::abi_decode_params(&event.data).ok()?.0;
        let plain = WithdrawalRecord {
            hash: tx.hash,
            at: ItemPos { tx: at, item },
            l2_sender,
            from: tx.from,
            receiver: None,
            l1_token: None,
            amount: U256::ZERO,
        };
        Some(read_message(&message, plain))
    })
    .collect()
}

fn read_message(message: &[u8], plain: WithdrawalRecord) -> WithdrawalRecord {
    let Some((selector, body)) = message.split_first_chunk::<4>() else { return plain };
    if plain.l2_sender == address::BASE_TOKEN && *selector == ETH_WITHDRAWAL && body.len() >= 52 {
        return WithdrawalRecord {
            receiver: Some(Address::from_slice(&body[..20])),
            amount: U256::from_be_slice(&body[20..52]),
            ..plain
        };
    }
    let is_token = plain.l2_sender == address::L2_ASSET_ROUTER
        && *selector == finalizeDepositCall::SELECTOR
        && body.len() > 64;
    // Packed: chain id, asset id, then the bridge's data.
    match is_token.then(|| bridge_data(&body[64..])).flatten() {
        Some((from, receiver, token, amount)) => WithdrawalRecord {
            from,
            receiver: Some(receiver),
            l1_token: Some(token),
            amount,
            ..plain
        },
        None => plain,
    }
}

/// keccak256 of nothing: the code hash of an account without code.
pub(crate) const NO_CODE: B256 =
    b256!("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Bytes;
    use cairn_primitives::L2ToL1Log;

    fn word(address: Address) -> B256 {
        address.into_word()
    }

    fn plain_tx() -> SourceTx {
        SourceTx {
            hash: B256::repeat_byte(9),
            from: Address::repeat_byte(1),
            to: Some(Address::repeat_byte(2)),
            created: None,
            priority: None,
            success: true,
            logs: Vec::new(),
            l2_to_l1: Vec::new(),
        }
    }

    #[test]
    fn transfers_of_each_standard_are_found_and_malformed_ones_left() {
        let (token, a, b) =
            (Address::repeat_byte(7), Address::repeat_byte(3), Address::repeat_byte(4));
        let log = |topics: Vec<B256>, data: Vec<u8>| LogRecord {
            address: token,
            topics,
            data: Bytes::from(data),
        };
        let erc20 = Transfer::SIGNATURE_HASH;
        let id = B256::from(U256::from(5));
        let batch = (vec![U256::from(1), U256::from(2)], vec![U256::from(10), U256::from(20)]);
        let mut tx = plain_tx();
        tx.logs = vec![
            log(vec![erc20, word(a), word(b)], vec![0; 32]),
            log(vec![erc20, word(a), word(b), id], vec![]),
            log(
                vec![TransferBatch::SIGNATURE_HASH, word(a), word(a), word(b)],
                batch.abi_encode_params(),
            ),
            // None of these is a transfer: too little data, too few topics, lengths that lie.
            log(vec![erc20, word(a), word(b)], vec![0; 31]),
            log(vec![erc20, word(a)], vec![0; 32]),
            log(vec![TransferBatch::SIGNATURE_HASH, word(a), word(a), word(b)], vec![0xff; 64]),
            log(vec![], vec![]),
        ];
        let found = extract(&tx, TxPos { block: 1, index: 0 });
        let kinds: Vec<_> = found.transfers.iter().map(|t| (t.kind, t.id)).collect();
        use TokenKind::*;
        assert_eq!(
            kinds,
            [
                (Erc20, None),
                (Erc721, Some(U256::from(5))),
                (Erc1155, Some(U256::from(1))),
                (Erc1155, Some(U256::from(2)))
            ]
        );
        assert_eq!(found.addresses[&a], role::TOKENS);
        assert_eq!(found.addresses[&tx.from], role::SENDER);
        assert!(!found.addresses.contains_key(&Address::ZERO));
    }

    #[test]
    fn withdrawals_are_read_from_their_messages() {
        let receiver = Address::repeat_byte(0xaa);
        let mut message = ETH_WITHDRAWAL.to_vec();
        message.extend_from_slice(receiver.as_slice());
        message.extend_from_slice(&U256::from(77).to_be_bytes::<32>());
        let mut tx = plain_tx();
        let log = |sender| L2ToL1Log {
            shard_id: 0,
            is_service: true,
            tx_number: 0,
            sender,
            key: B256::ZERO,
            value: B256::ZERO,
        };

        tx.l2_to_l1 = vec![log(address::BOOTLOADER), log(address::L1_MESSENGER)];
        tx.logs = vec![LogRecord {
            address: address::L1_MESSENGER,
            topics: vec![L1MessageSent::SIGNATURE_HASH, word(address::BASE_TOKEN), B256::ZERO],
            data: (Bytes::from(message),).abi_encode_params().into(),
        }];
        let found = extract(&tx, TxPos { block: 3, index: 1 });
        let [w] = found.withdrawals.as_slice() else { panic!("{:?}", found.withdrawals) };
        assert_eq!((w.receiver, w.amount, w.at.item), (Some(receiver), U256::from(77), 1));
        assert_eq!(found.addresses[&receiver], role::BRIDGE);
        // A message of anybody else's is no withdrawal, whatever it says.
        tx.logs[0].topics[1] = word(Address::repeat_byte(5));
        assert_eq!(extract(&tx, TxPos { block: 3, index: 1 }).withdrawals[0].receiver, None);
    }
}
