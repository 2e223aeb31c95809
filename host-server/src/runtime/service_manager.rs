//! What the service manager that has started the server, such as systemd, hears of it: that it is ready,
//! how it is, and that its loops turn. Without one, nothing happens.
//!
//! A loop that hangs is a reason to start the server again, so the watchdog hears nothing as long as one
//! does not answer. Storage that waits for its disk is none: another start would wait, too. That stands
//! in the status.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::admin::reports::Reports;
use crate::admin::running::Running;
use crate::slow_start;

/// Tells the service manager, until it is dropped.
pub(super) struct ServiceManager(Option<Sender<Arc<Running>>>);

impl ServiceManager {
    /// The server starts: what it does before it serves may take long.
    pub(super) fn starting() -> Self {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Self(None);
        }
        let (serves, hear) = channel();
        let watchdog = sd_notify::watchdog_enabled();
        let patience = watchdog.map_or(Teller::PERIOD, |watchdog| watchdog / 2);
        let reports = Reports::with_patience(patience);
        let teller = Teller { watchdog, serving: None, reports };
        let thread = Builder::new().name("service-manager".into());
        match thread.spawn(move || teller.run(&hear)) {
            Ok(_) => Self(Some(serves)),
            Err(error) => {
                tracing::warn!(name: "service_manager_untold", %error, "the service manager is told nothing");
                Self(None)
            }
        }
    }

    /// The server serves.
    pub(super) fn serving(&self, running: &Arc<Running>) {
        if let Some(serves) = &self.0 {
            // It goes before the first look at the loops, which may take its time.
            tell(&[NotifyState::Ready]);
            let _ = serves.send(Arc::clone(running));
        }
    }
}

impl Drop for ServiceManager {
    fn drop(&mut self) {
        if self.0.take().is_some() {
            tell(&[NotifyState::Stopping]);
        }
    }
}

/// What the thread has.
struct Teller {
    /// A server that is not heard of for so long is started again.
    watchdog: Option<Duration>,
    serving: Option<Arc<Running>>,
    /// What the loops say. Others have less patience, and do not wait for it.
    reports: Reports,
}

impl Teller {
    /// Between two words, at most.
    const PERIOD: Duration = Duration::from_secs(10);
    /// So much more time the start gets with each word, in microseconds.
    const MORE_TIME_US: u32 = 30_000_000;

    fn run(mut self, serves: &Receiver<Arc<Running>>) {
        loop {
            match serves.recv_timeout(self.period()) {
                Ok(running) => self.serving = Some(running),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            match &self.serving {
                None => tell(&[
                    NotifyState::ExtendTimeoutUsec(Self::MORE_TIME_US),
                    NotifyState::Status(&opening(slow_start::noted())),
                ]),
                Some(running) => self.tell_how_it_is(running),
            }
        }
    }

    fn period(&self) -> Duration {
        self.watchdog.map_or(Self::PERIOD, |watchdog| Self::PERIOD.min(watchdog / 4))
    }

    fn tell_how_it_is(&self, running: &Running) {
        let loops = self.reports.ask(&running.shards);
        let hang: Vec<_> = (0..)
            .zip(&*loops)
            .filter(|(_, one)| !one.answers)
            .map(|(number, _): (u16, _)| number.to_string())
            .collect();
        if !hang.is_empty() {
            let status = format!("does not answer: loop {}", hang.join(", "));
            tell(&[NotifyState::Status(&status)]);
            return;
        }
        let machines = || loops.iter().filter_map(|one| one.last).map(|report| report.machine);
        let sessions: usize = machines().map(|machine| machine.sessions).sum();
        let pending: u64 = machines().map(|machine| machine.pending_letters).sum();
        let oldest = machines().filter_map(|machine| machine.oldest_unsettled).max();
        let storage = if machines().any(|machine| machine.storage_is_in_trouble) {
            "storage does not take writes".to_owned()
        } else if let Some(slow) = oldest.filter(|oldest| *oldest > Duration::from_secs(1)) {
            format!("storage has not answered for {} s", slow.as_secs())
        } else {
            "storage takes writes".to_owned()
        };
        let drained = if running.is_drained() { "is being drained; " } else { "" };
        let mut status = format!("{drained}{sessions} sessions, {pending} letters wait; {storage}");
        if let Some((_, why)) = running.configuration.standing().failed {
            status.push_str("; the configuration could not be read again: ");
            // It is one line.
            status.push_str(&why.replace('\n', " "));
        }
        let watchdog = self.watchdog.map(|_| NotifyState::Watchdog);
        let status = [NotifyState::Status(&status)];
        tell(&status.into_iter().chain(watchdog).collect::<Vec<_>>());
    }
}

/// What a start says that has not come to its end.
fn opening(at_work_on: Option<String>) -> String {
    at_work_on.map_or_else(|| "opens its data".into(), |what| format!("opens its data: {what}"))
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_takes_long_says_how_far_it_is() {
        assert_eq!(opening(None), "opens its data");
        assert_eq!(opening(Some("reads letters".into())), "opens its data: reads letters");
    }
}
