//! A TCP connection of smoltcp as an `embedded_io` stream.
//!
//! Every call lets smoltcp do its work first, so nothing else has to poll it. `read_ready` and
//! `write_ready` never wait; `read`, `write` and `flush` poll until they can do something.
#![no_std]
#![forbid(unsafe_code)]

use core::fmt;

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::phy::Device;
use smoltcp::socket::tcp::{ConnectError, RecvError, Socket, State};
use smoltcp::time::Instant;
use smoltcp::wire::IpEndpoint;

/// The first of the ports that clients use (RFC 6335).
const FIRST_PORT: u16 = 49_152;

/// One connection after the other, over one socket of an interface.
pub struct TcpStream<'a, D, C> {
    interface: Interface,
    device: D,
    sockets: SocketSet<'a>,
    handle: SocketHandle,
    clock: C,
    port: u16,
    has_been_open: bool,
}

/// There is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The other side does not take one, or none was asked for.
    Refused,
    /// The other side has ended it, and not in order.
    Reset,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "the connection was refused",
            Self::Reset => "the connection was reset",
        })
    }
}

impl core::error::Error for Error {}

impl embedded_io::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused => ErrorKind::ConnectionRefused,
            Self::Reset => ErrorKind::ConnectionReset,
        }
    }
}

impl<'a, D: Device, C: FnMut() -> Instant> TcpStream<'a, D, C> {
    /// A stream without a connection. `handle` is the [`Socket`] among the `sockets` that is the
    /// stream's; the others are polled with it. `clock` tells the time since any start. `seed` is a
    /// random number, from which the port of the first connection is chosen.
    pub fn new(
        interface: Interface,
        device: D,
        sockets: SocketSet<'a>,
        handle: SocketHandle,
        clock: C,
        seed: u16,
    ) -> Self {
        let port = FIRST_PORT | seed;
        Self { interface, device, sockets, handle, clock, port, has_been_open: false }
    }

    /// Gives up the last connection, and begins another one, from another port. It does not wait: the
    /// stream is not ready before the server has answered.
    ///
    /// # Errors
    /// [`ConnectError`] when there is no such address.
    pub fn connect(&mut self, server: impl Into<IpEndpoint>) -> Result<(), ConnectError> {
        self.socket().abort();
        // The other side is told.
        self.poll();
        self.has_been_open = false;
        self.port = self.port.wrapping_add(1) | FIRST_PORT;
        let socket = self.sockets.get_mut::<Socket<'_>>(self.handle);
        socket.connect(self.interface.context(), server, self.port)?;
        self.poll();
        Ok(())
    }

    /// Lets smoltcp do its work: takes the frames that have come, and sends what is due.
    pub fn poll(&mut self) {
        let now = (self.clock)();
        self.interface.poll(now, &mut self.device, &mut self.sockets);
        self.has_been_open |= self.socket().may_send();
    }

    /// All sockets, for those that are not the stream's.
    pub const fn sockets(&mut self) -> &mut SocketSet<'a> {
        &mut self.sockets
    }

    fn socket(&mut self) -> &mut Socket<'a> {
        self.sockets.get_mut(self.handle)
    }

    fn is_connecting(&mut self) -> bool {
        matches!(self.socket().state(), State::SynSent | State::SynReceived)
    }

    const fn error(&self) -> Error {
        if self.has_been_open { Error::Reset } else { Error::Refused }
    }
}

impl<D, C> ErrorType for TcpStream<'_, D, C> {
    type Error = Error;
}

impl<D: Device, C: FnMut() -> Instant> ReadReady for TcpStream<'_, D, C> {
    /// An end of the stream, and an error, can be read, too.
    fn read_ready(&mut self) -> Result<bool, Error> {
        self.poll();
        let socket = self.socket();
        Ok(socket.can_recv() || !(socket.may_recv() || self.is_connecting()))
    }
}

impl<D: Device, C: FnMut() -> Instant> Read for TcpStream<'_, D, C> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while !self.read_ready()? {}
        match self.socket().recv_slice(buffer) {
            Ok(count) => Ok(count),
            Err(RecvError::Finished) => Ok(0),
            Err(RecvError::InvalidState) => Err(self.error()),
        }
    }
}

impl<D: Device, C: FnMut() -> Instant> WriteReady for TcpStream<'_, D, C> {
    /// An error can be had by writing, too.
    fn write_ready(&mut self) -> Result<bool, Error> {
        self.poll();
        let socket = self.socket();
        Ok(socket.can_send() || !(socket.may_send() || self.is_connecting()))
    }
}

impl<D: Device, C: FnMut() -> Instant> Write for TcpStream<'_, D, C> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if bytes.is_empty() {
            return Ok(0);
        }
        while !self.write_ready()? {}
        let Ok(count) = self.socket().send_slice(bytes) else { return Err(self.error()) };
        self.poll();
        Ok(count)
    }

    /// Waits until the other side has acknowledged everything.
    fn flush(&mut self) -> Result<(), Error> {
        while self.socket().send_queue() > 0 {
            if !self.socket().may_send() {
                return Err(self.error());
            }
            self.poll();
        }
        Ok(())
    }
}
