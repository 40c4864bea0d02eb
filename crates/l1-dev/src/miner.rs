//! The thread that makes blocks on a timer. Those that a transaction asks for are made by who submits it.

use crate::build::Source;
use crate::core::Core;
use std::sync::{Arc, Weak, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often an idle miner looks whether its chain is still there.
const IDLE: Duration = Duration::from_secs(1);

/// What the miner is told.
pub(crate) enum Command {
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
            Ok(Command::Settings) => last = Instant::now(),
            Ok(Command::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        if interval.is_some_and(|i| last.elapsed() >= i) {
            last = Instant::now();
            mine(core);
        }
    }
}

fn mine(core: &Weak<Core>) {
    let Some(core) = core.upgrade() else { return };
    let mut writer = core.writer.lock();
    if let Err(error) = core.mine_one(&mut writer, None, Source::Pool) {
        tracing::error!(%error, "cannot mine a block");
    }
}
