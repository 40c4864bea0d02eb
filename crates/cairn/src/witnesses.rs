//! Drops the witnesses of batches that are done. They are by far the largest part of what a node keeps of a batch, and nobody asks for one once its batch is
//! executed on L1 and, where a prover runs, proven.

use std::time::Duration;

use cairn_storage::{Storage, StorageError};
use tokio::sync::watch;

/// Pause between two looks. A drop is a durable write of its own, so it is shared by all batches of that time.
const PAUSE: Duration = Duration::from_secs(10);

/// Drops witnesses as batches are done, until it is told to stop. `prove` says whether this node proves batches.
///
/// # Errors
/// A fault of the store.
pub async fn run(
    storage: Storage,
    prove: bool,
    mut stop: watch::Receiver<bool>,
) -> Result<(), StorageError> {
    let mut dropped = 0;
    while !*stop.borrow() {
        let done = last_done(&storage, prove, dropped)?;
        if done > dropped {
            let storage = storage.clone();
            let drop = move || storage.drop_witnesses_up_to(done);
            let outcome = tokio::task::spawn_blocking(drop).await;
            outcome.map_err(|e| StorageError::Corrupt(e.to_string()))??;
            tracing::debug!(
                from = dropped + 1,
                to = done,
                "dropped the witnesses of final batches"
            );
            dropped = done;
        }
        tokio::select! {
            _ = tokio::time::sleep(PAUSE) => {}
            _ = stop.changed() => {}
        }
    }
    Ok(())
}

/// The last batch up to which all are done; those up to `known` are.
fn last_done(storage: &Storage, prove: bool, known: u64) -> Result<u64, StorageError> {
    let executed = storage.batch_heads().executed;
    if !prove {
        return Ok(executed);
    }
    for number in known + 1..=executed {
        // One whose proof failed is kept as evidence.
        let proven = storage.proving(number)?.is_some_and(|record| record.is_complete());
        // A prover that was switched on later finds batches that had no witness any more, and leaves them.
        if !proven && storage.batch_witness(number)?.is_some() {
            return Ok(number - 1);
        }
    }
    Ok(executed)
}
