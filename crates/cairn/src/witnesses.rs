//! Drops the witnesses of batches that are done. They are by far the largest part of what a node keeps of a batch, and nobody asks for one once its batch is
//! executed on L1, and so deep there that no reorganisation asks for another proof of it.

use std::time::Duration;

use cairn_storage::{Storage, StorageError};
use tokio::sync::watch;

/// Pause between two looks. A drop is a durable write of its own, so it is shared by all batches of that time.
const PAUSE: Duration = Duration::from_secs(10);

/// Drops witnesses as batches are done, until it is told to stop.
///
/// # Errors
/// A fault of the store.
pub async fn run(storage: Storage, mut stop: watch::Receiver<bool>) -> Result<(), StorageError> {
    let mut dropped = 0;
    while !*stop.borrow() {
        let done = storage.settled(dropped)?;
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
