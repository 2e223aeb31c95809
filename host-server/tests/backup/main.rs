//! Backups, through the binary and beside a storage that is in use.

mod beside_writes;
mod commands;
mod damage;
mod drills;
mod restores;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{apply, create, insert};
use tempfile::TempDir;
use waxwing_server::data_dir::DataDir;
use waxwing_server::store::{SqliteOptions, SqliteStorage, Storage};

/// A server's data, and a directory for its backups.
struct Place(TempDir);

impl Place {
    /// Where a server has run. It has users 1 and 2, and a letter from each to the other.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.backups()).unwrap();
        place.start(&[]).stop();
        let mut storage = place.storage();
        apply(&mut storage, [create(1), create(2), insert(1, 1, 2, 18), insert(2, 2, 1, 18)])
            .unwrap();
        Box::new(storage).close().unwrap();
        place
    }

    fn data(&self) -> DataDir {
        DataDir::create(&self.0.path().join("data")).unwrap()
    }

    fn backups(&self) -> PathBuf {
        self.0.path().join("backups")
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("a backup.db")
    }

    fn storage(&self) -> SqliteStorage {
        SqliteStorage::open(&self.data().database(), &SqliteOptions::default()).unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
        command.arg("--data").arg(self.data().path()).args(args);
        command.env("WAXWING_STORAGE__MIN_FREE_DISK", "0");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// A command about [`Place::file`], which has to end with this code. What it says.
    #[track_caller]
    fn about(&self, args: &[&str], code: i32) -> String {
        let output = self.command(args).arg(self.file()).output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        said
    }

    fn create(&self) {
        self.about(&["backup", "create"], 0);
    }

    fn start(&self, args: &[&str]) -> Server {
        let mut child = self
            .command(args)
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut server = Server(child);
        assert!(line.starts_with("listening on"), "{}", server.log());
        server
    }

    /// Names, sizes and bytes of all files here.
    fn content(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut all = Vec::new();
        files_below(self.0.path(), &mut all);
        all.sort();
        all.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }
}

fn files_below(path: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => files_below(&entry.path(), all),
            kind if kind.is_file() => all.push(entry.path()),
            _ => {}
        }
    }
}

/// A server that runs.
struct Server(Child);

impl Server {
    fn log(&mut self) -> String {
        let mut log = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }

    /// Its log.
    fn stop(mut self) -> String {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        let log = self.log();
        assert!(self.0.wait().unwrap().success(), "{log}");
        log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
