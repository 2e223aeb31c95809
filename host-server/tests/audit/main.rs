//! The audit log: its lines, its files, and what commands and the server write to it.

mod chain;
mod commands;
mod erasing;
mod files;
mod full_disk;
mod rotation;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use waxwing_core::time::UnixTime;
use waxwing_server::admin::audit::{Arguments, AuditLog, Limits, Line, Outcome, Verified};
use waxwing_server::data_dir::DataDir;

const NOW: UnixTime = support::START;

/// With which a process of these tests knows what another one has asked it to do.
const TASK: &str = "WAXWING_TEST_AUDIT_TASK";

/// A data directory.
struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn data(&self) -> DataDir {
        DataDir::create(&self.path()).unwrap()
    }

    fn log(&self) -> AuditLog {
        AuditLog::of(&self.data())
    }

    fn with_limits(&self, file_bytes: u64, files: u32) -> AuditLog {
        let limits = Limits { file_bytes, files, patience: Duration::from_secs(60) };
        AuditLog::with_limits(&self.data(), limits)
    }

    fn file(&self) -> PathBuf {
        self.path().join("audit.jsonl")
    }

    fn numbered(&self, number: u32) -> PathBuf {
        self.path().join(format!("audit.jsonl.{number}"))
    }

    /// The lines of the file that is written to.
    fn lines(&self) -> Vec<String> {
        fs::read_to_string(self.file()).unwrap().lines().map(str::to_owned).collect()
    }

    fn write(&self, lines: &[String]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(self.file(), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut server = Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
        server.arg("--data").arg(self.path()).args(args);
        server
    }

    fn server(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }
}

/// An act of two lines.
fn act(log: &AuditLog, id: u32) {
    let begun = log.begin(NOW, 7, "users remove", Arguments::new().with("id", id)).unwrap();
    log.end(NOW, begun, Outcome::done("gone")).unwrap();
}

/// Every line of the log that is one.
fn entries(log: &AuditLog) -> Vec<Line> {
    let mut lines = Vec::new();
    let snapshot = log.snapshot().unwrap();
    let mut keep = |line| {
        lines.extend(line);
        Ok(())
    };
    snapshot.each(|entry| keep(entry.line)).unwrap();
    lines
}

#[track_caller]
fn holds(log: &AuditLog) -> Verified {
    let verified = log.verify().unwrap();
    assert!(verified.holds && verified.fault.is_none(), "{verified:?}");
    verified
}

/// Runs one test of this file in a process of its own, by `wrapper`, which gets the command that does
/// so behind its own arguments.
fn elsewhere(test: &str, task: &Path, wrapper: &[&str]) -> Command {
    let own = std::env::current_exe().unwrap();
    let own = own.to_str().unwrap();
    let words = wrapper.iter().copied().chain([own, "--exact", test, "--nocapture"]);
    let words: Vec<&str> = words.collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env(TASK, task);
    command
}

/// What another process has asked this one to do.
fn task() -> Option<PathBuf> {
    std::env::var_os(TASK).map(PathBuf::from)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
