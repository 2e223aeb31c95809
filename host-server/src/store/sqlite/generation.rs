//! Which log belongs to which state of the database.
//!
//! SQLite replays whatever log lies beside a database. One of another state, as it is left when an
//! old copy of the file is put back, or when file and log are copied one after the other, turns the
//! database into a mixture. A log that is missing takes with it what was committed last.
//!
//! So each log begins a *generation*: its first transaction writes a row with a random id, and the
//! id of the generation before. Rows go in turn into two tables, each with a page of its own. While
//! the newest row lies in the log alone, the one before lies in the database file, and the two have
//! to fit. The newest id is also noted in a small file beside the database, which no other program
//! touches: a database that was in use and has no log is complete only if it holds that generation.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row, params};
use waxwing_sqlite_wal::Log;

use super::error::SqliteError;
use super::fault::Fault;
use super::log;
use super::open::{self, OWNER_ONLY, beside, failure};

pub(super) type Id = [u8; 16];

#[derive(Clone, Copy, Debug)]
struct Generation {
    number: i64,
    id: Id,
    previous: Id,
    /// Whether there may be a log that is needed.
    is_in_use: bool,
}

impl Generation {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (number, id, previous, is_in_use) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(Self { number, id, previous, is_in_use })
    }

    fn follows(&self, other: &Self) -> bool {
        self.number == other.number.saturating_add(1) && self.previous == other.id
    }
}

/// The newest and the one before.
fn read(connection: &Connection) -> rusqlite::Result<(Generation, Generation)> {
    // One statement, so that both are of one moment.
    let mut select = connection.prepare_cached(
        "SELECT number, id, previous, is_in_use FROM log_generation_even \
         UNION ALL SELECT number, id, previous, is_in_use FROM log_generation_odd \
         ORDER BY number DESC",
    )?;
    let mut rows = select.query([])?;
    let mut next = || match rows.next()? {
        Some(row) => Generation::read(row),
        None => Err(rusqlite::Error::QueryReturnedNoRows),
    };
    Ok((next()?, next()?))
}

/// The ids of both.
pub(super) fn ids(connection: &Connection) -> rusqlite::Result<[Id; 2]> {
    let (newest, before) = read(connection)?;
    Ok([newest.id, before.id])
}

/// Where both rows are.
pub(super) fn root_pages(connection: &Connection) -> rusqlite::Result<[u32; 2]> {
    let mut select =
        connection.prepare_cached("SELECT rootpage FROM sqlite_schema WHERE name = ?")?;
    let mut page = |table| select.query_row([table], |row| row.get(0));
    Ok([page("log_generation_even")?, page("log_generation_odd")?])
}

/// Begins the next generation, inside a transaction that the caller holds. It is noted when that is
/// committed.
pub(super) fn begin(connection: &Connection, is_in_use: bool) -> Result<Note, Fault> {
    let (newest, _) = read(connection)?;
    let number = newest.number.saturating_add(1);
    let update = if number % 2 == 0 {
        "UPDATE log_generation_even \
         SET number = ?, id = randomblob(16), previous = ?, is_in_use = ? RETURNING id"
    } else {
        "UPDATE log_generation_odd \
         SET number = ?, id = randomblob(16), previous = ?, is_in_use = ? RETURNING id"
    };
    let id = connection
        .prepare_cached(update)?
        .query_row(params![number, newest.id, is_in_use], |row| row.get(0))?;
    Ok(Note(id))
}

/// Marks a copy, which has no log and needs none.
pub(super) fn needs_no_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "UPDATE log_generation_even SET is_in_use = 0; UPDATE log_generation_odd SET is_in_use = 0",
    )
}

/// What is noted beside the database about its newest generation.
pub(super) struct Note(Id);

impl Note {
    pub(super) const fn id(&self) -> Id {
        self.0
    }

    fn file(database: &Path) -> PathBuf {
        beside(database, "-generation")
    }

    fn read(database: &Path) -> Option<Id> {
        let mut id = Id::default();
        File::open(Self::file(database)).ok()?.read_exact_at(&mut id, 0).ok()?;
        Some(id)
    }

    pub(super) fn write(&self, database: &Path) -> io::Result<()> {
        let mut open = OpenOptions::new();
        open.write(true).create(true).truncate(false).mode(OWNER_ONLY);
        let file = open.open(Self::file(database))?;
        file.write_all_at(&self.0, 0)?;
        file.sync_data()
    }
}

/// Nothing is noted about a database that is made anew.
pub(super) fn forget(database: &Path) -> io::Result<()> {
    match fs::remove_file(Note::file(database)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Refuses a database whose log is missing, or another's, before anything is changed.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), SqliteError> {
    let failed = |error| failure(path, &error);
    let (newest, before) = read(connection).map_err(failed)?;
    check_damage(path)?;
    let in_log = log::pages(connection).map_err(failed)?;
    if in_log > 0 {
        return check_log(connection, path, in_log, &newest, &before);
    }
    check_missing_log(path, &newest, &before)
}

/// The same for whoever reads the database without its log, while nobody uses it: what the log begins with is looked
/// for in its bytes.
pub(super) fn check_alone(connection: &Connection, path: &Path) -> Result<(), SqliteError> {
    let failed = |error| failure(path, &error);
    let (newest, before) = read(connection).map_err(failed)?;
    check_damage(path)?;
    let log = beside(path, "-wal");
    // Whoever may not read it cannot say that it is another's.
    let opened = Log::open(&log).and_then(|log| Ok((log.committed()?, log)));
    let Ok((1.., opened)) = opened else {
        return check_missing_log(path, &newest, &before);
    };
    // A log begins with a generation that names the newest one of the file, or is that one if it was brought in.
    let pages = root_pages(connection).map_err(failed)?;
    match opened.has_bytes(pages, &newest.id) {
        Ok(false) => Err(foreign_log(path)),
        Ok(true) | Err(_) => Ok(()),
    }
}

/// Refuses a log that hides what was confirmed. One that is not there, or may not be read, hides nothing.
fn check_damage(path: &Path) -> Result<(), SqliteError> {
    let log = beside(path, "-wal");
    match Log::open(&log).and_then(|log| log.damage()) {
        Ok(Some(_)) => Err(SqliteError::DamagedLog { path: path.to_owned(), log }),
        Ok(None) | Err(_) => Ok(()),
    }
}

fn check_missing_log(
    path: &Path,
    newest: &Generation,
    before: &Generation,
) -> Result<(), SqliteError> {
    if !newest.follows(before) {
        let what = "its notes about its log contradict each other".into();
        return Err(SqliteError::Damaged { path: path.to_owned(), what });
    }
    let noted = Note::read(path);
    let is_up_to_date = noted.is_some_and(|id| id == newest.id || id == newest.previous);
    match newest.is_in_use {
        true if !is_up_to_date => {
            let (path, log) = (path.to_owned(), beside(path, "-wal"));
            // Nothing in it is whole.
            Err(match fs::metadata(&log).is_ok_and(|metadata| metadata.len() > 0) {
                true => SqliteError::DamagedLog { path, log },
                false => SqliteError::LogMissing { path },
            })
        }
        false if noted.is_some() && !is_up_to_date => {
            tracing::warn!(
            name: "database_older",
                path = %path.display(),
                "this is an older database than the one that was here last, or another one: letters \
                 and users that were stored since are not in it"
            );
            Ok(())
        }
        _ => Ok(()),
    }
}

fn check_log(
    connection: &Connection,
    path: &Path,
    in_log: i64,
    newest: &Generation,
    before: &Generation,
) -> Result<(), SqliteError> {
    let table = if newest.number % 2 == 0 { "log_generation_even" } else { "log_generation_odd" };
    let page = connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?", [table], |row| row.get(0))
        .map_err(|error| failure(path, &error))?;
    let log = beside(path, "-wal");
    let count = u64::try_from(in_log).unwrap_or(0);
    let is_in_log = Log::open(&log).and_then(|log| log.has_page(page, count));
    let is_in_log = is_in_log
        .map_err(|error| SqliteError::Unreachable { path: log.clone(), what: error.to_string() })?;
    if newest.follows(before) && is_in_log {
        return Ok(());
    }
    Err(foreign_log(path))
}

/// The refusal of a log that does not continue the database.
pub(super) fn foreign_log(path: &Path) -> SqliteError {
    SqliteError::ForeignLog { path: path.to_owned(), log: beside(path, "-wal") }
}

/// Whether there is a log and, if it is left out, the database makes sense: it is the log then that
/// makes it look damaged.
pub(super) fn is_sound_without_log(path: &Path) -> bool {
    let has_log = fs::metadata(beside(path, "-wal")).is_ok_and(|metadata| metadata.len() > 0);
    has_log && open::connect_without_log(path).and_then(|alone| read(&alone)).is_ok()
}
