//! Opening the database of a home, or refusing it.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use rusqlite_migration::{M, Migrations};
use rustix::fs::OFlags;

use super::directory::io;
use super::error::is_full;
use super::{Home, HomeError, SessionLock, recovery, snapshot};

pub(super) const FILE: &str = "waxwing.db";
const DRAFT: &str = "waxwing.db.new";
/// In the names of copies, before the number of the schema that came after them.
const COPY: &str = ".before-schema-";
/// In the names of copies of what was damaged, before the time.
pub(super) const DAMAGED_COPY: &str = ".damaged-";
/// Held while the database is made or brought up to date; several programs may start at once.
const SCHEMA_LOCK: &str = "schema.lock";

/// `WXWH`, in the header of every file of ours.
const APPLICATION_ID: i32 = 0x5758_5748;
const MIGRATIONS: &[M<'_>] = &[
    M::up(include_str!("migrations/0001-initial.sql")),
    M::up(include_str!("migrations/0002-trust.sql")),
    M::up(include_str!("migrations/0003-quotas.sql")),
    M::up(include_str!("migrations/0004-successor.sql")),
    M::up(include_str!("migrations/0005-conversations.sql")),
    M::up(include_str!("migrations/0006-statuses.sql")),
    M::up(include_str!("migrations/0007-programs.sql")),
    M::up(include_str!("migrations/0008-totals.sql")),
];
pub(super) const OWNER_ONLY: u32 = 0o600;
/// Another program of the same home commits within milliseconds; this is for a machine that
/// was asleep.
const BUSY: Duration = Duration::from_secs(10);

/// How long another program may take to bring the home up to date, and how often that is looked at.
const UPGRADE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(20);

/// The file can be made smaller bit by bit, which takes little room: for `auto_vacuum`.
pub(super) const SHRINKS_IN_STEPS: &str = "INCREMENTAL";

/// Bytes that the log keeps of the disk when all of it is in the database.
const LOG: i64 = 4 * 1_024 * 1_024;

/// What to do when there is no database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    Create,
    Refuse,
}

pub(super) fn open(dir: &Path, absent: Absent) -> Result<Connection, HomeError> {
    let file = dir.join(FILE);
    if !exists(&file)? {
        if absent == Absent::Refuse {
            return Err(HomeError::Missing { dir: dir.to_owned() });
        }
        let _held = lock_schema(dir)?;
        if !exists(&file)? {
            create(dir, &file)?;
        }
    }
    if !snapshot::is_writable(dir, &file) {
        return Err(HomeError::ReadOnly { dir: dir.to_owned() });
    }
    keep_to_owner(&file).map_err(|source| io(&file, source))?;

    recovery::check_log(&file)?;
    let mut connection = connect(&file)?;
    let found = version(&file, &connection)?;
    // Only now is it known to be ours, and may be changed.
    configure(&connection).map_err(|error| refused(&file, error))?;
    if found < known_version() {
        let _held = lock_schema(dir)?;
        if version(&file, &connection)? < known_version() {
            upgrade(dir, &file, &mut connection)?;
        }
    }
    Ok(connection)
}

/// Brings the database up to date. Whoever has the session meanwhile is an earlier version, which would
/// not know the new schema.
fn upgrade(dir: &Path, file: &Path, connection: &mut Connection) -> Result<(), HomeError> {
    let Some(_session) = SessionLock::take(dir)? else {
        let pid = Home::session_holder_in(dir).map(|holder| holder.pid);
        return Err(HomeError::UsedByEarlier { dir: dir.to_owned(), pid });
    };
    let size = fs::metadata(file).map_or(0, |metadata| metadata.len());
    let upgraded = keep_copy(dir, file, connection).and_then(|()| migrate(file, connection));
    upgraded.map_err(|error| match error {
        HomeError::Database(cause) if is_full(&cause) => HomeError::NoRoom {
            dir: dir.to_owned(),
            // The copy, the log of the change, and what the index and the new columns take.
            mib: (size.saturating_mul(4) >> 20) + 1,
        },
        other => other,
    })
}

/// Opens the database for reading alone, which is possible in a home that cannot be written.
pub(super) fn open_to_read(dir: &Path) -> Result<Connection, HomeError> {
    let file = dir.join(FILE);
    if exists(&file)? && !snapshot::is_writable(dir, &file) {
        return copy_to_read(dir);
    }
    open(dir, Absent::Refuse)
}

/// What is in the database, read without writing anything into the directory of the home.
pub(super) fn copy_to_read(dir: &Path) -> Result<Connection, HomeError> {
    snapshot::take(&dir.join(FILE))
}

/// A copy that nobody else has, brought up to date.
pub(super) fn current(file: &Path, mut copy: Connection) -> Result<Connection, HomeError> {
    if version(file, &copy)? < known_version() {
        migrate(file, &mut copy)?;
    }
    Ok(copy)
}

pub(super) fn exists(file: &Path) -> Result<bool, HomeError> {
    match fs::metadata(file) {
        // Creation never leaves one, and SQLite would take it for a new database.
        Ok(metadata) if metadata.len() == 0 => {
            Err(HomeError::Damaged { file: file.to_owned(), what: "the file is empty".into() })
        }
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(io(file, source)),
    }
}

pub(super) fn lock_schema(dir: &Path) -> Result<File, HomeError> {
    let path = dir.join(SCHEMA_LOCK);
    let file = lock_file(&path).map_err(|source| io(&path, source))?;
    let deadline = Instant::now() + UPGRADE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) => {
                return Err(HomeError::BeingUpgraded { dir: dir.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(io(&path, source)),
        }
    }
}

/// A file that exists to be locked. A link is not followed, and a pipe is not waited for.
pub(super) fn lock_file(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(false).mode(OWNER_ONLY).custom_flags(flags);
    open.open(path)
}

/// Makes the file under another name and renames it when it is complete, so that a half-made
/// one is never taken for a home.
fn create(dir: &Path, file: &Path) -> Result<(), HomeError> {
    let draft = dir.join(DRAFT);
    let made = draft_file(&draft)
        .map_err(|source| io(&draft, source))
        .and_then(|()| fill(&draft))
        .and_then(|()| put_in_place(dir, &draft, file).map_err(|source| io(file, source)));
    if made.is_err() {
        // It takes up room that may be what was missing.
        let _ = remove_draft(&draft);
    }
    made
}

/// Makes a draft an empty home's database. All of it is in the file itself: a log beside it would keep the
/// name of the draft, and SQLite does not say whether it could put the log into the file in the end.
fn fill(draft: &Path) -> Result<(), HomeError> {
    let mut connection = connect(draft)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "auto_vacuum", SHRINKS_IN_STEPS)?;
    connection.pragma_update_and_check(None, "journal_mode", "MEMORY", |_| Ok(()))?;
    migrate(draft, &mut connection)?;
    // Several that open a new home at once could not change it side by side. Nothing is in the log.
    switch_to_wal(&connection)?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Keeps the database as it is before its schema changes, beside it: an older version of this
/// program cannot read what a newer one makes of it. An earlier copy of that name is replaced.
fn keep_copy(dir: &Path, file: &Path, connection: &Connection) -> Result<(), HomeError> {
    let copy = beside(file, &format!("{COPY}{}", known_version()));
    let draft = beside(&copy, ".new");
    let name = ValueRef::Text(draft.as_os_str().as_encoded_bytes());
    let written = draft_file(&draft).map_err(|source| io(&draft, source)).and_then(|()| {
        connection.execute("VACUUM INTO ?", [ToSqlOutput::Borrowed(name)])?;
        verify(&draft, connection)?;
        put_in_place(dir, &draft, &copy).map_err(|source| io(&copy, source))
    });
    if written.is_err() {
        // It takes up room that may be what was missing.
        let _ = remove_draft(&draft);
    }
    written
}

/// Reads a copy back: SQLite finds nothing wrong with it, and it has the schema of the original.
fn verify(copy: &Path, original: &Connection) -> Result<(), HomeError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(copy, flags)?;
    check_pages(copy, &opened)?;
    if version(copy, &opened)? == version(copy, original)? {
        return Ok(());
    }
    let what = "the copy has another schema than the home".to_owned();
    Err(HomeError::Damaged { file: copy.to_owned(), what })
}

/// Whether SQLite finds nothing wrong with the database.
pub(super) fn check_pages(file: &Path, connection: &Connection) -> Result<(), HomeError> {
    let found: String = connection.query_one("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    match found.as_str() {
        "ok" => Ok(()),
        _ => Err(HomeError::Damaged { file: file.to_owned(), what: found }),
    }
}

/// The copies that were kept, those of logs included.
pub(super) fn copies(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let is_copy = |path: &PathBuf| {
        let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
        let is_of = |rest: &str| [COPY, DAMAGED_COPY].iter().any(|mark| rest.starts_with(mark));
        name.strip_prefix(FILE).is_some_and(is_of)
    };
    let paths = fs::read_dir(dir)?.map(|entry| Ok(entry?.path()));
    paths.filter(|path| path.as_ref().map_or(true, is_copy)).collect()
}

/// An empty file for its owner alone, in place of what an attempt that was cut short has left.
fn draft_file(draft: &Path) -> io::Result<()> {
    remove_draft(draft)?;
    OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(draft)?;
    Ok(())
}

/// Removes it, with the log that an earlier version has left beside it.
fn remove_draft(draft: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        match fs::remove_file(beside(draft, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Gives a complete draft its name, durably.
fn put_in_place(dir: &Path, draft: &Path, file: &Path) -> io::Result<()> {
    File::open(draft)?.sync_all()?;
    fs::rename(draft, file)?;
    File::open(dir)?.sync_all()
}

pub(super) fn connect(file: &Path) -> Result<Connection, HomeError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(file, flags).map_err(|error| refused(file, error))?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    let mode = switch_to_wal(connection)?;
    if mode != "wal" {
        return Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_CANTOPEN),
            Some(format!("the file system does not support WAL (journal mode {mode})")),
        ));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // The log gets small again after a change that was large.
    connection.pragma_update_and_check(None, "journal_size_limit", LOG, |_| Ok(()))?;
    // Old session keys, and letters that are deleted, are overwritten with zeros.
    connection.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))
}

/// The mode that the file is in afterwards. The change is committed when the statement ends, which is after
/// its row.
fn switch_to_wal(connection: &Connection) -> rusqlite::Result<String> {
    let mut pragma = connection.prepare("PRAGMA journal_mode = WAL")?;
    let modes: rusqlite::Result<Vec<String>> = pragma.query_map([], |row| row.get(0))?.collect();
    Ok(modes?.pop().unwrap_or_default())
}

pub(super) fn version(file: &Path, connection: &Connection) -> Result<i64, HomeError> {
    let read = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, found) = (
        read("application_id").map_err(|error| refused(file, error))?,
        read("user_version").map_err(|error| refused(file, error))?,
    );
    if application != i64::from(APPLICATION_ID) {
        return Err(HomeError::Foreign { file: file.to_owned() });
    }
    let known = known_version();
    if found > known {
        return Err(HomeError::NewerSchema { file: file.to_owned(), found, known });
    }
    Ok(found)
}

fn known_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn migrate(file: &Path, connection: &mut Connection) -> Result<(), HomeError> {
    Migrations::from_slice(MIGRATIONS).to_latest(connection).map_err(|error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => refused(file, err),
        other => HomeError::Damaged { file: file.to_owned(), what: other.to_string() },
    })
}

/// `-wal` and `-shm` get the mode of the database when SQLite makes them.
fn keep_to_owner(file: &Path) -> io::Result<()> {
    if fs::metadata(file)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(file, Permissions::from_mode(OWNER_ONLY))?;
    }
    Ok(())
}

pub(super) fn refused(file: &Path, error: rusqlite::Error) -> HomeError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => HomeError::Foreign { file: file.to_owned() },
        Some(ErrorCode::DatabaseCorrupt) => {
            HomeError::Damaged { file: file.to_owned(), what: error.to_string() }
        }
        _ => HomeError::Database(error),
    }
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
