//! What the application does with the bytes.

use std::net::SocketAddr;
use std::time::Duration;

use crate::connections::Connections;
use crate::error::{CloseReason, IntroductionError};
use crate::io::Io;
use crate::networks::Load;
use crate::signal::Signal;
use crate::slab::Token;

/// The application behind an [`EventLoop`](crate::EventLoop), or behind another loop `C`.
///
/// Every connection that was [`opened`](Self::opened), and every one that
/// [`Io::connect`] returned, gets exactly one [`closed`](Self::closed), whoever ended it; between
/// the two the application may rely on the token. Nothing is called from within a call to
/// [`Io`]: what such a call causes comes later in the same turn or in the next.
///
/// A turn calls, in this order: `opened` for connections of our own, `signal`, `accept` and
/// `opened`, `received`, `woken`, `hung_up`, `drained` and `closed`, `turn`. Then the queued output is
/// written. A connection that comes through a proxy is accepted and opened when the proxy has said whose
/// it is, which may be among the calls of `received`.
pub trait Handler<C: Connections = Io> {
    /// Whether a peer is a proxy, which passes on what its clients send, and says at the beginning of
    /// each connection whose it is, in a [`ProxyHeader`](crate::ProxyHeader). From everybody else no
    /// such header is read: whoever may send one can take any address.
    ///
    /// The connection is then accepted with the address of the client, or, if it is the proxy's own,
    /// with that of the proxy. Until then the application does not hear of it.
    fn is_proxy(&mut self, peer: SocketAddr) -> bool {
        let _ = peer;
        false
    }

    /// A connection of a proxy is closed, because it was not said whose it is.
    fn not_introduced(&mut self, proxy: SocketAddr, why: IntroductionError) {
        let _ = (proxy, why);
    }

    /// Whether to serve a new connection beside those of `load`. A refused one is closed at once
    /// and never heard of again.
    fn accept(&mut self, peer: SocketAddr, load: Load) -> bool {
        let _ = (peer, load);
        true
    }

    /// A connection works: one accepted, or one of our own that got through.
    fn opened(&mut self, io: &mut C, conn: Token, peer: SocketAddr);

    /// The next bytes of a connection, cut anywhere.
    fn received(&mut self, io: &mut C, conn: Token, bytes: &[u8]);

    /// The peer sends no more than what has arrived: it has closed its end at least. This is told
    /// once, and even while reading is paused, when part of that is not delivered yet.
    fn hung_up(&mut self, io: &mut C, conn: Token) {
        let _ = (io, conn);
    }

    /// A connection is gone and its token stale.
    fn closed(&mut self, io: &mut C, conn: Token, why: CloseReason);

    /// The unsent output of a connection was above
    /// [`Config::low_water`](crate::Config::low_water) and no longer is.
    fn drained(&mut self, io: &mut C, conn: Token) {
        let _ = (io, conn);
    }

    /// Another thread called [`Waker::wake`](crate::Waker::wake).
    fn woken(&mut self, io: &mut C) {
        let _ = io;
    }

    /// A signal came (see [`EventLoop::watch_signals`](crate::EventLoop::watch_signals)).
    fn signal(&mut self, io: &mut C, signal: Signal) {
        if signal.ends() {
            io.stop();
        }
    }

    /// A batch of events has been handled. Returns how long the loop may sleep when nothing
    /// happens; `None` means for ever.
    fn turn(&mut self, io: &mut C) -> Option<Duration> {
        let _ = io;
        None
    }
}
