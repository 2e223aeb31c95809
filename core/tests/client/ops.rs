//! Every op code in every state, signed by the server: what is listed is taken, nothing else.

use waxwing_core::client::{Ended, LetterName};
use waxwing_core::crypto::{PrivateKey, ReplyKey, SessionKey};
use waxwing_core::id::PacketId;
use waxwing_core::wire::{CloseReason, KeyAnswer, Op, Status, StatusToken};

use crate::keys::FRIEND;
use crate::line::{Heard, Line, Stage, phone};
use crate::server::{FRIEND as FRIEND_ID, NOBODY, Server, US, refusal, to, user, written};

const LETTER: PacketId = PacketId([9; 16]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    ToUs,
    ToNobody,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Code,
    PhoneTaken,
    Session,
    Status,
    BacklogEnd,
    Refused,
    Ignored,
    EndsRefused,
    EndsClosed,
    Misbehaved,
    BadSeal,
}

/// The listing of PROTOCOL.md, "State diagrams": what the server may send in each state.
fn listed(stage: Stage, op: Option<Op>, form: Form) -> Outcome {
    use Form::{ToNobody, ToUs};
    use Stage::{
        Active, AwaitingIssued, AwaitingOtp, AwaitingRenewed, AwaitingRenewedShort, Fresh, HasCode,
        Leaving, Unproven,
    };
    match (stage, op, form) {
        (AwaitingOtp, Some(Op::OtpIssued), ToNobody) => Outcome::Code,
        (AwaitingOtp, Some(Op::RegistrationRejected), ToNobody) => Outcome::PhoneTaken,
        (AwaitingIssued, Some(Op::SessionIssued), ToUs) => Outcome::Session,
        (AwaitingRenewed | AwaitingRenewedShort, Some(Op::SessionRenewed), ToUs) => {
            Outcome::Session
        }
        (Active | Leaving, Some(Op::Refusal), ToNobody) => Outcome::Ignored,
        (Active | Leaving | Unproven, Some(Op::Refusal), ToUs) => Outcome::Refused,
        (Fresh | HasCode, _, _) => Outcome::Misbehaved,
        (_, Some(Op::Refusal), ToNobody) => Outcome::EndsRefused,
        (Active | Leaving | Unproven, Some(Op::Acknowledgment), _) => Outcome::Status,
        (Unproven, Some(Op::BacklogEnd), _) => Outcome::BacklogEnd,
        // It has come before.
        (Active | Leaving, Some(Op::BacklogEnd), _) => Outcome::Ignored,
        (Active | Leaving | Unproven, Some(Op::Close), ToUs) => Outcome::EndsClosed,
        // They are not sealed, and in a session everything to us is.
        (Active | Leaving | Unproven, Some(Op::SessionIssued | Op::SessionRenewed), ToUs) => {
            Outcome::BadSeal
        }
        _ => Outcome::Misbehaved,
    }
}

/// A packet with this op, as well made as one with this op can be.
fn well_made(server: &mut Server, op_code: u8, form: Form) -> Vec<u8> {
    match (Op::from_code(op_code), form) {
        (Some(Op::OtpIssued), Form::ToNobody) => server.otp_issued(),
        (Some(Op::RegistrationRejected), Form::ToNobody) => {
            server.answer(Op::RegistrationRejected, &[1])
        }
        (Some(op @ (Op::SessionIssued | Op::SessionRenewed)), Form::ToUs) => server.grant(op),
        (Some(Op::Acknowledgment), Form::ToNobody) => {
            let token = StatusToken { letter: LETTER.prefix(), status: Status::Stored };
            server.shared_statuses(&[token])
        }
        (Some(Op::Acknowledgment), Form::ToUs) => {
            server.sealed_statuses(&[(LETTER, Status::Stored)])
        }
        (Some(Op::KeyAnswer), Form::ToUs) => {
            let answer =
                KeyAnswer { user: user(FRIEND_ID), phone: phone(), spki: FRIEND.spki().clone() };
            let content = written(|writer| answer.emit(writer).unwrap());
            server.sealed(Op::KeyAnswer, &content)
        }
        (Some(Op::Close), Form::ToUs) => server.sealed(Op::Close, &[1]),
        (Some(Op::Refusal), Form::ToNobody) => {
            server.packet(to(NOBODY, op_code), &refusal(11, None))
        }
        (Some(Op::Refusal), Form::ToUs) => server.sealed(Op::Refusal, &refusal(12, Some(LETTER))),
        (Some(Op::BacklogEnd), Form::ToNobody) => {
            let nonce = server.nonce;
            server.shared_backlog_end(&nonce, 3)
        }
        (Some(Op::BacklogEnd), Form::ToUs) => server.sealed(Op::BacklogEnd, &[3, 0, 0, 0]),
        (_, Form::ToUs) => {
            let payload = server.sealed_payload(&[]);
            server.packet(to(US, op_code), &payload)
        }
        (_, Form::ToNobody) => {
            let key = SessionKey::from_bytes(server.seal.key().expose());
            let shared = server.shared(Op::Acknowledgment, &[(key, [7; 16])]);
            server.packet(to(NOBODY, op_code), &shared[26..58])
        }
    }
}

fn outcome(line: &mut Line, packet: &[u8]) -> Outcome {
    let heard = line.hear(packet);
    match (&heard[..], line.ended()) {
        ([Heard::Code(_)], None) => Outcome::Code,
        ([Heard::PhoneTaken], None) => Outcome::PhoneTaken,
        ([Heard::Session(id)], None) if id.get() == US => Outcome::Session,
        ([Heard::Status(name, Status::Stored)], None) => {
            assert_eq!(name.prefix(), LETTER.prefix());
            Outcome::Status
        }
        ([Heard::BacklogEnd(3)], None) => Outcome::BacklogEnd,
        ([Heard::Refused(_)], None) => Outcome::Refused,
        ([], None) => Outcome::Ignored,
        ([], Some(why)) => {
            line.assert_ended(why);
            match why {
                Ended::Refused(_) => Outcome::EndsRefused,
                Ended::Closed(CloseReason::Leaving) => Outcome::EndsClosed,
                Ended::Misbehaved => Outcome::Misbehaved,
                Ended::BadSeal => Outcome::BadSeal,
                other => panic!("{other:?}"),
            }
        }
        other => panic!("{other:?}"),
    }
}

fn every_op_has_its_outcome(stage: Stage) {
    for op_code in 0..=255 {
        let forms = match Op::from_code(op_code) {
            Some(_) => &[Form::ToUs, Form::ToNobody][..],
            None if op_code % 2 == 0 => &[Form::ToUs],
            None => &[Form::ToNobody],
        };
        for form in forms.iter().copied() {
            let mut line = Line::at(stage);
            let packet = well_made(&mut line.server, op_code, form);
            let expected = listed(stage, Op::from_code(op_code), form);
            assert_eq!(outcome(&mut line, &packet), expected, "{stage:?}: {op_code} {form:?}");
        }
    }
}

macro_rules! every_op {
    ($($name:ident: $stage:ident,)*) => {
        $(#[test]
        fn $name() {
            every_op_has_its_outcome(Stage::$stage);
        })*
    };
}

every_op! {
    before_a_request_nothing_is_accepted: Fresh,
    after_100_only_150_200_and_244_are: AwaitingOtp,
    with_a_code_nothing_is: HasCode,
    after_101_only_201_and_244_are: AwaitingIssued,
    after_106_only_206_and_244_are: AwaitingRenewed,
    after_a_short_106_only_206_and_244_are: AwaitingRenewedShort,
    before_the_proof_a_clear_244_ends: Unproven,
    in_a_session_only_its_ops_are: Active,
    while_leaving_only_the_sessions_ops_are: Leaving,
}

#[test]
fn a_letter_is_accepted_in_a_session_only() {
    for stage in Stage::ALL {
        let mut line = Line::at(stage);
        let letter = line.server.letter(FRIEND_ID, US, b"payload");
        let heard = line.hear(&letter);
        if stage.is_session() {
            assert!(matches!(heard[..], [Heard::Letter(_)]), "{stage:?}");
            assert_eq!(line.ended(), None, "{stage:?}");
        } else {
            line.assert_ended(Ended::Misbehaved);
        }
    }
}

#[test]
fn a_packet_of_the_servers_with_a_sender_ends() {
    for stage in [Stage::AwaitingOtp, Stage::AwaitingRenewed, Stage::Active] {
        let mut line = Line::at(stage);
        let mut from = to(NOBODY, Op::Refusal.code());
        from.sender = FRIEND_ID;
        let packet = line.server.packet(from, &refusal(11, None));
        line.hear(&packet);
        line.assert_ended(Ended::Misbehaved);
    }
}

#[test]
fn a_packet_for_another_id_ends_except_the_201_that_is_awaited() {
    for stage in Stage::ALL {
        for op in Op::ALL.iter().copied().filter(|op| *op != Op::Letter) {
            let mut line = Line::at(stage);
            let payload = match op {
                Op::SessionIssued | Op::SessionRenewed => line.server.grant(op)[26..282].to_vec(),
                Op::Refusal => refusal(11, None),
                _ => line.server.sealed_payload(&[1]),
            };
            let packet = line.server.packet(to(FRIEND_ID, op.code()), &payload);
            let heard = line.hear(&packet);
            if stage == Stage::AwaitingIssued && op == Op::SessionIssued {
                assert_eq!(heard, [Heard::Session(user(FRIEND_ID))]);
                assert_eq!(line.client.user(), Some(user(FRIEND_ID)));
            } else {
                assert_eq!(heard, [], "{stage:?} {op}");
                line.assert_ended(Ended::Misbehaved);
            }
        }
    }
}

#[test]
fn a_200_or_150_under_another_reply_key_ends_and_says_nothing() {
    for (op, content) in
        [(Op::OtpIssued, &b"\x2c\x01\x03\x3c\x00\x06654321"[..]), (Op::RegistrationRejected, &[1])]
    {
        // Among so many keys, some make padding of noise.
        for key in 0..300_u16 {
            let mut line = Line::at(Stage::AwaitingOtp);
            let mut bytes = [0x11; 32];
            bytes[..2].copy_from_slice(&key.to_le_bytes());
            line.server.reply_key = ReplyKey::from_bytes(&bytes);
            let packet = line.server.answer(op, content);
            assert_eq!(line.hear(&packet), [], "{op}, key {key}");
            line.assert_ended(Ended::Misbehaved);
        }
    }
}

#[test]
fn what_answers_a_request_for_a_code_has_no_other_op() {
    // A 244 is in clear: what is encrypted is no other content of it.
    let others = Op::ALL
        .iter()
        .copied()
        .filter(|op| ![Op::OtpIssued, Op::RegistrationRejected, Op::Refusal].contains(op));
    for op in others {
        for content in [&b"\x2c\x01\x03\x3c\x00\x06123456"[..], &[1]] {
            let mut line = Line::at(Stage::AwaitingOtp);
            let packet = line.server.answer(op, content);
            assert_eq!(line.hear(&packet), [], "{op}");
            line.assert_ended(Ended::Misbehaved);
        }
    }
}

#[test]
fn what_is_sealed_in_a_session_has_no_other_op() {
    let sealed = [Op::Acknowledgment, Op::KeyAnswer, Op::Close, Op::Refusal, Op::BacklogEnd];
    let status = [&[1, 0], &LETTER.0[..], &[1]].concat();
    let refusal = refusal(12, Some(LETTER));
    for op in Op::ALL.iter().copied().filter(|op| !sealed.contains(op)) {
        for content in [&status[..], &[1], &refusal, &[3, 0, 0, 0]] {
            let mut line = Line::at(Stage::Active);
            let packet = line.server.sealed(op, content);
            assert_eq!(line.hear(&packet), [], "{op}");
            line.assert_ended(Ended::Misbehaved);
        }
    }
}

#[test]
fn a_200_or_150_of_another_form_ends() {
    let cases: [(Op, &[u8]); 5] = [
        (Op::OtpIssued, b"\x2c\x01\x03\x3c\x00\x0512345"),
        (Op::OtpIssued, b"\x2c\x01\x03\x3c\x00"),
        (Op::OtpIssued, b"\x2c\x01\x03\x3c\x00\x00\x00"),
        (Op::RegistrationRejected, &[]),
        (Op::RegistrationRejected, &[1, 0]),
    ];
    for (op, content) in cases {
        let mut line = Line::at(Stage::AwaitingOtp);
        let packet = line.server.answer(op, content);
        assert_eq!(line.hear(&packet), [], "{op} {content:?}");
        line.assert_ended(Ended::Misbehaved);
    }
}

#[test]
fn a_150_with_an_unknown_reason_says_nothing_of_the_phone() {
    let mut line = Line::at(Stage::AwaitingOtp);
    let packet = line.server.answer(Op::RegistrationRejected, &[2]);
    assert_eq!(line.hear(&packet), []);
    line.assert_ended(Ended::Misbehaved);
}

#[test]
fn a_sealed_244_of_an_older_session_ends_an_attempt_without_a_reason() {
    // Read as a clear one it would name a packet of its own choosing.
    for stage in [Stage::AwaitingRenewed, Stage::AwaitingRenewedShort] {
        let mut line = Line::at(stage);
        let packet = line.server.packet(to(US, 244), &refusal(20, line.request));
        assert_eq!(line.hear(&packet), []);
        line.assert_ended(Ended::Misbehaved);
    }
}

#[test]
fn a_close_of_another_content_ends_as_misbehaviour() {
    for content in [&[][..], &[0], &[5], &[1, 1]] {
        let mut line = Line::at(Stage::Active);
        let packet = line.server.sealed(Op::Close, content);
        line.hear(&packet);
        line.assert_ended(Ended::Misbehaved);
    }
    for (code, reason) in [
        (1, CloseReason::Leaving),
        (2, CloseReason::ServerStopping),
        (3, CloseReason::TakenOver),
        (4, CloseReason::NoProgress),
    ] {
        let mut line = Line::at(Stage::Active);
        let packet = line.server.sealed(Op::Close, &[code]);
        line.hear(&packet);
        line.assert_ended(Ended::Closed(reason));
    }
}

#[test]
fn statuses_name_the_letter_as_far_as_they_can() {
    let mut line = Line::at(Stage::Active);
    let sealed = line.server.sealed_statuses(&[(LETTER, Status::Expired)]);
    assert_eq!(line.hear(&sealed), [Heard::Status(LetterName::Whole(LETTER), Status::Expired)]);
    let token = StatusToken { letter: LETTER.prefix(), status: Status::Unknown };
    let shared = line.server.shared_statuses(&[token]);
    let name = LetterName::Prefix(LETTER.prefix());
    assert_eq!(line.hear(&shared), [Heard::Status(name, Status::Unknown)]);
}
