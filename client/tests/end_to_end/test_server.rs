//! A server in a directory of its own, and the people who use it.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::binaries;
use crate::process::{Process, Ran};

pub(crate) struct TestServer {
    root: TempDir,
    settings: Vec<(String, String)>,
    /// How many descriptors the system grants the server, if not as many as the test.
    descriptors: Option<u32>,
    address: SocketAddr,
    process: Option<Process>,
    /// What servers that have ended wrote.
    past_log: String,
}

impl TestServer {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// With settings such as `("otp.ttl", "1s")`. Unless they say otherwise, codes come in band and
    /// nobody is limited by their address, which all have in common.
    pub(crate) fn with(settings: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        Self::in_directory(root, settings)
    }

    pub(crate) fn in_directory(root: TempDir, settings: &[(&str, &str)]) -> Self {
        let open = [("otp.delivery", "in-band"), ("limits.exempt", "127.0.0.0/8, ::1")];
        Self::with_nothing_but(root, &[&open, settings].concat())
    }

    /// With the defaults of the server for all other settings.
    pub(crate) fn with_nothing_but(root: TempDir, settings: &[(&str, &str)]) -> Self {
        let variable = |key: &str| format!("WAXWING_{}", key.replace('.', "__").to_uppercase());
        let settings = settings.iter().map(|(key, value)| (variable(key), (*value).to_owned()));
        let address = "127.0.0.1:0".parse().unwrap();
        let mut server = Self {
            root,
            settings: settings.collect(),
            descriptors: None,
            address,
            process: None,
            past_log: String::new(),
        };
        server.start();
        server
    }

    /// A server with few descriptors.
    #[allow(dead_code, reason = "not every target has a use for it")]
    pub(crate) fn with_descriptors(count: u32, settings: &[(&str, &str)]) -> Self {
        let mut server = Self::with(settings);
        server.stop();
        server.descriptors = Some(count);
        server.start();
        server
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("server")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn public_key(&self) -> PathBuf {
        self.data().join("server.pub.pem")
    }

    pub(crate) fn process(&self) -> &Process {
        self.process.as_ref().unwrap()
    }

    /// Everything that servers have written on standard error.
    pub(crate) fn log(&self) -> String {
        let now = self.process.as_ref().map(Process::err).unwrap_or_default();
        format!("{}{now}", self.past_log)
    }

    fn server_command(&self) -> Command {
        let mut command = match self.descriptors {
            None => Command::new(binaries::server()),
            Some(count) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {count}; exec \"$0\" \"$@\"")]);
                shell.arg(binaries::server());
                shell
            }
        };
        command.arg("--data").arg(self.data());
        let loops = std::env::var_os("WAXWING_TEST_LOOPS");
        command.envs(loops.map(|loops| ("WAXWING_SERVER__LOOPS", loops)));
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the server's binary on the same data.
    #[track_caller]
    pub(crate) fn administer(&self, args: &[&str]) -> Ran {
        Process::start(self.server_command().args(args)).finish_without_input()
    }

    /// Starts the server, on the port that it had before.
    pub(crate) fn start(&mut self) {
        self.start_with(None);
    }

    /// The same, with a variable in its environment.
    pub(crate) fn start_with(&mut self, variable: Option<(&str, &str)>) {
        let mut command = self.server_command();
        command.envs(variable);
        self.start_as(command);
    }

    /// The same, with a flag.
    pub(crate) fn start_with_flag(&mut self, flag: &str) {
        let mut command = self.server_command();
        command.arg(flag);
        self.start_as(command);
    }

    fn start_as(&mut self, mut command: Command) {
        assert!(self.process.is_none());
        let process = Process::start(command.arg("--listen").arg(self.address.to_string()));
        let out = process.wait_for_out(|out| out.ends_with('\n'));
        let (greeting, address) = out.trim_end().rsplit_once(' ').unwrap();
        assert_eq!(greeting, "listening on");
        self.address = address.parse().unwrap();
        self.process = Some(process);
    }

    /// Stops the server as an operator does.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        let process = self.process.take().unwrap();
        process.signal(Signal::TERM);
        let ran = process.finish().exits(0);
        self.past_log.push_str(&ran.err);
    }

    /// Takes the server down with SIGKILL.
    pub(crate) fn kill(&mut self) {
        let ran = self.process.take().unwrap().kill();
        assert_eq!(ran.code, None, "{ran:?}");
        self.past_log.push_str(&ran.err);
    }

    /// Waits until the server has ended by itself.
    #[track_caller]
    pub(crate) fn ends(&mut self, code: i32) -> Ran {
        let ran = self.process.take().unwrap().finish().exits(code);
        self.past_log.push_str(&ran.err);
        ran
    }

    /// Whether the server lives.
    pub(crate) fn is_running(&mut self) -> bool {
        self.process.as_mut().unwrap().is_running()
    }

    /// The server's database. Not for writing while the server runs.
    pub(crate) fn database(&self) -> Connection {
        Connection::open(self.data().join("waxwing.db")).unwrap()
    }

    /// Somebody with a home and no account.
    pub(crate) fn newcomer(&self, name: &str, phone: &str) -> Person {
        let home = self.root.path().join(name);
        let key = self.public_key();
        Person { home, phone: phone.into(), server: self.address, server_key: key }
    }

    /// Somebody with an account.
    #[track_caller]
    pub(crate) fn person(&self, name: &str, phone: &str) -> Person {
        let person = self.newcomer(name, phone);
        person.register().exits(0);
        person
    }

    /// Somebody's copy of their home, as it may be used on another machine.
    pub(crate) fn copy_of(&self, person: &Person) -> Person {
        let copy = self.newcomer("copy", &person.phone);
        fs::create_dir(&copy.home).unwrap();
        fs::set_permissions(&copy.home, Permissions::from_mode(0o700)).unwrap();
        let database = copy.home.join("waxwing.db");
        person.database().execute("VACUUM INTO ?", [database.to_str().unwrap()]).unwrap();
        copy
    }

    #[track_caller]
    pub(crate) fn anna_and_bert(&self) -> (Person, Person) {
        (self.person("anna", "+4915112345601"), self.person("bert", "+4915112345602"))
    }
}

pub(crate) struct Person {
    pub(crate) home: PathBuf,
    pub(crate) phone: String,
    pub(crate) server: SocketAddr,
    pub(crate) server_key: PathBuf,
}

impl Person {
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binaries::client());
        command.arg("--home").arg(&self.home).args(args);
        command
    }

    pub(crate) fn start(&self, args: &[&str]) -> Process {
        Process::start(&mut self.command(args))
    }

    /// Runs a command that reads nothing.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.start(args).finish_without_input()
    }

    pub(crate) fn start_registering(&self, more: &[&str]) -> Process {
        let mut command = self.command(&["register", "--server", &self.server.to_string()]);
        Process::start(
            command.arg("--server-key").arg(&self.server_key).arg(&self.phone).args(more),
        )
    }

    #[track_caller]
    pub(crate) fn register(&self) -> Ran {
        self.register_with(&[])
    }

    #[track_caller]
    pub(crate) fn register_with(&self, more: &[&str]) -> Ran {
        self.start_registering(more).finish_without_input()
    }

    #[track_caller]
    pub(crate) fn send(&self, to: &Self, text: &str) -> Ran {
        self.run(&["send", &to.phone, text])
    }

    /// The texts that `receive` prints; `None` where there is none.
    #[track_caller]
    pub(crate) fn receive(&self) -> Vec<Option<String>> {
        texts(&self.run(&["receive", "--json"]).exits(0).out)
    }

    #[track_caller]
    pub(crate) fn receives(&self, expected: &[&str]) {
        let received = self.receive();
        let received: Vec<_> = received.iter().map(Option::as_deref).collect();
        let expected: Vec<_> = expected.iter().copied().map(Some).collect();
        assert_eq!(received, expected);
    }

    #[track_caller]
    pub(crate) fn receives_nothing(&self) {
        self.run(&["receive"]).exits(7);
    }

    /// The conversation with somebody, one JSON object each.
    #[track_caller]
    pub(crate) fn history(&self, with: &Self) -> Vec<Value> {
        lines(&self.run(&["history", &with.phone, "--json"]).exits(0).out)
    }

    /// The status of each letter to somebody.
    #[track_caller]
    pub(crate) fn statuses(&self, to: &Self) -> Vec<String> {
        let history = self.history(to);
        let sent = history.iter().filter(|line| line["direction"] == "out");
        sent.map(|line| line["status"].as_str().unwrap().to_owned()).collect()
    }

    /// This home's database.
    pub(crate) fn database(&self) -> Connection {
        Connection::open(self.home.join("waxwing.db")).unwrap()
    }
}

/// Every line as JSON.
#[track_caller]
pub(crate) fn lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The text of every letter that `receive --json` has printed.
#[track_caller]
pub(crate) fn texts(out: &str) -> Vec<Option<String>> {
    lines(out).iter().map(|line| line["text"].as_str().map(str::to_owned)).collect()
}

/// A line for each of `range`, to be typed.
pub(crate) fn numbered(range: std::ops::RangeInclusive<u32>) -> Vec<String> {
    range.map(|number| format!("letter {number}")).collect()
}
