//! EIP-7702 authorizations, the first part of **execute**.
//!
//! revm's own loop asks its journal whether an authority "was loaded as not existing", which is true for one transaction only: our journal lives
//! for a block, or for a batch in the prover, and the answer must be the same in both. So the rule is stated on values: an account exists
//! if and only if it is not empty (EIP-161).

use alloy_primitives::U256;
use revm::{
    context::{Cfg, ContextTr, JournalTr},
    context_interface::{
        journaled_state::account::JournaledAccountTr,
        transaction::{AuthorizationTr, Transaction, TransactionType},
    },
};

use crate::{error::ExecError, evm::CairnEvm, reader::StateReader};

/// Applies the authorizations of the transaction in the environment; returns the gas refund for authorities that existed.
pub(super) fn apply<R: StateReader, I>(
    evm: &mut CairnEvm<R, I>,
) -> Result<u64, ExecError<R::Error>> {
    if evm.ctx.tx.tx_type != TransactionType::Eip7702 as u8 {
        return Ok(0);
    }
    let chain_id = U256::from(evm.ctx.cfg.chain_id());
    let refund = evm.ctx.cfg.gas_params().tx_eip7702_auth_refund_regular();
    let (tx, journal) = evm.ctx.tx_journal_mut();
    let mut existing = 0u64;
    for authorization in tx.authorization_list() {
        let for_chain = authorization.chain_id();
        if (!for_chain.is_zero() && for_chain != chain_id) || authorization.nonce() == u64::MAX {
            continue;
        }
        let Some(authority) = authorization.authority() else { continue };
        let mut account =
            journal.load_account_with_code_mut(authority).map_err(super::db_fault)?.data;
        let is_contract = account.code().is_some_and(|c| !c.is_empty() && !c.is_eip7702());
        if is_contract || authorization.nonce() != account.nonce() {
            continue;
        }
        existing += u64::from(!account.account().info.is_empty());
        account.delegate(authorization.address());
    }
    Ok(refund.saturating_mul(existing))
}
