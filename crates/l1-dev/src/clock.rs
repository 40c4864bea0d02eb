//! Timestamps of coming blocks.

use cairn_rpc::ChainError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The wall clock in seconds.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The chain's clock: the wall clock moved by an offset, with an exact value for the next block or a fixed step where asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    pub(crate) offset: i64,
    pub(crate) next: Option<u64>,
    pub(crate) step: Option<u64>,
}

impl Clock {
    /// The clock's time in seconds.
    pub(crate) fn time(&self) -> u64 {
        now().saturating_add_signed(self.offset)
    }

    /// Timestamp of the block after one of timestamp `parent`, always later than it.
    pub(crate) fn peek(&self, parent: u64) -> u64 {
        let wanted = match (self.next, self.step) {
            (Some(exact), _) => exact,
            (None, Some(step)) => parent.saturating_add(step),
            (None, None) => self.time(),
        };
        wanted.max(parent.saturating_add(1))
    }

    /// As [`Self::peek`], using up an exact value: the clock goes on from it.
    pub(crate) fn take(&mut self, parent: u64) -> u64 {
        let timestamp = self.peek(parent);
        if self.next.take().is_some() {
            self.offset = difference(timestamp, now());
        }
        timestamp
    }

    pub(crate) fn increase(&mut self, by: Duration) -> i64 {
        self.offset = self.offset.saturating_add(i64::try_from(by.as_secs()).unwrap_or(i64::MAX));
        self.offset
    }

    /// Sets the clock; returns by how much it moved.
    pub(crate) fn set(&mut self, timestamp: u64) -> i64 {
        let moved = difference(timestamp, self.time());
        self.offset = difference(timestamp, now());
        moved
    }

    pub(crate) fn set_next(&mut self, timestamp: u64, parent: u64) -> Result<(), ChainError> {
        if timestamp <= parent {
            let message = format!(
                "Timestamp error: {timestamp} is lower than or equal to previous block's timestamp {parent}"
            );
            return Err(ChainError::InvalidParams(message));
        }
        self.next = Some(timestamp);
        Ok(())
    }
}

fn difference(a: u64, b: u64) -> i64 {
    let clamp = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    clamp(a).saturating_sub(clamp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_always_rise() {
        let mut clock = Clock::default();
        let future = now() + 1_000;
        assert_eq!(clock.take(future), future + 1);
        clock.set_next(future + 50, future).unwrap();
        assert_eq!(clock.take(future), future + 50);
        assert!(clock.take(future) >= future + 50, "the clock goes on from the exact value");
        assert!(clock.set_next(5, 5).is_err());
        clock.step = Some(7);
        assert_eq!(clock.take(future + 100), future + 107);
    }
}
