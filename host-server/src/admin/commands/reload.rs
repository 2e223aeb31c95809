//! `reload`: the server reads its configuration again.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::super::audit::Arguments;
use super::super::control::{Answer, Caller, Connection};
use super::super::protocol::{Problem, Request, item};
use super::super::running::{Interrupted, Running, done, expect_all, names, summary};
use super::Paper;
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
}

impl Reloaded {
    fn page(out: &mut dyn Write, reloaded: &Self) -> io::Result<()> {
        let Self { live, restart, allowed_phones } = reloaded;
        writeln!(out, "the configuration was read again")?;
        writeln!(out, "changed              {}", names(live))?;
        writeln!(out, "waits for a restart  {}", names(restart))?;
        if let Some(phones) = allowed_phones {
            let phones = figures::count(*phones as u64, "phone", "phones");
            writeln!(out, "read anew            registration.allow_file, with {phones}")?;
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
    let Reread { changes, allowed_phones, late } =
        running.act((caller, answer), "reload", Arguments::new(), |_| {
            let reread = running.reload(&turn)?;
            let outcome = done(&summary(&reread.changes), &reread.late);
            Ok((reread, outcome))
        })?;
    let owned = |names: Vec<&'static str>| names.into_iter().map(str::to_owned).collect();
    let (live, restart) = (owned(changes.live), owned(changes.restart));
    item(answer, Reloaded { live, restart, allowed_phones })?;
    expect_all(&late, "the configuration before counts there")
}

// ---- For the operator ----

pub(super) fn run(connection: Connection, paper: &mut Paper<'_>) -> Result<(), Failure> {
    paper.act(connection, Request::Reload, Reloaded::page)
}
