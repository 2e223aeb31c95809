//! Storage in one SQLite file.
//!
//! WAL with `synchronous=FULL`: a commit is one fsync of the log. Every write runs in a
//! transaction that [`transaction`](SqliteStorage::transaction) opens and that has ended, one
//! way or the other, when it returns.

mod about;
mod admin;
mod bans;
mod copier;
mod copy;
mod damaged;
mod error;
mod examine;
mod fault;
mod files;
mod generation;
mod leaves;
mod log;
mod log_care;
#[cfg(feature = "postgres")]
mod moving;
mod open;
mod open_database;
mod open_log;
mod owner;
mod pages;
mod personal;
mod reads;
mod recovery;
mod restore;
mod salvage;
mod writes;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use waxwing_core::id::UserId;
use waxwing_core::server::storage::{Answer, Batch, ExpiredLetter, Question, QueueId, Snapshot};
use waxwing_core::time::UnixTime;

use super::{ApplyError, Storage, StorageError};
use crate::clock;
use crate::failpoint::Failpoint;
pub(super) use about::{key_of, look, why_refused};
pub use error::SqliteError;
pub(super) use examine::examine;
use fault::Fault;
use files::OpenFiles;
use generation::Note;
use log_care::LogCare;
#[cfg(feature = "postgres")]
pub(super) use moving::{Draft, File, is_used};
use open_database::OpenDatabase;
use open_log::OpenLog;
pub(super) use pages::look as look_at_pages;
use reads::Page;
pub use salvage::Salvage;

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

/// Storage in a database file of SQLite.
#[derive(Debug)]
pub struct SqliteStorage {
    connection: Connection,
    path: PathBuf,
    files: OpenFiles,
    log: OpenLog,
    database: OpenDatabase,
    /// The next commit begins a new log.
    begins_log: Cell<bool>,
    max_log_pages: u32,
    care: Arc<LogCare>,
}

impl SqliteStorage {
    /// Opens the database at `path`; makes it if there is none, and brings an older one up to
    /// date.
    ///
    /// # Errors
    /// Refuses a damaged file, one with a newer schema, one that is no Waxwing database, and one
    /// whose log is missing or another's.
    pub fn open(path: &Path, options: &SqliteOptions) -> Result<Self, SqliteError> {
        Self::open_for_use(path, options, open::Missing::Refuse)
    }

    /// As [`SqliteStorage::open`], but goes on with what the database alone holds when its log is
    /// missing.
    ///
    /// # Errors
    /// As [`SqliteStorage::open`].
    pub fn open_without_log(path: &Path, options: &SqliteOptions) -> Result<Self, SqliteError> {
        Self::open_for_use(path, options, open::Missing::Accept)
    }

    /// Opens the database at `path` as it is.
    ///
    /// # Errors
    /// As [`SqliteStorage::open`], and when there is none or it has an older schema.
    pub fn open_existing(path: &Path, options: &SqliteOptions) -> Result<Self, SqliteError> {
        Self::open_or(path, options, open::Absent::Refuse, open::Missing::Refuse)
            .map(|(storage, _)| storage)
    }

    /// Sets the number of pages of 4 KiB that the file may grow to; for tests of a full disk.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn set_max_pages(&mut self, pages: u32) -> Result<(), SqliteError> {
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

    fn open_for_use(
        path: &Path,
        options: &SqliteOptions,
        log: open::Missing,
    ) -> Result<Self, SqliteError> {
        let (storage, is_log_left_out) = Self::open_or(path, options, open::Absent::Create, log)?;
        match storage.begin_use() {
            // It may be full or locked now, and not when there is something to be stored.
            Err(error) if error.outcome().is_some() => {
                tracing::warn!(name: "storage_unavailable", %error, "storage does not take it");
            }
            begun => begun.map_err(|error| open::not_applied(path, error))?,
        }
        if is_log_left_out {
            storage
                .transaction(|connection| salvage::guard(connection, clock::unix_now()))
                .map_err(|error| open::not_applied(path, error))?;
        }
        Ok(storage)
    }

    /// The storage, and whether its log was left out.
    fn open_or(
        path: &Path,
        options: &SqliteOptions,
        absent: open::Absent,
        log: open::Missing,
    ) -> Result<(Self, bool), SqliteError> {
        let open::Opened { connection, is_log_left_out } = open::open(path, options, absent, log)?;
        let files = OpenFiles::of(path).map_err(|(file, error)| open::unreachable(&file, error))?;
        let log = OpenLog::open(open::beside(path, "-wal"))
            .map_err(|error| open::unreachable(path, error))?;
        let database = OpenDatabase::open(path, &connection)
            .map_err(|error| open::not_applied(path, error))?;
        let (path, begins_log) = (path.to_owned(), Cell::new(true));
        let max_log_pages = log::MAX_PAGES;
        let care = Arc::default();
        let storage =
            Self { connection, path, files, log, database, begins_log, max_log_pages, care };
        Ok((storage, is_log_left_out))
    }

    /// Sound letters of a mailbox. Damaged ones on the way to them are set aside.
    fn letters(
        &self,
        recipient: UserId,
        after: QueueId,
        max_letters: usize,
        max_bytes: usize,
    ) -> Result<Answer, ApplyError> {
        let mut set_aside = Vec::new();
        loop {
            let page = reads::letters(&self.connection, recipient, after, max_letters, max_bytes)?;
            let Page { letters, damaged, exhausted } = page;
            if damaged.is_empty() {
                return Ok(Answer::Letters { letters, damaged: set_aside, exhausted });
            }
            let now = clock::unix_now();
            set_aside.extend(
                self.transaction(|connection| damaged::set_aside(connection, &damaged, now))?,
            );
        }
    }

    /// Removes letters. Deleted pages are overwritten, so that a removal makes the log longer. If there is no room
    /// for that, the log is brought into the database, and the removal uses the room that the log has.
    fn remove(
        &self,
        work: impl Fn(&Connection) -> Result<Vec<ExpiredLetter>, Fault>,
    ) -> Result<Answer, ApplyError> {
        let removed = match self.transaction(&work) {
            Err(refused @ ApplyError::Refused(_)) if !self.care.is_with_copier() => {
                match self.end_log() {
                    Ok(true) => self.transaction(&work),
                    Err(error) if error.outcome().is_none() => return Err(error),
                    Ok(false) | Err(_) => Err(refused),
                }
            }
            removed => removed,
        };
        removed.map(Answer::Expired)
    }

    /// Brings it into the database file that it is in use, so that a copy of this file alone is known
    /// for what it is.
    fn begin_use(&self) -> Result<(), ApplyError> {
        self.transaction(about::sign)?;
        if self.end_log()? {
            self.transaction(|_| Ok(()))?;
        }
        Ok(())
    }

    /// Brings all of the log into the database. Whether the next commit is sure to begin a new one;
    /// it may in any case, even after an error.
    fn end_log(&self) -> Result<bool, ApplyError> {
        self.begins_log.set(true);
        Ok(log::end(&self.connection)?)
    }

    /// Puts everything in order and lets go: no log is left.
    fn end(self) -> Result<(), SqliteError> {
        let (path, ended) = self.let_go()?;
        ended.map_err(|error| open::not_applied(&path, error))
    }

    /// Lets go, and says how the last commit went.
    fn let_go(self) -> Result<(PathBuf, Result<(), ApplyError>), SqliteError> {
        let ended = self.end_use();
        let Self { connection, path, .. } = self;
        if ended.is_ok() {
            log::hand_back(&connection).map_err(|error| open::failure(&path, &error))?;
        }
        connection.close().map_err(|(_, error)| open::failure(&path, &error))?;
        Ok((path, ended))
    }

    /// Runs `work` in a transaction: all of it is durable when this returns, or nothing of it
    /// has happened, or the error is a fatal one.
    fn transaction<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, ApplyError> {
        let (note, value) = self.commit(|connection| {
            if self.care.begins_log() {
                self.begins_log.set(true);
            }
            let begins = self.begins_log.get();
            let note = begins.then(|| self.begin_generation(connection, true)).transpose()?;
            Ok((note, work(connection)?))
        })?;
        let note = match (note, self.log.is_another()?) {
            (None, true) => self.adopt_log()?,
            (note, _) => note,
        };
        if let Some(note) = note {
            self.begins_log.set(false);
            self.note(&note);
        }
        if !self.care.is_with_copier() && log::shorten(&self.connection, self.max_log_pages)? {
            self.begins_log.set(true);
        }
        Ok(value)
    }

    fn begin_generation(&self, connection: &Connection, is_in_use: bool) -> Result<Note, Fault> {
        let note = generation::begin(connection, is_in_use)?;
        self.database.expect(note.id());
        Ok(note)
    }

    /// Another program has brought the log before into the database, and a commit that knew nothing
    /// of it has begun the next one.
    fn adopt_log(&self) -> Result<Option<Note>, ApplyError> {
        match self.commit(|connection| self.begin_generation(connection, true)) {
            // What was committed before it is, all the same.
            Err(error) if error.outcome().is_some() => {
                self.begins_log.set(true);
                tracing::warn!(name: "database_log_untied", %error, "a log that another program began is not tied to the database yet");
                Ok(None)
            }
            begun => begun.map(Some),
        }
    }

    fn commit<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, ApplyError> {
        let connection = &self.connection;
        self.care.check()?;
        // What is missing from the log now would be covered up by what is written behind it.
        self.check_content()?;
        run(connection, "BEGIN IMMEDIATE").map_err(ApplyError::from)?;
        let value = match work(connection) {
            Ok(value) => value,
            Err(fault) => {
                self.roll_back()?;
                return Err(fault.into());
            }
        };
        if let Err(fault) = run(connection, "COMMIT") {
            self.roll_back()?;
            return Err(fault.into_commit_error(|| log::ends_as_known(connection, &self.path)));
        }
        // Before anybody is told: what has been committed has to be found by the next start.
        self.files.check()?;
        self.check_content().map_err(|error| match error {
            fatal @ ApplyError::Fatal(_) => fatal,
            other => ApplyError::Fatal(other.to_string()),
        })?;
        Ok(value)
    }

    /// SQLite may have rolled back by itself; if not, it has to be done, and to succeed.
    fn roll_back(&self) -> Result<(), ApplyError> {
        if !self.connection.is_autocommit() {
            let undone = run(&self.connection, "ROLLBACK");
            if undone.is_err() || !self.connection.is_autocommit() {
                return Err(ApplyError::Fatal("a failed transaction cannot be undone".into()));
            }
        }
        Ok(())
    }

    /// Whether no other program has written to the files what SQLite does not know.
    fn check_content(&self) -> Result<(), ApplyError> {
        self.database.check(&self.connection)?;
        self.log.check(|| {
            let pages = log::pages(&self.connection).map_err(Fault::from)?;
            Ok(u64::try_from(pages).unwrap_or(0))
        })
    }

    /// Without this note a database without its log is refused, and nothing else depends on it.
    fn note(&self, note: &Note) {
        if let Err(error) = note.write(&self.path) {
            tracing::warn!(name: "database_log_untied", %error, "the generation of the log could not be noted");
        }
    }

    /// The last commit: no log is needed after it.
    fn end_use(&self) -> Result<(), ApplyError> {
        self.files.check()?;
        let note = self.commit(|connection| self.begin_generation(connection, false))?;
        self.note(&note);
        Ok(log::empty(&self.connection)?)
    }
}

fn run(connection: &Connection, sql: &'static str) -> Result<(), Fault> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

impl Storage for SqliteStorage {
    fn load(&mut self, rested_before: UnixTime) -> Result<Snapshot, StorageError> {
        let snapshot = reads::snapshot(&self.connection, rested_before);
        Ok(snapshot.map_err(|fault| open::fault(&self.path, fault))?)
    }

    fn apply(&mut self, batches: &[Arc<Batch>]) -> Result<(), ApplyError> {
        if batches.iter().all(|batch| batch.writes.is_empty()) {
            return Ok(());
        }
        let applied = self.transaction(|connection| {
            writes::apply(connection, batches)?;
            Failpoint::BeforeCommit.pass();
            Ok(())
        });
        Failpoint::AfterCommit.pass();
        applied
    }

    fn answer(&mut self, question: &Question) -> Result<Answer, ApplyError> {
        match question {
            Question::Letters { recipient, after, max_letters, max_bytes } => {
                self.letters(*recipient, *after, *max_letters, *max_bytes)
            }
            Question::Usage { recipient } => reads::usage(&self.connection, *recipient)
                .map(Answer::Usage)
                .map_err(ApplyError::from),
            Question::Fates { asker, letters } => reads::fates(&self.connection, *asker, letters)
                .map(Answer::Fates)
                .map_err(ApplyError::from),
            Question::Expire { shard, accepted_before, forget_before, now, limit } => {
                self.remove(|connection| {
                    writes::forget(connection, *forget_before)?;
                    writes::forget_suspensions(connection, *now)?;
                    writes::expire(connection, *shard, *accepted_before, *now, *limit)
                })
            }
            Question::TakeOut { recipient, accepted_before, now, limit } => {
                self.remove(|connection| {
                    writes::take_out(connection, *recipient, *accepted_before, *now, *limit)
                })
            }
        }
    }

    fn check(&mut self) -> Result<(), StorageError> {
        let findings =
            reads::findings(&self.connection).map_err(|error| open::failure(&self.path, &error))?;
        if findings.is_empty() {
            return Ok(());
        }
        Err(SqliteError::Damaged { path: self.path.clone(), what: findings.join("; ") }.into())
    }

    fn free_disk(&self) -> Option<u64> {
        let directory = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let system = rustix::fs::statvfs(directory.unwrap_or(Path::new("."))).ok()?;
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        Some(free.saturating_add(self.reusable_bytes()?))
    }

    fn tidy(&mut self) -> Result<bool, ApplyError> {
        self.care.check()?;
        self.files.check()?;
        if self.care.is_with_copier() || !self.end_log()? {
            return Ok(false);
        }
        // What was deleted from the database goes from the log with the rest of it.
        log::cut_off(&self.connection, true).map_err(Fault::from)?;
        let begun = self.transaction(|_| Ok(()));
        log::cut_off(&self.connection, false).map_err(Fault::from)?;
        begun.map(|()| true)
    }

    fn close(self: Box<Self>) -> Result<(), StorageError> {
        Failpoint::BeforeClosing.pass();
        let (path, ended) = self.let_go()?;
        match ended {
            // As on a full disk. Whoever is asked to stop has stopped all the same, and is not to be started again.
            Err(error) if error.outcome().is_some() => {
                let path = path.display();
                tracing::warn!(name: "database_log_left", %path, %error, "the log could not be brought into the database: the next start does that, and nothing is lost");
                Ok(())
            }
            ended => Ok(ended.map_err(|error| open::not_applied(&path, error))?),
        }
    }
}
