//! A connection, and whole packets over it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use waxwing::backend::{BackendPublicKey, provider};
use waxwing::keys::read_server_key;
use waxwing_core::crypto::Provider;
use waxwing_core::limits::{HEADER_LEN, OVERHEAD};

use crate::process::PATIENCE;
use crate::test_server::TestServer;

/// Where the server is, and its key.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) key: BackendPublicKey,
}

impl Door {
    /// It stands until the process ends.
    pub(crate) fn of(server: &TestServer) -> &'static Self {
        let spki = read_server_key(&server.public_key()).unwrap();
        let key = provider().public_key(&spki).unwrap();
        Box::leak(Box::new(Self { address: server.address(), key }))
    }
}

/// A socket with a source address of choice. Limits per address see another address prefix in
/// every 127.x.y.
pub(crate) fn socket(from: Ipv4Addr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket
}

pub(crate) struct Line {
    stream: TcpStream,
}

impl Line {
    pub(crate) fn open(server: SocketAddr, from: Ipv4Addr) -> Self {
        let socket = socket(from);
        socket.connect_timeout(&server.into(), PATIENCE).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream }
    }

    /// Whether the connection took it. One that the server has closed does not; what it says is
    /// there to be read all the same.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// One segment for each byte.
    pub(crate) fn send_bytewise(&mut self, bytes: &[u8]) {
        let _ = bytes.iter().all(|byte| self.send(&[*byte]));
    }

    /// Nothing more will be sent.
    pub(crate) fn finish(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends it without a FIN.
    pub(crate) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Takes little of what is not read.
    pub(crate) fn narrow(&self) {
        SockRef::from(&self.stream).set_recv_buffer_size(4 << 10).unwrap();
    }

    /// The next packet; `None` when the server has ended the connection.
    #[track_caller]
    pub(crate) fn packet(&mut self) -> Option<Vec<u8>> {
        let mut packet = vec![0; HEADER_LEN];
        if !self.fill(&mut packet) {
            return None;
        }
        let payload = u16::from_le_bytes([packet[24], packet[25]]);
        packet.resize(OVERHEAD + usize::from(payload), 0);
        assert!(self.fill(&mut packet[HEADER_LEN..]), "it ended inside of a packet");
        Some(packet)
    }

    /// Bytes that have come so far, and that nobody will read.
    pub(crate) fn discard(&mut self) -> usize {
        self.stream.set_nonblocking(true).unwrap();
        let mut all = Vec::new();
        let end = self.stream.read_to_end(&mut all).map_err(|error| error.kind());
        assert_eq!(end, Err(ErrorKind::WouldBlock), "it has ended");
        self.stream.set_nonblocking(false).unwrap();
        all.len()
    }

    #[track_caller]
    fn fill(&mut self, mut buffer: &mut [u8]) -> bool {
        let whole = buffer.len();
        while !buffer.is_empty() {
            match self.stream.read(buffer) {
                Ok(0) => {
                    assert_eq!(buffer.len(), whole, "it ended inside of a packet");
                    return false;
                }
                Ok(count) => buffer = &mut buffer[count..],
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
                Err(error) => panic!("the server neither answers nor closes: {error}"),
            }
        }
        true
    }
}
