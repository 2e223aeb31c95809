//! Statuses and ends of backlog, sealed and shared.

use waxwing_core::client::{Ended, LetterName};
use waxwing_core::crypto::SessionKey;
use waxwing_core::id::{Nonce, PacketId};
use waxwing_core::limits::{MAX_STATUSES, MAX_TOKENS};
use waxwing_core::wire::{BacklogSize, BacklogToken, Op, Status, StatusToken};

use crate::line::{Heard, Line, Stage};
use crate::server::{NOBODY, to};

const ALL: [Status; 4] = [Status::Unknown, Status::Stored, Status::Delivered, Status::Expired];

fn letter(n: usize) -> PacketId {
    let mut id = [0xab; 16];
    id[..8].copy_from_slice(&(n as u64).to_le_bytes());
    PacketId(id)
}

fn sealed(line: &mut Line, letters: std::ops::Range<usize>, heard: &mut Vec<Heard>) -> Vec<u8> {
    let entries: Vec<_> = letters.map(|n| (letter(n), ALL[n % 4])).collect();
    let told = |(id, status): &(PacketId, Status)| Heard::Status(LetterName::Whole(*id), *status);
    heard.extend(entries.iter().map(told));
    line.server.sealed_statuses(&entries)
}

fn shared(line: &mut Line, letters: std::ops::Range<usize>, heard: &mut Vec<Heard>) -> Vec<u8> {
    let token = |n| StatusToken { letter: letter(n).prefix(), status: ALL[n % 4] };
    let tokens: Vec<_> = letters.map(token).collect();
    let told = |token: &StatusToken| Heard::Status(LetterName::Prefix(token.letter), token.status);
    heard.extend(tokens.iter().map(told));
    line.server.shared_statuses(&tokens)
}

#[test]
fn none_is_lost_and_the_order_holds_when_more_packets_wait() {
    for stage in [Stage::Unproven, Stage::Active, Stage::Leaving] {
        let mut line = Line::at(stage);
        let mut expected = Vec::new();
        let mut stream = sealed(&mut line, 0..MAX_STATUSES, &mut expected);
        stream.extend(shared(&mut line, 200..200 + MAX_TOKENS, &mut expected));
        stream.extend(shared(&mut line, 300..301, &mut expected));
        stream.extend(sealed(&mut line, 400..401, &mut expected));
        stream.extend(sealed(&mut line, 500..503, &mut expected));
        stream.extend(line.server.sealed(Op::BacklogEnd, &[1, 0, 0, 0]));
        if stage == Stage::Unproven {
            expected.push(Heard::BacklogEnd(1));
        }
        assert_eq!(line.hear(&stream), expected, "{stage:?}");
        assert_eq!(line.ended(), None);
    }
}

#[test]
fn no_byte_is_taken_while_statuses_wait_to_be_told() {
    let mut line = Line::at(Stage::Active);
    let statuses = sealed(&mut line, 0..3, &mut Vec::new());
    for chunk in statuses.chunks(100) {
        // Without a poll in between.
        let mut chunk = chunk;
        while !chunk.is_empty() {
            let room = line.client.receive_buffer();
            let count = room.len().min(chunk.len());
            room[..count].copy_from_slice(&chunk[..count]);
            line.client.received(count);
            chunk = &chunk[count..];
        }
    }
    assert!(line.client.receive_buffer().is_empty());
    for _ in 0..3 {
        let told = line.ask(|client, env| client.poll(env).unwrap().is_some());
        assert!(told);
        assert!(line.client.receive_buffer().is_empty());
    }
    assert!(line.ask(|client, env| client.poll(env).unwrap().is_none()));
    assert!(!line.client.receive_buffer().is_empty());
}

#[test]
fn statuses_untold_survive_leaving() {
    let mut line = Line::at(Stage::Active);
    let statuses = sealed(&mut line, 0..3, &mut Vec::new());
    let mut rest = &statuses[..];
    while !rest.is_empty() {
        let room = line.client.receive_buffer();
        let count = room.len().min(rest.len());
        room[..count].copy_from_slice(&rest[..count]);
        line.client.received(count);
        rest = &rest[count..];
    }
    assert!(line.ask(|client, env| client.poll(env).unwrap().is_some()));
    line.ask(|client, env| client.leave(env)).unwrap();
    assert_eq!(line.drain().len(), 2);
}

#[test]
fn noise_names_nothing_of_ours() {
    let mut line = Line::at(Stage::Active);
    let token = StatusToken { letter: letter(1).prefix(), status: Status::Delivered };
    let mut tokens: Vec<_> =
        (0..31).map(|n| (SessionKey::from_bytes(&[n; 32]), token.to_block())).collect();
    tokens.insert(17, (line.server.seal.key().clone(), token.to_block()));
    let packet = line.server.shared(Op::Acknowledgment, &tokens);
    let heard = line.hear(&packet);
    let name = LetterName::Prefix(letter(1).prefix());
    let ours = heard.iter().filter(|event| **event == Heard::Status(name, Status::Delivered));
    assert_eq!(ours.count(), 1);
    // One in 64 looks like the status of some letter.
    assert!(heard.len() < 5, "{heard:?}");
    assert_eq!(line.ended(), None);
}

#[test]
fn a_255_token_counts_only_with_the_nonce_of_the_own_request() {
    for stage in [Stage::Unproven, Stage::Active, Stage::Leaving] {
        let mut line = Line::at(stage);
        let nonce = line.server.nonce;
        for at in 0..12 {
            let mut other = nonce;
            other.0[at] ^= 0x80;
            let packet = line.server.shared_backlog_end(&other, 9);
            assert_eq!(line.hear(&packet), [], "{stage:?} {at}");
        }
        let key = line.server.seal.key().clone();
        let block = BacklogToken::block(&nonce, BacklogSize(9));
        let noise = |n| (SessionKey::from_bytes(&[n; 32]), block);
        let mut tokens: Vec<_> = (0..127).map(noise).collect();
        tokens[126].0 = key;
        let packet = line.server.shared(Op::BacklogEnd, &tokens);
        // One has come before, but to whoever is unproven.
        let told = [Heard::BacklogEnd(9)];
        let told = if stage == Stage::Unproven { &told[..] } else { &[] };
        assert_eq!(line.hear(&packet), told, "{stage:?}");
    }
}

#[test]
fn a_shared_packet_seen_twice_does_no_harm() {
    let mut line = Line::at(Stage::Active);
    let mut expected = Vec::new();
    let packet = shared(&mut line, 0..4, &mut expected);
    assert_eq!(line.hear(&packet), expected);
    assert_eq!(line.hear(&packet), expected);
    line.prove();
}

#[test]
fn shared_packets_do_not_count_in_the_sequence() {
    let mut line = Line::at(Stage::Active);
    for n in 0..3 {
        let mut expected = Vec::new();
        let mut stream = shared(&mut line, n..n + 1, &mut expected);
        stream.extend(sealed(&mut line, n..n + 1, &mut expected));
        assert_eq!(line.hear(&stream), expected);
    }
}

#[test]
fn a_shared_packet_of_no_or_half_or_too_many_tokens_ends() {
    for (op, len) in [(203, 0), (203, 15), (203, 16), (255, 16), (203, 33), (255, 47)] {
        let mut line = Line::at(Stage::Active);
        let packet = line.server.packet(to(NOBODY, op), &vec![0x21; len]);
        assert_eq!(line.hear(&packet), [], "{op} {len}");
        line.assert_ended(Ended::Misbehaved);
    }
    // The header alone tells that this is too much.
    let mut line = Line::at(Stage::Active);
    let packet = line.server.packet(to(NOBODY, 203), &[0x21; 16 + 16 * (MAX_TOKENS + 1)]);
    assert_eq!(line.hear(&packet), []);
    line.assert_ended(Ended::BadBytes);
}

#[test]
fn a_list_that_is_none_is_told_not_even_in_part() {
    let entry = [&letter(1).0[..], &[1]].concat();
    let mut wrong_status = [&[2, 0][..], &entry, &entry].concat();
    *wrong_status.last_mut().unwrap() = 4;
    let cases = [
        Vec::new(),
        vec![1],
        [&[2, 0][..], &entry].concat(),
        [&[0, 0][..], &entry].concat(),
        [&[1, 0][..], &entry, &[0]].concat(),
        wrong_status,
    ];
    for content in cases {
        let mut line = Line::at(Stage::Active);
        let packet = line.server.sealed(Op::Acknowledgment, &content);
        assert_eq!(line.hear(&packet), [], "{content:?}");
        line.assert_ended(Ended::Misbehaved);
    }
}

#[test]
fn a_sealed_255_has_four_bytes() {
    for len in [0, 3, 5] {
        let mut line = Line::at(Stage::Active);
        let packet = line.server.sealed(Op::BacklogEnd, &vec![0; len]);
        assert_eq!(line.hear(&packet), []);
        line.assert_ended(Ended::Misbehaved);
    }
    let nonce = Nonce([1; 16]);
    assert_eq!(
        BacklogToken::parse(&BacklogToken::block(&nonce, BacklogSize(5)), &nonce),
        Some(BacklogSize(5))
    );
}
