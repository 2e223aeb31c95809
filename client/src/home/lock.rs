//! Who holds the session: one process per home.

use std::fs::{File, TryLockError};

use super::database::lock_file;
use super::directory::io;
use super::{Home, HomeError};

const FILE: &str = "session.lock";

/// The right to connect as this home's user, until it is dropped or the process ends.
///
/// Whoever does not get it works through the database: it queues letters in the outbox, which
/// the holder sends, and reads the letters that the holder stores.
#[derive(Debug)]
#[must_use = "dropping it gives the session to the next process that asks"]
pub struct SessionLock {
    _file: File,
}

impl Home {
    /// Takes the session; `None` while another process, or another part of this one, has it.
    ///
    /// # Errors
    /// [`HomeError::Io`] when the lock file cannot be used.
    pub fn try_lock_session(&self) -> Result<Option<SessionLock>, HomeError> {
        let path = self.dir().join(FILE);
        let file = lock_file(&path).map_err(|source| io(&path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(SessionLock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(io(&path, source)),
        }
    }
}
