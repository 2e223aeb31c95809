//! A database file that is copied to another storage, or is the copy of one.

use std::path::{Path, PathBuf};

use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{Connection, ErrorCode, params_from_iter};

use super::error::SqliteError;
use super::fault::Fault;
use super::{SqliteOptions, SqliteStorage, log, open, recovery, restore};
use crate::store::StorageError;
use crate::store::moving::{self, Kind, Row, Side, Sum, Table, Target, Value};

/// Of a database in whose place another storage's copy is.
const MOVED: &str = "moved";

/// A database whose content goes to another storage.
pub(in crate::store) struct File {
    path: PathBuf,
    database: Database,
}

enum Database {
    Used(Box<SqliteStorage>),
    /// All of it has gone there.
    Moved(Connection),
}

impl File {
    /// The one at `path`.
    pub(in crate::store) fn open(
        path: &Path,
        options: &SqliteOptions,
    ) -> Result<Self, StorageError> {
        let database = match SqliteStorage::open_existing(path, options) {
            Err(SqliteError::Moved { .. }) => {
                let failed = |error| open::failure(path, &error);
                let connection = open::connect(path).map_err(failed)?;
                log::take_over(&connection).map_err(failed)?;
                Database::Moved(connection)
            }
            used => Database::Used(Box::new(used?)),
        };
        Ok(Self { path: path.to_owned(), database })
    }

    pub(in crate::store) const fn is_moved(&self) -> bool {
        matches!(self.database, Database::Moved(_))
    }

    /// No server uses it any more.
    pub(in crate::store) fn move_away(self) -> Result<(), StorageError> {
        let Self { path, database: Database::Used(storage) } = self else { return Ok(()) };
        storage
            .transaction(open::mark_as_moved)
            .map_err(|error| open::not_applied(&path, error))?;
        Ok(storage.end()?)
    }

    fn connection(&self) -> &Connection {
        match &self.database {
            Database::Used(storage) => &storage.connection,
            Database::Moved(connection) => connection,
        }
    }
}

impl Side for File {
    fn read(
        &mut self,
        table: &'static Table,
        take: &mut dyn FnMut(Row) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        read(self.connection(), &self.path, table, take)
    }

    fn last_place(&mut self) -> Result<i64, StorageError> {
        last_place(self.connection(), &self.path)
    }
}

/// Whether a database is at `path` that was not moved.
pub(in crate::store) fn is_used(
    path: &Path,
    options: &SqliteOptions,
) -> Result<bool, StorageError> {
    if path.symlink_metadata().is_err() {
        return Ok(false);
    }
    Ok(!File::open(path, options)?.is_moved())
}

/// A copy that has not its place yet.
pub(in crate::store) struct Draft {
    path: PathBuf,
    storage: SqliteStorage,
}

impl Draft {
    fn path(place: &Path) -> PathBuf {
        open::beside(place, ".copied")
    }

    /// An empty one, for this place.
    pub(in crate::store) fn make(
        place: &Path,
        options: &SqliteOptions,
    ) -> Result<Self, StorageError> {
        let path = Self::path(place);
        for suffix in ["-wal", "-shm", "-generation", ""] {
            let stale = open::beside(&path, suffix);
            recovery::remove(&stale).map_err(|error| open::unreachable(&stale, error))?;
        }
        let storage = SqliteStorage::open(&path, options)?;
        Ok(Self { path, storage })
    }

    /// Everything from there, in one commit.
    pub(in crate::store) fn fill(self, from: &mut dyn Side) -> Result<Sum, StorageError> {
        let Self { path, storage } = self;
        let mut failed = None;
        let filled = storage.transaction(|connection| {
            moving::copy(from, &mut Writer { connection, path: &path }).map_err(|error| {
                let why = error.to_string();
                failed = Some(error);
                Fault::Refused(why)
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let sum = filled.map_err(|error| open::not_applied(&path, error))?;
        storage.end()?;
        Ok(sum)
    }

    /// Whether there is one for this place that may be whole.
    pub(in crate::store) fn is_there(place: &Path) -> bool {
        Self::path(place).symlink_metadata().is_ok()
    }

    /// What was written.
    pub(in crate::store) fn look(place: &Path) -> Result<impl Side + use<>, StorageError> {
        let path = Self::path(place);
        let connection =
            open::connect_without_log(&path).map_err(|error| open::failure(&path, &error))?;
        open::known_schema(&connection, &path)?;
        Ok(Written { path, connection })
    }

    /// It is the database from now on. A moved one that is there is set aside.
    pub(in crate::store) fn put_in_place(place: &Path) -> Result<(), StorageError> {
        restore::replace(place, &Self::path(place), MOVED).map(drop)
    }
}

struct Written {
    path: PathBuf,
    connection: Connection,
}

impl Side for Written {
    fn read(
        &mut self,
        table: &'static Table,
        take: &mut dyn FnMut(Row) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        read(&self.connection, &self.path, table, take)
    }

    fn last_place(&mut self) -> Result<i64, StorageError> {
        last_place(&self.connection, &self.path)
    }
}

struct Writer<'c> {
    connection: &'c Connection,
    path: &'c Path,
}

impl Target for Writer<'_> {
    fn write(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<(), StorageError> {
        let marks = vec!["?"; table.columns.len()].join(", ");
        let (name, names) = (table.name, table.names());
        let insert = format!("INSERT INTO {name} ({names}) VALUES ({marks})");
        let write = || -> rusqlite::Result<()> {
            let mut insert = self.connection.prepare_cached(&insert)?;
            for row in rows {
                insert.execute(params_from_iter(row.into_iter().map(stored)))?;
            }
            Ok(())
        };
        write().map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => {
                let why = format!(
                    "a row of {name} does not go with the others of the database that is copied: {error}; that \
                     database is not whole: bring its backup back again, into an empty database"
                );
                StorageError::Misplaced(why.into())
            }
            _ => open::failure(self.path, &error).into(),
        })
    }

    fn set_last_place(&mut self, place: i64) -> Result<(), StorageError> {
        let set = self.connection.execute("UPDATE queue_mark SET last_queue_id = ?", [place]);
        set.map(drop).map_err(|error| open::failure(self.path, &error).into())
    }
}

fn stored(value: Value) -> Stored {
    match value {
        Value::Nothing => Stored::Null,
        Value::Number(number) => Stored::Integer(number),
        Value::Text(text) => Stored::Text(text),
        Value::Bytes(bytes) => Stored::Blob(bytes),
    }
}

fn read(
    connection: &Connection,
    path: &Path,
    table: &'static Table,
    take: &mut dyn FnMut(Row) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let failed = |error: rusqlite::Error| open::failure(path, &error);
    let (names, name, order) = (table.names(), table.name, table.order);
    let select = format!("SELECT {names} FROM {name} ORDER BY {order}");
    let mut select = connection.prepare(&select).map_err(failed)?;
    let mut rows = select.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let mut values = Row::with_capacity(table.columns.len());
        for (at, (column, kind)) in table.columns.iter().enumerate() {
            let found = row.get_ref(at).map_err(failed)?;
            values.push(match value(found, *kind) {
                Some(value) => value,
                None if table.is_damaged => Value::Nothing,
                None => return Err(damaged(path, name, column)),
            });
        }
        take(values)?;
    }
    Ok(())
}

/// `None` where it is none of this kind.
fn value(found: ValueRef<'_>, kind: Kind) -> Option<Value> {
    match (found, kind) {
        (ValueRef::Null, _) => Some(Value::Nothing),
        (ValueRef::Integer(number), Kind::Long) => Some(Value::Number(number)),
        (ValueRef::Integer(number), Kind::Short) => {
            i32::try_from(number).is_ok().then_some(Value::Number(number))
        }
        (ValueRef::Integer(number @ 0..=1), Kind::Flag) => Some(Value::Number(number)),
        (ValueRef::Text(bytes), Kind::Text) => {
            let text = str::from_utf8(bytes).ok()?;
            // PostgreSQL has no text with this byte.
            (!text.contains('\0')).then(|| Value::Text(text.into()))
        }
        (ValueRef::Blob(bytes), Kind::Bytes) => Some(Value::Bytes(bytes.into())),
        _ => None,
    }
}

fn damaged(path: &Path, table: &str, column: &str) -> StorageError {
    let what = format!(
        "{column} of a row of {table} makes no sense; start a server with it once, with --recover, and stop it"
    );
    SqliteError::Damaged { path: path.to_owned(), what }.into()
}

fn last_place(connection: &Connection, path: &Path) -> Result<i64, StorageError> {
    let place = connection.query_row("SELECT last_queue_id FROM queue_mark", [], |row| row.get(0));
    place.map_err(|error| open::failure(path, &error).into())
}
