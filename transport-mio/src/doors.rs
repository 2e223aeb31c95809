//! Having the loop accept from further listeners, from other threads.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use mio::net::TcpStream;

use crate::stream::Stream;
use crate::wake::Waker;

/// Listeners on their way into a loop.
type Arriving<L> = Arc<Mutex<Vec<L>>>;

/// Has a loop accept from listeners, from any thread. This is how a server listens again that had
/// stopped ([`Io::stop_listening`](crate::Io::stop_listening)).
pub struct Doors<S: Stream = TcpStream> {
    arriving: Arriving<S::Listener>,
    waker: Waker,
}

impl<S: Stream> Doors<S> {
    pub(crate) fn new(waker: Waker) -> Self {
        Self { arriving: Arriving::default(), waker }
    }

    /// For the other end.
    pub(crate) fn share(&self) -> Self {
        Self { arriving: Arc::clone(&self.arriving), waker: self.waker.clone() }
    }

    /// The loop accepts streams from `listener` from its next turn on. What the system refuses then is a
    /// warning of the log.
    pub fn open(&self, listener: S::Listener) {
        self.arriving.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
        // A loop that cannot be woken has its next turn when something happens.
        let _ = self.waker.wake();
    }

    pub(crate) fn take(&self) -> Vec<S::Listener> {
        std::mem::take(&mut *self.arriving.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Stream> fmt::Debug for Doors<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doors").finish_non_exhaustive()
    }
}
