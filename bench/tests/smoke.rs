//! The bench itself, for a moment, on the server as it is built for tests.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use waxwing_testkit::binaries::built_beside;

fn server() -> PathBuf {
    built_beside(env!("CARGO_BIN_EXE_waxwing-bench"), "waxwing-server")
}

/// What `waxwing-bench` finds.
fn measure(args: &[&str]) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("findings.json");
    let ran = Command::new(env!("CARGO_BIN_EXE_waxwing-bench"))
        .args(args)
        .arg("--server")
        .arg(server())
        .arg("--dir")
        .arg(directory.path())
        .arg("--json")
        .arg(&json)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
    serde_json::from_slice(&fs::read(json).unwrap()).unwrap()
}

#[track_caller]
fn came_once(run: &Value) {
    assert!(run["per_second"].as_f64().unwrap() > 0.0, "{run}");
    assert!(run["processor"].as_f64().unwrap() > 0.0, "{run}");
    assert_eq!(run["lost"], 0, "{run}");
    assert_eq!(run["duplicated"], 0, "{run}");
}

#[test]
fn every_letter_that_is_relayed_comes_once() {
    let found = measure(&["relay", "--pairs", "2", "--window", "8", "--seconds", "0.1"]);
    came_once(&found["runs"][0]);
    assert!(found["floor"]["verify"].as_f64().unwrap() > 0.0, "{found}");
}

#[test]
fn every_letter_that_waited_comes_once() {
    let found = measure(&["drain", "--pairs", "2", "--pending", "0", "--seconds", "0.1"]);
    assert_eq!(found["runs"].as_array().unwrap().len(), 2, "{found}");
    found["runs"].as_array().unwrap().iter().for_each(came_once);
}

#[test]
fn every_letter_of_a_program_is_sent_and_received() {
    let client = built_beside(env!("CARGO_BIN_EXE_waxwing-bench"), "waxwing");
    let client = client.to_str().unwrap();
    let found = measure(&["rpc", "--letters", "6", "--people", "2", "--client", client]);
    assert_eq!(found["goals"].as_array().unwrap().len(), 4, "{found}");
}

#[test]
fn newcomers_and_old_acquaintances_get_their_sessions() {
    for scenario in ["register", "storm"] {
        let found = measure(&[scenario, "--clients", "3"]);
        came_once(&found["runs"][0]);
    }
}

#[test]
fn a_server_with_everything_on_is_compared_with_one_that_has_nothing_on() {
    let found = measure(&["operation", "cost", "--scale", "0.001", "--rounds", "1"]);
    let comparisons = found["comparisons"].as_array().unwrap();
    assert_eq!(comparisons.len(), 3, "{found}");
    for side in comparisons.iter().flat_map(|one| [&one["without"], &one["with"]]) {
        assert!(side["middle"].as_f64().unwrap() > 0.0, "{found}");
    }
    for goal in found["goals"].as_array().unwrap() {
        assert!(goal["reached"].as_f64().unwrap().is_finite(), "{found}");
    }
}

#[test]
fn everybody_comes_back_under_another_key_of_the_server() {
    let found = measure(&["operation", "rotation", "--scale", "0.002"]);
    let all_are_back = &found["goals"][0];
    let name = all_are_back["name"].as_str();
    assert!(name.is_some_and(|name| name.ends_with("20 sessions: all are back")), "{found}");
    assert!(all_are_back["reached"].as_f64().unwrap() > 1.0, "{found}");
    let remarks = found["remarks"].to_string();
    assert!(remarks.contains("0 were refused for now") && !remarks.contains('?'), "{found}");
}

/// A server on which nobody is.
struct Running {
    directory: TempDir,
    child: Child,
    address: String,
}

impl Running {
    fn start(codes: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new(server())
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(directory.path().join("data"))
            .env("WAXWING_OTP__DELIVERY", codes)
            .env("WAXWING_LIMITS__EXEMPT", "127.0.0.0/8")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { directory, child, address }
    }

    /// Puts it under load for a moment.
    fn visit(&self) -> Output {
        let (data, keys) = (self.directory.path().join("data"), self.directory.path().join("keys"));
        Command::new(env!("CARGO_BIN_EXE_waxwing-bench"))
            .args(["remote", &self.address, "--pairs", "2", "--rate", "40", "--minutes", "0.01"])
            .arg("--server-key")
            .arg(data.join("server.pub.pem"))
            .arg("--dir")
            .arg(keys)
            .output()
            .unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_that_runs_already_is_put_under_load_as_often_as_one_likes() {
    let running = Running::start("in-band");
    for _ in 0..2 {
        let ran = running.visit();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{ran:?}");
        assert!(said.contains("2 pairs, 40 letters a second wanted: "), "{said}");
        assert!(said.contains("letters arrived"), "{said}");
    }
}

#[test]
fn a_server_that_says_no_codes_is_told_of_with_what_to_do() {
    let ran = Running::start("console").visit();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && said.contains("otp.delivery"), "{said}");
}

/// The processes that this one has started.
fn children_of(parent: u32) -> Vec<PathBuf> {
    let is_child = |process: &PathBuf| {
        let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
        let (_, state_and_parent) = stat.rsplit_once(") ").unwrap_or_default();
        state_and_parent.split(' ').nth(1) == Some(&parent.to_string())
    };
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    processes.filter(is_child).collect()
}

#[track_caller]
fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_bench_that_is_told_to_end_takes_its_server_along() {
    let directory = tempfile::tempdir().unwrap();
    let mut bench = Command::new(env!("CARGO_BIN_EXE_waxwing-bench"))
        .args(["relay", "--pairs", "2", "--window", "8", "--seconds", "0.1"])
        .arg("--server")
        .arg(server())
        .arg("--dir")
        .arg(directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = eventually(|| children_of(bench.id()).pop());
    kill_process(Pid::from_child(&bench), Signal::TERM).unwrap();
    assert_eq!(bench.wait().unwrap().code(), Some(128 + 15));
    // Whoever adopts it buries it.
    eventually(|| {
        let stat = fs::read_to_string(server.join("stat")).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
}
