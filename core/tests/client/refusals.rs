//! 244, in clear and sealed.

use waxwing_core::client::{Ended, RefusalNotice};
use waxwing_core::id::PacketId;
use waxwing_core::wire::{ErrorCode, Op};

use crate::line::{Heard, Line, Stage};
use crate::server::{NOBODY, Sent, US, refusal, to, user};

const FOREIGN: Option<PacketId> = Some(PacketId([0x66; 16]));
const BEFORE_A_SESSION: [Stage; 4] = [
    Stage::AwaitingOtp,
    Stage::AwaitingIssued,
    Stage::AwaitingRenewed,
    Stage::AwaitingRenewedShort,
];

fn notice(code: ErrorCode, packet: Option<PacketId>) -> RefusalNotice {
    RefusalNotice { code: Some(code), number: code.code(), retry_after_s: 5, packet }
}

#[test]
fn a_clear_244_that_names_a_foreign_packet_is_ignored() {
    for stage in BEFORE_A_SESSION.into_iter().chain([Stage::Unproven]) {
        for code in ErrorCode::ALL {
            let mut line = Line::at(stage);
            let packet = line.server.clear_refusal(*code, FOREIGN);
            assert_eq!(line.hear(&packet), [], "{stage:?} {code}");
            assert_eq!(line.ended(), None, "{stage:?} {code}");
            assert!(line.client.transmit().is_empty());
        }
    }
}

#[test]
fn a_clear_244_that_names_ours_or_none_ends_the_attempt() {
    for stage in BEFORE_A_SESSION {
        for code in ErrorCode::ALL {
            for named in [true, false] {
                if (stage, *code, named)
                    == (Stage::AwaitingRenewedShort, ErrorCode::SessionUnknown, true)
                {
                    continue;
                }
                let mut line = Line::at(stage);
                let id = line.request.filter(|_| named);
                let packet = line.server.clear_refusal(*code, id);
                assert_eq!(line.hear(&packet), []);
                line.assert_ended(Ended::Refused(notice(*code, id)));
            }
        }
    }
}

#[test]
fn a_clear_244_ends_a_session_only_before_its_proof() {
    let mut line = Line::at(Stage::Unproven);
    let packet = line.server.clear_refusal(ErrorCode::UnexpectedOp, None);
    assert_eq!(line.hear(&packet), []);
    line.assert_ended(Ended::Refused(notice(ErrorCode::UnexpectedOp, None)));

    for stage in [Stage::Active, Stage::Leaving] {
        let mut line = Line::at(stage);
        for packet in [None, FOREIGN, line.request] {
            let packet = line.server.clear_refusal(ErrorCode::BadSignature, packet);
            assert_eq!(line.hear(&packet), []);
            assert_eq!(line.ended(), None);
        }
        line.prove();
    }
}

#[test]
fn whoever_leaves_before_the_proof_still_learns_that_the_attempt_failed() {
    let mut line = Line::at(Stage::Unproven);
    line.ask(|client, env| client.leave(env)).unwrap();
    let packet = line.server.clear_refusal(ErrorCode::UnexpectedOp, None);
    line.sent();
    assert_eq!(line.hear(&packet), []);
    line.assert_ended(Ended::Refused(notice(ErrorCode::UnexpectedOp, None)));
}

#[test]
fn a_clear_244_that_is_none_ends_where_one_would_count() {
    let long_text = [refusal(1, None), vec![b'x'; 127]].concat();
    for body in [&b""[..], b"\x01\0\0\0\0", b"\x01\0\0\0\0\x02", b"\x01\0\0\0\0\0\xff", &long_text]
    {
        for stage in BEFORE_A_SESSION.into_iter().chain([Stage::Unproven]) {
            let mut line = Line::at(stage);
            let packet = line.server.packet(to(NOBODY, 244), body);
            assert_eq!(line.hear(&packet), [], "{stage:?}");
            line.assert_ended(Ended::Misbehaved);
        }
    }
}

#[test]
fn a_clear_244_of_an_impossible_size_ends_a_session_in_which_others_are_ignored() {
    let longest = [refusal(1, None), vec![b'x'; 122]].concat();
    for (len, is_ignored) in [(5, false), (6, true), (128, true), (150, true), (151, false)] {
        let mut line = Line::at(Stage::Active);
        let mut body = longest.clone();
        body.resize(len, b'x');
        let packet = line.server.packet(to(NOBODY, 244), &body);
        assert_eq!(line.hear(&packet), [], "{len}");
        assert_eq!(line.ended(), (!is_ignored).then_some(Ended::Misbehaved), "{len}");
    }
}

fn is_long_form(sent: &[Sent]) -> bool {
    matches!(sent, [only] if only.header.op_code == 106
        && only.header.sender == Some(user(US))
        && only.header.payload_size == 256)
}

#[test]
fn session_unknown_leads_to_exactly_one_long_form() {
    let mut line = Line::at(Stage::AwaitingRenewedShort);
    let short = line.request;
    let unknown = line.server.clear_refusal(ErrorCode::SessionUnknown, short);
    assert_eq!(line.hear(&unknown), []);
    let sent = line.sent();
    assert!(is_long_form(&sent), "{sent:?}");
    let long = sent[0].id;

    // The refusal of the short form names a packet that is not the latest any more.
    assert_eq!(line.hear(&unknown), []);
    assert!(line.client.transmit().is_empty());
    assert_eq!(line.ended(), None);

    let again = line.server.clear_refusal(ErrorCode::SessionUnknown, Some(long));
    assert_eq!(line.hear(&again), []);
    line.assert_ended(Ended::Refused(notice(ErrorCode::SessionUnknown, Some(long))));
}

#[test]
fn the_long_form_after_session_unknown_has_a_nonce_of_its_own_and_opens_a_session() {
    let mut line = Line::at(Stage::AwaitingRenewedShort);
    let (short, nonce) = (line.request, line.server.nonce);
    let unknown = line.server.clear_refusal(ErrorCode::SessionUnknown, short);
    line.hear(&unknown);
    line.sent();
    assert_ne!(line.server.nonce, nonce);
    line.renew();
    line.prove();
}

#[test]
fn a_206_for_the_short_form_does_not_serve_the_long_one() {
    let mut line = Line::at(Stage::AwaitingRenewedShort);
    let short = line.request;
    let for_short = line.server.grant(Op::SessionRenewed);
    let unknown = line.server.clear_refusal(ErrorCode::SessionUnknown, short);
    line.hear(&unknown);
    line.sent();
    assert_eq!(line.hear(&for_short), []);
    line.assert_ended(Ended::Misbehaved);
}

#[test]
fn sealed_refusals_end_the_session_as_the_table_says() {
    for code in ErrorCode::ALL {
        let ends = matches!(code.code(), 1..=4 | 19);
        for stage in [Stage::Unproven, Stage::Active, Stage::Leaving] {
            let mut line = Line::at(stage);
            let packet = line.server.sealed_refusal(*code, FOREIGN);
            let heard = line.hear(&packet);
            if ends {
                assert_eq!(heard, []);
                line.assert_ended(Ended::Refused(notice(*code, FOREIGN)));
            } else {
                assert_eq!(heard, [Heard::Refused(notice(*code, FOREIGN))]);
                assert_eq!(line.ended(), None);
            }
        }
    }
}

#[test]
fn a_code_of_a_later_version_refuses_the_packet_that_it_names_or_the_connection() {
    let unknown = |number, packet| RefusalNotice { code: None, number, retry_after_s: 5, packet };
    let mut line = Line::at(Stage::Active);
    let packet = line.server.sealed(Op::Refusal, &refusal(999, FOREIGN));
    assert_eq!(line.hear(&packet), [Heard::Refused(unknown(999, FOREIGN))]);
    let packet = line.server.sealed(Op::Refusal, &refusal(6, None));
    assert_eq!(line.hear(&packet), []);
    line.assert_ended(Ended::Refused(unknown(6, None)));

    let mut line = Line::at(Stage::AwaitingRenewed);
    let packet = line.server.packet(to(NOBODY, 244), &refusal(999, None));
    assert_eq!(line.hear(&packet), []);
    line.assert_ended(Ended::Refused(unknown(999, None)));
}

#[test]
fn a_sealed_refusal_that_is_none_ends() {
    for body in [&b""[..], b"\x0c\0\0\0\0\x03", b"\x0c\0\0\0\0\0\xc3"] {
        let mut line = Line::at(Stage::Active);
        let packet = line.server.sealed(Op::Refusal, body);
        assert_eq!(line.hear(&packet), []);
        line.assert_ended(Ended::Misbehaved);
    }
}

#[test]
fn the_first_end_stays() {
    let mut line = Line::at(Stage::Active);
    let mut stream = line.server.sealed(Op::Close, &[3]);
    stream.extend([0; 400]);
    line.hear(&stream);
    let why = line.ended().unwrap();
    line.pass(60_000);
    line.time_out();
    line.client.received(400);
    line.client.release_letter();
    for _ in 0..3 {
        let polled = line.ask(|client, env| client.poll(env).map(|_| ()));
        assert_eq!(polled, Err(why));
    }
    line.assert_ended(Ended::Closed(waxwing_core::wire::CloseReason::TakenOver));
}
