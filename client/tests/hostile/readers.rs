//! Clients that take nothing of what the server has for them.

use waxwing_core::wire::{KeyQuestion, Status};
use waxwing_testkit::person::Said;

use crate::line::Door;
use crate::pair::{Habit, Pair};
use crate::peer::Peer;
use crate::test_server::TestServer;

/// How far memory may move, in KiB: the window and the answers that one connection may leave
/// unread, and as much again for whatever else goes on.
const FLAT: u64 = 2 * (256 + 640);

#[test]
fn letters_for_a_reader_that_never_reads_wait_in_storage() {
    const LETTERS: usize = 600;
    const SIZE: usize = 6 << 10;
    let server = TestServer::with(&[("deadlines.progress", "2s"), ("log.level", "debug")]);
    let door = Door::of(&server);
    let pair = Pair::begin(door, Habit::ComesAndGoes);
    let (mut writer, mut reader) = (Peer::with_session(door, 0), Peer::with_session(door, 1));
    reader.line().narrow();

    let mut letters = Vec::new();
    let mut sizes = Vec::new();
    while letters.len() < LETTERS {
        let numbers = letters.len()..letters.len() + 50;
        let text = |number| format!("{number:0SIZE$}").into_bytes();
        let some: Vec<_> = numbers.map(|number| writer.write(reader.id(), &text(number))).collect();
        writer.hear_fates(&some, Status::Stored);
        letters.extend(some);
        sizes.push(server.process().resident_memory());
    }
    println!("server: {sizes:?} KiB while {} KiB of letters wait", LETTERS * SIZE / 1_024);
    server.process().wait_for_err("NoProgress");
    let unread = reader.hang_up();

    reader.reconnect();
    let confirmation = reader.confirmation(128);
    reader.send(&confirmation);
    for letter in &letters {
        assert!(reader.hear_letter() == *letter, "not the next letter");
        reader.acknowledge(letter);
    }
    assert_eq!(reader.hear(), Some(Said::BacklogEnd(LETTERS as u32)));
    writer.hear_fates(&letters, Status::Delivered);
    drop(unread);
    println!("meanwhile {}", pair.end());
    // The first half also fills the database's own cache.
    let half = sizes.len() / 2;
    assert!(sizes[sizes.len() - 1].saturating_sub(sizes[half]) <= FLAT, "memory grows");
}

#[test]
fn one_who_asks_and_never_reads_the_answers_loses_the_connection() {
    const MOST: usize = 30_000;
    let server = TestServer::with(&[("limits.answers_per_second", "100000")]);
    let door = Door::of(&server);
    let pair = Pair::begin(door, Habit::ComesAndGoes);
    let mut asker = Peer::with_session(door, 0);
    asker.line().narrow();
    let before = server.process().resident_memory();
    let mut most = before;
    let asked = (0..MOST).find(|number| {
        let question = asker.question(KeyQuestion::ById(asker.id()));
        if number % 100 == 0 {
            most = most.max(server.process().resident_memory());
        }
        !asker.line().send(&question)
    });
    println!("closed after {} questions; server: {before} KiB, then {most}", asked.unwrap());
    asker.come();
    asker.is_served();
    println!("meanwhile {}", pair.end());
    assert!(most - before <= FLAT, "memory grows");
}
