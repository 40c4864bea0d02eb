//! Follows the chain's fee parameters. Its admin sets them on L1, and L1 takes batches with the ones before for a day.

use std::time::Duration;

use alloy_primitives::Address;
use cairn_primitives::FeeParams;
use cairn_sequencer::Sequencer;
use cairn_settlement::{
    bindings::ZKChain,
    l1::{L1, L1Error},
};
use tokio::sync::watch;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// Whose parameters are followed, and by whom.
#[derive(Clone)]
pub struct Followed {
    /// The settlement layer.
    pub l1: L1,
    /// The chain's contract there.
    pub chain: Address,
    /// L1 blocks above a change before it is taken.
    pub confirmations: u64,
    /// What takes it: from the next batch on.
    pub sequencer: Sequencer,
}

/// Follows until it is told to stop.
///
/// # Errors
/// An answer of L1 that is not transient.
pub async fn follow(of: Followed, mut stop: watch::Receiver<bool>) -> Result<(), L1Error> {
    let mut last = None;
    while !*stop.borrow() {
        match current(&of.l1, of.chain, of.confirmations).await {
            Ok(Some(fees)) if last != Some(fees) => {
                // Who has stopped says so itself.
                if of.sequencer.set_fee_params(fees).is_err() {
                    return Ok(());
                }
                last = Some(fees);
            }
            Ok(_) => {}
            Err(e) if e.is_transient() => tracing::debug!(error = %e, "no look at L1's fees"),
            Err(e) => return Err(e),
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = stop.changed() => {}
        }
    }
    Ok(())
}

/// The confirmed parameters of the chain whose contract is `chain`; `None` on an L1 that is too young to have any.
///
/// # Errors
/// What asking L1 gives.
pub async fn current(
    l1: &L1,
    chain: Address,
    confirmations: u64,
) -> Result<Option<FeeParams>, L1Error> {
    let head = l1.block_number().await?;
    let Some(safe) = head.checked_sub(confirmations) else { return Ok(None) };
    match l1.call_at(chain, ZKChain::getFeeParamsCall {}, safe).await {
        Ok(found) => {
            Ok(Some(FeeParams { base_fee: found.baseFee, gas_per_pubdata: found.gasPerPubdata }))
        }
        // Before the chain was created there.
        Err(L1Error::Nonsense { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}
