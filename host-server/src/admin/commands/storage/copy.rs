//! `storage copy`: from SQLite to PostgreSQL, or back.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::super::super::audit::{self, Arguments, AuditLog, Outcome};
use super::super::Paper;
use crate::clock;
use crate::data_dir::{DataDir, LockedDataDir};
use crate::exit::{Exit, Failure};
use crate::figures;
use crate::store::moving::{self, Sum};

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Copied {
    from: String,
    to: String,
    users: u64,
    letters: u64,
    /// Of all tables.
    rows: u64,
    /// Of all rows: what was read has it, and what was written.
    digest: String,
}

impl Copied {
    fn holds(&self) -> String {
        let users = figures::count(self.users, "user", "users");
        let letters = figures::count(self.letters, "letter", "letters");
        let rows = figures::count(self.rows, "row", "rows");
        format!("{users}, {letters}, {rows}")
    }

    fn page(out: &mut dyn Write, copied: &Self, next: &str) -> io::Result<()> {
        let Self { from, to, digest, .. } = copied;
        let holds = copied.holds();
        writeln!(out, "copied {from} to {to}: {holds}, read back without a difference")?;
        writeln!(out, "digest     {digest}")?;
        writeln!(out, "no server uses {from} any more. {next}")
    }
}

pub(super) fn to_database(url: &str, paper: &mut Paper<'_>) -> Result<(), Failure> {
    moving::check_url(url)?;
    let directory = DataDir::existing(&paper.config.server.data)?.lock()?;
    let file = crate::store::place(&directory).display().to_string();
    let copy = || moving::to_database(paper.config, &directory, url).map_err(Failure::of_storage);
    let copied = carry_out(&directory, (&file, url), copy)?;
    let next = format!(
        "Before you start servers, set storage.url = \"{url}\" in the configuration of each"
    );
    paper.done(&copied.0, |out, copied| Copied::page(out, copied, &next))?;
    copied.1
}

pub(super) fn from_database(url: &str, paper: &mut Paper<'_>) -> Result<(), Failure> {
    moving::check_url(url)?;
    let directory = DataDir::create(&paper.config.server.data)?.lock()?;
    let file = crate::store::place(&directory).display().to_string();
    let copy = || Ok(moving::from_database(paper.config, &directory, url)?);
    let copied = carry_out(&directory, (url, &file), copy)?;
    let next = "Before you start the server, set storage.url = \"\" in its configuration";
    paper.done(&copied.0, |out, copied| Copied::page(out, copied, next))?;
    copied.1
}

/// What was copied, and whether the audit log has it.
type Noted = (Copied, Result<(), Failure>);

fn carry_out(
    directory: &LockedDataDir,
    (from, to): (&str, &str),
    copy: impl FnOnce() -> Result<Sum, Failure>,
) -> Result<Noted, Failure> {
    let log = AuditLog::of(directory);
    let arguments = Arguments::new().with("from", from).with("to", to);
    let begun = log.begin(clock::unix_now(), audit::caller(), "storage copy", arguments)?;
    let copied = copy().map(|sum| Copied {
        from: from.into(),
        to: to.into(),
        users: sum.users(),
        letters: sum.letters(),
        rows: sum.rows(),
        digest: format!("{:?}", sum.digest()),
    });
    let outcome = match &copied {
        Ok(copied) => Outcome::done(copied.holds()),
        Err(error) if error.exit() == Exit::Config => Outcome::failed(error.to_string()),
        // Some of it may have been done.
        Err(error) => Outcome::unknown(error.to_string()),
    };
    let ended = log.end(clock::unix_now(), begun, outcome);
    Ok((copied?, ended))
}
