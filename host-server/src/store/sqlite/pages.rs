//! Whether pages of a database are damaged, read beside the server that uses it.
//!
//! One table is read after the other, each in a transaction of its own: nobody has to wait for it, and the
//! log of the server does not grow for long.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::SqliteError;
use super::open::{beside, connect_without_log, failure, unreachable};
use crate::store::Pages;

/// After the time is over, what still runs is told so this often.
const AGAIN: Duration = Duration::from_millis(50);

/// Reads the database at `path` for so long at most; somebody uses it, or nobody does. Nothing is changed, and no
/// file is made beside it.
pub(in super::super) fn look(
    path: &Path,
    is_used: bool,
    patience: Duration,
) -> Result<Pages, SqliteError> {
    let log = beside(path, "-wal");
    let has_log = log.metadata().map_or(0, |log| log.len()) > 0;
    if has_log && !is_used {
        let what = "the server was not stopped in order, so what came last is in the log beside it and not in it \
                    yet: `waxwing-server run --check` reads all of it";
        return Err(unreachable(path, what));
    }
    let failed = |error| failure(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        if is_used { Connection::open_with_flags(path, flags) } else { connect_without_log(path) };
    let connection = connection.map_err(failed)?;
    let deadline = Instant::now() + patience;
    // Without their names nothing could be said: that is not cut short.
    let tables = tables(&connection).map_err(failed)?;
    let unread = ended_by(&connection, deadline, || read(&connection, tables, deadline));
    let unread = unread.map_err(failed)?;
    match unread {
        Read::Damage(what) => Err(SqliteError::Damaged { path: path.to_owned(), what }),
        Read::Sound(unread) if unread.is_empty() => Ok(Pages::Sound),
        Read::Sound(unread) => Ok(Pages::Unread(unread)),
    }
}

enum Read {
    Damage(String),
    /// But for these tables, for which there was no time.
    Sound(Vec<String>),
}

/// The names of all tables. What may be large comes last.
fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut select = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' \
         ORDER BY name = 'pending_messages', name = 'undelivered_messages', name",
    )?;
    select.query_map([], |row| row.get(0))?.collect()
}

fn read(connection: &Connection, tables: Vec<String>, deadline: Instant) -> rusqlite::Result<Read> {
    let mut unread = Vec::new();
    for table in tables {
        if Instant::now() >= deadline {
            unread.push(table);
            continue;
        }
        match damage(connection, &table) {
            Ok(None) => {}
            Ok(Some(what)) => return Ok(Read::Damage(format!("{table}: {what}"))),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                unread.push(table);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Read::Sound(unread))
}

fn damage(connection: &Connection, table: &str) -> rusqlite::Result<Option<String>> {
    let mut found = None;
    let read = connection.pragma(None, "quick_check", table, |row| {
        let line: String = row.get(0)?;
        if line != "ok" {
            found.get_or_insert(line);
        }
        Ok(())
    });
    match read {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
            Ok(Some(error.to_string()))
        }
        read => read.map(|()| found),
    }
}

/// Does something with a connection that ends with an error if it is not done by then.
fn ended_by<T>(connection: &Connection, deadline: Instant, work: impl FnOnce() -> T) -> T {
    let handle = connection.get_interrupt_handle();
    thread::scope(|scope| {
        let (going_on, ended) = channel::<()>();
        scope.spawn(move || {
            let mut pause = deadline.saturating_duration_since(Instant::now());
            while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                handle.interrupt();
                pause = AGAIN;
            }
        });
        let done = work();
        drop(going_on);
        done
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::FileExt;
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;
    use crate::store::{SqliteOptions, SqliteStorage, Storage};

    const LONG: Duration = Duration::from_secs(60);

    /// A database that was closed in order.
    fn closed() -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("waxwing.db");
        let storage = SqliteStorage::open(&path, &SqliteOptions::default()).unwrap();
        Box::new(storage).close().unwrap();
        (directory, path)
    }

    #[test]
    fn a_page_that_is_damaged_is_found_whether_somebody_uses_the_database_or_not() {
        let (directory, path) = closed();
        let files = || fs::read_dir(directory.path()).unwrap().count();
        let before = files();
        assert_eq!(look(&path, false, LONG).unwrap(), Pages::Sound);
        assert_eq!(files(), before);
        let root: u32 = {
            let database = connect_without_log(&path).unwrap();
            let select = "SELECT rootpage FROM sqlite_schema WHERE name = 'pending_messages'";
            database.query_row(select, [], |row| row.get(0)).unwrap()
        };
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&[0xff; 64], u64::from(root - 1) * 4_096).unwrap();
        for is_used in [false, true] {
            let found = look(&path, is_used, LONG).unwrap_err();
            assert!(matches!(found, SqliteError::Damaged { .. }), "{found}");
            assert!(found.to_string().contains("pending_messages"), "{found}");
        }
    }

    #[test]
    fn what_there_is_no_time_for_is_named() {
        let (_directory, path) = closed();
        let Pages::Unread(tables) = look(&path, false, Duration::ZERO).unwrap() else {
            panic!("there was time")
        };
        assert_eq!(tables.last().unwrap(), "pending_messages");
    }

    #[test]
    fn what_is_in_a_log_that_nobody_has_brought_in_is_not_judged() {
        let (_directory, path) = closed();
        fs::write(beside(&path, "-wal"), [0; 64]).unwrap();
        let found = look(&path, false, LONG).unwrap_err();
        assert!(found.to_string().contains("run --check"), "{found}");
    }
}
