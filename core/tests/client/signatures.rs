//! Packets that the pinned key has not signed change nothing.

use waxwing_core::client::Ended;
use waxwing_core::wire::{ErrorCode, Op};

use crate::keys::MALLORY;
use crate::line::{Line, Stage};
use crate::server::{NOBODY, US, refusal, signed, to};

/// What the server would say next in this state.
fn welcome(line: &mut Line, stage: Stage) -> Vec<u8> {
    match stage {
        Stage::Fresh => line.server.clear_refusal(ErrorCode::RateLimited, None),
        Stage::AwaitingOtp | Stage::HasCode => line.server.otp_issued(),
        Stage::AwaitingIssued => line.server.grant(Op::SessionIssued),
        Stage::AwaitingRenewed | Stage::AwaitingRenewedShort => {
            line.server.grant(Op::SessionRenewed)
        }
        _ => line.server.sealed(Op::BacklogEnd, &[1, 0, 0, 0]),
    }
}

fn assert_refused_unchanged(line: &mut Line, packet: &[u8]) {
    let (user, offset) = (line.client.user(), line.client.clock_offset_s());
    let proven = line.client.proven_session_key().cloned();
    assert_eq!(line.hear(packet), []);
    line.assert_ended(Ended::BadBytes);
    assert_eq!((line.client.user(), line.client.clock_offset_s()), (user, offset));
    assert_eq!(line.client.proven_session_key(), proven.as_ref());
}

#[test]
fn another_key_signs_nothing_in_any_state() {
    for stage in Stage::ALL {
        let mut line = Line::at(stage);
        line.server.clock = line.server.clock.shifted(1_000);
        let genuine = welcome(&mut line, stage);
        let recipient = u16::from_le_bytes([genuine[2], genuine[3]]);
        let payload = &genuine[26..genuine.len() - 256];
        let at = line.server.clock;
        let forged = signed(&MALLORY, at, to(recipient, genuine[23]), payload);
        assert_refused_unchanged(&mut line, &forged);
    }
}

#[test]
fn a_flipped_bit_anywhere_breaks_the_signature_in_any_state() {
    for stage in Stage::ALL {
        let len = welcome(&mut Line::at(stage), stage).len();
        for at in [0, 2, 22, 23, 26, len - 257, len - 256, len - 1] {
            let mut line = Line::at(stage);
            let mut packet = welcome(&mut line, stage);
            // The last digit of a timestamp stays one.
            packet[at] ^= 1;
            if packet[23] == 102 {
                continue;
            }
            assert_refused_unchanged(&mut line, &packet);
        }
    }
}

#[test]
fn the_signature_of_another_packet_does_not_serve() {
    for stage in Stage::ALL {
        let mut line = Line::at(stage);
        let other = line.server.packet(to(NOBODY, 244), &refusal(1, None));
        let mut packet = welcome(&mut line, stage);
        let end = packet.len() - 256;
        packet[end..].copy_from_slice(&other[other.len() - 256..]);
        assert_refused_unchanged(&mut line, &packet);
    }
}

#[test]
fn an_unsigned_packet_is_none() {
    let mut line = Line::at(Stage::Active);
    let mut packet = line.server.packet(to(US, 222), &[]);
    let end = packet.len() - 256;
    packet[end..].fill(0);
    assert_refused_unchanged(&mut line, &packet);
}

#[test]
fn a_header_that_is_none_ends_before_the_rest_has_come() {
    for stage in Stage::ALL {
        let mut line = Line::at(stage);
        assert_eq!(line.hear(&[0; 26]), []);
        line.assert_ended(Ended::BadBytes);
    }
}

#[test]
fn a_control_packet_above_the_buffer_ends_at_its_header() {
    for stage in Stage::ALL {
        let mut line = Line::at(stage);
        let packet = line.server.packet(to(US, 203), &[0; 2_049]);
        assert_eq!(line.hear(&packet[..26]), []);
        line.assert_ended(Ended::BadBytes);
    }
}
