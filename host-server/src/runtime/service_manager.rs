//! What the service manager that has started the server, such as systemd, hears of it: that it is ready,
//! how it is, and that its loops turn. Without one, nothing happens.
//!
//! A loop that hangs is a reason to start the server again, so the watchdog hears nothing as long as one
//! does not answer. Storage that waits for its disk is none: another start would wait, too. That stands
//! in the status. While the server stops, its loops end one after the other and are not judged any more, and
//! storage gets the time that it needs to be closed: what was stored is safe either way, but a server that is
//! killed there is started again although somebody wanted it to stop.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::admin::reports::Reports;
use crate::admin::running::Running;
use crate::slow_start;

/// Tells the service manager, until it is dropped.
pub(super) struct ServiceManager(Option<(Sender<Word>, JoinHandle<()>)>);

/// What becomes of the server.
enum Word {
    StandsBy,
    Serves(Arc<Running>),
    /// It is to stop.
    Stops,
    /// Its loops have ended, and storage is about to be closed.
    Closes,
    /// That was all.
    Ends,
}

impl ServiceManager {
    /// The server starts: what it does before it serves may take long.
    pub(super) fn starting() -> Self {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Self(None);
        }
        let (words, hear) = channel();
        let watchdog = sd_notify::watchdog_enabled();
        let patience = watchdog.map_or(Teller::PERIOD, |watchdog| watchdog / 2);
        let reports = Reports::with_patience(patience);
        let teller = Teller { watchdog, server: Server::Starts, reports };
        let thread = Builder::new().name("service-manager".into());
        match thread.spawn(move || teller.run(&hear)) {
            Ok(thread) => Self(Some((words, thread))),
            Err(error) => {
                tracing::warn!(name: "service_manager_untold", %error, "the service manager is told nothing");
                Self(None)
            }
        }
    }

    /// Another server serves, and this one is ready to take over.
    pub(super) fn stands_by(&self) {
        if self.0.is_some() {
            tell(&[NotifyState::Ready]);
            self.send(Word::StandsBy);
        }
    }

    /// The server serves.
    pub(super) fn serving(&self, running: &Arc<Running>) {
        if self.0.is_some() {
            // It goes before the first look at the loops, which may take its time.
            tell(&[NotifyState::Ready]);
            self.send(Word::Serves(Arc::clone(running)));
        }
    }

    /// What to call when the server begins to stop.
    pub(super) fn stops(&self) -> Arc<dyn Fn() + Send + Sync> {
        let words = self.0.as_ref().map(|(words, _)| words.clone());
        Arc::new(move || {
            // Its reader lives until everything has ended.
            let _ = words.as_ref().map(|words| words.send(Word::Stops));
        })
    }

    /// All loops have ended, and storage is about to be closed.
    pub(super) fn closing(&self) {
        self.send(Word::Closes);
    }

    fn send(&self, word: Word) {
        if let Some((words, _)) = &self.0 {
            let _ = words.send(word);
        }
    }
}

impl Drop for ServiceManager {
    fn drop(&mut self) {
        self.send(Word::Ends);
        if let Some((_, thread)) = self.0.take() {
            // Its panic was told when it happened.
            let _ = thread.join();
        }
    }
}

/// What the thread has.
struct Teller {
    /// A server that is not heard of for so long is started again.
    watchdog: Option<Duration>,
    server: Server,
    /// What the loops say. Others have less patience, and do not wait for it.
    reports: Reports,
}

/// How far the server is.
enum Server {
    Starts,
    StandsBy,
    Serves(Arc<Running>),
    Stops,
    /// Since this moment.
    Closes(Instant),
}

impl Teller {
    /// Between two words, at most.
    const PERIOD: Duration = Duration::from_secs(10);
    /// So much more time the start gets with each word, and so does the end, in microseconds.
    const MORE_TIME_US: u32 = 30_000_000;
    /// Storage that is not closed after so long is not waited for any more: a machine has to go down some day.
    const CLOSING: Duration = Duration::from_mins(10);

    fn run(mut self, words: &Receiver<Word>) {
        loop {
            match words.recv_timeout(self.period()) {
                Ok(Word::StandsBy) => self.server = Server::StandsBy,
                Ok(Word::Serves(running)) => self.server = Server::Serves(running),
                Ok(Word::Stops) => self.stop(),
                Ok(Word::Closes) => {
                    self.stop();
                    self.server = Server::Closes(Instant::now());
                }
                Ok(Word::Ends) | Err(RecvTimeoutError::Disconnected) => return self.stop(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            match &self.server {
                Server::Starts => tell(&[
                    NotifyState::ExtendTimeoutUsec(Self::MORE_TIME_US),
                    NotifyState::Status(&opening(slow_start::noted())),
                ]),
                Server::StandsBy => self.tell_while_well(&[NotifyState::Status(
                    "standby: another server serves from the database",
                )]),
                Server::Serves(running) => self.tell_how_it_is(running),
                Server::Stops => self.tell_while_well(&[NotifyState::Status("stops")]),
                Server::Closes(since) => self.tell_while_well(&closing(since.elapsed())),
            }
        }
    }

    /// It is said once, before anything about the stop.
    fn stop(&mut self) {
        if matches!(self.server, Server::Starts | Server::StandsBy | Server::Serves(_)) {
            tell(&[NotifyState::Stopping]);
            self.server = Server::Stops;
        }
    }

    fn period(&self) -> Duration {
        self.watchdog.map_or(Self::PERIOD, |watchdog| Self::PERIOD.min(watchdog / 4))
    }

    /// With a word for the watchdog, if there is one.
    fn tell_while_well(&self, what: &[NotifyState<'_>]) {
        let watchdog = self.watchdog.map(|_| NotifyState::Watchdog);
        tell(&what.iter().cloned().chain(watchdog).collect::<Vec<_>>());
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
        let commits_fail = running.storage.commits().trouble.is_some();
        let storage = if commits_fail || machines().any(|machine| machine.storage_is_in_trouble) {
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
        if let Some(why) = running.backups.state().unusable {
            status.push_str("; no backup can be made in ");
            status.push_str(&why.replace('\n', " "));
        }
        self.tell_while_well(&[NotifyState::Status(&status)]);
    }
}

/// What a start says that has not come to its end.
fn opening(at_work_on: Option<String>) -> String {
    at_work_on.map_or_else(|| "opens its data".into(), |what| format!("opens its data: {what}"))
}

/// What is said while storage is closed, which lasts for so long already.
fn closing(lasts: Duration) -> Vec<NotifyState<'static>> {
    let mut words = vec![NotifyState::Status("stops: closes its storage")];
    if lasts < Teller::CLOSING {
        words.push(NotifyState::ExtendTimeoutUsec(Teller::MORE_TIME_US));
    }
    words
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

    #[test]
    fn storage_gets_time_to_be_closed_and_not_for_ever() {
        let gets_more = |lasts| {
            let mut words = closing(lasts).into_iter();
            words.any(|word| matches!(word, NotifyState::ExtendTimeoutUsec(_)))
        };
        assert!(gets_more(Duration::ZERO));
        assert!(!gets_more(Teller::CLOSING));
    }
}
