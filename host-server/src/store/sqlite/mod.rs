//! Storage in one SQLite file.
//!
//! WAL with `synchronous=FULL`: a commit is one fsync of the log. Every write runs in a
//! transaction that [`transaction`](SqliteStorage::transaction) opens and that has ended, one
//! way or the other, when it returns.

mod admin;
mod copy;
mod fault;
mod log;
mod open;
mod reads;
mod writes;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use waxwing_core::server::storage::{Answer, Batch, Question, Snapshot};
use waxwing_core::time::UnixTime;

use super::{ApplyError, Storage, StorageError};
use crate::failpoint::Failpoint;
use fault::Fault;

/// How to open a database.
#[derive(Clone, Copy, Debug)]
pub struct SqliteOptions {
    /// How long a write waits for another process that has locked the file.
    pub busy_timeout: Duration,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { busy_timeout: Duration::from_millis(250) }
    }
}

/// A database file.
#[derive(Debug)]
pub struct SqliteStorage {
    connection: Connection,
    path: PathBuf,
    max_log_pages: u32,
}

impl SqliteStorage {
    /// Opens the database at `path`; makes it if there is none, and brings an older one up to
    /// date.
    ///
    /// # Errors
    /// Refuses a damaged file, one with a newer schema, and one that is no Waxwing database.
    pub fn open(path: &Path, options: &SqliteOptions) -> Result<Self, StorageError> {
        Self::open_or(path, options, open::Absent::Create)
    }

    /// Opens the database at `path` as it is.
    ///
    /// # Errors
    /// As [`SqliteStorage::open`], and when there is none or it has an older schema.
    pub fn open_existing(path: &Path, options: &SqliteOptions) -> Result<Self, StorageError> {
        Self::open_or(path, options, open::Absent::Refuse)
    }

    /// Sets the number of pages of 4 KiB that the file may grow to; for tests of a full disk.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn set_max_pages(&mut self, pages: u32) -> Result<(), StorageError> {
        self.connection
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .map_err(|error| open::failure(&self.path, &error))
    }

    /// Sets the number of pages after which the log is brought into the database; for tests with
    /// few letters.
    pub const fn set_max_log_pages(&mut self, pages: u32) {
        self.max_log_pages = pages;
    }

    /// Bytes in the file that deleted letters have left. They are not given back to the system,
    /// but used again.
    #[must_use]
    pub fn reusable_bytes(&self) -> Option<u64> {
        let pragma = |name| {
            let value: i64 =
                self.connection.pragma_query_value(None, name, |row| row.get(0)).ok()?;
            u64::try_from(value).ok()
        };
        Some(pragma("freelist_count")?.saturating_mul(pragma("page_size")?))
    }

    fn open_or(
        path: &Path,
        options: &SqliteOptions,
        absent: open::Absent,
    ) -> Result<Self, StorageError> {
        let connection = open::open(path, options, absent)?;
        Ok(Self { connection, path: path.to_owned(), max_log_pages: log::MAX_PAGES })
    }

    /// Runs `work` in a transaction: all of it is durable when this returns, or nothing of it
    /// has happened, or the error is a fatal one.
    fn transaction<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, ApplyError> {
        let connection = &self.connection;
        run(connection, "BEGIN IMMEDIATE").map_err(ApplyError::from)?;
        let ended = work(connection).map_err(ApplyError::from).and_then(|value| {
            Failpoint::BeforeCommit.pass();
            run(connection, "COMMIT").map(|()| value).map_err(Fault::into_commit_error)
        });
        Failpoint::AfterCommit.pass();
        // SQLite may have rolled back by itself; if not, it has to be done, and to succeed.
        if ended.is_err() && !connection.is_autocommit() {
            let undone = run(connection, "ROLLBACK");
            if undone.is_err() || !connection.is_autocommit() {
                return Err(ApplyError::Fatal("a failed transaction cannot be undone".into()));
            }
        }
        let value = ended?;
        log::shorten(connection, self.max_log_pages)?;
        Ok(value)
    }
}

fn run(connection: &Connection, sql: &'static str) -> Result<(), Fault> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

impl Storage for SqliteStorage {
    fn load(&mut self, rested_before: UnixTime) -> Result<Snapshot, StorageError> {
        reads::snapshot(&self.connection, rested_before)
            .map_err(|fault| open::fault(&self.path, fault))
    }

    fn apply(&mut self, batches: &[Arc<Batch>]) -> Result<(), ApplyError> {
        if batches.iter().all(|batch| batch.writes.is_empty()) {
            return Ok(());
        }
        self.transaction(|connection| writes::apply(connection, batches))
    }

    fn answer(&mut self, question: &Question) -> Result<Answer, ApplyError> {
        match question {
            Question::Letters { recipient, after, max_letters, max_bytes } => {
                reads::letters(&self.connection, *recipient, *after, *max_letters, *max_bytes)
                    .map_err(ApplyError::from)
            }
            Question::Usage { recipient } => reads::usage(&self.connection, *recipient)
                .map(Answer::Usage)
                .map_err(ApplyError::from),
            Question::Fates { asker, letters } => reads::fates(&self.connection, *asker, letters)
                .map(Answer::Fates)
                .map_err(ApplyError::from),
            Question::Expire { shard, accepted_before, forget_before, now, limit } => self
                .transaction(|connection| {
                    writes::forget(connection, *forget_before)?;
                    writes::expire(connection, *shard, *accepted_before, *now, *limit)
                })
                .map(Answer::Expired),
        }
    }

    fn check(&mut self) -> Result<(), StorageError> {
        let findings =
            reads::findings(&self.connection).map_err(|error| open::failure(&self.path, &error))?;
        if findings.is_empty() {
            return Ok(());
        }
        Err(StorageError::Damaged { path: self.path.clone(), what: findings.join("; ") })
    }

    fn free_disk(&self) -> Option<u64> {
        let directory = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let system = rustix::fs::statvfs(directory.unwrap_or(Path::new("."))).ok()?;
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        Some(free.saturating_add(self.reusable_bytes()?))
    }

    fn tidy(&mut self) -> Result<(), ApplyError> {
        log::empty(&self.connection).map_err(ApplyError::from)
    }

    fn close(mut self: Box<Self>) -> Result<(), StorageError> {
        let tidied = self.tidy();
        let Self { connection, path, .. } = *self;
        if tidied.is_ok() {
            log::hand_back(&connection).map_err(|error| open::failure(&path, &error))?;
        }
        connection.close().map_err(|(_, error)| open::failure(&path, &error))?;
        tidied.map_err(|error| StorageError::Unreachable { path, what: error.to_string() })
    }
}
