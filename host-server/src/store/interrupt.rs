//! Ending long work of a storage before its time.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Has work end soon, from another thread.
#[derive(Default)]
pub struct Interrupt {
    is_asked: AtomicBool,
    /// Ends what the engine is doing now.
    running: Mutex<Option<End>>,
}

type End = Box<dyn Fn() + Send>;

impl Interrupt {
    /// What is under way, and what begins from now on, ends with an error.
    pub fn ask(&self) {
        self.is_asked.store(true, Ordering::SeqCst);
        if let Some(end) = &*self.running() {
            end();
        }
    }

    /// Whether [`Interrupt::ask`] was called.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::SeqCst)
    }

    /// Does work that `end` ends.
    pub(crate) fn during<T>(&self, end: impl Fn() + Send + 'static, work: impl FnOnce() -> T) -> T {
        *self.running() = Some(Box::new(end));
        if self.is_asked() {
            self.ask();
        }
        let done = work();
        *self.running() = None;
        done
    }

    fn running(&self) -> MutexGuard<'_, Option<End>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt").field("is_asked", &self.is_asked()).finish_non_exhaustive()
    }
}
