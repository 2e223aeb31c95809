//! Waking whoever waits for what another thread has put into a channel.

use waxwing_transport_mio::Waker;

/// Wakes the reader of a channel. Whoever puts something in calls it afterwards.
pub trait Wake: Send + Sync {
    /// The reader is to look into the channel. Calls that come before it does become one.
    fn wake(&self);
}

impl<F: Fn() + Send + Sync> Wake for F {
    fn wake(&self) {
        self();
    }
}

impl Wake for Waker {
    fn wake(&self) {
        if let Err(error) = Self::wake(self) {
            tracing::error!(name: "loop_unwakeable", %error, "an event loop cannot be woken");
        }
    }
}
