//! L1's newest block, as told by nodes of which some may lag.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::l1::{L1, L1Error};

/// Longest that L1 may show older blocks than before and be taken for a node that lags. After that it has reorganised, or was taken back by its owner.
const LAG_PATIENCE: Duration = Duration::from_secs(30);

/// The newest block that was seen, and since when L1 shows only older ones.
#[derive(Debug, Default)]
pub struct Heads(Mutex<(u64, Option<Instant>)>);

impl Heads {
    /// Number of the newest block. What is asked at this block is answered by a node that has it, or not at all.
    ///
    /// # Errors
    /// [`L1Error::Nonsense`] for a block older than what was seen before, until that has lasted for half a minute; what reading L1 gives.
    pub async fn newest(&self, l1: &L1) -> Result<u64, L1Error> {
        let head = l1.block_number().await?;
        let mut seen = self.0.lock();
        let (newest, older_since) = *seen;
        if head < newest {
            let since = older_since.unwrap_or_else(Instant::now);
            if since.elapsed() < LAG_PATIENCE {
                seen.1 = Some(since);
                let detail = format!("{head} after {newest}");
                return Err(L1Error::Nonsense { what: "eth_blockNumber", detail });
            }
        }
        *seen = (head, None);
        Ok(head)
    }

    /// L1 has this block.
    pub fn saw(&self, block: u64) {
        let mut seen = self.0.lock();
        seen.0 = seen.0.max(block);
    }
}
