//! What a process without the session knows of the one that has it.

use std::path::Path;
use std::time::Duration;

use waxwing_core::time::Instant;

use super::SessionError;
use crate::home::{Holder, Home};

/// A holder that has not moved for so long may be stopped, or hang.
const SILENT: Duration = Duration::from_secs(10);
/// For how long it is looked at before that is believed: a machine that was asleep, or whose clock
/// was set, makes everybody seem silent for a moment.
const DOUBT: Duration = Duration::from_secs(4);
/// A holder that moves shows it more often.
const SOON: Duration = Duration::from_secs(3);

/// The holder, as it was at the last look.
pub(super) struct Watch {
    begun: Instant,
    holder: Option<Holder>,
    /// Since when it seems silent.
    doubted: Option<Instant>,
    problem: Option<SessionError>,
}

impl Watch {
    pub(super) fn new(home: &Home, now: Instant) -> Self {
        let mut watch = Self { begun: now, holder: None, doubted: None, problem: None };
        watch.look(home, now);
        watch
    }

    pub(super) fn look(&mut self, home: &Home, now: Instant) {
        self.holder = home.session_holder();
        let is_silent = self.holder.as_ref().is_some_and(|holder| holder.silent_for >= SILENT);
        self.doubted = is_silent.then(|| self.doubted.unwrap_or(now));
        let is_believed = self.doubted.is_some_and(|since| now.since(since) >= DOUBT);
        self.problem = self.holder.as_ref().and_then(|holder| match &holder.problem {
            _ if is_believed => Some(silence(holder)),
            Some(problem) if !is_silent => {
                Some(SessionError::HolderOffline { pid: holder.pid, problem: problem.clone() })
            }
            _ => None,
        });
    }

    /// Whether everything that was pending at the server has come. What a holder said before it was
    /// looked at may be long past: it may have been stopped since. One of an earlier version says
    /// nothing; what it stores shows up in the home.
    pub(super) fn has_backlog(&self, now: Instant) -> bool {
        let watched = now.since(self.begun);
        self.holder.as_ref().is_none_or(|holder| holder.has_backlog && holder.silent_for < watched)
    }

    /// Why nothing can be expected of it.
    pub(super) const fn problem(&self) -> Option<&SessionError> {
        self.problem.as_ref()
    }

    /// The same, for whoever ends and cannot look any longer.
    pub(super) fn take_problem(&mut self, now: Instant) -> Option<SessionError> {
        let watched = now.since(self.begun);
        let is_still = |holder: &&Holder| watched >= SOON && holder.silent_for >= watched;
        let is_doubted = |holder: &&Holder| self.doubted.is_some() || is_still(holder);
        let doubt = self.holder.as_ref().filter(is_doubted);
        self.problem.take().or_else(|| doubt.map(silence))
    }
}

/// What a locked home comes from, when the process that has its session is stopped or hangs.
#[must_use]
pub fn stopped_holder(dir: &Path) -> Option<SessionError> {
    let holder = Home::session_holder_in(dir)?;
    (holder.silent_for >= SILENT).then(|| silence(&holder))
}

fn silence(holder: &Holder) -> SessionError {
    SessionError::HolderSilent(holder.clone())
}
