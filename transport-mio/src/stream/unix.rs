//! Unix domain sockets.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};

use mio::net::{UnixListener, UnixStream};

use super::Stream;

/// Their peers have no addresses.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl Stream for UnixStream {
    type Listener = UnixListener;

    fn accept(listener: &UnixListener) -> io::Result<(Self, SocketAddr)> {
        listener.accept().map(|(stream, _)| (stream, NOWHERE))
    }

    fn has_taken_all(&self, read: usize, room: usize) -> bool {
        read < room
    }

    fn shutdown(&mut self) -> io::Result<()> {
        Self::shutdown(self, Shutdown::Write)
    }

    fn is_connected(&self) -> io::Result<bool> {
        super::is_connected(self, self.peer_addr())
    }

    fn take_error(&self) -> io::Result<Option<io::Error>> {
        Self::take_error(self)
    }
}
