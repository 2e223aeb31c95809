//! The binary when nobody takes what it writes, and the signals that ask it nothing.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// For failure only.
const PATIENCE: Duration = Duration::from_secs(30);

fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_waxwing-server"))
}

fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

/// A server that dies with its owner.
struct Server {
    child: Child,
    address: SocketAddr,
    _data: TempDir,
}

impl Server {
    fn start(stderr: impl Into<Stdio>, level: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut child = binary()
            .args(["--listen", "127.0.0.1:0", "--log-level", level, "--data"])
            .arg(data.path().join("data"))
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut greeting = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
        let address = greeting.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
        Self { child, address, _data: data }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Whether somebody who says nonsense is told so.
    #[track_caller]
    fn answers(&self) {
        use std::io::Write;
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&[0xff; 1_024]).unwrap();
        assert!(stream.read(&mut [0; 64]).unwrap() > 0);
    }

    #[track_caller]
    fn stops(mut self) {
        self.signal(Signal::TERM);
        assert_eq!(ended(&mut self.child).code(), Some(0));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn ended(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "it goes on");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A pipe that is full, and its end to read from.
fn stalled(flags: OFlags) -> (std::io::PipeReader, std::io::PipeWriter) {
    use std::io::Write;
    let (reader, mut writer) = std::io::pipe().unwrap();
    let before = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, before | OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'.'; 4_096]).is_ok() {}
    while writer.write(b".").is_ok() {}
    fcntl_setfl(&writer, before | flags).unwrap();
    (reader, writer)
}

#[test]
fn a_log_that_cannot_be_written_ends_nobody() {
    let server = Server::start(full(), "trace");
    server.answers();
    server.stops();
}

#[test]
fn a_reader_of_the_log_that_leaves_ends_nobody() {
    let (reader, writer) = std::io::pipe().unwrap();
    let server = Server::start(writer, "trace");
    server.answers();
    drop(reader);
    server.answers();
    server.answers();
    server.stops();
}

const LOST: &str = "lines of the log are lost";

#[test]
fn a_reader_of_the_log_that_stalls_stops_nobody_and_hears_later_what_it_missed() {
    for flags in [OFlags::empty(), OFlags::NONBLOCK] {
        let (mut reader, writer) = stalled(flags);
        let server = Server::start(writer, "trace");
        // More lines than the server keeps.
        for _ in 0..1_500 {
            server.answers();
        }
        let (found, heard) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let mut text = Vec::new();
            let mut buffer = [0; 4_096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                text.extend_from_slice(&buffer[..count]);
                if String::from_utf8_lossy(&text).contains(LOST) {
                    let _ = found.send(std::mem::take(&mut text));
                }
            }
            found.send(text).unwrap();
        });
        server.answers();
        // Only then is there room for more.
        heard.recv_timeout(PATIENCE).expect("what was missed is said");
        server.stops();
        let rest = heard.iter().last().unwrap();
        let log = String::from_utf8_lossy(&rest);
        assert!(log.contains("stopped"), "{flags:?}");
    }
}

#[test]
fn a_server_whose_log_nobody_reads_can_be_stopped() {
    let (_reader, writer) = stalled(OFlags::empty());
    let server = Server::start(writer, "trace");
    server.answers();
    server.stops();
}

#[test]
fn a_server_that_cannot_say_where_it_listens_serves_all_the_same() {
    let data = tempfile::tempdir().unwrap();
    let mut child = binary()
        .args(["--listen", "127.0.0.1:0", "--data"])
        .arg(data.path().join("data"))
        .stdout(full())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let said: Vec<_> = lines.take_while(|line| !line.contains("listening")).collect();
    assert!(said.iter().any(|line| line.contains("standard output cannot be written to")));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(ended(&mut child).code(), Some(0));
}

#[test]
fn a_server_says_where_it_listens_one_address_a_line() {
    let data = tempfile::tempdir().unwrap();
    let mut child = binary()
        .args([
            "--listen",
            "127.0.0.1:0",
            "--listen",
            "[::1]:0",
            "--listen",
            "127.0.0.2:0",
            "--data",
        ])
        .arg(data.path().join("data"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).take(3);
    let addresses: Vec<SocketAddr> =
        lines.map(|line| line.strip_prefix("listening on ").unwrap().parse().unwrap()).collect();
    let hosts: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    assert_eq!(hosts, ["127.0.0.1", "::1", "127.0.0.2"]);
    for address in &addresses {
        TcpStream::connect(address).unwrap();
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(ended(&mut child).code(), Some(0));
}

#[test]
fn a_server_that_cannot_have_one_of_its_addresses_takes_none() {
    let data = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (address, why) in [
        (&*taken, "is a server running there? --listen takes another port"),
        ("192.0.2.1:9295", "this machine has no such address"),
        ("[2001:db8::1]:9295", "this machine has no such address"),
        ("[fe80::1]:9295", "as in [fe80::1%2]:9295"),
    ] {
        let ran = binary()
            .args(["--listen", "127.0.0.1:0", "--listen", address, "--data"])
            .arg(data.path().join("data"))
            .output()
            .unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!((ran.status.code(), ran.stdout), (Some(3), Vec::new()), "{address}: {said}");
        assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn a_command_whose_result_is_lost_says_so_and_fails() {
    for args in [&["config", "example"][..], &["--help"], &["--version"]] {
        let ran = binary().args(args).stdout(full()).output().unwrap();
        assert_eq!(ran.status.code(), Some(74), "{args:?}");
        let said = String::from_utf8(ran.stderr).unwrap();
        assert!(said.contains("standard output cannot be written to"), "{args:?}: {said}");
        assert!(said.contains("is not whole") && said.contains("Make room"), "{args:?}: {said}");
    }
}

#[test]
fn a_reader_that_has_enough_ends_a_command_in_silence() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = binary().args(["config", "example"]).stdout(writer).output().unwrap();
    assert_eq!((ran.status.code(), ran.stderr), (Some(1), Vec::new()));
}

#[test]
fn a_failure_that_nobody_can_read_has_its_exit_code() {
    let status =
        |args: &[&str]| binary().args(args).stderr(full()).status().unwrap().code().unwrap();
    assert_eq!(status(&["--no-such-flag"]), 2);
    assert_eq!(status(&["--config", "/no/such/file"]), 78);
}

#[test]
fn a_signal_that_asks_nothing_is_ignored_with_a_line_in_the_log() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let server = Server::start(File::create(log.path()).unwrap(), "info");
    server.signal(Signal::USR2);
    let deadline = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(log.path()).unwrap().contains("signal=User2") {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(5));
    }
    server.answers();
    server.stops();
}
