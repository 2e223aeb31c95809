//! Accepting, in fair portions, and living on when descriptors run out.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use crate::connection::Phase;
use crate::handler::Handler;
use crate::io::Io;
use crate::stream::Stream;

/// A listening socket and what the kernel has told about it.
pub(crate) struct Listener<S: Stream> {
    pub(crate) socket: S::Listener,
    pub(crate) event: mio::Token,
    /// Connections may be waiting. The kernel reports that once, so it is kept until accepting
    /// would block, through any shortage.
    pub(crate) ready: bool,
}

/// Whether accepting is suspended because the process lacks descriptors or memory.
#[derive(Debug, Default)]
pub(crate) struct Shortage {
    retry_at: Option<Instant>,
    /// One warning per episode, which lasts until all that waited have been accepted.
    warned: bool,
}

impl<S: Stream> Listener<S> {
    /// Takes in as many waiting connections as one turn allows.
    pub(crate) fn accept<H: Handler<Io<S>>>(
        &mut self,
        shortage: &mut Shortage,
        io: &mut Io<S>,
        handler: &mut H,
    ) {
        for _ in 0..io.config.accepts_per_turn {
            match S::accept(&self.socket) {
                Ok((stream, peer)) => welcome(stream, peer, io, handler),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.ready = false;
                    return shortage.over();
                }
                Err(e) if is_about_the_peer(e.kind()) => debug!(error = %e, "not accepted"),
                // What remains is about this process or this machine: no descriptors, no
                // buffers, no memory. The connection stays in the kernel's queue meanwhile.
                Err(e) => return shortage.begin(&e, io.config.accept_retry),
            }
        }
    }
}

impl Shortage {
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Ends the pause when its time has come or a descriptor became free.
    pub(crate) fn reconsider(&mut self, now: Instant, freed: bool) {
        if freed || self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
        }
    }

    fn begin(&mut self, error: &io::Error, pause: Duration) {
        self.retry_at = Some(crate::io::soon(pause));
        if !self.warned {
            self.warned = true;
            warn!(%error, "cannot accept connections; will keep trying");
        }
    }

    fn over(&mut self) {
        if self.warned {
            *self = Self::default();
            info!("accepting connections again");
        }
    }
}

fn welcome<S: Stream, H: Handler<Io<S>>>(
    stream: S,
    peer: SocketAddr,
    io: &mut Io<S>,
    handler: &mut H,
) {
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let load = io.load(peer.ip());
    if load.total >= load.places {
        debug!(%peer, "refused: too many connections");
        return;
    }
    if handler.is_proxy(peer) {
        return io.await_introduction(stream, peer, handler);
    }
    if !handler.accept(peer, load) {
        debug!(%peer, "refused by the application");
        return;
    }
    match io.adopt(stream, peer, Phase::Open, true) {
        Ok(token) => handler.opened(io, token, peer),
        Err(error) => debug!(%peer, %error, "refused: cannot be watched"),
    }
}

/// Errors that concern the one connection that would have been accepted (it died in the queue, or
/// the network below it, or a firewall said no); the next may well be fine.
fn is_about_the_peer(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::TimedOut
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
    )
}
