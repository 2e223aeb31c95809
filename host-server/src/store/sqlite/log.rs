//! The write-ahead log, and how it is brought into the database.
//!
//! SQLite would do that by itself, after a commit and when the last connection closes, and keep a
//! failure to itself. A log or a database that could not be synced would be synced again then, and
//! that may succeed although what was to be written is gone. So it happens here alone, where an
//! error is an error.

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::fault::Fault;
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

/// After a commit: brings the log into the database when it has become long. A log that cannot be
/// read or has no room to go to only grows until the next commit.
pub(super) fn shorten(connection: &Connection, max_pages: u32) -> Result<(), ApplyError> {
    let shortened = pages_to_move(connection).and_then(|pages| {
        if pages < max_pages.into() {
            return Ok(());
        }
        checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)").map(|_| ())
    });
    match shortened.map_err(|error| ApplyError::from(Fault::from(error))) {
        Err(error) if error.outcome().is_none() => Err(error),
        _ => Ok(()),
    }
}

/// Brings all of it into the database and truncates it, which also removes from it what was deleted
/// from the database.
pub(super) fn empty(connection: &Connection) -> Result<(), Fault> {
    checkpoint(connection, "PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

fn pages_to_move(connection: &Connection) -> rusqlite::Result<i64> {
    let (logged, moved) = checkpoint(connection, "PRAGMA wal_checkpoint(NOOP)")?;
    Ok(logged - moved)
}

/// Pages in the log, and how many of them are in the database.
fn checkpoint(connection: &Connection, sql: &str) -> rusqlite::Result<(i64, i64)> {
    connection.prepare_cached(sql)?.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
}
