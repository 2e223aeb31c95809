//! Letters that wait, deadlines that end, connections that go and come back: what a person sees
//! of it.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;

use crate::test_server::{Person, TestServer};

/// Somebody's server from now on.
fn moves_to(person: &mut Person, address: std::net::SocketAddr) {
    person.server = address;
    let server = address.to_string();
    person.database().execute("UPDATE identity SET server = ?", [server]).unwrap();
}

/// A server that takes every connection and never says more than a byte now and then.
fn trickling(bytes: &'static [u8]) -> std::net::SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { continue };
            thread::spawn(move || {
                for byte in bytes {
                    if client.write_all(&[*byte]).is_err() {
                        return;
                    }
                    thread::sleep(Duration::from_secs(1));
                }
                let _ = std::io::copy(&mut client, &mut std::io::sink());
            });
        }
    });
    address
}

#[test]
fn one_deadline_covers_a_whole_command() {
    let server = TestServer::new();
    let (mut anna, bert) = server.anna_and_bert();
    // The header of a 206, as far as it comes.
    const HEADER: &[u8] = b"\0\0\x64\x002026-03-14 09:26:53\xce\0\x01";
    for bytes in [&b""[..], HEADER] {
        moves_to(&mut anna, trickling(bytes));
        for (args, code) in [
            (&["receive", "--timeout", "2"][..], 7),
            (&["receive", "--follow", "--timeout", "2"], 7),
            (&["send", &bert.phone, "hi", "--timeout", "2"], 3),
        ] {
            let begun = Instant::now();
            anna.run(args).exits(code);
            // One second for a busy machine; two seconds more would have failed before.
            let took = begun.elapsed();
            assert!(took < Duration::from_millis(3_800), "{args:?} {took:?}");
        }
    }
}

#[test]
fn a_time_that_no_clock_can_hold_is_refused() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    for timeout in ["18446744073709551615", "31536001", "-1", "1.5", ""] {
        for args in [
            &["receive", "--timeout", timeout][..],
            &["send", &bert.phone, "hi", "--timeout", timeout],
        ] {
            anna.run(args).exits(2);
        }
    }
    anna.run(&["receive", "--timeout", "31536001"]).exits(2).says("a year");
    anna.run(&["send", &bert.phone, "hi", "--timeout", "31536000"]).exits(0);
}

#[test]
fn lines_to_one_person_keep_their_order_when_the_first_do_not_fit() {
    let server = TestServer::with(&[("limits.bytes_per_pair", "16KiB")]);
    let (anna, bert) = server.anna_and_bert();
    let line = |letter: &str| letter.repeat(12_000);
    anna.send(&bert, &line("a")).exits(0);
    let mut chat = anna.start(&["chat", &bert.phone]);
    chat.write(&format!("{}\n{}\nshort\n", line("b"), line("c")));
    crate::process::eventually("the first is refused, and all wait", || {
        let listed = anna.run(&["outbox"]).exits(0).out;
        (listed.contains("mailbox is full") && listed.matches("waits behind").count() == 2)
            .then_some(())
    });
    chat.signal(Signal::INT);
    chat.finish().exits(0);

    bert.receives(&[&line("a")]);
    anna.run(&["outbox", "retry"]).exits(3);
    bert.receives(&[&line("b")]);
    anna.run(&["outbox", "retry", &bert.phone]).exits(0).says("none of these letters waits");
    bert.receives(&[&line("c"), "short"]);
    anna.run(&["outbox"]).exits(0).says("no letter waits");
}

#[test]
fn a_letter_to_another_passes_one_that_waits() {
    let server = TestServer::with(&[("limits.bytes_per_pair", "16KiB")]);
    let (anna, bert) = server.anna_and_bert();
    let carl = server.person("carl", "+4915112345603");
    anna.send(&bert, &"a".repeat(12_000)).exits(0);
    anna.send(&bert, &"b".repeat(12_000)).exits(3).says("mailbox is full");
    anna.send(&bert, "behind it").exits(3).says("mailbox is full");
    anna.send(&carl, "past it").exits(0);
    carl.receives(&["past it"]);
}

#[test]
fn a_letter_that_waits_can_be_given_up() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "hello").exits(0);
    server.stop();
    anna.send(&bert, "never mind").exits(3).says("queued");
    anna.send(&bert, "still good").exits(3).says("queued");
    let listed = crate::test_server::lines(&anna.run(&["outbox", "--json"]).exits(0).out);
    assert_eq!(listed.len(), 2);
    let uid = listed[0]["uid"].as_str().unwrap();
    assert!(listed[1]["why"].as_str().unwrap().contains(uid), "{listed:?}");
    anna.run(&["outbox", "drop", uid]).exits(0).says("it was not sent");
    anna.run(&["outbox", "drop", uid]).exits(1).says("given up");
    anna.run(&["outbox", "drop", &"0".repeat(32)]).exits(1).says("no letter");
    anna.run(&["outbox", "drop", "12"]).exits(2);
    server.start();
    anna.run(&["outbox", "retry"]).exits(0);
    bert.receives(&["hello", "still good"]);
    assert_eq!(anna.statuses(&bert)[1], "given up");
}

#[test]
fn somebody_who_follows_is_told_that_the_connection_is_lost_and_back() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let mut following = bert.start(&["receive", "--follow"]);
    anna.send(&bert, "one").exits(0);
    following.wait_for_out(|out| out.contains("one"));
    server.kill();
    following.wait_for_err("no connection");
    server.start();
    following.wait_for_err("connected again");
    anna.send(&bert, "two").exits(0);
    following.wait_for_out(|out| out.contains("two"));
    assert!(following.is_running());
    following.signal(Signal::INT);
    let ran = following.finish().exits(0);
    assert_eq!(ran.err.matches("no connection").count(), 1, "{ran:?}");
    assert_eq!(ran.err.matches("connected again").count(), 1, "{ran:?}");
}

#[test]
fn a_crowd_that_follows_does_not_come_back_at_once() {
    let mut server = TestServer::new();
    let people: Vec<_> = (0..6)
        .map(|at| server.person(&format!("person{at}"), &format!("+491511234561{at}")))
        .collect();
    let followers: Vec<_> = people.iter().map(|one| one.start(&["receive", "--follow"])).collect();
    crate::process::eventually("all are there", || {
        let caught_up =
            |one: &Person| holder(one).is_some_and(|note| note.contains("\"has_backlog\":true"));
        people.iter().all(caught_up).then_some(())
    });
    server.stop();
    for follower in &followers {
        follower.wait_for_err("the server has ended the session");
    }
    server.start();
    let begun = Instant::now();
    let mut back = Vec::new();
    for follower in &followers {
        follower.wait_for_err("connected again");
        back.push(begun.elapsed());
    }
    // Six numbers between 1 and 30 s: that all are below 4 s has a chance of one in a million.
    assert!(back.iter().max().unwrap() > &Duration::from_secs(4), "{back:?}");
}

/// What the holder of a home's session says about itself.
fn holder(person: &Person) -> Option<String> {
    fs::read_to_string(person.home.join("session.lock")).ok()
}

#[test]
fn a_holder_that_does_not_move_is_named_and_no_letter_is_denied() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let mut following = bert.start(&["receive", "--follow"]);
    anna.send(&bert, "one").exits(0);
    following.wait_for_out(|out| out.contains("one"));
    following.signal(Signal::STOP);
    let pid = following.id().to_string();
    anna.send(&bert, "two").exits(0);
    // It has not moved for a minute.
    let lock = fs::OpenOptions::new().write(true).open(bert.home.join("session.lock")).unwrap();
    lock.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    for args in [&["receive"][..], &["receive", "--timeout", "1"], &["send", &anna.phone, "hi"]] {
        let ran = bert.run(args).exits(3).says("has not moved for");
        assert!(ran.err.contains(&pid), "{ran:?}");
    }
    // As if it had been stopped while it wrote, if it was not.
    let database = bert.database();
    let _ = database.execute_batch("BEGIN IMMEDIATE");
    bert.run(&["send", &anna.phone, "hi"]).exits(3).says("has not moved for");
    drop(database);
    following.signal(Signal::CONT);
    following.wait_for_out(|out| out.contains("two"));
    assert!(following.is_running());
}

#[test]
fn a_holder_that_has_just_stopped_denies_no_letter() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let mut following = bert.start(&["receive", "--follow"]);
    anna.send(&bert, "one").exits(0);
    following.wait_for_out(|out| out.contains("one"));
    bert.run(&["receive"]).exits(7).says("no letter");
    following.signal(Signal::STOP);
    anna.send(&bert, "two").exits(0);
    // Too little time to see that it does not move, and enough.
    bert.run(&["receive", "--timeout", "1"]).exits(7).says("some may wait");
    bert.run(&["receive", "--timeout", "5"]).exits(3).says("has not moved for");
    bert.run(&["receive"]).exits(3).says("has not moved for");
    following.signal(Signal::CONT);
    following.wait_for_out(|out| out.contains("two"));
    assert!(following.is_running());
}

#[test]
fn a_holder_without_a_connection_says_so_to_the_others() {
    let mut server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let following = bert.start(&["receive", "--follow"]);
    anna.send(&bert, "one").exits(0);
    following.wait_for_out(|out| out.contains("one"));
    server.kill();
    following.wait_for_err("no connection");
    let pid = following.id().to_string();
    bert.run(&["receive"]).exits(3).says("has no connection").says(&pid);
    bert.run(&["send", &anna.phone, "hi"]).exits(3).says("queued").says(&pid);
}

#[test]
fn whoever_follows_is_told_of_discarded_letters_while_they_follow() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "hello").exits(0);
    for command in [&["receive", "--follow"][..], &["chat", &anna.phone]] {
        let process = bert.start(command);
        anna.send(&bert, "are you there?").exits(0);
        process.wait_for_out(|out| out.contains("are you there?"));
        let sql = "INSERT INTO discarded (quota, letters) VALUES ('unreadable', 7) \
                   ON CONFLICT DO UPDATE SET letters = letters + 7";
        bert.database().execute(sql, []).unwrap();
        process.wait_for_err("7 letters were discarded that nobody is known to have signed");
        process.signal(Signal::INT);
        let _ = process.finish();
    }
}
