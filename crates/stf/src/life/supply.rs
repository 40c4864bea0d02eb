//! How much of the base token there is: what priority operations minted, less what was withdrawn. It is slot [`SUPPLY_SLOT`] of the base token's contract
//! (0x800a), where `totalSupply()` reads it.
//!
//! The chain writes it when a transaction has ended its steps, so no transaction sees its own effect on it, and no transaction is charged for it: it is one leaf of
//! a batch, whatever the batch holds ([`crate::meter::PUBDATA_PER_BATCH`] counts it).

use alloy_primitives::U256;
use cairn_primitives::address::BASE_TOKEN;
use revm::context::{ContextTr, JournalTr};

use crate::{error::ExecError, evm::CairnEvm, reader::StateReader};

/// Where the supply is kept, among the slots of 0x800a (`_totalSupply` of `L2BaseToken.sol`; 0 and 1 are its name and symbol).
pub const SUPPLY_SLOT: U256 = U256::from_limbs([2, 0, 0, 0]);

/// A priority operation brought `amount` onto the chain.
pub(super) fn minted<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    amount: U256,
) -> Result<(), ExecError<R::Error>> {
    update(evm, |supply| supply.saturating_add(amount))
}

/// A transaction left `amount` on 0x800a.
pub(super) fn burned<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    amount: U256,
) -> Result<(), ExecError<R::Error>> {
    update(evm, |supply| supply.saturating_sub(amount))
}

fn update<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
    change: impl FnOnce(U256) -> U256,
) -> Result<(), ExecError<R::Error>> {
    let journal = evm.ctx.journal_mut();
    journal.load_account(BASE_TOKEN).map_err(super::db_fault)?;
    let before = journal.sload(BASE_TOKEN, SUPPLY_SLOT).map_err(super::db_fault)?.data;
    let after = change(before);
    if after != before {
        journal.sstore(BASE_TOKEN, SUPPLY_SLOT, after).map_err(super::db_fault)?;
    }
    Ok(())
}
