//! The bench itself, for a moment, on the server as it is built for tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Cargo hands out the binaries of a test's own package only. This one is built with the same
/// profile and lies beside the bench's.
fn server() -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_waxwing-bench")).parent().unwrap();
    let profile = match beside.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "waxwing-server", "--profile", profile])
        .arg("--target-dir")
        .arg(beside.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(built.success(), "waxwing-server does not build");
    beside.join("waxwing-server")
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
    serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap()
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
fn newcomers_and_old_acquaintances_get_their_sessions() {
    for scenario in ["register", "storm"] {
        let found = measure(&[scenario, "--clients", "3"]);
        came_once(&found["runs"][0]);
    }
}
