//! What the event handler does with single events, where nothing goes wrong.

use std::time::Duration;

use waxwing_testkit::profile::State;

use crate::run::{ENOUGH, Options, Run};
use crate::world::World;

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn letters_are_written_before_the_signatures_at_the_end_of_a_turn() {
    for shards in [1, 2] {
        let mut run = Run::new(Options::calm(2, shards));
        run.write(0, 1);
        run.until_all_has_come();
        // They know each other's keys now, so this one goes straight through.
        let before = run.process().early_letters();
        run.write(0, 1);
        run.until_all_has_come();
        assert_eq!(run.process().early_letters(), before + 1, "with {shards} shards");
    }
}

#[test]
fn a_client_is_not_read_from_while_its_request_to_reconnect_waits() {
    let mut run = Run::new(Options::calm(1, 1));
    run.until_all_are_there();
    assert_eq!(run.process().pauses(), 1);
}

#[test]
fn whoever_hangs_up_at_once_is_not_let_in() {
    let mut run = Run::new(Options::calm(1, 1));
    run.send_away(0);
    let socket = run.knock_and_leave(0);
    run.until(MINUTE, "the connection is closed", |_| socket.borrow().is_closed);
    assert!(socket.borrow().outgoing.is_empty(), "it is answered");
}

#[test]
fn whoever_says_nonsense_is_told_so_and_loses_the_connection() {
    let mut run = Run::new(Options::calm(1, 1));
    let socket = run.call(0, vec![0xff; 1_024], None);
    run.until(MINUTE, "the connection is closed", |_| socket.borrow().is_closed);
    assert!(!socket.borrow().outgoing.is_empty(), "it is told nothing");
}

#[test]
fn letters_for_the_absent_are_refused_while_the_disk_is_full() {
    let mut run = Run::new(Options::calm(2, 2));
    run.write(0, 1);
    run.until_all_has_come();
    run.send_away(1);
    run.set_free(0);
    run.pass(MINUTE);
    run.write(0, 1);
    run.pass(MINUTE);
    assert_eq!(run.last_state(), State::Waiting);
    run.set_free(ENOUGH);
    run.until(MINUTE, "the letter is stored", |run| run.last_state() == State::Answered);
}
