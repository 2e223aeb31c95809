//! A home whose log has changed on the disk.

use std::fs;
use std::process::Command;

use waxwing::home::Home;

use crate::{OTHER, TestHome, receive};

/// A home as a process leaves it that was killed, with one byte changed in the middle of its log.
fn damaged() -> TestHome {
    let test = TestHome::new();
    for uid in 1..=20 {
        let _ = receive(&test, OTHER, uid, "hello");
    }
    let root = tempfile::tempdir().unwrap();
    let from = test.root.path().join("home");
    assert!(Command::new("cp").arg("-a").arg(from).arg(root.path()).status().unwrap().success());
    let log = root.path().join("home/waxwing.db-wal");
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, bytes).unwrap();
    let home = Home::create(&root.path().join("other")).unwrap();
    TestHome { root, home }
}

#[test]
fn every_command_says_what_makes_a_damaged_home_usable_and_it_does() {
    let test = damaged();
    for command in [&["history", OTHER][..], &["send", OTHER, "hi"], &["receive"], &["whoami"]] {
        let failure = test.run_by_program(command).failure.unwrap();
        assert_eq!(failure.code(), 74, "{failure}");
        assert!(failure.to_string().contains("`waxwing recover`"), "{failure}");
    }
    let ran = test.run_by_program(&["recover"]);
    assert!(ran.failure.is_none());
    assert!(ran.output.contains("can be used again"), "{}", ran.output);
    assert!(ran.output.contains("waxwing.db.damaged-"), "{}", ran.output);
    let letters = test.run_by_program(&["history", OTHER]).output.matches("hello").count();
    assert!((1..20).contains(&letters), "{letters}");
    let ran = test.run_by_program(&["delete", OTHER, "--all", "--yes"]);
    assert!(ran.remarks.contains("is an older copy and still has the letters"), "{}", ran.remarks);
    assert!(test.run_by_program(&["recover"]).output.contains("nothing was changed"));
}

#[test]
fn a_program_learns_what_a_recovery_has_cost() {
    let test = damaged();
    let recover = || -> serde_json::Value {
        serde_json::from_str(&test.run_by_program(&["recover", "--json"]).output).unwrap()
    };
    let recovered = recover();
    assert!(recovered["lost"].as_u64().unwrap() > 0, "{recovered}");
    for file in recovered["kept"].as_array().unwrap() {
        assert!(fs::exists(file.as_str().unwrap()).unwrap(), "{file}");
    }
    assert_eq!(recover(), serde_json::json!({ "lost": 0, "kept": [] }));
}
