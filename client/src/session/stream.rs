//! A non-blocking TCP stream as the driver wants it, and waiting for it, for other threads, and
//! for signals.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};
use signal_hook_mio::v1_0::Signals;
use socket2::{SockRef, TcpKeepalive};

use super::SessionError;
use crate::interrupt;

pub(super) const STREAM: Token = Token(0);
const SIGNALS: Token = Token(1);
const OTHER: Token = Token(2);

/// Silence after which TCP asks whether the other end is there, how often it asks, and between.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;
/// Unacknowledged bytes after which TCP gives up.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);
/// Bytes that the system takes and has not sent yet. More would be hidden from whoever watches
/// that they go out, and nothing could pass them.
const UNSENT: u32 = 8 * 1_024;
/// Bytes read ahead of the machine.
const READ_AHEAD: usize = 64 * 1_024;

/// Waits for whatever comes first.
pub(super) struct Waiter {
    poll: Poll,
    events: Events,
    signals: Signals,
    waker: Arc<mio::Waker>,
}

impl Waiter {
    /// Begins to watch for SIGINT and SIGTERM.
    pub(super) fn new() -> Result<Self, SessionError> {
        let build = || -> io::Result<Self> {
            let poll = Poll::new()?;
            // Before what wakes, so that whoever is woken sees it.
            interrupt::watch()?;
            let mut signals = Signals::new(interrupt::SIGNALS)?;
            poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
            let waker = Arc::new(mio::Waker::new(poll.registry(), OTHER)?);
            Ok(Self { poll, events: Events::with_capacity(16), signals, waker })
        };
        build().map_err(cannot_wait)
    }

    /// For another thread that has something to say.
    pub(super) fn waker(&self) -> Arc<mio::Waker> {
        self.waker.clone()
    }

    pub(super) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Waits for an event, and notes on `stream` what it can do.
    pub(super) fn wait(
        &mut self,
        stream: Option<&mut Stream>,
        patience: Duration,
    ) -> Result<(), SessionError> {
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                return Err(cannot_wait(error));
            }
            _ => {}
        }
        let (mut readable, mut writable) = (false, false);
        for event in &self.events {
            match event.token() {
                STREAM => {
                    readable |= event.is_readable() || event.is_read_closed() || event.is_error();
                    writable |= event.is_writable() || event.is_error();
                }
                SIGNALS => self.signals.pending().for_each(drop),
                _ => {}
            }
        }
        if let Some(stream) = stream {
            stream.readable |= readable;
            stream.writable |= writable;
        }
        Ok(())
    }
}

const fn cannot_wait(source: io::Error) -> SessionError {
    SessionError::System { what: "cannot wait for events", source }
}

/// A connection to the server.
pub(super) struct Stream {
    socket: TcpStream,
    readable: bool,
    writable: bool,
    ended: bool,
    ahead: Vec<u8>,
    taken: usize,
}

impl Stream {
    /// Over a connection that stands, and is registered with a [`Waiter`] as [`STREAM`].
    pub(super) fn over(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        watch(&SockRef::from(&socket))?;
        Ok(Self {
            socket,
            readable: true,
            writable: true,
            ended: false,
            ahead: Vec::new(),
            taken: 0,
        })
    }

    /// Reads ahead until there is nothing more, or enough.
    fn read_ahead(&mut self) -> io::Result<()> {
        if self.taken == self.ahead.len() {
            self.ahead.clear();
            self.taken = 0;
        }
        while self.readable && !self.ended && self.ahead.len() < READ_AHEAD {
            let before = self.ahead.len();
            self.ahead.resize(READ_AHEAD, 0);
            let read = self.socket.read(&mut self.ahead[before..]);
            self.ahead.truncate(before + read.as_ref().copied().unwrap_or(0));
            match read {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Has the system notice that the other end is gone, while nothing is on its way and while
/// something is.
fn watch(socket: &SockRef<'_>) -> io::Result<()> {
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE_EVERY)
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    {
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
        socket.set_tcp_notsent_lowat(UNSENT)?;
    }
    Ok(())
}

impl Drop for Stream {
    fn drop(&mut self) {
        // The other side notices either way.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// What the socket says, as `embedded_io` wants to hear it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct StreamError(#[from] io::Error);

impl From<StreamError> for io::Error {
    fn from(StreamError(error): StreamError) -> Self {
        error
    }
}

impl embedded_io::Error for StreamError {
    fn kind(&self) -> embedded_io::ErrorKind {
        embedded_io::ErrorKind::Other
    }
}

impl embedded_io::ErrorType for Stream {
    type Error = StreamError;
}

impl embedded_io::ReadReady for Stream {
    fn read_ready(&mut self) -> Result<bool, StreamError> {
        if self.taken == self.ahead.len() {
            self.read_ahead()?;
        }
        Ok(self.taken < self.ahead.len() || self.ended)
    }
}

impl embedded_io::Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        let rest = &self.ahead[self.taken..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }
}

impl embedded_io::WriteReady for Stream {
    fn write_ready(&mut self) -> Result<bool, StreamError> {
        Ok(self.writable)
    }
}

impl embedded_io::Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        match self.socket.write(bytes) {
            Ok(count) => Ok(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.writable = false;
                Ok(0)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }
}
