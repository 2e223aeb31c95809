//! Opening a database file, or refusing it.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, ffi};
use rusqlite_migration::{M, Migrations};
use rustix::fs::Access;
use rustix::io::Errno;

use super::SqliteOptions;
use super::about::About;
use super::copy;
use super::error::SqliteError;
use super::fault::{Fault, primary_code};
use super::{generation, log};
use crate::access;
use crate::store::ApplyError;

/// `WXWG`, in the header of every file of ours.
const APPLICATION_ID: i32 = 0x5758_5747;
/// `WXWM`, in its place when everything was moved to another storage. Versions that do not know it take the
/// file for another program's, and refuse it, too.
const MOVED_ID: i32 = 0x5758_574d;
const MIGRATIONS: &[M<'_>] = &[
    M::up(include_str!("migrations/0001-initial.sql")),
    M::up(include_str!("migrations/0002-allowances.sql")),
    M::up(include_str!("migrations/0003-origin.sql")),
    M::up(include_str!("migrations/0004-damaged.sql")),
    M::up(include_str!("migrations/0005-suspensions.sql")),
    M::up(include_str!("migrations/0006-about.sql")),
    M::up(include_str!("migrations/0007-bans.sql")),
    M::up(include_str!("migrations/0008-limits.sql")),
];
/// The first schema with notes about the log.
pub(super) const WITH_GENERATIONS: i64 = 3;
/// How often a reader looks again at a log that does not seem to belong to its database.
const LOOKS: usize = 3;
pub(super) const OWNER_ONLY: u32 = 0o600;

/// What to do about a database that is absent, or behind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    Create,
    Refuse,
}

/// What to do about a log that is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Accept,
    Refuse,
}

pub(super) fn open(
    path: &Path,
    options: &SqliteOptions,
    absent: Absent,
    missing: Missing,
) -> Result<Opened, SqliteError> {
    refuse_strange_files(path)?;
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.len() == 0 => {
            // Creation never leaves one, and SQLite would take it for a new database.
            return Err(SqliteError::Damaged {
                path: path.to_owned(),
                what: "the file is empty".into(),
            });
        }
        Ok(_) => keep_to_owner(path).map_err(|error| unreachable(path, error))?,
        Err(error) if error.kind() == ErrorKind::NotFound && absent == Absent::Create => {
            // SQLite would replay it into the new database.
            let log = beside(path, "-wal");
            if log.symlink_metadata().is_ok_and(|metadata| metadata.len() > 0) {
                return Err(SqliteError::OrphanedLog { path: path.to_owned(), log });
            }
            create(path)?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(SqliteError::Missing { path: path.to_owned() });
        }
        Err(error) => return Err(unreachable(path, error)),
    }

    let mut connection = connect(path).map_err(|error| failure(path, &error))?;
    // First: whatever is refused below is left as it is.
    log::take_over(&connection)
        .and_then(|()| connection.busy_timeout(options.busy_timeout))
        .map_err(|error| failure(path, &error))?;
    let known = newest_schema();
    let inspect = || inspect(&connection, path, missing);
    let found = match absent {
        Absent::Create => inspect(),
        Absent::Refuse => look_again(inspect),
    };
    let Inspected { schema: found, is_log_left_out } =
        found.map_err(|error| of_log(path, error))?;
    if found < known {
        if absent == Absent::Refuse {
            return Err(SqliteError::OlderSchema { path: path.to_owned(), found });
        }
        copy::before_migration(&connection, path, known)?;
        migrate(path, &mut connection)?;
    }
    configure(&connection)
        // The first to read makes the files of the log.
        .and_then(|()| pragma::<i64>(&connection, "user_version"))
        .map_err(|error| failure(path, &error))?;
    Ok(Opened { connection, is_log_left_out })
}

/// A database that is open.
pub(super) struct Opened {
    pub(super) connection: Connection,
    /// Its log was missing, and what was in it is lost.
    pub(super) is_log_left_out: bool,
}

/// What was found before anything is changed.
struct Inspected {
    schema: i64,
    is_log_left_out: bool,
}

/// A running server may write to the log, or begin a new one, just while somebody else looks.
pub(super) fn look_again<T>(
    mut look: impl FnMut() -> Result<T, SqliteError>,
) -> Result<T, SqliteError> {
    let mut found = look();
    for _ in 0..LOOKS {
        if let Err(SqliteError::ForeignLog { .. } | SqliteError::DamagedLog { .. }) = found {
            found = look();
        }
    }
    found
}

/// It is the log that is wrong, if the database makes sense without it.
pub(super) fn of_log(path: &Path, error: SqliteError) -> SqliteError {
    match error {
        SqliteError::Damaged { .. } | SqliteError::Foreign { .. }
            if generation::is_sound_without_log(path) =>
        {
            generation::foreign_log(path)
        }
        other => other,
    }
}

/// Its schema, if it is one of ours, and its log belongs to it.
fn inspect(
    connection: &Connection,
    path: &Path,
    missing: Missing,
) -> Result<Inspected, SqliteError> {
    let (schema, mut is_log_left_out) = (known_schema(connection, path)?, false);
    if schema >= WITH_GENERATIONS {
        match generation::check(connection, path) {
            Err(SqliteError::LogMissing { .. }) if missing == Missing::Accept => {
                is_log_left_out = true;
                tracing::warn!(
                    name: "database_log_left_out",
                    path = %path.display(),
                    "going on without the log that is missing: letters, users, suspensions, limits of users and bans \
                     that came last, and were in it alone, are lost; `waxwing-server audit show` has what was decided"
                );
            }
            checked => checked?,
        }
    }
    Ok(Inspected { schema, is_log_left_out })
}

/// No server uses it any more.
#[cfg(feature = "postgres")]
pub(super) fn mark_as_moved(connection: &Connection) -> Result<(), Fault> {
    Ok(connection.pragma_update(None, "application_id", MOVED_ID)?)
}

/// The newest schema that this program knows.
pub(super) fn newest_schema() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Its schema, if it is one of ours.
pub(super) fn schema(connection: &Connection, path: &Path) -> Result<i64, SqliteError> {
    let found: i32 = pragma(connection, "application_id").map_err(|e| failure(path, &e))?;
    match found {
        APPLICATION_ID => {}
        MOVED_ID => return Err(SqliteError::Moved { path: path.to_owned() }),
        _ => return Err(SqliteError::Foreign { path: path.to_owned() }),
    }
    match pragma(connection, "user_version").map_err(|e| failure(path, &e))? {
        ..0 => {
            let what = "the number of its schema is none".to_owned();
            Err(SqliteError::Damaged { path: path.to_owned(), what })
        }
        version => Ok(version),
    }
}

/// Its schema, if it is one of ours that this program can use: one that it knows, or a later one that
/// says so.
pub(super) fn known_schema(connection: &Connection, path: &Path) -> Result<i64, SqliteError> {
    let (found, known) = (schema(connection, path)?, newest_schema());
    if found <= known {
        return Ok(found);
    }
    let about = About::read(connection).map_err(|e| failure(path, &e))?;
    match about {
        Some(about) if about.min_reader <= known => Ok(found),
        about => {
            let written_by = about.map(|about| about.written_by);
            Err(SqliteError::NewerSchema { path: path.to_owned(), found, known, written_by })
        }
    }
}

/// Makes the file under another name and renames it when it is complete, so that a half-made
/// one is never taken for a database.
fn create(path: &Path) -> Result<(), SqliteError> {
    let draft = beside(path, ".new");
    draft_file(&draft).map_err(|error| unreachable(path, error))?;
    generation::forget(path).map_err(|error| unreachable(path, error))?;

    let mut connection = connect(&draft).map_err(|error| failure(path, &error))?;
    connection
        .pragma_update(None, "application_id", APPLICATION_ID)
        .map_err(|error| failure(path, &error))?;
    migrate(path, &mut connection)?;
    // Last, so that nothing is in the log: SQLite keeps it to itself when the log cannot be
    // brought into the file that is closed, and the log is not renamed.
    configure(&connection).map_err(|error| failure(path, &error))?;
    connection.close().map_err(|(_, error)| failure(path, &error))?;

    put_in_place(&draft, path).map_err(|error| unreachable(path, error))
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

pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// For a look at what the file holds by itself.
pub(super) fn connect_without_log(path: &Path) -> rusqlite::Result<Connection> {
    let mut uri = b"file:".to_vec();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'%' | b'?' | b'#' => uri.extend(format!("%{byte:02x}").bytes()),
            _ => uri.push(*byte),
        }
    }
    uri.extend(b"?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(OsStr::from_bytes(&uri), flags)
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

fn migrate(path: &Path, connection: &mut Connection) -> Result<(), SqliteError> {
    Migrations::from_slice(MIGRATIONS).to_latest(connection).map_err(|error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => failure(path, &err),
        other => {
            SqliteError::Unreachable { path: path.to_owned(), what: format!("schema: {other}") }
        }
    })
}

/// Brings a copy up to date, which nobody uses.
pub(super) fn migrate_copy(path: &Path) -> Result<(), SqliteError> {
    let mut copy = connect(path).map_err(|error| failure(path, &error))?;
    if known_schema(&copy, path)? < newest_schema() {
        migrate(path, &mut copy)?;
    }
    copy.close().map_err(|(_, error)| failure(path, &error))
}

fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> rusqlite::Result<T> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// Refuses what somebody else can change, what is no file of its own, and a rollback journal: a
/// database of ours never has one, and SQLite would play another's back into it.
pub(super) fn refuse_strange_files(path: &Path) -> Result<(), SqliteError> {
    for suffix in ["", "-wal", "-shm", "-journal", "-generation"] {
        let file = beside(path, suffix);
        let metadata = match fs::symlink_metadata(&file) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(unreachable(&file, error)),
        };
        let what = if suffix == "-journal" {
            Some("it is no file of this server's; move it away".into())
        } else if !metadata.is_file() {
            Some("it has to be a plain file, and no link to one".into())
        } else {
            access::others_can_change(&file, &metadata).or_else(|| is_closed(&file))
        };
        if let Some(what) = what {
            return Err(unreachable(&file, what));
        }
    }
    Ok(())
}

/// Why this process may not use a file; SQLite would not say so.
fn is_closed(file: &Path) -> Option<String> {
    let denied = rustix::fs::access(file, Access::READ_OK | Access::WRITE_OK).err();
    denied
        .filter(|error| *error == Errno::ACCESS)
        .map(|error| access::cannot_open(file, &error.into()))
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

/// The error for the operator when a file cannot be reached.
pub(super) fn unreachable(path: &Path, why: impl ToString) -> SqliteError {
    SqliteError::Unreachable { path: path.to_owned(), what: why.to_string() }
}

/// The error for the operator when a file cannot be used.
pub(super) fn failure(path: &Path, error: &rusqlite::Error) -> SqliteError {
    let (path, what) = (path.to_owned(), error.to_string());
    match primary_code(error) {
        Some(ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB) | None => {
            SqliteError::Damaged { path, what }
        }
        Some(_) => SqliteError::Unreachable { path, what },
    }
}

/// As [`failure`], when something could not be written.
pub(super) fn not_applied(path: &Path, error: ApplyError) -> SqliteError {
    match error {
        ApplyError::Corrupt(what) => SqliteError::Damaged { path: path.to_owned(), what },
        other => unreachable(path, other),
    }
}

/// As [`failure`].
pub(super) fn fault(path: &Path, fault: Fault) -> SqliteError {
    match fault {
        Fault::Sqlite(error) => failure(path, &error),
        Fault::Refused(what) | Fault::Damaged(what) => {
            SqliteError::Damaged { path: path.to_owned(), what }
        }
    }
}
