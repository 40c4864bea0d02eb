//! Follows the chain's fee parameters. Its admin sets them on L1, and L1 takes batches with the ones before for a day.

use std::time::Duration;

use cairn_primitives::FeeParams;
use cairn_sequencer::Sequencer;
use cairn_settlement::{
    bindings::ZKChain,
    deploy::ChainDeployment,
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
    /// The chain there.
    pub chain: ChainDeployment,
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
        match current(&of.l1, &of.chain, of.confirmations).await {
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

/// A chain's confirmed parameters; `None` before its creation is confirmed.
///
/// # Errors
/// What asking L1 gives. Nobody may take another answer for it: L1 refuses batches with parameters of the past.
pub async fn current(
    l1: &L1,
    chain: &ChainDeployment,
    confirmations: u64,
) -> Result<Option<FeeParams>, L1Error> {
    let safe = l1.block_number().await?.saturating_sub(confirmations);
    if safe < chain.created_at {
        return Ok(None);
    }
    let found = l1.call_at(chain.address, ZKChain::getFeeParamsCall {}, safe).await?;
    Ok(Some(FeeParams { base_fee: found.baseFee, gas_per_pubdata: found.gasPerPubdata }))
}
