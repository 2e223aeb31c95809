//! Who prints letters that nobody has printed: one process per home.

use std::fs::{File, TryLockError};

use super::database::lock_file;
use super::directory::io;
use super::{Home, HomeError};

const FILE: &str = "printing.lock";

/// The right to print letters that nobody has printed, and to note that they are, until it is
/// dropped or the process ends. A process that dies between the two leaves them as they were: they
/// are printed once more.
#[derive(Debug)]
#[must_use = "dropping it lets the next process print the same letters"]
pub struct PrintingLock {
    _file: File,
}

impl Home {
    /// Takes the right to print; `None` while another process, or another part of this one, has it.
    ///
    /// # Errors
    /// [`HomeError::Io`] when the lock file cannot be used.
    pub fn try_lock_printing(&self) -> Result<Option<PrintingLock>, HomeError> {
        let path = self.dir().join(FILE);
        let file = lock_file(&path).map_err(|source| io(&path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(PrintingLock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(io(&path, source)),
        }
    }
}
