//! Whether a database keeps what it confirms.

use super::session::Sessions;
use super::unreachable;
use crate::store::{ApplyError, StorageError};

/// Refuses a database whose settings let a power cut lose what was confirmed, and warns if its machine may
/// not be lost.
pub(super) fn check(sessions: &mut Sessions, copies: u32) -> Result<(), StorageError> {
    let settings = Settings::read(sessions).map_err(unreachable)?;
    settings.judge().map_err(|why| StorageError::Settings(why.into()))?;
    match copies {
        _ if settings.has_standby => {}
        1 => {
            tracing::warn!(name: "standby_missing", "the database names no synchronous standby: what is stored is on one machine alone");
        }
        _ => {
            tracing::warn!(name: "standby_missing", "the database names no synchronous standby: nothing is taken until it does, or storage.copies is 1");
        }
    }
    Ok(())
}

/// How a database is set up.
#[derive(Clone, Copy, Debug)]
struct Settings {
    fsync: bool,
    full_page_writes: bool,
    has_standby: bool,
}

impl Settings {
    fn read(sessions: &mut Sessions) -> Result<Self, ApplyError> {
        let rows = sessions.simple(
            "SELECT current_setting('fsync'), current_setting('full_page_writes'), \
             btrim(current_setting('synchronous_standby_names'))",
        )?;
        let mut columns = rows.into_iter().flatten().map(Option::unwrap_or_default);
        let mut next = || columns.next().unwrap_or_default();
        Ok(Self {
            fsync: next() == "on",
            full_page_writes: next() == "on",
            has_standby: !next().is_empty(),
        })
    }

    fn judge(self) -> Result<(), String> {
        let off = |setting: &str| {
            format!(
                "{setting} is off in the database, so a power cut could lose what was confirmed; set \
                 {setting} = on in postgresql.conf, and have PostgreSQL read it again"
            )
        };
        match self {
            Self { fsync: false, .. } => Err(off("fsync")),
            Self { full_page_writes: false, .. } => Err(off("full_page_writes")),
            _ => Ok(()),
        }
    }
}
