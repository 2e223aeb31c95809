//! Copies of the database that are whole.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::error::SqliteError;
use super::generation;
use super::open::{beside, connect, connect_without_log, draft_file, put_in_place};

macro_rules! counts {
    ($($table:literal),+) => { [$(($table, concat!("SELECT count(*) FROM ", $table))),+] };
}

/// Every table that an older schema may have, and what counts its rows.
const COUNTS: [(&str, &str); 15] = counts![
    "users",
    "pending_messages",
    "undelivered_messages",
    "damaged_messages",
    "resting_ids",
    "queue_mark",
    "allowances",
    "server_keys",
    "suspensions",
    "bans",
    "user_limits",
    "about",
    "restores",
    "log_generation_even",
    "log_generation_odd"
];

/// Keeps the database as it is before its schema changes, in a file beside it of which it is certain that
/// it holds the same: a new version of this program may turn out to be a mistake, and the old one cannot
/// read what the new one has made of the file. An earlier copy of that name is replaced: what counts
/// is the file that is about to be changed.
pub(super) fn before_migration(
    connection: &Connection,
    path: &Path,
    new_schema: i64,
) -> Result<(), SqliteError> {
    let copy = path.with_file_name(format!("before-schema-{new_schema}.db"));
    write(connection, path, &copy)?;
    tracing::info!(copy = %copy.display(), "the database was copied before its schema changes");
    Ok(())
}

/// Writes a copy under a name that it gets when it is complete and durable.
fn write(connection: &Connection, path: &Path, copy: &Path) -> Result<(), SqliteError> {
    let draft = beside(copy, ".new");
    let written = draft_file(&draft)
        .map_err(|error| error.to_string())
        .and_then(|()| vacuum_into(connection, &draft).map_err(|error| error.to_string()))
        .and_then(|()| verify(connection, &draft))
        .and_then(|()| put_in_place(&draft, copy).map_err(|error| error.to_string()));
    written.map_err(|what| {
        // It takes up room that may be what was missing.
        let _ = fs::remove_file(&draft);
        let what = format!("it cannot be copied to {}: {what}", copy.display());
        SqliteError::Unreachable { path: path.to_owned(), what }
    })
}

/// Whether the copy is sound, and has as many rows in each table. What was damaged in the database is so
/// in the copy, and no reason to keep the server from starting.
fn verify(connection: &Connection, draft: &Path) -> Result<(), String> {
    let verify = || -> rusqlite::Result<Option<String>> {
        let copy = connect_without_log(draft)?;
        let check: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if check != "ok" {
            return Ok(Some(check));
        }
        for (table, count) in COUNTS {
            if !connection.table_exists(None, table)? {
                continue;
            }
            let rows = |of: &Connection| of.query_row(count, [], |row| row.get::<_, i64>(0));
            let (before, copied) = (rows(connection)?, rows(&copy)?);
            if before != copied {
                let what = format!("{table} has {before} rows, and {copied} in the copy");
                return Ok(Some(what));
            }
        }
        Ok(None)
    };
    match verify() {
        Ok(None) => Ok(()),
        Ok(Some(what)) => Err(format!("the copy is not what was copied: {what}")),
        Err(error) => Err(format!("the copy cannot be read: {error}")),
    }
}

fn vacuum_into(connection: &Connection, draft: &Path) -> rusqlite::Result<()> {
    let name = ValueRef::Text(draft.as_os_str().as_encoded_bytes());
    connection.execute("VACUUM INTO ?", [ToSqlOutput::Borrowed(name)])?;
    finish(draft)
}

/// Makes a copy one that has no log and needs none.
pub(super) fn finish(draft: &Path) -> rusqlite::Result<()> {
    let copy = connect(draft)?;
    copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    if copy.table_exists(None, "log_generation_even")? {
        generation::needs_no_log(&copy)?;
    }
    copy.close().map_err(|(_, error)| error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{SqliteOptions, SqliteStorage};

    #[test]
    fn every_table_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("waxwing.db");
        drop(SqliteStorage::open(&path, &SqliteOptions::default()).unwrap());
        let database = Connection::open(&path).unwrap();
        let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' \
                      AND name NOT LIKE 'sqlite_%'";
        let mut tables = database.prepare(tables).unwrap();
        let tables = tables.query_map([], |row| row.get::<_, String>(0)).unwrap();
        for table in tables.map(Result::unwrap) {
            assert!(COUNTS.iter().any(|(counted, _)| *counted == table), "{table}");
        }
    }
}
