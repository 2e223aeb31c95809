//! Passing a connection from one loop to another.

use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::net::TcpStream;
use tracing::debug;

use crate::connection::{Connection, Phase};
use crate::io::Io;
use crate::output::Output;
use crate::slab::Token;
use crate::stream::Stream;

/// A connection between two loops, with the output that it still has to send. Dropping it closes
/// the connection.
#[derive(Debug)]
pub struct Detached<S = TcpStream> {
    stream: S,
    peer: SocketAddr,
    output: Output,
    phase: Phase,
    peer_done: bool,
}

impl<S> Detached<S> {
    /// The other end's address.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }
}

impl<S: Stream> Io<S> {
    /// Takes a connection out of this loop, for [`Io::attach`] of another. Its token is stale from
    /// now on, and [`closed`](crate::Handler::closed) will not be called for it here. `None` when
    /// it is gone or ending.
    ///
    /// Where it was accepted it counts as one from its network until [`Io::release`].
    pub fn detach(&mut self, token: Token) -> Option<Detached<S>> {
        let takes_output =
            |c: &Connection<S>| matches!(c.phase, Phase::Open | Phase::PeerClosed(_));
        self.conns.get(token).filter(|c| takes_output(c))?;
        let Connection { mut stream, peer, output, phase, peer_done, .. } =
            self.conns.remove(token)?;
        self.leave(token, phase);
        if let Err(error) = self.poll.registry().deregister(&mut stream) {
            debug!(%error, "deregistering a connection that moves");
        }
        Some(Detached { stream, peer, output, phase, peer_done })
    }

    /// Takes in a connection that another loop has detached: it is read from at once, and gets a
    /// `closed` like any other, but no `opened`.
    ///
    /// # Errors
    ///
    /// When it cannot be watched; it is closed then.
    pub fn attach(&mut self, detached: Detached<S>) -> io::Result<Token> {
        let Detached { stream, peer, output, phase, peer_done } = detached;
        let token = self.adopt(stream, peer, Phase::Open, false)?;
        if let Some(c) = self.conns.get_mut(token) {
            (c.output, c.peer_done) = (output, peer_done);
        }
        if peer_done {
            self.hung_up(token);
        }
        self.enter(token, phase);
        // The kernel tells this loop anew what it has; what the stream holds nobody tells.
        self.queue_read(token);
        self.queue_write(token);
        Ok(token)
    }

    /// A connection that was accepted here and detached has ended elsewhere.
    pub fn release(&mut self, address: IpAddr) {
        self.networks.remove((self.config.network_of)(address.to_canonical()));
        self.freed = true;
    }
}
