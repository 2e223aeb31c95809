//! Connections over Unix sockets.

mod common;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream as Client;

use common::{Heard, PATIENCE, Remote, read_all};
use waxwing_transport_mio::{CloseReason, Config, UnixListener, UnixStream};

#[test]
fn a_unix_socket_is_served_like_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let listener = UnixListener::bind(&path).unwrap();
    let remote = Remote::<UnixStream>::accepting(Config::default(), listener, nowhere);

    let mut client = Client::connect(&path).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let Heard::Opened(conn, peer) = remote.next() else { panic!("it is not opened") };
    assert_eq!(peer, nowhere, "it has no address");
    client.write_all(b"hello").unwrap();
    assert_eq!(remote.next_bytes(conn, 5), b"hello");
    remote.ask(move |io| {
        io.send(conn, b"and bye");
        io.close_after_flush(conn, PATIENCE);
    });
    assert_eq!(read_all(&client), b"and bye");
    drop(client);
    assert_eq!(remote.next(), Heard::Closed(conn, CloseReason::Flushed));
    remote.stop();
}
