//! Learning something from what the server refuses.

use std::collections::HashMap;

use waxwing_core::id::UserId;
use waxwing_core::phone::Phone;
use waxwing_core::wire::{ErrorCode, KeyQuestion};
use waxwing_testkit::packets;
use waxwing_testkit::person::{No, Said};

use crate::line::Door;
use crate::peer::Peer;
use crate::test_server::TestServer;

/// The payload of a shared refusal: nothing but the code and its name is in it.
fn shared(code: ErrorCode) -> Vec<u8> {
    let [low, high] = code.code().to_le_bytes();
    [&[low, high, 0, 0, 0, 0], code.name().as_bytes()].concat()
}

#[test]
fn failures_before_a_private_key_operation_share_one_refusal_that_echoes_nothing() {
    use ErrorCode::{BadSequence, BadSignature, Malformed, UnexpectedOp, UnknownOp, WeakKey};

    let server = TestServer::new();
    let door = Door::of(&server);
    let mut peer = Peer::with_session(door, 0);
    let newcomer = Peer::new(door, 1);
    let with = |mut bytes: Vec<u8>, at: usize, byte: u8| {
        bytes[at] = byte;
        bytes
    };
    let canary = [0xc7; 256];
    let unknown = packets::unsigned(999, 0, waxwing::clock::now(), 106, &canary);
    let proof = peer.proof("123456");
    let spki = 26 + 256;
    let before = [
        (Malformed, with(newcomer.request(), 4, b'x')),
        (Malformed, with(newcomer.request(), 0, 1)),
        (Malformed, with(newcomer.request(), 2, 1)),
        (Malformed, with(newcomer.request(), 537, 1)),
        (Malformed, peer.packet_as(0, 0, 101, &canary)),
        (Malformed, peer.packet_as(0, 0, 106, &canary)),
        (Malformed, peer.packet(106, &canary[1..])),
        (Malformed, peer.packet(106, &canary)),
        (
            Malformed,
            packets::zero_signed(packets::unsigned(0, 0, waxwing::clock::now(), 100, &canary)),
        ),
        (Malformed, peer.packet(106, &[0xc7; 2_000])),
        (UnknownOp, peer.packet(1, &canary)),
        (UnknownOp, peer.packet(254, &canary)),
        (UnexpectedOp, peer.packet(102, &canary)),
        (UnexpectedOp, peer.packet(203, &canary)),
        (UnexpectedOp, peer.packet(244, &canary)),
        (BadSignature, peer.sign(unknown)),
        (BadSignature, packets::flipped(&peer.long(), 100)),
        (BadSignature, packets::flipped(&peer.long(), 400)),
        (BadSignature, packets::flipped(&proof, 100)),
        (WeakKey, packets::flipped(&proof, spki)),
        (WeakKey, packets::flipped(&proof, spki + 293)),
    ];
    type Make = fn(&mut Peer) -> Vec<u8>;
    let after: [(ErrorCode, Make); 5] = [
        (UnexpectedOp, Peer::long),
        (UnexpectedOp, |peer| peer.letter(peer.id(), &[0xc7; 300])),
        (UnexpectedOp, |peer| peer.sealed(203, &[1, 0, 0])),
        (BadSequence, |peer| packets::flipped(&peer.confirmation(1), 40)),
        (Malformed, |peer| peer.confirmation(0)),
    ];
    let mut said: HashMap<_, Vec<u8>> = HashMap::new();
    let mut check = |peer: &mut Peer, code: ErrorCode| {
        let packet = peer.line().packet().unwrap();
        assert_eq!((&packet[..4], packet[23]), (&[0; 4][..], 244));
        assert_eq!(packet[26..packet.len() - 256], shared(code), "{code}");
        assert_eq!(peer.line().packet(), None);
        // Of one second, signature and all.
        let second = packet[4..23].to_vec();
        assert_eq!(*said.entry((code, second)).or_insert_with(|| packet.clone()), packet);
    };
    for (code, bytes) in &before {
        peer.connect();
        peer.send(bytes);
        check(&mut peer, *code);
    }
    for (code, make) in after {
        peer.reconnect();
        let bytes = make(&mut peer);
        peer.send(&bytes);
        check(&mut peer, code);
    }
}

#[test]
fn phones_can_be_tested_by_100_within_the_limit_of_their_address_prefix() {
    let server = TestServer::with(&[("limits.exempt", "")]);
    let door = Door::of(&server);
    let resident = Peer::with_session(door, 0);
    let mut prober = Peer::new(door, 1).at(1);
    let mut sizes = Vec::new();
    for number in 0..10 {
        let unknown = format!("+1555000{number:04}");
        let phone = if number % 2 == 0 { resident.phone.as_str() } else { &unknown };
        let request = prober.request_for(phone.as_bytes());
        prober.connect();
        prober.send(&request);
        sizes.push(prober.line().packet().unwrap().len());
    }
    assert!(sizes.iter().all(|size| *size == sizes[0]), "{sizes:?}");
    let limited = |said| {
        let Some(Said::Refused(No { code, packet, retry_after_s, op })) = said else {
            panic!("{said:?}")
        };
        assert_eq!((code, op, packet), (ErrorCode::RateLimited, 0, None));
        assert!(retry_after_s > 0);
    };
    limited(prober.call(&prober.request_for(resident.phone.as_bytes())));
    limited(prober.call(&prober.request()));
    prober.at(2).register();
}

#[test]
fn phones_can_be_looked_up_by_105_within_the_limit_of_the_asker() {
    let server = TestServer::with(&[("limits.lookups_per_user_per_day", "20")]);
    let door = Door::of(&server);
    let mut prober = Peer::with_session(door, 0);
    let mut resident = Peer::with_session(door, 1);
    let ask = |prober: &mut Peer, phone: &Phone| {
        let question = prober.question(KeyQuestion::ByPhone(*phone));
        prober.send(&question);
        prober.hear().unwrap()
    };
    let unknown = Phone::parse(b"+15550009999").unwrap();
    for _ in 0..10 {
        let Said::Key(answer) = ask(&mut prober, &resident.phone) else { panic!() };
        assert_eq!(answer.user, resident.id());
        let Said::Refused(no) = ask(&mut prober, &unknown) else { panic!() };
        assert_eq!((no.code, no.op), (ErrorCode::UnknownUser, 105));
    }
    for phone in [resident.phone, unknown] {
        let Said::Refused(no) = ask(&mut prober, &phone) else { panic!() };
        assert_eq!((no.code, no.op), (ErrorCode::RateLimited, 105));
        assert!(no.retry_after_s > 0);
    }
    prober.is_served();
    let phone = prober.phone;
    let Said::Key(_) = ask(&mut resident, &phone) else { panic!() };
}

#[test]
fn ids_are_refused_alike_whether_they_exist_or_not() {
    let server = TestServer::new();
    let door = Door::of(&server);
    let (mut prober, resident) = (Peer::with_session(door, 0), Peer::with_session(door, 1));
    let mut ask = |id: UserId| {
        let question = prober.question(KeyQuestion::ById(id));
        prober.send(&question);
        let No { code, op, retry_after_s, packet } = prober.hear_no();
        assert_eq!(packet, Some(packets::id_of(&question)));
        (code, op, retry_after_s)
    };
    let expected = (ErrorCode::UnknownUser, 105, 0);
    assert_eq!(ask(resident.id()), expected);
    for id in [3, 255, 256, 32_767, 32_768, 65_535] {
        assert_eq!(ask(UserId::new(id).unwrap()), expected, "{id}");
    }
}
