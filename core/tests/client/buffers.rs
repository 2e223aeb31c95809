//! Memory: what is too small, what is full, what comes back.

use waxwing_core::client::{ApiMisuse, Buffers, Client, Options, RequestError, SetupError};
use waxwing_core::id::PacketId;
use waxwing_core::limits::{MAX_CONTROL_PACKET, OVERHEAD};
use waxwing_core::wire::{ErrorCode, KeyQuestion, Op, StatusQuery};

use crate::clocks::{compose, send};
use crate::line::{Line, Machine, Stage, keys};
use crate::server::{FRIEND, US, id_of, user};

fn sized(letters: usize, control: usize, transmit: usize) -> Buffers<Vec<u8>> {
    Buffers { letters: vec![1; letters], control: vec![2; control], transmit: vec![3; transmit] }
}

#[test]
fn buffers_too_small_are_refused_at_once() {
    const LEAST: (usize, usize, usize) = (OVERHEAD, MAX_CONTROL_PACKET, MAX_CONTROL_PACKET);
    let new = |(letters, control, transmit)| {
        Machine::new(keys(), sized(letters, control, transmit), Options::default()).map(|_| ())
    };
    let (letters, control, transmit) = LEAST;
    assert_eq!(new(LEAST), Ok(()));
    for short in [
        (letters - 1, control, transmit),
        (letters, control - 1, transmit),
        (letters, control, transmit - 1),
        (0, 0, 0),
    ] {
        assert_eq!(new(short), Err(SetupError::BufferTooSmall), "{short:?}");
    }
}

#[test]
fn a_window_is_at_least_one_and_at_most_what_there_is_memory_for() {
    fn with<const WINDOW: usize>(window: u8) -> Result<(), SetupError> {
        let buffers = sized(OVERHEAD, MAX_CONTROL_PACKET, MAX_CONTROL_PACKET);
        let options = Options { window, ..Options::default() };
        Client::<_, _, WINDOW>::new(keys(), buffers, options).map(|_| ())
    }
    assert_eq!(with::<1>(1), Ok(()));
    assert_eq!(with::<5>(5), Ok(()));
    assert_eq!(with::<128>(128), Ok(()));
    for outside in [with::<1>(0), with::<1>(2), with::<5>(6), with::<128>(129), with::<128>(0)] {
        assert_eq!(outside, Err(SetupError::BadWindow));
    }
}

#[test]
fn the_memory_comes_back() {
    let sizes = (1_000, 3_000, 5_000);
    let mut line = Line::with(sized(sizes.0, sizes.1, sizes.2), Options::default());
    line.go_to(Stage::Active);
    let Buffers { letters, control, transmit } = line.client.into_buffers();
    assert_eq!((letters.len(), control.len(), transmit.len()), sizes);
    // And serves again.
    let again = Buffers { letters, control, transmit };
    Line::with(again, Options::default()).go_to(Stage::Active);
}

#[test]
fn the_smallest_buffers_serve_a_whole_connection() {
    let smallest = || sized(OVERHEAD, MAX_CONTROL_PACKET, MAX_CONTROL_PACKET);
    for stage in Stage::ALL {
        Line::with(smallest(), Options::default()).go_to(stage);
    }
}

/// A session whose transmit buffer has no room for a control packet.
fn full() -> Line {
    let mut line = Line::with(sized(1_000, 3_000, 6_000), Options::default());
    line.go_to(Stage::Active);
    while line.ask(|client, env| client.ask_for_statuses(env, &[query()])).is_ok() {
        line.pass(2_000);
    }
    assert!(line.client.transmit().len() > 6_000 - MAX_CONTROL_PACKET);
    line
}

pub(crate) fn query() -> StatusQuery {
    StatusQuery { recipient: user(FRIEND), letter: PacketId([1; 16]) }
}

/// A letter of the client's, as another machine of its has made it.
fn letter(text: &str) -> Vec<u8> {
    let mut line = Line::at(Stage::Active);
    compose(&mut line, text).unwrap();
    line.client.composed().to_vec()
}

#[test]
fn a_full_transmit_buffer_is_busy_and_works_later() {
    let question = KeyQuestion::ById(user(FRIEND));
    let long = "x".repeat(3_000);
    let mut line = full();
    for _ in 0..2 {
        assert_eq!(
            line.ask(|client, env| client.ask_for_key(env, question)),
            Err(RequestError::Busy)
        );
        assert_eq!(compose(&mut line, &long), Err(RequestError::Busy));
        let packet = letter(&long);
        let resent = line.ask(|client, env| client.resend(env, id_of(&packet), &packet));
        assert_eq!(resent, Err(RequestError::Busy));
    }
    assert_eq!(line.ended(), None);
    line.sent();
    line.ask(|client, env| client.ask_for_key(env, question)).unwrap();
    assert_eq!(line.sent().len(), 1);
    send(&mut line, &long);
}

#[test]
fn a_goodbye_without_room_is_busy_and_goes_out_later() {
    let mut without_room = 0;
    // With one of these sizes the letters leave less room than a goodbye needs.
    for transmit in (3_000..3_700).step_by(100) {
        let mut line = Line::with(sized(1_000, 3_000, transmit), Options::default());
        line.go_to(Stage::Active);
        while compose(&mut line, "x").is_ok() {
            line.client.release_composed();
        }
        let mut left = line.ask(|client, env| client.leave(env));
        if left == Err(RequestError::Busy) {
            without_room += 1;
            line.sent();
            left = line.ask(|client, env| client.leave(env));
        }
        assert_eq!(left, Ok(()), "{transmit}");
        assert_eq!(
            line.sent().last().map(|sent| sent.header.op_code),
            Some(Op::Close.code()),
            "{transmit}"
        );
    }
    assert!(without_room > 0);
}

#[test]
fn what_never_fits_is_told_apart_from_what_does_not_fit_now() {
    let mut line = Line::with(sized(1_000, 3_000, 6_000), Options::default());
    line.go_to(Stage::Active);
    assert_eq!(compose(&mut line, &"x".repeat(6_000)), Err(RequestError::BufferTooSmall));
    let packet = letter(&"x".repeat(6_000));
    let resent = line.ask(|client, env| client.resend(env, id_of(&packet), &packet));
    assert_eq!(resent, Err(RequestError::BufferTooSmall));
    send(&mut line, "short");
}

#[test]
fn bytes_that_have_gone_out_make_room_piece_by_piece() {
    let mut line = full();
    let bytes = line.client.transmit().to_vec();
    let mut gone = Vec::new();
    for piece in [1, 313, 314, 1_000] {
        gone.extend(&line.client.transmit()[..piece]);
        line.client.transmitted(piece);
        // Asking makes the machine move what is left to the front.
        let _ = line.ask(|client, env| client.ask_for_statuses(env, &[query()]));
        line.pass(2_000);
    }
    gone.extend(line.client.transmit());
    assert!(gone.starts_with(&bytes));
    assert!(line.server.understand(&gone).len() > 1);
}

#[test]
fn a_held_letter_waits_for_its_release_and_blocks_no_reading() {
    let mut line = Line::at(Stage::Active);
    let id = compose(&mut line, "hello").unwrap();
    assert_eq!(id_of(line.client.composed()), id);
    assert!(line.client.transmit().is_empty());
    assert_eq!(compose(&mut line, "another"), Err(RequestError::Busy));
    let question = KeyQuestion::ById(user(FRIEND));
    assert_eq!(line.ask(|client, env| client.ask_for_key(env, question)), Err(RequestError::Busy));
    line.prove();
    line.client.release_composed();
    assert_eq!(line.sent()[0].id, id);
    assert!(line.client.composed().is_empty());

    let discarded = compose(&mut line, "never").unwrap();
    line.client.discard_composed();
    let (sent, _) = send(&mut line, "hello");
    assert_ne!(sent, discarded);
}

#[test]
fn a_letter_sent_again_is_the_same_packet() {
    let mut line = Line::at(Stage::Active);
    compose(&mut line, "once").unwrap();
    let bytes = line.client.composed().to_vec();
    line.client.release_composed();
    line.sent();
    let id = id_of(&bytes);
    line.ask(|client, env| client.resend(env, id, &bytes)).unwrap();
    assert_eq!(line.sent()[0].bytes, bytes);
    // It sets the clock as a new one does.
    line.server.clock = line.server.clock.shifted(900);
    let stale = line.server.sealed_refusal(ErrorCode::StaleTimestamp, Some(id));
    line.hear(&stale);
    assert_eq!(line.client.clock_offset_s(), 900);
}

#[test]
fn requests_out_of_place_are_refused_and_say_nothing() {
    for stage in Stage::ALL {
        let mut line = Line::at(stage);
        let no_session = Err(RequestError::Misuse(ApiMisuse::NotInSession));
        let not_first = Err(RequestError::Misuse(ApiMisuse::NotFirst));
        let question = KeyQuestion::ById(user(FRIEND));
        if !matches!(stage, Stage::Unproven | Stage::Active) {
            assert_eq!(line.ask(|client, env| client.ask_for_key(env, question)), no_session);
            assert_eq!(
                line.ask(|client, env| client.ask_for_statuses(env, &[query()])),
                no_session
            );
            assert_eq!(line.ask(|client, env| client.leave(env)), no_session);
            assert_eq!(compose(&mut line, "x").map(|_| ()), no_session);
            let resent = line.ask(|client, env| client.resend(env, PacketId([0; 16]), &[]));
            assert_eq!(resent, no_session);
        }
        if !matches!(stage, Stage::Fresh | Stage::HasCode) {
            let reconnect = line.ask(|client, env| client.reconnect(env, user(FRIEND), None));
            assert_eq!(reconnect, not_first, "{stage:?}");
        }
        assert!(line.client.transmit().is_empty());
        assert_eq!(line.ended(), None);
    }
}

#[test]
fn after_the_end_every_request_says_that_the_connection_has_ended() {
    for stage in Stage::ALL {
        let mut line = Line::at(stage);
        line.hear(&[0xff; 26]);
        assert!(line.ended().is_some(), "{stage:?}");
        let over = Err(RequestError::Ended);
        let question = KeyQuestion::ById(user(FRIEND));
        assert_eq!(line.ask(|client, env| client.reconnect(env, user(FRIEND), None)), over);
        assert_eq!(line.ask(|client, env| client.ask_for_key(env, question)), over);
        assert_eq!(line.ask(|client, env| client.ask_for_statuses(env, &[query()])), over);
        assert_eq!(line.ask(|client, env| client.leave(env)), over);
        assert_eq!(compose(&mut line, "x").map(|_| ()), over);
    }
}

#[test]
fn a_question_about_no_letter_or_more_than_110_is_not_asked() {
    for (count, is_asked) in [(0, false), (1, true), (110, true), (111, false)] {
        let mut line = Line::at(Stage::Active);
        let queries = vec![query(); count];
        let asked = line.ask(|client, env| client.ask_for_statuses(env, &queries));
        let expected =
            if is_asked { Ok(()) } else { Err(RequestError::Misuse(ApiMisuse::QueryCount)) };
        assert_eq!(asked, expected, "{count}");
        assert_eq!(line.sent().len(), usize::from(is_asked));
        // A question that was not asked does not count as the one of this second.
        if !is_asked {
            line.ask(|client, env| client.ask_for_statuses(env, &[query()])).unwrap();
        }
    }
}

#[test]
fn what_is_no_letter_of_ones_own_is_not_sent_again() {
    let mut line = Line::at(Stage::Active);
    let anothers = line.server.letter(FRIEND, US, b"somebody else's");
    let question = KeyQuestion::ById(user(FRIEND));
    line.ask(|client, env| client.ask_for_key(env, question)).unwrap();
    let no_letter = line.sent()[0].bytes.clone();
    compose(&mut line, "own").unwrap();
    let own = line.client.composed().to_vec();
    line.client.discard_composed();
    for bytes in [&[][..], &[0; 300], &anothers, &no_letter, &own[..own.len() - 1]] {
        let resent = line.ask(|client, env| client.resend(env, id_of(&own), bytes));
        assert_eq!(resent, Err(RequestError::Misuse(ApiMisuse::NotALetter)));
        assert!(line.client.transmit().is_empty());
    }
    line.ask(|client, env| client.resend(env, id_of(&own), &own)).unwrap();
    assert_eq!(line.sent()[0].bytes, own);
}

#[test]
fn statuses_are_asked_for_once_a_second() {
    let mut line = Line::at(Stage::Active);
    let ask = |line: &mut Line| line.ask(|client, env| client.ask_for_statuses(env, &[query()]));
    ask(&mut line).unwrap();
    line.pass(1_000);
    assert_eq!(ask(&mut line), Err(RequestError::Busy));
    line.pass(100);
    ask(&mut line).unwrap();
    assert_eq!(line.sent().len(), 2);
}
