//! What a service manager hears of the real server.

use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// For failure only.
const PATIENCE: Duration = Duration::from_secs(60);

struct Manager {
    directory: tempfile::TempDir,
    socket: UnixDatagram,
    server: Child,
}

impl Manager {
    fn start(watchdog: Option<&str>) -> Self {
        Self::start_with(watchdog, &[])
    }

    fn start_with(watchdog: Option<&str>, environment: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
        command.arg("--data").arg(directory.path().join("data"));
        command.args(["--listen", "127.0.0.1:0"]).env("NOTIFY_SOCKET", &path);
        command.env_remove("WATCHDOG_PID").env_remove("WATCHDOG_USEC");
        command.envs(watchdog.map(|time| ("WATCHDOG_USEC", time)));
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = command.spawn().unwrap();
        Self { directory, socket, server }
    }

    /// The next word that has this in it.
    fn hears(&self, what: &str) -> String {
        let until = Instant::now() + PATIENCE;
        let mut buffer = [0; 4_096];
        while Instant::now() < until {
            let length = self.socket.recv(&mut buffer).expect("the server says something");
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.contains(what) {
                return text;
            }
        }
        panic!("{what} was not said");
    }

    fn operator(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
        command.args(args).arg("--data").arg(self.directory.path().join("data"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.server);
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn it_hears_when_the_server_is_ready_how_it_is_and_when_it_stops() {
    let mut manager = Manager::start(Some("400000"));
    manager.hears("READY=1");
    // Whoever is told that it is ready can use it.
    assert!(manager.directory.path().join("data/control.sock").exists());
    let word = manager.hears("WATCHDOG=1");
    assert!(word.contains("STATUS=0 sessions, 0 letters wait; storage takes writes"), "{word}");
    manager.signal(Signal::TERM);
    manager.hears("STOPPING=1");
    assert!(manager.server.wait().unwrap().success());
}

#[test]
fn a_stop_is_said_when_it_begins_and_storage_gets_the_time_to_be_closed() {
    // Several times the patience of this watchdog.
    let slow = [("WAXWING_FAILPOINT", "before_closing:1:1200")];
    let mut manager = Manager::start_with(Some("400000"), &slow);
    manager.hears("READY=1");
    assert!(manager.operator(&["drain", "--over", "60s"]).status().unwrap().success());
    manager.hears("STOPPING=1");
    let begun = Instant::now();
    let mut words = 0;
    while begun.elapsed() < Duration::from_millis(800) {
        let word = manager.hears("STATUS=");
        assert!(word.contains("STATUS=stops") && word.contains("WATCHDOG=1"), "{word}");
        words += u32::from(word.contains("EXTEND_TIMEOUT_USEC="));
    }
    assert!(words >= 2, "it was heard of {words} times while storage was closed");
    assert!(manager.server.wait().unwrap().success());
}

#[test]
fn a_storage_that_does_not_answer_is_told_and_kills_nobody() {
    let stuck = [
        ("WAXWING_FAILPOINT", "before_commit:1:60000"),
        ("WAXWING_METRICS__LISTEN", "127.0.0.1:0"),
    ];
    let manager = Manager::start_with(Some("400000"), &stuck);
    manager.hears("READY=1");
    // It has an account made, which storage does not take.
    let mut writes = manager.operator(&["doctor", "--live"]).spawn().unwrap();
    let word = manager.hears("storage has not answered for");
    assert!(word.contains("WATCHDOG=1"), "{word}");
    let not_ready = || {
        let ready = manager.operator(&["health", "--ready"]).status().unwrap();
        ready.code() == Some(1)
    };
    while !not_ready() {
        assert!(manager.hears("STATUS=").contains("WATCHDOG=1"));
    }
    assert!(manager.hears("STATUS=").contains("storage has not answered for 1"));
    assert!(manager.operator(&["health"]).status().unwrap().success());
    let _ = writes.kill();
    let _ = writes.wait();
}

#[test]
fn a_lost_directory_of_backups_is_told_and_the_server_is_ready() {
    let lost = [("WAXWING_BACKUP__DIRECTORY", "/no/such/directory")];
    let manager = Manager::start_with(Some("400000"), &lost);
    manager.hears("READY=1");
    let word =
        manager.hears("no backup can be made in /no/such/directory: there is no such directory");
    assert!(word.contains("WATCHDOG=1"), "{word}");
}

#[test]
fn a_manager_without_a_watchdog_hears_no_word_of_one() {
    let manager = Manager::start(None);
    manager.hears("READY=1");
    let word = manager.hears("STATUS=");
    assert!(!word.contains("WATCHDOG"), "{word}");
}

#[test]
fn a_server_that_hangs_says_nothing() {
    let manager = Manager::start(Some("400000"));
    manager.hears("WATCHDOG=1");
    manager.signal(Signal::STOP);
    // What was said before it hung.
    manager.socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut buffer = [0; 4_096];
    while manager.socket.recv(&mut buffer).is_ok() {}
    assert!(manager.socket.recv(&mut buffer).is_err());
}
