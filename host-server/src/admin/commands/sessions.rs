//! `sessions list` and `sessions end`.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use waxwing_core::server::SessionSummary;

use super::super::audit::Outcome;
use super::super::control::{Answer, Caller, Connection};
use super::super::protocol::{Problem, Request, item};
use super::super::running::{Interrupted, Running, expect_all};
use super::Paper;
use super::users::names;
use crate::cli::SessionsCommand;
use crate::exit::{Exit, Failure};
use crate::figures;
use crate::runtime::{self, Heard};
use crate::store::UserName;

/// A session, as the operator reads of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Session {
    user: u16,
    phone: String,
    /// Whether it is that of an account of the server itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    canary: bool,
    /// The network that it comes from.
    network: String,
    age_ms: u64,
    /// Letters that were handed over and not acknowledged.
    unacknowledged: u64,
}

/// A session that was ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Ended {
    ended: u16,
}

const HEAD: &str = " user  phone     since         unacknowledged  network";

impl Session {
    fn of(summary: &SessionSummary) -> Self {
        let SessionSummary { user, phone, age, prefix, unacknowledged } = summary;
        Self {
            user: user.get(),
            phone: format!("{phone:?}"),
            canary: phone.is_reserved(),
            network: prefix.to_string(),
            age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            unacknowledged: *unacknowledged as u64,
        }
    }

    fn row(out: &mut dyn Write, session: &Self) -> io::Result<()> {
        let Self { user, phone, canary, network, age_ms, unacknowledged } = session;
        let (age, mark) = (figures::span(*age_ms), if *canary { "  canary" } else { "" });
        writeln!(out, "{user:>5}  {phone:<8}  {age:<12}  {unacknowledged:>14}  {network}{mark}")
    }
}

// ---- In the server ----

pub(super) fn answer(running: &Running, answer: &mut Answer<'_>) -> Result<(), Interrupted> {
    each(running, answer, |answer, session| item(answer, Session::of(session)))
}

/// Whatever is to be done with each session.
pub(super) fn each<'a>(
    running: &Running,
    answer: &mut Answer<'a>,
    mut with: impl FnMut(&mut Answer<'a>, &SessionSummary) -> Result<(), Interrupted>,
) -> Result<(), Interrupted> {
    let Heard { answers, late } =
        running.ask_all(|_, sender| runtime::Request::Sessions(None, sender))?;
    for (shard, mut page) in answers {
        loop {
            for session in &page.sessions {
                with(answer, session)?;
            }
            let Some(after) = page.next else { break };
            page =
                running.ask_now(shard, |sender| runtime::Request::Sessions(Some(after), sender))?;
        }
    }
    expect_all(&late, "nobody can say who has a session there")
}

pub(super) fn end(
    running: &Running,
    caller: Caller,
    user: UserName,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let user = running.user(answer, &user)?;
    let ended = running.act((caller, answer), "sessions end", names(&user), |answer| {
        let had_one = running
            .ask_owner(answer, user.id, |sender| runtime::Request::EndSession(user.id, sender))?;
        if !had_one {
            let message = format!(
                "user {} has no session; `waxwing-server sessions list` shows who has",
                user.id
            );
            return Err(Problem::new(Exit::Failure, message).into());
        }
        Ok((Ended { ended: user.id.get() }, Outcome::done("")))
    })?;
    item(answer, ended)
}

// ---- For the operator ----

pub(super) fn run(
    connection: Connection,
    command: &SessionsCommand,
    paper: &mut Paper<'_>,
) -> Result<(), Failure> {
    match *command {
        SessionsCommand::List => paper.list(connection, Request::Sessions, HEAD, Session::row),
        SessionsCommand::End { user } => {
            paper.act(connection, Request::EndSession { user }, |out, Ended { ended }: &Ended| {
                writeln!(out, "ended the session of user {ended}; the client may come back")
            })
        }
    }
}
