//! TCP, and all socket options in one place.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tracing::debug;

use super::Stream;
use crate::config::{Config, Keepalive};

impl Stream for TcpStream {
    type Listener = TcpListener;

    fn accept(listener: &TcpListener) -> io::Result<(Self, SocketAddr)> {
        listener.accept()
    }

    fn has_taken_all(&self, read: usize, room: usize) -> bool {
        read < room
    }

    fn shutdown(&mut self) -> io::Result<()> {
        Self::shutdown(self, Shutdown::Write)
    }

    fn abort_on_close(&self) {
        // The coming close is a reset.
        if let Err(error) = SockRef::from(self).set_linger(Some(Duration::ZERO)) {
            debug!(%error, "connection closes in the ordinary way");
        }
    }

    fn is_connected(&self) -> io::Result<bool> {
        super::is_connected(self, self.peer_addr())
    }

    fn take_error(&self) -> io::Result<Option<io::Error>> {
        Self::take_error(self)
    }
}

/// Whether a listener could have this address now: nobody connects meanwhile, since nobody listens.
///
/// # Errors
///
/// When the address cannot be taken.
pub fn try_address(addr: SocketAddr) -> io::Result<()> {
    bound(addr).map(drop)
}

/// A socket that has this address, and on which nobody listens.
fn bound(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&addr.into())?;
    Ok(socket)
}

/// A listener whose streams have the socket options of `config`, for a loop that watches TCP or what
/// wraps it. Its address can be taken again right after a restart. With an IPv6 address it takes IPv6
/// alone, so that `0.0.0.0` and `[::]` can be listened on together.
///
/// # Errors
///
/// When the address cannot be taken.
pub fn listen(addr: SocketAddr, config: &Config) -> io::Result<TcpListener> {
    let socket = bound(addr)?;
    // Accepted sockets inherit all options from here, which saves a system call for each. Buffer
    // sizes take part in the handshake and could not be set later.
    set_buffers(SockRef::from(&socket), config)?;
    tune(SockRef::from(&socket), config);
    socket.set_nonblocking(true)?;
    socket.listen(config.backlog)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// A connection attempt under way.
pub(crate) fn connect(addr: SocketAddr, config: &Config) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr)?;
    set_buffers(SockRef::from(&stream), config)?;
    tune(SockRef::from(&stream), config);
    Ok(stream)
}

/// Sets what the configuration asks for. A failure is no reason to go without the connection: some
/// systems report a peer that is gone already in this way, and reading will tell.
fn tune(socket: SockRef<'_>, config: &Config) {
    let result = socket
        .set_tcp_nodelay(config.nodelay)
        .and_then(|()| config.keepalive.map_or(Ok(()), |k| set_keepalive(&socket, k)))
        .and_then(|()| config.user_timeout.map_or(Ok(()), |t| set_user_timeout(&socket, t)));
    if let Err(error) = result {
        debug!(%error, "socket options not set");
    }
}

fn set_buffers(socket: SockRef<'_>, config: &Config) -> io::Result<()> {
    if let Some(size) = config.send_buffer {
        socket.set_send_buffer_size(size)?;
    }
    if let Some(size) = config.receive_buffer {
        socket.set_recv_buffer_size(size)?;
    }
    Ok(())
}

fn set_keepalive(socket: &SockRef<'_>, keepalive: Keepalive) -> io::Result<()> {
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(keepalive.idle)
            .with_interval(keepalive.interval)
            .with_retries(keepalive.retries),
    )
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_user_timeout(socket: &SockRef<'_>, timeout: Duration) -> io::Result<()> {
    socket.set_tcp_user_timeout(Some(timeout))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_user_timeout(_: &SockRef<'_>, _: Duration) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_can_be_listened_on_at_one_port() {
        let config = Config::default();
        // Another program may have taken that port of one family meanwhile.
        let pair = (0..9).find_map(|_| {
            let v6 = listen("[::]:0".parse().unwrap(), &config).unwrap();
            let port = v6.local_addr().unwrap().port();
            listen(([0, 0, 0, 0], port).into(), &config).ok().map(|v4| (v4, v6))
        });
        let (v4, v6) = pair.expect("a port that is free");
        assert_eq!(v4.local_addr().unwrap().port(), v6.local_addr().unwrap().port());
        assert!(SockRef::from(&v6).only_v6().unwrap());
    }

    #[test]
    fn options_are_set_on_both_ends() {
        let config = Config::default();
        let listener = listen(([127, 0, 0, 1], 0).into(), &config).unwrap();
        let ours = connect(listener.local_addr().unwrap(), &config).unwrap();
        let accepted = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(e) => assert_eq!(e.kind(), io::ErrorKind::WouldBlock),
            }
        };
        for stream in [&ours, &accepted] {
            let socket = SockRef::from(stream);
            assert!(socket.tcp_nodelay().unwrap());
            assert!(socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
            #[cfg(target_os = "linux")]
            assert_eq!(socket.tcp_user_timeout().unwrap(), config.user_timeout);
        }
    }
}
