//! The steps of an account-abstraction transaction (type 0x71): zkSync's protocol between the chain ("the bootloader", 0x8001), the account and
//! its paymaster.
//!
//! | step | plain account (no code, or an EIP-7702 delegation) | account with code |
//! |---|---|---|
//! | **validate** | nonce; ECDSA over the EIP-712 digest, 65 bytes, low s | `validateTransaction` answers its magic and uses the nonce |
//! | **pay** | the balance is charged | `payForTransaction` sends the fee to the bootloader |
//! | **pay**, with a paymaster | `approvalBased`: its allowance is raised | `prepareForPaymaster` |
//! |  | `validateAndPayForPaymasterTransaction` answers its magic and sends the fee | the same |
//! | **execute** | the call or creation | `executeTransaction` |
//! | **charge pubdata** | what all steps together changed | the same |
//! | **refund** | `postTransaction` of the paymaster, which may fail at no harm; unused gas to who paid | the same |
//!
//! What fails before **execute** makes the transaction invalid: it enters no block and leaves no trace. From there on it is charged. All steps share
//! the gas limit; those before **execute** together have at most [`MAX_VALIDATION_GAS`]. No step of account or paymaster code can take from the
//! operator: the fee for the whole gas limit is in hand before **execute**, and the pubdata that validation caused is reserved out of it.
//!
//! A plain account without a paymaster takes the very path of an ordinary transaction. No tip is charged: clients encode a tip of zero as the fee
//! cap, so the price is the base fee.

mod abi;
mod admit;
mod call;
mod error;
mod finish;
pub mod nonce;
mod paymaster;

use alloy_primitives::{Address, B256, TxKind, U256};
use cairn_primitives::{Eip712Tx, address::BOOTLOADER};
use revm::{
    context::{Block, ContextTr, JournalTr, TxEnv},
    context_interface::{
        journaled_state::account::JournaledAccountTr, transaction::TransactionType,
    },
};

use super::{Outcome, Rules, execute::Exec};
use crate::{
    error::{ExecError, TxError},
    evm::CairnEvm,
    reader::StateReader,
    tx::{RecoveredTx, eip712_signer},
};

pub use error::{AaError, Reason, Step};

/// Most gas that the steps before **execute** may use together.
pub const MAX_VALIDATION_GAS: u64 = 1_000_000;
/// Intrinsic gas of each further account whose code the steps call: the account itself when it has code, the paymaster, the token of an approval.
const PARTY_GAS: u64 = 2_600;
/// Bytes of an ECDSA signature: as many are part of the intrinsic 21,000 gas, as they are of every other transaction.
const ECDSA_SIGNATURE: usize = 65;

/// The transaction at work, and what all steps ask of it.
struct Work<'a> {
    tx: &'a Eip712Tx,
    hash: B256,
    digest: B256,
    /// Wei per gas that is paid.
    price: u128,
    /// The account has code of its own.
    smart: bool,
}

impl Work<'_> {
    fn payer(&self) -> Address {
        self.tx.paymaster.as_ref().map_or(self.tx.from, |p| p.paymaster)
    }
}

/// Runs all steps.
pub(super) fn run<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    tx: &RecoveredTx,
    aa: &Eip712Tx,
    rules: &Rules,
    exec: Exec<R, I>,
) -> Result<Outcome, ExecError<R::Error>> {
    match begin(evm, tx, aa, rules)? {
        None => super::run_env(evm, rules, exec),
        Some(work) => {
            let admitted = admit::admit(evm, &work, rules, exec)?;
            finish::finish(evm, &work, admitted, rules, exec)
        }
    }
}

/// Runs the steps before **execute**, for a mempool's judgement; answers the gas that account and paymaster code used.
pub(super) fn validate_only<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    tx: &RecoveredTx,
    aa: &Eip712Tx,
    rules: &Rules,
    exec: Exec<R, I>,
) -> Result<u64, ExecError<R::Error>> {
    match begin(evm, tx, aa, rules)? {
        None => super::validate::validate(evm, rules).map(|_| 0),
        Some(work) => Ok(admit::admit(evm, &work, rules, exec)?.validation_gas),
    }
}

/// Checks what is common to all ways and says which one it is: `None` for that of an ordinary transaction.
fn begin<'a, R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    tx: &RecoveredTx,
    aa: &'a Eip712Tx,
    rules: &Rules,
) -> Result<Option<Work<'a>>, ExecError<R::Error>> {
    evm.ctx.tx = tx_env(aa);
    if rules.policy.check_fees {
        if aa.max_priority_fee_per_gas > aa.max_fee_per_gas {
            return Err(TxError::TipAboveFeeCap {
                address: aa.from,
                tip: aa.max_priority_fee_per_gas,
                max_fee: aa.max_fee_per_gas,
            }
            .into());
        }
        if aa.gas_per_pubdata < rules.fees.gas_per_pubdata {
            let (have, want) = (aa.gas_per_pubdata, rules.fees.gas_per_pubdata);
            return Err(TxError::GasPerPubdataTooLow { have, want }.into());
        }
    }
    let smart = {
        let journal = evm.ctx.journal_mut();
        let account = journal.load_account_with_code_mut(aa.from).map_err(super::db_fault)?.data;
        account.code().is_some_and(|code| !code.is_empty() && !code.is_eip7702())
    };
    if !smart && rules.policy.check_sender {
        check_key(tx, aa)?;
    }
    if !smart && aa.paymaster.is_none() {
        return Ok(None);
    }
    let price = u128::from(evm.ctx.block.basefee());
    Ok(Some(Work { tx: aa, hash: tx.hash, digest: tx.digest, price, smart }))
}

/// The signature of a plain account.
fn check_key(tx: &RecoveredTx, aa: &Eip712Tx) -> Result<(), AaError> {
    let refuse =
        |why| AaError { step: Step::Signature, account: aa.from, reason: Reason::Signature(why) };
    let signer = match tx.signer {
        Some(signer) => signer,
        None => eip712_signer(tx.digest, &aa.signature).map_err(refuse)?,
    };
    if signer == aa.from { Ok(()) } else { Err(refuse("it is of another key, or of other data")) }
}

/// The EVM's view of the transaction as its account means it. The tip is zero, see the module's text.
fn tx_env(aa: &Eip712Tx) -> TxEnv {
    TxEnv {
        tx_type: TransactionType::Eip1559 as u8,
        caller: aa.from,
        gas_limit: aa.gas_limit,
        gas_price: aa.max_fee_per_gas,
        kind: aa.to.map_or(TxKind::Create, TxKind::Call),
        value: aa.value,
        data: aa.data.clone(),
        nonce: aa.nonce,
        chain_id: Some(aa.chain_id),
        access_list: Default::default(),
        gas_priority_fee: Some(0),
        blob_hashes: Default::default(),
        max_fee_per_blob_gas: 0,
        authorization_list: Default::default(),
    }
}

/// Bytes that are paid for like calldata: the paymaster's input, and what a signature has beyond ECDSA's.
fn extra_calldata(aa: &Eip712Tx) -> [&[u8]; 2] {
    let input = aa.paymaster.as_ref().map_or(&[][..], |p| &p.input);
    [input, aa.signature.get(ECDSA_SIGNATURE..).unwrap_or_default()]
}

/// Wei that the bootloader holds: what the steps before sent it.
fn bootloader_balance<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
) -> Result<U256, ExecError<R::Error>> {
    let account = evm.ctx.journal_mut().load_account_mut(BOOTLOADER).map_err(super::db_fault)?.data;
    Ok(*account.balance())
}
