//! Opening a database file, or refusing it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, ffi};
use rusqlite_migration::{M, Migrations};

use super::SqliteOptions;
use super::copy;
use super::fault::{Fault, primary_code};
use super::log;
use crate::store::StorageError;

/// `WXWG`, in the header of every file of ours.
const APPLICATION_ID: i32 = 0x5758_5747;
const MIGRATIONS: &[M<'_>] = &[
    M::up(include_str!("migrations/0001-initial.sql")),
    M::up(include_str!("migrations/0002-allowances.sql")),
];
const OWNER_ONLY: u32 = 0o600;

/// What to do about a database that is absent, or behind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    Create,
    Refuse,
}

pub(super) fn open(
    path: &Path,
    options: &SqliteOptions,
    absent: Absent,
) -> Result<Connection, StorageError> {
    let unreachable = |error: &io::Error| StorageError::Unreachable {
        path: path.to_owned(),
        what: error.to_string(),
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() == 0 => {
            // Creation never leaves one, and SQLite would take it for a new database.
            return Err(StorageError::Damaged {
                path: path.to_owned(),
                what: "the file is empty".into(),
            });
        }
        Ok(_) => keep_to_owner(path).map_err(|error| unreachable(&error))?,
        Err(error) if error.kind() == ErrorKind::NotFound && absent == Absent::Create => {
            create(path)?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(StorageError::Missing { path: path.to_owned() });
        }
        Err(error) => return Err(unreachable(&error)),
    }

    let mut connection = connect(path).map_err(|error| failure(path, &error))?;
    // First: whatever is refused below is left as it is.
    log::take_over(&connection)
        .and_then(|()| connection.busy_timeout(options.busy_timeout))
        .map_err(|error| failure(path, &error))?;
    let found: i32 = pragma(&connection, "application_id").map_err(|e| failure(path, &e))?;
    if found != APPLICATION_ID {
        return Err(StorageError::Foreign { path: path.to_owned() });
    }
    let found: i64 = pragma(&connection, "user_version").map_err(|e| failure(path, &e))?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StorageError::NewerSchema { path: path.to_owned(), found, known });
    }
    if found < known {
        if absent == Absent::Refuse {
            return Err(StorageError::OlderSchema { path: path.to_owned(), found });
        }
        copy::before_migration(&connection, path, known)?;
        migrate(path, &mut connection)?;
    }
    configure(&connection).map_err(|error| failure(path, &error))?;
    Ok(connection)
}

/// Makes the file under another name and renames it when it is complete, so that a half-made
/// one is never taken for a database.
fn create(path: &Path) -> Result<(), StorageError> {
    let unreachable = |error: io::Error| StorageError::Unreachable {
        path: path.to_owned(),
        what: error.to_string(),
    };
    let draft = beside(path, ".new");
    draft_file(&draft).map_err(unreachable)?;

    let mut connection = connect(&draft).map_err(|error| failure(path, &error))?;
    connection
        .pragma_update(None, "application_id", APPLICATION_ID)
        .map_err(|error| failure(path, &error))?;
    migrate(path, &mut connection)?;
    // Last, so that nothing is in the log: SQLite keeps it to itself when the log cannot be
    // brought into the file that is closed, and the log is not renamed.
    configure(&connection).map_err(|error| failure(path, &error))?;
    connection.close().map_err(|(_, error)| failure(path, &error))?;

    put_in_place(&draft, path).map_err(unreachable)
}

/// An empty file for its owner alone, in place of what an attempt that was cut short has left.
pub(super) fn draft_file(draft: &Path) -> io::Result<()> {
    for stale in [draft.to_owned(), beside(draft, "-wal"), beside(draft, "-shm")] {
        match fs::remove_file(stale) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(draft)?;
    Ok(())
}

/// Gives a complete draft its name, durably.
pub(super) fn put_in_place(draft: &Path, path: &Path) -> io::Result<()> {
    File::open(draft)?.sync_all()?;
    fs::rename(draft, path)?;
    let directory = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    let mode = switch_to_wal(connection)?;
    if mode != "wal" {
        let what = format!("the file system does not support WAL (journal mode {mode})");
        return Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_CANTOPEN),
            Some(what),
        ));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Deleted letters are overwritten with zeros.
    connection.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))
}

/// The mode that the file is in afterwards. The change is committed when the statement ends, which
/// is after its row.
fn switch_to_wal(connection: &Connection) -> rusqlite::Result<String> {
    let mut pragma = connection.prepare("PRAGMA journal_mode = WAL")?;
    let modes: rusqlite::Result<Vec<String>> = pragma.query_map([], |row| row.get(0))?.collect();
    Ok(modes?.pop().unwrap_or_default())
}

fn migrate(path: &Path, connection: &mut Connection) -> Result<(), StorageError> {
    Migrations::from_slice(MIGRATIONS).to_latest(connection).map_err(|error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => failure(path, &err),
        other => {
            StorageError::Unreachable { path: path.to_owned(), what: format!("schema: {other}") }
        }
    })
}

fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> rusqlite::Result<T> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// `-wal` and `-shm` get the mode of the database when SQLite makes them.
fn keep_to_owner(path: &Path) -> io::Result<()> {
    for file in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
        match fs::metadata(&file) {
            Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
                fs::set_permissions(&file, fs::Permissions::from_mode(OWNER_ONLY))?;
            }
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The error for the operator when a file cannot be used.
pub(super) fn failure(path: &Path, error: &rusqlite::Error) -> StorageError {
    let (path, what) = (path.to_owned(), error.to_string());
    match primary_code(error) {
        Some(ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB) | None => {
            StorageError::Damaged { path, what }
        }
        Some(_) => StorageError::Unreachable { path, what },
    }
}

/// As [`failure`].
pub(super) fn fault(path: &Path, fault: Fault) -> StorageError {
    match fault {
        Fault::Sqlite(error) => failure(path, &error),
        Fault::Refused(what) | Fault::Damaged(what) => {
            StorageError::Damaged { path: path.to_owned(), what }
        }
    }
}
