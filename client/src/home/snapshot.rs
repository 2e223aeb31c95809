//! A home that cannot be written, read all the same: on a read-only file system, on a disk that is full, or in a
//! directory that is closed against changes.
//!
//! A database in WAL mode wants to write even when it is only read. So a copy of it in memory is
//! read instead, with what the log beside it has. No lock can be taken there; that nothing has
//! changed meanwhile is seen by the files.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{Access, access};

use super::database::{beside, current, refused, version};
use super::directory::io;
use super::{HomeError, recovery};

/// How often the copy is made anew because the home has changed meanwhile.
const ATTEMPTS: usize = 5;

/// Whether the system lets this process write both.
pub(super) fn is_writable(dir: &Path, file: &Path) -> bool {
    [dir, file].into_iter().all(|path| access(path, Access::WRITE_OK).is_ok())
}

/// The database as it is now, in memory, in the newest schema.
pub(super) fn take(file: &Path) -> Result<Connection, HomeError> {
    for _ in 0..ATTEMPTS {
        let before = Files::of(file)?;
        let copied = copy(file, &before);
        if Files::of(file)? == before {
            let connection = current(file, copied?)?;
            // It would be lost.
            connection.pragma_update(None, "query_only", "ON")?;
            return Ok(connection);
        }
    }
    Err(io(file, io::Error::other("another program writes it all the time; try again in a moment")))
}

fn copy(file: &Path, files: &Files) -> Result<Connection, HomeError> {
    recovery::check_log(file)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| refused(file, error);
    let source = if files.log.as_ref().is_some_and(|log| log.len > 0) {
        // Without locks and by itself, SQLite keeps the index of the log in memory.
        let source =
            Connection::open_with_flags_and_vfs(file, flags, c"unix-none").map_err(failed)?;
        source.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        source.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
        source
    } else {
        let flags = flags | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(unchanging(file), flags).map_err(failed)?
    };
    version(file, &source)?;
    let mut copy = Connection::open_in_memory()?;
    let step = Backup::new(&source, &mut copy)?.step(-1).map_err(failed)?;
    if step == StepResult::Done { Ok(copy) } else { Err(io(file, ErrorKind::ResourceBusy.into())) }
}

/// The name by which SQLite believes that nobody changes the file.
fn unchanging(file: &Path) -> String {
    let path = file.as_os_str().as_encoded_bytes();
    let encoded: String = path
        .iter()
        .map(|byte| match byte {
            b'/' | b'.' | b'-' | b'_' => char::from(*byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
            byte => format!("%{byte:02x}"),
        })
        .collect();
    format!("file:{encoded}?immutable=1")
}

/// What changes when the database or its log does.
#[derive(PartialEq, Eq)]
struct Files {
    database: Option<State>,
    log: Option<State>,
}

#[derive(PartialEq, Eq)]
struct State {
    inode: u64,
    len: u64,
    changed: (i64, i64),
}

impl Files {
    fn of(file: &Path) -> Result<Self, HomeError> {
        let state = |path: &Path| match fs::metadata(path) {
            Ok(found) => Ok(Some(State {
                inode: found.ino(),
                len: found.len(),
                changed: (found.mtime(), found.mtime_nsec()),
            })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(io(path, source)),
        };
        Ok(Self { database: state(file)?, log: state(&beside(file, "-wal"))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    use waxwing_core::id::Uid;
    use waxwing_core::phone::Phone;
    use waxwing_core::time::UnixTime;

    use crate::home::{Home, Writing};

    const FILE: &str = "waxwing.db";

    fn write(home: &Home, uid: u8) {
        let phone = Phone::parse(b"+4915112345602").unwrap();
        let (writing, now) = (Writing::text("hi").unwrap(), UnixTime::from_seconds(0));
        home.outbox().queue(&Uid([uid; 16]), &phone, &writing, now).unwrap();
    }

    fn letters(connection: &Connection) -> i64 {
        connection.query_one("SELECT count(*) FROM outbox", [], |row| row.get(0)).unwrap()
    }

    fn names(dir: &Path) -> Vec<PathBuf> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_in_the_log_alone_is_read_and_nothing_is_written() {
        let root = tempfile::tempdir().unwrap();
        let (home_dir, copied) = (root.path().join("a %?#ä"), root.path().join("copied"));
        let home = Home::create(&home_dir).unwrap();
        write(&home, 1);
        write(&home, 2);
        fs::create_dir(&copied).unwrap();
        for name in [FILE, "waxwing.db-wal"] {
            fs::copy(home_dir.join(name), copied.join(name)).unwrap();
        }
        for dir in [&home_dir, &copied] {
            let file = dir.join(FILE);
            let (before, bytes) = (names(dir), fs::read(&file).unwrap());
            assert_eq!(letters(&take(&file).unwrap()), 2);
            assert_eq!((names(dir), fs::read(&file).unwrap()), (before, bytes));
        }
        // The home goes on, and closes.
        write(&home, 3);
        assert_eq!(letters(&take(&home_dir.join(FILE)).unwrap()), 3);
        drop(home);
        assert!(!home_dir.join("waxwing.db-wal").exists());
        let before = names(&home_dir);
        let taken = take(&home_dir.join(FILE)).unwrap();
        assert_eq!(letters(&taken), 3);
        assert_eq!(names(&home_dir), before);
        assert!(taken.execute("DELETE FROM outbox", []).is_err());
    }

    #[test]
    fn a_home_of_an_earlier_version_is_read_in_the_newest_schema() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join(FILE);
        let old = Connection::open(&file).unwrap();
        old.execute_batch(include_str!("migrations/0001-initial.sql")).unwrap();
        old.execute_batch("PRAGMA application_id = 1465407304; PRAGMA user_version = 1").unwrap();
        drop(old);
        let bytes = fs::read(&file).unwrap();
        let known = Home::create(&root.path().join("new")).unwrap();
        let newest = version(&file, &known.connection).unwrap();
        assert_eq!(version(&file, &take(&file).unwrap()).unwrap(), newest);
        assert_eq!(fs::read(&file).unwrap(), bytes);
        fs::write(&file, "something else, and long enough to be looked at").unwrap();
        assert!(matches!(take(&file), Err(HomeError::Foreign { .. })));
    }
}
