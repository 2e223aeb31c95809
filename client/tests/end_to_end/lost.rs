//! Answers that get lost, and people who crash: nothing is lost, nothing is printed twice.

use std::fmt::Write;

use rustix::process::Signal;

use crate::process::eventually;
use crate::proxy::{Proxy, Way};
use crate::test_server::{Person, TestServer, numbered, texts};

/// Anna and Bert; `who` lives behind a network that can be cut.
fn behind_a_proxy(server: &TestServer, who: &str) -> (Person, Person, Proxy) {
    let proxy = Proxy::before(server.address());
    let person = |name: &str, phone| {
        let mut person = server.newcomer(name, phone);
        if name == who {
            person.server = proxy.address();
        }
        person.register().exits(0);
        person
    };
    let anna = person("anna", "+4915112345601");
    let bert = person("bert", "+4915112345602");
    (anna, bert, proxy)
}

/// The letter takes several times as long as the server waits for a packet that makes no progress,
/// and for an acknowledgment.
#[test]
fn a_large_letter_passes_a_slow_line_at_the_first_attempt_both_ways() {
    let server = TestServer::with(&[("deadlines.packet", "2s"), ("deadlines.progress", "3s")]);
    let (mut anna, mut bert, proxy) = behind_a_proxy(&server, "anna");
    proxy.slow_down(8_000);
    let text = "x".repeat(60_000);
    anna.send(&bert, &text).exits(0).says("stored");
    let count = |way| proxy.ops().iter().filter(|op| **op == (way, 102)).count();
    assert_eq!(count(Way::ToServer), 1);

    std::mem::swap(&mut anna.server, &mut bert.server);
    bert.register().exits(0);
    bert.receives(&[&text]);
    assert_eq!(count(Way::ToClient), 1);
}

#[test]
fn a_letter_whose_acknowledgment_was_lost_is_sent_again_and_printed_once() {
    let server = TestServer::new();
    let (anna, bert, proxy) = behind_a_proxy(&server, "anna");
    proxy.cut(Way::ToClient, 203);
    let ran = anna.send(&bert, "once").exits(3).says("do not send it again");
    assert!(ran.out.starts_with("queued "), "{ran:?}");
    assert!(proxy.has_cut());
    let letters = || proxy.ops().iter().filter(|op| **op == (Way::ToServer, 102)).count();
    assert_eq!(letters(), 1);

    anna.send(&bert, "and for all").exits(0);
    assert_eq!(letters(), 3);
    bert.receives(&["once", "and for all"]);
    bert.receives_nothing();
}

#[test]
fn a_letter_that_never_reached_the_server_is_sent_again() {
    let server = TestServer::new();
    let (anna, bert, proxy) = behind_a_proxy(&server, "anna");
    proxy.cut(Way::ToServer, 102);
    anna.send(&bert, "one").exits(3).says("queued");
    bert.receives_nothing();
    anna.receives_nothing();
    bert.receives(&["one"]);
}

#[test]
fn a_session_can_be_opened_again_after_any_of_its_packets_was_lost() {
    let server = TestServer::new();
    let (anna, bert, proxy) = behind_a_proxy(&server, "bert");
    let steps =
        [(Way::ToServer, 106), (Way::ToClient, 206), (Way::ToServer, 203), (Way::ToClient, 102)];
    for (way, op) in steps {
        let text = format!("before {op}");
        anna.send(&bert, &text).exits(0);
        proxy.cut(way, op);
        bert.run(&["receive"]).exits(3);
        assert!(proxy.has_cut(), "{op}");
        bert.receives(&[&text]);
    }
}

#[test]
fn a_letter_whose_receipt_was_lost_on_the_way_is_printed_once_and_counts_as_delivered() {
    let server = TestServer::new();
    let (anna, bert, proxy) = behind_a_proxy(&server, "bert");
    anna.send(&bert, "one").exits(0);
    // The first 203 of a session confirms it; the next one says what was stored.
    proxy.cut_after(Way::ToServer, 203, 1);
    bert.receives(&["one"]);
    assert!(proxy.has_cut());
    anna.receives_nothing();
    assert_eq!(anna.statuses(&bert), ["stored"]);

    bert.receives_nothing();
    anna.receives_nothing();
    assert_eq!(anna.statuses(&bert), ["delivered"]);
    assert_eq!(bert.history(&anna).len(), 1);
}

#[test]
fn a_recipient_killed_while_letters_come_in_loses_none_and_stores_each_once() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let expected = numbered(1..=60);
    let mut chat = anna.start(&["chat", &bert.phone]);
    let mut printed = Vec::new();
    for part in expected.chunks(20) {
        let following = bert.start(&["receive", "--follow", "--json"]);
        let mut typed = String::new();
        for text in part {
            writeln!(typed, "{text}").unwrap();
        }
        chat.write(&typed);
        following.wait_for_out(|out| out.contains(&format!("\"{}\"", part[2])));
        printed.push(texts(&following.kill().out));
    }
    chat.finish_without_input().exits(0);
    printed.push(texts(&bert.run(&["receive", "--json", "--timeout", "0"]).out));

    let history = bert.history(&anna);
    let stored: Vec<_> = history.iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert_eq!(stored, expected);
    // A letter is marked as printed after it was printed, so those of the last moment before
    // a kill may come once more; otherwise the order is kept and nothing is missing.
    let printed: Vec<_> = printed.into_iter().flatten().flatten().collect();
    let mut seen: Vec<&str> = Vec::new();
    for text in &printed {
        if !seen.contains(&text.as_str()) {
            seen.push(text);
        }
    }
    assert_eq!(seen, expected);
    bert.receives_nothing();
    anna.receives_nothing();
    assert_eq!(anna.statuses(&bert), ["delivered"; 60]);
}

#[test]
fn a_sender_killed_at_any_moment_sends_each_letter_once() {
    let mut server = TestServer::new();
    let (anna, bert, proxy) = behind_a_proxy(&server, "anna");
    anna.send(&bert, "hello").exits(0);
    bert.receives(&["hello"]);

    let expected = numbered(1..=40);
    let before = proxy.ops().len();
    let mut chat = anna.start(&["chat", &bert.phone]);
    let typed: String = expected.iter().map(|text| format!("{text}\n")).collect();
    chat.write(&typed);
    // Somewhere in the middle of sending; what had been typed may not have been read yet.
    eventually("a few letters on the wire", || {
        let ops = proxy.ops();
        let sent = ops[before..].iter().filter(|op| **op == (Way::ToServer, 102)).count();
        (sent > 3).then_some(())
    });
    chat.signal(Signal::KILL);
    chat.finish();
    server.kill();
    server.start();

    anna.send(&bert, "the last one").exits(0);
    let received: Vec<_> = bert.receive().into_iter().flatten().collect();
    let (last, rest) = received.split_last().unwrap();
    assert_eq!(last, "the last one");
    assert!(rest.len() > 3);
    assert_eq!(rest, &expected[..rest.len()]);
    bert.receives_nothing();
}
