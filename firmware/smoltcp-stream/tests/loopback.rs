//! The stream against a server on the same interface, in virtual time.

use embedded_io::{Read, ReadReady, Write, WriteReady};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Loopback, Medium};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};
use smoltcp_stream::{Error, TcpStream};

const ADDRESS: IpAddress = IpAddress::v4(127, 0, 0, 1);
const PORT: u16 = 4_000;
const WINDOW: usize = 64;

type Stream = TcpStream<'static, Loopback, Box<dyn FnMut() -> Instant>>;

fn socket() -> Socket<'static> {
    let buffer = || SocketBuffer::new(vec![0; WINDOW]);
    Socket::new(buffer(), buffer())
}

/// A stream, and a server that listens.
fn stream() -> (Stream, SocketHandle) {
    let mut device = Loopback::new(Medium::Ethernet);
    let config = Config::new(EthernetAddress([2, 0, 0, 0, 0, 1]).into());
    let mut interface = Interface::new(config, &mut device, Instant::ZERO);
    interface.update_ip_addrs(|addresses| addresses.push(IpCidr::new(ADDRESS, 8)).unwrap());
    let mut sockets = SocketSet::new(vec![]);
    let (server, client) = (sockets.add(socket()), sockets.add(socket()));
    sockets.get_mut::<Socket<'_>>(server).listen(PORT).unwrap();
    let mut now = Instant::ZERO;
    // A millisecond passes with each look at the clock.
    let clock = Box::new(move || {
        now += Duration::from_millis(1);
        assert!(now < Instant::from_secs(1_000), "it takes for ever");
        now
    });
    (TcpStream::new(interface, device, sockets, client, clock, 7), server)
}

fn connected() -> (Stream, SocketHandle) {
    let (mut stream, server) = stream();
    stream.connect((ADDRESS, PORT)).unwrap();
    // The server knows it last.
    while !stream.sockets().get::<Socket<'_>>(server).may_send() {
        stream.poll();
    }
    (stream, server)
}

#[test]
fn it_is_ready_when_the_server_has_answered() {
    let (mut stream, _) = stream();
    assert_eq!(stream.write(b"x"), Err(Error::Refused));
    stream.connect((ADDRESS, PORT)).unwrap();
    let readiness: Vec<_> = (0..50).map(|_| stream.write_ready().unwrap()).collect();
    assert!(!readiness[0] && readiness[49], "{readiness:?}");
    assert_eq!(stream.read_ready(), Ok(false));
}

#[test]
fn bytes_go_both_ways() {
    let (mut stream, server) = connected();
    stream.write_all(b"there").unwrap();
    stream.flush().unwrap();
    let server = stream.sockets().get_mut::<Socket<'_>>(server);
    let mut bytes = [0; 8];
    assert_eq!(server.recv_slice(&mut bytes), Ok(5));
    server.send_slice(b"and back").unwrap();
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"and back");
    assert_eq!(stream.read_ready(), Ok(false));
}

#[test]
fn it_is_not_ready_to_write_while_nobody_reads() {
    let (mut stream, _) = connected();
    let mut written = 0;
    for _ in 0..1_000 {
        if stream.write_ready().unwrap() {
            written += stream.write(&[0; 5]).unwrap();
        }
    }
    // One window on either side.
    assert_eq!(written, 2 * WINDOW);
}

#[test]
fn what_came_before_the_end_is_read_before_it() {
    let (mut stream, server) = connected();
    let server = stream.sockets().get_mut::<Socket<'_>>(server);
    server.send_slice(b"bye").unwrap();
    server.close();
    let mut bytes = [0; 8];
    assert_eq!(stream.read(&mut bytes), Ok(3));
    while !stream.read_ready().unwrap() {}
    assert_eq!(stream.read(&mut bytes), Ok(0));
}

#[test]
fn a_reset_is_an_error_in_both_directions() {
    let (mut stream, server) = connected();
    stream.sockets().get_mut::<Socket<'_>>(server).abort();
    while !stream.read_ready().unwrap() {}
    assert_eq!(stream.read(&mut [0; 8]), Err(Error::Reset));
    assert_eq!(stream.write_ready(), Ok(true));
    assert_eq!(stream.write(b"x"), Err(Error::Reset));
}

#[test]
fn it_can_be_refused_and_connects_again() {
    let (mut stream, server) = stream();
    stream.connect((ADDRESS, PORT + 1)).unwrap();
    assert_eq!(stream.read(&mut [0; 8]), Err(Error::Refused));
    let mut ports = [0; 3];
    for port in &mut ports {
        stream.connect((ADDRESS, PORT)).unwrap();
        stream.write_all(b"here I am").unwrap();
        stream.flush().unwrap();
        let server = stream.sockets().get_mut::<Socket<'_>>(server);
        *port = server.remote_endpoint().unwrap().port;
        server.abort();
        server.listen(PORT).unwrap();
    }
    // Each time from another port, which a server that missed the end of the last one does not know.
    assert_eq!(ports, [ports[0], ports[0] + 1, ports[0] + 2]);
    stream.connect((ADDRESS, PORT + 1)).unwrap();
    assert_eq!(stream.read(&mut [0; 8]), Err(Error::Refused));
}
