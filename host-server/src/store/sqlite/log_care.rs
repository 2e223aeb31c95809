//! Who brings the write-ahead log into the database: storage after its commits, or a copier beside it.
//!
//! A copier reads the state of one moment, and as long as it does, only what was written before that
//! can be brought in. What has gathered meanwhile would then be brought in by the next commit, and
//! somebody would wait for it. So the copier takes the log over, brings it in, and gives it back.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::store::ApplyError;

/// Shared by a storage and its copiers.
#[derive(Debug, Default)]
pub(super) struct LogCare {
    is_with_copier: AtomicBool,
    /// The next commit may begin a new log.
    begins_log: AtomicBool,
    /// Why a copier could not bring the log in. Nobody may try again: see `log.rs`.
    failed: OnceLock<ApplyError>,
}

impl LogCare {
    /// Storage leaves the log alone until the value is dropped. `None` while another copier has it.
    pub(super) fn take(&self) -> Option<Taken<'_>> {
        let was_taken = self.is_with_copier.swap(true, Ordering::SeqCst);
        (!was_taken).then_some(Taken(self))
    }

    pub(super) fn is_with_copier(&self) -> bool {
        self.is_with_copier.load(Ordering::SeqCst)
    }

    /// Whether a copier has brought all of the log in since the last call. Asked inside a transaction.
    pub(super) fn begins_log(&self) -> bool {
        self.begins_log.swap(false, Ordering::SeqCst)
    }

    /// Fatal once a copier has failed to bring the log in.
    pub(super) fn check(&self) -> Result<(), ApplyError> {
        self.failed.get().cloned().map_or(Ok(()), Err)
    }
}

/// A copier has the log.
pub(super) struct Taken<'a>(&'a LogCare);

impl Taken<'_> {
    /// Commits that are not under way yet know that they may begin a new log.
    pub(super) fn let_begin_log(&self) {
        self.0.begins_log.store(true, Ordering::SeqCst);
    }

    /// The process has to stop.
    pub(super) fn fail(&self, error: ApplyError) {
        // The first reason is the one that counts.
        let _ = self.0.failed.set(error);
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.is_with_copier.store(false, Ordering::SeqCst);
    }
}
