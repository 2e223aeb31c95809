//! A connection of the canary: a socket that waits, and never for longer than until a moment.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Instant;

use super::trouble::Trouble;

/// A PROXY header of version 2 for a connection of the proxy's own, as it makes them to see whether the
/// server is there.
const OWN_CONNECTION: &[u8; 16] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// A connection with the server.
pub(super) struct Line(TcpStream);

impl Line {
    /// Connects, and says what a proxy has to say if `is_proxy` of the own address.
    pub(super) fn open(
        server: SocketAddr,
        is_proxy: &dyn Fn(SocketAddr) -> bool,
        until: Instant,
    ) -> Result<Self, Trouble> {
        let address = reachable(server);
        let refused = |error| Trouble::NotConnected(address, error);
        let left = until.saturating_duration_since(Instant::now());
        let socket = TcpStream::connect_timeout(&address, left).map_err(refused)?;
        socket.set_nodelay(true).map_err(refused)?;
        let own = socket.local_addr().map_err(refused)?;
        let mut line = Self(socket);
        if is_proxy(own) {
            line.send_all(OWN_CONNECTION, until)?;
        }
        Ok(line)
    }

    fn send_all(&mut self, mut bytes: &[u8], until: Instant) -> Result<(), Trouble> {
        while !bytes.is_empty() {
            let sent = self.send(bytes, until)?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    /// Sends some of the bytes, one at least.
    pub(super) fn send(&mut self, bytes: &[u8], until: Instant) -> Result<usize, Trouble> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Trouble::TooLate);
        }
        self.0.set_write_timeout(Some(left)).map_err(Trouble::Line)?;
        match self.0.write(bytes) {
            Ok(0) => Err(Trouble::Closed),
            Ok(count) => Ok(count),
            Err(error) if is_late(&error) => Err(Trouble::TooLate),
            Err(error) if error.kind() == ErrorKind::Interrupted => self.send(bytes, until),
            Err(error) => Err(broken(error)),
        }
    }

    /// Waits until bytes come, or until this moment. How many came.
    pub(super) fn receive(&mut self, buffer: &mut [u8], until: Instant) -> Result<usize, Trouble> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(0);
        }
        self.0.set_read_timeout(Some(left)).map_err(Trouble::Line)?;
        match self.0.read(buffer) {
            Ok(0) => Err(Trouble::Closed),
            Ok(count) => Ok(count),
            Err(error) if is_late(&error) || error.kind() == ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(broken(error)),
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Whoever closes a connection with unread bytes in it resets it.
fn broken(error: io::Error) -> Trouble {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Trouble::Closed,
        _ => Trouble::Line(error),
    }
}

/// Where a server can be reached that listens there: one that listens on every network does so on the
/// loopback, too.
fn reachable(server: SocketAddr) -> SocketAddr {
    let mut address = server;
    match server.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}
