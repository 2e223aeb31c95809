//! What the loop polls: a byte stream, of whatever kind.

mod tcp;
mod unix;

use std::io;
use std::net::SocketAddr;

use mio::event::Source;

pub(crate) use tcp::connect;
pub use tcp::{listen, try_address};

/// A byte stream that does not block and whose readiness the kernel reports.
///
/// [`TcpStream`](crate::TcpStream) and [`UnixStream`](crate::UnixStream) are such streams. One that
/// makes something of the bytes, as TLS does, wraps one of them, and may hold bytes in both
/// directions that no readiness tells of. The loop asks it: [`holds_input`](Self::holds_input),
/// [`holds_output`](Self::holds_output). A loop with streams of several kinds has an enumeration of
/// them.
///
/// `read` and `write` return [`WouldBlock`](io::ErrorKind::WouldBlock) when only the kernel can
/// change that, and `read` returns 0 at an orderly end of the stream alone. An error of either ends
/// the connection. The loop retries [`Interrupted`](io::ErrorKind::Interrupted).
pub trait Stream: io::Read + io::Write + Source + Sized {
    /// What such streams are accepted from. It does not block either.
    type Listener: Source;

    /// Takes a stream that waits at the listener, with the address of its other end. A peer without
    /// an address has the unspecified one, `0.0.0.0:0`.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when none waits; or why there is none.
    fn accept(listener: &Self::Listener) -> io::Result<(Self, SocketAddr)>;

    /// Reads what the other end has put before the stream itself, below what the stream makes of its
    /// bytes: the PROXY header. It is called before anything else, and for no more bytes than belong to
    /// that. A stream that wraps another, as TLS does, reads from that one.
    ///
    /// # Errors
    ///
    /// As `read`.
    fn read_below(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(buffer)
    }

    /// Whether a read that returned `read` bytes, with room for `room`, has taken all that there is.
    /// If so, the loop reads again only when the kernel reports something; else until a read would
    /// block.
    fn has_taken_all(&self, read: usize, room: usize) -> bool;

    /// Whether a read would return something although the kernel has nothing: bytes that were taken
    /// from it before. `false` after a read that would have blocked.
    fn holds_input(&self) -> bool {
        false
    }

    /// Whether there is something to write beside what the loop has queued: bytes that were written
    /// before, or an answer of the stream's own. [`flush`](io::Write::flush) writes it, and
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) says that some of it is left.
    fn holds_output(&self) -> bool {
        false
    }

    /// Ends the direction from here to the peer, in an orderly way. It is called once all output is
    /// written, and again after [`WouldBlock`](io::ErrorKind::WouldBlock).
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    fn shutdown(&mut self) -> io::Result<()>;

    /// From now on, closing keeps nothing for a peer that does not take it.
    fn abort_on_close(&self) {}

    /// Whether an attempt to connect has succeeded; `false` while it is under way.
    ///
    /// # Errors
    ///
    /// Why it has failed.
    fn is_connected(&self) -> io::Result<bool>;

    /// Takes the error that the kernel has noted for this stream and no call has returned yet.
    ///
    /// # Errors
    ///
    /// When the kernel does not say.
    fn take_error(&self) -> io::Result<Option<io::Error>>;
}

/// Whether a socket is connected, whose peer the system names so.
fn is_connected<A>(stream: &impl Stream, peer: io::Result<A>) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match peer {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}
