//! The states of batches as the store shows them, noted while the demo does other things.

use std::time::{Duration, Instant};

use cairn_storage::{BatchHeads, Storage};
use tokio::{sync::mpsc, task::JoinHandle};

/// Pause between two looks at the chain's head. Changes of batches wake the follower at once.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Most states that wait to be told; the follower waits for room.
const QUEUE: usize = 1_024;

/// A state that a batch has reached.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Number of the batch.
    pub batch: u64,
    /// `pending`, `processed`, `committed`, `proven` or `finalized`.
    pub status: &'static str,
    /// When it was seen.
    pub at: Instant,
}

/// Follows a store's batches from the moment on when it is made.
pub struct BatchStates {
    seen: mpsc::Receiver<Seen>,
    first: Option<Seen>,
    task: JoinHandle<()>,
}

impl BatchStates {
    /// Starts to follow.
    pub fn follow(storage: Storage) -> Self {
        let (sender, seen) = mpsc::channel(QUEUE);
        Self { seen, first: None, task: tokio::spawn(look(storage, sender)) }
    }

    /// The first state that has not been told, if there is one; the same until [`Self::told`].
    pub fn first(&mut self) -> Option<Seen> {
        if self.first.is_none() {
            self.first = self.seen.try_recv().ok();
        }
        self.first
    }

    /// Takes the first one for told.
    pub fn told(&mut self) {
        self.first = None;
    }
}

impl Drop for BatchStates {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(storage: Storage, sender: mpsc::Sender<Seen>) {
    let mut heads = storage.watch_batches();
    let mut told = Told::default();
    loop {
        // The head first: a block above what was sealed after it was read is in no batch for sure.
        let head = storage.head_number();
        let now = *heads.borrow_and_update();
        for (batch, status) in told.news(head, now) {
            if sender.send(Seen { batch, status, at: Instant::now() }).await.is_err() {
                return;
            }
        }
        tokio::select! {
            changed = heads.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// The last batch of which each state was told.
#[derive(Debug, Default)]
struct Told {
    pending: u64,
    processed: u64,
    committed: u64,
    proven: u64,
    finalized: u64,
}

impl Told {
    /// What `head`, the newest block, and the batches' heads show that was not told before; each batch's states in their order.
    fn news(&mut self, head: u64, heads: BatchHeads) -> Vec<(u64, &'static str)> {
        let mut news = Vec::new();
        let reached = [
            (&mut self.processed, heads.sealed, "processed"),
            (&mut self.committed, heads.committed, "committed"),
            (&mut self.proven, heads.proven, "proven"),
            (&mut self.finalized, heads.executed, "finalized"),
        ];
        for (told, now, status) in reached {
            news.extend((*told + 1..=now).map(|batch| (batch, status)));
            *told = now.max(*told);
        }
        // Blocks that no batch holds are those of the next one.
        let next = heads.sealed + 1;
        if head > heads.last_sealed_block && self.pending < next {
            self.pending = next;
            news.push((next, "pending"));
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(sealed: u64, committed: u64, executed: u64, last_sealed_block: u64) -> BatchHeads {
        let proven = executed;
        BatchHeads { sealed, committed, proven, executed, last_sealed_block, ..Default::default() }
    }

    #[test]
    fn every_state_is_told_once_and_only_when_it_is_there() {
        let mut told = Told::default();
        assert_eq!(told.news(0, heads(0, 0, 0, 0)), []);
        assert_eq!(told.news(1, heads(0, 0, 0, 0)), [(1, "pending")]);
        assert_eq!(told.news(3, heads(0, 0, 0, 0)), []);
        assert_eq!(told.news(4, heads(1, 0, 0, 3)), [(1, "processed"), (2, "pending")]);
        assert_eq!(told.news(4, heads(2, 1, 0, 4)), [(2, "processed"), (1, "committed")]);
        let last =
            [(2, "committed"), (1, "proven"), (2, "proven"), (1, "finalized"), (2, "finalized")];
        assert_eq!(told.news(4, heads(2, 2, 2, 4)), last);
        assert_eq!(told.news(4, heads(2, 2, 2, 4)), []);
    }

    /// A batch of which no block was seen waiting was never seen pending: nothing is made up.
    #[test]
    fn what_was_not_seen_is_not_told() {
        assert_eq!(Told::default().news(3, heads(1, 0, 0, 3)), [(1, "processed")]);
    }
}
