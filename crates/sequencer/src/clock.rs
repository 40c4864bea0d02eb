//! The time that blocks carry: the machine's clock plus what development methods moved it by, never backwards.

use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// Furthest that development methods may move the clock, in seconds (about 300 years): headers hold a `u64`, contracts often a `u40`.
const MAX_OFFSET: i64 = 10_000_000_000;

#[derive(Debug, Default, Clone)]
struct State {
    offset: i64,
    next: Option<u64>,
    interval: Option<u64>,
}

/// The clock of blocks.
#[derive(Debug, Default)]
pub struct Clock {
    state: Mutex<State>,
}

/// Seconds since 1970 on this machine.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Milliseconds since 1970 on this machine.
pub(crate) fn unix_now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// Why the clock was not moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// Blocks' timestamps never decrease.
    #[error("timestamp {got} is lower than the last block's ({last})")]
    Backwards {
        /// Timestamp asked for.
        got: u64,
        /// Timestamp of the head.
        last: u64,
    },
    /// Out of a header's range.
    #[error("the clock cannot be moved that far")]
    TooFar,
}

impl Clone for Clock {
    fn clone(&self) -> Self {
        Self { state: Mutex::new(self.state.lock().clone()) }
    }
}

impl Clock {
    /// Timestamp that the next block gets; `parent` is that of the head.
    pub fn peek(&self, parent: u64) -> u64 {
        let state = self.state.lock();
        state.timestamp(parent)
    }

    /// A block was built with this timestamp: one that was set for it is used up, and the clock goes on from there.
    pub(crate) fn used(&self, timestamp: u64) {
        let mut state = self.state.lock();
        if state.next.take().is_some() {
            state.offset = signed_difference(timestamp, unix_now());
        }
    }

    /// Moves the clock forward; returns the whole offset in seconds.
    ///
    /// # Errors
    /// [`ClockError::TooFar`].
    pub fn increase(&self, seconds: u64) -> Result<i64, ClockError> {
        let mut state = self.state.lock();
        let by = i64::try_from(seconds).map_err(|_| ClockError::TooFar)?;
        let offset =
            state.offset.checked_add(by).filter(|o| *o <= MAX_OFFSET).ok_or(ClockError::TooFar)?;
        state.offset = offset;
        Ok(offset)
    }

    /// Sets the clock to a time; returns the seconds by which it moved.
    ///
    /// # Errors
    /// [`ClockError`]; it cannot go behind the head (`parent`).
    pub fn set(&self, timestamp: u64, parent: u64) -> Result<i64, ClockError> {
        check(timestamp, parent)?;
        let mut state = self.state.lock();
        let offset = signed_difference(timestamp, unix_now());
        let moved = offset - state.offset;
        state.offset = offset;
        Ok(moved)
    }

    /// Sets the timestamp of exactly the next block.
    ///
    /// # Errors
    /// [`ClockError`].
    pub fn set_next(&self, timestamp: u64, parent: u64) -> Result<(), ClockError> {
        check(timestamp, parent)?;
        self.state.lock().next = Some(timestamp);
        Ok(())
    }

    /// Sets fixed seconds between blocks; `None` goes back to the clock. Returns whether one was set.
    pub fn set_interval(&self, interval: Option<u64>) -> bool {
        let mut state = self.state.lock();
        std::mem::replace(&mut state.interval, interval).is_some()
    }
}

impl State {
    fn timestamp(&self, parent: u64) -> u64 {
        if let Some(next) = self.next {
            return next.max(parent);
        }
        if let Some(interval) = self.interval {
            return parent.saturating_add(interval);
        }
        unix_now().saturating_add_signed(self.offset).max(parent)
    }
}

fn check(got: u64, last: u64) -> Result<(), ClockError> {
    if got < last {
        return Err(ClockError::Backwards { got, last });
    }
    if got > unix_now().saturating_add(MAX_OFFSET as u64) {
        return Err(ClockError::TooFar);
    }
    Ok(())
}

fn signed_difference(a: u64, b: u64) -> i64 {
    i64::try_from(i128::from(a) - i128::from(b)).unwrap_or(MAX_OFFSET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back() {
        let clock = Clock::default();
        let far = unix_now() + 1_000;
        assert_eq!(clock.peek(far), far);
        assert_eq!(
            clock.set_next(far - 1, far),
            Err(ClockError::Backwards { got: far - 1, last: far })
        );
        clock.set_next(far + 5, far).unwrap();
        assert_eq!(clock.peek(far), far + 5);
        clock.used(far + 5);
        assert!(clock.peek(far + 5) >= far + 5);
        assert_eq!(clock.increase(u64::MAX), Err(ClockError::TooFar));
        assert!(clock.increase(10).unwrap() >= 1_010);
        assert!(!clock.set_interval(Some(7)));
        assert_eq!(clock.peek(far), far + 7);
    }
}
