//! Which versions of this program can use a database, as it says itself.

use std::cmp::Ordering;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};
use waxwing_core::crypto::Digest;

use super::error::SqliteError;
use super::fault::Fault;
use super::open::{
    WITH_GENERATIONS, beside, connect, connect_without_log, failure, known_schema, look_again,
    newest_schema, of_log, refuse_strange_files, schema,
};
use super::{examine, generation, log};
use crate::store::{Schema, Use};

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a database says of itself. Those of the first schemas say nothing.
pub(super) struct About {
    /// The oldest schema that a program may know.
    pub(super) min_reader: i64,
    /// The version that has made it what it is.
    pub(super) written_by: String,
}

impl About {
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        if !connection.table_exists(None, "about")? {
            return Ok(None);
        }
        let select = "SELECT min_reader, written_by FROM about";
        let read =
            |row: &rusqlite::Row<'_>| Ok(Self { min_reader: row.get(0)?, written_by: row.get(1)? });
        connection.query_row(select, [], read).optional()
    }
}

/// Says that this version has written it. A newer schema is another's, which keeps its name.
pub(super) fn sign(connection: &Connection) -> Result<(), Fault> {
    let sign = "UPDATE about SET written_by = ?1 WHERE schema <= ?2 AND written_by <> ?1";
    connection.execute(sign, params![VERSION, newest_schema()])?;
    Ok(())
}

/// What the database at `path` is, and what this program would do with it. Nothing is changed.
pub(in super::super) fn look(path: &Path) -> Result<Schema, SqliteError> {
    refuse_strange_files(path)?;
    if path.symlink_metadata().is_err() {
        return Err(SqliteError::Missing { path: path.to_owned() });
    }
    let failed = |error| failure(path, &error);
    let connection = connect(path).map_err(failed)?;
    log::take_over(&connection).map_err(failed)?;
    let found = schema(&connection, path).map_err(|error| of_log(path, error))?;
    let about = About::read(&connection).map_err(failed)?;
    let (min_reader, written_by) = about.map(|about| (about.min_reader, about.written_by)).unzip();
    let known = newest_schema();
    let outcome = match found.cmp(&known) {
        Ordering::Less => Use::Changes,
        Ordering::Equal => Use::Serves,
        Ordering::Greater if min_reader.is_some_and(|min| min <= known) => Use::Serves,
        Ordering::Greater => Use::Refuses,
    };
    if found >= WITH_GENERATIONS && outcome != Use::Refuses {
        look_again(|| generation::check(&connection, path)).map_err(|error| of_log(path, error))?;
    }
    let written_by = written_by.filter(|version| !version.is_empty());
    Ok(Schema { found, min_reader, written_by, known, outcome })
}

/// The key that the database at `path` belongs to, as far as the file says so by itself: nobody uses it, and all of it
/// is in the file.
pub(in super::super) fn key_of(path: &Path) -> Option<Digest> {
    let has_log = beside(path, "-wal").metadata().is_ok_and(|log| log.len() > 0);
    let connection = connect_without_log(path).ok().filter(|_| !has_log)?;
    let found = known_schema(&connection, path).ok()?;
    if found < WITH_GENERATIONS { None } else { examine::key(&connection).ok()? }
}

/// Why this program cannot use the database at `path`, as far as the file says so by itself: it is for later versions,
/// or not for any server; or its log is gone, or another's. SQLite does not read the log, nothing is locked, and no file is
/// made beside it.
pub(in super::super) fn why_refused(path: &Path, is_used: bool) -> Option<SqliteError> {
    let connection = connect_without_log(path).ok()?;
    let found = match known_schema(&connection, path) {
        Ok(found) => found,
        // What is wrong with it besides is found elsewhere; and a server may be at work on it.
        Err(why) => {
            let is_another = matches!(
                why,
                SqliteError::NewerSchema { .. }
                    | SqliteError::Moved { .. }
                    | SqliteError::Foreign { .. }
            );
            return is_another.then_some(why);
        }
    };
    // A server that uses it may begin a new log just now.
    if is_used || found < WITH_GENERATIONS {
        return None;
    }
    generation::check_alone(&connection, path).err()
}
