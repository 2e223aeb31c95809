//! Addresses from which nobody is served.

use std::net::TcpStream;

use serde_json::Value;

use crate::server::{BEHIND, Server, client, is_answered, said};

fn json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Whether the server has ended a connection.
fn has_ended(stream: &mut TcpStream) -> bool {
    !is_answered(stream)
}

#[test]
fn a_ban_ends_what_comes_from_there_and_outlives_the_server() {
    for loops in ["1", "2"] {
        let mut server = Server::start(&[BEHIND, ("WAXWING_SERVER__LOOPS", loops)]);
        let mut banned = server.connect(&client([203, 0, 113, 1]));
        let mut other = server.connect(&client([198, 51, 100, 1]));
        // The server knows of both.
        while !server.operator(0, &["status"]).contains("2 connections") {}
        let add = ["ban", "add", "203.0.113.9/24", "--for", "1h", "--reason", "it floods"];
        let added = server.operator(0, &add);
        assert!(added.starts_with("banned 203.0.113.0/24 until 2"), "{added}");
        assert!(added.ends_with("; ended 1 connection\n"), "{added}");
        let again = server.operator(0, &["ban", "add", "203.0.113.0/24", "--for", "2h"]);
        assert!(
            again.contains("\nit was banned until 2") && again.contains(": it floods"),
            "{again}"
        );
        server.operator(0, &add);
        assert!(has_ended(&mut banned) && is_answered(&mut other));
        assert!(has_ended(&mut server.connect(&client([203, 0, 113, 200]))));

        server.start_again();
        assert!(has_ended(&mut server.connect(&client([203, 0, 113, 200]))));
        let bans = json(&server.operator(0, &["ban", "list", "--json"]));
        assert_eq!(bans.len(), 1);
        assert_eq!(bans[0]["range"], "203.0.113.0/24");
        assert_eq!(
            (&bans[0]["automatic"], &bans[0]["reason"]),
            (&false.into(), &"it floods".into())
        );
        let listed = server.operator(0, &["ban", "list"]);
        assert!(listed.contains("203.0.113.0/24 ") && listed.contains("it floods"), "{listed}");

        let removed = server.operator(0, &["ban", "remove", "203.0.113.0/24"]);
        assert_eq!(removed, "203.0.113.0/24 is no longer banned\n");
        assert!(is_answered(&mut server.connect(&client([203, 0, 113, 200]))));
        assert!(json(&server.operator(0, &["ban", "list", "--json"])).is_empty());
        let again = server.operator(1, &["ban", "remove", "203.0.113.0/24"]);
        assert!(again.contains("ban list"), "{again}");
        let audit = server.operator(0, &["audit", "show"]);
        assert!(audit.contains("ban add") && audit.contains("ban remove"), "{audit}");
    }
}

#[test]
fn a_ban_ends_by_itself() {
    let server = Server::start(&[BEHIND]);
    server.operator(0, &["ban", "add", "203.0.113.1", "--for", "1s"]);
    server.operator(0, &["ban", "add", "203.0.113.2"]);
    while server.operator(0, &["ban", "list"]).contains("203.0.113.1") {}
    assert!(is_answered(&mut server.connect(&client([203, 0, 113, 1]))));
    assert!(has_ended(&mut server.connect(&client([203, 0, 113, 2]))));
}

#[test]
fn an_address_that_offends_too_often_is_banned_for_a_while_and_no_other() {
    let (after, exempt) =
        (("WAXWING_LIMITS__BAN_AFTER", "3"), ("WAXWING_LIMITS__EXEMPT", "10.7.0.0/16"));
    let mut server = Server::start(&[BEHIND, after, exempt, ("WAXWING_LIMITS__BAN_FOR", "30m")]);
    let offend = |server: &Server, address| is_answered(&mut server.connect(&client(address)));
    let bans = |server: &Server| json(&server.operator(0, &["ban", "list", "--json"]));
    for _ in 0..4 {
        assert!(offend(&server, [10, 7, 1, 1]));
    }
    for _ in 0..2 {
        assert!(offend(&server, [203, 0, 113, 1]) && offend(&server, [203, 0, 113, 2]));
    }
    assert!(bans(&server).is_empty());
    // It may be closed before it is told why.
    let _ = offend(&server, [203, 0, 113, 1]);
    while bans(&server).is_empty() {}
    assert!(has_ended(&mut server.connect(&client([203, 0, 113, 1]))));

    // It outlives the server, and says what it is for.
    server.start_again();
    assert!(has_ended(&mut server.connect(&client([203, 0, 113, 1]))));
    let ban = &bans(&server)[0];
    assert_eq!((&ban["range"], &ban["automatic"]), (&"203.0.113.1".into(), &true.into()));
    let reason = "3 malformed packets, 0 bad signatures and 0 wrong codes in 10 minutes";
    assert_eq!(ban["reason"], reason);
    assert!(ban["until"].is_string());
    assert!(server.operator(0, &["ban", "list"]).contains("  itself  "));

    // Who is let in again begins anew.
    server.operator(0, &["ban", "remove", "203.0.113.1"]);
    assert!(offend(&server, [203, 0, 113, 1]) && offend(&server, [203, 0, 113, 1]));
    assert!(bans(&server).is_empty());
}

#[test]
fn the_machine_itself_is_never_banned() {
    let server = Server::start(&[("WAXWING_LIMITS__BAN_AFTER", "1")]);
    for _ in 0..3 {
        assert!(is_answered(&mut server.connect(b"")));
    }
    assert!(json(&server.operator(0, &["ban", "list", "--json"])).is_empty());
    assert!(!server.stop().contains("nobody is served"));
}

#[test]
fn whom_an_operator_hardly_means_is_banned_only_by_force() {
    let exempt = ("WAXWING_LIMITS__EXEMPT", "10.7.0.0/16");
    let proxies = ("WAXWING_SERVER__PROXIES", "127.0.0.0/8, 10.8.0.1");
    let server = Server::start(&[exempt, proxies]);
    for (range, why) in [
        ("127.0.0.1", "addresses of this machine"),
        ("::ffff:127.0.0.1", "addresses of this machine"),
        ("::/0", "addresses of this machine"),
        ("0.0.0.0/0", "addresses of this machine"),
        ("10.7.1.0/24", "limits.exempt or server.proxies in it (10.7.0.0/16)"),
        ("10.0.0.0/8", "limits.exempt or server.proxies"),
        ("10.8.0.1", "limits.exempt or server.proxies"),
    ] {
        let refused = server.operator(2, &["ban", "add", range]);
        assert!(refused.contains(why) && refused.contains("--force"), "{range}: {refused}");
    }
    let mut own = server.command(&["ban", "add", "203.0.113.0/24"]);
    own.env("SSH_CONNECTION", "203.0.113.7 50000 198.51.100.1 22");
    assert!(said(2, &mut own).contains("203.0.113.7 in it, from which you are logged in"));
    assert!(json(&server.operator(0, &["ban", "list", "--json"])).is_empty());
    server.operator(0, &["ban", "add", "10.7.1.0/24", "--force"]);
    assert!(has_ended(&mut server.connect(&client([10, 7, 1, 1]))));
    // Wrong input changes nothing.
    server.operator(2, &["ban", "add", "203.0.113.0/33"]);
    server.operator(2, &["ban", "add", "203.0.113.0/24", "--reason", "a\nb"]);
    server.operator(2, &["ban", "add", "203.0.113.0/24", "--reason", &"x".repeat(201)]);
    server.operator(2, &["ban", "add", "203.0.113.0/24", "--for", "soon"]);
    assert_eq!(json(&server.operator(0, &["ban", "list", "--json"])).len(), 1);
}
