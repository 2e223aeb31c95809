//! Whether a database keeps what it confirms.

use super::session::{Sessions, is_true};
use super::unreachable;
use crate::store::engine::SecondCopy;
use crate::store::{ApplyError, StorageError};

/// Refuses a database whose settings let a power cut lose what was confirmed.
pub(super) fn check(sessions: &mut Sessions) -> Result<(), StorageError> {
    let settings = Settings::read(sessions).map_err(unreachable)?;
    settings.judge().map_err(|why| StorageError::Settings(why.into()))
}

/// Warns if the machine of the database may not be lost.
pub(super) fn warn(sessions: &mut Sessions, copies: u32) -> Result<(), StorageError> {
    match copies {
        _ if Settings::read(sessions).map_err(unreachable)?.has_standby => {}
        1 => {
            tracing::warn!(name: "standby_missing", "the database names no synchronous standby: what is stored is on one machine alone");
        }
        _ => {
            tracing::warn!(name: "standby_missing", "the database names no synchronous standby: nothing is taken until it does, or storage.copies is 1");
        }
    }
    Ok(())
}

/// Whether somebody has changed something, and waits for the synchronous standby to have it. In good order
/// that takes milliseconds.
pub(super) const AWAITS_STANDBY: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity \
    WHERE datname = current_database() AND wait_event = 'SyncRep')";
const AWAITS_STANDBY_LONG: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity \
    WHERE datname = current_database() AND wait_event = 'SyncRep' \
        AND state_change < clock_timestamp() - interval '1 second')";

/// Whether each commit of a database is on a second machine.
pub(super) fn second_copy(sessions: &mut Sessions) -> Result<SecondCopy, StorageError> {
    let settings = Settings::read(sessions).map_err(unreachable)?;
    let waiting = sessions.simple(AWAITS_STANDBY_LONG).map_err(unreachable)?;
    Ok(match settings.has_standby {
        _ if is_true(waiting.last()) => SecondCopy::Awaited,
        true => SecondCopy::Named,
        false => SecondCopy::None,
    })
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
