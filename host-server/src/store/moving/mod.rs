//! From SQLite to PostgreSQL, and back, while no server runs.
//!
//! All rows are copied in order; then those of the copy are read and compared. When the copy is whole, and
//! safe, the storage that they come from becomes *moved*, which no server uses, and **after that** the copy
//! is opened for use: at no moment are there two. Whatever ends it between two steps, the same command goes
//! on from there.

mod restored;
mod table;

use std::path::Path;
use std::time::Duration;

pub use restored::Restored;
pub use table::Sum;
pub(super) use table::{Kind, Row, TABLES, Table, Value};

use super::postgres::{self, Moving, PostgresOptions, State};
use super::shared::{Epoch, Witness, WitnessFile};
use super::sqlite::{self, Draft, File};
use super::{SqliteOptions, StorageError, engine};
use crate::clock::{self, SystemClock};
use crate::config::Config;
use crate::data_dir::LockedDataDir;

/// Rows that go together, at most, and the bytes in them after which no more do.
const ROWS: usize = 500;
const BYTES: usize = 1 << 20;
/// How long an answer about many rows may take, at least.
const PATIENCE: Duration = Duration::from_secs(30);

/// One of the two storages.
pub(super) trait Side {
    /// Reads all rows of a table in order.
    fn read(
        &mut self,
        table: &'static Table,
        take: &mut dyn FnMut(Row) -> Result<(), StorageError>,
    ) -> Result<(), StorageError>;

    /// The highest place that was ever given to a letter.
    fn last_place(&mut self) -> Result<i64, StorageError>;
}

/// The one that is empty.
pub(super) trait Target {
    /// Adds rows to a table, behind those that are there.
    fn write(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<(), StorageError>;

    /// From now on this is the highest place that was ever given to a letter.
    fn set_last_place(&mut self, place: i64) -> Result<(), StorageError>;
}

/// Copies everything from the file in the data directory to the database, or goes on with that.
///
/// # Errors
/// When one of them cannot be used, is used by a server, or the database is not empty.
pub fn to_database(
    config: &Config,
    directory: &LockedDataDir,
    url: &str,
) -> Result<Sum, StorageError> {
    let mut target = Moving::connect(options(config, directory, url)?)?;
    let mut source = File::open(&super::place(directory), &of_file(config))?;
    let copied = match (source.is_moved(), target.state()) {
        (false, State::Nothing | State::Copying) => {
            target.begin_copy()?;
            let read = copy(&mut source, &mut target)?;
            target.end_copy()?;
            expect_same(&read, &target.sum()?)?;
            source.move_away()?;
            read
        }
        (false, _) => {
            return Err(misplaced(
                "the database of that URL is not empty: a server uses it, or has used it. Give the URL of \
                 another one; or, if nothing in there is needed any more, empty it with: DROP SCHEMA waxwing \
                 CASCADE",
            ));
        }
        (true, State::Copying | State::Open) => {
            let read = sum(&mut source)?;
            if read != target.sum()? {
                return Err(already());
            }
            read
        }
        (true, _) => return Err(already()),
    };
    let witness = WitnessFile::open(&directory.witness(), SystemClock::start());
    let witness = witness.map_err(|error| StorageError::Misplaced(error.into()))?;
    let after_witnessed = Epoch::default().adopted(witness.mark());
    target.open(Epoch::of_copy(clock::unix_now()).max(after_witnessed))?;
    Ok(copied)
}

/// Copies everything from the database to a file in the data directory, or goes on with that.
///
/// # Errors
/// When one of them cannot be used, is used by a server, or the data directory has a database.
pub fn from_database(
    config: &Config,
    directory: &LockedDataDir,
    url: &str,
) -> Result<Sum, StorageError> {
    let mut source = Moving::connect(options(config, directory, url)?)?;
    let (path, of_file) = (super::place(directory), of_file(config));
    match source.state() {
        State::Open => {
            if sqlite::is_used(&path, &of_file)? {
                let path = path.display();
                let why = format!(
                    "{path} is there already. Give another data directory; or, if nothing in it is needed any \
                     more, move {path}, {path}-wal, {path}-shm and {path}-generation away"
                );
                return Err(StorageError::Misplaced(why.into()));
            }
            source.begin_move()?;
            let draft = Draft::make(&path, &of_file)?;
            let read = draft.fill(&mut source)?;
            expect_same(&read, &sum(&mut Draft::look(&path)?)?)?;
            source.move_away()?;
            Draft::put_in_place(&path)?;
            Ok(read)
        }
        State::Moved => go_on(&path, &of_file, &mut source),
        State::Nothing => {
            Err(misplaced("there is nothing of a server in the database of that URL"))
        }
        State::Copying => Err(misplaced(
            "not everything is in the database of that URL: a copy to it was interrupted. Go on with that \
             one, in the other direction",
        )),
        State::Doubtful => Err(misplaced(
            "the database of that URL lacks what it had confirmed: bring back the newer one, or first run \
             waxwing-server storage adopt",
        )),
    }
}

/// The database is *moved*: the copy in the data directory may have its place already.
fn go_on(path: &Path, of_file: &SqliteOptions, source: &mut Moving) -> Result<Sum, StorageError> {
    let read = source.sum()?;
    if Draft::is_there(path) {
        expect_same(&read, &sum(&mut Draft::look(path)?)?)?;
        Draft::put_in_place(path)?;
        return Ok(read);
    }
    if !sqlite::is_used(path, of_file)? || sum(&mut File::open(path, of_file)?)? != read {
        return Err(already());
    }
    Ok(read)
}

/// Refuses what is no URL of a database. Nobody notes a URL before that: one that is refused may have a password in
/// it.
///
/// # Errors
/// Says what is wrong with it, without the URL.
pub fn check_url(url: &str) -> Result<(), StorageError> {
    let refused = |why| StorageError::Settings(format!("the URL cannot be used: {why}").into());
    postgres::parse(url).map(drop).map_err(refused)
}

fn options(
    config: &Config,
    directory: &LockedDataDir,
    url: &str,
) -> Result<PostgresOptions, StorageError> {
    check_url(url)?;
    let mut config = config.clone();
    config.storage.url = url.into();
    let mut options = engine::options(&config, directory)?;
    options.place.called = "that URL";
    Ok(PostgresOptions { timeout: options.timeout.max(PATIENCE), ..options })
}

const fn of_file(config: &Config) -> SqliteOptions {
    SqliteOptions { busy_timeout: config.storage.busy_timeout }
}

/// Everything that is there.
pub(super) fn sum(side: &mut dyn Side) -> Result<Sum, StorageError> {
    let mut sum = Sum::default();
    for (number, table) in TABLES.iter().enumerate() {
        side.read(table, &mut |row| {
            sum.add(number, &row);
            Ok(())
        })?;
    }
    sum.add_last_place(side.last_place()?);
    Ok(sum)
}

/// Copies everything, and says what it was.
pub(super) fn copy(from: &mut dyn Side, to: &mut dyn Target) -> Result<Sum, StorageError> {
    let mut sum = Sum::default();
    for (number, table) in TABLES.iter().enumerate() {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        from.read(table, &mut |row| {
            sum.add(number, &row);
            bytes += row.iter().map(size).sum::<usize>();
            rows.push(row);
            if rows.len() < ROWS && bytes < BYTES {
                return Ok(());
            }
            bytes = 0;
            to.write(table, std::mem::take(&mut rows))
        })?;
        if !rows.is_empty() {
            to.write(table, rows)?;
        }
    }
    let place = from.last_place()?;
    sum.add_last_place(place);
    to.set_last_place(place)?;
    Ok(sum)
}

fn size(value: &Value) -> usize {
    match value {
        Value::Nothing | Value::Number(_) => 8,
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
    }
}

/// The copy has to have what was read.
fn expect_same(read: &Sum, copied: &Sum) -> Result<(), StorageError> {
    if read == copied {
        return Ok(());
    }
    let why = format!(
        "the copy is not what was copied: {} rows were read, and {} are in it, or some of them are others. \
         Nothing is lost, and the copy is not used: look for damage, and repeat the command",
        read.rows(),
        copied.rows()
    );
    Err(misplaced(&why))
}

fn misplaced(why: &str) -> StorageError {
    StorageError::Misplaced(why.into())
}

fn already() -> StorageError {
    misplaced(
        "it was moved before, and its copy is used, or is somewhere else: what is here is old. Look which \
         storage the servers use",
    )
}
