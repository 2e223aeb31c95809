//! A server, and the ends of connections to it.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// For failure only.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server that dies with its owner.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    settings: Vec<(String, String)>,
    place: TempDir,
}

impl Server {
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let (child, address) = serve(&place, &settings);
        Self { child, address, settings, place }
    }

    /// Kills it, and starts it again.
    pub(crate) fn start_again(&mut self) {
        self.kill();
        (self.child, self.address) = serve(&self.place, &self.settings);
    }

    /// Leaves it no time for anything.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Where its data is.
    pub(crate) fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    /// A command of its operator.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
        command.arg("--data").arg(self.place.path().join("data")).args(args);
        command.env_remove("SSH_CONNECTION");
        command
    }

    /// What a command says that has to end so.
    #[track_caller]
    pub(crate) fn operator(&self, code: i32, args: &[&str]) -> String {
        said(code, &mut self.command(args))
    }

    /// A connection that begins so.
    pub(crate) fn connect(&self, beginning: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(beginning).unwrap();
        stream
    }

    /// Stops it. Returns all that its log says.
    pub(crate) fn stop(mut self) -> String {
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
pub(crate) fn client(address: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    header.extend(address);
    header.extend([198, 51, 100, 1, 0xc0, 0x01, 0x24, 0x4f]);
    header
}

/// Whether somebody who says nonsense is told so, and not just closed.
pub(crate) fn is_answered(stream: &mut TcpStream) -> bool {
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

/// What a command says, on whatever stream, that has to end so.
#[track_caller]
pub(crate) fn said(code: i32, command: &mut Command) -> String {
    let ran = command.output().unwrap();
    let said = String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap();
    assert_eq!(ran.status.code(), Some(code), "{command:?}: {said}");
    said
}

fn serve(place: &TempDir, settings: &[(String, String)]) -> (Child, SocketAddr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
    command.args(["--listen", "127.0.0.1:0", "--data"]).arg(place.path().join("data"));
    let log = File::create(place.path().join("log")).unwrap();
    let mut child =
        command.envs(settings.iter().cloned()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut greeting = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
    (child, greeting.trim().strip_prefix("listening on ").unwrap().parse().unwrap())
}

/// Every peer on the loopback is a proxy.
pub(crate) const BEHIND: (&str, &str) = ("WAXWING_SERVER__PROXIES", "127.0.0.0/8");
