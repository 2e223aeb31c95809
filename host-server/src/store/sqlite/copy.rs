//! Copies of the database that are whole.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::error::SqliteError;
use super::generation;
use super::open::{beside, connect, draft_file, put_in_place};

/// Keeps the database as it is before its schema changes, beside it: a new version of this program
/// may turn out to be a mistake, and the old one cannot read what the new one has made of the file.
/// An earlier copy of that name is replaced: what counts is the file that is about to be changed.
pub(super) fn before_migration(
    connection: &Connection,
    path: &Path,
    new_schema: i64,
) -> Result<(), SqliteError> {
    let copy = beside(path, &format!(".before-schema-{new_schema}"));
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
        .and_then(|()| put_in_place(&draft, copy).map_err(|error| error.to_string()));
    written.map_err(|what| {
        // It takes up room that may be what was missing.
        let _ = fs::remove_file(&draft);
        let what = format!("it cannot be copied to {}: {what}", copy.display());
        SqliteError::Unreachable { path: path.to_owned(), what }
    })
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
