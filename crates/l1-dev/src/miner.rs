//! The thread that makes blocks: at once when a transaction asks for it, on a timer, or both.

use crate::build::Source;
use crate::core::Core;
use std::sync::{Arc, Weak, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How often an idle miner looks whether its chain is still there.
const IDLE: Duration = Duration::from_secs(1);

/// What the miner is told.
pub(crate) enum Command {
    /// Mine what is in the pool, and say when it is done.
    Mine(oneshot::Sender<()>),
    /// The settings changed.
    Settings,
    /// Stop.
    Stop,
}

/// Starts the thread.
pub(crate) fn start(
    core: &Arc<Core>,
    commands: mpsc::Receiver<Command>,
) -> std::io::Result<JoinHandle<()>> {
    let core = Arc::downgrade(core);
    std::thread::Builder::new().name("l1-miner".into()).spawn(move || run(&core, &commands))
}

fn run(core: &Weak<Core>, commands: &mpsc::Receiver<Command>) {
    let mut last = Instant::now();
    loop {
        let interval = match core.upgrade() {
            Some(core) => core.mode.lock().interval,
            None => return,
        };
        let wait = interval.map_or(IDLE, |i| i.saturating_sub(last.elapsed()));
        match commands.recv_timeout(wait) {
            Ok(Command::Mine(done)) => {
                if !mine_all(core, commands, done) {
                    return;
                }
            }
            Ok(Command::Settings) => last = Instant::now(),
            Ok(Command::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        // A busy automine queue must not starve the timer.
        if interval.is_some_and(|i| last.elapsed() >= i) {
            last = Instant::now();
            mine(core);
        }
    }
}

/// Mines for everyone who waits; false when told to stop.
fn mine_all(
    core: &Weak<Core>,
    commands: &mpsc::Receiver<Command>,
    first: oneshot::Sender<()>,
) -> bool {
    let mut waiting = vec![first];
    let mut go_on = true;
    while let Ok(command) = commands.try_recv() {
        match command {
            Command::Mine(done) => waiting.push(done),
            Command::Settings => {}
            Command::Stop => go_on = false,
        }
    }
    let empty = core.upgrade().is_none_or(|core| core.pool.lock().all_waiting());
    if !empty {
        mine(core);
    }
    for done in waiting {
        // An error means that the client has gone.
        let _ = done.send(());
    }
    go_on
}

fn mine(core: &Weak<Core>) {
    let Some(core) = core.upgrade() else { return };
    let mut writer = core.writer.lock();
    if let Err(error) = core.mine_one(&mut writer, None, Source::Pool) {
        tracing::error!(%error, "cannot mine a block");
    }
}
