//! The log of session keys that a person can ask a client for.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::binaries;
use crate::process::{Process, Ran};
use crate::proxy::Proxy;
use crate::test_server::{Person, TestServer};

const VARIABLE: &str = "WAXWING_KEYLOG";

fn logged(person: &Person, log: &Path, args: &[&str]) -> Ran {
    Process::start(person.command(args).env(VARIABLE, log)).finish_without_input()
}

fn register(person: &Person, log: &Path) -> Ran {
    let (server, key) = (person.server.to_string(), person.server_key.to_str().unwrap());
    logged(person, log, &["register", "--server", &server, "--server-key", key, &person.phone])
}

#[test]
fn a_key_log_opens_what_went_over_the_wire() {
    let server = TestServer::new();
    let log = server.data().with_file_name("keys.log");
    let proxy = Proxy::before(server.address());
    let bert = server.person("bert", "+4915112345602");
    let anna = Person { server: proxy.address(), ..server.newcomer("anna", "+4915112345601") };
    register(&anna, &log).exits(0).says("WARNING");
    logged(&anna, &log, &["send", &bert.phone, "hello"]).exits(0).says("WARNING");
    assert_eq!(log.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let mut explain = Command::new(binaries::client());
    explain.args(["packet", "explain", "--keylog"]).arg(&log);
    explain.arg("--server-key").arg(&anna.server_key);
    let mut explain = Process::start(&mut explain);
    let captured = proxy.captured().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    explain.write(&captured);
    explain.end_input();
    let ran = explain.finish().exits(0);
    for opened in [
        "6 digits",
        "0, confirmation",
        "letters were pending",
        &format!("phone           {}", bert.phone),
        "1, leaving",
    ] {
        assert!(ran.out.contains(opened), "{opened} is not in\n{}", ran.out);
    }
    assert!(!ran.out.contains("not opened"), "{}", ran.out);
    assert!(!ran.out.contains("hello"));
}

#[test]
fn nobody_writes_keys_unasked_and_a_server_never_does() {
    let mut server = TestServer::new();
    let log = server.data().with_file_name("keys.log");
    server.stop();
    server.start_with(Some((VARIABLE, log.to_str().unwrap())));
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "hello").exits(0);
    bert.receives(&["hello"]);
    assert!(!log.exists());
}

#[test]
fn a_key_log_that_cannot_be_kept_secret_is_refused_before_anything_is_done() {
    let server = TestServer::new();
    let log = server.data().with_file_name("keys.log");
    std::fs::write(&log, "").unwrap();
    std::fs::set_permissions(&log, PermissionsExt::from_mode(0o644)).unwrap();
    let anna = server.newcomer("anna", "+4915112345601");
    register(&anna, &log).exits(78).says("0600");
    assert!(!anna.home.exists());
    assert_eq!(std::fs::read(&log).unwrap(), b"");
}

#[test]
fn a_key_log_that_is_no_file_of_its_own_is_refused_at_once() {
    let server = TestServer::new();
    let anna = server.person("anna", "+4915112345601");
    let home = std::fs::read(anna.home.join("waxwing.db")).unwrap();
    for name in ["waxwing.db", "session.lock", "new.log"] {
        logged(&anna, &anna.home.join(name), &["whoami"]).exits(78).says("among the files");
    }
    assert_eq!(std::fs::read(anna.home.join("waxwing.db")).unwrap(), home);
    assert!(!anna.home.join("new.log").exists());

    let pipe = server.data().with_file_name("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    logged(&anna, &pipe, &["whoami"]).exits(78).says("not a plain file");
}
