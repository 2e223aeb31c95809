//! Deadlines: a slow line goes on, one that trickles or is dead ends.

use core::time::Duration;

use waxwing_core::client::{Ended, Options};
use waxwing_core::crypto::PrivateKey;
use waxwing_core::id::PacketId;
use waxwing_core::limits::MAX_PACKET;
use waxwing_core::wire::{ErrorCode, KeyAnswer, KeyQuestion, Op, Status, StatusToken};

use crate::clocks::{compose, send};
use crate::keys::CLIENT;
use crate::letters::device;
use crate::line::{Heard, Line, Stage, buffers, phone};
use crate::server::{FRIEND, US, user, written};

/// Lets time pass in steps of a second, and what is due be done; the seconds until the end.
fn seconds_to_the_end(line: &mut Line) -> u32 {
    for seconds in 1..=1_000 {
        line.pass(1_000);
        line.time_out();
        // What the client says goes out, and nobody hears it.
        line.sent();
        if line.ended().is_some() {
            return seconds;
        }
    }
    panic!("it goes on for ever");
}

/// As [`seconds_to_the_end`], while the server's bytes come one by one, with pauses.
fn seconds_of_trickling(line: &mut Line, bytes: &[u8], pause: u64) -> u64 {
    let mut passed = 0;
    for byte in bytes {
        line.pass(pause * 1_000);
        passed += pause;
        line.hear(&[*byte]);
        line.time_out();
        if line.ended().is_some() {
            return passed;
        }
    }
    panic!("it goes on to the end of the packet");
}

/// Takes what the client has to say at so many bytes a second, for so long.
fn carry(line: &mut Line, pace: usize, seconds: usize) {
    for _ in 0..seconds {
        let count = line.client.transmit().len().min(pace);
        line.client.transmitted(count);
        line.pass(1_000);
        line.time_out();
    }
}

fn letter(line: &mut Line, size: usize) -> Vec<u8> {
    line.server.letter(FRIEND, US, &vec![7; size])
}

#[test]
fn a_packet_that_trickles_in_ends_the_connection_in_every_state() {
    for (stage, op) in [
        (Stage::AwaitingOtp, Op::OtpIssued),
        (Stage::AwaitingIssued, Op::SessionIssued),
        (Stage::AwaitingRenewed, Op::SessionRenewed),
        (Stage::Unproven, Op::BacklogEnd),
        (Stage::Active, Op::BacklogEnd),
        (Stage::Leaving, Op::Close),
    ] {
        let mut line = Line::at(stage);
        let packet = match op {
            Op::OtpIssued => line.server.otp_issued(),
            Op::SessionIssued | Op::SessionRenewed => line.server.grant(op),
            Op::Close => line.server.sealed(op, &[1]),
            _ => line.server.sealed(op, &[0; 4]),
        };
        let passed = seconds_of_trickling(&mut line, &packet, 5);
        assert!(passed <= 36, "{stage:?} {passed}");
        line.assert_ended(Ended::TimedOut);
    }
}

#[test]
fn a_letter_of_a_slow_line_comes_to_its_end() {
    // A device has no room for it, and reads it all the same.
    for room in [MAX_PACKET, 300] {
        let mut line = device(room, Stage::Unproven);
        let packet = letter(&mut line, 65_000);
        let mut heard = Vec::new();
        // 8 kbit a second: a minute of it, and of nothing else.
        for second in packet.chunks(1_000) {
            line.pass(1_000);
            heard.extend(line.hear(second));
            line.time_out();
            assert_eq!(line.ended(), None, "{room}");
        }
        assert!(matches!(heard[..], [Heard::Letter(_) | Heard::TooLarge(_)]), "{heard:?}");
    }
}

#[test]
fn a_packet_that_has_begun_goes_on_or_the_connection_ends() {
    let mut line = Line::at(Stage::Active);
    let packet = letter(&mut line, 60_000);
    line.hear(&packet[..50_000]);
    assert_eq!(seconds_to_the_end(&mut line), 30);
    line.assert_ended(Ended::TimedOut);
}

#[test]
fn a_letter_that_waits_for_the_caller_is_no_delay_of_the_servers() {
    let mut line = Line::at(Stage::Unproven);
    line.holds_letters = true;
    let (first, second) = (letter(&mut line, 400), letter(&mut line, 500));
    line.hear(&first);
    line.hear(&second);
    assert!(line.unread() > 0);
    for _ in 0..500 {
        line.pass(1_000);
        line.time_out();
    }
    assert_eq!(line.ended(), None);
    line.ask(|client, _| client.release_letter());
    assert!(matches!(line.hear(&[])[..], [Heard::Letter(_)]));
}

#[test]
fn a_backlog_that_makes_no_progress_ends_and_one_that_does_goes_on() {
    let mut line = Line::at(Stage::Unproven);
    assert_eq!(seconds_to_the_end(&mut line), 60);
    line.assert_ended(Ended::TimedOut);

    let mut line = Line::at(Stage::Unproven);
    for _ in 0..20 {
        line.pass(55_000);
        line.time_out();
        let packet = letter(&mut line, 400);
        assert!(matches!(line.hear(&packet)[..], [Heard::Letter(_)]));
    }
    line.prove();
    // After its end nothing is due.
    assert_eq!(line.client.poll_timeout(), None);
}

#[test]
fn a_shared_packet_played_back_is_no_progress_of_a_backlog() {
    let mut line = Line::at(Stage::Unproven);
    for _ in 0..2 {
        line.pass(29_000);
        let letter = PacketId([1; 16]).prefix();
        let old = line.server.shared_statuses(&[StatusToken { letter, status: Status::Stored }]);
        line.hear(&old);
        line.time_out();
    }
    assert_eq!(line.ended(), None);
    assert_eq!(seconds_to_the_end(&mut line), 2);
}

#[test]
fn a_question_behind_a_large_letter_has_its_time_once_it_has_gone_out() {
    let mut line = Line::at(Stage::Active);
    compose(&mut line, &"x".repeat(60_000)).unwrap();
    line.client.release_composed();
    let question = KeyQuestion::ByPhone(phone());
    line.ask(|client, env| client.ask_for_key(env, question)).unwrap();
    carry(&mut line, 1_000, 62);
    assert_eq!(line.ended(), None);
    assert!(line.client.transmit().is_empty());
    let left = seconds_to_the_end(&mut line);
    assert!((14..=30).contains(&left), "{left}");
}

#[test]
fn what_is_written_behind_a_question_gives_its_answer_no_more_time() {
    let seconds = |writes: bool| {
        let mut line = Line::at(Stage::Active);
        let question = KeyQuestion::ByPhone(phone());
        line.ask(|client, env| client.ask_for_key(env, question)).unwrap();
        line.sent();
        for seconds in 1..=100 {
            line.pass(1_000);
            line.time_out();
            if line.ended().is_some() {
                return seconds;
            }
            if writes {
                send(&mut line, "x");
            }
        }
        panic!("it goes on");
    };
    assert_eq!(seconds(true), seconds(false));
}

#[test]
fn what_a_socket_has_taken_at_once_may_still_be_on_a_slow_line() {
    let mut line = Line::at(Stage::Active);
    compose(&mut line, &"x".repeat(60_000)).unwrap();
    line.client.release_composed();
    let question = KeyQuestion::ByPhone(phone());
    line.ask(|client, env| client.ask_for_key(env, question)).unwrap();
    line.sent();
    let left = seconds_to_the_end(&mut line);
    assert!((75..=110).contains(&left), "{left}");
}

#[test]
fn writing_that_makes_no_progress_ends_the_connection() {
    let mut line = Line::at(Stage::Active);
    compose(&mut line, &"x".repeat(60_000)).unwrap();
    line.client.release_composed();
    // Less than a kilobyte in thirty seconds.
    carry(&mut line, 30, 100);
    assert_eq!(line.ended(), Some(Ended::TimedOut));

    let mut line = Line::at(Stage::Active);
    compose(&mut line, &"x".repeat(60_000)).unwrap();
    line.client.release_composed();
    carry(&mut line, 60, 1_010);
    assert_eq!(line.ended(), None);
    assert!(line.client.transmit().is_empty());
}

/// A session of a host, which asks after a hundred seconds of silence.
fn probing() -> Line {
    let probe = Some(Duration::from_secs(100));
    let mut line = Line::with(buffers(), Options { probe, ..Options::default() });
    line.go_to(Stage::Active);
    line
}

#[test]
fn a_dead_line_is_noticed_within_two_minutes_though_nothing_is_on_its_way() {
    let mut line = probing();
    assert_eq!(seconds_to_the_end(&mut line), 115);
    assert_eq!(line.ended(), Some(Ended::TimedOut));
}

#[test]
fn a_dead_line_with_a_letter_on_it_is_noticed_sooner() {
    let mut line = probing();
    send(&mut line, "are you there?");
    assert_eq!(seconds_to_the_end(&mut line), 30);

    let mut line = probing();
    send(&mut line, &"x".repeat(60_000));
    let passed = seconds_to_the_end(&mut line);
    assert!((75..120).contains(&passed), "{passed}");
    let largest = u64::try_from(MAX_PACKET).unwrap();
    assert!(largest / 768 < 120);
}

#[test]
fn a_server_that_answers_is_asked_once_a_silence() {
    for refuses in [false, true] {
        let mut line = probing();
        for _ in 0..3 {
            line.pass(99_999);
            line.time_out();
            assert!(line.sent().is_empty());
            line.pass(1);
            line.time_out();
            let sent = line.sent();
            assert_eq!(sent.len(), 1);
            assert_eq!(KeyQuestion::parse(&sent[0].content), Ok(KeyQuestion::ById(user(US))));
            answer(&mut line, refuses, sent[0].id);
            assert!(!line.client.is_asking_for_key());
        }
        assert_eq!(line.ended(), None);
    }
}

fn answer(line: &mut Line, refuses: bool, question: PacketId) {
    let own = KeyAnswer { user: user(US), phone: phone(), spki: CLIENT.spki().clone() };
    let (packet, expected) = if refuses {
        (line.server.sealed_refusal(ErrorCode::RateLimited, Some(question)), None)
    } else {
        let content = written(|writer| own.emit(writer).unwrap());
        (line.server.sealed(Op::KeyAnswer, &content), Some(Heard::Key(Box::new(own))))
    };
    let heard = line.hear(&packet);
    match expected {
        Some(expected) => assert_eq!(heard, [expected]),
        None => assert!(matches!(heard[..], [Heard::Refused(_)])),
    }
}

#[test]
fn whether_the_server_is_there_is_not_asked_while_a_letter_waits_to_be_released() {
    let mut line = probing();
    compose(&mut line, "not stored yet").unwrap();
    line.pass(100_000);
    line.time_out();
    assert!(!line.client.is_asking_for_key());
    line.client.release_composed();
    line.time_out();
    assert!(line.client.is_asking_for_key());
}
