//! `storage adopt`: going on with a database that has lost something.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::super::super::audit::{self, Arguments, AuditLog, Outcome};
use super::super::Paper;
use crate::backup;
use crate::clock;
use crate::data_dir::{DataDir, LockedDataDir};
use crate::exit::{Exit, Failure};
use crate::figures;
use crate::store::postgres::Adoption;
use crate::store::{self, StorageError};

/// A database that servers can use again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Adopted {
    /// So many ids are given to nobody for a while.
    resting_ids: usize,
}

impl Adopted {
    fn page(out: &mut dyn Write, adopted: &Self) -> io::Result<()> {
        let rest = figures::count(adopted.resting_ids as u64, "id rests", "ids rest");
        writeln!(out, "servers can use the database as it is now")?;
        writeln!(out, "{rest}, which may have been given to people whom the database has lost")?;
        writeln!(
            out,
            "suspensions, limits of users and bans are those of the database: `waxwing-server audit show` says \
             which came or ended since then"
        )?;
        writeln!(
            out,
            "for 30 days, senders who ask for a letter that is not there hear that nobody knows what has become \
             of it"
        )
    }
}

pub(super) fn adopt(registered_since: u16, paper: &mut Paper<'_>) -> Result<(), Failure> {
    let config = paper.config;
    let directory = DataDir::existing(&config.server.data)?.lock()?;
    let now = clock::unix_now();
    let restoration = backup::restoration(config, now, registered_since.into());
    let log = AuditLog::of(&directory);
    let arguments = Arguments::new().with("registered-since", registered_since);
    let begun = log.begin(now, audit::caller(), "storage adopt", arguments)?;
    let adopted = store::adopt(config, &directory, &restoration);
    let adopted = judge(adopted, registered_since, &directory);
    let outcome = match &adopted {
        Ok(adopted) => {
            Outcome::done(figures::count(adopted.resting_ids as u64, "id rests", "ids rest"))
        }
        Err(error) if error.exit() == Exit::Config => Outcome::failed(error.to_string()),
        Err(error) => Outcome::unknown(error.to_string()),
    };
    let ended = log.end(clock::unix_now(), begun, outcome);
    paper.done(&adopted?, Adopted::page)?;
    ended
}

fn judge(
    adopted: Result<Adoption, StorageError>,
    resting: u16,
    directory: &LockedDataDir,
) -> Result<Adopted, Failure> {
    match adopted? {
        Adoption::Adopted(resting_ids) => Ok(Adopted { resting_ids }),
        Adoption::Sound => {
            let witness = directory.witness();
            let why = format!(
                "the database lacks nothing that {} knows of, so there is nothing to adopt: servers can use it",
                witness.display()
            );
            Err(Failure::new(Exit::Config, why))
        }
        Adoption::NoIdLeft { free } => Err(backup::no_id_left(free, resting.into())),
    }
}
