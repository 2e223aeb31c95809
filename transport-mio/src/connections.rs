//! What an application does to the connections of any loop.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::io::Io;
use crate::passage::Detached;
use crate::slab::Token;
use crate::stream::Stream;

/// The connections of a loop, whatever that is: [`Io`], or one in memory in a test of the
/// application.
///
/// A [`Handler`](crate::Handler) that asks for no more than this runs on each of them. Every method
/// does what the method of [`Io`] with its name does.
pub trait Connections {
    /// A connection between two loops. Dropping it closes the connection.
    type Detached;

    /// Queues bytes that may go to many connections; `false` if this one takes none any more. See
    /// [`Io::send_shared`].
    fn send_shared(&mut self, conn: Token, bytes: Arc<[u8]>) -> bool;

    /// Delivers no more input of a connection for now. See [`Io::pause_reading`].
    fn pause_reading(&mut self, conn: Token);

    /// Delivers input of a connection again. See [`Io::resume_reading`].
    fn resume_reading(&mut self, conn: Token);

    /// Closes a connection when all of its output has gone out, or after `patience`. See
    /// [`Io::close_after_flush`].
    fn close_after_flush(&mut self, conn: Token, patience: Duration);

    /// Takes a connection out of this loop, to be attached to another; `None` if it cannot go. See
    /// [`Io::detach`].
    fn detach(&mut self, conn: Token) -> Option<Self::Detached>;

    /// The address of the other end of a detached connection. See [`Detached::peer`].
    fn peer_of(detached: &Self::Detached) -> SocketAddr;

    /// Takes a connection into this loop that another one has detached. See [`Io::attach`].
    ///
    /// # Errors
    ///
    /// When it cannot be watched; it is closed then.
    fn attach(&mut self, detached: Self::Detached) -> io::Result<Token>;

    /// The address of the other end. See [`Io::peer`].
    fn peer(&self, conn: Token) -> Option<SocketAddr>;

    /// Closes connections from some addresses; returns how many. See [`Io::close_from`].
    fn close_from(&mut self, is_from: &dyn Fn(IpAddr) -> bool) -> usize;

    /// Counts a connection from this address no more. See [`Io::release`].
    fn release(&mut self, address: IpAddr);

    /// Writes what is queued before the turn ends. See [`Io::flush`].
    fn flush(&mut self);

    /// Lets output grow up to another bound. See [`Io::set_max_unsent`].
    fn set_max_unsent(&mut self, bytes: usize);

    /// Gives connections another time at the end of the loop. See [`Io::set_shutdown_grace`].
    fn set_shutdown_grace(&mut self, grace: Duration);

    /// Accepts no more connections. See [`Io::stop_listening`].
    fn stop_listening(&mut self);

    /// Ends the loop in good order. See [`Io::stop`].
    fn stop(&mut self);
}

impl<S: Stream> Connections for Io<S> {
    type Detached = Detached<S>;

    fn send_shared(&mut self, conn: Token, bytes: Arc<[u8]>) -> bool {
        Self::send_shared(self, conn, bytes)
    }

    fn pause_reading(&mut self, conn: Token) {
        Self::pause_reading(self, conn);
    }

    fn resume_reading(&mut self, conn: Token) {
        Self::resume_reading(self, conn);
    }

    fn close_after_flush(&mut self, conn: Token, patience: Duration) {
        Self::close_after_flush(self, conn, patience);
    }

    fn detach(&mut self, conn: Token) -> Option<Detached<S>> {
        Self::detach(self, conn)
    }

    fn peer_of(detached: &Detached<S>) -> SocketAddr {
        detached.peer()
    }

    fn attach(&mut self, detached: Detached<S>) -> io::Result<Token> {
        Self::attach(self, detached)
    }

    fn peer(&self, conn: Token) -> Option<SocketAddr> {
        Self::peer(self, conn)
    }

    fn close_from(&mut self, is_from: &dyn Fn(IpAddr) -> bool) -> usize {
        Self::close_from(self, is_from)
    }

    fn release(&mut self, address: IpAddr) {
        Self::release(self, address);
    }

    fn flush(&mut self) {
        Self::flush(self);
    }

    fn set_max_unsent(&mut self, bytes: usize) {
        Self::set_max_unsent(self, bytes);
    }

    fn set_shutdown_grace(&mut self, grace: Duration) {
        Self::set_shutdown_grace(self, grace);
    }

    fn stop_listening(&mut self) {
        Self::stop_listening(self);
    }

    fn stop(&mut self) {
        Self::stop(self);
    }
}
