//! `users suspend` and `users resume`.

use std::io::{self, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use waxwing_core::server::Administered;
use waxwing_core::time::UnixTime;

use super::super::audit::Outcome;
use super::super::control::{Answer, Caller, Connection};
use super::super::protocol::{Problem, Request, Until, item};
use super::super::running::{Interrupted, Running};
use super::Paper;
use super::users::{names, not_administered};
use crate::cli::SuspensionCommand;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::runtime;
use crate::store::{SuspensionSummary, UserName};

/// Characters of a reason.
const LONGEST_REASON: usize = 200;

/// That a user is kept out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Suspended {
    since: String,
    /// In UTC; nothing when nobody has said when it ends.
    until: Option<String>,
    reason: String,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Kept {
    user: u16,
    suspended: bool,
    until: Option<String>,
    /// The suspension of before, in whose place this one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaced: Option<Suspended>,
}

impl Suspended {
    /// Nothing, if its time is over.
    pub(super) fn of(summary: &SuspensionSummary) -> Option<Self> {
        let SuspensionSummary { since, until, reason } = summary;
        let is_over = until.is_some_and(|until| until <= clock::unix_now());
        (!is_over).then(|| Self {
            since: clock::written(*since),
            until: until.map(clock::written),
            reason: reason.clone(),
        })
    }

    /// Until when it was to be, and why, for whoever has put another in its place.
    fn before(&self) -> String {
        let until = match &self.until {
            Some(until) => format!("until {until}"),
            None => "without an end".to_owned(),
        };
        match self.reason.as_str() {
            "" => format!("before, that was {until}"),
            reason => format!("before, that was {until}: {}", reason.escape_debug()),
        }
    }

    pub(super) fn page(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { since, until, reason } = self;
        let until = until.as_deref().unwrap_or("users resume");
        writeln!(out, "suspended  since {since}, until {until}")?;
        if reason.is_empty() {
            return Ok(());
        }
        writeln!(out, "reason     {}", reason.escape_debug())
    }
}

impl Kept {
    fn line(out: &mut dyn Write, kept: &Self) -> io::Result<()> {
        let user = kept.user;
        match (kept.suspended, kept.until.as_deref()) {
            (true, Some(until)) => writeln!(out, "user {user} is kept out until {until}"),
            (true, None) => writeln!(out, "user {user} is kept out until `users resume {user}`"),
            (false, _) => writeln!(out, "user {user} may come in; the client comes within an hour"),
        }?;
        kept.replaced.as_ref().map_or(Ok(()), |suspended| writeln!(out, "{}", suspended.before()))
    }
}

// ---- In the server ----

pub(super) fn suspend(
    running: &Running,
    caller: Caller,
    (user, until, reason): (UserName, Until, &str),
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let now = clock::unix_now();
    let until = match until {
        Until::Further => None,
        Until::Moment(seconds) => Some(UnixTime::from_seconds(seconds)),
        Until::Seconds(seconds) => Some(now.shifted(i64::try_from(seconds).unwrap_or(i64::MAX))),
    };
    if until.is_some_and(|until| until <= now) {
        return Err(Problem::new(Exit::Usage, "that time is over already: name a later one").into());
    }
    if reason.chars().count() > LONGEST_REASON {
        let message = format!("the reason has more than {LONGEST_REASON} characters: shorten it");
        return Err(Problem::new(Exit::Usage, message).into());
    }
    let user = running.user(answer, &user)?;
    let end = until.map(clock::written);
    let arguments = names(&user)
        .with("until", end.as_deref().unwrap_or("further notice"))
        .with("reason", reason);
    let replaced = user.suspended.as_ref().and_then(Suspended::of);
    let kept = running.act((caller, answer), "users suspend", arguments, |answer| {
        let reason: Arc<str> = reason.into();
        let ended = running.ask_owner(answer, user.id, |sender| {
            runtime::Request::Suspend(user.id, until, reason, sender)
        })?;
        match ended {
            Ok(Administered::Stored) => {
                let kept = Kept { user: user.id.get(), suspended: true, until: end, replaced };
                Ok((kept, Outcome::done("")))
            }
            other => Err(not_administered(running, user.id, other).into()),
        }
    })?;
    item(answer, kept)
}

pub(super) fn resume(
    running: &Running,
    caller: Caller,
    user: UserName,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let user = running.user(answer, &user)?;
    if user.suspended.as_ref().and_then(Suspended::of).is_none() {
        let message =
            format!("user {} is not suspended; `waxwing-server users list` shows who is", user.id);
        return Err(Problem::new(Exit::Failure, message).into());
    }
    let kept = running.act((caller, answer), "users resume", names(&user), |answer| {
        let ended = running
            .ask_owner(answer, user.id, |sender| runtime::Request::Resume(user.id, sender))?;
        match ended {
            Ok(Administered::Stored) => {
                let user = user.id.get();
                let kept = Kept { user, suspended: false, until: None, replaced: None };
                Ok((kept, Outcome::done("")))
            }
            other => Err(not_administered(running, user.id, other).into()),
        }
    })?;
    item(answer, kept)
}

// ---- For the operator ----

pub(super) fn run(
    connection: Connection,
    command: SuspensionCommand,
    paper: &mut Paper<'_>,
) -> Result<(), Failure> {
    let request = match command {
        SuspensionCommand::Suspend { user, until, time, reason } => {
            let until = match (until, time) {
                (Some(moment), _) => Until::Moment(moment.as_seconds()),
                (None, Some(time)) => Until::Seconds(time.as_secs()),
                (None, None) => Until::Further,
            };
            Request::Suspend { user, until, reason }
        }
        SuspensionCommand::Resume { user } => Request::Resume { user },
    };
    paper.act(connection, request, Kept::line)
}
