//! Waking the loop from other threads.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::Registry;

use crate::slab::reserved;

/// Makes the loop call [`Handler::woken`](crate::Handler::woken), from any thread.
///
/// Calls made before the loop reacts become one. Whatever a thread did before it called
/// [`wake`](Self::wake) is visible to the `woken` that follows.
#[derive(Debug, Clone)]
pub struct Waker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    waker: mio::Waker,
    pending: AtomicBool,
}

impl Waker {
    pub(crate) fn new(registry: &Registry) -> io::Result<Self> {
        let waker = mio::Waker::new(registry, WAKE)?;
        Ok(Self(Arc::new(Shared { waker, pending: AtomicBool::new(false) })))
    }

    /// Wakes the loop.
    ///
    /// # Errors
    ///
    /// When the system refuses; the loop then wakes only by other events.
    pub fn wake(&self) -> io::Result<()> {
        if self.0.pending.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.0.waker.wake().inspect_err(|_| self.0.pending.store(false, Ordering::Release))
    }

    /// To be called before the application is told: a wake during `woken` must count again.
    pub(crate) fn rearm(&self) {
        // A read-modify-write, not a store: it takes part in the order of the swaps in `wake`, so
        // that what the waking threads did is visible from here on.
        self.0.pending.swap(false, Ordering::AcqRel);
    }
}

/// The event of a wake-up.
pub(crate) const WAKE: mio::Token = reserved(0);
