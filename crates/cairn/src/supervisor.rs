//! Keeps a node's roles running: one that ends on an error is started again after a pause, and what is down is known to whoever asks.

use std::{
    collections::BTreeMap, fmt::Display, panic::AssertUnwindSafe, sync::Arc, time::Duration,
};

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::{sync::watch, task::JoinSet};

/// A role's error.
pub trait RoleError: Display + Send + 'static {
    /// True when starting the role again cannot help, or would do harm.
    fn needs_a_person(&self) -> bool;
}

/// How long to wait.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Before the first new start; each further one waits twice as long.
    first: Duration,
    /// Before a new start, at most.
    longest: Duration,
    /// A role that has run for this long is up again.
    steady: Duration,
}

const PACE: Pace = Pace {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
    steady: Duration::from_secs(30),
};

/// Which roles are down, and why.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Health {
    /// Fails when a role is down.
    ///
    /// # Errors
    /// What it said, of each.
    pub fn check(&self) -> Result<(), String> {
        let down = self.0.lock();
        if down.is_empty() {
            return Ok(());
        }
        let words: Vec<_> =
            down.iter().map(|(name, why)| format!("{name} stopped: {why}")).collect();
        Err(words.join("; "))
    }

    fn is_up(&self, name: &str) {
        self.0.lock().remove(name);
    }

    fn is_down(&self, name: &'static str, why: String) {
        self.0.lock().insert(name, why);
    }
}

/// The running roles of a node.
#[derive(Debug)]
pub struct Roles {
    stop: watch::Sender<bool>,
    running: JoinSet<()>,
    health: Health,
    pace: Pace,
}

impl Default for Roles {
    fn default() -> Self {
        let (stop, _) = watch::channel(false);
        Self { stop, running: JoinSet::new(), health: Health::default(), pace: PACE }
    }
}

impl Roles {
    /// None yet; what is down is told to `health`.
    pub fn of(health: Health) -> Self {
        Self { health, ..Self::default() }
    }

    /// Starts a role. `run` is called anew for each start, and its future ends when it is told to stop.
    pub fn start<R, F, E>(&mut self, name: &'static str, run: R)
    where
        R: Fn(watch::Receiver<bool>) -> F + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: RoleError,
    {
        let (stop, health, pace) = (self.stop.subscribe(), self.health.clone(), self.pace);
        self.running.spawn(keep(name, run, stop, health, pace));
    }

    /// Tells all roles to stop and waits until they have.
    pub async fn stop(&mut self) {
        self.stop.send_replace(true);
        while self.running.join_next().await.is_some() {}
    }
}

async fn keep<R, F, E>(
    name: &'static str,
    run: R,
    mut stop: watch::Receiver<bool>,
    health: Health,
    pace: Pace,
) where
    R: Fn(watch::Receiver<bool>) -> F,
    F: Future<Output = Result<(), E>>,
    E: RoleError,
{
    let mut pause = pace.first;
    while !*stop.borrow() {
        let mut role = Box::pin(AssertUnwindSafe(run(stop.clone())).catch_unwind());
        let outcome = match tokio::time::timeout(pace.steady, &mut role).await {
            Ok(outcome) => outcome,
            Err(_) => {
                health.is_up(name);
                pause = pace.first;
                role.await
            }
        };
        let (why, again) = match outcome {
            Ok(Ok(())) => return health.is_up(name),
            Ok(Err(e)) => (e.to_string(), !e.needs_a_person()),
            Err(_) => ("it panicked".to_owned(), true),
        };
        if again {
            tracing::error!("{name} stopped: {why}; it starts again in {} s", pause.as_secs_f64());
        } else {
            tracing::error!("{name} stopped: {why}");
        }
        health.is_down(name, why);
        if !again {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        pause = (pause * 2).min(pace.longest);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Debug)]
    struct Fault {
        lasting: bool,
    }

    impl Display for Fault {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a fault")
        }
    }

    impl RoleError for Fault {
        fn needs_a_person(&self) -> bool {
            self.lasting
        }
    }

    fn roles() -> Roles {
        let ms = Duration::from_millis;
        let pace = Pace { first: ms(1), longest: ms(2), steady: ms(50) };
        Roles { pace, ..Roles::default() }
    }

    async fn until(what: impl Fn() -> bool) {
        tokio::time::timeout(Duration::from_secs(30), async {
            while !what() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .expect("it does not come to that");
    }

    /// A role of which the first starts end as `fail` says, and the next one runs until it is stopped.
    fn counted(
        starts: &Arc<AtomicU32>,
        fail: fn(u32) -> Option<Fault>,
    ) -> impl Fn(watch::Receiver<bool>) -> futures::future::BoxFuture<'static, Result<(), Fault>> + use<>
    {
        let starts = starts.clone();
        move |mut stop| {
            let nth = starts.fetch_add(1, Ordering::SeqCst);
            async move {
                if let Some(fault) = fail(nth) {
                    return Err(fault);
                }
                let _ = stop.wait_for(|stop| *stop).await;
                Ok(())
            }
            .boxed()
        }
    }

    #[tokio::test]
    async fn a_role_that_fails_or_panics_is_started_again() {
        let (starts, mut roles) = (Arc::new(AtomicU32::new(0)), roles());
        let role = counted(&starts, |nth| match nth {
            0 | 1 => Some(Fault { lasting: false }),
            2 => panic!("as the test wants it"),
            _ => None,
        });
        roles.start("the role", role);
        until(|| roles.health.check().is_err()).await;
        until(|| starts.load(Ordering::SeqCst) == 4).await;
        until(|| roles.health.check().is_ok()).await;
        roles.stop().await;
        assert_eq!(starts.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn a_role_that_needs_a_person_stays_down() {
        let (starts, mut roles) = (Arc::new(AtomicU32::new(0)), roles());
        roles.start("the role", counted(&starts, |_| Some(Fault { lasting: true })));
        until(|| roles.health.check().is_err()).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        roles.stop().await;
        assert_eq!(starts.load(Ordering::SeqCst), 1);
        assert_eq!(roles.health.check().unwrap_err(), "the role stopped: a fault");
    }
}
