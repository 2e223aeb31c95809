//! The product's storage behind the simulated world's disk, with books about what it has said.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use waxwing_core::server::storage::{Answer, Batch, Outcome, Question, Snapshot};
use waxwing_core::time::UnixTime;
use waxwing_server::store::{SqliteOptions, SqliteStorage, Storage, StorageError};
use waxwing_testkit::disk::Backing;
use waxwing_testkit_sqlite::FaultyDisk;

use crate::books::Books;

/// No lock of these tests passes by itself.
const OPTIONS: SqliteOptions = SqliteOptions { busy_timeout: Duration::ZERO };
/// So few that the log is brought into the database every now and then.
const LOG_PAGES: u32 = 24;

/// Shared by the world's disk and the service.
#[derive(Clone)]
pub(crate) struct Archive(Rc<RefCell<Inner>>);

struct Inner {
    path: PathBuf,
    disk: Rc<FaultyDisk>,
    storage: Option<SqliteStorage>,
    books: Books,
}

impl Archive {
    pub(crate) fn new(directory: &Path, disk: Rc<FaultyDisk>, books: Books) -> Self {
        let path = directory.join("waxwing.db");
        Self(Rc::new(RefCell::new(Inner { path, disk, storage: None, books })))
    }

    /// Opens the database as a server does at its start. Then what is stored is held against what
    /// was promised.
    pub(crate) fn open(&self) -> Result<Snapshot, StorageError> {
        let Inner { path, disk, storage, books } = &mut *self.0.borrow_mut();
        let mut opened = SqliteStorage::open(path, &OPTIONS)?;
        opened.set_max_log_pages(LOG_PAGES);
        let snapshot = opened.load(UnixTime::from_seconds(0))?;
        disk.aside(|| books.compare(&mut SqliteStorage::open_existing(path, &OPTIONS).unwrap()));
        *storage = Some(opened);
        Ok(snapshot)
    }

    /// The full check.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        self.0.borrow_mut().storage.as_mut().unwrap().check()
    }

    /// `false` when the process has to stop.
    pub(crate) fn tidy(&self) -> bool {
        let tidied = self.0.borrow_mut().storage.as_mut().unwrap().tidy();
        tidied.is_ok() || tidied.is_err_and(|error| error.outcome().is_some())
    }

    pub(crate) fn close(&self) -> Result<(), StorageError> {
        let storage = self.0.borrow_mut().storage.take().unwrap();
        Box::new(storage).close()
    }

    /// The process ends as it does after a fatal failure.
    pub(crate) fn abandon(&self) {
        self.0.borrow_mut().storage = None;
    }

    pub(crate) fn books<T>(&self, look: impl FnOnce(&Books) -> T) -> T {
        look(&self.0.borrow().books)
    }

    /// The books, for the next place.
    pub(crate) fn take_books(&self) -> Books {
        std::mem::take(&mut self.0.borrow_mut().books)
    }
}

/// As the storage thread tells the machine.
impl Backing for Archive {
    fn apply(&mut self, batch: &Arc<Batch>) -> Option<Outcome> {
        let Inner { storage, books, .. } = &mut *self.0.borrow_mut();
        let ended = storage.as_mut().unwrap().apply(std::slice::from_ref(batch));
        let outcome = ended.map_or_else(|error| error.outcome(), |()| Some(Outcome::Done));
        books.applied(batch, outcome);
        outcome
    }

    fn answer(&mut self, question: &Question) -> Option<Answer> {
        let Inner { storage, books, .. } = &mut *self.0.borrow_mut();
        let answer = match storage.as_mut().unwrap().answer(question) {
            Ok(answer) => Some(answer),
            Err(error) => error.outcome().map(|_| Answer::Unavailable),
        };
        books.answered(question, answer.as_ref());
        answer
    }
}
