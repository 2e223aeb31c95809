//! When `drive_async` waits, and when it does not because there is something to hear, or nothing to hear
//! any more. How it moves bytes is in `core/tests/driving.rs`.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use waxwing_core::client::{Ended, Moved, drive_async};
use waxwing_core::id::PacketId;
use waxwing_core::wire::{Op, Status};

use crate::letters::device;
use crate::line::{Line, Stage};
use crate::server::{FRIEND, US};

/// A stream on which nothing goes in either direction.
struct Stuck;

impl embedded_io::ErrorType for Stuck {
    type Error = Infallible;
}

impl embedded_io_async::Read for Stuck {
    async fn read(&mut self, _: &mut [u8]) -> Result<usize, Infallible> {
        pending().await
    }
}

impl embedded_io_async::Write for Stuck {
    async fn write(&mut self, _: &[u8]) -> Result<usize, Infallible> {
        pending().await
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

fn waits(line: &mut Line) -> bool {
    let until = |_| pending::<()>();
    let (mut reader, mut writer) = (Stuck, Stuck);
    let driven = pin!(drive_async(&mut line.client, &mut reader, &mut writer, until));
    match driven.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(moved) => {
            assert!(moved.as_ref().is_ok_and(Moved::is_nothing), "{moved:?}");
            false
        }
        Poll::Pending => true,
    }
}

/// Gives the client as much of this as it takes, and does not poll it.
fn give(line: &mut Line, mut bytes: &[u8]) {
    loop {
        let room = line.client.receive_buffer();
        let count = room.len().min(bytes.len());
        if count == 0 {
            return;
        }
        let (now, rest) = bytes.split_at(count);
        room[..count].copy_from_slice(now);
        line.client.received(count);
        bytes = rest;
    }
}

/// Polls once; whether there was something.
fn polled(line: &mut Line) -> bool {
    line.ask(|client, env| client.poll(env).unwrap().is_some())
}

#[test]
fn everything_that_was_said_can_be_waited_behind() {
    for stage in Stage::ALL {
        let mut line = Line::at(stage);
        assert!(waits(&mut line), "{stage:?}");
    }
}

#[test]
fn a_packet_that_is_not_whole_is_waited_for() {
    let mut line = Line::at(Stage::Active);
    let end = line.server.sealed(Op::BacklogEnd, &[0; 4]);
    let (most, last) = end.split_at(end.len() - 1);
    give(&mut line, most);
    assert!(waits(&mut line));
    give(&mut line, last);
    assert!(!waits(&mut line));
}

#[test]
fn each_status_of_a_list_is_heard_first() {
    let mut line = Line::at(Stage::Active);
    let statuses = [1, 2, 3].map(|n| (PacketId([n; 16]), Status::Stored));
    let statuses = line.server.sealed_statuses(&statuses);
    give(&mut line, &statuses);
    for _ in 0..3 {
        assert!(!waits(&mut line));
        assert!(polled(&mut line));
    }
    // Only another poll knows that this was the last.
    assert!(!waits(&mut line));
    assert!(!polled(&mut line));
    assert!(waits(&mut line));
}

#[test]
fn a_letter_is_heard_first_and_may_lie_there_then() {
    // One that has room, and one that is known by its id alone.
    for letters in [1_000, 300] {
        let mut line = device(letters, Stage::Active);
        let letter = line.server.letter(FRIEND, US, &[7; 600]);
        give(&mut line, &letter);
        assert!(!waits(&mut line), "{letters}");
        assert!(polled(&mut line));
        assert!(waits(&mut line), "{letters}");
    }
}

#[test]
fn nobody_waits_for_a_connection_that_is_over() {
    for stage in Stage::ALL {
        let mut line = Line::at(stage);
        give(&mut line, &[0xff; 26]);
        for _ in 0..2 {
            assert!(!waits(&mut line), "{stage:?}");
            assert_eq!(line.ask(|client, env| client.poll(env).err()), Some(Ended::BadBytes));
        }
    }
}
