//! Who may set the client's clock, and when.

use waxwing_core::client::{Addressee, Ended, RefusalNotice};
use waxwing_core::crypto::{PrivateKey, RustCrypto};
use waxwing_core::envelope::{Content, Fingerprint};
use waxwing_core::id::{PacketId, Uid};
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{ErrorCode, Op, Status};

use crate::keys::{CLIENT, FRIEND, FRIEND_PUBLIC};
use crate::line::{Heard, Line, Stage, otp, phone};
use crate::server::{FRIEND as FRIEND_ID, US, user};

/// A letter that goes out; its id and timestamp.
pub(crate) fn send(line: &mut Line, text: &str) -> (PacketId, Timestamp) {
    let id = compose(line, text).unwrap();
    line.client.release_composed();
    let sent = line.sent();
    let letter = sent.iter().find(|packet| packet.id == id).unwrap();
    (id, letter.header.timestamp)
}

pub(crate) fn compose(
    line: &mut Line,
    text: &str,
) -> Result<PacketId, waxwing_core::client::RequestError> {
    let from = Fingerprint::of(&RustCrypto, &phone(), CLIENT.spki());
    let fingerprint = Fingerprint::of(&RustCrypto, &phone(), FRIEND.spki());
    line.ask(|client, env| {
        let key = &*FRIEND_PUBLIC;
        let to = Addressee { user: user(FRIEND_ID), fingerprint: &fingerprint, key };
        let uid = Uid::generate(env.rng);
        client.compose(env, &from, &to, &uid, &Content::Text(text))
    })
}

fn at(line: &Line) -> Timestamp {
    Timestamp::from_unix(line.server.clock)
}

const HOUR: i64 = 3_600;

#[test]
fn a_refusal_as_stale_sets_the_clock_within_fifteen_seconds() {
    for (after_ms, sets) in [(0, true), (15_000, true), (15_001, false), (60_000, false)] {
        let mut line = Line::at(Stage::Active);
        line.server.clock = line.server.clock.shifted(HOUR);
        let (id, first) = send(&mut line, "late");
        line.pass(after_ms);
        let refused = line.server.sealed_refusal(ErrorCode::StaleTimestamp, Some(id));
        let code = ErrorCode::StaleTimestamp;
        let number = code.code();
        let (code, packet) = (Some(code), Some(id));
        let notice = RefusalNotice { code, number, retry_after_s: 5, packet };
        assert_eq!(line.hear(&refused), [Heard::Refused(notice)]);
        let (_, second) = send(&mut line, "again");
        if sets {
            assert_eq!(line.client.clock_offset_s(), HOUR);
            assert_eq!(second, at(&line), "after {after_ms} ms");
        } else {
            assert_eq!(line.client.clock_offset_s(), 0, "after {after_ms} ms");
            let passed = i64::try_from(after_ms / 1_000).unwrap();
            assert_eq!(second.to_unix().minus(first.to_unix()), passed);
        }
    }
}

#[test]
fn a_refusal_as_stale_of_a_foreign_letter_sets_nothing() {
    let mut line = Line::at(Stage::Active);
    line.server.clock = line.server.clock.shifted(HOUR);
    send(&mut line, "late");
    for packet in [None, Some(PacketId([3; 16]))] {
        let refused = line.server.sealed_refusal(ErrorCode::StaleTimestamp, packet);
        line.hear(&refused);
        assert_eq!(line.client.clock_offset_s(), 0);
    }
}

#[test]
fn statuses_and_closings_set_nothing() {
    let mut line = Line::at(Stage::Active);
    line.server.clock = line.server.clock.shifted(HOUR);
    let (id, _) = send(&mut line, "hello");
    let stored = line.server.sealed_statuses(&[(id, Status::Stored)]);
    assert_eq!(line.hear(&stored).len(), 1);
    line.prove();
    let close = line.server.sealed(Op::Close, &[2]);
    line.hear(&close);
    assert_eq!(line.client.clock_offset_s(), 0);
}

#[test]
fn a_clear_244_sets_nothing() {
    let mut line = Line::at(Stage::AwaitingRenewed);
    line.server.clock = line.server.clock.shifted(HOUR);
    let id = line.request;
    let refused = line.server.clear_refusal(ErrorCode::StaleTimestamp, id);
    line.hear(&refused);
    assert!(matches!(line.ended(), Some(Ended::Refused(_))));
    assert_eq!(line.client.clock_offset_s(), 0);
}

#[test]
fn a_200_sets_nothing() {
    let mut line = Line::at(Stage::AwaitingOtp);
    line.server.clock = line.server.clock.shifted(HOUR);
    let code = line.server.otp_issued();
    assert_eq!(line.hear(&code).len(), 1);
    assert_eq!(line.client.clock_offset_s(), 0);
}

#[test]
fn a_grant_sets_the_clock_within_fifteen_seconds() {
    for (stage, op) in
        [(Stage::AwaitingIssued, Op::SessionIssued), (Stage::AwaitingRenewed, Op::SessionRenewed)]
    {
        for (after_ms, sets) in [(0, true), (15_000, true), (15_001, false)] {
            let mut line = Line::at(stage);
            line.server.clock = line.server.clock.shifted(-HOUR);
            line.pass(after_ms);
            // It lay in the stream before the timer was looked at.
            let grant = line.server.grant(op);
            assert_eq!(line.hear(&grant), [Heard::Session(user(US))]);
            let confirmation = line.sent();
            assert_eq!(line.client.clock_offset_s(), if sets { -HOUR } else { 0 });
            assert_eq!(confirmation[0].header.timestamp == at(&line), sets);
        }
    }
}

#[test]
fn an_attempt_without_an_answer_ends_after_fifteen_seconds() {
    for stage in [Stage::AwaitingOtp, Stage::AwaitingIssued, Stage::AwaitingRenewed] {
        let mut line = Line::at(stage);
        let due = line.client.poll_timeout().unwrap();
        assert_eq!(due.since(line.now.instant).as_secs(), 15);
        line.pass(14_999);
        line.time_out();
        assert_eq!(line.ended(), None);
        line.pass(1);
        line.time_out();
        line.assert_ended(Ended::TimedOut);
    }
}

#[test]
fn a_person_may_take_their_time_to_type_the_code() {
    let mut line = Line::at(Stage::HasCode);
    assert_eq!(line.client.poll_timeout(), None);
    line.pass(600_000);
    line.time_out();
    assert_eq!(line.ended(), None);
}

#[test]
fn a_client_of_1970_registers_reconnects_and_then_knows_the_time() {
    let mut line = Line::new();
    line.set_civil(0);
    line.request_otp();
    let code = line.server.otp_issued();
    line.hear(&code);
    let reply_key = line.server.reply_key.clone();
    line.ask(|client, env| client.prove_otp(env, &phone(), &reply_key, &otp())).unwrap();
    let sent = line.sent();
    assert_eq!(sent[0].header.timestamp.as_str(), "1970-01-01 00:00:00");
    let grant = line.server.grant(Op::SessionIssued);
    assert_eq!(line.hear(&grant), [Heard::Session(user(US))]);
    assert_eq!(line.sent()[0].header.timestamp, at(&line));

    let mut line = Line::new();
    line.set_civil(-86_400);
    line.ask(|client, env| client.reconnect(env, user(US), None)).unwrap();
    assert_eq!(line.sent()[0].header.timestamp.as_str(), "1969-12-31 00:00:00");
    line.renew();
    let (_, stamped) = send(&mut line, "from a device without a clock");
    assert_eq!(stamped, at(&line));
}

#[test]
fn the_offset_of_an_earlier_connection_is_applied_from_the_start() {
    let options = waxwing_core::client::Options { clock_offset_s: HOUR, ..Default::default() };
    let mut line = Line::with(crate::line::buffers(), options);
    line.set_civil(1_000_000_000);
    line.ask(|client, env| client.reconnect(env, user(US), None)).unwrap();
    let sent = line.sent();
    let expected = UnixTime::from_seconds(1_000_000_000 + HOUR);
    assert_eq!(sent[0].header.timestamp, Timestamp::from_unix(expected));
}
