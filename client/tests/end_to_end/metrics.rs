//! Numbers and health of a real server, as programs that watch it see them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::process::Command;

use crate::binaries;
use crate::process::{Process, eventually};
use crate::test_server::TestServer;

/// A server with these settings, and the address where its numbers can be read.
fn watched(settings: &[(&str, &str)]) -> (TestServer, SocketAddr) {
    let server = TestServer::with(&[&[("metrics.listen", "127.0.0.1:0")], settings].concat());
    let log = server.process().wait_for_err("numbers and health can be read");
    let line = log.lines().find(|line| line.contains("numbers and health")).unwrap();
    let address = line.split("address=").nth(1).unwrap();
    let address = address.split_whitespace().next().unwrap().parse().unwrap();
    (server, address)
}

/// Every series of the page with its value.
fn scrape(address: SocketAddr) -> BTreeMap<String, f64> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let series = page.lines().filter(|line| !line.starts_with('#'));
    let series = series.map(|line| line.rsplit_once(' ').unwrap());
    series.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
}

#[test]
fn what_two_people_do_is_in_the_numbers_and_who_they_are_is_not() {
    let (server, address) = watched(&[]);
    let before = scrape(address);
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "one").exits(0);
    bert.receives(&["one"]);
    anna.run(&["send", "+4915112345699", "nobody"]).exits(3);
    // The server hears of the end of a connection a moment after its client.
    let after = eventually("the end of all sessions", || {
        let after = scrape(address);
        (after["waxwing_connections"] == 0.0).then_some(after)
    });
    let more = |name: &str| after[name] - before[name];
    for (name, expected) in [
        ("waxwing_users", 2.0),
        ("waxwing_ids_free", -2.0),
        ("waxwing_registrations_total", 2.0),
        ("waxwing_codes_total{result=\"sent\"}", 2.0),
        ("waxwing_codes_total{result=\"used\"}", 2.0),
        ("waxwing_codes_left", -2.0),
        ("waxwing_letters_total{way=\"submitted\"}", 1.0),
        ("waxwing_letters_total{way=\"stored\"}", 1.0),
        ("waxwing_letters_total{way=\"delivered\"}", 1.0),
        ("waxwing_letters_total{way=\"forwarded\"}", 0.0),
        ("waxwing_letters_total{way=\"refused\"}", 0.0),
        ("waxwing_delivery_seconds_count", 1.0),
        ("waxwing_pending_letters", 0.0),
        ("waxwing_group_letters_sum", 1.0),
        ("waxwing_storage_up", 0.0),
        ("waxwing_refused_total{code=\"UnknownUser\"}", 1.0),
        ("waxwing_loops{state=\"hangs\"}", 0.0),
    ] {
        assert_eq!(more(name), expected, "{name}");
    }
    for name in [
        "waxwing_sessions_begun_total",
        "waxwing_turn_seconds_count",
        "waxwing_turn_seconds_sum",
        "waxwing_commit_seconds_count",
        "waxwing_commit_seconds_sum",
        "waxwing_private_operations_total{kind=\"open\"}",
        "waxwing_private_operations_total{kind=\"sign\"}",
    ] {
        assert!(more(name) > 0.0, "{name}");
    }
    let ended: f64 =
        ["connection_ended", "leaving", "server_stopping", "taken_over", "no_progress"]
            .iter()
            .map(|reason| more(&format!("waxwing_session_ends_total{{reason=\"{reason}\"}}")))
            .sum();
    assert_eq!(ended, more("waxwing_sessions_begun_total"));

    // Nothing that people do makes another series, so nothing of them can be in one.
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for name in after.keys() {
        for secret in [&anna.phone[1..], &bert.phone[1..], "127.0.0", "::1"] {
            assert!(!name.contains(secret), "{name}");
        }
    }
}

#[test]
fn a_limit_that_is_reached_is_in_the_numbers() {
    let (server, address) =
        watched(&[("limits.exempt", ""), ("limits.registrations_per_prefix_per_hour", "1")]);
    server.person("anna", "+4915112345601");
    let bert = server.newcomer("bert", "+4915112345602");
    assert_ne!(bert.register().code, Some(0));
    let after = scrape(address);
    let limit = "waxwing_limited_total{limit=\"registrations_per_prefix_per_hour\"}";
    assert!(after[limit] >= 1.0, "{after:?}");
    assert!(after["waxwing_refused_total{code=\"RateLimited\"}"] >= 1.0, "{after:?}");
    assert_eq!(after["waxwing_registrations_total"], 1.0);
}

#[test]
fn the_command_says_whether_the_server_is_well() {
    let (mut server, address) = watched(&[]);
    server.administer(&["health"]).exits(0).says("every event loop answers");
    server.administer(&["health", "--ready"]).exits(0).says("storage takes what is written");
    let over_http = |args: &[&str]| {
        let mut command = Command::new(binaries::server());
        command.env("WAXWING_METRICS__LISTEN", address.to_string()).arg("health").args(args);
        Process::start(&mut command).finish_without_input()
    };
    // Another server may answer there.
    let other = server.data().join("other");
    let other = other.to_str().unwrap();
    over_http(&["--data", other]).exits(1).says("no server answers at").says("other/control.sock");
    std::fs::DirBuilder::new().mode(0o700).create(other).unwrap();
    over_http(&["--data", other]).exits(1).says("no server answers at").says("other/control.sock");
    over_http(&["--data", server.data().to_str().unwrap()]).exits(0);
    over_http(&["--ready"]).exits(0).says("storage takes what is written");
    let json = over_http(&["--json"]).exits(0);
    assert_eq!(json.out, "{\"healthy\":true,\"message\":\"every event loop answers\"}\n");
    server.stop();
    server.administer(&["health"]).exits(1).says("no server answers");
    over_http(&[]).exits(1).says("no server answers");
}
