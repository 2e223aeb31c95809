//! One connection: its stream, its output, and how far its life has come.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::event::Event;

use crate::error::CloseReason;
use crate::output::{Output, Progress};
use crate::stream::Stream;

/// An idle one is this struct, its slot, and nothing on the heap.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    pub(crate) stream: S,
    pub(crate) peer: SocketAddr,
    pub(crate) output: Output,
    pub(crate) phase: Phase,
    /// Came from a listener, so it counts against the limits.
    pub(crate) accepted: bool,

    // The kernel reports a change once. These remember it until a call would block. What the stream
    // holds comes on top (see `may_read` and `has_output`).
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer's FIN or an error was reported: reading goes on until it shows.
    pub(crate) end_reported: bool,

    /// The application wants no more input for now.
    pub(crate) paused: bool,
    /// The peer has sent its FIN and we have read up to it.
    pub(crate) peer_done: bool,
    /// The application has been told, or will be, that the peer sends no more.
    pub(crate) end_told: bool,
    /// The unsent output has been above the low-water mark and `drained` not been called since.
    pub(crate) owes_drained: bool,

    pub(crate) queued_to_read: bool,
    pub(crate) queued_to_write: bool,
}

/// How far the life of a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Our own connection attempt; output collects.
    Connecting,
    /// A proxy has until then to say whose the connection is. The application knows nothing of it.
    Introducing(Instant),
    /// Both directions work.
    Open,
    /// The peer has sent its FIN; queued output goes out until the deadline.
    PeerClosed(Instant),
    /// The application wants to close: output goes out until the deadline, input is discarded.
    Flushing(Instant),
    /// Our FIN is sent; input is discarded until the peer's FIN or the deadline.
    Lingering(Instant),
    /// Writing failed. What had arrived before is still delivered, then it closes.
    Broken(CloseReason),
}

impl Phase {
    pub(crate) const fn deadline(self) -> Option<Instant> {
        match self {
            Self::Introducing(at)
            | Self::PeerClosed(at)
            | Self::Flushing(at)
            | Self::Lingering(at) => Some(at),
            Self::Connecting | Self::Open | Self::Broken(_) => None,
        }
    }
}

impl<S: Stream> Connection<S> {
    pub(crate) fn new(stream: S, peer: SocketAddr, phase: Phase, accepted: bool) -> Self {
        Self {
            stream,
            peer,
            output: Output::default(),
            phase,
            accepted,
            readable: false,
            end_reported: false,
            // A new socket has an empty send buffer; if not, the first write says so.
            writable: phase == Phase::Open,
            paused: false,
            peer_done: false,
            end_told: false,
            owes_drained: false,
            queued_to_read: false,
            queued_to_write: false,
        }
    }

    /// Remembers what the kernel reported. An error counts as both: the next call fetches it.
    pub(crate) fn note(&mut self, event: &Event) {
        self.end_reported |= event.is_read_closed() || event.is_error();
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
    }

    /// Whether the application may add output.
    pub(crate) const fn takes_output(&self) -> bool {
        matches!(self.phase, Phase::Connecting | Phase::Open | Phase::PeerClosed(_))
    }

    /// Whether what arrives goes to the application, rather than being discarded.
    pub(crate) const fn delivers(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Broken(_))
    }

    /// Whether the application has paused it, so that no read would find its end.
    pub(crate) fn rests(&self) -> bool {
        self.paused && self.phase == Phase::Open
    }

    /// Whether there may be something to read.
    pub(crate) fn may_read(&self) -> bool {
        self.readable || self.stream.holds_input()
    }

    /// Whether there is something to write.
    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty() || self.stream.holds_output()
    }

    /// Writes up to `budget` bytes of the output, and behind all of it what the stream holds.
    pub(crate) fn write(&mut self, budget: usize) -> io::Result<Progress> {
        let progress = self.output.write_to(&mut self.stream, budget)?;
        if progress != Progress::Empty {
            return Ok(progress);
        }
        loop {
            match self.stream.flush() {
                Ok(()) => return Ok(Progress::Empty),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Progress::Blocked),
                Err(e) => return Err(e),
            }
        }
    }

    /// Whether a read is due: there may be something, and it is wanted.
    pub(crate) fn wants_read(&self) -> bool {
        match self.phase {
            Phase::Connecting | Phase::PeerClosed(_) => false,
            // What the stream holds comes behind what its proxy says.
            Phase::Introducing(_) => self.readable,
            Phase::Open => self.may_read() && !self.paused,
            Phase::Flushing(_) | Phase::Lingering(_) => self.may_read() && !self.peer_done,
            // Even when nothing is readable: its turn is when it closes.
            Phase::Broken(_) => true,
        }
    }

    /// Whether a write, or the step that follows the last write, is due.
    pub(crate) fn wants_write(&self) -> bool {
        match self.phase {
            Phase::Open => self.has_output(),
            Phase::PeerClosed(_) | Phase::Flushing(_) => true,
            Phase::Connecting | Phase::Introducing(_) | Phase::Lingering(_) | Phase::Broken(_) => {
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mio::net::{TcpStream, UnixStream};

    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        assert!(size_of::<Connection<TcpStream>>() <= 192);
        assert!(size_of::<Connection<UnixStream>>() <= 192);
    }
}
