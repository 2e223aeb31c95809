//! More letters than the window has room for, and answers that somebody keeps.

use waxwing_core::client::{Buffers, Ended, Options};
use waxwing_core::crypto::SessionKey;
use waxwing_core::limits::{MAX_PACKET, MAX_UNACKNOWLEDGED_BYTES, OVERHEAD};
use waxwing_core::wire::{KeyQuestion, Op};

use crate::line::{Heard, Line, Machine, Stage, buffers};
use crate::server::{FRIEND, LAST_KEY, US, id_of, user};

/// A session that takes letters of any size, or can keep none.
fn session(window: u8, letter_buffer: usize) -> Line {
    let buffers = Buffers { letters: vec![0; letter_buffer], ..buffers() };
    let mut line = Line::with(buffers, Options { window, ..Options::default() });
    line.reconnect(None);
    let grant = line.server.grant(Op::SessionRenewed);
    assert_eq!(line.hear(&grant), [Heard::Session(user(US))]);
    line.sent();
    line
}

/// A letter that nobody has signed, of so many bytes in all.
fn letter(line: &mut Line, len: usize) -> Vec<u8> {
    let sample = line.server.letter(FRIEND, US, &vec![0; len - OVERHEAD]);
    [&sample[..len - 256], &[0; 256]].concat()
}

/// A packet that the server has signed for others, and that can be played back for ever.
fn nothing_of_ours(line: &mut Line) -> Vec<u8> {
    let another = SessionKey::from_bytes(&LAST_KEY);
    line.server.shared(Op::Acknowledgment, &[(another, [0; 16])])
}

fn acknowledge(line: &mut Line, letter: &[u8]) {
    line.ask(|client, env| {
        client.acknowledge(env, id_of(letter), letter.len());
        client.flush_acknowledgments(env);
    });
    assert_eq!(line.sent().len(), 1);
}

#[test]
fn a_letter_beyond_the_window_ends_and_one_at_its_edge_does_not() {
    // Kept, and hashed as it passes.
    for letter_buffer in [MAX_PACKET, OVERHEAD] {
        for window in [1, 2, 5, 128] {
            let mut line = session(window, letter_buffer);
            let letter = letter(&mut line, 300);
            for n in 0..window {
                assert_eq!(line.hear(&letter).len(), 1, "letter {n} of {window}");
            }
            assert_eq!(line.ended(), None);
            line.prove();
            assert_eq!(line.hear(&letter[..26]), []);
            line.assert_ended(Ended::WindowExceeded);
        }
    }
}

#[test]
fn every_acknowledgment_makes_room_for_the_letters_that_it_names() {
    let mut line = session(3, MAX_PACKET);
    let letter = letter(&mut line, 400);
    for _ in 0..3 {
        line.hear(&letter);
    }
    for _ in 0..200 {
        acknowledge(&mut line, &letter);
        assert_eq!(line.hear(&letter).len(), 1);
    }
    assert_eq!(line.ended(), None);
    line.hear(&letter);
    assert_eq!(line.ended(), Some(Ended::WindowExceeded));
}

#[test]
fn what_is_held_makes_no_room_before_it_was_told() {
    let mut line = session(4, MAX_PACKET);
    let letter = letter(&mut line, 400);
    for _ in 0..4 {
        line.hear(&letter);
    }
    // One of four waits for company, and the server cannot know of it.
    line.ask(|client, env| client.acknowledge(env, id_of(&letter), letter.len()));
    assert!(line.client.transmit().is_empty());
    line.hear(&letter);
    assert_eq!(line.ended(), Some(Ended::WindowExceeded));
}

#[test]
fn more_than_256_kib_end_and_exactly_as_much_does_not() {
    const QUARTER: usize = MAX_UNACKNOWLEDGED_BYTES / 4;
    let mut line = session(128, MAX_PACKET);
    let quarter = letter(&mut line, QUARTER);
    let small = letter(&mut line, OVERHEAD);
    for _ in 0..4 {
        assert_eq!(line.hear(&quarter).len(), 1);
    }
    assert_eq!(line.ended(), None);
    acknowledge(&mut line, &quarter);
    assert_eq!(line.hear(&quarter).len(), 1);
    assert_eq!(line.hear(&small[..26]), []);
    line.assert_ended(Ended::WindowExceeded);
}

#[test]
fn the_largest_letter_has_room_when_there_is_no_other() {
    for letter_buffer in [MAX_PACKET, OVERHEAD] {
        let mut line = session(1, letter_buffer);
        let largest = letter(&mut line, MAX_PACKET);
        for _ in 0..6 {
            assert_eq!(line.hear(&largest).len(), 1);
            acknowledge(&mut line, &largest);
        }
        assert_eq!(line.ended(), None);
    }
}

#[test]
fn a_letter_in_the_buffer_and_another_behind_it_are_two() {
    let mut line = session(1, 1_000);
    line.holds_letters = true;
    let letter = letter(&mut line, 400);
    line.hear(&letter);
    line.hear(&letter);
    assert_eq!(line.ended(), Some(Ended::WindowExceeded));
}

#[test]
fn a_question_whose_answer_is_kept_back_ends_though_other_bytes_come() {
    let mut line = Line::at(Stage::Active);
    line.ask(|client, env| client.ask_for_key(env, KeyQuestion::ById(user(FRIEND)))).unwrap();
    line.sent();
    let nothing_of_ours = nothing_of_ours(&mut line);
    let seconds = Machine::OPEN_QUESTION.as_secs();
    for _ in 0..seconds / 10 {
        line.time_out();
        assert_eq!(line.ended(), None);
        line.pass(10_000);
        line.hear(&nothing_of_ours);
    }
    line.time_out();
    assert_eq!(line.ended(), Some(Ended::TimedOut));
}

#[test]
fn the_open_question_is_a_moment_that_the_machine_names() {
    let mut line = Line::at(Stage::Active);
    let asked = line.now.instant;
    line.ask(|client, env| client.ask_for_key(env, KeyQuestion::ById(user(FRIEND)))).unwrap();
    line.sent();
    line.time_out();
    let nothing_of_ours = nothing_of_ours(&mut line);
    for _ in 0..Machine::OPEN_QUESTION.as_secs() / 10 - 1 {
        line.pass(10_000);
        line.hear(&nothing_of_ours);
    }
    assert_eq!(line.client.poll_timeout(), Some(asked.after(Machine::OPEN_QUESTION)));
}
