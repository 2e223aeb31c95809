//! When acknowledgments go out.

use std::time::Duration;

use waxwing_core::client::{Buffers, Options};
use waxwing_core::crypto::{PrivateKey, Provider, RustCrypto};
use waxwing_core::envelope::{self, Content, Fingerprint};
use waxwing_core::id::{PacketId, Uid};
use waxwing_core::limits::MAX_CONTROL_PACKET;
use waxwing_core::wire::{ClientReport, Op};

use crate::buffers::query;
use crate::clocks::compose;
use crate::keys::{self, CLIENT, FRIEND_PUBLIC};
use crate::line::{Heard, Line, Stage, buffers, phone};
use crate::server::{FRIEND, Sent, US, id_of, user};

fn id(n: usize) -> PacketId {
    let mut id = [0x1d; 16];
    id[..8].copy_from_slice(&(n as u64).to_le_bytes());
    PacketId(id)
}

fn session(options: Options, transmit: usize) -> Line {
    let buffers = Buffers { transmit: vec![0; transmit], ..buffers() };
    let mut line = Line::with(buffers, options);
    line.reconnect(None);
    let grant = line.server.grant(Op::SessionRenewed);
    assert_eq!(line.hear(&grant), [Heard::Session(user(US))]);
    line.sent();
    line.prove();
    line
}

fn with_window(window: u8) -> Line {
    session(Options { window, ..Options::default() }, 70_000)
}

fn acknowledge(line: &mut Line, n: usize, len: usize) {
    line.ask(|client, env| client.acknowledge(env, id(n), len));
}

fn held(sent: &Sent) -> Vec<PacketId> {
    match ClientReport::parse(&sent.content).unwrap() {
        ClientReport::Held(ids) => ids.collect(),
        other => panic!("{other:?}"),
    }
}

fn all_held(line: &mut Line) -> Vec<PacketId> {
    line.sent().iter().flat_map(held).collect()
}

#[test]
fn they_go_at_half_the_window() {
    for (window, half) in [(1, 1), (2, 1), (3, 2), (9, 5), (127, 64), (128, 64)] {
        let mut line = with_window(window);
        for n in 0..half - 1 {
            acknowledge(&mut line, n, 400);
        }
        assert!(line.sent().is_empty(), "window {window}");
        acknowledge(&mut line, half - 1, 400);
        assert_eq!(all_held(&mut line), (0..half).map(id).collect::<Vec<_>>());
        assert_eq!(line.client.poll_timeout(), None);
    }
}

#[test]
fn they_go_at_sixty_four_kibibytes() {
    let mut line = with_window(128);
    acknowledge(&mut line, 0, 65_000);
    acknowledge(&mut line, 1, 535);
    assert!(line.sent().is_empty());
    acknowledge(&mut line, 2, 1);
    assert_eq!(all_held(&mut line), [id(0), id(1), id(2)]);
    acknowledge(&mut line, 3, 600);
    assert!(line.sent().is_empty(), "the count begins anew");
}

#[test]
fn they_go_at_sixty_four_kibibytes_of_letters_in_their_buffer() {
    let mut line = with_window(128);
    line.holds_letters = true;
    let letters = [1, 2].map(|n| line.server.letter(FRIEND, US, &vec![n; 40_000]));
    for (letter, go) in letters.iter().zip([false, true]) {
        assert_eq!(line.hear(letter), [Heard::Letter(id_of(letter))]);
        line.ask(|client, env| client.acknowledge_letter(env));
        let held = all_held(&mut line);
        let all: Vec<_> = letters.iter().map(|letter| id_of(letter)).collect();
        assert_eq!(held, if go { all } else { vec![] });
    }
}

#[test]
fn they_go_after_a_second_by_the_timer_or_by_a_poll() {
    for by_timer in [true, false] {
        let mut line = with_window(128);
        acknowledge(&mut line, 0, 400);
        line.pass(500);
        acknowledge(&mut line, 1, 400);
        let due = line.client.poll_timeout().unwrap();
        assert_eq!(due.since(line.now.instant), Duration::from_millis(500));
        line.pass(499);
        line.time_out();
        line.drain();
        assert!(line.sent().is_empty());
        line.pass(1);
        if by_timer {
            line.time_out();
        } else {
            line.drain();
        }
        assert_eq!(all_held(&mut line), [id(0), id(1)]);
    }
}

#[test]
fn they_go_before_the_goodbye() {
    let mut line = with_window(128);
    acknowledge(&mut line, 0, 400);
    line.ask(|client, env| client.leave(env)).unwrap();
    let sent = line.sent();
    let ops: Vec<_> = sent.iter().map(|packet| packet.header.op_code).collect();
    assert_eq!(ops, [203, 222]);
    assert_eq!(held(&sent[0]), [id(0)]);
    assert_eq!(sent[1].content, [1]);
}

#[test]
fn none_is_lost_while_the_stream_takes_nothing() {
    for transmit in [MAX_CONTROL_PACKET, 2 * MAX_CONTROL_PACKET, 70_000] {
        let mut line = session(Options::default(), transmit);
        let filler = (0..).take_while(|_| {
            line.ask(|client, env| client.ask_for_statuses(env, &[query()])).is_ok() && {
                line.pass(2_000);
                true
            }
        });
        assert!(filler.count() > 0);
        for n in 0..128 {
            acknowledge(&mut line, n, 400);
        }
        line.pass(2_000);
        let mut acknowledged = Vec::new();
        for _ in 0..10 {
            for sent in line.sent() {
                if sent.content[0] == 1 {
                    acknowledged.extend(held(&sent));
                }
            }
            line.drain();
        }
        assert_eq!(acknowledged, (0..128).map(id).collect::<Vec<_>>(), "{transmit}");
        assert_eq!(line.ended(), None);
    }
}

#[test]
fn what_cannot_go_out_yet_is_no_reason_to_wake_up() {
    // A letter that is held keeps everything behind it.
    let keepalive = Some(Duration::from_secs(300));
    let mut line = session(Options { keepalive, ..Options::default() }, 70_000);
    compose(&mut line, "held").unwrap();
    acknowledge(&mut line, 0, 400);
    line.pass(400_000);
    assert_eq!(line.client.poll_timeout(), None);
    line.client.release_composed();
    assert!(line.client.poll_timeout().unwrap() <= line.now.instant);
    line.time_out();
    let sent = line.sent();
    assert_eq!(sent[0].header.op_code, 102);
    assert_eq!(held(&sent[1]), [id(0)]);

    // After a goodbye there is nothing to acknowledge with.
    let mut line = Line::at(Stage::Leaving);
    acknowledge(&mut line, 0, 400);
    line.pass(2_000);
    assert!(line.client.poll_timeout().unwrap() > line.now.instant);
    line.time_out();
    assert!(line.client.transmit().is_empty());
}

#[test]
fn a_goodbye_waits_for_room_and_loses_no_acknowledgment() {
    let mut line = session(Options::default(), MAX_CONTROL_PACKET);
    line.ask(|client, env| client.ask_for_statuses(env, &[query()])).unwrap();
    acknowledge(&mut line, 0, 400);
    let left = line.ask(|client, env| client.leave(env));
    assert_eq!(left, Err(waxwing_core::client::RequestError::Busy));
    line.sent();
    line.ask(|client, env| client.leave(env)).unwrap();
    let sent = line.sent();
    assert_eq!(held(&sent[0]), [id(0)]);
    assert_eq!(sent[1].header.op_code, 222);
}

#[test]
fn a_sign_of_life_is_an_empty_acknowledgment() {
    let keepalive = Some(Duration::from_secs(300));
    let mut line = session(Options { keepalive, ..Options::default() }, 70_000);
    assert_eq!(line.client.poll_timeout().unwrap().since(line.now.instant).as_secs(), 300);
    line.pass(299_999);
    line.time_out();
    assert!(line.sent().is_empty());
    line.pass(1);
    line.time_out();
    let sent = line.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].content, [1, 0, 0]);
    assert_eq!(line.client.poll_timeout().unwrap().since(line.now.instant).as_secs(), 300);
}

#[test]
fn a_sign_of_life_never_lets_a_held_letter_go() {
    let keepalive = Some(Duration::from_secs(300));
    let mut line = session(Options { keepalive, ..Options::default() }, 70_000);
    let letter = compose(&mut line, "not stored yet").unwrap();
    line.pass(300_000);
    line.time_out();
    assert!(line.client.transmit().is_empty());
    line.client.discard_composed();
    line.time_out();
    assert!(line.sent().iter().all(|sent| sent.id != letter));
}

#[test]
fn a_sign_of_life_that_finds_no_room_ends_nothing() {
    let keepalive = Some(Duration::from_secs(5));
    let mut line = session(Options { keepalive, ..Options::default() }, MAX_CONTROL_PACKET);
    // The stream takes nothing for half a minute.
    for _ in 0..6 {
        line.pass(5_000);
        line.time_out();
        assert_eq!(line.ended(), None);
    }
    assert!(!line.sent().is_empty());
}

#[test]
fn a_letter_that_was_opened_in_its_buffer_is_acknowledged_as_it_came() {
    let mut line = with_window(1);
    line.holds_letters = true;
    let us = Fingerprint::of(&RustCrypto, &phone(), CLIENT.spki());
    let friend = Fingerprint::of(&RustCrypto, &phone(), keys::FRIEND.spki());
    let (uid, text) = (Uid([7; 16]), Content::Text("opened in place"));
    let mut payload = [0; 400];
    let len = line.ask(|_, env| {
        let key = RustCrypto.public_key(CLIENT.spki()).unwrap();
        envelope::seal(&RustCrypto, env.rng, &friend, &us, &key, &uid, &text, &mut payload).unwrap()
    });
    let letter = line.server.letter(FRIEND, US, &payload[..len]);
    assert_eq!(line.hear(&letter), [Heard::Letter(id_of(&letter))]);
    line.ask(|client, env| {
        let verified = client.letter().unwrap().verify(&*FRIEND_PUBLIC).unwrap();
        let opened = envelope::open(&RustCrypto, env.rng, &friend, &us, &*CLIENT, verified);
        assert_eq!(opened.unwrap().content, text);
        assert_ne!(client.letter().unwrap().id(), id_of(&letter));
        client.acknowledge_letter(env);
        assert!(client.letter().is_none());
        client.acknowledge_letter(env);
    });
    assert_eq!(all_held(&mut line), [id_of(&letter)]);
}
