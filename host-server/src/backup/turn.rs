//! Whose turn it is to make a backup: there is one at a time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whether a backup is being made.
#[derive(Debug, Default)]
pub(super) struct Turns {
    is_taken: Mutex<bool>,
    ended: Condvar,
}

/// The turn of one who makes a backup. It ends with the value.
pub(super) struct Turn<'a>(&'a Turns);

impl Turns {
    /// Waits for the turn.
    pub(super) fn take(&self) -> Turn<'_> {
        let taken = self.ended.wait_while(self.is_taken(), |is_taken| *is_taken);
        *taken.unwrap_or_else(PoisonError::into_inner) = true;
        Turn(self)
    }

    /// Whether a backup is being made at this moment.
    pub(super) fn are_taken(&self) -> bool {
        *self.is_taken()
    }

    /// Waits until none is being made, but no longer than this. Whether none is.
    pub(super) fn wait(&self, patience: Duration) -> bool {
        let waited = self.ended.wait_timeout_while(self.is_taken(), patience, |is_taken| *is_taken);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn is_taken(&self) -> MutexGuard<'_, bool> {
        self.is_taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.is_taken() = false;
        self.0.ended.notify_all();
    }
}
