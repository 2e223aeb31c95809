//! A copy of the database while it is in use.
//!
//! The copier has connections of its own. A transaction that reads keeps it at the state of one moment,
//! whatever is committed meanwhile, so that a copy in many steps never has to begin again, and can be
//! stopped between two of them. Nobody but SQLite opens the database: whoever closes any descriptor of
//! it gives up all the locks of the process on it.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode};

use super::error::SqliteError;
use super::fault::Fault;
use super::log_care::{LogCare, Taken};
use super::open::{connect, failure, unreachable};
use super::{SqliteStorage, copy, log, reads};
use crate::store::{ApplyError, Copied, Copier, Interrupt, StorageError};

/// Pages of 4 KiB that are copied and then synced: 4 MiB. A commit of the server that comes meanwhile waits
/// for the disk to take them. With 16 MiB it waits for twice as long, and the copy is no faster.
const STEP_PAGES: i32 = 1_024;
/// How often the log is brought in, so that what has come meanwhile is little.
const ROUNDS: usize = 8;
/// How long to wait for a commit of the server.
const PATIENCE: Duration = Duration::from_secs(5);

/// Copies a database that a [`SqliteStorage`] of this process has open.
#[derive(Debug)]
struct SqliteCopier {
    path: PathBuf,
    care: Arc<LogCare>,
}

impl SqliteCopier {
    fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = connect(&self.path)?;
        log::take_over(&connection)?;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -256)?;
        Ok(connection)
    }

    fn copy_all(
        &self,
        draft: &Path,
        watch: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, SqliteError> {
        let Some(taken) = self.care.take() else {
            return Err(unreachable(&self.path, "it is being copied already"));
        };
        let failed = |error| failure(&self.path, &error);
        let source = self.connect().map_err(failed)?;
        let copied = self.snapshot(&source).map_err(failed).and_then(|()| {
            let copied = write(&source, draft, watch);
            // What is wrong with a file is not known here: it may be either.
            copied.map_err(|error| unreachable(draft, format!("it cannot be written: {error}")))
        });
        source.execute_batch("ROLLBACK").map_err(failed)?;
        self.bring_in(&source, &taken);
        drop(taken);
        if copied?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        copy::finish(draft).map_err(|error| failure(draft, &error))?;
        Ok(ControlFlow::Continue(()))
    }

    /// From now on the connection sees the state of this moment.
    fn snapshot(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")
    }

    /// Brings in the log that has grown. A failure is one of the whole server.
    fn bring_in(&self, reader: &Connection, taken: &Taken<'_>) {
        let brought =
            self.connect().map_err(Fault::from).map_err(ApplyError::from).and_then(|worker| {
                for _ in 0..ROUNDS {
                    if log::waiting(&worker).map_err(Fault::from)? < log::MAX_PAGES.into() {
                        break;
                    }
                    self.bring_in_once(reader, &worker, taken)?;
                }
                Ok(())
            });
        match brought {
            Ok(()) => {}
            Err(error) if error.outcome().is_some() => {
                tracing::warn!(name: "backup_log_left", %error, "the write-ahead log that has grown is left to the server");
            }
            Err(error) => {
                tracing::error!(name: "backup_log_stuck", %error, "the write-ahead log cannot be brought in");
                taken.fail(error);
            }
        }
    }

    /// As long as somebody reads the newest state, no commit can begin a new log. A commit that begins
    /// one has to write a generation into it, so those that do not know it yet are waited for first.
    fn bring_in_once(
        &self,
        reader: &Connection,
        worker: &Connection,
        taken: &Taken<'_>,
    ) -> Result<(), ApplyError> {
        self.snapshot(reader).map_err(Fault::from)?;
        let brought = log::bring_in(worker).map_err(ApplyError::from);
        taken.let_begin_log();
        let waited = loop {
            match worker.execute_batch("BEGIN IMMEDIATE; ROLLBACK") {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
                waited => break waited,
            }
        };
        let ended = reader.execute_batch("ROLLBACK");
        brought?;
        waited.and(ended).map_err(Fault::from)?;
        Ok(())
    }
}

impl Copied for SqliteStorage {
    fn copier(&self) -> Box<dyn Copier> {
        let (path, care) = (self.path.clone(), Arc::clone(&self.care));
        Box::new(SqliteCopier { path, care })
    }
}

impl Copier for SqliteCopier {
    fn size(&self) -> Result<u64, StorageError> {
        let size = || -> rusqlite::Result<u64> {
            let connection = self.connect()?;
            let pragma =
                |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
            Ok(u64::from(pragma("page_count")?) * u64::from(pragma("page_size")?))
        };
        Ok(size().map_err(|error| failure(&self.path, &error))?)
    }

    fn copy(
        &self,
        draft: &Path,
        watch: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StorageError> {
        Ok(self.copy_all(draft, watch)?)
    }

    fn check(&self, interrupt: &Interrupt) -> Result<(), StorageError> {
        let failed = |error| failure(&self.path, &error);
        let connection = self.connect().map_err(failed)?;
        let handle = connection.get_interrupt_handle();
        let findings =
            interrupt.during(move || handle.interrupt(), || reads::findings(&connection));
        match findings.map_err(failed)? {
            none if none.is_empty() => Ok(()),
            some => {
                let (path, what) = (self.path.clone(), some.join("; "));
                Err(SqliteError::Damaged { path, what }.into())
            }
        }
    }
}

/// What is copied is on the disk after each step; SQLite has nothing to sync.
fn write(
    source: &Connection,
    draft: &Path,
    watch: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, WriteError> {
    let file = File::options().write(true).open(draft)?;
    let mut copy = connect(draft)?;
    copy.pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(()))?;
    copy.pragma_update(None, "synchronous", "OFF")?;
    copy.pragma_update(None, "cache_size", -1_024)?;
    let page: u32 = source.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let pages = |count: i32| u64::from(count.unsigned_abs()) * u64::from(page);
    let backup = Backup::new(source, &mut copy)?;
    loop {
        let step = backup.step(STEP_PAGES)?;
        file.sync_data()?;
        let progress = backup.progress();
        let all = pages(progress.pagecount);
        match step {
            StepResult::Done => break,
            StepResult::More => {}
            // Nobody else has anything to do with either of them.
            _ => return Err(io::Error::from(io::ErrorKind::ResourceBusy).into()),
        }
        if watch(all - pages(progress.remaining), all).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    drop(backup);
    // Before the file is closed, which gives up SQLite's locks on it.
    copy.close().map_err(|(_, error)| error)?;
    Ok(ControlFlow::Continue(()))
}

#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    System(#[from] io::Error),
}
