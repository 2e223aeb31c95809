//! The write-ahead log, and how it is brought into the database.
//!
//! SQLite would do that by itself, after a commit and when the last connection closes, and keep a
//! failure to itself. A log or a database that could not be synced would be synced again then, and
//! that may succeed although what was to be written is gone. So it happens here alone, where an
//! error is an error.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use waxwing_sqlite_wal::Log;

use super::fault::Fault;
use super::open::beside;
use crate::store::ApplyError;

/// Pages in the log after which it is brought into the database.
pub(super) const MAX_PAGES: u32 = 1_000;

/// Leaves SQLite no part in it.
pub(super) fn take_over(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

/// Lets SQLite delete the files of an empty log when the connection closes.
pub(super) fn hand_back(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

/// After a commit: brings the log into the database when it has become long. Whether all of it may be
/// there, so that the next commit begins a new log. A log that cannot be read or has no room to go to
/// only grows until the next commit.
pub(super) fn shorten(connection: &Connection, max_pages: u32) -> Result<bool, ApplyError> {
    let shortened = checkpoint(connection, "PRAGMA wal_checkpoint(NOOP)").and_then(|log| {
        if log.pages - log.moved < max_pages.into() {
            return Ok(false);
        }
        Ok(checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)")?.is_in_database())
    });
    match shortened.map_err(|error| ApplyError::from(Fault::from(error))) {
        Err(error) if error.outcome().is_none() => Err(error),
        Err(_) => Ok(true),
        Ok(is_in_database) => Ok(is_in_database),
    }
}

/// Pages in it that are not in the database.
pub(super) fn waiting(connection: &Connection) -> rusqlite::Result<i64> {
    let log = checkpoint(connection, "PRAGMA wal_checkpoint(NOOP)")?;
    Ok(log.pages - log.moved)
}

/// Brings in what no reader needs to find in the log.
pub(super) fn bring_in(connection: &Connection) -> Result<(), Fault> {
    checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)")?;
    Ok(())
}

/// Brings all of it into the database. Whether the next commit begins a new log.
pub(super) fn end(connection: &Connection) -> Result<bool, Fault> {
    let log = checkpoint(connection, "PRAGMA wal_checkpoint(RESTART)")?;
    Ok(!log.is_busy && log.is_in_database())
}

/// Whether a commit that begins a new log cuts off what is left of the one before. Otherwise its
/// room is used again.
pub(super) fn cut_off(connection: &Connection, cuts_off: bool) -> rusqlite::Result<()> {
    let limit = if cuts_off { 0 } else { -1 };
    connection.pragma_update_and_check(None, "journal_size_limit", limit, |_| Ok(()))
}

/// Pages in it that are part of the database.
pub(super) fn pages(connection: &Connection) -> rusqlite::Result<i64> {
    Ok(checkpoint(connection, "PRAGMA wal_checkpoint(NOOP)")?.pages)
}

/// Brings all of it into the database and truncates it: the end of a log that no other follows.
pub(super) fn empty(connection: &Connection) -> Result<(), Fault> {
    checkpoint(connection, "PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

/// Whether the log ends for whoever reads it after a crash where it ends for this connection: then a
/// commit that failed is not in it. What could not be written whole is nowhere whole, in memory or on
/// the disk.
pub(super) fn ends_as_known(connection: &Connection, path: &Path) -> bool {
    let known = pages(connection).ok().and_then(|pages| u64::try_from(pages).ok());
    let found = Log::open(&beside(path, "-wal")).and_then(|log| log.committed());
    known.is_some_and(|known| found.is_ok_and(|found| found == known))
}

/// What SQLite says of the log.
struct State {
    /// A reader stands in the way.
    is_busy: bool,
    pages: i64,
    /// How many of them are in the database.
    moved: i64,
}

impl State {
    const fn is_in_database(&self) -> bool {
        self.moved == self.pages
    }
}

fn checkpoint(connection: &Connection, sql: &str) -> rusqlite::Result<State> {
    connection.prepare_cached(sql)?.query_row([], |row| {
        Ok(State { is_busy: row.get(0)?, pages: row.get(1)?, moved: row.get(2)? })
    })
}
