//! Nonces: zkSync's NonceHolder (0x8003), native, and the rule that every transaction uses its nonce once.
//!
//! An account's *minimal nonce* is its nonce in the state, which orders transactions and names deployments as on Ethereum. Nonces below
//! [`UNORDERED`] are sequential: a transaction has exactly the minimal one, and validation raises it. Nonces from there on have no order: an account
//! with code uses one by writing a value under it (`setValueUnderNonce`). The two ranges do not meet, so that a used nonce stays used.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use alloy_primitives::{Address, B256, Bytes, Log, LogData, U256, keccak256};
use alloy_sol_types::{SolCall, SolEvent, SolValue, sol};
use cairn_primitives::address::NONCE_HOLDER;
use revm::{
    context::{ContextTr, JournalTr},
    context_interface::journaled_state::account::JournaledAccountTr,
    interpreter::CallInputs,
};

use super::{AaError, Reason, Step};
use crate::{
    error::{ExecError, TxError},
    evm::{CairnContext, CairnEvm},
    life::db_fault,
    reader::StateReader,
};

/// First nonce without order. JavaScript's numbers reach it and 2^53 beyond.
pub const UNORDERED: u64 = 1 << 48;
/// Most by which one call raises the minimal nonce (zkSync's bound).
const MAX_INCREASE: u64 = 1 << 32;

sol! {
    function getMinNonce(address account) external view returns (uint256);
    function getRawNonce(address account) external view returns (uint256);
    function getDeploymentNonce(address account) external view returns (uint256);
    function getValueUnderNonce(uint256 key) external view returns (uint256);
    function isNonceUsed(address account, uint256 nonce) external view returns (bool);
    function validateNonceUsage(address account, uint256 key, bool shouldBeUsed) external view;
    function increaseMinNonce(uint256 value) external returns (uint256 oldMinNonce);
    function incrementMinNonceIfEquals(uint256 expectedNonce) external;
    function setValueUnderNonce(uint256 key, uint256 value) external;

    event ValueSetUnderNonce(address indexed accountAddress, uint256 indexed key, uint256 value);

    /// The minimal nonce is another one.
    error NonceNotEqual(uint256 minNonce, uint256 expected);
    /// The nonce is used, or is not, and should be the other.
    error NonceUsage(address account, uint256 nonce, bool used);
    /// A sequential nonce has no value; an unordered one is used by a value that is not zero, once.
    error InvalidNonceKey(uint256 key);
    /// The minimal nonce cannot be raised so far.
    error NonceIncreaseTooLarge(uint256 value);
}

/// Gas of a read: a cold account or slot, and the call's own work.
pub(crate) const READ_GAS: u64 = 2_700;
/// Gas of raising the own minimal nonce: a change of an account that the transaction changes anyway.
const RAISE_GAS: u64 = 3_000;
/// Gas of a value under a nonce: a new slot, and the event.
const VALUE_GAS: u64 = 24_000;

/// Gas that a call costs.
pub(crate) fn gas_of(input: &[u8]) -> u64 {
    match input.first_chunk::<4>() {
        Some(s) if *s == setValueUnderNonceCall::SELECTOR => VALUE_GAS,
        Some(s)
            if *s == incrementMinNonceIfEqualsCall::SELECTOR
                || *s == increaseMinNonceCall::SELECTOR =>
        {
            RAISE_GAS
        }
        _ => READ_GAS,
    }
}

type Answer = Result<Result<Bytes, Bytes>, String>;

/// Runs NonceHolder: `Ok(Ok(_))` returns, `Ok(Err(_))` reverts.
pub(crate) fn run<R: StateReader>(
    ctx: &mut CairnContext<R>,
    inputs: &CallInputs,
    input: &[u8],
) -> Answer {
    let Some((selector, args)) = input.split_first_chunk::<4>() else {
        return Ok(Err(Bytes::new()));
    };
    // A delegate call would act for an account that did not call.
    let own = (!inputs.is_static && inputs.target_address == NONCE_HOLDER).then_some(inputs.caller);
    match *selector {
        getMinNonceCall::SELECTOR | getDeploymentNonceCall::SELECTOR => {
            read(ctx, args, |nonce| nonce)
        }
        getRawNonceCall::SELECTOR => read(ctx, args, |nonce| nonce << 128 | nonce),
        getValueUnderNonceCall::SELECTOR => {
            let Ok(key) = U256::abi_decode_validate(args) else { return Ok(Err(Bytes::new())) };
            let value = value_under(ctx, inputs.caller, key).map_err(|e| e.to_string())?;
            Ok(Ok(value.abi_encode().into()))
        }
        isNonceUsedCall::SELECTOR => {
            let Ok((account, nonce)) = <(Address, U256)>::abi_decode_params_validate(args) else {
                return Ok(Err(Bytes::new()));
            };
            let used = is_used(ctx, account, nonce).map_err(|e| e.to_string())?;
            Ok(Ok(used.abi_encode().into()))
        }
        validateNonceUsageCall::SELECTOR => validate_usage(ctx, args),
        incrementMinNonceIfEqualsCall::SELECTOR => match (own, U256::abi_decode_validate(args)) {
            (Some(account), Ok(expected)) => increment(ctx, account, expected),
            _ => Ok(Err(Bytes::new())),
        },
        increaseMinNonceCall::SELECTOR => match (own, U256::abi_decode_validate(args)) {
            (Some(account), Ok(by)) => increase(ctx, account, by),
            _ => Ok(Err(Bytes::new())),
        },
        setValueUnderNonceCall::SELECTOR => {
            match (own, <(U256, U256)>::abi_decode_params_validate(args)) {
                (Some(account), Ok((key, value))) => set_value(ctx, account, key, value),
                _ => Ok(Err(Bytes::new())),
            }
        }
        _ => Ok(Err(Bytes::new())),
    }
}

fn read<R: StateReader>(
    ctx: &mut CairnContext<R>,
    args: &[u8],
    shape: impl FnOnce(U256) -> U256,
) -> Answer {
    let Ok(account) = Address::abi_decode_validate(args) else { return Ok(Err(Bytes::new())) };
    let nonce = min_nonce(ctx, account).map_err(|e| e.to_string())?;
    Ok(Ok(shape(U256::from(nonce)).abi_encode().into()))
}

fn validate_usage<R: StateReader>(ctx: &mut CairnContext<R>, args: &[u8]) -> Answer {
    let Ok((account, nonce, should)) = <(Address, U256, bool)>::abi_decode_params_validate(args)
    else {
        return Ok(Err(Bytes::new()));
    };
    let used = is_used(ctx, account, nonce).map_err(|e| e.to_string())?;
    if used == should {
        return Ok(Ok(Bytes::new()));
    }
    Ok(refuse(&NonceUsage { account, nonce, used }))
}

fn increment<R: StateReader>(
    ctx: &mut CairnContext<R>,
    account: Address,
    expected: U256,
) -> Answer {
    let min = min_nonce(ctx, account).map_err(|e| e.to_string())?;
    if U256::from(min) != expected {
        return Ok(refuse(&NonceNotEqual { minNonce: U256::from(min), expected }));
    }
    if min + 1 >= UNORDERED {
        return Ok(refuse(&NonceIncreaseTooLarge { value: U256::ONE }));
    }
    ctx.journal_mut().load_account_mut(account).map_err(|e| e.to_string())?.data.bump_nonce();
    Ok(Ok(Bytes::new()))
}

fn increase<R: StateReader>(ctx: &mut CairnContext<R>, account: Address, value: U256) -> Answer {
    let min = min_nonce(ctx, account).map_err(|e| e.to_string())?;
    let by = u64::try_from(value).ok().filter(|by| *by <= MAX_INCREASE);
    let Some(raised) = by.map(|by| min.saturating_add(by)).filter(|n| *n < UNORDERED) else {
        return Ok(refuse(&NonceIncreaseTooLarge { value }));
    };
    let mut loaded = ctx.journal_mut().load_account_mut(account).map_err(|e| e.to_string())?.data;
    loaded.set_nonce(raised);
    Ok(Ok(U256::from(min).abi_encode().into()))
}

fn set_value<R: StateReader>(
    ctx: &mut CairnContext<R>,
    account: Address,
    key: U256,
    value: U256,
) -> Answer {
    let free = key >= U256::from(UNORDERED) && key <= U256::from(u64::MAX) && !value.is_zero();
    if !free || !value_under(ctx, account, key).map_err(|e| e.to_string())?.is_zero() {
        return Ok(refuse(&InvalidNonceKey { key }));
    }
    let slot = slot(account, key);
    ctx.journal_mut().sstore(NONCE_HOLDER, slot, value).map_err(|e| e.to_string())?;
    let event = ValueSetUnderNonce { accountAddress: account, key, value };
    let topics: Vec<B256> = event.encode_topics().into_iter().map(Into::into).collect();
    let data = LogData::new_unchecked(topics, event.encode_data().into());
    ctx.journal_mut().log(Log { address: NONCE_HOLDER, data });
    Ok(Ok(Bytes::new()))
}

fn refuse(error: &impl alloy_sol_types::SolError) -> Result<Bytes, Bytes> {
    Err(error.abi_encode().into())
}

type DbResult<T, R> = Result<T, crate::db::DbError<<R as StateReader>::Error>>;

fn min_nonce<R: StateReader>(ctx: &mut CairnContext<R>, account: Address) -> DbResult<u64, R> {
    Ok(ctx.journal_mut().load_account(account)?.data.info.nonce)
}

/// Where the value under a nonce is, in NonceHolder's own storage.
fn slot(account: Address, key: U256) -> U256 {
    keccak256((account, key).abi_encode()).into()
}

fn value_under<R: StateReader>(
    ctx: &mut CairnContext<R>,
    account: Address,
    key: U256,
) -> DbResult<U256, R> {
    if key < U256::from(UNORDERED) {
        return Ok(U256::ZERO);
    }
    ctx.journal_mut().load_account(NONCE_HOLDER)?;
    Ok(ctx.journal_mut().sload(NONCE_HOLDER, slot(account, key))?.data)
}

fn is_used<R: StateReader>(
    ctx: &mut CairnContext<R>,
    account: Address,
    nonce: U256,
) -> DbResult<bool, R> {
    if nonce < U256::from(UNORDERED) {
        return Ok(nonce < U256::from(min_nonce(ctx, account)?));
    }
    Ok(!value_under(ctx, account, nonce)?.is_zero())
}

/// Before validation: the account's next nonce, or one without order that is not used.
pub(super) fn check_unused<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    account: Address,
    nonce: u64,
) -> Result<(), ExecError<R::Error>> {
    if nonce < UNORDERED {
        let min = min_nonce(&mut evm.ctx, account).map_err(db_fault)?;
        return Ok(check_sequential(account, nonce, min)?);
    }
    if is_used(&mut evm.ctx, account, U256::from(nonce)).map_err(db_fault)? {
        let reason = Reason::NonceUsed(nonce);
        return Err(AaError { step: Step::Nonce, account, reason }.into());
    }
    Ok(())
}

/// After validation: the nonce cannot be used again.
pub(super) fn check_used<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    account: Address,
    nonce: u64,
) -> Result<(), ExecError<R::Error>> {
    if is_used(&mut evm.ctx, account, U256::from(nonce)).map_err(db_fault)? {
        return Ok(());
    }
    let reason = Reason::NonceUnused(nonce);
    Err(AaError { step: Step::Nonce, account, reason }.into())
}

/// A sequential nonce must be the next one.
pub(super) fn check_sequential(address: Address, tx: u64, state: u64) -> Result<(), TxError> {
    match tx.cmp(&state) {
        core::cmp::Ordering::Less => Err(TxError::NonceTooLow { address, tx, state }),
        core::cmp::Ordering::Equal => Ok(()),
        core::cmp::Ordering::Greater => Err(TxError::NonceTooHigh { address, tx, state }),
    }
}
