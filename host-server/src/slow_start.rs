//! What a start that takes long is at work on. Storage says it, and the service manager hears of it. A process
//! starts once.

use std::sync::{Mutex, PoisonError};

static AT_WORK_ON: Mutex<Option<String>> = Mutex::new(None);

/// Notes how far the start is.
pub(crate) fn note(what: String) {
    *AT_WORK_ON.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
}

/// How far it is, if anything was noted.
pub(crate) fn noted() -> Option<String> {
    AT_WORK_ON.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
