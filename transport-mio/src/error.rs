//! What can go wrong, by whose doing: [`Error`] is the host's or the caller's trouble,
//! [`CloseReason`] tells how one connection ended. No peer can cause an [`Error`].

use std::io;
use std::net::SocketAddr;

use crate::proxy_header::ProxyHeaderError;

/// The loop could not do what its owner asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel gave no event queue.
    #[error("cannot create the event queue")]
    Setup(#[source] io::Error),
    /// The address cannot be listened on: taken, not ours, or not permitted.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A listener cannot be watched.
    #[error("cannot watch the listener")]
    Watch(#[source] io::Error),
    /// The connection could not even be started.
    #[error("cannot connect to {addr}")]
    Connect {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Signals cannot be watched.
    #[error("cannot watch signals")]
    Signals(#[source] io::Error),
    /// The loop is stopping and starts nothing new.
    #[error("the event loop is stopping")]
    Stopping,
    /// Waiting for events failed; the loop cannot go on.
    #[error("waiting for network events failed")]
    Wait(#[source] io::Error),
}

/// Why the connection of a proxy was closed before it was known whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntroductionError {
    /// It does not begin as it has to.
    #[error(transparent)]
    Header(#[from] ProxyHeaderError),
    /// It ended in the middle of the header.
    #[error("the connection ended within its PROXY header")]
    Closed,
    /// The header did not come in [time](crate::Config::introduction).
    #[error("no whole PROXY header came in time")]
    TooLate,
    /// [Others](crate::Config::max_introductions) came, and it had waited for longest.
    #[error("too many connections have no PROXY header")]
    TooMany,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer sent its FIN; everything it sent before has been delivered.
    PeerClosed,
    /// The peer, or something on the way, reset the connection.
    Reset,
    /// The peer stopped answering (keepalive or user timeout).
    TimedOut,
    /// The network failed otherwise.
    Failed(io::ErrorKind),
    /// The connection was never established.
    ConnectFailed(io::ErrorKind),
    /// The application closed it at once, by [`Io::close`](crate::Io::close).
    Closed,
    /// [`Io::close_after_flush`](crate::Io::close_after_flush), or a stop: all output went out.
    Flushed,
    /// The same, but the peer did not take all output before the deadline.
    FlushTimeout,
    /// The unsent output would have exceeded [`Config::max_unsent`](crate::Config::max_unsent).
    OutputOverflow,
}

impl CloseReason {
    /// How an established connection ends on this error.
    pub(crate) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::Reset,
            io::ErrorKind::TimedOut => Self::TimedOut,
            kind => Self::Failed(kind),
        }
    }
}
