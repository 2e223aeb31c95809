//! Connections that come through proxies, which say whose they are.

mod common;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use common::{Heard, PATIENCE, Remote, connect, read_all, reset};
use socket2::{Domain, Socket, Type};
use waxwing_transport_mio::{CloseReason, Config, IntroductionError, ProxyHeaderError, Token};

/// A PROXY header of version 2, as in its description.
fn header(client: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    header.extend(client);
    header.extend([198, 51, 100, 1, 0xc0, 0x01, 0x24, 0x4f]);
    header
}

const CLIENT: [u8; 4] = [192, 0, 2, 7];

fn client() -> SocketAddr {
    (CLIENT, 49_153).into()
}

const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

fn server(config: Config) -> Remote {
    Remote::behind(|peer| peer.ip().is_loopback(), config, |_, _| true)
}

fn opened(server: &Remote) -> (Token, SocketAddr) {
    match server.next() {
        Heard::Opened(token, peer) => (token, peer),
        other => panic!("expected a connection, heard {other:?}"),
    }
}

/// The other end closes, perhaps without having read everything.
fn assert_closed(mut stream: TcpStream) {
    use std::io::Read;
    match stream.read(&mut [0; 1]) {
        Ok(0) => {}
        Ok(_) => panic!("the server spoke"),
        Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset),
    }
}

#[test]
fn a_connection_has_the_address_that_its_proxy_says() {
    let server = server(Config::default());
    let mut stream = connect(server.addr);
    server.silent();
    let mut bytes = header(CLIENT);
    bytes.extend(b"hello");
    stream.write_all(&bytes).unwrap();
    let (token, peer) = opened(&server);
    assert_eq!(peer, client());
    assert_eq!(server.next_bytes(token, 5), b"hello");
    assert_eq!(server.ask(move |io| io.peer(token)), Some(client()));
    server.ask(move |io| io.send(token, b"and bye"));
    server.ask(move |io| io.close_after_flush(token, PATIENCE));
    assert_eq!(read_all(&stream), b"and bye");
    drop(stream);
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::Flushed));
    server.stop();
}

#[test]
fn a_header_may_come_byte_by_byte() {
    let server = server(Config::default());
    let mut stream = connect(server.addr);
    let bytes = header(CLIENT);
    for byte in &bytes[..bytes.len() - 1] {
        stream.write_all(&[*byte]).unwrap();
        server.settle();
    }
    server.silent();
    stream.write_all(&bytes[bytes.len() - 1..]).unwrap();
    let (token, peer) = opened(&server);
    assert_eq!(peer, client());
    stream.write_all(b"hello").unwrap();
    assert_eq!(server.next_bytes(token, 5), b"hello");
    server.stop();
}

#[test]
fn what_a_proxy_does_for_itself_has_its_own_address() {
    let server = server(Config::default());
    let mut stream = connect(server.addr);
    stream.write_all(LOCAL).unwrap();
    let (token, peer) = opened(&server);
    assert_eq!(peer, stream.local_addr().unwrap());
    drop(stream);
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::PeerClosed));
    // One that says nothing has only looked whether the server is there.
    drop(connect(server.addr));
    reset(connect(server.addr));
    server.until(|io| io.connections() == 0);
    server.silent();
    server.stop();
}

#[test]
fn no_header_is_read_from_anybody_else() {
    let server = Remote::behind(|_| false, Config::default(), |_, _| true);
    let (mut stream, token) = server.client();
    stream.write_all(&header(CLIENT)).unwrap();
    assert_eq!(server.next_bytes(token, 28), header(CLIENT));
    server.stop();
}

#[test]
fn what_is_no_header_closes_the_connection_and_the_application_hears_why() {
    let server = server(Config::default());
    let long = [&header(CLIENT)[..14], &[2, 0]].concat();
    for (bytes, why) in [
        (&b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n"[..], ProxyHeaderError::NoHeader),
        (&[0; 512], ProxyHeaderError::NoHeader),
        (&long, ProxyHeaderError::TooLong),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x31\x00\xd8", ProxyHeaderError::NoAddress),
    ] {
        let mut stream = connect(server.addr);
        stream.write_all(bytes).unwrap();
        assert_eq!(server.next(), Heard::NotIntroduced(IntroductionError::Header(why)));
        assert_closed(stream);
    }
    let mut stream = connect(server.addr);
    stream.write_all(&header(CLIENT)[..20]).unwrap();
    server.settle();
    drop(stream);
    assert_eq!(server.next(), Heard::NotIntroduced(IntroductionError::Closed));
    server.silent();
    assert_eq!(server.ask(|io| io.connections()), 0);
    server.stop();
}

#[test]
fn a_header_that_does_not_come_in_time_closes_the_connection() {
    let config = Config { introduction: Duration::from_millis(50), ..Config::default() };
    let server = server(config);
    let silent = connect(server.addr);
    let mut slow = connect(server.addr);
    slow.write_all(&header(CLIENT)[..5]).unwrap();
    for stream in [silent, slow] {
        assert_eq!(server.next(), Heard::NotIntroduced(IntroductionError::TooLate));
        assert_closed(stream);
    }
    // Time that is over for a header is not over for the connection.
    let mut stream = connect(server.addr);
    stream.write_all(&header(CLIENT)).unwrap();
    let (token, _) = opened(&server);
    let late = connect(server.addr);
    assert_eq!(server.next(), Heard::NotIntroduced(IntroductionError::TooLate));
    assert_closed(late);
    assert!(server.ask(move |io| io.is_open(token)));
    server.stop();
}

#[test]
fn when_too_many_have_no_header_the_one_that_has_waited_for_longest_goes() {
    let config = Config { max_introductions: 3, ..Config::default() };
    let server = server(config);
    let mut waiting: Vec<TcpStream> = Vec::new();
    for number in 1..=3 {
        waiting.push(connect(server.addr));
        server.until(move |io| io.connections() == number);
    }
    for _ in 0..20 {
        waiting.push(connect(server.addr));
        assert_eq!(server.next(), Heard::NotIntroduced(IntroductionError::TooMany));
        assert_closed(waiting.remove(0));
        server.until(|io| io.connections() == 3);
    }
    // The others still can.
    for stream in &mut waiting {
        stream.write_all(&header(CLIENT)).unwrap();
        assert_eq!(opened(&server).1, client());
    }
    server.stop();
}

#[test]
fn those_without_a_header_have_places_and_none_of_a_network() {
    let config = Config { max_connections: 3, ..Config::default() };
    let server = Remote::behind(
        |peer| peer.ip().is_loopback(),
        config,
        |peer, load| {
            // Nobody is counted who is not known, and nobody twice.
            assert_eq!((load.places, load.total < load.places), (3, true));
            load.from_network < 1 || peer.ip().is_loopback()
        },
    );
    let mut streams = [connect(server.addr), connect(server.addr), connect(server.addr)];
    server.until(|io| io.connections() == 3);
    assert_closed(connect(server.addr));
    streams[0].write_all(&header(CLIENT)).unwrap();
    let (first, _) = opened(&server);
    // Another of the same client's network is refused.
    streams[1].write_all(&header(CLIENT)).unwrap();
    let [_, second, third] = streams;
    assert_closed(second);
    drop(third);
    server.until(|io| io.connections() == 1);
    server.ask(move |io| io.close(first));
    assert_eq!(server.next(), Heard::Closed(first, CloseReason::Closed));
    let mut again = connect(server.addr);
    again.write_all(&header(CLIENT)).unwrap();
    opened(&server);
    server.stop();
}

#[test]
fn clients_count_by_their_own_network_wherever_their_connection_goes() {
    let admit = |_, load: waxwing_transport_mio::Load| load.from_network < 1;
    let server = Remote::behind(|_| true, Config::default(), admit);
    let from = |client: [u8; 4]| {
        let mut stream = connect(server.addr);
        stream.write_all(&header(client)).unwrap();
        stream
    };
    let _one = from([192, 0, 2, 1]);
    let (token, _) = opened(&server);
    let _other = from([192, 0, 2, 2]);
    opened(&server);
    let detached = server.ask(move |io| io.detach(token)).unwrap();
    assert_eq!(detached.peer().ip(), std::net::IpAddr::from([192, 0, 2, 1]));
    assert_closed(from([192, 0, 2, 1]));
    server.ask(|io| io.release([192, 0, 2, 1].into()));
    let _again = from([192, 0, 2, 1]);
    opened(&server);
    drop(detached);
    server.stop();
}

#[test]
fn stopping_does_not_wait_for_a_header() {
    let mut server = server(Config::default());
    let waiting = connect(server.addr);
    server.until(|io| io.connections() == 1);
    server.ask(waxwing_transport_mio::Io::stop);
    server.join();
    assert_closed(waiting);
}

#[test]
fn a_proxy_and_others_may_come_to_the_same_listener() {
    let server = Remote::behind(
        |peer| peer.ip() == std::net::IpAddr::from([127, 0, 0, 9]),
        Config::default(),
        |_, _| true,
    );
    let (mut direct, token) = server.client();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 9], 0)).into()).unwrap();
    socket.connect(&server.addr.into()).unwrap();
    let mut proxied = TcpStream::from(socket);
    direct.write_all(b"direct").unwrap();
    assert_eq!(server.next_bytes(token, 6), b"direct");
    proxied.write_all(&header(CLIENT)).unwrap();
    assert_eq!(opened(&server).1, client());
    server.stop();
}
