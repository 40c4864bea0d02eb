//! Step **charge pubdata**: what the transaction adds to the data that L1 receives, measured as the net change since its start.
//!
//! Whether a write is charged as an initial one (with its 32-byte key) depends only on the value before: zero (an empty account) or not. That
//! makes the charge independent of where batches begin, and never less than what the batch publishes.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, Bytes, U256};
use cairn_primitives::{
    L2ToL1Log, address::BASE_TOKEN, config::INTRINSIC_PUBDATA, l2_to_l1::LOG_SIZE,
};
use revm::{
    JournalEntry,
    context::{ContextTr, JournalTr},
    context_interface::journaled_state::account::JournaledAccountTr,
    primitives::KECCAK_EMPTY,
    state::{Account, AccountInfo},
};

use super::{
    Failure, MAX_BALANCE,
    execute::Executed,
    supply::{self, SUPPLY_SLOT},
};
use crate::{
    error::ExecError,
    evm::CairnEvm,
    limits::MAX_PUBDATA_PER_TX,
    reader::{AccountState, StateReader},
};

/// Bytes reckoned for the sender's own account, whose nonce and balance every transaction changes. A constant, so that a simulation, which takes no
/// fees, measures what the transaction will be charged: index, tags, a nonce delta and the widest balance delta.
const SENDER_BYTES: u64 = INDEX_BYTES + 2 * TAG_BYTES + 2 + 16;

/// Bytes of new code beside the code itself: its length, and the leaf that names it (key, tag, Poseidon2 hash).
const NEW_CODE_BYTES: u64 = 4 + KEY_BYTES + TAG_BYTES + 32;

/// Measures, charges, and fails the transaction when its gas does not cover the charge.
pub(super) fn charge_pubdata<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    executed: &mut Executed,
    gas_per_pubdata: u64,
) -> Result<(), ExecError<R::Error>> {
    if evm.precompiles.work.exhausted {
        return executed.fail(evm, Failure::ProofTooLong);
    }
    if executed.failure.is_none() {
        executed.messages = messages(evm);
    }
    let Some(bytes) = measure(evm, executed)? else {
        return executed.fail(evm, Failure::BalanceOverflow);
    };
    executed.pubdata_bytes = bytes;
    if bytes > MAX_PUBDATA_PER_TX {
        return executed.fail(evm, Failure::PubdataTooLarge { bytes });
    }
    let gas = bytes.saturating_sub(INTRINSIC_PUBDATA).saturating_mul(gas_per_pubdata);
    if gas > executed.gas_limit - executed.spent {
        return executed.fail(evm, Failure::PubdataOutOfGas { bytes, gas });
    }
    executed.pubdata_gas = gas;
    Ok(())
}

pub(super) fn messages<R: StateReader, I>(evm: &CairnEvm<R, I>) -> Vec<(Address, B256, Bytes)> {
    let logs = &evm.ctx.journaled_state.inner.logs;
    logs.iter()
        .filter_map(L2ToL1Log::parse_message_event)
        .map(|(sender, hash, message)| (sender, hash, Bytes::copy_from_slice(message)))
        .collect()
}

/// Bytes of pubdata of the transaction so far; `None` when a balance is out of range.
pub(super) fn measure<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    executed: &mut Executed,
) -> Result<Option<u64>, ExecError<R::Error>> {
    let (accounts, slots) = touched(&evm.ctx.journaled_state.inner.journal);
    if accounts.binary_search(&BASE_TOKEN).is_ok() {
        burn_withdrawn(evm)?;
    }
    let sender = evm.ctx.tx.caller;
    let mut bytes = SENDER_BYTES;
    for (_, _, message) in &executed.messages {
        bytes += (LOG_SIZE + 4 + message.len()) as u64;
    }
    let (inner, db) = (&mut evm.ctx.journaled_state.inner, &mut evm.ctx.journaled_state.database);
    for address in accounts {
        let Some(account) = inner.state.get(&address) else { continue };
        let (before, after) = (account.original_info(), info_at_end(account));
        if after.balance > MAX_BALANCE {
            return Ok(None);
        }
        if address != sender || before.is_empty() {
            bytes += account_bytes(&before, &after);
        }
        bytes += code_hash_bytes(&before, &after);
        let hash = after.code_hash;
        let is_new = hash != before.code_hash && hash != KECCAK_EMPTY;
        if is_new
            && !db.code_known(hash).map_err(super::db_fault)?
            && !executed.new_codes.iter().any(|(h, _)| *h == hash)
        {
            let code = after.code.map(|c| c.original_bytes()).unwrap_or_default();
            bytes += code.len() as u64 + NEW_CODE_BYTES;
            executed.new_codes.push((hash, code));
        }
    }
    for (address, key) in slots {
        if (address, key) == (BASE_TOKEN, SUPPLY_SLOT) {
            // The batch's, not the transaction's.
            continue;
        }
        let Some(account) = inner.state.get(&address) else { continue };
        if let Some(slot) = account.storage.get(&key) {
            let after =
                if account.is_selfdestructed_locally() { U256::ZERO } else { slot.present_value };
            bytes += value_bytes(slot.original_value, after);
        }
    }
    Ok(Some(bytes))
}

/// What a transaction leaves on the base token's contract was withdrawn (L1 pays it out from the bridge) or thrown away: it leaves the supply, so that the
/// supply is never more than what the bridge holds.
fn burn_withdrawn<R: StateReader, I>(evm: &mut CairnEvm<R, I>) -> Result<(), ExecError<R::Error>> {
    let account = evm.ctx.journal_mut().load_account_mut(BASE_TOKEN);
    let mut account = account.map_err(super::db_fault)?.data;
    let burned = *account.balance();
    if burned.is_zero() {
        return Ok(());
    }
    account.set_balance(U256::ZERO);
    supply::burned(evm, burned)
}

/// Accounts and slots that the journal says were changed (maybe back again), each once, in order.
fn touched(journal: &[JournalEntry]) -> (Vec<Address>, Vec<(Address, U256)>) {
    let (mut accounts, mut slots) = (Vec::new(), Vec::new());
    for entry in journal {
        match entry {
            JournalEntry::BalanceChange { address, .. }
            | JournalEntry::NonceChange { address, .. }
            | JournalEntry::NonceBump { address }
            | JournalEntry::AccountCreated { address, .. }
            | JournalEntry::CodeChange { address, .. } => accounts.push(*address),
            JournalEntry::BalanceTransfer { from, to, .. } => accounts.extend([*from, *to]),
            JournalEntry::AccountDestroyed { address, target, .. } => {
                accounts.extend([*address, *target]);
            }
            JournalEntry::StorageChanged { address, key, .. } => slots.push((*address, *key)),
            _ => {}
        }
    }
    accounts.sort_unstable();
    accounts.dedup();
    slots.sort_unstable();
    slots.dedup();
    (accounts, slots)
}

/// The account as it will be after the transaction: a contract that destroyed itself is gone.
pub(crate) fn info_at_end(account: &Account) -> AccountInfo {
    if account.is_selfdestructed_locally() { AccountInfo::default() } else { account.info.clone() }
}

/// The representable account behind revm's; the balance is checked elsewhere and saturates here.
pub(crate) fn to_state(info: &AccountInfo) -> AccountState {
    AccountState {
        nonce: info.nonce,
        balance: info.balance.saturating_to(),
        code_hash: info.code_hash,
    }
}

/// Bytes of a leaf's key when it is written for the first time.
const KEY_BYTES: u64 = 32;
/// Bytes reckoned for the index of a leaf that is written again.
const INDEX_BYTES: u64 = 4;
/// Bytes of a value's tag.
const TAG_BYTES: u64 = 1;

fn account_bytes(before: &AccountInfo, after: &AccountInfo) -> u64 {
    let (b, a) = (to_state(before), to_state(after));
    if a == b {
        return 0;
    }
    let nonce = byte_len(U256::from(a.nonce.abs_diff(b.nonce)));
    let balance = byte_len(U256::from(a.balance.abs_diff(b.balance)));
    let name = if b.is_empty() { KEY_BYTES } else { INDEX_BYTES };
    name + 2 * TAG_BYTES + nonce + balance
}

fn code_hash_bytes(before: &AccountInfo, after: &AccountInfo) -> u64 {
    value_bytes(code_word(&to_state(before)), code_word(&to_state(after)))
}

/// What the account's code-hash leaf holds.
pub(crate) fn code_word(account: &AccountState) -> U256 {
    if account.has_code() { account.code_hash.into() } else { U256::ZERO }
}

fn value_bytes(before: U256, after: U256) -> u64 {
    if before == after {
        return 0;
    }
    if before.is_zero() {
        return KEY_BYTES + TAG_BYTES + byte_len(after);
    }
    let delta = after.wrapping_sub(before);
    let shortest = byte_len(after).min(byte_len(delta)).min(byte_len(delta.wrapping_neg()));
    INDEX_BYTES + TAG_BYTES + shortest
}

fn byte_len(v: U256) -> u64 {
    (v.bit_len() as u64).div_ceil(8)
}
