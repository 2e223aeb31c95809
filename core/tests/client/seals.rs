//! Session keys and what is sealed under them.

use waxwing_core::client::Ended;
use waxwing_core::crypto::{BLOCK_LEN, Provider, RustCrypto, SessionKey, SessionSeal};
use waxwing_core::id::{Nonce, PacketId};
use waxwing_core::limits::{MAX_CONTROL_PACKET, MAX_SEALED};
use waxwing_core::wire::{Op, Status, StatusToken};

use crate::clocks::send;
use crate::line::{Heard, Line, Stage, buffers};
use crate::server::{NOBODY, US, to, user};

#[test]
fn a_grant_with_another_nonce_is_refused() {
    for (stage, op) in [
        (Stage::AwaitingIssued, Op::SessionIssued),
        (Stage::AwaitingRenewed, Op::SessionRenewed),
        (Stage::AwaitingRenewedShort, Op::SessionRenewed),
    ] {
        let mut line = Line::at(stage);
        line.server.nonce.0[15] ^= 1;
        let grant = line.server.grant(op);
        assert_eq!(line.hear(&grant), []);
        line.assert_ended(Ended::Misbehaved);
        assert_eq!(line.client.clock_offset_s(), 0);
    }
}

#[test]
fn a_recorded_206_does_not_serve_the_next_connection() {
    let mut line = Line::at(Stage::AwaitingRenewed);
    let recorded = line.server.grant(Op::SessionRenewed);
    let first = line.server.nonce;
    let mut line = Line::new();
    line.ask(|_, env| Nonce::generate(env.rng));
    line.go_to(Stage::AwaitingRenewed);
    assert_ne!(line.server.nonce, first);
    assert_eq!(line.hear(&recorded), []);
    line.assert_ended(Ended::Misbehaved);
}

#[test]
fn a_grant_of_another_length_is_refused() {
    for len in [0, 1, 47, 49, 190] {
        let mut line = Line::at(Stage::AwaitingRenewed);
        let mut block = line.server.seal.key().expose().to_vec();
        block.extend(line.server.nonce.0);
        block.resize(len, 0);
        let grant = line.server.grant_of(Op::SessionRenewed, b"waxwing/1:206", &block);
        assert_eq!(line.hear(&grant), [], "{len}");
        line.assert_ended(Ended::Misbehaved);
    }
}

#[test]
fn a_grant_under_another_label_is_refused() {
    for label in [&b"waxwing/1:201"[..], b"waxwing/1:106", b"waxwing/1:2060", b""] {
        let mut line = Line::at(Stage::AwaitingRenewed);
        let mut block = line.server.seal.key().expose().to_vec();
        block.extend(line.server.nonce.0);
        let grant = line.server.grant_of(Op::SessionRenewed, label, &block);
        assert_eq!(line.hear(&grant), []);
        line.assert_ended(Ended::Misbehaved);
    }
}

#[test]
fn a_grant_that_is_no_oaep_block_is_refused() {
    for len in [0, 48, 255, 257, 256] {
        let mut line = Line::at(Stage::AwaitingRenewed);
        let packet = line.server.packet(to(US, 206), &vec![0x55; len]);
        assert_eq!(line.hear(&packet), [], "{len}");
        line.assert_ended(Ended::Misbehaved);
    }
}

#[test]
fn a_grant_to_nobody_is_refused() {
    for (stage, op) in
        [(Stage::AwaitingIssued, Op::SessionIssued), (Stage::AwaitingRenewed, Op::SessionRenewed)]
    {
        let mut line = Line::at(stage);
        let payload = line.server.grant(op)[26..282].to_vec();
        let packet = line.server.packet(to(NOBODY, op.code()), &payload);
        assert_eq!(line.hear(&packet), []);
        line.assert_ended(Ended::Misbehaved);
    }
}

#[test]
fn a_grant_is_confirmed_at_once_with_the_window() {
    let mut line = Line::at(Stage::AwaitingIssued);
    let grant = line.server.grant(Op::SessionIssued);
    assert_eq!(line.hear(&grant), [Heard::Session(user(US))]);
    let sent = line.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].header.op_code, 203);
    assert_eq!(sent[0].header.sender, Some(user(US)));
    assert_eq!(sent[0].content, [0, 128]);
}

#[test]
fn a_key_is_proven_by_the_first_sealed_packet_or_own_255_and_not_before() {
    let mut line = Line::at(Stage::Unproven);
    assert_eq!(line.client.proven_session_key(), None);
    let noise = line.server.shared_backlog_end(&Nonce([0x99; 16]), 4);
    assert_eq!(line.hear(&noise), []);
    assert_eq!(line.client.proven_session_key(), None);
    let nonce = line.server.nonce;
    let own = line.server.shared_backlog_end(&nonce, 4);
    assert_eq!(line.hear(&own), [Heard::BacklogEnd(4)]);
    assert_eq!(line.client.proven_session_key(), Some(line.server.seal.key()));

    let mut line = Line::at(Stage::Unproven);
    line.prove();
    assert_eq!(line.client.proven_session_key(), Some(line.server.seal.key()));
}

#[test]
fn a_log_may_have_the_key_and_the_nonce_of_every_session_that_is_offered() {
    for stage in Stage::ALL {
        let line = Line::at(stage);
        let expected = stage.is_session().then(|| (&line.server.nonce, line.server.seal.key()));
        assert_eq!(line.client.session(), expected, "{stage:?}");
    }
}

#[test]
fn a_key_is_proven_by_the_status_of_a_letter_of_this_connection_and_not_by_noise() {
    let mut line = Line::at(Stage::Unproven);
    let (letter, _) = send(&mut line, "hello");
    // Of other people's tokens, a few in each packet look like the status of some letter.
    let others = SessionKey::from_bytes(&[0x99; 32]);
    let mut look_alikes = 0;
    for number in 0..8 {
        let token = StatusToken { letter: PacketId([number; 16]).prefix(), status: Status::Stored };
        let mut block = token.to_block();
        let tokens: Vec<_> = (0..127)
            .map(|nth| {
                block[0] = nth;
                (others.clone(), block)
            })
            .collect();
        let noise = line.server.shared(Op::Acknowledgment, &tokens);
        look_alikes += line.hear(&noise).len();
        assert_eq!(line.client.proven_session_key(), None);
    }
    assert!(look_alikes > 0);
    let token = |letter: PacketId| StatusToken { letter: letter.prefix(), status: Status::Stored };
    let foreign = line.server.shared_statuses(&[token(PacketId([7; 16]))]);
    assert_eq!(line.hear(&foreign).len(), 1);
    assert_eq!(line.client.proven_session_key(), None);
    let own = line.server.shared_statuses(&[token(letter)]);
    assert_eq!(line.hear(&own).len(), 1);
    assert_eq!(line.client.proven_session_key(), Some(line.server.seal.key()));
}

fn assert_bad_seal(stage: Stage, make: impl FnOnce(&mut Line) -> Vec<u8>) {
    let mut line = Line::at(stage);
    let packet = make(&mut line);
    assert_eq!(line.hear(&packet), []);
    line.assert_ended(Ended::BadSeal);
}

const SESSIONS: [Stage; 3] = [Stage::Unproven, Stage::Active, Stage::Leaving];

#[test]
fn a_sealed_packet_that_comes_twice_ends() {
    for stage in SESSIONS {
        assert_bad_seal(stage, |line| {
            let packet = line.server.sealed_statuses(&[(PacketId([1; 16]), Status::Stored)]);
            assert_eq!(line.hear(&packet).len(), 1);
            packet
        });
    }
}

#[test]
fn a_sealed_packet_that_comes_too_early_ends() {
    for stage in SESSIONS {
        assert_bad_seal(stage, |line| {
            let _lost = line.server.sealed(Op::BacklogEnd, &[0; 4]);
            line.server.sealed(Op::BacklogEnd, &[0; 4])
        });
    }
}

#[test]
fn a_packet_under_another_key_ends() {
    for stage in SESSIONS {
        assert_bad_seal(stage, |line| {
            line.server.seal = SessionSeal::new(SessionKey::from_bytes(&[0x42; 32]));
            line.server.sealed(Op::BacklogEnd, &[0; 4])
        });
    }
}

/// `IV ‖ CBC` of blocks as they are.
fn blocks(line: &mut Line, plain: &[[u8; BLOCK_LEN]]) -> Vec<u8> {
    let key = *line.server.seal.key().expose();
    let mut iv = [0x77; BLOCK_LEN];
    let mut payload = iv.to_vec();
    for block in plain {
        let mut block = *block;
        RustCrypto.encrypt_block(&key, &iv, &mut block);
        payload.extend(block);
        iv = block;
    }
    payload
}

#[test]
fn every_wrong_padding_ends_alike() {
    // In a fresh session the number is 0. The right last byte is 8 for a content of four bytes.
    // 1 would be right too, after a longer content.
    for last in (0..=255).step_by(5).chain([2, 7, 9, 16, 17]).filter(|last| *last != 1) {
        assert_bad_seal(Stage::Unproven, |line| {
            let mut block = [0x08; BLOCK_LEN];
            block[..8].fill(0);
            block[15] = last;
            let payload = blocks(line, &[block]);
            line.server.packet(to(US, 255), &payload)
        });
    }
}

#[test]
fn a_payload_of_an_impossible_size_ends() {
    for len in [0, 15, 16, 17, 31, 33, 47] {
        assert_bad_seal(Stage::Active, |line| line.server.packet(to(US, 203), &vec![0x5a; len]));
    }
}

#[test]
fn a_content_shorter_than_its_number_ends() {
    assert_bad_seal(Stage::Unproven, |line| {
        let mut block = [13; BLOCK_LEN];
        block[..3].fill(0);
        let payload = blocks(line, &[block]);
        line.server.packet(to(US, 255), &payload)
    });
}

#[test]
fn more_than_two_kibibytes_are_never_sealed_even_where_the_buffer_has_room() {
    let mut line = Line::with(
        waxwing_core::client::Buffers { control: vec![0; 2 * MAX_CONTROL_PACKET], ..buffers() },
        waxwing_core::client::Options::default(),
    );
    line.go_to(Stage::Unproven);
    let mut plain = vec![[0; BLOCK_LEN]; MAX_SEALED / BLOCK_LEN];
    plain.last_mut().unwrap()[15] = 1;
    let payload = blocks(&mut line, &plain);
    assert_eq!(payload.len(), MAX_SEALED + BLOCK_LEN);
    let packet = line.server.packet(to(US, 203), &payload);
    line.hear(&packet);
    line.assert_ended(Ended::BadSeal);
}
