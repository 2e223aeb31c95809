//! Several openings of one home. SQLite and file locks treat two openings in one process as
//! they treat two processes; the last test has real ones.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime};

use waxwing::home::{Fate, HandedOver, Home, PacketName, Recorded, State, Writing};
use waxwing_core::envelope::Content;
use waxwing_core::wire::Status;

use crate::{TestHome, at, packet_id, phone, uid, user};

#[test]
fn one_has_the_session_and_the_others_the_database() {
    let test = TestHome::new();
    let (holder, other) = (test.open(), test.open());
    let session = holder.try_lock_session().unwrap().unwrap();
    assert!(other.try_lock_session().unwrap().is_none());
    assert!(holder.try_lock_session().unwrap().is_none());

    let writing = Writing::text("hi").unwrap();
    let letter = other.outbox().queue(&uid(1), &phone(2), &writing, at(0)).unwrap();
    assert_eq!(holder.outbox().heads(at(0)).unwrap()[0].id, letter);

    drop(session);
    assert!(other.try_lock_session().unwrap().is_some());
}

#[test]
fn one_prints_at_a_time() {
    let test = TestHome::new();
    let (one, other) = (test.open(), test.open());
    let turn = one.try_lock_printing().unwrap().unwrap();
    assert!(other.try_lock_printing().unwrap().is_none());
    // The session is another matter.
    assert!(other.try_lock_session().unwrap().is_some());
    drop(turn);
    assert!(other.try_lock_printing().unwrap().is_some());
}

#[test]
fn a_waiting_process_sees_what_the_holder_does() {
    let test = TestHome::new();
    let (holder, other) = (test.open(), test.open());
    let writing = Writing::text("hi").unwrap();
    let letter = other.outbox().queue(&uid(1), &phone(2), &writing, at(0)).unwrap();
    let begun = holder.outbox().begin_sending(letter, &packet_id(1), user(7), b"x", at(1));
    assert!(begun.unwrap());
    let told = [(PacketName::Full(packet_id(1)), Status::Stored)];
    let _ = holder.outbox().apply(&told, at(2)).unwrap();
    assert_eq!(other.outbox().status_of(letter).unwrap().unwrap().state, State::Stored);
}

#[test]
fn the_others_see_who_has_the_session_and_whether_it_moves() {
    let test = TestHome::new();
    let (holder, other) = (test.open(), test.open());
    assert_eq!(other.session_holder(), None);
    let mut session = holder.try_lock_session().unwrap().unwrap();
    let seen = other.session_holder().unwrap();
    assert_eq!((seen.pid, seen.has_backlog, seen.problem), (std::process::id(), false, None));
    assert!(seen.silent_for < Duration::from_secs(60), "{:?}", seen.silent_for);

    session.show(false, Some("the server is away"));
    let seen = other.session_holder().unwrap();
    assert_eq!(seen.problem.as_deref(), Some("the server is away"));
    session.show(true, Some(&"ä".repeat(2_000)));
    let problem = other.session_holder().unwrap().problem.unwrap();
    assert!(problem.len() > 300 && problem.chars().all(|c| c == 'ä'));
    session.show(true, None);
    let seen = other.session_holder().unwrap();
    assert_eq!((seen.has_backlog, seen.problem), (true, None));

    // It has not moved for a minute.
    let file = test.dir().join("session.lock");
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    assert!(other.session_holder().unwrap().silent_for >= Duration::from_secs(60));
    // An earlier version's holder says nothing, and neither does damage.
    for bytes in [&b""[..], b"4711", b"{\"pid\":-1}"] {
        fs::write(test.dir().join("session.lock"), bytes).unwrap();
        assert_eq!(other.session_holder(), None);
    }
}

#[test]
fn everybody_may_begin_a_home_at_once() {
    let test = TestHome::new();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| Home::create(&test.dir()).unwrap().identity().unwrap().is_none());
        }
    });
}

#[test]
fn many_writers_lose_nothing_and_share_one_order() {
    let test = TestHome::new();
    drop(test.open());
    thread::scope(|scope| {
        for writer in 0..3_u8 {
            let test = &test;
            scope.spawn(move || {
                let home = test.open();
                for at_letter in 0..20_u8 {
                    let byte = writer * 20 + at_letter;
                    let writing = Writing::text("hi").unwrap();
                    home.outbox().queue(&uid(byte), &phone(2), &writing, at(0)).unwrap();
                }
            });
        }
        // The same letter, handed to two processes at once, is stored by one of them.
        for _ in 0..2 {
            scope.spawn(|| {
                let home = test.open();
                for byte in 100..120_u8 {
                    let letter = HandedOver {
                        packet_id: packet_id(byte),
                        sender: user(7),
                        sent_at: at(0),
                        received_at: at(0),
                        fate: Fate::Opened {
                            from: phone(2),
                            uid: uid(byte),
                            content: Content::Text("hi"),
                        },
                    };
                    let _: Recorded = home.letters().record(&letter).unwrap();
                }
            });
        }
    });
    let home = test.open();
    assert_eq!(home.outbox().queued().unwrap().len(), 60);
    assert_eq!(home.letters().unprinted(999).unwrap().len(), 20);
    assert_eq!(home.history(&phone(2)).unwrap().len(), 80);
}

/// Set in the child process of the test below: the home to take the session of.
const CHILD: &str = "WAXWING_TEST_HOME_OF_CHILD";

#[test]
fn the_session_ends_with_its_process() {
    if let Some(dir) = std::env::var_os(CHILD) {
        let home = Home::open(dir.as_ref()).unwrap();
        std::mem::forget(home.try_lock_session().unwrap().unwrap());
        assert!(home.try_lock_session().unwrap().is_none());
        let writing = Writing::text("from the child").unwrap();
        home.outbox().queue(&uid(1), &phone(2), &writing, at(0)).unwrap();
        // As killed: nothing is closed or given back.
        std::process::abort();
    }
    let test = TestHome::new();
    let home = test.open();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sharing::the_session_ends_with_its_process"])
        .env(CHILD, test.dir())
        .output()
        .unwrap();
    assert!(!child.status.success());
    assert_eq!(home.outbox().queued().unwrap().len(), 1, "{child:?}");
    assert!(home.try_lock_session().unwrap().is_some());
}

#[test]
fn a_lock_that_is_a_pipe_is_refused_and_not_waited_for() {
    let test = TestHome::new();
    let home = test.open();
    let lock = test.dir().join("session.lock");
    assert!(Command::new("mkfifo").arg(&lock).status().unwrap().success());
    let refused = home.try_lock_session().unwrap_err();
    assert!(refused.to_string().contains("session.lock"), "{refused}");
}
