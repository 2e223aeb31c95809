//! The binary behind a proxy that says whose each connection is.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// For failure only.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that dies with its owner.
struct Server {
    child: Child,
    address: SocketAddr,
    place: TempDir,
}

impl Server {
    fn start(settings: &[(&str, &str)]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
        command.args(["--listen", "127.0.0.1:0", "--data"]).arg(place.path().join("data"));
        let log = File::create(place.path().join("log")).unwrap();
        let mut child = command
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut greeting = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
        let address = greeting.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
        Self { child, address, place }
    }

    /// A connection that begins so.
    fn connect(&self, beginning: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(beginning).unwrap();
        stream
    }

    /// Stops it. Returns all that its log says.
    fn stop(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        std::fs::read_to_string(self.place.path().join("log")).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A PROXY header of version 2, as in its description.
fn client(address: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    header.extend(address);
    header.extend([198, 51, 100, 1, 0xc0, 0x01, 0x24, 0x4f]);
    header
}

/// Whether somebody who says nonsense is told so, and not just closed.
fn is_answered(stream: &mut TcpStream) -> bool {
    if let Err(error) = stream.write_all(&[0xff; 1_024]) {
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe));
        return false;
    }
    match stream.read(&mut [0; 64]) {
        Ok(count) => count > 0,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            false
        }
    }
}

const BEHIND: (&str, &str) = ("WAXWING_SERVER__PROXIES", "127.0.0.0/8");

#[test]
fn limits_per_address_see_the_clients_of_a_proxy() {
    for loops in ["1", "2"] {
        let one = ("WAXWING_LIMITS__CONNECTIONS_PER_PREFIX", "1");
        let server = Server::start(&[BEHIND, one, ("WAXWING_SERVER__LOOPS", loops)]);
        let mut first = server.connect(&client([192, 0, 2, 1]));
        assert!(is_answered(&mut server.connect(&client([198, 51, 100, 1]))));
        assert!(!is_answered(&mut server.connect(&client([192, 0, 2, 2]))));
        assert!(is_answered(&mut first));
        let log = server.stop();
        assert!(log.contains("address=192.0.2.2"), "{log}");
    }
}

#[test]
fn whoever_comes_from_a_proxy_and_does_not_say_whose_it_is_is_not_served() {
    let server = Server::start(&[BEHIND]);
    for _ in 0..5 {
        assert!(!is_answered(&mut server.connect(b"")));
        assert!(!is_answered(&mut server.connect(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")));
    }
    assert!(is_answered(&mut server.connect(b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00")));
    let log = server.stop();
    assert_eq!(log.matches("from an address of server.proxies").count(), 1, "{log}");
}

#[test]
fn without_a_proxy_no_header_is_read() {
    let server = Server::start(&[("WAXWING_SERVER__PROXIES", "192.0.2.0/24")]);
    // It is the beginning of a packet that makes no sense, and no more.
    assert!(is_answered(&mut server.connect(&client([192, 0, 2, 1]))));
    let log = server.stop();
    assert!(!log.contains("PROXY"), "{log}");
}
