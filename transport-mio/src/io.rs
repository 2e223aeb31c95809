//! What the application can do to its connections.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Poll};
use tracing::debug;

use crate::config::Config;
use crate::connection::{Connection, Phase};
use crate::deadlines::Deadlines;
use crate::error::{CloseReason, Error};
use crate::introductions::Introductions;
use crate::networks::{Load, Networks};
use crate::output::Output;
use crate::reading::ToRead;
use crate::slab::{Slab, Token};
use crate::stream::{self, Stream};

/// The connections of a loop, as its [`Handler`](crate::Handler) sees them.
///
/// Nothing here blocks, and nothing is an error because a connection is gone: with a stale token
/// every call does nothing.
#[derive(Debug)]
pub struct Io<S = TcpStream> {
    pub(crate) poll: Poll,
    pub(crate) config: Config,
    pub(crate) conns: Slab<Connection<S>>,
    pub(crate) networks: Networks,
    pub(crate) introductions: Introductions,
    pub(crate) deadlines: Deadlines,
    pub(crate) to_read: ToRead,
    /// Connections with a write due, or with the step that follows the last write.
    pub(crate) to_write: VecDeque<Token>,
    /// What the application has yet to be told.
    pub(crate) notices: VecDeque<Notice>,
    /// Everything is to be flushed, and the loop is to end.
    pub(crate) stops: bool,
    /// The listeners are to be closed when the turn ends.
    pub(crate) stops_listening: bool,
    /// A descriptor became free since the last look.
    pub(crate) freed: bool,
}

/// News for the application, told outside of its own calls.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Notice {
    HungUp(Token),
    Drained(Token),
    Closed(Token, CloseReason),
}

impl<S: Stream> Io<S> {
    pub(crate) fn new(poll: Poll, config: Config) -> Self {
        Self {
            poll,
            config,
            conns: Slab::new(),
            networks: Networks::default(),
            introductions: Introductions::default(),
            deadlines: Deadlines::default(),
            to_read: ToRead::default(),
            to_write: VecDeque::new(),
            notices: VecDeque::new(),
            stops: false,
            stops_listening: false,
            freed: false,
        }
    }

    /// Queues a copy of `bytes`; they are written when the turn ends. Returns whether the
    /// connection took them.
    pub fn send(&mut self, conn: Token, bytes: &[u8]) -> bool {
        self.queue(conn, bytes.len(), |output| output.push_copy(bytes))
    }

    /// As [`send`](Self::send), without a copy.
    pub fn send_owned(&mut self, conn: Token, bytes: Vec<u8>) -> bool {
        self.queue(conn, bytes.len(), |output| output.push_owned(bytes))
    }

    /// As [`send`](Self::send), without a copy: the same bytes can go to many connections.
    pub fn send_shared(&mut self, conn: Token, bytes: Arc<[u8]>) -> bool {
        self.queue(conn, bytes.len(), |output| output.push_shared(bytes))
    }

    /// How many bytes are queued that the kernel has not taken.
    pub fn unsent(&self, conn: Token) -> usize {
        self.conns.get(conn).map_or(0, |c| c.output.unsent())
    }

    /// Whether the connection still exists.
    pub fn is_open(&self, conn: Token) -> bool {
        self.conns.get(conn).is_some()
    }

    /// The other end's address; an IPv4 address is never in its IPv6-mapped form.
    pub fn peer(&self, conn: Token) -> Option<SocketAddr> {
        self.conns.get(conn).map(|c| c.peer)
    }

    /// How many connections exist, attempts and closing ones included.
    pub fn connections(&self) -> usize {
        self.conns.len()
    }

    /// Delivers no more input of this connection until [`resume_reading`](Self::resume_reading).
    ///
    /// The peer is held back by TCP itself. If it closes its end meanwhile,
    /// [`hung_up`](crate::Handler::hung_up) is called, and all that it had sent is delivered after
    /// the pause; if the connection breaks, what nobody read is lost.
    pub fn pause_reading(&mut self, conn: Token) {
        let Some(c) = self.conns.get_mut(conn) else { return };
        c.paused = true;
        if c.end_reported {
            self.hung_up(conn);
        }
    }

    /// Delivers input again, beginning with what arrived during the pause.
    pub fn resume_reading(&mut self, conn: Token) {
        if let Some(c) = self.conns.get_mut(conn) {
            c.paused = false;
            self.queue_read(conn);
        }
    }

    /// Closes now; what is unsent is lost.
    pub fn close(&mut self, conn: Token) {
        self.end(conn, CloseReason::Closed);
    }

    /// Closes all connections now whose peers have such an address; what is unsent to them is lost.
    /// Returns how many they are. Those of proxies are left that have not said yet whose they are.
    pub fn close_from(&mut self, is_from: impl Fn(IpAddr) -> bool) -> usize {
        let is_meant =
            |c: &Connection<S>| !matches!(c.phase, Phase::Introducing(_)) && is_from(c.peer.ip());
        let mut closed = self.conns.tokens();
        closed.retain(|token| self.conns.get(*token).is_some_and(is_meant));
        closed.iter().for_each(|token| self.close(*token));
        closed.len()
    }

    /// Delivers no more input, sends what is queued and a FIN, then closes; gives up after
    /// `patience`.
    ///
    /// After the FIN it waits up to [`Config::linger`], within `patience`, for the peer to close.
    /// Output added later is refused. An attempt that has not succeeded yet goes on if it has
    /// output to deliver, but is no longer reported as opened.
    pub fn close_after_flush(&mut self, conn: Token, patience: Duration) {
        let Some(c) = self.conns.get_mut(conn) else { return };
        let until = soon(patience);
        match c.phase {
            Phase::Broken(why) => return self.end(conn, why),
            Phase::Introducing(_) => return self.end(conn, CloseReason::Closed),
            Phase::Flushing(at) | Phase::Lingering(at) if at <= until => return,
            Phase::Lingering(_) => self.enter(conn, Phase::Lingering(until)),
            Phase::Connecting | Phase::Open | Phase::PeerClosed(_) | Phase::Flushing(_) => {
                self.enter(conn, Phase::Flushing(until));
            }
        }
        self.queue_read(conn);
        self.queue_write(conn);
    }

    /// Changes [`Config::max_unsent`]. What is queued already stays.
    pub fn set_max_unsent(&mut self, bytes: usize) {
        self.config.max_unsent = bytes;
    }

    /// Changes [`Config::shutdown_grace`], unless the end has begun.
    pub fn set_shutdown_grace(&mut self, grace: Duration) {
        self.config.shutdown_grace = grace;
    }

    /// Closes all listeners when the turn ends; connections live on. [`Doors`](crate::Doors) bring others.
    pub fn stop_listening(&mut self) {
        self.stops_listening = true;
    }

    /// Orderly end: closes the listeners and, after flushing, every connection.
    /// [`run`](crate::EventLoop::run) returns when all are closed, which takes
    /// [`Config::shutdown_grace`] at most.
    pub fn stop(&mut self) {
        self.stops = true;
    }

    /// Takes a stream in.
    pub(crate) fn adopt(
        &mut self,
        mut stream: S,
        peer: SocketAddr,
        phase: Phase,
        accepted: bool,
    ) -> std::io::Result<Token> {
        let mut failed = std::io::ErrorKind::OutOfMemory.into();
        let registry = self.poll.registry();
        let token = self.conns.insert_with(|token| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            match registry.register(&mut stream, token.to_mio(), interest) {
                Ok(()) => Some(Connection::new(stream, peer, phase, accepted)),
                Err(error) => {
                    failed = error;
                    None
                }
            }
        });
        let token = token.ok_or(failed)?;
        if accepted {
            self.networks.add((self.config.network_of)(peer.ip()));
        }
        Ok(token)
    }

    /// What there is when a connection from this address comes.
    pub(crate) fn load(&self, address: IpAddr) -> Load {
        let network = (self.config.network_of)(address);
        let mut load = self.networks.load(network, self.config.max_connections);
        load.total += self.introductions.len();
        load
    }

    /// Ends a connection, once and for all.
    pub(crate) fn end(&mut self, token: Token, why: CloseReason) {
        let is_known = !matches!(self.phase(token), Some(Phase::Introducing(_)));
        if self.remove(token, why) && is_known {
            self.notices.push_back(Notice::Closed(token, why));
        }
    }

    /// Ends a connection of which the application has never heard.
    pub(crate) fn forget(&mut self, token: Token) {
        self.remove(token, CloseReason::Closed);
    }

    /// Returns whether it was there.
    fn remove(&mut self, token: Token, why: CloseReason) -> bool {
        let Some(mut conn) = self.conns.remove(token) else { return false };
        self.leave(token, conn.phase);
        if conn.accepted {
            self.networks.remove((self.config.network_of)(conn.peer.ip()));
        }
        if matches!(why, CloseReason::FlushTimeout | CloseReason::OutputOverflow) {
            conn.stream.abort_on_close();
        }
        if let Err(error) = self.poll.registry().deregister(&mut conn.stream) {
            debug!(%error, "deregistering a closing connection");
        }
        self.freed = true;
        true
    }

    fn phase(&self, token: Token) -> Option<Phase> {
        self.conns.get(token).map(|c| c.phase)
    }

    /// The peer of an open connection sends no more.
    pub(crate) fn hung_up(&mut self, token: Token) {
        let Some(c) = self.conns.get_mut(token) else { return };
        if !std::mem::replace(&mut c.end_told, true) {
            self.notices.push_back(Notice::HungUp(token));
        }
    }

    /// Moves a connection on and keeps its deadline in step.
    pub(crate) fn enter(&mut self, token: Token, phase: Phase) {
        let Some(c) = self.conns.get_mut(token) else { return };
        let left = std::mem::replace(&mut c.phase, phase);
        self.leave(token, left);
        self.deadlines.change(token, None, phase.deadline());
    }

    /// Nothing is waited for any more that a connection had to do in this phase.
    pub(crate) fn leave(&mut self, token: Token, phase: Phase) {
        self.deadlines.change(token, phase.deadline(), None);
        if let Phase::Introducing(until) = phase {
            self.introductions.remove(until, token);
        }
    }

    /// Gives the connection a turn to read, if it has use for one.
    pub(crate) fn queue_read(&mut self, token: Token) {
        if self.begins_to_wait(token) {
            self.to_read.push(token);
        }
    }

    /// Whether the connection has use for a turn to read and does not wait for one yet. Then it is
    /// to be queued.
    pub(crate) fn begins_to_wait(&mut self, token: Token) -> bool {
        let waiting = self.conns.get_mut(token).filter(|c| c.wants_read() && !c.queued_to_read);
        waiting.is_some_and(|c| !std::mem::replace(&mut c.queued_to_read, true))
    }

    /// Gives the connection a turn to write, if it has use for one.
    pub(crate) fn queue_write(&mut self, token: Token) {
        if let Some(c) = self.conns.get_mut(token)
            && c.wants_write()
            && !c.queued_to_write
        {
            c.queued_to_write = true;
            self.to_write.push_back(token);
        }
    }

    fn queue(&mut self, token: Token, len: usize, push: impl FnOnce(&mut Output)) -> bool {
        let Some(c) = self.conns.get_mut(token).filter(|c| c.takes_output()) else { return false };
        if c.output.unsent().saturating_add(len) > self.config.max_unsent {
            self.end(token, CloseReason::OutputOverflow);
            return false;
        }
        push(&mut c.output);
        c.owes_drained |= c.output.unsent() > self.config.low_water;
        self.queue_write(token);
        true
    }
}

impl Io {
    /// Starts a connection. Output may be queued at once;
    /// [`opened`](crate::Handler::opened) or, with
    /// [`CloseReason::ConnectFailed`], [`closed`](crate::Handler::closed) follows. The only limit
    /// on the wait is the system's.
    ///
    /// # Errors
    ///
    /// When it cannot even be tried: no route, no descriptor, or the loop is stopping.
    pub fn connect(&mut self, addr: SocketAddr) -> Result<Token, Error> {
        if self.stops {
            return Err(Error::Stopping);
        }
        let stream = stream::connect(addr, &self.config)
            .map_err(|source| Error::Connect { addr, source })?;
        let peer = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        self.adopt(stream, peer, Phase::Connecting, false)
            .map_err(|source| Error::Connect { addr, source })
    }
}

/// The time `wait` from now; one beyond the clock's range is cut to a day.
pub(crate) fn soon(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or_else(|| now + Duration::from_secs(86_400))
}
