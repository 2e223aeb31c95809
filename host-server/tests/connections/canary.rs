//! The server writes letters to itself.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use serde_json::Value;

use crate::server::{BEHIND, PATIENCE, Server};

fn live(server: &Server, code: i32) -> Value {
    let said = server.operator(code, &["doctor", "--live", "--json"]);
    serde_json::from_str(said.lines().next().unwrap()).unwrap()
}

fn arrives(server: &Server) {
    let round = live(server, 0);
    assert_eq!(round["result"], "done", "{round}");
    let stages = round["stages"].as_array().unwrap().iter().map(|stage| &stage["stage"]);
    let all = ["account", "connect", "send", "store", "fetch", "acknowledge"];
    assert_eq!(stages.collect::<Vec<_>>(), all);
}

#[test]
fn a_letter_goes_all_the_way_though_nobody_may_register() {
    let mut server =
        Server::start(&[("WAXWING_REGISTRATION__OPEN", "false"), ("WAXWING_SERVER__LOOPS", "2")]);
    arrives(&server);
    // It is nobody's doing, and no user's.
    let status: Value = serde_json::from_str(&server.operator(0, &["status", "--json"])).unwrap();
    assert_eq!(status["users"], 0);
    assert_eq!(status["storage"]["commits"]["letters"], 0, "{status}");
    assert_eq!(status["canary"]["every_ms"], Value::Null);
    assert!(status["canary"]["succeeded"].is_string());
    let users = server.operator(0, &["users", "list"]);
    assert_eq!(users.matches("  canary\n").count(), 2, "{users}");
    // With the same keys after the next start, and without a user who was removed.
    server.start_again();
    arrives(&server);
    assert_eq!(server.operator(0, &["users", "list"]).matches("canary").count(), 2);
    server.operator(0, &["users", "remove", "2", "--yes"]);
    arrives(&server);
    // Nor does it need a key that is lost. It says whose account was removed for that, and warns of nothing.
    std::fs::remove_file(server.data().join("canary-sender.key.pem")).unwrap();
    server.start_again();
    arrives(&server);
    let audit = server.operator(0, &["audit", "show", "--json"]);
    assert_eq!(audit.matches("\"by\":\"canary\"").count(), 1, "{audit}");
    let log = server.stop();
    assert!(log.contains("the account is made anew"), "{log}");
    assert!(
        !log.contains("begin with +999") && !log.contains("a key that it does not know"),
        "{log}"
    );
}

#[test]
fn what_keeps_letters_from_arriving_is_named() {
    let server = Server::start(&[BEHIND]);
    arrives(&server);
    server.operator(0, &["users", "suspend", "2"]);
    let round = live(&server, 1);
    assert_eq!((&round["result"], &round["failed_at"]), (&"failed".into(), &"fetch".into()));
    assert!(round["why"].as_str().unwrap().contains("users resume"), "{round}");
    let said = server.operator(0, &["status"]);
    assert!(said.contains("the last one did not arrive, at the stage fetch"), "{said}");
    server.operator(0, &["users", "resume", "2"]);
    // Also the letter that was left over.
    arrives(&server);
    server.operator(0, &["ban", "add", "127.0.0.1", "--force"]);
    let round = live(&server, 1);
    assert_eq!(round["failed_at"], "connect");
    assert!(round["why"].as_str().unwrap().contains("ban list"), "{round}");
    let log = server.stop();
    assert!(log.contains("a letter of the canary did not arrive"), "{log}");
}

#[test]
fn the_clock_has_letters_written() {
    let server = Server::start(&[("WAXWING_CANARY__EVERY", "1s")]);
    let begun = Instant::now();
    let status = loop {
        assert!(begun.elapsed() < PATIENCE);
        let said = server.operator(0, &["status", "--json"]);
        let status: Value = serde_json::from_str(&said).unwrap();
        if status["canary"]["succeeded"].is_string() {
            break status;
        }
    };
    assert_eq!(status["canary"]["every_ms"], 1_000);
}

#[test]
fn a_doctor_looks_at_everything_and_changes_nothing() {
    let mut server = Server::start(&[]);
    let said = server.operator(0, &["doctor", "--json"]);
    let looked: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let verdict = |name: &str| {
        let found = looked.iter().find(|one| one["check"] == name).unwrap();
        found["verdict"].as_str().unwrap().to_owned()
    };
    for name in ["server", "files", "key", "database", "exempt", "public_codes"] {
        assert_eq!(verdict(name), "ok", "{said}");
    }
    assert!(said.contains("the server that runs has room for"), "{said}");
    assert_eq!(verdict("backups"), "warn");
    assert_eq!(verdict("code_delivery"), "skipped");
    // A key that others can read.
    let key = server.data().join("server.key.pem");
    std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let said = server.operator(1, &["doctor"]);
    assert!(said.contains("fail     files") && said.contains("chmod 600"), "{said}");
    server.kill();
    let said = server.operator(1, &["doctor"]);
    assert!(said.contains("warn     server         none runs"), "{said}");
}
