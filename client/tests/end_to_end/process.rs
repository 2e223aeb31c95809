//! A process under test, with everything it has written. It dies with its owner.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// For failure only: nothing here takes as long, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// How a process ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Whether it ended with `code`; everything it wrote goes into the failure.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn says(self, what: &str) -> Self {
        assert!(self.out.contains(what) || self.err.contains(what), "no {what:?} in {self:?}");
        self
    }
}

/// What one stream has brought so far.
#[derive(Clone, Default)]
struct Stream(Arc<(Mutex<Vec<u8>>, Condvar)>);

impl Stream {
    fn collect(&self, mut from: impl Read + Send + 'static) -> JoinHandle<()> {
        let stream = self.clone();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                stream.0.0.lock().unwrap().extend_from_slice(&buffer[..count]);
                stream.0.1.notify_all();
            }
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.0.lock().unwrap()).into_owned()
    }

    fn wait_for(&self, is_there: impl Fn(&str) -> bool) -> bool {
        let bytes = self.0.0.lock().unwrap();
        let missing = |bytes: &mut Vec<u8>| !is_there(&String::from_utf8_lossy(bytes));
        let (_bytes, waited) = self.0.1.wait_timeout_while(bytes, PATIENCE, missing).unwrap();
        !waited.timed_out()
    }
}

pub(crate) struct Process {
    child: Child,
    input: Option<Box<dyn Write>>,
    out: Stream,
    err: Stream,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        keep_to_given_settings(command);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (out, err) = (Stream::default(), Stream::default());
        let readers = vec![
            out.collect(child.stdout.take().unwrap()),
            err.collect(child.stderr.take().unwrap()),
        ];
        let input = child.stdin.take().map(|input| Box::new(input) as Box<dyn Write>);
        Self { input, child, out, err, readers }
    }

    /// On a terminal with so many columns, which shows everything that is written as output. What
    /// is typed shows, too.
    pub(crate) fn start_on_terminal(command: &mut Command, columns: u16) -> Self {
        keep_to_given_settings(command);
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let side = || Stdio::from(open(name.as_c_str(), flags, Mode::empty()).unwrap());
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        // Else the terminal never ends for whoever reads it here.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let terminal = File::from(terminal);
        let (out, err) = (Stream::default(), Stream::default());
        let readers = vec![out.collect(terminal.try_clone().unwrap())];
        Self { input: Some(Box::new(terminal)), child, out, err, readers }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub(crate) fn out(&self) -> String {
        self.out.text()
    }

    pub(crate) fn err(&self) -> String {
        self.err.text()
    }

    #[track_caller]
    pub(crate) fn wait_for_out(&self, is_there: impl Fn(&str) -> bool) -> String {
        assert!(self.out.wait_for(is_there), "{:?}\n{}", self.out(), self.err());
        self.out()
    }

    #[track_caller]
    pub(crate) fn wait_for_err(&self, what: &str) -> String {
        self.wait_for_one_in_err(&[what])
    }

    #[track_caller]
    pub(crate) fn wait_for_one_in_err(&self, what: &[&str]) -> String {
        let there = self.err.wait_for(|err| what.iter().any(|what| err.contains(what)));
        assert!(there, "no {what:?} in {:?}\n{}", self.err(), self.out());
        self.err()
    }

    pub(crate) fn write(&mut self, text: &str) {
        self.write_bytes(text.as_bytes());
    }

    pub(crate) fn write_bytes(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub(crate) fn end_input(&mut self) {
        self.input = None;
    }

    /// How large it may make a file; `None` for any size.
    pub(crate) fn limit_files(&self, current: Option<u64>) {
        let limit = Rlimit { current, maximum: None };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, limit).unwrap();
    }

    /// Sends a signal; a process that has ended by itself is no failure here.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Ran {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() < deadline => thread::sleep(LOOK),
                None => panic!("it goes on: {:?} {:?}", self.out(), self.err()),
            }
        };
        self.ended(status)
    }

    /// Ends its input, then waits as [`Process::finish`] does.
    #[track_caller]
    pub(crate) fn finish_without_input(mut self) -> Ran {
        self.end_input();
        self.finish()
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(mut self) -> Ran {
        let _ = self.child.kill();
        let status = self.child.wait().unwrap();
        self.ended(status)
    }

    fn ended(&mut self, status: ExitStatus) -> Ran {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        Ran { code: status.code(), out: self.out(), err: self.err() }
    }
}

/// The environment of the tests is not that of the programs under test.
fn keep_to_given_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WAXWING_") && !is_set(command, &name) {
            command.env_remove(name);
        }
    }
    if !is_set(command, "XDG_CONFIG_HOME".as_ref()) {
        command.env("XDG_CONFIG_HOME", "/nonexistent");
    }
}

fn is_set(command: &Command, name: &std::ffi::OsStr) -> bool {
    command.get_envs().any(|(set, value)| set == name && value.is_some())
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something that nobody announces.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(LOOK);
    }
}
