//! `reload`: the server reads its configuration again.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::super::audit::Arguments;
use super::super::control::{Answer, Caller, Connection};
use super::super::protocol::{self, Asked, Problem, Request, item};
use super::super::running::{Interrupted, Running, done, expect_all, names, summary};
use super::Paper;
use crate::config::{Changes, Config};
use crate::exit::{Exit, Failure};
use crate::figures;
use crate::runtime::Reread;

/// Names of settings, as the operator reads of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Reloaded {
    /// They have changed.
    live: Vec<String>,
    /// The file, or what else sets them, has other values than the server.
    restart: Vec<String>,
    /// How many phones are in `registration.allow_file`, which was read anew, too; nothing if no file is
    /// named.
    allowed_phones: Option<usize>,
    /// That nobody can register although nobody has said so in as many words, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remark: Option<String>,
    /// Why the file of the log could not be opened again, so that the log goes on where it went before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_not_reopened: Option<String>,
}

impl Reloaded {
    fn page(out: &mut dyn Write, reloaded: &Self) -> io::Result<()> {
        let Self { live, restart, allowed_phones, remark, log_not_reopened } = reloaded;
        writeln!(out, "the configuration was read again")?;
        writeln!(out, "changed              {}", names(live))?;
        writeln!(out, "waits for a restart  {}", names(restart))?;
        if let Some(phones) = allowed_phones {
            let phones = figures::count(*phones as u64, "phone", "phones");
            writeln!(out, "read anew            registration.allow_file, with {phones}")?;
        }
        if let Some(remark) = remark {
            writeln!(out, "{remark}")?;
        }
        if let Some(why) = log_not_reopened {
            writeln!(out, "THE LOG GOES ON WHERE IT WENT BEFORE: {why}")?;
        }
        Ok(())
    }
}

// ---- In the server ----

pub(super) fn carry_out(
    running: &Running,
    caller: Caller,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let Some(turn) = running.configuration.turn_now() else {
        let message = "the configuration is being read again at this moment; try again";
        return Err(Problem::new(Exit::Failure, message).into());
    };
    let Reread { changes, allowed_phones, remark, log_not_reopened, late } =
        running.act((caller, answer), "reload", Arguments::new(), |_| {
            let reread = running.reload(&turn)?;
            let outcome = done(&summary(&reread.changes), &reread.late);
            Ok((reread, outcome))
        })?;
    let owned = |names: Vec<&'static str>| names.into_iter().map(str::to_owned).collect();
    let (live, restart) = (owned(changes.live), owned(changes.restart));
    item(answer, Reloaded { live, restart, allowed_phones, remark, log_not_reopened })?;
    expect_all(&late, "the configuration before counts there")
}

/// Names of settings that a reload would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct NotReloaded {
    /// At once.
    pub(crate) live: Vec<String>,
    /// For the next start.
    pub(crate) restart: Vec<String>,
}

pub(super) fn preview(running: &Running, answer: &mut Answer<'_>) -> Result<(), Interrupted> {
    let Changes { live, restart } = running.configuration.not_reloaded()?;
    let owned = |names: Vec<&'static str>| names.into_iter().map(str::to_owned).collect();
    item(answer, NotReloaded { live: owned(live), restart: owned(restart) })
}

// ---- For the operator ----

/// What a reload would change at the server that is connected with.
pub(crate) fn ask_what_would_change(
    connection: Connection,
    config: &Config,
) -> Result<NotReloaded, Failure> {
    protocol::ask_one(connection, &Asked::new(config, Request::NotReloaded))
}

pub(super) fn run(connection: Connection, paper: &mut Paper<'_>) -> Result<(), Failure> {
    paper.act(connection, Request::Reload, Reloaded::page)
}
